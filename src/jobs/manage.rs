//! Queues and groups: made, changed, emptied, deleted.

use serde_json::json;

use super::op::{Answer, Configure, Refusal, Start};
use super::options::Options;
use super::removal::MARK_BYTES;
use super::rows::{Gone, PartitionName, Queue, QueueName};
use super::store::Store;
use super::work::{ENDED, Res, Work, check_name};
use super::{groups, sweep};
use crate::limits;

/// The queue of that name; one that nobody has configured gets the defaults.
pub(crate) fn queue_for<S: Store>(w: &mut Work<'_, S>, name: &str) -> Res<Result<i64, Refusal>, S> {
    if let Some(key) = found(w, name)? {
        return Ok(Ok(key));
    }
    let given = Configure {
        queue: name.to_owned(),
        namespace: None,
        task: None,
        options: serde_json::Map::new(),
    };
    create(w, &given, Options::default())
}

/// The queue of that name. Somebody may have removed its row, and nothing else of it, from the store: then the rest goes,
/// as if the queue was deleted, and the name is free.
fn found<S: Store>(w: &mut Work<'_, S>, name: &str) -> Res<Option<i64>, S> {
    let Some(key) = w.queue_key(name)? else {
        return Ok(None);
    };
    if w.see_queue(key)?.is_some() {
        return Ok(Some(key));
    }
    w.free_name(name)?;
    gone(w, 0, key, 0)?;
    // Nobody knows how many bytes it had.
    w.count_again()?;
    Ok(None)
}

fn create<S: Store>(
    w: &mut Work<'_, S>,
    given: &Configure,
    options: Options,
) -> Res<Result<i64, Refusal>, S> {
    if w.totals()?.queues >= limits::JOB_QUEUES {
        return Ok(Err(Refusal::full(format!(
            "there are {} queues already: that is the most; delete one",
            limits::JOB_QUEUES
        ))));
    }
    w.totals()?.queues += 1;
    let key = w.next_id()?;
    let now = w.now;
    w.add_queue(Queue {
        key,
        name: given.queue.clone(),
        namespace: given.namespace.clone().unwrap_or_default(),
        task: given.task.clone().unwrap_or_default(),
        options,
        created_at: now,
        cleared: 0,
        partitions: 0,
        messages: 0,
        kept: 0,
        bytes: 0,
        marks: 0,
        dead: 0,
        other_bytes: 0,
        pushed: 0,
        completed: 0,
        failed: 0,
        dropped: 0,
        timings: Vec::new(),
    })?;
    Ok(Ok(key))
}

/// What a queue has, and what it is to have.
struct Change {
    /// Its key; `None` if it is to be made.
    known: Option<i64>,
    before: Options,
    options: Options,
}

impl Change {
    /// All groups begin anew then, and what they have is left to the sweeps.
    fn begins_anew(&self) -> bool {
        self.known.is_some() && self.options.fifo != self.before.fifo
    }
}

