//! Contract 3 to 5: open and then read, losing and reading again, and what a position is good for.

use std::time::Duration;

use scumble::backplane::{Read, Sink};
use scumble::protocol::ids::{Epoch, Position};
use serde_json::json;

use crate::cluster::{Cluster, Options};
use crate::harness::{Relay, Seat, create, event, eventually};
use crate::recorder::{Message, Recorder, messages};

pub fn after_open_nothing_is_missed<C: Cluster>() {
    let relay = Relay::<C>::start();
    let writing = relay.seat(0, "canvas");
    let sent = 600;
    let late: Vec<Seat> = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut client = writing.client("author");
            for n in 0..sent {
                writing.send(&mut client, &event("e"));
                if n % 10 == 0 {
                    // Slow enough for others to open in between.
                    std::thread::park_timeout(Duration::from_micros(200));
                }
            }
        });
        let mut late = Vec::new();
        while !writer.is_finished() || late.len() < 5 {
            late.push(relay.seat(1, "canvas"));
            std::thread::park_timeout(Duration::from_millis(1));
        }
        late
    });
    let whole = eventually("all of it is committed", || {
        let whole = writing.read_all(writing.opened.head).expect("retained");
        (whole.len() == sent).then_some(whole)
    });
    for (i, seat) in late.iter().enumerate() {
        if i + 1 == late.len() {
            let rest = whole.len() as u64;
            if seat.opened.head.seq < rest {
                seat.wait_seq(rest);
            }
            assert_eq!(seat.opened.head.seq + seat.log().len() as u64, rest);
        }
        // Everyone else was replaced at some moment: until then it went without a gap.
        let first = usize::try_from(seat.opened.head.seq).expect("small");
        let log = seat.log();
        assert_eq!(log, whole[first..first + log.len()]);
    }
}

pub fn a_later_sink_replaces_an_earlier_one<C: Cluster>() {
    let relay = Relay::<C>::start();
    let first = relay.seat(0, "canvas");
    let second = relay.seat(0, "canvas");
    let sink: std::sync::Arc<dyn Sink> = first.recorder.clone();
    // Closing what is no longer open must not close what is.
    first.backplane.close(first.canvas(), &sink);
    let mut client = second.client("author");
    second.send(&mut client, &event("e"));
    second.wait_seq(1);
    assert!(first.log().is_empty());

    let sink: std::sync::Arc<dyn Sink> = second.recorder.clone();
    second.backplane.close(second.canvas(), &sink);
    let third = relay.seat(0, "canvas");
    assert_eq!(
        third.opened.head,
        Position {
            seq: 1,
            ..second.opened.head
        }
    );
    third.send(&mut client, &event("e"));
    third.wait_seq(2);
    assert_eq!(second.log().len(), 1);
}

pub fn read_fills_what_a_sink_lost<C: Cluster>() {
    let relay = Relay::<C>::start();
    let lossy = relay.seat_with(0, "canvas", Recorder::lossy());
    let mut client = lossy.client("author");
    for _ in 0..50 {
        // One at a time, so that there are many batches to lose.
        let head = lossy.read_all(lossy.opened.head).expect("retained").len();
        lossy.send(&mut client, &event("e"));
        eventually("the message is committed", || {
            (lossy.read_all(lossy.opened.head)?.len() > head).then_some(())
        });
    }
    let whole = lossy.read_all(lossy.opened.head).expect("retained");
    let heard = lossy.recorder.look(|seen| seen.log.clone());
    assert!(heard.len() < whole.len(), "something was lost");
    let mut held: Vec<Message> = Vec::new();
    for message in heard {
        let at = held.last().map_or(lossy.opened.head, position);
        if message.seq > at.seq + 1 {
            let missing = lossy.read_all(at).expect("retained");
            held.extend(missing.into_iter().filter(|m| m.seq < message.seq));
        }
        held.push(message);
    }
    let at = held.last().map_or(lossy.opened.head, position);
    held.extend(lossy.read_all(at).expect("retained"));
    assert_eq!(held, whole);
}

