//! Secrets that the program makes itself: a file of 64 hexadecimal digits beside the store, for its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rand::{TryRngCore, rngs::OsRng};

/// The secret in the file `STORE.NAME`, which is made when there is none. `what` says in a sentence what it is.
pub(crate) fn beside(store: &Path, name: &str, what: &str) -> Result<String, String> {
    let path = path(store, name);
    let wrong = |error: io::Error| format!("{what}, {}: {error}", path.display());
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(&path, &fresh()?).map_err(wrong)?;
            fs::read_to_string(&path)
        }
        read => read,
    };
    let secret = text.map_err(wrong)?.trim().to_owned();
    if secret.is_empty() {
        return Err(wrong(io::Error::other("it is empty: put the key back, or delete the file to begin anew")));
    }
    Ok(secret)
}

/// Where it is.
pub(crate) fn path(store: &Path, name: &str) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(format!(".{name}"));
    PathBuf::from(path)
}

/// A new one.
pub(crate) fn fresh() -> Result<String, String> {
    let mut key = [0_u8; 32];
    OsRng.try_fill_bytes(&mut key).map_err(|error| format!("the system gives no randomness: {error}"))?;
    Ok(key.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whole or not at all: of two who make it at once, the first one's stays.
fn make(path: &Path, key: &str) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(format!("{key}\n").as_bytes())?;
    file.sync_all()?;
    let linked = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    };
    fs::remove_file(&draft)?;
    linked?;
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
