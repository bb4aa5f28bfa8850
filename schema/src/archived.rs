//! What the archive counts: its dimensions, how much one visitor's day may add to each, and how the privacy budget is
//! divided among them.
//!
//! The mechanism and its proof are in `collector/src/archive.rs`. The weights were chosen by measuring the share of
//! traffic that keeps its own value (`make bench-archive`).

/// The smallest privacy loss that a site may choose.
pub const EPSILON_MIN: u8 = 1;
/// The largest privacy loss that a site may choose.
pub const EPSILON_MAX: u8 = 8;
/// The privacy loss when none is chosen.
pub const EPSILON_DEFAULT: u8 = 4;
/// The chance that the bound of the privacy loss does not hold.
pub const DELTA: f64 = 1e-6;
/// Shortest raw retention, in days, with which months are released: the days of a month, those in which its late hits
/// arrive, and a week in reserve. With less, the whole budget goes to the days.
pub const MONTHLY_RETENTION_MIN: u16 = 41;

/// A dimension of the archive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kept {
    /// Its name; that of a report's dimension where there is one.
    pub name: &'static str,
    /// To how many values one visitor's day adds at most.
    pub values: u32,
    /// How much it adds to the count of one value at most.
    pub most: u32,
    /// How many hits it adds to one value at most; 0 if hits are not counted.
    pub hits: u32,
    /// Its part of the budget in the release of a day.
    pub by_day: u32,
    /// Its part of the budget in the release of a month.
    pub by_month: u32,
}

impl Kept {
    /// Whether it is a total: it has one value, the empty one, and no hits.
    pub fn is_total(&self) -> bool {
        TOTALS.contains(&self.name)
    }
}

/// The dimensions that are totals.
pub const TOTALS: [&str; 5] = ["visitors", "visits", "bounces", "pageviews", "events"];

const fn total(name: &'static str, most: u32, by_day: u32, by_month: u32) -> Kept {
    Kept { name, values: 1, most, hits: 0, by_day, by_month }
}

/// Of which a visitor's day has one value: that of the first visit.
const fn one(name: &'static str, by_day: u32, by_month: u32) -> Kept {
    Kept { name, values: 1, most: 1, hits: HITS_MAX, by_day, by_month }
}

const fn bucket(name: &'static str, by_day: u32, by_month: u32) -> Kept {
    Kept { name, values: 1, most: 1, hits: 0, by_day, by_month }
}

const fn several(name: &'static str, values: u32, hits: u32, by_day: u32, by_month: u32) -> Kept {
    Kept { name, values, most: 1, hits, by_day, by_month }
}

/// Pageviews of one visitor's day that are counted.
pub const HITS_MAX: u32 = 10;

/// The dimensions. Totals have one value, the empty one.
pub const KEPT: [Kept; 30] = [
    total("visitors", 1, 4, 2),
    total("visits", 3, 2, 1),
    total("bounces", 2, 1, 1),
    total("pageviews", HITS_MAX, 8, 3),
    total("events", 5, 1, 1),
    several("page", 4, 3, 12, 13),
    several("section", 3, 3, 1, 2),
    one("entry_page", 3, 4),
    one("exit_page", 0, 2),
    one("source", 8, 10),
    one("channel", 4, 3),
    one("utm_source", 0, 2),
    one("utm_medium", 0, 2),
    one("utm_campaign", 2, 4),
    one("country", 6, 6),
    one("region", 0, 4),
    one("city", 4, 8),
    one("network", 0, 2),
    one("device", 3, 2),
    one("browser", 2, 3),
    one("browser_version", 0, 2),
    one("os", 2, 3),
    one("os_version", 0, 2),
    one("screen", 0, 1),
    one("language", 0, 2),
    several("event", 3, 3, 3, 3),
    several("goal", 3, 3, 3, 3),
    bucket("hour", 2, 2),
    bucket("time", 1, 1),
    bucket("scroll", 0, 1),
];

/// The dimension of that name.
pub fn find(name: &str) -> Option<&'static Kept> {
    KEPT.iter().find(|kept| kept.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dimension::Dimension;

    #[test]
    fn every_dimension_of_the_archive_is_in_a_release() {
        for kept in KEPT {
            assert!(kept.by_month > 0, "{}", kept.name);
            assert!(kept.values > 0 && kept.most > 0, "{}", kept.name);
        }
    }

    #[test]
    fn archived_report_is_of_a_dimension_of_the_archive() {
        for dimension in Dimension::ALL.into_iter().filter(|d| d.is_archived()) {
            assert!(find(dimension.name()).is_some_and(|kept| kept.hits > 0), "{}", dimension.name());
        }
    }
}
