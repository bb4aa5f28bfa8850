//! Paths and funnels: the same as counted here from the hits, from settled days, from raw events, and from both.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sotto_dashboard::{
    filter::{Filter, Filters, Verb},
    report::{
        Counts, Dimension, Query, Source, Sources,
        funnels::{self, Reached},
        not_found::{self, From, NotFound},
        paths::{self, JOURNEY_STEPS, Onward, Paths, Place},
    },
};
use sotto_schema::id::{FunnelId, SiteId};
use sotto_store::{
    db::Db,
    funnel::{Funnel, Step},
    goal::Kind,
    settled,
};

use crate::settled::{
    FIRST, Hit, KINDS, ZONE, all_days, anew, any_filters, any_hit, name, passed, question, runtime, server,
    settle, store,
};

/// Hits of few visits and minutes, so that visits are long and moments meet.
fn hits() -> impl Strategy<Value = Vec<Hit>> {
    let hit = any_hit().prop_map(|hit| Hit {
        day: hit.day % 3,
        visitor: hit.visitor % 2,
        session: if hit.session == 0 { 0 } else { hit.session % 2 + 1 },
        minute: hit.minute % 60,
        ..hit
    });
    proptest::collection::vec(hit, 1..160)
}

/// A visit as its hits are: by moment, those of one moment as they were stored.
struct Visit<'a> {
    who: (i32, u64),
    hits: Vec<&'a Hit>,
}

fn visits(hits: &[Hit]) -> Vec<Visit<'_>> {
    let mut all: BTreeMap<_, Vec<&Hit>> = BTreeMap::new();
    for hit in hits.iter().filter(|hit| hit.session != 0) {
        all.entry((hit.day, hit.visitor, hit.session)).or_default().push(hit);
    }
    let visit = |((day, visitor, _), mut hits): (_, Vec<_>)| {
        // Those of one minute stay in their order.
        hits.sort_by_key(|hit: &&Hit| hit.minute);
        Visit { who: (day, visitor), hits }
    };
    all.into_iter().map(visit).collect()
}

/// What a visit did, step by step.
#[derive(Debug, Clone, PartialEq)]
enum Did {
    Saw(String),
    Sent(String),
}

impl Visit<'_> {
    fn steps(&self) -> Vec<Did> {
        let mut steps: Vec<Did> = Vec::new();
        let mut on = None;
        for hit in &self.hits {
            match KINDS[hit.kind] {
                "pageview" if on != Some(hit.page) => {
                    on = Some(hit.page);
                    steps.push(Did::Saw(format!("/{}", hit.page)));
                }
                "custom" => steps.push(Did::Sent(name(hit).into())),
                _ => {}
            }
        }
        steps
    }

    fn pages(&self) -> Vec<String> {
        let page = |did| match did {
            Did::Saw(page) => Some(page),
            Did::Sent(_) => None,
        };
        self.steps().into_iter().filter_map(page).collect()
    }
}

/// Who did something, and how often.
#[derive(Default)]
struct Often {
    visits: u64,
    times: u64,
    visitors: BTreeSet<(i32, u64)>,
}

/// The same by what was done.
#[derive(Default)]
struct Tally(BTreeMap<Vec<String>, Often>);

impl Tally {
    /// Adds all that a visit did.
    fn add(&mut self, visit: &Visit<'_>, did: Vec<Vec<String>>) {
        for what in did.iter().collect::<BTreeSet<_>>() {
            let often = self.0.entry(what.clone()).or_default();
            often.visits += 1;
            often.times += did.iter().filter(|other| *other == what).count() as u64;
            if visit.who.1 != 0 {
                often.visitors.insert(visit.who);
            }
        }
    }

    /// What was said of it: visitors, visits, times.
    fn of(self) -> BTreeMap<Vec<String>, [u64; 3]> {
        let row =
            |(what, often): (_, Often)| (what, [often.visitors.len() as u64, often.visits, often.times]);
        self.0.into_iter().map(row).collect()
    }
}

fn said(counts: &Counts) -> [u64; 3] {
    [counts.visitors, counts.visits, counts.pageviews]
}

