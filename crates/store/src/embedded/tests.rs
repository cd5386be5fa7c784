//! What is particular to a file: who may have it, what it says when the disk fails, how it groups.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::contract::callbacks::new_callback;
use crate::contract::{open_call, record};

/// A folder of its own, gone at the end of the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("passerelle-store-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            assert!(std::thread::panicking(), "{error}");
        }
    }
}

/// A store in a folder of its own, and a second hand on its file.
struct Bench {
    store: Embedded,
    folder: Folder,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new(options: EmbeddedOptions) -> Self {
        let folder = Folder::new();
        let store = Embedded::open(&folder.file("calls.db"), options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { store, folder, runtime }
    }

    fn close_call(&self, id: u128) -> Result<(), StoreError> {
        self.runtime.block_on(self.store.close_call(record(id, 1_000)))
    }

    fn health(&self) -> StoreHealth {
        self.runtime.block_on(self.store.health()).unwrap()
    }

    fn listed(&self) -> usize {
        let all = CallQuery { limit: CallQuery::LIMIT_MAX, ..CallQuery::default() };
        self.runtime.block_on(self.store.calls(all)).unwrap().len()
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.folder.file("calls.db")).unwrap().execute_batch(sql).unwrap();
    }
}

fn refusal(path: &Path) -> StoreError {
    Embedded::open(path, EmbeddedOptions::default()).unwrap_err()
}

#[test]
fn a_file_belongs_to_one_process_until_it_is_shut() {
    let bench = Bench::new(EmbeddedOptions::default());
    let path = bench.folder.file("calls.db");
    assert_eq!(refusal(&path), StoreError::InUse(path.display().to_string()));
    drop(bench.store);
    assert!(Embedded::open(&path, EmbeddedOptions::default()).is_ok());
}

#[test]
fn folders_on_the_way_are_made() {
    let folder = Folder::new();
    let url = format!("sqlite:{}", folder.file("data/of/shop.db").display());
    assert!(matches!(crate::open_reader(&url), Err(StoreError::NoSuchFile(_))));
    assert!(crate::open(&url).is_ok());
    assert!(crate::open_reader(&url).is_ok());
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let folder = Folder::new();
    let path = folder.file("photos.db");
    std::fs::write(&path, "these are not the pages of a database, but a text of some length").unwrap();
    assert!(matches!(refusal(&path), StoreError::Damaged(_)), "{}", refusal(&path));
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("these are not"));
    let foreign = folder.file("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE photos (x)").unwrap();
    assert_eq!(refusal(&foreign), StoreError::Damaged("the file belongs to another program".to_owned()));
    let under_a_file = path.join("calls.db");
    assert!(matches!(refusal(&under_a_file), StoreError::Disk(_)));
    // An empty file is one nobody has written to yet (version 0).
    let empty = folder.file("empty.db");
    std::fs::write(&empty, "").unwrap();
    assert!(Embedded::open(&empty, EmbeddedOptions::default()).is_ok());
}

#[test]
fn a_file_of_a_newer_program_is_refused_by_both_doors() {
    let bench = Bench::new(EmbeddedOptions::default());
    bench.sql("INSERT INTO migrations VALUES (99, 'tomorrow', '9.0.0')");
    let path = bench.folder.file("calls.db");
    drop(bench.store);
    let newer = StoreError::Newer { found: 99, known: schema::STEPS.len() as u32 };
    assert_eq!(refusal(&path), newer);
    assert_eq!(Embedded::open_reader(&path).unwrap_err(), newer);
}

#[test]
fn addresses_are_checked() {
    for bad in ["", "sqlite:", "sqlite", "rediss://127.0.0.1", "redis:", "memory:x", "/data/calls.db"] {
        assert_eq!(crate::check_url(bad), Err(StoreError::BadUrl(bad.to_owned())));
    }
    assert_eq!(crate::check_url("sqlite:data/passerelle.db"), Ok(()));
    assert_eq!(crate::check_url("memory:"), Ok(()));
    assert_eq!(crate::check_url("redis://shop:secret@127.0.0.1:6379/3"), Ok(()));
}

#[test]
fn a_reader_sees_what_was_answered_and_writes_nothing() {
    let bench = Bench::new(EmbeddedOptions::default());
    let reader = Embedded::open_reader(&bench.folder.file("calls.db")).unwrap();
    for id in 1..=20 {
        bench.close_call(id).unwrap();
        let seen = bench.runtime.block_on(reader.call(CallId::new(id))).unwrap();
        assert_eq!(seen, Some(record(id, 1_000)));
    }
    let written = bench.runtime.block_on(reader.close_call(record(99, 1_000)));
    assert_eq!(written, Err(StoreError::ReadOnly));
    assert_eq!(bench.runtime.block_on(reader.close_interrupted(0)), Err(StoreError::ReadOnly));
    assert!(bench.runtime.block_on(reader.health()).unwrap().ok);
}

