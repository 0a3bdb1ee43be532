//! Into the queues: a transaction's events, as long as there is room; what has none becomes a gap, of which its hook is told later.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::stage::{Named, Stage, Told};
use crate::hooks::event::GAP;
use crate::hooks::{Hook, Include, Target};
use crate::jobs::op::{PushItem, Pushed};
use crate::limits::HOOK_BATCH_BYTES;
use crate::sqlite::jobs::Pusher;

const FIND_GAP: &str =
    "SELECT from_seq, to_seq, epoch FROM hook_gaps WHERE hook = ?1 AND canvas_id = ?2";
const OPEN_GAP: &str = "INSERT INTO hook_gaps (hook, canvas_id, epoch, from_seq, to_seq) VALUES (?1, ?2, ?3, ?4, ?4)
    ON CONFLICT (hook, canvas_id) DO UPDATE SET to_seq = max(to_seq, excluded.to_seq), epoch = excluded.epoch";
const CLOSE_GAP: &str = "DELETE FROM hook_gaps WHERE hook = ?1 AND canvas_id = ?2";
const CHANGED: &str =
    "INSERT INTO hook_changes (hook, canvas_id, from_seq, to_seq, first_at, due_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?5 + min(?6, ?7))
    ON CONFLICT (hook, canvas_id) DO UPDATE SET to_seq = excluded.to_seq,
        due_at = min(?5 + ?6, first_at + ?7)";

/// Puts a transaction's events into their queues. Gives how many had no room.
pub(in crate::sqlite) fn enqueue(
    mut stage: Stage,
    conn: &Connection,
    push: &mut Pusher<'_>,
    now_ms: i64,
) -> rusqlite::Result<u64> {
    mark_changes(&mut stage, conn, now_ms)?;
    let told = std::mem::take(&mut stage.told);
    let stored = stage.stored.clone();
    let mut dropped = 0;
    for hook in stored.hooks.iter() {
        let mut batches: HashMap<i64, Batch> = HashMap::new();
        for told in &told {
            let named = &told.named;
            if !hook.wants(&named.id, told.event) {
                continue;
            }
            let mut out = Out {
                conn,
                push,
                hook,
                now_ms,
                dropped: &mut dropped,
            };
            let batch = batches
                .entry(told.key)
                .or_insert_with(|| Batch::new(told.key, named.clone()));
            let text = event(hook, named, told, now_ms);
            if batch.is_full(hook, &text) {
                out.send(batch)?;
            }
            batch.add(told, text);
        }
        // In the order of their canvases' keys: that of a map changes from one run to the next.
        let mut rest: Vec<Batch> = batches.into_values().collect();
        rest.sort_unstable_by_key(|batch| batch.key);
        for mut batch in rest {
            Out {
                conn,
                push,
                hook,
                now_ms,
                dropped: &mut dropped,
            }
            .send(&mut batch)?;
        }
    }
    Ok(dropped)
}

/// Canvases that changed are told of once they are quiet.
fn mark_changes(stage: &mut Stage, conn: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    let changed: Vec<_> = std::mem::take(&mut stage.changed).into_iter().collect();
    let stored = stage.stored.clone();
    for (key, (from, to)) in changed {
        let named = stage.named(conn, key)?;
        for hook in stored.hooks.iter() {
            let Some(quiet) = hook.quiet.filter(|_| hook.is_about(&named.id)) else {
                continue;
            };
            let ms =
                |time: std::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
            conn.prepare_cached(CHANGED)?.execute(params![
                hook.name,
                key,
                from.cast_signed(),
                to.cast_signed(),
                now_ms,
                ms(quiet.after),
                ms(quiet.at_the_latest)
            ])?;
        }
    }
    Ok(())
}

/// Events of one canvas that become one message.
struct Batch {
    key: i64,
    named: Named,
    id: String,
    texts: Vec<String>,
    bytes: usize,
    last_seq: u64,
    first_seq: u64,
}

impl Batch {
    fn new(key: i64, named: Named) -> Self {
        Self {
            key,
            named,
            id: String::new(),
            texts: Vec::new(),
            bytes: 0,
            last_seq: 0,
            first_seq: 0,
        }
    }

    fn is_full(&self, hook: &Hook, next: &str) -> bool {
        // The deliveries of a webhook are put together when they are made.
        let most = match hook.target {
            Target::Queue(_) => hook.batch as usize,
            Target::Webhook(_) => 1,
        };
        !self.texts.is_empty()
            && (self.texts.len() >= most || self.bytes + next.len() > HOOK_BATCH_BYTES)
    }

    fn add(&mut self, told: &Told, text: String) {
        if self.texts.is_empty() {
            self.id = event_id(&told.named, told);
            self.named = told.named.clone();
            self.first_seq = told.seq;
        }
        self.last_seq = told.seq;
        self.bytes += text.len();
        self.texts.push(text);
    }
}

/// Where a hook's events go.
struct Out<'a, 'p> {
    conn: &'a Connection,
    push: &'a mut Pusher<'p>,
    hook: &'a Hook,
    now_ms: i64,
    dropped: &'a mut u64,
}

