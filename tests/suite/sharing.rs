//! Shared links and public pages, as somebody meets them who wants to see more than they are meant to.

use sotto_tests::{Answer, Noon, Sotto, UTC, files, request};

use crate::{
    accounts::{PASSWORD, add_user, cookie, sign_in, status, submit},
    quality::get,
    reports::store,
    two_step::{audit_log, between},
};

const LINK_PASSWORD: &str = "another long password";

fn signed_in(sotto: &Sotto, email: &str, role: &str, site: &str) -> String {
    add_user(sotto, email, &["--role", role, "--site", site]);
    cookie(&sign_in(sotto, email, PASSWORD))
}

/// The path of a link that is shown once after it was made.
fn made(answer: &Answer) -> String {
    let page = answer.text();
    assert_eq!(answer.status, 200, "{page}");
    let url = between(&page, "<code id=\"link\">", "<");
    let path = url.split_once("/shared/").map(|(_, secret)| format!("/shared/{secret}")).unwrap();
    assert_eq!(path.len(), "/shared/".len() + 64, "256 bits: {url}");
    path
}

/// Makes a link with what else the form says.
fn link(sotto: &Sotto, editor: &str, key: &str, more: &str) -> String {
    made(&submit(sotto, &format!("/s/{key}/sharing"), editor, &format!("name=for+Ann{more}")))
}

/// A site with twelve visitors from Berlin on each of two days, on `/` and `/blog/a`; on the first day three hundred from
/// Lyon, on a page of theirs; and on the second a single one from Iceland.
struct World {
    sotto: Sotto,
    key: String,
    days: [String; 2],
    editor: String,
}

fn world() -> World {
    let days = [31, 30].map(|age| Noon::now().day(age).to_string());
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let [berlin, lyon, selfoss] = [
        r#""country":"DE","city":"Berlin","browser":"Firefox","source":"Google","channel":"organic_search""#,
        r#""country":"FR","city":"Lyon","browser":"Chrome","source":"Rival","channel":"referral""#,
        r#""country":"IS","city":"Selfoss","browser":"Vivaldi","source":"blog.example","channel":"referral""#,
    ];
    for (n, day) in days.iter().enumerate() {
        let visitor = |i: u64| 1_000 * (n as u64 + 1) + i;
        let mut rows = Vec::new();
        for i in 1..=12 {
            rows.push((60, "pageview", "/", visitor(i), visitor(i), berlin));
            rows.push((61, "pageview", "/blog/a", visitor(i), visitor(i), berlin));
        }
        if n == 0 {
            rows.extend((100..400).map(|i| (60, "pageview", "/internal", visitor(i), visitor(i), lyon)));
        } else {
            rows.push((100, "pageview", "/grievance", visitor(13), visitor(13), selfoss));
        }
        store(&sotto, &key, day, &rows);
    }
    let editor = signed_in(&sotto, "editor@example.org", "editor", &key);
    World { sotto, key, days, editor }
}

/// Figures of the graph's table and of the lists on a page.
fn figures(page: &str) -> Vec<u64> {
    let cells = page.split("<td").skip(1).filter_map(|cell| cell.split('>').nth(1)?.split('<').next());
    cells.filter_map(|text| text.trim().replace(['\u{202f}', '\u{a0}', ','], "").parse().ok()).collect()
}

