//! What happens to the running program when one of its parts ends without being told to: each is killed, from inside by
//! the route that debug builds have for it, ClickHouse's process also from outside.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

use rustix::process::{Signal, kill_process};
use sotto_collector::supervise::Part;
use sotto_tests::{Answer, Sotto, free_port, request, wait_for, workspace};

use crate::peers::external;

/// Parts of `sotto serve` that are restarted.
const RESTARTED: [Part; 11] = [
    Part::Worker,
    Part::Admin,
    Part::Rules,
    Part::Upkeep,
    Part::Storing,
    Part::Deduplication,
    Part::Sealing,
    Part::Settling,
    Part::Ageing,
    Part::Mail,
    Part::Webhooks,
];
/// Those that only a collector has which has peers, and whose ClickHouse is another's and away.
const RESTARTED_IN_COLLECT: [Part; 4] =
    [Part::PeerListener, Part::PeerLink, Part::ClusterWatch, Part::Migrations];
/// Those that only a program has which speaks TLS itself.
const RESTARTED_WITH_TLS: [Part; 3] = [Part::Redirect, Part::Certificates, Part::Acme];
/// Those that end the program.
const FATAL: [Part; 3] = [Part::Spool, Part::Shipper, Part::ClickHouse];

fn ends(sotto: &Sotto, task: &str) -> u64 {
    let metrics = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    let name = format!("sotto_tasks_ended_total{{task=\"{task}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
}

fn tasks(sotto: &Sotto) -> String {
    let ready = request("GET", &format!("{}/readyz", sotto.admin), &[], b"");
    assert_eq!(ready.status, 200, "hits are kept all the while");
    ready.json()["tasks"].as_str().unwrap().to_owned()
}

#[test]
fn clickhouse_that_is_killed_is_counted_and_shows_until_it_is_back() {
    let mut sotto = Sotto::start();
    assert_eq!(tasks(&sotto), "ok");
    assert_eq!(ends(&sotto, "clickhouse"), 0);
    for pid in sotto.clickhouse_pids() {
        kill_process(pid, Signal::KILL).unwrap();
    }
    wait_for("the end to show", || (tasks(&sotto) == "clickhouse down; see the log").then_some(()));
    assert_eq!(ends(&sotto, "clickhouse"), 1);
    wait_for("the server to be back", || (tasks(&sotto) == "ok").then_some(()));
    assert_eq!(ends(&sotto, "clickhouse"), 1);
    for part in ["worker", "spool", "shipper", "storing", "admin"] {
        assert_eq!(ends(&sotto, part), 0, "{part}");
    }
    sotto.stop();
}

fn kill(sotto: &Sotto, part: Part) {
    let answer = request("POST", &format!("{}/kill/{}", sotto.admin, part.name()), &[], b"");
    assert_eq!(answer.status, 204, "{}", part.name());
}

fn readiness(sotto: &Sotto) -> Answer {
    request("GET", &format!("{}/readyz", sotto.admin), &[], b"")
}

/// Kills a part until the pause before its restart is long enough to be seen, then waits until all is well again.
fn shows_while_down_and_comes_back(sotto: &Sotto, part: Part) {
    let name = part.name();
    let shows = |answer: &Answer| answer.text().contains(&format!("{name} down"));
    wait_for(&format!("{name} to show"), || {
        kill(sotto, part);
        let ready = readiness(sotto);
        let expected = if shows(&ready) && part.keeps_hits() { 503 } else { 200 };
        assert!(!shows(&ready) || ready.status == expected, "{name}: {}", ready.text());
        // While the private listener itself is down it answers nothing; what waits is answered when it is back.
        (shows(&ready) || part == Part::Admin).then_some(())
    });
    wait_for(&format!("{name} to be back"), || (!readiness(sotto).text().contains(" down")).then_some(()));
}

#[test]
fn every_part_has_its_place_in_these_tests() {
    let tested = RESTARTED.iter().chain(&RESTARTED_IN_COLLECT).chain(&RESTARTED_WITH_TLS);
    let tested = tested.chain(&FATAL).chain([&Part::Dashboard]);
    let tested: BTreeSet<_> = tested.map(|part| part.name()).collect();
    assert_eq!(tested, Part::ALL.iter().map(|part| part.name()).collect());
}

#[test]
fn part_of_serve_that_is_killed_from_inside_is_counted_shown_and_restarted() {
    let mail = "[mail]\nserver = \"127.0.0.1\"\ntls = \"none\"\nfrom = \"stats@example.org\"\n";
    let mut sotto = Sotto::start_on(free_port(), mail);
    let key = sotto.add_site("a.example", &[]);
    let mut others: Vec<Part> = RESTARTED.to_vec();
    for (n, part) in RESTARTED.into_iter().enumerate() {
        shows_while_down_and_comes_back(&sotto, part);
        wait_for("the count", || (ends(&sotto, part.name()) > 0).then_some(()));
        others.retain(|other| *other != part);
        for other in &others {
            assert_eq!(ends(&sotto, other.name()), 0, "{} took {} down", part.name(), other.name());
        }
        // The program still does its work.
        let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v{n}","q":0,"u":"https://a.example/{n}"}}"#);
        assert_eq!(sotto.hit(&hit, &[]), 204, "after {}", part.name());
    }
    sotto.wait_for_pageviews(&key, RESTARTED.len() as u64);
    sotto.stop();
}

#[test]
fn part_of_collect_that_is_killed_from_inside_is_counted_shown_and_restarted() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("peers.key");
    fs::write(&key, "5a".repeat(32)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let [own, other, away] = [free_port(), free_port(), free_port()];
    let mut sotto = Sotto::start_part(
        "collect",
        &format!(
            "[clickhouse]\nurl = \"http://127.0.0.1:{away}\"\n[peers]\nname = \"c1\"\n\
             listen = \"127.0.0.1:{own}\"\nkey_file = \"{}\"\nothers = {{ c2 = \"127.0.0.1:{other}\" }}\n",
            key.display()
        ),
    );
    for part in RESTARTED_IN_COLLECT {
        shows_while_down_and_comes_back(&sotto, part);
        assert!(ends(&sotto, part.name()) > 0, "{}", part.name());
    }
    sotto.stop();
}

#[test]
fn part_of_tls_that_is_killed_from_inside_is_counted_shown_and_restarted() {
    let [http, away] = [free_port(), free_port()];
    let mut sotto = Sotto::start_with(&format!(
        "[tls]\nhttp_listen = \"127.0.0.1:{http}\"\n[tls.acme]\nhosts = [\"a.example\"]\naccept_terms = true\n\
         directory = \"https://127.0.0.1:{away}/\"\n"
    ));
    for part in RESTARTED_WITH_TLS {
        shows_while_down_and_comes_back(&sotto, part);
        assert!(ends(&sotto, part.name()) > 0, "{}", part.name());
    }
    let url = format!("http://127.0.0.1:{http}/");
    assert_eq!(request("GET", &url, &[("host", "a.example")], b"").status, 308);
    sotto.stop();
}

#[test]
fn listener_of_a_dashboard_alone_that_is_killed_from_inside_is_shown_and_restarted() {
    let host = Sotto::start();
    let mut dashboard = Sotto::start_part("dashboard", &external(&host));
    shows_while_down_and_comes_back(&dashboard, Part::Dashboard);
    let page = request("GET", &format!("{}/sign-in", dashboard.url), &[], b"");
    assert!(page.status < 400, "{}", page.status);
    dashboard.stop();
}

#[test]
fn part_that_cannot_be_restarted_ends_the_program_with_code_1_and_no_hit_is_lost() {
    let mut sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    for (n, part) in FATAL.into_iter().enumerate() {
        let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v{n}","q":0,"u":"https://a.example/{n}"}}"#);
        assert_eq!(sotto.hit(&hit, &[]), 204);
        kill(&sotto, part);
        assert_eq!(sotto.ended(), Some(1), "{}", part.name());
        let told = format!("{} ended without being told to", part.name());
        assert!(sotto.log().contains(&told), "{told}: {}", sotto.log());
        sotto.start_again();
    }
    sotto.wait_for_pageviews(&key, FATAL.len() as u64);
    sotto.stop();
}

/// Tests run debug builds; `cargo test --release` asks the route itself (`serve/admin.rs`).
#[test]
fn code_that_kills_tasks_is_in_debug_builds_only() {
    for (file, words, count) in [
        ("collector/sotto/src/serve/admin.rs", "board.kill(", 1),
        ("collector/src/supervise/board.rs", "kill.notif", 2),
        ("collector/src/supervise/board.rs", "kill: ", 1),
        ("collector/src/supervise/board.rs", "killed by a test", 1),
    ] {
        let text = fs::read_to_string(workspace().join(file)).unwrap();
        let found: Vec<usize> = text.match_indices(words).map(|(at, _)| at).collect();
        assert_eq!(found.len(), count, "{words} in {file}");
        for at in found {
            // The attribute stands before the item or the field: nothing else of its kind begins in between.
            let before = &text[..at];
            let attribute =
                before.rfind("#[cfg(debug_assertions)]").unwrap_or_else(|| panic!("{file}: {words}"));
            let between = &before[attribute..];
            assert!(between.matches("fn ").count() <= 1 && !between.contains("\n}\n"), "{file}: {words}");
        }
    }
}

/// The processors that each thread of a name may use.
#[cfg(target_os = "linux")]
fn processors(pid: rustix::process::Pid, name: &str) -> Vec<BTreeSet<usize>> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
    let of_task = |task: std::io::Result<fs::DirEntry>| {
        let task = task.ok()?;
        let is_called = fs::read_to_string(task.path().join("comm")).ok()?;
        let thread = rustix::process::Pid::from_raw(task.file_name().to_str()?.parse().ok()?)?;
        is_called.starts_with(name).then(|| allowed(Some(thread)))?
    };
    tasks.filter_map(of_task).collect()
}

