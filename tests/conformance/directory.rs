//! Those who are not in a room: they look canvases up, publish, delete, and have connections closed.

use scumble::backplane::{Outcome, Post, Read};
use scumble::protocol::ids::Position;
use scumble::protocol::server_message::{AckStatus, ErrorCode};
use serde_json::json;

use crate::cluster::{Cluster, Options};
use crate::harness::{self, Relay, chat, eventually};

fn create(id: &str) -> serde_json::Value {
    harness::create(id, &json!({}))
}

fn ok(seq: u64) -> Outcome {
    let status = AckStatus::Ok;
    Outcome::Ack { seq, status }
}

fn dup(seq: u64) -> Outcome {
    let status = AckStatus::Dup;
    Outcome::Ack { seq, status }
}

pub fn a_canvas_is_found_without_being_opened<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "board");
    assert_eq!(seat.find("never"), None);
    assert!(seat.active("", 10).is_empty(), "nobody is anywhere");
    let mut ada = seat.client("ada");
    seat.join(&ada).expect("she may");
    seat.ask(&mut ada, &create("a"));
    seat.ask(&mut ada, &create("b"));
    for n in 0..relay.len() {
        let found = relay.seat(n, "other").find("board").expect("it is there");
        assert_eq!((found.head.seq, found.objects, found.members), (2, 2, 1));
        assert_eq!(found.head.epoch, seat.opened.head.epoch);
    }
    for name in ["attic", "cellar"] {
        let other = relay.seat(1, name);
        other.join(&other.client("ben")).expect("he may");
    }
    assert_eq!(seat.active("", 10), ["attic", "board", "cellar"]);
    assert_eq!(seat.active("", 1), ["attic"]);
    assert_eq!(seat.active("attic", 10), ["board", "cellar"]);
    let created = seat.create("new");
    assert_eq!(seat.find("new").expect("it is there").canvas, created);
    assert_eq!(seat.create("new"), created);
}

pub fn what_is_published_takes_its_place<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("board");
    let mut ada = seats[0].client("ada");
    seats[0].ask(&mut ada, &chat("first"));
    let robot = seats[0].client("robot");
    let published = seats[0].publish(seats[0].canvas(), &robot, 7, &create("a"));
    assert_eq!(published, ok(2));
    seats[0].ask(&mut ada, &chat("third"));
    for seat in &seats {
        seat.wait_seq(3);
        let second = &seat.log()[1];
        assert_eq!(
            (second.seq, second.op, second.origin),
            (2, 7, robot.author.conn)
        );
        assert_eq!(second.json()["client"], "client-robot");
    }
    assert_eq!(seats[0].snapshot().objects.len(), 1);
    // Nobody has this one open.
    let (canvas, robot) = (seats[0].create("empty"), seats[0].client("robot-2"));
    assert_eq!(seats[0].publish(&canvas, &robot, 1, &create("a")), ok(1));
    let found = seats[0].find("empty").expect("it is there");
    assert_eq!((found.head.seq, found.objects, found.members), (1, 1, 0));
}

pub fn what_is_published_twice_is_a_duplicate<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("board");
    for (n, seat) in seats.iter().enumerate() {
        let robot = seat.client("robot");
        let published = seat.publish(seat.canvas(), &robot, 1, &chat("once"));
        assert_eq!(published, if n == 0 { ok(1) } else { dup(1) });
    }
    let again = seats[0].client("robot");
    assert_eq!(
        seats[0].publish(seats[0].canvas(), &again, 1, &chat("once")),
        dup(1)
    );
    assert_eq!(seats[0].find("board").expect("it is there").head.seq, 1);
}

pub fn what_cannot_be_published_says_why<C: Cluster>() {
    let options = Options {
        max_objects: 1,
        ..Options::default()
    };
    let relay = Relay::<C>::start_with(&options);
    let seat = relay.seat(0, "board");
    let robot = seat.client("robot");
    let publish = |op, fields| seat.publish(seat.canvas(), &robot, op, &fields);
    assert_eq!(publish(1, create("a")), ok(1));
    let Outcome::Refused(refusal) = publish(2, create("b")) else {
        panic!("one object too many")
    };
    assert_eq!(refusal.code, ErrorCode::TooLarge);
    let ignored = Outcome::Ack {
        seq: 0,
        status: AckStatus::Ignored,
    };
    assert_eq!(
        publish(3, json!({"type": "object-delete", "id": "z"})),
        ignored
    );
}

pub fn a_published_op_belongs_to_its_subject<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "board");
    let robot = seat.client_of("robot", "the server");
    assert_eq!(seat.publish(seat.canvas(), &robot, 1, &chat("mine")), ok(1));
    let eve = seat.client_of("robot", "eve");
    assert_eq!(
        seat.join(&eve).expect_err("it is not hers").code,
        ErrorCode::Forbidden
    );
}

