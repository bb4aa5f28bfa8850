//! ClickHouse does what it is asked, and the answer is lost on the way: what is sent again must not count twice.

use sotto_store::db::Access;
use sotto_tests::{Lossy, Sotto, request, wait_for};

fn writer(host: &Sotto) -> Access {
    let text = std::fs::read_to_string(host.data().join("clickhouse/endpoint.json")).unwrap();
    let endpoint: serde_json::Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(endpoint["writer"].clone()).unwrap()
}

/// A Sotto whose ClickHouse is behind `lossy`.
fn behind(lossy: &Lossy, access: &Access) -> Sotto {
    let (user, password) = (&access.user, &access.password);
    Sotto::start_with(&format!(
        "[clickhouse]\nurl = \"{}\"\nuser = \"{user}\"\npassword = \"{password}\"\n",
        lossy.url()
    ))
}

fn pageview(site: &str, view: &str) -> String {
    format!(r#"{{"v":1,"s":"{site}","k":"p","i":"{view}","q":0,"u":"https://a.example/"}}"#)
}

#[test]
fn counts_whose_answer_was_lost_are_counted_once() {
    let host = Sotto::start();
    let access = writer(&host);
    let lossy = Lossy::before(&access.url, "outcomes");
    let sotto = behind(&lossy, &access);
    let site = sotto.add_site("a.example", &[]);
    for n in 0..3 {
        assert_eq!(sotto.hit(&pageview(&site, &format!("v{n}")), &[]), 204);
    }
    wait_for("the counts to be sent again", || (lossy.inserts() >= 2).then_some(()));
    let counted: u64 = {
        let metrics = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
        let hits = metrics.lines().filter(|line| line.starts_with("sotto_hits_total{"));
        hits.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    // What waits is stored at the end.
    drop(sotto);
    let url = format!(
        "{}/?user={}&password={}&database={}",
        access.url, access.user, access.password, access.database
    );
    // Kinds of addresses are counted beside the outcomes.
    let sql = b"SELECT sum(hits) FROM outcomes WHERE outcome != 'address' FORMAT TSV";
    let stored = request("POST", &url, &[], sql).text();
    assert_eq!(stored.trim(), counted.to_string(), "after {} inserts", lossy.inserts());
}

#[test]
fn lines_of_the_ledger_whose_answer_was_lost_are_there_once() {
    let host = Sotto::start();
    let access = writer(&host);
    let lossy = Lossy::before(&access.url, "salt_ledger");
    let sotto = behind(&lossy, &access);
    let site = sotto.add_site("a.example", &[]);
    assert_eq!(sotto.hit(&pageview(&site, "v1"), &[]), 204);
    let is_lost = || sotto.log().contains("the ledger of salts is not written").then_some(());
    wait_for("the answer to be lost", is_lost);
    // What waits is stored at the end.
    drop(sotto);
    let (whole, told) = host.try_run(&["salts", "ledger", "--verify"], "");
    assert!(whole && told.contains("1 salts alive"), "{told}");
}
