//! The bounds of one canvas's objects and of their logs. Pure, and the same for every backplane.

use super::store::ObjectLog;
use crate::backplane::Refusal;
use crate::limits::MAX_OBJECT_BYTES;
pub use crate::limits::ObjectBounds;
use crate::protocol::client_message::{MAX_LOG_BYTES, MAX_LOG_ENTRIES};
use crate::protocol::server_message::ErrorCode;

/// How many objects a canvas has, and the bytes of their JSON in all, as a snapshot tells them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many.
    pub objects: u64,
    /// Bytes in all, those of their logs included.
    pub bytes: u64,
    /// How many of them have a log.
    pub logs: u64,
}

/// What an entry of a log is charged with, of so many bytes in base64: its place is kept as well.
pub fn entry_bytes(data: usize) -> usize {
    data + 64
}

impl Totals {
    /// What is left when an object of so many bytes is gone.
    #[must_use]
    pub fn without(self, bytes: usize) -> Self {
        Self {
            objects: self.objects.saturating_sub(1),
            bytes: self.bytes.saturating_sub(bytes as u64),
            ..self
        }
    }

    /// What is left when a log of so many bytes is gone.
    #[must_use]
    pub fn without_log(self, bytes: u64) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(bytes),
            logs: self.logs.saturating_sub(1),
            ..self
        }
    }
}

impl ObjectBounds {
    /// The totals once an object that had `old` bytes (`None`: that was not there) has `new`. What does not grow always goes, even on
    /// a canvas that is over its bounds because they were lowered.
    ///
    /// # Errors
    /// `too-large`, for good, naming the bound.
    pub fn put(&self, totals: Totals, old: Option<usize>, new: usize) -> Result<Totals, Refusal> {
        if new > MAX_OBJECT_BYTES {
            return Err(too_large(format!(
                "the object would have {new} bytes; at most {MAX_OBJECT_BYTES}"
            )));
        }
        let max = self.max_objects;
        if old.is_none() && totals.objects >= max as u64 {
            return Err(too_large(format!(
                "a canvas has at most {max} objects (max_objects): delete some first"
            )));
        }
        let grows = old.is_none_or(|old| new > old);
        let bytes = self.bytes(totals, old.unwrap_or(0) as u64, new as u64, grows)?;
        Ok(Totals {
            objects: totals.objects + u64::from(old.is_none()),
            bytes,
            ..totals
        })
    }

    /// The totals once a log has one entry more, of so many bytes in base64.
    ///
    /// # Errors
    /// `too-large`, for good, naming the bound.
    pub fn append(&self, totals: Totals, log: ObjectLog, data: usize) -> Result<Totals, Refusal> {
        let max = MAX_LOG_ENTRIES;
        if log.entries >= max {
            return Err(too_large(format!(
                "the log of an object has at most {max} entries (max_log_entries): compact it first"
            )));
        }
        let new = entry_bytes(data) as u64;
        log_bytes(log.bytes + new)?;
        Ok(Totals {
            bytes: self.bytes(totals, 0, new, true)?,
            logs: totals.logs + u64::from(log == ObjectLog::default()),
            ..totals
        })
    }

    /// The totals once `new` bytes of a log stand for `old` of them. What does not grow always goes.
    ///
    /// # Errors
    /// `too-large`, for good, naming the bound.
    pub fn compact(
        &self,
        totals: Totals,
        log: ObjectLog,
        old: u64,
        new: u64,
    ) -> Result<Totals, Refusal> {
        let grows = new > old;
        if grows {
            log_bytes(log.bytes.saturating_sub(old) + new)?;
        }
        Ok(Totals {
            bytes: self.bytes(totals, old, new, grows)?,
            ..totals
        })
    }

    /// The bytes of the canvas once there are `new` instead of `old`.
    fn bytes(&self, totals: Totals, old: u64, new: u64, grows: bool) -> Result<u64, Refusal> {
        let bytes = totals.bytes.saturating_sub(old) + new;
        let max = self.max_bytes;
        if bytes > max as u64 && grows {
            return Err(too_large(format!(
                "the canvas's objects would have {bytes} bytes; at most {max} (max_canvas_bytes): delete some first"
            )));
        }
        Ok(bytes)
    }
}

fn log_bytes(bytes: u64) -> Result<(), Refusal> {
    let max = MAX_LOG_BYTES;
    match bytes > max {
        true => Err(too_large(format!(
            "the log of the object would have {bytes} bytes; at most {max} (max_log_bytes): compact it first"
        ))),
        false => Ok(()),
    }
}

