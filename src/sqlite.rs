//! The SQLite backplane: processes of one host share one file, and wake each other with datagrams.
//!
//! Three threads a process: the [`writer`] commits what waits, the [`poller`](delivery::poller) reads what others
//! wrote, and [`upkeep`] does the upkeep. What they deliver goes through the [`tail`](delivery::tail), where there is
//! one order. Everything else reads through a small pool ([`reader`]). Each thread is handed the parts that it works
//! with.
//!
//! The rooms are on floors, and know only those below: `tests/tidy.rs` has them.

mod analytics;
mod apply;
mod as_backplane;
mod command;
mod delivery;
mod directory;
pub(crate) mod export;
mod hook_store;
mod hooks;
pub(crate) mod import;
mod job_engine;
mod jobs;
mod membership;
mod reader;
mod scheduling;
mod spill;
mod start;
mod storage;
mod upkeep;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::OptionalExtension;

pub use analytics::analytics;
pub use hook_store::hook_store;
pub use job_engine::jobs;
#[cfg(test)]
pub(crate) use jobs::store as job_store;
pub use storage::built;
pub(crate) use storage::files::{SIDECARS, are_whole, modes, plain, unreadable, wake_folder};
pub(crate) use storage::locks::{Sign, look as sign_of_life};
pub(crate) use storage::rules::kept as kept_rules;
pub use storage::schema::VERSION;
pub use storage::start_error::StartError;
pub use storage::store_error::StoreError;

use crate::backplane::intake::Intake;
use crate::backplane::{Canvas, CanvasKey, Opened, Sink, Unavailable};
use crate::limits;
use crate::protocol::ids::{CanvasId, Epoch, InstanceId, Position};
use command::{Answer, Command, Task};
use delivery::halt::Halt;
use delivery::stats::Counters;
use delivery::tail::{Opening, Tail};
use delivery::wake::Peers;
use delivery::wake::notifier::{Notifier, WakeHint};
use membership::instances::Registration;
use reader::{Reader, unavailable};
use spill::Spill;
use storage::clock::Clock;
use storage::ending::Ending;
use storage::files::Files;
use storage::locks;
use storage::sql;
use upkeep::watermarks;

/// How long a shutdown waits for the writer to commit what was taken; the relay has a deadline of its own.
const DRAIN: Duration = Duration::from_secs(8);
/// How long a shutdown waits for each of the other threads.
const STOP: Duration = Duration::from_secs(2);

