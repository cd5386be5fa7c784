//! A visitor's WebSocket: the whole call as a transcript, and everything that can go wrong with it.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::{
    House, PATIENCE, SHOP,
    client::{Page, Said, hello},
    fake::FakeCall,
};
use crate::{Door, Refusal, SessionInfo, VisitorRequest, VisitorState, VisitorUpdate, WebCounter, WebLimits};

/// A call that has its answer.
async fn begun(house: &House) -> (Page, FakeCall) {
    let mut page = house.visitor_of("support").await;
    let call = house.fake.next_call().await;
    page.expect(json!({"type": "answer", "call": "c0ffee", "sdp": "v=0 answer"})).await;
    (page, call)
}

async fn asked(call: &mut FakeCall) -> Option<VisitorRequest> {
    timeout(PATIENCE, call.requests.recv()).await.expect("the call was told nothing")
}

#[tokio::test]
async fn a_whole_call_reads_as_a_transcript() {
    let house = House::plain().await;
    let (mut page, mut call) = begun(&house).await;
    assert_eq!((call.start.tenant.as_str(), call.start.queue.as_str()), ("shop", "support"));
    assert_eq!((call.start.origin.as_str(), call.start.offer.as_str()), (SHOP, "v=0 offer"));
    assert_eq!(call.start.source, house.address.ip());
    let session = SessionInfo {
        id: "s-1".into(),
        page_url: "https://shop.fr/cart".into(),
        page_title: "Cart".into(),
        referrer: Some("https://search.example/".into()),
        lang: "fr-FR".into(),
    };
    assert_eq!(call.start.session, session);

    call.updates.send(VisitorUpdate::State { state: VisitorState::Ringing, agent: None }).await.unwrap();
    page.expect(json!({"type": "state", "state": "ringing"})).await;
    let talking = VisitorUpdate::State { state: VisitorState::Talking, agent: Some("Claire".into()) };
    call.updates.send(talking).await.unwrap();
    page.expect(json!({"type": "state", "state": "talking", "agent": "Claire"})).await;

    for (said, expected) in [
        (json!({"type": "digits", "digits": "12#"}), VisitorRequest::Digits("12#".into())),
        (json!({"type": "mute", "on": true}), VisitorRequest::Mute(true)),
        (
            json!({"type": "page", "url": "https://shop.fr/help", "title": "Aide"}),
            VisitorRequest::Page { url: "https://shop.fr/help".into(), title: "Aide".into() },
        ),
        (json!({"type": "reoffer", "sdp": "v=0 again"}), VisitorRequest::Reoffer("v=0 again".into())),
    ] {
        page.say(said).await;
        assert_eq!(asked(&mut call).await, Some(expected));
    }
    call.updates.send(VisitorUpdate::Reanswer("v=0 too".into())).await.unwrap();
    page.expect(json!({"type": "reanswer", "sdp": "v=0 too"})).await;
    call.updates.send(VisitorUpdate::Digit('5')).await.unwrap();
    page.expect(json!({"type": "digit", "digit": "5"})).await;
    page.say(json!({"type": "ping"})).await;
    page.expect(json!({"type": "pong"})).await;
    call.updates.send(VisitorUpdate::Refused(Refusal::new("offer-invalid", 400))).await.unwrap();
    page.expect_code("error", "offer-invalid").await;

    page.say(json!({"type": "bye"})).await;
    assert_eq!(asked(&mut call).await, Some(VisitorRequest::Bye));
    call.updates.send(VisitorUpdate::Ended { code: "normal", talk_s: 12 }).await.unwrap();
    let ended = json!({"type": "ended", "code": "normal", "sentence": "L’appel est terminé.", "talk_s": 12});
    page.expect(ended).await;
    page.expect_close(1000).await;
    assert_eq!(asked(&mut call).await, None);
    assert_eq!(house.fake.count_of(WebCounter::SessionStarted(Door::Talk)), 1);
    house.close().await;
}

async fn turned_away(house: &House, token: &str, origin: &str, code: &'static str) {
    let headers = [("origin", origin), ("sec-websocket-protocol", "passerelle.v1")];
    let mut page = house.socket("/v1/talk", &headers).await.unwrap();
    page.say(hello(token)).await;
    page.expect_code("error", code).await;
    page.expect_close(1008).await;
    assert!(house.fake.count_of(WebCounter::Refused(Door::Talk, code)) > 0, "{code} is not counted");
}

