//! What each stage of the road costs: `cargo bench -p sotto-collector --bench stages`.
//!
//! Real inputs: the bytes that the script sends, user agents and referrers as browsers send them. A place needs a
//! database: `*.mmdb` files in `target/bench-geoip` are used; without them the lookups find nothing.

use std::path::PathBuf;

use divan::{Bencher, black_box};
use http::{HeaderMap, HeaderValue};
use sotto_collector::{
    config::sites::rules::Rules,
    pipeline::{
        HitContext, bots,
        device::Classifier,
        dropin::{goatcounter, matomo, plausible, umami},
        hit::Headers,
        parse, process, referrer, sanitise,
    },
    visitor::{
        client_ip::{Peer, TrustedProxies, client_ip},
        page_view_cache::PageViewCache,
        salts::Salt,
        sessions::Sessions,
    },
};
use sotto_geoip::{GeoDb, NetworkKind};
use sotto_schema::{policy::Preset, site::Site};

fn main() {
    divan::main();
}

const PAGEVIEW: &[u8] = br#"{"v":1,"s":"k7f3","k":"p","i":"a1b2c3d4","q":0,"c":5,"u":"https://www.example.org/blog/2026/a-title?utm_source=newsletter&utm_medium=email","r":"https://www.google.com/","w":1440}"#;
const CUSTOM: &[u8] = br#"{"v":1,"s":"k7f3","k":"x","i":"a1b2c3d4","q":3,"c":5,"n":"Sign up","p":{"plan":"pro","seats":3},"m$":{"a":"12.34","c":"EUR"}}"#;
const PLAUSIBLE: &[u8] = br#"{"n":"pageview","u":"https://www.example.org/blog/a-title","d":"example.org","r":"https://www.google.com/","v":24}"#;
const UMAMI: &[u8] = br#"{"type":"event","payload":{"website":"550e8400-e29b-41d4-a716-446655440000","hostname":"example.org","language":"de","referrer":"https://www.google.com/","screen":"1920x1080","title":"T","url":"/blog/a-title"}}"#;
const MATOMO: &str = "idsite=1&rec=1&action_name=T&url=https%3A%2F%2Fexample.org%2Fblog%2Fa-title&urlref=https%3A%2F%2Fwww.google.com%2F&res=1920x1080&pv_id=aZ09bc&_id=0123456789abcdef&rand=1&apiv=1&send_image=0";
const GOATCOUNTER: &str =
    "p=%2Fblog%2Fa-title&t=T&r=https%3A%2F%2Fwww.google.com%2F&e=false&s=1920%2C1080%2C1&q=&rnd=abc";
const URL: &str = "https://www.example.org/blog/2026/11/21/a-title?utm_source=newsletter&utm_medium=email&utm_campaign=november&gclid=x";
const PERSONAL: &str =
    "https://www.example.org/users/anna.muster%40example.com/orders/550e8400-e29b-41d4-a716-446655440000";
const UA: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
const IN_APP: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/520.0.0.38.101;FBBV/1;FBDV/iPhone16,2;FBSV/18.5]";

#[divan::bench(args = ["pageview", "custom"])]
fn parse_native(bencher: Bencher<'_, '_>, kind: &str) {
    let body = if kind == "pageview" { PAGEVIEW } else { CUSTOM };
    bencher.bench(|| parse::hits(black_box(body)));
}

#[divan::bench]
fn parse_plausible() -> usize {
    plausible::event(black_box(PLAUSIBLE)).map_or(0, |hits| hits.len())
}

#[divan::bench]
fn parse_umami() -> bool {
    umami::send(black_box(UMAMI)).is_ok()
}

#[divan::bench]
fn parse_matomo() -> bool {
    matomo::request(black_box(MATOMO)).is_ok()
}

#[divan::bench]
fn parse_goatcounter() -> bool {
    goatcounter::count(
        black_box(GOATCOUNTER),
        goatcounter::Site { key: "k7f3", host: "example.org", page: "" },
    )
    .is_ok()
}

