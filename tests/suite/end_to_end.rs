//! From a hit to a report, over real sockets and the real ClickHouse.

use std::io::{Read, Write};

use serde_json::Value;
use sotto_tests::{Answer, Noon, PERSON, Sotto, connect, request, wait_for};

fn pageview(site: &str, view: &str, url: &str) -> String {
    format!(r#"{{"v":1,"s":"{site}","k":"p","i":"{view}","q":0,"u":"{url}","w":1440}}"#)
}

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    fields.iter().map(|(k, v)| format!("{k}={}", encode(v))).collect::<Vec<_>>().join("&").into_bytes()
}

/// Submits a form of the dashboard as its own page would.
fn submit(sotto: &Sotto, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", sotto.url.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("cookie", cookie),
    ];
    request("POST", &format!("{}{path}", sotto.url), &headers, &form(fields))
}

fn page(sotto: &Sotto, path: &str, cookie: &str) -> Answer {
    request("GET", &format!("{}{path}", sotto.url), &[("cookie", cookie)], b"")
}

/// Uses the one-time link: the owner's cookie and the site's key.
fn set_up(sotto: &Sotto, hostname: &str) -> (String, String) {
    let link = sotto.set_up.clone().expect("a fresh start prints the link");
    let path = link.strip_prefix(&sotto.url).unwrap().to_owned();
    assert_eq!(page(sotto, &path, "").status, 200);
    let done = submit(
        sotto,
        &path,
        "",
        &[
            ("name", "Ada"),
            ("email", "ada@example.org"),
            ("password", "a long enough password"),
            ("site_name", "Test"),
            ("hostname", hostname),
            ("time_zone", &Noon::now().zone),
            ("preset", "cnil"),
        ],
    );
    assert_eq!(done.status, 303, "{}", done.text());
    let cookie = done.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let install = done.header("location").unwrap();
    let key = install.split('/').nth(2).unwrap().to_owned();
    assert_eq!(install, format!("/s/{key}/install"));
    (cookie, key)
}

/// The text of a page as a person copies it.
fn shown(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    text.replace("&#34;", "\"").replace("&#60;", "<").replace("&#62;", ">")
}

#[test]
fn first_run_leads_from_the_link_to_the_first_visit() {
    let mut sotto = Sotto::start();
    let link = sotto.set_up.clone().unwrap();
    let (cookie, key) = set_up(&sotto, "shop.example");

    let install = page(&sotto, &format!("/s/{key}/install"), &cookie).text();
    let snippet = format!("<script defer src=\"{}/s.auto.js\" data-site=\"{key}\"></script>", sotto.url);
    assert!(shown(&install).contains(&snippet), "{install}");

    wait_for("the collector to take the hit", || {
        sotto.hit(&pageview(&key, "v1", "https://shop.example/shoes?size=9"), &[]);
        (sotto.outcomes("stored", "") > 0).then_some(())
    });
    wait_for("the overview to show the visit", || {
        let overview = page(&sotto, &format!("/s/{key}?p=today"), &cookie);
        assert_eq!(overview.status, 200);
        overview.text().contains("/shoes").then_some(())
    });

    let path = link.strip_prefix(&sotto.url).unwrap();
    assert_ne!(page(&sotto, path, "").status, 200, "the link works once");
    sotto.stop();
    sotto.start_again();
    assert_eq!(sotto.set_up, None, "no link once somebody owns the installation");
    assert!(page(&sotto, &format!("/s/{key}?p=today"), &cookie).text().contains("/shoes"), "all is kept");
}

