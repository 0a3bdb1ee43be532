//! Large contents of deleted canvases: out of sight at once, gone a piece at a time.

use rusqlite::Connection;

use super::super::apply::Txn;
use super::super::reader;
use super::*;
use crate::limits::{CLEANUP_CHUNK, MAX_OBJECT_BYTES, SWEEP_BYTES};
use crate::protocol::ids::Epoch;
use crate::sqlite::storage::schema;

/// A canvas with so many objects of so many bytes, and one that stays.
fn canvases(conn: &Connection, objects: u32, bytes: usize) {
    conn.execute_batch(&format!(
        "PRAGMA synchronous = OFF;
         INSERT INTO canvases (key, canvas_id, epoch, created_at, seq, objects, object_bytes) VALUES
             (7, 'large', '0000000000000007', 1, {objects}, {objects}, {objects} * {bytes}),
             (8, 'other', '0000000000000008', 1, 1, 1, {bytes});
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {objects})
         INSERT INTO canvas_objects SELECT 7, 'o' || i, i, i, printf('%.*c', {bytes}, 'x') FROM n;
         INSERT INTO canvas_objects VALUES (8, 'o1', 1, 1, '{{}}');
         INSERT INTO canvas_chat VALUES (7, 5, '{{}}'), (8, 6, '{{}}');
         INSERT INTO canvas_clients VALUES (7, 'client-1', '', 3, 3, 1);
         UPDATE totals SET stored_bytes = {objects} * {bytes} + {bytes}, canvases = 2, next_key = 9;"
    ))
    .unwrap();
}

fn within<T>(conn: &Connection, then: impl FnOnce(&mut Txn<'_>) -> T) -> T {
    let setup = setup("one", 1, SMALL);
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut txn = Txn::new(conn, &setup, 1_000);
    let done = then(&mut txn);
    txn.finish().unwrap();
    conn.execute_batch("COMMIT").unwrap();
    done
}

fn number(conn: &Connection, sql: &str) -> i64 {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

const OBJECTS: &str = "SELECT count(*) FROM canvas_objects";

/// Deletes the large one and sweeps it; gives the size of each piece in objects and bytes.
fn swept(conn: &Connection) -> Vec<(i64, i64)> {
    let before = number(conn, OBJECTS);
    within(conn, |txn| {
        txn.delete_canvas(CanvasKey(7), Epoch(9)).unwrap()
    });
    assert_eq!(number(conn, OBJECTS), before, "none is touched");
    let snapshot = reader::snapshot(conn, CanvasKey(7)).unwrap();
    assert!(snapshot.objects.is_empty() && snapshot.chat.is_empty());
    assert_eq!(snapshot.at.epoch, Epoch(9));
    let kept = "SELECT objects + object_bytes + chat_bytes FROM canvases WHERE key = 7";
    assert_eq!(number(conn, kept), 0);
    // What comes now is not what goes.
    let new = number(conn, "SELECT content FROM canvases WHERE key = 7");
    assert!(new < 0);
    conn.execute(
        "INSERT INTO canvas_objects VALUES (?1, 'o1', 1, 1, '{}')",
        [new],
    )
    .unwrap();
    let mut pieces = Vec::new();
    let left = "SELECT count(*) FROM canvas_sweeps";
    let bytes = "SELECT total(octet_length(props)) FROM canvas_objects";
    while number(conn, left) > 0 {
        let before: f64 = conn.query_row(bytes, [], |row| row.get(0)).unwrap();
        let went = within(conn, |txn| txn.sweep_content().unwrap());
        let after: f64 = conn.query_row(bytes, [], |row| row.get(0)).unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "they are whole and small")]
        pieces.push((went, (before - after) as i64));
        assert!(pieces.len() < 1_000, "{pieces:?}");
    }
    assert_eq!(within(conn, |txn| txn.sweep_content().unwrap()), 0);
    assert_eq!(
        texts(&reader::snapshot(conn, CanvasKey(7)).unwrap()),
        ["{}"]
    );
    assert_eq!(
        texts(&reader::snapshot(conn, CanvasKey(8)).unwrap()),
        ["{}"]
    );
    assert_eq!(number(conn, OBJECTS), 2);
    assert_eq!(number(conn, "SELECT count(*) FROM canvas_chat"), 1);
    pieces
}

#[test]
fn many_objects_go_so_many_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let conn = schema::prepare(&config(dir.path(), "one")).unwrap().conn;
    canvases(&conn, 4_500, 20);
    let pieces = swept(&conn);
    let counts: Vec<i64> = pieces.iter().map(|(objects, _)| *objects).collect();
    assert_eq!(counts, [1_000, 1_000, 1_000, 1_000, 500, 0]);
    assert_eq!(i64::from(CLEANUP_CHUNK), 1_000);
}

#[test]
fn large_objects_go_so_many_bytes_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let conn = schema::prepare(&config(dir.path(), "one")).unwrap().conn;
    canvases(&conn, 100, MAX_OBJECT_BYTES);
    let pieces = swept(&conn);
    let most = SWEEP_BYTES.cast_signed() + i64::try_from(MAX_OBJECT_BYTES).unwrap();
    assert!(pieces.len() > 10, "{pieces:?}");
    assert!(pieces.iter().all(|(_, bytes)| *bytes <= most), "{pieces:?}");
}

#[test]
fn little_goes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let conn = schema::prepare(&config(dir.path(), "one")).unwrap().conn;
    canvases(&conn, 50, 100);
    within(&conn, |txn| {
        txn.delete_canvas(CanvasKey(7), Epoch(9)).unwrap()
    });
    assert_eq!(number(&conn, OBJECTS), 1);
    assert_eq!(number(&conn, "SELECT count(*) FROM canvas_sweeps"), 0);
}
