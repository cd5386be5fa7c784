//! A ladder as a capture file: each message in an IP and a UDP header made up from its addresses, also where it went by a
//! stream, as Wireshark reads one message a packet best.
//!
//! ```text
//! file header 24 octets | per message: time, length ×2 (16 octets) | IPv4 20 or IPv6 40 | UDP 8 | message
//! ```
//! <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-03.html>, link type 101 (raw IP).

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::{at_us, rows, text};

/// Microseconds, in the order of octets that this program writes.
const MAGIC: u32 = 0xa1b2_c3d4;
const LINKTYPE_RAW: u32 = 101;
const PACKET_BYTES_MAX: u32 = 65_535 + 40;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

/// The file of a ladder, and how many packets are in it. A message that passed again is there again.
pub(super) fn of(view: &Value) -> (Vec<u8>, usize) {
    let mut packets: Vec<(u64, Vec<u8>)> = Vec::new();
    for row in rows(view) {
        let message = &row["message"];
        let ends = text(&message["local"]).parse().ok().zip(text(&message["remote"]).parse().ok());
        let Some((local, remote)) = ends else { continue };
        let (from, to) = if message["sent"] == true { (local, remote) } else { (remote, local) };
        let octets = message["base64"].as_str().and_then(|octets| BASE64.decode(octets).ok());
        let payload = octets.unwrap_or_else(|| text(&message["text"]).as_bytes().to_vec());
        let Some(packet) = packet(from, to, &payload) else { continue };
        let again = message["again"].as_array().map(Vec::as_slice).unwrap_or_default();
        packets.extend(std::iter::once(&row["at"]).chain(again).map(|at| (at_us(at), packet.clone())));
    }
    packets.sort_by_key(|(at_us, _)| *at_us);
    (file(&packets), packets.len())
}

fn file(packets: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&2_u16.to_le_bytes());
    out.extend_from_slice(&4_u16.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&PACKET_BYTES_MAX.to_le_bytes());
    out.extend_from_slice(&LINKTYPE_RAW.to_le_bytes());
    for (at_us, packet) in packets {
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(at_us / 1_000_000).unwrap_or(u32::MAX);
        let micros = u32::try_from(at_us % 1_000_000).unwrap_or(0);
        for word in [seconds, micros, length, length] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(packet);
    }
    out
}

/// IP and UDP around a message; what no packet holds is cut off. `None` between two versions of IP.
fn packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    let ip_header = if from.is_ipv4() { 20 } else { 0 };
    let payload = payload.get(..payload.len().min(65_535 - UDP_HEADER - ip_header))?;
    let udp_length = u16::try_from(payload.len() + UDP_HEADER).ok()?;
    let mut out = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = udp_length.checked_add(20)?;
            // RFC 791: version 4, five words, don't fragment, time to live 64.
            let mut header = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, UDP, 0, 0];
            header.get_mut(2..4)?.copy_from_slice(&total.to_be_bytes());
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
            let sum = checksum(&[&header]);
            header.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
            header
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            // RFC 8200: version 6, hop limit 64.
            let [high, low] = udp_length.to_be_bytes();
            let mut header = vec![0x60, 0, 0, 0, high, low, UDP, 64];
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
            header
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    };
    let addresses = out.get(if from.is_ipv4() { 12 } else { 8 }..)?.to_vec();
    let mut udp = [from.port(), to.port(), udp_length, 0].map(u16::to_be_bytes).concat();
    // RFC 768: over addresses, protocol and length too; a zero would mean that there is none.
    let pseudo = [&[0, UDP], udp_length.to_be_bytes().as_slice()].concat();
    let sum = match checksum(&[&addresses, &pseudo, &udp, payload]) {
        0 => 0xffff,
        sum => sum,
    };
    udp.get_mut(6..8)?.copy_from_slice(&sum.to_be_bytes());
    out.extend_from_slice(&udp);
    out.extend_from_slice(payload);
    Some(out)
}

/// RFC 1071. Each part but the last has an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u32 = 0;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        let word = [pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0)];
        sum += u32::from(u16::from_be_bytes(word));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum & 0xffff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_packet_is_as_the_rfcs_lay_it_out() {
        // By hand: 0x4500+0x001f+0x4000+0x4011+0xc000+0x0201+0xc000+0x0202 = 0x24933 -> 0x4935, its complement 0xb6ca.
        let v4 = packet("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5062".parse().unwrap(), b"abc").unwrap();
        assert_eq!(&v4[..20], b"\x45\0\0\x1f\0\0\x40\0\x40\x11\xb6\xca\xc0\0\x02\x01\xc0\0\x02\x02");
        assert_eq!(&v4[20..26], b"\x13\xc4\x13\xc6\0\x0b");
        assert_eq!(&v4[28..], b"abc");
        let v6 = packet("[2001:db8::1]:5060".parse().unwrap(), "[2001:db8::2]:5061".parse().unwrap(), b"abcd").unwrap();
        assert_eq!(&v6[..8], b"\x60\0\0\0\0\x0c\x11\x40");
        // A receiver sums everything and finds all ones: its complement is 0.
        for (packet, header, addresses) in [(&v4, 20, 12..20), (&v6, 40, 8..40)] {
            let length = u16::try_from(packet.len() - header).unwrap().to_be_bytes();
            assert_eq!(checksum(&[&packet[addresses], &[0, UDP], &length, &packet[header..]]), 0);
        }
        assert_eq!(checksum(&[&v4[..20]]), 0);
        assert_eq!(packet("192.0.2.1:1".parse().unwrap(), "[::1]:1".parse().unwrap(), b""), None);
        assert_eq!(
            packet("192.0.2.1:1".parse().unwrap(), "192.0.2.1:2".parse().unwrap(), &[1; 70_000]).unwrap().len(),
            65_535
        );
    }

    #[test]
    fn a_file_has_every_message_with_its_time_and_its_repetitions() {
        let message = |sent: bool, text: &str| {
            json!({"sent": sent, "local": "192.0.2.1:5060", "remote": "192.0.2.2:5060", "text": text,
                   "again": if sent { json!(["2026-11-18T10:00:02.5Z"]) } else { json!([]) }})
        };
        let view = json!({"rows": [
            {"at": "2026-11-18T10:00:01.000042Z", "message": message(true, "INVITE")},
            {"at": "2026-11-18T10:00:01.5Z", "event": "ringing"},
            {"at": "2026-11-18T10:00:02Z", "message": message(false, "SIP/2.0 100")},
        ]});
        let (octets, packets) = of(&view);
        assert_eq!(packets, 3);
        assert_eq!(&octets[..24], b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\x27\0\x01\0\x65\0\0\0");
        let mut found = Vec::new();
        let mut rest = &octets[24..];
        while !rest.is_empty() {
            let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let length = usize::try_from(word(8)).unwrap();
            assert_eq!(word(8), word(12));
            let packet = &rest[16..16 + length];
            found.push((word(0) % 60, word(4), packet[12..16] == [192, 0, 2, 1], packet[28..].to_vec()));
            rest = &rest[16 + length..];
        }
        let expected = [(1, 42, true, "INVITE"), (2, 0, false, "SIP/2.0 100"), (2, 500_000, true, "INVITE")];
        assert_eq!(found, expected.map(|(s, us, ours, text)| (s, us, ours, text.as_bytes().to_vec())));
    }
}
