//! What clients do and hear over a log.

use std::rc::Rc;
use std::sync::Arc;

use scumble::backplane::{Author, Canvas, Carrier as _, End, Entry, Instance as _};
use scumble::protocol::client_message::{ClientMessage, parse};
use scumble::protocol::ids::{ClientId, Epoch, Position};
use scumble::room::Link as _;
use scumble::room::inbox::Event;
use serde_json::Value;

use super::{One, Relays};
use crate::client::Client;
use crate::link::Wire;
use crate::world::overloaded;

impl Relays {
    pub(super) fn come(&mut self, n: usize) {
        if self.clients[n].wire.is_some() {
            return;
        }
        let one = self.some_instance();
        let at = self.instances.iter().position(|it| Rc::ptr_eq(it, &one));
        self.turns += 1;
        let (turn, at) = (self.turns, at.expect("it is there"));
        let client = ClientId::parse(&self.clients[n].id).expect("an id");
        let conn = one.backplane.new_conn();
        let author = Arc::new(Author::new(conn, client, "{}".into(), String::new()));
        let wire = Wire::new(author);
        self.clients[n].wire = Some((at, turn, wire.clone()));
        let since = self.clients[n].since().map(|(epoch, seq)| Position {
            epoch: Epoch::parse(&epoch).expect("an epoch"),
            seq,
        });
        self.later(0, 5, move |relays| {
            if !one.dead.get() && relays.is_on(n, turn) {
                relays.rooms[n] = Some(one.rooms.join(&relays.board, wire, since));
            }
        });
        self.later(5, 15, move |relays| relays.read(n, turn));
    }

    /// Whether that connection of the client is its last one.
    fn is_on(&self, n: usize, turn: u64) -> bool {
        let wire = self.clients[n].wire.as_ref();
        wire.is_some_and(|(_, last, _)| *last == turn)
    }

    /// Has its room told something, unless the instance is dead by then.
    fn tell(&mut self, n: usize, (min, max): (u64, u64), event: Event<Wire>) {
        let (Some((at, ..)), Some(room)) = (&self.clients[n].wire, self.rooms[n].clone()) else {
            return;
        };
        let one = self.instances[*at].clone();
        self.later(min, max, move |_| {
            if !one.dead.get() {
                room.inbox.put(event);
            }
        });
    }

    /// A connection is gone; its room hears of it later.
    pub(super) fn cut(&mut self, n: usize) {
        if let Some((_, _, wire)) = self.clients[n].wire.clone() {
            let (conn, end) = (wire.author().conn, End::Lost);
            self.tell(n, (5, 300), Event::Leave { conn, end });
            self.clients[n].cut();
            self.later(1, 600, move |relays| relays.come(n));
        }
    }

    /// The client reads, some more slowly than others; then it writes.
    fn read(&mut self, n: usize, turn: u64) {
        if !self.is_on(n, turn) {
            return;
        }
        let Some((at, _, wire)) = self.clients[n].wire.clone() else {
            return;
        };
        let slow = n % 3 == 2 && !self.over();
        let (messages, drained) = wire.read(if slow { 1 } else { 50 });
        let fresh = !self.clients[n].welcomed;
        for message in messages {
            self.clients[n].take(message);
        }
        if drained {
            self.tell(n, (0, 2), Event::Drained(wire.author().conn));
        }
        if wire.is_over() {
            self.clients[n].cut();
            return self.later(100, 400, move |relays| relays.come(n));
        }
        if self.clients[n].welcomed {
            self.speak(n, turn, (at, &wire), fresh);
        }
        let (min, max) = if slow { (20, 200) } else { (1, 20) };
        self.later(min, max, move |relays| relays.read(n, turn));
    }

    fn speak(&mut self, n: usize, turn: u64, (at, wire): (usize, &Arc<Wire>), fresh: bool) {
        let mut out = Vec::new();
        if fresh || (self.clients[n].refused && self.random.below(3) == 0) {
            self.clients[n].refused = false;
            out.extend(self.clients[n].pending.values().cloned());
        }
        if !self.over() && self.clients[n].pending.len() < 20 && self.random.below(6) == 0 {
            for _ in 0..1 + self.random.below(4) {
                let message = self.random.message();
                out.push(self.clients[n].write(message));
            }
        }
        if self.one_in(10) {
            let Value::Object(mut fields) = Client::cursor(self.now) else {
                return;
            };
            fields.remove("type");
            let text = Value::Object(fields).to_string();
            let inside = text[1..text.len() - 1].to_owned();
            self.tell(n, (0, 3), Event::Cursor(wire.author().conn, inside));
        }
        if !out.is_empty() {
            // One connection keeps its order, whatever is late.
            wire.send(out);
            let one = self.instances[at].clone();
            let (wire, room) = (wire.clone(), self.rooms[n].clone());
            self.later(0, 3, move |relays| {
                let canvas = room.as_ref().and_then(|room| room.canvas());
                if let Some(canvas) = canvas.filter(|_| !one.dead.get()) {
                    relays.hear((&one, canvas), (n, turn), &wire);
                }
            });
        }
    }

    /// The instance hears ops, all that were sent together.
    fn hear(&mut self, (one, canvas): (&One, &Canvas), (n, turn): (usize, u64), wire: &Arc<Wire>) {
        let gone = !self.is_on(n, turn);
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
            let refused = self.one_in(self.weather.overloads);
            let taken = match refused {
                true => author.ops.offer(op, || Err(overloaded())),
                false => {
                    let entry = Entry::Durable { author, message };
                    one.backplane.append(canvas, entry)
                }
            };
            if let Err(refusal) = taken {
                wire.reply(scumble::protocol::server_message::error(
                    refusal.code,
                    &refusal.message,
                    Some(op),
                    refusal.retry_after_ms,
                ));
            }
        }
    }
}
