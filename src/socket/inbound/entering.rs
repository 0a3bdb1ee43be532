//! The first message, and the decision whether to let the client in.

use std::sync::Arc;

use super::{Inbound, Peer};
use crate::auth::refusals;
use crate::backplane::Author;
use crate::protocol::VERSION;
use crate::protocol::client_message::{ClientMessage, Hello, Refused};
use crate::protocol::close_code::CloseCode;
use crate::protocol::server_message::{self as say, ErrorCode};

impl Inbound {
    /// The first message must be a hello of our version.
    pub(super) fn first(&mut self, message: ClientMessage) {
        let hello = match message {
            ClientMessage::Hello(hello) => hello,
            ClientMessage::OtherVersion(v) => {
                let message = match v {
                    Some(v) => format!("v must be {VERSION}, not {v}"),
                    None => format!("v must be {VERSION}"),
                };
                self.out
                    .reply(say::error(ErrorCode::BadMessage, &message, None, None));
                return self
                    .out
                    .close(CloseCode::Malformed, "wrong protocol version");
            }
            other => {
                let mut ops = match &other {
                    ClientMessage::Durable(message) => message.ops().collect(),
                    _ => Vec::new(),
                };
                let op = ops.pop();
                return self.refuse(&Refused {
                    code: ErrorCode::NotReady,
                    message: "hello must be the first message".to_owned(),
                    op,
                    others: ops,
                });
            }
        };
        self.bad_in_a_row = 0;
        self.enter(hello);
    }

    fn enter(&mut self, hello: Hello) {
        let grant = match self.hub.gate.admit(hello.token.as_deref(), &self.canvas) {
            Ok(grant) => grant,
            Err(denied) => {
                refusals::tell("canvas", self.address, &denied.message);
                return self.out.deny(&denied);
            }
        };
        let conn = self.hub.backplane.new_conn();
        let (user, subject) = match &grant {
            Some(grant) => (grant.user(&hello.user), grant.subject.clone()),
            None => (hello.user, String::new()),
        };
        let author = Author::new(conn, hello.client, user, subject);
        let author = Arc::new(author);
        let out = self.out.clone();
        // What is compressed is bytes, and events are text.
        let says = (hello.features, hello.deflate && self.out.socket().is_some());
        let peer = Arc::new(Peer::new(author, out, grant.clone(), says, self.address));
        self.hub.add(&peer);
        // Whoever reads the list of the revoked from here on finds this connection.
        if grant.is_some_and(|grant| self.hub.gate.is_revoked(&grant)) {
            return peer.revoke();
        }
        self.peer = Some(peer.clone());
        let room = self
            .hub
            .registry
            .join(&self.canvas, peer.clone(), hello.since);
        peer.seat(room);
    }
}
