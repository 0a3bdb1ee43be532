//! How fast one connection may go: token buckets for the durable and the ephemeral lane, for messages and for bytes.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::config::ConnectionLimits;

/// How often a client gets notice that what it sends on the ephemeral lane is dropped.
const NOTICE_INTERVAL: Duration = Duration::from_secs(1);

type Bucket = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<Instant>>;

/// The buckets of one connection: a lane's messages, and their bytes. What has no limit costs nothing.
pub struct Limiter {
    durable: Lane,
    ephemeral: Lane,
    noticed: Option<Instant>,
}

struct Lane {
    messages: Option<Box<Rate>>,
    bytes: Option<Box<Rate>>,
}

struct Rate {
    bucket: Bucket,
    per_s: u32,
    what: &'static str,
}

/// A message that is more than its lane may have now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// When to try again, in milliseconds, at least 1.
    pub retry_after_ms: u64,
    /// What there may be, and which flag says so.
    pub message: String,
}

impl Limiter {
    /// Full buckets. `max_message_bytes`: what the buckets for bytes must hold at least, so that any one message fits.
    pub fn new(limits: &ConnectionLimits, max_message_bytes: usize) -> Self {
        let largest = u32::try_from(max_message_bytes).unwrap_or(u32::MAX);
        let durable = "durable messages a second (ops_per_s)";
        let durable_bytes = "bytes of durable messages a second (op_bytes_per_s)";
        let ephemeral = "cursors, presence changes and signals a second (ephemeral_per_s)";
        let ephemeral_bytes =
            "bytes of cursors, presence changes and signals a second (ephemeral_bytes_per_s)";
        Self {
            durable: Lane {
                messages: Rate::new(limits.ops_per_s, 0, durable),
                bytes: Rate::new(limits.op_bytes_per_s, largest, durable_bytes),
            },
            ephemeral: Lane {
                messages: Rate::new(limits.ephemeral_per_s, 0, ephemeral),
                bytes: Rate::new(limits.ephemeral_bytes_per_s, largest, ephemeral_bytes),
            },
            noticed: None,
        }
    }

    /// Takes one durable message of so many bytes.
    ///
    /// # Errors
    /// What it is over.
    pub fn durable(&self, bytes: usize) -> Result<(), Over> {
        self.durable.take(1, bytes)
    }

    /// Takes so many durable messages at once, which have so many bytes together.
    ///
    /// # Errors
    /// What they are over.
    pub fn batch(&self, count: usize, bytes: usize) -> Result<(), Over> {
        self.durable.take(count, bytes)
    }

    /// Takes one message of the ephemeral lane.
    ///
    /// # Errors
    /// What it is over: it is to be dropped.
    pub fn ephemeral(&self, bytes: usize) -> Result<(), Over> {
        self.ephemeral.take(1, bytes)
    }

    /// Whether the client is to be told now that something was dropped.
    pub fn notice_is_due(&mut self, now: Instant) -> bool {
        let due = self.noticed.is_none_or(|at| now >= at + NOTICE_INTERVAL);
        if due {
            self.noticed = Some(now);
        }
        due
    }
}

impl Lane {
    fn take(&self, count: usize, bytes: usize) -> Result<(), Over> {
        if let Some(messages) = &self.messages {
            // Who may send fewer in a second has to wait until the bucket is full.
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            messages.take(count.min(messages.per_s))?;
        }
        match &self.bytes {
            Some(rate) => rate.take(u32::try_from(bytes).unwrap_or(u32::MAX)),
            None => Ok(()),
        }
    }
}

impl Rate {
    /// As much a second as at once, but at least `burst` at once. `None` for 0.
    fn new(per_s: u32, burst: u32, what: &'static str) -> Option<Box<Self>> {
        let rate = NonZeroU32::new(per_s)?;
        let burst = NonZeroU32::new(burst).unwrap_or(rate);
        let quota = Quota::per_second(rate).allow_burst(rate.max(burst));
        Some(Box::new(Self {
            bucket: RateLimiter::direct_with_clock(quota, MonotonicClock),
            per_s,
            what,
        }))
    }

    /// Takes `n` if they are there, else says how long they take to come.
    fn take(&self, n: u32) -> Result<(), Over> {
        let wait = match NonZeroU32::new(n).map(|n| self.bucket.check_n(n)) {
            None | Some(Ok(Ok(()))) => return Ok(()),
            Some(Ok(Err(not_yet))) => not_yet.wait_time_from(MonotonicClock.now()),
            // More than the bucket holds, which the socket's own bound rules out: never.
            Some(Err(_)) => NOTICE_INTERVAL,
        };
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Err(Over {
            retry_after_ms: ms.saturating_add(1),
            message: format!("more than {} {}", self.per_s, self.what),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn limits(flags: &[&str]) -> ConnectionLimits {
        Config::from_flags(flags).unwrap().limits
    }

    #[test]
    fn zero_is_no_limit() {
        let limiter = Limiter::new(&limits(&[]), 1_000);
        for _ in 0..10_000 {
            assert_eq!(limiter.durable(1_000), Ok(()));
            assert_eq!(limiter.ephemeral(1_000), Ok(()));
        }
    }

    #[test]
    fn a_bucket_is_full_at_first_and_says_when_it_is_again() {
        let limiter = Limiter::new(&limits(&["--ops-per-s=2", "--ephemeral-per-s=3"]), 1_000);
        assert!(limiter.durable(1).is_ok() && limiter.durable(1).is_ok());
        let over = limiter.durable(1).unwrap_err();
        assert!((1..=501).contains(&over.retry_after_ms), "{over:?}");
        let hint = "more than 2 durable messages a second (ops_per_s)";
        assert_eq!(over.message, hint);
        let passed = (0..100).filter(|_| limiter.ephemeral(1).is_ok()).count();
        assert!((3..10).contains(&passed), "{passed}");
    }

    #[test]
    fn the_largest_message_fits_a_small_rate_of_bytes() {
        let flags = ["--op-bytes-per-s=10", "--ephemeral-bytes-per-s=10"];
        let limiter = Limiter::new(&limits(&flags), 1_000);
        for (take, flag) in [
            (Limiter::durable as fn(&_, _) -> _, "(op_bytes_per_s)"),
            (Limiter::ephemeral, "(ephemeral_bytes_per_s)"),
        ] {
            assert_eq!(take(&limiter, 1_000), Ok(()));
            let over = take(&limiter, 100).unwrap_err();
            assert!((9_000..=10_001).contains(&over.retry_after_ms), "{over:?}");
            assert!(over.message.ends_with(flag), "{over:?}");
        }
    }

    #[test]
    fn a_client_is_told_once_a_second() {
        let (mut limiter, now) = (Limiter::new(&limits(&[]), 1), Instant::now());
        assert!(limiter.notice_is_due(now) && !limiter.notice_is_due(now));
        assert!(limiter.notice_is_due(now + NOTICE_INTERVAL));
    }
}