#[test]
fn fixed_filter_is_widened_by_no_address() {
    let World { sotto, key, days: [first, second], editor } = world();
    for (name, page) in [("Inside", "/internal"), ("Blog", "/blog/a")] {
        sotto.run(&["goal", "add", &key, name, "--page", page]);
    }
    let germany = link(&sotto, &editor, &key, "&field=country&verb=is&value=Germany&goals=yes");
    let chrome = link(&sotto, &editor, &key, "&field=page&verb=has&value=%2Fblog&goals=yes");
    let both = format!("p=custom&from={first}&to={second}");
    let later = format!("p=custom&from={second}&to={second}");
    let many: String = (0..20).map(|n| format!("&f=page:not:/{n}")).collect();
    let mut seen = 0;
    for path in &[germany, chrome] {
        for (below, more) in [
            ("", "".to_owned()),
            ("", "&f=country:is:FR".into()),
            ("", "&f=country:not:DE&f=country:is:FR".into()),
            ("", "&f=country:has:F&f=page:has:%2F&f=page:is:/internal".into()),
            ("", "&field=country&verb=is&value=France".into()),
            ("", "&field=page&verb=has&value=%2F".into()),
            ("", format!("{many}&f=country:is:FR")),
            ("", "&fixed=&filters=&filter=country%3DFR&places=city&sources=channel".into()),
            ("", "&embed=1&theme=dark&m=pageviews".into()),
            ("", "&cmp=none&m=bounce_rate".into()),
            ("", "&f=visited:is:/internal".into()),
            ("", "&f=country:unlike:D*&f=page:starts:/int".into()),
            ("/filter", "&of=country".into()),
            ("/filter", "&of=country&q=France&f=country:is:FR".into()),
            ("/filter", "&of=page&q=internal".into()),
            ("/filter", "&of=visited&f=page:is:/internal".into()),
            ("/list/country", "&q=France".into()),
            ("/list/city", "&q=Ly".into()),
            ("/list/page", "&q=%2F".into()),
            ("/list/page", "&q=internal&sort=pageviews".into()),
            ("/list/page", format!("{many}&f=page:is:/internal&f=country:is:FR&page=2")),
            ("/list/source", "&f=source:is:Rival&f=page:is:/internal".into()),
            ("/list/entry_page", String::new()),
            ("/list/browser", "&f=country:is:FR".into()),
            ("/goals", String::new()),
            ("/goals", "&f=country:is:FR&f=page:has:%2F".into()),
        ] {
            for days in [&both, &later] {
                let path = format!("{path}{below}?{days}{more}");
                let answer = get(&sotto, &path, "");
                let page = answer.text();
                assert_eq!(answer.status, 200, "{path}: {page}");
                for hidden in ["Lyon", "Rival", "Chrome", "/internal", "Selfoss", "/grievance"] {
                    assert!(!page.contains(&format!(">{hidden}</a>")), "{hidden}: {path}: {page}");
                }
                // Of twelve visitors a day, rounded; three hundred are nowhere, neither before nor now.
                let figures = figures(&page);
                assert!(figures.iter().all(|n| *n <= 60), "{path}: {figures:?}");
                seen += figures.iter().filter(|n| **n > 0).count();
            }
        }
    }
    assert!(seen > 100, "something was shown: {seen}");
    let all = get(&sotto, &format!("/s/{key}?{both}"), &editor).text();
    assert!(figures(&all).contains(&312), "the others are there: {:?}", figures(&all));
}

#[test]
fn link_opens_the_reports_of_its_site_and_nothing_else() {
    let World { sotto, key, editor, .. } = world();
    let other = sotto.add_site("b.example", &[]);
    let path = link(&sotto, &editor, &key, "");
    let with_all = link(&sotto, &editor, &key, "&goals=yes&consent=yes");
    for (below, plain, all) in [
        ("", 200, 200),
        ("/list/page", 200, 200),
        ("/filter", 200, 200),
        ("/segments", 404, 404),
        ("/list/day", 404, 404),
        ("/goals", 404, 200),
        ("/consent", 404, 200),
        ("/quality", 404, 404),
        ("/stored", 404, 404),
        ("/settings", 404, 404),
        ("/sharing", 404, 404),
        ("/install", 404, 404),
        ("/goals/remove", 404, 404),
        ("/../../s", 404, 404),
    ] {
        let found = [&path, &with_all].map(|path| get(&sotto, &format!("{path}{below}"), "").status);
        assert_eq!(found, [plain, all], "{below}");
        let posted =
            submit(&sotto, &format!("{with_all}{below}"), "", "id=1&name=x&pattern=/x&kind=page").status;
        assert!([404, 405, 422].contains(&posted), "{below}: {posted}");
    }
    let secret = path.rsplit('/').next().unwrap();
    for path in
        [format!("/s/{key}"), format!("/s/{other}"), "/sites".into(), "/account".into(), "/people".into()]
    {
        for cookie in [format!("sotto={secret}"), format!("sotto-link={secret}"), String::new()] {
            assert_eq!(status(&sotto, &path, &cookie), 303, "{path} asks to sign in");
        }
    }
    for header in [format!("Bearer {secret}"), String::new()] {
        let url = format!("{}/api/v1/sites/{key}/report", sotto.url);
        assert_eq!(request("GET", &url, &[("authorization", &header)], b"").status, 401);
    }
    for below in ["", "/list/page", "/filter?of=page", "/goals", "/consent"] {
        let page = get(&sotto, &format!("{with_all}{below}"), "").text();
        for hidden in [
            "b.example",
            "editor@",
            "Sign out",
            "/account",
            "/people",
            "/sites\"",
            "Download CSV",
            "data-now",
            "/settings",
            "/api/",
            "receipt",
            &format!("/s/{key}"),
        ] {
            assert!(!page.contains(hidden), "{hidden}: {below}: {page}");
        }
        assert!(page.contains(&format!("href=\"{with_all}")), "links stay below the link: {page}");
    }
    // Somebody who is signed in reads it as everybody else.
    let page = get(&sotto, &path, &editor).text();
    assert!(!page.contains("Sign out") && page.contains("This page shows groups"), "{page}");
}

