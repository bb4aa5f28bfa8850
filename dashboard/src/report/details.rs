//! What hits tell beyond pages: events with their props and what they were worth, clicks on elements, web vitals, and how far
//! pages are read. From settled days and raw events, as every other report ([`super::scan`]); days that are left in the
//! archive only have none of it.
//!
//! Filters on what a hit of the kind has itself choose hits, others choose visits: `page=/prices` leaves the web vitals of that
//! page, `event=Sign up` those of visits in which somebody signed up.

use std::collections::{HashMap, hash_map::Entry};

use sotto_schema::dimension::{CountedBy, Dimension};
use sotto_store::{error_code::ErrorCode, settled::of_events::Detailed};

use super::{
    Detail, Query, ReportError, Reports, Sources,
    conditions::Conditions,
    counted::{Counted, Question, Told},
    groups::GROUP_MIN,
    patient::Patient as _,
    scan::{Chosen, asked},
    sources::Plan,
};
use crate::filter::Field;

/// The most rows of a report.
pub const ROWS_MAX: usize = 1_000;
/// The most values of one prop.
const PROP_VALUES_MAX: usize = 100;
/// The most rows that are read of settled days and of raw events apart, to be added up here; longer reports are put together
/// by ClickHouse.
const SIDE_ROWS_MAX: usize = 20_000;
/// The most rows of a part of the days that did not fit into memory at once.
const PART_ROWS_MAX: usize = 1_000_000;
/// Clicks on one element during one page view from which on they are counted as repeated: something did not react as expected.
const REPEATED_MIN: u64 = 3;

/// A web vital.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vital {
    /// Its usual short name.
    pub name: &'static str,
    /// Its name in full.
    pub label: &'static str,
    /// Where it is stored, in milliseconds; in thousandths for [`Vital::is_shift`].
    pub column: &'static str,
    /// The highest value that is good (web.dev, "Web Vitals").
    pub good: u32,
    /// The highest value that is not poor.
    pub fair: u32,
    /// What values are rounded to for viewers.
    step: u32,
}

/// The web vitals, the three core ones first. Thresholds: web.dev/articles/vitals, /fcp and /ttfb.
pub const VITALS: [Vital; 5] = [
    Vital {
        name: "LCP",
        label: "Largest Contentful Paint",
        column: "lcp_ms",
        good: 2_500,
        fair: 4_000,
        step: 100,
    },
    Vital {
        name: "INP",
        label: "Interaction to Next Paint",
        column: "inp_ms",
        good: 200,
        fair: 500,
        step: 25,
    },
    Vital {
        name: "CLS",
        label: "Cumulative Layout Shift",
        column: "cls_milli",
        good: 100,
        fair: 250,
        step: 10,
    },
    Vital {
        name: "FCP",
        label: "First Contentful Paint",
        column: "fcp_ms",
        good: 1_800,
        fair: 3_000,
        step: 100,
    },
    Vital { name: "TTFB", label: "Time to First Byte", column: "ttfb_ms", good: 800, fair: 1_800, step: 100 },
];

impl Vital {
    /// Whether its unit is a shift of the layout, in thousandths, and not a time.
    pub fn is_shift(&self) -> bool {
        self.column == "cls_milli"
    }
}

/// By what web vitals can be listed.
pub const VITALS_BY: [Dimension; 5] =
    [Dimension::Page, Dimension::Device, Dimension::Country, Dimension::Browser, Dimension::Day];

/// A report on what hits tell beyond pages. Numbers of a row are listed in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Details {
    /// Web vitals, in all or by one of [`VITALS_BY`]: page views, then for each of [`VITALS`] how many of them, the value that a
    /// quarter of them reached or exceeded, how many were good, and how many poor.
    Vitals(Option<Dimension>),
    /// Events by name: how often.
    Events,
    /// What events were worth, by name and currency: how often, the sum.
    Worth,
    /// Props of events and their values: how often.
    Props,
    /// Pages on which was clicked: clicks.
    ClickedPages,
    /// Elements that were clicked: clicks, and how often one was clicked [`REPEATED_MIN`] times or more during a page view.
    Clicks,
    /// How far pages are read, by page: visits with a measurement; how many of them reached 25, 50, 75 and 100 per cent; the sum
    /// of their depths in per cent.
    Depth,
}

