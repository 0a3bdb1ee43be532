//! A room, its clients and its backplane, all of them models: what the room asks for is answered when the test says so.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

use crate::backplane::{
    Canvas, CanvasKey, LogBuilder, Member, Opened, PresenceChange, PresenceEvent, PresenceTable,
};
use crate::protocol::client_message::Kind;
use crate::protocol::encoding::Form;
use crate::protocol::ids::{CanvasId, ClientId, InstanceId, InstanceNumber};
use crate::room::Latest;
use crate::room::parts::Parts;
use crate::room::state::*;

/// A link that keeps what a client would have read.
pub(super) struct TestLink {
    pub(super) author: Arc<Author>,
    pub(super) inner: Mutex<Inner>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) waiting: VecDeque<Bytes>,
    pub(super) refused: bool,
    pub(super) read: Vec<serde_json::Value>,
    pub(super) flushes: u32,
    pub(super) closed: Option<CloseCode>,
    /// It reads compressed snapshots.
    pub(super) deflate: bool,
}

impl TestLink {
    pub(super) fn new(n: u64) -> Arc<Self> {
        let client = ClientId::parse(&format!("client-{n:04}")).expect("id");
        let author = Author::new(
            ConnId::new(InstanceNumber(1), n),
            client,
            "{}".into(),
            String::new(),
        );
        Arc::new(Self {
            author: Arc::new(author),
            inner: Mutex::default(),
        })
    }

    /// The client reads all that waits; `true` if the room must be told.
    pub(super) fn drain(&self) -> bool {
        let mut inner = self.inner.lock();
        while let Some(frames) = inner.waiting.pop_front() {
            inner.read.extend(payloads(&frames));
        }
        std::mem::take(&mut inner.refused)
    }

    pub(super) fn read(&self) -> Vec<serde_json::Value> {
        self.inner.lock().read.clone()
    }
}

impl Link for TestLink {
    fn author(&self) -> &Arc<Author> {
        &self.author
    }
    fn role(&self) -> &'static str {
        "write"
    }
    fn form(&self) -> Form {
        let deflate = self.inner.lock().deflate;
        Form {
            deflate,
            ..Form::default()
        }
    }
    fn push(&self, frames: Bytes) -> bool {
        let mut inner = self.inner.lock();
        if inner.waiting.len() >= 4 {
            inner.refused = true;
            return false;
        }
        inner.waiting.push_back(frames);
        true
    }
    fn reply(&self, frame: Bytes) {
        self.inner.lock().waiting.push_back(frame);
    }
    fn reply_in_pieces(&self, pieces: Vec<Bytes>) {
        self.reply(Bytes::from(pieces.concat()));
    }
    fn latest_of_many(&self, frames: Bytes) -> bool {
        self.reply(frames);
        true
    }
    fn latest(&self, _: Latest, _: &ClientId, frame: &Bytes) {
        self.reply(frame.clone());
    }
    fn cursors(&self, frame: &Bytes, _: &[(ClientId, Arc<str>)]) {
        self.reply(frame.clone());
    }
    fn droppable(&self, frames: &Bytes) {
        self.reply(frames.clone());
    }
    fn welcomed(&self, _: u64) {}
    fn answered(&self, _: u32) {}
    fn flush(&self) {
        self.inner.lock().flushes += 1;
    }
    fn close(&self, code: CloseCode, _: &'static str) {
        self.inner.lock().closed = Some(code);
    }
}

/// The JSON payloads of frames back to back.
pub(super) fn payloads(mut frames: &[u8]) -> Vec<serde_json::Value> {
    let mut out = Vec::new();
    while !frames.is_empty() {
        let (header, len) = match frames[1] {
            126 => (4, usize::from(u16::from_be_bytes([frames[2], frames[3]]))),
            127 => (
                10,
                usize::try_from(u64::from_be_bytes(frames[2..10].try_into().expect("8")))
                    .expect("small"),
            ),
            len => (2, usize::from(len)),
        };
        out.push(serde_json::from_slice(&frames[header..header + len]).expect("JSON"));
        frames = &frames[header + len..];
    }
    out
}

pub(super) const EPOCH: Epoch = Epoch(7);

pub(super) fn settings(snapshots: bool) -> Arc<Settings> {
    Arc::new(Settings {
        instance: InstanceId::parse("one").expect("id"),
        local_broadcast: true,
        cursor_quiet: std::time::Duration::from_millis(33),
        snapshots,
        limits: say::Limits {
            max_message_bytes: 65_536,
            cursor_interval_ms: 33,
            ops_per_s: 0,
            max_objects: 10,
            max_clients: 1_000,
            max_canvas_bytes: 1 << 20,
            max_json_depth: 16,
            max_asset_bytes: None,
        },
        heartbeat_ms: 25_000,
    })
}

