//! Where the days of a report come from: settled days, raw events, or the archive.

use jiff::civil::Date;
use sotto_schema::day::Day;
use sotto_store::{
    db::Db,
    releases::{self, Release},
    settled::{self, Days, Fingerprint, Open},
};

use super::{Query, ReportError, Scope, Source};
use crate::range::Range;

/// Raw events of days that are read from them up to which they are counted here: beyond, ClickHouse is faster.
const FEW_ROWS_MAX: u64 = 50_000;
/// Raw events that came after the hour up to which a day is settled, up to which they are counted here.
const SINCE_ROWS_MAX: u64 = 100_000;

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
    /// Months whose settled days are added up, by the day on which they begin, with the number of that settling.
    pub(super) months: Vec<(Date, u64)>,
    /// Days that are settled up to an hour; what came after it is counted here, from raw events.
    pub(super) open: Vec<(Date, Open)>,
    /// Days with few raw events, which are counted here.
    pub(super) few: Vec<Date>,
    /// Days that are read from raw events.
    pub(super) raw: Vec<Date>,
    /// What tells whether the raw events of these days are the same.
    pub(super) prints: Vec<(Date, Fingerprint)>,
}

impl Plan {
    /// Whether there is nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        self.days() == 0
    }

    /// How many days are read.
    pub(super) fn days(&self) -> usize {
        self.settled.len() + self.open.len() + self.few.len() + self.raw.len()
    }

    /// Whether raw events are counted here.
    pub(super) fn counts_here(&self) -> bool {
        !self.open.is_empty() || !self.few.is_empty()
    }

    /// The days, and their settlings, whose figures are read, without those that a month has.
    pub(super) fn settlings(&self) -> Vec<(Date, u64)> {
        let in_month = |day: &Date| self.months.iter().any(|(month, _)| *month == day.first_of_month());
        let days = self.settled.iter().filter(|(day, _)| !in_month(day)).copied();
        days.chain(self.open.iter().map(|(day, open)| (*day, open.settling))).collect()
    }

    /// What tells whether the raw events of some of its days are the same.
    pub(super) fn prints(&self, days: &[Date]) -> Vec<(Date, Fingerprint)> {
        self.prints.iter().filter(|(day, _)| days.contains(day)).copied().collect()
    }

    /// Settled days and months, and days that are read from raw events, unless all are of one kind: what was counted of the
    /// former stays true while hits come in.
    pub(super) fn apart(&self) -> Option<[Self; 2]> {
        let settled = Self { raw: Vec::new(), ..self.clone() };
        let raw = Self { raw: self.raw.clone(), prints: self.prints.clone(), ..Self::default() };
        (!settled.is_empty() && !raw.is_empty()).then_some([settled, raw])
    }

    /// The same with everything counted by ClickHouse.
    pub(super) fn counted_there(&self) -> Self {
        let open = self.open.iter().map(|(day, _)| *day);
        let raw = self.raw.iter().chain(&self.few).copied().chain(open).collect();
        Self { open: Vec::new(), few: Vec::new(), raw, ..self.clone() }
    }

    /// Adds a day that is read from raw events: here, as long as they are `few` in all.
    fn read_raw(&mut self, day: Date, rows: u64, here: bool, few: &mut u64) {
        match few.checked_sub(rows).filter(|_| here) {
            Some(rest) => {
                self.few.push(day);
                *few = rest;
            }
            None => self.raw.push(day),
        }
    }

    /// The earlier and the later half; `None` if it is one day.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        let this = self.counted_there();
        let mut days: Vec<Date> = this.settled.iter().map(|(day, _)| *day).chain(this.raw.clone()).collect();
        days.sort_unstable();
        let middle = *days.get(days.len() / 2)?;
        let part = |keep: &dyn Fn(Date) -> bool| Self {
            settled: this.settled.iter().filter(|(day, _)| keep(*day)).copied().collect(),
            raw: this.raw.iter().filter(|day| keep(**day)).copied().collect(),
            prints: this.prints.clone(),
            ..Self::default()
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

    /// The first of these days of which there is anything.
    pub(crate) fn first_day(&self) -> Option<Date> {
        let kept = self.days.settled.keys().chain(self.days.raw.keys()).copied();
        kept.chain(self.releases.iter().map(|release| Day(release.day).date())).min()
    }

    /// Whether there are days of which the archive is left only.
    pub(crate) fn has_archived_only(&self) -> bool {
        let of_day = |release: &&Release| release.period == releases::Period::Day;
        self.releases.iter().filter(of_day).any(|release| !self.has_raw(Day(release.day).date()))
    }

    /// The days that `query` reads besides those that come from the archive.
    pub(super) fn plan(&self, query: &Query, archived: &[Date]) -> Plan {
        let asked = |day: &Date| {
            (query.range.from..=query.range.to).contains(day) && archived.binary_search(day).is_err()
        };
        // A day of which only the beginning is asked for has to be read from raw events.
        let whole =
            |day: Date| query.since_ms.is_none() && (query.until_ms.is_none() || day < query.range.to);
        // Filters, and the part of a day after a moment, are a matter for ClickHouse.
        let here = query.source != Source::Raw && query.filters.is_empty() && query.since_ms.is_none();
        let mut plan = Plan::default();
        let mut few = FEW_ROWS_MAX;
        for (day, print) in self.days.raw.iter().filter(|(day, _)| asked(day)) {
            let (day, rows) = (*day, print.rows);
            plan.prints.push((day, *print));
            match self.days.open.get(&day) {
                Some(open) if here && whole(day) && rows - open.rows <= SINCE_ROWS_MAX => {
                    plan.open.push((day, *open));
                }
                _ => plan.read_raw(day, rows, here, &mut few),
            }
        }
        for (day, (settling, rows)) in self.days.settled.iter().filter(|(day, _)| asked(day)) {
            if query.source != Source::Raw && whole(*day) {
                plan.settled.push((*day, *settling));
            } else {
                plan.prints.push((*day, Fingerprint { rows: *rows, hash: *settling }));
                plan.read_raw(*day, *rows, here, &mut few);
            }
        }
        for (month, settling) in self.days.months.iter().filter(|_| here) {
            let days = || self.days.settled.range(*month..=month.last_of_month());
            if days().all(|(day, _)| asked(day) && whole(*day)) {
                plan.months.push((*month, *settling));
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
        let plan = |settled: &[(Date, u64)], raw: &[Date]| Plan {
            settled: settled.to_vec(),
            raw: raw.to_vec(),
            ..Plan::default()
        };
        let mut all = plan(&[(day(1), 7), (day(3), 8)], &[day(2)]);
        all.few.push(day(4));
        let [earlier, later] = all.halves().unwrap();
        assert_eq!(earlier, plan(&[(day(1), 7)], &[day(2)]));
        assert_eq!(later, plan(&[(day(3), 8)], &[day(4)]), "what was counted here is counted there");
        for one in [Plan::default(), plan(&[(day(1), 7)], &[])] {
            assert_eq!(one.halves(), None);
        }
    }
}