/// What a query consists of.
struct Parts {
    /// What rows are of.
    values: Vec<&'static str>,
    /// Their numbers.
    numbers: Vec<String>,
    /// A column that makes several rows of one.
    unfolded: &'static str,
    /// Which rows are read.
    condition: &'static str,
    order: &'static str,
    /// The visits that rows stand for, and their visitors.
    counts: [&'static str; 2],
}

/// Visitors of rows of which one visit may have several.
const VISITORS: &str = "uniqExactIf(visitor + toUInt16(day), visitor != 0)";
/// Their visits.
const VISITS: &str = "uniqExactIf(session + toUInt16(day), session != 0)";
/// Visitors where each row is a visit; those with one visit on their day need not be compared.
const ALONE: &str = "countIf(alone) + uniqExactIf(visitor + toUInt16(day), visitor != 0 AND NOT alone)";

/// Numbers of web vitals.
fn vitals() -> Vec<String> {
    let of = |vital: Vital| {
        let Vital { column, good, fair, .. } = vital;
        [
            format!("countIf({column} > 0)"),
            format!("quantileExactIf(0.75)({column}, {column} > 0)"),
            format!("countIf({column} BETWEEN 1 AND {good})"),
            format!("countIf({column} > {fair})"),
        ]
    };
    ["count()".to_owned()].into_iter().chain(VITALS.into_iter().flat_map(of)).collect()
}

/// The place of a vital's numbers.
const fn of_vital(n: usize) -> usize {
    1 + 4 * n
}

/// What one web vital was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// How many page views it was measured of.
    pub views: f64,
    /// A quarter of them reached or exceeded it, in the unit of [`Vital`].
    pub p75: f64,
    /// How many were good.
    pub good: f64,
    /// How many were poor.
    pub poor: f64,
}

impl Told {
    /// The web vital at that place of [`VITALS`]; `None` if it was not measured.
    pub fn vital(&self, n: usize) -> Option<Measured> {
        let [views, p75, good, poor] = *self.numbers.get(of_vital(n)..)?.first_chunk()?;
        (views > 0.0).then_some(Measured { views, p75, good, poor })
    }
}

