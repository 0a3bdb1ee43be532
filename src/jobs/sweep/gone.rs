//! What was deleted or cleared as a whole goes row by row.

use crate::jobs::rows::{
    Cursor, Dead, DeadIndex, Gone, Group, Mark, Message, Named, Partition, PartitionName, Queue,
    Run, State, Trace,
};
use crate::jobs::store::Store;
use crate::jobs::work::{KEEPER, Res, Work};
use crate::jobs::{finish, groups, traces};
use crate::limits;

/// What was deleted as a whole goes row by row.
pub(super) fn gone<S: Store>(w: &mut Work<'_, S>, rows: &mut usize) -> Res<(), S> {
    while *rows > 0 {
        let first: Option<Gone> = w.store.first(&(0,), &(i64::MAX,))?;
        let Some(mut one) = first else {
            return Ok(());
        };
        let all = match one.kind {
            0 => queue_gone(w, &mut one, rows)?,
            1 => partition_gone(w, one.key, rows)?,
            2 => group_gone(w, &mut one, rows)?,
            _ => cleared_gone(w, &mut one, rows)?,
        };
        // What is read next must not be what was there before.
        w.flush()?;
        w.forget();
        if all {
            w.store.delete::<Gone>(&(one.n,))?;
        } else {
            w.store.put(&one)?;
        }
        *rows = rows.saturating_sub(1);
    }
    Ok(())
}

fn next_names<S: Store>(w: &Work<'_, S>, queue: i64, after: &str) -> Res<Vec<PartitionName>, S> {
    let from = if after.is_empty() {
        (queue, String::new())
    } else {
        (queue, format!("{after}\0"))
    };
    w.store.scan(&from, &(queue + 1, String::new()), 64)
}

fn queue_gone<S: Store>(w: &mut Work<'_, S>, one: &mut Gone, rows: &mut usize) -> Res<bool, S> {
    let queue = one.key;
    for name in next_names(w, queue, "")? {
        if !partition_gone(w, name.key, rows)? {
            return Ok(false);
        }
        w.store.delete::<PartitionName>(&(queue, name.name))?;
    }
    if !next_names(w, queue, "")?.is_empty() {
        return Ok(false);
    }
    let to = (queue, i64::MAX, 0, 0);
    let marks = w.store.scan::<Mark>(&(queue, 0, i64::MIN, 0), &to, *rows)?;
    *rows -= marks.len();
    for mark in marks {
        w.store
            .delete::<Mark>(&(queue, mark.kind, mark.at, mark.n))?;
    }
    let dead = w
        .store
        .scan::<DeadIndex>(&(queue, 0, i64::MIN, 0), &to, *rows)?;
    *rows -= dead.len();
    for index in dead {
        w.store.delete::<Dead>(&(index.id,))?;
        w.store
            .delete::<DeadIndex>(&(queue, index.kind, index.at, index.id))?;
    }
    if *rows == 0 {
        return Ok(false);
    }
    let from = (queue, String::new());
    let to = (queue + 1, String::new());
    for group in w.store.scan::<Group>(&from, &to, limits::JOB_GROUPS)? {
        w.store.delete::<Group>(&(queue, group.name))?;
    }
    Ok(true)
}

pub(crate) fn partition_gone<S: Store>(
    w: &mut Work<'_, S>,
    key: i64,
    rows: &mut usize,
) -> Res<bool, S> {
    let queue = w.see_partition(key)?.map(|row| row.queue);
    // Each group of a queue that is there is asked whether it has a message before it.
    let groups = match queue {
        Some(queue) if w.see_queue(queue)?.is_some() => w.group_count(queue)?.max(1),
        _ => 1,
    };
    let most = rows.div_ceil(groups);
    let messages = w.store.scan::<Message>(&(key, 0), &(key + 1, 0), most)?;
    *rows = rows.saturating_sub(messages.len() * groups);
    not_waited_for(w, key, &messages)?;
    for message in messages {
        w.store.delete::<Message>(&(key, message.seq))?;
    }
    let from = (key, KEEPER, 0);
    let kept = w.store.scan::<State>(&from, &(key, KEEPER + 1, 0), *rows)?;
    *rows -= kept.len();
    for state in kept {
        w.store.delete::<State>(&(key, KEEPER, state.seq))?;
        if let Some(queue) = queue
            && let Some(row) = w.queue(queue)?
            && key >= row.cleared
        {
            row.kept -= 1;
        }
    }
    let from = (key, [0; 16]);
    let to = (key + 1, [0; 16]);
    let named = w.store.scan::<Named>(&from, &to, *rows)?;
    *rows -= named.len();
    for named in named {
        w.store.delete::<Named>(&(key, named.digest))?;
    }
    let runs = w.store.scan::<Run>(&(key, 0), &(key + 1, 0), *rows)?;
    *rows -= runs.len();
    for run in runs {
        w.store.delete::<Run>(&(key, run.last))?;
    }
    let from = (key, [0; 16], 0);
    let to = (key + 1, [0; 16], 0);
    let notes = w.store.scan::<Trace>(&from, &to, *rows)?;
    *rows -= notes.len();
    for note in notes {
        traces::forget(w, &note)?;
    }
    for cursor in w
        .store
        .scan::<Cursor>(&(key, 0), &(key + 1, 0), (*rows).min(256))?
    {
        if !groups::remove_cursor(w, &cursor, (*rows).max(1))? {
            *rows = 0;
            return Ok(false);
        }
        *rows = rows.saturating_sub(4);
    }
    if *rows == 0 {
        return Ok(false);
    }
    w.store.delete::<Partition>(&(key,))?;
    Ok(true)
}

