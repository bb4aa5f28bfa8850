//! What visitors do beyond pages: events and their props, how far pages are read, what is clicked, and how fast pages are.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use futures_util::future::try_join_all;

use super::{
    overlay,
    overview::{
        Groups, Subject,
        header::{self, Beside, Header},
    },
    period::file,
};
use crate::{
    App,
    figures::{grouped_of, money, ms, percent, shift},
    filter::{Filter, Verb},
    labels,
    page::{PageError, Shell, Theme, html},
    range::now_in,
    reading::Reading,
    report::{
        Detail, Dimension, Query, Sources, Told,
        details::{Details, Measured, VITALS, VITALS_BY, Vital},
    },
    view::View,
};

struct Column {
    label: &'static str,
    help: &'static str,
}

struct Cell {
    text: String,
    /// How good it is, of what is judged.
    class: &'static str,
}

struct DetailRow {
    label: String,
    /// The same page of these only.
    link: Option<String>,
    cells: Vec<Cell>,
    /// Length of the bar, of 100.
    bar: u64,
}

struct Section {
    title: String,
    tabs: Vec<Beside>,
    columns: Vec<Column>,
    rows: Vec<DetailRow>,
    /// What is said instead of no rows.
    empty: &'static str,
    note: &'static str,
    file: String,
    /// Opens the click map over the page itself.
    overlay: Option<String>,
}

/// A part of a bar.
struct Part {
    class: &'static str,
    label: &'static str,
    share: String,
    x: f64,
    width: f64,
}

/// A web vital.
struct VitalCard {
    name: &'static str,
    label: &'static str,
    help: String,
    value: String,
    class: &'static str,
    rating: &'static str,
    parts: Vec<Part>,
}

#[derive(Template)]
#[template(path = "details.html")]
struct DetailsPage {
    shell: Shell,
    header: Header,
    title: &'static str,
    back: String,
    vitals: Vec<VitalCard>,
    sections: Vec<Section>,
    groups: Groups,
    /// That some of the days have none of it.
    archived: Option<&'static str>,
}

/// One of the pages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    Events,
    Reading,
    Clicks,
    Vitals(Dimension),
}

impl Page {
    fn from_path(name: &str, by: Option<&str>) -> Option<Self> {
        match (name, by) {
            ("events", None) => Some(Self::Events),
            ("reading", None) => Some(Self::Reading),
            ("clicks", None) => Some(Self::Clicks),
            ("vitals", None) => Some(Self::Vitals(Dimension::Page)),
            ("vitals", Some(by)) => {
                Dimension::from_name(by).filter(|by| VITALS_BY.contains(by)).map(Self::Vitals)
            }
            _ => None,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Events => "Events",
            Self::Reading => "Reading",
            Self::Clicks => "Clicks",
            Self::Vitals(_) => "Speed",
        }
    }

    /// Its place below the overview.
    fn below(self) -> String {
        match self {
            Self::Events => "/events".into(),
            Self::Reading => "/reading".into(),
            Self::Clicks => "/clicks".into(),
            Self::Vitals(Dimension::Page) => "/vitals".into(),
            Self::Vitals(by) => format!("/vitals/{}", by.name()),
        }
    }

    /// The reports that it shows; of one event its props, and of one page the elements that were clicked.
    fn reports(self, view: &View) -> Vec<Details> {
        let one = |field: Dimension| {
            let mut chosen = view.filters.each().filter(|f| f.is(field, Verb::Is));
            chosen.next().is_some() && chosen.next().is_none()
        };
        match self {
            Self::Events if one(Dimension::Event) => vec![Details::Props, Details::Worth],
            Self::Events => vec![Details::Events, Details::Worth],
            Self::Reading => vec![Details::Depth],
            Self::Clicks if one(Dimension::Page) => vec![Details::Clicks],
            Self::Clicks => vec![Details::ClickedPages],
            Self::Vitals(by) => vec![Details::Vitals(None), Details::Vitals(Some(by))],
        }
    }
}

