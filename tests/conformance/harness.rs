//! The one door tests go through: a relay, a seat at one of its instances, a client who sends.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scumble::backplane::{
    Author, Backplane, Canvas, End, Entry, Found, Member, Opened, Outcome, Post, PresenceChange,
    Read, Refusal, Sink, Snapshot, Unavailable,
};
use scumble::protocol::client_message::{ClientMessage, Durable, parse};
use scumble::protocol::ids::{CanvasId, ClientId, ConnId, Position};
use serde_json::{Value, json};
use tokio::runtime::{Handle, Runtime};

use crate::cluster::{Cluster, Options};
use crate::recorder::{DEADLINE, Ended, Message, Recorder, messages};

/// A cluster that runs.
pub struct Relay<C> {
    cluster: C,
    runtime: Runtime,
    instances: Vec<Arc<dyn Backplane>>,
}

impl<C: Cluster> Relay<C> {
    pub fn start() -> Self {
        Self::start_with(&Options::default())
    }

    pub fn start_with(options: &Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let guard = runtime.enter();
        let mut cluster = C::start(options);
        let instances = (0..C::INSTANCES).map(|_| cluster.add()).collect();
        drop(guard);
        Self {
            cluster,
            runtime,
            instances,
        }
    }

    /// What the instances share.
    pub fn cluster(&self) -> &C {
        &self.cluster
    }

    /// What comes of it.
    pub fn wait_for<T>(&self, future: impl Future<Output = T>) -> T {
        bounded(self.runtime.handle(), future)
    }

    /// The number of instances.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Opens a canvas on an instance; numbers beyond the last wrap, so that "another one" is the same one in a relay of one.
    pub fn seat(&self, instance: usize, canvas: &str) -> Seat {
        self.seat_with(instance, canvas, Recorder::default())
    }

    pub fn seat_with(&self, instance: usize, canvas: &str, recorder: Recorder) -> Seat {
        let backplane = Arc::clone(&self.instances[instance % self.len()]);
        let recorder = Arc::new(recorder);
        let sink: Arc<dyn Sink> = recorder.clone();
        let id = CanvasId::parse(canvas).expect("a canvas id");
        let handle = self.runtime.handle().clone();
        let opened = wait_on(&handle, backplane.open(&id, sink)).expect("the canvas opens");
        Seat {
            backplane,
            recorder,
            opened,
            handle,
        }
    }

    /// A seat at every instance.
    pub fn seats(&self, canvas: &str) -> Vec<Seat> {
        (0..self.len())
            .map(|instance| self.seat(instance, canvas))
            .collect()
    }

    /// Ends an instance in an orderly way.
    pub fn shut_down(&self, instance: usize) {
        bounded(self.runtime.handle(), self.instances[instance].shutdown());
    }

    /// Ends an instance and puts a new one in its place.
    pub fn restart(&mut self, instance: usize) {
        self.shut_down(instance);
        let _guard = self.runtime.enter();
        self.instances[instance] = self.cluster.add();
    }
}

impl<C> Drop for Relay<C> {
    fn drop(&mut self) {
        for instance in &self.instances {
            let shutdown = async { tokio::time::timeout(DEADLINE, instance.shutdown()).await };
            let ended = self.runtime.block_on(shutdown).is_ok();
            // A test that failed already says more than a shutdown that hangs after it.
            assert!(
                ended || std::thread::panicking(),
                "the shutdown of an instance hangs"
            );
        }
    }
}

fn bounded<T>(handle: &Handle, future: impl Future<Output = T>) -> T {
    let answer = handle.block_on(async { tokio::time::timeout(DEADLINE, future).await });
    answer.expect("every wait is bounded")
}

fn wait_on<T>(
    handle: &Handle,
    future: impl Future<Output = Result<T, Unavailable>>,
) -> Result<T, Unavailable> {
    bounded(handle, future)
}

/// Asks again and again until there is an answer.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A canvas that is open on one instance.
pub struct Seat {
    pub backplane: Arc<dyn Backplane>,
    pub recorder: Arc<Recorder>,
    pub opened: Opened,
    handle: Handle,
}

impl Seat {
    pub fn canvas(&self) -> &Canvas {
        &self.opened.canvas
    }

    pub fn client(&self, name: &str) -> Client {
        self.client_of(name, "")
    }

    /// A client with a connection of its own on this instance, whose token says `subject`.
    pub fn client_of(&self, name: &str, subject: &str) -> Client {
        let client = ClientId::parse(&format!("client-{name}")).expect("a client id");
        let user = json!({ "name": name }).to_string();
        let conn = self.backplane.new_conn();
        Client {
            author: Arc::new(Author::new(conn, client, user, subject.to_owned())),
            op: 0,
        }
    }

