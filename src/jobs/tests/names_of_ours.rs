//! Messages whose names the relay has made: they have no row among the names, and the same rules as all others.

use super::*;
use crate::jobs::rows as r;
use crate::jobs::work::placed;

fn item(partition: &str, name: &str) -> PushItem {
    PushItem {
        queue: "q".to_owned(),
        partition: partition.to_owned(),
        name: name.to_owned(),
        payload: "{}".to_owned(),
        ..PushItem::default()
    }
}

/// Pushes so many at once; gives their names and numbers.
fn push(q: &mut Q<'_>, count: usize) -> Vec<(String, i64)> {
    let Answer::Pushed(all) = q.run(&Op::Push(vec![item("", ""); count])) else {
        panic!()
    };
    let named = |pushed| match pushed {
        Pushed::Queued(queued) => (queued.name, queued.id),
        other => panic!("{other:?}"),
    };
    all.into_iter().map(named).collect()
}

/// The number and the place that a duplicate is told; nothing if it is none.
fn duplicate(q: &mut Q<'_>, name: &str) -> Option<(i64, Option<i64>)> {
    match q.push_item(item("", name)) {
        Pushed::Duplicate(queued) => Some((queued.id, queued.position)),
        _ => None,
    }
}

#[test]
fn a_name_says_the_place_and_has_no_row() {
    let mut bench = Bench::new(MemoryStore::default());
    let q = &mut Q(&mut bench);
    for (at, (name, _)) in push(q, 3).iter().enumerate() {
        assert_eq!(placed(name).unwrap().seq, at as i64 + 1);
    }
    let given = "0197f0a0-0000-7000-8000-000000000004";
    assert!(duplicate(q, given).is_none());
    q.push("q", &["a"]);
    let from = (i64::MIN, [0; 16]);
    let rows = bench.store.scan::<r::Named>(&from, &(i64::MAX, [0; 16]), 9);
    let places: Vec<i64> = rows.unwrap().iter().map(|named| named.seq).collect();
    assert_eq!(
        places,
        [5],
        "what says its own place needs none, whoever gave it"
    );
}

#[test]
fn it_is_a_duplicate_while_the_message_is_there_and_for_a_while_after() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"dedupWindowSeconds": 60, "fifo": fifo}));
            let pushed = push(q, 5);
            for (place, (name, id)) in pushed.iter().enumerate() {
                assert_eq!(duplicate(q, name), Some((*id, Some(place as i64 + 1))));
            }
            let popped = q.pop(5);
            q.complete(&popped);
            let again = q.ack_as(
                DEFAULT_GROUP,
                popped.lease,
                &popped.messages,
                Verdict::Completed,
            );
            assert!(
                again.iter().all(|result| code(result) == "completed"),
                "{again:?}"
            );
            q.wait(59_999);
            q.sweep();
            for (name, id) in &pushed {
                assert_eq!(duplicate(q, name), Some((*id, None)));
            }
            // In another partition it is another message, and so is one that only says the same place.
            assert!(matches!(
                q.push_item(item("other", &pushed[0].0)),
                Pushed::Queued(_)
            ));
            let mut similar = pushed[0].0.clone();
            similar.replace_range(0..1, if similar.starts_with('f') { "e" } else { "f" });
            assert_eq!(duplicate(q, &similar), None);
            q.wait(1);
            assert_eq!(duplicate(q, &pushed[0].0), None);
            assert!(
                duplicate(q, &pushed[0].0).is_some(),
                "as a name that was given"
            );
        });
    }
}

#[test]
fn what_died_may_be_pushed_again() {
    everywhere(|q| {
        let pushed = push(q, 2);
        let popped = q.pop(2);
        let ended = q.ack_as(DEFAULT_GROUP, popped.lease, &popped.messages, Verdict::Dead);
        assert!(ended.iter().all(Result::is_ok));
        for (name, _) in &pushed {
            assert_eq!(duplicate(q, name), None);
        }
        // Its replay has the same name, and both are acked.
        let dead = q.dead();
        let id = dead[0]["id"].as_str().unwrap().parse().unwrap();
        q.run(&Op::DeadReplay { id });
        let popped = q.pop(3);
        assert_eq!(popped.messages.len(), 3);
        q.complete(&popped);
        assert_eq!(q.status()["depth"], 0);
    });
}

