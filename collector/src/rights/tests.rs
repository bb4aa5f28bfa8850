use std::collections::BTreeSet;

use sotto_schema::claims;

use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
}

#[test]
fn change_is_accepted_from_our_own_page_only() {
    let host = ("host", "stats.example.org");
    for (given, accepted) in [
        (vec![host, ("sec-fetch-site", "same-origin")], true),
        (vec![host, ("sec-fetch-site", "cross-site"), ("origin", "https://stats.example.org")], false),
        (vec![host, ("sec-fetch-site", "same-site")], false),
        (vec![host, ("sec-fetch-site", "none")], false),
        (vec![host, ("origin", "https://stats.example.org")], true),
        (vec![host, ("origin", "https://stats.example.org.evil.test")], false),
        (vec![host, ("origin", "null")], false),
        (vec![host], false),
    ] {
        assert_eq!(from_own_page(&headers(&given)), accepted, "{given:?}");
    }
}

#[test]
fn page_of_another_site_learns_nothing_in_the_background() {
    for (given, background) in [
        (
            vec![
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "image"),
            ],
            true,
        ),
        (
            vec![
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "iframe"),
            ],
            true,
        ),
        (
            vec![("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
            true,
        ),
        (
            vec![
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ],
            false,
        ),
        (
            vec![("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
            false,
        ),
        (
            vec![("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
            false,
        ),
        (vec![], false),
    ] {
        assert_eq!(asked_in_background(&headers(&given)), background, "{given:?}");
    }
}

#[test]
fn number_and_receipt_are_never_taken_from_an_address() {
    let text = b"s=a.example&y=aaaaaaaaaaaa&r=0123456789abcdef&what=today&l=de";
    let (address, body) = (Asked::form(text, false), Asked::form(text, true));
    assert_eq!((address.id.as_str(), address.receipt.as_str(), address.what), ("", "", What::Id));
    assert_eq!((address.site.as_str(), address.language), ("a.example", Some(Language::De)));
    assert_eq!(
        (body.id.as_str(), body.receipt.as_str(), body.what),
        ("aaaaaaaaaaaa", "0123456789abcdef", What::Today)
    );
}

#[test]
fn number_that_could_be_guessed_is_no_proof() {
    for (id, taken) in [
        ("aaaaaaaaaaaa", true),
        ("aaaaaaaaaaa", false),
        ("aaaaaaaaaaaaa", false),
        ("AAAAAAAAAAAA", false),
        ("aaaaaaaaaaa\"", false),
        ("", false),
    ] {
        let mut asked = Asked::default();
        asked.set("y", id);
        assert_eq!(!asked.id.is_empty(), taken, "{id}");
    }
    for (receipt, taken) in [
        ("a".repeat(RECEIPT_CHARS_MAX), true),
        ("a".repeat(RECEIPT_CHARS_MAX + 1), false),
        ("a b".into(), false),
        ("<b>".into(), false),
    ] {
        let mut asked = Asked::default();
        asked.set("r", &receipt);
        assert_eq!(!asked.receipt.is_empty(), taken, "{receipt}");
    }
}

#[test]
fn website_is_understood_as_people_type_it() {
    for (typed, name) in [
        ("k7f3xq2m", "k7f3xq2m"),
        ("www.example.org", "www.example.org"),
        ("https://www.example.org/page?x#y", "www.example.org"),
        ("example.org:8443", "example.org"),
        ("", ""),
    ] {
        assert_eq!(site_name(typed), name, "{typed}");
    }
}

/// What a template calls with a text in quotes: `prefix"<text>"`.
fn called<'a>(template: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    template.split(&format!("{prefix}(\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_word_of_the_page_is_there_in_every_language_and_used() {
    let template = include_str!("../../web/rights.html");
    let sources = [template, include_str!("page.rs"), include_str!("../rights.rs")].concat();
    let languages = page::dictionaries();
    assert_eq!(languages.len(), Language::ALL.len());
    let names: BTreeSet<&str> = languages["en"].keys().map(String::as_str).collect();
    for language in Language::ALL {
        let own: BTreeSet<&str> = languages[language.tag()].keys().map(String::as_str).collect();
        assert_eq!(own, names, "{language:?}");
    }
    for word in called(template, "w.t") {
        assert!(names.contains(word), "{word} is not in web/rights.toml");
    }
    for name in names.iter().filter(|n| !n.starts_with("kind_")) {
        let by_category = sotto_schema::policy::Category::ALL.iter().any(|c| c.name() == *name);
        assert!(by_category || sources.contains(&format!("\"{name}\"")), "{name} is not used");
    }
}

#[test]
fn every_claim_of_the_page_exists_and_is_marked() {
    let template = include_str!("../../web/rights.html");
    let said = called(template, "c.say");
    let marked: BTreeSet<&str> = template
        .split("data-claim=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .flat_map(str::split_whitespace)
        .collect();
    assert_eq!(said, marked);
    for id in said {
        assert!(!claims::claim(id, Language::En).is_empty(), "{id} is no claim");
    }
}
