//! Retention: removes what is due under the rules of the data map and of each site.
//!
//! **Promises.** A raw event is removed on the day it expires under its site's retention, and after
//! [`RETENTION_DAYS_MAX`] days whatever the settings say. A day that is not archived yet is held back until
//! it is ([`Seals`]). A week in which everything is due is dropped as a partition; in any other week the due
//! rows are deleted by a mutation, which is waited for. Running it twice, or on two machines at once, removes
//! nothing more.
//!
//! **Crash.** Every step may be interrupted: the next run finds what is left and continues.
//!
//! **Proof**: tests below; `tests/suite/retention.rs` on the real tables.

use std::collections::{BTreeMap, BTreeSet};

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use sotto_schema::{
    clock::version,
    datamap,
    day::Day,
    id::{SiteId, UserId},
    site::{RETENTION_DAYS_MAX, Site},
};

use crate::{
    audit::{self, Action},
    db::Db,
    settled, sites,
};

/// Maximum number of site days in one statement: they travel in the request's URL.
const DAYS_PER_STATEMENT: usize = 500;
/// Deletion marks younger than this are left for the next day, in microseconds: one hour.
const REMOVED_AGE_US: u64 = 3_600_000_000;
/// Tables dropped by month, with the class that sets their retention.
const BY_MONTH: [(&str, &str); 3] =
    [("consent_receipts", "consent_receipts"), ("outcomes", "outcomes"), ("audit_log", "audit_log")];
/// Tables of which only the newest version of a row is needed.
const VERSIONED: [&str; 13] = [
    "users",
    "members",
    "tokens",
    "goals",
    "funnels",
    "segments",
    "annotations",
    "sites",
    "invitations",
    "shared_links",
    "public_sites",
    "subscriptions",
    "hooks",
];

/// Which days are archived, so that their raw events may be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seals {
    /// There is no archive to wait for.
    NoArchive,
    /// The sealed days, by site.
    Days(BTreeSet<(SiteId, Day)>),
}

impl Seals {
    /// Whether raw events of that day may be removed without waiting for the archive.
    pub fn let_go(&self, site: SiteId, day: Day) -> bool {
        match self {
            Self::NoArchive => true,
            Self::Days(days) => days.contains(&(site, day)),
        }
    }
}

/// Raw events of one site with the same day and the same expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Row, Serialize, Deserialize)]
pub struct Group {
    /// Whose.
    pub site: SiteId,
    /// Of which day of the site.
    pub day: u16,
    /// When they expire, as decided when they were stored.
    pub expires: u16,
    /// How many.
    pub rows: u64,
}

impl Group {
    /// Their partition: the Monday of the week in which they expire (`toMonday(expires)`).
    fn week(&self) -> u16 {
        Day(self.expires).monday().0
    }
}

/// What is to be done with one week of raw events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Week {
    /// Its Monday.
    pub monday: Day,
    /// Whether everything in it is due: then the partition is dropped. Otherwise only `due` is deleted.
    pub whole: bool,
    /// What is due.
    pub due: Vec<Group>,
}

/// What is to be done with the raw events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Weeks with something that is due.
    pub weeks: Vec<Week>,
    /// Due, but waiting for the archive.
    pub held: Vec<Group>,
}

/// The part of a site's rules that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Today in the site's time zone.
    pub today: Day,
    /// Its raw retention in days.
    pub days: u16,
}

/// What is due, given what is stored. A site that is not in `rules` was removed: its events expire as
/// planned.
pub fn plan(groups: &[Group], rules: &BTreeMap<SiteId, Rule>, seals: &Seals, utc_today: Day) -> Plan {
    let mut plan = Plan::default();
    let mut weeks: BTreeMap<u16, (Vec<Group>, bool)> = BTreeMap::new();
    for group in groups {
        let (due, whole) = weeks.entry(group.week()).or_insert_with(|| (Vec::new(), true));
        let rule = rules.get(&group.site);
        let today = rule.map_or(utc_today, |rule| rule.today).0;
        let days = rule.map_or(RETENTION_DAYS_MAX, |rule| rule.days);
        let over = group.expires.min(group.day.saturating_add(days)) <= today;
        let beyond = group.day.saturating_add(RETENTION_DAYS_MAX) <= today;
        // Nothing will ever seal a day of a removed site.
        let free = rule.is_none() || seals.let_go(group.site, Day(group.day));
        if beyond || (over && free) {
            due.push(*group);
        } else {
            *whole = false;
            if over {
                plan.held.push(*group);
            }
        }
    }
    let due = weeks.into_iter().filter(|(_, (due, _))| !due.is_empty());
    plan.weeks = due.map(|(monday, (due, whole))| Week { monday: Day(monday), whole, due }).collect();
    plan
}

