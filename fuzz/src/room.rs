//! Two rooms of one canvas over the pure canvas, with real outboxes for sockets: any order of joins, messages, losses,
//! slow reads, failed reads and clean-ups. Each member sees each message once and in order, and knows who is here.

mod member;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scumble::backplane::{Author, Canvas, Delivery, End, Entry, LogBatch, Opened, Unavailable};
use scumble::canvas::{CanvasState, Rules, bounds::ObjectBounds};
use scumble::protocol::client_message::{ClientMessage, parse};
use scumble::protocol::ids::{CanvasId, ClientId, ConnId, Epoch, InstanceId, Position};
use scumble::protocol::server_message::{self as say, Limits, snapshot_parts};
use scumble::room::Settings;
use scumble::room::inbox::Event;
use scumble::room::parts::Parts;
use scumble::room::state::{Effect, State};
use serde_json::Value;

use super::frames::{Frame, take};
use super::input::Input;
use member::{Member, number};

const EPOCH: Epoch = Epoch(7);
const ROOMS: usize = 2;
const CLIENTS: u8 = 4;
const MESSAGES: [&str; 6] = [
    r#""type":"object-create","object":{"id":"a","kind":"k","x":1}}"#,
    r#""type":"object-create","object":{"id":"b","kind":"k","long":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}"#,
    r#""type":"object-update","id":"a","patch":{"x":{"y":[1]},"__proto__":null}}"#,
    r#""type":"object-delete","id":"b"}"#,
    r#""type":"chat","text":"hello"}"#,
    r#""type":"broadcast","event":"e","data":[1,2,3]}"#,
];

fn settings(instance: usize, local_broadcast: bool) -> Arc<Settings> {
    Arc::new(Settings {
        instance: InstanceId::parse(&format!("i{instance}")).expect("an id"),
        local_broadcast,
        cursor_quiet: Duration::from_millis(33),
        snapshots: true,
        limits: Limits {
            max_message_bytes: 65_536,
            cursor_interval_ms: 33,
            ops_per_s: 0,
            max_objects: 10,
            max_clients: 10,
            max_canvas_bytes: 1 << 20,
            max_json_depth: 16,
            max_asset_bytes: None,
        },
        heartbeat_ms: 25_000,
    })
}

/// A room, what waits for it, and what it asked for.
struct Room {
    state: State<Member>,
    opened: bool,
    /// The backplane delivers to it; its answer to the opening may still be on the way.
    opening: Option<Opened>,
    attached: bool,
    inbox: VecDeque<Event<Member>>,
    /// `None`: opening the canvas.
    asked: VecDeque<Option<Effect>>,
}

struct World {
    canvas: CanvasState,
    rooms: Vec<Room>,
    members: BTreeMap<ConnId, Arc<Member>>,
    /// All that was ever committed, in order.
    committed: Vec<Value>,
    now: Instant,
    now_ms: i64,
    conns: u64,
}

/// One life of two rooms.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.below(4);
    let mut world = World::new(flags & 1 > 0);
    if flags & 2 > 0 {
        (0..2 * ROOMS).for_each(|n| world.answer(n / 2, false));
    }
    // Each step costs at most a few microseconds; a run stays short whatever the input.
    for _ in 0..2_000 {
        let Some(step) = input.byte() else { break };
        world.step(step, &mut input);
    }
    world.settle();
    world.check();
}

impl World {
    fn new(local_broadcast: bool) -> Self {
        let rules = Rules {
            message_ttl_ms: 1_000,
            presence_grace_ms: 500,
            bounds: ObjectBounds {
                max_objects: 10,
                max_bytes: 1 << 20,
            },
        };
        let room = |n| Room {
            state: State::new(settings(n, local_broadcast), number(n)),
            opened: false,
            opening: None,
            attached: false,
            inbox: VecDeque::new(),
            asked: VecDeque::from([None]),
        };
        Self {
            canvas: CanvasState::new(EPOCH, rules),
            rooms: (0..ROOMS).map(room).collect(),
            members: BTreeMap::new(),
            committed: Vec::new(),
            now: Instant::now(),
            now_ms: 1_000_000,
            conns: 0,
        }
    }

