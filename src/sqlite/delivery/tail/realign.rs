//! Rows that came and went unseen, in a process that was stopped for longer than their TTL.

use rusqlite::{Connection, OptionalExtension, params};

use super::{State, last_id};
use crate::backplane::Delivery;
use crate::protocol::ids::Epoch;
use crate::sqlite::storage::sql;

impl State {
    /// Compares the rooms with the tables, once everything up to now was read: what is missing has expired
    /// before it was seen, and won't come.
    pub(super) fn realign(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let tx = conn.unchecked_transaction()?;
        if self.held_back.is_some()
            || last_id(&tx)? > self.position && has_rows_after(&tx, self.position)?
        {
            return Ok(());
        }
        for (key, room) in self.rooms.iter_mut().filter(|(_, room)| room.opened) {
            let head = tx
                .prepare_cached(sql::HEAD)?
                .query_row([key], |row| {
                    let seq: i64 = row.get(1)?;
                    let version: i64 = row.get(3)?;
                    Ok((row.get::<_, String>(0)?, seq, version))
                })
                .optional()?;
            let Some((epoch, seq, version)) = head else {
                continue;
            };
            let epoch = Epoch::parse(&epoch).unwrap_or(room.epoch);
            if epoch != room.epoch || seq.cast_unsigned() > room.last_seq {
                room.epoch = epoch;
                room.last_seq = seq.cast_unsigned();
                room.sink.deliver(Delivery::Reset {
                    epoch,
                    seq: room.last_seq,
                });
            }
            if version.cast_unsigned() > room.presence_version {
                room.presence_version = version.cast_unsigned();
                room.sink.deliver(Delivery::PresenceMissed {
                    version: room.presence_version,
                });
            }
        }
        self.position = last_id(&tx)?;
        // A room whose opener has read the tables, and not said so yet, may have read them before those rows.
        self.missed = self.rooms.values().any(|room| !room.opened);
        Ok(())
    }
}

fn has_rows_after(conn: &Connection, id: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached(sql::ROWS_AFTER)?.exists(params![id, 1])
}
