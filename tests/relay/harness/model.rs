//! A canvas as its clients must see it: what each `seq` does to the objects and the chat.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

/// Chat messages that a snapshot tells.
const CHAT: usize = 200;

/// Objects in the order of their creation, and the latest chat.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// Id and properties.
    pub objects: Vec<(String, Value)>,
    /// `seq`, `client`, `text`, `reply_to`.
    pub chat: VecDeque<Value>,
    /// Whether all that came before is known: then an update without its object is a mistake of the server's.
    pub complete: bool,
}

impl Model {
    /// Takes a part of a snapshot.
    pub fn part(&mut self, part: &Value) {
        for object in part["objects"].as_array().expect("objects") {
            let id = object["id"].as_str().expect("an id").to_owned();
            assert!(self.object(&id).is_none(), "{id} is in the snapshot twice");
            self.objects.push((id, object.clone()));
        }
        for chat in part["chat"].as_array().expect("chat") {
            assert!(chat["user"].is_object(), "history tells the user: {chat}");
            assert!(chat["at"].is_i64(), "{chat}");
            self.push_chat(chat);
        }
    }

    /// The properties of an object.
    pub fn object(&self, id: &str) -> Option<&Value> {
        let found = self.objects.iter().find(|(known, _)| known == id);
        found.map(|(_, object)| object)
    }

    /// What the durable message does.
    pub fn apply(&mut self, message: &Value) {
        let id = message["id"].as_str().unwrap_or_default();
        let place = |model: &Self, id: &str| model.objects.iter().position(|(k, _)| k == id);
        match message["type"].as_str() {
            Some("object-create") => {
                let object = message["object"].clone();
                let id = object["id"].as_str().expect("an id").to_owned();
                match place(self, &id) {
                    Some(at) => self.objects[at].1 = object,
                    None => self.objects.push((id, object)),
                }
            }
            Some("object-update") => match place(self, id) {
                Some(at) => merge(&mut self.objects[at].1, &message["patch"]),
                None => assert!(!self.complete, "{message} should have been ignored"),
            },
            Some("object-delete") => match place(self, id) {
                Some(at) => drop(self.objects.remove(at)),
                None => assert!(!self.complete, "{message} should have been ignored"),
            },
            Some("chat") => self.push_chat(message),
            _ => {}
        }
    }

    fn push_chat(&mut self, chat: &Value) {
        let mut kept = Map::new();
        for field in ["seq", "client", "text", "reply_to"] {
            if let Some(value) = chat.get(field) {
                kept.insert(field.to_owned(), value.clone());
            }
        }
        self.chat.push_back(Value::Object(kept));
        if self.chat.len() > CHAT {
            self.chat.pop_front();
        }
    }
}

/// JSON merge patch as RFC 7396, section 2 has it, written apart from the server's.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().expect("made one");
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}
