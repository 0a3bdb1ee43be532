//! What is charged is the work, not the bytes of who asked for it.

use std::time::Instant;

use super::super::apply::Txn;
use super::*;
use crate::backplane::intake::Waiting;
use crate::limits::{CANVAS_WORK, MAX_OBJECT_BYTES};
use crate::protocol::ids::CanvasId;
use crate::sqlite::membership::instances;
use crate::sqlite::storage::schema;

/// An object that is dear to take apart.
fn large(id: usize) -> String {
    let fields: String = (0..16_000).map(|n| format!(",\"k{n}\":1")).collect();
    format!(r#"{{"id":"o{id}","kind":"k"{fields}}}"#)
}

fn create(op: u64, id: usize) -> String {
    let object = large(id);
    assert!((MAX_OBJECT_BYTES / 2..MAX_OBJECT_BYTES).contains(&object.len()));
    format!(r#"{{"type":"object-create","op":{op},"object":{object}}}"#)
}

fn patch(op: u64, id: usize) -> String {
    format!(r#"{{"type":"object-update","op":{op},"id":"o{id}","patch":{{"a":{op}}}}}"#)
}

/// Sixty bytes may cost two hundred thousand. Whoever sends such waits for itself.
#[tokio::test(flavor = "multi_thread")]
async fn small_patches_of_large_objects_hold_up_their_own_canvas_only() {
    const OBJECTS: usize = 5;
    let dir = tempfile::tempdir().unwrap();
    let queue = start(dir.path(), "one");
    let (flooded, heard) = room(&queue, "flooded").await;
    let (quiet, other) = room(&queue, "quiet").await;
    let (eve, ada) = (on(&queue, 1, ""), on(&queue, 2, ""));
    for id in 0..OBJECTS {
        let text = create(id as u64 + 1, id);
        queue.append(&flooded.canvas, message(&eve, &text)).unwrap();
    }
    heard.log_to(OBJECTS as u64);
    // All of it is there before the writer looks, and would go into one transaction by its bytes.
    let together = Together::on(queue.clone());
    for op in 0..48 {
        let text = patch(100 + op, usize::try_from(op).unwrap() % OBJECTS);
        let entry = message(&eve, &text);
        together.append(&flooded.canvas, entry).unwrap();
    }
    let hello = r#"{"type":"chat","op":1,"text":"hello"}"#;
    together
        .append(&quiet.canvas, message(&ada, hello))
        .unwrap();
    drop(together);
    other.log_to(1);
    let done = heard.wait(|_| true);
    let done = seqs(&done).len() - OBJECTS;
    assert!(
        done <= CANVAS_WORK / MAX_OBJECT_BYTES * 2,
        "{done} patches went first"
    );
    // It waits, and loses nothing.
    heard.log_to(OBJECTS as u64 + 48);
    queue.shutdown().await;
}

#[test]
fn an_object_that_several_ops_of_one_transaction_change_is_taken_apart_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "one");
    let mut prepared = schema::prepare(&config).unwrap();
    let (own, _wakes) = instances::register(&mut prepared, &config).unwrap();
    let conn = &prepared.conn;
    let insert = "INSERT INTO canvases (key, canvas_id, epoch, created_at) VALUES (7, 'c', '00000000000000aa', 1)";
    conn.execute(insert, []).unwrap();
    let author = author(1);
    let transact = |texts: &[String]| {
        let mut txn = Txn::new(conn, &own.setup, prepared.clock.now_ms());
        let work = texts.iter().map(|text| {
            txn.apply(&Waiting {
                key: CanvasKey(7),
                canvas: CanvasId::parse("c").unwrap(),
                entry: message(&author, text),
                since: Instant::now(),
            })
            .unwrap()
        });
        let work: usize = work.sum();
        txn.finish().unwrap();
        work
    };
    assert_eq!(transact(&[create(1, 0), create(2, 1)]), 0);
    let bytes = large(0).len();
    let patches: Vec<_> = (3..103).map(|op| patch(op, 0)).collect();
    assert_eq!(transact(&patches), 3 * bytes);
    let again = transact(&[patch(103, 0), patch(104, 1)]);
    assert!(again > 5 * bytes, "{again}: each of both");
    let written: i64 = conn
        .query_row(
            "SELECT updated_seq FROM canvas_objects WHERE object_id = 'o0'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(written, 103, "the youngest message that has changed it");
}
