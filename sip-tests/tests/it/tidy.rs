//! The house rules a compiler does not know: who may import whom, how files begin and how long they grow, what never
//! stands in the repository. A failure names the place and the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sip_tests::visitor::repository;

/// Which rooms a room may import, and why no other.
const ROOMS: &[(&str, &[&str], &str)] = &[
    ("sip", &[], "signalling knows messages and time; what a call is, is decided above it"),
    ("media", &[], "sound knows packets; it must run in a bench, a test and a worker without the rest"),
    ("call", &[], "the call's table holds for any signalling and any sound"),
    ("browser", &["media"], "a browser leg is a leg plan for the bridge, and nothing of calls or SIP"),
    ("desk", &["call"], "the desk judges calls; it neither carries nor keeps them"),
    ("store", &["desk", "call"], "what is kept is what desk and call say; nobody below writes rows"),
    ("web", &["desk", "call"], "the edge speaks to the house through its `Backend`"),
    ("gateway", &["browser", "call", "desk", "media", "sip", "store", "web"], "it joins all rooms"),
];

/// Sans-I/O rooms: bytes and time in, bytes and events out.
const PURE: &[&str] = &["sip", "media", "call", "browser", "desk"];
/// Runtimes and sockets: not even through another package.
const NOT_BELOW_PURE: &[&str] = &["tokio", "mio", "async-std", "smol", "socket2"];
/// Formats and logs belong to the edges (STYLE 14).
const NOT_IN_PURE: &[&str] = &["serde", "serde_json", "tracing", "log", "metrics", "libc"];

const LINES_MAX: usize = 900;
const FUNCTION_LINES_MAX: usize = 70;
/// Folders that hold nothing of ours.
const FOREIGN: &[&str] = &["target", "node_modules", ".git"];
/// A text file longer than this is data.
const TEXT_BYTES_MAX: u64 = 2_000_000;

