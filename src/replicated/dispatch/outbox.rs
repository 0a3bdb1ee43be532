//! The events of one canvas's batches that hooks were not told yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::Dispatcher;
use crate::canvas::{CanvasState, Changed, EventCollector};
use crate::jobs::dispatch::{Happening, Missed};
use crate::log::LoggedBatch;
use crate::time;

/// Bytes that may wait of all canvases: beyond, a canvas's events are told as a gap.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// The same of one canvas.
const MOST_OF_ONE: usize = 8 * 1024 * 1024;
/// Events of one commit, and their bytes but for the first: others commit in between.
const AT_ONCE: usize = 256;
const AT_ONCE_BYTES: usize = 512 * 1024;

/// What one batch did.
pub(in crate::replicated) struct Happened {
    n: u64,
    /// The version of the hooks that hear of it.
    hooks: u64,
    bytes: usize,
    what: Arc<Happening>,
}

/// What is to be told next.
pub(super) struct Next {
    pub(super) from: u64,
    pub(super) upto: u64,
    /// Each with the version of its hooks.
    pub(super) parts: Vec<(u64, Arc<Happening>)>,
}

/// See the module's head.
pub(in crate::replicated) struct Outbox {
    canvas: Arc<str>,
    /// The batch up to which hooks were told, as far as is known.
    dispatched: u64,
    waiting: VecDeque<Happened>,
    bytes: usize,
    /// Since when the oldest of them waits, if there is one.
    since: Instant,
    /// They are on their way.
    pub(super) under_way: bool,
}

impl Outbox {
    pub(in crate::replicated) fn new(canvas: &str) -> Self {
        Self {
            canvas: canvas.into(),
            dispatched: 0,
            waiting: VecDeque::new(),
            bytes: 0,
            since: time::now(),
            under_way: false,
        }
    }

    /// Has the state hear what a batch does that is about to be run, if that is to be told.
    pub(in crate::replicated) fn listen(
        &self,
        kept: &LoggedBatch,
        state: &mut CanvasState,
        dispatcher: &Dispatcher,
    ) {
        if kept.hooks > 0 && kept.n > self.dispatched {
            let filter = dispatcher.filter(kept.hooks);
            state.listen(EventCollector::new(self.canvas.clone(), filter));
        }
    }

    /// It was run. Where too much waits, the canvas's events become a gap.
    pub(in crate::replicated) fn add(&mut self, happened: Happened, dispatcher: &Dispatcher) {
        dispatcher.add_bytes(happened.bytes);
        self.push(happened);
        let all = dispatcher.bytes.load(std::sync::atomic::Ordering::Relaxed);
        if (self.bytes > MOST_OF_ONE || all > MOST_BYTES) && !self.under_way {
            dispatcher.take_bytes(self.bytes);
            self.collapse();
            dispatcher.add_bytes(self.bytes);
        }
    }

    fn push(&mut self, happened: Happened) {
        if self.waiting.is_empty() {
            self.since = time::now();
        }
        self.bytes += happened.bytes;
        self.waiting.push_back(happened);
    }

    /// One gap in the place of all that waits.
    fn collapse(&mut self) {
        let mut one: Option<Happened> = None;
        for next in self.waiting.drain(..) {
            let before = one.as_ref().map(|one| &*one.what);
            let what = Arc::new(in_one(before, &next.what));
            one = Some(Happened {
                bytes: what.size(),
                what,
                ..next
            });
        }
        self.bytes = one.as_ref().map_or(0, |one| one.bytes);
        self.waiting.extend(one);
    }

    /// Hooks were told up to that batch. Gives the bytes that this frees.
    pub(in crate::replicated) fn dispatched_upto(&mut self, upto: u64) -> usize {
        self.dispatched = self.dispatched.max(upto);
        let before = self.bytes;
        while let Some(first) = self.waiting.front()
            && first.n <= upto
        {
            self.bytes -= first.bytes;
            self.waiting.pop_front();
        }
        if before > self.bytes {
            self.since = time::now();
        }
        before - self.bytes
    }

    /// What is kept says how far they were told, and what waits after that. Of what waited before, that is kept which was up to `saved`:
    /// nobody can find it out again.
    pub(in crate::replicated) fn restart(
        &mut self,
        (dispatched, saved): (u64, u64),
        since: Vec<Happened>,
        dispatcher: &Dispatcher,
    ) {
        dispatcher.take_bytes(self.bytes);
        self.bytes = 0;
        let mut before = std::mem::take(&mut self.waiting);
        before.retain(|happened| happened.n <= saved && happened.n > dispatched);
        self.dispatched = dispatched;
        for happened in before.into_iter().chain(since) {
            self.push(happened);
        }
        dispatcher.add_bytes(self.bytes);
    }

