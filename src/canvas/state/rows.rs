//! A canvas's rows in memory, as the rules see them.

use std::convert::Infallible;
use std::num::NonZeroU64;

use super::Tables;
use super::log::Row;
use crate::backplane::{Delivery, PresenceEvent};
use crate::canvas::{ClientRow, EventCollector, Head, Logged, ObjectLog, OpenObject, Place, Store};
use crate::protocol::ids::{ClientId, ConnId, Epoch, InstanceNumber, Position};

/// The rows at one moment.
pub(super) struct Rows<'a> {
    pub(super) tables: &'a mut Tables,
    pub(super) now_ms: i64,
    pub(super) out: &'a mut Vec<Delivery>,
    pub(super) collector: Option<&'a mut EventCollector>,
}

/// Of who is not remembered.
static NOBODY: ClientRow = ClientRow {
    subject: String::new(),
    last_op: 0,
    last_seq: None,
};

impl Store for Rows<'_> {
    type Error = Infallible;

    fn head(&self) -> &Head {
        &self.tables.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.tables.head
    }

    fn client(&mut self, name: &ClientId) -> Result<&ClientRow, Infallible> {
        let known = self.tables.clients.rows.get(name);
        Ok(known.map_or(&NOBODY, |client| &client.row))
    }

    fn use_client(
        &mut self,
        name: &ClientId,
        change: impl FnOnce(&mut ClientRow),
    ) -> Result<(), Infallible> {
        let now_ms = self.now_ms;
        self.tables.clients.update(name, |client| {
            client.used_at_ms = now_ms;
            change(&mut client.row);
        });
        Ok(())
    }

    fn place_of(&mut self, name: &ClientId, op: u64) -> Result<Option<NonZeroU64>, Infallible> {
        Ok(self.tables.log.place_of(self.tables.head.seq, name, op))
    }

    fn push(&mut self, message: Logged<'_>) -> Result<(), Infallible> {
        if let Some(collector) = &mut self.collector {
            let objects = &self.tables.objects;
            let bytes = |id: &str| objects.bytes(id);
            let whole = |id: &str| objects.text_now(id);
            collector.logged(self.tables.position(), &message, bytes, whole);
        }
        let row = Row {
            kind: message.kind,
            origin: message.author.conn,
            op: message.op,
            client: message.author.client.clone(),
            at_ms: self.now_ms,
            body: message.body,
        };
        let told = self.tables.log.push(message.seq, row);
        self.out.extend(told.map(Delivery::Log));
        Ok(())
    }

    fn push_chat(&mut self, _seq: u64, entry: String) -> Result<(), Infallible> {
        self.tables.chat.push(entry);
        Ok(())
    }

    fn object_bytes(&mut self, id: &str) -> Result<Option<usize>, Infallible> {
        Ok(self.tables.objects.bytes(id))
    }

    fn open_object(&mut self, id: &str) -> Result<Option<(&mut OpenObject, bool)>, Infallible> {
        Ok(self.tables.objects.open(id))
    }

    fn drop_object(&mut self, id: &str) {
        self.tables.objects.drop_open(id);
    }

    fn put_object(&mut self, id: &str, seq: u64, text: &str) -> Result<(), Infallible> {
        self.tables.objects.put(id, seq, text);
        Ok(())
    }

    fn remove_object(&mut self, id: &str) -> Result<(), Infallible> {
        let seq = self.tables.head.seq + 1;
        self.tables.objects.remove(id, seq);
        Ok(())
    }

    fn epoch(&mut self) -> Result<Epoch, Infallible> {
        Ok(self.tables.log.epoch())
    }

    fn object_log(&mut self, id: &str) -> Result<ObjectLog, Infallible> {
        Ok(self.tables.logs.get(id))
    }

    fn set_object_log(&mut self, id: &str, log: ObjectLog) -> Result<(), Infallible> {
        self.tables.logs.set(id, log);
        Ok(())
    }

    fn entries_upto(&mut self, id: &str, upto: u64) -> Result<(u64, u64), Infallible> {
        Ok(self.tables.logs.upto(id, upto))
    }

    fn put_entry(&mut self, id: &str, seq: u64, data: &str) -> Result<(), Infallible> {
        self.tables.logs.put(id, seq, data);
        Ok(())
    }

    fn drop_entries(&mut self, id: &str, upto: u64) -> Result<(), Infallible> {
        self.tables.logs.drop_upto(id, upto);
        Ok(())
    }

    fn remove_log(&mut self, id: &str) -> Result<(), Infallible> {
        self.tables.logs.remove(id);
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Infallible> {
        self.tables.objects = Default::default();
        self.tables.logs = Default::default();
        self.tables.chat = Default::default();
        Ok(())
    }

    fn renumber(&mut self, epoch: Epoch) -> Result<(), Infallible> {
        self.tables.log.restart(epoch);
        self.tables.clients.forget_places();
        Ok(())
    }

    fn place(&mut self, client: &ClientId) -> Result<Option<Place>, Infallible> {
        Ok(self.tables.presence.get(client).cloned())
    }

    fn set_place(&mut self, client: &ClientId, place: &Place) -> Result<(), Infallible> {
        self.tables.presence.set(client, place.clone());
        Ok(())
    }

    fn remove_place(&mut self, client: &ClientId) -> Result<(), Infallible> {
        self.tables.presence.remove(client);
        Ok(())
    }

    fn places_of(&mut self, instance: InstanceNumber) -> Result<Vec<ClientId>, Infallible> {
        Ok(self.tables.presence.of_instance(instance))
    }

    fn emit_presence(
        &mut self,
        event: PresenceEvent,
        _origin: ConnId,
        new: bool,
    ) -> Result<(), Infallible> {
        if let Some(collector) = &mut self.collector {
            let here = self.tables.presence.len();
            collector.presence(self.tables.position(), &event, new, here);
        }
        self.out.push(Delivery::Presence(event));
        Ok(())
    }

    fn emit_reset(&mut self, head: Position) -> Result<(), Infallible> {
        let Position { epoch, seq } = head;
        self.out.push(Delivery::Reset { epoch, seq });
        Ok(())
    }

    fn answer(&mut self, answer: Delivery) {
        self.out.push(answer);
    }
}
