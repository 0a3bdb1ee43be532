//! The analytics over Redis: numbers of all processes, on each of them, with an end; and what is left of them without Redis.

use std::fmt::Write as _;

use super::*;
use crate::harness::http;

async fn analytics(over: &Over, n: usize, range: &str) -> Value {
    let address = over.relay.address(n);
    let host = format!("Host: {address}\r\n");
    let path = format!("/api/v1/analytics?range={range}");
    let answer = http::ask(address, "GET", &path, &host, "").await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn sum(said: &Value, line: &str) -> u64 {
    let line = said["history"][line].as_array().expect("a line");
    line.iter().filter_map(Value::as_u64).sum()
}

#[tokio::test]
async fn every_process_has_the_numbers_of_all_and_they_end() {
    let mut over = Over::start(2, &[]).await;
    let mut ada = over.relay.join(0, "board").await;
    let mut ben = over.relay.join(1, "board").await;
    for n in 0..20 {
        ada.commit(chat(&n.to_string())).await;
    }
    ben.commit(chat("and one of the other")).await;
    ada.reach(21).await;
    for n in [0, 1] {
        let said = eventually("samples of both", || async {
            let said = analytics(&over, n, "15m").await;
            (sum(&said, "messages") == 21 && sum(&said, "joins") == 2 && said["connections"] == 2)
                .then_some(said)
        })
        .await;
        assert_eq!(
            (&said["scope"], &said["note"]),
            (&json!("relay"), &Value::Null)
        );
        let instances = said["instances"].as_array().expect("a list");
        let known = instances.iter().all(|one| one["connections"] == 1);
        assert!(instances.len() == 2 && known, "{instances:?}");
        assert!(
            said["live"]["messages_per_second"]
                .as_f64()
                .expect("a rate")
                > 0.0
        );
        for times in ["commit", "delivery"] {
            assert!(
                said["live"][times]["p99_ms"].is_number(),
                "{}",
                said["live"]
            );
        }
        let line = said["history"]["connections"].as_array().expect("a line");
        assert_eq!((line.len(), line.last()), (180, Some(&json!(2))));
        assert_eq!(analytics(&over, n, "24h").await["scope"], "relay");
    }

    // Each key has an end, and little is in it.
    let keys = over.server.ask(&["KEYS", "scumble:samples:*"]);
    let mut told = String::new();
    for key in keys.lines().filter(|key| !key.is_empty()) {
        let ttl: i64 = over.server.ask(&["PTTL", key]).parse().expect("a time");
        writeln!(told, "{key} {ttl}").expect("a text");
        assert!((1..=86_400_000).contains(&ttl), "{told}");
    }
    assert!(
        told.contains("samples:now") && told.contains("samples:5000"),
        "{told}"
    );
    let rows: u64 = over
        .server
        .ask(&["ZCARD", "scumble:samples:5000"])
        .parse()
        .expect("a number");
    assert!((2..=60).contains(&rows), "{rows} samples in a few seconds");

    // What a process that is gone has said counts no more; what it did stays in the lines.
    end_all(&mut over.relay, &[1], rustix::process::Signal::KILL).await;
    let said = eventually("one process", || async {
        let said = analytics(&over, 0, "15m").await;
        let instances = said["instances"].as_array().expect("a list").len();
        (instances == 1 && said["connections"] == 1).then_some(said)
    })
    .await;
    assert_eq!(sum(&said, "messages"), 21);
}

#[tokio::test]
async fn without_redis_each_process_shows_its_own_and_goes_on_where_it_was() {
    let mut over = Over::start(2, &[]).await;
    let mut ada = over.relay.join(0, "board").await;
    ada.commit(chat("before")).await;
    eventually("it is sampled", || async {
        (sum(&analytics(&over, 1, "15m").await, "messages") == 1).then_some(())
    })
    .await;
    over.server.kill();
    for (n, messages) in [(0, 1), (1, 0)] {
        let said = eventually("the numbers of one", || async {
            let said = analytics(&over, n, "15m").await;
            (said["scope"] == "process").then_some(said)
        })
        .await;
        let note = said["note"].as_str().expect("a note");
        assert!(note.contains("Redis does not answer"), "{note}");
        assert_eq!(sum(&said, "messages"), messages);
        assert_eq!(said["health"]["state"], "critical");
    }
    over.server.run();
    ada.commit(chat("after")).await;
    for n in [0, 1] {
        eventually("both messages", || async {
            let said = analytics(&over, n, "15m").await;
            (said["scope"] == "relay" && sum(&said, "messages") == 2).then_some(())
        })
        .await;
    }
}
