//! The one query behind a page: counts by several dimensions at once, of settled days and of raw events.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use clickhouse::error::Error;
use futures_util::future::try_join_all;
use sotto_schema::dimension::{Dimension, NOT_MEASURED};
use sotto_store::{
    db::Db,
    error_code::ErrorCode,
    settled::{
        PAGE_FIELDS, STEPS_MAX, UNTIL_END_MS,
        few::{Change, Few, Figure},
        figures::{self, CONSENT, COUNTS, Relations},
        of_events::{self, Detailed},
    },
};

use super::{
    Consent, Counts, List, Metric, Query, ROWS_MAX, ReportError, Reports, Rows,
    conditions::{Conditions, SETTLED, VISIT_OF_DAY},
    counted::{Counted, Figures, Question},
    patient::Patient as _,
    sources::Plan,
};

/// The most rows of a list that are read to be added to others.
const PART_ROWS_MAX: u64 = 1_000_000;
/// The most rows of a list that are read from settled days and from raw events side by side; longer lists are put
/// together by ClickHouse.
const SIDE_ROWS_MAX: u64 = 20_000;
/// What is read of the figures of settled days: they lie by dimension first, so that a few days of many are found by
/// naming them.
const CELLS: &str =
    "site = {site:UInt64} AND day IN {days:Array(Date)} AND settling IN {settled:Array(UInt64)}";

/// What is read of months.
const MONTHS: &str = "site = {site:UInt64} AND day BETWEEN toStartOfMonth({from:Date}) AND {to:Date}
AND settling IN {months:Array(UInt64)}";

/// Lists that read the same days.
pub(super) struct Scan<'a> {
    /// Period and filters.
    pub(super) query: &'a Query,
    /// The lists.
    pub(super) lists: &'a [List],
    /// Whether pageviews are counted by consent.
    pub(super) consent: bool,
    /// Whether all rows are needed, because others are added to them.
    pub(super) whole: bool,
}

/// A query of the days of a plan, with the parameters that texts name.
pub(super) fn asked(
    db: &Db,
    query: &Query,
    plan: &Plan,
    conditions: &Conditions,
    text: &str,
) -> clickhouse::query::Query {
    let (days, settled): (Vec<_>, Vec<_>) = plan.settlings().into_iter().unzip();
    let days: Vec<String> = days.iter().map(ToString::to_string).collect();
    let months: Vec<u64> = plan.months.iter().map(|(_, settling)| *settling).collect();
    let raw: Vec<String> = plan.raw.iter().map(ToString::to_string).collect();
    let asked = db
        .of_site(query.scope.site)
        .query(text)
        .param("site", query.scope.site)
        .param("tz", &query.scope.time_zone)
        .param("from", query.range.from.to_string())
        .param("to", query.range.to.to_string())
        .param("days", &days)
        .param("settled", &settled)
        .param("months", &months)
        .param("raw", &raw)
        .param("since", query.since_ms.unwrap_or(0))
        .param("until", query.until_ms.unwrap_or(UNTIL_END_MS))
        .param("steps", STEPS_MAX);
    conditions.values.iter().fold(asked, |asked, (name, values)| asked.param(name, values))
}

