//! The work queue in `scumble doctor`: each queue in numbers, and dead letters that nobody has looked at.

use anyhow::Context;

use super::{Patient, Verdict};
use crate::transfer::queues::QueueNumbers;

/// Queues that are told of one by one; the others are summed up.
const MOST_QUEUES: usize = 20;
/// Messages that waited this long while nobody had one: a day.
const IDLE_MS: i64 = 24 * 60 * 60 * 1_000;

/// Each queue that exists, by name. The oldest message of a partition is its first.
const QUEUES: &str = "SELECT n.name, q.messages - q.kept, q.dead,
      (SELECT coalesce(sum(g.out), 0) FROM job_groups AS g WHERE g.queue = q.key),
      (SELECT count(*) FROM job_dead AS d WHERE d.queue = q.key AND d.reviewed_at IS NULL)
    FROM job_queue_names AS n JOIN job_queues AS q ON q.key = n.key ORDER BY n.name";
const OLDEST: &str = "SELECT min((SELECT m.created_at FROM job_messages AS m WHERE m.partition = p.key ORDER BY m.seq LIMIT 1))
    FROM job_queue_names AS n JOIN job_queues AS q ON q.key = n.key
    JOIN job_partitions AS p ON p.queue = q.key AND p.key >= q.cleared WHERE n.name = ?1";

struct Queue {
    name: String,
    waiting: i64,
    dead: i64,
    out: i64,
    unread: i64,
    oldest_ms: Option<i64>,
}

impl Queue {
    fn verdict(&self) -> Verdict {
        let Self {
            name,
            waiting,
            dead,
            out,
            ..
        } = self;
        let oldest = self
            .oldest_ms
            .filter(|_| *waiting > 0)
            .map_or_else(String::new, |ms| {
                format!(", the oldest {} s old", ms / 1_000)
            });
        let told = format!("{name}: {waiting} waiting{oldest}, {out} in flight, {dead} dead");
        if self.unread > 0 {
            let what = format!("{told}, of which nobody has reviewed {}", self.unread);
            let todo = "`scumble jobs dlq QUEUE` shows why; then `scumble jobs replay ID`, or mark them as reviewed";
            return Verdict::finding(what, todo);
        }
        if *out == 0 && *waiting > 0 && self.oldest_ms.is_some_and(|ms| ms > IDLE_MS) {
            let todo = "nobody has taken anything: see that its workers run, or delete the queue";
            return Verdict::finding(told, todo);
        }
        Verdict::Fine(told)
    }
}

/// The queues: depth, age of the oldest, in flight, dead.
pub(super) fn queues(patient: &Patient<'_>) -> anyhow::Result<Vec<Verdict>> {
    let mut statement = patient.conn.prepare(QUEUES).context("job_queues")?;
    let rows = statement.query_map([], |row| {
        Ok(Queue {
            name: row.get(0)?,
            waiting: row.get(1)?,
            dead: row.get(2)?,
            out: row.get(3)?,
            unread: row.get(4)?,
            oldest_ms: None,
        })
    })?;
    let mut queues: Vec<Queue> = rows.collect::<Result<_, _>>()?;
    let mut oldest = patient.conn.prepare(OLDEST).context("job_partitions")?;
    for queue in &mut queues {
        let at: Option<i64> = oldest.query_row([&queue.name], |row| row.get(0))?;
        queue.oldest_ms = at.map(|at| (patient.now_ms - at).max(0));
    }
    Ok(told(&queues))
}

/// Queues as a relay in Redis has them.
pub(super) fn of_redis(found: Vec<QueueNumbers>, now_ms: i64) -> Vec<Verdict> {
    let queues: Vec<Queue> = found
        .into_iter()
        .map(|queue| Queue {
            name: queue.name,
            waiting: queue.waiting,
            dead: queue.dead,
            out: queue.out,
            unread: queue.unread,
            oldest_ms: queue.oldest_at.map(|at| (now_ms - at).max(0)),
        })
        .collect();
    told(&queues)
}

fn told(queues: &[Queue]) -> Vec<Verdict> {
    if queues.is_empty() {
        return vec![Verdict::Fine("none".to_owned())];
    }
    // Those with a finding first: they are told of whatever their number.
    let (mut found, mut fine): (Vec<_>, Vec<_>) = queues
        .iter()
        .map(Queue::verdict)
        .partition(|verdict| matches!(verdict, Verdict::Finding { .. }));
    if fine.len() > MOST_QUEUES {
        let rest = fine.len() - MOST_QUEUES;
        fine.truncate(MOST_QUEUES);
        fine.push(Verdict::Fine(format!("{rest} queues more, nothing to do")));
    }
    found.append(&mut fine);
    found
}
