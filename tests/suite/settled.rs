//! Settled days: every report is the same from them as from raw events, whatever happens to the raw events.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{ToSpan, civil::Date};
use proptest::{
    prelude::*,
    test_runner::{Config, TestError, TestRunner},
};
use serde_json::json;
use sotto_dashboard::{
    filter::{Filter, Filters, Verb},
    range::Range,
    report::{
        Answer, Counts, Dimension, List, Metric, Query, Reports, Scope, Source, Sources, Told,
        details::{Details, VITALS_BY},
        goals, lists,
    },
};
use sotto_schema::{
    day::Day,
    id::{GoalId, SiteId, VisitorKey},
    policy::Preset,
    site::Site,
};
use sotto_store::{
    db::{Access, Db},
    goal::{Goal, Kind},
    migrate, retention,
    rights::{self, DayKey, Shown},
    settled::{self, Days},
    sites,
};
use sotto_tests::{Noon, Sotto, UTC, request, wait_for};

use crate::{reports, schema::Server};

mod chosen;
mod told;
mod week;

use chosen::any_field_of_visits;
use told::told_by;

/// The first day with events.
pub(crate) const FIRST: Date = jiff::civil::date(2026, 3, 27);
/// How many days have events; summer time begins on one of them.
const DAYS: i32 = 4;
/// A zone in which hours do not begin with those of UTC.
pub(crate) const ZONE: &str = "Australia/Adelaide";
pub(crate) const KINDS: [&str; 7] =
    ["pageview", "pageview", "pageview", "engagement", "custom", "vitals", "click"];

/// A hit; numbers choose from small lists, so that values meet.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) day: i32,
    /// 0 is nobody.
    pub(crate) visitor: u64,
    pub(crate) session: u64,
    pub(crate) minute: u32,
    pub(crate) kind: usize,
    pub(crate) page: u8,
    /// Fields that usually stay the same during a visit, and sometimes do not.
    pub(crate) field: u8,
    pub(crate) consent: u8,
}

pub(crate) fn any_hit() -> impl Strategy<Value = Hit> {
    let who = prop_oneof![1 => Just((0, 0)), 6 => (0..6u64, 1..4u64)];
    (0..DAYS, who, 0..1440u32, 0..KINDS.len(), 0..5u8, 0..4u8, 0..8u8).prop_map(
        |(day, (visitor, session), minute, kind, page, field, consent)| Hit {
            day,
            visitor,
            session,
            minute,
            kind,
            page,
            field,
            consent,
        },
    )
}

/// The name of an event; empty if it has none.
pub(crate) fn name(hit: &Hit) -> &'static str {
    let names = match (KINDS[hit.kind], hit.page) {
        ("custom", 2 | 3) => ["outbound", "Outbound link", "outbound", "Outbound Link: Click"],
        ("custom", 4) => ["download", "File download", "download", "File Download"],
        ("custom", _) => ["Sign up", "Order", "Sign up", "Play"],
        _ => [""; 4],
    };
    names[usize::from(hit.field)]
}

