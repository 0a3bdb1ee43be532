//! Collects the events of a canvas in memory for the hooks, while the rules run as always.

use std::sync::Arc;

use super::store::Logged;
use crate::backplane::{PresenceChange, PresenceEvent};
use crate::hooks::event::{EventType, data_of};
use crate::hooks::hook_event::{
    EVENT_BYTES, HookEvent, Missed, Named, Passage, object_id, user_of,
};
use crate::hooks::portion::Portion;
use crate::hooks::{Hooks, Include, Stored};
use crate::protocol::ids::Position;

/// Which hooks events are collected for.
#[derive(Debug, Clone)]
pub enum HookFilter {
    /// These.
    Some(Arc<Stored>),
    /// Which they are is not known yet: everything is kept, whole objects included.
    All,
}

impl HookFilter {
    fn hooks(&self) -> Option<&Hooks> {
        match self {
            Self::Some(stored) => Some(&stored.hooks),
            Self::All => None,
        }
    }

    fn is_wanted(&self, event: EventType) -> bool {
        self.hooks().is_none_or(|hooks| hooks.wants(event))
    }

    /// How many hooks hear of that event on that canvas, and how many of them want whole objects.
    fn wants(&self, canvas: &str, event: EventType) -> (usize, usize) {
        let Some(hooks) = self.hooks() else {
            return (1, 1);
        };
        let mut all = 0;
        let mut whole = 0;
        for hook in hooks.wanting(canvas, event) {
            all += 1;
            whole += usize::from(hook.include == Include::Object);
        }
        (all, whole)
    }
}

/// Messages that took their places, for hooks that wait until a canvas is quiet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The canvas, as it was called last.
    pub named: Named,
    /// The first and the last place.
    pub span: (u64, u64),
}

/// Collects a canvas's events.
#[derive(Debug)]
pub struct EventCollector {
    filter: HookFilter,
    canvas: Arc<str>,
    events: Vec<HookEvent>,
    portion: Portion,
    /// What is collected is pushed at once, for each hook.
    pushes: bool,
    changed: Option<Changed>,
}

impl EventCollector {
    /// Of that canvas.
    pub fn new(canvas: Arc<str>, filter: HookFilter) -> Self {
        Self {
            filter,
            canvas,
            events: Vec::new(),
            portion: Portion::default(),
            pushes: false,
            changed: None,
        }
    }

    /// What it collects is pushed at once, for each hook, and not copied once and pushed later.
    #[must_use]
    pub fn pushing(self) -> Self {
        Self {
            pushes: true,
            ..self
        }
    }

    /// Which hooks it collects for.
    pub fn filter(&self) -> &HookFilter {
        &self.filter
    }

    /// What was collected.
    pub fn collected(self) -> (Vec<HookEvent>, Option<Changed>) {
        (self.events, self.changed)
    }

    fn named(&self, at: Position) -> Named {
        Named {
            id: self.canvas.clone(),
            epoch: at.epoch.to_string().into(),
        }
    }

    /// A message took its place, which is the head now. `bytes` and `whole`: the object of that id, as it is.
    pub(super) fn logged(
        &mut self,
        head: Position,
        message: &Logged<'_>,
        bytes: impl FnOnce(&str) -> Option<usize>,
        whole: impl FnOnce(&str) -> Option<String>,
    ) {
        if self.filter.is_wanted(EventType::CanvasChanged) {
            let named = self.named(head);
            let first = self.changed.as_ref().map_or(head.seq, |it| it.span.0);
            let span = (first, head.seq);
            self.changed = Some(Changed { named, span });
        }
        let event = EventType::of(message.kind);
        let (all, objects) = self.wants(event);
        if all == 0 {
            return;
        }
        let author = message.author;
        let named = self.named(head);
        let mut told = HookEvent::of_message(named, event, message.seq, &author.client);
        let size = message.body.len() + author.user.len() + EVENT_BYTES;
        let hooks = if self.pushes { all } else { 1 };
        if self.portion.takes_event(size, hooks) {
            told.user = Some(user_of(&author.user, &author.subject));
            told.data = data_of(&message.body);
            told.missed = Missed::Nothing;
            let of_objects = matches!(event, EventType::ObjectCreated | EventType::ObjectUpdated);
            if objects > 0
                && of_objects
                && let Some(id) = object_id(&message.body)
            {
                let size = bytes(&id).unwrap_or_default();
                match self.portion.takes_object(size, objects) {
                    true => told.object = whole(&id),
                    false => told.missed = Missed::Object,
                }
            }
        }
        self.events.push(told);
    }

    /// The presence table changed, which has `here` clients now. `new`: nobody knew the client.
    pub(super) fn presence(
        &mut self,
        head: Position,
        event: &PresenceEvent,
        new: bool,
        here: usize,
    ) {
        let (client, user) = match &event.change {
            PresenceChange::Set(member) if new => (&member.client, Some(&*member.user)),
            PresenceChange::Set(_) => return,
            PresenceChange::Gone { client, .. } => (client, None),
        };
        let (one, all) = Passage::kinds(user.is_some());
        let (one_wanted, _) = self.wants(one);
        let (all_wanted, _) = self.wants(all);
        if one_wanted == 0 && all_wanted == 0 {
            return;
        }
        let passage = Passage {
            named: self.named(head),
            seq: head.seq,
            version: event.version,
            client: client.as_str(),
            joined: user,
            here: here as u64,
        };
        self.events
            .extend(passage.events(one_wanted > 0, all_wanted > 0));
    }

    /// The canvas is about to be deleted.
    pub(super) fn deleted(&mut self, head: Position) {
        if self.wants(EventType::CanvasDeleted).0 > 0 {
            let event = HookEvent::deleted(self.named(head), head.seq);
            self.events.push(event);
        }
    }

    fn wants(&self, event: EventType) -> (usize, usize) {
        match self.filter.is_wanted(event) {
            true => self.filter.wants(&self.canvas, event),
            false => (0, 0),
        }
    }
}
