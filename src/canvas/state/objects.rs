//! The current objects of one canvas, in the order of their creation.
//!
//! A process over Redis holds every object of its canvases, most of them small. So an object takes a row in a list, its text, and
//! a number in a table. Its id is read from its text, where it nearly always stands.

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

/// Where an id is looked for in its object's text.
const ID_WITHIN: usize = 256;
/// Rows of removed objects that are not worth a new list.
const FEW_GAPS: usize = 16;

/// The objects. Their texts are shared with whoever reads or keeps them.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// By their places. Removed ones leave gaps.
    rows: Vec<Object>,
    gaps: usize,
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

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// The `seq` of the message that created it.
    place: u64,
    /// The `seq` of its last change. Not part of what copies must have alike.
    changed: u64,
    id: Id,
    /// Empty: it was removed.
    text: Arc<str>,
}

/// Where an object's id is.
#[derive(Debug, Clone)]
enum Id {
    /// In its text: from here, and so many bytes.
    Within(u16, u16),
    Apart(Box<str>),
}

impl Id {
    fn of(id: &str, text: &str) -> Self {
        let begin = &text.as_bytes()[..text.len().min(ID_WITHIN)];
        let at = memchr::memmem::find(begin, id.as_bytes());
        let fits = |n: usize| u16::try_from(n).ok();
        match at.and_then(|at| Some((fits(at)?, fits(id.len())?))) {
            Some((at, len)) => Self::Within(at, len),
            None => Self::Apart(id.into()),
        }
    }
}

impl Object {
    /// The `seq` of the message that created it.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// The `seq` of its last change, or a later one where that is not known.
    pub(super) fn changed(&self) -> u64 {
        self.changed
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        match &self.id {
            Id::Apart(id) => id,
            Id::Within(at, len) => {
                let at = usize::from(*at);
                let len = usize::from(*len);
                self.text.get(at..at + len).unwrap_or_default()
            }
        }
    }

    /// Its JSON.
    pub(super) fn text(&self) -> &Arc<str> {
        &self.text
    }

    fn is_gap(&self) -> bool {
        self.text.is_empty()
    }
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

    /// The objects with those places, ids and texts, and what they are together; `None` if [`Self::restore_one`] refuses one.
    pub(super) fn restore<'a>(
        seq: u64,
        rows: impl IntoIterator<Item = (u64, &'a str, &'a str)>,
    ) -> Option<(Self, Totals)> {
        let mut objects = Self::from(seq);
        let mut totals = Totals::default();
        for row in rows {
            objects.restore_one(row, &mut totals)?;
        }
        objects.shrink();
        Some((objects, totals))
    }

    /// Takes the next object of a canvas that is read; `None` if it is not after the one before, behind the end, there already or
    /// nothing.
    pub(super) fn restore_one(
        &mut self,
        (place, id, text): (u64, &str, &str),
        totals: &mut Totals,
    ) -> Option<()> {
        let after = self.rows.last().is_none_or(|last| last.place < place);
        let new = self.at(id).is_none() && !text.is_empty();
        if !(after && new) || place > self.from {
            return None;
        }
        self.push(id, place, text.into());
        totals.objects += 1;
        totals.bytes += text.len() as u64;
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
        let open = self.open.get(&object.place);
        Some(open.map_or(object.text.len(), OpenObject::bytes))
    }

    /// The text of an object that is not taken apart.
    pub(super) fn text(&self, id: &str) -> Option<&str> {
        self.find(id).map(|object| &*object.text)
    }

    /// The text of an object as it is now, taken apart or not.
    pub(super) fn text_now(&self, id: &str) -> Option<String> {
        let object = self.find(id)?;
        let open = self.open.get(&object.place);
        Some(open.map_or_else(|| object.text.to_string(), OpenObject::text))
    }

    /// Takes an object apart, and says whether it was not before.
    pub(super) fn open(&mut self, id: &str) -> Option<(&mut OpenObject, bool)> {
        let Object { place, text, .. } = &self.rows[self.at(id)?];
        let fresh = !self.open.contains_key(place);
        if fresh {
            // It was an object when it was put: the parser saw to that.
            let value = serde_json::from_str(text).unwrap_or(Value::Null);
            self.open.insert(*place, OpenObject::new(value, text.len()));
        }
        self.open.get_mut(place).map(|open| (open, fresh))
    }

    /// Writes what has changed in those that are taken apart.
    pub(super) fn close(&mut self) {
        for (place, object) in std::mem::take(&mut self.open) {
            let at = self.rows.binary_search_by_key(&place, Object::place);
            if let (Ok(at), Some((seq, text))) = (at, object.written()) {
                self.write(at, seq, text.into());
            }
        }
    }

    /// Forgets what has changed in one that is taken apart.
    pub(super) fn drop_open(&mut self, id: &str) {
        if let Some(at) = self.at(id) {
            self.open.remove(&self.rows[at].place);
        }
    }

    /// Writes an object whole. A new one takes the place of the message that does so: that is the highest.
    pub(super) fn put(&mut self, id: &str, new_place: u64, text: &str) {
        let Some(at) = self.at(id) else {
            return self.push(id, new_place, text.into());
        };
        self.open.remove(&self.rows[at].place);
        self.write(at, new_place, text.into());
    }

    fn push(&mut self, id: &str, place: u64, text: Arc<str>) {
        if self.rows.len() == self.rows.capacity() {
            // A list that doubles is half empty for long.
            self.rows.reserve_exact(4 + self.rows.len() / 8);
        }
        self.sum.add(sum::row(&[place], &[&text]));
        let at = number(self.rows.len());
        self.rows.push(Object {
            place,
            changed: place,
            id: Id::of(id, &text),
            text,
        });
        self.note(at, self.hasher.hash_one(id));
    }

    /// The index has that row from now on.
    fn note(&mut self, at: u32, hash: u64) {
        let rows = &self.rows;
        let hasher = &self.hasher;
        let of = |at: &u32| hash_of(rows, hasher, *at);
        self.index.insert_unique(hash, at, of);
    }

    fn write(&mut self, at: usize, seq: u64, text: Arc<str>) {
        let object = &mut self.rows[at];
        object.changed = seq;
        object.id = Id::of(object.id(), &text);
        self.sum.add(sum::row(&[object.place], &[&text]));
        let old = std::mem::replace(&mut object.text, text);
        self.sum.remove(sum::row(&[object.place], &[&old]));
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
        self.open.remove(&object.place);
        self.sum.remove(sum::row(&[object.place], &[&object.text]));
        object.id = Id::Within(0, 0);
        object.text = "".into();
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
