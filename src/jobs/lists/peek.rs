//! The messages that would be popped next.

use serde_json::json;

use super::page::Page;
use super::{describe, no_queue, with_data};
use crate::jobs::fifo::{self, Stop};
use crate::jobs::op::Answer;
use crate::jobs::options::Options;
use crate::jobs::rows::{Cursor, Message, Ready, State, Turn};
use crate::jobs::store::Store;
use crate::jobs::work::{Res, Work, kind, standing};
use crate::limits::JOB_PAYLOAD_BYTES;

pub(super) fn peek<S: Store>(
    w: &mut Work<'_, S>,
    queue: &str,
    partition: Option<&str>,
    group: &str,
    limit: usize,
) -> Res<Answer, S> {
    let Some(key) = w.queue_key(queue)? else {
        return Ok(no_queue(queue));
    };
    let names = partitions_by_turn(w, key, partition, group, limit)?;
    let mut page = Page::new(limit, None);
    for partition in names {
        if !page.has_room() || !page.looks(0) {
            break;
        }
        // A message more than there is room for: so it is seen that there is none.
        let room = (page.rows_left(), page.bytes_left() + JOB_PAYLOAD_BYTES);
        for (message, state) in next_of(w, key, partition, group, room)? {
            let mut row = describe(w, &message)?;
            row["retryCount"] = json!(state.as_ref().map_or(0, |state| state.attempts));
            row["errorMessage"] = json!(state.and_then(|state| state.error));
            row["consumerGroup"] = json!(group);
            page.add(with_data(&row, &message.payload));
        }
    }
    let rest = json!({"queue": queue, "consumerGroup": group});
    Ok(page.answer("messages", rest))
}

/// Partitions in the order in which a pop would come to them; of a group that has not begun, those with something in them by name.
fn partitions_by_turn<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    partition: Option<&str>,
    group: &str,
    limit: usize,
) -> Res<Vec<i64>, S> {
    if let Some(name) = partition {
        return Ok(w.partition_key(queue, name)?.into_iter().collect());
    }
    let mut found = Vec::new();
    if let Some(at) = w.group_named(queue, group)? {
        let grp = w.see_group_at(queue, at).map_or(0, |group| group.key);
        for (state, to) in [
            (standing::READY, i64::MAX),
            (standing::WAITING, w.now + 1),
            (standing::LEASED, w.now + 1),
        ] {
            let from = (queue, grp, state, i64::MIN, 0);
            let to = (queue, grp, state, to, 0);
            let turns = w.store.scan::<Turn>(&from, &to, limit)?;
            found.extend(turns.into_iter().map(|turn| turn.partition));
        }
        if w.see_group_at(queue, at)
            .is_none_or(|group| group.join_after.is_none())
        {
            return Ok(found);
        }
    }
    for name in w.partitions_of(queue, "", limit.max(100))? {
        if !found.contains(&name.key) {
            found.push(name.key);
        }
    }
    Ok(found)
}

fn next_of<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    partition: i64,
    group: &str,
    (limit, bytes): (usize, usize),
) -> Res<Vec<(Message, Option<State>)>, S> {
    let Some(options) = w.see_queue(queue)?.map(|row| row.options) else {
        return Ok(Vec::new());
    };
    let at = w.group_named(queue, group)?;
    let grp = at.and_then(|at| w.see_group_at(queue, at).map(|group| group.key));
    let cursor = match grp {
        Some(grp) => w.see_cursor(partition, grp)?.cloned(),
        None => None,
    };
    if let (Some(cursor), false) = (&cursor, options.fifo) {
        return ranked(w, cursor, &options, (limit, bytes));
    }
    let cursor = cursor.unwrap_or_else(|| beginning(partition, grp.unwrap_or(0)));
    if cursor.state == standing::LEASED && cursor.at > w.now {
        return Ok(Vec::new());
    }
    let found = fifo::look(w.store, w.now, &options, &cursor, limit, bytes)?;
    debug_assert!(!matches!(found.stop, Stop::Due(at) if at <= w.now));
    Ok(found.take)
}

fn beginning(partition: i64, grp: i64) -> Cursor {
    Cursor {
        partition,
        grp,
        queue: 0,
        state: standing::IDLE,
        at: 0,
        next: 0,
        upto: 0,
        out: 0,
        lease: None,
        leased_at: 0,
        single: false,
        states: 0,
    }
}

fn ranked<S: Store>(
    w: &mut Work<'_, S>,
    cursor: &Cursor,
    options: &Options,
    (limit, bytes): (usize, usize),
) -> Res<Vec<(Message, Option<State>)>, S> {
    let partition = cursor.partition;
    let grp = cursor.grp;
    let mut found = Vec::new();
    let past = |message: &Message| {
        options.retention_ms > 0 && w.now - message.created_at >= options.retention_ms
    };
    for (which, to) in [
        (kind::PENDING, i64::MAX),
        (kind::DELAYED, w.now + 1),
        (kind::LEASED, w.now + 1),
    ] {
        let from = (partition, grp, which, i64::MIN, 0);
        let ready = w
            .store
            .scan::<Ready>(&from, &(partition, grp, which, to, 0), limit)?;
        let mut read = 0;
        for ready in ready {
            if read > bytes {
                break;
            }
            let message: Option<Message> = w.store.get(&(partition, ready.seq))?;
            let state: Option<State> = w.store.get(&(partition, grp, ready.seq))?;
            if let Some(message) = message.filter(|message| !past(message)) {
                read += message.payload.len();
                found.push((message, state));
            }
        }
    }
    found.sort_by_key(|(message, _)| Options::rank(message.created_at, message.priority));
    found.truncate(limit);
    Ok(found)
}
