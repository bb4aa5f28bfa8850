//! Matomo's tracking API: `GET` and `POST /matomo.php` (also `/piwik.php`), single and bulk.
//!
//! Source: Matomo developer documentation, "Tracking HTTP API" (5.x). A request is a pageview unless it says that it
//! is a download, a link, an event, a search, a goal, an order or a heartbeat.

use std::{borrow::Cow, collections::HashMap};

use compact_str::{CompactString, format_compact};
use jiff::{Timestamp, civil::DateTime};
use serde_json::Value;
use sotto_schema::{event::Kind, id::ViewId};

use super::{
    ADDRESS_BYTES_MAX, BULK_BYTES_MAX, Claimed, Claims, USER_AGENT_BYTES_MAX, claim, json, name, prop,
    referrer, scalar, width,
};
use crate::pipeline::{
    hit::Hit,
    parse::{self, BODY_BYTES_MAX, PROPS_MAX, ParseError, decimal4_text},
};

/// The most requests in a bulk.
pub const REQUESTS_MAX: usize = 500;

/// A parsed request.
#[derive(Clone, PartialEq, Default)]
pub struct Request {
    /// The hit; none if the request does not ask for recording (`rec=1`).
    pub hit: Option<Claimed>,
    /// The sender's token, for claims.
    pub token: Option<Box<str>>,
    /// The sender expects an image, not 204.
    pub image: bool,
}

/// Requests sent together. The response says which were kept and which were not.
#[derive(Clone, PartialEq, Default)]
pub struct Bulk {
    /// Each request; `None` for one that is invalid.
    pub requests: Vec<Option<Request>>,
    /// The sender's token, for all of them.
    pub token: Option<Box<str>>,
}

/// Reads one request from its query, or from its form body.
pub fn request(query: &str) -> Result<Request, ParseError> {
    if query.len() > BODY_BYTES_MAX {
        return Err(ParseError::BodyTooLarge);
    }
    let query = Query::of(query);
    let mut request = Request {
        hit: None,
        token: claim(query.get("token_auth"), TOKEN_BYTES_MAX),
        image: query.get("send_image") != Some("0"),
    };
    if query.get("rec") == Some("1") {
        request.hit = Some(Claimed { hit: hit(&query)?, claims: claims(&query) });
    }
    Ok(request)
}

/// Reads `{"requests": ["?idsite=…", …], "token_auth": "…"}`. The log importer sends objects in place of queries, and
/// null for a line of no site.
pub fn bulk(body: &[u8]) -> Result<Bulk, ParseError> {
    let body = json(body, BULK_BYTES_MAX)?;
    let Some(Value::Array(requests)) = body.get("requests") else {
        return Err(ParseError::Missing("requests"));
    };
    if requests.is_empty() || requests.len() > REQUESTS_MAX {
        return Err(ParseError::HitCount(REQUESTS_MAX));
    }
    let mut bulk = Bulk {
        token: claim(body.get("token_auth").and_then(Value::as_str), TOKEN_BYTES_MAX),
        ..Bulk::default()
    };
    for entry in requests {
        bulk.requests.push(match entry {
            Value::String(query) => request(query).ok(),
            Value::Object(parameters) => request(&query_of(parameters)).ok(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
        });
    }
    Ok(bulk)
}

/// A request's parameters as the query that they would be.
fn query_of(parameters: &serde_json::Map<String, Value>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (key, value) in parameters {
        if let Some(text) = scalar(value) {
            query.append_pair(key, &text);
        }
    }
    query.finish()
}

/// A call of Matomo's reporting API that the log importer makes before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiCall {
    /// `SitesManager.getSiteFromId`: the site of this key or host name.
    SiteFromId(String),
    /// `SitesManager.getSitesIdFromSiteUrl`: the sites of this URL.
    SitesOfUrl(String),
    /// `SitesManager.getAllSites`: what a replay of tracking requests asks without `--idsite`.
    AllSites,
    /// `SitesManager.addSite`: what `--add-sites-new-hosts` asks.
    AddSite,
    /// Anything else.
    Unknown,
}

/// Reads a call from its query or form; with the sender's token.
pub fn api_call(query: &str) -> (ApiCall, Option<Box<str>>) {
    let query = Query::of(query);
    let text = |key| query.get(key).unwrap_or_default().to_owned();
    let call = match (query.get("module"), query.get("method")) {
        (Some("API"), Some("SitesManager.getSiteFromId")) => ApiCall::SiteFromId(text("idSite")),
        (Some("API"), Some("SitesManager.getSitesIdFromSiteUrl")) => ApiCall::SitesOfUrl(text("url")),
        (Some("API"), Some("SitesManager.getAllSites")) => ApiCall::AllSites,
        (Some("API"), Some("SitesManager.addSite")) => ApiCall::AddSite,
        _ => ApiCall::Unknown,
    };
    (call, claim(query.get("token_auth"), TOKEN_BYTES_MAX))
}

/// Whether a body is a bulk and not a form.
pub fn is_bulk(body: &[u8]) -> bool {
    body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{')
}

/// A query's parameters; the last of several with the same key wins, as in PHP.
struct Query<'a>(HashMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> Query<'a> {
    fn of(query: &'a str) -> Self {
        let query = query
            .rsplit_once('?')
            .map_or(query, |(before, after)| if before.contains('=') { query } else { after });
        Self(form_urlencoded::parse(query.as_bytes()).take(PAIRS_MAX).collect())
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|v| v.trim()).filter(|v| !v.is_empty())
    }
}