/// Rows of `events`; `n` tells hits of one millisecond apart.
fn row(site: SiteId, hit: &Hit, n: usize) -> String {
    let day = FIRST.saturating_add(hit.day.days());
    let key = |number: u64| match number {
        0 => 0,
        number => (number + 100 * hit.day.unsigned_abs() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
    };
    let session = if hit.session == 0 { 0 } else { key(hit.session + 10 * (hit.visitor + 1)) };
    let choose = |values: [&'static str; 4]| values[usize::from(hit.field)];
    let kind = KINDS[hit.kind];
    let url = choose(["", "https://b.example/", "/a.pdf", "/a.pdf"]);
    let more = json!({
        "utm_content": choose(["", "", "red", "blue"]), "utm_term": choose(["", "", "rooms", ""]),
        "click_id": choose(["", "", "gclid", "msclkid"]),
        "asn": ([0, 0, 64500, 64501][usize::from(hit.field)]), "network": choose(["", "", "", "Net"]),
        "network_kind": choose(["unknown", "unknown", "consumer", "hosting"]),
        "browser_version": choose(["132", "", "", "131"]), "os_version": choose(["6", "", "18", "17"]),
        "props": if url.is_empty() { json!({}) } else { json!({"url": url}) },
        "scroll": if kind == "engagement" { scroll(hit) } else { 0 },
        "revenue": if kind == "custom" { worth(hit) } else { 0 },
        "currency": if kind == "custom" && worth(hit) > 0 { "EUR" } else { "" },
        "lcp_ms": if kind == "vitals" { lcp_ms(hit) } else { 0 },
        "cls_milli": if kind == "vitals" { 1 + hit.minute % 300 } else { 0 },
        "click_path": if kind == "click" { clicked(hit) } else { Vec::new() },
    });
    let mut row = json!({
        "site": site.to_string(), "day": day.to_string(), "expires": "2099-01-01",
        // Vitals of a page view are sent again and again, which only their moments tell apart.
        "time": format!("{day} {:02}:{:02}:00.{:03}", hit.minute / 60, hit.minute % 60, if kind == "vitals" { 1 + n % 900 } else { 0 }),
        "kind": kind, "tier": if session == 0 { "minimal" } else { "full" },
        "granted": hit.consent & 4, "refused": (hit.consent & 2) * 2, "gpc": hit.consent & 1 == 1,
        "hostname": if hit.page == 4 || hit.field == 3 { "shop.example" } else { "a.example" },
        "path": format!("/{}", hit.page), "visitor": key(hit.visitor).to_string(), "session": session.to_string(),
        "view": (if kind == "vitals" { 1_000_000 + usize::from(hit.page) } else { n + 1 }).to_string(), "seq": n,
        "source": choose(["", "Google", "Bing", "Google"]), "referrer_host": choose(["", "google.com", "bing.com", "a.org"]),
        "referrer_path": choose(["", "", "/x", "/y"]), "channel": choose(["", "search", "search", "paid_search"]),
        "utm_source": choose(["", "", "g", "h"]), "utm_medium": choose(["", "", "cpc", "mail"]),
        "utm_campaign": choose(["", "", "spring", "summer"]),
        "country": choose(["DE", "FR", "DE", "AT"]), "region": choose(["B", "C", "D", ""]), "city": choose(["X", "Y", "", "X"]),
        "device": choose(["desktop", "mobile", "unknown", "tv"]), "browser": choose(["Firefox", "Chrome", "", "Edge"]),
        "os": choose(["Linux", "", "iOS", "iOS"]), "screen": choose(["unknown", "xs", "xl", "md"]),
        "language": choose(["", "", "de", "fr"]),
        "name": name(hit),
        "interactive": kind == "custom" && hit.consent & 1 == 1,
        "engaged_ms": if kind == "engagement" { 1000 * u32::from(hit.field) + 7 } else { 0 },
    });
    let (Some(fields), Some(more)) = (row.as_object_mut(), more.as_object()) else {
        unreachable!("both are objects")
    };
    fields.extend(more.clone());
    row.to_string()
}

/// How far a page was read, in per cent.
fn scroll(hit: &Hit) -> u32 {
    hit.minute % 101
}

/// What an event was worth.
fn worth(hit: &Hit) -> u32 {
    hit.minute % 3 * 50
}

/// The largest paint of a page view; 0 if it was not measured.
fn lcp_ms(hit: &Hit) -> u32 {
    hit.minute * 5
}

/// The elements that were clicked.
fn clicked(hit: &Hit) -> Vec<&'static str> {
    [vec!["#a"], vec!["#a", "#b", "#a", "#a"], vec!["#b"], Vec::new()][usize::from(hit.field)].clone()
}

pub(crate) async fn store(db: &Db, site: SiteId, hits: &[Hit], first: usize) {
    let lines: Vec<String> = hits.iter().enumerate().map(|(n, hit)| row(site, hit, first + n)).collect();
    let mut insert = db.client().insert_formatted_with("INSERT INTO events FORMAT JSONEachRow");
    insert.send(lines.join("\n").into()).await.unwrap();
    insert.end().await.unwrap();
}

pub(crate) fn scope(site: SiteId) -> Scope {
    Scope { site, time_zone: ZONE.into() }
}

pub(crate) fn all_days() -> Range {
    Range { from: FIRST, to: FIRST.saturating_add((DAYS - 1).days()) }
}

async fn days(db: &Db, site: SiteId) -> Days {
    settled::days(db, site, ZONE, [all_days().from, all_days().to]).await.unwrap()
}

fn zones(site: SiteId) -> HashMap<SiteId, String> {
    HashMap::from([(site, ZONE.to_owned())])
}

/// Removes what nobody reads.
async fn sweep(db: &Db, site: SiteId) -> usize {
    settled::sweep(db, &zones(site)).await.unwrap()
}

/// Settles a day up to an hour of it, as UTC counts them.
async fn settle_before(db: &Db, site: SiteId, day: Date, hour: u32) {
    let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second();
    let until = u32::try_from(midnight).unwrap() + 3600 * hour;
    let print = settled::print_before(db, site, day, until).await.unwrap();
    assert!(settled::settle_before(db, site, ZONE, day, until, print).await.unwrap());
}

/// Settles all days that are not.
pub(crate) async fn settle(db: &Db, site: SiteId) {
    for (day, print) in days(db, site).await.raw {
        assert!(settled::settle(db, site, ZONE, day, print).await.unwrap());
    }
}

pub(crate) fn question(site: SiteId, filters: Filters, source: Source) -> Query {
    let mut query = Query::totals(scope(site), all_days(), filters);
    query.source = source;
    query
}

/// Everything that can be asked, counted now, in one answer, without where it comes from.
async fn everything(db: &Db, query: &Query) -> Answer {
    answer(&anew(db), query).await
}

/// Reports of which nothing was counted.
pub(crate) fn anew(db: &Db) -> Reports {
    Reports::new(db.clone())
}

/// The same, of which some may have been counted before.
async fn answer(db: &Reports, query: &Query) -> Answer {
    let sources = Sources::of(db, &query.scope, query.range).await.unwrap();
    let all = Dimension::ALL.map(|by| List { by, sort: Metric::Pageviews, limit: 10_000, entries: true });
    let mut answer = lists(db, &sources, query, &all, true).await.unwrap();
    assert_eq!(
        answer.consent.pageviews(),
        answer.totals.pageviews,
        "consent is of what {:?} chooses",
        query.filters
    );
    let origins = answer.lists.iter_mut().map(|(_, origin)| origin).chain([&mut answer.origin]);
    for origin in origins {
        let settled = std::mem::take(&mut origin.settled);
        assert!(query.source != Source::Raw || settled.is_empty());
    }
    answer
}

const GOALS: [(Kind, &str); 3] = [(Kind::Page, "/1"), (Kind::Page, "/*"), (Kind::Event, "Sign up")];

async fn completed(db: &Reports, query: &Query) -> Vec<Counts> {
    let sources = Sources::of(db, &query.scope, query.range).await.unwrap();
    let goals = GOALS.map(|(kind, pattern)| Goal {
        id: GoalId(1),
        site: query.scope.site,
        name: pattern.into(),
        kind,
        pattern: pattern.into(),
        created_ms: 0,
    });
    goals::completed(db, &sources, query, &goals).await.unwrap()
}

/// The same, counted here: visitors, visits, and how often.
fn completed_by(hits: &[Hit], kind: Kind, pattern: &str) -> (u64, u64, u64) {
    let completes = |hit: &&Hit| match kind {
        Kind::Page => {
            KINDS[hit.kind] == "pageview" && (pattern == "/*" || format!("/{}", hit.page) == pattern)
        }
        // "Sign up" is the name of events with these fields.
        Kind::Event => KINDS[hit.kind] == "custom" && [0, 2].contains(&hit.field) && hit.page < 2,
    };
    let hits: Vec<&Hit> = hits.iter().filter(|hit| hit.session != 0).filter(completes).collect();
    let visitors: HashSet<_> =
        hits.iter().filter(|hit| hit.visitor != 0).map(|hit| (hit.day, hit.visitor)).collect();
    let visits: HashSet<_> = hits.iter().map(|hit| (hit.day, hit.visitor, hit.session)).collect();
    (visitors.len() as u64, visits.len() as u64, hits.len() as u64)
}

/// All reports on what hits tell beyond pages.
fn all_details() -> Vec<Details> {
    let by = VITALS_BY.map(|by| Details::Vitals(Some(by)));
    let others = [
        Details::Vitals(None),
        Details::Events,
        Details::Worth,
        Details::Props,
        Details::ClickedPages,
        Details::Clicks,
        Details::Depth,
    ];
    by.into_iter().chain(others).collect()
}

async fn told(db: &Reports, query: &Query, details: Details) -> Vec<Told> {
    let sources = Sources::of(db, &query.scope, query.range).await.unwrap();
    details.run(db, &sources, query).await.unwrap()
}

pub(crate) fn any_filters() -> impl Strategy<Value = Filters> {
    let values = [
        "DE",
        "/1",
        "Google",
        "",
        "a.example",
        "Sign up",
        "desktop",
        "spring",
        "/a.pdf",
        "AS64500",
        "_*",
        "*o*",
    ];
    let of_dimension = (0..Dimension::ALL.len(), proptest::sample::select(values.to_vec()))
        .prop_map(|(field, value)| (Dimension::ALL[field].into(), value));
    let field = prop_oneof![3 => of_dimension, 1 => any_field_of_visits()];
    let filter = (field, proptest::sample::select(Verb::ALL.to_vec()));
    proptest::collection::vec(filter, 0..3).prop_map(|filters| {
        let filters =
            filters.into_iter().filter_map(|((field, value), verb)| Filter::new(field, verb, value));
        filters.fold(Filters::default(), Filters::with)
    })
}

/// A filter on what single hits have, which decides for each list how visits are told apart.
fn any_filter_on_hits() -> impl Strategy<Value = Filters> {
    let values = [
        (Dimension::Hostname, "a.example"),
        (Dimension::Page, "/1"),
        (Dimension::Event, "Sign up"),
        (Dimension::Outbound, "/a.pdf"),
        (Dimension::Download, "/a.pdf"),
    ];
    let filter =
        (0..values.len(), prop_oneof![3 => Just(Verb::Is), 1 => Just(Verb::Not), 1 => Just(Verb::Has)]);
    filter.prop_map(move |(n, verb)| {
        let (field, value) = values[n];
        Filter::new(field, verb, value).into_iter().fold(Filters::default(), Filters::with)
    })
}

/// Fails with what did not hold and the least case that was found for it, in lines that a log can show.
pub(crate) fn passed<T: std::fmt::Debug>(tested: Result<(), TestError<T>>) {
    match tested {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("{reason}"),
        Err(TestError::Fail(reason, case)) => {
            let text = format!("{reason}\n{case:#?}");
            let letters: Vec<char> = text.chars().collect();
            let lines: Vec<String> = letters.chunks(400).map(|line| line.iter().collect()).collect();
            panic!("{}", lines.join("\n"));
        }
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) async fn server() -> Server {
    let server = Server::start().await;
    migrate::migrate(&server.db()).await.unwrap();
    server
}

#[test]
fn every_report_of_random_days_is_the_same_from_settled_days_as_from_raw_events() {
    let runtime = runtime();
    let server = runtime.block_on(server());
    let db = server.db();
    let hits = proptest::collection::vec(any_hit(), 1..60);
    let filters = (any_filters(), any_filters(), any_filter_on_hits(), any_filter_on_hits());
    let config = Config { cases: 12, max_shrink_iters: 60, ..Config::default() };
    let mut runner = TestRunner::new(config);
    passed(runner.run(&(hits, filters), |(hits, (a, b, c, d))| {
        runtime.block_on(async {
            let site = SiteId::random().unwrap();
            store(&db, site, &hits, 0).await;
            settle(&db, site).await;
            prop_assert!(days(&db, site).await.raw.is_empty());
            for (n, filters) in [Filters::default(), a, b, c, d].into_iter().enumerate() {
                let from_settled = everything(&db, &question(site, filters.clone(), Source::Auto)).await;
                let from_raw = everything(&db, &question(site, filters.clone(), Source::Raw)).await;
                prop_assert_eq!(from_settled, from_raw, "{:?}", filters);
                let ask =
                    async |source| completed(&anew(&db), &question(site, filters.clone(), source)).await;
                prop_assert_eq!(ask(Source::Auto).await, ask(Source::Raw).await, "goals: {:?}", filters);
                // All without a filter, and some with each: over the cases all with many.
                let some = all_details().into_iter().enumerate();
                for (_, details) in some.filter(|(m, _)| n == 0 || m % 4 == n - 1) {
                    let ask = async |source| {
                        told(&anew(&db), &question(site, filters.clone(), source), details).await
                    };
                    let (auto, raw) = (ask(Source::Auto).await, ask(Source::Raw).await);
                    prop_assert_eq!(auto, raw, "{:?}: {:?}", details, filters);
                }
            }
            for details in
                [Details::Worth, Details::Clicks, Details::Depth, Details::Vitals(Some(Dimension::Page))]
            {
                let found =
                    told(&anew(&db), &question(site, Filters::default(), Source::Auto), details).await;
                let expected = told_by(&hits, details);
                let numbers = expected.values().next().map_or(0, |(.., numbers)| numbers.len());
                let found: BTreeMap<_, _> = found
                    .into_iter()
                    .map(|row| (row.values, (row.visitors, row.visits, row.numbers[..numbers].to_vec())))
                    .collect();
                prop_assert_eq!(found, expected, "{:?}", details);
            }
            // A late hit: one day is raw again, the others are settled.
            store(&db, site, &hits[..1], hits.len()).await;
            for details in all_details() {
                let ask = async |source| {
                    told(&anew(&db), &question(site, Filters::default(), source), details).await
                };
                prop_assert_eq!(ask(Source::Auto).await, ask(Source::Raw).await, "mixed: {:?}", details);
            }
            let late: Vec<Hit> = hits.iter().chain(&hits[..1]).cloned().collect();
            let hits = late;
            let found = completed(&anew(&db), &question(site, Filters::default(), Source::Auto)).await;
            for (counts, (kind, pattern)) in found.iter().zip(GOALS) {
                let found = (counts.visitors, counts.visits, counts.events);
                prop_assert_eq!(found, completed_by(&hits, kind, pattern), "{}", pattern);
            }
            Ok(())
        })
    }));
}

#[test]
fn every_report_is_the_same_from_a_day_that_is_settled_up_to_an_hour_and_from_few_raw_events() {
    let runtime = runtime();
    let server = runtime.block_on(server());
    let db = server.db();
    let hits = proptest::collection::vec(any_hit(), 1..60);
    let config = Config { cases: 16, max_shrink_iters: 60, ..Config::default() };
    let mut runner = TestRunner::new(config);
    // The last days are settled up to an hour, the first as a whole, the second not at all.
    passed(runner.run(&(hits, 0..25u32, 1..24u32, 0..1440i64, any_filters()), |case| {
        runtime.block_on(async {
            let (hits, hour, other, cut, filters) = case;
            let site = SiteId::random().unwrap();
            store(&db, site, &hits, 0).await;
            if let Some(print) = days(&db, site).await.raw.get(&FIRST) {
                prop_assert!(settled::settle(&db, site, ZONE, FIRST, *print).await.unwrap());
            }
            let last = all_days().to;
            settle_before(&db, site, last.yesterday().unwrap(), other).await;
            settle_before(&db, site, last, hour).await;
            let until = last.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond();
            for (filters, until_ms) in [
                (Filters::default(), None),
                (Filters::default(), Some(until + 60_000 * cut)),
                (filters, None),
            ] {
                let ask = async |source| {
                    let query = Query { until_ms, ..question(site, filters.clone(), source) };
                    everything(&db, &query).await
                };
                let (here, there) = (ask(Source::Auto).await, ask(Source::Raw).await);
                prop_assert_eq!(here, there, "{:?} {:?}", filters, until_ms);
            }
            Ok(())
        })
    }));
}

#[test]
fn every_report_is_the_same_from_a_month_as_from_its_raw_events_until_a_day_changes() {
    let runtime = runtime();
    let server = runtime.block_on(server());
    let db = server.db();
    let config = Config { cases: 6, max_shrink_iters: 60, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let hits = proptest::collection::vec(any_hit(), 1..60);
    passed(runner.run(&(hits, any_hit()), |(hits, late)| {
        runtime.block_on(async {
            let site = SiteId::random().unwrap();
            let range = Range { from: FIRST.first_of_month(), to: FIRST.last_of_month() };
            let days = async || settled::days(&db, site, ZONE, [range.from, range.to]).await.unwrap();
            let ask = async |source| {
                let query = Query { range, ..question(site, Filters::default(), source) };
                everything(&db, &query).await
            };
            store(&db, site, &hits, 0).await;
            settle(&db, site).await;
            prop_assert_eq!(days().await.months_due(FIRST), [], "it is not over");
            prop_assert_eq!(days().await.months_due(range.to), [range.from]);
            settled::settle_month(&db, site, ZONE, range.from, &days().await).await.unwrap();
            prop_assert!(
                days().await.months.contains_key(&range.from) && days().await.months_due(range.to).is_empty()
            );
            prop_assert_eq!(sweep(&db, site).await, 0, "what is read is not removed");
            prop_assert_eq!(ask(Source::Auto).await, ask(Source::Raw).await);
            store(&db, site, &[late], 100).await;
            prop_assert!(days().await.months.is_empty());
            prop_assert_eq!(ask(Source::Auto).await, ask(Source::Raw).await);
            settle(&db, site).await;
            prop_assert!(days().await.months.is_empty(), "its day was settled anew");
            prop_assert_eq!(ask(Source::Auto).await, ask(Source::Raw).await);
            Ok(())
        })
    }));
}

#[tokio::test]
async fn day_is_settled_up_to_an_hour_until_a_hit_is_late() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    let at = |visitor, page, minute| Hit { minute, ..hit(0, visitor, page) };
    store(&db, site, &[at(1, 1, 60), at(2, 1, 130)], 0).await;
    settle_before(&db, site, FIRST, 2).await;
    let rows = async || {
        let days = settled::days(&db, site, ZONE, [FIRST, FIRST]).await.unwrap();
        days.open.get(&FIRST).map(|open| open.rows)
    };
    assert_eq!(rows().await, Some(1));
    let pages = async || {
        let query = question(site, Filters::default(), Source::Auto);
        let answer = everything(&db, &query).await;
        (answer.totals.visitors, answer.totals.pageviews)
    };
    assert_eq!(pages().await, (2, 2));
    // The visitor who came before comes back, and so does the one who came since.
    store(&db, site, &[at(1, 2, 140), at(2, 2, 150)], 10).await;
    assert_eq!((rows().await, pages().await), (Some(1), (2, 4)));
    assert_eq!(sweep(&db, site).await, 0, "what is read is not removed");
    store(&db, site, &[at(3, 1, 70)], 20).await;
    assert_eq!((rows().await, pages().await), (None, (3, 5)));
}

fn hit(day: i32, visitor: u64, page: u8) -> Hit {
    Hit { day, visitor, session: 1, minute: 60, kind: 0, page, field: 1, consent: 4 }
}

#[tokio::test]
async fn late_hit_is_counted_at_once_and_its_day_is_settled_again() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    let pageviews = async || {
        let query = question(site, Filters::default(), Source::Auto);
        everything(&db, &query).await.totals.pageviews
    };
    store(&db, site, &[hit(0, 1, 1), hit(1, 2, 1)], 0).await;
    settle(&db, site).await;
    let first = days(&db, site).await;
    store(&db, site, &[hit(0, 3, 2)], 10).await;
    assert_eq!(pageviews().await, 3);
    let changed = days(&db, site).await;
    assert_eq!(changed.raw.keys().collect::<Vec<_>>(), [&FIRST], "the other day stays settled");
    settle(&db, site).await;
    assert_eq!(pageviews().await, 3);
    assert_ne!(days(&db, site).await.settled[&FIRST], first.settled[&FIRST]);
    assert_eq!(sweep(&db, site).await, 1, "what was settled before is removed");
    assert_eq!((pageviews().await, sweep(&db, site).await), (3, 0));
}

#[tokio::test]
async fn batch_that_is_stored_twice_makes_its_day_unsettled() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    store(&db, site, &[hit(0, 1, 1)], 0).await;
    settle(&db, site).await;
    // The same rows, in another block: their hashes are the same, their sum is not.
    store(&db, site, &[hit(0, 1, 1), hit(1, 1, 1)], 0).await;
    assert!(days(&db, site).await.raw.contains_key(&FIRST));
}

