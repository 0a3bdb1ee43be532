//! A process dies, or its disk fails, at each step of a commit: what was done together is there together or not at all.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::chaos::attempt;
use super::{Relay, ack_of, ask, configure, name_of, pop, push, status};

const JOBS: usize = 40;

/// Acknowledges a message, and pushes its name into two queues, in one transaction.
fn moved(message: &Value) -> Value {
    let mut done = ack_of(message, "completed");
    done["type"] = json!("ack");
    let item = |queue: &str| {
        let name = &message["transactionId"];
        json!({"type": "push", "items": [{"queue": queue, "transactionId": name, "payload": 1}]})
    };
    json!({"operations": [item("one"), done, item("two")]})
}

/// All names that are in a queue; waits for those that are leased.
async fn drained(relay: &Relay, queue: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    while status(relay, 0, queue).await["depth"] != 0 {
        let query = format!("{queue}?batch=100&autoAck=true&wait=true&timeout=5000");
        for message in pop(relay, 0, &query).await {
            let new = names.insert(name_of(&message).to_owned());
            assert!(new, "{message} came twice");
        }
    }
    names
}

async fn begin() -> (Relay, BTreeSet<String>) {
    let relay = Relay::start(1, &[]).await;
    let options = json!({"leaseTime": 1, "retryDelay": 0, "fifo": false});
    configure(&relay, "from", options).await;
    for queue in ["one", "two"] {
        configure(&relay, queue, json!({})).await;
    }
    let names: Vec<String> = (0..JOBS).map(|n| format!("m{n:02}")).collect();
    push(&relay, 0, "from", "Default", &names).await;
    (relay, names.into_iter().collect())
}

/// What a process came to that moved messages until it died, or until all were.
async fn judge(relay: &Relay, all: &BTreeSet<String>, told: &BTreeSet<String>, step: &str) {
    let left = drained(relay, "from").await;
    let (one, two) = (drained(relay, "one").await, drained(relay, "two").await);
    assert_eq!(one, two, "{step}: half of a transaction");
    assert!(
        told.is_subset(&one),
        "{step}: {told:?} was told, {one:?} is there"
    );
    assert!(
        one.len() <= told.len() + 1,
        "{step}: {one:?}, told {told:?}"
    );
    assert!(left.is_disjoint(&one), "{step}: {left:?} and {one:?}");
    let both: BTreeSet<String> = left.union(&one).cloned().collect();
    assert_eq!(both, *all, "{step}");
}

/// Pops one and moves it; `None` if the process is gone, else whether it was done.
async fn step_on(address: std::net::SocketAddr, told: &mut BTreeSet<String>) -> Option<bool> {
    let path = "/api/v1/pop/queue/from";
    let (code, popped) = attempt(address, "GET", path, &Value::Null).await?;
    if code != 200 {
        return Some(false);
    }
    let message = &popped["messages"][0];
    let path = "/api/v1/transaction";
    let (code, _) = attempt(address, "POST", path, &moved(message)).await?;
    if code == 200 {
        told.insert(name_of(message).to_owned());
    }
    Some(code == 200)
}

#[tokio::test]
async fn a_process_killed_at_any_step_of_a_pop_or_a_transaction_leaves_nothing_half_done() {
    let steps = [
        "before-begin",
        "after-begin",
        "after-insert",
        "before-commit",
        "after-commit",
        "before-wake",
        "before-ack",
        "after-ack",
    ];
    let played = steps.iter().enumerate().map(|(n, step)| async move {
        let (mut relay, all) = begin().await;
        // Now a pop, now a transaction is what it dies at.
        let point = format!("--fail-point={step}=abort@{}", 12 + n % 2);
        let dying = relay.add(&[&point]).await;
        let address = relay.address(dying);
        let mut told = BTreeSet::new();
        let mut rounds = 0;
        while step_on(address, &mut told).await.is_some() {
            rounds += 1;
            assert!(rounds < 10 * JOBS, "{step}: it never died");
        }
        judge(&relay, &all, &told, step).await;
    });
    for one in played {
        one.await;
    }
}

