//! Seals of the real program, by its job and by hand, killed in the middle.

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
    (0..days).flat_map(|d| (1..=30).map(move |v| Hit { month, ..Hit::on(d, v, page(d, v)) })).collect()
}

#[tokio::test]
async fn seal_that_is_killed_again_and_again_ends_as_one_that_was_not() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let (db, first) = database(&sotto).await;
    let (month, other) = (month_before_last(), site(5));
    for site in [&first, &other] {
        store(&db, site.id, &hits(month, 8)).await;
    }
    let after = month.saturating_add(40.days());
    Sealer::new(db.clone()).seal_site(&other, after, |_| {}).await.unwrap();
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
    assert!(cut > 0, "no seal was killed");
    sotto.run(&["archive", "seal", "--site", &key, "--json"]);
    assert_eq!(contents(&db, &first, month).await, contents(&db, &other, month).await);
    let sealed = "SELECT count() FROM archive_seals WHERE site = {site:UInt64}";
    let count: u64 = db.query(sealed).param("site", first.id).fetch_one().await.unwrap();
    assert_eq!(count, 9, "eight days and their month, each once");
    sotto.run(&["archive", "verify", "--json"]);
}

#[tokio::test]
async fn job_seals_days_that_are_over_and_the_command_line_proves_and_reads_them() {
    let sotto = Sotto::start_with("[archive]\ninterval = \"200ms\"\n");
    let key = sotto.add_site("a.example", &[&UTC[..], &["--archive-k", "4"]].concat());
    let (db, site) = database(&sotto).await;
    assert_eq!(site.archive_k, 4);
    let month = month_before_last();
    store(&db, site.id, &hits(month, 2)).await;
    let report = wait_for("the month to be sealed", || {
        let report: serde_json::Value =
            serde_json::from_str(&sotto.run(&["archive", "verify", "--site", &key, "--json"])).unwrap();
        (report[0]["months"] == 1).then_some(report)
    });
    assert_eq!((&report[0]["days"], &report[0]["flaw_count"]), (&2.into(), &0.into()));
    let [from, to] = [month, month.last_of_month()].map(|day| day.to_string());
    let archived = sotto.report(&key, &["--from", &from, "--to", &to, "--source", "archive"]);
    assert_eq!(archived[0]["visitors"], 60);
    let (ok, out) = sotto.try_run(&["archive", "seal", "--site", &key, "--day", "2999-01-01"], "");
    assert!(!ok && out.contains("is not over"), "{out}");
    // Somebody changes the archive by hand.
    let sql = "ALTER TABLE archive_leaves UPDATE people = 3 WHERE site = {site:UInt64} AND notEmpty(path)";
    db.query(sql).param("site", site.id).with_setting("mutations_sync", "2").execute().await.unwrap();
    let (ok, out) = sotto.try_run(&["archive", "verify", "--site", &key], "");
    assert!(!ok && out.contains("FLAW") && out.contains("describes 3 people"), "{out}");
}
