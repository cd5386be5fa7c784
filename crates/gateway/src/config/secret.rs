//! Where secrets come from: a file or the environment, never the configuration itself.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::checked::TlsFiles;
use crate::net::tls;

/// Reads what a `*_file` or `*_env` key names. A trait so that the commented example file can be checked in a test
/// without its files.
pub(super) trait SecretSource {
    /// The text of the file.
    fn file(&self, path: &str) -> Result<String, String>;
    /// The value of the variable.
    fn env(&self, name: &str) -> Result<String, String>;
    /// Whether these can be read and belong together; else a sentence that names the key.
    fn certificate(&self, files: &TlsFiles) -> Result<(), String>;
    /// Whether there are certificates of authorities in it.
    fn authorities(&self, file: &Path) -> Result<(), String>;
}

/// The machine's own files and environment.
pub(super) struct Machine;

/// A secret longer than this is a wrong file.
const SECRET_BYTES_MAX: u64 = 4_096;

impl SecretSource for Machine {
    fn file(&self, path: &str) -> Result<String, String> {
        let file = fs::File::open(path).map_err(|error| format!("cannot open it: {error}"))?;
        let mut text = String::new();
        file.take(SECRET_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(|error| format!("cannot read it: {error}"))?;
        if text.len() as u64 > SECRET_BYTES_MAX {
            return Err(format!("it is longer than {SECRET_BYTES_MAX} bytes"));
        }
        Ok(text)
    }

    fn env(&self, name: &str) -> Result<String, String> {
        std::env::var(name).map_err(|error| error.to_string())
    }

    fn certificate(&self, files: &TlsFiles) -> Result<(), String> {
        tls::Own::new(files).map(drop)
    }

    fn authorities(&self, file: &Path) -> Result<(), String> {
        tls::roots(Some(file)).map(drop)
    }
}
