//! How an instance over the file ends: it is asked to, or a part of it can't go on. All of its threads look here.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Whether the instance is to end.
#[derive(Debug)]
pub(in crate::sqlite) struct Ending {
    /// Somebody asked for it: nothing new is taken, and threads may end.
    asked: AtomicBool,
    /// All threads are to end now.
    stopping: AtomicBool,
    /// Why a part has ended though nobody asked it to.
    failed: watch::Sender<Option<String>>,
}

impl Ending {
    /// It goes on.
    pub(in crate::sqlite) fn new() -> Self {
        Self {
            asked: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            failed: watch::Sender::new(None),
        }
    }

    /// Threads may end from here on.
    pub(in crate::sqlite) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    /// Whether they may.
    pub(in crate::sqlite) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// All threads are to end now; [`Halt`](crate::sqlite::delivery::halt::Halt) wakes them.
    pub(in crate::sqlite) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether they are.
    pub(in crate::sqlite) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// A part can't go on: the process must go down.
    pub(in crate::sqlite) fn fail(&self, reason: String) {
        self.failed.send_replace(Some(reason));
    }

    /// Says why, once a part can't go on.
    pub(in crate::sqlite) fn failed(&self) -> watch::Receiver<Option<String>> {
        self.failed.subscribe()
    }
}
