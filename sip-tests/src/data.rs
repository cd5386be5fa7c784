//! Where the committed test material lies, and how tests read it.

use std::path::PathBuf;

/// A path under `sip-tests/data`.
pub fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data").join(relative)
}

/// The octets of a file under `sip-tests/data`.
///
/// # Panics
/// Where the file is missing: the checkout is broken.
pub fn read(relative: &str) -> Vec<u8> {
    let path = path(relative);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text of a file under `sip-tests/data`.
///
/// # Panics
/// Where the file is missing or no UTF-8.
pub fn read_text(relative: &str) -> String {
    String::from_utf8(read(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// Every file with this ending in a folder under `sip-tests/data`: name and octets, sorted by name.
///
/// # Panics
/// Where the folder cannot be read.
pub fn folder(relative: &str, ending: &str) -> Vec<(String, Vec<u8>)> {
    files(&path(relative), ending)
}

/// Every file with this ending in any folder: name and octets, sorted by name.
///
/// # Panics
/// Where the folder cannot be read.
pub fn files(folder: &std::path::Path, ending: &str) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut list: Vec<(String, Vec<u8>)> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(name, _)| name.ends_with(ending))
        .map(|(name, path)| {
            let octets = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (name, octets)
        })
        .collect();
    list.sort();
    list
}
