//! How the queue starts: the file, the place in the registry, the threads.

use std::os::unix::net::UnixDatagram;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::fail_point::FailPoints;
use super::poller::Poller;
use super::reader::Reader;
use super::schema;
use super::spill::{self, Spill};
use super::start_error::StartError;
use super::store_error::StoreError;
use super::tail::Tail;
use super::upkeep::{Upkeep, Waker};
use super::wake::notifier::Notifier;
use super::wake::seal::Seal;
use super::wake::{Peers, receiver};
use super::writer::Writer;
use super::{Fatal, Shared, SqliteBackplane, instances, scheduling, stats};
use crate::backplane::intake::Intake;
use crate::config::SqliteConfig;

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
        let shared = queue.shared.clone();
        let mut failed = shared.failed.subscribe();
        let parts = async move {
            tokio::select! {
                failed = failed.wait_for(Option::is_some) => match failed {
                    Ok(reason) => reason.clone().unwrap_or_default(),
                    Err(_) => "the queue is gone".to_owned(),
                },
                error = receiver::listen(wakes, shared) => format!("the wake socket failed: {error}"),
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
        let failed = tokio::sync::watch::Sender::new(None);
        let spill = match &config.file.spill_dir {
            Some(dir) => Spill::create(&config, &files.db).map_err(io(dir))?,
            None => None,
        };
        let files = Arc::new(files);
        let path = files.db.clone();
        let reader = Reader::new(files.clone(), failed.clone())
            .map_err(|error| StartError::Readers { path, error })?;
        let shared = Arc::new(Shared {
            fail_points: FailPoints::new(&config.fail_points),
            config,
            files,
            clock,
            generation,
            own,
            intake: Intake::default(),
            tail: Tail::new(),
            peers,
            notifier,
            waker: Waker::default(),
            counters: stats::Counters::new(clock.now_ms()),
            spill,
            jobs: super::jobs::Lane::default(),
            hooks: super::hooks::HookState::default(),
            trouble: Mutex::default(),
            ending: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            failed,
        });
        let writer = Writer::new(conn, turnstile, shared.clone());
        let (to_poller, to_caller) = share(wakes);
        let poller = Poller::new(poll_conn, to_poller, shared.clone());
        let upkeep = Upkeep::new(keep_conn, shared.clone());
        let queue = Self {
            shared,
            reader,
            conns: AtomicU64::new(1),
            threads: Mutex::default(),
        };
        queue.run(writer, poller, upkeep)?;
        queue.shared.peers.hello();
        Ok((Arc::new(queue), to_caller))
    }

    fn run(&self, writer: Writer, poller: Poller, upkeep: Upkeep) -> Result<(), StartError> {
        self.spawn("sqlite-writer", move || writer.run())?;
        self.spawn("sqlite-poller", move || poller.run())?;
        self.spawn("sqlite-upkeep", move || upkeep.run())?;
        if self.shared.spill.is_some() {
            let shared = self.shared.clone();
            self.spawn("sqlite-spill", move || match &shared.spill {
                Some(spill) => spill.run(&shared),
                None => Ok(()),
            })?;
        }
        Ok(())
    }

    fn spawn(
        &self,
        name: &str,
        body: impl FnOnce() -> Result<(), Fatal> + Send + 'static,
    ) -> Result<(), StartError> {
        let shared = self.shared.clone();
        let title = name.to_owned();
        let run = move || {
            scheduling::let_wakers_go_on();
            let reason = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(Ok(())) if shared.ending.load(Ordering::Acquire) => return,
                Ok(Ok(())) => "it ended".to_owned(),
                Ok(Err(Fatal(reason))) => reason,
                Err(_) => "it panicked".to_owned(),
            };
            tracing::error!(thread = title, reason, "a thread of the queue has failed");
            shared
                .failed
                .send_replace(Some(format!("{title}: {reason}")));
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK_BYTES);
        let thread = thread.spawn(run);
        let path = self.shared.files.db.clone();
        self.threads
            .lock()
            .push(thread.map_err(|error| StartError::Io { path, error })?);
        Ok(())
    }
}
