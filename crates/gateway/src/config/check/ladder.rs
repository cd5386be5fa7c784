//! `[ladder]`: what is kept of the messages of a call, and where they are sent besides.

use std::time::Duration;

use toml::Spanned;

use super::{Checker, SecretKeys};
use crate::config::checked::{Hep, Ladder};
use crate::config::file;

impl Checker<'_> {
    pub(super) fn ladder(&mut self, ladder: &file::Ladder) -> Ladder {
        let megabytes = self.count(&ladder.memory_mb, "memory_mb", 32, 0..=4_096);
        let hours = self.number(&ladder.keep_hours, "keep_hours", 24, 1..=720);
        let hep = self.hep(ladder);
        if let (Some(key), Some(_), 0) = (&ladder.memory_mb, &hep, megabytes) {
            self.error(key, "without memory nothing is known of a call to send by HEP", "write memory_mb = 1 or more");
        }
        Ladder {
            bytes: megabytes << 20,
            keep: Duration::from_secs(hours.unsigned_abs() * 3_600),
            rows: self.count(&ladder.messages_max, "messages_max", 400, 20..=10_000),
            hep,
        }
    }

    fn hep(&mut self, ladder: &file::Ladder) -> Option<Hep> {
        let keys = SecretKeys {
            name: "hep_key",
            literal: &ladder.hep_key,
            file: &ladder.hep_key_file,
            env: &ladder.hep_key_env,
        };
        let key = self.secret(&keys);
        let id = u32::try_from(self.number(&ladder.hep_id, "hep_id", 1, 1..=i64::from(u32::MAX))).unwrap_or(1);
        let Some(address) = &ladder.hep else {
            let lost = ladder.hep_key_file.as_ref().or(ladder.hep_key_env.as_ref());
            if let Some(key) = lost {
                self.error(key, "there is no collector to show it to", "write hep = \"udp:homer.example:9060\"");
            }
            return None;
        };
        let (host, port) = self.collector(address)?;
        Some(Hep { host, port, id, key })
    }

    /// `udp:HOST:PORT`; an IPv6 address stands in brackets.
    fn collector(&mut self, key: &Spanned<String>) -> Option<(String, u16)> {
        let typed = key.get_ref();
        let place = typed.strip_prefix("udp:").and_then(|rest| rest.rsplit_once(':'));
        let found = place.and_then(|(host, port)| {
            let port = port.parse().ok().filter(|port: &u16| *port > 0)?;
            let host = match host.strip_prefix('[') {
                Some(inside) => inside.strip_suffix(']').filter(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok())?,
                None => host,
            };
            let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_');
            let is_host = host.contains(':') || (host.bytes().all(plain) && host.len() <= 253);
            (is_host && !host.is_empty()).then(|| (host.to_owned(), port))
        });
        if found.is_none() {
            self.error(key, &format!("`{typed}` is no collector"), "write \"udp:HOST:PORT\", as \"udp:10.0.0.9:9060\"");
        }
        found
    }
}
