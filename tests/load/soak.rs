//! `make soak`: the same load for a long time. Memory must stay flat and every hit be accounted for.

use std::{
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use rustix::process::Pid;
use sotto_tests::{
    Sotto,
    load::{self, Load, Target},
    request, wait_for_at_most,
};

use crate::process::memory_mb;

const RATE: f64 = 2_000.0;
/// Highest allowed ratio of memory in the last third to the second. The first fills caches.
const GROWTH_MAX: f64 = 1.10;

/// Runs for `minutes`. Fails unless memory stayed flat and nothing was lost.
pub fn run(minutes: u64) -> ExitCode {
    let sotto = Sotto::start_as_configured("");
    let site = sotto.add_site("a.example", &[]);
    let time = Duration::from_secs(60 * minutes);
    let load = Load {
        target: Target::new(&sotto.url),
        site: site.clone(),
        connections: 64,
        rate: Some(RATE),
        time,
        threads: 1,
        first: 1,
        reconnect: false,
    };
    println!("{RATE:.0} hits/s for {minutes} min; anonymous memory in MB");
    let sending = std::thread::spawn(move || load::run(&load, &Arc::new(AtomicBool::new(false))));
    let (started, mut seen) = (Instant::now(), Vec::new());
    while !sending.is_finished() {
        std::thread::park_timeout(time / 30);
        let database = sotto.clickhouse_pids().first().map_or(0.0, |pid| anonymous(*pid));
        seen.push((anonymous(sotto.pid()), database));
        println!(
            "  {:>5} s  collector {:>7.1}  ClickHouse {:>7.1}",
            started.elapsed().as_secs(),
            seen[seen.len() - 1].0,
            database
        );
    }
    let sent = sending.join().expect("the sender does not panic");
    wait_for_at_most(Duration::from_secs(120), "everything to be shipped", || {
        (sotto.waiting() == 0).then_some(())
    });
    let stored = outcomes(&sotto);
    let grown = growth(&seen.iter().map(|s| s.0).collect::<Vec<_>>());
    println!("acknowledged {}, refused {}, stored {stored}", sent.acknowledged.len(), sent.refused.len());
    println!("collector, last third against the second: {grown:.2} (goal <= {GROWTH_MAX})");
    if grown <= GROWTH_MAX
        && sent.refused.is_empty()
        && sent.unanswered.is_empty()
        && stored == sent.acknowledged.len() as u64
    {
        ExitCode::SUCCESS
    } else {
        println!("FAILED");
        ExitCode::FAILURE
    }
}

fn anonymous(pid: Pid) -> f64 {
    memory_mb(pid, "RssAnon")
}

/// Mean of the last third divided by that of the second.
fn growth(values: &[f64]) -> f64 {
    let third = values.len() / 3;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    mean(&values[2 * third..]) / mean(&values[third..2 * third])
}

fn outcomes(sotto: &Sotto) -> u64 {
    let text = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    text.lines().find_map(|l| l.strip_prefix("sotto_shipped_hits_total ")?.parse().ok()).unwrap()
}
