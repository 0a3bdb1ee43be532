//! Rows that travel with a wake: those of a small commit. The other process then need not read the file.
//!
//! The file stays the truth: rows that do not directly follow what the process has delivered are read from it.

use crate::backplane::CanvasKey;
use serde::{Deserialize, Serialize};

/// Bytes of rows in one wake: a few messages. Of a larger commit the file is read, where reading it costs little for each row.
pub(in crate::sqlite) const MAX_BYTES: usize = 8 * 1024;

/// A row of `message_queue`, as its writer had it. Its id is told by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sqlite) struct QueueRow<'a> {
    pub(in crate::sqlite) key: CanvasKey,
    pub(in crate::sqlite) seq: Option<i64>,
    pub(in crate::sqlite) kind: &'a str,
    pub(in crate::sqlite) origin: u64,
    pub(in crate::sqlite) client: &'a str,
    pub(in crate::sqlite) op: u64,
    pub(in crate::sqlite) at_ms: i64,
    pub(in crate::sqlite) expires_at: i64,
    pub(in crate::sqlite) payload: &'a str,
}

/// Collects the rows of a transaction, in the order of their ids, for as long as they are small enough to travel.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Carried {
    bytes: Vec<u8>,
    full: bool,
}

impl Carried {
    /// Takes one more row along.
    pub(in crate::sqlite) fn push(&mut self, row: &QueueRow<'_>) {
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
    pub(in crate::sqlite) fn bytes(&self) -> Option<&[u8]> {
        (!self.full).then_some(&self.bytes)
    }
}

/// What [`Carried`] collected; `None` if it is not that.
pub(in crate::sqlite) fn read(mut bytes: &[u8]) -> Option<Vec<QueueRow<'_>>> {
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
