//! The notifications to send after a transaction is committed.

use std::collections::BTreeMap;

use super::dispatch::Upto;

/// What happened, for counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) pushed: u64,
    pub(crate) duplicates: u64,
    pub(crate) delivered: u64,
    pub(crate) completed: u64,
    pub(crate) retried: u64,
    pub(crate) dead: u64,
    pub(crate) dropped: u64,
    /// How long messages waited for their first delivery, in milliseconds each; and how long they were worked on.
    pub(crate) waited_ms: Vec<i64>,
    pub(crate) worked_ms: Vec<i64>,
}

/// What is to be told once it is committed.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Queues (by the hash of their name) where something can be popped: from this time on, 0 is now.
    pub(crate) wakes: BTreeMap<u64, i64>,
    /// By queue.
    pub(crate) counts: BTreeMap<String, Counts>,
    /// How long messages waited for their first delivery, and how long they were worked on: `(queue, waited, milliseconds)`.
    pub(crate) times: Vec<(i64, bool, i64)>,
    /// How far canvases are told, for stores that keep that beside them.
    pub(crate) dispatched: Vec<Upto>,
    /// Another version of the hooks is followed from here on; 0: there is none that is on.
    pub(crate) hooks: Option<i64>,
}

impl Effects {
    /// And these, too.
    pub(crate) fn absorb(&mut self, before: Self) {
        for (name, at) in before.wakes {
            let first = self.wakes.entry(name).or_insert(at);
            *first = (*first).min(at);
        }
        for (name, counts) in before.counts {
            self.counts.entry(name).or_default().add(&counts);
        }
        self.times.extend(before.times);
        self.dispatched.splice(..0, before.dispatched);
        self.hooks = self.hooks.or(before.hooks);
    }
}

impl Counts {
    /// And these, too.
    pub(crate) fn add(&mut self, more: &Self) {
        self.pushed += more.pushed;
        self.duplicates += more.duplicates;
        self.delivered += more.delivered;
        self.completed += more.completed;
        self.retried += more.retried;
        self.dead += more.dead;
        self.dropped += more.dropped;
        self.waited_ms.extend(&more.waited_ms);
        self.worked_ms.extend(&more.worked_ms);
    }
}
