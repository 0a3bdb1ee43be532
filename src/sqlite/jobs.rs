//! The work queue over the file. Its ops wait in a lane of their own for the writer thread, and have a share of each
//! transaction. So neither jobs nor canvases delay the other for long.

pub(crate) mod store;
pub(super) mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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
use crate::limits::{JobLimits, WAL_LONG_FRAMES};
use crate::sqlite::delivery::stats::{Counters, PASSIVE_FRAMES};
use crate::sqlite::delivery::wake::Peers;
use crate::sqlite::delivery::wake::waker::Waker;
use crate::sqlite::storage::clock::Clock;
use crate::sqlite::storage::ending::Ending;
use store::SqlStore;
use waiting::{Ops, Turn, Waiting};

/// Looks that may read much, at a time: half of the connections that read.
const LOOKS: usize = 2;
/// How long such a look waits for its place.
pub(super) const LOOK_WAIT: Duration = Duration::from_secs(5);
/// What was done in the transaction that is open.
#[derive(Default)]
struct Open {
    /// Something was.
    done: bool,
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    effects: Effects,
}

/// What the lane works with: the writer, and whoever is to know of what was committed.
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) limits: JobLimits,
    pub(super) intake: Arc<Intake<Task>>,
    pub(super) peers: Arc<Peers>,
    pub(super) waker: Arc<Waker>,
    pub(super) counters: Arc<Counters>,
    pub(super) ending: Arc<Ending>,
}

/// Ops that wait for the writer.
#[derive(Default)]
pub(super) struct Lane {
    ops: Mutex<Ops>,
    /// The writer is told already.
    announced: AtomicBool,
    /// Large ones may have a turn though the log is long.
    granted: AtomicBool,
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
        crate::jobs::dispatch::backlog(&mut self.0, queue)
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
        // What gives something back is small, and must not be lost.
        let must = waiting.answer.is_none();
        if !self.ops.lock().add(waiting, must) {
            return Err(later("too many requests wait for the queue"));
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
        let mut turn = Turn::new(self.may_be_large(parts));
        self.granted.store(false, Ordering::Relaxed);
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
        open.done |= !answers.is_empty();
        open.effects.absorb(work.effects);
        open.answers.extend(answers);
        Ok(count)
    }

    fn next(&self, turn: &mut Turn) -> Option<Waiting> {
        self.ops.lock().next(turn)
    }

    /// Whether large ops may be done now. While the log is long they wait for a turn that is granted: everybody waits
    /// while the log is begun anew, for as long as it takes to copy what was not copied before.
    fn may_be_large(&self, parts: &Parts) -> bool {
        let frames = parts.counters.wal_frames.load(Ordering::Relaxed);
        frames < WAL_LONG_FRAMES
            || self.granted.load(Ordering::Relaxed)
            || parts.ending.is_stopping()
    }

    /// One turn for large ops, if some wait: the log may be long for good, since somebody reads in it. The one that asks
    /// is the one that copies the log, so nothing is granted while it does.
    pub(super) fn grant(&self, parts: &Parts) {
        if self.ops.lock().has_large() {
            self.granted.store(true, Ordering::Relaxed);
            // If the writer takes no more, it is stopping.
            let _ = self.announce(parts);
        }
    }

    /// Whoever waits and may go on does.
    fn go_on(&self, parts: &Parts) {
        let large = self.may_be_large(parts);
        if self.ops.lock().is_ready(large) {
            let _ = self.announce(parts);
        }
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
        let wakes: Vec<(u64, i64)> = open.effects.wakes.into_iter().collect();
        let frames = parts.counters.wal_frames.load(Ordering::Relaxed);
        // Who copies the log has to know how long it is, also if nothing else happens.
        let tell = !wakes.is_empty() || (open.done && frames >= PASSIVE_FRAMES);
        if tell && !parts.peers.is_empty() && !parts.peers.notify_jobs(&wakes, frames) {
            parts.waker.notify();
        }
        if !wakes.is_empty() {
            self.hub.wake(wakes, parts.clock.now_ms());
        }
        crate::jobs::metrics::count(&open.effects.counts);
        for (sender, answer) in open.answers {
            let Err(Answer::Popped(popped)) = sender.send(answer) else {
                continue;
            };
            // Nobody is there to get it.
            if let Some(lease) = popped.lease {
                let waiting = Waiting::new(Op::Release(lease), None);
                // If the writer stops, the lease runs out.
                let _ = self.submit(parts, waiting);
            }
        }
        self.go_on(parts);
    }

    /// The transaction was not committed: who asked hears that from the dropped answer.
    pub(super) fn failed(&self, parts: &Parts) {
        *self.open.lock() = Open::default();
        self.go_on(parts);
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
