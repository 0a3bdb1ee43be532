//! Consumer groups: each sees every message, from where it begins.

use super::*;
use crate::jobs::op::Touch;
use crate::jobs::op::What;
use crate::limits::JOB_DISCARDS;

#[test]
fn each_group_sees_every_message_and_only_the_last_one_deletes_it() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo}));
            q.push("q", &["a", "b"]);
            let x = q.pop_of("x", 2);
            let y = q.pop_of("y", 2);
            assert_eq!(names(&x), ["a", "b"]);
            assert_eq!(names(&y), ["a", "b"]);
            q.ack_as("x", x.lease, &x.messages, Verdict::Completed);
            assert_eq!(q.status()["depth"], 2, "y has them before it");
            q.ack_as("y", y.lease, &y.messages, Verdict::Completed);
            assert_eq!(q.status()["depth"], 0);
        });
    }
}

#[test]
fn a_new_group_sees_the_backlog_unless_it_says_otherwise() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo}));
            q.push("q", &["old"]);
            q.push("q/p2", &["old2"]);
            q.pop_with(|request| {
                request.group = "new".to_owned();
                request.start = Start::New;
            });
            q.wait(10);
            q.push("q", &["fresh"]);
            let fresh = q.pop_of("new", 10);
            assert_eq!(names(&fresh), ["fresh"]);
            let all = q.pop_with(|request| {
                request.group = "all".to_owned();
                request.batch = 10;
                request.partitions = 10;
            });
            assert_eq!(all.messages.len(), 3);
        });
    }
}

#[test]
fn where_a_new_group_begins_is_decided_at_its_first_pop_even_of_a_queue_that_is_not_there() {
    everywhere(|q| {
        let new = |request: &mut PopRequest| {
            request.group = "g".to_owned();
            request.start = Start::New;
        };
        assert!(q.pop_with(new).messages.is_empty());
        q.push("q", &["a"]);
        assert_eq!(names(&q.pop_with(new)), ["a"]);
    });
}

#[test]
fn a_group_begins_at_a_time() {
    everywhere(|q| {
        for name in ["a", "b", "c", "d"] {
            q.push("q", &[name]);
            q.wait(1_000);
        }
        let popped = q.pop_with(|request| {
            request.group = "g".to_owned();
            request.batch = 10;
            request.start = Start::From(BEGIN + 2_000);
        });
        assert_eq!(names(&popped), ["c", "d"]);
    });
}

#[test]
fn a_group_seeks_back_and_to_the_end() {
    everywhere(|q| {
        q.configure("q", json!({"completedRetentionSeconds": 3_600}));
        q.push("q", &["a", "b"]);
        let popped = q.pop_of("g", 2);
        q.ack_as("g", popped.lease, &popped.messages, Verdict::Completed);
        assert_eq!(q.status()["depth"], 0);
        let seek = |to| Op::Seek {
            queue: "q".to_owned(),
            group: "g".to_owned(),
            to,
        };
        q.run(&seek(Start::From(0)));
        assert_eq!(names(&q.pop_of("g", 2)), ["a", "b"]);
        q.run(&seek(Start::New));
        assert!(q.pop_of("g", 2).messages.is_empty());
        q.push("q", &["c"]);
        assert_eq!(names(&q.pop_of("g", 2)), ["c"]);
    });
}

#[test]
fn seeks_that_are_not_cleaned_up_yet_have_a_bound() {
    everywhere(|q| {
        q.configure("q", json!({}));
        q.pop_of("g", 1);
        q.push("q", &["a"]);
        let seek = Op::Seek {
            queue: "q".to_owned(),
            group: "g".to_owned(),
            to: Start::From(0),
        };
        for _ in 0..JOB_DISCARDS {
            assert!(matches!(q.run(&seek), Answer::Json(_)));
        }
        let others = [
            Op::DeleteQueue("q".to_owned()),
            Op::Clear {
                queue: "q".to_owned(),
                partition: None,
            },
            Op::DeleteGroup {
                queue: None,
                group: "g".to_owned(),
            },
            Op::Subscribe {
                group: "g".to_owned(),
                from: 0,
            },
        ];
        for op in others.iter().chain([&seek]) {
            match q.run(op) {
                Answer::Refused(refusal) => assert_eq!(refusal.status, 429, "{op:?}"),
                other => panic!("{op:?}: {other:?}"),
            }
        }
        // Nothing was done, and the group goes on from where it was put.
        q.sweep();
        assert!(matches!(q.run(&seek), Answer::Json(_)));
        assert_eq!(names(&q.pop_of("g", 1)), ["a"]);
    });
}

