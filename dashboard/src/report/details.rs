//! What hits tell beyond pages: events with their props and what they were worth, clicks on elements, web vitals, and how far
//! pages are read. From settled days and raw events, as every other report ([`super::scan`]); days that are left in the
//! archive only have none of it.
//!
//! Filters on what a hit of the kind has itself choose hits, others choose visits: `page=/prices` leaves the web vitals of that
//! page, `event=Sign up` those of visits in which somebody signed up.

use sotto_schema::dimension::{CountedBy, Dimension};
use sotto_store::{error_code::ErrorCode, settled::of_events::Detailed};

use super::{
    Detail, Query, ReportError, Reports, Sources,
    counted::{Counted, Question, Told},
    groups::GROUP_MIN,
    scan::{Chosen, Conditions, VISIT_OF_DAY, asked},
    sources::Plan,
};

/// The most rows of a report.
pub const ROWS_MAX: u64 = 1_000;
/// The most values of one prop.
const PROP_VALUES_MAX: u64 = 100;
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
    /// A bound of rows that have something in common.
    some: String,
}

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
    fn has(self, field: Dimension) -> bool {
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
            some: String::new(),
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
                some: format!("LIMIT {PROP_VALUES_MAX} BY values[1]\n"),
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
                parts(&["page"], &["count()", quarter, half, most, all, "sum(depth)"])
            }
        }
    }

    /// Text of the query.
    fn text(self, rows: &str) -> String {
        let Parts { values, numbers, unfolded, condition, order, some } = self.parts();
        let rows = match unfolded {
            "" => rows.to_owned(),
            unfolded => format!("(SELECT *{unfolded} FROM {rows})"),
        };
        let numbers: Vec<String> = numbers.iter().map(|number| format!("toFloat64({number})")).collect();
        let values: Vec<String> = values.iter().map(|value| format!("toString({value})")).collect();
        let group = if values.is_empty() { "tuple()".to_owned() } else { values.join(", ") };
        format!(
            "SELECT CAST([{}], 'Array(String)') AS values,
    uniqExactIf(visitor + toUInt16(day), visitor != 0) AS visitors,
    uniqExactIf({VISIT_OF_DAY}, session != 0) AS visits,
    [{}] AS numbers
FROM {rows}
{condition}GROUP BY {group}
ORDER BY {order}
{some}LIMIT {ROWS_MAX}",
            values.join(", "),
            numbers.join(", "),
        )
    }

    /// Adds rows up that stand for the same; `None` if rows of this kind do not add up.
    fn add(self, some: Vec<Told>, more: Vec<Told>) -> Option<Vec<Told>> {
        if matches!(self, Self::Vitals(_)) {
            return None;
        }
        let mut rows = some;
        for row in more {
            match rows.iter_mut().find(|known| known.values == row.values) {
                Some(known) => {
                    known.visitors += row.visitors;
                    known.visits += row.visits;
                    known.numbers.iter_mut().zip(row.numbers).for_each(|(sum, number)| *sum += number);
                }
                None => rows.push(row),
            }
        }
        self.sort(&mut rows);
        Some(rows)
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
        let rows = self.of_plan(db, query, &plan).await?;
        Ok(match query.detail {
            Detail::All => rows,
            Detail::Groups => self.of_groups(rows),
        })
    }

    async fn of_plan(self, db: &Reports, query: &Query, plan: &Plan) -> Result<Vec<Told>, ReportError> {
        if plan.is_empty() {
            return Ok(Vec::new());
        }
        let some = |own: bool| query.filters.only(|filter| self.has(filter.field) == own);
        let conditions = Conditions::named(&some(true), "filter");
        let others = Conditions::named(&some(false), "of_visit");
        let chosen =
            Chosen { conditions: &conditions, raw: !plan.raw.is_empty(), settled: !plan.settled.is_empty() };
        let rows = match self.kind() {
            Some(kind) => chosen.details(kind, &self.columns(), &others),
            None => chosen.depths(&others),
        };
        let text = self.text(&rows);
        match (ask(db, query, plan, [&conditions, &others], text.clone()).await, plan.halves()) {
            (Ok(rows), _) => Ok(rows),
            (Err(error), halves) if ErrorCode::of(&error) == Some(ErrorCode::MEMORY_LIMIT) => {
                let Some([earlier, later]) = halves.filter(|_| !matches!(self, Self::Vitals(_))) else {
                    // The value of a quarter is told without all values in memory, and then not as exactly.
                    let text = text.replace("quantileExactIf", "quantileTDigestIf");
                    return Ok(ask(db, query, plan, [&conditions, &others], text).await?);
                };
                let earlier = Box::pin(self.of_plan(db, query, &earlier)).await?;
                let later = Box::pin(self.of_plan(db, query, &later)).await?;
                Ok(self.add(earlier, later).unwrap_or_default())
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
    let count = async { Ok(Counted { told: chosen.fetch_all().await?, ..Counted::default() }) };
    Ok(db.answer(question, count).await?.told.clone())
}
