//! The tag survival test: what of a visitor's tag arrives at a telephone behind the PBX, on each way a call takes to it.
//!
//! Which headers a PBX hands on is written in no data sheet. So a call is made with all that can carry a tag, and looked at
//! where an agent would see it.

use std::sync::Arc;
use std::time::Duration;

use call::{CallTags, HangupCause, LegId, QueueId, TagsDraft, TenantId};
use rand::Rng;
use serde_json::json;
use sip::message::Headers;
use tokio::sync::mpsc;

use super::line::Phone;
use super::report::{Finding, Verdict, Where};
use super::talk::{self, Dial, Means};
use super::{Extension, Wish};
use crate::clock;
use crate::config::checked::Trunk;
use crate::drive::call::CallInput;
use crate::drive::media::{MediaSession, Place};
use crate::drive::sip::{Incoming, LegSink, SipLeg, SipNotice};
use crate::drive::tags::{self, AGENT_POLICY};

/// How long the telephone may take to be registered, and a call to arrive at it.
const REGISTER_LIMIT: Duration = Duration::from_secs(8);
const ARRIVE_LIMIT: Duration = Duration::from_secs(20);
/// The key of the MAC in the test's User-to-User: nobody verifies it.
const KEY: &[u8] = b"tag survival test";
/// The same for a transfer that was asked for.
const TRANSFER_LIMIT: Duration = Duration::from_secs(8);
const CARRIERS: usize = 6;

/// Everything a tag can ride on, as it is sent.
struct Sent {
    headers: Vec<(String, String)>,
    display: String,
    /// In every carrier that can hold it.
    mark: String,
}

/// How much of one carrier arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Whole,
    Changed,
    Gone,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }
}

/// What the trunk's `headers` key calls those of them it can send.
const NAMES: [(&str, Option<&str>); CARRIERS] = [
    ("User-to-User", Some("user-to-user")),
    ("X-Passerelle-*", Some("x-passerelle")),
    ("Call-Info", None),
    ("display name", Some("display-name")),
    ("P-Asserted-Identity", None),
    ("Session-ID", None),
];

type Fates = [Fate; CARRIERS];

/// What became of one way.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Way {
    Arrived(Fates),
    /// The PBX leaves a transfer to us: the gateway carries it out and writes the tag anew.
    Ours,
    Lost(String),
}

impl From<Result<Fates, String>> for Way {
    fn from(arrived: Result<Fates, String>) -> Self {
        arrived.map_or_else(Self::Lost, Self::Arrived)
    }
}

impl Way {
    fn word(&self, carrier: usize) -> &'static str {
        match self {
            Self::Arrived(fates) => fates.get(carrier).map_or("-", |fate| fate.word()),
            Self::Ours => "by us",
            Self::Lost(_) => "-",
        }
    }

    fn keeps(&self, carrier: usize) -> bool {
        match self {
            Self::Arrived(fates) => fates.get(carrier) == Some(&Fate::Whole),
            Self::Ours => true,
            Self::Lost(_) => false,
        }
    }
}

/// Calls the telephone on each way, and tells what arrived.
pub(super) async fn examine(means: &Means<'_>, trunk: &Trunk, wish: &Wish, found: &mut impl FnMut(Finding)) {
    let mut phones = Vec::new();
    for extension in &wish.extensions {
        match register(means, trunk, extension).await {
            Ok(phone) => phones.push(phone),
            Err(finding) => return found(finding),
        }
    }
    let mut rows: Vec<(&str, Way)> = Vec::new();
    if let (Some(phone), Some(extension)) = (phones.first_mut(), wish.extensions.first()) {
        rows.push(("direct", arrive(means, phone, &extension.user).await.into()));
        if let Some(queue) = &wish.queue {
            rows.push(("queue", arrive(means, phone, queue).await.into()));
        }
    }
    if let ([first, second, ..], [from, to, ..]) = (phones.as_mut_slice(), wish.extensions.as_slice()) {
        rows.push(("transfer", transferred(means, trunk, (first, &from.user), (second, &to.user)).await));
    }
    found(table(&rows, means.trunk));
    for phone in phones {
        phone.sip.shutdown().await;
    }
}

/// Becomes a telephone at the PBX.
async fn register(means: &Means<'_>, trunk: &Trunk, extension: &Extension) -> Result<Phone, Finding> {
    let user = &extension.user;
    let bad = |why: String| Finding::new("tags", Verdict::Bad, why);
    let account = Trunk {
        register: true,
        username: Some(user.clone()),
        password: Some(extension.password.clone()),
        realm: None,
        options_interval: None,
        ..trunk.clone()
    };
    let phone = Phone::start(means.config, Arc::new(account)).await.map_err(bad)?;
    if phone.wait_until(REGISTER_LIMIT, |ledger| ledger.trunks.first().is_some_and(|trunk| trunk.ok)).await {
        return Ok(phone);
    }
    let detail = phone.sip.ledger().await.and_then(|ledger| ledger.trunks.first().map(|trunk| trunk.detail.clone()));
    let why = format!("{user} cannot be registered at the PBX: {}", detail.unwrap_or_default());
    Err(bad(why).mend(Where::Pbx, "make an extension with this user and password that may be called from the trunk"))
}

