//! Leases are fenced, and every delivery counts.

use super::*;

#[test]
fn an_ack_with_a_lease_that_has_run_out_changes_nothing_and_says_so() {
    everywhere(|q| {
        q.configure("q", json!({"leaseTime": 10}));
        q.push("q", &["a"]);
        let first = q.pop(1);
        q.wait(10_000);
        let late = q.ack_as(
            DEFAULT_GROUP,
            first.lease,
            &first.messages,
            Verdict::Completed,
        );
        assert_eq!(code(&late[0]), "lease-expired");
        q.wait(2_000);
        let second = q.pop(1);
        assert_eq!(second.messages[0].retries, 1);
        for verdict in [Verdict::Completed, Verdict::Failed, Verdict::Dead] {
            let stale = q.ack_as(DEFAULT_GROUP, first.lease, &first.messages, verdict);
            assert_eq!(code(&stale[0]), "lease-expired");
        }
        q.complete(&second);
        assert!(q.dead().is_empty());
        assert_eq!(q.status()["depth"], 0);
    });
}

#[test]
fn an_ack_without_a_lease_is_taken_only_if_no_other_attempt_can_be_meant() {
    everywhere(|q| {
        q.configure("q", json!({"leaseTime": 10, "retryDelay": 0}));
        q.push("q", &["a", "b", "c"]);
        let a = q.pop(1);
        assert_eq!(
            code(&q.ack_as(DEFAULT_GROUP, None, &a.messages, Verdict::Completed)[0]),
            "ok"
        );
        // Its time ran out, and nobody has had it since.
        let b = q.pop(1);
        q.wait(10_000);
        assert_eq!(
            code(&q.ack_as(DEFAULT_GROUP, None, &b.messages, Verdict::Completed)[0]),
            "ok"
        );
        // Its time ran out, and another has it.
        let c = q.pop(1);
        q.wait(10_000);
        let again = q.pop(1);
        assert_eq!(names(&again), ["c"]);
        let unknown = q.ack_as(DEFAULT_GROUP, None, &c.messages, Verdict::Completed);
        assert_eq!(code(&unknown[0]), "lease-needed");
        q.complete(&again);
        let never = q.ack_as(DEFAULT_GROUP, None, &c.messages, Verdict::Completed);
        assert_eq!(code(&never[0]), "completed");
    });
}

#[test]
fn a_message_that_was_never_popped_cannot_be_acked() {
    everywhere(|q| {
        q.push("q", &["a", "b"]);
        let a = q.pop(1);
        let mut b = a.messages.clone();
        b[0].name = "b".to_owned();
        assert_eq!(
            code(&q.ack_as(DEFAULT_GROUP, a.lease, &b, Verdict::Completed)[0]),
            "lease-expired"
        );
        assert_eq!(
            code(&q.ack_as(DEFAULT_GROUP, None, &b, Verdict::Completed)[0]),
            "not-leased"
        );
        b[0].name = "x".to_owned();
        assert_eq!(
            code(&q.ack_as(DEFAULT_GROUP, None, &b, Verdict::Completed)[0]),
            "not-found"
        );
        b[0].partition_tag += 1;
        assert_eq!(
            code(&q.ack_as(DEFAULT_GROUP, None, &b, Verdict::Completed)[0]),
            "not-found"
        );
    });
}

#[test]
fn an_extended_lease_lives_longer_and_one_that_is_over_cannot_be_extended() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"leaseTime": 10, "fifo": fifo}));
            q.push("q", &["a", "b"]);
            let popped = q.pop(2);
            let lease = popped.lease.unwrap();
            q.wait(9_000);
            let until = q.run(&Op::Extend {
                lease,
                ms: Some(20_000),
            });
            assert_eq!(until, Answer::Extended(BEGIN + 29_000));
            q.wait(19_000);
            assert!(q.pop(2).messages.is_empty());
            q.complete(&popped);
            let over = q.run(&Op::Extend { lease, ms: None });
            assert!(matches!(over, Answer::Refused(refusal) if refusal.code == "lease-expired"));
        });
    }
}

