//! `GET /v1/openapi.json`: the API described by OpenAPI 3.1, made of the routes and of the structs that serde reads and
//! writes. `docs/openapi.json` is the same text, compared in a test.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Map, Value, json};

use self::operation::{Answer, Content, Key, Origin};
use crate::{
    Lang, Refusal,
    api::readable_by,
    assets::{Asset, dress},
    edge::{Asked, Edge, Problem, asked},
    routes::{self, Route},
};

pub(crate) mod operation;

pub(crate) use operation::Operation;

/// What the document says of itself.
const ABOUT: &str = "Call-backs and calls from a web page, for programs.\n\n\
    Dates and times are RFC 3339; they are told in the visitor's time zone (`tz`, an IANA name). Durations end in `_s` \
    and are seconds. Fields that a request has and this document has not are ignored; answers may get new fields.\n\n\
    A refusal is `application/problem+json` (RFC 9457) with a stable `code` for programs and a `sentence` for people, \
    in French or English as `Accept-Language` prefers. A path that pages of other origins may use answers OPTIONS with \
    the CORS preflight of the origins that tenants list.";

static DOCUMENT: LazyLock<Asset> =
    LazyLock::new(|| Asset::made("/v1/openapi.json", text(&document(&routes::table())).into_bytes()));

/// `GET /v1/openapi.json`.
pub(crate) async fn openapi(State(edge): State<Arc<Edge>>, headers: HeaderMap) -> Response {
    let response = dress(&DOCUMENT, &headers);
    match asked(&headers) {
        Asked::From(origin) if edge.backend.origin_known(origin.as_str()) => readable_by(&origin, response),
        Asked::From(_) | Asked::Missing | Asked::Bad => response,
    }
}

/// As it is served and committed.
pub(crate) fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

/// The description of these routes.
pub(crate) fn document(routes: &[Route]) -> Value {
    let mut book = Book::new();
    let mut paths: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
    for Route { path, method, operation, .. } in routes {
        if let Some(operation) = operation {
            paths.entry(path).or_default().insert(method, book.operation(path, operation));
        }
    }
    sorted(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Passerelle",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The gateway that serves this document."}],
        "paths": paths,
        "components": {
            "schemas": book.schemas(),
            "parameters": {"Accept-Language": language()},
            "headers": headers(),
            "securitySchemes": keys(),
        },
    }))
}

fn language() -> Value {
    let about = "The language of sentences: the first of `fr` and `en`, else English.";
    parameter("header", "Accept-Language", false, about, &json!({"type": "string"}))
}

/// Headers of refusals.
fn headers() -> Value {
    let languages = json!({"type": "string", "enum": [Lang::En.tag(), Lang::Fr.tag()]});
    let seconds = json!({"type": "integer", "minimum": 0});
    json!({
        "Content-Language": header("The language of the sentence.", &languages),
        "Retry-After": header("After how many seconds trying again makes sense.", &seconds),
    })
}

/// How whoever has a call-back's key shows it.
fn keys() -> Value {
    json!({
        "manageToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "The `manage_token` of one call-back.",
        },
        "manageTokenInQuery": {
            "type": "apiKey",
            "in": "query",
            "name": "token",
            "description": "The same where no header can be set: `EventSource`, a link.",
        },
        "staffToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "An agent's, from `POST /v1/agent/token`, or the administrator's.",
        },
    })
}

/// The same with the keys of every object in order, whatever features serde_json was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<String, Value> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(map.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// The schemas while the document is written. What is read and what is written are two contracts: a field with a
/// default may be left out of a request, and one that is skipped when empty out of an answer.
struct Book {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Book {
    fn new() -> Self {
        // OpenAPI 3.1 takes JSON Schema 2020-12 as it is.
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        let written = settings().for_serialize().with_transform(RecursiveTransform(left_out_is_not_null));
        Self { read: settings().for_deserialize().into_generator(), written: written.into_generator() }
    }

    fn schemas(&mut self) -> Map<String, Value> {
        let mut all = self.read.take_definitions(true);
        all.extend(self.written.take_definitions(true));
        all
    }

    fn operation(&mut self, path: &str, operation: &Operation) -> Value {
        let mut told = json!({
            "operationId": operation.id,
            "summary": operation.summary,
            "description": operation.description,
            "parameters": self.parameters(path, operation),
            "responses": self.responses(operation),
            "security": match operation.key {
                Key::None => json!([]),
                Key::Instead => json!([{}, {"manageToken": []}, {"manageTokenInQuery": []}]),
                Key::Required => json!([{"manageToken": []}, {"manageTokenInQuery": []}, {"staffToken": []}]),
                Key::StaffInstead => json!([{}, {"staffToken": []}]),
                Key::Staff => json!([{"staffToken": []}]),
            },
        });
        if let Some(shape) = operation.body {
            let content = json!({"application/json": {"schema": shape(&mut self.read)}});
            told["requestBody"] = json!({"required": true, "content": content});
        }
        told
    }

