//! What a report can be grouped by.

/// What the rows of a report stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Path of a page.
    Page,
    /// First page of a visit.
    EntryPage,
    /// Last page of a visit.
    ExitPage,
    /// Name of the site that linked to the visit's first page.
    Source,
    /// Kind of that source.
    Channel,
    /// Address of the page that linked.
    Referrer,
    /// Campaign source.
    UtmSource,
    /// Campaign medium.
    UtmMedium,
    /// Campaign name.
    UtmCampaign,
    /// Country, as an ISO 3166-1 code.
    Country,
    /// Region.
    Region,
    /// City.
    City,
    /// Device class.
    Device,
    /// Browser family.
    Browser,
    /// Operating system family.
    Os,
    /// Screen class.
    Screen,
    /// Language.
    Language,
    /// Host name of the page.
    Hostname,
    /// Name of an event.
    Event,
    /// Day in the site's time zone.
    Day,
    /// Hour in the site's time zone.
    Hour,
}

impl Dimension {
    /// All dimensions.
    pub const ALL: [Self; 21] = [
        Self::Page,
        Self::EntryPage,
        Self::ExitPage,
        Self::Source,
        Self::Channel,
        Self::Referrer,
        Self::UtmSource,
        Self::UtmMedium,
        Self::UtmCampaign,
        Self::Country,
        Self::Region,
        Self::City,
        Self::Device,
        Self::Browser,
        Self::Os,
        Self::Screen,
        Self::Language,
        Self::Hostname,
        Self::Event,
        Self::Day,
        Self::Hour,
    ];

    /// The name in addresses, the API and the command line; also the column in `scope.sql`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::EntryPage => "entry_page",
            Self::ExitPage => "exit_page",
            Self::Source => "source",
            Self::Channel => "channel",
            Self::Referrer => "referrer",
            Self::UtmSource => "utm_source",
            Self::UtmMedium => "utm_medium",
            Self::UtmCampaign => "utm_campaign",
            Self::Country => "country",
            Self::Region => "region",
            Self::City => "city",
            Self::Device => "device",
            Self::Browser => "browser",
            Self::Os => "os",
            Self::Screen => "screen",
            Self::Language => "language",
            Self::Hostname => "hostname",
            Self::Event => "event",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }

    /// The dimension of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.name() == name)
    }

    pub(super) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The name for people, of one value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Page => "Page",
            Self::EntryPage => "Entry page",
            Self::ExitPage => "Exit page",
            Self::Source => "Source",
            Self::Channel => "Channel",
            Self::Referrer => "Referrer",
            Self::UtmSource => "Campaign source",
            Self::UtmMedium => "Campaign medium",
            Self::UtmCampaign => "Campaign",
            Self::Country => "Country",
            Self::Region => "Region",
            Self::City => "City",
            Self::Device => "Device",
            Self::Browser => "Browser",
            Self::Os => "System",
            Self::Screen => "Screen",
            Self::Language => "Language",
            Self::Hostname => "Host name",
            Self::Event => "Event",
            Self::Day => "Day",
            Self::Hour => "Hour",
        }
    }

    /// What an empty value stands for.
    pub const fn none_label(self) -> &'static str {
        match self {
            Self::Source | Self::Referrer => "Direct or none",
            Self::Channel | Self::UtmSource | Self::UtmMedium | Self::UtmCampaign => "None or not measured",
            Self::EntryPage | Self::ExitPage | Self::Page => "Not measured",
            Self::Country
            | Self::Region
            | Self::City
            | Self::Device
            | Self::Browser
            | Self::Os
            | Self::Screen
            | Self::Language
            | Self::Hostname
            | Self::Event
            | Self::Day
            | Self::Hour => "Not known",
        }
    }

    /// Whether rows are in the order of time.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Day | Self::Hour)
    }

    /// For what a visit has many times: the column of hits, and the column of visits that says how it began.
    pub(super) const fn of_hit(self) -> Option<(&'static str, Option<&'static str>)> {
        match self {
            Self::Page => Some(("page", Some("entry_page"))),
            Self::Hostname => Some(("hostname", Some("hostname"))),
            Self::Event => Some(("event", None)),
            Self::Day => Some(("day", Some("day"))),
            Self::Hour => Some(("hour", Some("hour"))),
            Self::EntryPage
            | Self::ExitPage
            | Self::Source
            | Self::Channel
            | Self::Referrer
            | Self::UtmSource
            | Self::UtmMedium
            | Self::UtmCampaign
            | Self::Country
            | Self::Region
            | Self::City
            | Self::Device
            | Self::Browser
            | Self::Os
            | Self::Screen
            | Self::Language => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dimension_is_a_column_of_the_scope() {
        let scope = include_str!("scope.sql");
        for dimension in Dimension::ALL {
            assert_eq!(Dimension::from_name(dimension.name()), Some(dimension));
            assert!(scope.contains(&format!("AS {}", dimension.name())), "{dimension:?}");
        }
    }
}
