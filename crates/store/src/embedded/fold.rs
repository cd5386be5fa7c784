//! Folds the log into the file beside the thread that writes, so that no promise waits for it.
//!
//! A commit is one piece at the end of SQLite's log and one flush. Sooner or later the pages of the log must go to where
//! they belong (a checkpoint): all over the file, and in a file of a million rows that is a thousand writes and two more
//! flushes. SQLite does it inside the commit that makes the log long; here a thread with a connection of its own does.
//!
//! ```text
//! writer   commit ── commit ── commit ── commit ── commit ─┬─ the last pages ── commit: the log begins anew
//!                        │ `fold_from` pages more          │
//! folder                 └─► fold, flush ── what came meanwhile ──┘ from `anew_from` pages on
//! ```
//! Folding waits for nobody and nobody waits for it (`PASSIVE`). But the log only begins anew when all of it is folded at
//! the start of a commit, and under steady load the folder is always a commit behind: so that the log does not grow for
//! ever, the writer folds the very last pages itself, between two commits. A question that reads for long still keeps the
//! log growing meanwhile: its pages are those of the moment it was asked.
//!
//! **Little and often.** SQLite flushes the file only when it has folded all of the log, which is what the writer does: the
//! pages of a thousand commits before would reach the disk all at once, and with them whoever promises just then. So the
//! folder flushes the file after every round, and a round is small: the disk serves the flush of a commit after the pages
//! that are on their way to it. SQLite relies on none of these flushes.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode};

use super::BUSY_LIMIT;
use crate::StoreError;

/// When the log is folded, in pages of 4 kB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// So many more are worth a flush of the file.
    fold_from: u64,
    /// From so many on the log is to begin anew.
    anew_from: u64,
    /// The writer folds no more itself: it takes no longer for them than for a commit.
    last: u64,
}

impl Rule {
    /// Every half MB, and anew from 32 MB on.
    pub(super) const USUAL: Self = Self { fold_from: 128, anew_from: 8_192, last: 32 };
}

/// How often the folder takes what came meanwhile before it leaves the rest to the writer, however much it is.
const ROUNDS: usize = 4;

/// The log as both threads see it.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Its pages after the last commit.
    pages: AtomicU64,
    /// Rounds of the folder.
    rounds: AtomicU64,
    /// The writer is to fold the rest.
    anew: AtomicBool,
}

/// The writer's end. The folder ends when the writer's connection is closed.
pub(super) struct Folding(Arc<Log>);

/// The folder's end.
pub(super) struct Folder {
    connection: Connection,
    /// To flush it. Whoever closes it takes from this process all locks on the file, SQLite's too (POSIX): the store
    /// keeps it until its last connection is closed.
    file: Arc<File>,
    log: Arc<Log>,
    more: Receiver<()>,
    rule: Rule,
}

/// Takes folding out of the commits of `writer`; `file` is the one it writes to.
pub(super) fn beside(
    path: &Path,
    file: Arc<File>,
    writer: &mut Connection,
    rule: Rule,
) -> Result<(Folding, Folder), StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_LIMIT)?;
    // A connection that has not read anything does not know of the log: it would fold nothing, and call that well done.
    connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    let (log, (wake, more)) = (Arc::new(Log::default()), sync_channel(1));
    let (seen, mut folded) = (Arc::clone(&log), 0);
    // Heard after every commit, by the writer's thread.
    writer.wal_hook(Some(move |_: &mut Wal, pages: std::ffi::c_int| {
        let pages = u64::try_from(pages).unwrap_or(0);
        seen.pages.store(pages, Ordering::Relaxed);
        folded = u64::min(folded, pages);
        if pages >= folded + rule.fold_from {
            folded = pages;
            // It folds already: it will see these too.
            let _busy = wake.try_send(());
        }
        Ok(())
    }))?;
    Ok((Folding(Arc::clone(&log)), Folder { connection, file, log, more, rule }))
}

impl Folding {
    /// Between two commits: folds the last pages, if it is time for the log to begin anew.
    pub(super) fn end_log(&self, writer: &Connection) {
        if self.0.anew.swap(false, Ordering::Relaxed) {
            fold(writer);
        }
    }
}

impl Folder {
    /// Runs until the writer is gone.
    pub(super) fn run(self) {
        while self.more.recv().is_ok() {
            let mut rest = 0;
            for _ in 0..ROUNDS {
                let Some(done) = fold(&self.connection) else { break };
                if let Err(error) = self.file.sync_data() {
                    tracing::debug!(%error, "SQLite will hear of it when it flushes the file itself");
                }
                self.log.rounds.fetch_add(1, Ordering::Relaxed);
                rest = self.log.pages.load(Ordering::Relaxed).saturating_sub(done);
                if rest <= self.rule.last {
                    break;
                }
            }
            let pages = self.log.pages.load(Ordering::Relaxed);
            if pages >= self.rule.anew_from {
                tracing::debug!(pages, rest, "the log is to begin anew");
                self.log.anew.store(true, Ordering::Relaxed);
            }
        }
        // The writer is gone: the next start finds an empty log, whoever closes the file last.
        if let Err(error) = self.connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE) {
            tracing::debug!(%error, "the log is left for the next start");
        }
    }
}

