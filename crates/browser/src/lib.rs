//! The WebRTC leg, sans-I/O: ICE-lite, DTLS, SRTP and its SDP.
//!
//! ```text
//!             first octet (RFC 7983 §7)
//! datagram ──> 0..=3    STUN  ──> ice   the only way to become a known address
//!          ──> 20..=63  DTLS  ──> dtls  from known addresses only; keys after the fingerprint
//!          ──> 128..=191 SRTP ──> srtp  from known addresses only; authenticated before anything is learnt
//!                      (second octet 192..=223: SRTCP, RFC 5761 §4)
//! ```
//! # The poll contract
//! One input (`handle_datagram`, `handle_timeout`, `reoffer`, `close`), then drain `poll_transmit` and
//! `poll_event` to `None`, then sleep until `poll_timeout`. Time is always an argument.
//!
//! # Which leg is it?
//! All legs of a worker share one UDP port. A datagram from an address some leg [`BrowserLeg::knows`] is that
//! leg's. From any other address only a STUN binding request counts: [`check_ufrag`] says whose it claims to be
//! (look it up among every leg's [`BrowserLeg::ufrags`]), and after `handle_datagram` the leg knows the address
//! if, and only if, the check was authentic.
//!
//! # Left out on purpose
//! Full ICE, TURN and remote candidates (the browser's side finds the way), ICE-TCP, video and data channels
//! (their sections are refused), header extensions and reduced-size RTCP (not answered, so not sent), a DTLS
//! cookie (the password has proven the address), DTLS resumption, keys by SDES.
//!
//! RFCs: 8445 (ICE, the lite part), 8489 (STUN), 7675 (consent), 9147 and 6347 (DTLS, by `dimpl`), 5764
//! (DTLS-SRTP), 8122 (fingerprints), 3711 and 7714 (SRTP, by `rtc-srtp`), 8829, 8843 (SDP).

mod certificate;
mod demux;
mod dtls;
mod error;
mod ice;
mod keys;
mod leg;
mod sdp;
mod stun;
#[cfg(test)]
mod tests;

pub use certificate::Certificate;
pub use demux::{Kind, check_ufrag, kind};
pub use error::{DropReason, Error, FailReason, OfferError};
pub use leg::{BrowserEvent, BrowserLeg, CONSENT_LIMIT, HOLD_AFTER, LegConfig, Received, Timer, Transmit};
