//! How many visits completed the goals of a site, from the same visits as every other report ([`super::scan`]).
//!
//! A visit completes a goal once, however often it sees the page or sends the event; how often is counted as well. Hits
//! without a visit complete nothing: whether two of them belong together is not known. Days that are left in the archive
//! only have no visits.

use std::fmt::Write as _;

use futures_util::future::try_join_all;
use sotto_store::{
    error_code::ErrorCode,
    goal::{Goal, Kind},
    settled::figures::Relations,
};

use super::{
    Counts, Query, ReportError, Reports, Sources,
    conditions::Conditions,
    counted::{Counted, Question},
    patient::Patient as _,
    pattern::like,
    scan::{Chosen, asked},
    sources::Plan,
};

/// Visitors and visits that completed each goal, and how often (as `events`), in the order of `goals`.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn completed(
    db: &Reports,
    sources: &Sources,
    query: &Query,
    goals: &[Goal],
) -> Result<Vec<Counts>, ReportError> {
    // Visits are read, not figures of days and months.
    let plan = Plan { months: Vec::new(), ..sources.plan(query, &[]).counted_there() };
    let parts = plan.apart().map_or_else(|| vec![plan], Vec::from);
    Ok(add(goals, try_join_all(parts.iter().map(|plan| of_plan(db, query, goals, plan))).await?))
}

/// Figures of days add up.
fn add(goals: &[Goal], parts: Vec<Vec<Counts>>) -> Vec<Counts> {
    let mut counts = vec![Counts::default(); goals.len()];
    for part in parts {
        counts.iter_mut().zip(part).for_each(|(sum, more)| *sum += more);
    }
    counts
}

async fn of_plan(
    db: &Reports,
    query: &Query,
    goals: &[Goal],
    plan: &Plan,
) -> Result<Vec<Counts>, ReportError> {
    if goals.is_empty() || plan.is_empty() {
        return Ok(vec![Counts::default(); goals.len()]);
    }
    let conditions = Conditions::of(query);
    let text = text(goals, plan, &conditions);
    let sought: Vec<(String, String)> =
        goals.iter().enumerate().map(|(n, goal)| (format!("goal_{n}"), sought(goal))).collect();
    let chosen = asked(db, query, plan, &conditions, &text);
    let chosen = sought.iter().fold(chosen, |asked, (name, expression)| asked.param(name, expression));
    let question = Question::new(query, plan, text, conditions.parameters(sought));
    let count = async { Ok(Counted { goals: chosen.rows().await?, ..Counted::default() }) };
    match (db.answer(question, count).await, plan.halves()) {
        (Ok(counted), _) => {
            let mut counts = vec![Counts::default(); goals.len()];
            for row in &counted.goals {
                let found = usize::try_from(row.goal).ok().and_then(|n| counts.get_mut(n));
                if let Some(counts) = found {
                    (counts.visitors, counts.visits, counts.events) = (row.visitors, row.visits, row.times);
                }
            }
            Ok(counts)
        }
        (Err(error), Some([earlier, later])) if ErrorCode::is_too_much(&error) => {
            let earlier = Box::pin(of_plan(db, query, goals, &earlier)).await?;
            let later = Box::pin(of_plan(db, query, goals, &later)).await?;
            Ok(add(goals, vec![earlier, later]))
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// What is sought: the name of an event, or the pattern of `LIKE` for a page.
fn sought(goal: &Goal) -> String {
    match goal.kind {
        Kind::Event => goal.pattern.clone(),
        Kind::Page => like(&goal.pattern),
    }
}

/// Text of the query; names and patterns of goals are parameters.
fn text(goals: &[Goal], plan: &Plan, conditions: &Conditions) -> String {
    let chosen = Chosen { conditions, raw: !plan.raw.is_empty(), settled: !plan.settled.is_empty() };
    let columns = ["alone", "counted", "seen_page", "seen_views", "seen_event", "seen_events"];
    let visits = chosen.visits(&columns);
    let (mut times, mut sums) = (String::new(), String::new());
    for (n, goal) in goals.iter().enumerate() {
        let completes = match goal.kind {
            // Three times as fast as a regular expression.
            Kind::Page => {
                format!("(page, views) -> views * (page LIKE {{goal_{n}:String}}), seen_page, seen_views")
            }
            Kind::Event => {
                format!("(event, events) -> events * (event = {{goal_{n}:String}}), seen_event, seen_events")
            }
        };
        // Writing to a string cannot fail.
        let _ = write!(times, ", arraySum({completes}) AS times_{n}");
        let _ = write!(
            sums,
            "{comma}(toUInt64({n}),
    countIf(alone AND times_{n} > 0) + uniqExactIf(visitor + toUInt16(day), visitor != 0 AND NOT alone AND times_{n} > 0),
    countIf(counted AND times_{n} > 0), sum(times_{n}))",
            comma = if n > 0 { ",\n" } else { "" },
        );
    }
    format!(
        "SELECT found.1 AS goal, found.2 AS visitors, found.3 AS visits, found.4 AS times
FROM (SELECT [{sums}] AS found_all FROM (SELECT day, visitor, alone, counted{times} FROM {visits}))
ARRAY JOIN found_all AS found"
    )
}

#[cfg(test)]
mod tests {
    use sotto_schema::id::{GoalId, SiteId};

    use super::*;

    #[test]
    fn pattern_is_plain_text_but_for_the_star() {
        let sought = |kind, pattern: &str| {
            let (id, site, name, pattern) = (GoalId(1), SiteId(1), String::new(), pattern.into());
            sought(&Goal { id, site, name, kind, pattern, created_ms: 0 })
        };
        assert_eq!(sought(Kind::Page, r"/a_b/100%\*"), r"/a\_b/100\%\\%");
        assert_eq!(sought(Kind::Page, "/thanks"), "/thanks");
        assert_eq!(sought(Kind::Event, "a_*"), "a_*", "the name of an event is compared");
    }
}
