//! The test call: sound both ways, digits, hold, and which codecs the far end takes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use call::{HangupCause, LegId};
use media::bridge::Side;
use media::codec::CodecKind;
use media::dtmf::Digit;
use media::sdp::{self, Direction, Negotiated, SdpConfig, Secure};
use media::stats::LegStats;
use rand::Rng;
use tokio::sync::mpsc;

use super::ear::Ear;
use crate::clock;
use crate::config::checked::{Config, Trunk};
use crate::drive::call::CallInput;
use crate::drive::media::{BridgeOrder, MediaHandle, MediaNotice, MediaSession, Place};
use crate::drive::sip::{Callee, Invitation, LegSink, Parties, SdpMaker, SipHandle, SipLeg, SipNotice};
use crate::net::addresses;

const INBOX_MAX: usize = 256;
/// How long a telephone may ring for a test.
const RING_LIMIT: Duration = Duration::from_secs(30);
/// An answer to a change of session.
const CHANGE_LIMIT: Duration = Duration::from_secs(8);
/// How long BYE may take.
const END_LIMIT: Duration = Duration::from_secs(5);

/// What a call is made with.
pub(super) struct Means<'a> {
    pub(super) config: &'a Config,
    pub(super) trunk: &'a Arc<Trunk>,
    pub(super) sip: &'a SipHandle,
    pub(super) media: &'a MediaHandle,
}

/// Whom to call, and how.
pub(super) struct Dial<'a> {
    pub(super) user: &'a str,
    pub(super) codecs: Vec<CodecKind>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) display: &'a str,
}

/// A call that was not answered.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// 0 when no INVITE was answered at all.
    pub(super) status: u16,
    pub(super) why: String,
}

/// A call that is up.
pub(super) struct Talk<'a> {
    means: &'a Means<'a>,
    leg: SipLeg,
    sdp: SdpConfig,
    session: MediaSession,
    inbox: mpsc::Receiver<CallInput>,
    pub(super) ear: Ear,
    pub(super) agreed: Negotiated,
    /// From the INVITE to the ring, and to the answer.
    pub(super) rang_after: Option<Duration>,
    pub(super) answered_after: Duration,
    /// Keys that were pressed at the other end.
    pub(super) digits: Vec<char>,
    /// The first RTP packet has come.
    pub(super) heard_packet: bool,
    /// The far end ended it.
    pub(super) gone: bool,
    /// A REFER came: the PBX hands a transfer to us instead of carrying it out.
    pub(super) referred: bool,
}

/// Calls, and waits for the answer.
pub(super) async fn call<'a>(means: &'a Means<'a>, dial: Dial<'_>) -> Result<Talk<'a>, Refusal> {
    let failed = |why: String| Refusal { status: 0, why };
    let (inbox_in, mut inbox) = mpsc::channel(INBOX_MAX);
    let session = means.media.open("doctor", inbox_in.clone()).map_err(|error| failed(error.to_string()))?;
    let port = session.rtp(Place::Side(Side::A)).await.map_err(|error| failed(error.to_string()))?;
    let near = session.rtp(Place::Side(Side::B)).await.map_err(|error| failed(error.to_string()))?;
    let ear = Ear::open(means.config.media.rtp_address, near).await.map_err(|error| failed(error.to_string()))?;
    let mut sdp = SdpConfig {
        address: IpAddr::from([127, 0, 0, 1]),
        rtp_port: port.port,
        codecs: dial.codecs,
        ssrc: port.ssrc,
        session_id: clock::unix_ms(),
        version: 1,
        dtmf: true,
        ptime_ms: 20,
        secure: Secure::new(means.trunk.srtp, &mut rand::rng()),
    };
    let begun = clock::now();
    let invitation = invitation(means, dial.user, dial.display, dial.headers, &sdp);
    let sink = LegSink { inbox: inbox_in, leg: LegId::FIRST };
    let leg = means.sip.invite(sink, invitation).ok_or_else(|| failed("no room for the order".to_owned()))?;
    let (answer, remote, rang_after) = match answered(&mut inbox, begun).await {
        Ok(answered) => answered,
        Err(refusal) => {
            means.sip.hang_up(leg, HangupCause::Cancelled);
            return Err(refusal);
        }
    };
    let agreed = match sdp::accept_answer(&sdp, &String::from_utf8_lossy(&answer)) {
        Ok(agreed) => agreed,
        Err(error) => {
            means.sip.hang_up(leg, HangupCause::IncompatibleMedia);
            return Err(Refusal { status: 200, why: format!("answered, and its SDP cannot be used: {error}") });
        }
    };
    sdp.secure.note(agreed.srtp.as_ref());
    sdp.address = addresses::facing(crate::standing::sdp_ip(means.config), (remote, 9).into());
    let talk = Talk {
        means,
        leg,
        sdp,
        session,
        inbox,
        agreed: agreed.clone(),
        rang_after,
        answered_after: clock::now().saturating_duration_since(begun),
        digits: Vec::new(),
        heard_packet: false,
        gone: false,
        referred: false,
        ear,
    };
    talk.order(|session| session.negotiated(Place::Side(Side::A), agreed, Some(remote)));
    let near_side = talk.ear.agreed(near);
    talk.order(|session| session.negotiated(Place::Side(Side::B), near_side, None));
    talk.order(|session| session.bridge(BridgeOrder::Connect(true)));
    Ok(talk)
}

