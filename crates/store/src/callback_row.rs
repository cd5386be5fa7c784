//! A call-back as it is kept: versioned JSON, by the same rules as the records of calls.

use std::time::Duration;

use call::CallTags;
use desk::{
    Attempt, AttemptLegs, Callback, CallbackParts, CallbackState, Care, Consent, Deed, Note, Occurrence, Outcome,
    Promise, Purpose, Wait, Wanted, Wish,
};
use serde::{Deserialize, Serialize};

use crate::record::{TagsRow, Unreadable, unknown};

/// The version written now.
pub(crate) const VERSION: u32 = 1;

#[derive(Deserialize, Serialize)]
struct CallbackRow {
    id: String,
    number: String,
    promised_unix_ms: u64,
    wanted: Option<WantedRow>,
    zone: String,
    consent: Option<ConsentRow>,
    /// Absent in rows of before there was mail.
    email: Option<String>,
    asked_unix_ms: u64,
    priority: u8,
    /// The two ends of the range of the wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told_ms: Option<(u64, u64)>,
    /// Absent where the shop said nothing of him.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    tags: TagsRow,
    state: String,
    detail: Option<String>,
    due_unix_ms: u64,
    attempts: Vec<AttemptRow>,
    trunk_faults: u8,
    agent: Option<String>,
    /// Absent unless an agent is being asked by telephone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    offer_leg: String,
    /// Absent in most: nobody has worked with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    care: Option<CareRow>,
}

#[derive(Deserialize, Serialize)]
struct CareRow {
    owner: Option<String>,
    purpose: String,
    disposition: Option<String>,
    notes: Vec<NoteRow>,
}

#[derive(Deserialize, Serialize)]
struct NoteRow {
    at_unix_ms: u64,
    by: String,
    deed: String,
    text: String,
}

#[derive(Deserialize, Serialize)]
struct WantedRow {
    unix_ms: u64,
    zone: String,
    local: String,
    offset_s: i32,
    occurrence: String,
    promise: String,
}

#[derive(Deserialize, Serialize)]
struct ConsentRow {
    text_id: String,
    version: String,
    at_unix_ms: u64,
}

#[derive(Deserialize, Serialize)]
struct AttemptRow {
    call: String,
    at_unix_ms: u64,
    agent: String,
    outcome: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    customer_leg: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    agent_leg: String,
}

/// The row of a call-back.
pub(crate) fn encode(callback: &Callback) -> Result<String, Unreadable> {
    let CallbackParts { id, wish, state, due_unix_ms, attempts, trunk_faults, agent, offer_leg, care } =
        callback.parts();
    let row = CallbackRow {
        id: id.to_string(),
        number: wish.number.clone(),
        promised_unix_ms: wish.promised_unix_ms,
        wanted: wish.wanted.as_ref().map(WantedRow::of),
        zone: wish.zone.clone(),
        consent: wish.consent.as_ref().map(ConsentRow::of),
        email: wish.email.as_ref().map(|email| email.as_str().to_owned()),
        asked_unix_ms: wish.asked_unix_ms,
        priority: wish.priority,
        customer: wish.customer.clone(),
        told_ms: wish.told.map(|told| (millis(told.p50), millis(told.p90))),
        tags: TagsRow::of(&wish.tags),
        state: state.code().to_owned(),
        detail: state.detail().map(str::to_owned),
        due_unix_ms: *due_unix_ms,
        attempts: attempts.iter().map(AttemptRow::of).collect(),
        trunk_faults: *trunk_faults,
        agent: agent.clone(),
        offer_leg: offer_leg.clone(),
        care: (*care != Care::default()).then(|| CareRow::of(care)),
    };
    serde_json::to_string(&row).map_err(|error| Unreadable(error.to_string()))
}

