//! Several processes, one queue.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;

use super::{Relay, ack, ask, configure, name_of, nap, pop, push, status};

#[tokio::test]
async fn a_push_wakes_a_pop_that_waits_on_another_process() {
    push_wakes(&Relay::start(2, &[]).await).await;
}

pub async fn push_wakes(relay: &Relay) {
    for round in 0..5 {
        let waiting = pop(relay, 1, "q?wait=true&timeout=20000&autoAck=true");
        let pushing = async {
            nap(200).await;
            let pushed = Instant::now();
            push(relay, 0, "q", "Default", &[format!("m{round}")]).await;
            pushed
        };
        let (found, pushed) = tokio::join!(waiting, pushing);
        assert_eq!(name_of(&found[0]), format!("m{round}"));
        assert!(
            pushed.elapsed().as_millis() < 1_500,
            "at once, not at a poll"
        );
    }
}

#[tokio::test]
async fn a_pop_that_waits_gets_what_becomes_due_and_what_a_dead_worker_had() {
    waits_for_what_is_due(&Relay::start(2, &[]).await).await;
}

pub async fn waits_for_what_is_due(relay: &Relay) {
    configure(relay, "q", json!({"leaseTime": 1, "retryDelay": 0})).await;
    push(relay, 0, "q", "Default", &["a".to_owned()]).await;
    let lost = pop(relay, 0, "q").await;
    assert_eq!(lost.len(), 1);
    // Nobody acks it: who waits on the other process has it when the lease has run out.
    let again = pop(relay, 1, "q?wait=true&timeout=20000").await;
    assert_eq!(again[0]["retryCount"], 1);
    let late = ack(relay, 0, &lost[0], "completed").await;
    assert_eq!(
        (&late["success"], &late["code"]),
        (&json!(false), &json!("lease-expired"))
    );
    assert_eq!(ack(relay, 0, &again[0], "completed").await["success"], true);
}

#[tokio::test]
async fn of_many_that_wait_each_message_is_given_to_one() {
    one_of_many(&Relay::start(2, &[]).await).await;
}

pub async fn one_of_many(relay: &Relay) {
    let waiters = (0..10).map(|i| pop(relay, i % 2, "q?wait=true&timeout=20000"));
    let pushing = async {
        nap(300).await;
        for i in 0..10 {
            push(relay, i % 2, "q", &format!("p{i}"), &[format!("m{i}")]).await;
        }
    };
    let (found, ()) = tokio::join!(futures::future::join_all(waiters), pushing);
    let mut names: Vec<_> = found
        .iter()
        .map(|messages| name_of(&messages[0]).to_owned())
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 10);
}

#[tokio::test]
async fn a_draining_process_gives_no_lease_takes_acks_and_ends_when_all_are_in() {
    let mut relay = Relay::start(1, &["--drain-timeout", "20s"]).await;
    push(&relay, 0, "q", "Default", &["a".to_owned()]).await;
    push(&relay, 0, "q", "other", &["b".to_owned()]).await;
    let held = pop(&relay, 0, "q").await;
    let began = Instant::now();
    let waiting = pop(&relay, 0, "nothing?wait=true&timeout=20000");
    let ending = async {
        nap(200).await;
        relay_signal(&relay);
    };
    let (nothing, ()) = tokio::join!(waiting, ending);
    assert!(
        nothing.is_empty() && began.elapsed().as_secs() < 10,
        "who waits is sent away"
    );
    assert!(
        pop(&relay, 0, "q").await.is_empty(),
        "there is b, but no new lease"
    );
    nap(500).await;
    assert!(!relay.process(0).is_over(), "it waits for the ack");
    assert_eq!(ack(&relay, 0, &held[0], "completed").await["success"], true);
    assert!(relay.process(0).ended().await.success());
    assert!(
        began.elapsed().as_secs() < 12,
        "not until the end of the drain"
    );
}

fn relay_signal(relay: &Relay) {
    let pid = relay.number("SELECT pid FROM instances");
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, Signal::TERM).expect("it is there");
}

#[tokio::test]
async fn without_a_file_jobs_are_kept_in_memory_and_wake_alike() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let waiting = pop(&relay, 0, "q?wait=true&timeout=20000");
    let pushing = async {
        nap(200).await;
        push(&relay, 0, "q", "Default", &["a".to_owned()]).await;
    };
    let (found, _) = tokio::join!(waiting, pushing);
    assert_eq!(
        ack(&relay, 0, &found[0], "completed").await["success"],
        true
    );
    assert_eq!(status(&relay, 0, "q").await["depth"], 0);
}

#[tokio::test]
async fn who_waits_and_goes_away_takes_nothing_along() {
    let relay = Relay::start(1, &[]).await;
    configure(&relay, "q", json!({"leaseTime": 300})).await;
    let path = "/api/v1/pop/queue/q?wait=true&timeout=20000";
    let gone = ask(&relay, 0, "GET", path, &serde_json::Value::Null);
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(300), gone)
            .await
            .is_err()
    );
    nap(200).await;
    push(&relay, 0, "q", "Default", &["a".to_owned()]).await;
    let found = pop(&relay, 0, "q?wait=true&timeout=5000").await;
    assert_eq!(found[0]["retryCount"], 0);
}
