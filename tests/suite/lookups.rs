//! Sites that a running collector does not know yet: added by a command, or invented.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use rustix::process::{Signal, kill_process};
use sotto_collector::config::sites::lookups::{READS_PER_SECOND_MAX, WAITING_PER_BLOCK_MAX};
use sotto_tests::{Answer, PERSON, Sotto, request};

/// How many keys are invented.
const INVENTED: usize = 10_000;
/// How many clients send them at once, from one address: more than may wait.
const CLIENTS: usize = WAITING_PER_BLOCK_MAX * 4;

fn send(sotto: &Sotto, site: &str, view: &str) -> Answer {
    let body = format!(r#"{{"v":1,"s":"{site}","k":"p","i":"{view}","q":0,"u":"https://a.example/"}}"#);
    request("POST", &format!("{}/e", sotto.url), &[("user-agent", PERSON)], body.as_bytes())
}

/// Adds a site as another process, and does not wait until the collector knows it.
fn add(sotto: &Sotto, hostname: &str) -> String {
    let listed = sotto.run(&["site", "add", hostname, "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    listed[0]["key"].as_str().unwrap().to_owned()
}

fn metric(sotto: &Sotto, name: &str) -> u64 {
    let metrics = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    let found = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    found.unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

#[test]
fn first_hit_of_a_site_that_another_process_added_is_stored() {
    let sotto = Sotto::start();
    for n in 1..=3 {
        let key = add(&sotto, "a.example");
        assert_eq!(send(&sotto, &key, "first").status, 204);
        assert_eq!(sotto.outcomes("stored", ""), n);
        assert_eq!(sotto.outcomes("dropped", "unknown_site"), 0);
    }
}

#[test]
fn site_that_sends_before_it_is_added_counts_from_its_first_hit_after() {
    let sotto = Sotto::start();
    let send = || {
        let body = br#"{"n":"pageview","u":"https://b.example/","d":"b.example"}"#;
        request("POST", &format!("{}/api/event", sotto.url), &[("user-agent", PERSON)], body).status
    };
    assert_eq!(send(), 202);
    assert_eq!(sotto.outcomes("dropped", "unknown_site"), 1);
    add(&sotto, "b.example");
    assert_eq!(send(), 202);
    assert_eq!((sotto.outcomes("stored", ""), sotto.outcomes("dropped", "unknown_site")), (1, 1));
}

#[test]
fn flood_of_invented_keys_reads_the_sites_a_few_times_and_costs_no_hit() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let (stored, read) = (sotto.outcomes("stored", ""), metric(&sotto, "sotto_sites_read_total"));
    let (began, next) = (Instant::now(), AtomicUsize::new(0));
    let (dropped, sent_away) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let kept = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= INVENTED {
                            return;
                        }
                        let answer = send(&sotto, &format!("invented-{n}"), "v");
                        match answer.status {
                            204 => &dropped,
                            503 if answer.header("retry-after").is_some() => &sent_away,
                            status => panic!("{status}"),
                        }
                        .fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let mut kept = 0;
        while clients.iter().any(|client| !client.is_finished()) {
            assert_eq!(send(&sotto, &key, &format!("known{kept}")).status, 204, "a known site never waits");
            kept += 1;
        }
        kept
    });
    let reads = metric(&sotto, "sotto_sites_read_total") - read;
    let reads_max = (began.elapsed().as_secs() + 1) * u64::from(READS_PER_SECOND_MAX) + 1;
    assert!(reads <= reads_max, "{reads} readings, at most {reads_max} were allowed");
    let (dropped, sent_away) = (dropped.into_inner(), sent_away.into_inner());
    assert_eq!(dropped + sent_away, INVENTED);
    // How many wait at once depends on the machine; the limit itself is tested beside it.
    assert_eq!(metric(&sotto, "sotto_sites_undecided_total"), sent_away as u64);
    assert_eq!(sotto.outcomes("stored", "") - stored, kept, "no hit of a known site is lost");
}

#[test]
fn hit_of_an_unknown_site_is_told_to_come_back_while_clickhouse_hangs() {
    let sotto = Sotto::start();
    let signal = |signal| {
        for pid in sotto.clickhouse_pids() {
            kill_process(pid, signal).unwrap();
        }
    };
    signal(Signal::STOP);
    let answer = send(&sotto, "nobody", "v");
    signal(Signal::CONT);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_eq!(sotto.outcomes("dropped", "unknown_site"), 0, "it has no outcome yet");
    assert_eq!(send(&sotto, "nobody", "v").status, 204);
    assert_eq!(sotto.outcomes("dropped", "unknown_site"), 1);
}

/// Makes a token as another process, and does not wait until the collector knows it.
fn add_token(sotto: &Sotto, site: &str) -> String {
    let listed = sotto.run(&["token", "add", "import", "--site", site, "--scope", "write", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    listed[0]["token"].as_str().unwrap().to_owned()
}

fn goatcounter(sotto: &Sotto, token: &str) -> Answer {
    let body = br#"{"hits":[{"path":"/a","ip":"198.51.100.7","user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}]}"#;
    let bearer = format!("Bearer {token}");
    let headers = [("user-agent", "a program"), ("authorization", bearer.as_str())];
    request("POST", &format!("{}/api/v0/count", sotto.url), &headers, body)
}

/// In Matomo's format: of a program, which is dropped as one unless its token vouches for the claimed browser.
fn matomo(sotto: &Sotto, token: &str, sites: &[&str]) -> Answer {
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let line = |site: &&str| {
        // A page's host names a site, too.
        let host = if site.contains('.') { site } else { "a.example" };
        let url = format!("https://{host}/");
        serde_json::json!({"rec": "1", "idsite": site, "url": url, "ua": agent, "cip": "198.51.100.7"})
    };
    let requests: Vec<_> = sites.iter().map(line).collect();
    let body = serde_json::json!({"token_auth": token, "requests": requests}).to_string();
    let headers = [("user-agent", "Piwik/LogImport"), ("content-type", "application/json")];
    request("POST", &format!("{}/matomo.php", sotto.url), &headers, body.as_bytes())
}

#[test]
fn token_that_another_process_made_is_used_from_its_first_request() {
    let sotto = Sotto::start();
    let key = add(&sotto, "a.example");
    let mut stored = 0;
    for _ in 0..2 {
        assert_eq!(goatcounter(&sotto, &add_token(&sotto, &key)).status, 202);
        let answer = matomo(&sotto, &add_token(&sotto, &key), &[&key]);
        assert_eq!(answer.json()["tracked"], 1, "{}", answer.text());
        // Site and token of one moment.
        let key = add(&sotto, "a.example");
        let answer = matomo(&sotto, &add_token(&sotto, &key), &[&key]);
        assert_eq!(answer.json()["tracked"], 1, "{}", answer.text());
        stored += 3;
        assert_eq!(sotto.outcomes("stored", ""), stored);
    }
    assert_eq!(goatcounter(&sotto, "sotto_invented").status, 401);
}

#[test]
fn hits_of_known_sites_are_kept_while_another_of_the_batch_cannot_be_looked_up() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &["--policy", "cookieless"]);
    let token = add_token(&sotto, &key);
    assert_eq!(goatcounter(&sotto, &token).status, 202);
    let hit = |site: &str, view: &str| {
        format!(r#"{{"v":1,"s":"{site}","k":"p","i":"{view}","q":0,"u":"https://a.example/"}}"#)
    };
    let native = || {
        let body = format!("[{},{}]", hit(&key, "known"), hit("nobody", "unknown"));
        request("POST", &format!("{}/e", sotto.url), &[("user-agent", PERSON)], body.as_bytes()).status
    };
    let umami = || {
        let event = |host: &str| serde_json::json!({"type": "event", "payload": {"website": host, "url": "/", "hostname": host}});
        let body = serde_json::json!([event("a.example"), event("nobody.example")]).to_string();
        request("POST", &format!("{}/api/batch", sotto.url), &[("user-agent", PERSON)], body.as_bytes())
            .json()
    };
    let signal = |signal| {
        for pid in sotto.clickhouse_pids() {
            kill_process(pid, signal).unwrap();
        }
    };
    let before = sotto.outcomes("stored", "");
    signal(Signal::STOP);
    let (first, batch, bulk) = (native(), umami(), matomo(&sotto, &token, &[&key, "nobody.example", &key]));
    let stored = sotto.outcomes("stored", "") - before;
    signal(Signal::CONT);
    assert_eq!(
        (first, stored),
        (503, 4),
        "the sender comes back, and what is known is kept: {}",
        bulk.text()
    );
    assert_eq!(
        (&bulk.json()["tracked"], &bulk.json()["invalid_indices"]),
        (&2.into(), &serde_json::json!([1]))
    );
    assert_eq!(
        (&batch["processed"], &batch["errors"], &batch["details"][0]["index"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!(native(), 204);
    assert_eq!(sotto.outcomes("dropped", "duplicate"), 1, "kept once");
    assert_eq!(sotto.outcomes("stored", "") - before, 4);
    let batch = umami();
    assert_eq!(
        (&batch["processed"], &batch["errors"]),
        (&2.into(), &0.into()),
        "a site that is not there is an outcome"
    );
}
