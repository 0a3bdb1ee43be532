//! The writer's own commits. The writer itself delivers them, together with the answers that have no row.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::Connection;

use super::{Committed, Ids, State, Step, Tail};

impl Tail {
    /// The writer is about to commit rows from `first_id` on. The poller leaves them to it: whoever reads them has no
    /// answers to tell, and an author would hear of its later ops before its earlier ones.
    pub(in crate::sqlite) fn hold_back(&self, first_id: i64) {
        self.state.lock().held_back = Some(first_id);
    }

    /// The writer has not committed them.
    pub(in crate::sqlite) fn let_go(&self) {
        self.state.lock().held_back = None;
    }

    /// Tells what was committed: what others wrote before first, then own rows, `from_memory` or (where answers
    /// stand between them) read back. `took`: since the transaction began. `true` if the poller has to look, for what is left.
    ///
    /// # Errors
    /// When rows could not be read; answers are delivered even so, rows will be by the poller.
    pub(in crate::sqlite) fn publish(
        &self,
        conn: &Connection,
        committed: Committed,
        from_memory: bool,
        took: Duration,
    ) -> rusqlite::Result<bool> {
        let now_ms = committed.now_ms;
        let mut state = self.state.lock();
        let state = &mut *state;
        state.held_back = None;
        let mut result = Ok(());
        let mut id = state.written;
        if let Some(own) = committed.ids {
            id = own.first - 1;
            state.written = own.last;
            if from_memory {
                result = state.read_to(conn, now_ms, id);
            }
        }
        for step in committed.steps {
            match step {
                Step::Log(message) => {
                    id += 1;
                    self.waiters.logged(message.origin, message.seq);
                    if from_memory && state.follow(id) {
                        state.log(&message, now_ms, took);
                    }
                }
                Step::Row { key, delivery } => {
                    id += 1;
                    if from_memory && state.follow(id) {
                        state.deliver(key, delivery);
                    }
                }
                Step::Answer { key, delivery } => {
                    self.waiters.answered(&delivery);
                    if !from_memory && result.is_ok() {
                        result = state.read_to(conn, now_ms, id);
                    }
                    state.deliver(key, delivery);
                }
            }
        }
        state.flush();
        self.position.store(state.position, Ordering::Release);
        let behind = |own: Ids| state.position < own.last;
        let behind = committed.ids.is_some_and(behind);
        let left = std::mem::take(&mut state.turned_away) || behind;
        result.map(|()| left && !state.rooms.is_empty())
    }
}

impl State {
    /// Whether the row is the next one; then it counts as told.
    pub(super) fn follow(&mut self, id: i64) -> bool {
        let next = !self.rooms.is_empty() && self.position == id - 1;
        if next {
            self.position = id;
        }
        next
    }

    /// Reads and dispatches everything up to a row.
    fn read_to(&mut self, conn: &Connection, now_ms: i64, id: i64) -> rusqlite::Result<()> {
        while !self.rooms.is_empty() && self.position < id {
            self.read_on(conn, now_ms, 1_000, Some(id))?;
        }
        Ok(())
    }
}
