//! The moment a visitor wants to be called: what he said, where, and which instant that is.
//!
//! Who chooses a local time is promised that local time: if the rules of his zone change before it comes,
//! [`Wanted::reresolve`] moves the instant and not the time on his clock. Who names an instant keeps the instant.

use std::fmt;

use jiff::civil::DateTime;
use jiff::fmt::temporal::{Pieces, PiecesOffset, TimeZoneAnnotationKind};
use jiff::tz::Offset;

use crate::Zone;
use crate::zone::{Occurrence, Resolved, unix_ms};

/// A wanted moment, whole enough to be stored and read again: plain text and numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// The moment, by the rules it was resolved with.
    pub unix_ms: u64,
    /// Whose clock: an IANA name, or a fixed offset as `+02:00`.
    pub zone: String,
    /// The time asked for on that clock, as `2026-03-29T02:30:00`. The clock does not show it if it was
    /// [`Skipped`](Occurrence::Skipped).
    pub local: String,
    /// The clock's offset at the moment, in seconds east of UTC. It stands for the version of the rules: while it does
    /// not change, neither does the moment.
    pub offset_s: i32,
    /// How often that clock shows that time; the page says so when it is not once.
    pub occurrence: Occurrence,
    /// What was promised.
    pub promise: Promise,
}

/// What holds when the rules of the zone change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Promise {
    /// The time on the visitor's clock.
    Local,
    /// The moment, whatever the clock will show.
    Instant,
}

impl Promise {
    /// The stable word for the store.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Instant => "instant",
        }
    }

    /// The one whose [`code`](Self::code) this is.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Local, Self::Instant].into_iter().find(|one| one.code() == code)
    }
}

/// Why a wanted moment is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WhenError {
    /// Not a date and time.
    Unreadable,
    /// No such zone, or a local time without one.
    Zone,
    /// The moment is over.
    Past,
}

impl WhenError {
    /// The stable word for the page.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "when_invalid",
            Self::Zone => "tz_invalid",
            Self::Past => "slot_past",
        }
    }
}

impl fmt::Display for WhenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "not a date and time: write it as 2026-07-14T10:30:00+02:00",
            Self::Zone => "no such time zone: name it as Europe/Paris",
            Self::Past => "that moment is over",
        })
    }
}

impl std::error::Error for WhenError {}

/// A date, a time with nine decimals, an offset and the longest zone name are under 90 octets.
const TEXT_MAX: usize = 128;

impl Wanted {
    /// Reads what a page sends: `text` in RFC 3339 or RFC 9557, and the visitor's zone if it came beside.
    ///
    /// | text | beside it | the moment | promised |
    /// |---|---|---|---|
    /// | `2026-07-14T10:30` | a zone | that time on that clock | local |
    /// | `…10:30[Europe/Paris]`, `…10:30+02:00[Europe/Paris]` | - | that time on that clock; the offset only chooses between two occurrences | local |
    /// | `…10:30+02:00` | a zone whose clock shows that | that instant | local |
    /// | `…10:30+02:00` | another zone, or none | that instant | instant |
    /// | `…08:30Z`, also with a zone in the text | a zone or none | that instant | instant |
    pub fn parse(text: &str, zone: Option<&str>, now_ms: u64) -> Result<Self, WhenError> {
        if text.len() > TEXT_MAX {
            return Err(WhenError::Unreadable);
        }
        let pieces = Pieces::parse(text).map_err(|_| WhenError::Unreadable)?;
        let time = pieces.time().ok_or(WhenError::Unreadable)?;
        // Nobody is called back by the fraction of a second.
        let time = time.with().subsec_nanosecond(0).build().map_err(|_| WhenError::Unreadable)?;
        let local = pieces.date().to_datetime(time);
        let written = pieces.time_zone_annotation().map(|annotation| written_zone(annotation.kind())).transpose()?;
        let beside = zone.map(Zone::parse).transpose().map_err(|_| WhenError::Zone)?;
        let wanted = match (offset(&pieces), written, beside) {
            (Told::Nothing, written, beside) => {
                let zone = written.or(beside).ok_or(WhenError::Zone)?;
                Self::local(&zone, local, None)
            }
            (Told::Offset(offset), Some(zone), _) => Self::local(&zone, local, Some(offset)),
            (Told::Offset(offset), None, Some(zone)) if zone.can_be(local, offset) => {
                Self::local(&zone, local, Some(offset))
            }
            (Told::Offset(offset), None, beside) => {
                let zone = beside.or_else(|| Zone::fixed(offset)).ok_or(WhenError::Unreadable)?;
                Self::instant(&zone, local, offset)
            }
            (Told::Utc, written, beside) => {
                let zone = written.or(beside).map_or_else(|| Zone::named("UTC"), Ok).map_err(|_| WhenError::Zone)?;
                Self::instant(&zone, local, Offset::UTC)
            }
        }?;
        if wanted.unix_ms < now_ms { Err(WhenError::Past) } else { Ok(wanted) }
    }

