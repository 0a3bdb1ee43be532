//! Pushing: each item is queued, a duplicate, or refused by itself.

use super::fifo::due_of;
use super::op::{DEFAULT_PARTITION, PushItem, Pushed, Queued, Refusal};
use super::options::MAX_PRIORITY;
use super::removal::{self, Known, known};
use super::rows::{Message, Named, Partition};
use super::store::Store;
use super::work::{Res, Work, check_name, digest, placed, standing, tag};
use super::{manage, unordered};
use crate::limits;

/// What a message takes beside its payload and its name: its rows' other columns, and the pages' share.
const MESSAGE_OVERHEAD: usize = 96;
/// Bytes of a name that the relay makes.
const NAME_LENGTH: usize = 36;

pub(crate) fn push<S: Store>(w: &mut Work<'_, S>, items: &[PushItem]) -> Res<Vec<Pushed>, S> {
    let mut pushed = Vec::with_capacity(items.len());
    for item in items {
        pushed.push(match push_one(w, item)? {
            Ok(done) => done,
            Err(refusal) => Pushed::Failed {
                name: item.name.clone(),
                refusal,
            },
        });
    }
    Ok(pushed)
}

pub(crate) fn push_one<S: Store>(
    w: &mut Work<'_, S>,
    item: &PushItem,
) -> Res<Result<Pushed, Refusal>, S> {
    if let Err(refusal) = check(item) {
        return Ok(Err(refusal));
    }
    let queue = match manage::queue_for(w, &item.queue)? {
        Ok(queue) => queue,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(row) = w.see_queue(queue)? else {
        return Ok(Err(Refusal::not_found("the queue is gone")));
    };
    let options = row.options;
    if item.priority.is_some() && options.fifo {
        let message =
            "priority is for queues with options.fifo false: in this one messages keep their order";
        return Ok(Err(Refusal::bad(message)));
    }
    let partition_name = name_or(&item.partition, DEFAULT_PARTITION);
    let there = w.partition_key(queue, partition_name)?;
    // A name that the relay makes is new.
    let given = (!item.name.is_empty()).then_some(item.name.as_str());
    if let Some(partition) = there
        && let Some(name) = given
        && let Some((id, seq)) = duplicate(w, partition, name)?
    {
        w.count(queue, |counts| counts.duplicates += 1)?;
        let queued = queued(w, queue, partition, name.to_owned(), id, seq)?;
        return Ok(Ok(Pushed::Duplicate(queued)));
    }
    let trace = item.trace.as_deref();
    let bytes = size(&item.payload, given.map_or(NAME_LENGTH, str::len), trace);
    if let Err(refusal) = room(w, queue, bytes)? {
        return Ok(Err(refusal));
    }
    let (partition, fresh) = match there {
        Some(partition) => (partition, false),
        None => match add_partition(w, queue, partition_name)? {
            Ok(partition) => (partition, true),
            Err(refusal) => return Ok(Err(refusal)),
        },
    };
    let priority = item.priority.unwrap_or(options.priority);
    let (name, id, seq) = insert(
        w,
        queue,
        partition,
        New {
            name: given,
            digest: given.map(digest),
            payload: &item.payload,
            trace: item.trace.clone(),
            priority,
            only: 0,
            bytes,
        },
    )?;
    let due = due_of(&options, w.now);
    for at in 0..w.group_count(queue)? {
        arrived(w, queue, at, partition, fresh, seq, priority, due)?;
    }
    w.count(queue, |counts| counts.pushed += 1)?;
    if w.group_count(queue)? == 0 {
        // No group knows it yet; whoever waits becomes one.
        w.wake(super::work::hash(&item.queue), 0);
    }
    let queued = queued(w, queue, partition, name, id, Some(seq))?;
    Ok(Ok(Pushed::Queued(queued)))
}

/// The number of the message that has the name, if it can't be pushed again yet, and its place while it is there.
fn duplicate<S: Store>(
    w: &mut Work<'_, S>,
    partition: i64,
    name: &str,
) -> Res<Option<(i64, Option<i64>)>, S> {
    Ok(match known(w, partition, name)? {
        Some(Known::There(message)) => Some((message.id, Some(message.seq))),
        Some(Known::Gone { id, until }) if until > w.now => Some((id, None)),
        _ => None,
    })
}

/// A message that is about to be there.
pub(crate) struct New<'a> {
    /// `None`: it gets one.
    pub(crate) name: Option<&'a str>,
    /// What it is found by, if its name does not say its place.
    pub(crate) digest: Option<[u8; 16]>,
    pub(crate) payload: &'a str,
    pub(crate) trace: Option<String>,
    pub(crate) priority: i64,
    pub(crate) only: i64,
    pub(crate) bytes: i64,
}

