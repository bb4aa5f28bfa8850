//! The description of version 1 of the API (OpenAPI 3.1), made from the names that requests are read by.

use serde_json::{Map, Value, json};

use super::query::openapi::{NUMBER_HEADERS, number_headers};
use crate::{
    filter::Verb,
    report::{Dimension, Metric, ROWS_MAX, Source, details::Details},
};

/// What may be asked of a request, by its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// Nothing but its path.
    Nothing,
    /// Days.
    Days,
    /// Days, and figures of whom.
    Report,
    /// The same, of what `by`, and how many rows.
    Table,
    /// A body of that schema.
    Body(&'static str),
}

/// A request and its answer.
struct Operation {
    method: &'static str,
    /// Below `/api/v1`.
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    asks: Asks,
    /// Status and schema of the answer; an empty schema is no body.
    answer: (&'static str, &'static str),
}

const fn read(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    asks: Asks,
    schema: &'static str,
) -> Operation {
    Operation { method: "get", path, id, summary, asks, answer: ("200", schema) }
}

const fn change(
    [method, path, id, summary]: [&'static str; 4],
    body: &'static str,
    answer: (&'static str, &'static str),
) -> Operation {
    let asks = if body.is_empty() { Asks::Nothing } else { Asks::Body(body) };
    Operation { method, path, id, summary, asks, answer }
}

#[rustfmt::skip]
const OPERATIONS: &[Operation] = &[
    read("/sites", "listSites", "Sites that you may read", Asks::Nothing, "Sites"),
    change(["post", "/sites", "addSite", "Adds a site"], "SiteTyped", ("201", "Site")),
    read("/sites/{key}", "showSite", "A site", Asks::Nothing, "Site"),
    change(["patch", "/sites/{key}", "changeSite", "Changes a site; what is not said stays"], "SiteTyped", ("200", "Site")),
    read("/sites/{key}/goals", "listGoals", "Goals of a site", Asks::Nothing, "Goals"),
    change(["post", "/sites/{key}/goals", "addGoal", "Adds a goal"], "GoalTyped", ("201", "Goal")),
    change(["delete", "/sites/{key}/goals/{id}", "removeGoal", "Removes a goal"], "", ("204", "")),
    read("/sites/{key}/links", "listLinks", "Shared links, without their secrets", Asks::Nothing, "Links"),
    change(["post", "/sites/{key}/links", "addLink", "Makes a shared link, which is shown this once"], "LinkTyped", ("201", "Link")),
    change(["delete", "/sites/{key}/links/{id}", "withdrawLink", "Withdraws a shared link"], "", ("204", "")),
    read("/sites/{key}/annotations", "listAnnotations", "Annotations", Asks::Days, "Annotations"),
    change(["post", "/sites/{key}/annotations", "addAnnotation", "Notes what happened"], "AnnotationTyped", ("201", "Annotation")),
    change(["delete", "/sites/{key}/annotations/{id}", "removeAnnotation", "Removes an annotation"], "", ("204", "")),
    read("/sites/{key}/report", "report", "A table of figures", Asks::Table, "Report"),
    read("/sites/{key}/overview", "overview", "Totals and the series of a chart", Asks::Report, "Answer"),
    read("/sites/{key}/details/{report}", "details", "What hits tell beyond pages", Asks::Table, "Answer"),
    read("/sites/{key}/hours", "hours", "When in the week visitors come", Asks::Report, "Answer"),
    read("/sites/{key}/not-found", "notFound", "Pages that were not found, and from where", Asks::Report, "Answer"),
    read("/sites/{key}/paths", "paths", "What came before and after a page", Asks::Report, "Answer"),
    read("/sites/{key}/funnels", "listFunnels", "Funnels and how far visitors came", Asks::Report, "Answer"),
    read("/sites/{key}/funnels/{id}", "showFunnel", "A funnel, and where those went who went no further", Asks::Report, "Answer"),
    read("/sites/{key}/quality", "quality", "What became of hits", Asks::Days, "Answer"),
    read("/sites/{key}/consent", "consent", "Decisions about consent", Asks::Days, "Answer"),
    read("/sites/{key}/first-hit", "firstHit", "The first hit of a site", Asks::Nothing, "FirstHit"),
    read("/sites/{key}/now", "now", "Visitors of the last five minutes", Asks::Nothing, "Now"),
    read("/sites/{key}/realtime", "realtime", "The last half hour", Asks::Nothing, "Answer"),
];

/// The document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(format!("/api/v1{}", operation.path)).or_insert_with(|| json!({}));
        path[operation.method] = operation.described();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sotto",
            "version": "1",
            "description": "Reports, and what people change on the pages. Questions in Plausible's grammar: /api/v2/openapi.json.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas(),
            "parameters": parameters(),
            "headers": number_headers(),
        },
    })
}

