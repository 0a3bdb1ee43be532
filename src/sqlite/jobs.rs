//! The work queue over the file. Its ops wait in a lane of their own for the writer thread, and have a share of each
//! transaction. So neither jobs nor canvases delay the other for long.

pub(crate) mod store;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::command::{Command, Task};
use crate::backplane::intake::Intake;
use crate::jobs::apply::apply;
use crate::jobs::hub::Hub;
use crate::jobs::look::Query;
use crate::jobs::op::{Answer, Op, PushItem, Pushed, Refusal};
use crate::jobs::service::later;
use crate::jobs::work::{Effects, Work};
use crate::limits::{BATCH_BYTES, JobLimits};
use crate::sqlite::delivery::wake::Peers;
use crate::sqlite::delivery::wake::waker::Waker;
use crate::sqlite::storage::clock::Clock;
use store::SqlStore;

/// Ops that may wait: each is a request.
const MOST_OPS: usize = 4_096;
/// Bytes of those.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Looks that may read much, at a time: half of the connections that read.
const LOOKS: usize = 2;
/// How long such a look waits for its place.
pub(super) const LOOK_WAIT: Duration = Duration::from_secs(5);
/// Ops of one transaction.
const TURN_OPS: usize = 512;
/// How long a transaction's share may take, but for its first op: what canvases wait for at most.
const TURN_TIME: Duration = Duration::from_millis(10);

/// An op, and who waits for its answer.
pub(super) struct Waiting {
    pub(super) op: Op,
    pub(super) bytes: usize,
    pub(super) answer: Option<oneshot::Sender<Answer>>,
}

/// The jobs' share of one transaction, as far as it is used. It may have as many bytes as canvases may: what is committed
/// at once is written at once, and others wait for it. The first op has room whatever it is.
struct Turn {
    began: Instant,
    ops: usize,
    bytes: usize,
}

impl Turn {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            ops: 0,
            bytes: 0,
        }
    }

    fn is_over(&self) -> bool {
        let over =
            self.ops >= TURN_OPS || self.bytes >= BATCH_BYTES || self.began.elapsed() >= TURN_TIME;
        self.ops > 0 && over
    }
}

/// What was done in the transaction that is open.
#[derive(Default)]
struct Open {
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    effects: Effects,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

/// What the lane works with: the writer, and whoever is to know of what was committed.
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) limits: JobLimits,
    pub(super) intake: Arc<Intake<Task>>,
    pub(super) peers: Arc<Peers>,
    pub(super) waker: Arc<Waker>,
}

/// Ops that wait for the writer.
#[derive(Default)]
pub(super) struct Lane {
    state: Mutex<State>,
    /// The writer is told already.
    announced: AtomicBool,
    open: Mutex<Open>,
    pub(super) looks: Looks,
    pub(super) hub: Arc<Hub>,
}

/// Places for looks that may read much. They leave the other connections to those who join canvases.
pub(super) struct Looks(Arc<Semaphore>);

impl Default for Looks {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKS)))
    }
}

impl Looks {
    /// A place for that look, if it needs one.
    pub(super) async fn place(
        &self,
        query: &Query,
        wait: Duration,
    ) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        if !matches!(query, Query::Lists(_) | Query::Status(_)) {
            return Ok(None);
        }
        let place = tokio::time::timeout(wait, self.0.clone().acquire_owned()).await;
        let place = place.ok().and_then(Result::ok);
        place
            .map(Some)
            .ok_or_else(|| later("too many lists and numbers of jobs are being read"))
    }
}

/// Pushes messages within a transaction of the writer's.
pub(super) struct Pusher<'a>(Work<'a, SqlStore<'a>>);

impl Pusher<'_> {
    /// Pushes one.
    pub(super) fn push(&mut self, item: &PushItem) -> rusqlite::Result<Pushed> {
        match crate::jobs::push::push_one(&mut self.0, item)? {
            Ok(pushed) => Ok(pushed),
            Err(refusal) => Ok(Pushed::Failed {
                name: item.name.clone(),
                refusal,
            }),
        }
    }

    /// How many messages wait in a queue, and its bytes; none if there is no such queue.
    pub(super) fn backlog(&mut self, queue: &str) -> rusqlite::Result<(u64, u64)> {
        crate::jobs::telling::backlog(&mut self.0, queue)
    }

    /// Whether all queues together have room for so many bytes, and one more.
    pub(super) fn has_bytes(&mut self, more: u64) -> rusqlite::Result<bool> {
        let all = self.0.bytes()?;
        let most = self.0.limits.bytes;
        Ok(all.saturating_add_unsigned(more) < most)
    }
}

