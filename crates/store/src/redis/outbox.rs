//! The outbox in Redis: a hash a message, an order by their moments. Two nodes that claim get each message once.

use std::sync::LazyLock;

use redis::Script;

use super::Redis;
use super::keys::{key, prefix};
use crate::outbox::{check, full};
use crate::{Answer, Message, Outbox, StoreError};

static POST: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/post_messages.lua")));
static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/claim_messages.lua")));
static END: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/end_message.lua")));
static RETRY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/retry_message.lua")));

/// Id, kind, destination, payload, tries.
type Fields = (String, String, String, String, u32);

impl Outbox for Redis {
    fn post_messages(&self, messages: Vec<Message>) -> Answer<'_, u64> {
        self.write(|session| async move {
            check(&messages)?;
            let mut script = POST.key(key(&["messages"]));
            script.arg(prefix("message")).arg(Message::WAITING_MAX);
            for message in &messages {
                let Message { id, kind, destination, payload, due_unix_ms, tries } = message;
                script.arg(id).arg(kind).arg(destination).arg(payload).arg(due_unix_ms).arg(tries);
            }
            let new: i64 = session.script(&script).await?;
            let new = u64::try_from(new).map_err(|_| full())?;
            Ok((new, new))
        })
    }

    fn claim_messages(&self, now_unix_ms: u64, until_unix_ms: u64, limit: usize) -> Answer<'_, Vec<Message>> {
        self.write(move |session| async move {
            let mut script = CLAIM.key(key(&["messages"]));
            script.arg(now_unix_ms).arg(until_unix_ms).arg(limit.min(Message::BATCH_MAX)).arg(prefix("message"));
            let rows: Vec<Fields> = session.script(&script).await?;
            let message = |(id, kind, destination, payload, tries): Fields| Message {
                id,
                kind,
                destination,
                payload,
                due_unix_ms: until_unix_ms,
                tries,
            };
            Ok((rows.len() as u64, rows.into_iter().map(message).collect()))
        })
    }

    fn end_message(&self, id: String) -> Answer<'_, bool> {
        self.write(move |session| async move {
            let mut script = END.key(key(&["messages"]));
            script.key(key(&["message", &id])).arg(&id);
            let ended: u64 = session.script(&script).await?;
            Ok((ended, ended > 0))
        })
    }

    fn retry_message(&self, id: String, at_unix_ms: u64) -> Answer<'_, bool> {
        self.write(move |session| async move {
            let mut script = RETRY.key(key(&["messages"]));
            script.arg(&id).arg(at_unix_ms);
            let put_off: u64 = session.script(&script).await?;
            Ok((put_off, put_off > 0))
        })
    }

    fn messages_waiting(&self) -> Answer<'_, u64> {
        self.ask(|session| async move {
            let count: Result<u64, StoreError> = session.command(redis::cmd("ZCARD").arg(key(&["messages"]))).await;
            count
        })
    }
}
