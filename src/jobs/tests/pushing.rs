//! Pushes that are accepted, recognised as duplicates, or refused.

use super::*;
use crate::jobs::work::hash;

fn item(queue: &str, name: &str) -> PushItem {
    PushItem {
        queue: queue.to_owned(),
        name: name.to_owned(),
        payload: "{}".to_owned(),
        ..PushItem::default()
    }
}

fn refusal(pushed: &Pushed) -> (u16, String) {
    match pushed {
        Pushed::Failed { refusal, .. } => (refusal.status, refusal.message.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_push_tells_each_position_and_the_depth() {
    everywhere(|q| {
        for (name, position, depth) in [("a", 1, 1), ("b", 2, 2), ("c", 3, 3)] {
            match q.push_item(item("q", name)) {
                Pushed::Queued(queued) => {
                    assert_eq!((queued.position, queued.depth), (Some(position), depth));
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_name_is_a_duplicate_while_its_message_is_there_and_for_a_while_after() {
    everywhere(|q| {
        q.configure("q", json!({"dedupWindowSeconds": 60}));
        q.push("q", &["a"]);
        let is_duplicate = |pushed: Pushed| matches!(pushed, Pushed::Duplicate(_));
        assert!(is_duplicate(q.push_item(item("q", "a"))));
        let popped = q.pop(1);
        assert!(is_duplicate(q.push_item(item("q", "a"))));
        q.complete(&popped);
        q.wait(59_999);
        q.sweep();
        assert!(is_duplicate(q.push_item(item("q", "a"))));
        q.wait(1);
        assert!(!is_duplicate(q.push_item(item("q", "a"))));
        // In another partition it is another message.
        q.push("q/other", &["a"]);
    });
}

#[test]
fn a_duplicate_fails_nothing_else_of_its_batch() {
    everywhere(|q| {
        q.push("q", &["a"]);
        let items = vec![
            item("q", "a"),
            item("q", "b"),
            item("", "c"),
            item("q", "b"),
        ];
        let Answer::Pushed(all) = q.run(&Op::Push(items)) else {
            panic!()
        };
        assert!(matches!(all[0], Pushed::Duplicate(_)));
        assert!(matches!(all[1], Pushed::Queued(_)));
        assert_eq!(refusal(&all[2]).0, 400);
        assert!(matches!(all[3], Pushed::Duplicate(_)));
    });
}

#[test]
fn marks_of_duplicates_give_way_to_messages() {
    everywhere(|q| {
        q.0.limits().queue_bytes = 5_000;
        for i in 0..500 {
            q.push("q", &[&format!("m{i}")]);
            let popped = q.pop(1);
            q.complete(&popped);
            assert!(q.0.bytes() <= 5_000);
        }
        // The latest are known still.
        assert!(matches!(
            q.push_item(item("q", "m499")),
            Pushed::Duplicate(_)
        ));
    });
}

#[test]
fn bytes_of_a_queue_and_of_all_are_bounded_and_the_bound_is_named() {
    everywhere(|q| {
        q.0.limits().queue_bytes = 1_000;
        q.0.limits().bytes = 2_500;
        let large = |queue: &str| PushItem {
            payload: "1".repeat(700),
            ..item(queue, "")
        };
        for queue in ["a", "b", "c"] {
            assert!(
                matches!(q.push_item(large(queue)), Pushed::Queued(_)),
                "{queue}"
            );
        }
        let (status, says) = refusal(&q.push_item(large("a")));
        assert_eq!(status, 429);
        assert!(says.contains("1000 bytes (--jobs-queue-bytes)"), "{says}");
        let (status, says) = refusal(&q.push_item(large("d")));
        assert_eq!(status, 429);
        assert!(says.contains("2500 bytes (--jobs-bytes)"), "{says}");
        q.run(&Op::DeleteQueue("b".to_owned()));
        assert!(matches!(q.push_item(large("d")), Pushed::Queued(_)));
    });
}

#[test]
fn a_full_queue_says_its_size_and_takes_again_what_was_made_room_for() {
    everywhere(|q| {
        q.configure("q", json!({"maxSize": 2}));
        q.push("q", &["a", "b"]);
        let (status, says) = refusal(&q.push_item(item("q", "c")));
        assert_eq!(status, 429);
        assert!(says.contains("options.maxSize is 2"), "{says}");
        let popped = q.pop(1);
        q.complete(&popped);
        q.push("q", &["c"]);
    });
}

#[test]
fn every_wrong_field_of_a_message_is_named() {
    everywhere(|q| {
        let long = "x".repeat(129);
        let wrong = [
            (item("", "a"), "queue is 1 to 128"),
            (item(&long, "a"), "queue is 1 to 128"),
            (item("q", &long), "transactionId is 1 to 128"),
            (
                PushItem {
                    partition: long.clone(),
                    ..item("q", "a")
                },
                "partition is 1 to 128",
            ),
            (
                PushItem {
                    trace: Some(String::new()),
                    ..item("q", "a")
                },
                "traceId is 1 to 128",
            ),
            (
                PushItem {
                    priority: Some(101),
                    ..item("q", "a")
                },
                "priority is a whole number",
            ),
            (
                PushItem {
                    priority: Some(1),
                    ..item("q", "a")
                },
                "options.fifo false",
            ),
            (
                PushItem {
                    payload: "1".repeat(1024 * 1024 + 1),
                    ..item("q", "a")
                },
                "payload is at most",
            ),
        ];
        for (item, says) in wrong {
            let (_, said) = refusal(&q.push_item(item));
            assert!(said.contains(says), "{said}");
        }
    });
}

#[test]
fn a_push_wakes_whoever_waits_and_a_delayed_one_tells_when() {
    everywhere(|q| {
        q.push("q", &["a"]);
        let popped = q.pop(1);
        q.complete(&popped);
        q.0.take_effects();
        q.push("q", &["b"]);
        assert_eq!(q.0.take_effects().wakes[&hash("q")], 0);
        q.configure("later", json!({"delayedProcessing": 5}));
        q.pop_with(|request| {
            request.from = Source::Queue {
                queue: "later".to_owned(),
                partition: None,
            };
        });
        q.push("later", &["a"]);
        assert_eq!(q.0.take_effects().wakes[&hash("later")], BEGIN + 5_000);
        let popped = q.pop(1);
        let until = q.0.take_effects().wakes[&hash("q")];
        assert_eq!(
            until,
            BEGIN + 300_000,
            "who waits hears when the lease would end"
        );
        q.fail(&popped);
        let again = q.0.take_effects().wakes[&hash("q")];
        assert!((BEGIN + 900..=BEGIN + 1_100).contains(&again));
    });
}
