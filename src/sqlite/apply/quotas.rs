//! Counts the stored data of all canvases as it changes: a number in each canvas's row, and one row for all. Nothing is
//! ever added up again.

use std::collections::HashMap;

use rusqlite::params;

use super::Txn;
use super::canvas::Rows;
use crate::backplane::intake::{Waiting, durable_of};
use crate::backplane::{CanvasKey, Refusal};
use crate::canvas::quotas::{Logs, Spare, charge, charge_of, room_in_log};
use crate::limits::{CHAT_HISTORY, EPHEMERAL_BYTES, EPHEMERAL_CANVAS_BYTES, Quotas};
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::StoreResult;

/// How often it is written down that messages are refused, in milliseconds: whoever cleans up looks for it.
const FULL_INTERVAL_MS: i64 = 1_000;

/// The row of all while the transaction runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OpenTotals {
    pub(super) log_bytes: u64,
    full_at: i64,
    stored_bytes: u64,
    pub(super) canvases: u64,
    pub(super) next_key: CanvasKey,
    ephemeral_bytes: u64,
    pub(super) dirty: bool,
}

/// What rows may have that are in nobody's log.
const EPHEMERAL: Quotas = Quotas {
    canvas_log_bytes: EPHEMERAL_CANVAS_BYTES,
    log_bytes: EPHEMERAL_BYTES,
    total_bytes: None,
    canvases: None,
    idle_ttl: None,
};

/// A row that was deleted.
struct Went {
    id: i64,
    bytes: u64,
    /// It was in a log.
    logged: bool,
}

