//! The script: `/s.js` is the core, `/s.auto.clicks.js` the core with modules, `/s.auto.0123456789abcdef.js`
//! the same pinned to one version, which browsers may cache for ever.
//!
//! The parts are built and minified before the program is (`collector/tracker`). On first request they are
//! concatenated (the core first, then the named modules and their dependencies, by name), compressed once and
//! cached.
//!
//! Where another product's script is asked for (`/js/script.js`, `/script.js`, `/matomo.js`, `/count.js`), ours is
//! answered, behind an adapter that understands that product's tag and calls ([`Speaks`]).
//!
//! What it promises: a combination has the same bytes, and so one version, whatever the order of its names.
//! What it refuses: unknown names, a repeated name, too many names. An old version redirects to the current
//! one: a tag without `integrity` keeps counting after an upgrade; with it, the browser blocks the script, as
//! asked.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rust_embed::RustEmbed;
use serde::Deserialize;

use crate::http::stack::{self, Response};

mod compressed;
#[cfg(test)]
mod tests;

use compressed::{Compressed, Effort, VERSION_CHARS};

#[derive(RustEmbed)]
#[folder = "tracker/dist"]
struct Dist;

/// Maximum modules in a path: everything a site can want, including several consent managers.
pub const MODULES_MAX: usize = 12;
/// Number of combinations cached at best compression. Any others are built per request with fast compression,
/// so that requesting many of them cannot keep the program busy.
const KEPT_MAX: usize = 256;
/// `Cache-Control` of a script without a version in its name.
const SHORT: &str = "public, max-age=3600";
/// `Cache-Control` of a versioned script: its content never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

#[derive(Deserialize)]
struct Manifest {
    version: String,
    parts: BTreeMap<String, Entry>,
    speaks: BTreeMap<String, Adapter>,
}

#[derive(Deserialize)]
struct Adapter {
    file: String,
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    requires: Vec<String>,
    brotli: usize,
}

struct Part {
    text: Vec<u8>,
    requires: Vec<String>,
    brotli: usize,
}

/// A module that a site can choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Name, as in the path.
    pub name: String,
    /// Its own size in bytes, compressed.
    pub brotli: usize,
    /// Modules it depends on, besides the core.
    pub requires: Vec<String>,
}

/// What a script tag needs to know about a combination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Path without a version: always the current one.
    pub path: String,
    /// Path pinned to this version.
    pub versioned_path: String,
    /// Value of the attribute `integrity` for this version.
    pub integrity: String,
    /// Transfer size in bytes, compressed with brotli.
    pub brotli_bytes: usize,
}

/// Another product's script, asked for by its own path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Speaks {
    /// The adapter.
    product: &'static str,
    /// Its variant also reports links, downloads and tagged elements.
    auto: bool,
}

impl Speaks {
    fn of(path: &str) -> Option<Self> {
        let plain = |product| Some(Self { product, auto: false });
        match path {
            "/script.js" => plain("umami"),
            "/matomo.js" | "/piwik.js" => plain("matomo"),
            "/count.js" => plain("goatcounter"),
            "/js/index.js" => plain("plausible"),
            _ => {
                let mut words = path.strip_prefix("/js/")?.strip_suffix(".js")?.split('.');
                let known = words.next().is_some_and(|name| matches!(name, "script" | "plausible"));
                let auto = words.clone().any(|word| VARIANTS_WITH_AUTO.contains(&word));
                let fits = words.all(|word| VARIANTS.contains(&word) || VARIANTS_WITH_AUTO.contains(&word));
                (known && fits).then_some(Self { product: "plausible", auto })
            }
        }
    }
}

/// Variants of Plausible's script. What they stand for is read by the adapter, or always so.
const VARIANTS: [&str; 7] = ["hash", "manual", "local", "compat", "exclusions", "revenue", "pageview-props"];
const VARIANTS_WITH_AUTO: [&str; 3] = ["outbound-links", "file-downloads", "tagged-events"];

