//! The archive: from raw events to anonymous counts that stay for ever.
//!
//! It reads and writes ClickHouse only, and knows nothing of hits, salts or the spool.
//!
//! # The rule
//!
//! A *cell* is one value of one dimension on one day (a page, a city, …). A visitor is one key on one day, so that over
//! several days visitor-days are counted; hits without a key count for nobody. For each site, month and dimension the
//! cells are cut into *leaves*:
//!
//! 1. **Day.** A cell with at least *k* visitors is a leaf. What is left of the day is its *remainder*. To be counted
//!    over values, each visitor has one *head*, at one of their values of the day: heads add up, and a set of cells
//!    has at least as many visitors as heads. A remainder of fewer than k heads takes the smallest leaves in until it
//!    has k, or is the whole day.
//! 2. **Month.** The remainders of its days are joined by value; with at least k visitor-days the value is a leaf of
//!    the month. Smaller ones climb the taxonomy (city, region, country; page, section; version, family; source,
//!    channel), and what does not reach k on the way is the month's remainder, which takes the smallest leaf in where
//!    it has fewer than k itself.
//! 3. **Veil.** If a value is a leaf of some days *and* of the month, its month's leaf is known to lie in the other
//!    days, and could be taken from *their* remainders. So its cell of a day climbs only where the cells of values
//!    that are a leaf on no day of the month have k heads on that day; otherwise it is folded into a coarser leaf.
//!
//! Published are leaves, and the totals of each day. **Claim**: a number that can be made from them by adding and
//! subtracting, and is the count of a set of cells whatever the unknown ones are, counts at least k people, or is a sum
//! of totals of days. *Proof.* Write R(d) for the remainder of day d (its total minus its leaves) and M(j) for leaf j of
//! the month; x(d, j) is what both have in common, and is unknown, except that it is 0 where value j is a leaf of day
//! d. Leaves of days are whole cells and have k visitors. A sum of a(d)·R(d) and b(j)·M(j) counts a set only if a(d) +
//! b(j) is 0 or 1 wherever x(d, j) is unknown. Some leaf f of the month (the remainder, a leaf cut above its values, or
//! a value that is a leaf on no day) is unknown on every day, so that a(d) is c or c + 1 with c = -b(f). Let S be the
//! days of c + 1. If S is neither empty nor everything, every such leaf f has b = -c, and the set holds all that the
//! days of S have in such leaves: by the veil k heads of a day, or the whole remainder R(d), which has k heads or is the
//! total of the day. If S is empty or everything, the set is a union of whole M(j), each of k people. (Only where no day
//! of the month with a remainder has k visitors may the month's remainder have fewer; it is then the sum of the days'
//! totals.) ∎
//!
//! Day totals are exact and published, also those of days with fewer than k visitors: that somebody was there, and how
//! long, but nothing of where from or what. The claim is about each dimension by itself (country, region and city are
//! one, as are source and channel, browser and version, …) and about somebody who knows the archive; that a page existed
//! on one day only, or that a system runs on phones only, is knowledge from elsewhere.
//!
//! # Late events
//!
//! An event whose day is sealed when it arrives changes nothing of that day. When the month is sealed
//! ([`MONTH_GRACE_DAYS`] after its end), what the raw rows of its days have more than was sealed is added to the month,
//! without any value, if it describes k visitors or more; if fewer, it waits for the next month's. Events that arrive
//! after that, or whose raw rows are gone by then, are not archived.
//!
//! # Exactly once
//!
//! A seal writes under a number of its own, checks that what it wrote adds up, and becomes visible with one line of
//! `archive_seals`, its last insert. What a seal wrote that was killed before is never seen and is removed a day later.
//! Of two seals of one period, the line that was written first counts.
//!
//! **Proof**: `verify` reads the stored archive alone; `tests/suite/archive.rs` seals random and hostile sites, attacks
//! the result by subtraction, and cuts seals at every step.

use clickhouse::{Row, query::Query};
use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use sotto_schema::{clock::version, day::Day, id::SiteId, site::Site};
use sotto_store::{
    db::Db,
    goal::{self, Goal, Kind},
    seals::{self, Period, Seal, seals},
};

pub mod verify;