#[test]
fn a_number_taken_from_the_list_beside_the_owner_holds_there_at_once() {
    let bench = Bench::new(EmbeddedOptions::default());
    let url = format!("sqlite:{}", bench.folder.file("calls.db").display());
    let hash = NumberHash([7; 32]);
    let suppression = Suppression { hash, key_id: "k".to_owned(), at_unix_ms: 5, by: crate::SuppressedBy::Admin };
    bench.runtime.block_on(async {
        let beside = crate::open_suppressions(&url).unwrap();
        beside.suppress(suppression.clone()).await.unwrap();
        assert_eq!(bench.store.suppressed(vec![hash]).await, Ok(Some(suppression.clone())));
        bench.store.close_call(record(1, 1_000)).await.unwrap();
        assert_eq!(beside.unsuppress(vec![hash]).await, Ok(1));
        assert_eq!(bench.store.suppressed(vec![hash]).await, Ok(None));
    });
    let none = format!("sqlite:{}", bench.folder.file("none.db").display());
    assert!(matches!(crate::open_suppressions(&none).err(), Some(StoreError::NoSuchFile(_))));
    assert!(!bench.folder.file("none.db").exists(), "looking makes no store");
}

#[test]
fn a_full_disk_is_said_and_nothing_that_was_answered_is_lost() {
    let bench = Bench::new(EmbeddedOptions { max_file_bytes: Some(256 << 10), ..EmbeddedOptions::default() });
    let mut kept = 0;
    let error = loop {
        match bench.close_call(kept + 1) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 10_000, "256 kB are never full");
    };
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    assert!(kept > 20);
    let health = bench.health();
    // A row has no room, a counter has.
    assert_eq!((health.failed, health.rows), (1, kept as u64));
    assert_eq!(bench.listed(), kept as usize);
    // Room again: it goes on by itself.
    bench.sql("DELETE FROM calls WHERE id < '00000000000000000000000000000014'");
    assert_eq!(bench.close_call(5), Ok(()));
    assert!(bench.health().ok);
}

#[test]
fn when_a_group_cannot_be_written_each_hears_his_own_truth() {
    let bench = Bench::new(EmbeddedOptions { max_file_bytes: Some(256 << 10), ..EmbeddedOptions::default() });
    let answers = bench.runtime.block_on(async {
        let mut writes: Vec<_> = (1..=400).map(|id| bench.store.close_call(record(id, 1_000))).collect();
        let mut answers = Vec::new();
        // All are in the queue before the first answer is awaited.
        std::future::poll_fn(|context| {
            answers.clear();
            for write in &mut writes {
                assert!(write.as_mut().poll(context).is_pending());
            }
            std::task::Poll::Ready(())
        })
        .await;
        for write in writes {
            answers.push(write.await);
        }
        answers
    });
    let kept = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(kept > 20 && kept < 400, "{kept} of 400");
    assert!(
        answers.iter().filter_map(|answer| answer.as_ref().err()).all(|error| matches!(error, StoreError::Full(_)))
    );
    assert_eq!(bench.listed(), kept);
}

#[test]
fn a_disk_that_fails_is_said_and_forgiven_when_it_works_again() {
    let bench = Bench::new(EmbeddedOptions::default());
    bench.close_call(1).unwrap();
    bench.sql("ALTER TABLE calls RENAME TO away; ALTER TABLE probe RENAME TO gone");
    assert!(matches!(bench.close_call(2), Err(StoreError::Disk(_))));
    let health = bench.health();
    assert!(!health.ok && health.error.as_deref().is_some_and(|why| why.contains("disk fails")), "{health:?}");
    bench.sql("ALTER TABLE away RENAME TO calls; ALTER TABLE gone RENAME TO probe");
    let health = bench.health();
    assert_eq!((health.ok, health.error), (true, None), "the probe found it working");
    assert_eq!(bench.close_call(2), Ok(()));
    assert_eq!(bench.listed(), 2);
}