impl Out<'_, '_> {
    /// Pushes what the batch has, or makes a gap of it. It is empty afterwards.
    fn send(&mut self, batch: &mut Batch) -> rusqlite::Result<()> {
        let texts = std::mem::take(&mut batch.texts);
        batch.bytes = 0;
        if texts.is_empty() {
            return Ok(());
        }
        let count = texts.len() as u64;
        let gap = gap_of(self.conn, &self.hook.name, batch.key)?;
        let mut room = has_room(self.push, self.hook)?;
        if let Some((from, to, epoch)) = gap.filter(|_| room) {
            room = tell_gap(
                self.push,
                self.hook,
                &batch.named.id,
                &epoch,
                (from, to),
                self.now_ms,
            )?;
            if room {
                self.conn
                    .prepare_cached(CLOSE_GAP)?
                    .execute(params![self.hook.name, batch.key])?;
            }
        }
        let payload = match <[String; 1]>::try_from(texts) {
            Ok([one]) => one,
            Err(several) => format!("{{\"type\":\"batch\",\"events\":[{}]}}", several.join(",")),
        };
        let item = PushItem {
            queue: self.hook.queue(),
            partition: batch.named.id.to_string(),
            name: batch.id.clone(),
            payload,
            ..PushItem::default()
        };
        if room && pushed(self.push.push(&item)?) {
            return Ok(());
        }
        *self.dropped += count;
        for seq in [batch.first_seq, batch.last_seq] {
            self.conn.prepare_cached(OPEN_GAP)?.execute(params![
                self.hook.name,
                batch.key,
                &*batch.named.epoch,
                seq.cast_signed()
            ])?;
        }
        Ok(())
    }
}

fn pushed(pushed: Pushed) -> bool {
    !matches!(pushed, Pushed::Failed { .. })
}

/// Whether the hook's backlog has room for one more.
pub(super) fn has_room(push: &mut Pusher<'_>, hook: &Hook) -> rusqlite::Result<bool> {
    Ok(fits(hook, push.backlog(&hook.queue())?))
}

/// Whether a backlog of so many messages and bytes has room for one more.
pub(super) fn fits(hook: &Hook, (messages, bytes): (u64, u64)) -> bool {
    messages < hook.backlog && bytes < hook.backlog_bytes
}

/// The gap of a hook on a canvas: its first and last place, and the epoch.
fn gap_of(conn: &Connection, hook: &str, key: i64) -> rusqlite::Result<Option<(u64, u64, String)>> {
    let mut statement = conn.prepare_cached(FIND_GAP)?;
    let gap = statement.query_row(params![hook, key], |row| {
        let (from, to): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok((from.cast_unsigned(), to.cast_unsigned(), row.get(2)?))
    });
    gap.optional()
}

/// Tells a hook of a gap; `false` if there was no room for that either.
pub(super) fn tell_gap(
    push: &mut Pusher<'_>,
    hook: &Hook,
    canvas: &str,
    epoch: &str,
    (from, to): (u64, u64),
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let span = Span {
        event: GAP,
        id: format!("{epoch}-gap-{from}-{to}"),
        from,
        to,
    };
    Ok(pushed(push.push(&span.item(hook, canvas, epoch, now_ms))?))
}

/// An event about a run of messages, from one `seq` to another.
pub(super) struct Span {
    pub(super) event: &'static str,
    pub(super) id: String,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Span {
    /// The event as it is pushed.
    pub(super) fn item(self, hook: &Hook, canvas: &str, epoch: &str, now_ms: i64) -> PushItem {
        let Self {
            event,
            id,
            from,
            to,
        } = self;
        PushItem {
            queue: hook.queue(),
            partition: canvas.to_owned(),
            payload: format!(
                "{{\"id\":\"{id}\",\"type\":\"{event}\",\"canvas\":\"{canvas}\",\"epoch\":\"{epoch}\",\"seq\":{to},\"at\":{now_ms},\
                 \"data\":{{\"from_seq\":{from},\"to_seq\":{to}}}}}"
            ),
            name: id,
            ..PushItem::default()
        }
    }
}

/// An event's name: the same for all hooks, and whenever it is told.
fn event_id(named: &Named, told: &Told) -> String {
    let Named { epoch, .. } = named;
    let (seq, version) = (told.seq, told.version);
    match told.client {
        Some(_) if version == 0 => format!("{epoch}-{seq}"),
        _ => format!("{epoch}-{seq}-{version}-{}", told.event.as_str()),
    }
}

/// The event as its receiver reads it.
fn event(hook: &Hook, named: &Named, told: &Told, now_ms: i64) -> String {
    let id = event_id(named, told);
    let (event, canvas, epoch, seq) = (told.event.as_str(), &named.id, &named.epoch, told.seq);
    let mut text = format!(
        "{{\"id\":\"{id}\",\"type\":\"{event}\",\"canvas\":\"{canvas}\",\"epoch\":\"{epoch}\",\"seq\":{seq},\"at\":{now_ms}"
    );
    if let Some(client) = &told.client {
        text.push_str(&format!(",\"client\":\"{client}\""));
    }
    if let Some(user) = &told.user {
        text.push_str(&format!(",\"user\":{user}"));
    }
    match told
        .object
        .as_ref()
        .filter(|_| hook.include == Include::Object)
    {
        Some(object) => text.push_str(&format!(",\"data\":{{\"object\":{object}}}}}")),
        None => text.push_str(&format!(",\"data\":{}}}", told.data)),
    }
    text
}
