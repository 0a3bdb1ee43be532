//! Queues and groups in numbers.

use serde_json::{Value, json};

use super::look::iso;
use super::metrics::{MOST_QUEUES, OTHERS};
use super::op::{Answer, Refusal};
use super::rows::{Group, Message, Queue, Turn};
use super::store::Store;
use super::timings::{Histogram, Timings};
use super::work::{Res, Work, partition_id, standing};
use crate::limits::JOB_LOOK_BYTES;

#[derive(Debug, Clone)]
pub(crate) enum Query {
    Overview,
    Queues(Which),
    Queue(String),
    Namespaces,
    Tasks,
    Partitions {
        queue: Option<String>,
        limit: usize,
        offset: usize,
    },
    /// What `/metrics` shows of each of the first queues, and of the others together.
    Gauges,
    /// Of this name, or all; those that are at least so many seconds behind.
    Groups {
        name: Option<String>,
        behind_s: i64,
    },
}

/// Queues that a list has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Which {
    pub(crate) namespace: Option<String>,
    pub(crate) task: Option<String>,
    /// A part of the name.
    pub(crate) search: Option<String>,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
}

/// Rows that are looked at for what is delayed, and for what has failed. Of a queue with more, the numbers say at least how many there are.
const MOST_ROWS: usize = 100_000;
/// Partitions that one answer looks through for the oldest messages.
const MOST_PARTITIONS: i64 = 10_000;
/// The same of what is scraped every few seconds.
const MOST_SCRAPED: i64 = 1_000;
/// Groups of one answer: some 8 MiB.
const MOST_GROUPS: usize = 20_000;

/// What is left of looking for oldest messages. Of queues that are too large for the rest of it, that age is not told.
struct Looks {
    partitions: i64,
    bytes: usize,
}

impl Looks {
    fn new(partitions: i64) -> Self {
        Self {
            partitions,
            bytes: JOB_LOOK_BYTES,
        }
    }
}

pub(crate) fn answer<S: Store>(w: &mut Work<'_, S>, query: &Query) -> Res<Answer, S> {
    match query {
        Query::Overview => overview(w),
        Query::Queues(which) => queues(w, which),
        Query::Queue(name) => match w.queue_key(name)? {
            Some(key) => {
                let mut looks = Looks::new(MOST_PARTITIONS);
                Ok(Answer::Json(queue(w, key, true, &mut looks)?))
            }
            None => {
                let message = format!("there is no queue {name}");
                Ok(Answer::Refused(Refusal::not_found(message)))
            }
        },
        Query::Namespaces => distinct(w, "namespace", |row| &row.namespace),
        Query::Tasks => distinct(w, "task", |row| &row.task),
        Query::Partitions {
            queue,
            limit,
            offset,
        } => partitions(w, queue.as_deref(), (*offset, *limit)),
        Query::Gauges => gauges(w),
        Query::Groups { name, behind_s } => groups(w, name.as_deref(), *behind_s),
    }
}

fn overview<S: Store>(w: &mut Work<'_, S>) -> Res<Answer, S> {
    let (mut messages, mut partitions, mut dead, mut pushed, mut completed, mut out) =
        (0, 0, 0, 0, 0, 0);
    let all = super::manage::queues(w)?;
    for (_, key) in &all {
        if let Some(row) = w.see_queue(*key)? {
            messages += row.messages - row.kept;
            partitions += row.partitions;
            dead += row.dead;
            pushed += row.pushed;
            completed += row.completed;
        }
        out += handed_out(w, *key)?;
    }
    let bytes = w.totals()?.bytes;
    Ok(Answer::Json(json!({
        "queues": all.len(),
        "partitions": partitions,
        "bytes": bytes,
        "messages": {
            "total": messages, "pending": messages - out, "processing": out, "inFlight": out,
            "completed": completed, "pushed": pushed, "deadLetter": dead, "dead": dead,
        },
        "timestamp": iso(w.now),
    })))
}

