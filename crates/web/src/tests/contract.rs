//! Every answer that a test hears is held against the description of the API: a status, a header, a field or a code
//! that is not in the document is a fault, and so is a request that was taken though the document forbids it.

use std::{collections::BTreeSet, sync::LazyLock};

use jiff::Timestamp;
use serde_json::Value;

use super::client::Reply;
use crate::{openapi, routes};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi::document(&routes::table()));

/// Words of a schema that say nothing about a value, or nothing that is checked here.
const REMARKS: [&str; 6] = ["title", "description", "default", "examples", "contentMediaType", "contentSchema"];

/// What is wrong with the data of an event of `/v1/callbacks/{id}/events`.
pub(super) fn event_faults(data: &str) -> Vec<String> {
    let answer = &DOCUMENT["paths"]["/v1/callbacks/{id}/events"]["get"]["responses"]["200"];
    let event = &answer["content"]["text/event-stream"]["schema"]["properties"]["data"];
    assert_eq!(event["contentMediaType"], "application/json");
    faults(&event["contentSchema"], &serde_json::from_str(data).unwrap())
}

/// Holds one exchange against the document.
pub(super) fn check(method: &str, path: &str, asked: &str, reply: &Reply) {
    let path = path.split('?').next().unwrap_or_default();
    let known = described(path).filter(|_| !["OPTIONS", "HEAD"].contains(&method));
    let Some(item) = known else { return };
    let at = format!("{method} {path}: {reply:?}");
    let Some(operation) = item.get(method.to_lowercase()) else {
        assert_eq!(reply.status, 405, "a method that the document does not have: {at}");
        return;
    };
    let answer = &operation["responses"][reply.status.to_string()];
    assert!(answer.is_object(), "a status that the document does not have: {at}");
    check_headers(answer, reply, &at);
    let kind = reply.header("content-type").and_then(|kind| kind.split(';').next()).unwrap_or_default();
    let content = answer["content"].as_object();
    match content {
        None => assert!(reply.body.is_empty(), "a body where there is none: {at}"),
        Some(content) => {
            let schema = &content.get(kind).unwrap_or_else(|| panic!("another media type: {at}"))["schema"];
            if kind.ends_with("json") {
                let faults = faults(schema, &reply.json());
                assert!(faults.is_empty(), "{faults:#?}\n{at}");
            }
        }
    }
    if reply.status < 300 && operation["requestBody"].is_object() {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let faults = faults(schema, &serde_json::from_str(asked).unwrap());
        assert!(faults.is_empty(), "taken against the document: {faults:#?}\n{asked}\n{at}");
    }
}

fn check_headers(answer: &Value, reply: &Reply, at: &str) {
    let told = answer["headers"].as_object();
    let is_told = |name: &str| told.is_some_and(|told| told.contains_key(name));
    for name in ["Retry-After", "ETag", "Content-Language", "Content-Disposition"] {
        let heard = reply.header(name).is_some();
        assert!(!heard || is_told(name), "a header that the document does not have, {name}: {at}");
        // Of the codes of one status some say when to try again.
        assert!(heard || !is_told(name) || name == "Retry-After", "{name} is missing: {at}");
    }
}

/// The path of the document that stands for this one.
fn described(path: &str) -> Option<&'static Value> {
    let fits = |template: &str| {
        let (mut told, mut asked) = (template.split('/'), path.split('/'));
        let same = told.by_ref().zip(asked.by_ref()).all(|(told, asked)| told == asked || told.starts_with('{'));
        same && template.split('/').count() == path.split('/').count()
    };
    let paths = DOCUMENT["paths"].as_object()?;
    paths.get(path).or_else(|| paths.iter().find(|(template, _)| fits(template)).map(|(_, item)| item))
}

/// The schema of this name.
pub(super) fn component(name: &str) -> &'static Value {
    let schema = &DOCUMENT["components"]["schemas"][name];
    assert!(schema.is_object(), "no schema {name}");
    schema
}

/// What is wrong with a value, by this schema and the names it may use.
pub(super) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut all = Vec::new();
    judge(schema, value, "", &mut all);
    unknown_fields(schema, value, "", &mut all);
    all
}

fn resolved(schema: &Value) -> Option<&'static Value> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/components/schemas/").map(component)
}

fn judge(schema: &Value, value: &Value, at: &str, all: &mut Vec<String>) {
    let keywords = schema.as_object().unwrap_or_else(|| panic!("{at} has no schema: {schema}"));
    for (keyword, wanted) in keywords {
        let good = match keyword.as_str() {
            "$ref" => {
                judge(resolved(schema).unwrap(), value, at, all);
                true
            }
            "allOf" => {
                wanted.as_array().unwrap().iter().for_each(|one| judge(one, value, at, all));
                true
            }
            "anyOf" => wanted.as_array().unwrap().iter().any(|one| {
                let mut none = Vec::new();
                judge(one, value, at, &mut none);
                none.is_empty()
            }),
            "properties" => {
                for (name, own) in wanted.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        judge(own, value, &format!("{at}/{name}"), all);
                    }
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    judge(wanted, item, &format!("{at}/{index}"), all);
                }
                true
            }
            "required" => wanted.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "type" => {
                wanted.as_array().map_or_else(|| is_of(value, wanted), |any| any.iter().any(|one| is_of(value, one)))
            }
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "minLength" => length(value).is_none_or(|length| length >= wanted.as_u64().unwrap()),
            "maxLength" => length(value).is_none_or(|length| length <= wanted.as_u64().unwrap()),
            "format" => value.as_str().is_none_or(|text| is_in_form(text, wanted.as_str().unwrap())),
            remark => {
                assert!(REMARKS.contains(&remark), "this walker does not know `{remark}` at {at}");
                true
            }
        };
        if !good {
            all.push(format!("{at}: {value} against {keyword} {wanted}"));
        }
    }
}

fn is_of(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        kind => panic!("this walker does not know the type {kind}"),
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| u64::try_from(text.chars().count()).unwrap())
}

fn is_in_form(text: &str, form: &str) -> bool {
    match form {
        "date-time" => text.parse::<Timestamp>().is_ok(),
        "uri-reference" => !text.is_empty() && !text.contains(' '),
        form => panic!("this walker does not know the format {form}"),
    }
}

/// Names that no part of the schema has. Schemas leave room for tomorrow, but what is answered today is told whole.
fn unknown_fields(schema: &Value, value: &Value, at: &str, all: &mut Vec<String>) {
    let parts = parts(schema);
    // An object of no described shape.
    let is_open = parts.iter().all(|part| part.get("properties").is_none() && part.get("items").is_none());
    if is_open {
        return;
    }
    for item in value.as_array().into_iter().flatten() {
        parts.iter().filter_map(|part| part.get("items")).for_each(|own| unknown_fields(own, item, at, all));
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let own: Vec<&Value> = parts.iter().filter_map(|part| part.get("properties")?.get(name)).collect();
        if own.is_empty() {
            all.push(format!("{at}/{name} is not in the document"));
        }
        // The richest description of the field; the others only narrow it.
        for own in own {
            unknown_fields(own, value, &format!("{at}/{name}"), all);
        }
    }
}

/// A schema and all that it is put together of.
fn parts(schema: &Value) -> Vec<&Value> {
    let own = ["allOf", "anyOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    let mut all: Vec<&Value> = own.flat_map(parts).chain([schema]).collect();
    if let Some(target) = resolved(schema) {
        all.extend(parts(target));
    }
    all
}

/// Every `(path, method)` of a document.
pub(super) fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| -> Vec<(String, String)> {
        item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect()
    };
    paths.iter().flat_map(methods).collect()
}
