//! The names of keys. All begin with `passerelle:`; a part that came from outside cannot look like two.
//!
//! ```text
//! callback:ID  hash     row (row.rs), queue, change, manage, node and until of its lease, request
//! wake         by time  when an open one must be looked at       open, open:TENANT    by asked  those that are not over
//! asked, asked:TENANT, number:NUMBER              by asked  all  promised:TENANT:QUEUE  by promised  open ones
//! waiting:TENANT:NUMBER  the open one of a number                request:TENANT:KEY   what a request made
//! session:TENANT:SESSION  set  the open ones that a web session asked for
//! holds:TENANT  hash    held seats: queue, start, until, holder, source      hold:ID             its tenant, expires
//! call:ID      hash     row, version of its form, ended or not   calls, calls:TENANT  by start  those that have ended
//! calling:PROCESS  set  its open calls       processes  set      process:PROCESS      its heartbeat, expires
//! message:ID   hash     kind, destination, payload, tries    messages   by when each may be sent
//! suppressed   by time  keyed hashes of numbers not to be called   suppression  by whom and key   suppression-keys  counts
//! tally:DAY:NAME  what was used up of a budget that day, expires
//! schema       the form of all this          probe      counts the probes of `health`
//! ```

/// The form of the keys written now. 2: a call-back's row is short (`row.rs`), and what it says stands nowhere else in its
/// hash; rows of before are read as they are.
pub(super) const SCHEMA: u32 = 2;

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
}
