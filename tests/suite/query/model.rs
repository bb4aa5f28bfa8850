//! What answers have to be, counted hit by hit as the documentation of Plausible's Stats API v2 says; visitors are counted by
//! day, as everywhere in Sotto.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// A hit of a site, as it is stored.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Which of the days.
    pub day: usize,
    pub minute: u32,
    pub visitor: u64,
    pub session: u64,
    pub page: &'static str,
    /// Empty for a pageview.
    pub event: &'static str,
    pub plan: &'static str,
    pub source: &'static str,
    pub country: &'static str,
    pub device: &'static str,
}

/// Goals of the site: name, whether it is one of an event, pattern.
pub const GOALS: [(&str, bool, &str); 4] = [
    ("Paid", false, "/order/paid"),
    ("Orders", false, "/order/*"),
    ("Sign up", true, "Sign up"),
    ("Download", true, "Download"),
];

/// The site.
pub struct World {
    pub days: Vec<String>,
    pub hits: Vec<Hit>,
}

/// Rows: values and figures.
pub type Table = BTreeMap<Vec<String>, Vec<Option<f64>>>;

fn like(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => text == pattern,
    }
}

/// Regular expressions that the generator writes: `^start`, `end$`, `middle`.
fn matches(expression: &str, text: &str) -> bool {
    match (expression.strip_prefix('^'), expression.strip_suffix('$')) {
        (Some(start), None) => text.starts_with(start),
        (None, Some(end)) => text.ends_with(end),
        (_, _) => text.contains(expression),
    }
}

impl World {
    fn of_session(&self, session: u64) -> impl Iterator<Item = &Hit> {
        self.hits.iter().filter(move |hit| hit.session == session)
    }

    fn views(&self, session: u64) -> impl Iterator<Item = &Hit> {
        self.of_session(session).filter(|hit| hit.event.is_empty())
    }

    fn completes(hit: &Hit, goal: &str) -> bool {
        GOALS.iter().filter(|(name, ..)| *name == goal).any(|(_, event, pattern)| match event {
            true => hit.event == *pattern,
            false => hit.event.is_empty() && like(pattern, hit.page),
        })
    }

    /// The value of a hit, or of its visit.
    fn value(&self, hit: &Hit, dimension: &str) -> Option<String> {
        let name = |text: &str| Some(text.to_owned());
        match dimension {
            "event:page" => name(hit.page),
            "event:hostname" => name("a.example"),
            "event:name" => name(if hit.event.is_empty() { "pageview" } else { hit.event }),
            "event:props:plan" => name(if hit.plan.is_empty() { "(none)" } else { hit.plan }),
            "visit:source" => name(if hit.source.is_empty() { "Direct / None" } else { hit.source }),
            "visit:country" => name(hit.country),
            "visit:country_name" => name(match hit.country {
                "DE" => "Germany",
                "FR" => "France",
                _ => "",
            }),
            "visit:device" => name(match hit.device {
                "mobile" => "Mobile",
                _ => "Desktop",
            }),
            "visit:entry_page" => self.views(hit.session).next().map(|hit| hit.page.to_owned()),
            "visit:exit_page" => self.views(hit.session).last().map(|hit| hit.page.to_owned()),
            "time:day" => Some(self.days[hit.day].clone()),
            "time:month" => Some(format!("{}-01", &self.days[hit.day][..7])),
            "time:hour" => Some(format!("{} {:02}:00:00", self.days[hit.day], hit.minute / 60)),
            other => panic!("the model has no {other}"),
        }
    }

    /// Whether a condition holds for a hit.
    fn holds(&self, hit: &Hit, filter: &Value) -> bool {
        let parts = filter.as_array().unwrap();
        let all = |n: usize| parts[n].as_array().unwrap().iter();
        match parts[0].as_str().unwrap() {
            "and" => all(1).all(|one| self.holds(hit, one)),
            "or" => all(1).any(|one| self.holds(hit, one)),
            "not" => !self.holds(hit, &parts[1]),
            "has_done" => self.of_session(hit.session).any(|other| self.holds(other, &parts[1])),
            "has_not_done" => !self.of_session(hit.session).any(|other| self.holds(other, &parts[1])),
            operator => {
                let (dimension, ignores) = (parts[1].as_str().unwrap(), parts.len() > 3);
                let found = all(2).any(|value| {
                    let value = value.as_str().unwrap();
                    let test = |text: &str| match operator.trim_end_matches("_not") {
                        "is" => text == value,
                        "contains" if ignores => text.to_lowercase().contains(&value.to_lowercase()),
                        "contains" => text.contains(value),
                        _ => matches(value, text),
                    };
                    match dimension {
                        "event:goal" => {
                            GOALS.iter().any(|(goal, ..)| test(goal) && Self::completes(hit, goal))
                        }
                        // Of a part, the stored value is looked at.
                        "visit:source" if operator != "is" && operator != "is_not" => test(hit.source),
                        "event:props:plan" if operator != "is" && operator != "is_not" => test(hit.plan),
                        dimension => test(&self.value(hit, dimension).unwrap_or_default()),
                    }
                });
                found != operator.ends_with("_not")
            }
        }
    }

