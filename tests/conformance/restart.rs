//! An instance that ends in order: what it took is committed, and the next one goes on from there.

use scumble::backplane::Outcome;
use scumble::protocol::server_message::{AckStatus, ErrorCode};
use serde_json::json;

use crate::cluster::Cluster;
use crate::harness::{Relay, create, durable, event, eventually};
use crate::recorder::Ended;

pub fn a_shutdown_commits_what_was_taken_and_leaves_no_one_behind<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let (stays, mut leaves) = (seats[0].client("stays"), seats[1].client("leaves"));
    assert_eq!(seats[0].join(&stays), Ok(0));
    assert_eq!(seats[1].join(&leaves), Ok(0));
    for _ in 0..500 {
        seats[1].send(&mut leaves, &event("e"));
    }
    relay.shut_down(1);
    seats[0].wait_seq(500);
    assert_eq!(seats[0].log().len(), 500);
    // Away, so that whoever comes back elsewhere does not flicker; or gone.
    let client = &leaves.author.client;
    let (version, members) = eventually("nobody of the other instance is there", || {
        let (version, members) = seats[0].members();
        members
            .get(client)
            .is_none_or(|member| member.away)
            .then_some((version, members))
    });
    assert!(members.contains_key(&stays.author.client));
    seats[0].wait_version(version);
    assert_eq!(seats[0].table(), (version, members));
}

pub fn a_new_instance_goes_on_where_the_old_one_was<C: Cluster>() {
    let mut relay = Relay::<C>::start();
    let before = relay.seat(1, "canvas");
    let mut client = before.client("author");
    assert_eq!(before.join(&client), Ok(0));
    for seq in 1..=3 {
        let fields = create(&format!("o{seq}"), &json!({}));
        assert_eq!(before.ask(&mut client, &fields), Ended::Committed(seq));
    }
    relay.restart(1);
    let after = relay.seat(1, "canvas");
    assert_eq!(after.opened.head.epoch, before.opened.head.epoch);
    assert_eq!(after.opened.head.seq, 3);
    assert_ne!(
        after.backplane.new_conn().instance(),
        client.author.conn.instance()
    );
    assert_eq!(
        after.read_all(before.opened.head).expect("retained"),
        before.log()
    );
    assert_eq!(after.snapshot().objects.len(), 3);

    let again = after.client("author");
    assert_eq!(after.join(&again), Ok(3));
    let resent = after.ask_as(&again, 2, &create("o2", &json!({})));
    assert!(matches!(
        resent,
        Ended::Outcome(Outcome::Ack {
            status: AckStatus::Dup,
            ..
        })
    ));
    assert_eq!(after.ask_as(&again, 4, &event("e")), Ended::Committed(4));
}

pub fn an_instance_that_shut_down_refuses<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seat = relay.seat(1, "canvas");
    let client = seat.client("author");
    relay.shut_down(1);
    let refusal = seat
        .append_durable(&client, durable(1, &event("e")))
        .expect_err("shut down");
    assert_eq!(refusal.code, ErrorCode::Overloaded);
}
