//! Texts generated from the data map and a site's settings, so that they always describe the running program:
//! the records of processing (GDPR Art. 30), paragraphs for a privacy notice (Art. 13), and the CNIL
//! self-assessment for audience measurement.
//!
//! An engineer's reading, not legal advice.

use std::{collections::BTreeMap, fmt::Write as _, sync::LazyLock};

use serde::Serialize;

use crate::{
    claims::{Language, claim},
    datamap::{self, Class, Entry, Lifetime},
    event::Field,
    policy::{Keep, Minimal, Rule},
    site::Site,
};

pub mod assessment;

static PURPOSES_DE: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    toml::from_str(include_str!("../texts/purposes.de.toml")).expect("a test reads the same file")
});

/// What a field is for.
pub fn purpose(entry: &Entry, language: Language) -> &str {
    match language {
        Language::En => &entry.purpose,
        Language::De => PURPOSES_DE.get(&entry.name).map_or(&entry.purpose, |text| text),
    }
}

/// The claims of a notice, in order, except those about refusal.
const BASIC_CLAIMS: [&str; 5] = ["address", "no-cookie", "day-key", "salt-death", "own-systems"];
const FURTHER_CLAIMS: [&str; 6] = ["gate", "gpc", "returning", "receipt", "masking", "bots"];

/// The fields kept under one rule, for display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// When it is kept.
    pub when: &'static str,
    /// Its fields.
    pub fields: Vec<&'static Entry>,
}

fn when(keep: Keep, language: Language) -> &'static str {
    match (keep, language) {
        (Keep::Always, Language::En) => "Always",
        (Keep::Always, Language::De) => "Immer",
        (Keep::UnlessRefused, Language::En) => "Unless you refuse analytics",
        (Keep::UnlessRefused, Language::De) => "Wenn Sie die Statistik nicht ablehnen",
        (Keep::WithConsent, Language::En) => "Only with your consent",
        (Keep::WithConsent, Language::De) => "Nur mit Ihrer Einwilligung",
        (Keep::Never, Language::En) => "Never on this website",
        (Keep::Never, Language::De) => "Auf dieser Website nie",
    }
}

/// What a site keeps, grouped by condition: "always" first, "never" last; empty groups are left out.
pub fn groups(site: &Site, language: Language) -> Vec<Group> {
    let order = [Keep::Always, Keep::UnlessRefused, Keep::WithConsent, Keep::Never];
    let keep_of = |field: Field| {
        // Whatever the policy says, the id of a returning visitor is kept only after consent.
        let keep = site.policy.keep(field.rule());
        if field == Field::Returning && keep == Keep::UnlessRefused { Keep::WithConsent } else { keep }
    };
    let fields = |keep: Keep| {
        let pairs = Field::ALL.iter().zip(datamap::entries());
        pairs.filter(|(field, _)| keep_of(**field) == keep).map(|(_, entry)| entry).collect::<Vec<_>>()
    };
    let groups = order.map(|keep| Group { when: when(keep, language), fields: fields(keep) });
    groups.into_iter().filter(|group| !group.fields.is_empty()).collect()
}

/// Paragraphs for a privacy notice, as Markdown. `page` is where visitors exercise their rights.
pub fn notice(site: &Site, page: &str, language: Language) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(match language {
        Language::En => "## How we measure the use of our website\n",
        Language::De => "## Wie wir die Nutzung unserer Website messen\n",
    });
    line(match language {
        Language::En => "We measure how our pages are used with Sotto, which runs on our own systems.",
        Language::De => {
            "Wir messen mit Sotto, das auf unseren eigenen Systemen läuft, wie unsere Seiten genutzt werden."
        }
    });
    for id in BASIC_CLAIMS {
        line(claim(id, language));
    }
    line(match language {
        Language::En => "\n### What is kept, and when\n",
        Language::De => "\n### Was wir behalten, und wann\n",
    });
    for group in groups(site, language) {
        line(&format!("**{}**\n", group.when));
        for entry in group.fields {
            line(&format!("- {}", purpose(entry, language)));
        }
        line("");
    }
    line(claim("only-these", language));
    match site.policy.minimal {
        Minimal::Count => line(claim("refusal", language)),
        Minimal::Drop => line(match language {
            Language::En => "If you refuse, nothing is kept.",
            Language::De => "Wenn Sie ablehnen, wird nichts behalten.",
        }),
    }
    for id in FURTHER_CLAIMS {
        line(claim(id, language));
    }
    line(match language {
        Language::En => "\n### How long\n",
        Language::De => "\n### Wie lange\n",
    });
    line(&how_long(site, language));
    line(claim("retention", language));
    line(claim("backups", language));
    line(match language {
        Language::En => "\n### Your rights\n",
        Language::De => "\n### Ihre Rechte\n",
    });
    line(&match language {
        Language::En => format!(
            "At {page} you see what is held about your browser, take it with you, erase it, object, and find where to change or withdraw your consent. You may also complain to a data-protection authority."
        ),
        Language::De => format!(
            "Unter {page} sehen Sie, was über Ihren Browser gespeichert ist, nehmen es mit, löschen es, widersprechen und finden, wo Sie Ihre Einwilligung ändern oder widerrufen. Sie können sich auch bei einer Datenschutzbehörde beschweren."
        ),
    });
    for id in ["erasure", "neighbour", "objection"] {
        line(claim(id, language));
    }
    out
}

