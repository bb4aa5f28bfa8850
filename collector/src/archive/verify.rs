//! Proves the archive from what is stored of it, without the events it was made from and without the code that made it.
//!
//! For each month: leaves describe at least k people, do not overlap, and add up to the totals; every remainder of a
//! day and of a month is nothing, or at least k, or the whole day; and what can be made by setting leaves of the month
//! off against remainders of days has k heads (the module above says why these are enough).

use std::collections::{BTreeMap, HashMap, HashSet};

use clickhouse::Row;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
pub use sotto_schema::dimension::ARCHIVED as DIMENSIONS;
use sotto_schema::{day::Day, id::SiteId};
use sotto_store::{
    db::Db,
    seals::{Period, Seal, seals},
};

/// How many counts a row has, and the place of each.
pub const COUNTS: usize = 9;
/// Place of the heads among the counts.
pub const HEADS: usize = 0;
const VISITORS: usize = 1;
const VISITS: usize = 2;
const PAGEVIEWS: usize = 3;
const MEASURED: usize = 4;
/// How many flaws are told; the rest is only counted.
const FLAWS_TOLD: usize = 20;

/// Counts of a row, in the order of the columns.
pub type Counts = [u64; COUNTS];

/// Totals of a day and dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// Under which seal.
    pub seal: u64,
    /// The day; the first of the month for what came late.
    pub day: Date,
    /// The dimension; empty for the site.
    pub dimension: String,
    /// The counts.
    pub counts: Counts,
}

/// A leaf as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Under which seal.
    pub seal: u64,
    /// The dimension.
    pub dimension: String,
    /// The day; none for a leaf of the month.
    pub day: Option<Date>,
    /// From coarse to fine; empty is the month's remainder.
    pub path: Vec<String>,
    /// What its people are not below.
    pub people: u64,
    /// The counts.
    pub counts: Counts,
}

/// What is stored of a month of a site.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Month {
    /// Its first day.
    pub month: Date,
    /// Seals of its days and of itself.
    pub seals: Vec<Seal>,
    /// Totals.
    pub totals: Vec<Total>,
    /// Leaves.
    pub leaves: Vec<Leaf>,
    /// Cells that wait.
    pub waiting: u64,
}

impl Month {
    fn is_sealed(&self) -> bool {
        self.seals.iter().any(|seal| seal.period == Period::Month)
    }
}

/// How much of a dimension is kept how finely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Kept {
    /// Visits (of pages, events and hours: visits of each) in leaves of their day.
    pub by_day: u64,
    /// In leaves of their month with the finest value.
    pub by_month: u64,
    /// In leaves of a coarser value.
    pub coarser: u64,
    /// In remainders of months.
    pub rest: u64,
    /// In days that wait for their month.
    pub waiting: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Sealed days.
    pub days: usize,
    /// Sealed months.
    pub months: usize,
    /// Leaves that were read.
    pub leaves: usize,
    /// The fewest people of a leaf; none where there is no leaf.
    pub fewest: Option<u64>,
    /// Days with fewer than k visitors: only their totals are there.
    pub small_days: usize,
    /// Differences of remainders and leaves that were tried.
    pub differences: usize,
    /// What is wrong; empty when the archive holds what it promises.
    pub flaws: Vec<String>,
    /// How many flaws there are.
    pub flaw_count: usize,
    /// How finely each dimension is kept.
    pub kept: BTreeMap<String, Kept>,
}

impl Report {
    fn flaw(&mut self, text: impl FnOnce() -> String) {
        self.flaw_count += 1;
        if self.flaws.len() < FLAWS_TOLD {
            self.flaws.push(text());
        }
    }
}

#[derive(Row, Deserialize)]
struct TotalRow {
    seal: u64,
    day: u16,
    dimension: String,
    counts: Vec<u64>,
}

#[derive(Row, Deserialize)]
struct LeafRow {
    seal: u64,
    dimension: String,
    day: u16,
    path: Vec<String>,
    people: u64,
    counts: Vec<u64>,
}

fn counts(row: &[u64]) -> Counts {
    let mut counts = Counts::default();
    counts.iter_mut().zip(row).for_each(|(c, r)| *c = *r);
    counts
}

