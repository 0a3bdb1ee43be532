//! The periodic deletion, a bounded part at a time: nothing grows for ever.

mod gone;

use super::fifo::{self, Spot};
use super::finish::unbury;
use super::op::{Answer, Refusal, Sweep};
use super::options::Options;
use super::removal::{Leaving, end_mark, remove};
use super::rows::{
    Cursor, Dead, DeadIndex, Gone, Mark, Message, Named, Partition, PartitionName, Queue, Run,
};
use super::store::Store;
use super::work::{Res, Work, ends, standing};
use super::{deliveries, groups, pop, traces, unordered};
use crate::limits;
pub(super) use gone::partition_gone;

/// Rows that one sweep may delete, more or less.
const ROWS: usize = 1_000;
/// Queues and partitions that one sweep looks at.
const LOOKS: usize = 500;

/// Rows that one step of a group into its backlog stands for.
const JOINED: usize = 256;

/// One part of the round over all queues, and some of what is gone. Says where the next part begins, and whether there is more to do at once.
pub(crate) fn sweep<S: Store>(w: &mut Work<'_, S>, from: &Sweep) -> Res<Answer, S> {
    let mut rows = ROWS;
    gone::gone(w, &mut rows)?;
    if *from == Sweep::default() {
        deliveries::sweep(w, &mut rows)?;
    }
    let mut next = from.clone();
    let mut looks = LOOKS;
    while looks > 0 && rows > 0 {
        let queue: Option<Queue> = w.store.first(&(next.queue,), &(i64::MAX,))?;
        let Some(queue) = queue else {
            next = Sweep::default();
            break;
        };
        looks -= 1;
        if queue.key != next.queue || next.partition.is_empty() {
            next = Sweep {
                queue: queue.key,
                partition: String::new(),
            };
            of_queue(w, queue.key, &mut rows)?;
        }
        match partitions(w, queue.key, &next.partition, &mut looks, &mut rows)? {
            Some(partition) => next.partition = partition,
            None => {
                next = Sweep {
                    queue: queue.key + 1,
                    partition: String::new(),
                }
            }
        }
    }
    let more_gone: Option<Gone> = w.store.first(&(0,), &(i64::MAX,))?;
    let busy = rows == 0 || more_gone.is_some();
    Ok(Answer::Swept { next, busy })
}

/// Marks, notes, groups that nobody asks for, the dead that were looked at, leases that have run out.
fn of_queue<S: Store>(w: &mut Work<'_, S>, queue: i64, rows: &mut usize) -> Res<(), S> {
    for kind in ends::ALL {
        let to = (queue, kind, w.now + 1, 0);
        let marks = w
            .store
            .scan::<Mark>(&(queue, kind, i64::MIN, 0), &to, *rows)?;
        *rows -= marks.len();
        for mark in marks {
            match mark.kind {
                ends::NOTE => traces::end(w, &mark)?,
                _ => {
                    end_mark(w, &mark)?;
                }
            }
        }
    }
    let old = w.now - limits::JOB_REVIEWED_MS;
    let from = (queue, 2, i64::MIN, 0);
    let to = (queue, 2, old, 0);
    for index in w.store.scan::<DeadIndex>(&from, &to, *rows)? {
        if let Some(dead) = w.store.get::<Dead>(&(index.id,))? {
            unbury(w, &dead)?;
        }
        *rows = rows.saturating_sub(1);
    }
    let idle_ms = w
        .see_queue(queue)?
        .map_or(i64::MAX, |row| row.options.group_idle_ms);
    let mut at = 0;
    while at < w.group_count(queue)? {
        let seen_at = w.see_group_at(queue, at).map_or(0, |group| group.seen_at);
        if w.now.saturating_sub(seen_at) > idle_ms {
            groups::end(w, queue, at)?;
            continue;
        }
        let settled = pop::settle(w, queue, at)?;
        *rows = rows.saturating_sub(settled);
        // So its numbers are right though it has enough to do with the partitions that it knows.
        while *rows > JOINED && groups::join(w, queue, at)? {
            *rows -= JOINED;
        }
        at += 1;
    }
    Ok(())
}

/// Partitions of a queue from `after` on: what their retention ends, and those that are empty. Gives the last one, if there are more.
fn partitions<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    after: &str,
    looks: &mut usize,
    rows: &mut usize,
) -> Res<Option<String>, S> {
    let from = if after.is_empty() {
        (queue, String::new())
    } else {
        (queue, format!("{after}\0"))
    };
    let limit = (*looks).min(*rows);
    let names = w
        .store
        .scan::<PartitionName>(&from, &(queue + 1, String::new()), limit)?;
    let more = names.len() == limit;
    let mut last = after.to_owned();
    for name in names {
        *looks = looks.saturating_sub(1);
        last.clone_from(&name.name);
        let Some(row) = w.see_partition(name.key)?.cloned() else {
            continue;
        };
        let Some(queue_row) = w.see_queue(queue)? else {
            return Ok(None);
        };
        let options = queue_row.options;
        let cleared = queue_row.cleared;
        if row.key < cleared {
            continue;
        }
        let unused = row.messages == 0 && w.now - row.used_at > limits::JOB_EMPTY_MS;
        if unused && !remembers(w, row.key, rows)? {
            remove_empty(w, &row)?;
            *rows = rows.saturating_sub(4);
        } else if row.messages > 0 {
            old_messages(w, &row, &options, rows)?;
        }
        if *rows == 0 {
            return Ok(Some(last));
        }
    }
    Ok(more.then_some(last))
}

