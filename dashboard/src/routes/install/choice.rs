//! The options of the tag, kept in the page's URL, so that it works without JavaScript and can be shared.

use super::map::{Entry, Map};
use crate::ScriptModule;

/// Modules that do not belong to a consent manager, what they do, and what they cost in consent.
const MODULES: [(&str, &str, &str); 5] = [
    (
        "auto",
        "Links, downloads, forms, 404",
        "Counts them by themselves, and what is marked with data-sotto. Error pages need <meta name=\"sotto:status\" content=\"404\">.",
    ),
    ("clicks", "Click map", "Where people click; only with consent to analytics."),
    ("rights", "Rights", "Links with data-sotto-privacy lead to the visitor’s own page; part of our banner."),
    ("vitals", "Speed", "Core Web Vitals as visitors see them."),
    (
        "visitor",
        "Returning visitors",
        "A random id in the browser for at most 13 months; only with consent to analytics.",
    ),
];

/// Consent managers by the end of their module's name, as their makers write them.
const MANAGERS: [(&str, &str); 18] = [
    ("axeptio", "Axeptio"),
    ("complianz", "Complianz"),
    ("cookiebot", "Cookiebot"),
    ("cookieyes", "CookieYes"),
    ("didomi", "Didomi"),
    ("google-consent-mode", "Google Consent Mode v2"),
    ("iab-gpp", "IAB GPP"),
    ("iab-tcf", "IAB TCF v2"),
    ("iubenda", "iubenda"),
    ("klaro", "Klaro"),
    ("onetrust", "OneTrust"),
    ("osano", "Osano cookieconsent"),
    ("shopify", "Shopify"),
    ("tarteaucitron", "tarteaucitron"),
    ("termly", "Termly"),
    ("usercentrics", "Usercentrics"),
    ("vanilla-cookieconsent", "vanilla-cookieconsent"),
    ("wp-consent-api", "WP Consent API (WordPress)"),
];

/// The module with our own banner.
const BANNER: &str = "banner";
/// What the names of consent managers' modules begin with.
const MANAGER: &str = "consent-";

/// What was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Modules that exist, by name, without those for consent.
    modules: Vec<&'static str>,
    /// The module that learns the visitor's decision.
    asker: Option<String>,
    /// What the categories of the consent manager stand for.
    map: Map,
}

/// A module to tick.
pub(super) struct Tick {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) brotli: usize,
    pub(super) checked: bool,
}

/// A consent manager to choose.
pub(super) struct Asker {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) chosen: bool,
}

impl Choice {
    /// Parses `m=auto&m=clicks&consent=klaro&map=stats:4`. Ignores what does not exist. A first visit, with
    /// nothing chosen, gets the modules that need no consent.
    pub(super) fn parse(query: &str, available: &[ScriptModule]) -> Self {
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let exists = |name: &str| available.iter().any(|m| m.name == name);
        let first_visit = !pairs.iter().any(|(name, _)| name == "consent" || name == "m");
        let ticked = |module: &str| {
            (first_visit && module == "auto")
                || pairs.iter().any(|(name, value)| name == "m" && value == module)
        };
        let modules = MODULES.iter().map(|m| m.0).filter(|m| exists(m) && ticked(m)).collect();
        let asker = pairs.iter().find(|(name, _)| name == "consent").map(|(_, value)| module_of(value));
        let map = Map::read(pairs.iter().filter(|(name, _)| name == "map").map(|(_, value)| &**value));
        Self { modules, asker: asker.filter(|name| exists(name)), map }
    }

    /// Names for the script.
    pub(super) fn names(&self) -> Vec<&str> {
        self.modules.iter().copied().chain(self.asker.as_deref()).collect()
    }

    /// The tag's attributes besides its address.
    pub(super) fn attributes(&self, key: &str) -> Vec<String> {
        let mut words = vec![format!("data-site=\"{key}\"")];
        if self.asker.as_deref() == Some(BANNER) {
            words.push("data-policy=\"/privacy\"".to_owned());
        }
        if self.by_manager() {
            words.extend(self.map.attribute());
        }
        words
    }

    /// Whether a consent manager asks, whose categories can be mapped.
    pub(super) fn by_manager(&self) -> bool {
        self.asker.as_deref().is_some_and(|name| name.starts_with(MANAGER))
    }

