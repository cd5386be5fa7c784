//! The outbox in memory: the plainest form of its rules.

use std::collections::{BTreeMap, BTreeSet};

use super::Memory;
use crate::outbox::{check, full};
use crate::{Answer, Message, Outbox, StoreError};

#[derive(Debug, Default)]
pub(super) struct Messages {
    kept: BTreeMap<String, Message>,
    /// All by when they may be sent.
    due: BTreeSet<(u64, String)>,
}

impl Messages {
    fn post(&mut self, messages: Vec<Message>) -> Result<u64, StoreError> {
        check(&messages)?;
        let new: Vec<Message> = messages.into_iter().filter(|message| !self.kept.contains_key(&message.id)).collect();
        if self.kept.len() + new.len() > Message::WAITING_MAX {
            return Err(full());
        }
        let count = new.len() as u64;
        for message in new {
            self.due.insert((message.due_unix_ms, message.id.clone()));
            self.kept.insert(message.id.clone(), message);
        }
        Ok(count)
    }

    fn claim(&mut self, now_unix_ms: u64, until_unix_ms: u64, limit: usize) -> Vec<Message> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now_unix_ms);
        let ids: Vec<String> = due.take(limit.min(Message::BATCH_MAX)).map(|(_, id)| id.clone()).collect();
        ids.iter().for_each(|id| {
            self.put_off(id, until_unix_ms, 1);
        });
        ids.iter().filter_map(|id| self.kept.get(id).cloned()).collect()
    }

    fn put_off(&mut self, id: &str, at_unix_ms: u64, tries: u32) -> bool {
        let Some(message) = self.kept.get_mut(id) else { return false };
        self.due.remove(&(message.due_unix_ms, id.to_owned()));
        message.due_unix_ms = at_unix_ms;
        message.tries = message.tries.saturating_add(tries);
        self.due.insert((at_unix_ms, id.to_owned()))
    }

    fn end(&mut self, id: &str) -> bool {
        let Some(message) = self.kept.remove(id) else { return false };
        self.due.remove(&(message.due_unix_ms, message.id))
    }
}

impl Memory {
    fn with_messages<T>(&self, work: impl FnOnce(&mut Messages) -> T) -> Result<T, StoreError> {
        self.messages.lock().map(|mut messages| work(&mut messages)).map_err(|_| StoreError::Closed)
    }
}

impl Outbox for Memory {
    fn post_messages(&self, messages: Vec<Message>) -> Answer<'_, u64> {
        Box::pin(async move { self.with_messages(|kept| kept.post(messages))? })
    }

    fn claim_messages(&self, now_unix_ms: u64, until_unix_ms: u64, limit: usize) -> Answer<'_, Vec<Message>> {
        Box::pin(async move { self.with_messages(|kept| kept.claim(now_unix_ms, until_unix_ms, limit)) })
    }

    fn end_message(&self, id: String) -> Answer<'_, bool> {
        Box::pin(async move { self.with_messages(|kept| kept.end(&id)) })
    }

    fn retry_message(&self, id: String, at_unix_ms: u64) -> Answer<'_, bool> {
        Box::pin(async move { self.with_messages(|kept| kept.put_off(&id, at_unix_ms, 0)) })
    }

    fn messages_waiting(&self) -> Answer<'_, u64> {
        Box::pin(async move { self.with_messages(|kept| kept.kept.len() as u64) })
    }
}
