//! Which files are taken, and when epochs begin.

use super::*;
use crate::sqlite::tests::config;

#[test]
fn a_file_of_another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "one");
    drop(prepare(&config).unwrap());
    drop(prepare(&config).unwrap());
    let conn = Connection::open(&config.file.db).unwrap();
    conn.pragma_update(None, "user_version", 9).unwrap();
    drop(conn);
    assert!(matches!(
        prepare(&config),
        Err(StartError::Version { found: 9, .. })
    ));
}

/// A wall clock that is stepped by an hour between two starts is what an offset that is an hour off looks like.
#[test]
fn a_step_of_the_wall_clock_changes_nothing_until_the_next_boot() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "one");
    let first = prepare(&config).unwrap();
    for step_ms in [3_600_000, -7_200_000] {
        let step = "UPDATE meta SET value = value + ?1 WHERE key = 'clock_offset_ms'";
        let expected = offset(&first.conn) + step_ms;
        first.conn.execute(step, [step_ms]).unwrap();
        let later = prepare(&config).unwrap();
        let ahead_ms = later.clock.now_ms() - clock::since_boot_ms();
        assert!((ahead_ms - expected).abs() < 1_000, "{ahead_ms}");
        assert_eq!(offset(&later.conn), expected, "nobody corrects it");
    }
    // Another boot takes the wall clock again, and keeps nothing for longer than it would be kept now.
    first
        .conn
        .execute("UPDATE meta SET value = 'x' WHERE key = 'boot_id'", [])
        .unwrap();
    let next = prepare(&config).unwrap();
    assert!((next.clock.now_ms() - wall_ms()).abs() < 1_000);
}

fn offset(conn: &Connection) -> i64 {
    let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'clock_offset_ms'";
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn sqlite_without_the_fix_is_refused() {
    for (version, good) in [
        (3_051_002, false),
        (3_051_003, true),
        (3_052_000, false),
        (3_053_002, true),
    ] {
        assert_eq!(check_sqlite(version).is_ok(), good, "{version}");
    }
}

fn epoch_after(config: &SqliteConfig, sql: &str) -> (String, String) {
    let conn = prepare(config).unwrap().conn;
    conn.execute(
        "INSERT OR IGNORE INTO canvases (canvas_id, epoch, created_at) VALUES ('c', 'e', 1)",
        [],
    )
    .unwrap();
    let epoch = |conn: &Connection| {
        conn.query_row("SELECT epoch FROM canvases", [], |r| r.get(0))
            .unwrap()
    };
    let before = epoch(&conn);
    conn.execute_batch(sql).unwrap();
    drop(conn);
    (before, epoch(&prepare(config).unwrap().conn))
}

#[test]
fn epochs_are_new_after_a_power_cut_only() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "one");
    let other_boot = "UPDATE meta SET value = 'x' WHERE key = 'boot_id';";
    let clean = "UPDATE meta SET value = '1' WHERE key = 'clean';";
    let full = "UPDATE meta SET value = 'full' WHERE key = 'synchronous';";
    for (sql, same) in [
        (String::new(), true),
        (format!("{other_boot}{clean}"), true),
        (format!("{other_boot}{full}"), true),
        (other_boot.to_owned(), false),
    ] {
        let (before, after) = epoch_after(&config, &sql);
        assert_eq!(before == after, same, "{sql}");
    }
}

#[test]
fn two_threads_may_create_the_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "one");
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| prepare(&config).map(|_| ())))
            .collect();
        for one in all {
            one.join().unwrap().unwrap();
        }
    });
}
