//! Where a trunk is: the walk through DNS, question by question.

use std::fmt::Write as _;

use serde_json::json;
use sip::endpoint::Transport;
use sip::target::{Candidate, Heard, Kind, Question, Record, Wanted};

use super::report::{Finding, Verdict, Where};
use crate::drive::sip::dns::{Dns, walk};

/// Looks all places of a trunk up; gives what was found, best first.
pub(super) async fn look_up(dns: &Dns, wanted: &[Wanted]) -> (Vec<Candidate>, Vec<Finding>) {
    let (mut candidates, mut findings) = (Vec::new(), Vec::new());
    for one in wanted {
        let (found, asked) = walk(dns, one).await;
        let lines: Vec<String> = asked.iter().map(|(question, heard)| step(question, heard)).collect();
        findings.push(
            match &found {
                Ok(found) => {
                    let at = found.iter().map(|at| format!("{} by {}", at.address, at.transport));
                    let at = at.collect::<Vec<_>>().join(", ");
                    let said = if lines.is_empty() { at } else { format!("{} is at {at}", one.host) };
                    let addresses =
                        found.iter().map(|at| json!({ "address": at.address, "transport": at.transport.as_str() }));
                    Finding::new("dns", Verdict::Ok, said)
                        .figures(json!({ "host": one.host, "at": addresses.collect::<Vec<_>>() }))
                }
                Err(why) => Finding::new("dns", Verdict::Bad, format!("{} is not found: {why}", one.host))
                    .mend(Where::Here, "check the host in `uri` or `targets` of the trunk, and `dns` of [sip]")
                    .figures(json!({ "host": one.host })),
            }
            .lines(lines),
        );
        candidates.extend(found.unwrap_or_default());
    }
    candidates.sort_by_key(|at| (at.priority, std::cmp::Reverse(at.weight)));
    (candidates, findings)
}

/// A trunk with places and none that a socket of ours can reach.
pub(super) fn unreachable(candidates: &[Candidate]) -> Finding {
    let wanted = candidates.iter().map(|at| format!("{} {}", at.transport, at.address)).collect::<Vec<_>>().join(", ");
    let kind = candidates.first().map_or(Transport::Udp, |at| at.transport).as_str().to_ascii_lowercase();
    Finding::new("dns", Verdict::Bad, format!("no socket of [sip] listen reaches {wanted}"))
        .mend(Where::Here, format!("add `{kind}:` of that version of IP to `listen` of [sip]"))
}

/// One question and what came of it.
fn step(question: &Question, heard: &Heard) -> String {
    let kind = match question.kind {
        Kind::Naptr => "NAPTR",
        Kind::Srv => "SRV",
        Kind::A => "A",
        Kind::Aaaa => "AAAA",
    };
    let mut line = format!("{kind} {}: ", question.name);
    let _written = match heard {
        Heard::Failed(why) => write!(line, "{why}"),
        Heard::Records(records, _) if records.is_empty() => write!(line, "none"),
        Heard::Records(records, ttl) => {
            let all = records.iter().map(record).collect::<Vec<_>>().join("; ");
            write!(line, "{all} (for {} s)", ttl.as_secs())
        }
    };
    line
}

fn record(record: &Record) -> String {
    match record {
        Record::Naptr { order, preference, service, replacement, .. } => {
            format!("{order} {preference} {service} -> {replacement}")
        }
        Record::Srv { priority, weight, port, target } => {
            format!("priority {priority} weight {weight} {target}:{port}")
        }
        Record::Address(ip) => ip.to_string(),
    }
}
