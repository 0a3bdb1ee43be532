//! Tells hooks of a canvas's events under the canvas's lock. So a message and its events are both there, or the process
//! is gone.

use std::sync::Arc;

use super::{Live, MemoryBackplane, Relay};
use crate::canvas::{Changed, EventCollector, HookFilter};
use crate::jobs::telling::follower::Follower;
use crate::jobs::telling::{Happening, Part, Tell};

impl MemoryBackplane {
    /// From here on those hooks are told.
    pub(crate) fn tell_hooks(&self, hooks: Arc<Follower>) {
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
    pub(super) fn tell(&mut self, relay: &Relay, now_ms: i64) {
        let (Some(collector), Some(hooks)) = (self.state.heard(), relay.hooks.get()) else {
            return;
        };
        let HookFilter::Some(stored) = collector.filter().clone() else {
            return;
        };
        let (told, changed) = collector.collected();
        if told.is_empty() && changed.is_none() {
            return;
        }
        let what = Happening {
            at_ms: now_ms,
            told,
            changed: changed.map(|Changed { named, span }| (named, span)),
            gap: None,
        };
        let part = Part {
            hooks: stored,
            what: Arc::new(what),
        };
        hooks.tell_now(Tell {
            canvas: self.id.clone(),
            from: 0,
            upto: 0,
            parts: vec![part],
        });
    }
}
