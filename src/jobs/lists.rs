//! Messages and dead letters, page by page.

mod attempts;
mod notes;
mod page;
mod peek;
mod waiting;

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::fifo;
use super::finish::has_before_it;
use super::look::iso;
use super::op::{Answer, DEFAULT_GROUP, Refusal};
use super::removal::{Known, known, replayed};
use super::rows::{Dead, DeadIndex, Message, Queue, State};
use super::store::{Order, Store};
use super::work::{Res, Work, kind, parse_partition_id, partition_id, standing};
use page::Page;

#[derive(Debug, Clone)]
pub(crate) enum Query {
    /// What would be popped next.
    Peek {
        queue: String,
        partition: Option<String>,
        group: String,
        limit: usize,
    },
    Dead(DeadQuery),
    Messages(MessagesQuery),
    Message {
        partition_id: String,
        name: String,
    },
    Traces {
        partition_id: String,
        name: String,
    },
    TracesNamed {
        name: String,
        /// Of this span of time.
        from: Option<i64>,
        to: Option<i64>,
        limit: usize,
        offset: usize,
    },
    TraceNames {
        /// A part of them.
        search: Option<String>,
        limit: usize,
    },
    /// Attempts to deliver messages of a queue, the latest first.
    Deliveries {
        queue: String,
        /// Only those before this one.
        before: Option<i64>,
        limit: usize,
    },
}

#[derive(Debug, Clone, Default)]
pub(crate) struct DeadQuery {
    pub(crate) queue: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) partition: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) reviewed: Option<bool>,
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct MessagesQuery {
    pub(crate) queue: Option<String>,
    pub(crate) partition: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
}

pub(crate) fn answer<S: Store>(w: &mut Work<'_, S>, query: &Query) -> Res<Answer, S> {
    match query {
        Query::Peek {
            queue,
            partition,
            group,
            limit,
        } => peek::peek(w, queue, partition.as_deref(), group, *limit),
        Query::Dead(query) => dead(w, query),
        Query::Messages(query) => waiting::messages(w, query),
        Query::Message { partition_id, name } => message(w, partition_id, name),
        Query::Traces { partition_id, name } => notes::of_message(w, partition_id, name),
        Query::TracesNamed {
            name,
            from,
            to,
            limit,
            offset,
        } => {
            let span = from.unwrap_or(i64::MIN)..=to.unwrap_or(i64::MAX);
            notes::named(w, name, &span, (*offset, *limit))
        }
        Query::TraceNames { search, limit } => notes::names(w, search.as_deref(), *limit),
        Query::Deliveries {
            queue,
            before,
            limit,
        } => attempts::deliveries(w, queue, *before, *limit),
    }
}

/// An object with the payload in it as it was pushed, to the last digit.
fn with_data(object: &Value, data: &str) -> String {
    let mut text = object.to_string();
    text.pop();
    text.push_str(",\"data\":");
    text.push_str(data);
    text.push('}');
    text
}

fn no_queue(name: &str) -> Answer {
    Answer::Refused(Refusal::not_found(format!("there is no queue {name}")))
}

/// A message on the wire, without its payload.
fn describe<S: Store>(w: &mut Work<'_, S>, message: &Message) -> Res<Value, S> {
    let partition = w.see_partition(message.partition)?.cloned();
    let (queue, tag, name) =
        partition.map_or((0, 0, String::new()), |row| (row.queue, row.tag, row.name));
    let row = w.see_queue(queue)?;
    let (queue, namespace, task) = row.map_or_else(Default::default, |row| {
        (row.name.clone(), row.namespace.clone(), row.task.clone())
    });
    Ok(json!({
        "id": message.id.to_string(),
        "transactionId": message.name,
        "partitionId": partition_id(message.partition, tag),
        "queuePath": format!("{queue}/{name}"),
        "queue": queue,
        "partition": name,
        "namespace": namespace,
        "task": task,
        "position": message.seq,
        "priority": message.priority,
        "traceId": message.trace,
        "createdAt": iso(message.created_at),
    }))
}

