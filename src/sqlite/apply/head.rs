//! A canvas's row, read once a transaction.

use std::num::NonZeroI64;

use rusqlite::OptionalExtension;

use super::{OpenCanvas, Txn};
use crate::backplane::CanvasKey;
use crate::canvas::Head;
use crate::canvas::bounds::Totals;
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::StoreResult;

/// `None` if there is no such canvas any more.
pub(super) fn read_canvas(txn: &Txn<'_>, key: CanvasKey) -> StoreResult<Option<OpenCanvas>> {
    let mut statement = txn.conn.prepare_cached(sql::HEAD)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(OpenCanvas {
            key,
            content: row.get(11)?,
            places_from: row.get::<_, i64>(12)?.cast_unsigned(),
            head: Head {
                seq: row.get::<_, i64>(1)?.cast_unsigned(),
                presence_version: row.get::<_, i64>(3)?.cast_unsigned(),
                totals: Totals {
                    objects: row.get::<_, i64>(4)?.cast_unsigned(),
                    bytes: row.get::<_, i64>(5)?.cast_unsigned(),
                    logs: row.get::<_, i64>(14)?.cast_unsigned(),
                },
            },
            head_id: NonZeroI64::new(row.get(2)?),
            log_bytes: row.get::<_, i64>(6)?.cast_unsigned(),
            log_from: row.get(7)?,
            ephemeral_bytes: row.get::<_, i64>(13)?.cast_unsigned(),
            used_at: row.get(8)?,
            chat_bytes: row.get::<_, i64>(9)?.cast_unsigned(),
            ends_at: row.get(10)?,
            ends_set: false,
            counted: row.get::<_, i64>(5)?.cast_unsigned() + row.get::<_, i64>(9)?.cast_unsigned(),
            full: None,
            chatted: false,
            deleted: false,
            dirty: false,
            objects: Default::default(),
            logs: Default::default(),
        })
    };
    Ok(statement.query_row([key], read).optional()?)
}
