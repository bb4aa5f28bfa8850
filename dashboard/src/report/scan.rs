//! The one query behind a page: counts by several dimensions at once, of settled days and of raw events.

use std::{collections::HashMap, fmt::Write as _};

use clickhouse::Row;
use serde::Deserialize;
use sotto_schema::dimension::{CountedBy, Dimension};
use sotto_store::{
    db::Db,
    error_code::ErrorCode,
    settled::{
        HITS_OF_EVENTS, PAGES_MAX, UNTIL_END_MS, VISITS_OF_EVENTS,
        figures::{self, CONSENT, COUNTS, Relations},
    },
};

use super::{Consent, Counts, List, Query, ROWS_MAX, ReportError, Rows, sources::Plan};
use crate::filter::Verb;

/// The most rows of a list that are read to be added to others.
const PART_ROWS_MAX: u64 = 1_000_000;
/// Columns of visits, as [`figures`] wants them.
const VISITS: &str = "day, visitor, session, alone, hour, hostname, entry_page, exit_page, source, channel, referrer, \
     utm_source, utm_medium, utm_campaign, country, region, city, device, browser, os, screen, language, bounced, engaged";
/// Columns of hits, likewise.
const HITS: &str = "day, visitor, session, hour, hostname, page, event, entry_page, exit_page, source, channel, \
     referrer, utm_source, utm_medium, utm_campaign, country, region, city, device, browser, os, screen, language, \
     views, events, engaged, full, agreed, granted, refused, undecided, gpc";
/// What is read of settled days.
const SETTLED: &str =
    "site = {site:UInt64} AND day BETWEEN {from:Date} AND {to:Date} AND settling IN {settled:Array(UInt64)}";

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

#[derive(Debug, Row, Deserialize)]
struct Figures {
    dimension: String,
    value: String,
    visitors: u64,
    visits: u64,
    pageviews: u64,
    measured_views: u64,
    events: u64,
    entries: u64,
    bounces: u64,
    engaged: u64,
}

/// Conditions of filters, by what they choose, and their values.
#[derive(Default)]
struct Conditions {
    /// On fields that a visit has once: place, device, source, entry, …
    visits: String,
    /// On fields of single hits: page, host name, event.
    hits: String,
    /// Names and values of the parameters.
    values: Vec<(String, Vec<String>)>,
}

impl Conditions {
    fn of(query: &Query) -> Self {
        let mut all = Self::default();
        for (verb, fields) in Verb::ALL.into_iter().zip(query.filters.parameters()) {
            for (field, values) in fields {
                let of_hit = Dimension::from_name(field)
                    .is_some_and(|d| matches!(d.counted_by(), CountedBy::Hit { .. }));
                let name = format!("filter_{}", all.values.len());
                let value = format!("{{{name}:Array(String)}}");
                let text = if of_hit { &mut all.hits } else { &mut all.visits };
                // Writing to a string cannot fail.
                let _ = match verb {
                    Verb::Is => write!(text, " AND {field} IN {value}"),
                    Verb::Not => write!(text, " AND {field} NOT IN {value}"),
                    Verb::Has => {
                        write!(text, " AND multiSearchAnyCaseInsensitiveUTF8(toString({field}), {value})")
                    }
                };
                all.values.push((name, values));
            }
        }
        all
    }
}

