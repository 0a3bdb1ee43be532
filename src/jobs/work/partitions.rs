//! The partitions of a queue, by number and by name.

use std::ops::ControlFlow;

use super::{Held, Res, Work};
use crate::jobs::rows::{Partition, PartitionName};
use crate::jobs::store::{Order, Store};

impl<S: Store> Work<'_, S> {
    pub(crate) fn partition_key(&mut self, queue: i64, name: &str) -> Res<Option<i64>, S> {
        let known = self.partition_names.get(&queue);
        if let Some(key) = known.and_then(|names| names.get(name)) {
            return Ok(*key);
        }
        let row: Option<PartitionName> = self.store.get(&(queue, name.to_owned()))?;
        let cleared = self.see_queue(queue)?.map_or(0, |row| row.cleared);
        let key = row.map(|row| row.key).filter(|key| *key >= cleared);
        self.name_partition(queue, name.to_owned(), key);
        Ok(key)
    }

    fn name_partition(&mut self, queue: i64, name: String, key: Option<i64>) {
        let names = self.partition_names.entry(queue).or_default();
        names.insert(name, key);
    }

    /// Partitions of the queue by name, behind `after`. Names of those that were cleared stay for a while, and are passed.
    pub(crate) fn partitions_of(
        &mut self,
        queue: i64,
        after: &str,
        most: usize,
    ) -> Res<Vec<PartitionName>, S> {
        let cleared = self.see_queue(queue)?.map_or(0, |row| row.cleared);
        let mut from = (queue, String::new());
        if !after.is_empty() {
            // A name just behind that one.
            from.1 = format!("{after}\0");
        }
        let mut found = Vec::new();
        let to = (queue + 1, String::new());
        let most_rows = usize::MAX >> 1;
        if most == 0 {
            return Ok(found);
        }
        self.store
            .each::<PartitionName>(&from, &to, Order::Up, most_rows, &mut |name| {
                if name.key >= cleared {
                    found.push(name);
                }
                match found.len() < most {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            })?;
        Ok(found)
    }

    pub(crate) fn add_partition(&mut self, row: Partition) -> Res<(), S> {
        let queue = row.queue;
        let name = row.name.clone();
        let key = row.key;
        self.store.put(&PartitionName {
            queue,
            name: name.clone(),
            key,
        })?;
        self.name_partition(queue, name, Some(key));
        self.partitions.insert(key, Held { row, dirty: true });
        Ok(())
    }

    pub(crate) fn remove_partition(&mut self, key: i64) -> Res<(), S> {
        let Some(row) = self.see_partition(key)?.cloned() else {
            return Ok(());
        };
        self.partitions.remove(&key);
        self.store.delete::<Partition>(&(key,))?;
        let place = (row.queue, row.name);
        if self.partition_key(place.0, &place.1)? == Some(key) {
            self.store.delete::<PartitionName>(&place)?;
            self.name_partition(place.0, place.1, None);
        }
        Ok(())
    }

    pub(crate) fn see_partition(&mut self, key: i64) -> Res<Option<&Partition>, S> {
        if !self.partitions.contains_key(&key)
            && let Some(row) = self.store.get::<Partition>(&(key,))?
        {
            self.partitions.insert(key, Held { row, dirty: false });
        }
        Ok(self.partitions.get(&key).map(|held| &held.row))
    }

    pub(crate) fn partition(&mut self, key: i64) -> Res<Option<&mut Partition>, S> {
        self.see_partition(key)?;
        Ok(self.partitions.get_mut(&key).map(|held| {
            held.dirty = true;
            &mut held.row
        }))
    }
}
