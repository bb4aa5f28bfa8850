//! What filters choose, counted without ClickHouse.

use std::collections::{HashMap, HashSet};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sotto_dashboard::{
    filter::{Field, Filter, Filters, Verb},
    report::{Counts, Dimension, List, Metric, Query, Source, Sources, lists},
};
use sotto_schema::id::SiteId;
use sotto_store::db::Db;

use super::{Hit, KINDS, anew, any_hit, name, passed, question, runtime, server, settle, store};

/// The address in the props of an event, if it has one.
fn url(hit: &Hit) -> Option<&'static str> {
    [None, Some("https://b.example/"), Some("/a.pdf"), Some("/a.pdf")][usize::from(hit.field)]
}

/// Whether `*` of a pattern can stand for something, so that it is the text.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((first, rest)) => {
            let Some(left) = text.strip_prefix(first) else { return false };
            (0..=left.len()).any(|n| is_like(&left[n..], rest))
        }
    }
}

/// Whether a value is one of those sought, as if the verb did not deny.
fn is_sought(verb: Verb, text: &str, value: &str) -> bool {
    let (lower, value_lower) = (text.to_lowercase(), value.to_lowercase());
    match verb {
        Verb::Is | Verb::Not => text == value,
        Verb::Has | Verb::Lacks => lower.contains(&value_lower),
        Verb::Starts => lower.starts_with(&value_lower),
        Verb::Like | Verb::Unlike => is_like(text, value),
    }
}

fn denies(verb: Verb) -> bool {
    matches!(verb, Verb::Not | Verb::Lacks | Verb::Unlike)
}

/// The value of a hit that a filter looks at, where it has one.
fn value(hit: &Hit, field: &Field) -> Option<String> {
    match field {
        Field::Of(Dimension::Page) => Some(format!("/{}", hit.page)),
        Field::Of(Dimension::Event) => Some(name(hit).to_owned()),
        Field::Visited => (KINDS[hit.kind] == "pageview").then(|| format!("/{}", hit.page)),
        Field::Did => (KINDS[hit.kind] == "custom").then(|| name(hit).to_owned()),
        Field::Prop(prop) if prop == "url" => {
            (KINDS[hit.kind] == "custom").then(|| url(hit)).flatten().map(str::to_owned)
        }
        Field::Prop(_) => None,
        other @ Field::Of(_) => panic!("{other:?} is not told here"),
    }
}

fn visit(hit: &Hit) -> (i32, u64, u64) {
    (hit.day, hit.visitor, hit.session)
}

/// Visitors, visits, pageviews and events that are chosen.
fn chosen(hits: &[Hit], filters: &Filters) -> [u64; 4] {
    let mut alternatives: HashMap<(Field, Verb), Vec<String>> = HashMap::new();
    for Filter { field, verb, value } in filters.each() {
        alternatives.entry((field.clone(), *verb)).or_default().push(value.clone());
    }
    let mut kept: Vec<&Hit> = hits.iter().collect();
    for ((field, verb), values) in &alternatives {
        let is_one = |hit: &Hit| {
            value(hit, field).is_some_and(|text| values.iter().any(|v| is_sought(*verb, &text, v)))
        };
        if matches!(field, Field::Of(_)) {
            kept.retain(|hit| is_one(hit) != denies(*verb));
        } else {
            let visits: HashSet<_> = hits.iter().filter(|hit| is_one(hit)).map(visit).collect();
            kept.retain(|hit| hit.session != 0 && visits.contains(&visit(hit)) != denies(*verb));
        }
    }
    let of_kind = |kind: &str| kept.iter().filter(|hit| KINDS[hit.kind] == kind).count() as u64;
    let measured = || kept.iter().filter(|hit| hit.session != 0);
    let visits: HashSet<_> = measured().map(|hit| visit(hit)).collect();
    let visitors: HashSet<_> =
        measured().filter(|hit| hit.visitor != 0).map(|hit| (hit.day, hit.visitor)).collect();
    [visitors.len() as u64, visits.len() as u64, of_kind("pageview"), of_kind("custom")]
}

pub(super) fn any_field_of_visits() -> impl Strategy<Value = (Field, &'static str)> {
    let pages = ["/1", "/", "1", "/_", "/%", "/*", "*2", "\\", "/1*"];
    let names = ["Sign up", "sign", "S*p", "s*", "out", "", "_ign up"];
    let urls = ["/a.pdf", "/A", "/_.pdf", "*.pdf", "https://", "b*", ""];
    prop_oneof![
        proptest::sample::select(pages.to_vec()).prop_map(|value| (Field::Visited, value)),
        proptest::sample::select(names.to_vec()).prop_map(|value| (Field::Did, value)),
        proptest::sample::select(urls.to_vec()).prop_map(|value| (Field::Prop("url".into()), value)),
        Just((Field::Prop("'); --".into()), "x")),
        proptest::sample::select(pages.to_vec()).prop_map(|value| (Dimension::Page.into(), value)),
        proptest::sample::select(names.to_vec()).prop_map(|value| (Dimension::Event.into(), value)),
    ]
}

fn any_choice() -> impl Strategy<Value = Filters> {
    let filter = (any_field_of_visits(), proptest::sample::select(Verb::ALL.to_vec()));
    proptest::collection::vec(filter, 1..4).prop_map(|filters| {
        let filters =
            filters.into_iter().filter_map(|((field, value), verb)| Filter::new(field, verb, value));
        filters.fold(Filters::default(), Filters::with)
    })
}

/// The totals, and the pageviews by page.
async fn counted(db: &Db, query: &Query) -> (Counts, u64) {
    let db = anew(db);
    let sources = Sources::of(&db, &query.scope, query.range).await.unwrap();
    let pages = List { by: Dimension::Page, sort: Metric::Pageviews, limit: 100, entries: false };
    let answer = lists(&db, &sources, query, &[pages], false).await.unwrap();
    (answer.totals, answer.lists[0].0.iter().map(|(_, counts)| counts.pageviews).sum())
}

#[test]
fn filters_choose_what_a_count_of_the_hits_chooses() {
    let runtime = runtime();
    let server = runtime.block_on(server());
    let db = server.db();
    let case = (proptest::collection::vec(any_hit(), 1..60), proptest::collection::vec(any_choice(), 6));
    let mut runner = TestRunner::new(Config { cases: 12, max_shrink_iters: 60, ..Config::default() });
    passed(runner.run(&case, |(hits, choices)| {
        runtime.block_on(async {
            let site = SiteId::random().unwrap();
            store(&db, site, &hits, 0).await;
            settle(&db, site).await;
            for filters in choices {
                let expected = chosen(&hits, &filters);
                for source in [Source::Raw, Source::Auto] {
                    let (totals, pages) = counted(&db, &question(site, filters.clone(), source)).await;
                    let found = [totals.visitors, totals.visits, totals.pageviews, totals.events];
                    prop_assert_eq!(found, expected, "{:?} {:?}", source, filters);
                    prop_assert_eq!(pages, expected[2], "{:?} {:?}", source, filters);
                }
            }
            Ok(())
        })
    }));
}