impl Scan<'_> {
    /// Rows of each list, unsorted where they are few, and pageviews by consent. Days that are too many
    /// for one query are read in halves: figures of days add up.
    pub(super) async fn run(&self, db: &Reports, plan: &Plan) -> Result<(Vec<Rows>, Consent), ReportError> {
        if plan.is_empty() {
            return Ok((vec![Vec::new(); self.lists.len()], Consent::default()));
        }
        match self.ask(db, plan).await {
            Err(ReportError::Database(error)) if ErrorCode::is_too_much(&error) => {
                let Some([earlier, later]) = plan.halves() else { return Err(error.into()) };
                tracing::info!(days = plan.days(), "report read in halves: too much for one query");
                let whole = Self { whole: true, ..*self };
                let (earlier, one) = Box::pin(whole.run(db, &earlier)).await?;
                let (later, other) = Box::pin(whole.run(db, &later)).await?;
                let rows = earlier.into_iter().zip(later).map(|(a, b)| add(a, b)).collect();
                Ok((rows, one + other))
            }
            answer => answer,
        }
    }

    async fn ask(&self, db: &Reports, plan: &Plan) -> Result<(Vec<Rows>, Consent), ReportError> {
        let conditions = Conditions::of(self.query);
        let filtered = !conditions.values.is_empty();
        let [cells, passes] = self.passes(plan, &conditions);
        let most = self.lists.iter().map(|list| list.limit).max().unwrap_or(1).min(ROWS_MAX);
        let limit = if self.whole { PART_ROWS_MAX } else { most };
        // With filters, each list is in one pass; otherwise its rows are in the cells, in a pass, and counted here.
        let several = plan.counts_here()
            || !passes.is_empty() && !cells.is_empty()
            || !plan.months.is_empty() && !plan.settlings().is_empty();
        let queries = [cells, passes].concat();
        let side = limit.max(SIDE_ROWS_MAX);
        let apart = plan.apart().filter(|_| filtered && !self.whole);
        if let Some([settled, raw]) = apart {
            let fetch = async |plan: &Plan| {
                let queries = self.passes(plan, &conditions).concat();
                self.fetch(db, plan, &conditions, &queries, side).await
            };
            let (mut rows, more) = tokio::try_join!(fetch(&settled), fetch(&raw))?;
            rows.extend(more);
            if !self.cut(&rows, side) {
                return Ok(self.distribute(&rows));
            }
        }
        if filtered || !several {
            let rows = self.fetch(db, plan, &conditions, &queries, limit).await?;
            return Ok(self.distribute(&rows));
        }
        let fetched = self.fetch(db, plan, &conditions, &queries, side);
        let (mut rows, here) = tokio::try_join!(fetched, self.counted_here(db, plan))?;
        if self.cut(&rows, side) {
            let plan = plan.counted_there();
            let all = self.passes(&plan, &conditions).concat().join("\nUNION ALL\n");
            let rows = self.fetch(db, &plan, &conditions, &[all], limit).await?;
            return Ok(self.distribute(&rows));
        }
        rows.push(here);
        Ok(self.distribute(&rows))
    }

    /// Whether a list may be longer than what was read of it.
    fn cut(&self, read: &[Arc<Counted>], side: u64) -> bool {
        let cut = |list: &List, read: &Counted| {
            !list.by.is_time()
                && read.rows.iter().filter(|row| row.dimension == list.by.name()).count() as u64 >= side
        };
        self.lists.iter().any(|list| read.iter().any(|read| cut(list, read)))
    }

    /// What is counted in this process.
    async fn counted_here(&self, db: &Reports, plan: &Plan) -> Result<Arc<Counted>, Error> {
        let by: Vec<Dimension> = self.by().into_iter().map(|(by, _)| by).collect();
        let few = Few {
            site: self.query.scope.site,
            time_zone: &self.query.scope.time_zone,
            until_ms: self.query.until_ms,
            by: &by,
            consent: self.consent,
        };
        let question = Question::here(self.query, plan, format!("{by:?} {}", self.consent));
        let open = try_join_all(plan.open.iter().map(|(day, open)| few.open_day(db, *day, open)));
        let days =
            async { if plan.few.is_empty() { Ok(Change::default()) } else { few.days(db, &plan.few).await } };
        let count = async {
            let (mut changes, days) = tokio::try_join!(open, days)?;
            changes.push(days);
            Ok(Counted { changes, ..Counted::default() })
        };
        db.answer(question, count).await
    }

    /// Asks several queries at once.
    async fn fetch(
        &self,
        db: &Reports,
        plan: &Plan,
        conditions: &Conditions,
        queries: &[String],
        limit: u64,
    ) -> Result<Vec<Arc<Counted>>, Error> {
        let read = queries.iter().map(|query| async {
            let text = self.text(query);
            let asked = asked(db, self.query, plan, conditions, &text).param("limit", limit);
            let parameters = conditions.parameters([("limit".to_owned(), limit.to_string())]);
            let question = Question::new(self.query, plan, text, parameters);
            let count = async { Ok(Counted { rows: asked.rows::<Figures>().await?, ..Counted::default() }) };
            db.answer(question, count).await
        });
        try_join_all(read).await
    }

    /// Adds rows up by list and value.
    fn distribute(&self, read: &[Arc<Counted>]) -> (Vec<Rows>, Consent) {
        let mut lists: Vec<HashMap<String, Counts>> = vec![HashMap::new(); self.lists.len()];
        let mut by_consent: HashMap<String, Counts> = HashMap::new();
        let mut change = |dimension: &str, value: &str, change: &dyn Fn(&mut Counts)| {
            if dimension == CONSENT {
                return change(by_consent.entry(value.to_owned()).or_default());
            }
            for (list, rows) in self.lists.iter().zip(&mut lists) {
                if list.by.name() == dimension {
                    change(rows.entry(value.to_owned()).or_default());
                }
            }
        };
        let changes = || read.iter().flat_map(|read| &read.changes);
        for row in read.iter().flat_map(|read| &read.rows) {
            let counts = row.counts();
            change(&row.dimension, &row.value, &|sum| *sum += counts);
        }
        for Figure { dimension, value, counts } in changes().flat_map(|c| &c.more) {
            change(dimension, value, &|sum| *sum += Counts::from(*counts));
        }
        // What is taken away is among what was added.
        for Figure { dimension, value, counts } in changes().flat_map(|c| &c.less) {
            change(dimension, value, &|sum| *sum -= Counts::from(*counts));
        }
        let mut consent = Consent::default();
        by_consent.iter().for_each(|(value, counts)| consent.add(value, counts.pageviews));
        let shown = |counts: &Counts| counts.visits > 0 || counts.pageviews > 0 || counts.events > 0;
        let rows = |rows: HashMap<_, _>| rows.into_iter().filter(|(_, counts)| shown(counts)).collect();
        (lists.into_iter().map(rows).collect(), consent)
    }

    /// The dimensions, each once, and whether entries and bounces are needed.
    fn by(&self) -> Vec<(Dimension, bool)> {
        let mut by: Vec<(Dimension, bool)> = Vec::new();
        for list in self.lists {
            match by.iter_mut().find(|(d, _)| *d == list.by) {
                Some((_, entries)) => *entries |= list.entries,
                None => by.push((list.by, list.entries)),
            }
        }
        by
    }

    /// Queries for the figures of settled days, where nothing is filtered, and for everything else.
    fn passes(&self, plan: &Plan, conditions: &Conditions) -> [Vec<String>; 2] {
        let by = self.by();
        let filtered = !conditions.values.is_empty();
        let chosen =
            Chosen { conditions, raw: !plan.raw.is_empty(), settled: filtered && !plan.settled.is_empty() };
        let passes = if chosen.raw || chosen.settled {
            figures::passes(&by, self.consent, &chosen)
        } else {
            Vec::new()
        };
        let mut cells = Vec::new();
        if !filtered && !plan.settlings().is_empty() {
            cells.push(self.cells("settled_cells", CELLS, &by));
        }
        if !filtered && !plan.months.is_empty() {
            cells.push(self.cells("settled_months", MONTHS, &by));
        }
        [cells, passes]
    }

    /// Text of a query for the greatest rows of each list.
    fn text(&self, pass: &str) -> String {
        let mut order = String::new();
        for list in self.lists.iter().filter(|list| list.sort != Metric::Visitors) {
            let _ = write!(order, "dimension = '{}', {}, ", list.by.name(), list.sort.order());
        }
        let order = if order.is_empty() { "visitors".into() } else { format!("multiIf({order}visitors)") };
        // Several parts may have rows of one value.
        let sums = COUNTS.map(|name| format!("sum(counted.{name}) AS {name}")).join(", ");
        let (columns, group) = match pass.contains("\nUNION ALL\nSELECT") {
            true => (format!("dimension, value, {sums}"), "GROUP BY dimension, value\nHAVING"),
            false => (format!("dimension, value, {}", COUNTS.join(", ")), "WHERE"),
        };
        format!(
            "SELECT {columns}
FROM ({pass}) AS counted
{group} visits > 0 OR pageviews > 0 OR events > 0
ORDER BY {order} DESC, value
LIMIT {{limit:UInt64}} BY dimension, if(dimension IN ('day', 'hour', '{CONSENT}') OR value = '{NOT_MEASURED}', value, '')"
        )
    }

    /// A query for the figures of settled days, of all lists at once: a query costs more to plan than to run.
    fn cells(&self, table: &str, some: &str, by: &[(Dimension, bool)]) -> String {
        let consent = self.consent.then_some(CONSENT);
        let names: Vec<String> =
            by.iter().map(|(d, _)| d.name()).chain(consent).map(|name| format!("'{name}'")).collect();
        format!(
            "SELECT toString(cells.dimension) AS dimension, toString(cells.value) AS value, {} FROM {table} AS cells
WHERE {some} AND cells.dimension IN ({}) GROUP BY cells.dimension, cells.value",
            COUNTS.map(|name| format!("sum(cells.{name}) AS {name}")).join(", "),
            names.join(", ")
        )
    }
}

