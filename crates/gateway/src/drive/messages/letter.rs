//! What a visitor is written: subject, text and HTML in his language. Pure. Nothing in it comes from a page but the
//! moment he chose, so that nobody can have us write his words to others.

use jiff::civil::DateTime;
use web::{CallbackView, Lang};

use super::told::REMINDER;
use crate::config::checked::Event;

/// A mail's words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Letter {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
    pub(super) entry: Entry,
}

/// The calendar entry that goes with a mail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Entry {
    /// None: it is about no moment, or says nothing new of it.
    None,
    /// As the call-back stands.
    Current,
    /// What stood there before is to go.
    Withdrawn,
}

/// The mail of this kind.
pub(super) fn letter(kind: &str, view: &CallbackView, page: &str, lang: Lang) -> Letter {
    let when = when(view, lang);
    let number = &view.number;
    let (subject, lead) = match (Topic::of(kind), view.asap) {
        (Topic::Promised, true) => asap(number, lang),
        (Topic::Promised, false) => promised(&when, number, lang),
        (Topic::Moved, true) => moved_to_now(number, lang),
        (Topic::Moved, false) => moved(&when, number, lang),
        (Topic::CalledOff, _) => called_off(lang),
        (Topic::NotReached, _) => not_reached(lang),
        (Topic::Reminder, _) => reminder(&when, number, lang),
    };
    let is_over = view.is_over;
    let follow = match (lang, is_over) {
        (Lang::Fr, false) => "Suivre, déplacer ou annuler ce rappel",
        (Lang::Fr, true) => "Voir ce rappel",
        (Lang::En, false) => "Follow, move or cancel this call",
        (Lang::En, true) => "See this call",
    };
    let colon = if lang == Lang::Fr { "\u{a0}:" } else { ":" };
    let why = match lang {
        Lang::Fr => {
            "Vous recevez ce message parce que cette adresse a été indiquée avec une demande de rappel. Si ce n’était pas \
             vous, annulez-la par le lien ci-dessus."
        }
        Lang::En => {
            "You receive this because this address was given with a request to be called. If it was not you, cancel it \
             by the link above."
        }
    };
    let text = format!("{lead}\n\n{follow}{colon}\n{page}\n\n-- \n{why}\n");
    let html = format!(
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n<body \
         style=\"font-family:sans-serif;line-height:1.5\">\n<p>{}</p>\n<p><a href=\"{}\">{}</a></p>\n<p \
         style=\"color:#555;font-size:smaller\">{}</p>\n</body></html>\n",
        lang.tag(),
        escaped(&subject),
        escaped(&lead),
        escaped(page),
        escaped(follow),
        escaped(why)
    );
    let entry = match (Topic::of(kind), view.asap) {
        (Topic::Promised | Topic::Moved | Topic::CalledOff, false) => Entry::Current,
        // The moment he had chosen before is in his calendar.
        (Topic::Moved, true) => Entry::Withdrawn,
        (Topic::Promised | Topic::CalledOff, true) | (Topic::NotReached | Topic::Reminder, _) => Entry::None,
    };
    Letter { subject, text, html, entry }
}

/// What a mail is about.
#[derive(Clone, Copy)]
enum Topic {
    Promised,
    Moved,
    CalledOff,
    NotReached,
    Reminder,
}

impl Topic {
    fn of(kind: &str) -> Self {
        let is = |event: Event| event.as_str() == kind;
        match kind {
            REMINDER => Self::Reminder,
            _ if is(Event::Moved) => Self::Moved,
            _ if is(Event::Cancelled) => Self::CalledOff,
            _ if is(Event::Failed) || is(Event::Expired) => Self::NotReached,
            _ => Self::Promised,
        }
    }
}

type Words = (String, String);

fn promised(when: &str, number: &str, lang: Lang) -> Words {
    match lang {
        Lang::Fr => {
            (format!("Nous vous rappelons {when}"), format!("Bonjour,\n\nnous vous appellerons {when}, au {number}."))
        }
        Lang::En => {
            (format!("We will call you on {when}"), format!("Hello,\n\nwe will call you on {when}, at {number}."))
        }
    }
}

