//! What visits saw directly before and after a page, and how they went on from it, from the same visits as every other
//! report ([`super::steps`]).
//!
//! A page that is seen again before another one is one step. Pageviews without a visit are in no path: whether two of them
//! belong together is not known. Days that are left in the archive only have no visits. Of a visit,
//! [`sotto_store::settled::STEPS_MAX`] steps are kept; what came after them is [`Place::Beyond`].

use std::collections::HashMap;

use sotto_store::settled::{MORE_STEPS, STEPS_MAX};

use super::{
    Answer, Counts, Detail, Query, ReportError, Reports, Sources,
    groups::{is_group, keep_groups_by},
    steps::{Asked, COLUMNS, visitors},
};

/// The longest path of a page that is asked for, in characters. The collector keeps no longer one.
pub const PAGE_CHARS_MAX: usize = 1_024;
/// How many steps journeys go on from a page.
pub const JOURNEY_STEPS: usize = 3;
/// The most rows before a page, after it, and of journeys of one length.
pub const PATHS_MAX: u64 = 1_000;

const PAGE: u64 = 0;
const BEFORE: u64 = 1;
const AFTER: u64 = 2;

/// Where a visit was before or after a page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Another page.
    Page(String),
    /// Nowhere: it began or ended with the page.
    Outside,
    /// Beyond the steps that are kept of a visit.
    Beyond,
}

impl From<String> for Place {
    fn from(step: String) -> Self {
        match step.as_str() {
            "" => Self::Outside,
            MORE_STEPS => Self::Beyond,
            _ => Self::Page(step),
        }
    }
}

/// What a place is called, where `outside` is what being nowhere else is called.
pub(crate) fn label(place: &Place, outside: &str) -> String {
    match place {
        Place::Page(page) => page.clone(),
        Place::Outside => outside.to_owned(),
        Place::Beyond => format!("(more than {STEPS_MAX} steps)"),
    }
}

/// Where visits went, with their counts, and where from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onward {
    /// Where.
    pub place: Place,
    /// Visits.
    pub counts: Counts,
    /// The greatest first.
    pub onward: Vec<Onward>,
}

/// What happened around a page: visits, and as `pageviews` views of the page, repetitions left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Paths {
    /// Visits that saw the page.
    pub page: Counts,
    /// Where they were before each view, the most frequent first.
    pub before: Vec<(Place, Counts)>,
    /// Where they went after each view, the most frequent first.
    pub after: Vec<(Place, Counts)>,
    /// Where they went after they saw the page for the first time: up to [`JOURNEY_STEPS`] steps. Each visit is on one
    /// journey.
    pub journeys: Vec<Onward>,
    /// Whether it is empty because it stands for too few visitors to be shown to this reader.
    pub withheld: bool,
}

/// The page that somebody typed; `None` if nothing was typed.
///
/// # Errors
/// If it is too long.
pub fn typed(page: &str) -> Result<Option<String>, ReportError> {
    let page = page.trim();
    let slash = if page.starts_with('/') { "" } else { "/" };
    match page.chars().count() + slash.len() {
        _ if page.is_empty() => Ok(None),
        characters if characters > PAGE_CHARS_MAX => Err(ReportError::Page),
        _ => Ok(Some([slash, page].concat())),
    }
}

/// The page with which most visits begin, from a list of entry pages, which comes first of an answer.
pub(crate) fn most_entered(answer: &Answer) -> Option<String> {
    let (rows, _) = answer.lists.first()?;
    rows.iter().map(|(value, _)| value).find(|value| value.starts_with('/')).cloned()
}