/// Rows in the settled tables under a visitor's key, and in the cells of its day.
async fn settled_rows(db: &Db, site: SiteId, visitor: VisitorKey, day: Date) -> u64 {
    let sql = "SELECT assumeNotNull((SELECT count() FROM settled_visits WHERE site = {site:UInt64} AND visitor = {visitor:UInt64})
        + (SELECT count() FROM settled_page_visits WHERE site = {site:UInt64} AND visitor = {visitor:UInt64})
        + (SELECT count() FROM settled_cells WHERE site = {site:UInt64} AND day = {day:Date})
        + (SELECT count() FROM settled_months WHERE site = {site:UInt64} AND day = toStartOfMonth({day:Date})))";
    let query = db.query(sql).param("site", site).param("visitor", visitor).param("day", day.to_string());
    query.fetch_one().await.unwrap()
}

#[tokio::test]
async fn erased_visitor_is_in_no_settled_row() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    store(&db, site, &[hit(0, 1, 1), hit(0, 2, 1), hit(1, 2, 1)], 0).await;
    settle(&db, site).await;
    let march =
        settled::days(&db, site, ZONE, [FIRST.first_of_month(), FIRST.last_of_month()]).await.unwrap();
    settled::settle_month(&db, site, ZONE, FIRST.first_of_month(), &march).await.unwrap();
    let sql = "SELECT visitor FROM events WHERE site = {site:UInt64} AND seq = 0";
    let visitor = VisitorKey(db.query(sql).param("site", site).fetch_one().await.unwrap());
    assert!(settled_rows(&db, site, visitor, FIRST).await > 2);
    let shown = Shown { site, keys: vec![DayKey { day: Day::of(FIRST).0, visitor }], ..Shown::default() };
    assert_eq!(rights::erase(&db, &shown).await.unwrap(), 1);
    assert_eq!(settled_rows(&db, site, visitor, FIRST).await, 0, "its day is not settled any more");
    let query = question(site, Filters::default(), Source::Auto);
    assert_eq!(everything(&db, &query).await.totals.pageviews, 2);
    assert!(days(&db, site).await.settled.contains_key(&FIRST.saturating_add(1.day())));
}

