//! The in-process backplane (`--queue off`): one relay without a file. What it holds ends with the process.
//!
//! Each canvas is a pure machine ([`CanvasState`]) under a mutex of its own; an entry is applied,
//! and delivered, before [`append`](crate::backplane::Backplane::append) returns. Nothing waits, so nothing is ever `overloaded` but
//! ops that their author holds, and everything during a shutdown.
//!
//! What bounds its memory: a canvas's log by the message TTL and [`limits::MEMORY_LOG_BYTES`], its chat by
//! [`limits::CHAT_HISTORY`], its objects by [`ObjectBounds`], its
//! remembered clients by [`limits::CLIENT_MEMORY`]. A canvas itself, its head and its objects are never
//! dropped, since a quiet room is always recoverable: some 400 bytes for each canvas that was ever opened.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};

use crate::backplane::object_bounds::ObjectBounds;
use crate::backplane::{Canvas, Delivery, Entry, Refusal, Sink, Unavailable};
use crate::limits;
use crate::machine::{CanvasState, Rules};
use crate::protocol::ids::{CanvasId, Epoch, InstanceId};
use crate::protocol::server_message::ErrorCode;
use sweeper::Sweeper;

mod as_backplane;
mod outside;
mod sweeper;

/// What the in-process backplane needs to know.
#[derive(Debug, Clone)]
pub struct MemoryConfig {
    /// How long a log message is kept.
    pub message_ttl: Duration,
    /// How long a lost client stays `away` before it is gone.
    pub presence_grace: Duration,
    /// What the objects of one canvas are held to.
    pub bounds: ObjectBounds,
}

/// One instance of a relay that lives in this process.
pub struct MemoryBackplane {
    instance_id: InstanceId,
    number: u32,
    conns: AtomicU64,
    closed: AtomicBool,
    relay: Arc<Relay>,
    sweeper: Arc<Sweeper>,
}

/// What the instances share.
struct Relay {
    clock: Clock,
    rules: Rules,
    canvases: RwLock<Canvases>,
    instances: Mutex<Instances>,
    committed: AtomicU64,
    refused: AtomicU64,
}

#[derive(Default)]
struct Canvases {
    keys: HashMap<CanvasId, i64>,
    /// A canvas's key is its place here.
    cells: Vec<Arc<Mutex<Live>>>,
}

#[derive(Default)]
struct Instances {
    last_number: u32,
    live: BTreeMap<u32, InstanceId>,
}

/// A canvas and where its deliveries go, by instance.
struct Live {
    state: CanvasState,
    sinks: Vec<(u32, Arc<dyn Sink>)>,
    /// Whether the sweeper knows that there is something to sweep.
    swept: bool,
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

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
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

    fn sweep(&mut self, now_ms: i64) {
        let mut out = Vec::new();
        self.state.tick(now_ms, &mut out);
        self.deliver(out);
    }
}

impl Relay {
    fn cell(&self, canvas: &Canvas) -> Option<Arc<Mutex<Live>>> {
        let place = usize::try_from(canvas.key).ok()?;
        self.canvases.read().cells.get(place).cloned()
    }

    fn find(&self, canvas: &Canvas) -> Result<Arc<Mutex<Live>>, Unavailable> {
        self.cell(canvas)
            .ok_or_else(|| Unavailable(format!("canvas {} is not open", canvas.id)))
    }

    fn find_or_create(&self, id: &CanvasId) -> (i64, Arc<Mutex<Live>>) {
        let mut canvases = self.canvases.write();
        if let Some(key) = canvases.keys.get(id).copied() {
            let place = usize::try_from(key).unwrap_or(usize::MAX);
            if let Some(cell) = canvases.cells.get(place) {
                return (key, Arc::clone(cell));
            }
        }
        let key = i64::try_from(canvases.cells.len()).unwrap_or(i64::MAX);
        let state = CanvasState::new(Epoch::random(), self.rules);
        let cell = Arc::new(Mutex::new(Live {
            state,
            sinks: Vec::new(),
            swept: false,
        }));
        canvases.keys.insert(id.clone(), key);
        canvases.cells.push(Arc::clone(&cell));
        (key, cell)
    }

    fn cells(&self) -> Vec<Arc<Mutex<Live>>> {
        self.canvases.read().cells.clone()
    }

    fn overloaded(&self, message: &str) -> Refusal {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Refusal {
            code: ErrorCode::Overloaded,
            message: message.to_owned(),
            retry_after_ms: Some(limits::RETRY_AFTER_MS),
        }
    }
}

impl MemoryBackplane {
    /// A relay of one instance.
    ///
    /// # Errors
    /// The system has no thread to spare for the sweeper.
    pub fn start(instance_id: InstanceId, config: &MemoryConfig) -> std::io::Result<Arc<Self>> {
        let relay = Arc::new(Relay {
            clock: Clock::start(),
            rules: Rules {
                message_ttl_ms: millis(config.message_ttl),
                presence_grace_ms: millis(config.presence_grace),
                bounds: config.bounds,
            },
            canvases: RwLock::default(),
            instances: Mutex::default(),
            committed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
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
        let number = instances.last_number;
        instances.live.insert(number, instance_id.clone());
        drop(instances);
        let (conns, closed) = (AtomicU64::new(0), AtomicBool::new(false));
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
    fn admit(&self, entry: &Entry) -> Result<(), Refusal> {
        let closed = self.closed.load(Ordering::Acquire);
        if let Entry::Durable { author, message } = entry {
            if closed {
                author.hold(message.op, ErrorCode::Overloaded);
            } else if let Err(refusal) = author.admits(message.op) {
                self.relay.refused.fetch_add(1, Ordering::Relaxed);
                return Err(refusal);
            } else {
                author.take(message.op);
            }
        }
        if closed {
            return Err(self.relay.overloaded("the server is shutting down"));
        }
        Ok(())
    }

    fn check_open(&self) -> Result<(), Unavailable> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Unavailable("it is shut down".to_owned()));
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
        live.sweep(self.relay.clock.now_ms());
        Ok(then(&live.state))
    }
}
