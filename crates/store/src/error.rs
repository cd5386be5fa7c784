//! What can go wrong with a store, in words for the operator.

use std::fmt;

/// What went wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StoreError {
    /// The address is not one of a store.
    BadUrl(String),
    /// Nothing to read there.
    NoSuchFile(String),
    /// Another process owns this file.
    InUse(String),
    /// The file was written by a newer program.
    Newer {
        /// Its schema.
        found: u32,
        /// The newest schema known here.
        known: u32,
    },
    /// The file is not a database, or is damaged.
    Damaged(String),
    /// The disk, or the bound on the file's size, is full.
    Full(String),
    /// Any other fault of the disk or the file system.
    Disk(String),
    /// Nobody answers at the store's address: nothing was done.
    Unreachable(String),
    /// The server of the store is there and says no: nothing was done.
    Refused(String),
    /// Too many writes wait already.
    Overloaded,
    /// No answer in time; the write may still be done, and may be asked for again.
    Slow,
    /// This store was opened for reading.
    ReadOnly,
    /// The store has been shut.
    Closed,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl(url) => {
                write!(f, "\"{url}\" is no store: write \"sqlite:PATH\", \"redis://HOST:PORT/DB\" or \"memory:\"")
            }
            Self::NoSuchFile(path) => write!(f, "nothing to read at {path}"),
            Self::InUse(path) => write!(
                f,
                "{path} belongs to another running process: stop that one, or give this one a file of its own"
            ),
            Self::Newer { found, known } => {
                write!(f, "the store has schema {found}, this program knows up to {known}: use the newer program")
            }
            Self::Damaged(text) => write!(f, "the store is damaged: {text}"),
            Self::Full(text) => write!(f, "no room left for the store: {text}"),
            Self::Disk(text) => write!(f, "the store's disk fails: {text}"),
            Self::Unreachable(text) => write!(f, "the store cannot be reached: {text}"),
            Self::Refused(text) => write!(f, "the store refuses: {text}"),
            Self::Overloaded => f.write_str("too many writes wait for the store"),
            Self::Slow => f.write_str("the store does not answer"),
            Self::ReadOnly => f.write_str("the store was opened for reading"),
            Self::Closed => f.write_str("the store is shut"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(text),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged(text),
            // The code list is the library's and grows: whatever else it says is the disk's fault.
            Some(_) | None => Self::Disk(text),
        }
    }
}
