//! The contents of deleted canvases. A small canvas is deleted at once, a large one piece by piece, so that no commit
//! waits long.
//!
//! Objects, their logs, chat and deletions are stored under the number of a canvas's content. A deletion gives the
//! canvas another number, and does nothing else. No reader finds the old content any more. It is noted in
//! `canvas_sweeps`, and cleanup removes it, also after a crash.

use rusqlite::{OptionalExtension, params};

use super::Txn;
use crate::limits::{CLEANUP_CHUNK, SWEEP_BYTES};
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::StoreResult;

impl Txn<'_> {
    /// The canvas, which stands there among those of the transaction, has nothing on it any more.
    pub(super) fn drop_content(&mut self, at: usize) -> StoreResult<()> {
        let canvas = &mut self.canvases[at];
        let key = canvas.key;
        let old = canvas.content;
        let few = canvas.head.totals.objects <= u64::from(CLEANUP_CHUNK);
        if few && canvas.counted <= SWEEP_BYTES {
            return self.remove_content(old);
        }
        self.conn.prepare_cached(sql::PUT_SWEEP)?.execute([old])?;
        canvas.content = -self.conn.last_insert_rowid();
        let mut set = self.conn.prepare_cached(sql::SET_CONTENT)?;
        set.execute(params![key, canvas.content])?;
        Ok(())
    }

    fn remove_content(&self, content: i64) -> StoreResult<()> {
        for sql in [
            sql::DELETE_OBJECTS,
            sql::DELETE_ENTRIES,
            sql::DELETE_LOGS,
            sql::DELETE_CHAT,
            sql::FORGET_DELETIONS,
        ] {
            self.conn.prepare_cached(sql)?.execute([content])?;
        }
        Ok(())
    }

    /// Removes a piece of what nobody sees any more. Gives how many objects, or entries of logs, went; 0 when the last of a content is
    /// gone.
    pub(in crate::sqlite) fn sweep_content(&mut self) -> StoreResult<i64> {
        let mut statement = self.conn.prepare_cached(sql::NEXT_SWEEP)?;
        let next = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((id, content)): Option<(i64, i64)> = next.optional()? else {
            return Ok(0);
        };
        let went = self.sweep_entries(content)?;
        if went > 0 {
            return Ok(went);
        }
        let mut first = self.conn.prepare_cached(sql::FIRST_OBJECTS)?;
        let mut rows = first.query(params![content, CLEANUP_CHUNK])?;
        let mut last = None;
        let mut bytes = 0;
        let mut count = 0;
        while bytes < SWEEP_BYTES
            && let Some(row) = rows.next()?
        {
            last = Some(row.get::<_, String>(0)?);
            bytes += u64::from(row.get::<_, u32>(1)?);
            count += 1;
        }
        drop(rows);
        match last {
            Some(last) => {
                let mut delete = self.conn.prepare_cached(sql::DELETE_FIRST_OBJECTS)?;
                delete.execute(params![content, last])?;
            }
            None => {
                self.remove_content(content)?;
                self.conn.prepare_cached(sql::DELETE_SWEEP)?.execute([id])?;
            }
        }
        Ok(count)
    }

    /// The same of the entries of logs.
    fn sweep_entries(&self, content: i64) -> StoreResult<i64> {
        let mut first = self.conn.prepare_cached(sql::FIRST_ENTRIES)?;
        let mut rows = first.query(params![content, CLEANUP_CHUNK])?;
        let mut last = None;
        let mut bytes = 0;
        let mut count = 0;
        while bytes < SWEEP_BYTES
            && let Some(row) = rows.next()?
        {
            last = Some((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
            bytes += u64::from(row.get::<_, u32>(2)?);
            count += 1;
        }
        drop(rows);
        if let Some((id, seq)) = last {
            let mut delete = self.conn.prepare_cached(sql::DELETE_FIRST_ENTRIES)?;
            delete.execute(params![content, id, seq])?;
        }
        Ok(count)
    }
}
