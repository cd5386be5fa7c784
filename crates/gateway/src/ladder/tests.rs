//! The way from the tap to the view, with a recorder that runs.

use std::time::Duration;

use sip::endpoint::Transport;
use sip::wire::ParseReason;

use super::*;
use crate::config::checked;

fn config(bytes: usize) -> checked::Ladder {
    checked::Ladder { bytes, keep: Duration::from_secs(3_600), rows: 100, hep: None }
}

fn flow(transport: Transport) -> Flow {
    Flow { transport, local: ([0, 0, 0, 0], 5060).into(), remote: ([127, 0, 0, 9], 5062).into() }
}

const CALL: CallId = CallId::new(0xc0ffee);

fn text(method: &str, call_id: &str) -> Vec<u8> {
    format!("{method} sip:x SIP/2.0\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n")
        .into_bytes()
}

/// The ladder, once it has so many lines.
async fn shown(ladders: &Ladders, name: &str, rows: usize) -> LadderView {
    for _ in 0..1_000 {
        if let Ok(view) = ladders.show(name.to_owned()).await
            && view.rows.len() >= rows
        {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{name} has not {rows} lines: {:?}", ladders.show(name.to_owned()).await);
}

#[tokio::test]
async fn what_passes_is_on_the_ladder_with_its_secrets_blotted_out() {
    let (tap, ladders) = start(&config(1 << 20));
    let (udp, tcp) = (flow(Transport::Udp), flow(Transport::Tcp));
    tap.joins(CALL, LegId(1), "a".to_owned(), "pbx".to_owned());
    tap.sent(udp, &text("INVITE", "a"));
    tap.received(udp, b"\r\n\r\n");
    let challenged =
        b"SIP/2.0 407 x\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\nProxy-Authenticate: Digest nonce=\"n0nce\"\r\n\r\n";
    tap.received(udp, challenged);
    // By a stream it comes in pieces.
    let bye = text("BYE", "a");
    tap.received(tcp, &bye[..20]);
    tap.received(tcp, &bye[20..]);
    tap.sent(tcp, b"\r\n");
    let event = Event { code: "ringing", words: "rings".to_owned(), leg: Some(LegId(1)), who: Some("pbx".to_owned()) };
    tap.event(CALL, event);
    let view = shown(&ladders, &CALL.to_string(), 4).await;
    let labels: Vec<&str> =
        view.rows.iter().map(|row| row.message.as_ref().map_or("event", |message| message.label.as_str())).collect();
    assert_eq!(labels, ["INVITE", "407 x", "BYE", "event"]);
    let message = |at: usize| view.rows[at].message.as_ref().unwrap();
    assert!(message(1).text.contains("nonce=\"*****\""), "{}", message(1).text);
    assert_eq!((message(0).sent, message(1).sent, message(2).transport), (true, false, "tcp"));
    assert_eq!(message(0).local, "127.0.0.1:5060", "which of all our addresses faces the peer");
    assert_eq!(view.legs[0].who.as_deref(), Some("pbx"));
    let list = ladders.list(LadderQuery { limit: 10, all: false }).await.unwrap();
    assert_eq!((list.ladders.len(), list.ladders[0].outcome.as_deref()), (1, Some("407 x")));
}

#[tokio::test]
async fn the_refused_are_kept_with_the_message_they_are_about() {
    let (tap, ladders) = start(&config(1 << 20));
    let (udp, tcp) = (flow(Transport::Udp), flow(Transport::Tcp));
    tap.received(udp, &text("BYE", "gone"));
    tap.refused(udp, Refusal::NoDialog, true);
    tap.received(tcp, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    tap.refused(tcp, Refusal::Malformed(ParseReason::NotSip), true);
    tap.refused(tcp, Refusal::IdleConnection, false);
    // A phone's first REGISTER is challenged every time; an INVITE that is, is worth knowing.
    tap.received(udp, &text("REGISTER", "r"));
    tap.refused(udp, Refusal::Unauthenticated, true);
    tap.received(udp, &text("INVITE", "stranger"));
    tap.refused(udp, Refusal::Unauthenticated, true);
    shown(&ladders, "stranger", 1).await;
    let mut view = ladders.refused().await.unwrap();
    for _ in 0..1_000 {
        if view.rows.len() >= 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        view = ladders.refused().await.unwrap();
    }
    let told: Vec<(&str, &str)> = view
        .rows
        .iter()
        .map(|row| (row.message.as_ref().unwrap().label.as_str(), row.refused.as_deref().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("BYE", "no-dialog"),
            ("GET / HTTP/1.1", "malformed: not_sip"),
            ("connection", "idle-connection"),
            ("INVITE", "unauthenticated"),
        ]
    );
}

#[tokio::test]
async fn without_memory_nothing_is_kept_and_the_asker_is_told() {
    let (tap, ladders) = start(&config(0));
    tap.sent(flow(Transport::Udp), &text("INVITE", "a"));
    assert_eq!(ladders.show("a".to_owned()).await.unwrap_err(), web::refusal::LADDER_OFF);
}

#[tokio::test]
async fn who_is_behind_loses_notes_and_counts_them() {
    // Nobody reads: the recorder's task does not run while this one does not wait.
    let (tap, _ladders) = start(&config(1 << 20));
    let inlet = tap.0.clone().unwrap();
    let large = vec![b'x'; 60_000];
    for _ in 0..200 {
        tap.received(flow(Transport::Udp), &large);
    }
    let waiting = inlet.counts.waiting.load(Ordering::Relaxed);
    assert!(waiting <= WAITING_BYTES_MAX && waiting > WAITING_BYTES_MAX - 60_000);
    for _ in 0..NOTES_MAX {
        tap.closed(flow(Transport::Udp));
    }
    let kept = WAITING_BYTES_MAX / 60_000;
    assert_eq!(inlet.counts.lost.load(Ordering::Relaxed), u64::try_from(200 - kept + kept).unwrap());
}
