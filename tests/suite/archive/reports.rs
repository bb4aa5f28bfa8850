//! Reports over released days: near the truth, rounded, whole, and nothing where raw events are gone and a filter needs them.

use std::collections::BTreeMap;

use sotto_dashboard::{
    filter::Filters,
    range::Range,
    report::{Dimension, Metric, Query, Reports, Scope, Source, Table, run},
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
    run(&Reports::new(db.clone()), &question(site, days, by, source)).await.unwrap()
}

fn sum(table: &Table, metric: Metric) -> f64 {
    let at = METRICS.iter().position(|m| *m == metric).unwrap();
    table.rows.iter().filter_map(|r| r.figures[at]).sum()
}

#[tokio::test]
async fn archived_report_is_near_the_one_from_raw_events_and_says_how_near() {
    let server = server().await;
    let db = server.db();
    let site = site();
    store(&db, site.id, &visitors(0..6, 400)).await;
    let dimensions: Vec<Dimension> = Dimension::ALL.into_iter().filter(|d| d.is_archived()).collect();
    let periods = [(0, 30), (0, 0), (1, 4), (3, 40)];
    let mut before = Vec::new();
    for days in periods {
        let totals = ask(&db, &site, days, None, Source::Auto).await;
        assert_eq!(totals.origin.archive, [], "nothing is released");
        let mut lists = BTreeMap::new();
        for by in &dimensions {
            lists.insert(by.name(), ask(&db, &site, days, Some(*by), Source::Raw).await);
        }
        before.push((totals, lists));
    }
    seal(&db, &site).await;
    remove_events(&db, site.id, "true").await;
    for (days, (totals, lists)) in periods.into_iter().zip(&before) {
        let now = ask(&db, &site, days, None, Source::Auto).await;
        assert!(!now.origin.archive.is_empty(), "{days:?}");
        let margin = now.origin.margin;
        assert!(margin.visitors > 0 && margin.hits > margin.visitors, "{days:?}: {margin:?}");
        for (metric, margin) in [(Metric::Visitors, margin.visitors), (Metric::Pageviews, margin.hits)] {
            let (now, before) = (sum(&now, metric), sum(totals, metric));
            // Four times what 95 of 100 do not pass.
            assert!(
                (now - before).abs() <= 4.0 * margin as f64 + 10.0,
                "{metric:?} {days:?}: {now}, {before} ± {margin}"
            );
        }
        for by in &dimensions {
            let table = ask(&db, &site, days, Some(*by), Source::Archive).await;
            let exact = &lists[by.name()];
            let margin = table.origin.margin;
            for row in table.rows.iter().filter(|row| row.value != "(rest)") {
                let before = exact.rows.iter().find(|r| r.value == row.value);
                let before = before.unwrap_or_else(|| panic!("{by:?}: {} was not there", row.value)).figures
                    [0]
                .unwrap();
                let found = row.figures[0].unwrap();
                assert!(
                    (found - before).abs() <= 4.0 * margin.visitors as f64 + 10.0,
                    "{by:?} {}: {found}, {before} ± {margin:?}",
                    row.value
                );
                assert_eq!(row.figures[1], None, "{by:?}: visits of a value are not archived");
            }
        }
    }
    // Sources of a month: all three have their own row, and rounding leaves round figures.
    let table = ask(&db, &site, (0, 30), Some(Dimension::Source), Source::Archive).await;
    assert!(table.rows.iter().filter(|row| row.value != "(rest)").count() == 3, "{table:?}");
    let step = table.origin.margin.visitors as f64 / 5.0;
    assert!(
        table.rows.iter().all(|row| row.figures[0].unwrap() % step.log10().floor().exp10() == 0.0),
        "{table:?}"
    );
    server.engine.stop().await;
}

trait Exp10 {
    fn exp10(self) -> f64;
}

impl Exp10 for f64 {
    fn exp10(self) -> f64 {
        10f64.powf(self)
    }
}

#[tokio::test]
async fn days_of_a_whole_month_and_its_rest_add_up_to_the_month() {
    let server = server().await;
    let db = server.db();
    let site = site();
    // So few visitors that no day has a total of its own, but the month has.
    store(&db, site.id, &visitors(0..31, 12)).await;
    seal(&db, &site).await;
    remove_events(&db, site.id, "true").await;
    let by_day = ask(&db, &site, (0, 30), Some(Dimension::Day), Source::Auto).await;
    let total = ask(&db, &site, (0, 30), None, Source::Auto).await;
    assert_eq!(sum(&by_day, Metric::Visitors), sum(&total, Metric::Visitors));
    let visitors = sum(&total, Metric::Visitors);
    assert!((visitors - 372.0).abs() < 120.0, "{visitors}");
    assert!(by_day.rows.iter().any(|row| row.value == "(rest)"), "{by_day:?}");
    server.engine.stop().await;
}

#[tokio::test]
async fn raw_events_are_read_as_long_as_they_are_there() {
    let server = server().await;
    let db = server.db();
    let site = site();
    store(&db, site.id, &visitors(0..6, 200)).await;
    let before = ask(&db, &site, (0, 5), Some(Dimension::Page), Source::Auto).await;
    seal(&db, &site).await;
    let after = ask(&db, &site, (0, 5), Some(Dimension::Page), Source::Auto).await;
    assert_eq!((before.rows, after.origin.archive.len()), (after.rows, 0));
    remove_events(&db, site.id, "day < '2026-03-03'").await;
    let mixed = ask(&db, &site, (0, 5), Some(Dimension::Page), Source::Auto).await;
    let gone = Range::new(MONTH, MONTH.saturating_add(1.days())).unwrap();
    assert_eq!(mixed.origin.archive, [gone]);
    assert!(mixed.origin.sentence().unwrap().contains("rounded"), "{:?}", mixed.origin.sentence());
    server.engine.stop().await;
}

#[tokio::test]
async fn filter_reads_raw_events_and_says_when_they_are_gone() {
    let server = server().await;
    let db = server.db();
    let site = site();
    store(&db, site.id, &visitors(0..3, 100)).await;
    seal(&db, &site).await;
    let filters = Filters::parse(["country:is:DE"]);
    let query = Query { filters, ..question(&site, (0, 2), None, Source::Archive) };
    let table = run(&Reports::new(db.clone()), &query).await.unwrap();
    assert_eq!((table.origin.archive.len(), table.origin.missing.len()), (0, 0));
    assert!(table.rows[0].figures[0].unwrap() > 0.0);
    remove_events(&db, site.id, "day < '2026-03-03'").await;
    let table = run(&Reports::new(db.clone()), &query).await.unwrap();
    let missing = Range::new(MONTH, MONTH.saturating_add(1.days())).unwrap();
    assert_eq!(table.origin.missing, [missing]);
    assert!(table.origin.sentence().unwrap().contains("1 – 2 Mar 2026 not included"));
    server.engine.stop().await;
}
