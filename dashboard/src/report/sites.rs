//! Many sites at a glance: what an agency looks at in the morning.
//!
//! Figures are those of the sites' own reports, from settled days where they are settled; four queries to each shard, however
//! many sites there are. A shard that is away leaves its sites without figures and the others with theirs.

use std::collections::{BTreeSet, HashMap};

use clickhouse::{Row, error::Error};
use jiff::{ToSpan, civil::Date};
use serde::Deserialize;
use sotto_schema::{day::Day, id::SiteId, site::Site};
use sotto_store::{
    db::Db,
    settled::{self, Days},
};

use super::{Consent, patient::Patient as _};
use crate::range::now_in;

/// How many days are shown, today included.
pub const DAYS: usize = 30;
/// How many are read: those, and as many before yesterday's thirty.
const READ: usize = 2 * DAYS + 1;

/// What there is of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Visitors of each of the [`DAYS`], the last of which is today.
    pub visitors: Vec<u64>,
    /// Pageviews of these days.
    pub pageviews: u64,
    /// Visitors of the thirty days that ended yesterday, and of the thirty before those; `None` where raw events are not kept
    /// as long.
    pub compared: Option<[u64; 2]>,
    /// Pageviews by consent, of those of these days that are settled.
    pub consent: Consent,
    /// The last of the days read that has a hit.
    pub last: Option<Date>,
}

#[derive(Row, Deserialize)]
struct Cell {
    site: SiteId,
    day: u16,
    settling: u64,
    dimension: String,
    value: String,
    visitors: u64,
    pageviews: u64,
}

#[derive(Row, Deserialize)]
struct RawDay {
    site: SiteId,
    day: u16,
    visitors: u64,
    pageviews: u64,
}

/// A site's figures while they are read.
struct Building<'a> {
    site: &'a Site,
    today: Date,
    days: Days,
    /// Visitors and pageviews of each day that is read.
    read: [[u64; 2]; READ],
    consent: Consent,
}

impl<'a> Building<'a> {
    fn of(site: &'a Site, days: Days) -> Self {
        let today = now_in(&site.time_zone).date();
        Self { site, today, days, read: [[0; 2]; READ], consent: Consent::default() }
    }

    /// The place of a day among those that are read.
    fn place(&self, day: Date) -> Option<usize> {
        let ago = usize::try_from((self.today - day).get_days()).ok()?;
        (READ - 1).checked_sub(ago)
    }

    fn add(&mut self, day: Date, visitors: u64, pageviews: u64) {
        if let Some([v, p]) = self.place(day).and_then(|place| self.read.get_mut(place)) {
            *v += visitors;
            *p += pageviews;
        }
    }

    fn add_cell(&mut self, cell: &Cell) {
        let day = Day(cell.day).date();
        if self.days.settled.get(&day).is_none_or(|(settling, _)| *settling != cell.settling) {
            return;
        }
        match cell.dimension.as_str() {
            "day" => self.add(day, cell.visitors, cell.pageviews),
            _ if self.place(day).is_some_and(|place| place > READ - 1 - DAYS) => {
                self.consent.add(&cell.value, cell.pageviews);
            }
            _ => {}
        }
    }

    fn summary(self) -> Summary {
        let sum = |days: &[[u64; 2]], figure: usize| days.iter().map(|day| day[figure]).sum::<u64>();
        let (before, now) = self.read.split_at(DAYS);
        let shown = self.read.get(READ - DAYS..).unwrap_or_default();
        let kept = usize::from(self.site.retention_days) >= READ;
        Summary {
            visitors: shown.iter().map(|[visitors, _]| *visitors).collect(),
            pageviews: sum(shown, 1),
            compared: kept.then(|| [sum(now.get(..DAYS).unwrap_or_default(), 0), sum(before, 0)]),
            consent: self.consent,
            last: self.days.settled.keys().chain(self.days.raw.keys()).max().copied(),
        }
    }
}

/// The figures of sites that had hits in the days read, and whether a shard is away, so that some may be missing.
pub async fn summaries(db: &Db, sites: &[Site]) -> (HashMap<SiteId, Summary>, bool) {
    let (mut all, mut away) = (HashMap::new(), false);
    for shard in db.shards() {
        match of_shard(&shard, sites).await {
            Ok(found) => all.extend(found),
            Err(error) => {
                tracing::warn!(%error, "the list of sites is shown without the figures of a shard");
                away = true;
            }
        }
    }
    (all, away)
}

