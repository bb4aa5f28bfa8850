//! What may be stored of a URL, a name or a prop: pages without queries, text without personal data.
//!
//! What it promises: no e-mail address, phone number, token or long id survives in a path, a campaign tag, an
//! event's name or a prop; each is replaced by a mask that says what it was, so that reports still group and the site
//! sees what it should not send. Work is linear in the length of the text.
//! What it refuses: nothing. Of a prop that names a person or holds an address or a number to reach one, no part is
//! kept; of one with a long id (a link to a document, say), what stands around the id is.
//! Where the proof is: tables of what is masked and of what must stay, and properties on generated addresses and
//! numbers put into generated text.

mod mask;

use compact_str::CompactString;
use memchr::memchr2;
use percent_encoding::percent_decode_str;

use super::{
    parse::{NAME_CHARS_MAX, PROP_KEY_CHARS_MAX, PROP_VALUE_CHARS_MAX, cut},
    referrer::click_ids::{self, CLICK_IDS},
};
pub use mask::{EMAIL, ID, IP, MASKED, PHONE, TOKEN};

/// The longest stored path.
pub const PATH_CHARS_MAX: usize = 1024;
/// The longest stored campaign tag.
pub const TAG_CHARS_MAX: usize = 128;
/// The longest stored host name (RFC 1035, section 2.3.4).
pub const HOST_BYTES_MAX: usize = 253;
/// Maximum parameters read from a query.
pub const QUERY_PAIRS_MAX: usize = 64;

/// A page's URL, reduced to what may be stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Host in lower case, without port.
    pub hostname: CompactString,
    /// Path, decoded, without query; `/` at least.
    pub path: CompactString,
    /// Campaign tags of the query.
    pub tags: Tags,
}

/// The query parameters that say where a visit came from; all others are discarded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags {
    /// `utm_source`, or `source`, `ref`, `via` where that is missing. Matomo's tags (`mtm_source`) stand for the same.
    pub source: CompactString,
    /// `utm_medium`.
    pub medium: CompactString,
    /// `utm_campaign`.
    pub campaign: CompactString,
    /// `utm_content`.
    pub content: CompactString,
    /// `utm_term`.
    pub term: CompactString,
    /// Name of the click identifier that was present, for example `gclid`; of several, the first in
    /// `data/click_ids.toml`. Its value is not read.
    pub click_id: &'static str,
}

/// Reduces an absolute `http` or `https` URL; `None` for anything else.
pub fn page(url: &str) -> Option<Page> {
    let parts = split(url)?;
    let mut page =
        Page { hostname: hostname(parts.authority)?, path: path(parts.path), tags: tags(parts.query) };
    if !parts.route.is_empty() {
        page.path =
            cut(&compact_str::format_compact!("{}#{}", page.path, path(parts.route)), PATH_CHARS_MAX).into();
    }
    Some(page)
}

/// Host and path of a referrer, reduced like a page's; `None` if it is invalid. Apps count as referrers:
/// `android-app://com.example/` has the host `com.example`.
pub fn referrer(url: &str) -> Option<(CompactString, CompactString)> {
    let parts = match url.trim().strip_prefix("android-app://") {
        Some(rest) => split_authority(rest),
        None => split(url)?,
    };
    Some((hostname(parts.authority)?, path(parts.path)))
}

/// The campaign tags of a query, with or without the leading `?`.
pub fn tags(query: &str) -> Tags {
    let mut tags = Tags::default();
    let (mut source, mut reference, mut via) = Default::default();
    let mut click_id = None;
    let query = query.strip_prefix('?').unwrap_or(query);
    for (key, value) in form_urlencoded::parse(query.as_bytes()).take(QUERY_PAIRS_MAX) {
        let key =
            if key.bytes().any(|b| b.is_ascii_uppercase()) { key.to_ascii_lowercase().into() } else { key };
        let slot = match &*key {
            "utm_source" | "mtm_source" | "pk_source" => &mut tags.source,
            "utm_medium" | "mtm_medium" | "pk_medium" => &mut tags.medium,
            "utm_campaign" | "mtm_campaign" | "pk_campaign" => &mut tags.campaign,
            "utm_content" | "mtm_content" | "pk_content" => &mut tags.content,
            "utm_term" | "mtm_keyword" | "mtm_kwd" | "pk_keyword" | "pk_kwd" => &mut tags.term,
            "source" => &mut source,
            "ref" => &mut reference,
            "via" => &mut via,
            other => {
                if let Some(found) = click_ids::position(other) {
                    click_id = Some(click_id.map_or(found, |known: usize| known.min(found)));
                }
                continue;
            }
        };
        if slot.is_empty() {
            *slot = tag(&value);
        }
    }
    for candidate in [source, reference, via] {
        if tags.source.is_empty() {
            tags.source = candidate;
        }
    }
    tags.click_id = click_id.and_then(|at| CLICK_IDS.get(at)).map_or("", |id| &id.name);
    tags
}

