//! The figures of the click map over a site's own page, as somebody meets them who has a link, changed it, or keeps it too long.

use sotto_tests::{Answer, Noon, Sotto, UTC, request};

use crate::{
    accounts::submit,
    quality::{get, sign_in},
    reports::store,
};

struct World {
    sotto: Sotto,
    key: String,
    days: String,
}

/// Eight visitors who clicked on a button, one of whom clicked on a link as well and has a wide window.
fn world() -> World {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let day = Noon::now().day(1).to_string();
    let mut rows = Vec::new();
    for visitor in 11..19 {
        rows.push((600, "pageview", "/café", visitor, visitor, r#""screen":"md""#));
        rows.push((601, "click", "/café", visitor, visitor, r##""click_path":["#buy"],"screen":"md""##));
        rows.push((602, "engagement", "/café", visitor, visitor, r#""scroll":60,"screen":"md""#));
    }
    rows.push((600, "pageview", "/café", 21, 21, r#""screen":"xl""#));
    rows.push((603, "click", "/café", 21, 21, r##""click_path":["#one","#one","#one"],"screen":"xl""##));
    store(&sotto, &key, &day, &rows);
    World { sotto, key, days: format!("p=custom&from={day}&to={day}") }
}

impl World {
    /// The address of the figures, from the link on the report of a page.
    fn link(&self, cookie: &str, more: &str) -> String {
        let page = get(
            &self.sotto,
            &format!("/s/{}/clicks?{}&f=page:is:/caf%C3%A9{more}", self.key, self.days),
            cookie,
        );
        let page = page.text();
        let link = page.split("id=\"overlay\" href=\"").nth(1).unwrap_or_else(|| panic!("no link: {page}"));
        let link = link.split('"').next().unwrap().replace("&#38;", "&");
        let (address, figures) = link.split_once("#sotto-overlay=").unwrap();
        assert_eq!(address, "https://a.example/caf%C3%A9");
        figures.strip_prefix(&self.sotto.url).unwrap().to_owned()
    }

    /// Asked as by a page of the site: without a cookie.
    fn asked(&self, link: &str, screen: &str) -> Answer {
        let path = format!("{link}?page=/caf%25C3%25A9&screen={screen}");
        request("GET", &format!("{}{path}", self.sotto.url), &[("origin", "https://a.example")], b"")
    }

    fn figures(&self, link: &str, screen: &str) -> serde_json::Value {
        let answer = self.asked(link, screen);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer.json()
    }
}

#[test]
fn link_tells_what_the_report_on_clicks_tells_its_reader() {
    let world = world();
    let [editor, viewer] = ["editor", "viewer"].map(|role| {
        sign_in(&world.sotto, &format!("{role}@example.org"), &["--role", role, "--site", &world.key])
    });
    let link = world.link(&editor, "");
    let all = world.figures(&link, "");
    let row = |element: &str, clicks: u32, repeated: u32| serde_json::json!({ "element": element, "clicks": f64::from(clicks), "repeated": f64::from(repeated) });
    assert_eq!(all["clicks"], serde_json::json!([row("#buy", 8, 0), row("#one", 3, 1)]));
    assert_eq!(all["reading"]["measured"], 8.0);
    assert_eq!(all["reading"]["reached"], serde_json::json!([8.0, 8.0, 0.0, 0.0]));
    assert_eq!(all["least"], 0);
    assert_eq!(world.figures(&link, "xl")["clicks"], serde_json::json!([row("#one", 3, 1)]));
    // Of a viewer, who sees groups: the single visitor is not there, and what is there is rounded.
    let link = world.link(&viewer, "");
    let groups = world.figures(&link, "");
    assert_eq!(groups["clicks"], serde_json::json!([row("#buy", 10, 0)]));
    assert_eq!(groups["least"], 5);
    assert_eq!(world.figures(&link, "xl")["clicks"], serde_json::json!([]));
    // The filters of the report go with it.
    let link = world.link(&editor, "&f=screen:is:xl");
    assert_eq!(world.figures(&link, "")["clicks"], serde_json::json!([row("#one", 3, 1)]));
}

#[test]
fn link_ends_with_the_sign_in_the_role_and_every_change_of_it() {
    let world = world();
    let World { sotto, key, .. } = &world;
    let reader =
        |name: &str| sign_in(sotto, &format!("{name}@example.org"), &["--role", "viewer", "--site", key]);
    let gone = |link: &str| {
        let answer = world.asked(link, "");
        assert_eq!((answer.status, answer.text().as_str()), (404, ""), "{link}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("*"),
            "the page may read that it has ended"
        );
    };
    let [out, removed, other] = ["out", "removed", "other"].map(|name| (name, reader(name)));
    let link = |(_, cookie): &(&str, String)| world.link(cookie, "");
    let [out_link, removed_link, other_link] = [&out, &removed, &other].map(link);
    for link in [&out_link, &removed_link, &other_link] {
        assert_eq!(world.asked(link, "").status, 200);
    }
    // A signature of one link does not go with another, nor with none.
    let (claim, _) = out_link.rsplit_once('.').unwrap();
    let (_, mac) = other_link.rsplit_once('.').unwrap();
    for changed in [format!("{claim}.{mac}"), format!("{claim}."), claim.to_owned(), "/overlay/.".to_owned()]
    {
        gone(&changed);
    }
    submit(sotto, "/sign-out", &out.1, "");
    gone(&out_link);
    sotto.run(&["user", "remove", "removed@example.org"]);
    gone(&removed_link);
    sotto.run(&["site", "remove", key]);
    gone(&other_link);
}

#[test]
fn report_of_several_pages_has_no_link() {
    let world = world();
    let editor = sign_in(&world.sotto, "editor@example.org", &["--role", "editor", "--site", &world.key]);
    for filters in ["", "&f=page:is:/caf%C3%A9&f=page:is:/other", "&f=page:is:/reset/[token]"] {
        let page = get(&world.sotto, &format!("/s/{}/clicks?{}{filters}", world.key, world.days), &editor);
        assert_eq!(page.status, 200);
        assert!(!page.text().contains("sotto-overlay"), "{filters}");
    }
}
