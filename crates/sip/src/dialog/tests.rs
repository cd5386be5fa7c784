//! Routes, order and the way back behind NAT.

use super::*;
use crate::message::Message;
use crate::wire::{Limits, parse_datagram};

fn flow(remote: &str) -> Flow {
    Flow { transport: Transport::Udp, local: "198.51.100.1:5060".parse().unwrap(), remote: remote.parse().unwrap() }
}

fn invite() -> Request {
    let text = "INVITE sip:600@pbx.test SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKa\r\n\
        From: <sip:web@gw.test>;tag=ours\r\nTo: <sip:600@pbx.test>\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\n\
        Contact: <sip:web@198.51.100.1>\r\nContent-Length: 0\r\n\r\n";
    match parse_datagram(text.as_bytes(), &Limits::default()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => unreachable!("a request was written"),
    }
}

/// A dialog from a 200 with these extra headers.
fn dialog(extra: &[(&str, &str)], remote: &str) -> Dialog {
    let request = invite();
    let mut response = request.reply(200, "OK");
    response.set_to_tag("theirs");
    for (name, value) in extra {
        response.headers.push(HeaderName::parse(name), value);
    }
    Dialog::from_response(&request, &response, flow(remote), false).unwrap()
}

/// What a BYE looks like and where it goes.
fn check(extra: &[(&str, &str)], source: &str, uri: &str, routes: &[&str], hop: &str) {
    let mut dialog = dialog(extra, source);
    let bye = dialog.request(Method::Bye);
    assert_eq!(bye.uri.to_string(), uri, "Request-URI with {extra:?}");
    let have: Vec<&str> = bye.headers.all(&HeaderName::Route).collect();
    assert_eq!(have, routes, "routes with {extra:?}");
    assert_eq!(bye.cseq().unwrap().number, 8);
    assert_eq!(dialog.next_hop(&[]).remote.to_string(), hop, "next hop with {extra:?}");
}

#[test]
fn a_bye_goes_to_the_contact_of_the_200() {
    check(
        &[("Contact", "<sip:600@203.0.113.9:5080>")],
        "203.0.113.5:5060",
        "sip:600@203.0.113.9:5080",
        &[],
        "203.0.113.9:5080",
    );
}

#[test]
fn record_routes_are_reversed_and_the_first_is_the_next_hop() {
    check(
        &[("Contact", "<sip:600@10.0.0.9>"), ("Record-Route", "<sip:203.0.113.7;lr>, <sip:203.0.113.8:5070;lr>")],
        "203.0.113.8:5070",
        "sip:600@10.0.0.9",
        &["<sip:203.0.113.8:5070;lr>", "<sip:203.0.113.7;lr>"],
        "203.0.113.8:5070",
    );
}

#[test]
fn a_strict_router_gets_its_own_address_as_the_request_uri() {
    check(
        &[("Contact", "<sip:600@203.0.113.9>"), ("Record-Route", "<sip:203.0.113.7>")],
        "203.0.113.7:5060",
        "sip:203.0.113.7",
        &["<sip:600@203.0.113.9>"],
        "203.0.113.7:5060",
    );
}

#[test]
fn a_contact_that_leads_nowhere_is_reached_by_the_path_last_used() {
    for contact in [
        "<sip:x@192.168.1.20:5060>",
        "<sip:x@100.64.3.4>",
        "<sip:x@k3j4h5.invalid;transport=ws>",
        "<sip:x@0.0.0.0:5060>",
        "<sip:x@127.0.0.1>",
        "<tel:+33123456789>",
        "nonsense",
    ] {
        let dialog = dialog(&[("Contact", contact)], "203.0.113.5:40123");
        assert_eq!(dialog.next_hop(&[]).remote.to_string(), "203.0.113.5:40123", "{contact}");
    }
}

#[test]
fn a_private_contact_of_a_private_peer_is_used() {
    let dialog = dialog(&[("Contact", "<sip:x@10.0.0.9:5062>")], "10.0.0.5:5060");
    assert_eq!(dialog.next_hop(&[]).remote.to_string(), "10.0.0.9:5062");
}

#[test]
fn the_transport_of_a_contact_is_obeyed_where_we_have_it() {
    let tcp = Local { transport: Transport::Tcp, bound: "198.51.100.1:5060".parse().unwrap(), advertised: None };
    let dialog = dialog(&[("Contact", "<sip:x@203.0.113.9;transport=TCP>")], "203.0.113.5:5060");
    assert_eq!(dialog.next_hop(&[tcp]).transport, Transport::Tcp);
    assert_eq!(dialog.next_hop(&[]), flow("203.0.113.5:5060"));
}

#[test]
fn requests_out_of_order_are_told_apart() {
    let mut dialog = dialog(&[], "203.0.113.5:5060");
    let at = flow("203.0.113.6:5060");
    let mut request = invite();
    assert!(dialog.accept(&request, at), "the first sets the count");
    assert_eq!(dialog.flow, at);
    assert!(!dialog.accept(&request, at), "the same again");
    request.headers.set(HeaderName::CSeq, "6 INVITE");
    assert!(!dialog.accept(&request, at), "an older one");
    request.headers.set(HeaderName::CSeq, "9 INVITE");
    assert!(dialog.accept(&request, at), "gaps are allowed");
}

#[test]
fn a_dialog_by_tls_stays_on_its_connection_whatever_the_contact_says() {
    let mut dialog = dialog(&[("Contact", "<sip:x@203.0.113.9;transport=udp>")], "203.0.113.5:5061");
    dialog.flow.transport = Transport::Tls;
    let local = |transport| Local { transport, bound: dialog.flow.local, advertised: None };
    assert_eq!(dialog.next_hop(&Transport::ALL.map(local)), dialog.flow);
}
