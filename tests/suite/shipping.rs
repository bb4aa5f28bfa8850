//! What goes wrong between the spool and ClickHouse, and at the end: refused batches, repeated hits, full disks, stops.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use sotto_collector::ship::REFUSALS_MAX;
use sotto_store::{
    db::{Access, Db},
    deduplication,
};
use sotto_tests::{PATIENCE, PERSON, Sotto, connect, request, wait_for};

/// Runs a statement on the server of a running Sotto, as its writer.
fn sql(sotto: &Sotto, statement: &str) {
    let access = writer(sotto);
    let url = format!(
        "{}/?user={}&password={}&database={}",
        access.url, access.user, access.password, access.database
    );
    let answer = request("POST", &url, &[], statement.as_bytes());
    assert_eq!(answer.status, 200, "{statement}: {}", answer.text());
}

fn writer(sotto: &Sotto) -> Access {
    let text = std::fs::read_to_string(sotto.data().join("clickhouse/endpoint.json")).unwrap();
    let endpoint: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(endpoint["writer"].clone()).unwrap()
}

fn pageview(site: &str, view: &str, path: &str) -> String {
    format!(r#"{{"v":1,"s":"{site}","k":"p","i":"{view}","q":0,"u":"https://a.example{path}"}}"#)
}

fn metric(sotto: &Sotto, name: &str) -> f64 {
    let metrics = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is missing")).parse().unwrap()
}

fn ready(sotto: &Sotto) -> (u16, Value) {
    let answer = request("GET", &format!("{}/readyz", sotto.admin), &[], b"");
    (answer.status, answer.json())
}

fn paths(sotto: &Sotto, site: &str) -> Vec<String> {
    let lines = sotto.run(&["export", site]);
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut paths: Vec<String> = events.map(|e| e["path"].as_str().unwrap().to_owned()).collect();
    paths.sort_unstable();
    paths
}

#[test]
fn batch_that_clickhouse_refuses_is_set_aside_with_an_alarm_and_replayed() {
    let sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    sql(&sotto, "ALTER TABLE events ADD CONSTRAINT no_secrets CHECK path != '/refused-by-all'");
    assert_eq!(sotto.hit(&pageview(&site, "v1", "/refused-by-all"), &[]), 204);
    wait_for("the batch to be set aside", || {
        (metric(&sotto, "sotto_set_aside_batches") == 1.0).then_some(())
    });
    assert_eq!(metric(&sotto, "sotto_set_aside_hits"), 1.0);
    assert_eq!(
        metric(&sotto, "sotto_ship_failures_total"),
        f64::from(REFUSALS_MAX - 1),
        "the last one is none"
    );
    let (status, readiness) = ready(&sotto);
    assert_eq!(status, 200, "hits can be kept");
    assert!(readiness["set_aside"].as_str().unwrap().starts_with("1 batches with 1 hits"), "{readiness}");
    wait_for("the log to say so", || sotto.log().contains("a batch was set aside").then_some(()));
    assert!(!sotto.log().contains("refused-by-all"), "what is in a hit is not logged");

    assert_eq!(sotto.hit(&pageview(&site, "v2", "/taken"), &[]), 204);
    sotto.wait_for_pageviews(&site, 1);
    let listed: Value = serde_json::from_str(&sotto.run(&["spool", "inspect", "--json"])).unwrap();
    let aside = listed.as_array().unwrap().last().unwrap();
    assert_eq!((&aside["records"], &aside["waiting"]), (&1.into(), &1.into()));
    assert_eq!(aside["state"], "set aside: VIOLATED_CONSTRAINT (code 469)");

    let (ok, out) = sotto.try_run(&["spool", "replay"], "");
    assert!(!ok && out.contains("VIOLATED_CONSTRAINT"), "{out}");
    sql(&sotto, "ALTER TABLE events DROP CONSTRAINT no_secrets");
    assert_eq!(sotto.run(&["spool", "replay"]), "1 hits that were set aside shipped\n");
    assert_eq!(paths(&sotto, &site), ["/refused-by-all", "/taken"]);
    wait_for("the alarm to end", || (metric(&sotto, "sotto_set_aside_batches") == 0.0).then_some(()));
}

#[test]
fn batch_that_was_set_aside_survives_a_kill_and_is_shipped_once_however_often_it_is_replayed() {
    let mut sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    sql(&sotto, "ALTER TABLE events ADD CONSTRAINT c CHECK path != '/x'");
    assert_eq!(sotto.hit(&pageview(&site, "v1", "/x"), &[]), 204);
    wait_for("the batch to be set aside", || {
        (metric(&sotto, "sotto_set_aside_batches") == 1.0).then_some(())
    });
    sotto.kill();
    sotto.start_again();
    assert_eq!(metric(&sotto, "sotto_set_aside_batches"), 1.0);
    sql(&sotto, "ALTER TABLE events DROP CONSTRAINT c");
    let dir = sotto.data().join("spool/aside");
    let file = std::fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    let copy = std::fs::read(&file).unwrap();
    for _ in 0..2 {
        std::fs::write(&file, &copy).unwrap();
        sotto.run(&["spool", "replay"]);
        assert!(!file.exists());
    }
    assert_eq!(paths(&sotto, &site), ["/x"]);
}

#[test]
fn server_that_would_count_a_repeated_batch_twice_is_found_out() {
    let mut sotto = Sotto::start();
    let told = |sotto: &Sotto| {
        wait_for("the check", || {
            let text = ready(sotto).1["deduplication"].as_str().unwrap().to_owned();
            (text != "not checked yet").then_some(text)
        })
    };
    assert_eq!(told(&sotto), "ok");
    assert_eq!(metric(&sotto, "sotto_deduplication_works"), 1.0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (change, flaws) in [
        ("ALTER TABLE events MODIFY SETTING non_replicated_deduplication_window = 999", 1),
        ("ALTER TABLE consent_receipts MODIFY SETTING non_replicated_deduplication_window = 0", 2),
        ("ALTER TABLE events MODIFY SETTING non_replicated_deduplication_window = 1000", 1),
        ("ALTER TABLE consent_receipts MODIFY SETTING non_replicated_deduplication_window = 1000", 0),
        ("ALTER TABLE outcomes MODIFY SETTING non_replicated_deduplication_window = 0", 0),
    ] {
        sql(&sotto, change);
        let found = runtime.block_on(deduplication::flaws(&Db::new(writer(&sotto)))).unwrap();
        assert_eq!(found.len(), flaws, "{change}: {found:?}");
    }
    sql(&sotto, "ALTER TABLE events MODIFY SETTING non_replicated_deduplication_window = 0");
    sotto.stop();
    sotto.start_again();
    assert!(told(&sotto).starts_with("table events remembers 0 batches"), "{}", told(&sotto));
    assert_eq!(metric(&sotto, "sotto_deduplication_works"), 0.0);
    wait_for("the log to say so", || sotto.log().contains("may be counted twice").then_some(()));
}

#[test]
fn hit_that_the_browser_sends_again_is_stored_once_also_after_a_kill() {
    let mut sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    let token: Value = serde_json::from_str(&sotto.run(&["token", "add", "ci", "--json"])).unwrap();
    let bearer = format!("Bearer {}", token[0]["token"].as_str().unwrap());
    let send = |sotto: &Sotto, body: &str| {
        let headers = [("user-agent", PERSON), ("authorization", bearer.as_str())];
        let answer = request("POST", &format!("{}/e", sotto.url), &headers, body.as_bytes());
        assert_eq!(answer.status, 204);
        answer.header("x-sotto-outcome").unwrap_or_default().to_owned()
    };
    let first = pageview(&site, "v1", "/1");
    let other = pageview(&site, "v2", "/2");
    let knows_the_token = |sotto: &Sotto| {
        wait_for("the token to be known", || {
            (!send(sotto, &pageview("nobody", "v", "/")).is_empty()).then_some(())
        });
    };
    knows_the_token(&sotto);
    assert_eq!(send(&sotto, &first), "stored");
    assert_eq!(send(&sotto, &format!("[{first},{other},{other}]")), "duplicate, stored, duplicate");
    let refused = first.replace("\"v1\"", "\"v3\"").replace("\"q\":0", "\"q\":0,\"c\":1");
    assert_eq!(send(&sotto, &refused), "minimised");
    assert_eq!(send(&sotto, &refused), "duplicate");
    assert_eq!(sotto.outcomes("dropped", "duplicate"), 3);
    sotto.wait_for_pageviews(&site, 3);
    // One is in ClickHouse, one in the spool only.
    for pid in sotto.clickhouse_pids() {
        kill_process(pid, Signal::STOP).unwrap();
    }
    assert_eq!(send(&sotto, &pageview(&site, "v4", "/4")), "stored");
    sotto.kill();
    sotto.start_again();
    knows_the_token(&sotto);
    for body in [first, other, pageview(&site, "v4", "/4")] {
        assert_eq!(send(&sotto, &body), "duplicate", "{body}");
    }
    assert_eq!(send(&sotto, &pageview(&site, "v5", "/5")), "stored");
    sotto.wait_for_pageviews(&site, 5);
    assert_eq!(paths(&sotto, &site), ["/1", "/1", "/2", "/4", "/5"], "/1 with and without consent");
}

/// A disk of two megabytes, for as long as this lives; `None` where mounting is not permitted.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(dir: &Path) -> Option<Self> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(dir).output();
        mount.is_ok_and(|done| done.status.success()).then(|| Self(dir.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _done = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn full_disk_is_answered_503_and_hits_are_taken_again_when_there_is_room() {
    // Where no small disk can be had, the spool's own limit is reached instead.
    let mut sotto = Sotto::start_with("[spool]\nsize_max = \"64MB\"\nsegment_size = \"1MB\"\n");
    let site = sotto.add_site("a.example", &[]);
    sotto.stop();
    let _disk = SmallDisk::mount(&sotto.data().join("spool"));
    sotto.start_again();
    let servers = sotto.clickhouse_pids();
    for pid in &servers {
        kill_process(*pid, Signal::STOP).unwrap();
    }
    let long = "x".repeat(1_900);
    let (mut sent, mut acknowledged) = (0, Vec::new());
    let refused = wait_for("the disk to be full", || {
        let numbers: Vec<u32> = (sent..sent + 30).collect();
        sent += 30;
        let hits: Vec<_> =
            numbers.iter().map(|n| pageview(&site, &format!("f{n}"), &format!("/{n}/{long}"))).collect();
        let body = format!("[{}]", hits.join(","));
        let headers = [("user-agent", PERSON)];
        let answer = request("POST", &format!("{}/e", sotto.url), &headers, body.as_bytes());
        if answer.status == 204 {
            acknowledged.extend(numbers);
            return None;
        }
        Some(answer)
    });
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert!(metric(&sotto, "sotto_spool_refused_total") >= 1.0);
    assert!(metric(&sotto, "sotto_spool_waiting_hits") >= acknowledged.len() as f64);
    assert_eq!(metric(&sotto, "sotto_spool_failing"), 1.0);
    let (status, readiness) = ready(&sotto);
    assert_eq!((status, &readiness["spool"]), (503, &"full or cannot be written".into()));
    for pid in &servers {
        kill_process(*pid, Signal::CONT).unwrap();
    }
    wait_for("hits to be taken again", || {
        (sotto.hit(&pageview(&site, "last", "/last"), &[]) == 204).then_some(())
    });
    assert_eq!(metric(&sotto, "sotto_spool_failing"), 0.0);
    wait_for("all to be shipped", || (metric(&sotto, "sotto_spool_waiting_hits") == 0.0).then_some(()));
    // Long paths are cut.
    let mut stored: Vec<String> =
        paths(&sotto, &site).iter().map(|path| path.split('/').nth(1).unwrap().to_owned()).collect();
    stored.sort_unstable();
    let mut expected: Vec<String> = acknowledged.iter().map(u32::to_string).collect();
    expected.push("last".into());
    expected.sort_unstable();
    assert_eq!(stored, expected, "each once");
    sotto.stop();
}

/// How long a stop takes that exits with 0.
fn stop(sotto: &mut Sotto) -> Duration {
    let began = Instant::now();
    sotto.stop();
    began.elapsed()
}

#[test]
fn idle_sotto_stops_at_once_with_connections_kept_alive() {
    let mut sotto = Sotto::start();
    let ask = b"GET /s.js HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut kept: Vec<_> = [&sotto.url, &sotto.admin].map(|url| connect(url)).into();
    for stream in &mut kept {
        stream.write_all(ask).unwrap();
        assert!(stream.read(&mut [0; 1000]).unwrap() > 0);
    }
    kept.push(connect(&sotto.url));
    // Measured: 0.05 s. The server waits 5 s for connections that were left open to it.
    let took = stop(&mut sotto);
    assert!(took < Duration::from_secs(4), "{took:?}");
    for stream in &mut kept {
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest);
    }
}

#[test]
fn stop_waits_for_a_request_under_way_within_its_bound() {
    let mut sotto = Sotto::start_with("[server]\ndrain_timeout = \"2s\"\n");
    let site = sotto.add_site("a.example", &[]);
    let body = pageview(&site, "v1", "/late");
    let head = format!(
        "POST /e HTTP/1.1\r\nHost: x\r\nUser-Agent: {PERSON}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut late = connect(&sotto.url);
    late.write_all(head.as_bytes()).unwrap();
    let mut never = connect(&sotto.url);
    never.write_all(head.as_bytes()).unwrap();
    // Both requests are being read when a third one, sent after them, is answered.
    for _ in 0..20 {
        assert_eq!(request("GET", &format!("{}/s.js", sotto.url), &[], b"").status, 200);
    }
    kill_process(sotto.pid(), Signal::TERM).unwrap();
    wait_for("the stop to begin", || sotto.log().contains("stopping").then_some(()));
    late.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let took = stop(&mut sotto);
    assert!(took < PATIENCE / 2, "{took:?}");
    sotto.start_again();
    sotto.wait_for_pageviews(&site, 1);
}

#[test]
fn stop_under_load_loses_and_doubles_nothing() {
    let mut sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    let workers: Vec<_> = (0..3)
        .map(|worker| {
            let (url, site) = (sotto.url.clone(), site.clone());
            std::thread::spawn(move || {
                let mut acknowledged = Vec::new();
                for n in 0.. {
                    let path = format!("/{worker}-{n}");
                    let body = pageview(&site, &format!("w{worker}x{n}"), &path);
                    let headers = [("user-agent", PERSON)];
                    match sotto_tests::try_request("POST", &format!("{url}/e"), &headers, body.as_bytes()) {
                        Ok(answer) if answer.status == 204 => acknowledged.push(path),
                        Ok(answer) => assert_eq!(answer.status, 503),
                        Err(_) => break,
                    }
                }
                acknowledged
            })
        })
        .collect();
    wait_for("some hits", || (sotto.outcomes("stored", "") > 300).then_some(()));
    let took = stop(&mut sotto);
    assert!(took < PATIENCE / 2, "{took:?}");
    let mut acknowledged: Vec<String> = workers.into_iter().flat_map(|w| w.join().unwrap()).collect();
    acknowledged.sort_unstable();
    let listed: Value = serde_json::from_str(&sotto.run(&["spool", "inspect", "--json"])).unwrap();
    let waiting: Vec<_> = listed.as_array().unwrap().iter().map(|segment| &segment["waiting"]).collect();
    assert!(waiting.iter().all(|waiting| **waiting == 0), "the stop shipped what it could: {waiting:?}");
    sotto.start_again();
    let stored = paths(&sotto, &site);
    let lost: Vec<_> = acknowledged.iter().filter(|path| stored.binary_search(path).is_err()).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let mut once = stored.clone();
    once.dedup();
    assert_eq!(once.len(), stored.len(), "hits are doubled");
}

#[test]
fn stop_without_clickhouse_leaves_hits_on_disk_for_the_next_start() {
    let mut sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    let servers = sotto.clickhouse_pids();
    for pid in &servers {
        kill_process(*pid, Signal::STOP).unwrap();
    }
    for n in 0..5 {
        assert_eq!(sotto.hit(&pageview(&site, &format!("v{n}"), &format!("/{n}")), &[]), 204);
    }
    // Shipping 5 s, the last counts 3 s, and the server itself 20 s before it is killed.
    let took = stop(&mut sotto);
    assert!(took < PATIENCE, "{took:?}");
    wait_for("the log to say so", || {
        sotto.log().contains("hits wait in the spool for the next start").then_some(())
    });
    sotto.start_again();
    sotto.wait_for_pageviews(&site, 5);
    assert_eq!(paths(&sotto, &site), ["/0", "/1", "/2", "/3", "/4"]);
}