/// The backplane over one SQLite file. Dropping it stops its threads as a crash would: [`shutdown`](crate::backplane::Lifecycle::shutdown) is the clean end.
pub struct SqliteBackplane {
    instance_id: InstanceId,
    files: Arc<Files>,
    clock: Clock,
    own: Arc<Registration>,
    intake: Arc<Intake<Task>>,
    tail: Arc<Tail>,
    peers: Arc<Peers>,
    notifier: Arc<Notifier>,
    counters: Arc<Counters>,
    /// Where messages wait while the file can't be written, if anywhere.
    spill: Option<Arc<Spill>>,
    /// Ops of the work queue that wait for the writer.
    jobs: Arc<jobs::Lane>,
    lane: Arc<jobs::Parts>,
    hooks: Arc<hooks::HookState>,
    numbers: Arc<watermarks::Parts>,
    ending: Arc<Ending>,
    halt: Halt,
    reader: Reader,
    conns: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SqliteBackplane {
    /// First the place in the live stream, then the mark that tells other instances of this room, then the tables:
    /// nothing falls in between.
    async fn open(&self, id: &CanvasId, sink: Arc<dyn Sink>) -> Result<Opened, Unavailable> {
        let name = id.clone();
        let found = self.reader.read(move |conn| canvas(conn, &name)).await?;
        if found.is_none() {
            self.ask_for_canvas(id).await?;
        }
        let tail = self.tail.clone();
        let notifier = self.notifier.clone();
        let name = id.clone();
        let tail_sink = sink.clone();
        let started = self.reader.run(move |pool| {
            let conn = pool.get().map_err(unavailable)?;
            let (key, epoch) = canvas(&conn, &name)
                .map_err(unavailable)?
                .ok_or_else(|| unavailable("the canvas is gone"))?;
            let first = tail.rooms() == 0;
            let sink = tail_sink;
            let opening = Opening { key, sink, epoch };
            tail.open(&conn, opening).map_err(unavailable)?;
            if first {
                // The poller sleeps longer without rooms.
                notifier.notify(WakeHint::Any);
            }
            Ok(Canvas { id: name, key })
        });
        let canvas = started.await?;
        let opened = self.read_opened(&canvas).await;
        if opened.is_err() {
            self.tail.close(canvas.key, &sink);
        }
        opened
    }

    async fn read_opened(&self, canvas: &Canvas) -> Result<Opened, Unavailable> {
        let key = canvas.key;
        let position = self.tail.position();
        self.commit(Command::Watermarks(vec![(key, Some(position))]))
            .await?;
        let read = move |conn: &rusqlite::Connection| {
            Ok((reader::head(conn, key)?, reader::members(conn, key)?))
        };
        let (head, presence) = self.reader.read(read).await?;
        let head = Position {
            epoch: head.epoch,
            seq: head.seq,
        };
        self.tail.opened(key, head, presence.version);
        Ok(Opened {
            canvas: canvas.clone(),
            head,
            presence,
        })
    }

    /// Has the writer do a command that answers, and waits for its commit.
    async fn ask<T: Clone>(
        &self,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> Result<T, Unavailable> {
        let answer = Answer::default();
        self.commit(command(answer.clone())).await?;
        answer
            .read()
            .ok_or_else(|| unavailable("the writer gave no answer"))
    }

    /// Has the writer do a command, and waits for its commit.
    async fn commit(&self, command: Command) -> Result<(), Unavailable> {
        let (committed, done) = tokio::sync::oneshot::channel();
        let reply = Box::new(move || {
            // Whoever asked may have given up.
            let _ = committed.send(());
        });
        if !self.intake.submit(command, Some(reply)) {
            return Err(unavailable("the writer is stopping or has too much to do"));
        }
        let done = tokio::time::timeout(limits::MAX_QUEUE_WAIT, done).await;
        let late = |_| unavailable("the writer could not commit in time");
        done.map_err(late)?
            .map_err(|_| unavailable("the writer could not commit"))
    }

    async fn ready(&self) -> Result<(), Unavailable> {
        if self.ending.is_asked() {
            return Err(unavailable("this instance is stopping"));
        }
        let probe = tokio::time::timeout(limits::BUSY_TIMEOUT, self.commit(Command::Beat)).await;
        let trouble = || self.counters.trouble.lock().clone();
        match probe {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(trouble().map_or(error, unavailable)),
            Err(_) => Err(unavailable(trouble().unwrap_or_else(|| {
                "the writer did not commit in time; is another process stopped in a transaction?"
                    .to_owned()
            }))),
        }
    }

    /// The writer first, since the others tell what it commits; then the others.
    async fn stop(&self) {
        self.ending.ask();
        self.intake.finish();
        let threads: Vec<_> = self.threads.lock().drain(..).collect();
        let halt = self.halt.clone();
        let own = self.own.clone();
        let spill = self.spill.clone();
        let joined = tokio::task::spawn_blocking(move || {
            for (i, thread) in threads.iter().enumerate() {
                if !ended_within(thread, if i == 0 { DRAIN } else { STOP }) {
                    let name = thread.thread().name();
                    tracing::error!(
                        name,
                        "a thread of the queue does not end; it is left behind"
                    );
                }
                // The first is the writer.
                halt.now();
            }
            locks::remove_with_socket(&own.lock_path);
            if let Some(spill) = &spill {
                spill.remove_if_empty();
            }
        });
        if let Err(error) = joined.await {
            tracing::error!(%error, "the queue could not be shut down cleanly");
        }
    }
}

fn ended_within(thread: &JoinHandle<()>, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    while !thread.is_finished() && Instant::now() < until {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    thread.is_finished()
}

impl Drop for SqliteBackplane {
    fn drop(&mut self) {
        self.ending.ask();
        self.halt.now();
    }
}

fn canvas(
    conn: &rusqlite::Connection,
    id: &CanvasId,
) -> rusqlite::Result<Option<(CanvasKey, Epoch)>> {
    let mut statement = conn.prepare_cached(sql::CANVAS)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok((
            row.get(0)?,
            Epoch::parse(row.get_ref(1)?.as_str()?).unwrap_or(Epoch(0)),
        ))
    };
    statement.query_row([id.as_str()], read).optional()
}
