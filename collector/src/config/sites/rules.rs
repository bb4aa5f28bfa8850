//! The rules of all sites as the collector needs them: by key, with the time zone resolved, replaced as a whole.
//!
//! A copy is kept on disk (`sites.json`), so that the collector starts and collects while ClickHouse is away.

use std::{collections::HashMap, fs, io, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use compact_str::CompactString;
use jiff::{Timestamp, tz::TimeZone};
use sotto_schema::{
    day::Day,
    id::SiteId,
    site::{Site, normalise_hostname},
};
use sotto_store::private_file;

/// Milliseconds of an hour.
const HOUR_MS: i64 = 60 * 60 * 1000;

/// The rules of one site.
#[derive(Debug)]
pub struct Rules {
    /// The site as it was set up.
    pub site: Site,
    zone: TimeZone,
}

impl Rules {
    /// Rules of a site. An unknown time zone, which [`Site::validate`] refuses, counts as UTC.
    pub fn new(site: Site) -> Self {
        let zone = TimeZone::get(&site.time_zone).unwrap_or(TimeZone::UTC);
        Self { site, zone }
    }

    /// The site's day at `time_ms`, in milliseconds since 1970-01-01 UTC. Times outside 1970 to 2149 are
    /// clamped.
    pub fn day(&self, time_ms: i64) -> Day {
        Day::at(time_ms, &self.zone)
    }

    /// The beginning of the hour that the site's clock shows at `time_ms`, both in milliseconds since 1970-01-01 UTC.
    ///
    /// It stands for an hour at least: the part of an hour that is left where clocks change by half an hour is joined to
    /// the hour before.
    pub fn hour_start_ms(&self, time_ms: i64) -> i64 {
        let past = |offset_ms: i64, ms: i64| ms - (ms + offset_ms).rem_euclid(HOUR_MS);
        let start = past(self.offset_ms(time_ms), time_ms);
        past(self.offset_ms(start), start)
    }

    /// How far the site's clock is ahead of UTC.
    fn offset_ms(&self, time_ms: i64) -> i64 {
        let time = Timestamp::from_millisecond(time_ms).unwrap_or_default();
        i64::from(self.zone.to_offset(time).seconds()) * 1000
    }

    /// When the site's `day` ends, in milliseconds since 1970-01-01 UTC.
    pub fn day_end_ms(&self, day: Day) -> i64 {
        day.end_ms(&self.zone)
    }
}

/// All sites.
#[derive(Debug, Default)]
struct Book {
    by_key: HashMap<CompactString, Arc<Rules>, foldhash::fast::RandomState>,
    by_id: HashMap<SiteId, Arc<Rules>, foldhash::fast::RandomState>,
    by_host: HashMap<String, Arc<Rules>>,
}

/// The rules in force. The default has none and keeps no copy.
#[derive(Debug, Default)]
pub struct RuleBook {
    book: ArcSwap<Book>,
    copy: Option<PathBuf>,
}

impl RuleBook {
    /// Loads the rules from the copy at `copy`; none if there is no copy.
    pub fn open(copy: PathBuf) -> Self {
        let read = fs::read(&copy);
        let book = Self { book: ArcSwap::default(), copy: Some(copy) };
        match read.map(|bytes| serde_json::from_slice::<Vec<Site>>(&bytes)) {
            Ok(Ok(sites)) => book.set(sites),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the copy of the sites cannot be read; writing a new one")
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "the copy of the sites cannot be read"),
        }
        book
    }

    /// The rules of the site with this public key.
    pub fn get(&self, key: &str) -> Option<Arc<Rules>> {
        self.book.load().by_key.get(key).cloned()
    }

    /// The rules of the site with this number.
    pub fn by_id(&self, id: SiteId) -> Option<Arc<Rules>> {
        self.book.load().by_id.get(&id).cloned()
    }

    /// The rules of the site whose pages are on `host`: the longest matching host name wins.
    pub fn of_host(&self, host: &str) -> Option<Arc<Rules>> {
        let book = self.book.load();
        let mut rest = host;
        loop {
            if let Some(rules) = book.by_host.get(rest) {
                return Some(rules.clone());
            }
            (_, rest) = rest.split_once('.')?;
        }
    }

    /// The rules of the site that is called `host` in another product's format.
    pub fn named(&self, host: &str) -> Option<Arc<Rules>> {
        self.of_host(&normalise_hostname(host).ok()?)
    }

    /// The rules of all sites.
    pub fn all(&self) -> Vec<Arc<Rules>> {
        self.book.load().by_id.values().cloned().collect()
    }

    /// How many sites there are.
    pub fn count(&self) -> usize {
        self.book.load().by_key.len()
    }

    /// Activates these sites and writes the copy, if they differ from the current ones.
    ///
    /// # Errors
    /// When the copy cannot be written; the rules are in force all the same.
    pub fn replace(&self, sites: Vec<Site>) -> io::Result<()> {
        let same = {
            let book = self.book.load();
            book.by_id.len() == sites.len()
                && sites.iter().all(|s| book.by_id.get(&s.id).is_some_and(|r| r.site == *s))
        };
        if same {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&sites)?;
        self.set(sites);
        let Some(copy) = &self.copy else { return Ok(()) };
        private_file::write(copy, &bytes)
    }

    fn set(&self, sites: Vec<Site>) {
        let mut book = Book::default();
        for site in sites {
            let rules = Arc::new(Rules::new(site));
            book.by_key.insert(rules.site.key.as_str().into(), rules.clone());
            for host in &rules.site.hostnames {
                book.by_host.insert(host.clone(), rules.clone());
            }
            book.by_id.insert(rules.site.id, rules);
        }
        self.book.store(Arc::new(book));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_schema::policy::Preset;

    fn rules(zone: &str) -> Rules {
        Rules::new(Site::new("A", &["a.example"], zone, Preset::Cnil).unwrap())
    }

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn day_begins_at_the_sites_midnight() {
        for (zone, time, day) in [
            ("UTC", "1970-01-02T00:00:00Z", 1),
            ("UTC", "1970-01-01T23:59:59.999Z", 0),
            ("Europe/Paris", "2026-07-01T21:59:59Z", 20_635),
            ("Europe/Paris", "2026-07-01T22:00:00Z", 20_636),
            ("America/New_York", "2026-07-02T03:59:59Z", 20_635),
            ("Pacific/Kiritimati", "2026-07-01T10:00:00Z", 20_636),
        ] {
            assert_eq!(rules(zone).day(ms(time)), Day(day), "{zone} {time}");
        }
    }

    #[test]
    fn hour_begins_where_the_sites_clock_says() {
        for (zone, time, start) in [
            ("UTC", "2026-07-01T12:43:10Z", "2026-07-01T12:00:00Z"),
            ("Europe/Paris", "2026-07-01T12:43:10Z", "2026-07-01T12:00:00Z"),
            ("Asia/Kolkata", "2026-07-01T12:43:10Z", "2026-07-01T12:30:00Z"),
            ("Asia/Kolkata", "2026-07-01T18:29:59Z", "2026-07-01T17:30:00Z"),
            ("Asia/Kolkata", "2026-07-01T18:30:00Z", "2026-07-01T18:30:00Z"),
            ("Asia/Kathmandu", "2026-07-01T18:20:00Z", "2026-07-01T18:15:00Z"),
            ("America/St_Johns", "2026-07-01T18:20:00Z", "2026-07-01T17:30:00Z"),
            // Lord Howe's clocks are half an hour ahead in summer, from 2026-10-03T15:30Z to 2026-04-04T15:00Z.
            ("Australia/Lord_Howe", "2026-04-04T14:59:59Z", "2026-04-04T14:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T15:29:59Z", "2026-04-04T14:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T15:30:00Z", "2026-04-04T15:30:00Z"),
            ("Australia/Lord_Howe", "2026-10-03T15:59:59Z", "2026-10-03T14:30:00Z"),
            ("Australia/Lord_Howe", "2026-10-03T16:00:00Z", "2026-10-03T16:00:00Z"),
        ] {
            assert_eq!(rules(zone).hour_start_ms(ms(time)), ms(start), "{zone} {time}");
        }
    }

    #[test]
    fn hour_is_never_finer_than_an_hour_and_of_the_day_of_its_moments() {
        const MINUTE_MS: i64 = 60_000;
        for zone in [
            "UTC",
            "Asia/Kolkata",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
            "Australia/Adelaide",
            "America/New_York",
        ] {
            let rules = rules(zone);
            let (first, last) = (ms("2026-03-01T00:00:00Z"), ms("2026-11-30T00:00:00Z"));
            let mut start = rules.hour_start_ms(first);
            let mut begun = start;
            for minute in (first..last).step_by(usize::try_from(MINUTE_MS).unwrap()) {
                let now = rules.hour_start_ms(minute);
                assert_eq!(rules.day(now), rules.day(minute), "{zone} {minute}");
                if now != start {
                    assert!(minute - begun >= HOUR_MS, "{zone} {minute}");
                    (start, begun) = (now, minute);
                }
            }
        }
    }

    #[test]
    fn day_ends_where_the_next_begins_also_when_clocks_change() {
        for zone in ["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Africa/Cairo"] {
            let rules = rules(zone);
            for day in 20_000..20_400 {
                let end = rules.day_end_ms(Day(day));
                assert_eq!(rules.day(end - 1), Day(day), "{zone} {day}");
                assert_eq!(rules.day(end), Day(day + 1), "{zone} {day}");
            }
        }
    }

    #[test]
    fn site_is_found_by_the_host_of_its_pages() {
        let dir = tempfile::tempdir().unwrap();
        let book = RuleBook::open(dir.path().join("sites.json"));
        let sites = [("A", "a.example"), ("B", "shop.a.example")];
        book.replace(sites.map(|(n, h)| Site::new(n, &[h], "UTC", Preset::Cnil).unwrap()).to_vec()).unwrap();
        for (host, name) in [
            ("a.example", Some("A")),
            ("x.a.example", Some("A")),
            ("shop.a.example", Some("B")),
            ("y.shop.a.example", Some("B")),
            ("example", None),
            ("", None),
        ] {
            assert_eq!(book.of_host(host).map(|r| r.site.name.clone()).as_deref(), name, "{host}");
        }
        assert_eq!(book.named("WWW.A.example").unwrap().site.name, "A");
    }

    #[test]
    fn copy_on_disk_serves_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("sites.json");
        let site = Site::new("A", &["a.example"], "UTC", Preset::Strict).unwrap();
        RuleBook::open(copy.clone()).replace(vec![site.clone()]).unwrap();
        let again = RuleBook::open(copy);
        assert_eq!(again.get(&site.key).unwrap().site, site);
        assert_eq!(again.by_id(site.id).unwrap().site, site);
        assert!(again.get("nobody").is_none());
    }
}
