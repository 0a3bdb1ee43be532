//! Events as their receivers read them, and the queue messages that they become. Pure.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::{EventType, GAP};
use super::{Hook, Include, Target};
use crate::limits::HOOK_BATCH_BYTES;
use crate::protocol::ids::ClientId;

/// A canvas's name and epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub id: Arc<str>,
    /// Its epoch at that moment.
    pub epoch: Arc<str>,
}

/// Something that happened, and that some hook wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookEvent {
    /// The canvas as it was called then: its epoch may change within a transaction.
    pub named: Named,
    /// What it is.
    pub event: EventType,
    /// The head of the canvas when it happened; of a durable message its own place.
    pub seq: u64,
    /// Tells events without a place of their own apart: the canvas's presence version.
    pub version: u64,
    /// Who did it.
    pub client: Option<String>,
    /// Name and colour, and the subject of a token, in JSON.
    pub user: Option<String>,
    /// What the author said, or what there is to say of it, in JSON.
    pub data: String,
    /// The whole object after the change, in JSON, if some hook wants that.
    pub object: Option<String>,
    /// What of it there was no room for.
    pub missed: Missed,
}

/// What an event has beside what its author said, about.
pub const EVENT_BYTES: usize = 256;

/// A client came for the first time, or is gone. With that its canvas may be opened, or idle.
#[derive(Debug)]
pub struct Passage<'a> {
    /// The canvas.
    pub named: Named,
    /// Its head.
    pub seq: u64,
    /// Its presence version.
    pub version: u64,
    /// The client.
    pub client: &'a str,
    /// Name and colour, in JSON, of one that came.
    pub joined: Option<&'a str>,
    /// How many clients are on the canvas now.
    pub here: u64,
}

impl Passage<'_> {
    /// What it is of the client, and what it may be of the canvas.
    pub fn kinds(joined: bool) -> (EventType, EventType) {
        match joined {
            true => (EventType::ClientJoined, EventType::CanvasOpened),
            false => (EventType::ClientLeft, EventType::CanvasIdle),
        }
    }

    /// The events in their order, as far as they are wanted: a canvas is opened before its client has joined, and idle
    /// after it has left.
    pub fn events(self, of_client: bool, of_canvas: bool) -> impl Iterator<Item = HookEvent> {
        let joined = self.joined.is_some();
        let (client, canvas) = Self::kinds(joined);
        let event = |event| HookEvent {
            version: self.version,
            data: format!("{{\"clients\":{}}}", self.here),
            missed: Missed::Nothing,
            ..HookEvent::new(self.named.clone(), event, self.seq)
        };
        let opens = of_canvas && joined && self.here == 1;
        let empties = of_canvas && !joined && self.here == 0;
        let opened = opens.then(|| event(canvas));
        let passed = of_client.then(|| HookEvent {
            client: Some(self.client.to_owned()),
            user: self.joined.map(str::to_owned),
            ..event(client)
        });
        let emptied = empties.then(|| event(canvas));
        opened.into_iter().chain(passed).chain(emptied)
    }
}

/// What of an event is not told, because its message has made too many bytes already: see [`super::portion`].
/// Files have its number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missed {
    /// All is told.
    #[default]
    Nothing,
    /// The whole object: hooks that want it are told of a gap.
    Object,
    /// All of it: each hook is told of a gap.
    Event,
}

impl HookEvent {
    /// An event of which nothing is told but that it happened.
    pub fn new(named: Named, event: EventType, seq: u64) -> Self {
        Self {
            named,
            event,
            seq,
            version: 0,
            client: None,
            user: None,
            data: String::new(),
            object: None,
            missed: Missed::Event,
        }
    }

    /// A message that took that place, of which nothing is told yet.
    pub fn of_message(named: Named, event: EventType, seq: u64, client: &ClientId) -> Self {
        Self {
            client: Some(client.as_str().to_owned()),
            ..Self::new(named, event, seq)
        }
    }

    /// The canvas was deleted.
    pub fn deleted(named: Named, seq: u64) -> Self {
        Self {
            data: "{}".to_owned(),
            missed: Missed::Nothing,
            ..Self::new(named, EventType::CanvasDeleted, seq)
        }
    }

    /// The event's name: the same for all hooks, and whenever it is told.
    pub fn id(&self) -> String {
        let Named { epoch, .. } = &self.named;
        let seq = self.seq;
        let version = self.version;
        match self.client {
            Some(_) if version == 0 => format!("{epoch}-{seq}"),
            _ => format!("{epoch}-{seq}-{version}-{}", self.event.as_str()),
        }
    }

    /// Whether that hook is told of a gap in its place.
    pub fn is_missed_by(&self, hook: &Hook) -> bool {
        match self.missed {
            Missed::Nothing => false,
            Missed::Object => hook.include == Include::Object,
            Missed::Event => true,
        }
    }

    /// The event as that hook's receiver reads it.
    pub fn text(&self, hook: &Hook, at_ms: i64) -> String {
        let id = self.id();
        let event = self.event.as_str();
        let seq = self.seq;
        let Named { id: canvas, epoch } = &self.named;
        let mut text = format!(
            "{{\"id\":\"{id}\",\"type\":\"{event}\",\"canvas\":\"{canvas}\",\"epoch\":\"{epoch}\",\"seq\":{seq},\"at\":{at_ms}"
        );
        if let Some(client) = &self.client {
            text.push_str(&format!(",\"client\":\"{client}\""));
        }
        if let Some(user) = &self.user {
            text.push_str(&format!(",\"user\":{user}"));
        }
        let object = self.object.as_ref();
        match object.filter(|_| hook.include == Include::Object) {
            Some(object) => text.push_str(&format!(",\"data\":{{\"object\":{object}}}}}")),
            None => text.push_str(&format!(",\"data\":{}}}", self.data)),
        }
        text
    }

