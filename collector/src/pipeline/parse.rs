//! The native wire format, version 1: bytes in, bounded hits out.
//!
//! What it promises: every accepted hit is within the limits below; unknown keys are ignored, so that old collectors
//! understand newer scripts; no input panics.
//! What it refuses: a malformed hit; the others in its body are still read. Values that a browser measures
//! (times, depths, positions) are clamped instead, since they are wrong only by degree.
//! Where the proof is: `collector/tracker/wire/vectors.json` (shared with the script's tests), the limits' tests, the
//! fuzz target.

mod number;
mod text;
mod wire;

use std::borrow::Cow;

use compact_str::CompactString;
use sotto_schema::{
    event::Kind,
    id::{ReturningId, ViewId},
    outcome::DropReason,
};

use super::hit::{Click, Decision, Hit, Receipt, Vitals};
pub(crate) use number::{clamped, decimal4, decimal4_text};
pub(crate) use text::cut;
use text::{Text, chars_within};
pub(crate) use wire::currency;
use wire::{Wire, WireKind};

/// The longest body.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The most hits in a body.
pub const HITS_MAX: usize = 100;
/// The most props of an event.
pub const PROPS_MAX: usize = 20;
/// The longest key of a prop.
pub const PROP_KEY_CHARS_MAX: usize = 64;
/// The longest value of a prop.
pub const PROP_VALUE_CHARS_MAX: usize = 200;
/// The longest name of an event.
pub const NAME_CHARS_MAX: usize = 64;
/// The longest page URL.
pub const URL_BYTES_MAX: usize = 2048;
/// The longest referrer.
pub const REFERRER_BYTES_MAX: usize = 2048;
/// The most clicks in a hit.
pub const CLICKS_MAX: usize = 50;
/// The longest structural path of a click.
pub const CLICK_PATH_CHARS_MAX: usize = 256;
/// Maximum age of a late hit.
pub const AGE_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// The highest counter within a page view.
pub const SEQ_MAX: u64 = 100_000;
/// Maximum length of a page view or visitor id. Ids longer than 12 digits are truncated to their low 64 bits.
pub const ID_CHARS_MAX: usize = 16;
/// Length of the id that a browser keeps after a consent to analytics.
pub const VISITOR_ID_CHARS: usize = 12;
/// The longest site key.
pub const SITE_CHARS_MAX: usize = 64;
/// The longest host name that a drop-in format names a site by.
pub const DOMAIN_CHARS_MAX: usize = 253;
/// The longest query of the pixel.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;
/// Maximum visible time per report; more is clamped.
pub const ENGAGED_MS_MAX: u32 = 30 * 60 * 1000;
/// Maximum web vital; more is clamped.
pub const VITAL_MS_MAX: u32 = 10 * 60 * 1000;
/// Maximum layout shift; more is clamped.
pub const CLS_MILLI_MAX: u32 = 100_000;
/// The least value that is stored of a web vital that was measured: 0 stands for not measured, as where a browser does not know it.
pub const VITAL_MIN: u32 = 1;
/// Maximum click position, in thousandths of the element and of the page's width and in pixels of the page's
/// height; more is clamped.
pub const CLICK_AT_MAX: [u32; 4] = [1000, 1000, 1000, 1_000_000];
/// Maximum length of a decision's source.
pub const DECISION_SOURCE_CHARS_MAX: usize = 64;
/// Maximum unmapped categories per decision.
pub const UNMAPPED_MAX: usize = 20;
/// Maximum length of an unmapped category.
pub const UNMAPPED_CHARS_MAX: usize = 64;
/// The length of a receipt's number.
pub const RECEIPT_ID_CHARS: usize = 16;
/// The longest version of a policy.
pub const POLICY_CHARS_MAX: usize = 32;