#[test]
fn reader_of_a_link_cannot_single_out_one_visitor() {
    let World { sotto, key, days: [_, day], editor } = world();
    let path = link(&sotto, &editor, &key, "");
    let alone = link(&sotto, &editor, &key, "&field=country&verb=is&value=Iceland");
    let period = format!("p=custom&from={day}&to={day}");
    let shown = get(&sotto, &format!("/s/{key}/list/city?{period}"), &editor).text();
    assert!(shown.contains("Selfoss"), "an editor sees everything");
    for path in [
        format!("{path}?{period}&places=city"),
        format!("{path}/list/city?{period}"),
        format!("{path}/list/page?{period}"),
        format!("{path}/list/city?{period}&f=country:is:IS"),
        format!("{alone}/list/city?{period}"),
    ] {
        let page = get(&sotto, &path, "").text();
        assert!(!page.contains(">Selfoss") && !page.contains(">/grievance"), "{path}: {page}");
        assert!(page.contains("id=\"groups\""), "{path}");
    }
    for path in [format!("{path}?{period}&f=country:is:IS"), format!("{alone}?{period}")] {
        let page = get(&sotto, &path, "").text();
        assert!(page.contains("Fewer than 5 visitors match"), "{path}: {page}");
    }
}

#[test]
fn link_that_expired_was_withdrawn_or_was_guessed_gets_one_answer() {
    let sotto = Sotto::start();
    let (a, b) = (sotto.add_site("a.example", &[]), sotto.add_site("b.example", &[]));
    add_user(&sotto, "owner@example.org", &["--role", "owner"]);
    let owner = cookie(&sign_in(&sotto, "owner@example.org", PASSWORD));
    let ann = signed_in(&sotto, "ann@example.org", "editor", &a);
    // Else the database removes it before the query that must not find it.
    sotto.ask_clickhouse("ALTER TABLE shared_links REMOVE TTL");
    let expires = link(&sotto, &owner, &a, "&days=7");
    let [withdrawn, stays] = [(); 2].map(|()| link(&sotto, &ann, &a, ""));
    let of_b = link(&sotto, &owner, &b, &format!("&password={}", LINK_PASSWORD.replace(' ', "+")));
    let hours = "SELECT dateDiff('hour', created, expires) FROM shared_links FINAL ORDER BY expires LIMIT 1";
    assert_eq!(sotto.ask_clickhouse(hours).trim(), "168", "seven days");
    let age = |hours: u32| {
        let change = format!("UPDATE expires = expires - INTERVAL {hours} HOUR WHERE 1");
        sotto.ask_clickhouse(&format!("ALTER TABLE shared_links {change} SETTINGS mutations_sync = 2"));
    };
    age(167);
    assert_eq!(get(&sotto, &expires, "").status, 200, "an hour is left");
    age(1);
    let list = get(&sotto, &format!("/s/{a}/sharing"), &ann).text();
    assert_eq!(list.matches("aria-label=\"Withdraw").count(), 2, "the expired one is not listed: {list}");
    // The second of the list, as they are listed by age.
    let id = between(&list, "name=\"id\" value=\"", "\"").to_owned();
    for (site, cookie, expected) in [(&b, &ann, 404), (&b, &owner, 404), (&a, &ann, 303), (&a, &ann, 404)] {
        let path = format!("/s/{site}/sharing/withdraw");
        assert_eq!(submit(&sotto, &path, cookie, &format!("id={id}")).status, expected, "{site}");
    }
    let ends = [&withdrawn, &stays].map(|path| get(&sotto, path, "").status);
    assert_eq!(ends.iter().filter(|status| **status == 404).count(), 1, "{ends:?}");
    let [withdrawn, stays] = if ends[0] == 404 { [withdrawn, stays] } else { [stays, withdrawn] };
    // Who made it may go; the link is the site's.
    sotto.run(&["user", "remove", "ann@example.org"]);
    assert_eq!(get(&sotto, &stays, "").status, 200);
    assert_eq!(get(&sotto, &of_b, "").status, 401, "asks for its password");
    sotto.run(&["site", "remove", &b]);
    let left = "SELECT count() FROM shared_links FINAL WHERE deleted = 0 AND password != ''";
    assert_eq!(sotto.ask_clickhouse(left).trim(), "0", "they go with the site");

    let guess = format!("/shared/{}", "0".repeat(64));
    let same = get(&sotto, &guess, "");
    let short = format!("/shared/{}", &stays[10..40]);
    for path in
        [&expires, &withdrawn, &of_b, &short, &format!("{withdrawn}/list/page"), &format!("{expires}/goals")]
    {
        let answer = get(&sotto, path, "");
        assert_eq!((answer.status, answer.text()), (404, same.text()), "{path}");
        assert_eq!(answer.headers.len(), same.headers.len(), "{path}");
    }
    for path in [&expires, &withdrawn, &of_b, &guess] {
        let form = format!("password={}", LINK_PASSWORD.replace(' ', "+"));
        let answer = submit(&sotto, path, "", &form);
        assert_eq!((answer.status, answer.header("set-cookie")), (404, None), "{path}");
    }
}

