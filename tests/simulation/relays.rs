//! Relays over a log in virtual time: rooms as they run in a process, over copies of a canvas, over the engine in memory. That
//! one doubles, delays, loses and forgets, breaks links and fails over, also to a replica that is behind. Instances die and are
//! cut off. Clients are those of the other world, and so are the promises; an epoch that lost something is one history of its own.

mod clients;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scumble::backplane::{Directory as _, Lifecycle as _, Member, Reader as _, Snapshot};
use scumble::config::AuthMode;
use scumble::limits::{CanvasRules, ObjectBounds, Quotas};
use scumble::log::memory::{MemoryEngine, Trouble};
use scumble::protocol::ids::{CanvasId, InstanceId};
use scumble::replicated::{ReplicatedBackplane, ReplicatedConfig};
use scumble::room::cursors::Flusher;
use scumble::room::registry::{Handle, Registry};
use scumble::tasks::Spawner;
use scumble::time::{self, Pretence};
use tokio::task::{AbortHandle, JoinSet};

use crate::client::Client;
use crate::link::Wire;
use crate::proof::{self, Rest};
use crate::random::Random;
use crate::world::settings;

/// Virtual milliseconds: how long things go wrong.
const TROUBLE_MS: u64 = 20_000;
/// Longer than this nothing may take to come to rest.
const REST_MS: u64 = 60_000;
/// How often it is looked whether all is at rest.
const LOOK_MS: u64 = 100;

/// How much goes wrong.
struct Weather {
    /// What the engine does to what is published and appended.
    engine: Trouble,
    /// A message is kept for so long.
    ttl_ms: u64,
    /// The longest time between two troubles; the shortest is a fifteenth of it.
    trouble_ms: u64,
    /// Of so many ops one is refused for the moment.
    overloads: u64,
}

const FAIR: Weather = Weather {
    engine: Trouble {
        double: 50,
        delay: 50,
        lose: 2,
        forget: 2,
    },
    ttl_ms: 3_000,
    trouble_ms: 1_500,
    overloads: 25,
};

const STORM: Weather = Weather {
    engine: Trouble {
        double: 150,
        delay: 150,
        lose: 10,
        forget: 10,
    },
    ttl_ms: 900,
    trouble_ms: 700,
    overloads: 6,
};

type Action = Box<dyn FnOnce(&mut Relays)>;

/// An instance of the relay.
struct One {
    name: String,
    backplane: Arc<ReplicatedBackplane>,
    rooms: Arc<Registry<Wire>>,
    work: AbortHandle,
    dead: Cell<bool>,
}

/// See the module's head.
pub struct Relays {
    seed: u64,
    weather: &'static Weather,
    /// Failovers are to a replica that is behind.
    forgetful: bool,
    engine: Arc<MemoryEngine>,
    board: CanvasId,
    random: Random,
    began: Instant,
    now: u64,
    actions: BTreeMap<(u64, u64), Action>,
    count: u64,
    tasks: JoinSet<()>,
    instances: Vec<Rc<One>>,
    started: u64,
    /// Places in the list of instances where a new one is to start.
    vacant: Vec<usize>,
    clients: Vec<Client>,
    /// The rooms of the clients' connections.
    rooms: Vec<Option<Arc<Handle<Wire>>>>,
    turns: u64,
    look: bool,
}

impl Relays {
    /// Plays a seed to its end, and proves what is promised. Gives what two plays of one seed have in common.
    pub fn play(seed: u64) -> Vec<(String, u64, u64, usize)> {
        let _pretence = Pretence::begin();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().on_thread_park(Pretence::go_on);
        let runtime = runtime.build().expect("a runtime");
        runtime.block_on(async {
            let mut relays = Self::new(seed);
            for _ in 0..2 + relays.random.below(2) {
                let one = relays.start().await;
                relays.instances.push(one);
            }
            relays.begin();
            relays.run().await
        })
    }

    fn new(seed: u64) -> Self {
        let mut random = Random::seeded(seed);
        let clients: Vec<_> = (0..3 + random.below(4)).map(Client::new).collect();
        let weather = if seed.is_multiple_of(3) {
            &FAIR
        } else {
            &STORM
        };
        Self {
            seed,
            weather,
            forgetful: seed % 2 == 1,
            engine: MemoryEngine::new(seed),
            board: CanvasId::parse("board").expect("an id"),
            random,
            began: time::now(),
            now: 0,
            actions: BTreeMap::new(),
            count: 0,
            tasks: JoinSet::new(),
            instances: Vec::new(),
            started: 0,
            vacant: Vec::new(),
            rooms: clients.iter().map(|_| None).collect(),
            clients,
            turns: 0,
            look: false,
        }
    }