#[tokio::test]
async fn figures_that_were_counted_are_the_same_as_counted_anew_whatever_changes() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    let kept = anew(&db);
    let filters = ["", "page=/1", "country=DE"].map(|filter| {
        Filters::parse_equations(Some(filter).filter(|filter| !filter.is_empty()).into_iter()).unwrap()
    });
    let compare = async |after: &str| {
        for filters in &filters {
            let query = question(site, filters.clone(), Source::Auto);
            assert_eq!(answer(&kept, &query).await, everything(&db, &query).await, "{after}: {query:?}");
            let goals = completed(&anew(&db), &query).await;
            assert_eq!(completed(&kept, &query).await, goals, "{after}: {query:?}");
        }
    };
    compare("nothing").await;
    store(&db, site, &[hit(0, 1, 1), hit(0, 2, 1), hit(1, 2, 1), hit(2, 1, 2)], 0).await;
    compare("hits").await;
    settle(&db, site).await;
    compare("days that are settled").await;
    store(&db, site, &[hit(1, 1, 1)], 4).await;
    compare("a late hit").await;
    store(&db, site, &[hit(3, 1, 1), hit(3, 2, 2)], 5).await;
    settle_before(&db, site, FIRST.saturating_add(3.days()), 1).await;
    compare("a day that is settled up to an hour").await;
    store(&db, site, &[hit(3, 3, 1)], 7).await;
    compare("a hit after that hour").await;
    settle(&db, site).await;
    let march =
        settled::days(&db, site, ZONE, [FIRST.first_of_month(), FIRST.last_of_month()]).await.unwrap();
    settled::settle_month(&db, site, ZONE, FIRST.first_of_month(), &march).await.unwrap();
    compare("a month that is settled").await;
    let sql = "SELECT visitor FROM events WHERE site = {site:UInt64} AND seq = 0";
    let visitor = VisitorKey(db.query(sql).param("site", site).fetch_one().await.unwrap());
    let shown = Shown { site, keys: vec![DayKey { day: Day::of(FIRST).0, visitor }], ..Shown::default() };
    assert_eq!(rights::erase(&db, &shown).await.unwrap(), 1);
    compare("an erasure").await;
}

