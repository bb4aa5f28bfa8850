//! What happens when a part of the running program ends from outside. That tasks and threads which panic are started
//! again is proven in `collector/src/supervise/tests.rs`.

use rustix::process::{Signal, kill_process};
use sotto_tests::{Sotto, request, wait_for};

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