    /// The bytes that it takes while it waits.
    pub fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        EVENT_BYTES + self.data.len() + text(&self.user) + text(&self.object)
    }
}

/// An event about a run of messages, from one `seq` to another.
#[derive(Debug, Clone)]
pub struct Span {
    /// `canvas.changed` or `canvas.gap`.
    pub event: &'static str,
    /// Its name.
    pub id: String,
    /// The first message.
    pub from: u64,
    /// The last one.
    pub to: u64,
}

impl Span {
    /// What stands for events that had no room.
    pub fn gap(epoch: &str, (from, to): (u64, u64)) -> Self {
        Self {
            event: GAP,
            id: format!("{epoch}-gap-{from}-{to}"),
            from,
            to,
        }
    }

    /// A canvas that changed, and became quiet.
    pub fn changed(hook: &Hook, epoch: &str, (from, to): (u64, u64)) -> Self {
        let event = EventType::CanvasChanged.as_str();
        Self {
            event,
            id: format!("{epoch}-{event}-{}-{from}-{to}", hook.name),
            from,
            to,
        }
    }

    /// The event as its receiver reads it.
    pub fn text(&self, canvas: &str, epoch: &str, at_ms: i64) -> String {
        let Self {
            event,
            id,
            from,
            to,
        } = self;
        format!(
            "{{\"id\":\"{id}\",\"type\":\"{event}\",\"canvas\":\"{canvas}\",\"epoch\":\"{epoch}\",\"seq\":{to},\"at\":{at_ms},\
             \"data\":{{\"from_seq\":{from},\"to_seq\":{to}}}}}"
        )
    }
}

/// Events of one canvas that became one message of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The canvas, as it was called by its first event.
    pub named: Named,
    /// The first event's name.
    pub id: String,
    /// One event, or a batch of them.
    pub payload: String,
    /// How many events that are.
    pub count: u64,
    /// The places of the first and the last.
    pub span: (u64, u64),
}

/// Puts one hook's events of one canvas together, as many as one message may have.
#[derive(Debug)]
pub struct Packer {
    most: usize,
    first: Option<(Named, String, u64)>,
    texts: Vec<String>,
    bytes: usize,
    last_seq: u64,
}

impl Packer {
    /// For that hook.
    pub fn new(hook: &Hook) -> Self {
        Self {
            // The deliveries of a webhook are put together when they are made.
            most: match hook.target {
                Target::Queue(_) => hook.batch as usize,
                Target::Webhook(_) => 1,
            },
            first: None,
            texts: Vec::new(),
            bytes: 0,
            last_seq: 0,
        }
    }

    /// One event more. Gives the message before it, if that is full.
    pub fn add(&mut self, told: &HookEvent, text: String) -> Option<Message> {
        let full = self.texts.len() >= self.most || self.bytes + text.len() > HOOK_BATCH_BYTES;
        let before = if full { self.end() } else { None };
        let first = || (told.named.clone(), told.id(), told.seq);
        self.first.get_or_insert_with(first);
        self.last_seq = told.seq;
        self.bytes += text.len();
        self.texts.push(text);
        before
    }

    /// What there is, if there is something. It is empty afterwards.
    pub fn end(&mut self) -> Option<Message> {
        let (named, id, first_seq) = self.first.take()?;
        let texts = std::mem::take(&mut self.texts);
        self.bytes = 0;
        let count = texts.len() as u64;
        let payload = match <[String; 1]>::try_from(texts) {
            Ok([one]) => one,
            Err(several) => format!("{{\"type\":\"batch\",\"events\":[{}]}}", several.join(",")),
        };
        Some(Message {
            named,
            id,
            payload,
            count,
            span: (first_seq, self.last_seq),
        })
    }
}

/// What a message says of its author, and whose token it was.
pub fn user_of(user: &str, subject: &str) -> String {
    // No token has a control character there: that is the relay's own word for those who use its API.
    if subject.is_empty() || subject.starts_with(char::is_control) {
        return user.to_owned();
    }
    let subject = serde_json::Value::from(subject);
    let fields = user.trim_start_matches('{');
    let comma = if fields.starts_with('}') { "" } else { "," };
    format!("{{\"sub\":{subject}{comma}{fields}")
}

/// The id of the object that a message is about.
pub fn object_id(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let id = value.get("object").unwrap_or(&value).get("id")?;
    id.as_str().map(str::to_owned)
}

impl Hook {
    /// Whether a backlog of so many messages and bytes has room for one more.
    pub fn fits(&self, (messages, bytes): (u64, u64)) -> bool {
        messages < self.backlog && bytes < self.backlog_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_whose_token_it_was_if_there_was_one() {
        for (user, subject, said) in [
            (r#"{"name":"Ada"}"#, "", r#"{"name":"Ada"}"#),
            (r#"{"name":"Ada"}"#, "u1", r#"{"sub":"u1","name":"Ada"}"#),
            ("{}", "u\"1", r#"{"sub":"u\"1"}"#),
            ("{}", "\u{1f}server-api", "{}"),
        ] {
            assert_eq!(user_of(user, subject), said);
        }
    }
}
