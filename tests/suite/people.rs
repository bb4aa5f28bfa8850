//! One's own account and the people of a site, as somebody meets them who wants more than they may have.

use sotto_tests::{Answer, Sotto, files, request};

use crate::{
    accounts::{PASSWORD, add_user, cookie, sign_in, status, submit},
    quality::get,
    two_step::{audit_log, between},
};

const ANOTHER: &str = "another long password";

fn signed_in(sotto: &Sotto, email: &str, role: &str, site: Option<&str>) -> String {
    let on = site.map_or(Vec::new(), |site| vec!["--site", site]);
    add_user(sotto, email, &[&["--role", role], on.as_slice()].concat());
    cookie(&sign_in(sotto, email, PASSWORD))
}

fn owner(sotto: &Sotto) -> String {
    signed_in(sotto, "owner@example.org", "owner", None)
}

/// The path of the link that is shown once after somebody was invited.
fn link(answer: &Answer) -> String {
    let page = answer.text();
    assert_eq!(answer.status, 200, "{page}");
    let url = between(&page, "<code id=\"link\">", "<").to_owned();
    let path = url.split_once("/invitation/").map(|(_, secret)| format!("/invitation/{secret}")).unwrap();
    assert_eq!(path.len(), "/invitation/".len() + 64, "256 bits: {url}");
    path
}

fn invited(sotto: &Sotto, by: &str, email: &str, role: &str, sites: &[&str]) -> String {
    let sites: String = sites.iter().map(|site| format!("&site={site}")).collect();
    let form = format!("email={}&role={role}{sites}", email.replace('@', "%40"));
    link(&submit(sotto, "/people/invite", by, &form))
}

fn accept(sotto: &Sotto, path: &str, more: &str) -> Answer {
    let form = format!("name=Bea&password={}{more}", PASSWORD.replace(' ', "+"));
    submit(sotto, path, "", &form)
}

/// The number of somebody, as forms name them.
fn number(sotto: &Sotto, email: &str) -> String {
    sotto.ask_clickhouse(&format!("SELECT id FROM users FINAL WHERE email = '{email}'")).trim().to_owned()
}

/// Who has which role where: the numbers as they are stored.
fn roles(sotto: &Sotto, email: &str) -> Vec<String> {
    let user = number(sotto, email);
    let sql = format!(
        "SELECT concat(toString(role), if(site = 0, ' of all', '')) FROM members FINAL WHERE user = {user} AND deleted = 0 ORDER BY site"
    );
    sotto.ask_clickhouse(&sql).lines().map(str::to_owned).collect()
}

fn actions(sotto: &Sotto) -> Vec<String> {
    audit_log(sotto).into_iter().map(|(action, _)| action).collect()
}

#[test]
fn invitation_makes_one_account_with_what_it_says_and_nothing_that_the_form_adds() {
    let sotto = Sotto::start();
    let (a, b) = (sotto.add_site("a.example", &[]), sotto.add_site("b.example", &[]));
    let owner = owner(&sotto);
    let path = invited(&sotto, &owner, "Bea@example.org", "viewer", &[&a]);
    for _ in 0..2 {
        let page = get(&sotto, &path, "");
        assert_eq!(page.status, 200, "looking at it uses nothing up");
        assert!(page.text().contains("bea@example.org") && page.text().contains("a.example"));
    }
    assert_eq!(submit(&sotto, &path, "", "name=&password=short").status, 422);
    let more = format!("&email=eve%40example.org&role=owner&site=all&site={b}&sites=0");
    let bea = cookie(&accept(&sotto, &path, &more));
    assert_eq!(roles(&sotto, "bea@example.org"), ["viewer"]);
    assert_eq!(number(&sotto, "eve@example.org"), "");
    let seen = [format!("/s/{a}"), format!("/s/{b}"), format!("/s/{a}/settings"), "/people".into()];
    assert_eq!(seen.map(|path| status(&sotto, &path, &bea)), [200, 404, 403, 403]);
    for again in [accept(&sotto, &path, ""), get(&sotto, &path, "")] {
        assert_eq!((again.status, again.header("set-cookie")), (404, None), "it is used");
    }
    assert_eq!(sotto.ask_clickhouse("SELECT count() FROM users FINAL WHERE deleted = 0").trim(), "2");
    let actions = actions(&sotto);
    assert_eq!(actions[..2], ["invitation_accept", "invitation_add"], "{actions:?}");
}

