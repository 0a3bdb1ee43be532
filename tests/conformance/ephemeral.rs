//! Contract 6: signals and cursors are told once to every instance, in their sender's order, and to nobody else.

use std::sync::Arc;

use scumble::backplane::Entry;

use crate::cluster::Cluster;
use crate::harness::{Client, Relay, Seat, eventually};
use crate::recorder::Seen;

/// A member on every instance, and each instance known to the others to have one: what nobody is there to hear need not be told.
fn populate(seats: &[Seat]) -> Vec<Client> {
    let clients: Vec<_> = seats
        .iter()
        .enumerate()
        .map(|(i, seat)| seat.client(&i.to_string()))
        .collect();
    for (seat, client) in seats.iter().zip(&clients) {
        assert_eq!(seat.join(client), Ok(0));
    }
    for (seat, client) in seats.iter().zip(&clients) {
        eventually("every instance hears this one", || {
            seat.signal(client, "hello");
            let heard = |seat: &Seat| {
                seat.recorder
                    .look(|seen| seen.signals.iter().any(|s| s.1 == client.author.conn))
            };
            seats.iter().all(heard).then_some(())
        });
    }
    clients
}

pub fn signals_come_round_once_in_order<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let stranger = relay.seat(0, "elsewhere");
    let clients = populate(&seats);
    std::thread::scope(|scope| {
        for (seat, client) in seats.iter().zip(&clients) {
            scope.spawn(move || (0..50).for_each(|n| seat.signal(client, &format!("s{n}"))));
        }
    });
    let expected: Vec<_> = (0..50)
        .map(|n| format!("\"event\":\"s{n}\",\"data\":null"))
        .collect();
    for seat in &seats {
        for client in &clients {
            let heard = |seen: &Seen| -> Vec<Arc<str>> {
                let own = seen.signals.iter().filter(|s| s.1 == client.author.conn);
                own.map(|s| s.2.clone())
                    .filter(|body| !body.contains("hello"))
                    .collect()
            };
            let last = |seen: &Seen| heard(seen).last().is_some_and(|b| **b == expected[49]);
            seat.recorder
                .wait("the last signal", |seen| last(seen).then_some(()));
            let heard = seat.recorder.look(heard);
            assert!(
                heard
                    .iter()
                    .map(|body| &**body)
                    .eq(expected.iter().map(String::as_str))
            );
        }
    }
    assert!(stranger.recorder.look(|seen| seen.signals.is_empty()));
}

pub fn cursors_come_round_once<C: Cluster>() {
    let relay = Relay::<C>::start();
    let seats = relay.seats("canvas");
    let stranger = relay.seat(0, "elsewhere");
    let clients = populate(&seats);
    for x in 0..50 {
        for (seat, client) in seats.iter().zip(&clients) {
            let cursor: Arc<str> = format!("\"x\":{x},\"y\":0").into();
            let cursors = vec![(client.author.client.clone(), cursor)];
            seat.append(Entry::Cursors { cursors })
                .expect("room for cursors");
        }
    }
    for (i, seat) in seats.iter().enumerate() {
        for (j, client) in clients.iter().enumerate() {
            let from = client.author.conn.instance();
            let heard = |seen: &Seen| -> Vec<i64> {
                let own = seen.cursors.iter().filter(|c| c.0 == from);
                own.map(|(_, who, fields)| {
                    assert_eq!(*who, client.author.client);
                    let fields = format!("{{{fields}}}");
                    let fields: serde_json::Value = serde_json::from_str(&fields).expect("JSON");
                    fields["x"].as_i64().expect("a number")
                })
                .collect()
            };
            // An instance needs not be told its own, and the latest may stand for those before it.
            if i != j {
                let last = |seen: &Seen| (heard(seen).last() == Some(&49)).then_some(());
                seat.recorder.wait("the last cursor", last);
            }
            assert!(
                seat.recorder.look(heard).is_sorted_by(|a, b| a < b),
                "once, and in order"
            );
        }
    }
    assert!(stranger.recorder.look(|seen| seen.cursors.is_empty()));
}
