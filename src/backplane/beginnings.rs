//! How many canvases one `sub` or address may make in a minute on this process (`--new-canvases-per-minute`).
//!
//! This is checked before a backplane is asked to make a canvas, so it is the same over all of them. A client beyond
//! the limit is told when to come again. Canvases that exist do not count.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Directory, Refusal, Unavailable};
use crate::limits::CANVAS_MAKERS;
use crate::protocol::ids::CanvasId;
use crate::protocol::server_message::ErrorCode;

const MINUTE: Duration = Duration::from_secs(60);
/// How often the table is looked through for entries that are over, while it is full.
const TIDY_INTERVAL: Duration = Duration::from_secs(1);

/// Counts who makes canvases.
pub struct Beginnings {
    directory: Arc<dyn Directory>,
    rate: Mutex<Rate>,
    refused: AtomicU64,
}

impl Beginnings {
    /// Nobody has made any yet.
    pub fn new(directory: Arc<dyn Directory>, per_minute: NonZeroU32) -> Arc<Self> {
        Arc::new(Self {
            directory,
            rate: Mutex::new(Rate::new(per_minute)),
            refused: AtomicU64::new(0),
        })
    }

    /// Canvases that were not made for it so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Charges `maker` with the canvas, unless there is one of that name.
    ///
    /// # Errors
    /// `rate-limited` with the time to wait, or that nobody knows whether there is one.
    pub async fn admit(&self, id: &CanvasId, maker: &str) -> Result<(), Unavailable> {
        if self.directory.find(id).await?.is_some() {
            return Ok(());
        }
        let taken = self.rate.lock().take(maker, Instant::now());
        taken.map_err(|refusal| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            Unavailable::Full(refusal)
        })
    }
}

/// A token bucket for each maker: as many at once as in a minute. An entry says when its bucket is full again, and is over then.
struct Rate {
    per_minute: NonZeroU32,
    full_at: HashMap<u64, Instant>,
    /// Makers are kept as hashes that nobody outside can foresee: names have no bound worth keeping.
    hasher: RandomState,
    tidied: Option<Instant>,
}

impl Rate {
    fn new(per_minute: NonZeroU32) -> Self {
        Self {
            per_minute,
            full_at: HashMap::new(),
            hasher: RandomState::new(),
            tidied: None,
        }
    }

    fn take(&mut self, maker: &str, now: Instant) -> Result<(), Refusal> {
        let key = self.hasher.hash_one(maker);
        let one = MINUTE / self.per_minute.get();
        let full_at = self.full_at.get(&key).map_or(now, |at| (*at).max(now));
        let wait = (full_at + one).saturating_duration_since(now + MINUTE);
        if wait.is_zero() {
            self.make_room(key, now);
            self.full_at.insert(key, full_at + one);
            return Ok(());
        }
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let max = self.per_minute;
        Err(Refusal {
            code: ErrorCode::RateLimited,
            message: format!("more than {max} new canvases a minute (--new-canvases-per-minute)"),
            retry_after_ms: Some(ms.saturating_add(1)),
        })
    }

    /// The table has a bound. Whoever has that many names has as many buckets anyway, so one of them more or less is nothing.
    fn make_room(&mut self, key: u64, now: Instant) {
        if self.full_at.len() < CANVAS_MAKERS || self.full_at.contains_key(&key) {
            return;
        }
        if self.tidied.is_none_or(|at| now >= at + TIDY_INTERVAL) {
            self.tidied = Some(now);
            self.full_at.retain(|_, at| *at > now);
        }
        if self.full_at.len() >= CANVAS_MAKERS {
            let any = self.full_at.keys().next().copied();
            any.map(|any| self.full_at.remove(&any));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_minute: u32) -> Rate {
        Rate::new(NonZeroU32::new(per_minute).unwrap())
    }

    #[test]
    fn as_many_at_once_as_in_a_minute_and_then_one_after_the_other() {
        let (mut rate, now) = (rate(3), Instant::now());
        for _ in 0..3 {
            assert_eq!(rate.take("ada", now), Ok(()));
        }
        let refusal = rate.take("ada", now).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::RateLimited);
        assert_eq!(refusal.retry_after_ms, Some(20_001));
        assert!(
            refusal
                .message
                .contains("3 new canvases a minute (--new-canvases-per-minute)")
        );
        assert_eq!(rate.take("ben", now), Ok(()), "others have their own");
        let later = now + Duration::from_millis(20_001);
        assert_eq!(rate.take("ada", later), Ok(()));
        assert!(rate.take("ada", later).is_err());
        for _ in 0..3 {
            assert_eq!(rate.take("ada", later + 2 * MINUTE), Ok(()));
        }
    }

    #[test]
    fn the_table_has_a_bound_and_its_entries_an_end() {
        let (mut rate, now) = (rate(1), Instant::now());
        for n in 0..CANVAS_MAKERS + 10 {
            assert_eq!(rate.take(&n.to_string(), now), Ok(()));
        }
        assert_eq!(rate.full_at.len(), CANVAS_MAKERS);
        assert_eq!(rate.take("late", now + MINUTE), Ok(()));
        assert_eq!(rate.full_at.len(), 1, "a minute later all are over");
    }
}
