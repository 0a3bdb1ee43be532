//! The end of a message for one group, and for all.

use super::op::Refusal;
use super::rows::{Dead, DeadIndex, Mark, Message, Named, Ready, State};
use super::store::Store;
use super::work::{Res, Work, kind};

/// What a mark takes, with its index.
pub(crate) const MARK_BYTES: i64 = 112;
/// What a dead message takes beside its payload.
const DEAD_OVERHEAD: usize = 200;

/// How a message ended for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Died,
    Dropped,
}

/// The message is done for the group at `at` of its queue; when nobody else needs it, it goes. The group's own rows are the caller's.
pub(crate) fn finish<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    at: usize,
    partition: i64,
    seq: i64,
    digest: [u8; 16],
    end: End,
) -> Res<(), S> {
    let mut own = 0;
    if let Some(group) = w.group_at(queue, at) {
        group.waiting -= 1;
        own = group.key;
        if end == End::Completed {
            group.completed += 1;
        }
    }
    if let Some(row) = w.queue(queue)? {
        match end {
            End::Completed => row.completed += 1,
            End::Died => {}
            End::Dropped => row.dropped += 1,
        }
    }
    w.count(queue, |counts| match end {
        End::Completed => counts.completed += 1,
        End::Died => counts.dead += 1,
        End::Dropped => counts.dropped += 1,
    })?;
    if needed(w, queue, own, partition, seq)? {
        return Ok(());
    }
    let kept_ms = w
        .see_queue(queue)?
        .map_or(0, |row| row.options.completed_retention_ms);
    if kept_ms > 0 && end == End::Completed {
        if let Some(row) = w.queue(queue)? {
            row.kept += 1;
        }
        let at = w.now + kept_ms;
        return add_mark(w, queue, 1, at, partition, digest);
    }
    remove(w, queue, partition, digest, end == End::Completed)
}

/// Whether a group beside `own` has the message still before it.
fn needed<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    own: i64,
    partition: i64,
    seq: i64,
) -> Res<bool, S> {
    let count = w.group_count(queue)?;
    if count <= 1 {
        return Ok(false);
    }
    let message: Option<Message> = w.store.get(&(partition, seq))?;
    let only = message.map_or(0, |message| message.only);
    for at in 0..count {
        let Some(group) = w.see_group_at(queue, at) else {
            continue;
        };
        let theirs = only == 0 || only == group.key;
        if theirs && group.key != own && has_before_it(w, queue, at, partition, seq)? {
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

/// Deletes the message. With a mark, so that who pushes it again hears that it was there.
pub(crate) fn remove<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    partition: i64,
    digest: [u8; 16],
    mark: bool,
) -> Res<(), S> {
    let Some(named) = w.store.get::<Named>(&(partition, digest))? else {
        return Ok(());
    };
    if named.seq == 0 || !w.store.delete::<Message>(&(partition, named.seq))? {
        return Ok(());
    }
    if let Some(row) = w.partition(partition)? {
        row.messages -= 1;
        row.bytes -= named.bytes;
    }
    let mut dedup_ms = 0;
    if let Some(row) = w.queue(queue)? {
        row.messages -= 1;
        dedup_ms = row.options.dedup_ms;
    }
    w.add_bytes(queue, -named.bytes)?;
    if !mark || dedup_ms == 0 {
        w.store.delete::<Named>(&(partition, digest))?;
        return Ok(());
    }
    let until = w.now + dedup_ms;
    w.store.put(&Named {
        seq: 0,
        until,
        ..named
    })?;
    add_mark(w, queue, 0, until, partition, digest)
}

fn add_mark<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    kind: i64,
    at: i64,
    partition: i64,
    digest: [u8; 16],
) -> Res<(), S> {
    let n = w.next_id()?;
    w.store.put(&Mark {
        queue,
        kind,
        at,
        n,
        partition,
        digest,
    })?;
    if let Some(row) = w.queue(queue)? {
        row.marks += 1;
    }
    w.add_bytes(queue, MARK_BYTES)
}

/// Forgets a mark, and does what was to be done at its time.
pub(crate) fn end_mark<S: Store>(w: &mut Work<'_, S>, mark: &Mark) -> Res<(), S> {
    let key = (mark.queue, mark.kind, mark.at, mark.n);
    if !w.store.delete::<Mark>(&key)? {
        return Ok(());
    }
    if let Some(row) = w.queue(mark.queue)? {
        row.marks -= 1;
    }
    w.add_bytes(mark.queue, -MARK_BYTES)?;
    let named: Option<Named> = w.store.get(&(mark.partition, mark.digest))?;
    match named {
        Some(named) if mark.kind == 0 && named.seq == 0 && named.until <= mark.at => {
            w.store.delete::<Named>(&(mark.partition, mark.digest))?;
        }
        Some(named) if mark.kind == 1 && named.seq > 0 => {
            if let Some(row) = w.queue(mark.queue)? {
                row.kept -= 1;
            }
            remove(w, mark.queue, mark.partition, mark.digest, true)?;
        }
        _ => {}
    }
    Ok(())
}

/// Forgets the oldest marks of a queue before their time, up to a thousand, until so many bytes are free.
pub(crate) fn drop_marks<S: Store>(w: &mut Work<'_, S>, queue: i64, bytes: i64) -> Res<(), S> {
    let wanted = usize::try_from(bytes / MARK_BYTES + 1).unwrap_or(usize::MAX);
    let from = (queue, 0, i64::MIN, 0);
    let to = (queue, 1, i64::MIN, 0);
    for mark in w.store.scan::<Mark>(&from, &to, wanted.min(1_000))? {
        end_mark(w, &mark)?;
    }
    Ok(())
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
