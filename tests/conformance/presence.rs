//! Contract 7: presence is a table whose changes are numbered, and one connection holds a client's place.

use std::time::{Duration, Instant};

use scumble::backplane::{End, PresenceChange, PresenceEvent};
use scumble::protocol::ids::InstanceNumber;
use scumble::protocol::server_message::{ErrorCode, LeaveReason};
use serde_json::{Value, json};

use crate::cluster::{Cluster, Options};
use crate::harness::{Client, Relay, Seat, event};

/// The state of a client as a seat's table has it.
fn state_of(seat: &Seat, client: &Client) -> Option<Value> {
    let (_, table) = seat.table();
    let state = table.get(&client.author.client)?.state.clone()?;
    Some(serde_json::from_str(&state).expect("JSON"))
}

/// Waits for an event about a client.
fn wait_change(
    seat: &Seat,
    what: &str,
    mut is_it: impl FnMut(&PresenceChange) -> bool,
) -> PresenceEvent {
    seat.recorder.wait(what, |seen| {
        seen.presence.iter().find(|e| is_it(&e.change)).cloned()
    })
}

fn wait_gone(seat: &Seat, client: &Client) -> LeaveReason {
    let event = wait_change(
        seat,
        "the client is gone",
        |change| matches!(change, PresenceChange::Gone { client: gone, .. } if *gone == client.author.client),
    );
    let PresenceChange::Gone { reason, .. } = event.change else {
        panic!()
    };
    reason
}

fn wait_away(seat: &Seat, client: &Client) {
    wait_change(
        seat,
        "the client is away",
        |change| matches!(change, PresenceChange::Set(m) if m.client == client.author.client && m.away),
    );
}

pub fn a_join_is_told_before_it_is_answered<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let client = seats[0].client("joins");
    assert_eq!(seats[0].join(&client), Ok(0));
    let told = seats[0].recorder.look(|seen| {
        let joined = &seen.joined[0];
        assert_eq!(joined.conn, client.author.conn);
        seen.presence[..joined.events_before].to_vec()
    });
    let PresenceChange::Set(member) = &told[0].change else {
        panic!("{told:?}")
    };
    assert_eq!(
        (member.conn, member.away, &member.state),
        (client.author.conn, false, &None)
    );
    assert_eq!(&*member.user, client.author.user);
    for seat in &seats {
        seat.wait_version(told[0].version);
        assert_eq!(&seat.table().1[&client.author.client], member);
        // The answer is for the instance that asked.
        let answers = seat.recorder.look(|seen| seen.joined.len());
        assert_eq!(
            answers,
            usize::from(seat.backplane.instance_id() == seats[0].backplane.instance_id())
        );
    }
}

pub fn a_join_says_what_was_acked<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(0, "canvas");
    let mut client = seat.client("author");
    assert_eq!(seat.join(&client), Ok(0));
    for _ in 0..3 {
        seat.ask(&mut client, &event("e"));
    }
    assert_eq!(seat.join(&seat.client("author")), Ok(3));
    assert_eq!(seat.join(&seat.client("another")), Ok(0));
    // Each canvas counts for itself.
    let elsewhere = relay.seat(0, "elsewhere");
    assert_eq!(elsewhere.join(&elsewhere.client("author")), Ok(0));
}

pub fn presence_tables_converge<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    std::thread::scope(|scope| {
        for (i, seat) in seats.iter().enumerate() {
            scope.spawn(move || {
                for n in 0..6 {
                    let ends = [End::Clean, End::Lost];
                    let mut own = seat.client(&format!("{i}-{n}"));
                    // Everyone fights for this one's place.
                    let mut shared = seat.client("shared");
                    for client in [&own, &shared] {
                        assert!(seat.join(client).is_ok());
                        for x in 0..10 {
                            seat.set_state(client, &json!({"x": x, "from": i}));
                        }
                    }
                    seat.leave(&shared, ends[n % 2]);
                    if n < 3 {
                        seat.leave(&own, ends[n.min(1)]);
                    }
                    // The author's order: with this everything before it is committed.
                    seat.ask(&mut own, &event("e"));
                    seat.ask(&mut shared, &event("e"));
                }
            });
        }
    });
    // A copy may lag behind what the clients of another instance were answered.
    let latest = seats.iter().map(|seat| seat.members().0).max();
    seats[0].wait_version(latest.expect("there are seats"));
    let (version, members) = seats[0].members();
    for (i, seat) in seats.iter().enumerate() {
        seat.wait_version(version);
        assert_eq!(seat.table(), (version, members.clone()), "instance {i}");
        let away = members
            .values()
            .filter(|m| m.conn.instance() == own_number(seat) && m.away);
        assert!(away.count() >= 2);
    }
    let late = relay.seat(1, "canvas");
    assert_eq!(late.table(), (version, members));
}

fn own_number(seat: &Seat) -> InstanceNumber {
    seat.backplane.new_conn().instance()
}

