//! Contract 1 and 2: committed before delivered, delivered or answered, and one order for everyone.

use std::collections::BTreeMap;

use scumble::backplane::Outcome;
use scumble::protocol::ids::Position;
use scumble::protocol::server_message::AckStatus;
use serde_json::json;

use crate::cluster::Cluster;
use crate::harness::{Relay, Seat, chat, create, delete, event, eventually, update};
use crate::recorder::{Ended, Message};

const WRITERS_PER_INSTANCE: usize = 2;
const OPS: u64 = 200;

/// Has clients of every instance write at once; gives what the first instance saw.
fn write_everywhere(seats: &[Seat]) -> u64 {
    std::thread::scope(|scope| {
        for (i, seat) in seats.iter().enumerate() {
            for writer in 0..WRITERS_PER_INSTANCE {
                scope.spawn(move || {
                    let mut client = seat.client(&format!("{i}-{writer}"));
                    for _ in 0..OPS {
                        seat.send(&mut client, &event("e"));
                    }
                });
            }
        }
    });
    OPS * (WRITERS_PER_INSTANCE * seats.len()) as u64
}

pub fn all_instances_see_one_contiguous_order<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let sent = write_everywhere(&seats);
    let logs: Vec<Vec<Message>> = seats
        .iter()
        .map(|seat| {
            seat.wait_seq(sent);
            seat.log()
        })
        .collect();
    assert_eq!(logs[0].len() as u64, sent);
    assert!(
        logs.iter().all(|log| *log == logs[0]),
        "the same frames in the same order"
    );
    assert_eq!(
        seats[0]
            .read_all(seats[0].opened.head)
            .expect("nothing expired"),
        logs[0]
    );

    let mut last_ops = BTreeMap::new();
    for message in &logs[0] {
        let last = last_ops.insert(message.origin, message.op).unwrap_or(0);
        assert_eq!(message.op, last + 1, "an author's own order");
    }
    assert_eq!(last_ops.len(), WRITERS_PER_INSTANCE * seats.len());
}

pub fn an_authors_entries_keep_their_order<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let other = relay.seat(1, "canvas");
    let seat = if relay.len() == 1 { &other } else { &seat };
    let mut client = seat.client("author");
    let _ = seat.join(&client);
    for round in 0..100 {
        seat.send(&mut client, &create(&format!("o{round}"), &json!({})));
        seat.send(
            &mut client,
            &update(&format!("o{round}"), &json!({"x": round})),
        );
        seat.set_state(&client, &json!({"round": round}));
        seat.send(&mut client, &chat("text"));
        seat.send(&mut client, &delete(&format!("o{round}")));
    }
    other.wait_seq(400);
    let ops: Vec<u64> = other.log().iter().map(|message| message.op).collect();
    assert_eq!(ops, (1..=400).collect::<Vec<_>>());
    let last = json!({"round": 99}).to_string();
    eventually("the last state is told", || {
        let (_, table) = other.table();
        let member = table.get(&client.author.client)?;
        (member.state.as_deref() == Some(&last)).then_some(())
    });
}

pub fn canvases_are_numbered_apart<C: Cluster>() {
    let relay = Relay::<C>::start();
    let (one, two) = (relay.seat(0, "canvas-one"), relay.seat(0, "canvas-two"));
    assert_ne!(one.opened.head.epoch, two.opened.head.epoch);
    let (mut a, mut b) = (one.client("a"), two.client("b"));
    for _ in 0..50 {
        one.send(&mut a, &event("one"));
        two.send(&mut b, &event("two"));
    }
    for (seat, name) in [(&one, "one"), (&two, "two")] {
        seat.wait_seq(50);
        let log = seat.log();
        assert_eq!(log.len(), 50);
        assert!(log.iter().all(|message| message.json()["event"] == name));
    }
}

pub fn a_frame_says_what_was_sent<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let mut client = seats[0].client("author");
    seats[0].send(&mut client, &event("first"));
    seats[0].send(
        &mut client,
        &create("o", &json!({"x": 1.5, "text": "\u{e4}\"\n"})),
    );
    for seat in &seats {
        seat.wait_seq(2);
        let log = seat.log();
        assert_eq!(log[1].origin, client.author.conn);
        let mut frame = log[1].json();
        let at = frame
            .as_object_mut()
            .and_then(|f| f.remove("at"))
            .expect("at");
        assert!(
            at.as_i64().expect("a time") > 1_600_000_000_000,
            "ms since the epoch: {at}"
        );
        let object = json!({"id": "o", "kind": "rect", "x": 1.5, "text": "\u{e4}\"\n"});
        assert_eq!(
            frame,
            json!({"type": "object-create", "seq": 2, "client": "client-author", "op": 2, "object": object})
        );
    }
}

pub fn every_entry_is_delivered_or_answered_once<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let mut clients: Vec<_> = seats
        .iter()
        .enumerate()
        .map(|(i, seat)| seat.client(&i.to_string()))
        .collect();
    // An ignored op, a committed one, a duplicate of it, and so on.
    for _ in 0..50 {
        for (seat, client) in seats.iter().zip(&mut clients) {
            seat.send(client, &delete("nothing"));
            let op = seat.send(client, &event("e"));
            seat.send_as(client, op, &event("e"));
        }
    }
    for (seat, client) in seats.iter().zip(&clients) {
        // The author's order holds for answers too: with the last one all are there.
        assert!(matches!(
            seat.ask_as(client, client.op + 1, &event("last")),
            Ended::Committed(_)
        ));
        for op in 1..=client.op {
            let key = (client.author.conn, op);
            let mut ends = seat.recorder.look(|seen| seen.ended[&key].clone());
            // Only the log has an order; an answer beside it may come first.
            ends.sort_by_key(|end| matches!(end, Ended::Outcome(_)));
            let seq = match &ends[0] {
                Ended::Committed(seq) => *seq,
                Ended::Outcome(_) => 0,
            };
            let acked = |seq, status| Ended::Outcome(Outcome::Ack { seq, status });
            if op % 2 == 1 {
                assert_eq!(ends, [acked(0, AckStatus::Ignored)], "op {op}");
            } else {
                assert_eq!(ends.len(), 2, "op {op}");
                assert!(seq > 0, "op {op}: {ends:?}");
                let duplicate = [acked(seq, AckStatus::Dup), acked(0, AckStatus::Dup)];
                assert!(duplicate.contains(&ends[1]), "op {op}: {ends:?}");
            }
        }
    }
}

pub fn what_is_delivered_is_committed<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let mut client = seats[0].client("author");
    for seq in 1..=20 {
        seats[0].send(&mut client, &event("e"));
        for seat in &seats {
            seat.wait_seq(seq);
            for reader in &seats {
                if C::READS_WHAT_IT_HEARD {
                    reader.wait_seq(seq);
                }
                let before = Position {
                    seq: seq - 1,
                    ..seat.opened.head
                };
                assert_eq!(
                    reader.read_all(before).expect("retained").len(),
                    1,
                    "message {seq}"
                );
                assert!(reader.snapshot().at.seq >= seq);
            }
        }
    }
}
