//! The words of a question: figures and dimensions, as Plausible's Stats API names them, and what they are here.

use sotto_schema::{
    channel::Channel,
    dimension::{Dimension, NOT_MEASURED},
};

use crate::{devices::DEVICES, labels};

/// A figure that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Visitors,
    Visits,
    Pageviews,
    ViewsPerVisit,
    BounceRate,
    Events,
    Percentage,
    ConversionRate,
    GroupConversionRate,
    ScrollDepth,
    TimeOnPage,
}

impl Figure {
    pub(super) const ALL: [Self; 11] = [
        Self::Visitors,
        Self::Visits,
        Self::Pageviews,
        Self::ViewsPerVisit,
        Self::BounceRate,
        Self::Events,
        Self::Percentage,
        Self::ConversionRate,
        Self::GroupConversionRate,
        Self::ScrollDepth,
        Self::TimeOnPage,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Visitors => "visitors",
            Self::Visits => "visits",
            Self::Pageviews => "pageviews",
            Self::ViewsPerVisit => "views_per_visit",
            Self::BounceRate => "bounce_rate",
            Self::Events => "events",
            Self::Percentage => "percentage",
            Self::ConversionRate => "conversion_rate",
            Self::GroupConversionRate => "group_conversion_rate",
            Self::ScrollDepth => "scroll_depth",
            Self::TimeOnPage => "time_on_page",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|figure| figure.name() == name)
    }
}

/// Figures and dimensions that Plausible has and Sotto has not, and why.
pub(super) const NOT_OURS: [(&str, &str); 14] = [
    (
        "visit_duration",
        "Sotto does not measure the time from the first to the last hit of a visit, but for how long pages were visible: time_on_page by event:page, or engaged_seconds of GET /api/v1/sites/KEY/report",
    ),
    ("exit_rate", "Sotto has visits by visit:exit_page and no rate of them"),
    ("total_revenue", "revenue is listed by event and currency at GET /api/v1/sites/KEY/details/revenue"),
    ("average_revenue", "revenue is listed by event and currency at GET /api/v1/sites/KEY/details/revenue"),
    ("visit:country_code", "write visit:country"),
    ("visit:city", "Sotto has no GeoNames ids; ask for visit:city_name"),
    ("visit:region", "Sotto has no ISO 3166-2 codes; ask for visit:region_name"),
    (
        "visit:browser_version",
        "Sotto keeps major versions with their browser: ask for visit:browser, or by=browser_version of GET /api/v1/sites/KEY/report",
    ),
    (
        "visit:os_version",
        "Sotto keeps major versions with their system: ask for visit:os, or by=os_version of GET /api/v1/sites/KEY/report",
    ),
    ("visit:entry_page_hostname", "Sotto does not keep it; ask for event:hostname"),
    ("visit:exit_page_hostname", "Sotto does not keep it; ask for event:hostname"),
    ("segment", "segments of Sotto are lists of filters; send their filters"),
    ("time:minute", "minutes are at GET /api/v1/sites/KEY/realtime only"),
    ("event:props:", "write the name of a prop behind it"),
];

/// Why Sotto does not have what Plausible has under that name.
pub(super) fn why_not(name: &str) -> Option<&'static str> {
    NOT_OURS.iter().find(|(known, _)| *known == name).map(|(_, why)| *why)
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// As they are stored.
    Stored,
    /// As they are stored, and none as this.
    OrNone(&'static str),
    Channel,
    Device,
    Country,
}

/// A dimension with values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Valued {
    pub(super) name: &'static str,
    pub(super) dimension: Dimension,
    words: Words,
}

const NOT_SET: &str = "(not set)";
const DIRECT: &str = "Direct / None";

const fn valued(name: &'static str, dimension: Dimension, words: Words) -> Valued {
    Valued { name, dimension, words }
}

/// All dimensions with values.
pub(super) const VALUED: [Valued; 21] = [
    valued("event:page", Dimension::Page, Words::Stored),
    valued("event:hostname", Dimension::Hostname, Words::Stored),
    valued("event:name", Dimension::Event, Words::Stored),
    valued("visit:entry_page", Dimension::EntryPage, Words::Stored),
    valued("visit:exit_page", Dimension::ExitPage, Words::Stored),
    valued("visit:source", Dimension::Source, Words::OrNone(DIRECT)),
    valued("visit:channel", Dimension::Channel, Words::Channel),
    valued("visit:referrer", Dimension::Referrer, Words::OrNone(DIRECT)),
    valued("visit:utm_source", Dimension::UtmSource, Words::OrNone(NOT_SET)),
    valued("visit:utm_medium", Dimension::UtmMedium, Words::OrNone(NOT_SET)),
    valued("visit:utm_campaign", Dimension::UtmCampaign, Words::OrNone(NOT_SET)),
    valued("visit:utm_content", Dimension::UtmContent, Words::OrNone(NOT_SET)),
    valued("visit:utm_term", Dimension::UtmTerm, Words::OrNone(NOT_SET)),
    valued("visit:device", Dimension::Device, Words::Device),
    valued("visit:screen", Dimension::Device, Words::Device),
    valued("visit:browser", Dimension::Browser, Words::OrNone(NOT_SET)),
    valued("visit:os", Dimension::Os, Words::OrNone(NOT_SET)),
    valued("visit:country", Dimension::Country, Words::Stored),
    valued("visit:country_name", Dimension::Country, Words::Country),
    valued("visit:region_name", Dimension::Region, Words::Stored),
    valued("visit:city_name", Dimension::City, Words::Stored),
];

