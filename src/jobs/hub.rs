//! The pops that wait for messages in this process. A commit of any process wakes them. While nothing is committed,
//! they cost nothing.
//!
//! Of the pops that wait for the same messages, one is woken at a time. It wakes the next one if it finds more than it
//! takes, or if it leaves without having looked. So a message wakes one consumer, not all.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::limits::JOB_FILTERS;

/// What is waited for, by the hashes of its names. Those who wait for any queue have the hash of their filter in the place
/// of the partition's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    /// `None`: any.
    pub(crate) queue: Option<u64>,
    pub(crate) group: u64,
    /// `None`: any.
    pub(crate) partition: Option<u64>,
}

/// Who waits, by what for, and when something becomes due.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Rings when the next due time may have come closer.
    alarm: Notify,
}

/// Those who wait for one queue, or for any, by group and partition.
type Kinds = HashMap<(u64, Option<u64>), VecDeque<Arc<Waiter>>>;

#[derive(Debug, Default)]
struct State {
    queues: HashMap<Option<u64>, Kinds>,
    due: BTreeMap<Option<u64>, i64>,
    count: usize,
}

#[derive(Debug, Default)]
struct Waiter {
    notify: Notify,
    /// It was woken, and has not looked since.
    woken: AtomicBool,
}

impl Waiter {
    fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.notify.notify_one();
    }
}

/// A place among those who wait. Whoever leaves it hands on a wake that it has not used.
#[derive(Debug)]
pub(crate) struct Ticket {
    hub: Arc<Hub>,
    wanted: Wanted,
    waiter: Arc<Waiter>,
    /// There is more than was taken.
    pub(crate) more: bool,
}

impl Hub {
    /// Takes a place. Before looking: what is committed after the look wakes.
    pub(crate) fn enter(self: &Arc<Self>, wanted: Wanted) -> Ticket {
        let waiter = Arc::<Waiter>::default();
        let mut state = self.state.lock();
        state.count += 1;
        let groups = state.queues.entry(wanted.queue).or_default();
        groups
            .entry((wanted.group, wanted.partition))
            .or_default()
            .push_back(waiter.clone());
        Ticket {
            hub: self.clone(),
            wanted,
            waiter,
            more: false,
        }
    }

    /// Whether one more may wait so. Each kind of wait for any queue looks at all queues whenever something is committed in one of them, so
    /// there are few kinds. Those of one kind take turns.
    pub(crate) fn may_wait(&self, wanted: &Wanted) -> bool {
        let state = self.state.lock();
        let any = wanted.queue.is_none();
        let Some(kinds) = state.queues.get(&None).filter(|_| any) else {
            return true;
        };
        kinds.len() < JOB_FILTERS || kinds.contains_key(&(wanted.group, wanted.partition))
    }

    /// Something has become, or will become at `at`, available in these queues.
    pub(crate) fn wake(&self, wakes: impl IntoIterator<Item = (u64, i64)>, now: i64) {
        let mut state = self.state.lock();
        if state.count == 0 {
            return;
        }
        let mut closer = false;
        for (queue, at) in wakes {
            for queue in [Some(queue), None] {
                if !state.queues.contains_key(&queue) {
                    continue;
                }
                if at <= now {
                    state.wake(queue);
                } else {
                    closer |= state.due_at(queue, at);
                }
            }
        }
        if closer {
            self.alarm.notify_one();
        }
    }

    /// One of each kind looks: a wake may have been lost.
    pub(crate) fn wake_all(&self) {
        let mut state = self.state.lock();
        let queues: Vec<_> = state.queues.keys().copied().collect();
        queues.into_iter().for_each(|queue| state.wake(queue));
    }

    /// Everybody looks: there is nothing to wait for any more.
    pub(crate) fn end(&self) {
        let state = self.state.lock();
        let waiters = state.queues.values().flat_map(HashMap::values).flatten();
        waiters.for_each(|waiter| waiter.wake());
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().count
    }

    /// Wakes those whose time has come; gives when the next one comes.
    pub(crate) fn tick(&self, now: i64) -> Option<i64> {
        let mut state = self.state.lock();
        let due: Vec<_> = state
            .due
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(queue, _)| *queue)
            .collect();
        for queue in due {
            state.due.remove(&queue);
            state.wake(queue);
        }
        state.due.values().min().copied()
    }

    /// Waits until the next due time may have changed.
    pub(crate) async fn changed(&self) {
        self.alarm.notified().await;
    }
}

