//! ClickHouse is unreachable for a while.

use serde_json::Value;
use sotto_store::db::Access;
use sotto_tests::{Proxy, Sotto};

use crate::{
    account::{Running, settle},
    extent,
};

#[test]
fn database_that_is_away_and_comes_back_has_every_hit_once() {
    // The embedded server of one Sotto is the external server of another, behind a network that can be cut.
    let host = Sotto::start();
    let text = std::fs::read_to_string(host.data().join("clickhouse/endpoint.json")).unwrap();
    let endpoint: Value = serde_json::from_str(&text).unwrap();
    let writer: Access = serde_json::from_value(endpoint["writer"].clone()).unwrap();
    let network = Proxy::start(&writer.url);
    let sotto = Sotto::start_with(&format!(
        "[clickhouse]\nurl = \"{}\"\nuser = \"{}\"\npassword = \"{}\"\n",
        network.url(),
        writer.user,
        writer.password
    ));
    let site = sotto.add_site("a.example", &[]);
    let load = Running::start(&sotto, &site, 1_000.0);
    for _ in 0..extent(3, 5) {
        load.goes_on_for(300);
        network.cut();
        // Hits are acknowledged throughout. With `LONG=1` each cut lasts a minute and a half.
        load.goes_on_for(extent(3_000, 90_000) as u64);
        network.mend();
    }
    load.goes_on_for(300);
    let sent = load.end();
    assert!(sent.refused.is_empty(), "{} hits were refused meanwhile", sent.refused.len());
    settle(&sotto, &site, &sent, "ClickHouse away and back");
}
