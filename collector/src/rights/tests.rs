use std::collections::BTreeSet;

use futures_util::FutureExt;
use sotto_schema::{claims, clock::Clock, day::Day, id::VisitorKey, policy::Preset, site::Site};
use sotto_store::db::{Access, Databases};

use super::*;
use crate::{
    config::{Config, Paths},
    peers::{self, Peers},
    state::{Lifetime, State},
    supervise::{Backoff, Supervisor},
    visitor::salts::Salts,
};

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
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

/// Noon, UTC, of day 20 000.
const NOON_MS: i64 = 20_000 * 24 * 60 * 60 * 1000 + 12 * 60 * 60 * 1000;
const TODAY: Day = Day(20_000);

/// A collector whose ClickHouse is away, with one site.
struct Host {
    state: Arc<State>,
    site: Arc<Rules>,
    /// Keeps the port.
    _bound: socket2::Socket,
    _data: tempfile::TempDir,
}

impl Host {
    fn new(site: Site) -> Self {
        let data = tempfile::tempdir().unwrap();
        // Bound and not listened on: connections are refused.
        let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        bound.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let port = bound.local_addr().unwrap().as_socket().unwrap().port();
        let db = Db::new(Access {
            url: format!("http://127.0.0.1:{port}"),
            database: "sotto".into(),
            user: "default".into(),
            password: String::new(),
        });
        let config = Config { data: data.path().into(), ..Config::default() };
        let databases = Databases { writer: db.clone(), reader: db };
        let clock = Clock::fixed(NOON_MS);
        let opened = State::open(config, &Paths::default(), databases, clock, Lifetime::Process);
        let (state, _readers) = opened.unwrap();
        let id = site.id;
        state.rules.replace(vec![site]).unwrap();
        Self { site: state.rules.by_id(id).unwrap(), state, _bound: bound, _data: data }
    }

    fn rights(&self, collector: Collector) -> Rights {
        Rights::new(Arc::new(collector), self.state.databases.writer.clone()).unwrap()
    }

    /// The key that the browser of [`ask`] has here today.
    fn key(&self) -> Option<VisitorKey> {
        let parts = ask("/privacy", 1);
        let peer = parts.extensions.get::<Peer>().unwrap();
        let client = client_ip::client_ip(*peer, &parts.headers, &self.state.config.server.trusted_proxies);
        let salt = self.state.salts.get(self.site.site.id, TODAY)?;
        Some(visitor_key(&salt, self.site.site.id, &client, "test"))
    }

    fn objected(&self) -> bool {
        self.key().is_some_and(|key| self.state.objections.contains(self.site.site.id, TODAY, key))
    }
}

fn site() -> Site {
    Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap()
}

/// What a browser behind a proxy sends from our own page.
fn ask(path: &str, browser: u8) -> Parts {
    let request = http::Request::post(path)
        .header("sec-fetch-site", "same-origin")
        .header("user-agent", "test")
        .header("x-forwarded-for", format!("192.0.2.{browser}"))
        .extension(Peer::LOOPBACK);
    request.body(()).unwrap().into_parts().0
}

fn about(site: &Rules) -> Asked {
    Asked { site: site.site.key.clone(), id: "4k2p9x0abz7q".into(), ..Asked::default() }
}

#[tokio::test]
async fn objection_before_the_first_hit_of_the_day_is_recorded() {
    let host = Host::new(site());
    let rights = host.rights(host.state.collector(None));
    let response = rights.act(&ask("/privacy/object", 1), about(&host.site)).await;
    assert!(host.objected(), "{}", response.status());
    assert_eq!(response.status(), StatusCode::OK, "also while the database is away");
}

#[tokio::test]
async fn objection_that_cannot_be_recorded_is_not_said_to_be() {
    let host = Host::new(site());
    let mut collector = host.state.collector(None);
    collector.salts = Arc::new(Salts::in_memory_at_most(0));
    let rights = host.rights(collector);
    let response = rights.act(&ask("/privacy/object", 1), about(&host.site)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(host.state.objections.is_empty());
}

#[tokio::test]
async fn objection_before_the_first_hit_of_the_day_is_recorded_at_every_collector() {
    let site = site();
    let hosts = [Host::new(site.clone()), Host::new(site)];
    let listeners: Vec<_> =
        (0..2).map(|_| crate::http::server::listen_alone(([127, 0, 0, 1], 0).into()).unwrap()).collect();
    let address = |n: usize| listeners[n].local_addr().unwrap().to_string();
    let settings = |n: usize| peers::Settings {
        name: format!("c{n}"),
        others: vec![(format!("c{}", 1 - n), address(1 - n))],
        key: zeroize::Zeroizing::new([7; 32]),
    };
    let peers = [0, 1].map(|n| Peers::new(settings(n), hosts[n].state.local()));
    let supervisors = [0, 1].map(|n| Supervisor::new(hosts[n].state.board.clone(), Backoff::default()));
    for ((peers, supervisor), listener) in peers.iter().zip(&supervisors).zip(listeners) {
        peers.start(listener, supervisor);
    }
    for peers in &peers {
        assert!(peers.meet(Duration::from_secs(30)).await);
    }
    for (n, host) in hosts.iter().enumerate() {
        let rights = host.rights(host.state.collector(Some(peers[n].clone())));
        if n == 0 {
            let response = rights.act(&ask("/privacy/object", 1), about(&host.site)).await;
            assert_eq!(response.status(), StatusCode::OK);
        }
    }
    assert!(hosts[0].objected());
    let told = async {
        while !hosts[1].objected() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), told).await.expect("the other collector to hear of it");
    let commitment = |host: &Host| host.state.salts.get(host.site.site.id, TODAY).map(|s| s.commitment());
    assert_eq!(commitment(&hosts[0]), commitment(&hosts[1]), "one salt");
    for (supervisor, peers) in supervisors.iter().zip(&peers) {
        supervisor.stop();
        supervisor.ended().await;
        peers.ended().await;
    }
}

#[test]
fn erasures_that_are_cut_give_their_places_back() {
    // An erasure is under way from when it is asked for until it is polled to its end, which it never is here.
    let host = Host::new(site());
    let rights = host.rights(host.state.collector(None));
    for browser in 0..=ERASURES_MAX {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let parts = ask("/privacy/erase", u8::try_from(browser).unwrap());
        let erasing = async { rights.act(&parts, about(&host.site)).now_or_never() };
        let answer = runtime.block_on(erasing).map(|response| response.status());
        assert_eq!(answer, None, "erasure {browser} is under way");
        // The erasure ends with the runtime, wherever it was.
    }
}

#[tokio::test]
async fn erasures_that_panic_give_their_places_back() {
    let host = Host::new(site());
    let rights = host.rights(host.state.collector(None));
    for _ in 0..=ERASURES_MAX {
        let erasure = Erasure {
            collector: rights.collector.clone(),
            db: rights.db.clone(),
            erasing: rights.erasing.clone(),
            _place: rights.places.clone().try_acquire_owned().expect("a place is free"),
            receipt: String::new(),
            shown: Shown::default(),
        };
        let panics = async move {
            let _erasure = erasure;
            panic!("in the middle");
        };
        assert!(tokio::spawn(panics).await.is_err());
    }
}