/// The script and its modules.
pub struct Scripts {
    parts: BTreeMap<String, Part>,
    /// Adapters, by product.
    speaks: BTreeMap<String, Vec<u8>>,
    version: String,
    kept: RwLock<HashMap<String, Arc<Compressed>>>,
}

/// Why the script cannot be served; the start stops.
#[derive(Debug, thiserror::Error)]
#[error("the script was not built into this program ({0}); run `make assets` and build again")]
pub struct MissingScript(String);

/// The parsed path of a script.
#[derive(Debug, PartialEq, Eq)]
struct Asked<'a> {
    /// Module names, without the core.
    names: BTreeSet<&'a str>,
    version: Option<&'a str>,
}

impl Scripts {
    /// Loads the parts built into the program.
    ///
    /// # Errors
    /// When they were not built in.
    pub fn embedded() -> Result<Self, MissingScript> {
        let missing = |what: &str| MissingScript(what.to_owned());
        let manifest = Dist::get("manifest.json").ok_or_else(|| missing("manifest.json"))?;
        let manifest: Manifest =
            serde_json::from_slice(&manifest.data).map_err(|e| MissingScript(e.to_string()))?;
        let mut parts = BTreeMap::new();
        for (name, Entry { file, requires, brotli }) in manifest.parts {
            let text = Dist::get(&file).ok_or_else(|| missing(&file))?.data.into_owned();
            parts.insert(name, Part { text, requires, brotli });
        }
        let mut speaks = BTreeMap::new();
        for (product, Adapter { file }) in manifest.speaks {
            speaks.insert(product, Dist::get(&file).ok_or_else(|| missing(&file))?.data.into_owned());
        }
        let needed =
            std::iter::once("core").chain(parts.values().flat_map(|p| &p.requires).map(String::as_str));
        if let Some(name) = needed.into_iter().find(|name| !parts.contains_key(*name)) {
            return Err(missing(name));
        }
        Ok(Self { parts, speaks, version: manifest.version, kept: RwLock::default() })
    }

    /// Version of the script: changes with its contents.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All available modules, by name.
    pub fn modules(&self) -> Vec<Module> {
        let others = |part: &Part| part.requires.iter().filter(|r| *r != "core").cloned().collect();
        self.parts
            .iter()
            .filter(|(name, _)| *name != "core")
            .map(|(name, part)| Module { name: name.clone(), brotli: part.brotli, requires: others(part) })
            .collect()
    }

    /// What a tag needs to know about the core with `modules`; `None` if a module does not exist.
    pub fn facts(&self, modules: &[&str]) -> Option<Facts> {
        let named = self.named(modules.iter().copied())?;
        let script = self.script(&named)?;
        let version = &script.version;
        Some(Facts {
            path: format!("/{}", file_name(&named, None)),
            versioned_path: format!("/{}", file_name(&named, Some(version))),
            integrity: script.integrity(),
            brotli_bytes: script.brotli.len(),
        })
    }

    /// Whether `path` is a script path.
    pub fn is_script(path: &str) -> bool {
        path.strip_prefix("/s.").is_some_and(|rest| rest == "js" || rest.ends_with(".js"))
            || Speaks::of(path).is_some()
    }

    /// The answer to a request for `path`.
    pub fn answer(&self, path: &str, request: &HeaderMap) -> Response {
        if let Some(speaks) = Speaks::of(path) {
            let script = self.speaking(speaks);
            return script
                .map_or_else(|| stack::empty(StatusCode::NOT_FOUND), |script| send(&script, SHORT, request));
        }
        let Some(asked) = self.asked(path) else { return stack::empty(StatusCode::NOT_FOUND) };
        let Some(script) = self.script(&asked.names) else { return stack::empty(StatusCode::NOT_FOUND) };
        match asked.version {
            Some(version) if version != script.version => sent_on(&file_name(&asked.names, None)),
            Some(_) => send(&script, FOR_EVER, request),
            None => send(&script, SHORT, request),
        }
    }

