//! What keeps call-backs from being turned against people: the key of the numbers not to be called, the proof of work.

use std::time::Duration;

use web::ProofDemand;

use super::{Checker, SecretKeys};
use crate::config::checked::{Shield, Store};
use crate::config::file::File;
use crate::config::problem::Problem;
use crate::config::suggest;

/// A key shorter than this can be searched for.
const KEY_BYTES_MIN: usize = 16;

impl Checker<'_> {
    /// `[callback]`
    pub(super) fn shield(&mut self, file: &File, store: &Store) -> Shield {
        let table = &file.callback;
        let keys = SecretKeys {
            name: "number_key",
            literal: &table.number_key,
            file: &table.number_key_file,
            env: &table.number_key_env,
        };
        let number_key = self.secret(&keys);
        let given = table.number_key_file.as_ref().or(table.number_key_env.as_ref());
        if let (Some(secret), Some(key)) = (&number_key, given)
            && secret.expose().len() < KEY_BYTES_MIN
        {
            let message = format!("the number key has fewer than {KEY_BYTES_MIN} bytes");
            self.error(key, &message, "make one with: openssl rand -hex 32");
        }
        if given.is_none() && store.url.starts_with("redis:") {
            self.key_of_several(file);
        }
        // A year of the calendar has a quarter of a day more.
        let years = self.number(&table.suppress_years, "suppress_years", 3, 3..=30).unsigned_abs();
        Shield { number_key, suppress_for: Duration::from_secs(years * 31_557_600), proof: self.proof(file) }
    }

    /// Gateways that share a book must share the key; each would keep one of its own.
    fn key_of_several(&mut self, file: &File) {
        let store = &file.store;
        let shared = store.url.as_ref().or(store.url_file.as_ref()).or(store.url_env.as_ref());
        let calls_back = file.queue.iter().any(|queue| queue.get_ref().callback.is_some());
        if let (Some(key), true) = (shared, calls_back) {
            let message = "gateways that share a store need one key for the numbers not to be called";
            let help = "make one with: openssl rand -hex 32, give it to each, and write under [callback]: \
                        number_key_file = \"/etc/passerelle/number.key\"";
            self.problems.push(Problem::error(key.span(), message).help(help));
        }
    }

    fn proof(&mut self, file: &File) -> ProofDemand {
        match file.callback.proof_of_work.as_ref().map(|key| (key, key.get_ref().as_str())) {
            None | Some((_, "busy")) => ProofDemand::Busy,
            Some((_, "always")) => ProofDemand::Always,
            Some((_, "off")) => ProofDemand::Off,
            Some((key, other)) => {
                let message = format!("proof of work is never demanded `{other}`");
                self.error(key, &message, &suggest::mend(other, ["off", "busy", "always"], ""));
                ProofDemand::Busy
            }
        }
    }
}