/// The INVITE of a test: from the caller id the trunk may show, else from its account.
fn invitation(
    means: &Means<'_>,
    user: &str,
    display: &str,
    headers: Vec<(String, String)>,
    sdp: &SdpConfig,
) -> Invitation {
    let for_offer = sdp.clone();
    let caller = means.trunk.caller_ids.first().or(means.trunk.username.as_ref());
    Invitation {
        parties: Parties {
            callee: Callee::Trunk { trunk: Arc::clone(means.trunk), user: user.to_owned(), tried: Vec::new() },
            display: display.to_owned(),
            user: caller.cloned().unwrap_or_else(|| "passerelle".to_owned()),
            call: format!("doctor-{:016x}", rand::rng().random::<u64>()),
        },
        headers,
        ring_limit: RING_LIMIT,
        sdp: SdpMaker(Box::new(move |address| sdp::offer(&SdpConfig { address, ..for_offer }).into_bytes())),
        plan: None,
        not_after: None,
        described: false,
    }
}

async fn answered(
    inbox: &mut mpsc::Receiver<CallInput>,
    begun: Instant,
) -> Result<(Vec<u8>, IpAddr, Option<Duration>), Refusal> {
    let mut rang_after = None;
    loop {
        let Some(input) = inbox.recv().await else {
            return Err(Refusal { status: 0, why: "the driver has ended".to_owned() });
        };
        let CallInput::Sip(_, notice) = input else { continue };
        match notice {
            SipNotice::Progress { .. } => {
                rang_after.get_or_insert_with(|| clock::now().saturating_duration_since(begun));
            }
            SipNotice::Answered { sdp: Some(sdp), remote } => return Ok((sdp, remote, rang_after)),
            SipNotice::Answered { sdp: None, .. } => {
                return Err(Refusal { status: 200, why: "answered without a session description".to_owned() });
            }
            SipNotice::Refused { status, phrase, .. } => return Err(Refusal { status, why: phrase }),
            SipNotice::Elsewhere { .. } => {
                return Err(Refusal { status: 0, why: "no answer to INVITE within 3 s".to_owned() });
            }
            SipNotice::Ended { cause, .. } => {
                return Err(Refusal { status: 0, why: format!("the call ended: {}", cause.code()) });
            }
            SipNotice::Reoffered { .. }
            | SipNotice::Reanswered { .. }
            | SipNotice::Info { .. }
            | SipNotice::Described(_)
            | SipNotice::ReofferAnswered { .. }
            | SipNotice::ReofferFailed { .. }
            | SipNotice::Referred(_)
            | SipNotice::ReferNews { .. }
            | SipNotice::Confirmed { .. } => {}
        }
    }
}