/// Days between the end of a month and its seal, in which hits that waited somewhere may still arrive.
pub const MONTH_GRACE_DAYS: i32 = 3;
/// Raw rows that are counted at once. Bounds the memory of a seal; visitors of a day are cut into as many equal ranges
/// of keys as are needed.
const SLICE_ROWS: u64 = 100_000;
/// Rows of a block while visits are put together: they are wide.
const SLICE_BLOCK_ROWS: &str = "4096";
/// Microseconds after which the rows of a seal that did not end are removed.
const ABANDONED_US: u64 = 24 * 60 * 60 * 1_000_000;
/// Bytes of a query's state from which on it is kept on disk.
const SPILL_BYTES: &str = "40000000";

/// Why a period is not sealed. Nothing of it is visible; the next call begins it anew.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// ClickHouse refused or cannot be reached.
    #[error("the archive cannot be written")]
    Database(#[from] clickhouse::error::Error),
    /// The goals cannot be read.
    #[error("the goals of the site cannot be read")]
    Goals(#[from] goal::GoalError),
    /// What was written is not what was counted: a bug, or a damaged table.
    #[error("{period}: {dimensions} dimensions do not add up; nothing was sealed")]
    Sum {
        /// Which day or month.
        period: Date,
        /// How many dimensions.
        dimensions: u64,
    },
}

/// Seals the days and months of sites.
#[derive(Debug, Clone)]
pub struct Sealer {
    db: Db,
}

/// What was sealed: the period and how many raw rows it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// A day or a month.
    pub period: Period,
    /// The day, or the first day of the month.
    pub day: Date,
    /// Raw rows.
    pub rows: u64,
}

#[derive(Row, Deserialize)]
struct DayRows {
    day: u16,
    rows: u64,
}

/// Figures of events that came late; the names are those of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Row, Deserialize)]
struct Figures {
    visitors: u64,
    visits: u64,
    pageviews: u64,
    measured_views: u64,
    events: u64,
    entries: u64,
    bounces: u64,
    engaged_ms: u64,
}

impl Figures {
    /// Adds what `now` has more than `sealed`. What was erased meanwhile is not taken away: the archive is anonymous.
    fn add_more(&mut self, now: &Self, sealed: &Self) {
        self.visitors += now.visitors.saturating_sub(sealed.visitors);
        self.visits += now.visits.saturating_sub(sealed.visits);
        self.pageviews += now.pageviews.saturating_sub(sealed.pageviews);
        self.measured_views += now.measured_views.saturating_sub(sealed.measured_views);
        self.events += now.events.saturating_sub(sealed.events);
        self.entries += now.entries.saturating_sub(sealed.entries);
        self.bounces += now.bounces.saturating_sub(sealed.bounces);
        self.engaged_ms += now.engaged_ms.saturating_sub(sealed.engaged_ms);
    }
}

#[derive(Row, Serialize)]
struct LateTotal {
    site: SiteId,
    seal: u64,
    day: u16,
    dimension: String,
    heads: u64,
    visitors: u64,
    visits: u64,
    pageviews: u64,
    measured_views: u64,
    events: u64,
    entries: u64,
    bounces: u64,
    engaged_ms: u64,
}

#[derive(Row, Serialize)]
struct LateCell {
    site: SiteId,
    seal: u64,
    dimension: String,
    month: u16,
    day: u16,
    path: Vec<String>,
    leaf: bool,
    heads: u64,
    visitors: u64,
    visits: u64,
    pageviews: u64,
    measured_views: u64,
    events: u64,
    entries: u64,
    bounces: u64,
    engaged_ms: u64,
}

impl Sealer {
    /// Seals on this server.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Seals all days of a site up to and with `last` that have raw rows and are not sealed, then the months that are
    /// over for [`MONTH_GRACE_DAYS`]. `last` must be a day whose salt is dead. Calls `done` after each.
    ///
    /// # Errors
    /// See [`ArchiveError`]; what was sealed before stays sealed.
    pub async fn seal_site(
        &mut self,
        site: &Site,
        last: Date,
        mut done: impl FnMut(Done),
    ) -> Result<(), ArchiveError> {
        self.tidy(site).await?;
        for (day, rows) in self.open_days(site, last).await? {
            self.seal_day(site, day, rows).await?;
            done(Done { period: Period::Day, day, rows });
        }
        for month in self.open_months(site, last).await? {
            let rows = self.seal_month(site, month).await?;
            done(Done { period: Period::Month, day: month, rows });
        }
        Ok(())
    }

