//! A simulated client: the client's half of the protocol, checking its own stream as it goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::link::Wire;
use crate::model::Model;

/// A message in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub client: String,
    pub op: u64,
    pub message: Value,
}

/// The entries of an epoch after `began`, without a gap.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    pub epoch: String,
    pub began: u64,
    pub entries: Vec<Entry>,
}

/// See the module's head.
#[derive(Default)]
pub struct Client {
    pub id: String,
    /// Its connection, and the number of the instance it is to.
    pub wire: Option<(usize, u64, Arc<Wire>)>,
    pub welcomed: bool,
    pub epoch: String,
    pub seq: u64,
    pub model: Model,
    pub streams: Vec<Stream>,
    pub pending: BTreeMap<u64, Value>,
    /// All it ever wrote: a slow reader may hear of a resent op (a duplicate) before it hears the first in its place.
    sent: BTreeMap<u64, Value>,
    /// By op: the epoch, the status, the `seq`.
    pub acked: BTreeMap<u64, (String, String, u64)>,
    pub op: u64,
    /// Who is here, and whether away.
    pub roster: BTreeMap<String, bool>,
    /// Something was refused for the moment.
    pub refused: bool,
    /// It was told to start over. What is answered until then may be of an epoch that it has not heard of.
    adrift: bool,
    /// The next snapshot part.
    part: Option<(u64, Model)>,
}

impl Client {
    pub fn new(n: u64) -> Self {
        Self {
            id: format!("client-{n:04}"),
            ..Self::default()
        }
    }

    /// What it asks to go on from.
    pub fn since(&self) -> Option<(String, u64)> {
        (!self.streams.is_empty()).then(|| (self.epoch.clone(), self.seq))
    }

    /// The next message to write.
    pub fn write(&mut self, mut message: Value) -> Value {
        self.op += 1;
        message["op"] = self.op.into();
        self.pending.insert(self.op, message.clone());
        self.sent.insert(self.op, message.clone());
        message
    }

    /// Takes a message of the server's.
    pub fn take(&mut self, message: Value) {
        let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
        match message["type"].as_str().expect("a type") {
            "welcome" => self.welcome(&message),
            "snapshot" => self.snapshot(&message),
            "resync" => {
                self.part = Some((0, Model::default()));
                self.adrift = true;
            }
            "ack" => self.answered(&message),
            "error" => match message["op"].as_u64() {
                Some(op) if message["retry_after_ms"].is_null() => drop(self.pending.remove(&op)),
                _ => self.refused = true,
            },
            "user-connected" => drop(self.roster.insert(text("client"), false)),
            "user-disconnected" => drop(self.roster.remove(&text("client"))),
            "presence" => {
                let away = message["away"].as_bool();
                let known = self.roster.get_mut(&text("client"));
                if let (Some(away), Some(known)) = (away, known) {
                    *known = away;
                }
            }
            "cursor-batch" | "signal" | "goaway" => {}
            _ => {
                let client = text("client");
                let op = message["op"].as_u64().expect("an op");
                message["type"].as_str().expect("a type");
                // Its own, sent through an earlier connection: this is its ack.
                if client == self.id && self.pending.remove(&op).is_some() {
                    let seq = message["seq"].as_u64().expect("a seq");
                    let epoch = self.epoch.clone();
                    self.acked.insert(op, (epoch, "ok".to_owned(), seq));
                }
                self.place(client, message);
            }
        }
    }

    fn welcome(&mut self, welcome: &Value) {
        assert!(!self.welcomed, "a second welcome: {welcome}");
        self.welcomed = true;
        self.adrift = false;
        let users = welcome["users"].as_array().expect("users").iter();
        let user = |user: &Value| {
            (
                user["client"].as_str().expect("an id").to_owned(),
                user["away"] == true,
            )
        };
        self.roster = users.map(user).collect();
        // Of itself it knows best: the room may be a moment behind, and tells nobody about himself.
        self.roster.insert(self.id.clone(), false);
        let epoch = welcome["epoch"].as_str().expect("an epoch");
        match welcome["mode"].as_str() {
            Some("resume") => assert_eq!(self.epoch, epoch),
            // What it has stays of its own epoch until the snapshot is complete: it may be cut off before.
            _ => {
                self.part = Some((0, Model::default()));
                self.adrift = true;
            }
        }
    }

    fn snapshot(&mut self, part: &Value) {
        let (n, mut model) = self.part.take().expect("nobody asked for a snapshot");
        assert_eq!(part["part"], n);
        model.part(part);
        if part["last"] != true {
            self.part = Some((n + 1, model));
            return;
        }
        model.complete = true;
        // What the snapshot contains gets no ack any more, and nobody says what that is.
        self.refused = true;
        self.adrift = false;
        self.model = model;
        self.seq = part["seq"].as_u64().expect("a seq");
        // A relay that lost something begins another one.
        part["epoch"]
            .as_str()
            .expect("an epoch")
            .clone_into(&mut self.epoch);
        let began = self.seq;
        self.streams.push(Stream {
            epoch: self.epoch.clone(),
            began,
            entries: Vec::new(),
        });
    }

    fn answered(&mut self, ack: &Value) {
        let op = ack["op"].as_u64().expect("an op");
        let (status, seq) = (
            ack["status"].as_str().expect("a status"),
            ack["seq"].as_u64(),
        );
        let seq = seq.expect("a seq");
        self.pending.remove(&op);
        if status == "ok" {
            let mut message = self.sent[&op].clone();
            message["seq"] = seq.into();
            self.place(self.id.clone(), message);
        }
        let epoch = match self.adrift {
            true => String::new(),
            false => self.epoch.clone(),
        };
        let answer = (epoch, status.to_owned(), seq);
        self.acked.entry(op).or_insert(answer);
    }

    fn place(&mut self, client: String, mut message: Value) {
        assert!(self.part.is_none(), "before the snapshot: {message}");
        assert_eq!(
            message["seq"],
            self.seq + 1,
            "{} has {}: {message}",
            self.id,
            self.seq
        );
        self.seq += 1;
        message["client"] = client.as_str().into();
        self.model.apply(&message);
        let op = message["op"].as_u64().expect("an op");
        let fields = message.as_object_mut().expect("an object");
        for added in ["seq", "client", "at", "op", "user"] {
            fields.remove(added);
        }
        let stream = self.streams.last_mut().expect("a welcome began one");
        stream.entries.push(Entry {
            client,
            op,
            message,
        });
    }

    /// The connection is gone.
    pub fn cut(&mut self) {
        self.wire = None;
        self.welcomed = false;
        self.refused = false;
        // A snapshot that was cut off: what it held before is still true, and its stream goes on from there.
        self.part = None;
    }

    /// Its cursor.
    pub fn cursor(n: u64) -> Value {
        json!({"type": "cursor", "x": n, "y": n})
    }
}
