//! The state of the overview, as encoded in its URL. Every link on the page is this state with one thing changed, so
//! that Back, bookmarks and sharing work without JavaScript.

use jiff::civil::Date;
use url::form_urlencoded;

use crate::{
    filter::{Filter, Filters, Verb, field::chosen},
    labels,
    page::Theme,
    range::{Period, RangeError},
    report::{Dimension, Metric},
};

/// A panel of the overview and its tabs; the first is the one shown when none is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Panel {
    Pages,
    Sources,
    Places,
    Devices,
}

impl Panel {
    pub(crate) const ALL: [Self; 4] = [Self::Pages, Self::Sources, Self::Places, Self::Devices];

    /// The name in an address.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Sources => "sources",
            Self::Places => "places",
            Self::Devices => "devices",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Pages => "Pages",
            Self::Sources => "Sources",
            Self::Places => "Places",
            Self::Devices => "Devices",
        }
    }

    /// Dimension and label of each tab.
    pub(crate) const fn tabs(self) -> &'static [(Dimension, &'static str)] {
        match self {
            Self::Pages => &[
                (Dimension::Page, "Viewed"),
                (Dimension::EntryPage, "Entry"),
                (Dimension::ExitPage, "Exit"),
                (Dimension::Event, "Events"),
                (Dimension::Outbound, "Outbound"),
                (Dimension::Download, "Downloads"),
            ],
            Self::Sources => &[
                (Dimension::Source, "Sources"),
                (Dimension::Channel, "Channels"),
                (Dimension::UtmCampaign, "Campaigns"),
                (Dimension::UtmContent, "Content"),
                (Dimension::UtmTerm, "Terms"),
                (Dimension::ClickId, "Click ids"),
            ],
            Self::Places => &[
                (Dimension::Country, "Countries"),
                (Dimension::Region, "Regions"),
                (Dimension::City, "Cities"),
                (Dimension::Network, "Networks"),
                (Dimension::Language, "Languages"),
            ],
            Self::Devices => &[
                (Dimension::Device, "Devices"),
                (Dimension::Browser, "Browsers"),
                (Dimension::BrowserVersion, "Browser versions"),
                (Dimension::Os, "Systems"),
                (Dimension::OsVersion, "System versions"),
                (Dimension::Screen, "Screens"),
            ],
        }
    }

    fn tab(self, name: &str) -> Option<Dimension> {
        self.tabs().iter().map(|(d, _)| *d).find(|d| d.name() == name)
    }
}

/// How a page is shown within another one, as its address says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Look {
    /// Without the head and the choices of the page.
    pub(crate) embed: bool,
    /// In these colours rather than in those of the reader.
    pub(crate) theme: Option<Theme>,
}

impl Look {
    fn parse(embed: Option<&str>, theme: Option<&str>) -> Self {
        Self { embed: embed == Some("1"), theme: theme.and_then(Theme::from_name) }
    }
}

/// The state of the overview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) period: Period,
    /// Why other days are shown than requested.
    pub(crate) refused: Option<RangeError>,
    /// Whether the period before is shown for comparison.
    pub(crate) compare: bool,
    pub(crate) filters: Filters,
    /// Which metric the graph shows.
    pub(crate) metric: Metric,
    /// The chosen tab of each panel.
    pub(crate) tabs: [Dimension; 4],
    /// How the page is shown within another one.
    pub(crate) look: Look,
}

impl View {
    /// Parses a query string. Ignores what is invalid.
    pub(crate) fn parse(query: &str, today: Date) -> Self {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let all = |name: &'static str| pairs.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str());
        let first = |name: &'static str| all(name).next();
        Self {
            period: Period::parse(first("p"), first("from"), first("to"), today),
            refused: Period::refusal(first("p"), first("from"), first("to"), today),
            compare: first("cmp") != Some("none"),
            filters: typed_filter(first("field"), first("verb"), first("value"))
                .into_iter()
                .fold(Filters::parse(all("f")), Filters::with),
            metric: first("m")
                .and_then(Metric::from_name)
                .filter(|m| *m != Metric::Events)
                .unwrap_or(Metric::Visitors),
            tabs: Panel::ALL.map(|panel| {
                first(panel.name()).and_then(|name| panel.tab(name)).unwrap_or(panel.tabs()[0].0)
            }),
            look: Look::parse(first("embed"), first("theme")),
        }
    }