impl Talk<'_> {
    fn order(&self, order: impl FnOnce(&MediaSession) -> Result<(), crate::drive::media::MediaError>) {
        if let Err(error) = order(&self.session) {
            tracing::warn!(%error, "the doctor's order to the media worker");
        }
    }

    /// Lets the call go on for a while.
    pub(super) async fn go_on(&mut self, time: Duration) {
        let until = clock::now() + time;
        while !self.gone
            && let Ok(Some(input)) = tokio::time::timeout_at(until.into(), self.inbox.recv()).await
        {
            self.take(input);
        }
    }

    fn take(&mut self, input: CallInput) {
        match input {
            CallInput::Media(MediaNotice::Digit(Side::A, digit)) => self.digits.push(digit.as_char()),
            CallInput::Media(MediaNotice::FirstPacket(Side::A)) => self.heard_packet = true,
            CallInput::Sip(_, SipNotice::Ended { .. }) => self.gone = true,
            // The far end holds or moves its sound: what it offers is answered as a call answers it.
            CallInput::Sip(_, SipNotice::Reoffered { sdp: Some(offer) }) => self.accept(&offer),
            CallInput::Sip(_, SipNotice::Reoffered { sdp: None }) => {
                self.sdp.version += 1;
                self.means.sip.accept(self.leg, sdp::offer(&self.sdp).into_bytes());
            }
            CallInput::Sip(_, SipNotice::Referred(_)) => {
                self.referred = true;
                self.means.sip.answer_refer(self.leg, 603);
            }
            CallInput::Sip(..)
            | CallInput::Media(_)
            | CallInput::Visitor(_)
            | CallInput::VisitorGone
            | CallInput::Console { .. }
            | CallInput::GiveAway { .. }
            | CallInput::Given { .. }
            | CallInput::TakesPlace { .. }
            | CallInput::Withdraw(_)
            | CallInput::HangUp(..) => {}
        }
    }

    fn accept(&mut self, offer: &[u8]) {
        self.sdp.version += 1;
        match sdp::answer(&self.sdp, &String::from_utf8_lossy(offer)) {
            Ok((answer, agreed)) => {
                self.sdp.secure.note(agreed.srtp.as_ref());
                self.order(|session| session.negotiated(Place::Side(Side::A), agreed, None));
                self.means.sip.accept(self.leg, answer.into_bytes());
            }
            Err(_) => {
                self.means.sip.refuse(self.leg, 488);
            }
        }
    }

    /// Offers this direction; gives what was agreed, seen from us. The error is a sentence.
    pub(super) async fn offer(&mut self, direction: Direction) -> Result<Direction, String> {
        self.sdp.version += 1;
        let offer = sdp::offer_with_direction(&self.sdp, direction);
        self.means.sip.reoffer(self.leg, offer.into_bytes());
        let until = clock::now() + CHANGE_LIMIT;
        loop {
            let Ok(input) = tokio::time::timeout_at(until.into(), self.inbox.recv()).await else {
                return Err("no answer within 8 s".to_owned());
            };
            match input {
                Some(CallInput::Sip(_, SipNotice::ReofferAnswered { sdp: Some(answer) })) => {
                    let text = String::from_utf8_lossy(&answer);
                    let agreed = sdp::accept_answer(&self.sdp, &text).map_err(|error| error.to_string())?;
                    let direction = agreed.direction;
                    self.order(|session| session.negotiated(Place::Side(Side::A), agreed, None));
                    return Ok(direction);
                }
                Some(CallInput::Sip(_, SipNotice::ReofferAnswered { sdp: None })) => {
                    return Err("answered without a session description".to_owned());
                }
                Some(CallInput::Sip(_, SipNotice::ReofferFailed { status })) => {
                    return Err(format!("refused with {status}"));
                }
                Some(input) => self.take(input),
                None => return Err("the driver has ended".to_owned()),
            }
            if self.gone {
                return Err("the far end hung up".to_owned());
            }
        }
    }

    /// The ports the far end may send to.
    pub(super) fn rtp_ports(&self) -> String {
        let ports = &self.means.config.media.rtp_ports;
        format!("{}-{}", ports.start(), ports.end())
    }

    /// Presses a key.
    pub(super) fn press(&self, key: char) {
        if let Some(digit) = Digit::from_char(key) {
            self.order(|session| session.bridge(BridgeOrder::Digit(Side::A, digit)));
        }
    }

    /// Hangs up; gives the figures of the sound, and whether the far end confirmed the end.
    pub(super) async fn end(mut self) -> (Option<LegStats>, bool) {
        let ended_by_peer = self.gone;
        self.means.sip.hang_up(self.leg, HangupCause::Normal);
        let begun = clock::now();
        self.go_on(END_LIMIT).await;
        let confirmed = ended_by_peer || (self.gone && clock::now().saturating_duration_since(begun) < END_LIMIT);
        let stats = self.session.close().await.ok().and_then(|[a, _]| a);
        (stats, confirmed)
    }
}
