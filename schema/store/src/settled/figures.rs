//! The figures of reports, defined once: the text of a query that counts visits and hits by dimensions.
//!
//! It is made for two relations, whatever tables they come from: visits, one row each, and hits, with the
//! columns of `settled_visits` and `settled_page_visits`. Names in the text are those of [`Dimension`]; everything
//! that people type is a parameter.
//!
//! | figure | of a field that a visit has once | of a field of each hit (page, event, link, host name, hour) |
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
/// The bits of the column `consent` of hits, in the order of their values: counted with visitor and visit, and
/// agreed to it; analytics granted, refused, or undecided; Global Privacy Control.
pub const CONSENT_BITS: [&str; 6] = ["full", "agreed", "granted", "refused", "undecided", "gpc"];
/// The columns of an answer, after `dimension` and `value`.
pub const COUNTS: [&str; 8] =
    ["visitors", "visits", "pageviews", "measured_views", "events", "entries", "bounces", "engaged"];

/// Where visits and hits are read from. Each text is a query in brackets, or the name of a table, and has `day`,
/// `visitor` and `session` besides the columns asked for.
pub trait Relations {
    /// Visits, with `alone`, columns of `settled_visits`, and `counted`: a visit may have several rows, of which one is
    /// counted; `views` and `events` are those of each row, `bounced` and `engaged` those of the counted one.
    fn visits(&self, columns: &[&str]) -> String;
    /// Hits, with columns of `settled_page_visits`, and `marked`: whether `alone` and `firsts` tell which hits stand for
    /// their visit.
    fn hits(&self, columns: &[&str]) -> String;
    /// Hits whose `views` and `events` count besides those of [`Relations::visits`], with the fields of visits:
    /// those without a visit.
    fn others(&self, columns: &[&str]) -> String;
    /// Whether all hits of a visit are chosen with it, so that what it says of them holds.
    fn whole_visits(&self) -> bool;
}

/// Dimensions of which each visit has one value.
fn of_visits(by: &[(Dimension, bool)]) -> impl Iterator<Item = Dimension> + '_ {
    by.iter().map(|(d, _)| *d).filter(|d| !matches!(d.counted_by(), CountedBy::Hit { .. }))
}

