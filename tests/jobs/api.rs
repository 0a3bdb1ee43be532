//! Bad input: every wrong field, name, size and state has an error that names it, and nothing is half done.

use serde_json::{Value, json};

use super::{Relay, ack, ask, name_of, pop, push, status};

#[expect(clippy::too_many_lines, reason = "one case a line")]
#[tokio::test]
async fn every_bad_request_is_refused_with_what_would_be_right() {
    let relay = Relay::start(1, &[]).await;
    let long = "x".repeat(129);
    let many: Vec<Value> = (0..1_001)
        .map(|i| json!({"queue": "q", "payload": i}))
        .collect();
    let nothing = Value::Null;
    for (method, path, body, code, says) in [
        (
            "POST",
            "/api/v1/push".to_owned(),
            json!({"items": []}),
            400,
            "items has 1 to 1000",
        ),
        (
            "POST",
            "/api/v1/push".to_owned(),
            json!({"items": many}),
            400,
            "items has 1 to 1000",
        ),
        (
            "POST",
            "/api/v1/push".to_owned(),
            json!({"items": [{"queue": "q"}]}),
            400,
            "payload",
        ),
        (
            "POST",
            "/api/v1/push".to_owned(),
            json!({"items": [{"payload": 1}]}),
            400,
            "queue",
        ),
        (
            "POST",
            "/api/v1/push".to_owned(),
            json!({"items": [{"queue": "q", "payload": 1, "prio": 1}]}),
            400,
            "prio",
        ),
        (
            "POST",
            "/api/v1/push".to_owned(),
            json!({"items": [{"queue": long, "payload": 1}]}),
            400,
            "queue is 1 to 128",
        ),
        (
            "POST",
            "/api/v1/push".to_owned(),
            json!([]),
            400,
            "the body is wrong",
        ),
        (
            "GET",
            "/api/v1/pop/queue/q?batch=0".to_owned(),
            nothing.clone(),
            400,
            "batch is a whole number from 1 to 1000",
        ),
        (
            "GET",
            "/api/v1/pop/queue/q?batch=1001".to_owned(),
            nothing.clone(),
            400,
            "batch is",
        ),
        (
            "GET",
            "/api/v1/pop/queue/q?wait=maybe".to_owned(),
            nothing.clone(),
            400,
            "wait is true or false",
        ),
        (
            "GET",
            "/api/v1/pop/queue/q?timeout=-1".to_owned(),
            nothing.clone(),
            400,
            "timeout is",
        ),
        (
            "GET",
            "/api/v1/pop/queue/q?autopilot=yes".to_owned(),
            nothing.clone(),
            400,
            "autopilot is true or false",
        ),
        (
            "GET",
            "/api/v1/pop/queue/q?bacth=1".to_owned(),
            nothing.clone(),
            400,
            "no field bacth",
        ),
        (
            "GET",
            "/api/v1/pop/queue/q?subscriptionMode=some".to_owned(),
            nothing.clone(),
            400,
            "subscriptionMode is",
        ),
        (
            "GET",
            "/api/v1/pop/queue/q?subscriptionFrom=then".to_owned(),
            nothing.clone(),
            400,
            "subscriptionFrom is a time",
        ),
        (
            "GET",
            format!("/api/v1/pop/queue/q?consumerGroup={long}"),
            nothing.clone(),
            400,
            "consumerGroup is 1 to 128",
        ),
        (
            "GET",
            "/api/v1/pop".to_owned(),
            nothing.clone(),
            400,
            "namespace",
        ),
        (
            "POST",
            "/api/v1/configure".to_owned(),
            json!({}),
            400,
            "queue",
        ),
        (
            "POST",
            "/api/v1/configure".to_owned(),
            json!({"queue": "q", "options": {"leaseTime": 0}}),
            400,
            "options.leaseTime",
        ),
        (
            "POST",
            "/api/v1/configure".to_owned(),
            json!({"queue": "q", "options": {"encryptionEnabled": true}}),
            400,
            "encrypt",
        ),
        (
            "POST",
            "/api/v1/ack/batch".to_owned(),
            json!({"acknowledgments": []}),
            400,
            "acknowledgments has 1 to 1000",
        ),
        (
            "POST",
            "/api/v1/ack".to_owned(),
            json!({"transactionId": "a"}),
            400,
            "partitionId",
        ),
        (
            "POST",
            "/api/v1/transaction".to_owned(),
            json!({"operations": []}),
            400,
            "operations has 1 to 1000",
        ),
        (
            "POST",
            "/api/v1/transaction".to_owned(),
            json!({
                "operations": [{"type": "push", "items": [{"queue": "q", "payload": 1}]}],
                "requiredLeases": vec!["x"; 1_001],
            }),
            400,
            "requiredLeases has at most 1000",
        ),
        (
            "POST",
            "/api/v1/transaction".to_owned(),
            json!({"operations": [{"type": "pop"}]}),
            400,
            "pop",
        ),
        (
            "POST",
            "/api/v1/lease/nonsense/extend".to_owned(),
            json!({}),
            409,
            "no such lease",
        ),
        (
            "POST",
            "/api/v1/lease/nonsense/extend".to_owned(),
            json!({"seconds": 0}),
            400,
            "seconds is",
        ),
        (
            "DELETE",
            "/api/v1/resources/queues/none".to_owned(),
            nothing.clone(),
            404,
            "no queue none",
        ),
        (
            "GET",
            "/api/v1/status/queues/none".to_owned(),
            nothing.clone(),
            404,
            "no queue none",
        ),
        (
            "GET",
            "/api/v1/peek/queue/none".to_owned(),
            nothing.clone(),
            404,
            "no queue none",
        ),
        (
            "GET",
            "/api/v1/dlq?reviewed=x".to_owned(),
            nothing.clone(),
            400,
            "reviewed is true or false",
        ),
        (
            "POST",
            "/api/v1/dlq/x/replay".to_owned(),
            json!({}),
            400,
            "a number",
        ),
        (
            "POST",
            "/api/v1/dlq/7/replay".to_owned(),
            json!({}),
            404,
            "no entry 7",
        ),
        (
            "DELETE",
            "/api/v1/consumer-groups/none".to_owned(),
            nothing.clone(),
            404,
            "consumer group none",
        ),
        (
            "POST",
            "/api/v1/consumer-groups/g/queues/q/seek".to_owned(),
            json!({}),
            400,
            "toEnd",
        ),
        (
            "POST",
            "/api/v1/messages/x/y/requeue".to_owned(),
            json!({}),
            404,
            "message y",
        ),
    ] {
        let (status, answer) = ask(&relay, 0, method, &path, &body).await;
        let text = answer.to_string();
        assert_eq!(status, code, "{method} {path} {text}");
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(message.contains(says), "{method} {path}: {text}");
        assert_eq!(answer["error"], answer["message"]);
    }
    let (_, queues) = ask(&relay, 0, "GET", "/api/v1/resources/queues", &nothing).await;
    assert_eq!(queues["total"], 0, "nothing was half done");
}

