//! Order within a partition, and turns between them.

use super::*;

#[test]
fn a_partition_has_one_lease_of_a_group_at_a_time() {
    everywhere(|q| {
        q.push("q", &["a", "b", "c"]);
        let first = q.pop(2);
        assert_eq!(names(&first), ["a", "b"]);
        assert!(q.pop(2).messages.is_empty());
        q.complete(&first);
        assert_eq!(names(&q.pop(2)), ["c"]);
    });
}

#[test]
fn a_failed_message_comes_first_again_and_what_was_behind_it_loses_no_attempt() {
    everywhere(|q| {
        q.configure("q", json!({"retryDelay": 1_000}));
        q.push("q", &["a", "b", "c", "d"]);
        let popped = q.pop(4);
        q.ack_as(
            DEFAULT_GROUP,
            popped.lease,
            &popped.messages[..1],
            Verdict::Completed,
        );
        let failed = q.ack_as(
            DEFAULT_GROUP,
            popped.lease,
            &popped.messages[1..2],
            Verdict::Failed,
        );
        assert!(failed[0].as_ref().unwrap().lease_released);
        let late = q.ack_as(
            DEFAULT_GROUP,
            popped.lease,
            &popped.messages[2..3],
            Verdict::Completed,
        );
        assert_eq!(
            code(&late[0]),
            "lease-expired",
            "it comes again, behind the failed one"
        );
        assert!(q.pop(4).messages.is_empty());
        q.wait(1_100);
        let again = q.pop(4);
        assert_eq!(names(&again), ["b", "c", "d"]);
        let retries: Vec<_> = again
            .messages
            .iter()
            .map(|message| message.retries)
            .collect();
        assert_eq!(retries, [1, 0, 0]);
        q.complete(&again);
        assert_eq!(q.status()["depth"], 0);
    });
}

#[test]
fn acks_of_one_request_are_taken_in_any_order() {
    everywhere(|q| {
        q.push("q", &["a", "b", "c", "d"]);
        let popped = q.pop(3);
        let mut reversed = popped.messages.clone();
        reversed.reverse();
        let acked = q.ack_as(DEFAULT_GROUP, popped.lease, &reversed, Verdict::Completed);
        assert!(acked.iter().all(Result::is_ok), "{acked:?}");
        assert_eq!(names(&q.pop(3)), ["d"]);
    });
}

#[test]
fn a_failed_message_blocks_only_its_own_partition() {
    everywhere(|q| {
        q.push("q/x", &["x1", "x2"]);
        q.push("q/y", &["y1", "y2"]);
        let x = q.pop(1);
        assert_eq!(names(&x), ["x1"]);
        q.fail(&x);
        let y = q.pop(1);
        assert_eq!(names(&y), ["y1"]);
        q.complete(&y);
        assert_eq!(names(&q.pop(1)), ["y2"]);
        assert!(q.pop(1).messages.is_empty());
    });
}

#[test]
fn after_an_expired_batch_messages_come_one_by_one_until_one_succeeds() {
    everywhere(|q| {
        q.configure(
            "q",
            json!({"leaseTime": 1, "retryDelay": 0, "retryLimit": 1}),
        );
        q.push("q", &["poison", "b", "c", "d"]);
        assert_eq!(q.pop(10).messages.len(), 4);
        q.wait(1_000);
        // The poisonous one dies alone.
        assert_eq!(names(&q.pop(10)), ["poison"]);
        q.wait(1_000);
        let b = q.pop(10);
        assert_eq!(names(&b), ["b"]);
        q.complete(&b);
        let rest = q.pop(10);
        assert_eq!(names(&rest), ["c", "d"]);
        q.complete(&rest);
        let dead = q.dead();
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0]["transactionId"], "poison");
    });
}

#[test]
fn partitions_have_turns_and_none_waits_for_a_busy_one() {
    everywhere(|q| {
        for i in 0..20 {
            q.push("q/a", &[&format!("a{i}")]);
        }
        q.push("q/b", &["b0"]);
        q.push("q/c", &["c0"]);
        let mut seen = Vec::new();
        for _ in 0..4 {
            let popped = q.pop_with(|request| request.auto_ack = true);
            seen.extend(
                popped
                    .messages
                    .into_iter()
                    .map(|message| message.partition_name),
            );
        }
        assert_eq!(seen, ["a", "b", "c", "a"]);
    });
}