#[test]
fn password_of_a_link_is_asked_for_and_guessing_it_is_slowed_down() {
    let sotto = Sotto::start_with("[server]\ntrusted_proxies = [\"loopback\"]\n");
    let key = sotto.add_site("a.example", &[]);
    let editor = signed_in(&sotto, "editor@example.org", "editor", &key);
    let form = format!("password={}", LINK_PASSWORD.replace(' ', "+"));
    let [one, two] = [(); 2].map(|()| link(&sotto, &editor, &key, &format!("&{form}&goals=yes")));
    for below in ["", "/list/page", "/goals"] {
        let asked = get(&sotto, &format!("{one}{below}"), "");
        assert_eq!(asked.status, 401);
        assert!(!asked.text().contains("a.example"), "whose reports it shows is not said: {}", asked.text());
    }
    // Sent by a page of somebody else.
    for site in ["cross-site", "same-site", "none"] {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", site)];
        let answer = request("POST", &format!("{}{one}", sotto.url), &headers, form.as_bytes());
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{site}");
    }
    let answer = submit(&sotto, &one, "", &form);
    assert_eq!((answer.status, answer.header("location")), (303, Some(one.as_str())));
    let set = answer.header("set-cookie").unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Max-Age=604800", &format!("Path={one}")] {
        assert!(set.contains(part), "{part}: {set}");
    }
    let pass = set.split(';').next().unwrap();
    let reads = |path: &str, cookie: &str| get(&sotto, path, cookie).status;
    assert_eq!([reads(&one, pass), reads(&format!("{one}/list/page"), pass)], [200, 200]);
    assert_eq!(reads(&two, pass), 401, "the cookie of one link opens no other, whatever its path says");
    let (until, seal) = pass.split_once('=').unwrap().1.split_once('.').unwrap();
    for forged in [
        format!("sotto-link={}.{seal}", until.parse::<i64>().unwrap() + 1),
        format!("sotto-link={until}.{}", "0".repeat(64)),
        format!("sotto-link={until}."),
        format!("sotto-link=.{seal}"),
        "sotto-link=".into(),
        editor,
    ] {
        assert_eq!(reads(&one, &forged), 401, "{forged}");
    }
    let try_from = |address: &str, path: &str, form: &str| {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
            ("x-forwarded-for", address),
        ];
        request("POST", &format!("{}{path}", sotto.url), &headers, form.as_bytes())
    };
    for guess in 0..10 {
        let answer = try_from("192.0.2.1", &one, &format!("password=guess+number+{guess}"));
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None));
    }
    let refused = try_from("192.0.2.1", &one, &form);
    assert_eq!((refused.status, refused.header("set-cookie")), (429, None), "the right one comes too late");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.header("referrer-policy"), Some("strict-origin"), "the form can be sent again");
    assert_eq!(try_from("198.51.100.1", &one, &form).status, 303, "somebody elsewhere reads on");
    assert_eq!(try_from("192.0.2.1", &two, &form).status, 303, "and another link there");
    for (path, form, expected) in [
        (&one, format!("password={}", "a".repeat(200)), 401),
        (&one, format!("password={}", "a".repeat(201)), 401),
        (&one, format!("password={}", "a".repeat(70_000)), 413),
    ] {
        assert_eq!(try_from("203.0.113.9", path, &form).status, expected, "{} bytes", form.len());
    }
}

