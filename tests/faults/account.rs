//! Load during a fault, and the reconciliation afterwards.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use sotto_tests::{
    Noon, Sotto,
    load::{self, Load, Sent, Target, view_of},
    wait_for, wait_for_at_most,
};

/// Load that runs until it is stopped.
pub struct Running {
    pub target: Target,
    stop: Arc<AtomicBool>,
    sending: JoinHandle<Sent>,
}

/// Upper bound for the duration of a test.
const LONGEST: Duration = Duration::from_secs(1_800);
/// How long shipping a backlog may take on a busy machine.
const DRAIN: Duration = Duration::from_secs(300);

impl Running {
    /// Begins to send `rate` hits per second to `site`.
    pub fn start(sotto: &Sotto, site: &str, rate: f64) -> Self {
        let target = Target::new(&sotto.url);
        let load = Load {
            target: target.clone(),
            site: site.to_owned(),
            connections: 24,
            rate: Some(rate),
            time: LONGEST,
            threads: 1,
            first: 1,
            reconnect: true,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        Self { target, stop, sending: std::thread::spawn(move || load::run(&load, &flag)) }
    }

    /// Waits until `hits` more are acknowledged.
    pub fn goes_on_for(&self, hits: u64) {
        let wanted = self.target.acknowledged() + hits;
        wait_for("more hits to be acknowledged", || (self.target.acknowledged() >= wanted).then_some(()));
    }

    /// Stops the load and returns its result.
    pub fn end(self) -> Sent {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.sending.join().unwrap()
    }
}

/// Compares what was acknowledged with what is stored: raw rows, and the report on them.
pub fn settle(sotto: &Sotto, site: &str, sent: &Sent, what: &str) {
    wait_for_at_most(DRAIN, "everything to be shipped", || (sotto.waiting() == 0).then_some(()));
    let mut stored: BTreeMap<u64, u32> = BTreeMap::new();
    let mut pageviews = 0;
    for line in sotto.run(&["export", site]).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let view = &event["view"];
        let view = view.as_u64().or_else(|| view.as_str()?.parse().ok()).unwrap();
        *stored.entry(view).or_default() += 1;
        pageviews += u64::from(event["kind"] == "pageview");
    }
    let lost = sent.acknowledged.iter().filter(|n| !stored.contains_key(&view_of(**n))).count();
    let doubled = stored.values().filter(|count| **count > 1).count();
    println!(
        "{what}: {} acknowledged, {} refused, {} without an answer (of these {} stored), {lost} lost, {doubled} doubled",
        sent.acknowledged.len(),
        sent.refused.len(),
        sent.unanswered.len(),
        sent.unanswered.iter().filter(|n| stored.contains_key(&view_of(**n))).count(),
    );
    assert_eq!((lost, doubled), (0, 0), "{what}");
    let known: std::collections::BTreeSet<u64> = [&sent.acknowledged, &sent.refused, &sent.unanswered]
        .into_iter()
        .flatten()
        .map(|n| view_of(*n))
        .collect();
    assert!(stored.keys().all(|view| known.contains(view)), "{what}: something is stored that nobody sent");
    // The clock may have jumped: include the days around today.
    let noon = Noon::now();
    let [from, to] = [3, -3].map(|age| noon.day(age).to_string());
    let report = sotto.report(site, &["--metrics", "pageviews", "--from", &from, "--to", &to]);
    assert_eq!(
        report[0]["pageviews"].as_f64(),
        Some(pageviews as f64),
        "{what}: the report counts other pageviews"
    );
}
