//! The slots a visitor may choose from: where they lie, which he may have, how many seats each has left.
//!
//! ```text
//!  opens                          one day on the site's clock                            closes
//!  |-- every --|-- every --|-- every --|-- every --|-- …            refuse_before_close |
//!  [ length ]~~~           [ length ]~~~                                                |
//!            buffer                  buffer
//!  now |---- lead ----| the first that may be had … the last |  now + horizon
//! ```
//! Slots stand on the clock's face. A time the clock jumps over is no slot; a time it shows twice is one slot, at the
//! first occurrence: no two slots read the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp};

use crate::Hours;
use crate::hours::DAY_MINUTES;
use crate::zone::{Occurrence, unix_ms};

/// How a queue, or an agent, offers slots.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SlotRules {
    /// From one slot's start to the next, counted from each opening: whole minutes, a day at most.
    pub every: Duration,
    /// How long a slot is; it lies within the opening hours as a whole. A day at most.
    pub length: Duration,
    /// No slot starts sooner than this from now.
    pub lead: Duration,
    /// No slot starts later than this from now. [`Hours::SEARCH_MS`] at most.
    pub horizon: Duration,
    /// Rest after a slot before the same seat may serve another. A day at most.
    pub buffer: Duration,
    /// How many may be called at the same time.
    pub seats: u32,
    /// No slot starts within this time of the closing. A day at most.
    pub refuse_before_close: Duration,
    /// Nobody may ask to be called at once within this time of the closing. A day at most.
    pub asap_before_close: Duration,
}

impl Default for SlotRules {
    /// One person, a quarter of an hour each, up to two weeks ahead.
    fn default() -> Self {
        Self {
            every: Duration::from_secs(15 * 60),
            length: Duration::from_secs(15 * 60),
            lead: Duration::from_secs(5 * 60),
            horizon: Duration::from_secs(14 * 86_400),
            buffer: Duration::ZERO,
            seats: 1,
            refuse_before_close: Duration::ZERO,
            asap_before_close: Duration::ZERO,
        }
    }
}

/// A rule out of range, by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadSlotRule(pub &'static str);

impl fmt::Display for BadSlotRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the slots' `{}` is out of range", self.0)
    }
}

impl std::error::Error for BadSlotRule {}

/// A slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slot {
    /// When it starts.
    pub start_ms: u64,
    /// When it is over.
    pub end_ms: u64,
    /// How many may still choose it; 0 is shown as taken.
    pub seats_left: u32,
}

/// Slots asked for, as many as are given at once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotPage {
    /// By their start.
    pub slots: Vec<Slot>,
    /// Where to go on if a bound cut the list.
    pub more_from_ms: Option<u64>,
}

/// Why a start cannot be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SlotRefusal {
    /// It is over.
    Past,
    /// The site offers no slot there: closed, too near the closing, beyond the horizon, or between two slots.
    OutsideHours,
    /// It was one, and cannot be had any more: all seats are taken, or it starts too soon.
    Gone,
}

impl SlotRefusal {
    /// The stable word for the page.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Past => "slot_past",
            Self::OutsideHours => "slot_outside_hours",
            Self::Gone => "slot_gone",
        }
    }
}

impl fmt::Display for SlotRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Past => "the slot is over",
            Self::OutsideHours => "no slot is offered then",
            Self::Gone => "the slot cannot be had any more",
        })
    }
}

impl std::error::Error for SlotRefusal {}

/// Seats taken or held, by the start they were given; starts that are no slots any more count too.
pub type Taken = BTreeMap<u64, u32>;

/// How seats are counted: the same for a list of slots, for a seat that is held, and for one that is promised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SeatRule {
    /// How many may be busy at the same moment.
    seats: u32,
    /// How long a seat is busy from its start on: the slot and its buffer. At least 1.
    busy_ms: u64,
}

impl SeatRule {
    /// So many seats, each busy for so long.
    pub fn new(seats: u32, busy: Duration) -> Self {
        Self { seats, busy_ms: ms(busy).max(1) }
    }

    /// From which moment on and before which other one a seat must start to count for slots of this range.
    pub const fn beside(&self, first_start_ms: u64, last_start_ms: u64) -> (u64, u64) {
        (first_start_ms.saturating_add(1).saturating_sub(self.busy_ms), last_start_ms.saturating_add(self.busy_ms))
    }

    /// Seats free all through a slot and its buffer. Taken slots overlap it where starts lie closer than both are long:
    /// those busy at the same moment take a seat each, those one after the other may share one. The crowd only grows
    /// where a slot starts, so it is enough to look there.
    pub fn left(&self, start_ms: u64, taken: &Taken) -> u32 {
        let busy_at = |at: u64| {
            let since = at.saturating_sub(self.busy_ms - 1);
            taken.range(since..=at).fold(0_u32, |sum, (_, seats)| sum.saturating_add(*seats))
        };
        let later = taken.range(start_ms..start_ms.saturating_add(self.busy_ms)).map(|(start, _)| *start);
        let peak = later.map(busy_at).fold(busy_at(start_ms), u32::max);
        self.seats.saturating_sub(peak)
    }
}

