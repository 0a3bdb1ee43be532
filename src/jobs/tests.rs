//! The contract of the queue, on every store: each test is a sentence of it, played in virtual time over memory, SQLite and Redis.

mod assets;
mod books;
mod bounds;
mod by_hand;
mod deliveries;
mod dispatch;
mod groups;
mod leases;
mod lost;
mod managing;
mod names_of_ours;
mod older;
mod order;
mod pushing;
mod retention;
mod simulation;
mod transactions;
mod waiting;

use serde_json::{Value, json};

use super::apply::apply;
use super::look::{self, Query};
use super::memory::MemoryStore;
use super::op::{
    AckItem, Acked, Answer, Configure, DEFAULT_GROUP, Delivered, LeaseId, Op, PopRequest, Popped,
    PushItem, Pushed, Refusal, Settled, Source, Start, Sweep, Verdict,
};
use super::rows::{Queue, QueueName, Row, Totals};
use super::store::Store;
use super::work::{Effects, Work, partition_id};
use crate::limits::JobLimits;
use crate::sqlite::job_store;

/// When the world of a test begins.
const BEGIN: i64 = 1_700_000_000_000;

/// A store and the time.
struct Bench<S> {
    store: S,
    now: i64,
    limits: JobLimits,
    drawn: u64,
    effects: Effects,
}

impl<S: Store> Bench<S>
where
    S::Error: std::fmt::Debug,
{
    fn new(store: S) -> Self {
        Self {
            store,
            now: BEGIN,
            limits: JobLimits::default(),
            drawn: 0,
            effects: Effects::default(),
        }
    }
}

/// What a test sees of a bench, whatever its store.
trait World {
    fn run(&mut self, op: &Op) -> Answer;
    fn look(&mut self, query: &Query) -> Answer;
    fn now(&mut self) -> &mut i64;
    fn limits(&mut self) -> &mut JobLimits;
    fn take_effects(&mut self) -> Effects;
    /// Rows of every table.
    fn rows(&self) -> usize;
    fn bytes(&self) -> i64;
    /// Somebody removes the row of a queue, and nothing else of it.
    fn lose_queue(&mut self, name: &str);
    /// Somebody removes the row that all queues share.
    fn lose_totals(&mut self);
}