#[test]
fn invitation_used_many_times_at_once_makes_one_account() {
    let sotto = Sotto::start();
    let a = sotto.add_site("a.example", &[]);
    let path = invited(&sotto, &owner(&sotto), "bea@example.org", "viewer", &[&a]);
    let signed_in: usize = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(|| accept(&sotto, &path, "").status)).collect();
        all.into_iter().map(|t| usize::from(t.join().unwrap() == 303)).sum()
    });
    assert_eq!(signed_in, 1);
    let made = sotto.ask_clickhouse("SELECT count() FROM users FINAL WHERE email = 'bea@example.org'");
    assert_eq!(made.trim(), "1");
}

#[test]
fn invitation_that_expired_was_withdrawn_or_was_guessed_opens_nothing() {
    let sotto = Sotto::start();
    let a = sotto.add_site("a.example", &[]);
    let owner = owner(&sotto);
    // Else the database removes it before the query that must not find it.
    sotto.ask_clickhouse("ALTER TABLE invitations REMOVE TTL");
    let age = |hours: u32| {
        let change = format!("UPDATE expires = expires - INTERVAL {hours} HOUR WHERE 1");
        sotto.ask_clickhouse(&format!("ALTER TABLE invitations {change} SETTINGS mutations_sync = 2"));
    };
    let path = invited(&sotto, &owner, "bea@example.org", "viewer", &[&a]);
    let days = sotto.ask_clickhouse("SELECT dateDiff('hour', created, expires) FROM invitations FINAL");
    assert_eq!(days.trim(), "168", "seven days");
    age(167);
    assert_eq!(get(&sotto, &path, "").status, 200, "an hour is left");
    age(1);
    assert_eq!(get(&sotto, &path, "").status, 404);
    assert_eq!(accept(&sotto, &path, "").status, 404);

    let path = invited(&sotto, &owner, "cem@example.org", "viewer", &[&a]);
    let page = get(&sotto, "/people", &owner).text();
    assert!(page.contains("cem@example.org") && !page.contains("bea@example.org"), "{page}");
    let form = format!("id={}", between(&page, "name=\"id\" value=\"", "\""));
    assert_eq!(submit(&sotto, "/people/withdraw", &owner, &form).status, 303);
    assert_eq!(submit(&sotto, "/people/withdraw", &owner, &form).status, 404);
    assert_eq!(accept(&sotto, &path, "").status, 404);

    for guess in ["0".repeat(64), "x".into(), path.split_at(path.len() - 1).0[12..].into()] {
        let path = format!("/invitation/{guess}");
        assert_eq!((get(&sotto, &path, "").status, accept(&sotto, &path, "").status), (404, 404), "{guess}");
    }
    assert_eq!(sotto.ask_clickhouse("SELECT count() FROM users FINAL WHERE deleted = 0").trim(), "1");
    assert_eq!(actions(&sotto)[0], "invitation_withdraw");
}

#[test]
fn address_of_an_invitation_that_was_used_or_withdrawn_is_rewritten_out_of_the_table() {
    let sotto = Sotto::start();
    let a = sotto.add_site("a.example", &[]);
    let owner = owner(&sotto);
    let used = invited(&sotto, &owner, "bea@example.org", "viewer", &[&a]);
    invited(&sotto, &owner, "cem@example.org", "viewer", &[&a]);
    let form = |page: &str| {
        let line = page.split("<li>").find(|line| line.contains("cem@example.org")).unwrap().to_owned();
        format!("id={}", between(&line, "name=\"id\" value=\"", "\""))
    };
    let form = form(&get(&sotto, "/people", &owner).text());
    assert_eq!(submit(&sotto, "/people/withdraw", &owner, &form).status, 303);
    // Who is invited again gets another link, and the first is void.
    let first = invited(&sotto, &owner, "dot@example.org", "viewer", &[&a]);
    let second = invited(&sotto, &owner, "dot@example.org", "viewer", &[&a]);
    assert_eq!((get(&sotto, &first, "").status, get(&sotto, &second, "").status), (404, 200));
    cookie(&accept(&sotto, &used, ""));
    sotto.run(&["retention", "run"]);
    let left = sotto.ask_clickhouse("SELECT email FROM invitations WHERE email != ''");
    assert_eq!(left.trim(), "dot@example.org", "the open one alone");
}

