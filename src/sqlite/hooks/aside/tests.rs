//! What is set aside comes once, in order, for whom it was meant, and has a bound.

use super::super::{read, store, turn_off};
use super::*;
use crate::hooks::event::EventType;
use crate::hooks::file::HookText;
use crate::hooks::hook_event::{Missed, Named};
use crate::limits::JobLimits;
use crate::sqlite::jobs::Lane;
use crate::sqlite::tests::config;

struct World {
    conn: Connection,
    lane: Lane,
    limits: JobLimits,
    pace: Pace,
    /// How many had no room.
    dropped: u64,
    seq: u64,
    _dir: tempfile::TempDir,
}

fn text(name: &str, more: serde_json::Value) -> HookText {
    let mut hook = serde_json::json!({
        "name": name, "canvases": ["*"], "events": ["object.*", "canvas.changed"], "quiet": "1s", "queue": name,
    });
    let fields = hook.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    serde_json::from_value(hook).unwrap()
}

impl World {
    fn new(hooks: &[HookText]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let conn = crate::sqlite::storage::schema::prepare(&config(dir.path(), "one"))
            .unwrap()
            .conn;
        conn.execute_batch(
            "INSERT INTO canvases (key, canvas_id, epoch, created_at) VALUES (1, 'board', 'e', 1), (2, 'plan', 'e', 1)",
        )
        .unwrap();
        store(&conn, hooks, true).unwrap();
        Self {
            conn,
            lane: Lane::default(),
            limits: JobLimits::default(),
            pace: Pace::default(),
            dropped: 0,
            seq: 0,
            _dir: dir,
        }
    }

    fn current(&self) -> Arc<Stored> {
        Arc::new(read(&self.conn).unwrap())
    }

    /// A transaction with so many events on both canvases, in turn.
    fn set_aside(&mut self, events: usize) {
        let told: Vec<_> = (0..events).map(|_| self.next()).collect();
        let stored = self.current();
        let done = self.lane.in_txn(&self.limits, &self.conn, 7, |push| {
            set_aside(&told, &stored, &self.conn, push, 7)
        });
        self.dropped += done.unwrap();
    }

    fn next(&mut self) -> (CanvasKey, HookEvent) {
        self.seq += 1;
        let key = 1 + i64::from(self.seq.is_multiple_of(2));
        let told = HookEvent {
            named: Named {
                id: ["board", "plan"][usize::from(key == 2)].into(),
                epoch: "e".into(),
            },
            event: EventType::ObjectCreated,
            seq: self.seq,
            version: 0,
            client: Some("ada".to_owned()),
            user: None,
            data: "{}".to_owned(),
            object: None,
            missed: Missed::Nothing,
        };
        (CanvasKey(key), told)
    }

    /// A turn of a writer that has nothing else to do.
    fn turn(&mut self) -> Turn {
        let stored = self.current();
        self.pace.begin(0, 0, 1);
        let (pace, conn) = (&mut self.pace, &self.conn);
        let turn = self.lane.in_txn(&self.limits, conn, 9, |push| {
            dispatch(&stored, conn, push, pace, 9)
        });
        let turn = turn.unwrap();
        self.dropped += turn.dropped;
        turn
    }

    fn dispatch_all(&mut self) {
        while self.turn().more {}
    }

    fn fire(&self) {
        let stored = self.current();
        let fired = self.lane.in_txn(&self.limits, &self.conn, 10, |push| {
            super::super::due::fire(&stored, &self.conn, push, 10)
        });
        fired.unwrap();
    }

    fn sql(&self, sql: &str) {
        self.conn.execute_batch(sql).unwrap();
    }

