//! An engine in this process, for tests. Instances that share it form a relay. It does what [`crate::log`] says, and
//! everything that it allows: it doubles and delays what it publishes, loses some of it and breaks the link, forgets
//! answers, and fails over to a replica that is behind.

mod counting;
mod log;
mod registry;
mod samples;
mod state;
mod tables;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::{ConnectError, Engine, Fault, Introduction, Listener, Log, LoggedBatch, Published};
use crate::protocol::ids::InstanceNumber;
use crate::time;
use state::State;

/// How an engine misbehaves, each in parts of a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trouble {
    /// What is published comes twice.
    pub double: u64,
    /// It comes after what follows it.
    pub delay: u64,
    /// It does not come. The link breaks soon.
    pub lose: u64,
    /// What was appended is there, but its answer does not come. The link breaks.
    pub forget: u64,
}

/// An engine that instances share.
pub struct MemoryEngine {
    world: Mutex<World>,
    began: Instant,
}

struct World {
    state: State,
    /// What the replica has, if that is not the same.
    replica: Option<State>,
    /// Names the server that runs, anew after each failover.
    run: u64,
    replicates: bool,
    trouble: Trouble,
    random: u64,
    last_link: u64,
    links: BTreeMap<u64, Link>,
    /// The names of instances that can't connect.
    cut_off: HashSet<String>,
}

/// An open link.
struct Link {
    /// What its instance calls it.
    id: u64,
    number: InstanceNumber,
    listener: Arc<dyn Listener>,
    canvases: HashSet<String>,
    late: Vec<(String, Published)>,
    held_back: bool,
    /// It lost something, and breaks at its next request.
    lossy: bool,
}

/// What is to be delivered, once nothing is locked any more.
type Outgoing = Vec<(Arc<dyn Listener>, u64, Message)>;

enum Message {
    Of(String, Published),
    Rows(Vec<u8>),
}

impl MemoryEngine {
    /// One without instances. The seed decides when it misbehaves.
    #[must_use]
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(World {
                state: State::default(),
                replica: None,
                run: 1,
                replicates: true,
                trouble: Trouble::default(),
                random: seed.wrapping_mul(2).wrapping_add(1),
                last_link: 0,
                links: BTreeMap::new(),
                cut_off: HashSet::new(),
            }),
            began: time::now(),
        })
    }

    /// For an instance.
    #[must_use]
    pub fn member(self: &Arc<Self>, me: Introduction) -> Arc<dyn Engine> {
        Arc::new(Member {
            engine: Arc::clone(self),
            me: Arc::new(me),
        })
    }

    /// From now on it misbehaves so.
    pub fn set_trouble(&self, trouble: Trouble) {
        self.world.lock().trouble = trouble;
    }

    /// Breaks all links.
    pub fn break_links(&self) {
        let broken = std::mem::take(&mut self.world.lock().links);
        for link in broken.into_values() {
            link.listener.broke(link.id, "it was broken");
        }
    }

    /// Breaks an instance's link, and lets it make no other until it is let.
    pub fn cut_off(&self, name: &str, off: bool) {
        let mut world = self.world.lock();
        if !off {
            world.cut_off.remove(name);
            return;
        }
        world.cut_off.insert(name.to_owned());
        let numbers = world.numbers_of(name);
        let of_it = |link: &Link| numbers.contains(&link.number);
        let broken: Vec<Link> = world
            .links
            .extract_if(.., |_, link| of_it(link))
            .map(|(_, link)| link)
            .collect();
        drop(world);
        for link in broken {
            link.listener.broke(link.id, "it is cut off");
        }
    }

    /// Somebody removes a canvas behind the relay's back. `known`: but not who has it.
    pub fn lose(&self, name: &str, known: bool) {
        let state = &mut self.world.lock().state;
        state.canvases.remove(name);
        for instance in state.instances.values_mut().filter(|_| !known) {
            instance.canvases.remove(name);
        }
    }

    /// Nothing was heard of an instance for so much longer.
    pub fn forget_beats(&self, number: InstanceNumber, longer_ms: i64) {
        let instances = &mut self.world.lock().state.instances;
        if let Some(instance) = instances.get_mut(&number) {
            instance.beat -= longer_ms;
        }
    }

    /// From now on an instance hears nothing of what is published, until it is let: then it hears all of it.
    pub fn hold_back(&self, name: &str, back: bool) {
        let mut world = self.world.lock();
        let mut outgoing = Outgoing::new();
        let numbers = world.numbers_of(name);
        for link in world.links.values_mut() {
            if numbers.contains(&link.number) {
                link.held_back = back;
                outgoing.extend(link.take_late().into_iter().rev());
            }
        }
        drop(world);
        deliver(outgoing);
    }

    /// What an instance was held back from so far never comes.
    pub fn drop_held(&self, name: &str) {
        let mut world = self.world.lock();
        let numbers = world.numbers_of(name);
        let links = world.links.values_mut();
        for link in links.filter(|link| numbers.contains(&link.number)) {
            link.late.clear();
        }
    }

    /// From now on the replica gets what is written, or does not.
    pub fn set_replicates(&self, replicates: bool) {
        let mut world = self.world.lock();
        world.replicates = replicates;
        if !replicates && world.replica.is_none() {
            world.replica = Some(world.state.clone());
        }
    }

    /// The replica takes over. What it did not get is lost.
    pub fn fail_over(&self) {
        {
            let mut world = self.world.lock();
            if let Some(replica) = &world.replica {
                world.state = replica.clone();
            }
            world.run += 1;
        }
        self.break_links();
    }

    fn now_ms(&self) -> i64 {
        // Some time or other: only what passes counts.
        let began_ms = 1_700_000_000_000;
        began_ms + i64::try_from(time::since(self.began).as_millis()).unwrap_or(0)
    }
}

