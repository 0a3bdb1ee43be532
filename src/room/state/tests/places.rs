//! Others took this instance for dead, and turned its clients away, or out. Those whose connections are here come back.

use super::*;
use crate::backplane::{End, Member};
use crate::protocol::ids::InstanceNumber;

/// A room with one seat, whose client has a state.
fn seated() -> (World, Arc<Author>) {
    let mut world = World::new();
    world.join(1, None);
    let author = world.links[&1].author.clone();
    let mut here = member(&author, author.conn);
    here.state = Some(r#"{"tool":"pen"}"#.into());
    assert!(effects_of(&mut world, PresenceChange::Set(here)).is_empty());
    (world, author)
}

/// What the room does about a change of the table.
fn effects_of(world: &mut World, change: PresenceChange) -> Vec<Effect> {
    world.presence_version += 1;
    let version = world.presence_version;
    let event = Delivery::Presence(PresenceEvent { version, change });
    world.room.handle(Event::Delivery(event), world.now);
    world.room.take_effects()
}

fn gone(author: &Author, reason: say::LeaveReason) -> PresenceChange {
    let client = author.client.clone();
    PresenceChange::Gone { client, reason }
}

fn away(author: &Author, conn: ConnId) -> PresenceChange {
    let away = true;
    PresenceChange::Set(Member {
        away,
        ..member(author, conn)
    })
}

#[test]
fn who_is_taken_for_away_takes_its_place_again() {
    let (mut world, author) = seated();
    let again = effects_of(&mut world, away(&author, author.conn));
    let [Effect::Append(Entry::Join { author: who })] = &again[..] else {
        panic!("{again:?}")
    };
    assert_eq!(who.conn, author.conn);
}

#[test]
fn who_is_taken_for_gone_takes_its_place_again_with_its_state() {
    let (mut world, author) = seated();
    let again = effects_of(&mut world, gone(&author, say::LeaveReason::Timeout));
    let [
        Effect::Append(Entry::Join { author: who }),
        Effect::Append(Entry::State { state, .. }),
    ] = &again[..]
    else {
        panic!("{again:?}")
    };
    assert_eq!(who.conn, author.conn);
    assert_eq!(state, r#"{"tool":"pen"}"#);
}

/// The same, where its return was not taken at first.
#[test]
fn who_is_away_in_a_table_that_was_read_takes_its_place_again() {
    let (mut world, author) = seated();
    let mut row = member(&author, author.conn);
    row.away = true;
    let version = world.presence_version + 1;
    let room = &mut world.room;
    room.handle(Event::MembersDone(Ok(table(version, vec![row]))), world.now);
    let again = room.take_effects();
    assert!(
        matches!(&again[..], [Effect::Append(Entry::Join { .. })]),
        "{again:?}"
    );
}

#[test]
fn who_leaves_does_not_come_back() {
    for end in [End::Clean, End::Lost] {
        let (mut world, author) = seated();
        let conn = author.conn;
        world.room.handle(Event::Leave { conn, end }, world.now);
        let left = world.room.take_effects();
        assert!(matches!(&left[..], [Effect::Append(Entry::Leave { .. })]));
        if end == End::Lost {
            assert!(effects_of(&mut world, away(&author, conn)).is_empty());
        }
        let over = gone(&author, say::LeaveReason::Left);
        assert!(effects_of(&mut world, over).is_empty());
    }
}

/// It is being closed: what becomes of its successor is not its business.
#[test]
fn who_was_replaced_does_not_come_back() {
    let (mut world, author) = seated();
    let elsewhere = ConnId::new(InstanceNumber(2), 9);
    let successor = PresenceChange::Set(member(&author, elsewhere));
    assert!(effects_of(&mut world, successor).is_empty());
    assert_eq!(
        world.links[&1].inner.lock().closed,
        Some(CloseCode::Replaced)
    );
    assert!(effects_of(&mut world, away(&author, elsewhere)).is_empty());
    let left = gone(&author, say::LeaveReason::Left);
    assert!(effects_of(&mut world, left).is_empty());
}

/// However many come and drop, no more are told of than may be here.
#[test]
fn the_one_that_was_lost_first_gives_way_when_all_places_are_taken() {
    let (mut world, _) = seated();
    let mut few = settings(true);
    Arc::get_mut(&mut few).expect("its own").limits.max_clients = 3;
    world.room.settings = few;
    let elsewhere = |n: u64| author(&format!("elsewhere-{n}"), ConnId::new(InstanceNumber(2), n));
    for n in [3, 1] {
        let who = elsewhere(n);
        assert!(effects_of(&mut world, PresenceChange::Set(member(&who, who.conn))).is_empty());
        assert!(effects_of(&mut world, away(&who, who.conn)).is_empty());
    }
    let newcomer = author("newcomer", ConnId::new(InstanceNumber(1), 99));
    let made = effects_of(
        &mut world,
        PresenceChange::Set(member(&newcomer, newcomer.conn)),
    );
    let [
        Effect::Append(Entry::Leave {
            author: gone,
            end: End::Clean,
        }),
    ] = &made[..]
    else {
        panic!("{made:?}")
    };
    let first = elsewhere(3);
    assert_eq!((&gone.client, gone.conn), (&first.client, first.conn));
    let gone = PresenceChange::Gone {
        client: first.client.clone(),
        reason: say::LeaveReason::Left,
    };
    assert!(effects_of(&mut world, gone).is_empty());
    assert_eq!(world.room.roster.iter().count(), 3);
}

fn author(client: &str, conn: ConnId) -> Author {
    let client = ClientId::parse(client).expect("a client id");
    Author::new(conn, client, "{}".to_owned(), String::new())
}
