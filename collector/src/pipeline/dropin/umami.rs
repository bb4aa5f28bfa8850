//! Umami's collector: `POST /api/send` and `POST /api/batch`.
//!
//! Source: Umami documentation, "Sending stats"; `src/app/api/send/route.ts`. Session recordings (`/api/record`) are
//! refused.

use compact_str::CompactString;
use serde_json::Value;
use sotto_schema::{event::Kind, rowbinary::Decimal4};

use super::{
    ADDRESS_BYTES_MAX, Claimed, Claims, USER_AGENT_BYTES_MAX, absolute, amount, claim, json, name, props,
    referrer, width,
};
use crate::pipeline::{
    hit::{Hit, Vitals},
    parse::{self, BODY_BYTES_MAX, CLS_MILLI_MAX, HITS_MAX, ParseError, VITAL_MIN, clamped, currency},
};

/// Reads one message. `identify` identifies a visitor; it is accepted but yields no hit.
pub fn send(body: &[u8]) -> Result<Option<Claimed>, ParseError> {
    message(&json(body, BODY_BYTES_MAX)?)
}

/// Reads an array of messages.
pub fn batch(body: &[u8]) -> Result<Vec<Claimed>, ParseError> {
    let Value::Array(messages) = json(body, BODY_BYTES_MAX)? else { return Err(ParseError::Syntax) };
    if messages.is_empty() || messages.len() > HITS_MAX {
        return Err(ParseError::HitCount(HITS_MAX));
    }
    messages.iter().filter_map(|m| message(m).transpose()).collect()
}

fn message(message: &Value) -> Result<Option<Claimed>, ParseError> {
    let payload = message.get("payload").filter(|p| p.is_object()).ok_or(ParseError::Missing("payload"))?;
    let mut hit = hit(payload)?;
    match message.get("type").and_then(Value::as_str) {
        Some("event") => {}
        Some("identify") => return Ok(None),
        Some("performance") => {
            hit.kind = Kind::Vitals;
            hit.vitals = vitals(payload);
            if hit.vitals == Vitals::default() {
                // The script reports before anything was measured.
                return Ok(None);
            }
        }
        Some(_) => return Err(ParseError::Invalid("type")),
        None => return Err(ParseError::Missing("type")),
    }
    let text = |key| payload.get(key).and_then(Value::as_str);
    let claims = Claims {
        address: claim(text("ip"), ADDRESS_BYTES_MAX),
        user_agent: claim(text("userAgent"), USER_AGENT_BYTES_MAX),
        time_ms: payload.get("timestamp").and_then(Value::as_f64).map(|s| (s * 1000.0) as i64),
    };
    Ok(Some(Claimed { hit, claims }))
}

fn hit(payload: &Value) -> Result<Hit, ParseError> {
    let text = |key| payload.get(key).and_then(Value::as_str).filter(|t: &&str| !t.is_empty());
    let site = ["website", "link", "pixel"].into_iter().filter_map(text).collect::<Vec<_>>();
    let [site] = site[..] else { return Err(ParseError::Missing("website")) };
    let host = text("hostname").unwrap_or_default();
    let url = absolute(host, text("url").unwrap_or("/"));
    let mut hit = Hit {
        site: parse::site(site).map_err(|_| ParseError::TooLarge("website"))?,
        kind: Kind::Pageview,
        url: parse::url(url.into()).map_err(|_| ParseError::TooLarge("url"))?,
        width: text("screen").and_then(width),
        ..Hit::default()
    };
    if let Some(from) = text("referrer") {
        hit.referrer = referrer(&absolute(host, from));
    }
    let is_page = text("website").is_some();
    if let Some(event) = text("name").filter(|_| is_page) {
        hit.kind = Kind::Custom;
        hit.name = name(event).map_err(|_| ParseError::Missing("name"))?;
        hit.interactive = true;
        hit.revenue = payload.get("data").and_then(revenue);
        hit.props = props(payload.get("data"));
        if hit.revenue.is_some() {
            hit.props.retain(|(key, _)| !matches!(key.as_str(), "revenue" | "currency"));
        }
    }
    Ok(hit)
}

/// `umami.track('order', { revenue: 49.9, currency: 'EUR' })`; without a currency it is a prop like any other.
fn revenue(data: &Value) -> Option<(Decimal4, CompactString)> {
    Some((amount(data.get("revenue")?)?, currency(data.get("currency")?.as_str()?)?))
}

fn vitals(payload: &Value) -> Vitals {
    let number = |key| payload.get(key).and_then(Value::as_f64);
    let ms = |key| clamped(number(key).unwrap_or_default(), VITAL_MS_MAX);
    let lcp_ms = ms("lcp");
    // A page that was painted has a shift, be it none; before, 0 stands for nothing.
    let milli = |v: f64| clamped(v * 1000.0, CLS_MILLI_MAX).max(if lcp_ms > 0 { VITAL_MIN } else { 0 });
    Vitals {
        lcp_ms,
        fcp_ms: ms("fcp"),
        inp_ms: ms("inp"),
        ttfb_ms: ms("ttfb"),
        cls_milli: number("cls").map_or(0, milli),
    }
}

/// Umami rejects higher values.
const VITAL_MS_MAX: u32 = 60_000;
