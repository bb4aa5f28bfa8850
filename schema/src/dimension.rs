//! The dimensions by which reports can be grouped and filtered, in one table: names, labels, stored columns
//! and the unit counted.

/// The value of what could not be told: the visitor is counted anonymously, or the site's policy keeps it of those who
/// agreed only. Empty is another value: there was none.
pub const NOT_MEASURED: &str = "(not measured)";

/// A report dimension.
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
    /// Channel of that source.
    Channel,
    /// URL of the linking page.
    Referrer,
    /// Campaign source.
    UtmSource,
    /// Campaign medium.
    UtmMedium,
    /// Campaign name.
    UtmCampaign,
    /// Which of a campaign's links or advertisements.
    UtmContent,
    /// Search term that a campaign paid for.
    UtmTerm,
    /// Kind of click id in the link, by the name of its parameter: whose advertisement or mail it was.
    ClickId,
    /// Country, as an ISO 3166-1 code.
    Country,
    /// Region.
    Region,
    /// City.
    City,
    /// Internet provider, by the name or else the number of its network.
    Network,
    /// Kind of that network.
    NetworkKind,
    /// Device class.
    Device,
    /// Browser family.
    Browser,
    /// Browser family with its major version, as in `Firefox 132`.
    BrowserVersion,
    /// Operating system family.
    Os,
    /// Operating system family with its major version, as in `iOS 18`.
    OsVersion,
    /// Screen class.
    Screen,
    /// Language.
    Language,
    /// Host name of the page.
    Hostname,
    /// Name of an event.
    Event,
    /// Address of a link to another site that was followed.
    Outbound,
    /// Address of a file that was downloaded.
    Download,
    /// Day in the site's time zone.
    Day,
    /// Hour in the site's time zone.
    Hour,
}

/// The unit that has exactly one value of a dimension and is counted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedBy {
    /// Every hit has its own value; `at_entry` is the dimension that holds the value at the start of the
    /// visit, if any.
    Hit {
        /// Name of the dimension that holds the value at the start of the visit.
        at_entry: Option<&'static str>,
    },
    /// A visit, from its first or last pageview.
    Visit,
    /// A visitor: the value stays the same during a visit, and every hit carries it.
    Visitor,
}

/// A row of the table.
struct Entry {
    dimension: Dimension,
    name: &'static str,
    label: &'static str,
    plural: &'static str,
    empty: &'static str,
    column: &'static str,
    counted_by: CountedBy,
    archived: bool,
}

const HIT: CountedBy = CountedBy::Hit { at_entry: None };
const VISIT: CountedBy = CountedBy::Visit;
const VISITOR: CountedBy = CountedBy::Visitor;
const NOT_KNOWN: &str = "Not known";
const NO_PAGE: &str = "Not measured";
const NONE: &str = "None";
const DIRECT: &str = "Direct";

const fn at_entry(name: &'static str) -> CountedBy {
    CountedBy::Hit { at_entry: Some(name) }
}

