//! What hits tell beyond pages, counted without ClickHouse.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sotto_dashboard::report::details::Details;

use super::{Hit, KINDS, clicked, lcp_ms, name, scroll, worth};

/// Visitors, visits and numbers of each row.
pub fn told_by(hits: &[Hit], details: Details) -> BTreeMap<Vec<String>, (u64, u64, Vec<f64>)> {
    rows(hits, details).into_iter().map(|(values, seen)| (values, row(&seen, details))).collect()
}

/// Hits, how often each counts, and a number more, by what they are of.
type Rows<'h> = BTreeMap<Vec<String>, Vec<(&'h Hit, f64, f64)>>;

fn rows(hits: &[Hit], details: Details) -> Rows<'_> {
    let of_kind = |kind: &'static str| hits.iter().filter(move |hit| KINDS[hit.kind] == kind);
    let page = |hit: &Hit| format!("/{}", hit.page);
    let mut rows: Rows<'_> = BTreeMap::new();
    match details {
        Details::Worth => {
            for hit in of_kind("custom").filter(|hit| worth(hit) > 0) {
                let row = vec![name(hit).to_owned(), "EUR".to_owned()];
                rows.entry(row).or_default().push((hit, 1.0, f64::from(worth(hit))));
            }
        }
        Details::Clicks => {
            for hit in of_kind("click") {
                for element in clicked(hit).into_iter().collect::<BTreeSet<_>>() {
                    let times = clicked(hit).iter().filter(|clicked| **clicked == element).count();
                    let repeated = f64::from(u8::from(times >= 3));
                    rows.entry(vec![element.to_owned()]).or_default().push((hit, times as f64, repeated));
                }
            }
        }
        Details::Depth => {
            let mut deepest: BTreeMap<_, (&Hit, u32)> = BTreeMap::new();
            for hit in of_kind("engagement").filter(|hit| hit.session != 0 && scroll(hit) > 0) {
                let known = deepest.entry((hit.day, hit.visitor, hit.session, hit.page)).or_insert((hit, 0));
                known.1 = known.1.max(scroll(hit));
            }
            for (hit, depth) in deepest.into_values() {
                rows.entry(vec![page(hit)]).or_default().push((hit, 1.0, f64::from(depth)));
            }
        }
        // The largest paint only.
        Details::Vitals(_) => {
            let mut last: BTreeMap<_, &Hit> = BTreeMap::new();
            for (n, hit) in hits.iter().enumerate().filter(|(_, hit)| KINDS[hit.kind] == "vitals") {
                let anonymous = if hit.session == 0 { n + 1 } else { 0 };
                // The later one of a minute is the one with the greater number.
                let known =
                    last.entry((hit.day, hit.visitor, hit.session, hit.page, anonymous)).or_insert(hit);
                if hit.minute >= known.minute {
                    *known = hit;
                }
            }
            for hit in last.into_values() {
                rows.entry(vec![page(hit)]).or_default().push((hit, 1.0, f64::from(lcp_ms(hit))));
            }
        }
        _ => unreachable!("not counted here"),
    }
    rows
}

fn row(seen: &[(&Hit, f64, f64)], details: Details) -> (u64, u64, Vec<f64>) {
    let visitors: HashSet<_> =
        seen.iter().filter(|(hit, ..)| hit.visitor != 0).map(|(hit, ..)| (hit.day, hit.visitor)).collect();
    let visits: HashSet<_> = seen
        .iter()
        .filter(|(hit, ..)| hit.session != 0)
        .map(|(hit, ..)| (hit.day, hit.visitor, hit.session))
        .collect();
    let times = seen.iter().map(|(_, times, _)| times).sum();
    let more: Vec<f64> = seen.iter().map(|(.., more)| *more).collect();
    let reached = |least: f64| more.iter().filter(|n| **n >= least).count() as f64;
    let numbers = match details {
        Details::Depth => {
            vec![times, reached(25.0), reached(50.0), reached(75.0), reached(100.0), more.iter().sum()]
        }
        Details::Vitals(_) => {
            let mut measured: Vec<f64> = more.iter().copied().filter(|n| *n > 0.0).collect();
            measured.sort_by(f64::total_cmp);
            let quarter = measured.get(measured.len() * 3 / 4).copied().unwrap_or_default();
            let good = measured.iter().filter(|n| **n <= 2_500.0).count() as f64;
            let poor = measured.iter().filter(|n| **n > 4_000.0).count() as f64;
            vec![times, measured.len() as f64, quarter, good, poor]
        }
        _ => vec![times, more.iter().sum()],
    };
    (visitors.len() as u64, visits.len() as u64, numbers)
}