#[test]
fn more_writes_than_may_wait_are_refused_and_counted() {
    let bench = Bench::new(EmbeddedOptions { max_waiting: 8, ..EmbeddedOptions::default() });
    let (done, refused) = bench.runtime.block_on(async {
        let mut writes: Vec<_> = (1..=1_000).map(|id| bench.store.open_call(open_call(id, 1_000))).collect();
        let mut refused = 0;
        std::future::poll_fn(|context| {
            writes.retain_mut(|write| match write.as_mut().poll(context) {
                std::task::Poll::Ready(answer) => {
                    refused += u64::from(answer == Err(StoreError::Overloaded));
                    false
                }
                std::task::Poll::Pending => true,
            });
            std::task::Poll::Ready(())
        })
        .await;
        let mut done = 0;
        for write in writes {
            done += u64::from(write.await.is_ok());
        }
        (done, refused)
    });
    assert!(done >= 8 && refused > 0 && done + refused <= 1_000, "{done} done, {refused} refused");
    assert_eq!(bench.health().failed, refused);
}

#[test]
fn a_row_that_cannot_be_read_hides_no_other() {
    let bench = Bench::new(EmbeddedOptions::default());
    bench.close_call(1).unwrap();
    bench.runtime.block_on(bench.store.open_call(open_call(2, 1_000))).unwrap();
    bench.sql("INSERT INTO calls (id, tenant, started_unix_ms, ended_unix_ms, version, row) VALUES ('3', 'shop', 5, 6, 99, '{}')");
    bench.sql("UPDATE calls SET row = '{\"torn\": true}' WHERE ended_unix_ms IS NULL");
    assert_eq!(bench.runtime.block_on(bench.store.close_interrupted(9_000)), Ok(1));
    assert_eq!(bench.listed(), 1);
    assert_eq!(bench.health().unreadable, 3, "once when it was closed, twice when they were listed");
}

#[test]
fn a_person_with_a_prompt_can_ask_the_file() {
    let bench = Bench::new(EmbeddedOptions::default());
    bench.close_call(1).unwrap();
    let file = Connection::open(bench.folder.file("calls.db")).unwrap();
    let sql = "SELECT queue || ' ' || cause || ' ' || hung_up_by || ' ' || wait_ms || ' ' || talk_ms FROM calls";
    let row: String = file.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(row, "support normal agent 5000 61000");
}

/// Prints what the disk under the temporary folder gives; asserts only that commits are shared.
#[test]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "measures the real disk")]
fn writers_that_come_together_share_a_commit() {
    const WRITERS: u128 = 256;
    const EACH: u128 = 40;
    let bench = Bench::new(EmbeddedOptions::default());
    let store = Arc::new(Embedded::open(&bench.folder.file("busy.db"), EmbeddedOptions::default()).unwrap());
    let start = std::time::Instant::now();
    bench.runtime.block_on(async {
        let writer = |from: u128| {
            let store = Arc::clone(&store);
            async move {
                for id in from..from + EACH {
                    store.close_call(record(id, 1_000)).await.unwrap();
                }
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|writer_id| tokio::spawn(writer(writer_id * EACH))).collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
    let took = start.elapsed();
    let health = bench.runtime.block_on(store.health()).unwrap();
    let rows_per_s = health.rows as f64 / took.as_secs_f64();
    println!("{WRITERS} writers: {} rows in {} commits, {rows_per_s:.0} rows/s", health.rows, health.commits);
    assert_eq!(u128::from(health.rows), WRITERS * EACH);
    assert!(health.commits * 4 < health.rows, "{} rows took {} commits", health.rows, health.commits);
}

#[test]
fn the_next_due_is_known_while_a_long_listing_is_read() {
    let bench = Bench::new(EmbeddedOptions::default());
    let next = |store: &Embedded| bench.runtime.block_on(store.next_callback(1_000)).unwrap();
    assert_eq!(next(&bench.store), None);
    bench.runtime.block_on(async {
        // The reader reads until it is told that it is enough.
        let (enough, told) = std::sync::mpsc::channel::<()>();
        let long = bench.store.ask(move |_, _| Ok(told.recv().is_ok()));
        let asked = async {
            let added = bench.store.add_callback(new_callback(1, 5_000)).await;
            assert!(matches!(added, Ok(Added::New(_))), "{added:?}");
            let wait = bench.store.next_callback(1_000).await;
            enough.send(()).unwrap();
            wait
        };
        let (listed, wait) = tokio::join!(long, asked);
        assert_eq!((listed, wait), (Ok(true), Ok(Some(Duration::from_secs(4)))));
    });
    // What another process reads is asked of the file, and so is what a new owner begins with.
    let path = bench.folder.file("calls.db");
    let reader = Embedded::open_reader(&path).unwrap();
    assert_eq!(next(&reader), Some(Duration::from_secs(4)));
    let Bench { store, runtime, folder: _folder } = bench;
    drop(store);
    let owner = Embedded::open(&path, EmbeddedOptions::default()).unwrap();
    assert_eq!(runtime.block_on(owner.next_callback(2_000)), Ok(Some(Duration::from_secs(3))));
}
