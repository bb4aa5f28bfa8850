//! Releases of the real program, by its job and by hand, killed in the middle.

use std::{process::Stdio, time::Duration};

use sotto_store::db::Access;
use sotto_tests::{Noon, Sotto, UTC, wait_for};

use super::*;

/// The database of a running Sotto, and its only site.
async fn database(sotto: &Sotto) -> (Db, Site) {
    let text = std::fs::read_to_string(sotto.data().join("clickhouse/endpoint.json")).unwrap();
    let endpoint: serde_json::Value = serde_json::from_str(&text).unwrap();
    let access: Access = serde_json::from_value(endpoint["writer"].clone()).unwrap();
    let db = Db::new(access);
    let site = sotto_store::sites::all(&db).await.unwrap().remove(0);
    (db, site)
}

/// A month that is over, of which nothing is old enough to be removed.
fn month_before_last() -> Date {
    Noon::now().today.first_of_month().saturating_sub(2.months())
}

fn hits(month: Date, days: i32) -> Vec<Hit> {
    let page = |d: i32, v: u64| format!("/a/{}", (v + d.unsigned_abs() as u64) % 7);
    (0..days).flat_map(|d| (1..=120).map(move |v| Hit { month, ..Hit::on(d, v, page(d, v)) })).collect()
}

#[tokio::test]
async fn release_that_is_killed_again_and_again_is_made_once() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[&UTC[..], &["--retention-days", "200"]].concat());
    let (db, site) = database(&sotto).await;
    let month = month_before_last();
    store(&db, site.id, &hits(month, 8)).await;
    let mut cut = 0;
    for wait in [60, 150, 240, 330, 420, 510, 600] {
        let mut seal = sotto.command();
        let mut child =
            seal.args(["archive", "seal"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // When it is killed does not matter: any moment is one at which it may be.
        std::thread::park_timeout(Duration::from_millis(wait));
        cut += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(cut > 0, "no release was killed");
    // The lock of a killed program is free after its lease.
    wait_for("the lock to be free", || {
        let (ok, out) = sotto.try_run(&["archive", "seal", "--site", &key, "--json"], "");
        assert!(ok || out.contains("another program is releasing"), "{out}");
        ok.then_some(())
    });
    let lines = releases::lines(&db, site.id).await.unwrap();
    assert_eq!(verify::check(&lines, site.id).unwrap().flaws, Vec::<String>::new());
    let visitors = lines.iter().filter(|l| l.dimension == "visitors" && l.period == Period::Day);
    assert_eq!(visitors.count(), 200, "each day of the raw retention, once");
    assert!(count(&lines, Period::Month, month, "visitors", "").is_some());
}

#[tokio::test]
async fn job_releases_days_that_are_over_and_the_command_line_checks_and_reads_them() {
    let sotto = Sotto::start_with("[archive]\ninterval = \"200ms\"\n");
    let key = sotto
        .add_site("a.example", &[&UTC[..], &["--archive-epsilon", "8", "--retention-days", "200"]].concat());
    let (db, site) = database(&sotto).await;
    assert_eq!(site.archive_epsilon, 8);
    let released = |key: &str| {
        wait_for("the months to be released", || {
            let report: serde_json::Value =
                serde_json::from_str(&sotto.run(&["archive", "verify", "--site", key, "--json"])).unwrap();
            report[0]["months"].as_u64().is_some_and(|months| months > 3).then_some(report)
        })
    };
    let report = released(&key);
    assert_eq!((&report[0]["days"], &report[0]["flaw_count"]), (&200.into(), &0.into()));
    // A site of its own, whose events are there before the first release.
    let other = Site { retention_days: 200, ..super::site() };
    let month = month_before_last();
    store(&db, other.id, &hits(month, 2)).await;
    sotto_store::sites::save(&db, &other).await.unwrap();
    released(&other.key);
    let [from, to] = [month, month.last_of_month()].map(|day| day.to_string());
    let archived = sotto.report(&other.key, &["--from", &from, "--to", &to, "--source", "archive"]);
    let visitors = archived[0]["visitors"].as_f64().unwrap();
    assert!((visitors - 240.0).abs() < 100.0, "{visitors}");
    // Somebody changes the archive by hand.
    let sql = "ALTER TABLE archive UPDATE counts = arrayMap(n -> n + 1, counts) WHERE site = {site:UInt64} AND notEmpty(values)";
    db.query(sql).param("site", other.id).with_setting("mutations_sync", "2").execute().await.unwrap();
    let (ok, out) = sotto.try_run(&["archive", "verify", "--site", &other.key], "");
    assert!(!ok && out.contains("FLAW") && out.contains("digest"), "{out}");
}
