//! The messages of a stream's client, which come in posts.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Inbound, MESSAGES_PER_TURN, Source, Turn};
use crate::counts;
use crate::protocol::close_code::CloseCode;
use crate::protocol::frame;
use crate::protocol::ids::CanvasId;
use crate::socket::connection::Hub;
use crate::socket::mailbox::Mailbox;
use crate::socket::outbound::Outbound;

/// The post that is being read.
#[derive(Default)]
pub(super) struct Posts {
    messages: Option<VecDeque<Box<RawValue>>>,
}

impl Inbound {
    /// The reading half of a stream of events whose client has said nothing yet.
    pub fn of_stream(
        hub: Arc<Hub>,
        canvas: CanvasId,
        out: Arc<Outbound>,
        address: Option<IpAddr>,
    ) -> Self {
        let source = Source::Posts(Posts::default());
        Self::reading(hub, canvas, out, source, address)
    }

    /// Handles the body of the request for the stream, which should be a hello.
    pub fn greeted(&mut self, hello: &str) {
        counts::BYTES_IN.add(hello.len() as u64);
        self.json(hello);
        // Another can't follow: there is no session to post it to.
        if self.peer.is_none() && !self.closing() {
            self.out.close(CloseCode::Malformed, "no hello");
        }
        self.flush();
    }

    /// A turn's share of what was posted.
    pub(super) fn read_posts(&mut self) -> Turn {
        for _ in 0..MESSAGES_PER_TURN {
            let Source::Posts(reading) = &mut self.source else {
                return Turn::Idle;
            };
            let Some(message) = reading.next(&self.out) else {
                return Turn::Idle;
            };
            let text = message.get();
            match text.len() > self.hub.config.max_message_bytes {
                // Nothing that comes now counts.
                _ if self.closing() => {}
                true => self.too_big(),
                false => self.json(text),
            }
            if self.stops() {
                return Turn::More;
            }
        }
        Turn::More
    }
}

impl Posts {
    /// The next message. At a post's end its client is told that it was taken.
    fn next(&mut self, out: &Outbound) -> Option<Box<RawValue>> {
        if self.messages.is_none() {
            let messages = out.posts(Mailbox::take)??;
            counts::BYTES_IN.add(messages.len() as u64);
            // The process that took it from the client has checked that it is an array.
            self.messages = Some(serde_json::from_str(&messages).unwrap_or_default());
        }
        let next = self.messages.as_mut()?.pop_front();
        if next.is_none() {
            self.messages = None;
            if let Some(number) = out.posts(Mailbox::done)? {
                out.with(|outbox| outbox.raw(frame::taken(number).into()));
            }
        }
        next
    }
}
