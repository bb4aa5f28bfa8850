//! The figures of few raw events, counted in this process: planning the queries of [`super::figures`] takes ClickHouse
//! longer than sending it some thousand rows.
//!
//! They are the same figures, of the same columns ([`super::of_events`]): `tests/suite/settled.rs` compares them.

use std::collections::{HashMap, HashSet};

use clickhouse::{Row, error::Error};
use jiff::civil::Date;
use serde::Deserialize;
use sotto_schema::{day::Day, dimension::Dimension, id::SiteId};

use super::{
    Open, UNTIL_END_MS,
    figures::{CONSENT, CONSENT_BITS, HOUR},
    of_events,
};
use crate::db::Db;

/// Raw events to be counted by dimensions.
#[derive(Debug, Clone, Copy)]
pub struct Few<'a> {
    /// The site.
    pub site: SiteId,
    /// Its time zone, for hours.
    pub time_zone: &'a str,
    /// Nothing from this moment on, in milliseconds since 1970-01-01 UTC.
    pub until_ms: Option<i64>,
    /// The dimensions.
    pub by: &'a [Dimension],
    /// Whether pageviews are counted by consent.
    pub consent: bool,
}

/// The figures of one value, in the order of [`super::figures::COUNTS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Name of the dimension, or [`CONSENT`].
    pub dimension: &'static str,
    /// The value.
    pub value: String,
    /// The figures.
    pub counts: [u64; 8],
}

/// What is to be added to the figures of settled days, and what is to be taken away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// To be added.
    pub more: Vec<Figure>,
    /// To be taken away: it is in settled figures and among `more`.
    pub less: Vec<Figure>,
}

#[derive(Debug, Row, Deserialize)]
struct Hit {
    day: u16,
    visitor: u64,
    session: u64,
    moment: u64,
    views: u32,
    events: u32,
    interactive: bool,
    engaged: u32,
    consent: u8,
    /// Whether it came before the hour up to which its day is settled.
    settled: bool,
    /// Of each dimension.
    values: Vec<String>,
}

/// How a visit gets its value of a dimension from its hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chosen {
    /// That of its first pageview.
    First,
    /// That of its last pageview.
    LastView,
    /// That of its last hit.
    Last,
    /// That of its first hit of any kind.
    Begun,
    /// Its day.
    Day,
    /// None: only hits have one.
    Never,
}

/// How hits and visits are counted by a dimension.
struct By {
    name: &'static str,
    chosen: Chosen,
    /// Whether each hit has a value of its own.
    of_hits: bool,
    /// Whether hits without a visit are counted with pageviews and events.
    others: bool,
}

impl By {
    fn of(dimension: Dimension) -> Self {
        let chosen = match dimension {
            Dimension::Day => Chosen::Day,
            Dimension::Hour => Chosen::Begun,
            Dimension::Event | Dimension::Outbound | Dimension::Download => Chosen::Never,
            Dimension::ExitPage => Chosen::LastView,
            Dimension::Country
            | Dimension::Region
            | Dimension::City
            | Dimension::Network
            | Dimension::NetworkKind
            | Dimension::Device
            | Dimension::Browser
            | Dimension::BrowserVersion
            | Dimension::Os
            | Dimension::OsVersion
            | Dimension::Screen
            | Dimension::Language => Chosen::Last,
            Dimension::Page
            | Dimension::Hostname
            | Dimension::EntryPage
            | Dimension::Source
            | Dimension::Channel
            | Dimension::Referrer
            | Dimension::UtmSource
            | Dimension::UtmMedium
            | Dimension::UtmCampaign
            | Dimension::UtmContent
            | Dimension::UtmTerm
            | Dimension::ClickId => Chosen::First,
        };
        let of_hits = dimension.is_of_events()
            || matches!(dimension, Dimension::Page | Dimension::Hostname | Dimension::Hour);
        let others = !matches!(dimension, Dimension::EntryPage | Dimension::ExitPage);
        Self { name: dimension.name(), chosen, of_hits, others }
    }
}

/// The column of hits from which a dimension's values are made, and the value.
fn column(dimension: Dimension) -> Option<[&'static str; 2]> {
    match dimension {
        Dimension::Day => None,
        Dimension::Hour => Some(["hour", HOUR]),
        Dimension::EntryPage | Dimension::ExitPage => Some(["page", "page"]),
        Dimension::Page
        | Dimension::Source
        | Dimension::Channel
        | Dimension::Referrer
        | Dimension::UtmSource
        | Dimension::UtmMedium
        | Dimension::UtmCampaign
        | Dimension::UtmContent
        | Dimension::UtmTerm
        | Dimension::ClickId
        | Dimension::Country
        | Dimension::Region
        | Dimension::City
        | Dimension::Network
        | Dimension::NetworkKind
        | Dimension::Device
        | Dimension::Browser
        | Dimension::BrowserVersion
        | Dimension::Os
        | Dimension::OsVersion
        | Dimension::Screen
        | Dimension::Language
        | Dimension::Hostname
        | Dimension::Event
        | Dimension::Outbound
        | Dimension::Download => Some([dimension.name(), dimension.name()]),
    }
}

