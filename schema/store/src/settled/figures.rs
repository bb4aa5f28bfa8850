//! The figures of reports, defined once: the text of a query that counts visits and hits by dimensions.
//!
//! It is made for two relations, whatever tables they come from: visits, one row each, and hits, with the
//! columns of `settled_visits` and `settled_pages`. Names in the text are those of [`Dimension`]; everything
//! that people type is a parameter.
//!
//! | figure | of a field that a visit has once | of a field of each hit (page, event, host name, hour) |
//! |---|---|---|
//! | `visitors` | keys; each lives for one day, so over several days it is the sum of the days | with a hit of the value |
//! | `visits` | sessions | with a hit of the value, so that a visit counts for each page it saw |
//! | `pageviews` | of all visitors, measured or anonymous | the same |
//! | `measured_views` | pageviews within visits | the same |
//! | `events` | events with a name | the same |
//! | `entries` | all visits | visits that began with the value |
//! | `bounces` | visits with one pageview and no interaction | of the entries |
//! | `engaged` | milliseconds for which pages were visible | of hits of the value |

use std::fmt::Write as _;

use sotto_schema::dimension::{CountedBy, Dimension};

/// The name of the figures of consent in the column `dimension`: its values are `full`, `agreed`, `anonymous`,
/// `granted`, `refused`, `undecided` and `gpc`, counted as pageviews.
pub const CONSENT: &str = "consent";
/// The columns of an answer, after `dimension` and `value`.
pub const COUNTS: [&str; 8] =
    ["visitors", "visits", "pageviews", "measured_views", "events", "entries", "bounces", "engaged"];

/// A relation: the text of a query in brackets, or the name of a table or of a common table expression.
#[derive(Debug, Clone, Copy)]
pub struct Relations<'a> {
    /// Visits, with the columns of `settled_visits`.
    pub visits: &'a str,
    /// Hits, with the columns of `settled_pages`, and `marked`: whether `firsts` says which hits are the first
    /// of their visit.
    pub hits: &'a str,
}

/// Dimensions of which each visit has one value.
fn of_visits(by: &[Dimension]) -> impl Iterator<Item = Dimension> + '_ {
    let whole = |d: &&Dimension| !matches!(d.counted_by(), CountedBy::Hit { .. }) && **d != Dimension::Day;
    by.iter().filter(whole).copied()
}

/// A dimension of single hits: its bit in `firsts`, its value of a hit, and its value of a visit's beginning.
fn of_hits(dimension: Dimension) -> Option<(u8, &'static str, Option<&'static str>)> {
    const HOUR: &str = "formatDateTime(hour, '%Y-%m-%d %H:00', {tz:String})";
    match dimension.name() {
        "page" => Some((0, "page", Some("entry_page"))),
        "hostname" => Some((1, "hostname", Some("hostname"))),
        "event" => Some((2, "event", None)),
        "hour" => Some((3, HOUR, Some(HOUR))),
        _ => None,
    }
}

/// Text of a query that counts by each of the dimensions: rows of `dimension`, `value` and [`COUNTS`]. A
/// dimension that is named twice is counted once; [`Dimension::Day`] has the totals of each day.
pub fn text(by: &[Dimension], consent: bool, relations: Relations<'_>) -> String {
    let mut parts = Vec::new();
    let visits: Vec<Dimension> = of_visits(by).collect();
    if !visits.is_empty() || by.contains(&Dimension::Day) {
        parts.push(by_visit(&visits, by.contains(&Dimension::Day), relations));
    }
    parts.extend(by.iter().filter_map(|d| by_hit(*d, relations)));
    if consent {
        parts.push(by_consent(relations.hits));
    }
    parts.join("\nUNION ALL\n")
}

