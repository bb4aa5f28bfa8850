//! The script: `/s.js` is the core, `/s.auto.clicks.js` the core with modules, in sorted order of their names.
//!
//! The parts are built and minified before the program is (`collector/tracker`), put together here on first request,
//! compressed once, and kept. Only names that exist are put together, in one order, so there is a bounded number.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rust_embed::RustEmbed;
use serde::Deserialize;

use crate::stack::{self, Response};

#[derive(RustEmbed)]
#[folder = "tracker/dist"]
struct Dist;

/// How many modules one script may have.
pub const MODULES_MAX: usize = 8;
/// How many combinations are kept; others are put together each time.
const KEPT_MAX: usize = 64;
/// Best compression: done once per combination.
const BROTLI_QUALITY: u32 = 11;

#[derive(Deserialize)]
struct Manifest {
    version: String,
    parts: BTreeMap<String, Part>,
}

#[derive(Deserialize)]
struct Part {
    file: String,
}

/// One combination, ready to send.
struct Script {
    plain: Bytes,
    gzip: Bytes,
    brotli: Bytes,
    etag: HeaderValue,
}

/// The script and its modules.
pub struct Scripts {
    parts: BTreeMap<String, Vec<u8>>,
    version: String,
    kept: RwLock<HashMap<String, Arc<Script>>>,
}

/// Why the script cannot be served; the start stops.
#[derive(Debug, thiserror::Error)]
#[error("the script was not built into this program ({0}); run `make assets` and build again")]
pub struct MissingScript(String);

impl Scripts {
    /// The parts that were built into the program.
    ///
    /// # Errors
    /// When they were not.
    pub fn embedded() -> Result<Self, MissingScript> {
        let missing = |what: &str| MissingScript(what.to_owned());
        let manifest = Dist::get("manifest.json").ok_or_else(|| missing("manifest.json"))?;
        let manifest: Manifest =
            serde_json::from_slice(&manifest.data).map_err(|e| MissingScript(e.to_string()))?;
        let mut parts = BTreeMap::new();
        for (name, part) in manifest.parts {
            let file = Dist::get(&part.file).ok_or_else(|| missing(&part.file))?;
            parts.insert(name, file.data.into_owned());
        }
        if !parts.contains_key("core") {
            return Err(missing("core"));
        }
        Ok(Self { parts, version: manifest.version, kept: RwLock::default() })
    }

    /// Version of the script: changes with its contents.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether `path` is a script's.
    pub fn is_script(path: &str) -> bool {
        path.strip_prefix("/s.").is_some_and(|rest| rest == "js" || rest.ends_with(".js"))
    }

    /// The answer to a request for `path`.
    pub fn answer(&self, path: &str, request: &HeaderMap) -> Response {
        let Some(script) = self.script(path) else { return stack::empty(StatusCode::NOT_FOUND) };
        let matches = request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == script.etag.as_bytes());
        let accepted = request.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let accepts =
            |name: &str| accepted.split(',').any(|e| e.split(';').next().is_some_and(|e| e.trim() == name));
        let (body, encoding) = if accepts("br") {
            (&script.brotli, Some("br"))
        } else if accepts("gzip") {
            (&script.gzip, Some("gzip"))
        } else {
            (&script.plain, None)
        };
        let mut response =
            if matches { stack::empty(StatusCode::NOT_MODIFIED) } else { Response::new(body.clone().into()) };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, script.etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        if !matches {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
            if let Some(encoding) = encoding {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
        }
        response
    }

    fn script(&self, path: &str) -> Option<Arc<Script>> {
        let names = self.names(path)?;
        let key = names.join(".");
        if let Some(script) = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Some(script.clone());
        }
        let script = Arc::new(Script::new(self.plain(&names))?);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.insert(key, script.clone());
        }
        Some(script)
    }

    /// The modules that `path` names, if all exist, none twice, and in sorted order: one path per combination.
    fn names<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        let middle = path.strip_prefix("/s.")?.strip_suffix("js")?;
        let names: Vec<&str> = middle.split_terminator('.').collect();
        let known = names.iter().all(|n| *n != "core" && self.parts.contains_key(*n));
        (known && names.len() <= MODULES_MAX && names.is_sorted_by(|a, b| a < b)).then_some(names)
    }

    fn plain(&self, names: &[&str]) -> Vec<u8> {
        let mut plain = Vec::new();
        for name in std::iter::once(&"core").chain(names) {
            plain.extend_from_slice(&self.parts[*name]);
            if plain.last() != Some(&b'\n') {
                plain.push(b'\n');
            }
        }
        plain
    }
}

impl Script {
    fn new(plain: Vec<u8>) -> Option<Self> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI_QUALITY, 22);
        // Writing to memory cannot fail; if it does, the script is not served.
        gzip.write_all(&plain).ok()?;
        brotli.write_all(&plain).ok()?;
        let etag = format!("\"{}\"", &blake3::hash(&plain).to_hex()[..16]);
        Some(Self {
            gzip: gzip.finish().ok()?.into(),
            brotli: brotli.into_inner().into(),
            etag: HeaderValue::from_str(&etag).ok()?,
            plain: plain.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_names_a_script_only_in_one_order_and_with_known_modules() {
        let scripts = Scripts::embedded().unwrap();
        for (path, found) in [
            ("/s.js", true),
            ("/s.auto.js", true),
            ("/s.core.js", false),
            ("/s.nobody.js", false),
            ("/s.auto.auto.js", false),
            ("/s..js", false),
        ] {
            assert_eq!(scripts.script(path).is_some(), found, "{path}");
        }
    }

    #[test]
    fn encodings_hold_the_same_script() {
        let scripts = Scripts::embedded().unwrap();
        let script = scripts.script("/s.js").unwrap();
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut brotli::Decompressor::new(&script.brotli[..], 4096), &mut plain)
            .unwrap();
        assert_eq!(plain, script.plain);
        plain.clear();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&script.gzip[..]), &mut plain).unwrap();
        assert_eq!(plain, script.plain);
    }

    #[test]
    fn known_etag_gets_304() {
        let scripts = Scripts::embedded().unwrap();
        let mut request = HeaderMap::new();
        let first = scripts.answer("/s.js", &request);
        assert_eq!(first.status(), StatusCode::OK);
        request.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(scripts.answer("/s.js", &request).status(), StatusCode::NOT_MODIFIED);
    }
}
