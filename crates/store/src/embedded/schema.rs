//! The schema and the steps that lead to it, each done once and whole.

use rusqlite::{Connection, TransactionBehavior};

use crate::StoreError;

/// `PRAGMA application_id`: a file of Passerelle ("Psrl").
const APPLICATION_ID: i32 = 0x5073_726c;

/// One step from the schema before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// Every step ever taken, the oldest first; version n is the schema after n steps. A step that was
/// released is never edited: add one.
pub(crate) const STEPS: &[Step] = &[CALLS, CALLBACKS, MESSAGES, SHIELD, COUNTS, HOLDS, PAUSES, SESSIONS];

const CALLS: Step = Step {
    name: "calls",
    // `row` is versioned JSON (record.rs). The generated columns are for people with a SQL prompt;
    // they cannot disagree with the row.
    sql: "
        CREATE TABLE calls (
            id TEXT NOT NULL PRIMARY KEY,
            tenant TEXT NOT NULL,
            started_unix_ms INTEGER NOT NULL,
            ended_unix_ms INTEGER,
            version INTEGER NOT NULL,
            row TEXT NOT NULL,
            queue ANY GENERATED ALWAYS AS (row ->> '$.tags.queue') VIRTUAL,
            cause ANY GENERATED ALWAYS AS (row ->> '$.cause') VIRTUAL,
            hung_up_by ANY GENERATED ALWAYS AS (row ->> '$.hung_up_by') VIRTUAL,
            wait_ms ANY GENERATED ALWAYS AS (row ->> '$.wait_ms') VIRTUAL,
            talk_ms ANY GENERATED ALWAYS AS (row ->> '$.talk_ms') VIRTUAL
        ) STRICT;
        CREATE INDEX calls_open ON calls (id) WHERE ended_unix_ms IS NULL;
        CREATE INDEX calls_by_start ON calls (started_unix_ms, id);
        CREATE INDEX calls_by_tenant ON calls (tenant, started_unix_ms, id);
        CREATE TABLE probe (only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1), writes INTEGER NOT NULL) STRICT;
        INSERT INTO probe VALUES (1, 0);",
};

const CALLBACKS: Step = Step {
    name: "callbacks",
    // `row` is versioned JSON (callback_row.rs); `change` counts the changes of a row, `version` is that of its form.
    sql: "
        CREATE TABLE callbacks (
            id TEXT NOT NULL PRIMARY KEY,
            tenant TEXT NOT NULL,
            queue TEXT NOT NULL,
            number TEXT NOT NULL,
            request_key TEXT,
            manage TEXT NOT NULL,
            asked_unix_ms INTEGER NOT NULL,
            promised_unix_ms INTEGER NOT NULL,
            is_open INTEGER NOT NULL,
            wake_unix_ms INTEGER,
            lease_node TEXT,
            lease_until_unix_ms INTEGER,
            change INTEGER NOT NULL,
            version INTEGER NOT NULL,
            row TEXT NOT NULL,
            state ANY GENERATED ALWAYS AS (row ->> '$.state') VIRTUAL,
            detail ANY GENERATED ALWAYS AS (row ->> '$.detail') VIRTUAL
        ) STRICT;
        CREATE UNIQUE INDEX callbacks_open ON callbacks (tenant, number) WHERE is_open;
        CREATE UNIQUE INDEX callbacks_request ON callbacks (tenant, request_key) WHERE request_key IS NOT NULL;
        CREATE INDEX callbacks_wake ON callbacks (wake_unix_ms, id) WHERE wake_unix_ms IS NOT NULL;
        CREATE INDEX callbacks_to ON callbacks (number, asked_unix_ms);
        CREATE INDEX callbacks_promised ON callbacks (tenant, queue, promised_unix_ms) WHERE is_open;
        CREATE INDEX callbacks_asked ON callbacks (asked_unix_ms, id);
        CREATE INDEX callbacks_by_tenant ON callbacks (tenant, asked_unix_ms, id);",
};