/// What the filters choose of the days of a plan.
pub(super) struct Chosen<'a> {
    /// The filters.
    pub(super) conditions: &'a Conditions,
    /// Whether days are read from raw events.
    pub(super) raw: bool,
    /// Whether days are read as settled.
    pub(super) settled: bool,
}

fn list(columns: &[&str]) -> String {
    columns.iter().flat_map(|name| [", ", name]).collect()
}

/// `columns` and what conditions name besides.
fn with<'b>(columns: &[&'b str], more: &[&'b str]) -> Vec<&'b str> {
    let more = more.iter().filter(|name| !columns.contains(name));
    columns.iter().chain(more).copied().collect()
}

/// Columns that are made here, without the others.
fn without<'b>(columns: &[&'b str], made: &[&str]) -> Vec<&'b str> {
    columns.iter().filter(|name| !made.contains(name)).copied().collect()
}

impl Chosen<'_> {
    /// Raw and settled rows together, in brackets.
    fn both(&self, raw: impl FnOnce() -> String, settled: impl FnOnce() -> String) -> String {
        match (self.raw, self.settled) {
            (true, true) => format!("({}\nUNION ALL\n{})", raw(), settled()),
            (true, false) => format!("({})", raw()),
            // With nothing to read, an empty answer.
            (false, _) => format!("({})", settled()),
        }
    }

    /// Raw hits, before conditions on their visits.
    fn raw_hits(&self, columns: &[&str], more: &str) -> String {
        let Conditions { hits, fields, hit_fields, .. } = self.conditions;
        if hits.is_empty() && more.is_empty() {
            return of_events::hits(columns);
        }
        let read = with(&with(columns, hit_fields), fields);
        format!(
            "SELECT day, visitor, session{} FROM ({}) WHERE true{hits}{more}",
            list(columns),
            of_events::hits(&read)
        )
    }

    /// The bit of `firsts` that marks one page visit of each visit with the value that hits must have, if that is all
    /// there is to know of the visit: where it began, in another hour or on another host name, and its steps, only visits tell.
    fn first_of_value(&self, columns: &[&str]) -> Option<u8> {
        let Conditions { one_value, hit_fields, .. } = self.conditions;
        let [field] = hit_fields[..] else { return None };
        let known = !columns
            .iter()
            .any(|name| ["hour", "hostname", "steps"].contains(name) || name.starts_with("seen_"));
        figures::bit_of(field).filter(|_| *one_value && known)
    }

    /// Settled visits with a hit that has the one value, from their page visits.
    fn visits_with_value(&self, columns: &[&str], bit: u8) -> String {
        let Conditions { visits, hits, .. } = self.conditions;
        let during = self.conditions.during_settled();
        let own: String = columns
            .iter()
            .map(|name| match *name {
                "counted" => format!(", bitTest(firsts, {bit}) AS counted"),
                "bounced" => format!(", visit_bounced AND bitTest(firsts, {bit}) AS bounced"),
                "engaged" => format!(", visit_engaged * bitTest(firsts, {bit}) AS engaged"),
                name => format!(", {name}"),
            })
            .collect();
        format!(
            "SELECT day, visitor, session{own} FROM settled_page_visits WHERE {SETTLED} AND measured{visits}{hits}{during}"
        )
    }

    /// A condition for raw hits: that their visit is chosen, or they themselves where they have none.
    fn of_chosen_visits(&self) -> String {
        let Conditions { visits, fields, .. } = self.conditions;
        let during = self.conditions.during_raw();
        if visits.is_empty() {
            return during;
        }
        let of_events = of_events::visits(fields);
        format!(
            " AND if(session = 0, true{visits}, {VISIT_OF_DAY} IN (SELECT {VISIT_OF_DAY} FROM ({of_events}) WHERE true{visits})){during}"
        )
    }
}

