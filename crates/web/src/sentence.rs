//! What a person reads when something is refused or ends: one sentence a code, in French and English.

/// The languages the gateway speaks to people.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Lang {
    /// French.
    Fr,
    /// English, also for every language we do not speak.
    #[default]
    En,
}

impl Lang {
    /// The language for a tag (`fr-CA`) or an `Accept-Language` value (`fr;q=0.9, en`).
    ///
    /// The first of the two languages named wins: browsers list by preference.
    pub fn of(tags: &str) -> Self {
        for tag in tags.split(',') {
            let primary = tag.split([';', '-', '_']).next().unwrap_or_default().trim();
            if primary.eq_ignore_ascii_case("fr") {
                return Self::Fr;
            }
            if primary.eq_ignore_ascii_case("en") {
                return Self::En;
            }
        }
        Self::En
    }

    /// The tag as HTML and HTTP write it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Fr => "fr",
            Self::En => "en",
        }
    }
}

/// The sentence for a code, for a visitor or an agent to read.
///
/// An unknown code gets the general sentence, never the code: people should not read codes.
pub fn sentence(code: &str, lang: Lang) -> &'static str {
    let row = find(code).unwrap_or(&GENERAL);
    match lang {
        Lang::Fr => row.fr,
        Lang::En => row.en,
    }
}

/// Whether a code has a sentence of its own.
pub fn is_known(code: &str) -> bool {
    find(code).is_some()
}

struct Row {
    code: &'static str,
    en: &'static str,
    fr: &'static str,
}

fn find(code: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.code == code)
}

const GENERAL: Row = Row {
    code: "other",
    en: "Something went wrong. Please try again.",
    fr: "Une erreur est survenue. Veuillez réessayer.",
};

const ROWS: &[Row] = &[
    // Why a call ended (`call::HangupCause::code`).
    row("normal", "The call has ended.", "L’appel est terminé."),
    row(
        "busy",
        "The line is busy. Please try again in a moment.",
        "La ligne est occupée. Réessayez dans un instant.",
    ),
    row(
        "no-answer",
        "Nobody answered. Please try again in a moment.",
        "Personne n’a répondu. Réessayez dans un instant.",
    ),
    row(
        "refused",
        "The call was not accepted. Please try again later.",
        "L’appel n’a pas été accepté. Réessayez plus tard.",
    ),
    row(
        "cancelled",
        "The call was cancelled.",
        "L’appel a été annulé.",
    ),
    row(
        "unreachable",
        "We cannot reach our advisers right now. Please try again later.",
        "Nos conseillers sont injoignables pour le moment. Réessayez plus tard.",
    ),
    row(
        "not-found",
        "This line does not exist any more.",
        "Cette ligne n’existe plus.",
    ),
    row(
        "no-agent",
        "No adviser is available right now. Please try again later.",
        "Aucun conseiller n’est disponible pour le moment. Réessayez plus tard.",
    ),
    row(
        "media-failed",
        "No sound could be set up with your browser. A firewall may be in the way: try another network.",
        "Le son n’a pas pu être établi avec votre navigateur. Un pare-feu le bloque peut-être : essayez un autre réseau.",
    ),
    row(
        "media-lost",
        "The sound was lost and the call has ended. Please call again.",
        "Le son a été perdu et l’appel est terminé. Veuillez rappeler.",
    ),
    row(
        "socket-lost",
        "The connection was lost and the call has ended. Please call again.",
        "La connexion a été perdue et l’appel est terminé. Veuillez rappeler.",
    ),
    row(
        "too-long",
        "The call reached its longest allowed time and has ended.",
        "L’appel a atteint sa durée maximale et a pris fin.",
    ),
    row(
        "overload",
        "All lines are taken right now. Please try again in a moment.",
        "Toutes les lignes sont prises. Réessayez dans un instant.",
    ),
    row(
        "shutdown",
        "The service is restarting. Please try again in a minute.",
        "Le service redémarre. Réessayez dans une minute.",
    ),
    row(
        "interrupted",
        "The call was interrupted by a fault on our side. Please call again.",
        "L’appel a été interrompu par une panne de notre côté. Veuillez rappeler.",
    ),
    row(
        "bug",
        "The call ended because of a fault on our side. Please call again.",
        "L’appel a pris fin à cause d’une panne de notre côté. Veuillez rappeler.",
    ),
    row(
        "not-allowed",
        "This call is not allowed.",
        "Cet appel n’est pas autorisé.",
    ),
    row(
        "incompatible-media",
        "Your browser and our telephone have no sound format in common. Please try another browser.",
        "Votre navigateur et notre téléphone n’ont aucun format audio en commun. Essayez un autre navigateur.",
    ),
];

const fn row(code: &'static str, en: &'static str, fr: &'static str) -> Row {
    Row { code, en, fr }
}
