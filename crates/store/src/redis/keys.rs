//! The names of keys. All begin with `passerelle:`; a part that came from outside cannot look like two.
//!
//! ```text
//! cb:ID        value    a call-back (kept.rs)                    due          by time  when an open one must be looked at
//! live:TENANT, over:TENANT  by asked  open ones, and the others  seats:TENANT:QUEUE  by promised  open ones
//! numbers:SHARE by asked  a spot and an id: all of a number      tenants set, kept number  of call-backs
//! spots:SHARE  hash     what a request made, the open one of a number at a tenant, the open ones of a web session
//! holds:TENANT  hash    held seats: queue, start, until, holder, source      hold:ID             its tenant, expires
//! call:ID      hash     row, version of its form, ended or not   calls, calls:TENANT  by start  those that have ended
//! calling:PROCESS  set  its open calls       processes  set      process:PROCESS      its heartbeat, expires
//! message:ID   hash     kind, destination, payload, tries    messages   by when each may be sent
//! suppressed   by time  keyed hashes of numbers not to be called   suppression  by whom and key   suppression-keys  counts
//! tally:DAY:NAME  what was used up of a budget that day, expires
//! schema       the form of all this          probe      counts the probes of `health`
//! migrating    there while older forms are brought up to date        unreadable:ID  what nobody could read of them
//! ```
//! Ids of call-backs are 16 bytes, in keys and in orders. All of it is in memory, and a key of its own costs a hundred bytes
//! before it says anything: what each number, request and session leads to stands in one of 16,384 keys that share them (`Spot`).

use desk::CallbackId;
use sha2::{Digest, Sha256};

/// The form of the keys written now. 3: call-backs are values, not hashes, and found by fewer keys (migrate.rs makes them
/// of those of schema 1 and 2).
pub(super) const SCHEMA: u32 = 3;

/// Where something stands that is found by a text: in which of the keys that share such, and as what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Spot([u8; Self::BYTES]);

impl Spot {
    const BYTES: usize = 12;
    /// As much of it tells numbers apart, that are looked at one by one.
    const SHORT_BYTES: usize = 8;

    /// That of these parts.
    pub(super) fn of(parts: &[&str]) -> Self {
        let mut spot = [0; Self::BYTES];
        spot.iter_mut().zip(Sha256::digest(key(parts))).for_each(|(to, from)| *to = from);
        Self(spot)
    }

    /// The key that has it.
    pub(super) fn key(self, kind: &str) -> String {
        key(&[kind, &format!("{:04x}", u16::from_be_bytes([self.0[0], self.0[1]]) >> 2)])
    }

    /// What it is called there.
    pub(super) fn name(&self) -> &[u8] {
        &self.0
    }

    /// What the call-backs of such a number are called there begins with this.
    pub(super) fn short(&self) -> &[u8] {
        self.0.first_chunk::<{ Self::SHORT_BYTES }>().map_or(&[], <[u8; Self::SHORT_BYTES]>::as_slice)
    }

    /// A call-back of such a number.
    pub(super) fn member(&self, id: CallbackId) -> Vec<u8> {
        [self.short(), id_bytes(id).as_slice()].concat()
    }

    pub(super) fn read(bytes: [u8; Self::BYTES]) -> Option<Self> {
        (bytes != [0; Self::BYTES]).then_some(Self(bytes))
    }

    pub(super) fn written(spot: Option<Self>) -> [u8; Self::BYTES] {
        spot.map_or([0; Self::BYTES], |spot| spot.0)
    }
}

/// An id as it stands in keys and orders.
pub(super) fn id_bytes(id: CallbackId) -> [u8; 16] {
    id.bits().to_be_bytes()
}

/// The id that these bytes are, or end with.
pub(super) fn id_of(bytes: &[u8]) -> Option<CallbackId> {
    bytes.last_chunk().map(|id| CallbackId::new(u128::from_be_bytes(*id)))
}

/// The key of a call-back.
pub(super) fn callback(id: CallbackId) -> Vec<u8> {
    [prefix("cb").as_bytes(), &id_bytes(id)].concat()
}

/// A key of these parts.
pub(super) fn key(parts: &[&str]) -> String {
    let mut key = String::from("passerelle");
    for part in parts {
        key.push(':');
        for letter in part.chars() {
            match letter {
                ':' => key.push_str("%3A"),
                '%' => key.push_str("%25"),
                letter => key.push(letter),
            }
        }
    }
    key
}

/// What the keys of such a kind begin with; an id follows, which needs no care.
pub(super) fn prefix(kind: &str) -> String {
    format!("{}:", key(&[kind]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_looks_like_two() {
        assert_eq!(key(&["waiting", "shop", "+33612345678"]), "passerelle:waiting:shop:+33612345678");
        assert_ne!(key(&["waiting", "a:b", "c"]), key(&["waiting", "a", "b:c"]));
        assert_ne!(key(&["waiting", "a%3Ab", "c"]), key(&["waiting", "a:b", "c"]));
        assert_eq!(prefix("call") + "7", key(&["call", "7"]));
    }

    #[test]
    fn a_spot_is_one_of_a_number_of_keys_and_a_name_of_its_own() {
        let (one, other) = (Spot::of(&["shop", "+33612345678"]), Spot::of(&["shop", "+33612345679"]));
        assert_ne!(one, other);
        assert_ne!(Spot::of(&["a:b", "c"]), Spot::of(&["a", "b:c"]));
        let keys: std::collections::BTreeSet<_> =
            (0..100_000).map(|number| Spot::of(&["shop", &number.to_string()]).key("waits")).collect();
        assert!((16_000..=16_384).contains(&keys.len()), "{}", keys.len());
        let id = CallbackId::new(7);
        assert_eq!(id_of(&one.member(id)), Some(id));
        assert!(one.member(id).starts_with(one.short()) && !one.member(id).starts_with(other.short()));
        assert_eq!((Spot::read(Spot::written(Some(one))), Spot::read(Spot::written(None))), (Some(one), None));
    }
}
