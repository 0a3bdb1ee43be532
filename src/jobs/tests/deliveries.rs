//! The history of deliveries: it says what became of each attempt, and has an end.

use super::*;
use crate::jobs::lists;
use crate::jobs::op::{Note, Settle};
use crate::limits::{JOB_DELIVERIES, JOB_DELIVERIES_MS, JOB_DELIVERIES_PAGE};

/// Settles what was popped, as webhooks do: all of it is delivered, or the first has failed.
fn settle(q: &mut Q<'_>, popped: &Popped, note: Note) -> Vec<Acked> {
    let messages = &popped.messages;
    let (verdict, told) = match note.error {
        None => (Verdict::Completed, messages.len()),
        Some(_) => (Verdict::Failed, 1),
    };
    let acks = messages.iter().take(told).map(|message| AckItem {
        partition_id: partition_id(message.partition, message.partition_tag),
        name: message.name.clone(),
        verdict,
        error: note.error.clone(),
        lease: popped.lease,
        group: DEFAULT_GROUP.to_owned(),
    });
    let acks = acks.collect();
    let at = *q.0.now();
    let first = messages.first();
    let note = Note {
        at,
        name: first.map(|one| one.name.clone()).unwrap_or_default(),
        partition: first
            .map(|one| one.partition_name.clone())
            .unwrap_or_default(),
        attempt: first.map_or(1, |one| one.retries + 1),
        messages: i64::try_from(messages.len()).unwrap(),
        kind: "chat.sent".to_owned(),
        ..note
    };
    let queue = "q".to_owned();
    match q.run(&Op::Settle(Box::new(Settle { queue, acks, note }))) {
        Answer::Acked(acked) => acked,
        other => panic!("{other:?}"),
    }
}

fn failed(status: i64) -> Note {
    Note {
        status: Some(status),
        error: Some(format!("the receiver answered {status}")),
        took_ms: 12,
        ..Note::default()
    }
}

