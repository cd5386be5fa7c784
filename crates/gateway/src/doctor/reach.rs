//! Whether each target of a trunk is there, who it is, how it sees us, and whether it lets us in.

use std::net::{IpAddr, SocketAddr};

use serde_json::json;
use sip::digest::Credentials;
use sip::endpoint::Transport;
use sip::message::{HeaderName, Method};
use sip::target::Candidate;
use sip::uri::Uri;
use sip::values::Contacts;

use super::exchange::{Asker, Heard, Line, Secured};
use super::report::{Finding, Verdict, Where};
use crate::config::checked::{Config, Trunk};
use crate::drive::sip::report::registration_mend;
use crate::net::tls::{self, Peer};

/// Bindings of an account that are shown.
const CONTACTS_MAX: usize = 8;
/// A certificate that ends sooner is told of.
const EXPIRES_SOON_DAYS: i64 = 14;

/// How the trunk is asked.
pub(super) struct Way<'a> {
    pub(super) config: &'a Config,
    pub(super) trunk: &'a Trunk,
    /// The address the gateway speaks from, where it is a single one.
    pub(super) local: Option<IpAddr>,
    pub(super) credentials: Option<Credentials>,
    pub(super) peer: Option<&'a Peer>,
}

/// Looks at one target; tells whether a call may be tried there.
pub(super) async fn look_at(way: &Way<'_>, at: Candidate) -> (bool, Vec<Finding>) {
    let mut findings = Vec::new();
    let shown = format!("{} by {}", at.address, at.transport);
    let mut line = match Line::open(at, way.local, way.peer).await {
        Ok(line) => line,
        Err(why) => {
            let step = if at.transport == Transport::Tls { "tls" } else { "options" };
            findings.push(
                Finding::new(step, Verdict::Bad, format!("{shown}: {why}"))
                    .mend(Where::Between, "check that the PBX runs, its port and transport, and the firewall between"),
            );
            return (false, findings);
        }
    };
    findings.extend(line.secured.as_ref().map(secured));
    let Ok(uri) = address(way.trunk, &at, None).parse::<Uri>() else { return (false, findings) };
    let mut asker = Asker::new(uri.clone(), uri.clone());
    let mut options = asker.request(Method::Options, uri);
    options.headers.push(HeaderName::Accept, "application/sdp");
    match line.ask(options).await {
        Err(why) => {
            findings.push(
                Finding::new("options", Verdict::Bad, format!("{shown}: {why}"))
                    .mend(Where::Between, "check the firewall between: the request may arrive and its answer not")
                    .mend(Where::Pbx, "a PBX that takes requests only from addresses it knows must know ours"),
            );
            return (false, findings);
        }
        Ok(heard) => {
            findings.push(answered(&shown, &heard));
            findings.push(nat(way.config, line.local(), &heard));
        }
    }
    if way.trunk.register || way.credentials.is_some() {
        findings.push(registration(way, &mut line, at).await);
    }
    (true, findings)
}

/// `sip:user@host`, as the gateway itself names this trunk.
fn address(trunk: &Trunk, at: &Candidate, user: Option<&str>) -> String {
    crate::drive::sip::trunks::trunk_uri(trunk, user, Some(at))
}

fn secured(secured: &Secured) -> Finding {
    let told = secured.chain.first().and_then(|first| tls::told(first));
    let lines = secured.chain.iter().filter_map(|one| tls::told(one)).map(|one| one.line);
    let said = format!("{} {}", secured.version, secured.suite);
    let left = told.as_ref().map(|told| told.days_left);
    let finding = match left {
        Some(days) if days < EXPIRES_SOON_DAYS => {
            Finding::new("tls", Verdict::Warning, format!("{said}; the certificate ends in {days} days"))
                .mend(Where::Pbx, "renew its certificate")
        }
        Some(_) | None => Finding::new("tls", Verdict::Ok, said),
    };
    finding.lines(lines).figures(json!({ "version": secured.version, "suite": secured.suite, "days_left": left }))
}

/// Any answer is a sign of life; what it says is told.
fn answered(shown: &str, heard: &Heard) -> Finding {
    let (response, ms) = (&heard.response, heard.after.as_secs_f64() * 1_000.0);
    let of = |name: &str| response.headers.get_str(name).unwrap_or_default();
    let who = [of("Server"), of("User-Agent")].into_iter().find(|text| !text.is_empty()).unwrap_or("no name");
    let said = format!("{shown} answers {} {} in {ms:.1} ms ({who})", response.status, response.phrase);
    let lines = ["Allow", "Supported"].into_iter().filter(|name| !of(name).is_empty());
    let lines: Vec<String> = lines.map(|name| format!("{name}: {}", of(name))).collect();
    let figures = json!({
        "at": shown, "status": response.status, "ms": ms, "copies": heard.copies, "server": who,
        "allow": of("Allow"), "supported": of("Supported"),
    });
    let finding =
        |verdict, said: String| Finding::new("options", verdict, said).lines(lines.clone()).figures(figures.clone());
    if let Some(source) = heard.elsewhere {
        return finding(Verdict::Warning, format!("{said}; the answer comes from {source}"))
            .mend(Where::Between, "a NAT or a second address answers: add it to accept_from of the trunk");
    }
    if heard.copies > 1 {
        return finding(Verdict::Warning, format!("{said}, to copy {} of the request", heard.copies))
            .mend(Where::Between, "packets are lost on the way");
    }
    match response.status {
        200..=299 => finding(Verdict::Ok, said),
        // Many a PBX asks for a password, or knows nobody by our name: it lives.
        401 | 404 | 405 | 407 | 480 | 488 => finding(Verdict::Ok, format!("{said}: it lives")),
        403 => finding(Verdict::Warning, said).mend(Where::Pbx, "it lives and does not let us in: allow this address"),
        503 => finding(Verdict::Bad, said)
            .mend(Where::Pbx, "it takes no calls now: overloaded, starting or in maintenance"),
        _ => finding(Verdict::Warning, said).mend(Where::Pbx, "see its own log for this status"),
    }
}

