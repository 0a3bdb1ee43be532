//! How an op ends that takes no place in the log, and that refusals don't break the author's order.

use scumble::backplane::{OpEnd, Outcome};
use scumble::limits::{CANVAS_QUEUE_ENTRIES, MAX_OBJECT_BYTES};
use scumble::protocol::server_message::{AckStatus, ErrorCode};
use serde_json::{Value, json};

use crate::cluster::{Cluster, Options};
use crate::harness::{Relay, chat, create, delete, durable, event, eventually, update};
use crate::recorder::Ended;

fn status(ended: &Ended) -> AckStatus {
    match ended {
        Ended::Outcome(Outcome::Ack { status, .. }) => *status,
        other => panic!("not acknowledged: {other:?}"),
    }
}

fn code(ended: &Ended) -> ErrorCode {
    match ended {
        Ended::Outcome(Outcome::Refused(refusal)) => refusal.code,
        other => panic!("not refused: {other:?}"),
    }
}

/// A duplicate's place is the one it has had, or unknown; never another's.
fn assert_duplicate_of(ended: &Ended, seq: u64) {
    let Ended::Outcome(Outcome::Ack {
        seq: told,
        status: AckStatus::Dup,
    }) = ended
    else {
        panic!("no duplicate: {ended:?}");
    };
    assert!([0, seq].contains(told), "the place is {seq}, not {told}");
}

pub fn a_resent_op_is_a_duplicate<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    for seq in 1..=5 {
        assert_eq!(seat.ask(&mut client, &chat("once")), Ended::Committed(seq));
    }
    // The same client behind a new connection, as after a reconnect.
    let again = seat.client("author");
    for (connection, op) in [(&client, 5), (&again, 5), (&client, 1), (&again, 3)] {
        assert_duplicate_of(&seat.ask_as(connection, op, &chat("once")), op);
    }
    assert_eq!(seat.snapshot().chat.len(), 5);
    assert_eq!(seat.ask_as(&again, 6, &chat("next")), Ended::Committed(6));
}

pub fn a_resent_op_is_a_duplicate_on_every_instance<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let mut client = seats[0].client("author");
    for seq in 1..=5 {
        assert_eq!(
            seats[0].ask(&mut client, &event("e")),
            Ended::Committed(seq)
        );
    }
    for seat in &seats[1..] {
        let again = seat.client("author");
        for op in [5, 2] {
            assert_duplicate_of(&seat.ask_as(&again, op, &event("e")), op);
        }
        assert_eq!(seat.join(&again), Ok(5));
    }
    let again = seats[1].client("author");
    assert_eq!(seats[1].ask_as(&again, 6, &event("e")), Ended::Committed(6));
}

pub fn an_update_of_nothing_is_ignored<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    let ignored = Ended::Outcome(Outcome::Ack {
        seq: 0,
        status: AckStatus::Ignored,
    });
    assert_eq!(
        seat.ask(&mut client, &update("o", &json!({"x": 1}))),
        ignored
    );
    assert_eq!(seat.ask(&mut client, &delete("o")), ignored);
    assert_eq!(
        seat.ask(&mut client, &create("o", &json!({}))),
        Ended::Committed(1)
    );
    assert_eq!(seat.ask(&mut client, &delete("o")), Ended::Committed(2));
    assert_eq!(
        seat.ask(&mut client, &update("o", &json!({"x": 1}))),
        ignored
    );
    // What was ignored has used its number up, though it took no place.
    assert_eq!(
        status(&seat.ask_as(&client, 5, &event("e"))),
        AckStatus::Dup
    );
    assert_eq!(seat.join(&client), Ok(5));
    assert_eq!(seat.snapshot().objects.len(), 0);
}

