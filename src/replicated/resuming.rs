//! The steps before a new link is used: all copies subscribe again, and each instance says whether the log has
//! everything that its copies have. If all instances say yes, nothing was lost, and everything continues.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::link::Session;
use super::loading::opening;
use super::replica::Replica;
use crate::log::{Fault, LogEnd, Proof};
use crate::protocol::ids::CanvasId;
use crate::time;
use futures::{StreamExt, stream};

/// Canvases that are asked about in one request.
const CHUNK: usize = 256;
/// Requests of single canvases that are under way at a time.
const READS: usize = 64;
/// How often it is asked whether the others have said what they know.
const ASK: Duration = Duration::from_millis(25);
/// Bytes of batches that are read to prove that they follow. What is further behind is read anew.
const MOST_BEHIND: usize = 1024 * 1024;

impl Shared {
    /// After a break. Copies that are of no use any more are read anew later, one by one.
    pub(super) async fn resume(&self, session: &Session) -> Result<(), Fault> {
        let mut all = self.canvases.all();
        all.sort_by_cached_key(|replica| replica.inner.lock().snapshot_bytes);
        let mut whole = true;
        for chunk in all.chunks(CHUNK) {
            whole &= self.compare_all(session, chunk).await?;
        }
        let lost = loop {
            match session.log.prove(whole, self.commits_seen()).await? {
                Proof::Lost => break true,
                Proof::Kept => break false,
                Proof::Pending => time::sleep(ASK).await,
            }
        };
        if lost {
            self.begin_epochs(session, &all).await?;
        }
        let stale = |replica: &&Arc<Replica>| replica.inner.lock().stale;
        let stale: Vec<_> = all.iter().filter(stale).cloned().collect();
        if !stale.is_empty() {
            tracing::warn!(
                canvases = stale.len(),
                "the copies of some canvases differ from {}: they are read from there again",
                self.engine()
            );
        }
        for replica in stale {
            self.canvases.fell_behind(replica);
        }
        Ok(())
    }

    async fn compare_all(&self, session: &Session, chunk: &[Arc<Replica>]) -> Result<bool, Fault> {
        let canvases: Vec<CanvasId> = chunk.iter().map(|r| r.id.clone()).collect();
        session.log.subscribe(&canvases).await?;
        // The others may have taken this instance for dead, and have forgotten what it had.
        let with_copies = chunk.iter().filter(|replica| replica.has_copy());
        let held: Vec<CanvasId> = with_copies.map(|r| r.id.clone()).collect();
        session.log.holds(&held).await?;
        let here: Vec<u64> = chunk.iter().map(|r| r.inner.lock().n).collect();
        let found = match session.log.ends(&canvases).await {
            // Which of them it is, shows later.
            Err(Fault::Canvas(_)) => vec![LogEnd::default(); chunk.len()],
            found => found?,
        };
        let mut whole = true;
        for ((replica, here), mut end) in chunk.iter().zip(here).zip(found) {
            if let Some(n) = end.n.filter(|n| *n < here) {
                if self.has_more(session, replica, n).await? {
                    end.n = None;
                } else {
                    replica.inner.lock().begun_anew(session.log.era());
                }
            }
            whole &= self.compare(session, replica, end).await?;
        }
        Ok(whole)
    }

    /// Whether there are batches behind what is said to be the last: somebody has overwritten that.
    async fn has_more(
        &self,
        session: &Session,
        replica: &Replica,
        end: u64,
    ) -> Result<bool, Fault> {
        match session.log.batches_after(&replica.id, end, 1).await {
            Ok(more) => Ok(!more.is_empty()),
            Err(Fault::Canvas(_)) => Ok(true),
            Err(fault) => Err(fault),
        }
    }

    /// Whether the log has all that is here, and what it ends with is what follows from it. Otherwise the copy is stale.
    async fn compare(
        &self,
        session: &Session,
        replica: &Arc<Replica>,
        end: LogEnd,
    ) -> Result<bool, Fault> {
        let n = end.n;
        let (here, own_chain) = {
            let mut inner = replica.inner.lock();
            if !inner.has_good_copy() {
                return Ok(!inner.has_copy());
            }
            if inner.era.as_ref() == Some(session.log.era()) {
                // It is the same era: nothing was lost. What was told meanwhile is read.
                if inner.is_not_of(&end) {
                    inner.was_replaced();
                    self.canvases.fell_behind(replica.clone());
                    return Ok(true);
                }
                inner.compared(n.unwrap_or(0));
                if n != Some(inner.n) {
                    self.canvases.fell_behind(replica.clone());
                }
                return Ok(true);
            }
            (inner.n, inner.chain.clone())
        };
        let follows = match (n, end.chain) {
            (Some(n), Some(chain)) if n == here => chain == own_chain,
            (Some(n), Some(chain)) if n > here => {
                let more = session
                    .log
                    .batches_after(&replica.id, here, MOST_BEHIND)
                    .await?;
                let leads_on = more.iter().zip(here + 1..).all(|(kept, n)| kept.n == n);
                let last = more
                    .iter()
                    .fold(own_chain, |chain, kept| kept.chained(&chain));
                leads_on && more.last().is_some_and(|kept| kept.n == n) && last == chain
            }
            _ => false,
        };
        let mut inner = replica.inner.lock();
        if follows {
            inner.era = Some(session.log.era().clone());
            inner.compared(n.unwrap_or(here));
            if n != Some(here) {
                self.canvases.fell_behind(replica.clone());
            }
        } else {
            inner.stale = true;
        }
        Ok(follows)
    }

    /// Something was lost, of whatever canvas: all canvases get new epochs, those with copies here now.
    async fn begin_epochs(&self, session: &Session, all: &[Arc<Replica>]) -> Result<(), Fault> {
        let mut opens = Vec::new();
        for replica in all {
            let here = replica.inner.lock().has_good_copy();
            if here {
                opens.push(session.log.open(&replica.id, opening(), false));
            }
        }
        let mut opens = stream::iter(opens).buffer_unordered(READS);
        while let Some(opened) = opens.next().await {
            match opened {
                Ok(_) | Err(Fault::Canvas(_) | Fault::Many(..)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}