#[test]
fn invitation_is_void_once_its_sender_may_not_give_what_it_gives() {
    let sotto = Sotto::start();
    let a = sotto.add_site("a.example", &[]);
    let owner = owner(&sotto);
    let ann = signed_in(&sotto, "ann@example.org", "owner", Some(&a));
    let [lowered, removed] =
        ["bea@example.org", "cem@example.org"].map(|email| invited(&sotto, &ann, email, "viewer", &[&a]));
    let ann_is = number(&sotto, "ann@example.org");
    let role = |role: &str| {
        let form = format!("user={ann_is}&site={a}&role={role}");
        assert_eq!(submit(&sotto, "/people/role", &owner, &form).status, 303);
    };
    role("editor");
    assert_eq!((get(&sotto, &lowered, "").status, accept(&sotto, &lowered, "").status), (404, 404));
    role("owner");
    assert_eq!(get(&sotto, &lowered, "").status, 200);
    assert_eq!(submit(&sotto, "/people/remove", &owner, &format!("user={ann_is}")).status, 303);
    assert_eq!((get(&sotto, &removed, "").status, accept(&sotto, &removed, "").status), (404, 404));
    let left = sotto.ask_clickhouse("SELECT count() FROM invitations FINAL WHERE deleted = 0");
    assert_eq!(left.trim(), "0");
    let of_removed_site = invited(&sotto, &owner, "dot@example.org", "viewer", &[&a]);
    sotto.run(&["site", "remove", &a]);
    let statuses = [get(&sotto, &of_removed_site, "").status, accept(&sotto, &of_removed_site, "").status];
    assert_eq!(statuses, [404, 404]);
}

#[test]
fn owner_of_one_site_neither_gives_nor_sees_what_is_not_theirs() {
    let sotto = Sotto::start();
    let (a, b) = (sotto.add_site("a.example", &[]), sotto.add_site("b.example", &[]));
    let owner = owner(&sotto);
    let ann = signed_in(&sotto, "ann@example.org", "owner", Some(&a));
    add_user(&sotto, "bob@example.org", &["--role", "editor", "--site", &b]);
    let bob = number(&sotto, "bob@example.org");
    invited(&sotto, &owner, "cem@example.org", "viewer", &[&a, &b]);
    let page = get(&sotto, "/people", &ann).text();
    assert!(page.contains("ann@example.org"), "{page}");
    assert!(page.contains("owner@example.org"), "who has all sites has this one");
    for hidden in ["bob@example.org", "cem@example.org", "b.example", "value=\"all\"", "/people/remove\""] {
        assert!(!page.contains(hidden), "{hidden}: {page}");
    }
    let owner_is = number(&sotto, "owner@example.org");
    let theirs = get(&sotto, "/people", &owner).text();
    let invitation = between(&theirs, "name=\"id\" value=\"", "\"");
    for (path, form, refused) in [
        ("/people/invite", "email=eve%40example.org&role=viewer&site=all".to_owned(), 403),
        ("/people/invite", format!("email=eve%40example.org&role=viewer&site={b}"), 404),
        ("/people/invite", format!("email=eve%40example.org&role=viewer&site={a}&site={b}"), 404),
        ("/people/invite", format!("email=eve%40example.org&role=admin&site={a}"), 404),
        ("/people/invite", "email=eve%40example.org&role=viewer".to_owned(), 422),
        ("/people/role", format!("user={bob}&site={b}&role=viewer"), 404),
        ("/people/role", format!("user={bob}&site={a}&role=viewer"), 404),
        ("/people/role", format!("user={owner_is}&site=all&role=viewer"), 403),
        ("/people/role/remove", format!("user={owner_is}&site=all"), 403),
        ("/people/remove", format!("user={bob}"), 403),
        ("/people/withdraw", format!("id={invitation}"), 404),
        ("/account/tokens", "name=x&scope=read&site=all".to_owned(), 403),
        ("/account/tokens", format!("name=x&scope=read&site={b}"), 404),
    ] {
        assert_eq!(submit(&sotto, path, &ann, &form).status, refused, "{path} {form}");
    }
    assert_eq!(roles(&sotto, "bob@example.org"), ["editor"]);
    assert_eq!(roles(&sotto, "owner@example.org"), ["owner of all"]);
}

