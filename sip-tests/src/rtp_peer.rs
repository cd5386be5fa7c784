//! A PBX's sound: one PCMU stream with a tone, whose port, SSRC and numbering the test chooses, and what comes back.

use std::f64::consts::TAU;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::tone::Samples;

/// RTP clock and sampling rate of PCMU (RFC 3551 §4.5.14), hertz.
const RATE_HZ: u32 = 8_000;
/// Samples in 20 ms.
const FRAME: u32 = 160;
/// Samples kept; ten minutes.
const SAMPLES_MAX: usize = 8_000 * 600;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// The tone, hertz.
    pub tone_hz: f64,
    /// Synchronisation source.
    pub ssrc: u32,
    /// First sequence number.
    pub sequence: u16,
    /// First timestamp.
    pub timestamp: u32,
}

#[derive(Default)]
struct Heard {
    samples: Vec<i16>,
    sources: Vec<u32>,
}

/// A running stream. Dropped, it stops and its port is free.
pub struct RtpPeer {
    stop: Arc<AtomicBool>,
    heard: Arc<Mutex<Heard>>,
    thread: Option<JoinHandle<()>>,
}

impl RtpPeer {
    /// Sends from `at` to `to` every 20 ms and listens.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(at: SocketAddr, to: SocketAddr, stream: Stream) -> io::Result<Self> {
        let socket = UdpSocket::bind(at)?;
        socket.set_nonblocking(true)?;
        let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Heard::default())));
        let (stopped, hears) = (Arc::clone(&stop), Arc::clone(&heard));
        let thread = std::thread::spawn(move || run(&socket, to, stream, &stopped, &hears));
        Ok(Self { stop, heard, thread: Some(thread) })
    }

    /// What came in so far, in the order of arrival.
    #[must_use]
    pub fn heard(&self) -> Samples {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        Samples { rate_hz: RATE_HZ, samples: heard.samples.clone() }
    }

    /// The synchronisation sources that came in, each once.
    #[must_use]
    pub fn sources(&self) -> Vec<u32> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).sources.clone()
    }
}

impl Drop for RtpPeer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has shown itself.
            let _ended = thread.join();
        }
    }
}

fn run(socket: &UdpSocket, to: SocketAddr, stream: Stream, stop: &AtomicBool, heard: &Mutex<Heard>) {
    let started = Instant::now();
    let mut buffer = [0_u8; 2_048];
    let mut frame = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        // A packet the system does not take is a packet lost.
        let _sent = socket.send_to(&packet(stream, frame), to);
        frame += 1;
        while let Ok(length) = socket.recv(&mut buffer) {
            take(&buffer[..length], heard);
        }
        let due = Duration::from_millis(20) * frame;
        std::thread::sleep(due.saturating_sub(started.elapsed()));
    }
}

/// RFC 3550 §5.1: version 2, no padding, extension or sources; the marker on the first packet.
#[expect(clippy::cast_possible_truncation, reason = "sequence numbers wrap, samples are within 16 bits")]
fn packet(stream: Stream, frame: u32) -> Vec<u8> {
    let mut packet = vec![0x80, if frame == 0 { 0x80 } else { 0 }];
    packet.extend_from_slice(&stream.sequence.wrapping_add(frame as u16).to_be_bytes());
    packet.extend_from_slice(&stream.timestamp.wrapping_add(frame.wrapping_mul(FRAME)).to_be_bytes());
    packet.extend_from_slice(&stream.ssrc.to_be_bytes());
    packet.extend((0..FRAME).map(|at| {
        let seconds = f64::from(frame * FRAME + at) / f64::from(RATE_HZ);
        encode(((TAU * stream.tone_hz * seconds).sin() * 11_600.0) as i16)
    }));
    packet
}

fn take(packet: &[u8], heard: &Mutex<Heard>) {
    // PCMU only, and no RTCP of a shared port.
    let (Some(0x80), Some(0 | 0x80), Some(source)) = (packet.first(), packet.get(1), packet.get(8..12)) else { return };
    let source = u32::from_be_bytes([source[0], source[1], source[2], source[3]]);
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    if !heard.sources.contains(&source) {
        heard.sources.push(source);
    }
    if heard.samples.len() < SAMPLES_MAX {
        heard.samples.extend(packet[12..].iter().copied().map(decode));
    }
}

/// ITU-T G.711 µ-law.
#[must_use]
pub fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs().min(32_635) + 132).unsigned_abs();
    let exponent = 24 - magnitude.leading_zeros();
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | u8::try_from(exponent << 4 | mantissa).unwrap_or(0x7f))
}

/// The inverse of [`encode`], as far as 8 bits go.
#[must_use]
pub fn decode(code: u8) -> i16 {
    let code = !code;
    let magnitude = ((i16::from(code & 0x0f) << 3) + 132) << (code >> 4 & 7);
    if code & 0x80 == 0 { magnitude - 132 } else { 132 - magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_its_own_inverse() {
        // 0x7f is the negative zero.
        for code in (0..=u8::MAX).filter(|code| *code != 0x7f) {
            assert_eq!(encode(decode(code)), code, "{code:#04x} {}", decode(code));
        }
        assert_eq!((decode(0x80), decode(0x00), decode(0xff)), (32_124, -32_124, 0));
    }
}
