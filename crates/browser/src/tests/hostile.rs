//! Strangers and liars: SECURITY's M1 to M11 against one leg.
