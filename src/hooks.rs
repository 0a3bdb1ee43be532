//! Hooks send the events of a canvas to an application's back end.
//!
//! A hook names canvases, events, and a destination: a queue of the application's own, or an address that the relay
//! posts to. [`mod@file`] reads hooks, [`Hooks`] says which of them want an event. Both are pure.
//!
//! Over the file and in memory, an event is put into its queue in the same step as the message that it reports. So
//! neither exists without the other. Over Redis, each canvas has a mark of how far it was told: the mark moves in the
//! step that queues the events.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;

pub mod address;
pub mod event;
pub mod file;
pub mod hook_event;
pub mod pattern;
pub mod portion;
pub mod signature;

use event::{EventSet, EventType};
use file::HookText;
use pattern::CanvasPattern;
use signature::SigningSecret;

/// Which form of an object an event has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// What the client sent: the object that was created, or the patch.
    Patch,
    /// The whole object after the change.
    Object,
}

/// When `canvas.changed` is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// Once nothing has happened on the canvas for this long.
    pub after: Duration,
    /// This long after the first change, whatever happens.
    pub at_the_latest: Duration,
}

/// Where a hook's events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A queue of the application's.
    Queue(String),
    /// An address that the relay posts to.
    Webhook(Webhook),
}

/// An address, and what posting to it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// `https://…` or `http://…`.
    pub url: String,
    /// The first signs first. There is at least one.
    pub secrets: Vec<SigningSecret>,
    /// Loopback and private networks are allowed.
    pub allow_private: bool,
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its name, and its consumer group's.
    pub name: String,
    /// The canvases that it is about.
    pub canvases: Vec<CanvasPattern>,
    /// The events that it is told.
    pub events: EventSet,
    /// Where they go.
    pub target: Target,
    /// The most events in one message; all of one canvas.
    pub batch: u32,
    /// There if and only if [`EventType::CanvasChanged`] is among the events.
    pub quiet: Option<Quiet>,
    /// Which form of an object an event has.
    pub include: Include,
    /// The most events that wait; beyond it a gap stands for them.
    pub backlog: u64,
    /// The most bytes that wait.
    pub backlog_bytes: u64,
}

impl Hook {
    /// The queue that holds its events: the application's, or one of its own.
    pub fn queue(&self) -> String {
        match &self.target {
            Target::Queue(name) => name.clone(),
            Target::Webhook(_) => format!("{OWN_QUEUES}{}", self.name),
        }
    }

    /// Whether it is told of that event on that canvas.
    pub fn wants(&self, canvas: &str, event: EventType) -> bool {
        self.events.has(event) && self.is_about(canvas)
    }

    /// Whether the canvas is one of its.
    pub fn is_about(&self, canvas: &str) -> bool {
        self.canvases.iter().any(|pattern| pattern.matches(canvas))
    }
}

/// How the queues of webhooks are called. No application may take such a name.
pub const OWN_QUEUES: &str = "scumble.hook.";

/// All hooks of a relay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    hooks: Vec<Hook>,
    events: EventSet,
}

impl Hooks {
    /// Those hooks, in that order.
    pub fn new(hooks: Vec<Hook>) -> Self {
        let events = hooks
            .iter()
            .fold(EventSet::default(), |all, hook| all.with(hook.events));
        Self { hooks, events }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Hook> {
        self.hooks.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hooks.is_empty()
    }

    /// Whether some hook is told of such events, on whatever canvas.
    pub fn wants(&self, event: EventType) -> bool {
        self.events.has(event)
    }

    /// The hooks that are told of that event on that canvas. Costs a comparison if no hook names such an event.
    pub fn wanting(&self, canvas: &str, event: EventType) -> impl Iterator<Item = &Hook> {
        let any = self.events.has(event);
        self.hooks
            .iter()
            .filter(move |hook| any && hook.wants(canvas, event))
    }
}

/// One version of the hooks, as all processes of a relay follow it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Grows with each change; 0 before the first.
    pub version: i64,
    /// Those that are on.
    pub hooks: Hooks,
    /// All, as they were written, those that are off included.
    pub texts: Vec<HookText>,
    /// The names of those that are off, and why.
    pub off: Vec<(String, String)>,
}

impl Stored {
    /// That version of these hooks, of which some are off. Hooks that are wrong are none, which is said.
    pub fn new(version: i64, texts: Vec<HookText>, off: Vec<(String, String)>) -> Self {
        let is_on = |text: &&HookText| !off.iter().any(|(name, _)| *name == text.name);
        let on: Vec<HookText> = texts.iter().filter(is_on).cloned().collect();
        let hooks = file::check_all(&on).unwrap_or_else(|error| {
            tracing::error!(error, "the stored hooks are wrong: no events are sent");
            Hooks::default()
        });
        Self {
            version,
            hooks,
            texts,
            off,
        }
    }

    /// Whether hooks were ever stored.
    pub fn is_stored(&self) -> bool {
        self.version > 0
    }

    /// The webhooks that are on.
    pub fn webhooks(&self) -> impl Iterator<Item = &Hook> {
        let posted = |hook: &&Hook| matches!(hook.target, Target::Webhook(_));
        self.hooks.iter().filter(posted)
    }
}

/// What became of hooks that were to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// They are what was there.
    None,
    /// They are in the place of all others.
    Stored,
    /// Others are followed, and stay.
    OthersStay,
}

/// Where the hooks are kept, for all processes.
pub trait HookStore: Send + Sync {
    /// Tells of each version that this process follows.
    fn watch(&self) -> watch::Receiver<Arc<Stored>>;

    /// Puts these hooks in the place of all others, in one transaction; `over`: also if others are followed already.
    fn store(&self, texts: Vec<HookText>, over: bool) -> BoxFuture<'_, Result<Change, String>>;

    /// Whether this is the only process of its relay.
    fn alone(&self) -> bool;

    /// The hook is told nothing more, until hooks are stored anew. `false`: it was off, or is not there.
    fn turn_off(&self, name: &str, why: &str) -> BoxFuture<'_, Result<bool, String>>;

    /// Events that had no room in their hook's backlog, since this process began.
    fn dropped(&self) -> u64;

    /// Events that are with their messages and not in their queues yet, one for each hook that hears of it.
    fn set_aside(&self) -> BoxFuture<'_, u64> {
        std::future::ready(0).boxed()
    }

    /// What is to be done for them for as long as the process lives.
    fn run(&self) -> BoxFuture<'_, ()>;
}
