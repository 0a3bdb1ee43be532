//! How the upkeep thread is woken within its process.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Wakes the thread before its time.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Waker {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Waker {
    /// Has it look at once.
    pub(in crate::sqlite) fn notify(&self) {
        *self.woken.lock() = true;
        self.changed.notify_all();
    }

    /// Waits until somebody does, at most for `limit`.
    pub(in crate::sqlite) fn wait(&self, limit: Duration) {
        let mut woken = self.woken.lock();
        if !*woken {
            self.changed.wait_for(&mut woken, limit);
        }
        *woken = false;
    }
}