impl Valued {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        VALUED.into_iter().find(|valued| valued.name == name)
    }

    /// Whether values are written otherwise than they are stored, so that a part of them cannot be searched for.
    pub(super) const fn is_named(&self) -> bool {
        matches!(self.words, Words::Channel | Words::Device | Words::Country)
    }

    /// Whether each hit has its own value.
    pub(super) const fn is_of_hits(&self) -> bool {
        matches!(self.dimension, Dimension::Page | Dimension::Hostname | Dimension::Event)
    }

    /// A stored value, as it is written.
    pub(super) fn written(&self, stored: &str) -> String {
        if stored == NOT_MEASURED {
            return stored.to_owned();
        }
        match self.words {
            Words::OrNone(none) if stored.is_empty() => none.to_owned(),
            Words::Channel | Words::Device if stored.is_empty() => NOT_SET.to_owned(),
            Words::Country if stored.is_empty() => String::new(),
            Words::Stored | Words::OrNone(_) => stored.to_owned(),
            Words::Channel => capitals(&labels::label(self.dimension, stored)),
            Words::Device if stored == "mobile" => "Mobile".to_owned(),
            Words::Device | Words::Country => labels::label(self.dimension, stored),
        }
    }

    /// A written value, as it is stored.
    pub(super) fn stored(&self, written: &str) -> String {
        let known: Vec<String> = match self.words {
            Words::Stored => return written.to_owned(),
            Words::OrNone(none) => return if written == none { String::new() } else { written.to_owned() },
            Words::Channel => Channel::ALL.map(|channel| channel.name().to_owned()).into(),
            Words::Device => DEVICES.map(str::to_owned).into(),
            Words::Country => return labels::stored(self.dimension, written),
        };
        let found = known.into_iter().chain([String::new()]).find(|stored| self.written(stored) == written);
        found.unwrap_or_else(|| written.to_owned())
    }
}

/// Each word with a capital letter.
fn capitals(text: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
    };
    text.split(' ').map(capital).collect::<Vec<_>>().join(" ")
}

/// A span of time as one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bucket {
    Hour,
    Day,
    /// From Monday, or from the first day that is asked for.
    Week,
    Month,
}

impl Bucket {
    pub(super) const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hour => "time:hour",
            Self::Day => "time:day",
            Self::Week => "time:week",
            Self::Month => "time:month",
        }
    }
}

/// The dimension that is one of the buckets, by the length of the period.
pub(super) const TIME: &str = "time";
pub(super) const GOAL: &str = "event:goal";
pub(super) const PROP: &str = "event:props:";

/// What rows are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Axis {
    Of(Valued),
    Goal,
    Prop(String),
    Time(Bucket),
}

impl Axis {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Of(valued) => valued.name.to_owned(),
            Self::Goal => GOAL.to_owned(),
            Self::Prop(name) => format!("{PROP}{name}"),
            Self::Time(bucket) => bucket.name().to_owned(),
        }
    }

    /// Whether it is of hits, and not of visits or time.
    pub(super) const fn is_of_hits(&self) -> bool {
        match self {
            Self::Of(valued) => valued.is_of_hits(),
            Self::Goal | Self::Prop(_) => true,
            Self::Time(_) => false,
        }
    }

    pub(super) const fn is_time(&self) -> bool {
        matches!(self, Self::Time(_))
    }

    pub(super) fn is(&self, dimension: Dimension) -> bool {
        matches!(self, Self::Of(valued) if valued.dimension == dimension)
    }
}

/// The names of all dimensions that filters can be on.
pub(super) fn filterable() -> Vec<String> {
    let more = [GOAL.to_owned(), format!("{PROP}NAME")];
    VALUED.iter().map(|valued| valued.name.to_owned()).chain(more).collect()
}

/// The names of all dimensions that rows can be of.
pub(super) fn dimensions() -> Vec<String> {
    let times = [TIME].into_iter().chain(Bucket::ALL.map(Bucket::name)).map(str::to_owned);
    filterable().into_iter().chain(times).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_value_is_stored_as_what_it_was() {
        for (name, stored, written) in [
            ("visit:source", "", "Direct / None"),
            ("visit:source", "Google", "Google"),
            ("visit:source", NOT_MEASURED, NOT_MEASURED),
            ("visit:utm_term", "", "(not set)"),
            ("visit:channel", "organic_search", "Organic Search"),
            ("visit:channel", "", "(not set)"),
            ("visit:device", "mobile", "Mobile"),
            ("visit:device", "desktop", "Desktop"),
            ("visit:screen", "tablet", "Tablet"),
            ("visit:device", "", "(not set)"),
            ("visit:country", "DE", "DE"),
            ("visit:country_name", "DE", "Germany"),
            ("visit:country_name", "", ""),
            ("event:page", "/a", "/a"),
        ] {
            let valued = Valued::from_name(name).unwrap();
            assert_eq!(valued.written(stored), written, "{name} {stored}");
            assert_eq!(valued.stored(written), stored, "{name} {written}");
        }
    }

    #[test]
    fn no_name_is_both_known_and_explained_as_missing() {
        for (name, _) in NOT_OURS {
            assert!(Valued::from_name(name).is_none() && Figure::from_name(name).is_none(), "{name}");
        }
    }
}
