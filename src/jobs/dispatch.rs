//! Hooks in memory and over a log of several hosts. The events of canvases are pushed into the queues in one
//! transaction with the mark of how far their canvas has been told. (Over the file, `sqlite::hooks` does that in the
//! transaction of the messages themselves.)
//!
//! - [`due`]: events that time brings: canvases that became quiet, and gaps for which there is room now.
//! - [`versions`]: the hooks that are in force.
//! - [`follower`]: the part of a process that follows them.

pub(crate) mod due;
pub(crate) mod follower;
pub(crate) mod kept;
pub(crate) mod versions;

use std::sync::Arc;

use super::op::{PushItem, Pushed};
use super::push;
use super::rows::{HookChange, HookDue, HookGap};
use super::store::Store;
use super::work::{Res, Work};
use crate::hooks::hook_event::{HookEvent, Message, Named, Packer, Span};
use crate::hooks::{Hook, Stored};
use crate::time::millis;

/// What happened on one canvas, up to one of its batches.
#[derive(Debug, Clone)]
pub(crate) struct Dispatch {
    pub(crate) canvas: Arc<str>,
    /// The batch up to which it was told before, as far as is known, and the one up to which it is then. Both 0 where there are no batches.
    pub(crate) from: u64,
    pub(crate) upto: u64,
    pub(crate) parts: Vec<Part>,
}

/// What happened at one moment, and the hooks that hear of it.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) hooks: Arc<Stored>,
    pub(crate) what: Arc<Happening>,
}

/// What happened at one moment.
#[derive(Debug, Default)]
pub(crate) struct Happening {
    pub(crate) at_ms: i64,
    pub(crate) events: Vec<HookEvent>,
    /// Messages that took their places.
    pub(crate) changed: Option<(Named, (u64, u64))>,
    /// Events that there was no memory for.
    pub(crate) gap: Option<Missed>,
}

/// Events that are told as a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) named: Named,
    /// The places of the first and the last.
    pub(crate) span: (u64, u64),
    pub(crate) count: u64,
}

impl Dispatch {
    /// The bytes that it takes while it waits.
    pub(crate) fn size(&self) -> usize {
        let parts = self.parts.iter();
        256 + parts.map(|part| part.what.size()).sum::<usize>()
    }
}

impl Happening {
    /// The bytes that it takes while it waits.
    pub(crate) fn size(&self) -> usize {
        128 + self.events.iter().map(HookEvent::size).sum::<usize>()
    }
}

/// How far a canvas is told, for the store that keeps that beside the canvas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upto {
    pub(crate) canvas: Arc<str>,
    pub(crate) from: u64,
    pub(crate) upto: u64,
}

/// Puts the events into their queues. Gives how many had no room.
pub(crate) fn dispatch<S: Store>(w: &mut Work<'_, S>, it: &Dispatch) -> Res<u64, S> {
    let mut dropped = 0;
    for part in &it.parts {
        dropped += dispatch_part(w, part)?;
    }
    if it.upto > 0 {
        w.effects.dispatched.push(Upto {
            canvas: it.canvas.clone(),
            from: it.from,
            upto: it.upto,
        });
    }
    Ok(dropped)
}

fn dispatch_part<S: Store>(w: &mut Work<'_, S>, part: &Part) -> Res<u64, S> {
    let mut dropped = 0;
    let what = &part.what;
    for hook in part.hooks.hooks.iter() {
        if let Some((named, span)) = &what.changed {
            mark_changed(w, hook, named, *span)?;
        }
        if let Some(missed) = what.gap.as_ref().filter(|it| hook.is_about(&it.named.id)) {
            open_gap(w, hook, &missed.named, missed.span)?;
            dropped += missed.count;
        }
        let mut packer = Packer::new(hook);
        let wanted = what.events.iter();
        for told in wanted.filter(|told| hook.wants(&told.named.id, told.event)) {
            if told.is_missed_by(hook) {
                if let Some(before) = packer.end() {
                    dropped += send(w, hook, before)?;
                }
                open_gap(w, hook, &told.named, (told.seq, told.seq))?;
                dropped += 1;
                continue;
            }
            if let Some(full) = packer.add(told, told.text(hook, what.at_ms)) {
                dropped += send(w, hook, full)?;
            }
        }
        if let Some(last) = packer.end() {
            dropped += send(w, hook, last)?;
        }
    }
    Ok(dropped)
}

