//! One load client: connects, joins, sends what is due, checks what it receives, and comes back after a disconnect.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tungstenite::{Message, Utf8Bytes};

use super::hearing::Hearing;
use super::tally::Shared;
use crate::load::socket::{PATIENCE, Socket, backoff, connect, goodbye, say};
use crate::load::url::Url;
use crate::load::wire;
use crate::protocol::encoding::Encoding;

/// What is due and waits for its client. 30 a second for half a minute.
pub const DUE_QUEUE: usize = 1024;
/// Ops without an answer beyond which a client says no more: less than what a server takes from one connection.
const MAX_IN_FLIGHT: usize = 512;
/// Frames that are read in one go before what is due is looked at again.
const READ_BURST: usize = 64;
/// What a client keeps for reading. Small, since an idle client has it too.
const READ_BYTES: usize = 4 * 1024;
/// A client whose first connection fails this often gives up.
const FIRST_TRIES: u32 = 6;
/// A cursor this late is not worth saying.
const CURSOR_AGE_US: u64 = 1_000_000;

/// What a client does when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    /// Move its cursor.
    Cursor,
    /// Update its object.
    Object,
    /// Broadcast an event.
    Message,
}

/// Something is due.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// Microseconds of the load's clock.
    pub us: u64,
    /// What.
    pub stream: Stream,
}

/// Who a client is and what it does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The relays, tried in turn; the first is this client's own.
    pub urls: Vec<Url>,
    /// The canvas's number in this load.
    pub canvas: usize,
    /// The canvas's name.
    pub canvas_id: String,
    /// The client's number on the canvas.
    pub member: usize,
    /// Whether it has an object.
    pub object: bool,
    /// Bytes of a broadcast.
    pub message_bytes: usize,
    /// How it reads and writes messages.
    pub encoding: Encoding,
    /// Whether it reads nothing more once it has joined.
    pub stalls: bool,
}

/// How a connection ended.
enum End {
    /// The load is over.
    Stopped,
    /// The server said not to come back, and why.
    Refused(String),
    /// To be tried again, after that long if the server said so.
    Again(Option<Duration>),
}

/// One client.
pub struct Client {
    plan: Plan,
    shared: Arc<Shared>,
    hearing: Hearing,
    due: mpsc::Receiver<Due>,
    stop: watch::Receiver<bool>,
    ready: mpsc::Sender<Result<(), String>>,
    ramp: Arc<Semaphore>,
    cursors: u64,
    /// Bytes of messages that are not in the tally yet.
    heard_bytes: u64,
}

impl Client {
    /// A client that is not connected yet. It says on `ready`, once, when the load can begin for it, or why not.
    pub fn new(
        plan: Plan,
        shared: Arc<Shared>,
        due: mpsc::Receiver<Due>,
        stop: watch::Receiver<bool>,
        ready: mpsc::Sender<Result<(), String>>,
        ramp: Arc<Semaphore>,
    ) -> Self {
        let hearing = Hearing::new(&plan, Arc::clone(&shared));
        Self {
            plan,
            shared,
            hearing,
            due,
            stop,
            ready,
            ramp,
            cursors: 0,
            heard_bytes: 0,
        }
    }

    /// Lives until the load is over.
    pub async fn run(mut self) {
        let ramp = Arc::clone(&self.ramp);
        // Closed only when the load is given up.
        let Ok(permit) = ramp.acquire().await else {
            return;
        };
        let mut permit = Some(permit);
        let mut failures = 0;
        for attempt in 0.. {
            if *self.stop.borrow() {
                return;
            }
            let url = self.plan.urls[attempt % self.plan.urls.len()].clone();
            let was_live = self.hearing.times_live;
            let end =
                match connect(&url, &self.plan.canvas_id, READ_BYTES, self.plan.encoding).await {
                    Ok(socket) => self.session(socket, &mut permit).await,
                    Err(error) if self.hearing.times_live == 0 && failures + 1 >= FIRST_TRIES => {
                        let _ = self.ready.try_send(Err(format!("{url}: {error}")));
                        return;
                    }
                    Err(_) => End::Again(None),
                };
            if self.hearing.times_live > was_live {
                failures = 0;
            }
            if !matches!(end, End::Stopped) {
                self.hearing.lost_connection();
            }
            let wait = match end {
                End::Stopped => return,
                End::Refused(why) => {
                    self.shared.tally.lock().stopped += 1;
                    let refused = format!("{url}: refused by the server: {why}");
                    let _ = self.ready.try_send(Err(refused));
                    return;
                }
                End::Again(wait) => wait.unwrap_or_else(|| backoff(failures)),
            };
            failures += 1;
            // A stop that comes now is seen at the top.
            let _ = timeout(wait, self.stop.changed()).await;
        }
    }