    /// Days with raw rows up to `last` that are not sealed, and how many rows they have. A month that is sealed takes no
    /// days any more.
    ///
    /// # Errors
    /// When ClickHouse cannot be asked.
    pub async fn open_days(&self, site: &Site, last: Date) -> Result<Vec<(Date, u64)>, ArchiveError> {
        let sealed = seals(&self.of(site), site.id, Date::MIN.max(Day(0).date()), last).await?;
        let of =
            |period| sealed.iter().filter(move |s| s.period == period).map(|s| s.day).collect::<Vec<_>>();
        let (days, months) = (of(Period::Day), of(Period::Month));
        let rows: Vec<DayRows> = self
            .of(site)
            .query(include_str!("archive/open_days.sql"))
            .param("site", site.id)
            .param("last", last.to_string())
            .param("sealed", days.iter().map(ToString::to_string).collect::<Vec<_>>())
            .fetch_all()
            .await?;
        let open = rows.into_iter().map(|r| (Day(r.day).date(), r.rows));
        Ok(open.filter(|(day, _)| !months.contains(&day.first_of_month())).collect())
    }

    /// Months with sealed days that are over for [`MONTH_GRACE_DAYS`] on the day after `last`, and not sealed.
    async fn open_months(&self, site: &Site, last: Date) -> Result<Vec<Date>, ArchiveError> {
        let sealed = seals(&self.of(site), site.id, Day(0).date(), last).await?;
        let is_month = |month: Date| sealed.iter().any(|s| s.period == Period::Month && s.day == month);
        let mut months: Vec<Date> = sealed
            .iter()
            .filter(|s| s.period == Period::Day)
            .map(|s| s.day.first_of_month())
            .filter(|month| {
                !is_month(*month) && month.last_of_month().saturating_add(MONTH_GRACE_DAYS.days()) <= last
            })
            .collect();
        months.sort_unstable();
        months.dedup();
        Ok(months)
    }

    /// Seals one day.
    ///
    /// # Errors
    /// See [`ArchiveError`]; nothing of the day is visible then.
    pub async fn seal_day(&mut self, site: &Site, day: Date, rows: u64) -> Result<(), ArchiveError> {
        let seal = Seal { period: Period::Day, day, seal: version(), k: site.archive_k, rows };
        let goals = patterns(&goal::all(&self.db, site.id).await?);
        for (first, last) in ranges(rows.div_ceil(SLICE_ROWS)) {
            for sql in [include_str!("archive/visits.sql"), include_str!("archive/hits.sql")] {
                let slice = self
                    .of_day(sql, site, &seal)
                    .param("tz", &site.time_zone)
                    .param("goals", &goals)
                    .param("first", first)
                    .param("last", last)
                    .with_setting("optimize_aggregation_in_order", "1")
                    .with_setting("max_block_size", SLICE_BLOCK_ROWS);
                self.step(slice).await?;
            }
        }
        let anonymous = self
            .of_day(include_str!("archive/anonymous.sql"), site, &seal)
            .param("tz", &site.time_zone)
            .param("goals", &goals);
        self.step(anonymous).await?;
        for sql in [
            include_str!("archive/day_cells.sql"),
            include_str!("archive/day_leaves.sql"),
            include_str!("archive/day_totals.sql"),
        ] {
            let query = self.of_day(sql, site, &seal);
            self.step(query).await?;
        }
        let wrong: u64 = self.of_day(include_str!("archive/check_day.sql"), site, &seal).fetch_one().await?;
        if wrong > 0 {
            return Err(ArchiveError::Sum { period: day, dimensions: wrong });
        }
        self.commit(site, &seal).await?;
        let drop = self.of(site).query(include_str!("archive/drop_slices.sql")).param("seal", seal.seal);
        self.step(drop).await
    }

