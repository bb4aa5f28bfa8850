//! What it costs to seal one day of a large site: `cargo bench -p sotto-collector --bench archive`.
//!
//! Needs `target/release/sotto` and the embedded server's library as `target/bench-libchdb.so`.

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
    migrate,
};

/// Seconds in which a day of ten million events has to be sealed.
const GOAL: Duration = Duration::from_secs(300);
/// Memory of the embedded server in bytes.
const MEMORY: u64 = 600_000_000;
/// Rows that are inserted at once.
const BATCH: u64 = 100_000;

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

async fn fill(db: &Db, site: &Site, rows: u64) {
    for from in (0..rows).step_by(usize::try_from(BATCH).unwrap()) {
        db.query(include_str!("archive/events.sql"))
            .param("site", site.id)
            .param("day", "2026-03-01")
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

async fn measure(rows: u64) {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path()).await;
    let db = engine.databases().writer;
    migrate::migrate(&db).await.unwrap();
    let site = Site::new("A", &["a.example"], "Europe/Berlin", Preset::Cnil).unwrap();
    fill(&db, &site, rows).await;
    // A server of its own, so that what the inserts took is no part of the measurement.
    engine.stop().await;
    let engine = start(dir.path()).await;
    let db = engine.databases().writer;
    let before = megabytes("VmHWM:");
    let began = Instant::now();
    let mut sealer = Sealer::new(db.clone());
    sealer.seal_site(&site, date(2026, 3, 1), |_| {}).await.unwrap();
    let day = began.elapsed();
    let peak = megabytes("VmHWM:");
    let began = Instant::now();
    sealer.seal_site(&site, date(2026, 4, 10), |_| {}).await.unwrap();
    let month = began.elapsed();
    let report = verify::verify(&db, site.id).await.unwrap();
    let page = report.kept.get("page").copied().unwrap_or_default();
    println!(
        "{rows:>10} events  day {:>6.1} s (goal {} s for 10 M)  month {:>5.1} s  peak {peak} MB resident (goal 600 MB; {before} MB before)  {} leaves, {} flaws, pages {:?}",
        day.as_secs_f64(),
        GOAL.as_secs(),
        month.as_secs_f64(),
        report.leaves,
        report.flaw_count,
        page,
    );
    engine.stop().await;
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    for rows in if asked.is_empty() { vec![1_000_000, 10_000_000] } else { asked } {
        runtime.block_on(measure(rows));
    }
}
