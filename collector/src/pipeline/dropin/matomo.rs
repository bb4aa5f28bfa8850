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
    referrer, width,
};
use crate::pipeline::{
    hit::Hit,
    parse::{self, BODY_BYTES_MAX, ParseError, decimal4_text},
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

/// Requests sent together. The response says how many were parsed and how many were not.
#[derive(Clone, PartialEq, Default)]
pub struct Bulk {
    /// Those parsed.
    pub requests: Vec<Request>,
    /// Number of invalid ones.
    pub invalid: usize,
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

/// Reads `{"requests": ["?idsite=…", …], "token_auth": "…"}`.
pub fn bulk(body: &[u8]) -> Result<Bulk, ParseError> {
    let body = json(body, BULK_BYTES_MAX)?;
    let Some(Value::Array(requests)) = body.get("requests") else {
        return Err(ParseError::Missing("requests"));
    };
    if requests.is_empty() || requests.len() > REQUESTS_MAX {
        return Err(ParseError::HitCount);
    }
    let mut bulk = Bulk {
        token: claim(body.get("token_auth").and_then(Value::as_str), TOKEN_BYTES_MAX),
        ..Bulk::default()
    };
    for entry in requests {
        match entry.as_str().map(request) {
            Some(Ok(request)) => bulk.requests.push(request),
            Some(Err(_)) | None => bulk.invalid += 1,
        }
    }
    Ok(bulk)
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
        hit.kind = Kind::Engagement;
        hit.engaged_ms = HEARTBEAT_MS;
        return Ok(hit);
    }
    let Some(event) = event(query)? else {
        hit.kind = Kind::Pageview;
        return if hit.url.is_empty() { Err(ParseError::Missing("url")) } else { Ok(hit) };
    };
    hit.kind = Kind::Custom;
    hit.name = name(&event.name).map_err(|_| ParseError::Missing("e_a"))?;
    hit.interactive = event.interactive;
    hit.props =
        event.props.iter().filter_map(|(key, parameter)| Some(prop(key, query.get(parameter)?))).collect();
    if let Some(amount) = query.get("revenue").and_then(decimal4_text).filter(|_| event.worth) {
        // Matomo knows a site's currency, not an order's; the caller fills in the site's own.
        hit.revenue = Some((amount, CompactString::default()));
    }
    Ok(hit)
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
        user_agent: claim(query.get("ua"), USER_AGENT_BYTES_MAX),
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

/// Minimum time a page was visible when its heartbeat arrives: the tracker's default.
const HEARTBEAT_MS: u32 = 15_000;
/// Maximum parameters read from a query.
const PAIRS_MAX: usize = 128;
/// The longest token.
const TOKEN_BYTES_MAX: usize = 256;
