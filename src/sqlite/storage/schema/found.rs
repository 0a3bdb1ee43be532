//! The contents of a file, found at the start.

use rusqlite::Connection;

/// See the module's head.
pub(super) struct Found {
    pub(super) version: i64,
    tables: u32,
    /// One of them is a queue.
    pub(super) queue: bool,
}

impl Found {
    /// As it is now, or within a transaction.
    pub(super) fn within(conn: &Connection) -> rusqlite::Result<Self> {
        let version = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let count =
            "SELECT count(*), count(*) FILTER (WHERE name = 'message_queue') FROM sqlite_schema";
        conn.query_row(count, [], |row| {
            Ok(Self {
                version,
                tables: row.get(0)?,
                queue: row.get(1)?,
            })
        })
    }

    /// Nobody has made anything of it yet.
    pub(super) fn is_empty(&self) -> bool {
        self.version == 0 && self.tables == 0
    }
}