    pub fn append(&self, entry: Entry) -> Result<(), Refusal> {
        self.backplane.append(self.canvas(), entry)
    }

    pub fn append_durable(&self, client: &Client, message: Durable) -> Result<(), Refusal> {
        self.append(Entry::Durable {
            author: Arc::clone(&client.author),
            message,
        })
    }

    /// Sends the client's next op; gives its number.
    pub fn send(&self, client: &mut Client, fields: &Value) -> u64 {
        client.op += 1;
        self.send_as(client, client.op, fields);
        client.op
    }

    /// Sends an op by its number, which may be an old one.
    pub fn send_as(&self, client: &Client, op: u64, fields: &Value) {
        // As a client does: what can be sent again is, but for what no canvas may be refused.
        eventually("the queue has room", || {
            match self.append_durable(client, durable(op, fields)) {
                Ok(()) => Some(()),
                Err(refusal) => {
                    assert!(refusal.retry_after_ms.is_some(), "{refusal:?}");
                    None
                }
            }
        });
    }

    /// Sends the client's next op and waits for its end.
    pub fn ask(&self, client: &mut Client, fields: &Value) -> Ended {
        let op = self.send(client, fields);
        self.ended(client, op, 1)
    }

    /// Sends an op by its number and waits for its end.
    pub fn ask_as(&self, client: &Client, op: u64, fields: &Value) -> Ended {
        let key = (client.author.conn, op);
        let before = self
            .recorder
            .look(|seen| seen.ended.get(&key).map_or(0, Vec::len));
        self.send_as(client, op, fields);
        self.ended(client, op, before + 1)
    }

    /// How the op ended the `nth` time that this connection sent it.
    fn ended(&self, client: &Client, op: u64, nth: usize) -> Ended {
        let key = (client.author.conn, op);
        self.recorder.wait(&format!("the end of op {op}"), |seen| {
            seen.ended
                .get(&key)
                .and_then(|ends| ends.get(nth - 1))
                .cloned()
        })
    }

    /// Joins and waits for the answer.
    pub fn join(&self, client: &Client) -> Result<u64, Refusal> {
        let conn = client.author.conn;
        let answered = self
            .recorder
            .look(|seen| seen.joined.iter().filter(|j| j.conn == conn).count());
        self.append(Entry::Join {
            author: Arc::clone(&client.author),
        })
        .expect("room for a join");
        self.recorder.wait("the answer to a join", |seen| {
            let mut answers = seen.joined.iter().filter(|joined| joined.conn == conn);
            answers.nth(answered).map(|joined| joined.acked_op.clone())
        })
    }

    pub fn set_state(&self, client: &Client, state: &Value) {
        let (author, state) = (Arc::clone(&client.author), state.to_string());
        self.append(Entry::State { author, state })
            .expect("room for a state");
    }

    pub fn leave(&self, client: &Client, end: End) {
        let author = Arc::clone(&client.author);
        self.append(Entry::Leave { author, end })
            .expect("room for a leave");
    }

    pub fn signal(&self, client: &Client, event: &str) {
        let (author, body) = (
            Arc::clone(&client.author),
            format!("\"event\":\"{event}\",\"data\":null"),
        );
        self.append(Entry::Signal { author, body })
            .expect("room for a signal");
    }

    pub fn forward(&self, conn: ConnId, post: Post) -> bool {
        let forwarded = self.backplane.forward(&self.canvas().id, conn, post);
        wait_on(&self.handle, forwarded).expect("room for a post")
    }

    pub fn read(&self, after: Position, max_bytes: usize) -> Read {
        let read = self.backplane.read(self.canvas(), after, max_bytes);
        wait_on(&self.handle, read).expect("the log can be read")
    }

