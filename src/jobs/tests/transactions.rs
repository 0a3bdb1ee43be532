//! Transactions: all or nothing.

use super::*;
use crate::jobs::op::{Step, Transaction};

fn push(path: &str, name: &str) -> Step {
    let (queue, partition) = path.split_once('/').unwrap_or((path, ""));
    Step::Push(vec![PushItem {
        queue: queue.to_owned(),
        partition: partition.to_owned(),
        name: name.to_owned(),
        payload: "1".to_owned(),
        ..PushItem::default()
    }])
}

fn ack(message: &Delivered, lease: Option<LeaseId>) -> Step {
    Step::Ack(AckItem {
        partition_id: partition_id(message.partition, message.partition_tag),
        name: message.name.clone(),
        verdict: Verdict::Completed,
        error: None,
        lease,
        group: DEFAULT_GROUP.to_owned(),
    })
}

fn run(q: &mut Q<'_>, steps: Vec<Step>, required: Vec<LeaseId>) -> Result<(), &'static str> {
    match q.run(&Op::Transaction(Transaction { steps, required })) {
        Answer::Transaction(_) => Ok(()),
        Answer::Refused(refusal) => Err(refusal.code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn acks_and_pushes_over_several_queues_happen_together() {
    everywhere(|q| {
        q.push("q", &["a", "b"]);
        let popped = q.pop(2);
        let steps = vec![
            ack(&popped.messages[0], None),
            push("next/p", "a1"),
            ack(&popped.messages[1], None),
            push("third", "b1"),
        ];
        assert_eq!(run(q, steps, popped.lease.into_iter().collect()), Ok(()));
        assert_eq!(q.status()["depth"], 0);
        let next = q.pop_with(|request| {
            request.from = Source::Queue {
                queue: "next".to_owned(),
                partition: Some("p".to_owned()),
            };
        });
        assert_eq!(names(&next), ["a1"]);
    });
}

#[test]
fn a_lost_lease_undoes_all_of_a_transaction() {
    everywhere(|q| {
        q.configure("q", json!({"leaseTime": 1, "retryDelay": 0}));
        q.push("q", &["a"]);
        let lost = q.pop(1);
        q.wait(1_000);
        let held = q.pop(1);
        let rows = q.0.rows();
        let steps = vec![push("new-queue", "x"), ack(&lost.messages[0], lost.lease)];
        assert_eq!(run(q, steps, vec![]), Err("lease-expired"));
        assert_eq!(q.0.rows(), rows);
        let steps = vec![push("new-queue", "x"), ack(&held.messages[0], None)];
        assert_eq!(
            run(q, steps, lost.lease.into_iter().collect()),
            Err("lease-expired")
        );
        assert_eq!(q.0.rows(), rows);
        assert!(
            q.0.take_effects()
                .wakes
                .keys()
                .all(|name| *name != crate::jobs::work::hash("new-queue"))
        );
        q.complete(&held);
    });
}

#[test]
fn a_push_that_is_refused_undoes_the_acks() {
    everywhere(|q| {
        q.configure("full", json!({"maxSize": 1}));
        q.push("full", &["x"]);
        q.push("q", &["a"]);
        let popped = q.pop(1);
        let steps = vec![ack(&popped.messages[0], popped.lease), push("full", "y")];
        assert_eq!(run(q, steps, vec![]), Err("full"));
        q.complete(&popped);
    });
}

#[test]
fn a_duplicate_does_not_fail_a_transaction() {
    everywhere(|q| {
        q.push("next", &["a1"]);
        q.push("q", &["a"]);
        let popped = q.pop(1);
        let steps = vec![ack(&popped.messages[0], popped.lease), push("next", "a1")];
        assert_eq!(run(q, steps, vec![]), Ok(()));
        assert_eq!(q.status()["depth"], 0);
    });
}
