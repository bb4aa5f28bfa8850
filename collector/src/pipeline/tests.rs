use std::sync::LazyLock;

use proptest::{prelude::*, strategy::ValueTree};
use sotto_schema::{
    event::{Event, Kind},
    id::{ReturningId, SessionId, SiteId, ViewId, VisitorKey},
    policy::{Keep, Policy, Preset},
    site::Site,
};

use super::*;
use crate::visitor::{
    client_ip::{Peer, TrustedProxies, client_ip},
    salts::Salt,
};

const NOW: i64 = 1_800_000_000_000;
const PERSON: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";

/// An address that the databases know.
const KNOWN: &str = "198.51.100.7";

/// Places and networks of [`KNOWN`].
fn geo() -> &'static GeoDb {
    static GEO: LazyLock<(tempfile::TempDir, GeoDb)> = LazyLock::new(|| {
        #[derive(serde::Serialize)]
        struct Place {
            country_code: &'static str,
            state1: &'static str,
            city: &'static str,
        }
        let dir = tempfile::tempdir().unwrap();
        let files = ["dbip-city-ipv4.mmdb", "asn.mmdb"].map(|name| dir.path().join(name));
        let mut places = maxminddb_writer::Database::default();
        places.metadata.ip_version = maxminddb_writer::metadata::IpVersion::V4;
        places.metadata.binary_format_major_version = 2;
        places.metadata.database_type = "Test-City".into();
        let place = Place { country_code: "DE", state1: "Bavaria", city: "Munich" };
        let record = places.insert_value(place).unwrap();
        let network = u32::from_be_bytes([198, 51, 100, 0]);
        places.insert_node((0..24).map(|bit| network & 1 << (31 - bit) != 0), record);
        places.write_to(std::fs::File::create(&files[0]).unwrap()).unwrap();
        let networks = "198.51.100.0,198.51.100.255,24940,Example Networks";
        sotto_geoip::asn::write_mmdb([networks.as_bytes()], &files[1], 0).unwrap();
        let (geo, errors) = GeoDb::open(&files);
        assert!(errors.is_empty(), "{errors:?}");
        (dir, geo)
    });
    &GEO.1
}

/// Everything a hit meets on its road, with a site under `policy`.
struct World {
    rules: Rules,
    salt: Salt,
    sessions: Sessions,
    views: PageViewCache,
    classifier: device::Classifier,
}

impl World {
    fn new(policy: Policy) -> Self {
        let mut site = Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap();
        site.policy = policy;
        Self {
            rules: Rules::new(site),
            salt: Salt::from_bytes([7; 32]),
            sessions: Sessions::new(1_000),
            views: PageViewCache::new(1_000),
            classifier: device::Classifier::default(),
        }
    }

    fn send(&self, hit: Hit, headers: &Headers<'_>) -> Result<Event, DropReason> {
        self.send_at(NOW, None, hit, headers)
    }

    /// Sends a hit at some time, while the salt of the day before lives.
    fn send_at(
        &self,
        time_ms: i64,
        salt_before: Option<&Salt>,
        hit: Hit,
        headers: &Headers<'_>,
    ) -> Result<Event, DropReason> {
        let mut forwarded = http::HeaderMap::new();
        forwarded.insert("x-forwarded-for", http::HeaderValue::from_static(KNOWN));
        let client = client_ip(Peer::LOOPBACK, &forwarded, &TrustedProxies::default());
        let at = HitContext {
            time_ms,
            day: self.rules.day(time_ms),
            rules: &self.rules,
            salt: Some(&self.salt),
            salt_before,
            sessions: &self.sessions,
            views: &self.views,
            geo: geo(),
            classifier: &self.classifier,
        };
        let processed = process(hit, headers, &client, &at)?;
        processed.apply(&self.sessions, &self.views);
        Ok(processed.event)
    }
}

fn person(gpc: bool) -> Headers<'static> {
    Headers { user_agent: PERSON, accept_language: "de-DE,de;q=0.9", gpc, ..Headers::default() }
}

fn any_keep() -> impl Strategy<Value = Keep> {
    prop_oneof![Just(Keep::UnlessRefused), Just(Keep::WithConsent), Just(Keep::Never)]
}

