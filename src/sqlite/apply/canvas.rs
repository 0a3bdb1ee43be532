//! A canvas's rows in the tables, as the rules see them.

use std::num::{NonZeroI64, NonZeroU64};

use rusqlite::{OptionalExtension, params};

use super::head::read_canvas;
use super::{OpenCanvas, OpenClient, Txn, logs, read_object};
use crate::backplane::{CanvasKey, Delivery, PresenceChange, PresenceEvent};
use crate::canvas::{
    Away, ClientRow, Head, Logged, ObjectLog, OpenObject, Place, RESENT_STEPS, Store,
};
use crate::limits::TOMBSTONE;
use crate::protocol::ids::{ClientId, ConnId, Epoch, InstanceNumber, Position};
use crate::sqlite::delivery::carried::QueueRow;
use crate::sqlite::delivery::rows::{self, Ephemeral};
use crate::sqlite::delivery::tail::{self, Step};
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::{StoreError, StoreResult};
use crate::time::millis;

/// The rows of one canvas within a transaction.
pub(in crate::sqlite) struct Rows<'t, 'a> {
    txn: &'t mut Txn<'a>,
    key: CanvasKey,
    /// Where the canvas stands among those of the transaction.
    at: usize,
}

impl<'t, 'a> Rows<'t, 'a> {
    pub(super) fn of(txn: &'t mut Txn<'a>, key: CanvasKey) -> StoreResult<Self> {
        Self::find(txn, key)?.ok_or(StoreError::NoCanvas(key))
    }

    /// The same; `None` if there is no such canvas any more.
    pub(super) fn find(txn: &'t mut Txn<'a>, key: CanvasKey) -> StoreResult<Option<Self>> {
        let at = match txn.canvas_of.get(&key) {
            Some(at) => *at,
            None => {
                let Some(canvas) = read_canvas(txn, key)? else {
                    return Ok(None);
                };
                txn.canvases.push(canvas);
                let at = txn.canvases.len() - 1;
                txn.canvas_of.insert(key, at);
                at
            }
        };
        Ok(Some(Self { txn, key, at }))
    }

    /// What there is once.
    pub(super) fn into_canvas(self) -> &'t mut OpenCanvas {
        &mut self.txn.canvases[self.at]
    }

    fn canvas(&mut self) -> &mut OpenCanvas {
        &mut self.txn.canvases[self.at]
    }

    /// Whether the client has a row, or will have one after this transaction.
    pub(super) fn remembers(&mut self, name: &ClientId) -> StoreResult<bool> {
        let at = self.client_at(name)?;
        let client = &self.txn.clients[at];
        Ok(client.known || client.dirty)
    }

    /// Where the client stands among those of the transaction; it is read if it does not.
    fn client_at(&mut self, name: &ClientId) -> StoreResult<usize> {
        let txn = &mut *self.txn;
        // Most messages are of the author of the one before.
        if let Some(last) = txn.clients.get(txn.last_client)
            && last.key == self.key
            && last.name == *name
        {
            return Ok(txn.last_client);
        }
        let place = (self.key, name.clone());
        if let Some(at) = txn.client_of.get(&place) {
            txn.last_client = *at;
            return Ok(*at);
        }
        let places_from = txn.canvases[self.at].places_from;
        let mut statement = txn.conn.prepare_cached(sql::CLIENT)?;
        let row = statement.query_row(params![self.key, name.as_str()], |row| {
            let last_seq = NonZeroU64::new(row.get::<_, i64>(2)?.cast_unsigned());
            Ok(ClientRow {
                subject: row.get(0)?,
                last_op: row.get::<_, i64>(1)?.cast_unsigned(),
                last_seq: last_seq.filter(|seq| seq.get() > places_from),
            })
        });
        let row = row.optional()?;
        txn.clients.push(OpenClient {
            key: self.key,
            name: name.clone(),
            known: row.is_some(),
            row: row.unwrap_or_default(),
            dirty: false,
        });
        let at = txn.clients.len() - 1;
        txn.client_of.insert(place, at);
        txn.last_client = at;
        Ok(at)
    }
}