#[test]
fn a_message_that_kills_its_worker_reaches_the_dead_letter_queue_after_its_retries() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"leaseTime": 1, "retryLimit": 2, "fifo": fifo}));
            q.push("q", &["poison"]);
            let mut deliveries = 0;
            for _ in 0..100 {
                let popped = q.pop(1);
                if let Some(message) = popped.messages.first() {
                    assert_eq!(message.retries, deliveries);
                    deliveries += 1;
                }
                q.wait(1_000);
            }
            assert_eq!(deliveries, 3, "one delivery and two retries");
            let dead = q.dead();
            assert_eq!(dead.len(), 1);
            assert_eq!(dead[0]["transactionId"], "poison");
            assert_eq!(dead[0]["attempts"], 3);
            assert_eq!(dead[0]["data"], "poison");
            assert!(
                dead[0]["errorMessage"]
                    .as_str()
                    .unwrap()
                    .contains("ran out")
            );
            assert_eq!(q.status()["depth"], 0);
        });
    }
}

#[test]
fn a_failed_message_waits_longer_each_time_and_dies_with_its_last_error() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure(
                "q",
                json!({"retryDelay": 1_000, "retryLimit": 3, "fifo": fifo}),
            );
            q.push("q", &["a"]);
            for pause in [1_000, 2_000, 4_000] {
                let popped = q.pop(1);
                assert_eq!(names(&popped), ["a"]);
                q.fail(&popped);
                q.wait(pause * 9 / 10 - 1);
                let early = q.pop(1);
                assert!(early.messages.is_empty());
                assert!(early.next_at.is_some(), "who waits is told when to look");
                q.wait(pause / 5 + 2);
            }
            let last = q.pop(1);
            let item = AckItem {
                partition_id: partition_id(
                    last.messages[0].partition,
                    last.messages[0].partition_tag,
                ),
                name: "a".to_owned(),
                verdict: Verdict::Failed,
                error: Some("no such account".to_owned()),
                lease: last.lease,
                group: DEFAULT_GROUP.to_owned(),
            };
            q.run(&Op::Ack(vec![item]));
            let dead = q.dead();
            assert_eq!(dead[0]["errorMessage"], "no such account");
            assert_eq!(dead[0]["retryCount"], 3);
        });
    }
}

#[test]
fn an_ack_of_dlq_goes_there_at_once_and_the_rest_of_the_batch_stays_leased() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo}));
            q.push("q", &["a", "b", "c"]);
            let popped = q.pop(3);
            let acked = q.ack_as(
                DEFAULT_GROUP,
                popped.lease,
                &popped.messages[..1],
                Verdict::Dead,
            );
            assert!(acked[0].as_ref().unwrap().dead);
            assert_eq!(q.dead().len(), 1);
            let rest = q.ack_as(
                DEFAULT_GROUP,
                popped.lease,
                &popped.messages[1..],
                Verdict::Completed,
            );
            assert!(rest.iter().all(Result::is_ok), "{rest:?}");
            assert_eq!(q.status()["depth"], 0);
        });
    }
}

#[test]
fn what_was_popped_and_reached_nobody_goes_back_without_losing_an_attempt() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo}));
            q.push("q", &["a", "b"]);
            let lost = q.pop(2);
            q.run(&Op::Release(lost.lease.unwrap()));
            let again = q.pop(2);
            assert_eq!(names(&again), ["a", "b"]);
            assert!(again.messages.iter().all(|message| message.retries == 0));
            q.complete(&again);
            assert_eq!(q.status()["inFlight"], 0);
        });
    }
}

#[test]
fn one_lease_of_several_partitions_is_extended_and_ends_as_one() {
    everywhere(|q| {
        q.configure("q", json!({"leaseTime": 10}));
        for partition in ["q/a", "q/b", "q/c"] {
            q.push(partition, &[partition]);
        }
        let popped = q.pop_with(|request| {
            request.batch = 10;
            request.partitions = 2;
        });
        assert_eq!(
            popped.messages.len(),
            2,
            "of two partitions, though there are three"
        );
        assert!(popped.more);
        let lease = popped.lease.unwrap();
        q.wait(9_000);
        q.run(&Op::Extend { lease, ms: None });
        q.wait(9_000);
        q.complete(&popped);
        assert_eq!(q.pop(10).messages.len(), 1);
    });
}

#[test]
fn messages_that_are_acked_as_they_are_popped_need_no_ack() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo}));
            q.push("q", &["a", "b", "c"]);
            let popped = q.pop_with(|request| {
                request.batch = 2;
                request.auto_ack = true;
            });
            assert_eq!((names(&popped), popped.lease), (vec!["a", "b"], None));
            assert_eq!(q.status()["completed"], 2);
            assert_eq!(names(&q.pop(5)), ["c"]);
        });
    }
}
