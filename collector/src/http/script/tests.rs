use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{compressed::Effort, *};

fn scripts() -> Scripts {
    Scripts::embedded().unwrap()
}

fn get(scripts: &Scripts, path: &str) -> Response {
    scripts.answer(path, &HeaderMap::new())
}

fn text(script: &Compressed) -> &str {
    std::str::from_utf8(&script.plain).unwrap()
}

fn script(scripts: &Scripts, path: &str) -> Arc<Compressed> {
    scripts.script(&scripts.asked(path).unwrap().names).unwrap()
}

#[test]
fn path_names_a_script_only_with_known_modules() {
    let scripts = scripts();
    for (path, status) in [
        ("/s.js", 200),
        ("/s.auto.js", 200),
        ("/s.auto.clicks.js", 200),
        ("/s.clicks.auto.js", 200),
        ("/s.auto.consent-klaro.js", 200),
        ("/s.core.js", 404),
        ("/s.nobody.js", 404),
        ("/s.auto.auto.js", 404),
        ("/s.AUTO.js", 404),
        ("/s.auto/../core.js", 404),
        ("/s..js", 404),
        ("/s..auto.js", 404),
        ("/s.manifest.json.js", 404),
        // A version goes last.
        ("/s.0123456789abcdef.auto.js", 404),
    ] {
        assert_eq!(get(&scripts, path).status(), status, "{path}");
    }
}

#[test]
fn combination_is_the_core_then_what_is_named_and_required_by_name() {
    let scripts = scripts();
    let part = |name: &str| std::str::from_utf8(&scripts.parts[name].text).unwrap();
    let expected = [part("core"), part("auto"), part("consent"), part("consent-klaro")].concat();
    for path in ["/s.auto.consent-klaro.js", "/s.consent-klaro.auto.js", "/s.auto.consent.consent-klaro.js"] {
        assert_eq!(text(&script(&scripts, path)), expected, "{path}");
    }
    assert_eq!(scripts.kept.read().unwrap().len(), 1, "one combination is kept once");
}

#[test]
fn path_with_more_modules_than_the_limit_is_not_found() {
    let scripts = scripts();
    let names: Vec<String> = scripts.modules().into_iter().map(|m| m.name).collect();
    let path = |count: usize| format!("/s.{}.js", names[..count].join("."));
    assert_eq!(get(&scripts, &path(MODULES_MAX)).status(), StatusCode::OK);
    assert_eq!(get(&scripts, &path(MODULES_MAX + 1)).status(), StatusCode::NOT_FOUND);
}

#[test]
fn combination_beyond_the_kept_ones_is_sent_but_not_kept() {
    let scripts = scripts();
    let filler = Arc::new(Compressed::new(Vec::new(), Effort::Fast).unwrap());
    let fill = |count: usize| {
        let mut kept = scripts.kept.write().unwrap();
        kept.clear();
        kept.extend((0..count).map(|n| (n.to_string(), filler.clone())));
    };
    for (full, after) in [(KEPT_MAX - 1, KEPT_MAX), (KEPT_MAX, KEPT_MAX)] {
        fill(full);
        assert_eq!(get(&scripts, "/s.auto.js").status(), StatusCode::OK);
        assert_eq!(scripts.kept.read().unwrap().len(), after);
    }
}

#[test]
fn encodings_hold_the_same_script() {
    let scripts = scripts();
    let script = script(&scripts, "/s.js");
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut brotli::Decompressor::new(&script.brotli[..], 4096), &mut plain).unwrap();
    assert_eq!(plain, script.plain);
    plain.clear();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&script.gzip[..]), &mut plain).unwrap();
    assert_eq!(plain, script.plain);
}

#[test]
fn browser_gets_the_best_encoding_that_it_takes() {
    let scripts = scripts();
    for (accepted, expected) in [
        ("gzip, deflate, br", Some("br")),
        ("gzip", Some("gzip")),
        ("br;q=0, gzip;q=0.5", Some("gzip")),
        ("br;q=0, gzip;q=0", None),
        ("identity", None),
    ] {
        let mut request = HeaderMap::new();
        request.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        let response = scripts.answer("/s.js", &request);
        let encoding = response.headers().get(header::CONTENT_ENCODING).map(|v| v.to_str().unwrap());
        assert_eq!(encoding, expected, "{accepted}");
    }
}