/// Why a body or a hit was rejected. Names fields, never values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The body or query is longer than its limit.
    #[error("body is too long")]
    BodyTooLarge,
    /// It is not JSON, or a field has the wrong type.
    #[error("body is not of the format")]
    Syntax,
    /// There are no hits, or too many.
    #[error("body has no hits or more than {0}")]
    HitCount(usize),
    /// A required field is missing or empty.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A field is longer or higher than its limit.
    #[error("field {0} is too large")]
    TooLarge(&'static str),
    /// A field has a value outside its allowed set.
    #[error("field {0} is invalid")]
    Invalid(&'static str),
    /// It is older than a late hit may be.
    #[error("hit is too old")]
    TooOld,
}

impl ParseError {
    /// The drop reason it counts as.
    pub const fn reason(self) -> DropReason {
        match self {
            Self::BodyTooLarge => DropReason::BodyTooLarge,
            Self::TooOld => DropReason::TooOld,
            Self::Syntax | Self::HitCount(_) | Self::Missing(_) | Self::TooLarge(_) | Self::Invalid(_) => {
                DropReason::InvalidPayload
            }
        }
    }
}

/// A rejected hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The site that it names; empty if that could not be read.
    pub site: CompactString,
    /// Why.
    pub error: ParseError,
}

impl From<ParseError> for Refused {
    fn from(error: ParseError) -> Self {
        Self { site: CompactString::default(), error }
    }
}

/// Reads one JSON object or an array of them, each separately.
///
/// # Errors
/// When the body as a whole is invalid: not JSON, too long, or no or too many hits.
pub fn hits(body: &[u8]) -> Result<Vec<Result<Hit, Refused>>, ParseError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(ParseError::BodyTooLarge);
    }
    match body.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'[') => {
            let wires = serde_json::from_slice::<wire::Batch<'_>>(body).map_err(|_| ParseError::Syntax)?.0;
            if wires.is_empty() || wires.len() > HITS_MAX {
                return Err(ParseError::HitCount(HITS_MAX));
            }
            Ok(wires.into_iter().map(|wire| one(wire.get().as_bytes())).collect())
        }
        Some(_) => Ok(vec![one(body)]),
        None => Err(ParseError::Syntax),
    }
}

fn one(object: &[u8]) -> Result<Hit, Refused> {
    let wire = serde_json::from_slice::<Wire<'_>>(object).map_err(|_| Refused::from(ParseError::Syntax))?;
    let site = site_key(&wire.s.0)?;
    hit(site.clone(), wire).map_err(|error| Refused { site, error })
}

/// Reads the pixel's query (`s`, `u`, `r`, `c`) as a pageview without page-view id. Without `u` the URL is
/// empty: the caller takes it from the request's `Referer`.
pub fn pixel(query: &str) -> Result<Hit, ParseError> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(ParseError::BodyTooLarge);
    }
    let mut hit = Hit { kind: Kind::Pageview, ..Hit::default() };
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "s" => hit.site = site_key(&value)?,
            "u" => hit.url = url(value)?,
            "r" => hit.referrer = referrer(value)?,
            "c" => hit.consent = Some(consent(value.parse().map_err(|_| ParseError::Invalid("c"))?)?),
            _ => {}
        }
    }
    if hit.site.is_empty() { Err(ParseError::Missing("s")) } else { Ok(hit) }
}

