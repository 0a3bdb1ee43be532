//! What the large bodies of requests hold while they come. There is a bound for all of them together. When it is
//! reached, the body that comes too slowly gives way to the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::limits::{BODIES_BYTES, BODY_BYTES_A_SECOND, SMALL_BODY_BYTES};

/// A body has to come at the pace of [`BODY_BYTES_A_SECOND`], looked at after so long.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// How long a body waits for room, and how often it looks.
const WAIT: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// What all of them hold.
#[derive(Debug)]
pub(super) struct Held {
    slow_after: Duration,
    wait: Duration,
    state: Mutex<State>,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            slow_after: SLOW_AFTER,
            wait: WAIT,
            state: Mutex::default(),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    bytes: usize,
    coming: HashMap<u64, Coming>,
}

#[derive(Debug)]
struct Coming {
    bytes: usize,
    /// When it was last seen to come fast enough; `None` once it is whole.
    moved: Option<Instant>,
    gives_way: Arc<Notify>,
}

impl State {
    fn remove(&mut self, id: u64) -> Option<Coming> {
        let coming = self.coming.remove(&id)?;
        self.bytes -= coming.bytes;
        Some(coming)
    }

    /// The one that has been too slow for longest.
    fn slowest(&self, but: u64, after: Duration) -> Option<u64> {
        let others = self.coming.iter().filter(|(id, _)| **id != but);
        let moved = others.filter_map(|(id, coming)| Some((coming.moved?, *id)));
        let (moved, id) = moved.min()?;
        (moved.elapsed() >= after).then_some(id)
    }
}

/// What one body holds. A small one counts as nothing. Given back when dropped.
#[derive(Debug)]
pub(super) struct Hold {
    held: Arc<Held>,
    id: u64,
    counts: bool,
    /// How long it was when it was last seen to move.
    seen: usize,
    gives_way: Arc<Notify>,
}

impl Held {
    pub(super) fn begin(self: &Arc<Self>) -> Hold {
        let mut state = self.state.lock();
        state.next += 1;
        Hold {
            held: self.clone(),
            id: state.next,
            counts: false,
            seen: 0,
            gives_way: Arc::default(),
        }
    }
}

impl Hold {
    /// Takes so many bytes in all. `false` if there was no room for them in time.
    pub(super) async fn grow(&mut self, to: usize) -> bool {
        if to <= SMALL_BODY_BYTES {
            return true;
        }
        let until = Instant::now() + self.held.wait;
        loop {
            match self.try_grow(to) {
                Some(grown) => return grown,
                None if Instant::now() >= until => return false,
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// `None`: there is no room now. `Some(false)`: it had to give way meanwhile.
    fn try_grow(&mut self, to: usize) -> Option<bool> {
        let state = &mut *self.held.state.lock();
        let own = state.coming.get(&self.id);
        if self.counts && own.is_none() {
            return Some(false);
        }
        let own = own.map_or(0, |own| own.bytes);
        while state.bytes - own + to > BODIES_BYTES {
            let slow = state.slowest(self.id, self.held.slow_after)?;
            let slow = state.remove(slow)?;
            slow.gives_way.notify_one();
        }
        self.counts = true;
        state.bytes = state.bytes - own + to;
        let coming = || Coming {
            bytes: 0,
            moved: Some(Instant::now()),
            gives_way: self.gives_way.clone(),
        };
        state.coming.entry(self.id).or_insert_with(coming).bytes = to;
        Some(true)
    }

    /// So many bytes have come.
    pub(super) fn come(&mut self, bytes: usize) {
        if self.counts && bytes - self.seen >= BODY_BYTES_A_SECOND {
            self.seen = bytes;
            self.moved(Some(Instant::now()));
        }
    }

    /// All of it has come.
    pub(super) fn is_whole(&mut self) {
        if self.counts {
            self.moved(None);
        }
    }

    fn moved(&mut self, moved: Option<Instant>) {
        if let Some(own) = self.held.state.lock().coming.get_mut(&self.id) {
            own.moved = moved;
        }
    }

    /// Comes when others need the room.
    pub(super) async fn gives_way(&self) {
        self.gives_way.notified().await;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.counts {
            self.held.state.lock().remove(self.id);
        }
    }
}

#[cfg(test)]
impl Held {
    /// In which one is slow at once, or never, and nobody waits for room.
    pub(super) fn for_tests(slow: bool) -> Arc<Self> {
        Arc::new(Self {
            slow_after: if slow { Duration::ZERO } else { Duration::MAX },
            wait: Duration::ZERO,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const LARGE: usize = BODIES_BYTES / 4;

    async fn holds(held: &Arc<Held>, bytes: usize) -> Option<Hold> {
        let mut hold = held.begin();
        hold.grow(bytes).await.then_some(hold)
    }

    #[tokio::test]
    async fn large_bodies_have_a_bound_together_and_small_ones_count_as_nothing() {
        for slow in [false, true] {
            let held = Held::for_tests(slow);
            let mut all = Vec::new();
            for _ in 0..4 {
                let mut hold = holds(&held, LARGE).await.unwrap();
                // Whole bodies are not slow: somebody is about to use them.
                hold.is_whole();
                all.push(hold);
            }
            assert!(holds(&held, SMALL_BODY_BYTES + 1).await.is_none());
            assert!(holds(&held, SMALL_BODY_BYTES).await.is_some());
            all.pop();
            assert!(holds(&held, LARGE).await.is_some());
            drop(all);
            assert_eq!(held.state.lock().bytes, 0);
        }
    }

    #[tokio::test]
    async fn without_room_the_slowest_gives_way_and_one_that_comes_stays() {
        let held = Held::for_tests(true);
        let mut fast = holds(&held, 2 * LARGE).await.unwrap();
        let mut slow = holds(&held, 2 * LARGE).await.unwrap();
        slow.come(BODY_BYTES_A_SECOND - 1);
        fast.come(BODY_BYTES_A_SECOND);
        let third = holds(&held, 2 * LARGE).await;
        assert!(third.is_some());
        assert!(slow.gives_way().now_or_never().is_some());
        assert!(fast.gives_way().now_or_never().is_none());
        assert!(!slow.grow(2 * LARGE).await, "it is out");
        drop(slow);
        assert_eq!(held.state.lock().bytes, 4 * LARGE);
    }
}
