//! kill -9 at random points.

use rustix::process::{Signal, kill_process};
use sotto_tests::{Sotto, wait_for};

use crate::{
    account::{Running, settle},
    extent,
};

#[allow(clippy::disallowed_methods)] // A variable of the test run, not of the product.
fn random() -> fastrand::Rng {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

#[test]
fn kills_of_collector_and_clickhouse_at_random_points_lose_and_double_nothing() {
    let mut random = random();
    let mut sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    let load = Running::start(&sotto, &site, 1_500.0);
    let mut kills = [0; 3];
    for _ in 0..extent(12, 90) {
        load.goes_on_for(random.u64(1..900));
        let victims = random.usize(..3);
        kills[victims] += 1;
        let database = wait_for("ClickHouse to be there", || {
            let pids = sotto.clickhouse_pids();
            (!pids.is_empty()).then_some(pids)
        });
        if victims != 1 {
            // If the collector is gone, its server exits by itself; when both are killed, it has no time to.
            if victims == 2 {
                kill_all(&database);
            }
            sotto.kill();
            sotto.start_again();
            load.target.moved_to(&sotto.url);
        } else {
            kill_all(&database);
        }
    }
    load.goes_on_for(500);
    let sent = load.end();
    let what =
        format!("kill -9 of the collector {} times, ClickHouse {}, both {}", kills[0], kills[1], kills[2]);
    settle(&sotto, &site, &sent, &what);
}

fn kill_all(pids: &[rustix::process::Pid]) {
    for pid in pids {
        // It may have exited by itself a moment ago.
        let _gone = kill_process(*pid, Signal::KILL);
    }
}