/// Folds what can be folded without waiting for anybody; gives the pages that are folded now.
fn fold(connection: &Connection) -> Option<u64> {
    match connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE) {
        Ok((_, done)) => {
            let folded = u64::try_from(done).ok();
            if folded.is_none() {
                tracing::warn!(
                    "there is no log to be folded into the file; nothing is lost, but commits wait for the fold"
                );
            }
            folded
        }
        // Somebody else folds.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => None,
        Err(error) => {
            tracing::warn!(%error, "the log is not folded into the file; nothing is lost, but it grows");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::thread::JoinHandle;

    use super::super::tests::Folder as Place;
    use super::super::to_write;
    use super::*;

    const RULE: Rule = Rule { fold_from: 16, anew_from: 64, last: 16 };
    const COMMITS: u64 = 2_000;

    /// A file with its log, and a writer that leaves the folding to a thread.
    struct Bench {
        writer: Connection,
        folding: Folding,
        folder: JoinHandle<()>,
        path: PathBuf,
        _place: Place,
    }

    impl Bench {
        fn new(rule: Rule) -> Self {
            let place = Place::new();
            let path = place.file("calls.db");
            let mut writer = to_write(&path).unwrap();
            writer.execute_batch("CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT)").unwrap();
            let (folding, folder) = beside(&path, Arc::new(File::open(&path).unwrap()), &mut writer, rule).unwrap();
            Self { writer, folding, folder: std::thread::spawn(move || folder.run()), path, _place: place }
        }

        /// Commits one after another; gives the longest that the log was.
        fn write(&self, numbers: std::ops::Range<u64>) -> u64 {
            let mut longest = 0;
            for number in numbers {
                let row = (i64::try_from(number).unwrap(), "x".repeat(2_000));
                self.writer.execute("INSERT INTO notes VALUES (?1, ?2)", row).unwrap();
                longest = longest.max(self.pages());
                self.folding.end_log(&self.writer);
            }
            longest
        }

        fn pages(&self) -> u64 {
            self.folding.0.pages.load(Ordering::Relaxed)
        }

        fn log_bytes(&self) -> u64 {
            std::fs::metadata(self.path.with_extension("db-wal")).map_or(0, |found| found.len())
        }
    }

    #[test]
    fn the_log_begins_anew_while_commits_follow_each_other() {
        let bench = Bench::new(RULE);
        let longest = bench.write(0..COMMITS);
        // Each commit is a page or more: a log that never began anew would have them all.
        assert!((RULE.anew_from..COMMITS / 2).contains(&longest), "the log was {longest} pages long");
        let rounds = bench.folding.0.rounds.load(Ordering::Relaxed);
        assert!(rounds > 0, "the writer folded everything itself");
        let Bench { writer, folder, path, _place, .. } = bench;
        drop(writer);
        folder.join().unwrap();
        assert_eq!(std::fs::metadata(path.with_extension("db-wal")).map_or(0, |found| found.len()), 0);
        let file = Connection::open(&path).unwrap();
        let kept = file.query_row("SELECT COUNT(*) FROM notes", [], |row| row.get::<_, u32>(0));
        assert_eq!(kept.map(u64::from), Ok(COMMITS));
        assert_eq!(file.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)), Ok("ok".to_owned()));
    }

    #[test]
    fn no_commit_folds_by_itself() {
        let bench = Bench::new(Rule { fold_from: u64::MAX / 2, ..RULE });
        // SQLite would fold a thousand pages.
        let longest = bench.write(0..COMMITS);
        assert!(longest >= COMMITS, "{longest} pages of {COMMITS} commits are in the log");
        assert!(bench.log_bytes() >= COMMITS * 4_096);
    }

    #[test]
    fn a_question_that_lasts_keeps_what_it_sees_and_the_log_begins_anew_after_it() {
        let bench = Bench::new(RULE);
        bench.write(0..100);
        let reader = Connection::open(&bench.path).unwrap();
        let count = || reader.query_row("SELECT COUNT(*) FROM notes", [], |row| row.get::<_, u32>(0));
        reader.execute_batch("BEGIN").unwrap();
        assert_eq!(count(), Ok(100));
        let longest = bench.write(100..1_000);
        assert!(longest >= 900, "{longest} pages: what the question sees was overwritten");
        assert_eq!(count(), Ok(100));
        reader.execute_batch("COMMIT").unwrap();
        assert_eq!(count(), Ok(1_000));
        bench.write(1_000..COMMITS);
        assert!(bench.pages() < 900, "{} pages still", bench.pages());
        assert_eq!(count().map(u64::from), Ok(COMMITS));
    }
}
