//! Visits and hits of raw events, as reports count them: texts of queries, with only the columns that are
//! needed.
//!
//! Where a visit came from and began is what its first pageview says; place, device and language are those of
//! its last hit, since consent given during a visit adds detail. A visit that goes on after midnight is one
//! visit of each day, so that days add up. Hits of the same millisecond are told apart by the number of their
//! page view, so that the same visit is found however often it is asked for.
//!
//! `session` is 0 for the anonymous hits of visitors who are not measured; each stands for itself.

use std::borrow::Cow;

use super::naming;

/// What tells apart and orders the hits of a visit.
const MOMENT: &str =
    "bitOr(bitShiftLeft(toUInt64(toUnixTimestamp64Milli(e.time)), 22), bitAnd(e.view, 4194303))";
/// The events of the days that are read. Parameters: the site, the days, and two moments in milliseconds.
const SOME: &str = "e.site = {site:UInt64} AND e.day IN {raw:Array(Date)}
    AND e.time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND e.time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')";

/// A host name as it is shown: with `www.` and without is the same.
const HOSTNAME: &str = "if(startsWith(e.hostname, 'www.'), substring(e.hostname, 5), toString(e.hostname))";

/// Pages and events of a visit in the order of their moments, the first [`super::STEPS_MAX`] of them: a page as its path, an
/// event as [`super::EVENT_STEP`] and its name. Hits of one page view at one moment follow each other as they were sent. A
/// page that is seen again before another one is no step. After the last one that is kept stands [`super::MORE_STEPS`]
/// where there were more. Parameter: `steps`.
const STEPS: &str = "CAST(
    if(
        length(
            arrayFilter(
                (step, page) -> step != page OR startsWith(step, ':'),
                arrayMap(
                    hit -> hit.3,
                    arraySort(
                        groupArrayIf(
                            (
                                moment,
                                e.seq,
                                multiIf(
                                    e.kind = 'custom', concat(':', e.name),
                                    startsWith(e.path, '/'), toString(e.path),
                                    concat('/', e.path)
                                )
                            ),
                            e.kind IN ('pageview', 'custom')
                        )
                    )
                ) AS in_order,
                arrayPopBack(arrayPushFront(arrayFill(step -> NOT startsWith(step, ':'), in_order), '')) AS pages_before
            ) AS all_steps
        ) > {steps:UInt16},
        arrayPushBack(arraySlice(all_steps, 1, {steps:UInt16}), '…'),
        all_steps
    ),
    'Array(LowCardinality(String))'
)";

/// A column: its name and how it is made from `events AS e`.
type Column = (&'static str, &'static str);

/// Fields of the page where a visit began, besides those of [`beginning`].
#[rustfmt::skip]
const BEGINNING: [Column; 3] = [
    ("hostname", HOSTNAME),
    ("entry_page", "e.path"),
    ("referrer", "concat(if(startsWith(e.referrer_host, 'www.'), substring(e.referrer_host, 5), toString(e.referrer_host)), e.referrer_path)"),
];

/// Fields that say where a visitor is and what they use, besides those of [`known`].
#[rustfmt::skip]
const KNOWN: [Column; 10] = [
    ("country", "e.country"),
    ("region", "e.region"),
    ("city", "e.city"),
    ("device", "if(e.device = 'unknown', '', toString(e.device))"),
    ("browser", "e.browser"),
    ("browser_version", "trimBoth(concat(e.browser, ' ', e.browser_version))"),
    ("os", "e.os"),
    ("os_version", "trimBoth(concat(e.os, ' ', e.os_version))"),
    ("screen", "if(e.screen = 'unknown', '', toString(e.screen))"),
    ("language", "e.language"),
];

/// Other columns of visits, besides those made of [`link`]. Whether a visit is its visitor's only one is not known.
#[rustfmt::skip]
const OF_VISITS: [Column; 19] = [
    ("alone", "false"),
    ("counted", "true"),
    ("hour", "toStartOfHour(toDateTime(min(e.time), {tz:String}))"),
    ("exit_page", "argMaxIf(e.path, moment, e.kind = 'pageview')"),
    ("views", "countIf(e.kind = 'pageview')"),
    ("events", "countIf(e.kind = 'custom')"),
    ("bounced", "countIf(e.kind = 'pageview') = 1 AND NOT max(e.interactive)"),
    ("engaged", "sum(e.engaged_ms)"),
    ("seen_page", "groupArray(e.path)"),
    ("seen_hostname", "groupArray(if(startsWith(e.hostname, 'www.'), substring(e.hostname, 5), toString(e.hostname)))"),
    ("seen_event", "groupArray(if(e.kind = 'custom', e.name, ''))"),
    ("seen_views", "groupArray(toUInt8(e.kind = 'pageview'))"),
    ("seen_events", "groupArray(toUInt8(e.kind = 'custom'))"),
    ("views_agreed", "countIf(e.kind = 'pageview' AND e.tier = 'full' AND bitAnd(e.granted, 4) != 0)"),
    ("views_granted", "countIf(e.kind = 'pageview' AND bitAnd(e.granted, 4) != 0)"),
    ("views_refused", "countIf(e.kind = 'pageview' AND bitAnd(e.refused, 4) != 0)"),
    ("views_undecided", "countIf(e.kind = 'pageview' AND bitAnd(bitOr(e.granted, e.refused), 4) = 0)"),
    ("views_gpc", "countIf(e.kind = 'pageview' AND e.gpc)"),
    ("steps", STEPS),
];