    fn begin(&mut self) {
        self.engine.set_trouble(self.weather.engine);
        for n in 0..self.clients.len() {
            self.later(1, 500, move |relays| relays.come(n));
        }
        self.later(100, 1_000, Self::trouble);
        self.later(TROUBLE_MS, TROUBLE_MS + 1, Self::end_trouble);
    }

    async fn run(&mut self) -> Vec<(String, u64, u64, usize)> {
        loop {
            let ((at, _), action) = self.actions.pop_first().expect("it is looked for rest");
            let passed = u64::try_from(time::since(self.began).as_millis()).expect("not for ever");
            time::sleep(Duration::from_millis(at.saturating_sub(passed))).await;
            self.now = at.max(passed);
            if self.now > TROUBLE_MS + REST_MS {
                self.restless().await;
            }
            action(self);
            while let Some(at) = self.vacant.pop() {
                self.instances[at] = self.start().await;
            }
            if std::mem::take(&mut self.look)
                && let Some((canvas, members)) = self.at_rest().await
            {
                let (seed, clients) = (self.seed, &self.clients[..]);
                let rest = Rest {
                    seed,
                    clients,
                    canvas,
                    members,
                };
                proof::check(&rest);
                self.check_alike().await;
                let one = |c: &Client| (c.id.clone(), c.seq, c.op, c.streams.len());
                return self.clients.iter().map(one).collect();
            }
        }
    }

