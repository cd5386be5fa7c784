//! An agent's WebSocket: login, the live list, a call taken in the browser, and wrong passwords.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    House, PATIENCE,
    client::{Page, Said},
    fake::FakeSeat,
};
use crate::{AgentRequest, AgentUpdate, CallCard, CardState, Door, Refusal, WebCounter};

async fn console(house: &House, from: &str) -> Page {
    let own = format!("http://{}", house.address);
    let headers = [("origin", own.as_str()), ("sec-websocket-protocol", "passerelle.v1"), ("x-forwarded-for", from)];
    house.socket("/v1/agent", &headers).await.unwrap()
}

fn login(password: &str) -> Value {
    json!({"type": "hello", "v": 1, "extension": "1001", "password": password, "lang": "fr"})
}

async fn at_work(house: &House) -> (Page, FakeSeat) {
    let mut page = console(house, "192.0.2.1").await;
    page.say(login("secret")).await;
    page.expect(json!({"type": "welcome", "name": "Claire", "extension": "1001"})).await;
    (page, house.fake.next_seat().await)
}

async fn asked(seat: &mut FakeSeat) -> Option<AgentRequest> {
    timeout(PATIENCE, seat.requests.recv()).await.expect("the desk was told nothing")
}

fn card() -> CallCard {
    CallCard {
        call: "c0ffee".into(),
        state: CardState::Ringing,
        tenant: "shop".into(),
        queue: "support".into(),
        page_url: "https://shop.fr/cart".into(),
        page_title: "<script>alert(1)</script>".into(),
        referrer: None,
        session: "s-1".into(),
        lang: "fr-FR".into(),
        since_unix_ms: 1_799_999_999_000,
        agent: None,
    }
}

fn card_json() -> Value {
    json!({
        "call": "c0ffee", "state": "ringing", "tenant": "shop", "queue": "support",
        "page": {"url": "https://shop.fr/cart", "title": "<script>alert(1)</script>"},
        "referrer": null, "session": "s-1", "lang": "fr-FR", "since_ms": 1_799_999_999_000_u64,
    })
}

#[tokio::test]
async fn an_agent_takes_a_call_in_the_browser() {
    let house = House::plain().await;
    let (mut page, mut seat) = at_work(&house).await;
    seat.updates.send(AgentUpdate::Live(vec![card()])).await.unwrap();
    page.expect(json!({"type": "live", "now_ms": 1_800_000_000_000_u64, "calls": [card_json()]})).await;
    page.say(json!({"type": "ready", "on": true})).await;
    assert_eq!(asked(&mut seat).await, Some(AgentRequest::Ready(true)));
    seat.updates.send(AgentUpdate::Ready(true)).await.unwrap();
    page.expect(json!({"type": "ready", "on": true})).await;
    seat.updates.send(AgentUpdate::Away(true)).await.unwrap();
    page.expect(json!({"type": "away", "on": true})).await;
    seat.updates.send(AgentUpdate::Ring(card())).await.unwrap();
    page.expect(json!({"type": "ring", "call": "c0ffee", "card": card_json()})).await;

    page.say(json!({"type": "answer", "call": "c0ffee", "offer": "v=0 offer"})).await;
    let answer = AgentRequest::Answer { call: "c0ffee".into(), offer: "v=0 offer".into() };
    assert_eq!(asked(&mut seat).await, Some(answer));
    seat.updates.send(AgentUpdate::Media { call: "c0ffee".into(), sdp: "v=0 answer".into() }).await.unwrap();
    page.expect(json!({"type": "media", "call": "c0ffee", "sdp": "v=0 answer"})).await;
    let mut talking = card();
    (talking.state, talking.agent) = (CardState::Talking, Some("Claire".into()));
    seat.updates.send(AgentUpdate::Live(vec![talking])).await.unwrap();
    let Said::Json(live) = page.hear().await else { panic!("closed") };
    assert_eq!((&live["calls"][0]["state"], &live["calls"][0]["agent"]), (&json!("talking"), &json!("Claire")));
    seat.updates.send(AgentUpdate::Digit { call: "c0ffee".into(), digit: '#' }).await.unwrap();
    page.expect(json!({"type": "digit", "call": "c0ffee", "digit": "#"})).await;

    page.say(json!({"type": "decline", "call": "beef"})).await;
    assert_eq!(asked(&mut seat).await, Some(AgentRequest::Decline { call: "beef".into() }));
    let gone = AgentUpdate::Refused { call: Some("beef".into()), refusal: Refusal::new("no-such-call", 404) };
    seat.updates.send(gone).await.unwrap();
    page.expect(json!({"type": "error", "call": "beef", "code": "no-such-call", "sentence": "Cet appel est terminé."}))
        .await;
    page.say(json!({"type": "bye", "call": "c0ffee"})).await;
    assert_eq!(asked(&mut seat).await, Some(AgentRequest::Bye { call: "c0ffee".into() }));
    seat.updates.send(AgentUpdate::Ended { call: "c0ffee".into(), code: "normal" }).await.unwrap();
    page.expect(json!({"type": "ended", "call": "c0ffee", "code": "normal", "sentence": "L’appel est terminé."})).await;
    page.say(json!({"type": "ping"})).await;
    page.expect(json!({"type": "pong"})).await;
    page.say(json!({"type": "dance"})).await;
    page.expect_code("error", "message-unknown").await;

    drop(page);
    assert_eq!(asked(&mut seat).await, None, "the desk knows that the console is gone");
    assert_eq!(house.fake.count_of(WebCounter::SessionStarted(Door::Agent)), 1);
    house.close().await;
}