#[test]
fn known_etag_gets_304() {
    let scripts = scripts();
    let mut request = HeaderMap::new();
    let first = scripts.answer("/s.js", &request);
    assert_eq!(first.status(), StatusCode::OK);
    request.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
    assert_eq!(scripts.answer("/s.js", &request).status(), StatusCode::NOT_MODIFIED);
}

#[test]
fn versioned_name_is_kept_for_ever_and_the_short_one_for_an_hour() {
    let scripts = scripts();
    let facts = scripts.facts(&["clicks", "auto"]).unwrap();
    assert_eq!(facts.path, "/s.auto.clicks.js");
    for (path, cache) in [(&facts.path, SHORT), (&facts.versioned_path, FOR_EVER)] {
        let response = get(&scripts, path);
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], cache, "{path}");
    }
}

#[test]
fn old_version_is_sent_on_to_the_current_one() {
    let scripts = scripts();
    let response = get(&scripts, "/s.auto.clicks.0123456789abcdef.js");
    assert_eq!(response.status(), StatusCode::FOUND);
    // Relative: right also behind a proxy that serves the script in a directory.
    assert_eq!(response.headers()[header::LOCATION], "s.auto.clicks.js");
    assert_eq!(response.headers()[header::CACHE_CONTROL], SHORT);
}

#[test]
fn version_and_integrity_follow_from_the_bytes() {
    let scripts = scripts();
    let (core, auto) = (scripts.facts(&[]).unwrap(), scripts.facts(&["auto"]).unwrap());
    assert_ne!(core.versioned_path, auto.versioned_path);
    assert_ne!(core.integrity, auto.integrity);
    assert_eq!(core.path, "/s.js");
    assert!(core.integrity.starts_with("sha384-") && core.integrity.len() == 7 + 64, "{}", core.integrity);
    assert!(core.brotli_bytes <= 1024 && auto.brotli_bytes <= 1536, "{core:?} {auto:?}");
    assert_eq!(scripts.facts(&["nobody"]), None);
    // The digest of the empty text, from FIPS 180's test vectors.
    assert_eq!(
        Compressed::new(Vec::new(), Effort::Fast).unwrap().integrity(),
        "sha384-OLBgp1GsljhM2TJ+sbHjaiH9txEUvgdDTAzHv2P24donTt6/529l+9Ua0vFImLlb"
    );
}

#[test]
fn modules_are_named_as_paths_can_name_them() {
    let modules = scripts().modules();
    let klaro = modules.iter().find(|m| m.name == "consent-klaro").unwrap();
    assert_eq!(klaro.requires, ["consent"]);
    assert!(klaro.brotli > 100 && klaro.brotli < 800);
    for module in modules {
        assert!(module.name != "core" && !is_version(&module.name), "{}", module.name);
        assert!(
            module.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
            "{}",
            module.name
        );
    }
}

#[test]
fn other_products_script_is_ours_behind_its_adapter() {
    let scripts = Scripts::embedded().unwrap();
    let text = |path: &str| {
        assert!(Scripts::is_script(path), "{path}");
        Speaks::of(path).and_then(|speaks| scripts.speaking(speaks)).unwrap().plain.clone()
    };
    let (core, auto) = (scripts.parts["core"].text.clone(), scripts.parts["auto"].text.clone());
    for (path, product, with_auto) in [
        ("/script.js", "umami", false),
        ("/matomo.js", "matomo", false),
        ("/piwik.js", "matomo", false),
        ("/count.js", "goatcounter", false),
        ("/js/script.js", "plausible", false),
        ("/js/plausible.js", "plausible", false),
        ("/js/index.js", "plausible", false),
        ("/js/script.manual.hash.js", "plausible", false),
        ("/js/script.hash.outbound-links.js", "plausible", true),
    ] {
        let mut whole = [&scripts.speaks[product][..], &core].concat();
        if with_auto {
            whole.extend(&auto);
        }
        assert_eq!(text(path), whole, "{path}");
    }
    for path in [
        "/js/",
        "/js/script",
        "/js/script.nothing.js",
        "/js/other.js",
        "/script",
        "/js/script..js",
        "/scripts.js",
    ] {
        assert!(!Scripts::is_script(path), "{path}");
    }
}
