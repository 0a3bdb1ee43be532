//! From rows to rooms: makes deliveries of rows that were read from the file, came along with a wake, or were just
//! written.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::{Logged, Room, State};
use crate::backplane::{CanvasKey, Delivery, LogBuilder};
use crate::protocol::client_message::Kind;
use crate::protocol::ids::ConnId;
use crate::sqlite::delivery::carried::QueueRow;
use crate::sqlite::delivery::rows::{self, Ephemeral};
use crate::sqlite::storage::sql;

/// A row of [`sql::ROWS_AFTER`].
fn queue_row<'a>(row: &'a Row<'_>) -> rusqlite::Result<QueueRow<'a>> {
    Ok(QueueRow {
        key: row.get(1)?,
        seq: row.get(2)?,
        kind: row.get_ref(3)?.as_str()?,
        origin: row.get::<_, i64>(4)?.cast_unsigned(),
        client: row.get_ref(5)?.as_str()?,
        op: row.get::<_, i64>(6)?.cast_unsigned(),
        at_ms: row.get(7)?,
        expires_at: row.get(8)?,
        payload: row.get_ref(9)?.as_str()?,
    })
}

impl State {
    pub(super) fn read_on(
        &mut self,
        conn: &Connection,
        now_ms: i64,
        limit: u32,
        upto: Option<i64>,
    ) -> rusqlite::Result<usize> {
        let limit = match upto {
            Some(upto) => (upto - self.position).min(i64::from(limit)),
            None => i64::from(limit),
        };
        let mut statement = conn.prepare_cached(sql::ROWS_AFTER)?;
        let mut rows = statement.query(params![self.position, limit])?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if upto.is_some_and(|upto| id > upto) {
                break;
            }
            self.missed |= id != self.position + 1;
            self.dispatch(row.get(1)?, now_ms, || queue_row(row))?;
            self.position = id;
            read += 1;
        }
        if let Some(upto) = upto
            && read == 0
        {
            // What should be there has expired and gone.
            self.missed = true;
            self.position = upto;
        }
        Ok(read)
    }

    /// Takes a row of the file or of a wake to its room; it is looked at only if there is one.
    pub(super) fn dispatch<'r>(
        &mut self,
        key: CanvasKey,
        now_ms: i64,
        row: impl FnOnce() -> rusqlite::Result<QueueRow<'r>>,
    ) -> rusqlite::Result<()> {
        let Some(room) = self.rooms.get_mut(&key) else {
            return Ok(());
        };
        room.moves(key, &mut self.moved);
        let row = row()?;
        if row.expires_at <= now_ms {
            self.missed = true;
            return Ok(());
        }
        let origin = ConnId(row.origin);
        let client = row.client;
        if let (Some(seq), Some(kind)) = (row.seq, Kind::parse(row.kind)) {
            let run = room.run_at(key, seq.cast_unsigned(), &mut self.running);
            let payload = row.payload.as_bytes();
            let took_ms = u64::try_from(now_ms - row.at_ms).unwrap_or(0);
            self.delivery.record(Duration::from_millis(took_ms));
            run.push(kind, origin, row.op, client, row.at_ms, payload);
        } else if let Some(delivery) = rows::read(&Ephemeral {
            kind: row.kind,
            origin,
            client,
            payload: row.payload,
        }) {
            self.deliver(key, delivery);
        }
        Ok(())
    }

    pub(super) fn log(&mut self, m: &Logged, at_ms: i64, took: Duration) {
        if let Some(room) = self.rooms.get_mut(&m.key) {
            self.delivery.record(took);
            room.moves(m.key, &mut self.moved);
            let run = room.run_at(m.key, m.seq, &mut self.running);
            run.push(m.kind, m.origin, m.op, m.client.as_str(), at_ms, &m.body);
        }
    }

    pub(super) fn deliver(&mut self, key: CanvasKey, delivery: Delivery) {
        if let Some(room) = self.rooms.get_mut(&key) {
            room.flush();
            match &delivery {
                Delivery::Presence(event) => room.presence_version = event.version,
                Delivery::Reset { epoch, seq } => {
                    room.epoch = *epoch;
                    room.last_seq = *seq;
                    room.reset = true;
                }
                _ => {}
            }
            room.moves(key, &mut self.moved);
            room.sink.deliver(delivery);
        }
    }

    pub(super) fn flush(&mut self) {
        for key in self.running.drain(..) {
            if let Some(room) = self.rooms.get_mut(&key) {
                room.flush();
            }
        }
    }
}

impl Room {
    /// Its watermark has to be written.
    pub(super) fn moves(&mut self, key: CanvasKey, moved: &mut Vec<CanvasKey>) {
        if !std::mem::replace(&mut self.moved, true) {
            moved.push(key);
        }
    }

    /// The run that a message with this `seq` belongs to. A hole ends a run: the room sees it and reads.
    fn run_at(
        &mut self,
        key: CanvasKey,
        seq: u64,
        running: &mut Vec<CanvasKey>,
    ) -> &mut LogBuilder {
        if self.run.as_ref().is_some_and(|run| run.next_seq() != seq) {
            self.flush();
        }
        self.last_seq = seq;
        let epoch = self.epoch;
        self.run.get_or_insert_with(|| {
            running.push(key);
            LogBuilder::new(epoch, seq)
        })
    }

    fn flush(&mut self) {
        if let Some(batch) = self.run.take().and_then(LogBuilder::finish) {
            self.sink.deliver(Delivery::Log(batch));
        }
    }
}