/// Other columns of hits, besides those of [`link`]. Which of them stand for their visit is not known. The bits of `consent` are those of
/// [`super::figures::CONSENT_BITS`]; `moment` and `interactive` are those of which visits are made.
#[rustfmt::skip]
const OF_HITS: [Column; 16] = [
    ("moment", MOMENT),
    ("interactive", "e.interactive"),
    ("alone", "false"),
    ("firsts", "toUInt8(0)"),
    ("marked", "false"),
    ("hour", "toStartOfHour(toDateTime(e.time, {tz:String}))"),
    ("hostname", HOSTNAME),
    ("page", "e.path"),
    ("event", "if(e.kind = 'custom', e.name, '')"),
    ("entry_page", "''"),
    ("exit_page", "''"),
    ("views", "toUInt32(e.kind = 'pageview')"),
    ("events", "toUInt32(e.kind = 'custom')"),
    ("engaged", "e.engaged_ms"),
    ("scroll", "e.scroll"),
    ("consent", "toUInt8(
        (e.tier = 'full')
        + 2 * (e.tier = 'full' AND bitAnd(e.granted, 4) != 0)
        + 4 * (bitAnd(e.granted, 4) != 0)
        + 8 * (bitAnd(e.refused, 4) != 0)
        + 16 * (bitAnd(bitOr(e.granted, e.refused), 4) = 0)
        + 32 * e.gpc
    )"),
];

/// What a hit tells beyond pages, besides what it has of [`OF_HITS`].
#[rustfmt::skip]
const OF_DETAILS: [Column; 9] = [
    ("props", "e.props"),
    ("revenue", "e.revenue"),
    ("currency", "e.currency"),
    ("lcp_ms", "e.lcp_ms"),
    ("fcp_ms", "e.fcp_ms"),
    ("inp_ms", "e.inp_ms"),
    ("ttfb_ms", "e.ttfb_ms"),
    ("cls_milli", "e.cls_milli"),
    ("click_path", "e.click_path"),
];

/// Hits that tell more than a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detailed {
    /// A custom event, with its props and what it was worth.
    Custom,
    /// Clicks on elements of a page.
    Click,
    /// Web vitals of a page view. They grow while the page is open and are sent again: the last ones count.
    Vitals,
}

impl Detailed {
    /// All of them.
    const ALL: [Self; 3] = [Self::Custom, Self::Click, Self::Vitals];

    /// The kind of these events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::Click => "click",
            Self::Vitals => "vitals",
        }
    }
}

/// Of the hits about one page view, the last; each anonymous hit stands for itself.
const LAST: &str = "
ORDER BY e.time DESC, e.seq DESC
LIMIT 1 BY e.day, e.visitor, e.session, e.view, e.path, if(e.session = 0, (e.time, e.seq, e.shuffle), (toDateTime64(0, 3, 'UTC'), 0, 0))";

fn find<'a>(columns: &'a [Column], name: &str) -> Option<&'a str> {
    columns.iter().find(|(n, _)| *n == name).map(|(_, made)| *made)
}

/// How a field of the page where a visit began is made.
fn beginning(name: &str) -> Option<Cow<'static, str>> {
    match name {
        "source" => Some(naming::SOURCE.as_str().into()),
        "channel" => Some(naming::CHANNEL.as_str().into()),
        "utm_source" => Some(naming::of_campaign("e.utm_source").into()),
        "utm_medium" => Some(naming::of_campaign("e.utm_medium").into()),
        "utm_campaign" => Some(naming::of_campaign("e.utm_campaign").into()),
        "utm_content" => Some(naming::of_campaign("e.utm_content").into()),
        "utm_term" => Some(naming::of_campaign("e.utm_term").into()),
        "click_id" => Some(naming::of_campaign("e.click_id").into()),
        name => find(&BEGINNING, name).map(Into::into),
    }
}

/// How a field is made that says where a visitor is and what they use.
fn known(name: &str) -> Option<Cow<'static, str>> {
    match name {
        "network" => Some(naming::NETWORK.as_str().into()),
        "network_kind" => Some(naming::NETWORK_KIND.as_str().into()),
        name => find(&KNOWN, name).map(Into::into),
    }
}