/// A value of a vital, for people.
fn value_of(vital: &Vital, value: f64) -> String {
    if vital.is_shift() { shift(value / 1_000.0) } else { ms(value) }
}

/// How good a value of a vital is: a class, and a word.
fn rating(vital: &Vital, value: f64) -> (&'static str, &'static str) {
    if value <= f64::from(vital.good) {
        ("good", "good")
    } else if value <= f64::from(vital.fair) {
        ("fair", "needs improvement")
    } else {
        ("poor", "poor")
    }
}

fn card(vital: &Vital, Measured { views, p75, good, poor }: Measured) -> VitalCard {
    let (class, rating) = rating(vital, p75);
    let fair = (views - good - poor).max(0.0);
    let all = good + fair + poor;
    let mut x = 0.0;
    let mut part = |class, label, n: f64| {
        let width = if all > 0.0 { 100.0 * n / all } else { 0.0 };
        x += width;
        Part { class, label, share: percent(n, all), x: x - width, width }
    };
    VitalCard {
        name: vital.name,
        label: vital.label,
        help: format!(
            "Good up to {}, poor above {}; of {} page views",
            value_of(vital, f64::from(vital.good)),
            value_of(vital, f64::from(vital.fair)),
            grouped_of(views)
        ),
        value: value_of(vital, p75),
        class,
        rating,
        parts: vec![
            part("good", "good", good),
            part("fair", "need improvement", fair),
            part("poor", "poor", poor),
        ],
    }
}

const VISITORS: Column =
    Column { label: "Visitors", help: "Visitors; over several days the sum of the days" };
const VISITS: Column = Column { label: "Visits", help: "Visits in which it happened" };

/// The columns of a report.
fn columns(details: Details) -> Vec<Column> {
    let column = |label, help| Column { label, help };
    let first = match details {
        Details::Vitals(by) => column(by.map_or("", Dimension::label), ""),
        Details::Events | Details::Worth => column("Event", ""),
        Details::Props => column("Prop and value", "As sent with the event"),
        Details::ClickedPages | Details::Depth => column("Page", ""),
        Details::Clicks => column("Element", "Where in the structure of the page, by the nearest id"),
    };
    let more: Vec<Column> = match details {
        Details::Vitals(_) => {
            let views = column("Page views", "Page views whose browser sent measurements");
            let of = |vital: Vital| column(vital.name, vital.label);
            return [first, views].into_iter().chain(VITALS.map(of)).collect();
        }
        Details::Events | Details::Props => vec![column("Times", "How often, repetitions included")],
        Details::Worth => vec![
            column("Times", "How often an event came with an amount"),
            column("Revenue", "The sum of the amounts"),
            column("Average", "Revenue by event"),
        ],
        Details::ClickedPages => vec![column("Clicks", "Clicks on elements of the page")],
        Details::Clicks => vec![
            column("Clicks", "Clicks on the element"),
            column("Share", "Of all clicks in this list"),
            column(
                "Repeated",
                "How often it was clicked three times or more during one page view: as if it did not react",
            ),
        ],
        Details::Depth => vec![
            column("Read on average", "The deepest scroll position, the mean of the visits"),
            column("Reached 25%", "Visits that saw that much of the page"),
            column("Reached 50%", ""),
            column("Reached 75%", ""),
            column("To the end", "Visits that saw all of the page"),
        ],
    };
    [first, VISITORS, VISITS].into_iter().chain(more).collect()
}

