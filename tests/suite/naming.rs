//! Sources, channels and campaigns of visitors who agreed to less than all: what follows from what is stored is derived,
//! and what does not is said to be not measured.

use jiff::civil::{Date, date};
use serde_json::json;
use sotto_collector::pipeline::{referrer::attribute, sanitise::Tags};
use sotto_dashboard::{
    filter::{FILTERS_MAX, Filter, Filters, Verb},
    range::Range,
    report::{Answer, Dimension, List, Metric, Query, Reports, Rows, Scope, Source, Sources, lists},
};
use sotto_schema::{
    dimension::NOT_MEASURED,
    id::SiteId,
    referrers::{Kind, SOURCES},
};
use sotto_store::{db::Db, migrate, settled};

use crate::schema::Server;

const DAY: Date = date(2026, 3, 27);

async fn server() -> Server {
    let server = Server::start().await;
    migrate::migrate(&server.db()).await.unwrap();
    server
}

/// Stores pageviews: of each a session (0: anonymous), a source, a referring host, a channel, and a campaign.
async fn store(db: &Db, site: SiteId, pageviews: &[(u64, &str, &str, &str, &str)]) {
    let line = |(n, (session, source, host, channel, campaign)): (usize, &(u64, &str, &str, &str, &str))| {
        json!({
            "site": site.to_string(), "day": DAY.to_string(), "expires": "2099-01-01",
            "time": format!("{DAY} 12:00:00.000"), "kind": "pageview", "path": "/",
            "tier": if *session == 0 { "minimal" } else { "full" }, "refused": if *session == 0 { 14 } else { 0 },
            "visitor": session.to_string(), "session": session.to_string(), "view": (n + 1).to_string(),
            "source": source, "referrer_host": host, "channel": channel, "utm_campaign": campaign,
        })
        .to_string()
    };
    let lines: Vec<String> = pageviews.iter().enumerate().map(line).collect();
    let mut insert = db.client().insert_formatted_with("INSERT INTO events FORMAT JSONEachRow");
    insert.send(lines.join("\n").into()).await.unwrap();
    insert.end().await.unwrap();
}

async fn ask(db: &Db, site: SiteId, filters: Filters, source: Source, by: &[Dimension]) -> Answer {
    let scope = Scope { site, time_zone: "UTC".into() };
    let query = Query { source, ..Query::totals(scope, Range::day(DAY), filters) };
    let sources = Sources::of(db, &query.scope, query.range).await.unwrap();
    let all: Vec<List> =
        by.iter().map(|by| List { by: *by, sort: Metric::Pageviews, limit: 10_000, entries: true }).collect();
    lists(&Reports::new(db.clone()), &sources, &query, &all, true).await.unwrap()
}

fn pageviews(rows: &Rows) -> Vec<(&str, u64)> {
    rows.iter().map(|(value, counts)| (value.as_str(), counts.pageviews)).collect()
}

fn only(field: Dimension, value: &str) -> Filters {
    Filters::default().with(Filter::new(field, Verb::Is, value).unwrap())
}

#[tokio::test]
async fn host_of_an_anonymous_pageview_has_the_name_and_channel_that_a_measured_visit_has() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    let known = SOURCES.iter().filter(|source| source.kind != Kind::Return).flat_map(|source| &source.hosts);
    let known = known.filter(|host| !host.contains('/'));
    let mut hosts: Vec<String> = known
        .flat_map(|host| match host.strip_suffix(".*") {
            Some(name) => {
                vec![
                    format!("{name}.com"),
                    format!("www.{name}.de"),
                    format!("www.{name}.co.uk"),
                    format!("m.{name}.com.br"),
                ]
            }
            None => vec![host.clone(), format!("www.{host}"), format!("a.b.{host}")],
        })
        .collect();
    hosts.extend(
        ["www.blog.example", "blog.example", "notgoogle.example", "google.blog.example"].map(Into::into),
    );
    let events: Vec<_> = hosts.iter().map(|host| (0, "", host.as_str(), "", "")).collect();
    store(&db, site, &events).await;
    for by in [Dimension::Source, Dimension::Channel] {
        let answer = ask(&db, site, Filters::default(), Source::Raw, &[by]).await;
        let mut expected: Vec<String> =
            hosts
                .iter()
                .map(|host| attribute("a.example", &format!("https://{host}/"), Tags::default()))
                .map(|found| {
                    if by == Dimension::Source {
                        found.source.to_string()
                    } else {
                        found.channel.name().into()
                    }
                })
                .collect();
        expected.sort();
        let mut found: Vec<String> = Vec::new();
        for (value, counts) in &answer.lists[0].0 {
            (0..counts.pageviews).for_each(|_| found.push(value.clone()));
        }
        found.sort();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{by:?}");
        }
    }
}