#[test]
fn stranger_sees_nothing() {
    let sotto = Sotto::start();
    let (cookie, key) = set_up(&sotto, "shop.example");
    for path in [format!("/s/{key}"), format!("/s/{key}/install"), "/".into(), "/sites/new".into()] {
        let answer = page(&sotto, &path, "");
        assert!(matches!(answer.status, 303 | 307 | 404), "{path}: {}", answer.status);
        assert_ne!(page(&sotto, &path, &cookie).status, 404, "{path} exists");
    }
    let api = format!("{}/api/v1/sites", sotto.url);
    assert_eq!(request("GET", &api, &[], b"").status, 401);
    assert_eq!(request("GET", &api, &[("authorization", "Bearer wrong")], b"").status, 401);
}

#[test]
fn program_reads_reports_with_a_token() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let token: Value = serde_json::from_str(&sotto.run(&["token", "add", "ci", "--json"])).unwrap();
    let bearer = format!("Bearer {}", token[0]["token"].as_str().unwrap());
    assert_eq!(sotto.hit(&pageview(&key, "v1", "https://a.example/x"), &[]), 204);
    sotto.wait_for_pageviews(&key, 1);
    let url = format!("{}/api/v1/sites/{key}/report?by=page&metrics=pageviews,visitors", sotto.url);
    let answer = request("GET", &url, &[("authorization", &bearer)], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("\"/x\""), "{}", answer.text());
}

#[test]
fn visitor_is_counted_once_a_day_and_visits_go_on_after_a_restart() {
    let mut sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    for (n, agent) in [
        (1, PERSON),
        (2, PERSON),
        (3, "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
    ] {
        let body = pageview(&key, &format!("v{n}"), "https://a.example/");
        assert_eq!(sotto.hit(&body, &[("user-agent", agent)]), 204);
    }
    sotto.wait_for_pageviews(&key, 3);
    sotto.kill();
    sotto.start_again();
    assert_eq!(sotto.hit(&pageview(&key, "v4", "https://a.example/"), &[]), 204);
    sotto.wait_for_pageviews(&key, 4);
    let report = &sotto.report(&key, &["--metrics", "visitors,visits"])[0];
    assert_eq!((&report["visitors"], &report["visits"]), (&2.into(), &2.into()));
}

#[test]
fn visitor_who_refused_counts_as_an_anonymous_pageview() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let refused = format!(
        r#"[{{"v":1,"s":"{key}","k":"p","i":"v1","q":0,"c":1,"u":"https://a.example/x?utm_source=n","r":"https://b.example/y","w":1440}},
            {{"v":1,"s":"{key}","k":"e","i":"v1","q":1,"c":1,"e":9000,"d":50}}]"#
    );
    assert_eq!(sotto.hit(&refused, &[("sec-gpc", "1")]), 204);
    sotto.wait_for_pageviews(&key, 1);
    let report = &sotto.report(&key, &["--metrics", "pageviews,visitors,visits"])[0];
    assert_eq!((&report["visitors"], &report["visits"]), (&0.into(), &0.into()));
    assert_eq!(sotto.outcomes("minimised", ""), 1);
    assert_eq!(sotto.outcomes("dropped", "consent_refused"), 1);
    let stored: Value = serde_json::from_str(&sotto.run(&["export", &key])).unwrap();
    let kept = ["path", "hostname", "referrer_host"].map(|f| stored[f].as_str().unwrap().to_owned());
    assert_eq!(kept, ["/x", "a.example", "b.example"]);
    assert_eq!(stored["gpc"], true);
    for (field, absent) in [
        ("visitor", "0"),
        ("session", "0"),
        ("view", "0"),
        ("browser", ""),
        ("utm_source", ""),
        ("source", ""),
        ("language", ""),
    ] {
        let value = &stored[field];
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(text, absent, "{field}");
    }
    assert!(stored["time"].as_str().unwrap().contains(":00:00"), "only the hour: {}", stored["time"]);
}