#[tokio::test]
async fn wrong_passwords_are_counted_and_block_that_address_for_a_while() {
    let house = House::open(|config| config.limits.login_failures = 3).await;
    for _ in 0..3 {
        let mut page = console(&house, "192.0.2.1").await;
        page.say(login("guess")).await;
        let sentence = page.expect_code("error", "login-refused").await;
        assert_eq!(sentence, "Le numéro de poste ou le mot de passe est incorrect.");
        page.expect_close(1008).await;
    }
    let mut page = console(&house, "192.0.2.1").await;
    page.say(login("secret")).await;
    page.expect_code("error", "login-blocked").await;
    page.expect_close(1008).await;

    let mut page = console(&house, "192.0.2.2").await;
    page.say(login("secret")).await;
    assert!(matches!(page.hear().await, Said::Json(message) if message["type"] == "welcome"), "others may work");
    drop(page);
    house.clock.advance(Duration::from_secs(300));
    drop(at_work(&house).await);
    assert_eq!(house.fake.count_of(WebCounter::Refused(Door::Agent, "login-refused")), 3);
    assert_eq!(house.fake.count_of(WebCounter::Refused(Door::Agent, "login-blocked")), 1);
    house.close().await;
}

#[tokio::test]
async fn a_right_password_forgives_the_wrong_ones() {
    let house = House::open(|config| config.limits.login_failures = 3).await;
    for _ in 0..3 {
        for _ in 0..2 {
            let mut page = console(&house, "192.0.2.1").await;
            page.say(login("guess")).await;
            page.expect_code("error", "login-refused").await;
        }
        drop(at_work(&house).await);
    }
    house.close().await;
}

#[tokio::test]
async fn only_our_own_pages_open_a_console() {
    let house = House::open(|config| config.public_url = Some("https://voice.shop.fr/".into())).await;
    let protocol = ("sec-websocket-protocol", "passerelle.v1");
    let public = house.socket("/v1/agent", &[("origin", "https://voice.shop.fr"), protocol]).await;
    assert!(public.is_ok());
    drop(public);
    // A tenant's site is not our page.
    assert_eq!(house.socket("/v1/agent", &[("origin", "https://shop.fr"), protocol]).await.err(), Some(403));
    house.close().await;
}

#[tokio::test]
async fn a_console_says_hello_first_and_once() {
    let house = House::plain().await;
    for (first, code) in [
        (json!({"type": "ready", "on": true}), "hello-expected"),
        (json!({"type": "hello", "v": 3, "extension": "1001", "password": "secret"}), "version-unsupported"),
        (json!({"type": "hello", "v": 1, "extension": "1001"}), "message-invalid"),
    ] {
        let mut page = console(&house, "192.0.2.1").await;
        page.say(first).await;
        page.expect_code("error", code).await;
        page.expect_close(1008).await;
    }
    let (mut page, seat) = at_work(&house).await;
    page.say(login("secret")).await;
    page.expect_code("error", "hello-again").await;
    drop(seat);
    page.expect_close(1001).await;
    house.close().await;
}