fn queues<S: Store>(w: &mut Work<'_, S>, which: &Which) -> Res<Answer, S> {
    let mut rows = Vec::new();
    let mut looks = Looks::new(MOST_PARTITIONS);
    let mut total = 0;
    let page = which.offset..which.offset + which.limit;
    let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|it| it == text);
    for (name, key) in super::manage::queues(w)? {
        let named = which.search.as_ref().is_none_or(|part| name.contains(part));
        let fits = w.see_queue(key)?.is_some_and(|row| {
            named && is(&which.namespace, &row.namespace) && is(&which.task, &row.task)
        });
        if fits && page.contains(&total) {
            rows.push(queue(w, key, false, &mut looks)?);
        }
        total += usize::from(fits);
    }
    Ok(Answer::Json(json!({"queues": rows, "total": total})))
}

/// A queue in numbers. What is pending, in flight, delayed and failed is by group, and of the one that has most before it.
fn queue<S: Store>(w: &mut Work<'_, S>, key: i64, whole: bool, looks: &mut Looks) -> Res<Value, S> {
    let Some(row) = w.see_queue(key)?.cloned() else {
        return Ok(Value::Null);
    };
    let total = row.messages - row.kept;
    let mut all = Vec::new();
    for at in 0..w.group_count(key)? {
        all.extend(w.see_group_at(key, at).cloned());
    }
    let out = all.iter().map(|group| group.out).max().unwrap_or(0);
    let mut delayed = 0;
    let mut failed = 0;
    if whole {
        let mut left = MOST_ROWS;
        for group in &all {
            let (d, f) = waiting(w, &row, group, &mut left)?;
            delayed = delayed.max(d);
            failed = failed.max(f);
        }
    }
    let oldest_ms = oldest(w, key, looks)?.map(|at| w.now - at);
    let timings = Timings::read(&row.timings);
    let pending = (total - out - delayed).max(0);
    let mut value = json!({
        "queue": row.name, "name": row.name,
        "namespace": row.namespace, "task": row.task,
        "options": row.options.to_json(),
        "createdAt": iso(row.created_at),
        "partitions": row.partitions,
        "bytes": row.bytes,
        "depth": total,
        "total": total, "pending": pending, "inFlight": out, "delayed": delayed, "failed": failed, "dead": row.dead,
        "messages": {
            "total": total, "pending": pending, "processing": out, "inFlight": out, "delayed": delayed, "failed": failed,
            "dead": row.dead, "deadLetter": row.dead, "completed": row.completed, "retained": row.kept,
        },
        "pushed": row.pushed, "completed": row.completed, "failedAttempts": row.failed, "dropped": row.dropped,
        "oldestAgeSeconds": oldest_ms.map(seconds),
        "waitTime": times(&timings.waited),
        "processingTime": times(&timings.worked),
        "consumerGroups": all.iter().map(|group| json!({
            "name": group.name, "waiting": group.waiting, "pending": (group.waiting - group.out).max(0), "inFlight": group.out,
            "delivered": group.delivered, "completed": group.completed, "lastSeenAt": iso(group.seen_at),
        })).collect::<Vec<_>>(),
    });
    if whole {
        value["partitionList"] = partition_rows(w, key, 0, 100)?.into();
    }
    Ok(value)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are few")]
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

fn times(histogram: &Histogram) -> Value {
    json!({
        "averageMs": histogram.average(),
        "p50Ms": histogram.quantile(0.5),
        "p95Ms": histogram.quantile(0.95),
        "p99Ms": histogram.quantile(0.99),
    })
}

/// Messages of a group that are due later, and those that have failed and are to come again.
fn waiting<S: Store>(
    w: &mut Work<'_, S>,
    queue: &Queue,
    group: &Group,
    left: &mut usize,
) -> Res<(i64, i64), S> {
    use super::rows::{Ready, State};
    let from = (queue.key, group.key, standing::READY, i64::MIN, 0);
    let to = (queue.key, group.key, standing::LEASED, i64::MAX, 0);
    let turns = w.store.scan::<Turn>(&from, &to, *left)?;
    *left -= turns.len();
    let mut delayed = 0;
    let mut failed = 0;
    for turn in turns {
        let partition = turn.partition;
        let grp = group.key;
        let from = (partition, grp, 0);
        let to = (partition, grp + 1, 0);
        let states = w.store.scan::<State>(&from, &to, *left)?;
        *left -= states.len();
        let again = states.iter().filter(|state| state.attempts > 0).count();
        failed += i64::try_from(again).unwrap_or(0);
        if queue.options.fifo {
            if turn.state == standing::WAITING && turn.at > w.now {
                let next_seq = w.see_partition(partition)?.map_or(0, |row| row.next_seq);
                let next = w
                    .see_cursor(partition, grp)?
                    .map_or(0, |cursor| cursor.next);
                delayed += (next_seq - next).max(0);
            }
        } else {
            let from = (partition, grp, super::work::kind::DELAYED, w.now + 1, 0);
            let to = (partition, grp, super::work::kind::DELAYED, i64::MAX, 0);
            let later = w.store.scan::<Ready>(&from, &to, *left)?;
            *left -= later.len();
            delayed += i64::try_from(later.len()).unwrap_or(0);
        }
    }
    Ok((delayed, failed))
}

/// Messages of a queue that are handed out and not decided, of all groups.
fn handed_out<S: Store>(w: &mut Work<'_, S>, queue: i64) -> Res<i64, S> {
    let mut out = 0;
    for at in 0..w.group_count(queue)? {
        out += w.see_group_at(queue, at).map_or(0, |group| group.out);
    }
    Ok(out)
}

/// Whoever scrapes makes this read: partitions are looked through for the oldest message only where they are few.
fn gauges<S: Store>(w: &mut Work<'_, S>) -> Res<Answer, S> {
    let mut looks = Looks::new(MOST_SCRAPED);
    let mut rows = Vec::new();
    let mut others = [0; 4];
    for (name, key) in super::manage::queues(w)? {
        let Some(row) = w.see_queue(key)? else {
            continue;
        };
        let mut numbers = [row.messages - row.kept, 0, row.dead, row.bytes];
        numbers[1] = handed_out(w, key)?;
        if rows.len() >= MOST_QUEUES {
            for (sum, number) in others.iter_mut().zip(numbers) {
                *sum += number;
            }
            continue;
        }
        let oldest_ms = oldest(w, key, &mut looks)?.map(|at| w.now - at);
        rows.push(gauge_row(&name, numbers, oldest_ms));
    }
    if others != [0; 4] {
        rows.push(gauge_row(OTHERS, others, None));
    }
    Ok(Answer::Json(rows.into()))
}

fn gauge_row(name: &str, [depth, out, dead, bytes]: [i64; 4], oldest_ms: Option<i64>) -> Value {
    json!({
        "queue": name, "depth": depth, "inFlight": out, "dead": dead, "bytes": bytes,
        "oldestAgeSeconds": oldest_ms.map(seconds),
    })
}

/// When the oldest message of a queue came, if that is looked for.
fn oldest<S: Store>(w: &mut Work<'_, S>, queue: i64, looks: &mut Looks) -> Res<Option<i64>, S> {
    let row = w.see_queue(queue)?;
    let Some(row) = row.filter(|row| row.messages > 0 && row.partitions <= looks.partitions) else {
        return Ok(None);
    };
    looks.partitions -= row.partitions;
    let most = usize::try_from(row.partitions).unwrap_or(0);
    let mut oldest = None;
    for name in w.partitions_of(queue, "", most)? {
        let key = name.key;
        let first: Option<Message> = w.store.first(&(key, 0), &(key + 1, 0))?;
        let Some(first) = first else { continue };
        oldest = Some(oldest.map_or(first.created_at, |at: i64| at.min(first.created_at)));
        looks.bytes = looks.bytes.saturating_sub(first.payload.len());
        if looks.bytes == 0 {
            looks.partitions = 0;
            return Ok(None);
        }
    }
    Ok(oldest)
}

fn distinct<S: Store>(
    w: &mut Work<'_, S>,
    what: &str,
    of: impl Fn(&Queue) -> &String,
) -> Res<Answer, S> {
    let mut counts = std::collections::BTreeMap::<String, (i64, i64)>::new();
    for (_, key) in super::manage::queues(w)? {
        if let Some(row) = w.see_queue(key)?
            && !of(row).is_empty()
        {
            let count = counts.entry(of(row).clone()).or_default();
            count.0 += 1;
            count.1 += row.messages - row.kept;
        }
    }
    let rows: Vec<Value> = counts
        .into_iter()
        .map(|(name, (queues, messages))| {
            json!({what: name, "queues": queues, "messages": {"total": messages}})
        })
        .collect();
    Ok(Answer::Json(json!({format!("{what}s"): rows})))
}

fn partitions<S: Store>(
    w: &mut Work<'_, S>,
    queue: Option<&str>,
    (offset, limit): (usize, usize),
) -> Res<Answer, S> {
    let mut rows = Vec::new();
    let mut skip = offset;
    let mut total = 0;
    for (name, key) in super::manage::queues(w)? {
        if queue.is_some_and(|queue| queue != name) {
            continue;
        }
        let count = w.see_queue(key)?.map_or(0, |row| row.partitions);
        let count = usize::try_from(count).unwrap_or(0);
        total += count;
        if skip < count && rows.len() < limit {
            rows.extend(partition_rows(w, key, skip, limit - rows.len())?);
        }
        skip = skip.saturating_sub(count);
    }
    Ok(Answer::Json(json!({"partitions": rows, "total": total})))
}

/// Partitions of a queue by name, without the first `skip`.
fn partition_rows<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    skip: usize,
    limit: usize,
) -> Res<Vec<Value>, S> {
    let name = w.see_queue(queue)?.map(|row| row.name.clone());
    let mut rows = Vec::new();
    let names = w.partitions_of(queue, "", skip + limit)?;
    for row in names.into_iter().skip(skip) {
        if let Some(row) = w.see_partition(row.key)? {
            rows.push(json!({
                "queue": name, "name": row.name, "partition": row.name, "partitionId": partition_id(row.key, row.tag),
                "messages": row.messages, "bytes": row.bytes, "lastPushAt": iso(row.used_at),
            }));
        }
    }
    Ok(rows)
}