/// Slots of one queue, or of one agent.
#[derive(Clone, Debug)]
pub struct Slots {
    hours: Hours,
    rules: SlotRules,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Slots {
    /// No list reaches further than this from its first possible start.
    pub const LIST_DAYS: u64 = 14;
    /// No list is longer.
    pub const LIST_MAX: usize = 500;

    /// Slots within opening hours.
    pub fn new(hours: Hours, rules: SlotRules) -> Result<Self, BadSlotRule> {
        let minute = Duration::from_secs(60);
        let whole_minutes = rules.every.subsec_nanos() == 0 && rules.every.as_secs().is_multiple_of(60);
        let search = Duration::from_millis(Hours::SEARCH_MS);
        let sound = [
            ("every", whole_minutes && (minute..=DAY).contains(&rules.every)),
            ("length", (minute..=DAY).contains(&rules.length)),
            ("lead", rules.lead <= search),
            ("horizon", rules.horizon <= search && rules.horizon >= rules.lead),
            ("buffer", rules.buffer <= DAY),
            ("seats", rules.seats > 0),
            ("refuse_before_close", rules.refuse_before_close <= DAY),
            ("asap_before_close", rules.asap_before_close <= DAY),
        ];
        match sound.iter().find(|(_, is_sound)| !is_sound) {
            Some((name, _)) => Err(BadSlotRule(name)),
            None => Ok(Self { hours, rules }),
        }
    }

    /// The slots that start from `from_ms` on and before `to_ms` and may be had by their time, taken ones too.
    pub fn list(&self, from_ms: u64, to_ms: u64, now_ms: u64, taken: &Taken) -> SlotPage {
        let first = from_ms.max(now_ms.saturating_add(ms(self.rules.lead)));
        let asked_end = to_ms.min(now_ms.saturating_add(ms(self.rules.horizon)).saturating_add(1));
        let days_end = first.saturating_add(Self::LIST_DAYS * ms(DAY));
        let end = asked_end.min(days_end);
        let mut page = SlotPage { slots: Vec::new(), more_from_ms: (asked_end > days_end).then_some(days_end) };
        let Some((_, local, _)) = self.hours.zone().local(first) else { return page };
        let mut date = local.date();
        // The clock may be set back over a midnight: one day more than the list is long can begin within it.
        for _ in 0..Self::LIST_DAYS + 2 {
            for start in self.starts_on(date) {
                if start >= end {
                    return page;
                }
                if start < first || !self.fits(start) {
                    continue;
                }
                if page.slots.len() == Self::LIST_MAX {
                    page.more_from_ms = Some(start);
                    return page;
                }
                page.slots.push(self.slot(start, taken));
            }
            let Ok(next) = date.tomorrow() else { return page };
            date = next;
        }
        page
    }

    /// Whether this start may be had.
    pub fn judge(&self, start_ms: u64, now_ms: u64, taken: &Taken) -> Result<Slot, SlotRefusal> {
        if start_ms < now_ms {
            return Err(SlotRefusal::Past);
        }
        let wait_ms = start_ms - now_ms;
        if wait_ms > ms(self.rules.horizon) || !self.is_start(start_ms) || !self.fits(start_ms) {
            return Err(SlotRefusal::OutsideHours);
        }
        let slot = self.slot(start_ms, taken);
        if wait_ms < ms(self.rules.lead) || slot.seats_left == 0 { Err(SlotRefusal::Gone) } else { Ok(slot) }
    }

    /// Whether somebody may still ask to be called at once: it is open, and not about to close.
    pub fn may_ask_now(&self, now_ms: u64) -> bool {
        self.hours.is_open_for(now_ms, ms(self.rules.refuse_before_close.max(self.rules.asap_before_close)))
    }

    /// Whether a slot starts at this moment, if it fits.
    fn is_start(&self, start_ms: u64) -> bool {
        let Some((at, local, _)) = self.hours.zone().local(start_ms) else { return false };
        let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
        let mut spans = self.hours.spans_around(local.date());
        let on_grid = spans.any(|span| span.contains(&minute) && (minute - span.start) % self.every_minutes() == 0);
        let is_whole_minute = local.second() == 0 && local.subsec_nanosecond() == 0;
        // The second time the clock shows this is no start.
        on_grid && is_whole_minute && self.first_shown(local) == Some(at)
    }

    /// The moments of a date at which slots start, if they fit: one for each time on the clock's face.
    fn starts_on(&self, date: Date) -> impl Iterator<Item = u64> {
        let every = usize::try_from(self.every_minutes()).unwrap_or(usize::MAX);
        let midnight = date.at(0, 0, 0, 0);
        let of_date = 0..i64::from(DAY_MINUTES);
        let minutes: BTreeSet<i64> = self
            .hours
            .spans_around(date)
            .flat_map(|span| span.step_by(every))
            .filter(|minute| of_date.contains(minute))
            .collect();
        minutes.into_iter().filter_map(move |minute| {
            let local = midnight.checked_add(SignedDuration::from_mins(minute)).ok()?;
            self.first_shown(local).and_then(unix_ms)
        })
    }

    fn every_minutes(&self) -> i64 {
        i64::try_from(self.rules.every.as_secs() / 60).unwrap_or(i64::MAX)
    }

    /// When the clock shows this, the first time; `None` if it never does.
    fn first_shown(&self, local: DateTime) -> Option<Timestamp> {
        let resolved = self.hours.zone().resolve(local, None)?;
        (resolved.occurrence != Occurrence::Skipped).then_some(resolved.at)
    }

    fn fits(&self, start_ms: u64) -> bool {
        self.hours.is_open_for(start_ms, ms(self.rules.length.max(self.rules.refuse_before_close)))
    }

    fn slot(&self, start_ms: u64, taken: &Taken) -> Slot {
        let end_ms = start_ms.saturating_add(ms(self.rules.length));
        Slot { start_ms, end_ms, seats_left: self.seat_rule().left(start_ms, taken) }
    }

    /// How their seats are counted.
    pub fn seat_rule(&self) -> SeatRule {
        SeatRule::new(self.rules.seats, self.rules.length.saturating_add(self.rules.buffer))
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
