//! Call-backs over HTTP: asked with a token, shown to whoever has the key, followed, moved, called off.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{House, PATIENCE, SHOP, contract};
use crate::HoldBy;
use crate::proof::tests::solve;

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("authorization", "Bearer 5ec7e7");

async fn token(house: &House) -> String {
    house.ask_token(SHOP, "shop", "support").await.json()["token"].as_str().unwrap().to_owned()
}

fn wish(token: &str, number: &str) -> serde_json::Value {
    json!({
        "token": token, "number": number, "country": "FR", "when": "asap", "tz": "Europe/Paris", "lang": "fr-FR",
        "session": {"id": "s1", "page": {"url": "https://shop.fr/cart", "title": "Panier"}, "referrer": ""},
        "consent": {"text_id": "callback-v1", "version": "1"},
    })
}

async fn ask(house: &House, body: &serde_json::Value, key: &str) -> super::client::Reply {
    let headers = [("origin", SHOP), JSON, ("idempotency-key", key), ("accept-language", "fr")];
    house.ask("POST", "/v1/callbacks", &headers, &body.to_string()).await
}

#[tokio::test]
async fn a_call_back_is_promised_with_all_that_the_page_said() {
    let house = House::plain().await;
    let made = ask(&house, &wish(&token(&house).await, "06 12 34 56 78"), "k1").await;
    assert_eq!((made.status, made.header("access-control-allow-origin")), (201, Some(SHOP)));
    let answer = made.json();
    assert_eq!((&answer["id"], &answer["manage_token"]), (&json!("cb1"), &json!("5ec7e7")));
    assert!(answer["page_url"].as_str().unwrap().ends_with("/callback/cb1#5ec7e7"), "{answer}");
    let (asked, _) = house.fake.book.lock().unwrap().clone().unwrap();
    assert_eq!(
        (asked.tenant.as_str(), asked.queue.as_str(), asked.number.as_str()),
        ("shop", "support", "06 12 34 56 78")
    );
    assert_eq!((asked.session.id.as_str(), asked.session.page_title.as_str()), ("s1", "Panier"));
    assert_eq!((asked.session.referrer, asked.session.lang.as_str()), (None, "fr-FR"));
    assert_eq!(asked.consent, Some(("callback-v1".into(), "1".into())));
    assert_eq!((asked.request_key.as_deref(), asked.when.as_str()), (Some("k1"), "asap"));
    assert_eq!(asked.email, None);
    let again = ask(&house, &wish(&token(&house).await, "06 12 34 56 78"), "k1").await;
    assert_eq!((again.status, &again.json()["id"]), (200, &json!("cb1")));
    house.close().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_visitors_language() {
    let house = House::plain().await;
    let refused = ask(&house, &wish(&token(&house).await, "112"), "k1").await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "number_not_dialable"));
    assert!(refused.json()["sentence"].as_str().unwrap().contains("fixe ou un mobile"));
    assert_eq!(refused.header("access-control-allow-origin"), Some(SHOP), "the page may read why");
    let spent = token(&house).await;
    ask(&house, &wish(&spent, "112"), "k2").await;
    assert_eq!(ask(&house, &wish(&spent, "112"), "k3").await.code(), "token-used");
    let long = "1".repeat(65);
    assert_eq!(ask(&house, &wish(&token(&house).await, &long), "k4").await.code(), "number_invalid");
    let mut endless = wish(&token(&house).await, "06");
    endless["when"] = json!("x".repeat(200));
    assert_eq!(ask(&house, &endless, "k5").await.code(), "request-invalid");
    assert_eq!(ask(&house, &wish(&token(&house).await, "06"), &"k".repeat(200)).await.code(), "request-invalid");
    let form = house.ask("POST", "/v1/callbacks", &[("origin", SHOP)], "number=06").await;
    assert_eq!((form.status, form.code().as_str()), (415, "json-expected"));
    let foreign = house.ask("POST", "/v1/callbacks", &[("origin", "https://evil.fr"), JSON], "{}").await;
    assert_eq!((foreign.status, foreign.code().as_str()), (403, "origin-refused"));
    house.close().await;
}