/// Random bytes, for the rules.
pub(super) fn random() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}

impl Lane {
    /// Takes an op, or says why not.
    pub(super) fn submit(&self, parts: &Parts, waiting: Waiting) -> Result<(), Refusal> {
        {
            let mut state = self.state.lock();
            let full = state.waiting.len() >= MOST_OPS || state.bytes >= MOST_BYTES;
            // What gives something back is small, and must not be lost.
            if full && waiting.answer.is_some() {
                return Err(later("too many requests wait for the queue"));
            }
            state.bytes += waiting.bytes;
            state.waiting.push_back(waiting);
        }
        self.announce(parts)
    }

    fn announce(&self, parts: &Parts) -> Result<(), Refusal> {
        if !self.announced.swap(true, Ordering::AcqRel) && !parts.intake.submit(Command::Jobs, None)
        {
            self.announced.store(false, Ordering::Release);
            return Err(later("the writer is stopping or has too much to do"));
        }
        Ok(())
    }

    /// Does what waits, within the writer's transaction. The answer is how many ops that were.
    pub(super) fn run(
        &self,
        parts: &Parts,
        conn: &Connection,
        now_ms: i64,
    ) -> rusqlite::Result<i64> {
        // Before it is looked: who comes later rings again.
        self.announced.store(false, Ordering::Release);
        let mut turn = Turn::new();
        let mut store = SqlStore(conn);
        let mut random = random;
        let mut work = Work::new(&mut store, now_ms, &parts.limits, &mut random);
        let mut answers = Vec::new();
        while let Some(waiting) = self.next(&mut turn) {
            // Who has given up gets nothing, above all no lease.
            if waiting
                .answer
                .as_ref()
                .is_some_and(oneshot::Sender::is_closed)
            {
                continue;
            }
            let answer = apply(&mut work, &waiting.op)?;
            answers.extend(waiting.answer.map(|sender| (sender, answer)));
        }
        work.flush()?;
        let count = i64::try_from(answers.len()).unwrap_or(0);
        let mut open = self.open.lock();
        open.effects.absorb(work.effects);
        open.answers.extend(answers);
        Ok(count)
    }

    fn next(&self, turn: &mut Turn) -> Option<Waiting> {
        if turn.is_over() {
            return None;
        }
        let mut state = self.state.lock();
        let waiting = state.waiting.pop_front()?;
        state.bytes -= waiting.bytes;
        turn.ops += 1;
        turn.bytes += waiting.bytes;
        Some(waiting)
    }

