//! A mistake in the configuration: where it is, what is wrong, how to mend it; and how it is shown.

use std::fmt;
use std::ops::Range;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

/// Whether the gateway starts nevertheless.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// It does not start.
    Error,
    /// It starts; the value is allowed but seldom meant.
    Warning,
}

/// One mistake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Whether the gateway starts nevertheless.
    pub severity: Severity,
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// Octets of the source it points at; `None`: the file as a whole (it cannot be read, say).
    pub span: Option<Range<usize>>,
    /// How to mend it.
    pub help: Option<String>,
}

impl Problem {
    /// A mistake at a place.
    pub(super) fn error(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), span: Some(span), help: None }
    }

    /// Something seldom meant, at a place.
    pub(super) fn warning(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, message: message.into(), span: Some(span), help: None }
    }

    /// The same with its mend.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Every mistake of one file, in the order of the file.
#[derive(Clone, Debug)]
pub struct ConfigErrors {
    /// The file's name as it was given.
    pub name: String,
    /// Its text, for excerpts; empty when it could not be read.
    pub source: String,
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    /// Line and column of a problem, both from 1, columns in characters.
    pub fn position(&self, problem: &Problem) -> Option<(usize, usize)> {
        position(&self.source, problem)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", self.name)?;
            if let Some((line, column)) = self.position(problem) {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": {}", problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Line and column of a problem in `source`, both from 1.
fn position(source: &str, problem: &Problem) -> Option<(usize, usize)> {
    let start = problem.span.as_ref()?.start.min(source.len());
    let before = source.get(..start)?;
    let line = before.bytes().filter(|&octet| octet == b'\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |text| text.chars().count()) + 1;
    Some((line, column))
}

/// The problems as a person reads them: message, file, line, column, excerpt, mend.
pub fn render(name: &str, source: &str, problems: &[Problem], color: bool, width: usize) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(width).with_context_lines(1).with_links(false);
    let mut text = String::new();
    for problem in problems {
        let shown = Shown {
            problem,
            source: NamedSource::new(name, source.to_owned()).with_language("TOML"),
            heading: match position(source, problem) {
                Some((line, column)) => format!("{name}:{line}:{column}: {}", problem.message),
                None => format!("{name}: {}", problem.message),
            },
        };
        if handler.render_report(&mut text, &shown).is_err() {
            // Writing to a `String` does not fail; the bare sentence stands in should a theme ever do.
            text.push_str(&shown.heading);
        }
        text.push('\n');
    }
    text
}

/// A problem in the clothes of `miette`.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    source: NamedSource<String>,
    heading: String,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.heading)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.problem.span.as_ref().map(|_| &self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.problem.span.clone()?;
        let label = LabeledSpan::new(Some("here".to_owned()), span.start, span.len().max(1));
        Some(Box::new(std::iter::once(label)))
    }
}