#[tokio::test]
async fn an_address_for_mail_is_optional_and_bounded() {
    let house = House::plain().await;
    let mut body = wish(&token(&house).await, "06 12 34 56 78");
    body["email"] = json!(format!("{}@mail.example", "l".repeat(250)));
    let refused = ask(&house, &body, "k1").await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "email_invalid"));
    assert!(refused.json()["sentence"].as_str().unwrap().contains("adresse e-mail"));
    for (typed, kept) in [("  ", None), (" claire@mail.example ", Some("claire@mail.example"))] {
        *house.fake.book.lock().unwrap() = None;
        let mut body = wish(&token(&house).await, "06 12 34 56 78");
        body["email"] = json!(typed);
        assert_eq!(ask(&house, &body, "k1").await.status, 201);
        let (asked, _) = house.fake.book.lock().unwrap().clone().unwrap();
        assert_eq!(asked.email.as_deref(), kept);
    }
    house.close().await;
}

#[tokio::test]
async fn only_the_key_opens_it() {
    let house = House::plain().await;
    ask(&house, &wish(&token(&house).await, "06 12 34 56 78"), "k1").await;
    for (method, path) in [
        ("GET", "/v1/callbacks/cb1"),
        ("POST", "/v1/callbacks/cb1/not-me"),
        ("DELETE", "/v1/callbacks/cb1"),
        ("GET", "/v1/callbacks/cb1/events"),
        ("GET", "/v1/callbacks/cb1/calendar.ics?token=wrong"),
    ] {
        assert_eq!(house.ask(method, path, &[], "").await.code(), "not_found", "{method} {path}");
    }
    for path in ["/v1/callbacks/cb1?token=1&token=2", "/v1/callbacks/%ff"] {
        let refused = house.ask("GET", path, &[KEY], "").await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "request-invalid"), "{path}");
    }
    let shown = house.ask("GET", "/v1/callbacks/cb1", &[KEY, ("accept-language", "fr")], "").await;
    assert_eq!((shown.status, &shown.json()["state"]), (200, &json!("scheduled")));
    assert_eq!(shown.json()["sentence"], "Nous vous appellerons à l’heure indiquée.");
    let moved = house.ask("PATCH", "/v1/callbacks/cb1", &[KEY, JSON], r#"{"when": "2026-11-19T10:00"}"#).await;
    assert_eq!(moved.json()["promised_at"], "2026-11-19T10:00:00+01:00");
    let gone = house.ask("DELETE", "/v1/callbacks/cb1", &[KEY], "").await;
    assert_eq!((gone.status, &gone.json()["state"]), (200, &json!("cancelled")));
    let entry = house.ask("GET", "/v1/callbacks/cb1/calendar.ics?token=5ec7e7", &[], "").await;
    assert_eq!(entry.header("content-type"), Some("text/calendar; charset=utf-8"));
    assert!(entry.body.contains("METHOD:CANCEL"), "{}", entry.body);
    house.close().await;
}

#[tokio::test]
async fn whoever_has_the_key_may_say_that_it_was_not_he() {
    let house = House::plain().await;
    ask(&house, &wish(&token(&house).await, "06 12 34 56 78"), "k1").await;
    let said = house.ask("POST", "/v1/callbacks/cb1/not-me", &[KEY], "").await;
    assert_eq!(
        (said.status, &said.json()["state"], &said.json()["detail"]),
        (200, &json!("cancelled"), &json!("recipient"))
    );
    house.close().await;
}

/// Asks with this proof, or with none.
async fn ask_proven(house: &House, proof: Option<&str>) -> super::client::Reply {
    let mut body = wish(&token(house).await, "06 12 34 56 78");
    body["pow"] = json!(proof);
    ask(house, &body, "k1").await
}

