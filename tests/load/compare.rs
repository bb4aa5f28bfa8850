//! The comparison: interleaved rounds at full speed, then at half of it, then at fixed rates.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{Child, Command},
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use rustix::process::Pid;
use sotto_tests::{
    Sotto, free_port,
    load::{self, Load, Sent, Target},
    request, wait_for_at_most,
};

use crate::process::{cpu, memory_mb};

/// How long each part takes.
pub struct Plan {
    rounds: usize,
    round: Duration,
    half: Duration,
    rate_10k: Duration,
    sustained: Duration,
}

impl Plan {
    /// For publishable figures: about four minutes.
    pub fn full() -> Self {
        let s = Duration::from_secs;
        Self { rounds: 5, round: s(6), half: s(10), rate_10k: s(15), sustained: s(60) }
    }

    /// For a quick check while changing the code.
    pub fn quick() -> Self {
        let s = Duration::from_secs;
        Self { rounds: 2, round: s(4), half: s(4), rate_10k: s(4), sustained: s(10) }
    }
}

/// Every simulated browser has its own connection.
const CONNECTIONS: usize = 512;
/// How long shipping the backlog of a full-speed round may take.
const DRAIN: Duration = Duration::from_secs(120);

/// One server under load.
struct Server<'a> {
    target: Target,
    pid: Pid,
    /// The embedded ClickHouse; none for the bare one.
    database: Option<Pid>,
    site: String,
    sotto: Option<&'a Sotto>,
}

/// The result of one part of a run.
struct Part {
    sent: Sent,
    /// CPU per acknowledged hit, in microseconds: the server's own, and ClickHouse's until everything was shipped.
    cpu_us: f64,
    database_us: f64,
    /// Hits waiting in the spool when the load ended.
    waiting: f64,
    /// How long shipping them took.
    drained: Duration,
}

impl Server<'_> {
    fn part(&self, rate: Option<f64>, time: Duration, first: &mut u64) -> Part {
        let load = Load {
            target: self.target.clone(),
            site: self.site.clone(),
            connections: CONNECTIONS,
            rate,
            time,
            threads: 2,
            first: *first,
            reconnect: false,
        };
        let before = (cpu(self.pid), self.database.map(cpu).unwrap_or_default());
        let sent = load::run(&load, &Arc::new(AtomicBool::new(false)));
        *first += (sent.acknowledged.len() + sent.refused.len() + sent.unanswered.len()) as u64;
        assert!(
            sent.refused.is_empty() && sent.unanswered.is_empty(),
            "{} refused, {} unanswered",
            sent.refused.len(),
            sent.unanswered.len()
        );
        let waiting = self.waiting();
        let ended = Instant::now();
        wait_for_at_most(DRAIN, "the backlog to be shipped", || (self.waiting() == 0.0).then_some(()));
        let drained = ended.elapsed();
        let per_hit = |d: Duration| d.as_secs_f64() * 1e6 / sent.acknowledged.len() as f64;
        let cpu_us = per_hit(cpu(self.pid) - before.0);
        let database_us = per_hit(self.database.map(cpu).unwrap_or_default() - before.1);
        Part { sent, cpu_us, database_us, waiting, drained }
    }

    fn waiting(&self) -> f64 {
        let Some(sotto) = self.sotto else { return 0.0 };
        metric(sotto, "sotto_spool_waiting_hits")
    }
}

fn metric(sotto: &Sotto, name: &str) -> f64 {
    let text = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    line.unwrap_or_else(|| panic!("no metric {name}"))
}

struct Bare(Child);

