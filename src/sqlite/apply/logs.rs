//! The logs of objects in the tables. A row for each log has its totals: it is read and written once a transaction.
//! Each entry has a row, too.

use rusqlite::{Connection, OptionalExtension, params};

use super::{OpenCanvas, Txn};
use crate::backplane::CanvasKey;
use crate::canvas::ObjectLog;
use crate::canvas::bounds::entry_bytes;
use crate::protocol::ids::Epoch;
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::StoreResult;

/// The epoch of a canvas, as the transaction has left it.
pub(super) fn epoch(txn: &Txn<'_>, key: CanvasKey) -> StoreResult<Epoch> {
    let mut statement = txn.conn.prepare_cached(sql::EPOCH)?;
    let epoch = statement.query_row([key], |row| {
        Ok(Epoch::parse(row.get_ref(0)?.as_str()?).unwrap_or(Epoch(0)))
    });
    Ok(epoch?)
}

/// What there is once the log of an object of the canvas that stands there among those of the transaction.
pub(super) fn get(txn: &mut Txn<'_>, at: usize, id: &str) -> StoreResult<ObjectLog> {
    let canvas = &txn.canvases[at];
    if let Some((log, _)) = canvas.logs.get(id) {
        return Ok(*log);
    }
    if canvas.head.totals.logs == 0 {
        return Ok(ObjectLog::default());
    }
    let mut statement = txn.conn.prepare_cached(sql::OBJECT_LOG)?;
    let log = statement.query_row(params![canvas.content, id], |row| {
        Ok(ObjectLog {
            entries: row.get::<_, i64>(0)?.cast_unsigned(),
            bytes: row.get::<_, i64>(1)?.cast_unsigned(),
            upto: row.get::<_, i64>(2)?.cast_unsigned(),
            compacted_seq: row.get::<_, i64>(3)?.cast_unsigned(),
        })
    });
    let log = log.optional()?.unwrap_or_default();
    txn.canvases[at].logs.insert(id.to_owned(), (log, false));
    Ok(log)
}

/// How many entries there are up to a `seq`, and what they are charged with.
pub(super) fn entries_upto(
    txn: &Txn<'_>,
    at: usize,
    id: &str,
    upto: u64,
) -> StoreResult<(u64, u64)> {
    let content = txn.canvases[at].content;
    let mut statement = txn.conn.prepare_cached(sql::ENTRIES_UPTO)?;
    let mut rows = statement.query(params![content, id, upto.cast_signed()])?;
    let mut entries = 0;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        entries += 1;
        bytes += entry_bytes(row.get::<_, u32>(0)? as usize) as u64;
    }
    Ok((entries, bytes))
}

/// Writes an entry: its `seq`, its bytes in base64.
pub(super) fn put_entry(
    txn: &Txn<'_>,
    at: usize,
    id: &str,
    (seq, data): (u64, &str),
) -> StoreResult<()> {
    let content = txn.canvases[at].content;
    let mut put = txn.conn.prepare_cached(sql::PUT_ENTRY)?;
    put.execute(params![content, id, seq.cast_signed(), data])?;
    Ok(())
}

/// Removes the entries up to a `seq`.
pub(super) fn drop_entries(txn: &Txn<'_>, at: usize, id: &str, upto: u64) -> StoreResult<()> {
    let content = txn.canvases[at].content;
    let mut drop = txn.conn.prepare_cached(sql::DROP_ENTRIES)?;
    drop.execute(params![content, id, upto.cast_signed()])?;
    Ok(())
}

/// Removes a log.
pub(super) fn remove(txn: &mut Txn<'_>, at: usize, id: &str) -> StoreResult<()> {
    drop_entries(txn, at, id, i64::MAX.cast_unsigned())?;
    let canvas = &mut txn.canvases[at];
    canvas.logs.remove(id);
    let mut delete = txn.conn.prepare_cached(sql::DELETE_OBJECT_LOG)?;
    delete.execute(params![canvas.content, id])?;
    Ok(())
}

/// Writes what there is once a log, where that has changed.
pub(super) fn close(conn: &Connection, canvas: &OpenCanvas) -> StoreResult<()> {
    for (id, (log, _)) in canvas.logs.iter().filter(|(_, (_, changed))| *changed) {
        let mut set = conn.prepare_cached(sql::SET_OBJECT_LOG)?;
        set.execute(params![
            canvas.content,
            id,
            log.entries.cast_signed(),
            log.bytes.cast_signed(),
            log.upto.cast_signed(),
            log.compacted_seq.cast_signed()
        ])?;
    }
    Ok(())
}