/// Something that was removed, or would be in a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The class of the data map.
    pub class: &'static str,
    /// The site; 0 for data that belongs to no single site.
    #[serde(serialize_with = "as_text")]
    pub site: SiteId,
    /// First day, where there is one.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// How many rows or files.
    pub count: u64,
    /// How: `partition dropped`, `rewritten`, `held` (not removed: waits for the archive) or `deleted`.
    pub how: &'static str,
}

/// Site IDs need all 64 bits, which most JSON parsers do not preserve.
fn as_text<S: serde::Serializer>(number: &SiteId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

impl Removed {
    /// The line of the audit log.
    pub fn detail(&self) -> String {
        let days = match (&self.from, &self.to) {
            (Some(from), Some(to)) if from == to => format!(" of {from}"),
            (Some(from), Some(to)) => format!(" of {from} to {to}"),
            (None, Some(to)) => format!(" up to {to}"),
            _ => String::new(),
        };
        format!("{}: {}{days}, {}", self.class, self.count, self.how)
    }
}

fn partition(monday: Day) -> String {
    monday.to_string().replace('-', "")
}

/// The calendar day at `now_ms` in a time zone; UTC where there is no such zone.
pub fn today(time_zone: &str, now_ms: i64) -> Day {
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    Day::at(now_ms, &zone)
}

/// The rules of the sites.
pub fn rules(sites: &[Site], now_ms: i64) -> BTreeMap<SiteId, Rule> {
    let rule = |s: &Site| Rule { today: today(&s.time_zone, now_ms), days: s.retention_days };
    sites.iter().map(|s| (s.id, rule(s))).collect()
}

/// Which days with raw events are sealed.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn seals(db: &Db) -> Result<Seals, Error> {
    let days: Vec<(u64, u16)> = db.query(include_str!("retention/sealed.sql")).fetch_all().await?;
    Ok(Seals::Days(days.into_iter().map(|(site, day)| (SiteId(site), Day(day))).collect()))
}

/// Removes what is due and reports it; with `dry` it only reports. What was removed is recorded in the audit
/// log.
///
/// # Errors
/// When ClickHouse cannot be queried; what was removed before is still recorded.
pub async fn run(db: &Db, now_ms: i64, dry: bool) -> Result<Vec<Removed>, Error> {
    let rules = rules(&sites::all(db).await?, now_ms);
    let (mut removed, mut failed) = (Vec::new(), None);
    for shard in db.shards() {
        // A shard that is unavailable is retried later; the others need not wait for it.
        match run_on(db, &shard, &rules, now_ms, dry).await {
            Ok(done) => removed.extend(done),
            Err(error) => failed = Some(error),
        }
    }
    let done = stale(db, dry).await?;
    note(db, &done, dry).await?;
    removed.extend(done);
    failed.map_or(Ok(removed), Err)
}

/// The same on one shard; the audit log is on `home`.
async fn run_on(
    home: &Db,
    shard: &Db,
    rules: &BTreeMap<SiteId, Rule>,
    now_ms: i64,
    dry: bool,
) -> Result<Vec<Removed>, Error> {
    let groups: Vec<Group> = shard.query(include_str!("retention/days.sql")).fetch_all().await?;
    let plan = plan(&groups, rules, &seals(shard).await?, today("UTC", now_ms));
    let mut removed = Vec::new();
    for week in &plan.weeks {
        if !dry {
            remove_week(shard, week).await?;
            let gone: BTreeSet<(SiteId, u16)> = week.due.iter().map(|due| (due.site, due.day)).collect();
            settled::forget(shard, &gone.into_iter().collect::<Vec<_>>()).await?;
        }
        let how = if week.whole { "partition dropped" } else { "rewritten" };
        let done = by_site("raw_events", &week.due, how);
        note(home, &done, dry).await?;
        removed.extend(done);
    }
    removed.extend(by_site("raw_events", &plan.held, "held: its day is not in the archive yet"));
    for (table, class) in BY_MONTH {
        let done = months(shard, table, class, today("UTC", now_ms), dry).await?;
        note(home, &done, dry).await?;
        removed.extend(done);
    }
    Ok(removed)
}

