//! The description of the API: complete, committed, served, and true of what the edge answers.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::LazyLock};

use serde_json::{Value, json};

use super::{
    House, SHOP,
    contract::{component, faults, operations},
};
use crate::{openapi, refusal, routes};

fn made() -> String {
    openapi::text(&openapi::document(&routes::table()))
}

/// `docs/openapi.json`, written anew first if that is asked for.
static COMMITTED: LazyLock<String> = LazyLock::new(|| {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made()).unwrap();
    }
    fs::read_to_string(path).unwrap_or_default()
});

fn committed() -> Value {
    serde_json::from_str(&COMMITTED).expect("docs/openapi.json: UPDATE_OPENAPI=1 cargo test -p web openapi")
}

#[test]
fn openapi_is_committed_as_it_is_generated() {
    let (known, text) = (COMMITTED.as_str(), made());
    let differs = known.lines().zip(text.lines()).position(|(known, made)| known != made);
    assert!(
        known == text,
        "docs/openapi.json is not what the code says, from line {:?} on. If the change is meant, write it anew with \
         UPDATE_OPENAPI=1 cargo test -p web openapi, and look at the difference.",
        differs.map(|line| line + 1)
    );
}

#[test]
fn openapi_has_every_route_and_no_other() {
    let table = routes::table().into_iter().filter(|route| route.method != "options");
    let routes: BTreeSet<(String, String)> = table.map(|route| (route.path.into(), route.method.into())).collect();
    assert_eq!(operations(&committed()), routes, "docs/openapi.json against routes.rs");
    // What is routed past the table is in no document.
    let router = include_str!("../lib.rs");
    assert!(!router.contains("\"/v1"), "a route under /v1 that is not in routes.rs");
}

#[tokio::test]
async fn openapi_names_every_method_that_is_answered() {
    let house = House::plain().await;
    let told = operations(&committed());
    let paths: BTreeSet<&str> = told.iter().map(|(path, _)| path.as_str()).collect();
    assert!(paths.len() > 8, "{paths:?}");
    for path in paths {
        for method in ["get", "post", "put", "patch", "delete"] {
            let asked = path.replace("{id}", "nothing");
            let reply = house.ask(&method.to_uppercase(), &asked, &[], "").await;
            let is_told = told.contains(&(path.to_owned(), method.to_owned()));
            assert_eq!(reply.status != 405, is_told, "{method} {path} is answered {}", reply.status);
        }
    }
    house.close().await;
}

#[test]
fn openapi_has_every_refusal_of_the_table() {
    let document = committed();
    let mut told = BTreeSet::new();
    for (path, method) in operations(&document) {
        let responses = document["paths"][&path][&method]["responses"].as_object().unwrap();
        for (status, response) in responses {
            let parts = response["content"]["application/problem+json"]["schema"]["allOf"].as_array();
            let codes = parts.into_iter().flatten().filter_map(|part| part["properties"]["code"]["enum"].as_array());
            told.extend(codes.flatten().map(|code| (status.clone(), code.as_str().unwrap().to_owned())));
        }
    }
    let table = refusal::ALL.iter().map(|refusal| (refusal.status.to_string(), refusal.code.to_owned())).collect();
    assert_eq!(told, table, "refusals that an operation names against refusal.rs");
}

#[test]
fn openapi_points_nowhere_else_and_explains_every_field() {
    let document = committed();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for (name, schema) in schemas {
        assert!(schema["description"].is_string(), "{name} is not explained");
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{name}.{field} is not explained");
        }
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference}"));
        assert!(document.pointer(pointer).is_some(), "{reference} points nowhere");
    }
    let ids: Vec<&str> = text.split("\"operationId\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an operationId twice: {ids:?}");
}

#[test]
fn openapi_tells_what_may_be_left_out() {
    let asked = component("CallbackRequest");
    assert_eq!(asked["required"], json!(["token", "number", "when"]));
    let least = json!({"token": "0", "number": "06", "when": "asap"});
    assert_eq!(faults(asked, &least), [""; 0]);
    // The walker sees what it should: a field too many, one too few, one of another form.
    let mut odd = least.clone();
    odd["nickname"] = json!("x");
    assert_eq!(faults(asked, &odd).len(), 1);
    odd = least.clone();
    odd.as_object_mut().unwrap().remove("when");
    assert_eq!(faults(asked, &odd).len(), 1);
    odd = least;
    odd["number"] = json!("1".repeat(65));
    odd["session"] = json!({"page": {"url": 7}});
    assert_eq!(faults(asked, &odd).len(), 2);
    let view = component("Slots");
    let slots = json!({"zone": "UTC", "tz": "UTC", "now": "2026-11-18T10:00:00Z", "slots": [{"start": "soon"}]});
    // No date, no end, no seats; and what is left out is never null.
    assert_eq!(faults(view, &slots).len(), 2);
    assert!(view["required"].as_array().unwrap().iter().all(|name| name != "more_from"));
    assert_eq!(view["properties"]["more_from"]["type"], "string");
}

#[tokio::test]
async fn openapi_is_served_and_kept_by_whoever_asked_before() {
    let house = House::plain().await;
    let first = house.ask("GET", "/v1/openapi.json", &[("origin", SHOP)], "").await;
    assert_eq!((first.status, first.header("content-type")), (200, Some("application/json")));
    assert_eq!(first.header("access-control-allow-origin"), Some(SHOP));
    assert_eq!(first.json(), committed());
    let tag = first.header("etag").unwrap().to_owned();
    let again = house.ask("GET", "/v1/openapi.json", &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag.as_str())));
    house.close().await;
}
