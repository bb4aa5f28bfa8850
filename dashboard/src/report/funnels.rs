//! How far visits came on the funnels of a site, and where those went who went no further, from the same visits as every
//! other report ([`super::steps`]).
//!
//! A visit reaches a step when it saw the page or sent the event after the step before: at any time later in the visit, or,
//! where the funnel is strict, before it saw another page. A page that is seen again before another one is not seen twice.
//! A visit counts once, with the furthest step that it reached. What is not known of visits: see [`super::paths`].

use std::fmt::Write as _;

use sotto_store::{
    funnel::{Funnel, Step},
    goal::Kind,
    settled::EVENT_STEP,
};

use super::{
    Counts, Detail, Query, ReportError, Reports, Sources,
    groups::keep_groups_by,
    paths::Place,
    pattern::like,
    steps::{Asked, COLUMNS, visitors},
};

/// The most places to which visits went after a step.
pub const PLACES_MAX: u64 = 1_000;
/// Numbers of parts by funnel: more than two for each of its steps.
const PARTS: u64 = 100;
/// What is added to the number of a step for those who went no further.
const LEFT: u64 = 50;

/// How far visits came on a funnel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reached {
    /// Visits and visitors that reached each step.
    pub steps: Vec<Counts>,
    /// Of each step but the last, where visits went that went no further: the next page after they first reached it.
    /// Nothing where it was not asked for.
    pub left: Vec<Vec<(Place, Counts)>>,
}

/// How far visits came on each funnel; with `places`, also where they went who went no further.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn reached(
    db: &Reports,
    sources: &Sources,
    query: &Query,
    funnels: &[Funnel],
    places: bool,
) -> Result<Vec<Reached>, ReportError> {
    let empty = |funnel: &Funnel| Reached {
        steps: vec![Counts::default(); funnel.steps.len()],
        left: vec![Vec::new(); funnel.steps.len() - 1],
    };
    let mut all: Vec<Reached> = funnels.iter().map(empty).collect();
    if funnels.is_empty() {
        return Ok(all);
    }
    let sought = sought(funnels);
    let parameters =
        sought.iter().enumerate().map(|(n, step)| (format!("step_{n}"), expression(step))).collect();
    let text = |visits: &str| text(funnels, &sought, places, visits);
    let asked = Asked { query, columns: &COLUMNS, text: &text, parameters, limit: PLACES_MAX };
    for mut row in asked.run(db, sources).await? {
        let of = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let Some(reached) = all.get_mut(of(row.part / PARTS)) else { continue };
        let (step, counts) = (row.part % PARTS, row.counts());
        match row.pages.pop() {
            Some(page) => {
                let left = reached.left.get_mut(of(step - LEFT - 1));
                left.into_iter().for_each(|left| left.push((Place::from(page.clone()), counts)));
            }
            None => reached.steps.get_mut(of(step - 1)).into_iter().for_each(|sum| *sum = counts),
        }
    }
    if query.detail == Detail::Groups {
        for reached in &mut all {
            reached.steps.iter_mut().for_each(|counts| *counts = counts.of_groups());
            reached.left.iter_mut().for_each(|left| keep_groups_by(left, |counts| counts.visits));
        }
    }
    Ok(all)
}

/// The steps of all funnels, each once.
fn sought(funnels: &[Funnel]) -> Vec<&Step> {
    let mut sought: Vec<&Step> = Vec::new();
    for step in funnels.iter().flat_map(|funnel| &funnel.steps) {
        if !sought.contains(&step) {
            sought.push(step);
        }
    }
    sought
}

/// What a step is compared with.
fn expression(step: &Step) -> String {
    match step.kind {
        Kind::Page => like(&step.pattern),
        Kind::Event => format!("{EVENT_STEP}{}", step.pattern),
    }
}

