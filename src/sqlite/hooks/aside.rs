//! What a large transaction tells is set aside: a few rows have all of it, written with the strokes. The writer tells them later, in turns
//! that are short, in their order. As long as something is set aside, what follows goes behind it, of whatever transaction.
//!
//! A hook's backlog is what waits in its queue and what is set aside for it. Events without room become a gap that is told after the
//! last row that has something for the hook.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::pace::Pace;
use super::packed::{Share, Unpacked, pack, unpack};
use super::{enqueue, versions};
use crate::backplane::CanvasKey;
use crate::hooks::hook_event::HookEvent;
use crate::hooks::{Hook, Include, Stored};
use crate::sqlite::jobs::Pusher;

/// A transaction with as many events tells them itself, if nothing is set aside.
pub(super) const AT_ONCE: usize = 64;
/// Of a row, over all hooks, unless its first event is more.
const ROW_EVENTS: u64 = 128;
const ROW_BYTES: u64 = 128 * 1024;

const FIRST: &str = "SELECT min(n) FROM hook_aside";
const LAST: &str = "SELECT max(n) FROM hook_aside";
const PUT: &str =
    "INSERT INTO hook_aside (n, version, at, events, bytes, told) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const NEXT: &str =
    "SELECT n, version, at, events, bytes FROM hook_aside WHERE n > ?1 ORDER BY n LIMIT 1";
const EVENTS: &str = "SELECT told FROM hook_aside WHERE n = ?1";
const DONE: &str = "DELETE FROM hook_aside WHERE n = ?1";
const SUMS: &str = "SELECT hook, last, events, bytes FROM hook_aside_of";
const LAST_OF: &str = "SELECT last FROM hook_aside_of WHERE hook = ?1";
const ADD: &str = "INSERT INTO hook_aside_of (hook, last, events, bytes) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (hook) DO UPDATE SET last = excluded.last, events = events + excluded.events, bytes = bytes + excluded.bytes";
const TAKE: &str = "UPDATE hook_aside_of SET events = max(0, events - ?2), bytes = max(0, bytes - ?3) WHERE hook = ?1";
const ALL_OF: &str = "DELETE FROM hook_aside_of WHERE last = ?1";
const AFTER: &str =
    "INSERT INTO hook_aside_after (n, hook, quiet, canvas_id, epoch, from_seq, to_seq)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (n, hook, quiet, canvas_id) DO UPDATE SET to_seq = max(to_seq, excluded.to_seq), epoch = excluded.epoch";
const GAPS_OPEN: &str =
    "INSERT INTO hook_gaps (hook, canvas_id, epoch, from_seq, to_seq)
    SELECT hook, canvas_id, epoch, from_seq, to_seq FROM hook_aside_after WHERE n = ?1 AND quiet = 0
    ON CONFLICT (hook, canvas_id) DO UPDATE SET to_seq = max(to_seq, excluded.to_seq), epoch = excluded.epoch";
const QUIET_DUE: &str =
    "INSERT INTO hook_changes (hook, canvas_id, from_seq, to_seq, first_at, due_at)
    SELECT hook, canvas_id, from_seq, to_seq, ?2, ?2 FROM hook_aside_after WHERE n = ?1 AND quiet = 1
    ON CONFLICT (hook, canvas_id) DO UPDATE SET from_seq = min(from_seq, excluded.from_seq), due_at = excluded.due_at";
const AFTER_DONE: &str = "DELETE FROM hook_aside_after WHERE n = ?1";

/// What is set aside for a hook.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    /// The last row that has something for it.
    last: i64,
    events: u64,
    bytes: u64,
}

fn sums(conn: &Connection) -> rusqlite::Result<HashMap<String, Sum>> {
    let mut statement = conn.prepare_cached(SUMS)?;
    let sums = statement.query_map([], |row| {
        let sum = Sum {
            last: row.get(1)?,
            events: row.get::<_, i64>(2)?.cast_unsigned(),
            bytes: row.get::<_, i64>(3)?.cast_unsigned(),
        };
        Ok((row.get(0)?, sum))
    })?;
    sums.collect()
}

/// The first row, if something is set aside.
pub(super) fn first(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(FIRST)?.query_row([], |row| row.get(0))
}

/// How many events are set aside, one for each hook that hears of it.
pub(in crate::sqlite) fn count(conn: &Connection) -> rusqlite::Result<u64> {
    let sums = sums(conn)?;
    Ok(sums.values().map(|sum| sum.events).sum())
}

