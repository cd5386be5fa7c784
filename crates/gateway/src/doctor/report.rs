//! What the examination of a trunk found: findings with their mend, as text for a person and as JSON for a program.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// How well something went.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// Not looked at, and why is said.
    Skipped,
    /// It works, with something to know.
    Warning,
    /// It does not work.
    Bad,
}

impl Verdict {
    fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "-",
            Self::Warning => "WARN",
            Self::Bad => "BAD",
        }
    }
}

/// On which side something is to be changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Where {
    /// In this program's configuration.
    Here,
    /// At the PBX.
    Pbx,
    /// In the network between them.
    Between,
}

impl Where {
    fn code(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Pbx => "pbx",
            Self::Between => "network",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Pbx => "at the PBX",
            Self::Between => "in the network",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// What it was, in one word: `dns`, `tls`, `options`.
    pub(crate) step: &'static str,
    pub(crate) verdict: Verdict,
    /// What was found, in a sentence.
    pub(crate) said: String,
    /// What to change, and on which side.
    pub(crate) mends: Vec<(Where, String)>,
    /// What else was seen, a line each.
    pub(crate) lines: Vec<String>,
    /// The same for a program.
    pub(crate) figures: Value,
}

impl Finding {
    pub(crate) fn new(step: &'static str, verdict: Verdict, said: impl Into<String>) -> Self {
        Self { step, verdict, said: said.into(), mends: Vec::new(), lines: Vec::new(), figures: Value::Null }
    }

    pub(crate) fn mend(mut self, side: Where, what: impl Into<String>) -> Self {
        self.mends.push((side, what.into()));
        self
    }

    pub(crate) fn lines(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        self
    }

    pub(crate) fn figures(mut self, figures: Value) -> Self {
        self.figures = figures;
        self
    }
}

/// The whole examination.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) trunk: String,
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    /// The worst of it.
    pub(crate) fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Skipped)
    }

    /// One line for all of it.
    pub(crate) fn sum(&self) -> String {
        let count = |verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        let (good, warnings, bad) = (count(Verdict::Ok), count(Verdict::Warning), count(Verdict::Bad));
        let trunk = &self.trunk;
        match self.verdict() {
            Verdict::Bad => {
                format!("trunk {trunk} does not work as it is: {bad} bad, {warnings} to know, {good} good\n")
            }
            Verdict::Warning => format!("trunk {trunk} works: {good} good, {warnings} to know\n"),
            Verdict::Ok | Verdict::Skipped => format!("trunk {trunk} works: {good} good\n"),
        }
    }

    /// For a program: one object.
    pub(crate) fn json(&self) -> Value {
        let finding = |finding: &Finding| {
            let mends = finding.mends.iter().map(|(side, what)| json!({ "side": side.code(), "what": what }));
            json!({
                "step": finding.step, "verdict": finding.verdict.code(), "said": finding.said,
                "mends": mends.collect::<Vec<_>>(), "lines": finding.lines, "figures": finding.figures,
            })
        };
        json!({
            "trunk": self.trunk, "verdict": self.verdict().code(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    }
}

/// One finding for a person, as soon as it is there.
pub(crate) fn told(finding: &Finding) -> String {
    let mut text = format!("  {:<4}  {:<9} {}\n", finding.verdict.word(), finding.step, finding.said);
    for line in &finding.lines {
        let _written = writeln!(text, "                    {line}");
    }
    for (side, what) in &finding.mends {
        let _written = writeln!(text, "                  > {}: {what}", side.words());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: &[Verdict]) -> Report {
        let findings = verdicts.iter().map(|verdict| Finding::new("options", *verdict, "said")).collect();
        Report { trunk: "pbx".to_owned(), findings }
    }

    #[test]
    fn the_worst_finding_decides() {
        assert_eq!(report(&[Verdict::Ok, Verdict::Skipped]).verdict(), Verdict::Skipped);
        assert_eq!(report(&[Verdict::Ok, Verdict::Skipped]).sum(), "trunk pbx works: 1 good\n");
        assert_eq!(report(&[Verdict::Warning, Verdict::Ok]).sum(), "trunk pbx works: 1 good, 1 to know\n");
        let bad = report(&[Verdict::Bad, Verdict::Ok]);
        assert_eq!(bad.sum(), "trunk pbx does not work as it is: 1 bad, 0 to know, 1 good\n");
        assert_eq!(bad.json()["verdict"], "bad");
    }

    #[test]
    fn a_mend_says_on_which_side() {
        let finding = Finding::new("register", Verdict::Bad, "403 Forbidden")
            .mend(Where::Pbx, "let this account in")
            .lines(["1 line".to_owned()]);
        let text = told(&finding);
        assert!(text.starts_with("  BAD   register  403 Forbidden\n"), "{text}");
        assert!(text.contains("1 line\n") && text.contains("> at the PBX: let this account in\n"), "{text}");
    }
}