#[tokio::test]
async fn where_a_proof_of_work_is_demanded_the_refusal_brings_the_riddle_and_its_answer_opens_once() {
    let house = House::open(|config| {
        config.limits.proof = crate::ProofDemand::Always;
        config.limits.proof_numbers = 2_000;
    })
    .await;
    let refused = ask_proven(&house, None).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "verification_needed"));
    assert_eq!(refused.header("access-control-allow-origin"), Some(SHOP), "the page may read the riddle");
    assert!(house.fake.book.lock().unwrap().is_none(), "nothing is promised");
    let answer = solve(&refused.json()["challenge"]);
    let wrong = answer.replace('A', "B");
    assert_eq!(ask_proven(&house, Some(&wrong)).await.code(), "verification_needed");
    assert_eq!(ask_proven(&house, Some(&answer)).await.status, 201);
    assert_eq!(ask_proven(&house, Some(&answer)).await.code(), "verification_needed", "an answer is good once");

    let riddle = house.ask("GET", "/v1/challenge", &[("origin", SHOP)], "").await;
    assert_eq!((riddle.status, &riddle.json()["algorithm"]), (200, &json!("SHA-256")));
    let ahead = solve(&riddle.json());
    house.clock.advance(Duration::from_secs(299));
    assert!(ask_proven(&house, Some(&ahead)).await.status < 300);
    let late = solve(&house.ask("GET", "/v1/challenge", &[], "").await.json());
    house.clock.advance(Duration::from_secs(301));
    assert_eq!(ask_proven(&house, Some(&late)).await.code(), "verification_needed");
    let foreign = house.ask("GET", "/v1/challenge", &[("origin", "https://evil.fr")], "").await;
    assert_eq!(foreign.code(), "origin-refused");
    house.close().await;
}

#[tokio::test]
async fn busy_means_more_than_usual_from_an_address_or_at_a_tenant() {
    let house = House::open(|config| {
        config.limits.free_asks = 2;
        config.limits.busy_asks = 4;
        config.limits.proof_numbers = 500;
    })
    .await;
    for _ in 0..2 {
        assert!(ask_proven(&house, None).await.status < 300);
    }
    for _ in 0..30 {
        assert_eq!(ask_proven(&house, None).await.code(), "verification_needed", "what is not proven does not count");
    }
    for _ in 0..2 {
        let answer = solve(&ask_proven(&house, None).await.json()["challenge"]);
        assert!(ask_proven(&house, Some(&answer)).await.status < 300);
    }
    // An hour later the address is a new one; so is the tenant's pace after ten minutes.
    house.clock.advance(Duration::from_secs(3_600));
    assert!(ask_proven(&house, None).await.status < 300);
    house.close().await;

    let house = House::open(|config| (config.limits.free_asks, config.limits.busy_asks) = (100, 2)).await;
    for _ in 0..2 {
        assert!(ask_proven(&house, None).await.status < 300);
    }
    assert_eq!(ask_proven(&house, None).await.code(), "verification_needed", "the tenant is asked for more than usual");
    house.clock.advance(Duration::from_secs(600));
    assert!(ask_proven(&house, None).await.status < 300);
    house.close().await;
}

#[tokio::test]
async fn a_page_follows_it_to_its_end() {
    let house = House::plain().await;
    ask(&house, &wish(&token(&house).await, "06 12 34 56 78"), "k1").await;
    let mut line = TcpStream::connect(house.address).await.unwrap();
    let head = "GET /v1/callbacks/cb1/events?token=5ec7e7 HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n";
    line.write_all(head.as_bytes()).await.unwrap();
    let mut heard = String::new();
    for state in ["scheduled", "dialling", "completed"] {
        if state != "scheduled" {
            house.fake.change(|view| (view.state, view.is_over) = (state, state == "completed"));
        }
        let news = format!("\"state\":\"{state}\"");
        while !heard.contains(&news) {
            let mut bytes = [0; 4_096];
            let count = timeout(PATIENCE, line.read(&mut bytes)).await.unwrap().unwrap();
            assert!(count > 0, "{heard}");
            heard.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }
    assert!(heard.contains("text/event-stream") && heard.contains("event: callback"), "{heard}");
    for data in heard.lines().filter_map(|line| line.strip_prefix("data: ")) {
        assert_eq!(contract::event_faults(data), [""; 0], "{data}");
    }
    // The last chunk of the stream: there is nothing more to follow.
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(5), async {
        while !rest.ends_with(b"0\r\n\r\n") {
            if line.read_buf(&mut rest).await.unwrap() == 0 {
                break;
            }
        }
    });
    assert!(heard.ends_with("0\r\n\r\n") || ended.await.is_ok());
    house.close().await;
}