impl Store for Rows<'_, '_> {
    type Error = StoreError;

    fn head(&self) -> &Head {
        &self.txn.canvases[self.at].head
    }

    fn head_mut(&mut self) -> &mut Head {
        let now_ms = self.txn.now_ms;
        let canvas = self.canvas();
        canvas.dirty = true;
        canvas.used_at = now_ms;
        &mut canvas.head
    }

    fn client(&mut self, name: &ClientId) -> StoreResult<&ClientRow> {
        let at = self.client_at(name)?;
        Ok(&self.txn.clients[at].row)
    }

    fn use_client(
        &mut self,
        name: &ClientId,
        change: impl FnOnce(&mut ClientRow),
    ) -> StoreResult<()> {
        let at = self.client_at(name)?;
        let client = &mut self.txn.clients[at];
        client.dirty = true;
        change(&mut client.row);
        Ok(())
    }

    fn place_of(&mut self, name: &ClientId, op: u64) -> StoreResult<Option<NonZeroU64>> {
        self.txn.queued.write()?;
        let mut next = self.canvas().head_id;
        let mut step = self.txn.conn.prepare_cached(sql::STEP)?;
        for _ in 0..RESENT_STEPS {
            let Some(id) = next else { break };
            let mut rows = step.query([id.get()])?;
            let Some(row) = rows.next()? else { break };
            if row.get::<_, i64>(4)? <= self.txn.now_ms {
                break;
            }
            if row.get::<_, i64>(2)? == op.cast_signed()
                && row.get_ref(3)?.as_str()? == name.as_str()
            {
                return Ok(NonZeroU64::new(row.get::<_, i64>(0)?.cast_unsigned()));
            }
            next = NonZeroI64::new(row.get(1)?);
        }
        Ok(None)
    }

    fn push(&mut self, message: Logged<'_>) -> StoreResult<()> {
        let author = message.author;
        let now_ms = self.txn.now_ms;
        let row = QueueRow {
            key: self.key,
            seq: Some(message.seq.cast_signed()),
            kind: message.kind.as_str(),
            origin: author.conn.0,
            client: author.client.as_str(),
            op: message.op,
            at_ms: now_ms,
            expires_at: now_ms + self.txn.setup.rules.message_ttl_ms,
            payload: &message.body,
        };
        let previous = self.canvas().head_id;
        let id = self.txn.insert(&row, previous)?;
        let canvas = self.canvas();
        canvas.head_id = NonZeroI64::new(id);
        // Who writes on it has use for it.
        canvas.ends_set |= canvas.ends_at.take().is_some();
        self.txn.charge(self.key, message.body.len())?;
        if let Some(stage) = &mut self.txn.hooks {
            let open = &self.txn.canvases[self.at].objects;
            stage.logged(self.txn.conn, self.key, &message, open)?;
        }
        self.txn.out.steps.push(Step::Log(tail::Logged {
            key: self.key,
            seq: message.seq,
            kind: message.kind,
            origin: author.conn,
            op: message.op,
            client: author.client.clone(),
            body: message.body.into_bytes(),
        }));
        Ok(())
    }

    fn push_chat(&mut self, seq: u64, entry: String) -> StoreResult<()> {
        let canvas = self.canvas();
        let content = canvas.content;
        canvas.chatted = true;
        canvas.chat_bytes += entry.len() as u64;
        let mut put = self.txn.conn.prepare_cached(sql::PUT_CHAT)?;
        put.execute(params![content, seq.cast_signed(), entry])?;
        Ok(())
    }

    fn object_bytes(&mut self, id: &str) -> StoreResult<Option<usize>> {
        if let Some(open) = self.canvas().objects.get(id) {
            return Ok(Some(open.bytes()));
        }
        let content = self.canvas().content;
        let mut statement = self.txn.conn.prepare_cached(sql::OBJECT_BYTES)?;
        let bytes = statement.query_row(params![content, id], |row| row.get::<_, u32>(0));
        Ok(bytes.optional()?.map(|bytes| bytes as usize))
    }

