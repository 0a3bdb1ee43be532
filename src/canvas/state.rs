//! A canvas in memory: its rows, and the time that passes over them.

use std::collections::{BTreeMap, HashSet};

use super::event_collector::EventCollector;
use super::moment::{Moment, Rules};
use super::quotas::{Spare, room_for_client};
use super::{Head, bounds};
use crate::backplane::{Delivery, Entry, PresenceTable, Read, Refusal, Snapshot};
use crate::limits::CLIENT_MEMORY;
use crate::protocol::client_message::{Change, Durable};
use crate::protocol::features::Features;
use crate::protocol::ids::{ClientId, Epoch, InstanceNumber, Position};
use crate::time::millis;
use chat::Chat;
use clients::{Client, Clients};
use log::Log;
use logs::Logs;
use objects::Objects;
use presence::Table;
use rows::Rows;
use sum::Sum;

mod chat;
mod clients;
pub mod codec;
mod command;
mod contents;
mod log;
mod logs;
mod objects;
mod presence;
mod rows;
mod sum;
mod taken;

pub use command::Command;
pub use contents::{Contents, KeptClient, KeptMessage, KeptObject};

/// How often clients that were not heard of for [`CLIENT_MEMORY`] are looked for, in milliseconds.
const FORGET_INTERVAL_MS: i64 = 3_600_000;

/// What is remembered of an instance that sends batches.
#[derive(Debug)]
struct Sender {
    /// Of its last batch.
    serial: u64,
    used_at_ms: i64,
}

/// Everything about one canvas.
#[derive(Debug)]
pub struct CanvasState {
    rules: Rules,
    tables: Tables,
    senders: BTreeMap<InstanceNumber, Sender>,
    forget_at_ms: i64,
    /// Done since it was last asked for.
    work: usize,
    spare: Option<Spare>,
    /// What listens for hooks, while something does.
    collector: Option<Box<EventCollector>>,
}

/// What a canvas's rows are in.
#[derive(Debug)]
struct Tables {
    head: Head,
    log: Log,
    objects: Objects,
    logs: Logs,
    chat: Chat,
    clients: Clients,
    presence: Table,
}

impl CanvasState {
    /// A canvas that was never used.
    pub fn new(epoch: Epoch, rules: Rules) -> Self {
        let tables = Tables {
            head: Head::default(),
            log: Log::new(epoch),
            objects: Objects::default(),
            logs: Logs::default(),
            chat: Chat::default(),
            clients: Clients::default(),
            presence: Table::default(),
        };
        Self {
            rules,
            tables,
            senders: BTreeMap::new(),
            forget_at_ms: 0,
            work: 0,
            spare: None,
            collector: None,
        }
    }

    /// Whether it takes an entry of that client: it remembers it, or there is room for one more.
    ///
    /// # Errors
    /// See [`room_for_client`].
    pub fn room_for_client(&self, client: &ClientId) -> Result<(), Refusal> {
        let rows = &self.tables.clients.rows;
        match room_for_client(rows.len()) {
            Err(refusal) if !rows.contains_key(client) => Err(refusal),
            _ => Ok(()),
        }
    }

    /// From here on this collects what is dispatched to hooks. Not part of what copies must have alike.
    pub fn listen(&mut self, collector: EventCollector) {
        self.collector = Some(Box::new(collector));
    }

    /// What was collected, since something listens. Nothing does any more.
    pub fn take_collector(&mut self) -> Option<EventCollector> {
        self.collector.take().map(|collector| *collector)
    }

    /// From here on other rules hold.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Whether nothing was ever said on it, and nobody is there.
    pub fn is_unused(&self) -> bool {
        self.is_blank() && self.head().seq == 0 && self.tables.presence.is_empty()
    }

    /// Whether nobody is there, not even away.
    pub fn is_deserted(&self) -> bool {
        self.tables.presence.is_empty()
    }

    /// Applies an entry of the instance numbered `from`, at a time (ms since the epoch) that never
    /// goes back; appends what follows to `out`.
    pub fn apply(
        &mut self,
        from: InstanceNumber,
        entry: Entry,
        now_ms: i64,
        out: &mut Vec<Delivery>,
    ) {
        self.apply_open(from, entry, now_ms, out);
        self.tables.objects.close();
    }

    /// The same, with objects left taken apart for what comes next.
    fn apply_open(
        &mut self,
        from: InstanceNumber,
        entry: Entry,
        now_ms: i64,
        out: &mut Vec<Delivery>,
    ) {
        self.tick(now_ms, out);
        match entry.told(from) {
            Ok(told) => out.push(told),
            Err(entry) => {
                let mut moment = self.moment(now_ms, out);
                let Ok(()) = moment.apply(&entry);
                let work = moment.work();
                let spare = moment.spare();
                self.work += work;
                self.spare = spare;
            }
        }
    }

