//! What a message says: figures as viewers see them, in JSON for programs or as the text of a chat.

use jiff::civil::Date;
use serde_json::{Value, json};
use sotto_schema::{id::HookId, site::Site};
use sotto_store::{
    goal::{Goal, Kind},
    hook::{Format, MessageId},
};

use crate::{
    figures::counted,
    mail::{alert::Alert, summary::plain},
    report::Counts,
};

/// What is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told<'a> {
    /// How often each goal was reached on a day.
    Goals(Date, &'a [(Goal, Counts)]),
    /// Something unusual.
    Alert(&'a Alert),
    /// That messages arrive.
    Test,
}

/// Text for a chat: what it takes for a command or a link is plain text.
fn escaped(text: &str) -> String {
    plain(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Page => "page",
        Kind::Event => "event",
    }
}

/// What a message is known by: each attempt has the same, so that a server can tell that it knows it already.
pub(super) fn id(message: &MessageId) -> String {
    let MessageId { site, hook, kind, period } = message;
    named(&format!("{site} {hook} {} {period}", kind.name()))
}

/// What a test at a moment is known by: each is another message.
pub(super) fn id_of_test(hook: HookId, now_ms: i64) -> String {
    named(&format!("{hook} test {now_ms}"))
}

fn named(of: &str) -> String {
    format!("msg_{}", &blake3::hash(of.as_bytes()).to_hex()[..32])
}

/// The body of a message. `url` is the page that says more.
pub(super) fn body(format: Format, site: &Site, told: Told<'_>, url: &str) -> String {
    match format {
        Format::Json => figures(site, told, url),
        Format::Slack => json!({"text": text(site, told, url)}),
    }
    .to_string()
}

fn figures(site: &Site, told: Told<'_>, url: &str) -> Value {
    let site = json!({"key": site.key, "name": site.name});
    match told {
        Told::Goals(day, goals) => {
            let goal = |(goal, counts): &(Goal, Counts)| {
                let Counts { visitors, visits, events, .. } = counts.of_groups();
                let (id, name) = (goal.id.to_string(), &goal.name);
                let (kind, pattern) = (kind_name(goal.kind), &goal.pattern);
                json!({"id": id, "name": name, "kind": kind, "pattern": pattern, "visitors": visitors, "visits": visits, "times": events})
            };
            let goals: Vec<Value> = goals.iter().map(goal).collect();
            json!({"type": "goals", "site": site, "day": day.to_string(), "goals": goals, "url": url})
        }
        Told::Alert(alert) => {
            let Alert { title, text, day, .. } = alert;
            json!({"type": "alert", "site": site, "day": day.to_string(), "title": title, "text": text, "url": url})
        }
        Told::Test => json!({"type": "test", "site": site, "url": url}),
    }
}

fn text(site: &Site, told: Told<'_>, url: &str) -> String {
    let name = escaped(&site.name);
    match told {
        Told::Goals(day, goals) => {
            let goal = |(goal, counts): &(Goal, Counts)| {
                let Counts { visitors, visits, .. } = counts.of_groups();
                let (visits, visitors) = (counted(visits, "visit"), counted(visitors, "visitor"));
                format!("\n• {}: {visits} of {visitors}", escaped(&goal.name))
            };
            let lines: String = goals.iter().map(goal).collect();
            format!("{name}: goals of {}{lines}\n{url}", day.strftime("%A, %-d %B"))
        }
        Told::Alert(alert) => {
            format!("{name}: {}\n{}\n{url}", escaped(&alert.title), escaped(&alert.text))
        }
        Told::Test => format!("{name}: messages of Sotto arrive here.\n{url}"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use sotto_schema::{
        id::{GoalId, SiteId},
        policy::Preset,
    };
    use sotto_store::hook;

    use super::*;

    fn goal(name: &str, n: u64) -> (Goal, Counts) {
        let goal = Goal {
            id: GoalId(u64::MAX),
            site: SiteId(1),
            name: name.into(),
            kind: Kind::Event,
            pattern: "Signup".into(),
            created_ms: 0,
        };
        (goal, Counts { visitors: n, visits: n, events: n + 1, ..Counts::default() })
    }

    fn site(name: &str) -> Site {
        let site = Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap();
        Site { name: name.into(), ..site }
    }

    #[test]
    fn goals_are_told_as_viewers_see_them() {
        let goals = [goal("Sign up", 12), goal("Rare", 4)];
        let told = Told::Goals(date(2026, 11, 26), &goals);
        let body = body(Format::Json, &site("Hotel"), told, "https://s.example/s/k/goals");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["type"], "goals");
        assert_eq!((&body["day"], &body["site"]["name"]), (&json!("2026-11-26"), &json!("Hotel")));
        let figures =
            |n: usize| ["visitors", "visits", "times"].map(|name| body["goals"][n][name].as_u64().unwrap());
        let groups = goals[0].1.of_groups();
        assert_eq!(figures(0), [groups.visitors, groups.visits, groups.events]);
        assert_eq!(figures(1), [0; 3], "four are no group");
        assert_eq!(body["goals"][0]["id"], u64::MAX.to_string(), "numbers of this size are no JavaScript");
    }

    #[test]
    fn name_that_is_a_command_of_a_chat_is_plain_text() {
        let goals = [goal("<!channel> <https://evil.example|click>\u{202e}\n• Fake: 9", 12)];
        for told in [Told::Goals(date(2026, 11, 26), &goals), Told::Test] {
            let body = body(Format::Slack, &site("<@U1> & co"), told, "https://s.example/");
            let body: Value = serde_json::from_str(&body).unwrap();
            let text = body["text"].as_str().unwrap();
            assert!(!text.contains(['<', '>', '\u{202e}']), "{text}");
            assert!(text.starts_with("&lt;@U1&gt; &amp; co: "), "{text}");
            assert!(!text.contains("\n• Fake"), "{text}");
        }
    }

    #[test]
    fn id_is_the_same_for_each_attempt_and_another_for_each_message() {
        let of = |site, hook, kind, period: &str| {
            id(&MessageId { site: SiteId(site), hook: HookId(hook), kind, period: period.into() })
        };
        use hook::Kind::{Alerts, Goals};
        let first = of(1, 2, Goals, "a");
        assert_eq!(first, of(1, 2, Goals, "a"));
        assert!(first.len() == 36 && first.starts_with("msg_"));
        for other in [of(2, 2, Goals, "a"), of(1, 3, Goals, "a"), of(1, 2, Alerts, "a"), of(1, 2, Goals, "b")]
        {
            assert_ne!(other, first);
        }
    }
}
