//! One call of the rules: its rows, read once and written back at its end, and the notifications that follow its
//! commit.

mod partitions;
mod totals;

use std::collections::{BTreeMap, HashMap};

use super::rows::{Cursor, Group, Partition, Queue, QueueName, Totals, Turn};
use super::store::Store;
use crate::limits::JobLimits;

pub(crate) use super::effects::{Counts, Effects};
pub(crate) use super::kinds::{KEEPER, ends, kind, standing};
pub(crate) use super::names::{
    ENDED, check_name, digest, digest_for, hash, lease_text, name_at, parse_lease,
    parse_partition_id, partition_id, placed, tag,
};

pub(crate) type Res<T, S> = Result<T, <S as Store>::Error>;

/// A row, and whether it is to be written.
struct Held<T> {
    row: T,
    dirty: bool,
}

pub(crate) struct Work<'a, S: Store> {
    pub(crate) store: &'a mut S,
    pub(crate) now: i64,
    pub(crate) limits: &'a JobLimits,
    pub(crate) random: &'a mut dyn FnMut() -> [u8; 16],
    pub(crate) effects: Effects,
    totals: Option<Held<Totals>>,
    /// Sets the names that are made here apart.
    salt: Option<u64>,
    names: HashMap<String, Option<i64>>,
    queues: BTreeMap<i64, Held<Queue>>,
    groups: BTreeMap<i64, Vec<Held<Group>>>,
    partition_names: BTreeMap<i64, HashMap<String, Option<i64>>>,
    partitions: BTreeMap<i64, Held<Partition>>,
    cursors: BTreeMap<(i64, i64), Held<Option<Cursor>>>,
}

impl<'a, S: Store> Work<'a, S> {
    pub(crate) fn new(
        store: &'a mut S,
        now: i64,
        limits: &'a JobLimits,
        random: &'a mut dyn FnMut() -> [u8; 16],
    ) -> Self {
        Self {
            store,
            now,
            limits,
            random,
            effects: Effects::default(),
            totals: None,
            salt: None,
            names: HashMap::new(),
            queues: BTreeMap::new(),
            groups: BTreeMap::new(),
            partition_names: BTreeMap::new(),
            partitions: BTreeMap::new(),
            cursors: BTreeMap::new(),
        }
    }

    /// Writes what was changed. What follows reads it again only if `forget` is called.
    pub(crate) fn flush(&mut self) -> Res<(), S> {
        if let Some(held) = self.totals.as_mut().filter(|held| held.dirty) {
            self.store.put(&held.row)?;
            held.dirty = false;
        }
        for held in self.queues.values_mut().filter(|held| held.dirty) {
            self.store.put(&held.row)?;
            held.dirty = false;
        }
        let groups = self.groups.values_mut().flatten();
        for held in groups.filter(|held| held.dirty) {
            self.store.put(&held.row)?;
            held.dirty = false;
        }
        for held in self.partitions.values_mut().filter(|held| held.dirty) {
            self.store.put(&held.row)?;
            held.dirty = false;
        }
        for held in self.cursors.values_mut().filter(|held| held.dirty) {
            if let Some(row) = &held.row {
                self.store.put(row)?;
            }
            held.dirty = false;
        }
        Ok(())
    }

    /// What was read is read again: the store went back, or rows were changed beneath.
    pub(crate) fn forget(&mut self) {
        self.totals = None;
        self.names.clear();
        self.queues.clear();
        self.groups.clear();
        self.partition_names.clear();
        self.partitions.clear();
        self.cursors.clear();
    }

    /// A name for the message at that place.
    pub(crate) fn fresh_name(&mut self, seq: i64) -> String {
        let salt = match self.salt {
            Some(salt) => salt.wrapping_add(1),
            None => {
                let random = (self.random)();
                u64::from_le_bytes(random.first_chunk().copied().unwrap_or_default())
            }
        };
        self.salt = Some(salt);
        name_at(self.now, seq, salt)
    }

    pub(crate) fn queue_key(&mut self, name: &str) -> Res<Option<i64>, S> {
        if let Some(key) = self.names.get(name) {
            return Ok(*key);
        }
        let row: Option<QueueName> = self.store.get(&(name.to_owned(),))?;
        let key = row.map(|row| row.key);
        self.names.insert(name.to_owned(), key);
        Ok(key)
    }

