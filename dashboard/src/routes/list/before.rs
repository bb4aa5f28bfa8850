//! A list of the period before, with which the list is compared.

use std::collections::HashMap;

use crate::{
    figures::Change,
    page::PageError,
    report::{Counts, Detail, Metric, Query, Reports, TableRow, run},
    routes::overview::Subject,
};

/// Rows of the period before that are read at least.
const BEFORE_ROWS_MIN: u64 = 1_000;

/// How a figure stands against the period before.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) change: Option<Change>,
    /// Whether there was nothing before.
    pub(super) new: bool,
}

/// Rows of the period before.
pub(super) struct Before {
    rows: HashMap<String, Counts>,
    /// Whether there were no others.
    all: bool,
}

impl Before {
    /// Compares a figure of a row.
    pub(super) fn compare(&self, row: &TableRow, metric: Metric) -> Compared {
        let Some(then) = self.of(&row.value) else { return Compared::default() };
        let (then, now) = (metric.of(&then).unwrap_or_default(), metric.of(&row.counts));
        Compared { change: Change::between(metric, now, Some(then)), new: then == 0.0 && now > Some(0.0) }
    }

    /// The counts of a value; `None` if it may be among those that were not read.
    fn of(&self, value: &str) -> Option<Counts> {
        self.rows.get(value).copied().or(self.all.then(Counts::default))
    }
}

/// Reads the list of the period before, when compared.
pub(super) async fn read(
    db: &Reports,
    asked: &Subject<'_>,
    question: &Query,
) -> Result<Option<Before>, PageError> {
    let Some(then) = &asked.before else { return Ok(None) };
    let limit = question.limit.max(BEFORE_ROWS_MIN);
    let then = Query { range: then.range, until_ms: then.until_ms, limit, ..question.clone() };
    let table = run(db, &then).await?;
    // Of groups, what is not there may have been one visitor.
    let all = (table.rows.len() as u64) < limit && then.detail == Detail::All;
    Ok(Some(Before { rows: table.rows.into_iter().map(|row| (row.value, row.counts)).collect(), all }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_is_new_only_where_all_rows_of_the_period_before_are_known() {
        let counts = |visitors| Counts { visitors, ..Counts::default() };
        let row = |value: &str| TableRow { value: value.into(), figures: Vec::new(), counts: counts(6) };
        let mut before = Before { rows: HashMap::from([("/a".to_owned(), counts(3))]), all: true };
        let size = |before: &Before, value| {
            let compared = before.compare(&row(value), Metric::Visitors);
            (compared.change.map(|change| change.size), compared.new)
        };
        assert_eq!(size(&before, "/a"), (Some("100%".into()), false));
        assert_eq!(size(&before, "/b"), (None, true));
        before.all = false;
        assert_eq!(size(&before, "/b"), (None, false), "it may be among the rest");
    }
}
