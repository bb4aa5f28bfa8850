use proptest::prelude::*;
use sotto_schema::{
    id::{ReturningId, ViewId},
    rowbinary::Decimal4,
};

use super::*;

#[track_caller]
fn one(body: &str) -> Hit {
    let mut hits = hits(body.as_bytes()).unwrap_or_else(|e| panic!("{body}: {e}"));
    assert_eq!(hits.len(), 1);
    hits.remove(0).unwrap_or_else(|e| panic!("{body}: {e:?}"))
}

#[track_caller]
fn refused(body: &str) -> ParseError {
    match hits(body.as_bytes()) {
        Ok(mut hits) if hits.len() == 1 => match hits.remove(0) {
            Ok(_) => panic!("accepted: {body}"),
            Err(refused) => refused.error,
        },
        Ok(_) => panic!("accepted: {body}"),
        Err(e) => e,
    }
}

fn all_are_taken(body: &str) -> bool {
    hits(body.as_bytes()).is_ok_and(|hits| hits.iter().all(Result::is_ok))
}

/// A hit of the kind with `extra` keys.
fn with(kind: &str, extra: &str) -> String {
    format!(r#"{{"v":1,"s":"k7f3","k":"{kind}","i":"a1b2c3d4","q":1{extra}}}"#)
}

#[test]
fn each_kind_is_read() {
    let p = one(&with(
        "p",
        r#","c":5,"a":1500,"b":1,"u":"https://example.org/a?utm_source=x","r":"https://a.example/","w":1280"#,
    ));
    assert_eq!(
        p,
        Hit {
            site: "k7f3".into(),
            kind: Kind::Pageview,
            view: ViewId(u64::from_str_radix("a1b2c3d4", 36).unwrap()),
            seq: 1,
            numbered: true,
            consent: Some(5),
            age_ms: 1500,
            automated: true,
            url: "https://example.org/a?utm_source=x".into(),
            referrer: "https://a.example/".into(),
            width: Some(1280),
            ..Hit::default()
        }
    );
    let e = one(&with("e", r#","e":12345.6,"d":80"#));
    assert_eq!((e.kind, e.engaged_ms, e.scroll, e.consent), (Kind::Engagement, 12_346, 80, None));
    let x = one(&with(
        "x",
        r#","n":"Sign \u0075p","p":{"plan":"pro","seats":3,"share":0.5,"trial":true,"none":null},"m$":{"a":"12.34","c":"eur"}"#,
    ));
    assert_eq!((x.kind, x.name.as_str(), x.interactive), (Kind::Custom, "Sign up", true));
    let props: Vec<_> = x.props.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(props, [("plan", "pro"), ("seats", "3"), ("share", "0.5"), ("trial", "true")]);
    assert_eq!(x.revenue, Some((Decimal4(123_400), "EUR".into())));
    let w = one(&with("w", r#","m":{"LCP":2512.4,"CLS":0.1234,"INP":200,"TTFB":80}"#));
    assert_eq!(w.vitals, Vitals { lcp_ms: 2512, fcp_ms: 0, inp_ms: 200, ttfb_ms: 80, cls_milli: 123 });
    let c = one(&with("c", r#","h":[["main>a:2",500,250,333,1200]]"#));
    assert_eq!(c.clicks, [Click { path: "main>a:2".into(), at: [500, 250, 333, 1200] }]);
    let o = one(r#"{"v":1,"s":"k7f3","k":"o","q":0,"c":15}"#);
    assert_eq!((o.kind, o.view, o.consent), (Kind::Consent, ViewId::NONE, Some(15)));
}

#[test]
fn batch_is_read_in_order_and_unknown_keys_are_ignored() {
    let body = format!(
        "\n [{},{}]",
        with("e", r#","e":1,"d":2,"zz":{"deep":[1,2]}"#),
        with("p", r#","u":"https://a.example/""#)
    );
    let kinds: Vec<_> = hits(body.as_bytes()).unwrap().into_iter().map(|h| h.unwrap().kind).collect();
    assert_eq!(kinds, [Kind::Engagement, Kind::Pageview]);
}

#[test]
fn hit_that_is_not_taken_leaves_the_others_of_its_body_and_names_its_site() {
    let good = with("p", r#","u":"https://a.example/""#);
    let old = with("p", &format!(r#","u":"a","a":{}"#, AGE_MS_MAX + 1));
    let long = with("x", &format!(r#","n":"{}""#, "n".repeat(NAME_CHARS_MAX + 1)));
    let unreadable = with("z", "");
    let read = hits(format!("[{good},{old},{long},{unreadable},{good}]").as_bytes()).unwrap();
    let refused: Vec<_> = read
        .iter()
        .map(|r| r.as_ref().map(|_| ()).map_err(|refused| (refused.site.as_str(), refused.error)))
        .collect();
    assert_eq!(
        refused,
        [
            Ok(()),
            Err(("k7f3", ParseError::TooOld)),
            Err(("k7f3", ParseError::TooLarge("n"))),
            Err(("", ParseError::Syntax)),
            Ok(()),
        ]
    );
}

#[test]
fn body_outside_the_format_is_refused_with_the_field() {
    for (body, expected) in [
        (String::new(), ParseError::Syntax),
        ("null".into(), ParseError::Syntax),
        ("{".into(), ParseError::Syntax),
        ("[]".into(), ParseError::HitCount(HITS_MAX)),
        (with("p", "") + "x", ParseError::Syntax),
        (r#"{"v":2,"s":"k","k":"o","q":0}"#.into(), ParseError::Invalid("v")),
        (r#"{"s":"k","k":"o"}"#.into(), ParseError::Syntax),
        (r#"{"v":1,"s":"","k":"o","q":0}"#.into(), ParseError::Missing("s")),
        (r#"{"v":1,"s":"k","k":"z"}"#.into(), ParseError::Syntax),
        (r#"{"v":1,"s":"k","k":"e","q":0}"#.into(), ParseError::Missing("i")),
        (with("p", ""), ParseError::Missing("u")),
        (with("x", ""), ParseError::Missing("n")),
        (with("x", r#","n":"  ""#), ParseError::Missing("n")),
        (with("x", r#","n":"a","p":{"a":{"b":1}}"#), ParseError::Syntax),
        (with("x", r#","n":"a","m$":{"a":"1e99","c":"EUR"}"#), ParseError::Invalid("m$")),
        (with("x", r#","n":"a","m$":{"a":"inf","c":"EUR"}"#), ParseError::Invalid("m$")),
        (with("x", r#","n":"a","m$":{"a":1,"c":"EURO"}"#), ParseError::Invalid("m$")),
        (with("w", ""), ParseError::Missing("m")),
        (with("c", ""), ParseError::Missing("h")),
        (with("o", r#","c":16"#), ParseError::Invalid("c")),
        (with("o", r#","c":4"#), ParseError::Invalid("c")),
        (with("o", ""), ParseError::Missing("c")),
        (with("e", r#","e":1"#), ParseError::Missing("d")),
        (with("o", r#","c":-1"#), ParseError::Syntax),
        (with("p", r#","u":"a""#).replace("a1b2c3d4", "A1"), ParseError::Invalid("i")),
        (with("p", r#","u":"a""#).replace("a1b2c3d4", ""), ParseError::Invalid("i")),
    ] {
        assert_eq!(refused(&body), expected, "{body}");
        assert_eq!(expected.reason(), DropReason::InvalidPayload);
    }
}

/// A body of the kind with `n` as the size of one thing.
type Sized = fn(usize) -> String;

#[test]
fn every_limit_holds_at_the_limit_and_breaks_one_above() {
    let limits: [(usize, ParseError, Sized); 13] = [
        (BODY_BYTES_MAX, ParseError::BodyTooLarge, |n| {
            let body = with("p", r#","u":"a""#);
            format!("{body}{}", " ".repeat(n - body.len()))
        }),
        (HITS_MAX, ParseError::HitCount(HITS_MAX), |n| {
            format!("[{}]", vec![with("p", r#","u":"a""#); n].join(","))
        }),
        (PROPS_MAX, ParseError::TooLarge("p"), |n| {
            let props: Vec<_> = (0..n).map(|i| format!(r#""k{i}":{i}"#)).collect();
            with("x", &format!(r#","n":"a","p":{{{}}}"#, props.join(",")))
        }),
        (PROP_KEY_CHARS_MAX, ParseError::TooLarge("p"), |n| {
            with("x", &format!(r#","n":"a","p":{{"{}":1}}"#, "ä".repeat(n)))
        }),
        (PROP_VALUE_CHARS_MAX, ParseError::TooLarge("p"), |n| {
            with("x", &format!(r#","n":"a","p":{{"k":"{}"}}"#, "😀".repeat(n)))
        }),
        (NAME_CHARS_MAX, ParseError::TooLarge("n"), |n| with("x", &format!(r#","n":"{}""#, "ß".repeat(n)))),
        (URL_BYTES_MAX, ParseError::TooLarge("u"), |n| with("p", &format!(r#","u":"{}""#, "u".repeat(n)))),
        (REFERRER_BYTES_MAX, ParseError::TooLarge("r"), |n| {
            with("p", &format!(r#","u":"a","r":"{}""#, "r".repeat(n)))
        }),
        (CLICKS_MAX, ParseError::TooLarge("h"), |n| {
            with("c", &format!(r#","h":[{}]"#, vec![r#"["a",1,2,3,4]"#; n].join(",")))
        }),
        (CLICK_PATH_CHARS_MAX, ParseError::TooLarge("h"), |n| {
            with("c", &format!(r#","h":[["{}",1,2,3,4]]"#, "é".repeat(n)))
        }),
        (SITE_CHARS_MAX, ParseError::TooLarge("s"), |n| {
            with("p", r#","u":"a""#).replace("k7f3", &"s".repeat(n))
        }),
        (ID_CHARS_MAX, ParseError::Invalid("i"), |n| {
            with("p", r#","u":"a""#).replace("a1b2c3d4", &"z".repeat(n))
        }),
        (ID_CHARS_MAX, ParseError::Invalid("y"), |n| {
            with("p", &format!(r#","u":"a","y":"{}""#, "z".repeat(n)))
        }),
    ];
    for (limit, error, body) in limits {
        assert!(all_are_taken(&body(limit)), "{error} at {limit}");
        assert_eq!(refused(&body(limit + 1)), error, "{limit} + 1");
    }
    for (key, limit, error) in
        [("q", SEQ_MAX, ParseError::TooLarge("q")), ("a", AGE_MS_MAX, ParseError::TooOld)]
    {
        let body = |n: u64| match key {
            "q" => format!(r#"{{"v":1,"s":"k","k":"o","c":1,"q":{n}}}"#),
            _ => format!(r#"{{"v":1,"s":"k","k":"o","c":1,"q":0,"{key}":{n}}}"#),
        };
        assert!(all_are_taken(&body(limit)));
        assert_eq!(refused(&body(limit + 1)), error);
    }
}

#[test]
fn visitors_own_id_is_a_number_and_its_absence_none() {
    assert_eq!(
        one(&with("p", r#","u":"a","y":"4k2p9x0abz7q""#)).returning,
        ReturningId(u64::from_str_radix("4k2p9x0abz7q", 36).unwrap())
    );
    assert_eq!(one(&with("p", r#","u":"a""#)).returning, ReturningId::NONE);
    for (y, expected) in
        [(r#""""#, ParseError::Invalid("y")), (r#""A""#, ParseError::Invalid("y")), ("5", ParseError::Syntax)]
    {
        assert_eq!(refused(&with("p", &format!(r#","u":"a","y":{y}"#))), expected, "{y}");
    }
}

#[test]
fn measured_values_are_clamped() {
    let e = one(&with("e", r#","e":99999999999,"d":250"#));
    assert_eq!((e.engaged_ms, e.scroll), (ENGAGED_MS_MAX, 100));
    let e = one(&with("e", r#","e":-5,"d":-0.4"#));
    assert_eq!((e.engaged_ms, e.scroll), (0, 0));
    let w = one(&with("w", r#","m":{"LCP":1e12,"CLS":1e9}"#));
    assert_eq!((w.vitals.lcp_ms, w.vitals.cls_milli), (VITAL_MS_MAX, CLS_MILLI_MAX));
    let w = one(&with("w", r#","m":{"TTFB":0,"CLS":0}"#));
    let measured = Vitals { ttfb_ms: VITAL_MIN, cls_milli: VITAL_MIN, ..Vitals::default() };
    assert_eq!(w.vitals, measured, "0 stands for what was not measured");
    let p = one(&with("p", r#","u":"a","w":70000"#));
    assert_eq!(p.width, Some(u16::MAX));
    let c = one(&with("c", r#","h":[["a",-1,1e9,0.5,4]]"#));
    assert_eq!(c.clicks[0].at, [0, 1000, 1, 4]);
}

#[test]
fn pixel_is_a_pageview_without_id() {
    let hit = pixel("s=k7f3&u=https%3A%2F%2Fexample.org%2Fa+b&r=https://a.example/&c=5&x=1").unwrap();
    assert_eq!(hit.url, "https://example.org/a b");
    assert_eq!((hit.kind, hit.view, hit.consent), (Kind::Pageview, ViewId::NONE, Some(5)));
    for (query, expected) in [
        ("u=a".to_owned(), ParseError::Missing("s")),
        ("s=".to_owned(), ParseError::Missing("s")),
        ("s=k&c=x".to_owned(), ParseError::Invalid("c")),
        (format!("s=k&u={}", "a".repeat(URL_BYTES_MAX + 1)), ParseError::TooLarge("u")),
        (format!("s=k&z={}", "a".repeat(QUERY_BYTES_MAX)), ParseError::BodyTooLarge),
    ] {
        assert_eq!(pixel(&query).unwrap_err(), expected);
    }
}

/// Vectors that the format calls invalid and this parser takes all the same: measured values are clamped, and what
/// can only mean one thing is taken for it.
const TAKEN: [&str; 17] = [
    "width_over_limit",
    "width_negative",
    "mask_null",
    "automation_flag_0",
    "engagement_time_over_limit",
    "engagement_time_negative",
    "engagement_depth_over_limit",
    "prop_value_null",
    "revenue_with_lower_case_currency",
    "revenue_as_text",
    "vitals_over_limit",
    "vitals_shift_over_limit",
    "vitals_negative",
    "click_position_over_limit",
    "click_position_negative",
    "click_position_fraction",
    "click_page_y_over_limit",
];

#[test]
fn vectors_that_the_script_is_tested_with_are_read_the_same_way() {
    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        valid: bool,
        why: String,
        hit: serde_json::Value,
    }
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../../tracker/wire/vectors.json")).unwrap();
    assert!(vectors.len() > 100);
    let wrong: Vec<_> = vectors
        .iter()
        .filter(|v| {
            let taken = v.valid || TAKEN.contains(&v.name.as_str());
            all_are_taken(&v.hit.to_string()) != taken
        })
        .map(|v| format!("{} (valid: {}): {}", v.name, v.valid, v.why))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn decision_has_its_source_and_receipt() {
    let o = one(&with(
        "o",
        r#","c":5,"src":"banner","un":["C0009"],"rc":{"i":"0123456789abcdef","v":"2026-01","l":"de","g":1}"#,
    ));
    let receipt =
        Receipt { id: "0123456789abcdef".into(), policy: "2026-01".into(), language: "de".into(), gpc: true };
    let decision =
        Decision { source: "banner".into(), unmapped: vec!["C0009".into()], receipt: Some(receipt) };
    assert_eq!(o.decision, Some(Box::new(decision)));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300), query in ".{0,200}") {
        let _ = (hits(&body), pixel(&query));
    }

    #[test]
    fn accepted_hit_is_within_its_limits(e in any::<f64>(), d in any::<f64>(), name in ".{1,80}", value in ".{0,250}") {
        let json = serde_json::json!({
            "v": 1, "s": "k", "k": "x", "i": "a", "q": 0, "e": e, "d": d, "n": name, "p": {"k": value}
        });
        for hit in hits(json.to_string().as_bytes()).unwrap().into_iter().flatten() {
            prop_assert!(hit.name.chars().count() <= NAME_CHARS_MAX);
            prop_assert!(hit.props[0].1.chars().count() <= PROP_VALUE_CHARS_MAX);
            prop_assert!(hit.engaged_ms <= ENGAGED_MS_MAX && hit.scroll <= 100);
        }
    }
}