#[test]
fn a_group_that_ends_lets_go_of_what_only_it_had_before_it() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo, "dedupWindowSeconds": 0}));
            q.pop_of("x", 1);
            q.pop_of("y", 1);
            q.push("q", &["a", "b"]);
            let x = q.pop_of("x", 2);
            q.ack_as("x", x.lease, &x.messages, Verdict::Completed);
            q.run(&Op::DeleteGroup {
                queue: Some("q".to_owned()),
                group: "y".to_owned(),
            });
            q.sweep();
            assert_eq!(q.status()["depth"], 0);
            assert_eq!(q.status()["consumerGroups"].as_array().unwrap().len(), 1);
        });
    }
}

#[test]
fn a_group_that_nobody_asks_for_ends_by_itself() {
    everywhere(|q| {
        q.configure("q", json!({"groupIdleSeconds": 3_600}));
        q.pop_of("idle", 1);
        q.pop_of("busy", 1);
        q.push("q", &["a"]);
        for _ in 0..70 {
            q.wait(60_000);
            let popped = q.pop_of("busy", 1);
            q.ack_as("busy", popped.lease, &popped.messages, Verdict::Completed);
        }
        q.sweep();
        let groups = q.status()["consumerGroups"].clone();
        assert_eq!(groups.as_array().unwrap().len(), 1);
        assert_eq!(groups[0]["name"], "busy");
        assert_eq!(q.status()["depth"], 0);
    });
}

#[test]
fn a_replay_from_the_dead_letter_queue_goes_to_the_group_it_died_in() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo, "retryLimit": 0}));
            q.push("q", &["a"]);
            let x = q.pop_of("x", 1);
            q.pop_of("y", 1);
            q.ack_as("x", x.lease, &x.messages, Verdict::Failed);
            let id: i64 = q.dead()[0]["id"].as_str().unwrap().parse().unwrap();
            q.run(&Op::DeadReplay { id });
            assert!(q.dead().is_empty());
            let again = q.pop_of("x", 5);
            assert_eq!(names(&again), ["a"]);
            assert!(q.pop_of("y", 5).messages.is_empty());
            assert!(
                q.pop_of("z", 5)
                    .messages
                    .iter()
                    .all(|message| message.seq == 1)
            );
            let acked = q.ack_as("x", again.lease, &again.messages, Verdict::Completed);
            assert!(acked[0].is_ok(), "{acked:?}");
        });
    }
}

#[test]
fn attempts_are_counted_by_message_and_group() {
    everywhere(|q| {
        q.configure("q", json!({"retryDelay": 0}));
        q.push("q", &["a"]);
        let x = q.pop_of("x", 1);
        q.ack_as("x", x.lease, &x.messages, Verdict::Failed);
        assert_eq!(q.pop_of("x", 1).messages[0].retries, 1);
        assert_eq!(q.pop_of("y", 1).messages[0].retries, 0);
    });
}

#[test]
fn a_requeued_message_is_pending_at_once_whatever_it_waited_for() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo, "retryDelay": 60_000}));
            q.push("q", &["a"]);
            let popped = q.pop(1);
            let message = popped.messages[0].clone();
            let touch = |what| {
                Op::Touch(Touch {
                    partition_id: partition_id(message.partition, message.partition_tag),
                    name: "a".to_owned(),
                    group: None,
                    what,
                })
            };
            q.fail(&popped);
            assert!(q.pop(1).messages.is_empty());
            q.run(&touch(What::Requeue));
            let again = q.pop(1);
            assert_eq!(again.messages[0].retries, 1);
            // Leased to somebody who will not come back.
            q.run(&touch(What::Requeue));
            let third = q.pop(1);
            assert_eq!(names(&third), ["a"]);
            let stale = q.ack_as(
                DEFAULT_GROUP,
                again.lease,
                &again.messages,
                Verdict::Completed,
            );
            assert_eq!(code(&stale[0]), "lease-expired");
            q.run(&touch(What::ToDead));
            assert_eq!(q.dead().len(), 1);
            let gone = q.run(&touch(What::Delete));
            assert!(matches!(gone, Answer::Refused(_)), "{gone:?}");
        });
    }
}
