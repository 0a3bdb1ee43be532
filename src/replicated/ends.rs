//! Canvases that no instance has open. What has expired there is removed, and canvases that nobody has used for too
//! long are emptied. The sums over all canvases are counted again now and then.

use std::time::Duration;

use super::Shared;
use super::link::Session;
use crate::canvas::CanvasState;
use crate::log::{Fault, Recount, Recounted};
use crate::protocol::ids::CanvasId;
use crate::time;

/// How often it is looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is asked whether it is time to count again. The engine knows when that was done last.
const ASK: Duration = Duration::from_secs(5);
/// Between two steps of a count: what is short does not wait long behind them.
const STEP: Duration = Duration::from_millis(20);

/// Looks after canvases that nobody has, as long as the instance lives.
pub(super) async fn look_after(shared: &Shared) -> String {
    loop {
        time::sleep(LOOK).await;
        let Some(session) = shared.link.now() else {
            continue;
        };
        let done = match session.log.end_due().await {
            Ok(unused) => shared.empty_all(&session, unused).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = done {
            shared.link.failed(session.id, &fault);
        }
    }
}

/// Counts again now and then, as long as the instance lives.
pub(super) async fn count_again(shared: &Shared) -> String {
    loop {
        if let Some(session) = shared.link.now()
            && let Err(fault) = count(shared, &session).await
        {
            shared.link.failed(session.id, &fault);
        }
        time::sleep(ASK).await;
    }
}

async fn count(shared: &Shared, session: &Session) -> Result<(), Fault> {
    let mut at: Option<Recount> = None;
    loop {
        match session.log.recount(at).await? {
            Recounted::Nothing | Recounted::Done(0, 0) => return Ok(()),
            Recounted::Done(log_bytes, stored_bytes) => {
                tracing::warn!(
                    log_bytes,
                    stored_bytes,
                    "the sums of the canvases' sizes in {} were wrong by this: they were corrected",
                    shared.engine()
                );
                return Ok(());
            }
            Recounted::More(next) => at = Some(next),
        }
        time::sleep(STEP).await;
    }
}

impl Shared {
    async fn empty_all(&self, session: &Session, unused: Vec<String>) -> Result<(), Fault> {
        for name in unused {
            let Ok(id) = CanvasId::parse(&name) else {
                continue;
            };
            match self.empty(session, &id).await {
                Ok(()) => {}
                Err(fault @ Fault::Link(_)) => return Err(fault),
                Err(fault) => {
                    tracing::warn!(canvas = %id, %fault, "a canvas that nobody uses could not be emptied: it is tried again");
                }
            }
        }
        Ok(())
    }

    /// Empties a canvas that nobody has used for too long, unless somebody comes.
    async fn empty(&self, session: &Session, id: &CanvasId) -> Result<(), Fault> {
        let replica = self.find_or_read(id).await?;
        let deserted = {
            let inner = replica.inner.lock();
            let state = inner.state.as_ref().filter(|_| inner.sink.is_none());
            state
                .is_some_and(CanvasState::is_deserted)
                .then_some(inner.n)
        };
        let Some(n) = deserted else { return Ok(()) };
        if self.restart(session, &replica, Some(n)).await?.is_some() {
            tracing::info!(canvas = %id, "a canvas that nobody used was emptied");
        }
        Ok(())
    }
}