fn dead<S: Store>(w: &mut Work<'_, S>, query: &DeadQuery) -> Res<Answer, S> {
    let mut page = Page::new(query.limit, Some(query.offset));
    let queues = match &query.queue {
        Some(name) => w.queue_key(name)?.into_iter().collect(),
        None => {
            let all = super::manage::queues(w)?.into_iter();
            all.map(|(_, key)| key).collect::<Vec<_>>()
        }
    };
    // The index of those reviewed is by the time of the review.
    let timed = query.reviewed != Some(true);
    let unfiltered = query.group.is_none() && query.partition.is_none();
    let unfiltered = unfiltered && (timed || (query.from.is_none() && query.to.is_none()));
    // All of a queue are counted anyway.
    let counted =
        unfiltered && query.reviewed.is_none() && query.from.is_none() && query.to.is_none();
    let mut total = 0;
    let filter = (query.namespace.as_ref(), query.task.as_ref());
    'queues: for queue in queues {
        if !waiting::is_of(w, queue, filter)? {
            continue;
        }
        let before = total;
        let all = w.see_queue(queue)?.map_or(0, |row| row.dead);
        let most = match counted {
            true => (query.offset + query.limit).saturating_sub(total),
            false => usize::MAX,
        };
        let places = dead_places(w, queue, query, page.looks_left().min(most))?;
        for id in places {
            if !page.looks(0) {
                break 'queues;
            }
            let wanted = page.has_room() && total >= query.offset;
            if unfiltered && !wanted {
                total += 1;
                continue;
            }
            let found: Option<Dead> = w.store.get(&(id,))?;
            let Some(dead) = found else { continue };
            if !page.reads(dead.payload.len()) {
                break 'queues;
            }
            if !fits(&dead, query) {
                continue;
            }
            if wanted {
                page.add(dead_row(w, &dead)?);
            }
            total += 1;
        }
        if counted {
            total = before + usize::try_from(all).unwrap_or(0);
        }
    }
    let rest = json!({"total": total, "limit": query.limit, "offset": query.offset});
    Ok(page.answer("messages", rest))
}

/// Numbers of the dead of a queue, the latest first.
fn dead_places<S: Store>(
    w: &Work<'_, S>,
    queue: i64,
    query: &DeadQuery,
    most: usize,
) -> Res<Vec<i64>, S> {
    let which = match query.reviewed {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    };
    let timed = which != 2;
    let from = query.from.filter(|_| timed).unwrap_or(i64::MIN);
    let to = query.to.filter(|_| timed).unwrap_or(i64::MAX);
    let from = (queue, which, from, 0);
    let to = (queue, which, to, i64::MAX);
    let mut ids = Vec::new();
    w.store
        .each::<DeadIndex>(&from, &to, Order::Down, most, &mut |row| {
            ids.push(row.id);
            ControlFlow::Continue(())
        })?;
    Ok(ids)
}

fn fits(dead: &Dead, query: &DeadQuery) -> bool {
    query.group.as_ref().is_none_or(|group| dead.grp == *group)
        && query
            .partition
            .as_ref()
            .is_none_or(|name| dead.partition_name == *name)
        && query.from.is_none_or(|from| dead.died_at >= from)
        && query.to.is_none_or(|to| dead.died_at <= to)
}

fn dead_row<S: Store>(w: &mut Work<'_, S>, dead: &Dead) -> Res<String, S> {
    let row = w.see_queue(dead.queue)?;
    let (queue, namespace, task) = row.map_or_else(Default::default, |row| {
        (row.name.clone(), row.namespace.clone(), row.task.clone())
    });
    let tag = w.see_partition(dead.partition)?.map_or(0, |row| row.tag);
    let object = json!({
        "id": dead.id.to_string(),
        "messageId": dead.message.to_string(),
        "transactionId": dead.name,
        "partitionId": partition_id(dead.partition, tag),
        "consumerGroup": dead.grp,
        "queue": queue, "queueName": queue,
        "partition": dead.partition_name, "partitionName": dead.partition_name,
        "namespace": namespace, "task": task,
        "errorMessage": dead.error,
        "retryCount": (dead.attempts - 1).max(0),
        "attempts": dead.attempts,
        "priority": dead.priority,
        "traceId": dead.trace,
        "createdAt": iso(dead.created_at),
        "messageCreatedAt": iso(dead.created_at), "originalCreatedAt": iso(dead.created_at),
        "failedAt": iso(dead.died_at), "movedToDlqAt": iso(dead.died_at),
        "reviewed": dead.reviewed_at.is_some(),
        "reviewedAt": dead.reviewed_at.map(iso),
    });
    Ok(with_data(&object, &dead.payload))
}

