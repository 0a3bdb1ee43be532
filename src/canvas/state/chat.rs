//! The latest chat messages of one canvas, as they stand in a snapshot.

use std::collections::VecDeque;

use super::sum::{self, Sum};
use crate::limits::CHAT_HISTORY;

/// The messages, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Chat {
    entries: VecDeque<String>,
    bytes: usize,
    sum: Sum,
}

impl Chat {
    /// Each message's JSON.
    pub(super) fn entries(&self) -> impl Iterator<Item = &String> {
        self.entries.iter()
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What they add up to. Their numbers are part of them, so their order is, too.
    pub(super) fn sum(&self) -> Sum {
        self.sum
    }

    /// Puts a message behind the others.
    pub(super) fn push(&mut self, entry: String) {
        if self.entries.len() >= CHAT_HISTORY as usize
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= oldest.len();
            self.sum.remove(sum::row(&[], &[&oldest]));
        }
        self.bytes += entry.len();
        self.sum.add(sum::row(&[], &[&entry]));
        self.entries.push_back(entry);
    }
}
