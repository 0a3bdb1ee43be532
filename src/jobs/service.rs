//! The queue as the rest of the process sees it: ops go to an engine that keeps the rows, and pops may wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;

use super::hub::{Hub, Ticket, Wanted};
use super::look::Query;
use super::op::{Answer, LeaseId, Op, PopRequest, Popped, Refusal, Source, Sweep};
use super::status;
use super::work::hash;
use crate::limits;

/// Keeps the rows: a file, or memory.
pub(crate) trait Engine: Send + Sync {
    /// Has the op done; the answer comes once it is committed. Dropped if it was not.
    fn submit(&self, op: Op, answer: oneshot::Sender<Answer>) -> Result<(), Refusal>;
    /// Looks something up, as it is committed.
    fn look(&self, query: Query) -> BoxFuture<'static, Result<Answer, Refusal>>;
    /// The relay's clock, in milliseconds.
    fn now_ms(&self) -> i64;
    /// Whether this process is the one that sweeps.
    fn sweeps(&self) -> bool;
    /// Changes whenever anything was committed to the queue, of whatever process.
    fn version(&self) -> BoxFuture<'static, Option<i64>>;
}

/// How often a sweep is made, at least.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether a wake was lost, while somebody waits.
const SAFETY_EVERY: Duration = Duration::from_secs(2);
/// Leases that were given out here and may not have ended: beyond, a drain does not wait for the oldest.
const MOST_LEASES: usize = 16_384;

/// The queue.
pub struct Jobs {
    engine: Arc<dyn Engine>,
    pub(crate) hub: Arc<Hub>,
    draining: AtomicBool,
    /// Given out by this process, with their ends.
    leases: Mutex<Vec<(LeaseId, i64)>>,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

/// What could not be done in time, or at all for now.
pub(crate) fn later(message: &'static str) -> Refusal {
    Refusal::new(503, "overloaded", message)
}

impl Jobs {
    pub(crate) fn new(engine: Arc<dyn Engine>, hub: Arc<Hub>) -> Arc<Self> {
        Arc::new(Self {
            engine,
            hub,
            draining: AtomicBool::new(false),
            leases: Mutex::default(),
        })
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.engine.now_ms()
    }

    /// Does an op.
    pub(crate) async fn run(&self, op: Op) -> Result<Answer, Refusal> {
        let (answer, done) = oneshot::channel();
        self.engine.submit(op, answer)?;
        let done = tokio::time::timeout(limits::PUBLISH_WAIT, done).await;
        let late = later(
            "it could not be committed in time; it may be yet: ask again with the same transactionId",
        );
        match done.map_err(|_| late)? {
            Ok(Answer::Refused(refusal)) => Err(refusal),
            Ok(answer) => Ok(answer),
            Err(_) => Err(later("it could not be committed")),
        }
    }

    /// Hands an op over, without waiting for its answer.
    pub(crate) fn submit(&self, op: Op, answer: oneshot::Sender<Answer>) -> Result<(), Refusal> {
        self.engine.submit(op, answer)
    }

    /// Looks something up.
    pub(crate) async fn look(&self, query: Query) -> Result<Answer, Refusal> {
        match self.engine.look(query).await? {
            Answer::Refused(refusal) => Err(refusal),
            answer => Ok(answer),
        }
    }

    /// What is in the queues: a row for each of the first, and one for the others together.
    ///
    /// # Errors
    /// When the store did not answer.
    pub(crate) async fn gauges(&self) -> Result<Value, Refusal> {
        match self.look(Query::Status(status::Query::Gauges)).await? {
            Answer::Json(rows) => Ok(rows),
            _ => Ok(Value::Null),
        }
    }

    /// Pops; waits until `deadline` if nothing is there. While the process drains, nothing is given out.
    pub(crate) async fn pop(
        &self,
        request: PopRequest,
        deadline: Option<Instant>,
    ) -> Result<Popped, Refusal> {
        let wanted = wanted(&request);
        if deadline.is_some() && !self.hub.may_wait(&wanted) {
            let most = limits::JOB_FILTERS;
            return Err(Refusal::full(format!(
                "pops by namespace or task wait in {most} ways already (consumerGroup, namespace, task): that is the most; pop without wait, or \
                 from a queue"
            )));
        }
        let mut ticket = self.hub.enter(wanted);
        loop {
            if self.draining.load(Ordering::Acquire) {
                return Ok(Popped::default());
            }
            ticket.about_to_look();
            let popped = match self.run(Op::Pop(request.clone())).await? {
                Answer::Popped(popped) => popped,
                _ => Popped::default(),
            };
            ticket.more = popped.more;
            if !popped.messages.is_empty() {
                self.note(&popped);
                return Ok(popped);
            }
            let Some(deadline) = deadline.filter(|deadline| Instant::now() < *deadline) else {
                return Ok(popped);
            };
            if !popped.more {
                wait(&ticket, popped.next_at, deadline).await;
            }
        }
    }