impl Few<'_> {
    /// Counts whole days.
    ///
    /// # Errors
    /// When ClickHouse cannot be asked.
    pub async fn days(&self, db: &Db, days: &[Date]) -> Result<Change, Error> {
        let hits = self.fetch(db, days, None).await?;
        Ok(Change { more: self.count(hits.iter()), less: Vec::new() })
    }

    /// What came after the hour up to which a day is settled.
    ///
    /// # Errors
    /// When ClickHouse cannot be asked.
    pub async fn open_day(&self, db: &Db, day: Date, open: &Open) -> Result<Change, Error> {
        let hits = self.fetch(db, &[day], Some(open.until)).await?;
        Ok(Change { more: self.count(hits.iter()), less: self.count(hits.iter().filter(|hit| hit.settled)) })
    }

    async fn fetch(&self, db: &Db, days: &[Date], hour: Option<u32>) -> Result<Vec<Hit>, Error> {
        let days: Vec<String> = days.iter().map(ToString::to_string).collect();
        db.of_site(self.site)
            .query(&self.text(hour.is_some()))
            .param("site", self.site)
            .param("tz", self.time_zone)
            .param("raw", &days)
            .param("since", 0)
            .param("until", self.until_ms.unwrap_or(UNTIL_END_MS))
            .param("open", days.first().map_or("1970-01-01", String::as_str))
            .param("hour", hour.unwrap_or(0))
            .fetch_all::<Hit>()
            .await
    }

    fn text(&self, open: bool) -> String {
        let made: Vec<[&str; 2]> = self.by.iter().filter_map(|by| column(*by)).collect();
        let mut columns = vec!["moment", "views", "events", "interactive", "engaged", "consent"];
        for [name, _] in &made {
            if !columns.contains(name) {
                columns.push(name);
            }
        }
        let mut hits = of_events::hits(&columns);
        let settled = if open {
            hits += " AND ";
            hits += of_events::SINCE_HOUR;
            "moment < bitShiftLeft(toUInt64({hour:UInt32}) * 1000, 22)"
        } else {
            "false"
        };
        // Dimensions without a column keep their place.
        let values: Vec<String> = self
            .by
            .iter()
            .map(|by| column(*by).map_or_else(|| "''".into(), |[_, value]| format!("toString({value})")))
            .collect();
        format!(
            "SELECT day, visitor, session, moment, views, events, interactive, engaged, consent, {settled} AS settled,
    CAST([{}], 'Array(String)') AS values
FROM ({hits})",
            values.join(", ")
        )
    }

    fn count<'h>(&self, hits: impl Iterator<Item = &'h Hit>) -> Vec<Figure> {
        let by: Vec<By> = self.by.iter().map(|by| By::of(*by)).collect();
        let mut sums: Vec<HashMap<String, Sum>> = by.iter().map(|_| HashMap::new()).collect();
        let mut visits: HashMap<(u16, u64, u64), Visit<'_>> = HashMap::new();
        let mut consent = [0; CONSENT_BITS.len() + 1];
        for hit in hits {
            if hit.session != 0 {
                visits
                    .entry((hit.day, hit.visitor, hit.session))
                    .and_modify(|visit| visit.add(hit))
                    .or_insert_with(|| Visit::of(hit));
            }
            for (bit, count) in consent.iter_mut().enumerate() {
                let counted = match bit == CONSENT_BITS.len() {
                    true => hit.consent & 1 == 0,
                    false => hit.consent >> bit & 1 == 1,
                };
                *count += u64::from(hit.views) * u64::from(counted);
            }
            for ((by, sums), value) in by.iter().zip(&mut sums).zip(&hit.values) {
                by.add_hit(sums, hit, value);
            }
        }
        for ((day, visitor, _), visit) in &visits {
            for (n, (by, sums)) in by.iter().zip(&mut sums).enumerate() {
                by.add_visit(sums, visit, n, (*day, *visitor));
            }
        }
        let figures = by.iter().zip(sums).flat_map(|(by, sums)| {
            sums.into_iter().map(|(value, sum)| Figure { dimension: by.name, value, counts: sum.counts() })
        });
        let names = CONSENT_BITS.into_iter().chain(["anonymous"]);
        let consent = names.zip(consent).filter(|_| self.consent).map(|(name, views)| Figure {
            dimension: CONSENT,
            value: name.to_owned(),
            counts: [0, 0, views, 0, 0, 0, 0, 0],
        });
        figures.chain(consent).collect()
    }
}

