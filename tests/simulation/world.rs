//! Everything around the rooms: instances with their writers and pollers, the file they share, time, and what goes wrong.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scumble::backplane::object_bounds::ObjectBounds;
use scumble::backplane::{Author, Canvas, Delivery, Entry, Opened, Unavailable};
use scumble::memory::canvas::{CanvasState, Rules};
use scumble::protocol::client_message::{ClientMessage, parse};
use scumble::protocol::ids::{CanvasId, ClientId, ConnId, Epoch, InstanceId, Position};
use scumble::protocol::server_message::{ErrorCode, Limits, snapshot_parts};
use scumble::room::Settings;
use scumble::room::inbox::{Event, Parts};
use scumble::room::state::{About, Effect, State};
use serde_json::Value;

use crate::client::Client;
use crate::link::Wire;
use crate::random::Random;

/// Virtual milliseconds: how long things go wrong.
const TROUBLE_MS: u64 = 20_000;
/// A row is told for so long.
const TTL_MS: i64 = 3_000;
/// Longer than this nothing may take to come to rest.
const REST_MS: u64 = 60_000;
const RETRY_MS: u64 = 100;
const POLL_MS: u64 = 50;

type Deed = Box<dyn FnOnce(&mut World)>;

/// An instance: its one room, and what waits for its writer.
struct Instance {
    number: u32,
    room: Option<State<Wire>>,
    /// The room is there and is told things, but does not know yet where it began.
    opening: bool,
    waiting: VecDeque<Entry>,
    committing: bool,
    /// Rows of the file that were delivered.
    position: usize,
    /// What the room was told, to compare with the tables.
    told: (u64, u64),
    /// It does nothing until then.
    stopped_until: u64,
    held: Vec<Arc<Author>>,
}

/// A committed row, or an answer that only its own instance tells.
struct Row {
    at_ms: u64,
    instance: u32,
    delivery: Delivery,
}

/// See the module's head.
pub struct World {
    pub seed: u64,
    pub clients: Vec<Client>,
    pub canvas: CanvasState,
    random: Random,
    now: u64,
    begun: Instant,
    deeds: BTreeMap<(u64, u64), Deed>,
    count: u64,
    rows: Vec<Row>,
    instances: Vec<Instance>,
    next_number: u32,
    next_conn: u64,
}

impl World {
    /// Plays a seed to its end.
    pub fn play(seed: u64) -> Self {
        let mut random = Random::seeded(seed);
        let (instances, clients) = (2 + random.below(3), 3 + random.below(5));
        let rules = Rules {
            message_ttl_ms: TTL_MS,
            presence_grace_ms: 1_000,
            bounds: ObjectBounds {
                max_objects: 50,
                max_bytes: 1 << 20,
            },
        };
        let mut world = Self {
            seed,
            clients: (0..clients).map(Client::new).collect(),
            canvas: CanvasState::new(Epoch(7), rules),
            random,
            now: 0,
            begun: Instant::now(),
            deeds: BTreeMap::new(),
            count: 0,
            rows: Vec::new(),
            instances: Vec::new(),
            next_number: 1,
            next_conn: 1,
        };
        for at in 0..usize::try_from(instances).expect("few") {
            let instance = world.new_instance();
            world.instances.push(instance);
            world.poll(at);
        }
        for n in 0..world.clients.len() {
            world.later(1, 500, move |world| world.come(n));
        }
        world.later(100, 1_000, Self::trouble);
        world.run();
        world
    }

    /// What two plays of one seed have in common.
    pub fn trace(&self) -> Vec<(String, u64, u64, usize)> {
        let one = |c: &Client| (c.id.clone(), c.seq, c.op, c.streams.len());
        self.clients.iter().map(one).collect()
    }

    fn run(&mut self) {
        while let Some(((at, _), deed)) = self.deeds.pop_first() {
            self.now = at;
            if self.over() && self.at_rest() {
                return;
            }
            if at > TROUBLE_MS + REST_MS {
                self.restless();
            }
            deed(self);
        }
    }

