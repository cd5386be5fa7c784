//! `passerelle trunk test`: the doctor's findings, as they come, and one line of sum.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{complain, harmless, print};
use crate::config;
use crate::config::checked::{Config, Secret};
use crate::doctor::report::{Finding, Verdict, told};
use crate::doctor::{self, Extension, Wish};

/// It could not be examined: another word than that it is bad.
const NOT_EXAMINED: u8 = 2;
/// A file of a password is one line.
const PASSWORD_BYTES_MAX: usize = 4_096;

/// What was asked on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) trunk: String,
    pub(crate) call: Option<String>,
    pub(crate) seconds: u64,
    pub(crate) extensions: Vec<(String, PathBuf)>,
    pub(crate) queue: Option<String>,
    pub(crate) json: bool,
}

/// Examines the trunk and says what was found.
pub(crate) fn test(path: &Path, ask: &Ask) -> ExitCode {
    match examined(path, ask) {
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Ok(Verdict::Ok | Verdict::Skipped | Verdict::Warning) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&format!("passerelle: {why}\n"));
            ExitCode::from(NOT_EXAMINED)
        }
    }
}

fn examined(path: &Path, ask: &Ask) -> Result<Verdict, String> {
    let config = config::load(path)
        .map_err(|errors| format!("the configuration has mistakes, `passerelle check` shows them: {errors}"))?;
    let trunk =
        config.trunks.iter().find(|trunk| trunk.name == ask.trunk).ok_or_else(|| unknown(&config, &ask.trunk))?;
    let extensions =
        ask.extensions.iter().map(|(user, file)| Ok(Extension { user: user.clone(), password: password(file)? }));
    let wish = Wish {
        call: ask.call.clone(),
        seconds: ask.seconds,
        extensions: extensions.collect::<Result<_, String>>()?,
        queue: ask.queue.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("the system gives no threads: {error}"))?;
    if !ask.json {
        print(&format!("trunk {}, {}\n", trunk.name, trunk.host));
    }
    let report = runtime.block_on(doctor::examine(&config, trunk, &wish, |finding| {
        if !ask.json {
            print(&shown(finding));
        }
    }));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    print(&if ask.json { format!("{}\n", report.json()) } else { report.sum() });
    Ok(report.verdict())
}

/// What a PBX says of itself is in it, and whoever answers there may be anybody.
fn shown(finding: &Finding) -> String {
    told(finding).lines().map(|line| harmless(line) + "\n").collect()
}

fn unknown(config: &Config, name: &str) -> String {
    let names: Vec<&str> = config.trunks.iter().map(|trunk| trunk.name.as_str()).collect();
    match names.as_slice() {
        [] => format!("no trunk {name}: the configuration has none; add a [[trunk]]"),
        names => format!("no trunk {name} in the configuration; there is {}", names.join(", ")),
    }
}

fn password(file: &Path) -> Result<Secret, String> {
    let shown = file.display();
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("the password file {shown} cannot be read: {error}"))?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() || line.len() > PASSWORD_BYTES_MAX || line.contains('\n') {
        return Err(format!("the password file {shown} must hold one line, the password"));
    }
    Ok(Secret::new(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pbx_steers_the_terminal() {
        let finding = Finding::new("options", Verdict::Ok, "answers 200 (\u{1b}[2J\u{7}PBX)")
            .lines(["Allow: \u{9b}31mINVITE".to_owned()]);
        let text = shown(&finding);
        assert!(text.contains("PBX") && text.contains("INVITE") && text.lines().count() == 2, "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}
