//! What happens right now: a page of the last thirty minutes, and the stream that keeps it true while somebody looks.
//!
//! The stream sends the figures as the page shows them, once in [`TICK_MS`]. Each time it asks again whether the reader may still
//! read, and for a turn as any page does, which it gives back at once: who only watches keeps nobody waiting. Without
//! JavaScript the page loads itself again. A stream that is refused, because too many are open, is the same.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use askama::Template;
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::stream;
use jiff::{Timestamp, ToSpan as _, Zoned};

use super::columns::{ColumnRow, Columns, Part};
use crate::{
    App,
    auth::signed_in,
    chart::{self, Tick},
    figures::{compact, grouped},
    filter::{Filter, Verb},
    labels,
    page::{PageError, Shell, Theme, html},
    range::now_in,
    reading::Reading,
    report::{
        Counts, Detail, Dimension, Metric,
        groups::GROUP_MIN,
        realtime::{LISTS, Minute, Realtime, TICK_MS},
    },
    view::{Look, View},
};

/// How many watch at once.
pub(crate) const WATCHERS_MAX: usize = 64;
/// How many streams one reader has at once.
pub(crate) const WATCHERS_OF_ONE_MAX: usize = 4;
/// How many times a stream sends figures; then the browser asks for another one.
const TICKS_MAX: u32 = 120;
/// Labels of the horizontal axis.
const LABELS: usize = 6;

/// How many streams each reader has.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Arc<Mutex<HashMap<u64, usize>>>);

/// A reader's stream; it ends when dropped.
#[derive(Debug)]
struct Watching {
    reader: u64,
    all: Arc<Mutex<HashMap<u64, usize>>>,
}

impl Watchers {
    /// One stream more, if there is room.
    fn enter(&self, reader: u64) -> Option<Watching> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.get(&reader).copied().unwrap_or(0);
        let room = own < WATCHERS_OF_ONE_MAX && all.values().sum::<usize>() < WATCHERS_MAX;
        room.then(|| {
            all.insert(reader, own + 1);
            Watching { reader, all: self.0.clone() }
        })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(&self.reader) {
            Some(own) if *own > 1 => {
                let fewer = own - 1;
                all.insert(self.reader, fewer);
            }
            Some(_) | None => {
                all.remove(&self.reader);
            }
        }
    }
}

struct Row {
    label: String,
    /// What follows when it is chosen: the report of today with this filter.
    link: Option<String>,
    main: String,
    /// Length of the bar, of 100.
    bar: u64,
}

struct Table {
    name: &'static str,
    title: &'static str,
    main: &'static str,
    rows: Vec<Row>,
    note: Option<String>,
}

