//! When in the week visitors come, on an average day of each.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};

use super::{
    overview::{
        Groups, Subject,
        header::{self, Beside, Header},
    },
    period::file,
};
use crate::{
    App,
    figures::{average, counted, grouped, shade},
    page::{PageError, Shell, Theme, html},
    range::now_in,
    reading::Reading,
    report::{
        Metric, Sources,
        week::{Cell, DAYS, WEEKDAYS, Week, week},
    },
};

/// Figures that add up over days.
const METRICS: [Metric; 3] = [Metric::Visitors, Metric::Visits, Metric::Pageviews];

struct Hour {
    /// `09:00`.
    label: String,
    cells: Vec<Shaded>,
}

/// A figure on its shade.
struct Shaded {
    text: String,
    /// From 0 to 5, by the greatest figure of the week.
    shade: u8,
    help: String,
}

#[derive(Template)]
#[template(path = "hours.html")]
struct HoursPage {
    shell: Shell,
    header: Header,
    back: String,
    tabs: Vec<Beside>,
    metric: &'static str,
    time_zone: String,
    weekdays: [&'static str; DAYS],
    hours: Vec<Hour>,
    /// The hour of the week with most, for people; `None` if there was nothing.
    busiest: Option<String>,
    file: String,
    groups: Groups,
    archived: bool,
}

fn hours(week: &Week, metric: Metric) -> (Vec<Hour>, Option<String>) {
    let cells = || {
        week.hours.iter().enumerate().flat_map(|(hour, cells)| {
            cells.iter().zip(WEEKDAYS).filter_map(move |(cell, day)| Some((hour, day, cell.average(metric)?)))
        })
    };
    let busiest = cells().filter(|(.., value)| *value > 0.0).max_by(|a, b| a.2.total_cmp(&b.2));
    let most = busiest.map_or(1.0, |(.., value)| value);
    let shaded = |(cell, day): (&Cell, &str)| {
        let value = cell.average(metric);
        Shaded {
            text: value.map_or_else(|| "–".to_owned(), average),
            shade: shade(value.unwrap_or_default(), most),
            help: format!("{day}: {} in {}", grouped(cell.sum(metric)), counted(cell.days.into(), "day")),
        }
    };
    let row = |(hour, cells): (usize, &[Cell; DAYS])| Hour {
        label: format!("{hour:02}:00"),
        cells: cells.iter().zip(WEEKDAYS).map(shaded).collect(),
    };
    let busiest = busiest.map(|(hour, day, value)| format!("{day} from {hour:02}:00, {}", average(value)));
    (week.hours.iter().enumerate().map(row).collect(), busiest)
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let db = &app.reports;
    let now = now_in(&reading.site.time_zone);
    let view = reading.view(&query.unwrap_or_default(), now.date());
    let asked = Subject::new(db, &reading, &view, &now).below("/hours".into());
    let sources = Sources::of(db, &asked.query.scope, asked.query.range).await?;
    let week = week(db, &sources, &asked.query, &now).await?;
    let metric = if METRICS.contains(&view.metric) { view.metric } else { Metric::Visitors };
    let (hours, busiest) = hours(&week, metric);
    let tab =
        |m: Metric| Beside { label: m.label(), link: asked.link(&view.with_metric(m)), current: m == metric };
    Ok(reading.answer(html(&HoursPage {
        header: header::build(&asked),
        back: view.link(&reading.base),
        tabs: METRICS.map(tab).into(),
        metric: metric.label(),
        time_zone: reading.site.time_zone.clone(),
        weekdays: WEEKDAYS,
        hours,
        busiest,
        file: file(&reading.site.key, "hours", &asked.query, &[]),
        groups: Groups::of(&asked, week.withheld),
        archived: week.archived,
        shell: reading.shell(format!("Hours of {}", reading.site.name), theme, view.look),
    })))
}
