//! The figures a report can have.

use sotto_schema::dimension::{CountedBy, Dimension};

use super::Counts;
use crate::filter::Filters;

/// A figure of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Visitor keys; over several days the sum of the days' visitors, since keys change every day.
    Visitors,
    /// Sessions: hits of a visitor with gaps under 30 minutes.
    Visits,
    /// Pageviews, also of visitors who are counted anonymously.
    Pageviews,
    /// Share of visits with one pageview and no interaction.
    BounceRate,
    /// Mean time per visit for which a page was visible, in seconds.
    EngagedSeconds,
    /// Mean pageviews per visit, of measured visits.
    ViewsPerVisit,
    /// Events with a name.
    Events,
}

impl Metric {
    /// All metrics.
    pub const ALL: [Self; 7] = [
        Self::Visitors,
        Self::Visits,
        Self::Pageviews,
        Self::BounceRate,
        Self::EngagedSeconds,
        Self::ViewsPerVisit,
        Self::Events,
    ];

    /// The name in addresses, the API and the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Visitors => "visitors",
            Self::Visits => "visits",
            Self::Pageviews => "pageviews",
            Self::BounceRate => "bounce_rate",
            Self::EngagedSeconds => "engaged_seconds",
            Self::ViewsPerVisit => "views_per_visit",
            Self::Events => "events",
        }
    }

    /// The metric of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }

    /// The name for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Visitors => "Visitors",
            Self::Visits => "Visits",
            Self::Pageviews => "Pageviews",
            Self::BounceRate => "Bounce rate",
            Self::EngagedSeconds => "Engaged time",
            Self::ViewsPerVisit => "Views per visit",
            Self::Events => "Events",
        }
    }

    /// Its meaning, in one sentence.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Visitors => {
                "People, counted once a day. Sotto forgets at midnight who was who, so somebody who comes on three days counts three times."
            }
            Self::Visits => "Stays on the site; a visit ends after 30 minutes without a sign of life.",
            Self::Pageviews => "Pages viewed by everybody, also by visitors who are counted anonymously.",
            Self::BounceRate => "Share of visits that saw one page and did nothing on it.",
            Self::EngagedSeconds => "How long pages were really visible, per visit.",
            Self::ViewsPerVisit => "Pages seen in a visit, on average.",
            Self::Events => "Interactions with a name, such as a sign-up or a download.",
        }
    }

    /// The name and the meaning in a row of a list by `by`: of what each hit has for itself, entries and time are counted
    /// differently than of what a visit has once.
    pub fn in_list(self, by: Dimension, filters: &Filters) -> (&'static str, &'static str) {
        let of_hits = matches!(by.counted_by(), CountedBy::Hit { .. });
        match self {
            Self::BounceRate if of_hits => (
                "Bounce rate of entries",
                "Of the visits that began here, the share that saw one page and did nothing on it.",
            ),
            Self::EngagedSeconds if of_hits => (
                if by == Dimension::Page { "Time on page" } else { "Time on it" },
                "How long it was really visible, per visit that saw it.",
            ),
            Self::Visitors
            | Self::Visits
            | Self::Pageviews
            | Self::BounceRate
            | Self::EngagedSeconds
            | Self::ViewsPerVisit
            | Self::Events => self.of_chosen(filters),
        }
    }

    /// The name and the meaning of a figure about what the filters choose. A page, event or host name chooses hits: bounces
    /// and time are still those of the whole visits that had one.
    pub fn of_chosen(self, filters: &Filters) -> (&'static str, &'static str) {
        let of_hits = filters.each().any(|f| f.field.is_of_hits());
        match self {
            Self::BounceRate if of_hits => (
                "Bounce rate of visits",
                "Of the visits with what the filters choose, the share that saw one page and did nothing on it.",
            ),
            Self::EngagedSeconds if of_hits => (
                "Time of whole visits",
                "How long all pages were really visible, per visit with what the filters choose.",
            ),
            Self::ViewsPerVisit if of_hits => {
                ("Chosen views per visit", "Views of what the filters choose, per visit with one.")
            }
            Self::Visitors
            | Self::Visits
            | Self::Pageviews
            | Self::BounceRate
            | Self::EngagedSeconds
            | Self::ViewsPerVisit
            | Self::Events => (self.label(), self.help()),
        }
    }

    /// Whether a smaller figure is the better one.
    pub const fn less_is_better(self) -> bool {
        matches!(self, Self::BounceRate)
    }

    /// The column by which rows are sorted.
    pub(super) const fn order(self) -> &'static str {
        match self {
            Self::Visitors => "visitors",
            Self::Visits | Self::BounceRate | Self::EngagedSeconds => "visits",
            Self::Pageviews | Self::ViewsPerVisit => "pageviews",
            Self::Events => "events",
        }
    }

    /// The count by which rows are sorted, as in [`Metric::order`].
    pub(crate) const fn size(self, counts: &Counts) -> u64 {
        match self {
            Self::Visitors => counts.visitors,
            Self::Visits | Self::BounceRate | Self::EngagedSeconds => counts.visits,
            Self::Pageviews | Self::ViewsPerVisit => counts.pageviews,
            Self::Events => counts.events,
        }
    }

    /// The figure; `None` when the divisor is zero, or when the archive does not have it.
    #[allow(clippy::cast_precision_loss)] // Counts stay far below 2^52.
    pub fn of(self, counts: &Counts) -> Option<f64> {
        let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        match self {
            Self::Visits | Self::BounceRate | Self::EngagedSeconds | Self::ViewsPerVisit if counts.coarse => {
                None
            }
            Self::Visitors => Some(counts.visitors as f64),
            Self::Visits => Some(counts.visits as f64),
            Self::Pageviews => Some(counts.pageviews as f64),
            Self::BounceRate => ratio(counts.bounces, counts.entries),
            Self::EngagedSeconds => ratio(counts.engaged_ms, counts.visits).map(|ms| ms / 1000.0),
            Self::ViewsPerVisit => ratio(counts.measured_views, counts.visits),
            Self::Events => Some(counts.events as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_without_anything_to_divide_by_is_none() {
        let none = Counts::default();
        for metric in Metric::ALL {
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
            assert!(matches!(metric.of(&none), None | Some(0.0)));
        }
        assert_eq!(Metric::BounceRate.of(&none), None);
    }

    #[test]
    fn label_says_which_visits_and_pages_a_figure_is_about() {
        let (none, page) = (Filters::default(), Filters::parse(["page:is:/prices"]));
        let country = Filters::parse(["country:is:DE"]);
        let label = |metric: Metric, by, filters| metric.in_list(by, filters).0;
        for (by, filters, bounces, time) in [
            (Dimension::Page, &none, "Bounce rate of entries", "Time on page"),
            (Dimension::Page, &page, "Bounce rate of entries", "Time on page"),
            (Dimension::Hostname, &none, "Bounce rate of entries", "Time on it"),
            (Dimension::EntryPage, &none, "Bounce rate", "Engaged time"),
            (Dimension::Source, &country, "Bounce rate", "Engaged time"),
            (Dimension::Source, &page, "Bounce rate of visits", "Time of whole visits"),
        ] {
            let found = (label(Metric::BounceRate, by, filters), label(Metric::EngagedSeconds, by, filters));
            assert_eq!(found, (bounces, time), "{by:?} {filters:?}");
        }
        assert_eq!(Metric::ViewsPerVisit.of_chosen(&page).0, "Chosen views per visit");
        assert_eq!(Metric::Visits.of_chosen(&page).0, "Visits");
    }

    #[test]
    fn anonymous_pageviews_do_not_lengthen_visits() {
        let counts = Counts { visits: 2, pageviews: 10, measured_views: 4, ..Counts::default() };
        assert_eq!(Metric::ViewsPerVisit.of(&counts), Some(2.0));
        assert_eq!(Metric::Pageviews.of(&counts), Some(10.0));
    }

    #[test]
    fn time_and_bounces_are_per_visit() {
        let counts = Counts { visits: 4, entries: 4, bounces: 1, engaged_ms: 10_000, ..Counts::default() };
        assert_eq!(Metric::BounceRate.of(&counts), Some(0.25));
        assert_eq!(Metric::EngagedSeconds.of(&counts), Some(2.5));
    }
}