    fn open_object(&mut self, id: &str) -> StoreResult<Option<(&mut OpenObject, bool)>> {
        let fresh = !self.canvas().objects.contains_key(id);
        if fresh {
            let content = self.canvas().content;
            let Some(object) = read_object(self.txn, content, id)? else {
                return Ok(None);
            };
            self.canvas().objects.insert(id.to_owned(), object);
        }
        let open = self.canvas().objects.get_mut(id);
        Ok(open.map(|open| (open, fresh)))
    }

    fn drop_object(&mut self, id: &str) {
        self.canvas().objects.remove(id);
    }

    fn put_object(&mut self, id: &str, seq: u64, text: &str) -> StoreResult<()> {
        let canvas = self.canvas();
        canvas.objects.remove(id);
        let content = canvas.content;
        let mut put = self.txn.conn.prepare_cached(sql::PUT_OBJECT)?;
        put.execute(params![content, id, seq.cast_signed(), text])?;
        Ok(())
    }

    fn remove_object(&mut self, id: &str) -> StoreResult<()> {
        let canvas = self.canvas();
        canvas.objects.remove(id);
        let content = canvas.content;
        let mut delete = self.txn.conn.prepare_cached(sql::DELETE_OBJECT)?;
        delete.execute(params![content, id])?;
        let seq = self.head().seq + 1;
        let mut put = self.txn.conn.prepare_cached(sql::PUT_DELETION)?;
        put.execute(params![content, seq.cast_signed(), id])?;
        self.canvas().deleted = true;
        Ok(())
    }

    fn epoch(&mut self) -> StoreResult<Epoch> {
        logs::epoch(self.txn, self.key)
    }

    fn object_log(&mut self, id: &str) -> StoreResult<ObjectLog> {
        logs::get(self.txn, self.at, id)
    }

    fn set_object_log(&mut self, id: &str, log: ObjectLog) -> StoreResult<()> {
        self.canvas().logs.insert(id.to_owned(), (log, true));
        Ok(())
    }

    fn entries_upto(&mut self, id: &str, upto: u64) -> StoreResult<(u64, u64)> {
        logs::entries_upto(self.txn, self.at, id, upto)
    }

    fn put_entry(&mut self, id: &str, seq: u64, data: &str) -> StoreResult<()> {
        logs::put_entry(self.txn, self.at, id, (seq, data))
    }

    fn drop_entries(&mut self, id: &str, upto: u64) -> StoreResult<()> {
        logs::drop_entries(self.txn, self.at, id, upto)
    }

    fn remove_log(&mut self, id: &str) -> StoreResult<()> {
        logs::remove(self.txn, self.at, id)
    }

    fn clear(&mut self) -> StoreResult<()> {
        let ends_at = self.txn.now_ms + millis(TOMBSTONE);
        let canvas = self.canvas();
        canvas.objects.clear();
        canvas.logs.clear();
        canvas.chat_bytes = 0;
        // What is left is remembered for as long as its clients may come back.
        canvas.ends_at = Some(ends_at);
        canvas.ends_set = true;
        self.txn.drop_content(self.at)
    }

    /// The log can't be walked any more: the chain ends at the new head, and rows up to the last one of all are no part of it.
    fn renumber(&mut self, epoch: Epoch) -> StoreResult<()> {
        let txn = &mut *self.txn;
        let key = self.key;
        txn.queued.write()?;
        for client in txn.clients.iter_mut().filter(|client| client.key == key) {
            client.row.last_seq = None;
        }
        let seq = txn.canvases[self.at].head.seq;
        let mut set = txn.conn.prepare_cached(sql::SET_EPOCH)?;
        set.execute(params![key, epoch.to_string(), seq.cast_signed()])?;
        if let Some(stage) = &mut txn.hooks {
            stage.renumbered(key);
        }
        let last_id = txn.conn.prepare_cached(sql::LAST_ID)?;
        let last_id = { last_id }.query_row([], |row| row.get(0)).optional()?;
        let canvas = self.canvas();
        canvas.places_from = seq;
        canvas.head_id = None;
        canvas.dirty = true;
        canvas.log_bytes = 0;
        canvas.log_from = last_id.unwrap_or(0);
        Ok(())
    }