#[tokio::test]
async fn a_process_killed_at_any_step_of_an_ack_has_done_it_or_the_message_comes_again() {
    for step in [
        "after-begin",
        "after-insert",
        "before-commit",
        "after-commit",
        "before-ack",
    ] {
        let mut relay = Relay::start(1, &[]).await;
        configure(
            &relay,
            "q",
            json!({"leaseTime": 2, "retryDelay": 0, "fifo": false}),
        )
        .await;
        let names: Vec<String> = (0..JOBS).map(|n| format!("m{n:02}")).collect();
        push(&relay, 0, "q", "Default", &names).await;
        let point = format!("--fail-point={step}=abort@9");
        let dying = relay.add(&[&point]).await;
        let address = relay.address(dying);
        let held = pop(&relay, 0, &format!("q?batch={JOBS}")).await;
        let mut told = BTreeSet::new();
        let mut asked = BTreeSet::new();
        for message in &held {
            // The process has transactions of its own, too: it dies at one of these or of those.
            asked.insert(name_of(message).to_owned());
            let done = ack_of(message, "completed");
            match attempt(address, "POST", "/api/v1/ack", &done).await {
                None => break,
                Some((200, answer)) => {
                    assert_eq!(answer[0]["success"], true, "{step}: {answer}");
                    told.insert(name_of(message).to_owned());
                }
                Some((code, answer)) => panic!("{step}: {code} {answer}"),
            }
        }
        assert!(told.len() < JOBS, "{step}: it never died");
        let again = drained(&relay, "q").await;
        assert!(again.is_disjoint(&told), "{step}: {again:?} came again");
        let lost = JOBS - told.len() - again.len();
        assert!(lost <= 1, "{step}: {lost} are gone that nobody was told of");
        let unasked = names.iter().filter(|name| !asked.contains(*name));
        for name in unasked {
            assert!(again.contains(name), "{step}: {name} is gone");
        }
    }
}

#[tokio::test]
async fn a_process_killed_at_any_step_of_a_push_has_all_of_the_push_or_nothing() {
    for step in [
        "after-insert",
        "before-commit",
        "after-commit",
        "before-ack",
    ] {
        let mut relay = Relay::start(1, &[]).await;
        let point = format!("--fail-point={step}=abort@9");
        let dying = relay.add(&[&point]).await;
        let address = relay.address(dying);
        let mut told = 0;
        for n in 0.. {
            assert!(n < 200, "{step}: it never died");
            let items: Vec<Value> = (0..10)
                .map(|i| json!({"queue": "q", "transactionId": format!("m{n}-{i}"), "payload": i}))
                .collect();
            let pushed = attempt(address, "POST", "/api/v1/push", &json!({"items": items})).await;
            let Some((code, answer)) = pushed else { break };
            assert_eq!(code, 201, "{answer}");
            told += 10;
        }
        let depth = status(&relay, 0, "q").await["depth"].as_u64().unwrap_or(0);
        assert!(
            depth == told || depth == told + 10,
            "{step}: {depth}, told {told}"
        );
    }
}

#[tokio::test]
async fn what_can_not_be_written_is_answered_with_503_and_nothing_of_it_is_there() {
    let (mut relay, all) = begin().await;
    let failing = relay
        .add(&["--fail-point=before-commit=error@12..16"])
        .await;
    let address = relay.address(failing);
    let (mut told, mut refused) = (BTreeSet::new(), 0);
    for _ in 0..JOBS {
        match step_on(address, &mut told).await {
            Some(true) => {}
            Some(false) => refused += 1,
            None => panic!("it has to go on"),
        }
    }
    assert!(refused > 0, "nothing failed");
    let item = json!({"items": [{"queue": "q", "payload": 1}]});
    let (code, _) = ask(&relay, failing, "POST", "/api/v1/push", &item).await;
    assert_eq!(code, 201, "it works again");
    judge(&relay, &all, &told, "error").await;
}

#[tokio::test]
async fn on_a_full_disk_a_push_is_refused_and_works_again_once_there_is_room() {
    let disk = super::disk::Disk::new(16);
    let mut process = super::harness::server::Process::launch(&disk.path().join("relay.db"), &[]);
    let address = process.started().await.expect("it starts");
    let ballast = disk.fill();
    let payload = "x".repeat(100_000);
    let (mut told, mut refused) = (BTreeSet::new(), BTreeSet::new());
    // A little fits into what SQLite has already.
    for n in 0..20 {
        let name = format!("m{n}");
        let item = json!({"queue": "q", "transactionId": name, "payload": payload});
        let pushed = attempt(address, "POST", "/api/v1/push", &json!({"items": [item]})).await;
        match pushed.expect("it lives").0 {
            201 => told.insert(name),
            503 => refused.insert(name),
            code => panic!("{code}"),
        };
        if refused.len() == 3 {
            break;
        }
    }
    assert_eq!(refused.len(), 3, "told {told:?}");
    std::fs::remove_file(ballast).expect("it goes");
    let item = json!({"queue": "q", "transactionId": "after", "payload": 1});
    let items = json!({"items": [item]});
    let mut tries = 0;
    while attempt(address, "POST", "/api/v1/push", &items)
        .await
        .expect("it lives")
        .0
        != 201
    {
        tries += 1;
        assert!(tries < 50, "there is room");
        super::nap(200).await;
    }
    told.insert("after".to_owned());
    let path = "/api/v1/pop/queue/q?batch=100";
    let (_, popped) = attempt(address, "GET", path, &Value::Null)
        .await
        .expect("it lives");
    let messages = popped["messages"].as_array().expect("they are there");
    let found: BTreeSet<String> = messages.iter().map(|one| name_of(one).to_owned()).collect();
    assert_eq!(found, told, "refused: {refused:?}");
    process.kill().await;
}
