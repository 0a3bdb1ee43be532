//! Notes on messages end.

use super::*;
use crate::jobs::op::TraceItem;
use crate::limits::{JOB_TRACE_BYTES, JOB_TRACES_MS};

pub(super) fn note(q: &mut Q<'_>, message: &Delivered, number: usize, bytes: usize) {
    let item = TraceItem {
        partition_id: partition_id(message.partition, message.partition_tag),
        name: message.name.clone(),
        group: DEFAULT_GROUP.to_owned(),
        event: "info".to_owned(),
        names: vec!["order".to_owned()],
        data: format!("{{\"n\":{number},\"x\":\"{}\"}}", "x".repeat(bytes)),
    };
    assert!(matches!(q.run(&Op::Trace(item)), Answer::Json(_)));
}

fn notes_of(q: &mut Q<'_>, message: &Delivered) -> Vec<Value> {
    let query = lists::Query::Traces {
        partition_id: partition_id(message.partition, message.partition_tag),
        name: message.name.clone(),
    };
    look(q, query).1["traces"].as_array().unwrap().clone()
}

#[test]
fn the_notes_of_a_message_are_bounded_in_bytes_and_end_after_a_week() {
    everywhere(|q| {
        q.push("q", &["a", "b"]);
        let bytes = q.0.bytes();
        let popped = q.pop(2);
        let [a, b] = &popped.messages[..] else {
            panic!("{popped:?}")
        };
        let quarter = JOB_TRACE_BYTES / 4 - 1_024;
        for number in 0..10 {
            note(q, a, number, quarter);
        }
        note(q, b, 77, 1);
        let kept = notes_of(q, a);
        let numbers: Vec<_> = kept
            .iter()
            .map(|row| row["data"]["n"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, [6, 7, 8, 9], "the oldest make room");
        assert_eq!(notes_of(q, b).len(), 1, "of another message");
        let most = i64::try_from(JOB_TRACE_BYTES).unwrap() + 4_096;
        assert!(q.0.bytes() - bytes <= most);

        q.wait(JOB_TRACES_MS - 1);
        q.sweep();
        assert_eq!(notes_of(q, a).len(), 4);
        q.wait(1);
        assert_eq!(notes_of(q, a).len(), 0, "whether they are swept or not");
        q.sweep();
        assert_eq!(q.0.bytes(), bytes, "nothing of them is left");
        q.run(&Op::DeleteQueue("q".to_owned()));
        q.sweep();
        assert_eq!(q.0.rows(), 0);
    });
}

#[test]
fn notes_by_name_are_given_in_pages_that_say_so() {
    over_both(&|q| {
        let names: Vec<String> = (0..12).map(|n| format!("m{n}")).collect();
        q.push("q", &names.iter().map(String::as_str).collect::<Vec<_>>());
        let popped = q.pop(12);
        for (number, message) in popped.messages.iter().enumerate() {
            for _ in 0..4 {
                note(q, message, number, JOB_TRACE_BYTES / 4 - 1_024);
            }
        }
        let (mut offset, mut seen) = (0, Vec::new());
        loop {
            let name = "order".to_owned();
            let query = lists::Query::TracesNamed {
                name,
                from: None,
                to: None,
                limit: 1_000,
                offset,
            };
            let (text, page) = look(q, query);
            assert!(text.len() < JOB_ANSWER_BYTES + 1_024);
            assert_eq!(page["total"], 48);
            let rows = page["traces"].as_array().unwrap();
            seen.extend(
                rows.iter()
                    .map(|row| row["id"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page["next"].as_u64() else {
                break;
            };
            assert_eq!(page["partial"], true);
            offset = usize::try_from(next).unwrap();
        }
        assert!(offset > 0);
        seen.dedup();
        assert_eq!(seen.len(), 48);
    });
}
