//! A seeded simulation of one room over a model log: random commits, lost batches, full outboxes, joins with
//! and without `since`, clean-ups and slow reads. Whatever happens, every member sees each number once and in order.

mod arrivals;
mod place_lost;
mod places;
mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::backplane::{
    Canvas, CanvasKey, LogBuilder, Member, Opened, PresenceChange, PresenceEvent, PresenceTable,
};
use crate::protocol::client_message::Kind;
use crate::protocol::ids::{CanvasId, ClientId, InstanceNumber};
use world::{EPOCH, TestLink, World, check, member, settings};

#[derive(Debug, Clone)]
enum Step {
    Commit(u64, u64, bool),
    Answer,
    Drain(u64),
    Join(Option<u64>),
    CleanUp,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..4_u64, 0..6_u64, prop::bool::weighted(0.2)).prop_map(|(n, a, l)| Step::Commit(n, a, l)),
        3 => Just(Step::Answer),
        3 => (0..6_u64).prop_map(Step::Drain),
        1 => prop::option::of(0..20_u64).prop_map(Step::Join),
        1 => Just(Step::CleanUp),
    ];
    prop::collection::vec(step, 1..120)
}

fn table(version: u64, members: Vec<Member>) -> PresenceTable {
    PresenceTable { version, members }
}

proptest! {
    #[test]
    fn every_member_sees_each_message_once_in_order(steps in steps()) {
        let mut world = World::new();
        let mut sinces = BTreeMap::new();
        for step in steps {
            match step {
                Step::Commit(n, author, lost) => world.commit(n, author, lost),
                Step::Answer => { world.answer(); }
                Step::Drain(n) => world.drain(n),
                Step::Join(since) => {
                    let n = sinces.len() as u64;
                    let since = since.filter(|seq| *seq <= world.log.len() as u64);
                    sinces.insert(n, since);
                    world.join(n, since);
                }
                Step::CleanUp => world.oldest = (world.log.len() as u64).max(1),
            }
        }
        world.settle();
        let head = world.log.len() as u64;
        for (n, link) in &world.links {
            prop_assert_eq!(check(link, sinces[n]), head, "link {} of {:?}", n, link.read());
        }
    }
}

#[test]
fn an_author_gets_its_ack_in_the_messages_place() {
    let mut world = World::new();
    world.join(1, None);
    world.join(2, None);
    world.commit(1, 1, false);
    world.commit(1, 2, false);
    world.settle();
    let kinds = |n: u64| -> Vec<String> {
        let read = world.links[&n].read();
        read.iter()
            .filter(|m| m["seq"].as_u64() > Some(0))
            .map(|m| m["type"].to_string())
            .collect()
    };
    assert_eq!(kinds(1), ["\"ack\"", "\"broadcast\""]);
    assert_eq!(kinds(2), ["\"broadcast\"", "\"ack\""]);
}

#[test]
fn a_newer_connection_of_a_client_replaces_the_older() {
    let mut world = World::new();
    world.join(1, None);
    let member = member(&world.links[&1].author, ConnId::new(InstanceNumber(2), 9));
    let event = PresenceEvent {
        version: 2,
        change: PresenceChange::Set(member),
    };
    world.happens(Event::Delivery(Delivery::Presence(event)));
    assert_eq!(
        world.links[&1].inner.lock().closed,
        Some(CloseCode::Replaced)
    );
}

/// What the backplane delivers between deciding on the opening and the room's hearing of it is not lost.
#[test]
fn a_room_reads_what_came_while_it_was_opened() {
    let mut room: State<TestLink> = State::new(settings(true), InstanceNumber(1));
    let now = Instant::now();
    let mut batch = LogBuilder::new(EPOCH, 1);
    batch.push(
        Kind::Broadcast,
        ConnId::new(InstanceNumber(2), 1),
        1,
        "someone-1",
        0,
        b"{\"op\":1}",
    );
    let change = PresenceChange::Gone {
        client: ClientId::parse("someone-1").expect("id"),
        reason: say::LeaveReason::Left,
    };
    let event = PresenceEvent { version: 8, change };
    let early = [
        Delivery::Log(batch.finish().expect("a batch")),
        Delivery::Presence(event),
    ];
    for delivery in early {
        room.handle(Event::Delivery(delivery), now);
    }
    assert!(room.take_effects().is_empty(), "it could not ask yet");
    let canvas = Canvas {
        id: CanvasId::parse("c").expect("id"),
        key: CanvasKey(1),
    };
    let (head, members) = (
        Position {
            epoch: EPOCH,
            seq: 0,
        },
        vec![],
    );
    let opened = Opened {
        canvas,
        head,
        presence: table(7, members),
    };
    room.handle(Event::Opened(Ok(opened)), now);
    let asked = room.take_effects();
    assert!(
        matches!(asked[..], [Effect::Read(None, _), Effect::Members]),
        "{asked:?}"
    );
}

/// A change that comes while the table is being read may be newer than what was read.
#[test]
fn the_table_is_read_until_nothing_of_it_is_missed() {
    let mut room = opened_room();
    let now = Instant::now();
    let gone = |version| {
        let client = ClientId::parse("someone-1").expect("id");
        let reason = say::LeaveReason::Left;
        let change = PresenceChange::Gone { client, reason };
        Event::Delivery(Delivery::Presence(PresenceEvent { version, change }))
    };
    room.handle(gone(9), now);
    assert!(matches!(room.take_effects()[..], [Effect::Members]));
    room.handle(gone(10), now);
    assert!(room.take_effects().is_empty(), "one read at a time");
    room.handle(Event::MembersDone(Ok(table(9, vec![]))), now);
    assert!(matches!(room.take_effects()[..], [Effect::Members]));
    room.handle(Event::MembersDone(Ok(table(10, vec![]))), now);
    assert!(room.take_effects().is_empty());
}

