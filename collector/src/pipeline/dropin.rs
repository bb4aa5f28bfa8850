//! The wire formats of Plausible, Umami, Matomo and GoatCounter, so that a site can migrate by changing one
//! host name.
//!
//! What it promises: hits within the native format's limits; what the other product would truncate is
//! truncated, what it would reject is rejected with the field's name. What has no field here (titles, custom
//! variables, user ids, carts) is ignored.
//! What it refuses: to trust an address, user agent or time in a body. These are kept separate as [`Claims`],
//! for callers with a token.
//! Where the proof is: a table per format, the fuzz targets, and the real clients in `tests/`.

pub mod goatcounter;
pub mod matomo;
pub mod plausible;
pub mod umami;

use compact_str::{CompactString, ToCompactString};
use serde_json::Value;

use super::{
    hit::Hit,
    parse::{
        self, NAME_CHARS_MAX, PROP_KEY_CHARS_MAX, PROP_VALUE_CHARS_MAX, PROPS_MAX, ParseError,
        REFERRER_BYTES_MAX, cut,
    },
};

/// Maximum bulk body, for callers with a token.
pub const BULK_BYTES_MAX: usize = 1024 * 1024;

/// A hit, and what its sender claims about the visitor.
#[derive(Clone, PartialEq, Default)]
pub struct Claimed {
    /// The hit.
    pub hit: Hit,
    /// Not to be trusted without a token.
    pub claims: Claims,
}

/// What a body says about a visitor that only the connection can know. Has no `Debug`: it may hold an address.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Claims {
    /// The visitor's address, as text; see [`crate::visitor::client_ip::ClientIp::claimed`].
    pub address: Option<Box<str>>,
    /// The visitor's user agent.
    pub user_agent: Option<Box<str>>,
    /// When it happened, in milliseconds since 1970.
    pub time_ms: Option<i64>,
}

impl Claims {
    /// Whether nothing is claimed, so no token is needed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Hit> for Claimed {
    fn from(hit: Hit) -> Self {
        Self { hit, claims: Claims::default() }
    }
}

/// A claim that is too long is discarded.
fn claim(text: Option<&str>, bytes_max: usize) -> Option<Box<str>> {
    text.filter(|t| !t.is_empty() && t.len() <= bytes_max).map(Into::into)
}

/// An event's name, truncated to the stored length.
fn name(text: &str) -> Result<CompactString, ParseError> {
    parse::name(cut(text.trim(), NAME_CHARS_MAX))
}

/// A referrer, truncated.
fn referrer(text: &str) -> String {
    text[..text.floor_char_boundary(REFERRER_BYTES_MAX)].to_owned()
}

/// An object's scalars as props, truncated to the stored length; surplus, nested or empty ones are left out.
fn props(object: Option<&Value>) -> Vec<(CompactString, CompactString)> {
    let Some(Value::Object(map)) = object else { return Vec::new() };
    map.iter()
        .filter_map(|(key, value)| {
            let value = scalar(value).filter(|v| !v.is_empty())?;
            Some(prop(key, &value))
        })
        .filter(|(key, _)| !key.is_empty())
        .take(PROPS_MAX)
        .collect()
}

fn prop(key: &str, value: &str) -> (CompactString, CompactString) {
    (cut(key.trim(), PROP_KEY_CHARS_MAX).into(), cut(value, PROP_VALUE_CHARS_MAX).into())
}

/// The text form of a string, number or flag.
fn scalar(value: &Value) -> Option<CompactString> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_compact_string()),
        Value::Bool(flag) => Some(flag.to_compact_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// An amount, given as a number or as text.
fn amount(value: &Value) -> Option<sotto_schema::rowbinary::Decimal4> {
    match value {
        Value::String(text) => parse::decimal4_text(text),
        Value::Number(number) => number.as_f64().and_then(parse::decimal4),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The width of `1920x1080` or `1920,1080,1`.
fn width(screen: &str) -> Option<u16> {
    let digits = screen.find(|c: char| !c.is_ascii_digit()).unwrap_or(screen.len());
    screen[..digits].parse::<f64>().ok().map(|w| parse::clamped(w, u16::MAX.into()) as u16).filter(|w| *w > 0)
}

/// A URL from a host and a path; the path may already be a URL.
fn absolute(host: &str, path: &str) -> String {
    if path.contains("://") {
        path.to_owned()
    } else {
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("https://{host}{slash}{path}")
    }
}

/// A body as JSON, within the limit.
fn json(body: &[u8], bytes_max: usize) -> Result<Value, ParseError> {
    if body.len() > bytes_max {
        return Err(ParseError::BodyTooLarge);
    }
    serde_json::from_slice(body).map_err(|_| ParseError::Syntax)
}

/// The longest claimed address: version 6 with brackets, port and zone.
const ADDRESS_BYTES_MAX: usize = 96;
/// The longest claimed user agent.
const USER_AGENT_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests;