#[tokio::test]
async fn slots_and_the_offer_are_read_by_the_tenants_pages() {
    let house = House::plain().await;
    let path = "/v1/slots?tenant=shop&queue=support&tz=Asia/Tokyo&from=2026-11-18T00:00";
    let slots = house.ask("GET", path, &[("origin", SHOP)], "").await;
    assert_eq!((slots.status, &slots.json()["tz"], &slots.json()["slots"]), (200, &json!("Asia/Tokyo"), &json!([])));
    let unknown = house.ask("GET", "/v1/slots?tenant=shop&queue=none", &[("origin", SHOP)], "").await;
    assert_eq!(unknown.code(), "queue-unknown");
    let foreign = house.ask("GET", path, &[("origin", "https://bank.fr")], "").await;
    assert_eq!(foreign.code(), "origin-refused");
    let offer = house.ask("GET", "/v1/availability?tenant=shop&queue=support", &[("origin", SHOP)], "").await;
    assert_eq!((&offer.json()["callback"], &offer.json()["callback_now"]), (&json!(true), &json!(false)));
    assert_eq!(offer.json()["email"], true, "the form may ask for an address");
    house.close().await;
}

#[tokio::test]
async fn a_seat_is_held_for_the_page_of_the_tenant_or_for_who_has_a_key() {
    let house = House::plain().await;
    let page = [("origin", SHOP), JSON, ("accept-language", "fr")];
    let body =
        json!({"token": token(&house).await, "start": "2026-11-18T10:00", "tz": "Europe/Paris", "session": "s1"});
    let held = house.ask("POST", "/v1/slots/hold", &page, &body.to_string()).await;
    assert_eq!((held.status, held.header("access-control-allow-origin")), (201, Some(SHOP)));
    assert_eq!((&held.json()["hold"], &held.json()["held_s"]), (&json!("c1a1"), &json!(120)));
    let asked = house.fake.held.lock().unwrap().pop().unwrap();
    let by = HoldBy::Visitor { tenant: "shop".into(), queue: "support".into(), session: "s1".into() };
    assert_eq!((asked.by, asked.tz.as_str(), asked.place.as_str()), (by, "Europe/Paris", "127.0.0.1"));
    let spent = house.ask("POST", "/v1/slots/hold", &page, &body.to_string()).await;
    assert_eq!((spent.status, spent.code().as_str()), (401, "token-used"));
    let full = json!({"token": token(&house).await, "start": "full"});
    let full = house.ask("POST", "/v1/slots/hold", &page, &full.to_string()).await;
    assert_eq!((full.status, full.code().as_str()), (409, "slot_gone"));
    assert!(full.json()["sentence"].as_str().unwrap().contains("vient d’être pris"));
    // A status page has its call-back's key, and no token.
    let own = json!({"callback": "cb1", "start": "2026-11-18T10:00"});
    let held = house.ask("POST", "/v1/slots/hold", &[KEY, JSON], &own.to_string()).await;
    assert_eq!(held.status, 201);
    let by = HoldBy::Callback { id: "cb1".into(), key: "5ec7e7".into() };
    assert_eq!(house.fake.held.lock().unwrap().pop().unwrap().by, by);
    for (headers, body) in [
        (&page[..], json!({"start": "2026-11-18T10:00"})),
        (&page[..], json!({"token": "a", "callback": "b", "start": "2026-11-18T10:00"})),
        (&page[..], json!({"callback": "cb1", "start": "x".repeat(200)})),
    ] {
        assert_eq!(house.ask("POST", "/v1/slots/hold", headers, &body.to_string()).await.code(), "request-invalid");
    }
    let foreign = json!({"token": token(&house).await, "start": "2026-11-18T10:00"}).to_string();
    let foreign = house.ask("POST", "/v1/slots/hold", &[("origin", "https://evil.fr"), JSON], &foreign).await;
    assert_eq!((foreign.status, foreign.code().as_str()), (403, "origin-refused"));
    let form = house.ask("POST", "/v1/slots/hold", &[("origin", SHOP)], "start=now").await;
    assert_eq!(form.code(), "json-expected");
    let gone = house.ask("DELETE", "/v1/slots/hold/c1a1", &[("origin", SHOP)], "").await;
    assert_eq!((gone.status, house.fake.released.lock().unwrap().pop().as_deref()), (204, Some("c1a1")));
    for (method, path) in [("DELETE", "/v1/slots/hold/%ff"), ("POST", "/v1/slots/hold?token=1&token=2")] {
        let refused = house.ask(method, path, &page, "{}").await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "request-invalid"), "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_held_seat_is_used_by_the_ask_the_list_and_the_move() {
    let house = House::plain().await;
    let mut body = wish(&token(&house).await, "06 12 34 56 78");
    body["hold"] = json!("c1a1");
    assert_eq!(ask(&house, &body, "k1").await.status, 201);
    let (asked, _) = house.fake.book.lock().unwrap().clone().unwrap();
    assert_eq!(asked.hold.as_deref(), Some("c1a1"));
    let to = r#"{"when": "2026-11-19T10:00", "hold": "c1a1"}"#;
    assert_eq!(house.ask("PATCH", "/v1/callbacks/cb1", &[KEY, JSON], to).await.status, 200);
    assert_eq!(house.fake.moved_with.lock().unwrap().as_deref(), Some("c1a1"));
    let path = "/v1/slots?tenant=shop&queue=support&hold=c1a1";
    assert_eq!(house.ask("GET", path, &[("origin", SHOP)], "").await.status, 200);
    assert_eq!(house.fake.listed_with.lock().unwrap().as_str(), "c1a1");
    house.close().await;
}