/// A visit that is put together.
struct Visit<'h> {
    first: &'h Hit,
    last: &'h Hit,
    /// Its first and last pageview.
    pageviews: Option<[&'h Hit; 2]>,
    views: u64,
    events: u64,
    interactive: bool,
    engaged: u64,
}

impl<'h> Visit<'h> {
    fn of(hit: &'h Hit) -> Self {
        let mut visit = Self {
            first: hit,
            last: hit,
            pageviews: None,
            views: 0,
            events: 0,
            interactive: false,
            engaged: 0,
        };
        visit.add(hit);
        visit
    }

    fn add(&mut self, hit: &'h Hit) {
        let earlier = |a: &'h Hit, b: &'h Hit| if b.moment < a.moment { b } else { a };
        let later = |a: &'h Hit, b: &'h Hit| if b.moment > a.moment { b } else { a };
        (self.first, self.last) = (earlier(self.first, hit), later(self.last, hit));
        if hit.views > 0 {
            let [first, last] = self.pageviews.unwrap_or([hit, hit]);
            self.pageviews = Some([earlier(first, hit), later(last, hit)]);
        }
        self.views += u64::from(hit.views);
        self.events += u64::from(hit.events);
        self.interactive |= hit.interactive;
        self.engaged += u64::from(hit.engaged);
    }

    fn bounced(&self) -> bool {
        self.views == 1 && !self.interactive
    }

    /// Its value of the dimension with that number.
    fn value(&self, chosen: Chosen, n: usize) -> Option<&'h str> {
        let hit = match chosen {
            Chosen::First => self.pageviews.map(|[first, _]| first),
            Chosen::LastView => self.pageviews.map(|[_, last]| last),
            Chosen::Last => Some(self.last),
            Chosen::Begun | Chosen::Day => Some(self.first),
            Chosen::Never => return None,
        };
        Some(hit.and_then(|hit| hit.values.get(n)).map_or("", String::as_str))
    }
}

/// Figures of one value in the making.
#[derive(Default)]
struct Sum {
    visitors: HashSet<(u16, u64)>,
    visits: HashSet<(u16, u64)>,
    views: u64,
    measured: u64,
    events: u64,
    entries: u64,
    bounces: u64,
    engaged: u64,
    /// Visits that are counted one by one.
    counted: u64,
}

impl Sum {
    fn counts(&self) -> [u64; 8] {
        let Self { views, measured, events, entries, bounces, engaged, .. } = *self;
        let visits = self.visits.len() as u64 + self.counted;
        [self.visitors.len() as u64, visits, views, measured, events, entries, bounces, engaged]
    }
}

/// The sum of a value.
fn sum<'s>(sums: &'s mut HashMap<String, Sum>, value: &str) -> &'s mut Sum {
    if !sums.contains_key(value) {
        sums.insert(value.to_owned(), Sum::default());
    }
    sums.entry(value.to_owned()).or_default()
}

impl By {
    fn add_hit(&self, sums: &mut HashMap<String, Sum>, hit: &Hit, value: &str) {
        let day;
        if self.chosen == Chosen::Never && value.is_empty() {
            return;
        }
        let value = if self.chosen == Chosen::Day {
            day = Day(hit.day).date().to_string();
            &day
        } else {
            value
        };
        let measured = hit.session != 0;
        if self.of_hits {
            let sum = sum(sums, value);
            if hit.visitor != 0 {
                sum.visitors.insert((hit.day, hit.visitor));
            }
            sum.views += u64::from(hit.views);
            sum.events += u64::from(hit.events);
            if measured {
                sum.visits.insert((hit.day, hit.session));
                sum.measured += u64::from(hit.views);
                sum.engaged += u64::from(hit.engaged);
            }
        } else if !measured && self.others {
            let sum = sum(sums, value);
            sum.views += u64::from(hit.views);
            sum.events += u64::from(hit.events);
        }
    }

    fn add_visit(
        &self,
        sums: &mut HashMap<String, Sum>,
        visit: &Visit<'_>,
        n: usize,
        (day, visitor): (u16, u64),
    ) {
        let date;
        let value = if self.chosen == Chosen::Day {
            date = Day(day).date().to_string();
            Some(date.as_str())
        } else {
            visit.value(self.chosen, n)
        };
        let Some(value) = value else { return };
        let sum = sum(sums, value);
        sum.entries += 1;
        sum.bounces += u64::from(visit.bounced());
        if self.of_hits {
            return;
        }
        if visitor != 0 {
            sum.visitors.insert((day, visitor));
        }
        sum.counted += 1;
        sum.views += visit.views;
        sum.measured += visit.views;
        sum.events += visit.events;
        sum.engaged += visit.engaged;
    }
}
