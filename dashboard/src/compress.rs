//! Compresses pages and tables on the way out; assets are compressed at build time.
//!
//! Pages hold no secret that a reader could guess from their compressed size: forms are guarded by headers, not by
//! tokens in the page.

use std::io::Write as _;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{assets::accepts, page::PageError};

/// Below this, compressing costs more than it saves.
const BYTES_MIN: usize = 1_024;
/// The longest answer we make: a table of all its rows.
const BYTES_MAX: usize = 64 << 20;
/// Quality of brotli: a page in about a millisecond.
const QUALITY: u32 = 4;
const WINDOW_BITS: u32 = 19;

pub(crate) async fn answers(request: Request, next: Next) -> Response {
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok());
    let brotli = accepted.is_some_and(|a| accepts(a, "br"));
    let response = next.run(request).await;
    if !brotli || !is_text(&response) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(plain) = to_bytes(body, BYTES_MAX).await else { return PageError::Broken.into_response() };
    if plain.len() < BYTES_MIN {
        return Response::from_parts(head, Body::from(plain));
    }
    let Some(packed) = pack(&plain) else { return Response::from_parts(head, Body::from(plain)) };
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    head.headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    Response::from_parts(head, Body::from(packed))
}

fn is_text(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    !response.headers().contains_key(header::CONTENT_ENCODING)
        && ["text/html", "application/json", "text/csv"].iter().any(|k| kind.starts_with(k))
}

fn pack(plain: &[u8]) -> Option<Vec<u8>> {
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 4_096, QUALITY, WINDOW_BITS);
    writer.write_all(plain).ok()?;
    Some(writer.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_text_unpacks_to_itself() {
        let plain = b"How they were counted. ".repeat(200);
        let packed = pack(&plain).unwrap();
        assert!(packed.len() < plain.len() / 10);
        let mut unpacked = Vec::new();
        brotli::BrotliDecompress(&mut packed.as_slice(), &mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
    }
}
