//! The browser's offer read, ours answered: one audio section, the rest refused (RFC 8829, 8839, 8842, 8843).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use media::sdp::format::{Format, FormatKind, formats, packet_time_ms};
use media::sdp::negotiate::opus_plan;
use media::sdp::{Address, Attributes, Connection, Direction, Media, MediaKind, Origin, SdpError, Session};
use media::{CodecKind, DtmfPlan, LegPlan, Ssrc};

use crate::dtls::Fingerprint;
use crate::error::OfferError;
use crate::ice::Credentials;

/// Most fingerprints looked at.
const MAX_FINGERPRINTS: usize = 16;
/// Most sources of an offer remembered.
const MAX_SSRCS: usize = 4;
/// Packet time we like and send.
const PTIME_MS: u8 = 20;

/// Which side opens DTLS (RFC 5763 §5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// The browser opens.
    Passive,
    /// We open.
    Active,
}

/// What matters of an offer.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    session: Session,
    index: usize,
    pub(crate) ufrag: String,
    pub(crate) password: String,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) ssrcs: Vec<u32>,
    setup: Option<String>,
    /// Seen from us.
    pub(crate) direction: Direction,
    formats: Vec<Format>,
    ptime_ms: u8,
}

impl Offer {
    pub(crate) fn parse(text: &str) -> Result<Self, OfferError> {
        let session = Session::parse(text)?;
        let index = session.media.iter().position(is_usable).ok_or(OfferError::Sdp(SdpError::NoAudio))?;
        let audio = &session.media[index];
        if session.attributes.has("ice-lite") {
            return Err(OfferError::PeerIsLite);
        }
        // RFC 8834 §4.5: browsers always mux; one port is all there is.
        if !audio.attributes.has("rtcp-mux") {
            return Err(OfferError::NoRtcpMux);
        }
        // RFC 8839 §5.4: 4 to 256 and 22 to 256 ice-chars.
        let ice = |name: &str, least: usize| {
            session
                .attribute_of(audio, name)
                .filter(|v| (least..=256).contains(&v.len()) && v.bytes().all(is_ice_char))
                .map(str::to_owned)
                .ok_or(OfferError::NoIce)
        };
        let fingerprints: Vec<Fingerprint> = [&audio.attributes, &session.attributes]
            .into_iter()
            .flat_map(|a| a.all("fingerprint"))
            .take(MAX_FINGERPRINTS)
            .filter_map(Fingerprint::parse)
            .collect();
        if fingerprints.is_empty() {
            return Err(OfferError::NoFingerprint);
        }
        let mut ssrcs = Vec::new();
        for ssrc in audio.attributes.all("ssrc").filter_map(|v| v.split_whitespace().next()?.parse().ok()) {
            if ssrcs.len() < MAX_SSRCS && !ssrcs.contains(&ssrc) {
                ssrcs.push(ssrc);
            }
        }
        Ok(Self {
            ufrag: ice("ice-ufrag", 4)?,
            password: ice("ice-pwd", 22)?,
            fingerprints,
            ssrcs,
            setup: session.attribute_of(audio, "setup").map(str::to_ascii_lowercase),
            direction: session.direction_of(audio).mirrored(),
            formats: formats(audio),
            ptime_ms: packet_time_ms(audio, PTIME_MS),
            index,
            session,
        })
    }

    /// Our DTLS role (RFC 8842 §5.3): what the offer leaves us; where it leaves a choice, the browser opens, for
    /// it has just proven its address. `kept` is the role of an association that goes on.
    pub(crate) fn role(&self, kept: Option<Role>) -> Result<Role, OfferError> {
        let asked = match self.setup.as_deref() {
            Some("actpass") => return Ok(kept.unwrap_or(Role::Passive)),
            // RFC 4145 §4.1: without the attribute the offerer is the active one.
            Some("active") | None => Role::Passive,
            Some("passive") => Role::Active,
            Some(_) => return Err(OfferError::Setup),
        };
        if kept.is_some_and(|role| role != asked) { Err(OfferError::Setup) } else { Ok(asked) }
    }

