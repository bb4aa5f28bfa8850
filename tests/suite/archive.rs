//! The archive: sealed from random and hostile sites, proven from what is stored, attacked, and cut at every step.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{ToSpan, civil::Date};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sotto_collector::archive::{
    ArchiveError, Sealer,
    verify::{self, HEADS, Month, Report},
};
use sotto_schema::{id::SiteId, policy::Preset, site::Site};
use sotto_store::{
    db::{Access, Db},
    migrate, seals,
};
use sotto_tests::Proxy;

use crate::schema::Server;

mod interrupted;
mod reports;

/// The month in which events of the tests happen, and a day on which it can be sealed. The real program, which removes
/// what is old by its own clock, has a month of its own: `interrupted::month_before_last`.
const MONTH: Date = jiff::civil::date(2026, 3, 1);
const AFTER: Date = jiff::civil::date(2026, 4, 10);

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

fn site(k: u8) -> Site {
    let mut site = Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap();
    site.archive_k = k;
    site
}

async fn server() -> Server {
    let server = Server::start().await;
    migrate::migrate(&server.db()).await.unwrap();
    server
}

/// Seals a site with these hits, and checks it.
async fn sealed(db: &Db, k: u8, hits: &[Hit]) -> (Site, Report) {
    let site = site(k);
    store(db, site.id, hits).await;
    Sealer::new(db.clone()).seal_site(&site, AFTER, |_| {}).await.unwrap();
    let report = verify::verify(db, site.id).await.unwrap();
    (site, report)
}

/// What the raw events say: visitors, visits and pageviews of each day.
fn truth(hits: &[Hit]) -> BTreeMap<Date, [u64; 3]> {
    let mut days: BTreeMap<i32, (BTreeSet<u64>, u64)> = BTreeMap::new();
    for hit in hits {
        let day = days.entry(hit.day).or_default();
        if hit.visitor != 0 {
            day.0.insert(hit.visitor);
        }
        day.1 += u64::from(!hit.event);
    }
    let row = |(day, (visitors, views)): (i32, (BTreeSet<u64>, u64))| {
        let n = visitors.len() as u64;
        (MONTH.saturating_add(day.days()), [n, n, views])
    };
    days.into_iter().map(row).collect()
}

/// The totals of the days as they are stored.
fn totals(month: &Month) -> BTreeMap<Date, [u64; 3]> {
    let of_site = month.totals.iter().filter(|t| t.dimension.is_empty());
    of_site.map(|t| (t.day, [t.counts[1], t.counts[2], t.counts[3]])).collect()
}

/// Hits of days with some visitors each, who see some pages each.
fn any_site() -> impl Strategy<Value = Vec<Hit>> {
    let day = (0..31, 0..40u64, 1..30usize, any::<u64>(), 0..3u8);
    proptest::collection::vec(day, 1..8).prop_map(|days| {
        let mut hits = Vec::new();
        for (day, visitors, pages, seed, anonymous) in days {
            let mut random = fastrand::Rng::with_seed(seed);
            for visitor in 1..=visitors {
                let fixed = (random.usize(..9), random.usize(..5), random.usize(..6));
                for _ in 0..=random.u32(..3) {
                    let page = random.usize(..pages).min(random.usize(..pages));
                    let page = format!("/s{}/p{page}", page % 4);
                    hits.push(Hit {
                        city: fixed.0,
                        source: fixed.1,
                        browser: fixed.2,
                        event: random.u8(..12) == 0,
                        ..Hit::on(day, visitor, page)
                    });
                }
            }
            let nobody = (0..anonymous).map(|n| Hit::on(day, 0, format!("/s0/p{}", n * 9)));
            hits.extend(nobody);
        }
        hits
    })
}

#[test]
fn archive_of_any_site_proves_itself_and_has_the_exact_totals() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(server());
    let db = server.db();
    let mut runner = TestRunner::new(Config {
        cases: 24,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&(any_site(), 2..=20u8), |(hits, k)| {
            runtime.block_on(async {
                let (site, report) = sealed(&db, k, &hits).await;
                prop_assert_eq!(&report.flaws, &Vec::<String>::new());
                let month = verify::read_month(&db, site.id, MONTH).await.unwrap();
                prop_assert_eq!(totals(&month), truth(&hits));
                prop_assert_eq!(month.waiting, 0);
                prop_assert_eq!(attack(&month, u64::from(k)), Vec::<String>::new());
                Ok(())
            })
        })
        .unwrap();
    runtime.block_on(server.engine.stop());
}

