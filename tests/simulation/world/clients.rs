//! What clients do and hear in the world.

use std::sync::Arc;

use scumble::backplane::{Author, Entry};
use scumble::protocol::client_message::{ClientMessage, parse};
use scumble::protocol::ids::{ClientId, ConnId, Epoch, Position};
use scumble::room::inbox::Event;
use serde_json::Value;

use super::{World, conn, overloaded};
use crate::client::Client;
use crate::link::Wire;

impl World {
    pub(super) fn come(&mut self, n: usize) {
        if self.clients[n].wire.is_some() {
            return;
        }
        let at = usize::try_from(self.random.below(self.instances.len() as u64)).expect("few");
        let number = self.instances[at].number;
        self.next_conn += 1;
        let client = ClientId::parse(&self.clients[n].id).expect("an id");
        let conn = ConnId::new(number, self.next_conn);
        let author = Arc::new(Author::new(conn, client, "{}".into(), String::new()));
        let wire = Wire::new(author.clone());
        let turn = self.next_conn;
        self.clients[n].wire = Some((at, turn, wire.clone()));
        let since = self.clients[n].since().map(|(epoch, seq)| Position {
            epoch: Epoch::parse(&epoch).expect("an epoch"),
            seq,
        });
        self.at_instance(at, (0, 5), move |world| {
            world.instances[at].held.push(author);
            world.event(at, Event::Join { link: wire, since });
        });
        self.later(1, 10, move |world| world.read(n, turn));
    }

    /// The client reads, some more slowly than others; then it writes.
    pub(super) fn read(&mut self, n: usize, turn: u64) {
        let Some((at, _, wire)) = self.clients[n].wire.clone().filter(|(_, t, _)| *t == turn)
        else {
            return;
        };
        let slow = n % 3 == 2 && !self.over();
        let (messages, drained) = wire.read(if slow { 1 } else { 50 });
        let fresh = !self.clients[n].welcomed;
        for message in messages {
            self.clients[n].take(message);
        }
        if drained {
            let conn = conn(&wire);
            self.at_instance(at, (0, 2), move |world| {
                world.event(at, Event::Drained(conn))
            });
        }
        if wire.is_over() {
            self.clients[n].cut();
            return self.later(100, 400, move |world| world.come(n));
        }
        if self.clients[n].welcomed {
            self.speak(n, turn, fresh);
        }
        let (min, max) = if slow { (20, 200) } else { (1, 20) };
        self.later(min, max, move |world| world.read(n, turn));
    }

    pub(super) fn speak(&mut self, n: usize, turn: u64, fresh: bool) {
        let mut out = Vec::new();
        if fresh || (self.clients[n].refused && self.random.below(3) == 0) {
            self.clients[n].refused = false;
            out.extend(self.clients[n].pending.values().cloned());
        }
        if !self.over() && self.clients[n].pending.len() < 20 && self.random.below(4) == 0 {
            for _ in 0..1 + self.random.below(4) {
                let message = self.random.message();
                out.push(self.clients[n].write(message));
            }
        }
        let (at, _, wire) = self.clients[n].wire.clone().expect("it is connected");
        if self.one_in(10) {
            let (conn, Value::Object(mut fields)) = (conn(&wire), Client::cursor(self.now)) else {
                return;
            };
            fields.remove("type");
            let text = Value::Object(fields).to_string();
            let inside = text[1..text.len() - 1].to_owned();
            self.at_instance(at, (0, 3), move |world| {
                world.event(at, Event::Cursor(conn, inside))
            });
        }
        if !out.is_empty() {
            // One connection keeps its order, whatever is late.
            wire.send(out);
            self.at_instance(at, (0, 1), move |world| world.hear(at, n, turn, &wire));
        }
    }

    /// The instance hears ops, all that were sent together.
    pub(super) fn hear(&mut self, at: usize, n: usize, turn: u64, wire: &Arc<Wire>) {
        use scumble::room::Link;
        let gone = self.clients[n]
            .wire
            .as_ref()
            .is_none_or(|(_, t, _)| *t != turn);
        for op in wire.sent() {
            // What was on its way when the connection broke arrives up to some point.
            if gone && self.random.below(2) == 0 {
                wire.cut();
                return;
            }
            let Ok(ClientMessage::Durable(message)) = parse(&op.to_string()) else {
                panic!("{op}");
            };
            let (author, op) = (wire.author().clone(), message.op);
            let taken = author
                .ops
                .offer(op, || match self.one_in(self.weather.overloads) {
                    true => Err(overloaded()),
                    false => Ok(()),
                });
            match taken {
                Err(r) => wire.reply(scumble::protocol::server_message::error(
                    r.code,
                    &r.message,
                    Some(op),
                    r.retry_after_ms,
                )),
                Ok(()) => self.append(at, Entry::Durable { author, message }),
            }
        }
    }
}