#[tokio::test]
async fn what_does_not_follow_from_what_is_stored_is_not_measured_rather_than_direct_or_none() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    store(
        &db,
        site,
        &[
            // Agreed to marketing: an advertisement, and typed.
            (1, "Google", "www.google.com", "paid_search", "rooms"),
            (2, "", "", "direct", ""),
            // Did not: from a search, and typed or from the site itself.
            (3, "Google", "www.google.com", "", ""),
            (4, "blog.example", "blog.example", "", ""),
            (5, "", "", "", ""),
            // Refused to be measured: from a search, and two pages of which any may be the first of a visit.
            (0, "", "www.google.de", "", ""),
            (0, "", "", "", ""),
            (0, "", "", "", ""),
        ],
    )
    .await;
    let by = [Dimension::Source, Dimension::Channel, Dimension::UtmCampaign];
    for settle in [false, true] {
        if settle {
            let print = settled::print_before(&db, site, DAY, u32::MAX).await.unwrap();
            assert!(settled::settle(&db, site, "UTC", DAY, print).await.unwrap());
        }
        let answer = ask(&db, site, Filters::default(), Source::Auto, &by).await;
        let rows: Vec<_> = answer.lists.iter().map(|(rows, _)| pageviews(rows)).collect();
        assert_eq!(rows[0], [("Google", 3), ("", 2), (NOT_MEASURED, 2), ("blog.example", 1)], "{settle}");
        assert_eq!(
            rows[1],
            [(NOT_MEASURED, 2), ("direct", 2), ("organic_search", 2), ("paid_search", 1), ("referral", 1)],
            "{settle}"
        );
        assert_eq!(rows[2], [(NOT_MEASURED, 6), ("", 1), ("rooms", 1)], "{settle}");
        for (filters, visits, views) in [
            (only(Dimension::Source, "Google"), 2, 3),
            (only(Dimension::Source, ""), 2, 2),
            (only(Dimension::Channel, "organic_search"), 1, 2),
            (only(Dimension::UtmCampaign, ""), 1, 1),
        ] {
            let answer = ask(&db, site, filters.clone(), Source::Auto, &[]).await;
            assert_eq!((answer.totals.visits, answer.totals.pageviews), (visits, views), "{filters:?}");
        }
    }
}

#[tokio::test]
async fn pageviews_by_consent_are_those_that_a_filter_chooses() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    let events = [
        (1, "Google", "google.com", "paid_search", "rooms"),
        (2, "Bing", "bing.com", "organic_search", ""),
        (0, "", "www.google.com", "", ""),
        (0, "", "www.bing.com", "", ""),
        (0, "", "", "", ""),
    ];
    store(&db, site, &events).await;
    for settle in [false, true] {
        if settle {
            let print = settled::print_before(&db, site, DAY, u32::MAX).await.unwrap();
            assert!(settled::settle(&db, site, "UTC", DAY, print).await.unwrap());
        }
        for (filters, full, anonymous) in [
            (Filters::default(), 2, 3),
            (only(Dimension::Source, "Google"), 1, 1),
            (only(Dimension::Channel, "organic_search"), 1, 2),
            (only(Dimension::UtmCampaign, "rooms"), 1, 0),
            (only(Dimension::EntryPage, "/"), 2, 0),
            (only(Dimension::ExitPage, "/"), 2, 0),
            (only(Dimension::Page, "/"), 2, 3),
            (only(Dimension::Referrer, "google.com"), 1, 1),
            (only(Dimension::Country, "DE"), 0, 0),
        ] {
            let answer = ask(&db, site, filters.clone(), Source::Auto, &[]).await;
            assert_eq!((answer.consent.full, answer.consent.anonymous), (full, anonymous), "{filters:?}");
            assert_eq!(answer.consent.pageviews(), answer.totals.pageviews, "{filters:?}");
        }
    }
}

