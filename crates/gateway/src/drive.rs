//! Drivers between the rooms: one loop per pure room, translating words, deciding nothing.

pub(crate) mod call;
pub(crate) mod callbacks;
pub(crate) mod calls;
pub(crate) mod console;
pub(crate) mod desk;
pub(crate) mod inbound;
pub(crate) mod media;
pub(crate) mod messages;
pub(crate) mod sip;
pub(crate) mod tags;
pub(crate) mod web;
