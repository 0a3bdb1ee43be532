//! A stream of events in a WebSocket's place: `docs/PROTOCOL.md` describes it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;

use super::connection::{Hub, Peer, slots, until_its_end};
use super::events::Events;
use super::inbound::Inbound;
use super::outbound::Outbound;
use super::ticket;
use crate::backplane::{Post, Unavailable};
use crate::protocol::ids::CanvasId;
use crate::room::Link as _;

pub use super::answers::numbers;
pub use super::mailbox::OutOfOrder;
pub use super::outbound::Answered;

/// A client's stream, from the first event to the last. It is dropped when the client is gone.
pub struct EventStream {
    first: Option<Bytes>,
    events: Events,
    out: Arc<Outbound>,
}

/// Opens a stream for a client that says this hello. If anything is wrong with the hello, the stream says so, as a
/// WebSocket does. The future is the connection's task.
pub fn open(
    hub: Arc<Hub>,
    canvas: CanvasId,
    hello: &str,
    address: Option<IpAddr>,
) -> (EventStream, impl Future<Output = ()> + Send + use<>) {
    let out = Arc::new(Outbound::streamed(slots(&hub)));
    let place = hub.place_for(address);
    let mut inbound = Inbound::of_stream(hub.clone(), canvas.clone(), out.clone(), address);
    if place.is_ok() {
        inbound.greeted(hello);
    }
    let session = |peer: &Arc<Peer>| ticket::issue(&*hub.backplane, &canvas, peer.author().conn);
    let name = inbound.peer().map(session);
    let stream = EventStream {
        first: name.map(|name| Events::session(&name).into()),
        events: Events::default(),
        out: out.clone(),
    };
    let task = async move {
        until_its_end(hub, out.clone(), inbound, place).await;
        out.settled().await;
        out.hang_up();
    };
    (stream, task)
}

impl Stream for EventStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(first));
        }
        this.out.poll_events(cx, &mut this.events)
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.out.hang_up();
    }
}

/// Which post of a stream it is.
#[derive(Debug)]
pub enum Which {
    /// That one: its client counts.
    Number(NonZeroU64),
    /// The next one. A session of this process answers the messages with these numbers.
    Next(BTreeSet<u64>),
}

/// The end of a post, as far as this process knows it.
#[derive(Debug)]
pub enum Posted {
    /// The session has it, or another process is handed it.
    Taken,
    /// The session has it, and answers.
    Answered(Answered),
    /// There is no such session on that canvas, or it has ended.
    Unknown,
    /// It is not its turn.
    OutOfOrder(OutOfOrder),
    /// The process is on its way out and reads nothing more.
    Draining,
    /// It can't be handed on now.
    Unavailable(Unavailable),
}

impl Hub {
    /// A client posted to a session of that name, which may be on another process. Its messages must be a JSON array.
    pub async fn posted(
        &self,
        canvas: &CanvasId,
        session: &str,
        which: Which,
        messages: Arc<str>,
    ) -> Posted {
        let relay = &self.backplane;
        let Some(conn) = ticket::check(&**relay, canvas, session) else {
            return Posted::Unknown;
        };
        if let Some(peer) = self.peer(conn) {
            if self.draining() {
                return Posted::Draining;
            }
            let posted = match which {
                Which::Number(number) => {
                    let number = Some(number);
                    let taken = peer.out.post(Post { number, messages });
                    taken.map(|()| Posted::Taken)
                }
                Which::Next(ops) => peer.out.post_next(messages, ops).map(Posted::Answered),
            };
            return posted.unwrap_or_else(Posted::OutOfOrder);
        }
        if conn.instance() == relay.number() {
            return Posted::Unknown;
        }
        let number = match which {
            Which::Number(number) => Some(number),
            Which::Next(_) => None,
        };
        match relay.forward(canvas, conn, Post { number, messages }).await {
            Ok(true) => Posted::Taken,
            Ok(false) => Posted::Unknown,
            Err(error) => Posted::Unavailable(error),
        }
    }
}
