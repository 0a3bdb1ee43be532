//! What is done by hand, beside what groups do: it hides nothing, and nothing of it stays for ever.

use super::*;
use crate::jobs::op::{Touch, What};

#[test]
fn what_is_done_to_a_message_behind_a_lease_leaves_the_lease_alone() {
    for what in [What::Requeue, What::ToDead, What::Delete] {
        everywhere(|q| {
            q.push("q", &["a", "b", "c", "d"]);
            let popped = q.pop(2);
            let behind = &popped.messages[0];
            q.run(&Op::Touch(Touch {
                partition_id: partition_id(behind.partition, behind.partition_tag),
                name: "d".to_owned(),
                group: None,
                what,
            }));
            assert_eq!(names(&q.pop(4)), [""; 0], "they are leased: {what:?}");
            q.complete(&popped);
            assert_eq!(names(&q.pop(1)), ["c"]);
        });
    }
}

#[test]
fn a_name_is_remembered_however_long_its_message_waited() {
    for name in ["", "given"] {
        everywhere(|q| {
            let item = || PushItem {
                queue: "q".to_owned(),
                name: name.to_owned(),
                payload: "1".to_owned(),
                ..PushItem::default()
            };
            q.push_item(item());
            q.wait(3_600_000);
            let popped = q.pop(1);
            q.complete(&popped);
            q.sweep();
            let name = popped.messages[0].name.clone();
            let again = q.push_item(PushItem { name, ..item() });
            assert!(matches!(again, Pushed::Duplicate(_)), "{again:?}");
            let acked = q.ack_as(
                DEFAULT_GROUP,
                popped.lease,
                &popped.messages,
                Verdict::Completed,
            );
            assert_eq!(code(&acked[0]), "completed");
        });
    }
}

#[test]
fn a_replay_does_not_hide_what_its_group_has_yet_to_get() {
    everywhere(|q| {
        q.push("q", &["a", "b"]);
        let popped = q.pop(1);
        q.ack_as(DEFAULT_GROUP, popped.lease, &popped.messages, Verdict::Dead);
        let group = DEFAULT_GROUP.to_owned();
        q.run(&Op::Subscribe {
            group,
            from: BEGIN - 1,
        });
        let id = q.dead()[0]["id"].as_str().unwrap().parse().unwrap();
        q.run(&Op::DeadReplay { id });
        assert_eq!(names(&q.pop(3)), ["b", "a"]);
    });
}

#[test]
fn what_was_replayed_to_a_group_that_ends_goes_with_it() {
    for seek in [false, true] {
        everywhere(|q| {
            q.push("q", &["a"]);
            for group in ["x", "y"] {
                q.pop_of(group, 0);
            }
            let popped = q.pop_of("x", 1);
            q.ack_as("x", popped.lease, &popped.messages, Verdict::Dead);
            let id = q.dead()[0]["id"].as_str().unwrap().parse().unwrap();
            q.run(&Op::DeadReplay { id });
            let (queue, group) = ("q".to_owned(), "x".to_owned());
            if seek {
                let to = Start::New;
                q.run(&Op::Seek { queue, group, to });
            } else {
                let queue = Some(queue);
                q.run(&Op::DeleteGroup { queue, group });
            }
            q.sweep();
            // What was pushed is there still, for the other group.
            assert_eq!(q.status()["depth"], 1);
            let popped = q.pop_of("y", 2);
            assert_eq!(names(&popped), ["a"]);
            q.ack_as("y", popped.lease, &popped.messages, Verdict::Completed);
            assert_eq!(q.status()["depth"], 0);
        });
    }
}
