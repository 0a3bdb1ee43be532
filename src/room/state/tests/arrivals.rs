//! Many who come, change and go in one round.

use super::*;

fn set(world: &mut World, author: &Arc<Author>, state: Option<&str>) -> Event<TestLink> {
    world.presence_version += 1;
    let mut member = member(author, author.conn);
    member.state = state.map(Into::into);
    let change = PresenceChange::Set(member);
    let version = world.presence_version;
    Event::Delivery(Delivery::Presence(PresenceEvent { version, change }))
}

/// All of them come in one round, as a busy relay sees them.
fn come(world: &mut World, range: std::ops::Range<u64>) -> Vec<Arc<TestLink>> {
    let links: Vec<_> = range.map(TestLink::new).collect();
    let now = world.now;
    for link in &links {
        let (link, since) = (link.clone(), None);
        world.room.absorb(Event::Join { link, since }, now);
    }
    for link in &links {
        let event = set(world, &link.author, None);
        world.room.absorb(event, now);
        let (conn, acked_op) = (link.author.conn, Ok(0));
        let joined = Delivery::Joined { conn, acked_op };
        world.room.absorb(Event::Delivery(joined), now);
    }
    world.room.settle(now);
    world.room.take_effects();
    links
}

fn of_type(link: &TestLink, kind: &str) -> Vec<String> {
    link.drain();
    let read = link.read();
    let told = read.iter().filter(|m| m["type"] == kind);
    told.map(|m| m["client"].as_str().expect("a client").to_owned())
        .collect()
}

#[test]
fn others_hear_of_all_who_came_in_one_piece_and_once() {
    let mut world = World::new();
    let first = come(&mut world, 0..3);
    first.iter().for_each(|link| assert!(!link.drain()));
    let later = come(&mut world, 3..203);
    let expected: Vec<String> = (3..203).map(|n| format!("client-{n:04}")).collect();
    for link in &first {
        assert_eq!(link.inner.lock().waiting.len(), 1, "one piece");
        assert_eq!(of_type(link, "user-connected"), expected);
    }
    let shared = |link: &TestLink| link.inner.lock().read.len();
    assert_eq!(shared(&first[0]), shared(&first[1]));
    for link in &later {
        link.drain();
        let welcome = &link.read()[0];
        assert_eq!(welcome["users"].as_array().expect("a list").len(), 203);
        assert!(
            of_type(link, "user-connected").is_empty(),
            "all are in its list"
        );
    }
}

#[test]
fn who_changes_among_others_is_not_told_of_itself() {
    let mut world = World::new();
    let links = come(&mut world, 0..10);
    links.iter().for_each(|link| assert!(!link.drain()));
    let now = world.now;
    for link in &links {
        let event = set(&mut world, &link.author, Some(r#"{"moved":true}"#));
        world.room.absorb(event, now);
    }
    world.room.settle(now);
    for (n, link) in links.iter().enumerate() {
        let own = format!("client-{n:04}");
        let mut expected: Vec<String> = (0..10).map(|n| format!("client-{n:04}")).collect();
        expected.retain(|client| *client != own);
        assert!(
            link.inner.lock().waiting.len() <= 2,
            "before and behind its own"
        );
        assert_eq!(of_type(link, "presence"), expected);
    }
}

#[test]
fn a_leave_in_the_round_of_the_join_is_told_behind_it() {
    let mut world = World::new();
    let first = come(&mut world, 0..1);
    let now = world.now;
    let passing = TestLink::new(7);
    let event = set(&mut world, &passing.author, None);
    world.room.absorb(event, now);
    world.presence_version += 1;
    let (client, reason) = (passing.author.client.clone(), say::LeaveReason::Left);
    let change = PresenceChange::Gone { client, reason };
    let version = world.presence_version;
    let gone = PresenceEvent { version, change };
    world
        .room
        .absorb(Event::Delivery(Delivery::Presence(gone)), now);
    world.room.settle(now);
    first[0].drain();
    let kinds: Vec<String> = first[0].read()[2..]
        .iter()
        .map(|m| m["type"].to_string())
        .collect();
    assert_eq!(kinds, ["\"user-connected\"", "\"user-disconnected\""]);
}

#[test]
fn a_message_comes_behind_the_welcome_of_its_round() {
    let mut world = World::new();
    let (link, now) = (TestLink::new(1), world.now);
    world.links.insert(1, link.clone());
    let since = None;
    world.room.absorb(
        Event::Join {
            link: link.clone(),
            since,
        },
        now,
    );
    let event = set(&mut world, &link.author, None);
    world.room.absorb(event, now);
    let (conn, acked_op) = (link.author.conn, Ok(0));
    let joined = Delivery::Joined { conn, acked_op };
    world.room.absorb(Event::Delivery(joined), now);
    world.room.take_effects();
    world.commit(2, 9, false);
    world.settle();
    assert_eq!(check(&link, None), 2);
}
