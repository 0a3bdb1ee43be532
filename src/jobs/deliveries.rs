//! The history of deliveries: each attempt of the relay to hand messages of a queue to a receiver, and how it ended. It
//! is written in the same commit as the acks that follow from the attempt.

use std::ops::ControlFlow;

use super::ack;
use super::op::{AckItem, Acked, Settle};
use super::rows::{Dead, DeadIndex, Delivery};
use super::store::{Order, Store};
use super::work::{Res, Work};
use crate::limits::{JOB_DELIVERIES, JOB_DELIVERIES_MS};

/// Characters that are kept of an error.
const MAX_ERROR_CHARS: usize = 300;
/// The youngest dead of a queue that are looked through for the one that this attempt made.
const LOOKS: usize = 8;

/// How an attempt ended.
pub(crate) mod outcome {
    /// The receiver has it.
    pub(crate) const DELIVERED: &str = "delivered";
    /// It comes again.
    pub(crate) const RETRY: &str = "retry";
    /// It was the last attempt.
    pub(crate) const DEAD: &str = "dead";
    /// Its hook was turned off, and it waits.
    pub(crate) const OFF: &str = "off";
    /// It took longer than its lease, so it counts as failed, whatever the receiver said.
    pub(crate) const LATE: &str = "late";
}

/// Does the acks of an attempt, and keeps what is to be known of it. A queue that was deleted meanwhile keeps nothing.
pub(crate) fn settle<S: Store>(w: &mut Work<'_, S>, settle: &Settle) -> Res<Vec<Acked>, S> {
    let acked = ack::ack(w, &settle.acks)?;
    let Some(queue) = w.queue_key(&settle.queue)? else {
        return Ok(acked);
    };
    let (outcome, next_at) = ended(settle, &acked);
    let dead = match (outcome, settle.acks.first()) {
        (outcome::DEAD, Some(item)) => newly_dead(w, queue, item)?,
        _ => None,
    };
    let n = last(w, queue)? + 1;
    let note = &settle.note;
    let error = note.error.as_ref();
    w.store.put(&Delivery {
        queue,
        n,
        at: note.at,
        took_ms: note.took_ms,
        name: note.name.clone(),
        partition: note.partition.clone(),
        kind: note.kind.clone(),
        messages: note.messages,
        attempt: note.attempt,
        status: note.status,
        error: error.map(|text| text.chars().take(MAX_ERROR_CHARS).collect()),
        outcome: outcome.to_owned(),
        next_at,
        dead,
    })?;
    w.store.delete::<Delivery>(&(queue, n - JOB_DELIVERIES))?;
    Ok(acked)
}

/// The outcome, and when the messages come again as far as that is known.
fn ended(settle: &Settle, acked: &[Acked]) -> (&'static str, Option<i64>) {
    let note = &settle.note;
    let mut first = None;
    for acked in acked {
        match &acked.result {
            Err(_) => return (outcome::LATE, None),
            Ok(settled) => first = first.or(Some(settled)),
        }
    }
    match first {
        Some(settled) if settled.dead => (outcome::DEAD, None),
        _ if note.error.is_none() => (outcome::DELIVERED, None),
        _ if note.off => (outcome::OFF, None),
        settled => {
            let at = settled.and_then(|settled| settled.retry_at);
            let not_before = note.pause_until.unwrap_or(i64::MIN);
            (outcome::RETRY, at.map(|at| at.max(not_before)))
        }
    }
}

/// The number among the dead that a message got a moment ago.
fn newly_dead<S: Store>(w: &Work<'_, S>, queue: i64, item: &AckItem) -> Res<Option<i64>, S> {
    let from = (queue, 0, w.now, 0);
    let to = (queue, 0, w.now, i64::MAX);
    let mut ids = Vec::new();
    w.store
        .each::<DeadIndex>(&from, &to, Order::Down, LOOKS, &mut |row| {
            ids.push(row.id);
            ControlFlow::Continue(())
        })?;
    for id in ids {
        let dead: Option<Dead> = w.store.get(&(id,))?;
        if dead.is_some_and(|dead| dead.name == item.name && dead.grp == item.group) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The latest attempt's number; 0 if there is none.
fn last<S: Store>(w: &Work<'_, S>, queue: i64) -> Res<i64, S> {
    let mut last = 0;
    let from = (queue, 0);
    let to = (queue + 1, 0);
    w.store
        .each::<Delivery>(&from, &to, Order::Down, 1, &mut |row| {
            last = row.n;
            ControlFlow::Break(())
        })?;
    Ok(last)
}

/// Forgets what is older than it is kept, and what queues had that are gone: some of it, the rest comes next time.
pub(crate) fn sweep<S: Store>(w: &mut Work<'_, S>, rows: &mut usize) -> Res<(), S> {
    let mut queue = 0;
    while *rows > 0 {
        let next: Option<Delivery> = w.store.first(&(queue, 0), &(i64::MAX, 0))?;
        let Some(first) = next else { break };
        queue = first.queue;
        let there = w.see_queue(queue)?.is_some();
        let old = |row: &Delivery| !there || row.at < w.now - JOB_DELIVERIES_MS;
        if old(&first) {
            let some = w
                .store
                .scan::<Delivery>(&(queue, 0), &(queue + 1, 0), *rows)?;
            for row in some.iter().take_while(|row| old(row)) {
                w.store.delete::<Delivery>(&(row.queue, row.n))?;
                *rows = rows.saturating_sub(1);
            }
        }
        queue += 1;
    }
    Ok(())
}
