//! What those who work with a call-back do to it: whose it is, its rank, its queue, how it was closed, and who wrote what.

use call::QueueId;

use super::{Callback, CallbackState, OutOfTurn};

/// The highest rank somebody may be given; 0 is everybody's.
pub const PRIORITY_MAX: u8 = 9;

/// Why somebody is called.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Purpose {
    /// He asked for it.
    #[default]
    Requested,
    /// The company wants to speak to him, and he agreed to that: held to the hours for such calls.
    FollowUp,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 2] = [Self::Requested, Self::FollowUp];

    /// The stable word for JSON and records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::FollowUp => "follow-up",
        }
    }

    /// The purpose of this word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.code() == code)
    }
}

/// What somebody did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deed {
    /// Made it.
    Created,
    /// Gave it another moment.
    Moved,
    /// Called it off.
    Cancelled,
    /// Gave it to another queue.
    Handed,
    /// Made it an agent's, or nobody's.
    Assigned,
    /// Changed its rank.
    Ranked,
    /// Closed it, or said how the talk went.
    Completed,
    /// Wrote something down.
    Noted,
}

impl Deed {
    /// Every deed.
    pub const ALL: [Self; 8] = [
        Self::Created,
        Self::Moved,
        Self::Cancelled,
        Self::Handed,
        Self::Assigned,
        Self::Ranked,
        Self::Completed,
        Self::Noted,
    ];

    /// The stable word for JSON and records.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Moved => "moved",
            Self::Cancelled => "cancelled",
            Self::Handed => "handed",
            Self::Assigned => "assigned",
            Self::Ranked => "ranked",
            Self::Completed => "completed",
            Self::Noted => "noted",
        }
    }

    /// The deed of this word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|deed| deed.code() == code)
    }
}

/// Who did what, when, and what he wrote about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// When.
    pub at_unix_ms: u64,
    /// Who: `admin`, or an agent's extension.
    pub by: String,
    /// What was done.
    pub deed: Deed,
    /// Why, in his words; may be empty.
    pub text: String,
}

impl Note {
    /// Longest text, in characters; more is cut.
    pub const TEXT_MAX: usize = 500;
    /// So many are kept of one call-back: how it began, and the newest.
    pub const KEPT_MAX: usize = 20;
}

/// What is written on a call-back by those who work with it; empty for most.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Care {
    /// The agent who is to call, if he is free when its turn comes.
    pub owner: Option<String>,
    /// Why he is called.
    pub purpose: Purpose,
    /// How it was closed, in a word of the company's.
    pub disposition: Option<String>,
    /// Who did what, oldest first.
    pub notes: Vec<Note>,
}

/// Whether this is a word that says how a call-back was closed: small letters, digits and hyphens, at most 32.
pub fn is_disposition(word: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    !word.is_empty() && word.len() <= 32 && word.chars().all(fits)
}

impl Callback {
    /// What those who work with it have written.
    pub const fn care(&self) -> &Care {
        &self.0.care
    }

    /// Writes down what somebody did. When there are too many, the oldest but the first goes.
    pub fn note(&mut self, mut note: Note) {
        let printed = note.text.chars().filter(|letter| !letter.is_control() || *letter == '\n');
        note.text = printed.take(Note::TEXT_MAX).collect::<String>().trim().to_owned();
        let notes = &mut self.0.care.notes;
        if notes.len() >= Note::KEPT_MAX {
            notes.remove(1);
        }
        notes.push(note);
    }

    /// It is this agent's to call, if he is free then; `None`: anybody's.
    pub fn assign(&mut self, owner: Option<String>) -> Result<(), OutOfTurn> {
        self.only_if(self.waits())?;
        self.0.care.owner = owner;
        Ok(())
    }

    /// Its rank among those who wait; more than [`PRIORITY_MAX`] is that.
    pub fn rank(&mut self, priority: u8) -> Result<(), OutOfTurn> {
        self.only_if(self.waits())?;
        self.0.wish.priority = priority.min(PRIORITY_MAX);
        Ok(())
    }

    /// Another queue calls. Whose it was is nobody's there; its moment and its place stay.
    pub fn hand_to(&mut self, queue: QueueId) -> Result<(), OutOfTurn> {
        self.only_if(self.waits())?;
        self.0.wish.tags.queue = queue;
        self.0.care.owner = None;
        Ok(())
    }

    /// Why he is called, said once when it is made.
    #[must_use]
    pub fn for_purpose(mut self, purpose: Purpose) -> Self {
        self.0.care.purpose = purpose;
        self
    }

    /// He has been spoken to: one that waits is closed by it, of one that is talked on or was, it is said how it went.
    pub fn complete(&mut self, disposition: &str) -> Result<(), OutOfTurn> {
        let talked =
            matches!(self.0.state, CallbackState::Connected | CallbackState::Completed | CallbackState::Served);
        self.only_if(self.waits() || talked)?;
        self.0.care.disposition = Some(disposition.to_owned());
        if self.waits() {
            self.0.state = CallbackState::Completed;
            self.0.agent = None;
        }
        Ok(())
    }

    /// Nobody is being asked or rung for it now.
    pub const fn waits(&self) -> bool {
        matches!(self.0.state, CallbackState::Scheduled | CallbackState::Queued)
    }
}

#[cfg(test)]
mod tests;
