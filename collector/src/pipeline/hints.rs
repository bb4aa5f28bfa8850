//! User-agent client hints (W3C, "User-Agent Client Hints") as the rules for devices and bots need them.

use super::hit::Headers;

/// Client hints are read up to this length.
pub const HINT_BYTES_MAX: usize = 256;

/// Client hints without their quotes; missing ones are empty.
#[derive(Clone, Copy, Default)]
pub(super) struct Hints<'a> {
    /// The list of brands, with its quotes.
    pub(super) brands: &'a str,
    pub(super) platform: &'a str,
    pub(super) platform_version: &'a str,
    pub(super) mobile: Option<bool>,
}

impl<'a> Hints<'a> {
    pub(super) fn of(headers: &Headers<'a>) -> Self {
        let plain =
            |hint: Option<&'a str>| cut(hint.unwrap_or_default(), HINT_BYTES_MAX).trim().trim_matches('"');
        Self {
            brands: cut(headers.ch_brands.unwrap_or_default(), HINT_BYTES_MAX),
            platform: plain(headers.ch_platform),
            platform_version: plain(headers.ch_platform_version),
            mobile: match headers.ch_mobile.map(str::trim) {
                Some("?1") => Some(true),
                Some("?0") => Some(false),
                Some(_) | None => None,
            },
        }
    }
}

/// At most `max` bytes of `text`.
pub(super) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}
