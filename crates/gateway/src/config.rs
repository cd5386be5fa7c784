//! The configuration: one commented TOML file, read once, every mistake in it named.
//!
//! Three steps: `shape` brings the text into the structs of `file`, as typed; `check` makes [`Config`] of it, which the
//! program may use; `problem` shows what is wrong. Nothing guesses: a file with one mistake is refused whole, with all
//! its mistakes.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub(crate) mod change;
mod check;
pub mod checked;
mod file;
mod problem;
mod secret;
mod shape;
mod suggest;

#[cfg(test)]
mod tests;

pub use checked::Config;
pub use problem::{ConfigErrors, Problem, Severity, render};

use check::Checker;
use secret::{Machine, SecretSource};

/// The configuration of `passerelle demo`, as text.
pub const DEMO: &str = include_str!("../../../config/demo.toml");

/// A longer file is not a configuration.
const FILE_BYTES_MAX: u64 = 1_048_576;

/// What one reading of a file found.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The file's name as it was given.
    pub name: String,
    /// Its text, with secrets written into it blotted out.
    pub source: String,
    /// Errors and warnings, in the order of the file.
    pub problems: Vec<Problem>,
    /// Present when there is no error.
    pub config: Option<Config>,
}

/// Reads and checks the file at `path`.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    examine(path).into_config()
}

/// Where the demo listens and keeps its records, when not where it is used to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DemoPlace {
    /// Port of the pages.
    pub http_port: u16,
    /// Port of SIP.
    pub sip_port: u16,
    /// First port of browsers' sound.
    pub webrtc_port: u16,
    /// First of a thousand ports of phones' sound, even.
    pub rtp_port: u16,
    /// Folder of the store.
    pub data: PathBuf,
}

impl Default for DemoPlace {
    fn default() -> Self {
        Self { http_port: 8080, sip_port: 5060, webrtc_port: 3480, rtp_port: 20_000, data: PathBuf::from("data") }
    }
}

/// The configuration of `passerelle demo`: loopback, an echo, two agents, a telephone, an embedded store.
pub fn demo(place: &DemoPlace) -> Result<Config, ConfigErrors> {
    examine_text("the demo's configuration", &demo_text(place), &Machine, true).into_config()
}

/// `config/demo.toml` at another place.
fn demo_text(place: &DemoPlace) -> String {
    let store = format!("sqlite:{}", place.data.join("demo.db").display());
    DEMO.replace(":8080\"", &format!(":{}\"", place.http_port))
        .replace(":5060\"", &format!(":{}\"", place.sip_port))
        // The telephone inside the program is near its SIP port.
        .replace(":5062\"", &format!(":{}\"", place.sip_port.saturating_add(2)))
        .replace(":3480\"", &format!(":{}\"", place.webrtc_port))
        .replace("20000-20999", &format!("{}-{}", place.rtp_port, u32::from(place.rtp_port) + 999))
        .replace("\"sqlite:data/demo.db\"", &toml::Value::String(store).to_string())
}

/// What a command beside a running gateway needs of its configuration. Secrets are not read, so it may run as another
/// user.
#[derive(Clone, Debug)]
pub struct Glance {
    /// Where the running gateway answers HTTP.
    pub http_listen: SocketAddr,
    /// Its store.
    pub store_url: String,
}

/// Reads the sections `[http]` and `[store]` of the file at `path`, or of the demo.
pub fn glance(path: Option<&Path>) -> Result<Glance, ConfigErrors> {
    // What is wrong elsewhere is another command's.
    let look = look(path, |checker, file| Glance {
        http_listen: checker.http_listen(&file.http),
        store_url: checker.store(&file.store).url,
    })?;
    look.judged(false)
}

/// Where the gateway of this file, or of the demo, is reached by its administrator, and what shows that he is one.
#[derive(Debug)]
pub struct AdminDoor {
    /// `[http] listen`
    pub listen: SocketAddr,
    /// The token in the configuration.
    pub token: Option<checked::Secret>,
    /// Beside it is the token that the gateway made.
    pub store: checked::Store,
}

/// See [`AdminDoor`].
pub fn admin_door(path: Option<&Path>) -> Result<AdminDoor, ConfigErrors> {
    let look = look(path, |checker, file| AdminDoor {
        listen: checker.http_listen(&file.http),
        token: checker.admin_token(&file.http),
        store: checker.store(&file.store),
    })?;
    look.judged(false)
}

/// The queues of the file at `path`, or of the demo. Secrets are not read.
pub fn queues(path: Option<&Path>) -> Result<Vec<checked::Queue>, ConfigErrors> {
    look(path, |checker, file| checker.queues(file))?.judged(true)
}