#[test]
fn answer_fits_the_request() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let at = |path: &str| format!("{}{path}", sotto.url);
    let body_max = sotto_collector::pipeline::parse::BODY_BYTES_MAX;
    let agent = [("user-agent", PERSON)];
    for (method, path, body, status, why) in [
        ("POST", "/e", b"garbage".to_vec(), 204, "a probe learns nothing"),
        (
            "POST",
            "/e",
            pageview("nobody", "v", "https://a.example/").into_bytes(),
            204,
            "an unknown site neither",
        ),
        ("POST", "/e", vec![b' '; body_max], 204, "the body at its limit"),
        ("POST", "/e", vec![b' '; body_max + 1], 413, "the body beyond its limit"),
        ("GET", "/e", Vec::new(), 405, "hits are posted"),
        ("OPTIONS", "/e", Vec::new(), 200, "a preflight"),
        ("GET", &format!("/e.gif?s={key}&u=https%3A%2F%2Fa.example%2Fnojs"), Vec::new(), 200, "the pixel"),
        ("GET", &format!("/e.gif?s={key}"), Vec::new(), 200, "the pixel in a page that is not named"),
        ("GET", "/s.js", Vec::new(), 200, "the script"),
        ("GET", "/s.auto.clicks.js", Vec::new(), 200, "the script with modules"),
        ("GET", "/s.nobody.js", Vec::new(), 404, "an unknown module"),
    ] {
        let answer = request(method, &at(path), &agent, &body);
        assert_eq!(answer.status, status, "{method} {path}: {why}");
        if status != 405 {
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{method} {path}");
        }
    }
    let script = request("GET", &at("/s.js"), &[("accept-encoding", "br")], b"");
    assert_eq!(script.header("content-encoding"), Some("br"));
    assert!(script.body.len() <= 1_024, "{} bytes", script.body.len());
    sotto.wait_for_pageviews(&key, 1);
}

#[test]
fn every_hit_of_a_mixed_batch_has_exactly_one_outcome() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let before = total(&sotto);
    let hits = [
        pageview(&key, "v1", "https://a.example/"),
        pageview("nobody", "v2", "https://a.example/"),
        pageview(&key, "v3", "https://other.example/"),
        format!(r#"{{"v":1,"s":"{key}","k":"x","i":"v1","q":1,"n":"Sign up"}}"#),
        format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v4","q":0,"b":1,"u":"https://a.example/"}}"#),
        format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v6","q":0,"a":86400001,"u":"https://a.example/"}}"#),
        format!(r#"{{"v":1,"s":"{key}","k":"x","i":"v1","q":2,"n":"{}"}}"#, "n".repeat(65)),
        r#"{"v":1,"k":"unheard of"}"#.into(),
    ];
    assert_eq!(sotto.hit(&format!("[{}]", hits.join(",")), &[]), 204);
    assert_eq!(total(&sotto) - before, hits.len() as u64);
    for (outcome, reason, count) in [
        ("stored", "", 2),
        ("dropped", "foreign_hostname", 1),
        ("dropped", "bot_automated", 2),
        ("dropped", "too_old", 1),
        ("dropped", "invalid_payload", 2),
    ] {
        assert_eq!(sotto.outcomes(outcome, reason), count, "{reason}");
    }
    assert_eq!(sotto.hit(&pageview(&key, "v5", "https://a.example/"), &[("user-agent", "GPTBot/1.2")]), 204);
    assert_eq!(sotto.outcomes("dropped", "bot_ai"), 1);
}

#[test]
fn pixel_that_names_no_page_counts_the_page_that_shows_it() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let pixel = format!("{}/e.gif?s={key}", sotto.url);
    let shown_on = |page| request("GET", &pixel, &[("user-agent", PERSON), ("referer", page)], b"");
    assert_eq!(shown_on("https://a.example/nojs?x=1").status, 200);
    sotto.wait_for_pageviews(&key, 1);
    let pages = sotto.report(&key, &["--metrics", "pageviews", "--by", "page"]);
    assert_eq!(pages[0]["page"], "/nojs");
    assert_eq!(
        request("GET", &pixel, &[("user-agent", PERSON)], b"").status,
        200,
        "a page that hides itself"
    );
    assert_eq!(sotto.outcomes("dropped", "invalid_payload"), 1);
}

