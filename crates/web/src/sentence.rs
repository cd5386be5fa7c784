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

/// How a call-back may stand: every state that has a sentence.
pub fn callback_states() -> Vec<&'static str> {
    ROWS.iter().filter_map(|row| row.code.strip_prefix("callback-")).collect()
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
    row("busy", "The line is busy. Please try again in a moment.", "La ligne est occupée. Réessayez dans un instant."),
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
    row("cancelled", "The call was cancelled.", "L’appel a été annulé."),
    row(
        "unreachable",
        "We cannot reach our advisers right now. Please try again later.",
        "Nos conseillers sont injoignables pour le moment. Réessayez plus tard.",
    ),
    row("not-found", "This line does not exist any more.", "Cette ligne n’existe plus."),
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
    row("not-allowed", "This call is not allowed.", "Cet appel n’est pas autorisé."),
    row(
        "incompatible-media",
        "Your browser and our telephone have no sound format in common. Please try another browser.",
        "Votre navigateur et notre téléphone n’ont aucun format audio en commun. Essayez un autre navigateur.",
    ),
    // Why a call-back is refused (FEATURES §2.3).
    row("number_required", "Please enter your telephone number.", "Indiquez votre numéro de téléphone."),
    row(
        "number_invalid",
        "This telephone number does not exist. Please check it.",
        "Ce numéro de téléphone n’existe pas. Vérifiez-le.",
    ),
    row(
        "number_not_dialable",
        "We cannot call this kind of number. Please enter a landline or mobile number.",
        "Nous ne pouvons pas appeler ce type de numéro. Indiquez un fixe ou un mobile.",
    ),
    row("number_blocked", "We cannot call this number.", "Nous ne pouvons pas appeler ce numéro."),
    row("country_not_served", "We cannot call numbers of this country.", "Nous n’appelons pas les numéros de ce pays."),
    row(
        "slot_gone",
        "This time has just been taken. Please choose another.",
        "Cet horaire vient d’être pris. Choisissez-en un autre.",
    ),
    row(
        "too_many_holds",
        "This time cannot be kept for you just now. You may still ask for it.",
        "Nous ne pouvons pas vous réserver cet horaire pour l’instant. Vous pouvez tout de même le demander.",
    ),
    row("slot_past", "This time is over. Please choose another.", "Cet horaire est passé. Choisissez-en un autre."),
    row(
        "slot_outside_hours",
        "We do not call at this time. Please choose another.",
        "Nous n’appelons pas à cet horaire. Choisissez-en un autre.",
    ),
    row("when_invalid", "This is not a date and time.", "Ceci n’est pas une date et une heure."),
    row("tz_invalid", "This time zone does not exist.", "Ce fuseau horaire n’existe pas."),
    row(
        "paused",
        "We are not calling anybody back just now, but you can choose a time.",
        "Nous ne rappelons personne pour l’instant, mais vous pouvez choisir une heure.",
    ),
    row(
        "asap_full",
        "Too many people are waiting for a call just now, but you can choose a time.",
        "Trop de personnes attendent un rappel pour l’instant, mais vous pouvez choisir une heure.",
    ),
    row(
        "customer_invalid",
        "Our site could not prove who you are. Please log in again, or ask without being logged in.",
        "Notre site n’a pas pu prouver qui vous êtes. Reconnectez-vous, ou faites la demande sans être connecté.",
    ),
    row(
        "customer_expired",
        "You have been on this page for a while. Please load it again.",
        "Vous êtes sur cette page depuis un moment. Rechargez-la.",
    ),
    row(
        "in_call",
        "You are on the line with us already. Ask again once you have hung up.",
        "Vous êtes déjà en ligne avec nous. Refaites votre demande après avoir raccroché.",
    ),
    row(
        "too_many_requests",
        "We cannot take this request just now. If you have already asked, we will call you; else please try again tomorrow.",
        "Nous ne pouvons pas prendre cette demande pour le moment. Si vous en avez déjà fait une, nous vous appellerons ; \
         sinon, réessayez demain.",
    ),
    row(
        "verification_needed",
        "A short check against abuse is needed first. Please use the form on our site.",
        "Une courte vérification contre les abus est nécessaire. Passez par le formulaire de notre site.",
    ),
    row(
        "email_invalid",
        "This e-mail address does not exist. Please check it, or leave it out.",
        "Cette adresse e-mail n’existe pas. Vérifiez-la, ou laissez le champ vide.",
    ),
    row(
        "consent_missing",
        "Please read and accept how we use your number.",
        "Lisez et acceptez l’usage que nous faisons de votre numéro.",
    ),
    row(
        "capacity_full",
        "We cannot take more call-backs right now. Please try again later.",
        "Nous ne pouvons plus prendre de rappels pour le moment. Réessayez plus tard.",
    ),
    row(
        "login_needed",
        "Log in again: this session is over, or the token is wrong.",
        "Reconnectez-vous : cette session est terminée, ou le jeton est faux.",
    ),
    row("admin_only", "Only an administrator may do this.", "Seul un administrateur peut faire cela."),
    row(
        "duplicate_open",
        "This number already has an open call-back. Change that one instead.",
        "Ce numéro a déjà un rappel en cours. Modifiez plutôt celui-là.",
    ),
    row(
        "agent_unknown",
        "No agent of this queue has that extension.",
        "Aucun agent de cette file n’a ce numéro de poste.",
    ),
    row(
        "disposition_missing",
        "Say how it went before you close this call-back.",
        "Dites comment cela s’est passé avant de clore ce rappel.",
    ),
    row(
        "hours_forbid",
        "Nobody may be called at that time. Choose another one.",
        "On ne peut appeler personne à cette heure. Choisissez-en une autre.",
    ),
    row("not_found", "There is no such call-back.", "Ce rappel n’existe pas."),
    row("gone", "It is too late to change this call-back.", "Il est trop tard pour modifier ce rappel."),
    row(
        "book_away",
        "We cannot note call-backs right now. Please try again in a minute.",
        "Nous ne pouvons pas noter de rappel pour le moment. Réessayez dans une minute.",
    ),
    row(
        "ladder_unknown",
        "No ladder of this call is kept: it is too old, there was no room for it, or it never came here.",
        "Aucun tracé de cet appel n’est conservé : il est trop ancien, la place a manqué, ou il n’est jamais venu ici.",
    ),
    row(
        "ladder_ambiguous",
        "Several calls begin like this: write more of the id.",
        "Plusieurs appels commencent ainsi : donnez davantage de l’identifiant.",
    ),
    row(
        "ladder_off",
        "No ladders are kept: memory_mb in [ladder] is 0.",
        "Aucun tracé n’est conservé : memory_mb dans [ladder] vaut 0.",
    ),
    row(
        "reload_busy",
        "The configuration is being read already. Please try again in a moment.",
        "La configuration est déjà en cours de lecture. Réessayez dans un instant.",
    ),
    // How a call-back stands (`desk::CallbackState::code`).
    row("callback-scheduled", "We will call you at the time shown.", "Nous vous appellerons à l’heure indiquée."),
    row(
        "callback-queued",
        "It is your turn soon: keep your phone at hand.",
        "C’est bientôt à vous : gardez votre téléphone à portée.",
    ),
    row("callback-offered", "We are asking an adviser to call you.", "Nous demandons à un conseiller de vous appeler."),
    row("callback-dialling", "We are calling you now.", "Nous vous appelons maintenant."),
    row("callback-connected", "You are talking with an adviser.", "Vous êtes en ligne avec un conseiller."),
    row("callback-completed", "We have talked. Thank you.", "Nous nous sommes parlé. Merci."),
    row(
        "served-on-site",
        "You have talked with us on the site, so nobody needs to call you any more.",
        "Vous nous avez parlé sur le site : personne n’a plus besoin de vous rappeler.",
    ),
    row("callback-cancelled", "This call-back was cancelled.", "Ce rappel a été annulé."),
    row(
        "callback-expired",
        "We could not call you in time. We are sorry: please ask again.",
        "Nous n’avons pas pu vous appeler à temps. Veuillez nous en excuser et refaire une demande.",
    ),
    row(
        "callback-failed",
        "We could not reach you. Please ask again if you still wish to talk.",
        "Nous n’avons pas pu vous joindre. Refaites une demande si vous le souhaitez.",
    ),
    // Why the desk or the edge says no.
    row("closed", "We are closed right now.", "Nous sommes fermés pour le moment."),
    row(
        "session-busy",
        "You already have a call in progress, perhaps in another tab.",
        "Vous avez déjà un appel en cours, peut-être dans un autre onglet.",
    ),
    row(
        "too-many-calls",
        "Too many calls were made from here. Please wait a few minutes.",
        "Trop d’appels ont été passés depuis ici. Patientez quelques minutes.",
    ),
    row(
        "offer-invalid",
        "Your browser’s sound settings could not be read. Please try another browser.",
        "Les réglages audio de votre navigateur n’ont pas pu être lus. Essayez un autre navigateur.",
    ),
    row("answered-elsewhere", "Somebody else has taken this call.", "Quelqu’un d’autre a pris cet appel."),
    row("no-such-call", "This call is over.", "Cet appel est terminé."),
    row("not-ready", "Switch on “Answer here” first.", "Activez d’abord « Répondre ici »."),
    row("origin-missing", "This can only be used from a web page.", "Ce service ne s’utilise que depuis une page web."),
    row(
        "origin-refused",
        "This web site may not use this service.",
        "Ce site n’est pas autorisé à utiliser ce service.",
    ),
    row("queue-unknown", "This line does not exist.", "Cette ligne n’existe pas."),
    row(
        "token-unknown",
        "Your permission to call is not valid. Please try again.",
        "Votre autorisation d’appel n’est pas valable. Veuillez réessayer.",
    ),
    row(
        "token-used",
        "This permission to call was already used. Please try again.",
        "Cette autorisation d’appel a déjà servi. Veuillez réessayer.",
    ),
    row("token-expired", "You took a little long. Please try again.", "Le délai est dépassé. Veuillez réessayer."),
    row(
        "token-origin",
        "This permission to call belongs to another site.",
        "Cette autorisation d’appel appartient à un autre site.",
    ),
    row(
        "too-many-tokens",
        "Too many attempts from here. Please wait a few minutes.",
        "Trop de tentatives depuis ici. Patientez quelques minutes.",
    ),
    row(
        "too-many-sockets",
        "Too many connections from here. Please wait a moment.",
        "Trop de connexions depuis ici. Patientez un instant.",
    ),
    row(
        "too-many-messages",
        "Your page sent too many messages at once. Please reload it.",
        "Votre page a envoyé trop de messages à la fois. Rechargez-la.",
    ),
    row("too-big", "Your page sent too large a message.", "Votre page a envoyé un message trop volumineux."),
    row(
        "text-only",
        "Your page sent a message that we cannot read. Please reload it.",
        "Votre page a envoyé un message illisible. Rechargez-la.",
    ),
    row(
        "hello-late",
        "Your page did not introduce itself in time. Please try again.",
        "Votre page ne s’est pas présentée à temps. Veuillez réessayer.",
    ),
    row(
        "hello-expected",
        "Your page did not introduce itself. Please reload it.",
        "Votre page ne s’est pas présentée. Rechargez-la.",
    ),
    row("hello-again", "Your page introduced itself twice.", "Votre page s’est présentée deux fois."),
    row(
        "version-unsupported",
        "Your page is of another version than this service. Please reload it.",
        "Votre page n’a pas la même version que ce service. Rechargez-la.",
    ),
    row(
        "protocol-unsupported",
        "Your page speaks another protocol than this service. Please reload it.",
        "Votre page ne parle pas le protocole de ce service. Rechargez-la.",
    ),
    row(
        "message-invalid",
        "Your page sent a message that we cannot read. Please reload it.",
        "Votre page a envoyé un message illisible. Rechargez-la.",
    ),
    row(
        "message-shape",
        "Your page sent a message that we cannot read. Please reload it.",
        "Votre page a envoyé un message illisible. Rechargez-la.",
    ),
    row(
        "message-unknown",
        "Your page asked for something this service does not know. Please reload it.",
        "Votre page demande une chose que ce service ne connaît pas. Rechargez-la.",
    ),
    row("message-too-long", "Your page sent too long a text.", "Votre page a envoyé un texte trop long."),
    row("digits-invalid", "Only 0 to 9, * and # can be dialled.", "Seuls 0 à 9, * et # peuvent être composés."),
    row("login-refused", "Extension or password is wrong.", "Le numéro de poste ou le mot de passe est incorrect."),
    row(
        "login-blocked",
        "Too many wrong passwords. Please wait five minutes.",
        "Trop de mots de passe incorrects. Patientez cinq minutes.",
    ),
    row("slow-reader", "Your connection is too slow to follow.", "Votre connexion est trop lente pour suivre."),
    row("request-invalid", "The request cannot be read.", "La requête est illisible."),
    row("json-expected", "The request must be JSON.", "La requête doit être en JSON."),
    row(
        "websocket-expected",
        "This address is for WebSocket connections.",
        "Cette adresse est réservée aux connexions WebSocket.",
    ),
    row("not-here", "There is no such page.", "Cette page n’existe pas."),
    row(
        "method-not-allowed",
        "This cannot be done at this address.",
        "Cette opération n’est pas possible à cette adresse.",
    ),
    row(
        "timeout",
        "The request took too long. Please try again.",
        "La requête a pris trop de temps. Veuillez réessayer.",
    ),
];

