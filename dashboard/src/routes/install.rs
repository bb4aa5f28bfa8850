//! The tag to paste, made of what was chosen; what else a site needs for it; and why nothing arrives, if nothing does.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use sotto_schema::site::Site;
use sotto_store::account::Role;

use super::{policy_choice, sites, withheld};
use crate::{
    App,
    auth::SignedIn,
    page::{PageError, Shell, Theme, html},
    range::now_in,
    report::{
        Detail,
        first_hit::{self, FirstHit},
        recent_outcomes,
    },
};

mod choice;
mod map;
mod verdict;

use choice::{Asker, Choice, Tick};
use map::Entry;
use verdict::{Verdict, verdicts};
pub(super) use {
    choice::manager,
    map::{Meaning, meanings},
};

/// The first visit, for people.
pub(crate) struct Seen {
    pub(crate) page: String,
    pub(crate) time: String,
}

#[derive(Template)]
#[template(path = "install.html")]
struct InstallPage {
    shell: Shell,
    key: String,
    hostname: String,
    modules: Vec<Tick>,
    askers: Vec<Asker>,
    /// Categories of a consent manager that the owner mapped.
    mapped: Vec<Entry>,
    /// Whether the map is on the tag.
    by_manager: bool,
    /// The site's answer to how visitors may be counted.
    policy: &'static str,
    /// What it leaves out of hits without consent.
    withheld: Vec<&'static str>,
    /// The words of the tag; a line may end between them.
    tag: Vec<String>,
    /// The same for one version only.
    pinned_tag: Vec<String>,
    brotli_bytes: usize,
    /// Where the collector is: scheme, host and port.
    server: String,
    server_host: String,
    /// The name of the script's file behind a proxy of the site.
    file: String,
    seen: Option<Seen>,
    verdicts: Vec<Verdict>,
    check: String,
}

/// A script to paste into the console of a page that is not counted; it reports what is wrong.
#[derive(Template)]
#[template(path = "install_check.js", escape = "none")]
struct Check<'a> {
    /// What is expected, as JSON.
    expected: &'a str,
}

/// A first hit, for people. It is one visitor's: who sees groups is told the host and the day.
pub(crate) fn seen(hit: &FirstHit, time_zone: &str, detail: Detail) -> Seen {
    let (time, path) = (clock(hit.time, time_zone), &hit.path);
    match detail {
        Detail::All => Seen { page: format!("{}{path}", hit.hostname), time },
        Detail::Groups => {
            let day = time.split(',').next().unwrap_or_default().to_owned();
            Seen { page: format!("a page of {}", hit.hostname), time: day }
        }
    }
}

/// `21 Nov 2026, 14:03:09` on the site's clock.
pub(super) fn clock(ms: i64, time_zone: &str) -> String {
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(zone);
    time.strftime("%-d %b %Y, %H:%M:%S").to_string()
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let reader = &app.settings.databases.reader;
    let (site, all) = signed_in.site(&key, Role::Viewer)?;
    let now = now_in(&site.time_zone).timestamp();
    let (first, recent) =
        tokio::join!(first_hit::run(reader, site.id), recent_outcomes::run(reader, site.id, now));
    let choice = Choice::parse(query.as_deref().unwrap_or_default(), &app.settings.modules);
    let names = choice.names();
    // The names are those of modules that exist.
    let script = (app.settings.script)(&names).ok_or(PageError::NotFound)?;
    let public_url = app.settings.public_url.trim_end_matches('/');
    let server = origin(public_url);
    let mut data = choice.attributes(&site.key);
    data.extend(site.hostnames.iter().any(|host| is_local(host)).then(|| "data-local".to_owned()));
    let src = |path: &str| format!("src=\"{public_url}{path}\"");
    let tag = |words: Vec<String>| {
        let mut tag = vec!["<script".to_owned(), "defer".to_owned()];
        tag.extend(words.into_iter().chain(data.iter().cloned()));
        if let Some(last) = tag.last_mut() {
            last.push_str("></script>");
        }
        tag
    };
    Ok(html(&InstallPage {
        tag: tag(vec![src(&script.path)]),
        pinned_tag: tag(vec![
            src(&script.versioned_path),
            format!("integrity=\"{}\"", script.integrity),
            "crossorigin=\"anonymous\"".to_owned(),
        ]),
        brotli_bytes: script.brotli_bytes,
        server_host: server.split_once("://").map_or(server.as_str(), |(_, host)| host).to_owned(),
        server,
        file: script.path.trim_start_matches('/').to_owned(),
        hostname: site.hostnames.first().cloned().unwrap_or_default(),
        modules: choice.options(&app.settings.modules),
        askers: choice.askers(&app.settings.modules),
        mapped: choice.mapped(),
        by_manager: choice.by_manager(),
        policy: policy_choice::choices(site.preset).into_iter().find(|c| c.checked).map_or("", |c| c.title),
        withheld: withheld::names(&site.policy),
        seen: first?.map(|hit| seen(&hit, &site.time_zone, signed_in.detail(site.id))),
        verdicts: verdicts(&recent?),
        check: check(&site).map_err(|_| PageError::Broken)?,
        key,
        shell: Shell {
            title: format!("Install on {}", site.name),
            theme,
            who: Some(signed_in.who()),
            sites: sites::links(&all, Some(&site)),
        },
    }))
}

/// Whether the script does not count pages of that host unless it is told to.
fn is_local(host: &str) -> bool {
    host == "localhost" || host.starts_with("127.") || host == "[::1]" || host == "::1"
}

fn check(site: &Site) -> askama::Result<String> {
    let expected = serde_json::json!({ "site": site.key, "hosts": site.hostnames }).to_string();
    Check { expected: &expected }.render()
}

/// Scheme, host and port of an address, as they stand in a policy.
fn origin(address: &str) -> String {
    url::Url::parse(address).map_or_else(|_| address.to_owned(), |url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_names_the_site_as_data_only() {
        let mut site = Site::new("A", &["example.org"], "UTC", sotto_schema::policy::Preset::Cnil).unwrap();
        site.hostnames.push("\"</script>".into());
        let check = check(&site).unwrap();
        assert!(check.contains(&format!("\"site\":\"{}\"", site.key)));
        assert!(check.contains(r#""hosts":["example.org","\"</script>"]"#));
    }

    #[test]
    fn tag_of_a_site_on_this_machine_counts_there() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("localhost", true),
            ("[::1]", true),
            ("127.example.org", true),
            ("example.org", false),
            ("localhost.example.org", false),
        ] {
            assert_eq!(is_local(host), expected, "{host}");
        }
    }

    #[test]
    fn origin_is_what_a_policy_names() {
        for (address, expected) in [
            ("https://stats.example.org", "https://stats.example.org"),
            ("https://example.org/stats", "https://example.org"),
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
        ] {
            assert_eq!(origin(address), expected);
        }
    }
}
