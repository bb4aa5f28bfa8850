//! Reports over sealed days: the same totals as before, whole leaves, and nothing between them.

use std::collections::BTreeMap;

use sotto_dashboard::{
    filter::Filters,
    range::Range,
    report::{Dimension, Metric, Query, Scope, Source, Table, run},
};

use super::*;

const METRICS: [Metric; 7] = Metric::ALL;

fn question(site: &Site, days: (i32, i32), by: Option<Dimension>, source: Source) -> Query {
    let range = Range::new(MONTH.saturating_add(days.0.days()), MONTH.saturating_add(days.1.days())).unwrap();
    let scope = Scope { site: site.id, time_zone: site.time_zone.clone() };
    Query {
        metrics: METRICS.to_vec(),
        by,
        limit: 10_000,
        source,
        ..Query::totals(scope, range, Filters::default())
    }
}

async fn ask(db: &Db, site: &Site, days: (i32, i32), by: Option<Dimension>, source: Source) -> Table {
    run(db, &question(site, days, by, source)).await.unwrap()
}

/// Visitors of each value.
fn visitors(table: &Table) -> BTreeMap<String, u64> {
    table.rows.iter().map(|r| (r.value.clone(), r.figures[0].unwrap() as u64)).collect()
}

/// The same on each day: 40 visitors with few pages and cities, and one of a kind.
fn month_of_hits(days: i32) -> Vec<Hit> {
    let mut hits = Vec::new();
    for day in 0..days {
        for v in 1..=40u64 {
            let n = v as usize + day as usize;
            let page = format!("/s{}/p{}", n % 3, (v * v + day as u64) % 17);
            hits.push(Hit { city: n * n % 23, source: n % 6, browser: n % 9, ..Hit::on(day, v, page) });
            hits.push(Hit {
                city: n * n % 23,
                source: n % 6,
                browser: n % 9,
                event: v % 9 == 0,
                ..Hit::on(day, v, "/")
            });
        }
        hits.push(Hit { city: 22, ..Hit::on(day, 41, format!("/only/{day}")) });
        hits.push(Hit::on(day, 0, "/s1/p1"));
    }
    hits
}

const ARCHIVED: [Dimension; 18] = [
    Dimension::Page,
    Dimension::EntryPage,
    Dimension::ExitPage,
    Dimension::Source,
    Dimension::Channel,
    Dimension::UtmSource,
    Dimension::UtmMedium,
    Dimension::UtmCampaign,
    Dimension::Country,
    Dimension::Region,
    Dimension::City,
    Dimension::Device,
    Dimension::Browser,
    Dimension::Os,
    Dimension::Screen,
    Dimension::Language,
    Dimension::Event,
    Dimension::Hour,
];

/// Sums of the counts of a table's rows: visits, pageviews, events.
fn sums(table: &Table) -> [f64; 3] {
    [1, 2, 6].map(|i| table.rows.iter().filter_map(|r| r.figures[i]).sum())
}

#[tokio::test]
async fn totals_are_the_same_before_and_after_a_seal() {
    let server = server().await;
    let db = server.db();
    let site = site(5);
    store(&db, site.id, &month_of_hits(6)).await;
    let periods = [(0, 30), (0, 0), (1, 4), (3, 40)];
    let mut before = Vec::new();
    for days in periods {
        let totals = ask(&db, &site, days, None, Source::Auto).await;
        assert_eq!(totals.origin.archive, [], "nothing is sealed");
        let mut lists = Vec::new();
        for by in ARCHIVED {
            lists.push(sums(&ask(&db, &site, days, Some(by), Source::Auto).await));
        }
        let by_day = ask(&db, &site, days, Some(Dimension::Day), Source::Auto).await;
        before.push((totals.rows, by_day.rows, lists));
    }
    // First the days, then the month, then without any raw event.
    for stage in 0..3 {
        match stage {
            0 => Sealer::new(db.clone())
                .seal_site(&site, MONTH.saturating_add(3.days()), |_| {})
                .await
                .unwrap(),
            1 => Sealer::new(db.clone()).seal_site(&site, AFTER, |_| {}).await.unwrap(),
            _ => {
                let sql = "ALTER TABLE events DELETE WHERE site = {site:UInt64}";
                let gone = db.query(sql).param("site", site.id).with_setting("mutations_sync", "2");
                gone.execute().await.unwrap();
            }
        }
        for (days, (totals, by_day, lists)) in periods.into_iter().zip(&before) {
            let now = ask(&db, &site, days, None, Source::Auto).await;
            assert_eq!(&now.rows, totals, "{days:?}, stage {stage}");
            assert!(!now.origin.archive.is_empty(), "{days:?}, stage {stage}");
            let now = ask(&db, &site, days, Some(Dimension::Day), Source::Auto).await;
            assert_eq!(&now.rows, by_day, "{days:?}, stage {stage}");
            for (by, sums_before) in ARCHIVED.into_iter().zip(lists) {
                let now = ask(&db, &site, days, Some(by), Source::Archive).await;
                // Pages without an event are no row of raw events, and may be in the rest.
                if by != Dimension::Event {
                    assert_eq!(&sums(&now), sums_before, "{by:?} {days:?}, stage {stage}");
                }
            }
        }
    }
    server.engine.stop().await;
}

