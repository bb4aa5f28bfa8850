//! Where the days of a report come from: settled days, raw events, or the archive.

use jiff::civil::Date;
use sotto_store::{
    db::Db,
    releases::{self, Release},
    settled::{self, Days},
};

use super::{Query, ReportError, Scope, Source};
use crate::range::Range;

/// What there is of a site in some days. Asked for once for everything that a page shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sources {
    days: Days,
    /// What the archive has of them.
    pub(super) releases: Vec<Release>,
}

/// The days that a query reads, by source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// Settled days, with the number of the settling.
    pub(super) settled: Vec<(Date, u64)>,
    /// How many raw events the settled days were made from.
    pub(super) settled_rows: u64,
    /// Days that are read from raw events.
    pub(super) raw: Vec<Date>,
}

impl Plan {
    /// Whether there is nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.raw.is_empty()
    }

    /// The earlier and the later half; `None` if it is one day.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        let mut days: Vec<Date> = self.settled.iter().map(|(day, _)| *day).chain(self.raw.clone()).collect();
        days.sort_unstable();
        let middle = *days.get(days.len() / 2)?;
        let part = |keep: &dyn Fn(Date) -> bool| Self {
            settled_rows: self.settled_rows / 2,
            settled: self.settled.iter().filter(|(day, _)| keep(*day)).copied().collect(),
            raw: self.raw.iter().filter(|day| keep(**day)).copied().collect(),
        };
        (days.len() > 1).then(|| [part(&|day| day < middle), part(&|day| day >= middle)])
    }
}

impl Sources {
    /// Finds out what there is of a site in some days.
    ///
    /// # Errors
    /// When ClickHouse cannot be asked.
    pub async fn of(db: &Db, scope: &Scope, range: Range) -> Result<Self, ReportError> {
        let days = settled::days(db, scope.site, &scope.time_zone, [range.from, range.to]);
        let releases = releases::between(db, scope.site, [range.from.first_of_month(), range.to]);
        let (days, releases) = tokio::try_join!(days, releases)?;
        Ok(Self { days, releases })
    }

    /// Whether a day is settled.
    pub(super) fn is_settled(&self, day: Date) -> bool {
        self.days.settled.contains_key(&day)
    }

    /// Whether a day has raw events.
    pub(super) fn has_raw(&self, day: Date) -> bool {
        self.is_settled(day) || self.days.raw.contains_key(&day)
    }

    /// The days that `query` reads besides those that come from the archive.
    pub(super) fn plan(&self, query: &Query, archived: &[Date]) -> Plan {
        let asked = |day: &Date| {
            (query.range.from..=query.range.to).contains(day) && archived.binary_search(day).is_err()
        };
        // A day of which only the beginning is asked for has to be read from raw events.
        let whole = |day: Date| query.until_ms.is_none() || day < query.range.to;
        let mut plan = Plan {
            settled: Vec::new(),
            settled_rows: 0,
            raw: self.days.raw.keys().filter(|d| asked(d)).copied().collect(),
        };
        for (day, (settling, rows)) in self.days.settled.iter().filter(|(day, _)| asked(day)) {
            if query.source != Source::Raw && whole(*day) {
                plan.settled.push((*day, *settling));
                plan.settled_rows += rows;
            } else {
                plan.raw.push(*day);
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn halves_have_all_days_and_one_day_has_none() {
        let day = |d| date(2026, 3, d);
        let plan =
            Plan { settled: vec![(day(1), 7), (day(3), 8)], settled_rows: 10, raw: vec![day(2), day(4)] };
        let [earlier, later] = plan.halves().unwrap();
        assert_eq!(earlier, Plan { settled: vec![(day(1), 7)], settled_rows: 5, raw: vec![day(2)] });
        assert_eq!(later, Plan { settled: vec![(day(3), 8)], settled_rows: 5, raw: vec![day(4)] });
        for one in [Plan::default(), Plan { settled: vec![(day(1), 7)], settled_rows: 5, raw: Vec::new() }] {
            assert_eq!(one.halves(), None);
        }
    }
}
