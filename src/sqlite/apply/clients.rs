//! The number of clients that a canvas remembers. Their rows are counted now and then, where new ones come. In between,
//! new ones are added to the count.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Txn;
use super::canvas::Rows;
use crate::backplane::{CanvasKey, Entry, Refusal};
use crate::canvas::quotas::{maybe_new, room_for_client};
use crate::limits::CLIENTS_COUNTED;
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::StoreResult;
use crate::time::millis;

/// Canvases whose clients are counted at a time.
const CANVASES: usize = 4_096;

/// What was counted, by canvas.
#[derive(Debug, Clone, Default)]
pub(in crate::sqlite) struct Counted(Arc<Mutex<HashMap<CanvasKey, Count>>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    clients: usize,
    at_ms: i64,
}

impl Txn<'_> {
    /// Whether the canvas takes the client that the entry is of, if that may be a new one.
    pub(super) fn room_for_client(
        &mut self,
        key: CanvasKey,
        entry: &Entry,
    ) -> StoreResult<Result<(), Refusal>> {
        let Some(client) = maybe_new(entry) else {
            return Ok(Ok(()));
        };
        if Rows::of(self, key)?.remembers(client)? {
            return Ok(Ok(()));
        }
        let counted = self.setup.counted.clone();
        let mut counts = counted.0.lock();
        let known = counts.get(&key).copied();
        let fresh = |count: &Count| self.now_ms - count.at_ms < millis(CLIENTS_COUNTED);
        let mut count = match known.filter(fresh) {
            Some(count) => count,
            None => self.count_clients(key)?,
        };
        let room = room_for_client(count.clients);
        count.clients += usize::from(room.is_ok());
        if counts.len() >= CANVASES {
            counts.clear();
        }
        counts.insert(key, count);
        Ok(room)
    }

    fn count_clients(&self, key: CanvasKey) -> StoreResult<Count> {
        let mut statement = self.conn.prepare_cached(sql::COUNT_CLIENTS)?;
        let clients: i64 = statement.query_row([key], |row| row.get(0))?;
        Ok(Count {
            clients: usize::try_from(clients).unwrap_or(0),
            at_ms: self.now_ms,
        })
    }
}
