//! Signalling: RFC 3261 and friends as state machines over its own messages.