impl Scan<'_> {
    /// Rows of each list, unsorted where they are few, and pageviews by consent. Days that do not fit into memory
    /// at once are read in halves: figures of days add up.
    pub(super) async fn run(&self, db: &Db, plan: &Plan) -> Result<(Vec<Rows>, Consent), ReportError> {
        if plan.is_empty() {
            return Ok((vec![Vec::new(); self.lists.len()], Consent::default()));
        }
        match self.ask(db, plan).await {
            Err(ReportError::Database(error)) if ErrorCode::of(&error) == Some(ErrorCode::MEMORY_LIMIT) => {
                let Some([earlier, later]) = plan.halves() else { return Err(error.into()) };
                tracing::info!(
                    days = plan.settled.len() + plan.raw.len(),
                    "report read in halves: too large for the memory of a query"
                );
                let whole = Self { whole: true, ..*self };
                let (earlier, one) = Box::pin(whole.run(db, &earlier)).await?;
                let (later, other) = Box::pin(whole.run(db, &later)).await?;
                let rows = earlier.into_iter().zip(later).map(|(a, b)| add(a, b)).collect();
                Ok((rows, one + other))
            }
            answer => answer,
        }
    }

    async fn ask(&self, db: &Db, plan: &Plan) -> Result<(Vec<Rows>, Consent), ReportError> {
        let conditions = Conditions::of(self.query);
        let db = db.of_site(self.query.scope.site);
        let mut asked = db
            .query(&self.text(plan, &conditions))
            .param("site", self.query.scope.site)
            .param("tz", &self.query.scope.time_zone)
            .param("from", self.query.range.from.to_string())
            .param("to", self.query.range.to.to_string())
            .param("settled", plan.settled.iter().map(|(_, settling)| *settling).collect::<Vec<_>>())
            .param("raw", plan.raw.iter().map(ToString::to_string).collect::<Vec<_>>())
            .param("until", self.query.until_ms.unwrap_or(UNTIL_END_MS))
            .param("pages", PAGES_MAX)
            .param("limit", self.limit());
        for (name, values) in &conditions.values {
            asked = asked.param(name, values);
        }
        let rows: Vec<Figures> = asked.fetch_all().await?;
        Ok(self.sort(rows))
    }

    fn limit(&self) -> u64 {
        let most = self.lists.iter().map(|list| list.limit).max().unwrap_or(1).min(ROWS_MAX);
        if self.whole { PART_ROWS_MAX } else { most }
    }

    /// Distributes rows to the lists.
    fn sort(&self, rows: Vec<Figures>) -> (Vec<Rows>, Consent) {
        let mut lists: Vec<Rows> = vec![Vec::new(); self.lists.len()];
        let mut consent = Consent::default();
        for row in rows {
            if row.dimension == CONSENT {
                consent.add(&row.value, row.pageviews);
                continue;
            }
            let counts = Counts {
                visitors: row.visitors,
                visits: row.visits,
                pageviews: row.pageviews,
                measured_views: row.measured_views,
                events: row.events,
                entries: row.entries,
                bounces: row.bounces,
                engaged_ms: row.engaged,
            };
            for (list, rows) in self.lists.iter().zip(&mut lists) {
                if list.by.name() == row.dimension {
                    rows.push((row.value.clone(), counts));
                }
            }
        }
        (lists, consent)
    }

    /// Text of the query.
    fn text(&self, plan: &Plan, conditions: &Conditions) -> String {
        let mut by: Vec<Dimension> = Vec::new();
        for list in self.lists {
            if !by.contains(&list.by) {
                by.push(list.by);
            }
        }
        let filtered = !conditions.values.is_empty();
        let mut parts = Vec::new();
        if !filtered && !plan.settled.is_empty() {
            parts.push(self.cells(&by));
        }
        if filtered || !plan.raw.is_empty() {
            let visits = visits(plan, conditions, filtered);
            let hits = hits(plan, conditions, filtered);
            let relations = Relations { visits: &visits, hits: &hits };
            parts.push(figures::text(&by, self.consent, relations));
        }
        let sums = COUNTS.map(|name| format!("sum(counted.{name}) AS {name}")).join(", ");
        let mut order = String::new();
        for list in self.lists {
            let _ = write!(order, "dimension = '{}', {}, ", list.by.name(), list.sort.order());
        }
        format!(
            "SELECT toString(counted.dimension) AS dimension, toString(counted.value) AS value, {sums}
FROM ({}) AS counted
GROUP BY dimension, value
HAVING visits > 0 OR pageviews > 0 OR events > 0
ORDER BY dimension, multiIf({order}visitors) DESC, value
LIMIT {{limit:UInt64}} BY dimension, if(dimension IN ('day', 'hour', '{CONSENT}'), value, '')",
            parts.join("\nUNION ALL\n")
        )
    }

    /// Figures of settled days, when nothing is filtered.
    fn cells(&self, by: &[Dimension]) -> String {
        let mut names: Vec<String> = by.iter().map(|d| format!("'{}'", d.name())).collect();
        if self.consent {
            names.push(format!("'{CONSENT}'"));
        }
        let counts = COUNTS.map(|name| format!("toUInt64({name}) AS {name}")).join(", ");
        format!(
            "SELECT dimension, value, {counts} FROM settled_cells WHERE {SETTLED} AND dimension IN ({})",
            names.join(", ")
        )
    }
}

/// The visits of a plan that the filters choose, in brackets.
fn visits(plan: &Plan, conditions: &Conditions, settled: bool) -> String {
    let Conditions { visits: chosen, hits: of_hits, .. } = conditions;
    let raw = format!(
        "SELECT {VISITS}, views, events FROM (SELECT *, false AS alone FROM ({VISITS_OF_EVENTS})) WHERE true{chosen}"
    );
    let mut text = raw;
    if settled && !plan.settled.is_empty() {
        let _ = write!(
            text,
            "\nUNION ALL\nSELECT {VISITS}, views, events FROM settled_visits WHERE {SETTLED}{chosen}"
        );
    }
    if of_hits.is_empty() {
        return format!("({text})");
    }
    // Only what was chosen of a visit is counted.
    let hits = hits(plan, conditions, settled);
    format!(
        "(SELECT {VISITS}, chosen.views AS views, chosen.events AS events FROM (SELECT {VISITS} FROM ({text})) AS visits
INNER JOIN (SELECT day, session, sum(views) AS views, sum(events) AS events FROM {hits} WHERE session != 0 GROUP BY day, session) AS chosen
USING (day, session))"
    )
}

/// The hits of a plan that the filters choose, in brackets.
fn hits(plan: &Plan, conditions: &Conditions, settled: bool) -> String {
    let Conditions { visits: of_visits, hits: chosen, .. } = conditions;
    let of_visits_raw = if of_visits.is_empty() {
        String::new()
    } else {
        format!(
            " AND if(session = 0, true{of_visits}, (day, session) IN (SELECT day, session FROM ({VISITS_OF_EVENTS}) WHERE true{of_visits}))"
        )
    };
    let mut text = format!(
        "SELECT {HITS}, false AS alone, toUInt8(0) AS firsts, false AS marked FROM ({HITS_OF_EVENTS}) WHERE true{chosen}{of_visits_raw}"
    );
    if settled && !plan.settled.is_empty() {
        // Which hit of a visit is the first is known only of all of them.
        let marks = if chosen.is_empty() { "alone, firsts, true" } else { "false, toUInt8(0), false" };
        let _ = write!(
            text,
            "\nUNION ALL\nSELECT {HITS}, {marks} FROM settled_pages WHERE {SETTLED}{of_visits}{chosen}"
        );
    }
    format!("({text})")
}

/// Adds rows of one value.
fn add(some: Rows, more: Rows) -> Rows {
    let mut sums: HashMap<String, Counts> = some.into_iter().collect();
    for (value, counts) in more {
        *sums.entry(value).or_default() += counts;
    }
    sums.into_iter().collect()
}