impl State {
    /// One of each kind that waits for this queue.
    fn wake(&mut self, queue: Option<u64>) {
        for waiters in self
            .queues
            .get_mut(&queue)
            .into_iter()
            .flat_map(HashMap::values_mut)
        {
            wake_next(waiters);
        }
    }

    /// Whether this is the first to come for the queue.
    fn due_at(&mut self, queue: Option<u64>, at: i64) -> bool {
        let known = self.due.entry(queue).or_insert(i64::MAX);
        let closer = at < *known;
        *known = (*known).min(at);
        closer
    }
}

fn wake_next(waiters: &mut VecDeque<Arc<Waiter>>) {
    if let Some(waiter) = waiters.pop_front() {
        waiter.wake();
        waiters.push_back(waiter);
    }
}

impl Ticket {
    /// From now on a wake is one that was not there before the look.
    pub(crate) fn about_to_look(&self) {
        self.waiter.woken.store(false, Ordering::Release);
    }

    /// Waits to be woken.
    pub(crate) async fn woken(&self) {
        self.waiter.notify.notified().await;
    }

    /// Something will be there at that time.
    pub(crate) fn due_at(&self, at: i64) {
        let closer = self.hub.state.lock().due_at(self.wanted.queue, at);
        if closer {
            self.hub.alarm.notify_one();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let wanted = self.wanted;
        let mut state = self.hub.state.lock();
        state.count -= 1;
        let Some(groups) = state.queues.get_mut(&wanted.queue) else {
            return;
        };
        let key = (wanted.group, wanted.partition);
        if let Some(waiters) = groups.get_mut(&key) {
            waiters.retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
            if self.more || self.waiter.woken.load(Ordering::Acquire) {
                wake_next(waiters);
            }
            if waiters.is_empty() {
                groups.remove(&key);
            }
        }
        if groups.is_empty() {
            state.queues.remove(&wanted.queue);
            state.due.remove(&wanted.queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn wanted(group: u64) -> Wanted {
        Wanted {
            queue: Some(7),
            group,
            partition: None,
        }
    }

    fn is_woken(ticket: &Ticket) -> bool {
        ticket.woken().now_or_never().is_some()
    }

    #[test]
    fn those_who_wait_for_any_queue_wait_in_few_ways() {
        let hub = Arc::<Hub>::default();
        let any = |group| Wanted {
            queue: None,
            ..wanted(group)
        };
        let groups = 0..JOB_FILTERS as u64;
        let tickets: Vec<Ticket> = groups.map(|group| hub.enter(any(group))).collect();
        assert!(!hub.may_wait(&any(9_999)));
        assert!(hub.may_wait(&any(0)), "as somebody waits already");
        assert!(hub.may_wait(&wanted(9_999)), "for one queue");
        drop(tickets);
        assert!(hub.may_wait(&any(9_999)));
    }

    #[test]
    fn a_message_wakes_one_of_each_group_and_who_finds_more_wakes_the_next() {
        let hub = Arc::<Hub>::default();
        let (mut a, b, other) = (
            hub.enter(wanted(1)),
            hub.enter(wanted(1)),
            hub.enter(wanted(2)),
        );
        hub.wake([(7, 0)], 5);
        assert!(is_woken(&a) && is_woken(&other) && !is_woken(&b));
        a.about_to_look();
        a.more = true;
        drop(a);
        assert!(is_woken(&b));
    }

    #[test]
    fn who_leaves_without_having_looked_hands_the_wake_on() {
        let hub = Arc::<Hub>::default();
        let a = hub.enter(wanted(1));
        let b = hub.enter(wanted(1));
        hub.wake([(7, 0)], 5);
        drop(a);
        assert!(is_woken(&b));
        b.about_to_look();
        drop(b);
        assert_eq!(hub.len(), 0);
        assert!(hub.state.lock().queues.is_empty());
    }

    #[test]
    fn what_is_due_later_wakes_at_its_time_and_not_before() {
        let hub = Arc::<Hub>::default();
        let a = hub.enter(wanted(1));
        hub.wake([(7, 100), (8, 50)], 5);
        assert_eq!(hub.tick(99), Some(100));
        assert!(!is_woken(&a));
        assert_eq!(hub.tick(100), None);
        assert!(is_woken(&a));
        let any = hub.enter(Wanted {
            queue: None,
            ..wanted(1)
        });
        hub.wake([(8, 0)], 5);
        assert!(is_woken(&any));
    }
}
