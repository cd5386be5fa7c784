//! What must survive: one trait, its homes, one contract test.