#[tokio::test]
async fn figures_that_were_counted_are_not_read_again() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    store(&db, site, &[hit(0, 1, 1), hit(0, 2, 1)], 0).await;
    settle(&db, site).await;
    let kept = anew(&db);
    let query = question(site, Filters::default(), Source::Auto);
    assert_eq!(answer(&kept, &query).await.totals.pageviews, 2);
    let sql = "ALTER TABLE settled_cells DELETE WHERE site = {site:UInt64} SETTINGS mutations_sync = 2";
    db.query(sql).param("site", site).execute().await.unwrap();
    assert_eq!(everything(&db, &query).await.totals.pageviews, 0, "there is nothing to read any more");
    assert_eq!(answer(&kept, &query).await.totals.pageviews, 2);
}

#[tokio::test]
async fn settling_that_was_cut_is_never_read_and_is_removed_when_it_is_old() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    store(&db, site, &[hit(0, 1, 1)], 0).await;
    // As if it had been killed before its last insert, long ago.
    let cut = "INSERT INTO settled_cells (site, day, settling, dimension, value, pageviews)
        VALUES ({site:UInt64}, {day:Date}, 7, 'day', {day:String}, 1000)";
    db.query(cut).param("site", site).param("day", FIRST.to_string()).execute().await.unwrap();
    settle(&db, site).await;
    let query = question(site, Filters::default(), Source::Auto);
    assert_eq!(everything(&db, &query).await.totals.pageviews, 1);
    assert_eq!(sweep(&db, site).await, 1);
    assert_eq!(everything(&db, &query).await.totals.pageviews, 1);
}