impl Operation {
    fn described(&self) -> Value {
        let mut parameters: Vec<Value> = Vec::new();
        for (part, name) in [("{key}", "Key"), ("{id}", "Id"), ("{report}", "Details")] {
            if self.path.contains(part) {
                parameters.push(reference("parameters", name));
            }
        }
        let asked: &[&str] = match self.asks {
            Asks::Nothing | Asks::Body(_) => &[],
            Asks::Days => &["From", "To"],
            Asks::Report => &["From", "To", "Filter", "Source"],
            Asks::Table => &["From", "To", "Filter", "Source", "Metrics", "By", "Limit"],
        };
        parameters.extend(asked.iter().map(|name| reference("parameters", name)));
        let mut described = json!({
            "operationId": self.id,
            "summary": self.summary,
            "parameters": parameters,
            "responses": self.responses(),
        });
        if let Asks::Body(schema) = self.asks {
            described["requestBody"] = json!({"required": true, "content": json_of(schema)});
        }
        described
    }

    fn responses(&self) -> Value {
        let (status, schema) = self.answer;
        let counted = !["/now", "/first-hit"].iter().any(|end| self.path.ends_with(end));
        let mut answer = json!({"description": "Done"});
        if !schema.is_empty() {
            answer["content"] = json_of(schema);
        }
        if counted {
            answer["headers"] = NUMBER_HEADERS
                .iter()
                .map(|(name, component)| ((*name).to_owned(), reference("headers", component)))
                .collect::<Map<_, _>>()
                .into();
        }
        let asks_days = !matches!(self.asks, Asks::Nothing | Asks::Body(_));
        let changes = self.method != "get";
        let body = matches!(self.asks, Asks::Body(_));
        let mut all = json!({status: answer});
        for (status, description, is) in [
            ("400", "What is asked is not understood", asks_days),
            ("401", "No valid token came with the request", true),
            ("403", "The token does not allow this", changes),
            ("404", "There is no such thing, or not for this token", self.path.contains('{')),
            ("413", "The body is too long", body),
            ("422", "What was sent is not allowed; `hint` shows what is", body),
            ("429", "Too many requests", counted),
            ("500", "Something went wrong", true),
            ("503", "Too many reports run, or the database is away", true),
        ] {
            if is {
                all[status] = json!({"description": description, "content": json_of("Refusal")});
            }
        }
        all
    }
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn json_of(schema: &str) -> Value {
    json!({"application/json": {"schema": reference("schemas", schema)}})
}

fn parameters() -> Value {
    let path = |name: &str, description: &str| json!({"name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string", "minLength": 1}});
    let query = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "query", "description": description, "schema": schema});
    let signs: Vec<&str> = Verb::ALL.iter().map(|verb| verb.sign()).collect();
    let dimensions = Dimension::ALL.map(Dimension::name);
    let metrics = Metric::ALL.map(Metric::name);
    // An empty one is as none.
    let day = json!({"type": "string", "pattern": "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$"});
    json!({
        "Key": path("key", "The key of a site"),
        "Id": path("id", "What the answer that listed it calls it"),
        "Details": {"name": "report", "in": "path", "required": true, "description": "Which report", "schema": {"enum": Details::NAMES}},
        "From": query("from", "The first day, in the site's time zone; 29 days before the last if it is not said", day.clone()),
        "To": query("to", "The last day; today if it is not said", day),
        "Filter": {
            "name": "filter", "in": "query", "explode": true,
            "description": format!("Whose figures: a field, one of {}, and a value, as in `country=DE`", signs.join(" ")),
            "schema": {"type": "array", "items": {"type": "string"}},
        },
        "Source": query("source", "Where figures come from", json!({"enum": Source::ALL.map(Source::name)})),
        "Metrics": {
            "name": "metrics", "in": "query", "explode": false,
            "description": "Which figures",
            "schema": {"type": "array", "items": {"enum": metrics}},
        },
        "By": query("by", "What rows are of; one row of everything if it is not said", json!({"enum": dimensions})),
        "Limit": query("limit", "How many rows", json!({"type": "integer", "minimum": 1, "maximum": ROWS_MAX})),
    })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
}

