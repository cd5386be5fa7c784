//! What a payload type means: `rtpmap`, `fmtp`, `ptime` and the static table of RFC 3551 §6.

use super::Media;
use crate::codec::CodecKind;

/// Clock of telephone-event beside narrow- and wideband codecs (RFC 3551 counts G.722 at 8 kHz too).
pub const EVENT_CLOCK_HZ: u32 = 8_000;
/// Clock of telephone-event beside Opus (RFC 7587 §7: every Opus stream counts at 48 kHz).
pub const EVENT_CLOCK_OPUS_HZ: u32 = 48_000;

/// One payload type of one section, with its meaning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Format {
    /// RTP payload type, 0–127.
    pub pt: u8,
    /// What it carries.
    pub kind: FormatKind,
}

/// What a payload type carries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FormatKind {
    /// Sound in a codec this house speaks; the parameters are Opus's, default for the others.
    Audio(CodecKind, OpusParameters),
    /// Digits (RFC 4733).
    TelephoneEvent {
        /// RTP clock.
        clock_hz: u32,
    },
    /// Anything else: comfort noise, RED, codecs not spoken.
    Other,
}

/// `a=fmtp` of Opus (RFC 7587 §6.1): what the writer can receive.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OpusParameters {
    /// Highest rate the writer plays, in Hz.
    pub max_playback_rate_hz: Option<u32>,
    /// Most bits per second the writer takes.
    pub max_bitrate_bps: Option<u32>,
    /// The writer would like two channels.
    pub stereo: bool,
    /// The writer can use in-band FEC.
    pub fec: bool,
    /// The writer would like silence not to be sent.
    pub dtx: bool,
}

/// The formats of a section, in its order; what is not a payload type is left out, a repeated one counts once.
#[must_use]
pub fn formats(media: &Media) -> Vec<Format> {
    let mut found: Vec<Format> = Vec::with_capacity(media.formats.len());
    for word in &media.formats {
        let Some(pt) = payload_type(word) else { continue };
        if found.iter().any(|f| f.pt == pt) {
            continue;
        }
        found.push(Format { pt, kind: kind_of(media, pt) });
    }
    found
}

fn payload_type(word: &str) -> Option<u8> {
    word.trim().parse().ok().filter(|pt| *pt < 128)
}

fn kind_of(media: &Media, pt: u8) -> FormatKind {
    let Some(map) = value_of(media, "rtpmap", pt) else {
        return static_kind(pt);
    };
    // RFC 8866 §6.6: <encoding name>/<clock rate>[/<channels>]; names know no case.
    let mut parts = map.split('/').map(str::trim);
    let name = parts.next().unwrap_or("");
    let clock_hz: u32 = parts.next().and_then(|c| c.parse().ok()).unwrap_or(0);
    let channels: u32 = parts.next().and_then(|c| c.parse().ok()).unwrap_or(1);
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let plain = OpusParameters::default();
    if is("opus") && clock_hz == 48_000 && channels <= 2 {
        return FormatKind::Audio(CodecKind::Opus, opus_parameters(media, pt));
    }
    if is("PCMU") && clock_hz == 8_000 && channels == 1 {
        return FormatKind::Audio(CodecKind::Pcmu, plain);
    }
    if is("PCMA") && clock_hz == 8_000 && channels == 1 {
        return FormatKind::Audio(CodecKind::Pcma, plain);
    }
    // RFC 3551 §4.5.2 fixed the clock at 8000 by mistake and kept it; some phones write the true 16000.
    if is("G722") && matches!(clock_hz, 8_000 | 16_000) && channels == 1 {
        return FormatKind::Audio(CodecKind::G722, plain);
    }
    if is("telephone-event") && clock_hz > 0 && clock_hz <= 192_000 {
        return FormatKind::TelephoneEvent { clock_hz };
    }
    FormatKind::Other
}

/// Static payload types need no `rtpmap` (RFC 3551 §6).
const fn static_kind(pt: u8) -> FormatKind {
    const PLAIN: OpusParameters =
        OpusParameters { max_playback_rate_hz: None, max_bitrate_bps: None, stereo: false, fec: false, dtx: false };
    match pt {
        0 => FormatKind::Audio(CodecKind::Pcmu, PLAIN),
        8 => FormatKind::Audio(CodecKind::Pcma, PLAIN),
        9 => FormatKind::Audio(CodecKind::G722, PLAIN),
        _ => FormatKind::Other,
    }
}

fn opus_parameters(media: &Media, pt: u8) -> OpusParameters {
    let mut found = OpusParameters::default();
    let Some(list) = value_of(media, "fmtp", pt) else {
        return found;
    };
    for (name, value) in list.split(';').filter_map(|p| p.split_once('=')) {
        let (name, value) = (name.trim(), value.trim());
        let number: Option<u32> = value.parse().ok();
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("maxplaybackrate") {
            found.max_playback_rate_hz = number.filter(|hz| (8_000..=48_000).contains(hz));
        } else if is("maxaveragebitrate") {
            found.max_bitrate_bps = number.filter(|bps| (6_000..=510_000).contains(bps));
        } else if is("stereo") {
            found.stereo = number == Some(1);
        } else if is("useinbandfec") {
            found.fec = number == Some(1);
        } else if is("usedtx") {
            found.dtx = number == Some(1);
        }
    }
    found
}

/// `a=<name>:<pt> <rest>`; the last one wins, as browsers read it.
fn value_of<'a>(media: &'a Media, name: &'a str, pt: u8) -> Option<&'a str> {
    media
        .attributes
        .all(name)
        .filter_map(|value| value.split_once(char::is_whitespace))
        .filter(|(number, _)| payload_type(number) == Some(pt))
        .map(|(_, rest)| rest.trim())
        .last()
}

/// Packet time this house sends towards the section's writer: his `a=ptime`, within his `a=maxptime`,
/// rounded down to a whole number of 10 ms from 10 to 60; `wanted_ms` where he says nothing.
#[must_use]
pub fn packet_time_ms(media: &Media, wanted_ms: u8) -> u8 {
    let number = |name: &str| -> Option<u32> {
        // Met in the field: "20.0" and "20 ".
        let value = media.attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name))?;
        let whole = value.value.as_deref()?.split('.').next()?.trim();
        whole.parse().ok().filter(|ms| *ms > 0)
    };
    let asked = number("ptime").unwrap_or_else(|| u32::from(wanted_ms));
    let most = number("maxptime").unwrap_or(60);
    let tens = (asked.min(most).clamp(10, 60) / 10) * 10;
    u8::try_from(tens).unwrap_or(20)
}