#[tokio::test]
async fn a_token_is_good_once_in_time_and_for_its_site() {
    let house = House::plain().await;
    let (page, call) = begun(&house).await;
    drop((page, call));
    let used = house.token("support").await;
    let mut first = house.visitor().await;
    first.say(hello(&used)).await;
    drop(house.fake.next_call().await);

    let old = house.token("support").await;
    house.clock.advance(Duration::from_secs(180));
    turned_away(&house, &used, SHOP, "token-used").await;
    turned_away(&house, &old, SHOP, "token-expired").await;
    let strange = house.token("support").await;
    for (token, origin, code) in [
        (strange.as_str(), "https://www.shop.fr", "token-origin"),
        (strange.as_str(), SHOP, "token-used"),
        ("00000000000000000000000000000000", SHOP, "token-unknown"),
        ("", SHOP, "token-unknown"),
    ] {
        turned_away(&house, token, origin, code).await;
    }
    drop(first);
    house.close().await;
}

#[tokio::test]
async fn the_first_message_must_be_a_good_hello() {
    let house = House::plain().await;
    let mut second = hello(&house.token("support").await);
    second["v"] = json!(2);
    let mut without = hello("00");
    without.as_object_mut().unwrap().remove("offer");
    for (first, code) in [
        (second.to_string(), "version-unsupported"),
        (without.to_string(), "message-invalid"),
        (json!({"type": "ping"}).to_string(), "hello-expected"),
        (json!({"type": "bye"}).to_string(), "hello-expected"),
        (json!({"type": "dial", "number": "+33899000000"}).to_string(), "message-unknown"),
        ("[".repeat(60_000), "message-shape"),
        ("hello".to_owned(), "message-invalid"),
    ] {
        let mut page = house.visitor().await;
        page.send(Message::text(first)).await;
        let sentence = page.expect_code("error", code).await;
        assert_eq!(sentence, crate::sentence(code, crate::Lang::En));
        page.expect_close(1008).await;
    }
    house.close().await;
}

#[tokio::test]
async fn a_socket_without_a_hello_is_closed() {
    let house = House::open(|config| config.limits.hello_limit = Duration::from_millis(100)).await;
    let mut page = house.visitor().await;
    page.expect_code("error", "hello-late").await;
    page.expect_close(1008).await;
    house.close().await;
}

#[tokio::test]
async fn the_handshake_wants_the_subprotocol_and_a_websocket() {
    let house = House::plain().await;
    assert_eq!(house.socket("/v1/talk", &[("origin", SHOP)]).await.err(), Some(400));
    let other = [("origin", SHOP), ("sec-websocket-protocol", "passerelle.v2, sip")];
    assert_eq!(house.socket("/v1/talk", &other).await.err(), Some(400));
    let reply = house.ask("GET", "/v1/talk", &[("origin", SHOP)], "").await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "websocket-expected"));
    let both = [("origin", SHOP), ("sec-websocket-protocol", "passerelle.v2, passerelle.v1")];
    assert!(house.socket("/v1/talk", &both).await.is_ok());
    house.close().await;
}

#[tokio::test]
async fn a_refused_call_says_why_in_the_visitors_language() {
    let house = House::plain().await;
    let mut page = house.visitor_of("nobody").await;
    let sentence = page.expect_code("error", "no-agent").await;
    assert_eq!(sentence, "Aucun conseiller n’est disponible pour le moment. Réessayez plus tard.");
    page.expect_close(1008).await;
    house.close().await;
}

#[tokio::test]
async fn a_fault_in_the_gateway_is_a_sentence_not_a_silence() {
    let house = House::plain().await;
    let mut page = house.visitor_of("broken").await;
    page.expect_code("error", "bug").await;
    page.expect_close(1008).await;

    let (mut page, call) = begun(&house).await;
    drop(call);
    page.expect_code("ended", "bug").await;
    page.expect_close(1011).await;
    house.close().await;
}

#[tokio::test]
async fn a_call_that_does_not_start_is_given_up_and_a_page_that_leaves_is_noticed() {
    let house = House::open(|config| config.limits.request_limit = Duration::from_millis(300)).await;
    let mut page = house.visitor_of("endless").await;
    page.expect_code("error", "timeout").await;
    page.expect_close(1008).await;
    house.close().await;

    let house = House::open(|config| config.limits.request_limit = PATIENCE * 2).await;
    let page = house.visitor_of("endless").await;
    drop(page);
    house.counted(WebCounter::SocketClosed(Door::Talk), 1).await;
    house.close().await;
}

#[tokio::test]
async fn what_a_page_says_before_the_answer_is_kept_for_the_call() {
    let house = House::plain().await;
    let token = house.token("slow").await;
    let mut page = house.visitor().await;
    page.say(hello(&token)).await;
    page.say(json!({"type": "mute", "on": true})).await;
    page.say(json!({"type": "bye"})).await;
    let mut call = house.fake.next_call().await;
    page.expect(json!({"type": "answer", "call": "c0ffee", "sdp": "v=0 answer"})).await;
    assert_eq!(asked(&mut call).await, Some(VisitorRequest::Mute(true)));
    assert_eq!(asked(&mut call).await, Some(VisitorRequest::Bye));
    drop((page, call));
    house.close().await;
}