/// Messages of a partition in order that was cleared: groups have them before them no longer.
fn not_waited_for<S: Store>(
    w: &mut Work<'_, S>,
    partition: i64,
    messages: &[Message],
) -> Res<(), S> {
    let Some(queue) = w.see_partition(partition)?.map(|row| row.queue) else {
        return Ok(());
    };
    if !w.see_queue(queue)?.is_some_and(|row| row.options.fifo) {
        return Ok(());
    }
    for at in 0..w.group_count(queue)? {
        let grp = w.see_group_at(queue, at).map_or(0, |group| group.key);
        // Without a cursor, the group has never counted them.
        if w.see_cursor(partition, grp)?.is_none() {
            continue;
        }
        let mut count = 0;
        for message in messages {
            let theirs = message.only == 0 || message.only == grp;
            let before = finish::has_before_it(w, queue, at, partition, message.seq)?;
            count += usize::from(theirs && before);
        }
        groups::lost(w, queue, grp, (count, 0))?;
    }
    Ok(())
}

fn group_gone<S: Store>(w: &mut Work<'_, S>, one: &mut Gone, rows: &mut usize) -> Res<bool, S> {
    let queue = one.other;
    let grp = one.key;
    let (mut done, begun) = half_done(&one.after);
    let names = next_names(w, queue, &done)?;
    if names.is_empty() {
        return Ok(true);
    }
    for name in names {
        *rows = rows.saturating_sub(1);
        if let Some(cursor) = w.see_cursor(name.key, grp)?.cloned() {
            let limit = (*rows).clamp(1, 256);
            if !groups::remove_cursor(w, &cursor, limit)? {
                *rows = rows.saturating_sub(limit);
                return Ok(false);
            }
        }
        // What was cleared is no longer counted, and goes with its partition.
        let stands = |row: &Queue| name.key >= row.cleared;
        if w.see_queue(queue)?.is_some_and(stands) {
            let from = begun.filter(|begun| begun.0 == name.key);
            let from = from.map_or(0, |begun| begun.1);
            if let Some(place) = groups::trim(w, queue, (name.key, grp), from, 256)? {
                *rows = rows.saturating_sub(256);
                one.after = format!("{done}\0{} {place}", name.key);
                return Ok(false);
            }
        }
        done.clone_from(&name.name);
        one.after = name.name;
        if *rows == 0 {
            break;
        }
    }
    Ok(false)
}

/// The last partition that is done, and how far the next one is: its key, and a place. No name has a character of value 0.
fn half_done(after: &str) -> (String, Option<(i64, i64)>) {
    let Some((done, begun)) = after.split_once('\0') else {
        return (after.to_owned(), None);
    };
    let begun = begun.split_once(' ').and_then(|(key, place)| {
        let key = key.parse().ok()?;
        Some((key, place.parse().ok()?))
    });
    (done.to_owned(), begun)
}

fn cleared_gone<S: Store>(w: &mut Work<'_, S>, one: &mut Gone, rows: &mut usize) -> Res<bool, S> {
    let queue = one.key;
    let cleared = one.other;
    let names = next_names(w, queue, &one.after)?;
    if names.is_empty() {
        return Ok(true);
    }
    for name in names {
        *rows = rows.saturating_sub(1);
        if name.key < cleared {
            if !partition_gone(w, name.key, rows)? {
                return Ok(false);
            }
            w.store
                .delete::<PartitionName>(&(queue, name.name.clone()))?;
        }
        one.after = name.name;
        if *rows == 0 {
            break;
        }
    }
    Ok(false)
}
