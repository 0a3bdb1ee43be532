//! How the queue starts: the file, the place in the registry, the threads.

use std::os::unix::net::UnixDatagram;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use super::SqliteBackplane;
use super::hooks;
use super::jobs;
use super::reader::Reader;
use super::scheduling;
use super::spill::{self, Spill};
use super::upkeep::{self, Upkeep};
use super::writer::{self, Writer};
use crate::backplane::intake::Intake;
use crate::config::SqliteConfig;
use crate::sqlite::delivery::halt::Halt;
use crate::sqlite::delivery::poller::{self, Poller};
use crate::sqlite::delivery::refusals::Refusals;
use crate::sqlite::delivery::stats;
use crate::sqlite::delivery::tail::Tail;
use crate::sqlite::delivery::wake::Peers;
use crate::sqlite::delivery::wake::notifier::Notifier;
use crate::sqlite::delivery::wake::receiver::{self, WakeReceiver};
use crate::sqlite::delivery::wake::seal::Seal;
use crate::sqlite::delivery::wake::waker::Waker;
use crate::sqlite::membership::instances::{self, Registration};
use crate::sqlite::storage::clock::Clock;
use crate::sqlite::storage::ending::Ending;
use crate::sqlite::storage::fail_point::FailPoints;
use crate::sqlite::storage::files::Files;
use crate::sqlite::storage::generation::Generation;
use crate::sqlite::storage::schema;
use crate::sqlite::storage::start_error::StartError;
use crate::sqlite::storage::stopped::Fatal;
use crate::sqlite::storage::store_error::StoreError;
use crate::sqlite::upkeep::cleanup::{self, Cleanup};
use crate::sqlite::upkeep::watermarks;
use crate::sqlite::writer::commands;

/// The stack of each thread.
const STACK_BYTES: usize = 1024 * 1024;

impl SqliteBackplane {
    /// Opens the file, creating it if need be, registers this instance and starts its threads. Blocks for
    /// milliseconds, at most 20 s where another process holds the write lock.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the file, its folder or the instance's name.
    pub fn start(config: SqliteConfig) -> Result<Arc<Self>, StartError> {
        let (queue, ()) = Self::begin(config, |wakes| (Some(wakes), ()))?;
        Ok(queue)
    }

    /// The same for who has an event loop: what peers commit goes from their wakes to the rooms without another thread. The future
    /// is what does that, and is to be run as long as the queue; it ends with the reason if a part of the queue
    /// has ended though nobody asked it to: the process must go down.
    ///
    /// # Errors
    /// As above.
    pub fn start_on_loop(
        config: SqliteConfig,
    ) -> Result<(Arc<Self>, impl Future<Output = String> + Send + 'static), StartError> {
        let (queue, wakes) = Self::begin(config, |wakes| (None, wakes))?;
        let receiver = queue.wake_receiver();
        let notifier = queue.notifier.clone();
        let mut failed = queue.ending.failed();
        let parts = async move {
            tokio::select! {
                failed = failed.wait_for(Option::is_some) => match failed {
                    Ok(reason) => reason.clone().unwrap_or_default(),
                    Err(_) => "the queue is gone".to_owned(),
                },
                error = receiver::listen(wakes, receiver, notifier) => format!("the wake socket failed: {error}"),
            }
        };
        Ok((queue, parts))
    }

