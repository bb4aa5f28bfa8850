//! The archive: anonymous figures that stay for ever, made from raw events with a proof instead of a promise.
//!
//! It reads settled days and writes releases, in ClickHouse only, and knows nothing of hits, salts or the spool.
//!
//! # What is promised
//!
//! The archive is *differentially private* (Dwork, McSherry, Nissim, Smith 2006). A **unit** is one visitor's day on a site:
//! keys live for a day, so nothing longer is known of anybody. A hit without a visitor is a unit of its own.
//!
//! > For everything that the archive of a site ever publishes, taken together, with one unit or without it: no result is
//! > more than e^ε times likelier, except with a chance of δ.
//!
//! ε is the site's `archive_epsilon` (4 unless chosen, 1 to 8), δ is [`sotto_schema::archived::DELTA`], one in a million. That
//! holds against everybody, whatever else they know and compute, also later: against subtraction of reports, against people who
//! know all visitors but one, against an erasure that shows what is missing. *Nothing in the archive is exact*: totals have
//! noise like everything else, and a day without visitors cannot be told from one with a few.
//!
//! # How
//!
//! 1. **Bound.** What a unit adds to a dimension is cut: it has one source (that of the first visit of the day), at most four
//!    pages of it are counted, and so on ([`sotto_schema::archived::KEPT`]).
//! 2. **Noise.** Each count of each value gets discrete Gaussian noise, and values whose noisy count is below a threshold are
//!    left out, so that nobody learns that they existed ([`mechanism`], the crate `opendp`). Hits of values that are public by
//!    then get noise as well.
//! 3. **Budget.** A day is released once as a day and once in its month. Both together, over all dimensions, cost no more than ε
//!    and δ allow: costs add up in zero-concentrated differential privacy (Bun, Steinke 2016), [`budget`] divides them, and the
//!    ledger of releases refuses what would be too much. Visitors and hits without a visitor are different units, so each of them
//!    has the whole budget.
//! 4. **Whatever happens later** (erasure, objection, late hits) changes no release: what is published of somebody stays within
//!    the bound. Late hits are not archived. No cell waits anywhere in clear.
//!
//! # What is assumed
//!
//! That the operating system's randomness is good; that raw events are removed when they expire; and that a person is not followed
//! over days by other means: somebody who comes on n days is n units. Which days a site was measured on is known to everybody,
//! also which days are released; after a stop that was longer than the raw retention, so is the first day that still had events.
//!
//! # Exactly once
//!
//! A release is written by one insert, so it is there whole or not at all, and its noise is made in memory only. Before it, the
//! ledger is asked whether the budget of its days allows it; one program at a time does so ([`LOCK`]). Each release carries the
//! digest of the one before.
//!
//! **Proof**: `verify` reads what is stored, recomputes costs and digests; `tests/suite/archive.rs` plants faults in it, and
//! `tests/suite/archive/attacks.rs` runs attacks thousands of times and measures what they win.

use std::collections::HashMap;

use clickhouse::{Row, query::Query};
use jiff::{ToSpan, civil::Date};
use serde::Deserialize;
use sotto_schema::{archived::MONTHLY_RETENTION_MIN, clock::version, day::Day, site::Site};
use sotto_store::{
    db::Db,
    goal::{self, Goal},
    migrate::lock::{Lock, LockError},
    releases::{self, Line, Period, Release},
    settled,
};

pub mod budget;
pub mod mechanism;
pub mod verify;