fn how_long(site: &Site, language: Language) -> String {
    let (raw, receipts) = (site.retention_days, datamap::class_days("consent_receipts").unwrap_or(0));
    let backups = datamap::class_days("backups").unwrap_or(0);
    match language {
        Language::En => format!(
            "Entries about single visits: {raw} days. Receipts of consent, as proof: {receipts} days. Backups: {backups} days."
        ),
        Language::De => format!(
            "Einträge über einzelne Besuche: {raw} Tage. Belege über Einwilligungen, als Nachweis: {receipts} Tage. Sicherungen: {backups} Tage."
        ),
    }
}

/// The records of processing, in machine-readable form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Records {
    /// Name of the processing.
    pub processing: &'static str,
    /// Version of the program that made them.
    pub version: &'static str,
    /// Whose data.
    pub data_subjects: [&'static str; 2],
    /// Who gets them.
    pub recipients: &'static str,
    /// Whether Sotto transfers them abroad by itself.
    pub transfers: &'static str,
    /// How they are protected.
    pub measures: Vec<&'static str>,
    /// Every stored field about a visit.
    pub fields: &'static [Entry],
    /// Everything that is kept, with its rule.
    pub classes: &'static [Class],
}

/// The records of processing (GDPR Art. 30) as far as a program knows them; the operator adds name and
/// contact of the controller.
pub fn records() -> Records {
    Records {
        processing: "Website analytics",
        version: env!("CARGO_PKG_VERSION"),
        data_subjects: ["Visitors of the websites", "Members of staff with an account"],
        recipients: "None. The program runs on the operator's systems and sends nothing elsewhere.",
        transfers: "None by the program. Where its server stands is the operator's choice.",
        measures: vec![
            claim("address", Language::En),
            claim("gate", Language::En),
            claim("day-key", Language::En),
            claim("salt-death", Language::En),
            claim("ledger", Language::En),
            claim("masking", Language::En),
            claim("retention", Language::En),
            claim("backups", Language::En),
        ],
        fields: datamap::entries(),
        classes: datamap::classes(),
    }
}

/// How long a class is kept, in words.
pub fn lifetime(class: &Class) -> String {
    match class.keep {
        Lifetime::Site => "raw retention of the site (default 90 days)".into(),
        Lifetime::Days => format!("{} days", class.days.unwrap_or(0)),
        Lifetime::Removed => "until removed".into(),
        Lifetime::Shipped => "until it is in the database".into(),
        Lifetime::Memory => "the day and half an hour, in memory".into(),
        Lifetime::Installation => "as long as the installation".into(),
        Lifetime::Never => "not stored".into(),
    }
}

/// The records as Markdown.
pub fn records_markdown() -> String {
    let records = records();
    let mut out = format!(
        "# Records of processing: {}\n\nMade from the data map of Sotto {}. Add the name and contact of the controller and, where there is one, of the data-protection officer (GDPR Art. 30 (1) a).\n\n\
         * Data subjects: {}\n* Recipients: {}\n* Transfers to third countries: {}\n",
        records.processing.to_lowercase(),
        records.version,
        records.data_subjects.join("; "),
        records.recipients,
        records.transfers
    );
    out.push_str("\n## What is kept, and how long\n\n| what | purpose | basis | personal | kept | how it goes |\n|---|---|---|---|---|---|\n");
    for class in records.classes {
        let personal = if class.personal { "yes" } else { "no" };
        // Writing to a string cannot fail.
        let _written = writeln!(
            out,
            "| {} | {} | {} | {personal} | {} | {} |",
            class.name,
            class.purpose,
            class.basis,
            lifetime(class),
            class.removal
        );
    }
    let _written = writeln!(
        out,
        "\n## Fields of a raw event\n\n{}\n\n| field | category | purpose | how it is made less telling |\n|---|---|---|---|",
        claim("only-these", Language::En)
    );
    for e in records.fields {
        let _written =
            writeln!(out, "| {} | {} | {} | {} |", e.name, e.category, e.purpose, e.generalisation);
    }
    out.push_str("\n## Measures\n\n");
    for measure in records.measures {
        let _written = writeln!(out, "* {measure}");
    }
    out
}

/// Whether a rule's fields are kept for a visitor who was not asked.
pub(crate) fn kept_unasked(site: &Site, rule: Rule) -> bool {
    matches!(site.policy.keep(rule), Keep::Always | Keep::UnlessRefused)
}

#[cfg(test)]
mod tests;
