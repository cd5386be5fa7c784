//! The configuration: one commented TOML file, read once, every mistake in it named.
//!
//! Two steps: `file` is the text as typed, `checked` what the program may use. Nothing between them guesses: a file
//! with one mistake is refused whole, with all its mistakes.

use std::path::Path;

pub mod checked;
mod problem;

pub use checked::Config;
pub use problem::{ConfigErrors, Problem};

/// Reads and checks the file at `path`.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    todo!("{}", path.display())
}

/// The configuration of `passerelle demo`, built into the program; its data lies under `data_dir`.
pub fn demo() -> Result<Config, ConfigErrors> {
    todo!()
}
