//! The archive: released from made-up sites, checked from what is stored, attacked, and cut at every step.

use jiff::{ToSpan, civil::Date};
use sotto_collector::archive::{ArchiveError, Done, Sealer, verify};
use sotto_schema::{archived, day::Day, id::SiteId, policy::Preset, site::Site};
use sotto_store::{
    db::{Access, Db},
    migrate,
    releases::{self, Line, Period},
};
use sotto_tests::Proxy;

use crate::schema::Server;

mod attacks;
mod faults;
mod interrupted;
mod reports;

/// The month in which events of the tests happen, and a day on which it can be released. The real program, which removes
/// what is old by its own clock, has a month of its own: `interrupted::month_before_last`.
const MONTH: Date = jiff::civil::date(2026, 3, 1);
const AFTER: Date = jiff::civil::date(2026, 4, 10);
/// Standard deviations that noise does not pass in any run of the tests: less than once in a billion.
const FAR: f64 = 6.5;

/// A hit of a made-up site.
#[derive(Debug, Clone)]
struct Hit {
    /// First day of the month.
    month: Date,
    /// Day of the month, from 0.
    day: i32,
    /// Number of the visitor within the day; 0 is nobody.
    visitor: u64,
    page: String,
    city: usize,
    source: usize,
    browser: usize,
    event: bool,
}

impl Hit {
    fn on(day: i32, visitor: u64, page: impl Into<String>) -> Self {
        Self { month: MONTH, day, visitor, page: page.into(), city: 0, source: 0, browser: 0, event: false }
    }

    fn json(&self, site: SiteId, n: usize) -> String {
        let day = self.month.saturating_add(self.day.days());
        let key = if self.visitor == 0 { 0 } else { key(self.day, self.visitor) };
        let (city, country) = (self.city, ["DE", "FR", "AT"][self.city % 3]);
        let (channel, browser) =
            (["Search", "Social"][self.source % 2], ["Firefox", "Chrome"][self.browser % 2]);
        serde_json::json!({
            "site": site.to_string(), "day": day.to_string(), "expires": "2099-01-01",
            "time": format!("{day} {:02}:{:02}:{:02}.000", 8 + n % 5, n / 60 % 60, n % 60),
            "kind": if self.event { "custom" } else { "pageview" },
            "tier": if key == 0 { "minimal" } else { "full" },
            "name": if self.event { "Sign up" } else { "" },
            "hostname": "a.example", "path": self.page, "visitor": key.to_string(), "session": key.to_string(),
            "country": country, "region": format!("{country}{}", city % 7),
            "city": format!("{country}{}-{city}", city % 7),
            "source": format!("S{}", self.source), "channel": channel,
            "browser": browser, "browser_version": self.browser.to_string(),
            "device": "desktop", "engaged_ms": 100,
        })
        .to_string()
    }
}