fn sent(means: &Means<'_>) -> Sent {
    let mut tag = [0_u8; 16];
    rand::rng().fill(&mut tag);
    let tags = CallTags::new(TagsDraft {
        tag,
        tenant: TenantId("doctor".into()),
        queue: QueueId("test".into()),
        session: "tag-survival-test".into(),
        page_url: "https://shop.example/cart?item=42".into(),
        page_title: "Panier à 3 articles".into(),
        referrer: None,
        language: "fr-FR".into(),
        made_at_unix_ms: clock::unix_ms(),
    });
    let mark = tags.tag_hex();
    let mut headers = tags::headers(&tags, KEY, AGENT_POLICY);
    let user = means.trunk.caller_ids.first().or(means.trunk.username.as_ref());
    let user = user.cloned().unwrap_or_else(|| "passerelle".to_owned());
    let host = &means.trunk.host;
    headers.push(("Call-Info".to_owned(), format!("<https://shop.example/card/{mark}>;purpose=info")));
    headers.push(("P-Asserted-Identity".to_owned(), format!("\"Passerelle test\" <sip:{user}@{host}>")));
    headers.push(("Session-ID".to_owned(), format!("{mark};remote={}", "0".repeat(32))));
    let display = tags::display(&tags, AGENT_POLICY);
    Sent { headers, display, mark }
}

/// A call to this number, as it arrives at the telephone.
async fn arrive(means: &Means<'_>, phone: &mut Phone, number: &str) -> Result<Fates, String> {
    let sent = sent(means);
    let dial = Dial { user: number, codecs: codecs(means), headers: sent.headers.clone(), display: &sent.display };
    let arriving = async {
        let incoming = next(phone, ARRIVE_LIMIT).await?;
        decline(phone, &incoming);
        Ok(fates(&sent, &incoming))
    };
    // The telephone is busy, so the call fails: that is how it is to end.
    let (arrived, _called) = tokio::join!(arriving, async {
        if let Ok(Ok(talk)) = tokio::time::timeout(ARRIVE_LIMIT, talk::call(means, dial)).await {
            talk.end().await;
        }
    });
    arrived
}

/// A call to the first telephone, which hands it to the second.
async fn transferred(
    means: &Means<'_>,
    trunk: &Trunk,
    (first, from): (&mut Phone, &str),
    (second, to): (&mut Phone, &str),
) -> Way {
    let sent = sent(means);
    let dial = Dial { user: from, codecs: codecs(means), headers: sent.headers.clone(), display: &sent.display };
    let arriving = async {
        let incoming = next(first, ARRIVE_LIMIT).await?;
        let (leg, mut inbox, _sound) = answer(means, first, incoming).await?;
        confirmed(&mut inbox).await?;
        first.sip.refer(leg, &refer_to(trunk, to));
        let came = tokio::select! {
            incoming = next(second, TRANSFER_LIMIT) => incoming.map_err(|_| "the PBX did not carry out the transfer (REFER)".to_owned()),
            status = refused(&mut inbox) => Err(format!("the PBX refused the transfer (REFER): {status}")),
        };
        let fates = came.map(|incoming| {
            let fates = fates(&sent, &incoming);
            decline(second, &incoming);
            fates
        });
        first.sip.hang_up(leg, HangupCause::Normal);
        fates
    };
    let (arrived, handed_to_us) = tokio::join!(arriving, async {
        let called = tokio::time::timeout(ARRIVE_LIMIT, talk::call(means, dial)).await;
        let Ok(Ok(mut talk)) = called else { return false };
        // The one who transfers ends this call, or the PBX does when the second is busy.
        talk.go_on(TRANSFER_LIMIT).await;
        let referred = talk.referred;
        talk.end().await;
        referred
    });
    if handed_to_us { Way::Ours } else { arrived.into() }
}

/// The ACK of our answer has come: before it nothing can be asked within the call.
async fn confirmed(inbox: &mut mpsc::Receiver<CallInput>) -> Result<(), String> {
    let waited = tokio::time::timeout(TRANSFER_LIMIT, async {
        while let Some(input) = inbox.recv().await {
            if matches!(input, CallInput::Sip(_, SipNotice::Confirmed { .. })) {
                return true;
            }
        }
        false
    });
    if waited.await == Ok(true) { Ok(()) } else { Err("our answer was not acknowledged (ACK)".to_owned()) }
}