pub fn an_object_over_the_limit_is_refused<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    let pad = "x".repeat(MAX_OBJECT_BYTES / 2);
    seat.ask(&mut client, &create("o", &json!({ "a": pad })));
    let refused = seat.ask(&mut client, &update("o", &json!({ "b": pad })));
    assert_eq!(code(&refused), ErrorCode::TooLarge);
    let refused = seat.ask(&mut client, &create("p", &json!({ "a": pad, "b": pad })));
    assert_eq!(code(&refused), ErrorCode::TooLarge);
    // A final refusal uses its number up: the author's next op is taken, and the object is as it was.
    assert_duplicate_of(&seat.ask_as(&client, 3, &event("e")), 0);
    assert_eq!(
        seat.ask(&mut client, &update("o", &json!({"a": 1}))),
        Ended::Committed(2)
    );
    let objects = seat.snapshot().objects;
    let object: Value = serde_json::from_str(&objects[0]).expect("JSON");
    assert_eq!(object, json!({"id": "o", "kind": "rect", "a": 1}));
    assert_eq!(objects.len(), 1);
}

pub fn one_object_too_many_is_refused<C: Cluster>() {
    let relay = Relay::<C>::start_with(&Options {
        max_objects: 3,
        ..Options::default()
    });
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    for id in ["a", "b", "c"] {
        assert!(matches!(
            seat.ask(&mut client, &create(id, &json!({}))),
            Ended::Committed(_)
        ));
    }
    let refused = seat.ask(&mut client, &create("d", &json!({})));
    assert_eq!(code(&refused), ErrorCode::TooLarge);
    let Ended::Outcome(Outcome::Refused(refusal)) = refused else {
        panic!()
    };
    assert!(
        refusal.message.contains('3'),
        "names the limit: {}",
        refusal.message
    );
    // Replacing one is not one more, and deleting one makes room.
    assert_eq!(
        seat.ask(&mut client, &create("a", &json!({"x": 1}))),
        Ended::Committed(4)
    );
    assert_eq!(seat.ask(&mut client, &delete("b")), Ended::Committed(5));
    assert_eq!(
        seat.ask(&mut client, &create("d", &json!({}))),
        Ended::Committed(6)
    );
    assert_eq!(
        code(&seat.ask(&mut client, &create("b", &json!({})))),
        ErrorCode::TooLarge
    );
}

/// An object whose JSON has so many bytes.
fn sized(id: &str, bytes: usize) -> Value {
    let without = create(id, &json!({"p": ""}))["object"].to_string().len();
    create(id, &json!({"p": "x".repeat(bytes - without)}))
}

fn assert_over(ended: &Ended, max: usize) {
    let Ended::Outcome(Outcome::Refused(refusal)) = ended else {
        panic!("not refused: {ended:?}");
    };
    assert_eq!(
        (refusal.code, refusal.retry_after_ms),
        (ErrorCode::TooLarge, None)
    );
    let hint = format!("at most {max} (max_canvas_bytes)");
    assert!(refusal.message.contains(&hint), "{}", refusal.message);
}

pub fn objects_over_the_bytes_of_a_canvas_are_refused<C: Cluster>() {
    let relay = Relay::<C>::start_with(&Options {
        max_canvas_bytes: 1_000,
        ..Options::default()
    });
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    let mut ask = |fields: &Value| seat.ask(&mut client, fields);
    assert_eq!(ask(&sized("a", 600)), Ended::Committed(1));
    assert_eq!(
        ask(&sized("b", 400)),
        Ended::Committed(2),
        "it fits exactly"
    );
    let before = seat.snapshot();
    for fields in [
        sized("c", 50),
        sized("b", 401),
        update("a", &json!({"q": 1})),
    ] {
        assert_over(&ask(&fields), 1_000);
    }
    let after = seat.snapshot();
    assert_eq!((after.at, after.objects), (before.at, before.objects));
    // What does not grow goes, and so does what is no object.
    assert_eq!(ask(&sized("b", 400)), Ended::Committed(3));
    assert_eq!(ask(&chat(&"x".repeat(500))), Ended::Committed(4));
    assert_eq!(ask(&update("a", &json!({"p": "y"}))), Ended::Committed(5));
    let objects = seat.snapshot().objects;
    let left = 1_000 - objects.iter().map(|text| text.len()).sum::<usize>();
    assert_over(&ask(&sized("c", left + 1)), 1_000);
    assert_eq!(ask(&sized("c", left)), Ended::Committed(6));
    assert_over(&ask(&sized("d", 50)), 1_000);
    assert_eq!(ask(&delete("b")), Ended::Committed(7));
    assert_over(&ask(&sized("d", 401)), 1_000);
    assert_eq!(ask(&sized("d", 400)), Ended::Committed(8));
    // A refusal is for good.
    assert_duplicate_of(&seat.ask_as(&client, 3, &event("e")), 0);
    // Another canvas has bytes of its own; an emptied one has them back.
    let other = relay.seat(0, "other");
    let mut ben = other.client("ben");
    assert_eq!(other.ask(&mut ben, &sized("a", 1_000)), Ended::Committed(1));
    other.delete();
    assert_eq!(other.ask(&mut ben, &sized("b", 1_000)), Ended::Committed(2));
    assert_over(&other.ask(&mut ben, &sized("c", 50)), 1_000);
}

