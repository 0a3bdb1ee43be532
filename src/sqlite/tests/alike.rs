//! One canvas in tables and one in memory: thousands of random steps, in virtual time, are told alike and end alike.
//!
//! The seed is printed: put it into the list of the first test to go through it again.

mod held;
mod words;

use std::time::Instant;

use rusqlite::{Connection, params};

use super::super::apply::{Setup, Txn};
use super::super::reader;
use super::*;
use crate::backplane::intake::Waiting;
use crate::backplane::{CanvasKey, LogBuilder};
use crate::canvas::{CanvasState, Command};
use crate::limits::CLIENT_MEMORY;
use crate::protocol::client_message::{ClientMessage, parse};
use crate::protocol::features::{Feature, Features};
use crate::protocol::ids::{CanvasId, Epoch, InstanceNumber, Position};
use crate::sqlite::delivery::tail::{Logged, Step};
use crate::sqlite::storage::{schema, sql};
use held::{Held, log_bytes};
use words::{Random, copy};

const STEPS: usize = 3_000;
/// Keys of the canvases.
const CANVASES: [CanvasKey; 2] = [CanvasKey(7), CanvasKey(8)];
const INSTANCES: [u32; 3] = [1, 2, 3];
const CLIENTS: usize = 6;

/// What is told of a canvas, in words.
type Deliveries = Vec<String>;

struct World {
    random: Random,
    conn: Connection,
    setups: Vec<Setup>,
    models: Vec<CanvasState>,
    now_ms: i64,
    /// What each client has said on each canvas: its op is its place.
    said: Vec<Vec<Vec<String>>>,
    authors: Vec<Arc<Author>>,
    conns: u64,
    held: [Held; CANVASES.len()],
    logged: usize,
    _dir: tempfile::TempDir,
}