#[tokio::test]
async fn a_request_over_8_mib_is_refused_and_one_below_is_taken() {
    let relay = Relay::start(1, &[]).await;
    let item = |kib: usize| json!({"queue": "q", "payload": "x".repeat(kib * 1024 - 16)});
    let nine: Vec<Value> = (0..9).map(|_| item(1_024)).collect();
    let (status, answer) = ask(&relay, 0, "POST", "/api/v1/push", &json!({"items": nine})).await;
    assert_eq!((status, &answer["code"]), (413, &json!("too-large")));
    let seven: Vec<Value> = (0..7).map(|_| item(1_024)).collect();
    let (status, answer) = ask(&relay, 0, "POST", "/api/v1/push", &json!({"items": seven})).await;
    assert_eq!(status, 201, "{answer}");
    let (status, answer) = ask(
        &relay,
        0,
        "POST",
        "/api/v1/push",
        &json!({"items": [item(1_025)]}),
    )
    .await;
    assert_eq!((status, &answer["code"]), (413, &json!("too-large")));
    assert_eq!(self::status(&relay, 0, "q").await["depth"], 7);
}

#[tokio::test]
async fn payloads_come_back_as_they_were_pushed_to_the_last_digit() {
    let relay = Relay::start(1, &[]).await;
    let text = r#"{"items":[{"queue":"q","payload":{"n":12345678901234567890123,"f":1.10,"s":"\u00e9"}}]}"#;
    let headers = "Host: localhost\r\n";
    let push = super::http::ask(relay.address(0), "POST", "/api/v1/push", headers, text).await;
    assert_eq!(push.expect("an answer").status, 201);
    let pop = super::http::ask(relay.address(0), "GET", "/api/v1/pop/queue/q", headers, "").await;
    let body = pop.expect("an answer").body;
    assert!(
        body.contains(r#""data":{"n":12345678901234567890123,"f":1.10,"s":"\u00e9"}"#),
        "{body}"
    );
}

#[tokio::test]
async fn a_dead_message_is_listed_reviewed_and_replayed() {
    let relay = Relay::start(1, &[]).await;
    super::configure(&relay, "q", json!({"retryLimit": 0})).await;
    push(&relay, 0, "q", "Default", &["a".to_owned()]).await;
    let popped = pop(&relay, 0, "q").await;
    assert_eq!(ack(&relay, 0, &popped[0], "failed").await["dlq"], true);
    let (_, dead) = ask(
        &relay,
        0,
        "GET",
        "/api/v1/dlq?queue=q&reviewed=false",
        &Value::Null,
    )
    .await;
    assert_eq!(
        (&dead["total"], &dead["messages"][0]["data"]),
        (&json!(1), &json!({"name": "a"}))
    );
    let id = dead["messages"][0]["id"].as_str().expect("an id");
    let (code, _) = ask(
        &relay,
        0,
        "POST",
        &format!("/api/v1/dlq/{id}/reviewed"),
        &json!({}),
    )
    .await;
    assert_eq!(code, 200);
    let (_, left) = ask(
        &relay,
        0,
        "GET",
        "/api/v1/dlq?queue=q&reviewed=false",
        &Value::Null,
    )
    .await;
    assert_eq!(left["total"], 0);
    let (code, _) = ask(
        &relay,
        0,
        "POST",
        &format!("/api/v1/dlq/{id}/replay"),
        &json!({}),
    )
    .await;
    assert_eq!(code, 200);
    let again = pop(&relay, 0, "q").await;
    assert_eq!(name_of(&again[0]), "a");
    assert_eq!(
        ack(&relay, 0, &again[0], "completed").await["success"],
        true
    );
}

#[tokio::test]
async fn a_message_is_given_up_by_hand_and_a_queue_is_emptied() {
    let relay = Relay::start(1, &[]).await;
    let names = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
    push(&relay, 0, "q", "Default", &names).await;
    let nothing = Value::Null;
    let (_, waiting) = ask(&relay, 0, "GET", "/api/v1/messages?queue=q", &nothing).await;
    let first = &waiting["messages"][0];
    let name = |field: &str| first[field].as_str().expect("a name").to_owned();
    let path = format!(
        "/api/v1/messages/{}/{}/dlq",
        name("partitionId"),
        name("transactionId")
    );
    let (code, answer) = ask(&relay, 0, "POST", &path, &json!({})).await;
    let told = answer["message"].as_str().unwrap_or_default();
    assert!(code == 404 && told.contains("pop first"), "{answer}");
    pop(&relay, 0, "q").await;
    let (code, answer) = ask(&relay, 0, "POST", &path, &json!({})).await;
    assert_eq!(code, 200, "{answer}");
    let (_, dead) = ask(&relay, 0, "GET", "/api/v1/dlq?queue=q", &nothing).await;
    assert_eq!(dead["total"], 1, "{dead}");

    let (code, answer) = ask(&relay, 0, "DELETE", "/api/v1/queues/q/clear", &nothing).await;
    assert_eq!(code, 200, "{answer}");
    let (_, queue) = ask(&relay, 0, "GET", "/api/v1/status/queues/q", &nothing).await;
    assert_eq!(
        (&queue["pending"], &queue["depth"]),
        (&json!(0), &json!(0)),
        "{queue}"
    );
}

#[tokio::test]
async fn the_jobs_api_wants_the_token_of_the_server_api() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "a token that is long enough for anybody").expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).expect("its mode");
    let relay = Relay::start(1, &["--api-token-file", file.to_str().expect("a path")]).await;
    let (code, _) = ask(
        &relay,
        0,
        "POST",
        "/api/v1/push",
        &json!({"items": [{"queue": "q", "payload": 1}]}),
    )
    .await;
    assert_eq!(code, 401);
    let (code, _) = ask(&relay, 0, "GET", "/api/v1/pop/queue/q", &Value::Null).await;
    assert_eq!(code, 401);
}

