//! The spill file: accepted messages go there while the queue can't commit. So a crash meanwhile loses none of them,
//! and their authors need not send them again. Their acks wait for the commit.
//!
//! Everything in it is older than everything in the intake, and is committed first, in order. Each process has one
//! file. It is appended to and synced, and emptied when all of it is committed. The next process that starts commits
//! what a dead one left ([`leftover`]).

mod leftover;
mod record;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

pub(super) use leftover::commit_leftovers;

use crate::backplane::intake::{Waiting, durable_of};
use crate::backplane::{Author, Canvas};
use crate::config::{SqliteConfig, Step};
use crate::limits::{BATCH_BYTES, BATCH_ENTRIES, SPILL_AFTER};
use crate::sqlite::delivery::refusals::Refusals;
use crate::sqlite::storage::clock::Clock;
use crate::sqlite::storage::ending::Ending;
use crate::sqlite::storage::fail_point::FailPoints;
use crate::sqlite::storage::files::modes;
use crate::sqlite::storage::stopped::Fatal;
use record::Record;

/// How often it is looked whether anything has waited too long.
const TICK: Duration = Duration::from_millis(100);

/// What the file is used with.
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) ending: Arc<Ending>,
    pub(super) refusals: Refusals,
    pub(super) fail_points: Arc<FailPoints>,
}

/// This process's file.
pub(super) struct Spill {
    path: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
    parts: Parts,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Where the records begin, behind the name of the queue.
    begin: u64,
    /// Where the next one goes.
    end: u64,
    /// What is not committed yet, oldest first.
    slots: VecDeque<Slot>,
}

/// A message in the file.
#[derive(Debug)]
struct Slot {
    canvas: Canvas,
    author: Arc<Author>,
    ops: Vec<u64>,
    since: Instant,
    at: u64,
    len: usize,
}

impl Spill {
    /// Makes this process's file, if one is wanted.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub(super) fn create(
        config: &SqliteConfig,
        db: &Path,
        parts: Parts,
    ) -> io::Result<Option<Self>> {
        let Some(dir) = &config.file.spill_dir else {
            return Ok(None);
        };
        let random = uuid::Uuid::new_v4().as_fields().0;
        let path = dir.join(format!("{}.{random:08x}.spill", config.instance_id));
        // Under its final name it is locked from the first moment, or another process would take it for a leftover.
        let new = path.with_extension("new");
        let file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&new)?;
        modes::set(&new, modes::of(db)?)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let head = record::head(db);
        file.write_all_at(&head, 0)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(dir)?.sync_all()?;
        let begin = head.len() as u64;
        let state = State {
            file,
            begin,
            end: begin,
            slots: VecDeque::new(),
        };
        Ok(Some(Self {
            path,
            max_bytes: config.file.spill_max_bytes,
            state: Mutex::new(state),
            parts,
        }))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Messages in it.
    pub(super) fn len(&self) -> usize {
        self.state.lock().slots.len()
    }

    /// Runs until the queue stops: messages that the writer does not get to go to the file.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "all threads of the queue have one type of end"
    )]
    pub(super) fn run(&self) -> Result<(), Fatal> {
        let Parts {
            clock,
            ending,
            refusals,
            ..
        } = &self.parts;
        while !ending.is_stopping() {
            std::thread::park_timeout(TICK);
            if refusals.counters.stalled_for(SPILL_AFTER, clock.now_ms()) {
                let mut state = self.state.lock();
                let waiting = refusals.intake.take_durable(SPILL_AFTER);
                self.put(&mut state, waiting);
            }
        }
        Ok(())
    }

    /// What the writer takes next: from the file if there is something in it, else through `from_intake`.
    pub(super) fn next(&self, from_intake: impl FnOnce() -> Vec<Waiting>) -> (Vec<Waiting>, bool) {
        let mut state = self.state.lock();
        if state.slots.is_empty() {
            return (from_intake(), false);
        }
        match state.oldest() {
            Ok(batch) => (batch, true),
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "the spill file can't be read: its messages are refused");
                let refused = state
                    .slots
                    .drain(..)
                    .map(|slot| (slot.canvas.key, slot.author, slot.ops));
                let refusals = &self.parts.refusals;
                let answers = refusals.intake.refuse_spilled(refused.collect());
                state.empty();
                drop(state);
                refusals.intake.set_spilled(false);
                refusals.answer(answers);
                (Vec::new(), true)
            }
        }
    }

    /// The oldest `n` are committed.
    pub(super) fn committed(&self, n: usize) {
        self.parts.fail_points.note(Step::AfterReplay);
        let mut state = self.state.lock();
        state.slots.drain(..n);
        if state.slots.is_empty() {
            state.empty();
            self.parts.refusals.intake.set_spilled(false);
            tracing::info!("all messages of the spill file are committed");
        }
    }

    /// Takes what the writer could not commit.
    pub(super) fn take_back(&self, batch: Vec<Waiting>) {
        self.put(&mut self.state.lock(), batch);
    }

    /// Appends messages, and refuses those that do not fit or can't be written.
    fn put(&self, state: &mut State, mut batch: Vec<Waiting>) {
        if batch.is_empty() {
            return;
        }
        let Parts {
            clock,
            refusals,
            fail_points,
            ..
        } = &self.parts;
        let first = state.slots.is_empty();
        let room = self.max_bytes.saturating_sub(state.end);
        let passed = fail_points.pass_file(Step::BeforeSpill);
        let written = passed.and_then(|()| {
            let now_ms = clock.now_ms();
            state.append(&mut batch, room, now_ms)
        });
        let why = match written {
            Ok(()) => "the spill file is full".to_owned(),
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "the spill file can't be written: messages are refused");
                format!("the spill file can't be written: {error}")
            }
        };
        fail_points.note(Step::AfterSpill);
        if !state.slots.is_empty() {
            if first {
                tracing::warn!(path = %self.path.display(), "messages wait in the spill file until the queue commits");
            }
            refusals.intake.set_spilled(true);
        }
        refusals.refuse(batch, &why);
    }

    /// Removes the file, if there is nothing in it.
    pub(super) fn remove_if_empty(&self) {
        if self.state.lock().slots.is_empty() {
            crate::sqlite::storage::locks::remove(&self.path);
        }
    }
}

