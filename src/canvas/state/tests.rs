//! Tests that need a canvas without a clock: exact times, and a client that is forgotten after days.

use std::sync::Arc;

use super::*;
use crate::backplane::{Author, End, Outcome, PresenceChange, Refusal};
use crate::canvas::bounds::ObjectBounds;
use crate::limits::CLIENTS_REMEMBERED;
use crate::protocol::client_message::{ClientMessage, Durable, parse};
use crate::protocol::ids::{ConnId, InstanceNumber};
use crate::protocol::server_message::{AckStatus, LeaveReason};

mod bytes;
mod golden;
mod replicas;

const RULES: Rules = Rules {
    message_ttl_ms: 1_000,
    presence_grace_ms: 500,
    bounds: ObjectBounds {
        max_objects: 3,
        max_bytes: 1 << 20,
    },
};

fn canvas() -> CanvasState {
    CanvasState::new(Epoch(7), RULES)
}

/// Another that starts from its bytes, and from those of its retained messages.
fn copy_of(canvas: &CanvasState, rules: Rules) -> CanvasState {
    let mut copy = CanvasState::decode(&canvas.freeze().encode(), rules).expect("a state");
    let (mut chunks, mut seq) = (Vec::new(), 0);
    while let Some((last_seq, chunk)) = canvas.rows_after(seq, 200) {
        chunks.push(chunk);
        seq = last_seq;
    }
    assert_eq!(copy.adopt_rows(&chunks), canvas.retained() > 0);
    copy
}

fn author(client: &str, conn: u64, subject: &str) -> Arc<Author> {
    let client = ClientId::parse(client).expect("a client id");
    Arc::new(Author::new(
        ConnId::new(InstanceNumber(1), conn),
        client,
        "{}".to_owned(),
        subject.to_owned(),
    ))
}

fn say(canvas: &mut CanvasState, author: &Arc<Author>, text: &str, now_ms: i64) -> Delivery {
    let Ok(ClientMessage::Durable(message)) = parse(text) else {
        panic!("{text}")
    };
    let mut out = Vec::new();
    canvas.apply(
        InstanceNumber(1),
        Entry::Durable {
            author: Arc::clone(author),
            message,
        },
        now_ms,
        &mut out,
    );
    out.pop().expect("an answer")
}

