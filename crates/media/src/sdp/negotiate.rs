//! Offer and answer for a SIP leg, plain RTP or SRTP: RFC 3264, RFC 5761 for `rtcp-mux`, RFC 4733 for digits, RFC 4568 for
//! keys.

use std::net::{IpAddr, SocketAddr};

use super::crypto::{self, Secure, SrtpKeys};
use super::format::{EVENT_CLOCK_HZ, EVENT_CLOCK_OPUS_HZ, Format, FormatKind, OpusParameters, formats, packet_time_ms};
use super::{Attributes, Connection, Direction, Media, MediaKind, Origin, SdpError, Session};
use crate::codec::CodecKind;
use crate::packet::Ssrc;
use crate::plan::{DtmfPlan, LegPlan, OpusPlan};

/// Payload type we give Opus, the number browsers use.
const OPUS_PT: u8 = 111;
/// Payload type we give telephone-event/8000, the number every phone expects.
const EVENT_PT: u8 = 101;
/// Payload type we give telephone-event/48000.
const EVENT_OPUS_PT: u8 = 110;
/// Most payload types remembered for one leg, whatever the far end lists.
const MAX_RECEIVE: usize = 16;

/// Our side of a SIP leg.
#[derive(Clone, Debug)]
pub struct SdpConfig {
    /// Address the far end sends to.
    pub address: IpAddr,
    /// RTP port the far end sends to.
    pub rtp_port: u16,
    /// Codecs we speak on this leg, best first.
    pub codecs: Vec<CodecKind>,
    /// Our SSRC towards this leg.
    pub ssrc: Ssrc,
    /// `o=` session id, the same for the life of the leg.
    pub session_id: u64,
    /// `o=` version, one more on every changed description (RFC 3264 §8).
    pub version: u64,
    /// Whether digits travel as telephone-event.
    pub dtmf: bool,
    /// Packet time we like, in milliseconds.
    pub ptime_ms: u8,
    /// Whether the leg is encrypted, and our keys.
    pub secure: Secure,
}

/// What both sides agreed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Negotiated {
    /// How sound travels.
    pub plan: LegPlan,
    /// Where RTP goes; `None` for 0.0.0.0 (RFC 3264 §8.4) and for `inactive`.
    pub remote: Option<SocketAddr>,
    /// Where RTCP goes: the RTP address when muxed, else `a=rtcp` (RFC 3605), else the next port.
    pub remote_rtcp: Option<SocketAddr>,
    /// Who sends, seen from us.
    pub direction: Direction,
    /// The far end put us on hold: `sendonly`, `inactive` or 0.0.0.0.
    pub held_by_peer: bool,
    /// RTP and RTCP share one port.
    pub rtcp_mux: bool,
    /// The keys of SRTP; `None` for plain RTP.
    pub srtp: Option<SrtpKeys>,
}

/// Our offer.
#[must_use]
pub fn offer(config: &SdpConfig) -> String {
    offer_with_direction(config, Direction::SendRecv)
}

/// Our offer with another direction: `sendonly` or `inactive` puts the far end on hold.
#[must_use]
pub fn offer_with_direction(config: &SdpConfig, direction: Direction) -> String {
    let mut attributes = Attributes::default();
    let offered = offered(config);
    for format in &offered {
        describe(&mut attributes, format);
    }
    config.secure.describe_offer(&mut attributes);
    attributes.push("ptime", config.ptime_ms.to_string());
    attributes.flag("rtcp-mux");
    attributes.flag(direction.as_str());
    let media = Media {
        kind: MediaKind::Audio,
        port: config.rtp_port,
        protocol: config.secure.protocol().to_owned(),
        formats: offered.iter().map(|f| f.pt.to_string()).collect(),
        connection: None,
        attributes,
    };
    document(config, vec![media])
}

