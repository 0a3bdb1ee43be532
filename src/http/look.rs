//! Shared reads. Requests for the same numbers at the same time share one read. Nobody gets numbers that were read
//! before it asked.

use std::time::Instant;

use tokio::sync::Mutex;

/// The last look at something, and when it began.
#[derive(Debug)]
pub struct Look<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Look<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Look<T> {
    /// What is read now, by this one or by another who asked meanwhile. One reads at a time; those who come meanwhile share the next look.
    pub(super) async fn share(&self, read: impl AsyncFnOnce() -> T) -> T {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((began, value)) = &*last
            && *began >= asked
        {
            return value.clone();
        }
        let began = Instant::now();
        let value = read().await;
        *last = Some((began, value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::{join, join_all};
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_a_time_share_a_look_that_began_after_they_asked() {
        let (look, reads, gate) = (Look::default(), AtomicUsize::new(0), Semaphore::new(0));
        let read = async || {
            let number = reads.fetch_add(1, Ordering::Relaxed);
            gate.acquire().await.unwrap().forget();
            number
        };
        let ask = async || look.share(read).await;
        let first = ask();
        let others = async {
            // The first look is under way.
            while reads.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            let asking = join_all((0..100).map(|_| ask()));
            let opening = async {
                tokio::task::yield_now().await;
                gate.add_permits(2);
            };
            join(asking, opening).await.0
        };
        let (first, others) = join(first, others).await;
        assert_eq!(first, 0, "it does not wait for the others");
        assert!(others.iter().all(|number| *number == 1), "{others:?}");
        assert_eq!(reads.load(Ordering::Relaxed), 2);
        gate.add_permits(1);
        assert_eq!(ask().await, 2, "whoever comes later is told of later");
    }
}