    /// The categories that were mapped, to choose again.
    pub(super) fn mapped(&self) -> Vec<Entry> {
        self.map.entries()
    }

    /// All modules to tick.
    pub(super) fn options(&self, available: &[ScriptModule]) -> Vec<Tick> {
        MODULES
            .iter()
            .filter_map(|(name, title, text)| {
                let module = available.iter().find(|m| m.name == *name)?;
                let checked = self.modules.contains(name);
                Some(Tick { name, title, text, brotli: module.brotli, checked })
            })
            .collect()
    }

    /// All who may ask.
    pub(super) fn askers(&self, available: &[ScriptModule]) -> Vec<Asker> {
        let asker = |name: &str, title: &str| Asker {
            name: name.to_owned(),
            title: title.to_owned(),
            chosen: self.asker == Some(module_of(name)).filter(|_| !name.is_empty()),
        };
        let managers = available.iter().filter_map(|m| {
            let name = m.name.strip_prefix(MANAGER)?;
            Some(asker(name, manager(name).unwrap_or(name)))
        });
        [asker("", "Nobody: there is no banner")]
            .into_iter()
            .chain(available.iter().any(|m| m.name == BANNER).then(|| asker(BANNER, "Sotto’s own banner")))
            .chain(managers)
            .collect()
    }
}

/// The consent manager with this name, as its maker writes it.
pub(in crate::routes) fn manager(name: &str) -> Option<&'static str> {
    MANAGERS.iter().find(|(known, _)| *known == name).map(|(_, title)| *title)
}

/// The module behind a name of the form.
fn module_of(name: &str) -> String {
    if name == BANNER { name.to_owned() } else { format!("{MANAGER}{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn available() -> Vec<ScriptModule> {
        ["auto", "banner", "clicks", "consent", "consent-klaro", "vitals"]
            .map(|name| ScriptModule { name: name.into(), brotli: 500, requires: Vec::new() })
            .into()
    }

    #[test]
    fn query_chooses_modules_that_exist_and_one_who_asks() {
        for (query, names) in [
            ("", vec!["auto"]),
            ("consent=", vec![]),
            ("m=auto&m=clicks&consent=klaro", vec!["auto", "clicks", "consent-klaro"]),
            ("m=clicks&m=auto&m=auto&consent=banner", vec!["auto", "clicks", "banner"]),
            ("m=visitor&m=core&m=consent&m=nobody&consent=nobody", vec![]),
            ("consent=klaro&consent=banner", vec!["consent-klaro"]),
        ] {
            assert_eq!(Choice::parse(query, &available()).names(), names, "{query}");
        }
    }

    #[test]
    fn form_shows_what_was_chosen() {
        let available = available();
        for (query, chosen) in [("", ""), ("consent=banner", "banner"), ("consent=klaro", "klaro")] {
            let askers = Choice::parse(query, &available).askers(&available);
            let marked: Vec<_> = askers.iter().filter(|a| a.chosen).map(|a| a.name.as_str()).collect();
            assert_eq!(marked, [chosen], "{query}");
        }
        let options = Choice::parse("m=vitals", &available).options(&available);
        let shown: Vec<_> = options.iter().map(|o| (o.name, o.checked)).collect();
        assert_eq!(shown, [("auto", false), ("clicks", false), ("vitals", true)]);
    }

    #[test]
    fn map_is_on_the_tag_where_a_consent_manager_asks() {
        let map = "map=C0009%3A4&map=&map=Not+mine%3A0";
        for (asker, expected) in [
            ("consent=klaro&", vec!["data-site=\"k7f3\"", "data-map=\"C0009:4 Not%20mine:0\""]),
            ("consent=banner&", vec!["data-site=\"k7f3\"", "data-policy=\"/privacy\""]),
            ("", vec!["data-site=\"k7f3\""]),
        ] {
            let choice = Choice::parse(&format!("{asker}{map}"), &available());
            assert_eq!(choice.attributes("k7f3"), expected);
            let kept: Vec<_> = choice.mapped().into_iter().map(|entry| entry.id).collect();
            assert_eq!(kept, ["C0009", "Not mine"], "whoever asks: it may be chosen again");
        }
    }

    #[test]
    fn banner_needs_the_address_of_the_policy() {
        let banner = Choice::parse("consent=banner", &available());
        assert_eq!(banner.attributes("k7f3"), ["data-site=\"k7f3\"", "data-policy=\"/privacy\""]);
    }
}
