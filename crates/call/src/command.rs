//! What a call orders: from its legs and from the bridge between them.

use crate::{Digit, HangupCause, LegId};

/// One order, to be carried out in the order given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallCommand {
    /// To a leg.
    Leg(LegId, LegCommand),
    /// To the bridge.
    Bridge(BridgeCommand),
}

/// An order to one leg. After [`LegCommand::End`] a leg gets no other, and must answer with
/// [`LegEvent::Ended`](crate::LegEvent::Ended) (or has crossed it with `Gone`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LegCommand {
    /// The visitor's leg: its offer is answered already, wait for its media to come up.
    Open,
    /// Call this candidate, with the tags and an SDP offer.
    Invite,
    /// Tell this leg that the far side rings (180, or the page's `ringing`).
    Ring,
    /// Tell this leg that the far side's sound comes before the answer (183 with SDP).
    Progress,
    /// Tell this leg that the far side answered (200, or the page's `talking`).
    Answered,
    /// End the leg, for this cause.
    End(HangupCause),
    /// Send a key press.
    Digit(Digit),
    /// Show that the far side has put the call on hold, or took it back.
    ShowHeld(bool),
}

/// An order to the bridge. After [`BridgeCommand::Close`] there is no other, and the bridge must
/// answer with [`BridgeEvent::Closed`](crate::BridgeEvent::Closed).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BridgeCommand {
    /// Play the ring-back tone to a leg, or stop it.
    Ringback {
        /// To whom.
        to: LegId,
        /// Start or stop.
        on: bool,
    },
    /// Ask a leg, again and again, to press key 1 if it takes the call; or stop asking.
    Prompt {
        /// Whom.
        to: LegId,
        /// Start or stop.
        on: bool,
    },
    /// Let sound flow between two legs, both ways.
    Connect {
        /// The first leg.
        a: LegId,
        /// The candidate.
        b: LegId,
    },
    /// Stop the flow.
    Disconnect,
    /// A leg put the call on hold: send it nothing, cover the silence for the other.
    Hold {
        /// Who holds.
        leg: LegId,
        /// On hold or back.
        on: bool,
    },
    /// The new leg takes the old one's place: what it was sent goes to the new one from now on, and what the new one
    /// says is heard. The old leg's quality is reported first.
    Replace {
        /// Whose place.
        leg: LegId,
        /// Who takes it.
        by: LegId,
    },
    /// Stop everything, report each leg's last quality, free the ports.
    Close,
}