    /// No queue has the name.
    pub(crate) fn free_name(&mut self, name: &str) -> Res<(), S> {
        self.store.delete::<QueueName>(&(name.to_owned(),))?;
        self.names.insert(name.to_owned(), None);
        Ok(())
    }

    /// The queue, to be changed; it is written back at the end.
    pub(crate) fn queue(&mut self, key: i64) -> Res<Option<&mut Queue>, S> {
        self.load_queue(key)?;
        Ok(self.queues.get_mut(&key).map(|held| {
            held.dirty = true;
            &mut held.row
        }))
    }

    /// The queue, to be looked at.
    pub(crate) fn see_queue(&mut self, key: i64) -> Res<Option<&Queue>, S> {
        self.load_queue(key)?;
        Ok(self.queues.get(&key).map(|held| &held.row))
    }

    fn load_queue(&mut self, key: i64) -> Res<(), S> {
        if !self.queues.contains_key(&key)
            && let Some(row) = self.store.get::<Queue>(&(key,))?
        {
            self.queues.insert(key, Held { row, dirty: false });
        }
        Ok(())
    }

    pub(crate) fn add_queue(&mut self, row: Queue) -> Res<(), S> {
        let name = row.name.clone();
        let key = row.key;
        self.store.put(&QueueName {
            name: name.clone(),
            key,
        })?;
        self.names.insert(name, Some(key));
        self.queues.insert(key, Held { row, dirty: true });
        self.groups.insert(key, Vec::new());
        Ok(())
    }

    /// The queue's groups, by number of the place in which they are kept here.
    pub(crate) fn group_count(&mut self, queue: i64) -> Res<usize, S> {
        if !self.groups.contains_key(&queue) {
            let from = (queue, String::new());
            let to = (queue + 1, String::new());
            let rows = self.store.scan::<Group>(&from, &to, usize::MAX >> 1)?;
            let held = rows.into_iter().map(|row| Held { row, dirty: false });
            self.groups.insert(queue, held.collect());
        }
        Ok(self.groups.get(&queue).map_or(0, Vec::len))
    }

    pub(crate) fn see_group_at(&self, queue: i64, at: usize) -> Option<&Group> {
        Some(&self.groups.get(&queue)?.get(at)?.row)
    }

    pub(crate) fn group_at(&mut self, queue: i64, at: usize) -> Option<&mut Group> {
        let held = self.groups.get_mut(&queue)?.get_mut(at)?;
        held.dirty = true;
        Some(&mut held.row)
    }

    pub(crate) fn group_named(&mut self, queue: i64, name: &str) -> Res<Option<usize>, S> {
        self.group_count(queue)?;
        let groups = self.groups.get(&queue);
        Ok(groups.and_then(|all| all.iter().position(|held| held.row.name == name)))
    }

    pub(crate) fn group_keyed(&mut self, queue: i64, key: i64) -> Res<Option<usize>, S> {
        self.group_count(queue)?;
        let groups = self.groups.get(&queue);
        Ok(groups.and_then(|all| all.iter().position(|held| held.row.key == key)))
    }

    /// Adds the group, or puts it in the place of the one of that name.
    pub(crate) fn set_group(&mut self, row: Group) -> Res<usize, S> {
        let queue = row.queue;
        let at = self.group_named(queue, &row.name)?;
        let all = self.groups.entry(queue).or_default();
        let held = Held { row, dirty: true };
        if let Some(at) = at {
            all[at] = held;
            return Ok(at);
        }
        all.push(held);
        Ok(all.len() - 1)
    }

    pub(crate) fn remove_group(&mut self, queue: i64, at: usize) -> Res<(), S> {
        if let Some(all) = self.groups.get_mut(&queue)
            && at < all.len()
        {
            let held = all.remove(at);
            let key = (queue, held.row.name);
            self.store.delete::<Group>(&key)?;
        }
        Ok(())
    }