fn list(name: &str, of: &str) -> Value {
    object(&[name], json!({name: {"type": "array", "items": reference("schemas", of)}}))
}

fn schemas() -> Value {
    let text = json!({"type": "string"});
    let texts = json!({"type": "array", "items": {"type": "string"}});
    let flag = json!({"type": "boolean"});
    let days = json!({"type": "integer", "minimum": 1});
    let count = json!({"type": "integer", "minimum": 0});
    let maybe = json!({"type": ["string", "null"]});
    let site = json!({
        "hostnames": texts, "name": text, "client": text, "time_zone": text,
        "policy": {"enum": ["cnil", "strict", "cookieless"]}, "retention_days": days,
    });
    let mut shown = site.clone();
    shown["key"] = text.clone();
    let link = json!({
        "id": text, "name": text, "has_password": flag, "expires": maybe, "filters": texts, "goals": flag, "consent": flag,
        "hosts": texts, "last_used": maybe, "link": text,
    });
    json!({
        "Refusal": object(&["error"], json!({"error": object(
            &["code", "message", "hint"], json!({"code": text, "message": text, "hint": text}))})),
        "Site": object(&["key", "name", "client", "hostnames", "time_zone", "policy", "retention_days"], shown),
        "Sites": list("sites", "Site"),
        "SiteTyped": object(&[], site),
        "Goal": object(&["id", "name", "kind", "pattern"],
            json!({"id": text, "name": text, "kind": {"enum": ["page", "event"]}, "pattern": text})),
        "Goals": list("goals", "Goal"),
        "GoalTyped": object(&["kind", "pattern"], json!({"name": text, "kind": {"enum": ["page", "event"]}, "pattern": text})),
        "Link": object(&["id", "name", "has_password", "expires", "filters", "goals", "consent", "hosts", "last_used"], link),
        "Links": list("links", "Link"),
        "LinkTyped": object(&["name"], json!({
            "name": text, "password": text, "days": days, "filters": texts, "goals": flag, "consent": flag, "hosts": texts,
        })),
        "Annotation": object(&["id", "at", "text"], json!({"id": text, "at": text, "text": text})),
        "Annotations": object(&["query", "annotations"], json!({
            "query": {"type": "object"}, "annotations": {"type": "array", "items": reference("schemas", "Annotation")},
        })),
        "AnnotationTyped": object(&["text"], json!({"text": text, "at": text})),
        "Report": object(&["query", "table", "origin", "groups"], json!({
            "query": {"type": "object"},
            "table": object(&["by", "metrics", "rows"], json!({
                "by": maybe, "metrics": texts, "rows": {"type": "array", "items": {"type": "object"}, "maxItems": ROWS_MAX},
            })),
            "origin": {"type": "object"},
            "groups": {"type": ["object", "null"]},
        })),
        "Answer": {"type": "object"},
        "FirstHit": object(&["first"], json!({"first": {"type": ["object", "null"]}})),
        "Now": object(&["visitors"], json!({"visitors": count})),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_every_reference_is_there() {
        let document = document();
        let sources = [include_str!("../api.rs"), include_str!("manage.rs")].concat();
        let mut routes = 0;
        for (at, start) in sources.match_indices(".route(\"/api/v1/") {
            let rest = &sources[at + start.len() - "/api/v1/".len()..];
            let (path, rest) = rest.split_once('"').unwrap();
            let handlers = rest.lines().next().unwrap();
            for method in ["get", "post", "patch", "delete", "put"] {
                if handlers.contains(&format!("{method}(")) && !path.ends_with(".json") {
                    routes += 1;
                    assert!(document["paths"][path].get(method).is_some(), "{method} {path}");
                }
            }
        }
        assert_eq!(routes, OPERATIONS.len());
        let text = document.to_string();
        for (at, _) in text.match_indices("\"#/") {
            let pointer = text[at + 2..].split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
