//! Another configuration of the trunks while calls are up: what did not change is not touched.
//!
//! A trunk that moved to another place, or is gone, stays as an entry that takes no new call until the last call that
//! began with it is over: each call goes by one configuration from its first packet to its last.

use std::sync::Arc;

use sip::endpoint::{Endpoint, RegistrationRef};
use sip::target::Probing;
use tracing::info;

use super::{TrunkKey, Trunks};
use crate::clock;
use crate::config::checked::Trunk;
use crate::observe::metric::{self, Metric};

/// What DNS has to do about it.
#[derive(Debug, Default, Eq, PartialEq)]
pub(in crate::drive::sip) struct Moves {
    /// New ones to be looked up.
    pub(in crate::drive::sip) follow: Vec<TrunkKey>,
    /// To be looked up no more.
    pub(in crate::drive::sip) leave: Vec<TrunkKey>,
}

impl Trunks {
    /// These are the trunks now.
    pub(in crate::drive::sip) fn change(&mut self, trunks: Vec<Arc<Trunk>>, endpoint: &mut Endpoint) -> Moves {
        let mut moves = Moves::default();
        let before = self.keys();
        let mut stay = Vec::new();
        let mut come = Vec::new();
        for (place, trunk) in trunks.into_iter().enumerate() {
            let known = self.named(&trunk.name).map(|(key, entry)| (key, is_same_place(&entry.trunk, &trunk)));
            match known {
                Some((key, true)) => {
                    self.adopt(key, trunk, place, endpoint);
                    stay.push(key);
                }
                Some((_, false)) | None => come.push((trunk, place)),
            }
        }
        for key in before.into_iter().filter(|key| !stay.contains(key)) {
            self.retire(key, endpoint);
            moves.leave.push(key);
        }
        for (trunk, place) in come {
            let name = trunk.name.clone();
            let mut left = self.entries.values().rev().filter(|entry| entry.leaves && entry.trunk.name == name);
            let waits_for = left.find_map(|entry| entry.waits_for);
            let key = self.enter(trunk, place, waits_for);
            info!(trunk = name, "a trunk is added");
            moves.follow.push(key);
        }
        self.let_in(endpoint);
        self.forget_left();
        moves
    }

    /// The same trunk at the same place, by other rules.
    fn adopt(&mut self, key: TrunkKey, trunk: Arc<Trunk>, place: usize, endpoint: &mut Endpoint) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.place = place;
        let before = std::mem::replace(&mut entry.trunk, trunk);
        let trunk = &entry.trunk;
        if Arc::ptr_eq(&before, trunk) {
            return;
        }
        entry.caps.limit(trunk.calls_per_second_max, trunk.calls_max);
        entry.group.probe(Probing { every: trunk.options_interval });
        info!(trunk = trunk.name, "a trunk has other rules");
        if registers_as(&before) != registers_as(trunk) {
            match self.unregister(key, endpoint) {
                // It registers anew when the old one is taken back: an answer to that must not take the new one away.
                Some(old) => {
                    if let Some(entry) = self.entries.get_mut(&key) {
                        entry.waits_for = Some(old);
                    }
                }
                None => self.register(key, None, endpoint),
            }
        }
    }

    /// Takes no new call from now on.
    fn retire(&mut self, key: TrunkKey, endpoint: &mut Endpoint) {
        let unregistered = self.unregister(key, endpoint);
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.leaves = true;
        entry.waits_for = unregistered.or(entry.waits_for);
        info!(trunk = entry.trunk.name, calls = entry.caps.up(), "a trunk takes no new calls");
    }

    fn unregister(&mut self, key: TrunkKey, endpoint: &mut Endpoint) -> Option<RegistrationRef> {
        let entry = self.entries.get_mut(&key)?;
        let old = entry.registration.take()?;
        metric::gauge_with(Metric::TrunkRegistered, &entry.trunk.name, 0.0);
        endpoint.unregister(old.id, clock::now());
        self.leaving.insert(old.id);
        Some(old.id)
    }

    /// A registration is taken back: who waited for that registers.
    pub(super) fn end_waiting(&mut self, id: RegistrationRef, endpoint: &mut Endpoint) {
        let waiting = self.entries.iter_mut().filter(|(_, entry)| entry.waits_for == Some(id));
        let waiting: Vec<TrunkKey> = waiting
            .map(|(key, entry)| {
                entry.waits_for = None;
                *key
            })
            .collect();
        for key in waiting {
            self.register(key, None, endpoint);
        }
    }

    /// Lets go of the trunks that have left and that no call goes by any more.
    pub(in crate::drive::sip) fn forget_left(&mut self) {
        self.entries.retain(|_, entry| !entry.leaves || entry.caps.up() > 0 || Arc::strong_count(&entry.trunk) > 1);
    }
}

/// Whether requests go to the same place in the same way: then what is known of its health holds.
fn is_same_place(old: &Trunk, new: &Trunk) -> bool {
    let place = |trunk: &Trunk| (trunk.host.clone(), trunk.port, trunk.transport, trunk.tls.clone());
    place(old) == place(new) && old.places == new.places
}

/// What a registrar sees of it.
fn registers_as(trunk: &Trunk) -> impl PartialEq + use<> {
    (
        trunk.register,
        trunk.username.clone(),
        trunk.realm.clone(),
        trunk.password.clone(),
        trunk.register.then_some(trunk.register_expires),
    )
}
