//! What a group waits for, what is kept, and what goes: counted exactly, whatever was sought, cleared or ended.

use super::*;

/// Of the group of that name: what it waits for, and what it has leased.
fn counts(q: &mut Q<'_>, group: &str) -> (i64, i64) {
    let status = q.status();
    let groups = status["consumerGroups"].as_array().unwrap();
    let found = groups.iter().find(|one| one["name"] == group).unwrap();
    let number = |name: &str| found[name].as_i64().unwrap();
    (number("waiting"), number("inFlight"))
}

/// The messages that are there and not completed, and the completed ones that are kept.
fn there(q: &mut Q<'_>) -> (i64, i64) {
    let messages = q.status()["messages"].clone();
    let number = |name: &str| messages[name].as_i64().unwrap();
    (number("total"), number("retained"))
}

fn seek(q: &mut Q<'_>, group: &str, to: Start) {
    let (queue, group) = ("q".to_owned(), group.to_owned());
    let answer = q.run(&Op::Seek { queue, group, to });
    assert!(matches!(answer, Answer::Json(_)), "{answer:?}");
}

fn ack(q: &mut Q<'_>, group: &str, popped: &Popped, at: &[usize], verdict: Verdict) {
    let some: Vec<_> = at.iter().map(|at| popped.messages[*at].clone()).collect();
    let acked = q.ack_as(group, popped.lease, &some, verdict);
    assert!(acked.iter().all(Result::is_ok), "{acked:?}");
}

#[test]
fn after_a_seek_to_a_time_with_gaps_behind_it_a_group_waits_for_what_is_there() {
    everywhere(|q| {
        q.configure("q", json!({"completedRetentionSeconds": 3_600}));
        for name in ["a", "b", "c", "d", "e"] {
            q.push("q", &[name]);
            q.wait(1_000);
        }
        let popped = q.pop_of("g", 5);
        ack(q, "g", &popped, &[2], Verdict::Dead);
        ack(q, "g", &popped, &[0, 1, 3, 4], Verdict::Completed);
        assert_eq!(counts(q, "g"), (0, 0));
        seek(q, "g", Start::From(BEGIN + 1_000));
        assert_eq!(counts(q, "g"), (3, 0));
        assert_eq!(names(&q.pop_of("g", 5)), ["b", "d", "e"]);
        assert_eq!(counts(q, "g"), (3, 3));
    });
}

#[test]
fn a_seek_counts_no_replay_of_another_group() {
    everywhere(|q| {
        q.push("q", &["a"]);
        q.pop_of("g", 1);
        let popped = q.pop_of("other", 1);
        ack(q, "other", &popped, &[0], Verdict::Dead);
        let id = q.dead()[0]["id"].as_str().unwrap().parse().unwrap();
        q.run(&Op::DeadReplay { id });
        seek(q, "g", Start::From(0));
        assert_eq!((counts(q, "g"), counts(q, "other")), ((1, 0), (1, 0)));
    });
}

#[test]
fn a_partition_that_is_cleared_takes_along_what_groups_wait_for_and_have_leased() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo}));
            q.push("q/p", &["a", "b", "c"]);
            q.push("q/r", &["d"]);
            let of_p = q.pop_of("g", 3);
            q.pop_of("late", 1);
            ack(q, "g", &of_p, &[1], Verdict::Completed);
            assert_eq!(counts(q, "g"), (3, 2), "fifo {fifo}");
            let (queue, partition) = ("q".to_owned(), Some("p".to_owned()));
            q.run(&Op::Clear { queue, partition });
            assert_eq!(counts(q, "g"), (1, 0), "fifo {fifo}");
            assert_eq!(counts(q, "late"), (1, 0), "fifo {fifo}");
            assert_eq!(there(q), (1, 0), "fifo {fifo}");
        });
    }
}

