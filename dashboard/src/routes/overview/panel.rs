//! The panels: what was viewed, where visitors came from, where they are, what they use.

use super::Subject;
use crate::{
    figures::{compact, grouped, share},
    filter::{Filter, Verb},
    labels,
    report::{Counts, Dimension, List, Metric, Origin, Rows, archive},
    routes::unmeasured::{self, Told},
    view::Panel,
};

/// Rows of a panel.
const PANEL_ROWS: u64 = 9;

pub(super) struct Tab {
    pub(super) label: &'static str,
    pub(super) link: String,
    pub(super) current: bool,
}

pub(super) struct PanelRow {
    pub(super) label: String,
    /// A short code before the label.
    pub(super) code: String,
    pub(super) link: String,
    pub(super) main: String,
    pub(super) main_exact: String,
    pub(super) views: String,
    pub(super) share: String,
    /// Length of the bar, of 100.
    pub(super) bar: u64,
}

pub(super) struct PanelView {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) tabs: Vec<Tab>,
    pub(super) column: &'static str,
    /// What the first figure is.
    pub(super) main_label: &'static str,
    pub(super) rows: Vec<PanelRow>,
    /// What is not in the rows, and why.
    pub(super) notes: Vec<String>,
    pub(super) empty: &'static str,
    /// The list of all values.
    pub(super) more: String,
    pub(super) tab_label: String,
    figures: Vec<(u64, u64)>,
    by: Dimension,
}

/// The lists of the panels, in their order, and the one that the notes below them need.
pub(super) fn lists(asked: &Subject<'_>) -> Vec<List> {
    let list = |by| List { by, sort: main_metric(by), limit: PANEL_ROWS, entries: false };
    let shown = Panel::ALL.map(|panel| asked.view.tab(panel));
    let beside = shown.iter().any(|by| unmeasured::needs_campaigns(*by)).then_some(Dimension::UtmCampaign);
    shown.into_iter().chain(beside).map(list).collect()
}

/// The panels, from the rows of [`lists`].
pub(super) fn build(asked: &Subject<'_>, lists: &[(Rows, Origin)]) -> Vec<PanelView> {
    let campaigns = lists.get(Panel::ALL.len()).map_or_else(Vec::new, |(rows, _)| rows.clone());
    let told = |(panel, (rows, _)): (&Panel, &(Rows, Origin))| {
        let by = asked.view.tab(*panel);
        one(asked, *panel, unmeasured::tell(by, rows.clone(), &campaigns, &asked.site.policy))
    };
    Panel::ALL.iter().zip(lists).map(told).collect()
}

/// Events are sorted by their number, everything else by visitors.
fn main_metric(by: Dimension) -> Metric {
    if by.is_of_events() { Metric::Events } else { Metric::Visitors }
}

fn one(asked: &Subject<'_>, panel: Panel, Told { rows, notes }: Told) -> PanelView {
    let by = asked.view.tab(panel);
    let metric = main_metric(by);
    let main = |c: &Counts| if metric == Metric::Events { c.events } else { c.visitors };
    let figures: Vec<_> = rows.iter().map(|(_, c)| (main(c), c.pageviews)).collect();
    let rows = rows.iter().map(|(value, c)| row(asked, by, value, main(c), c.pageviews)).collect();
    let tabs = panel
        .tabs()
        .iter()
        .map(|(tab, label)| Tab {
            label,
            link: asked.view.with_tab(panel, *tab).link(asked.base),
            current: *tab == by,
        })
        .collect();
    PanelView {
        name: panel.name(),
        title: panel.title(),
        tabs,
        column: by.label(),
        main_label: metric.label(),
        rows,
        notes,
        empty: empty(by, !asked.query.filters.is_empty(), asked.may_edit),
        more: list_link(asked, by),
        tab_label: by.plural().to_lowercase(),
        figures,
        by,
    }
}

fn row(asked: &Subject<'_>, by: Dimension, value: &str, main: u64, views: u64) -> PanelRow {
    let filter = Filter::new(by, Verb::Is, value).filter(|_| value != archive::REST);
    let view = filter.map_or_else(|| asked.view.clone(), |f| asked.view.with_filter(f));
    PanelRow {
        label: labels::label(by, value),
        code: if by == Dimension::Country { value.to_owned() } else { String::new() },
        link: view.link(asked.base),
        main: compact(main),
        main_exact: grouped(main),
        views: compact(views),
        share: String::new(),
        bar: 0,
    }
}

/// The link to the list of all values of `by`.
fn list_link(asked: &Subject<'_>, by: Dimension) -> String {
    let query = asked.view.query();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/list/{}{mark}{query}", asked.base, by.name())
}

/// The text of an empty panel. What would fill it is told to those who can do it.
const fn empty(by: Dimension, filtered: bool, may_edit: bool) -> &'static str {
    match (by, filtered, may_edit) {
        (Dimension::Event, true, _) => "No events of what the filters choose.",
        (Dimension::Event, false, true) => {
            "No events in this period. Send one with sotto('Sign up'), and it appears here."
        }
        (Dimension::Event, false, false) => "No events in this period.",
        (Dimension::Outbound | Dimension::Download, false, true) => {
            "No links in this period. The tag reports those that are followed with its module auto."
        }
        (Dimension::UtmCampaign, true, _) => "No campaigns of what the filters choose.",
        (Dimension::UtmCampaign, false, true) => {
            "No campaigns in this period. Add utm_campaign to the links you share."
        }
        (Dimension::UtmCampaign, false, false) => "No campaigns in this period.",
        (Dimension::Language, false, _) => "No languages in this period.",
        (_, true, _) => "The filters leave nothing here.",
        (_, false, _) => "Nothing in this period.",
    }
}

impl PanelView {
    /// Adds the shares, once the totals are known: of visitors, of events among the listed, or of pageviews where
    /// nobody is measured.
    pub(super) fn with_total(mut self, totals: Counts) -> Self {
        let views_only = self.figures.iter().all(|(main, _)| *main == 0);
        let part = |(main, views): (u64, u64)| if views_only { views } else { main };
        let total = match (views_only, self.by) {
            (true, _) => totals.pageviews,
            (false, by) if by.is_of_events() => totals.events,
            (false, _) => totals.visitors,
        };
        let longest = self.figures.iter().map(|f| part(*f)).max().unwrap_or(0).max(1);
        for (row, figures) in self.rows.iter_mut().zip(&self.figures) {
            row.share = share(part(*figures), total.max(longest));
            row.bar = 100 * part(*figures) / longest;
        }
        self
    }

    pub(super) fn is_event(&self) -> bool {
        self.by.is_of_events()
    }
}