pub fn the_bytes_of_a_canvas_are_counted_over_all_instances<C: Cluster>() {
    let mut relay = Relay::<C>::start_with(&Options {
        max_canvas_bytes: 1_000,
        ..Options::default()
    });
    let seats = relay.seats("canvas");
    let (mut ada, mut ben) = (seats[0].client("ada"), seats[1].client("ben"));
    assert_eq!(
        seats[0].ask(&mut ada, &sized("a", 600)),
        Ended::Committed(1)
    );
    assert_over(&seats[1].ask(&mut ben, &sized("b", 401)), 1_000);
    assert_eq!(
        seats[1].ask(&mut ben, &sized("b", 300)),
        Ended::Committed(2)
    );
    relay.restart(1);
    let again = relay.seat(1, "canvas");
    let mut cyn = again.client("cyn");
    assert_over(&again.ask(&mut cyn, &sized("c", 101)), 1_000);
    assert_eq!(again.ask(&mut cyn, &sized("c", 100)), Ended::Committed(3));
    assert_eq!(again.ask(&mut cyn, &delete("a")), Ended::Committed(4));
    assert_over(&seats[0].ask(&mut ada, &sized("d", 601)), 1_000);
    assert_eq!(
        seats[0].ask(&mut ada, &sized("d", 600)),
        Ended::Committed(5)
    );
}

pub fn op_numbers_may_be_skipped<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let client = seat.client("author");
    assert_eq!(seat.ask_as(&client, 10, &event("e")), Ended::Committed(1));
    assert_eq!(
        seat.ask_as(&client, 9_007_199_254_740_991, &event("e")),
        Ended::Committed(2)
    );
    assert_eq!(
        status(&seat.ask_as(&client, 11, &event("e"))),
        AckStatus::Dup
    );
    assert_eq!(seat.join(&client), Ok(9_007_199_254_740_991));
}

pub fn later_ops_wait_for_a_refused_one<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let client = seat.client("author");
    assert_eq!(seat.ask_as(&client, 1, &event("e")), Ended::Committed(1));
    let refused = OpEnd::Refused(ErrorCode::Overloaded);
    client.author.ops.ended(2, refused);
    for op in [3, 4, 3] {
        let refusal = seat
            .append_durable(&client, durable(op, &event("e")))
            .expect_err("held");
        assert_eq!(refusal.code, ErrorCode::Overloaded);
        assert!(refusal.retry_after_ms.is_some());
    }
    for op in [2, 3, 4] {
        assert_eq!(seat.ask_as(&client, op, &event("e")), Ended::Committed(op));
    }
}

pub fn a_flood_keeps_its_order<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let client = seat.client("author");
    let sent = CANVAS_QUEUE_ENTRIES as u64 * 2;
    for op in 1..=sent {
        let Err(refusal) = seat.append_durable(&client, durable(op, &event("e"))) else {
            continue;
        };
        assert_eq!(refusal.code, ErrorCode::Overloaded);
        assert!(
            seat.append_durable(&client, durable(op + 1, &event("e")))
                .is_err(),
            "held"
        );
        eventually("the refused op is taken", || {
            seat.append_durable(&client, durable(op, &event("e"))).ok()
        });
    }
    seat.wait_seq(sent);
    assert!(seat.log().iter().all(|message| message.op == message.seq));
}
