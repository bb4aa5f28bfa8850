//! Load during a fault, and the reconciliation afterwards.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use sotto_collector::pipeline::view_under;
use sotto_schema::id::{ViewId, VisitorKey};
use sotto_tests::{
    Noon, Sotto,
    load::{self, Load, Sent, Target, seq_of, view_of},
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
    let known = [&sent.acknowledged, &sent.refused, &sent.unanswered];
    let mut by_seq: HashMap<u32, Vec<u64>> = HashMap::new();
    known.into_iter().flatten().for_each(|n| by_seq.entry(seq_of(*n)).or_default().push(*n));
    let mut stored: HashMap<u64, u32> = HashMap::new();
    let (mut pageviews, mut strange) = (0, 0);
    for line in sotto.run(&["export", site]).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| {
            let value = &event[name];
            value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap()
        };
        let (visitor, view) = (VisitorKey(number("visitor")), ViewId(number("view")));
        let found = by_seq.get(&u32::try_from(number("seq")).unwrap());
        match found.and_then(|all| all.iter().find(|n| view_under(visitor, view_of(**n)) == view)) {
            Some(n) => *stored.entry(*n).or_default() += 1,
            None => strange += 1,
        }
        pageviews += u64::from(event["kind"] == "pageview");
    }
    let lost = sent.acknowledged.iter().filter(|n| !stored.contains_key(*n)).count();
    let doubled = stored.values().filter(|count| **count > 1).count();
    println!(
        "{what}: {} acknowledged, {} refused, {} without an answer (of these {} stored), {lost} lost, {doubled} doubled",
        sent.acknowledged.len(),
        sent.refused.len(),
        sent.unanswered.len(),
        sent.unanswered.iter().filter(|n| stored.contains_key(*n)).count(),
    );
    assert_eq!((lost, doubled), (0, 0), "{what}");
    assert_eq!(strange, 0, "{what}: something is stored that nobody sent");
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
