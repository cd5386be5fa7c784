//! Those who work with the book over HTTP: who is let in, what reaches the gateway, and what stays the visitor's.

use serde_json::{Value, json};

use super::client::Reply;
use super::{House, SHOP};

const JSON: (&str, &str) = ("content-type", "application/json");
const ADMIN: (&str, &str) = ("authorization", "Bearer the-administrators-token");

async fn log_in(house: &House, password: &str) -> Reply {
    let body = json!({"extension": "1001", "password": password}).to_string();
    house.ask("POST", "/v1/agent/token", &[JSON], &body).await
}

/// An agent's header.
async fn agent(house: &House) -> String {
    let reply = log_in(house, "secret").await;
    assert_eq!((reply.status, &reply.json()["name"]), (200, &json!("Claire")), "{reply:?}");
    format!("Bearer {}", reply.json()["token"].as_str().unwrap())
}

async fn post(house: &House, bearer: &str, path: &str, body: &Value) -> Reply {
    house.ask("POST", path, &[JSON, ("authorization", bearer)], &body.to_string()).await
}

fn staffed(house: &House) -> Vec<String> {
    std::mem::take(&mut house.fake.staffed.lock().unwrap())
}

fn wish(number: &str) -> Value {
    json!({
        "tenant": "shop", "queue": "support", "number": number, "when": "2026-11-18T10:10:00", "tz": "Europe/Paris",
        "purpose": "follow-up", "consent_note": "asked by phone", "priority": 3, "agent": "1001",
    })
}

#[tokio::test]
async fn only_a_good_bearer_token_opens_the_book_and_leaving_shuts_it() {
    let house = House::plain().await;
    for header in [None, Some("Bearer nonsense"), Some("Basic 1001"), Some("Bearer ")] {
        let headers: Vec<(&str, &str)> = header.map(|value| ("authorization", value)).into_iter().collect();
        let reply = house.ask("GET", "/v1/callbacks", &headers, "").await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "login_needed"), "{header:?}");
    }
    assert_eq!(log_in(&house, "wrong").await.code(), "login-refused");
    let bearer = agent(&house).await;
    let list = house.ask("GET", "/v1/callbacks?queue=support&limit=5", &[("authorization", &bearer)], "").await;
    assert_eq!((list.status, &list.json()["callbacks"][0]["number"]), (200, &json!("+33 6 12 34 56 78")));
    assert_eq!(house.ask("GET", "/v1/callbacks?tenant=shop", &[ADMIN], "").await.status, 200);
    assert_eq!(staffed(&house), ["list 1001  support 5", "list admin shop  200"]);
    assert_eq!(house.ask("GET", "/v1/callbacks?limit=many", &[ADMIN], "").await.code(), "request-invalid");
    assert_eq!(house.ask("DELETE", "/v1/agent/token", &[("authorization", &bearer)], "").await.status, 204);
    let gone = house.ask("GET", "/v1/callbacks", &[("authorization", &bearer)], "").await;
    assert_eq!(gone.code(), "login_needed");
    house.close().await;
}

#[tokio::test]
async fn whoever_guesses_waits_and_a_page_of_another_site_asks_in_vain() {
    let house = House::plain().await;
    let body = json!({"extension": "1001", "password": "secret"}).to_string();
    let foreign = house.ask("POST", "/v1/agent/token", &[JSON, ("origin", SHOP)], &body).await;
    assert_eq!(foreign.code(), "origin-refused");
    for _ in 0..10 {
        house.ask("GET", "/v1/callbacks", &[("authorization", "Bearer guess")], "").await;
    }
    assert_eq!(log_in(&house, "secret").await.code(), "login-blocked", "also with the right password");
    assert_eq!(house.ask("GET", "/v1/callbacks", &[ADMIN], "").await.code(), "login-blocked");
    house.close().await;
}

