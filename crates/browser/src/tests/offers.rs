//! Offers as browsers write them, and as they should not.
