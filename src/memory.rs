//! The in-process backplane (`--queue off`): one relay without a file. Its contents end with the process.
//!
//! Each canvas is a pure state ([`CanvasState`]) under a mutex of its own. An entry is applied and delivered before
//! [`append`](crate::backplane::Carrier::append) returns. So nothing waits, and only these are refused as `overloaded`:
//! ops behind a refused op of their author, ops of a canvas that is too much work ([`meter`]) or whose log is full
//! ([`crate::canvas::quotas`]), and everything during a shutdown.
//!
//! Its memory is bounded. A canvas's log is bounded by the message TTL and
//! [`MEMORY_LOG_BYTES`](crate::limits::MEMORY_LOG_BYTES), its chat by [`CHAT_HISTORY`](crate::limits::CHAT_HISTORY),
//! its objects by [`ObjectBounds`](crate::limits::ObjectBounds), its remembered clients by [`CLIENT_MEMORY`](crate::limits::CLIENT_MEMORY).
//! [`Quotas`] bound all logs together, and everything together. A canvas that somebody wrote to is dropped only after
//! it was deleted, because clients may come back to a quiet one at any time. It costs some 400 bytes beside its
//! contents.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};

use crate::backplane::intake::overloaded;
use crate::backplane::{Author, Canvas, CanvasKey, Delivery, Entry, Refusal, Sink, Unavailable};
use crate::canvas::quotas::{Logs, Spare, charge_of, maybe_new, room_for_canvas, room_in_log};
use crate::canvas::{CanvasState, Rules};
use crate::jobs::dispatch::follower::Follower;
use crate::limits::{CanvasRules, Quotas};
use crate::protocol::client_message::Durable;
use crate::protocol::ids::{CanvasId, Epoch, InstanceId, InstanceNumber};
use crate::time::millis;
use meter::Meter;
use sweeper::Sweeper;

mod as_backplane;
mod directory;
mod dispatch;
mod meter;
mod sweeper;

/// One instance of a relay that lives in this process.
pub struct MemoryBackplane {
    instance_id: InstanceId,
    number: InstanceNumber,
    conns: AtomicU64,
    closed: AtomicBool,
    relay: Arc<Relay>,
    sweeper: Arc<Sweeper>,
}

/// What the instances share.
struct Relay {
    clock: Clock,
    rules: Rules,
    quotas: Quotas,
    meter: Mutex<Meter>,
    canvases: RwLock<Canvases>,
    instances: Mutex<Instances>,
    committed: AtomicU64,
    refused: AtomicU64,
    full: AtomicU64,
    /// What all logs are charged with.
    log_bytes: AtomicU64,
    /// Of seals: it ends with the process, as all that is sealed does.
    seal_key: [u8; 32],
    /// Bytes of all objects and chat.
    stored_bytes: AtomicU64,
    hooks: OnceLock<Arc<Follower>>,
}

#[derive(Default)]
struct Canvases {
    keys: HashMap<CanvasId, CanvasKey>,
    cells: HashMap<CanvasKey, Arc<Mutex<Live>>>,
    /// The last key that was given out; none is given out again.
    last_key: CanvasKey,
}

#[derive(Default)]
struct Instances {
    last_number: u32,
    live: BTreeMap<InstanceNumber, InstanceId>,
}

/// A canvas and where its deliveries go, by instance.
struct Live {
    id: Arc<str>,
    state: CanvasState,
    sinks: Vec<(InstanceNumber, Arc<dyn Sink>)>,
    /// When it last did much work beyond its entries' bytes.
    worked_at_ms: Option<i64>,
    /// Whether the sweeper knows that there is something to sweep.
    swept: bool,
    /// What its log was charged with when that was last added to the relay's.
    charged: u64,
    /// The same of its objects and chat.
    stored: u64,
    /// When somebody last wrote, came or went.
    used_at_ms: i64,
    /// When it goes if nobody is there, after a deletion.
    ends_at_ms: Option<i64>,
    /// It is gone: who has it has to look for it again.
    ended: bool,
}

/// Time that never goes back, told as wall time: set once at start.
struct Clock {
    started: Instant,
    started_ms: i64,
}

impl Clock {
    fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Instant::now(),
            started_ms: millis(since_epoch),
        }
    }

    fn now_ms(&self) -> i64 {
        self.started_ms
            .saturating_add(millis(self.started.elapsed()))
    }
}

/// Whether the canvas takes the client that the entry is of, if that may be a new one.
fn takes_client(entry: &Entry, live: &Live) -> Result<(), Refusal> {
    let client = maybe_new(entry);
    client.map_or(Ok(()), |client| live.state.room_for_client(client))
}