    /// A moment chosen as such, from a list of slots for one; `None` beyond the year 9999.
    pub fn at(unix_ms: u64, zone: &Zone) -> Option<Self> {
        let (_, local, offset) = zone.local(unix_ms)?;
        let occurrence = zone.resolve(local, Some(offset))?.occurrence;
        let (zone, local) = (zone.name().to_owned(), local.to_string());
        Some(Self { unix_ms, zone, local, offset_s: offset.seconds(), occurrence, promise: Promise::Instant })
    }

    /// The same promise by today's rules. A local time keeps its offset where the clock can still be at it, so that
    /// nothing moves without need.
    pub fn reresolve(&self) -> Result<Self, WhenError> {
        let zone = Zone::parse(&self.zone).map_err(|_| WhenError::Zone)?;
        match self.promise {
            Promise::Instant => Self::at(self.unix_ms, &zone).ok_or(WhenError::Unreadable),
            Promise::Local => {
                let local = self.local.parse::<DateTime>().map_err(|_| WhenError::Unreadable)?;
                Self::local(&zone, local, Offset::from_seconds(self.offset_s).ok())
            }
        }
    }

    fn local(zone: &Zone, local: DateTime, told: Option<Offset>) -> Result<Self, WhenError> {
        let Resolved { at, offset, occurrence } = zone.resolve(local, told).ok_or(WhenError::Unreadable)?;
        let unix_ms = unix_ms(at).ok_or(WhenError::Past)?;
        let (zone, local) = (zone.name().to_owned(), local.to_string());
        Ok(Self { unix_ms, zone, local, offset_s: offset.seconds(), occurrence, promise: Promise::Local })
    }

    fn instant(zone: &Zone, local: DateTime, offset: Offset) -> Result<Self, WhenError> {
        let at = offset.to_timestamp(local).map_err(|_| WhenError::Unreadable)?;
        Self::at(unix_ms(at).ok_or(WhenError::Past)?, zone).ok_or(WhenError::Unreadable)
    }
}

/// The offset in a text.
enum Told {
    Nothing,
    Offset(Offset),
    /// `Z` or `-00:00`: the instant is known and the local time is not (RFC 9557 §2.2).
    Utc,
}

fn offset(pieces: &Pieces<'_>) -> Told {
    match pieces.offset() {
        None => Told::Nothing,
        Some(PiecesOffset::Numeric(numeric)) if !(numeric.is_negative() && numeric.offset().is_zero()) => {
            Told::Offset(numeric.offset())
        }
        Some(_) => Told::Utc,
    }
}

fn written_zone(kind: &TimeZoneAnnotationKind<'_>) -> Result<Zone, WhenError> {
    match kind {
        TimeZoneAnnotationKind::Named(name) => Zone::named(name.as_str()).map_err(|_| WhenError::Zone),
        TimeZoneAnnotationKind::Offset(offset) => Zone::fixed(*offset).ok_or(WhenError::Zone),
        // The library may learn others.
        _ => Err(WhenError::Zone),
    }
}
