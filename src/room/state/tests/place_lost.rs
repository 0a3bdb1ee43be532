//! The backplane began anew: nobody waits for what was forgotten.

use super::*;
use crate::backplane::{Member, PresenceTable};
use crate::protocol::ids::InstanceNumber;

/// The room opened, with links 1 (in) and 2 (whose join has no answer yet).
fn two() -> (State<TestLink>, [Arc<TestLink>; 2], Instant) {
    let (mut room, now) = (opened_room(), Instant::now());
    let links = [TestLink::new(1), TestLink::new(2)];
    for link in &links {
        let (link, since) = (link.clone(), None);
        room.handle(Event::Join { link, since }, now);
    }
    let set = |version, link: &TestLink| {
        let change = PresenceChange::Set(member(&link.author, link.author.conn));
        Event::Delivery(Delivery::Presence(PresenceEvent { version, change }))
    };
    room.handle(set(8, &links[0]), now);
    let (conn, acked_op) = (links[0].author.conn, Ok(0));
    room.handle(Event::Delivery(Delivery::Joined { conn, acked_op }), now);
    room.take_effects();
    (room, links, now)
}

fn place_lost(room: &mut State<TestLink>, members: Vec<Member>, now: Instant) -> Vec<String> {
    let at = Position {
        epoch: Epoch(8),
        seq: 2,
    };
    let anew = Delivery::PlaceLost {
        at,
        presence: PresenceTable {
            version: 3,
            members,
        },
    };
    room.handle(Event::Delivery(anew), now);
    let said = room.take_effects().into_iter().filter_map(|effect| {
        let Effect::Append(entry) = effect else {
            return None;
        };
        Some(match entry {
            Entry::Join { author } => format!("join {}", author.conn.0 & 0xff),
            Entry::Leave { author, end } => format!("leave {} {end:?}", author.conn.0 & 0xff),
            Entry::State { state, .. } => format!("state {state}"),
            other => format!("{other:?}"),
        })
    });
    said.collect()
}

#[test]
fn joins_that_are_not_there_are_said_again() {
    let (mut room, links, now) = two();
    // The second was committed, and its answer lost; the first was forgotten.
    let there = vec![member(&links[1].author, links[1].author.conn)];
    assert_eq!(place_lost(&mut room, there, now), ["join 1", "join 2"]);
    let (mut room, links, now) = two();
    let there = vec![member(&links[0].author, links[0].author.conn)];
    assert_eq!(place_lost(&mut room, there, now), ["join 2"]);
    // Who was in starts over.
    links[0].drain();
    let read = links[0].read();
    assert!(read.iter().any(|m| m["type"] == "resync"), "{read:?}");
}

#[test]
fn who_left_and_is_there_again_leaves_again() {
    let (mut room, links, now) = two();
    let gone = TestLink::new(7);
    let elsewhere = TestLink::new(9);
    let mut away = member(&TestLink::new(6).author, ConnId::new(InstanceNumber(1), 6));
    away.away = true;
    let there = vec![
        member(&links[0].author, links[0].author.conn),
        member(&links[1].author, links[1].author.conn),
        member(&gone.author, gone.author.conn),
        member(&elsewhere.author, ConnId::new(InstanceNumber(2), 9)),
        away,
    ];
    assert_eq!(
        place_lost(&mut room, there, now),
        ["leave 7 Lost", "join 2"]
    );
}

#[test]
fn a_state_that_was_under_way_is_said_again() {
    let (mut room, links, now) = two();
    let conn = links[0].author.conn;
    let patch = r#"{"tool":"pen"}"#.to_owned();
    room.handle(Event::Presence(conn, patch), now);
    assert_eq!(room.take_effects().len(), 1, "it is under way");
    let there = vec![
        member(&links[0].author, conn),
        member(&links[1].author, links[1].author.conn),
    ];
    let said = place_lost(&mut room, there, now);
    assert_eq!(said, [r#"state {"tool":"pen"}"#, "join 2"]);
}

/// The table's version went back: what is told from there on counts.
#[test]
fn the_table_goes_on_from_its_older_version() {
    let (mut room, links, now) = two();
    room.handle(
        Event::Delivery(Delivery::PresenceMissed { version: 20 }),
        now,
    );
    let there = vec![member(&links[0].author, links[0].author.conn)];
    place_lost(&mut room, there.clone(), now);
    // The read that was under way is of the time before, and does not count.
    let stranger = member(&TestLink::new(5).author, ConnId::new(InstanceNumber(2), 5));
    room.handle(Event::MembersDone(Ok(table(20, vec![stranger]))), now);
    assert!(matches!(room.take_effects()[..], [Effect::Members]));
    room.handle(Event::MembersDone(Ok(table(3, there))), now);
    let comes = TestLink::new(4);
    let change = PresenceChange::Set(member(&comes.author, ConnId::new(InstanceNumber(2), 4)));
    let event = PresenceEvent { version: 4, change };
    room.handle(Event::Delivery(Delivery::Presence(event)), now);
    links[0].drain();
    let read = links[0].read();
    let told = |name: &str| read.iter().any(|m| m["client"] == name);
    assert!(told("client-0004"), "{read:?}");
    assert!(!told("client-0005"), "{read:?}");
}