    /// Bytes that were read, taken apart and written since the last call, beyond those of the entries themselves.
    pub fn take_work(&mut self) -> usize {
        std::mem::take(&mut self.work)
    }

    /// The work that an entry will be as the canvas is now. `open`: objects that entries before it in the same batch have taken apart.
    pub fn work_of(&self, entry: &Entry, open: &mut HashSet<String>) -> usize {
        let Entry::Durable { message, .. } = entry else {
            return 0;
        };
        self.work_of_message(message, open)
    }

    fn work_of_message(&self, message: &Durable, open: &mut HashSet<String>) -> usize {
        let bytes = |id: &str| self.tables.objects.bytes(id).unwrap_or_default();
        match &message.change {
            Change::Batch(ops) => {
                let work = ops
                    .iter()
                    .map(|message| self.work_of_message(message, open));
                // They are tried first.
                3 * work.sum::<usize>()
            }
            Change::Put { id, .. } => {
                open.remove(id);
                bytes(id)
            }
            Change::Remove { id } => {
                open.remove(id);
                let of_log = self.tables.logs.get(id).bytes;
                bytes(id) + usize::try_from(of_log).unwrap_or(usize::MAX)
            }
            Change::Compact(compact) => {
                let (_, covered) = self.tables.logs.upto(&compact.id, compact.upto);
                usize::try_from(covered).unwrap_or(usize::MAX)
            }
            Change::Merge { id, .. } if !open.contains(id) => {
                open.insert(id.clone());
                3 * bytes(id)
            }
            Change::Merge { .. } | Change::Append { .. } | Change::Chat | Change::None => 0,
        }
    }

    /// Empties the canvas and begins a new epoch, in which the numbers go on.
    pub fn restart(&mut self, epoch: Epoch, out: &mut Vec<Delivery>) {
        let head = self.head();
        if let Some(collector) = &mut self.collector {
            collector.deleted(head);
        }
        let Ok(()) = self.moment(0, out).restart(epoch);
    }

    /// Begins a new epoch, in which the numbers go on, and keeps what is on the canvas: what clients were told may be more
    /// than what is here.
    pub fn renumber(&mut self, epoch: Epoch, out: &mut Vec<Delivery>) {
        let Ok(()) = self.moment(0, out).renumber(epoch);
    }

    /// Everyone whose place that instance holds turns away; `died`: it did not end in order.
    pub fn lose_instance(
        &mut self,
        instance: InstanceNumber,
        died: bool,
        now_ms: i64,
        out: &mut Vec<Delivery>,
    ) {
        let Ok(()) = self.moment(now_ms, out).lose_instance(instance, died);
    }