    /// `share` says where the socket of the wakes goes: to the poller, or back to the caller.
    fn begin<T>(
        config: SqliteConfig,
        share: impl FnOnce(UnixDatagram) -> (Option<UnixDatagram>, T),
    ) -> Result<(Arc<Self>, T), StartError> {
        let mut prepared = schema::prepare(&config)?;
        let (own, wakes) = instances::register(&mut prepared, &config)?;
        if let Some(dir) = &config.file.spill_dir {
            spill::commit_leftovers(dir, &mut prepared, &own.setup)?;
        }
        let schema::Prepared {
            conn,
            files,
            turnstile,
            clock,
            generation,
        } = prepared;
        let io = |path: &std::path::Path| {
            let path = path.to_owned();
            move |error| StartError::Io { path, error }
        };
        let tables = |error: StoreError| StartError::Sqlite {
            path: files.db.clone(),
            error,
        };
        let sqlite = |error: rusqlite::Error| tables(error.into());
        let seal = Seal::of(&conn).map_err(tables)?;
        let peers = Peers::new(seal).map_err(io(&own.wake_path))?;
        let notifier = Notifier::new().map_err(io(&own.wake_path))?;
        let poll_conn = schema::open_reader(&files.db).map_err(sqlite)?;
        let keep_conn = schema::open_reader(&files.db).map_err(sqlite)?;
        peers.set(instances::peers(&keep_conn, &own).map_err(sqlite)?);
        let fail_points = Arc::new(FailPoints::new(&config.fail_points));
        let files = Arc::new(files);
        let ways = (peers, notifier);
        let queue = Self::with_parts(&config, files, clock, own, ways, &fail_points)?;
        let generation = Arc::new(generation);
        let (to_poller, to_caller) = share(wakes);
        let writer = queue.writer_parts(&config, generation.clone(), fail_points);
        let writer = Writer::new(conn, turnstile, writer);
        let receiver = to_poller.map(|socket| (socket, queue.wake_receiver()));
        let poller = Poller::new(poll_conn, receiver, queue.poller_parts(&config));
        let cleanup = Cleanup::new(queue.cleanup_parts(&config));
        let upkeep = Upkeep::new(keep_conn, cleanup, queue.upkeep_parts(generation));
        queue.run(writer, poller, upkeep)?;
        queue.peers.hello();
        Ok((Arc::new(queue), to_caller))
    }

    /// The handle, with everything that the threads are to share.
    fn with_parts(
        config: &SqliteConfig,
        files: Arc<Files>,
        clock: Clock,
        own: Registration,
        (peers, notifier): (Peers, Notifier),
        fail_points: &Arc<FailPoints>,
    ) -> Result<Self, StartError> {
        let ending = Arc::new(Ending::new());
        let path = files.db.clone();
        let reader = Reader::new(files.clone(), ending.clone())
            .map_err(|error| StartError::Readers { path, error })?;
        let counters = Arc::new(stats::Counters::new(clock.now_ms()));
        let refusals = Refusals {
            intake: Arc::new(Intake::default()),
            tail: Arc::new(Tail::new()),
            counters: counters.clone(),
        };
        let parts = spill::Parts {
            clock,
            ending: ending.clone(),
            refusals: refusals.clone(),
            fail_points: fail_points.clone(),
        };
        let spill = spill_file(config, &files, parts)?.map(Arc::new);
        let halt = Halt {
            ending: ending.clone(),
            intake: refusals.intake.clone(),
            notifier: Arc::new(notifier),
            waker: Arc::new(Waker::default()),
        };
        let own = Arc::new(own);
        let numbers = watermarks::Parts {
            clock,
            own: own.clone(),
            files: files.clone(),
            intake: refusals.intake.clone(),
            spill: spill.clone(),
            tail: refusals.tail.clone(),
            counters: counters.clone(),
        };
        let peers = Arc::new(peers);
        let lane = jobs::Parts {
            clock,
            limits: config.jobs,
            intake: refusals.intake.clone(),
            peers: peers.clone(),
            waker: halt.waker.clone(),
            counters: counters.clone(),
            ending: ending.clone(),
        };
        Ok(Self {
            instance_id: config.instance_id.clone(),
            files,
            clock,
            own,
            intake: refusals.intake,
            tail: refusals.tail,
            peers,
            notifier: halt.notifier.clone(),
            counters,
            spill,
            jobs: Arc::new(jobs::Lane::default()),
            lane: Arc::new(lane),
            hooks: Arc::new(hooks::HookState::default()),
            numbers: Arc::new(numbers),
            ending,
            halt,
            reader,
            conns: AtomicU64::new(1),
            threads: Mutex::default(),
        })
    }

    fn refusals(&self) -> Refusals {
        Refusals {
            intake: self.intake.clone(),
            tail: self.tail.clone(),
            counters: self.counters.clone(),
        }
    }