impl World {
    /// The instances of that name.
    fn numbers_of(&self, name: &str) -> Vec<InstanceNumber> {
        let instances = self.state.instances.iter();
        let named = instances.filter(|(_, instance)| instance.name == name);
        named.map(|(number, _)| *number).collect()
    }

    /// Whether something happens that does in so many of a thousand cases.
    fn happens(&mut self, of_a_thousand: u64) -> bool {
        // A step of Knuth's generator. Its upper bits are good enough for that.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % 1_000 < of_a_thousand
    }

    /// To those who subscribed. What was late comes after it.
    fn publish(&mut self, canvas: &str, published: &Published) -> Outgoing {
        let mut outgoing = Outgoing::new();
        let links: Vec<u64> = self.links.keys().copied().collect();
        for key in links {
            let subscribed = |link: &Link| link.canvases.contains(canvas);
            if !self.links.get(&key).is_some_and(subscribed) {
                continue;
            }
            // What is kept nowhere has no number: it comes once, in order, or not at all.
            let trouble = match published {
                Published::Ephemeral(_) => Trouble::default(),
                _ => self.trouble,
            };
            let lost = self.happens(trouble.lose);
            let late = self.happens(trouble.delay);
            let times = if self.happens(trouble.double) { 2 } else { 1 };
            let Some(link) = self.links.get_mut(&key) else {
                continue;
            };
            if lost {
                link.lossy = true;
            } else if late || link.held_back {
                link.late.push((canvas.to_owned(), published.clone()));
            } else {
                let message = || Message::Of(canvas.to_owned(), published.clone());
                let one = || (link.listener.clone(), link.id, message());
                outgoing.extend(std::iter::repeat_with(one).take(times));
                outgoing.extend(link.take_late());
            }
        }
        outgoing
    }

    /// What every instance gets of a commit of rows.
    fn publish_rows(&self, message: &[u8]) -> Outgoing {
        let links = self.links.values();
        let message = || Message::Rows(message.to_vec());
        links
            .map(|link| (link.listener.clone(), link.id, message()))
            .collect()
    }