    fn moment<'a>(&'a mut self, now_ms: i64, out: &'a mut Vec<Delivery>) -> Moment<'a, Rows<'a>> {
        let rows = Rows {
            tables: &mut self.tables,
            now_ms,
            out,
            collector: self.collector.as_deref_mut(),
        };
        Moment::new(rows, &self.rules, now_ms).with_spare(self.spare)
    }

    /// How many objects there are, and how large.
    pub fn totals(&self) -> bounds::Totals {
        self.tables.head.totals
    }

    /// Whether nothing is on it: no object, no chat.
    pub fn is_blank(&self) -> bool {
        self.objects() == 0 && self.tables.chat.entries().next().is_none()
    }

    /// Whether nobody ever did anything on it but look.
    pub fn is_untouched(&self) -> bool {
        let idle = |client: &Client| client.row.last_op == 0;
        let clients = &self.tables.clients.rows;
        self.is_blank() && self.head().seq == 0 && clients.values().all(idle)
    }

    /// How many objects there are.
    pub fn objects(&self) -> u64 {
        self.totals().objects
    }

    /// Lets time pass: expired messages go, and so does who was away for too long.
    pub fn tick(&mut self, now_ms: i64, out: &mut Vec<Delivery>) {
        let until_ms = now_ms.saturating_sub(self.rules.message_ttl_ms);
        while self.tables.log.pop_expired(until_ms).is_some() {}
        let gone_since_ms = self.rules.gone_since_ms(now_ms);
        while let Some((since_ms, client)) = self.tables.presence.first_away() {
            if since_ms > gone_since_ms {
                break;
            }
            let client = client.clone();
            let Ok(true) = self.moment(now_ms, out).end_grace(&client) else {
                break;
            };
        }
        if now_ms >= self.forget_at_ms {
            self.forget_at_ms = now_ms.saturating_add(FORGET_INTERVAL_MS);
            self.forget_clients(now_ms);
        }
    }

    /// Whether time alone changes nothing any more.
    pub fn is_settled(&self) -> bool {
        self.tables.log.is_empty() && self.tables.presence.first_away().is_none()
    }

    /// When time alone next changes something (the oldest message expires, or somebody's grace ends), ms since the epoch; it may
    /// be past. `None` if it is settled.
    pub fn due_at_ms(&self) -> Option<i64> {
        let away = self.tables.presence.first_away();
        let due = [
            self.tables.log.due_at_ms(self.rules.message_ttl_ms),
            away.map(|(since_ms, _)| since_ms.saturating_add(self.rules.presence_grace_ms)),
        ];
        due.into_iter().flatten().min()
    }

    /// The position of the youngest message.
    pub fn head(&self) -> Position {
        self.tables.position()
    }

    /// The `seq` of the oldest retained message; of the next one if there is none.
    pub fn first_seq(&self) -> u64 {
        self.tables.log.first_seq(self.tables.head.seq)
    }

    /// Messages retained.
    pub fn retained(&self) -> usize {
        self.tables.log.len()
    }

    /// The messages after a position: see [`crate::backplane::Reader::read`]. Call [`Self::tick`] first.
    pub fn read(&self, after: Position, max_bytes: usize) -> Read {
        self.tables.log.read(self.tables.head.seq, after, max_bytes)
    }

    /// The same for a client with those features: see [`crate::backplane::Reader::read_for`].
    pub fn read_for(&self, after: Position, understood: Features, max_bytes: usize) -> Read {
        let Tables { log, objects, .. } = &self.tables;
        let object = |id: &str| objects.text(id).map(str::to_owned);
        let asked = (after, understood);
        log.read_for(self.tables.head.seq, asked, max_bytes, object)
    }

    /// The state at the head. Its texts are shared with this.
    pub fn snapshot(&self) -> Snapshot {
        let Tables {
            objects,
            logs,
            chat,
            ..
        } = &self.tables;
        Snapshot {
            at: self.head(),
            objects: objects.each(|object| object.text().clone()),
            logs: logs.rows().into_iter().map(|(_, log)| log).collect(),
            chat: chat.entries().cloned().collect(),
            lately: objects.lately(),
        }
    }

    /// Who is here.
    pub fn members(&self) -> PresenceTable {
        PresenceTable {
            version: self.tables.head.presence_version,
            members: self.tables.presence.members(),
        }
    }

    /// The lowest instance with a client here that is not away.
    pub fn lowest_instance(&self) -> Option<InstanceNumber> {
        let places = self.tables.presence.rows();
        let here = places.filter(|(_, place)| place.away.is_none());
        here.map(|(_, place)| place.conn.instance()).min()
    }

    /// A number that follows from everything that this canvas is, the rules left out: two that differ are not alike. It is kept up to
    /// date by what changes, so asking costs nothing.
    pub fn hash(&self) -> u64 {
        sum::row(&[self.agreed_hash(), self.tables.log.sum().number()], &[])
    }

    /// The same without the retained messages. A copy that began from a snapshot may lack some of those, and is alike all the same.
    pub fn agreed_hash(&self) -> u64 {
        let Tables {
            head,
            log,
            objects,
            logs,
            chat,
            clients,
            presence,
        } = &self.tables;
        let senders = self.senders.iter();
        let mut senders: Vec<u64> = senders
            .flat_map(|(from, last)| [u64::from(from.0), last.serial])
            .collect();
        senders.extend([
            log.epoch().0,
            head.seq,
            head.presence_version,
            head.totals.objects,
            head.totals.bytes,
            head.totals.logs,
        ]);
        let sums = [
            objects.sum(),
            logs.sum(),
            chat.sum(),
            clients.sum,
            presence.sum(),
        ];
        senders.extend(sums.map(Sum::number));
        sum::row(&senders, &[])
    }

    /// A client's row is what makes its resent ops duplicates, and what binds it to a subject. An instance's makes its resent
    /// batches old ones.
    fn forget_clients(&mut self, now_ms: i64) {
        let memory_ms = millis(CLIENT_MEMORY);
        let Tables {
            clients, presence, ..
        } = &mut self.tables;
        clients.retain(|id, client| {
            now_ms.saturating_sub(client.used_at_ms) < memory_ms || presence.has(id)
        });
        self.senders
            .retain(|_, sender| now_ms.saturating_sub(sender.used_at_ms) < memory_ms);
    }
}

impl Tables {
    fn position(&self) -> Position {
        Position {
            epoch: self.log.epoch(),
            seq: self.head.seq,
        }
    }
}

#[cfg(test)]
mod tests;
