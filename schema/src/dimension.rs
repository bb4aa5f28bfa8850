//! The dimensions by which reports can be grouped and filtered, in one table: names, labels, stored columns
//! and the unit counted; and the dimensions of the archive.

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
    archived: Option<(&'static str, u8)>,
}

const HIT: CountedBy = CountedBy::Hit { at_entry: None };
const VISIT: CountedBy = CountedBy::Visit;
const VISITOR: CountedBy = CountedBy::Visitor;
const NOT_KNOWN: &str = "Not known";
const NOT_MEASURED: &str = "Not measured";
const NONE: &str = "None or not measured";
const DIRECT: &str = "Direct or none";

const fn at_entry(name: &'static str) -> CountedBy {
    CountedBy::Hit { at_entry: Some(name) }
}

const fn entry(
    dimension: Dimension,
    [name, label, plural, empty, column]: [&'static str; 5],
    counted_by: CountedBy,
    archived: Option<(&'static str, u8)>,
) -> Entry {
    Entry { dimension, name, label, plural, empty, column, counted_by, archived }
}

/// Name, label of one and of many values, label of an empty value, column of the events; unit counted;
/// archive dimension and level.
#[rustfmt::skip]
const TABLE: [Entry; 21] = {
    use Dimension as D;
    [
        entry(D::Page, ["page", "Page", "Pages", NOT_MEASURED, "path"], at_entry("entry_page"), Some(("page", 2))),
        entry(D::EntryPage, ["entry_page", "Entry page", "Entry pages", NOT_MEASURED, "path"], VISIT, Some(("entry", 2))),
        entry(D::ExitPage, ["exit_page", "Exit page", "Exit pages", NOT_MEASURED, "path"], VISIT, Some(("exit", 2))),
        entry(D::Source, ["source", "Source", "Sources", DIRECT, "source"], VISIT, Some(("source", 2))),
        entry(D::Channel, ["channel", "Channel", "Channels", NONE, "channel"], VISIT, Some(("source", 1))),
        entry(D::Referrer, ["referrer", "Referrer", "Referrers", DIRECT, "referrer_host"], VISIT, None),
        entry(D::UtmSource, ["utm_source", "Campaign source", "Campaign sources", NONE, "utm_source"], VISIT, Some(("campaign", 1))),
        entry(D::UtmMedium, ["utm_medium", "Campaign medium", "Campaign media", NONE, "utm_medium"], VISIT, Some(("campaign", 2))),
        entry(D::UtmCampaign, ["utm_campaign", "Campaign", "Campaigns", NONE, "utm_campaign"], VISIT, Some(("campaign", 3))),
        entry(D::Country, ["country", "Country", "Countries", NOT_KNOWN, "country"], VISITOR, Some(("place", 1))),
        entry(D::Region, ["region", "Region", "Regions", NOT_KNOWN, "region"], VISITOR, Some(("place", 2))),
        entry(D::City, ["city", "City", "Cities", NOT_KNOWN, "city"], VISITOR, Some(("place", 3))),
        entry(D::Device, ["device", "Device", "Devices", NOT_KNOWN, "device"], VISITOR, Some(("device", 1))),
        entry(D::Browser, ["browser", "Browser", "Browsers", NOT_KNOWN, "browser"], VISITOR, Some(("browser", 1))),
        entry(D::Os, ["os", "System", "Systems", NOT_KNOWN, "os"], VISITOR, Some(("os", 1))),
        entry(D::Screen, ["screen", "Screen", "Screens", NOT_KNOWN, "screen"], VISITOR, Some(("screen", 1))),
        entry(D::Language, ["language", "Language", "Languages", NOT_KNOWN, "language"], VISITOR, Some(("language", 1))),
        entry(D::Hostname, ["hostname", "Host name", "Host names", NOT_KNOWN, "hostname"], at_entry("hostname"), None),
        entry(D::Event, ["event", "Event", "Events", NOT_KNOWN, "name"], HIT, Some(("event", 1))),
        entry(D::Day, ["day", "Day", "Days", NOT_KNOWN, "day"], at_entry("day"), None),
        entry(D::Hour, ["hour", "Hour", "Hours", NOT_KNOWN, "time"], at_entry("hour"), Some(("hour", 1))),
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

    /// Its archive dimension and level; `None` if it is not archived.
    pub const fn archived(self) -> Option<(&'static str, u8)> {
        self.entry().archived
    }

    /// Whether rows are in the order of time.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Day | Self::Hour)
    }
}

/// The dimensions of the archive, how many levels each has, and whether a visit has one value of it.
pub const ARCHIVED: [(&str, usize, bool); 15] = [
    ("page", 2, false),
    ("entry", 2, true),
    ("exit", 2, true),
    ("source", 2, true),
    ("campaign", 3, true),
    ("place", 3, true),
    ("network", 2, true),
    ("device", 1, true),
    ("browser", 2, true),
    ("os", 2, true),
    ("screen", 1, true),
    ("language", 1, true),
    ("event", 1, false),
    ("goal", 1, false),
    ("hour", 1, false),
];

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

    #[test]
    fn archived_dimension_has_that_level_in_the_archive() {
        for dimension in Dimension::ALL {
            if let Some((name, level)) = dimension.archived() {
                let levels = ARCHIVED.iter().find(|(known, ..)| *known == name).map(|(_, levels, _)| *levels);
                assert!(levels.is_some_and(|levels| usize::from(level) <= levels), "{}", dimension.name());
            }
        }
    }
}
