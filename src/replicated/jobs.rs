//! The work queue over Redis. Its rules run here, over tables in the engine ([`store`]), and their changes are
//! committed in one step. If another process has committed meanwhile, nothing is done, and the rules run again over the
//! new rows. A process that is overtaken too often commits next. A transaction over several queues is one step, too.
//!
//! - [`coding`]: rows and keys as bytes.
//! - [`base`]: the requests to the engine.
//! - [`message`]: the messages between processes.

mod base;
pub(crate) mod coding;
mod message;
pub(crate) mod store;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot};

use super::link::Session;
use super::{ReplicatedBackplane, Shared};
use crate::hooks::HookStore;
use crate::jobs::Jobs;
use crate::jobs::apply::apply;
use crate::jobs::dispatch::follower::Follower;
use crate::jobs::hub::Hub;
use crate::jobs::look::{self, Query};
use crate::jobs::op::{Answer, Op, Refusal};
use crate::jobs::service::{Engine, later};
use crate::jobs::store::Store as _;
use crate::jobs::work::{Effects, Work};
use crate::limits::{JobLimits, PUBLISH_WAIT};
use crate::log::Fault;
use crate::time;
use base::LogBase;
use message::Message;
use store::{RowStore, Trouble};

/// Ops that may wait: each is a request. And their bytes.
const MOST_OPS: usize = 4_096;
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Ops of one commit, and their bytes but for the first: the engine does nothing else meanwhile.
const TURN_OPS: usize = 128;
const TURN_BYTES: usize = 2 * 1024 * 1024;
/// Lookups at a time.
const LOOKS: usize = 4;
/// Whoever was overtaken so often commits next.
const OVERTAKEN: u32 = 3;

type Rows = RowStore<LogBase>;

/// An op, and who waits for its answer.
struct Waiting {
    op: Op,
    bytes: usize,
    /// `None`: nobody, and it is done all the same.
    answer: Option<oneshot::Sender<Answer>>,
}

impl Waiting {
    /// Whoever asked has given up.
    fn is_left(&self) -> bool {
        let answer = self.answer.as_ref();
        answer.is_some_and(oneshot::Sender::is_closed)
    }
}

/// Ops that wait for their commit.
pub(super) struct Lane {
    state: Mutex<(VecDeque<Waiting>, usize)>,
    work: Notify,
    pub(super) hub: Arc<Hub>,
    limits: OnceLock<JobLimits>,
    looks: Arc<Semaphore>,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            work: Notify::new(),
            hub: Arc::default(),
            limits: OnceLock::new(),
            looks: Arc::new(Semaphore::new(LOOKS)),
        }
    }
}

fn random() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}

impl Lane {
    fn limits(&self) -> JobLimits {
        self.limits.get().copied().unwrap_or_default()
    }

    fn submit(&self, waiting: Waiting) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        let (queue, bytes) = &mut *state;
        // What gives something back is small, and must not be lost.
        if waiting.answer.is_some() && (queue.len() >= MOST_OPS || *bytes >= MOST_BYTES) {
            return Err(later("too many requests wait for the queue"));
        }
        *bytes += waiting.bytes;
        queue.push_back(waiting);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    fn take(&self) -> Vec<Waiting> {
        let mut state = self.state.lock();
        let (queue, bytes) = &mut *state;
        let mut taken = Vec::new();
        let mut size = 0;
        while taken.len() < TURN_OPS && (taken.is_empty() || size < TURN_BYTES) {
            let Some(waiting) = queue.pop_front() else {
                break;
            };
            *bytes -= waiting.bytes;
            size += waiting.bytes;
            taken.push(waiting);
        }
        taken
    }

    /// Has it done, for a part of the backplane itself.
    pub(super) fn hand_over(&self, op: Op, answer: oneshot::Sender<Answer>) -> Result<(), Refusal> {
        let bytes = op.size();
        let answer = Some(answer);
        self.submit(Waiting { op, bytes, answer })
    }
}

impl Shared {
    /// What another process tells after a commit.
    pub(super) fn receive_rows(&self, message: &[u8]) {
        let Some(told) = Message::decode(&self.token, message) else {
            return;
        };
        self.jobs.hub.wake(told.wakes, self.now_ms());
        for (canvas, upto) in told.dispatched {
            self.dispatched_elsewhere(&canvas, upto);
        }
        if told.hooks {
            self.dispatcher.changed.notify_one();
        }
    }
}

