//! How much canvases take. The sums are added up at each request: there are few canvases.

use super::super::{Appended, Asks, Counting, Counts, Recount, Recounted, Reply, Taken, Totals};
use super::MemoryLog;
use super::state::{Canvas, State};
use crate::limits::{Logs, Quotas, TOMBSTONE};
use crate::protocol::ids::CanvasId;
use crate::time::millis;

/// Nobody else is told to empty a canvas for so long.
const EMPTYING_MS: i64 = 10_000;

/// What a canvas takes, and when it goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Takes {
    counts: Counts,
    /// Nobody has written to it.
    fresh: bool,
    pub(super) used_at_ms: i64,
    /// When it goes if nobody writes.
    pub(super) ends_at_ms: Option<i64>,
    pub(super) log_ends_ms: Option<i64>,
    /// Until then somebody else empties it.
    leased_until_ms: i64,
}

impl Takes {
    /// Of a canvas that is made.
    pub(super) fn new(now_ms: i64) -> Self {
        Self {
            fresh: true,
            used_at_ms: now_ms,
            ..Self::default()
        }
    }

    pub(super) fn charged(&self) -> (u64, u64) {
        (self.counts.charged, self.counts.grown)
    }

    /// A copy says what it is.
    pub(super) fn settle(&mut self, told: Counts) {
        let known = &mut self.counts;
        if told.n < known.n {
            return;
        }
        known.n = told.n;
        known.log = told.log + known.charged.saturating_sub(told.charged);
        known.stored = told.stored + known.grown.saturating_sub(told.grown);
    }

    /// Why it is not done; `None` if it is, and then it is charged.
    pub(super) fn ask(
        &mut self,
        asks: &Asks,
        (others, n): (Totals, u64),
        quotas: &Quotas,
        now_ms: i64,
    ) -> Option<Appended> {
        if let Some(told) = asks.counts {
            self.settle(told);
        }
        if asks
            .idle_at
            .is_some_and(|at| at != n || !self.is_idle(quotas, now_ms))
        {
            return Some(Appended::InUse);
        }
        let before = asks.charge - asks.last;
        let logs = Logs {
            canvas: self.counts.log + before,
            total: others.log + self.counts.log + before,
        };
        if asks.within_logs && asks.charge > 0 && quotas.full_log(logs, asks.last).is_some() {
            return Some(Appended::LogFull(Logs {
                canvas: self.counts.log,
                total: others.log + self.counts.log,
            }));
        }
        if let Some(max) = quotas.total_bytes.filter(|_| asks.within_total) {
            let kept = others.log + others.stored + self.counts.log + self.counts.stored;
            let left = max.cast_signed() - kept.cast_signed();
            if asks.growth > 0 && asks.growth.cast_signed() > left {
                return Some(Appended::Tight(left));
            }
        }
        let counts = &mut self.counts;
        counts.log += asks.charge;
        counts.charged += asks.charge;
        counts.stored += asks.growth;
        counts.grown += asks.growth;
        if asks.charge > 0 {
            self.fresh = false;
            self.ends_at_ms = None;
            self.log_ends_ms = None;
        }
        if asks.empties {
            self.ends_at_ms = Some(now_ms + millis(TOMBSTONE));
        }
        if asks.uses {
            self.used_at_ms = now_ms;
        }
        None
    }

    fn is_idle(&self, quotas: &Quotas, now_ms: i64) -> bool {
        let idle = |ttl| self.used_at_ms <= now_ms - millis(ttl);
        self.ends_at_ms.is_none() && quotas.idle_ttl.is_some_and(idle)
    }
}

impl Canvas {
    /// Whether it goes, now that nobody is there.
    fn is_over(&self, now_ms: i64) -> bool {
        let over = |at_ms: i64| at_ms <= now_ms;
        self.takes.fresh || self.takes.ends_at_ms.is_some_and(over)
    }
}

impl State {
    /// What all canvases but one take.
    pub(super) fn totals_without(&self, but: &str) -> Totals {
        let others = self.canvases.iter().filter(|(name, _)| *name != but);
        let mut totals = Totals::default();
        for (_, canvas) in others {
            totals.log += canvas.takes.counts.log;
            totals.stored += canvas.takes.counts.stored;
            totals.canvases += 1;
        }
        totals
    }
}

impl Counting for MemoryLog {
    fn totals(&self) -> Reply<'_, Totals> {
        self.ask(|world, _| world.state.totals_without(""))
    }

    fn names_after<'a>(&'a self, after: &'a str, limit: usize) -> Reply<'a, Vec<String>> {
        self.ask(move |world, _| {
            let names = world.state.canvases.keys();
            let names = names.filter(|name| name.as_str() > after);
            names.take(limit).cloned().collect()
        })
    }

    fn taken<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, Vec<Option<Taken>>> {
        self.ask(move |world, _| {
            let taken = canvases.iter().map(|id| {
                let canvas = world.state.canvases.get(id.as_str())?;
                Some(Taken {
                    epoch: canvas.epoch().to_owned(),
                    log: canvas.takes.counts.log,
                    stored: canvas.takes.counts.stored,
                    used_at_ms: canvas.takes.used_at_ms,
                })
            });
            taken.collect()
        })
    }

    fn end_due(&self) -> Reply<'_, Vec<String>> {
        self.ask(|world, now_ms| {
            let quotas = &self.me.quotas;
            let state = &world.state;
            let alone =
                |name: &&String| !state.is_held(name) && !state.leaving.contains_key(name.as_str());
            let alone: Vec<String> = state.canvases.keys().filter(alone).cloned().collect();
            let mut idle = Vec::new();
            for name in alone {
                let canvases = &mut world.state.canvases;
                let Some(canvas) = canvases.get_mut(&name) else {
                    continue;
                };
                if canvas.is_over(now_ms) {
                    canvases.remove(&name);
                    continue;
                }
                let ttl_ms = self.me.message_ttl_ms;
                if canvas.log_ends_ms(ttl_ms) <= now_ms {
                    canvas.takes.counts.log = 0;
                }
                let takes = &mut canvas.takes;
                if takes.is_idle(quotas, now_ms) && takes.leased_until_ms <= now_ms {
                    takes.leased_until_ms = now_ms + EMPTYING_MS;
                    idle.push(name);
                }
            }
            idle
        })
    }

    fn recount(&self, _at: Option<Recount>) -> Reply<'_, Recounted> {
        self.ask(|_, _| Recounted::Nothing)
    }
}
