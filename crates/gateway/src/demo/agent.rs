//! The agent inside the program: a SIP phone like any other. It registers with digest, answers, says a sentence in
//! the caller's language, then echoes, so that a person alone hears that the whole path works. And the telephone of
//! whoever wants to be called back in the demo: the same, at an address of its own and registered nowhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use call::{HangupCause, LegId};
use media::bridge::Side;
use media::codec::CodecKind;
use media::play::{Sound, Source};
use media::sdp::{self, SrtpPolicy};
use rand::Rng;
use sip::endpoint::{Endpoint, EndpointConfig, Local, Transport};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use crate::app::{ECHO, StartError};
use crate::clock;
use crate::config::checked::{
    Codec, HeaderPolicy, Place, Secret, TransferPolicy, TransferRule, Transport as ConfigTransport, Trunk, TrunkTls,
};
use crate::drive::call::CallInput;
use crate::drive::call::legs::Phone;
use crate::drive::media::{BridgeOrder, MediaHandle, MediaNotice, MediaSession};
use crate::drive::sip::dns::Dns;
use crate::drive::sip::driver::{DriverConfig, SipDriver};
use crate::drive::sip::sockets::{Certificates, Sockets};
use crate::drive::sip::{Incoming, LegSink, ORDERS_MAX, SipHandle, SipNotice};
use crate::ladder::Tap;

/// Its one leg's place.
const SIDE: crate::drive::media::Place = crate::drive::media::Place::Side(Side::A);

/// What it says, 16 kHz mono, 16 bit little-endian.
const SENTENCE_FR: &[u8] = include_bytes!("sentence.fr.s16le");
const SENTENCE_EN: &[u8] = include_bytes!("sentence.en.s16le");
const SENTENCE_HZ: u32 = 16_000;
/// It picks up after this: a phone that answers in the same instant is no phone.
const PICK_UP_AFTER: Duration = Duration::from_millis(400);
/// Its registration is short, so that it is back soon after the registrar forgot it.
const REGISTER_EVERY: Duration = Duration::from_secs(120);
const INBOX_MAX: usize = 64;

/// The running agent.
pub(crate) struct EchoAgent {
    sip: SipHandle,
    task: JoinHandle<()>,
}

impl EchoAgent {
    /// Unregisters and ends.
    pub(crate) async fn shutdown(self) {
        self.sip.shutdown().await;
        self.task.abort();
    }
}

/// Starts it: own socket, own endpoint, registered to the gateway as `echo`.
pub(crate) async fn start(
    gateway: &[(Transport, SocketAddr)],
    password: &str,
    media: MediaHandle,
) -> Result<EchoAgent, StartError> {
    let (kind, registrar) = face(gateway);
    let local: IpAddr =
        if registrar.ip().is_loopback() { registrar.ip() } else { crate::net::addresses::local_towards(registrar) };
    let listen = (kind, SocketAddr::new(local, 0));
    serve(listen, ("echo agent", "[sip] listen"), vec![registration(kind, registrar, password)], media).await
}

/// Starts the demo's telephone where its trunk says; only the gateway calls it.
pub(crate) async fn telephone(
    gateway: &[(Transport, SocketAddr)],
    at: SocketAddr,
    media: MediaHandle,
) -> Result<EchoAgent, StartError> {
    let (kind, address) = face(gateway);
    let caller = Trunk { register: false, username: None, ..registration(kind, address, "") };
    serve((Transport::Udp, at), ("the demo's telephone", "--sip-port"), vec![caller], media).await
}

/// The gateway's own socket a phone inside the program talks to.
fn face(gateway: &[(Transport, SocketAddr)]) -> (Transport, SocketAddr) {
    let udp = gateway.iter().find(|(kind, _)| *kind == Transport::Udp);
    let first = udp.or_else(|| gateway.first()).copied();
    let (kind, address) = first.unwrap_or_else(|| (Transport::Udp, ([127, 0, 0, 1], 5060).into()));
    (kind, SocketAddr::new(reachable(address.ip()), address.port()))
}

async fn serve(
    listen: (Transport, SocketAddr),
    (what, key): (&'static str, &'static str),
    trunks: Vec<Trunk>,
    media: MediaHandle,
) -> Result<EchoAgent, StartError> {
    let bind = Sockets::bind(&[listen], Certificates::default()).await;
    let (sockets, bound, inbound) =
        bind.map_err(|(address, error)| StartError::Listen { what, address, key, error })?;
    let locals = bound
        .iter()
        .map(|(transport, bound)| Local { transport: *transport, bound: *bound, advertised: None })
        .collect();
    let endpoint = Endpoint::new(EndpointConfig::new(locals, ECHO, rand::rng().random()), clock::now());
    let (incoming_in, incoming) = mpsc::channel(INBOX_MAX);
    let (presence, _nobody_registers_here) = mpsc::channel(1);
    let (orders_in, orders) = mpsc::channel(ORDERS_MAX);
    let next_leg = Arc::new(AtomicU64::new(1));
    let config = DriverConfig {
        trunks: trunks.into_iter().map(Arc::new).collect(),
        dns: Arc::new(Dns::new(&[])),
        sdp_ip: None,
        realm: ECHO.to_owned(),
        incoming: incoming_in,
        presence,
        next_leg: Arc::clone(&next_leg),
        // What is said to it is on the gateway's own ladder.
        tap: Tap::default(),
    };
    tokio::spawn(SipDriver::new(config, endpoint, sockets, bound).run(orders, inbound));
    let sip = SipHandle::new(orders_in, next_leg);
    let task = tokio::spawn(answer_all(sip.clone(), media, incoming));
    Ok(EchoAgent { sip, task })
}

fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    }
}

/// The gateway as the phone's own registrar.
fn registration(kind: Transport, registrar: SocketAddr, password: &str) -> Trunk {
    let transport = match kind {
        Transport::Udp => ConfigTransport::Udp,
        Transport::Tcp => ConfigTransport::Tcp,
        Transport::Tls => ConfigTransport::Tls,
    };
    Trunk {
        name: "gateway".to_owned(),
        host: registrar.ip().to_string(),
        port: Some(registrar.port()),
        transport,
        tls: TrunkTls::default(),
        places: vec![Place {
            host: registrar.ip().to_string(),
            port: Some(registrar.port()),
            transport: Some(transport),
            priority: 0,
            weight: 1,
        }],
        options_interval: None,
        calls_per_second_max: None,
        calls_max: None,
        realm: None,
        register: true,
        register_expires: REGISTER_EVERY,
        username: Some(ECHO.to_owned()),
        password: Some(Secret::new(password)),
        codecs: Codec::ALL.to_vec(),
        srtp: SrtpPolicy::Off,
        extensions: sip::Extensions::USUAL,
        transfer: TransferPolicy { rule: TransferRule::Off, users: Vec::new() },
        headers: HeaderPolicy { user_to_user: false, x_headers: false, display_name: false },
        accept_from: Vec::new(),
        caller_ids: Vec::new(),
        callback_dials_per_day_max: 0,
        callback_time_per_day_max: Duration::ZERO,
        callback_money: None,
    }
}

async fn answer_all(sip: SipHandle, media: MediaHandle, mut incoming: mpsc::Receiver<Incoming>) {
    let french = sound(SENTENCE_FR);
    let english = sound(SENTENCE_EN);
    while let Some(invite) = incoming.recv().await {
        let speaks_french = invite
            .headers
            .get_str("X-Passerelle-Language")
            .is_some_and(|language| language.to_ascii_lowercase().starts_with("fr"));
        let sentence = if speaks_french { french.clone() } else { english.clone() };
        tokio::spawn(answer_one(sip.clone(), media.clone(), invite, sentence));
    }
}

fn sound(bytes: &[u8]) -> Option<Arc<Sound>> {
    let samples = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    Sound::new(SENTENCE_HZ, samples).map(Arc::new)
}

/// One call: ring, pick up, speak, echo, until the caller hangs up.
async fn answer_one(sip: SipHandle, media: MediaHandle, invite: Incoming, sentence: Option<Arc<Sound>>) {
    let (inbox_in, mut inbox) = mpsc::channel(INBOX_MAX);
    let leg = invite.leg;
    sip.adopt(leg, LegSink { inbox: inbox_in.clone(), leg: LegId::FIRST });
    sip.ring(leg);
    tokio::time::sleep(PICK_UP_AFTER).await;
    let session = match pick_up(&sip, &media, invite, inbox_in).await {
        Ok(session) => session,
        Err(why) => {
            warn!(why, "the echo agent cannot answer");
            sip.hang_up(leg, HangupCause::IncompatibleMedia);
            return;
        }
    };
    match sentence {
        Some(sentence) => order(&session, BridgeOrder::Play(Side::A, Source::Sound(sentence))),
        None => order(&session, BridgeOrder::Echo(Side::A, true)),
    }
    while let Some(input) = inbox.recv().await {
        match input {
            CallInput::Media(MediaNotice::PlayDone) => order(&session, BridgeOrder::Echo(Side::A, true)),
            CallInput::Media(MediaNotice::Bug)
            | CallInput::Sip(_, SipNotice::Ended { .. } | SipNotice::Refused { .. }) => break,
            CallInput::Sip(_, SipNotice::Reoffered { .. }) => {
                // Its peer is the gateway itself, which changes nothing; 488 keeps the session as it is.
                sip.refuse(leg, 488);
            }
            CallInput::Media(_)
            | CallInput::Sip(..)
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
    sip.hang_up(leg, HangupCause::Normal);
    if let Err(error) = session.close().await {
        debug!(%error, "the echo's media had ended before");
    }
}

fn order(session: &MediaSession, order: BridgeOrder) {
    if let Err(error) = session.bridge(order) {
        warn!(%error, "the echo's media order was not carried out");
    }
}

async fn pick_up(
    sip: &SipHandle,
    media: &MediaHandle,
    invite: Incoming,
    inbox: mpsc::Sender<CallInput>,
) -> Result<MediaSession, String> {
    let (leg, remote) = (invite.leg, invite.remote);
    let session = media.open("echo", inbox).map_err(|error| error.to_string())?;
    let port = session.rtp(SIDE).await.map_err(|error| error.to_string())?;
    let mut phone = Phone::called_us(invite);
    phone.sdp.rtp_port = port.port;
    phone.sdp.ssrc = port.ssrc;
    // G.722 first: the echo then proves the codec work in both directions, at wide band.
    phone.sdp.codecs = vec![CodecKind::G722, CodecKind::Opus, CodecKind::Pcma, CodecKind::Pcmu];
    let offer = phone.offer.take().ok_or("an INVITE without an offer")?;
    let (answer, negotiated) =
        sdp::answer(&phone.sdp, &String::from_utf8_lossy(&offer)).map_err(|error| error.to_string())?;
    info!(codec = negotiated.plan.codec.name(), "the echo agent answers");
    session.negotiated(SIDE, negotiated, Some(remote)).map_err(|error| error.to_string())?;
    sip.answer(leg, answer.into_bytes());
    Ok(session)
}