impl Drop for Bare {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn start_bare() -> (Bare, SocketAddr) {
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let program = std::env::current_exe().unwrap();
    let bare = Bare(Command::new(program).args(["bare", &address.to_string()]).spawn().unwrap());
    wait_for_at_most(DRAIN, "the bare server", || std::net::TcpStream::connect(address).ok());
    (bare, address)
}

/// Like production: default shipping, and a spool limit that is never reached.
const CONFIG: &str = "[spool]\nsize_max = \"8 GiB\"\n";

/// The whole comparison, printed.
pub fn run(plan: &Plan) {
    let sotto = Sotto::start_as_configured(CONFIG);
    let site = sotto.add_site("a.example", &[]);
    let (bare, bare_address) = start_bare();
    let bare = Server {
        target: Target::new(&format!("http://{bare_address}")),
        pid: Pid::from_child(&bare.0),
        database: None,
        site: site.clone(),
        sotto: None,
    };
    let ours = Server {
        target: Target::new(&sotto.url),
        pid: sotto.pid(),
        database: sotto.clickhouse_pids().first().copied(),
        site,
        sotto: Some(&sotto),
    };
    let mut first = 1;
    at_10k(plan, &ours, &mut first);
    bare.part(None, Duration::from_secs(2), &mut first);
    ours.part(None, Duration::from_secs(2), &mut first);
    let maximum = full_speed(plan, &bare, &ours, &mut first);
    half_speed(plan, &bare, &ours, maximum, &mut first);
    sustained(plan, &sotto, &ours, &mut first);
    let kept = metric(&sotto, "sotto_hits_total{outcome=\"stored\",reason=\"\"}");
    println!("\nstored in all: {kept:.0} of {} hits sent to Sotto or the bare server", first - 1);
}

/// A fresh process at a steady rate: its memory.
fn at_10k(plan: &Plan, ours: &Server<'_>, first: &mut u64) {
    let part = ours.part(Some(10_000.0), plan.rate_10k, first);
    println!(
        "10,000 hits/s for {} s: {:.0} acknowledged/s, p99 {:.2} ms",
        plan.rate_10k.as_secs(),
        part.sent.rate(),
        part.sent.quantile_ms(0.99)
    );
    println!(
        "  collector: anonymous memory {:.1} MB (goal <= 100 MB at 10k hits/s), mapped files {:.1} MB, at most so far {:.1} MB",
        memory_mb(ours.pid, "RssAnon"),
        memory_mb(ours.pid, "RssFile"),
        memory_mb(ours.pid, "VmHWM")
    );
}

/// Rounds as fast as answers come. Returns the median of ours, in hits per second.
fn full_speed(plan: &Plan, bare: &Server<'_>, ours: &Server<'_>, first: &mut u64) -> f64 {
    println!(
        "full speed, {CONNECTIONS} connections, {} s each, load generator on the same cores",
        plan.round.as_secs()
    );
    println!(
        "{:>7} {:>10} {:>8} {:>10} {:>8} {:>8} {:>10} {:>8}  waiting, drained in",
        "", "bare /s", "us/hit", "sotto /s", "us/hit", "+ch us", "ratio", "cpu x"
    );
    let mut rows = Vec::new();
    for round in 1..=plan.rounds {
        let b = bare.part(None, plan.round, first);
        let s = ours.part(None, plan.round, first);
        let row = [
            b.sent.rate(),
            b.cpu_us,
            s.sent.rate(),
            s.cpu_us,
            s.database_us,
            s.sent.rate() / b.sent.rate(),
            s.cpu_us / b.cpu_us,
        ];
        println!("{round:>7} {}  {:.0}, {:.1} s", cells(&row), s.waiting, s.drained.as_secs_f64());
        rows.push(row);
    }
    let median = std::array::from_fn(|n| {
        let mut column: Vec<f64> = rows.iter().map(|r| r[n]).collect();
        column.sort_by(f64::total_cmp);
        column[column.len() / 2]
    });
    println!(" median {}", cells(&median));
    println!("   goal {:>10} {:>8} {:>10} {:>8} {:>8} {:>10} {:>8}", "", "", "", "", "", ">= 0.50", "<= 2.3");
    median[2]
}

fn cells(row: &[f64; 7]) -> String {
    let [b, b_us, s, s_us, ch_us, ratio, cpu] = row;
    format!("{b:>10.0} {b_us:>8.2} {s:>10.0} {s_us:>8.2} {ch_us:>8.2} {ratio:>10.2} {cpu:>8.2}")
}

fn half_speed(plan: &Plan, bare: &Server<'_>, ours: &Server<'_>, maximum: f64, first: &mut u64) {
    let rate = maximum / 2.0;
    println!("\nat {rate:.0} hits/s (half of ours), from when a hit was due:   p50      p99    p99.9 ms");
    for (name, server) in [("bare", bare), ("sotto", ours), ("bare", bare), ("sotto", ours)] {
        let sent = server.part(Some(rate), plan.half, first).sent;
        println!(
            "{name:>52} {:>10.2} {:>8.2} {:>8.2}",
            sent.quantile_ms(0.5),
            sent.quantile_ms(0.99),
            sent.quantile_ms(0.999)
        );
    }
    println!("{:>52} {:>10} {:>8}", "goal", "", "<= 10");
}

fn sustained(plan: &Plan, sotto: &Sotto, ours: &Server<'_>, first: &mut u64) {
    const RATE: f64 = 20_000.0;
    println!("\n{RATE:.0} hits/s for {} s (goal: the spool does not grow)", plan.sustained.as_secs());
    let stop = Arc::new(AtomicBool::new(false));
    let depth = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut depth, started) = (Vec::new(), Instant::now());
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                depth.push((started.elapsed().as_secs(), ours.waiting(), metric(sotto, "sotto_spool_bytes")));
                std::thread::park_timeout(plan.sustained / 6);
            }
            depth
        });
        let part = ours.part(Some(RATE), plan.sustained, first);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        watch.thread().unpark();
        println!(
            "  {:.0} acknowledged/s, p50 {:.2} ms, p99 {:.2} ms; {:.0} waited at the end, shipped {:.1} s later",
            part.sent.rate(),
            part.sent.quantile_ms(0.5),
            part.sent.quantile_ms(0.99),
            part.waiting,
            part.drained.as_secs_f64()
        );
        println!(
            "  CPU per hit: collector {:.2} us, ClickHouse {:.2} us; collector RSS {:.1} MB",
            part.cpu_us,
            part.database_us,
            memory_mb(ours.pid, "VmRSS")
        );
        watch.join().unwrap()
    });
    for (seconds, waiting, bytes) in depth {
        println!("  after {seconds:>3} s: {waiting:>8.0} hits wait, spool {:.1} MB on disk", bytes / 1e6);
    }
}

