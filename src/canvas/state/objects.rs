//! The current objects of one canvas, in the order of their creation.
//!
//! A process over Redis holds every object of its canvases, most of them small. So an object takes a row in a list, its
//! text, which shares a chunk with others ([`chunks`]), and a number in a table. Its id is read from its text, where it
//! nearly always stands.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use serde_json::Value;

use super::sum::{self, Sum};
use crate::backplane::Lately;
use crate::canvas::OpenObject;
use crate::canvas::bounds::Totals;
use crate::limits::DELETIONS_KEPT;
use chunks::Chunks;

mod chunks;
mod row;

pub(super) use chunks::CHUNK;
pub(super) use row::Object;

/// Rows of removed objects that are not worth a new list.
const FEW_GAPS: usize = 16;
/// Rows for which there is room at once when so many are announced. It is not sure that they come.
const ANNOUNCED: usize = 16 * 1024;

/// An object that is read: place, id, text.
pub(super) type Row<'a> = (u64, &'a str, &'a str);

/// The objects. Their texts are shared with whoever reads or keeps them.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// By their places. Removed ones leave gaps.
    rows: Vec<Object>,
    gaps: usize,
    chunks: Chunks,
    /// Where in the list each id is.
    index: HashTable<u32>,
    hasher: RandomState,
    /// Those that are taken apart, by place. What has changed in them is not in the texts yet.
    open: BTreeMap<u64, OpenObject>,
    sum: Sum,
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

    /// All of them, in the order of creation.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Object> {
        self.rows.iter().filter(|object| !object.is_gap())
    }

    /// What is made of each, in the order of creation.
    pub(super) fn each<T>(&self, of: impl FnMut(&Object) -> T) -> Vec<T> {
        let mut all = Vec::with_capacity(self.rows.len() - self.gaps);
        all.extend(self.rows().map(of));
        all
    }

    /// None yet, on a canvas that was read at `seq`.
    pub(super) fn from(seq: u64) -> Self {
        Self {
            from: seq,
            ..Self::default()
        }
    }

    /// So many are about to be read.
    pub(super) fn expect(&mut self, count: usize) {
        self.rows.reserve_exact(count.min(ANNOUNCED));
    }

    /// The objects with those places, ids and texts, and what they are together; `None` if [`Self::read`] refuses one.
    pub(super) fn restore<'a>(
        seq: u64,
        rows: impl IntoIterator<Item = Row<'a>>,
    ) -> Option<(Self, Totals)> {
        let mut objects = Self::from(seq);
        let mut totals = Totals::default();
        let mut some = Vec::new();
        let mut bytes = 0;
        for row in rows {
            bytes += row.2.len();
            some.push(row);
            if bytes >= CHUNK {
                objects.read(&some, &mut totals)?;
                some.clear();
                bytes = 0;
            }
        }
        objects.read(&some, &mut totals)?;
        objects.shrink();
        Some((objects, totals))
    }

    /// Takes the next objects of a canvas that is read, about a chunk of them; `None` if one is not after the one before,
    /// behind the end, there already or nothing. Then all of it is of no use.
    pub(super) fn read(&mut self, rows: &[Row<'_>], totals: &mut Totals) -> Option<()> {
        let chunk = chunks::chunk(rows.iter().map(|(_, id, text)| (*id, *text)));
        let before = self.rows.len();
        let mut at = 0;
        for (place, id, text) in rows {
            let after = self.rows.last().is_none_or(|last| last.place() < *place);
            let new = self.at(id).is_none() && !text.is_empty() && id.len() <= row::MAX_ID;
            if !(after && new) || *place > self.from {
                return None;
            }
            let object = match row::is_small(text) {
                true => Object::within(*place, (id, text), &chunk, at),
                false => Object::alone(*place, id, text),
            };
            if object.is_small() {
                at += object.bytes();
            }
            totals.objects += 1;
            totals.bytes += text.len() as u64;
            self.push(object);
        }
        self.chunks.read(&self.rows[before..], chunk.len());
        Some(())
    }

    /// Gives back what was reserved for more of them.
    pub(super) fn shrink(&mut self) {
        self.rows.shrink_to_fit();
        let rows = &self.rows;
        let hasher = &self.hasher;
        self.index.shrink_to_fit(|at| hash_of(rows, hasher, *at));
    }

    fn at(&self, id: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(id);
        let is = |at: &u32| self.rows[*at as usize].id() == id;
        self.index.find(hash, is).map(|at| *at as usize)
    }

    fn find(&self, id: &str) -> Option<&Object> {
        self.at(id).map(|at| &self.rows[at])
    }

    /// How many bytes an object has.
    pub(super) fn bytes(&self, id: &str) -> Option<usize> {
        let object = self.find(id)?;
        let open = self.open.get(&object.place());
        Some(open.map_or(object.text().len(), OpenObject::bytes))
    }

    /// The text of an object that is not taken apart.
    pub(super) fn text(&self, id: &str) -> Option<&str> {
        self.find(id).map(|object| &**object.text())
    }

    /// The text of an object as it is now, taken apart or not.
    pub(super) fn text_now(&self, id: &str) -> Option<String> {
        let object = self.find(id)?;
        let open = self.open.get(&object.place());
        Some(open.map_or_else(|| object.text().to_string(), OpenObject::text))
    }

    /// Takes an object apart, and says whether it was not before.
    pub(super) fn open(&mut self, id: &str) -> Option<(&mut OpenObject, bool)> {
        let object = &self.rows[self.at(id)?];
        let (place, text) = (object.place(), object.text());
        let fresh = !self.open.contains_key(&place);
        if fresh {
            // It was an object when it was put: the parser saw to that.
            let value = serde_json::from_str(text).unwrap_or(Value::Null);
            self.open.insert(place, OpenObject::new(value, text.len()));
        }
        self.open.get_mut(&place).map(|open| (open, fresh))
    }

    /// Writes what has changed in those that are taken apart.
    pub(super) fn close(&mut self) {
        for (place, object) in std::mem::take(&mut self.open) {
            let at = self.rows.binary_search_by_key(&place, Object::place);
            if let (Ok(at), Some((seq, text))) = (at, object.written()) {
                self.write(at, seq, &text);
            }
        }
    }

    /// Forgets what has changed in one that is taken apart.
    pub(super) fn drop_open(&mut self, id: &str) {
        if let Some(at) = self.at(id) {
            self.open.remove(&self.rows[at].place());
        }
    }

    /// Writes an object whole. A new one takes the place of the message that does so: that is the highest.
    pub(super) fn put(&mut self, id: &str, new_place: u64, text: &str) {
        let Some(at) = self.at(id) else {
            self.push(Object::alone(new_place, id, text));
            let enough = self.rows.last().is_some_and(|new| self.chunks.added(new));
            if enough {
                self.chunks.pack_last(&mut self.rows);
            }
            return;
        };
        self.open.remove(&self.rows[at].place());
        self.write(at, new_place, text);
    }

    fn push(&mut self, object: Object) {
        if self.rows.len() == self.rows.capacity() {
            // A list that doubles is half empty for long.
            self.rows.reserve_exact(4 + self.rows.len() / 8);
        }
        self.sum.add(sum::row(&[object.place()], &[object.text()]));
        let at = number(self.rows.len());
        let hash = self.hasher.hash_one(object.id());
        self.rows.push(object);
        self.note(at, hash);
    }

    /// The index has that row from now on.
    fn note(&mut self, at: u32, hash: u64) {
        let rows = &self.rows;
        let hasher = &self.hasher;
        let of = |at: &u32| hash_of(rows, hasher, *at);
        self.index.insert_unique(hash, at, of);
    }

    fn write(&mut self, at: usize, seq: u64, text: &str) {
        let object = &mut self.rows[at];
        let place = object.place();
        let lost = object.packed_bytes();
        self.sum.add(sum::row(&[place], &[text]));
        self.sum.remove(sum::row(&[place], &[object.text()]));
        if !object.write(seq, text) {
            // It is not known any more that it changed as late as that, so nothing before is known of any.
            self.from = seq;
            self.deleted.clear();
        }
        self.lose(place, lost);
    }

    /// So many bytes of a chunk, those of the object there, are not needed any more.
    fn lose(&mut self, place: u64, bytes: Option<usize>) {
        if let Some(bytes) = bytes {
            self.chunks.lose(place, bytes, &mut self.rows);
        }
    }

    /// What is known of how they came to be.
    pub(super) fn lately(&self) -> Lately {
        Lately {
            changed: self.each(Object::changed),
            deleted: self.deleted.iter().cloned().collect(),
            from: self.from,
        }
    }

    /// Removes an object by the message numbered `seq`.
    pub(super) fn remove(&mut self, id: &str, seq: u64) {
        let hash = self.hasher.hash_one(id);
        let is = |at: &u32| self.rows[*at as usize].id() == id;
        let Ok(found) = self.index.find_entry(hash, is) else {
            return;
        };
        let (at, _) = found.remove();
        let object = &mut self.rows[at as usize];
        let place = object.place();
        let lost = object.packed_bytes();
        self.open.remove(&place);
        self.sum.remove(sum::row(&[place], &[object.text()]));
        object.clear();
        self.lose(place, lost);
        self.deleted.push_back((seq, id.into()));
        if self.deleted.len() > DELETIONS_KEPT as usize
            && let Some((seq, _)) = self.deleted.pop_front()
        {
            self.from = seq;
        }
        self.gaps += 1;
        if self.gaps > FEW_GAPS && self.gaps > self.rows.len() / 4 {
            self.close_gaps();
        }
    }

    fn close_gaps(&mut self) {
        self.rows.retain(|object| !object.is_gap());
        self.gaps = 0;
        self.index.clear();
        for at in 0..self.rows.len() {
            let at = number(at);
            self.note(at, hash_of(&self.rows, &self.hasher, at));
        }
        self.shrink();
    }
}

fn hash_of(rows: &[Object], hasher: &RandomState, at: u32) -> u64 {
    hasher.hash_one(rows[at as usize].id())
}

/// A place in the list. There is no memory for so many objects that it does not fit.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
