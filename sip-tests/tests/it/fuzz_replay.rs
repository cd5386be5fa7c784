//! The committed fuzz corpora as a plain test: what was found once is never found again.

use std::path::PathBuf;

use sip_tests::data;
use sip_tests::fuzz::TARGETS;

#[test]
fn every_committed_input_of_every_target_passes() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (name, run) in TARGETS {
        assert!(root.join("fuzz_targets").join(format!("{name}.rs")).is_file(), "{name} has a cargo-fuzz target");
        let inputs = data::files(&root.join("corpus").join(name), "");
        assert!(!inputs.is_empty(), "{name} has a corpus");
        for (file, octets) in inputs {
            println!("{name}/{file}");
            run(&octets);
        }
        run(&[]);
    }
}

#[test]
fn every_cargo_fuzz_target_is_replayed_here() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    for (file, _) in data::files(&folder, ".rs") {
        let name = file.trim_end_matches(".rs");
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "{name} is not in sip_tests::fuzz::TARGETS");
    }
}
