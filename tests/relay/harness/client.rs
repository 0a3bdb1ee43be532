//! A client that checks its own stream: every durable message after `n` is `n + 1`, with its own acks in their place.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::time::Instant;

use serde_json::{Value, json};

use super::history::{Entry, Record, Stream, record, sends};
use super::model::Model;
use super::socket::{Gone, Socket};
use super::{PATIENCE, Random};

/// How long to wait before sending again what was refused.
const AGAIN: Duration = Duration::from_millis(30);

/// How an op was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    /// `ok`, `dup`, `ignored`
    pub status: String,
    /// As the ack had it.
    pub seq: u64,
}

/// See the module's head.
pub struct Client {
    /// Its id, for life.
    pub id: String,
    canvas: String,
    /// The latest welcome.
    pub welcome: Value,
    /// The canvas's epoch.
    pub epoch: String,
    /// The last `seq` that it has.
    pub seq: u64,
    /// The canvas as it sees it.
    pub model: Model,
    /// What it was told beside the order, in the order of arrival.
    pub heard: Vec<Value>,
    /// How much of it was told before the latest welcome.
    pub heard_before: usize,
    /// Ops without an answer yet.
    pub pending: BTreeMap<u64, Value>,
    /// Ops with one.
    pub acked: BTreeMap<u64, Acked>,
    /// The last number used.
    pub op: u64,
    /// The current stream, the latest of all.
    streams: Vec<Stream>,
    /// What it was told, as the judge reads it.
    pub records: Vec<Record>,
    /// An op was refused and may be sent again.
    refused: bool,
    /// The connection.
    pub socket: Socket,
}

static CLIENTS: AtomicU64 = AtomicU64::new(0);

/// An id that no other client of this test binary has.
pub fn new_id() -> String {
    format!("client-{:04}", CLIENTS.fetch_add(1, Ordering::Relaxed))
}

impl Client {
    /// Joins a canvas for the first time, under a new id.
    pub async fn join(address: SocketAddr, canvas: &str) -> Self {
        let socket = Socket::open(address, canvas).await.expect("an upgrade");
        Self::enter(socket, canvas, json!({"client": new_id()})).await
    }

    /// Says hello with those fields on a socket that is open.
    pub async fn enter(socket: Socket, canvas: &str, hello: Value) -> Self {
        let mut client = Self {
            id: hello["client"].as_str().expect("a client id").to_owned(),
            canvas: canvas.to_owned(),
            welcome: Value::Null,
            epoch: String::new(),
            seq: 0,
            model: Model::default(),
            heard: Vec::new(),
            heard_before: 0,
            pending: BTreeMap::new(),
            acked: BTreeMap::new(),
            op: 0,
            streams: Vec::new(),
            records: Vec::new(),
            refused: false,
            socket,
        };
        client.hello(hello).await.expect("a welcome");
        client
    }

    /// Comes back, wherever, and goes on from what it holds. Ops without an answer are sent again.
    pub async fn resume(&mut self, address: SocketAddr) -> Result<(), Gone> {
        let lost = |refused| Gone {
            code: None,
            reason: format!("{refused:?}"),
        };
        self.socket = Socket::open(address, &self.canvas).await.map_err(lost)?;
        let since = json!({"epoch": self.epoch, "seq": self.seq});
        self.hello(json!({"client": self.id, "since": since}))
            .await?;
        self.resend().await
    }

    async fn hello(&mut self, mut hello: Value) -> Result<(), Gone> {
        hello["type"] = "hello".into();
        hello["v"] = 1.into();
        self.socket.send(&hello).await?;
        let welcome = self.socket.receive().await?;
        // An instance that drains says so to whoever comes in the same moment.
        if welcome["type"] == "error" || welcome["type"] == "goaway" {
            return Err(self.socket.ended().await);
        }
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        assert_eq!(welcome["client"], self.id.as_str());
        let epoch = welcome["epoch"].as_str().expect("an epoch").to_owned();
        self.welcome = welcome;
        self.heard_before = self.heard.len();
        if self.welcome["mode"] == "resume" {
            assert_eq!(hello["since"]["epoch"], epoch.as_str());
            let since = hello["since"]["seq"].as_u64().expect("a seq");
            self.epoch = epoch;
            if since != self.seq || self.streams.is_empty() {
                self.begin(since);
            }
            return Ok(());
        }
        assert_eq!(self.welcome["mode"], "snapshot", "{}", self.welcome);
        self.epoch = epoch;
        self.snapshot().await
    }

    /// A new stream, from after `seq` on.
    fn begin(&mut self, seq: u64) {
        self.seq = seq;
        self.streams.push(Stream::default());
        self.note("joined", json!({"epoch": self.epoch, "seq": seq}));
    }