const MESSAGES: Step = Step {
    name: "messages",
    sql: "
        CREATE TABLE messages (
            id TEXT NOT NULL PRIMARY KEY,
            kind TEXT NOT NULL,
            destination TEXT NOT NULL,
            due_unix_ms INTEGER NOT NULL,
            tries INTEGER NOT NULL,
            payload TEXT NOT NULL
        ) STRICT;
        CREATE INDEX messages_due ON messages (due_unix_ms, id);",
};

const SHIELD: Step = Step {
    name: "shield",
    // No number stands here: `hash` is keyed, and the key is elsewhere (suppression.rs).
    sql: "
        CREATE TABLE suppressions (
            hash TEXT NOT NULL PRIMARY KEY,
            key_id TEXT NOT NULL,
            at_unix_ms INTEGER NOT NULL,
            said_by TEXT NOT NULL
        ) STRICT;
        CREATE INDEX suppressions_at ON suppressions (at_unix_ms, hash);
        CREATE TABLE tallies (
            day TEXT NOT NULL,
            name TEXT NOT NULL,
            used INTEGER NOT NULL,
            PRIMARY KEY (day, name)
        ) STRICT;",
};

const COUNTS: Step = Step {
    name: "counts",
    // A count that changes with its rows, in the same transaction: nobody counts a million rows to promise one call.
    // What is held is found by itself when the file is opened.
    sql: "
        CREATE TABLE callbacks_open_of (
            tenant TEXT NOT NULL PRIMARY KEY, open INTEGER NOT NULL CHECK (open >= 0)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO callbacks_open_of SELECT tenant, COUNT(*) FROM callbacks WHERE is_open GROUP BY tenant;
        CREATE TRIGGER callbacks_opened AFTER INSERT ON callbacks WHEN NEW.is_open BEGIN
            INSERT INTO callbacks_open_of VALUES (NEW.tenant, 1) ON CONFLICT DO UPDATE SET open = open + 1;
        END;
        CREATE TRIGGER callbacks_reopened AFTER UPDATE OF is_open ON callbacks WHEN NEW.is_open > OLD.is_open BEGIN
            INSERT INTO callbacks_open_of VALUES (NEW.tenant, 1) ON CONFLICT DO UPDATE SET open = open + 1;
        END;
        CREATE TRIGGER callbacks_closed AFTER UPDATE OF is_open ON callbacks WHEN NEW.is_open < OLD.is_open BEGIN
            UPDATE callbacks_open_of SET open = open - 1 WHERE tenant = OLD.tenant;
        END;
        CREATE TRIGGER callbacks_forgotten AFTER DELETE ON callbacks WHEN OLD.is_open BEGIN
            UPDATE callbacks_open_of SET open = open - 1 WHERE tenant = OLD.tenant;
        END;
        CREATE INDEX callbacks_held ON callbacks (id) WHERE lease_node IS NOT NULL;",
};

const HOLDS: Step = Step {
    name: "holds",
    sql: "
        CREATE TABLE seat_holds (
            id TEXT NOT NULL PRIMARY KEY,
            tenant TEXT NOT NULL,
            queue TEXT NOT NULL,
            start_unix_ms INTEGER NOT NULL,
            until_unix_ms INTEGER NOT NULL,
            holder TEXT NOT NULL,
            source TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE UNIQUE INDEX seat_holds_holder ON seat_holds (tenant, holder);
        CREATE INDEX seat_holds_start ON seat_holds (tenant, queue, start_unix_ms, until_unix_ms);
        CREATE INDEX seat_holds_source ON seat_holds (tenant, source);
        CREATE INDEX seat_holds_until ON seat_holds (until_unix_ms);",
};

const PAUSES: Step = Step {
    name: "pauses",
    sql: "
        CREATE TABLE pauses (
            tenant TEXT NOT NULL,
            queue TEXT NOT NULL,
            said_by TEXT NOT NULL,
            note TEXT NOT NULL,
            at_unix_ms INTEGER NOT NULL,
            PRIMARY KEY (tenant, queue)
        ) STRICT, WITHOUT ROWID;",
};

const SESSIONS: Step = Step {
    name: "sessions",
    // Written once: a call-back keeps the session that asked for it, so no change of a row touches this index.
    sql: "
        ALTER TABLE callbacks ADD session TEXT;
        UPDATE callbacks SET session = NULLIF(row ->> '$.tags.session', '') WHERE is_open AND json_valid(row);
        CREATE INDEX callbacks_session ON callbacks (tenant, session, asked_unix_ms) WHERE session IS NOT NULL;",
};

/// Brings the file to the newest schema; one transaction, so that a crash leaves the old one whole.
pub(crate) fn migrate(connection: &mut Connection, steps: &[Step]) -> Result<(), StoreError> {
    let done = version(connection)?;
    let known = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    if done > known {
        return Err(StoreError::Newer { found: done, known });
    }
    if done == known {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (
            version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, program TEXT NOT NULL
        ) STRICT;",
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    for (step, version) in steps.iter().zip(1_u32..).skip(done as usize) {
        transaction.execute_batch(step.sql)?;
        let row = (version, step.name, env!("CARGO_PKG_VERSION"));
        transaction.execute("INSERT INTO migrations VALUES (?1, ?2, ?3)", row)?;
        tracing::info!(version, step = step.name, "the store's schema is brought up to date");
    }
    transaction.commit()?;
    Ok(())
}

/// The schema of the file: 0 is an empty one.
pub(crate) fn version(connection: &Connection) -> Result<u32, StoreError> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u32>(0));
    if count("SELECT COUNT(*) FROM sqlite_schema")? == 0 {
        return Ok(0);
    }
    let owner: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if owner != APPLICATION_ID {
        return Err(StoreError::Damaged("the file belongs to another program".to_owned()));
    }
    Ok(count("SELECT COALESCE(MAX(version), 0) FROM migrations")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Step = Step { name: "first", sql: "CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('kept');" };
    const NEW: Step =
        Step { name: "loud", sql: "ALTER TABLE notes ADD loud TEXT; UPDATE notes SET loud = upper(text);" };
    const BROKEN: Step = Step { name: "broken", sql: "CREATE TABLE half (x); SELECT nonsense;" };

    fn loud(connection: &Connection) -> String {
        connection.query_row("SELECT loud FROM notes", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn from_version_0_every_step_is_taken_once() {
        let mut file = Connection::open_in_memory().unwrap();
        assert_eq!(version(&file), Ok(0));
        for _ in 0..2 {
            migrate(&mut file, &[OLD, NEW]).unwrap();
            assert_eq!((version(&file), loud(&file).as_str()), (Ok(2), "KEPT"));
        }
        let names = "SELECT group_concat(version || name) FROM migrations";
        assert_eq!(file.query_row(names, [], |row| row.get::<_, String>(0)).unwrap(), "1first,2loud");
    }

    #[test]
    fn an_older_file_keeps_its_rows() {
        let mut file = Connection::open_in_memory().unwrap();
        migrate(&mut file, &[OLD]).unwrap();
        assert_eq!(version(&file), Ok(1));
        migrate(&mut file, &[OLD, NEW]).unwrap();
        assert_eq!((version(&file), loud(&file).as_str()), (Ok(2), "KEPT"));
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let mut file = Connection::open_in_memory().unwrap();
        migrate(&mut file, &[OLD]).unwrap();
        assert!(migrate(&mut file, &[OLD, NEW, BROKEN]).is_err());
        assert_eq!(version(&file), Ok(1));
        migrate(&mut file, &[OLD, NEW]).unwrap();
    }

    #[test]
    fn a_newer_or_a_foreign_file_is_left_alone() {
        let mut file = Connection::open_in_memory().unwrap();
        migrate(&mut file, &[OLD, NEW]).unwrap();
        assert_eq!(migrate(&mut file, &[OLD]), Err(StoreError::Newer { found: 2, known: 1 }));
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE photos (x)").unwrap();
        assert!(matches!(migrate(&mut foreign, &[OLD]), Err(StoreError::Damaged(_))));
    }
}