#[tokio::test]
async fn day_that_changes_while_it_is_settled_is_not_settled() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    store(&db, site, &[hit(0, 1, 1)], 0).await;
    let before = days(&db, site).await.raw[&FIRST];
    store(&db, site, &[hit(0, 2, 1)], 1).await;
    assert!(!settled::settle(&db, site, ZONE, FIRST, before).await.unwrap());
    assert!(days(&db, site).await.settled.is_empty());
}

#[tokio::test]
async fn site_that_changes_its_time_zone_is_settled_anew() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    store(&db, site, &[hit(0, 1, 1)], 0).await;
    settle(&db, site).await;
    let elsewhere = settled::days(&db, site, "UTC", [FIRST, FIRST]).await.unwrap();
    assert!(elsewhere.settled.is_empty() && elsewhere.raw.len() == 1);
}

#[tokio::test]
async fn request_that_goes_away_cancels_its_query() {
    let server = server().await;
    let databases = server.engine.databases();
    // An hour of work, unless it is cancelled or the limit of a report ends it.
    let endless =
        "SELECT sum(cityHash64(number)) FROM numbers(1000000000000) SETTINGS max_execution_time = 60";
    let reader = databases.reader.clone();
    let asked = tokio::spawn(async move { reader.query(endless).fetch_one::<u64>().await });
    let running = async || {
        let sql = "SELECT count() FROM system.processes WHERE user = 'dashboard'";
        databases.writer.query(sql).fetch_one::<u64>().await.unwrap()
    };
    let deadline = std::time::Instant::now() + sotto_tests::PATIENCE / 3;
    while running().await == 0 {
        assert!(std::time::Instant::now() < deadline, "the query has begun");
    }
    asked.abort();
    while running().await > 0 {
        assert!(std::time::Instant::now() < deadline, "and has ended with its request");
    }
}