/// What a message is for the groups of its queue: the one of them that has most to do with it says what it is.
fn standing_of<S: Store>(w: &mut Work<'_, S>, queue: i64, message: &Message) -> Res<Value, S> {
    let mut status = "pending";
    let mut groups = Vec::new();
    let mut all_done = w.group_count(queue)? > 0;
    for at in 0..w.group_count(queue)? {
        let Some(group) = w.see_group_at(queue, at).cloned() else {
            continue;
        };
        if message.only != 0 && message.only != group.key {
            continue;
        }
        let waits = has_before_it(w, queue, at, message.partition, message.seq)?;
        let key = (message.partition, group.key, message.seq);
        let state: Option<State> = w.store.get(&key)?;
        let cursor = w.see_cursor(message.partition, group.key)?.cloned();
        let leased_until = match (&state, &cursor) {
            (Some(state), _) if state.kind == kind::LEASED => Some(state.at),
            (state, Some(cursor))
                if cursor.state == standing::LEASED
                    && fifo::is_out(cursor, message.seq)
                    && state.as_ref().is_none_or(|state| state.kind != kind::DONE) =>
            {
                Some(cursor.at)
            }
            _ => None,
        };
        let leased_until = leased_until.filter(|until| waits && *until > w.now);
        all_done &= !waits;
        if leased_until.is_some() {
            status = "processing";
        }
        let attempts = state.as_ref().map_or(0, |state| state.attempts);
        groups.push(json!({
            "name": group.name,
            "consumed": !waits,
            "retryCount": attempts,
            "errorMessage": state.and_then(|state| state.error),
            "leaseExpiresAt": leased_until.map(iso),
        }));
    }
    if all_done && !groups.is_empty() {
        status = "completed";
    }
    Ok(json!({"status": status, "consumerGroups": groups}))
}

fn message<S: Store>(w: &mut Work<'_, S>, id: &str, name: &str) -> Res<Answer, S> {
    let found = place(w, id, name)?;
    let Some((queue, message)) = found else {
        return Ok(Answer::Refused(super::finish::no_message(name)));
    };
    let mut row = describe(w, &message)?;
    let stands = standing_of(w, queue, &message)?;
    row["status"] = stands["status"].clone();
    row["consumerGroups"] = stands["consumerGroups"].clone();
    let attempts = row["consumerGroups"].as_array().into_iter().flatten();
    row["retryCount"] = json!(
        attempts
            .filter_map(|group| group["retryCount"].as_i64())
            .max()
            .unwrap_or(0)
    );
    let text = with_data(&row, &message.payload);
    let (object, _) = text.split_at(text.len() - 1);
    Ok(Answer::Raw(format!(
        "{object},\"payload\":{}}}",
        message.payload
    )))
}

fn place<S: Store>(w: &mut Work<'_, S>, id: &str, name: &str) -> Res<Option<(i64, Message)>, S> {
    let Some((partition, tag)) = parse_partition_id(id) else {
        return Ok(None);
    };
    let row = w.see_partition(partition)?.cloned();
    let Some(row) = row.filter(|row| row.tag == tag) else {
        return Ok(None);
    };
    let stands = |queue: &Queue| partition >= queue.cleared;
    if !w.see_queue(row.queue)?.is_some_and(stands) {
        return Ok(None);
    }
    let mut found = known(w, partition, name)?;
    for at in 0..w.group_count(row.queue)? {
        if matches!(found, Some(Known::There(_))) {
            break;
        }
        let grp = w.see_group_at(row.queue, at).map_or(0, |group| group.key);
        found = replayed(w, partition, name, grp)?;
    }
    Ok(match found {
        Some(Known::There(message)) => Some((row.queue, message)),
        _ => None,
    })
}

/// The group of those who name none.
pub(crate) fn group_or_default(group: Option<String>) -> String {
    group.unwrap_or_else(|| DEFAULT_GROUP.to_owned())
}