/// The figures, as they are sent again and again.
#[derive(Template)]
#[template(path = "realtime_figures.html")]
struct Figures {
    keys: [(&'static str, String); 4],
    columns: Columns,
    tables: Vec<Table>,
    clock: String,
}

#[derive(Template)]
#[template(path = "realtime.html")]
struct RealtimePage {
    shell: Shell,
    base: String,
    figures: Figures,
    /// What is said to readers who see groups only.
    groups: Option<String>,
}

fn table(by: Dimension, rows: &[(String, Counts)], base: &str, today: &View) -> Table {
    // Where nobody is measured, their pageviews.
    let measured = rows.iter().any(|(_, counts)| counts.visitors > 0);
    let metric = match (by.is_of_events(), measured) {
        (true, _) => Metric::Events,
        (false, true) => Metric::Visitors,
        (false, false) => Metric::Pageviews,
    };
    let main = |counts: &Counts| metric.size(counts);
    let mut rows: Vec<&(String, Counts)> = rows.iter().collect();
    rows.sort_by_key(|(_, counts)| std::cmp::Reverse(main(counts)));
    let longest = rows.iter().map(|(_, counts)| main(counts)).max().unwrap_or(0).max(1);
    let row = |(value, counts): &(String, Counts)| Row {
        label: labels::label(by, value),
        link: Filter::new(by, Verb::Is, value).map(|filter| today.with_filter(filter).link(base)),
        main: grouped(main(counts)),
        bar: 100 * main(counts) / longest,
    };
    let place = matches!(by, Dimension::Country | Dimension::City);
    Table {
        name: by.name(),
        title: by.plural(),
        main: metric.label(),
        rows: rows.into_iter().map(row).collect(),
        note: place.then(|| format!("Places of at least {GROUP_MIN} visitors.")),
    }
}

fn goals(rows: &[(String, Counts)]) -> Table {
    let longest = rows.first().map_or(1, |(_, counts)| counts.visits).max(1);
    let row = |(name, counts): &(String, Counts)| Row {
        label: name.clone(),
        link: None,
        main: grouped(counts.visits),
        bar: 100 * counts.visits / longest,
    };
    Table { name: "goals", title: "Goals", main: "Visits", rows: rows.iter().map(row).collect(), note: None }
}

/// Pageviews of each minute; the last minute may be running.
fn columns(minutes: &[Minute], now: &Zoned) -> Columns {
    let clock = |n: usize| {
        let ago = i64::try_from(minutes.len() - n).unwrap_or_default();
        now.saturating_sub(ago.minutes()).strftime("%H:%M").to_string()
    };
    let views: Vec<[u64; 1]> = minutes.iter().map(|minute| [minute.pageviews]).collect();
    let views: Vec<&[u64]> = views.iter().map(<[u64; 1]>::as_slice).collect();
    let row = |(n, minute): (usize, &Minute)| ColumnRow {
        label: clock(n),
        figures: vec![grouped(minute.pageviews)],
        incomplete: false,
        notes: Vec::new(),
    };
    Columns {
        title: "Pageviews by minute",
        unit: "Minute from",
        parts: vec![Part { class: "full", label: "Pageviews" }],
        stacks: chart::stacks(&views, compact),
        x: chart::spread(minutes.len(), LABELS)
            .into_iter()
            .map(|n| Tick { at: chart::middle_percent(n, minutes.len()), label: clock(n) })
            .collect(),
        rows: minutes.iter().enumerate().map(row).collect(),
        marks: Vec::new(),
        notes: Vec::new(),
    }
}

fn figures(found: &Realtime, base: &str, now: &Zoned) -> Figures {
    let today = View::parse("p=today", now.date());
    let mut tables: Vec<Table> =
        LISTS.iter().zip(&found.lists).map(|(by, rows)| table(*by, rows, base, &today)).collect();
    tables.push(goals(&found.goals));
    let Counts { visitors, visits, pageviews, events, .. } = found.totals;
    Figures {
        keys: [("Visitors", visitors), ("Visits", visits), ("Pageviews", pageviews), ("Events", events)]
            .map(|(label, count)| (label, grouped(count))),
        columns: columns(&found.minutes, now),
        tables,
        clock: now.strftime("%H:%M:%S").to_string(),
    }
}

/// The figures of this moment.
async fn present(app: &App, reading: &Reading) -> Result<Figures, PageError> {
    let site = &reading.site;
    let now = now_in(&site.time_zone);
    let goals = sotto_store::goal::all(&app.settings.databases.reader, site.id).await?;
    let found = app.moments.of(&app.reports, site, goals, reading.detail(), &now).await?;
    Ok(figures(&found, &reading.base, &now))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
) -> Result<Response, PageError> {
    let figures = present(&app, &reading).await?;
    Ok(reading.answer(html(&RealtimePage {
        shell: reading.shell(format!("{} now", reading.site.name), theme, Look::default()),
        base: reading.base.clone(),
        figures,
        groups: (reading.detail() == Detail::Groups)
            .then(|| format!("As a viewer you see groups: figures are rounded to {GROUP_MIN}, and what stands for fewer visitors is left out.")),
    })))
}

/// Until the next figures.
fn until_next(now: Timestamp) -> Duration {
    let past = now.as_millisecond().rem_euclid(TICK_MS);
    Duration::from_millis(u64::try_from(TICK_MS - past).unwrap_or_default())
}

/// What a stream needs to go on.
struct Stream {
    app: Arc<App>,
    headers: HeaderMap,
    key: String,
    ticks: u32,
    _watching: Watching,
}

impl Stream {
    /// The next event, unless the program stops or the browser has to ask again.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Option<Self>)> {
        if self.ticks == 0 {
            return None;
        }
        self.ticks -= 1;
        tokio::select! {
            () = self.app.settings.stopping.cancelled() => return None,
            () = tokio::time::sleep(until_next(now_in("UTC").timestamp())) => {}
        }
        match self.read().await {
            Ok(Some(event)) => Some((Ok(event), Some(self))),
            // Not now: too many reports run, or ClickHouse is away for a moment.
            Ok(None) => Some((Ok(Event::default().comment("later")), Some(self))),
            // The reader may not read any more, and learns it from the page.
            Err(()) => Some((Ok(Event::default().event("end").data("end")), None)),
        }
    }

    async fn read(&self) -> Result<Option<Event>, ()> {
        let found = async {
            let member = signed_in(&self.app, &self.headers).await?.ok_or(PageError::NotFound)?;
            let reading = Reading::of_member(&self.app, member, &self.key).await?;
            present(&self.app, &reading).await
        };
        match found.await {
            Ok(figures) => Ok(figures.render().ok().and_then(|html| Event::default().json_data(html).ok())),
            Err(PageError::Busy | PageError::Away | PageError::Broken) => Ok(None),
            Err(
                PageError::NotFound
                | PageError::NoLink
                | PageError::Forbidden
                | PageError::ForeignForm
                | PageError::SignIn(_),
            ) => Err(()),
        }
    }
}

pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let member =
        signed_in(&app, &headers).await?.ok_or_else(|| PageError::SignIn(format!("/s/{key}/now")))?;
    member.site(&key, sotto_store::account::Role::Viewer)?;
    let watching = app.watchers.enter(member.user.id.0).ok_or(PageError::Busy)?;
    let first = Stream { app, headers, key, ticks: TICKS_MAX, _watching: watching };
    let events = stream::unfold(Some(first), async |stream| stream?.next().await);
    Ok(Sse::new(events).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::realtime::MINUTES;

    #[test]
    fn reader_at_the_limit_is_refused_one_more_and_others_are_not() {
        let watchers = Watchers::default();
        let mut own: Vec<_> = (0..WATCHERS_OF_ONE_MAX).map(|_| watchers.enter(1).unwrap()).collect();
        assert!(watchers.enter(1).is_none(), "one more than a reader has");
        let others: Vec<_> =
            (own.len()..WATCHERS_MAX).map(|n| watchers.enter(100 + n as u64).unwrap()).collect();
        assert!(watchers.enter(2).is_none(), "one more than all have");
        own.pop();
        assert!(watchers.enter(1).is_some(), "a stream that ended makes room");
        drop((own, others));
        assert!(watchers.0.lock().unwrap().is_empty(), "who watches no more is forgotten");
    }

    #[test]
    fn next_figures_come_at_the_next_tick() {
        for (now, expected) in [(0, TICK_MS), (1, TICK_MS - 1), (TICK_MS - 1, 1), (TICK_MS, TICK_MS), (-1, 1)]
        {
            let until = until_next(Timestamp::from_millisecond(now).unwrap());
            assert_eq!(i64::try_from(until.as_millis()).unwrap(), expected, "{now}");
        }
    }

    #[test]
    fn minutes_are_named_by_the_clock_of_the_site() {
        let now = "2026-03-29T03:10:30[Europe/Berlin]".parse().unwrap();
        let mut minutes = vec![Minute::default(); MINUTES];
        minutes[MINUTES - 1].pageviews = 7;
        let columns = columns(&minutes, &now);
        let rows: Vec<_> =
            columns.rows.iter().map(|row| (row.label.as_str(), row.figures[0].as_str())).collect();
        assert_eq!(rows[0].0, "01:40", "half an hour ago it was winter");
        assert_eq!(rows[MINUTES - 1], ("03:09", "7"));
    }
}