/// How the address of a link is made that an event is about.
fn link(name: &str) -> Option<String> {
    match name {
        "outbound" => Some(naming::link_of(&naming::OUTBOUND)),
        "download" => Some(naming::link_of(&naming::DOWNLOAD)),
        _ => None,
    }
}

/// Text of a query for the visits of raw events: one row per day and session, with `day`, `visitor`, `session`
/// and the columns. Parameters: `site`, `raw` (days), `since`, `until`, `tz`, and `steps`.
///
/// Rows of `events` lie in the order of visitor and session, so that visits are put together one after the
/// other and not all at once (`optimize_aggregation_in_order`).
///
/// # Panics
/// When a column is not one of `settled_visits`.
pub fn visits(columns: &[&str]) -> String {
    let made = |name: &&str| {
        let beginning = beginning(name).map(|e| format!("argMinIf({e}, moment, e.kind = 'pageview')"));
        let known = || known(name).map(|e| format!("argMax({e}, moment)"));
        let seen = || name.strip_prefix("seen_").and_then(link).map(|e| format!("groupArray({e})"));
        let made =
            beginning.or_else(known).or_else(seen).or_else(|| find(&OF_VISITS, name).map(str::to_owned));
        format!(", {} AS {name}", made.unwrap_or_else(|| panic!("{name} is no column of visits")))
    };
    let columns: String = columns.iter().map(made).collect();
    format!(
        "WITH {MOMENT} AS moment
SELECT e.day AS day, e.visitor AS visitor, e.session AS session{columns}
FROM events AS e
WHERE {SOME} AND e.session != 0
GROUP BY e.site, e.day, e.visitor, e.session"
    )
}

/// Text of a query for raw events as hits: one row each, with `day`, `visitor`, `session` and the columns.
/// Fields of visits are those that the hit itself has. Parameters: `site`, `raw` (days), `until`, and `tz`.
///
/// # Panics
/// When a column is not one of `settled_page_visits`.
pub fn hits(columns: &[&str]) -> String {
    let made = |name: &&str| {
        let made = find(&OF_HITS, name).map(Into::into).or_else(|| known(name));
        let made = made.or_else(|| link(name).map(Into::into)).or_else(|| beginning(name));
        format!(", {} AS {name}", made.unwrap_or_else(|| panic!("{name} is no column of hits")))
    };
    let columns: String = columns.iter().map(made).collect();
    format!(
        "SELECT e.day AS day, e.visitor AS visitor, e.session AS session{columns}
FROM events AS e
WHERE {SOME}"
    )
}

/// Text of a query for raw events of one kind, as rows of `settled_details` are made of them: one row each, with `day`,
/// `visitor`, `session`, `kind` and the columns. Fields of visits are those that the hit itself has. Parameters: `site`,
/// `raw` (days), `until`, and `tz`.
///
/// # Panics
/// When a column is not one of `settled_details`.
pub fn details(kind: Detailed, columns: &[&str]) -> String {
    details_of(kind, columns, "")
}

fn details_of(kind: Detailed, columns: &[&str], more: &str) -> String {
    let made = |name: &&str| {
        let made = find(&OF_DETAILS, name).or_else(|| find(&OF_HITS, name)).map(Into::into);
        let made = made.or_else(|| known(name)).or_else(|| link(name).map(Into::into));
        let made = made.or_else(|| beginning(name));
        format!(", {} AS {name}", made.unwrap_or_else(|| panic!("{name} is no column of details")))
    };
    let columns: String = columns.iter().map(made).collect();
    let (kind, last) = (kind.name(), if kind == Detailed::Vitals { LAST } else { "" });
    format!(
        "SELECT e.day AS day, e.visitor AS visitor, e.session AS session, '{kind}' AS kind{columns}
FROM events AS e
WHERE {SOME} AND e.kind = '{kind}'{more}{last}"
    )
}

/// The same of all kinds, with a condition more.
pub(super) fn all_details(columns: &[&str], more: &str) -> String {
    Detailed::ALL
        .map(|kind| format!("SELECT * FROM ({})", details_of(kind, columns, more)))
        .join("\nUNION ALL\n")
}

/// A condition for raw hits of a day that is settled up to an hour: those that came after it, and all hits of the
/// visitors who made them. Parameters: `open` (the day) and `hour` (in seconds).
pub(super) const SINCE_HOUR: &str = "(if(e.session = 0, e.time >= toDateTime({hour:UInt32}, 'UTC'),
    if(e.visitor = 0, e.session, e.visitor) IN (
        SELECT if(visitor = 0, session, visitor) FROM events
        WHERE site = {site:UInt64} AND day = {open:Date} AND session != 0 AND time >= toDateTime({hour:UInt32}, 'UTC')
    )))";
