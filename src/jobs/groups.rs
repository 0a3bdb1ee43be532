//! Consumer groups: where they begin, which earlier messages they get, and how they end.

use std::ops::ControlFlow;

use super::fifo::{self, Spot};
use super::op::{Refusal, Start};
use super::options::Options;
use super::removal::{self, Leaving, remove};
use super::rows::{Cursor, Gone, Group, Message, PartitionName, Ready};
use super::store::{Order, Store};
use super::work::{Res, Work, check_name, kind, standing};
use super::{finish, unordered};
use crate::limits;

/// Partitions whose backlog a group takes in at once.
const JOIN_PARTITIONS: usize = 256;
/// Messages of a queue without an order that it takes in at once.
const JOIN_MESSAGES: usize = 1_000;
/// Messages of a partition in order that it counts one by one as it comes to it, and bytes of all that it counts at once.
const COUNTED: usize = 1_000;
const COUNTED_BYTES: usize = 2 * 1024 * 1024;
/// How old a group's last sign of life may get before it is written anew.
const SEEN_EVERY_MS: i64 = 30_000;

/// The group of that name; who comes for the first time begins as is said.
pub(crate) fn enter<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    name: &str,
    start: Start,
) -> Res<Result<usize, Refusal>, S> {
    if let Some(at) = w.group_named(queue, name)? {
        let now = w.now;
        if w.see_group_at(queue, at)
            .is_some_and(|group| now - group.seen_at >= SEEN_EVERY_MS)
            && let Some(group) = w.group_at(queue, at)
        {
            group.seen_at = now;
        }
        return Ok(Ok(at));
    }
    if let Err(refusal) = check_name("consumerGroup", name) {
        return Ok(Err(refusal));
    }
    if w.group_count(queue)? >= limits::JOB_GROUPS {
        return Ok(Err(Refusal::full(format!(
            "the queue has {} consumer groups already: that is the most; delete one",
            limits::JOB_GROUPS
        ))));
    }
    let at = begin(w, queue, name, start)?;
    Ok(Ok(at))
}

/// A group begins, anew if there is one of that name. The old one's rows are swept away bit by bit.
pub(crate) fn begin<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    name: &str,
    start: Start,
) -> Res<usize, S> {
    let now = w.now;
    let old = w.group_named(queue, name)?;
    let old = old.and_then(|at| w.see_group_at(queue, at).cloned());
    if let Some(old) = &old {
        discard(w, queue, old.key)?;
    }
    let key = w.next_id()?;
    let (mode, from) = match start {
        Start::All => (0, 0),
        Start::New => (1, now),
        Start::From(at) => (2, at),
    };
    let partitions = w.see_queue(queue)?.map_or(0, |row| row.partitions);
    let joined = mode == 1 || partitions == 0;
    w.set_group(Group {
        queue,
        name: name.to_owned(),
        key,
        mode,
        start: from,
        join_after: (!joined).then(String::new),
        created_at: old.as_ref().map_or(now, |old| old.created_at),
        seen_at: now,
        waiting: 0,
        out: 0,
        delivered: old.as_ref().map_or(0, |old| old.delivered),
        completed: old.as_ref().map_or(0, |old| old.completed),
    })
}

/// Takes in the next part of what was there before the group. Says whether there may be more.
pub(crate) fn join<S: Store>(w: &mut Work<'_, S>, queue: i64, at: usize) -> Res<bool, S> {
    let after = w
        .see_group_at(queue, at)
        .and_then(|group| group.join_after.clone());
    let Some(after) = after else {
        return Ok(false);
    };
    // A name just behind that one.
    let from = (queue, format!("{after}\0"));
    let from = if after.is_empty() {
        (queue, String::new())
    } else {
        from
    };
    let to = (queue + 1, String::new());
    let names = w.store.scan::<PartitionName>(&from, &to, JOIN_PARTITIONS)?;
    let all = names.len() < JOIN_PARTITIONS;
    let cleared = w.see_queue(queue)?.map_or(0, |row| row.cleared);
    let mut counts = Counts::new();
    for name in names {
        if counts.left == 0 {
            return Ok(true);
        }
        if name.key < cleared {
            continue;
        }
        if !take_in_partition(w, queue, at, name.key, &mut counts)? {
            return Ok(true);
        }
        if let Some(group) = w.group_at(queue, at) {
            group.join_after = Some(name.name);
        }
    }
    if all && let Some(group) = w.group_at(queue, at) {
        group.join_after = None;
    }
    Ok(!all)
}

