//! How many clients a canvas remembers: bounded, and none of them gives way before its time.

use super::super::apply::Txn;
use super::*;
use crate::backplane::intake::Waiting;
use crate::backplane::{CanvasKey, Refusal};
use crate::limits::{CLIENTS_COUNTED, CLIENTS_REMEMBERED};
use crate::protocol::ids::{CanvasId, InstanceNumber};
use crate::sqlite::storage::schema;
use crate::time::millis;

fn waiting(key: CanvasKey, entry: Entry) -> Waiting {
    Waiting {
        key,
        canvas: CanvasId::parse("c").unwrap(),
        entry,
        since: std::time::Instant::now(),
    }
}

fn of(client: &str, subject: &str) -> Arc<Author> {
    let client = ClientId::parse(client).unwrap();
    let conn = ConnId::new(InstanceNumber(1), 1);
    Arc::new(Author::new(
        conn,
        client,
        "{}".to_owned(),
        subject.to_owned(),
    ))
}

fn join(client: &str) -> Entry {
    let author = of(client, "");
    Entry::Join { author }
}

fn said(client: &str) -> Entry {
    durable(&of(client, "s"), 1, 5)
}

#[test]
fn a_canvas_remembers_only_so_many_clients_and_forgets_none_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let conn = schema::prepare(&config(dir.path(), "one")).unwrap().conn;
    let most = CLIENTS_REMEMBERED;
    conn.execute_batch(&format!(
        "PRAGMA synchronous = OFF;
         INSERT INTO canvases (key, canvas_id, epoch, created_at)
             VALUES (7, 'c', '0000000000000007', 1), (8, 'd', '0000000000000008', 1);
         WITH RECURSIVE n (i) AS (VALUES (2) UNION ALL SELECT i + 1 FROM n WHERE i < {most})
         INSERT INTO canvas_clients SELECT 7, 'client-' || i, '', 3, 0, 1 FROM n;"
    ))
    .unwrap();
    let setup = setup("one", 1, SMALL);
    let room = |now_ms: i64, key: i64, entry: Entry| -> Result<(), Refusal> {
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut txn = Txn::new(&conn, &setup, now_ms);
        let waiting = waiting(CanvasKey(key), entry);
        let room = txn.room_for(&waiting).unwrap();
        if room.is_ok() {
            txn.apply(&waiting).unwrap();
        }
        txn.finish().unwrap();
        conn.execute_batch("COMMIT").unwrap();
        room
    };
    let clients = || {
        let count = "SELECT count(*) FROM canvas_clients WHERE canvas_id = 7";
        let count: i64 = conn.query_row(count, [], |row| row.get(0)).unwrap();
        usize::try_from(count).unwrap()
    };
    // One more has room, by joining or by posting with a key.
    assert_eq!(room(1_000, 7, said("api-0001")), Ok(()));
    assert_eq!(clients(), most);
    for new in [join("somebody"), said("api-0002")] {
        let refusal = room(1_001, 7, new).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::Overloaded);
        assert!(refusal.retry_after_ms.is_some());
        assert!(refusal.message.contains("250000 clients"), "{refusal:?}");
    }
    // Whoever is remembered goes on, and so does every other canvas.
    assert_eq!(room(1_002, 7, join("client-2")), Ok(()));
    assert_eq!(room(1_003, 7, said("api-0001")), Ok(()));
    assert_eq!(room(1_004, 8, join("somebody")), Ok(()));
    assert_eq!(clients(), most);
    // What was forgotten meanwhile is seen at the next count.
    conn.execute("DELETE FROM canvas_clients WHERE client = 'client-9'", [])
        .unwrap();
    let later = 1_000 + millis(CLIENTS_COUNTED);
    assert!(room(later - 1, 7, join("somebody")).is_err());
    assert_eq!(room(later, 7, join("somebody")), Ok(()));
    assert!(room(later, 7, join("somebody-else")).is_err());
    assert_eq!(clients(), most);
}