/// Reads and checks the archive of a site.
///
/// # Errors
/// When ClickHouse cannot be asked. Flaws are no error, but in the report.
pub async fn verify(db: &Db, site: SiteId) -> Result<Report, clickhouse::error::Error> {
    let mut report = Report::default();
    let months: Vec<u16> =
        db.query(include_str!("verify_months.sql")).param("site", site).fetch_all().await?;
    let mut again = Vec::new();
    for month in months {
        let month = read_month(db, site, Day(month).date()).await?;
        match month.is_sealed() && month.waiting > 0 {
            true => again.push(month.month),
            false => check(&month, &mut report),
        }
    }
    // A seal drops waiting cells right after it became visible, and may have been about to. Those left now are a flaw.
    for month in again {
        check(&read_month(db, site, month).await?, &mut report);
    }
    Ok(report)
}

/// What is stored of a month.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn read_month(db: &Db, site: SiteId, month: Date) -> Result<Month, clickhouse::error::Error> {
    let last = month.last_of_month();
    let seals = seals(db, site, month, last).await?;
    let numbers: Vec<u64> = seals.iter().map(|s| s.seal).collect();
    let ask = |sql: &str| {
        db.query(sql)
            .param("site", site)
            .param("from", month.to_string())
            .param("to", last.to_string())
            .param("seals", &numbers)
    };
    let totals: Vec<TotalRow> = ask(include_str!("verify_totals.sql")).fetch_all().await?;
    let leaves: Vec<LeafRow> = ask(include_str!("verify_leaves.sql")).fetch_all().await?;
    let waiting: u64 = ask(include_str!("verify_waiting.sql")).fetch_one().await?;
    let total = |r: TotalRow| Total {
        seal: r.seal,
        day: Day(r.day).date(),
        dimension: r.dimension,
        counts: counts(&r.counts),
    };
    let leaf = |r: LeafRow| Leaf {
        seal: r.seal,
        dimension: r.dimension,
        day: (r.day != 0).then(|| Day(r.day).date()),
        path: r.path,
        people: r.people,
        counts: counts(&r.counts),
    };
    Ok(Month {
        month,
        seals,
        totals: totals.into_iter().map(total).collect(),
        leaves: leaves.into_iter().map(leaf).collect(),
        waiting,
    })
}

/// Checks one month.
pub fn check(month: &Month, report: &mut Report) {
    let month_seal = month.seals.iter().find(|s| s.period == Period::Month);
    let days: HashMap<Date, &Seal> =
        month.seals.iter().filter(|s| s.period == Period::Day).map(|s| (s.day, s)).collect();
    report.days += days.len();
    report.months += usize::from(month_seal.is_some());
    report.leaves += month.leaves.len();
    if month_seal.is_some() && month.waiting > 0 {
        report.flaw(|| {
            format!("{}: {} small cells wait although the month is sealed", month.month, month.waiting)
        });
    }
    check_totals(month, &days, month_seal, report);
    for (dimension, levels, _) in DIMENSIONS {
        let leaves: Vec<&Leaf> = month.leaves.iter().filter(|l| l.dimension == dimension).collect();
        let totals: BTreeMap<Date, Counts> = month
            .totals
            .iter()
            .filter(|t| t.dimension == dimension && days.get(&t.day).is_some_and(|s| s.seal == t.seal))
            .map(|t| (t.day, t.counts))
            .collect();
        let part = Part { month: month.month, dimension, levels, leaves, totals, days: &days, month_seal };
        part.check(report);
    }
    let known = |name: &str| DIMENSIONS.iter().any(|(d, ..)| *d == name);
    for leaf in month.leaves.iter().filter(|l| !known(&l.dimension)) {
        report.flaw(|| format!("{}: {:?} is no dimension of the archive", month.month, leaf.dimension));
    }
}