fn groups<S: Store>(w: &mut Work<'_, S>, name: Option<&str>, behind_s: i64) -> Res<Answer, S> {
    let mut rows = Vec::new();
    let mut looks = Looks::new(MOST_PARTITIONS);
    for (queue, key) in super::manage::queues(w)? {
        let oldest_ms = oldest(w, key, &mut looks)?.map_or(0, |at| w.now - at);
        for at in 0..w.group_count(key)? {
            let Some(group) = w.see_group_at(key, at).cloned() else {
                continue;
            };
            let lag_ms = if group.waiting > 0 { oldest_ms } else { 0 };
            if name.is_some_and(|name| name != group.name) || lag_ms < behind_s * 1_000 {
                continue;
            }
            if rows.len() == MOST_GROUPS {
                let message = format!(
                    "there are more than {MOST_GROUPS} consumer groups: ask for those of one name (/api/v1/consumer-groups/{{group}}), or for \
                     those of one queue (/api/v1/status/queues/{{queue}})"
                );
                return Ok(Answer::Refused(Refusal::new(413, "too-large", message)));
            }
            let mode = ["all", "new", "timestamp"];
            rows.push(json!({
                "name": group.name,
                "queueName": queue,
                "topics": [queue],
                "members": group.out,
                "totalLag": group.waiting,
                "maxTimeLag": lag_ms / 1_000,
                "state": if lag_ms > 300_000 { "Lagging" } else { "Stable" },
                "waiting": group.waiting, "inFlight": group.out,
                "delivered": group.delivered, "completed": group.completed,
                "subscriptionMode": mode.get(usize::try_from(group.mode).unwrap_or(0)),
                "subscriptionTimestamp": (group.mode != 0).then(|| iso(group.start)),
                "subscriptionCreatedAt": iso(group.created_at),
                "lastSeenAt": iso(group.seen_at),
            }));
        }
    }
    Ok(Answer::Json(json!(rows)))
}