fn place(place: &Place) -> String {
    match place {
        Place::Page(page) => page.clone(),
        Place::Outside => "outside".into(),
        Place::Beyond => "beyond".into(),
    }
}

/// What happened around a page, as [`text_of_paths`] writes it.
fn paths_by(visits: &[Visit<'_>], page: &str) -> BTreeMap<Vec<String>, [u64; 3]> {
    let mut tally = Tally::default();
    for visit in visits {
        let pages = visit.pages();
        let at = |n: Option<usize>| n.and_then(|n| pages.get(n)).map_or("outside".into(), Clone::clone);
        let mut did = Vec::new();
        let seen: Vec<usize> = (0..pages.len()).filter(|n| pages[*n] == page).collect();
        for n in &seen {
            did.push(vec!["page".to_owned()]);
            did.push(vec!["before".into(), at(n.checked_sub(1))]);
            did.push(vec!["after".into(), at(Some(n + 1))]);
        }
        if let Some(first) = seen.first() {
            let mut journey = vec!["journey".to_owned()];
            for n in first + 1..=first + JOURNEY_STEPS {
                journey.push(at(Some(n)));
                did.push(journey.clone());
                if n >= pages.len() {
                    break;
                }
            }
        }
        tally.add(visit, did);
    }
    // Visitors are counted where few must not be shown.
    tally.of().into_iter().map(|(what, [_, visits, times])| (what, [0, visits, times])).collect()
}

fn text_of_paths(paths: &Paths) -> BTreeMap<Vec<String>, [u64; 3]> {
    fn journeys(first: &[String], onward: &[Onward], all: &mut BTreeMap<Vec<String>, [u64; 3]>) {
        for step in onward {
            let whole = [first, &[place(&step.place)]].concat();
            all.insert(whole.clone(), said(&step.counts));
            journeys(&whole, &step.onward, all);
        }
    }
    let mut all = BTreeMap::new();
    if paths.page.visits > 0 {
        all.insert(vec!["page".to_owned()], said(&paths.page));
    }
    for (what, rows) in [("before", &paths.before), ("after", &paths.after)] {
        all.extend(rows.iter().map(|(at, counts)| (vec![what.to_owned(), place(at)], said(counts))));
    }
    journeys(&["journey".into()], &paths.journeys, &mut all);
    all
}

/// The source of a visit: that of its first page view.
fn source(visit: &Visit<'_>) -> &'static str {
    let first = visit.hits.iter().find(|hit| KINDS[hit.kind] == "pageview");
    first.map_or("", |hit| ["", "Google", "Bing", "Google"][usize::from(hit.field)])
}

/// On which pages an event was sent, and where from, as [`text_of_origins`] writes it.
fn origins_by(visits: &[Visit<'_>], event: &str) -> BTreeMap<Vec<String>, [u64; 3]> {
    let mut tally = Tally::default();
    for visit in visits {
        let source = "source".to_owned() + source(visit);
        let (mut pages, mut did) = (Vec::new(), Vec::new());
        for step in visit.steps() {
            match step {
                Did::Saw(page) => pages.push(page),
                Did::Sent(name) if name == event => {
                    let page: String = pages.last().cloned().unwrap_or_default();
                    let before = pages.len().checked_sub(2).map_or(source.clone(), |n| pages[n].clone());
                    did.extend([vec![], vec![page.clone()], vec![page, before]]);
                }
                Did::Sent(_) => {}
            }
        }
        tally.add(visit, did);
    }
    tally.of().into_iter().map(|(what, [_, visits, times])| (what, [0, visits, times])).collect()
}

fn text_of_origins(found: &NotFound) -> BTreeMap<Vec<String>, [u64; 3]> {
    let mut all = BTreeMap::new();
    if found.all.visits > 0 {
        all.insert(vec![], said(&found.all));
    }
    for missing in &found.pages {
        all.insert(vec![missing.page.clone()], said(&missing.counts));
        for (from, counts) in &missing.from {
            let from = match from {
                From::Page(page) => page.clone(),
                From::Source(source) => format!("source{source}"),
            };
            all.insert(vec![missing.page.clone(), from], said(counts));
        }
    }
    all
}

/// The steps of the funnels that are tried: on visits of few pages, so that some are reached in each way.
fn funnels_tried() -> Vec<Funnel> {
    let page = |pattern: &str| Step { kind: Kind::Page, pattern: pattern.into() };
    let event = |name: &str| Step { kind: Kind::Event, pattern: name.into() };
    let ways = [
        vec![page("/1"), page("/2")],
        vec![page("/*"), event("Sign up"), page("/*")],
        vec![page("/0"), page("/1"), page("/0"), page("/3")],
        vec![event("Order"), event("Order"), event("outbound")],
        vec![page("/*"); 8],
        vec![page("/1*"), page("/nothing")],
    ];
    let ways = ways.into_iter().flat_map(|steps| [(true, steps.clone()), (false, steps)]);
    let funnel = |(strict, steps)| Funnel {
        id: FunnelId(1),
        site: SiteId(1),
        name: String::new(),
        strict,
        steps,
        created_ms: 0,
    };
    ways.map(funnel).collect()
}

fn is(step: &Step, did: &Did) -> bool {
    match (step.kind, did) {
        (Kind::Page, Did::Saw(page)) => match step.pattern.strip_suffix('*') {
            Some(beginning) => page.starts_with(beginning),
            None => *page == step.pattern,
        },
        (Kind::Event, Did::Sent(name)) => *name == step.pattern,
        _ => false,
    }
}

/// All places in a visit at which some steps of a funnel can end.
fn ends(funnel: &Funnel, steps: usize, did: &[Did]) -> BTreeSet<usize> {
    let here = |n: &usize| is(&funnel.steps[steps - 1], &did[*n]);
    let all = (0..did.len()).filter(here);
    if steps == 1 {
        return all.collect();
    }
    let before = ends(funnel, steps - 1, did);
    let no_page = |from: usize, to: usize| !did[from + 1..to].iter().any(|did| matches!(did, Did::Saw(_)));
    all.filter(|n| before.range(..n).any(|m| !funnel.strict || no_page(*m, *n))).collect()
}

fn funnel_by(visits: &[Visit<'_>], funnel: &Funnel) -> BTreeMap<Vec<String>, [u64; 3]> {
    let mut tally = Tally::default();
    for visit in visits {
        let steps = visit.steps();
        let reached = (1..=funnel.steps.len()).map(|n| ends(funnel, n, &steps));
        let reached: Vec<usize> = reached.map_while(|ends| ends.first().copied()).collect();
        let mut did: Vec<Vec<String>> = (1..=reached.len()).map(|n| vec![n.to_string()]).collect();
        if let Some(last) = reached.last()
            && reached.len() < funnel.steps.len()
        {
            let page = steps[last + 1..].iter().find_map(|did| match did {
                Did::Saw(page) => Some(page.clone()),
                Did::Sent(_) => None,
            });
            did.push(vec![reached.len().to_string(), page.unwrap_or("outside".into())]);
        }
        tally.add(visit, did);
    }
    tally.of()
}

fn text_of_funnel(reached: &Reached) -> BTreeMap<Vec<String>, [u64; 3]> {
    let mut all = BTreeMap::new();
    for (n, counts) in reached.steps.iter().enumerate().filter(|(_, counts)| counts.visits > 0) {
        all.insert(vec![(n + 1).to_string()], said(counts));
    }
    for (n, left) in reached.left.iter().enumerate() {
        let row = |(at, counts): &(Place, Counts)| (vec![(n + 1).to_string(), place(at)], said(counts));
        all.extend(left.iter().map(row));
    }
    all
}

async fn around(db: &Db, query: &Query, page: &str) -> Paths {
    let db = anew(db);
    let sources = Sources::of(&db, &query.scope, query.range).await.unwrap();
    paths::around(&db, &sources, query, page).await.unwrap()
}

async fn origins(db: &Db, query: &Query, event: &str) -> NotFound {
    let db = anew(db);
    let sources = Sources::of(&db, &query.scope, query.range).await.unwrap();
    not_found::pages(&db, &sources, query, event).await.unwrap()
}

async fn reached(db: &Db, query: &Query, funnels: &[Funnel]) -> Vec<Reached> {
    let db = anew(db);
    let sources = Sources::of(&db, &query.scope, query.range).await.unwrap();
    funnels::reached(&db, &sources, query, funnels, true).await.unwrap()
}

fn is_filter(field: Dimension, value: &str) -> Filters {
    Filters::default().with(Filter::new(field, Verb::Is, value).unwrap())
}

/// Visits that a filter chooses, told from the hits.
fn chosen<'a>(hits: &'a [Hit], filter: &Filters) -> Vec<Visit<'a>> {
    let mut all = visits(hits);
    for filter in filter.each() {
        all.retain(|visit| match filter.field.dimension() {
            Some(Dimension::Page) => visit.hits.iter().any(|hit| format!("/{}", hit.page) == filter.value),
            Some(Dimension::Country) => {
                let last = visit.hits.last().unwrap().field;
                ["DE", "FR", "DE", "AT"][usize::from(last)] == filter.value
            }
            other => panic!("{other:?} is not told here"),
        });
    }
    all
}

#[test]
fn paths_and_funnels_of_random_days_are_those_counted_from_the_hits_wherever_they_are_read() {
    let runtime = runtime();
    let server = runtime.block_on(server());
    let db = server.db();
    let config = Config { cases: 3, max_shrink_iters: 60, ..Config::default() };
    let tried = funnels_tried();
    passed(TestRunner::new(config).run(&(hits(), any_filters()), |(hits, any)| {
        runtime.block_on(async {
            let site = SiteId::random().unwrap();
            store(&db, site, &hits, 0).await;
            let filters = [
                Filters::default(),
                is_filter(Dimension::Country, "DE"),
                is_filter(Dimension::Page, "/1"),
                is_filter(Dimension::Page, "/2")
                    .with(Filter::new(Dimension::Country, Verb::Is, "DE").unwrap()),
            ];
            // From raw events, from both, from settled days.
            for settled_days in 0..3 {
                match settled_days {
                    1 => {
                        let days = settled::days(&db, site, ZONE, [FIRST, all_days().to]);
                        for (day, print) in days.await.unwrap().raw.into_iter().take(1) {
                            prop_assert!(settled::settle(&db, site, ZONE, day, print).await.unwrap());
                        }
                    }
                    2 => settle(&db, site).await,
                    _ => {}
                }
                for filter in &filters {
                    let query = question(site, filter.clone(), Source::Auto);
                    let visits = chosen(&hits, filter);
                    for page in ["/1", "/9"] {
                        let found = text_of_paths(&around(&db, &query, page).await);
                        let about = (settled_days, filter, page);
                        prop_assert_eq!(found, paths_by(&visits, page), "paths: {:?}", about);
                    }
                    for event in ["Sign up", "outbound"] {
                        let found = text_of_origins(&origins(&db, &query, event).await);
                        let about = (settled_days, filter, event);
                        prop_assert_eq!(found, origins_by(&visits, event), "origins: {:?}", about);
                    }
                    let found = reached(&db, &query, &tried).await;
                    for (found, funnel) in found.iter().zip(&tried) {
                        let about = (settled_days, filter, funnel);
                        let expected = funnel_by(&visits, funnel);
                        prop_assert_eq!(text_of_funnel(found), expected, "funnel: {:?}", about);
                    }
                }
            }
            let ask = |source| question(site, any.clone(), source);
            let [auto, raw] = [ask(Source::Auto), ask(Source::Raw)];
            prop_assert_eq!(around(&db, &auto, "/1").await, around(&db, &raw, "/1").await, "{:?}", any);
            let [from_auto, from_raw] =
                [origins(&db, &auto, "Order").await, origins(&db, &raw, "Order").await];
            prop_assert_eq!(from_auto, from_raw, "{:?}", any);
            prop_assert_eq!(reached(&db, &auto, &tried).await, reached(&db, &raw, &tried).await, "{:?}", any);
            Ok(())
        })
    }));
}