const fn row(code: &'static str, en: &'static str, fr: &'static str) -> Row {
    Row { code, en, fr }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_first_of_ours_that_is_named() {
        for (tags, expected) in [
            ("fr", Lang::Fr),
            ("fr-CA", Lang::Fr),
            ("FR_fr", Lang::Fr),
            ("en-GB,fr;q=0.8", Lang::En),
            ("de-DE,de;q=0.9,fr;q=0.8,en;q=0.7", Lang::Fr),
            ("fro", Lang::En),
            ("de", Lang::En),
            ("", Lang::En),
            ("*", Lang::En),
        ] {
            assert_eq!(Lang::of(tags), expected, "{tags:?}");
        }
    }

    #[test]
    fn every_row_is_a_sentence_in_two_languages_with_a_code_of_its_own() {
        for (index, row) in ROWS.iter().enumerate() {
            assert!(row.code.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_".contains(&byte)), "{}", row.code);
            assert!(row.en.ends_with('.') && row.fr.ends_with('.'), "{}", row.code);
            assert!(row.en != row.fr && !row.fr.contains('\''), "{}", row.code);
            assert!(ROWS.iter().skip(index + 1).all(|other| other.code != row.code), "{} twice", row.code);
        }
    }

    #[test]
    fn every_way_a_call_ends_has_a_sentence() {
        for cause in call::HangupCause::ALL {
            assert!(is_known(cause.code()), "{cause:?}");
        }
    }

    #[test]
    fn an_unknown_code_is_never_shown() {
        assert_eq!(sentence("xyzzy", Lang::En), "Something went wrong. Please try again.");
        assert_eq!(sentence("xyzzy", Lang::Fr), "Une erreur est survenue. Veuillez réessayer.");
    }
}