/// The status with which the transfer came to nothing; without one it waits for ever.
async fn refused(inbox: &mut mpsc::Receiver<CallInput>) -> u16 {
    while let Some(input) = inbox.recv().await {
        if let CallInput::Sip(_, SipNotice::ReferNews { status: status @ 300.., last: true }) = input {
            return status;
        }
    }
    std::future::pending().await
}

fn refer_to(trunk: &Trunk, user: &str) -> String {
    crate::drive::sip::trunks::trunk_uri(trunk, Some(user), None)
}

fn codecs(means: &Means<'_>) -> Vec<media::CodecKind> {
    means.trunk.codecs.iter().copied().map(crate::drive::call::legs::codec).collect()
}

async fn next(phone: &mut Phone, limit: Duration) -> Result<Incoming, String> {
    let came = tokio::time::timeout(limit, phone.incoming.recv()).await;
    came.ok().flatten().ok_or_else(|| format!("no call arrived within {} s", limit.as_secs()))
}

/// Busy: what was wanted has been seen.
fn decline(phone: &Phone, incoming: &Incoming) {
    phone.sip.hang_up(incoming.leg, HangupCause::Busy);
}

/// Picks up, with sound that nobody listens to.
async fn answer(
    means: &Means<'_>,
    phone: &Phone,
    incoming: Incoming,
) -> Result<(SipLeg, mpsc::Receiver<CallInput>, MediaSession), String> {
    let (inbox_in, inbox) = mpsc::channel(64);
    let (leg, remote) = (incoming.leg, incoming.remote);
    phone.sip.adopt(leg, LegSink { inbox: inbox_in.clone(), leg: LegId::FIRST });
    let place = Place::Side(media::Side::A);
    let session = means.media.open("doctor", inbox_in).map_err(|error| error.to_string())?;
    let port = session.rtp(place).await.map_err(|error| error.to_string())?;
    let mut leg_of = crate::drive::call::legs::Phone::called_us(incoming);
    (leg_of.sdp.rtp_port, leg_of.sdp.ssrc, leg_of.sdp.codecs) = (port.port, port.ssrc, codecs(means));
    let offer = leg_of.offer.take().ok_or("the PBX calls without an offer")?;
    let (answer, agreed) =
        media::sdp::answer(&leg_of.sdp, &String::from_utf8_lossy(&offer)).map_err(|error| error.to_string())?;
    session.negotiated(place, agreed, Some(remote)).map_err(|error| error.to_string())?;
    phone.sip.answer(leg, answer.into_bytes());
    Ok((leg, inbox, session))
}

/// What became of each carrier.
fn fates(sent: &Sent, incoming: &Incoming) -> Fates {
    let of = |name: &str| sent.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let x_names: Vec<&str> =
        sent.headers.iter().map(|(key, _)| key.as_str()).filter(|key| key.starts_with("X-Passerelle-")).collect();
    let x = x_names.iter().map(|name| fate(of(name), incoming.headers.get_str(name)));
    let x: Vec<Fate> = x.collect();
    let all_x = match (x.iter().all(|fate| *fate == Fate::Whole), x.iter().all(|fate| *fate == Fate::Gone)) {
        (true, _) => Fate::Whole,
        (_, true) => Fate::Gone,
        (false, false) => Fate::Changed,
    };
    let one = |name: &str| fate(of(name), incoming.headers.get_str(name));
    // RFC 7989 §5: the PBX may put its own half behind `remote`; the mark is ours.
    let session = match incoming.headers.get_str("Session-ID") {
        Some(value) if value.contains(&sent.mark) => Fate::Whole,
        Some(_) => Fate::Changed,
        None => Fate::Gone,
    };
    let display = match incoming.from_display.as_str() {
        "" => Fate::Gone,
        text if text == sent.display => Fate::Whole,
        _ => Fate::Changed,
    };
    let identity = asserted(&incoming.headers, of("P-Asserted-Identity"));
    [one("User-to-User"), all_x, one("Call-Info"), display, identity, session]
}

/// The user it names counts: hosts are rewritten by every PBX.
fn asserted(headers: &Headers, sent: Option<&str>) -> Fate {
    let user = |text: &str| sip::NameAddr::parse(text).ok().and_then(|name| name.uri.user);
    match headers.get_str("P-Asserted-Identity") {
        None => Fate::Gone,
        Some(value) if user(value).is_some() && user(value) == sent.and_then(user) => Fate::Whole,
        Some(_) => Fate::Changed,
    }
}

