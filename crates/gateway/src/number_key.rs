//! The key under which numbers not to be called are hashed, and the hashes made with it.
//!
//! A telephone number has so few digits that only a key keeps its hash from being searched for: so the key does not lie in
//! the store. Another key finds none of the numbers kept under the old one; each kept row names its key, and a start that
//! finds rows of another says so.

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use store::NumberHash;

use crate::config::Config;
use crate::secret_file;

/// See the module.
#[derive(Clone)]
pub(crate) struct NumberKey(Vec<u8>);

impl NumberKey {
    /// The configuration's key, or the one beside the store's file, which is made when there is none.
    pub(crate) fn of(config: &Config) -> Result<Self, String> {
        if let Some(key) = &config.callback.number_key {
            return Ok(Self(key.expose().as_bytes().to_vec()));
        }
        match config.store.path() {
            Some(store) => Self::beside(&store),
            // A shared store has no callers-back without a key, and memory forgets its list with the process.
            None => Self::for_this_process(),
        }
    }

    /// One that is gone with the process.
    pub(crate) fn for_this_process() -> Result<Self, String> {
        secret_file::fresh().map(|key| Self(key.into_bytes()))
    }

    fn beside(store: &Path) -> Result<Self, String> {
        secret_file::beside(store, "number-key", "the key of the numbers not to be called")
            .map(|key| Self(key.into_bytes()))
    }

    /// Its name in the list: says which key it is, and nothing of it.
    pub(crate) fn id(&self) -> String {
        hex(self.mac(&[b"passerelle number key 1"]).get(..8).unwrap_or_default())
    }

    /// A number, not to be called at all or not by one tenant.
    pub(crate) fn number(&self, tenant: Option<&str>, e164: &str) -> NumberHash {
        NumberHash(self.mac(&[b"passerelle number 1\0", tenant.unwrap_or_default().as_bytes(), b"\0", e164.as_bytes()]))
    }

    /// A web session, by a name that is nobody's.
    pub(crate) fn session(&self, tenant: &str, session: &str) -> String {
        let mac = self.mac(&[b"passerelle session 1\0", tenant.as_bytes(), b"\0", session.as_bytes()]);
        hex(mac.get(..16).unwrap_or_default())
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes a key of any length.
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0) else { return [0; 32] };
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &str = "+33612345678";

    #[test]
    fn a_hash_depends_on_the_key_the_tenant_and_the_number() {
        let key = NumberKey(b"0123456789abcdef".to_vec());
        let other = NumberKey(b"0123456789abcdeg".to_vec());
        let hash = key.number(None, NUMBER);
        assert_eq!(hash, key.number(None, NUMBER));
        let differs = [key.number(Some("shop"), NUMBER), key.number(None, "+33612345679"), other.number(None, NUMBER)];
        assert!(differs.iter().all(|one| *one != hash));
        assert_ne!(key.number(Some("shop"), NUMBER), key.number(Some("shop2"), NUMBER));
        assert_ne!(key.id(), other.id());
        assert_ne!(key.session("a", "b"), key.session("ab", ""));
    }

    #[test]
    fn without_one_in_the_configuration_a_key_is_made_once_for_the_owner_alone() {
        use std::fs;
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("passerelle-number-key-{}", std::process::id()));
        let store = folder.join("data/shop.db");
        let first = NumberKey::beside(&store).unwrap();
        assert_eq!(NumberKey::beside(&store).unwrap().id(), first.id(), "a second start has the same");
        let path = folder.join("data/shop.db.number-key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.join("data")).unwrap().count(), 1, "no draft stays");
        fs::write(&path, "\n").unwrap();
        assert!(NumberKey::beside(&store).err().unwrap().contains("it is empty"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