#[tokio::test]
async fn a_bye_that_nobody_confirms_ends_all_the_same() {
    let house = House::open(|config| config.limits.bye_limit = Duration::from_millis(100)).await;
    let (mut page, mut call) = begun(&house).await;
    page.say(json!({"type": "bye"})).await;
    assert_eq!(asked(&mut call).await, Some(VisitorRequest::Bye));
    page.expect_code("ended", "bug").await;
    page.expect_close(1011).await;
    house.close().await;
}

#[tokio::test]
async fn a_large_message_closes_the_socket() {
    let house = House::plain().await;
    for bytes in [65_537, 1_000_000, 8_000_000] {
        let (page, mut call) = begun(&house).await;
        let (mut sink, mut stream) = futures_util::StreamExt::split(page.socket);
        let large = Message::text("x".repeat(bytes));
        // The edge stops reading, so sending may never end: the page listens at the same time, as browsers do.
        let sending = tokio::spawn(async move { futures_util::SinkExt::send(&mut sink, large).await.is_ok() });
        let mut said = Vec::new();
        while let Some(Ok(message)) = timeout(PATIENCE, futures_util::StreamExt::next(&mut stream)).await.unwrap() {
            said.push(message);
        }
        sending.abort();
        let Some(Message::Text(text)) = said.first() else { panic!("{bytes}: nothing was said: {said:?}") };
        assert_eq!(serde_json::from_str::<Value>(text).unwrap()["code"], "too-big");
        let Some(Message::Close(Some(frame))) = said.get(1) else { panic!("{bytes}: no close frame: {said:?}") };
        assert_eq!(u16::from(frame.code), 1009);
        assert_eq!(asked(&mut call).await, None, "the call knows that its page is gone");
    }
    let (mut page, mut call) = begun(&house).await;
    let fits = json!({"type": "page", "url": "https://shop.fr/", "title": "x".repeat(65_000)});
    page.say(fits).await;
    assert!(matches!(asked(&mut call).await, Some(VisitorRequest::Page { .. })), "64 kB are allowed");
    drop(page);
    house.close().await;
}

#[tokio::test]
async fn a_message_in_endless_pieces_is_bounded_too() {
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };
    let house = House::plain().await;
    let (mut page, mut call) = begun(&house).await;
    for piece in 0..10 {
        let opcode = if piece == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(vec![b' '; 10_000], OpCode::Data(opcode), false);
        if futures_util::SinkExt::send(&mut page.socket, Message::Frame(frame)).await.is_err() {
            break;
        }
    }
    page.expect_code("error", "too-big").await;
    page.expect_close(1009).await;
    assert_eq!(asked(&mut call).await, None);
    house.close().await;
}

#[tokio::test]
async fn a_flood_closes_the_socket_whatever_it_is_made_of() {
    let house = House::plain().await;
    for message in [Message::text(r#"{"type":"ping"}"#), Message::text("rubbish"), Message::Ping(Bytes::new())] {
        let (mut page, mut call) = begun(&house).await;
        for _ in 0..200 {
            // The edge may have closed already.
            if futures_util::SinkExt::send(&mut page.socket, message.clone()).await.is_err() {
                break;
            }
        }
        let mut last = page.hear().await;
        while !matches!(&last, Said::Json(json) if json["code"] == "too-many-messages") {
            assert!(matches!(last, Said::Json(_)), "{message:?}: {last:?}");
            last = page.hear().await;
        }
        page.expect_close(1008).await;
        assert_eq!(asked(&mut call).await, None);
    }
    house.counted(WebCounter::Refused(Door::Talk, "too-many-messages"), 3).await;
    house.close().await;
}

#[tokio::test]
async fn binary_messages_and_broken_text_are_refused() {
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };
    let house = House::plain().await;
    let broken = Message::Frame(Frame::message(vec![0xc3, 0x28], OpCode::Data(Data::Text), true));
    for message in [Message::binary(vec![1, 2, 3]), broken] {
        let (mut page, mut call) = begun(&house).await;
        page.send(message).await;
        page.expect_code("error", "text-only").await;
        page.expect_close(1003).await;
        assert_eq!(asked(&mut call).await, None);
    }
    house.close().await;
}

#[tokio::test]
async fn rubbish_during_a_call_does_not_cost_the_call() {
    let house =
        House::open(|config| (config.limits.messages_per_s, config.limits.message_burst) = (9_999, 9_999)).await;
    let seed = 20_260_117;
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut page, mut call) = begun(&house).await;
    for _ in 0..500 {
        let text: String = (0..rng.random_range(0..200)).map(|_| rng.random_range('\0'..'\u{200}')).collect();
        page.send(Message::text(text)).await;
        page.expect_code("error", "message-invalid").await;
    }
    page.say(json!({"type": "hello", "v": 1})).await;
    page.expect_code("error", "message-invalid").await;
    page.say(hello("00")).await;
    page.expect_code("error", "hello-again").await;
    page.say(json!({"type": "digits", "digits": "0800 123"})).await;
    page.expect_code("error", "digits-invalid").await;
    page.say(json!({"type": "digits", "digits": "1"})).await;
    assert_eq!(asked(&mut call).await, Some(VisitorRequest::Digits("1".into())));
    drop(page);
    house.close().await;
}

