//! The state of a canvas: what a snapshot holds, and that snapshot and stream together are what everyone has.

use std::time::Duration;

use scumble::backplane::{Outcome, Snapshot};
use scumble::limits::CHAT_HISTORY;
use scumble::protocol::merge_patch;
use scumble::protocol::server_message::AckStatus;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::harness::{Relay, chat, create, delete, event, eventually, update};
use crate::recorder::{Ended, Message};

fn values(texts: &[impl AsRef<str>]) -> Vec<Value> {
    texts
        .iter()
        .map(|text| serde_json::from_str(text.as_ref()).expect("JSON"))
        .collect()
}

/// What a client has: objects in the order of their creation.
struct Held(Vec<Value>);

impl Held {
    fn from(snapshot: &Snapshot) -> Self {
        Self(values(&snapshot.objects))
    }

    fn apply(&mut self, message: &Message) {
        let json = message.json();
        let id = json["object"]["id"]
            .as_str()
            .or(json["id"].as_str())
            .unwrap_or_default();
        let place = self.0.iter().position(|object| object["id"] == id);
        match (json["type"].as_str().unwrap_or_default(), place) {
            ("object-create", Some(place)) => self.0[place] = json["object"].clone(),
            ("object-create", None) => self.0.push(json["object"].clone()),
            ("object-update", Some(place)) => {
                merge_patch::apply(&mut self.0[place], &json["patch"]);
            }
            ("object-delete", Some(place)) => {
                self.0.remove(place);
            }
            (_, None) if !id.is_empty() => panic!("nothing to change, yet in the log: {json}"),
            _ => {}
        }
    }
}

pub fn a_snapshot_is_not_before_the_head<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    for seq in 1..=30 {
        let id = format!("o{seq}");
        assert_eq!(
            seat.ask(&mut client, &create(&id, &json!({}))),
            Ended::Committed(seq)
        );
        let snapshot = seat.snapshot();
        assert_eq!(
            (snapshot.at.epoch, snapshot.at.seq),
            (seat.opened.head.epoch, seq)
        );
        assert_eq!(snapshot.objects.len() as u64, seq);
    }
}

pub fn a_snapshot_and_the_stream_make_the_state<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let rounds = 60;
    let late: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = seats
            .iter()
            .enumerate()
            .map(|(i, seat)| {
                scope.spawn(move || {
                    let mut client = seat.client(&i.to_string());
                    for round in 0..rounds {
                        // Few ids, so that the writers meet.
                        let id = format!("o{}", round % 7);
                        seat.send(&mut client, &create(&id, &json!({"by": i, "round": round})));
                        seat.send(
                            &mut client,
                            &update(&id, &json!({"x": {"y": round}, "by": null})),
                        );
                        if round % 3 == 0 {
                            seat.send(&mut client, &delete(&id));
                        }
                        seat.ask(&mut client, &event("paced"));
                    }
                })
            })
            .collect();
        let mut late: Vec<Snapshot> = vec![seats[0].snapshot()];
        while writers.iter().any(|writer| !writer.is_finished()) {
            let snapshot = seats[late.len() % seats.len()].snapshot();
            // Enough of them, and not so many that folding them is all the test does.
            if late
                .last()
                .is_none_or(|last| snapshot.at.seq >= last.at.seq + 20)
            {
                late.push(snapshot);
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        late
    });
    let head = relay.seat(0, "canvas").opened.head;
    // Another instance hears of the last ones when it does.
    let seat = seats.last().expect("a seat");
    let at_head = |snapshot: &Snapshot| snapshot.at == head;
    let end = eventually("the last is heard", || {
        Some(seat.snapshot()).filter(at_head)
    });
    let whole = seats[0].read_all(seats[0].opened.head).expect("retained");
    for snapshot in &late {
        let mut held = Held::from(snapshot);
        whole
            .iter()
            .filter(|m| m.seq > snapshot.at.seq)
            .for_each(|m| held.apply(m));
        assert_eq!(held.0, values(&end.objects), "from {}", snapshot.at.seq);
    }
    let mut held = Held(Vec::new());
    whole.iter().for_each(|message| held.apply(message));
    assert_eq!(held.0, values(&end.objects), "from the beginning");
}

