//! The queue of one process in its memory, for `--queue off`. It is lost when the process ends.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::apply::apply;
use super::hub::Hub;
use super::look::{self, Query};
use super::memory::MemoryStore;
use super::op::{Answer, Op, Refusal};
use super::service::{Engine, Jobs};
use super::work::Work;
use crate::limits::JobLimits;

struct MemoryEngine {
    store: Mutex<MemoryStore>,
    hub: Arc<Hub>,
    limits: JobLimits,
    /// The wall clock when it began; from there it counts steadily.
    began_ms: i64,
    began: Instant,
}

/// The queue in memory.
#[must_use]
pub fn start(limits: JobLimits) -> Arc<Jobs> {
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let hub = Arc::<Hub>::default();
    let engine = MemoryEngine {
        store: Mutex::default(),
        hub: hub.clone(),
        limits,
        began_ms: i64::try_from(wall.as_millis()).unwrap_or(0),
        began: Instant::now(),
    };
    Jobs::new(Arc::new(engine), hub)
}

fn random() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}

impl Engine for MemoryEngine {
    fn submit(&self, op: Op, answer: oneshot::Sender<Answer>) -> Result<(), Refusal> {
        let now = self.now_ms();
        let (done, effects) = {
            let mut store = self.store.lock();
            let mut random = random;
            let mut work = Work::new(&mut *store, now, &self.limits, &mut random);
            let Ok(done) = apply(&mut work, &op);
            let Ok(()) = work.flush();
            (done, work.effects)
        };
        super::metrics::count(&effects.counts);
        self.hub.wake(effects.wakes, now);
        // Whoever asked may be gone: what was popped goes back.
        if let Err(Answer::Popped(popped)) = answer.send(done)
            && let Some(lease) = popped.lease
        {
            let (nobody, _) = oneshot::channel();
            return self.submit(Op::Release(lease), nobody);
        }
        Ok(())
    }

    fn look(&self, query: Query) -> BoxFuture<'static, Result<Answer, Refusal>> {
        let mut store = self.store.lock();
        let mut random = random;
        let now = self.now_ms();
        let mut work = Work::new(&mut *store, now, &self.limits, &mut random);
        let Ok(answer) = look::answer(&mut work, &query);
        ready(Ok(answer)).boxed()
    }

    fn now_ms(&self) -> i64 {
        let since = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.began_ms.saturating_add(since)
    }

    fn sweeps(&self) -> bool {
        true
    }

    fn version(&self) -> BoxFuture<'static, Option<i64>> {
        // No wake is lost here.
        ready(None).boxed()
    }
}
