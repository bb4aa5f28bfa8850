//! The click map over a page of the site itself: its link, and the figures that the script draws there.
//!
//! Promises: a link tells what the report on clicks tells the reader who made it, and nothing else, for as long as they are
//! signed in with that browser, have a role on the site and the same password, at most [`LINK_SECONDS`]; whoever changes
//! a letter of it has none. Nothing is stored for it. The page that asks is another site's, so no cookie counts here, and
//! the answer is for every origin: the link is all that is needed.
//!
//! Proof: `tests/suite/overlay.rs`, and in a browser `tests/browser/overlay.test.js`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::overview::Subject;
use crate::{
    App,
    auth::{SignedIn, signed_in_by_id},
    filter::{Filter, Verb},
    page::PageError,
    range::now_in,
    reading::Reading,
    report::{Detail, Dimension, Sources, Told, details::Details, groups::GROUP_MIN},
    view::View,
};

/// How long a link can be used, in seconds: long enough to look at a site.
pub(crate) const LINK_SECONDS: i64 = 3_600;
/// The longest link that is looked at, in characters.
const LINK_CHARS_MAX: usize = 8_192;
/// Length of a site's key.
const KEY_CHARS: usize = 8;
/// Bytes before the site's key: the end, and the sign-in.
const HEAD_BYTES: usize = 8 + 32;

/// What a link says.
struct Claim {
    /// When it ends, in seconds since 1970-01-01 UTC.
    until: i64,
    /// The sign-in that signed it.
    sign_in: [u8; 32],
    /// The key of the site.
    key: String,
    /// The state of the report, as in its address.
    query: String,
}

impl Claim {
    fn bytes(&self) -> Vec<u8> {
        [&self.until.to_be_bytes()[..], &self.sign_in, self.key.as_bytes(), self.query.as_bytes()].concat()
    }

    /// Whether it has not ended by then; one that lasts longer was not made here.
    fn is_good_at(&self, now: i64) -> bool {
        (now..=now.saturating_add(LINK_SECONDS)).contains(&self.until)
    }

    fn signed(&self, link_key: &[u8; 32]) -> String {
        let bytes = self.bytes();
        let mac = blake3::keyed_hash(link_key, &bytes);
        format!("{}.{}", Base64UrlUnpadded::encode_string(&bytes), mac.to_hex())
    }

    /// What the text says, and its signature, which is still to be looked at.
    fn read(text: &str) -> Option<(Self, blake3::Hash)> {
        let (claim, mac) = text.split_once('.').filter(|_| text.len() <= LINK_CHARS_MAX)?;
        let bytes = Base64UrlUnpadded::decode_vec(claim).ok()?;
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let (until, sign_in) = head.split_at_checked(8)?;
        let (key, query) = rest.split_at_checked(KEY_CHARS)?;
        let claim = Self {
            until: i64::from_be_bytes(until.try_into().ok()?),
            sign_in: sign_in.try_into().ok()?,
            key: String::from_utf8(key.to_vec()).ok()?,
            query: String::from_utf8(query.to_vec()).ok()?,
        };
        Some((claim, blake3::Hash::from_hex(mac).ok()?))
    }
}

fn now() -> i64 {
    sotto_schema::clock::now().as_second()
}

/// The filters that say which page is meant.
fn pages(view: &View) -> Vec<Filter> {
    view.filters.each().filter(|filter| filter.is(Dimension::Page, Verb::Is)).cloned().collect()
}

/// The link that opens the click map over the page that a reader looks at: the page, if it has an address of its own, and
/// the address of the figures behind it. `None` where several pages are meant, or one whose address was masked.
pub(super) fn link(app: &App, reading: &Reading, view: &View) -> Option<String> {
    let (sign_in, link_key) = reading.signs()?;
    let [page] = pages(view).try_into().ok()?;
    let is_address = page.value.starts_with('/') && !page.value.contains(['[', '#']);
    let host = view.filters.each().find(|filter| filter.is(Dimension::Hostname, Verb::Is));
    let host = host.map(|filter| &filter.value).or_else(|| reading.site.hostnames.first())?;
    let claim = Claim {
        until: now() + LINK_SECONDS,
        sign_in,
        key: reading.site.key.clone(),
        query: view.without_filter(&page).query(),
    };
    let own = matches!(host.as_str(), "localhost" | "127.0.0.1");
    let mut url = Url::parse(&format!("{}://{host}", if own { "http" } else { "https" })).ok()?;
    url.set_path(&page.value);
    let figures = format!("{}/overlay/{}", app.settings.public_url, claim.signed(link_key));
    url.set_fragment(Some(&format!("sotto-overlay={figures}")));
    is_address.then(|| url.into())
}

/// Who made a link, if it is good.
async fn maker(app: &App, text: &str) -> Result<Option<(SignedIn, Claim)>, PageError> {
    let Some((claim, mac)) = Claim::read(text) else { return Ok(None) };
    if !claim.is_good_at(now()) {
        return Ok(None);
    }
    let Some(maker) = signed_in_by_id(app, claim.sign_in).await? else { return Ok(None) };
    // Compared in the same time wherever they differ.
    let good = blake3::keyed_hash(maker.signs().1, &claim.bytes()) == mac;
    Ok(good.then_some((maker, claim)))
}