    /// An instance starts. The link may break at once: then it starts again, as a supervisor would see to it.
    async fn start(&mut self) -> Rc<One> {
        loop {
            self.started += 1;
            let name = format!("instance-{}", self.started);
            let config = ReplicatedConfig {
                instance_id: InstanceId::parse(&name).expect("an id"),
                rules: CanvasRules {
                    message_ttl: Duration::from_millis(self.weather.ttl_ms),
                    presence_grace: Duration::from_secs(1),
                    bounds: ObjectBounds {
                        max_objects: 50,
                        max_bytes: 1 << 20,
                    },
                    quotas: Quotas::default(),
                },
                auth: AuthMode::None,
                wait_replicas: 0,
                fail_points: Vec::new(),
            };
            let engine = &self.engine;
            let started = ReplicatedBackplane::start(config, |me| Ok(engine.member(me))).await;
            let Ok((backplane, work)) = started else {
                time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let seed = self.seed;
            let work = self.tasks.spawn(async move {
                let why = work.await;
                panic!("seed {seed}: an instance can't go on: {why}");
            });
            let tick = Duration::from_millis(33);
            let flusher = Arc::new(Flusher::new(tick, 10 * tick));
            let ticks = flusher.clone();
            self.tasks
                .spawn(async move { ticks.run(|| tick / 10).await });
            let (carrier, settings) = (backplane.clone(), Arc::new(settings()));
            let rooms = Registry::new(carrier, flusher, settings, Spawner::default(), None);
            return Rc::new(One {
                name,
                backplane,
                rooms,
                work,
                dead: Cell::new(false),
            });
        }
    }

    fn over(&self) -> bool {
        self.now >= TROUBLE_MS
    }

    /// Has something done after at least `min` and less than `max` milliseconds.
    fn later(&mut self, min: u64, max: u64, action: impl FnOnce(&mut Self) + 'static) {
        let at = self.now + min + self.random.below(max - min);
        self.count += 1;
        self.actions.insert((at, self.count), Box::new(action));
    }

    fn one_in(&mut self, n: u64) -> bool {
        !self.over() && self.random.below(n) == 0
    }

    fn some_instance(&mut self) -> Rc<One> {
        let at = self.random.below(self.instances.len() as u64);
        self.instances[usize::try_from(at).expect("few")].clone()
    }

    // --- What goes wrong.

    fn trouble(&mut self) {
        if self.over() {
            return;
        }
        match self.random.below(8) {
            0 => self.die(),
            1 | 2 => {
                let one = self.some_instance();
                self.engine.cut_off(&one.name, true);
                self.later(50, 6_500, move |relays| {
                    relays.engine.cut_off(&one.name, one.dead.get());
                });
            }
            3 => self.engine.break_links(),
            4 => {
                self.engine.set_replicates(!self.forgetful);
                self.later(1, 200, |relays| {
                    relays.engine.fail_over();
                    relays.engine.set_replicates(true);
                });
            }
            _ => {
                let n = self.random.below(self.clients.len() as u64);
                self.cut(usize::try_from(n).expect("few"));
            }
        }
        let ms = self.weather.trouble_ms;
        self.later(ms / 15, ms, Self::trouble);
    }

    /// kill -9: what waits is lost, connections are gone; another one takes its place.
    fn die(&mut self) {
        let dead = self.some_instance();
        dead.dead.set(true);
        dead.work.abort();
        self.engine.cut_off(&dead.name, true);
        let at = self.instances.iter().position(|one| Rc::ptr_eq(one, &dead));
        let at = at.expect("it was there");
        self.vacant.push(at);
        for n in 0..self.clients.len() {
            let wire = self.clients[n].wire.as_ref();
            if wire.is_some_and(|(of, ..)| *of == at) {
                self.clients[n].cut();
                self.later(1, 400, move |relays| relays.come(n));
            }
        }
    }

    fn end_trouble(&mut self) {
        self.engine.set_trouble(Trouble::default());
        for one in &self.instances {
            self.engine.cut_off(&one.name, false);
        }
        self.look_around();
    }

    fn look_around(&mut self) {
        self.look = true;
        self.later(LOOK_MS, LOOK_MS + 1, Self::look_around);
    }

    // --- The end.

    /// The canvas and who is there, if nothing is on its way: all copies are alike, and all clients have what is there.
    async fn at_rest(&self) -> Option<(Snapshot, Vec<Member>)> {
        let here = self.clients.len();
        let done = |c: &Client| c.welcomed && c.pending.is_empty() && c.roster.len() == here;
        if !self.clients.iter().all(done) {
            return None;
        }
        let mut all = Vec::new();
        for one in &self.instances {
            let canvas = one.backplane.create(&self.board).await.ok()?;
            let members = one.backplane.members(&canvas).await.ok()?;
            let mut snapshot = one.backplane.snapshot(&canvas).await.ok()?;
            // How it came to be is known by who saw it.
            snapshot.lately = Default::default();
            all.push((snapshot, members.members));
        }
        let (snapshot, members) = all.pop()?;
        let alike = all.iter().all(|(other, others)| {
            let same = (&other.objects, &other.chat) == (&snapshot.objects, &snapshot.chat);
            other.at == snapshot.at && same && *others == members
        });
        // A new epoch begins with the numbers of the one before.
        let epoch = snapshot.at.epoch.to_string();
        let there = |c: &Client| {
            c.epoch == epoch && c.seq == snapshot.at.seq && c.roster.values().all(|away| !away)
        };
        let present = members.len() == here && members.iter().all(|member| !member.away);
        (alike && present && self.clients.iter().all(there)).then_some((snapshot, members))
    }

    /// No copy was ever anything else than the others.
    async fn check_alike(&self) {
        for one in &self.instances {
            let stats = one.backplane.stats().await.expect("figures");
            assert_eq!(stats.copies_diverged, 0, "seed {}: {}", self.seed, one.name);
        }
    }

    async fn restless(&self) -> ! {
        let client = |c: &Client| {
            let waits = c.pending.keys().collect::<Vec<_>>();
            let (id, seq, roster, welcomed) = (&c.id, c.seq, &c.roster, c.welcomed);
            format!(
                "{id} at {} {seq} waits for {waits:?}, welcomed {welcomed}, sees {roster:?}\n",
                c.epoch
            )
        };
        let clients: String = self.clients.iter().map(client).collect();
        let mut copies = String::new();
        for one in &self.instances {
            let canvas = one.backplane.create(&self.board).await;
            let told = match canvas {
                Ok(canvas) => {
                    let head = one.backplane.snapshot(&canvas).await.map(|s| s.at);
                    format!("{head:?} {:?}", one.backplane.members(&canvas).await)
                }
                Err(why) => format!("{why:?}"),
            };
            copies += &format!("{}: {told}\n", one.name);
        }
        panic!(
            "seed {}: it never comes to rest\n{clients}{copies}",
            self.seed
        );
    }
}
