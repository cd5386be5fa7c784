//! One event is one line, whoever wrote its text; a mistyped filter is refused.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::{MakeWriter, format};
use tracing_subscriber::layer::SubscriberExt;

use super::{FIELD_BYTES_MAX, check_filter, write_field};

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn logged(work: impl FnOnce()) -> String {
    let kept = Kept::default();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(kept.clone())
        .fmt_fields(format::debug_fn(write_field).delimited(" "));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    let octets = kept.0.lock().unwrap().clone();
    String::from_utf8(octets).unwrap()
}

#[test]
fn text_from_outside_cannot_make_a_line_of_its_own() {
    let evil = "shop\r\n2026-01-01 ERROR forged \u{1b}[31mred\u{202e}turned\u{2028}\0";
    let text = logged(|| {
        let _span = tracing::info_span!("call", tenant = %evil).entered();
        tracing::info!(page = %evil, title = ?evil, evil, "a visitor came from {evil}");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        !text.trim_end_matches('\n').contains(|c: char| c.is_control() || c == '\u{202e}' || c == '\u{2028}'),
        "{text:?}"
    );
    assert_eq!(text.matches("forged").count(), 5, "{text}");
}

#[test]
fn a_field_is_cut_and_the_rest_counted() {
    let text = logged(|| tracing::info!(page = %"x".repeat(FIELD_BYTES_MAX + 500), "long"));
    assert!(text.len() < FIELD_BYTES_MAX + 200 && text.contains("(500 bytes more)"), "{text}");
}

#[test]
fn filters_are_levels_and_rooms_with_levels() {
    for filter in ["info", "INFO", "off", "info,sip=debug", "warn,gateway::drive=trace", "sip=debug"] {
        assert!(check_filter(filter).is_ok(), "{filter}");
    }
    for filter in ["", "inof", "sip", "info,sip=", "info,,sip=debug", "info;sip=debug"] {
        assert!(check_filter(filter).is_err(), "{filter}");
    }
}
