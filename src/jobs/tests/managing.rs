//! Queues as their owners see them.

use super::*;
use crate::jobs::op::TraceItem;

#[test]
fn what_is_configured_stays_until_it_is_configured_anew() {
    everywhere(|q| {
        q.configure("q", json!({"leaseTime": 7, "retryLimit": 5}));
        q.configure("q", json!({"retryLimit": 6}));
        let options = q.status()["options"].clone();
        assert_eq!(
            (&options["leaseTime"], &options["retryLimit"]),
            (&json!(7), &json!(6))
        );
        let wrong = q.configure("q", json!({"leaseTime": 0}));
        assert!(matches!(wrong, Answer::Refused(refusal) if refusal.status == 400));
        q.push("q", &["a"]);
        let wrong = q.configure("q", json!({"fifo": false}));
        assert!(matches!(wrong, Answer::Refused(refusal) if refusal.code == "not-empty"));
        let popped = q.pop(1);
        q.complete(&popped);
        q.configure("q", json!({"fifo": false}));
        q.push("q", &["b", "c"]);
        assert_eq!(q.pop(1).messages.len() + q.pop(1).messages.len(), 2);
    });
}

#[test]
fn a_cleared_queue_is_empty_and_takes_new_messages_of_the_same_names() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo}));
            q.push("q", &["a", "b"]);
            q.push("q/p", &["c"]);
            let held = q.pop(1);
            let clear = |partition: Option<&str>| Op::Clear {
                queue: "q".to_owned(),
                partition: partition.map(str::to_owned),
            };
            q.run(&clear(Some("p")));
            assert_eq!(q.status()["depth"], 2);
            q.run(&clear(None));
            assert_eq!((q.status()["depth"].clone(), q.0.bytes()), (json!(0), 0));
            assert!(q.pop(10).messages.is_empty());
            let stale = q.ack_as(
                DEFAULT_GROUP,
                held.lease,
                &held.messages,
                Verdict::Completed,
            );
            assert_eq!(code(&stale[0]), "not-found");
            q.push("q", &["a"]);
            q.sweep();
            let again = q.pop(10);
            assert_eq!(names(&again), ["a"]);
            q.complete(&again);
            let status = q.status();
            assert_eq!(
                (&status["depth"], &status["inFlight"]),
                (&json!(0), &json!(0))
            );
        });
    }
}

#[test]
fn a_peek_changes_nothing_and_shows_what_a_pop_would_give() {
    for fifo in [true, false] {
        everywhere(|q| {
            q.configure("q", json!({"fifo": fifo}));
            q.push("q", &["a", "b", "c"]);
            let peek = Query::Lists(crate::jobs::lists::Query::Peek {
                queue: "q".to_owned(),
                partition: None,
                group: DEFAULT_GROUP.to_owned(),
                limit: 2,
            });
            let shown = |q: &mut Q<'_>| -> Vec<String> {
                let list = q.list(&peek);
                list.iter()
                    .map(|m| m["transactionId"].as_str().unwrap().to_owned())
                    .collect()
            };
            let rows = q.0.rows();
            assert_eq!(shown(q), ["a", "b"]);
            assert_eq!(q.0.rows(), rows);
            let popped = q.pop(1);
            if fifo {
                assert!(shown(q).is_empty(), "the partition is leased");
            } else {
                assert_eq!(shown(q), ["b", "c"]);
            }
            q.complete(&popped);
            assert_eq!(shown(q), ["b", "c"]);
        });
    }
}

#[test]
fn a_queue_in_numbers_tells_what_waits_how_long_and_what_failed() {
    everywhere(|q| {
        q.configure("q", json!({"retryLimit": 1, "retryDelay": 60_000}));
        q.push("q", &["a", "b", "c", "d"]);
        q.wait(2_000);
        let popped = q.pop(2);
        q.wait(500);
        q.ack_as(
            DEFAULT_GROUP,
            popped.lease,
            &popped.messages[..1],
            Verdict::Completed,
        );
        q.ack_as(
            DEFAULT_GROUP,
            popped.lease,
            &popped.messages[1..],
            Verdict::Failed,
        );
        let status = q.status();
        assert_eq!(status["total"], 3);
        assert_eq!(status["failed"], 1);
        assert_eq!(status["oldestAgeSeconds"], 2.5);
        assert_eq!(status["waitTime"]["averageMs"], 2_000.0);
        assert_eq!(status["waitTime"]["p95Ms"], 2_047);
        assert_eq!(status["processingTime"]["averageMs"], 500.0);
        assert_eq!(status["completed"], 1);
    });
}

#[test]
fn traces_are_found_by_message_and_by_name_and_the_oldest_make_room() {
    everywhere(|q| {
        q.push("q", &["a"]);
        let message = q.pop(1).messages[0].clone();
        let id = partition_id(message.partition, message.partition_tag);
        for i in 0..120 {
            let traced = q.run(&Op::Trace(TraceItem {
                partition_id: id.clone(),
                name: "a".to_owned(),
                group: DEFAULT_GROUP.to_owned(),
                event: "info".to_owned(),
                names: vec!["order-7".to_owned()],
                data: i.to_string(),
            }));
            assert!(matches!(traced, Answer::Json(_)));
        }
        let traces = |q: &mut Q<'_>, query| match q.0.look(&Query::Lists(query)) {
            Answer::Raw(text) => {
                let value: Value = serde_json::from_str(&text).unwrap();
                value["traces"].as_array().unwrap().clone()
            }
            other => panic!("{other:?}"),
        };
        let of_message = crate::jobs::lists::Query::Traces {
            partition_id: id,
            name: "a".to_owned(),
        };
        let found = traces(q, of_message);
        assert_eq!((found.len(), &found[0]["data"]), (100, &json!(20)));
        let by_name = crate::jobs::lists::Query::TracesNamed {
            name: "order-7".to_owned(),
            from: None,
            to: None,
            limit: 5,
            offset: 0,
        };
        assert_eq!(traces(q, by_name)[0]["data"], 119);
    });
}
