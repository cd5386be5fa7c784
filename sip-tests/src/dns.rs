//! A small authoritative DNS server: a zone that a test writes, changes and lets refuse.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One record.
#[derive(Clone, Debug)]
pub enum Record {
    /// IPv4 or IPv6.
    Address(IpAddr),
    /// Priority, weight, port, target.
    Srv(u16, u16, u16, String),
    /// Order, preference, flags, service, replacement.
    Naptr(u16, u16, String, String, String),
}

#[derive(Default)]
struct Zone {
    records: Vec<(String, Record)>,
    ttl_s: u32,
    refuses: bool,
    questions: Vec<String>,
}

/// A running server.
pub struct DnsServer {
    zone: Arc<Mutex<Zone>>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl DnsServer {
    /// Starts one over UDP; it refuses everything until a zone is written.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn start(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        let zone = Arc::new(Mutex::new(Zone { refuses: true, ..Zone::default() }));
        let served = Arc::clone(&zone);
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        std::thread::spawn(move || {
            let mut buffer = [0_u8; 1_500];
            // Until the test has let go of it.
            while Arc::strong_count(&served) > 1 {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let mut zone = served.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(answer) = buffer.get(..length).and_then(|query| answer(query, &mut zone)) {
                    let _asker_gone = socket.send_to(&answer, from);
                }
            }
        });
        Ok(Self { zone, address })
    }

    /// The zone from now on, every record with this time to live.
    pub fn serve(&self, ttl_s: u32, records: &[(&str, Record)]) {
        let mut zone = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
        zone.records = records.iter().map(|(name, record)| ((*name).to_owned(), record.clone())).collect();
        (zone.ttl_s, zone.refuses) = (ttl_s, false);
    }

    /// Answers REFUSED from now on.
    pub fn refuse(&self) {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).refuses = true;
    }

    /// The names asked for so far, each time.
    #[must_use]
    pub fn questions(&self) -> Vec<String> {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).questions.clone()
    }
}

/// RFC 1035 §4. `None`: not a query this reads.
fn answer(query: &[u8], zone: &mut Zone) -> Option<Vec<u8>> {
    let mut name = String::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    let question = query.get(12..at + 4)?;
    zone.questions.push(name.clone());
    let data: Vec<Vec<u8>> = if zone.refuses {
        Vec::new()
    } else {
        zone.records.iter().filter(|(of, _)| *of == name).filter_map(|(_, record)| encode(record, kind)).collect()
    };
    let known = zone.records.iter().any(|(of, _)| *of == name || of.ends_with(&format!(".{name}")));
    let code: u8 = match (zone.refuses, known) {
        (true, _) => 5,
        (false, true) => 0,
        (false, false) => 3,
    };
    let mut out = query.get(..2)?.to_vec();
    // An answer, authoritative; recursion as it was wished.
    out.extend([0x84 | (query.get(2)? & 1), code, 0, 1]);
    out.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
    out.extend([0, 0, 0, 0]);
    out.extend(question);
    for one in data {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1]);
        out.extend(zone.ttl_s.to_be_bytes());
        out.extend(u16::try_from(one.len()).ok()?.to_be_bytes());
        out.extend(one);
    }
    Some(out)
}

fn encode(record: &Record, kind: u16) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    match (record, kind) {
        (Record::Address(IpAddr::V4(ip)), 1) => data.extend(ip.octets()),
        (Record::Address(IpAddr::V6(ip)), 28) => data.extend(ip.octets()),
        (Record::Srv(priority, weight, port, target), 33) => {
            for number in [priority, weight, port] {
                data.extend(number.to_be_bytes());
            }
            put_name(&mut data, target);
        }
        (Record::Naptr(order, preference, flags, service, replacement), 35) => {
            data.extend(order.to_be_bytes());
            data.extend(preference.to_be_bytes());
            for text in [flags.as_str(), service.as_str(), ""] {
                data.push(u8::try_from(text.len()).ok()?);
                data.extend(text.as_bytes());
            }
            put_name(&mut data, replacement);
        }
        (Record::Address(_) | Record::Srv(..) | Record::Naptr(..), _) => return None,
    }
    Some(data)
}

fn put_name(data: &mut Vec<u8>, name: &str) {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        data.push(u8::try_from(label.len()).unwrap_or(63));
        data.extend(label.as_bytes());
    }
    data.push(0);
}
