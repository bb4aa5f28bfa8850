//! Plausible's events API: `POST /api/event`, as sent by its script, npm packages and servers.
//!
//! Source: Plausible documentation, "Events API reference"; `lib/plausible/ingestion/request.ex`.

use serde_json::{Map, Value};
use sotto_schema::event::Kind;

use super::{Claimed, amount, json, name, props, referrer, scalar, width};
use crate::pipeline::{
    hit::Hit,
    parse::{self, BODY_BYTES_MAX, ENGAGED_MS_MAX, ParseError, clamped, currency},
};

/// The most sites that one event may name.
pub const SITES_MAX: usize = 10;

/// Reads one event; one hit for each site that it names.
pub fn event(body: &[u8]) -> Result<Vec<Claimed>, ParseError> {
    let Value::Object(event) = json(body, BODY_BYTES_MAX)? else { return Err(ParseError::Syntax) };
    let hit = hit(&event)?;
    let sites = text(&event, &["d", "domain"]).ok_or(ParseError::Missing("domain"))?;
    let sites: Vec<_> = sites.split(',').map(str::trim).filter(|s| !s.is_empty()).collect();
    if sites.is_empty() {
        return Err(ParseError::Missing("domain"));
    }
    if sites.len() > SITES_MAX {
        return Err(ParseError::TooLarge("domain"));
    }
    sites.into_iter().map(|site| Ok(Hit { site: parse::site(site)?, ..hit.clone() }.into())).collect()
}

fn hit(event: &Map<String, Value>) -> Result<Hit, ParseError> {
    let event_name = text(event, &["n", "name"]).ok_or(ParseError::Missing("name"))?;
    let url = text(event, &["u", "url"]).ok_or(ParseError::Missing("url"))?;
    let by_hash = matches!(value(event, &["h", "hashMode"]), Some(Value::Bool(true)))
        || number(event, &["h", "hashMode"]) == 1.0;
    let url = if by_hash { url } else { url.split_once('#').map_or(url, |(url, _)| url) };
    let mut hit = Hit {
        url: parse::url(url.into()).map_err(|_| ParseError::TooLarge("url"))?,
        referrer: referrer(text(event, &["r", "referrer"]).unwrap_or_default()),
        // Older scripts say it; the newer ones do not.
        width: value(event, &["w", "screen_width"]).and_then(scalar).as_deref().and_then(width),
        ..Hit::default()
    };
    match event_name {
        "pageview" => {
            hit.kind = Kind::Pageview;
            hit.props = event_props(event);
        }
        "engagement" => {
            hit.kind = Kind::Engagement;
            hit.engaged_ms = clamped(number(event, &["e"]), ENGAGED_MS_MAX);
            hit.scroll = clamped(number(event, &["sd"]), 100) as u8;
        }
        other => {
            hit.kind = Kind::Custom;
            hit.name = name(other).map_err(|_| ParseError::Missing("name"))?;
            hit.interactive = !matches!(value(event, &["i", "interactive"]), Some(Value::Bool(false)));
            hit.props = event_props(event);
            hit.revenue = revenue(event);
        }
    }
    Ok(hit)
}

/// Props come as an object or as a JSON string.
fn event_props(event: &Map<String, Value>) -> Vec<(compact_str::CompactString, compact_str::CompactString)> {
    match value(event, &["p", "props", "m", "meta"]) {
        Some(Value::String(text)) => props(serde_json::from_str(text).ok().as_ref()),
        other => props(other),
    }
}

/// An unparsable revenue is left out; the event stays.
fn revenue(
    event: &Map<String, Value>,
) -> Option<(sotto_schema::rowbinary::Decimal4, compact_str::CompactString)> {
    let sent = value(event, &["$", "revenue"])?;
    let revenue: Value = match sent.as_str() {
        Some(text) => serde_json::from_str(text).ok()?,
        None => sent.clone(),
    };
    let code = revenue.get("currency")?.as_str()?;
    Some((amount(revenue.get("amount")?)?, currency(code)?))
}

fn value<'a>(event: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| event.get(*key)).filter(|v| !v.is_null())
}

fn text<'a>(event: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    value(event, keys)?.as_str().map(str::trim).filter(|t| !t.is_empty())
}

fn number(event: &Map<String, Value>, keys: &[&str]) -> f64 {
    value(event, keys).and_then(Value::as_f64).unwrap_or_default()
}
