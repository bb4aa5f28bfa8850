//! Pages that were not found, with where visitors came from to them.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use sotto_schema::dimension::Dimension;

use super::{
    overview::{
        Groups, Subject,
        header::{self, Header},
    },
    period::file,
    steps::{bar, change, without_visits},
};
use crate::{
    App,
    figures::{Change, grouped, share},
    labels::label,
    page::{PageError, Shell, Theme, html},
    range::now_in,
    reading::Reading,
    report::{
        Counts, Sources,
        not_found::{self, EVENT, From, Missing},
        origin,
    },
};

/// Pages that are shown; the file has more.
const ROWS: usize = 50;
/// Where visitors came from, of each.
const ORIGINS: usize = 5;

/// A page, or where visitors came from to it.
struct Row {
    is_page: bool,
    label: String,
    /// The paths around it, where it is a page.
    link: Option<String>,
    bar: String,
    visits: String,
    times: String,
    share: String,
    change: Option<Change>,
}

#[derive(Template)]
#[template(path = "not_found.html")]
struct NotFoundPage {
    shell: Shell,
    header: Header,
    back: String,
    visits: String,
    times: String,
    change: Option<Change>,
    rows: Vec<Row>,
    /// How many pages there are besides.
    more: usize,
    file: String,
    groups: Groups,
    without_visits: Option<String>,
}

impl NotFoundPage {
    const VISITS: &str = "Visits that came to the page, each counted once in a row however often";
    const TIMES: &str = "How often the page was opened";
    const SHARE: &str =
        "Of a page: of all pages that were not found. Of where visitors came from: of this page";
}

/// The rows of a page and of where its visitors came from.
fn rows_of(
    page: &Missing,
    [longest, whole]: [u64; 2],
    before: Option<&HashMap<&str, u64>>,
    link: &dyn Fn(&str) -> String,
) -> Vec<Row> {
    let own = page.counts;
    let name = if page.page.is_empty() { "(no page was seen before)".into() } else { page.page.clone() };
    let head = Row {
        is_page: true,
        link: (!page.page.is_empty()).then(|| link(&page.page)),
        label: name,
        bar: bar(own.pageviews, longest),
        visits: grouped(own.visits),
        times: grouped(own.pageviews),
        share: share(own.pageviews, whole),
        change: before.and_then(|before| {
            change(own.visits, before.get(page.page.as_str()).copied().unwrap_or_default())
        }),
    };
    let origin = |(from, counts): &(From, Counts)| Row {
        is_page: false,
        label: match from {
            From::Page(page) => page.clone(),
            From::Source(source) => label(Dimension::Source, source),
        },
        link: match from {
            From::Page(page) => Some(link(page)),
            From::Source(_) => None,
        },
        bar: bar(counts.pageviews, longest),
        visits: grouped(counts.visits),
        times: grouped(counts.pageviews),
        share: share(counts.pageviews, own.pageviews),
        change: None,
    };
    [head].into_iter().chain(page.from.iter().take(ORIGINS).map(origin)).collect()
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let db = &app.reports;
    let site = &reading.site;
    let now = now_in(&site.time_zone);
    let view = reading.view(&query.unwrap_or_default(), now.date());
    let asked = Subject::new(db, &reading, &view, &now).below("/not-found".into());
    let sources = Sources::of(db, &asked.query.scope, asked.query.range).await?;
    let before = async {
        let Some(query) = &asked.before else { return Ok(None) };
        let sources = Sources::of(db, &query.scope, query.range).await?;
        not_found::pages(db, &sources, query, EVENT).await.map(Some)
    };
    let found = not_found::pages(db, &sources, &asked.query, EVENT);
    let (found, before, origin) = tokio::try_join!(found, before, origin(db, &asked.query))?;
    let around = Subject::new(db, &reading, &view, &now).below("/paths".into());
    let link = |page: &str| around.link_about(&view, &[("page", page.to_owned())]);
    let visits_before: Option<HashMap<&str, u64>> = before
        .as_ref()
        .map(|before| before.pages.iter().map(|page| (page.page.as_str(), page.counts.visits)).collect());
    let longest = found.pages.first().map_or(0, |page| page.counts.pageviews);
    let of_page = |page| rows_of(page, [longest, found.all.pageviews], visits_before.as_ref(), &link);
    let page = NotFoundPage {
        header: header::build(&asked),
        back: view.link(&reading.base),
        visits: grouped(found.all.visits),
        times: grouped(found.all.pageviews),
        change: before.as_ref().and_then(|before| change(found.all.visits, before.all.visits)),
        rows: found.pages.iter().take(ROWS).flat_map(of_page).collect(),
        more: found.pages.len().saturating_sub(ROWS),
        file: file(&site.key, "not-found", &asked.query, &[]),
        groups: Groups::of(&asked, found.withheld),
        without_visits: without_visits(&origin),
        shell: reading.shell(format!("Pages of {} that were not found", site.name), theme, view.look),
    };
    Ok(reading.answer(html(&page)))
}
