//! Tells hooks of a canvas's events under the canvas's lock. So a message and its events are both there, or the process
//! is gone.

use std::sync::Arc;

use super::{Live, MemoryBackplane, Relay};
use crate::canvas::{Changed, EventCollector, HookFilter};
use crate::jobs::dispatch::follower::Follower;
use crate::jobs::dispatch::{Dispatch, Happening, Part};

impl MemoryBackplane {
    /// From here on those hooks are told.
    pub(crate) fn dispatch_to(&self, hooks: Arc<Follower>) {
        self.relay.hooks.get_or_init(|| hooks);
    }
}

impl Live {
    /// What happens from here on is heard, if there are hooks.
    pub(super) fn listen(&mut self, relay: &Relay) {
        let Some(hooks) = relay.hooks.get() else {
            return;
        };
        let stored = hooks.current();
        if !stored.hooks.is_empty() {
            let filter = HookFilter::Some(stored);
            self.state
                .listen(EventCollector::new(self.id.clone(), filter).pushing());
        }
    }

    /// Hooks are told what was heard.
    pub(super) fn dispatch(&mut self, relay: &Relay, now_ms: i64) {
        let (Some(collector), Some(hooks)) = (self.state.take_collector(), relay.hooks.get())
        else {
            return;
        };
        let HookFilter::Some(stored) = collector.filter().clone() else {
            return;
        };
        let (events, changed) = collector.collected();
        if events.is_empty() && changed.is_none() {
            return;
        }
        let what = Happening {
            at_ms: now_ms,
            events,
            changed: changed.map(|Changed { named, span }| (named, span)),
            gap: None,
        };
        let part = Part {
            hooks: stored,
            what: Arc::new(what),
        };
        hooks.dispatch_now(Dispatch {
            canvas: self.id.clone(),
            from: 0,
            upto: 0,
            parts: vec![part],
        });
    }
}