    /// Our plan for this offer: our preference among what both speak.
    pub(crate) fn plan(&self, codecs: &[CodecKind], ssrc: Ssrc) -> Result<LegPlan, OfferError> {
        let common = self.common(codecs);
        let mut audio = common.iter().filter_map(|f| match f.kind {
            FormatKind::Audio(codec, opus) => Some((f.pt, codec, opus)),
            FormatKind::TelephoneEvent { .. } | FormatKind::Other => None,
        });
        let (send_pt, codec, opus) = audio.next().ok_or(OfferError::Sdp(SdpError::NoCommonCodec))?;
        let receive = std::iter::once((send_pt, codec)).chain(audio.map(|(pt, codec, _)| (pt, codec))).collect();
        let receive_dtmf: Vec<DtmfPlan> = common.iter().filter_map(|f| event(f)).collect();
        // RFC 4733 §2.1: events share the clock of the sound they stand among.
        let send_dtmf = receive_dtmf.iter().find(|d| d.clock_hz == codec.rtp_clock_hz()).copied();
        Ok(LegPlan {
            codec,
            send_pt,
            receive,
            send_dtmf,
            receive_dtmf,
            ssrc,
            ptime_ms: self.ptime_ms,
            opus: opus_plan(opus),
            // No header extension is agreed, so none may arrive.
            strip_extensions: true,
        })
    }

    /// The formats of the answer: our codecs, best first, then events at 48000 and 8000.
    fn common(&self, codecs: &[CodecKind]) -> Vec<&Format> {
        let of = |codec: CodecKind| {
            self.formats.iter().find(move |f| matches!(f.kind, FormatKind::Audio(c, _) if c == codec))
        };
        let at = |clock| self.formats.iter().find(move |f| event(f).is_some_and(|d| d.clock_hz == clock));
        codecs.iter().filter_map(|codec| of(*codec)).chain([48_000, 8_000].into_iter().filter_map(at)).collect()
    }

    /// Whether a later offer asks for an ICE restart (RFC 8839 §4.4.1.1.1).
    pub(crate) fn restarts(&self, earlier: &Self) -> bool {
        self.ufrag != earlier.ufrag || self.password != earlier.password
    }

    fn mid(&self) -> Option<&str> {
        self.session.media[self.index].attributes.get("mid")
    }
}

fn event(format: &Format) -> Option<DtmfPlan> {
    match format.kind {
        FormatKind::TelephoneEvent { clock_hz } => Some(DtmfPlan { pt: format.pt, clock_hz }),
        FormatKind::Audio(..) | FormatKind::Other => None,
    }
}

fn is_usable(media: &Media) -> bool {
    // RFC 5764 §8; some stacks leave the "UDP/TLS/" out.
    let profile = ["UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF"];
    media.kind == MediaKind::Audio && media.port != 0 && profile.iter().any(|p| media.protocol.eq_ignore_ascii_case(p))
}

const fn is_ice_char(byte: u8) -> bool {
    // RFC 8839 §5.1 has letters, digits, + and /; some browsers' neighbours also use - _ =.
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}

/// Our side of an answer.
pub(crate) struct Ours<'a> {
    pub(crate) candidates: &'a [SocketAddr],
    pub(crate) codecs: &'a [CodecKind],
    pub(crate) credentials: &'a Credentials,
    pub(crate) fingerprint: &'a str,
    pub(crate) role: Role,
    pub(crate) ssrc: Ssrc,
    pub(crate) cname: &'a str,
    pub(crate) session_id: u64,
    pub(crate) version: u64,
}

