//! The doctor's own mouth and ear: PCMU on a socket of this machine, behind the same bridge that calls go through.
//!
//! ```text
//! ear ── PCMU, 1000 Hz ──► bridge ── the trunk's codec, SRTP ──► PBX
//!     ◄── PCMU ──────────         ◄─────────────────────────
//! ```
//! What it hears has been through the same decoder and concealment as a call's sound.

use std::f64::consts::TAU;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use media::codec::g711::{G711Decoder, G711Encoder, Law};
use media::codec::{CodecKind, Decoder, Encoder};
use media::goertzel;
use media::packet::{RtpHeader, RtpTime, RtpView, SeqNo, Ssrc};
use media::plan::LegPlan;
use media::sdp::{Direction, Negotiated};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::clock;
use crate::drive::media::RtpPort;

pub(super) const RATE_HZ: u32 = 8_000;
/// What is sent: every codec and every telephone network carries it, and no key of a telephone sounds so.
pub(super) const TONE_HZ: f64 = 1_000.0;
/// A tenth below full scale would be clipped by some networks; this is about -9 dBm0.
const AMPLITUDE: f64 = 8_000.0;
const FRAME: usize = 160;
const FRAME_TIME: Duration = Duration::from_millis(20);
const PCMU_PT: u8 = 0;
/// Sound kept: a test call lasts seconds.
const FRAMES_MAX: usize = 50 * 600;
/// Frames looked at together: 60 ms tell a tone from speech.
const WINDOW: usize = 3;
/// Share of the energy that makes it our tone.
const PURE: f64 = 0.6;
/// Softer is silence, about -50 dBm0.
const AUDIBLE: f64 = 60.0;

#[derive(Default)]
struct Heard {
    frames: Vec<(Instant, [i16; FRAME])>,
    speaks: bool,
}

/// Running until it is dropped.
pub(super) struct Ear {
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
    at: SocketAddr,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a stretch of sound is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Impression {
    /// Seconds of it.
    pub(super) seconds: f64,
    /// Level in dB below full scale.
    pub(super) level_db: f64,
    /// Share of our own tone, 0 to 1.
    pub(super) tone: f64,
}

impl Impression {
    pub(super) fn is_silent(&self) -> bool {
        self.level_db < -60.0
    }

    pub(super) fn is_our_tone(&self) -> bool {
        self.tone > PURE && !self.is_silent()
    }
}

impl Ear {
    /// Opens it where the bridge's sockets are.
    pub(super) async fn open(bridge: Option<IpAddr>, port: RtpPort) -> io::Result<Self> {
        let ip = bridge.filter(|ip| !ip.is_unspecified()).unwrap_or_else(|| Ipv4Addr::LOCALHOST.into());
        let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).await?;
        let at = socket.local_addr()?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let task = tokio::spawn(run(socket, SocketAddr::new(ip, port.port), Arc::clone(&heard)));
        Ok(Self { heard, task, at })
    }