#[tokio::test]
async fn the_relays_own_queues_take_nothing_from_others_and_give_them_nothing() {
    let relay = Relay::start(1, &[]).await;
    let item = json!({"queue": "scumble.hook.save", "payload": 1});
    let push = json!({"items": [{"queue": "q", "payload": 1}, item]});
    let step = json!({"operations": [{"type": "push", "items": [item]}]});
    for (method, path, body) in [
        ("POST", "/api/v1/push", &push),
        ("POST", "/api/v1/transaction", &step),
        ("GET", "/api/v1/pop/queue/scumble.hook.save", &Value::Null),
    ] {
        let (status, answer) = ask(&relay, 0, method, path, body).await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert_eq!(status, 400, "{path}: {answer}");
        assert!(message.contains("the relay's own"), "{path}: {answer}");
    }
    let (_, queues) = ask(&relay, 0, "GET", "/api/v1/status/queues", &Value::Null).await;
    assert_eq!(queues["total"], 0, "nothing was half done");
}

#[tokio::test]
async fn queues_and_partitions_are_listed_page_by_page_and_by_a_part_of_the_name() {
    let relay = Relay::start(1, &[]).await;
    for queue in ["mails", "thumbs-1", "thumbs-2", "thumbs-3"] {
        for partition in ["a", "b"] {
            push(&relay, 0, queue, partition, &["x".to_owned()]).await;
        }
    }
    for (path, list, names, total) in [
        (
            "status/queues?search=thumbs&limit=2",
            "queues",
            &["thumbs-1", "thumbs-2"][..],
            3,
        ),
        (
            "status/queues?search=thumbs&offset=2",
            "queues",
            &["thumbs-3"],
            3,
        ),
        ("resources/queues?limit=1", "queues", &["mails"], 4),
        (
            "resources/partitions?queue=mails&offset=1",
            "partitions",
            &["b"],
            2,
        ),
        (
            "resources/partitions?offset=1&limit=2",
            "partitions",
            &["b", "a"],
            8,
        ),
        ("resources/partitions?offset=9", "partitions", &[], 8),
    ] {
        let path = format!("/api/v1/{path}");
        let (_, answer) = ask(&relay, 0, "GET", &path, &Value::Null).await;
        let rows = answer[list].as_array().unwrap();
        let found: Vec<_> = rows
            .iter()
            .map(|row| row["name"].as_str().unwrap())
            .collect();
        assert_eq!(found, names, "{path}");
        assert_eq!(answer["total"], total, "{path}");
    }
}
