//! The description of version 2 of the API (OpenAPI 3.1), made from the names that questions are read by.

use serde_json::{Map, Value, json};

use super::{
    asked::PARTS,
    filters::{COMPARISONS, NO_PROP},
    names::{Figure, GOAL, PROP, TIME, VALUED, dimensions},
    problem::MEDIA_TYPE,
};
use crate::{filter::FILTERS_MAX, report::ROWS_MAX};

/// The document.
pub(super) fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sotto",
            "version": "2",
            "description": "Reports in the grammar of Plausible's Stats API v2. What cannot be answered exactly is refused with 400.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": {"/api/v2/query": {"post": {
            "operationId": "query",
            "summary": "Asks a question about one site",
            "requestBody": {
                "required": true,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Question"}}},
            },
            "responses": responses(),
        }}},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas(),
            "headers": number_headers(),
        },
    })
}

fn responses() -> Value {
    let headers: Map<String, Value> = NUMBER_HEADERS
        .iter()
        .map(|(name, component)| {
            ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{component}")}))
        })
        .collect();
    let mut all = json!({"200": {
        "description": "The answer",
        "headers": headers,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
    }});
    for (status, description) in [
        ("400", "The question cannot be answered exactly; `field` says which part is in the way"),
        ("401", "No valid token came with the question"),
        ("403", "A page of another site asked"),
        ("404", "There is no such site, or not for this token"),
        ("413", "The question is too long"),
        ("429", "Too many questions"),
        ("500", "Something went wrong"),
        ("503", "Too many reports run, or the database is away"),
    ] {
        all[status] = json!({
            "description": description,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        });
    }
    all
}

/// Headers that say how many requests are left, and what describes each.
pub(in crate::api) const NUMBER_HEADERS: [(&str, &str); 3] =
    [("RateLimit-Limit", "Limit"), ("RateLimit-Remaining", "Remaining"), ("RateLimit-Reset", "Reset")];

/// What describes them.
pub(in crate::api) fn number_headers() -> Value {
    let number =
        |description: &str| json!({"description": description, "schema": {"type": "integer", "minimum": 0}});
    json!({
        "Limit": number("How many requests there are in all"),
        "Remaining": number("How many are left at once"),
        "Reset": number("In how many seconds there are all again; after 429, one"),
    })
}

/// A dimension: a name, or the start of one.
fn names(names: Vec<String>) -> Value {
    let prop = json!({"type": "string", "pattern": format!("^{PROP}.+")});
    let names: Vec<String> = names.into_iter().filter(|name| !name.starts_with(PROP)).collect();
    json!({"anyOf": [{"enum": names}, prop]})
}

fn schemas() -> Value {
    let metrics = Figure::ALL.map(Figure::name);
    let filterable = VALUED.iter().map(|valued| valued.name.to_owned()).chain([GOAL.to_owned()]);
    let tuple = |items: Value, least: usize| {
        let most = items.as_array().map_or(0, Vec::len);
        json!({"type": "array", "prefixItems": items, "items": false, "minItems": least, "maxItems": most})
    };
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let modifiers = json!({
        "type": "object",
        "properties": {"case_sensitive": {"type": "boolean"}},
        "additionalProperties": false,
    });
    let values =
        json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": FILTERS_MAX});
    let several = json!({"type": "array", "items": reference("Filter"), "minItems": 1});
    json!({
        "Metric": {"enum": metrics},
        "Dimension": names(dimensions()),
        "Filter": {
            "description": format!("A comparison, or filters put together. {NO_PROP} stands for events without a prop."),
            "anyOf": [
                tuple(json!([{"enum": COMPARISONS}, names(filterable.collect()), values, modifiers]), 3),
                tuple(json!([{"enum": ["and", "or"]}, several]), 2),
                tuple(json!([{"enum": ["not", "has_done", "has_not_done"]}, reference("Filter")]), 2),
            ],
        },
        "Question": question(&tuple, &reference),
        "Answer": {
            "type": "object",
            "required": ["results", "meta", "query"],
            "properties": {
                "results": {"type": "array", "maxItems": ROWS_MAX, "items": {
                    "type": "object",
                    "required": ["dimensions", "metrics"],
                    "properties": {
                        "dimensions": {"type": "array", "items": {"type": "string"}},
                        "metrics": {"type": "array", "items": {"type": ["number", "null"]}},
                    },
                    "additionalProperties": false,
                }},
                "meta": {"type": "object"},
                "query": {"type": "object", "required": PARTS},
            },
            "additionalProperties": false,
        },
        "Problem": {
            "description": "RFC 9457",
            "type": "object",
            "required": ["type", "title", "status", "detail", "code"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "code": {"type": "string"},
                "field": {"description": "Which part of the question is in the way", "type": "string"},
                "allowed": {"description": "What would be understood there", "type": "array", "items": {"type": "string"}},
                "error": {"description": "The detail, where clients of Plausible read it", "type": "string"},
            },
        },
    })
}

fn question(tuple: &impl Fn(Value, usize) -> Value, reference: &impl Fn(&str) -> Value) -> Value {
    let pair = |format: &str| {
        tuple(json!([{"type": "string", "format": format}, {"type": "string", "format": format}]), 2)
    };
    let flag = json!({"type": "boolean", "default": false});
    let by = json!({"anyOf": [reference("Metric"), reference("Dimension")]});
    json!({
        "type": "object",
        "required": ["site_id", "metrics", "date_range"],
        "properties": {
            "site_id": {"description": "The key of a site, or its host name", "type": "string", "minLength": 1},
            "metrics": {"type": "array", "items": reference("Metric"), "minItems": 1, "uniqueItems": true},
            "date_range": {"anyOf": [
                {"enum": ["day", "24h", "month", "year", "all"]},
                {"type": "string", "pattern": "^[1-9][0-9]{0,3}d$"},
                {"type": "string", "pattern": "^[1-9][0-9]?mo$"},
                pair("date"),
                pair("date-time"),
            ]},
            "dimensions": {"type": "array", "items": reference("Dimension"), "maxItems": 2, "uniqueItems": true,
                "description": format!("`{TIME}` is hours, days, weeks or months, by the length of the period")},
            "filters": {"type": "array", "items": reference("Filter")},
            "order_by": {"type": "array", "items": tuple(json!([by, {"enum": ["asc", "desc"]}]), 2)},
            "include": {
                "type": "object",
                "properties": {"imports": flag, "time_labels": flag, "total_rows": flag},
                "additionalProperties": false,
            },
            "pagination": {
                "type": "object",
                "properties": {
                    "limit": {"type": "integer", "minimum": 1, "maximum": ROWS_MAX, "default": ROWS_MAX},
                    "offset": {"type": "integer", "minimum": 0, "maximum": ROWS_MAX, "default": 0},
                },
                "additionalProperties": false,
            },
        },
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_question_is_described_and_every_reference_is_there() {
        let document = document();
        let question = &document["components"]["schemas"]["Question"];
        for part in PARTS {
            assert!(question["properties"].get(part).is_some(), "{part}");
        }
        let text = document.to_string();
        for (at, _) in text.match_indices("\"#/") {
            let pointer = text[at + 2..].split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
