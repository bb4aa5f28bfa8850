//! Which questions can be answered exactly: every other one is refused, with the part of it that is in the way.
//!
//! The rules follow from how Sotto counts. A filter on a page, an event or a host name chooses hits, as at Plausible; one on a
//! goal or a prop chooses the visits in which it was, where Plausible chooses the events. So visits and visitors are the same,
//! and pageviews are not.

use sotto_schema::dimension::Dimension;

use super::{
    asked::Asked,
    filters::{self, Chooses, Chosen, NO_PROP},
    names::{Axis, Bucket, Figure, PROP},
    problem::Problem,
};

/// Dimensions of visits that are those of one host name where Plausible is asked about a host name.
const OF_ENTRY: [Dimension; 9] = [
    Dimension::Source,
    Dimension::EntryPage,
    Dimension::ExitPage,
    Dimension::Referrer,
    Dimension::UtmSource,
    Dimension::UtmMedium,
    Dimension::UtmCampaign,
    Dimension::UtmContent,
    Dimension::UtmTerm,
];

/// A question whose dimensions and filters are known.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) asked: &'a Asked,
    pub(super) axes: &'a [Axis],
    pub(super) chosen: &'a Chosen,
    /// Whether the period is one of moments, and not of whole days.
    pub(super) moments: bool,
}

/// Refuses what cannot be answered exactly.
pub(super) fn check(question: &Question<'_>) -> Result<(), Problem> {
    axes(question)?;
    together(question)?;
    for (n, figure) in question.asked.figures.iter().enumerate() {
        if let Some(why) = question.against(*figure) {
            let detail = format!("{} cannot be told here: {why}", figure.name());
            return Err(Problem::bad(format!("metrics[{n}]"), detail));
        }
    }
    if question.asked.time_labels && !question.axes.iter().any(Axis::is_time) {
        return Err(Problem::bad("include.time_labels", "this needs one of the dimensions of time"));
    }
    Ok(())
}

fn axes(question: &Question<'_>) -> Result<(), Problem> {
    let Question { axes, chosen, moments, .. } = *question;
    let refuse = |n: usize, why: &str| Err(Problem::bad(format!("dimensions[{n}]"), why));
    if axes.len() > 2 {
        return refuse(2, "at most two dimensions can be counted together");
    }
    let both = |test: &dyn Fn(&Axis) -> bool| axes.len() == 2 && axes.iter().all(test);
    if both(&Axis::is_time) {
        return refuse(1, "one dimension of time at most");
    }
    if both(&Axis::is_of_hits) {
        return refuse(1, "at most one dimension of hits (event:…) can be counted");
    }
    if axes.len() == 2 && axes.contains(&Axis::Time(Bucket::Hour)) {
        return refuse(1, "hours can be counted with no other dimension; time:day can");
    }
    if axes.len() == 2 && moments && axes.iter().any(Axis::is_time) {
        return refuse(1, "days can be counted with another dimension in periods of whole days only");
    }
    let of_events = chosen.of_events();
    for (n, axis) in axes.iter().enumerate() {
        match axis {
            Axis::Of(valued) if valued.dimension == Dimension::Event => {
                if !chosen.groups.iter().any(|group| group.without_pageviews) {
                    return refuse(
                        n,
                        "pageviews are no event with a name here: leave them out with the filter [\"is_not\", \"event:name\", [\"pageview\"]], or name events",
                    );
                }
                if of_events {
                    return refuse(
                        n,
                        "with a filter on event:goal or a prop, hits cannot be told from others of the same visits",
                    );
                }
            }
            Axis::Of(valued) if valued.is_of_hits() && of_events => {
                return refuse(
                    n,
                    "with a filter on event:goal or a prop, hits cannot be told from others of the same visits",
                );
            }
            Axis::Of(valued) => {
                let host = chosen.any(|chooses| *chooses == Chooses::Hits(Dimension::Hostname));
                if host && OF_ENTRY.contains(&valued.dimension) {
                    return refuse(
                        n,
                        "with a filter on event:hostname, the host name of a visit's entry would have to be known",
                    );
                }
            }
            Axis::Prop(name) => prop(n, name, chosen)?,
            Axis::Time(Bucket::Hour) if of_events => {
                return refuse(n, "with a filter on event:goal or a prop, days can be told, and not hours");
            }
            Axis::Goal if chosen.any(|chooses| matches!(chooses, Chooses::Prop(_) | Chooses::Hits(_))) => {
                return refuse(n, "goals can be counted with filters on visits, and not on hits or props");
            }
            Axis::Goal | Axis::Time(_) => {}
        }
    }
    Ok(())
}

/// Filters on what events have are of one event at Plausible, and of one visit here: two of them are not the same.
fn together(question: &Question<'_>) -> Result<(), Problem> {
    let Question { chosen, .. } = *question;
    let of_events =
        chosen.groups.iter().filter(|group| matches!(group.chooses, Chooses::Goals(_) | Chooses::Prop(_)));
    let hits = chosen.any(|chooses| matches!(chooses, Chooses::Hits(_)));
    if !question.is_by_prop() && of_events.count() + usize::from(hits) > 1 && chosen.of_events() {
        let detail = "filters on event:goal and props cannot be put together with each other or with one on event:page, event:name or event:hostname: that they are of the same event cannot be told; [\"has_done\", …] asks for what happened in the same visit";
        return Err(Problem::bad(filters::FIELD, detail));
    }
    Ok(())
}