/// Pushes a message, or makes a gap of it. Gives how many of its events had no room.
fn send<S: Store>(w: &mut Work<'_, S>, hook: &Hook, message: Message) -> Res<u64, S> {
    let named = message.named;
    let mut room = has_room(w, hook)?;
    if room {
        let place = (hook.name.clone(), named.id.to_string());
        if let Some(gap) = w.store.get::<HookGap>(&place)? {
            room = dispatch_gap(w, hook, &gap)?;
        }
    }
    let item = PushItem {
        queue: hook.queue(),
        partition: named.id.to_string(),
        name: message.id,
        payload: message.payload,
        ..PushItem::default()
    };
    if room && pushed(w, &item)? {
        return Ok(0);
    }
    open_gap(w, hook, &named, message.span)?;
    Ok(message.count)
}

/// `false` if the queue took it not.
fn pushed<S: Store>(w: &mut Work<'_, S>, item: &PushItem) -> Res<bool, S> {
    let done = push::push_one(w, item)?;
    Ok(matches!(done, Ok(Pushed::Queued(_) | Pushed::Duplicate(_))))
}

fn has_room<S: Store>(w: &mut Work<'_, S>, hook: &Hook) -> Res<bool, S> {
    Ok(hook.fits(backlog(w, &hook.queue())?))
}

/// How many messages wait in a queue, and its bytes; none if there is no such queue.
pub(crate) fn backlog<S: Store>(w: &mut Work<'_, S>, queue: &str) -> Res<(u64, u64), S> {
    let Some(key) = w.queue_key(queue)? else {
        return Ok((0, 0));
    };
    let row = w.see_queue(key)?;
    Ok(row.map_or((0, 0), |row| {
        let waiting = row.messages - row.kept;
        (waiting.cast_unsigned(), row.bytes.cast_unsigned())
    }))
}

/// Events of a canvas had no room: its gap begins, or grows.
fn open_gap<S: Store>(
    w: &mut Work<'_, S>,
    hook: &Hook,
    named: &Named,
    (from, to): (u64, u64),
) -> Res<(), S> {
    let place = (hook.name.clone(), named.id.to_string());
    let before = w.store.get::<HookGap>(&place)?;
    let from = from.cast_signed();
    let to = to.cast_signed();
    let (hook, canvas) = place;
    w.store.put(&HookGap {
        hook,
        canvas,
        epoch: named.epoch.to_string(),
        from_seq: before.as_ref().map_or(from, |gap| gap.from_seq),
        to_seq: before.map_or(to, |gap| gap.to_seq.max(to)),
    })
}

/// Tells a hook of a gap, which ends with that; `false` if there was no room for that either.
fn dispatch_gap<S: Store>(w: &mut Work<'_, S>, hook: &Hook, gap: &HookGap) -> Res<bool, S> {
    let places = (gap.from_seq.cast_unsigned(), gap.to_seq.cast_unsigned());
    let span = Span::gap(&gap.epoch, places);
    let item = item(&span, hook, &gap.canvas, &gap.epoch, w.now);
    let told = pushed(w, &item)?;
    if told {
        let place = (gap.hook.clone(), gap.canvas.clone());
        w.store.delete::<HookGap>(&place)?;
    }
    Ok(told)
}

/// The event as it is pushed.
pub(crate) fn item(span: &Span, hook: &Hook, canvas: &str, epoch: &str, now_ms: i64) -> PushItem {
    PushItem {
        queue: hook.queue(),
        partition: canvas.to_owned(),
        name: span.id.clone(),
        payload: span.text(canvas, epoch, now_ms),
        ..PushItem::default()
    }
}

/// A canvas that changed is told of once it is quiet.
fn mark_changed<S: Store>(
    w: &mut Work<'_, S>,
    hook: &Hook,
    named: &Named,
    (from, to): (u64, u64),
) -> Res<(), S> {
    let Some(quiet) = hook.quiet.filter(|_| hook.is_about(&named.id)) else {
        return Ok(());
    };
    let hook = hook.name.clone();
    let canvas = named.id.to_string();
    let before = w.store.get::<HookChange>(&(hook.clone(), canvas.clone()))?;
    let now = w.now;
    let first_at = before.as_ref().map_or(now, |before| before.first_at);
    let due_at = (now + millis(quiet.after)).min(first_at + millis(quiet.at_the_latest));
    if let Some(before) = &before {
        let place = (before.due_at, hook.clone(), canvas.clone());
        w.store.delete::<HookDue>(&place)?;
    }
    w.store.put(&HookDue {
        at: due_at,
        hook: hook.clone(),
        canvas: canvas.clone(),
    })?;
    w.store.put(&HookChange {
        hook,
        canvas,
        epoch: named.epoch.to_string(),
        from_seq: before.map_or(from.cast_signed(), |before| before.from_seq),
        to_seq: to.cast_signed(),
        first_at,
        due_at,
    })
}