    /// The engine lost how far they were told: those are what happened after that, up to where the canvas was read.
    pub(super) fn recall(
        &mut self,
        (dispatched, read): (u64, u64),
        since: Vec<Happened>,
        dispatcher: &Dispatcher,
    ) {
        dispatcher.take_bytes(self.bytes);
        self.bytes = 0;
        let mut after = std::mem::take(&mut self.waiting);
        after.retain(|happened| happened.n > read);
        self.dispatched = dispatched;
        for happened in since.into_iter().chain(after) {
            self.push(happened);
        }
        dispatcher.add_bytes(self.bytes);
    }

    pub(super) fn canvas(&self) -> Arc<str> {
        self.canvas.clone()
    }

    pub(super) fn dispatched(&self) -> u64 {
        self.dispatched
    }

    /// Whether hooks were told of everything up to that batch.
    pub(in crate::replicated) fn is_dispatched(&self, n: u64) -> bool {
        self.waiting.front().is_none_or(|first| first.n > n)
    }

    /// Since when something waits.
    pub(in crate::replicated) fn since(&self) -> Option<Instant> {
        // A canvas of which nothing waits, and that counted as one that does, would be told for ever, all at once.
        (!self.waiting.is_empty()).then_some(self.since)
    }

    /// What is to be told next; `here`: the last batch that was run.
    pub(super) fn next(&self, here: u64) -> Option<Next> {
        let mut parts = Vec::new();
        let mut events = 0;
        let mut bytes = 0;
        let mut upto = self.waiting.front()?.n;
        let mut all = true;
        for happened in &self.waiting {
            events += happened.what.events.len();
            bytes += happened.bytes;
            if !parts.is_empty() && (events > AT_ONCE || bytes > AT_ONCE_BYTES) {
                all = false;
                break;
            }
            upto = happened.n;
            parts.push((happened.hooks, happened.what.clone()));
        }
        Some(Next {
            from: self.dispatched,
            // Batches that did nothing are told, too.
            upto: if all { upto.max(here) } else { upto },
            parts,
        })
    }
}

/// What the state collected of a batch; `None` if that is nothing.
pub(in crate::replicated) fn collected(
    state: &mut CanvasState,
    n: u64,
    at_ms: i64,
    hooks: u64,
) -> Option<Happened> {
    let (events, changed) = state.take_collector()?.collected();
    if events.is_empty() && changed.is_none() {
        return None;
    }
    let what = Happening {
        at_ms,
        events,
        changed: changed.map(|Changed { named, span }| (named, span)),
        gap: None,
    };
    Some(Happened {
        n,
        hooks,
        bytes: what.size(),
        what: Arc::new(what),
    })
}

/// Two moments as one gap.
fn in_one(before: Option<&Happening>, after: &Happening) -> Happening {
    let mut gap: Option<Missed> = before.and_then(|before| before.gap.clone());
    let mut miss = |missed: Missed| {
        gap = Some(match gap.take() {
            None => missed,
            Some(gap) => Missed {
                span: (gap.span.0.min(missed.span.0), gap.span.1.max(missed.span.1)),
                count: gap.count + missed.count,
                ..missed
            },
        });
    };
    let told = before.into_iter().flat_map(|before| &before.events);
    for told in told.chain(&after.events) {
        miss(Missed {
            named: told.named.clone(),
            span: (told.seq, told.seq),
            count: 1,
        });
    }
    after.gap.iter().cloned().for_each(&mut miss);
    let first = before.and_then(|before| before.changed.as_ref());
    let changed = match (first, &after.changed) {
        (Some((_, first)), Some((named, last))) => Some((named.clone(), (first.0, last.1))),
        (first, last) => last.clone().or_else(|| first.cloned()),
    };
    Happening {
        at_ms: after.at_ms,
        events: Vec::new(),
        changed,
        gap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(n: u64) -> Happened {
        Happened {
            n,
            hooks: 1,
            bytes: 1,
            what: Arc::new(Happening {
                at_ms: 0,
                events: Vec::new(),
                changed: None,
                gap: None,
            }),
        }
    }

    /// A canvas that counts as one with something to tell, and has nothing, is told for ever, and the process does nothing else.
    #[test]
    fn where_nothing_waits_nothing_is_dispatched() {
        let dispatcher = Dispatcher::default();
        let mut outbox = Outbox::new("board");
        assert!(outbox.since().is_none());
        outbox.add(happened(1), &dispatcher);
        outbox.add(happened(2), &dispatcher);
        assert!(outbox.since().is_some());
        outbox.recall((1, 2), Vec::new(), &dispatcher);
        assert!(
            outbox.since().is_none(),
            "what was read has nothing to tell"
        );
        outbox.add(happened(3), &dispatcher);
        outbox.restart((3, 3), Vec::new(), &dispatcher);
        assert!(outbox.since().is_none(), "it is told");
        outbox.add(happened(4), &dispatcher);
        outbox.dispatched_upto(4);
        assert!(outbox.since().is_none() && outbox.next(4).is_none());
    }
}
