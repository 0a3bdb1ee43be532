//! Fairness, bounds and the order of refusals.

mod refusals;

use bytestring::ByteString;

use super::*;
use crate::backplane::{CanvasKey, End};
use crate::protocol::client_message::{Change, Kind};
use crate::protocol::ids::{ClientId, ConnId, InstanceNumber};

/// Connection `n` of instance 1 as an author.
pub(crate) fn author(n: u64) -> Arc<Author> {
    let client = ClientId::parse(&format!("client-{n:04}")).unwrap();
    Arc::new(Author::new(
        ConnId::new(InstanceNumber(1), n),
        client,
        "{}".into(),
        String::new(),
    ))
}

/// A broadcast with a payload of `bytes`.
pub(crate) fn durable(author: &Arc<Author>, op: u64, bytes: usize) -> Entry {
    let body = format!(
        "{{\"op\":{op},\"event\":\"e\",\"data\":\"{}\"}}",
        "x".repeat(bytes)
    );
    let message = Durable {
        kind: Kind::Broadcast,
        op,
        body: ByteString::from(body),
        change: Change::None,
    };
    Entry::Durable {
        author: author.clone(),
        message,
    }
}

fn canvas(key: i64) -> Canvas {
    let id = CanvasId::parse(&format!("c{key}")).unwrap();
    let key = CanvasKey(key);
    Canvas { id, key }
}

fn ops(batch: &[Waiting]) -> Vec<(i64, u64)> {
    let op = |w: &Waiting| durable_of(&w.entry).map_or(0, |(_, m)| m.op);
    batch.iter().map(|w| (w.key.0, op(w))).collect()
}

fn refused(answers: &Answers) -> Vec<u64> {
    let op = |d: &Delivery| {
        if let Delivery::Outcome { op, .. } = d {
            *op
        } else {
            0
        }
    };
    answers.iter().map(|(_, d)| op(d)).collect()
}

#[test]
fn a_flooding_canvas_waits_for_itself_only() {
    let intake = Intake::<()>::default();
    let (a, b) = (author(1), author(2));
    let mut taken = 0;
    while intake
        .append(&canvas(1), durable(&a, taken + 1, 1_000))
        .is_ok()
    {
        taken += 1;
    }
    assert_eq!(taken, limits::CANVAS_QUEUE_ENTRIES as u64);
    intake.append(&canvas(2), durable(&b, 1, 10)).unwrap();
    let (_, batch) = intake.drain();
    let place = ops(&batch).iter().position(|(key, _)| *key == 2).unwrap();
    assert!(place <= limits::CANVAS_QUANTUM_BYTES / 1_000, "{place}");
}

#[test]
fn after_a_refusal_later_ops_wait_for_it() {
    let intake = Intake::<()>::default();
    let a = author(1);
    for op in 1..=5 {
        intake.append(&canvas(1), durable(&a, op, 10)).unwrap();
    }
    let (_, mut batch) = intake.drain();
    intake.append(&canvas(1), durable(&a, 6, 10)).unwrap();
    batch.drain(..2);
    let answers = intake.refuse(batch, "x");
    assert_eq!(refused(&answers), [3, 4, 5, 6]);
    assert!(intake.append(&canvas(1), durable(&a, 7, 10)).is_err());
    for op in 3..=7 {
        intake.append(&canvas(1), durable(&a, op, 10)).unwrap();
    }
    assert_eq!(
        ops(&intake.drain().1),
        [(1, 3), (1, 4), (1, 5), (1, 6), (1, 7)]
    );
}

#[test]
fn old_entries_are_refused_but_leaves_stay() {
    let intake = Intake::<()>::default();
    let a = author(1);
    intake
        .append(
            &canvas(1),
            Entry::Leave {
                author: a.clone(),
                end: End::Lost,
            },
        )
        .unwrap();
    intake.append(&canvas(1), durable(&a, 1, 10)).unwrap();
    intake
        .append(&canvas(1), Entry::Join { author: a.clone() })
        .unwrap();
    assert!(intake.refuse_old(Duration::from_secs(60)).is_empty());
    let answers = intake.refuse_old(Duration::ZERO);
    assert_eq!(answers.len(), 2);
    assert_eq!(intake.depth(), 1);
    assert!(matches!(intake.drain().1[0].entry, Entry::Leave { .. }));
}

