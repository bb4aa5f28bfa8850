use super::*;
use proptest::prelude::*;

#[test]
fn url_is_reduced_to_host_path_and_tags() {
    for (url, hostname, path) in [
        ("https://Example.ORG", "example.org", "/"),
        ("http://example.org:8080/a/b?x=1#top", "example.org", "/a/b"),
        ("https://user:pw@example.org/a", "example.org", "/a"),
        ("https://example.org?x", "example.org", "/"),
        ("https://example.org./caf%C3%A9/%2e", "example.org", "/café/."),
        ("https://[2001:db8::1]:443/a", "2001:db8::1", "/a"),
        ("https://münchen.example/a", "münchen.example", "/a"),
        ("https://example.org/a;jsessionid=0123456789ABCDEF?x", "example.org", "/a"),
        ("https://example.org/%00a%0a", "example.org", "/a"),
        ("https://example.org/a#top", "example.org", "/a"),
        ("https://example.org/app#/users/anna@example.org?x", "example.org", "/app#/users/[email]"),
        ("https://example.org/?q=1#!/page", "example.org", "/#!/page"),
        ("  https://example.org/a ", "example.org", "/a"),
    ] {
        let page = page(url).unwrap_or_else(|| panic!("{url}"));
        assert_eq!((page.hostname.as_str(), page.path.as_str()), (hostname, path), "{url}");
    }
    for url in [
        "",
        "/a",
        "data:text/html,x",
        "file:///etc/passwd",
        "about:blank",
        "https://",
        "https:///a",
        "https://a b/",
        "javascript://x",
    ] {
        assert_eq!(page(url), None, "{url}");
    }
}

#[test]
fn query_leaves_campaign_tags_and_the_names_of_click_ids() {
    let tags = |q: &str| page(&format!("https://example.org/?{q}")).unwrap().tags;
    assert_eq!(
        tags(
            "utm_source=News+Letter&utm_medium=email&utm_campaign=a%20b&utm_content=c&utm_term=d&q=secret&gclid=XYZ"
        ),
        Tags {
            source: "News Letter".into(),
            medium: "email".into(),
            campaign: "a b".into(),
            content: "c".into(),
            term: "d".into(),
            click_id: "gclid",
        }
    );
    for (query, source) in [
        ("ref=a", "a"),
        ("via=a&source=b", "b"),
        ("source=b&utm_source=c", "c"),
        ("UTM_SOURCE=c", "c"),
        ("mtm_source=c", "c"),
        ("utm_source=a&pk_source=b", "a"),
        ("utm_source=&ref=a", "a"),
        ("utm_source=a&utm_source=b", "a"),
        ("referrer=a", ""),
    ] {
        assert_eq!(tags(query).source, source, "{query}");
    }
    assert_eq!(tags("utm_source=anna%40example.org").source, EMAIL);
    for (query, name) in [
        ("gclid", "gclid"),
        ("GCLID=x", "gclid"),
        ("ScCid=x", "sccid"),
        ("gad_source=1&gclid=x", "gclid"),
        ("gclid=x&gad_source=1&fbclid=x", "gclid"),
        ("gclid_x=1&xgclid=1", ""),
    ] {
        assert_eq!(tags(query).click_id, name, "{query}");
    }
    for key in ["SOURCE", "MEDIUM", "CAMPAIGN", "CONTENT", "TERM"] {
        assert_eq!(
            tags(&format!("UTM_{key}=a")),
            tags(&format!("utm_{}=a", key.to_ascii_lowercase())),
            "{key}"
        );
        assert_ne!(tags(&format!("UTM_{key}=a")), Tags::default(), "{key}");
    }
    assert_eq!(
        tags(&format!("utm_term={}", "ä".repeat(TAG_CHARS_MAX + 1))).term.chars().count(),
        TAG_CHARS_MAX
    );
    assert_eq!(tags(&format!("{}utm_source=a", "x&".repeat(QUERY_PAIRS_MAX - 1))).source, "a");
    assert_eq!(tags(&format!("{}utm_source=a", "x&".repeat(QUERY_PAIRS_MAX))).source, "");
}

