//! What time it is, and waiting for it to pass: the host's time, or that of a test.
//!
//! A test of whole relays plays hours in seconds, and repeats them from a seed. On its thread time stands still while
//! there is something to do. Then it jumps to the next moment that something waits for ([`Pretence`]). Everywhere else
//! this is the host's time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    /// The time that is pretended, if one is.
    static PRETENDED: Cell<Option<Instant>> = const { Cell::new(None) };
    static WAITING: RefCell<Waiting> = RefCell::default();
}

/// Who waits for which time.
#[derive(Default)]
struct Waiting {
    began: Option<Instant>,
    last: u64,
    wakers: BTreeMap<(Instant, u64), Waker>,
}

/// The wait was longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// The time.
pub fn now() -> Instant {
    PRETENDED.get().unwrap_or_else(Instant::now)
}

/// How long ago that was.
pub fn since(then: Instant) -> Duration {
    now().saturating_duration_since(then)
}

/// A duration in milliseconds.
pub fn millis(duration: Duration) -> i64 {
    // A sum of some of them is a number, too.
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

/// The host's wall clock, in milliseconds since the epoch.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    millis(since.unwrap_or_default())
}

/// How long the host has run, its sleep counted.
pub fn since_boot() -> Duration {
    if let Some(now) = PRETENDED.get() {
        let began = WAITING.with_borrow(|waiting| waiting.began);
        return now.saturating_duration_since(began.unwrap_or(now));
    }
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Waits for so long.
pub async fn sleep(duration: Duration) {
    match PRETENDED.get() {
        None => tokio::time::sleep(duration).await,
        Some(now) => Until::new(now + duration).await,
    }
}

/// Waits for that no longer than it may take.
///
/// # Errors
/// [`TooLong`].
pub async fn timeout<F: Future>(limit: Duration, wanted: F) -> Result<F::Output, TooLong> {
    use futures::future::{Either, select};
    let wanted = pin!(wanted);
    let Some(now) = PRETENDED.get() else {
        let waited = tokio::time::timeout(limit, wanted).await;
        return waited.map_err(|_| TooLong);
    };
    match select(wanted, Until::new(now + limit)).await {
        Either::Left((done, _)) => Ok(done),
        Either::Right(_) => Err(TooLong),
    }
}

/// Threads for what takes long: half of the cores, so that the others have theirs. Few threads leave an allocator few holes,
/// because each has an arena of its own.
static POOL: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let pool = Builder::new_current_thread()
        .max_blocking_threads((cores / 2).max(1))
        .thread_keep_alive(THREAD_KEPT)
        .thread_name("aside")
        .build();
    pool.ok()
});

/// How long such a thread waits for more.
const THREAD_KEPT: Duration = Duration::from_secs(3_600);

/// Does what takes long on another thread, in its turn. Where time is pretended it is done at once: it must not pass meanwhile.
///
/// # Errors
/// It panicked.
pub async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    match PRETENDED.get() {
        None => match POOL.as_ref() {
            Some(pool) => pool.spawn_blocking(work).await,
            None => tokio::task::spawn_blocking(work).await,
        },
        Some(_) => Ok(work()),
    }
}

/// Waits until it is pretended to be that time.
struct Until {
    at: Instant,
    number: u64,
}

impl Until {
    fn new(at: Instant) -> Self {
        let number = WAITING.with_borrow_mut(|waiting| {
            waiting.last += 1;
            waiting.last
        });
        Self { at, number }
    }
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if PRETENDED.get().is_none_or(|now| now >= self.at) {
            return Poll::Ready(());
        }
        WAITING.with_borrow_mut(|waiting| {
            let key = (self.at, self.number);
            waiting.wakers.insert(key, cx.waker().clone());
        });
        Poll::Pending
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        // Where the thread ends, nobody waits any more.
        let _ = WAITING.try_with(|waiting| {
            if let Ok(mut waiting) = waiting.try_borrow_mut() {
                waiting.wakers.remove(&(self.at, self.number));
            }
        });
    }
}

/// On this thread, time is pretended while this lives.
#[derive(Debug)]
pub struct Pretence(());

impl Pretence {
    /// Begins, at some time or other.
    #[must_use]
    pub fn begin() -> Self {
        let now = Instant::now();
        PRETENDED.set(Some(now));
        WAITING.with_borrow_mut(|waiting| {
            *waiting = Waiting {
                began: Some(now),
                ..Waiting::default()
            };
        });
        Self(())
    }

    /// Goes on to what is waited for next. To be called where the thread has nothing else to do, as from
    /// `tokio::runtime::Builder::on_thread_park`.
    pub fn go_on() {
        let next = WAITING.with_borrow_mut(|waiting| waiting.wakers.pop_first());
        if let Some(((at, _), waker)) = next {
            PRETENDED.set(PRETENDED.get().map(|now| now.max(at)));
            waker.wake();
        }
    }
}

impl Drop for Pretence {
    fn drop(&mut self) {
        PRETENDED.set(None);
        let left = WAITING.with_borrow_mut(std::mem::take);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(play: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().on_thread_park(Pretence::go_on).build();
        let runtime = runtime.expect("a runtime");
        let _pretence = Pretence::begin();
        runtime.block_on(play)
    }

    #[test]
    fn hours_pass_at_once_and_in_their_order() {
        let began = Instant::now();
        let order = run(async {
            let order = RefCell::new(Vec::new());
            let wait = async |name: &'static str, minutes: u64| {
                let (then, long) = (now(), Duration::from_secs(60 * minutes));
                sleep(long).await;
                assert_eq!(since(then), long);
                order.borrow_mut().push(name);
            };
            tokio::join!(wait("c", 90), wait("a", 1), wait("b", 60));
            assert_eq!(since_boot(), Duration::from_secs(90 * 60));
            order.into_inner()
        });
        assert_eq!(order, ["a", "b", "c"]);
        assert!(began.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_wait_that_is_too_long_is_given_up() {
        let second = Duration::from_secs(1);
        run(async {
            assert_eq!(timeout(second, sleep(2 * second)).await, Err(TooLong));
            assert_eq!(timeout(2 * second, sleep(second)).await, Ok(()));
            assert_eq!(timeout(second, async { 7 }).await, Ok(7));
        });
    }

    #[tokio::test]
    async fn without_a_test_it_is_the_hosts() {
        let (then, boot) = (Instant::now(), since_boot());
        let little = Duration::from_millis(5);
        sleep(little).await;
        assert!(then.elapsed() >= little && since(then) >= little);
        assert!(since_boot() >= boot + little);
        assert_eq!(
            timeout(little, std::future::pending::<()>()).await,
            Err(TooLong)
        );
    }
}