impl State {
    /// Writes as many of the batch as there is room for, and leaves the others in it.
    fn append(&mut self, batch: &mut Vec<Waiting>, room: u64, now_ms: i64) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut slots = Vec::new();
        for waiting in batch.iter() {
            let Some((author, message)) = durable_of(&waiting.entry) else {
                break;
            };
            let begin = bytes.len();
            Record::of(&waiting.canvas, author, message, now_ms).write(&mut bytes)?;
            if bytes.len() as u64 > room {
                bytes.truncate(begin);
                break;
            }
            slots.push(Slot {
                canvas: Canvas {
                    id: waiting.canvas.clone(),
                    key: waiting.key,
                },
                author: author.clone(),
                ops: message.ops().collect(),
                since: waiting.since,
                at: self.end + begin as u64,
                len: bytes.len() - begin,
            });
        }
        let written = self.file.write_all_at(&bytes, self.end);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // What is there in part must not stand before what comes later.
            self.file.set_len(self.end)?;
            return Err(error);
        }
        self.end += bytes.len() as u64;
        batch.drain(..slots.len());
        self.slots.extend(slots);
        Ok(())
    }

    /// One transaction's worth, read back.
    fn oldest(&self) -> io::Result<Vec<Waiting>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for slot in self.slots.iter().take(BATCH_ENTRIES) {
            if bytes >= BATCH_BYTES {
                break;
            }
            let mut buffer = vec![0; slot.len];
            self.file.read_exact_at(&mut buffer, slot.at)?;
            bytes += slot.len;
            let record = record::read(&mut buffer.as_slice())?;
            let record = record.ok_or(io::ErrorKind::InvalidData)?;
            batch.push(Waiting {
                key: slot.canvas.key,
                canvas: slot.canvas.id.clone(),
                entry: record.entry(slot.author.clone())?,
                since: slot.since,
            });
        }
        Ok(batch)
    }

    /// Nothing in it is needed any more. If that can't be said to the disk, a start commits it again: as duplicates.
    fn empty(&mut self) {
        let emptied = self.file.set_len(self.begin);
        if let Err(error) = emptied.and_then(|()| self.file.sync_data()) {
            tracing::warn!(%error, "the spill file could not be emptied");
        } else {
            self.end = self.begin;
        }
    }
}