/// What the given settings change; or why they can't be had.
fn change<S: Store>(w: &mut Work<'_, S>, given: &Configure) -> Res<Result<Change, Refusal>, S> {
    let named = check_name("queue", &given.queue)
        .and_then(|()| optional_name("namespace", given.namespace.as_ref()))
        .and_then(|()| optional_name("task", given.task.as_ref()));
    if let Err(refusal) = named {
        return Ok(Err(refusal));
    }
    let known = found(w, &given.queue)?;
    let (before, messages) = match known {
        Some(key) => w
            .see_queue(key)?
            .map_or((Options::default(), 0), |row| (row.options, row.messages)),
        None => (Options::default(), 0),
    };
    let options = match before.with(&given.options) {
        Ok(options) => options,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if options.fifo != before.fifo && messages > 0 {
        let message = "options.fifo can change only while the queue is empty";
        return Ok(Err(Refusal::conflict("not-empty", message)));
    }
    Ok(Ok(Change {
        known,
        before,
        options,
    }))
}

/// A queue gets these settings; those that are not given stay, or are the defaults of a new one.
pub(crate) fn configure<S: Store>(w: &mut Work<'_, S>, given: &Configure) -> Res<Answer, S> {
    let change = match change(w, given)? {
        Ok(change) => change,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    if change.begins_anew()
        && let Some(refusal) = sweep::backlog(w)?
    {
        return Ok(Answer::Refused(refusal));
    }
    let options = change.options;
    let key = match change.known {
        Some(key) => key,
        None => match create(w, given, options)? {
            Ok(key) => key,
            Err(refusal) => return Ok(Answer::Refused(refusal)),
        },
    };
    if let Some(row) = w.queue(key)? {
        row.options = options;
        if let Some(namespace) = &given.namespace {
            row.namespace.clone_from(namespace);
        }
        if let Some(task) = &given.task {
            row.task.clone_from(task);
        }
    }
    if options.fifo != change.before.fifo {
        restart_groups(w, key)?;
    }
    let row = w.see_queue(key)?;
    let (namespace, task) = row
        .map(|row| (row.namespace.clone(), row.task.clone()))
        .unwrap_or_default();
    Ok(Answer::Json(json!({
        "configured": true,
        "queue": given.queue,
        "namespace": namespace,
        "task": task,
        "options": options.to_json(),
    })))
}

fn optional_name(what: &str, name: Option<&String>) -> Result<(), Refusal> {
    match name {
        Some(name) if !name.is_empty() => check_name(what, name),
        _ => Ok(()),
    }
}

/// All groups of an emptied queue begin anew.
fn restart_groups<S: Store>(w: &mut Work<'_, S>, queue: i64) -> Res<(), S> {
    for at in 0..w.group_count(queue)? {
        if let Some(name) = w.see_group_at(queue, at).map(|group| group.name.clone()) {
            groups::begin(w, queue, &name, Start::New)?;
        }
    }
    Ok(())
}

/// The name is free at once; what was in the queue goes bit by bit.
pub(crate) fn delete<S: Store>(w: &mut Work<'_, S>, name: &str) -> Res<Answer, S> {
    let Some(key) = w.queue_key(name)? else {
        let message = format!("there is no queue {name}");
        return Ok(Answer::Refused(Refusal::not_found(message)));
    };
    if found(w, name)?.is_some() {
        let bytes = w.see_queue(key)?.map_or(0, |row| row.bytes);
        w.flush()?;
        // Before its rows go: they may be what the totals are counted from.
        let totals = w.totals()?;
        totals.queues -= 1;
        totals.bytes -= bytes;
        w.free_name(name)?;
        w.store.delete::<Queue>(&(key,))?;
        gone(w, 0, key, 0)?;
    }
    w.flush()?;
    w.forget();
    Ok(Answer::Json(
        json!({"deleted": true, "success": true, "queue": name}),
    ))
}

/// A name is taken by a new partition: if one that was cleared has it still, that one goes by itself.
pub(crate) fn cleared_name<S: Store>(w: &mut Work<'_, S>, queue: i64, name: &str) -> Res<(), S> {
    let old: Option<PartitionName> = w.store.get(&(queue, name.to_owned()))?;
    match old {
        Some(old) => gone(w, 1, old.key, queue),
        None => Ok(()),
    }
}

/// Removes all messages, of one partition or of all. Who holds a lease of one has lost it.
pub(crate) fn clear<S: Store>(
    w: &mut Work<'_, S>,
    name: &str,
    partition: Option<&str>,
) -> Res<Answer, S> {
    let Some(queue) = w.queue_key(name)? else {
        let message = format!("there is no queue {name}");
        return Ok(Answer::Refused(Refusal::not_found(message)));
    };
    let Some(partition) = partition else {
        let cleared = w.next_id()?;
        let mut count = 0;
        let mut bytes = 0;
        if let Some(row) = w.queue(queue)? {
            count = row.messages;
            row.cleared = cleared;
            bytes = row.bytes - row.other_bytes - row.marks * MARK_BYTES;
            row.messages = 0;
            row.kept = 0;
            row.partitions = 0;
        }
        w.add_bytes(queue, -bytes)?;
        gone(w, 3, queue, cleared)?;
        restart_groups(w, queue)?;
        w.flush()?;
        w.forget();
        return Ok(Answer::Json(
            json!({"success": true, "queue": name, "cleared": true, "count": count}),
        ));
    };
    let Some(key) = w.partition_key(queue, partition)? else {
        let message = format!("the queue has no partition {partition}");
        return Ok(Answer::Refused(Refusal::not_found(message)));
    };
    let count = w.see_partition(key)?.map_or(0, |row| row.messages);
    end_partition(w, queue, key)?;
    Ok(Answer::Json(json!({
        "success": true, "queue": name, "partition": partition, "cleared": true, "count": count,
    })))
}

/// Rows of a partition that go with the request that clears it.
const AT_ONCE: usize = 500;

/// The partition's name is free at once; its rows go bit by bit.
pub(crate) fn end_partition<S: Store>(w: &mut Work<'_, S>, queue: i64, key: i64) -> Res<(), S> {
    for at in 0..w.group_count(queue)? {
        let Some(grp) = w.see_group_at(queue, at).map(|group| group.key) else {
            continue;
        };
        let Some(cursor) = w.see_cursor(key, grp)?.cloned() else {
            continue;
        };
        if let Some(group) = w.group_at(queue, at) {
            group.out = (group.out - cursor.out).max(0);
        }
        w.stand(key, grp, super::work::standing::IDLE, 0)?;
    }
    let Some(row) = w.see_partition(key)?.cloned() else {
        return Ok(());
    };
    let place = (queue, row.name.clone());
    w.store.delete::<PartitionName>(&place)?;
    if let Some(found) = w.partition(key)? {
        // Whoever still names it by its number finds another tag.
        found.tag = ENDED;
    }
    if let Some(found) = w.queue(queue)? {
        found.partitions -= 1;
        found.messages -= row.messages;
    }
    w.add_bytes(queue, -row.bytes)?;
    w.flush()?;
    w.forget();
    // A small partition is gone at once, and what groups wait for with it.
    let mut rows = AT_ONCE;
    if !sweep::partition_gone(w, key, &mut rows)? {
        gone(w, 1, key, queue)?;
    }
    w.flush()?;
    w.forget();
    Ok(())
}

fn gone<S: Store>(w: &mut Work<'_, S>, kind: i64, key: i64, other: i64) -> Res<(), S> {
    let n = w.next_id()?;
    w.store.put(&Gone {
        n,
        kind,
        key,
        other,
        after: String::new(),
    })
}

/// The group goes on from there: from a time, or from the end.
pub(crate) fn seek<S: Store>(
    w: &mut Work<'_, S>,
    queue: &str,
    group: &str,
    to: Start,
) -> Res<Answer, S> {
    let Some(key) = w.queue_key(queue)? else {
        let message = format!("there is no queue {queue}");
        return Ok(Answer::Refused(Refusal::not_found(message)));
    };
    if w.group_named(key, group)?.is_none() {
        let message = format!("the queue has no consumer group {group}");
        return Ok(Answer::Refused(Refusal::not_found(message)));
    }
    let at = groups::begin(w, key, group, to)?;
    groups::join(w, key, at)?;
    w.wake(super::work::hash(queue), 0);
    Ok(Answer::Json(json!({
        "success": true, "consumerGroup": group, "queueName": queue, "seekToEnd": to == Start::New,
    })))
}

/// The group begins at that time in all its queues.
pub(crate) fn subscribe<S: Store>(w: &mut Work<'_, S>, group: &str, from: i64) -> Res<Answer, S> {
    let mut count = 0;
    for (name, key) in queues(w)? {
        if w.group_named(key, group)?.is_some() {
            groups::begin(w, key, group, Start::From(from))?;
            w.wake(super::work::hash(&name), 0);
            count += 1;
        }
    }
    if count == 0 {
        let message = format!("no queue has a consumer group {group}");
        return Ok(Answer::Refused(Refusal::not_found(message)));
    }
    Ok(Answer::Json(
        json!({"success": true, "consumerGroup": group, "queues": count}),
    ))
}

/// The group ends, in one queue or in all.
pub(crate) fn delete_group<S: Store>(
    w: &mut Work<'_, S>,
    queue: Option<&str>,
    group: &str,
) -> Res<Answer, S> {
    let mut count = 0;
    for (name, key) in queues(w)? {
        if queue.is_some_and(|queue| queue != name) {
            continue;
        }
        if let Some(at) = w.group_named(key, group)? {
            groups::end(w, key, at)?;
            count += 1;
        }
    }
    if count == 0 {
        let message = format!("no queue has a consumer group {group}");
        return Ok(Answer::Refused(Refusal::not_found(message)));
    }
    Ok(Answer::Json(
        json!({"success": true, "consumerGroup": group, "queues": count}),
    ))
}

/// Names and numbers of all queues, by name. There are a thousand at most.
pub(crate) fn queues<S: Store>(w: &Work<'_, S>) -> Res<Vec<(String, i64)>, S> {
    let from = (String::new(),);
    let to = ("\u{10ffff}".to_owned(),);
    let rows = w.store.scan::<QueueName>(&from, &to, usize::MAX >> 1)?;
    Ok(rows.into_iter().map(|row| (row.name, row.key)).collect())
}
