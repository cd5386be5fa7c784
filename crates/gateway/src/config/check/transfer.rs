//! Where a PBX may have a call of ours transferred: never to an outside number, whatever it asks for.

use toml::Spanned;

use super::Checker;
use crate::config::checked::{TransferPolicy, TransferRule};
use crate::config::file;

/// More digits than this are an outside number, not an extension.
const EXTENSION_DIGITS_MAX: usize = 6;
/// Longest user name.
const USER_BYTES_MAX: usize = 64;

impl Checker<'_> {
    pub(super) fn transfer(&mut self, trunk: &file::Trunk) -> TransferPolicy {
        let words = [("off", TransferRule::Off), ("agents", TransferRule::Agents), ("trunk", TransferRule::Trunk)];
        let rule = self.word(&trunk.transfer, "transfer", TransferRule::Trunk, &words);
        let mut users = Vec::new();
        for item in trunk.transfer_to.iter().flat_map(|key| key.get_ref()) {
            if self.is_inside(item) {
                users.push(item.get_ref().clone());
            }
        }
        TransferPolicy { rule, users }
    }

    /// An extension or a name at the PBX: `601`, `sales`, or `6??` for three digits that begin with 6.
    fn is_inside(&mut self, item: &Spanned<String>) -> bool {
        let typed = item.get_ref();
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '?');
        if typed.is_empty() || typed.len() > USER_BYTES_MAX || !typed.chars().all(sound) {
            let help = "write an extension: \"601\", \"sales\", or \"6??\" for three digits that begin with 6";
            self.error(item, &format!("`{typed}` is no user of a PBX"), help);
            return false;
        }
        let digits = typed.chars().all(|c| c.is_ascii_digit() || c == '?');
        if digits && (typed.len() > EXTENSION_DIGITS_MAX || typed.starts_with(['0', '?'])) {
            let message = format!("`{typed}` may be an outside number, and a transfer never leads outside");
            let help = "write extensions of at most six digits, the first of them given and not 0: \"6??\"";
            self.error(item, &message, help);
            return false;
        }
        true
    }
}
