//! The replay window of RFC 3711 §3.3.2.

use rtc_shared::replay_detector::ReplayDetector;
use rtc_srtp::option::ContextOption;

/// A window whose numbers wrap after `highest`.
pub(super) fn window(highest: u64) -> ContextOption {
    Box::new(move || Box::new(Window { highest, last: None, seen: 0, candidate: 0 }))
}

/// Replay window of RFC 3711 §3.3.2: 128 numbers, moved by authentic packets only.
///
/// ```text
///   last-127 ……………… last-1  last │ newer: always looked at
///   bit 127  ……………… bit 1   bit 0│
/// ```
pub(super) struct Window {
    /// Numbers wrap after this one.
    pub(super) highest: u64,
    pub(super) last: Option<u64>,
    pub(super) seen: u128,
    pub(super) candidate: u64,
}

impl Window {
    /// How far `number` is ahead of `last`, the short way around; negative when behind.
    fn ahead(&self, number: u64, last: u64) -> i64 {
        let range = self.highest + 1;
        let forward = (number + range - last) % range;
        let signed = i64::try_from(forward).unwrap_or(0);
        if forward > range / 2 { signed - i64::try_from(range).unwrap_or(0) } else { signed }
    }
}

impl ReplayDetector for Window {
    fn check(&mut self, number: u64) -> bool {
        self.candidate = number;
        if number > self.highest {
            return false;
        }
        let Some(last) = self.last else {
            return true;
        };
        match self.ahead(number, last) {
            1.. => true,
            behind @ -127..=0 => self.seen & (1 << -behind) == 0,
            _ => false,
        }
    }

    fn accept(&mut self) {
        let Some(last) = self.last else {
            self.last = Some(self.candidate);
            self.seen = 1;
            return;
        };
        match self.ahead(self.candidate, last) {
            ahead @ 1.. => {
                let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
                self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1;
                self.last = Some(self.candidate);
            }
            behind @ -127..=0 => self.seen |= 1 << -behind,
            _ => {}
        }
    }
}
