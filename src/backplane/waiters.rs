//! Authors that are no members of a room, and wait for the end of their one message. There is hardly ever one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Delivery, Outcome};
use crate::protocol::ids::ConnId;
use crate::protocol::server_message::AckStatus;
use crate::time;

/// Who waits, by connection.
#[derive(Default)]
pub(crate) struct Waiters(Arc<Table>);

#[derive(Default)]
struct Table {
    count: AtomicUsize,
    waiting: Mutex<HashMap<ConnId, Waiting>>,
}

struct Waiting {
    tell: oneshot::Sender<Outcome>,
    /// Answers that are still to come: a batch has one for each of its messages.
    left: usize,
    end: Option<Outcome>,
}

impl Table {
    fn remove(&self, conn: ConnId) {
        let mut waiting = self.waiting.lock();
        waiting.remove(&conn);
        self.count.store(waiting.len(), Ordering::Release);
    }

    fn ended(&self, conn: ConnId, outcome: Outcome) {
        let mut waiting = self.waiting.lock();
        let Some(waiter) = waiting.get_mut(&conn) else {
            return;
        };
        let end = match waiter.end.take() {
            Some(before) => before.and(outcome),
            None => outcome,
        };
        waiter.left -= 1;
        if waiter.left > 0 {
            waiter.end = Some(end);
            return;
        }
        if let Some(waiter) = waiting.remove(&conn) {
            // It may have given up this moment.
            let _ = waiter.tell.send(end);
        }
        self.count.store(waiting.len(), Ordering::Release);
    }
}

/// One who waits. Gives up when dropped.
pub(crate) struct Waiter {
    conn: ConnId,
    table: Arc<Table>,
    end: oneshot::Receiver<Outcome>,
}

impl Waiter {
    /// How the message ended; `None` if that is not known in time.
    pub(crate) async fn within(mut self, limit: Duration) -> Option<Outcome> {
        time::timeout(limit, &mut self.end).await.ok()?.ok()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.table.remove(self.conn);
    }
}

impl Waiters {
    /// Waits for the end of the one message of that connection, which is appended afterwards and has so many answers.
    pub(crate) fn wait_for(&self, conn: ConnId, answers: usize) -> Waiter {
        let (tell, end) = oneshot::channel();
        let table = self.0.clone();
        let mut waiting = table.waiting.lock();
        let waiter = Waiting {
            tell,
            left: answers.max(1),
            end: None,
        };
        waiting.insert(conn, waiter);
        table.count.store(waiting.len(), Ordering::Release);
        drop(waiting);
        Waiter { conn, table, end }
    }

    /// A message took its place.
    pub(crate) fn logged(&self, conn: ConnId, seq: u64) {
        let status = AckStatus::Ok;
        self.ended(conn, || Outcome::Ack { seq, status });
    }

    /// A message ended otherwise.
    pub(crate) fn answered(&self, delivery: &Delivery) {
        if let Delivery::Outcome { conn, outcome, .. } = delivery {
            self.ended(*conn, || outcome.clone());
        }
    }

    fn ended(&self, conn: ConnId, outcome: impl FnOnce() -> Outcome) {
        if self.0.count.load(Ordering::Acquire) > 0 {
            self.0.ended(conn, outcome());
        }
    }
}