impl Details {
    /// What its rows are of, by the names that filters have where there is one.
    pub fn value_names(self) -> Vec<&'static str> {
        match self {
            Self::Vitals(by) => by.map(Dimension::name).into_iter().collect(),
            Self::Events => vec!["event"],
            Self::Worth => vec!["event", "currency"],
            Self::Props => vec!["prop", "value"],
            Self::ClickedPages | Self::Depth => vec!["page"],
            Self::Clicks => vec!["element"],
        }
    }

    /// The names of its numbers.
    pub fn number_names(self) -> Vec<String> {
        let some = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match self {
            Self::Vitals(_) => {
                let of = |vital: Vital| {
                    ["measured", "p75", "good", "poor"].map(|n| format!("{}_{n}", vital.column))
                };
                ["views".to_owned()].into_iter().chain(VITALS.into_iter().flat_map(of)).collect()
            }
            Self::Events | Self::Props => some(&["events"]),
            Self::Worth => some(&["events", "revenue"]),
            Self::ClickedPages => some(&["clicks"]),
            Self::Clicks => some(&["clicks", "repeated"]),
            Self::Depth => {
                some(&["measured", "reached_25", "reached_50", "reached_75", "reached_100", "depths"])
            }
        }
    }

    /// The names of the reports, as in an address.
    pub const NAMES: [&str; 7] =
        ["vitals", "events", "revenue", "props", "clicked-pages", "clicks", "reading"];

    /// The report of that name, as in an address; web vitals have what they are listed `by` besides.
    pub fn from_name(name: &str, by: Option<Dimension>) -> Option<Self> {
        Some(match name {
            "vitals" => Self::Vitals(by.filter(|by| VITALS_BY.contains(by))),
            "events" => Self::Events,
            "revenue" => Self::Worth,
            "props" => Self::Props,
            "clicked-pages" => Self::ClickedPages,
            "clicks" => Self::Clicks,
            "reading" => Self::Depth,
            _ => return None,
        })
    }

    /// The kind of hit that tells it; none of page visits.
    const fn kind(self) -> Option<Detailed> {
        match self {
            Self::Vitals(_) => Some(Detailed::Vitals),
            Self::Events | Self::Worth | Self::Props => Some(Detailed::Custom),
            Self::ClickedPages | Self::Clicks => Some(Detailed::Click),
            Self::Depth => None,
        }
    }

    /// Whether a filter on the field is one on hits of this kind.
    fn has(self, field: &Field) -> bool {
        // What happened at any time in a visit is asked of the visit.
        let Some(field) = field.dimension() else { return false };
        match (field.counted_by(), field) {
            (CountedBy::Hit { .. }, Dimension::Page) => true,
            (CountedBy::Hit { .. }, Dimension::Hostname) => self != Self::Depth,
            (CountedBy::Hit { .. }, _) => self.kind() == Some(Detailed::Custom),
            _ => true,
        }
    }

    /// The columns that are read.
    fn columns(self) -> Vec<&'static str> {
        match self {
            Self::Vitals(by) => {
                let by = by.filter(|by| !by.is_time()).map(Dimension::name);
                by.into_iter().chain(VITALS.map(|vital| vital.column)).collect()
            }
            Self::Events => vec!["event"],
            Self::Worth => vec!["event", "currency", "revenue"],
            Self::Props => vec!["event", "props"],
            Self::ClickedPages => vec!["page", "click_path"],
            Self::Clicks => vec!["click_path"],
            Self::Depth => vec!["page", "depth"],
        }
    }

    /// What its query consists of.
    fn parts(self) -> Parts {
        let parts = |values: &[&'static str], numbers: &[&str]| Parts {
            values: values.to_vec(),
            numbers: numbers.iter().map(|number| (*number).to_owned()).collect(),
            unfolded: "",
            condition: "",
            order: "numbers[1] DESC, values",
            counts: [VISITORS, VISITS],
        };
        match self {
            Self::Vitals(by) => Parts {
                numbers: vitals(),
                order: if by.is_some_and(Dimension::is_time) {
                    "values DESC"
                } else {
                    "numbers[1] DESC, values"
                },
                ..parts(by.map(Dimension::name).as_slice(), &[])
            },
            Self::Events => Parts { condition: "WHERE event != '' ", ..parts(&["event"], &["count()"]) },
            Self::Worth => Parts {
                condition: "WHERE revenue != 0 ",
                order: "numbers[2] DESC, values",
                ..parts(&["event", "currency"], &["count()", "sum(revenue)"])
            },
            Self::Props => Parts {
                unfolded: ", arrayJoin(arrayZip(mapKeys(props), mapValues(props))) AS prop",
                ..parts(&["prop.1", "prop.2"], &["count()"])
            },
            Self::ClickedPages => parts(&["page"], &["sum(length(click_path))"]),
            Self::Clicks => Parts {
                unfolded: ", arrayJoin(arrayMap(e -> (e, countEqual(click_path, e)), arrayDistinct(click_path))) AS clicked",
                ..parts(&["clicked.1"], &["sum(clicked.2)", &format!("countIf(clicked.2 >= {REPEATED_MIN})")])
            },
            Self::Depth => {
                let reached = [25, 50, 75, 100].map(|per_cent| format!("countIf(depth >= {per_cent})"));
                let [quarter, half, most, all] = reached.each_ref().map(String::as_str);
                let numbers = ["count()", quarter, half, most, all, "sum(depth)"];
                Parts { counts: [ALONE, "count()"], ..parts(&["page"], &numbers) }
            }
        }
    }

    /// Text of the query; `limit` is of a part of its days, whose rows are added to others.
    fn text(self, rows: &str, limit: Option<usize>) -> String {
        let Parts { values, numbers, unfolded, condition, order, counts: [visitors, visits] } = self.parts();
        let rows = match unfolded {
            "" => rows.to_owned(),
            unfolded => format!("(SELECT *{unfolded} FROM {rows})"),
        };
        let numbers: Vec<String> = numbers.iter().map(|number| format!("toFloat64({number})")).collect();
        let values: Vec<String> = values.iter().map(|value| format!("toString({value})")).collect();
        let group = if values.is_empty() { "tuple()".to_owned() } else { values.join(", ") };
        let few = match limit {
            None if self == Self::Props => format!("LIMIT {PROP_VALUES_MAX} BY values[1]\n"),
            _ => String::new(),
        };
        format!(
            "SELECT CAST([{}], 'Array(String)') AS values, {visitors} AS visitors, {visits} AS visits,
    [{}] AS numbers
FROM {rows}
{condition}GROUP BY {group}
ORDER BY {order}
{few}LIMIT {}",
            values.join(", "),
            numbers.join(", "),
            limit.unwrap_or(ROWS_MAX),
        )
    }

    /// Whether figures of some days and of others add up.
    fn adds_up(self) -> bool {
        !matches!(self, Self::Vitals(_))
    }

    /// Adds rows up that stand for the same.
    fn add(self, some: Vec<Told>, more: Vec<Told>) -> Vec<Told> {
        let mut sums: HashMap<Vec<String>, Told> =
            some.into_iter().map(|row| (row.values.clone(), row)).collect();
        for row in more {
            match sums.entry(row.values.clone()) {
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.visitors += row.visitors;
                    known.visits += row.visits;
                    known.numbers.iter_mut().zip(row.numbers).for_each(|(sum, number)| *sum += number);
                }
                Entry::Vacant(place) => {
                    place.insert(row);
                }
            }
        }
        sums.into_values().collect()
    }

    /// The rows that a report has of all that there are.
    fn cut(self, mut rows: Vec<Told>) -> Vec<Told> {
        self.sort(&mut rows);
        if self == Self::Props {
            let mut of_prop: HashMap<String, usize> = HashMap::new();
            rows.retain(|row| {
                let prop = row.values.first().cloned().unwrap_or_default();
                let known = of_prop.entry(prop).or_default();
                *known += 1;
                *known <= PROP_VALUES_MAX
            });
        }
        rows.truncate(ROWS_MAX);
        rows
    }

    /// Puts the greatest rows first.
    fn sort(self, rows: &mut [Told]) {
        let by = usize::from(self == Self::Worth);
        rows.sort_by(|a, b| {
            let size = |row: &Told| row.numbers.get(by).copied().unwrap_or_default();
            size(b).total_cmp(&size(a)).then_with(|| a.values.cmp(&b.values))
        });
    }

    /// What a reader may see who sees groups: rows that stand for enough visitors, rounded.
    fn of_groups(self, rows: Vec<Told>) -> Vec<Told> {
        let enough = |row: &Told| {
            let times = row.numbers.first().copied().unwrap_or_default();
            if row.visitors > 0 || row.visits > 0 {
                row.visitors >= GROUP_MIN
            } else {
                times >= GROUP_MIN as f64
            }
        };
        let mut rows: Vec<Told> = rows.into_iter().filter(enough).map(|row| self.rounded(row)).collect();
        if !matches!(self, Self::Vitals(Some(by)) if by.is_time()) {
            // Their order must not tell what rounding took away.
            self.sort(&mut rows);
        }
        rows
    }

    fn rounded(self, row: Told) -> Told {
        let to = |n: f64, step: f64| (n / step).round() * step;
        let group = GROUP_MIN as f64;
        let mut numbers: Vec<f64> = row.numbers.iter().map(|n| to(*n, group)).collect();
        match self {
            Self::Vitals(_) => {
                for (n, vital) in VITALS.iter().enumerate() {
                    let place = of_vital(n) + 1;
                    numbers[place] = to(row.numbers[place], f64::from(vital.step));
                }
            }
            // The mean, in steps of five per cent.
            Self::Depth => numbers[5] = to(row.numbers[5] / row.numbers[0], 5.0) * numbers[0],
            Self::Events | Self::Worth | Self::Props | Self::ClickedPages | Self::Clicks => {}
        }
        let count = |n: u64| (n + GROUP_MIN / 2) / GROUP_MIN * GROUP_MIN;
        Told { visitors: count(row.visitors), visits: count(row.visits), numbers, ..row }
    }

    /// Runs the report.
    ///
    /// # Errors
    /// When ClickHouse cannot be asked.
    pub async fn run(self, db: &Reports, sources: &Sources, query: &Query) -> Result<Vec<Told>, ReportError> {
        // Single rows are read, not figures of days and months.
        let plan = Plan { months: Vec::new(), ..sources.plan(query, &[]).counted_there() };
        let rows = match plan.apart().filter(|_| self.adds_up()) {
            Some([settled, raw]) => {
                let read = async |plan: &Plan| self.of_plan(db, query, plan, Some(SIDE_ROWS_MAX)).await;
                let (some, more) = tokio::try_join!(read(&settled), read(&raw))?;
                if some.len().max(more.len()) < SIDE_ROWS_MAX {
                    self.cut(self.add(some, more))
                } else {
                    self.of_plan(db, query, &plan, None).await?
                }
            }
            None => self.of_plan(db, query, &plan, None).await?,
        };
        Ok(match query.detail {
            Detail::All => rows,
            Detail::Groups => self.of_groups(rows),
        })
    }

    /// Rows of the days of a plan: those that a report has, or more of them to be added to others.
    async fn of_plan(
        self,
        db: &Reports,
        query: &Query,
        plan: &Plan,
        limit: Option<usize>,
    ) -> Result<Vec<Told>, ReportError> {
        if plan.is_empty() {
            return Ok(Vec::new());
        }
        let some = |own: bool| query.filters.only(|filter| self.has(&filter.field) == own);
        let conditions = Conditions::named(&some(true), "filter");
        let others = Conditions::named(&some(false), "of_visit");
        let chosen =
            Chosen { conditions: &conditions, raw: !plan.raw.is_empty(), settled: !plan.settled.is_empty() };
        let rows = match self.kind() {
            Some(kind) => chosen.details(kind, &self.columns(), &others),
            None => chosen.depths(&others),
        };
        let text = self.text(&rows, limit);
        match (ask(db, query, plan, [&conditions, &others], text.clone()).await, plan.halves()) {
            (Ok(rows), _) => Ok(rows),
            (Err(error), halves) if ErrorCode::is_too_much(&error) => {
                let Some([earlier, later]) = halves.filter(|_| self.adds_up()) else {
                    // The value of a quarter is told without all values in memory, and then not as exactly.
                    tracing::info!(
                        days = plan.days(),
                        "percentiles are approximate: too many values for the memory of a query"
                    );
                    let text = text.replace("quantileExactIf", "quantileTDigestIf");
                    return Ok(ask(db, query, plan, [&conditions, &others], text).await?);
                };
                let earlier = Box::pin(self.of_plan(db, query, &earlier, Some(PART_ROWS_MAX))).await?;
                let later = Box::pin(self.of_plan(db, query, &later, Some(PART_ROWS_MAX))).await?;
                let rows = self.add(earlier, later);
                Ok(if limit.is_some() { rows } else { self.cut(rows) })
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}

/// Asks, unless it was counted already.
async fn ask(
    db: &Reports,
    query: &Query,
    plan: &Plan,
    [conditions, others]: [&Conditions; 2],
    text: String,
) -> Result<Vec<Told>, clickhouse::error::Error> {
    let chosen = asked(db, query, plan, conditions, &text);
    let more = others.parameters([]);
    let chosen = more.iter().fold(chosen, |asked, (name, values)| asked.param(name, values));
    let parameters = conditions.parameters([]).into_iter().chain(more).collect();
    let question = Question::new(query, plan, text, parameters);
    let count = async { Ok(Counted { told: chosen.rows().await?, ..Counted::default() }) };
    Ok(db.answer(question, count).await?.told.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[&str], times: f64) -> Told {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Told { values, visitors: 1, visits: 1, numbers: vec![times] }
    }

    #[test]
    fn report_has_the_greatest_rows_and_of_a_prop_the_commonest_values() {
        for (details, each, expected) in [
            (Details::Props, PROP_VALUES_MAX, PROP_VALUES_MAX),
            (Details::Props, PROP_VALUES_MAX + 1, PROP_VALUES_MAX),
            (Details::Events, ROWS_MAX, ROWS_MAX),
            (Details::Events, ROWS_MAX + 1, ROWS_MAX),
        ] {
            let of_prop: &[&str] = if details == Details::Props { &["plan"] } else { &[] };
            let rows = (0..each).map(|n| row(&[of_prop, &[n.to_string().as_str()]].concat(), n as f64));
            let cut = details.cut(rows.collect());
            assert_eq!(cut.len(), expected, "{details:?} {each}");
            assert_eq!(cut[0].numbers, [(each - 1) as f64]);
        }
        let other = Details::Props.cut(vec![row(&["plan", "a"], 1.0), row(&["seats", "a"], 2.0)]);
        assert_eq!(other.len(), 2, "each prop has values of its own");
    }

    #[test]
    fn rows_of_days_and_of_others_are_added_by_what_they_are_of() {
        let sum = Details::Events.add(vec![row(&["a"], 2.0), row(&["b"], 1.0)], vec![row(&["b"], 4.0)]);
        let sum = Details::Events.cut(sum);
        let expected = [Told { visitors: 2, visits: 2, ..row(&["b"], 5.0) }, row(&["a"], 2.0)];
        assert_eq!(sum, expected);
    }
}