/// The room, and the world around it.
pub(super) struct World {
    pub(super) room: State<TestLink>,
    /// Author of each committed message.
    pub(super) log: Vec<ConnId>,
    /// Messages before this one were cleaned up.
    pub(super) oldest: u64,
    pub(super) presence_version: u64,
    pub(super) links: BTreeMap<u64, Arc<TestLink>>,
    pub(super) pending: VecDeque<Effect>,
    pub(super) now: Instant,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            room: State::new(settings(true), InstanceNumber(1)),
            log: Vec::new(),
            oldest: 1,
            presence_version: 0,
            links: BTreeMap::new(),
            pending: VecDeque::new(),
            now: Instant::now(),
        };
        let canvas = Canvas {
            id: CanvasId::parse("c").expect("id"),
            key: CanvasKey(1),
        };
        let head = Position {
            epoch: EPOCH,
            seq: 0,
        };
        world.happens(Event::Opened(Ok(Opened {
            canvas,
            head,
            presence: PresenceTable::default(),
        })));
        world
    }

    pub(super) fn happens(&mut self, event: Event<TestLink>) {
        self.room.handle(event, self.now);
        for effect in self.room.take_effects() {
            match effect {
                // The memory of a real backplane: joins are committed at once here.
                Effect::Append(Entry::Join { author }) => self.commit_join(&author),
                Effect::Append(_) | Effect::CursorTick => {}
                later => self.pending.push_back(later),
            }
        }
    }

    pub(super) fn commit_join(&mut self, author: &Arc<Author>) {
        self.presence_version += 1;
        let change = PresenceChange::Set(member(author, author.conn));
        let event = PresenceEvent {
            version: self.presence_version,
            change,
        };
        self.happens(Event::Delivery(Delivery::Presence(event)));
        self.happens(Event::Delivery(Delivery::Joined {
            conn: author.conn,
            acked_op: Ok(0),
        }));
    }

    pub(super) fn batch(&self, first: u64, last: u64) -> Option<LogBatch> {
        let mut builder = LogBuilder::new(EPOCH, first);
        for seq in first..=last {
            let origin = self.log[usize::try_from(seq - 1).expect("small")];
            builder.push(Kind::Broadcast, origin, seq, "someone-1", 0, b"{\"op\":1}");
        }
        builder.finish()
    }

    pub(super) fn commit(&mut self, n: u64, author: u64, lost: bool) {
        let first = self.log.len() as u64 + 1;
        self.log
            .extend((0..n).map(|_| ConnId::new(InstanceNumber(1), author)));
        let batch = self.batch(first, first + n - 1).expect("not empty");
        if lost {
            self.happens(Event::Lagged(EPOCH, batch.last_seq()));
        } else {
            self.happens(Event::Delivery(Delivery::Log(batch)));
        }
    }

    /// Answers the oldest pending effect.
    pub(super) fn answer(&mut self) -> bool {
        let head = self.log.len() as u64;
        match self.pending.pop_front() {
            None => return false,
            Some(effect @ (Effect::Read(..) | Effect::ReadFor(..))) => {
                let (conn, after) = match effect {
                    Effect::Read(conn, after) => (conn, after),
                    Effect::ReadFor(conn, after, _) => (Some(conn), after),
                    other => unreachable!("{other:?}"),
                };
                let read = if after.seq > head || after.seq + 1 < self.oldest.min(head + 1) {
                    Read::Gone
                } else {
                    Read::Batch(self.batch(after.seq + 1, head.min(after.seq + 3)))
                };
                self.happens(Event::ReadDone(conn, Ok(read)));
            }
            Some(Effect::Snapshot(wanted)) => {
                let at = Position {
                    epoch: EPOCH,
                    seq: head,
                };
                let parts = say::snapshot_parts(EPOCH, head, &[], &[]);
                let parts = Arc::new(Parts::new(at, parts));
                wanted.forms.into_iter().for_each(|form| parts.make(form));
                self.happens(Event::SnapshotDone(Ok(parts)));
            }
            Some(Effect::Retry(retry)) => self.happens(Event::Retry(retry)),
            Some(Effect::Forget) => self.happens(Event::Forget),
            Some(other) => panic!("{other:?}"),
        }
        true
    }

    pub(super) fn join(&mut self, n: u64, since: Option<u64>) {
        let link = TestLink::new(n);
        self.links.insert(n, link.clone());
        let since = since.map(|seq| Position { epoch: EPOCH, seq });
        self.happens(Event::Join { link, since });
    }

    pub(super) fn drain(&mut self, n: u64) {
        let Some(link) = self.links.get(&n) else {
            return;
        };
        if link.drain() {
            let conn = link.author.conn;
            self.happens(Event::Drained(conn));
        }
    }

    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            let answered = self.answer();
            let links: Vec<u64> = self.links.keys().copied().collect();
            let before: usize = self.links.values().map(|l| l.read().len()).sum();
            links.into_iter().for_each(|n| self.drain(n));
            let after: usize = self.links.values().map(|l| l.read().len()).sum();
            if !answered && before == after && self.pending.is_empty() {
                return;
            }
        }
        panic!("never settles");
    }
}

/// The author's client as the presence table has it, with `conn` in its place.
pub(super) fn member(author: &Author, conn: ConnId) -> Member {
    Member {
        client: author.client.clone(),
        conn,
        user: "{}".into(),
        state: None,
        away: false,
    }
}

/// The numbers a client saw are contiguous from its welcome or snapshot on, acks standing for its own; gives the last.
pub(super) fn check(link: &TestLink, since: Option<u64>) -> u64 {
    let mut at = None;
    for m in link.read() {
        let seq = m["seq"].as_u64();
        match m["type"].as_str().expect("type") {
            "welcome" if m["mode"] == "resume" => at = since,
            "welcome" | "resync" => at = None,
            "snapshot" => at = seq,
            "broadcast" | "ack" => {
                let seq = seq.expect("seq");
                assert_eq!(Some(seq), at.map(|at| at + 1), "of {:?}", link.read());
                assert_eq!(m["type"] == "ack", m.get("client").is_none());
                at = Some(seq);
            }
            _ => {}
        }
    }
    at.expect("a place")
}