    /// What was popped can't be handed over: it goes back as it was.
    pub(crate) async fn give_back(&self, lease: LeaseId) {
        // If it can't be given back now, its lease runs out.
        let _ = self.run(Op::Release(lease)).await;
    }

    fn note(&self, popped: &Popped) {
        let Some(lease) = popped.lease else { return };
        // There is no lease of nothing.
        let Some(until) = popped.messages.first().map(|message| message.until) else {
            return;
        };
        let now = self.now_ms();
        let mut leases = self.leases.lock();
        if leases.len() >= MOST_LEASES {
            leases.retain(|(_, until)| *until > now);
            let over = leases.len().saturating_sub(MOST_LEASES - 1);
            leases.drain(..over);
        }
        leases.push((lease, until));
    }

    /// Nothing is given out any more; whoever waits gets nothing.
    pub fn go_away(&self) {
        self.draining.store(true, Ordering::Release);
        self.hub.end();
    }

    /// Waits until all that was given out here has been acked, or has run out. The caller bounds the wait.
    pub async fn settled(&self) {
        loop {
            let now = self.now_ms();
            let left: Vec<LeaseId> = {
                let mut leases = self.leases.lock();
                leases.retain(|(_, until)| *until > now);
                leases.iter().map(|(lease, _)| *lease).collect()
            };
            if left.is_empty() {
                return;
            }
            match self.look(Query::Leases(left)).await {
                Ok(Answer::Json(json)) if json == 0 => return,
                _ => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
    }

    /// Keeps time for those who wait, and sweeps. Runs as long as the process.
    pub async fn run_upkeep(&self) {
        let mut sweep = Sweep::default();
        let mut sweep_at = Instant::now();
        let mut look_at = Instant::now();
        let mut version = None;
        loop {
            let now = Instant::now();
            if now >= sweep_at {
                let busy = self.sweep(&mut sweep).await;
                let pause = if busy {
                    Duration::from_millis(5)
                } else {
                    SWEEP_EVERY
                };
                sweep_at = Instant::now() + pause;
            }
            if now >= look_at {
                look_at = now + SAFETY_EVERY;
                self.look_for_lost_wakes(&mut version).await;
            }
            let due = self.hub.tick(self.now_ms());
            let due = due.map(|at| {
                let ms = u64::try_from(at - self.now_ms()).unwrap_or(0);
                Instant::now() + Duration::from_millis(ms)
            });
            let mut until = sweep_at.min(look_at);
            if let Some(due) = due {
                until = until.min(due);
            }
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = self.hub.changed() => {}
            }
        }
    }

    async fn sweep(&self, sweep: &mut Sweep) -> bool {
        if !self.engine.sweeps() {
            return false;
        }
        match self.look(Query::SweepDue).await {
            Ok(Answer::Json(due)) if due == false => return false,
            _ => {}
        }
        match self.run(Op::Sweep(sweep.clone())).await {
            Ok(Answer::Swept { next, busy }) => {
                let round_goes_on = next != Sweep::default();
                *sweep = next;
                busy || round_goes_on
            }
            // The next one tries again; the writer reports what lasts.
            _ => false,
        }
    }

    /// A datagram may be lost: whoever waits looks once when something was committed meanwhile.
    async fn look_for_lost_wakes(&self, version: &mut Option<i64>) {
        if self.hub.len() == 0 {
            return;
        }
        let found = self.engine.version().await;
        if found != *version {
            *version = found;
            self.hub.wake_all();
        }
    }
}

async fn wait(ticket: &Ticket, next_at: Option<i64>, deadline: Instant) {
    if let Some(at) = next_at {
        ticket.due_at(at);
    }
    tokio::select! {
        () = ticket.woken() => {}
        () = tokio::time::sleep_until(deadline.into()) => {}
    }
}

fn wanted(request: &PopRequest) -> Wanted {
    let (queue, partition) = match &request.from {
        Source::Queue { queue, partition } => (Some(hash(queue)), partition.as_deref().map(hash)),
        Source::Filter { namespace, task } => {
            let text = format!("{namespace:?}/{task:?}");
            (None, Some(hash(&text)))
        }
    };
    Wanted {
        queue,
        group: hash(&request.group),
        partition,
    }
}
