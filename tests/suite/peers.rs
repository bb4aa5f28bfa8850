//! Two collectors of one installation, with one ClickHouse.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;
use sotto_tests::{PERSON, Road, Sotto, files, free_port, request, wait_for};

use crate::accounts;

/// Where the embedded server of a running Sotto is, as the configuration of another.
pub fn external(host: &Sotto) -> String {
    let text = fs::read_to_string(host.data().join("clickhouse/endpoint.json")).unwrap();
    let endpoint: Value = serde_json::from_str(&text).unwrap();
    let writer = &endpoint["writer"];
    format!(
        "[clickhouse]\nurl = {}\nuser = \"collector\"\npassword = {}\n",
        writer["url"], writer["password"]
    )
}

/// Two collectors, the roads between them, and the server they share.
struct Pair {
    collectors: [Sotto; 2],
    /// From the first to the second, and back.
    roads: [Road; 2],
    ports: [u16; 2],
    host: Sotto,
    _key: tempfile::TempDir,
}

impl Pair {
    fn start(apart: bool) -> Self {
        let host = Sotto::start();
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("peers.key");
        fs::write(&key, "5a".repeat(32)).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let (roads, ports) = ([Road::build(), Road::build()], [free_port(), free_port()]);
        let clickhouse = external(&host);
        let config = |own: usize| {
            format!(
                "{clickhouse}[peers]\nname = \"c{own}\"\nlisten = \"127.0.0.1:{}\"\nkey_file = \"{}\"\n\
                 others = {{ c{} = \"{}\" }}\n",
                ports[own],
                key.display(),
                1 - own,
                roads[own].address()
            )
        };
        let lead = |roads: &[Road; 2]| {
            roads[0].lead_to(&[&format!("127.0.0.1:{}", ports[1])]);
            roads[1].lead_to(&[&format!("127.0.0.1:{}", ports[0])]);
        };
        if !apart {
            lead(&roads);
        }
        let collectors = [Sotto::start_with(&config(0)), Sotto::start_with(&config(1))];
        let pair = Self { collectors, roads, ports, host, _key: dir };
        if !apart {
            pair.wait_until_met();
        }
        pair
    }

    fn meet(&self) {
        self.roads[0].lead_to(&[&format!("127.0.0.1:{}", self.ports[1])]);
        self.roads[1].lead_to(&[&format!("127.0.0.1:{}", self.ports[0])]);
        self.wait_until_met();
    }

    fn wait_until_met(&self) {
        wait_for("the collectors to meet", || {
            let met = self.collectors.iter().all(|c| metric(c, "sotto_peers_connected") == 1);
            met.then_some(())
        });
    }

    fn add_site(&self) -> String {
        let site = self.collectors[0].add_site("a.example", &[]);
        wait_for("the other collector to know the site", || {
            let before = self.collectors[1].outcomes("dropped", "bot_automated");
            let probe =
                format!(r#"{{"v":1,"s":"{site}","k":"p","i":"x","q":0,"b":1,"u":"https://a.example/"}}"#);
            self.collectors[1].hit(&probe, &[]);
            (self.collectors[1].outcomes("dropped", "bot_automated") > before).then_some(())
        });
        site
    }

    /// A balancer before both.
    fn balancer(&self) -> Road {
        Road::to(&[&self.collectors[0].url, &self.collectors[1].url])
    }

    /// Lines of the ledger: collector, event, commitment.
    fn ledger(&self) -> Vec<[String; 3]> {
        let lines: Vec<Value> = serde_json::from_str(&self.host.run(&["salts", "ledger", "--json"])).unwrap();
        let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
        lines.iter().map(|l| [text(l, "collector"), text(l, "event"), text(l, "commitment")]).collect()
    }
}

fn metric(sotto: &Sotto, name: &str) -> u64 {
    let metrics = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    let value = metrics.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} is missing")).parse::<f64>().unwrap() as u64
}

fn send(url: &str, body: &str, address: &str) {
    let headers = [("user-agent", PERSON), ("x-forwarded-for", address)];
    let answer = request("POST", &format!("{url}/e"), &headers, body.as_bytes());
    assert_eq!(answer.status, 204);
}