#[tokio::test]
async fn a_call_back_is_made_for_a_customer_and_no_visitor_sets_a_rank() {
    let house = House::plain().await;
    let bearer = agent(&house).await;
    let made = post(&house, &bearer, "/v1/callbacks", &wish("06 12 34 56 78")).await;
    assert_eq!((made.status, &made.json()["manage_token"]), (201, &json!("5ec7e7")), "{made:?}");
    let asked = staffed(&house).pop().unwrap();
    for part in ["make 1001", "purpose: \"follow-up\"", "priority: 3", "agent: Some(\"1001\")", "asked by phone"] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    assert_eq!(post(&house, &bearer, "/v1/callbacks", &wish("taken")).await.code(), "duplicate_open");
    let mut odd = wish("06");
    odd["priority"] = json!(10);
    assert_eq!(post(&house, &bearer, "/v1/callbacks", &odd).await.code(), "request-invalid");
    assert_eq!(post(&house, "Bearer nonsense", "/v1/callbacks", &wish("06")).await.code(), "login_needed");
    // A visitor's token beside a rank: the rank goes nowhere.
    let token = house.token("support").await;
    let mut own = json!({"token": token, "number": "06", "when": "asap"});
    own["priority"] = json!(9);
    let headers = [JSON, ("origin", SHOP)];
    let reply = house.ask_unchecked("POST", "/v1/callbacks", &headers, &own.to_string()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(staffed(&house), [""; 0]);
    house.close().await;
}

#[tokio::test]
async fn what_staff_does_reaches_the_gateway_with_who_and_why() {
    let house = House::plain().await;
    let bearer = agent(&house).await;
    let note = json!({"note": "on lunch"});
    for (path, body) in [
        ("accept", json!({})),
        ("decline", note.clone()),
        ("snooze", json!({"minutes": 15, "note": "on lunch"})),
        ("complete", json!({"disposition": "sold"})),
    ] {
        let reply = post(&house, &bearer, &format!("/v1/callbacks/cb1/{path}"), &body).await;
        assert_eq!((reply.status, &reply.json()["owner"]), (200, &json!("1001")), "{path}: {reply:?}");
    }
    let edit = json!({"when": "asap", "queue": "advice", "agent": "", "priority": 2, "note": "vip"}).to_string();
    assert_eq!(house.ask("PATCH", "/v1/callbacks/cb1", &[JSON, ADMIN], &edit).await.status, 200);
    assert_eq!(house.ask("GET", "/v1/callbacks/cb1", &[ADMIN], "").await.status, 200);
    assert_eq!(house.ask("DELETE", "/v1/callbacks/cb1?note=closed", &[ADMIN], "").await.status, 200);
    assert_eq!(house.ask("DELETE", "/v1/callbacks/cb2", &[ADMIN], "").await.code(), "not_found");
    assert_eq!(
        staffed(&house),
        [
            "1001 cb1 Accept ",
            "1001 cb1 Decline on lunch",
            "1001 cb1 Snooze(15) on lunch",
            "1001 cb1 Complete(\"sold\") ",
            "admin cb1 Edit { when: Some(\"asap\"), tz: \"\", queue: Some(\"advice\"), agent: Some(\"\"), priority: Some(2) } vip",
            "show admin cb1",
            "admin cb1 Cancel closed",
            "admin cb2 Cancel ",
        ]
    );
    for (path, body, code) in [
        ("complete", note.clone(), "disposition_missing"),
        ("snooze", json!({"minutes": 0}), "request-invalid"),
        ("accept", json!({"note": "x".repeat(2_001)}), "request-invalid"),
    ] {
        assert_eq!(post(&house, &bearer, &format!("/v1/callbacks/cb1/{path}"), &body).await.code(), code);
    }
    assert_eq!(post(&house, "Bearer 5ec7e7", "/v1/callbacks/cb1/accept", &note).await.code(), "login_needed");
    house.close().await;
}

#[tokio::test]
async fn the_configuration_is_an_administrators_to_reload() {
    let house = House::plain().await;
    let bearer = agent(&house).await;
    let body = json!({"dry_run": true});
    assert_eq!(post(&house, &bearer, "/v1/reload", &body).await.code(), "admin_only");
    assert_eq!(post(&house, "guessed", "/v1/reload", &body).await.code(), "login_needed");
    let done = post(&house, ADMIN.1, "/v1/reload", &body).await;
    assert_eq!((done.status, done.json()), (200, json!({"outcome": "dry_run", "changes": ["+ trunk \"b\""]})));
    assert_eq!(post(&house, ADMIN.1, "/v1/reload", &json!({})).await.json()["outcome"], "applied");
}

#[tokio::test]
async fn a_whole_queue_is_an_administrators_to_order() {
    let house = House::plain().await;
    let bearer = agent(&house).await;
    let admin = ADMIN.1;
    for (path, body) in [
        ("pause", json!({"note": "meeting"})),
        ("resume", json!({})),
        ("cancel", json!({"dry_run": true})),
        ("shift", json!({"minutes": 15})),
    ] {
        let path = format!("/v1/queues/support/{path}");
        assert_eq!(post(&house, &bearer, &path, &body).await.code(), "admin_only");
        let done = post(&house, admin, &path, &body).await;
        assert_eq!((done.status, &done.json()["touched"], &done.json()["next"]), (200, &json!(3), &json!("1.2")));
    }
    assert_eq!(
        staffed(&house),
        [
            "admin Pause support dry=false",
            "admin Resume support dry=false",
            "admin Cancel support dry=true",
            "admin Shift(15) support dry=false"
        ]
    );
    for body in [json!({}), json!({"minutes": 0}), json!({"minutes": 20_000})] {
        assert_eq!(post(&house, admin, "/v1/queues/support/shift", &body).await.code(), "request-invalid");
    }
    house.close().await;
}

#[tokio::test]
async fn only_the_administrator_reads_ladders() {
    let house = House::plain().await;
    let bearer = agent(&house).await;
    for path in ["/v1/ladders", "/v1/ladders/refused", "/v1/ladders/c0ffee"] {
        assert_eq!(house.ask("GET", path, &[], "").await.code(), "login_needed", "{path}");
        assert_eq!(house.ask("GET", path, &[("authorization", &bearer)], "").await.code(), "admin_only", "{path}");
    }
    let list = house.ask("GET", "/v1/ladders?limit=3&all=true", &[ADMIN], "").await;
    assert_eq!((list.status, &list.json()["ladders"][0]["outcome"]), (200, &json!("486 Busy Here")));
    assert_eq!(house.ask("GET", "/v1/ladders", &[ADMIN], "").await.status, 200);
    assert_eq!(staffed(&house), ["ladders 3 true", "ladders 20 false"]);
    assert_eq!(house.ask("GET", "/v1/ladders?limit=x", &[ADMIN], "").await.code(), "request-invalid");
    let one = house.ask("GET", "/v1/ladders/a%20b%40host%2F1", &[ADMIN], "").await;
    assert_eq!((one.status, &one.json()["rows"][0]["message"]["label"]), (200, &json!("BYE")), "a Call-ID is a name");
    assert_eq!(house.ask("GET", "/v1/ladders/c0", &[ADMIN], "").await.code(), "ladder_ambiguous");
    assert_eq!(house.ask("GET", "/v1/ladders/never", &[ADMIN], "").await.code(), "ladder_unknown");
    let long = format!("/v1/ladders/{}", "x".repeat(600));
    assert_eq!(house.ask("GET", &long, &[ADMIN], "").await.code(), "request-invalid");
    let refused = house.ask("GET", "/v1/ladders/refused", &[ADMIN], "").await;
    assert_eq!((refused.status, &refused.json()["rows"][0]["refused"]), (200, &json!("no-dialog")));
    house.close().await;
}
