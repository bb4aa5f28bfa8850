//! Plain counts, from which metrics are computed. Counts add up; metrics do not.

use std::ops::{AddAssign, SubAssign};

/// Plain counts of one value or period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Visitor keys; over several days the sum of the days.
    pub visitors: u64,
    /// Sessions.
    pub visits: u64,
    /// Pageviews of all visitors, measured or anonymous.
    pub pageviews: u64,
    /// Pageviews within visits.
    pub measured_views: u64,
    /// Events with a name.
    pub events: u64,
    /// Visits that began here.
    pub entries: u64,
    /// Those of them with one pageview and no interaction.
    pub bounces: u64,
    /// Milliseconds for which pages were visible.
    pub engaged_ms: u64,
    /// Whether values from the archive are in it, which has visitors, pageviews and events of them only.
    pub coarse: bool,
}

impl Counts {
    /// What is left without `other`; nothing where that has more.
    #[must_use]
    pub const fn less(&self, other: &Self) -> Self {
        Self {
            visitors: self.visitors.saturating_sub(other.visitors),
            visits: self.visits.saturating_sub(other.visits),
            pageviews: self.pageviews.saturating_sub(other.pageviews),
            measured_views: self.measured_views.saturating_sub(other.measured_views),
            events: self.events.saturating_sub(other.events),
            entries: self.entries.saturating_sub(other.entries),
            bounces: self.bounces.saturating_sub(other.bounces),
            engaged_ms: self.engaged_ms.saturating_sub(other.engaged_ms),
            coarse: self.coarse,
        }
    }
}

/// In the order of [`sotto_store::settled::figures::COUNTS`].
impl From<[u64; 8]> for Counts {
    fn from(counts: [u64; 8]) -> Self {
        let [visitors, visits, pageviews, measured_views, events, entries, bounces, engaged_ms] = counts;
        Self {
            visitors,
            visits,
            pageviews,
            measured_views,
            events,
            entries,
            bounces,
            engaged_ms,
            coarse: false,
        }
    }
}

impl SubAssign for Counts {
    fn sub_assign(&mut self, other: Self) {
        self.visitors -= other.visitors;
        self.visits -= other.visits;
        self.pageviews -= other.pageviews;
        self.measured_views -= other.measured_views;
        self.events -= other.events;
        self.entries -= other.entries;
        self.bounces -= other.bounces;
        self.engaged_ms -= other.engaged_ms;
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.visitors += other.visitors;
        self.visits += other.visits;
        self.pageviews += other.pageviews;
        self.measured_views += other.measured_views;
        self.events += other.events;
        self.entries += other.entries;
        self.bounces += other.bounces;
        self.engaged_ms += other.engaged_ms;
        self.coarse |= other.coarse;
    }
}
