//! Nothing grows for ever.

use super::*;

#[test]
fn completed_messages_leave_only_a_mark_and_that_for_a_while() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo}));
            for i in 0..50 {
                q.push("q", &[&format!("m{i}")]);
            }
            loop {
                let popped = q.pop(10);
                if popped.messages.is_empty() {
                    break;
                }
                q.complete(&popped);
            }
            assert_eq!(q.status()["depth"], 0);
            q.wait(301_000);
            q.sweep();
            assert_eq!(q.0.bytes(), 0);
            q.sweep();
            // The queue, its name, its group: the empty partition is gone, too.
            assert_eq!(q.0.rows(), 3);
        });
    }
}

#[test]
fn waiting_messages_go_when_their_retention_ends() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"retentionSeconds": 60, "fifo": fifo}));
            q.push("q", &["a"]);
            q.wait(30_000);
            q.push("q", &["b"]);
            q.wait(30_000);
            assert_eq!(names(&q.pop(10)), ["b"]);
            assert_eq!(q.status()["dropped"], 1);
            q.push("other", &["x"]);
            q.wait(60_000);
            q.sweep();
        });
    }
}

#[test]
fn a_retention_ends_though_nobody_pops() {
    everywhere(|q| {
        q.configure("q", json!({"retentionSeconds": 60}));
        q.push("q", &["a", "b"]);
        q.wait(60_000);
        q.sweep();
        assert_eq!(q.status()["depth"], 0);
        assert_eq!(q.0.bytes(), 0);
    });
}

#[test]
fn who_waits_longer_than_is_allowed_is_dead() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"maxWaitTimeSeconds": 60, "fifo": fifo}));
            q.pop(1);
            q.push("q", &["a"]);
            q.wait(60_000);
            q.sweep();
            let dead = q.dead();
            assert_eq!(dead.len(), 1);
            assert_eq!(dead[0]["attempts"], 0);
            assert_eq!(q.status()["depth"], 0);
        });
    }
}

#[test]
fn completed_messages_are_kept_for_their_retention() {
    everywhere(|q| {
        q.configure("q", json!({"completedRetentionSeconds": 60}));
        q.push("q", &["a"]);
        let popped = q.pop(1);
        q.complete(&popped);
        assert_eq!(q.status()["messages"]["retained"], 1);
        q.wait(61_000);
        q.sweep();
        assert_eq!(q.status()["messages"]["retained"], 0);
        q.wait(600_000);
        q.sweep();
        assert_eq!(q.0.bytes(), 0);
    });
}

#[test]
fn reviewed_entries_of_the_dead_letter_queue_go_after_90_days_and_others_stay() {
    everywhere(|q| {
        q.configure("q", json!({"retryLimit": 0}));
        q.push("q", &["a", "b"]);
        for _ in 0..2 {
            let popped = q.pop(1);
            q.fail(&popped);
        }
        let id: i64 = q.dead()[0]["id"].as_str().unwrap().parse().unwrap();
        q.run(&Op::DeadReviewed { id, reviewed: true });
        let query = |reviewed| {
            Query::Lists(crate::jobs::lists::Query::Dead(
                crate::jobs::lists::DeadQuery {
                    queue: Some("q".to_owned()),
                    reviewed: Some(reviewed),
                    limit: 10,
                    ..Default::default()
                },
            ))
        };
        assert_eq!(q.list(&query(true)).len(), 1);
        assert_eq!(q.list(&query(false)).len(), 1);
        q.wait(89 * 86_400_000);
        q.sweep();
        assert_eq!(q.dead().len(), 2);
        q.wait(86_400_001);
        q.sweep();
        assert_eq!(q.dead().len(), 1);
        assert_eq!(q.dead()[0]["reviewed"], false);
    });
}

#[test]
fn a_deleted_queue_leaves_nothing_behind() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo, "retryLimit": 0}));
            for i in 0..30 {
                q.push(&format!("q/p{i}"), &["a", "b"]);
            }
            let popped = q.pop_with(|request| {
                request.batch = 10;
                request.partitions = 5;
            });
            q.fail(&popped);
            q.pop_of("g", 3);
            q.run(&Op::DeleteQueue("q".to_owned()));
            assert!(q.pop(10).messages.is_empty());
            let stale = q.ack_as(
                DEFAULT_GROUP,
                popped.lease,
                &popped.messages,
                Verdict::Completed,
            );
            assert_eq!(code(&stale[0]), "not-found");
            q.sweep();
            assert_eq!((q.0.rows(), q.0.bytes()), (0, 0));
            q.push("q", &["a"]);
            assert_eq!(names(&q.pop(1)), ["a"]);
        });
    }
}
