//! The writing half: every part that has a message puts it into the outbox, and writes what the socket takes at once.
//! Only a full socket wakes the connection's task.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use super::answers::Answers;
use super::events::Events;
use super::mailbox::{Mailbox, OutOfOrder};
use super::outbox::Outbox;
use crate::auth::Denied;
use crate::backplane::Post;
use crate::counts;
use crate::limits::{CLOSE_TIMEOUT, OUTBOX_BYTES, PROGRESS_BYTES, STREAM_BYTES};
use crate::protocol::close_code::CloseCode;
use crate::protocol::encoding::Encoding;
use crate::protocol::frame;
use crate::protocol::server_message::{self as say, ErrorCode};

/// Frames in one system call.
const SLICES: usize = 32;

/// A client's line and what waits for it.
pub struct Outbound {
    wire: Wire,
    lane: Mutex<Lane>,
    encoding: Encoding,
    /// Wakes the connection's task: something changed that it waits for.
    pub(super) wake: Notify,
    /// The task waits for room in the outbox or for answers before it reads on.
    pub(super) paused: AtomicBool,
}

/// Where it goes, and where the client's messages come from.
enum Wire {
    /// A WebSocket's.
    Socket(TcpStream),
    /// An answer of HTTP, which takes what waits when its client can have more; messages are posted.
    Events(Box<Ends>),
}

/// The two ends of a stream of events.
#[derive(Default)]
struct Ends {
    reader: AtomicWaker,
    posts: Mutex<Mailbox>,
    /// Of the post whose client waits for its answers.
    answers: Mutex<Option<Answers>>,
}

/// The answers to a post, once they are there. It ends without them when the stream does.
pub type Answered = oneshot::Receiver<Vec<String>>;

struct Lane {
    outbox: Outbox,
    /// The socket is full, and has taken little since then.
    blocked: Option<Instant>,
    /// Bytes that it has taken since.
    taken: usize,
    closing: Option<CloseCode>,
    broken: bool,
}

/// How an outbound stands, for the connection's task.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// The socket is full, and has taken less than [`PROGRESS_BYTES`] since then.
    pub blocked: Option<Instant>,
    /// A close frame was queued.
    pub closing: Option<CloseCode>,
    /// All that was queued is written.
    pub empty: bool,
    /// Nothing can be written any more.
    pub broken: bool,
    /// Bytes that wait.
    pub bytes: usize,
}

impl Outbound {
    /// An empty outbox for that socket, with so many slots on the latest-wins lane.
    pub fn new(stream: TcpStream, slots: usize, encoding: Encoding) -> Self {
        Self::over(Wire::Socket(stream), slots, encoding)
    }

    /// The same for a stream of events.
    pub fn streamed(slots: usize) -> Self {
        Self::over(Wire::Events(Box::default()), slots, Encoding::Json)
    }

    fn over(wire: Wire, slots: usize, encoding: Encoding) -> Self {
        let outbox = Outbox::new(OUTBOX_BYTES, slots).speaking(encoding);
        let lane = Lane {
            outbox,
            blocked: None,
            taken: 0,
            closing: None,
            broken: false,
        };
        Self {
            wire,
            lane: Mutex::new(lane),
            encoding,
            wake: Notify::new(),
            paused: AtomicBool::new(false),
        }
    }

    /// How messages are written, both ways.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The socket, if it is one.
    pub fn socket(&self) -> Option<&TcpStream> {
        match &self.wire {
            Wire::Socket(stream) => Some(stream),
            Wire::Events(_) => None,
        }
    }