/// The name of an event, with personal data masked.
pub fn event_name(name: &str) -> CompactString {
    cut(&mask::masked(name.trim()), NAME_CHARS_MAX).into()
}

/// A prop as it may be kept.
pub fn prop(key: &str, value: &str) -> (CompactString, CompactString) {
    let (key, value) = (key.trim(), value.trim());
    let kept =
        if PERSONAL_KEYS.iter().any(|name| is_key(key, name)) { MASKED.into() } else { prop_value(value) };
    (cut(&mask::masked(key), PROP_KEY_CHARS_MAX).into(), kept)
}

/// Beside an address or a number in free text there may be a name, so nothing of it is left; what is around a long id
/// in a link says which site and which kind of thing. Encoding hides nothing, but what needs no mask is kept as sent.
fn prop_value(value: &str) -> CompactString {
    let decoded = percent_decode_str(value).decode_utf8_lossy();
    let Some(text) = [&*decoded, value].into_iter().find(|text| mask::found(text).is_some()) else {
        return value.into();
    };
    let whole = if text.contains(char::is_whitespace) { mask::found(text) } else { None };
    match mask::person(text).or_else(|| mask::person(value)).or(whole) {
        Some(mask) => mask.into(),
        None => cut(&mask::masked(text), PROP_VALUE_CHARS_MAX).into(),
    }
}

/// Whether `key` equals `name`, ignoring case, `_`, `-`, `.` and spaces.
fn is_key(key: &str, name: &str) -> bool {
    let mut letters = key.bytes().filter(|b| !b"_-. ".contains(b)).map(|b| b.to_ascii_lowercase());
    name.bytes().all(|b| letters.next() == Some(b)) && letters.next().is_none()
}

struct Parts<'a> {
    authority: &'a str,
    path: &'a str,
    query: &'a str,
    /// The fragment, if a single-page application routes by it (`#/page`).
    route: &'a str,
}

fn split(url: &str) -> Option<Parts<'_>> {
    let url = url.trim();
    let (scheme, rest) = url.split_once("://")?;
    let web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    web.then(|| split_authority(rest))
}

fn split_authority(rest: &str) -> Parts<'_> {
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let end = memchr2(b'/', b'?', rest.as_bytes()).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let route = if fragment.starts_with('/') || fragment.starts_with("!/") { fragment } else { "" };
    let route = route.split_once('?').map_or(route, |(route, _)| route);
    Parts { authority, path, query, route }
}

/// The host of an authority, in lower case; `None` if it is not a host name. User names, passwords and ports
/// are dropped.
fn hostname(authority: &str) -> Option<CompactString> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?.0,
        None => host.split_once(':').map_or(host, |(host, _)| host),
    };
    let host = host.trim_end_matches('.');
    let valid = !host.is_empty()
        && host.len() <= HOST_BYTES_MAX
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b) || !b.is_ascii());
    valid.then(|| {
        let mut host = CompactString::from(host);
        host.make_ascii_lowercase();
        host
    })
}

/// A path with personal data masked. It is decoded first, so that encoding hides nothing and `/café` is one page.
fn path(raw: &str) -> CompactString {
    if raw.is_empty() {
        return CompactString::const_new("/");
    }
    let decoded = percent_decode_str(raw).decode_utf8_lossy();
    let clean = without_controls(&decoded);
    // Path parameters are mostly session ids (`;jsessionid=`).
    let clean = clean.split_once(';').map_or(&*clean, |(path, _)| path);
    cut(&mask::masked(clean), PATH_CHARS_MAX).into()
}

fn tag(value: &str) -> CompactString {
    let clean = without_controls(value.trim());
    cut(&mask::masked(&clean), TAG_CHARS_MAX).into()
}

fn without_controls(text: &str) -> std::borrow::Cow<'_, str> {
    if text.chars().any(char::is_control) {
        text.chars().filter(|c| !c.is_control()).collect::<String>().into()
    } else {
        text.into()
    }
}

/// Prop keys that denote personal data whatever their value.
const PERSONAL_KEYS: [&str; 34] = [
    "email",
    "mail",
    "emailaddress",
    "useremail",
    "customeremail",
    "phone",
    "phonenumber",
    "telephone",
    "tel",
    "mobile",
    "mobilenumber",
    "firstname",
    "lastname",
    "surname",
    "fullname",
    "username",
    "password",
    "passwd",
    "secret",
    "token",
    "accesstoken",
    "ssn",
    "iban",
    "creditcard",
    "cardnumber",
    "cvv",
    "ip",
    "ipaddress",
    "dateofbirth",
    "birthdate",
    "birthday",
    "passport",
    "streetaddress",
    "userid",
];

#[cfg(test)]
mod tests;
