//! Legs and bridges: the B2BUA as one state table.
