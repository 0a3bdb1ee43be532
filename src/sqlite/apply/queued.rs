//! The rows that a transaction puts into the queue, several with one statement: each statement reads and writes the
//! counter of ids, however many rows it has.

use std::num::NonZeroI64;

use rusqlite::{CachedStatement, Connection};

use crate::sqlite::delivery::carried::QueueRow;
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::{StoreError, StoreResult};

/// Rows on their way into the queue. Their ids are known at once, the table has them after [`Queued::write`].
pub(super) struct Queued<'a> {
    conn: &'a Connection,
    /// Holds the rows that are not written yet.
    statement: Option<CachedStatement<'a>>,
    waiting: u8,
    /// The id of the last row; `None` before the first.
    last_id: Option<i64>,
}

impl<'a> Queued<'a> {
    pub(super) fn new(conn: &'a Connection) -> Self {
        Self {
            conn,
            statement: None,
            waiting: 0,
            last_id: None,
        }
    }

    /// Takes a row, and the one before it in its canvas's log, if it is in it; gives its id. The first is written at once, since its id is the table's to give.
    pub(super) fn push(
        &mut self,
        row: &QueueRow<'_>,
        previous: Option<NonZeroI64>,
    ) -> StoreResult<i64> {
        let Some(last_id) = self.last_id else {
            let mut statement = self.conn.prepare_cached(sql::INSERT_ROW)?;
            bind(&mut statement, 0, row, previous)?;
            statement.raw_execute()?;
            let id = self.conn.last_insert_rowid();
            self.last_id = Some(id);
            return Ok(id);
        };
        let statement = match &mut self.statement {
            Some(statement) => statement,
            none => none.insert(self.conn.prepare_cached(sql::INSERT_ROWS)?),
        };
        bind(statement, usize::from(self.waiting), row, previous)?;
        self.waiting += 1;
        self.last_id = Some(last_id + 1);
        if self.waiting == sql::ROWS_AT_ONCE {
            self.write()?;
        }
        Ok(last_id + 1)
    }

    /// Writes what waits.
    pub(super) fn write(&mut self) -> StoreResult<()> {
        let Some(statement) = self.statement.as_mut().filter(|_| self.waiting > 0) else {
            return Ok(());
        };
        let limit = usize::from(sql::ROWS_AT_ONCE) * sql::ROW_PARAMETERS + 1;
        statement.raw_bind_parameter(limit, self.waiting)?;
        statement.raw_execute()?;
        statement.clear_bindings();
        self.waiting = 0;
        if self.last_id == Some(self.conn.last_insert_rowid()) {
            return Ok(());
        }
        Err(StoreError::OtherIds)
    }
}

fn bind(
    statement: &mut CachedStatement<'_>,
    place: usize,
    row: &QueueRow<'_>,
    previous: Option<NonZeroI64>,
) -> rusqlite::Result<()> {
    let at = place * sql::ROW_PARAMETERS;
    statement.raw_bind_parameter(at + 1, row.key)?;
    statement.raw_bind_parameter(at + 2, row.seq)?;
    statement.raw_bind_parameter(at + 3, row.kind)?;
    statement.raw_bind_parameter(at + 4, row.origin.cast_signed())?;
    statement.raw_bind_parameter(at + 5, row.client)?;
    statement.raw_bind_parameter(at + 6, row.op.cast_signed())?;
    statement.raw_bind_parameter(at + 7, previous.map_or(0, NonZeroI64::get))?;
    statement.raw_bind_parameter(at + 8, row.at_ms)?;
    statement.raw_bind_parameter(at + 9, row.expires_at)?;
    statement.raw_bind_parameter(at + 10, row.payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backplane::CanvasKey;

    const COUNT: i64 = 3 * sql::ROWS_AT_ONCE as i64 + 2;

    fn push(queued: &mut Queued<'_>, seq: i64) -> i64 {
        let payload = format!("payload {seq}");
        let row = QueueRow {
            key: CanvasKey(5),
            seq: Some(seq),
            kind: "chat",
            origin: 7,
            client: "client-1",
            op: 9,
            at_ms: 11,
            expires_at: 13,
            payload: &payload,
        };
        queued.push(&row, NonZeroI64::new(seq - 1)).unwrap()
    }

    fn stored(conn: &Connection) -> Vec<(i64, i64, i64, String)> {
        let mut rows = conn
            .prepare("SELECT id, seq, prev_id, payload FROM message_queue ORDER BY id")
            .unwrap();
        let rows = rows.query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// However many they are, rows have the ids that were told, in the order in which they came.
    #[test]
    fn rows_stand_in_the_order_they_came_in_under_the_ids_that_were_told() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("../../../schema.sql"))
            .unwrap();
        let (mut seq, mut expected) = (0, Vec::new());
        for count in 0..COUNT {
            let mut queued = Queued::new(&conn);
            for _ in 0..count {
                seq += 1;
                let id = push(&mut queued, seq);
                expected.push((id, seq, seq - 1, format!("payload {seq}")));
            }
            queued.write().unwrap();
            assert_eq!(stored(&conn), expected, "after {count} rows");
        }
        assert_eq!(expected.last().map(|row| row.0), Some(seq));
    }

    /// What was bound and not written is gone with its transaction.
    #[test]
    fn rows_that_were_given_up_are_not_in_the_next_statement() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("../../../schema.sql"))
            .unwrap();
        conn.execute_batch("BEGIN").unwrap();
        let mut given_up = Queued::new(&conn);
        (1..5).for_each(|seq| _ = push(&mut given_up, seq));
        drop(given_up);
        conn.execute_batch("ROLLBACK").unwrap();
        let mut queued = Queued::new(&conn);
        (1..3).for_each(|seq| _ = push(&mut queued, 100 + seq));
        queued.write().unwrap();
        let seqs: Vec<_> = stored(&conn).into_iter().map(|row| row.1).collect();
        assert_eq!(seqs, [101, 102]);
    }

    #[test]
    fn ids_that_are_not_the_next_ones_are_an_error() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("../../../schema.sql"))
            .unwrap();
        let mut queued = Queued::new(&conn);
        push(&mut queued, 1);
        push(&mut queued, 2);
        conn.execute_batch("UPDATE sqlite_sequence SET seq = 50")
            .unwrap();
        let error = queued.write().unwrap_err();
        assert!(matches!(error, StoreError::OtherIds), "{error}");
    }
}
