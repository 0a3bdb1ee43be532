//! A seeded simulation of one room over a model log: random commits, lost batches, full outboxes, joins with
//! and without `since`, clean-ups and slow reads. Whatever happens, every member sees each number once and in order.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::backplane::{Canvas, LogBuilder, Member, Opened, PresenceChange, PresenceEvent};
use crate::protocol::client_message::Kind;
use crate::protocol::ids::{CanvasId, ClientId, InstanceId};
use crate::room::Latest;
use crate::room::inbox::Parts;

/// A link that keeps what a client would have read.
struct TestLink {
    author: Arc<Author>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Bytes>,
    refused: bool,
    read: Vec<serde_json::Value>,
    flushes: u32,
    closed: Option<CloseCode>,
}

impl TestLink {
    fn new(n: u64) -> Arc<Self> {
        let client = ClientId::parse(&format!("client-{n:04}")).expect("id");
        let author = Author::new(ConnId::new(1, n), client, "{}".into(), String::new());
        Arc::new(Self {
            author: Arc::new(author),
            inner: Mutex::default(),
        })
    }

    /// The client reads all that waits; `true` if the room must be told.
    fn drain(&self) -> bool {
        let mut inner = self.inner.lock();
        while let Some(frames) = inner.waiting.pop_front() {
            inner.read.extend(payloads(&frames));
        }
        std::mem::take(&mut inner.refused)
    }

    fn read(&self) -> Vec<serde_json::Value> {
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
fn payloads(mut frames: &[u8]) -> Vec<serde_json::Value> {
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

const EPOCH: Epoch = Epoch(7);

fn settings(snapshots: bool) -> Arc<Settings> {
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
        },
        heartbeat_ms: 25_000,
    })
}

