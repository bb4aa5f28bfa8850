//! GoatCounter's endpoints: `GET /count` of its script, `POST /api/v0/count` of its API.
//!
//! Source: GoatCounter `handlers/count.go`, `handlers/api.go`, `public/count.js`. GoatCounter uses one host
//! per site and sends paths without hosts, so the caller determines site and host (from the request's path,
//! token or `Referer`).

use jiff::Timestamp;
use serde_json::Value;
use sotto_schema::event::Kind;

use super::{
    ADDRESS_BYTES_MAX, BULK_BYTES_MAX, Claimed, Claims, USER_AGENT_BYTES_MAX, absolute, claim, json, name,
    referrer, width,
};
use crate::pipeline::{
    hit::Hit,
    parse::{self, ParseError, QUERY_BYTES_MAX},
};

/// The most hits in a body of the API.
pub const HITS_MAX: usize = 500;

/// The site that a request is for.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Its key.
    pub key: &'a str,
    /// The host of its pages.
    pub host: &'a str,
    /// The page that a request of the script came from, as far as the browser tells; empty in the API.
    pub page: &'a str,
}

/// A parsed API body.
#[derive(Clone, PartialEq, Default)]
pub struct Batch {
    /// The hits, in order.
    pub hits: Vec<Claimed>,
    /// Which are invalid, by their index, and why.
    pub invalid: Vec<(usize, ParseError)>,
    /// The caller excludes hits from its own addresses (`"filter": ["ip"]`); answered with their indices.
    pub filter: bool,
}

/// Reads the query of the script.
pub fn count(query: &str, site: Site<'_>) -> Result<Claimed, ParseError> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(ParseError::BodyTooLarge);
    }
    let mut raw = Raw::default();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = value.into_owned();
        match &*key {
            "p" => raw.path = value,
            "r" => raw.referrer = value,
            "q" => raw.query = value,
            "s" => raw.screen = value,
            "e" => raw.event = !matches!(value.as_str(), "" | "0" | "false"),
            "b" => raw.bot = value.parse().map_err(|_| ParseError::Invalid("b"))?,
            _ => {}
        }
    }
    // The script sends 150 and above; lower values are the server's own findings.
    if (1..BOT_MIN).contains(&raw.bot) || raw.bot > BOT_MAX {
        return Err(ParseError::Invalid("b"));
    }
    raw.into_hit(site).map(Into::into)
}

/// Reads a body of the API.
pub fn batch(body: &[u8], site: Site<'_>) -> Result<Batch, ParseError> {
    let body = json(body, BULK_BYTES_MAX)?;
    let Some(Value::Array(hits)) = body.get("hits") else { return Err(ParseError::Missing("hits")) };
    if hits.is_empty() || hits.len() > HITS_MAX {
        return Err(ParseError::HitCount(HITS_MAX));
    }
    let mut batch = Batch::default();
    for (n, hit) in hits.iter().enumerate() {
        match api_hit(hit, site) {
            Ok(hit) => batch.hits.push(hit),
            Err(error) => batch.invalid.push((n, error)),
        }
    }
    batch.filter = body.get("filter").and_then(Value::as_array).is_some_and(|f| f.iter().any(|v| v == "ip"));
    Ok(batch)
}

fn api_hit(hit: &Value, site: Site<'_>) -> Result<Claimed, ParseError> {
    let text = |key| hit.get(key).and_then(Value::as_str);
    let owned = |key| text(key).unwrap_or_default().to_owned();
    let screen = match hit.get("size") {
        Some(Value::Array(size)) => size.first().and_then(super::scalar).unwrap_or_default().into(),
        Some(other) => super::scalar(other).unwrap_or_default().into(),
        None => String::new(),
    };
    let raw = Raw {
        path: owned("path"),
        referrer: owned("ref"),
        query: owned("query"),
        screen,
        event: hit.get("event").is_some_and(|e| e == &Value::Bool(true) || e == 1),
        bot: hit.get("bot").and_then(Value::as_u64).unwrap_or_default(),
    };
    let claims = Claims {
        address: claim(text("ip"), ADDRESS_BYTES_MAX),
        user_agent: claim(text("user_agent"), USER_AGENT_BYTES_MAX),
        time_ms: text("created_at").and_then(|t| t.parse::<Timestamp>().ok()).map(Timestamp::as_millisecond),
    };
    Ok(Claimed { hit: raw.into_hit(site)?, claims })
}

/// What the script found that tells of a program.
const BOT_MIN: u64 = 150;
const BOT_MAX: u64 = 153;

#[derive(Default)]
struct Raw {
    path: String,
    referrer: String,
    query: String,
    screen: String,
    event: bool,
    bot: u64,
}

impl Raw {
    fn into_hit(self, site: Site<'_>) -> Result<Hit, ParseError> {
        let path = self.path.trim();
        if path.is_empty() {
            return Err(ParseError::Missing("p"));
        }
        let mut hit = Hit {
            site: parse::site(site.key)?,
            kind: if self.event { Kind::Custom } else { Kind::Pageview },
            automated: self.bot != 0,
            width: width(&self.screen),
            referrer: referrer(&self.referrer),
            ..Hit::default()
        };
        if self.event {
            hit.name = name(path.trim_start_matches('/')).map_err(|_| ParseError::Missing("p"))?;
            hit.interactive = true;
            // An event has a name in place of a path. Browsers tell other hosts the page's origin only, if not told
            // otherwise (Referrer-Policy): it is counted on the first page then.
            hit.url = if site.page.is_empty() { absolute(site.host, "/") } else { referrer(site.page) };
        } else {
            let url = absolute(site.host, path);
            let query = self.query.trim_start_matches('?');
            let join = if url.contains('?') { "&" } else { "?" };
            let url = if query.is_empty() { url } else { format!("{url}{join}{query}") };
            hit.url = parse::url(url.into()).map_err(|_| ParseError::TooLarge("p"))?;
        }
        Ok(hit)
    }
}