/// Writes the answer.
pub(crate) fn answer(offer: &Offer, ours: &Ours<'_>) -> Result<String, OfferError> {
    let first = ours.candidates.first().ok_or(OfferError::NoCandidate)?;
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let mut session = Session::new(Origin::new(ours.session_id, ours.version, IpAddr::V4(Ipv4Addr::LOCALHOST)));
    // RFC 8843 §7.3: the group is answered with what of it is left.
    let bundled = offer.mid().filter(|mid| {
        let mut groups = offer.session.attributes.all("group");
        groups.any(|g| g.split_whitespace().skip_while(|w| *w != "BUNDLE").skip(1).any(|w| w == *mid))
    });
    if let Some(mid) = bundled {
        session.attributes.push("group", format!("BUNDLE {mid}"));
    }
    session.attributes.flag("ice-lite");
    for (index, media) in offer.session.media.iter().enumerate() {
        let section = if index == offer.index {
            Media {
                kind: MediaKind::Audio,
                port: first.port(),
                protocol: media.protocol.clone(),
                formats: offer.common(ours.codecs).iter().map(|f| f.pt.to_string()).collect(),
                connection: Some(Connection { address: Address::Ip(first.ip()) }),
                attributes: audio_attributes(offer, ours),
            }
        } else {
            let mut refused = media.refused();
            refused.connection = Some(Connection { address: Address::Ip(nowhere) });
            if let Some(mid) = media.attributes.get("mid") {
                refused.attributes.push("mid", mid);
            }
            refused.attributes.flag(Direction::Inactive.as_str());
            refused
        };
        session.media.push(section);
    }
    Ok(session.to_string())
}

fn audio_attributes(offer: &Offer, ours: &Ours<'_>) -> Attributes {
    let mut a = Attributes::default();
    for (index, candidate) in ours.candidates.iter().enumerate() {
        a.push("candidate", candidate_line(index, *candidate));
    }
    a.flag("end-of-candidates");
    a.push("ice-ufrag", ours.credentials.ufrag.as_str());
    a.push("ice-pwd", ours.credentials.password.as_str());
    a.push("fingerprint", format!("sha-256 {}", ours.fingerprint));
    a.push("setup", if ours.role == Role::Passive { "passive" } else { "active" });
    if let Some(mid) = offer.mid() {
        a.push("mid", mid);
    }
    a.flag(offer.direction.as_str());
    a.flag("rtcp-mux");
    for format in offer.common(ours.codecs) {
        describe(&mut a, format);
    }
    a.push("ptime", PTIME_MS.to_string());
    a.push("msid", "passerelle voice");
    a.push("ssrc", format!("{} cname:{}", ours.ssrc.0, ours.cname));
    a.push("ssrc", format!("{} msid:passerelle voice", ours.ssrc.0));
    a
}

/// RFC 8839 §5.1; priority by RFC 8445 §5.1.2.1 with type preference 126 (host), the first the best.
fn candidate_line(index: usize, address: SocketAddr) -> String {
    let index = u32::try_from(index).unwrap_or(u32::MAX).min(65_535);
    let priority = (126 << 24) | ((65_535 - index) << 8) | 255;
    format!("{} 1 udp {priority} {} {} typ host generation 0", index + 1, address.ip(), address.port())
}

fn describe(attributes: &mut Attributes, format: &Format) {
    let pt = format.pt;
    match format.kind {
        FormatKind::Audio(codec, _) => {
            let channels = codec.rtpmap_channels().map_or_else(String::new, |n| format!("/{n}"));
            attributes.push("rtpmap", format!("{pt} {codec}/{}{channels}", codec.rtp_clock_hz()));
            if codec == CodecKind::Opus {
                // Telephones are mono; FEC is what makes loss from the browser bearable (RFC 7587 §6.1).
                attributes.push("fmtp", format!("{pt} minptime=10;useinbandfec=1;stereo=0"));
            }
        }
        FormatKind::TelephoneEvent { clock_hz } => {
            attributes.push("rtpmap", format!("{pt} telephone-event/{clock_hz}"));
            attributes.push("fmtp", format!("{pt} 0-15"));
        }
        FormatKind::Other => {}
    }
}
