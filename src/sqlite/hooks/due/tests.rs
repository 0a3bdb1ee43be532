//! What waits for room waits for nothing else, and costs nothing until then.

use rusqlite::Connection;

use super::*;
use crate::hooks::file::{HookText, check_all};
use crate::jobs::op::PushItem;
use crate::limits::JobLimits;
use crate::sqlite::jobs::Lane;
use crate::sqlite::tests::config;

struct World {
    conn: Connection,
    lane: Lane,
    stored: Stored,
    limits: JobLimits,
    _dir: tempfile::TempDir,
}

impl World {
    /// Two hooks: the backlog of "full" holds one message, that of "roomy" many.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let prepared = crate::sqlite::storage::schema::prepare(&config(dir.path(), "one")).unwrap();
        let text = |name: &str, backlog: u64| -> HookText {
            serde_json::from_value(serde_json::json!({
                "name": name, "canvases": ["*"], "events": ["canvas.changed"], "quiet": "1s",
                "queue": name, "backlog": backlog,
            }))
            .unwrap()
        };
        let hooks = check_all(&[text("full", 1), text("roomy", 1_000)]).unwrap();
        let stored = Stored {
            version: 1,
            hooks,
            ..Stored::default()
        };
        let conn = prepared.conn;
        conn.execute_batch(
            "INSERT INTO canvases (key, canvas_id, epoch, created_at) VALUES (1, 'board', 'e', 1)",
        )
        .unwrap();
        Self {
            conn,
            lane: Lane::default(),
            stored,
            limits: JobLimits::default(),
            _dir: dir,
        }
    }

    fn push(&self, queue: &str) {
        let item = PushItem {
            queue: queue.to_owned(),
            payload: "{}".to_owned(),
            ..PushItem::default()
        };
        let pushed = self
            .lane
            .in_txn(&self.limits, &self.conn, 1, |push| push.push(&item));
        assert!(matches!(pushed.unwrap(), Pushed::Queued(_)));
    }

    fn sql(&self, sql: &str) {
        self.conn.execute_batch(sql).unwrap();
    }

    fn count(&self, sql: &str) -> i64 {
        self.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn due(&self) -> bool {
        is_due(&self.conn, &self.stored, 10).unwrap()
    }

    /// How many were told, and whether a queue took nothing although there was room.
    fn fire(&self) -> (i64, bool) {
        let left = || {
            self.count("SELECT count(*) FROM hook_changes")
                + self.count("SELECT count(*) FROM hook_gaps")
        };
        let before = left();
        let fired = self.lane.in_txn(&self.limits, &self.conn, 10, |push| {
            fire(&self.stored, &self.conn, push, 10)
        });
        (before - left(), fired.unwrap().refused)
    }

    fn waiting(&self, queue: &str) -> i64 {
        self.count(&format!(
            "SELECT messages FROM job_queues WHERE name = '{queue}'"
        ))
    }
}

const CHANGE: &str =
    "INSERT INTO hook_changes VALUES ('full', 1, 1, 2, 1, 5), ('roomy', 1, 1, 2, 1, 5)";

#[test]
fn a_change_without_room_is_not_looked_at_again_until_there_is_some() {
    let world = World::new();
    world.push("full");
    world.sql(CHANGE);
    assert!(world.due());
    assert_eq!(world.fire().0, 1);
    assert_eq!((world.waiting("full"), world.waiting("roomy")), (1, 1));
    assert!(!world.due(), "an idle room costs nothing");
    // What is completed, and kept for those who seek back, waits for nobody.
    world.sql("UPDATE job_queues SET kept = messages WHERE name = 'full'");
    assert!(world.due());
    assert_eq!(world.fire().0, 1);
    assert_eq!(world.count("SELECT count(*) FROM hook_changes"), 0);
    assert!(!world.due());
}

#[test]
fn a_gap_waits_for_the_room_of_its_own_hook_and_holds_up_no_other() {
    let world = World::new();
    world.push("full");
    // More than one look reads, all of the hook without room.
    for key in 1..=2 * AT_ONCE {
        world.sql(&format!(
            "INSERT INTO hook_gaps VALUES ('full', {key}, 'e', 1, 2)"
        ));
    }
    assert!(!world.due(), "an idle room costs nothing");
    world.sql("INSERT INTO hook_gaps VALUES ('roomy', 1, 'e', 1, 2)");
    assert!(world.due());
    assert_eq!(world.fire().0, 1);
    assert_eq!((world.waiting("full"), world.waiting("roomy")), (1, 1));
    assert!(!world.due());
    world.sql("UPDATE job_queues SET messages = 0 WHERE name = 'full'");
    assert!(world.due());
    world.fire();
    assert_eq!(world.waiting("full"), 1);
    // What is left of a hook that is gone goes, whatever room there is.
    world.sql("UPDATE hook_gaps SET hook = 'gone'");
    assert!(world.due());
    world.fire();
    world.fire();
    assert_eq!(world.count("SELECT count(*) FROM hook_gaps"), 0);
}

#[test]
fn a_queue_that_refuses_although_its_backlog_has_room_is_said() {
    let mut world = World::new();
    world.limits.bytes = 1;
    world.sql(CHANGE);
    assert_eq!(world.fire(), (0, true));
    assert_eq!(world.count("SELECT count(*) FROM hook_changes"), 2);
    world.limits = JobLimits::default();
    assert_eq!(world.fire().0, 2);
}

#[test]
fn no_look_scans_or_sorts() {
    let world = World::new();
    for sql in [DUE_NOW, DUE, NEXT_PARKED, UNPARK, NEXT_GAP, GAPS, BACKLOG] {
        let mut statement = world
            .conn
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let line: String = row.get(3).unwrap();
            let free = line.starts_with("SCAN CONSTANT ROW");
            assert!(free || !line.contains("SCAN"), "{sql}: {line}");
            assert!(!line.contains("TEMP B-TREE"), "{sql}: {line}");
        }
    }
}