impl Txn<'_> {
    /// The row of all, read once a transaction.
    pub(super) fn totals(&mut self) -> StoreResult<&mut OpenTotals> {
        if self.totals.is_none() {
            let mut statement = self.conn.prepare_cached(sql::TOTALS)?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(OpenTotals {
                    log_bytes: row.get::<_, i64>(0)?.cast_unsigned(),
                    full_at: row.get(1)?,
                    stored_bytes: row.get::<_, i64>(2)?.cast_unsigned(),
                    canvases: row.get::<_, i64>(3)?.cast_unsigned(),
                    next_key: row.get(4)?,
                    ephemeral_bytes: row.get::<_, i64>(5)?.cast_unsigned(),
                    dirty: false,
                })
            };
            self.totals = Some(statement.query_row([], read)?);
        }
        Ok(self.totals.get_or_insert_default())
    }

    /// Whether the entry may be done now. A canvas that has no room is not asked again in this transaction: who is refused sends
    /// again in order, so nothing of its canvas may follow in between.
    pub(in crate::sqlite) fn room_for(
        &mut self,
        waiting: &Waiting,
    ) -> StoreResult<Result<(), Refusal>> {
        let room = self.room_for_client(waiting.key, &waiting.entry)?;
        match durable_of(&waiting.entry) {
            Some((author, message)) if room.is_ok() => {
                self.fits(waiting.key, charge_of(author, message))
            }
            _ => Ok(room),
        }
    }

    /// Whether so much more may be kept in the canvas's log.
    pub(super) fn fits(&mut self, key: CanvasKey, bytes: u64) -> StoreResult<Result<(), Refusal>> {
        let total = self.totals()?.log_bytes;
        let canvas = Rows::of(self, key)?.into_canvas();
        if let Some(refusal) = &canvas.full {
            return Ok(Err(refusal.clone()));
        }
        let logs = Logs {
            canvas: canvas.log_bytes,
            total,
        };
        let quotas = &self.setup.quotas;
        let Err(refusal) = room_in_log(quotas, logs, bytes) else {
            return Ok(Ok(()));
        };
        Rows::of(self, key)?.into_canvas().full = Some(refusal.clone());
        self.note_full()?;
        Ok(Err(refusal))
    }

    fn note_full(&mut self) -> StoreResult<()> {
        let now_ms = self.now_ms;
        let totals = self.totals()?;
        if now_ms - totals.full_at >= FULL_INTERVAL_MS {
            totals.full_at = now_ms;
            totals.dirty = true;
        }
        Ok(())
    }

    /// Whether a row of that many bytes may be kept that is in nobody's log: who is where, what changed, pointers. They have room of
    /// their own, shared as that of logs is, so that a flood of them costs nobody a message.
    pub(super) fn takes_ephemeral(&mut self, key: CanvasKey, payload: usize) -> StoreResult<bool> {
        let total = self.totals()?.ephemeral_bytes;
        let Some(rows) = Rows::find(self, key)? else {
            return Ok(false);
        };
        let canvas = rows.into_canvas().ephemeral_bytes;
        let takes = room_in_log(&EPHEMERAL, Logs { canvas, total }, charge(payload)).is_ok();
        if !takes {
            self.note_full()?;
        }
        Ok(takes)
    }

    /// Such a row is kept for the canvas.
    pub(super) fn charge_ephemeral(&mut self, key: CanvasKey, payload: usize) -> StoreResult<()> {
        let bytes = charge(payload);
        if let Some(rows) = Rows::find(self, key)? {
            let canvas = rows.into_canvas();
            canvas.ephemeral_bytes += bytes;
            canvas.dirty = true;
        }
        let totals = self.totals()?;
        totals.ephemeral_bytes += bytes;
        totals.dirty = true;
        Ok(())
    }

    /// A row of that many bytes is kept for the canvas.
    pub(super) fn charge(&mut self, key: CanvasKey, payload: usize) -> StoreResult<()> {
        let bytes = charge(payload);
        let canvas = Rows::of(self, key)?.into_canvas();
        canvas.log_bytes += bytes;
        canvas.dirty = true;
        let totals = self.totals()?;
        totals.log_bytes += bytes;
        totals.dirty = true;
        Ok(())
    }

    /// Deletes expired rows with `after < id <= upto`, which nobody is charged with any more.
    pub(in crate::sqlite) fn clean(&mut self, after: i64, upto: i64) -> StoreResult<()> {
        let mut delete = self.conn.prepare_cached(sql::DELETE_EXPIRED)?;
        let mut rows = delete.query(params![after, upto, self.now_ms])?;
        let mut charged = HashMap::<CanvasKey, Vec<Went>>::new();
        while let Some(row) = rows.next()? {
            let bytes = charge(row.get::<_, u32>(2)? as usize);
            let of_it = charged.entry(row.get(0)?).or_default();
            of_it.push(Went {
                id: row.get(1)?,
                bytes,
                logged: row.get(3)?,
            });
        }
        for (key, rows) in charged {
            self.discharge(key, &rows)?;
        }
        Ok(())
    }

    fn discharge(&mut self, key: CanvasKey, rows: &[Went]) -> StoreResult<()> {
        let sum = |wanted: &dyn Fn(&Went) -> bool| -> u64 {
            let wanted = rows.iter().filter(|row| wanted(row));
            wanted.map(|row| row.bytes).sum()
        };
        let ephemeral = sum(&|row| !row.logged);
        let totals = self.totals()?;
        totals.log_bytes = totals.log_bytes.saturating_sub(sum(&|row| row.logged));
        totals.ephemeral_bytes = totals.ephemeral_bytes.saturating_sub(ephemeral);
        totals.dirty = true;
        let Some(rows_of) = Rows::find(self, key)? else {
            return Ok(());
        };
        let canvas = rows_of.into_canvas();
        // Those of before a deletion are charged to nobody but all.
        let young = sum(&|row| row.logged && row.id > canvas.log_from);
        canvas.log_bytes = canvas.log_bytes.saturating_sub(young);
        canvas.ephemeral_bytes = canvas.ephemeral_bytes.saturating_sub(ephemeral);
        canvas.dirty = true;
        Ok(())
    }

    /// What may be kept in addition; `None` if nothing bounds it.
    pub(super) fn spare(&mut self) -> StoreResult<Option<Spare>> {
        if self.setup.quotas.total_bytes.is_none() {
            return Ok(None);
        }
        let totals = self.totals()?;
        let kept = totals.log_bytes + totals.stored_bytes;
        Ok(Spare::of(&self.setup.quotas, kept))
    }

    /// What the canvas's objects and chat have become counts in those of all.
    pub(in crate::sqlite) fn count_stored(&mut self, key: CanvasKey) -> StoreResult<()> {
        let Some(rows) = Rows::find(self, key)? else {
            return Ok(());
        };
        let canvas = rows.into_canvas();
        let now = canvas.head.totals.bytes + canvas.chat_bytes;
        let before = std::mem::replace(&mut canvas.counted, now);
        if now != before {
            let totals = self.totals()?;
            totals.stored_bytes = (totals.stored_bytes + now).saturating_sub(before);
            totals.dirty = true;
        }
        Ok(())
    }

    /// Forgets all but the latest chat messages where some came.
    pub(super) fn trim_chats(&mut self) -> StoreResult<()> {
        let chatted = self.canvases.iter().filter(|canvas| canvas.chatted);
        let keys: Vec<_> = chatted.map(|canvas| (canvas.key, canvas.content)).collect();
        for (key, content) in keys {
            let mut trim = self.conn.prepare_cached(sql::TRIM_CHAT)?;
            let mut trimmed = trim.query(params![content, CHAT_HISTORY])?;
            let mut bytes = 0;
            while let Some(row) = trimmed.next()? {
                bytes += row.get::<_, i64>(0)?.cast_unsigned();
            }
            if let Some(rows) = Rows::find(self, key)? {
                let canvas = rows.into_canvas();
                canvas.chat_bytes = canvas.chat_bytes.saturating_sub(bytes);
            }
            self.count_stored(key)?;
        }
        Ok(())
    }

    /// Writes the row of all, if it has changed.
    pub(super) fn close_totals(&self) -> StoreResult<()> {
        if let Some(totals) = self.totals.filter(|totals| totals.dirty) {
            let mut set = self.conn.prepare_cached(sql::SET_TOTALS)?;
            set.execute(params![
                totals.log_bytes.cast_signed(),
                totals.full_at,
                totals.stored_bytes.cast_signed(),
                totals.canvases.cast_signed(),
                totals.next_key,
                totals.ephemeral_bytes.cast_signed()
            ])?;
        }
        Ok(())
    }
}