/// Sets events aside, behind those that are. Gives how many had no room.
pub(super) fn set_aside(
    told: &[(CanvasKey, HookEvent)],
    stored: &Stored,
    conn: &Connection,
    push: &mut Pusher<'_>,
    now_ms: i64,
) -> rusqlite::Result<u64> {
    let sums = sums(conn)?;
    let all = sums.values().map(|sum| sum.bytes).sum();
    let full = !push.has_bytes(all)?;
    let mut roomy = Vec::new();
    let mut dropped = 0;
    for hook in stored.hooks.iter() {
        let known = sums.get(&hook.name).copied();
        let sum = known.unwrap_or_default();
        let (messages, bytes) = push.backlog(&hook.queue())?;
        if !full && hook.fits((messages + sum.events, bytes + sum.bytes)) {
            roomy.push(hook);
        } else {
            dropped += miss(told, hook, known.map(|sum| sum.last), conn)?;
        }
    }
    let last: Option<i64> = conn.prepare_cached(LAST)?.query_row([], |row| row.get(0))?;
    let mut rows = Rows {
        conn,
        version: stored.version,
        now_ms,
        n: last.unwrap_or(0),
        of: vec![Sum::default(); roomy.len()],
        roomy,
    };
    rows.put_all(told)?;
    rows.add()?;
    Ok(dropped)
}

/// Events without room become a gap of their canvas: after that row, or at once if the hook has none.
fn miss(
    told: &[(CanvasKey, HookEvent)],
    hook: &Hook,
    last: Option<i64>,
    conn: &Connection,
) -> rusqlite::Result<u64> {
    let mut gaps = HashMap::new();
    let mut count = 0;
    for (key, told) in told {
        if hook.wants(&told.named.id, told.event) {
            count += 1;
            let gap = gaps
                .entry(*key)
                .or_insert((&told.named, told.seq, told.seq));
            *gap = (&told.named, gap.1, gap.2.max(told.seq));
        }
    }
    for (key, (named, from, to)) in gaps {
        match last {
            None => enqueue::open_gap(conn, &hook.name, key, named, (from, to))?,
            Some(last) => {
                let from = from.cast_signed();
                let to = to.cast_signed();
                let gap = params![last, hook.name, 0, key, &*named.epoch, from, to];
                conn.prepare_cached(AFTER)?.execute(gap)?;
            }
        }
    }
    Ok(count)
}

/// The rows of a transaction.
struct Rows<'a> {
    conn: &'a Connection,
    version: i64,
    now_ms: i64,
    /// The last one.
    n: i64,
    /// Hooks that have room, and what they have in these rows.
    roomy: Vec<&'a Hook>,
    of: Vec<Sum>,
}

impl Rows<'_> {
    fn put_all(&mut self, told: &[(CanvasKey, HookEvent)]) -> rusqlite::Result<()> {
        let mut row: Vec<&(CanvasKey, HookEvent)> = Vec::new();
        let mut shares = vec![(0, 0); self.roomy.len()];
        let mut events = 0;
        let mut bytes = 0;
        for it in told {
            let before = events;
            for (hook, share) in self.roomy.iter().zip(&mut shares) {
                if hook.wants(&it.1.named.id, it.1.event) {
                    let size = size(&it.1, hook);
                    *share = (share.0 + 1, share.1 + size);
                    events += 1;
                    bytes += size;
                }
            }
            if events == before {
                continue;
            }
            row.push(it);
            if events >= ROW_EVENTS || bytes >= ROW_BYTES {
                self.put(&row, &mut shares)?;
                row.clear();
                events = 0;
                bytes = 0;
            }
        }
        if row.is_empty() {
            return Ok(());
        }
        self.put(&row, &mut shares)
    }

    fn put(
        &mut self,
        row: &[&(CanvasKey, HookEvent)],
        shares: &mut [(u64, u64)],
    ) -> rusqlite::Result<()> {
        self.n += 1;
        let mut all = Vec::new();
        let mut of_all = Sum::default();
        let hooks = self.roomy.iter().zip(&mut self.of);
        for ((hook, of), share) in hooks.zip(shares) {
            let (events, bytes) = std::mem::take(share);
            if events == 0 {
                continue;
            }
            *of = Sum {
                last: self.n,
                events: of.events + events,
                bytes: of.bytes + bytes,
            };
            of_all.events += events;
            of_all.bytes += bytes;
            all.push(Share {
                hook: hook.name.clone(),
                events,
                bytes,
            });
        }
        let told = pack(all, row);
        let events = of_all.events.cast_signed();
        let bytes = of_all.bytes.cast_signed();
        let row = params![self.n, self.version, self.now_ms, events, bytes, told];
        self.conn.prepare_cached(PUT)?.execute(row)?;
        Ok(())
    }

    /// Adds what the rows have to what each hook has.
    fn add(&self) -> rusqlite::Result<()> {
        let mut add = self.conn.prepare_cached(ADD)?;
        for (hook, of) in self.roomy.iter().zip(&self.of) {
            if of.events > 0 {
                let events = of.events.cast_signed();
                let bytes = of.bytes.cast_signed();
                add.execute(params![hook.name, of.last, events, bytes])?;
            }
        }
        Ok(())
    }
}

