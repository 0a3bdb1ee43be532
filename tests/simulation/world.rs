//! Everything around the rooms: instances with their writers and pollers, the file they share, time, and what goes wrong.

mod clients;
mod instances;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scumble::backplane::{Author, Delivery, End, Entry};
use scumble::canvas::bounds::ObjectBounds;
use scumble::canvas::{CanvasState, Rules};
use scumble::protocol::ids::{ConnId, Epoch, InstanceId, InstanceNumber};
use scumble::protocol::server_message::{ErrorCode, Limits};
use scumble::room::Settings;
use scumble::room::inbox::Event;
use scumble::room::state::State;

use crate::client::Client;
use crate::link::Wire;
use crate::random::Random;

/// Virtual milliseconds: how long things go wrong.
const TROUBLE_MS: u64 = 20_000;
/// Longer than this nothing may take to come to rest.
const REST_MS: u64 = 60_000;
const RETRY_MS: u64 = 100;
const FORGET_MS: u64 = 5_000;
const POLL_MS: u64 = 50;

/// How much goes wrong.
struct Weather {
    /// A row is told for so long.
    ttl_ms: i64,
    /// The longest time between two troubles; the shortest is a fifteenth of it.
    trouble_ms: u64,
    /// Of so many log batches one does not fit into the room's inbox.
    lag: u64,
    /// Of so many reads one fails.
    fails: u64,
    /// Of so many joins and states one is not taken by the queue.
    refusals: u64,
    /// Of so many ops one is refused for the moment.
    overloads: u64,
    /// What a member gets at once when it catches up.
    read_bytes: usize,
}

const FAIR: Weather = Weather {
    ttl_ms: 3_000,
    trouble_ms: 1_500,
    lag: 12,
    fails: 15,
    refusals: 30,
    overloads: 25,
    read_bytes: 400,
};

/// Finds what needs two rare things at once.
const STORM: Weather = Weather {
    ttl_ms: 900,
    trouble_ms: 700,
    lag: 4,
    fails: 4,
    refusals: 6,
    overloads: 6,
    read_bytes: 150,
};

type Action = Box<dyn FnOnce(&mut World)>;

/// An instance: its one room, and what waits for its writer.
struct Instance {
    number: InstanceNumber,
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
    instance: Option<InstanceNumber>,
    delivery: Delivery,
}

/// See the module's head.
pub struct World {
    pub seed: u64,
    pub clients: Vec<Client>,
    pub canvas: CanvasState,
    weather: &'static Weather,
    random: Random,
    now: u64,
    begun: Instant,
    actions: BTreeMap<(u64, u64), Action>,
    count: u64,
    rows: Vec<Row>,
    /// The ops of each client that were committed, whatever became of them.
    decided: BTreeMap<String, BTreeSet<u64>>,
    instances: Vec<Instance>,
    next_number: u32,
    next_conn: u64,
}

impl World {
    /// Plays a seed to its end.
    pub fn play(seed: u64) -> Self {
        let mut random = Random::seeded(seed);
        let (instances, clients) = (2 + random.below(3), 3 + random.below(5));
        let fair = seed.is_multiple_of(3);
        let weather = if fair { &FAIR } else { &STORM };
        let rules = Rules {
            message_ttl_ms: weather.ttl_ms,
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
            weather,
            random,
            now: 0,
            begun: Instant::now(),
            actions: BTreeMap::new(),
            count: 0,
            rows: Vec::new(),
            decided: BTreeMap::new(),
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
        while let Some(((at, _), action)) = self.actions.pop_first() {
            self.now = at;
            if self.over() && self.at_rest() {
                return;
            }
            if at > TROUBLE_MS + REST_MS {
                self.restless();
            }
            action(self);
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
        let (head, members) = (self.canvas.head().seq, self.canvas.members().members);
        let here = members.len();
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
            && members.iter().all(|member| !member.away)
            && here == self.clients.len()
    }

    /// Has something done after at least `min` and less than `max` milliseconds.
    fn later(&mut self, min: u64, max: u64, action: impl FnOnce(&mut Self) + 'static) {
        let at = self.now + min + self.random.below(max - min);
        self.count += 1;
        self.actions.insert((at, self.count), Box::new(action));
    }

    /// The same, for an instance: not while it is stopped, and never if it has died meanwhile.
    fn at_instance(
        &mut self,
        at: usize,
        (min, max): (u64, u64),
        action: impl FnOnce(&mut Self) + 'static,
    ) {
        let number = self.instances[at].number;
        self.later(min, max, move |world| {
            let instance = &world.instances[at];
            if instance.number != number {
                return;
            }
            let wait = instance.stopped_until.saturating_sub(world.now);
            if wait > 0 {
                world.at_instance(at, (wait, wait + 1), action);
            } else {
                action(world);
            }
        });
    }

    fn one_in(&mut self, n: u64) -> bool {
        !self.over() && self.random.below(n) == 0
    }

    fn new_instance(&mut self) -> Instance {
        self.next_number += 1;
        Instance {
            number: InstanceNumber(self.next_number - 1),
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
        let ms = self.weather.trouble_ms;
        self.later(ms / 15, ms, Self::trouble);
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
                        end: End::Lost,
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
                world.event(
                    at,
                    Event::Leave {
                        conn,
                        end: End::Lost,
                    },
                );
            });
            self.later(1, 600, move |world| world.come(n));
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

pub fn overloaded() -> scumble::backplane::Refusal {
    scumble::backplane::Refusal {
        code: ErrorCode::Overloaded,
        message: "not now".to_owned(),
        retry_after_ms: Some(100),
    }
}

pub fn settings() -> Settings {
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
            max_asset_bytes: None,
        },
        heartbeat_ms: 25_000,
    }
}
