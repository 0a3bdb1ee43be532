//! Instances over the engine in memory, of which one has another copy than the others.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Runtime;

use super::*;
use crate::backplane::{Author, Canvas, Carrier as _, Delivery, Directory as _, Instance as _};
use crate::backplane::{Entry, Reader as _, SharedText, Sink};
use crate::log::memory::MemoryEngine;
use crate::protocol::client_message::{ClientMessage, Durable, parse};
use crate::protocol::ids::{CanvasId, ClientId, InstanceNumber};
use crate::replicated::ReplicatedBackplane;
use crate::replicated::tests::config;

/// Counts how often its place was lost.
#[derive(Default)]
struct Places(Mutex<usize>);

impl Sink for Places {
    fn deliver(&self, delivery: Delivery) {
        if let Delivery::PlaceLost { .. } = delivery {
            *self.0.lock() += 1;
        }
    }
}

struct One {
    backplane: Arc<ReplicatedBackplane>,
    canvas: Canvas,
    places: Arc<Places>,
    op: u64,
}

impl One {
    fn start(runtime: &Runtime, engine: &Arc<MemoryEngine>, name: &str) -> Self {
        let config = config(name);
        let started = ReplicatedBackplane::start(config, |me| Ok(engine.member(me)));
        let (backplane, work) = runtime.block_on(started).expect("it starts");
        runtime.spawn(work);
        let (board, places) = (CanvasId::parse("board").expect("a name"), Arc::default());
        let sink: Arc<Places> = Arc::clone(&places);
        let opened = runtime.block_on(backplane.open(&board, sink));
        Self {
            backplane,
            canvas: opened.expect("it opens").canvas,
            places,
            op: 0,
        }
    }

    /// Has an object made on the canvas, and waits for the answer.
    fn make(&mut self, runtime: &Runtime, id: &str) {
        let name = format!("client-{}", self.backplane.instance_id());
        let client = ClientId::parse(&name).expect("a client");
        let conn = self.backplane.new_conn();
        let author = Arc::new(Author::new(conn, client, "{}".to_owned(), String::new()));
        self.op += 1;
        let made = object(self.op, id);
        let published = self.backplane.publish(&self.canvas, author, made);
        runtime.block_on(published).expect("it is published");
    }

    fn replica(&self) -> Arc<super::super::replica::Replica> {
        let replica = self.backplane.shared.canvases.named("board");
        replica.expect("it is loaded")
    }

    /// Puts something on this copy that is in no batch.
    fn spoil(&self) {
        let client = ClientId::parse("somebody").expect("a client");
        let conn = self.backplane.new_conn();
        let author = Arc::new(Author::new(conn, client, "{}".to_owned(), String::new()));
        let message = object(1, "spoilt");
        let replica = self.replica();
        let mut inner = replica.inner.lock();
        let state = inner.state.as_mut().expect("it is loaded");
        let now_ms = self.backplane.shared.now_ms();
        let entry = Entry::Durable { author, message };
        state.apply(InstanceNumber(9), entry, now_ms, &mut Vec::new());
    }

    fn objects(&self, runtime: &Runtime) -> Vec<SharedText> {
        let snapshot = runtime.block_on(self.backplane.snapshot(&self.canvas));
        snapshot.expect("a snapshot").objects
    }

    fn diverged(&self) -> u64 {
        let counters = &self.backplane.shared.counters;
        counters.diverged.load(Ordering::Relaxed)
    }
}