/// Days between the end of a month and its release, in which hits that waited somewhere may still arrive.
pub const MONTH_GRACE_DAYS: i32 = 3;
/// Name of the lock: one program at a time releases.
pub const LOCK: &str = "archive_lock";
/// Days whose releases are stored by one insert.
const DAYS_AT_ONCE: usize = 31;
/// Bytes of a query's state from which on it is kept on disk.
const SPILL_BYTES: &str = "40000000";
/// Rows and bytes of a block while visits are counted: each becomes a row per dimension.
const BLOCK_ROWS: &str = "2048";
const BLOCK_BYTES: &str = "1000000";
/// The first part of a page's path.
const SECTION: &str = "concat('/', splitByChar('/', toString(page))[2])";
/// Dimensions of which a visitor's day has several values: the values of a settled page visit, and what is added up.
const SEVERAL: [(&str, &str, &str); 5] = [
    ("page", "if(views > 0, [toString(page)], emptyArrayString())", "views"),
    ("section", "if(views > 0, [@section@], emptyArrayString())", "views"),
    ("event", "if(events > 0, [toString(event)], emptyArrayString())", "events"),
    (
        "goal",
        "arrayMap(goal -> goal.1, arrayFilter(goal -> if(goal.2 = 1, views > 0 AND match(toString(page), goal.3), \
         events > 0 AND event = goal.3), {goals:Array(Tuple(String, UInt8, String))}))",
        "views + events",
    ),
    (
        "scroll",
        "if(views > 0, [multiIf(scroll < 25, 'under 25 %', scroll < 50, '25 to 50 %', scroll < 75, '50 to 75 %', \
         scroll < 100, '75 to 99 %', '100 %')], emptyArrayString())",
        "views",
    ),
];