fn hit(site: CompactString, wire: Wire<'_>) -> Result<Hit, ParseError> {
    if wire.v != 1 {
        return Err(ParseError::Invalid("v"));
    }
    if wire.a > AGE_MS_MAX {
        return Err(ParseError::TooOld);
    }
    if wire.q > SEQ_MAX {
        return Err(ParseError::TooLarge("q"));
    }
    let view = match (&wire.i, wire.k) {
        (Some(id), _) => id_number(&id.0, "i")?,
        (None, WireKind::O) => 0,
        (None, _) => return Err(ParseError::Missing("i")),
    };
    let mut hit = Hit {
        site,
        kind: wire.k.into(),
        view: ViewId(view),
        seq: wire.q as u32,
        numbered: view != 0,
        consent: wire.c.map(consent).transpose()?,
        age_ms: wire.a as u32,
        returning: ReturningId(wire.y.map_or(Ok(0), |id| id_number(&id.0, "y"))?),
        automated: wire.b.0,
        width: wire.w.map(|w| w.0.min(u32::from(u16::MAX)) as u16),
        ..Hit::default()
    };
    hit.url = wire.u.map_or(Ok(String::new()), |u| url(u.0))?;
    hit.referrer = wire.r.map_or(Ok(String::new()), |r| referrer(r.0))?;
    match wire.k {
        WireKind::P if hit.url.is_empty() => return Err(ParseError::Missing("u")),
        WireKind::P => {}
        WireKind::O if hit.consent.is_none() => return Err(ParseError::Missing("c")),
        WireKind::O => hit.decision = Some(Box::new(decision(wire.src, wire.un, wire.rc)?)),
        WireKind::E => {
            hit.engaged_ms = wire.e.ok_or(ParseError::Missing("e"))?.0.min(ENGAGED_MS_MAX);
            hit.scroll = wire.d.ok_or(ParseError::Missing("d"))?.0.min(100) as u8;
        }
        WireKind::X => {
            hit.name = name(&wire.n.ok_or(ParseError::Missing("n"))?.0)?;
            hit.interactive = true;
            hit.props = wire.p.into_pairs()?;
            hit.revenue = wire.revenue.map(wire::Revenue::into_amount).transpose()?;
        }
        WireKind::W => hit.vitals = vitals(&wire.m.ok_or(ParseError::Missing("m"))?)?,
        WireKind::C => hit.clicks = clicks(wire.h)?,
    }
    Ok(hit)
}

fn vitals(m: &wire::WireVitals) -> Result<Vitals, ParseError> {
    if [m.lcp, m.cls, m.inp, m.fcp, m.ttfb].iter().all(Option::is_none) {
        return Err(ParseError::Missing("m"));
    }
    let ms = |v: Option<f64>| v.map_or(0, |v| number::clamped(v, VITAL_MS_MAX).max(VITAL_MIN));
    let milli = |v: f64| number::clamped(v * 1000.0, CLS_MILLI_MAX).max(VITAL_MIN);
    Ok(Vitals {
        lcp_ms: ms(m.lcp),
        fcp_ms: ms(m.fcp),
        inp_ms: ms(m.inp),
        ttfb_ms: ms(m.ttfb),
        cls_milli: m.cls.map_or(0, milli),
    })
}

fn decision(
    source: Option<Text<'_>>,
    unmapped: Vec<Text<'_>>,
    receipt: Option<wire::WireReceipt<'_>>,
) -> Result<Decision, ParseError> {
    let source = source.map_or(Cow::Borrowed(""), |s| s.0);
    if source.chars().count() > DECISION_SOURCE_CHARS_MAX {
        return Err(ParseError::TooLarge("src"));
    }
    if unmapped.len() > UNMAPPED_MAX || !unmapped.iter().all(|u| chars_within(&u.0, UNMAPPED_CHARS_MAX)) {
        return Err(ParseError::TooLarge("un"));
    }
    let unmapped = unmapped.into_iter().map(|u| u.0.into()).collect();
    Ok(Decision { source: source.into(), unmapped, receipt: receipt.map(receipt_of).transpose()? })
}

fn receipt_of(wire: wire::WireReceipt<'_>) -> Result<Receipt, ParseError> {
    let id = &wire.i.0;
    let valid = id.len() == RECEIPT_ID_CHARS
        && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9'))
        && !wire.v.0.is_empty()
        && chars_within(&wire.v.0, POLICY_CHARS_MAX)
        && wire.l.0.len() == 2
        && wire.l.0.bytes().all(|b| b.is_ascii_lowercase());
    let receipt =
        Receipt { id: wire.i.0.into(), policy: wire.v.0.into(), language: wire.l.0.into(), gpc: wire.g.0 };
    if valid { Ok(receipt) } else { Err(ParseError::Invalid("rc")) }
}