/// The figures of a row; `all` is the sum of the first numbers of all rows.
fn cells(details: Details, row: &Told, all: f64) -> Vec<Cell> {
    let plain = |text: String| Cell { text, class: "" };
    let number = |n: usize| row.numbers.get(n).copied().unwrap_or_default();
    if matches!(details, Details::Vitals(_)) {
        let of = |(n, vital): (usize, &Vital)| match row.vital(n) {
            None => plain("–".into()),
            Some(Measured { p75, .. }) => Cell { text: value_of(vital, p75), class: rating(vital, p75).0 },
        };
        let vitals = VITALS.iter().enumerate().map(of);
        return [plain(grouped_of(number(0)))].into_iter().chain(vitals).collect();
    }
    let times = number(0);
    let more = match details {
        Details::Vitals(_) => Vec::new(),
        Details::Events | Details::Props | Details::ClickedPages => vec![grouped_of(times)],
        Details::Worth => {
            let currency = row.values.get(1).map_or("", String::as_str);
            let average = if times > 0.0 { number(1) / times } else { 0.0 };
            vec![grouped_of(times), money(number(1), currency), money(average, currency)]
        }
        Details::Clicks => vec![grouped_of(times), percent(times, all), grouped_of(number(1))],
        Details::Depth => {
            let reached = (1..=4).map(|n| percent(number(n), times));
            let mean = if times > 0.0 { number(5) / times } else { 0.0 };
            [format!("{mean:.0}%")].into_iter().chain(reached).collect()
        }
    };
    let counts = [row.visitors as f64, row.visits as f64].map(grouped_of);
    counts.into_iter().chain(more).map(plain).collect()
}

/// What a row is called, and the filter that leaves it.
fn label(details: Details, row: &Told) -> (String, Option<Filter>) {
    let value = |n: usize| row.values.get(n).map_or("", String::as_str);
    let of = |field: Dimension| {
        let filter = Filter::new(field, Verb::Is, value(0)).filter(|_| !field.is_time());
        (labels::label(field, value(0)), filter)
    };
    match details {
        Details::Vitals(by) => by.map_or_else(|| (String::new(), None), of),
        Details::Events => of(Dimension::Event),
        Details::Worth => (format!("{} in {}", of(Dimension::Event).0, value(1)), of(Dimension::Event).1),
        Details::Props => (format!("{}: {}", value(0), value(1)), None),
        Details::ClickedPages | Details::Depth => of(Dimension::Page),
        Details::Clicks => (value(0).to_owned(), None),
    }
}

/// Its name in addresses.
const fn name(details: Details) -> &'static str {
    match details {
        Details::Vitals(_) => "vitals",
        Details::Events => "events",
        Details::Worth => "revenue",
        Details::Props => "props",
        Details::ClickedPages => "clicked-pages",
        Details::Clicks => "clicks",
        Details::Depth => "reading",
    }
}

/// Link to the report as CSV.
fn file_of(key: &str, details: Details, query: &Query) -> String {
    let by = if let Details::Vitals(Some(by)) = details { Some(("by", by.name())) } else { None };
    let by: Vec<_> = by.into_iter().collect();
    file(key, &format!("details/{}", name(details)), query, &by)
}

/// Title, what is said of no rows, and what the figures are.
const fn words(details: Details) -> [&'static str; 3] {
    match details {
        Details::Vitals(_) => [
            "Web vitals",
            "Nothing was measured in this period. Switch the script's vitals module on: the install page says how.",
            "75th percentiles, the pages with most measurements first.",
        ],
        Details::Events => [
            "Events",
            "No events in this period. Events are sent with sotto('event', 'name'), or by elements that the script watches.",
            "Choose an event to see its props.",
        ],
        Details::Worth => [
            "Revenue",
            "No event in this period came with an amount.",
            "Amounts as sent, by currency: nothing is converted.",
        ],
        Details::Props => [
            "Props",
            "The event came without props in this period.",
            "The hundred commonest values of each prop.",
        ],
        Details::ClickedPages => [
            "Pages that were clicked on",
            "No clicks in this period. They are kept of visitors who agreed to analytics, where the script's clicks module is on.",
            "Choose a page to see its elements.",
        ],
        Details::Clicks => [
            "Elements that were clicked",
            "Nothing on this page was clicked in this period.",
            "Where an element is in the structure of the page; never its text, nor anything that was typed.",
        ],
        Details::Depth => [
            "How far pages are read",
            "Nothing was measured in this period.",
            "Of visits that were measured: the deepest scroll position of each visit on each page.",
        ],
    }
}

