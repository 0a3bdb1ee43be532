//! The other instances: who lives, and what becomes of the clients of those that died.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, stream};
use parking_lot::Mutex;
use redis::RedisResult;
use tokio::sync::Notify;

use super::link::Session;
use super::start::StartError;
use super::{Shared, keys, scripts};
use crate::limits::{HEARTBEAT_STALE, MAX_QUEUE_WAIT};
use crate::machine::Command;
use crate::protocol::ids::CanvasId;

/// Looks in a row that find an instance's connection gone until it counts as dead: one that lost it comes back sooner.
const LOOKS: u32 = 2;
/// Nobody else turns the clients of a dead instance away for so long.
const REAPING_MS: u64 = 10_000;
/// Canvases that are read for that at a time.
const READS: usize = 16;

/// What is known of another instance.
pub(super) struct Peer {
    beat: i64,
    /// When that heartbeat was first seen, on our clock: after a break of Redis's nobody is dead at once.
    since: Instant,
    silent: u32,
}

/// Instances that died, for the reaper.
#[derive(Default)]
pub(super) struct Dead {
    /// Each with the last heartbeat that is known of it.
    numbers: Mutex<HashMap<u32, i64>>,
    bell: Notify,
}

impl Shared {
    pub(super) async fn beat(
        &self,
        session: &Session,
        peers: &mut HashMap<u32, Peer>,
        dead: &Dead,
    ) -> RedisResult<()> {
        let beaten = scripts::beat(session, self, self.link.host()).await?;
        self.set_clock(beaten.now_ms);
        if !beaten.known {
            tracing::warn!("this instance was taken for dead, and goes on");
            self.list(session).await?;
        }
        let own = self.number();
        let others: Vec<(u32, i64)> = beaten
            .instances
            .into_iter()
            .filter(|(number, _)| *number != own)
            .collect();
        let listening = listening(session, &others).await?;
        peers.retain(|number, _| others.iter().any(|(other, _)| other == number));
        for ((number, beat), listens) in others.into_iter().zip(listening) {
            let new = || Peer {
                beat,
                since: Instant::now(),
                silent: 0,
            };
            let peer = peers.entry(number).or_insert_with(new);
            if peer.beat != beat {
                (peer.beat, peer.since) = (beat, Instant::now());
            }
            peer.silent = if listens { 0 } else { peer.silent + 1 };
            if peer.silent >= LOOKS || peer.since.elapsed() > HEARTBEAT_STALE {
                dead.numbers.lock().insert(number, beat);
                dead.bell.notify_one();
            }
        }
        Ok(())
    }

    /// Says which canvases this instance has, for whoever will have to turn its clients away.
    pub(super) async fn list(&self, session: &Session) -> RedisResult<()> {
        let names: Vec<String> = self
            .canvases
            .all()
            .iter()
            .map(|replica| replica.id.to_string())
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        redis::cmd("SADD")
            .arg(keys::canvases_of(self.number()))
            .arg(names)
            .query_async(&mut session.conn.clone())
            .await
    }
}

/// Whether each of them has a connection.
async fn listening(session: &Session, others: &[(u32, i64)]) -> RedisResult<Vec<bool>> {
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let channels: Vec<String> = others
        .iter()
        .map(|(number, _)| keys::sign_of_life(&session.relay, *number))
        .collect();
    let ask = redis::cmd("PUBSUB").arg("NUMSUB").arg(&channels).to_owned();
    let found: HashMap<String, u64> = ask.query_async(&mut session.conn.clone()).await?;
    Ok(channels
        .iter()
        .map(|channel| found.get(channel).is_some_and(|count| *count > 0))
        .collect())
}

/// Turns the clients of dead instances away, wherever they are.
pub(super) async fn reap_all(shared: &Arc<Shared>, dead: &Dead) -> String {
    loop {
        dead.bell.notified().await;
        loop {
            let next = dead
                .numbers
                .lock()
                .iter()
                .next()
                .map(|(n, beat)| (*n, *beat));
            let Some((number, beat)) = next else { break };
            if let Some(session) = shared.link.now()
                && let Err(error) = reap(shared, &session, number, beat).await
            {
                shared.link.broke(session.id, &error.to_string());
            }
            // If it is still there, the next look finds it again.
            dead.numbers.lock().remove(&number);
        }
    }
}

async fn reap(shared: &Arc<Shared>, session: &Session, number: u32, beat: i64) -> RedisResult<()> {
    let mut conn = session.conn.clone();
    let lock = redis::cmd("SET")
        .arg(keys::reaping(number))
        .arg(shared.number())
        .arg("NX")
        .arg("PX")
        .arg(REAPING_MS)
        .to_owned();
    let got: Option<String> = lock.query_async(&mut conn).await?;
    if got.is_none() {
        return Ok(());
    }
    let names: Vec<String> = redis::cmd("SMEMBERS")
        .arg(keys::canvases_of(number))
        .query_async(&mut conn)
        .await?;
    tracing::warn!(
        instance = number,
        canvases = names.len(),
        "an instance died: its clients are away"
    );
    let canvases: Vec<CanvasId> = names
        .iter()
        .filter_map(|name| CanvasId::parse(name).ok())
        .collect();
    let turned = stream::iter(canvases)
        .map(|id| async move {
            // Loaded first: somebody must be there when the grace of its clients ends.
            if shared.ensure(&id).await.is_err() {
                return false;
            }
            let heard = shared.ask_and_hear(
                id,
                Command::InstanceGone {
                    instance: number,
                    died: true,
                },
            );
            tokio::time::timeout(MAX_QUEUE_WAIT, heard)
                .await
                .is_ok_and(|heard| heard.is_ok())
        })
        .buffer_unordered(READS)
        .all(std::future::ready)
        .await;
    if !turned {
        return Ok(());
    }
    scripts::remove(session, number, Some(beat)).await
}

/// Whether another instance that lives has this one's name.
pub(super) async fn name_taken(shared: &Shared) -> Result<Option<String>, StartError> {
    let Some(session) = shared.link.now() else {
        return Ok(None);
    };
    let found = async {
        let mut conn = session.conn.clone();
        let numbers = shared.numbers(&mut conn).await?;
        let others: Vec<(u32, i64)> = numbers
            .into_iter()
            .filter(|n| *n != shared.number())
            .map(|n| (n, 0))
            .collect();
        let listening = listening(&session, &others).await?;
        for ((number, _), listens) in others.into_iter().zip(listening) {
            let ask = redis::cmd("HGET")
                .arg(keys::instance(number))
                .arg("name")
                .to_owned();
            let name: Option<String> = ask.query_async(&mut conn).await?;
            if listens && name.as_deref() == Some(shared.config.instance_id.as_str()) {
                return Ok(name);
            }
        }
        Ok(None)
    };
    let found: RedisResult<_> = found.await;
    found.map_err(|error| StartError::Unreachable(shared.config.url.clone(), error.to_string()))
}

/// Leaves the registry, if Redis answers.
pub(super) async fn unregister(shared: &Shared) {
    if let Some(session) = shared.link.now()
        && let Err(error) = scripts::remove(&session, shared.number(), None).await
    {
        tracing::warn!(%error, "this instance could not leave the registry: the others will take it out");
    }
}