/// What may be counted of messages that a group finds in partitions in order.
struct Counts {
    /// Messages, of all partitions.
    left: usize,
    /// Bytes of their payloads.
    bytes: usize,
}

impl Counts {
    fn new() -> Self {
        Self {
            left: 2 * COUNTED,
            bytes: COUNTED_BYTES,
        }
    }

    /// Messages from that place on that are the group's. `most` if there are more than are counted one by one: then it
    /// may be too high, by what is done already behind others, or was replayed to another group.
    fn of<S: Store>(
        &mut self,
        w: &Work<'_, S>,
        from: (i64, i64),
        grp: i64,
        most: i64,
    ) -> Res<i64, S> {
        let to = (from.0 + 1, 0);
        let mut seen = 0;
        let mut theirs = 0;
        let limit = COUNTED.min(self.left) + 1;
        w.store
            .each::<Message>(&from, &to, Order::Up, limit, &mut |message| {
                seen += 1;
                theirs += i64::from(message.only == 0 || message.only == grp);
                self.bytes = self.bytes.saturating_sub(message.payload.len());
                match self.bytes {
                    0 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            })?;
        let all = seen < limit && self.bytes > 0;
        self.left = match self.bytes {
            0 => 0,
            _ => self.left.saturating_sub(seen),
        };
        Ok(if all { theirs } else { most })
    }
}

/// Takes in what is in a partition. Says whether that is all of it.
pub(crate) fn join_partition<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    at: usize,
    partition: i64,
) -> Res<bool, S> {
    take_in_partition(w, queue, at, partition, &mut Counts::new())
}

fn take_in_partition<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    at: usize,
    partition: i64,
    counts: &mut Counts,
) -> Res<bool, S> {
    let Some(group) = w.see_group_at(queue, at).cloned() else {
        return Ok(true);
    };
    let Some(row) = w.see_partition(partition)?.cloned() else {
        return Ok(true);
    };
    let fifo = w.see_queue(queue)?.is_some_and(|row| row.options.fifo);
    let grp = group.key;
    if w.see_cursor(partition, grp)?.is_none() {
        let next = match group.mode {
            0 => first_seq(w, partition)?.unwrap_or(row.next_seq),
            1 => row.next_seq,
            _ => since(w, partition, group.start, row.next_seq)?,
        };
        w.add_cursor(queue, partition, grp, next)?;
        if let Some(cursor) = w.cursor(partition, grp)? {
            cursor.upto = row.next_seq;
        }
        let most = (row.next_seq - next).min(row.messages);
        if fifo && most > 0 {
            let there = counts.of(w, (partition, next), grp, most)?;
            if let Some(group) = w.group_at(queue, at) {
                group.waiting += there;
            }
        }
    }
    let spot = Spot {
        queue,
        at,
        grp,
        partition,
    };
    if fifo {
        if w.see_cursor(partition, grp)?
            .is_some_and(|cursor| cursor.state == standing::IDLE)
        {
            fifo::restand(w, spot)?;
        }
        return Ok(true);
    }
    take_in(w, spot)
}

/// The messages of a queue without an order, of which each needs a row.
fn take_in<S: Store>(w: &mut Work<'_, S>, spot: Spot) -> Res<bool, S> {
    let partition = spot.partition;
    let grp = spot.grp;
    let Some(cursor) = w.see_cursor(partition, grp)?.cloned() else {
        return Ok(true);
    };
    let from = (partition, cursor.next);
    let to = (partition, cursor.upto);
    let messages = w.store.scan::<Message>(&from, &to, JOIN_MESSAGES)?;
    let all = messages.len() < JOIN_MESSAGES;
    let options = w
        .see_queue(spot.queue)?
        .map_or_else(Options::default, |row| row.options);
    let mut next = cursor.upto;
    let mut count = 0;
    for message in &messages {
        if message.only != 0 && message.only != grp {
            continue;
        }
        count += 1;
        let due = fifo::due_of(&options, message.created_at);
        let place = (partition, grp, message.seq);
        unordered::arrived(w, place, message.created_at, message.priority, due)?;
    }
    if !all {
        next = messages.last().map_or(next, |message| message.seq + 1);
    }
    if let Some(cursor) = w.cursor(partition, grp)? {
        cursor.next = next;
    }
    if let Some(group) = w.group_at(spot.queue, spot.at) {
        group.waiting += count;
    }
    unordered::restand(w, spot)?;
    Ok(all)
}

fn first_seq<S: Store>(w: &Work<'_, S>, partition: i64) -> Res<Option<i64>, S> {
    let first: Option<Message> = w.store.first(&(partition, 0), &(partition + 1, 0))?;
    Ok(first.map(|message| message.seq))
}