fn fate(sent: Option<&str>, arrived: Option<&str>) -> Fate {
    let plain =
        |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>().to_ascii_lowercase();
    match (sent, arrived) {
        (_, None) => Fate::Gone,
        (Some(sent), Some(arrived)) if plain(sent) == plain(arrived) => Fate::Whole,
        (_, Some(_)) => Fate::Changed,
    }
}

/// The table, and what follows for the trunk's `headers`.
fn table(rows: &[(&str, Way)], trunk: &Trunk) -> Finding {
    let cells =
        |of: &dyn Fn(&(&str, Way)) -> String| rows.iter().map(|row| format!("{:<10}", of(row))).collect::<String>();
    let mut lines = vec![format!("{:<20} {}", "", cells(&|(way, _)| (*way).to_owned()))];
    let mut figures = Vec::new();
    for (index, (name, _)) in NAMES.iter().enumerate() {
        lines.push(format!("{name:<20} {}", cells(&|(_, way)| way.word(index).to_owned())));
        let by_way: serde_json::Map<_, _> =
            rows.iter().map(|(way, row)| ((*way).to_owned(), json!(row.word(index)))).collect();
        figures.push(json!({ "carrier": name, "fate": by_way }));
    }
    let lost = rows.iter().filter_map(|(way, row)| match row {
        Way::Lost(why) => Some(format!("{way}: {why}")),
        Way::Arrived(_) | Way::Ours => None,
    });
    let lost: Vec<String> = lost.collect();
    lines.extend(lost.iter().cloned());
    judged(rows, !lost.is_empty(), trunk).lines(lines).figures(json!(figures))
}

fn judged(rows: &[(&str, Way)], any_lost: bool, trunk: &Trunk) -> Finding {
    let arrives = |index: usize| rows.iter().all(|(_, way)| way.keeps(index));
    let ours = NAMES.iter().enumerate().filter(|(index, _)| arrives(*index));
    let (names, keys): (Vec<&str>, Vec<String>) =
        ours.filter_map(|(_, (name, key))| key.map(|key| (*name, format!("\"{key}\"")))).unzip();
    if any_lost {
        return Finding::new("tags", Verdict::Bad, "not every way leads to the telephone")
            .mend(Where::Pbx, "let the trunk call this extension and queue, and telephones transfer by REFER");
    }
    if !arrives(0) && !arrives(1) {
        return Finding::new(
            "tags",
            Verdict::Bad,
            "neither User-to-User nor X-Passerelle arrives on every way: agents see no page",
        )
        .mend(Where::Pbx, "hand X- headers or User-to-User on to telephones, also from a queue and after a transfer");
    }
    Finding::new("tags", Verdict::Ok, format!("on every way arrive: {}", names.join(", ")))
        .mend(Where::Here, format!("headers = [{}] in trunk {} is what this PBX hands on", keys.join(", "), trunk.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_count_and_content_does() {
        assert_eq!(fate(Some("00AB;encoding=hex"), Some("00ab; encoding=hex")), Fate::Whole);
        assert_eq!(fate(Some("00ab"), Some("00ac")), Fate::Changed);
        assert_eq!(fate(Some("00ab"), None), Fate::Gone);
        let mut headers = Headers::default();
        headers.push(sip::HeaderName::parse("P-Asserted-Identity"), "\"Other\" <sip:100@other.example>");
        assert_eq!(asserted(&headers, Some("<sip:100@pbx.example>")), Fate::Whole);
        assert_eq!(asserted(&headers, Some("<sip:101@pbx.example>")), Fate::Changed);
        assert_eq!(asserted(&Headers::default(), Some("<sip:101@pbx.example>")), Fate::Gone);
    }

    #[test]
    fn one_way_that_loses_the_tag_is_enough() {
        let place = crate::config::DemoPlace {
            http_port: 8080,
            sip_port: 5060,
            webrtc_port: 3480,
            rtp_port: 20_000,
            data: "data".into(),
        };
        let trunk = crate::config::demo(&place).unwrap().trunks.remove(0);
        let (whole, gone) = (Way::Arrived([Fate::Whole; CARRIERS]), Way::Arrived([Fate::Gone; CARRIERS]));
        let fine = table(&[("direct", whole.clone()), ("transfer", Way::Ours)], &trunk);
        assert_eq!(fine.verdict, Verdict::Ok);
        assert!(fine.mends[0].1.contains(r#"["user-to-user", "x-passerelle", "display-name"]"#), "{:?}", fine.mends);
        assert_eq!(table(&[("direct", whole.clone()), ("queue", gone)], &trunk).verdict, Verdict::Bad);
        let lost = table(&[("direct", whole), ("queue", Way::Lost("no call".to_owned()))], &trunk);
        assert_eq!((lost.verdict, lost.lines.last().map(String::as_str)), (Verdict::Bad, Some("queue: no call")));
    }
}