/// Does what waits, for as long as the instance lives.
pub(super) async fn run(shared: Arc<Shared>) -> String {
    let mut rows: Option<Rows> = None;
    loop {
        let waiting = shared.jobs.take();
        if waiting.is_empty() {
            shared.jobs.work.notified().await;
            continue;
        }
        // Without a connection who asked hears that from the dropped answer.
        let Ok(session) = shared.link.session_soon().await else {
            rows = None;
            continue;
        };
        let same = rows.take().filter(|rows| rows.base.is_of(&session));
        let mut store = match same {
            Some(rows) => rows,
            None => {
                shared.jobs.hub.wake_all();
                RowStore::new(LogBase::new(&shared, session, Handle::current()))
            }
        };
        let parts = shared.clone();
        let turn = tokio::task::spawn_blocking(move || {
            turn(&parts, &mut store, waiting);
            store
        });
        rows = turn.await.ok();
    }
}

/// Commits what waits and answers. What fails together is tried one by one, so that nobody suffers for others.
fn turn(shared: &Shared, rows: &mut Rows, mut waiting: Vec<Waiting>) {
    waiting.retain(|one| !one.is_left());
    if waiting.is_empty() {
        return;
    }
    let done = until_done(rows, |rows| attempt(shared, rows, &waiting));
    match done {
        // Somebody else told that: the others are done without it.
        Err(Trouble::DispatchedBefore(at, upto)) => {
            let dispatches = |one: &Waiting| matches!(one.op, Op::Dispatch(_));
            let place = (0..waiting.len())
                .filter(|n| dispatches(&waiting[*n]))
                .nth(at);
            if let Some(place) = place
                && let Some(answer) = waiting.remove(place).answer
            {
                // Whoever asked may have given up.
                let _ = answer.send(Answer::DispatchedBefore(upto));
                turn(shared, rows, waiting);
            }
        }
        Ok((answers, effects)) => committed(shared, waiting, answers, effects),
        Err(Trouble::Fault(fault @ Fault::Link(_))) => {
            // What became of it is not known: the answers are dropped.
            shared.link.failed(rows.base.session(), &fault);
        }
        Err(_) if waiting.len() > 1 => {
            for one in waiting {
                turn(shared, rows, vec![one]);
            }
        }
        Err(trouble) => {
            let refusal = refusal(shared, &trouble);
            for answer in waiting.into_iter().filter_map(|one| one.answer) {
                // Whoever asked may have given up.
                let _ = answer.send(Answer::Refused(refusal.clone()));
            }
        }
    }
}