    /// Writes down what it was told.
    fn note(&mut self, what: &str, mut fields: Value) {
        fields["client"] = self.id.as_str().into();
        self.records.push(record(&self.canvas, what, fields));
    }

    /// The canvas that it is on.
    pub fn canvas(&self) -> &str {
        &self.canvas
    }

    /// Takes all parts of a snapshot.
    async fn snapshot(&mut self) -> Result<(), Gone> {
        let mut model = Model::default();
        for n in 0.. {
            let mut part = self.socket.receive().await?;
            while part["type"] != "snapshot" {
                let kind = part["type"].as_str().unwrap_or_default();
                if kind == "ack" && part["status"] != "ok" {
                    // It has no place in the order.
                    self.answered(&part);
                    part = self.socket.receive().await?;
                    continue;
                }
                assert!(
                    !["ack", "chat", "broadcast"].contains(&kind)
                        && !kind.starts_with("object-")
                        && !kind.starts_with("log-"),
                    "before the snapshot: {part}"
                );
                self.heard.push(part);
                part = self.socket.receive().await?;
            }
            let text = part.to_string();
            assert!(text.len() <= 512 * 1024, "a part of {} bytes", text.len());
            assert_eq!(part["part"], n);
            if self.epoch.is_empty() {
                self.epoch = part["epoch"].as_str().expect("an epoch").to_owned();
            }
            assert_eq!(part["epoch"], self.epoch.as_str());
            model.part(&part);
            if part["last"] == true {
                self.begin(part["seq"].as_u64().expect("a seq"));
                break;
            }
        }
        let off = |m: &Value| {
            m["reason"]
                .as_str()
                .is_some_and(|r| r.contains("switched off"))
        };
        model.complete = !self.heard.iter().any(off);
        self.model = model;
        Ok(())
    }

    /// Sends a durable message under its next number.
    pub async fn try_op(&mut self, mut message: Value) -> Result<u64, Gone> {
        self.op += 1;
        message["op"] = self.op.into();
        self.pending.insert(self.op, message.clone());
        sends(&self.canvas, &self.id, self.op, &message);
        self.socket.send(&message).await?;
        Ok(self.op)
    }

    /// Sends a durable message on a connection that must be there.
    pub async fn op(&mut self, message: Value) -> u64 {
        self.try_op(message).await.expect("a connection")
    }

    /// Sends a durable message and waits for its answer, which is `ok`. Gives its `seq`.
    /// Where the canvas begins anew meanwhile, the message may be in the snapshot. Then its resend is answered with `dup`.
    pub async fn commit(&mut self, message: Value) -> u64 {
        let resyncs = self.heard_of("resync").len();
        let op = self.op(message).await;
        self.settle().await.expect("a connection");
        let Acked { status, seq } = &self.acked[&op];
        let began_anew = self.heard_of("resync").len() > resyncs;
        assert!(
            status == "ok" || (status == "dup" && began_anew),
            "op {op}: {status}"
        );
        *seq
    }

    /// Sends what is not in the order.
    pub async fn say(&mut self, message: Value) {
        self.socket.send(&message).await.expect("a connection");
    }

    /// Sends all ops without an answer again, in order.
    pub async fn resend(&mut self) -> Result<(), Gone> {
        self.refused = false;
        let again: Vec<Value> = self.pending.values().cloned().collect();
        for message in again {
            self.socket.send(&message).await?;
        }
        Ok(())
    }

    /// Writes `n` random messages, at most `window` without an answer, reading all the while.
    pub async fn write(&mut self, random: &mut Random, n: u64, window: usize) -> Result<(), Gone> {
        for _ in 0..n {
            self.try_op(random.message()).await?;
            while let Some(message) = self.socket.receive_now()? {
                self.take(message).await?;
            }
            while self.pending.len() >= window {
                self.next().await?;
                self.again().await?;
            }
        }
        self.settle().await
    }

    async fn again(&mut self) -> Result<(), Gone> {
        if !self.refused {
            return Ok(());
        }
        // What was refused together is sent again together, or each refusal would bring as many more.
        tokio::time::sleep(AGAIN).await;
        while let Some(message) = self.socket.receive_now()? {
            self.take(message).await?;
        }
        self.resend().await
    }

    /// Reads until every op has its answer, sending again what was refused for the moment.
    pub async fn settle(&mut self) -> Result<(), Gone> {
        while !self.pending.is_empty() {
            self.next().await?;
            self.again().await?;
        }
        Ok(())
    }

    /// Reads and checks the next message.
    pub async fn next(&mut self) -> Result<Value, Gone> {
        let message = self.socket.receive_at_last();
        let Ok(message) = tokio::time::timeout(PATIENCE, message).await else {
            let (id, seq, pending) = (&self.id, self.seq, self.pending.keys());
            panic!(
                "{id} at {seq} waits for more; unanswered: {pending:?}; heard: {:?}",
                self.heard
            )
        };
        let message = message?;
        self.take(message.clone()).await?;
        Ok(message)
    }

