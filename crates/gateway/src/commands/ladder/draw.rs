//! A ladder drawn for a terminal: a lane for each participant, time downward, in plain ASCII.
//!
//! ```text
//!      ms  visitor                   passerelle                pbx
//!                                    192.0.2.1:5060            192.0.2.9:5060 udp
//!       0     |                         |---------INVITE--------->|
//!       2     |                         |<--------100 Trying------|
//!     840     *                         |                         |     visitor: connected: ICE and DTLS done
//! ```

use jiff::tz::TimeZone;
use serde_json::Value;

use super::{at_us, rows, text};
use crate::commands::harmless;
use crate::commands::listing::{cut, local};

/// From one lane to the next.
const LANE: usize = 26;
/// Before the first lane.
const MARGIN: usize = 12;
/// Lanes drawn; what more there is shares the last.
const LANES_MAX: usize = 8;

/// Who has a lane.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Lane {
    /// A leg that speaks no SIP: a page.
    Page(u64),
    Us,
    /// Where a leg's messages go: another target of the same trunk is another lane.
    Peer {
        remote: String,
        call_id: String,
    },
}

struct Drawing<'a> {
    view: &'a Value,
    lanes: Vec<(Lane, String, String)>,
    began_us: u64,
    told: String,
    /// The last session description of each direction of each leg.
    described: Vec<(String, bool, String)>,
}

/// The whole ladder.
pub(super) fn ladder(view: &Value, zone: &TimeZone) -> String {
    let began_us = rows(view).first().map_or(0, |row| at_us(&row["at"]));
    let told = head(view, began_us, zone);
    let mut drawing = Drawing { view, lanes: lanes(view), began_us, told, described: Vec::new() };
    drawing.names();
    for row in rows(view) {
        if row["message"].is_null() { drawing.event(row) } else { drawing.message(row) }
    }
    if let Some(dropped) = view["dropped_lines"].as_u64().filter(|dropped| *dropped > 0) {
        let more = format!("{dropped} lines were dropped from the middle: messages_max in [ladder] keeps more.\n");
        drawing.told.push_str(&more);
    }
    drawing.told
}

fn head(view: &Value, began_us: u64, zone: &TimeZone) -> String {
    let mut told = match view["call"].as_str() {
        Some(call) => format!("Call {call}"),
        None => "No call".to_owned(),
    };
    told.push_str(&format!(", from {}.{:03}\n", local(began_us / 1_000, zone), began_us / 1_000 % 1_000));
    for leg in view["legs"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let who = leg["who"].as_str().unwrap_or("a leg");
        told.push_str(&format!("{}: Call-ID {}\n", harmless(who), harmless(text(&leg["call_id"]))));
    }
    told.push('\n');
    told
}