    /// The bridge's other side, as if it had been agreed with us.
    pub(super) fn agreed(&self, port: RtpPort) -> Negotiated {
        Negotiated {
            plan: LegPlan::simple(CodecKind::Pcmu, PCMU_PT, port.ssrc),
            remote: Some(self.at),
            remote_rtcp: Some(self.at),
            direction: Direction::SendRecv,
            held_by_peer: false,
            rtcp_mux: true,
            srtp: None,
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Heard) -> T) -> T {
        look(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tone or silence from now on.
    pub(super) fn speak(&self, on: bool) {
        self.with(|heard| heard.speaks = on);
    }

    /// What has been heard since.
    pub(super) fn since(&self, from: Instant) -> Impression {
        self.with(|heard| {
            let frames = heard.frames.iter().filter(|(at, _)| *at >= from);
            impression(&frames.flat_map(|(_, frame)| frame.iter().copied()).collect::<Vec<i16>>())
        })
    }

    /// When our tone was first heard after this moment.
    pub(super) fn tone_came(&self, from: Instant) -> Option<Instant> {
        self.with(|heard| {
            let late: Vec<_> = heard.frames.iter().filter(|(at, _)| *at >= from).collect();
            late.windows(WINDOW).find_map(|window| {
                let sound: Vec<i16> = window.iter().flat_map(|(_, frame)| frame.iter().copied()).collect();
                // The tone fills the window from its first frame on.
                impression(&sound).is_our_tone().then(|| window.first().map(|(at, _)| *at)).flatten()
            })
        })
    }
}

/// What a person would say of these samples.
pub(super) fn impression(samples: &[i16]) -> Impression {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let rms = if samples.is_empty() { 0.0 } else { (energy / samples.len() as f64).sqrt() };
    let tone = if rms > AUDIBLE { goertzel::purity(samples, RATE_HZ, TONE_HZ).min(1.0) } else { 0.0 };
    Impression {
        seconds: samples.len() as f64 / f64::from(RATE_HZ),
        level_db: 20.0 * (rms.max(0.1) / 32_768.0).log10(),
        tone,
    }
}

/// A frame each 20 ms, and whatever comes meanwhile.
async fn run(socket: UdpSocket, to: SocketAddr, heard: Arc<Mutex<Heard>>) {
    let mut ticks = tokio::time::interval(FRAME_TIME);
    let mut mouth = Mouth { encoder: G711Encoder::new(Law::Mu), number: 0 };
    let mut decoder = G711Decoder::new(Law::Mu);
    let mut buffer = [0_u8; 2_048];
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let speaks = heard.lock().unwrap_or_else(PoisonError::into_inner).speaks;
                // What the system does not take is a packet lost.
                let _sent = socket.send_to(&mouth.packet(speaks), to).await;
            }
            received = socket.recv_from(&mut buffer) => {
                let Ok((length, _)) = received else { continue };
                let packet = buffer.get(..length).unwrap_or_default();
                take(packet, &mut decoder, &mut heard.lock().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

fn take(packet: &[u8], decoder: &mut G711Decoder, heard: &mut Heard) {
    let Ok(view) = RtpView::parse(packet) else { return };
    let mut frame = [0_i16; FRAME];
    // RTCP shares the port; its payload type is another.
    if view.payload_type == PCMU_PT
        && view.payload.len() == FRAME
        && decoder.decode(view.payload, &mut frame).is_ok()
        && heard.frames.len() < FRAMES_MAX
    {
        heard.frames.push((clock::now(), frame));
    }
}

struct Mouth {
    encoder: G711Encoder,
    number: u32,
}

impl Mouth {
    #[expect(clippy::cast_possible_truncation, reason = "sequence numbers wrap, samples are within 16 bits")]
    fn packet(&mut self, speaks: bool) -> Vec<u8> {
        let (number, frame) = (self.number, FRAME as u32);
        self.number = number.wrapping_add(1);
        let header = RtpHeader {
            marker: number == 0,
            payload_type: PCMU_PT,
            seq: SeqNo(number as u16),
            time: RtpTime(number.wrapping_mul(frame)),
            ssrc: Ssrc(0x0d0c),
        };
        let mut samples = [0_i16; FRAME];
        if speaks {
            for (at, sample) in (0..frame).zip(&mut samples) {
                // 1000 Hz is eight samples a turn: each frame begins where the last one ended.
                let seconds = f64::from(at) / f64::from(RATE_HZ);
                *sample = ((TAU * TONE_HZ * seconds).sin() * AMPLITUDE) as i16;
            }
        }
        let mut packet = header.encode(false).to_vec();
        let begins = packet.len();
        packet.resize(begins + FRAME, 0);
        if let Some(payload) = packet.get_mut(begins..) {
            // A frame of G.711 fits as many octets as it has samples.
            let _fits = self.encoder.encode(&samples, payload);
        }
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(packets: impl Iterator<Item = Vec<u8>>) -> Vec<i16> {
        let (mut decoder, mut heard) = (G711Decoder::new(Law::Mu), Heard::default());
        packets.for_each(|packet| take(&packet, &mut decoder, &mut heard));
        heard.frames.iter().flat_map(|(_, frame)| frame.iter().copied()).collect()
    }

    #[test]
    fn what_it_says_is_what_it_hears() {
        let mut mouth = Mouth { encoder: G711Encoder::new(Law::Mu), number: 0 };
        let tone = impression(&heard((0..50).map(|_| mouth.packet(true))));
        assert!(tone.is_our_tone() && (tone.seconds - 1.0).abs() < 1e-9 && tone.tone > 0.99, "{tone:?}");
        let silence = impression(&heard((0..50).map(|_| mouth.packet(false))));
        assert!(silence.is_silent() && !silence.is_our_tone(), "{silence:?}");
    }

    #[test]
    fn another_tone_and_rtcp_are_not_ours() {
        let other: Vec<i16> =
            (0..8_000).map(|n| (8_000.0 * (TAU * 440.0 * f64::from(n) / 8_000.0).sin()) as i16).collect();
        assert!(!impression(&other).is_our_tone() && !impression(&other).is_silent());
        let mut receiver_report = vec![0x81, 201, 0, 7];
        receiver_report.resize(172, 0);
        assert!(heard(std::iter::once(receiver_report)).is_empty());
        assert!(impression(&[]).is_silent());
    }
}