/// Whether the totals of the dimensions are those of the site, and late events are k or none.
fn check_totals(month: &Month, days: &HashMap<Date, &Seal>, month_seal: Option<&Seal>, report: &mut Report) {
    for (day, seal) in days {
        let of = |dimension: &str| {
            let mut found = month
                .totals
                .iter()
                .filter(|t| t.day == *day && t.seal == seal.seal && t.dimension == dimension);
            (found.next().map(|t| t.counts), found.next().is_some())
        };
        let (Some(site), _) = of("") else { continue };
        report.small_days += usize::from(site[HEADS] < u64::from(seal.k));
        for (dimension, _, once) in DIMENSIONS {
            let (total, doubled) = of(dimension);
            let Some(total) = total else {
                if dimension != "goal" && site[VISITS] > 0 {
                    report.flaw(|| format!("{day} {dimension}: no total"));
                }
                continue;
            };
            let views = if matches!(dimension, "entry" | "exit") { site[MEASURED] } else { site[PAGEVIEWS] };
            let same = total[HEADS] == site[HEADS]
                && (!once || total[VISITS] == site[VISITS])
                && (dimension == "goal" || total[PAGEVIEWS] == views);
            if doubled || !same {
                report.flaw(|| format!("{day} {dimension}: the total {total:?} is not the site's {site:?}"));
            }
        }
    }
    let late = month.totals.iter().filter(|t| month_seal.is_some_and(|s| s.seal == t.seal));
    for late in late {
        let k = u64::from(month_seal.map_or(0, |s| s.k));
        if late.counts[HEADS] < k || !late.dimension.is_empty() {
            report.flaw(|| format!("{}: late events of fewer than {k} visitors are told", late.day));
        }
    }
}

/// One dimension of a month.
struct Part<'a> {
    month: Date,
    dimension: &'a str,
    levels: usize,
    leaves: Vec<&'a Leaf>,
    totals: BTreeMap<Date, Counts>,
    days: &'a HashMap<Date, &'a Seal>,
    month_seal: Option<&'a Seal>,
}