/// A key that nobody can guess.
fn random_key() -> [u8; 32] {
    let halves = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
    let mut key = [0; 32];
    for (half, random) in key.chunks_exact_mut(16).zip(&halves) {
        half.copy_from_slice(random.as_bytes());
    }
    key
}

impl Live {
    /// Hands out deliveries: answers to the instance that asked, everything else to all.
    fn deliver(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let only = match &delivery {
                Delivery::Joined { conn, .. } | Delivery::Outcome { conn, .. } => {
                    Some(conn.instance())
                }
                _ => None,
            };
            for (number, sink) in &self.sinks {
                if only.is_none_or(|only| only == *number) {
                    sink.deliver(delivery.clone());
                }
            }
        }
    }

    fn sweep(&mut self, relay: &Relay, now_ms: i64) {
        let mut out = Vec::new();
        self.listen(relay);
        self.state.tick(now_ms, &mut out);
        self.dispatch(relay, now_ms);
        self.account(relay);
        self.deliver(out);
    }

    /// What its log has become counts in the relay's.
    fn account(&mut self, relay: &Relay) {
        let before = std::mem::replace(&mut self.charged, self.state.log_bytes());
        let added = self.charged.wrapping_sub(before);
        relay.log_bytes.fetch_add(added, Ordering::Relaxed);
        let before = std::mem::replace(&mut self.stored, self.state.stored_bytes());
        let added = self.stored.wrapping_sub(before);
        relay.stored_bytes.fetch_add(added, Ordering::Relaxed);
    }
}

impl Relay {
    fn cell(&self, canvas: &Canvas) -> Option<Arc<Mutex<Live>>> {
        self.canvases.read().cells.get(&canvas.key).cloned()
    }

    fn find(&self, canvas: &Canvas) -> Result<Arc<Mutex<Live>>, Unavailable> {
        self.cell(canvas)
            .ok_or_else(|| Unavailable::NotNow(format!("canvas {} is not open", canvas.id)))
    }

    fn find_or_create(&self, id: &CanvasId) -> Result<(CanvasKey, Arc<Mutex<Live>>), Unavailable> {
        let mut canvases = self.canvases.write();
        if let Some(key) = canvases.keys.get(id).copied()
            && let Some(cell) = canvases.cells.get(&key)
        {
            return Ok((key, Arc::clone(cell)));
        }
        let there = canvases.cells.len() as u64;
        room_for_canvas(&self.quotas, there).map_err(Unavailable::Full)?;
        canvases.last_key = canvases.last_key.next();
        let key = canvases.last_key;
        let state = CanvasState::new(Epoch::random(), self.rules);
        let cell = Arc::new(Mutex::new(Live {
            id: id.as_str().into(),
            state,
            sinks: Vec::new(),
            worked_at_ms: None,
            swept: false,
            charged: 0,
            stored: 0,
            used_at_ms: self.clock.now_ms(),
            ends_at_ms: None,
            ended: false,
        }));
        canvases.keys.insert(id.clone(), key);
        canvases.cells.insert(key, Arc::clone(&cell));
        Ok((key, cell))
    }

    /// The canvas goes if nobody is there and nothing is on it that somebody might come back for.
    fn end(&self, canvas: &Canvas) {
        let mut canvases = self.canvases.write();
        let Some(cell) = canvases.cells.get(&canvas.key).cloned() else {
            return;
        };
        let mut live = cell.lock();
        let now_ms = self.clock.now_ms();
        let over = live.ends_at_ms.is_some_and(|at_ms| at_ms <= now_ms);
        let deserted = live.sinks.is_empty() && live.state.is_deserted();
        if deserted && (over || live.state.is_unused()) {
            live.ended = true;
            canvases.cells.remove(&canvas.key);
            canvases.keys.remove(&canvas.id);
        }
    }

    /// Canvases that nobody used for too long are emptied, and those that were deleted long ago go.
    fn walk(&self) {
        let canvases = self.canvases.read();
        let all = canvases.keys.iter().map(|(id, key)| Canvas {
            id: id.clone(),
            key: *key,
        });
        let all: Vec<Canvas> = all.collect();
        drop(canvases);
        let idle_ms = self.quotas.idle_ttl.map(millis);
        for canvas in all {
            let Some(cell) = self.cell(&canvas) else {
                continue;
            };
            let mut live = cell.lock();
            let now_ms = self.clock.now_ms();
            let deserted = live.sinks.is_empty() && live.state.is_deserted();
            let idle = idle_ms.is_some_and(|ms| live.used_at_ms <= now_ms.saturating_sub(ms));
            if deserted && idle && live.ends_at_ms.is_none() {
                live.restart(self);
            }
            drop(live);
            if deserted {
                self.end(&canvas);
            }
        }
    }