#[test]
fn completed_ones_are_kept_for_their_retention() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"completedRetentionSeconds": 10, "fifo": fifo}));
            let pushed = push(q, 3);
            let popped = q.pop(3);
            q.complete(&popped);
            assert_eq!(duplicate(q, &pushed[1].0), Some((pushed[1].1, Some(2))));
            q.wait(10_000);
            q.sweep();
            assert_eq!(duplicate(q, &pushed[1].0), Some((pushed[1].1, None)));
            q.wait(300_000);
            q.sweep();
            q.wait(301_000);
            q.sweep();
            assert_eq!(q.0.bytes(), 0);
        });
    }
}

#[test]
fn a_batch_that_is_acked_in_parts_and_out_of_order_ends_all_the_same() {
    everywhere(|q| {
        let pushed = push(q, 10);
        q.pop_of("other", 1);
        let popped = q.pop(10);
        let ack = |q: &mut Q<'_>, places: &[usize]| {
            let messages: Vec<_> = places
                .iter()
                .map(|at| popped.messages[*at].clone())
                .collect();
            q.ack_as(DEFAULT_GROUP, popped.lease, &messages, Verdict::Completed)
        };
        for places in [&[0, 1][..], &[2, 5, 4], &[3, 9], &[6, 7, 8]] {
            let acked = ack(q, places);
            assert!(acked.iter().all(Result::is_ok), "{acked:?}");
        }
        assert_eq!(code(&ack(q, &[4])[0]), "completed");
        let status = q.status();
        assert_eq!(status["inFlight"], 1, "the other group's: {status}");
        // The other group has all of them still.
        assert_eq!(status["depth"], 10);
        q.wait(300_001);
        q.pop_of("other", 10);
        q.wait(2_000);
        let popped = q.pop_of("other", 10);
        assert_eq!(
            names(&popped),
            [pushed[0].0.as_str()],
            "it comes alone after its lease ran out"
        );
    });
}

#[test]
fn a_lease_that_ran_out_acks_nothing_of_a_batch() {
    everywhere(|q| {
        q.configure("q", json!({"leaseTime": 1}));
        push(q, 3);
        let late = q.pop(3);
        q.wait(1_000);
        let acked = q.ack_as(
            DEFAULT_GROUP,
            late.lease,
            &late.messages,
            Verdict::Completed,
        );
        assert!(
            acked.iter().all(|result| code(result) == "lease-expired"),
            "{acked:?}"
        );
        assert_eq!(q.status()["depth"], 3);
    });
}

#[test]
fn marks_of_runs_end_and_give_way() {
    everywhere(|q| {
        q.0.limits().queue_bytes = 5_000;
        for _ in 0..100 {
            push(q, 5);
            let popped = q.pop(5);
            q.complete(&popped);
            assert!(q.0.bytes() <= 5_000);
        }
        let last = push(q, 1);
        assert!(duplicate(q, &last[0].0).is_some());
        let popped = q.pop(1);
        q.complete(&popped);
        q.wait(301_000);
        q.sweep();
        assert_eq!(q.0.bytes(), 0);
        q.sweep();
        assert_eq!(q.0.rows(), 3);
    });
}

#[test]
fn a_partition_that_is_cleared_leaves_no_bytes_behind() {
    everywhere(|q| {
        push(q, 4);
        let popped = q.pop(4);
        q.complete(&popped);
        push(q, 2);
        q.run(&Op::Clear {
            queue: "q".to_owned(),
            partition: None,
        });
        q.sweep();
        q.wait(301_000);
        q.sweep();
        assert_eq!(q.0.bytes(), 0);
    });
}