    fn asked<'a>(&self, path: &'a str) -> Option<Asked<'a>> {
        let middle = path.strip_prefix("/s.")?.strip_suffix("js")?;
        let mut names: Vec<&str> = middle.split_terminator('.').collect();
        let version = names.pop_if(|last| is_version(last) && !self.parts.contains_key(*last));
        Some(Asked { names: self.named(names.into_iter())?, version })
    }

    /// The names as a set, if all are modules, none is repeated and there are not too many.
    fn named<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<BTreeSet<&'a str>> {
        let mut set = BTreeSet::new();
        for name in names {
            let known = name != "core" && self.parts.contains_key(name);
            if !known || !set.insert(name) || set.len() > MODULES_MAX {
                return None;
            }
        }
        Some(set)
    }

    fn script(&self, names: &BTreeSet<&str>) -> Option<Arc<Compressed>> {
        let mut whole = names.clone();
        whole.extend(names.iter().flat_map(|name| &self.parts[*name].requires).map(String::as_str));
        whole.remove("core");
        self.joined(&file_name(&whole, None), &[], &whole)
    }

    /// The core behind an adapter.
    fn speaking(&self, Speaks { product, auto }: Speaks) -> Option<Arc<Compressed>> {
        let modules: BTreeSet<&str> = auto.then_some("auto").into_iter().collect();
        let key = format!("{product} {}", file_name(&modules, None));
        self.joined(&key, self.speaks.get(product)?, &modules)
    }

    /// An adapter or nothing, the core and modules, compressed; kept under `key`.
    fn joined(&self, key: &str, adapter: &[u8], modules: &BTreeSet<&str>) -> Option<Arc<Compressed>> {
        if let Some(script) = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Some(script.clone());
        }
        let parts = std::iter::once("core").chain(modules.iter().copied());
        let parts = parts.flat_map(|name| &self.parts[name].text);
        let plain: Vec<u8> = adapter.iter().chain(parts).copied().collect();
        let keep = self.kept.read().unwrap_or_else(PoisonError::into_inner).len() < KEPT_MAX;
        let effort = if keep { Effort::Best } else { Effort::Fast };
        let script = Arc::new(Compressed::new(plain, effort)?);
        if keep {
            self.kept.write().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), script.clone());
        }
        Some(script)
    }
}

/// Relative file name, so that it also resolves behind a proxy that adds a path prefix.
fn file_name(names: &BTreeSet<&str>, version: Option<&str>) -> String {
    let words: Vec<&str> = std::iter::once("s")
        .chain(names.iter().copied())
        .chain(version)
        .chain(std::iter::once("js"))
        .collect();
    words.join(".")
}

fn is_version(word: &str) -> bool {
    word.len() == VERSION_CHARS && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Redirects a request for an old version to the current one.
fn sent_on(file: &str) -> Response {
    let Ok(to) = HeaderValue::from_str(file) else { return stack::empty(StatusCode::NOT_FOUND) };
    let mut response = stack::empty(StatusCode::FOUND);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, to);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(SHORT));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}

fn send(script: &Compressed, cache: &'static str, request: &HeaderMap) -> Response {
    let matches = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|tag| tag.trim().trim_start_matches("W/").trim_matches('"') == script.version);
    let (body, encoding) = if accepts(request, "br") {
        (&script.brotli, Some("br"))
    } else if accepts(request, "gzip") {
        (&script.gzip, Some("gzip"))
    } else {
        (&script.plain, None)
    };
    let mut response = if matches {
        stack::empty(StatusCode::NOT_MODIFIED)
    } else {
        Response::new(Bytes::clone(body).into())
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, script.etag.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
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

/// Whether the browser accepts `coding` (RFC 9110, 12.5.3); a weight of zero means it does not.
fn accepts(request: &HeaderMap, coding: &str) -> bool {
    let accepted = request.get_all(header::ACCEPT_ENCODING);
    accepted.iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).any(|entry| {
        let mut words = entry.split(';').map(str::trim);
        let named = words.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let weight = words.find_map(|w| w.strip_prefix("q=")?.parse::<f32>().ok());
        named && weight != Some(0.0)
    })
}