#[test]
fn viewer_and_editor_come_to_no_page_of_people_and_make_no_tokens() {
    let sotto = Sotto::start();
    let a = sotto.add_site("a.example", &[]);
    let owner = owner(&sotto);
    for role in ["viewer", "editor"] {
        let email = format!("{role}@example.org");
        let cookie = signed_in(&sotto, &email, role, Some(&a));
        let own = number(&sotto, &email);
        assert_eq!(status(&sotto, "/people", &cookie), 403, "{role}");
        let account = get(&sotto, "/account", &cookie);
        assert_eq!(account.status, 200);
        for hidden in ["href=\"/people\"", "/account/tokens"] {
            assert!(!account.text().contains(hidden), "{role}: {hidden}");
        }
        for (path, form) in [
            ("/people/invite", format!("email=eve%40example.org&role={role}&site={a}")),
            ("/people/role", format!("user={own}&site={a}&role=owner")),
            ("/people/role/remove", format!("user={own}&site={a}")),
            ("/people/remove", format!("user={own}")),
            ("/people/withdraw", "id=0".to_owned()),
            ("/account/tokens", format!("name=x&scope=read&site={a}")),
        ] {
            assert_eq!(submit(&sotto, path, &cookie, &form).status, 403, "{role} {path}");
        }
        assert_eq!(roles(&sotto, &email), [role]);
    }
    assert!(get(&sotto, "/account", &owner).text().contains("href=\"/people\""));
    for path in ["/people", "/account"] {
        let answer = get(&sotto, path, "");
        let back = format!("/sign-in?next=%2F{}", &path[1..]);
        assert_eq!((answer.status, answer.header("location")), (303, Some(back.as_str())));
    }
    assert_eq!(sotto.ask_clickhouse("SELECT count() FROM invitations").trim(), "0");
    assert_eq!(sotto.ask_clickhouse("SELECT count() FROM tokens").trim(), "0");
}

#[test]
fn person_who_is_removed_is_out_at_once_with_their_tokens() {
    let sotto = Sotto::start();
    let a = sotto.add_site("a.example", &[]);
    let owner = owner(&sotto);
    let ann = signed_in(&sotto, "ann@example.org", "owner", Some(&a));
    let token = made(&submit(&sotto, "/account/tokens", &ann, &format!("name=ci&scope=read&site={a}")));
    let reads = |token: &str| {
        let bearer = format!("Bearer {token}");
        let url = format!("{}/api/v1/sites/{a}/quality", sotto.url);
        request("GET", &url, &[("authorization", &bearer)], b"").status
    };
    assert_eq!((reads(&token), status(&sotto, "/sites", &ann)), (200, 200));
    let of_owner = made(&submit(&sotto, "/account/tokens", &owner, "name=all&scope=read&site=all"));
    let form = format!("user={}", number(&sotto, "ann@example.org"));
    assert_eq!(submit(&sotto, "/people/remove", &owner, &form).status, 303);
    let out = get(&sotto, "/sites", &ann);
    assert_eq!((out.status, out.header("location")), (303, Some("/sign-in?next=%2Fsites")));
    assert_eq!((reads(&token), reads(&of_owner)), (401, 200));
    assert_eq!(sign_in(&sotto, "ann@example.org", PASSWORD).status, 401);
    assert_eq!(submit(&sotto, "/people/remove", &owner, &form).status, 404);
    assert!(!get(&sotto, "/people", &owner).text().contains("ann@example.org"));
    assert_eq!(actions(&sotto)[0], "user_remove");
}