fn object(op: u64, id: &str) -> Durable {
    let text =
        format!(r#"{{"type":"object-create","op":{op},"object":{{"id":"{id}","kind":"k"}}}}"#);
    match parse(&text) {
        Ok(ClientMessage::Durable(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// Looks until it is so.
fn eventually(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn relay(names: &[&str]) -> (Runtime, Vec<One>) {
    let runtime = Runtime::new().expect("a runtime");
    let engine = MemoryEngine::new(3);
    let all = names.iter().map(|name| One::start(&runtime, &engine, name));
    let all = all.collect();
    (runtime, all)
}

#[test]
fn a_copy_that_differs_is_read_anew() {
    let (runtime, mut all) = relay(&["one", "two", "three"]);
    all[0].make(&runtime, "a");
    eventually("it is everywhere", || {
        all.iter().all(|one| one.objects(&runtime).len() == 1)
    });
    all[1].spoil();
    assert_eq!(all[1].objects(&runtime).len(), 2);
    // The first batch is the first after which it is known what a copy was since then, the second one tells it.
    all[0].make(&runtime, "b");
    all[0].make(&runtime, "c");
    eventually("the copy is as the others", || {
        let objects = all[0].objects(&runtime);
        objects.len() == 3 && all.iter().all(|one| one.objects(&runtime) == objects)
    });
    let diverged: Vec<u64> = all.iter().map(One::diverged).collect();
    assert_eq!(diverged, [0, 1, 0]);
    assert_eq!(
        *all[1].places.0.lock(),
        1,
        "its clients begin from a snapshot"
    );
}

/// Nobody can see who of two is wrong. If it is the one who writes, it hears of it.
#[test]
fn an_author_whose_copy_differs_hears_of_it() {
    let (runtime, mut all) = relay(&["one", "two"]);
    all[0].spoil();
    all[0].make(&runtime, "a");
    all[0].make(&runtime, "b");
    eventually("the copies are alike, and as the log says", || {
        let objects = all[0].objects(&runtime);
        objects.len() == 2 && all[1].objects(&runtime) == objects
    });
    assert_eq!([all[0].diverged(), all[1].diverged()], [1, 1]);
    // It is over.
    all[0].make(&runtime, "c");
    all[1].make(&runtime, "d");
    eventually("both go on", || {
        all.iter().all(|one| one.objects(&runtime).len() == 4)
    });
    assert_eq!([all[0].diverged(), all[1].diverged()], [1, 1]);
}

/// Two that have run other batches differ even where these came to the same.
#[test]
fn copies_with_other_batches_differ() {
    let (runtime, mut all) = relay(&["one", "two"]);
    all[0].make(&runtime, "a");
    eventually("it is everywhere", || {
        all.iter().all(|one| one.objects(&runtime).len() == 1)
    });
    all[1].replica().inner.lock().chain = "0123456789abcdef".to_owned();
    all[0].make(&runtime, "b");
    all[0].make(&runtime, "c");
    eventually("it is found", || all[1].diverged() == 1);
    assert_eq!(all[0].diverged(), 0);
}

#[test]
fn a_copy_that_differs_again_at_once_is_not_read_again_and_again() {
    let (runtime, mut all) = relay(&["one", "two"]);
    all[0].make(&runtime, "a");
    for round in 0..3 {
        eventually("both have it", || {
            all.iter().all(|one| !one.objects(&runtime).is_empty())
        });
        all[1].spoil();
        all[0].make(&runtime, &format!("b{round}"));
        all[0].make(&runtime, &format!("c{round}"));
        eventually("it is heard", || {
            let n = |one: &One| one.replica().inner.lock().n;
            n(&all[0]) == n(&all[1])
        });
    }
    assert_eq!(all[1].diverged(), 1);
}

/// What a batch of an era before says is of a log that may be lost since.
#[test]
fn what_was_seen_in_another_era_is_not_compared() {
    let (runtime, mut all) = relay(&["one"]);
    all[0].make(&runtime, "a");
    let replica = all[0].replica();
    let mut inner = replica.inner.lock();
    let seen = inner.seen().expect("something");
    assert!(!inner.differs(&seen));
    let other = Seen {
        state: [7; 8],
        ..seen
    };
    let era = [7; 4];
    assert!(!inner.differs(&Seen { era, ..other }));
    let n = seen.n + 1;
    assert!(!inner.differs(&Seen { n, ..other }), "it is not known yet");
    assert!(inner.differs(&other));
    assert_eq!(inner.seen(), None, "nobody hears of a copy in doubt");
}
