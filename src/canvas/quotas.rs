//! Whether there is room for more among the stored data of all canvases. Pure, and the same for every backplane.
//!
//! This is decided before a message is done, not by the rules of a canvas. A client whose message is refused for the
//! moment sends it again, so nothing of it may have happened.

use super::bounds::entry_bytes;
use crate::backplane::{Author, Entry, Refusal};
pub use crate::limits::Logs;
use crate::limits::{
    CLIENT_MEMORY, CLIENTS_REMEMBERED, FULL_RETRY_AFTER_MS, FullLog, LOG_ROW_BYTES, Quotas,
};
use crate::protocol::client_message::{Change, Durable};
use crate::protocol::ids::ClientId;
use crate::protocol::server_message::ErrorCode;

/// What a chat message is kept with beside its text and its author: place, client, time.
const CHAT_FIELDS: usize = 192;

/// What a message of so many bytes is charged with while it is kept.
pub fn charge(body: usize) -> u64 {
    (LOG_ROW_BYTES + body) as u64
}

/// What a message is charged with before it is done. Chat is kept with its author's name.
pub fn charge_of(author: &Author, message: &Durable) -> u64 {
    let name = match &message.change {
        Change::Batch(ops) => return ops.iter().map(|op| charge_of(author, op)).sum(),
        Change::Chat => author.user.len() + ",\"user\":".len(),
        _ => 0,
    };
    charge(message.body.len() + name)
}

/// What the objects and the chat may grow by through a message, at most: it follows from the message alone, whatever is there.
pub fn growth_of(author: &Author, message: &Durable) -> u64 {
    let bytes = match &message.change {
        Change::Batch(ops) => return ops.iter().map(|op| growth_of(author, op)).sum(),
        Change::Put { object, .. } => object.len(),
        Change::Merge { .. } => message.body.len(),
        Change::Chat => message.body.len() + author.user.len() + CHAT_FIELDS,
        Change::Append { data, .. } => entry_bytes(data.len()),
        Change::Compact(compact) => compact
            .data
            .as_ref()
            .map_or(0, |data| entry_bytes(data.len())),
        Change::Remove { .. } | Change::None => 0,
    };
    bytes as u64
}

/// Whether a message that is charged with `bytes` may be kept in a canvas's log: see [`Quotas::full_log`].
///
/// # Errors
/// `overloaded`, for the moment, naming the flag.
pub fn room_in_log(quotas: &Quotas, logs: Logs, bytes: u64) -> Result<(), Refusal> {
    match quotas.full_log(logs, bytes) {
        None => Ok(()),
        Some(log) => Err(full_log(quotas, log)),
    }
}

fn full_log(quotas: &Quotas, log: FullLog) -> Refusal {
    let message = match log {
        FullLog::Canvas => format!(
            "the canvas's log is full: {} bytes (--max-canvas-log-bytes); there is room again as its messages expire",
            quotas.canvas_log_bytes
        ),
        FullLog::All => format!(
            "the logs of all canvases are full: {} bytes (--max-log-bytes), and this one has more than its share; \
             there is room again as messages expire",
            quotas.log_bytes
        ),
    };
    Refusal {
        code: ErrorCode::Overloaded,
        message,
        retry_after_ms: Some(FULL_RETRY_AFTER_MS),
    }
}

/// Whether a canvas that remembers so many clients takes a new one. None of them gives way: without its row, what it sends again would be
/// done again.
///
/// # Errors
/// `overloaded`, for the moment.
pub fn room_for_client(remembered: usize) -> Result<(), Refusal> {
    if remembered < CLIENTS_REMEMBERED {
        return Ok(());
    }
    let hours = CLIENT_MEMORY.as_secs() / 3_600;
    Err(Refusal {
        code: ErrorCode::Overloaded,
        message: format!(
            "the canvas remembers {CLIENTS_REMEMBERED} clients and idempotency keys already: there is room for new ones as those that \
             were not used for {hours} hours are forgotten"
        ),
        retry_after_ms: Some(FULL_RETRY_AFTER_MS),
    })
}

/// Whose row an entry may make: who joins, and who posts without having joined.
pub fn maybe_new(entry: &Entry) -> Option<&ClientId> {
    match entry {
        Entry::Join { author } => Some(&author.client),
        Entry::Durable { author, .. } if author.client.is_reserved() => Some(&author.client),
        _ => None,
    }
}

/// Whether there may be one canvas more than `there`.
///
/// # Errors
/// `too-large`, naming the flag.
pub fn room_for_canvas(quotas: &Quotas, there: u64) -> Result<(), Refusal> {
    match quotas.canvases {
        Some(max) if there >= max => Err(Refusal {
            code: ErrorCode::TooLarge,
            message: format!(
                "there are {max} canvases already (--max-canvases): delete some first"
            ),
            retry_after_ms: None,
        }),
        _ => Ok(()),
    }
}

/// What may be kept in addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spare {
    /// Bytes; below 0 where more is kept than may be.
    left: i64,
    /// What all may have.
    max: u64,
}

