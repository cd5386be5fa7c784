//! Addresses and ports: listeners, public addresses, the port ranges, and whether they get in each other's way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use toml::Spanned;

use super::{Checker, SecretKeys, text};
use crate::config::checked::{Http, Limits, Media, Secret, Sip, Transport};
use crate::config::file::{self, File};
use crate::config::problem::Problem;

const HTTP_LISTEN: &str = "127.0.0.1:8080";
const SIP_LISTEN: [(Transport, &str); 2] = [(Transport::Udp, "0.0.0.0:5060"), (Transport::Tcp, "0.0.0.0:5060")];
const WEBRTC_LISTEN: &str = "0.0.0.0:3480";
/// A shorter token can be guessed.
const TOKEN_BYTES_MIN: usize = 16;
const RTP_PORTS: RangeInclusive<u16> = 20_000..=29_999;

impl Checker<'_> {
    pub(in crate::config) fn http(&mut self, http: &file::Http) -> Http {
        let listen = self.http_listen(http);
        let public_url = match &http.public_url {
            Some(key) => self.public_url(key),
            None => format!("http://{listen}"),
        };
        let proxies = http.trusted_proxies.iter().flat_map(|key| key.get_ref());
        let trusted_proxies = proxies.filter_map(|item| self.ip(item)).collect();
        Http { listen, public_url, trusted_proxies, admin_token: self.admin_token(http) }
    }

    pub(in crate::config) fn http_listen(&mut self, http: &file::Http) -> SocketAddr {
        match &http.listen {
            Some(key) => self.address(key, key.get_ref(), HTTP_LISTEN),
            None => constant(HTTP_LISTEN),
        }
    }

    pub(in crate::config) fn admin_token(&mut self, http: &file::Http) -> Option<Secret> {
        let (file, env) = (&http.admin_token_file, &http.admin_token_env);
        let token = self.secret(&SecretKeys { name: "admin_token", literal: &http.admin_token, file, env });
        if let (Some(secret), Some(key)) = (&token, file.as_ref().or(env.as_ref()))
            && secret.expose().len() < TOKEN_BYTES_MIN
        {
            let message = format!("the administrator's token has fewer than {TOKEN_BYTES_MIN} bytes");
            self.error(key, &message, "make one with: openssl rand -hex 32");
        }
        token
    }

    /// Scheme and host, no path: the widget's modules and sockets are found from here.
    fn public_url(&mut self, key: &Spanned<String>) -> String {
        match super::people::origin(key.get_ref()) {
            Ok(origin) => {
                self.secure(key, &origin, "the address of the pages");
                origin
            }
            Err((message, help)) => {
                self.error(key, &format!("not an address for browsers: {message}"), &help);
                String::new()
            }
        }
    }

    pub(super) fn sip(&mut self, sip: &file::Sip) -> Sip {
        let mut listen = Vec::new();
        match &sip.listen {
            None => listen.extend(SIP_LISTEN.map(|(transport, address)| (transport, constant(address)))),
            Some(key) if key.get_ref().is_empty() => {
                self.error(key, "no SIP listener", "write listen = [\"udp:0.0.0.0:5060\", \"tcp:0.0.0.0:5060\"]");
            }
            Some(key) => {
                for item in key.get_ref() {
                    let Some(one) = self.sip_listener(item) else { continue };
                    if listen.contains(&one) {
                        self.error(item, &format!("`{}` stands here twice", item.get_ref()), "leave one of them out");
                    } else {
                        listen.push(one);
                    }
                }
            }
        }
        let families: Vec<bool> = listen.iter().map(|(_, address)| address.is_ipv4()).collect();
        let public_ip = sip.public_ip.as_ref().and_then(|key| {
            let ip = self.public_ip(key)?;
            if !families.is_empty() && !families.contains(&ip.is_ipv4()) {
                self.error(
                    key,
                    "no SIP listener speaks this address's version of IP",
                    "give an address of the same version as `listen`",
                );
            }
            Some(ip)
        });
        let realm = text(&sip.realm, "passerelle");
        if let Some(key) = &sip.realm
            && (realm.is_empty()
                || realm.len() > 128
                || realm.contains(|c: char| c.is_control() || c == '"' || c == '\\'))
        {
            self.error(key, "not a realm", "write 1 to 128 characters without quotes, as \"voice.shop.example\"");
        }
        let digest_sha256 = sip.digest_sha256.as_ref().is_some_and(|key| *key.get_ref());
        let srtp = self.srtp(&sip.srtp);
        let tls = self.sip_tls(sip, listen.iter().any(|(transport, _)| *transport == Transport::Tls));
        let dns = sip.dns.iter().flat_map(|key| key.get_ref()).map(|item| self.dns_server(item)).collect();
        Sip {
            listen,
            public_ip,
            realm: realm.to_owned(),
            digest_sha256,
            srtp,
            tls,
            dns,
            calls_per_second_max: self.count(&sip.calls_per_second_max, "calls_per_second_max", 100, 1..=10_000),
            stranger_requests_max: self.count(&sip.stranger_requests_max, "stranger_requests_max", 100, 10..=100_000),
            stranger_ban: self.seconds(&sip.stranger_ban_s, "stranger_ban_s", 300, 60..=86_400),
        }
    }

    /// `127.0.0.1:53`, or without the port.
    fn dns_server(&mut self, key: &Spanned<String>) -> SocketAddr {
        match key.get_ref().parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, 53),
            Err(_) => self.address(key, key.get_ref(), "127.0.0.1:53"),
        }
    }

    /// `udp:0.0.0.0:5060`
    fn sip_listener(&mut self, item: &Spanned<String>) -> Option<(Transport, SocketAddr)> {
        let typed = item.get_ref();
        let (transport, address) = match typed.split_once(':') {
            Some(("udp", rest)) => (Transport::Udp, rest),
            Some(("tcp", rest)) => (Transport::Tcp, rest),
            Some(("tls", rest)) => (Transport::Tls, rest),
            Some((other @ ("ws" | "wss" | "sctp"), _)) => {
                self.error(item, &format!("SIP over {other} is not in this version"), "write udp:…, tcp:… or tls:…");
                return None;
            }
            Some(_) | None => {
                self.error(
                    item,
                    &format!("`{typed}` does not say how SIP travels"),
                    &format!("write \"udp:{typed}\" or \"tcp:{typed}\""),
                );
                return None;
            }
        };
        Some((transport, self.address(item, address, "0.0.0.0:5060")))
    }

    pub(super) fn media(&mut self, media: &file::Media, sip_public_ip: Option<IpAddr>) -> Media {
        let webrtc_listen = match &media.webrtc_listen {
            Some(key) => self.address(key, key.get_ref(), WEBRTC_LISTEN),
            None => constant(WEBRTC_LISTEN),
        };
        let workers = match &media.workers {
            Some(_) => self.count(&media.workers, "workers", 1, 1..=256),
            None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        };
        let last = usize::from(webrtc_listen.port()) + workers - 1;
        if webrtc_listen.port() != 0 && last > usize::from(u16::MAX) {
            let at = media.webrtc_listen.as_ref().map_or(0..0, Spanned::span);
            let message = format!("{workers} media workers need the ports up to {last}, and there is none above 65535");
            self.problems.push(Problem::error(at, message).help("choose a lower port"));
        }
        let rtp_ports = match &media.rtp_ports {
            Some(key) => self.rtp_ports(key).unwrap_or(RTP_PORTS),
            None => RTP_PORTS,
        };
        let rtp_address = media.rtp_address.as_ref().and_then(|key| {
            let ip = self.ip(key)?;
            if ip.is_unspecified() || ip.is_multicast() {
                self.error(
                    key,
                    &format!("`{ip}` is not an address of this machine"),
                    "leave the key out to use every address",
                );
                return None;
            }
            Some(ip)
        });
        let public_ip = match &media.public_ip {
            Some(key) => self.public_ip(key),
            None => sip_public_ip,
        };
        Media { webrtc_listen, public_ip, rtp_ports, rtp_address, workers }
    }

    /// `20000-29999`: RTP on the even port, RTCP on the odd one above it (RFC 3550 §11).
    fn rtp_ports(&mut self, key: &Spanned<String>) -> Option<RangeInclusive<u16>> {
        let typed = key.get_ref();
        let ends = typed.split_once('-').map(|(first, last)| (first.trim().parse::<u16>(), last.trim().parse::<u16>()));
        let Some((Ok(first), Ok(last))) = ends else {
            self.error(
                key,
                &format!("`{typed}` is not a range of ports"),
                "write first and last port, both below 65536: \"20000-29999\"",
            );
            return None;
        };
        if first == 0 || first >= last {
            self.error(key, &format!("`{typed}` holds no ports"), "the first port comes first: \"20000-29999\"");
            return None;
        }
        if first % 2 == 1 || last % 2 == 0 {
            let mend = format!(
                "\"{}-{}\"",
                u32::from(first) + u32::from(first % 2),
                u32::from(last) - u32::from(last % 2 == 0)
            );
            self.error(
                key,
                "RTP takes an even port and RTCP the odd one above it: start even and end odd",
                &format!("write {mend}"),
            );
            return None;
        }
        if u32::from(last) + 1 - u32::from(first) < 4 {
            self.error(
                key,
                "fewer than four ports carry not even one call between two phones",
                "give at least a hundred: \"20000-20199\"",
            );
            return None;
        }
        if first < 1_024 {
            self.problems
                .push(Problem::warning(key.span(), "ports below 1024 belong to other services").help("start at 20000"));
        }
        Some(first..=last)
    }

    /// Ports that two parts of the gateway would both take.
    pub(super) fn overlaps(&mut self, file: &File, http: &Http, sip: &Sip, media: &Media) {
        let webrtc_first = media.webrtc_listen.port();
        let workers = u16::try_from(media.workers).unwrap_or(u16::MAX);
        let webrtc = webrtc_first..=webrtc_first.saturating_add(workers - 1);
        let rtp_ip = media.rtp_address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let at_rtp = file.media.rtp_ports.as_ref().or(file.media.webrtc_listen.as_ref()).map_or(0..0, Spanned::span);
        if webrtc_first != 0
            && meet(media.webrtc_listen.ip(), rtp_ip)
            && webrtc.start() <= media.rtp_ports.end()
            && media.rtp_ports.start() <= webrtc.end()
        {
            let message = format!(
                "the browser legs' ports {}-{} (one a media worker) lie inside the RTP ports {}-{}",
                webrtc.start(),
                webrtc.end(),
                media.rtp_ports.start(),
                media.rtp_ports.end()
            );
            self.problems.push(Problem::error(at_rtp.clone(), message).help("move `webrtc_listen` or `rtp_ports`"));
        }
        for (index, (transport, address)) in sip.listen.iter().enumerate() {
            let item = file.sip.listen.as_ref().and_then(|key| key.get_ref().get(index));
            let at = item.map_or_else(|| at_rtp.clone(), Spanned::span);
            let port = address.port();
            let clash = match transport {
                Transport::Udp if meet(address.ip(), media.webrtc_listen.ip()) && webrtc.contains(&port) => {
                    Some("the browser legs")
                }
                Transport::Udp if meet(address.ip(), rtp_ip) && media.rtp_ports.contains(&port) => Some("RTP"),
                Transport::Tcp | Transport::Tls
                    if meet(address.ip(), http.listen.ip()) && port == http.listen.port() =>
                {
                    Some("HTTP")
                }
                Transport::Udp | Transport::Tcp | Transport::Tls => None,
            };
            if let Some(other) = clash.filter(|_| port != 0) {
                self.problems.push(
                    Problem::error(at, format!("{transport} port {port} is wanted by SIP and by {other}"))
                        .help("move one of them"),
                );
            }
        }
    }

    /// Whether every allowed call finds a pair of ports.
    pub(super) fn room_for_calls(&mut self, file: &File, media: &Media, limits: &Limits) {
        let pairs = (usize::from(*media.rtp_ports.end()) + 1 - usize::from(*media.rtp_ports.start())) / 2;
        if let Some(key) = &file.media.rtp_ports
            && pairs < limits.calls_max
        {
            let message =
                format!("the range holds {pairs} SIP legs, and {} calls are allowed at once", limits.calls_max);
            let problem = Problem::warning(key.span(), message);
            self.problems.push(
                problem.help(format!("widen it to {} ports, or set limits.calls_max = {pairs}", limits.calls_max * 2)),
            );
        }
    }

    /// An address and a port.
    fn address<T>(&mut self, key: &Spanned<T>, typed: &str, example: &str) -> SocketAddr {
        match typed.parse::<SocketAddr>() {
            Ok(address) => {
                if address.port() == 0 {
                    let problem = Problem::warning(key.span(), "port 0 takes any free port, another at each start");
                    self.problems.push(problem.help("choose one, so that phones, pages and the firewall find it"));
                }
                address
            }
            Err(_) => {
                let help = match typed.parse::<IpAddr>() {
                    Ok(IpAddr::V4(ip)) => format!("add the port: \"{ip}:{}\"", constant(example).port()),
                    Ok(IpAddr::V6(ip)) => {
                        format!("put the address in brackets and add the port: \"[{ip}]:{}\"", constant(example).port())
                    }
                    Err(_) if typed.starts_with("localhost:") => typed.replacen("localhost", "write 127.0.0.1", 1),
                    Err(_) if typed.starts_with(':') => format!("say which address: \"0.0.0.0{typed}\" for all"),
                    Err(_) => format!("write the number of the address and a port: \"{example}\""),
                };
                self.error(key, &format!("`{typed}` is not an address with a port"), &help);
                constant(example)
            }
        }
    }

    pub(super) fn ip(&mut self, key: &Spanned<String>) -> Option<IpAddr> {
        let typed = key.get_ref();
        let ip = typed.parse::<IpAddr>().ok();
        if ip.is_none() {
            let help = match typed.parse::<SocketAddr>() {
                Ok(address) => format!("without the port: \"{}\"", address.ip()),
                Err(_) => "write the number, as \"10.0.0.5\"; a name can change under a running call".to_owned(),
            };
            self.error(key, &format!("`{typed}` is not an IP address"), &help);
        }
        ip
    }

    /// The address the other side is told to send to.
    fn public_ip(&mut self, key: &Spanned<String>) -> Option<IpAddr> {
        let ip = self.ip(key)?;
        if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
            self.error(
                key,
                &format!("nothing can be sent to `{ip}`"),
                "write the address the router or cloud gives this machine, or leave the key out",
            );
            return None;
        }
        if let Some(what) = not_routable(ip) {
            let problem = Problem::warning(key.span(), format!("`{ip}` is {what}"));
            self.problems.push(problem.help(
                "right when every peer is there too; else write the address seen from outside, or leave the key out",
            ));
        }
        Some(ip)
    }
}