impl Part<'_> {
    fn name(&self) -> String {
        format!("{} {}", self.month, self.dimension)
    }

    fn of_month(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.iter().copied().filter(|l| l.day.is_none())
    }

    fn check(&self, report: &mut Report) {
        self.check_leaves(report);
        let remainders = self.check_days(report);
        self.count_kept(&remainders, report);
        if let Some(seal) = self.month_seal {
            self.check_month(&remainders, seal, report);
            self.attack(&remainders, seal, report);
        } else if self.of_month().next().is_some() {
            report.flaw(|| format!("{}: leaves of a month that is not sealed", self.name()));
        }
    }

    /// Each leaf for itself: k people, a place of its own, a path that fits.
    fn check_leaves(&self, report: &mut Report) {
        let mut seen = HashSet::new();
        for leaf in &self.leaves {
            if !seen.insert((leaf.day, &leaf.path)) {
                report.flaw(|| format!("{}: {:?} is there twice", self.name(), leaf.path));
            }
            let seal = match leaf.day {
                Some(day) => self.days.get(&day).copied(),
                None => self.month_seal,
            };
            let Some(seal) = seal.filter(|s| s.seal == leaf.seal) else {
                report.flaw(|| format!("{}: {:?} belongs to no seal", self.name(), leaf.path));
                continue;
            };
            let fits = if leaf.day.is_some() {
                leaf.path.len() == self.levels
            } else {
                leaf.path.len() <= self.levels
            };
            if !fits {
                report.flaw(|| format!("{}: {:?} has a wrong number of levels", self.name(), leaf.path));
            }
            let rest = leaf.path.is_empty();
            if leaf.people < u64::from(seal.k) && !rest {
                report.flaw(|| format!("{}: {:?} describes {} people", self.name(), leaf.path, leaf.people));
            }
            if leaf.people > leaf.counts[VISITORS] || leaf.counts[HEADS] > leaf.people {
                report
                    .flaw(|| format!("{}: {:?} cannot have {} people", self.name(), leaf.path, leaf.people));
            }
            if !rest {
                report.fewest = Some(report.fewest.map_or(leaf.people, |f| f.min(leaf.people)));
            }
        }
    }

    /// What is left of each day beside its leaves: nothing, or k heads, or all of it.
    fn check_days(&self, report: &mut Report) -> BTreeMap<Date, Counts> {
        let mut remainders = self.totals.clone();
        let mut with_leaves = HashSet::new();
        for leaf in &self.leaves {
            let Some(day) = leaf.day else { continue };
            with_leaves.insert(day);
            let left = remainders.get(&day).and_then(|total| minus(total, &leaf.counts));
            match left {
                Some(left) => {
                    remainders.insert(day, left);
                }
                None => report.flaw(|| format!("{day} {}: leaves are more than the total", self.dimension)),
            }
        }
        for (day, left) in &remainders {
            let k = self.days.get(day).map_or(u64::MAX, |s| u64::from(s.k));
            if *left != Counts::default() && left[HEADS] < k && with_leaves.contains(day) {
                report.flaw(|| format!("{day} {}: a remainder of {} visitors", self.dimension, left[HEADS]));
            }
        }
        remainders.retain(|_, left| *left != Counts::default());
        remainders
    }

    /// The leaves of the month are what its days left, and its own remainder is nothing, or k, or whole days.
    fn check_month(&self, remainders: &BTreeMap<Date, Counts>, seal: &Seal, report: &mut Report) {
        let left = sum(remainders.values());
        let leaves = sum(self.of_month().map(|l| &l.counts));
        if left != leaves {
            report.flaw(|| {
                format!("{}: {leaves:?} in leaves of the month, {left:?} left by its days", self.name())
            });
        }
        let rest = self.of_month().find(|l| l.path.is_empty());
        if let Some(rest) = rest.filter(|r| r.people < u64::from(seal.k)) {
            let alone = self.of_month().count() == 1;
            let whole = remainders.iter().all(|(day, left)| self.totals.get(day) == Some(left));
            if !alone || !whole {
                report.flaw(|| format!("{}: a remainder of {} people", self.name(), rest.people));
            }
        }
    }

    /// Sets leaves of the month off against remainders of days: a value that is a leaf of some days can, in the month,
    /// only lie in the others.
    fn attack(&self, remainders: &BTreeMap<Date, Counts>, seal: &Seal, report: &mut Report) {
        let mut leaf_days: HashMap<&[String], HashSet<Date>> = HashMap::new();
        for leaf in &self.leaves {
            if let Some(day) = leaf.day {
                leaf_days.entry(&leaf.path).or_default().insert(day);
            }
        }
        // Leaves of the month that are known not to lie in some days with a remainder, and the days that are left.
        let lies_in: Vec<(&Leaf, Vec<Date>)> = self
            .of_month()
            .filter_map(|leaf| {
                let known = leaf_days.get(leaf.path.as_slice())?;
                Some((leaf, remainders.keys().copied().filter(|d| !known.contains(d)).collect()))
            })
            .collect();
        let mut sets: HashSet<Vec<Date>> = remainders.keys().map(|day| vec![*day]).collect();
        sets.extend(lies_in.iter().map(|(_, days)| days.clone()));
        for days in sets {
            let set: HashSet<Date> = days.iter().copied().collect();
            let inside = lies_in.iter().filter(|(_, at)| at.iter().all(|d| set.contains(d)));
            let taken: u64 = inside.map(|(leaf, _)| leaf.counts[HEADS]).sum();
            let all: u64 = days.iter().filter_map(|d| remainders.get(d)).map(|c| c[HEADS]).sum();
            report.differences += 1;
            let left = all.checked_sub(taken);
            let whole = taken == 0;
            if !whole && left.is_none_or(|l| l < u64::from(seal.k)) && left != Some(0) {
                report.flaw(|| {
                    format!("{}: {days:?} less their leaves of the month are {left:?} visitors", self.name())
                });
            }
        }
    }

    fn count_kept(&self, remainders: &BTreeMap<Date, Counts>, report: &mut Report) {
        let mut kept = report.kept.get(self.dimension).copied().unwrap_or_default();
        for leaf in &self.leaves {
            let visits = leaf.counts[VISITS];
            match (leaf.day, leaf.path.len()) {
                (Some(_), _) => kept.by_day += visits,
                (None, 0) => kept.rest += visits,
                (None, n) if n == self.levels => kept.by_month += visits,
                (None, _) => kept.coarser += visits,
            }
        }
        if self.month_seal.is_none() {
            kept.waiting += remainders.values().map(|c| c[VISITS]).sum::<u64>();
        }
        if kept != Kept::default() {
            report.kept.insert(self.dimension.to_owned(), kept);
        }
    }
}

fn minus(a: &Counts, b: &Counts) -> Option<Counts> {
    let mut left = *a;
    for (l, b) in left.iter_mut().zip(b) {
        *l = l.checked_sub(*b)?;
    }
    Some(left)
}

fn sum<'a>(all: impl Iterator<Item = &'a Counts>) -> Counts {
    all.fold(Counts::default(), |mut sum, one| {
        sum.iter_mut().zip(one).for_each(|(s, o)| *s += o);
        sum
    })
}
