//! How fast one connection may go: token buckets for durable messages, their bytes, and the ephemeral lane.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::config::ConnectionLimits;

/// How often a client hears that what it sends on the ephemeral lane is dropped.
const TOLD_INTERVAL: Duration = Duration::from_secs(1);

type Bucket = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<Instant>>;

/// The buckets of one connection. One that has no limit costs nothing.
pub struct Limiter {
    ops: Option<Box<Bucket>>,
    op_bytes: Option<Box<Bucket>>,
    ephemeral: Option<Box<Bucket>>,
    told: Option<Instant>,
}

impl Limiter {
    /// Full buckets. `max_message_bytes`: what the bucket for bytes must hold at least, so that any one message fits.
    pub fn new(limits: &ConnectionLimits, max_message_bytes: usize) -> Self {
        let largest = u32::try_from(max_message_bytes).unwrap_or(u32::MAX);
        Self {
            ops: bucket(limits.ops_per_s, 0),
            op_bytes: bucket(limits.op_bytes_per_s, largest),
            ephemeral: bucket(limits.ephemeral_per_s, 0),
            told: None,
        }
    }

    /// Takes one durable message of so many bytes.
    ///
    /// # Errors
    /// When to try again, in milliseconds, at least 1, and which flag says so.
    pub fn durable(&self, bytes: usize) -> Result<(), (u64, &'static str)> {
        if let Some(wait) = self.ops.as_deref().and_then(|bucket| wait_for(bucket, 1)) {
            return Err((millis(wait), "ops_per_s"));
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let wait = self
            .op_bytes
            .as_deref()
            .and_then(|bucket| wait_for(bucket, bytes));
        wait.map_or(Ok(()), |wait| Err((millis(wait), "op_bytes_per_s")))
    }

    /// Takes one message of the ephemeral lane; `false` if it is to be dropped.
    pub fn ephemeral(&self) -> bool {
        self.ephemeral
            .as_deref()
            .is_none_or(|bucket| bucket.check().is_ok())
    }

    /// Whether the client is to be told now that something was dropped.
    pub fn tells(&mut self, now: Instant) -> bool {
        let tells = self.told.is_none_or(|told| now >= told + TOLD_INTERVAL);
        if tells {
            self.told = Some(now);
        }
        tells
    }
}

/// As much a second as at once, but at least `burst` at once. `None` for 0.
fn bucket(per_s: u32, burst: u32) -> Option<Box<Bucket>> {
    let rate = NonZeroU32::new(per_s)?;
    let quota =
        Quota::per_second(rate).allow_burst(rate.max(NonZeroU32::new(burst).unwrap_or(rate)));
    Some(Box::new(RateLimiter::direct_with_clock(
        quota,
        MonotonicClock,
    )))
}

/// Takes `n` if they are there, else says how long they take to come.
fn wait_for(bucket: &Bucket, n: u32) -> Option<Duration> {
    let n = NonZeroU32::new(n)?;
    match bucket.check_n(n) {
        Ok(Ok(())) => None,
        Ok(Err(not_yet)) => Some(not_yet.wait_time_from(MonotonicClock.now())),
        // More than the bucket holds, which the socket's own bound rules out: never.
        Err(_) => Some(TOLD_INTERVAL),
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(ops: u32, bytes: u32, ephemeral: u32) -> ConnectionLimits {
        ConnectionLimits {
            ops_per_s: ops,
            op_bytes_per_s: bytes,
            ephemeral_per_s: ephemeral,
            max_connections: 1,
            max_connections_per_address: 0,
            trusted_proxies: Vec::new(),
        }
    }

    #[test]
    fn zero_is_no_limit() {
        let limiter = Limiter::new(&limits(0, 0, 0), 1_000);
        for _ in 0..10_000 {
            assert_eq!(limiter.durable(1_000), Ok(()));
            assert!(limiter.ephemeral());
        }
    }

    #[test]
    fn a_bucket_is_full_at_first_and_says_when_it_is_again() {
        let limiter = Limiter::new(&limits(2, 0, 3), 1_000);
        assert!(limiter.durable(1).is_ok() && limiter.durable(1).is_ok());
        let (retry_after_ms, flag) = limiter.durable(1).unwrap_err();
        assert!((1..=501).contains(&retry_after_ms), "{retry_after_ms}");
        assert_eq!(flag, "ops_per_s");
        let passed = (0..100).filter(|_| limiter.ephemeral()).count();
        assert!((3..10).contains(&passed), "{passed}");
    }

    #[test]
    fn the_largest_message_fits_a_small_rate_of_bytes() {
        let limiter = Limiter::new(&limits(0, 10, 0), 1_000);
        assert_eq!(limiter.durable(1_000), Ok(()));
        let (retry_after_ms, flag) = limiter.durable(100).unwrap_err();
        assert!(
            (9_000..=10_001).contains(&retry_after_ms),
            "{retry_after_ms}"
        );
        assert_eq!(flag, "op_bytes_per_s");
    }

    #[test]
    fn a_client_is_told_once_a_second() {
        let (mut limiter, now) = (Limiter::new(&limits(0, 0, 1), 1), Instant::now());
        assert!(limiter.tells(now) && !limiter.tells(now));
        assert!(limiter.tells(now + TOLD_INTERVAL));
    }
}
