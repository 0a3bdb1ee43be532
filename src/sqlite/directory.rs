//! Requests from outside of a room: looking canvases up, publishing to them, deleting them.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::SqliteBackplane;
use super::command::Command;
use super::reader::unavailable;
use crate::backplane::{
    Author, Canvas, CanvasKey, Carrier, Entry, Found, Outcome, Post, Unavailable, Usage,
};
use crate::canvas::quotas::room_for_canvas;
use crate::limits::PUBLISH_WAIT;
use crate::protocol::client_message::Durable;
use crate::protocol::ids::{CanvasId, ConnId, Epoch, Position};
use crate::sqlite::storage::sql;

/// Who is where, with what there is. Not of the hot path: it counts all who are online.
const ACTIVE: &str = "SELECT c.key, c.epoch, c.seq, c.objects, p.members,
     c.object_bytes + c.chat_bytes, c.log_bytes, c.used_at, c.canvas_id
     FROM (SELECT canvas_id, count(*) AS members FROM presence GROUP BY canvas_id) AS p
     JOIN canvases AS c ON c.key = p.canvas_id
     WHERE c.canvas_id > ?1 ORDER BY c.canvas_id LIMIT ?2";

impl SqliteBackplane {
    pub(super) async fn find_canvas(&self, id: &CanvasId) -> Result<Option<Found>, Unavailable> {
        let id = id.clone();
        self.reader.read(move |conn| find(conn, &id)).await
    }

    pub(super) async fn create_canvas(&self, id: &CanvasId) -> Result<Canvas, Unavailable> {
        if let Some(found) = self.find_canvas(id).await? {
            return Ok(found.canvas);
        }
        let key = self.ask_for_canvas(id).await?;
        let id = id.clone();
        Ok(Canvas { id, key })
    }

    /// Has the writer make a canvas, unless there is one.
    pub(super) async fn ask_for_canvas(&self, id: &CanvasId) -> Result<CanvasKey, Unavailable> {
        let id = id.clone();
        let made = self.ask(|key| Command::CreateCanvas { id, key }).await?;
        made.ok_or_else(|| {
            let there = room_for_canvas(&self.own.setup.quotas, u64::MAX);
            there.map_or_else(Unavailable::Full, |()| {
                unavailable("the canvas was not made")
            })
        })
    }

    pub(super) async fn all_canvases(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Found>, Unavailable> {
        let after = after.to_owned();
        let query = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(sql::ALL)?;
            let mut rows = statement.query(params![after, limit])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                if let Ok(id) = CanvasId::parse(row.get_ref(8)?.as_str()?) {
                    all.push(found(id, row)?);
                }
            }
            Ok(all)
        };
        self.reader.read(query).await
    }

    pub(super) async fn active_canvases(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Found>, Unavailable> {
        let after = after.to_owned();
        let query = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(ACTIVE)?;
            let mut rows = statement.query(params![after, limit])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                if let Ok(id) = CanvasId::parse(row.get_ref(8)?.as_str()?) {
                    all.push(found(id, row)?);
                }
            }
            Ok(all)
        };
        self.reader.read(query).await
    }

    /// The append is done at once, so that who calls twice is committed in that order.
    pub(super) fn publish_message(
        &self,
        canvas: &Canvas,
        author: Arc<Author>,
        message: Durable,
    ) -> impl Future<Output = Result<Outcome, Unavailable>> + Send + use<> {
        let ended = self.tail.waiters.wait_for(author.conn, message.ops().len());
        let taken = self.append(canvas, Entry::Durable { author, message });
        async move {
            if let Err(refusal) = taken {
                return Ok(Outcome::Refused(refusal));
            }
            let unknown = "it is not known whether the message was committed: send it again";
            ended
                .within(PUBLISH_WAIT)
                .await
                .ok_or_else(|| unavailable(unknown))
        }
    }

    pub(super) async fn forward_post(
        &self,
        canvas: &CanvasId,
        conn: ConnId,
        post: Post,
    ) -> Result<bool, Unavailable> {
        if self.peers.is_empty() {
            return Ok(false);
        }
        let Some(found) = self.find_canvas(canvas).await? else {
            return Ok(false);
        };
        self.append(&found.canvas, Entry::Post { conn, post })
            .map_err(Unavailable::Full)?;
        Ok(true)
    }

    pub(super) async fn delete_canvas(&self, canvas: &Canvas) -> Result<Position, Unavailable> {
        let key = canvas.key;
        let epoch = Epoch::random();
        let delete = |head| Command::Delete { key, epoch, head };
        let seq = self.ask(delete).await?;
        Ok(Position { epoch, seq })
    }
}

fn find(conn: &Connection, id: &CanvasId) -> rusqlite::Result<Option<Found>> {
    let mut statement = conn.prepare_cached(sql::FIND)?;
    statement
        .query_row([id.as_str()], |row| found(id.clone(), row))
        .optional()
}

fn found(id: CanvasId, row: &Row<'_>) -> rusqlite::Result<Found> {
    let key = row.get(0)?;
    let head = Position {
        epoch: Epoch::parse(row.get_ref(1)?.as_str()?).unwrap_or(Epoch(0)),
        seq: row.get::<_, i64>(2)?.cast_unsigned(),
    };
    Ok(Found {
        canvas: Canvas { id, key },
        head,
        objects: row.get::<_, i64>(3)?.cast_unsigned(),
        members: row.get::<_, i64>(4)?.cast_unsigned(),
        usage: Some(Usage {
            stored_bytes: row.get::<_, i64>(5)?.cast_unsigned(),
            log_bytes: row.get::<_, i64>(6)?.cast_unsigned(),
            used_at_ms: row.get(7)?,
        }),
    })
}