    /// Seals a month whose days are sealed. Returns how many raw rows those had.
    ///
    /// # Errors
    /// See [`ArchiveError`]; nothing of the month is visible then.
    pub async fn seal_month(&mut self, site: &Site, month: Date) -> Result<u64, ArchiveError> {
        let sealed = seals(&self.of(site), site.id, Day(0).date(), month.last_of_month()).await?;
        let days: Vec<Seal> =
            sealed.iter().filter(|s| s.period == Period::Day && s.day >= month).copied().collect();
        // Of months: what came too late to be told then waits under their numbers.
        let numbers: Vec<u64> = days
            .iter()
            .chain(sealed.iter().filter(|s| s.period == Period::Month && s.day < month))
            .map(|s| s.seal)
            .collect();
        let rows = days.iter().map(|s| s.rows).sum();
        let seal = Seal { period: Period::Month, day: month, seal: version(), k: site.archive_k, rows };
        let leaves = self.of_month(include_str!("archive/month_leaves.sql"), site, &seal, &numbers);
        self.step(leaves).await?;
        self.add_late(site, &seal, &days, &numbers).await?;
        let wrong: u64 =
            self.of_month(include_str!("archive/check_month.sql"), site, &seal, &numbers).fetch_one().await?;
        if wrong > 0 {
            return Err(ArchiveError::Sum { period: month, dimensions: wrong });
        }
        self.commit(site, &seal).await?;
        self.drop_waiting(site, month).await?;
        Ok(rows)
    }

    /// Adds events that came after their day was sealed to the month, or to those that wait for the next.
    async fn add_late(
        &mut self,
        site: &Site,
        seal: &Seal,
        days: &[Seal],
        numbers: &[u64],
    ) -> Result<(), ArchiveError> {
        let mut late: Figures =
            self.of_month(include_str!("archive/late_waiting.sql"), site, seal, numbers).fetch_one().await?;
        let rows: Vec<DayRows> = self
            .of(site)
            .query(include_str!("archive/rows_of_days.sql"))
            .param("site", site.id)
            .param("from", seal.day.to_string())
            .param("to", seal.day.last_of_month().to_string())
            .fetch_all()
            .await?;
        for DayRows { day, rows } in rows {
            let Some(sealed) = days.iter().find(|s| Day::of(s.day).0 == day && s.rows < rows) else {
                continue;
            };
            let now = self.of_day(include_str!("archive/late.sql"), site, sealed).fetch_one().await?;
            let then =
                self.of_day(include_str!("archive/totals_of_day.sql"), site, sealed).fetch_one().await?;
            late.add_more(&now, &then);
        }
        if late == Figures::default() {
            return Ok(());
        }
        if late.visitors >= u64::from(seal.k) {
            self.tell_late(site, seal, &late).await
        } else {
            self.keep_late(site, seal, &late).await
        }
    }

    async fn tell_late(&self, site: &Site, seal: &Seal, late: &Figures) -> Result<(), ArchiveError> {
        let mut insert = self.of(site).client().insert::<LateTotal>("archive_totals").await?;
        insert
            .write(&LateTotal {
                site: site.id,
                seal: seal.seal,
                day: Day::of(seal.day).0,
                dimension: String::new(),
                heads: late.visitors,
                visitors: late.visitors,
                visits: late.visits,
                pageviews: late.pageviews,
                measured_views: late.measured_views,
                events: late.events,
                entries: late.entries,
                bounces: late.bounces,
                engaged_ms: late.engaged_ms,
            })
            .await?;
        Ok(insert.end().await?)
    }

    async fn keep_late(&self, site: &Site, seal: &Seal, late: &Figures) -> Result<(), ArchiveError> {
        let next = Day::of(seal.day.last_of_month().saturating_add(1.day())).0;
        let mut insert = self.of(site).client().insert::<LateCell>("archive_waiting").await?;
        insert
            .write(&LateCell {
                site: site.id,
                seal: seal.seal,
                dimension: String::new(),
                month: next,
                day: next,
                path: Vec::new(),
                leaf: false,
                heads: late.visitors,
                visitors: late.visitors,
                visits: late.visits,
                pageviews: late.pageviews,
                measured_views: late.measured_views,
                events: late.events,
                entries: late.entries,
                bounces: late.bounces,
                engaged_ms: late.engaged_ms,
            })
            .await?;
        Ok(insert.end().await?)
    }

