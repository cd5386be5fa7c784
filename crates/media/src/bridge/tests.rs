//! The bridge as a person would hear it: tones in, tones out; and as a far end would see it: one continuous stream.

use super::*;
use crate::codec::{Decoder, Encoder, g711, g722, opus};
use crate::packet::{RtpHeader, RtpTime, RtpView, SeqNo, Ssrc};
use crate::plan::{LegPlan, OpusPlan};

mod digits;
mod hostile;
mod journeys;
mod loss;
mod reports;
mod sound;

/// Payload type a codec goes by in these tests; not the usual 111 for Opus, so that nothing can rely on it.
pub(super) const fn number(codec: CodecKind) -> u8 {
    match codec {
        CodecKind::Opus => 109,
        CodecKind::G722 => 9,
        CodecKind::Pcma => 8,
        CodecKind::Pcmu => 0,
    }
}

pub(super) fn plan(codec: CodecKind) -> LegPlan {
    LegPlan::simple(codec, number(codec), Ssrc(0x5eed_0000 + u32::from(number(codec))))
}

pub(super) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn encoder(codec: CodecKind) -> Box<dyn Encoder> {
    match codec {
        CodecKind::Opus => Box::new(opus::OpusEncoder::new(16_000, &OpusPlan::default()).unwrap()),
        CodecKind::G722 => Box::new(g722::G722Encoder::new(16_000)),
        CodecKind::Pcma => Box::new(g711::G711Encoder::new(g711::Law::A)),
        CodecKind::Pcmu => Box::new(g711::G711Encoder::new(g711::Law::Mu)),
    }
}

fn decoder(codec: CodecKind) -> Box<dyn Decoder> {
    match codec {
        CodecKind::Opus => Box::new(opus::OpusDecoder::new(16_000).unwrap()),
        CodecKind::G722 => Box::new(g722::G722Decoder::new(16_000)),
        CodecKind::Pcma => Box::new(g711::G711Decoder::new(g711::Law::A)),
        CodecKind::Pcmu => Box::new(g711::G711Decoder::new(g711::Law::Mu)),
    }
}

/// A far end that says one tone.
pub(super) struct Speaker {
    pub(super) codec: CodecKind,
    encoder: Box<dyn Encoder>,
    pub(super) frame_ms: u32,
    pub(super) header: RtpHeader,
    pub(super) frequency_hz: f64,
    pub(super) amplitude: f64,
    /// Four syllables a second: a coder takes a tone that never changes for background noise.
    pub(super) syllables: bool,
    spoken: u64,
}

impl Speaker {
    pub(super) fn new(codec: CodecKind, frequency_hz: f64) -> Self {
        let header = RtpHeader {
            marker: false,
            payload_type: number(codec),
            seq: SeqNo(65_500), // wraps early in every test
            time: RtpTime(u32::MAX - 20_000),
            ssrc: Ssrc(77),
        };
        let encoder = encoder(codec);
        Self { codec, encoder, frame_ms: 20, header, frequency_hz, amplitude: 8_000.0, syllables: false, spoken: 0 }
    }

    pub(super) fn ticks(&self) -> u32 {
        self.codec.rtp_clock_hz() / 1_000 * self.frame_ms
    }

    /// The next packet of the tone.
    pub(super) fn say(&mut self) -> Vec<u8> {
        let rate_hz = self.encoder.rate_hz();
        let count = rate_hz / 1_000 * self.frame_ms;
        let radians = std::f64::consts::TAU * self.frequency_hz / f64::from(rate_hz);
        let samples: Vec<i16> = (0..u64::from(count))
            .map(|n| {
                let at = (self.spoken + n) as f64;
                let beat = std::f64::consts::TAU * 4.0 * at / f64::from(rate_hz);
                let loudness = if self.syllables { 0.5 - 0.5 * beat.cos() } else { 1.0 };
                (self.amplitude * loudness * (radians * at).sin()) as i16
            })
            .collect();
        self.spoken += u64::from(count);
        let mut payload = vec![0; 1_400];
        let length = self.encoder.encode(&samples, &mut payload).unwrap();
        self.packet(&payload[..length])
    }

    /// A packet with this payload at the present numbers, which then go on by one frame.
    pub(super) fn packet(&mut self, payload: &[u8]) -> Vec<u8> {
        let bytes = [&self.header.encode(false)[..], payload].concat();
        self.header.seq = self.header.seq.next();
        self.header.time = self.header.time.plus(self.ticks());
        bytes
    }
}