/// Reads the row of a call-back.
pub(crate) fn decode(version: u32, row: &str) -> Result<Callback, Unreadable> {
    if version != VERSION {
        return Err(Unreadable(format!("row version {version}, known is {VERSION}")));
    }
    let row: CallbackRow = serde_json::from_str(row).map_err(|error| Unreadable(error.to_string()))?;
    let tags: CallTags = row.tags.tags()?;
    let state = CallbackState::from_words(&row.state, row.detail.as_deref());
    Ok(Callback::from_parts(CallbackParts {
        id: row.id.parse().map_err(|_| unknown("call-back id", &row.id))?,
        wish: Wish {
            number: row.number,
            promised_unix_ms: row.promised_unix_ms,
            wanted: row.wanted.map(WantedRow::wanted).transpose()?,
            zone: row.zone,
            consent: row.consent.map(ConsentRow::consent),
            email: row.email.and_then(|email| email.parse().ok()),
            asked_unix_ms: row.asked_unix_ms,
            priority: row.priority,
            customer: row.customer,
            told: row
                .told_ms
                .map(|(p50, p90)| Wait { p50: Duration::from_millis(p50), p90: Duration::from_millis(p90) }),
            tags,
        },
        state: state.ok_or_else(|| unknown("state", &row.state))?,
        due_unix_ms: row.due_unix_ms,
        attempts: row.attempts.into_iter().map(AttemptRow::attempt).collect::<Result<_, _>>()?,
        trunk_faults: row.trunk_faults,
        agent: row.agent,
        offer_leg: row.offer_leg,
        care: row.care.map(CareRow::care).transpose()?.unwrap_or_default(),
    }))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl WantedRow {
    fn of(wanted: &Wanted) -> Self {
        Self {
            unix_ms: wanted.unix_ms,
            zone: wanted.zone.clone(),
            local: wanted.local.clone(),
            offset_s: wanted.offset_s,
            occurrence: wanted.occurrence.code().to_owned(),
            promise: wanted.promise.code().to_owned(),
        }
    }

    fn wanted(self) -> Result<Wanted, Unreadable> {
        Ok(Wanted {
            unix_ms: self.unix_ms,
            zone: self.zone,
            local: self.local,
            offset_s: self.offset_s,
            occurrence: Occurrence::from_code(&self.occurrence)
                .ok_or_else(|| unknown("occurrence", &self.occurrence))?,
            promise: Promise::from_code(&self.promise).ok_or_else(|| unknown("promise", &self.promise))?,
        })
    }
}

impl ConsentRow {
    fn of(consent: &Consent) -> Self {
        Self { text_id: consent.text_id.clone(), version: consent.version.clone(), at_unix_ms: consent.at_unix_ms }
    }

    fn consent(self) -> Consent {
        Consent { text_id: self.text_id, version: self.version, at_unix_ms: self.at_unix_ms }
    }
}

impl CareRow {
    fn of(care: &Care) -> Self {
        let note = |note: &Note| NoteRow {
            at_unix_ms: note.at_unix_ms,
            by: note.by.clone(),
            deed: note.deed.code().to_owned(),
            text: note.text.clone(),
        };
        Self {
            owner: care.owner.clone(),
            purpose: care.purpose.code().to_owned(),
            disposition: care.disposition.clone(),
            notes: care.notes.iter().map(note).collect(),
        }
    }

    fn care(self) -> Result<Care, Unreadable> {
        let note = |note: NoteRow| {
            let deed = Deed::from_code(&note.deed).ok_or_else(|| unknown("deed", &note.deed))?;
            Ok(Note { at_unix_ms: note.at_unix_ms, by: note.by, deed, text: note.text })
        };
        Ok(Care {
            owner: self.owner,
            purpose: Purpose::from_code(&self.purpose).ok_or_else(|| unknown("purpose", &self.purpose))?,
            disposition: self.disposition,
            notes: self.notes.into_iter().map(note).collect::<Result<_, _>>()?,
        })
    }
}

impl AttemptRow {
    fn of(attempt: &Attempt) -> Self {
        Self {
            call: attempt.call.to_string(),
            at_unix_ms: attempt.at_unix_ms,
            agent: attempt.agent.clone(),
            outcome: attempt.outcome.map(|outcome| outcome.code().to_owned()),
            customer_leg: attempt.legs.customer.clone(),
            agent_leg: attempt.legs.agent.clone(),
        }
    }

    fn attempt(self) -> Result<Attempt, Unreadable> {
        let outcome = self.outcome.as_deref();
        Ok(Attempt {
            call: self.call.parse().map_err(|_| unknown("call id", &self.call))?,
            at_unix_ms: self.at_unix_ms,
            agent: self.agent,
            outcome: outcome
                .map(|code| Outcome::from_code(code).ok_or_else(|| unknown("outcome", code)))
                .transpose()?,
            legs: AttemptLegs { customer: self.customer_leg, agent: self.agent_leg },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::callbacks::callback;

    #[test]
    fn a_row_of_before_there_was_mail_has_no_address() {
        let kept = callback(1, 5_000);
        let row = encode(&kept).ok().unwrap();
        let older = row.replace("\"email\":\"claire@mail.example\",", "");
        assert_ne!(older, row);
        let read = decode(VERSION, &older).ok().unwrap();
        assert_eq!((read.wish().email.clone(), read.wish().number.clone()), (None, kept.wish().number.clone()));
        let damaged = row.replace("claire@mail.example", "claire@mail.example\\r\\nBcc: x@y.fr");
        assert_eq!(decode(VERSION, &damaged).ok().unwrap().wish().email, None, "nobody is written to there");
    }
}
