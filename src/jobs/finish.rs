//! The end of a message for one group, and for all.

use super::op::Refusal;
use super::removal::{self, Leaving};
use super::rows::{Dead, DeadIndex, Message, Ready, State};
use super::store::Store;
use super::work::{Res, Work, kind};

/// What a dead message takes beside its payload.
const DEAD_OVERHEAD: usize = 200;

/// How a message ended for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Died,
    Dropped,
}

/// The messages are done for the group at `at` of its queue; those that nobody else needs go. They are all that is there from the first
/// of them to the last, in their order. The group's own rows are the caller's.
pub(crate) fn finish<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    at: usize,
    partition: i64,
    messages: &[Leaving],
    end: End,
) -> Res<(), S> {
    let count = i64::try_from(messages.len()).unwrap_or(0);
    let mut own = 0;
    if let Some(group) = w.group_at(queue, at) {
        group.waiting -= count;
        own = group.key;
        if end == End::Completed {
            group.completed += count;
        }
    }
    let mut kept_ms = 0;
    if let Some(row) = w.queue(queue)? {
        match end {
            End::Completed => row.completed += count,
            End::Died => {}
            End::Dropped => row.dropped += count,
        }
        kept_ms = row.options.completed_retention_ms;
    }
    let told = messages.len() as u64;
    w.count(queue, |counts| match end {
        End::Completed => counts.completed += told,
        End::Died => counts.dead += told,
        End::Dropped => counts.dropped += told,
    })?;
    let completed = end == End::Completed;
    let mut free = vec![false; messages.len()];
    for (message, free) in messages.iter().zip(&mut free) {
        *free = !needed(w, queue, own, partition, message)?;
        if *free && kept_ms > 0 && completed {
            *free = false;
            removal::keep(w, queue, partition, message.seq, w.now + kept_ms)?;
        }
    }
    let mut from = 0;
    for same in free.chunk_by(|a, b| a == b) {
        let run = &messages[from..from + same.len()];
        from += same.len();
        if same[0] {
            removal::remove_run(w, queue, partition, run, completed)?;
        }
    }
    Ok(())
}

/// Whether a group beside `own` has the message still before it.
pub(crate) fn needed<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    own: i64,
    partition: i64,
    message: &Leaving,
) -> Res<bool, S> {
    let count = w.group_count(queue)?;
    for at in 0..count {
        let Some(group) = w.see_group_at(queue, at) else {
            continue;
        };
        let theirs = message.only == 0 || message.only == group.key;
        if theirs && group.key != own && has_before_it(w, queue, at, partition, message.seq)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the group at `at` has yet to complete the message.
pub(crate) fn has_before_it<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    at: usize,
    partition: i64,
    seq: i64,
) -> Res<bool, S> {
    let Some(group) = w.see_group_at(queue, at) else {
        return Ok(false);
    };
    let grp = group.key;
    let joined = group.join_after.clone();
    let fifo = w.see_queue(queue)?.is_some_and(|row| row.options.fifo);
    let Some(cursor) = w.see_cursor(partition, grp)?.cloned() else {
        let name = w.see_partition(partition)?.map(|row| row.name.clone());
        return Ok(joined.is_some_and(|after| name.is_some_and(|name| name > after)));
    };
    let state = || w.store.get::<State>(&(partition, grp, seq));
    if fifo {
        let done = cursor.states > 0 && state()?.is_some_and(|state| state.kind == kind::DONE);
        return Ok(cursor.next <= seq && !done);
    }
    if (cursor.next..cursor.upto).contains(&seq) || state()?.is_some() {
        return Ok(true);
    }
    let message: Option<Message> = w.store.get(&(partition, seq))?;
    let Some(message) = message else {
        return Ok(false);
    };
    let rank = super::options::Options::rank(message.created_at, message.priority);
    let ready: Option<Ready> = w.store.get(&(partition, grp, kind::PENDING, rank, seq))?;
    Ok(ready.is_some())
}

/// Why a message goes to the dead, and after how many attempts.
pub(crate) struct Death<'a> {
    pub(crate) attempts: i64,
    pub(crate) error: &'a str,
}

/// Keeps the message among the dead, for the group at `at`. That it is done there is the caller's to say.
pub(crate) fn bury<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    at: usize,
    message: &Message,
    death: &Death<'_>,
) -> Res<i64, S> {
    let id = w.next_id()?;
    let now = w.now;
    let grp = w
        .see_group_at(queue, at)
        .map(|group| group.name.clone())
        .unwrap_or_default();
    let partition_name = w
        .see_partition(message.partition)?
        .map(|row| row.name.clone())
        .unwrap_or_default();
    let error: String = death.error.chars().take(4_096).collect();
    let dead = Dead {
        id,
        queue,
        partition: message.partition,
        partition_name,
        grp,
        message: message.id,
        created_at: message.created_at,
        died_at: now,
        attempts: death.attempts,
        priority: message.priority,
        reviewed_at: None,
        error,
        trace: message.trace.clone(),
        name: message.name.clone(),
        payload: message.payload.clone(),
    };
    w.store.put(&dead)?;
    for kind in [0, 1] {
        w.store.put(&DeadIndex {
            queue,
            kind,
            at: now,
            id,
        })?;
    }
    if let Some(row) = w.queue(queue)? {
        row.dead += 1;
    }
    w.add_other_bytes(queue, dead_bytes(&dead))?;
    Ok(id)
}

pub(crate) fn dead_bytes(dead: &Dead) -> i64 {
    let bytes = dead.payload.len() + dead.name.len() + dead.error.len() + DEAD_OVERHEAD;
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Removes a dead message's rows.
pub(crate) fn unbury<S: Store>(w: &mut Work<'_, S>, dead: &Dead) -> Res<(), S> {
    let queue = dead.queue;
    let id = dead.id;
    w.store.delete::<Dead>(&(id,))?;
    w.store.delete::<DeadIndex>(&(queue, 0, dead.died_at, id))?;
    w.store.delete::<DeadIndex>(&review_place(dead))?;
    if let Some(row) = w.queue(queue)? {
        row.dead -= 1;
    }
    w.add_other_bytes(queue, -dead_bytes(dead))
}

/// Where the dead message stands in the index of those that are reviewed, or are not.
pub(crate) fn review_place(dead: &Dead) -> (i64, i64, i64, i64) {
    match dead.reviewed_at {
        Some(at) => (dead.queue, 2, at, dead.id),
        None => (dead.queue, 1, dead.died_at, dead.id),
    }
}

/// What is said of a message that nobody can find.
pub(crate) fn no_message(name: &str) -> Refusal {
    Refusal::not_found(format!("there is no message {name} in this partition"))
}