prop_compose! {
    fn any_policy()(
        measurement in any_keep(), analytics in any_keep(), preference in any_keep(), campaign in any_keep(),
        marketing in any_keep(), drop in any::<bool>(), gpc_refuses_analytics in any::<bool>(),
    ) -> Policy {
        let minimal = if drop { Minimal::Drop } else { Minimal::Count };
        Policy { measurement, analytics, preference, campaign, marketing, minimal, gpc_refuses_analytics }
    }
}

prop_compose! {
    fn any_hit()(
        kind in 0..Kind::ALL.len(), consent in proptest::option::of(0u8..16), view in 1u64..1_000, seq in 0u32..9,
        path in "/[a-z/]{0,20}", tagged in any::<bool>(), referred in any::<bool>(), engaged_ms in 0u32..100_000,
        decided in any::<bool>(),
    ) -> Hit {
        let query = if tagged { "?utm_source=s&utm_medium=m&utm_campaign=c&utm_content=d&utm_term=t&gclid=" } else { "" };
        Hit {
            kind: Kind::ALL[kind],
            view: ViewId(view),
            seq,
            consent,
            url: format!("https://a.example{path}{query}"),
            referrer: if referred { "https://www.google.com/search".into() } else { String::new() },
            width: Some(1_000),
            engaged_ms,
            scroll: 50,
            name: "Sign up".into(),
            interactive: true,
            props: vec![("plan".into(), "pro".into())],
            revenue: Some((sotto_schema::rowbinary::Decimal4(10_000), "EUR".into())),
            vitals: hit::Vitals { lcp_ms: 1, fcp_ms: 2, inp_ms: 3, ttfb_ms: 4, cls_milli: 5 },
            clicks: vec![hit::Click { path: "a>b".into(), at: [1, 2, 3, 4] }],
            returning: ReturningId(77),
            decision: decided.then(|| {
                Box::new(hit::Decision {
                    source: "banner".into(),
                    unmapped: vec!["C0009".into()],
                    receipt: Some(hit::Receipt { id: "0123456789abcdef".into(), policy: "1".into(), ..Default::default() }),
                })
            }),
            ..Hit::default()
        }
    }
}

#[test]
fn random_hits_reach_every_field() {
    let mut reached = FieldSet::EMPTY;
    let world = World::new(Preset::Cookieless.policy());
    for kind in Kind::ALL {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for _ in 0..50 {
            let hit = any_hit().new_tree(&mut runner).unwrap().current();
            let decided = Hit { kind: *kind, consent: Some(15), ..hit };
            let phone = Headers { user_agent: PHONE, ..person(false) };
            for headers in [person(true), phone] {
                if let Ok(event) = world.send(decided.clone(), &headers) {
                    reached = event.present().iter().fold(reached, FieldSet::with);
                }
            }
        }
    }
    let missed: Vec<_> = Field::ALL.iter().filter(|field| !reached.contains(**field)).collect();
    assert_eq!(missed, [] as [&Field; 0], "a property over hits that lack a field proves nothing about it");
}

proptest! {
    #[test]
    fn hit_never_stores_a_field_outside_the_allowed_categories(
        policy in any_policy(), hit in any_hit(), gpc in any::<bool>(),
    ) {
        let said = hit.consent.map_or(Consent::UNDECIDED, Consent::decided);
        let consent = policy.with_gpc(said, gpc);
        if let Ok(event) = World::new(policy).send(hit, &person(gpc)) {
            for field in event.present().iter() {
                let rule = field.rule();
                let state = consent.state(rule.category());
                prop_assert!(policy.keep(rule).allows(state), "{field:?} under {rule:?} in state {state:?}");
            }
        }
    }

    #[test]
    fn hit_has_exactly_one_outcome_and_the_same_one_again(policy in any_policy(), hit in any_hit(), gpc in any::<bool>()) {
        let world = World::new(policy);
        let first = world.send(hit.clone(), &person(gpc));
        // The second meets what the first left behind.
        prop_assert_eq!(first.clone(), world.send(hit.clone(), &person(gpc)));
        let measured = policy.allows(Rule::Measurement, policy.with_gpc(
            hit.consent.map_or(Consent::UNDECIDED, Consent::decided), gpc));
        match first {
            Ok(event) => prop_assert_eq!(event.tier == Tier::Full, measured && event.kind != Kind::Consent),
            Err(reason) => prop_assert!(!measured && reason == DropReason::ConsentRefused),
        }
    }
}