    fn place(&mut self, client: &ClientId) -> StoreResult<Option<Place>> {
        let mut statement = self.txn.conn.prepare_cached(sql::PLACE)?;
        let read = |row: &rusqlite::Row<'_>| {
            let since_ms: Option<i64> = row.get(3)?;
            let instance_lost = row.get(4)?;
            Ok(Place {
                conn: ConnId(row.get::<_, i64>(0)?.cast_unsigned()),
                user: row.get(1)?,
                state: row.get(2)?,
                away: since_ms.map(|since_ms| Away {
                    since_ms,
                    instance_lost,
                }),
            })
        };
        let place = statement.query_row(params![self.key, client.as_str()], read);
        Ok(place.optional()?)
    }

    fn set_place(&mut self, client: &ClientId, place: &Place) -> StoreResult<()> {
        let mut set = self.txn.conn.prepare_cached(sql::SET_PLACE)?;
        set.execute(params![
            self.key,
            client.as_str(),
            self.txn.setup.instance_id,
            place.conn.0.cast_signed(),
            place.user,
            place.state,
            place.away.map(|away| away.since_ms),
            place.away.is_some_and(|away| away.instance_lost)
        ])?;
        Ok(())
    }

    fn remove_place(&mut self, client: &ClientId) -> StoreResult<()> {
        let mut delete = self.txn.conn.prepare_cached(sql::DELETE_PLACE)?;
        delete.execute(params![self.key, client.as_str()])?;
        Ok(())
    }

    fn places_of(&mut self, instance: InstanceNumber) -> StoreResult<Vec<ClientId>> {
        let (first, last) = ConnId::all_of(instance);
        let held = params![self.key, first.0.cast_signed(), last.0.cast_signed()];
        let mut statement = self.txn.conn.prepare_cached(sql::PLACES_OF)?;
        let mut rows = statement.query(held)?;
        let mut clients = Vec::new();
        while let Some(row) = rows.next()? {
            clients.extend(ClientId::parse(row.get_ref(0)?.as_str()?));
        }
        Ok(clients)
    }

    fn emit_presence(
        &mut self,
        event: PresenceEvent,
        origin: ConnId,
        new: bool,
    ) -> StoreResult<()> {
        let (kind, client) = match &event.change {
            PresenceChange::Set(member) if new => (rows::CONNECTED, &member.client),
            PresenceChange::Set(member) => (rows::PRESENCE, &member.client),
            PresenceChange::Gone { client, .. } => (rows::DISCONNECTED, client),
        };
        let mut payload = rows::presence(&event);
        // Without room for it, others look at the table.
        if !self.txn.takes_ephemeral(self.key, payload.len())? {
            payload = rows::presence_missed(event.version);
        }
        let client = client.clone();
        if let Some(stage) = &mut self.txn.hooks {
            let place = (self.txn.canvases[self.at].head.seq, event.version);
            let joined = match &event.change {
                PresenceChange::Set(member) if new => Some(Some(&*member.user)),
                PresenceChange::Set(_) => None,
                PresenceChange::Gone { .. } => Some(None),
            };
            if let Some(joined) = joined {
                stage.presence(self.txn.conn, self.key, place, client.as_str(), joined)?;
            }
        }
        let row = Ephemeral {
            kind,
            origin,
            client: client.as_str(),
            payload: &payload,
        };
        self.txn.row(self.key, &row, Delivery::Presence(event))
    }

    fn emit_reset(&mut self, head: Position) -> StoreResult<()> {
        let Position { epoch, seq } = head;
        let row = Ephemeral {
            kind: rows::RESET,
            origin: self.txn.setup.number.own_conn(),
            client: "",
            payload: &rows::reset(head),
        };
        self.txn.row(self.key, &row, Delivery::Reset { epoch, seq })
    }

    fn answer(&mut self, delivery: Delivery) {
        let key = self.key;
        self.txn.out.steps.push(Step::Answer { key, delivery });
    }
}
