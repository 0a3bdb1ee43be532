//! The work queue of a relay in Redis, in numbers.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::in_rows;
use super::redis_tool::RedisTool;
use crate::jobs::cells::Key as _;
use crate::jobs::rows::{DeadIndex, Group, Message, PartitionName, Queue, QueueName, Row};
use crate::jobs::store::{Order, Store};
use crate::replicated::tools::rows::is_moved;
use crate::replicated::tools::rows::{Failed, ToolRows};

/// Partitions that are looked into for their oldest message, of all queues.
const PARTITIONS: usize = 1_000;
/// Times that it is read again since somebody changed it.
const TRIES: usize = 5;

/// A queue in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueNumbers {
    /// Its name.
    pub name: String,
    /// Messages that are not done.
    pub waiting: i64,
    /// Those that somebody has.
    pub out: i64,
    /// Those that failed too often.
    pub dead: i64,
    /// Of these, those that nobody has reviewed.
    pub unread: i64,
    /// When the oldest was pushed, if that was looked for, ms since the epoch.
    pub oldest_at: Option<i64>,
}

/// Its queues, by name; `None` if they change faster than they can be read.
///
/// # Errors
/// Where they can't be read.
pub fn queues(redis: &RedisTool) -> anyhow::Result<Option<Vec<QueueNumbers>>> {
    for _ in 0..TRIES {
        match read(&redis.rows(false)?) {
            Ok(queues) => return Ok(Some(queues)),
            Err(trouble) if is_moved(&trouble) => {}
            Err(trouble) => return Err(in_rows(&trouble)),
        }
    }
    Ok(None)
}

fn read(rows: &ToolRows) -> Result<Vec<QueueNumbers>, Failed> {
    let mut names = BTreeMap::new();
    each::<QueueName>(rows, |name| _ = names.insert(name.key, name.name))?;
    let mut out = BTreeMap::<_, i64>::new();
    let mut unread = BTreeMap::<_, i64>::new();
    each::<Group>(rows, |group| {
        *out.entry(group.queue).or_default() += group.out
    })?;
    each::<DeadIndex>(rows, |dead| {
        *unread.entry(dead.queue).or_default() += i64::from(dead.kind == 1);
    })?;
    let mut all = Vec::new();
    each::<Queue>(rows, |queue| {
        // One that was deleted has no name any more.
        if let Some(name) = names.get(&queue.key) {
            all.push((queue, name.clone()));
        }
    })?;
    let mut left = PARTITIONS;
    let mut found = Vec::with_capacity(all.len());
    for (queue, name) in all {
        let waiting = queue.messages - queue.kept;
        let oldest_at = match waiting > 0 {
            true => oldest(rows, queue.key, &mut left)?,
            false => None,
        };
        let of = |counts: &BTreeMap<i64, i64>| counts.get(&queue.key).copied().unwrap_or(0);
        found.push(QueueNumbers {
            waiting,
            out: of(&out),
            dead: queue.dead,
            unread: of(&unread),
            oldest_at,
            name,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The oldest message of a partition is its first.
fn oldest(rows: &ToolRows, queue: i64, left: &mut usize) -> Result<Option<i64>, Failed> {
    let from = (queue, String::new());
    let partitions = rows.scan::<PartitionName>(&from, &(queue + 1, String::new()), *left)?;
    *left -= partitions.len();
    let mut oldest = None;
    for partition in partitions {
        let from = (partition.key, i64::MIN);
        let to = (partition.key + 1, i64::MIN);
        if let Some(first) = rows.first::<Message>(&from, &to)? {
            let at = first.created_at;
            oldest = Some(oldest.map_or(at, |before: i64| before.min(at)));
        }
    }
    Ok(oldest)
}

fn each<R: Row>(rows: &ToolRows, mut visit: impl FnMut(R)) -> Result<(), Failed> {
    let least = R::Key::least();
    let beyond = R::Key::beyond();
    rows.each::<R>(&least, &beyond, Order::Up, usize::MAX, &mut |row| {
        visit(row);
        ControlFlow::Continue(())
    })
}