/// What somebody with the whole archive can work out about fewer than k visitors: of every set of days, what they have
/// beside their leaves, less all leaves of the month that are known to lie in them. A value that is a leaf of a day lies,
/// in the month, in other days.
fn attack(month: &Month, k: u64) -> Vec<String> {
    let mut found = Vec::new();
    for (dimension, ..) in verify::DIMENSIONS {
        let leaves: Vec<_> = month.leaves.iter().filter(|l| l.dimension == dimension).collect();
        let left: Vec<(Date, u64, bool)> = month
            .totals
            .iter()
            .filter(|t| t.dimension == dimension)
            .map(|total| {
                let of_day: Vec<_> = leaves.iter().filter(|l| l.day == Some(total.day)).collect();
                let taken = |i: usize| of_day.iter().map(|l| l.counts[i]).sum::<u64>();
                let empty = (0..verify::COUNTS).all(|i| total.counts[i] == taken(i));
                (total.day, total.counts[HEADS] - taken(HEADS), empty)
            })
            .filter(|(_, _, empty)| !empty)
            .map(|(day, heads, _)| (day, heads, leaves.iter().any(|l| l.day == Some(day))))
            .collect();
        for chosen in 1u32..(1 << left.len()) {
            let inside =
                |day: Date| left.iter().position(|(d, ..)| *d == day).is_some_and(|i| chosen >> i & 1 == 1);
            let lies_inside = |leaf: &&&verify::Leaf| {
                let on: Vec<Date> =
                    leaves.iter().filter(|l| l.path == leaf.path).filter_map(|l| l.day).collect();
                leaf.day.is_none() && left.iter().all(|(day, ..)| inside(*day) || on.contains(day))
            };
            let known: Vec<_> = leaves.iter().filter(lies_inside).collect();
            let heads: u64 = left.iter().filter(|(d, ..)| inside(*d)).map(|(_, heads, _)| heads).sum();
            let taken: u64 = known.iter().map(|l| l.counts[HEADS]).sum();
            // Sums of whole days are published.
            let whole = known.is_empty() && left.iter().all(|(d, _, leaves)| !inside(*d) || !leaves);
            let all = chosen == (1 << left.len()) - 1;
            let rest = heads.saturating_sub(taken);
            if !whole && rest < k && !(all && rest == 0) {
                found.push(format!("{dimension}: {rest} visitors in days {chosen:b}"));
            }
        }
    }
    found
}

/// Sites on which a careless archive tells of single visitors.
fn hostile(k: u64) -> Vec<(&'static str, Vec<Hit>)> {
    let day = |day, n: u64, page: &str| (1..=n).map(|v| Hit::on(day, v, page)).collect::<Vec<_>>();
    // On the last day the page has k + 1 visitors, but one other visitor needs it folded: its leaf of the month is
    // then known to lie in that day.
    let mut folded: Vec<Hit> = (0..10).flat_map(|d| day(d, 3 * k, "/a/launch")).collect();
    folded.extend(day(10, k + 1, "/a/launch"));
    folded.push(Hit::on(10, 900, "/b/alone"));
    folded.extend(day(11, 3 * k, "/a/launch"));
    folded.extend((0..k).map(|v| Hit::on(11, 800 + v, format!("/c/{v}"))));
    // A value with k visitors on all days but one, on which it has fewer.
    let mut partial: Vec<Hit> = (0..6).flat_map(|d| day(d, 2 * k, "/a/x")).collect();
    partial.extend((6..10).flat_map(|d| day(d, k - 1, "/a/x")));
    partial.extend((0..10).map(|d| Hit::on(d, 700, "/a/rare")));
    vec![
        ("nothing", Vec::new()),
        ("one visitor a day", (0..6).flat_map(|d| day(d, 1, "/a/x")).collect()),
        ("one giant page", day(3, 50 * k, "/a/x")),
        ("all unique", (1..=6 * k).map(|v| Hit::on(3, v, format!("/s{v}/p{v}"))).collect()),
        ("k - 1 visitors in all", day(3, k - 1, "/a/x")),
        ("k visitors in all", day(3, k, "/a/x")),
        ("only anonymous hits", (0..30).map(|n| Hit::on(n % 4, 0, "/a/x")).collect()),
        ("one visitor with many pages", (0..30).map(|n| Hit::on(2, 1, format!("/a/{n}"))).collect()),
        ("a value that is folded on one day", folded),
        ("a value that is small on some days", partial),
    ]
}