/// The token that is shown once.
fn made(answer: &Answer) -> String {
    let page = answer.text();
    assert_eq!(answer.status, 200, "{page}");
    between(&page, "<code id=\"token\">", "<").to_owned()
}

#[test]
fn person_who_owns_a_site_no_more_loses_its_tokens_and_keeps_others() {
    let sotto = Sotto::start();
    let (a, b) = (sotto.add_site("a.example", &[]), sotto.add_site("b.example", &[]));
    let owner = owner(&sotto);
    let ann = signed_in(&sotto, "ann@example.org", "owner", Some(&a));
    // Somebody with an account gets the role at once.
    let form = format!("email=ANN%40example.org&role=owner&site={b}");
    assert_eq!(submit(&sotto, "/people/invite", &owner, &form).status, 303);
    for site in [&a, &b] {
        made(&submit(&sotto, "/account/tokens", &ann, &format!("name=of-{site}&scope=read&site={site}")));
    }
    let form = format!("user={}&site={a}&role=viewer", number(&sotto, "ann@example.org"));
    assert_eq!(submit(&sotto, "/people/role", &owner, &form).status, 303);
    let left = sotto.ask_clickhouse("SELECT name FROM tokens FINAL WHERE deleted = 0");
    assert_eq!(left.trim(), format!("of-{b}"));
    let form = format!("user={}&site={a}", number(&sotto, "ann@example.org"));
    assert_eq!(submit(&sotto, "/people/role/remove", &owner, &form).status, 303);
    assert_eq!(
        (status(&sotto, &format!("/s/{a}"), &ann), status(&sotto, &format!("/s/{b}"), &ann)),
        (404, 200)
    );
    assert_eq!(actions(&sotto)[..2], ["role_change", "role_change"]);
}

#[test]
fn token_made_by_others_is_removed_only_by_who_owns_what_it_reads() {
    let sotto = Sotto::start();
    let (a, b) = (sotto.add_site("a.example", &[]), sotto.add_site("b.example", &[]));
    let owner = owner(&sotto);
    let ann = signed_in(&sotto, "ann@example.org", "owner", Some(&a));
    let bob = signed_in(&sotto, "bob@example.org", "editor", Some(&a));
    for (name, site) in [("of-a", Some(&a)), ("of-b", Some(&b)), ("of-all", None)] {
        let on = site.map_or(Vec::new(), |site| vec!["--site", site.as_str()]);
        sotto.run(&[&["token", "add", name], on.as_slice()].concat());
    }
    let id = |name: &str| {
        let found = sotto.ask_clickhouse(&format!("SELECT id FROM tokens FINAL WHERE name = '{name}'"));
        format!("id={}", found.trim())
    };
    let seen = |cookie: &str| {
        let page = get(&sotto, "/account", cookie).text();
        ["of-a", "of-b", "of-all"].map(|name| page.contains(&format!("<b>{name}</b>")))
    };
    assert_eq!(seen(&owner), [true; 3]);
    assert_eq!(seen(&ann), [true, false, false]);
    assert_eq!(seen(&bob), [false; 3]);
    for (cookie, name, expected) in [
        (&bob, "of-a", 404),
        (&ann, "of-b", 404),
        (&ann, "of-all", 404),
        (&ann, "of-a", 303),
        (&owner, "of-b", 303),
    ] {
        assert_eq!(submit(&sotto, "/account/tokens/remove", cookie, &id(name)).status, expected, "{name}");
    }
    assert_eq!(seen(&owner), [false, false, true]);
}

