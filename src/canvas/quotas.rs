//! Whether what is kept of all canvases has room for more. Pure, and the same for every backplane.
//!
//! These are decided before a message is done, not by the rules of a canvas: who is refused for the moment sends it again, so
//! nothing of it may have happened.

use crate::backplane::{Author, Refusal};
use crate::limits::{FULL_RETRY_AFTER_MS, LOG_ROW_BYTES, Quotas};
use crate::protocol::client_message::{Change, Durable};
use crate::protocol::server_message::ErrorCode;

/// How much longer a canvas's log may be than what is left for all. A canvas that is alone gets four fifths of the total, two get four
/// ninths each: some room is always left for who comes next, and no canvas with little in its log waits for those with much.
const SHARE: u64 = 4;

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

/// How full the logs are, in bytes as they are charged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Logs {
    /// That canvas's.
    pub canvas: u64,
    /// All together.
    pub total: u64,
}

/// Whether a message that is charged with `bytes` may be kept in a canvas's log. What is empty takes one, however small the quota: it
/// would be refused for ever.
///
/// # Errors
/// `overloaded`, for the moment, naming the flag.
pub fn room_in_log(quotas: &Quotas, logs: Logs, bytes: u64) -> Result<(), Refusal> {
    let own = logs.canvas.saturating_add(bytes);
    if own > quotas.canvas_log_bytes && logs.canvas > 0 {
        let max = quotas.canvas_log_bytes;
        return Err(full(format!(
            "the canvas's log is full: {max} bytes (--max-canvas-log-bytes); there is room again as its messages expire"
        )));
    }
    let left = quotas.log_bytes.saturating_sub(logs.total);
    if (own > left.saturating_mul(SHARE) || bytes > left) && logs.total > 0 {
        let max = quotas.log_bytes;
        return Err(full(format!(
            "the logs of all canvases are full: {max} bytes (--max-log-bytes), and this one has more than its share; \
             there is room again as messages expire"
        )));
    }
    Ok(())
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
#[derive(Debug, Clone, Copy)]
pub struct Spare {
    /// Bytes.
    left: u64,
    /// What all may have.
    max: u64,
}

impl Spare {
    /// When so much is kept; `None` if nothing bounds it.
    pub fn of(quotas: &Quotas, kept: u64) -> Option<Self> {
        let max = quotas.total_bytes?;
        let left = max.saturating_sub(kept);
        Some(Self { left, max })
    }

    /// Whether what has `old` bytes may have `new`. What does not grow always goes.
    ///
    /// # Errors
    /// `too-large`, for good, naming the flag.
    pub fn takes(self, old: usize, new: usize) -> Result<(), Refusal> {
        let grows = new.saturating_sub(old) as u64;
        if grows <= self.left {
            return Ok(());
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

fn full(message: String) -> Refusal {
    Refusal {
        code: ErrorCode::Overloaded,
        message,
        retry_after_ms: Some(FULL_RETRY_AFTER_MS),
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
        assert_eq!(spare.takes(0, 100), Ok(()));
        let told = spare.takes(0, 101).unwrap_err();
        assert_eq!(
            (told.code, told.retry_after_ms),
            (ErrorCode::TooLarge, None)
        );
        assert!(told.message.contains("5000 bytes (--max-total-bytes)"));
        let over = Spare::of(&QUOTAS, 9_000).unwrap();
        assert_eq!(over.takes(300, 300), Ok(()));
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