/// What an address is that the Internet does not carry (RFC 6890).
fn not_routable(ip: IpAddr) -> Option<&'static str> {
    let v4 = |ip: Ipv4Addr| match ip.octets() {
        _ if ip.is_loopback() => Some("this machine itself"),
        _ if ip.is_private() => Some("a private address: only its own network reaches it"),
        [100, second, ..] if second & 0b1100_0000 == 64 => {
            Some("a provider's shared address: only its own network reaches it")
        }
        _ if ip.is_link_local() => Some("a link-local address: only its own cable reaches it"),
        _ if ip.is_documentation() => Some("an address for documentation: nobody has it"),
        _ => None,
    };
    let v6 = |ip: Ipv6Addr| match ip.segments() {
        _ if ip.is_loopback() => Some("this machine itself"),
        [first, ..] if first & 0xfe00 == 0xfc00 => Some("a private address: only its own network reaches it"),
        [first, ..] if first & 0xffc0 == 0xfe80 => Some("a link-local address: only its own cable reaches it"),
        [0x2001, 0x0db8, ..] => Some("an address for documentation: nobody has it"),
        _ => None,
    };
    match ip {
        IpAddr::V4(ip) => v4(ip),
        IpAddr::V6(ip) => v6(ip),
    }
}

/// Whether sockets on both addresses would meet on one port.
fn meet(a: IpAddr, b: IpAddr) -> bool {
    a == b || a.is_unspecified() || b.is_unspecified()
}

/// A built-in address; a test reads them all.
fn constant(address: &str) -> SocketAddr {
    address.parse().unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
}