#[test]
fn an_entry_larger_than_the_quantum_gets_through() {
    let intake = Intake::<()>::default();
    let a = author(1);
    intake
        .append(&canvas(1), durable(&a, 1, 5 * limits::CANVAS_QUANTUM_BYTES))
        .unwrap();
    intake.append(&canvas(1), durable(&a, 2, 10)).unwrap();
    assert_eq!(ops(&intake.drain().1), [(1, 1), (1, 2)]);
    assert_eq!(intake.depth(), 0);
}

#[test]
fn a_leave_that_was_not_committed_comes_first_again() {
    let intake = Intake::<()>::default();
    let a = author(1);
    intake
        .append(
            &canvas(1),
            Entry::Leave {
                author: a.clone(),
                end: End::Clean,
            },
        )
        .unwrap();
    let (_, batch) = intake.drain();
    intake
        .append(&canvas(1), Entry::Join { author: a })
        .unwrap();
    assert!(intake.refuse(batch, "x").is_empty());
    let (_, batch) = intake.drain();
    assert!(matches!(batch[0].entry, Entry::Leave { .. }));
    assert!(matches!(batch[1].entry, Entry::Join { .. }));
}

#[test]
fn a_second_copy_that_is_refused_holds_nothing() {
    let intake = Intake::<()>::default();
    let a = author(1);
    let mut op = 0;
    while intake.append(&canvas(1), durable(&a, op + 1, 10)).is_ok() {
        op += 1;
    }
    // The queue is full; the first one that did not fit is held, the second copy of one that did is not.
    let held = op + 1;
    assert!(intake.append(&canvas(1), durable(&a, op, 10)).is_err());
    assert!(!a.ops.holds(held) && a.ops.holds(held + 1));
    while !intake.drain().1.is_empty() {}
    for resent in [op, held, held + 1] {
        intake.append(&canvas(1), durable(&a, resent, 10)).unwrap();
    }
    // Committed, and then another copy is refused after it had been taken.
    a.ops.ended(held + 1, OpEnd::Decided);
    intake.append(&canvas(1), durable(&a, held, 10)).unwrap();
    let (_, batch) = intake.drain();
    assert_eq!(refused(&intake.refuse(batch, "x")).last(), Some(&held));
    intake
        .append(&canvas(1), durable(&a, held + 2, 10))
        .unwrap();
}

/// A later op that was admitted meanwhile is not committed before one that the spill file lost.
#[test]
fn what_the_spill_file_lost_takes_its_authors_later_ops_along() {
    let intake = Intake::<()>::default();
    let (a, b) = (author(1), author(2));
    for op in 1..=3 {
        intake.append(&canvas(1), durable(&a, op, 10)).unwrap();
    }
    intake.append(&canvas(1), durable(&b, 1, 10)).unwrap();
    let spilled = intake.take_durable(Duration::ZERO);
    assert_eq!(spilled.len(), 4);
    intake.append(&canvas(1), durable(&a, 4, 10)).unwrap();
    intake.append(&canvas(1), durable(&b, 2, 10)).unwrap();
    let lost = (1..=3)
        .map(|op| (CanvasKey(1), a.clone(), vec![op]))
        .collect();
    assert_eq!(refused(&intake.refuse_spilled(lost)), [1, 2, 3, 4]);
    assert_eq!(ops(&intake.drain().1), [(1, 2)], "the other author's");
    assert!(intake.append(&canvas(1), durable(&a, 5, 10)).is_err());
    intake.append(&canvas(1), durable(&a, 1, 10)).unwrap();
}