fn lane_of(view: &Value, row: &Value) -> Lane {
    let message = &row["message"];
    if !message.is_null() {
        let (remote, call_id) = (text(&message["remote"]).to_owned(), text(&message["call_id"]).to_owned());
        return Lane::Peer { remote, call_id };
    }
    let Some(leg) = row["leg"].as_u64() else { return Lane::Us };
    let legs = view["legs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut own = legs.iter().filter(|known| known["leg"].as_u64() == Some(leg)).map(|known| text(&known["call_id"]));
    // An event of a leg that speaks SIP is drawn where its messages went last.
    let mut messages = rows(view).iter().rev().filter(|other| at_us(&other["at"]) <= at_us(&row["at"]));
    own.find_map(|call_id| messages.find(|other| text(&other["message"]["call_id"]) == call_id))
        .map_or(Lane::Page(leg), |other| lane_of(view, other))
}

/// Pages first, then we, then the SIP peers, each in the order in which they come.
fn lanes(view: &Value) -> Vec<(Lane, String, String)> {
    let mut pages: Vec<(Lane, String, String)> = Vec::new();
    let mut peers: Vec<(Lane, String, String)> = Vec::new();
    let mut ours = String::new();
    let legs = view["legs"].as_array().map(Vec::as_slice).unwrap_or_default();
    for row in rows(view) {
        let lane = lane_of(view, row);
        // A request too large for a datagram may have been tried by a stream first.
        let transport = text(&row["message"]["transport"]);
        if let Some((.., at)) = peers.iter_mut().find(|(known, _, at)| *known == lane && !at.contains(transport)) {
            at.push_str(&format!(" {transport}"));
        }
        if pages.iter().chain(&peers).any(|(known, ..)| *known == lane) {
            continue;
        }
        match &lane {
            Lane::Us => {}
            Lane::Page(_) => pages.push((lane, text(&row["who"]).to_owned(), "page".to_owned())),
            Lane::Peer { remote, call_id } => {
                let who = legs.iter().find(|leg| text(&leg["call_id"]) == call_id).and_then(|leg| leg["who"].as_str());
                let at = format!("{remote} {transport}");
                if ours.is_empty() {
                    text(&row["message"]["local"]).clone_into(&mut ours);
                }
                peers.push((lane.clone(), who.unwrap_or("peer").to_owned(), at));
            }
        }
    }
    // A leg that rang before its first message is no page.
    let spoke = |leg: u64| legs.iter().any(|known| known["leg"].as_u64() == Some(leg));
    pages.retain(|(lane, ..)| !matches!(lane, Lane::Page(leg) if spoke(*leg)));
    pages.push((Lane::Us, "passerelle".to_owned(), ours));
    pages.extend(peers);
    pages
}

impl Drawing<'_> {
    fn position(&self, lane: &Lane) -> usize {
        let ours = || self.lanes.iter().position(|(known, ..)| *known == Lane::Us);
        let at = self.lanes.iter().position(|(known, ..)| known == lane).or_else(ours).unwrap_or(0);
        MARGIN + at.min(LANES_MAX - 1) * LANE
    }

    fn names(&mut self) {
        for (label, name) in [("ms", 0), ("", 1)] {
            let mut line = format!("{label:>9}  ");
            for (_, who, at) in self.lanes.iter().take(LANES_MAX) {
                let name = if name == 0 { who } else { at };
                line.push_str(&format!("{:LANE$}", cut(&harmless(name), LANE - 1)));
            }
            self.told.push_str(line.trim_end());
            self.told.push('\n');
        }
    }

    /// The lanes, with nothing happening.
    fn blank(&self) -> Vec<char> {
        let lanes = self.lanes.len().min(LANES_MAX);
        let mut line = vec![' '; MARGIN + lanes.saturating_sub(1) * LANE + 1];
        for (lane, ..) in self.lanes.iter().take(LANES_MAX) {
            put(&mut line, self.position(lane), '|');
        }
        line
    }

    fn push(&mut self, at_us: Option<u64>, line: &[char], beside: &str) {
        let ms = at_us.map_or_else(String::new, |at| (at.saturating_sub(self.began_us) / 1_000).to_string());
        let drawn: String = line.iter().skip(9).collect();
        let beside = if beside.is_empty() { String::new() } else { format!("   {}", harmless(beside)) };
        self.told.push_str(format!("{ms:>9}{drawn}{beside}").trim_end());
        self.told.push('\n');
    }

    fn event(&mut self, row: &Value) {
        let mut line = self.blank();
        put(&mut line, self.position(&lane_of(self.view, row)), '*');
        let who = row["who"].as_str().map_or_else(String::new, |who| format!("{who}: "));
        let words = format!("{who}{}", text(&row["words"]));
        self.push(Some(at_us(&row["at"])), &line, &words);
    }

    fn message(&mut self, row: &Value) {
        let message = &row["message"];
        let sent = message["sent"] == true;
        let mut line = self.blank();
        let (ours, theirs) = (self.position(&Lane::Us), self.position(&lane_of(self.view, row)));
        let (left, right) = (ours.min(theirs), ours.max(theirs));
        for at in left + 1..right {
            put(&mut line, at, '-');
        }
        let to_the_right = sent == (theirs > ours);
        let (at, head) = if to_the_right { (right.saturating_sub(1), '>') } else { (left + 1, '<') };
        put(&mut line, at, head);
        let repeats = message["repeats"].as_u64().filter(|repeats| *repeats > 0);
        let again = repeats.map_or_else(String::new, |repeats| format!(" (x{})", repeats + 1));
        let room = LANE.saturating_sub(5 + again.len());
        let label = format!(" {}{again} ", cut(&harmless(text(&message["label"])), room));
        // In the gap beside the peer, wherever the arrow comes from.
        let near = if theirs > ours { theirs - LANE } else { theirs };
        let start = near + (LANE.saturating_sub(label.chars().count())) / 2;
        for (offset, c) in label.chars().enumerate() {
            put(&mut line, (start + offset).max(left + 2), c);
        }
        let refused = row["refused"].as_str().map_or_else(String::new, |why| format!("refused: {why}"));
        self.push(Some(at_us(&row["at"])), &line, &refused);
        self.description(message, sent);
    }

    /// A line for a session description that says something new.
    fn description(&mut self, message: &Value, sent: bool) {
        let Some(sdp) = message["sdp"].as_str() else { return };
        let call_id = text(&message["call_id"]).to_owned();
        let known = self.described.iter_mut().find(|(of, by_us, _)| *of == call_id && *by_us == sent);
        let is_new = match known {
            Some((.., before)) if before == sdp => false,
            Some((.., before)) => {
                sdp.clone_into(before);
                true
            }
            None => {
                self.described.push((call_id, sent, sdp.to_owned()));
                true
            }
        };
        if is_new {
            let whose = if sent { "our" } else { "their" };
            let line = self.blank();
            self.push(None, &line, &format!("{whose} SDP: {sdp}"));
        }
    }
}

fn put(line: &mut [char], at: usize, c: char) {
    if let Some(place) = line.get_mut(at) {
        *place = c;
    }
}
