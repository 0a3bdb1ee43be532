//! Follows a canvas in Redis: runs its batches as a relay's processes do.

use std::io::Write;

use super::{Message, Printer, waits};
use crate::config::TailArgs;
use crate::protocol::ids::CanvasId;
use crate::transfer::redis_tool::{Followed, RedisTool};

/// Where the reading is.
pub(super) struct Tail {
    followed: Followed,
    canvas: CanvasId,
    printer: Printer,
    /// The numbering, and the last message that was printed.
    at: Option<(String, i64)>,
    waits: bool,
}

impl Tail {
    pub(super) fn new(redis: RedisTool, args: &TailArgs) -> Self {
        Self {
            followed: Followed::new(redis, args.canvas.clone()),
            canvas: args.canvas.clone(),
            printer: Printer { json: args.json },
            at: None,
            waits: false,
        }
    }

    /// Prints what is new; `true` if there may be more already.
    pub(super) fn step(
        &mut self,
        since: &mut Option<i64>,
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let moved = self.followed.step()?;
        let Some((epoch, head)) = self.followed.head() else {
            if !self.waits {
                self.waits = true;
                waits(&self.canvas)?;
            }
            // All of a canvas that is yet to come is new.
            since.get_or_insert(0);
            return Ok(false);
        };
        let head = head.cast_signed();
        let mut seq = match self.at.take() {
            Some((before, seq)) if before == epoch => seq,
            Some(_) => {
                self.printer.anew(out, &epoch, head)?;
                head
            }
            None => since.take().unwrap_or(head),
        };
        for message in self.followed.messages_after(seq.cast_unsigned()) {
            let message = Message {
                row: 0,
                seq: message.seq.cast_signed(),
                kind: message.kind.to_owned(),
                client: message.client,
                at_ms: message.at_ms,
                payload: message.payload,
            };
            self.printer.print(&message, &mut seq, out)?;
        }
        self.at = Some((epoch, seq));
        Ok(moved)
    }
}
