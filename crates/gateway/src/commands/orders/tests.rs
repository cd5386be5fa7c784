//! What is asked of the gateway, word for word, and how its answers are told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// A gateway that gives these answers one after the other; then what it was asked.
fn gateway(answers: &'static [&'static str]) -> (Remote, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = Remote::at(listener.local_addr().unwrap(), "0123456789abcdef");
    let server = std::thread::spawn(move || {
        let answered = answers.iter().map(|answer| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            let mut bytes = [0; 2_048];
            while !is_whole(&asked) {
                let length = stream.read(&mut bytes).unwrap();
                asked.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
            }
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        answered.collect()
    });
    (remote, server)
}

fn is_whole(asked: &str) -> bool {
    let Some((head, body)) = asked.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    body.len() >= length.parse().unwrap()
}

const ID: &str = "000000000000000000000000000000cb";
const PAGE: &str = "HTTP/1.1 200 OK\r\n\r\n{\"tenant\":\"shop\",\"queue\":\"advice\",\"touched\":2,\"left_alone\":1,\"next\":\"5.cb\"}";
const LAST: &str = "HTTP/1.1 200 OK\r\n\r\n{\"tenant\":\"shop\",\"queue\":\"advice\",\"touched\":3,\"left_alone\":0}";

fn queue(what: QueueOrder, yes: bool) -> Order {
    Order::Queue { queue: "shop/advice".to_owned(), what, yes }
}

#[test]
fn many_are_counted_before_they_are_touched() {
    let (remote, server) = gateway(&[PAGE, LAST]);
    let told = done(&remote, &queue(QueueOrder::Cancel, false), "").unwrap();
    assert!(
        told.starts_with("5 call-backs of queue shop/advice would be called off. 1 that are being called"),
        "{told}"
    );
    assert!(told.ends_with("say it again with --yes.\n"), "{told}");
    let asked = server.join().unwrap();
    assert!(asked.iter().all(|one| one.starts_with("POST /v1/queues/advice/cancel HTTP/1.1\r\n")), "{asked:?}");
    assert!(asked.iter().all(|one| one.contains("\"dry_run\":true") && one.contains("Bearer 0123456789abcdef")));
    assert!(asked[0].contains("\"from\":null") && asked[1].contains("\"from\":\"5.cb\""), "{asked:?}");
}

#[test]
fn what_is_meant_is_done_page_by_page() {
    let (remote, server) = gateway(&[PAGE, LAST]);
    let told = done(&remote, &queue(QueueOrder::Shift(15), true), "the line is down").unwrap();
    assert!(told.starts_with("5 call-backs of queue shop/advice are made 15 minutes later."), "{told}");
    let asked = server.join().unwrap();
    assert!(asked[1].contains("\"dry_run\":false") && asked[1].contains("\"minutes\":15"), "{asked:?}");
    let (remote, server) = gateway(&[LAST]);
    assert!(done(&remote, &queue(QueueOrder::Pause, false), "").unwrap().contains("is paused"));
    assert!(server.join().unwrap()[0].contains("\"dry_run\":false"), "a pause touches nobody's promise");
}

#[test]
fn one_is_called_off_and_moved_with_the_reason() {
    let (remote, server) = gateway(&["HTTP/1.1 200 OK\r\n\r\n{\"state\":\"cancelled\"}"]);
    let told = done(&remote, &Order::Cancel { id: ID.to_owned() }, "à la demande & co").unwrap();
    assert_eq!(told, format!("call-back {ID} is cancelled.\n"));
    let line = format!("DELETE /v1/callbacks/{ID}?note=%C3%A0+la+demande+%26+co HTTP/1.1");
    assert_eq!(server.join().unwrap()[0].lines().next(), Some(line.as_str()));
    let (remote, _server) = gateway(&[
        "HTTP/1.1 422 No\r\n\r\n{\"code\":\"hours_forbid\",\"sentence\":\"Nobody may be called at that time.\"}",
    ]);
    let (id, at, tz) = (ID.to_owned(), "2026-11-18T03:00".to_owned(), String::new());
    let refused = done(&remote, &Order::Move { id, at, tz }, "").unwrap_err();
    assert_eq!(refused, "passerelle: Nobody may be called at that time. (hours_forbid)\n");
    let wrong = Order::Cancel { id: "../queues".to_owned() };
    assert!(done(&remote, &wrong, "").unwrap_err().contains("is no call-back's id"));
}

#[test]
fn a_gateway_that_is_not_there_is_said() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = done(&Remote::at(gone, "0123456789abcdef"), &queue(QueueOrder::Resume, false), "").unwrap_err();
    assert!(refused.contains("does not answer") && refused.ends_with("Is it running?\n"), "{refused}");
}
