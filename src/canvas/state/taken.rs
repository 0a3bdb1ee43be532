//! How much a canvas takes of the room that all canvases share, and how much of that is left.

use super::CanvasState;
use crate::canvas::quotas::Spare;

impl CanvasState {
    /// There is so much room for what is kept of all canvases, as far as the next entries are concerned.
    pub fn set_spare(&mut self, spare: Option<Spare>) {
        self.spare = spare;
    }

    /// Bytes of its objects and chat.
    pub fn stored_bytes(&self) -> u64 {
        self.totals().bytes + self.tables.chat.bytes() as u64
    }

    /// What the retained messages are charged with, in bytes.
    pub fn log_bytes(&self) -> u64 {
        self.tables.log.bytes() as u64
    }

    /// When the youngest of them expires, ms since the epoch.
    pub fn log_ends_ms(&self) -> Option<i64> {
        let youngest = self.tables.log.rows().next_back();
        youngest.map(|row| row.at_ms.saturating_add(self.rules.message_ttl_ms))
    }
}