    fn parameters(&mut self, path: &str, operation: &Operation) -> Vec<Value> {
        let mut all = Vec::new();
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            all.push(parameter("path", name, true, "Its id.", &json!({"type": "string"})));
        }
        if let Some(shape) = operation.query {
            let schema = shape(&mut self.read).to_value();
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let required = schema["required"].as_array().is_some_and(|list| list.iter().any(|key| key == name));
                let mut property = property.clone();
                let description = property.as_object_mut().and_then(|property| property.remove("description"));
                let description = description.as_ref().and_then(Value::as_str).unwrap_or_default();
                all.push(parameter("query", name, required, description, &property));
            }
        }
        for header in &operation.headers {
            all.push(parameter("header", header.name, false, header.description, &header.schema));
        }
        let origin = match operation.origin {
            Origin::Names => "The page's origin; if some tenant lists it, its pages may read the answer.",
            Origin::Listed => "The page's origin, which the tenant lists. Browsers set it; without it anybody may ask.",
            Origin::Required => "The page's origin, which the tenant lists. Browsers set it.",
        };
        let required = operation.origin == Origin::Required;
        all.push(parameter("header", "Origin", required, origin, &json!({"type": "string", "format": "uri"})));
        all.push(json!({"$ref": "#/components/parameters/Accept-Language"}));
        all
    }

    fn responses(&mut self, operation: &Operation) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        for answer in &operation.answers {
            all.insert(answer.status.to_string(), self.answer(answer));
        }
        let mut by_status: BTreeMap<u16, Vec<Refusal>> = BTreeMap::new();
        for refusal in &operation.refusals {
            by_status.entry(refusal.status).or_default().push(*refusal);
        }
        for (status, refusals) in by_status {
            all.insert(status.to_string(), self.refusal(status, &refusals));
        }
        all
    }

    fn answer(&mut self, answer: &Answer) -> Value {
        let content = match &answer.content {
            Content::None => None,
            Content::Json(shape) => Some(json!({"application/json": {"schema": shape(&mut self.written)}})),
            Content::Text(media_type) => Some(json!({*media_type: {"schema": {"type": "string"}}})),
            Content::Events(name, shape) => Some(json!({"text/event-stream": {"schema": {
                "description": "One event; the stream is a row of them. Lines of comment keep it open.",
                "type": "object",
                "required": ["event", "data"],
                "properties": {
                    "event": {"const": name},
                    "data": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "contentSchema": shape(&mut self.written),
                    },
                },
            }}})),
            Content::OpenApi => Some(json!({"application/json": {"schema": {"type": "object"}}})),
        };
        let mut told = json!({"description": answer.description});
        if let Some(content) = content {
            told["content"] = content;
        }
        for (name, description) in &answer.headers {
            told["headers"][*name] = header(description, &json!({"type": "string"}));
        }
        told
    }

    fn refusal(&mut self, status: u16, refusals: &[Refusal]) -> Value {
        let mut codes: Vec<&str> = refusals.iter().map(|refusal| refusal.code).collect();
        codes.sort_unstable();
        let own = json!({"properties": {"status": {"const": status}, "code": {"enum": codes}}});
        let schema = json!({"allOf": [self.written.subschema_for::<Problem>(), own]});
        let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error");
        let mut headers = json!({"Content-Language": {"$ref": "#/components/headers/Content-Language"}});
        if refusals.iter().any(|refusal| refusal.retry_after_s.is_some()) {
            headers["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
        }
        json!({"description": title, "headers": headers, "content": {"application/problem+json": {"schema": schema}}})
    }
}

fn parameter(place: &str, name: &str, required: bool, description: &str, schema: &Value) -> Value {
    json!({"in": place, "name": name, "required": required, "description": description, "schema": schema})
}

fn header(description: &str, schema: &Value) -> Value {
    json!({"description": description, "schema": schema})
}

/// What may be left out of an answer is left out when there is none: then it is never `null`.
fn left_out_is_not_null(schema: &mut Schema) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &String| required.as_array().is_some_and(|list| list.iter().any(|key| key == name));
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [only] = types.as_slice() {
                property["type"] = only.clone();
            }
        }
        let Some(Value::Array(either)) = property.get_mut("anyOf") else { continue };
        either.retain(|one| one["type"] != "null");
        if let [Value::Object(only)] = either.as_slice()
            && let (only, Some(property)) = (only.clone(), property.as_object_mut())
        {
            property.remove("anyOf");
            property.extend(only);
        }
    }
}
