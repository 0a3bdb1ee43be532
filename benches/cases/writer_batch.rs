//! Messages through the real writer: taken in, numbered, committed in batches, and told back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use scumble::backplane::{
    Author, Canvas, Carrier, Delivery, Entry, Instance, Lifecycle, Sink, Together,
};
use scumble::config::{Config, Store};
use scumble::protocol::client_message::{ClientMessage, parse};
use scumble::protocol::ids::{CanvasId, ClientId};
use scumble::sqlite::SqliteBackplane;

/// Messages that are given to the writer before their commits are waited for: several batches.
pub const CHUNK: u64 = 2_048;
/// A chunk takes milliseconds; under callgrind seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts what was committed.
#[derive(Default)]
struct Committed {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Sink for Committed {
    fn deliver(&self, delivery: Delivery) {
        if let Delivery::Log(batch) = delivery {
            *self.count.lock() += batch.marks.len() as u64;
            self.changed.notify_one();
        }
    }
}

/// A queue in a folder of its own, and one author.
pub struct Writer {
    queue: Arc<SqliteBackplane>,
    runtime: tokio::runtime::Runtime,
    canvas: Canvas,
    author: Arc<Author>,
    committed: Arc<Committed>,
    op: u64,
}

impl Writer {
    /// Opens a fresh queue.
    pub fn new(folder: &Path) -> Self {
        let db = folder.join("bench.db");
        let flags = ["--db".as_ref(), db.as_os_str()];
        let config = Config::from_flags(flags).expect("defaults are right");
        let Store::Sqlite(file) = &config.store else {
            panic!("SCUMBLE_REDIS or SCUMBLE_QUEUE is set: this is about a file");
        };
        let queue = SqliteBackplane::start(config.over(file)).expect("a fresh file");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let committed = Arc::new(Committed::default());
        let id = CanvasId::parse("bench").expect("a good name");
        let opened = runtime
            .block_on(queue.open(&id, committed.clone()))
            .expect("opened");
        let client = ClientId::parse("writer-1").expect("a good name");
        let author = Author::new(queue.new_conn(), client, "{}".to_owned(), String::new());
        let author = Arc::new(author);
        Self {
            queue,
            runtime,
            canvas: opened.canvas,
            author,
            committed,
            op: 0,
        }
    }

    /// Writes a chunk and waits until it is committed.
    pub fn chunk(&mut self) {
        let pad = "x".repeat(120);
        // The writer is woken once. So how many batches a chunk makes does not depend on who else is on the machine.
        let together = Together::on(self.queue.clone());
        for _ in 0..CHUNK {
            self.op += 1;
            let data = format!("{{\"t\":123456,\"pad\":\"{pad}\"}}");
            let op = self.op;
            let text = format!(r#"{{"type":"broadcast","op":{op},"event":"note","data":{data}}}"#);
            let Ok(ClientMessage::Durable(message)) = parse(&text) else {
                panic!("the bench's own message was refused");
            };
            let author = Arc::clone(&self.author);
            let entry = Entry::Durable { author, message };
            together
                .append(&self.canvas, entry)
                .expect("taken: a chunk is below every bound");
        }
        drop(together);
        let mut count = self.committed.count.lock();
        while *count < self.op {
            let late = self
                .committed
                .changed
                .wait_for(&mut count, PATIENCE)
                .timed_out();
            assert!(!late, "{} of {} committed", *count, self.op);
        }
    }

    /// Ends the queue.
    pub fn end(self) {
        self.runtime.block_on(self.queue.shutdown());
    }
}