    fn restless(&self) -> ! {
        let head = self.canvas.head().seq;
        let client = |c: &Client| {
            let waits = c.pending.keys().collect::<Vec<_>>();
            let (id, seq, roster) = (&c.id, c.seq, &c.roster);
            format!(
                "{id} at {seq} waits for {waits:?} refused {} sees {roster:?}\n",
                c.refused
            )
        };
        let clients: String = self.clients.iter().map(client).collect();
        panic!(
            "seed {}: it never comes to rest. Head {head}\n{clients}{:?}",
            self.seed,
            self.canvas.members()
        );
    }

    fn over(&self) -> bool {
        self.now > TROUBLE_MS
    }

    /// Everybody is there, at the end, and nothing is on its way but polls.
    fn at_rest(&self) -> bool {
        let (head, here) = (self.canvas.head().seq, self.canvas.members().1.len());
        let rest = |c: &Client| {
            c.welcomed && c.pending.is_empty() && c.seq == head && c.roster.len() == here
        };
        let quiet = |i: &Instance| i.waiting.is_empty() && i.position == self.rows.len();
        self.clients.iter().all(rest)
            && self.instances.iter().all(quiet)
            && self
                .clients
                .iter()
                .all(|c| c.roster.values().all(|away| !away))
            && here == self.clients.len()
    }

    /// Has something done after at least `min` and less than `max` milliseconds.
    fn later(&mut self, min: u64, max: u64, deed: impl FnOnce(&mut Self) + 'static) {
        let at = self.now + min + self.random.below(max - min);
        self.count += 1;
        self.deeds.insert((at, self.count), Box::new(deed));
    }

    /// The same, for an instance: not while it is stopped, and never if it has died meanwhile.
    fn at_instance(
        &mut self,
        at: usize,
        (min, max): (u64, u64),
        deed: impl FnOnce(&mut Self) + 'static,
    ) {
        let number = self.instances[at].number;
        self.later(min, max, move |world| {
            let instance = &world.instances[at];
            if instance.number != number {
                return;
            }
            let wait = instance.stopped_until.saturating_sub(world.now);
            if wait > 0 {
                world.at_instance(at, (wait, wait + 1), deed);
            } else {
                deed(world);
            }
        });
    }

    fn one_in(&mut self, n: u64) -> bool {
        !self.over() && self.random.below(n) == 0
    }

    fn new_instance(&mut self) -> Instance {
        self.next_number += 1;
        Instance {
            number: self.next_number - 1,
            room: None,
            opening: false,
            waiting: VecDeque::new(),
            committing: false,
            position: self.rows.len(),
            told: (0, 0),
            stopped_until: 0,
            held: Vec::new(),
        }
    }

    // --- What goes wrong.

    fn trouble(&mut self) {
        if self.over() {
            return;
        }
        let at = usize::try_from(self.random.below(self.instances.len() as u64)).expect("few");
        match self.random.below(6) {
            0 => self.die(at),
            1 | 2 => {
                let ms = 50 + self.random.below(5_000);
                self.instances[at].stopped_until = self.now + ms;
            }
            _ => {
                let n = usize::try_from(self.random.below(self.clients.len() as u64)).expect("few");
                self.cut(n);
            }
        }
        self.later(100, 1_500, Self::trouble);
    }

    /// kill -9: what waits is lost, connections are gone; peers turn its clients away.
    fn die(&mut self, at: usize) {
        let fresh = self.new_instance();
        let dead = std::mem::replace(&mut self.instances[at], fresh);
        for n in 0..self.clients.len() {
            if self.clients[n]
                .wire
                .as_ref()
                .is_some_and(|(i, ..)| *i == at)
            {
                self.clients[n].cut();
                self.later(1, 400, move |world| world.come(n));
            }
        }
        let number = dead.number;
        self.later(50, 800, move |world| {
            for author in dead.held {
                world.commit(
                    number,
                    Entry::Leave {
                        author,
                        clean: false,
                    },
                );
            }
            world.wake_all();
        });
        self.poll(at);
    }

    /// A connection is gone; its instance hears of it later.
    fn cut(&mut self, n: usize) {
        if let Some((at, _, wire)) = self.clients[n].wire.clone() {
            self.clients[n].cut();
            let conn = conn(&wire);
            self.at_instance(at, (0, 300), move |world| {
                world.event(at, Event::Leave { conn, clean: false });
            });
            self.later(1, 600, move |world| world.come(n));
        }
    }