    fn count(&self, sql: &str) -> i64 {
        self.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// What is in a queue of one canvas, in its order: the places of events, and what else there is as it is called.
    fn queued(&self, queue: &str, canvas: &str) -> Vec<String> {
        let sql = "SELECT m.payload FROM job_messages AS m JOIN job_partitions AS p ON p.key = m.partition
            JOIN job_queues AS q ON q.key = p.queue WHERE q.name = ?1 AND p.name = ?2 ORDER BY m.seq";
        let mut statement = self.conn.prepare(sql).unwrap();
        let rows = statement.query_map([queue, canvas], |row| row.get::<_, String>(0));
        let rows = rows.unwrap().map(|row| {
            let event: serde_json::Value = serde_json::from_str(&row.unwrap()).unwrap();
            match event["type"].as_str() {
                Some("object.created") => event["seq"].to_string(),
                _ => format!(
                    "{} {}-{}",
                    event["type"].as_str().unwrap(),
                    event["data"]["from_seq"],
                    event["data"]["to_seq"]
                ),
            }
        });
        rows.collect()
    }

    /// Nothing is left of what was set aside.
    fn is_over(&self) {
        for table in [
            "hook_aside",
            "hook_aside_of",
            "hook_aside_after",
            "hook_versions",
        ] {
            let count = self.count(&format!("SELECT count(*) FROM {table}"));
            assert_eq!(count, 0, "{table}");
        }
    }
}

fn places(from: u64, to: u64) -> Vec<String> {
    (from..=to).step_by(2).map(|n| n.to_string()).collect()
}

#[test]
fn events_come_once_and_in_their_order_a_turn_at_a_time() {
    let mut world = World::new(&[text("a", serde_json::json!({}))]);
    world.set_aside(1_000);
    assert_eq!(count(&world.conn).unwrap(), 1_000);
    assert_eq!(world.count("SELECT count(*) FROM hook_aside"), 8);
    assert_eq!(
        world.turn(),
        Turn {
            rows: 2,
            dropped: 0,
            more: true
        }
    );
    assert_eq!(count(&world.conn).unwrap(), 744);
    // What comes meanwhile goes behind it, however little that is.
    world.set_aside(2);
    assert!(world.queued("a", "board").len() == 128);
    world.dispatch_all();
    assert_eq!(world.queued("a", "board"), places(1, 1_002));
    assert_eq!(world.queued("a", "plan"), places(2, 1_002));
    // They say when it was.
    let at = "SELECT count(*) FROM job_messages WHERE payload ->> 'at' = 7";
    assert_eq!(world.count(at), 1_002);
    world.is_over();
}

#[test]
fn a_hook_hears_of_what_it_wants_and_costs_no_other_hook_its_room() {
    let mut world = World::new(&[
        text("full", serde_json::json!({"backlog": 10})),
        text("plan", serde_json::json!({"canvases": ["plan"]})),
        text(
            "chat",
            serde_json::json!({"events": ["chat.sent"], "quiet": null}),
        ),
    ]);
    // A transaction is taken while there is room; the queue itself takes what its backlog says.
    world.set_aside(100);
    assert_eq!((count(&world.conn).unwrap(), world.dropped), (150, 0));
    // The next ones have none. Their gap stays one row, however many they are, since nothing of the hook comes between.
    for _ in 0..20 {
        world.set_aside(100);
    }
    assert_eq!(world.dropped, 2_000);
    let gaps = "SELECT count(*) FROM hook_aside_after";
    assert_eq!(world.count(gaps), 2);
    assert_eq!(count(&world.conn).unwrap(), 100 + 21 * 50);
    world.dispatch_all();
    world.is_over();
    assert_eq!(world.queued("plan", "plan"), places(2, 2_100));
    assert_eq!(
        world.queued("full", "board").len() + world.queued("full", "plan").len(),
        10
    );
    assert_eq!(world.dropped, 2_090);
    // With room the gap is told, and then what comes.
    world.sql("UPDATE job_queues SET messages = 0");
    world.set_aside(2);
    world.dispatch_all();
    let told = world.queued("full", "board");
    let [before @ .., gap, last] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(before, places(1, 2 * before.len() as u64));
    assert_eq!(*gap, format!("canvas.gap {}-2099", 2 * before.len() + 1));
    assert_eq!(last, "2101");
}

#[test]
fn a_gap_comes_behind_what_was_set_aside_before_it() {
    let mut world = World::new(&[text("a", serde_json::json!({"backlog": 50}))]);
    world.set_aside(50);
    world.set_aside(70);
    // There is room again before the first of it is told: the gap is between both.
    world.sql("UPDATE hook_aside_of SET events = 0");
    world.set_aside(6);
    world.sql("UPDATE hook_aside_of SET events = 56");
    assert_eq!(world.dropped, 70);
    let roomy = [text("a", serde_json::json!({"backlog": 1_000}))];
    store(&world.conn, &roomy, true).unwrap();
    world.sql("UPDATE hook_versions SET hooks = (SELECT hooks FROM hooks)");
    world.dispatch_all();
    world.is_over();
    let expected = [
        places(1, 49),
        vec!["canvas.gap 51-119".to_owned()],
        places(121, 125),
    ];
    assert_eq!(world.queued("a", "board"), expected.concat());
}

#[test]
fn all_queues_together_have_their_bound() {
    let mut world = World::new(&[text("a", serde_json::json!({}))]);
    world.limits.bytes = 100_000;
    for _ in 0..100 {
        world.set_aside(100);
    }
    let bytes = world.count("SELECT sum(bytes) FROM hook_aside_of");
    assert!((100_000..200_000).contains(&bytes), "{bytes}");
    assert_eq!(world.count("SELECT count(*) FROM hook_aside_after"), 2);
}

#[test]
fn hooks_that_are_replaced_are_told_what_was_set_aside_for_them() {
    let mut world = World::new(&[text("old", serde_json::json!({}))]);
    world.set_aside(10);
    store(&world.conn, &[text("new", serde_json::json!({}))], true).unwrap();
    world.set_aside(10);
    store(&world.conn, &[], true).unwrap();
    world.dispatch_all();
    assert_eq!(world.queued("old", "board"), places(1, 10));
    assert_eq!(world.queued("new", "board"), places(11, 20));
    world.is_over();
    // However often they are replaced: then the oldest that are kept are told.
    store(&world.conn, &[text("old", serde_json::json!({}))], true).unwrap();
    world.set_aside(10);
    for n in 0..40 {
        store(
            &world.conn,
            &[text("old", serde_json::json!({"backlog": 100 + n}))],
            true,
        )
        .unwrap();
    }
    assert_eq!(world.count("SELECT count(*) FROM hook_versions"), 16);
    world.dispatch_all();
    assert_eq!(
        world.queued("old", "board"),
        [places(1, 10), places(21, 30)].concat()
    );
    world.is_over();
}

#[test]
fn a_hook_that_was_turned_off_is_told_nothing_more() {
    let both = ["gone", "here"].map(|name| text(name, serde_json::json!({})));
    for replaced in [false, true] {
        let mut world = World::new(&both);
        world.set_aside(10);
        turn_off(&world.conn, "gone", "410", 8).unwrap();
        if replaced {
            store(&world.conn, &both, true).unwrap();
        }
        world.dispatch_all();
        assert_eq!(world.queued("gone", "board"), Vec::<String>::new());
        assert_eq!(world.queued("here", "board"), places(1, 10));
        world.is_over();
    }
}

#[test]
fn a_canvas_that_became_quiet_is_told_of_behind_its_events() {
    let mut world = World::new(&[
        text("a", serde_json::json!({})),
        text("b", serde_json::json!({"canvases": ["plan"]})),
    ]);
    world.set_aside(9);
    world.sql("INSERT INTO hook_changes VALUES ('a', 1, 1, 9, 1, 5), ('b', 1, 1, 9, 1, 5)");
    world.fire();
    assert_eq!(world.queued("a", "board"), Vec::<String>::new());
    // Another one waits for its time meanwhile: both are one.
    world.sql("INSERT INTO hook_changes VALUES ('a', 1, 10, 11, 8, 1000)");
    world.dispatch_all();
    world.fire();
    let all = [places(1, 9), vec!["canvas.changed 1-11".to_owned()]].concat();
    assert_eq!(world.queued("a", "board"), all);
    assert_eq!(world.count("SELECT count(*) FROM hook_changes"), 0);
    world.is_over();
}

#[test]
fn a_row_that_is_damaged_holds_nothing_up() {
    let mut world = World::new(&[text("a", serde_json::json!({}))]);
    world.set_aside(10);
    world.set_aside(10);
    world.sql("UPDATE hook_aside SET told = x'ff' WHERE n = 1");
    world.dispatch_all();
    assert_eq!(world.queued("a", "board"), places(11, 20));
    world.is_over();
}
