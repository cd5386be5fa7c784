//! Seats of slots as visitors hold them: for two minutes, while a form is open.

use std::time::Duration;

use call::{QueueId, TenantId};
use desk::{SlotRefusal, Zone};
use rand::Rng;
use store::{Held, HoldId, HoldLimits, NewHold, SeatClaim};
use web::refusal::{self, NOT_FOUND};
use web::{HoldAsk, HoldBy, HoldView, Refusal};

use super::clerk::ms;
use super::door::{away, offered, slot_refusal};
use super::{Callbacks, Line};
use crate::clock;

/// So long a seat is held.
pub(super) const HOLD: Duration = Duration::from_secs(120);
/// Several may sit behind one address; nobody may empty a calendar from it.
const LIMITS: HoldLimits = HoldLimits { per_source: 8, per_tenant: 500 };

impl Line {
    /// Whose slots.
    pub(super) fn names(&self) -> (TenantId, QueueId) {
        (TenantId(self.tenant.clone()), QueueId(self.queue.clone()))
    }

    /// A seat that must be free.
    pub(super) fn seat(&self, hold: Option<HoldId>, now_unix_ms: u64) -> SeatClaim {
        SeatClaim { rule: self.config.slots.seat_rule(), hold, now_unix_ms }
    }
}

impl Callbacks {
    /// Holds a seat for a visitor; one he held before is free again.
    pub(crate) async fn hold(&self, ask: HoldAsk) -> Result<HoldView, Refusal> {
        let (now, id) = (clock::unix_ms(), HoldId(rand::rng().random()));
        let (line, holder) = match &ask.by {
            HoldBy::Visitor { tenant, queue, session } => {
                // The page says which session it is: from elsewhere the same word is another visitor.
                let who = if session.is_empty() { id.to_string() } else { session.clone() };
                (self.line(tenant, queue), format!("visitor {} {who}", ask.place))
            }
            HoldBy::Callback { id, key } => {
                let kept = self.opened(id, key).await?;
                (self.line(&kept.callback.tenant().0, &kept.callback.queue().0), format!("callback {id}"))
            }
        };
        let line = line.ok_or(NOT_FOUND)?;
        let wanted = offered(line, &ask.start, &ask.tz, now, Duration::ZERO)?;
        let hold = NewHold {
            id,
            queue: line.names(),
            start_unix_ms: wanted.unix_ms,
            rule: line.config.slots.seat_rule(),
            holder,
            source: ask.place,
            now_unix_ms: now,
            hold: HOLD,
            limits: LIMITS,
        };
        match self.home.hold_seat(hold).await.map_err(away)? {
            Held::Yes => {}
            Held::Full => return Err(slot_refusal(SlotRefusal::Gone)),
            Held::TooMany => return Err(refusal::TOO_MANY_HOLDS),
        }
        let site = line.hours.as_ref().map(|hours| hours.zone().clone());
        let zone = Zone::named(&wanted.zone).ok().or(site).or_else(|| Zone::named("UTC").ok());
        let told = |at: u64| zone.as_ref().and_then(|zone| zone.rfc3339(at)).unwrap_or_default();
        let until = told(now.saturating_add(ms(HOLD)));
        Ok(HoldView { hold: id.to_string(), start: told(wanted.unix_ms), until, held_s: HOLD.as_secs() })
    }

    /// Lets go of a seat that was held.
    pub(crate) async fn release(&self, hold: &str) -> Result<(), Refusal> {
        match hold.parse() {
            Ok(hold) => self.home.release_seat(hold).await.map_err(away),
            Err(_) => Ok(()),
        }
    }
}
