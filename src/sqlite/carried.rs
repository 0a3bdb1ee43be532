//! Rows that travel with a wake: those of a small commit. The other process then need not read the file.
//!
//! The file stays the truth: rows that do not directly follow what the process has delivered are read from it.

use crate::backplane::CanvasKey;
use serde::{Deserialize, Serialize};

/// Bytes of rows in one wake: a few messages. Of a larger commit the file is read, where reading it costs little for each row.
pub(super) const MAX_BYTES: usize = 8 * 1024;

/// A row of `message_queue`, as its writer had it. Its id is told by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QueueRow<'a> {
    pub(super) key: CanvasKey,
    pub(super) seq: Option<i64>,
    pub(super) kind: &'a str,
    pub(super) origin: u64,
    pub(super) client: &'a str,
    pub(super) op: u64,
    pub(super) at_ms: i64,
    pub(super) expires_at: i64,
    pub(super) payload: &'a str,
}

/// Collects the rows of a transaction, in the order of their ids, for as long as they are small enough to travel.
#[derive(Debug, Default)]
pub(super) struct Carried {
    bytes: Vec<u8>,
    full: bool,
}

impl Carried {
    /// Takes one more row along.
    pub(super) fn push(&mut self, row: &QueueRow<'_>) {
        if self.full || self.bytes.len() + row.payload.len() > MAX_BYTES {
            self.full = true;
            return;
        }
        match postcard::to_extend(row, std::mem::take(&mut self.bytes)) {
            Ok(bytes) => (self.full, self.bytes) = (bytes.len() > MAX_BYTES, bytes),
            Err(_) => self.full = true,
        }
    }

    /// The rows as they are sent; `None` if they are too many.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        (!self.full).then_some(&self.bytes)
    }
}

/// What [`Carried`] collected; `None` if it is not that.
pub(super) fn read(mut bytes: &[u8]) -> Option<Vec<QueueRow<'_>>> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let (row, rest) = postcard::take_from_bytes(bytes).ok()?;
        rows.push(row);
        bytes = rest;
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(seq: Option<i64>, payload: &str) -> QueueRow<'_> {
        QueueRow {
            key: CanvasKey(-7),
            seq,
            kind: "broadcast",
            origin: u64::MAX,
            client: "client-1",
            op: 3,
            at_ms: 1_700_000_000_000,
            expires_at: i64::MAX,
            payload,
        }
    }

    #[test]
    fn rows_survive_the_way() {
        let rows = [row(Some(1), r#"{"op":3,"data":"ä"}"#), row(None, "{}")];
        let mut carried = Carried::default();
        rows.iter().for_each(|row| carried.push(row));
        assert_eq!(read(carried.bytes().unwrap()).unwrap(), rows);
    }

    #[test]
    fn too_many_stay_in_the_file_all_of_them() {
        let (large, mut carried) = ("x".repeat(MAX_BYTES / 2), Carried::default());
        carried.push(&row(None, &large));
        assert!(carried.bytes().is_some());
        carried.push(&row(None, &large));
        assert_eq!(carried.bytes(), None);
        carried.push(&row(None, ""));
        assert_eq!(carried.bytes(), None);
    }

    proptest! {
        /// Whatever arrives is rows or nothing, and never a panic.
        #[test]
        fn rubbish_is_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(rows) = read(&bytes) {
                prop_assert!(rows.len() <= bytes.len());
            }
        }

        #[test]
        fn what_is_cut_off_is_nothing(cut in 1..40_usize) {
            let mut carried = Carried::default();
            carried.push(&row(Some(1), r#"{"op":3}"#));
            let bytes = carried.bytes().unwrap();
            prop_assert_eq!(read(&bytes[..bytes.len() - cut]), None);
        }
    }
}