/// A dimension of which each hit has a value of its own.
struct OfHits {
    /// Its bit in `firsts`.
    bit: u8,
    /// Its value of a hit.
    value: &'static str,
    /// The column of a visit, and its value, where the visit began.
    at_entry: Option<[&'static str; 2]>,
}

/// An hour, as it is shown.
pub(super) const HOUR: &str = "formatDateTime(hour, '%Y-%m-%d %H:00', {tz:String})";

fn of_hits(dimension: Dimension) -> Option<OfHits> {
    let (bit, value, at_entry) = match dimension.name() {
        "page" => (0, "page", Some(["entry_page", "entry_page"])),
        "hostname" => (1, "hostname", Some(["hostname", "hostname"])),
        "event" => (2, "event", None),
        "hour" => (3, HOUR, Some(["hour", HOUR])),
        // Bit 4 is that of a page on a host name.
        "outbound" => (5, "outbound", None),
        "download" => (6, "download", None),
        _ => return None,
    };
    Some(OfHits { bit, value, at_entry })
}

/// The bit of `firsts` that marks the first page visit of a visit with each value of a field.
pub fn bit_of(field: &str) -> Option<u8> {
    Dimension::from_name(field).and_then(of_hits).map(|of_hits| of_hits.bit)
}

/// Texts of queries that together count by each of the dimensions: rows of `dimension`, `value` and [`COUNTS`]. Each
/// dimension is in one of them: ClickHouse plans several small queries faster than a large one, and runs them side by
/// side.
///
/// [`Dimension::Day`] has the totals of each day. Of dimensions of hits, `entries` and `bounces` are counted only
/// where the second of the pair says so: they need another pass.
pub fn passes(by: &[(Dimension, bool)], consent: bool, relations: &dyn Relations) -> Vec<String> {
    let mut parts = Vec::new();
    let day = by.iter().any(|(d, _)| *d == Dimension::Day);
    let visits: Vec<Dimension> = of_visits(by).collect();
    if !visits.is_empty() || day {
        parts.push(by_visit(&visits, day, relations));
    }
    parts.extend(by.iter().filter_map(|(d, entries)| by_hit(*d, *entries, relations)));
    if consent {
        parts.push(by_consent(relations));
    }
    parts
}

/// Counts all dimensions of visits in one pass.
fn by_visit(by: &[Dimension], day: bool, relations: &dyn Relations) -> String {
    let names: Vec<&str> = by.iter().map(|d| d.name()).collect();
    let [mut columns, mut marks, mut dimension, mut value, mut sets] = [const { String::new() }; 5];
    if day {
        marks.push_str("day, ");
    }
    for name in &names {
        // Writing to a string cannot fail.
        let _ = write!(columns, "{name}, ");
        let _ = write!(marks, "{name}, grouping({name}) AS no_{name}, ");
        let _ = write!(dimension, "no_{name} = 0, '{name}', ");
        let _ = write!(value, "no_{name} = 0, toString({name}), ");
        let _ = write!(sets, "({name}), ");
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
    let of_visits: Vec<&str> =
        names.iter().copied().chain(["alone", "counted", "views", "events", "bounced", "engaged"]).collect();
    let of_others: Vec<&str> = names.iter().copied().chain(["views", "events"]).collect();
    // Hits without a visit have neither entry nor exit.
    let ends = by.iter().any(|d| matches!(d, Dimension::EntryPage | Dimension::ExitPage));
    let (measured, pageviews, events) = if ends {
        (
            ", sumIf(named, measured) AS n_measured_events",
            "sum(if(dimension IN ('entry_page', 'exit_page'), n_measured, n_views))",
            "sum(if(dimension IN ('entry_page', 'exit_page'), n_measured_events, n_events))",
        )
    } else {
        ("", "sum(n_views)", "sum(n_events)")
    };
    format!(
        "SELECT {dimension} AS dimension, {value} AS value, sum(n_visitors) AS visitors, sum(n_visits) AS visits,
    {pageviews} AS pageviews, sum(n_measured) AS measured_views, {events} AS events,
    sum(n_visits) AS entries, sum(n_bounces) AS bounces, sum(n_engaged) AS engaged
FROM
(
    SELECT {marks}countIf(alone AND visit) + uniqExactIf(visitor + toUInt16(day), visitor != 0 AND NOT alone) AS n_visitors,
        countIf(visit) AS n_visits, sum(views) AS n_views, sumIf(views, measured) AS n_measured, sum(named) AS n_events,
        countIf(bounced) AS n_bounces, sum(time) AS n_engaged{measured}
    FROM
    (
        SELECT day, {columns}visitor, alone, counted AS visit, true AS measured, views, events AS named, bounced, engaged AS time
        FROM {visits}
        UNION ALL
        SELECT day, {columns}toUInt64(0), false, false, session != 0, views, events, false, toUInt64(0)
        FROM {others}
    )
    GROUP BY GROUPING SETS ({sets})
)
GROUP BY dimension, value",
        visits = relations.visits(&of_visits),
        others = relations.others(&of_others),
    )
}

/// Counts one dimension of hits.
fn by_hit(by: Dimension, entries: bool, relations: &dyn Relations) -> Option<String> {
    let OfHits { bit, value, at_entry } = of_hits(by)?;
    let name = by.name();
    let some = if by.is_of_events() { format!("WHERE {name} != ''") } else { String::new() };
    let hits = relations.hits(&[name, "alone", "firsts", "marked", "views", "events", "engaged"]);
    let mut text = format!(
        "SELECT '{name}' AS dimension, toString({value}) AS value,
    countIf(alone AND bitTest(firsts, {bit})) + uniqExactIf(visitor, visitor != 0 AND NOT alone) AS visitors,
    countIf(marked AND session != 0 AND bitTest(firsts, {bit}))
        + uniqExactIf(session + toUInt16(day), session != 0 AND NOT marked) AS visits,
    sum(hits.views) AS pageviews, sumIf(hits.views, session != 0) AS measured_views, sum(hits.events) AS events,
    toUInt64(0) AS entries, toUInt64(0) AS bounces, sumIf(hits.engaged, session != 0) AS engaged
FROM {hits} AS hits {some}
GROUP BY {value}"
    );
    if let (Some([column, value]), true) = (at_entry, entries) {
        let _ = write!(
            text,
            "
UNION ALL
SELECT '{name}', toString({value}), toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), countIf(counted), countIf(bounced), toUInt64(0)
FROM {visits}
GROUP BY {value}",
            visits = relations.visits(&[column, "counted", "bounced"]),
        );
    }
    Some(text)
}

/// Counts pageviews by how they were counted and by consent.
fn by_consent(relations: &dyn Relations) -> String {
    let bits = CONSENT_BITS.iter().enumerate();
    let bits: String =
        bits.map(|(bit, name)| format!("views * bitTest(consent, {bit}) AS {name}, ")).collect();
    // First by all bits together, of which there are few.
    let of_hits = |hits: String| {
        format!(
            "SELECT {bits}views * (bitTest(consent, 0) = 0) AS anonymous
FROM (SELECT consent, sum(hits.views) AS views FROM {hits} AS hits GROUP BY consent)"
        )
    };
    let rows = if relations.whole_visits() {
        // A visit is there only if it was counted with one.
        let [_, other @ ..] = CONSENT_BITS;
        let columns = other.map(|name| format!("views_{name}"));
        let names: Vec<&str> = std::iter::once("views").chain(columns.iter().map(String::as_str)).collect();
        let sums = other.map(|name| format!("views_{name} AS {name}")).join(", ");
        format!(
            "SELECT views AS full, {sums}, toUInt64(0) AS anonymous FROM {visits}
UNION ALL
{others}",
            visits = relations.visits(&names),
            others = of_hits(relations.others(&["views", "consent"])),
        )
    } else {
        of_hits(relations.hits(&["views", "consent"]))
    };
    let sums: String = CONSENT_BITS.iter().map(|name| format!("('{name}', sum({name})), ")).collect();
    format!(
        "SELECT '{CONSENT}' AS dimension, counted.1 AS value, toUInt64(0) AS visitors, toUInt64(0) AS visits,
    counted.2 AS pageviews, toUInt64(0) AS measured_views, toUInt64(0) AS events, toUInt64(0) AS entries,
    toUInt64(0) AS bounces, toUInt64(0) AS engaged
FROM (SELECT [{sums}('anonymous', sum(anonymous))] AS sums FROM ({rows}))
ARRAY JOIN sums AS counted"
    )
}

/// The rows of one settling.
struct OneDay;

const OF_DAY: &str = "WHERE site = {site:UInt64} AND day = {day:Date} AND settling = {settling:UInt64}";

impl Relations for OneDay {
    fn visits(&self, _: &[&str]) -> String {
        format!("(SELECT *, true AS counted FROM settled_visits {OF_DAY})")
    }

    fn hits(&self, _: &[&str]) -> String {
        format!("(SELECT *, true AS marked FROM settled_page_visits {OF_DAY})")
    }

    fn others(&self, _: &[&str]) -> String {
        format!("(SELECT * FROM settled_page_visits {OF_DAY} AND NOT measured)")
    }

    fn whole_visits(&self) -> bool {
        true
    }
}

/// Text of the statement that settles the figures of a day, after its visits and page visits.
pub(super) fn settling() -> String {
    let text = passes(&Dimension::ALL.map(|d| (d, true)), true, &OneDay).join("\nUNION ALL\n");
    let sums = COUNTS.map(|name| format!("sum({name})")).join(", ");
    format!(
        "INSERT INTO settled_cells (site, day, settling, dimension, value, {})
SELECT {{site:UInt64}}, {{day:Date}}, {{settling:UInt64}}, dimension, value, {sums}
FROM ({text})
GROUP BY dimension, value",
        COUNTS.join(", ")
    )
}