    // --- Clients.

    fn come(&mut self, n: usize) {
        if self.clients[n].wire.is_some() {
            return;
        }
        let at = usize::try_from(self.random.below(self.instances.len() as u64)).expect("few");
        let number = self.instances[at].number;
        self.next_conn += 1;
        let client = ClientId::parse(&self.clients[n].id).expect("an id");
        let conn = ConnId::new(number, self.next_conn);
        let author = Arc::new(Author::new(conn, client, "{}".into(), String::new()));
        let wire = Wire::new(author.clone());
        let turn = self.next_conn;
        self.clients[n].wire = Some((at, turn, wire.clone()));
        let since = self.clients[n].since().map(|(epoch, seq)| Position {
            epoch: Epoch::parse(&epoch).expect("an epoch"),
            seq,
        });
        self.at_instance(at, (0, 5), move |world| {
            world.instances[at].held.push(author);
            world.event(at, Event::Join { link: wire, since });
        });
        self.later(1, 10, move |world| world.read(n, turn));
    }

    /// The client reads, some more slowly than others; then it writes.
    fn read(&mut self, n: usize, turn: u64) {
        let Some((at, _, wire)) = self.clients[n].wire.clone().filter(|(_, t, _)| *t == turn)
        else {
            return;
        };
        let slow = n % 3 == 2 && !self.over();
        let (messages, drained) = wire.read(if slow { 1 } else { 50 });
        let fresh = !self.clients[n].welcomed;
        for message in messages {
            self.clients[n].take(message);
        }
        if drained {
            let conn = conn(&wire);
            self.at_instance(at, (0, 2), move |world| {
                world.event(at, Event::Drained(conn))
            });
        }
        if wire.is_over() {
            self.clients[n].cut();
            return self.later(100, 400, move |world| world.come(n));
        }
        if self.clients[n].welcomed {
            self.speak(n, turn, fresh);
        }
        let (min, max) = if slow { (20, 200) } else { (1, 20) };
        self.later(min, max, move |world| world.read(n, turn));
    }

    fn speak(&mut self, n: usize, turn: u64, fresh: bool) {
        let mut out = Vec::new();
        if fresh || (self.clients[n].refused && self.random.below(3) == 0) {
            self.clients[n].refused = false;
            out.extend(self.clients[n].pending.values().cloned());
        }
        if !self.over() && self.clients[n].pending.len() < 20 && self.random.below(4) == 0 {
            for _ in 0..1 + self.random.below(4) {
                let message = self.random.message();
                out.push(self.clients[n].write(message));
            }
        }
        let (at, _, wire) = self.clients[n].wire.clone().expect("it is connected");
        if self.one_in(10) {
            let (conn, Value::Object(mut fields)) = (conn(&wire), Client::cursor(self.now)) else {
                return;
            };
            fields.remove("type");
            let text = Value::Object(fields).to_string();
            let inside = text[1..text.len() - 1].to_owned();
            self.at_instance(at, (0, 3), move |world| {
                world.event(at, Event::Cursor(conn, inside))
            });
        }
        if !out.is_empty() {
            // One connection keeps its order, whatever is late.
            wire.send(out);
            self.at_instance(at, (0, 1), move |world| world.hear(at, n, turn, &wire));
        }
    }

    /// The instance hears ops, all that were sent together.
    fn hear(&mut self, at: usize, n: usize, turn: u64, wire: &Arc<Wire>) {
        use scumble::room::Link;
        let gone = self.clients[n]
            .wire
            .as_ref()
            .is_none_or(|(_, t, _)| *t != turn);
        for op in wire.sent() {
            // What was on its way when the connection broke arrives up to some point.
            if gone && self.random.below(2) == 0 {
                wire.cut();
                return;
            }
            let Ok(ClientMessage::Durable(message)) = parse(&op.to_string()) else {
                panic!("{op}");
            };
            let (author, op) = (wire.author().clone(), message.op);
            let refusal = match author.admits(op) {
                Err(refusal) => Some(refusal),
                Ok(()) if self.one_in(25) => {
                    if !author.has_taken(op) {
                        author.hold(op, ErrorCode::Overloaded);
                    }
                    Some(overloaded())
                }
                Ok(()) => {
                    author.take(op);
                    None
                }
            };
            match refusal {
                Some(r) => wire.reply(scumble::protocol::server_message::error(
                    r.code,
                    &r.message,
                    Some(op),
                    r.retry_after_ms,
                )),
                None => self.append(at, Entry::Durable { author, message }),
            }
        }
    }