    /// Waits until the socket has something to read. A stream of events has none: a post wakes the task.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.wire {
            Wire::Socket(stream) => stream.readable().await,
            Wire::Events(_) => std::future::pending().await,
        }
    }

    /// Waits until the socket takes more. A stream of events never does: the reader that takes from it wakes the task.
    pub async fn writable(&self) -> io::Result<()> {
        match &self.wire {
            Wire::Socket(stream) => stream.writable().await,
            Wire::Events(_) => std::future::pending().await,
        }
    }

    /// Does something with the posts; `None` where there are none.
    pub(super) fn posts<T>(&self, change: impl FnOnce(&mut Mailbox) -> T) -> Option<T> {
        match &self.wire {
            Wire::Socket(_) => None,
            Wire::Events(ends) => Some(change(&mut ends.posts.lock())),
        }
    }

    /// Whether a post waits to be read, or is being read.
    pub(super) fn has_post(&self) -> bool {
        self.posts(|posts| posts.is_full()) == Some(true)
    }

    /// The client posted.
    ///
    /// # Errors
    /// It is not its turn.
    pub(super) fn post(&self, post: Post) -> Result<(), OutOfOrder> {
        let taken = self.posts(|posts| posts.put(post)).unwrap_or(Ok(()));
        self.wake.notify_one();
        taken
    }

    /// The client posted without a number: that is the next post. Whoever asks so is told its acks and errors: of the messages with
    /// these numbers.
    ///
    /// # Errors
    /// The post before was not taken yet.
    pub(super) fn post_next(
        &self,
        messages: Arc<str>,
        ops: BTreeSet<u64>,
    ) -> Result<Answered, OutOfOrder> {
        let Wire::Events(ends) = &self.wire else {
            // A WebSocket has no session to post to.
            return Err(OutOfOrder { next: 1 });
        };
        let mut waiting = ends.answers.lock();
        let number = ends.posts.lock().put_next(messages)?;
        let (collecting, answered) = Answers::to(number, ops);
        *waiting = Some(collecting);
        drop(waiting);
        self.wake.notify_one();
        Ok(answered)
    }

    /// Does something with the outbox, without writing.
    pub fn with<T>(&self, change: impl FnOnce(&mut Outbox) -> T) -> T {
        change(&mut self.lane.lock().outbox)
    }

    /// Answers the client and writes.
    pub fn reply(&self, frame: Bytes) {
        self.with(|outbox| outbox.reply(frame));
        self.flush();
    }

    /// Queues a close frame after what is on its way; nothing is taken afterwards.
    pub fn close(&self, code: CloseCode, reason: &str) {
        let mut lane = self.lane.lock();
        if lane.closing.is_none() {
            lane.closing = Some(code);
            lane.outbox
                .close(Bytes::from(frame::close(code.number(), reason)));
        }
        drop(lane);
        self.flush();
        self.wake.notify_one();
    }

    /// Lets the kernel take more than it has sent: for the last frames of a connection that ends.
    pub fn unbound(&self) {
        // Where it can't, the frames wait for the client as before.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(stream) = self.socket() {
            let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(u32::MAX);
        }
    }

    /// Says why somebody may not be here, and ends the connection.
    pub fn deny(&self, denied: &Denied) {
        let error = say::error(ErrorCode::Forbidden, &denied.message, None, None);
        self.reply(error);
        self.close(denied.code, &denied.message);
    }

    /// How it stands now.
    pub fn standing(&self) -> Standing {
        let lane = self.lane.lock();
        Standing {
            blocked: lane.blocked,
            closing: lane.closing,
            empty: lane.outbox.is_empty(),
            broken: lane.broken,
            bytes: lane.outbox.bytes(),
        }
    }

    /// Writes what the socket takes. Whoever feeds the outbox asks afterwards whether it was emptied
    /// ([`Outbox::take_drained`]): this is called for many reasons, and must not use up what is said once.
    pub fn flush(&self) {
        match &self.wire {
            Wire::Socket(stream) => self.write_to(stream),
            Wire::Events(ends) => self.offer_to(&ends.reader),
        }
    }

    fn write_to(&self, stream: &TcpStream) {
        let mut lane = self.lane.lock();
        let was_blocked = lane.blocked.is_some();
        while lane.outbox.bytes() > 0 && !lane.broken {
            match write(stream, &lane.outbox) {
                Ok(taken) => {
                    counts::BYTES_OUT.add(taken as u64);
                    lane.outbox.advance(taken);
                    lane.taken += taken;
                    if lane.taken >= PROGRESS_BYTES || lane.outbox.bytes() == 0 {
                        lane.blocked = None;
                        lane.taken = 0;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if lane.blocked.is_none() {
                        lane.blocked = Some(Instant::now());
                        lane.taken = 0;
                    }
                    break;
                }
                Err(_) => lane.broken = true,
            }
        }
        let changed = (lane.blocked.is_some() && !was_blocked) || lane.broken;
        let room = lane.outbox.bytes() < OUTBOX_BYTES / 2;
        drop(lane);
        if changed || (room && self.paused.load(Ordering::Acquire)) {
            self.wake.notify_one();
        }
    }

    fn offer_to(&self, reader: &AtomicWaker) {
        let mut lane = self.lane.lock();
        let waits = lane.outbox.bytes() > 0 && !lane.broken;
        let begins = waits && lane.blocked.is_none();
        if begins {
            lane.blocked = Some(Instant::now());
            lane.taken = 0;
        }
        drop(lane);
        if waits {
            reader.wake();
        }
        if begins {
            // For its deadline.
            self.wake.notify_one();
        }
    }

    /// Takes waiting frames, as events, for the answer that carries them. `None`: nothing more comes.
    pub fn poll_events(&self, cx: &mut Context<'_>, events: &mut Events) -> Poll<Option<Bytes>> {
        let Wire::Events(ends) = &self.wire else {
            return Poll::Ready(None);
        };
        ends.reader.register(cx.waker());
        let mut lane = self.lane.lock();
        if lane.broken || events.have_ended() {
            return Poll::Ready(None);
        }
        let mut out = Vec::new();
        events.listen(ends.answers.lock().is_some());
        while lane.outbox.bytes() > 0 && out.len() < STREAM_BYTES {
            let mut slices = [IoSlice::new(&[])];
            lane.outbox.gather(&mut slices);
            let bytes = &slices[0][..slices[0].len().min(STREAM_BYTES - out.len())];
            events.follow(bytes, &mut out);
            let taken = bytes.len();
            lane.outbox.advance(taken);
            lane.taken += taken;
        }
        if out.is_empty() {
            return Poll::Pending;
        }
        if lane.taken >= PROGRESS_BYTES || lane.outbox.bytes() == 0 {
            lane.blocked = None;
            lane.taken = 0;
        }
        drop(lane);
        if let Some((messages, taken)) = events.overheard() {
            ends.overhear(&messages, &taken);
        }
        counts::BYTES_OUT.add(out.len() as u64);
        // There may be room again that somebody waits for.
        self.wake.notify_one();
        Poll::Ready(Some(Bytes::from(out)))
    }

    /// Waits until the last event was taken, for as long as a close frame's answer is waited for.
    pub async fn settled(&self) {
        let left = async {
            while !self.standing().broken {
                self.wake.notified().await;
            }
        };
        // The bound on the wait; what is not taken by then is lost.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, left).await;
    }

    /// A stream of events is over: its reader is gone, or its task.
    pub fn hang_up(&self) {
        if let Wire::Events(ends) = &self.wire {
            self.lane.lock().broken = true;
            *ends.answers.lock() = None;
            ends.reader.wake();
            self.wake.notify_one();
        }
    }

    /// Whether the socket took next to nothing for that long.
    pub fn stalled_for(&self, timeout: Duration) -> bool {
        self.standing()
            .blocked
            .is_some_and(|since| since.elapsed() >= timeout)
    }
}

impl Ends {
    /// These went out on the stream.
    fn overhear(&self, messages: &[String], taken: &[u64]) {
        let mut answers = self.answers.lock();
        if let Some(mut waiting) = answers.take() {
            messages.iter().for_each(|message| waiting.observe(message));
            taken.iter().for_each(|post| waiting.taken(*post));
            *answers = waiting.send();
        }
    }
}

fn write(stream: &TcpStream, outbox: &Outbox) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = outbox.gather(&mut slices);
    let taken = match &slices[..filled] {
        [one] => stream.try_write(one)?,
        many => stream.try_write_vectored(many)?,
    };
    if taken == 0 {
        Err(io::ErrorKind::WriteZero.into())
    } else {
        Ok(taken)
    }
}
