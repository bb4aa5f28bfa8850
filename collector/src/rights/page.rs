//! What the visitor's page says, as HTML and as JSON.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use askama::Template;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use sotto_schema::{
    claims::{Language, claim},
    datamap::{self, Entry},
    day::Day,
    id::SiteId,
    policy::{Category, Minimal},
    privacy::{self, Group},
    site::Site,
};
use sotto_store::{
    db::Db,
    ledger,
    rights::{Count, Held},
};

use super::{Context, Erased, Rights};
use crate::http::stack::{self, Response};

/// How many salts of a site are shown as evidence.
const SALTS: usize = 5;
/// Maximum number of collectors whose copies are looked up.
const CHAINS: u64 = 16;

type Dictionary = BTreeMap<String, String>;

static WORDS: LazyLock<BTreeMap<String, Dictionary>> = LazyLock::new(|| {
    toml::from_str(include_str!("../../web/rights.toml")).expect("a test reads the same file")
});

/// The words of one language.
#[derive(Clone, Copy)]
pub(super) struct Words(pub(super) Language);

impl Words {
    /// The text of that name. An unknown name gives an empty text; a test catches it.
    pub(super) fn t(self, name: &str) -> &'static str {
        WORDS.get(self.0.tag()).and_then(|words| words.get(name)).map_or("", String::as_str)
    }

    fn kind(self, kind: &str) -> &'static str {
        self.t(&format!("kind_{kind}"))
    }

    fn categories(self, mask: u8) -> String {
        let names = Category::ALL.iter().filter(|c| mask & **c as u8 != 0);
        let names: Vec<&str> = names.map(|c| self.t(c.name())).collect();
        if names.is_empty() { self.t("nothing").to_owned() } else { names.join(", ") }
    }
}

/// The claims of one language.
#[derive(Clone, Copy)]
struct Claims(Language);

impl Claims {
    fn say(self, id: &str) -> &'static str {
        claim(id, self.0)
    }

    fn purpose(self, entry: &Entry) -> &str {
        privacy::purpose(entry, self.0)
    }
}

/// A notice at the top of the page.
pub(super) struct Message {
    text: String,
    code: Option<String>,
    bad: bool,
}

/// A salt as evidence.
pub(super) struct SaltLife {
    day: String,
    born: String,
    died: String,
    proof: String,
}

struct Row {
    time: String,
    kind: String,
    page: String,
    source: String,
    place: String,
    browser: String,
}

struct Decided {
    time: String,
    granted: String,
    refused: String,
    version: String,
}

struct View {
    has_key: bool,
    has_id: bool,
    has_receipt: bool,
    objected: bool,
    gpc: bool,
    today: Vec<Count>,
    rows: u64,
    first: String,
    last: String,
    expires: String,
    events: Vec<Row>,
    decisions: Vec<Decided>,
    salts: Vec<SaltLife>,
}

struct SiteView {
    key: String,
    host: String,
    groups: Vec<Group>,
    counts_refused: bool,
    retention_days: u16,
    receipt_days: u16,
    backup_days: u16,
}

#[derive(Template)]
#[template(path = "rights.html")]
struct Page {
    w: Words,
    c: Claims,
    language: Language,
    languages: [Language; 2],
    base: &'static str,
    message: Option<Message>,
    site: Option<SiteView>,
    view: Option<View>,
    y: String,
    r: String,
}