    /// Removes what interrupted seals left, and cells that wait for a month that is sealed.
    async fn tidy(&mut self, site: &Site) -> Result<(), ArchiveError> {
        let before = version().saturating_sub(ABANDONED_US);
        let slices: Vec<u64> = self
            .of(site)
            .query(include_str!("archive/old_slices.sql"))
            .param("before", before)
            .fetch_all()
            .await?;
        for seal in slices {
            self.of(site)
                .query(include_str!("archive/drop_slices.sql"))
                .param("seal", seal)
                .execute()
                .await?;
        }
        let waiting: Vec<u16> = self
            .of(site)
            .query(include_str!("archive/waiting_months.sql"))
            .param("site", site.id)
            .fetch_all()
            .await?;
        for month in waiting.into_iter().map(|day| Day(day).date()) {
            let sealed = seals(&self.of(site), site.id, month, month).await?;
            if sealed.iter().any(|s| s.period == Period::Month) {
                self.drop_waiting(site, month).await?;
            }
        }
        Ok(())
    }

    async fn drop_waiting(&mut self, site: &Site, month: Date) -> Result<(), ArchiveError> {
        let drop = self
            .of(site)
            .query(include_str!("archive/drop_waiting.sql"))
            .param("site", site.id)
            .param("month", month.to_string());
        self.step(drop).await
    }

    fn of_day(&self, sql: &str, site: &Site, seal: &Seal) -> Query {
        self.bounded(sql, site)
            .param("site", site.id)
            .param("day", seal.day.to_string())
            .param("seal", seal.seal)
            .param("k", seal.k)
    }

    fn of_month(&self, sql: &str, site: &Site, seal: &Seal, numbers: &[u64]) -> Query {
        self.bounded(sql, site)
            .param("site", site.id)
            .param("month", seal.day.to_string())
            .param("seal", seal.seal)
            .param("seals", numbers)
            .param("k", seal.k)
    }

    /// A query that keeps what does not fit into its memory on disk.
    fn bounded(&self, sql: &str, site: &Site) -> Query {
        self.of(site)
            .query(sql)
            .with_setting("max_bytes_before_external_group_by", SPILL_BYTES)
            .with_setting("max_bytes_before_external_sort", SPILL_BYTES)
    }

    /// Where the events and the archive of a site are.
    fn of(&self, site: &Site) -> Db {
        self.db.of_site(site.id)
    }

    async fn commit(&mut self, site: &Site, seal: &Seal) -> Result<(), ArchiveError> {
        Ok(seals::commit(&self.of(site), site.id, seal, sotto_schema::clock::now_ms()).await?)
    }

    async fn step(&mut self, query: Query) -> Result<(), ArchiveError> {
        Ok(query.execute().await?)
    }
}

/// Equal ranges of visitor keys, first and last.
fn ranges(count: u64) -> Vec<(u64, u64)> {
    let count = count.max(1);
    let width = u64::MAX / count;
    (0..count).map(|i| (i * width, if i + 1 == count { u64::MAX } else { (i + 1) * width - 1 })).collect()
}

/// Goals as the queries take them: name, kind, and the name of an event or an expression for paths.
fn patterns(goals: &[Goal]) -> Vec<(String, u8, String)> {
    let expression = |goal: &Goal| match goal.kind {
        Kind::Event => goal.pattern.clone(),
        Kind::Page => {
            let mut out = String::from("^");
            for c in goal.pattern.chars() {
                match c {
                    '*' => out.push_str(".*"),
                    c if c.is_ascii_punctuation() && c != '_' => out.extend(['\\', c]),
                    c => out.push(c),
                }
            }
            out.push('$');
            out
        }
    };
    goals.iter().map(|g| (g.name.clone(), g.kind as u8, expression(g))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_schema::id::GoalId;

    #[test]
    fn ranges_cover_all_keys_once() {
        for count in [0, 1, 2, 3, 7, 40] {
            let ranges = ranges(count);
            assert_eq!((ranges[0].0, ranges.last().unwrap().1), (0, u64::MAX), "{count}");
            assert!(ranges.windows(2).all(|w| w[0].1 + 1 == w[1].0), "{count}");
        }
    }

    #[test]
    fn pattern_of_a_goal_is_plain_text_but_for_the_star() {
        let goal = |kind, pattern: &str| Goal {
            id: GoalId(1),
            site: SiteId(1),
            name: "G".into(),
            kind,
            pattern: pattern.into(),
            created_ms: 0,
        };
        let found = patterns(&[goal(Kind::Page, "/a.b/*"), goal(Kind::Event, "a.*")]);
        assert_eq!(found[0], ("G".into(), 1, r"^\/a\.b\/.*$".into()));
        assert_eq!(found[1], ("G".into(), 2, "a.*".into()));
    }
}
