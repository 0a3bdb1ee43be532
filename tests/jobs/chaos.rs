//! Processes and workers that are killed: nothing acked is lost, nothing comes in another order, nothing has two holders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::harness::{Random, http};
use super::{Relay, ack_of, configure, status};

/// What producers and workers have been told.
#[derive(Default)]
struct Told {
    pushed: BTreeSet<String>,
    completed: Vec<String>,
    /// By partition: names in the order of their completion.
    order: BTreeMap<String, Vec<usize>>,
}

/// One request; nothing if the process is not there, or died meanwhile.
pub async fn attempt(
    address: std::net::SocketAddr,
    method: &str,
    path: &str,
    body: &Value,
) -> Option<(u16, Value)> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = http::ask(address, method, path, "Host: localhost\r\n", &body).await?;
    Some((
        answer.status,
        serde_json::from_str(&answer.body).unwrap_or(Value::Null),
    ))
}

async fn produce(
    addresses: Arc<Mutex<Vec<std::net::SocketAddr>>>,
    told: Arc<Mutex<Told>>,
    partition: usize,
) {
    for i in 0..40 {
        let name = format!("p{partition}-{i:04}");
        let item = json!({"queue": "q", "partition": format!("p{partition}"), "transactionId": name, "payload": i});
        for try_ in 0.. {
            assert!(try_ < 400, "no process takes {name}");
            let address = {
                let all = addresses.lock();
                all[try_ % all.len()]
            };
            let answer = attempt(address, "POST", "/api/v1/push", &json!({"items": [item]})).await;
            if answer.is_some_and(|(status, _)| status == 201) {
                told.lock().pushed.insert(name);
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn work(
    addresses: Arc<Mutex<Vec<std::net::SocketAddr>>>,
    told: Arc<Mutex<Told>>,
    seed: u64,
    end: Arc<AtomicBool>,
) {
    let mut random = Random::seeded(seed);
    while !end.load(Ordering::Acquire) {
        let address = {
            let all = addresses.lock();
            all[usize::try_from(random.below(all.len() as u64)).expect("small")]
        };
        let path = "/api/v1/pop/queue/q?batch=5&wait=true&timeout=300";
        let Some((200, answer)) = attempt(address, "GET", path, &Value::Null).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if random.below(6) == 0 {
            // The worker dies: its lease runs out.
            continue;
        }
        for message in answer["messages"].as_array().into_iter().flatten() {
            // The order of first deliveries: a message is popped only once the one before it was acked, while
            // answers to acks of two workers may cross.
            let place =
                usize::try_from(message["data"].as_u64().expect("a number")).expect("small");
            let partition = message["partition"].as_str().expect("a partition");
            {
                let mut told = told.lock();
                let order = told.order.entry(partition.to_owned()).or_default();
                if !order.contains(&place) {
                    order.push(place);
                }
            }
            let address = {
                let all = addresses.lock();
                all[usize::try_from(random.below(all.len() as u64)).expect("small")]
            };
            let acked = attempt(
                address,
                "POST",
                "/api/v1/ack",
                &ack_of(message, "completed"),
            )
            .await;
            let Some((200, acked)) = acked else { break };
            if acked[0]["success"] != true {
                break;
            }
            let mut told = told.lock();
            told.completed.push(
                message["transactionId"]
                    .as_str()
                    .expect("a name")
                    .to_owned(),
            );
        }
    }
}

#[tokio::test]
async fn processes_that_are_killed_lose_nothing_that_was_acked_and_no_order() {
    killed(Relay::start(3, &[]).await).await;
}

/// Processes of that relay are killed.
pub async fn killed(mut relay: Relay) {
    configure(
        &relay,
        "q",
        json!({"leaseTime": 1, "retryDelay": 50, "retryLimit": 1_000}),
    )
    .await;
    let addresses = Arc::new(Mutex::new(
        (0..3).map(|n| relay.address(n)).collect::<Vec<_>>(),
    ));
    let (told, end) = (Arc::<Mutex<Told>>::default(), Arc::<AtomicBool>::default());
    let producing = join_all((0..3).map(|p| produce(addresses.clone(), told.clone(), p)));
    let working =
        join_all((1..5).map(|seed| work(addresses.clone(), told.clone(), seed, end.clone())));
    let until_all_is_done = async {
        let breaking = async {
            let mut current = [0, 1, 2];
            for round in 0..4 {
                tokio::time::sleep(Duration::from_millis(700)).await;
                let n = 1 + round % 2;
                relay.process(current[n]).kill().await;
                current[n] = relay.add(&[]).await;
                let address = relay.address(current[n]);
                addresses.lock()[n] = address;
            }
        };
        tokio::join!(producing, breaking);
        let until = Instant::now() + Duration::from_secs(60);
        while status(&relay, 0, "q").await["depth"] != 0 {
            assert!(Instant::now() < until, "{}", status(&relay, 0, "q").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        end.store(true, Ordering::Release);
    };
    tokio::join!(until_all_is_done, working);
    let status = status(&relay, 0, "q").await;
    let told = told.lock();
    assert_eq!(told.pushed.len(), 120);
    assert_eq!(status["completed"], 120, "{status}");
    assert_eq!(status["dead"], 0, "{status}");
    let once: BTreeSet<_> = told.completed.iter().collect();
    assert_eq!(once.len(), told.completed.len(), "an ack was taken twice");
    for (partition, order) in &told.order {
        assert!(order.is_sorted(), "{partition}: {order:?}");
    }
}