/// Text of the query; what is sought are parameters. `found_n` says of each step of a visit whether it is the nth that is
/// sought, `on_f_s` whether step s of funnel f is reached with it, and `at_f` where each step of funnel f was first reached
/// (0: never). Parts of its rows: visits that reached a step, and those that went no further.
///
/// Each level has what the next one names more than once: ClickHouse would otherwise put it together for each mention. Only
/// visits that reached the first step of a funnel are looked at further.
fn text(funnels: &[Funnel], sought: &[&Step], places: bool, visits: &str) -> String {
    let [mut found, mut on, mut at, mut first] = [const { String::new() }; 4];
    // Writing to a string cannot fail.
    for (n, step) in sought.iter().enumerate() {
        let operator = if step.kind == Kind::Page { "LIKE" } else { "=" };
        let _ = write!(
            found,
            ", arrayMap(step -> toUInt8(step {operator} {{step_{n}:String}}), steps) AS found_{n}"
        );
    }
    let mut entries = Vec::new();
    for (f, funnel) in funnels.iter().enumerate() {
        // What was reached stays so for all that follows, or until another page is seen.
        let stays = match funnel.strict {
            true => ("(reached, page) -> reached OR page", ", are_pages"),
            false => ("reached -> reached", ""),
        };
        for (s, step) in funnel.steps.iter().enumerate() {
            let n = sought.iter().position(|other| *other == step).unwrap_or_default();
            let _ = match s.checked_sub(1) {
                None => {
                    let _ = write!(first, "{}has(found_{n}, 1)", if first.is_empty() { "" } else { " OR " });
                    write!(on, ", found_{n} AS on_{f}_0")
                }
                Some(before) => write!(
                    on,
                    ",
    arrayMap((found, before) -> found AND before, found_{n}, arrayPopBack(arrayPushFront(arrayFill({}, on_{f}_{before}{}), 0))) AS on_{f}_{s}",
                    stays.0, stays.1
                ),
            };
        }
        let last = funnel.steps.len();
        let reached: Vec<String> = (0..last).map(|s| format!("indexOf(on_{f}_{s}, 1)")).collect();
        let _ = write!(at, ", [{}] AS at_{f}", reached.join(", "));
        let (reached, left) = (f as u64 * PARTS, f as u64 * PARTS + LEFT);
        let depth = format!("arrayCount(at -> at > 0, at_{f})");
        entries
            .push(format!("arrayMap(step -> ({reached} + step, emptyArrayString()), range(1, {depth} + 1))"));
        if places {
            let next = format!(
                "arrayFirst((step, n) -> n > at_{f}[{depth}] AND NOT startsWith(step, ':'), steps, arrayEnumerate(steps))"
            );
            entries.push(format!("if({depth} IN (0, {last}), [], [({left} + {depth}, [toString({next})])])"));
        }
    }
    format!(
        "SELECT toUInt64(entry.1) AS part, entry.2 AS pages, {visitors} AS visitors, count() AS visits, count() AS times
FROM (SELECT day, visitor, alone, arrayJoin(arrayConcat({entries})) AS entry
FROM (SELECT day, visitor, alone, steps{at}
FROM (SELECT day, visitor, alone, steps{on}
FROM (SELECT day, visitor, alone, steps, arrayMap(step -> toUInt8(NOT startsWith(step, ':')), steps) AS are_pages{found}
FROM {visits}) WHERE {first})))
GROUP BY part, pages
ORDER BY part, times DESC, visits DESC, pages
LIMIT {{limit:UInt64}} BY part",
        visitors = visitors("true"),
        entries = entries.join(",\n    "),
    )
}

#[cfg(test)]
mod tests {
    use sotto_schema::id::{FunnelId, SiteId};

    use super::*;

    #[test]
    fn text_of_a_query_holds_nothing_that_people_type() {
        let typed = "Robert'); DROP TABLE events; --";
        let step = |kind, more: &str| Step { kind, pattern: format!("/{typed}{more}") };
        let funnel = |strict| Funnel {
            id: FunnelId(1),
            site: SiteId(1),
            name: typed.into(),
            strict,
            steps: vec![step(Kind::Page, ""), step(Kind::Event, ""), step(Kind::Page, "*")],
            created_ms: 0,
        };
        let funnels = [funnel(true), funnel(false)];
        let sought = sought(&funnels);
        assert_eq!(sought.len(), 3, "each once");
        let text = text(&funnels, &sought, true, "(visits)");
        assert!(!text.contains("Robert") && !text.contains("DROP"), "{text}");
    }

    #[test]
    fn star_stands_for_anything_in_a_path_only() {
        let of = |kind, pattern: &str| expression(&Step { kind, pattern: pattern.into() });
        assert_eq!(of(Kind::Page, "/a_b/*"), r"/a\_b/%");
        assert_eq!(of(Kind::Event, r"a_*%\"), r":a_*%\");
    }
}
