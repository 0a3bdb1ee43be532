//! Rows that came and went before this process saw them: they are not delivered, and the room is told that it missed some.

use rusqlite::Connection;

use super::*;
use crate::sqlite::storage::schema;

const MINUTE: i64 = 60_000;

/// A file with one canvas, and a room for it that is not opened yet.
struct World {
    _dir: tempfile::TempDir,
    prepared: schema::Prepared,
    now: i64,
    tail: Tail,
    sink: Arc<Recorder>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let prepared = schema::prepare(&config(dir.path(), "one")).unwrap();
        let canvas = "INSERT INTO canvases (key, canvas_id, epoch, created_at) VALUES (1, 'c', '00000000000000aa', 1)";
        prepared.conn.execute(canvas, []).unwrap();
        let (tail, sink) = (Tail::new(), Arc::new(Recorder::default()));
        let opening = Opening {
            key: CanvasKey(1),
            sink: sink.clone(),
            epoch: Epoch(0xaa),
        };
        tail.open(&prepared.conn, opening).unwrap();
        let (_dir, now) = (dir, prepared.clock.now_ms());
        Self {
            _dir,
            prepared,
            now,
            tail,
            sink,
        }
    }

    fn conn(&self) -> &Connection {
        &self.prepared.conn
    }

    /// The opener has read the tables when nothing was written yet.
    fn opened(&self) {
        let (epoch, seq) = (Epoch(0xaa), 0);
        self.tail.opened(CanvasKey(1), Position { epoch, seq }, 0);
    }

    /// Another process writes a message.
    fn write(&self, seq: i64, ttl: i64) {
        let row = "INSERT INTO message_queue VALUES (?1, 1, ?1, 'broadcast', 1, 'client-1', ?1, 0, ?2, ?3, '{\"op\":1}')";
        let times = (self.now, self.now + ttl);
        self.conn().execute(row, (seq, times.0, times.1)).unwrap();
        let head = "UPDATE canvases SET seq = ?1";
        self.conn().execute(head, [seq]).unwrap();
    }

    /// A message that is cleaned up at once.
    fn write_unseen(&self, seq: i64) {
        self.write(seq, MINUTE);
        let cleanup = "DELETE FROM message_queue WHERE id = ?1";
        self.conn().execute(cleanup, [seq]).unwrap();
    }

    fn catch_up(&self) -> usize {
        self.tail.catch_up(self.conn(), self.now, 100).unwrap()
    }

    /// The deliveries, once there are `n`.
    fn got(&self, n: usize) -> Vec<Delivery> {
        self.sink.wait(|got| got.len() == n)
    }
}

fn is_reset(delivery: &Delivery, to: u64) -> bool {
    matches!(delivery, Delivery::Reset { epoch: Epoch(0xaa), seq } if *seq == to)
}

#[test]
fn an_expired_row_is_never_delivered() {
    let world = World::new();
    world.opened();
    world.write(1, MINUTE);
    assert_eq!(world.catch_up(), 1);
    world.write(2, -1);
    assert_eq!((world.catch_up(), world.catch_up()), (1, 0));
    assert_eq!(seqs(&world.got(2)), [(1, 1)]);
    assert!(is_reset(&world.got(2)[1], 2));

    // Deleted before it was seen, with a row after it, and without one.
    world.write(4, MINUTE);
    world.catch_up();
    assert_eq!(seqs(&world.got(3)), [(1, 1), (4, 4)]);
    world.catch_up();
    world.write_unseen(5);
    world.tail.suspect();
    world.catch_up();
    assert!(is_reset(&world.got(4)[3], 5));
    world.write(6, MINUTE);
    world.catch_up();
    assert_eq!(seqs(&world.got(5)), [(1, 1), (4, 4), (6, 6)]);
}

/// The opener read the tables before those rows, and says so after the room was to be compared with them.
#[test]
fn a_room_that_is_being_opened_is_compared_once_it_is() {
    let world = World::new();
    world.write_unseen(1);
    world.tail.suspect();
    assert_eq!(world.catch_up(), 0);
    world.opened();
    assert_eq!(world.catch_up(), 0);
    assert!(is_reset(&world.got(1)[0], 1));
}