/// The values of a prop.
fn prop(n: usize, name: &str, chosen: &Chosen) -> Result<(), Problem> {
    let refuse = |why: String| Err(Problem::bad(format!("dimensions[{n}]"), why));
    let own = |chooses: &Chooses| matches!(chooses, Chooses::Prop(prop) if prop == name);
    if !chosen.groups.iter().any(|group| group.without_no_prop && own(&group.chooses)) {
        return refuse(format!(
            "events without the prop cannot be told: leave them out with the filter [\"is_not\", \"{PROP}{name}\", [\"{NO_PROP}\"]]"
        ));
    }
    let other = chosen.groups.iter().any(|group| match &group.chooses {
        Chooses::Prop(_) => !(group.without_no_prop && own(&group.chooses)),
        Chooses::Goals(goals) => goals.iter().any(|goal| filters::event_of(goal).is_none()),
        Chooses::Visits | Chooses::Done | Chooses::Hits(_) => false,
    });
    if other {
        return refuse("values of a prop can be counted with filters on visits, pages and events, and on goals that are events".into());
    }
    Ok(())
}

impl Question<'_> {
    fn any_axis(&self, test: impl Fn(&Axis) -> bool) -> bool {
        self.axes.iter().any(test)
    }

    fn is_by_goal(&self) -> bool {
        self.any_axis(|axis| *axis == Axis::Goal)
    }

    fn is_by_prop(&self) -> bool {
        self.any_axis(|axis| matches!(axis, Axis::Prop(_)))
    }

    fn is_only_by_page(&self) -> bool {
        matches!(self.axes, [axis] if axis.is(Dimension::Page))
    }

    /// Why a figure cannot be told.
    fn against(&self, figure: Figure) -> Option<&'static str> {
        let chosen = self.chosen;
        let hits = chosen.any(|chooses| matches!(chooses, Chooses::Hits(_)));
        let page = chosen.any(|chooses| *chooses == Chooses::Hits(Dimension::Page));
        let of_events = chosen.of_events();
        let goals = chosen.goals().is_some() || self.is_by_goal();
        let why = |against: bool, why| against.then_some(why);
        match figure {
            Figure::Visitors | Figure::Visits => None,
            Figure::Events if self.is_by_goal() || self.is_by_prop() => None,
            Figure::Pageviews if self.is_by_goal() || self.is_by_prop() => {
                Some("ask for events, which say how often")
            }
            Figure::Pageviews | Figure::Events => why(
                of_events,
                "a filter on event:goal or a prop chooses visits here; by the dimension event:goal, or a prop, events say how often",
            ),
            Figure::ViewsPerVisit => why(!self.axes.is_empty(), "it is told without dimensions only")
                .or_else(|| {
                    why(hits, "it is told without filters on event:page, event:name and event:hostname only")
                }),
            Figure::BounceRate => {
                let event_axis = self.any_axis(Axis::is_of_hits) && !self.is_only_by_page();
                why(event_axis, "visits bounce, and not hits: of these it is told by event:page alone")
                    .or_else(|| {
                        let hour = self.any_axis(|axis| *axis == Axis::Time(Bucket::Hour));
                        why(hour, "visits bounce on days, and not in hours")
                    })
                    .or_else(|| {
                        let other = chosen.any(|chooses| {
                            matches!(chooses, Chooses::Hits(Dimension::Event | Dimension::Hostname))
                        });
                        why(
                            self.is_only_by_page() && other,
                            "by event:page it is of entries, which no filter on events chooses",
                        )
                    })
                    .or_else(|| {
                        why(
                            page && !self.is_only_by_page(),
                            "with a filter on event:page it is told by the dimension event:page only",
                        )
                    })
            }
            Figure::Percentage => why(self.axes.is_empty(), "it needs a dimension")
                .or_else(|| why(self.is_by_goal(), "for goals there is conversion_rate"))
                .or_else(|| why(self.is_by_prop(), "not of the values of a prop")),
            Figure::ConversionRate | Figure::GroupConversionRate => {
                why(!goals, "it needs a filter on event:goal or that dimension")
                    .or_else(|| why(self.is_by_prop(), "not by the values of a prop"))
                    .or_else(|| {
                        let nested = chosen.groups.iter().any(|group| group.nested);
                        why(nested, "filters on props may not be inside of others then, as at Plausible")
                    })
            }
            Figure::ScrollDepth | Figure::TimeOnPage => {
                why(!self.is_only_by_page(), "it is told by the dimension event:page alone")
                    .or_else(|| {
                        why(
                            of_events || self.chosen.any(|c| *c == Chooses::Hits(Dimension::Event)),
                            "filters on events choose no time and no depth",
                        )
                    })
                    .or_else(|| {
                        let host = figure == Figure::ScrollDepth
                            && self.chosen.any(|c| *c == Chooses::Hits(Dimension::Hostname));
                        why(host, "the depth is not known by host name")
                    })
            }
        }
    }
}