impl World {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), "one");
        let conn = schema::prepare(&config).unwrap().conn;
        conn.execute_batch("PRAGMA synchronous = OFF").unwrap();
        for key in CANVASES {
            let epoch = Epoch(key.0.cast_unsigned()).to_string();
            conn.execute(
                "INSERT INTO canvases (key, canvas_id, epoch, created_at) VALUES (?1, ?1, ?2, 1)",
                params![key, epoch],
            )
            .unwrap();
        }
        let setup = |number: &u32| setup(&format!("instance-{number}"), *number, SMALL);
        let model = |key: &CanvasKey| CanvasState::new(Epoch(key.0.cast_unsigned()), SMALL);
        let mut world = Self {
            random: Random(seed),
            conn,
            setups: INSTANCES.iter().map(setup).collect(),
            models: CANVASES.iter().map(model).collect(),
            now_ms: 1_700_000_000_000,
            said: vec![vec![Vec::new(); CLIENTS]; CANVASES.len()],
            authors: Vec::new(),
            conns: 0,
            held: Default::default(),
            logged: 0,
            _dir: dir,
        };
        INSTANCES.iter().for_each(|number| world.register(*number));
        (0..12).for_each(|_| world.connect());
        world
    }

    fn register(&self, number: u32) {
        let register = "INSERT INTO instances VALUES (?1, 'instance-' || ?1, 1, '/', '/', 0, 0)";
        self.conn.execute(register, [number]).unwrap();
    }

    /// A connection of a random client to a random instance, in the place of one of those before.
    fn connect(&mut self) {
        self.conns += 1;
        let client = self.random.below(CLIENTS as u64);
        let subject = match self.random.below(8) {
            0 => String::new(),
            1 => "mallory".to_owned(),
            // Half of them have tokens.
            _ if client < 3 => format!("subject-{client}"),
            _ => String::new(),
        };
        let author = Arc::new(Author::new(
            ConnId::new(InstanceNumber(*self.random.of(&INSTANCES)), self.conns),
            ClientId::parse(&format!("client-{client}")).unwrap(),
            format!(r#"{{"name":"{}"}}"#, self.conns),
            subject,
        ));
        if self.authors.len() < 12 {
            self.authors.push(author);
        } else {
            let place = usize::try_from(self.random.below(12)).unwrap();
            self.authors[place] = author;
        }
    }

    fn entry(&mut self, canvas: usize, instance: u32) -> Option<Entry> {
        let of_it = |author: &&Arc<Author>| author.conn.instance() == InstanceNumber(instance);
        let of_it: Vec<_> = self.authors.iter().filter(of_it).cloned().collect();
        if of_it.is_empty() {
            return None;
        }
        let author = self.random.of(&of_it).clone();
        Some(match self.random.below(20) {
            0..3 => Entry::Join { author },
            3 | 4 => Entry::State {
                author,
                state: format!(r#"{{"x":{}}}"#, self.random.below(99)),
            },
            5 => Entry::Leave {
                author,
                end: match self.random.one_in(2) {
                    true => End::Clean,
                    false => End::Lost,
                },
            },
            6 => Entry::Signal {
                author,
                body: r#""event":"e","data":1"#.to_owned(),
            },
            7 => Entry::Cursors {
                cursors: vec![(author.client.clone(), r#""x":1,"y":2"#.into())],
            },
            8 => Entry::Kick { conn: author.conn },
            _ => self.message(canvas, author),
        })
    }

    /// Several messages as one: new ones, some that were said before, or both.
    fn batch(&mut self, canvas: usize, author: Arc<Author>) -> Entry {
        let client: usize = author.client.as_str()[7..].parse().unwrap();
        let count = 1 + usize::try_from(self.random.below(5)).unwrap();
        let known = self.said[canvas][client].len();
        let back = if self.random.one_in(4) {
            usize::try_from(self.random.below(6)).unwrap()
        } else {
            0
        };
        let first = known.saturating_sub(back);
        while self.said[canvas][client].len() < first + count {
            let fields = self.random.fields();
            self.said[canvas][client].push(fields);
        }
        let said = self.said[canvas][client]
            .iter()
            .enumerate()
            .skip(first)
            .take(count);
        let ops = said.map(|(at, fields)| format!("{{\"op\":{},{fields}}}", at + 1));
        let text = format!(
            "{{\"type\":\"batch\",\"ops\":[{}]}}",
            ops.collect::<Vec<_>>().join(",")
        );
        match parse(&text) {
            Ok(ClientMessage::Durable(message)) => Entry::Durable { author, message },
            other => panic!("{text}: {other:?}"),
        }
    }

    fn message(&mut self, canvas: usize, author: Arc<Author>) -> Entry {
        if self.random.one_in(6) {
            return self.batch(canvas, author);
        }
        let client: usize = author.client.as_str()[7..].parse().unwrap();
        let again = self.random.one_in(5) && !self.said[canvas][client].is_empty();
        let op = if again {
            self.random.below(self.said[canvas][client].len() as u64)
        } else {
            let fields = self.random.fields();
            self.said[canvas][client].push(fields);
            self.said[canvas][client].len() as u64 - 1
        };
        let fields = &self.said[canvas][client][usize::try_from(op).unwrap()];
        let text = format!("{{\"op\":{},{fields}}}", op + 1);
        match parse(&text) {
            Ok(ClientMessage::Durable(message)) => Entry::Durable { author, message },
            other => panic!("{text}: {other:?}"),
        }
    }

    /// Time passes, and one thing happens, in both.
    fn step(&mut self) {
        self.now_ms += i64::try_from(match self.random.below(50) {
            0 => 12_000,
            1 => 70_000,
            2..30 => 0,
            n => n * 20,
        })
        .unwrap();
        match self.random.below(60) {
            0 => self.forget(),
            1 => self.lose_instance(),
            2 => self.empty(),
            3 => self.renumber(),
            4..10 => self.connect(),
            _ => self.say(),
        }
    }

    /// One transaction of an instance: some entries for some canvas.
    fn say(&mut self) {
        let canvas = usize::try_from(self.random.below(CANVASES.len() as u64)).unwrap();
        let number = *self.random.of(&INSTANCES);
        let count = 1 + self.random.below(6);
        let entries = (0..count).filter_map(|_| self.entry(canvas, number));
        let entries: Vec<Entry> = entries.collect();
        let told = self.transact(number, |txn| {
            for entry in &entries {
                let waiting = Waiting {
                    key: CANVASES[canvas],
                    canvas: CanvasId::parse("c").unwrap(),
                    entry: copy(entry),
                    since: Instant::now(),
                };
                txn.apply(&waiting).unwrap();
            }
        });
        let expected = self.on_models(|at, model, now_ms, out| {
            model.tick(now_ms, out);
            if at == canvas {
                for entry in &entries {
                    model.run(
                        InstanceNumber(number),
                        Command::Entry(copy(entry)),
                        now_ms,
                        out,
                    );
                }
            }
        });
        assert_eq!(told, expected);
    }

    fn lose_instance(&mut self) {
        let (number, died) = (*self.random.of(&INSTANCES), self.random.one_in(2));
        let told = self.transact(number, |txn| {
            if died {
                assert!(txn.reap(InstanceNumber(number), None).unwrap());
            } else {
                let leave = "DELETE FROM instances WHERE number = ?1";
                txn.conn.execute(leave, [number]).unwrap();
                txn.lose_all(InstanceNumber(number), false).unwrap();
            }
        });
        self.register(number);
        let gone = |instance| Command::InstanceGone { instance, died };
        let expected = self.on_models(|_, model, now_ms, out| {
            model.run(
                InstanceNumber(number),
                gone(InstanceNumber(number)),
                now_ms,
                out,
            )
        });
        assert_eq!(told, expected);
    }

    fn empty(&mut self) {
        let (which, epoch) = (self.random.below(2), Epoch(self.random.below(u64::MAX)));
        let key = CANVASES[usize::try_from(which).unwrap()];
        let told = self.transact(1, |txn| _ = txn.delete_canvas(key, epoch).unwrap());
        let expected = self.on_models(|at, model, now_ms, out| match CANVASES[at] == key {
            true => model.run(InstanceNumber(1), Command::Restart { epoch }, now_ms, out),
            false => model.tick(now_ms, out),
        });
        assert_eq!(told, expected);
    }

    fn renumber(&mut self) {
        let epoch = Epoch(self.random.below(u64::MAX));
        let told = self.transact(1, |txn| {
            for key in CANVASES {
                txn.canvas(key).unwrap().renumber(epoch).unwrap();
            }
        });
        let expected = self.on_models(|_, model, now_ms, out| {
            model.run(InstanceNumber(1), Command::Renumber { epoch }, now_ms, out);
        });
        assert_eq!(told, expected);
    }

    /// So much time passes that nobody is remembered who is not here.
    fn forget(&mut self) {
        let memory_ms = i64::try_from(CLIENT_MEMORY.as_millis()).unwrap();
        self.now_ms += memory_ms + 3_600_000;
        let old = self.now_ms - memory_ms;
        let told = self.transact(1, |txn| {
            let mut forget = txn.conn.prepare_cached(sql::FORGET_CLIENTS).unwrap();
            forget
                .execute(params![i64::MIN, "", i64::MAX, "", old])
                .unwrap();
            txn.clean(0, i64::MAX).unwrap();
        });
        let expected = self.on_models(|_, model, now_ms, out| model.tick(now_ms, out));
        assert_eq!(told, expected);
    }

    /// A transaction of that instance, with the upkeep that is due before it. Gives what is told of each canvas.
    fn transact(&mut self, number: u32, work: impl FnOnce(&mut Txn<'_>)) -> Vec<Deliveries> {
        self.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        let setup = &self.setups[usize::try_from(number).unwrap() - 1];
        let mut txn = Txn::new(&self.conn, setup, self.now_ms);
        txn.sweep().unwrap();
        work(&mut txn);
        let (committed, _) = txn.finish().unwrap();
        self.conn.execute_batch("COMMIT").unwrap();
        let mut told = vec![Deliveries::new(); CANVASES.len()];
        for step in committed.steps {
            let (key, words) = match step {
                Step::Log(message) => (message.key, self.framed(&message)),
                Step::Row { key, delivery } | Step::Answer { key, delivery } => {
                    (key, format!("{delivery:?}"))
                }
            };
            let at = CANVASES.iter().position(|known| *known == key).unwrap();
            told[at].push(words);
        }
        told
    }

    fn framed(&self, message: &Logged) -> String {
        let head = reader::head(&self.conn, message.key).unwrap();
        let mut run = LogBuilder::new(head.epoch, message.seq);
        let client = message.client.as_str();
        run.push(
            message.kind,
            message.origin,
            message.op,
            client,
            self.now_ms,
            &message.body,
        );
        format!("{:?}", Delivery::Log(run.finish().unwrap()))
    }

    fn on_models(
        &mut self,
        work: impl Fn(usize, &mut CanvasState, i64, &mut Vec<Delivery>),
    ) -> Vec<Deliveries> {
        let now_ms = self.now_ms;
        let told = self.models.iter_mut().enumerate().map(|(at, model)| {
            let mut out = Vec::new();
            work(at, model, now_ms, &mut out);
            let words = out.iter().map(|delivery| format!("{delivery:?}"));
            words.collect()
        });
        told.collect()
    }

    /// All that can be read is alike.
    fn compare(&mut self) {
        let now_ms = self.now_ms;
        self.transact(1, |txn| txn.clean(0, i64::MAX).unwrap());
        self.on_models(|_, model, now_ms, out| model.tick(now_ms, out));
        let canvases = CANVASES.into_iter().zip(&self.models);
        for ((key, model), held) in canvases.zip(&mut self.held) {
            let (snapshot, expected) = (reader::snapshot(&self.conn, key), model.snapshot());
            let snapshot = snapshot.unwrap();
            assert_eq!(format!("{snapshot:?}"), format!("{expected:?}"));
            held.come(&snapshot);
            assert_eq!(reader::members(&self.conn, key).unwrap(), model.members());
            let totals = model.totals();
            let bytes: usize = texts(&expected).into_iter().map(str::len).sum();
            let (count, bytes) = (expected.objects.len(), bytes + log_bytes(&expected));
            assert_eq!((totals.objects, totals.bytes), (count as u64, bytes as u64));
            assert_eq!(totals.logs, expected.logs.len() as u64);
            self.logged += expected.logs.len();
            let charged = "SELECT log_bytes FROM canvases WHERE key = ?1";
            let charged: i64 = self
                .conn
                .query_row(charged, [key], |row| row.get(0))
                .unwrap();
            assert_eq!(charged.cast_unsigned(), model.log_bytes());
            for back in [0, 1, 2, 63, 64, 65, model.retained() as u64, 200] {
                let head = model.head();
                let after = Position {
                    seq: head.seq.saturating_sub(back),
                    ..head
                };
                let read = reader::log(&self.conn, key, after, usize::MAX, now_ms).unwrap();
                let expected = model.read(after, usize::MAX);
                assert_eq!(format!("{read:?}"), format!("{expected:?}"), "{back} back");
                let some = [Feature::Set, Feature::Log].map(Features::only);
                for understood in [Features::NONE, some[0], some[1]] {
                    let asked = (after, understood);
                    let read = reader::log_for(&self.conn, key, asked, usize::MAX, now_ms).unwrap();
                    let expected = model.read_for(after, understood, usize::MAX);
                    assert_eq!(format!("{read:?}"), format!("{expected:?}"), "{back} back");
                }
            }
            let mut copy = CanvasState::decode(&model.freeze().encode(), SMALL).unwrap();
            let rows = model.rows_after(0, usize::MAX);
            copy.adopt_rows(&rows.map(|(_, rows)| rows).into_iter().collect::<Vec<_>>());
            assert_eq!(copy.hash(), model.hash());
        }
    }
}

#[expect(clippy::print_stdout, reason = "cargo shows it when the test fails")]
fn converse(seed: u64) {
    println!("seed {seed:#x}");
    let mut world = World::new(seed);
    for step in 0..STEPS {
        world.step();
        if step % 50 == 0 {
            world.compare();
        }
    }
    world.compare();
    let continued = world.held.iter().map(|held| held.continued).sum::<usize>();
    assert!(continued > 20, "hardly anybody could continue: {continued}");
    assert!(world.logged > 20, "hardly any log");
    let seqs: Vec<u64> = world.models.iter().map(|model| model.head().seq).collect();
    let said = seqs.iter().all(|seq| *seq > 500);
    assert!(said, "hardly anything was said: {seqs:?}");
}

#[test]
fn tables_and_memory_mean_the_same_by_a_long_conversation() {
    [1, 0x5eed].into_iter().for_each(converse);
}

#[test]
fn tables_and_memory_mean_the_same_by_any_conversation() {
    let (seed, _) = uuid::Uuid::new_v4().as_u64_pair();
    converse(seed);
}