/// A page of the history of `q`, and where the next begins.
fn page(q: &mut Q<'_>, before: Option<i64>, limit: usize) -> (Vec<Value>, Option<i64>) {
    let queue = "q".to_owned();
    let query = lists::Query::Deliveries {
        queue,
        before,
        limit,
    };
    match q.0.look(&Query::Lists(query)) {
        Answer::Json(body) => (
            body["deliveries"].as_array().unwrap().clone(),
            body["next"].as_i64(),
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_attempt_is_kept_with_what_became_of_it_until_it_is_dead() {
    everywhere(|q| {
        q.configure("q", json!({"retryLimit": 1, "retryDelay": 1000}));
        q.push("q/board", &["a"]);
        let popped = q.pop(1);
        settle(q, &popped, failed(500));
        q.wait(2_000);
        let popped = q.pop(1);
        settle(q, &popped, failed(404));
        let (rows, next) = page(q, None, 10);
        assert_eq!((rows.len(), next), (2, None));
        let [dead, retry] = &rows[..] else {
            panic!("{rows:?}")
        };
        assert_eq!(retry["outcome"], "retry");
        assert_eq!(retry["id"], "a");
        assert_eq!(retry["canvas"], "board");
        assert_eq!(retry["type"], "chat.sent");
        assert_eq!(retry["status"], 500);
        assert_eq!(retry["error"], "the receiver answered 500");
        assert_eq!(
            (&retry["took_ms"], &retry["attempt"]),
            (&json!(12), &json!(1))
        );
        assert_eq!(retry["at"], BEGIN);
        let due = retry["next_at"].as_i64().unwrap() - BEGIN;
        assert!((900..=1_100).contains(&due), "{due}");
        assert_eq!(retry["dead_letter"], Value::Null);

        assert_eq!(
            (&dead["outcome"], &dead["attempt"]),
            (&json!("dead"), &json!(2))
        );
        assert_eq!(dead["next_at"], Value::Null);
        let letters = q.dead();
        assert_eq!(dead["dead_letter"], letters[0]["id"]);

        // Once it is sent again it is no dead letter any more, and its delivery is one more row.
        let id = letters[0]["id"].as_str().unwrap().parse().unwrap();
        q.run(&Op::DeadReplay { id });
        let popped = q.pop(1);
        settle(q, &popped, Note::default());
        let (rows, _) = page(q, None, 10);
        assert_eq!(rows[0]["outcome"], "delivered");
        assert_eq!(rows[1]["dead_letter"], Value::Null);
        q.sweep();
    });
}

#[test]
fn an_attempt_says_that_its_lease_was_over_that_it_must_wait_or_that_all_is_off() {
    everywhere(|q| {
        q.configure("q", json!({"leaseTime": 10, "retryDelay": 1000}));
        q.push("q", &["a", "b"]);
        let popped = q.pop(2);
        q.wait(11_000);
        let acked = settle(q, &popped, Note::default());
        assert!(acked.iter().all(|one| one.result.is_err()), "{acked:?}");
        q.wait(2_000);
        let popped = q.pop(1);
        let until = *q.0.now() + 60_000;
        let busy = Note {
            pause_until: Some(until),
            ..failed(503)
        };
        settle(q, &popped, busy);
        q.wait(3_000);
        let popped = q.pop(1);
        let gone = Note {
            off: true,
            ..failed(410)
        };
        settle(q, &popped, gone);
        let (rows, _) = page(q, None, 10);
        let outcomes: Vec<&str> = rows
            .iter()
            .map(|row| row["outcome"].as_str().unwrap())
            .collect();
        assert_eq!(outcomes, ["off", "retry", "late"]);
        assert_eq!(rows[0]["next_at"], Value::Null);
        assert_eq!(rows[1]["next_at"], until);
        assert_eq!(
            (&rows[2]["events"], &rows[2]["next_at"]),
            (&json!(2), &Value::Null)
        );
    });
}

/// Not over Redis, where each of so many commits is several requests: the rules are the same.
#[test]
fn the_history_is_read_page_by_page_and_has_an_end() {
    over_both(&|q| {
        q.configure(
            "q",
            json!({"retryLimit": 1000, "retryDelay": 0, "dedupWindowSeconds": 0}),
        );
        q.push("q", &["a"]);
        for _ in 0..JOB_DELIVERIES + 20 {
            let popped = q.pop(1);
            settle(q, &popped, failed(500));
        }
        let most = usize::try_from(JOB_DELIVERIES).unwrap();
        let (rows, mut before) = page(q, None, 2 * most);
        assert_eq!(rows.len(), usize::try_from(JOB_DELIVERIES_PAGE).unwrap());
        assert_eq!(rows[0]["n"], JOB_DELIVERIES + 20);
        let mut all = rows.len();
        while before.is_some() {
            let (rows, next) = page(q, before, 2 * most);
            all += rows.len();
            before = next;
        }
        assert_eq!(all, most);
        let (first, next) = page(q, None, 2);
        let (second, _) = page(q, next, 2);
        let numbers: Vec<i64> = [first, second]
            .concat()
            .iter()
            .map(|row| JOB_DELIVERIES + 20 - row["n"].as_i64().unwrap())
            .collect();
        assert_eq!(numbers, [0, 1, 2, 3]);

        q.wait(JOB_DELIVERIES_MS - 60_000);
        let popped = q.pop(1);
        settle(q, &popped, failed(500));
        q.wait(61_000);
        assert_eq!(page(q, None, most).0.len(), 1, "what is old is not shown");
        q.sweep();
        let (kept, bytes) = (q.0.rows(), q.0.bytes());
        assert!(kept < 20, "{kept} rows are left of {bytes} bytes");

        // With its queue it goes before its time.
        q.run(&Op::DeleteQueue("q".to_owned()));
        q.sweep();
        assert_eq!(q.0.rows(), 0);
    });
}

#[test]
fn an_attempt_of_a_queue_that_was_deleted_leaves_nothing() {
    everywhere(|q| {
        q.push("q", &["a"]);
        let popped = q.pop(1);
        q.run(&Op::DeleteQueue("q".to_owned()));
        let acked = settle(q, &popped, Note::default());
        assert!(acked[0].result.is_err());
        q.sweep();
        assert_eq!(q.0.rows(), 0);
    });
}
