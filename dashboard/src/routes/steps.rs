//! What the pages of paths and funnels share: their words, their rows, and which days have no visits.

use crate::{
    figures::{Change, grouped, share},
    report::{
        Counts, Metric, Origin,
        paths::{Place, label},
    },
};

/// What the figures are, written once.
#[rustfmt::skip]
pub(super) mod help {
    pub(in crate::routes) const VISITS: &str = "Visits, each counted once in a row however often";
    pub(in crate::routes) const VIEWS: &str = "Views of the page that came from there or went on there; a page that is loaded again before another one is one view";
    pub(in crate::routes) const VIEW_SHARE: &str = "Of all views of the page";
    pub(in crate::routes) const JOURNEY: &str = "Of the visits that saw the page, after they saw it for the first time; each visit is on one journey";
    pub(in crate::routes) const REACHED: &str = "Visits that reached the step after those before it, each counted once";
    pub(in crate::routes) const OF_FIRST: &str = "Of the visits that reached the first step";
    pub(in crate::routes) const OF_BEFORE: &str = "Of the visits that reached the step before";
    pub(in crate::routes) const LEFT: &str = "Visits that reached this step and not the next one";
    pub(in crate::routes) const WENT: &str = "The next page after the step was first reached, of the visits that did not reach the next step";
    pub(in crate::routes) const CONVERSION: &str = "Visits that reached the last step, of those that reached the first";
}

/// A place before, after or between steps.
pub(super) struct PlaceRow {
    pub(super) label: String,
    /// The paths around it, where it is a page.
    pub(super) link: Option<String>,
    /// Width of its bar, in per cent of the longest.
    pub(super) bar: String,
    pub(super) visits: String,
    pub(super) views: String,
    pub(super) share: String,
    pub(super) change: Option<Change>,
}

/// Words for being nowhere else, by whether it was before or after.
pub(super) const ENTERED: &str = "(entered here)";
pub(super) const LEFT_HERE: &str = "(left here)";

/// A bar's width of the longest, in per cent.
#[allow(clippy::cast_precision_loss)] // Per cent are drawn.
pub(super) fn bar(size: u64, longest: u64) -> String {
    format!("{:.1}", 100.0 * size as f64 / longest.max(1) as f64)
}

/// A row; `size` is what it is measured by, `whole` of what its share is.
pub(super) fn row(
    (place, counts): &(Place, Counts),
    outside: &'static str,
    [longest, whole]: [u64; 2],
    size: impl Fn(&Counts) -> u64,
    before: Option<u64>,
    link: impl Fn(&str) -> String,
) -> PlaceRow {
    PlaceRow {
        label: label(place, outside),
        link: match place {
            Place::Page(page) => Some(link(page)),
            Place::Outside | Place::Beyond => None,
        },
        bar: bar(size(counts), longest),
        visits: grouped(counts.visits),
        views: grouped(counts.pageviews),
        share: share(size(counts), whole),
        change: before.and_then(|before| change(counts.visits, before)),
    }
}

/// How a number of visits changed.
#[allow(clippy::cast_precision_loss)] // Per cent are shown.
pub(super) fn change(now: u64, before: u64) -> Option<Change> {
    Change::between(Metric::Visits, Some(now as f64), Some(before as f64))
}

/// Says which days have no visits any more, if any.
pub(super) fn without_visits(origin: &Origin) -> Option<String> {
    let ranges = origin.archive.iter().chain(&origin.missing);
    let days: Vec<String> = ranges.map(|range| range.label()).collect();
    (!days.is_empty()).then(|| {
        format!(
            "Of {} only the archive is left, which has no visits: they are not counted here.",
            days.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::range::Range;

    #[test]
    fn days_of_the_archive_are_said_to_have_no_visits() {
        assert_eq!(without_visits(&Origin::default()), None);
        let day = Range::day(date(2026, 3, 1));
        let origin = Origin { archive: vec![day], ..Origin::default() };
        assert!(without_visits(&origin).unwrap().contains(&day.label()));
        assert_eq!(
            without_visits(&Origin { missing: vec![day], ..Origin::default() }),
            without_visits(&origin)
        );
    }
}
