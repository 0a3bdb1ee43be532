//! Puts a transaction's events into the queues, as long as there is room. Events without room become a gap, of which
//! the hook is told later.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::stage::Stage;
use crate::backplane::CanvasKey;
use crate::hooks::Hook;
use crate::hooks::hook_event::{HookEvent, Message, Named, Packer, Span};
use crate::jobs::dispatch::item;
use crate::jobs::op::{PushItem, Pushed};
use crate::sqlite::jobs::Pusher;
use crate::time::millis;

const FIND_GAP: &str =
    "SELECT from_seq, to_seq, epoch FROM hook_gaps WHERE hook = ?1 AND canvas_id = ?2";
const OPEN_GAP: &str = "INSERT INTO hook_gaps (hook, canvas_id, epoch, from_seq, to_seq) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (hook, canvas_id) DO UPDATE SET to_seq = max(to_seq, excluded.to_seq), epoch = excluded.epoch";
const CLOSE_GAP: &str = "DELETE FROM hook_gaps WHERE hook = ?1 AND canvas_id = ?2";
const CHANGED: &str =
    "INSERT INTO hook_changes (hook, canvas_id, from_seq, to_seq, first_at, due_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?5 + min(?6, ?7))
    ON CONFLICT (hook, canvas_id) DO UPDATE SET to_seq = excluded.to_seq,
        due_at = min(?5 + ?6, first_at + ?7)";

/// Puts events of canvases into the queues of those hooks that hear of them. Gives how many had no room.
pub(super) fn enqueue<'h>(
    told: &[(CanvasKey, HookEvent)],
    hooks: impl Iterator<Item = &'h Hook>,
    conn: &Connection,
    push: &mut Pusher<'_>,
    at_ms: i64,
) -> rusqlite::Result<u64> {
    let mut dropped = 0;
    for hook in hooks {
        let mut out = Out {
            conn,
            push,
            hook,
            queue: hook.queue(),
            at_ms,
            gapless: HashSet::new(),
            dropped: &mut dropped,
        };
        let mut packers: HashMap<CanvasKey, Packer> = HashMap::new();
        for (key, told) in told {
            if !hook.wants(&told.named.id, told.event) {
                continue;
            }
            let packer = packers.entry(*key).or_insert_with(|| Packer::new(hook));
            if told.is_missed_by(hook) {
                if let Some(before) = packer.end() {
                    out.send(*key, before)?;
                }
                out.miss(*key, &told.named, (told.seq, told.seq), 1)?;
                continue;
            }
            if let Some(full) = packer.add(told, told.text(hook, at_ms)) {
                out.send(*key, full)?;
            }
        }
        // In the order of their canvases' keys: that of a map changes from one run to the next.
        let mut rest: Vec<(CanvasKey, Packer)> = packers.into_iter().collect();
        rest.sort_unstable_by_key(|(key, _)| *key);
        for (key, mut packer) in rest {
            if let Some(last) = packer.end() {
                out.send(key, last)?;
            }
        }
    }
    Ok(dropped)
}

/// Canvases that changed are told of once they are quiet.
pub(super) fn mark_changes(
    stage: &mut Stage,
    conn: &Connection,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let changed: Vec<_> = std::mem::take(&mut stage.changed).into_iter().collect();
    let stored = stage.stored.clone();
    for (key, (from, to)) in changed {
        let named = stage.named(conn, key)?;
        for hook in stored.hooks.iter() {
            let Some(quiet) = hook.quiet.filter(|_| hook.is_about(&named.id)) else {
                continue;
            };
            conn.prepare_cached(CHANGED)?.execute(params![
                hook.name,
                key,
                from.cast_signed(),
                to.cast_signed(),
                now_ms,
                millis(quiet.after),
                millis(quiet.at_the_latest)
            ])?;
        }
    }
    Ok(())
}

/// Where a hook's events go.
struct Out<'a, 'p> {
    conn: &'a Connection,
    push: &'a mut Pusher<'p>,
    hook: &'a Hook,
    queue: String,
    at_ms: i64,
    /// Canvases without a gap: it is looked for once.
    gapless: HashSet<CanvasKey>,
    dropped: &'a mut u64,
}

impl Out<'_, '_> {
    /// Pushes a message of a canvas, or makes a gap of it.
    fn send(&mut self, key: CanvasKey, message: Message) -> rusqlite::Result<()> {
        let named = message.named;
        let gap = match self.gapless.contains(&key) {
            true => None,
            false => gap_of(self.conn, &self.hook.name, key)?,
        };
        if gap.is_none() {
            self.gapless.insert(key);
        }
        let mut room = self.hook.fits(self.push.backlog(&self.queue)?);
        if let Some((from, to, epoch)) = gap.filter(|_| room) {
            room = dispatch_gap(
                self.push,
                self.hook,
                &named.id,
                &epoch,
                (from, to),
                self.at_ms,
            )?;
            if room {
                self.conn
                    .prepare_cached(CLOSE_GAP)?
                    .execute(params![self.hook.name, key])?;
            }
        }
        let item = PushItem {
            queue: self.queue.clone(),
            partition: named.id.to_string(),
            name: message.id,
            payload: message.payload,
            ..PushItem::default()
        };
        if room && pushed(self.push.push(&item)?) {
            return Ok(());
        }
        self.miss(key, &named, message.span, message.count)
    }

    /// Events of a canvas, from one place to another, become a gap.
    fn miss(
        &mut self,
        key: CanvasKey,
        named: &Named,
        (from, to): (u64, u64),
        count: u64,
    ) -> rusqlite::Result<()> {
        *self.dropped += count;
        self.gapless.remove(&key);
        open_gap(self.conn, &self.hook.name, key, named, (from, to))
    }
}

/// Events of a canvas had no room: its gap begins, or grows.
pub(super) fn open_gap(
    conn: &Connection,
    hook: &str,
    key: CanvasKey,
    named: &Named,
    (from, to): (u64, u64),
) -> rusqlite::Result<()> {
    let from = from.cast_signed();
    let to = to.cast_signed();
    let gap = params![hook, key, &*named.epoch, from, to];
    conn.prepare_cached(OPEN_GAP)?.execute(gap)?;
    Ok(())
}

fn pushed(pushed: Pushed) -> bool {
    !matches!(pushed, Pushed::Failed { .. })
}

/// Whether the hook's backlog has room for one more.
pub(super) fn has_room(push: &mut Pusher<'_>, hook: &Hook) -> rusqlite::Result<bool> {
    Ok(hook.fits(push.backlog(&hook.queue())?))
}

/// The gap of a hook on a canvas: its first and last place, and the epoch.
fn gap_of(
    conn: &Connection,
    hook: &str,
    key: CanvasKey,
) -> rusqlite::Result<Option<(u64, u64, String)>> {
    let mut statement = conn.prepare_cached(FIND_GAP)?;
    let gap = statement.query_row(params![hook, key], |row| {
        let (from, to): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok((from.cast_unsigned(), to.cast_unsigned(), row.get(2)?))
    });
    gap.optional()
}

/// Tells a hook of a gap; `false` if there was no room for that either.
pub(super) fn dispatch_gap(
    push: &mut Pusher<'_>,
    hook: &Hook,
    canvas: &str,
    epoch: &str,
    (from, to): (u64, u64),
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let span = Span::gap(epoch, (from, to));
    Ok(pushed(
        push.push(&item(&span, hook, canvas, epoch, now_ms))?,
    ))
}