    fn visitors(hits: &[&Hit]) -> f64 {
        hits.iter().map(|hit| (hit.day, hit.visitor)).collect::<BTreeSet<_>>().len() as f64
    }

    fn bounced(&self, session: u64) -> bool {
        self.of_session(session).count() == 1
    }

    /// Values of the dimensions, for each that a hit has: it may complete several goals.
    fn keys(&self, hit: &Hit, dimensions: &[String]) -> Vec<Vec<String>> {
        let mut keys = vec![Vec::new()];
        for dimension in dimensions {
            let values: Vec<String> = match dimension.as_str() {
                "event:goal" => {
                    let goals = GOALS.iter().filter(|(goal, ..)| Self::completes(hit, goal));
                    goals.map(|(goal, ..)| (*goal).to_owned()).collect()
                }
                dimension => self.value(hit, dimension).into_iter().collect(),
            };
            keys = keys
                .iter()
                .flat_map(|key: &Vec<String>| {
                    values.iter().map(|value| [key.as_slice(), std::slice::from_ref(value)].concat())
                })
                .collect();
        }
        keys
    }

    /// The answer to a question about the days `from` to `to`.
    pub fn answer(&self, question: &Value, from: usize, to: usize) -> Table {
        let list = |name: &str| -> Vec<String> {
            let all = question[name].as_array().cloned().unwrap_or_default();
            all.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        let (metrics, dimensions) = (list("metrics"), list("dimensions"));
        let none = json!([]);
        let filters = question.get("filters").unwrap_or(&none).as_array().unwrap();
        let is_event = |filter: &&Value| {
            filter[1].as_str().is_some_and(|name| name == "event:goal" || name.starts_with("event:props"))
        };
        let there: Vec<&Hit> = self.hits.iter().filter(|hit| (from..=to).contains(&hit.day)).collect();
        let of = |filters: &[&Value]| -> Vec<&Hit> {
            there.iter().filter(|hit| filters.iter().all(|f| self.holds(hit, f))).copied().collect()
        };
        let chosen = of(&filters.iter().collect::<Vec<_>>());
        let without: Vec<&Value> = filters.iter().filter(|filter| !is_event(filter)).collect();
        let without_goal = of(&without);
        let goal_at = dimensions.iter().position(|name| name == "event:goal");
        let mut groups: BTreeMap<Vec<String>, Vec<&Hit>> = BTreeMap::new();
        for hit in &chosen {
            for key in self.keys(hit, &dimensions) {
                groups.entry(key).or_default().push(hit);
            }
        }
        if dimensions.is_empty() {
            groups.entry(Vec::new()).or_default();
        }
        let others: Vec<String> = dimensions.iter().filter(|name| *name != "event:goal").cloned().collect();
        let percent = |part: f64, whole: f64| (whole > 0.0).then(|| (part / whole * 1000.0).round() / 10.0);
        let row = |key: &Vec<String>, hits: &Vec<&Hit>| -> Vec<Option<f64>> {
            let sessions: BTreeSet<u64> = hits.iter().map(|hit| hit.session).collect();
            let one = |metric: &String| match metric.as_str() {
                "visitors" => Some(Self::visitors(hits)),
                "visits" => Some(sessions.len() as f64),
                "pageviews" => Some(hits.iter().filter(|hit| hit.event.is_empty()).count() as f64),
                "events" => Some(hits.len() as f64),
                "views_per_visit" => {
                    let views: usize = sessions.iter().map(|session| self.views(*session).count()).sum();
                    (!sessions.is_empty())
                        .then(|| (views as f64 / sessions.len() as f64 * 100.0).round() / 100.0)
                }
                "bounce_rate" => {
                    let began = |session: &&u64| {
                        dimensions != ["event:page"]
                            || self.views(**session).next().is_some_and(|hit| hit.page == key[0])
                    };
                    let began: Vec<u64> = sessions.iter().filter(began).copied().collect();
                    let bounced = began.iter().filter(|session| self.bounced(**session)).count();
                    (!began.is_empty()).then(|| (bounced as f64 / began.len() as f64 * 100.0).round())
                }
                "percentage" => percent(Self::visitors(hits), Self::visitors(&chosen)),
                "conversion_rate" => percent(Self::visitors(hits), Self::visitors(&without_goal)),
                "group_conversion_rate" => {
                    let mut key = key.clone();
                    goal_at.map(|n| key.remove(n));
                    let group: Vec<&Hit> = without_goal
                        .iter()
                        .filter(|hit| self.keys(hit, &others).contains(&key))
                        .copied()
                        .collect();
                    percent(Self::visitors(hits), Self::visitors(&group))
                }
                other => panic!("the model has no {other}"),
            };
            metrics.iter().map(one).collect()
        };
        groups.iter().map(|(key, hits)| (key.clone(), row(key, hits))).collect()
    }
}