/// Paths around a page.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn around(
    db: &Reports,
    sources: &Sources,
    query: &Query,
    page: &str,
) -> Result<Paths, ReportError> {
    let parameters = vec![("page".to_owned(), page.to_owned())];
    let text = |visits: &str| text(visits, query.detail);
    let rows = Asked { query, columns: &COLUMNS, text: &text, parameters, limit: PATHS_MAX }
        .run(db, sources)
        .await?;
    let mut paths = Paths::default();
    let mut journeys: HashMap<Vec<String>, Vec<(String, Counts)>> = HashMap::new();
    for mut row in rows {
        let counts = row.counts();
        let Some(last) = row.pages.pop() else {
            paths.page = counts;
            continue;
        };
        match row.part {
            BEFORE => paths.before.push((last.into(), counts)),
            AFTER => paths.after.push((last.into(), counts)),
            _ => journeys.entry(row.pages).or_default().push((last, counts)),
        }
    }
    if query.detail == Detail::Groups {
        paths.withheld = !is_group(&paths.page);
        paths.page = paths.page.of_groups();
        keep_groups_by(&mut paths.before, |counts| counts.pageviews);
        keep_groups_by(&mut paths.after, |counts| counts.pageviews);
        journeys.values_mut().for_each(|steps| keep_groups_by(steps, |counts| counts.visits));
        if paths.withheld {
            return Ok(Paths { withheld: true, ..Paths::default() });
        }
    }
    paths.journeys = onward(&mut journeys, &mut Vec::new());
    Ok(paths)
}

/// Where journeys go from their first steps.
fn onward(all: &mut HashMap<Vec<String>, Vec<(String, Counts)>>, first: &mut Vec<String>) -> Vec<Onward> {
    let steps = all.remove(first).unwrap_or_default();
    let step = |(step, counts): (String, Counts)| {
        first.push(step.clone());
        let onward = onward(all, first);
        first.pop();
        Onward { place: step.into(), counts, onward }
    };
    steps.into_iter().map(step).collect()
}

/// Text of the query; the page is a parameter. Parts of its rows: the page itself, what came before, what came after, and
/// journeys of one, two and three steps. Visitors are counted for readers to whom too few must not be shown: telling them
/// apart for each row takes as long as everything else.
///
/// Each level has what the next one names more than once, and the innermost leaves the visits that saw the page: ClickHouse
/// would otherwise put it together for each mention, and of all visits.
fn text(visits: &str, detail: Detail) -> String {
    let visitors = match detail {
        Detail::All => "toUInt64(0)".to_owned(),
        // A visit that saw the page several times is one.
        Detail::Groups => visitors("nth = 1"),
    };
    format!(
        "SELECT toUInt64(step.1) AS part, step.2 AS pages, {visitors} AS visitors, countIf(nth = 1) AS visits, count() AS times
FROM (
    SELECT day, visitor, alone,
        arrayConcat(
            arrayMap(n -> ({PAGE}, emptyArrayString()), seen),
            arrayMap(n -> ({BEFORE}, [if(n = 1, '', pages[n - 1])]), seen),
            arrayMap(n -> ({AFTER}, [ended[n + 1]]), seen),
            arrayMap(
                length -> ({AFTER} + length, arraySlice(ended, seen[1] + 1, length)),
                range(1, least({JOURNEY_STEPS}, length(ended) - seen[1]) + 1)
            )
        ) AS around
    FROM (
        SELECT day, visitor, alone, pages, if(pages[-1] = '{MORE_STEPS}', pages, arrayPushBack(pages, '')) AS ended,
            arrayFilter((n, page) -> page = {{page:String}}, arrayEnumerate(pages), pages) AS seen
        FROM (
            SELECT day, visitor, alone,
                arrayMap(step -> toString(step), arrayFilter(step -> NOT startsWith(step, ':'), steps)) AS pages
            FROM (SELECT day, visitor, alone, steps FROM {visits} WHERE has(steps, {{page:String}}))
        )
    )
)
ARRAY JOIN around AS step, arrayEnumerateUniq(around) AS nth
GROUP BY part, pages
ORDER BY part, times DESC, visits DESC, pages
LIMIT {{limit:UInt64}} BY part"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_page_begins_with_a_slash_and_has_a_limit() {
        let of = |text: &str| typed(text).unwrap();
        assert_eq!(of(" prices "), Some("/prices".into()));
        assert_eq!(of("/a b"), Some("/a b".into()));
        assert_eq!(of(" "), None);
        let long = "ä".repeat(PAGE_CHARS_MAX - 1);
        assert!(typed(&long).is_ok());
        assert!(typed(&format!("{long}a")).is_err());
    }
}
