//! What was new on the day before, told in the morning after it: pages that are not found, fewer visitors who agree, a slow site.

use std::collections::BTreeSet;

use jiff::{ToSpan, civil::Date};

use super::{Alert, DAYS_MIN, Morning, median};
use crate::{
    figures::{counted, grouped, ms, shift},
    mail::summary::plain,
    range::Range,
    report::{
        Detail, Dimension, Query, ReportError, Reports, Sources,
        decisions::{self, Decided},
        details::{Details, VITALS, Vital},
        not_found::{self, EVENT, NotFound},
    },
};

/// Pages that are named.
const PAGES: usize = 5;
/// The fewest decisions of a day that are looked at.
const DECISIONS_MIN: u64 = 50;
/// The fewest decisions of a day from which something is usual.
const DECISIONS_USUAL_MIN: u64 = 20;
/// The fewest page views of a day on which a web vital is looked at.
const VIEWS_MIN: f64 = 100.0;
/// The web vitals that are looked at: the core ones.
const CORE: usize = 3;

/// What was new on the day before a morning. `query` is about all days, that one among them.
pub(super) async fn read(
    db: &Reports,
    sources: &Sources,
    query: &Query,
    morning: Morning,
) -> Result<Vec<Alert>, ReportError> {
    let of = |range| Query { range, detail: Detail::Groups, ..query.clone() };
    let before = Range { from: query.range.from, to: morning.day.saturating_sub(1.day()) };
    let days = Range { from: before.from, to: morning.day };
    let (now, earlier) = (of(Range::day(morning.day)), of(before));
    // Thresholds and medians are of exact figures; what is told is rounded.
    let by_day = Query { range: days, ..query.clone() };
    let (missing, known, decisions, vitals) = tokio::try_join!(
        not_found::pages(db, sources, &now, EVENT),
        not_found::pages(db, sources, &earlier, EVENT),
        decisions::run(db, &query.scope, days),
        Details::Vitals(Some(Dimension::Day)).run(db, sources, &by_day)
    )?;
    let vitals: Vec<Measured> = vitals
        .iter()
        .filter_map(|told| {
            let day = told.values.first()?.parse().ok()?;
            let of = |n| told.vital(n).map(|vital| (vital.views, vital.p75));
            Some(Measured { day, vitals: std::array::from_fn(of) })
        })
        .collect();
    let decided: Vec<(Date, Decided)> =
        decisions.points.iter().filter_map(|(day, decided)| Some((day.parse().ok()?, *decided))).collect();
    let alerts =
        [new_missing(&missing, &known, morning), refusal(&decided, morning), slowness(&vitals, morning)];
    Ok(alerts.into_iter().flatten().collect())
}

/// Page views and 75th percentile of the core web vitals of a day.
struct Measured {
    day: Date,
    vitals: [Option<(f64, f64)>; CORE],
}

fn told(day: Date) -> String {
    day.strftime("%A, %-d %B").to_string()
}

/// Pages that a group did not find, and none in the four weeks before.
fn new_missing(missing: &NotFound, known: &NotFound, Morning { day, since_ms }: Morning) -> Option<Alert> {
    let known: BTreeSet<&str> = known.pages.iter().map(|page| page.page.as_str()).collect();
    let new: Vec<_> = missing
        .pages
        .iter()
        .filter(|page| page.page.starts_with('/') && !known.contains(page.page.as_str()))
        .collect();
    let named: Vec<String> = new
        .iter()
        .take(PAGES)
        .map(|page| format!("{} ({})", plain(&page.page), counted(page.counts.visits, "visit")))
        .collect();
    let more = match new.len().saturating_sub(PAGES) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    (!new.is_empty()).then(|| Alert {
        name: format!("{day} missing"),
        title: "pages are not found".to_owned(),
        text: format!(
            "On {}, visitors came to pages that do not exist, and to which nobody or too few came in the four weeks before: {}{more}. Perhaps a link is wrong, or a page was moved.",
            told(day),
            named.join(", ")
        ),
        page: "/not-found",
        day,
        since_ms,
    })
}

/// How many of a hundred decisions granted analytics.
fn share(decided: &Decided) -> u64 {
    decided.analytics * 100 / decided.all().max(1)
}

/// Less than half of the usual share of decisions granted analytics.
fn refusal(days: &[(Date, Decided)], Morning { day, since_ms }: Morning) -> Option<Alert> {
    let now = days.iter().find(|(at, _)| *at == day).map(|(_, decided)| *decided)?;
    let before: Vec<u64> = days
        .iter()
        .filter(|(at, decided)| *at < day && decided.all() >= DECISIONS_USUAL_MIN)
        .map(|(_, decided)| share(decided))
        .collect();
    let enough = now.all() >= DECISIONS_MIN && before.len() >= DAYS_MIN;
    let usual = median(before);
    (enough && share(&now) * 2 < usual).then(|| Alert {
        name: format!("{day} refusal"),
        title: "fewer visitors agree".to_owned(),
        text: format!(
            "On {}, {} % of {} decisions agreed to analytics. In the four weeks before, it was usually {usual} %. Perhaps the banner or the notice was changed.",
            told(day),
            share(&now),
            grouped(now.all())
        ),
        page: "/consent",
        day,
        since_ms,
    })
}

fn value_of(vital: &Vital, value: f64) -> String {
    if vital.is_shift() { shift(value / 1_000.0) } else { ms(value) }
}