/// Load alone, at full speed or at a rate, for attaching a profiler; with what each thread waited for a processor.
pub fn profile(seconds: u64, rate: Option<f64>) {
    let sotto = Sotto::start_as_configured(CONFIG);
    let site = sotto.add_site("a.example", &[]);
    let ours = Server {
        target: Target::new(&sotto.url),
        pid: sotto.pid(),
        database: sotto.clickhouse_pids().first().copied(),
        site,
        sotto: Some(&sotto),
    };
    println!("pid {}", ours.pid.as_raw_nonzero());
    ours.part(rate, Duration::from_secs(2), &mut 1);
    let before = waits(ours.pid);
    let part = ours.part(rate, Duration::from_secs(seconds), &mut 1_000_000_000);
    println!("{:.0} hits/s, {:.2} + {:.2} us", part.sent.rate(), part.cpu_us, part.database_us);
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|quantile| part.sent.quantile_ms(quantile));
    println!("p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms");
    for (thread, after) in waits(ours.pid) {
        let [ran, waited, times] =
            std::array::from_fn(|i| after[i] - before.get(&thread).map_or(0, |b| b[i]));
        if times > 100 {
            let each = waited as f64 / times as f64 / 1e3;
            println!(
                "{thread:<24} ran {:>6} ms, waited {:>6} ms, {times} times, {each:.0} us each",
                ran / 1_000_000,
                waited / 1_000_000
            );
        }
    }
}

/// Nanoseconds that each thread ran, nanoseconds that it waited for a processor, and how often it ran (proc(5), schedstat).
fn waits(pid: Pid) -> BTreeMap<String, [u64; 3]> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).ok();
    let thread = |task: std::path::PathBuf| {
        let numbers = read(task.join("schedstat"))?;
        let mut numbers = numbers.split_whitespace().filter_map(|number| number.parse().ok());
        let name = format!("{} {}", read(task.join("comm"))?.trim(), task.file_name()?.to_string_lossy());
        Some((name, std::array::from_fn(|_| numbers.next().unwrap_or_default())))
    };
    tasks.filter_map(|task| thread(task.ok()?.path())).collect()
}