fn position(message: &Message) -> Position {
    Position {
        epoch: message.epoch,
        seq: message.seq,
    }
}

pub fn a_read_keeps_to_its_budget<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    let pad = "x".repeat(1_000);
    for i in 0..40 {
        seat.send(
            &mut client,
            &create(&format!("o{i}"), &json!({ "pad": pad })),
        );
    }
    seat.wait_seq(40);
    for budget in [0, 1, 5_000, 20_000] {
        let Read::Batch(Some(batch)) = seat.read(seat.opened.head, budget) else {
            panic!("nothing within {budget}");
        };
        let largest = 1_300;
        assert!(
            batch.frames.len() <= budget.max(largest) + largest,
            "about {budget} bytes"
        );
        assert_eq!(batch.first_seq, 1);
        // A budget that holds several is used for several.
        assert!(messages(&batch).len() >= budget / 2_600, "{budget}");
    }
    assert_eq!(
        seat.read_all(seat.opened.head).expect("retained"),
        seat.log()
    );
}

pub fn a_position_that_never_was_is_gone<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    seat.ask(&mut client, &event("e"));
    let head = Position {
        seq: 1,
        ..seat.opened.head
    };
    assert!(matches!(seat.read(head, 1_000), Read::Batch(None)));
    assert!(matches!(
        seat.read(Position { seq: 2, ..head }, 1_000),
        Read::Gone
    ));
    for seq in [0, 1] {
        let elsewhere = Position {
            epoch: Epoch(head.epoch.0 ^ 1),
            seq,
        };
        assert!(matches!(seat.read(elsewhere, 1_000), Read::Gone));
    }
}

fn short_lived() -> Options {
    Options {
        message_ttl: Duration::from_millis(400),
        ..Options::default()
    }
}

pub fn an_expired_position_is_gone<C: Cluster>() {
    let relay = Relay::<C>::start_with(&short_lived());
    let seats = relay.seats("canvas");
    let mut client = seats[0].client("author");
    for _ in 0..3 {
        seats[0].ask(&mut client, &event("old"));
    }
    for seat in &seats {
        seat.wait_seq(3);
        for seq in 0..3 {
            let before = Position {
                seq,
                ..seat.opened.head
            };
            eventually("the position is gone", || {
                seat.read_all(before).is_none().then_some(())
            });
        }
    }
    // A message behind the expired ones can be read from right before it, not from further back.
    let young = eventually("a message is read before it expires", || {
        let before = Position {
            seq: client.op,
            ..seats[0].opened.head
        };
        seats[0].ask(&mut client, &event("young"));
        seats[0].read_all(before)
    });
    assert_eq!(young.len(), 1);
    assert_eq!(young[0].json()["event"], "young");
    assert!(
        seats[0]
            .read_all(Position {
                seq: 2,
                ..seats[0].opened.head
            })
            .is_none()
    );
}

pub fn a_quiet_canvas_is_recoverable<C: Cluster>() {
    let relay = Relay::<C>::start_with(&short_lived());
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    for _ in 0..3 {
        seat.ask(&mut client, &event("e"));
    }
    eventually("everything expires", || {
        seat.read_all(seat.opened.head).is_none().then_some(())
    });
    let sink: std::sync::Arc<dyn Sink> = seat.recorder.clone();
    seat.backplane.close(seat.canvas(), &sink);
    let head = Position {
        seq: 3,
        ..seat.opened.head
    };
    for instance in 0..relay.len() {
        let again = relay.seat(instance, "canvas");
        assert_eq!(again.opened.head, head);
        assert!(matches!(again.read(head, 1_000), Read::Batch(None)));
        assert_eq!(again.snapshot().at, head);
    }
    let again = relay.seat(1, "canvas");
    again.send(&mut client, &event("e"));
    again.wait_seq(4);
    assert_eq!(again.log().len(), 1);
}
