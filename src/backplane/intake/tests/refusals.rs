//! Whatever is refused, and whichever connection an op comes through: a client that does as the protocol says has each op
//! decided once, and none is passed over.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::protocol::ids::{ClientId, ConnId, InstanceNumber};
use crate::protocol::server_message::ErrorCode;

const OPS: u64 = 30;
const CONNECTIONS: usize = 4;
/// A client that is refused the same op more often than that connects anew.
const PATIENCE: u32 = 8;

/// What the client is told of an op.
#[derive(Debug, Clone, Copy)]
enum Answer {
    ForGood(u64),
    ForNow(u64),
}

/// One of the client's connections, and what is under way on it.
struct Connection {
    author: Arc<Author>,
    to_relay: VecDeque<u64>,
    to_client: VecDeque<Answer>,
    /// How much of the log its room has delivered.
    delivered: usize,
}

/// A client, its connections (each to the process of the same number modulo two), and the table they share.
#[derive(Default)]
struct World {
    intakes: [Intake<()>; 2],
    in_hand: [Option<Vec<Waiting>>; 2],
    connections: Vec<Connection>,
    /// Ops that took a place, and through which connection they came.
    log: Vec<(u64, ConnId)>,
    last_op: u64,
    said: u64,
    undecided: BTreeSet<u64>,
    /// Some ops that could be written before are refused for good when they are read from now on.
    restricted: bool,
    /// Those that the client took back while they were refused.
    given_up: BTreeSet<u64>,
    /// The client waits before it sends this one and all after it again.
    again_from: Option<u64>,
    /// The op that was refused last, and how often in a row.
    stuck: (u64, u32),
}

