//! The script, the style sheet and the icon, embedded and compressed at build time.

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

#[derive(rust_embed::RustEmbed)]
#[folder = "web/dist"]
struct Files;

/// File names carry a content hash, so browsers may cache them for ever.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

pub(crate) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(kind) = content_type(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    for (encoding, suffix) in [("br", ".br"), ("gzip", ".gz"), ("", "")] {
        if !accepts(accepted, encoding) {
            continue;
        }
        let Some(file) = Files::get(&format!("{name}{suffix}")) else { continue };
        let mut response = file.data.into_owned().into_response();
        let head = response.headers_mut();
        head.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        head.insert(header::CACHE_CONTROL, FOR_EVER);
        head.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if !encoding.is_empty() {
            head.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        return response;
    }
    StatusCode::NOT_FOUND.into_response()
}

/// Whether an `Accept-Encoding` header names an encoding.
fn accepts(header: &str, encoding: &str) -> bool {
    encoding.is_empty()
        || header.split(',').any(|part| {
            let mut words = part.split(';').map(str::trim);
            let refused = |quality: &str| {
                quality.strip_prefix("q=").is_some_and(|q| q.parse().is_ok_and(|q: f32| q == 0.0))
            };
            words.next() == Some(encoding) && !words.next().is_some_and(refused)
        })
}

fn content_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_used_only_where_it_is_accepted() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("br;q=0.5", "br"));
        assert!(!accepts("gzip, br;q=0", "br"));
        assert!(!accepts("gzip, br; q=0.000", "br"));
        assert!(!accepts("", "gzip"));
        assert!(accepts("", ""));
    }

    #[test]
    fn every_named_asset_is_embedded_in_three_encodings() {
        for path in [APP_JS, APP_CSS, FAVICON_SVG] {
            let name = path.strip_prefix("/assets/").unwrap();
            for suffix in ["", ".br", ".gz"] {
                assert!(Files::get(&format!("{name}{suffix}")).is_some(), "{name}{suffix}");
            }
        }
    }
}
