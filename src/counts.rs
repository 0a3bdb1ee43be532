//! Counters of this process for `/metrics`: joins, ends of connections, refusals, bytes. The caller names each counter.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Clients that were let in.
pub static JOINS: Count = Count::new();
/// Tokens that were refused.
pub static AUTH_FAILURES: Count = Count::new();
/// Messages handed to members: one that ten hear counts ten times.
pub static DELIVERIES: Count = Count::new();
/// Logins at the dashboard that were refused.
pub static ADMIN_LOGIN_FAILURES: Count = Count::new();
/// Bytes that came over WebSockets, as the kernel gave them.
pub static BYTES_IN: Count = Count::new();
/// Bytes that went over WebSockets, as the kernel took them.
pub static BYTES_OUT: Count = Count::new();
/// Connections that ended, by the code of the close frame; without one by how.
pub static CLOSES: ByWord = ByWord::new();
/// `error` messages to clients, by their code.
pub static REFUSALS: ByWord = ByWord::new();

/// One number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number for each of a few words.
#[derive(Debug, Default)]
pub struct ByWord(Mutex<BTreeMap<&'static str, u64>>);

impl ByWord {
    const fn new() -> Self {
        Self(parking_lot::const_mutex(BTreeMap::new()))
    }

    /// One more of that.
    pub fn add(&self, word: &'static str) {
        *self.0.lock().entry(word).or_default() += 1;
    }

    /// All of them together.
    pub fn sum(&self) -> u64 {
        self.0.lock().values().sum()
    }

    /// All that there were.
    pub fn all(&self) -> Vec<(&'static str, u64)> {
        self.0.lock().iter().map(|(word, n)| (*word, *n)).collect()
    }
}