fn total(sotto: &Sotto) -> u64 {
    let metrics = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    let lines = metrics.lines().filter(|l| l.starts_with("sotto_hits_total{"));
    lines.filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn place_comes_from_the_address_that_a_trusted_proxy_tells() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    for (n, address) in ["8.8.8.8", "193.99.144.80"].iter().enumerate() {
        let body = pageview(&key, &format!("v{n}"), "https://a.example/");
        assert_eq!(sotto.hit(&body, &[("x-forwarded-for", address)]), 204);
    }
    sotto.wait_for_pageviews(&key, 2);
    let countries: Vec<String> = sotto
        .report(&key, &["--metrics", "pageviews", "--by", "country"])
        .iter()
        .map(|row| row["country"].as_str().unwrap().to_owned())
        .collect();
    assert!(countries.contains(&"US".into()) && countries.contains(&"DE".into()), "{countries:?}");
}

#[test]
fn slow_client_is_closed_and_others_are_served() {
    let sotto = Sotto::start_with("[server]\nheader_timeout = \"1s\"\nrequest_timeout = \"1s\"\n");
    let mut silent = connect(&sotto.url);
    let mut half_header = connect(&sotto.url);
    half_header.write_all(b"POST /e HTTP/1.1\r\nHost: x\r\n").unwrap();
    let mut half_body = connect(&sotto.url);
    half_body.write_all(b"POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").unwrap();
    assert_eq!(request("GET", &format!("{}/s.js", sotto.url), &[], b"").status, 200);
    for (what, stream) in
        [("silent", &mut silent), ("half header", &mut half_header), ("half body", &mut half_body)]
    {
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(ended.is_ok(), "{what}: {ended:?}");
        if what == "half body" {
            assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
        }
    }
}

#[test]
fn health_is_told_on_the_private_listener_only() {
    let sotto = Sotto::start();
    let ready = request("GET", &format!("{}/readyz", sotto.admin), &[], b"");
    assert_eq!((ready.status, &ready.json()["clickhouse"]), (200, &"ok".into()));
    assert_eq!(request("GET", &format!("{}/healthz", sotto.admin), &[], b"").status, 200);
    for path in ["/metrics", "/readyz", "/healthz"] {
        assert_eq!(request("GET", &format!("{}{path}", sotto.url), &[], b"").status, 404, "{path}");
    }
}

#[test]
fn request_beyond_the_limit_is_told_to_come_back() {
    let sotto = Sotto::start_with("[server]\nworkers = 1\nrequests_max = 1\n");
    let ask = || request("GET", &format!("{}/s.js", sotto.url), &[], b"");
    assert_eq!(ask().status, 200, "the one request that is allowed");
    let mut slow = connect(&sotto.url);
    slow.write_all(b"POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").unwrap();
    let refused = wait_for("the slow request to take the place", || {
        let answer = ask();
        (answer.status != 200).then_some(answer)
    });
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    drop(slow);
    wait_for("the place to be free again", || (ask().status == 200).then_some(()));
}

#[test]
fn connection_beyond_the_limit_waits_for_a_place() {
    let sotto = Sotto::start_with("[server]\nworkers = 1\nconnections_max = 1\n");
    let ask = b"GET /s.js HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut first = connect(&sotto.url);
    first.write_all(ask).unwrap();
    assert!(first.read(&mut [0; 100]).unwrap() > 0, "the one connection that is allowed");
    let mut second = connect(&sotto.url);
    second.write_all(ask).unwrap();
    second.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    assert!(second.read(&mut [0; 100]).is_err(), "the second waits");
    drop(first);
    second.set_read_timeout(Some(sotto_tests::PATIENCE)).unwrap();
    assert!(second.read(&mut [0; 100]).unwrap() > 0, "and is served when the first has gone");
}
