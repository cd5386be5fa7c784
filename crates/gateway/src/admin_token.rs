//! The administrator's token: who shows it may do everything to the call-backs of every tenant.

use std::fs;

use crate::config::checked::Secret;
use crate::config::{AdminDoor, Config};
use crate::secret_file;

/// The end of the file's name beside the store.
const NAME: &str = "admin-token";

/// The configuration's token, or the one beside the store's file, which is made when there is none; `None` where neither
/// can be: a shared store has no place for it, and memory is gone with the process. Then there is no administrator.
pub(crate) fn of_the_gateway(config: &Config) -> Result<Option<Secret>, String> {
    if let Some(token) = &config.http.admin_token {
        return Ok(Some(token.clone()));
    }
    match config.store.path() {
        Some(store) => secret_file::beside(&store, NAME, "the administrator's token").map(Secret::new).map(Some),
        None => Ok(None),
    }
}

/// The same for a command beside a running gateway: it makes none.
pub(crate) fn of_a_command(door: &AdminDoor) -> Result<Secret, String> {
    if let Some(token) = &door.token {
        return Ok(token.clone());
    }
    let Some(store) = door.store.path() else {
        return Err(
            "there is no administrator's token: write admin_token_file = \"/etc/passerelle/admin.token\" under [http]"
                .to_owned(),
        );
    };
    let path = secret_file::path(&store, NAME);
    let token = fs::read_to_string(&path).map_err(|error| {
        format!(
            "the administrator's token, {}: {error}. A gateway makes it when it first starts: run this as the same user, \
             from the same folder",
            path.display()
        )
    })?;
    Ok(Secret::new(token.trim()))
}
