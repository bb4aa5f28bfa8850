//! A badge of a public site: a small picture with its visitors or pageviews, for a page or a read-me.
//!
//! It is drawn here, without a script or a font of its own, from a figure that is rounded down to two digits and, below the
//! smallest group, not told. The figure is counted once in ten minutes; whether the site is public, every time.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{Path, Query as Parameters, State},
    http::header,
    response::{IntoResponse, Response},
};
use jiff::ToSpan as _;
use serde::Deserialize;
use sotto_schema::{id::SiteId, site::Site};
use tokio::sync::Mutex;

use crate::{
    App,
    figures::grouped,
    filter::Filters,
    gate::Lane,
    page::PageError,
    range::{Range, now_in},
    reading::public_site,
    report::{Metric, Query, Reports, Scope, Sources, groups::GROUP_MIN, lists},
};

/// How long a figure stays as it is.
const LIFETIME: Duration = Duration::from_secs(600);
/// Days that a badge can be about; the first number is the one when none is asked for.
const DAYS: [i32; 3] = [30, 7, 90];
/// What a badge can count.
const COUNTED: [Metric; 2] = [Metric::Visitors, Metric::Pageviews];

/// A site, and what of it is counted over how many days.
type Asked = (SiteId, Metric, i32);

/// Figures that were counted lately.
#[derive(Default)]
pub(crate) struct Badges(Mutex<HashMap<Asked, (Instant, u64)>>);

impl Badges {
    /// The figure, 0 if it is of too few. One request at a time counts; the others wait for it.
    async fn figure(&self, db: &Reports, site: &Site, metric: Metric, days: i32) -> Result<u64, PageError> {
        let mut kept = self.0.lock().await;
        kept.retain(|_, (at, _)| at.elapsed() < LIFETIME);
        if let Some((_, figure)) = kept.get(&(site.id, metric, days)) {
            return Ok(*figure);
        }
        let figure = count(db, site, metric, days).await?;
        kept.insert((site.id, metric, days), (Instant::now(), figure));
        Ok(figure)
    }
}

async fn count(db: &Reports, site: &Site, metric: Metric, days: i32) -> Result<u64, PageError> {
    let today = now_in(&site.time_zone).date();
    let range = Range { from: today.saturating_sub((days - 1).days()), to: today };
    let scope = Scope { site: site.id, time_zone: site.time_zone.clone() };
    let query = Query::totals(scope, range, Filters::default());
    let sources = Sources::of(db, &query.scope, range).await?;
    let totals = lists(db, &sources, &query, &[], false).await?.totals;
    let of = |counts: &crate::report::Counts| {
        if metric == Metric::Pageviews { counts.pageviews } else { counts.visitors }
    };
    // Of too few visitors, their pageviews are not told either.
    Ok(if of(&totals.of_groups()) == 0 { 0 } else { of(&totals) })
}

/// Rounded down to two digits; below the smallest group, that it is.
fn told(figure: u64) -> String {
    if figure < GROUP_MIN {
        return format!("under {GROUP_MIN}");
    }
    let mut step = 1;
    while figure / step >= 100 {
        step *= 10;
    }
    grouped(figure / step * step)
}

/// About how wide a text of 11 px is, in px.
fn width(text: &str) -> usize {
    text.chars().count() * 7 + 12
}

fn draw(label: &str, figure: &str) -> String {
    let (left, right) = (width(label), width(figure));
    let all = left + right;
    let mut out = String::new();
    // Writing to a string cannot fail. Nothing in it was typed by anybody.
    let _ = write!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{all}" height="20" role="img" aria-label="{label}: {figure}"><title>{label}: {figure}</title><rect width="{all}" height="20" rx="4" fill="#1d4d3c"/><path d="M0 4a4 4 0 0 1 4-4h{bar}v20H4a4 4 0 0 1-4-4z" fill="#33383a"/><g fill="#fff" font-family="system-ui,Verdana,sans-serif" font-size="11" text-anchor="middle"><text x="{label_at}" y="14">{label}</text><text x="{figure_at}" y="14">{figure}</text></g></svg>"##,
        bar = left - 4,
        label_at = left / 2,
        figure_at = left + right / 2,
    );
    out
}

/// What the address asks for; anything else is as if it were not there.
#[derive(Deserialize)]
pub(super) struct Wanted {
    days: Option<String>,
    of: Option<String>,
}

impl Wanted {
    fn read(&self) -> (Metric, i32) {
        let days = self.days.as_deref().and_then(|days| days.parse().ok());
        let days = days.filter(|days| DAYS.contains(days)).unwrap_or(DAYS[0]);
        let metric = self.of.as_deref().and_then(Metric::from_name);
        (metric.filter(|metric| COUNTED.contains(metric)).unwrap_or(COUNTED[0]), days)
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, PageError> {
    let _turn = app.gate.enter_lane(Lane::Public).await?;
    let site = public_site(&app, &key).await?.ok_or(PageError::NotFound)?;
    let (metric, days) = wanted.read();
    let figure = app.badges.figure(&app.reports, &site, metric, days).await?;
    let label = format!("{}, {days} days", metric.label().to_lowercase());
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml".to_owned()),
        (header::CACHE_CONTROL, format!("public, max-age={}", LIFETIME.as_secs())),
    ];
    Ok((headers, draw(&label, &told(figure))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figure_is_rounded_down_to_two_digits_and_too_few_are_not_told() {
        for (figure, expected) in [
            (0, "under 5"),
            (GROUP_MIN - 1, "under 5"),
            (GROUP_MIN, "5"),
            (99, "99"),
            (109, "100"),
            (129, "120"),
            (1_999, "1,900"),
            (123_456, "120,000"),
        ] {
            assert_eq!(told(figure), expected, "{figure}");
        }
    }

    #[test]
    fn days_and_figures_outside_the_known_are_the_usual() {
        let read = |days: &str, of: &str| Wanted { days: Some(days.into()), of: Some(of.into()) }.read();
        assert_eq!(read("7", "pageviews"), (Metric::Pageviews, 7));
        for (days, of) in [("", ""), ("31", "visits"), ("-7", "<script>"), ("99999999999", "bounce_rate")] {
            assert_eq!(read(days, of), (Metric::Visitors, 30), "{days} {of}");
        }
    }
}