fn asap(number: &str, lang: Lang) -> Words {
    match lang {
        Lang::Fr => (
            "Nous vous rappelons dès que possible".to_owned(),
            format!("Bonjour,\n\nnous vous appellerons dès que possible, au {number}."),
        ),
        Lang::En => (
            "We will call you as soon as possible".to_owned(),
            format!("Hello,\n\nwe will call you as soon as possible, at {number}."),
        ),
    }
}

fn moved(when: &str, number: &str, lang: Lang) -> Words {
    match lang {
        Lang::Fr => (
            format!("Rappel déplacé\u{a0}: {when}"),
            format!("Bonjour,\n\nvotre rappel a été déplacé. Nous vous appellerons {when}, au {number}."),
        ),
        Lang::En => (
            format!("Your call was moved to {when}"),
            format!("Hello,\n\nyour call was moved. We will call you on {when}, at {number}."),
        ),
    }
}

fn moved_to_now(number: &str, lang: Lang) -> Words {
    match lang {
        Lang::Fr => (
            "Rappel déplacé\u{a0}: dès que possible".to_owned(),
            format!("Bonjour,\n\nvotre rappel a été déplacé. Nous vous appellerons dès que possible, au {number}."),
        ),
        Lang::En => (
            "Your call was moved: as soon as possible".to_owned(),
            format!("Hello,\n\nyour call was moved. We will call you as soon as possible, at {number}."),
        ),
    }
}

fn called_off(lang: Lang) -> Words {
    match lang {
        Lang::Fr => (
            "Rappel annulé".to_owned(),
            "Bonjour,\n\nvotre rappel est annulé\u{a0}: nous ne vous appellerons pas.".to_owned(),
        ),
        Lang::En => {
            ("Your call is cancelled".to_owned(), "Hello,\n\nyour call is cancelled: we will not call you.".to_owned())
        }
    }
}

fn not_reached(lang: Lang) -> Words {
    match lang {
        Lang::Fr => (
            "Nous n’avons pas pu vous joindre".to_owned(),
            "Bonjour,\n\nnous n’avons pas pu vous joindre, et nous n’essaierons plus. Demandez un autre rappel si vous \
             le souhaitez."
                .to_owned(),
        ),
        Lang::En => (
            "We could not reach you".to_owned(),
            "Hello,\n\nwe could not reach you, and will not try again. Ask for another call if you like.".to_owned(),
        ),
    }
}

fn reminder(when: &str, number: &str, lang: Lang) -> Words {
    match lang {
        Lang::Fr => (
            format!("Bientôt\u{a0}: nous vous rappelons {when}"),
            format!("Bonjour,\n\nnous vous appellerons bientôt, {when}, au {number}."),
        ),
        Lang::En => (
            format!("Soon: we will call you on {when}"),
            format!("Hello,\n\nwe will call you soon, on {when}, at {number}."),
        ),
    }
}