fn time(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// When the newest salts of a site lived.
pub(super) async fn salts(db: &Db, site: SiteId) -> Vec<SaltLife> {
    // Two lines per salt and collector, plus one for the salt that is alive.
    let lines = ledger::of_site(db, site, (SALTS * 2 + 1) as u64 * CHAINS).await.unwrap_or_default();
    let mut lives: Vec<SaltLife> = Vec::new();
    // Number of collectors that have it: it is destroyed when none does.
    let mut copies: HashMap<[u8; 32], usize> = HashMap::new();
    for line in lines.iter().rev() {
        let proof = const_hex::encode(&line.commitment[..8]);
        let left = copies.entry(line.commitment).or_default();
        if line.event == ledger::BORN {
            *left += 1;
            if let Some(life) = lives.iter_mut().find(|life| life.proof == proof) {
                life.died.clear();
                continue;
            }
            let born = time(line.time);
            lives.push(SaltLife { day: Day(line.day).to_string(), born, died: String::new(), proof });
        } else {
            *left = left.saturating_sub(1);
            let life = lives.iter_mut().find(|life| life.proof == proof);
            if let (0, Some(life)) = (*left, life) {
                life.died = time(line.time);
            }
        }
    }
    lives.reverse();
    lives.truncate(SALTS);
    lives
}

fn row(event: &Map<String, Value>) -> Row {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let join = |parts: [String; 2], with: &str| {
        parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(with)
    };
    Row {
        time: text("time").chars().take(16).collect::<String>() + " UTC",
        kind: text("kind"),
        page: text("hostname") + &text("path"),
        source: text("referrer_host"),
        place: join([text("city"), text("country")], ", "),
        browser: join([text("browser"), text("device")], ", "),
    }
}

fn site_view(site: &Site, language: Language) -> SiteView {
    SiteView {
        key: site.key.clone(),
        host: site.hostnames.first().cloned().unwrap_or_default(),
        groups: privacy::groups(site, language),
        counts_refused: site.policy.minimal == Minimal::Count,
        retention_days: site.retention_days,
        receipt_days: datamap::class_days("consent_receipts").unwrap_or(0),
        backup_days: datamap::class_days("backups").unwrap_or(0),
    }
}

impl Context {
    fn words(&self) -> Words {
        Words(self.language)
    }

    pub(super) fn message(&self, word: &str, code: Option<String>, bad: bool) -> Message {
        Message { text: self.words().t(word).to_owned(), code, bad }
    }

    /// Why something was not done.
    pub(super) fn refuse(&self, status: StatusCode, word: &str) -> Response {
        let mut response = if self.asked.json {
            readable(answer_json(status, &json!({ "error": self.words().t(word) })))
        } else {
            self.page(status, Some(self.message(word, None, true)), None, Vec::new())
        };
        if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }

    /// The page.
    pub(super) fn page(
        &self,
        status: StatusCode,
        message: Option<Message>,
        held: Option<&Held>,
        salts: Vec<SaltLife>,
    ) -> Response {
        let page = Page {
            w: self.words(),
            c: Claims(self.language),
            language: self.language,
            languages: Language::ALL,
            base: self.base,
            message,
            site: self.rules.as_ref().map(|rules| site_view(&rules.site, self.language)),
            view: held.map(|held| self.view(held, salts)),
            y: self.asked.id.clone(),
            r: self.asked.receipt.clone(),
        };
        let Ok(html) = page.render() else { return stack::empty(StatusCode::INTERNAL_SERVER_ERROR) };
        let mut response = stack::text(status, html);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(self.language.tag()));
        response
    }

    fn view(&self, held: &Held, salts: Vec<SaltLife>) -> View {
        let words = self.words();
        View {
            has_key: !self.shown.keys.is_empty(),
            has_id: self.shown.returning.is_some(),
            has_receipt: !self.shown.receipt.is_empty(),
            objected: self.objected,
            gpc: self.gpc,
            today: held.today.clone(),
            rows: held.summary.rows,
            first: Day(held.summary.first).to_string(),
            last: Day(held.summary.last).to_string(),
            expires: Day(held.summary.expires).to_string(),
            events: held.events.iter().map(row).collect(),
            decisions: held
                .decisions
                .iter()
                .map(|d| Decided {
                    time: time(d.at),
                    granted: words.categories(d.granted),
                    refused: words.categories(d.refused),
                    version: d.version.clone(),
                })
                .collect(),
            salts,
        }
    }

    /// What is held, as a file.
    pub(super) fn download(&self, held: &Held, salts: Vec<SaltLife>) -> Response {
        let say = |id| claim(id, self.language);
        let site = self.rules.as_ref().map(|rules| &rules.site);
        let salts: Vec<Value> = salts
            .into_iter()
            .map(|s| json!({ "day": s.day, "made": s.born, "destroyed": s.died, "commitment": s.proof }))
            .collect();
        let fields: Map<String, Value> = datamap::entries()
            .iter()
            .map(|e| (e.name.clone(), privacy::purpose(e, self.language).into()))
            .collect();
        let body = json!({
            "website": site.map(|s| s.hostnames.first()),
            "today": { "entries": held.today, "explanation": say("neighbour") },
            "number": {
                "shown": self.shown.returning.is_some(),
                "entries": held.summary.rows,
                "complete": held.events.len() as u64 == held.summary.rows,
                "events": held.events,
                "explanation": say("returning"),
            },
            "receipts": held.decisions,
            "earlier": { "explanation": say("salt-death"), "salts": salts },
            "fields": fields,
            "retention_days": site.map(|s| s.retention_days),
        });
        let mut response = answer_json(StatusCode::OK, &body);
        let name = HeaderValue::from_static("attachment; filename=\"sotto-data.json\"");
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
        response
    }

    /// That something was erased: how much, or that it goes on.
    pub(super) async fn erased(
        mut self,
        status: StatusCode,
        erased: Option<&Erased>,
        receipt: &str,
        rights: &Rights,
    ) -> Response {
        if self.asked.json {
            let remains = |erased: &Erased| erased.remains.iter().map(|r| r.name()).collect::<Vec<_>>();
            let (rows, remains) = (erased.map(|erased| erased.rows), erased.map(remains));
            let body = json!({ "erased": rows, "receipt": receipt, "remains": remains });
            return readable(answer_json(status, &body));
        }
        let words = self.words();
        let text = match erased {
            Some(Erased { rows, remains }) => {
                let sentences = if remains.is_empty() {
                    words.t("erased_gone").to_owned()
                } else {
                    let names = remains.iter().map(|r| words.t(r.sentence()));
                    names.collect::<Vec<_>>().join(" ")
                };
                format!("{} {rows}. {sentences} {}", words.t("erased"), words.t("erased_number"))
            }
            None => words.t("erased_under_way").to_owned(),
        };
        self.base = "../";
        let message = Message { text, code: Some(receipt.to_owned()), bad: false };
        rights.show(&self, status, Some(message)).await
    }
}

/// Lets the website's page read the response: whether anything was erased under the number it showed.
fn readable(mut response: Response) -> Response {
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// An answer for programs.
fn answer_json(status: StatusCode, body: &Value) -> Response {
    let mut response = stack::text(status, body.to_string());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
pub(super) fn dictionaries() -> &'static BTreeMap<String, Dictionary> {
    &WORDS
}
