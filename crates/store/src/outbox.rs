//! The outbox: what somebody outside must be told, kept until he was told it, at least once.
//!
//! **One time.** A message has a moment from which on it may be sent. Claiming it moves that moment to the end of the
//! claim, so that no other node sends it meanwhile; whoever dies with a claim leaves a message that comes up again. Its id
//! stays the same over all tries, for the receiver to know a second copy by.

use crate::{Answer, StoreError};

/// Something to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Its name, the same at every try: 1 to [`Self::WORD_BYTES_MAX`] of `a-z A-Z 0-9 . _ -`.
    pub id: String,
    /// What it is about, a word of the program.
    pub kind: String,
    /// Who is told, a name of the configuration.
    pub destination: String,
    /// What is told, JSON.
    pub payload: String,
    /// Not to be sent before.
    pub due_unix_ms: u64,
    /// How often it was claimed.
    pub tries: u32,
}

impl Message {
    /// Longest id, kind and destination.
    pub const WORD_BYTES_MAX: usize = 128;
    /// Longest payload.
    pub const PAYLOAD_BYTES_MAX: usize = 16_384;
    /// So many wait at most, in the whole home: one more is refused.
    pub const WAITING_MAX: usize = 50_000;
    /// So many may be posted or claimed at once.
    pub const BATCH_MAX: usize = 256;

    fn is_sound(&self) -> bool {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-');
        !self.id.is_empty()
            && self.id.bytes().all(plain)
            && [&self.id, &self.kind, &self.destination].into_iter().all(|word| word.len() <= Self::WORD_BYTES_MAX)
            && self.payload.len() <= Self::PAYLOAD_BYTES_MAX
    }
}

/// A home for messages.
pub trait Outbox: Send + Sync {
    /// Keeps these, but for those whose id is there already; says how many are new. All or none:
    /// [`StoreError::Full`] when there would be more than [`Message::WAITING_MAX`].
    fn post_messages(&self, messages: Vec<Message>) -> Answer<'_, u64>;

    /// Takes at most `limit` whose moment has come, the longest overdue first; nobody else gets them before
    /// `until_unix_ms`.
    fn claim_messages(&self, now_unix_ms: u64, until_unix_ms: u64, limit: usize) -> Answer<'_, Vec<Message>>;

    /// It was told, or given up: it is gone. False when it was gone before.
    fn end_message(&self, id: String) -> Answer<'_, bool>;

    /// To be tried again at this moment. False when it is gone.
    fn retry_message(&self, id: String, at_unix_ms: u64) -> Answer<'_, bool>;

    /// How many wait, those that are claimed too.
    fn messages_waiting(&self) -> Answer<'_, u64>;
}

/// Whether a home may take these at all.
pub(crate) fn check(messages: &[Message]) -> Result<(), StoreError> {
    if messages.len() > Message::BATCH_MAX {
        return Err(StoreError::Refused(format!("{} messages at once", messages.len())));
    }
    match messages.iter().find(|message| !message.is_sound()) {
        Some(message) => {
            let bytes = message.payload.len();
            Err(StoreError::Refused(format!("a message {} of {bytes} bytes is too long or badly named", message.kind)))
        }
        None => Ok(()),
    }
}

/// There is no room.
pub(crate) fn full() -> StoreError {
    StoreError::Full(format!("{} messages wait to be sent already", Message::WAITING_MAX))
}