/// The parameters of the page that asks: its path, decoded as it is stored, and the class of its window.
fn asked(query: &str) -> Vec<Filter> {
    let value = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(n, _)| n == name).map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
    };
    let page = value("page").unwrap_or_else(|| "/".into());
    let page = percent_decode_str(page.split(';').next().unwrap_or_default()).decode_utf8_lossy();
    let page = Filter::new(Dimension::Page, Verb::Is, &page);
    let screen = value("screen").and_then(|class| Filter::new(Dimension::Screen, Verb::Is, &class));
    page.into_iter().chain(screen).collect()
}

fn number(row: &Told, n: usize) -> f64 {
    row.numbers.get(n).copied().unwrap_or_default()
}

fn clicks(rows: &[Told]) -> Vec<Value> {
    let row = |row: &Told| {
        let element = row.values.first().map_or("", String::as_str);
        json!({ "element": element, "clicks": number(row, 0), "repeated": number(row, 1) })
    };
    rows.iter().map(row).collect()
}

fn reading(rows: &[Told]) -> Option<Value> {
    let row = rows.first()?;
    let reached: Vec<f64> = (1..=4).map(|n| number(row, n)).collect();
    Some(json!({ "measured": number(row, 0), "reached": reached }))
}

async fn figures(app: &App, text: &str, query: &str) -> Result<Option<Value>, PageError> {
    let Some((maker, claim)) = maker(app, text).await? else { return Ok(None) };
    let reader = match Reading::of_member(app, maker, &claim.key).await {
        Err(PageError::NotFound) => return Ok(None),
        reader => reader?,
    };
    let now = now_in(&reader.site.time_zone);
    let view = asked(query)
        .into_iter()
        .fold(reader.view(&claim.query, now.date()), |view, filter| view.with_filter(filter));
    let subject = Subject::new(&app.reports, &reader, &view, &now);
    let sources = Sources::of(&app.reports, &subject.query.scope, subject.query.range).await?;
    let run = |details: Details| details.run(&app.reports, &sources, &subject.query);
    let (clicked, read) = tokio::try_join!(run(Details::Clicks), run(Details::Depth))?;
    Ok(Some(json!({
        "site": reader.site.name,
        "days": subject.query.range.label(),
        "least": if subject.query.detail == Detail::Groups { GROUP_MIN } else { 0 },
        "clicks": clicks(&clicked),
        "reading": reading(&read),
    })))
}

/// `GET /overlay/{link}`: `page`, the path of the page that asks; `screen`, the class of its window.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(text): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let mut response = match figures(&app, &text, &query.unwrap_or_default()).await {
        Ok(Some(figures)) => Json(figures).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => error.into_response().status().into_response(),
    };
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Claim {
        Claim { until: 7, sign_in: [3; 32], key: "abcdefgh".into(), query: "p=30d&f=country:is:DE".into() }
    }

    #[test]
    fn signed_claim_is_read_again_and_no_changed_one_has_its_signature() {
        let key = [5; 32];
        let text = claim().signed(&key);
        let (read, mac) = Claim::read(&text).unwrap();
        assert_eq!(read.bytes(), claim().bytes());
        assert_eq!(blake3::keyed_hash(&key, &read.bytes()), mac);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            let read = Claim::read(std::str::from_utf8(&changed).unwrap());
            let good = read.is_some_and(|(claim, mac)| blake3::keyed_hash(&key, &claim.bytes()) == mac);
            assert!(!good, "character {at}");
        }
    }

    #[test]
    fn link_ends_after_an_hour() {
        let made = 1_800_000_000;
        let claim = Claim { until: made + LINK_SECONDS, ..claim() };
        for (now, good) in
            [(made - 1, false), (made, true), (made + LINK_SECONDS, true), (made + LINK_SECONDS + 1, false)]
        {
            assert_eq!(claim.is_good_at(now), good, "{}", now - made);
        }
    }

    #[test]
    fn text_that_is_no_claim_is_refused() {
        let long = claim().signed(&[5; 32]).replace('.', &"A".repeat(LINK_CHARS_MAX));
        let short = format!(
            "{}.{}",
            Base64UrlUnpadded::encode_string(&[0; HEAD_BYTES + KEY_CHARS - 1]),
            "0".repeat(64)
        );
        for text in ["", ".", "a.b", "????.00", &long, &short] {
            assert!(Claim::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn page_is_asked_for_by_its_decoded_path() {
        let one = |query: &str| asked(query).iter().map(ToString::to_string).collect::<Vec<_>>();
        for (query, expected) in [
            ("", vec!["page:is:/"]),
            ("page=/caf%25C3%25A9", vec!["page:is:/café"]),
            ("page=/a;jsessionid=1&screen=xl", vec!["page:is:/a", "screen:is:xl"]),
            ("page=/a&screen=", vec!["page:is:/a"]),
        ] {
            assert_eq!(one(query), expected, "{query}");
        }
    }
}