    /// Reads until a message is as wanted; gives it.
    pub async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.next().await.expect("a connection");
            if wanted(&message) {
                return message;
            }
            assert!(Instant::now() < deadline, "only heard {:?}", self.heard);
        }
    }

    /// As [`Self::until`], if it was not heard already.
    pub async fn hear(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        match self.heard.iter().find(|message| wanted(message)) {
            Some(message) => message.clone(),
            None => self.until(wanted).await,
        }
    }

    /// Reads until it has that `seq`.
    pub async fn reach(&mut self, seq: u64) {
        while self.seq < seq {
            self.next().await.expect("a connection");
        }
    }

    /// Reads until the connection ends; gives the code of the close frame.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(gone) = self.next().await {
                return gone.code;
            }
        }
    }

    /// Everything of that type that it heard beside the order.
    pub fn heard_of(&self, kind: &str) -> Vec<&Value> {
        let of_kind = |message: &&Value| message["type"] == kind;
        self.heard.iter().filter(of_kind).collect()
    }

    /// Everything it ever saw of the order.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter()
    }

    /// The latest stream.
    pub fn stream(&self) -> &Stream {
        self.streams.last().expect("a welcome began one")
    }

    async fn take(&mut self, message: Value) -> Result<(), Gone> {
        match message["type"].as_str().expect("a type") {
            "ack" => self.answered(&message),
            "error" => {
                let code = message["code"].as_str().expect("a code");
                let retryable = ["overloaded", "rate-limited"].contains(&code);
                assert_eq!(retryable, message["retry_after_ms"].is_u64(), "{message}");
                if let Some(op) = message["op"].as_u64() {
                    self.note("refused", json!({"op": op, "code": code}));
                }
                if let (Some(op), false) = (message["op"].as_u64(), retryable) {
                    self.pending.remove(&op);
                }
                self.refused |= retryable;
                self.heard.push(message);
            }
            "resync" => {
                self.heard.push(message);
                // The canvas may have begun anew.
                self.epoch.clear();
                self.snapshot().await?;
                // What is in the snapshot gets no ack any more, and what was forgotten neither.
                self.refused = true;
            }
            "object-create" | "object-update" | "object-delete" | "chat" | "broadcast"
            | "log-append" | "log-compact" => {
                let client = message["client"].as_str().expect("a client").to_owned();
                assert!(message["at"].is_i64(), "{message}");
                self.sees(&client, &message);
                self.place(client, message);
            }
            "snapshot" | "welcome" => panic!("not asked for: {message}"),
            _ => self.heard.push(message),
        }
        Ok(())
    }

    fn answered(&mut self, ack: &Value) {
        let (op, seq) = (ack["op"].as_u64().expect("an op"), ack["seq"].as_u64());
        let (status, seq) = (
            ack["status"].as_str().expect("a status").to_owned(),
            seq.expect("a seq"),
        );
        self.note("acked", json!({"op": op, "seq": seq, "status": status}));
        let pending = self.pending.remove(&op);
        match status.as_str() {
            "ok" => {
                let mut message = pending.unwrap_or_else(|| panic!("nothing waits for {ack}"));
                message["seq"] = seq.into();
                message["client"] = self.id.as_str().into();
                self.place(self.id.clone(), message);
            }
            "ignored" => assert_eq!(seq, 0, "{ack}"),
            "dup" => {}
            _ => panic!("{ack}"),
        }
        let known = self.acked.entry(op);
        known.or_insert(Acked { status, seq });
    }

    /// Writes down a message that came, as its author sent it.
    fn sees(&mut self, author: &str, message: &Value) {
        let mut sent = message.clone();
        strip(&mut sent);
        let fields = json!({
            "seq": message["seq"], "author": author, "op": message["op"], "message": sent,
        });
        self.note("seen", fields);
    }

    /// Puts a message at the end of the stream, where it must belong.
    fn place(&mut self, client: String, mut message: Value) {
        assert_eq!(
            message["seq"],
            self.seq + 1,
            "{} has {}: {message}",
            self.id,
            self.seq
        );
        self.seq += 1;
        self.model.apply(&message);
        let op = message["op"].as_u64().expect("an op");
        strip(&mut message);
        let stream = self.streams.last_mut().expect("a welcome began one");
        stream.entries.push(Entry {
            client,
            op,
            message,
        });
    }
}

/// Leaves what its author sent.
fn strip(message: &mut Value) {
    let fields = message.as_object_mut().expect("an object");
    // A chat message also tells its author's name, for those who never met it.
    for added in ["seq", "client", "at", "op", "user"] {
        fields.remove(added);
    }
}