/// Reads the answer to [`offer`] of the same `config`.
///
/// # Errors
/// When audio was refused, nothing is common, or the text is no usable SDP.
pub fn accept_answer(config: &SdpConfig, answer: &str) -> Result<Negotiated, SdpError> {
    let session = Session::parse(answer)?;
    let is_audio = |m: &&Media| m.kind == MediaKind::Audio;
    let media = session.media.iter().find(is_audio).ok_or(SdpError::NoAudio)?;
    if media.port == 0 {
        return Err(SdpError::AudioRefused);
    }
    let srtp = config.secure.of_answer(media);
    usable(config, media, srtp.is_some())?;
    let offered = offered(config);
    let listed = with_our_meaning(media, &offered);
    // RFC 3264 §7: the first codec listed is the one he wants.
    let chosen = listed
        .iter()
        .find_map(|f| audio(f).filter(|(_, codec, _)| config.codecs.contains(codec)))
        .ok_or(SdpError::NoCommonCodec)?;
    // He may send under our numbers (the rule) or, mistakenly, under his own: take both where they do not clash.
    let mut receive = Vec::new();
    let mut receive_dtmf = Vec::new();
    for format in offered.iter().chain(&listed) {
        take(&mut receive, &mut receive_dtmf, format, config);
    }
    let plan = plan(config, media, chosen, receive, (&listed, receive_dtmf));
    finish(&session, media, plan, (media.attributes.has("rtcp-mux"), srtp))
}

/// Answers an offer, the first one or a later one of the same leg.
///
/// # Errors
/// When nothing in it can be used; the INVITE is then refused with 488.
pub fn answer(config: &SdpConfig, offer: &str) -> Result<(String, Negotiated), SdpError> {
    let session = Session::parse(offer)?;
    let (index, chosen) = choose(config, &session)?;
    let media = &session.media[index];
    let mux = media.attributes.has("rtcp-mux");

    let listed = formats(media);
    let mut kept: Vec<&Format> = listed.iter().filter(|f| f.pt == chosen.0).collect();
    if config.dtmf {
        kept.extend(events(&listed, chosen.1));
    }
    let mut receive = Vec::new();
    let mut receive_dtmf = Vec::new();
    for format in &kept {
        take(&mut receive, &mut receive_dtmf, format, config);
    }
    let plan = plan(config, media, chosen, receive, (&listed, receive_dtmf));
    let (tag, srtp) = config.secure.of_offer(media).unzip();
    let agreed = finish(&session, media, plan, (mux, srtp))?;

    let mut attributes = Attributes::default();
    for format in &kept {
        describe(&mut attributes, format);
    }
    if let (Some(tag), Some(keys)) = (tag, &agreed.srtp) {
        attributes.push("crypto", crypto::line(tag, &keys.ours));
    }
    attributes.push("ptime", config.ptime_ms.to_string());
    if mux {
        attributes.flag("rtcp-mux");
    }
    attributes.flag(agreed.direction.as_str());
    let ours = Media {
        kind: MediaKind::Audio,
        port: config.rtp_port,
        protocol: media.protocol.clone(),
        formats: kept.iter().map(|f| f.pt.to_string()).collect(),
        connection: None,
        attributes,
    };
    // RFC 3264 §6: one section for each of his, in his order, the others refused.
    let sections =
        session.media.iter().enumerate().map(|(i, m)| if i == index { ours.clone() } else { m.refused() }).collect();
    Ok((document(config, sections), agreed))
}

type Chosen = (u8, CodecKind, OpusParameters);

/// The first audio section we can use, and our best codec in it.
fn choose(config: &SdpConfig, session: &Session) -> Result<(usize, Chosen), SdpError> {
    let mut why = SdpError::NoAudio;
    for (index, media) in session.media.iter().enumerate() {
        if media.kind != MediaKind::Audio {
            continue;
        }
        if media.port == 0 {
            why = SdpError::AudioRefused;
            continue;
        }
        if let Err(error) = usable(config, media, config.secure.of_offer(media).is_some()) {
            why = error;
            continue;
        }
        let listed = formats(media);
        let best =
            config.codecs.iter().find_map(|codec| listed.iter().filter_map(audio).find(|(_, kind, _)| kind == codec));
        match best {
            Some(chosen) => return Ok((index, chosen)),
            None => why = SdpError::NoCommonCodec,
        }
    }
    Err(why)
}

