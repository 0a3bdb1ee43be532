//! Makes a new file from plain rows of another store. It has no name, and so no users, until it is complete.

use std::fs::File;
use std::num::{NonZeroI64, NonZeroU64};
use std::path::Path;

use rusqlite::{Connection, params};
use serde::Deserialize;

use super::hooks::PARKED;
use super::jobs::store::SqlStore;
use crate::backplane::CanvasKey;
use crate::canvas::Contents;
use crate::canvas::quotas::charge;
use crate::jobs::dispatch::due;
use crate::jobs::dispatch::kept::KeptHooks;
use crate::limits::TOMBSTONE;
use crate::protocol::ids::{CanvasId, InstanceNumber};
use crate::sqlite::storage::store_error::{StoreError, StoreResult};
use crate::sqlite::storage::{schema, sql};
use crate::time::millis;

const CANVAS: &str = "INSERT INTO canvases (key, canvas_id, epoch, seq, head_id, presence_version, objects, object_bytes, chat_bytes,
      log_bytes, created_at, used_at, ends_at, object_logs)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13)";
const OBJECT: &str = "INSERT INTO canvas_objects (canvas_id, object_id, created_seq, updated_seq, props) VALUES (?1, ?2, ?3, ?4, ?5)";
const TOTALS: &str =
    "UPDATE totals SET (log_bytes, stored_bytes, canvases, next_key) =
    (SELECT coalesce(sum(log_bytes), 0), coalesce(sum(object_bytes + chat_bytes), 0), count(*), coalesce(max(key), 0) + 1
     FROM canvases)";
const CHANGE: &str =
    "INSERT INTO hook_changes SELECT ?1, key, ?3, ?4, ?5, ?6 FROM canvases WHERE canvas_id = ?2";
const GAP: &str =
    "INSERT INTO hook_gaps SELECT ?1, key, ?3, ?4, ?5 FROM canvases WHERE canvas_id = ?2";

/// A file that is filled.
pub(crate) struct Import {
    conn: Connection,
    message_ttl_ms: i64,
    last_key: CanvasKey,
}

/// A chat message begins with its number.
#[derive(Deserialize)]
struct ChatPlace {
    seq: i64,
}

