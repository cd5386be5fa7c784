//! The single-node home: one SQLite file, one writer thread that commits in groups.

use std::path::Path;

use call::{CallId, CallRecord};

use crate::{Answer, CallQuery, OpenCall, Store, StoreError, StoreHealth};

/// How the file is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EmbeddedOptions {
    /// The file never grows beyond this; `None` is as the disk allows.
    pub max_file_bytes: Option<u64>,
    /// Writes that may wait for the disk; more are refused.
    pub max_waiting: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { max_file_bytes: None, max_waiting: 4_096 }
    }
}

/// A store in one file.
#[derive(Debug)]
pub struct Embedded {}

impl Embedded {
    /// Opens the file for this process alone, makes it if need be, brings its schema up to date.
    pub fn open(_path: &Path, _options: EmbeddedOptions) -> Result<Self, StoreError> {
        todo!()
    }

    /// Opens the file to read beside the process that owns it.
    pub fn open_reader(_path: &Path) -> Result<Self, StoreError> {
        todo!()
    }
}

impl Store for Embedded {
    fn open_call(&self, _call: OpenCall) -> Answer<'_, ()> {
        todo!()
    }
    fn close_call(&self, _record: CallRecord) -> Answer<'_, ()> {
        todo!()
    }
    fn calls(&self, _query: CallQuery) -> Answer<'_, Vec<CallRecord>> {
        todo!()
    }
    fn call(&self, _id: CallId) -> Answer<'_, Option<CallRecord>> {
        todo!()
    }
    fn close_interrupted(&self, _at_unix_ms: u64) -> Answer<'_, u64> {
        todo!()
    }
    fn health(&self) -> Answer<'_, StoreHealth> {
        todo!()
    }
}
