//! `passerelle trunk list`: how each trunk of the running gateway is, in words.

use std::process::ExitCode;

use serde_json::Value;

use super::health::{ask, reachable};
use super::listing::Source;
use super::said;
use crate::config;

/// Names of trunks among the checks of `/readyz` begin with this.
const TRUNK: &str = "trunk ";

/// Lists them.
pub(crate) fn list(source: &Source, json: bool) -> ExitCode {
    said(listed(source, json))
}

fn listed(source: &Source, json: bool) -> Result<String, String> {
    let path = match source {
        Source::Config(path) => Some(path.as_path()),
        Source::Demo | Source::Store(_) => None,
    };
    let address = reachable(config::glance(path).map_err(|errors| format!("{errors}\n"))?.http_listen);
    let (_, body) = ask(address, "/readyz").map_err(|error| {
        format!("passerelle: the gateway at http://{address} does not answer: {error}. Is it running?\n")
    })?;
    told(&body, json).ok_or_else(|| format!("passerelle: http://{address}/readyz does not answer as a gateway does\n"))
}

/// A line for each trunk: name, whether calls find a way, and the words of its state.
fn told(body: &str, json: bool) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let checks = body["checks"].as_array()?;
    let mut text = String::new();
    for check in checks {
        let Some(name) = check["name"].as_str().and_then(|name| name.strip_prefix(TRUNK)) else { continue };
        let (ok, detail) = (check["ok"].as_bool().unwrap_or_default(), check["detail"].as_str().unwrap_or_default());
        if json {
            text.push_str(&serde_json::json!({ "trunk": name, "ok": ok, "detail": detail }).to_string());
        } else {
            text.push_str(&format!("{name:<16} {:<4} {detail}", if ok { "ok" } else { "bad" }));
        }
        text.push('\n');
    }
    Some(if text.is_empty() && !json { "no trunk\n".to_owned() } else { text })
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn trunks_are_told_apart_from_other_checks() {
        let body = r#"{"ok":true,"checks":[{"name":"sip","ok":true,"detail":"0 legs"},
            {"name":"trunk pbx","ok":false,"detail":"down since 10:00; last error: no answer to OPTIONS"}]}"#;
        assert_eq!(
            told(body, false).unwrap(),
            "pbx              bad  down since 10:00; last error: no answer to OPTIONS\n"
        );
        let json = told(body, true).unwrap();
        assert!(json.starts_with('{') && json.contains("\"trunk\":\"pbx\"") && json.ends_with("}\n"), "{json}");
        assert_eq!(told(r#"{"checks":[]}"#, false).unwrap(), "no trunk\n");
        assert_eq!(told("<html>", false), None);
    }
}