/// Refused for good when it is applied: its number is used up in the table.
fn is_unwanted(op: u64) -> bool {
    op % 7 == 3
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        world.connect();
        world
    }

    /// The welcome says what the table has decided; the rest is sent again.
    fn connect(&mut self) {
        let (conn, client) = (
            ConnId::new(InstanceNumber(1), self.connections.len() as u64),
            "client-1",
        );
        let client = ClientId::parse(client).unwrap();
        self.undecided = self.undecided.split_off(&(self.last_op + 1));
        self.again_from = None;
        self.connections.push(Connection {
            author: Arc::new(Author::new(conn, client, "{}".into(), String::new())),
            to_relay: self.undecided.iter().copied().collect(),
            to_client: VecDeque::new(),
            delivered: self.log.len(),
        });
    }

    /// Refused for good before it comes to the queue, by whatever connection reads it.
    fn is_forbidden(&self, op: u64) -> bool {
        op % 11 == 5 || (self.restricted && op % 5 == 1)
    }

    /// Nobody waits for it: it need not be committed.
    fn may_miss(&self, op: u64) -> bool {
        self.is_forbidden(op) || self.given_up.contains(&op)
    }

    fn current(&mut self) -> &mut Connection {
        self.connections.last_mut().unwrap()
    }

    fn say(&mut self) {
        if self.again_from.is_some() || self.said == OPS {
            return;
        }
        self.said += 1;
        let op = self.said;
        self.undecided.insert(op);
        self.current().to_relay.push_back(op);
    }

    fn say_again(&mut self) {
        let Some(from) = self.again_from.take() else {
            return;
        };
        let ops: Vec<u64> = self.undecided.range(from..).copied().collect();
        self.current().to_relay.extend(ops);
    }

    /// The client takes an op back that was refused, but not the one that others wait for.
    fn give_up(&mut self, which: usize) {
        let Some(from) = self.again_from else {
            return;
        };
        let op = self.undecided.range(from + 1..).nth(which).copied();
        if let Some(op) = op.filter(|op| self.undecided.remove(op)) {
            self.given_up.insert(op);
        }
    }

    /// The client reads one answer.
    fn hear(&mut self) {
        match self.current().to_client.pop_front() {
            Some(Answer::ForGood(op)) => _ = self.undecided.remove(&op),
            Some(Answer::ForNow(op)) if self.undecided.contains(&op) => {
                if self.again_from.is_none_or(|from| op < from) {
                    self.again_from = Some(op);
                    let (before, times) = self.stuck;
                    self.stuck = (op, if op == before { times + 1 } else { 1 });
                }
            }
            Some(Answer::ForNow(_)) | None => {}
        }
    }

    /// A connection reads one message, as `socket::inbound` does; the queue has no room for it if it is `full`.
    fn read(&mut self, at: usize, limited: bool, full: bool) {
        let Some(op) = self.connections[at].to_relay.pop_front() else {
            return;
        };
        let forbidden = self.is_forbidden(op);
        let connection = &mut self.connections[at];
        let author = &connection.author;
        if forbidden {
            author.ops.ended(op, OpEnd::GivenUp);
            connection.to_client.push_back(Answer::ForGood(op));
            return;
        }
        if limited && !author.ops.holds(op) {
            let limited = Refusal {
                code: ErrorCode::RateLimited,
                ..overloaded("too fast")
            };
            author.ops.offer(op, || Err::<(), _>(limited)).unwrap_err();
            connection.to_client.push_back(Answer::ForNow(op));
            return;
        }
        let intake = &self.intakes[at % 2];
        intake.state.lock().closed = full;
        let taken = intake.append(&canvas(1), durable(author, op, 1));
        intake.state.lock().closed = false;
        if taken.is_err() {
            connection.to_client.push_back(Answer::ForNow(op));
        }
    }

    /// A writer takes what waits.
    fn take(&mut self, process: usize) {
        if self.in_hand[process].is_none() {
            self.in_hand[process] = Some(self.intakes[process].drain().1);
        }
    }

    /// What a writer has taken is committed.
    fn commit(&mut self, process: usize) {
        let batch = self.in_hand[process].take().unwrap_or_default();
        for waiting in &batch {
            let (author, message) = durable_of(&waiting.entry).unwrap();
            let (op, conn) = (message.op, author.conn);
            if op > self.last_op {
                let passed = (self.last_op + 1..op).find(|op| !self.may_miss(*op));
                assert_eq!(passed, None, "lost: {op} was committed before it");
                self.last_op = op;
                if !is_unwanted(op) {
                    self.log.push((op, conn));
                    continue;
                }
            }
            self.tell(conn, Answer::ForGood(op));
        }
        decided(batch.iter().map(|waiting| &waiting.entry));
        self.intakes[process].hands_free();
    }

    /// What a writer has taken is not committed.
    fn fail(&mut self, process: usize) {
        let batch = self.in_hand[process].take().unwrap_or_default();
        let answers = self.intakes[process].refuse(batch, "x");
        self.intakes[process].hands_free();
        self.answer(answers);
    }

    fn answer(&mut self, answers: Answers) {
        for (_, delivery) in answers {
            if let Delivery::Outcome { conn, op, .. } = delivery {
                self.tell(conn, Answer::ForNow(op));
            }
        }
    }

    fn tell(&mut self, conn: ConnId, answer: Answer) {
        let connection = self.connections.iter_mut().find(|c| c.author.conn == conn);
        connection.unwrap().to_client.push_back(answer);
    }

    /// A room delivers one message of the log; as its author's ack, or as a message of the client's.
    fn deliver(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        let Some((op, _)) = self.log.get(connection.delivered) else {
            return;
        };
        connection.delivered += 1;
        connection.author.ops.ended(*op, OpEnd::Decided);
        connection.to_client.push_back(Answer::ForGood(*op));
    }

    fn step(&mut self, action: u8, on: usize) {
        let at = on % self.connections.len();
        match action {
            0..=3 => self.say(),
            4..=7 => self.read(at, false, false),
            8 => self.read(at, true, false),
            9 => self.read(at, false, true),
            10..=11 => self.take(on % 2),
            12..=13 => self.commit(on % 2),
            14 => self.fail(on % 2),
            15 => {
                let answers = self.intakes[on % 2].refuse_old(Duration::ZERO);
                self.answer(answers);
            }
            16..=17 => self.deliver(at),
            18..=20 => self.hear(),
            21..=22 => self.say_again(),
            23 => self.give_up(on),
            24 if on == 0 => self.restricted = true,
            _ if self.connections.len() < CONNECTIONS => self.connect(),
            _ => {}
        }
    }

    /// Nothing is refused any more, and everything arrives.
    fn settle(&mut self) {
        for _ in 0..20 * OPS {
            self.say();
            for at in 0..self.connections.len() {
                while !self.connections[at].to_relay.is_empty() {
                    self.read(at, false, false);
                }
                self.deliver(at);
            }
            for process in 0..2 {
                self.take(process);
                self.commit(process);
            }
            while !self.current().to_client.is_empty() {
                self.hear();
            }
            self.say_again();
            // What it took back may be waited for, if what it would have come behind was decided otherwise.
            let (op, times) = self.stuck;
            if times > PATIENCE {
                assert!(!self.given_up.is_empty(), "{op} is refused for ever");
                self.stuck = (0, 0);
                self.connect();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn each_op_is_decided_once_and_none_is_passed_over(
        steps in prop::collection::vec((0..26_u8, 0..8_usize), 0..400),
    ) {
        let mut world = World::new();
        for (action, on) in steps {
            world.step(action, on);
        }
        world.settle();
        prop_assert_eq!(&world.undecided, &BTreeSet::new(), "no answer for these");
        let logged: Vec<u64> = world.log.iter().map(|(op, _)| *op).collect();
        prop_assert!(logged.is_sorted_by(|a, b| a < b));
        for op in (1..=OPS).filter(|op| !is_unwanted(*op) && !world.may_miss(*op)) {
            prop_assert!(logged.contains(&op), "{op} is lost");
        }
    }
}
