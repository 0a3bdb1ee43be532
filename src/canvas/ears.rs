//! What a canvas in memory tells hooks: the rules run as always, and this listens.

use std::sync::Arc;

use super::store::Logged;
use crate::backplane::{PresenceChange, PresenceEvent};
use crate::hooks::event::{EventType, data_of};
use crate::hooks::told::{Named, Told, object_id, user_of};
use crate::hooks::{Hooks, Include, Stored};
use crate::protocol::ids::Position;

/// Which hooks are listened for.
#[derive(Debug, Clone)]
pub enum Heed {
    /// These.
    Some(Arc<Stored>),
    /// Which they are is not known yet: everything is kept, whole objects included.
    All,
}

impl Heed {
    fn hooks(&self) -> Option<&Hooks> {
        match self {
            Self::Some(stored) => Some(&stored.hooks),
            Self::All => None,
        }
    }

    fn hear(&self, event: EventType) -> bool {
        self.hooks().is_none_or(|hooks| hooks.hear(event))
    }

    /// Whether some hook hears of that event on that canvas, and whether one of them wants whole objects.
    fn wants(&self, canvas: &str, event: EventType) -> (bool, bool) {
        let Some(hooks) = self.hooks() else {
            return (true, true);
        };
        let (mut any, mut whole) = (false, false);
        for hook in hooks.wanting(canvas, event) {
            any = true;
            whole |= hook.include == Include::Object;
        }
        (any, whole)
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

/// Listens to a canvas.
#[derive(Debug)]
pub struct Ears {
    heed: Heed,
    canvas: Arc<str>,
    told: Vec<Told>,
    changed: Option<Changed>,
}

impl Ears {
    /// On that canvas.
    pub fn new(canvas: Arc<str>, heed: Heed) -> Self {
        Self {
            heed,
            canvas,
            told: Vec::new(),
            changed: None,
        }
    }

    /// Which hooks it listens for.
    pub fn heed(&self) -> &Heed {
        &self.heed
    }

    /// What was heard.
    pub fn heard(self) -> (Vec<Told>, Option<Changed>) {
        (self.told, self.changed)
    }

    fn named(&self, at: Position) -> Named {
        Named {
            id: self.canvas.clone(),
            epoch: at.epoch.to_string().into(),
        }
    }

    /// A message took its place, which is the head now. `whole`: the object of that id, as it is.
    pub(super) fn logged(
        &mut self,
        head: Position,
        message: &Logged<'_>,
        whole: impl FnOnce(&str) -> Option<String>,
    ) {
        if self.heed.hear(EventType::CanvasChanged) {
            let named = self.named(head);
            let first = self.changed.as_ref().map_or(head.seq, |it| it.span.0);
            let span = (first, head.seq);
            self.changed = Some(Changed { named, span });
        }
        let event = EventType::of(message.kind);
        let (any, objects) = self.wants(event);
        if !any {
            return;
        }
        let of_objects = matches!(event, EventType::ObjectCreated | EventType::ObjectUpdated);
        let id = match objects && of_objects {
            true => object_id(message.text),
            false => None,
        };
        let author = message.author;
        self.told.push(Told {
            named: self.named(head),
            event,
            seq: message.seq,
            version: 0,
            client: Some(author.client.as_str().to_owned()),
            user: Some(user_of(&author.user, &author.subject)),
            data: data_of(message.text),
            object: id.and_then(|id| whole(&id)),
        });
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
        let (one, all) = match user {
            Some(_) => (EventType::ClientJoined, EventType::CanvasOpened),
            None => (EventType::ClientLeft, EventType::CanvasIdle),
        };
        let ((one_wanted, _), (all_wanted, _)) = (self.wants(one), self.wants(all));
        if !one_wanted && !all_wanted {
            return;
        }
        let named = self.named(head);
        let version = event.version;
        let told = |event, client: Option<&str>, user: Option<&str>| Told {
            named: named.clone(),
            event,
            seq: head.seq,
            version,
            client: client.map(str::to_owned),
            user: user.map(str::to_owned),
            data: format!("{{\"clients\":{here}}}"),
            object: None,
        };
        let (opens, empties) = (user.is_some() && here == 1, user.is_none() && here == 0);
        if all_wanted && opens {
            self.told.push(told(all, None, None));
        }
        if one_wanted {
            self.told.push(told(one, Some(client.as_str()), user));
        }
        if all_wanted && empties {
            self.told.push(told(all, None, None));
        }
    }

    /// The canvas is about to be deleted.
    pub(super) fn deleted(&mut self, head: Position) {
        let event = EventType::CanvasDeleted;
        if self.wants(event).0 {
            self.told.push(Told {
                named: self.named(head),
                event,
                seq: head.seq,
                version: 0,
                client: None,
                user: None,
                data: "{}".to_owned(),
                object: None,
            });
        }
    }

    fn wants(&self, event: EventType) -> (bool, bool) {
        match self.heed.hear(event) {
            true => self.heed.wants(&self.canvas, event),
            false => (false, false),
        }
    }
}