#[tokio::test]
async fn settled_rows_go_with_the_raw_events_of_their_day() {
    let server = server().await;
    let db = server.db();
    let mut site = Site::new("A", &["a.example"], ZONE, Preset::Cnil).unwrap();
    site.retention_days = 30;
    sites::save(&db, &site).await.unwrap();
    store(&db, site.id, &[hit(0, 1, 1), hit(1, 1, 1)], 0).await;
    settle(&db, site.id).await;
    let rows = async |day: Date| -> u64 {
        let sql = "SELECT assumeNotNull((SELECT count() FROM settled_days WHERE day = {day:Date})
            + (SELECT count() FROM settled_visits WHERE day = {day:Date})
            + (SELECT count() FROM settled_page_visits WHERE day = {day:Date})
            + (SELECT count() FROM settled_cells WHERE day = {day:Date}))";
        db.query(sql).param("day", day.to_string()).fetch_one().await.unwrap()
    };
    // Nothing waits for the archive: the first day is sealed, and due; the second is not.
    let sealed = "INSERT INTO archive (site, period, day, release, dimension)
        VALUES ({site:UInt64}, 'day', {day:Date}, 1, 'visitors')";
    db.query(sealed).param("site", site.id).param("day", FIRST.to_string()).execute().await.unwrap();
    let now = FIRST.saturating_add(31.days()).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    retention::run(&db, now.timestamp().as_millisecond(), false).await.unwrap();
    assert_eq!(rows(FIRST).await, 0);
    assert!(rows(FIRST.saturating_add(1.day())).await > 4);
}

