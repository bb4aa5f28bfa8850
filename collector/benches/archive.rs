//! What the archive costs and what it is worth: `make bench-archive`.
//!
//! Time and memory of releasing a day of a large site, and the share of traffic that keeps its own value, beside those of the
//! prototype in the design. Needs `target/release/sotto` and the embedded server's library as `target/bench-libchdb.so`.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // A measurement answers on standard output, and stops if it cannot.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::civil::date;
use sotto_collector::archive::{Sealer, verify};
use sotto_schema::{policy::Preset, site::Site};
use sotto_store::{
    db::Db,
    engine::{Embedded, Memory, Settings},
    migrate, settled,
};

/// In which a day of ten million events has to be released.
const GOAL: Duration = Duration::from_secs(120);
/// Memory of the embedded server in bytes.
const MEMORY: u64 = 600_000_000;
/// Rows that are inserted at once.
const BATCH: u64 = 100_000;
/// Days of a month of demo traffic.
const DAYS: u64 = 31;
/// Dimensions of the table of utility, with what the prototype kept by month and by day, in per cent, of 50, 300, 1,000 and
/// 10,000 visits a day.
const PROTOTYPE: [(&str, [(u32, u32); 4]); 4] = [
    ("page", [(53, 0), (80, 23), (95, 45), (100, 79)]),
    ("source", [(79, 0), (93, 49), (100, 71), (100, 93)]),
    ("country", [(87, 4), (96, 67), (98, 82), (100, 95)]),
    ("city", [(36, 0), (66, 11), (84, 29), (100, 65)]),
];

fn target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(name).canonicalize().unwrap()
}

/// Process numbers of the children of this process.
fn children() -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", std::process::id())).unwrap().flatten();
    let children = tasks.map(|t| fs::read_to_string(t.path().join("children")).unwrap_or_default());
    children.flat_map(|c| c.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// A figure of /proc/PID/status in megabytes, of the greatest child.
fn megabytes(name: &str) -> u64 {
    let figure = |pid: &String| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix(name).map(str::to_owned));
        line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024 / 1_000_000
    };
    children().iter().map(figure).max().unwrap_or(0)
}

async fn fill(db: &Db, site: &Site, day: &str, rows: u64) {
    for from in (0..rows).step_by(usize::try_from(BATCH).unwrap()) {
        db.query(include_str!("archive/events.sql"))
            .param("site", site.id)
            .param("day", day)
            .param("rows", rows)
            .param("from", from)
            .param("count", BATCH.min(rows - from))
            .with_setting("max_insert_threads", "1")
            .with_setting("max_block_size", "20000")
            .with_setting("min_insert_block_size_bytes", "30000000")
            .execute()
            .await
            .unwrap();
    }
}

async fn start(dir: &Path) -> Embedded {
    let settings = Settings {
        dir: dir.join("clickhouse"),
        library: target("bench-libchdb.so"),
        program: target("release/sotto"),
        memory: Memory { server_bytes: MEMORY, query_bytes: MEMORY / 2 },
    };
    Embedded::start(settings).await.unwrap()
}

fn new_site() -> Site {
    let mut site = Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap();
    site.retention_days = 41;
    site
}

async fn measure(rows: u64) {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path()).await;
    let db = engine.databases().writer;
    migrate::migrate(&db).await.unwrap();
    let site = new_site();
    fill(&db, &site, "2026-03-01", rows).await;
    // A server of its own, so that what the inserts took is no part of the measurement.
    engine.stop().await;
    let engine = start(dir.path()).await;
    let db = engine.databases().writer;
    let before = megabytes("VmHWM:");
    let began = Instant::now();
    let day = date(2026, 3, 1);
    let raw = settled::days(&db, site.id, &site.time_zone, [day, day]).await.unwrap();
    assert!(settled::settle(&db, site.id, &site.time_zone, day, raw.raw[&day]).await.unwrap());
    let settling = began.elapsed();
    let began = Instant::now();
    let mut sealer = Sealer::new(db.clone());
    sealer.seal_site(&site, day, |_| {}).await.unwrap();
    let releasing = began.elapsed();
    let peak = megabytes("VmHWM:");
    let report = verify::verify(&db, site.id).await.unwrap();
    println!(
        "{rows:>10} events  day settled in {:.1} s and released in {:.1} s (goal {} s for 10 M together)  peak {peak} MB resident (goal 600 MB; {before} MB before)  {} values, {} flaws",
        settling.as_secs_f64(),
        releasing.as_secs_f64(),
        GOAL.as_secs(),
        report.values,
        report.flaw_count,
    );
    engine.stop().await;
}

/// The share of visitors, or of page visits, whose value is in the releases of a period, in per cent.
async fn kept(db: &Db, site: &Site, dimension: &str, period: &str) -> f64 {
    let sql = include_str!("archive/kept.sql");
    let query = db.query(sql).param("site", site.id).param("dimension", dimension).param("period", period);
    query.fetch_one::<f64>().await.unwrap()
}

/// How far the ten greatest pages of the month are off, in per cent of the true figure: the median.
async fn off(db: &Db, site: &Site) -> f64 {
    db.query(include_str!("archive/off.sql")).param("site", site.id).fetch_one::<f64>().await.unwrap()
}

async fn utility() {
    println!("\nShare that keeps its own value, by month / by day, epsilon 4 (prototype in brackets)");
    for (n, visits) in [50_u64, 300, 1_000, 10_000].into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let engine = start(dir.path()).await;
        let db = engine.databases().writer;
        migrate::migrate(&db).await.unwrap();
        let site = new_site();
        for day in 0..DAYS {
            let query = db.query(include_str!("archive/traffic.sql")).param("site", site.id);
            let query = query.param("visits", visits).param("day", day);
            query.with_setting("max_block_size", "1000").execute().await.unwrap();
        }
        Sealer::new(db.clone()).seal_site(&site, date(2026, 4, 4), |_| {}).await.unwrap();
        let mut text = format!("{visits:>6} visits a day:");
        for (dimension, prototype) in PROTOTYPE {
            let (month, day) =
                (kept(&db, &site, dimension, "month").await, kept(&db, &site, dimension, "day").await);
            let (of_month, of_day) = prototype[n];
            text.push_str(&format!("  {dimension} {month:.0}/{day:.0} % [{of_month}/{of_day}]"));
        }
        println!("{text}  ten greatest pages off by {:.1} %", off(&db, &site).await);
        engine.stop().await;
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    if asked.is_empty() {
        runtime.block_on(utility());
    }
    for rows in if asked.is_empty() { vec![1_000_000, 10_000_000] } else { asked } {
        runtime.block_on(measure(rows));
    }
}