#[test]
fn secret_of_a_link_is_in_no_log_no_audit_log_and_no_file() {
    let mut sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let editor = signed_in(&sotto, "editor@example.org", "editor", &key);
    let form = format!("password={}", LINK_PASSWORD.replace(' ', "+"));
    let open = link(&sotto, &editor, &key, "");
    let locked = link(&sotto, &editor, &key, &format!("&{form}"));
    let pass = cookie(&submit(&sotto, &locked, "", &form));
    for path in [&open, &locked] {
        for below in ["", "/list/page", "/nothing", "?f=country:is:DE"] {
            get(&sotto, &format!("{path}{below}"), &pass);
        }
        let answer = get(&sotto, path, &pass);
        assert_eq!((answer.status, answer.header("referrer-policy")), (200, Some("no-referrer")));
        assert_eq!(answer.header("x-robots-tag"), Some("noindex"));
    }
    // The form's own request names where it comes from, but not the address.
    assert_eq!(get(&sotto, &locked, "").header("referrer-policy"), Some("strict-origin"));
    let today = sotto.ask_clickhouse("SELECT day = toDate(now('UTC')) FROM shared_link_days FINAL");
    assert_eq!(today.trim(), "1\n1", "of the use of each, a day");
    let columns =
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'shared_link_days'";
    assert_eq!(sotto.ask_clickhouse(columns).trim(), "id\nday");
    let log = audit_log(&sotto);
    let makes: Vec<&str> =
        log.iter().filter(|(action, _)| action == "link_add").map(|(_, detail)| detail.as_str()).collect();
    assert!(
        makes.len() == 2 && makes.iter().all(|detail| detail.len() == "link 01234567".len()),
        "{makes:?}"
    );
    sotto.stop();
    let mut places = files(&sotto.data());
    places.push(("the log".into(), sotto.log().into_bytes()));
    assert!(places.len() > 10, "something was scanned");
    let [open, locked] = [open, locked].map(|path| path.rsplit('/').next().unwrap().to_owned());
    let value = pass.split_once('=').unwrap().1;
    for (what, needle) in [
        ("the secret", open.as_str()),
        ("the other", &locked),
        ("its password", LINK_PASSWORD),
        ("its cookie", value),
    ] {
        for (place, bytes) in &places {
            let found = bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
            assert!(!found, "{what} is in {}", place.display());
        }
        assert!(log.iter().all(|(_, detail)| !detail.contains(needle)), "{what}: {log:?}");
    }
}

#[test]
fn viewer_makes_no_links_and_withdraws_none() {
    let sotto = Sotto::start();
    let (a, b) = (sotto.add_site("a.example", &[]), sotto.add_site("b.example", &[]));
    let viewer = signed_in(&sotto, "viewer@example.org", "viewer", &a);
    let editor = signed_in(&sotto, "editor@example.org", "editor", &a);
    link(&sotto, &editor, &a, "");
    let page = get(&sotto, &format!("/s/{a}/sharing"), &editor).text();
    let id = between(&page, "name=\"id\" value=\"", "\"").to_owned();
    for (site, who, expected) in
        [(&a, &viewer, 403), (&b, &viewer, 404), (&b, &editor, 404), (&a, &String::new(), 303)]
    {
        assert_eq!(status(&sotto, &format!("/s/{site}/sharing"), who), expected);
        for (path, form) in
            [("", "name=x".to_owned()), ("/withdraw", format!("id={id}")), ("/public", "public=on".into())]
        {
            let answer = submit(&sotto, &format!("/s/{site}/sharing{path}"), who, &form);
            assert_eq!(answer.status, expected, "{site} {path}");
        }
    }
    assert_eq!(sotto.ask_clickhouse("SELECT count() FROM shared_links FINAL WHERE deleted = 0").trim(), "1");
    assert_eq!(sotto.ask_clickhouse("SELECT count() FROM public_sites").trim(), "0");
    let overview = |who: &str| get(&sotto, &format!("/s/{a}"), who).text().contains("/sharing\"");
    assert_eq!([overview(&viewer), overview(&editor)], [false, true]);
    // A form of somebody else's page.
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "cross-site"),
        ("cookie", &editor),
    ];
    let url = format!("{}/s/{a}/sharing/public", sotto.url);
    assert_eq!(request("POST", &url, &headers, b"public=on").status, 403);
}

