//! Sounds a telephone network makes: ring-back per country.

/// Whose ring-back tone is heard.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Country {
    /// 440 Hz, 1.5 s on, 3.5 s off.
    #[default]
    France,
    /// 400 + 450 Hz, 0.4 s on, 0.2 s off, 0.4 s on, 2 s off.
    UnitedKingdom,
    /// 440 + 480 Hz, 2 s on, 4 s off.
    UnitedStates,
}