/// A visitor's key: spread over all numbers, as real ones are.
fn key(day: i32, visitor: u64) -> u64 {
    (visitor + 1000 * day.unsigned_abs() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

async fn store(db: &Db, site: SiteId, hits: &[Hit]) {
    if hits.is_empty() {
        return;
    }
    let lines: Vec<String> = hits.iter().enumerate().map(|(n, hit)| hit.json(site, n)).collect();
    let mut insert = db.client().insert_formatted_with("INSERT INTO events FORMAT JSONEachRow");
    insert.send(lines.join("\n").into()).await.unwrap();
    insert.end().await.unwrap();
}

/// Events for which a condition of SQL holds are gone when this returns.
async fn remove_events(db: &Db, site: SiteId, condition: &str) {
    let sql = format!("ALTER TABLE events DELETE WHERE site = {{site:UInt64}} AND ({condition})");
    db.query(&sql).param("site", site).with_setting("mutations_sync", "2").execute().await.unwrap();
}

fn site() -> Site {
    Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap()
}

async fn server() -> Server {
    let server = Server::start().await;
    migrate::migrate(&server.db()).await.unwrap();
    server
}

/// Releases everything of a site that is due.
async fn seal(db: &Db, site: &Site) -> Vec<Done> {
    let mut done = Vec::new();
    Sealer::new(db.clone()).seal_site(site, AFTER, |d| done.push(d)).await.unwrap();
    done
}

/// The same number of visitors on each day, each of whom sees the home page and one of three others.
fn visitors(days: std::ops::Range<i32>, number: u64) -> Vec<Hit> {
    let hit = |day: i32, v: u64| {
        let fixed = Hit { city: (v % 2) as usize, source: (v % 3) as usize, ..Hit::on(day, v, "/") };
        [fixed.clone(), Hit { page: format!("/p/{}", v % 3), ..fixed }]
    };
    days.flat_map(|day| (1..=number).flat_map(move |v| hit(day, v))).collect()
}

/// The released count of a value.
fn count(lines: &[Line], period: Period, day: Date, dimension: &str, value: &str) -> Option<f64> {
    let day = Day::of(day).0;
    let of = |l: &&Line| l.period == period && l.day == day && l.dimension == dimension && !l.anonymous;
    let line = lines.iter().find(of)?;
    let at = line.values.iter().position(|v| v == value)?;
    Some(f64::from(line.counts[at]))
}

fn sigma(lines: &[Line], period: Period, dimension: &str) -> f64 {
    lines.iter().find(|l| l.period == period && l.dimension == dimension).unwrap().sigma
}

#[tokio::test]
async fn released_figures_are_near_the_truth_and_no_visitor_adds_more_than_allowed() {
    let server = server().await;
    let db = server.db();
    let site = site();
    let mut hits = visitors(0..3, 600);
    // One visitor with as many views as all others together, and hits without a visitor.
    hits.extend((0..1200).map(|_| Hit::on(0, 601, "/mine")));
    hits.extend((0..500).map(|_| Hit::on(0, 0, "/nobody")));
    store(&db, site.id, &hits).await;
    let done = seal(&db, &site).await;
    assert!(done.iter().any(|d| d.period == Period::Month && d.day == MONTH), "{done:?}");
    let lines = releases::lines(&db, site.id).await.unwrap();
    for (period, days) in [(Period::Day, 1.0), (Period::Month, 3.0)] {
        for (dimension, value, expected) in [
            ("visitors", "", 601.0),
            ("visits", "", 601.0),
            ("pageviews", "", 1200.0 + f64::from(archived::HITS_MAX)),
            ("source", "S1", 200.0),
            ("country", "DE", 301.0),
            ("page", "/", 600.0),
            ("page", "/p/2", 200.0),
            ("section", "/p", 600.0),
        ] {
            // The extra visitor comes on the first day only.
            let expected =
                if days > 1.0 { expected * days - (days - 1.0) * (expected % 100.0) } else { expected };
            let found = count(&lines, period, MONTH, dimension, value).unwrap_or(f64::NAN);
            let far = FAR * sigma(&lines, period, dimension);
            assert!(
                (found - expected).abs() <= far,
                "{period:?} {dimension} {value:?}: {found}, expected {expected} ± {far}"
            );
        }
        assert_eq!(count(&lines, period, MONTH, "page", "/mine"), None, "a page of one visitor");
    }
    let nobody =
        lines.iter().find(|l| l.anonymous && l.period == Period::Month && l.dimension == "page").unwrap();
    assert_eq!(nobody.values, ["/nobody"]);
    assert!((f64::from(nobody.counts[0]) - 500.0).abs() <= FAR * nobody.sigma);
    assert!(nobody.hits.is_empty());
    assert_eq!(verify::verify(&db, site.id).await.unwrap().flaws, Vec::<String>::new());
    server.engine.stop().await;
}

#[tokio::test]
async fn day_with_a_few_visitors_looks_like_one_without() {
    let server = server().await;
    let db = server.db();
    let site = site();
    store(&db, site.id, &visitors(3..4, 2)).await;
    seal(&db, &site).await;
    let lines = releases::lines(&db, site.id).await.unwrap();
    let of = |day: i32| {
        let day = Day::of(MONTH.saturating_add(day.days())).0;
        let of_day = lines.iter().filter(|l| l.period == Period::Day && l.day == day);
        of_day.map(|l| (l.dimension.clone(), l.values.clone(), l.sigma.to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(of(3), of(4));
    assert!(!of(3).is_empty() && of(3).iter().all(|(_, values, _)| values.is_empty()));
    server.engine.stop().await;
}

#[tokio::test]
async fn day_that_was_released_is_never_released_again() {
    let server = server().await;
    let db = server.db();
    let mut site = site();
    store(&db, site.id, &visitors(0..2, 300)).await;
    assert!(!releases::is_released(&db, site.id, MONTH).await.unwrap());
    seal(&db, &site).await;
    assert!(releases::is_released(&db, site.id, MONTH).await.unwrap());
    let before = releases::lines(&db, site.id).await.unwrap();
    // Late hits, a larger budget, another retention.
    store(&db, site.id, &visitors(0..2, 400)).await;
    for (epsilon, retention) in [(4, 90), (8, 90), (8, 20), (8, 760)] {
        (site.archive_epsilon, site.retention_days) = (epsilon, retention);
        let done = seal(&db, &site).await;
        let again = done.iter().filter(|d| d.day >= MONTH && d.day <= MONTH.last_of_month()).count();
        assert_eq!(again, 0, "epsilon {epsilon}, {retention} days");
    }
    let mut after = releases::lines(&db, site.id).await.unwrap();
    after.retain(|line| before.iter().any(|b| b.release == line.release));
    assert_eq!(before, after);
    assert_eq!(verify::verify(&db, site.id).await.unwrap().flaws, Vec::<String>::new());
    server.engine.stop().await;
}

#[tokio::test]
async fn day_whose_release_was_removed_is_said_to_wait() {
    let server = server().await;
    let db = server.db();
    let mut site = site();
    site.retention_days = 3;
    store(&db, site.id, &visitors(38..41, 100)).await;
    seal(&db, &site).await;
    let sealer = Sealer::new(db.clone());
    let said = async || {
        let report = verify::verify(&db, site.id).await.unwrap();
        assert_eq!(report.flaws, Vec::<String>::new());
        (report.last_day, sealer.waiting(&site, AFTER).await.unwrap())
    };
    assert_eq!(said().await, (Some("2026-04-10".to_owned()), 0));
    // The last of the chain: nothing comes after it that would name it.
    let remove = "ALTER TABLE archive DELETE WHERE site = {site:UInt64} AND day = {day:Date} SETTINGS mutations_sync = 2";
    db.query(remove).param("site", site.id).param("day", AFTER.to_string()).execute().await.unwrap();
    assert_eq!(said().await, (Some("2026-04-09".to_owned()), 1));
    server.engine.stop().await;
}

#[tokio::test]
async fn day_that_spent_its_budget_is_in_no_month() {
    let server = server().await;
    let db = server.db();
    let mut site = site();
    store(&db, site.id, &visitors(0..31, 100)).await;
    let mut sealer = Sealer::new(db.clone());
    // The first days get all of their budget, since their raw events were not to be kept long enough for a month.
    site.retention_days = archived::MONTHLY_RETENTION_MIN - 1;
    sealer.seal_site(&site, MONTH.saturating_add(4.days()), |_| {}).await.unwrap();
    site.retention_days = archived::MONTHLY_RETENTION_MIN + 30;
    let done = seal(&db, &site).await;
    assert!(done.iter().any(|d| d.day == MONTH.saturating_add(5.days())));
    assert!(!done.iter().any(|d| d.period == Period::Month && d.day == MONTH), "{done:?}");
    let report = verify::verify(&db, site.id).await.unwrap();
    assert_eq!(report.flaws, Vec::<String>::new());
    assert!(report.spent > 3.9 && report.spent <= 4.0, "{}", report.spent);
    server.engine.stop().await;
}

#[tokio::test]
async fn erasure_after_a_release_changes_nothing_of_it() {
    let server = server().await;
    let db = server.db();
    let site = site();
    store(&db, site.id, &visitors(0..1, 300)).await;
    seal(&db, &site).await;
    let before = releases::lines(&db, site.id).await.unwrap();
    remove_events(&db, site.id, &format!("visitor = {}", key(0, 7))).await;
    assert_eq!(seal(&db, &site).await, []);
    assert_eq!(releases::lines(&db, site.id).await.unwrap(), before);
    server.engine.stop().await;
}

#[tokio::test]
async fn release_that_was_cut_before_any_step_is_made_by_the_next_run_and_once() {
    let server = server().await;
    let db = server.db();
    let proxy = Proxy::start(&db.access().url);
    let mut cut = 0;
    loop {
        let mut site = site();
        site.retention_days = 3;
        store(&db, site.id, &visitors(39..41, 100)).await;
        proxy.cut_after(cut);
        let through = Db::new(Access { url: proxy.url(), ..db.access() });
        let ended = Sealer::new(through).seal_site(&site, AFTER, |_| {}).await;
        proxy.mend();
        assert_eq!(
            verify::verify(&db, site.id).await.unwrap().flaws,
            Vec::<String>::new(),
            "cut before step {cut}"
        );
        // The lock of a program that died is free after its lease; here another site's does not wait for it.
        let free =
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE 'archive_lock%'";
        for table in db.query(free).fetch_all::<String>().await.unwrap() {
            db.query("DROP TABLE {table:Identifier}").param("table", table).execute().await.unwrap();
        }
        seal(&db, &site).await;
        let report = verify::verify(&db, site.id).await.unwrap();
        assert_eq!((report.flaws, report.days), (Vec::new(), 3), "cut before step {cut}");
        match ended {
            Err(ArchiveError::Database(_) | ArchiveError::Goals(_) | ArchiveError::Lock(_)) => cut += 1,
            Ok(()) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(cut >= 12, "only {cut} steps of a release were cut");
    server.engine.stop().await;
}

#[tokio::test]
async fn removed_site_leaves_nothing_in_the_archive() {
    let server = server().await;
    let db = server.db();
    let (gone, stays) = (site(), site());
    for site in [&gone, &stays] {
        store(&db, site.id, &visitors(0..1, 100)).await;
        seal(&db, site).await;
    }
    releases::remove(&db, gone.id).await.unwrap();
    assert_eq!(releases::lines(&db, gone.id).await.unwrap(), []);
    assert!(!releases::lines(&db, stays.id).await.unwrap().is_empty());
    server.engine.stop().await;
}

#[test]
fn dimensions_of_the_archive_are_those_of_the_data_map() {
    let text = std::fs::read_to_string(sotto_tests::workspace().join("schema/datamap.toml")).unwrap();
    let map: toml::Table = text.parse().unwrap();
    let mapped = map["archive"].as_table().unwrap();
    let mut names: Vec<&str> = mapped.keys().map(String::as_str).collect();
    let mut kept: Vec<&str> = archived::KEPT.iter().map(|kept| kept.name).collect();
    names.sort_unstable();
    kept.sort_unstable();
    assert_eq!(names, kept);
    for field in mapped.values().map(|field| field.as_str().unwrap()) {
        assert!(sotto_schema::event::Field::ALL.iter().any(|f| f.name() == field), "{field} is no field");
    }
}

#[tokio::test]
async fn archive_has_no_column_for_a_visitor() {
    let server = server().await;
    let sql = "SELECT concat(table, '.', name) FROM system.columns WHERE database = currentDatabase() AND table LIKE 'archive%' ORDER BY name";
    let columns: Vec<String> = server.db().query(sql).fetch_all().await.unwrap();
    let expected = "anonymous counts day delta digest dimension epsilon hits hits_sigma monthly period previous release rho \
                    sigma site threshold values";
    let expected: Vec<String> = expected.split(' ').map(|name| format!("archive.{name}")).collect();
    assert_eq!(columns, expected);
    server.engine.stop().await;
}