fn pageview(site: &str, view: &str) -> String {
    format!(r#"{{"v":1,"s":"{site}","k":"p","i":"{view}","q":0,"u":"https://a.example/{view}"}}"#)
}

fn event(site: &str, view: &str) -> String {
    format!(r#"{{"v":1,"s":"{site}","k":"x","i":"{view}","q":1,"n":"signup"}}"#)
}

fn events(sotto: &Sotto, site: &str) -> Vec<Value> {
    sotto.run(&["export", site]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn visitor_whose_hits_alternate_between_collectors_is_one_visitor_with_one_visit() {
    let pair = Pair::start(false);
    let site = pair.add_site();
    let balancer = pair.balancer();
    for n in 0..10 {
        for visitor in 0..5 {
            send(
                &balancer.url(),
                &pageview(&site, &format!("v{visitor}x{n}")),
                &format!("192.0.2.{visitor}"),
            );
        }
    }
    // What happens on a page may reach the collector that did not see the page view.
    for visitor in 0..5 {
        for n in 0..2 {
            send(&balancer.url(), &event(&site, &format!("v{visitor}x{n}")), &format!("192.0.2.{visitor}"));
        }
    }
    for collector in &pair.collectors {
        assert!(collector.outcomes("stored", "") >= 20, "the balancer uses both");
        for name in ["sotto_salts_alone_total", "sotto_salts_replaced_total", "sotto_peer_notes_lost_total"] {
            assert_eq!(metric(collector, name), 0, "{name}");
        }
    }
    let stored = wait_for("all hits", || {
        let stored = events(&pair.host, &site);
        (stored.len() == 60).then_some(stored)
    });
    let lost: Vec<_> = stored.iter().filter(|e| e["path"] == "" || e["session"] == 0).collect();
    assert!(lost.is_empty(), "every event has its page and visit: {lost:?}");
    let report = pair.collectors[1].report(&site, &["--metrics", "visitors,visits,pageviews"]);
    assert_eq!((&report[0]["visitors"], &report[0]["visits"]), (&5.into(), &5.into()), "{report:?}");
    assert_eq!(report[0]["pageviews"], 50);
}

#[test]
fn collector_and_dashboard_work_on_different_machines() {
    let host = Sotto::start();
    let config = external(&host);
    let collector = Sotto::start_part("collect", &config);
    let dashboard = Sotto::start_part("dashboard", &config);
    accounts::add_user(&dashboard, "owner@example.org", &["--role", "owner"]);
    let site = collector.add_site("a.example", &[]);
    send(&collector.url, &pageview(&site, "v1"), "192.0.2.1");
    collector.wait_for_pageviews(&site, 1);
    let cookie = accounts::cookie(&accounts::sign_in(&dashboard, "owner@example.org", accounts::PASSWORD));
    assert_eq!(accounts::status(&dashboard, &format!("/s/{site}"), &cookie), 200);
    let guess =
        |address| accounts::sign_in_from(&dashboard, address, "owner@example.org", "wrong password").status;
    let guesses: Vec<u16> = (0..11).map(|_| guess("203.0.113.9")).collect();
    assert_eq!((guesses[0], guesses[10]), (401, 429), "addresses are told apart: {guesses:?}");
    assert_eq!(guess("198.51.100.4"), 401);
    let status = |url: &str, path: &str| request("GET", &format!("{url}{path}"), &[], b"").status;
    assert_eq!(status(&collector.url, "/sign-in"), 404, "the collector has no dashboard");
    assert_eq!(status(&collector.url, "/s.js"), 200);
    assert_eq!(status(&dashboard.url, "/s.js"), 404, "and the other no collector");
    for (url, path) in
        [(&collector.admin, "/readyz"), (&dashboard.admin, "/readyz"), (&dashboard.admin, "/healthz")]
    {
        assert_eq!(status(url, path), 200, "{path}");
    }
}

#[test]
fn collectors_that_is_partitioned_lose_no_hit_and_agree_again_when_they_meet() {
    let pair = Pair::start(true);
    let site = pair.add_site();
    for (n, collector) in pair.collectors.iter().enumerate() {
        send(&collector.url, &pageview(&site, &format!("apart{n}")), "192.0.2.1");
        assert_eq!(metric(collector, "sotto_salts_alone_total"), 1);
        assert!(metric(collector, "sotto_hits_partitioned_total") >= 1);
        let ready = request("GET", &format!("{}/readyz", collector.admin), &[], b"");
        assert_eq!(ready.json()["peers"], "apart; visitors may count twice");
    }
    pair.meet();
    wait_for("one salt to be given up", || {
        let given_up: u64 = pair.collectors.iter().map(|c| metric(c, "sotto_salts_replaced_total")).sum();
        (given_up == 1).then_some(())
    });
    let balancer = pair.balancer();
    for n in 0..6 {
        send(&balancer.url(), &pageview(&site, &format!("met{n}")), "192.0.2.1");
    }
    pair.host.wait_for_pageviews(&site, 8);
    let stored = events(&pair.host, &site);
    let visitors = |part: &str| -> std::collections::BTreeSet<String> {
        let of = stored.iter().filter(|e| e["path"].as_str().unwrap().starts_with(part));
        of.map(|e| e["visitor"].to_string()).collect()
    };
    assert_eq!(visitors("/apart").len(), 2, "apart, a visitor of both counts twice");
    assert_eq!(visitors("/met").len(), 1);
    assert!(visitors("/met").is_subset(&visitors("/apart")), "one of the salts went on");
}

#[test]
fn salt_is_destroyed_on_every_collector_and_each_writes_it_into_the_ledger() {
    let pair = Pair::start(false);
    let site = pair.add_site();
    let balancer = pair.balancer();
    for n in 0..4 {
        send(&balancer.url(), &pageview(&site, &format!("v{n}")), "192.0.2.1");
    }
    let before = pair.collectors.each_ref().map(Sotto::salts);
    assert_eq!((before[0].len(), &before[0]), (1, &before[1]), "both have the same salt");
    let salt = before[0][0].clone();
    let told = |event: &'static str| {
        let ledger = pair.ledger();
        let of = |name: &str| {
            ledger
                .iter()
                .find(|[c, e, _]| c == name && e == event)
                .map(|[_, _, commitment]| commitment.clone())
        };
        of("c0").zip(of("c1"))
    };
    let (one, other) = wait_for("both births in the ledger", || told("born"));
    assert_eq!(one, other, "one salt, two copies");
    // The salts of a site that is gone die as those of a day that is over.
    pair.host.run(&["site", "remove", &site]);
    let (one_gone, other_gone) = wait_for("both deaths in the ledger", || told("died"));
    assert_eq!((&one_gone, &other_gone), (&one, &one));
    assert!(pair.host.run(&["salts", "ledger", "--verify"]).contains("chain intact, 0 salts alive"));
    for sotto in &pair.collectors {
        assert_eq!(sotto.salts(), Vec::<Vec<u8>>::new(), "nobody holds it any more");
    }
    for sotto in pair.collectors.iter().chain([&pair.host]) {
        for (place, bytes) in files(&sotto.data()) {
            assert!(!contains(&bytes, &salt), "in {}", place.display());
        }
        assert!(!sotto.log().contains(&salt.iter().map(|b| format!("{b:02x}")).collect::<String>()));
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
