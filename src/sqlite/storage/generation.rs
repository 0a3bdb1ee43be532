//! Whether the file is the one that this relay left, or an older state that was put back.
//!
//! An old copy looks exactly like the original did. So the proof is outside of it, in the file of the turnstile: a mark
//! that is drawn anew each time that no process used the file, the file's identity, and the last row's id, which never
//! goes back. Clients that saw more than the file has must not continue with numbers that are given out again.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension};

/// The row of `meta`.
const KEY: &str = "generation";
/// What the record begins with.
const FORMAT: &str = "scumble-generation-1";
/// Bytes of a record, filled up: it is written at once, and a shorter one leaves nothing of a longer one.
const LEN: usize = 128;

/// What is known outside of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    mark: String,
    /// Inode and time of birth.
    file: (u64, u128),
    last_id: i64,
}

/// The record beside a database.
#[derive(Debug)]
pub(in crate::sqlite) struct Generation {
    beside: File,
    written: Mutex<Option<Record>>,
}

impl Generation {
    /// Opens the file that it stands in.
    pub(in crate::sqlite) fn open(lock: &Path) -> io::Result<Self> {
        let beside = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(lock)?;
        Ok(Self {
            beside,
            written: Mutex::default(),
        })
    }

    /// Whether the database is not as it was left. One that no relay with marks has used yet is.
    pub(in crate::sqlite) fn was_put_back(
        &self,
        conn: &Connection,
        db: &Path,
    ) -> rusqlite::Result<bool> {
        Ok(match (mark(conn)?, self.read()) {
            (None, None) => false,
            (Some(mark), Some(known)) => {
                known.mark != mark || known.file != identity(db) || last_id(conn)? < known.last_id
            }
            _ => true,
        })
    }

    /// Begins a new mark, within the caller's transaction; [`Generation::settle`] is to follow its commit.
    pub(in crate::sqlite) fn begin(conn: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
        let mark = uuid::Uuid::new_v4().simple().to_string();
        conn.execute(sql, [KEY, &mark]).map(drop)
    }

    /// Writes down what the database says of itself now. A crash before that only costs clients a snapshot.
    pub(in crate::sqlite) fn settle(&self, conn: &Connection, db: &Path) -> rusqlite::Result<()> {
        let Some(mark) = mark(conn)? else {
            return Ok(());
        };
        let record = Record {
            mark,
            file: identity(db),
            last_id: last_id(conn)?,
        };
        let mut written = self.written.lock();
        if written.as_ref() == Some(&record) {
            return Ok(());
        }
        let text = format!(
            "{FORMAT} {} {} {} {}",
            record.mark, record.file.0, record.file.1, record.last_id
        );
        match self
            .beside
            .write_all_at(format!("{text:<0$}\n", LEN - 1).as_bytes(), 0)
        {
            Ok(()) => *written = Some(record),
            // A full disk: the next time tries again.
            Err(error) => tracing::debug!(%error, "the mark beside the file could not be written"),
        }
        Ok(())
    }

    fn read(&self) -> Option<Record> {
        let mut bytes = [0; LEN];
        self.beside.read_exact_at(&mut bytes, 0).ok()?;
        let mut words = std::str::from_utf8(&bytes).ok()?.split_whitespace();
        if words.next() != Some(FORMAT) {
            return None;
        }
        Some(Record {
            mark: words.next()?.to_owned(),
            file: (words.next()?.parse().ok()?, words.next()?.parse().ok()?),
            last_id: words.next()?.parse().ok()?,
        })
    }
}

fn mark(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    conn.query_row(sql, [KEY], |row| row.get(0)).optional()
}

/// The highest id that a row of the queue ever had.
fn last_id(conn: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'message_queue'";
    let found = conn.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(0))
}

/// Which file it is. Where the file system knows no time of birth, the inode alone must do.
fn identity(db: &Path) -> (u64, u128) {
    let Ok(found) = std::fs::metadata(db) else {
        return (0, 0);
    };
    let born = found.created().ok();
    let born = born.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    (found.ino(), born.map_or(0, |at| at.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::storage::schema::prepare;
    use crate::sqlite::tests::config;

    /// The epoch of a canvas after the next start.
    fn epoch(config: &crate::config::SqliteConfig) -> String {
        let conn = prepare(config).unwrap().conn;
        conn.execute(
            "INSERT OR IGNORE INTO canvases (canvas_id, epoch, created_at) VALUES ('c', 'e', 1)",
            [],
        )
        .unwrap();
        conn.query_row("SELECT epoch FROM canvases", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn a_file_that_was_left_as_it_is_keeps_its_epochs() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), "one");
        let first = epoch(&config);
        for _ in 0..3 {
            assert_eq!(epoch(&config), first);
        }
    }

    #[test]
    fn a_copy_that_was_put_back_begins_new_ones_however_it_came() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), "one");
        let (db, copy) = (config.file.db.clone(), dir.path().join("copy"));
        epoch(&config);
        let put_back: [&dyn Fn(); 4] = [
            // Over it: the same inode.
            &|| assert!(std::fs::copy(&copy, &db).unwrap() > 0),
            &|| std::fs::rename(&copy, &db).unwrap(),
            &|| {
                std::fs::remove_file(&db).unwrap();
                std::fs::copy(&copy, &db).unwrap();
            },
            // With all that lies beside it: the record says the same, but of another file.
            &|| {
                std::fs::rename(&db, dir.path().join("old")).unwrap();
                std::fs::copy(dir.path().join("old"), &db).unwrap();
            },
        ];
        for (n, put_back) in put_back.iter().enumerate() {
            std::fs::copy(&db, &copy).unwrap();
            let before = epoch(&config);
            put_back();
            let after = epoch(&config);
            assert_ne!(after, before, "way {n}");
            assert_eq!(epoch(&config), after, "once");
        }
    }

    #[test]
    fn rows_that_are_missing_are_noticed_within_one_generation() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), "one");
        let before = epoch(&config);
        let conn = Connection::open(&config.file.db).unwrap();
        conn.execute(
            "INSERT OR REPLACE INTO sqlite_sequence VALUES ('message_queue', 7)",
            [],
        )
        .unwrap();
        let generation = Generation::open(&dir.path().join("queue.db.lock")).unwrap();
        generation.settle(&conn, &config.file.db).unwrap();
        assert_eq!(epoch(&config), before);
        let conn = Connection::open(&config.file.db).unwrap();
        conn.execute("UPDATE sqlite_sequence SET seq = 6", [])
            .unwrap();
        assert_ne!(epoch(&config), before);
    }
}
