//! A real browser loads a page with the script tag from another origin, and the report shows it.

use sotto_tests::{Chromium, Pages, Sotto};

#[test]
fn page_with_the_snippet_is_counted() {
    let sotto = Sotto::start();
    let key = sotto.add_site("127.0.0.1", &["--policy", "cookieless"]);
    let tag = format!(r#"<script defer src="{}/s.js" data-site="{key}" data-local></script>"#, sotto.url);
    let pages = Pages::serve(move |path| {
        format!(
            "<!doctype html><html lang=en><title>{path}</title>{tag}<body><h1>Hello</h1><div style=height:3000px></div>"
        )
    });
    let document = Chromium::new().open(&format!("{}/hello?utm_source=letter&secret=1", pages.origin()));
    assert!(document.contains("Hello"), "{document}");
    sotto.wait_for_pageviews(&key, 1);
    let by = |dimension: &str| {
        let rows = sotto.report(&key, &["--metrics", "pageviews,visitors", "--by", dimension]);
        (rows[0][dimension].as_str().unwrap().to_owned(), rows[0]["visitors"].as_u64().unwrap())
    };
    assert_eq!(by("page"), ("/hello".into(), 1));
    assert_eq!(sotto.report(&key, &["--by", "page"]).len(), 1, "what happened on the page belongs to it");
    assert_eq!(by("browser"), ("Chrome".into(), 1));
    assert_eq!(by("device"), ("desktop".into(), 1));
    assert_eq!(by("utm_source").0, "letter");
}

#[test]
fn automated_browser_is_not_counted() {
    let sotto = Sotto::start();
    let key = sotto.add_site("127.0.0.1", &[]);
    let before = sotto.outcomes("dropped", "bot_automated");
    let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v1","q":0,"u":"http://127.0.0.1/"}}"#);
    let headless = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36";
    assert_eq!(sotto.hit(&hit, &[("user-agent", headless)]), 204);
    assert_eq!(sotto.outcomes("dropped", "bot_automated"), before + 1);
}