/// About what an event takes in the hook's queue.
fn size(told: &HookEvent, hook: &Hook) -> u64 {
    let object = told.object.as_ref().map_or(0, String::len);
    let other = match hook.include {
        Include::Object => 0,
        Include::Patch => object,
    };
    (told.size() - other) as u64
}

/// If something is set aside for that hook: it is told that the canvas is quiet behind it.
pub(super) fn quiet_after(
    conn: &Connection,
    hook: &str,
    key: CanvasKey,
    epoch: &str,
    (from, to): (u64, u64),
) -> rusqlite::Result<bool> {
    let mut statement = conn.prepare_cached(LAST_OF)?;
    let last: Option<i64> = statement.query_row([hook], |row| row.get(0)).optional()?;
    if let Some(last) = last {
        let from = from.cast_signed();
        let to = to.cast_signed();
        let quiet = params![last, hook, 1, key, epoch, from, to];
        conn.prepare_cached(AFTER)?.execute(quiet)?;
    }
    Ok(last.is_some())
}

/// What a turn has come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) rows: u64,
    /// Events without room.
    pub(super) dropped: u64,
    /// There is more.
    pub(super) more: bool,
}

/// A row, but for what is in it.
pub(super) struct Next {
    pub(super) n: i64,
    pub(super) version: i64,
    pub(super) at_ms: i64,
    events: u64,
    bytes: u64,
}

/// The row behind that one.
pub(super) fn next_after(conn: &Connection, n: i64) -> rusqlite::Result<Option<Next>> {
    let mut statement = conn.prepare_cached(NEXT)?;
    let row = statement.query_row([n], |row| {
        Ok(Next {
            n: row.get(0)?,
            version: row.get(1)?,
            at_ms: row.get(2)?,
            events: row.get::<_, i64>(3)?.cast_unsigned(),
            bytes: row.get::<_, i64>(4)?.cast_unsigned(),
        })
    });
    row.optional()
}

/// Tells what is set aside, the oldest first, as much as the pace takes.
pub(super) fn dispatch(
    current: &Arc<Stored>,
    conn: &Connection,
    push: &mut Pusher<'_>,
    pace: &mut Pace,
    now_ms: i64,
) -> rusqlite::Result<Turn> {
    let mut turn = Turn::default();
    let mut stored = None;
    while let Some(row) = next_after(conn, 0)? {
        if !pace.takes(row.events, row.bytes) {
            turn.more = true;
            return Ok(turn);
        }
        let stored = match &stored {
            Some((version, stored)) if *version == row.version => Arc::clone(stored),
            _ => {
                let read = versions::at(conn, row.version, current)?;
                stored = Some((row.version, Arc::clone(&read)));
                read
            }
        };
        turn.dropped += dispatch_row(&row, &stored, conn, push, now_ms)?;
        turn.rows += 1;
    }
    pace.end();
    versions::forget(conn)?;
    Ok(turn)
}

/// What is in a row.
pub(super) fn take_out(conn: &Connection, n: i64) -> rusqlite::Result<Unpacked> {
    let mut statement = conn.prepare_cached(EVENTS)?;
    let unpacked = statement.query_row([n], |row| Ok(unpack(row.get_ref(0)?.as_blob()?)))?;
    Ok(unpacked.unwrap_or_else(|| {
        tracing::error!(
            row = n,
            "events that were set aside are damaged: they are lost"
        );
        Default::default()
    }))
}

fn dispatch_row(
    row: &Next,
    stored: &Stored,
    conn: &Connection,
    push: &mut Pusher<'_>,
    now_ms: i64,
) -> rusqlite::Result<u64> {
    let (shares, told) = take_out(conn, row.n)?;
    let has_share = |hook: &&Hook| shares.iter().any(|share| share.hook == hook.name);
    let hooks = stored.hooks.iter().filter(has_share);
    let dropped = enqueue::enqueue(&told, hooks, conn, push, row.at_ms)?;
    let mut take = conn.prepare_cached(TAKE)?;
    for share in &shares {
        let events = share.events.cast_signed();
        let bytes = share.bytes.cast_signed();
        take.execute(params![share.hook, events, bytes])?;
    }
    for over in [ALL_OF, GAPS_OPEN] {
        conn.prepare_cached(over)?.execute([row.n])?;
    }
    conn.prepare_cached(QUIET_DUE)?.execute([row.n, now_ms])?;
    conn.prepare_cached(AFTER_DONE)?.execute([row.n])?;
    conn.prepare_cached(DONE)?.execute([row.n])?;
    Ok(dropped)
}

#[cfg(test)]
mod tests;
