//! The figures a report can have.

use super::Counts;

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
    pub(super) const fn size(self, counts: &Counts) -> u64 {
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
