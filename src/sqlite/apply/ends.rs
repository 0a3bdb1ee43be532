//! Where canvases begin and end. A canvas on which nobody ever wrote, or that was deleted long ago, leaves nothing
//! behind.

use rusqlite::{OptionalExtension, params};

use super::Txn;
use super::canvas::Rows;
use crate::backplane::CanvasKey;
use crate::canvas::quotas::room_for_canvas;
use crate::limits::{CLEANUP_CHUNK, UNUSED_CANVAS};
use crate::protocol::ids::{CanvasId, Epoch};
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::StoreResult;
use crate::time::millis;

/// Canvases that end in one transaction.
const ENDS_AT_ONCE: u32 = 1_000;

impl Txn<'_> {
    /// The key of a canvas, which is made if it is new. `None` if there is no room for another one.
    pub(in crate::sqlite) fn create_canvas(
        &mut self,
        id: &CanvasId,
    ) -> StoreResult<Option<CanvasKey>> {
        if let Some(key) = self.key_of(id)? {
            return Ok(Some(key));
        }
        let quotas = self.setup.quotas;
        let there = self.totals()?.canvases;
        if room_for_canvas(&quotas, there).is_err() {
            return Ok(None);
        }
        self.make_canvas(id).map(Some)
    }

    /// Empties a canvas; gives the head, since the numbers go on: a row of before is never one of after.
    pub(in crate::sqlite) fn delete_canvas(
        &mut self,
        key: CanvasKey,
        epoch: Epoch,
    ) -> StoreResult<u64> {
        if !self.conn.prepare_cached(sql::HEAD)?.exists([key])? {
            return Ok(0);
        }
        let seq = self.canvas(key)?.head().seq;
        if let Some(stage) = &mut self.hooks {
            stage.deleted(self.conn, key, seq)?;
        }
        self.canvas(key)?.restart(epoch)?;
        self.count_stored(key)?;
        Ok(seq)
    }

    /// The key of a canvas, which is made if it is new, however many there are.
    pub(in crate::sqlite) fn sure_canvas(&mut self, id: &CanvasId) -> StoreResult<CanvasKey> {
        match self.key_of(id)? {
            Some(key) => Ok(key),
            None => self.make_canvas(id),
        }
    }

    fn key_of(&self, id: &CanvasId) -> StoreResult<Option<CanvasKey>> {
        let mut find = self.conn.prepare_cached(sql::CANVAS)?;
        Ok(find.query_row([id.as_str()], |row| row.get(0)).optional()?)
    }

    /// Keys are never given out again.
    fn make_canvas(&mut self, id: &CanvasId) -> StoreResult<CanvasKey> {
        // Those that another program has put there.
        let mut last = self.conn.prepare_cached(sql::LAST_KEY)?;
        let last: CanvasKey = last.query_row([], |row| row.get(0))?;
        let totals = self.totals()?;
        let key = totals.next_key.max(last.next());
        totals.next_key = key.next();
        totals.canvases += 1;
        totals.dirty = true;
        self.insert_canvas(key, id)?;
        Ok(key)
    }

    fn insert_canvas(&self, key: CanvasKey, id: &CanvasId) -> StoreResult<usize> {
        let epoch = Epoch::random().to_string();
        let ends_at = self.now_ms + millis(UNUSED_CANVAS);
        let mut create = self.conn.prepare_cached(sql::CREATE_CANVAS)?;
        Ok(create.execute(params![key, id.as_str(), epoch, self.now_ms, ends_at])?)
    }

    /// Whether there is such a canvas. One that has ended while this process was stopped comes back under its key, unless somebody else has made
    /// one of its name: rooms here know it by that key.
    pub(in crate::sqlite) fn has_canvas(
        &mut self,
        key: CanvasKey,
        id: &CanvasId,
    ) -> StoreResult<bool> {
        if Rows::find(self, key)?.is_some() {
            return Ok(true);
        }
        if key <= CanvasKey::BEFORE_ALL || self.insert_canvas(key, id)? == 0 {
            return Ok(false);
        }
        let totals = self.totals()?;
        totals.canvases += 1;
        totals.dirty = true;
        totals.next_key = totals.next_key.max(key.next());
        // Rooms have its old numbers.
        self.canvas(key)?.renumber(Epoch::random())?;
        Ok(true)
    }

    /// Removes canvases whose time has come and that nobody is on, a bounded number of rows at a time.
    pub(in crate::sqlite) fn end_canvases(&mut self) -> StoreResult<()> {
        let mut due = self.conn.prepare_cached(sql::ENDING)?;
        let keys: Vec<CanvasKey> = due
            .query_map(params![self.now_ms, ENDS_AT_ONCE], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut went = 0;
        for key in keys {
            if self.is_attended(key)? {
                let later = self.now_ms + millis(UNUSED_CANVAS);
                let mut set = self.conn.prepare_cached(sql::SET_END)?;
                set.execute(params![key, later])?;
                continue;
            }
            let mut forget = self.conn.prepare_cached(sql::FORGET_CLIENTS_OF)?;
            went += forget.execute(params![key, CLEANUP_CHUNK - 1])?;
            if went >= CLEANUP_CHUNK as usize {
                break;
            }
            let content = Rows::of(self, key)?.into_canvas().content;
            let mut forget = self.conn.prepare_cached(sql::FORGET_DELETIONS)?;
            went += forget.execute([content])?;
            went += self
                .conn
                .prepare_cached(sql::DELETE_CANVAS)?
                .execute([key])?;
            self.canvas_of.remove(&key);
            let totals = self.totals()?;
            totals.canvases = totals.canvases.saturating_sub(1);
            totals.dirty = true;
        }
        Ok(())
    }

    /// Empties a canvas that nobody was on since `before`, as a deletion does.
    pub(in crate::sqlite) fn empty_idle(&mut self, key: CanvasKey, before: i64) -> StoreResult<()> {
        let idle = match Rows::find(self, key)? {
            Some(rows) => {
                let canvas = rows.into_canvas();
                canvas.used_at <= before && canvas.ends_at.is_none()
            }
            None => false,
        };
        if !idle || self.is_attended(key)? {
            return Ok(());
        }
        self.delete_canvas(key, Epoch::random())?;
        Ok(())
    }

    /// Whether somebody is on it, or an instance has a room for it.
    fn is_attended(&self, key: CanvasKey) -> StoreResult<bool> {
        Ok(self.conn.prepare_cached(sql::ATTENDED)?.exists([key])?)
    }
}
