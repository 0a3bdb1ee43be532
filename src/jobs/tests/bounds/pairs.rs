//! Messages and acks, times the groups that hear of them.

use super::*;
use crate::jobs::op::{Step, Transaction};
use crate::limits::{JOB_ACK_PAIRS, JOB_PUSH_PAIRS};

fn group(n: usize) -> String {
    format!("group-{n}")
}

/// So many groups that read `q`.
fn enter(q: &mut Q<'_>, groups: usize) {
    for n in 0..groups {
        q.pop_of(&group(n), 1);
    }
}

fn items(count: usize) -> Vec<PushItem> {
    let item = |n| PushItem {
        queue: "q".to_owned(),
        name: format!("m{n}"),
        payload: "1".to_owned(),
        ..PushItem::default()
    };
    (0..count).map(item).collect()
}

fn too_large(answer: Answer, field: &str, most: usize) {
    let Answer::Refused(refusal) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((refusal.status, refusal.code), (413, "too-large"));
    assert!(
        refusal.message.starts_with(&format!("{field}: ")),
        "{refusal:?}"
    );
    assert!(
        refusal.message.contains(&format!("at most {most} ")),
        "{refusal:?}"
    );
}

#[test]
fn messages_times_groups_of_one_push_are_bounded() {
    over_both(&|q| {
        q.push("q", &["first"]);
        enter(q, 8);
        assert!(matches!(q.run(&Op::Push(items(1_000))), Answer::Pushed(_)));
        enter(q, 9);
        let before = q.0.rows();
        too_large(q.run(&Op::Push(items(1_000))), "items", JOB_PUSH_PAIRS);
        let steps = items(1_000).into_iter().map(|item| Step::Push(vec![item]));
        let transaction = Transaction {
            steps: steps.collect(),
            required: Vec::new(),
        };
        let refused = q.run(&Op::Transaction(transaction));
        too_large(refused, "operations", JOB_PUSH_PAIRS);
        assert_eq!(q.0.rows(), before, "nothing of it was done");
    });
}

#[test]
fn acks_times_groups_of_one_request_are_bounded() {
    over_both(&|q| {
        q.push("q", &["first"]);
        enter(q, 33);
        for part in items(1_000).chunks(200) {
            assert!(matches!(q.run(&Op::Push(part.to_vec())), Answer::Pushed(_)));
        }
        q.pop_with(|request| {
            request.group = group(40);
            request.auto_ack = true;
        });
        let popped = q.pop_of(&group(40), 1_000);
        assert_eq!(popped.messages.len(), 1_000);
        let ack = |message: &Delivered| AckItem {
            partition_id: partition_id(message.partition, message.partition_tag),
            name: message.name.clone(),
            verdict: Verdict::Completed,
            error: None,
            lease: popped.lease,
            group: group(40),
        };
        let acks: Vec<AckItem> = popped.messages.iter().map(ack).collect();
        too_large(
            q.run(&Op::Ack(acks.clone())),
            "acknowledgments",
            JOB_ACK_PAIRS,
        );
        let (some, rest) = acks.split_at(500);
        for part in [some, rest] {
            let Answer::Acked(done) = q.run(&Op::Ack(part.to_vec())) else {
                panic!()
            };
            assert!(done.iter().all(|one| one.result.is_ok()));
        }
    });
}

#[test]
fn a_pop_that_completes_what_it_gives_is_bounded_by_groups_too() {
    over_both(&|q| {
        q.push("q", &["first"]);
        enter(q, 64);
        for part in items(600).chunks(100) {
            assert!(matches!(q.run(&Op::Push(part.to_vec())), Answer::Pushed(_)));
        }
        let pop = |q: &mut Q<'_>| {
            q.pop_with(|request| {
                request.batch = 1_000;
                request.group = "auto".to_owned();
                request.auto_ack = true;
            })
        };
        let popped = pop(q);
        assert_eq!(popped.messages.len(), JOB_ACK_PAIRS / 65);
        assert!(popped.more, "the rest comes next");
        assert_eq!(pop(q).messages.len(), 601 - JOB_ACK_PAIRS / 65);
    });
}