impl<S: Store> World for Bench<S>
where
    S::Error: std::fmt::Debug,
{
    fn run(&mut self, op: &Op) -> Answer {
        let drawn = &mut self.drawn;
        let mut random = || {
            *drawn += 1;
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
            bytes[8..].copy_from_slice(&drawn.to_le_bytes());
            bytes
        };
        let mut work = Work::new(&mut self.store, self.now, &self.limits, &mut random);
        let answer = apply(&mut work, op).unwrap();
        work.flush().unwrap();
        let effects = work.effects;
        self.effects.absorb(effects);
        self.store.commit().unwrap();
        answer
    }

    fn look(&mut self, query: &Query) -> Answer {
        let mut random = || [7; 16];
        let mut work = Work::new(&mut self.store, self.now, &self.limits, &mut random);
        look::answer(&mut work, query).unwrap()
    }

    fn now(&mut self) -> &mut i64 {
        &mut self.now
    }

    fn limits(&mut self) -> &mut JobLimits {
        &mut self.limits
    }

    fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    fn rows(&self) -> usize {
        use super::rows as r;
        fn count<R: Row, S: Store>(store: &S, from: R::Key, to: R::Key) -> usize
        where
            S::Error: std::fmt::Debug,
        {
            store.scan::<R>(&from, &to, usize::MAX >> 1).unwrap().len()
        }
        let (low, high) = (i64::MIN, i64::MAX);
        let last = || "\u{10ffff}".to_owned();
        let (z, o) = ([0; 16], [255; 16]);
        let s = &self.store;
        count::<r::Queue, S>(s, (low,), (high,))
            + count::<r::QueueName, S>(s, (String::new(),), (last(),))
            + count::<r::Partition, S>(s, (low,), (high,))
            + count::<r::PartitionName, S>(s, (low, String::new()), (high, String::new()))
            + count::<r::Message, S>(s, (low, 0), (high, 0))
            + count::<r::Named, S>(s, (low, z), (high, z))
            + count::<r::Mark, S>(s, (low, 0, 0, 0), (high, 0, 0, 0))
            + count::<r::Run, S>(s, (low, 0), (high, 0))
            + count::<r::Group, S>(s, (low, String::new()), (high, String::new()))
            + count::<r::Cursor, S>(s, (low, 0), (high, 0))
            + count::<r::Turn, S>(s, (low, 0, 0, 0, 0), (high, 0, 0, 0, 0))
            + count::<r::State, S>(s, (low, 0, 0), (high, 0, 0))
            + count::<r::Ready, S>(s, (low, 0, 0, 0, 0), (high, 0, 0, 0, 0))
            + count::<r::Lease, S>(s, (z, 0, 0, 0), (o, 0, 0, 0))
            + count::<r::Dead, S>(s, (low,), (high,))
            + count::<r::DeadIndex, S>(s, (low, 0, 0, 0), (high, 0, 0, 0))
            + count::<r::Gone, S>(s, (low,), (high,))
            + count::<r::Trace, S>(s, (low, z, 0), (high, z, 0))
            + count::<r::TraceName, S>(s, (String::new(), 0), (last(), 0))
            + count::<r::Delivery, S>(s, (low, 0), (high, 0))
    }

    fn bytes(&self) -> i64 {
        let totals: Option<Totals> = self.store.get(&(0,)).unwrap();
        totals.map_or(0, |totals| totals.bytes)
    }

    fn lose_queue(&mut self, name: &str) {
        let found: Option<QueueName> = self.store.get(&(name.to_owned(),)).unwrap();
        assert!(self.store.delete::<Queue>(&(found.unwrap().key,)).unwrap());
        self.store.commit().unwrap();
    }

    fn lose_totals(&mut self) {
        assert!(self.store.delete::<Totals>(&(0,)).unwrap());
        self.store.commit().unwrap();
    }
}