    /// There is one, and it has what is written.
    fn replicas_have(&self, wanted: u32) -> Result<((), Outgoing), Fault> {
        match (self.replicates, wanted) {
            (true, 0..=1) => Ok(((), Outgoing::new())),
            _ => Err(Fault::NotNow("no replica has it".to_owned())),
        }
    }

    fn written(&mut self) {
        if self.replicates {
            self.replica = None;
        }
    }

    fn connected(&self) -> BTreeSet<InstanceNumber> {
        self.links.values().map(|link| link.number).collect()
    }
}

impl Link {
    fn take_late(&mut self) -> Outgoing {
        if self.held_back {
            return Outgoing::new();
        }
        let late = std::mem::take(&mut self.late).into_iter().rev();
        let listener = &self.listener;
        let id = self.id;
        late.map(|(canvas, published)| (listener.clone(), id, Message::Of(canvas, published)))
            .collect()
    }
}

fn deliver(outgoing: Outgoing) {
    for (listener, link, message) in outgoing {
        match message {
            Message::Of(canvas, published) => listener.received(link, &canvas, published),
            Message::Rows(message) => listener.received_rows(link, &message),
        }
    }
}

fn batch((n, at_ms, hooks): (u64, i64, u64), bytes: &[u8]) -> Published {
    Published::Batch(LoggedBatch {
        n,
        at_ms,
        hooks,
        bytes: bytes.to_vec(),
    })
}

/// The engine as one instance knows it.
struct Member {
    engine: Arc<MemoryEngine>,
    me: Arc<Introduction>,
}

/// A link of an instance.
struct MemoryLog {
    engine: Arc<MemoryEngine>,
    me: Arc<Introduction>,
    key: u64,
    number: InstanceNumber,
    era: Arc<str>,
}

impl Engine for Member {
    fn name(&self) -> &'static str {
        "the engine in memory"
    }

    fn place(&self) -> String {
        "this process".to_owned()
    }

    fn remedy(&self) -> &'static str {
        "start the process again"
    }

    fn connect<'a>(
        &'a self,
        link: u64,
        number: Option<InstanceNumber>,
        listener: Arc<dyn Listener>,
    ) -> BoxFuture<'a, Result<Arc<dyn Log>, ConnectError>> {
        let now_ms = self.engine.now_ms();
        let mut world = self.engine.world.lock();
        if world.cut_off.contains(&self.me.instance_id) {
            let why = "it is cut off".to_owned();
            return std::future::ready(Err(ConnectError::Now(why))).boxed();
        }
        let run = world.run;
        let connected = world.connected();
        let entered = world.state.enter(&self.me, number, run, &connected, now_ms);
        let log = entered.map(|number| {
            self.me.clock.begin(now_ms, std::time::Duration::ZERO);
            world.written();
            world.last_link += 1;
            let key = world.last_link;
            let opened = Link {
                id: link,
                number,
                listener,
                canvases: HashSet::new(),
                late: Vec::new(),
                held_back: false,
                lossy: false,
            };
            world.links.insert(key, opened);
            Arc::new(MemoryLog {
                engine: self.engine.clone(),
                me: self.me.clone(),
                key,
                number,
                era: world.state.era.clone(),
            }) as Arc<dyn Log>
        });
        drop(world);
        std::future::ready(log).boxed()
    }

    fn moved<'a>(&'a self, _log: &'a Arc<dyn Log>) -> BoxFuture<'a, String> {
        std::future::pending().boxed()
    }
}

impl Drop for MemoryLog {
    fn drop(&mut self) {
        self.engine.world.lock().links.remove(&self.key);
    }
}

/// As many as fit, at least one if there is one.
fn bounded<T>(items: impl Iterator<Item = (usize, T)>, max_bytes: usize) -> Vec<T> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    for (size, item) in items {
        bytes += size + 64;
        if !taken.is_empty() && bytes > max_bytes {
            break;
        }
        taken.push(item);
    }
    taken
}
