//! A canvas as its clients must see it: what each `seq` does to the objects and the chat.

use std::collections::{BTreeMap, VecDeque};

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
    /// The entries of objects' logs, by object and place.
    pub logs: BTreeMap<String, BTreeMap<u64, Value>>,
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
        for entry in part["logs"].as_array().into_iter().flatten() {
            let (id, seq) = (&entry["id"], entry["seq"].as_u64());
            self.put_entry(id, seq.expect("a place"), &entry["data"]);
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
                Some(at) => update(&mut self.objects[at].1, message),
                None => assert!(!self.complete, "{message} should have been ignored"),
            },
            Some("object-delete") => match place(self, id) {
                Some(at) => {
                    self.objects.remove(at);
                    self.logs.remove(id);
                }
                None => assert!(!self.complete, "{message} should have been ignored"),
            },
            Some("chat") => self.push_chat(message),
            Some("log-append") => {
                assert!(!self.complete || self.object(id).is_some(), "{message}");
                let seq = message["seq"].as_u64().expect("a place");
                self.put_entry(&message["id"], seq, &message["data"]);
            }
            Some("log-compact") => {
                let upto = message["upto"].as_u64().expect("a place");
                let log = self.logs.entry(id.to_owned()).or_default();
                assert!(
                    !self.complete || log.keys().any(|seq| *seq <= upto),
                    "{message}"
                );
                log.retain(|seq, _| *seq > upto);
                if !message["data"].is_null() {
                    log.insert(upto, message["data"].clone());
                }
            }
            _ => {}
        }
    }

    fn put_entry(&mut self, id: &Value, seq: u64, data: &Value) {
        let id = id.as_str().expect("an id").to_owned();
        let log = self.logs.entry(id).or_default();
        assert!(
            log.insert(seq, data.clone()).is_none(),
            "{seq} is there twice"
        );
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

/// As docs/PROTOCOL.md has it, written apart from the server's: patch, unset, set, append.
fn update(object: &mut Value, message: &Value) {
    if !message["patch"].is_null() {
        merge(object, &message["patch"]);
    }
    for path in message["unset"].as_array().into_iter().flatten() {
        let names = names(path.as_str().expect("a path"));
        let (last, parents) = names.split_last().expect("a name");
        let parent = parents
            .iter()
            .try_fold(&mut *object, |at, name| at.as_object_mut()?.get_mut(name));
        if let Some(Value::Object(parent)) = parent {
            // The order of the others stays.
            *parent = std::mem::take(parent)
                .into_iter()
                .filter(|(name, _)| name != last)
                .collect();
        }
    }
    for (path, value) in message["set"].as_object().into_iter().flatten() {
        *made(object, path) = value.clone();
    }
    for (path, value) in message["append"].as_object().into_iter().flatten() {
        let place = made(object, path);
        match (&mut *place, value) {
            (Value::Array(old), Value::Array(more)) => old.extend(more.iter().cloned()),
            (Value::String(old), Value::String(more)) => old.push_str(more),
            (Value::Null, more) => *place = more.clone(),
            (old, _) => panic!("{old} and {message}"),
        }
    }
}

fn made<'a>(object: &'a mut Value, path: &str) -> &'a mut Value {
    names(path).into_iter().fold(object, |at, name| {
        if at.is_null() {
            *at = json!({});
        }
        at.as_object_mut()
            .expect("an object")
            .entry(name)
            .or_insert(Value::Null)
    })
}

fn names(path: &str) -> Vec<String> {
    let (mut names, mut chars) = (vec![String::new()], path.chars());
    while let Some(c) = chars.next() {
        match c {
            '.' => names.push(String::new()),
            '\\' => names.last_mut().expect("one").extend(chars.next()),
            c => names.last_mut().expect("one").push(c),
        }
    }
    names
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