#[test]
fn without_order_the_highest_priority_comes_first_then_the_oldest() {
    everywhere(|q| {
        q.configure("q", json!({"fifo": false}));
        for (name, priority) in [
            ("low", 0),
            ("high", 5),
            ("low2", 0),
            ("high2", 5),
            ("mid", 1),
        ] {
            q.push_item(PushItem {
                queue: "q".to_owned(),
                name: name.to_owned(),
                payload: "1".to_owned(),
                priority: Some(priority),
                ..PushItem::default()
            });
            q.wait(1);
        }
        assert_eq!(names(&q.pop(10)), ["high", "high2", "mid", "low", "low2"]);
    });
}

#[test]
fn without_order_waiting_raises_priority_so_that_nothing_starves() {
    everywhere(|q| {
        q.configure("q", json!({"fifo": false}));
        q.push("q", &["old"]);
        let mut waited = 0;
        for i in 0..100 {
            q.push_item(PushItem {
                queue: "q".to_owned(),
                name: format!("high{i}"),
                payload: "1".to_owned(),
                priority: Some(10),
                ..PushItem::default()
            });
            let popped = q.pop(1);
            q.complete(&popped);
            if names(&popped) == ["old"] {
                break;
            }
            waited += 1;
            q.wait(60_000);
        }
        assert!(
            (9..=11).contains(&waited),
            "after ten minutes, not {waited}"
        );
    });
}

#[test]
fn without_order_every_message_is_leased_by_itself() {
    everywhere(|q| {
        q.configure("q", json!({"fifo": false, "retryDelay": 1_000}));
        q.push("q", &["a", "b", "c"]);
        let ab = q.pop(2);
        let c = q.pop(2);
        assert_eq!(names(&c), ["c"]);
        q.complete(&c);
        q.ack_as(DEFAULT_GROUP, ab.lease, &ab.messages[..1], Verdict::Failed);
        let b = q.ack_as(
            DEFAULT_GROUP,
            ab.lease,
            &ab.messages[1..],
            Verdict::Completed,
        );
        assert!(b[0].is_ok(), "b is not held up by a");
        q.wait(1_200);
        assert_eq!(names(&q.pop(5)), ["a"]);
    });
}

#[test]
fn a_pop_of_a_namespace_takes_from_its_queues_by_their_priority() {
    everywhere(|q| {
        for (queue, priority) in [("a", 0), ("b", 5), ("other", 9)] {
            let namespace = if queue == "other" { "n2" } else { "n1" };
            q.run(&Op::Configure(Configure {
                queue: queue.to_owned(),
                namespace: Some(namespace.to_owned()),
                task: Some(format!("t-{queue}")),
                options: json!({"priority": priority}).as_object().unwrap().clone(),
            }));
            q.push(queue, &[queue]);
        }
        let from = |task: Option<&str>| Source::Filter {
            namespace: Some("n1".to_owned()),
            task: task.map(str::to_owned),
        };
        assert_eq!(
            names(&q.pop_with(|request| request.from = from(None))),
            ["b"]
        );
        assert_eq!(
            names(&q.pop_with(|request| request.from = from(Some("t-a")))),
            ["a"]
        );
        assert!(
            q.pop_with(|request| request.from = from(None))
                .messages
                .is_empty()
        );
    });
}

#[test]
fn a_delayed_message_comes_at_its_time_and_who_waits_is_told_when() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"delayedProcessing": 5, "fifo": fifo}));
            q.push("q", &["a"]);
            let early = q.pop(1);
            assert_eq!(
                (early.messages.len(), early.next_at),
                (0, Some(BEGIN + 5_000))
            );
            assert_eq!(q.status()["delayed"], 1);
            q.wait(4_999);
            assert!(q.pop(1).messages.is_empty());
            q.wait(1);
            assert_eq!(names(&q.pop(1)), ["a"]);
        });
    }
}

#[test]
fn a_window_gathers_messages_until_the_oldest_has_waited_so_long() {
    everywhere(|q| {
        q.configure("q", json!({"windowBuffer": 5}));
        q.push("q", &["a"]);
        q.wait(4_000);
        q.push("q", &["b"]);
        assert_eq!(q.pop(10).next_at, Some(BEGIN + 5_000));
        q.wait(1_000);
        assert_eq!(names(&q.pop(10)), ["a", "b"]);
    });
}