#[tokio::test]
async fn who_holds_too_often_is_held_back_and_can_still_ask() {
    let house = House::open(|config| config.limits.slot_holds = 2).await;
    let own = json!({"callback": "cb1", "start": "2026-11-18T10:00"}).to_string();
    for status in [201, 201, 429] {
        let held = house.ask("POST", "/v1/slots/hold", &[KEY, JSON, ("origin", SHOP)], &own).await;
        assert_eq!((held.status, held.header("access-control-allow-origin")), (status, Some(SHOP)));
    }
    assert!(ask(&house, &wish(&token(&house).await, "06 12 34 56 78"), "k1").await.status < 300);
    house.clock.advance(Duration::from_secs(600));
    assert_eq!(house.ask("POST", "/v1/slots/hold", &[KEY, JSON], &own).await.status, 201);
    house.close().await;
}

#[tokio::test]
async fn who_asks_too_often_or_follows_too_much_is_held_back() {
    let house = House::open(|config| {
        config.limits.callback_asks = 3;
        config.limits.followers_per_source = 1;
    })
    .await;
    for key in ["k1", "k1", "k1"] {
        assert!(ask(&house, &wish(&token(&house).await, "06 12 34 56 78"), key).await.status < 300);
    }
    let fourth = ask(&house, &wish(&token(&house).await, "06 12 34 56 78"), "k1").await;
    assert_eq!((fourth.status, fourth.code().as_str()), (429, "too_many_requests"));
    assert_eq!(fourth.header("access-control-allow-origin"), Some(SHOP), "the page may say why");
    house.clock.advance(Duration::from_secs(3_600));
    assert!(ask(&house, &wish(&token(&house).await, "06 12 34 56 78"), "k1").await.status < 300);

    let mut first = TcpStream::connect(house.address).await.unwrap();
    first.write_all(b"GET /v1/callbacks/cb1/events?token=5ec7e7 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut bytes = [0; 4_096];
    let count = timeout(PATIENCE, first.read(&mut bytes)).await.unwrap().unwrap();
    assert!(bytes[..count].starts_with(b"HTTP/1.1 200"));
    let path = "/v1/callbacks/cb1/events?token=5ec7e7";
    assert_eq!(house.ask("GET", path, &[], "").await.code(), "too-many-sockets");
    drop(first);
    house.fake.change(|view| view.is_over = true);
    let freed = timeout(PATIENCE, async {
        while house.ask("GET", path, &[], "").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(freed.await.is_ok(), "the place of a page that left is free again");
    house.close().await;
}