/// The first place of a message that came at `at` or later: times only grow within a partition, so it is found by halving.
fn since<S: Store>(w: &Work<'_, S>, partition: i64, at: i64, end: i64) -> Res<i64, S> {
    let mut low = 0;
    let mut high = end;
    while low < high {
        let middle = low + (high - low) / 2;
        let message: Option<Message> = w.store.first(&(partition, middle), &(partition, high))?;
        match message {
            Some(message) if message.created_at < at => low = message.seq + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// The group's cursors and states go bit by bit.
fn discard<S: Store>(w: &mut Work<'_, S>, queue: i64, grp: i64) -> Res<(), S> {
    let n = w.next_id()?;
    w.store.put(&Gone {
        n,
        kind: 2,
        key: grp,
        other: queue,
        after: String::new(),
    })
}

/// The group ends. What only it has kept goes with the sweeps.
pub(crate) fn end<S: Store>(w: &mut Work<'_, S>, queue: i64, at: usize) -> Res<(), S> {
    if let Some(key) = w.see_group_at(queue, at).map(|group| group.key) {
        discard(w, queue, key)?;
        w.remove_group(queue, at)?;
    }
    Ok(())
}

/// Removes a cursor that belongs to no group any more, with a part of its rows; says whether that was all.
pub(crate) fn remove_cursor<S: Store>(
    w: &mut Work<'_, S>,
    cursor: &Cursor,
    limit: usize,
) -> Res<bool, S> {
    use super::rows::{Lease, State};
    let partition = cursor.partition;
    let grp = cursor.grp;
    let from = (partition, grp, 0);
    let to = (partition, grp + 1, 0);
    let states = w.store.scan::<State>(&from, &to, limit)?;
    let leased = |state: &&State| state.kind == kind::LEASED;
    let out = states.iter().filter(leased).count();
    for state in &states {
        if let Some(lease) = state.lease {
            w.store
                .delete::<Lease>(&(lease, partition, grp, state.seq))?;
        }
        w.store.delete::<State>(&(partition, grp, state.seq))?;
    }
    let from = (partition, grp, i64::MIN, i64::MIN, 0);
    let to = (partition, grp + 1, i64::MIN, i64::MIN, 0);
    let ready = w.store.scan::<Ready>(&from, &to, limit)?;
    for row in &ready {
        w.store
            .delete::<Ready>(&(partition, grp, row.kind, row.at, row.seq))?;
    }
    // A group that is still there has lost them with their partition.
    lost(w, cursor.queue, grp, (ready.len(), out))?;
    if states.len() == limit || ready.len() == limit {
        return Ok(false);
    }
    if let Some(lease) = cursor.lease {
        w.store.delete::<Lease>(&(lease, partition, grp, 0))?;
    }
    w.remove_cursor(partition, grp)?;
    Ok(true)
}

/// The group waits for so many messages less, and has leased so many less: their partition was cleared.
pub(crate) fn lost<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    grp: i64,
    (waiting, out): (usize, usize),
) -> Res<(), S> {
    // Groups of a queue that was deleted go as they are.
    if waiting + out > 0
        && w.see_queue(queue)?.is_some()
        && let Some(at) = w.group_keyed(queue, grp)?
        && let Some(group) = w.group_at(queue, at)
    {
        group.waiting -= i64::try_from(waiting).unwrap_or(0);
        group.out -= i64::try_from(out).unwrap_or(0);
    }
    Ok(())
}

/// After the group `ended`: messages of a partition that no other needs and that are not kept go, from the place `from` on.
/// Looks at up to `limit`, and gives the place to go on from if there are more.
pub(crate) fn trim<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    (partition, ended): (i64, i64),
    from: i64,
    limit: usize,
) -> Res<Option<i64>, S> {
    // Without any group the rest waits for those to come.
    let groups = w.group_count(queue)?;
    let kept = w.see_queue(queue)?.is_some_and(|row| row.kept > 0);
    let to = (partition + 1, 0);
    let messages = w.store.scan::<Message>(&(partition, from), &to, limit)?;
    for message in &messages {
        let leaving = Leaving::from(message);
        let stays = groups == 0
            || finish::needed(w, queue, ended, partition, &leaving)?
            || (kept && removal::is_kept(w, (partition, message.seq))?);
        if message.only == ended || !stays {
            remove(w, queue, partition, &leaving, true)?;
        }
    }
    let more = messages.last().filter(|_| messages.len() == limit);
    Ok(more.map(|last| last.seq + 1))
}