#[test]
fn links_at_the_limit_are_made_and_one_beyond_is_refused() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let editor = signed_in(&sotto, "editor@example.org", "editor", &key);
    let path = format!("/s/{key}/sharing");
    link(&sotto, &editor, &key, "");
    // As many as there may be but one, all like the first.
    let more = "INSERT INTO shared_links SELECT toFixedString(leftPad(toString(n.number), 32, 'x'), 32) AS id, * EXCEPT id \
                FROM shared_links, numbers(98) AS n";
    sotto.ask_clickhouse(&more.replace(
        "* EXCEPT id",
        "site, name, password, filters, goals, consent, hosts, created, expires, version, deleted",
    ));
    link(&sotto, &editor, &key, "");
    let refused = submit(&sotto, &path, &editor, "name=one+more");
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("the site has 100 links already"), "{}", refused.text());
    for (form, expected) in [
        (format!("name={}", "a".repeat(201)), "1 to 200 bytes"),
        ("name=".into(), "1 to 200 bytes"),
        ("name=a&days=1101".into(), "1 to 1100 days"),
        ("name=a&days=-1".into(), "1 to 1100 days"),
        ("name=a&password=short".into(), "10 characters or more"),
        ("name=a&hosts=*.example.org".into(), "is no host name"),
        (
            format!("name=a&hosts={}", (0..11).map(|n| format!("a{n}.example+")).collect::<String>()),
            "10 hosts at most",
        ),
        ("name=a&hosts=b.example&password=long+enough+for+it".into(), "cannot be embedded"),
        ("name=a&consent=yes&field=country&verb=is&value=DE".into(), "cannot show it"),
        (
            "name=a&field=country&verb=is".to_owned()
                + "&value=DE&field=page&verb=is&value=%2F".repeat(5).as_str(),
            "5 fixed filters",
        ),
        ("name=a&field=planet&verb=is&value=Mars".into(), "a fixed filter has"),
        ("name=a&field=page&verb=has&value=".into(), "a fixed filter has"),
        (format!("name=a&field=page&verb=is&value={}", "a".repeat(2_001)), "a fixed filter has"),
    ] {
        let answer = submit(&sotto, &path, &editor, &form);
        assert_eq!(answer.status, 422, "{form}");
        let text = answer.text().replace("&#39;", "'");
        assert!(between(&text, "role=\"alert\">", "</p>").contains(expected), "{form}: {text}");
    }
}

#[test]
fn page_of_a_link_is_framed_by_its_hosts_only() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let editor = signed_in(&sotto, "editor@example.org", "editor", &key);
    let plain = link(&sotto, &editor, &key, "");
    let framed = link(&sotto, &editor, &key, "&hosts=www.client.example%0D%0Aintranet.example&goals=yes");
    for path in [&plain, &format!("/s/{key}"), &"/sign-in".to_owned(), &format!("{framed}/nothing")] {
        let answer = get(&sotto, path, "");
        assert!(
            answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
    }
    for below in ["", "?embed=1", "/list/page", "/goals"] {
        let answer = get(&sotto, &format!("{framed}{below}"), "");
        let policy = answer.header("content-security-policy").unwrap();
        let expected = "frame-ancestors https://intranet.example https://www.client.example; base-uri 'none'";
        assert!(policy.contains(expected) && policy.starts_with("default-src 'none'"), "{policy}");
        assert_eq!(answer.header("x-frame-options"), None, "{below}");
    }
    let frame = get(&sotto, &format!("{framed}?embed=1&theme=dark"), "").text();
    assert!(frame.contains("data-theme=\"dark\"") && !frame.contains("<header"), "{frame}");
    assert!(
        frame.contains("embed=1&#38;theme=dark") || frame.contains("embed=1&amp;theme=dark"),
        "links stay so: {frame}"
    );
    let whole = get(&sotto, &format!("{framed}?embed=yes&theme=%22%3E"), "").text();
    assert!(whole.contains("data-theme=\"system\"") && whole.contains("<header"), "{whole}");
    // Members' own pages are what they are.
    let own = get(&sotto, &format!("/s/{key}?embed=1&theme=dark"), &editor).text();
    assert!(own.contains("data-theme=\"system\"") && own.contains("<header"), "{own}");
}

