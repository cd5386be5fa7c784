//! The floor of a promise: bare SQLite that inserts the same row, as many in a commit, at the same pace, and nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::load::Offered;

/// What the disk and SQLite take for one commit, microseconds, from the moment at which it was to begin.
pub(crate) fn commits(folder: &Path, book: &Path, offered: &Offered, rows_per_commit: f64) -> Result<Vec<u64>, String> {
    let said = |error: rusqlite::Error| error.to_string();
    let path = folder.join("floor.db");
    let _fresh = std::fs::remove_file(&path);
    // Rounded: a commit holds whole rows.
    let group = (rows_per_commit.round() as u32).max(1);
    let row = "x".repeat(row_bytes(book).map_err(said)?);
    let mut file = Connection::open(&path).map_err(said)?;
    file.pragma_update(None, "journal_mode", "WAL").map_err(said)?;
    file.pragma_update(None, "synchronous", "FULL").map_err(said)?;
    file.execute_batch("CREATE TABLE rows (number INTEGER PRIMARY KEY, row TEXT NOT NULL) STRICT").map_err(said)?;
    let start = Instant::now();
    let mut delays = Vec::new();
    for commit in 0..offered.rate * offered.window_s / group {
        let due = start + Duration::from_secs(1) * (commit * group) / offered.rate;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let transaction = file.transaction().map_err(said)?;
        for _ in 0..group {
            let mut insert = transaction.prepare_cached("INSERT INTO rows (row) VALUES (?1)").map_err(said)?;
            insert.execute([&row]).map_err(said)?;
        }
        transaction.commit().map_err(said)?;
        delays.push(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(delays)
}

/// What a row of the book is long.
fn row_bytes(book: &Path) -> rusqlite::Result<usize> {
    let file = Connection::open_with_flags(book, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    file.query_row("SELECT length(row) FROM callbacks LIMIT 1", [], |row| row.get::<_, u32>(0))
        .map(|bytes| bytes as usize)
}