#[test]
fn a_large_partition_that_is_cleared_is_taken_along_bit_by_bit() {
    let count: usize = 2_000;
    over_both(&|q| {
        for part in 0..count / 500 {
            let names: Vec<_> = (0..500).map(|n| format!("{part}-{n}")).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            q.push("q", &names);
        }
        q.push("q/other", &["a"]);
        q.pop_of("g", 10);
        let (queue, partition) = ("q".to_owned(), Some("Default".to_owned()));
        q.run(&Op::Clear { queue, partition });
        let (waiting, out) = counts(q, "g");
        assert!((2..2_001).contains(&waiting), "{waiting}");
        assert_eq!(out, 0);
        q.sweep();
        assert_eq!(counts(q, "g"), (1, 0));
    });
}

#[test]
fn what_a_group_waits_for_among_very_many_is_at_most_too_high_and_is_none_in_the_end() {
    over_both(&|q| {
        q.configure("q", json!({"completedRetentionSeconds": 3_600}));
        for part in 0..3 {
            let names: Vec<_> = (0..500).map(|n| format!("{part}-{n}")).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            q.push("q", &names);
        }
        for n in 0..2 {
            let popped = q.pop_of("g", 750);
            ack(q, "g", &popped, &[n, 17 + n], Verdict::Dead);
            let rest = (0..popped.messages.len()).filter(|at| ![n, 17 + n].contains(at));
            let rest: Vec<_> = rest.collect();
            ack(q, "g", &popped, &rest, Verdict::Completed);
        }
        seek(q, "g", Start::From(BEGIN - 1));
        let (waiting, _) = counts(q, "g");
        assert!((1_496..=1_500).contains(&waiting), "{waiting}");
        for _ in 0..3 {
            let popped = q.pop_of("g", 1_000);
            q.ack_as("g", popped.lease, &popped.messages, Verdict::Completed);
        }
        assert_eq!(counts(q, "g"), (0, 0));
    });
}

#[test]
fn a_group_with_many_partitions_counts_them_all_though_it_pops_from_one() {
    over_both(&|q| {
        for n in 0..700 {
            q.push(&format!("q/p{n}"), &["a"]);
        }
        q.pop_of("g", 1);
        q.sweep();
        assert_eq!(counts(q, "g"), (700, 1));
    });
}

#[test]
fn a_message_that_is_completed_twice_is_kept_once_and_from_the_second_time_on() {
    everywhere(|q| {
        q.configure("q", json!({"completedRetentionSeconds": 10}));
        q.push("q", &["a", "b"]);
        for _ in 0..2 {
            let popped = q.pop_of("g", 2);
            ack(q, "g", &popped, &[0, 1], Verdict::Completed);
            assert_eq!(there(q), (0, 2));
            q.wait(6_000);
            q.sweep();
            seek(q, "g", Start::From(0));
        }
        // They are not over yet: 12 s after the first time, and 6 s after the second.
        assert_eq!(there(q), (0, 2));
        seek(q, "g", Start::New);
        q.wait(6_000);
        q.sweep();
        assert_eq!(there(q), (0, 0));
        assert_eq!(q.status()["messages"]["total"], 0);
    });
}

#[test]
fn what_no_group_needs_goes_with_a_group_that_ends_and_what_is_kept_stays() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure(
                "q",
                json!({"fifo": fifo, "completedRetentionSeconds": 3_600}),
            );
            q.push("q", &["a", "b", "c"]);
            q.pop_of("last", 1);
            let popped = q.pop_of("g", 3);
            ack(q, "g", &popped, &[1, 2], Verdict::Completed);
            let group = "last".to_owned();
            q.run(&Op::DeleteGroup { queue: None, group });
            q.sweep();
            // "a" is before "g" still; nobody needs "b" and "c", and nothing of them was kept.
            assert_eq!(there(q), (1, 0), "fifo {fifo}");
            ack(q, "g", &popped, &[0], Verdict::Completed);
            assert_eq!(there(q), (0, 1), "fifo {fifo}");
            q.pop_with(|request| {
                request.group = "new".to_owned();
                request.start = Start::New;
            });
            let group = "new".to_owned();
            q.run(&Op::DeleteGroup { queue: None, group });
            q.sweep();
            assert_eq!(there(q), (0, 1), "fifo {fifo}");
            seek(q, "g", Start::From(0));
            assert_eq!(names(&q.pop_of("g", 3)), ["a"], "fifo {fifo}");
        });
    }
}

