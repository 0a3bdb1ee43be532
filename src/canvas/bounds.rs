//! How much the objects of one canvas may be. Pure, and the same for every backplane.

use crate::backplane::Refusal;
use crate::limits::MAX_OBJECT_BYTES;
pub use crate::limits::ObjectBounds;
use crate::protocol::server_message::ErrorCode;

/// How many objects a canvas has, and the bytes of their JSON in all, as a snapshot tells them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many.
    pub objects: u64,
    /// Bytes in all.
    pub bytes: u64,
}

impl Totals {
    /// What is left when an object of so many bytes is gone.
    #[must_use]
    pub fn without(self, bytes: usize) -> Self {
        Self {
            objects: self.objects.saturating_sub(1),
            bytes: self.bytes.saturating_sub(bytes as u64),
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
        let rest = totals.bytes.saturating_sub(old.unwrap_or(0) as u64);
        let (bytes, max) = (rest + new as u64, self.max_bytes);
        if bytes > max as u64 && old.is_none_or(|old| new > old) {
            return Err(too_large(format!(
                "the canvas's objects would have {bytes} bytes; at most {max} (max_canvas_bytes): delete some first"
            )));
        }
        Ok(Totals {
            objects: totals.objects + u64::from(old.is_none()),
            bytes,
        })
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
        Totals { objects, bytes }
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
