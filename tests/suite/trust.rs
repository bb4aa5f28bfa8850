//! The public page about what can be checked of a site.

use serde_json::Value;
use sotto_schema::claims::claims;
use sotto_tests::{Answer, Sotto, request, wait_for};

fn page(sotto: &Sotto, key: &str) -> Answer {
    request("GET", &format!("{}/trust/{key}", sotto.url), &[], b"")
}

/// Text of a page as a reader has it.
fn read(answer: &Answer) -> String {
    let named =
        [("&#39;", "'"), ("&#34;", "\""), ("&quot;", "\""), ("&#38;", "&"), ("&amp;", "&"), ("&#62;", ">")];
    named.iter().fold(answer.text(), |text, (code, sign)| text.replace(code, sign))
}

#[test]
fn anybody_may_read_the_rules_of_a_site_its_claims_and_the_heads_of_its_chains() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &["--retention-days", "31"]);
    let hit = format!(
        r#"{{"v":1,"s":"{key}","i":"aaaaaaaaaaaaaaaa","k":"p","q":0,"u":"https://a.example/a-page-nobody-knows"}}"#
    );
    assert_eq!(sotto.hit(&hit, &[]), 204);
    sotto.wait_for_pageviews(&key, 1);
    let last = wait_for("the salt to be in the ledger", || {
        let ledger: Value = serde_json::from_str(&sotto.run(&["salts", "ledger", "--json"])).unwrap();
        ledger.as_array().unwrap().last().cloned()
    });
    let answer = page(&sotto, &key);
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
    let text = read(&answer);
    for claim in claims() {
        assert!(text.contains(&claim.en), "{}", claim.id);
        assert!(claim.tests.iter().all(|test| text.contains(test)), "{}", claim.id);
    }
    assert!(text.contains(last["hash"].as_str().unwrap()), "{last}");
    assert!(text.contains("31 days") && text.contains("1 is in use"));
    assert!(!text.contains("a-page-nobody-knows"), "nothing of traffic");
}

#[test]
fn page_is_made_once_for_many_readers_and_keys_that_are_invented_cost_no_query_each() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let queries = || {
        let sql = "SELECT value FROM system.events WHERE event = 'SelectQuery'";
        sotto.ask_clickhouse(sql).trim().parse::<u64>().unwrap()
    };
    let before = queries();
    for n in 0..300 {
        assert_eq!(page(&sotto, &key).status, 200);
        assert_eq!(page(&sotto, &format!("none{n:04}")).status, 404);
    }
    // The program itself asks some in the meantime.
    let asked = queries() - before;
    assert!(asked < 200, "{asked} queries");
}