#[divan::bench]
fn find_client_address(bencher: Bencher<'_, '_>) {
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", HeaderValue::from_static("198.51.100.7, 10.0.0.3"));
    let trusted = TrustedProxies::parse(&["loopback", "private"]).expect("networks");
    let peer = Peer::new("10.0.0.2".parse().expect("address"));
    bencher.bench(|| client_ip(peer, black_box(&headers), &trusted).is_private());
}

#[divan::bench(args = ["tagged", "personal"])]
fn sanitise_page(bencher: Bencher<'_, '_>, kind: &str) {
    let url = if kind == "tagged" { URL } else { PERSONAL };
    bencher.bench(|| sanitise::page(black_box(url)));
}

#[divan::bench(args = ["", "https://www.google.com/", "https://blog.example.com/a/b", "https://www.example.org/a"])]
fn attribute_visit(bencher: Bencher<'_, '_>, from: &str) {
    bencher.bench(|| referrer::attribute("www.example.org", black_box(from), sanitise::Tags::default()));
}

#[divan::bench(args = ["desktop", "in-app"])]
fn classify_anew(bencher: Bencher<'_, '_>, kind: &str) {
    let user_agent = if kind == "desktop" { UA } else { IN_APP };
    let classifier = Classifier::new();
    let headers = Headers { user_agent, ..Headers::default() };
    bencher.bench(|| classifier.classify_anew(black_box(&headers)));
}

#[divan::bench]
fn classify_cached(bencher: Bencher<'_, '_>) {
    let classifier = Classifier::new();
    let headers = Headers { user_agent: UA, ch_platform: Some("\"Windows\""), ..Headers::default() };
    bencher.bench(|| classifier.classify(black_box(&headers)));
}

#[divan::bench]
fn judge_network() -> bool {
    let headers = Headers { user_agent: UA, accept_language: "de", ..Headers::default() };
    bots::of_network(NetworkKind::Hosting, black_box(&headers)).is_some()
}

/// The databases of places and networks, where there are any.
fn databases() -> GeoDb {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench-geoip"));
    let files: Vec<_> = std::fs::read_dir(directory)
        .map(|entries| entries.filter_map(|e| Some(e.ok()?.path())).collect())
        .unwrap_or_default();
    GeoDb::open(&files).0
}

#[divan::bench(args = ["place", "network"])]
fn look_up_random_address(bencher: Bencher<'_, '_>, what: &str) {
    let db = databases();
    let mut state = 1u32;
    bencher.bench_local(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let address = std::net::IpAddr::from(state.to_be_bytes());
        if what == "place" { db.place(address).is_some() } else { db.network(address).is_some() }
    });
}

/// The whole road of a native pageview with everything on: from the request's bytes and headers to the row that the
/// spool gets, without the disk.
#[divan::bench]
fn whole_road(bencher: Bencher<'_, '_>) {
    let site = Site::new("A", &["example.org"], "Europe/Paris", Preset::Cookieless).expect("a site");
    let (rules, salt, geo) = (Rules::new(site), Salt::from_bytes([7; 32]), databases());
    let (sessions, views, classifier) =
        (Sessions::new(100_000), PageViewCache::default(), Classifier::default());
    let mut sent = HeaderMap::new();
    sent.insert("x-forwarded-for", HeaderValue::from_static("8.8.8.8"));
    let headers = Headers { user_agent: UA, accept_language: "de-DE,de;q=0.9", ..Headers::default() };
    let proxies = TrustedProxies::default();
    let time_ms = 1_795_000_000_000;
    let mut row = Vec::new();
    bencher.bench_local(|| {
        let client = client_ip(Peer::LOOPBACK, &sent, &proxies);
        let hit = parse::hits(black_box(PAGEVIEW)).expect("a body").remove(0).expect("a hit");
        let at = HitContext {
            time_ms,
            day: rules.day(time_ms),
            rules: &rules,
            salt: Some(&salt),
            salt_before: None,
            sessions: &sessions,
            views: &views,
            geo: &geo,
            classifier: &classifier,
        };
        row.clear();
        let processed = process(hit, &headers, &client, &at).expect("an event");
        processed.apply(&sessions, &views);
        processed.event.encode(&mut row);
        black_box(row.len())
    });
}
