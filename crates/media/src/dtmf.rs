//! Telephone events (RFC 4733): the digits, their payload, and the machine that reads them.
//!
//! ```text
//!  0                   1                   2                   3      RFC 4733 §2.3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |     event     |E|R| volume    |          duration             |
//!
//! time     t     t     t     t     t     t        one event keeps its first timestamp
//! duration 160   320   480   640   800   800  800  E is sent three times, any of the packets may be lost
//! M        1     0     0     0     0     0    0
//! ```

use crate::packet::RtpTime;
use std::fmt;
use std::time::{Duration, Instant};

/// An event whose packets stop without an end is over after this: three update intervals of the slowest senders.
pub const LOST_END: Duration = Duration::from_millis(200);

/// One DTMF digit: RFC 4733 event codes 0 to 15.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Digit(u8);

impl Digit {
    const NAMES: &[u8; 16] = b"0123456789*#ABCD";

    /// The digit of a key: `0`-`9`, `*`, `#`, `A`-`D` (either case).
    #[must_use]
    pub fn from_char(key: char) -> Option<Self> {
        let key = u8::try_from(key.to_ascii_uppercase()).ok()?;
        let code = Self::NAMES.iter().position(|name| *name == key)?;
        u8::try_from(code).ok().map(Self)
    }

    /// The digit of an event code (RFC 4733 §3.2); other events, as a flash, are no digits.
    #[must_use]
    pub const fn from_event(event: u8) -> Option<Self> {
        if event < 16 { Some(Self(event)) } else { None }
    }

    /// Its event code.
    #[must_use]
    pub const fn event(self) -> u8 {
        self.0
    }

    /// Its key.
    #[must_use]
    pub fn as_char(self) -> char {
        char::from(Self::NAMES[usize::from(self.0)])
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

/// The four octets of an event packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventPayload {
    /// Event code.
    pub event: u8,
    /// The event has ended.
    pub end: bool,
    /// Level below 0 dBm0, in dB, 0 to 63.
    pub volume: u8,
    /// Ticks since the packet's timestamp.
    pub duration: u16,
}

impl EventPayload {
    /// Reads a payload; octets past the fourth are another event's and left alone.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, high, low] = *payload.first_chunk::<4>()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3f, duration })
    }

    /// Writes the four octets.
    #[must_use]
    pub const fn encode(&self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, (self.end as u8) << 7 | (self.volume & 0x3f), high, low]
    }
}

/// A digit that is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Press {
    pub(crate) digit: Digit,
    pub(crate) duration_ms: u32,
}

/// How far a digit has come with one packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    Started,
    Lasting,
    Ended,
    EndedAgain,
}

/// A digit under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Progress {
    pub(crate) digit: Digit,
    pub(crate) volume: u8,
    pub(crate) phase: Phase,
    /// Since its start, in milliseconds times eight (ticks of 8000 Hz), over all segments.
    pub(crate) eighths_ms: u32,
}

/// What one packet told: the digit before it is over without having said so, and how the present one stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Reading {
    pub(crate) cut_short: Option<Press>,
    pub(crate) progress: Option<Progress>,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    digit: Digit,
    generation: u32,
    /// Timestamp of the present segment.
    time: RtpTime,
    /// Ticks of the segments before it (RFC 4733 §2.5.1.3).
    before: u32,
    duration: u16,
    clock_hz: u32,
    last_at: Instant,
    ended: bool,
}

impl Event {
    fn eighths_ms(&self) -> u32 {
        let ticks = u64::from(self.before) + u64::from(self.duration);
        u32::try_from(ticks * 8_000 / u64::from(self.clock_hz.max(1))).unwrap_or(u32::MAX)
    }

    fn press(&self) -> Press {
        Press { digit: self.digit, duration_ms: self.eighths_ms() / 8 }
    }
}

/// Reads the events of one leg: each digit once, known by its timestamp whatever was lost or doubled.
#[derive(Debug, Default)]
pub(crate) struct DigitReader {
    event: Option<Event>,
}

impl DigitReader {
    /// Reads one packet. `generation` is the stream's: timestamps of two streams cannot be compared.
    pub(crate) fn read(
        &mut self,
        payload: &[u8],
        time: RtpTime,
        generation: u32,
        clock_hz: u32,
        now: Instant,
    ) -> Reading {
        let Some(payload) = EventPayload::parse(payload) else { return Reading::default() };
        let Some(digit) = Digit::from_event(payload.event) else { return Reading::default() };
        let mut reading = Reading::default();
        let phase = match self.event.as_mut().filter(|event| event.generation == generation) {
            Some(event) if event.time == time => {
                if event.digit != digit {
                    return reading;
                }
                event.duration = event.duration.max(payload.duration);
                event.last_at = now;
                match (event.ended, payload.end) {
                    (false, false) => Phase::Lasting,
                    (false, true) => Phase::Ended,
                    (true, true) => Phase::EndedAgain,
                    (true, false) => return reading, // an update that the end overtook
                }
            }
            // Left over from the digit before; further back it is a sender that began a new timeline.
            Some(event) if (-i32::try_from(10 * clock_hz).unwrap_or(i32::MAX)..0).contains(&time.since(event.time)) => {
                return reading;
            }
            Some(event) if !event.ended && event.digit == digit && event.continues_at(time) => {
                event.before = event.before.saturating_add(u32::from(u16::MAX));
                event.time = time;
                event.duration = payload.duration;
                event.last_at = now;
                if payload.end { Phase::Ended } else { Phase::Lasting }
            }
            Some(_) | None => {
                reading.cut_short = self.event.filter(|event| !event.ended).map(|event| event.press());
                let duration = payload.duration;
                self.event =
                    Some(Event { digit, generation, time, before: 0, duration, clock_hz, last_at: now, ended: false });
                if payload.end { Phase::Ended } else { Phase::Started }
            }
        };
        if let Some(event) = self.event.as_mut() {
            event.ended |= payload.end;
            reading.progress = Some(Progress { digit, volume: payload.volume, phase, eighths_ms: event.eighths_ms() });
        }
        reading
    }

    /// The digit that just ended, for the record.
    pub(crate) fn pressed(&self) -> Option<Press> {
        self.event.filter(|event| event.ended).map(|event| event.press())
    }

    /// Gives up a digit whose end was lost.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Press> {
        let event = self.event.as_mut().filter(|event| !event.ended && now >= event.last_at + LOST_END)?;
        event.ended = true;
        Some(event.press())
    }

    /// When a digit under way is given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.event.filter(|event| !event.ended).map(|event| event.last_at + LOST_END)
    }
}

impl Event {
    /// RFC 4733 §2.5.1.3: a long event goes on in a new segment, right where the counter of the old one is full.
    const fn continues_at(&self, time: RtpTime) -> bool {
        time.since(self.time) == u16::MAX as i32
    }
}

#[cfg(test)]
mod tests;