pub fn objects_follow_their_messages<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    for fields in [
        create(
            "a",
            &json!({"x": 1, "style": {"fill": "red", "line": {"w": 1}}, "none": null}),
        ),
        create("b", &json!({})),
        create("c", &json!({"old": true})),
        // RFC 7396: null removes, objects merge, arrays and scalars replace.
        update(
            "a",
            &json!({"x": [1, 2], "style": {"fill": null, "line": {"h": 2}}, "new": {"gone": null}}),
        ),
        delete("b"),
        // Replacing keeps the place and nothing else; creating again after a deletion is a new place.
        create("a", &json!({"y": 1.5})),
        update("a", &json!({"z": {"q": 1}})),
        create("b", &json!({"again": true})),
        update("c", &json!({"old": null, "text": "\u{e4}\u{1f600}\"\\"})),
    ] {
        assert!(
            matches!(seat.ask(&mut client, &fields), Ended::Committed(_)),
            "{fields}"
        );
        if client.op == 4 {
            let objects = values(&seat.snapshot().objects);
            let style = json!({"line": {"w": 1, "h": 2}});
            assert_eq!(
                objects[0],
                json!({"id": "a", "kind": "rect", "x": [1, 2], "style": style, "none": null, "new": {}})
            );
        }
    }
    assert_eq!(
        values(&seat.snapshot().objects),
        [
            json!({"id": "a", "kind": "rect", "y": 1.5, "z": {"q": 1}}),
            json!({"id": "c", "kind": "rect", "text": "\u{e4}\u{1f600}\"\\"}),
            json!({"id": "b", "kind": "rect", "again": true}),
        ]
    );
}

fn ignored() -> Ended {
    Ended::Outcome(Outcome::Ack {
        seq: 0,
        status: AckStatus::Ignored,
    })
}

pub fn logs_follow_their_messages<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let (first, last) = (&seats[0], seats.last().expect("a seat"));
    let (mut ada, mut ben) = (first.client("ada"), last.client("ben"));
    let append = |id: &str, data: &str| json!({"type": "log-append", "id": id, "data": data});
    let compact = |id: &str, upto: u64| json!({"type": "log-compact", "id": id, "upto": upto, "data": "/w=="});
    assert_eq!(first.ask(&mut ada, &append("a", "AA==")), ignored());
    for message in [
        create("a", &json!({})),
        append("a", "AA=="),
        append("a", "AQ=="),
    ] {
        first.ask(&mut ada, &message);
    }
    last.wait_seq(3);
    for message in [
        append("a", "Ag=="),
        create("b", &json!({})),
        append("b", "AA=="),
    ] {
        last.ask(&mut ben, &message);
    }
    first.wait_seq(6);
    assert_eq!(first.ask(&mut ada, &compact("a", 3)), Ended::Committed(7));
    last.wait_seq(7);
    assert_eq!(last.ask(&mut ben, &compact("a", 2)), ignored());
    assert_eq!(last.ask(&mut ben, &compact("b", 5)), ignored());
    assert_eq!(last.ask(&mut ben, &delete("b")), Ended::Committed(8));
    let logs = |snapshot: &Snapshot| -> Vec<(String, u64, String)> {
        let entries = snapshot.entries().map(|(_, entry)| entry);
        entries
            .map(|(id, seq, data)| (id.to_owned(), seq, data.to_owned()))
            .collect()
    };
    let expected = [(3, "/w=="), (4, "Ag==")];
    let expected = expected.map(|(seq, data)| ("a".to_owned(), seq, data.to_owned()));
    for seat in &seats {
        seat.wait_seq(8);
        let snapshot = seat.snapshot();
        assert_eq!(logs(&snapshot), expected);
        let since = snapshot.since(6).expect("known");
        assert_eq!((since.compacted, since.deleted), (vec!["a"], vec!["b"]));
    }
    first.delete();
    assert_eq!(first.snapshot().logs, []);
}

pub fn a_chat_message_names_its_author<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let mut client = seats[0].client("author");
    seats[0].send(&mut client, &event("first"));
    seats[0].send(
        &mut client,
        &json!({"type": "chat", "text": "hi \"you\"", "reply_to": 1}),
    );
    let mut expected = json!({
        "seq": 2, "client": "client-author", "op": 2, "text": "hi \"you\"", "reply_to": 1,
        "user": {"name": "author"},
    });
    for seat in &seats {
        seat.wait_seq(2);
        let mut frame = seat.log()[1].json();
        expected["at"] = frame["at"].clone();
        assert_eq!(values(&seat.snapshot().chat), [expected.clone()]);
        frame
            .as_object_mut()
            .and_then(|f| f.remove("type"))
            .expect("a type");
        assert_eq!(frame, expected);
    }
}

pub fn the_chat_history_is_bounded<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    let kept = u64::from(CHAT_HISTORY);
    for i in 1..=kept + 20 {
        seat.send(&mut client, &chat(&format!("message {i}")));
    }
    seat.wait_seq(kept + 20);
    let chat = values(&seat.snapshot().chat);
    let seqs: Vec<_> = chat
        .iter()
        .filter_map(|entry| entry["seq"].as_u64())
        .collect();
    assert_eq!(
        seqs,
        (21..=kept + 20).collect::<Vec<_>>(),
        "the latest, in order"
    );
}