#[test]
fn site_is_public_while_its_editors_say_so() {
    let World { sotto, key, days: [first, second], editor } = world();
    let path = format!("/public/{key}");
    let switch = |to: &str| {
        let answer = submit(&sotto, &format!("/s/{key}/sharing/public"), &editor, &format!("public={to}"));
        assert_eq!(answer.status, if to == "maybe" { 404 } else { 303 });
    };
    assert_eq!(get(&sotto, &path, "").status, 404, "off by default");
    switch("maybe");
    assert_eq!(get(&sotto, &path, "").status, 404);
    switch("on");
    let period = format!("p=custom&from={first}&to={second}");
    let page = get(&sotto, &format!("{path}?{period}&places=city"), "");
    assert_eq!((page.status, page.header("x-robots-tag")), (200, Some("noindex")));
    let text = page.text();
    assert!(text.contains("Lyon") && !text.contains("Selfoss") && text.contains("id=\"groups\""), "{text}");
    for hidden in ["Sign out", "Download CSV", "data-now", "editor@", &format!("\"/s/{key}")] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    for (below, expected) in
        [("/list/page", 200), ("/goals", 404), ("/consent", 404), ("/settings", 404), ("/sharing", 404)]
    {
        assert_eq!(get(&sotto, &format!("{path}{below}"), "").status, expected, "{below}");
    }
    assert_eq!(status(&sotto, &format!("/s/{key}"), ""), 303, "the pages of members ask to sign in");
    assert_eq!(get(&sotto, "/public/none0000", "").status, 404);
    switch("off");
    for below in ["", "/list/page"] {
        assert_eq!(get(&sotto, &format!("{path}{below}"), "").status, 404, "at once");
    }
    let actions: Vec<String> = audit_log(&sotto).into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions[..2], ["public_off", "public_on"]);
    switch("on");
    sotto.run(&["site", "remove", &key]);
    assert_eq!(get(&sotto, &path, "").status, 404);
}

#[test]
fn page_on_trust_says_whether_a_site_is_public() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let editor = signed_in(&sotto, "editor@example.org", "editor", &key);
    let says = || get(&sotto, &format!("/trust/{key}"), "").text();
    let address = format!("/public/{key}\"");
    assert!(says().contains("Its figures are not public") && !says().contains(&address), "{}", says());
    for (to, public) in [("on", true), ("off", false)] {
        let path = format!("/s/{key}/sharing/public");
        assert_eq!(submit(&sotto, &path, &editor, &format!("public={to}")).status, 303);
        assert_eq!(
            [says().contains("Anybody may read"), says().contains(&address)],
            [public; 2],
            "{to}: at once"
        );
    }
}

#[test]
fn badge_is_there_while_the_site_is_public_and_tells_no_small_figure() {
    let World { sotto, key, days: [_, day], editor } = world();
    let badge = |query: &str| get(&sotto, &format!("/public/{key}/badge.svg{query}"), "");
    let switch = |to: &str| {
        let path = format!("/s/{key}/sharing/public");
        assert_eq!(submit(&sotto, &path, &editor, &format!("public={to}")).status, 303);
    };
    assert_eq!(badge("").status, 404);
    switch("on");
    for (query, label, figure) in [
        ("?days=90", "visitors, 90 days", "320"),
        ("?days=90&of=pageviews", "pageviews, 90 days", "340"),
        ("?days=7", "visitors, 7 days", "under 5"),
        ("", "visitors, 30 days", "under 5"),
        ("?days=1000&of=%3Cscript%3E", "visitors, 30 days", "under 5"),
    ] {
        let answer = badge(query);
        let text = answer.text();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/svg+xml")), "{query}");
        assert!(text.contains(&format!("<title>{label}: {figure}</title>")), "{query}: {text}");
        assert!(!text.contains("script") && !text.contains("style="), "{text}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=600"));
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    }
    let rows: Vec<_> = (500..600).map(|i| (60, "pageview", "/", i, i, "")).collect();
    store(&sotto, &key, &day, &rows);
    assert!(badge("?days=90").text().contains(": 320<"), "it is counted once in ten minutes");
    switch("off");
    assert_eq!(badge("?days=90").status, 404, "at once");
}

