//! The data inventory: what is stored, why, and for how long, under the site's policy.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use sotto_schema::{
    claims::{Language, claim},
    datamap::{self, Lifetime},
    day::Day,
    privacy::{self, Group, assessment},
    site::Site,
};
use sotto_store::{
    account::Role,
    audit::{self, Action},
    db::Db,
    ledger,
};

use super::{install::clock, sites};
use crate::{
    App,
    auth::SignedIn,
    figures::counted,
    page::{PageError, Shell, Theme, html},
};

/// How many lines of the log and of the ledger are shown.
const LINES: u64 = 20;

/// Something that is kept, and how long.
#[derive(Clone)]
pub(super) struct RetainedClass {
    pub(super) name: String,
    pub(super) purpose: &'static str,
    pub(super) kept: String,
    pub(super) removal: &'static str,
}

struct Verdict {
    criterion: &'static str,
    verdict: &'static str,
    reason: String,
}

struct Line {
    time: String,
    what: String,
}

#[derive(Template)]
#[template(path = "data_inventory.html")]
struct DataInventoryPage {
    shell: Shell,
    key: String,
    groups: Vec<Group>,
    classes: Vec<RetainedClass>,
    verdicts: Vec<Verdict>,
    /// What was removed when.
    removed: Vec<Line>,
    /// When the site's salts were made and destroyed.
    salts: Vec<Line>,
    /// Address of the visitor's page.
    page: String,
    /// The notice's paragraphs, in English and German.
    notices: [(&'static str, String); 2],
    claims: Vec<(&'static str, &'static str)>,
    /// The privacy loss of the archive.
    epsilon: u8,
    /// Of 1,000, what somebody may believe at most who believed 1 before they saw the archive.
    at_most: u32,
}

/// The greatest chance, of 1,000, to which the archive can raise one of 1 in 1,000.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Between 0 and 1,000.
fn at_most(epsilon: u8) -> u32 {
    let odds = f64::from(epsilon).exp() / 999.0;
    (1000.0 * odds / (1.0 + odds)).ceil() as u32
}

/// Everything that is kept of a site.
pub(super) fn classes(site: &Site) -> Vec<RetainedClass> {
    let kept = |class: &'static datamap::Class| RetainedClass {
        name: class.name.replace('_', " "),
        purpose: &class.purpose,
        kept: match class.keep {
            Lifetime::Site => counted(site.retention_days.into(), "day"),
            Lifetime::Days
            | Lifetime::Removed
            | Lifetime::Shipped
            | Lifetime::Memory
            | Lifetime::Installation
            | Lifetime::Never => privacy::lifetime(class),
        },
        removal: &class.removal,
    };
    datamap::classes().iter().map(kept).collect()
}

/// What was removed of a site, the newest first: what was due, what its visitors erased, and what was erased for them.
async fn removed(reader: &Db, site: &Site) -> Result<Vec<Line>, PageError> {
    let mut log = Vec::new();
    for action in [Action::Retention, Action::VisitorErase, Action::Erase] {
        log.extend(
            audit::newest_of(reader, action, LINES * 10).await?.into_iter().map(|entry| (action, entry)),
        );
    }
    log.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.time));
    // Other sites' entries must not be shown here.
    let own = log.into_iter().filter(|(_, e)| e.site == site.id || e.site.is_none()).take(LINES as usize);
    let line = |(action, entry): (Action, audit::Entry)| {
        // How much that was of one visitor is nobody else's business.
        let what = if action == Action::VisitorErase {
            "what was held about a visitor, by themselves".into()
        } else if action == Action::Erase {
            "what was held about a visitor, at their request".into()
        } else {
            entry.detail
        };
        Line { time: clock(entry.time, &site.time_zone), what }
    };
    Ok(own.map(line).collect())
}

fn salt(line: &ledger::Line, time_zone: &str) -> Line {
    let event = if line.event == ledger::BORN { "made" } else { "destroyed" };
    // Several collectors each hold a copy.
    let at = if line.collector.is_empty() { String::new() } else { format!(" at {}", line.collector) };
    Line {
        time: clock(line.time, time_zone),
        what: format!("The salt of {} was {event}{at}.", Day(line.day)),
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
) -> Result<Response, PageError> {
    let reader = &app.settings.databases.reader;
    let (site, all) = signed_in.site(&key, Role::Viewer)?;
    let removed = removed(reader, &site).await?;
    let salts = ledger::of_site(reader, site.id, LINES).await?;
    let page = format!("{}/privacy?s={}", app.settings.public_url.trim_end_matches('/'), site.key);
    let verdict = |c: assessment::Criterion| Verdict {
        criterion: c.criterion,
        verdict: c.verdict.words(),
        reason: c.reason,
    };
    Ok(html(&DataInventoryPage {
        groups: privacy::groups(&site, Language::En),
        classes: classes(&site),
        verdicts: assessment::assess(&site).into_iter().map(verdict).collect(),
        removed,
        salts: salts.iter().map(|line| salt(line, &site.time_zone)).collect(),
        notices: Language::ALL.map(|language| (language.tag(), privacy::notice(&site, &page, language))),
        claims: ["address", "gate", "day-key", "salt-death", "retention", "own-systems"]
            .map(|id| (id, claim(id, Language::En)))
            .to_vec(),
        epsilon: site.archive_epsilon,
        at_most: at_most(site.archive_epsilon),
        page,
        key,
        shell: Shell {
            title: format!("What is stored on {}", site.name),
            theme,
            who: Some(signed_in.who()),
            sites: sites::links(&all, Some(&site)),
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_schema::policy::Preset;

    #[test]
    fn page_names_every_class_and_the_days_of_the_site() {
        let mut site = Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap();
        site.retention_days = 31;
        let classes = classes(&site);
        assert_eq!(classes.len(), datamap::classes().len());
        assert_eq!((classes[0].name.as_str(), classes[0].kept.as_str()), ("raw events", "31 days"));
    }
}
