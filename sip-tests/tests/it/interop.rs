//! Real peers: Chromium, baresip, the release binary. Run with `RUN_SLOW_TESTS=1` (`make test` does).

mod book_away;
mod callback;
mod chaos;
mod console;
mod demo;
mod doctor;
mod ends;
mod failover;
mod flood;
mod garbage;
mod ladder;
mod leaks;
mod nat;
mod phones;
mod reload;
mod rush;
mod scene;
mod sipp;
mod slot;
mod srtp;
mod talk;
mod transfer;
mod trunk;

use sip_tests::baresip::Baresip;
use sip_tests::visitor::Visitor;

/// Says why real peers cannot be used here; `None` when they can.
fn missing() -> Option<String> {
    if std::env::var_os("RUN_SLOW_TESTS").is_none() {
        return Some("RUN_SLOW_TESTS is not set".to_owned());
    }
    if !Baresip::installed() {
        return Some("Debian package baresip-core is not installed".to_owned());
    }
    Visitor::installed().err()
}

/// Leaves the test, saying so, when a peer is missing.
macro_rules! need_peers {
    () => {
        if let Some(why) = crate::interop::missing() {
            eprintln!("SKIPPED {}: {why}", module_path!());
            return;
        }
    };
}
use need_peers;
