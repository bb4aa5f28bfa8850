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
}

/// In the order of [`sotto_store::settled::figures::COUNTS`].
impl From<[u64; 8]> for Counts {
    fn from(counts: [u64; 8]) -> Self {
        let [visitors, visits, pageviews, measured_views, events, entries, bounces, engaged_ms] = counts;
        Self { visitors, visits, pageviews, measured_views, events, entries, bounces, engaged_ms }
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
    }
}
