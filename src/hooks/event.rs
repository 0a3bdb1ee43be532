//! The events that a hook can get, and their names.

use serde::{Deserialize, Serialize};

use crate::protocol::client_message::Kind;

/// What happened on a canvas. Files have its number: another one goes to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventType {
    /// An object was created, or replaced.
    ObjectCreated,
    /// An object was updated.
    ObjectUpdated,
    /// An object was deleted.
    ObjectDeleted,
    /// Somebody said something.
    ChatSent,
    /// An event of the application's own.
    Broadcast,
    /// An entry was appended to an object's log.
    LogAppended,
    /// An object's log was compacted.
    LogCompacted,
    /// The canvas was changed, and then nothing happened for a while.
    CanvasChanged,
    /// The first client came.
    CanvasOpened,
    /// The last client is gone, and its grace over.
    CanvasIdle,
    /// The canvas was deleted through the API.
    CanvasDeleted,
    /// A client came.
    ClientJoined,
    /// A client is gone.
    ClientLeft,
}

/// Each type and its name.
const NAMES: [(EventType, &str); 13] = [
    (EventType::ObjectCreated, "object.created"),
    (EventType::ObjectUpdated, "object.updated"),
    (EventType::ObjectDeleted, "object.deleted"),
    (EventType::ChatSent, "chat.sent"),
    (EventType::Broadcast, "broadcast"),
    (EventType::LogAppended, "log.appended"),
    (EventType::LogCompacted, "log.compacted"),
    (EventType::CanvasChanged, "canvas.changed"),
    (EventType::CanvasOpened, "canvas.opened"),
    (EventType::CanvasIdle, "canvas.idle"),
    (EventType::CanvasDeleted, "canvas.deleted"),
    (EventType::ClientJoined, "client.joined"),
    (EventType::ClientLeft, "client.left"),
];

/// What stands for events that had no room in a hook's backlog. Every hook is told it; none has to ask for it.
pub const GAP: &str = "canvas.gap";

impl EventType {
    /// Its name in files and in events.
    pub fn as_str(self) -> &'static str {
        let named = NAMES.iter().find(|(event, _)| *event == self);
        named.map_or("", |(_, name)| name)
    }

    /// What a durable message is told as.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::ObjectCreate => Self::ObjectCreated,
            Kind::ObjectUpdate => Self::ObjectUpdated,
            Kind::ObjectDelete => Self::ObjectDeleted,
            Kind::Chat => Self::ChatSent,
            // A batch is told message by message.
            Kind::Broadcast | Kind::Batch => Self::Broadcast,
            Kind::LogAppend => Self::LogAppended,
            Kind::LogCompact => Self::LogCompacted,
        }
    }

    fn bit(self) -> u16 {
        1 << (self as u16)
    }
}

/// What an author sent, without the number that he gave it: that is between him and the relay. A message's text begins with it.
pub fn data_of(text: &str) -> String {
    let Some(rest) = text.strip_prefix("{\"op\":") else {
        return text.to_owned();
    };
    let Some(end) = rest.bytes().position(|byte| !byte.is_ascii_digit()) else {
        return text.to_owned();
    };
    // What ended the number: a comma, or the end of a message without fields.
    match rest[end..].strip_prefix(',') {
        Some(fields) => ["{", fields].concat(),
        None => "{}".to_owned(),
    }
}

/// Some of the events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventSet(u16);

impl EventSet {
    /// Reads `object.created`, or `object.*` for all that begin so, or `*` for all but `canvas.changed`.
    ///
    /// # Errors
    /// What would be right, if no event is called so.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = |wanted: &dyn Fn(EventType, &str) -> bool| {
            let found = NAMES.iter().filter(|(event, name)| wanted(*event, name));
            Self(found.fold(0, |bits, (event, _)| bits | event.bit()))
        };
        let events = match text.strip_suffix('*') {
            // It needs `quiet`, which somebody who wants everything need not have thought of.
            Some(prefix) if prefix.is_empty() || prefix.ends_with('.') => {
                named(&|event, name| name.starts_with(prefix) && event != EventType::CanvasChanged)
            }
            _ => named(&|_, name| name == text),
        };
        if events == Self::default() {
            let names: Vec<&str> = NAMES.iter().map(|(_, name)| *name).collect();
            return Err(format!(
                "{text:?} is no event: there are {}, and \"object.*\", \"log.*\", \"canvas.*\", \"client.*\" and \"*\"",
                names.join(", ")
            ));
        }
        Ok(events)
    }

    /// Whether the event is one of these.
    pub fn has(self, event: EventType) -> bool {
        self.0 & event.bit() != 0
    }

    /// These and those.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The name of each.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES
            .iter()
            .filter(move |(event, _)| self.has(*event))
            .map(|(_, name)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<&'static str> {
        EventSet::parse(text).unwrap().names().collect()
    }

    #[test]
    fn a_name_is_one_event_and_a_star_all_that_begin_so() {
        assert_eq!(names("chat.sent"), ["chat.sent"]);
        assert_eq!(names("canvas.changed"), ["canvas.changed"]);
        assert_eq!(
            names("object.*"),
            ["object.created", "object.updated", "object.deleted"]
        );
        assert_eq!(
            names("canvas.*"),
            ["canvas.opened", "canvas.idle", "canvas.deleted"]
        );
        assert_eq!(names("*").len(), NAMES.len() - 1);
    }

    #[test]
    fn an_event_that_does_not_exist_is_refused_with_those_that_do() {
        for text in [
            "",
            "object",
            "object*",
            "objects.*",
            "canvas.gap",
            "Chat.sent",
        ] {
            let error = EventSet::parse(text).unwrap_err();
            assert!(
                error.contains("chat.sent") && error.contains("object.*"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_event_has_what_the_author_sent_but_not_the_number_of_it() {
        for (text, data) in [
            (
                r#"{"op":17,"object":{"id":"a","op":3}}"#,
                r#"{"object":{"id":"a","op":3}}"#,
            ),
            (
                r#"{"op":9007199254740991,"event":"e","data":{"op":1}}"#,
                r#"{"event":"e","data":{"op":1}}"#,
            ),
            (r#"{"op":1}"#, "{}"),
            (r#"{"text":"\"op\":1,"}"#, r#"{"text":"\"op\":1,"}"#),
        ] {
            assert_eq!(data_of(text), data);
        }
    }

    #[test]
    fn each_event_has_a_bit_and_a_name_of_its_own() {
        let all = NAMES.iter().fold(0, |bits, (event, _)| bits | event.bit());
        assert_eq!(all.count_ones() as usize, NAMES.len());
        for (event, name) in NAMES {
            assert_eq!(event.as_str(), name);
        }
    }
}
