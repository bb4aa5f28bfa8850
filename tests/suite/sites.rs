//! The list of sites: figures that agree with the sites' own reports, what it warns of, search and order.

use serde_json::Value;
use sotto_tests::{Noon, Sotto};

use crate::{
    quality::{get, sign_in},
    reports::store,
};

/// Texts of the cells of a site's row, without marks.
fn row(page: &str, key: &str) -> Vec<String> {
    let at = page.find(&format!("href=\"/s/{key}\">")).unwrap_or_else(|| panic!("{key} is not listed"));
    let row = &page[at..at + page[at..].find("</tr>").unwrap()];
    let plain = |cell: &str| {
        let mut inside = false;
        let text = cell.chars().filter(|c| match c {
            '<' => {
                inside = true;
                false
            }
            '>' => !std::mem::take(&mut inside),
            _ => !inside,
        });
        text.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    row.split("<td").map(|cell| plain(&format!("<{cell}"))).collect()
}

/// Visitors and pageviews of a site in its own report of the last thirty days.
fn reported(sotto: &Sotto, key: &str, cookie: &str) -> [String; 2] {
    let (from, to) = (Noon::now().day(29), Noon::now().day(0));
    let path = format!("/api/v1/sites/{key}/report?from={from}&to={to}&metrics=visitors,pageviews");
    let answer: Value = get(sotto, &path, cookie).json();
    ["visitors", "pageviews"].map(|metric| answer["table"]["rows"][0][metric].to_string())
}

#[test]
fn list_of_sites_has_the_figures_of_their_own_reports_and_says_which_are_silent() {
    let sotto = Sotto::start();
    let [busy, silent, empty] =
        ["busy.example", "silent.example", "empty.example"].map(|host| sotto.add_site(host, &[]));
    let day = |ago: i32| Noon::now().day(ago).to_string();
    // Each a visitor: anonymous where there is none. A day is outside when it is thirty days ago.
    for (key, ago, visitors) in [
        (&busy, 0, &[1, 2, 0][..]),
        (&busy, 1, &[1, 1, 3]),
        (&busy, 29, &[4]),
        (&busy, 30, &[5, 6]),
        (&busy, 31, &[7]),
        (&silent, 5, &[8, 9]),
    ] {
        let rows: Vec<_> = visitors.iter().map(|v| (60, "pageview", "/", *v, *v, "")).collect();
        store(&sotto, key, &day(ago), &rows);
    }
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &silent]);
    let page = get(&sotto, "/sites", &owner).text();
    for (key, visitors, pageviews) in [(&busy, "5", "7"), (&silent, "2", "2"), (&empty, "0", "0")] {
        let cells = row(&page, key);
        assert_eq!([&*cells[2], &*cells[4]], [visitors, pageviews], "{cells:?}");
        assert_eq!(reported(&sotto, key, &owner), [visitors, pageviews], "{key}");
    }
    assert!(!row(&page, &busy)[0].contains("since"), "{:?}", row(&page, &busy));
    assert!(
        row(&page, &silent)[0]
            .contains(&format!("silent since {}", Noon::now().day(5).strftime("%-d %b %Y")))
    );
    assert!(row(&page, &empty)[0].contains("no hits in 60 days"));
    assert!(page.contains("3 sites") && page.contains("<td>9</td>"), "all of them together");

    let place = |page: &str, key: &str| page.find(&format!("href=\"/s/{key}\">"));
    assert!(place(&page, &busy) < place(&page, &silent) && place(&page, &silent) < place(&page, &empty));
    let by_name = get(&sotto, "/sites?sort=name", &owner).text();
    assert!(
        place(&by_name, &busy) < place(&by_name, &empty)
            && place(&by_name, &empty) < place(&by_name, &silent)
    );
    let found = get(&sotto, "/sites?q=%20SILENT", &owner).text();
    assert_eq!((place(&found, &busy), place(&found, &silent).is_some()), (None, true));
    let own = get(&sotto, "/sites", &viewer).text();
    assert_eq!((place(&own, &busy), place(&own, &silent).is_some()), (None, true), "a member's sites only");
    let typed = get(&sotto, &format!("/sites?q={}", "x".repeat(5_000)), &owner);
    assert_eq!(
        (typed.status, typed.text().contains(&"x".repeat(101))),
        (200, false),
        "as much as is looked at"
    );
}

#[test]
fn sites_are_in_the_folders_of_their_clients() {
    let sotto = Sotto::start();
    let keys =
        ["one.example", "two.example", "three.example", "four.example"].map(|host| sotto.add_site(host, &[]));
    let [one, two, three, four] = &keys;
    let day = Noon::now().day(1).to_string();
    for (key, visitors) in [(one, 1..=3_u64), (two, 1..=4), (three, 1..=6), (four, 1..=7)] {
        let rows: Vec<_> = visitors.map(|who| (60, "pageview", "/", who, who, "")).collect();
        store(&sotto, key, &day, &rows);
    }
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    let plain = get(&sotto, "/sites", &owner).text();
    assert!(!plain.contains("rowgroup"), "no folders where there are no clients");
    sotto.run(&["site", "edit", one, "--client", "Zebra <b>"]);
    sotto.run(&["site", "edit", two, "--client", "hotels"]);
    let form =
        "name=Three&client=+hotels+&hostnames=three.example&time_zone=UTC&preset=cnil&retention_days=90";
    assert_eq!(crate::accounts::submit(&sotto, &format!("/s/{three}/settings"), &owner, form).status, 303);
    let page = get(&sotto, "/sites?sort=visitors", &owner).text();
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    let row_of = |key: &str| at(&format!("href=\"/s/{key}\">"));
    let order = [
        at(">hotels</a>"),
        row_of(three),
        row_of(two),
        at(">Zebra &#60;b&#62;</a>"),
        row_of(one),
        at("Without a client"),
        row_of(four),
    ];
    assert!(order.is_sorted(), "{order:?}");
    let folder = &page[at(">hotels</a>")..row_of(three)];
    assert_eq!(folder.matches("<td>10</td>").count(), 2, "visitors and pageviews of both: {folder}");
    let of_client = get(&sotto, "/sites?client=hotels", &owner).text();
    assert!(of_client.contains(&format!("/s/{two}\">")) && of_client.contains(&format!("/s/{three}\">")));
    assert!(!of_client.contains(&format!("/s/{one}\">")) && !of_client.contains("rowgroup"));
    let found = get(&sotto, "/sites?q=ZEBRA", &owner).text();
    assert!(found.contains(&format!("/s/{one}\">")) && !found.contains(&format!("/s/{two}\">")));
    assert!(get(&sotto, &format!("/s/{four}/settings"), &owner).text().contains("<option value=\"hotels\">"));
    // Who sees one site sees no client of others.
    let viewer = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", four]);
    for path in ["/sites".to_owned(), format!("/s/{four}/settings")] {
        let shown = get(&sotto, &path, &viewer).text();
        assert!(!shown.contains("hotels") && !shown.contains("Zebra"), "{path}");
    }
    sotto.run(&["site", "edit", one, "--client", ""]);
    let listed: Value = serde_json::from_str(&sotto.run(&["site", "list", "--json"])).unwrap();
    let clients: Vec<_> =
        listed.as_array().unwrap().iter().map(|site| site["client"].as_str().unwrap()).collect();
    assert_eq!(clients.iter().filter(|client| client.is_empty()).count(), 2, "{listed}");
}
