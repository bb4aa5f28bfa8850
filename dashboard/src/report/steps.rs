//! Queries about the steps of visits: pages and events in their order ([`sotto_store::settled::of_events`]).
//!
//! They read visits from settled days and raw events at once, in one pass and without a join, and of settled days the column
//! of steps, what tells visitors apart, and what filters name.

use std::{cmp::Reverse, collections::HashMap};

use sotto_store::{error_code::ErrorCode, settled::figures::Relations};

use super::{
    Counts, Query, ReportError, Reports, Sources,
    conditions::Conditions,
    counted::{Counted, Question, Stepped},
    patient::Patient as _,
    scan::{Chosen, asked},
    sources::Plan,
};

/// The most rows that are read of a part of the days, to be added to others.
const PART_ROWS_MAX: u64 = 1_000_000;
/// The columns of visits that are read for steps alone.
pub(super) const COLUMNS: [&str; 2] = ["alone", "steps"];
/// How many visitors stand behind the rows for which a condition holds, one for each visit.
pub(super) fn visitors(condition: &str) -> String {
    format!(
        "countIf(alone AND {condition}) + uniqExactIf(visitor + toUInt16(day), visitor != 0 AND NOT alone AND {condition})"
    )
}

/// A question about steps. Its text names columns and parameters only.
pub(super) struct Asked<'a> {
    /// Period and filters.
    pub(super) query: &'a Query,
    /// The columns of visits that are read, besides `day` and `visitor`.
    pub(super) columns: &'a [&'a str],
    /// The text for visits, in brackets, which has these columns. Its rows are those of
    /// [`Stepped`]; it takes the parameter `limit`, the most rows of a part.
    pub(super) text: &'a (dyn Fn(&str) -> String + Sync),
    /// Names and values of its other parameters.
    pub(super) parameters: Vec<(String, String)>,
    /// The most rows of a part.
    pub(super) limit: u64,
}

impl Stepped {
    pub(super) fn counts(&self) -> Counts {
        Counts {
            visitors: self.visitors,
            visits: self.visits,
            pageviews: self.times,
            measured_views: self.times,
            ..Counts::default()
        }
    }
}

impl Asked<'_> {
    /// The rows of each part, the most frequent first.
    pub(super) async fn run(&self, db: &Reports, sources: &Sources) -> Result<Vec<Stepped>, ReportError> {
        // Visits are read, not figures of days and months.
        let plan = Plan { months: Vec::new(), ..sources.plan(self.query, &[]).counted_there() };
        self.of_plan(db, &plan, self.limit).await
    }

    async fn of_plan(&self, db: &Reports, plan: &Plan, limit: u64) -> Result<Vec<Stepped>, ReportError> {
        if plan.is_empty() {
            return Ok(Vec::new());
        }
        let conditions = Conditions::of(self.query);
        let chosen =
            Chosen { conditions: &conditions, raw: !plan.raw.is_empty(), settled: !plan.settled.is_empty() };
        let text = (self.text)(&chosen.visits(self.columns));
        let mut asked = asked(db, self.query, plan, &conditions, &text).param("limit", limit);
        for (name, value) in &self.parameters {
            asked = asked.param(name, value);
        }
        let more = [("limit".to_owned(), limit.to_string())];
        let parameters = conditions.parameters(self.parameters.iter().cloned().chain(more));
        let question = Question::new(self.query, plan, text, parameters);
        let count = async { Ok(Counted { steps: asked.rows().await?, ..Counted::default() }) };
        match (db.answer(question, count).await, plan.halves()) {
            (Ok(counted), _) => Ok(counted.steps.clone()),
            (Err(error), Some([earlier, later])) if ErrorCode::is_too_much(&error) => {
                // Which rows are the most frequent is known when all are there.
                let earlier = Box::pin(self.of_plan(db, &earlier, PART_ROWS_MAX)).await?;
                let later = Box::pin(self.of_plan(db, &later, PART_ROWS_MAX)).await?;
                Ok(greatest(add(earlier, later), limit))
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}

/// Adds rows that say the same.
fn add(some: Vec<Stepped>, more: Vec<Stepped>) -> Vec<Stepped> {
    let mut sums: HashMap<(u64, Vec<String>), Stepped> = HashMap::new();
    for row in some.into_iter().chain(more) {
        sums.entry((row.part, row.pages.clone()))
            .and_modify(|sum| {
                sum.visitors += row.visitors;
                sum.visits += row.visits;
                sum.times += row.times;
            })
            .or_insert(row);
    }
    sums.into_values().collect()
}

/// The most frequent of each part, in the order of a query.
fn greatest(mut rows: Vec<Stepped>, limit: u64) -> Vec<Stepped> {
    rows.sort_by(|a, b| {
        let order = |row: &Stepped| (row.part, Reverse(row.times), Reverse(row.visits));
        order(a).cmp(&order(b)).then_with(|| a.pages.cmp(&b.pages))
    });
    let mut last = (u64::MAX, 0);
    rows.retain(|row| {
        last = if row.part == last.0 { (last.0, last.1 + 1) } else { (row.part, 1) };
        last.1 <= limit
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_halves_are_added_and_cut_by_part_at_the_limit() {
        let row = |part, page: &str, times| Stepped {
            part,
            pages: vec![page.into()],
            visitors: 1,
            visits: times,
            times,
        };
        let rows = add(
            vec![row(1, "/a", 2), row(2, "/a", 1)],
            vec![row(1, "/a", 3), row(1, "/b", 4), row(1, "/c", 1)],
        );
        let found: Vec<(u64, String, u64)> =
            greatest(rows, 2).into_iter().map(|row| (row.part, row.pages.concat(), row.times)).collect();
        assert_eq!(found, [(1, "/a".into(), 5), (1, "/b".into(), 4), (2, "/a".into(), 1)]);
    }
}