    fn writer_parts(
        &self,
        config: &SqliteConfig,
        generation: Arc<Generation>,
        fail_points: Arc<FailPoints>,
    ) -> writer::Parts {
        writer::Parts {
            clock: self.clock,
            files: self.files.clone(),
            generation,
            fail_points: fail_points.clone(),
            ending: self.ending.clone(),
            peers: self.peers.clone(),
            notifier: self.notifier.clone(),
            waker: self.halt.waker.clone(),
            refusals: self.refusals(),
            spill: self.spill.clone(),
            commands: commands::Parts {
                own: self.own.clone(),
                tail: self.tail.clone(),
                jobs: self.jobs.clone(),
                lane: self.lane.clone(),
                hooks: hooks::Dispatcher {
                    state: self.hooks.clone(),
                    jobs: self.jobs.clone(),
                    limits: config.jobs,
                    peers: self.peers.clone(),
                    fail_points,
                },
            },
            local_broadcast: config.local_broadcast,
        }
    }

    fn wake_receiver(&self) -> WakeReceiver {
        WakeReceiver::new(receiver::Parts {
            clock: self.clock,
            peers: self.peers.clone(),
            tail: self.tail.clone(),
            counters: self.counters.clone(),
            jobs: self.jobs.hub.clone(),
            waker: self.halt.waker.clone(),
        })
    }

    fn poller_parts(&self, config: &SqliteConfig) -> poller::Parts {
        poller::Parts {
            clock: self.clock,
            files: self.files.clone(),
            ending: self.ending.clone(),
            notifier: self.notifier.clone(),
            tail: self.tail.clone(),
            counters: self.counters.clone(),
            refusals: self.refusals(),
            interval: config.file.poll_interval,
            idle: config.file.poll_idle,
            at_once: config.file.max_messages_per_poll.max(1),
        }
    }

    fn cleanup_parts(&self, config: &SqliteConfig) -> cleanup::Parts {
        cleanup::Parts {
            clock: self.clock,
            own: self.own.clone(),
            intake: self.intake.clone(),
            counters: self.counters.clone(),
            interval: config.file.cleanup_interval,
            shortest_ttl: config.rules.message_ttl.min(config.file.cursor_ttl),
        }
    }

    fn upkeep_parts(&self, generation: Arc<Generation>) -> upkeep::Parts {
        upkeep::Parts {
            clock: self.clock,
            files: self.files.clone(),
            generation,
            own: self.own.clone(),
            ending: self.ending.clone(),
            waker: self.halt.waker.clone(),
            intake: self.intake.clone(),
            tail: self.tail.clone(),
            peers: self.peers.clone(),
            counters: self.counters.clone(),
            hooks: self.hooks.clone(),
            spill: self.spill.clone(),
            jobs: self.jobs.clone(),
            lane: self.lane.clone(),
        }
    }

    fn run(&self, writer: Writer, poller: Poller, upkeep: Upkeep) -> Result<(), StartError> {
        self.spawn("sqlite-writer", move || writer.run())?;
        self.spawn("sqlite-poller", move || poller.run())?;
        self.spawn("sqlite-upkeep", move || upkeep.run())?;
        if let Some(spill) = self.spill.clone() {
            self.spawn("sqlite-spill", move || spill.run())?;
        }
        Ok(())
    }

    fn spawn(
        &self,
        name: &str,
        body: impl FnOnce() -> Result<(), Fatal> + Send + 'static,
    ) -> Result<(), StartError> {
        let ending = self.ending.clone();
        let title = name.to_owned();
        let run = move || {
            scheduling::let_wakers_go_on();
            let reason = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(Ok(())) if ending.is_asked() => return,
                Ok(Ok(())) => "it ended".to_owned(),
                Ok(Err(Fatal(reason))) => reason,
                Err(_) => "it panicked".to_owned(),
            };
            tracing::error!(thread = title, reason, "a thread of the queue has failed");
            ending.fail(format!("{title}: {reason}"));
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK_BYTES);
        let thread = thread.spawn(run);
        let path = self.files.db.clone();
        self.threads
            .lock()
            .push(thread.map_err(|error| StartError::Io { path, error })?);
        Ok(())
    }
}

/// Where messages wait while the file can't be written, if that is wanted.
fn spill_file(
    config: &SqliteConfig,
    files: &Files,
    parts: spill::Parts,
) -> Result<Option<Spill>, StartError> {
    let Some(dir) = &config.file.spill_dir else {
        return Ok(None);
    };
    let made = Spill::create(config, &files.db, parts);
    made.map_err(|error| StartError::Io {
        path: dir.clone(),
        error,
    })
}