#[test]
fn hit_that_is_dropped_leaves_no_trace_in_visits_and_page_views() {
    let world = World::new(Preset::Cookieless.policy());
    let spam = Hit {
        view: ViewId(5),
        consent: Some(15),
        url: "https://a.example/x".into(),
        referrer: "https://semalt.com/".into(),
        ..Hit::default()
    };
    assert_eq!(world.send(spam, &person(false)).unwrap_err(), DropReason::ReferrerSpam);
    assert_eq!((world.sessions.count(), world.views.count()), (0, 0));
}

#[test]
fn event_with_personal_data_in_its_props_is_kept_without_them() {
    let world = World::new(Preset::Cookieless.policy());
    let props = [("mail", "anna@example.com"), ("a@b.example", "1"), ("c@d.example", "2"), ("plan", "pro")];
    let personal = Hit {
        kind: Kind::Custom,
        consent: Some(15),
        url: "https://a.example/x".into(),
        name: "Sign up".into(),
        props: props.map(|(key, value)| (key.into(), value.into())).to_vec(),
        ..Hit::default()
    };
    let stored = world.send(personal, &person(false)).unwrap().props;
    let stored: Vec<_> = stored.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(stored, [("mail", sanitise::MASKED), (sanitise::EMAIL, "1"), ("plan", "pro")]);
}

#[test]
fn withdrawal_takes_effect_on_the_next_hit() {
    let world = World::new(Preset::Strict.policy());
    let hit = |consent| Hit { consent, url: "https://a.example/".into(), view: ViewId(1), ..Hit::default() };
    let granted = world.send(hit(Some(15)), &person(false)).unwrap();
    assert_ne!((granted.visitor, granted.session), (VisitorKey::NONE, SessionId::NONE));
    let withdrawn = world.send(hit(Some(1)), &person(false)).unwrap();
    assert_eq!(
        (withdrawn.visitor, withdrawn.session, withdrawn.tier),
        (VisitorKey::NONE, SessionId::NONE, Tier::Minimal)
    );
    assert_eq!(Consent::decided(1).state(sotto_schema::policy::Category::Analytics), State::Refused);
}

#[test]
fn minimal_pageview_keeps_only_the_hour() {
    let world = World::new(Preset::Cnil.policy());
    let hit = |consent| Hit { consent, url: "https://a.example/".into(), ..Hit::default() };
    assert_eq!(world.send(hit(None), &person(false)).unwrap().time, Millis(NOW));
    let minimal = world.send(hit(Some(1)), &person(false)).unwrap();
    assert_eq!(minimal.time, Millis(NOW - NOW.rem_euclid(60 * 60 * 1000)));
}

#[test]
fn event_is_stored_with_the_page_of_its_view() {
    let world = World::new(Preset::Cnil.policy());
    let page = Hit { view: ViewId(5), url: "https://a.example/x".into(), ..Hit::default() };
    let report = |view| Hit { kind: Kind::Engagement, view, seq: 1, engaged_ms: 9, ..Hit::default() };
    world.send(page, &person(false)).unwrap();
    assert_eq!(world.send(report(ViewId(5)), &person(false)).unwrap().path, "/x");
    assert_eq!(world.send(report(ViewId(6)), &person(false)).unwrap().path, "");
}

#[test]
fn nothing_joins_a_visit_before_midnight_with_what_it_does_after_it() {
    let policy = Preset::Cookieless.policy();
    let (yesterday, mut world) = (World::new(policy), World::new(policy));
    let midnight = world.rules.day_end_ms(world.rules.day(NOW));
    world.rules = Rules::new(yesterday.rules.site.clone());
    world.salt = Salt::from_bytes([8; 32]);
    let view = |kind, view, url: &str| Hit {
        kind,
        view: ViewId(view),
        url: url.into(),
        engaged_ms: 5_000,
        numbered: true,
        ..Hit::default()
    };
    let before = yesterday.send_at(
        midnight - 1_000,
        None,
        view(Kind::Pageview, 3, "https://a.example/x"),
        &person(false),
    );
    let before = before.unwrap();
    // The program is one: it remembers visits and pages.
    world.sessions = yesterday.sessions;
    world.views = yesterday.views;
    let goes_on = |at, kind, number, url: &str| {
        world.send_at(midnight + at, Some(&yesterday.salt), view(kind, number, url), &person(false)).unwrap()
    };
    // The page that is open at midnight is read on, and another one is looked at.
    let read = goes_on(1_000, Kind::Engagement, 3, "");
    let next = goes_on(2_000, Kind::Pageview, 4, "https://a.example/y");
    assert_eq!((read.path.as_str(), read.session), ("/x", next.session), "the visit goes on");
    for after in [&read, &next] {
        assert!(after.session.is_some() && after.view.is_some() && after.visitor.is_some());
        let numbers = |event: &Event| [event.visitor.0, event.session.0, event.view.0];
        let joined: Vec<u64> = numbers(after).into_iter().filter(|n| numbers(&before).contains(n)).collect();
        assert_eq!(joined, [0u64; 0], "numbers under the keys of both days");
    }
    let again = goes_on(3_000, Kind::Engagement, 3, "");
    assert_eq!(again.view, read.view, "what is done on one page on one day has one number");
}