    // --- Instances.

    fn event(&mut self, at: usize, event: Event<Wire>) {
        if self.instances[at].room.is_none() {
            if !matches!(event, Event::Join { .. }) {
                return;
            }
            self.open(at);
        }
        let now = self.begun + Duration::from_millis(self.now);
        let instance = &mut self.instances[at];
        let Some(room) = &mut instance.room else {
            return;
        };
        room.handle(event, now);
        let effects = room.take_effects();
        if room.is_empty() && !instance.opening {
            instance.room = None;
        }
        for effect in effects {
            self.effect(at, effect);
        }
    }

    /// A room begins where the file is now.
    fn open(&mut self, at: usize) {
        let settings = Arc::new(settings());
        let (presence_version, members) = self.canvas.members();
        let head = self.canvas.head();
        let instance = &mut self.instances[at];
        instance.room = Some(State::new(settings, instance.number));
        instance.position = self.rows.len();
        instance.told = (head.seq, presence_version);
        let canvas = Canvas {
            id: CanvasId::parse("board").expect("an id"),
            key: 1,
        };
        let opened = Opened {
            canvas,
            head,
            presence_version,
            members,
        };
        self.instances[at].opening = true;
        // Read now, told later: what is committed in between is told before.
        self.at_instance(at, (0, 12), move |world| {
            world.event(at, Event::Opened(Ok(opened)));
            world.instances[at].opening = false;
        });
    }

    fn effect(&mut self, at: usize, effect: Effect) {
        let took = (1, 30);
        let fails = self.one_in(15);
        let broken = || Unavailable("not now".to_owned());
        match effect {
            Effect::Append(entry) => self.append(at, entry),
            Effect::Read(conn, after) => self.at_instance(at, took, move |world| {
                world.tick();
                let read = world.canvas.read(after, 400);
                let read = if fails { Err(broken()) } else { Ok(read) };
                world.event(at, Event::ReadDone(conn, read));
            }),
            Effect::Snapshot => self.at_instance(at, took, move |world| {
                let s = world.canvas.snapshot();
                let parts = snapshot_parts(s.at.epoch, s.at.seq, &s.objects, &s.chat);
                let parts = Arc::new(Parts { at: s.at, parts });
                // Read now, told later: what is committed in between follows it.
                world.at_instance(at, (0, 30), move |world| {
                    let parts = if fails { Err(broken()) } else { Ok(parts) };
                    world.event(at, Event::SnapshotDone(parts));
                });
            }),
            Effect::Members => self.at_instance(at, took, move |world| {
                let members = if fails {
                    Err(broken())
                } else {
                    Ok(world.canvas.members())
                };
                world.event(at, Event::MembersDone(members));
            }),
            Effect::Retry(retry) => self.at_instance(at, (RETRY_MS, RETRY_MS + 1), move |world| {
                world.event(at, Event::Retry(retry));
            }),
            Effect::CursorTick => self.at_instance(at, (33, 34), move |world| {
                world.event(at, Event::CursorTick);
            }),
        }
    }

    fn append(&mut self, at: usize, entry: Entry) {
        if !matches!(entry, Entry::Durable { .. }) && self.one_in(30) {
            let now = self.begun + Duration::from_millis(self.now);
            if let Some(room) = &mut self.instances[at].room {
                room.not_taken(About::of(&entry), &overloaded(), now);
                for effect in room.take_effects() {
                    self.effect(at, effect);
                }
            }
            return;
        }
        self.instances[at].waiting.push_back(entry);
        if !std::mem::replace(&mut self.instances[at].committing, true) {
            self.at_instance(at, (0, 8), move |world| world.group_commit(at));
        }
    }