fn hit(query: &Query<'_>) -> Result<Hit, ParseError> {
    let site = query.get("idsite").ok_or(ParseError::Missing("idsite"))?;
    let mut hit = Hit {
        site: parse::site(site).map_err(|_| ParseError::TooLarge("idsite"))?,
        url: parse::url(query.get("url").unwrap_or_default().into())
            .map_err(|_| ParseError::TooLarge("url"))?,
        referrer: referrer(query.get("urlref").unwrap_or_default()),
        width: query.get("res").and_then(width),
        view: ViewId(query.get("pv_id").map_or(Ok(0), view)?),
        ..Hit::default()
    };
    if query.get("ping") == Some("1") {
        // It says that the page is still there; for how long it was looked at, it does not say.
        hit.kind = Kind::Engagement;
        return Ok(hit);
    }
    hit.props = dimensions(query);
    let Some(event) = event(query)? else {
        hit.kind = Kind::Pageview;
        return if hit.url.is_empty() { Err(ParseError::Missing("url")) } else { Ok(hit) };
    };
    hit.kind = Kind::Custom;
    hit.name = name(&event.name).map_err(|_| ParseError::Missing("e_a"))?;
    hit.interactive = event.interactive;
    let own = event.props.iter().filter_map(|(key, parameter)| Some(prop(key, query.get(parameter)?)));
    hit.props = own.chain(hit.props).take(PROPS_MAX).collect();
    if let Some(amount) = query.get("revenue").and_then(decimal4_text).filter(|_| event.worth) {
        // Matomo knows a site's currency, not an order's; the caller fills in the site's own.
        hit.revenue = Some((amount, CompactString::default()));
    }
    Ok(hit)
}

/// Custom dimensions, in the order of their numbers.
fn dimensions(query: &Query<'_>) -> Vec<(CompactString, CompactString)> {
    let number = |key: &str| key.strip_prefix("dimension")?.parse::<u16>().ok();
    let mut found: Vec<_> = query.0.iter().filter_map(|(key, value)| Some((number(key)?, value))).collect();
    found.sort_unstable();
    let kept = found.into_iter().filter(|(_, value)| !value.is_empty()).take(PROPS_MAX);
    kept.map(|(n, value)| prop(&format_compact!("dimension{n}"), value)).collect()
}

struct Event {
    name: CompactString,
    interactive: bool,
    worth: bool,
    /// Keys, and the parameters that hold their values.
    props: &'static [(&'static str, &'static str)],
}

/// What the request is, if it is not a pageview.
fn event(query: &Query<'_>) -> Result<Option<Event>, ParseError> {
    let event = |name: &str, props| Event { name: name.into(), interactive: true, worth: false, props };
    Ok(if query.get("e_c").is_some() || query.get("e_a").is_some() {
        let action = query.get("e_a").ok_or(ParseError::Missing("e_a"))?;
        Some(event(action, &[("category", "e_c"), ("name", "e_n"), ("value", "e_v")]))
    } else if query.get("download").is_some() {
        Some(event("File download", &[("url", "download")]))
    } else if query.get("link").is_some() {
        Some(event("Outbound link", &[("url", "link")]))
    } else if query.get("search").is_some() {
        Some(event(
            "Site search",
            &[("keyword", "search"), ("category", "search_cat"), ("results", "search_count")],
        ))
    } else if query.get("c_n").is_some() {
        let interaction = query.get("c_i").is_some();
        let name = if interaction { "Content interaction" } else { "Content impression" };
        let props = &[("name", "c_n"), ("piece", "c_p"), ("target", "c_t"), ("interaction", "c_i")];
        Some(Event { interactive: interaction, ..event(name, props) })
    } else {
        match query.get("idgoal") {
            Some("0") if query.get("ec_id").is_some() => Some(Event { worth: true, ..event("Order", &[]) }),
            Some("0") => Some(event("Cart update", &[])),
            Some(goal) => Some(Event { worth: true, ..event(&format_compact!("Goal {goal}"), &[]) }),
            None if query.get("ca") == Some("1") => Some(event("Custom action", &[])),
            None => None,
        }
    })
}

fn claims(query: &Query<'_>) -> Claims {
    Claims {
        address: claim(query.get("cip"), ADDRESS_BYTES_MAX),
        // Empty where a log has none: nothing is known of the visitor's browser, and the importer's is not theirs.
        user_agent: query.0.get("ua").filter(|ua| ua.len() <= USER_AGENT_BYTES_MAX).map(|ua| (&**ua).into()),
        time_ms: query.get("cdt").and_then(time_ms),
    }
}

/// `2026-11-21 14:30:00` in UTC, a time with its zone (`2026-11-21T14:30:00.000Z`), or seconds since 1970.
fn time_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1000);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let time: DateTime = text.parse().ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp().as_millisecond())
}

/// Six letters and digits, case-insensitive.
fn view(id: &str) -> Result<u64, ParseError> {
    let invalid = ParseError::Invalid("pv_id");
    if id.len() > parse::ID_CHARS_MAX {
        return Err(invalid);
    }
    id.bytes().try_fold(0u64, |n, b| {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'z' => b - b'a' + 10,
            b'A'..=b'Z' => b - b'A' + 36,
            _ => return Err(invalid),
        };
        Ok(n.wrapping_mul(62).wrapping_add(u64::from(digit)))
    })
}

/// Maximum parameters read from a query.
const PAIRS_MAX: usize = 128;
/// The longest token.
const TOKEN_BYTES_MAX: usize = 256;
