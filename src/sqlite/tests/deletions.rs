//! What is remembered of deletions: bounded, and the same in memory and in tables.

use rusqlite::Connection;

use super::super::apply::Txn;
use super::super::reader;
use super::*;
use crate::backplane::intake::Waiting;
use crate::canvas::CanvasState;
use crate::limits::DELETIONS_KEPT;
use crate::protocol::client_message::{ClientMessage, parse};
use crate::protocol::ids::{CanvasId, Epoch, InstanceNumber};
use crate::sqlite::storage::schema;

fn entry(author: &Arc<Author>, op: u64) -> Entry {
    let id = op.div_ceil(2);
    let text = match op % 2 {
        1 => {
            format!(r#"{{"type":"object-create","op":{op},"object":{{"id":"o{id}","kind":"k"}}}}"#)
        }
        _ => format!(r#"{{"type":"object-delete","op":{op},"id":"o{id}"}}"#),
    };
    let author = author.clone();
    match parse(&text) {
        Ok(ClientMessage::Durable(message)) => Entry::Durable { author, message },
        other => panic!("{text}: {other:?}"),
    }
}

fn rows(conn: &Connection) -> u32 {
    conn.query_row("SELECT count(*) FROM canvas_deletions", [], |row| {
        row.get(0)
    })
    .unwrap()
}

#[test]
fn as_many_names_are_kept_as_may_be_and_older_states_need_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let conn = schema::prepare(&config(dir.path(), "one")).unwrap().conn;
    conn.execute_batch(
        "PRAGMA synchronous = OFF;
         INSERT INTO canvases (key, canvas_id, epoch, created_at) VALUES (7, 'c', '0000000000000007', 1)",
    )
    .unwrap();
    let setup = setup("one", 1, SMALL);
    let mut model = CanvasState::new(Epoch(7), SMALL);
    let client = ClientId::parse("client-1").unwrap();
    let author = Author::new(
        ConnId::new(InstanceNumber(1), 1),
        client,
        "{}".to_owned(),
        String::new(),
    );
    let author = Arc::new(author);
    let kept = u64::from(DELETIONS_KEPT);
    let ops = (1..=2 * (kept + 100)).collect::<Vec<_>>();
    for ops in ops.chunks(300) {
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut txn = Txn::new(&conn, &setup, 1_000);
        for op in ops {
            let waiting = Waiting {
                key: CanvasKey(7),
                canvas: CanvasId::parse("c").unwrap(),
                entry: entry(&author, *op),
                since: std::time::Instant::now(),
            };
            txn.apply(&waiting).unwrap();
            model.apply(
                InstanceNumber(1),
                entry(&author, *op),
                1_000,
                &mut Vec::new(),
            );
        }
        txn.finish().unwrap();
        conn.execute_batch("COMMIT").unwrap();
        assert!(
            rows(&conn) <= DELETIONS_KEPT + 1,
            "one stands for those before"
        );
    }
    let snapshot = reader::snapshot(&conn, CanvasKey(7)).unwrap();
    assert_eq!(snapshot.lately, model.snapshot().lately);
    assert_eq!(snapshot.lately.deleted.len() as u64, kept);
    assert_eq!(snapshot.lately.from, 200);
    assert_eq!(snapshot.since(199), None);
    let since = snapshot.since(200).unwrap();
    assert_eq!(
        (since.deleted.len() as u64, since.deleted[0]),
        (kept, "o101")
    );
    // A copy that was made from bytes knows nothing of what was before.
    let copy = CanvasState::decode(&model.freeze().encode(), SMALL).unwrap();
    assert_eq!(copy.snapshot().since(200), None);
    assert!(copy.snapshot().since(model.head().seq).is_some());
}