#[test]
fn last_owner_is_neither_removed_nor_lowered() {
    let sotto = Sotto::start();
    let a = sotto.add_site("a.example", &[]);
    let first = owner(&sotto);
    signed_in(&sotto, "ann@example.org", "owner", Some(&a));
    let first_is = number(&sotto, "owner@example.org");
    for (path, form) in [
        ("/people/remove", format!("user={first_is}")),
        ("/people/role", format!("user={first_is}&site=all&role=editor")),
        ("/people/role/remove", format!("user={first_is}&site=all")),
        ("/people/invite", "email=owner%40example.org&role=viewer&site=all".to_owned()),
    ] {
        let answer = submit(&sotto, path, &first, &form);
        assert_eq!(answer.status, 422, "{path}");
        assert!(answer.text().contains("last owner"), "{path}: {}", answer.text());
    }
    assert_eq!(roles(&sotto, "owner@example.org"), ["owner of all"]);
    let second = signed_in(&sotto, "second@example.org", "owner", None);
    let second_is = number(&sotto, "second@example.org");
    // Each removes the other at the same instant.
    let remove =
        |cookie: &str, user: &str| submit(&sotto, "/people/remove", cookie, &format!("user={user}")).status;
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let (a, b) = (scope.spawn(|| remove(&first, &second_is)), scope.spawn(|| remove(&second, &first_is)));
        vec![a.join().unwrap(), b.join().unwrap()]
    });
    assert!(answers.contains(&303), "{answers:?}");
    let left = sotto.ask_clickhouse("SELECT count() FROM members FINAL WHERE site = 0 AND deleted = 0");
    assert_eq!(left.trim(), "1", "{answers:?}");
}

#[test]
fn changed_password_ends_all_other_sessions_and_needs_the_present_one() {
    let sotto = Sotto::start();
    let here = owner(&sotto);
    let there = cookie(&sign_in(&sotto, "owner@example.org", PASSWORD));
    let change = |present: &str, new: &str| {
        let form = format!("present={present}&new={new}").replace(' ', "+");
        submit(&sotto, "/account/password", &here, &form)
    };
    for (present, new, says) in [
        ("wrong password", ANOTHER, "not your password"),
        ("", ANOTHER, "not your password"),
        (PASSWORD, "123456789", "10 characters"),
    ] {
        let answer = change(present, new);
        assert_eq!((answer.status, answer.header("set-cookie")), (422, None), "{present}");
        assert!(answer.text().contains(says), "{}", answer.text());
    }
    assert_eq!((status(&sotto, "/sites", &here), status(&sotto, "/sites", &there)), (200, 200));
    let new = cookie(&change(PASSWORD, ANOTHER));
    assert_ne!(new, here);
    let now = [&new, &here, &there].map(|cookie| status(&sotto, "/sites", cookie));
    assert_eq!(now, [200, 303, 303]);
    assert_eq!(sign_in(&sotto, "owner@example.org", PASSWORD).status, 401);
    assert_eq!(sign_in(&sotto, "owner@example.org", ANOTHER).status, 303);
    assert!(actions(&sotto).contains(&"password_change".to_owned()));
}

#[test]
fn guessing_the_present_password_is_stopped_like_sign_in() {
    let sotto = Sotto::start();
    let here = owner(&sotto);
    let form = |present: &str| format!("present={present}&new={ANOTHER}").replace(' ', "+");
    let tried: Vec<Answer> =
        (0..12).map(|_| submit(&sotto, "/account/password", &here, &form("wrong password"))).collect();
    let last = tried.last().unwrap();
    assert_eq!((tried[0].status, last.status), (422, 429));
    assert!(last.header("retry-after").is_some());
    assert_eq!(
        submit(&sotto, "/account/password", &here, &form(PASSWORD)).status,
        429,
        "the right one waits too"
    );
    assert_eq!(status(&sotto, "/account", &here), 200, "whoever is signed in stays so");
}