/// The processors that a thread may use, `None` when it has ended.
#[cfg(target_os = "linux")]
fn allowed(thread: Option<rustix::process::Pid>) -> Option<BTreeSet<usize>> {
    use rustix::thread::{CpuSet, sched_getaffinity};

    let set = sched_getaffinity(thread).ok()?;
    Some((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

#[cfg(target_os = "linux")]
#[test]
fn workers_have_a_processor_each_and_what_they_are_beside_may_use_all() {
    let sotto = Sotto::start();
    let all = allowed(None).unwrap();
    let count = std::thread::available_parallelism().unwrap().get();
    // A limit of time instead of processors (cgroups) leaves more of them than workers.
    let each: BTreeSet<BTreeSet<usize>> = if count > 1 && all.len() == count {
        all.iter().map(|cpu| BTreeSet::from([*cpu])).collect()
    } else {
        BTreeSet::from([all.clone()])
    };
    // The program is ready as soon as one worker answers, and a thread that begins has the name of the one that began it.
    wait_for("a processor for each worker", || {
        let workers = processors(sotto.pid(), "worker-");
        (workers.len() == count && BTreeSet::from_iter(workers) == each).then_some(())
    });
    // Threads inherit the processors of those that start them.
    for name in ["spool", "dashboard", "sotto"] {
        wait_for(&format!("threads {name} to be free"), || {
            let others = processors(sotto.pid(), name);
            (!others.is_empty() && others.iter().all(|cpus| *cpus == all)).then_some(())
        });
    }
}