    fn cells(&self) -> Vec<Arc<Mutex<Live>>> {
        self.canvases.read().cells.values().cloned().collect()
    }

    /// What may be kept in addition; `None` if nothing bounds it.
    fn spare(&self) -> Option<Spare> {
        let bytes = |all: &AtomicU64| all.load(Ordering::Relaxed);
        Spare::of(
            &self.quotas,
            bytes(&self.log_bytes) + bytes(&self.stored_bytes),
        )
    }

    /// Whether a message may be kept in that canvas's log, from which what is expired is gone.
    fn room_for(&self, live: &Live, author: &Author, message: &Durable) -> Result<(), Refusal> {
        let logs = Logs {
            canvas: live.charged,
            total: self.log_bytes.load(Ordering::Relaxed),
        };
        room_in_log(&self.quotas, logs, charge_of(author, message)).inspect_err(|_| {
            self.full.fetch_add(1, Ordering::Relaxed);
        })
    }
}

impl MemoryBackplane {
    /// A relay of one instance.
    ///
    /// # Errors
    /// The system has no thread to spare for the sweeper.
    pub fn start(instance_id: InstanceId, rules: &CanvasRules) -> std::io::Result<Arc<Self>> {
        let relay = Arc::new(Relay {
            clock: Clock::start(),
            rules: rules.into(),
            quotas: rules.quotas,
            meter: Mutex::default(),
            canvases: RwLock::default(),
            instances: Mutex::default(),
            committed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            full: AtomicU64::new(0),
            log_bytes: AtomicU64::new(0),
            seal_key: random_key(),
            stored_bytes: AtomicU64::new(0),
            hooks: OnceLock::new(),
        });
        let sweeper = Sweeper::start(&relay)?;
        Ok(Self::register(instance_id, relay, sweeper))
    }

    /// One more instance of the same relay, in this process: what several processes over a file are, in memory.
    /// For tests; the server has no use for it.
    pub fn start_peer(&self, instance_id: InstanceId) -> Arc<Self> {
        Self::register(
            instance_id,
            Arc::clone(&self.relay),
            Arc::clone(&self.sweeper),
        )
    }

    fn register(instance_id: InstanceId, relay: Arc<Relay>, sweeper: Arc<Sweeper>) -> Arc<Self> {
        let mut instances = relay.instances.lock();
        instances.last_number += 1;
        let number = InstanceNumber(instances.last_number);
        instances.live.insert(number, instance_id.clone());
        drop(instances);
        let conns = AtomicU64::new(0);
        let closed = AtomicBool::new(false);
        Arc::new(Self {
            instance_id,
            number,
            conns,
            closed,
            relay,
            sweeper,
        })
    }

    /// Whether the entry may be applied; if not, its author's later ops wait for it. Under the canvas's lock.
    fn admit(&self, entry: &Entry, live: &Live, now_ms: i64) -> Result<(), Refusal> {
        let open = || match self.closed.load(Ordering::Acquire) {
            true => Err(overloaded("the server is shutting down")),
            false => Ok(()),
        };
        match entry {
            Entry::Durable { author, message } => author.ops.offer(message.op, || {
                open()?;
                takes_client(entry, live)?;
                match self.relay.meter.lock().refuses(live.worked_at_ms, now_ms) {
                    true => Err(overloaded(
                        "this canvas's objects are much work: it waits for itself",
                    )),
                    false => self.relay.room_for(live, author, message),
                }
            }),
            _ => open().and_then(|()| takes_client(entry, live)),
        }
    }

    fn counted(&self, refusal: Refusal) -> Refusal {
        self.relay.refused.fetch_add(1, Ordering::Relaxed);
        refusal
    }

    fn check_open(&self) -> Result<(), Unavailable> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Unavailable::NotNow("it is shut down".to_owned()));
        }
        Ok(())
    }

    /// Takes a canvas's lock and lets the time pass that has passed, so that nothing expired is read.
    fn with_canvas<T>(
        &self,
        canvas: &Canvas,
        then: impl FnOnce(&CanvasState) -> T,
    ) -> Result<T, Unavailable> {
        self.check_open()?;
        let cell = self.relay.find(canvas)?;
        let mut live = cell.lock();
        live.sweep(&self.relay, self.relay.clock.now_ms());
        Ok(then(&live.state))
    }
}
