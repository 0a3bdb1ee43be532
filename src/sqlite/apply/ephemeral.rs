//! Rows of the ephemeral lane: presence, signals, cursors, and other entries that have no place in a log.

use std::sync::Arc;

use rusqlite::params;

use super::Txn;
use super::canvas::Rows;
use crate::backplane::{Author, CanvasKey, Delivery, Post};
use crate::canvas::quotas::charge;
use crate::protocol::ids::{ClientId, ConnId};
use crate::sqlite::delivery::carried::QueueRow;
use crate::sqlite::delivery::rows::{self, Ephemeral};
use crate::sqlite::delivery::tail::Step;
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::StoreResult;

impl Txn<'_> {
    /// Writes a row of the ephemeral lane.
    pub(in crate::sqlite) fn row(
        &mut self,
        key: CanvasKey,
        row: &Ephemeral<'_>,
        delivery: Delivery,
    ) -> StoreResult<()> {
        let written = QueueRow {
            key,
            seq: None,
            kind: row.kind,
            origin: row.origin.0,
            client: row.client,
            op: 0,
            at_ms: self.now_ms,
            expires_at: self.now_ms + self.setup.cursor_ttl_ms,
            payload: row.payload,
        };
        self.insert(&written, None)?;
        if row.kind != rows::SIGNAL {
            self.charge_ephemeral(key, row.payload.len())?;
        }
        self.out.steps.push(Step::Row { key, delivery });
        Ok(())
    }

    pub(super) fn kick(&mut self, key: CanvasKey, conn: ConnId) -> StoreResult<()> {
        let delivery = Delivery::Kick { conn };
        let row = Ephemeral {
            kind: rows::KICK,
            origin: self.setup.number.own_conn(),
            client: "",
            payload: &rows::kick(conn),
        };
        self.row(key, &row, delivery)
    }

    pub(super) fn signal(
        &mut self,
        key: CanvasKey,
        author: &Author,
        body: &str,
    ) -> StoreResult<()> {
        let client = author.client.clone();
        let origin = author.conn;
        let delivery = Delivery::Signal {
            client,
            origin,
            body: body.into(),
        };
        let client = author.client.as_str();
        let payload = rows::signal(body);
        // Where there is no room for it, others miss it: signals may be lost.
        if !self.elsewhere(key)? || !self.takes_signal(key, payload.len())? {
            self.out.steps.push(Step::Answer { key, delivery });
            return Ok(());
        }
        let row = Ephemeral {
            kind: rows::SIGNAL,
            origin,
            client,
            payload: &payload,
        };
        self.charge(key, payload.len())?;
        self.row(key, &row, delivery)
    }

    fn takes_signal(&mut self, key: CanvasKey, bytes: usize) -> StoreResult<bool> {
        let there = Rows::find(self, key)?.is_some();
        Ok(there && self.fits(key, charge(bytes))?.is_ok())
    }

    pub(super) fn cursors(
        &mut self,
        key: CanvasKey,
        cursors: &[(ClientId, Arc<str>)],
    ) -> StoreResult<()> {
        let delivery = Delivery::Cursors {
            instance: self.setup.number,
            cursors: cursors.to_vec(),
        };
        let payload = match self.elsewhere(key)? {
            true => rows::cursors(cursors),
            false => String::new(),
        };
        // Where there is no room for them, others get the next ones.
        if payload.is_empty() || !self.takes_ephemeral(key, payload.len())? {
            self.out.steps.push(Step::Answer { key, delivery });
            return Ok(());
        }
        let origin = self.setup.number.own_conn();
        let row = Ephemeral {
            kind: rows::CURSORS,
            origin,
            client: "",
            payload: &payload,
        };
        self.row(key, &row, delivery)
    }

    /// A post for the instance that has the connection. It is lost if no other instance has the canvas, or if there is no
    /// room for the row. Then the client posts again.
    pub(super) fn post(&mut self, key: CanvasKey, conn: ConnId, post: &Post) -> StoreResult<()> {
        if !self.elsewhere(key)? {
            return Ok(());
        }
        let payload = rows::post(conn, post);
        if !self.takes_ephemeral(key, payload.len())? {
            return Ok(());
        }
        let row = Ephemeral {
            kind: rows::POST,
            origin: self.setup.number.own_conn(),
            client: "",
            payload: &payload,
        };
        let post = post.clone();
        self.row(key, &row, Delivery::Post { conn, post })
    }

    /// Whether another instance has a room for the canvas. A room has its watermark before it has members, so nobody
    /// who has joined is missed.
    fn elsewhere(&self, key: CanvasKey) -> StoreResult<bool> {
        let mut statement = self.conn.prepare_cached(sql::ELSEWHERE)?;
        Ok(statement.exists(params![key, self.setup.instance_id])?)
    }
}