/// Names of an empty partition that are looked at.
const NAMES: usize = 64;

/// Whether an empty partition knows the name of a message that was completed: a push of that name is a duplicate for a
/// while. Names of messages that are gone were left behind by an older version, and go.
fn remembers<S: Store>(w: &mut Work<'_, S>, partition: i64, rows: &mut usize) -> Res<bool, S> {
    let from = (partition, [0; 16]);
    let names = w
        .store
        .scan::<Named>(&from, &(partition + 1, [0; 16]), NAMES)?;
    let run: Option<Run> = w.store.first(&(partition, 0), &(partition + 1, 0))?;
    let mut remembers = run.is_some() || names.len() == NAMES;
    for named in names {
        if named.seq == 0 {
            remembers = true;
            continue;
        }
        w.store.delete::<Named>(&(partition, named.digest))?;
        *rows = rows.saturating_sub(1);
    }
    Ok(remembers)
}

/// Nothing is in it, and nobody would miss it.
fn remove_empty<S: Store>(w: &mut Work<'_, S>, row: &Partition) -> Res<(), S> {
    let from = (row.key, 0);
    let to = (row.key + 1, 0);
    for cursor in w.store.scan::<Cursor>(&from, &to, limits::JOB_GROUPS)? {
        groups::remove_cursor(w, &cursor, ROWS)?;
    }
    w.remove_partition(row.key)?;
    if let Some(queue) = w.queue(row.queue)? {
        queue.partitions -= 1;
    }
    Ok(())
}

/// Messages at the begin of a partition whose retention has ended, or who have waited too long, unless they are leased.
fn old_messages<S: Store>(
    w: &mut Work<'_, S>,
    row: &Partition,
    options: &Options,
    rows: &mut usize,
) -> Res<(), S> {
    if options.retention_ms == 0 && options.max_wait_ms == 0 {
        return Ok(());
    }
    let now = w.now;
    let old = |message: &Message| {
        let age = now - message.created_at;
        (options.retention_ms > 0 && age >= options.retention_ms)
            || (options.max_wait_ms > 0 && age >= options.max_wait_ms)
    };
    let first: Option<Message> = w.store.first(&(row.key, 0), &(row.key + 1, 0))?;
    if !first.as_ref().is_some_and(old) {
        return Ok(());
    }
    for at in 0..w.group_count(row.queue)? {
        let Some(grp) = w.see_group_at(row.queue, at).map(|group| group.key) else {
            continue;
        };
        let spot = Spot {
            queue: row.queue,
            at,
            grp,
            partition: row.key,
        };
        drop_old(w, spot, options, rows)?;
    }
    if w.group_count(row.queue)? == 0 && options.retention_ms > 0 {
        // Nobody reads it; its messages go all the same.
        let messages =
            w.store
                .scan::<Message>(&(row.key, 0), &(row.key + 1, 0), (*rows).min(64))?;
        for message in messages.iter().filter(|message| old(message)) {
            remove(w, row.queue, row.key, &Leaving::from(message), false)?;
            *rows = rows.saturating_sub(1);
        }
    }
    Ok(())
}

/// A pop that takes nothing: what is past goes on its way.
fn drop_old<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    options: &Options,
    rows: &mut usize,
) -> Res<(), S> {
    let Some(cursor) = w.see_cursor(spot.partition, spot.grp)?.cloned() else {
        return Ok(());
    };
    if options.fifo {
        if cursor.state != standing::LEASED {
            let passed = fifo::pass_old(w, spot, options)?;
            *rows = rows.saturating_sub(passed);
            fifo::restand(w, spot)?;
        }
        return Ok(());
    }
    let passed = unordered::pass_old(w, spot, options, (*rows).min(256))?;
    *rows = rows.saturating_sub(passed);
    unordered::restand(w, spot)
}

/// Too many deletions are still on their way for one more: each costs a walk over its queue's partitions.
pub(crate) fn backlog<S: Store>(w: &Work<'_, S>) -> Res<Option<Refusal>, S> {
    let waiting: Vec<Gone> = w.store.scan(&(0,), &(i64::MAX,), limits::JOB_DISCARDS)?;
    Ok((waiting.len() >= limits::JOB_DISCARDS).then(|| {
        Refusal::full(format!(
            "{} deletions, seeks and subscriptions are still being cleaned up: that is the most; try again in a second",
            limits::JOB_DISCARDS
        ))
    }))
}
