//! Follows the hooks that are stored among the queue's rows: learns of their latest version, and looks for events that
//! time brings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

use super::Dispatch;
use super::due::Fired;
use crate::hooks::file::HookText;
use crate::hooks::{Change, HookStore, Stored};
use crate::jobs::Jobs;
use crate::jobs::look::Query;
use crate::jobs::op::{Answer, Op, Refusal};

/// How often it is looked what time brings, while there are hooks.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is looked whether others have stored hooks, should the word of it have been lost.
const SAFETY: Duration = Duration::from_secs(5);
/// The first rest after a full queue refused what had to be told, and the longest: each is twice the one before.
const RESTS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The hooks of a process.
pub struct Follower {
    jobs: Arc<Jobs>,
    current: watch::Sender<Arc<Stored>>,
    dropped: AtomicU64,
    /// Rung when somebody stored hooks.
    changed: Arc<Notify>,
    alone: Box<dyn Fn() -> bool + Send + Sync>,
    rest: Mutex<Option<(Instant, Duration)>>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl Follower {
    /// Of a process with that queue. `changed` rings when another process stored hooks, `alone` says whether there is one.
    pub(crate) fn new(
        jobs: Arc<Jobs>,
        changed: Arc<Notify>,
        alone: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            jobs,
            current: watch::Sender::new(Arc::default()),
            dropped: AtomicU64::new(0),
            changed,
            alone: Box::new(alone),
            rest: Mutex::new(None),
        })
    }

    /// The version that is followed, as far as is known here.
    pub(crate) fn current(&self) -> Arc<Stored> {
        self.current.borrow().clone()
    }

    /// So many events had no room.
    pub(crate) fn count_dropped(&self, dropped: u64) {
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    /// Tells hooks at once, where the queue does so: in memory.
    pub(crate) fn dispatch_now(&self, it: Dispatch) {
        let (answer, mut told) = oneshot::channel();
        // The queue in memory refuses nothing: what has no room is a gap.
        if self.jobs.submit(Op::Dispatch(it), answer).is_ok()
            && let Ok(Answer::Dispatched { dropped }) = told.try_recv()
        {
            self.count_dropped(dropped);
        }
    }

    /// Follows the last version from here on.
    pub(crate) async fn refresh(&self) -> Result<(), Refusal> {
        let Answer::Hooks(last) = self.jobs.look(Query::Hooks(None)).await? else {
            return Ok(());
        };
        self.current.send_if_modified(|current| {
            // Another one may be the last under the same number, where the store lost something.
            let news = **current != *last;
            if news {
                *current = last;
            }
            news
        });
        Ok(())
    }

    /// Follows, and looks what time brings.
    async fn keep_up(&self) {
        let mut look_again = Instant::now();
        loop {
            let again = Instant::now() >= look_again;
            if again {
                look_again = Instant::now() + SAFETY;
                // If it can't be read now, it can later.
                let _ = self.refresh().await;
            }
            let stored = self.current();
            // What is left of hooks that are gone goes then, too.
            let there = !stored.hooks.is_empty() || (again && stored.is_stored());
            if there && !self.rests() {
                self.fire().await;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.changed.notified() => look_again = Instant::now(),
            }
        }
    }

    fn rests(&self) -> bool {
        let rest = *self.rest.lock();
        rest.is_some_and(|(until, _)| Instant::now() < until)
    }

    async fn fire(&self) {
        if !matches!(self.jobs.look(Query::HooksDue).await, Ok(Answer::Json(due)) if due == true) {
            return;
        }
        if let Ok(Answer::Fired(Fired { refused, .. })) = self.jobs.run(Op::FireHooks).await {
            let mut rest = self.rest.lock();
            *rest = refused.then(|| {
                let pause = rest.map_or(RESTS.0, |(_, pause)| (pause * 2).min(RESTS.1));
                (Instant::now() + pause, pause)
            });
        }
    }
}

impl HookStore for Follower {
    fn watch(&self) -> watch::Receiver<Arc<Stored>> {
        self.current.subscribe()
    }

    fn store(&self, texts: Vec<HookText>, over: bool) -> BoxFuture<'_, Result<Change, String>> {
        async move {
            let stored = self.jobs.run(Op::StoreHooks { texts, over }).await;
            let change = match stored.map_err(|refusal| refusal.message.into_owned())? {
                Answer::HooksStored(change) => change,
                _ => Change::None,
            };
            let followed = self.refresh().await;
            followed.map_err(|refusal| refusal.message.into_owned())?;
            Ok(change)
        }
        .boxed()
    }

    fn alone(&self) -> bool {
        (self.alone)()
    }

    fn turn_off(&self, name: &str, why: &str) -> BoxFuture<'_, Result<bool, String>> {
        let name = name.to_owned();
        let why = why.to_owned();
        async move {
            let turned = self.jobs.run(Op::TurnOffHook { name, why }).await;
            let turned = turned.map_err(|refusal| refusal.message.into_owned())?;
            let followed = self.refresh().await;
            followed.map_err(|refusal| refusal.message.into_owned())?;
            Ok(turned == Answer::Json(true.into()))
        }
        .boxed()
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn run(&self) -> BoxFuture<'_, ()> {
        self.keep_up().boxed()
    }
}