pub fn a_new_connection_takes_the_place<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let (here, there) = (&seats[0], &seats[seats.len() - 1]);
    let mut old = here.client("twice");
    assert_eq!(here.join(&old), Ok(0));
    here.set_state(&old, &json!({"kept": true}));
    here.ask(&mut old, &event("the state before it is committed"));
    let new = there.client("twice");
    assert_eq!(there.join(&new), Ok(1));
    let taken = wait_change(
        here,
        "the place is taken",
        |change| matches!(change, PresenceChange::Set(member) if member.conn == new.author.conn),
    );
    // The state is the client's, not the connection's: the others still show it.
    assert_eq!(state_of(here, &new), Some(json!({"kept": true})));

    here.set_state(&old, &json!({"from": "the old one"}));
    here.leave(&old, End::Lost);
    here.leave(&old, End::Clean);
    here.ask(&mut old, &event("what is before it is committed"));
    assert_eq!(
        here.members().0,
        taken.version,
        "the old connection changes nothing"
    );
    there.set_state(&new, &json!({"from": "the new one"}));
    for seat in &seats {
        seat.wait_version(taken.version + 1);
        assert_eq!(state_of(seat, &new), Some(json!({"from": "the new one"})));
    }
}

pub fn a_lost_client_is_away_and_may_come_back<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let (here, there) = (&seats[0], &seats[seats.len() - 1]);
    let lost = here.client("lost");
    assert_eq!(here.join(&lost), Ok(0));
    here.set_state(&lost, &json!({"kept": true}));
    here.leave(&lost, End::Lost);
    for seat in &seats {
        wait_away(seat, &lost);
        assert_eq!(state_of(seat, &lost), Some(json!({"kept": true})));
    }
    let back = there.client("lost");
    assert_eq!(there.join(&back), Ok(0));
    let (version, members) = there.members();
    assert!(!members[&back.author.client].away);
    for seat in &seats {
        seat.wait_version(version);
        assert_eq!(seat.table().1, members);
        assert_eq!(state_of(seat, &back), Some(json!({"kept": true})));
        let gone = |e: &PresenceEvent| matches!(e.change, PresenceChange::Gone { .. });
        assert!(
            !seat.recorder.look(|seen| seen.presence.iter().any(gone)),
            "no flicker"
        );
    }
}

pub fn a_lost_client_is_gone_after_the_grace<C: Cluster>() {
    let grace = Duration::from_millis(300);
    let relay = Relay::<C>::start_with(&Options {
        presence_grace: grace,
        ..Options::default()
    });
    let seats = relay.seats("canvas");
    let (lost, stays) = (seats[0].client("lost"), seats[0].client("stays"));
    let back = seats[0].client("back");
    for client in [&lost, &stays, &back] {
        assert_eq!(seats[0].join(client), Ok(0));
    }
    // This one is back before the other is lost: the end of its old grace is nothing to it.
    seats[0].leave(&back, End::Lost);
    assert_eq!(seats[0].join(&seats[0].client("back")), Ok(0));
    let since = Instant::now();
    seats[0].leave(&lost, End::Lost);
    for seat in &seats {
        wait_away(seat, &lost);
        assert_eq!(wait_gone(seat, &lost), LeaveReason::Timeout);
        // Clocks are read in whole milliseconds.
        assert!(
            since.elapsed() + Duration::from_millis(2) >= grace,
            "not before the grace ends"
        );
    }
    let (version, members) = seats[0].members();
    assert!(!members.contains_key(&lost.author.client));
    for client in [&stays, &back] {
        let here = members.contains_key(&client.author.client);
        assert!(here, "who is here is not touched");
    }
    for seat in &seats {
        seat.wait_version(version);
        assert_eq!(seat.table(), (version, members.clone()));
    }
}

pub fn a_clean_leave_is_told_at_once<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let client = seats[0].client("leaves");
    assert_eq!(seats[0].join(&client), Ok(0));
    seats[0].set_state(&client, &json!({"x": 1}));
    seats[0].leave(&client, End::Clean);
    for seat in &seats {
        // The grace is far longer than the wait.
        assert_eq!(wait_gone(seat, &client), LeaveReason::Left);
        assert!(seat.table().1.is_empty());
    }
    // Who comes after a clean leave begins anew.
    assert_eq!(seats[0].join(&client), Ok(0));
    let (version, members) = seats[0].members();
    assert_eq!((version, &members[&client.author.client].state), (4, &None));
}

pub fn a_client_belongs_to_its_first_subject<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let (here, there) = (&seats[0], &seats[seats.len() - 1]);
    // Without auth there is no subject, and nothing to belong to.
    assert_eq!(here.join(&here.client("shared")), Ok(0));
    let alice = here.client_of("shared", "alice");
    assert_eq!(here.join(&alice), Ok(0));
    let refusal = there
        .join(&there.client_of("shared", "bob"))
        .expect_err("it is alice's");
    assert_eq!(refusal.code, ErrorCode::Forbidden);
    let (version, members) = there.members();
    assert_eq!(
        (version, members[&alice.author.client].conn),
        (2, alice.author.conn)
    );
    assert_eq!(there.join(&there.client_of("shared", "alice")), Ok(0));
}