#[tokio::test]
async fn a_lost_socket_is_a_dropped_sender() {
    let house = House::plain().await;
    let (page, mut call) = begun(&house).await;
    drop(page);
    assert_eq!(asked(&mut call).await, None, "cut without a word");

    let (mut page, mut call) = begun(&house).await;
    page.socket.close(None).await.unwrap();
    assert_eq!(asked(&mut call).await, None, "closed in order");
    house.close().await;
}

#[tokio::test]
async fn a_dead_socket_is_noticed_and_a_quiet_one_is_not() {
    let house = House::open(|config| {
        config.limits.ping_every = Duration::from_millis(50);
        config.limits.silence_limit = Duration::from_millis(1_000);
    })
    .await;
    // A client that is never polled answers no ping: like a laptop lid closed.
    let (dead, mut call) = begun(&house).await;
    let started = tokio::time::Instant::now();
    assert_eq!(asked(&mut call).await, None);
    assert!(started.elapsed() >= Duration::from_millis(800));
    house.counted(WebCounter::Refused(Door::Talk, "socket-lost"), 1).await;
    drop(dead);

    // One that says nothing but lives: its client answers pings while it waits.
    let (mut quiet, mut call) = begun(&house).await;
    let nothing = timeout(Duration::from_millis(3_000), quiet.hear()).await;
    assert!(nothing.is_err(), "three times the limit passed: {nothing:?}");
    assert!(call.requests.try_recv().is_err_and(|error| error == tokio::sync::mpsc::error::TryRecvError::Empty));
    drop(quiet);
    house.close().await;
}

#[test]
fn the_default_limits_notice_a_dead_socket_within_thirty_seconds() {
    let limits = WebLimits::default();
    assert!(limits.silence_limit <= Duration::from_secs(30) && limits.ping_every * 2 < limits.silence_limit);
}

#[tokio::test]
async fn a_page_that_does_not_read_is_let_go() {
    let house = House::open(|config| config.limits.send_limit = Duration::from_millis(200)).await;
    let (page, call) = begun(&house).await;
    let large = "x".repeat(60_000);
    let filled = async { while call.updates.send(VisitorUpdate::Reanswer(large.clone())).await.is_ok() {} };
    timeout(PATIENCE, filled).await.expect("the edge kept everything");
    house.counted(WebCounter::Refused(Door::Talk, "slow-reader"), 1).await;
    drop(page);
    house.close().await;
}

#[tokio::test]
async fn a_call_that_takes_nothing_is_given_up() {
    let house = House::open(|config| config.limits.send_limit = Duration::from_millis(200)).await;
    let (mut page, call) = begun(&house).await;
    for _ in 0..8 {
        page.say(json!({"type": "mute", "on": true})).await;
    }
    page.expect_code("ended", "bug").await;
    page.expect_close(1011).await;
    drop(call);
    house.close().await;
}

#[tokio::test]
async fn strangers_are_bounded_per_address_and_callers_are_not_strangers() {
    let house = House::open(|config| config.limits.strangers_per_source = 2).await;
    let (page, call) = begun(&house).await;
    let (first, second) = (house.visitor().await, house.visitor().await);
    let headers = [("origin", SHOP), ("sec-websocket-protocol", "passerelle.v1")];
    assert_eq!(house.socket("/v1/talk", &headers).await.err(), Some(429));
    let elsewhere = [headers[0], headers[1], ("x-forwarded-for", "192.0.2.7")];
    assert!(house.socket("/v1/talk", &elsewhere).await.is_ok());
    assert_eq!(house.fake.count_of(WebCounter::Refused(Door::Talk, "too-many-sockets")), 1);
    drop((first, second, page, call));
    house.close().await;
}

#[tokio::test]
async fn sockets_are_bounded_in_all() {
    let house = House::open(|config| config.limits.sockets = 2).await;
    let (first, second) = (house.visitor().await, house.visitor().await);
    let headers = [("origin", SHOP), ("sec-websocket-protocol", "passerelle.v1")];
    assert_eq!(house.socket("/v1/talk", &headers).await.err(), Some(503));
    drop((first, second));
    house.counted(WebCounter::SocketClosed(Door::Talk), 2).await;
    assert!(house.socket("/v1/talk", &headers).await.is_ok());
    house.close().await;
}
