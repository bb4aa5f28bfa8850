//! Hours of the week, counted without ClickHouse.

use std::collections::{HashMap, HashSet};

use jiff::ToSpan;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sotto_dashboard::{
    filter::Filters,
    report::{Metric, Source, Sources, week::week},
};
use sotto_schema::id::SiteId;

use super::{FIRST, Hit, ZONE, anew, any_hit, passed, question, runtime, server, settle, store};

/// Weekday from Monday on, and hour, by the clock of the site.
fn hour_of_week(hit: &Hit) -> (usize, usize) {
    let day = FIRST.saturating_add(hit.day.days()).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    let local = day.saturating_add(i64::from(hit.minute).minutes()).in_tz(ZONE).unwrap();
    (local.weekday().to_monday_zero_offset() as usize, local.hour() as usize)
}

#[test]
fn hours_of_the_week_are_a_count_of_the_hits_in_a_zone_with_half_hours_and_a_change_of_clocks() {
    let runtime = runtime();
    let server = runtime.block_on(server());
    let db = server.db();
    // Of hits before half past one in the afternoon the day of the site is that of UTC.
    let hit = any_hit().prop_map(|hit| Hit { kind: 0, minute: hit.minute % 780, ..hit });
    let hits = proptest::collection::vec(hit, 1..60);
    let mut runner = TestRunner::new(Config { cases: 12, max_shrink_iters: 60, ..Config::default() });
    passed(runner.run(&hits, |hits| {
        runtime.block_on(async {
            let site = SiteId::random().unwrap();
            store(&db, site, &hits, 0).await;
            let later = FIRST.saturating_add(9.days()).in_tz(ZONE).unwrap();
            let mut views: HashMap<(usize, usize), u64> = HashMap::new();
            let mut visitors = HashSet::new();
            for hit in &hits {
                *views.entry(hour_of_week(hit)).or_default() += 1;
                if hit.visitor != 0 {
                    visitors.insert((hour_of_week(hit), hit.day, hit.visitor));
                }
            }
            for settled in [false, true] {
                if settled {
                    settle(&db, site).await;
                }
                let query = question(site, Filters::default(), Source::Auto);
                let db = anew(&db);
                let sources = Sources::of(&db, &query.scope, query.range).await.unwrap();
                let week = week(&db, &sources, &query, &later).await.unwrap();
                for (hour, cells) in week.hours.iter().enumerate() {
                    for (day, cell) in cells.iter().enumerate() {
                        let here = visitors.iter().filter(|(at, ..)| *at == (day, hour)).count() as u64;
                        let expected = [views.get(&(day, hour)).copied().unwrap_or(0), here];
                        let found = [cell.sum(Metric::Pageviews), cell.sum(Metric::Visitors)];
                        prop_assert_eq!(found, expected, "{} {}, settled: {}", day, hour, settled);
                    }
                }
            }
            Ok(())
        })
    }));
}