    /// One connection from hello to its end.
    async fn session<P>(&mut self, mut socket: Socket, permit: &mut Option<P>) -> End {
        let hello = self.hearing.hello();
        if say(&mut socket, vec![hello.into()]).await.is_err() {
            return End::Again(None);
        }
        let joined_by = tokio::time::Instant::now() + PATIENCE;
        loop {
            if self.hearing.live {
                // The next client may connect.
                drop(permit.take());
            }
            let again = self.hearing.ops.again_at().map(|us| self.shared.at(us));
            let leave = self.hearing.leave_at;
            let room = self.hearing.live && self.hearing.ops.len() < MAX_IN_FLIGHT;
            let mut texts = Vec::new();
            tokio::select! {
                frame = socket.next() => match self.hear(frame, &mut socket) {
                    ControlFlow::Continue(more) => texts = more,
                    ControlFlow::Break(end) => return end,
                },
                Some(due) = self.due.recv(), if room => {
                    texts.extend(self.say_due(due));
                    while texts.len() < READ_BURST && self.hearing.ops.len() < MAX_IN_FLIGHT {
                        let Ok(due) = self.due.try_recv() else { break };
                        texts.extend(self.say_due(due));
                    }
                }
                () = until(again), if again.is_some() => texts = self.hearing.again(),
                () = until(leave), if leave.is_some() => {
                    self.shared.tally.lock().planned += 1;
                    return End::Again(Some(Duration::ZERO));
                }
                () = tokio::time::sleep_until(joined_by), if !self.hearing.live => {
                    return End::Again(None);
                }
                _ = self.stop.changed() => {
                    goodbye(&mut socket).await;
                    return End::Stopped;
                }
            }
            if !texts.is_empty() && say(&mut socket, texts).await.is_err() {
                return End::Again(None);
            }
            if self.hearing.is_ready() {
                // The one who waits may have given up.
                let _ = self.ready.try_send(Ok(()));
                if self.plan.stalls {
                    drop(permit.take());
                    self.hearing.stall();
                    // Whatever it is told, by the server or at the end, it doesn't read it.
                    let _ = self.stop.changed().await;
                    return End::Stopped;
                }
            }
        }
    }

    /// Takes a frame and those that came with it. Returns what to say to them.
    fn hear(
        &mut self,
        frame: Option<Result<Message, tungstenite::Error>>,
        socket: &mut Socket,
    ) -> ControlFlow<End, Vec<Utf8Bytes>> {
        let mut texts = Vec::new();
        let mut frame = frame;
        for more in (0..READ_BURST).rev() {
            match frame {
                Some(Ok(Message::Text(text))) => {
                    self.heard_bytes += text.len() as u64;
                    texts.extend(self.hearing.hear(&text));
                }
                Some(Ok(Message::Binary(bytes))) => {
                    self.heard_bytes += bytes.len() as u64;
                    texts.extend(self.hearing.hear_msgpack(&bytes));
                }
                Some(Ok(Message::Close(close))) => {
                    let (code, why) = close.map_or_else(Default::default, |close| {
                        (Some(u16::from(close.code)), close.reason.to_string())
                    });
                    return ControlFlow::Break(self.closed(code.unwrap_or(1005), &why));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return ControlFlow::Break(self.closed(1006, "")),
            }
            // What was taken must be looked at, so nothing is taken after the last.
            match (more > 0).then(|| socket.next().now_or_never()).flatten() {
                Some(next) => frame = next,
                None => break,
            }
        }
        self.shared.tally.lock().bytes += std::mem::take(&mut self.heard_bytes);
        ControlFlow::Continue(texts)
    }

    fn closed(&mut self, code: u16, why: &str) -> End {
        let wait = self.hearing.leave_at.take();
        {
            let mut tally = self.shared.tally.lock();
            // Announced, or by the code of a restart: nothing went wrong.
            if wait.is_some() || code == 4503 {
                tally.planned += 1;
            } else {
                *tally.errors.entry(format!("closed-{code}")).or_default() += 1;
            }
        }
        match code {
            4413 => End::Again(None),
            1009 | 4400..4500 => End::Refused(format!("{code} {why}")),
            _ => End::Again(wait.map(|at| at.saturating_duration_since(Instant::now()))),
        }
    }

    /// What a due beat makes the client say, if anything.
    fn say_due(&mut self, due: Due) -> Option<Utf8Bytes> {
        let now = self.shared.us(Instant::now());
        let late = now.saturating_sub(due.us);
        if due.stream == Stream::Cursor {
            self.shared.open.fetch_sub(1, Ordering::Relaxed);
            let mut tally = self.shared.tally.lock();
            if late > CURSOR_AGE_US {
                tally.skipped += 1;
                return None;
            }
            tally.cursors_sent += 1;
            tally.lag.record(late);
            self.cursors += 1;
            return Some(wire::cursor(self.cursors, due.us).into());
        }
        {
            let mut tally = self.shared.tally.lock();
            tally.messages += 1;
            tally.lag.record(late);
        }
        let op = self.hearing.ops.next();
        let text = match due.stream {
            Stream::Object => wire::update(op, self.plan.member, due.us),
            _ => wire::broadcast(op, due.us, self.plan.message_bytes),
        };
        self.hearing.sent(op, &text);
        self.hearing.ops.push(text.into(), Some(due.us))
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
