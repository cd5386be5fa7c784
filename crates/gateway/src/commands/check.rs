//! `passerelle check`: every mistake of a configuration, or that there is none.

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::process::ExitCode;

use super::print;
use crate::config::{self, Config, Examined};

/// Checks the file and says what it found.
pub(crate) fn check(path: &Path) -> ExitCode {
    let examined = config::examine(path);
    print(&report(&examined, stdout().is_terminal()));
    if examined.config.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The problems, then one line of sum.
fn report(examined: &Examined, color: bool) -> String {
    let shown = config::render(&examined.name, &examined.source, &examined.problems, color, 100);
    let sum = match (examined.count(), &examined.config) {
        ((0, 0), Some(config)) => format!("{}: no mistakes. {}", examined.name, inventory(config)),
        ((0, warnings), Some(config)) => {
            format!("{}: no mistakes, {}. {}", examined.name, amount(warnings, "warning"), inventory(config))
        }
        ((errors, 0), _) => format!("{}: {}; the gateway does not start.", examined.name, amount(errors, "mistake")),
        ((errors, warnings), _) => format!(
            "{}: {} and {}; the gateway does not start.",
            examined.name,
            amount(errors, "mistake"),
            amount(warnings, "warning")
        ),
    };
    format!("{shown}{sum}\n")
}

/// What the file sets up.
fn inventory(config: &Config) -> String {
    let parts = [
        amount(config.tenants.len(), "tenant"),
        amount(config.queues.len(), "queue"),
        amount(config.trunks.len(), "trunk"),
        amount(config.agents.len(), "agent"),
    ];
    format!("It sets up {}.", parts.join(", "))
}

/// `1 queue`, `2 queues`.
fn amount(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::report;
    use crate::config;

    fn checked(text: &str) -> String {
        let path = std::env::temp_dir().join(format!("passerelle-check-{}-{}.toml", std::process::id(), text.len()));
        std::fs::write(&path, text).unwrap();
        let examined = config::examine(&path);
        std::fs::remove_file(&path).unwrap();
        report(&examined, false)
    }

    #[test]
    fn a_sound_file_is_summed_up() {
        let text = "[[tenant]]\nid = \"shop\"\norigins = [\"https://shop.example\"]\n[[queue]]\nid = \"echo\"\ntenant = \"shop\"\ndial = \"echo\"\n";
        assert!(checked(text).ends_with("no mistakes. It sets up 1 tenant, 1 queue, 0 trunks, 0 agents.\n"));
    }

    #[test]
    fn mistakes_are_counted_after_they_are_shown() {
        let shown = checked("[sip]\npublic_ip = \"10.0.0.1\"\n[http]\nlissten = 1\nlisten = \"x\"\n");
        assert!(
            shown.contains(":4:1: unknown key `lissten`") && shown.contains(":5:10: `x` is not an address"),
            "{shown}"
        );
        assert!(shown.ends_with(": 2 mistakes and 1 warning; the gateway does not start.\n"), "{shown}");
    }

    #[test]
    fn a_missing_file_is_a_sentence() {
        let examined = config::examine(Path::new("/nonexistent/passerelle.toml"));
        let shown = report(&examined, false);
        assert!(shown.contains("/nonexistent/passerelle.toml: cannot open it: No such file"), "{shown}");
        assert!(shown.contains("--config FILE"), "{shown}");
    }
}