#[tokio::test]
async fn differences_of_reports_tell_of_k_visitors_or_nobody() {
    let server = server().await;
    let db = server.db();
    let k = 5;
    let (site, _) = sealed(&db, 5, &month_of_hits(6)).await;
    let archive = async |days, by| visitors(&ask(&db, &site, days, Some(by), Source::Archive).await);
    let fine = |n: i64| n == 0 || n >= k;
    for by in ARCHIVED {
        let month = archive((0, 30), by).await;
        let mut of_days: BTreeMap<String, i64> = BTreeMap::new();
        for day in 0..6 {
            for (value, n) in archive((day, day), by).await {
                assert!(fine(n as i64), "{by:?} {value}: {n} visitors on day {day}");
                *of_days.entry(value).or_default() += n as i64;
            }
        }
        for (value, n) in &month {
            assert!(fine(*n as i64), "{by:?} {value}: {n} visitors in the month");
            // A month against its days; the rest of the month is no part of what its days folded.
            if value != "(rest)" && by != Dimension::Hour {
                let more = *n as i64 - of_days.get(value).copied().unwrap_or(0);
                assert!(fine(more), "{by:?} {value}: {more} visitors more in the month than on its days");
            }
        }
    }
    // A parent against its children: the cities of a country begin with its code.
    let (countries, cities) =
        (archive((0, 30), Dimension::Country).await, archive((0, 30), Dimension::City).await);
    for (country, n) in countries.iter().filter(|(c, _)| *c != "(rest)") {
        let inside: u64 =
            cities.iter().filter(|(c, _)| c.starts_with(country.as_str())).map(|(_, n)| n).sum();
        assert!(fine(*n as i64 - inside as i64), "{country}: {n} visitors, {inside} in its cities");
    }
    server.engine.stop().await;
}

#[tokio::test]
async fn filter_reads_raw_events_and_says_when_they_are_gone() {
    let server = server().await;
    let db = server.db();
    let (site, _) = sealed(&db, 5, &month_of_hits(3)).await;
    let filters = Filters::parse(["country:is:DE"]);
    let query = Query { filters, ..question(&site, (0, 30), None, Source::Archive) };
    let table = run(&db, &query).await.unwrap();
    assert_eq!((table.origin.archive.len(), table.origin.missing.len()), (0, 0));
    assert!(table.rows[0].figures[0].unwrap() > 0.0);
    let sql = "ALTER TABLE events DELETE WHERE site = {site:UInt64} AND day < '2026-03-03'";
    db.query(sql).param("site", site.id).with_setting("mutations_sync", "2").execute().await.unwrap();
    let table = run(&db, &query).await.unwrap();
    let missing = Range::new(MONTH, MONTH.saturating_add(1.days())).unwrap();
    assert_eq!(table.origin.missing, [missing]);
    assert!(table.origin.sentence().unwrap().contains("1 – 2 Mar 2026 not included"));
    server.engine.stop().await;
}

#[tokio::test]
async fn list_that_was_folded_is_read_from_raw_events_while_they_are_there() {
    let server = server().await;
    let db = server.db();
    let (site, _) = sealed(&db, 5, &month_of_hits(3)).await;
    let page = async |source| ask(&db, &site, (0, 5), Some(Dimension::Page), source).await;
    let (auto, archive) = (page(Source::Auto).await, page(Source::Archive).await);
    assert_eq!(auto.origin.archive, []);
    assert!(auto.rows.iter().any(|r| r.value == "/only/1"));
    assert!(archive.origin.folded.pageviews > 0);
    assert!(!archive.rows.iter().any(|r| r.value == "/only/1"));
    let sql = "ALTER TABLE events DELETE WHERE site = {site:UInt64}";
    db.query(sql).param("site", site.id).with_setting("mutations_sync", "2").execute().await.unwrap();
    assert_eq!(page(Source::Auto).await, archive);
    server.engine.stop().await;
}