fn clicks(wire: Vec<wire::WireClick<'_>>) -> Result<Vec<Click>, ParseError> {
    if wire.is_empty() {
        return Err(ParseError::Missing("h"));
    }
    if wire.len() > CLICKS_MAX {
        return Err(ParseError::TooLarge("h"));
    }
    wire.into_iter()
        .map(|wire::WireClick(path, x, y, page_x, page_y)| {
            if !chars_within(&path.0, CLICK_PATH_CHARS_MAX) {
                return Err(ParseError::TooLarge("h"));
            }
            let mut at = [x.0, y.0, page_x.0, page_y.0];
            at.iter_mut().zip(CLICK_AT_MAX).for_each(|(n, max)| *n = (*n).min(max));
            Ok(Click { path: path.0.into(), at })
        })
        .collect()
}

/// A site key of the native format.
fn site_key(text: &str) -> Result<CompactString, ParseError> {
    match text {
        "" => Err(ParseError::Missing("s")),
        _ if text.len() > SITE_CHARS_MAX => Err(ParseError::TooLarge("s")),
        _ if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) => {
            Err(ParseError::Invalid("s"))
        }
        _ => Ok(text.into()),
    }
}

/// A site as a drop-in format names it: a key, a number or a host name.
pub(crate) fn site(text: &str) -> Result<CompactString, ParseError> {
    match text {
        "" => Err(ParseError::Missing("s")),
        _ if !chars_within(text, DOMAIN_CHARS_MAX) => Err(ParseError::TooLarge("s")),
        _ => Ok(text.into()),
    }
}

/// The name of an event.
pub(crate) fn name(text: &str) -> Result<CompactString, ParseError> {
    match text.trim() {
        "" => Err(ParseError::Missing("n")),
        name if !chars_within(name, NAME_CHARS_MAX) => Err(ParseError::TooLarge("n")),
        name => Ok(name.into()),
    }
}

pub(crate) fn url(text: Cow<'_, str>) -> Result<String, ParseError> {
    if text.len() > URL_BYTES_MAX { Err(ParseError::TooLarge("u")) } else { Ok(text.into_owned()) }
}

pub(crate) fn referrer(text: Cow<'_, str>) -> Result<String, ParseError> {
    if text.len() > REFERRER_BYTES_MAX { Err(ParseError::TooLarge("r")) } else { Ok(text.into_owned()) }
}

/// A mask of the four categories. The essential one cannot be refused, so its bit is always set.
fn consent(mask: u64) -> Result<u8, ParseError> {
    u8::try_from(mask).ok().filter(|m| *m <= 15 && *m % 2 == 1).ok_or(ParseError::Invalid("c"))
}

/// The numeric value of the id that a browser keeps after consent to analytics: exactly [`VISITOR_ID_CHARS`]
/// characters of `[0-9a-z]`, as the script makes it. Shorter ones could be guessed and prove nothing.
pub fn returning_id(id: &str) -> Option<ReturningId> {
    (id.len() == VISITOR_ID_CHARS).then(|| id_number(id, "y").ok().map(ReturningId))?
}

fn id_number(id: &str, field: &'static str) -> Result<u64, ParseError> {
    if id.is_empty() || id.len() > ID_CHARS_MAX {
        return Err(ParseError::Invalid(field));
    }
    let number = id.bytes().try_fold(0u64, |n, b| {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'z' => b - b'a' + 10,
            _ => return None,
        };
        Some(n.wrapping_mul(36).wrapping_add(u64::from(digit)))
    });
    // 0 stands for "none".
    number.map(|n| n.max(1)).ok_or(ParseError::Invalid(field))
}

#[cfg(test)]
mod tests;