impl Spare {
    /// When so much is kept; `None` if nothing bounds it.
    pub fn of(quotas: &Quotas, kept: u64) -> Option<Self> {
        let max = quotas.total_bytes?;
        let left = max.cast_signed().saturating_sub(kept.cast_signed());
        Some(Self { left, max })
    }

    /// As it is told: so many bytes of so many.
    pub fn known(left: i64, max: u64) -> Self {
        Self { left, max }
    }

    /// Whether what has `old` bytes may have `new`, and what is left then. What does not grow always goes.
    ///
    /// # Errors
    /// `too-large`, for good, naming the flag.
    pub fn takes(self, old: usize, new: usize) -> Result<Self, Refusal> {
        let grows = (new as u64).cast_signed() - (old as u64).cast_signed();
        if grows <= self.left.max(0) {
            return Ok(Self {
                left: self.left.saturating_sub(grows),
                ..self
            });
        }
        let max = self.max;
        Err(Refusal {
            code: ErrorCode::TooLarge,
            message: format!(
                "all canvases together would have more than {max} bytes (--max-total-bytes): delete some objects or canvases first"
            ),
            retry_after_ms: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTAS: Quotas = Quotas {
        canvas_log_bytes: 1_000,
        log_bytes: 3_000,
        total_bytes: Some(5_000),
        canvases: Some(7),
        idle_ttl: None,
    };

    fn room(canvas: u64, total: u64, bytes: u64) -> Result<(), String> {
        let refused = room_in_log(&QUOTAS, Logs { canvas, total }, bytes);
        refused.map_err(|refusal| {
            assert_eq!(refusal.code, ErrorCode::Overloaded);
            assert_eq!(refusal.retry_after_ms, Some(FULL_RETRY_AFTER_MS));
            refusal.message
        })
    }

    #[test]
    fn a_log_is_filled_to_the_byte_and_no_further() {
        assert_eq!(room(600, 600, 400), Ok(()));
        let told = room(600, 600, 401).unwrap_err();
        assert!(
            told.contains("1000 bytes (--max-canvas-log-bytes)"),
            "{told}"
        );
    }

    #[test]
    fn who_filled_the_total_waits_and_others_go_on() {
        let told = room(900, 2_800, 100).unwrap_err();
        assert!(told.contains("3000 bytes (--max-log-bytes)"), "{told}");
        assert_eq!(room(0, 2_800, 200), Ok(()));
        assert!(room(0, 2_800, 201).is_err(), "the total is never passed");
    }

    #[test]
    fn an_empty_log_takes_one_message_however_large() {
        assert_eq!(room(0, 0, 5_000), Ok(()));
        assert!(room(1, 1, 5_000).is_err());
    }

    #[test]
    fn the_total_takes_what_fits_and_what_does_not_grow() {
        let spare = Spare::of(&QUOTAS, 4_900).unwrap();
        let less = spare.takes(0, 60).unwrap();
        assert_eq!(less, Spare::known(40, 5_000));
        assert!(less.takes(0, 41).is_err(), "what was taken is gone");
        assert_eq!(less.takes(60, 0), Ok(spare), "what shrinks gives it back");
        let told = spare.takes(0, 101).unwrap_err();
        assert_eq!(
            (told.code, told.retry_after_ms),
            (ErrorCode::TooLarge, None)
        );
        assert!(told.message.contains("5000 bytes (--max-total-bytes)"));
        let over = Spare::of(&QUOTAS, 9_000).unwrap();
        assert_eq!(over.takes(300, 300), Ok(over));
        let less = over.takes(300, 0).unwrap();
        assert!(less.takes(0, 1).is_err(), "it is still too much");
        assert!(over.takes(300, 301).is_err());
        assert!(Spare::of(&Quotas::default(), u64::MAX).is_none());
    }

    #[test]
    fn one_canvas_too_many_is_refused_by_the_flag() {
        assert_eq!(room_for_canvas(&QUOTAS, 6), Ok(()));
        let told = room_for_canvas(&QUOTAS, 7).unwrap_err();
        assert!(told.message.contains("7 canvases already (--max-canvases)"));
        assert_eq!(room_for_canvas(&Quotas::default(), u64::MAX), Ok(()));
    }

    /// Canvases that write as much as they may, one after the other: the total holds, and the last one has room, too.
    #[test]
    fn whoever_comes_late_has_room_however_greedy_those_before_were() {
        let quotas = Quotas {
            canvas_log_bytes: u64::MAX,
            log_bytes: 1 << 30,
            ..QUOTAS
        };
        let mut total = 0;
        for canvas in 0..6 {
            let mut own = 0;
            while room_in_log(&quotas, Logs { canvas: own, total }, 1_000).is_ok() {
                own += 1_000;
                total += 1_000;
            }
            assert!(own > 60_000, "canvas {canvas} got {own}");
        }
        assert!(total <= quotas.log_bytes);
    }
}
