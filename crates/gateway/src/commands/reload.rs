//! `passerelle reload`: the running gateway goes by its configuration as the file is now.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::listing::Source;
use super::remote::{Refused, Remote};
use super::said;

/// Asks for it, or only for what would change.
pub(crate) fn reload(source: &Source, dry_run: bool) -> ExitCode {
    said(Remote::of(source).and_then(|remote| asked(&remote, dry_run)))
}

fn asked(remote: &Remote, dry_run: bool) -> Result<String, String> {
    let answer = remote.ask("POST", "/v1/reload", Some(&json!({ "dry_run": dry_run })));
    told(&answer.map_err(|refused: Refused| refused.told())?)
}

/// The difference, then what became of it.
fn told(answer: &Value) -> Result<String, String> {
    let changes: String = answer["changes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|line| format!("{line}\n"))
        .collect();
    let nothing = changes.is_empty();
    match answer["outcome"].as_str() {
        Some("applied") if nothing => Ok("Nothing in the file has changed; certificates were read anew.\n".to_owned()),
        Some("applied") => Ok(format!("{changes}This is in force.\n")),
        Some("dry_run") if nothing => Ok("Nothing in the file has changed.\n".to_owned()),
        Some("dry_run") => Ok(format!("{changes}Nothing was changed; `passerelle reload` would.\n")),
        Some(_) | None => {
            let why = answer["why"].as_str().unwrap_or("the answer is not one of this version").trim_end();
            Err(format!(
                "{changes}{why}\npasserelle: nothing was changed; the configuration of before stays in force\n"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::told;

    #[test]
    fn the_difference_is_told_with_what_became_of_it() {
        let answer = |outcome: &str, why: &str| json!({"outcome": outcome, "changes": ["+ trunk \"b\""], "why": why});
        assert_eq!(told(&answer("applied", "")).unwrap(), "+ trunk \"b\"\nThis is in force.\n");
        assert!(told(&answer("dry_run", "")).unwrap().contains("Nothing was changed"));
        let refused = told(&answer("refused", "needs a restart: [sip] listen")).unwrap_err();
        assert!(
            refused.contains("+ trunk \"b\"\nneeds a restart: [sip] listen\npasserelle: nothing was changed"),
            "{refused}"
        );
        assert!(told(&json!({"outcome": "applied", "changes": []})).unwrap().contains("Nothing in the file"));
        assert!(told(&json!({"code": "?"})).is_err());
    }
}