/// The promised moment on the visitor's own clock: `mardi 24 novembre 2026 à 14:30 (Europe/Paris)`.
fn when(view: &CallbackView, lang: Lang) -> String {
    let local = view.promised_at.get(..19).and_then(|local| local.parse::<DateTime>().ok());
    let Some(local) = local else { return view.promised_at.clone() };
    let name = |names: &[&'static str], index: i8| usize::try_from(index).ok().and_then(|at| names.get(at).copied());
    let day = local.weekday().to_monday_zero_offset();
    let (days, months) = match lang {
        Lang::Fr => (&FR_DAYS, &FR_MONTHS),
        Lang::En => (&EN_DAYS, &EN_MONTHS),
    };
    let (weekday, month) = (name(days, day).unwrap_or_default(), name(months, local.month() - 1).unwrap_or_default());
    let (date, year, hour, minute) = (local.day(), local.year(), local.hour(), local.minute());
    let zone = &view.tz;
    match lang {
        Lang::Fr => {
            let date = if date == 1 { "1er".to_owned() } else { date.to_string() };
            format!("{weekday} {date} {month} {year} à {hour:02}:{minute:02} ({zone})")
        }
        Lang::En => format!("{weekday} {date} {month} {year} at {hour:02}:{minute:02} ({zone})"),
    }
}

const FR_DAYS: [&str; 7] = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"];
const EN_DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const FR_MONTHS: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];
const EN_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Text within HTML; a line's end is one.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("<br>\n"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ASKED, kept, standing};
    use super::*;

    fn view() -> CallbackView {
        let promised_at = "2026-12-01T14:05:00+01:00".to_owned();
        CallbackView { promised_at, asap: false, ..standing(kept(ASKED)).view }
    }

    fn subject(kind: &str, asap: bool, lang: Lang) -> String {
        letter(kind, &CallbackView { asap, ..view() }, "https://voice.example/callback/1#2", lang).subject
    }

    #[test]
    fn each_kind_has_its_words_in_two_languages() {
        let at = "mardi 1er décembre 2026 à 14:05 (Europe/Paris)";
        assert_eq!(subject("callback.scheduled", false, Lang::Fr), format!("Nous vous rappelons {at}"));
        assert_eq!(subject("callback.scheduled", true, Lang::Fr), "Nous vous rappelons dès que possible");
        assert_eq!(subject("callback.moved", false, Lang::Fr), format!("Rappel déplacé\u{a0}: {at}"));
        assert_eq!(subject("callback.moved", true, Lang::Fr), "Rappel déplacé\u{a0}: dès que possible");
        assert_eq!(subject("callback.cancelled", false, Lang::Fr), "Rappel annulé");
        assert_eq!(subject("callback.failed", false, Lang::Fr), "Nous n’avons pas pu vous joindre");
        assert_eq!(subject("callback.reminder", false, Lang::Fr), format!("Bientôt\u{a0}: nous vous rappelons {at}"));
        let at = "Tuesday 1 December 2026 at 14:05 (Europe/Paris)";
        assert_eq!(subject("callback.scheduled", false, Lang::En), format!("We will call you on {at}"));
        assert_eq!(subject("callback.expired", false, Lang::En), "We could not reach you");
        assert_eq!(subject("callback.reminder", false, Lang::En), format!("Soon: we will call you on {at}"));
    }

    #[test]
    fn the_link_and_the_masked_number_are_in_both_forms() {
        let page = "https://voice.example/callback/1?a=b&lang=fr#2";
        let Letter { text, html, .. } = letter("callback.scheduled", &view(), page, Lang::Fr);
        assert!(text.contains(&format!("\n{page}\n")) && text.contains("+33 6 ** ** ** 78"), "{text}");
        assert!(html.contains("href=\"https://voice.example/callback/1?a=b&amp;lang=fr#2\""), "{html}");
        assert!(html.contains("<html lang=\"fr\">") && html.contains("+33 6 ** ** ** 78"), "{html}");
        let hostile = CallbackView { number: "<script>\"&".to_owned(), ..view() };
        let html = letter("callback.scheduled", &hostile, page, Lang::Fr).html;
        assert!(html.contains("&lt;script&gt;&quot;&amp;") && !html.contains("<script>"), "{html}");
    }

    #[test]
    fn only_a_chosen_moment_goes_into_the_calendar() {
        let entry = |kind: &str, asap: bool| letter(kind, &CallbackView { asap, ..view() }, "", Lang::En).entry;
        for (kind, chosen, at_once) in [
            ("callback.scheduled", Entry::Current, Entry::None),
            ("callback.moved", Entry::Current, Entry::Withdrawn),
            ("callback.cancelled", Entry::Current, Entry::None),
            ("callback.reminder", Entry::None, Entry::None),
            ("callback.failed", Entry::None, Entry::None),
        ] {
            assert_eq!((entry(kind, false), entry(kind, true)), (chosen, at_once), "{kind}");
        }
    }
}