    /// Pushes within the transaction that the writer has open on `conn`: what `with` pushes is there if and only if it is committed.
    pub(super) fn in_txn<T>(
        &self,
        limits: &JobLimits,
        conn: &Connection,
        now_ms: i64,
        with: impl FnOnce(&mut Pusher<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let mut store = SqlStore(conn);
        let mut random = random;
        let mut pusher = Pusher(Work::new(&mut store, now_ms, limits, &mut random));
        let done = with(&mut pusher)?;
        pusher.0.flush()?;
        self.open.lock().effects.absorb(pusher.0.effects);
        Ok(done)
    }

    /// The transaction is committed: whoever waits hears of it, on every process, and whoever asked gets the answer.
    pub(super) fn committed(&self, parts: &Parts) {
        let open = std::mem::take(&mut *self.open.lock());
        if !open.effects.wakes.is_empty() {
            let wakes: Vec<(u64, i64)> = open.effects.wakes.into_iter().collect();
            if !parts.peers.is_empty() && !parts.peers.notify_jobs(&wakes) {
                parts.waker.notify();
            }
            self.hub.wake(wakes, parts.clock.now_ms());
        }
        crate::jobs::metrics::count(&open.effects.counts);
        for (sender, answer) in open.answers {
            let Err(Answer::Popped(popped)) = sender.send(answer) else {
                continue;
            };
            // Nobody is there to get it.
            if let Some(lease) = popped.lease {
                let op = Op::Release(lease);
                let waiting = Waiting {
                    op,
                    bytes: 0,
                    answer: None,
                };
                // If the writer stops, the lease runs out.
                let _ = self.submit(parts, waiting);
            }
        }
        if !self.state.lock().waiting.is_empty() {
            let _ = self.announce(parts);
        }
    }

    /// The transaction was not committed: who asked hears that from the dropped answer.
    pub(super) fn failed(&self, parts: &Parts) {
        *self.open.lock() = Open::default();
        if !self.state.lock().waiting.is_empty() {
            let _ = self.announce(parts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::tests::config;

    fn item(name: &str) -> PushItem {
        PushItem {
            queue: "canvas-events".to_owned(),
            partition: "board".to_owned(),
            name: name.to_owned(),
            payload: "{}".to_owned(),
            ..PushItem::default()
        }
    }

    #[test]
    fn what_is_enqueued_within_a_transaction_is_there_if_and_only_if_it_is_committed() {
        let dir = tempfile::tempdir().unwrap();
        let conn = crate::sqlite::storage::schema::prepare(&config(dir.path(), "one"))
            .unwrap()
            .conn;
        let (lane, limits) = (Lane::default(), JobLimits::default());
        let canvas = "INSERT INTO canvases (canvas_id, epoch, created_at) VALUES ('board', 'e', 1)";
        let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let both =
            || count("SELECT (SELECT count(*) FROM canvases) * 10 + count(*) FROM job_messages");
        for (end, rows) in [("ROLLBACK", 0), ("COMMIT", 12)] {
            conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            conn.execute(canvas, []).unwrap();
            let push = |names: &[&str]| {
                lane.in_txn(&limits, &conn, 1_000, |push| {
                    names
                        .iter()
                        .map(|name| push.push(&item(name)))
                        .collect::<Result<Vec<_>, _>>()
                })
                .unwrap()
            };
            assert!(matches!(push(&["a"])[..], [Pushed::Queued(_)]));
            assert!(matches!(
                push(&["b", "a"])[..],
                [Pushed::Queued(_), Pushed::Duplicate(_)]
            ));
            conn.execute_batch(end).unwrap();
            assert_eq!(both(), rows);
        }
        // Whoever waits is told once it is committed.
        let wakes = std::mem::take(&mut lane.open.lock().effects.wakes);
        assert_eq!(
            wakes.into_keys().collect::<Vec<_>>(),
            [crate::jobs::work::hash("canvas-events")]
        );
    }

    #[test]
    fn a_transaction_has_no_more_bytes_of_jobs_than_of_canvases() {
        let lane = Lane::default();
        for bytes in [BATCH_BYTES / 2, BATCH_BYTES / 2, 1, 4 * BATCH_BYTES, 1] {
            let waiting = Waiting {
                op: Op::Push(Vec::new()),
                bytes,
                answer: None,
            };
            let mut state = lane.state.lock();
            state.bytes += bytes;
            state.waiting.push_back(waiting);
        }
        let taken = |()| {
            let mut turn = Turn::new();
            // However slow the machine is.
            turn.began += Duration::from_secs(60);
            std::iter::from_fn(|| lane.next(&mut turn)).count()
        };
        assert_eq!([(); 4].map(taken), [2, 2, 1, 0]);
        assert_eq!(lane.state.lock().bytes, 0);
    }

    #[tokio::test]
    async fn looks_that_may_read_much_have_few_places_and_wait_for_one_only_so_long() {
        let much = Query::Status(crate::jobs::status::Query::Overview);
        let (looks, wait) = (Looks::default(), Duration::from_millis(10));
        let mut places = Vec::new();
        for _ in 0..LOOKS {
            places.push(looks.place(&much, wait).await.unwrap());
        }
        assert_eq!(looks.place(&much, wait).await.unwrap_err().status, 503);
        assert!(looks.place(&Query::Version, wait).await.unwrap().is_none());
        places.pop();
        assert!(looks.place(&much, wait).await.unwrap().is_some());
    }
}