#[test]
fn receipt_is_kept_with_nothing_that_tells_whose_it_is() {
    let world = World::new(Preset::Cookieless.policy());
    let decision = hit::Decision {
        source: "banner".into(),
        receipt: Some(hit::Receipt {
            id: "0123456789abcdef".into(),
            policy: "2026-01".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let hit = Hit {
        kind: Kind::Consent,
        consent: Some(15),
        view: ViewId(3),
        url: "https://a.example/page".into(),
        referrer: "https://b.example/".into(),
        decision: Some(Box::new(decision)),
        ..Hit::default()
    };
    let event = world.send(hit, &person(false)).unwrap();
    assert_eq!((event.receipt.as_str(), event.notice_version.as_str()), ("0123456789abcdef", "2026-01"));
    assert_eq!((event.consent_source.as_str(), event.granted), ("banner", 15));
    let of_a_visit = [Field::Hostname, Field::Path, Field::ReferrerHost, Field::Country, Field::Device];
    let essential: FieldSet =
        fields_under(Rule::Essential).iter().filter(|field| !of_a_visit.contains(field)).collect();
    assert!(event.present().is_subset(essential), "{event:?}");
}

#[test]
fn report_of_unmapped_categories_is_kept_without_a_mask() {
    let world = World::new(Preset::Cnil.policy());
    let receipt = hit::Receipt { id: "0123456789abcdef".into(), ..Default::default() };
    for (unmapped, receipt, masks) in [
        (vec![], None, (5, 10)),
        (vec!["C0009".into()], None, (0, 0)),
        (vec!["C0009".into()], Some(receipt), (5, 10)),
    ] {
        let decision = hit::Decision { source: "onetrust".into(), unmapped, receipt };
        let hit = Hit {
            kind: Kind::Consent,
            consent: Some(5),
            decision: Some(Box::new(decision)),
            ..Hit::default()
        };
        let event = world.send(hit, &person(false)).unwrap();
        assert_eq!((event.granted, event.refused), masks);
        assert_eq!(event.consent_source, "onetrust");
    }
}

#[test]
fn visitor_key_depends_on_salt_site_address_and_agent() {
    let client = |address: &str| {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-forwarded-for", address.parse().unwrap());
        client_ip(Peer::LOOPBACK, &headers, &TrustedProxies::default())
    };
    let (salt, other) = (Salt::from_bytes([1; 32]), Salt::from_bytes([2; 32]));
    let key = visitor_key(&salt, SiteId(1), &client("192.0.2.1"), PERSON);
    assert_eq!(visitor_key(&salt, SiteId(1), &client("192.0.2.1"), PERSON), key);
    for (changed, what) in [
        (visitor_key(&other, SiteId(1), &client("192.0.2.1"), PERSON), "salt"),
        (visitor_key(&salt, SiteId(2), &client("192.0.2.1"), PERSON), "site"),
        (visitor_key(&salt, SiteId(1), &client("192.0.2.2"), PERSON), "address"),
        (visitor_key(&salt, SiteId(1), &client("2001:db8::1"), PERSON), "address"),
        (visitor_key(&salt, SiteId(1), &client("192.0.2.1"), "other"), "agent"),
    ] {
        assert_ne!(changed, key, "{what}");
    }
}

#[test]
fn visitor_is_known_again_only_after_a_yes_to_analytics() {
    let hit = Hit { returning: ReturningId(7), ..Hit::default() };
    let gpc = Consent::decided(15).refuse(Category::Analytics);
    for (said, expected) in [
        (Consent::decided(15), 7),
        (Consent::decided(5), 7),
        (Consent::decided(11), 0),
        (Consent::UNDECIDED, 0),
        (gpc, 0),
    ] {
        assert_eq!(returning(&hit, said), ReturningId(expected), "{said:?}");
    }
}