/// Some part of a configuration.
struct Look<T> {
    part: T,
    name: String,
    source: String,
    /// Of the file's shape, anywhere.
    of_shape: Vec<Problem>,
    /// Of what was looked at.
    of_part: Vec<Problem>,
}

impl<T> Look<T> {
    /// The part, unless something is wrong with it; or, where the whole shape counts, with that.
    fn judged(self, shape_counts: bool) -> Result<T, ConfigErrors> {
        let of_shape = self.of_shape.into_iter().filter(|_| shape_counts);
        let mut problems: Vec<Problem> =
            of_shape.chain(self.of_part).filter(|problem| problem.severity == Severity::Error).collect();
        problems.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        if problems.is_empty() {
            Ok(self.part)
        } else {
            Err(ConfigErrors { name: self.name, source: self.source, problems })
        }
    }
}

fn look<T>(path: Option<&Path>, at: impl FnOnce(&mut Checker<'_>, &file::File) -> T) -> Result<Look<T>, ConfigErrors> {
    let name = path.map_or_else(|| "the demo's configuration".to_owned(), |path| path.display().to_string());
    let text = match path.map(read) {
        None => DEMO.to_owned(),
        Some(Ok(text)) => text,
        Some(Err(problem)) => return Err(ConfigErrors { name, source: String::new(), problems: vec![problem] }),
    };
    let mut problems = Vec::new();
    let Some((file, removed)) = shape::read(&text, &mut problems) else {
        return Err(ConfigErrors { name, source: text, problems });
    };
    let mut checker =
        Checker { problems: Vec::new(), removed, secrets: &Machine, literals_allowed: true, hidden: Vec::new() };
    let part = at(&mut checker, &file);
    Ok(Look { part, name, source: text, of_shape: problems, of_part: checker.problems })
}

/// Reads and checks the file at `path`, and keeps its warnings too.
pub fn examine(path: &Path) -> Examined {
    let name = path.display().to_string();
    match read(path) {
        Ok(text) => examine_text(&name, &text, &Machine, false),
        Err(problem) => Examined { name, source: String::new(), problems: vec![problem], config: None },
    }
}

impl Examined {
    /// The configuration, or its errors.
    pub fn into_config(self) -> Result<Config, ConfigErrors> {
        let Self { name, source, problems, config } = self;
        config.ok_or(ConfigErrors { name, source, problems })
    }

    /// How many errors and how many warnings.
    pub fn count(&self) -> (usize, usize) {
        let errors = self.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        (errors, self.problems.len() - errors)
    }
}

fn read(path: &Path) -> Result<String, Problem> {
    let whole = |message: String, help: &str| Problem {
        severity: Severity::Error,
        message,
        span: None,
        help: Some(help.to_owned()),
    };
    let file = fs::File::open(path).map_err(|error| {
        whole(
            format!("cannot open it: {error}"),
            "start from config/passerelle.toml, and name the file with --config FILE",
        )
    })?;
    let mut octets = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut octets)
        .map_err(|error| whole(format!("cannot read it: {error}"), "it must be a file of text"))?;
    if octets.len() as u64 > FILE_BYTES_MAX {
        return Err(whole(
            format!("it is longer than {FILE_BYTES_MAX} bytes"),
            "it must be a TOML file; is it the right one?",
        ));
    }
    String::from_utf8(octets).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|&&octet| octet == b'\n').count() + 1;
        whole(format!("line {line} is not UTF-8 text"), "save the file as UTF-8")
    })
}

fn examine_text(name: &str, text: &str, secrets: &dyn SecretSource, literals_allowed: bool) -> Examined {
    let mut problems = Vec::new();
    // Where the syntax is wrong, what stands after it says nothing about what was meant: meaning is not judged then.
    let Some((file, removed)) = shape::read(text, &mut problems) else {
        return Examined { name: name.to_owned(), source: text.to_owned(), problems, config: None };
    };
    let mut checker = Checker { problems, removed, secrets, literals_allowed, hidden: Vec::new() };
    let config = checker.config(&file);
    let Checker { mut problems, hidden, .. } = checker;
    problems.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
    let sound = problems.iter().all(|problem| problem.severity == Severity::Warning);
    Examined { name: name.to_owned(), source: blot(text, &hidden), problems, config: sound.then_some(config) }
}

/// The text with `places` overwritten, each octet by one star, so that every other place stays where it is.
fn blot(text: &str, places: &[Range<usize>]) -> String {
    let mut octets = text.as_bytes().to_vec();
    for octet in places.iter().cloned().flatten() {
        if let Some(octet) = octets.get_mut(octet) {
            *octet = b'*';
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}