    /// The messages after a position; `None` when it is gone.
    pub fn read_all(&self, mut after: Position) -> Option<Vec<Message>> {
        let mut out = Vec::new();
        loop {
            match self.read(after, 4_096) {
                Read::Gone => return None,
                Read::Batch(None) => return Some(out),
                Read::Batch(Some(batch)) => {
                    assert_eq!((batch.epoch, batch.first_seq), (after.epoch, after.seq + 1));
                    after.seq = batch.last_seq();
                    out.extend(messages(&batch));
                }
            }
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        wait_on(&self.handle, self.backplane.snapshot(self.canvas())).expect("a snapshot")
    }

    pub fn find(&self, canvas: &str) -> Option<Found> {
        let id = CanvasId::parse(canvas).expect("a canvas id");
        wait_on(&self.handle, self.backplane.find(&id)).expect("canvases can be found")
    }

    pub fn active(&self, after: &str, limit: u32) -> Vec<String> {
        let active = wait_on(&self.handle, self.backplane.active(after, limit));
        let active = active.expect("canvases can be listed");
        active
            .iter()
            .map(|found| found.canvas.id.to_string())
            .collect()
    }

    pub fn create(&self, canvas: &str) -> Canvas {
        let id = CanvasId::parse(canvas).expect("a canvas id");
        wait_on(&self.handle, self.backplane.create(&id)).expect("a canvas")
    }

    pub fn publish(&self, canvas: &Canvas, client: &Client, op: u64, fields: &Value) -> Outcome {
        let author = Arc::clone(&client.author);
        let published = self.backplane.publish(canvas, author, durable(op, fields));
        wait_on(&self.handle, published).expect("an end")
    }

    pub fn delete(&self) -> Position {
        wait_on(&self.handle, self.backplane.delete(self.canvas())).expect("a deletion")
    }

    pub fn members(&self) -> (u64, BTreeMap<ClientId, Member>) {
        let members = wait_on(&self.handle, self.backplane.members(self.canvas()));
        let table = members.expect("the presence table can be read");
        (table.version, by_client(table.members))
    }

    pub fn wait_seq(&self, seq: u64) {
        let reached = |seen: &crate::recorder::Seen| (seen.last_seq() >= seq).then_some(());
        self.recorder.wait(&format!("message {seq}"), reached);
    }

    /// What was delivered after `open`'s head: contiguous, or the test fails.
    pub fn log(&self) -> Vec<Message> {
        let head = self.opened.head;
        let log = self.recorder.look(|seen| seen.log.clone());
        let after: Vec<_> = log
            .into_iter()
            .filter(|message| message.seq > head.seq)
            .collect();
        for (seq, message) in (head.seq + 1..).zip(&after) {
            assert_eq!(
                (message.epoch, message.seq),
                (head.epoch, seq),
                "one contiguous order"
            );
        }
        after
    }

    /// The presence table that follows from `open` and the events since: contiguous, or the test fails.
    pub fn table(&self) -> (u64, BTreeMap<ClientId, Member>) {
        let mut version = self.opened.presence.version;
        let mut table = by_client(self.opened.presence.members.clone());
        let events = self.recorder.look(|seen| seen.presence.clone());
        for event in events
            .into_iter()
            .filter(|e| e.version > self.opened.presence.version)
        {
            version += 1;
            assert_eq!(event.version, version, "presence versions are contiguous");
            match event.change {
                PresenceChange::Set(member) => {
                    table.insert(member.client.clone(), member);
                }
                PresenceChange::Gone { client, .. } => {
                    assert!(
                        table.remove(&client).is_some(),
                        "only who is here can be gone"
                    );
                }
            }
        }
        (version, table)
    }

    /// Waits until the presence table is at a version here.
    pub fn wait_version(&self, version: u64) {
        self.recorder
            .wait(&format!("presence version {version}"), |seen| {
                let last = seen.presence.last().map_or(0, |event| event.version);
                (last.max(self.opened.presence.version) >= version).then_some(())
            });
    }
}

fn by_client(members: Vec<Member>) -> BTreeMap<ClientId, Member> {
    members
        .into_iter()
        .map(|member| (member.client.clone(), member))
        .collect()
}

/// A connection of a client, and the client's own count of ops.
pub struct Client {
    pub author: Arc<Author>,
    pub op: u64,
}

/// A durable message as the parser makes it.
pub fn durable(op: u64, fields: &Value) -> Durable {
    let mut message = fields.clone();
    message["op"] = op.into();
    match parse(&message.to_string()) {
        Ok(ClientMessage::Durable(durable)) => durable,
        other => panic!("{message} is no durable message: {other:?}"),
    }
}

pub fn event(name: &str) -> Value {
    json!({"type": "broadcast", "event": name, "data": null})
}

pub fn create(id: &str, fields: &Value) -> Value {
    let mut object = fields.clone();
    object["id"] = id.into();
    object["kind"] = "rect".into();
    json!({"type": "object-create", "object": object})
}

pub fn update(id: &str, patch: &Value) -> Value {
    json!({"type": "object-update", "id": id, "patch": patch})
}

pub fn delete(id: &str) -> Value {
    json!({"type": "object-delete", "id": id})
}

pub fn chat(text: &str) -> Value {
    json!({"type": "chat", "text": text})
}
