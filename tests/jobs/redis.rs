//! The same over Redis: processes that share nothing else.

use serde_json::json;

use super::redis_server::RedisServer;
use super::{Relay, ack, ask, chaos, configure, name_of, pop, processes, push, status};

struct OverRedis {
    server: RedisServer,
    flags: Vec<String>,
}

impl OverRedis {
    fn new() -> Self {
        let server = RedisServer::start();
        let flags = vec!["--redis".to_owned(), server.url()];
        Self { server, flags }
    }

    fn flags(&self) -> Vec<&str> {
        self.flags.iter().map(String::as_str).collect()
    }

    async fn relay(&self, processes: usize) -> Relay {
        Relay::start(processes, &self.flags()).await
    }
}

#[tokio::test]
async fn over_redis_a_push_wakes_a_pop_that_waits_on_another_process() {
    let over = OverRedis::new();
    processes::push_wakes(&over.relay(2).await).await;
}

#[tokio::test]
async fn over_redis_a_pop_that_waits_gets_what_becomes_due_and_what_a_dead_worker_had() {
    let over = OverRedis::new();
    processes::waits_for_what_is_due(&over.relay(2).await).await;
}

#[tokio::test]
async fn over_redis_of_many_that_wait_each_message_is_given_to_one() {
    let over = OverRedis::new();
    processes::one_of_many(&over.relay(2).await).await;
}

#[tokio::test]
async fn over_redis_processes_that_are_killed_lose_nothing_that_was_acked_and_no_order() {
    let over = OverRedis::new();
    chaos::killed(over.relay(3).await).await;
}

#[tokio::test]
async fn over_redis_a_transaction_over_several_queues_is_all_or_nothing() {
    let over = OverRedis::new();
    let relay = over.relay(2).await;
    configure(&relay, "small", json!({"maxSize": 1})).await;
    push(&relay, 0, "from", "Default", &["a".to_owned()]).await;
    let held = pop(&relay, 0, "from").await;
    let item =
        |queue: &str, name: &str| json!({"queue": queue, "transactionId": name, "payload": 1});
    let transaction = |names: [&str; 2]| {
        let mut done = super::ack_of(&held[0], "completed");
        done["type"] = json!("ack");
        let items: Vec<_> = names.iter().map(|name| item("small", name)).collect();
        json!({"operations": [done, {"type": "push", "items": [item("to", names[0])]}, {"type": "push", "items": items}]})
    };
    let path = "/api/v1/transaction";
    let (code, refused) = ask(&relay, 1, "POST", path, &transaction(["b", "c"])).await;
    assert_eq!(code, 429, "{refused}");
    assert_eq!(status(&relay, 0, "from").await["inFlight"], 1);
    assert!(pop(&relay, 0, "to").await.is_empty());
    let (code, done) = ask(&relay, 1, "POST", path, &transaction(["b", "b"])).await;
    assert_eq!(code, 200, "{done}");
    assert_eq!(status(&relay, 0, "from").await["depth"], 0);
    assert_eq!(name_of(&pop(&relay, 0, "to").await[0]), "b");
}

#[tokio::test]
async fn what_was_acked_is_there_after_a_crash_of_redis_and_leases_go_on() {
    let mut over = OverRedis::new();
    let relay = over.relay(2).await;
    push(&relay, 0, "q", "Default", &["a".to_owned()]).await;
    push(&relay, 0, "q", "other", &["b".to_owned()]).await;
    let held = pop(&relay, 1, "q").await;
    over.server.kill();
    let (code, told) = ask(
        &relay,
        0,
        "POST",
        "/api/v1/push",
        &json!({"items": [{"queue": "q", "payload": 1}]}),
    )
    .await;
    assert_eq!(code, 503, "{told}");
    over.server.run();
    let mut found = Vec::new();
    for _ in 0..100 {
        let (code, answer) = ask(&relay, 0, "GET", "/api/v1/pop/queue/q", &json!(null)).await;
        if code == 200 {
            found = answer["messages"].as_array().cloned().unwrap_or_default();
            break;
        }
        super::nap(100).await;
    }
    assert_eq!(
        name_of(&found[0]),
        if name_of(&held[0]) == "b" { "a" } else { "b" }
    );
    for one in [&held[0], &found[0]] {
        assert_eq!(ack(&relay, 0, one, "completed").await["success"], true);
    }
    assert_eq!(status(&relay, 1, "q").await["depth"], 0);
}