/// Again from the start as long as others come first, within bounds.
fn until_done<T>(
    rows: &mut Rows,
    mut attempt: impl FnMut(&mut Rows) -> Result<T, Trouble<Fault>>,
) -> Result<T, Trouble<Fault>> {
    let deadline = time::now() + PUBLISH_WAIT;
    let mut overtaken = 0;
    loop {
        let trouble = match attempt(rows) {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        rows.forget();
        rows.base.forget();
        if !matches!(trouble, Trouble::Moved | Trouble::Locked) || time::now() >= deadline {
            return Err(trouble);
        }
        overtaken += 1;
        if overtaken >= OVERTAKEN && !rows.base.lock()? {
            rows.base.pause();
        }
    }
}

fn attempt(
    shared: &Shared,
    rows: &mut Rows,
    waiting: &[Waiting],
) -> Result<(Vec<Answer>, Effects), Trouble<Fault>> {
    rows.base.begin()?;
    let now = rows.base.now(shared);
    let limits = shared.jobs.limits();
    let mut random = random;
    let mut work = Work::new(rows, now, &limits, &mut random);
    let mut answers = Vec::with_capacity(waiting.len());
    for one in waiting {
        answers.push(apply(&mut work, &one.op)?);
    }
    work.flush()?;
    let effects = work.effects;
    let message = Message::encode(&shared.token, &effects);
    rows.base.about_to_commit(now, message, &effects);
    rows.commit()?;
    Ok((answers, effects))
}

fn committed(shared: &Shared, waiting: Vec<Waiting>, answers: Vec<Answer>, effects: Effects) {
    crate::jobs::metrics::count(&effects.counts);
    shared.jobs.hub.wake(effects.wakes, shared.now_ms());
    for (one, answer) in waiting.into_iter().zip(answers) {
        // Nobody is there to get what was popped: it goes back.
        if let Some(sender) = one.answer
            && let Err(Answer::Popped(popped)) = sender.send(answer)
            && let Some(lease) = popped.lease
        {
            // If it is not done, the lease runs out.
            let _ = shared.jobs.submit(Waiting {
                op: Op::Release(lease),
                bytes: 0,
                answer: None,
            });
        }
    }
}

fn refusal(shared: &Shared, trouble: &Trouble<Fault>) -> Refusal {
    let engine = shared.engine();
    match trouble {
        Trouble::Moved | Trouble::Locked | Trouble::DispatchedBefore(..) => {
            later("too many processes change the queue at once")
        }
        Trouble::Damaged(table) => {
            tracing::error!(table, "the work queue in {engine} is damaged");
            let message = format!("the work queue in {engine} is damaged: {table}");
            Refusal::new(503, "overloaded", message)
        }
        Trouble::Fault(fault) => Refusal::new(503, "overloaded", format!("{engine}: {fault}")),
    }
}

/// The queue of a relay over a log, and its hooks.
#[must_use]
pub fn jobs(
    backplane: &Arc<ReplicatedBackplane>,
    limits: JobLimits,
) -> (Arc<Jobs>, Arc<dyn HookStore>) {
    let shared = backplane.shared.clone();
    shared.jobs.limits.get_or_init(|| limits);
    let hub = shared.jobs.hub.clone();
    let jobs = Jobs::new(Arc::new(LogJobs(shared.clone())), hub);
    let changed = shared.dispatcher.changed.clone();
    let alone = shared.clone();
    let alone = move || alone.others.load(Ordering::Relaxed) == 0;
    let hooks = Follower::new(jobs.clone(), changed, alone);
    shared.dispatcher.follow(&hooks);
    (jobs, hooks)
}

struct LogJobs(Arc<Shared>);

impl Engine for LogJobs {
    fn submit(&self, op: Op, answer: oneshot::Sender<Answer>) -> Result<(), Refusal> {
        if self.0.ending.load(Ordering::Acquire) {
            return Err(later("this process is stopping"));
        }
        let bytes = op.size();
        let answer = Some(answer);
        self.0.jobs.submit(Waiting { op, bytes, answer })
    }

    fn look(&self, query: Query) -> BoxFuture<'static, Result<Answer, Refusal>> {
        let shared = self.0.clone();
        async move {
            let gone = |_| later("this process is stopping");
            let turn = shared.jobs.looks.clone().acquire_owned();
            let _turn = turn.await.map_err(gone)?;
            let session: Session = shared
                .link
                .session_soon()
                .await
                .map_err(|error| Refusal::new(503, "overloaded", error.to_string()))?;
            let handle = Handle::current();
            let looked =
                tokio::task::spawn_blocking(move || looked(&shared, session, handle, &query));
            looked.await.map_err(|_| later("it could not be read"))?
        }
        .boxed()
    }

    fn now_ms(&self) -> i64 {
        self.0.now_ms()
    }

    /// Each process does: one that comes second finds nothing left, or is overtaken.
    fn sweeps(&self) -> bool {
        true
    }

    fn version(&self) -> BoxFuture<'static, Option<i64>> {
        let look = self.look(Query::Version);
        async move {
            match look.await {
                Ok(Answer::Json(version)) => version.as_i64(),
                _ => None,
            }
        }
        .boxed()
    }
}

pub(super) fn looked(
    shared: &Arc<Shared>,
    session: Session,
    handle: Handle,
    query: &Query,
) -> Result<Answer, Refusal> {
    let id = session.id;
    let mut rows = RowStore::new(LogBase::new(shared, session, handle));
    let found = until_done(&mut rows, |rows| {
        rows.base.begin()?;
        let now = rows.base.now(shared);
        let limits = shared.jobs.limits();
        let mut random = random;
        let mut work = Work::new(rows, now, &limits, &mut random);
        look::answer(&mut work, query)
    });
    rows.base.unlock();
    found.map_err(|trouble| {
        if let Trouble::Fault(fault) = &trouble {
            shared.link.failed(id, fault);
        }
        refusal(shared, &trouble)
    })
}
