//! What is asked of a peer beyond plain calls, and what is granted when it asks: session timers, reliable
//! provisional answers. Each trunk has its own rule.

/// The rule for one peer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Extensions {
    /// Session timers (RFC 4028). `None`: neither asked for nor granted.
    pub session: Option<SessionTimer>,
    /// Reliable provisional answers (RFC 3262).
    pub reliable: Reliable,
}

impl Extensions {
    /// Every extension at the values most peers are content with.
    pub const USUAL: Self = Self { session: Some(SessionTimer::USUAL), reliable: Reliable::Supported };

    /// The option tags of Supported, as they stand in the header. Replaces (RFC 3891 §6.2) is no peer's to choose.
    pub(crate) fn supported(self) -> Vec<&'static str> {
        let reliable = (self.reliable != Reliable::Off).then_some(RELIABLE);
        self.session.map(|_| TIMER).into_iter().chain(reliable).chain([REPLACES]).collect()
    }
}

/// Option tag of RFC 3891 §6.2.
pub(crate) const REPLACES: &str = "replaces";

/// Option tag of RFC 3262 §8.
pub(crate) const RELIABLE: &str = "100rel";

/// Whether provisional answers are acknowledged (RFC 3262).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reliable {
    /// Neither asked for nor granted: who insists is answered 420.
    #[default]
    Off,
    /// Offered and granted; our own go reliably where they describe a session.
    Supported,
    /// Insisted on, both ways: a caller without it is answered 421.
    Required,
}

/// Option tag of RFC 4028 §3.
pub(crate) const TIMER: &str = "timer";

/// How long a session may stand without a sign of life, and who gives it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionTimer {
    /// Session-Expires we ask for.
    pub expires_s: u32,
    /// The shortest we accept; less is answered 422. At least 90 (RFC 4028 §4).
    pub min_se_s: u32,
    /// Who is to refresh.
    pub refresher: Refresher,
}

impl SessionTimer {
    /// RFC 4028 §4: 1800 s is recommended, and nothing below 90 s.
    pub const USUAL: Self = Self { expires_s: 1_800, min_se_s: 90, refresher: Refresher::Either };
}

/// Who refreshes a session, as a rule of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refresher {
    /// The far end may choose when we call; when it calls and does not mind, we do.
    Either,
    /// This side, unless the far end insists.
    Us,
    /// The far end, if it can.
    Peer,
}
