//! Whole legs against a foreign WebRTC stack (`str0m`) over a network of memory, and against strangers.

mod hostile;
mod journeys;
mod offers;
mod openssl;
mod visitor;