/// The room, and the world around it.
struct World {
    room: State<TestLink>,
    /// Author of each committed message.
    log: Vec<ConnId>,
    /// Messages before this one were cleaned up.
    oldest: u64,
    presence_version: u64,
    links: BTreeMap<u64, Arc<TestLink>>,
    pending: VecDeque<Effect>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            room: State::new(settings(true), 1),
            log: Vec::new(),
            oldest: 1,
            presence_version: 0,
            links: BTreeMap::new(),
            pending: VecDeque::new(),
            now: Instant::now(),
        };
        let canvas = Canvas {
            id: CanvasId::parse("c").expect("id"),
            key: 1,
        };
        let head = Position {
            epoch: EPOCH,
            seq: 0,
        };
        world.happens(Event::Opened(Ok(Opened {
            canvas,
            head,
            presence_version: 0,
            members: vec![],
        })));
        world
    }

    fn happens(&mut self, event: Event<TestLink>) {
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

    fn commit_join(&mut self, author: &Arc<Author>) {
        self.presence_version += 1;
        let member = Member {
            client: author.client.clone(),
            conn: author.conn,
            user: "{}".into(),
            state: None,
            away: false,
        };
        let change = PresenceChange::Set(member);
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

    fn batch(&self, first: u64, last: u64) -> Option<LogBatch> {
        let mut builder = LogBuilder::new(EPOCH, first);
        for seq in first..=last {
            let origin = self.log[usize::try_from(seq - 1).expect("small")];
            builder.push(Kind::Broadcast, origin, seq, "someone-1", 0, b"{\"op\":1}");
        }
        builder.finish()
    }

    fn commit(&mut self, n: u64, author: u64, lost: bool) {
        let first = self.log.len() as u64 + 1;
        self.log.extend((0..n).map(|_| ConnId::new(1, author)));
        let batch = self.batch(first, first + n - 1).expect("not empty");
        if lost {
            self.happens(Event::Lagged(EPOCH, batch.last_seq()));
        } else {
            self.happens(Event::Delivery(Delivery::Log(batch)));
        }
    }

    /// Answers the oldest pending effect.
    fn answer(&mut self) -> bool {
        let head = self.log.len() as u64;
        match self.pending.pop_front() {
            None => return false,
            Some(Effect::Read(conn, after)) => {
                let read = if after.seq > head || after.seq + 1 < self.oldest.min(head + 1) {
                    Read::Gone
                } else {
                    Read::Batch(self.batch(after.seq + 1, head.min(after.seq + 3)))
                };
                self.happens(Event::ReadDone(conn, Ok(read)));
            }
            Some(Effect::Snapshot) => {
                let at = Position {
                    epoch: EPOCH,
                    seq: head,
                };
                let parts = say::snapshot_parts(EPOCH, head, &[], &[]);
                self.happens(Event::SnapshotDone(Ok(Arc::new(Parts { at, parts }))));
            }
            Some(Effect::Retry(retry)) => self.happens(Event::Retry(retry)),
            Some(other) => panic!("{other:?}"),
        }
        true
    }

    fn join(&mut self, n: u64, since: Option<u64>) {
        let link = TestLink::new(n);
        self.links.insert(n, link.clone());
        let since = since.map(|seq| Position { epoch: EPOCH, seq });
        self.happens(Event::Join { link, since });
    }

    fn drain(&mut self, n: u64) {
        let Some(link) = self.links.get(&n) else {
            return;
        };
        if link.drain() {
            let conn = link.author.conn;
            self.happens(Event::Drained(conn));
        }
    }

    fn settle(&mut self) {
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

/// The numbers a client saw are contiguous from its welcome or snapshot on, acks standing for its own; gives the last.
fn check(link: &TestLink, since: Option<u64>) -> u64 {
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

#[derive(Debug, Clone)]
enum Step {
    Commit(u64, u64, bool),
    Answer,
    Drain(u64),
    Join(Option<u64>),
    CleanUp,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..4_u64, 0..6_u64, prop::bool::weighted(0.2)).prop_map(|(n, a, l)| Step::Commit(n, a, l)),
        3 => Just(Step::Answer),
        3 => (0..6_u64).prop_map(Step::Drain),
        1 => prop::option::of(0..20_u64).prop_map(Step::Join),
        1 => Just(Step::CleanUp),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn every_member_sees_each_message_once_in_order(steps in steps()) {
        let mut world = World::new();
        let mut sinces = BTreeMap::new();
        for step in steps {
            match step {
                Step::Commit(n, author, lost) => world.commit(n, author, lost),
                Step::Answer => { world.answer(); }
                Step::Drain(n) => world.drain(n),
                Step::Join(since) => {
                    let n = sinces.len() as u64;
                    let since = since.filter(|seq| *seq <= world.log.len() as u64);
                    sinces.insert(n, since);
                    world.join(n, since);
                }
                Step::CleanUp => world.oldest = (world.log.len() as u64).max(1),
            }
        }
        world.settle();
        let head = world.log.len() as u64;
        for (n, link) in &world.links {
            prop_assert_eq!(check(link, sinces[n]), head, "link {} of {:?}", n, link.read());
        }
    }
}

#[test]
fn an_author_gets_its_ack_in_the_messages_place() {
    let mut world = World::new();
    world.join(1, None);
    world.join(2, None);
    world.commit(1, 1, false);
    world.commit(1, 2, false);
    world.settle();
    let kinds = |n: u64| -> Vec<String> {
        let read = world.links[&n].read();
        read.iter()
            .filter(|m| m["seq"].as_u64() > Some(0))
            .map(|m| m["type"].to_string())
            .collect()
    };
    assert_eq!(kinds(1), ["\"ack\"", "\"broadcast\""]);
    assert_eq!(kinds(2), ["\"broadcast\"", "\"ack\""]);
}

#[test]
fn a_newer_connection_of_a_client_replaces_the_older() {
    let mut world = World::new();
    world.join(1, None);
    let author = &world.links[&1].author;
    let member = Member {
        client: author.client.clone(),
        conn: ConnId::new(2, 9),
        user: "{}".into(),
        state: None,
        away: false,
    };
    let event = PresenceEvent {
        version: 2,
        change: PresenceChange::Set(member),
    };
    world.happens(Event::Delivery(Delivery::Presence(event)));
    assert_eq!(
        world.links[&1].inner.lock().closed,
        Some(CloseCode::Replaced)
    );
}

/// What the backplane delivers between deciding on the opening and the room's hearing of it is not lost.
#[test]
fn a_room_reads_what_came_while_it_was_opened() {
    let mut room: State<TestLink> = State::new(settings(true), 1);
    let now = Instant::now();
    let mut batch = LogBuilder::new(EPOCH, 1);
    batch.push(
        Kind::Broadcast,
        ConnId::new(2, 1),
        1,
        "someone-1",
        0,
        b"{\"op\":1}",
    );
    let change = PresenceChange::Gone {
        client: ClientId::parse("someone-1").expect("id"),
        reason: say::LeaveReason::Left,
    };
    let event = PresenceEvent { version: 8, change };
    let early = [
        Delivery::Log(batch.finish().expect("a batch")),
        Delivery::Presence(event),
    ];
    for delivery in early {
        room.handle(Event::Delivery(delivery), now);
    }
    assert!(room.take_effects().is_empty(), "it could not ask yet");
    let canvas = Canvas {
        id: CanvasId::parse("c").expect("id"),
        key: 1,
    };
    let (head, members) = (
        Position {
            epoch: EPOCH,
            seq: 0,
        },
        vec![],
    );
    let opened = Opened {
        canvas,
        head,
        presence_version: 7,
        members,
    };
    room.handle(Event::Opened(Ok(opened)), now);
    let asked = room.take_effects();
    assert!(
        matches!(asked[..], [Effect::Read(None, _), Effect::Members]),
        "{asked:?}"
    );
}

/// A change that comes while the table is being read may be newer than what was read.
#[test]
fn the_table_is_read_until_nothing_of_it_is_missed() {
    let mut room = opened_room();
    let now = Instant::now();
    let gone = |version| {
        let client = ClientId::parse("someone-1").expect("id");
        let reason = say::LeaveReason::Left;
        let change = PresenceChange::Gone { client, reason };
        Event::Delivery(Delivery::Presence(PresenceEvent { version, change }))
    };
    room.handle(gone(9), now);
    assert!(matches!(room.take_effects()[..], [Effect::Members]));
    room.handle(gone(10), now);
    assert!(room.take_effects().is_empty(), "one read at a time");
    room.handle(Event::MembersDone(Ok((9, vec![]))), now);
    assert!(matches!(room.take_effects()[..], [Effect::Members]));
    room.handle(Event::MembersDone(Ok((10, vec![]))), now);
    assert!(room.take_effects().is_empty());
}

/// A room whose presence table is at 7.
fn opened_room() -> State<TestLink> {
    let mut room = State::new(settings(true), 1);
    let id = CanvasId::parse("c").expect("id");
    let opened = Opened {
        canvas: Canvas { id, key: 1 },
        head: Position {
            epoch: EPOCH,
            seq: 0,
        },
        presence_version: 7,
        members: vec![],
    };
    room.handle(Event::Opened(Ok(opened)), Instant::now());
    room
}

#[test]
fn a_large_room_is_written_to_in_parts_and_everybody_once() {
    for members in [1, 31, 32, 33, 100] {
        let mut world = World::new();
        let links: Vec<_> = (0..members).map(TestLink::new).collect();
        for link in &links {
            let (link, since) = (link.clone(), None);
            world.happens(Event::Join { link, since });
        }
        let (mut parts, mut written) = (1, world.room.flush_after(None));
        while written.is_some() {
            (parts, written) = (parts + 1, world.room.flush_after(written));
        }
        assert_eq!(parts, members.div_ceil(32), "{members}");
        assert!(links.iter().all(|link| link.inner.lock().flushes == 1));
    }
}
