//! Small texts share chunks. An allocation of its own costs a text more than 24 bytes, and many small ones among large
//! ones keep an allocator from giving memory back.
//!
//! A chunk has the small texts of a run: of rows that follow each other. A row of it that is written anew has a text of
//! its own. When more than a quarter of a chunk is dead, all small texts of its run get a new one. So a quarter is the
//! most that is held in vain. A byte that dies, or was written since, has at most three others copied for it.

use std::ops::Range;

use super::row::{self, Object};
use crate::backplane::Whole;

/// About the bytes of a chunk; it has at most twice as many.
pub(in crate::canvas::state) const CHUNK: usize = 64 * 1024;

/// Which rows share chunks.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// In the order of their places. No two have a row in common. A row whose text is in a chunk is in the run of that.
    runs: Vec<Run>,
    /// Bytes of small texts that were added behind the last run.
    loose: usize,
}

/// Rows, one chunk of whose texts some of them have. The small texts of the others are their own.
#[derive(Debug)]
struct Run {
    /// The places of the first and the last.
    first: u64,
    last: u64,
    bytes: usize,
    /// So many of them nobody needs.
    dead: usize,
}

impl Chunks {
    /// An object was added behind the last one; gives whether there is enough for a chunk.
    pub(super) fn added(&mut self, object: &Object) -> bool {
        if object.is_small() {
            self.loose += object.bytes();
        }
        self.loose >= CHUNK
    }

    /// The small texts behind the last run get chunks.
    pub(super) fn pack_last(&mut self, rows: &mut [Object]) {
        self.loose = 0;
        let from = self.runs.last().map_or(0, |run| run.last + 1);
        let from = rows.partition_point(|row| row.place() < from);
        self.runs.extend(packed(rows, from..rows.len()));
    }

    /// A text in a chunk, that of the object at `place`, is not needed any more.
    pub(super) fn lose(&mut self, place: u64, bytes: usize, rows: &mut [Object]) {
        let which = self.runs.partition_point(|run| run.last < place);
        let Some(run) = self.runs.get_mut(which) else {
            return;
        };
        run.dead += bytes;
        if run.dead * 4 <= run.bytes {
            return;
        }
        let from = rows.partition_point(|row| row.place() < run.first);
        let to = rows.partition_point(|row| row.place() <= run.last);
        let anew = packed(rows, from..to);
        self.runs.splice(which..=which, anew);
    }

    /// Rows behind all others have a chunk of so many bytes.
    pub(super) fn read(&mut self, rows: &[Object], bytes: usize) {
        let mut packed = rows.iter().filter(|row| row.packed_bytes().is_some());
        if let Some(first) = packed.next().map(Object::place) {
            let last = packed.next_back().map_or(first, Object::place);
            let dead = 0;
            self.runs.push(Run {
                first,
                last,
                bytes,
                dead,
            });
        }
    }
}

#[cfg(test)]
impl Chunks {
    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.runs.capacity() * size_of::<Run>()
    }
}

/// The small texts of those rows get chunks of about equal size. One alone gets none.
fn packed(rows: &mut [Object], within: Range<usize>) -> Vec<Run> {
    let rows = &mut rows[within];
    let small = rows.iter().filter(|row| row.is_small());
    let all: usize = small.map(Object::bytes).sum();
    let each = all.div_ceil((all / CHUNK).max(1));
    let mut runs = Vec::new();
    let mut from = 0;
    while from < rows.len() {
        let mut text = String::new();
        let mut upto = from;
        for row in &rows[from..] {
            if text.len() >= each {
                break;
            }
            if row.is_small() {
                if text.is_empty() {
                    text.reserve_exact(each + row.bytes());
                }
                row.copy_to(&mut text);
            }
            upto += 1;
        }
        runs.extend(share(&mut rows[from..upto], Whole::new(text.into())));
        from = upto;
    }
    runs
}

/// Those of the rows that are small have the chunk from now on.
fn share(rows: &mut [Object], chunk: Whole) -> Option<Run> {
    let mut at = 0;
    let mut places = None;
    let mut last = 0;
    for row in rows.iter_mut().filter(|row| row.is_small()) {
        row.move_to(&chunk, at);
        at += row.bytes();
        last = row.place();
        places.get_or_insert(last);
    }
    let first = places.filter(|first| *first < last)?;
    let bytes = chunk.len();
    Some(Run {
        first,
        last,
        bytes,
        dead: 0,
    })
}

/// The chunk of objects that are read: their ids and texts. [`Chunks::read`] is told when they have their rows.
pub(super) fn chunk<'a>(objects: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Whole {
    let small = objects.filter(|(_, text)| row::is_small(text));
    let bytes = small.clone().map(|(id, text)| id.len() + text.len());
    let mut chunk = String::with_capacity(bytes.sum());
    small.for_each(|(id, text)| row::append(id, text, &mut chunk));
    Whole::new(chunk.into())
}