#[test]
fn personal_data_in_a_path_is_masked() {
    for (path, expected) in [
        ("/u/anna.muster+x@example.co.uk/edit", "/u/[email]/edit"),
        ("/u/anna%40example.org", "/u/[email]"),
        ("/u/anna%2540example.org", "/u/[email]"),
        ("/mailto:anna@example.org", "/mailto:[email]"),
        ("/491701234567", "/[id]"),
        ("/+491701234567", "/[phone]"),
        ("/call/+49%20170%20123-4567", "/call/[phone]"),
        ("/call/0049-170-1234567/x", "/call/[phone]/x"),
        ("/tel:+1(555)123-4567", "/tel:[phone]"),
        ("/call/(0170) 123 45 67", "/call/[phone]"),
        ("/call/555-123-4567", "/call/[phone]"),
        ("/order/123456789", "/order/[id]"),
        ("/order-123456789.html", "/order-[id].html"),
        ("/u/anna@example.com@", "/u/[email]"),
        ("/u/anna@example.com.4x", "/u/[email]"),
        ("/u/@anna@example.com%40x", "/u/[email]"),
        ("/713093108-x-550e8400-e29b-41d4-a716-446655440000", "/[id]-x-[id]"),
        ("/user491701234567", "/[id]"),
        ("/491701234567550e8400-e29b-41d4-a716-446655440000x7", "/[id]"),
        ("/a-123456789-987654321", "/a-[id]-[id]"),
        ("/ip/192.0.2.1", "/ip/[ip]"),
        ("/card/4111 1111 1111 1111", "/card/[id]"),
        ("/call-0049-170-1234567", "/call-[phone]"),
        ("/x/Xy9-aB3_kLm8Q-zW2eR7", "/x/[token]"),
        ("/o/550e8400-e29b-41d4-a716-446655440000", "/o/[id]"),
        ("/o/user-550e8400-e29b-41d4-a716-446655440000.pdf", "/o/user-[id].pdf"),
        ("/reset/9f86d081884c7d659a2feaa0c55ad015", "/reset/[id]"),
        ("/t/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "/t/[token]"),
        ("/reset/dGhpcyBpcyBh0IHRva2Vu9x", "/reset/[token]"),
        ("/key/sk_live_51H8aBcD2eFgH3iJkL", "/key/[token]"),
    ] {
        let page = page(&format!("https://example.org{path}")).unwrap();
        assert_eq!(page.path, expected, "{path}");
    }
}

#[test]
fn ordinary_path_stays_as_it_is() {
    for path in [
        "/",
        "/blog/2026/11/21/a-title",
        "/blog/2026-11-21-a-title",
        "/products/12345678",
        "/@anna/posts",
        "/docs/v1.2.3/install",
        "/en-GB/about",
        "/a/b.html",
        "/events/2026-11-21-1430",
        "/iso/2026.11.21",
        "/category/home-and-garden/page/12",
        "/p/abcdef0123",
        "/100-200-300-things",
        "/über-uns",
        "/日本語/ページ",
        "/AngularJSTutorialForBeginnersAndExperts",
        "/articles/how-to-make-1000000-dollars",
        "/rooms/12-34-56",
        "/github.com@v1",
        "/npm/@scope/package@1.2.3-beta.4",
        "/v1.2.3.4",
        "/How-To-Use-The-iPhone-15-Pro",
        "/facade/decade/bedded",
    ] {
        assert_eq!(page(&format!("https://example.org{path}")).unwrap().path, path);
    }
}

#[test]
fn messenger_link_loses_its_number() {
    for (url, expected) in [
        ("https://wa.me/491701234567", ("wa.me", "/[id]")),
        ("https://wa.me/+491701234567?text=Hi", ("wa.me", "/[phone]")),
        ("https://api.whatsapp.com/send?phone=491701234567", ("api.whatsapp.com", "/send")),
        ("https://api.whatsapp.com/send/491701234567/", ("api.whatsapp.com", "/send/[id]/")),
        ("android-app://com.google.android.gm/", ("com.google.android.gm", "/")),
    ] {
        let (host, path) = referrer(url).unwrap();
        assert_eq!((host.as_str(), path.as_str()), expected, "{url}");
    }
    assert_eq!(referrer("tel:+491701234567"), None);
    assert_eq!(referrer(""), None);
}

#[test]
fn long_path_is_cut() {
    let path = format!("/{}", "a-".repeat(PATH_CHARS_MAX));
    let page = page(&format!("https://example.org{path}")).unwrap();
    assert_eq!(page.path.chars().count(), PATH_CHARS_MAX);
}

#[test]
fn personal_data_in_a_prop_is_masked() {
    for (key, value, expected) in [
        ("email", "x", ("email", MASKED)),
        ("E-Mail", "x", ("E-Mail", MASKED)),
        ("user_id", "7", ("user_id", MASKED)),
        ("First Name", "Anna", ("First Name", MASKED)),
        // Who wrote it may stand beside it, so nothing of the value stays.
        ("note", "Anna Muster, anna@example.org", ("note", EMAIL)),
        ("note", "write to anna%2540example.org", ("note", EMAIL)),
        ("note", "Anna 123456789 anna@example.org", ("note", EMAIL)),
        ("note", "call +49 170 1234567 now", ("note", PHONE)),
        ("note", "call 555-123-4567", ("note", PHONE)),
        ("note", "call 0170 1234567", ("note", PHONE)),
        ("note", "+49 170 1234567 5a", ("note", PHONE)),
        ("note", "seen from 192.0.2.1", ("note", IP)),
        ("anna@example.org", "1", (EMAIL, "1")),
        ("order", "550e8400-e29b-41d4-a716-446655440000", ("order", ID)),
        ("session", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", ("session", TOKEN)),
        ("order", "%35%35%30%65%38%34%30%30%2de29b-41d4-a716-446655440000", ("order", ID)),
        ("note", "Anna Muster paid with 4111 1111 1111 1111", ("note", ID)),
        ("note", "Anna Muster has number 4111111111111111", ("note", ID)),
        ("note", "Anna%20Muster%204111111111111111", ("note", ID)),
    ] {
        let (stored_key, stored) = prop(key, value);
        assert_eq!((stored_key.as_str(), stored.as_str()), expected, "{key}: {value}");
    }
    for (key, value) in [
        ("plan", "pro"),
        ("price", "1234.50"),
        ("items", "3"),
        ("when", "2026-11-21"),
        ("handle", "@anna"),
        ("mailing", "weekly"),
        ("off", "100% sure"),
        (" a ", " b "),
    ] {
        assert_eq!(prop(key, value), (key.trim().into(), value.trim().into()));
    }
}

#[test]
fn long_id_in_a_link_is_masked_and_the_rest_stays() {
    for (link, expected) in [
        (
            "https://docs.google.com/document/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit",
            "https://docs.google.com/document/d/[token]/edit",
        ),
        ("https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC", "https://open.spotify.com/track/[token]"),
        (
            "https://github.com/rust-lang/rust/commit/9fc6b43126469e3858e2fe86cafb4f0fd5068869",
            "https://github.com/rust-lang/rust/commit/[id]",
        ),
        ("https://example.org/o/550e8400-e29b-41d4-a716-446655440000.pdf", "https://example.org/o/[id].pdf"),
        ("https://wa.me/491701234567", "https://wa.me/[id]"),
        ("https://wa.me/+491701234567", PHONE),
        ("https://www.instagram.com/example/", "https://www.instagram.com/example/"),
        ("https://example.org/caf%C3%A9/123456789/menu", "https://example.org/café/[id]/menu"),
        ("https://example.org/caf%C3%A9/menu", "https://example.org/caf%C3%A9/menu"),
    ] {
        assert_eq!(prop("url", link), ("url".into(), expected.into()));
    }
}

#[test]
fn masked_prop_is_as_long_as_a_prop_may_be() {
    use crate::pipeline::parse::{PROP_KEY_CHARS_MAX, PROP_VALUE_CHARS_MAX};
    // A mask can be longer than what it replaces.
    let address = |chars: usize| format!("{}a@b.cd", "x/".repeat(chars))[2 * chars + 6 - chars..].to_owned();
    assert_eq!(prop(&address(PROP_KEY_CHARS_MAX), "x").0.chars().count(), PROP_KEY_CHARS_MAX);
    let ids = "1234567890/".repeat(PROP_VALUE_CHARS_MAX / 11);
    assert!(prop("ids", &ids).1.chars().count() <= PROP_VALUE_CHARS_MAX);
}

#[test]
fn event_name_is_masked() {
    assert_eq!(event_name(" Mail to anna@example.org "), "Mail to [email]");
    assert_eq!(event_name("Sign up"), "Sign up");
}

proptest! {
    #[test]
    fn no_address_survives(
        before in "[a-zA-Z /._-]{0,20}[/ ]",
        local in "[a-z0-9._+-]{1,20}",
        domain in "[a-z0-9-]{1,12}\\.[a-z]{2,6}",
        after in "([/ ?][a-zA-Z /._-]{0,20})?",
    ) {
        let address = format!("{local}@{domain}");
        let text = format!("{before}{address}{after}");
        for masked in [
            page(&format!("https://example.org/{text}")).unwrap().path,
            event_name(&text),
            tags(&format!("utm_source={}", text.replace('+', "%2b"))).source,
            referrer(&format!("https://example.org/{}", text.replace('@', "%40"))).unwrap().1,
        ] {
            prop_assert!(!masked.contains(&address) && !masked.contains('@'), "{masked}");
        }
        prop_assert_eq!(prop("note", &text).1, EMAIL);
    }

    #[test]
    fn no_international_number_survives(
        before in "[a-zA-Z /._-]{0,20}[/ ]",
        prefix in "\\+|00",
        digits in "[1-9][0-9]{8,13}",
        cuts in proptest::collection::vec((2..8usize, "[ .-]"), 0..3),
        after in "([/ ?][a-zA-Z0-9 /._-]{0,20})?",
    ) {
        let mut number = digits.clone();
        for (at, separator) in cuts {
            if at < number.len() && !number[at - 1..at].contains([' ', '.', '-']) && !number[at..=at].contains([' ', '.', '-']) {
                number.insert_str(at, &separator);
            }
        }
        let text = format!("{before}{prefix}{number}{after}");
        for masked in [page(&format!("https://example.org/{text}")).unwrap().path, event_name(&text)] {
            let left: String = masked.chars().filter(char::is_ascii_digit).collect();
            prop_assert!(!left.contains(&digits), "{text} -> {masked}");
        }
        let stored = prop("note", &text).1;
        let left: String = stored.chars().filter(char::is_ascii_digit).collect();
        prop_assert!(!left.contains(&digits), "{text} -> {stored}");
    }

    #[test]
    fn masking_again_finds_no_address(text in "[a-z0-9@. /+-]{0,60}") {
        let once = event_name(&text);
        let addresses = |text: &str| text.matches(EMAIL).count();
        prop_assert_eq!(addresses(&event_name(&once)), addresses(&once));
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        let _ = (page(&text), page(&format!("https://a/{text}")), referrer(&text), tags(&text), prop(&text, &text));
    }
}