/// The room has missed somebody's place, so it does not know this one's yet either; and nobody is told of itself later.
#[test]
fn a_welcome_names_the_client_itself() {
    let mut world = World::new();
    world.presence_version += 1;
    let link = TestLink::new(1);
    world.happens(Event::Join {
        link: link.clone(),
        since: None,
    });
    link.drain();
    let welcome = &link.read()[0];
    assert_eq!(welcome["users"][0]["client"], link.author.client.as_str());
}

/// A client's earlier connection, to another instance, was heard so late there that it took the place from this one, and left.
#[test]
fn who_lost_its_place_to_nobody_takes_it_again() {
    let mut world = World::new();
    world.join(1, None);
    let now = world.now;
    let version = world.presence_version + 3;
    let room = &mut world.room;
    room.handle(Event::Delivery(Delivery::PresenceMissed { version }), now);
    assert!(matches!(room.take_effects()[..], [Effect::Members]));
    room.handle(Event::MembersDone(Ok(table(version, vec![]))), now);
    let again = room.take_effects();
    let [Effect::Append(join @ Entry::Join { author })] = &again[..] else {
        panic!("{again:?}")
    };
    assert_eq!(author.conn, ConnId::new(InstanceNumber(1), 1));
    // The queue is full: the table is read again after a pause, and so is the rest.
    let refusal = Refusal {
        code: say::ErrorCode::Overloaded,
        message: "not now".into(),
        retry_after_ms: Some(1),
    };
    room.not_taken(About::of(join), &refusal, now);
    let later = room.take_effects();
    assert!(matches!(later[..], [Effect::Retry(Retry::Members)]));
    assert_eq!(world.links[&1].inner.lock().closed, None);
}

/// The room missed the place that the connection took, but knows that it had one.
#[test]
fn a_newer_connection_replaces_one_whose_place_was_missed() {
    let mut room = opened_room();
    let (link, now) = (TestLink::new(1), Instant::now());
    let (conn, elsewhere) = (link.author.conn, ConnId::new(InstanceNumber(2), 9));
    let since = None;
    room.handle(
        Event::Join {
            link: link.clone(),
            since,
        },
        now,
    );
    let missed = |version| Event::Delivery(Delivery::PresenceMissed { version });
    room.handle(missed(8), now);
    let joined = Delivery::Joined {
        conn,
        acked_op: Ok(0),
    };
    room.handle(Event::Delivery(joined), now);
    room.handle(missed(9), now);
    // That of before may still be in a table that is read too early.
    let before = vec![member(&link.author, ConnId::new(InstanceNumber(3), 1))];
    room.handle(Event::MembersDone(Ok(table(7, before))), now);
    assert_eq!(link.inner.lock().closed, None);
    let after = vec![member(&link.author, elsewhere)];
    room.handle(Event::MembersDone(Ok(table(9, after))), now);
    assert_eq!(link.inner.lock().closed, Some(CloseCode::Replaced));
}

/// A room whose presence table is at 7.
fn opened_room() -> State<TestLink> {
    let mut room = State::new(settings(true), InstanceNumber(1));
    let id = CanvasId::parse("c").expect("id");
    let opened = Opened {
        canvas: Canvas {
            id,
            key: CanvasKey(1),
        },
        head: Position {
            epoch: EPOCH,
            seq: 0,
        },
        presence: table(7, vec![]),
    };
    room.handle(Event::Opened(Ok(opened)), Instant::now());
    room
}

#[test]
fn a_large_room_is_written_to_in_parts_and_everybody_once() {
    for members in [1, 31, 32, 33, 100] {
        let mut world = World::new();
        let links: Vec<_> = (0..members).map(TestLink::new).collect();
        for link in &links {
            let (link, since) = (link.clone(), None);
            world.happens(Event::Join { link, since });
        }
        let (mut parts, mut written) = (1, world.room.flush_after(None));
        while written.is_some() {
            parts += 1;
            written = world.room.flush_after(written);
        }
        assert_eq!(parts, members.div_ceil(32), "{members}");
        assert!(links.iter().all(|link| link.inner.lock().flushes == 1));
    }
}

/// A client that reads another form comes while the snapshot is being read: it does not get what nobody has compressed.
#[test]
fn a_snapshot_is_read_again_for_a_form_that_was_not_made() {
    let mut world = World::new();
    world.commit(1, 9, false);
    world.join(1, None);
    let link = TestLink::new(2);
    link.inner.lock().deflate = true;
    world.links.insert(2, link.clone());
    world.happens(Event::Join { link, since: None });
    assert!(world.answer());
    world.links.values().for_each(|link| {
        link.drain();
    });
    let has_snapshot = |world: &World, n: u64| {
        let read = world.links[&n].read();
        read.iter().any(|message| message["type"] == "snapshot")
    };
    assert!(has_snapshot(&world, 1) && !has_snapshot(&world, 2));
    let wanted = world.pending.iter().find_map(|effect| match effect {
        Effect::Snapshot(wanted) => Some(wanted),
        _ => None,
    });
    let wanted = wanted.expect("it is read again");
    assert!(wanted.forms.iter().any(|form| form.deflate));
    world.settle();
    assert!(has_snapshot(&world, 2));
    assert!(world.pending.is_empty(), "it is not read for ever");
}