    /// The query string, in a fixed order and without defaults; empty for the default view.
    pub(crate) fn query(&self) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        out.extend_pairs(self.period.pairs());
        if !self.compare {
            out.append_pair("cmp", "none");
        }
        for filter in self.filters.each() {
            out.append_pair("f", &filter.to_string());
        }
        if self.metric != Metric::Visitors {
            out.append_pair("m", self.metric.name());
        }
        for (panel, tab) in Panel::ALL.into_iter().zip(self.tabs) {
            if panel.tabs()[0].0 != tab {
                out.append_pair(panel.name(), tab.name());
            }
        }
        if self.look.embed {
            out.append_pair("embed", "1");
        }
        if let Some(theme) = self.look.theme {
            out.append_pair("theme", theme.name());
        }
        // Keeps the address bar readable; both forms mean the same in a query string.
        out.finish().replace("%3A", ":").replace("%2F", "/")
    }

    /// The link to this view of the site whose pages begin with `base`.
    pub(crate) fn link(&self, base: &str) -> String {
        let query = self.query();
        if query.is_empty() { base.to_owned() } else { format!("{base}?{query}") }
    }

    pub(crate) fn with_period(&self, period: Period) -> Self {
        Self { period, ..self.clone() }
    }

    pub(crate) fn with_metric(&self, metric: Metric) -> Self {
        Self { metric, ..self.clone() }
    }

    pub(crate) fn with_compare(&self, compare: bool) -> Self {
        Self { compare, ..self.clone() }
    }

    pub(crate) fn with_filter(&self, filter: Filter) -> Self {
        Self { filters: self.filters.clone().with(filter), ..self.clone() }
    }

    pub(crate) fn without_filter(&self, filter: &Filter) -> Self {
        Self { filters: self.filters.without(filter), ..self.clone() }
    }

    pub(crate) fn with_filters(&self, filters: Filters) -> Self {
        Self { filters, ..self.clone() }
    }

    pub(crate) fn without_filters(&self) -> Self {
        Self { filters: Filters::default(), ..self.clone() }
    }

    pub(crate) fn with_tab(&self, panel: Panel, tab: Dimension) -> Self {
        let mut view = self.clone();
        for (slot, p) in view.tabs.iter_mut().zip(Panel::ALL) {
            if p == panel {
                *slot = tab;
            }
        }
        view
    }

    pub(crate) fn tab(&self, panel: Panel) -> Dimension {
        let chosen = self.tabs.into_iter().zip(Panel::ALL).find(|(_, p)| *p == panel);
        chosen.map_or(panel.tabs()[0].0, |(tab, _)| tab)
    }
}

/// The filter of the form, in which people type what pages show.
pub(crate) fn typed_filter(field: Option<&str>, verb: Option<&str>, value: Option<&str>) -> Option<Filter> {
    let verb = Verb::from_name(verb?)?;
    let (field, typed) = chosen(field?, value?.trim())?;
    let value = match field.dimension() {
        Some(dimension) if verb.is_of_values() => labels::stored(dimension, typed),
        Some(dimension) => labels::search(dimension, typed),
        None => typed.to_owned(),
    };
    Filter::new(field, verb, &value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    const TODAY: Date = date(2026, 3, 31);

    #[test]
    fn default_view_has_an_empty_query() {
        let view = View::parse("", TODAY);
        assert_eq!((view.period, view.compare, view.metric), (Period::Month, true, Metric::Visitors));
        assert_eq!(view.query(), "");
        assert_eq!(view.link("/s/abc"), "/s/abc");
    }

    #[test]
    fn address_is_written_in_one_order_and_stays_readable() {
        let typed = "devices=os&m=visits&f=page%3Ais%3A%2Fpricing&f=country:not:FR&cmp=none&p=7d";
        let written = "p=7d&cmp=none&f=page:is:/pricing&f=country:not:FR&m=visits&devices=os";
        let view = View::parse(typed, TODAY);
        assert_eq!(view.query(), written);
        assert_eq!(View::parse(written, TODAY), view);
    }

    #[test]
    fn typed_filter_is_one_more_in_the_words_that_are_stored() {
        let view = |field, verb, value| {
            let form = format!("f=page:is:/a&field={field}&verb={verb}&value={value}");
            View::parse(&form, TODAY).query()
        };
        assert_eq!(view("country", "is", "germany+"), "f=page:is:/a&f=country:is:DE");
        assert_eq!(view("channel", "not", "Organic+search"), "f=page:is:/a&f=channel:not:organic_search");
        assert_eq!(view("page", "has", "Blog"), "f=page:is:/a&f=page:has:Blog");
        assert_eq!(view("source", "is", "Direct"), "f=page:is:/a&f=source:is:");
        assert_eq!(view("channel", "starts", "Organic+s"), "f=page:is:/a&f=channel:starts:Organic_s");
        assert_eq!(view("visited", "like", "/order/*"), "f=page:is:/a&f=visited:like:/order/*");
        assert_eq!(view("prop", "not", "plan=pro"), "f=page:is:/a&f=prop:plan:not:pro");
        for (field, verb, value) in
            [("planet", "is", "Mars"), ("page", "eats", "/"), ("day", "is", "2026-01-01")]
        {
            assert_eq!(view(field, verb, value), "f=page:is:/a", "{field}");
        }
    }

    #[test]
    fn nonsense_in_an_address_is_as_if_it_were_not_there() {
        let view = View::parse("p=eternity&cmp=what&f=planet:is:Mars&m=money&pages=country&x=1", TODAY);
        assert_eq!(view, View::parse("", TODAY));
    }

    proptest! {
        #[test]
        fn written_view_reads_as_itself(text in "(p=(7d|today|12mo)&)?(cmp=none&)?(f=(page|did|prop:\\PC{1,5}):(is|not|lacks|like):\\PC{0,20}&){0,3}(m=visits&)?(places=city)?") {
            let view = View::parse(&text, TODAY);
            prop_assert_eq!(View::parse(&view.query(), TODAY), view);
        }
    }
}