/// Puts the message into its partition; gives its name, number and place.
pub(crate) fn insert<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    partition: i64,
    new: New<'_>,
) -> Res<(String, i64, i64), S> {
    let id = w.next_id()?;
    let now = w.now;
    let mut seq = 1;
    if let Some(row) = w.partition(partition)? {
        seq = row.next_seq;
        row.next_seq += 1;
        row.messages += 1;
        row.bytes += new.bytes;
        row.used_at = now;
    }
    let name = match new.name {
        Some(name) => name.to_owned(),
        None => w.fresh_name(seq),
    };
    let says_place = new.only == 0 && placed(&name).is_some_and(|placed| placed.seq == seq);
    let message = Message {
        partition,
        seq,
        id,
        created_at: now,
        priority: new.priority,
        only: new.only,
        trace: new.trace,
        name,
        payload: new.payload.to_owned(),
    };
    w.store.put(&message)?;
    if !says_place {
        let digest = new.digest.unwrap_or_else(|| digest(&message.name));
        w.store.put(&Named {
            partition,
            digest,
            seq,
            bytes: new.bytes,
            id,
            until: 0,
        })?;
    }
    if let Some(row) = w.queue(queue)? {
        row.messages += 1;
        row.pushed += i64::from(new.only == 0);
    }
    w.add_bytes(queue, new.bytes)?;
    Ok((message.name, id, seq))
}

/// A group hears of a message, unless it has yet to take in what was there before.
#[expect(clippy::too_many_arguments, reason = "all of it is one message's")]
pub(crate) fn arrived<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    at: usize,
    partition: i64,
    fresh: bool,
    seq: i64,
    priority: i64,
    due: i64,
) -> Res<(), S> {
    let Some(group) = w.see_group_at(queue, at) else {
        return Ok(());
    };
    let grp = group.key;
    let behind = match &group.join_after {
        _ if fresh => false,
        None => false,
        Some(after) => {
            let after = after.clone();
            w.see_partition(partition)?
                .is_some_and(|row| row.name > after)
        }
    };
    if w.see_cursor(partition, grp)?.is_none() {
        if behind {
            return Ok(());
        }
        w.add_cursor(queue, partition, grp, seq)?;
    }
    if let Some(group) = w.group_at(queue, at) {
        group.waiting += 1;
    }
    let fifo = w.see_queue(queue)?.is_some_and(|row| row.options.fifo);
    if !fifo {
        let now = w.now;
        return unordered::arrived(w, (partition, grp, seq), now, priority, due);
    }
    if let Some(cursor) = w.cursor(partition, grp)?
        && cursor.state == standing::IDLE
    {
        cursor.next = cursor.next.max(seq);
        let state = if due > w.now {
            standing::WAITING
        } else {
            standing::READY
        };
        w.stand(partition, grp, state, due)?;
    }
    Ok(())
}

fn check(item: &PushItem) -> Result<(), Refusal> {
    check_name("queue", &item.queue)?;
    if !item.partition.is_empty() {
        check_name("partition", &item.partition)?;
    }
    if !item.name.is_empty() {
        check_name("transactionId", &item.name)?;
    }
    if let Some(trace) = &item.trace {
        check_name("traceId", trace)?;
    }
    if item.payload.len() > limits::JOB_PAYLOAD_BYTES {
        return Err(Refusal::new(
            413,
            "too-large",
            format!("payload is at most {} bytes", limits::JOB_PAYLOAD_BYTES),
        ));
    }
    match item.priority {
        Some(priority) if !(-MAX_PRIORITY..=MAX_PRIORITY).contains(&priority) => {
            Err(Refusal::bad(format!(
                "priority is a whole number from {} to {MAX_PRIORITY}",
                -MAX_PRIORITY
            )))
        }
        _ => Ok(()),
    }
}

