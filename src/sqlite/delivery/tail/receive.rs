//! Rows that came along with a wake.

use std::sync::atomic::Ordering;

use super::Tail;
use crate::sqlite::delivery::carried::QueueRow;

impl Tail {
    /// Delivers rows that a peer has just committed, the first of which has that id, if they follow directly on what was
    /// delivered. `false`: the file has to be looked at. Never waits: it runs where sockets are served.
    pub(in crate::sqlite) fn receive(
        &self,
        first_id: i64,
        rows: &[QueueRow<'_>],
        now_ms: i64,
    ) -> bool {
        let Some(mut state) = self.state.try_lock() else {
            return false;
        };
        let state = &mut *state;
        if state.rooms.is_empty() {
            return true;
        }
        for (id, row) in (first_id..).zip(rows) {
            if id <= state.position {
                continue;
            }
            // A row of the writer's open transaction is the writer's to tell; no peer can have committed it.
            let own = state.held_back.is_some_and(|first| id >= first);
            if own || !state.follow(id) || state.dispatch(row.key, now_ms, || Ok(*row)).is_err() {
                break;
            }
        }
        state.flush();
        self.position.store(state.position, Ordering::Release);
        let last_id = first_id.saturating_add_unsigned(rows.len() as u64) - 1;
        state.position >= last_id && !state.missed
    }
}
