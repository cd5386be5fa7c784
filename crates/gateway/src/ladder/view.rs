//! Ladders in the words of the API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use sip::endpoint::Transport;
use web::{LadderCard, LadderLeg, LadderList, LadderMessage, LadderQuery, LadderRow, LadderView};

use super::book::{Book, Ladder, Message, Row, What};
use super::message;

/// Peers named in one line of the list.
const PEERS_MAX: usize = 8;
/// The event that says how a call ended.
pub(crate) const ENDED: &str = "call-ended";

pub(super) fn list(book: &Book, query: LadderQuery, lost: u64) -> LadderList {
    LadderList {
        ladders: book.newest(query.all).take(query.limit).map(card).collect(),
        bytes: u64::try_from(book.bytes()).unwrap_or(u64::MAX),
        dropped_ladders: book.dropped.old + book.dropped.room,
        dropped_lines: book.dropped.rows,
        lost,
    }
}

pub(super) fn ladder(ladder: &Ladder) -> LadderView {
    LadderView {
        call: ladder.call.map(|call| call.to_string()),
        legs: ladder
            .legs
            .iter()
            .map(|leg| LadderLeg { call_id: leg.call_id.clone(), leg: leg.leg.map(|leg| leg.0), who: leg.who.clone() })
            .collect(),
        rows: ladder.in_order().into_iter().map(row).collect(),
        dropped_lines: ladder.dropped_rows,
    }
}

pub(super) fn refused(book: &Book) -> LadderView {
    LadderView { rows: book.refused_rows().map(row).collect(), ..LadderView::default() }
}

fn card(ladder: &Ladder) -> LadderCard {
    let rows = ladder.in_order();
    let messages = || rows.iter().filter_map(|row| row.message());
    let mut peers: Vec<String> = ladder.legs.iter().filter_map(|leg| leg.who.clone()).collect();
    if peers.is_empty() {
        peers.extend(messages().map(|message| message.remote.to_string()));
    }
    let mut known = Vec::new();
    peers.retain(|peer| {
        let is_new = !known.contains(peer);
        known.push(peer.clone());
        is_new
    });
    peers.truncate(PEERS_MAX);
    LadderCard {
        call: ladder.call.map(|call| call.to_string()),
        call_ids: ladder.legs.iter().map(|leg| leg.call_id.clone()).collect(),
        began: time(rows.first().map_or(0, |row| row.at_us)),
        last: time(ladder.last_us),
        peers,
        first: rows.first().map_or_else(String::new, |row| match &row.what {
            What::Message(message) => message.read.label.clone(),
            What::Event(event) => event.words.clone(),
        }),
        outcome: outcome(&rows),
        messages: u64::try_from(messages().count()).unwrap_or(u64::MAX),
    }
}

/// How the call ended; else the last that is decided of an INVITE.
fn outcome(rows: &[&Row]) -> Option<String> {
    let ended = rows.iter().rev().find_map(|row| match &row.what {
        What::Event(event) if event.code == ENDED => Some(event.words.clone()),
        What::Event(_) | What::Message(_) => None,
    });
    let is_of_invite = |message: &&Message| message.read.cseq.as_ref().is_some_and(|cseq| cseq.ends_with("INVITE"));
    let answers = rows.iter().rev().filter_map(|row| row.message()).filter(is_of_invite);
    ended.or_else(|| answers.map(|message| message.read.label.clone()).find(|label| message::is_final(label)))
}

fn row(row: &Row) -> LadderRow {
    let blank = LadderRow {
        at: time(row.at_us),
        message: None,
        event: None,
        words: None,
        leg: None,
        who: None,
        refused: row.refused.clone(),
    };
    match &row.what {
        What::Event(event) => LadderRow {
            event: Some(event.code),
            words: Some(event.words.clone()),
            leg: event.leg.map(|leg| leg.0),
            who: event.who.clone(),
            ..blank
        },
        What::Message(message) => LadderRow { message: Some(told(row, message)), ..blank },
    }
}

fn told(row: &Row, message: &Message) -> LadderMessage {
    let text = std::str::from_utf8(&message.bytes);
    LadderMessage {
        sent: message.sent,
        transport: match message.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        },
        local: message.local.to_string(),
        remote: message.remote.to_string(),
        label: message.read.label.clone(),
        call_id: message.read.call_id.clone(),
        cseq: message.read.cseq.clone(),
        sdp: message.read.sdp.clone(),
        again: row.again_us.iter().map(|at_us| time(*at_us)).collect(),
        repeats: row.repeats,
        base64: text.is_err().then(|| BASE64.encode(&message.bytes)),
        text: text.map_or_else(|_| String::from_utf8_lossy(&message.bytes).into_owned(), str::to_owned),
    }
}

fn time(at_us: u64) -> String {
    let at = i64::try_from(at_us).ok().and_then(|at_us| Timestamp::from_microsecond(at_us).ok());
    // Of one length, so that they sort as text.
    format!("{:.6}", at.unwrap_or_default())
}