/// Counts all dimensions of visits in one pass. Visitors are counted day by day, which keeps the sets of keys
/// small.
fn by_visit(by: &[Dimension], day: bool, Relations { visits, hits }: Relations<'_>) -> String {
    let names: Vec<&str> = by.iter().map(|d| d.name()).collect();
    let mut columns = String::new();
    let mut marks = String::new();
    let mut dimension = String::new();
    let mut value = String::new();
    let mut sets = String::new();
    for name in &names {
        // Writing to a string cannot fail.
        let _ = write!(columns, "{name}, ");
        let _ = write!(marks, "{name}, grouping({name}) AS no_{name}, ");
        let _ = write!(dimension, "no_{name} = 0, '{name}', ");
        let _ = write!(value, "no_{name} = 0, toString({name}), ");
        let _ = write!(sets, "(day, {name}), ");
    }
    if day {
        sets.push_str("(day)");
    }
    let (dimension, value) = match (names.is_empty(), day) {
        (true, _) => ("'day'".into(), "toString(day)".into()),
        (false, true) => (format!("multiIf({dimension}'day')"), format!("multiIf({value}toString(day))")),
        (false, false) => (format!("multiIf({dimension}'')"), format!("multiIf({value}'')")),
    };
    let sets = sets.trim_end_matches(", ");
    format!(
        "SELECT {dimension} AS dimension, {value} AS value, sum(n_visitors) AS visitors, sum(n_visits) AS visits,
    sum(if(dimension IN ('entry_page', 'exit_page'), n_measured, n_views)) AS pageviews, sum(n_measured) AS measured_views,
    sum(if(dimension IN ('entry_page', 'exit_page'), n_measured_events, n_events)) AS events,
    sum(n_visits) AS entries, sum(n_bounces) AS bounces, sum(n_engaged) AS engaged
FROM
(
    SELECT day, {marks}
        countIf(alone) + uniqExactIf(visitor, visitor != 0 AND NOT alone) AS n_visitors, countIf(measured) AS n_visits,
        sum(views) AS n_views, sumIf(views, measured) AS n_measured, sum(named) AS n_events,
        sumIf(named, measured) AS n_measured_events, countIf(bounced) AS n_bounces, sum(time) AS n_engaged
    FROM
    (
        SELECT day, {columns}visitor, alone, true AS measured, views, events AS named, bounced, engaged AS time
        FROM {visits}
        UNION ALL
        SELECT day, {columns}toUInt64(0), false, false, views, events, false, toUInt64(0)
        FROM {hits} WHERE session = 0
    )
    GROUP BY GROUPING SETS ({sets})
)
GROUP BY dimension, value"
    )
}

/// Counts one dimension of hits.
fn by_hit(by: Dimension, Relations { visits, hits }: Relations<'_>) -> Option<String> {
    let (bit, value, at_entry) = of_hits(by)?;
    let name = by.name();
    let some = if by == Dimension::Event { "WHERE event != ''" } else { "" };
    let mut text = format!(
        "SELECT '{name}' AS dimension, toString({value}) AS value,
    countIf(alone AND bitTest(firsts, {bit})) + uniqExactIf(visitor, visitor != 0 AND NOT alone) AS visitors,
    countIf(marked AND bitTest(firsts, {bit})) + uniqExactIf((day, session), session != 0 AND NOT marked) AS visits,
    sum(views) AS pageviews, sumIf(views, session != 0) AS measured_views, sum(named) AS events,
    toUInt64(0) AS entries, toUInt64(0) AS bounces, sumIf(time, session != 0) AS engaged
FROM (SELECT *, events AS named, engaged AS time FROM {hits}) {some}
GROUP BY {value}"
    );
    if let Some(value) = at_entry {
        let _ = write!(
            text,
            "
UNION ALL
SELECT '{name}', toString({value}), toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), count(), countIf(bounced), toUInt64(0)
FROM {visits}
GROUP BY {value}"
        );
    }
    Some(text)
}

/// Counts pageviews by how they were counted and by consent.
fn by_consent(hits: &str) -> String {
    format!(
        "SELECT '{CONSENT}' AS dimension, counted.1 AS value, toUInt64(0) AS visitors, toUInt64(0) AS visits,
    counted.2 AS pageviews, toUInt64(0) AS measured_views, toUInt64(0) AS events, toUInt64(0) AS entries,
    toUInt64(0) AS bounces, toUInt64(0) AS engaged
FROM
(
    SELECT [
        ('full', sum(full)), ('agreed', sum(agreed)), ('anonymous', toUInt64(sum(views) - sum(full))),
        ('granted', sum(granted)), ('refused', sum(refused)), ('undecided', sum(undecided)), ('gpc', sum(gpc))
    ] AS sums
    FROM {hits}
)
ARRAY JOIN sums AS counted"
    )
}

/// Text of the statement that settles the figures of a day, after its visits and page visits.
pub(super) fn settling() -> String {
    let of_day = "WHERE site = {site:UInt64} AND day = {day:Date} AND settling = {settling:UInt64}";
    let visits = format!("(SELECT * FROM settled_visits {of_day})");
    let hits = format!("(SELECT *, session != 0 AS marked FROM settled_pages {of_day})");
    let by: Vec<Dimension> = Dimension::ALL.to_vec();
    let text = text(&by, true, Relations { visits: &visits, hits: &hits });
    let sums = COUNTS.map(|name| format!("sum({name})")).join(", ");
    format!(
        "INSERT INTO settled_cells (site, day, settling, dimension, value, {})
SELECT {{site:UInt64}}, {{day:Date}}, {{settling:UInt64}}, dimension, value, {sums}
FROM ({text})
GROUP BY dimension, value",
        COUNTS.join(", ")
    )
}