/// Plays the same over every store.
fn everywhere(play: impl Fn(&mut Q<'_>)) {
    over_both(&play);
    over_redis(play);
}

fn over_memory(play: &dyn Fn(&mut Q<'_>)) {
    let mut memory = Bench::new(MemoryStore::default());
    play(&mut Q(&mut memory));
}

/// Over memory and SQLite.
fn over_both(play: &dyn Fn(&mut Q<'_>)) {
    over_memory(play);
    job_store::in_memory(|store| {
        let mut file = Bench::new(store);
        play(&mut Q(&mut file));
    });
}

fn over_redis(play: impl FnOnce(&mut Q<'_>)) {
    crate::replicated::job_store::over_redis(|store| {
        let mut redis = Bench::new(store);
        play(&mut Q(&mut redis));
    });
}

/// A bench with words for what tests do.
struct Q<'w>(&'w mut dyn World);

impl Q<'_> {
    fn run(&mut self, op: &Op) -> Answer {
        self.0.run(op)
    }

    fn wait(&mut self, ms: i64) {
        *self.0.now() += ms;
    }

    fn configure(&mut self, queue: &str, options: Value) -> Answer {
        self.run(&Op::Configure(Configure {
            queue: queue.to_owned(),
            namespace: None,
            task: None,
            options: options.as_object().unwrap().clone(),
        }))
    }

    fn push_item(&mut self, item: PushItem) -> Pushed {
        match self.run(&Op::Push(vec![item])) {
            Answer::Pushed(mut pushed) => pushed.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// Messages of these names into `queue/partition`, with their names as payloads.
    fn push(&mut self, path: &str, names: &[&str]) {
        let (queue, partition) = path.split_once('/').unwrap_or((path, ""));
        let item = |name: &&str| PushItem {
            queue: queue.to_owned(),
            partition: partition.to_owned(),
            name: (*name).to_owned(),
            payload: json!(name).to_string(),
            ..PushItem::default()
        };
        let items = names.iter().map(item).collect();
        match self.run(&Op::Push(items)) {
            Answer::Pushed(all) => {
                assert!(
                    all.iter().all(|one| matches!(one, Pushed::Queued(_))),
                    "{all:?}"
                );
            }
            other => panic!("{other:?}"),
        }
    }

    fn pop_with(&mut self, change: impl FnOnce(&mut PopRequest)) -> Popped {
        let mut request = PopRequest {
            from: Source::Queue {
                queue: "q".to_owned(),
                partition: None,
            },
            group: DEFAULT_GROUP.to_owned(),
            batch: 1,
            partitions: 1,
            auto_ack: false,
            start: Start::All,
        };
        change(&mut request);
        match self.run(&Op::Pop(request)) {
            Answer::Popped(popped) => popped,
            other => panic!("{other:?}"),
        }
    }

    /// Up to so many of queue `q`.
    fn pop(&mut self, batch: usize) -> Popped {
        self.pop_with(|request| request.batch = batch)
    }

    fn pop_of(&mut self, group: &str, batch: usize) -> Popped {
        self.pop_with(|request| {
            request.batch = batch;
            request.group = group.to_owned();
        })
    }

    fn ack_as(
        &mut self,
        group: &str,
        lease: Option<LeaseId>,
        messages: &[Delivered],
        verdict: Verdict,
    ) -> Vec<Result<Settled, Refusal>> {
        let items = messages.iter().map(|message| AckItem {
            partition_id: partition_id(message.partition, message.partition_tag),
            name: message.name.clone(),
            verdict,
            error: None,
            lease,
            group: group.to_owned(),
        });
        match self.run(&Op::Ack(items.collect())) {
            Answer::Acked(acked) => acked
                .into_iter()
                .map(|Acked { result, .. }| result)
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Acks all that was popped; it must be taken.
    fn complete(&mut self, popped: &Popped) {
        let all = self.ack_as(
            DEFAULT_GROUP,
            popped.lease,
            &popped.messages,
            Verdict::Completed,
        );
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    }

    fn fail(&mut self, popped: &Popped) {
        let all = self.ack_as(
            DEFAULT_GROUP,
            popped.lease,
            &popped.messages,
            Verdict::Failed,
        );
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    }

    fn sweep(&mut self) {
        let mut at = Sweep::default();
        for _ in 0..10_000 {
            match self.run(&Op::Sweep(at)) {
                Answer::Swept { next, busy } => {
                    if !busy && next == Sweep::default() {
                        return;
                    }
                    at = next;
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("the sweep does not end");
    }

    /// The queue in numbers.
    fn status(&mut self) -> Value {
        let query = Query::Status(super::status::Query::Queue("q".to_owned()));
        match self.0.look(&query) {
            Answer::Json(value) => value,
            other => panic!("{other:?}"),
        }
    }

    /// Names of the dead of `q`, the latest first.
    fn dead(&mut self) -> Vec<Value> {
        let query = super::lists::DeadQuery {
            queue: Some("q".to_owned()),
            limit: 100,
            ..Default::default()
        };
        self.list(&Query::Lists(super::lists::Query::Dead(query)))
    }

    fn list(&mut self, query: &Query) -> Vec<Value> {
        match self.0.look(query) {
            Answer::Raw(text) => {
                let value: Value = serde_json::from_str(&text).unwrap();
                value["messages"].as_array().unwrap().clone()
            }
            other => panic!("{other:?}"),
        }
    }
}

fn names(popped: &Popped) -> Vec<&str> {
    popped
        .messages
        .iter()
        .map(|message| message.name.as_str())
        .collect()
}

fn code(result: &Result<Settled, Refusal>) -> &'static str {
    result
        .as_ref()
        .map_or_else(|refusal| refusal.code, |_| "ok")
}