fn too_large(message: String) -> Refusal {
    Refusal {
        code: ErrorCode::TooLarge,
        message,
        retry_after_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: ObjectBounds = ObjectBounds {
        max_objects: 2,
        max_bytes: 1_000,
    };

    fn totals(objects: u64, bytes: u64) -> Totals {
        let logs = 0;
        Totals {
            objects,
            bytes,
            logs,
        }
    }

    fn log(entries: u64, bytes: u64) -> ObjectLog {
        ObjectLog {
            entries,
            bytes,
            ..ObjectLog::default()
        }
    }

    #[test]
    fn a_log_is_bounded_in_entries_and_in_bytes_and_by_its_canvas() {
        let wide = ObjectBounds {
            max_bytes: usize::MAX,
            ..BOUNDS
        };
        let told = |refused: Result<Totals, Refusal>| refused.unwrap_err().message;
        let first = wide
            .append(totals(1, 10), ObjectLog::default(), 36)
            .unwrap();
        assert_eq!((first.bytes, first.logs, first.objects), (110, 1, 1));
        let next = wide.append(first, log(1, 100), 36).unwrap();
        assert_eq!((next.bytes, next.logs), (210, 1));
        let full = wide.append(first, log(MAX_LOG_ENTRIES, 100), 1);
        assert!(told(full).contains("at most 10000 entries (max_log_entries)"));
        let left = MAX_LOG_BYTES - 64 - 10;
        assert!(wide.append(first, log(1, left), 10).is_ok());
        assert!(told(wide.append(first, log(1, left), 11)).contains("(max_log_bytes)"));
        let over = BOUNDS.append(totals(1, 900), log(1, 100), 37);
        assert!(told(over).contains("1001 bytes; at most 1000 (max_canvas_bytes)"));
    }

    #[test]
    fn a_compaction_that_shrinks_a_log_is_always_done() {
        let (over, full) = (totals(1, 5_000), log(MAX_LOG_ENTRIES, MAX_LOG_BYTES + 500));
        let less = BOUNDS.compact(over, full, 300, 300).unwrap();
        assert_eq!(less.bytes, 5_000);
        let told = BOUNDS.compact(over, full, 300, 301).unwrap_err().message;
        assert!(told.contains("max_log_bytes"), "{told}");
        let told = BOUNDS.compact(over, log(2, 300), 300, 301).unwrap_err();
        assert!(
            told.message.contains("max_canvas_bytes"),
            "{}",
            told.message
        );
        assert_eq!(less.without_log(200).bytes, 4_800);
    }

    #[test]
    fn what_fits_exactly_goes_and_one_byte_more_does_not() {
        assert_eq!(BOUNDS.put(totals(1, 600), None, 400), Ok(totals(2, 1_000)));
        let over = BOUNDS.put(totals(1, 600), None, 401).unwrap_err();
        assert_eq!(
            (over.code, over.retry_after_ms),
            (ErrorCode::TooLarge, None)
        );
        assert!(
            over.message
                .contains("1001 bytes; at most 1000 (max_canvas_bytes)")
        );
        assert_eq!(
            BOUNDS.put(totals(2, 900), Some(100), 200),
            Ok(totals(2, 1_000))
        );
        assert!(BOUNDS.put(totals(2, 900), Some(100), 201).is_err());
    }

    #[test]
    fn over_its_bounds_a_canvas_may_only_shrink() {
        let over = totals(5, 5_000);
        assert_eq!(BOUNDS.put(over, Some(300), 299), Ok(totals(5, 4_999)));
        assert_eq!(BOUNDS.put(over, Some(300), 300), Ok(over));
        assert!(BOUNDS.put(over, Some(300), 301).is_err());
        assert!(BOUNDS.put(over, None, 1).is_err());
        assert_eq!(over.without(300), totals(4, 4_700));
    }

    #[test]
    fn an_object_too_many_and_one_too_large_are_named() {
        let many = BOUNDS.put(totals(2, 10), None, 1).unwrap_err();
        assert!(many.message.contains("at most 2 objects (max_objects)"));
        let large = BOUNDS
            .put(totals(0, 0), None, MAX_OBJECT_BYTES + 1)
            .unwrap_err();
        assert!(large.message.contains("262145 bytes; at most 262144"));
    }
}