/// What is chosen of hits that tell more than a page, and of how far pages are read.
impl Chosen<'_> {
    /// A condition that the visit of a row is one of those that other filters choose: on what rows of this kind do not have.
    fn of_visits_with(&self, others: &Conditions) -> String {
        if others.values.is_empty() {
            return String::new();
        }
        let visits = Chosen { conditions: others, ..*self }.visits(&[]);
        format!(" AND {VISIT_OF_DAY} IN (SELECT {VISIT_OF_DAY} FROM {visits})")
    }

    /// Hits of one kind, with `day`, `visitor`, `session` and the columns; fields of visits are those of their visit, if they
    /// have one.
    pub(super) fn details(&self, kind: Detailed, columns: &[&str], others: &Conditions) -> String {
        let Conditions { visits, hits, fields, hit_fields, .. } = self.conditions;
        let with_visit = self.of_visits_with(others);
        let raw = || {
            let read = with(&with(columns, fields), hit_fields);
            let (of_visit, own): (Vec<&str>, Vec<&str>) =
                read.iter().copied().partition(|name| PAGE_FIELDS.contains(name));
            let hits_of_kind = of_events::details(kind, &read);
            let rows = if of_visit.is_empty() {
                format!("({hits_of_kind})")
            } else {
                let own: String = own.iter().map(|name| format!(", d.{name} AS {name}")).collect();
                let of_visits = of_events::visits(&of_visit);
                let of_visit: String = of_visit
                    .iter()
                    .map(|name| format!(", if(d.session = 0, d.{name}, v.{name}) AS {name}"))
                    .collect();
                format!(
                    "(SELECT d.day AS day, d.visitor AS visitor, d.session AS session{own}{of_visit}
FROM ({hits_of_kind}) AS d LEFT JOIN ({of_visits}) AS v USING (day, session))"
                )
            };
            format!(
                "SELECT day, visitor, session{} FROM {rows} WHERE true{visits}{hits}{with_visit}",
                list(columns)
            )
        };
        let settled = || {
            format!(
                "SELECT day, visitor, session{} FROM settled_details
WHERE {SETTLED} AND kind = '{}'{visits}{hits}{with_visit}",
                list(columns),
                kind.name()
            )
        };
        self.both(raw, settled)
    }

    /// Visits and the pages they read, with `day`, `visitor`, `session`, `alone`, `page`, and the deepest scroll position there
    /// in per cent, where one was measured.
    pub(super) fn depths(&self, others: &Conditions) -> String {
        let Conditions { visits, hits, fields, .. } = self.conditions;
        let with_visit = self.of_visits_with(others);
        let raw = || {
            let of_visits = if fields.is_empty() {
                String::new()
            } else {
                let chosen = of_events::visits(fields);
                format!(" AND {VISIT_OF_DAY} IN (SELECT {VISIT_OF_DAY} FROM ({chosen}) WHERE true{visits})")
            };
            let read = of_events::hits(&["page", "scroll"]);
            format!(
                "SELECT day, visitor, session, false AS alone, page, max(scroll) AS depth FROM ({read})
WHERE session != 0{hits}{of_visits}{with_visit} GROUP BY day, visitor, session, page HAVING depth > 0"
            )
        };
        let settled = || {
            format!(
                "SELECT day, visitor, session, alone, page, depth FROM settled_page_visits
WHERE {SETTLED} AND measured AND depth > 0{visits}{hits}{with_visit}"
            )
        };
        self.both(raw, settled)
    }
}