#[tokio::test]
async fn hostile_sites_tell_of_nobody() {
    let server = server().await;
    let db = server.db();
    for k in [2u8, 5] {
        for (what, hits) in hostile(u64::from(k)) {
            let (site, report) = sealed(&db, k, &hits).await;
            assert_eq!(report.flaws, Vec::<String>::new(), "{what}, k = {k}");
            let month = verify::read_month(&db, site.id, MONTH).await.unwrap();
            assert_eq!(totals(&month), truth(&hits), "{what}, k = {k}");
            assert_eq!(attack(&month, u64::from(k)), Vec::<String>::new(), "{what}, k = {k}");
            assert!(report.fewest.is_none_or(|f| f >= u64::from(k)), "{what}, k = {k}");
        }
    }
    server.engine.stop().await;
}

/// All of a month of an archive but the numbers of its seals.
async fn contents(db: &Db, site: &Site, month: Date) -> (Vec<String>, Vec<String>) {
    let month = verify::read_month(db, site.id, month).await.unwrap();
    let mut leaves: Vec<String> = month
        .leaves
        .iter()
        .map(|l| format!("{} {:?} {:?} {} {:?}", l.dimension, l.day, l.path, l.people, l.counts))
        .collect();
    let mut totals: Vec<String> =
        month.totals.iter().map(|t| format!("{} {} {:?}", t.dimension, t.day, t.counts)).collect();
    leaves.sort_unstable();
    totals.sort_unstable();
    (leaves, totals)
}

