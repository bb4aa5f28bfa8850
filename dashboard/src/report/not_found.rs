//! Pages that were not found, and where visitors were before: the pages on which visits sent an event, from the same visits as
//! every other report ([`super::steps`]).
//!
//! The script sends [`EVENT`] from an error page, and so do the scripts of Plausible. Hits without a visit are not here: where
//! they came from is not known.

use std::collections::HashMap;

use super::{
    Counts, Detail, Query, ReportError, Reports, Sources,
    groups::{is_group, keep_groups_by},
    steps::{Asked, visitors},
};

/// What a page that was not found sends.
pub const EVENT: &str = "404";
/// The most pages, and the most rows of where visitors came from.
pub const ROWS_MAX: u64 = 1_000;

const ALL: u64 = 0;
const PAGE: u64 = 1;
const FROM: u64 = 2;

/// Where a visit was before it came to a page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum From {
    /// On another page of the site.
    Page(String),
    /// Elsewhere: the visit began with the page. Its source, empty if there is none.
    Source(String),
}

/// A page, and where its visitors came from, the most frequent first. As `pageviews`, how often the event was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its path; empty if the visit saw no page before it sent the event.
    pub page: String,
    /// Visits that sent the event there.
    pub counts: Counts,
    /// Where they were before.
    pub from: Vec<(From, Counts)>,
}

/// All such pages, the most frequent first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotFound {
    /// Visits that sent the event anywhere.
    pub all: Counts,
    /// The pages.
    pub pages: Vec<Missing>,
    /// Whether it is empty because it stands for too few visitors to be shown to this reader.
    pub withheld: bool,
}

/// The pages on which visits sent an event.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn pages(
    db: &Reports,
    sources: &Sources,
    query: &Query,
    event: &str,
) -> Result<NotFound, ReportError> {
    let parameters = vec![("step".to_owned(), format!(":{event}"))];
    let text = |visits: &str| text(visits, query.detail);
    let columns = &["alone", "steps", "source"];
    let rows = Asked { query, columns, text: &text, parameters, limit: ROWS_MAX }.run(db, sources).await?;
    let mut all = Counts::default();
    let mut pages: Vec<(String, Counts)> = Vec::new();
    let mut from: HashMap<String, Vec<(From, Counts)>> = HashMap::new();
    for row in rows {
        let counts = row.counts();
        match (row.part, <[String; 3]>::try_from(row.pages)) {
            (ALL, _) => all = counts,
            (PAGE, Err(page)) => pages.push((page.concat(), counts)),
            (_, Ok([page, before, source])) => {
                let place = if before.is_empty() { From::Source(source) } else { From::Page(before) };
                from.entry(page).or_default().push((place, counts));
            }
            _ => {}
        }
    }
    if query.detail == Detail::Groups {
        if !is_group(&all) {
            return Ok(NotFound { withheld: true, ..NotFound::default() });
        }
        all = all.of_groups();
        keep_groups_by(&mut pages, |counts| counts.pageviews);
        from.values_mut().for_each(|rows| keep_groups_by(rows, |counts| counts.pageviews));
    }
    let of_page = |(page, counts): (String, Counts)| {
        let from = from.remove(&page).unwrap_or_default();
        Missing { page, counts, from }
    };
    Ok(NotFound { all, pages: pages.into_iter().map(of_page).collect(), withheld: false })
}

/// Text of the query; the step of the event is a parameter. Parts of its rows: all, pages, and where visits came from: page,
/// page before, and the source of visits without one. Visitors are counted for readers to whom too few must not be shown.
fn text(visits: &str, detail: Detail) -> String {
    let visitors = match detail {
        Detail::All => "toUInt64(0)".to_owned(),
        Detail::Groups => visitors("nth = 1"),
    };
    format!(
        "SELECT toUInt64(place.1) AS part, place.2 AS pages, {visitors} AS visitors, countIf(nth = 1) AS visits, count() AS times
FROM (
    SELECT day, visitor, alone,
        arrayFlatten(arrayMap(
            before -> [
                ({ALL}, emptyArrayString()),
                ({PAGE}, [before[-1]]),
                ({FROM}, [before[-1], before[-2], if(before[-2] = '', came_from, '')])
            ],
            arrayMap(
                sent -> arrayFilter(step -> NOT startsWith(step, ':'), arraySlice(all_steps, 1, sent)),
                arrayFilter((n, step) -> step = {{step:String}}, arrayEnumerate(all_steps), all_steps)
            )
        )) AS places
    FROM (
        SELECT day, visitor, alone, toString(source) AS came_from, arrayMap(step -> toString(step), steps) AS all_steps
        FROM {visits} WHERE has(steps, {{step:String}})
    )
)
ARRAY JOIN places AS place, arrayEnumerateUniq(places) AS nth
GROUP BY part, pages
ORDER BY part, times DESC, visits DESC, pages
LIMIT {{limit:UInt64}} BY part"
    )
}