fn event(canvas: &mut CanvasState, author: &Arc<Author>, op: u64, now_ms: i64) -> Delivery {
    say(
        canvas,
        author,
        &format!(r#"{{"type":"broadcast","op":{op},"event":"e"}}"#),
        now_ms,
    )
}

fn join(canvas: &mut CanvasState, author: &Arc<Author>, now_ms: i64) -> Result<u64, Refusal> {
    let mut out = Vec::new();
    canvas.apply(
        InstanceNumber(1),
        Entry::Join {
            author: Arc::clone(author),
        },
        now_ms,
        &mut out,
    );
    let Some(Delivery::Joined { acked_op, .. }) = out.pop() else {
        panic!("no answer")
    };
    acked_op
}

fn tick(canvas: &mut CanvasState, now_ms: i64) -> Vec<Delivery> {
    let mut out = Vec::new();
    canvas.tick(now_ms, &mut out);
    out
}

fn ack(delivery: Delivery) -> (u64, AckStatus) {
    match delivery {
        Delivery::Outcome {
            outcome: Outcome::Ack { seq, status },
            ..
        } => (seq, status),
        other => panic!("{other:?}"),
    }
}

/// Another instance has kept messages since the snapshot, in chunks that end wherever they do.
#[test]
fn messages_that_were_kept_after_a_snapshot_do_not_keep_it_from_those_before() {
    let (mut canvas, author) = (canvas(), author("aaaaaaaa", 1, ""));
    for op in 1..=5 {
        event(&mut canvas, &author, op, 10_000);
    }
    let snapshot = canvas.freeze().encode();
    for op in 6..=12 {
        event(&mut canvas, &author, op, 10_000);
    }
    for size in [1, 200, 400, usize::MAX] {
        let (mut chunks, mut seq) = (Vec::new(), 0);
        while let Some((last_seq, chunk)) = canvas.rows_after(seq, size) {
            chunks.push(chunk);
            seq = last_seq;
        }
        let mut copy = CanvasState::decode(&snapshot, RULES).expect("a state");
        assert!(copy.adopt_rows(&chunks), "{} chunks", chunks.len());
        assert_eq!(copy.retained(), 5);
    }
}

#[test]
fn a_message_is_retained_for_the_ttl_and_its_place_is_known_as_long() {
    let (mut canvas, author) = (canvas(), author("aaaaaaaa", 1, ""));
    event(&mut canvas, &author, 1, 10_000);
    event(&mut canvas, &author, 2, 10_500);
    let start = Position {
        epoch: Epoch(7),
        seq: 0,
    };

    tick(&mut canvas, 10_999);
    assert!(matches!(canvas.read(start, 9_999), Read::Batch(Some(run)) if run.marks.len() == 2));
    assert_eq!(
        ack(event(&mut canvas, &author, 1, 10_999)),
        (1, AckStatus::Dup)
    );

    tick(&mut canvas, 11_000);
    assert!(matches!(canvas.read(start, 9_999), Read::Gone));
    assert_eq!(
        ack(event(&mut canvas, &author, 1, 11_000)),
        (0, AckStatus::Dup)
    );
    assert_eq!(
        ack(event(&mut canvas, &author, 2, 11_000)),
        (2, AckStatus::Dup)
    );

    tick(&mut canvas, 11_500);
    assert!(canvas.is_settled());
    assert_eq!(canvas.head().seq, 2);
    assert!(matches!(
        canvas.read(canvas.head(), 9_999),
        Read::Batch(None)
    ));
}

#[test]
fn a_lost_client_is_gone_when_the_grace_ends_and_not_before() {
    let (mut canvas, author) = (canvas(), author("aaaaaaaa", 1, ""));
    assert_eq!(join(&mut canvas, &author, 0), Ok(0));
    let leave = Entry::Leave {
        author: Arc::clone(&author),
        end: End::Lost,
    };
    canvas.apply(InstanceNumber(1), leave, 1_000, &mut Vec::new());
    assert!(!canvas.is_settled());
    assert!(tick(&mut canvas, 1_499).is_empty());
    let out = tick(&mut canvas, 1_500);
    let [Delivery::Presence(event)] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!(event.version, 3);
    assert_eq!(
        event.change,
        PresenceChange::Gone {
            client: author.client.clone(),
            reason: LeaveReason::Timeout
        }
    );
    assert!(canvas.is_settled());
}

#[test]
fn a_client_that_came_back_is_not_removed_by_the_grace_of_its_absence() {
    let (mut canvas, first) = (canvas(), author("aaaaaaaa", 1, ""));
    let second = author("aaaaaaaa", 2, "");
    let _ = join(&mut canvas, &first, 0);
    let leave = Entry::Leave {
        author: first,
        end: End::Lost,
    };
    canvas.apply(InstanceNumber(1), leave, 1_000, &mut Vec::new());
    let _ = join(&mut canvas, &second, 1_200);
    assert!(tick(&mut canvas, 99_999).is_empty());
    assert_eq!(canvas.members().members.len(), 1);
}

#[test]
fn the_log_is_bounded_in_bytes_whatever_the_ttl() {
    let (mut canvas, author) = (canvas(), author("aaaaaaaa", 1, ""));
    let data = "x".repeat(64 * 1024);
    let sent = 2 * crate::limits::MEMORY_LOG_BYTES / data.len();
    for op in 1..=sent {
        let text = format!(r#"{{"type":"broadcast","op":{op},"event":"e","data":"{data}"}}"#);
        assert!(matches!(
            say(&mut canvas, &author, &text, 0),
            Delivery::Log(_)
        ));
    }
    let kept = canvas.retained() * data.len();
    // One message may lie over the bound until the next one comes.
    assert!(
        kept <= crate::limits::MEMORY_LOG_BYTES + data.len(),
        "{kept}"
    );
    assert!(kept >= crate::limits::MEMORY_LOG_BYTES / 2, "{kept}");
    assert_eq!(canvas.head().seq, sent as u64);
}

#[test]
fn a_client_is_forgotten_days_after_its_last_use_unless_it_is_here() {
    let (mut canvas, here) = (canvas(), author("aaaaaaaa", 1, "alice"));
    let away = author("bbbbbbbb", 2, "bob");
    let _ = join(&mut canvas, &here, 0);
    event(&mut canvas, &here, 5, 0);
    event(&mut canvas, &away, 5, 0);
    let days = i64::try_from(CLIENT_MEMORY.as_millis()).expect("fits");
    tick(&mut canvas, days - 1);
    assert_eq!(
        ack(event(&mut canvas, &away, 5, days - 1)),
        (2, AckStatus::Dup)
    );
    tick(&mut canvas, 3 * days);
    assert_eq!(join(&mut canvas, &away, 3 * days), Ok(0));
    assert_eq!(join(&mut canvas, &here, 3 * days), Ok(5));
}

#[test]
fn a_refused_message_leaves_nothing_behind_but_its_number() {
    let (mut canvas, author) = (canvas(), author("aaaaaaaa", 1, ""));
    for op in 1..=4 {
        let text =
            format!(r#"{{"type":"object-create","op":{op},"object":{{"id":"o{op}","kind":"k"}}}}"#);
        let answer = say(&mut canvas, &author, &text, 0);
        assert_eq!(matches!(answer, Delivery::Log(_)), op <= 3, "{answer:?}");
    }
    assert_eq!(canvas.head().seq, 3);
    assert_eq!(join(&mut canvas, &author, 0), Ok(4));
    assert_eq!(canvas.snapshot().objects.len(), 3);
}

/// Redis was started anew and may have lost what clients were told: none may go on from there, and nothing that is there goes.
#[test]
fn a_canvas_that_is_renumbered_keeps_all_but_its_log() {
    let (mut canvas, ada) = (canvas(), author("aaaaaaaa", 1, ""));
    join(&mut canvas, &ada, 0).expect("a place");
    let object = r#"{"type":"object-create","op":1,"object":{"id":"o","kind":"k"}}"#;
    say(&mut canvas, &ada, object, 0);
    say(
        &mut canvas,
        &ada,
        r#"{"type":"chat","op":2,"text":"hi"}"#,
        0,
    );
    let (before, members) = (canvas.snapshot(), canvas.members());
    let mut out = Vec::new();
    canvas.renumber(Epoch(8), &mut out);
    let [Delivery::Reset { epoch, seq }] = out[..] else {
        panic!("{out:?}")
    };
    assert_eq!((epoch, seq), (Epoch(8), 2));
    let after = canvas.snapshot();
    assert_eq!((after.objects, after.chat), (before.objects, before.chat));
    assert_eq!(canvas.members(), members);
    assert!(matches!(
        canvas.read(before.at, usize::MAX),
        crate::backplane::Read::Gone
    ));
    // What was sent twice is still known.
    let again = say(&mut canvas, &ada, object, 0);
    assert!(
        matches!(
            &again,
            Delivery::Outcome {
                outcome: Outcome::Ack {
                    seq: 0,
                    status: AckStatus::Dup
                },
                ..
            }
        ),
        "{again:?}"
    );
}

#[test]
fn a_canvas_takes_so_many_clients_and_then_only_those_that_it_remembers() {
    let mut canvas = canvas();
    let name = |n: usize| ClientId::parse(&format!("client-{n}")).expect("a client id");
    for n in 0..CLIENTS_REMEMBERED {
        assert!(canvas.room_for_client(&name(n)).is_ok());
        canvas.tables.clients.update(&name(n), |_| ());
    }
    assert!(canvas.room_for_client(&name(7)).is_ok());
    let refusal = canvas.room_for_client(&name(CLIENTS_REMEMBERED));
    assert!(refusal.is_err_and(|refusal| refusal.retry_after_ms.is_some()));
}