/// Why a period is not released. Nothing of it is stored; the next call begins it anew.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// ClickHouse refused or cannot be reached.
    #[error("the archive cannot be written")]
    Database(#[from] clickhouse::error::Error),
    /// The goals cannot be read.
    #[error("the goals of the site cannot be read")]
    Goals(#[from] goal::GoalError),
    /// No noise, no release.
    #[error("the release has no noise")]
    Noise(#[from] mechanism::NoiseError),
    /// The lock cannot be had, or was lost.
    #[error("the lock of the archive is not held")]
    Lock(#[from] LockError),
    /// Another program releases.
    #[error("another program is releasing; try again when it is done")]
    Busy,
    /// Raw events came or went while the day was read.
    #[error("{day}: its raw events changed while they were read; it is released by the next run")]
    Changing {
        /// The day.
        day: Date,
    },
}

/// Releases days and months of sites.
#[derive(Debug, Clone)]
pub struct Sealer {
    db: Db,
}

/// What was released: the period, and how many values of all dimensions it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// A day or a month.
    pub period: Period,
    /// The day, or the first day of the month.
    pub day: Date,
    /// Values of all dimensions that passed their threshold.
    pub values: usize,
}

#[derive(Row, Deserialize)]
struct Cell {
    dimension: String,
    value: String,
    count: u64,
    hits: u64,
}

/// Counts and hits of each value, by dimension and whether they are of hits without a visitor.
pub type Counted = HashMap<(String, bool), HashMap<String, (i64, i64)>>;

/// A settled day: its number, and that of its settling.
type Settled = (u16, u64);

/// What is to be released.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// A day or a month.
    pub period: Period,
    /// The day, or the first day of the month.
    pub day: Date,
    /// Whether the budget of a day is divided between its day and its month.
    pub monthly: bool,
}

impl Due {
    fn last(&self) -> Date {
        match self.period {
            Period::Day => self.day,
            Period::Month => self.day.last_of_month(),
        }
    }
}

impl Sealer {
    /// Releases on this server.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Releases all days of a site up to and with `last` that are within its raw retention or have raw events, then the months
    /// that are over for [`MONTH_GRACE_DAYS`]. `last` must be a day whose salt is dead. Calls `done` after each.
    ///
    /// # Errors
    /// See [`ArchiveError`]; what was released before stays.
    pub async fn seal_site(
        &mut self,
        site: &Site,
        last: Date,
        mut done: impl FnMut(Done),
    ) -> Result<(), ArchiveError> {
        let days = self.due_days(site, last).await?;
        let months = self.due_months(site, last).await?;
        if days.is_empty() && months.is_empty() {
            return Ok(());
        }
        let lock = Lock::try_take(&self.db, LOCK).await?.ok_or(ArchiveError::Busy)?;
        let ended = self.seal_due(site, last, &lock, &mut done).await;
        lock.release().await?;
        ended
    }

    /// How many days of a site up to and with `last` are not released yet, but will be.
    ///
    /// # Errors
    /// When ClickHouse cannot be asked.
    pub async fn waiting(&self, site: &Site, last: Date) -> Result<usize, ArchiveError> {
        Ok(self.due_days(site, last).await?.len())
    }

    async fn seal_due(
        &self,
        site: &Site,
        last: Date,
        lock: &Lock,
        done: &mut impl FnMut(Done),
    ) -> Result<(), ArchiveError> {
        // Asked again: another program may have released them before this one had the lock.
        for some in self.due_days(site, last).await?.chunks(DAYS_AT_ONCE) {
            self.seal_some(site, some, lock, done).await?;
        }
        for month in self.due_months(site, last).await? {
            self.seal_some(site, &[month], lock, done).await?;
        }
        Ok(())
    }

    /// Days up to `last` that are to be released: those within the raw retention, whether they have events or not, so that a
    /// release tells nobody that there were any.
    async fn due_days(&self, site: &Site, last: Date) -> Result<Vec<Due>, ArchiveError> {
        let ledger = releases::of_site(&self.db, site.id).await?;
        let raw = settled::days(&self.db, site.id, &site.time_zone, [Day(0).date(), last]).await?;
        let oldest = raw.raw.keys().chain(raw.settled.keys()).min().copied();
        let kept = last.saturating_sub((i32::from(site.retention_days) - 1).days());
        let first = oldest.map_or(kept, |day| day.min(kept));
        let monthly = site.retention_days >= MONTHLY_RETENTION_MIN;
        let days = first.series(1.day()).take_while(|day| *day <= last);
        let due = days.map(|day| Due { period: Period::Day, day, monthly });
        due.filter_map(|due| affordable(&ledger, site, due).transpose()).collect::<Result<_, _>>()
    }

    /// Months that are over for [`MONTH_GRACE_DAYS`] on the day after `last`, all of whose days are released as part of a month
    /// and still within the raw retention.
    async fn due_months(&self, site: &Site, last: Date) -> Result<Vec<Due>, ArchiveError> {
        if site.retention_days < MONTHLY_RETENTION_MIN {
            return Ok(Vec::new());
        }
        let ledger = releases::of_site(&self.db, site.id).await?;
        let kept = last.saturating_sub((i32::from(site.retention_days) - 1).days());
        let divided = |day: Date| {
            let number = Day::of(day).0;
            ledger.iter().any(|r| r.period == Period::Day && r.day == number && r.monthly)
        };
        let whole =
            |month: &Date| month.series(1.day()).take_while(|day| *day <= month.last_of_month()).all(divided);
        let months = kept
            .first_of_month()
            .series(1.month())
            .take_while(|month| month.last_of_month().saturating_add(MONTH_GRACE_DAYS.days()) <= last);
        months
            .filter(|month| *month >= kept)
            .filter(whole)
            .map(|day| Due { period: Period::Month, day, monthly: true })
            .filter_map(|due| affordable(&ledger, site, due).transpose())
            .collect()
    }

    /// Releases some days, or a month, by one insert.
    async fn seal_some(
        &self,
        site: &Site,
        due: &[Due],
        lock: &Lock,
        done: &mut impl FnMut(Done),
    ) -> Result<(), ArchiveError> {
        let (Some(first), Some(last)) = (due.first(), due.last().map(Due::last)) else { return Ok(()) };
        let settled = self.settled(site, [first.day, last]).await?;
        let goals = patterns(&goal::all(&self.db, site.id).await?);
        let ledger = releases::of_site(&self.db, site.id).await?;
        let newest = ledger.last();
        let (mut number, mut previous) = newest.map_or((0, [0; 32]), |r| (r.release, r.digest));
        let mut lines = Vec::new();
        let mut released = Vec::new();
        for due in due {
            number = version().max(number + 1);
            let within = |(day, _): &&Settled| (Day::of(due.day).0..=Day::of(due.last()).0).contains(day);
            let days: Vec<Settled> = settled.iter().filter(within).copied().collect();
            let counted = self.count(site, &days, number, &goals).await?;
            let mut release = noisy(site, *due, number, previous, &counted)?;
            previous = releases::digest(&release);
            release.iter_mut().for_each(|line| line.digest = previous);
            let values = release.iter().map(|line| line.values.len()).sum();
            released.push(Done { period: due.period, day: due.day, values });
            lines.append(&mut release);
        }
        lock.check().await?;
        releases::store(&self.db, site.id, &lines).await?;
        released.into_iter().for_each(done);
        Ok(())
    }

    /// The days of a range that have raw events, settled.
    async fn settled(&self, site: &Site, range: [Date; 2]) -> Result<Vec<Settled>, ArchiveError> {
        let found = settled::days(&self.db, site.id, &site.time_zone, range).await?;
        for (day, print) in &found.raw {
            if !settled::settle(&self.db, site.id, &site.time_zone, *day, *print).await? {
                return Err(ArchiveError::Changing { day: *day });
            }
        }
        let now = settled::days(&self.db, site.id, &site.time_zone, range).await?;
        match now.raw.keys().next() {
            Some(day) => Err(ArchiveError::Changing { day: *day }),
            None => Ok(now.settled.iter().map(|(day, (settling, _))| (Day::of(*day).0, *settling)).collect()),
        }
    }

    /// Counts what the units of some days add, within their bounds. What is returned is personal and never stored.
    async fn count(
        &self,
        site: &Site,
        days: &[Settled],
        release: u64,
        goals: &[(String, u8, String)],
    ) -> Result<Counted, ArchiveError> {
        let mut counted = Counted::new();
        if days.is_empty() {
            return Ok(counted);
        }
        let (numbers, settlings): (Vec<u16>, Vec<u64>) = days.iter().copied().unzip();
        let db = self.db.of_site(site.id);
        let on = |sql: &str| -> Query {
            db.query(&sql.replace("@section@", SECTION))
                .param("site", site.id)
                .param("days", &numbers)
                .param("settlings", &settlings)
                .param("first", numbers.iter().min())
                .param("last", numbers.iter().max())
                .with_setting("optimize_aggregation_in_order", "1")
                .with_setting("aggregation_in_order_max_block_bytes", BLOCK_BYTES)
                .with_setting("max_block_size", BLOCK_ROWS)
                .with_setting("max_bytes_before_external_group_by", SPILL_BYTES)
        };
        let most = |name| sotto_schema::archived::find(name).map_or(0, |kept| kept.most);
        let mut asked = vec![(
            false,
            on(include_str!("archive/visits.sql"))
                .param("tz", &site.time_zone)
                .param("visits", most("visits"))
                .param("bounces", most("bounces"))
                .param("pageviews", most("pageviews"))
                .param("events", most("events")),
        )];
        for (name, values, number) in SEVERAL {
            let Some(kept) = sotto_schema::archived::find(name) else { continue };
            let sql = include_str!("archive/several.sql");
            let sql =
                sql.replace("@dimension@", name).replace("@values@", values).replace("@number@", number);
            let query = on(&sql)
                .param("release", release)
                .param("values", kept.values)
                .param("most", kept.hits)
                .param("goals", goals);
            asked.push((false, query));
        }
        asked.push((true, on(include_str!("archive/anonymous.sql")).param("tz", &site.time_zone)));
        for (anonymous, query) in asked {
            for cell in query.fetch_all::<Cell>().await? {
                let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                let values = counted.entry((cell.dimension, anonymous)).or_default();
                values.insert(cell.value, (number(cell.count), number(cell.hits)));
            }
        }
        Ok(counted)
    }
}

/// The release, if the budget of all its days allows it and it was not made before.
fn affordable(ledger: &[Release], site: &Site, due: Due) -> Result<Option<Due>, ArchiveError> {
    let number = Day::of(due.day).0;
    if ledger.iter().any(|r| r.period == due.period && r.day == number) {
        return Ok(None);
    }
    let plan = budget::plan(site.archive_epsilon, due.period, due.monthly)?;
    let (rho, delta) = plan.iter().fold((0.0, 0.0), |(rho, delta), s| (rho + s.rho, delta + s.delta));
    for day in number..=Day::of(due.last()).0 {
        let (spent, chance, allowed) = spent(ledger, Day(day));
        let allowed = allowed.max(site.archive_epsilon);
        if !budget::is_within(spent + rho, chance + delta, allowed)? {
            return Ok(None);
        }
    }
    Ok(Some(due))
}

/// What the releases that have a day cost its visitors together, and the privacy loss that was promised for it.
fn spent(ledger: &[Release], day: Day) -> (f64, f64, u8) {
    let month = Day::of(day.date().first_of_month()).0;
    let covers = |r: &&Release| match r.period {
        Period::Day => r.day == day.0,
        Period::Month => r.day == month,
    };
    ledger.iter().filter(covers).fold((0.0, 0.0, 0), |(rho, delta, allowed), r| {
        (rho + r.rho, delta + r.delta, allowed.max(r.epsilon))
    })
}

/// Makes the lines of a release from exact counts: the only way from raw events into the archive. Their digests are still empty.
///
/// # Errors
/// When no noise can be made.
pub fn noisy(
    site: &Site,
    due: Due,
    release: u64,
    previous: [u8; 32],
    counted: &Counted,
) -> Result<Vec<Line>, mechanism::NoiseError> {
    let plan = budget::plan(site.archive_epsilon, due.period, due.monthly)?;
    let nothing = HashMap::new();
    let mut lines = Vec::new();
    for share in plan.iter() {
        for anonymous in [false, true] {
            let cells = counted.get(&(share.kept.name.to_owned(), anonymous)).unwrap_or(&nothing);
            let counts = cells.iter().map(|(value, (count, _))| (value.clone(), *count)).collect();
            let mut kept: Vec<(String, i64)> =
                mechanism::release(&counts, share.sigma, share.threshold)?.into_iter().collect();
            kept.sort_unstable();
            // A line of nothing is there too: its budget is spent.
            if kept.is_empty() && anonymous {
                continue;
            }
            let with_hits = share.kept.hits > 0 && !anonymous;
            let exact = |(value, _): &(String, i64)| cells.get(value).map_or(0, |(_, hits)| *hits);
            let hits = match with_hits {
                true => mechanism::blur(kept.iter().map(exact).collect(), share.hits_sigma)?,
                false => Vec::new(),
            };
            let (rho, delta) = if anonymous { share.cost_of_a_hit()? } else { (share.rho, share.delta) };
            let number = |n: i64| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
            // A visitor has at least none and at most so many hits: what noise says beyond is not shown.
            let bounded = |(hits, (_, count)): (i64, &(String, i64))| {
                number(hits.clamp(0, count.saturating_mul(i64::from(share.kept.hits))))
            };
            lines.push(Line {
                site: site.id,
                period: due.period,
                day: Day::of(due.day).0,
                release,
                dimension: share.kept.name.to_owned(),
                anonymous,
                epsilon: site.archive_epsilon,
                monthly: due.monthly,
                rho,
                delta,
                sigma: share.sigma,
                threshold: share.threshold,
                hits_sigma: if with_hits { share.hits_sigma } else { 0.0 },
                counts: kept.iter().map(|(_, count)| number(*count)).collect(),
                hits: hits.into_iter().zip(&kept).map(bounded).collect(),
                values: kept.into_iter().map(|(value, _)| value).collect(),
                previous,
                digest: [0; 32],
            });
        }
    }
    Ok(lines)
}

/// Goals as the queries take them: name, kind, and the name of an event or an expression for paths.
fn patterns(goals: &[Goal]) -> Vec<(String, u8, String)> {
    goals.iter().map(|goal| (goal.name.clone(), goal.kind as u8, goal.expression())).collect()
}