/// How the PBX sees us: RFC 3581's `received` and `rport`.
fn nat(config: &Config, local: SocketAddr, heard: &Heard) -> Finding {
    let via = heard.response.headers.via();
    let (received, rport) = via.as_ref().map_or((None, None), |via| (via.received(), via.rport().flatten()));
    let seen = SocketAddr::new(received.unwrap_or_else(|| local.ip()), rport.unwrap_or_else(|| local.port()));
    let public = config.sip.public_ip;
    let figures = json!({ "local": local, "seen": seen, "public_ip": public });
    let finding = |verdict, said: String| Finding::new("nat", verdict, said).figures(figures.clone());
    let told = public.filter(|ip| ip.is_ipv4() == local.is_ipv4());
    match (received, rport) {
        (None, None) => {
            finding(Verdict::Skipped, "the PBX does not say how it sees us (no received, no rport)".to_owned())
        }
        _ if seen.ip() == local.ip() && told.is_none_or(|ip| ip == local.ip()) => {
            finding(Verdict::Ok, format!("none: the PBX sees us at our own address, {}", seen.ip()))
        }
        _ if told == Some(seen.ip()) => {
            finding(Verdict::Ok, format!("the PBX sees us at {}, which is public_ip", seen.ip()))
        }
        _ => {
            let ours = told.map_or_else(|| local.ip().to_string(), |ip| format!("public_ip {ip}"));
            finding(Verdict::Bad, format!("the PBX sees us at {}, and we say {ours}: sound would go astray", seen.ip()))
                .mend(
                    Where::Here,
                    format!("public_ip = \"{}\" in [sip], and its RTP ports open in the firewall", seen.ip()),
                )
        }
    }
}

/// Asks the registrar for the account's bindings (RFC 3261 §10.2.3): the password is tried, and nothing is changed.
async fn registration(way: &Way<'_>, line: &mut Line, at: Candidate) -> Finding {
    let user = way.trunk.username.as_deref();
    let registrar = address(way.trunk, &at, None).parse::<Uri>();
    let (Ok(registrar), Ok(aor)) = (registrar, address(way.trunk, &at, user).parse::<Uri>()) else {
        return Finding::new("register", Verdict::Bad, "host and user of the trunk make no SIP address")
            .mend(Where::Here, "check uri and username of the trunk");
    };
    let mut asker = Asker::new(aor.clone(), aor);
    let request = asker.request(Method::Register, registrar);
    let (heard, proven) = match line.ask_proven(&mut asker, request, way.credentials.as_ref()).await {
        Ok(heard) => heard,
        Err(why) => {
            return Finding::new("register", Verdict::Bad, why).mend(Where::Between, registration_mend(408));
        }
    };
    let response = &heard.response;
    let figures = json!({ "status": response.status, "asked_for_password": proven });
    let finding = |verdict, said: String| Finding::new("register", verdict, said).figures(figures.clone());
    match response.status {
        200..=299 => {
            let contacts = match response.contacts() {
                Ok(Contacts::List(list)) => list,
                Ok(Contacts::Star) | Err(_) => Vec::new(),
            };
            let shown = contacts.iter().take(CONTACTS_MAX).map(|one| {
                let left = one.expires_s().map(|left| format!(", {left} s left")).unwrap_or_default();
                format!("{}{left}", one.uri)
            });
            let shown: Vec<String> = shown.collect();
            let login = if proven { "the password is right" } else { "no password was asked for" };
            match (way.trunk.register, contacts.len()) {
                (true, 0) => finding(Verdict::Warning, format!("{login}, and nobody is registered under this account"))
                    .mend(Where::Here, "start the gateway: it registers by itself"),
                (_, number) => finding(Verdict::Ok, format!("{login}; {number} registered")).lines(shown),
            }
        }
        // A trunk that is not registered need not be known to the registrar.
        _ if !way.trunk.register => finding(
            Verdict::Skipped,
            format!("{} {} to a REGISTER this trunk does not need", response.status, response.phrase),
        ),
        400 => finding(
            Verdict::Skipped,
            "this PBX does not tell its bindings (400): see `passerelle trunk list`".to_owned(),
        ),
        status => finding(Verdict::Bad, format!("{status} {}", response.phrase)).mend(
            if matches!(status, 401 | 403 | 404 | 407) { Where::Here } else { Where::Pbx },
            registration_mend(status),
        ),
    }
}
