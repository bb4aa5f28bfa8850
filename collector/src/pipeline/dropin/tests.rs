use proptest::prelude::*;
use sotto_schema::{event::Kind, id::ViewId, rowbinary::Decimal4};

use super::*;
use crate::pipeline::hit::Vitals;

const SITE: goatcounter::Site<'static> = goatcounter::Site { key: "k7f3", host: "example.org", page: "" };

fn pairs(hit: &Hit) -> Vec<(&str, &str)> {
    hit.props.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

fn hit<T: Into<Claimed>>(claimed: T) -> Hit {
    claimed.into().hit
}

fn error<T>(result: Result<T, ParseError>) -> ParseError {
    match result {
        Ok(_) => panic!("accepted"),
        Err(e) => e,
    }
}

#[test]
fn plausible_event_is_read_under_its_long_and_short_names() {
    let page = Hit {
        site: "example.org".into(),
        kind: Kind::Pageview,
        url: "https://example.org/a?utm_source=x".into(),
        referrer: "https://a.example/".into(),
        ..Hit::default()
    };
    for body in [
        r#"{"n":"pageview","u":"https://example.org/a?utm_source=x#top","d":"example.org","r":"https://a.example/","v":24}"#,
        r#"{"name":"pageview","url":"https://example.org/a?utm_source=x","domain":"example.org","referrer":"https://a.example/"}"#,
    ] {
        let hits = plausible::event(body.as_bytes()).unwrap_or_else(|e| panic!("{body} {e}"));
        assert!(hits.len() == 1 && hits[0].hit == page && hits[0].claims.is_empty(), "{body}");
    }
    let wide = hit(plausible::event(
        br#"{"n":"pageview","u":"https://a.example/","d":"a.example","w":1280,"p":{"author":"Ada"}}"#,
    )
    .unwrap()
    .remove(0));
    assert_eq!((wide.width, pairs(&wide)), (Some(1280), vec![("author", "Ada")]));
    let e = hit(plausible::event(
        br#"{"n":"engagement","u":"https://a.example/","d":"a.example","sd":71,"e":8123,"p":null}"#,
    )
    .unwrap()
    .remove(0));
    assert_eq!((e.kind, e.scroll, e.engaged_ms), (Kind::Engagement, 71, 8123));
    let x = hit(plausible::event(
        br#"{"n":"Signup","u":"https://a.example/#/x","h":1,"d":"a.example","i":false,"p":"{\"plan\":\"pro\",\"n\":3,\"deep\":{},\"none\":null,\"empty\":\"\"}","$":{"currency":"usd","amount":"12.34"}}"#,
    ).unwrap().remove(0));
    assert_eq!(
        (x.kind, x.name.as_str(), x.interactive, x.url.as_str()),
        (Kind::Custom, "Signup", false, "https://a.example/#/x")
    );
    assert_eq!(pairs(&x), [("n", "3"), ("plan", "pro")]);
    assert_eq!(x.revenue, Some((Decimal4(123_400), "USD".into())));
    let bad = hit(plausible::event(
        br#"{"n":"Buy","u":"https://a.example/","d":"a.example","revenue":{"currency":"x","amount":1}}"#,
    )
    .unwrap()
    .remove(0));
    assert_eq!(bad.revenue, None, "the event stays");
}

#[test]
fn plausible_event_counts_for_each_site_and_names_what_is_missing() {
    let sites = |n: usize| {
        let list: Vec<_> = (0..n).map(|i| format!("s{i}.example")).collect();
        format!(r#"{{"n":"pageview","u":"https://a.example/","d":"{}"}}"#, list.join(", "))
    };
    assert_eq!(
        plausible::event(sites(plausible::SITES_MAX).as_bytes()).ok().unwrap().len(),
        plausible::SITES_MAX
    );
    assert_eq!(
        error(plausible::event(sites(plausible::SITES_MAX + 1).as_bytes())),
        ParseError::TooLarge("domain")
    );
    for (body, expected) in [
        (r#"{"u":"https://a.example/","d":"a"}"#, ParseError::Missing("name")),
        (r#"{"n":"pageview","d":"a"}"#, ParseError::Missing("url")),
        (r#"{"n":"pageview","u":"https://a.example/"}"#, ParseError::Missing("domain")),
        (r#"{"n":"pageview","u":"https://a.example/","d":" , "}"#, ParseError::Missing("domain")),
        (r#"{"n":7,"u":"https://a.example/","d":"a"}"#, ParseError::Missing("name")),
        ("[]", ParseError::Syntax),
        ("", ParseError::Syntax),
    ] {
        assert_eq!(error(plausible::event(body.as_bytes())), expected, "{body}");
    }
}

#[test]
fn umami_vitals_of_a_page_that_was_not_painted_are_none_and_a_layout_that_did_not_shift_is_measured() {
    let measured = |vitals: &str| {
        let payload = format!(r#""website":"550e8400-e29b-41d4-a716-446655440000","url":"/",{vitals}"#);
        let sent = format!(r#"{{"type":"performance","payload":{{{payload}}}}}"#);
        umami::send(sent.as_bytes()).ok().unwrap().map(|claimed| claimed.hit.vitals)
    };
    for nothing in [r#""lcp":0"#, r#""lcp":0,"cls":0"#] {
        assert_eq!(measured(nothing), None);
    }
    assert_eq!(measured(r#""lcp":900,"cls":0"#).unwrap().cls_milli, 1);
}

#[test]
fn umami_message_is_read_and_its_claims_are_kept_apart() {
    const ID: &str = "550e8400-e29b-41d4-a716-446655440000";
    let send = |payload: &str, kind: &str| {
        umami::send(format!(r#"{{"type":"{kind}","payload":{{{payload}}}}}"#).as_bytes())
    };
    let page = send(&format!(r#""website":"{ID}","hostname":"example.org","language":"de","referrer":"https://a.example/","screen":"1920x1080","title":"T","url":"/a?utm_source=x""#), "event").ok().flatten().unwrap();
    assert_eq!(
        page.hit,
        Hit {
            site: ID.into(),
            kind: Kind::Pageview,
            url: "https://example.org/a?utm_source=x".into(),
            referrer: "https://a.example/".into(),
            width: Some(1920),
            ..Hit::default()
        }
    );
    let x = hit(send(&format!(r#""website":"{ID}","hostname":"example.org","url":"https://example.org/b","name":"buy","data":{{"plan":"pro","list":[1]}}"#), "event").ok().flatten().unwrap());
    assert_eq!((x.kind, x.name.as_str(), x.url.as_str()), (Kind::Custom, "buy", "https://example.org/b"));
    assert_eq!(pairs(&x), [("plan", "pro")]);
    let w = hit(send(
        &format!(r#""website":"{ID}","hostname":"a.example","url":"/","lcp":2500.4,"cls":0.1,"inp":90000"#),
        "performance",
    )
    .ok()
    .flatten()
    .unwrap());
    assert_eq!(
        (w.kind, w.vitals),
        (Kind::Vitals, Vitals { lcp_ms: 2500, cls_milli: 100, inp_ms: 60_000, ..Vitals::default() })
    );
    for (data, revenue, props) in [
        (
            r#"{"revenue":"49.90","currency":"eur","plan":"pro"}"#,
            Some((Decimal4(499_000), "EUR".into())),
            &[("plan", "pro")][..],
        ),
        (r#"{"revenue":49}"#, None, &[("revenue", "49")]),
    ] {
        let order = format!(r#""website":"{ID}","hostname":"a.example","name":"order","data":{data}"#);
        let order = hit(send(&order, "event").ok().flatten().unwrap());
        assert_eq!((&order.revenue, pairs(&order)), (&revenue, props.to_vec()), "{data}");
    }
    assert!(send(&format!(r#""website":"{ID}","id":"anna""#), "identify").ok().unwrap().is_none());
    let claimed = send(&format!(r#""website":"{ID}","url":"/","hostname":"a.example","ip":"192.0.2.1","userAgent":"UA","timestamp":1763735400"#), "event").ok().flatten().unwrap();
    assert!(
        claimed.claims
            == Claims {
                address: Some("192.0.2.1".into()),
                user_agent: Some("UA".into()),
                time_ms: Some(1_763_735_400_000)
            }
    );
    for (payload, kind, expected) in [
        (r#""url":"/""#, "event", ParseError::Missing("website")),
        (r#""website":"a","link":"b""#, "event", ParseError::Missing("website")),
        (r#""website":"a""#, "record", ParseError::Invalid("type")),
    ] {
        assert_eq!(error(send(payload, kind)), expected, "{payload}");
    }
    assert_eq!(error(umami::send(b"{}")), ParseError::Missing("payload"));
    let two = format!(
        r#"[{0},{0}]"#,
        format_args!(r#"{{"type":"event","payload":{{"website":"{ID}","hostname":"a.example","url":"/"}}}}"#)
    );
    assert_eq!(umami::batch(two.as_bytes()).ok().unwrap().len(), 2);
    assert_eq!(error(umami::batch(b"[]")), ParseError::HitCount(parse::HITS_MAX));
}

#[test]
fn matomo_request_is_a_pageview_unless_it_says_what_else() {
    let track = |query: &str| {
        matomo::request(&format!("idsite=3&rec=1&url=https%3A%2F%2Fexample.org%2Fa&{query}"))
            .unwrap_or_else(|e| panic!("{query} {e}"))
    };
    let page = track(
        "action_name=T&urlref=https://a.example/&res=1280x800&pv_id=aZ09bc&_id=0123456789abcdef&rand=1&apiv=1",
    );
    let view = page.hit.as_ref().map_or(ViewId::NONE, |h| h.hit.view);
    assert!(view != ViewId::NONE && page.image);
    assert_eq!(
        page.hit.unwrap().hit,
        Hit {
            site: "3".into(),
            kind: Kind::Pageview,
            view,
            url: "https://example.org/a".into(),
            referrer: "https://a.example/".into(),
            width: Some(1280),
            ..Hit::default()
        }
    );
    for (query, kind, name, interactive, props) in [
        (
            "e_c=Video&e_a=Play&e_n=Intro&e_v=3",
            Kind::Custom,
            "Play",
            true,
            &[("category", "Video"), ("name", "Intro"), ("value", "3")][..],
        ),
        (
            "download=https://example.org/a.pdf",
            Kind::Custom,
            "File download",
            true,
            &[("url", "https://example.org/a.pdf")],
        ),
        ("link=https://b.example/", Kind::Custom, "Outbound link", true, &[("url", "https://b.example/")]),
        (
            "search=shoes&search_cat=all&search_count=12",
            Kind::Custom,
            "Site search",
            true,
            &[("keyword", "shoes"), ("category", "all"), ("results", "12")],
        ),
        ("idgoal=2&revenue=9.5", Kind::Custom, "Goal 2", true, &[]),
        ("idgoal=0&ec_id=A1&revenue=99.9", Kind::Custom, "Order", true, &[]),
        ("idgoal=0&revenue=99.9", Kind::Custom, "Cart update", true, &[]),
        (
            "c_n=Ad&c_p=a.png",
            Kind::Custom,
            "Content impression",
            false,
            &[("name", "Ad"), ("piece", "a.png")],
        ),
        ("ca=1", Kind::Custom, "Custom action", true, &[]),
        ("ping=1", Kind::Engagement, "", false, &[]),
    ] {
        let hit = track(query).hit.unwrap().hit;
        assert_eq!((hit.kind, hit.name.as_str(), hit.interactive), (kind, name, interactive), "{query}");
        assert_eq!(pairs(&hit), props, "{query}");
    }
    assert_eq!(
        track("idgoal=0&ec_id=A1&revenue=99.9").hit.unwrap().hit.revenue,
        Some((Decimal4(999_000), "".into()))
    );
}

#[test]
fn matomo_heartbeat_is_no_reading_time_and_dimensions_are_props() {
    let track = |query: &str| {
        matomo::request(&format!("idsite=3&rec=1&url=https%3A%2F%2Fexample.org%2Fa&{query}"))
            .unwrap_or_else(|e| panic!("{query} {e}"))
    };
    assert_eq!(track("ping=1").hit.unwrap().hit.engaged_ms, 0, "no time is invented");
    for (query, props) in [
        (
            "dimension10=b&dimension2=a&dimensionx=c&dimension3=",
            &[("dimension2", "a"), ("dimension10", "b")][..],
        ),
        ("e_c=Video&e_a=Play&dimension1=a", &[("category", "Video"), ("dimension1", "a")]),
    ] {
        assert_eq!(pairs(&track(query).hit.unwrap().hit), props, "{query}");
    }
}

#[test]
fn matomo_request_says_how_to_answer_and_what_it_claims() {
    let claimed = matomo::request("?idsite=1&rec=1&url=https://a.example/&cip=192.0.2.1&ua=UA&cdt=2026-11-21+14:30:00&token_auth=T&send_image=0").ok().unwrap();
    assert!(!claimed.image && claimed.token.as_deref() == Some("T"));
    let claims = claimed.hit.unwrap().claims;
    assert!(
        claims
            == Claims {
                address: Some("192.0.2.1".into()),
                user_agent: Some("UA".into()),
                time_ms: Some(1_795_271_400_000)
            }
    );
    for (cdt, expected) in [
        ("2026-11-21T14:30:00.000Z", Some(1_795_271_400_000)),
        ("2026-11-21T15:30:00%2B01:00", Some(1_795_271_400_000)),
        ("1795271400", Some(1_795_271_400_000)),
        ("yesterday", None),
    ] {
        let query = format!("idsite=1&rec=1&url=https://a.example/&cdt={cdt}");
        assert_eq!(matomo::request(&query).ok().unwrap().hit.unwrap().claims.time_ms, expected, "{cdt}");
    }
    assert!(matomo::request("idsite=1&url=https://a.example/").ok().unwrap().hit.is_none(), "rec is not 1");
    for (query, expected) in [
        ("rec=1&url=https://a.example/", ParseError::Missing("idsite")),
        ("rec=1&idsite=1", ParseError::Missing("url")),
        ("rec=1&idsite=1&e_c=a", ParseError::Missing("e_a")),
        ("rec=1&idsite=1&url=a&pv_id=%C3%A4", ParseError::Invalid("pv_id")),
    ] {
        assert_eq!(error(matomo::request(query)), expected, "{query}");
    }
    let body = br#" {"requests":["?idsite=1&rec=1&url=https://a.example/&token_auth=U","?rec=1",7],"token_auth":"T"}"#;
    assert!(matomo::is_bulk(body) && !matomo::is_bulk(b"idsite=1"));
    let bulk = matomo::bulk(body).ok().unwrap();
    assert_eq!((bulk.requests.len(), bulk.token.as_deref()), (3, Some("T")));
    assert!(bulk.requests[1..].iter().all(Option::is_none), "neither is whole");
    let own = bulk.requests[0].as_ref().unwrap().token.as_deref();
    assert_eq!(own, Some("U"), "a request may have a token of its own");
    let many = |n: usize| format!(r#"{{"requests":[{}]}}"#, vec![r#""?x""#; n].join(","));
    assert!(matomo::bulk(many(matomo::REQUESTS_MAX).as_bytes()).is_ok());
    assert_eq!(
        error(matomo::bulk(many(matomo::REQUESTS_MAX + 1).as_bytes())),
        ParseError::HitCount(matomo::REQUESTS_MAX)
    );
}

/// As `import_logs.py` sends them.
#[test]
fn matomo_bulk_of_the_log_importer_is_read() {
    let body = br#"{"token_auth":"T","requests":[
        {"rec":"1","apiv":"1","url":"https://a.example/a?b=1","urlref":"","cip":"192.0.2.1","cdt":"2026-11-21 14:30:00","idsite":"k7f3","dp":"1","ua":"UA","gt_ms":12},
        {"rec":"1","apiv":"1","url":"https://a.example/f.pdf","download":"https://a.example/f.pdf","idsite":"k7f3","ua":"","cip":"192.0.2.1"},
        null]}"#;
    let bulk = matomo::bulk(body).ok().unwrap();
    assert!(bulk.requests.len() == 3 && bulk.requests[2].is_none());
    let read = |n: usize| bulk.requests[n].clone().unwrap().hit.unwrap();
    assert_eq!((read(0).hit.kind, read(0).hit.url.as_str()), (Kind::Pageview, "https://a.example/a?b=1"));
    assert_eq!(
        (read(0).claims.user_agent.as_deref(), read(0).claims.address.as_deref()),
        (Some("UA"), Some("192.0.2.1"))
    );
    assert_eq!((read(1).hit.kind, read(1).hit.name.as_str()), (Kind::Custom, "File download"));
    assert_eq!(read(1).claims.user_agent.as_deref(), Some(""), "that the log has none is a claim, too");
    use matomo::ApiCall::{AddSite, AllSites, SiteFromId, SitesOfUrl, Unknown};
    for (form, call) in [
        (
            "module=API&format=json2&method=SitesManager.getSiteFromId&filter_limit=-1&token_auth=T&idSite=k7f3",
            SiteFromId("k7f3".into()),
        ),
        (
            "module=API&method=SitesManager.getSitesIdFromSiteUrl&url=a.example&token_auth=T",
            SitesOfUrl("a.example".into()),
        ),
        ("module=API&method=SitesManager.addSite&token_auth=T", AddSite),
        ("module=API&method=SitesManager.getAllSites&token_auth=T", AllSites),
        ("module=API&method=SitesManager.deleteSite&token_auth=T", Unknown),
        ("method=SitesManager.getSiteFromId&idSite=1&token_auth=T", Unknown),
    ] {
        assert_eq!(matomo::api_call(form), (call, Some("T".into())), "{form}");
    }
}

#[test]
fn goatcounter_query_and_api_are_read() {
    let page = goatcounter::count(
        "p=%2Fa&t=Title&r=https://a.example/&e=false&s=1920,1080,1&q=%3Futm_source%3Dx&rnd=1",
        SITE,
    )
    .ok()
    .unwrap();
    assert_eq!(
        page.hit,
        Hit {
            site: "k7f3".into(),
            kind: Kind::Pageview,
            url: "https://example.org/a?utm_source=x".into(),
            referrer: "https://a.example/".into(),
            width: Some(1920),
            ..Hit::default()
        }
    );
    let x = hit(goatcounter::count("p=click-banner&e=true", SITE).ok().unwrap());
    assert_eq!((x.kind, x.name.as_str(), x.interactive), (Kind::Custom, "click-banner", true));
    assert!(hit(goatcounter::count("p=/&b=150", SITE).ok().unwrap()).automated);
    for (query, expected) in [
        ("", ParseError::Missing("p")),
        ("p=/&b=149", ParseError::Invalid("b")),
        ("p=/&b=154", ParseError::Invalid("b")),
        ("p=/&b=x", ParseError::Invalid("b")),
    ] {
        assert_eq!(error(goatcounter::count(query, SITE)), expected, "{query}");
    }
    let body = br#"{"no_sessions":true,"filter":["ip"],"hits":[{"path":"/a","ref":"https://b.example/","size":"1280,800,1","query":"?ref=x","ip":"192.0.2.1","user_agent":"UA","created_at":"2026-11-21T14:30:00Z"},{"path":"buy","event":true}]}"#;
    let batch = goatcounter::batch(body, SITE).ok().unwrap();
    assert!(batch.filter && batch.hits.len() == 2);
    assert_eq!(batch.hits[0].hit.url, "https://example.org/a?ref=x");
    assert_eq!(batch.hits[0].claims.time_ms, Some(1_795_271_400_000));
    assert_eq!(batch.hits[1].hit.kind, Kind::Custom);
    let many = |n: usize| format!(r#"{{"hits":[{}]}}"#, vec![r#"{"path":"/"}"#; n].join(","));
    assert!(goatcounter::batch(many(goatcounter::HITS_MAX).as_bytes(), SITE).is_ok());
    let too_many = error(goatcounter::batch(many(goatcounter::HITS_MAX + 1).as_bytes(), SITE));
    assert_eq!(too_many, ParseError::HitCount(goatcounter::HITS_MAX));
    assert!(too_many.to_string().contains("500"), "{too_many}");
    let mixed = br#"{"hits":[{"path":"/"},{"title":"no path"},{"path":"/b","bot":7}]}"#;
    let mixed = goatcounter::batch(mixed, SITE).ok().unwrap();
    assert_eq!(mixed.invalid, [(1, ParseError::Missing("p"))]);
    let automated: Vec<bool> = mixed.hits.iter().map(|hit| hit.hit.automated).collect();
    assert_eq!(automated, [false, true], "what the sender's server found is believed");
    let on_page = goatcounter::Site { page: "https://example.org/pricing", ..SITE };
    assert_eq!(
        hit(goatcounter::count("p=buy&e=1", on_page).ok().unwrap()).url,
        "https://example.org/pricing"
    );
}

#[test]
fn what_others_cut_is_cut() {
    let props: Vec<_> = (0..30).map(|i| format!(r#""k{i:02}":"{}""#, "ä".repeat(300))).collect();
    let body = format!(
        r#"{{"n":"{}","u":"https://a.example/","d":"a","r":"{}","p":{{{}}}}}"#,
        "n".repeat(100),
        "r".repeat(3000),
        props.join(",")
    );
    let x = hit(plausible::event(body.as_bytes()).ok().unwrap().remove(0));
    assert_eq!(
        (x.name.len(), x.referrer.len(), x.props.len()),
        (NAME_CHARS_MAX, REFERRER_BYTES_MAX, PROPS_MAX)
    );
    assert!(x.props.iter().all(|(_, v)| v.chars().count() == PROP_VALUE_CHARS_MAX));
    let long = format!(r#"{{"n":"pageview","u":"https://a.example/{}","d":"a"}}"#, "u".repeat(2048));
    assert_eq!(error(plausible::event(long.as_bytes())), ParseError::TooLarge("url"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200), query in ".{0,200}") {
        let _ = (plausible::event(&body), umami::send(&body), umami::batch(&body), matomo::bulk(&body));
        let _ = (matomo::request(&query), goatcounter::count(&query, SITE), goatcounter::batch(&body, SITE));
    }
}
