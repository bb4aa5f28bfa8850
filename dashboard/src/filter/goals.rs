//! Filters on goals, as they are typed on a command line and in the API: `goal=Sign up` and `goal!=Sign up`. A goal is what
//! completes it, so that a filter means the same when the goal was removed.

use sotto_schema::id::SiteId;
use sotto_store::{
    db::Db,
    goal::{self, Goal},
};

use super::{Filter, UnknownFilter, Verb};
use crate::report::ReportError;

/// Whether a filter is one on a goal: its verb, and the name or the number of the goal.
fn sought(text: &str) -> Option<(Verb, &str)> {
    let rest = text.strip_prefix("goal")?;
    let not = rest.strip_prefix(Verb::Not.sign()).map(|goal| (Verb::Not, goal));
    not.or_else(|| rest.strip_prefix(Verb::Is.sign()).map(|goal| (Verb::Is, goal)))
}

fn equation(goals: &[Goal], verb: Verb, name: &str) -> Option<String> {
    let goal = goals.iter().find(|goal| goal.name == name || goal.id.to_string() == name)?;
    let completed = Filter::of_goal(goal)?;
    let filter = if verb.is_negative() { completed.denied()? } else { completed };
    Some(filter.equation())
}

/// Filters as typed, where those on goals say what completes them.
///
/// # Errors
/// When the site has no goal of that name, or ClickHouse cannot be asked.
pub async fn resolved(db: &Db, site: SiteId, typed: Vec<String>) -> Result<Vec<String>, ReportError> {
    if !typed.iter().any(|text| sought(text).is_some()) {
        return Ok(typed);
    }
    let goals = goal::all(db, site).await?;
    let one = |text: String| match sought(&text) {
        None => Ok(text),
        Some((verb, name)) => {
            equation(&goals, verb, name).ok_or_else(|| UnknownFilter::Goal(name.to_owned()).into())
        }
    };
    typed.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use sotto_schema::id::GoalId;
    use sotto_store::goal::Kind;

    use super::*;

    #[test]
    fn goal_is_what_completes_it() {
        let goal = |id, name: &str, kind, pattern: &str| {
            let (id, name, pattern) = (GoalId(id), name.into(), pattern.into());
            Goal { id, site: SiteId(1), name, kind, pattern, created_ms: 0 }
        };
        let goals = [
            goal(1, "Thanks", Kind::Page, "/thanks"),
            goal(2, "Orders", Kind::Page, "/order/*"),
            goal(3, "Sign up", Kind::Event, "a*b"),
        ];
        for (text, expected) in [
            ("goal=Thanks", Some("visited=/thanks")),
            ("goal!=Thanks", Some("visited!=/thanks")),
            ("goal=Orders", Some("visited*=/order/*")),
            ("goal!=2", Some("visited!*=/order/*")),
            ("goal=Sign up", Some("did=a*b")),
            ("goal=Other", None),
        ] {
            let (verb, name) = sought(text).unwrap();
            assert_eq!(equation(&goals, verb, name).as_deref(), expected, "{text}");
        }
        for other in ["goals=1", "page=/goal", "goal~=a"] {
            assert_eq!(sought(other), None, "{other}");
        }
    }
}