#[tokio::test]
async fn seal_that_was_cut_before_any_step_is_made_whole_by_the_next() {
    let server = server().await;
    let db = server.db();
    let hits: Vec<Hit> = (0..3)
        .flat_map(|d| {
            (1..=20).map(move |v| Hit::on(d, v, format!("/a/{}", (v + d.unsigned_abs() as u64) % 4)))
        })
        .collect();
    let (whole, _) = sealed(&db, 5, &hits).await;
    let expected = contents(&db, &whole, MONTH).await;
    let proxy = Proxy::start(&db.access().url);
    let mut cut = 0;
    loop {
        let site = site(5);
        store(&db, site.id, &hits).await;
        proxy.cut_after(cut);
        let through = Db::new(Access { url: proxy.url(), ..db.access() });
        let ended = Sealer::new(through).seal_site(&site, AFTER, |_| {}).await;
        proxy.mend();
        let mut report = verify::verify(&db, site.id).await.unwrap();
        // What nobody reads may be left over until the next seal.
        report.flaws.retain(|flaw| !flaw.contains("small cells wait"));
        assert_eq!(report.flaws, Vec::<String>::new(), "cut before step {cut}");
        Sealer::new(db.clone()).seal_site(&site, AFTER, |_| {}).await.unwrap();
        assert_eq!(contents(&db, &site, MONTH).await, expected, "cut before step {cut}");
        assert_eq!(
            verify::read_month(&db, site.id, MONTH).await.unwrap().waiting,
            0,
            "cut before step {cut}"
        );
        match ended {
            Err(ArchiveError::Database(_) | ArchiveError::Goals(_)) => cut += 1,
            Ok(()) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(cut > 12, "a seal writes more than {cut} times");
    server.engine.stop().await;
}

#[tokio::test]
async fn sealed_day_says_so_and_is_not_sealed_again() {
    let server = server().await;
    let db = server.db();
    let hits: Vec<Hit> = (1..=8).map(|v| Hit::on(0, v, "/")).collect();
    let (site, _) = sealed(&db, 5, &hits).await;
    assert!(seals::is_sealed(&db, site.id, MONTH).await.unwrap());
    let other = MONTH.saturating_add(1.month());
    assert!(!seals::is_sealed(&db, site.id, other).await.unwrap());
    let tomorrow = MONTH.saturating_add(1.day());
    assert!(seals::is_sealed(&db, site.id, tomorrow).await.unwrap(), "its month is sealed");
    let mut again = 0;
    Sealer::new(db.clone()).seal_site(&site, AFTER, |_| again += 1).await.unwrap();
    assert_eq!(again, 0);
    server.engine.stop().await;
}

#[tokio::test]
async fn late_events_join_the_month_from_k_visitors_on_and_wait_below() {
    let server = server().await;
    let db = server.db();
    let k = 5;
    for late in [k - 1, k] {
        let site = site(5);
        store(&db, site.id, &(1..=8).map(|v| Hit::on(0, v, "/")).collect::<Vec<_>>()).await;
        let mut sealer = Sealer::new(db.clone());
        sealer.seal_site(&site, MONTH.saturating_add(1.day()), |_| {}).await.unwrap();
        store(&db, site.id, &(0..late).map(|v| Hit::on(0, 100 + v, "/late")).collect::<Vec<_>>()).await;
        sealer.seal_site(&site, AFTER, |_| {}).await.unwrap();
        let month = verify::read_month(&db, site.id, MONTH).await.unwrap();
        let seal = month.seals.iter().find(|s| s.period == seals::Period::Month).unwrap().seal;
        let told: Vec<u64> =
            month.totals.iter().filter(|t| t.seal == seal).map(|t| t.counts[HEADS]).collect();
        assert_eq!(told, if late < k { vec![] } else { vec![k] }, "{late} late visitors");
        // Another one who comes late to the next month makes up for what was missing.
        store(&db, site.id, &(1..=8).map(|v| Hit::on(31, v, "/")).collect::<Vec<_>>()).await;
        sealer.seal_site(&site, MONTH.saturating_add(32.days()), |_| {}).await.unwrap();
        store(&db, site.id, &[Hit::on(31, 200, "/late")]).await;
        sealer.seal_site(&site, AFTER.saturating_add(1.month()), |_| {}).await.unwrap();
        let next = verify::read_month(&db, site.id, MONTH.saturating_add(1.month())).await.unwrap();
        let seal = next.seals.iter().find(|s| s.period == seals::Period::Month).unwrap().seal;
        let told: Vec<u64> = next.totals.iter().filter(|t| t.seal == seal).map(|t| t.counts[HEADS]).collect();
        assert_eq!(told, if late < k { vec![k] } else { vec![] }, "{late} late visitors, then one");
        assert_eq!(verify::verify(&db, site.id).await.unwrap().flaws, Vec::<String>::new());
    }
    server.engine.stop().await;
}

#[tokio::test]
async fn changed_archive_is_found_out() {
    let server = server().await;
    let db = server.db();
    let hits: Vec<Hit> = (0..4)
        .flat_map(|d| {
            (1..=40).map(move |v| Hit { city: v as usize % 5, ..Hit::on(d, v, format!("/a/{}", v % 13)) })
        })
        .collect();
    let (site, report) = sealed(&db, 5, &hits).await;
    assert_eq!(report.flaw_count, 0);
    let whole = verify::read_month(&db, site.id, MONTH).await.unwrap();
    type Change = fn(&mut Month);
    let changes: [(&str, Change); 6] = [
        ("a leaf is gone", |m| drop(m.leaves.remove(0))),
        ("a leaf is there twice", |m| m.leaves.push(m.leaves[0].clone())),
        ("a leaf counts one more", |m| m.leaves[0].counts[3] += 1),
        ("a leaf has k - 1 people", |m| {
            if let Some(l) = m.leaves.iter_mut().find(|l| !l.path.is_empty()) {
                l.people = 4;
            }
        }),
        ("a total is gone", |m| m.totals.retain(|t| t.dimension != "place")),
        ("a cell waits", |m| m.waiting = 1),
    ];
    for (what, change) in changes {
        let (mut month, mut report) = (whole.clone(), Report::default());
        change(&mut month);
        verify::check(&month, &mut report);
        assert!(report.flaw_count > 0, "{what}");
    }
    server.engine.stop().await;
}

#[test]
fn dimensions_of_the_archive_are_those_of_the_data_map() {
    let text = std::fs::read_to_string(sotto_tests::workspace().join("schema/datamap.toml")).unwrap();
    let map: toml::Table = text.parse().unwrap();
    let mapped: Vec<(String, Vec<String>, bool)> = map["archive"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| {
            let levels = d["levels"].as_array().unwrap().iter().map(|l| l.as_str().unwrap().to_owned());
            (d["dimension"].as_str().unwrap().to_owned(), levels.collect(), d["once"].as_bool().unwrap())
        })
        .collect();
    let found: Vec<(&str, usize, bool)> =
        mapped.iter().map(|(n, l, once)| (n.as_str(), l.len(), *once)).collect();
    assert_eq!(found, verify::DIMENSIONS);
    let made = ["section", "goal", "hour"];
    for level in mapped.iter().flat_map(|(_, levels, _)| levels) {
        let known = sotto_schema::event::Field::ALL.iter().any(|f| f.name() == level);
        assert!(known || made.contains(&level.as_str()), "{level} is no field");
    }
}

#[tokio::test]
async fn archive_has_no_column_for_a_visitor() {
    let server = server().await;
    let sql = "SELECT DISTINCT name FROM system.columns WHERE database = currentDatabase() AND table LIKE 'archive%' ORDER BY name";
    let columns: Vec<String> = server.db().query(sql).fetch_all().await.unwrap();
    let expected = "bounces day dimension engaged_ms entries events heads k leaf measured_views month pageviews path people \
                    period rows seal sealed site visitors visits";
    assert_eq!(columns.join(" "), expected);
    server.engine.stop().await;
}