#[test]
fn job_settles_a_day_that_is_over_and_again_after_a_late_hit() {
    let sotto = Sotto::start_with("[reports]\nsettle_interval = \"100ms\"\n");
    let key = sotto.add_site("a.example", &UTC);
    let day = Noon::now().day(30).to_string();
    let text = std::fs::read_to_string(sotto.data().join("clickhouse/endpoint.json")).unwrap();
    let endpoint: serde_json::Value = serde_json::from_str(&text).unwrap();
    let writer: Access = serde_json::from_value(endpoint["writer"].clone()).unwrap();
    let ask = |sql: &str| {
        let url = format!("{}/?database={}", writer.url, writer.database);
        let user =
            [("x-clickhouse-user", writer.user.as_str()), ("x-clickhouse-key", writer.password.as_str())];
        request("POST", &url, &user, sql.as_bytes()).text().trim().to_owned()
    };
    // The rows of each settling that is there, and how many events it was made from.
    let settled = || ask("SELECT rows, (SELECT uniqExact(settling) FROM settled_cells) FROM settled_days");
    reports::store(&sotto, &key, &day, &[(60, "pageview", "/", 1, 11, "")]);
    wait_for("the day to be settled", || (settled() == "1\t1").then_some(()));
    reports::store(&sotto, &key, &day, &[(70, "pageview", "/late", 1, 11, "")]);
    wait_for("it to be settled again, and what was before to be removed", || {
        (settled() == "2\t1").then_some(())
    });
    let report = sotto.report(&key, &["--from", &day, "--to", &day, "--metrics", "pageviews,visits"]);
    assert_eq!((&report[0]["pageviews"], &report[0]["visits"]), (&2.into(), &1.into()));
}