/// Who never joined is looked at where its message is committed: neither does it take numbers, nor is it told what became of them.
pub fn an_op_of_somebody_elses_client_is_refused<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "board");
    let robot = seat.client_of("robot", "the server");
    assert_eq!(seat.publish(seat.canvas(), &robot, 1, &chat("mine")), ok(1));
    let eve = seat.client_of("robot", "eve");
    for op in [1, 2] {
        match seat.publish(seat.canvas(), &eve, op, &chat("evil")) {
            Outcome::Refused(refusal) => assert_eq!(refusal.code, ErrorCode::Forbidden),
            other => panic!("op {op}: {other:?}"),
        }
    }
    let robot = seat.client_of("robot", "the server");
    assert_eq!(seat.publish(seat.canvas(), &robot, 2, &chat("mine")), ok(2));
}

pub fn a_deleted_canvas_begins_anew<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("board");
    let mut ada = seats[0].client("ada");
    seats[0].join(&ada).expect("she may");
    for n in 0..150 {
        seats[0].send(&mut ada, &create(&format!("o{n}")));
    }
    seats[0].send(&mut ada, &chat("soon gone"));
    seats.iter().for_each(|seat| seat.wait_seq(151));
    let before = seats[0].opened.head;
    let head = seats[0].delete();
    assert_eq!(head.seq, 151, "the numbers go on");
    assert_ne!(head.epoch, before.epoch);
    for seat in &seats {
        let told = seat.recorder.wait("the reset", |seen| seen.reset_to);
        assert_eq!(told, head);
        let snapshot = seat.snapshot();
        assert_eq!(
            (snapshot.at, snapshot.objects.len(), snapshot.chat.len()),
            (head, 0, 0)
        );
        assert_eq!(seat.members().1.len(), 1, "members stay");
        // What was said before is not to be had under any name.
        let (old, new) = (before.epoch, head.epoch);
        for (epoch, seq) in [
            (old, 0),
            (old, 151),
            (new, 0),
            (new, 63),
            (new, 100),
            (new, 150),
        ] {
            let read = seat.read(Position { epoch, seq }, 4_096);
            assert!(matches!(read, Read::Gone), "{epoch} {seq}: {read:?}");
        }
        assert!(matches!(seat.read(head, 4_096), Read::Batch(None)));
    }
    assert_eq!(seats[0].find("board").expect("it is there").objects, 0);
    // Numbers go on for the canvas and for its clients, in the new epoch.
    assert_eq!(
        seats[0].ask_as(&ada, 151, &chat("soon gone")),
        crate::recorder::Ended::Outcome(dup(0))
    );
    for n in 0..70 {
        seats[0].send(&mut ada, &create(&format!("n{n}")));
    }
    for seat in &seats {
        seat.wait_seq(221);
        let after = seat.recorder.look(|seen| seen.log[151..].to_vec());
        assert!(after.iter().all(|message| message.epoch == head.epoch));
        assert_eq!(seat.read_all(head).map(|log| log.len()), Some(70));
        for seq in [0, 100, 150] {
            let epoch = head.epoch;
            assert!(
                matches!(seat.read(Position { epoch, seq }, 4_096), Read::Gone),
                "{seq}"
            );
        }
    }
    let late = relay.seat(1, "board");
    assert_eq!(
        (late.opened.head.epoch, late.opened.head.seq),
        (head.epoch, 221)
    );
}

pub fn a_post_comes_to_the_instance_of_its_stream<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("board");
    let last = &seats[seats.len() - 1];
    let ada = last.client("ada");
    last.join(&ada).expect("she may");
    let conn = ada.author.conn;
    let post = Post {
        number: std::num::NonZeroU64::new(3),
        messages: r#"[{"type":"ping"},{"type":"chat","op":1,"text":"é"}]"#.into(),
    };
    if seats.len() > 1 {
        assert!(seats[0].forward(conn, post.clone()), "it is handed on");
        eventually("the post comes", || {
            last.recorder
                .look(|seen| (seen.posts == [(conn, post.clone())]).then_some(()))
        });
    }
    let seals = |what: &[u8]| -> Vec<_> {
        let sealed = seats.iter().map(|seat| seat.backplane.seal(what));
        sealed.collect()
    };
    let this = seals(b"this");
    assert!(this.iter().all(|seal| *seal == this[0]), "all seal alike");
    assert_ne!(this[0], seals(b"that")[0]);
}

pub fn a_kicked_connection_is_told_everywhere<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("board");
    let ada = seats[seats.len() - 1].client("ada");
    seats[seats.len() - 1].join(&ada).expect("she may");
    let conn = ada.author.conn;
    seats[0]
        .append(scumble::backplane::Entry::Kick { conn })
        .expect("room for a kick");
    for seat in &seats {
        eventually("the kick is told", || {
            seat.recorder
                .look(|seen| (seen.kicks == [conn]).then_some(()))
        });
    }
}