#[test]
fn session_is_ended_from_another_browser_of_the_same_person_only() {
    let sotto = Sotto::start();
    let here = owner(&sotto);
    let [second, third] = [(); 2].map(|()| cookie(&sign_in(&sotto, "owner@example.org", PASSWORD)));
    let ann = signed_in(&sotto, "ann@example.org", "viewer", None);
    let page = get(&sotto, "/account", &here).text();
    assert_eq!(page.matches("Another browser").count(), 2, "{page}");
    assert_eq!(page.matches("This browser").count(), 1, "{page}");
    assert!(!page.contains("127.0.0.1"), "no address: {page}");
    let end = |cookie: &str, id: &str| submit(&sotto, "/account/sessions/end", cookie, &format!("id={id}"));
    let id = between(&page, "name=\"id\" value=\"", "\"");
    assert_eq!(end(&ann, id).status, 404, "somebody else's");
    assert_eq!(end(&ann, "others").status, 303);
    assert_eq!(end(&here, "x").status, 404);
    let still = [&here, &second, &third].map(|cookie| status(&sotto, "/sites", cookie));
    assert_eq!(still, [200; 3]);
    assert_eq!((end(&here, id).status, end(&here, id).status), (303, 404));
    let mut now = [&second, &third].map(|cookie| status(&sotto, "/sites", cookie));
    now.sort_unstable();
    assert_eq!(now, [200, 303], "one of them");
    assert_eq!(end(&here, "others").status, 303);
    let now = [&here, &second, &third, &ann].map(|cookie| status(&sotto, "/sites", cookie));
    assert_eq!(now, [200, 303, 303, 200]);
    assert_eq!(actions(&sotto)[..2], ["sign_out", "sign_out"]);
}

#[test]
fn form_from_another_site_changes_nobody() {
    let sotto = Sotto::start();
    let a = sotto.add_site("a.example", &[]);
    let owner = owner(&sotto);
    let path = invited(&sotto, &owner, "bea@example.org", "viewer", &[&a]);
    for path in [
        "/account/password",
        "/account/sessions/end",
        "/account/tokens",
        "/account/tokens/remove",
        "/people/invite",
        "/people/withdraw",
        "/people/role",
        "/people/role/remove",
        "/people/remove",
        &path,
    ] {
        for site in ["cross-site", "same-site"] {
            let headers = [
                ("cookie", owner.as_str()),
                ("content-type", "application/x-www-form-urlencoded"),
                ("sec-fetch-site", site),
            ];
            let form = b"id=others&name=x&site=all&scope=read&role=viewer&user=1&password=a+long+password";
            let answer = request("POST", &format!("{}{path}", sotto.url), &headers, form);
            assert_eq!(answer.status, 403, "{path}");
            assert!(answer.text().contains("somewhere else"), "{path}");
        }
    }
}

#[test]
fn secrets_of_links_and_tokens_are_nowhere_in_clear_and_nobody_is_named_in_the_audit_log() {
    let mut sotto = Sotto::start();
    let a = sotto.add_site("a.example", &[]);
    let owner = owner(&sotto);
    let used = invited(&sotto, &owner, "bea@example.org", "owner", &[&a]);
    let open = invited(&sotto, &owner, "cem@example.org", "viewer", &["all"]);
    let bea = cookie(&accept(&sotto, &used, ""));
    let token = made(&submit(&sotto, "/account/tokens", &bea, &format!("name=ci&scope=write&site={a}")));
    get(&sotto, &open, "");
    for (action, detail) in audit_log(&sotto) {
        assert!(!detail.contains('@') && !detail.contains("sotto_"), "{action}: {detail}");
    }
    let marked =
        sotto.ask_clickhouse("SELECT count() FROM invitations FINAL WHERE email = 'bea@example.org'");
    assert_eq!(marked.trim(), "0", "the address goes with the invitation");
    let kept = sotto.ask_clickhouse("SELECT hex(id) FROM invitations FINAL WHERE deleted = 0");
    sotto.stop();
    let mut places = files(&sotto.data());
    places.push(("the log".into(), sotto.log().into_bytes()));
    let found = |needle: &[u8]| -> Vec<String> {
        let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
        places.iter().filter(|(_, b)| holds(b)).map(|(p, _)| p.display().to_string()).collect()
    };
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
    };
    assert!(!found(&bytes(kept.trim())).is_empty(), "the search finds the hash that is stored");
    for secret in [&used[12..], &open[12..], &token["sotto_".len()..]] {
        for needle in [secret.as_bytes(), &bytes(secret)] {
            assert_eq!(found(needle), Vec::<String>::new(), "{secret}");
        }
    }
}