    fn step(&mut self, step: u8, input: &mut Input<'_>) {
        let room = usize::from(input.below(2));
        match step % 13 {
            0 | 1 => self.join(room, input),
            2..=4 => self.durable(input),
            5 => self.ephemeral(input),
            6 | 7 => self.deliver(room, usize::from(input.below(8))),
            8 => self.answer(room, false),
            9 => self.answer(room, input.below(2) > 0),
            10 => self.read_some(input),
            11 => self.lose(room),
            _ => match input.below(4) {
                0 => self.pass(u64::from(input.below(255)) * 10),
                1 => self.end_one(input),
                _ => self.pass(u64::from(input.below(100))),
            },
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.now_ms += i64::try_from(ms).expect("a while");
        let mut out = Vec::new();
        self.canvas.tick(self.now_ms, &mut out);
        self.hand_out(out);
    }

    fn join(&mut self, room: usize, input: &mut Input<'_>) {
        if self.members.len() > 12 {
            return;
        }
        self.conns += 1;
        let client =
            ClientId::parse(&format!("client-{:02}", input.below(CLIENTS))).expect("an id");
        let conn = ConnId::new(number(room), self.conns);
        let author = Author::new(conn, client, "{}".into(), String::new());
        let since = (input.below(3) > 0).then(|| Position {
            epoch: if input.below(8) == 0 { Epoch(8) } else { EPOCH },
            seq: u64::from(input.below(40)),
        });
        // What a client holds it was given: never more than there is.
        let since = since.filter(|since| since.seq <= self.canvas.head().seq);
        let link = Arc::new(Member::new(room, author, since.map(|since| since.seq)));
        self.members.insert(conn, link.clone());
        self.rooms[room]
            .inbox
            .push_back(Event::Join { link, since });
    }

    fn some_member(&self, input: &mut Input<'_>) -> Option<Arc<Member>> {
        let n = usize::from(input.byte()?);
        let open = self.members.values().filter(|member| member.is_open());
        let open: Vec<_> = open.collect();
        (!open.is_empty()).then(|| open[n % open.len()].clone())
    }

    fn durable(&mut self, input: &mut Input<'_>) {
        let Some(member) = self.some_member(input).filter(|m| m.is_welcome()) else {
            return;
        };
        let again = input.below(8) == 0;
        let op = member.next_op(again);
        let text = MESSAGES[usize::from(input.below(6))];
        let Ok(ClientMessage::Durable(message)) = parse(&format!(r#"{{"op":{op},{text}"#)) else {
            panic!("{text}")
        };
        let author = member.author.clone();
        self.append(member.room, Entry::Durable { author, message });
    }

    fn ephemeral(&mut self, input: &mut Input<'_>) {
        let Some(member) = self.some_member(input) else {
            return;
        };
        let conn = member.author.conn;
        let event = match input.below(3) {
            0 => Event::Cursor(conn, format!(r#""x":{},"y":1"#, input.below(9))),
            1 => Event::Presence(conn, format!(r#"{{"n":{},"m":null}}"#, input.below(9))),
            _ => {
                let body = r#""event":"e","data":1"#;
                let mut frames = Vec::new();
                let bodies = vec![say::signal(&mut frames, &member.author.client, body)];
                let frames = frames.into();
                Event::Signals {
                    conn,
                    frames,
                    bodies,
                }
            }
        };
        self.rooms[member.room].inbox.push_back(event);
    }

    /// A connection ends, from its own side.
    fn end_one(&mut self, input: &mut Input<'_>) {
        if let Some(member) = self.some_member(input) {
            let ends = [End::Lost, End::Clean];
            self.leave(&member, ends[usize::from(input.below(2))]);
        }
    }

    fn leave(&mut self, member: &Arc<Member>, end: End) {
        let conn = member.author.conn;
        self.members.remove(&conn);
        self.rooms[member.room]
            .inbox
            .push_back(Event::Leave { conn, end });
    }

    fn append(&mut self, room: usize, entry: Entry) {
        let mut out = Vec::new();
        self.canvas
            .apply(number(room), entry, self.now_ms, &mut out);
        self.hand_out(out);
    }

    /// As a backplane does: answers to who asked, everything else to all.
    fn hand_out(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            if let Delivery::Log(batch) = &delivery {
                self.note(batch);
            }
            for (n, room) in self.rooms.iter_mut().enumerate() {
                let only = match &delivery {
                    Delivery::Joined { conn, .. } | Delivery::Outcome { conn, .. } => {
                        conn.instance()
                    }
                    _ => number(n),
                };
                if only == number(n) && room.attached {
                    room.inbox.push_back(Event::Delivery(delivery.clone()));
                }
            }
        }
    }

    fn note(&mut self, batch: &LogBatch) {
        let mut frames = &batch.frames[..];
        while let Some(Frame::Text(message)) = take(&mut frames) {
            self.committed.push(message);
            assert_eq!(
                self.committed.len() as u64,
                self.committed.last().expect("it")["seq"]
            );
        }
    }

    /// A full inbox: log batches that wait are dropped, and the room is told up to where.
    fn lose(&mut self, room: usize) {
        let room = &mut self.rooms[room];
        let mut lost = None;
        room.inbox.retain(|event| match event {
            Event::Delivery(Delivery::Log(batch)) => {
                lost = Some((batch.epoch, batch.last_seq()));
                false
            }
            _ => true,
        });
        if let Some((epoch, seq)) = lost {
            room.inbox.push_back(Event::Lagged(epoch, seq));
        }
    }

    fn deliver(&mut self, room: usize, most: usize) {
        for _ in 0..=most {
            let Some(event) = self.rooms[room].inbox.pop_front() else {
                break;
            };
            if matches!(event, Event::Opened(Ok(_))) {
                self.rooms[room].opened = true;
            }
            self.rooms[room].state.handle(event, self.now);
        }
        self.effects(room);
        self.rooms[room].state.flush();
        // Who was told to go goes.
        let closed: Vec<_> = self
            .members
            .values()
            .filter(|member| !member.is_open())
            .cloned()
            .collect();
        closed
            .iter()
            .for_each(|member| self.leave(member, End::Lost));
    }

    fn effects(&mut self, room: usize) {
        loop {
            let effects = self.rooms[room].state.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                // Without the canvas's key the actor can ask for nothing.
                let opened = self.rooms[room].opened;
                match effect {
                    Effect::Append(entry) if opened => self.append(room, entry),
                    Effect::Retry(_) | Effect::CursorTick => {
                        self.rooms[room].asked.push_back(Some(effect))
                    }
                    _ if !opened => {}
                    _ => self.rooms[room].asked.push_back(Some(effect)),
                }
            }
        }
    }

    /// Answers what a room asked for first.
    fn answer(&mut self, room: usize, fails: bool) {
        let no = || Unavailable::NotNow("not now".to_owned());
        let Some(asked) = self.rooms[room].asked.pop_front() else {
            return;
        };
        let event = match asked {
            None if fails => {
                self.rooms[room].asked.push_front(None);
                return;
            }
            None => {
                let opened = self.open();
                match self.rooms[room].opening.take() {
                    Some(opened) => Event::Opened(Ok(opened)),
                    None => {
                        let room = &mut self.rooms[room];
                        (room.opening, room.attached) = (Some(opened), true);
                        return room.asked.push_front(None);
                    }
                }
            }
            Some(Effect::Read(conn, _)) if fails => Event::ReadDone(conn, Err(no())),
            Some(Effect::Read(conn, after)) => {
                Event::ReadDone(conn, Ok(self.canvas.read(after, 200)))
            }
            Some(Effect::ReadFor(conn, ..)) if fails => Event::ReadDone(Some(conn), Err(no())),
            Some(Effect::ReadFor(conn, after, understood)) => {
                Event::ReadDone(Some(conn), Ok(self.canvas.read_for(after, understood, 200)))
            }
            Some(Effect::Snapshot(_)) if fails => Event::SnapshotDone(Err(no())),
            Some(Effect::Snapshot(_)) => {
                let now = self.canvas.snapshot();
                let objects: Vec<&str> = now.objects.iter().map(|object| &**object).collect();
                let parts = snapshot_parts(now.at.epoch, now.at.seq, &objects, &now.chat);
                Event::SnapshotDone(Ok(Arc::new(Parts::new(now.at, parts))))
            }
            Some(Effect::Members) if fails => Event::MembersDone(Err(no())),
            Some(Effect::Members) => Event::MembersDone(Ok(self.canvas.members())),
            Some(Effect::Retry(retry)) => Event::Retry(retry),
            Some(Effect::Forget) => Event::Forget,
            Some(Effect::CursorTick) => Event::CursorTick,
            Some(Effect::Append(_)) => unreachable!("appended at once"),
        };
        self.rooms[room].inbox.push_back(event);
    }

    fn open(&self) -> Opened {
        let canvas = Canvas {
            id: CanvasId::parse("c").expect("an id"),
            key: scumble::backplane::CanvasKey(1),
        };
        let head = self.canvas.head();
        Opened {
            canvas,
            head,
            presence: self.canvas.members(),
        }
    }

    fn read_some(&mut self, input: &mut Input<'_>) {
        if let Some(member) = self.some_member(input) {
            self.drain(&member, usize::from(input.below(255)) * 4);
        }
    }

    fn drain(&mut self, member: &Member, most: usize) -> bool {
        let (taken, drained) = member.read(most);
        if drained {
            let conn = member.author.conn;
            self.rooms[member.room]
                .inbox
                .push_back(Event::Drained(conn));
        }
        taken > 0 || drained
    }

    /// Lets everything happen that is to happen.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            let mut busy = false;
            for room in 0..ROOMS {
                busy |= !self.rooms[room].inbox.is_empty() || !self.rooms[room].asked.is_empty();
                self.deliver(room, 1_000);
                self.answer(room, false);
            }
            let members: Vec<_> = self.members.values().cloned().collect();
            for member in members {
                busy |= self.drain(&member, 10_000);
            }
            if !busy {
                return;
            }
        }
        panic!("it never settles");
    }

    fn check(&self) {
        let head = self.canvas.head().seq;
        assert_eq!(head, self.committed.len() as u64);
        let present = self.canvas.members().members;
        for member in self.members.values() {
            member.check(head, &self.committed, &present);
        }
        for (n, room) in self.rooms.iter().enumerate() {
            let here = self.members.values().any(|member| member.room == n);
            assert_eq!(
                room.state.is_empty(),
                !here,
                "a room is empty when nobody is in it"
            );
        }
    }
}