/// A core web vital that is poor, and usually was not.
fn slowness(days: &[Measured], Morning { day, since_ms }: Morning) -> Option<Alert> {
    let now = days.iter().find(|measured| measured.day == day)?;
    let slow = VITALS.iter().zip(0..CORE).filter_map(|(vital, n)| {
        let enough = |measured: &Measured| {
            measured.vitals.get(n).copied().flatten().filter(|(views, _)| *views >= VIEWS_MIN)
        };
        let (_, p75) = enough(now)?;
        let mut before: Vec<f64> = days
            .iter()
            .filter(|measured| measured.day < day)
            .filter_map(enough)
            .map(|(_, p75)| p75)
            .collect();
        before.sort_by(f64::total_cmp);
        let usual = *before.get(before.len().saturating_sub(1) / 2)?;
        let poor = f64::from(vital.fair);
        (before.len() >= DAYS_MIN && p75 > poor && usual <= poor).then(|| {
            format!("{} of {} (usually {})", vital.label, value_of(vital, p75), value_of(vital, usual))
        })
    });
    let slow: Vec<String> = slow.collect();
    (!slow.is_empty()).then(|| Alert {
        name: format!("{day} speed"),
        title: "pages are slow".to_owned(),
        text: format!(
            "On {}, a quarter of the page views had a poor {} or more.",
            told(day),
            slow.join(", and a poor ")
        ),
        page: "/vitals",
        day,
        since_ms,
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::report::{Counts, not_found::Missing};

    const MORNING: Morning = Morning { day: date(2026, 11, 26), since_ms: 7 };

    fn found(pages: &[(&str, u64)]) -> NotFound {
        let page = |(page, n): &(&str, u64)| Missing {
            page: (*page).to_owned(),
            counts: Counts { visitors: *n, visits: *n, pageviews: *n, ..Counts::default() },
            from: Vec::new(),
        };
        NotFound { pages: pages.iter().map(page).collect(), ..NotFound::default() }
    }

    #[test]
    fn page_that_is_not_found_is_told_once_it_is_new() {
        let known = found(&[("/old", 10)]);
        for (missing, expected) in [
            (&[][..], None),
            (&[("/old", 20)], None),
            (&[("", 20)], None),
            (&[("(rest)", 20)], None),
            (&[("/old", 20), ("/new", 10)], Some("before: /new (10 visits). ")),
            (
                &[("/a", 9), ("/b", 8), ("/c", 7), ("/d", 6), ("/e", 5), ("/f", 5), ("/g", 5)],
                Some("/d (6 visits), /e (5 visits), and 2 more. "),
            ),
            (&[("/x\u{202e}\r\ny", 5)], Some("/x  y (5 visits)")),
        ] {
            let told = new_missing(&found(missing), &known, MORNING);
            match expected {
                None => assert_eq!(told, None, "{missing:?}"),
                Some(text) => {
                    let told = told.unwrap();
                    assert!(told.text.contains(text), "{}", told.text);
                    assert_eq!((told.name.as_str(), told.since_ms), ("2026-11-26 missing", 7));
                }
            }
        }
    }

    #[test]
    fn share_of_those_who_agree_is_told_below_half_of_the_usual() {
        let decided = |all: u64, agreed: u64| Decided {
            everything: agreed,
            nothing: all - agreed,
            analytics: agreed,
            ..Decided::default()
        };
        for (usual_days, usual, now, expected) in [
            (14, (20, 10), (50, 12), true),
            (14, (20, 10), (50, 13), false),
            (14, (20, 10), (49, 0), false),
            (13, (20, 10), (50, 0), false),
            (14, (19, 10), (50, 0), false),
            (14, (20, 0), (50, 0), false),
        ] {
            let mut days: Vec<_> = (1..=usual_days)
                .map(|age| (MORNING.day.saturating_sub(age.days()), decided(usual.0, usual.1)))
                .collect();
            days.push((MORNING.day, decided(now.0, now.1)));
            let told = refusal(&days, MORNING);
            assert_eq!(told.is_some(), expected, "{usual_days} {usual:?} {now:?}");
            if let Some(told) = told {
                assert!(told.text.contains("24 % of 50 decisions") && told.text.contains("usually 50 %"));
            }
        }
        assert_eq!(refusal(&[], MORNING), None);
    }

    #[test]
    fn web_vital_is_told_when_it_is_poor_and_usually_is_not() {
        let lcp = |views: f64, p75: f64| [Some((views, p75)), None, None];
        for (usual_days, usual, now, expected) in [
            (14, lcp(100.0, 4_000.0), lcp(100.0, 4_001.0), true),
            (14, lcp(100.0, 4_000.0), lcp(100.0, 4_000.0), false),
            (14, lcp(100.0, 4_001.0), lcp(100.0, 9_000.0), false),
            (14, lcp(100.0, 2_000.0), lcp(99.0, 9_000.0), false),
            (14, lcp(99.0, 2_000.0), lcp(100.0, 9_000.0), false),
            (13, lcp(100.0, 2_000.0), lcp(100.0, 9_000.0), false),
        ] {
            let mut days: Vec<_> = (1..=usual_days)
                .map(|age| Measured { day: MORNING.day.saturating_sub(age.days()), vitals: usual })
                .collect();
            days.push(Measured { day: MORNING.day, vitals: now });
            let told = slowness(&days, MORNING);
            assert_eq!(told.is_some(), expected, "{usual_days} {usual:?} {now:?}");
            if let Some(told) = told {
                assert!(
                    told.text.contains("Largest Contentful Paint of 4.0 s (usually 4.0 s)"),
                    "{}",
                    told.text
                );
            }
        }
    }
}