/// A secure profile without keys we can read must not be answered as if it were plain, nor plain RTP be taken where the
/// leg is to be encrypted.
fn usable(config: &SdpConfig, media: &Media, has_keys: bool) -> Result<(), SdpError> {
    let secure = crypto::is_savp(media);
    let plain = ["RTP/AVP", "RTP/AVPF"].iter().any(|protocol| media.protocol.eq_ignore_ascii_case(protocol));
    if !secure && !plain {
        return Err(SdpError::NoAudio);
    }
    if has_keys || (plain && !config.secure.is_required()) { Ok(()) } else { Err(SdpError::NoKeys) }
}

const fn audio(format: &Format) -> Option<Chosen> {
    match format.kind {
        FormatKind::Audio(codec, opus) => Some((format.pt, codec, opus)),
        FormatKind::TelephoneEvent { .. } | FormatKind::Other => None,
    }
}

/// The formats of our own offer.
fn offered(config: &SdpConfig) -> Vec<Format> {
    let ours = OpusParameters { fec: true, ..OpusParameters::default() };
    let mut list: Vec<Format> = Vec::new();
    for codec in &config.codecs {
        let pt = codec.static_payload_type().unwrap_or(OPUS_PT);
        if list.iter().all(|f| f.pt != pt) {
            list.push(Format { pt, kind: FormatKind::Audio(*codec, ours) });
        }
    }
    if config.dtmf {
        let has = |clock_hz: u32| config.codecs.iter().any(|c| c.rtp_clock_hz() == clock_hz);
        if has(EVENT_CLOCK_OPUS_HZ) {
            list.push(event(EVENT_OPUS_PT, EVENT_CLOCK_OPUS_HZ));
        }
        // Also beside Opus alone: many phones know only the 8000 Hz form, whatever the codec.
        list.push(event(EVENT_PT, EVENT_CLOCK_HZ));
    }
    list
}

const fn event(pt: u8, clock_hz: u32) -> Format {
    Format { pt, kind: FormatKind::TelephoneEvent { clock_hz } }
}

/// The answer's formats; a number it uses without a map keeps the meaning our offer gave it.
fn with_our_meaning(media: &Media, offered: &[Format]) -> Vec<Format> {
    let mut listed = formats(media);
    for format in listed.iter_mut().filter(|f| f.kind == FormatKind::Other) {
        let number = format.pt.to_string();
        let mapped = media.attributes.all("rtpmap").any(|v| v.split_whitespace().next() == Some(number.as_str()));
        if let Some(ours) = offered.iter().find(|o| o.pt == format.pt).filter(|_| !mapped) {
            format.kind = ours.kind.clone();
        }
    }
    listed
}

/// Telephone-event formats to keep: the one at the codec's clock first.
fn events(listed: &[Format], codec: CodecKind) -> Vec<&Format> {
    let clock_of = |f: &Format| match f.kind {
        FormatKind::TelephoneEvent { clock_hz } => Some(clock_hz),
        FormatKind::Audio(..) | FormatKind::Other => None,
    };
    let mut found: Vec<&Format> =
        listed.iter().filter(|f| matches!(clock_of(f), Some(EVENT_CLOCK_HZ | EVENT_CLOCK_OPUS_HZ))).collect();
    found.sort_by_key(|f| clock_of(f) != Some(codec.rtp_clock_hz()));
    found
}

/// Remembers one format among those we take; the first meaning of a number stands.
fn take(receive: &mut Vec<(u8, CodecKind)>, receive_dtmf: &mut Vec<DtmfPlan>, format: &Format, config: &SdpConfig) {
    let used = receive.iter().any(|(pt, _)| *pt == format.pt) || receive_dtmf.iter().any(|d| d.pt == format.pt);
    if used || receive.len() + receive_dtmf.len() >= MAX_RECEIVE {
        return;
    }
    match format.kind {
        FormatKind::Audio(codec, _) if config.codecs.contains(&codec) => receive.push((format.pt, codec)),
        FormatKind::TelephoneEvent { clock_hz } if config.dtmf => {
            receive_dtmf.push(DtmfPlan { pt: format.pt, clock_hz });
        }
        FormatKind::Audio(..) | FormatKind::TelephoneEvent { .. } | FormatKind::Other => {}
    }
}

