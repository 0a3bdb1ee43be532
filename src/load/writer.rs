//! Authors that write straight into a backplane, as rooms would, and time what comes back as committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::{Condvar, Mutex};

use super::latency::Latency;
use super::ops::Ops;
use super::pacer::{Beat, Schedule};
use crate::backplane::{Author, Backplane, Canvas, Delivery, Entry, LogBatch, Outcome, Sink};
use crate::limits;
use crate::protocol::client_message::{ClientMessage, parse};
use crate::protocol::ids::{CanvasId, ClientId};

/// How a writer did.
#[derive(Debug, Default)]
pub struct Written {
    /// Messages given to the queue, each counted once.
    pub sent: u64,
    /// Messages that came back with their place.
    pub committed: u64,
    /// Refusals; what was refused was said again.
    pub errors: u64,
    /// Messages that came back a second time.
    pub duplicated: u64,
    /// Messages that came back out of their author's order.
    pub disordered: u64,
    /// The highest `seq` that was committed.
    pub head: u64,
    /// From due to committed.
    pub latency: Latency,
}

#[derive(Default)]
struct State {
    ops: Ops,
    written: Written,
}

/// Wakes the thread that drives writers.
#[derive(Default)]
pub struct Notifier {
    notified: Mutex<bool>,
    changed: Condvar,
}

impl Notifier {
    /// Ends a wait.
    pub fn notify(&self) {
        *self.notified.lock() = true;
        self.changed.notify_all();
    }

    /// Waits for a notification, until then at the latest.
    fn wait_until(&self, at: Instant) {
        let mut notified = self.notified.lock();
        if !*notified {
            self.changed.wait_until(&mut notified, at);
        }
        *notified = false;
    }
}

/// One author on a canvas.
pub struct Writer {
    backplane: Arc<dyn Backplane>,
    canvas: Canvas,
    author: Arc<Author>,
    inbox: Arc<Inbox>,
    message_bytes: usize,
    window: usize,
}

/// Where the backplane puts what it delivers to a writer.
struct Inbox {
    start: Instant,
    notifier: Arc<Notifier>,
    conn: Mutex<Option<crate::protocol::ids::ConnId>>,
    state: Mutex<State>,
}

impl Sink for Inbox {
    fn deliver(&self, delivery: Delivery) {
        match delivery {
            Delivery::Log(batch) => self.committed(&batch),
            Delivery::Outcome { conn, op, outcome } if Some(conn) == *self.conn.lock() => {
                self.outcome(op, &outcome);
            }
            _ => return,
        }
        self.notifier.notify();
    }
}

impl Inbox {
    fn now_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn committed(&self, batch: &LogBatch) {
        let own = *self.conn.lock();
        let now = self.now_us();
        let mut state = self.state.lock();
        let State { ops, written } = &mut *state;
        for (seq, mark) in (batch.first_seq..).zip(batch.marks.iter()) {
            written.head = written.head.max(seq);
            if Some(mark.origin) != own {
                continue;
            }
            if ops.first().is_some_and(|first| first < mark.op) {
                written.disordered += 1;
            }
            match ops.answered(mark.op) {
                Some(op) => {
                    written.committed += 1;
                    written
                        .latency
                        .record(now.saturating_sub(op.due_us.unwrap_or(now)));
                }
                None => written.duplicated += 1,
            }
        }
    }

    fn outcome(&self, op: u64, outcome: &Outcome) {
        let now = self.now_us();
        let mut state = self.state.lock();
        match outcome {
            // It was committed before: not by this writer, which says an op again only after a refusal.
            Outcome::Ack { .. } => {
                state.ops.answered(op);
                state.written.duplicated += 1;
            }
            Outcome::Refused(refusal) => {
                state.written.errors += 1;
                let wait = refusal.retry_after_ms.unwrap_or(limits::RETRY_AFTER_MS);
                state.ops.refused(op, now + wait.clamp(1, 10_000) * 1000);
            }
        }
    }
}

impl Writer {
    /// Opens the canvas and takes a place as an author there.
    ///
    /// # Errors
    /// When the backplane can't open it.
    pub async fn open(
        backplane: &Arc<dyn Backplane>,
        canvas: &CanvasId,
        start: Instant,
        notifier: &Arc<Notifier>,
        (message_bytes, window): (usize, usize),
    ) -> anyhow::Result<Self> {
        let inbox = Arc::new(Inbox {
            start,
            notifier: Arc::clone(notifier),
            conn: Mutex::new(None),
            state: Mutex::default(),
        });
        let opened = backplane
            .open(canvas, Arc::clone(&inbox) as Arc<dyn Sink>)
            .await?;
        let conn = backplane.new_conn();
        *inbox.conn.lock() = Some(conn);
        let client = ClientId::parse(&format!("writer-{}", uuid::Uuid::new_v4().simple()))?;
        let author = Arc::new(Author::new(conn, client, "{}".to_owned(), String::new()));
        Ok(Self {
            backplane: Arc::clone(backplane),
            canvas: opened.canvas,
            author,
            inbox,
            message_bytes,
            window,
        })
    }

    fn has_room(&self) -> bool {
        self.inbox.state.lock().ops.len() < self.window
    }

    /// Writes one message that was due then.
    fn write(&self, due_us: u64) -> anyhow::Result<()> {
        let text = {
            let mut state = self.inbox.state.lock();
            state.written.sent += 1;
            let text = super::wire::broadcast(state.ops.next(), due_us, self.message_bytes);
            state.ops.push(text.into(), Some(due_us))
        };
        text.map_or(Ok(()), |text| self.append(&text))
    }

