//! Somebody removes rows from the store: what was in them is gone, and the queue goes on.

use super::*;

#[test]
fn a_queue_whose_row_is_gone_is_made_again_by_whoever_needs_it() {
    for way in ["push", "configure", "delete"] {
        everywhere(|q| {
            q.push("other", &["x"]);
            let rows = q.0.rows();
            let bytes = q.0.bytes();
            q.push("q", &["a", "b"]);
            q.pop(1);
            q.0.lose_queue("q");
            match way {
                "configure" => {
                    q.configure("q", json!({"leaseTime": 7}));
                    assert_eq!(q.status()["options"]["leaseTime"], 7);
                }
                "delete" => {
                    let deleted = q.run(&Op::DeleteQueue("q".to_owned()));
                    assert!(matches!(deleted, Answer::Json(_)), "{deleted:?}");
                    assert_eq!(q.0.bytes(), bytes, "its bytes are given back");
                }
                _ => {}
            }
            // The same names: nothing of what was there before makes them duplicates.
            q.push("q", &["a", "b", "c"]);
            q.sweep();
            let popped = q.pop(5);
            assert_eq!(names(&popped), ["a", "b", "c"], "{way}");
            q.complete(&popped);
            q.run(&Op::DeleteQueue("q".to_owned()));
            q.sweep();
            assert_eq!((q.0.rows(), q.0.bytes()), (rows, bytes), "{way}");
        });
    }
}

/// Whoever gave numbers from the first one on would give those of what is there to something else.
#[test]
fn totals_that_are_gone_are_counted_again_and_no_number_is_given_twice() {
    everywhere(|q| {
        q.push("q", &["a", "b"]);
        q.push("q/p", &["c"]);
        q.push("other", &["x"]);
        let bytes = q.0.bytes();
        q.0.lose_totals();
        assert_eq!(q.0.bytes(), 0, "nobody knows");
        q.push("third", &["y"]);
        assert!(q.0.bytes() > bytes);
        q.0.lose_totals();
        q.run(&Op::DeleteQueue("third".to_owned()));
        q.sweep();
        assert_eq!(q.0.bytes(), bytes);
        let mut found = q.pop_with(|request| {
            request.batch = 5;
            request.partitions = 5;
        });
        found.messages.sort_by_key(|message| message.id);
        assert_eq!(names(&found), ["a", "b", "c"]);
        q.push("q", &["d"]);
        let last = found.messages[2].id;
        q.complete(&found);
        let popped = q.pop(5);
        assert_eq!(names(&popped), ["d"]);
        assert!(popped.messages[0].id > last);
    });
}

#[test]
fn a_store_that_nobody_has_used_begins_with_the_first_number() {
    everywhere(|q| {
        let version = |q: &mut Q<'_>| match q.0.look(&Query::Version) {
            Answer::Json(version) => version.as_i64().unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(version(q), 1);
        q.push("q", &["a"]);
        assert!((2..10).contains(&version(q)));
    });
}