impl Relations for Chosen<'_> {
    fn visits(&self, columns: &[&str]) -> String {
        let Conditions { visits, hits, fields, .. } = self.conditions;
        let raw = || {
            let during = self.conditions.during_raw();
            if fields.is_empty() && hits.is_empty() && during.is_empty() {
                return of_events::visits(columns);
            }
            let of_events = of_events::visits(&with(columns, fields));
            let of_events = format!("SELECT * FROM ({of_events}) WHERE true{visits}{during}");
            if hits.is_empty() {
                return format!("SELECT day, visitor, session{} FROM ({of_events})", list(columns));
            }
            // Only what was chosen of a visit is counted.
            let own = without(columns, &["views", "events"]);
            let sums: Vec<&str> =
                columns.iter().filter(|c| ["views", "events"].contains(c)).copied().collect();
            let summed: String = sums.iter().map(|name| format!(", sum(some.{name}) AS {name}")).collect();
            let order: String = columns
                .iter()
                .map(|name| match sums.contains(name) {
                    true => format!(", chosen.{name} AS {name}"),
                    false => format!(", {name}"),
                })
                .collect();
            format!(
                "SELECT day, visitor, session{order} FROM (SELECT day, visitor, session{} FROM ({of_events})) AS visits
INNER JOIN (SELECT day, session{summed} FROM ({}) AS some WHERE session != 0 GROUP BY day, session) AS chosen
USING (day, session)",
                list(&own),
                self.raw_hits(&sums, ""),
            )
        };
        let settled = || {
            let during = self.conditions.during_seen();
            if hits.is_empty() {
                let columns = list(columns).replace(", counted", ", true AS counted");
                return format!(
                    "SELECT day, visitor, session{columns} FROM settled_visits WHERE {SETTLED}{visits}{during}"
                );
            }
            if let Some(bit) = self.first_of_value(columns) {
                return self.visits_with_value(columns, bit);
            }
            // Only what was chosen of a visit is counted.
            let own: String = columns
                .iter()
                .map(|name| match *name {
                    "views" | "events" => {
                        let sum = self.conditions.of_seen("arraySum", &[name], &format!("{name} * toUInt32"));
                        format!(", {sum} AS {name}")
                    }
                    "counted" => ", true AS counted".into(),
                    name => format!(", {name}"),
                })
                .collect();
            let any = self.conditions.of_seen("arrayExists", &[], "");
            format!(
                "SELECT day, visitor, session{own} FROM settled_visits WHERE {SETTLED}{visits}{during} AND {any}"
            )
        };
        self.both(raw, settled)
    }

    fn hits(&self, columns: &[&str]) -> String {
        let Conditions { visits, hits, hit_fields, .. } = self.conditions;
        let raw = || self.raw_hits(columns, &self.of_chosen_visits());
        let settled = || {
            // Which hit of a visit is the first is known of all of them, of all with a value of the field that is
            // counted, and of all with a page on a host name.
            let by = columns.first().copied().unwrap_or_default();
            let own = hit_fields.iter().all(|field| *field == by);
            let both = self.conditions.one_value
                && matches!((by, &hit_fields[..]), ("page", ["hostname"]) | ("hostname", ["page"]));
            let column = |name: &&str| match *name {
                "alone" if !own && !both => ", false AS alone".into(),
                "firsts" if both => ", toUInt8(bitTest(firsts, 4) * 255) AS firsts".into(),
                "firsts" if !own => ", toUInt8(0) AS firsts".into(),
                "marked" => format!(", {} AS marked", own || both),
                name => format!(", {name}"),
            };
            let columns: String = columns.iter().map(column).collect();
            let during = self.conditions.during_settled();
            format!(
                "SELECT day, visitor, session{columns} FROM settled_page_visits WHERE {SETTLED}{visits}{hits}{during}"
            )
        };
        self.both(raw, settled)
    }

    fn others(&self, columns: &[&str]) -> String {
        let Conditions { visits, hits, during, .. } = self.conditions;
        // What is asked of visits does not hold of hits that have none.
        let none = if during.is_empty() { "" } else { " AND false" };
        let raw = || {
            let more = format!("{visits} AND session = 0{none}");
            self.raw_hits(columns, &more)
        };
        let settled = || {
            let columns = list(columns);
            format!(
                "SELECT day, visitor, session{columns} FROM settled_page_visits
WHERE {SETTLED} AND NOT measured{visits}{hits}{none}"
            )
        };
        self.both(raw, settled)
    }

    fn whole_visits(&self) -> bool {
        self.conditions.hits.is_empty()
    }
}