#[test]
fn a_replay_goes_with_its_group_though_no_other_is_left() {
    everywhere(|q| {
        q.push("q", &["a", "b"]);
        let popped = q.pop(2);
        ack(q, DEFAULT_GROUP, &popped, &[0], Verdict::Dead);
        ack(q, DEFAULT_GROUP, &popped, &[1], Verdict::Completed);
        let id = q.dead()[0]["id"].as_str().unwrap().parse().unwrap();
        q.run(&Op::DeadReplay { id });
        q.push("q", &["c"]);
        assert_eq!(there(q), (2, 0));
        let group = DEFAULT_GROUP.to_owned();
        q.run(&Op::DeleteGroup { queue: None, group });
        q.sweep();
        assert_eq!(there(q), (1, 0));
        assert_eq!(names(&q.pop_of("new", 2)), ["c"]);
    });
}

#[test]
fn a_lease_ends_with_its_queue_at_once() {
    for clear in [true, false] {
        everywhere(|q| {
            q.push("q", &["a"]);
            let lease = q.pop(1).lease.unwrap();
            let queue = "q".to_owned();
            q.run(&match clear {
                true => Op::Clear {
                    queue,
                    partition: None,
                },
                false => Op::DeleteQueue(queue),
            });
            let leases = Query::Leases(vec![lease]);
            let out = |q: &mut Q<'_>| match q.0.look(&leases) {
                Answer::Json(count) => count,
                other => panic!("{other:?}"),
            };
            assert_eq!(out(q), 0, "clear {clear}");
            let extended = q.run(&Op::Extend { lease, ms: None });
            assert!(matches!(extended, Answer::Refused(_)), "{extended:?}");
        });
    }
}

#[test]
fn a_message_that_no_group_has_before_it_is_deleted_by_hand() {
    use crate::jobs::op::{Touch, What};
    everywhere(|q| {
        q.push("q", &["a"]);
        q.pop_with(|request| request.start = Start::New);
        let messages = |q: &mut Q<'_>| {
            let query = crate::jobs::lists::MessagesQuery {
                limit: 10,
                ..Default::default()
            };
            q.list(&Query::Lists(crate::jobs::lists::Query::Messages(query)))
        };
        let [message] = &messages(q)[..] else {
            panic!()
        };
        let text = |name: &str| message[name].as_str().unwrap().to_owned();
        let delete = Op::Touch(Touch {
            partition_id: text("partitionId"),
            name: text("transactionId"),
            group: None,
            what: What::Delete,
        });
        assert!(matches!(q.run(&delete), Answer::Json(_)));
        assert_eq!((there(q), messages(q).len()), ((0, 0), 0));
        assert!(matches!(q.run(&delete), Answer::Refused(_)));
    });
}

#[test]
fn what_was_cleared_is_in_no_list_though_its_rows_are_there_for_a_while() {
    everywhere(|q| {
        q.push("q", &["a"]);
        q.push("q/p", &["b"]);
        let (queue, partition) = ("q".to_owned(), None);
        q.run(&Op::Clear { queue, partition });
        q.wait(5_000);
        q.push("q", &["c"]);
        let status = q.status();
        assert_eq!(status["partitionList"].as_array().unwrap().len(), 1);
        assert_eq!(status["oldestAgeSeconds"], 0.0);
        for query in [
            crate::jobs::lists::Query::Messages(crate::jobs::lists::MessagesQuery {
                limit: 10,
                ..Default::default()
            }),
            crate::jobs::lists::Query::Peek {
                queue: "q".to_owned(),
                partition: None,
                group: "new".to_owned(),
                limit: 10,
            },
        ] {
            let rows = q.list(&Query::Lists(query.clone()));
            let names: Vec<_> = rows.iter().map(|row| &row["transactionId"]).collect();
            assert_eq!(names, ["c"], "{query:?}");
        }
    });
}
