//! Compresses pages, JSON and tables while they are sent; assets are compressed at build time.
//!
//! Pages hold no secret that a reader could guess from their compressed size: forms are guarded by headers, not by
//! tokens in the page.
//!
//! This runs on the threads that also take hits: one poll compresses at most what fills a buffer of 4 KB, some 20 KB of
//! a page, which takes a fraction of a millisecond, and hits get their turn between polls.

use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, Predicate, predicate::SizeAbove},
};

/// Below this, compressing costs more than it saves.
const BYTES_MIN: u64 = 1_024;
/// Of brotli and gzip alike: a page in about a millisecond.
const QUALITY: i32 = 4;

/// Brotli where the browser takes it, which is over HTTPS only, otherwise gzip.
pub(crate) fn layer() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new()
        .quality(CompressionLevel::Precise(QUALITY))
        .compress_when(SizeAbove::new(BYTES_MIN).and(is_text))
}

fn is_text(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    ["text/html", "application/json", "text/csv"].iter().any(|text| kind.starts_with(text))
}
