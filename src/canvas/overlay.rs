//! A canvas as it would be. Changes stay here, and the rows below are only read.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;

use serde_json::Value;

use super::bounds::entry_bytes;
use super::open_object::OpenObject;
use super::store::{ClientRow, Head, Logged, ObjectLog, Place, Store};
use crate::backplane::{Delivery, PresenceEvent};
use crate::protocol::ids::{ClientId, ConnId, Epoch, InstanceNumber, Position};

/// See the module's head.
pub(super) struct Overlay<'a, S> {
    below: &'a mut S,
    head: Head,
    objects: HashMap<String, Held>,
    logs: HashMap<String, HeldLog>,
}

/// A log that is not what it is below.
#[derive(Default)]
struct HeldLog {
    log: ObjectLog,
    /// Entries up to this `seq` are gone below.
    dropped: u64,
    /// Bytes of those that are written here.
    written: BTreeMap<u64, u64>,
}

/// An object that is not what it is below.
enum Held {
    Gone,
    Written(String),
    Open(OpenObject),
}

impl<'a, S: Store> Overlay<'a, S> {
    pub(super) fn new(below: &'a mut S) -> Self {
        Self {
            head: *below.head(),
            below,
            objects: HashMap::new(),
            logs: HashMap::new(),
        }
    }

    fn held_log(&mut self, id: &str) -> Result<&mut HeldLog, S::Error> {
        if !self.logs.contains_key(id) {
            let log = self.below.object_log(id)?;
            let held = HeldLog {
                log,
                ..HeldLog::default()
            };
            self.logs.insert(id.to_owned(), held);
        }
        Ok(self.logs.entry(id.to_owned()).or_default())
    }
}

impl<S: Store> Store for Overlay<'_, S> {
    type Error = S::Error;

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn client(&mut self, name: &ClientId) -> Result<&ClientRow, S::Error> {
        self.below.client(name)
    }

    fn use_client(&mut self, _: &ClientId, _: impl FnOnce(&mut ClientRow)) -> Result<(), S::Error> {
        Ok(())
    }

    fn place_of(&mut self, name: &ClientId, op: u64) -> Result<Option<NonZeroU64>, S::Error> {
        self.below.place_of(name, op)
    }

    fn push(&mut self, _: Logged<'_>) -> Result<(), S::Error> {
        Ok(())
    }

    fn push_chat(&mut self, _: u64, _: String) -> Result<(), S::Error> {
        Ok(())
    }

    fn object_bytes(&mut self, id: &str) -> Result<Option<usize>, S::Error> {
        match self.objects.get(id) {
            Some(Held::Gone) => Ok(None),
            Some(Held::Written(text)) => Ok(Some(text.len())),
            Some(Held::Open(object)) => Ok(Some(object.bytes())),
            None => self.below.object_bytes(id),
        }
    }

    fn open_object(&mut self, id: &str) -> Result<Option<(&mut OpenObject, bool)>, S::Error> {
        let fresh = match self.objects.get(id) {
            Some(Held::Gone) => return Ok(None),
            Some(Held::Open(_)) => false,
            Some(Held::Written(text)) => {
                // It was an object when it was put: the parser saw to that.
                let value = serde_json::from_str(text).unwrap_or(Value::Null);
                let object = OpenObject::new(value, text.len());
                self.objects.insert(id.to_owned(), Held::Open(object));
                true
            }
            None => {
                let Some((object, fresh)) = self.below.open_object(id)? else {
                    return Ok(None);
                };
                let object = Held::Open(object.clone());
                self.objects.insert(id.to_owned(), object);
                fresh
            }
        };
        Ok(match self.objects.get_mut(id) {
            Some(Held::Open(object)) => Some((object, fresh)),
            _ => None,
        })
    }

    fn drop_object(&mut self, id: &str) {
        self.objects.remove(id);
    }

    fn put_object(&mut self, id: &str, _: u64, text: &str) -> Result<(), S::Error> {
        let text = Held::Written(text.to_owned());
        self.objects.insert(id.to_owned(), text);
        Ok(())
    }

    fn remove_object(&mut self, id: &str) -> Result<(), S::Error> {
        self.objects.insert(id.to_owned(), Held::Gone);
        Ok(())
    }

    fn epoch(&mut self) -> Result<Epoch, S::Error> {
        self.below.epoch()
    }

    fn object_log(&mut self, id: &str) -> Result<ObjectLog, S::Error> {
        Ok(self.held_log(id)?.log)
    }

    fn set_object_log(&mut self, id: &str, log: ObjectLog) -> Result<(), S::Error> {
        self.held_log(id)?.log = log;
        Ok(())
    }

    fn entries_upto(&mut self, id: &str, upto: u64) -> Result<(u64, u64), S::Error> {
        let held = self.held_log(id)?;
        let dropped = held.dropped;
        let written = held.written.range(..=upto);
        let (mut entries, mut bytes) = written.fold((0, 0), |(entries, sum), (_, bytes)| {
            (entries + 1, sum + bytes)
        });
        if upto > dropped {
            let all = self.below.entries_upto(id, upto)?;
            let gone = self.below.entries_upto(id, dropped)?;
            entries += all.0 - gone.0;
            bytes += all.1 - gone.1;
        }
        Ok((entries, bytes))
    }

    fn put_entry(&mut self, id: &str, seq: u64, data: &str) -> Result<(), S::Error> {
        let bytes = entry_bytes(data.len()) as u64;
        self.held_log(id)?.written.insert(seq, bytes);
        Ok(())
    }

    fn drop_entries(&mut self, id: &str, upto: u64) -> Result<(), S::Error> {
        let held = self.held_log(id)?;
        held.dropped = held.dropped.max(upto);
        held.written.retain(|seq, _| *seq > upto);
        Ok(())
    }

    fn remove_log(&mut self, id: &str) -> Result<(), S::Error> {
        let gone = HeldLog {
            dropped: u64::MAX,
            ..HeldLog::default()
        };
        self.logs.insert(id.to_owned(), gone);
        Ok(())
    }

    // Messages change none of the following.

    fn clear(&mut self) -> Result<(), S::Error> {
        Ok(())
    }

    fn renumber(&mut self, _: Epoch) -> Result<(), S::Error> {
        Ok(())
    }

    fn place(&mut self, client: &ClientId) -> Result<Option<Place>, S::Error> {
        self.below.place(client)
    }

    fn set_place(&mut self, _: &ClientId, _: &Place) -> Result<(), S::Error> {
        Ok(())
    }

    fn remove_place(&mut self, _: &ClientId) -> Result<(), S::Error> {
        Ok(())
    }

    fn places_of(&mut self, instance: InstanceNumber) -> Result<Vec<ClientId>, S::Error> {
        self.below.places_of(instance)
    }

    fn emit_presence(&mut self, _: PresenceEvent, _: ConnId, _: bool) -> Result<(), S::Error> {
        Ok(())
    }

    fn emit_reset(&mut self, _: Position) -> Result<(), S::Error> {
        Ok(())
    }

    fn answer(&mut self, _: Delivery) {}
}