#[tokio::test]
async fn filters_on_as_many_fields_as_a_report_may_have_are_answered() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    store(&db, site, &[(1, "Google", "www.google.com", "", ""), (0, "", "www.google.com", "", "")]).await;
    let all: Vec<Dimension> = Dimension::ALL.into_iter().filter(|by| !by.is_time()).collect();
    for fields in all.chunks(FILTERS_MAX) {
        // Each excludes nothing that is there; the names of all hosts are in those of sources and channels.
        let filters = fields.iter().filter_map(|by| Filter::new(*by, Verb::Not, "nothing"));
        let filters = filters.fold(Filters::default(), Filters::with);
        assert_eq!(filters.each().count(), fields.len());
        let answer = ask(&db, site, filters, Source::Raw, &Dimension::ALL).await;
        assert_eq!((answer.totals.visits, answer.totals.pageviews), (1, 2));
    }
}

/// Stores a hit of each line of fields, at the same moment.
async fn store_fields(db: &Db, site: SiteId, hits: &[serde_json::Value]) {
    let line = |(n, fields): (usize, &serde_json::Value)| {
        let mut row = json!({
            "site": site.to_string(), "day": DAY.to_string(), "expires": "2099-01-01",
            "time": format!("{DAY} 12:00:00.000"), "kind": "pageview", "path": "/", "tier": "full",
            "visitor": (n + 1).to_string(), "session": (n + 1).to_string(), "view": (n + 1).to_string(),
        });
        let (Some(row_of), Some(fields)) = (row.as_object_mut(), fields.as_object()) else { unreachable!() };
        row_of.extend(fields.clone());
        row.to_string()
    };
    let lines: Vec<String> = hits.iter().enumerate().map(line).collect();
    let mut insert = db.client().insert_formatted_with("INSERT INTO events FORMAT JSONEachRow");
    insert.send(lines.join("\n").into()).await.unwrap();
    insert.end().await.unwrap();
}

/// The rows of each list by hits: pageviews and events.
async fn hits_by(db: &Db, site: SiteId, by: &[Dimension]) -> Vec<Vec<(String, u64)>> {
    let answer = ask(db, site, Filters::default(), Source::Auto, by).await;
    let rows = |(rows, _): &(Rows, _)| {
        let mut rows: Vec<(String, u64)> =
            rows.iter().map(|(value, counts)| (value.clone(), counts.pageviews + counts.events)).collect();
        rows.sort();
        rows
    };
    answer.lists.iter().map(rows).collect()
}

fn owned<const N: usize>(rows: [(&str, u64); N]) -> Vec<(String, u64)> {
    rows.map(|(value, hits)| (value.to_owned(), hits)).into()
}

#[tokio::test]
async fn network_of_a_visitor_who_did_not_agree_to_it_is_not_measured_unless_the_site_keeps_it() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    let hits = [
        json!({"granted": 4, "asn": 64500, "network": "Net", "network_kind": "consumer", "browser": "Firefox", "browser_version": "132"}),
        json!({"granted": 4, "browser": "Firefox", "os": "Windows", "os_version": "10/11"}),
        json!({"asn": 64501}),
        json!({"utm_content": "red", "utm_term": "rooms", "click_id": "gclid", "channel": "paid_search"}),
        json!({"visitor": "0", "session": "0", "tier": "minimal"}),
    ];
    store_fields(&db, site, &hits).await;
    let by = [
        Dimension::Network,
        Dimension::NetworkKind,
        Dimension::BrowserVersion,
        Dimension::OsVersion,
        Dimension::UtmContent,
        Dimension::ClickId,
    ];
    for settle in [false, true] {
        if settle {
            let print = settled::print_before(&db, site, DAY, u32::MAX).await.unwrap();
            assert!(settled::settle(&db, site, "UTC", DAY, print).await.unwrap());
        }
        let found = hits_by(&db, site, &by).await;
        assert_eq!(found[0], owned([("", 1), (NOT_MEASURED, 2), ("AS64501", 1), ("Net", 1)]), "{settle}");
        assert_eq!(found[1], owned([("", 2), (NOT_MEASURED, 2), ("consumer", 1)]), "{settle}");
        assert_eq!(found[2], owned([("", 3), ("Firefox", 1), ("Firefox 132", 1)]), "{settle}");
        assert_eq!(found[3], owned([("", 4), ("Windows 10/11", 1)]), "{settle}");
        assert_eq!(found[4], owned([(NOT_MEASURED, 4), ("red", 1)]), "{settle}");
        assert_eq!(found[5], owned([(NOT_MEASURED, 4), ("gclid", 1)]), "{settle}");
    }
}