/// Adds rows of one value.
fn add(some: Rows, more: Rows) -> Rows {
    let mut sums: HashMap<String, Counts> = some.into_iter().collect();
    for (value, counts) in more {
        *sums.entry(value).or_default() += counts;
    }
    sums.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use sotto_schema::id::SiteId;

    use super::*;
    use crate::{
        filter::{Field, Filter, Filters, Verb},
        range::Range,
        report::Scope,
    };

    #[test]
    fn text_of_a_query_holds_nothing_that_people_type() {
        let typed = "Robert'); DROP TABLE events; --";
        let day = date(2026, 3, 1);
        let lists = Dimension::ALL.map(|by| List { by, sort: Metric::Pageviews, limit: 9, entries: true });
        let others = [Field::Visited, Field::Did, Field::Prop(typed.into())];
        for field in Dimension::ALL.map(Field::Of).into_iter().chain(others) {
            for verb in Verb::ALL {
                let filters = Filter::new(field.clone(), verb, typed)
                    .into_iter()
                    .fold(Filters::default(), Filters::with);
                let scope = Scope { site: SiteId(7), time_zone: typed.into() };
                let query = Query::totals(scope, Range::day(day), filters);
                let scan = Scan { query: &query, lists: &lists, consent: true, whole: false };
                let plan = Plan { settled: vec![(day, 1)], raw: vec![day], ..Plan::default() };
                let conditions = Conditions::of(&query);
                for pass in scan.passes(&plan, &conditions).concat() {
                    let text = scan.text(&pass);
                    assert!(!text.contains("Robert") && !text.contains("DROP"), "{field:?} {verb:?}: {text}");
                }
                assert_eq!(
                    conditions.values.len(),
                    usize::from(field.dimension().is_none_or(|d| !d.is_time())),
                    "{field:?}: as a parameter"
                );
            }
        }
    }
}