const fn entry(
    dimension: Dimension,
    [name, label, plural, empty, column]: [&'static str; 5],
    counted_by: CountedBy,
    archived: bool,
) -> Entry {
    Entry { dimension, name, label, plural, empty, column, counted_by, archived }
}

/// Name, label of one and of many values, label of an empty value, column of the events; unit counted;
/// whether the archive has it.
#[rustfmt::skip]
const TABLE: [Entry; 30] = {
    use Dimension as D;
    [
        entry(D::Page, ["page", "Page", "Pages", NO_PAGE, "path"], at_entry("entry_page"), true),
        entry(D::EntryPage, ["entry_page", "Entry page", "Entry pages", NO_PAGE, "path"], VISIT, true),
        entry(D::ExitPage, ["exit_page", "Exit page", "Exit pages", NO_PAGE, "path"], VISIT, true),
        entry(D::Source, ["source", "Source", "Sources", DIRECT, "source"], VISIT, true),
        entry(D::Channel, ["channel", "Channel", "Channels", NOT_KNOWN, "channel"], VISIT, true),
        entry(D::Referrer, ["referrer", "Referrer", "Referrers", DIRECT, "referrer_host"], VISIT, false),
        entry(D::UtmSource, ["utm_source", "Campaign source", "Campaign sources", NONE, "utm_source"], VISIT, true),
        entry(D::UtmMedium, ["utm_medium", "Campaign medium", "Campaign media", NONE, "utm_medium"], VISIT, true),
        entry(D::UtmCampaign, ["utm_campaign", "Campaign", "Campaigns", NONE, "utm_campaign"], VISIT, true),
        entry(D::UtmContent, ["utm_content", "Campaign content", "Campaign contents", NONE, "utm_content"], VISIT, false),
        entry(D::UtmTerm, ["utm_term", "Campaign term", "Campaign terms", NONE, "utm_term"], VISIT, false),
        entry(D::ClickId, ["click_id", "Click id", "Click ids", NONE, "click_id"], VISIT, false),
        entry(D::Country, ["country", "Country", "Countries", NOT_KNOWN, "country"], VISITOR, true),
        entry(D::Region, ["region", "Region", "Regions", NOT_KNOWN, "region"], VISITOR, true),
        entry(D::City, ["city", "City", "Cities", NOT_KNOWN, "city"], VISITOR, true),
        entry(D::Network, ["network", "Network", "Networks", NOT_KNOWN, "network"], VISITOR, true),
        entry(D::NetworkKind, ["network_kind", "Kind of network", "Kinds of network", NOT_KNOWN, "network_kind"], VISITOR, false),
        entry(D::Device, ["device", "Device", "Devices", NOT_KNOWN, "device"], VISITOR, true),
        entry(D::Browser, ["browser", "Browser", "Browsers", NOT_KNOWN, "browser"], VISITOR, true),
        entry(D::BrowserVersion, ["browser_version", "Browser version", "Browser versions", NOT_KNOWN, "browser_version"], VISITOR, true),
        entry(D::Os, ["os", "System", "Systems", NOT_KNOWN, "os"], VISITOR, true),
        entry(D::OsVersion, ["os_version", "System version", "System versions", NOT_KNOWN, "os_version"], VISITOR, true),
        entry(D::Screen, ["screen", "Screen", "Screens", NOT_KNOWN, "screen"], VISITOR, true),
        entry(D::Language, ["language", "Language", "Languages", NOT_KNOWN, "language"], VISITOR, true),
        entry(D::Hostname, ["hostname", "Host name", "Host names", NOT_KNOWN, "hostname"], at_entry("hostname"), false),
        entry(D::Event, ["event", "Event", "Events", NOT_KNOWN, "name"], HIT, true),
        entry(D::Outbound, ["outbound", "Outbound link", "Outbound links", NOT_KNOWN, "props"], HIT, false),
        entry(D::Download, ["download", "Download", "Downloads", NOT_KNOWN, "props"], HIT, false),
        entry(D::Day, ["day", "Day", "Days", NOT_KNOWN, "day"], at_entry("day"), false),
        entry(D::Hour, ["hour", "Hour", "Hours", NOT_KNOWN, "time"], at_entry("hour"), false),
    ]
};

impl Dimension {
    /// All dimensions.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Self::Page; TABLE.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = TABLE[i].dimension;
            i += 1;
        }
        all
    };

    const fn entry(self) -> &'static Entry {
        &TABLE[self as usize]
    }

    /// The name in URLs, the API and the command line; also the column in a report's query.
    pub const fn name(self) -> &'static str {
        self.entry().name
    }

    /// The dimension of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.name() == name)
    }

    /// All names, separated by commas, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The display label of one value.
    pub const fn label(self) -> &'static str {
        self.entry().label
    }

    /// The display label of several values.
    pub const fn plural(self) -> &'static str {
        self.entry().plural
    }

    /// What an empty value stands for.
    pub const fn none_label(self) -> &'static str {
        self.entry().empty
    }

    /// The stored column it is derived from.
    pub const fn column(self) -> &'static str {
        self.entry().column
    }

    /// The unit counted by it.
    pub const fn counted_by(self) -> CountedBy {
        self.entry().counted_by
    }

    /// Whether the archive has its values.
    pub const fn is_archived(self) -> bool {
        self.entry().archived
    }

    /// Whether it is a field of events with a name, so that values are compared by events: hits without one have no value.
    pub const fn is_of_events(self) -> bool {
        matches!(self, Self::Event | Self::Outbound | Self::Download)
    }

    /// Whether rows are in the order of time.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Day | Self::Hour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::COLUMNS;

    #[test]
    fn every_dimension_is_in_its_row_and_is_made_from_a_stored_column() {
        for (i, entry) in TABLE.iter().enumerate() {
            assert_eq!(entry.dimension as usize, i, "{}", entry.name);
            let stored = COLUMNS.split(',').any(|column| column.trim() == entry.column);
            assert!(stored, "{}: no column {}", entry.name, entry.column);
            assert_eq!(Dimension::from_name(entry.name), Some(entry.dimension));
        }
    }

    #[test]
    fn value_at_entry_is_one_of_a_dimension() {
        for dimension in Dimension::ALL {
            if let CountedBy::Hit { at_entry: Some(name) } = dimension.counted_by() {
                assert!(Dimension::from_name(name).is_some(), "{name}");
            }
        }
    }
}