fn plan(
    config: &SdpConfig,
    media: &Media,
    (send_pt, codec, opus): Chosen,
    receive: Vec<(u8, CodecKind)>,
    (listed, receive_dtmf): (&[Format], Vec<DtmfPlan>),
) -> LegPlan {
    let send_dtmf = events(listed, codec).first().filter(|_| config.dtmf).and_then(|f| match f.kind {
        FormatKind::TelephoneEvent { clock_hz } => Some(DtmfPlan { pt: f.pt, clock_hz }),
        FormatKind::Audio(..) | FormatKind::Other => None,
    });
    LegPlan {
        codec,
        send_pt,
        receive,
        send_dtmf,
        receive_dtmf,
        ssrc: config.ssrc,
        ptime_ms: packet_time_ms(media, config.ptime_ms),
        opus: opus_plan(opus),
        strip_extensions: true,
    }
}

/// What a section's Opus parameters mean for what we send.
#[must_use]
pub const fn opus_plan(parameters: OpusParameters) -> OpusPlan {
    OpusPlan {
        fec: parameters.fec,
        dtx: parameters.dtx,
        stereo: parameters.stereo,
        max_bitrate: parameters.max_bitrate_bps,
        max_playback_rate: parameters.max_playback_rate_hz,
    }
}

/// Address, RTCP, keys and direction of the far end's section.
fn finish(
    session: &Session,
    media: &Media,
    plan: LegPlan,
    (rtcp_mux, srtp): (bool, Option<SrtpKeys>),
) -> Result<Negotiated, SdpError> {
    let address = session.address_of(media).ok_or(SdpError::NoAddress)?;
    let ip = address.ip().ok_or(SdpError::AddressIsName)?;
    let his = session.direction_of(media);
    // RFC 3264 §8.4: 0.0.0.0 is the old way to say hold; nothing may be sent there.
    let nowhere = ip.is_unspecified();
    let mirrored = his.mirrored();
    let direction = Direction::of(mirrored.sends() && !nowhere, mirrored.receives());
    let rtp = (!nowhere).then(|| SocketAddr::new(ip, media.port));
    let rtcp = rtp.and_then(|rtp| if rtcp_mux { Some(rtp) } else { rtcp_address(media, rtp) });
    Ok(Negotiated {
        plan,
        remote: rtp.filter(|_| his != Direction::Inactive),
        remote_rtcp: rtcp,
        direction,
        held_by_peer: nowhere || matches!(his, Direction::SendOnly | Direction::Inactive),
        rtcp_mux,
        srtp,
    })
}

/// `a=rtcp:<port> [IN IP4|6 <address>]` (RFC 3605 §2.1), else the port after RTP's (RFC 3550 §11).
fn rtcp_address(media: &Media, rtp: SocketAddr) -> Option<SocketAddr> {
    let said = media.attributes.get("rtcp").and_then(|value| {
        let mut words = value.split_whitespace();
        let port: u16 = words.next()?.parse().ok().filter(|p| *p != 0)?;
        let ip = words.nth(2).and_then(|ip| ip.parse().ok()).unwrap_or_else(|| rtp.ip());
        (!ip.is_unspecified()).then(|| SocketAddr::new(ip, port))
    });
    said.or_else(|| rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port)))
}

/// `a=rtpmap` and `a=fmtp` of one format of ours.
fn describe(attributes: &mut Attributes, format: &Format) {
    let pt = format.pt;
    match format.kind {
        FormatKind::Audio(codec, _) => {
            let channels = codec.rtpmap_channels().map_or_else(String::new, |n| format!("/{n}"));
            attributes.push("rtpmap", format!("{pt} {codec}/{}{channels}", codec.rtp_clock_hz()));
            if codec == CodecKind::Opus {
                attributes.push("fmtp", format!("{pt} useinbandfec=1;stereo=0"));
            }
        }
        FormatKind::TelephoneEvent { clock_hz } => {
            attributes.push("rtpmap", format!("{pt} telephone-event/{clock_hz}"));
            attributes.push("fmtp", format!("{pt} 0-15"));
        }
        FormatKind::Other => {}
    }
}

fn document(config: &SdpConfig, media: Vec<Media>) -> String {
    let mut session = Session::new(Origin::new(config.session_id, config.version, config.address));
    session.connection = Some(Connection { address: super::Address::Ip(config.address) });
    session.media = media;
    session.to_string()
}