#[tokio::test]
async fn followed_link_is_counted_under_its_address_whatever_the_sender_calls_the_event() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    let event = |name: &str, url: &str| json!({"kind": "custom", "name": name, "props": {"url": url}, "interactive": true});
    let one_visit = |mut hit: serde_json::Value| {
        (hit["visitor"], hit["session"]) = ("77".into(), "77".into());
        hit
    };
    let hits = [
        event("outbound", "https://b.example/"),
        event("Outbound link", "https://b.example/"),
        event("Outbound Link: Click", "https://c.example/x"),
        // Without consent to analytics the event is kept, and its properties are not.
        json!({"kind": "custom", "name": "outbound"}),
        event("download", "https://a.example/a.pdf"),
        event("File download", "https://a.example/a.pdf"),
        event("File Download", "https://a.example/a.pdf"),
        event("Sign up", "https://d.example/"),
        json!({"props": {"url": "https://e.example/"}}),
        // A visit that saw a page, and followed a link twice and another one.
        one_visit(json!({})),
        one_visit(event("outbound", "https://b.example/")),
        one_visit(event("outbound", "https://b.example/")),
        one_visit(event("outbound", "https://c.example/x")),
    ];
    store_fields(&db, site, &hits).await;
    for settle in [false, true] {
        if settle {
            let print = settled::print_before(&db, site, DAY, u32::MAX).await.unwrap();
            assert!(settled::settle(&db, site, "UTC", DAY, print).await.unwrap());
        }
        let found = hits_by(&db, site, &[Dimension::Outbound, Dimension::Download]).await;
        let outbound = [(NOT_MEASURED, 1), ("https://b.example/", 4), ("https://c.example/x", 2)];
        assert_eq!(found[0], owned(outbound), "{settle}");
        assert_eq!(found[1], owned([("https://a.example/a.pdf", 3)]), "{settle}");
        let followed = only(Dimension::Outbound, "https://b.example/");
        let answer = ask(&db, site, followed, Source::Auto, &[]).await;
        assert_eq!((answer.totals.visits, answer.totals.events), (3, 4), "{settle}");
        let answer = ask(&db, site, Filters::default(), Source::Auto, &[Dimension::Outbound]).await;
        let mut visits: Vec<u64> = answer.lists[0].0.iter().map(|(_, counts)| counts.visits).collect();
        visits.sort_unstable();
        assert_eq!(visits, [1, 2, 3], "{settle}");
    }
}

#[tokio::test]
async fn host_is_the_same_with_www_and_without() {
    let server = server().await;
    let (db, site) = (server.db(), SiteId::random().unwrap());
    let line = |n: u64, host: &str| {
        json!({
            "site": site.to_string(), "day": DAY.to_string(), "expires": "2099-01-01",
            "time": format!("{DAY} 12:00:00.000"), "kind": "pageview", "path": "/", "tier": "full",
            "visitor": n.to_string(), "session": n.to_string(), "view": n.to_string(), "hostname": host,
            "source": "blog.example", "referrer_host": if n == 1 { "www.blog.example" } else { "blog.example" },
        })
        .to_string()
    };
    let lines = [line(1, "www.a.example"), line(2, "a.example"), line(3, "wwwhite.example")].join("\n");
    let mut insert = db.client().insert_formatted_with("INSERT INTO events FORMAT JSONEachRow");
    insert.send(lines.into()).await.unwrap();
    insert.end().await.unwrap();
    for settle in [false, true] {
        if settle {
            let print = settled::print_before(&db, site, DAY, u32::MAX).await.unwrap();
            assert!(settled::settle(&db, site, "UTC", DAY, print).await.unwrap());
        }
        let by = [Dimension::Hostname, Dimension::Referrer];
        let answer = ask(&db, site, Filters::default(), Source::Auto, &by).await;
        assert_eq!(pageviews(&answer.lists[0].0), [("a.example", 2), ("wwwhite.example", 1)], "{settle}");
        assert_eq!(pageviews(&answer.lists[1].0), [("blog.example", 3)], "{settle}");
        let filtered = ask(&db, site, only(Dimension::Hostname, "a.example"), Source::Auto, &[]).await;
        assert_eq!((filtered.totals.visits, filtered.totals.pageviews), (2, 2), "{settle}");
    }
}
