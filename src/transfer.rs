//! A relay as tools see it: looked at from outside, copied, or moved between a file and Redis.
//!
//! - [`assets`]: what its list of assets names.
//! - [`redis_tool`]: a relay in Redis that is looked at.
//! - [`queues`]: its work queue in numbers.
//! - [`to_file`]: its contents into a new file, for a backup and for a move.
//! - [`to_redis`]: a file's contents into a Redis where no relay is yet.
//!
//! It carries canvases with their numbering, their messages and remembered clients; the work queue; hooks; the list of
//! assets. The bytes of assets stay where they are, and are found under the same names. It does not carry the clients
//! that are on a canvas, because they come back by themselves, nor samples for the analytics.

pub mod assets;
pub mod queues;
pub mod redis_tool;
pub mod to_file;
pub mod to_redis;

use std::fmt;

use anyhow::anyhow;

use crate::canvas::Contents;
use crate::jobs::copy::Stopped;
use crate::jobs::dispatch::kept::KeptHooks;
use crate::jobs::rows::Queue;
use crate::jobs::store::{Order, Store};

/// What was carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Canvases.
    pub canvases: u64,
    /// Their objects.
    pub objects: u64,
    /// Messages that clients can resume from.
    pub messages: u64,
    /// Clients whose last op is remembered.
    pub clients: u64,
    /// Queues.
    pub queues: u64,
    /// Messages that wait there, or that somebody has.
    pub jobs: u64,
    /// Messages that failed too often.
    pub dead: u64,
    /// Hooks.
    pub hooks: u64,
}

impl Carried {
    fn of(canvas: &Contents) -> Self {
        Self {
            canvases: 1,
            objects: canvas.objects.len() as u64,
            messages: canvas.messages.len() as u64,
            clients: canvas.clients.len() as u64,
            ..Self::default()
        }
    }

    fn add(&mut self, canvas: &Self) {
        self.canvases += canvas.canvases;
        self.objects += canvas.objects;
        self.messages += canvas.messages;
        self.clients += canvas.clients;
    }

    fn add_queues<S: Store>(&mut self, from: &S) -> Result<(), S::Error> {
        let least = (i64::MIN,);
        let beyond = (i64::MAX,);
        from.each::<Queue>(&least, &beyond, Order::Up, usize::MAX, &mut |queue| {
            // One that was deleted has no name any more, and goes bit by bit.
            self.queues += 1;
            self.jobs += (queue.messages - queue.kept).cast_unsigned();
            self.dead += queue.dead.cast_unsigned();
            std::ops::ControlFlow::Continue(())
        })
    }

    fn add_hooks(&mut self, hooks: Option<&KeptHooks>) {
        self.hooks += hooks.map_or(0, |hooks| hooks.stored().texts.len() as u64);
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            canvases,
            objects,
            messages,
            clients,
            queues,
            jobs,
            dead,
            hooks,
        } = self;
        write!(
            f,
            "{canvases} canvases ({objects} objects, {messages} messages to resume from, the last ops of {clients} clients), \
             {queues} queues ({jobs} messages, {dead} dead), {hooks} hooks"
        )
    }
}

/// Which of two stores could not go on with rows of the work queue.
fn stopped<A, B>(
    stopped: Stopped<A, B>,
    reading: impl FnOnce(A) -> anyhow::Error,
    writing: impl FnOnce(B) -> anyhow::Error,
) -> anyhow::Error {
    match stopped {
        Stopped::Reading(error) => reading(error).context("reading the work queue"),
        Stopped::Writing(error) => writing(error).context("writing the work queue"),
    }
}

fn in_rows(trouble: &crate::replicated::tools::rows::Failed) -> anyhow::Error {
    anyhow!(crate::replicated::tools::rows::words(trouble))
}