impl Import {
    /// Makes the tables in a file that is empty.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn begin(file: &Path, message_ttl_ms: i64) -> StoreResult<Self> {
        let conn = schema::open(file)?;
        schema::make_tables(&conn)?;
        // Half of it is of no use: it is synced once, at its end.
        conn.execute_batch("PRAGMA synchronous = OFF; BEGIN IMMEDIATE;")?;
        Ok(Self {
            conn,
            message_ttl_ms,
            last_key: CanvasKey::BEFORE_ALL,
        })
    }

    /// A canvas that was last used then.
    pub(crate) fn put(&mut self, id: &CanvasId, it: &Contents, used_at_ms: i64) -> StoreResult<()> {
        self.last_key = self.last_key.next();
        let conn = &self.conn;
        let key = self.last_key;
        let seq = it.at.seq.cast_signed();
        let mut put = conn.prepare_cached(OBJECT)?;
        for object in &it.objects {
            let place = object.place.cast_signed();
            let changed = object.changed.cast_signed();
            put.execute(params![key, object.id, place, changed, &*object.text])?;
        }
        let mut put = conn.prepare_cached(sql::PUT_CHAT)?;
        for (n, entry) in (0_i64..).zip(&it.chat) {
            // What has no number stands where it was: before the others.
            let place = serde_json::from_str::<ChatPlace>(entry);
            put.execute(params![key, place.map_or(n, |place| place.seq), entry])?;
        }
        let mut put = conn.prepare_cached(sql::SET_CLIENT)?;
        for client in &it.clients {
            let op = client.row.last_op.cast_signed();
            let place = client.row.last_seq.map_or(0, NonZeroU64::get).cast_signed();
            let name = client.name.as_str();
            let subject = &client.row.subject;
            put.execute(params![key, name, subject, op, place, client.used_at_ms])?;
        }
        self.put_logs(key, it)?;
        self.put_deletions(key, it)?;
        let (head_id, log_bytes) = self.put_messages(key, it)?;
        let bytes = |sizes: &mut dyn Iterator<Item = usize>| sizes.sum::<usize>() as u64;
        let object_bytes = bytes(&mut it.objects.iter().map(|object| object.text.len()));
        let object_bytes = object_bytes + it.logs.iter().map(|(log, _)| log.bytes).sum::<u64>();
        let chat_bytes = bytes(&mut it.chat.iter().map(String::len));
        let ends_at = match it.objects.is_empty() && it.chat.is_empty() {
            true if seq == 0 => Some(used_at_ms),
            true => Some(used_at_ms.saturating_add(millis(TOMBSTONE))),
            false => None,
        };
        self.conn.prepare_cached(CANVAS)?.execute(params![
            key,
            id.as_str(),
            it.at.epoch.to_string(),
            seq,
            head_id.map_or(0, NonZeroI64::get),
            it.presence_version.cast_signed(),
            (it.objects.len() as u64).cast_signed(),
            object_bytes.cast_signed(),
            chat_bytes.cast_signed(),
            log_bytes.cast_signed(),
            used_at_ms,
            ends_at,
            (it.logs.len() as u64).cast_signed()
        ])?;
        Ok(())
    }

    fn put_logs(&self, key: CanvasKey, it: &Contents) -> StoreResult<()> {
        let mut head = self.conn.prepare_cached(sql::SET_OBJECT_LOG)?;
        let mut put = self.conn.prepare_cached(sql::PUT_ENTRY)?;
        for (log, of) in &it.logs {
            head.execute(params![
                key,
                of.id,
                log.entries.cast_signed(),
                log.bytes.cast_signed(),
                log.upto.cast_signed(),
                log.compacted_seq.cast_signed()
            ])?;
            for (seq, data) in &of.entries {
                put.execute(params![key, of.id, seq.cast_signed(), data])?;
            }
        }
        Ok(())
    }

    fn put_deletions(&self, key: CanvasKey, it: &Contents) -> StoreResult<()> {
        let mut put = self.conn.prepare_cached(sql::PUT_DELETION)?;
        // A row without a name stands for what was forgotten.
        if it.from > 0 {
            put.execute(params![key, it.from.cast_signed(), ""])?;
        }
        for (seq, id) in &it.deleted {
            put.execute(params![key, seq.cast_signed(), id])?;
        }
        Ok(())
    }

    /// Gives the last row, if there is one, and what they are charged with.
    fn put_messages(
        &self,
        key: CanvasKey,
        it: &Contents,
    ) -> StoreResult<(Option<NonZeroI64>, u64)> {
        let first = (it.at.seq + 1 - it.messages.len() as u64).cast_signed();
        let mut put = self.conn.prepare_cached(sql::INSERT_ROW)?;
        let mut head_id = None;
        let mut bytes = 0;
        for (seq, message) in (first..).zip(&it.messages) {
            let text: &str = &message.body;
            put.execute(params![
                key,
                seq,
                message.kind.as_str(),
                message.origin.0.cast_signed(),
                message.client.as_str(),
                message.op.cast_signed(),
                head_id.map_or(0, NonZeroI64::get),
                message.at_ms,
                message.at_ms.saturating_add(self.message_ttl_ms),
                text
            ])?;
            head_id = NonZeroI64::new(self.conn.last_insert_rowid());
            bytes += charge(text.len());
        }
        Ok((head_id, bytes))
    }

    /// The work queue.
    pub(crate) fn jobs(&self) -> SqlStore<'_> {
        SqlStore(&self.conn)
    }

    /// The hooks, once all canvases are there.
    pub(crate) fn put_hooks(&self, kept: &KeptHooks, now_ms: i64) -> StoreResult<()> {
        let conn = &self.conn;
        let set = "INSERT INTO hooks (one, version, hooks) VALUES (1, ?1, ?2)";
        conn.execute(set, params![kept.set.version, kept.set.texts])?;
        for (hook, why) in kept.off() {
            let off = "INSERT INTO hooks_off (hook, reason, at) VALUES (?1, ?2, ?3)";
            conn.execute(off, params![hook, why, now_ms])?;
        }
        for it in &kept.changes {
            let due_at = match it.due_at {
                due::PARKED => PARKED,
                due_at => due_at,
            };
            let from = it.from_seq;
            let to = it.to_seq;
            conn.execute(
                CHANGE,
                params![it.hook, it.canvas, from, to, it.first_at, due_at],
            )?;
        }
        for it in &kept.gaps {
            let from = it.from_seq;
            let to = it.to_seq;
            conn.execute(GAP, params![it.hook, it.canvas, it.epoch, from, to])?;
        }
        Ok(())
    }

    /// Everything is there, and on the disk. Connections of new instances have numbers behind those of `last_instance`.
    pub(crate) fn finish(
        self,
        file: &Path,
        last_instance: Option<InstanceNumber>,
    ) -> StoreResult<()> {
        let conn = self.conn;
        conn.execute(TOTALS, [])?;
        if let Some(last) = last_instance {
            let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES ('instances', ?1)";
            conn.execute(sql, [last])?;
        }
        conn.execute_batch("COMMIT; PRAGMA synchronous = FULL;")?;
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        conn.close().map_err(|(_, error)| error)?;
        let synced = File::open(file).and_then(|file| file.sync_all());
        synced.map_err(StoreError::Sync)
    }
}
