//! The consent page's figures as JSON.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{days, period, reader::Reader, refusal::Refusal, scope, site_of};
use crate::{
    App,
    filter::Filters,
    report::{
        Query,
        consent::{self, Consent},
        decisions::{self, Decided},
        receipts::{self, Decision},
        returning::{self, Returning},
        unmapped_consent::{self, Unmapped},
    },
};

/// Pageviews by how they were counted and by consent; the overview says the same.
pub(super) fn pageviews(c: &Consent) -> Value {
    json!({
        "full": c.full,
        "full_with_consent": c.agreed,
        "anonymous": c.anonymous,
        "granted": c.granted,
        "refused": c.refused,
        "undecided": c.undecided,
        "gpc": c.gpc,
    })
}

/// Decisions, with the name of what they belong to where there is one.
fn decided(name: Option<(&str, &str)>, d: &Decided) -> Value {
    let mut out = json!({
        "decisions": d.all(),
        "everything": d.everything,
        "some": d.some,
        "nothing": d.nothing,
        "preference": d.preference,
        "analytics": d.analytics,
        "marketing": d.marketing,
        "gpc": d.gpc,
    });
    if let Some((name, value)) = name {
        out[name] = json!(value);
    }
    out
}

fn receipt(decision: &Decision) -> Value {
    json!({
        "time": Timestamp::from_millisecond(decision.at).ok().map(|t| t.to_string()),
        "granted": receipts::categories(decision.granted),
        "refused": receipts::categories(decision.refused),
        "gpc": decision.gpc,
        "notice_version": decision.version,
        "source": decision.source,
    })
}

/// Visitors who agreed to be recognised.
fn returned(r: &Returning) -> Value {
    let days: serde_json::Map<_, _> =
        r.by_days().iter().map(|(days, visitors)| ((*days).to_owned(), json!(visitors))).collect();
    json!({
        "visitors": r.visitors,
        "new": r.first_time(),
        "returning": r.returned(),
        "known_before": r.known_before,
        "came_back": r.came_back,
        "visits": r.visits,
        "visits_per_visitor": r.visits_per_visitor(),
        "by_days": days,
    })
}

fn not_mapped(u: &Unmapped) -> Value {
    json!({ "source": u.source, "category": u.category, "times": u.times, "last_day": u.last_day })
}

/// `receipt` in the address looks a receipt up.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    RawQuery(asked): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let db = &app.reports;
    let site = site_of(&app, &reader, &key).await?;
    let _turn = app.gate.enter(reader.number()).await?;
    let asked = asked.unwrap_or_default();
    let range = days(&asked, &site)?;
    let scope = scope(&site);
    let question = Query::totals(scope.clone(), range, Filters::default());
    let (decisions, counts, returning, unmapped) = tokio::try_join!(
        decisions::run(db, &scope, range),
        consent::run(db, &question),
        returning::run(db, &scope, range),
        unmapped_consent::run(db, &scope, range)
    )?;
    let mut out = json!({
        "query": period(&site, range),
        "pageviews": pageviews(&counts),
        "total": decided(None, &decisions.total),
        "series": decisions.points.iter().map(|(at, d)| decided(Some(("at", at)), d)).collect::<Vec<_>>(),
        "sources": decisions.sources.iter().map(|(s, d)| decided(Some(("source", s)), d)).collect::<Vec<_>>(),
        "unmapped": unmapped.iter().map(not_mapped).collect::<Vec<_>>(),
        "returning": returned(&returning),
    });
    let typed = url::form_urlencoded::parse(asked.as_bytes()).find(|(n, _)| n == "receipt").map(|(_, v)| v);
    if let Some(typed) = typed {
        let found = match receipts::number(&typed) {
            Some(number) => receipts::run(db, site.id, number).await?,
            None => Vec::new(),
        };
        out["receipt"] = found.iter().map(receipt).collect();
    }
    Ok(Json(out))
}
