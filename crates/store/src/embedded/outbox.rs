//! The outbox in the file: a row a message, found by its moment.

use rusqlite::{Connection, Row};

use super::writer::Written;
use super::{Embedded, to_column};
use crate::outbox::{check, full};
use crate::{Answer, Message, Outbox, StoreError};

impl Outbox for Embedded {
    fn post_messages(&self, messages: Vec<Message>) -> Answer<'_, u64> {
        Box::pin(async move {
            check(&messages)?;
            self.write(move |connection, _| post(connection, &messages)).await
        })
    }

    fn claim_messages(&self, now_unix_ms: u64, until_unix_ms: u64, limit: usize) -> Answer<'_, Vec<Message>> {
        let (now, until) = (to_column(now_unix_ms), to_column(until_unix_ms));
        Box::pin(async move {
            // Looked at every second: the disk is only bothered when there is something.
            if self.jobs.is_some() && !self.ask(move |connection, _| is_any_due(connection, now)).await? {
                return Ok(Vec::new());
            }
            self.write(move |connection, _| claim(connection, now, until, limit)).await
        })
    }

    fn end_message(&self, id: String) -> Answer<'_, bool> {
        Box::pin(self.write(move |connection, _| {
            let rows = connection.prepare_cached("DELETE FROM messages WHERE id = ?1")?.execute([&id])?;
            Ok((rows as u64, rows > 0))
        }))
    }

    fn retry_message(&self, id: String, at_unix_ms: u64) -> Answer<'_, bool> {
        let at = to_column(at_unix_ms);
        Box::pin(self.write(move |connection, _| {
            let sql = "UPDATE messages SET due_unix_ms = ?2 WHERE id = ?1";
            let rows = connection.prepare_cached(sql)?.execute((&id, at))?;
            Ok((rows as u64, rows > 0))
        }))
    }

    fn messages_waiting(&self) -> Answer<'_, u64> {
        Box::pin(self.ask(|connection, _| count(connection)))
    }
}

fn count(connection: &Connection) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT COUNT(*) FROM messages")?;
    Ok(statement.query_row([], |row| row.get::<_, u32>(0))?.into())
}

fn is_any_due(connection: &Connection, now: i64) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM messages WHERE due_unix_ms <= ?1 LIMIT 1")?.exists([now])?)
}

fn post(connection: &Connection, messages: &[Message]) -> Written<u64> {
    let mut known = connection.prepare_cached("SELECT 1 FROM messages WHERE id = ?1")?;
    let mut new = Vec::new();
    for message in messages {
        if !known.exists([&message.id])? {
            new.push(message);
        }
    }
    let new_count = new.len() as u64;
    if count(connection)? + new_count > Message::WAITING_MAX as u64 {
        return Err(full());
    }
    let sql = "INSERT OR IGNORE INTO messages (id, kind, destination, due_unix_ms, tries, payload)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut insert = connection.prepare_cached(sql)?;
    for message in new {
        let due = to_column(message.due_unix_ms);
        let Message { id, kind, destination, payload, tries, .. } = message;
        insert.execute((id, kind, destination, due, tries, payload))?;
    }
    Ok((new_count, new_count))
}

fn claim(connection: &Connection, now: i64, until: i64, limit: usize) -> Written<Vec<Message>> {
    let sql = format!(
        "SELECT id, kind, destination, tries, payload FROM messages WHERE due_unix_ms <= ?1
         ORDER BY due_unix_ms, id LIMIT {}",
        limit.min(Message::BATCH_MAX)
    );
    let due_unix_ms = u64::try_from(until).unwrap_or(0);
    let read = |row: &Row<'_>| {
        Ok(Message {
            id: row.get(0)?,
            kind: row.get(1)?,
            destination: row.get(2)?,
            payload: row.get(4)?,
            due_unix_ms,
            tries: row.get::<_, u32>(3)?.saturating_add(1),
        })
    };
    let claimed: Vec<Message> =
        connection.prepare_cached(&sql)?.query_map([now], read)?.collect::<Result<_, rusqlite::Error>>()?;
    let mut put_off = connection.prepare_cached("UPDATE messages SET due_unix_ms = ?2, tries = ?3 WHERE id = ?1")?;
    for message in &claimed {
        put_off.execute((&message.id, until, message.tries))?;
    }
    Ok((claimed.len() as u64, claimed))
}