/// The system the tests were built for, as `rustc` names it.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Packages for other systems were never fetched here, and a test fetches nothing.
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &host()])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn no_room_imports_what_it_must_not_know() {
    let metadata = metadata();
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|(room, ..)| *room).collect();
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for package in list(&metadata, "packages").iter().filter(|package| package["source"].is_null()) {
        let name = text(package, "name");
        let Some((_, allowed, why)) = ROOMS.iter().find(|(room, ..)| *room == name) else { continue };
        seen.insert(name);
        for dependency in list(package, "dependencies") {
            let wanted = text(dependency, "name");
            if rooms.contains(wanted) && !allowed.contains(&wanted) {
                wrong.push(format!("{name} must not import {wanted}: {why}"));
            }
            if PURE.contains(&name) && dependency["kind"].is_null() && NOT_IN_PURE.contains(&wanted) {
                wrong
                    .push(format!("{name} must not import {wanted}: formats, logs and the system belong to the edges"));
            }
        }
    }
    assert_eq!(seen, rooms, "every room is a package of the workspace");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_runtime_stands_below_a_pure_room() {
    let metadata = metadata();
    let names: BTreeMap<&str, &str> =
        list(&metadata, "packages").iter().map(|package| (text(package, "id"), text(package, "name"))).collect();
    let nodes: BTreeMap<&str, &Value> =
        list(&metadata["resolve"], "nodes").iter().map(|node| (text(node, "id"), node)).collect();
    let members: BTreeSet<&str> = list(&metadata, "workspace_members").iter().filter_map(Value::as_str).collect();
    let mut wrong = Vec::new();
    for room in PURE {
        let start = members.iter().find(|id| names.get(*id) == Some(room)).expect("a pure room is a member");
        let (mut open, mut seen) = (vec![(*start, (*room).to_owned())], BTreeSet::new());
        while let Some((id, path)) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            for dependency in list(nodes[id], "deps") {
                let is_normal = list(dependency, "dep_kinds").iter().any(|kind| kind["kind"].is_null());
                let (below, name) = (text(dependency, "pkg"), names[text(dependency, "pkg")]);
                if is_normal && NOT_BELOW_PURE.contains(&name) {
                    wrong.push(format!("{path} → {name}: a pure room has no socket, no task and no clock below it"));
                } else if is_normal {
                    open.push((below, format!("{path} → {name}")));
                }
            }
        }
        assert!(seen.len() > usize::from(*room != "call"), "{room} has dependencies to look at");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every file of ours below a folder, in order.
fn files(below: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(below) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_symlink() || FOREIGN.contains(&name.as_str()) || path == repository().join("data") {
            continue;
        }
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// Every text of ours below these folders with its path in the repository.
fn texts(folders: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in folders {
        files(&repository().join(folder), &mut found);
    }
    let small = |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| meta.len() <= TEXT_BYTES_MAX);
    let named = |path: PathBuf| {
        let name = path.strip_prefix(repository()).unwrap_or(&path).display().to_string();
        fs::read_to_string(&path).ok().map(|text| (name, text))
    };
    found.into_iter().filter(small).filter_map(named).collect()
}

fn sources(ending: &[&str]) -> Vec<(String, String)> {
    let mut sources = texts(&["crates", "sip-tests", "benches"]);
    sources.retain(|(name, _)| ending.iter().any(|ending| name.ends_with(ending)));
    assert!(sources.len() > 20, "the sources are found: {}", sources.len());
    sources
}

#[test]
fn every_file_says_what_it_is_for_and_stays_readable() {
    let mut wrong = Vec::new();
    for (name, source) in sources(&[".rs"]) {
        if !source.starts_with("//!") {
            wrong.push(format!("{name} must begin with `//!` and what it is for"));
        }
        let lines = source.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{name} has {lines} lines; above {LINES_MAX} nobody reads it whole"));
        }
        for (line, function, length) in
            functions(&source).into_iter().filter(|(.., length)| *length > FUNCTION_LINES_MAX)
        {
            wrong.push(format!("{name}:{line} {function} has {length} lines; a function above {FUNCTION_LINES_MAX} does more than one thing"));
        }
    }
    for (name, source) in sources(&[".js", ".mjs"]) {
        if !["//", "/*"].iter().any(|start| source.starts_with(start)) {
            wrong.push(format!("{name} must begin with a comment that says what it is for"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// First line, name and length of each function: in formatted code it ends at a brace of its own indentation.
fn functions(source: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.strip_suffix(code).unwrap_or_default();
        let words = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async "];
        let bare = words.iter().fold(code, |code, word| code.strip_prefix(word).unwrap_or(code));
        let Some(rest) = bare.strip_prefix("fn ") else { continue };
        if line.ends_with('}') || line.ends_with(';') {
            continue;
        }
        let name = rest.split(['(', '<']).next().unwrap_or_default().to_owned();
        let end = format!("{indent}}}");
        let declared = format!("{indent});");
        let length = lines[at..]
            .iter()
            .position(|line| *line == end || line.starts_with(&declared))
            .map_or(lines.len() - at, |more| more + 1);
        found.push((at + 1, name, length));
    }
    found
}

#[test]
fn the_measure_of_functions_measures() {
    let source = "impl A {\n    pub(crate) async fn one(\n        &self,\n    ) {\n        go();\n    }\n}\nfn two() -> u8 { 2 }\nfn three() {\n}\n";
    assert_eq!(functions(source), [(2, "one".to_owned(), 5), (9, "three".to_owned(), 2)]);
}

#[test]
fn nothing_unfinished_and_nothing_unbounded_is_left() {
    // Joined here, so that this file does not find itself.
    let forbidden = [
        (concat!("todo", "!("), "a promise is not code"),
        (concat!("unimplemented", "!("), "a promise is not code"),
        (concat!("dbg", "!("), "left over from looking for a fault"),
        (concat!("unbounded", "_channel"), "every queue has a bound, a drop policy and a counter"),
    ];
    let mut wrong = Vec::new();
    for (name, source) in sources(&[".rs"]) {
        for (at, line) in source.lines().enumerate() {
            for (word, why) in forbidden.iter().filter(|(word, _)| line.contains(word)) {
                wrong.push(format!("{name}:{} {word}: {why}", at + 1));
            }
        }
        let stem = Path::new(&name).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if ["util", "utils", "common", "helper", "helpers", "misc"].contains(&stem.as_str()) {
            wrong.push(format!("{name}: a file is named after what it is about"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_of_a_developers_machine_is_in_the_repository() {
    let forbidden = [
        (concat!("/wo", "rk/"), "a path of one machine"),
        (concat!("/ho", "me/"), "a path of one machine"),
        (concat!("/ro", "ot/"), "a path of one machine"),
        (concat!("index", "-url"), "where packages come from is the machine's business"),
        (concat!("replace", "-with"), "where packages come from is the machine's business"),
        (concat!("_auth", "Token"), "a secret"),
        (concat!("BEGIN ", "PRIVATE KEY"), "a secret"),
    ];
    let mut wrong = Vec::new();
    for (name, text) in texts(&[""]) {
        for (at, line) in text.lines().enumerate() {
            for (word, why) in forbidden.iter().filter(|(word, _)| line.contains(word)) {
                wrong.push(format!("{name}:{} {word}: {why}", at + 1));
            }
            let is_foreign_source = name.ends_with("Cargo.lock")
                && line.starts_with("source = ")
                && !line.contains("github.com/rust-lang/crates.io-index");
            if is_foreign_source {
                wrong.push(format!("{name}:{} {line}: packages come from the public index", at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_configuration_we_ship_holds_a_password() {
    let configurations = texts(&["config"]);
    assert!(!configurations.is_empty());
    let mut wrong = Vec::new();
    for (name, text) in configurations {
        for (at, line) in text.lines().enumerate() {
            let Some((key, value)) = line.split_once('=') else { continue };
            let key = key.trim();
            let is_secret = ["password", "secret", "token", "tag_key"].contains(&key.trim_start_matches(['#', ' ']));
            // The demo listens on loopback, and everybody may know its passwords.
            let is_demo = name.ends_with("demo.toml") && value.trim().starts_with("\"demo-");
            if is_secret && !is_demo {
                wrong.push(format!("{name}:{} {key}: a secret comes from a file or the environment", at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
