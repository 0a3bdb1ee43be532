//! Messages that are sent again.

use std::time::Instant;

use super::super::apply::Txn;
use super::*;
use crate::backplane::intake::Waiting;
use crate::protocol::ids::CanvasId;
use crate::sqlite::delivery::tail::Step;
use crate::sqlite::membership::instances;
use crate::sqlite::storage::schema;

/// The place of a resent op is looked for in the table, where the rows before it in its transaction have to be by then.
#[test]
fn a_resent_op_finds_its_place_among_the_rows_of_its_own_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "one");
    let mut prepared = schema::prepare(&config).unwrap();
    let (own, _wakes) = instances::register(&mut prepared, &config).unwrap();
    let conn = &prepared.conn;
    let insert = "INSERT INTO canvases (key, canvas_id, epoch, created_at) VALUES (7, 'c', '00000000000000aa', 1)";
    conn.execute(insert, []).unwrap();

    let (one, two) = (author(1), author(2));
    let said = [(&one, 1), (&one, 2), (&two, 1), (&one, 3), (&two, 2)];
    let again = [(&one, 1), (&one, 3), (&two, 1), (&one, 2)];
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut txn = Txn::new(conn, &own.setup, prepared.clock.now_ms());
    for (author, op) in said.into_iter().chain(again) {
        let waiting = Waiting {
            key: CanvasKey(7),
            canvas: CanvasId::parse("c").unwrap(),
            entry: durable(author, op, 10),
            since: Instant::now(),
        };
        txn.apply(&waiting).unwrap();
    }
    let (committed, _) = txn.finish().unwrap();
    conn.execute_batch("COMMIT").unwrap();

    assert_eq!(committed.logged(), said.len());
    let answers = committed.steps.iter().filter_map(|step| match step {
        Step::Answer {
            delivery: Delivery::Outcome { conn, op, outcome },
            ..
        } => Some((*conn, *op, outcome.clone())),
        _ => None,
    });
    let dup = |author: &Arc<Author>, op, seq| {
        let status = AckStatus::Dup;
        (author.conn, op, Outcome::Ack { seq, status })
    };
    let expected = [
        dup(&one, 1, 1),
        dup(&one, 3, 4),
        dup(&two, 1, 3),
        dup(&one, 2, 2),
    ];
    assert_eq!(answers.collect::<Vec<_>>(), expected);
    let mut stored = conn
        .prepare("SELECT seq, op FROM message_queue ORDER BY id")
        .unwrap();
    let stored = stored.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let stored: Vec<(i64, i64)> = stored.unwrap().map(Result::unwrap).collect();
    assert_eq!(stored, [(1, 1), (2, 2), (3, 1), (4, 3), (5, 2)]);
}