#[test]
fn members_read_on_while_anybody_asks_for_a_public_page() {
    let World { sotto, key, editor, .. } = world();
    let path = format!("/s/{key}/sharing/public");
    assert_eq!(submit(&sotto, &path, &editor, "public=on").status, 303);
    let ends = std::sync::atomic::AtomicBool::new(false);
    let is_over = || ends.load(std::sync::atomic::Ordering::Relaxed);
    let (refused, read) = std::thread::scope(|scope| {
        let strangers: Vec<_> = (0..40)
            .map(|n| {
                let (sotto, key) = (&sotto, &key);
                scope.spawn(move || {
                    let mut refused = 0;
                    for round in 0.. {
                        let path = format!("/public/{key}/list/page?q={n}x{round}");
                        refused += usize::from(get(sotto, &path, "").status == 503);
                        if is_over() {
                            break;
                        }
                    }
                    refused
                })
            })
            .collect();
        let hit = |n: u32| {
            let hit =
                format!(r#"{{"v":1,"s":"{key}","k":"p","i":"view{n:04}","q":0,"u":"https://a.example/"}}"#);
            sotto.hit(&hit, &[])
        };
        let read: Vec<_> =
            (0..10).map(|n| (get(&sotto, &format!("/s/{key}"), &editor).status, hit(n))).collect();
        ends.store(true, std::sync::atomic::Ordering::Relaxed);
        (strangers.into_iter().map(|t| t.join().unwrap()).sum::<usize>(), read)
    });
    assert_eq!(read, [(200, 204); 10]);
    assert!(refused > 0, "strangers beyond their places are told to come later");
}

#[test]
fn link_is_made_listed_and_withdrawn_on_the_command_line() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let more = ["--days", "7", "--filter", "country=DE", "--filter", "page~=/blog", "--goals", "--json"];
    let made = sotto.run(&[&["share", "add", &key, "for Ann"], more.as_slice()].concat());
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let path = made[0]["link"].as_str().unwrap();
    let path = format!("/shared/{}", path.split_once("/shared/").unwrap().1);
    let page = get(&sotto, &path, "").text();
    assert!(page.contains("<b>Country is Germany</b>, <b>Page contains /blog</b>"), "{page}");
    let (ok, out) = sotto.try_run(&["share", "add", &key, "locked", "--password"], LINK_PASSWORD);
    assert!(ok, "{out}");
    let locked = out.split("/shared/").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(get(&sotto, &format!("/shared/{locked}"), "").status, 401);
    let list = || -> Vec<serde_json::Value> {
        let text = sotto.run(&["share", "list", &key, "--json"]);
        assert!(!text.contains(locked), "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let listed = list();
    let found = |n: usize, name: &str| listed[n][name].to_string();
    assert_eq!([found(0, "name"), found(1, "name")], ["\"for Ann\"", "\"locked\""]);
    assert_eq!([found(0, "password"), found(1, "password")], ["false", "true"]);
    assert_eq!(found(0, "filters"), r#"["country:is:DE","page:has:/blog"]"#);
    let number = listed[0]["id"].as_str().unwrap();
    sotto.run(&["share", "remove", &key, number]);
    assert_eq!(get(&sotto, &path, "").status, 404, "at once, while the server runs");
    assert_eq!(list().len(), 1);
    for wrong in [
        &["share", "remove", &key, number][..],
        &["share", "add", &key, ""],
        &["share", "add", &key, "x", "--filter", "planet=Mars"],
        &["share", "add", &key, "x", "--filter", "page~="],
        &["share", "add", &key, "x", "--consent", "--filter", "country=DE"],
        &["share", "add", &key, "x", "--host", "*"],
    ] {
        assert!(!sotto.try_run(wrong, "").0, "{wrong:?}");
    }
    let actions: Vec<String> = audit_log(&sotto).into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions[..3], ["link_withdraw", "link_add", "link_add"]);
}