    pub(crate) fn see_cursor(&mut self, partition: i64, grp: i64) -> Res<Option<&Cursor>, S> {
        let place = (partition, grp);
        if !self.cursors.contains_key(&place) {
            let row = self.store.get::<Cursor>(&place)?;
            self.cursors.insert(place, Held { row, dirty: false });
        }
        Ok(self.cursors.get(&place).and_then(|held| held.row.as_ref()))
    }

    pub(crate) fn cursor(&mut self, partition: i64, grp: i64) -> Res<Option<&mut Cursor>, S> {
        self.see_cursor(partition, grp)?;
        Ok(self.cursors.get_mut(&(partition, grp)).and_then(|held| {
            held.dirty = true;
            held.row.as_mut()
        }))
    }

    /// A cursor that was not there: idle, before `next`.
    pub(crate) fn add_cursor(
        &mut self,
        queue: i64,
        partition: i64,
        grp: i64,
        next: i64,
    ) -> Res<(), S> {
        let row = Cursor {
            partition,
            grp,
            queue,
            state: standing::IDLE,
            at: 0,
            next,
            upto: next,
            out: 0,
            lease: None,
            leased_at: 0,
            single: false,
            states: 0,
        };
        let held = Held {
            row: Some(row),
            dirty: true,
        };
        self.cursors.insert((partition, grp), held);
        Ok(())
    }

    pub(crate) fn remove_cursor(&mut self, partition: i64, grp: i64) -> Res<(), S> {
        self.stand(partition, grp, standing::IDLE, 0)?;
        self.store.delete::<Cursor>(&(partition, grp))?;
        let held = Held {
            row: None,
            dirty: false,
        };
        self.cursors.insert((partition, grp), held);
        Ok(())
    }

    /// Sets how a cursor stands, in the index, too; whoever waits hears of it. The turn of what is ready comes after all others.
    pub(crate) fn stand(&mut self, partition: i64, grp: i64, state: i64, at: i64) -> Res<(), S> {
        let Some(cursor) = self.see_cursor(partition, grp)?.cloned() else {
            return Ok(());
        };
        let ready = state == standing::READY;
        let same = cursor.state == state && (ready || cursor.at == at);
        if same {
            return Ok(());
        }
        let at = if ready { self.next_id()? } else { at };
        let queue = cursor.queue;
        if cursor.state != standing::IDLE {
            let turn = (queue, grp, cursor.state, cursor.at, partition);
            self.store.delete::<Turn>(&turn)?;
        }
        if state != standing::IDLE {
            self.store.put(&Turn {
                queue,
                grp,
                state,
                at,
                partition,
            })?;
            let name = self.see_queue(queue)?.map(|row| hash(&row.name));
            if let Some(name) = name {
                self.wake(name, if ready { 0 } else { at });
            }
        }
        if let Some(cursor) = self.cursor(partition, grp)? {
            cursor.state = state;
            cursor.at = at;
        }
        Ok(())
    }

    pub(crate) fn wake(&mut self, name: u64, at: i64) {
        let first = self.effects.wakes.entry(name).or_insert(at);
        *first = (*first).min(at);
    }

    /// Adds to the bytes of a queue, and of all.
    pub(crate) fn add_bytes(&mut self, queue: i64, bytes: i64) -> Res<(), S> {
        if let Some(row) = self.queue(queue)? {
            row.bytes += bytes;
            self.totals()?.bytes += bytes;
        }
        Ok(())
    }

    /// The same of what is no message: the dead, and traces.
    pub(crate) fn add_other_bytes(&mut self, queue: i64, bytes: i64) -> Res<(), S> {
        if let Some(row) = self.queue(queue)? {
            row.other_bytes += bytes;
        }
        self.add_bytes(queue, bytes)
    }

    pub(crate) fn count(&mut self, queue: i64, add: impl FnOnce(&mut Counts)) -> Res<(), S> {
        self.load_queue(queue)?;
        let Some(held) = self.queues.get(&queue) else {
            return Ok(());
        };
        let name = &held.row.name;
        match self.effects.counts.get_mut(name) {
            Some(counts) => add(counts),
            None => add(self.effects.counts.entry(name.clone()).or_default()),
        }
        Ok(())
    }
}