fn add_partition<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    name: &str,
) -> Res<Result<i64, Refusal>, S> {
    let most = limits::JOB_PARTITIONS;
    match w.queue(queue)? {
        Some(row) if row.partitions < most => row.partitions += 1,
        _ => {
            return Ok(Err(Refusal::full(format!(
                "the queue has {most} partitions already: that is the most"
            ))));
        }
    }
    let key = w.next_id()?;
    let tag = tag((w.random)());
    let now = w.now;
    manage::cleared_name(w, queue, name)?;
    w.add_partition(Partition {
        key,
        queue,
        name: name.to_owned(),
        tag,
        next_seq: 1,
        messages: 0,
        bytes: 0,
        used_at: now,
    })?;
    Ok(Ok(key))
}

fn name_or<'a>(name: &'a str, default: &'a str) -> &'a str {
    if name.is_empty() { default } else { name }
}

/// What the message takes.
pub(crate) fn size(payload: &str, name: usize, trace: Option<&str>) -> i64 {
    let trace = trace.map_or(0, str::len);
    i64::try_from(payload.len() + name + trace + MESSAGE_OVERHEAD).unwrap_or(i64::MAX)
}

/// The same of one that is there.
pub(crate) fn bytes_of(message: &Message) -> i64 {
    let trace = message.trace.as_deref();
    size(&message.payload, message.name.len(), trace)
}

/// Whether there is room for so many bytes.
pub(crate) fn room<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    bytes: i64,
) -> Res<Result<(), Refusal>, S> {
    // Marks are worth less than a message: the oldest make room.
    let most = w.limits.queue_bytes;
    if w.see_queue(queue)?
        .is_some_and(|row| row.bytes + bytes > most)
    {
        removal::drop_marks(w, queue, bytes)?;
    }
    let Some(row) = w.see_queue(queue)? else {
        return Ok(Ok(()));
    };
    let waiting = row.messages - row.kept;
    let max_size = row.options.max_size;
    let full = row.bytes + bytes > most;
    if max_size > 0 && waiting >= max_size {
        return Ok(Err(Refusal::full(format!(
            "the queue holds {waiting} messages: options.maxSize is {max_size}"
        ))));
    }
    if full {
        return Ok(Err(Refusal::full(format!(
            "the queue's messages would take more than {most} bytes (--jobs-queue-bytes)"
        ))));
    }
    let all = w.limits.bytes;
    if w.totals()?.bytes + bytes > all {
        return Ok(Err(Refusal::full(format!(
            "all queues' messages would take more than {all} bytes (--jobs-bytes)"
        ))));
    }
    Ok(Ok(()))
}

fn queued<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    partition: i64,
    name: String,
    id: i64,
    position: Option<i64>,
) -> Res<Queued, S> {
    let depth = w.see_queue(queue)?.map_or(0, |row| row.messages - row.kept);
    let partition_tag = w.see_partition(partition)?.map_or(0, |row| row.tag);
    Ok(Queued {
        name,
        id,
        partition,
        partition_tag,
        position,
        depth,
    })
}

/// One more message for a single group: replayed from the dead.
pub(crate) fn arrived_for<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    at: usize,
    partition: i64,
    seq: i64,
    priority: i64,
) -> Res<(), S> {
    let now = w.now;
    arrived(w, queue, at, partition, true, seq, priority, now)
}

/// The partition of that name; a new one if there is none.
pub(crate) fn partition_for<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    name: &str,
) -> Res<Result<i64, Refusal>, S> {
    match w.partition_key(queue, name)? {
        Some(key) => Ok(Ok(key)),
        None => add_partition(w, queue, name),
    }
}