    /// What waits is committed together; the own room hears at once, the others when they are woken.
    fn group_commit(&mut self, at: usize) {
        let instance = &mut self.instances[at];
        instance.committing = false;
        let number = instance.number;
        for entry in std::mem::take(&mut instance.waiting) {
            if let Entry::Durable { author, message } = &entry {
                author.settle(message.op);
            }
            self.commit(number, entry);
        }
        self.catch_up(at);
        self.wake_all();
    }

    fn commit(&mut self, instance: u32, entry: Entry) {
        let mut out = Vec::new();
        self.canvas
            .apply(instance, entry, now_ms(self.now), &mut out);
        self.write(instance, out);
    }

    fn tick(&mut self) {
        let mut out = Vec::new();
        self.canvas.tick(now_ms(self.now), &mut out);
        self.write(0, out);
    }

    fn write(&mut self, instance: u32, deliveries: Vec<Delivery>) {
        let at_ms = self.now;
        self.rows.extend(deliveries.into_iter().map(|delivery| Row {
            at_ms,
            instance,
            delivery,
        }));
    }

    /// Wakes are lost, late and doubled.
    fn wake_all(&mut self) {
        for at in 0..self.instances.len() {
            for _ in 0..self.random.below(3) {
                self.at_instance(at, (0, 30), move |world| world.catch_up(at));
            }
        }
    }

    fn poll(&mut self, at: usize) {
        self.at_instance(at, (POLL_MS, POLL_MS + 1), move |world| {
            world.tick();
            world.catch_up(at);
            world.poll(at);
        });
    }

    /// Tells the room what is new in the file, in order, from where it stood.
    fn catch_up(&mut self, at: usize) {
        let mut astray = false;
        while self.instances[at].position < self.rows.len() {
            let instance = &mut self.instances[at];
            let row = &self.rows[instance.position];
            instance.position += 1;
            let answer = matches!(
                row.delivery,
                Delivery::Joined { .. } | Delivery::Outcome { .. }
            );
            if answer && row.instance != instance.number {
                continue;
            }
            if !answer && now_ms(self.now - row.at_ms) >= TTL_MS {
                astray = true;
                continue;
            }
            let delivery = row.delivery.clone();
            match &delivery {
                Delivery::Log(batch) => instance.told.0 = batch.last_seq(),
                Delivery::Presence(event) => instance.told.1 = event.version,
                _ => {}
            }
            // A full inbox drops the log, and says so.
            let event = match delivery {
                Delivery::Log(batch) if self.one_in(12) => {
                    Event::Lagged(batch.epoch, batch.last_seq())
                }
                delivery => Event::Delivery(delivery),
            };
            self.event(at, event);
        }
        if astray {
            self.realign(at);
        }
    }

    /// Rows expired before they were told: the room is compared with the tables.
    fn realign(&mut self, at: usize) {
        let (head, version) = (self.canvas.head(), self.canvas.members().0);
        let (seq, told) = std::mem::replace(&mut self.instances[at].told, (head.seq, version));
        if head.seq > seq {
            let Position { epoch, seq } = head;
            self.event(at, Event::Delivery(Delivery::Reset { epoch, seq }));
        }
        if version > told {
            self.event(at, Event::Delivery(Delivery::PresenceMissed { version }));
        }
    }
}

fn conn(wire: &Arc<Wire>) -> ConnId {
    use scumble::room::Link;
    wire.author().conn
}

fn now_ms(now: u64) -> i64 {
    i64::try_from(now).expect("virtual time is short")
}

fn overloaded() -> scumble::backplane::Refusal {
    scumble::backplane::Refusal {
        code: ErrorCode::Overloaded,
        message: "not now".to_owned(),
        retry_after_ms: Some(100),
    }
}

fn settings() -> Settings {
    Settings {
        instance: InstanceId::parse("one").expect("an id"),
        local_broadcast: true,
        cursor_quiet: Duration::from_millis(33),
        snapshots: true,
        limits: Limits {
            max_message_bytes: 65_536,
            cursor_interval_ms: 33,
            ops_per_s: 0,
            max_objects: 50,
            max_clients: 100,
            max_canvas_bytes: 1 << 20,
            max_json_depth: 16,
        },
        heartbeat_ms: 25_000,
    }
}
