//! What `passerelle demo` adds: the echo agent, and the words that say how to try it.

pub(crate) mod agent;
pub(crate) mod banner;
