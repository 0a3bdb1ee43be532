//! The current objects of one canvas, in the order of their creation.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::sum::{self, Sum};
use crate::backplane::Lately;
use crate::canvas::OpenObject;
use crate::canvas::bounds::Totals;
use crate::limits::DELETIONS_KEPT;

/// Objects by their place, and the places by id. Their texts are shared with whoever reads or keeps them. A place is the `seq` of the message that created the object.
#[derive(Debug, Default)]
pub(super) struct Objects {
    texts: BTreeMap<u64, Arc<str>>,
    places: HashMap<Arc<str>, u64>,
    /// Those that are taken apart, by place. What has changed in them is not in the texts yet.
    open: BTreeMap<u64, OpenObject>,
    sum: Sum,
    /// The `seq` of each one's last change, by place. Not part of what copies must have alike, as is what follows.
    changed: HashMap<u64, u64>,
    /// What was deleted after `from`, with the `seq` of that.
    deleted: VecDeque<(u64, Arc<str>)>,
    /// Before this `seq` nothing is known of changes.
    from: u64,
}

impl Objects {
    /// What they add up to.
    pub(super) fn sum(&self) -> Sum {
        self.sum
    }

    /// The place, id and JSON of each, in the order of creation.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u64, &Arc<str>, &Arc<str>)> {
        let ids = self.places.iter().map(|(id, place)| (*place, id));
        let mut ids: Vec<(u64, &Arc<str>)> = ids.collect();
        ids.sort_unstable_by_key(|(place, _)| *place);
        // Each place has an id, so these are two lists of the same places.
        ids.into_iter()
            .zip(self.texts.values())
            .map(|((place, id), text)| (place, id, text))
    }

    /// The objects with those [`Self::rows`] and what they are together; `None` if two share a place or an id, or one is at a place
    /// behind `seq`.
    pub(super) fn restore<'a>(
        seq: u64,
        rows: impl IntoIterator<Item = (u64, &'a str, &'a str)>,
    ) -> Option<(Self, Totals)> {
        let mut objects = Self::default();
        let mut totals = Totals::default();
        objects.from = seq;
        for (place, id, text) in rows {
            let taken = objects.texts.contains_key(&place) || objects.places.contains_key(id);
            if taken || place > seq {
                return None;
            }
            objects.put(id, place, text.to_owned());
            totals.objects += 1;
            totals.bytes += text.len() as u64;
        }
        Some((objects, totals))
    }

    /// How many bytes an object has.
    pub(super) fn bytes(&self, id: &str) -> Option<usize> {
        let place = self.places.get(id)?;
        match self.open.get(place) {
            Some(open) => Some(open.bytes()),
            None => self.texts.get(place).map(|text| text.len()),
        }
    }

    /// The text of an object that is not taken apart.
    pub(super) fn text(&self, id: &str) -> Option<&str> {
        let place = self.places.get(id)?;
        self.texts.get(place).map(|text| &**text)
    }

    /// The text of an object as it is now, taken apart or not.
    pub(super) fn text_now(&self, id: &str) -> Option<String> {
        let place = self.places.get(id)?;
        match self.open.get(place) {
            Some(open) => Some(open.text()),
            None => self.texts.get(place).map(|text| (**text).to_owned()),
        }
    }

    /// Takes an object apart, and says whether it was not before.
    pub(super) fn open(&mut self, id: &str) -> Option<(&mut OpenObject, bool)> {
        let place = *self.places.get(id)?;
        let fresh = !self.open.contains_key(&place);
        if fresh {
            let text = self.texts.get(&place)?;
            // It was an object when it was put: the parser saw to that.
            let value = serde_json::from_str(text).unwrap_or(Value::Null);
            self.open.insert(place, OpenObject::new(value, text.len()));
        }
        self.open.get_mut(&place).map(|open| (open, fresh))
    }

    /// Writes what has changed in those that are taken apart.
    pub(super) fn close(&mut self) {
        for (place, object) in std::mem::take(&mut self.open) {
            if let Some((seq, text)) = object.written() {
                self.write(place, seq, text);
            }
        }
    }

    /// Forgets what has changed in one that is taken apart.
    pub(super) fn drop_open(&mut self, id: &str) {
        if let Some(place) = self.places.get(id) {
            self.open.remove(place);
        }
    }

    /// Writes an object whole. A new one takes the place of the message that does so.
    pub(super) fn put(&mut self, id: &str, new_place: u64, text: String) {
        let place = match self.places.get(id) {
            Some(place) => *place,
            None => {
                self.places.insert(id.into(), new_place);
                new_place
            }
        };
        self.open.remove(&place);
        self.write(place, new_place, text);
    }

    fn write(&mut self, place: u64, seq: u64, text: String) {
        self.changed.insert(place, seq);
        self.sum.add(sum::row(&[place], &[&text]));
        if let Some(old) = self.texts.insert(place, text.into()) {
            self.sum.remove(sum::row(&[place], &[&old]));
        }
    }

    /// What is known of how they came to be.
    pub(super) fn lately(&self) -> Lately {
        let changed = self.texts.keys().map(|place| self.changed.get(place));
        Lately {
            changed: changed
                .map(|seq| seq.copied().unwrap_or(self.from))
                .collect(),
            deleted: self.deleted.iter().cloned().collect(),
            from: self.from,
        }
    }

    /// Removes an object by the message numbered `seq`.
    pub(super) fn remove(&mut self, id: &str, seq: u64) {
        let Some((id, place)) = self.places.remove_entry(id) else {
            return;
        };
        self.open.remove(&place);
        self.changed.remove(&place);
        self.deleted.push_back((seq, id));
        if self.deleted.len() > DELETIONS_KEPT as usize
            && let Some((seq, _)) = self.deleted.pop_front()
        {
            self.from = seq;
        }
        if let Some(text) = self.texts.remove(&place) {
            self.sum.remove(sum::row(&[place], &[&text]));
        }
    }
}