    /// Says again what was refused, if its time has come. Returns when it will have.
    fn again(&self) -> anyhow::Result<Option<u64>> {
        let texts = self.inbox.state.lock().ops.again(self.inbox.now_us());
        for text in texts {
            self.append(&text)?;
        }
        Ok(self.inbox.state.lock().ops.again_at())
    }

    fn append(&self, text: &str) -> anyhow::Result<()> {
        let Ok(ClientMessage::Durable(message)) = parse(text) else {
            anyhow::bail!("the load's own message was refused: {text}");
        };
        let op = message.op;
        let author = Arc::clone(&self.author);
        if let Err(refusal) = self
            .backplane
            .append(&self.canvas, Entry::Durable { author, message })
        {
            self.inbox.outcome(op, &Outcome::Refused(refusal));
        }
        Ok(())
    }

    /// Messages without an answer.
    pub fn open_ops(&self) -> usize {
        self.inbox.state.lock().ops.len()
    }

    /// Looks at what was written so far.
    pub fn look<T>(&self, f: impl FnOnce(&Written) -> T) -> T {
        f(&self.inbox.state.lock().written)
    }

    fn close(&self) {
        self.backplane
            .close(&self.canvas, &(Arc::clone(&self.inbox) as Arc<dyn Sink>));
    }
}

/// How a thread's writers write.
pub struct Pace {
    /// Messages of each writer in a second; 0: as fast as its window lets it.
    pub rate: f64,
    /// The zero of the load's clock.
    pub start: Instant,
    /// When to begin.
    pub from: Instant,
    /// When to stop.
    pub end: Instant,
    /// How much longer to wait for answers.
    pub drain: Duration,
}

/// Writes on the calling thread until the end, then waits for the answers.
///
/// # Errors
/// When the load's own messages are not accepted as such.
pub fn drive(writers: &[Arc<Writer>], notifier: &Notifier, pace: &Pace) -> anyhow::Result<()> {
    let every = super::pacer::interval_ns(pace.rate);
    let beats = every.iter().flat_map(|every_ns| {
        (0..writers.len()).map(|who| Beat {
            who,
            stream: (),
            every_ns: *every_ns,
        })
    });
    let mut schedule = Schedule::new(beats.collect());
    let at = |us: u64| pace.start + Duration::from_micros(us);
    while Instant::now() < pace.end {
        let mut next = pace.end;
        for writer in writers {
            if let Some(us) = writer.again()? {
                next = next.min(at(us));
            }
            while every.is_none() && writer.has_room() && Instant::now() < pace.end {
                writer.write(writer.inbox.now_us())?;
            }
        }
        if let Some(due) = write_due(writers, &mut schedule, pace)? {
            next = next.min(due);
        }
        notifier.wait_until(next);
    }
    drain(writers, notifier, pace)?;
    writers.iter().for_each(|writer| writer.close());
    Ok(())
}

/// Writes what is due. Returns when the next is, unless it is notified first.
fn write_due(
    writers: &[Arc<Writer>],
    schedule: &mut Schedule<()>,
    pace: &Pace,
) -> anyhow::Result<Option<Instant>> {
    while let Some(ns) = schedule.next_ns() {
        let due = pace.from + Duration::from_nanos(ns);
        if due > Instant::now() {
            return Ok(Some(due));
        }
        let Some(writer) = schedule.peek().map(|beat| &writers[beat.who]) else {
            break;
        };
        if !writer.has_room() {
            return Ok(None);
        }
        schedule.take();
        let since_start = due.duration_since(pace.start).as_micros();
        writer.write(u64::try_from(since_start).unwrap_or(u64::MAX))?;
    }
    Ok(None)
}

fn drain(writers: &[Arc<Writer>], notifier: &Notifier, pace: &Pace) -> anyhow::Result<()> {
    let give_up = pace.end + pace.drain;
    while Instant::now() < give_up && writers.iter().any(|writer| writer.open_ops() > 0) {
        let mut next = give_up;
        for writer in writers {
            if let Some(us) = writer.again()? {
                next = next.min(pace.start + Duration::from_micros(us));
            }
        }
        notifier.wait_until(next);
    }
    Ok(())
}

/// Starts a thread that drives writers.
///
/// # Errors
/// When the system has no thread left.
pub fn spawn(
    name: String,
    writers: Vec<Arc<Writer>>,
    notifier: Arc<Notifier>,
    pace: Pace,
) -> anyhow::Result<std::thread::JoinHandle<anyhow::Result<()>>> {
    std::thread::Builder::new()
        .name(name)
        .spawn(move || drive(&writers, &notifier, &pace))
        .context("a writer's thread did not start")
}

/// Waits for the threads, which end by themselves at `by`.
///
/// # Errors
/// When one failed, or has not ended although it should have.
pub async fn join(
    threads: Vec<std::thread::JoinHandle<anyhow::Result<()>>>,
    by: Instant,
) -> anyhow::Result<()> {
    let give_up = by + Duration::from_secs(5);
    for thread in threads {
        while !thread.is_finished() && Instant::now() < give_up {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::ensure!(thread.is_finished(), "a writer's thread does not end");
        thread
            .join()
            .map_err(|_| anyhow::anyhow!("a writer's thread died"))??;
    }
    Ok(())
}

/// What all writers did together, and how many messages have no answer.
pub fn sum(writers: &[Arc<Writer>]) -> (Written, u64) {
    let mut all = Written::default();
    let mut open = 0;
    for writer in writers {
        open += writer.open_ops() as u64;
        writer.look(|w| {
            all.sent += w.sent;
            all.committed += w.committed;
            all.errors += w.errors;
            all.duplicated += w.duplicated;
            all.disordered += w.disordered;
            all.latency.add(&w.latency);
        });
    }
    (all, open)
}
