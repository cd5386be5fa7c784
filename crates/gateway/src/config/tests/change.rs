//! What a reload is told to change: the difference of two files, and what needs a restart.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::change::{Change, Difference, Version, difference};
use super::super::examine_text;
use super::{SMALL, SecretSource, Secrets, TlsFiles, examine};

/// A file made at random: each of its tables is there or not, in one of two ways.
struct Made {
    text: String,
    /// Name and way of each table.
    tables: Vec<(String, u8)>,
}

const TRUNKS: [&str; 3] = ["a", "b", "c"];
const QUEUES: [&str; 2] = ["sales", "support"];

impl Made {
    fn new(rng: &mut StdRng) -> Self {
        let (mut tables, mut text) = (Vec::new(), SMALL.to_owned());
        let mut put = |name: String, lines: [String; 2], rng: &mut StdRng| {
            let way = rng.random_range(0..3_u8);
            if let Some(lines) = lines.get(usize::from(way)) {
                text.push_str(lines);
                tables.push((name, way));
            }
        };
        for name in TRUNKS {
            let way = |uri: &str| format!("[[trunk]]\nname = \"{name}\"\nuri = \"sip:{uri}\"\n");
            put(format!("trunk \"{name}\""), [way("10.0.0.5"), way("10.0.0.6")], rng);
        }
        for id in QUEUES.map(|id| format!("{id}-2")) {
            let way = |limit: u8| {
                format!("[[queue]]\nid = \"{id}\"\ntenant = \"shop\"\nagents = [\"1001\"]\nring_limit_s = {limit}\n")
            };
            put(format!("queue \"shop/{id}\""), [way(20), way(30)], rng);
        }
        let way = |limit: u8| format!("[shutdown]\ndrain_limit_s = {limit}\n");
        put("[shutdown]".to_owned(), [way(60), way(90)], rng);
        Self { text, tables }
    }
}

fn between(old: &str, new: &str) -> Difference {
    let (before, after) = (examine(old), examine(new));
    let sound =
        |examined: &super::Examined| examined.config.clone().unwrap_or_else(|| panic!("{:?}", examined.problems));
    let (one, other) = (sound(&before), sound(&after));
    difference(Version { text: old, config: &one }, Version { text: new, config: &other })
}

/// What the difference must say, found by comparing how the two files were made.
fn expected(old: &Made, new: &Made) -> Vec<String> {
    let way = |made: &Made, name: &str| made.tables.iter().find(|(known, _)| known == name).map(|(_, way)| *way);
    let mut names: Vec<&String> = old.tables.iter().chain(&new.tables).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let told = |name: &&String| match (way(old, name), way(new, name)) {
        (before, after) if before == after => None,
        (None, Some(_)) if !name.starts_with('[') => Some(format!("+ {name}")),
        (Some(_), None) if !name.starts_with('[') => Some(format!("- {name}")),
        (_, _) => Some(format!("~ {name}")),
    };
    names.iter().filter_map(told).collect()
}

#[test]
fn of_files_made_at_random_exactly_what_differs_is_told_and_back_again() {
    for seed in 0..400 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (old, new) = (Made::new(&mut rng), Made::new(&mut rng));
        let told = |difference: &Difference| -> Vec<String> {
            let lines = difference.changes.iter().map(ToString::to_string);
            lines.map(|line| line.split(": ").next().unwrap_or_default().to_owned()).collect()
        };
        let (there, back) = (between(&old.text, &new.text), between(&new.text, &old.text));
        assert_eq!(told(&there), expected(&old, &new), "seed {seed}");
        assert_eq!(told(&back), expected(&new, &old), "seed {seed}, back");
        assert_eq!(between(&old.text, &old.text), Difference::default(), "seed {seed}, the same");
        assert_eq!((there.fixed, back.fixed), (vec![], vec![]), "seed {seed}: all of these follow");
    }
}

#[test]
fn each_changed_key_is_told_with_what_it_was_and_is() {
    let trunk = |lines: &str| format!("{SMALL}[[trunk]]\nname = \"a\"\nuri = \"sip:10.0.0.5\"\n{lines}");
    let changed = |old: &str, new: &str| match between(&trunk(old), &trunk(new)).changes.as_slice() {
        [Change::Changed(name, keys)] if name == "trunk \"a\"" => keys.join("; "),
        other => panic!("{other:?}"),
    };
    assert_eq!(changed("", "calls_max = 5"), "calls_max = 5");
    assert_eq!(
        changed("calls_max = 5", "calls_max = 6\ntargets = [\"sip:10.0.0.6\"]"),
        "calls_max 5 → 6; targets = [\"sip:10.0.0.6\"]"
    );
    assert_eq!(changed("calls_max = 5", ""), "calls_max taken out (it was 5)");
}

#[test]
fn what_is_opened_once_needs_a_restart_and_a_default_written_out_does_not() {
    let fixed = |lines: &str| between(SMALL, &format!("{lines}\n{SMALL}")).fixed;
    assert_eq!(fixed("[http]\nlisten = \"127.0.0.1:9090\""), ["[http] listen", "[http] public_url"]);
    assert_eq!(fixed("[media]\nrtp_ports = \"30000-30999\"\n[store]\nurl = \"sqlite:x.db\""), ["[media]", "[store]"]);
    assert_eq!(fixed("[sip]\nlisten = [\"udp:127.0.0.1:5070\"]"), ["[sip] listen"]);
    assert_eq!(fixed("[[tenant]]\nid = \"bank\"\norigins = [\"https://bank.example\"]").len(), 1);
    assert_eq!(fixed("[shutdown]\ndrain_limit_s = 9\n[log]\nfilter = \"warn\""), [""; 0]);
    assert_eq!(fixed("[limits]\ncalls_max = 500"), [""; 0]);
}

/// The same machine after the agent's password was changed in its file.
struct Renewed;

impl SecretSource for Renewed {
    fn file(&self, path: &str) -> Result<String, String> {
        Secrets.file(path).map(|text| format!("new {text}"))
    }

    fn env(&self, name: &str) -> Result<String, String> {
        Secrets.env(name)
    }

    fn certificate(&self, files: &TlsFiles) -> Result<(), String> {
        Secrets.certificate(files)
    }

    fn authorities(&self, file: &std::path::Path) -> Result<(), String> {
        Secrets.authorities(file)
    }
}

#[test]
fn another_secret_in_the_same_file_is_told_and_shown_nowhere() {
    let (old, new) = (examine(SMALL).config.unwrap(), examine_text("new", SMALL, &Renewed, false).config.unwrap());
    let told = difference(Version { text: SMALL, config: &old }, Version { text: SMALL, config: &new });
    assert_eq!(told.changes, [Change::Changed("agent \"1001\"".to_owned(), vec!["another password".to_owned()])]);
    assert!(!format!("{told:?}").contains("secret of"));
}