async fn note(db: &Db, removed: &[Removed], dry: bool) -> Result<(), Error> {
    for entry in removed.iter().filter(|_| !dry) {
        audit::append(db, UserId::NONE, Action::Retention, entry.site, &entry.detail()).await?;
    }
    Ok(())
}

async fn remove_week(db: &Db, week: &Week) -> Result<(), Error> {
    let partition = partition(week.monday);
    if week.whole {
        let query = db.query(include_str!("retention/drop_week.sql"));
        return query.param("partition", partition).execute().await;
    }
    for some in week.due.chunks(DAYS_PER_STATEMENT) {
        let column = |value: fn(&Group) -> u16| some.iter().map(value).collect::<Vec<u16>>();
        db.query(include_str!("retention/delete_days.sql"))
            .param("partition", &partition)
            .param("sites", some.iter().map(|g| g.site).collect::<Vec<SiteId>>())
            .param("days", column(|g| g.day))
            .param("expires", column(|g| g.expires))
            .with_setting("mutations_sync", "2")
            .execute()
            .await?;
    }
    Ok(())
}

/// One entry per site.
fn by_site(class: &'static str, groups: &[Group], how: &'static str) -> Vec<Removed> {
    let mut sites: BTreeMap<SiteId, (u16, u16, u64)> = BTreeMap::new();
    for group in groups {
        let (from, to, rows) = sites.entry(group.site).or_insert((group.day, group.day, 0));
        (*from, *to, *rows) = ((*from).min(group.day), (*to).max(group.day), *rows + group.rows);
    }
    let line = |(site, (from, to, count))| Removed {
        class,
        site,
        from: Some(Day(from).to_string()),
        to: Some(Day(to).to_string()),
        count,
        how,
    };
    sites.into_iter().map(line).collect()
}

#[derive(Row, Deserialize)]
struct Month {
    partition: String,
    last: u16,
    rows: u64,
}

/// Drops the months of a table whose last day is older than its class allows.
async fn months(
    db: &Db,
    table: &'static str,
    class: &'static str,
    today: Day,
    dry: bool,
) -> Result<Vec<Removed>, Error> {
    let days = datamap::class_days(class).unwrap_or(u16::MAX);
    let months: Vec<Month> =
        db.query(include_str!("retention/months.sql")).param("table", table).fetch_all().await?;
    let mut removed = Vec::new();
    for month in months.into_iter().filter(|m| m.last.saturating_add(days) <= today.0) {
        if !dry {
            db.query(include_str!("retention/drop_month.sql"))
                .param("table", table)
                .param("partition", &month.partition)
                .execute()
                .await?;
        }
        let to = Some(Day(month.last).to_string());
        let how = "partition dropped";
        removed.push(Removed { class, site: SiteId::NONE, from: None, to, count: month.rows, how });
    }
    Ok(removed)
}

/// Purges replaced or removed rows from the tables of accounts and settings: an old password hash or the
/// address of a former user must not linger.
async fn stale(db: &Db, dry: bool) -> Result<Vec<Removed>, Error> {
    let count: i64 = db.query(include_str!("retention/stale.sql")).fetch_one().await?;
    let count = u64::try_from(count).unwrap_or(0);
    if count == 0 {
        return Ok(Vec::new());
    }
    for table in VERSIONED.iter().filter(|_| !dry) {
        let before = version().saturating_sub(REMOVED_AGE_US);
        db.query(include_str!("retention/merge.sql")).param("table", table).execute().await?;
        db.query(include_str!("retention/remove.sql"))
            .param("table", table)
            .param("before", before)
            .with_setting("mutations_sync", "2")
            .execute()
            .await?;
    }
    let left: i64 = db.query(include_str!("retention/stale.sql")).fetch_one().await?;
    let count = if dry { count } else { count.saturating_sub(u64::try_from(left).unwrap_or(0)) };
    let done =
        Removed { class: "accounts", site: SiteId::NONE, from: None, to: None, count, how: "rewritten" };
    Ok(if count == 0 { Vec::new() } else { vec![done] })
}

#[cfg(test)]
mod tests;