/// A packet that came out.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) at: Instant,
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) seq: SeqNo,
    pub(super) time: RtpTime,
    pub(super) ssrc: Ssrc,
    pub(super) payload: Vec<u8>,
}

/// A far end that listens: decodes in order of sequence numbers, silence where the timestamps leave room.
pub(super) fn listen(codec: CodecKind, packets: &[Heard]) -> Vec<i16> {
    let mut decoder = decoder(codec);
    let per_tick = f64::from(decoder.rate_hz()) / f64::from(codec.rtp_clock_hz());
    let mut sound = Vec::new();
    let mut end: Option<RtpTime> = None;
    for packet in packets.iter().filter(|packet| packet.payload_type == number(codec)) {
        let gap = end.map_or(0, |end| packet.time.since(end));
        assert!((0..i32::MAX / 2).contains(&gap), "timestamps run backwards by {gap}");
        sound.extend(std::iter::repeat_n(0, (f64::from(gap) * per_tick) as usize));
        let mut pcm = vec![0; 6_000];
        let count = decoder.decode(&packet.payload, &mut pcm).unwrap();
        sound.extend_from_slice(&pcm[..count]);
        end = Some(packet.time.plus((count as f64 / per_tick) as u32));
    }
    sound
}

pub(super) fn rate_hz(codec: CodecKind) -> u32 {
    decoder(codec).rate_hz()
}

/// A bridge, its two far ends' ears, and a clock.
pub(super) struct Desk {
    pub(super) bridge: Bridge,
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) heard: [Vec<Heard>; 2],
    pub(super) rtcp: [Vec<Vec<u8>>; 2],
    pub(super) events: Vec<MediaEvent>,
}

impl Desk {
    pub(super) fn new() -> Self {
        let now = crate::test_clock();
        let bridge = Bridge::new(7, now);
        Self { bridge, start: now, now, heard: Default::default(), rtcp: Default::default(), events: Vec::new() }
    }

    pub(super) fn joined(a: CodecKind, b: CodecKind) -> Self {
        let mut desk = Self::new();
        desk.bridge.set_leg(Side::A, plan(a), desk.now);
        desk.bridge.set_leg(Side::B, plan(b), desk.now);
        desk.bridge.connect(true, desk.now);
        desk
    }

    pub(super) fn drain(&mut self) {
        while let Some(outgoing) = self.bridge.poll_packet() {
            if outgoing.kind == PacketKind::Rtcp {
                self.rtcp[outgoing.to.index()].push(outgoing.bytes.to_vec());
                continue;
            }
            let view = RtpView::parse(outgoing.bytes).unwrap();
            self.heard[outgoing.to.index()].push(Heard {
                at: self.now,
                marker: view.marker,
                payload_type: view.payload_type,
                seq: view.seq,
                time: view.time,
                ssrc: view.ssrc,
                payload: view.payload.to_vec(),
            });
        }
        while let Some(event) = self.bridge.poll_event() {
            self.events.push(event);
        }
    }

    /// Lets time pass, waking the bridge at its deadlines.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some((at, _)) = self.bridge.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.bridge.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    pub(super) fn take(&mut self, from: Side, packet: &[u8]) -> Result<(), PacketError> {
        let result = self.bridge.handle_rtp(from, packet, self.now);
        self.drain();
        result
    }

    /// One side speaks for a while, packet by packet.
    pub(super) fn speak(&mut self, from: Side, speaker: &mut Speaker, time: Duration) {
        let frame = ms(u64::from(speaker.frame_ms));
        for _ in 0..time.as_millis() / frame.as_millis() {
            let packet = speaker.say();
            self.take(from, &packet).unwrap();
            self.pass(frame);
        }
    }

    pub(super) fn ears(&self, side: Side) -> &[Heard] {
        &self.heard[side.index()]
    }

    /// Asserts what every far end may expect of a stream: one SSRC, numbers that rise by one, timestamps that rise.
    pub(super) fn assert_continuous(&self, side: Side) {
        for pair in self.ears(side).windows(2) {
            assert_eq!(pair[0].ssrc, pair[1].ssrc);
            assert_eq!(pair[1].seq, pair[0].seq.next(), "sequence broke");
            assert!(pair[1].time.since(pair[0].time) >= 0, "timestamp ran backwards");
        }
    }
}
