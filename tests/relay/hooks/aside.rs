//! What a large transaction tells comes a moment later: once and in order, whatever becomes of the process that took it.

use super::*;

pub(crate) const MANY: usize = 600;

/// Many objects in one batch, which is one transaction.
pub(crate) fn batch() -> String {
    let ops: Vec<Value> = (0..MANY).map(|n| create(&n.to_string())).collect();
    json!({"type": "batch", "ops": ops}).to_string()
}

const MESSAGES: &str = "/api/v1/canvases/board-1/messages";

/// Has a process take the batch, of which it dies. The answer may come before that, or not.
pub(crate) async fn post_and_die(relay: &mut Relay, n: usize) {
    let headers = "Host: 127.0.0.1\r\nContent-Type: application/json\r\n";
    let _ = http::ask(relay.address(n), "POST", MESSAGES, headers, &batch()).await;
    crate::harness::soon("its death", relay.process(n).ended()).await;
}

pub(crate) fn places(events: &[Value]) -> Vec<u64> {
    let places = events.iter().map(|event| event["seq"].as_u64());
    places.map(|seq| seq.expect("it is there")).collect()
}

#[tokio::test]
async fn events_of_a_large_transaction_come_once_and_before_those_that_follow() {
    let relay = Relay::start(2, &[]).await;
    hooks(&relay, into_queue(&["object.*", "canvas.deleted"])).await;
    let (status, answer) = ask(&relay, 0, "POST", MESSAGES, &batch()).await;
    assert_eq!(status, 200, "{answer}");
    let mut ada = relay.join(1, "board-1").await;
    ada.commit(create("after")).await;
    let (status, _) = ask(&relay, 1, "DELETE", "/api/v1/canvases/board-1", "").await;
    assert_eq!(status, 200);
    let events = pop(&relay, 1, "events", MANY + 2).await;
    let expected: Vec<u64> = (1..=MANY as u64 + 1).collect();
    assert_eq!(places(&events[..=MANY]), expected);
    assert_eq!(events[MANY + 1]["type"], "canvas.deleted");
    is_empty(&relay, "events").await;
}

#[tokio::test]
async fn what_a_process_that_died_had_set_aside_is_told_by_another() {
    // Before it told anything of it, and in the middle.
    for turn in [1, 2] {
        let mut relay = Relay::start(1, &[]).await;
        hooks(&relay, into_queue(&["object.*"])).await;
        let point = format!("--fail-point=before-tell=abort@{turn}");
        let dying = relay.add(&[&point]).await;
        post_and_die(&mut relay, dying).await;
        let mut ben = relay.join(0, "board-1").await;
        ben.commit(create("after")).await;
        let events = pop(&relay, 0, "events", MANY + 1).await;
        let expected: Vec<u64> = (1..=MANY as u64 + 1).collect();
        assert_eq!(places(&events), expected, "turn {turn}");
        is_empty(&relay, "events").await;
    }
}

#[tokio::test]
async fn what_was_set_aside_is_told_by_those_who_start_later() {
    // Its first turn is when the hooks are stored; in the second, it tells some.
    let mut relay = Relay::start(0, &[]).await;
    let dying = relay.add(&["--fail-point=before-tell=abort@3"]).await;
    hooks(&relay, into_queue(&["object.*"])).await;
    post_and_die(&mut relay, dying).await;
    let next = relay.add(&[]).await;
    let events = pop(&relay, next, "events", MANY).await;
    let expected: Vec<u64> = (1..=MANY as u64).collect();
    assert_eq!(places(&events), expected);
}