fn section(asked: &Subject<'_>, page: Page, details: Details, rows: &[Told]) -> Section {
    let first = |row: &Told| row.numbers.first().copied().unwrap_or_default();
    let all: f64 = rows.iter().map(first).sum();
    let most = rows.iter().map(first).fold(1.0, f64::max);
    let row = |row: &Told| {
        let (label, filter) = label(details, row);
        DetailRow {
            label,
            link: filter.map(|filter| asked.link(&asked.view.with_filter(filter))),
            cells: cells(details, row, all),
            bar: crate::figures::whole(100.0 * first(row) / most),
        }
    };
    let tab = |by: Dimension| Beside {
        label: by.plural(),
        link: {
            let query = asked.view.query();
            let mark = if query.is_empty() { "" } else { "?" };
            format!("{}{}{mark}{query}", asked.base, Page::Vitals(by).below())
        },
        current: page == Page::Vitals(by),
    };
    let [title, empty, note] = words(details);
    Section {
        title: title.to_owned(),
        tabs: if matches!(page, Page::Vitals(_)) { VITALS_BY.map(tab).into() } else { Vec::new() },
        columns: columns(details),
        rows: rows.iter().map(row).collect(),
        empty,
        note,
        file: file_of(&asked.site.key, details, &asked.query),
        overlay: None,
    }
}

async fn page(
    (app, theme, reading): (&App, Theme, &Reading),
    query: &str,
    page: Page,
) -> Result<Response, PageError> {
    let db = &app.reports;
    let site = &reading.site;
    let now = now_in(&site.time_zone);
    let view = reading.view(query, now.date());
    let asked = Subject::new(db, reading, &view, &now).below(page.below());
    let sources = Sources::of(db, &asked.query.scope, asked.query.range).await?;
    let reports = page.reports(&view);
    let read = try_join_all(reports.iter().map(|details| details.run(db, &sources, &asked.query))).await?;
    let (mut vitals, mut sections) = (Vec::new(), Vec::new());
    for (details, rows) in reports.into_iter().zip(&read) {
        if details == Details::Vitals(None) {
            let of = |row: &Told| {
                VITALS.iter().enumerate().filter_map(|(n, vital)| Some(card(vital, row.vital(n)?))).collect()
            };
            vitals = rows.first().map(of).unwrap_or_default();
        } else {
            let overlay = (details == Details::Clicks).then(|| overlay::link(app, reading, &view)).flatten();
            sections.push(Section { overlay, ..section(&asked, page, details, rows) });
        }
    }
    let nothing = read.iter().all(Vec::is_empty);
    let filtered = !asked.query.filters.is_empty() && asked.query.detail == Detail::Groups;
    Ok(reading.answer(html(&DetailsPage {
        header: header::build(&asked),
        title: page.title(),
        back: view.link(&reading.base),
        vitals,
        sections,
        groups: Groups::of(&asked, nothing && filtered),
        archived: sources
            .has_archived_only()
            .then_some("Some of these days are left in the anonymous archive only, which has none of this."),
        shell: reading.shell(format!("{} of {}", page.title(), site.name), theme, view.look),
    })))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
    Path((_, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let shown = Page::from_path(&name, None).ok_or(PageError::NotFound)?;
    page((&app, theme, &reading), &query.unwrap_or_default(), shown).await
}

pub(super) async fn show_by(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
    Path((_, name, by)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let shown = Page::from_path(&name, Some(&by)).ok_or(PageError::NotFound)?;
    page((&app, theme, &reading), &query.unwrap_or_default(), shown).await
}