async fn of_shard(shard: &Db, sites: &[Site]) -> Result<Vec<(SiteId, Summary)>, Error> {
    let zones: HashMap<SiteId, String> = sites.iter().map(|site| (site.id, site.time_zone.clone())).collect();
    let days = || sites.iter().map(|site| now_in(&site.time_zone).date());
    let (Some(first), Some(last)) = (days().min(), days().max()) else { return Ok(Vec::new()) };
    let read = i32::try_from(READ).unwrap_or(i32::MAX);
    let from = first.saturating_sub((read - 1).days());
    let mut found = settled::days_of_shard(shard, &zones, [from, last]).await?;
    let mut building: HashMap<SiteId, Building<'_>> = sites
        .iter()
        .filter_map(|site| Some((site.id, Building::of(site, found.remove(&site.id)?))))
        .collect();
    let ids: Vec<SiteId> = building.keys().copied().collect();
    let raw: BTreeSet<Date> = building.values().flat_map(|of| of.days.raw.keys().copied()).collect();
    let cells = shard
        .query(include_str!("sites_settled.sql"))
        .param("sites", &ids)
        .param("from", from.to_string())
        .param("to", last.to_string())
        .rows::<Cell>();
    let raw_days: Vec<String> = raw.iter().map(ToString::to_string).collect();
    let raw = shard
        .query(include_str!("sites_raw.sql"))
        .param("sites", &ids)
        .param("days", &raw_days)
        .rows::<RawDay>();
    let (cells, raw) = tokio::try_join!(cells, raw)?;
    for cell in &cells {
        if let Some(of) = building.get_mut(&cell.site) {
            of.add_cell(cell);
        }
    }
    for RawDay { site, day, visitors, pageviews } in raw {
        let day = Day(day).date();
        if let Some(of) = building.get_mut(&site).filter(|of| of.days.raw.contains_key(&day)) {
            of.add(day, visitors, pageviews);
        }
    }
    Ok(building.into_iter().map(|(site, of)| (site, of.summary())).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sotto_schema::policy::Preset;
    use sotto_store::settled::Fingerprint;

    use super::*;

    fn cell(site: &Site, day: Date, settling: u64, visitors: u64) -> Cell {
        let (dimension, value) = ("day".into(), day.to_string());
        Cell {
            site: site.id,
            day: Day::of(day).0,
            settling,
            dimension,
            value,
            visitors,
            pageviews: 2 * visitors,
        }
    }

    #[test]
    fn thirty_days_are_shown_and_the_thirty_that_ended_yesterday_compared_with_those_before() {
        let mut site = Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap();
        site.retention_days = 61;
        let today = now_in("UTC").date();
        let ago = |days: i32| today.saturating_sub(days.days());
        // Visitors by how many days ago, each a power of ten.
        let figures = [(60, 1), (31, 10), (30, 100), (29, 1_000), (1, 10_000)];
        let settled = figures.map(|(days, _)| (ago(days), (7, 1)));
        let raw = BTreeMap::from([(today, Fingerprint::default())]);
        let days = Days { settled: settled.into(), raw, ..Days::default() };
        let mut of = Building::of(&site, days);
        for (days, visitors) in figures {
            of.add_cell(&cell(&site, ago(days), 7, visitors));
            of.add_cell(&cell(&site, ago(days), 6, 5 * visitors));
        }
        of.add_cell(&cell(&site, ago(61), 7, 3));
        of.add(today, 100_000, 1);
        let found = of.summary();
        assert_eq!(found.visitors.len(), DAYS);
        assert_eq!((found.visitors[0], found.visitors[28], found.visitors[29]), (1_000, 10_000, 100_000));
        assert_eq!(found.pageviews, 2_000 + 20_000 + 1);
        assert_eq!(found.compared, Some([11_100, 11]), "another settling of a day is not read");
        assert_eq!(found.last, Some(today));
        site.retention_days = 60;
        assert_eq!(Building::of(&site, Days::default()).summary().compared, None);
    }
}
