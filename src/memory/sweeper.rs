//! The thread that lets time pass on canvases that nobody touches: it removes expired messages, and clients that stay
//! away.
//!
//! It ticks only while there is something to expire, and only on those canvases.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{Live, Relay};
use crate::limits::MEMORY_SWEEP;

/// How long the thread sleeps with nothing to sweep before it looks whether its relay still exists.
const IDLE: Duration = Duration::from_secs(5);

/// How often it looks for canvases that nobody uses any more.
const WALK: Duration = Duration::from_secs(5);

/// A canvas as the sweeper holds it.
type Cell = Arc<Mutex<Live>>;

/// The thread and what it is told.
pub(super) struct Sweeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    woken: Condvar,
}

#[derive(Default)]
struct Inbox {
    /// Canvases with something to expire. Each is here once at most: `Live::swept` says so.
    new: Vec<Cell>,
    stop: bool,
}

impl Sweeper {
    /// Starts the thread. It ends with [`Self::stop`], or when the relay is dropped.
    pub(super) fn start(relay: &Arc<Relay>) -> std::io::Result<Arc<Self>> {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let relay = Arc::downgrade(relay);
        let thread = std::thread::Builder::new()
            .name("memory-sweeper".to_owned())
            .spawn(move || run(&theirs, &relay))?;
        Ok(Arc::new(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Has the canvas swept until it is settled.
    pub(super) fn watch(&self, cell: Cell) {
        self.shared.inbox.lock().new.push(cell);
        self.shared.woken.notify_one();
    }

    /// Ends the thread and waits for that: one sweep at most.
    pub(super) fn stop(&self) {
        self.shared.inbox.lock().stop = true;
        self.shared.woken.notify_one();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the sweeper of the in-process backplane had panicked");
        }
    }

    /// Whether the thread is gone.
    pub(super) fn has_ended(&self) -> bool {
        self.thread
            .lock()
            .as_ref()
            .is_none_or(JoinHandle::is_finished)
    }
}

fn run(shared: &Shared, relay: &Weak<Relay>) {
    let mut watched: Vec<Cell> = Vec::new();
    let mut walk = Instant::now();
    loop {
        let mut inbox = shared.inbox.lock();
        if !inbox.stop && inbox.new.is_empty() && watched.is_empty() {
            shared.woken.wait_for(&mut inbox, IDLE);
        } else if !inbox.stop {
            // A new canvas has at least this long: it needs no look before the next tick.
            shared
                .woken
                .wait_while_for(&mut inbox, |inbox| !inbox.stop, MEMORY_SWEEP);
        }
        if inbox.stop {
            return;
        }
        watched.append(&mut inbox.new);
        drop(inbox);
        let Some(relay) = relay.upgrade() else { return };
        if walk.elapsed() >= WALK {
            relay.walk();
            walk = Instant::now();
        }
        let now_ms = relay.clock.now_ms();
        watched.retain(|cell| {
            let mut live = cell.lock();
            live.sweep(&relay, now_ms);
            live.swept = !live.state.is_settled();
            live.swept
        });
    }
}
