//! The work queue of an open file, for the rest of the process.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::SqliteBackplane;
use super::jobs::store::SqlStore;
use super::jobs::waiting::Waiting;
use super::jobs::{LOOK_WAIT, random};
use crate::jobs::Jobs;
use crate::jobs::look::{self, Query};
use crate::jobs::op::{Answer, Op, Refusal};
use crate::jobs::service::Engine;
use crate::jobs::work::Work;

/// The queue of a file that is open.
#[must_use]
pub fn jobs(backplane: &Arc<SqliteBackplane>) -> Arc<Jobs> {
    let hub = backplane.jobs.hub.clone();
    Jobs::new(Arc::new(SqliteJobs(backplane.clone())), hub)
}

struct SqliteJobs(Arc<SqliteBackplane>);

impl Engine for SqliteJobs {
    fn submit(&self, op: Op, answer: oneshot::Sender<Answer>) -> Result<(), Refusal> {
        let waiting = Waiting::new(op, Some(answer));
        self.0.jobs.submit(&self.0.lane, waiting)
    }

    fn look(&self, query: Query) -> BoxFuture<'static, Result<Answer, Refusal>> {
        let backplane = self.0.clone();
        async move {
            let _place = backplane.jobs.looks.place(&query, LOOK_WAIT).await?;
            let now_ms = backplane.clock.now_ms();
            let limits = backplane.lane.limits;
            let read = move |conn: &Connection| {
                let mut store = SqlStore(conn);
                let mut random = random;
                let mut work = Work::new(&mut store, now_ms, &limits, &mut random);
                look::answer(&mut work, &query)
            };
            let read = backplane.reader.read(read).await;
            read.map_err(|error| Refusal::new(503, "overloaded", error.to_string()))
        }
        .boxed()
    }

    fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// The oldest live instance does, as with all upkeep.
    fn sweeps(&self) -> bool {
        let own = self.0.own.setup.number;
        let peers = self.0.peers.list();
        peers.iter().all(|peer| peer.number > own)
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
