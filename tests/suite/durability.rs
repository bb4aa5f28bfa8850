//! What was acknowledged is there, once, whatever was killed meanwhile.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use sotto_tests::{PERSON, Sotto, request, try_request, wait_for};

/// Sends hits one after the other until told to stop; the numbers of those that were acknowledged.
fn load(url: String, site: String, next: Arc<AtomicU32>, stop: Arc<AtomicBool>) -> BTreeSet<u32> {
    let mut acknowledged = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let body = format!(r#"{{"v":1,"s":"{site}","k":"p","i":"v{n}","q":0,"u":"https://a.example/{n}"}}"#);
        let answer = try_request("POST", &format!("{url}/e"), &[("user-agent", PERSON)], body.as_bytes());
        if answer.is_ok_and(|a| a.status == 204) {
            acknowledged.insert(n);
        }
    }
    acknowledged
}

/// Numbers of the stored hits, each as often as it is stored.
fn stored(sotto: &Sotto, site: &str) -> Vec<u32> {
    let lines = sotto.run(&["export", site]);
    let mut numbers: Vec<u32> = lines
        .lines()
        .filter_map(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            event["path"].as_str()?.trim_start_matches('/').parse().ok()
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn killed_collector_loses_and_doubles_nothing_it_acknowledged() {
    let mut sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    let (next, mut acknowledged) = (Arc::new(AtomicU32::new(0)), BTreeSet::new());
    for _round in 0..5 {
        let stop = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (url, site, next, stop) = (sotto.url.clone(), site.clone(), next.clone(), stop.clone());
                std::thread::spawn(move || load(url, site, next, stop))
            })
            .collect();
        let target = next.load(Ordering::Relaxed) + 400;
        wait_for("some hits", || (next.load(Ordering::Relaxed) >= target).then_some(()));
        sotto.kill();
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            acknowledged.extend(worker.join().unwrap());
        }
        sotto.start_again();
    }
    assert_kept(&sotto, &site, &acknowledged);
}

#[test]
fn killed_clickhouse_loses_and_doubles_nothing_that_was_acknowledged() {
    let sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    let next = Arc::new(AtomicU32::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (url, site, next, stop) = (sotto.url.clone(), site.clone(), next.clone(), stop.clone());
            let acknowledged = acknowledged.clone();
            std::thread::spawn(move || acknowledged.lock().unwrap().extend(load(url, site, next, stop)))
        })
        .collect();
    for _round in 0..4 {
        let target = next.load(Ordering::Relaxed) + 300;
        wait_for("some hits", || (next.load(Ordering::Relaxed) >= target).then_some(()));
        let killed = wait_for("the server to be there", || {
            let pids = sotto.clickhouse_pids();
            (!pids.is_empty()).then_some(pids)
        });
        for pid in killed {
            // It may have ended by itself a moment ago.
            let _gone = kill_process(pid, Signal::KILL);
        }
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert_eq!(acknowledged.len(), next.load(Ordering::Relaxed) as usize, "no hit was refused meanwhile");
    assert_kept(&sotto, &site, &acknowledged);
}

#[test]
fn damaged_spool_is_told_everywhere_and_the_hits_around_the_damage_are_stored() {
    let mut sotto = Sotto::start_as_configured("[ship]\ninterval = \"1h\"\n");
    let site = sotto.add_site("a.example", &[]);
    for n in 0..20 {
        let hit = format!(r#"{{"v":1,"s":"{site}","k":"p","i":"v{n}","q":0,"u":"https://a.example/{n}"}}"#);
        assert_eq!(sotto.hit(&hit, &[]), 204);
    }
    sotto.kill();
    let segment = std::fs::read_dir(sotto.data().join("spool"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "seg"))
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let page = bytes.windows(3).position(|window| window == b"/10").unwrap();
    // The header survives a broken byte; a hit does not.
    bytes[40] ^= 1;
    bytes[page] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let (ok, checks) = sotto.try_run(&["doctor"], "");
    assert!(!ok && checks.contains("1 files are damaged"), "{checks}");
    let inspected = sotto.run(&["spool", "inspect"]);
    assert!(inspected.contains("1 records cannot be read"), "{inspected}");
    sotto.start_again();
    let ready = request("GET", &format!("{}/readyz", sotto.admin), &[], b"");
    assert_eq!(ready.status, 200, "hits can be kept");
    let told = ready.json();
    assert!(told["damage"].as_str().unwrap().contains("1 places; 1 hits are lost"), "{told}");
    let metrics = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    for line in ["sotto_spool_damaged_places 1.0", "sotto_spool_lost_hits 1.0"] {
        assert!(metrics.lines().any(|told| told == line), "{line} is missing in {metrics}");
    }
    assert_eq!(sotto.log().matches("the spool is damaged").count(), 1, "{}", sotto.log());
    sotto.stop();
    sotto.run(&["spool", "replay"]);
    let expected: Vec<u32> = (0..20).filter(|n| *n != 10).collect();
    assert_eq!(stored(&sotto, &site), expected);
}

fn assert_kept(sotto: &Sotto, site: &str, acknowledged: &BTreeSet<u32>) {
    assert!(acknowledged.len() > 500, "{}", acknowledged.len());
    let last = acknowledged.last().unwrap();
    wait_for("the last hit to be shipped", || {
        let shipped = sotto.try_run(&["export", site], "").1.contains(&format!("\"/{last}\""));
        (shipped && sotto.waiting() == 0).then_some(())
    });
    let stored = stored(sotto, site);
    let once: BTreeSet<u32> = stored.iter().copied().collect();
    let lost: Vec<_> = acknowledged.difference(&once).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged hits are lost: {lost:?}", lost.len(), acknowledged.len());
    assert_eq!(stored.len(), once.len(), "hits are doubled");
}
