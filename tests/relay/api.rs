//! The server API on real processes. Every answer is checked against the document that the server itself gives, and every
//! answer that the document promises is asked for.

mod checked;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::harness::http;
use crate::harness::{Client, Relay, Socket};

use checked::Api;

const TOKEN: &str = "the token of the tests";

async fn named(relay: &Relay, n: usize, canvas: &str, client: &str) -> Client {
    let socket = Socket::open(relay.address(n), canvas).await.expect("up");
    let hello = json!({"client": client, "user": {"name": client}});
    Client::enter(socket, canvas, hello).await
}

#[tokio::test]
async fn every_answer_is_as_the_document_says_and_every_promised_answer_is_given() {
    let mut api = Api::start(&["--max-objects", "2", "--max-message-bytes", "2048"]).await;
    let mut ada = named(&api.relay, 1, "board", "client-ada").await;
    ada.say(json!({"type": "presence", "state": {"typing": true}}))
        .await;
    let object = |id: &str| json!({"type": "object-create", "object": {"id": id, "kind": "box"}});
    assert_eq!(
        api.publish(0, "board", &object("a")).await.1,
        json!({"seq": 1, "status": "ok"})
    );
    ada.reach(1).await;

    let paths: Vec<String> = ["", "/objects", "/members", "/messages"]
        .map(|end| format!("/api/v1/canvases/board{end}"))
        .to_vec();
    for path in &paths {
        assert_eq!(api.get(path).await.0, 200);
        assert_eq!(api.get(&path.replace("board", "nowhere")).await.0, 404);
        assert_eq!(api.get(&path.replace("board", ".bad")).await.0, 400);
        assert_eq!(api.get(&path.replace("board", "%ff")).await.0, 400);
    }
    for range in ["", "?range=15m", "?range=3h", "?range=24h"] {
        let path = format!("/api/v1/analytics{range}");
        assert_eq!(api.get(&path).await.0, 200, "{range}");
    }
    for wrong in ["?range=1y", "?since=5"] {
        let path = format!("/api/v1/analytics{wrong}");
        assert_eq!(api.get(&path).await.0, 400, "{wrong}");
    }
    assert_eq!(api.get("/api/v1/canvases?limit=1").await.0, 200);
    assert_eq!(api.get("/api/v1/canvases?limit=0").await.0, 400);
    assert_eq!(api.get("/api/v1/canvases?limit=x").await.0, 400);
    let old = "/api/v1/canvases/board/messages?epoch=0123456789abcdef";
    assert_eq!(api.get(old).await.0, 410);

    assert_eq!(api.publish(0, "board", &object("b")).await.0, 200);
    let (status, refused) = api.publish(0, "board", &object("c")).await;
    assert_eq!((status, &refused["error"]), (422, &json!("too-large")));
    for (body, why) in [
        ("", "one JSON object"),
        ("[]", "one JSON object"),
        (r#"{"type":"cursor","x":1,"y":2}"#, "type must be"),
        (r#"{"type":"chat"}"#, "text is missing"),
        (
            r#"{"type":"chat","text":"x","idempotency_key":7}"#,
            "idempotency_key",
        ),
        (
            r#"{"type":"chat","text":"x","user":{"name":7}}"#,
            "user.name",
        ),
    ] {
        let (status, told) = api.ask(0, "POST", &paths[3], body).await;
        assert_eq!(status, 400, "{body}");
        assert!(
            told["message"].as_str().expect("words").contains(why),
            "{told}"
        );
    }
    for bytes in [2_100, 10_000] {
        let text = "x".repeat(bytes);
        let large = json!({"type": "broadcast", "event": "e", "data": text});
        assert_eq!(api.publish(0, "board", &large).await.0, 413);
    }

    disconnect_and_delete(&mut api, &mut ada).await;
    knock(&mut api).await;
    let missing: Vec<_> = api.promised().difference(&api.seen).cloned().collect();
    // Jobs and hooks have a contract test of their own, tests/interop/openapi_jobs.py, made of their part of the document.
    let jobs = include_str!("../../docs/openapi.yaml");
    let failing = |(_, path, status): &&(String, String, String)| {
        status != "default" && !jobs.contains(&format!("\n  \"{path}\":\n"))
    };
    let missing: Vec<_> = missing.iter().filter(failing).collect();
    assert!(missing.is_empty(), "promised, and never seen: {missing:?}");
}

async fn disconnect_and_delete(api: &mut Api, ada: &mut Client) {
    let kick = "/api/v1/canvases/board/clients/client-ada/disconnect";
    assert_eq!(
        api.ask(0, "POST", &kick.replace("ada", "nobody"), "")
            .await
            .0,
        404
    );
    assert_eq!(
        api.ask(0, "POST", &kick.replace("client-ada", "short"), "")
            .await
            .0,
        400
    );
    assert_eq!(api.ask(0, "POST", kick, "").await.0, 200);
    assert_eq!(ada.closed().await, Some(4403));
    // A process that is stopped can't confirm.
    let _ben = named(&api.relay, 1, "board", "client-ben").await;
    api.relay.process(1).signal(rustix::process::Signal::STOP);
    stopped(api.relay.process(1).pid()).await;
    let (status, told) = api.ask(0, "POST", &kick.replace("ada", "ben"), "").await;
    assert_eq!((status, &told["disconnected"]), (202, &json!(false)));
    api.relay.process(1).signal(rustix::process::Signal::CONT);

    assert_eq!(
        api.ask(0, "DELETE", "/api/v1/canvases/nowhere", "").await.0,
        404
    );
    assert_eq!(
        api.ask(0, "DELETE", "/api/v1/canvases/.bad", "").await.0,
        400
    );
    assert_eq!(
        api.ask(0, "DELETE", "/api/v1/canvases/board", "").await.0,
        200
    );
}

/// Asks for everything as somebody who may not.
async fn knock(api: &mut Api) {
    // The guard stands before everything but the document.
    let routes: BTreeSet<(String, String)> = api
        .promised()
        .into_iter()
        .map(|(method, path, _)| (method, path))
        .collect();
    let open = Relay::start(1, &[]).await;
    for (method, path) in routes
        .iter()
        .filter(|(_, path)| !path.ends_with("openapi.json"))
    {
        let path = path
            .replace("{canvas}", "board")
            .replace("{client}", "client-ada");
        let method = method.to_uppercase();
        for wrong in [
            "",
            "Authorization: Bearer wrong\r\n",
            "Authorization: Basic x\r\n",
        ] {
            let headers = format!("Host: 127.0.0.1\r\n{wrong}");
            assert_eq!(api.ask_with(0, &method, &path, &headers, "").await.0, 401);
        }
        let proxied = "Host: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\n";
        let answer = http::ask(open.address(0), &method, &path, proxied, "").await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 403);
        api.note(&method, &path, &answer);
    }
}

#[tokio::test]
async fn a_queue_that_cannot_commit_is_503_with_a_time_to_come_back() {
    let mut api = Api::start(&[]).await;
    let chat = json!({"type": "chat", "text": "x"});
    assert_eq!(api.publish(0, "board", &chat).await.0, 200);
    let writer = api.relay.writer();
    writer.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let (status, told) = api.publish(0, "board", &chat).await;
    assert_eq!((status, &told["error"]), (503, &json!("overloaded")));
    assert!(told["retry_after_ms"].is_u64(), "{told}");
    writer.execute_batch("ROLLBACK").expect("the lock goes");
    let (status, told) = api.publish(0, "board", &chat).await;
    assert_eq!((status, &told["status"]), (200, &json!("ok")), "{told}");
}

#[tokio::test]
async fn what_is_published_is_heard_in_its_place_and_a_key_makes_it_once() {
    let mut api = Api::start(&[]).await;
    let mut ada = named(&api.relay, 0, "board", "client-ada").await;
    let mut ben = named(&api.relay, 1, "board", "client-ben").await;
    ada.commit(json!({"type": "chat", "text": "one"})).await;
    let bot =
        json!({"type": "chat", "text": "two", "user": {"name": "Bot"}, "idempotency_key": "k-1"});
    assert_eq!(
        api.publish(0, "board", &bot).await.1,
        json!({"seq": 2, "status": "ok"})
    );
    // The same key on the other process, in the header this time.
    let headers = format!("Host: x\r\nAuthorization: Bearer {TOKEN}\r\nIdempotency-Key: k-1\r\n");
    let path = "/api/v1/canvases/board/messages";
    let again = json!({"type": "chat", "text": "two"}).to_string();
    let (_, told) = api.ask_with(1, "POST", path, &headers, &again).await;
    assert_eq!(told, json!({"seq": 2, "status": "dup"}));
    // The key belongs to that message, on every process.
    for process in [0, 1] {
        let other = json!({"type": "chat", "text": "three", "idempotency_key": "k-1"});
        let (status, told) = api.publish(process, "board", &other).await;
        assert_eq!(
            (status, &told["error"]),
            (409, &json!("conflict")),
            "{told}"
        );
    }
    // Without a key, each is one more.
    for n in 3..=40 {
        let event = json!({"type": "broadcast", "event": "tick", "data": n});
        assert_eq!(api.publish(n % 2, "board", &event).await.1["seq"], n);
    }
    let gone = json!({"type": "object-delete", "id": "z"});
    assert_eq!(
        api.publish(0, "board", &gone).await.1,
        json!({"seq": 0, "status": "ignored"})
    );
    for client in [&mut ada, &mut ben] {
        client.reach(40).await;
        assert_eq!(client.stream().entries[1].message["text"], "two");
    }
    assert!(ben.stream().entries[1].client.starts_with("api-"));

    let (_, log) = api
        .get("/api/v1/canvases/board/messages?since=1&limit=3")
        .await;
    assert_eq!((&log["next"], &log["more"]), (&json!(4), &json!(true)));
    let second = &log["messages"][0];
    assert_eq!(
        (&second["seq"], &second["user"]),
        (&json!(2), &json!({"name": "Bot"}))
    );
    let (_, log) = api
        .get("/api/v1/canvases/board/messages?since=39&limit=1")
        .await;
    assert_eq!((&log["next"], &log["more"]), (&json!(40), &json!(false)));
    let (status, _) = api.get("/api/v1/canvases/board/messages?since=41").await;
    assert_eq!(status, 400);

    let (_, list) = api.ask(1, "GET", "/api/v1/canvases", "").await;
    assert_eq!(list["canvases"][0]["head"], 40);
    assert_eq!(list["canvases"][0]["members"], 2);
    let (_, members) = api.get("/api/v1/canvases/board/members").await;
    let clients: Vec<&Value> = members["members"]
        .as_array()
        .expect("all")
        .iter()
        .map(|m| &m["client"])
        .collect();
    assert_eq!(clients, ["client-ada", "client-ben"]);
}

#[tokio::test]
async fn a_deleted_canvas_is_empty_for_those_who_are_on_it() {
    let mut api = Api::start(&[]).await;
    let mut ada = named(&api.relay, 0, "board", "client-ada").await;
    let mut ben = named(&api.relay, 1, "board", "client-ben").await;
    let object = json!({"type": "object-create", "object": {"id": "a", "kind": "box"}});
    ada.commit(object.clone()).await;
    ben.reach(1).await;
    let epoch = ada.epoch.clone();
    let (_, head) = api.ask(1, "DELETE", "/api/v1/canvases/board", "").await;
    assert_eq!(head["head"], 1);
    assert_ne!(head["epoch"], epoch.as_str());
    for client in [&mut ada, &mut ben] {
        client.until(|m| m["type"] == "resync").await;
        assert_eq!(client.seq, 1);
        assert_eq!(client.epoch, head["epoch"].as_str().expect("an epoch"));
    }
    let (_, left) = api.get("/api/v1/canvases/board/objects").await;
    assert_eq!((&left["objects"], &left["seq"]), (&json!([]), &json!(1)));
    assert_eq!(api.get("/api/v1/canvases/board/messages").await.0, 410);
    // Work goes on, and who comes back with what was before gets a snapshot.
    assert_eq!(ada.commit(object).await, 2);
    ben.reach(2).await;
    let socket = Socket::open(api.relay.address(1), "board")
        .await
        .expect("up");
    let hello = json!({"client": "client-late", "since": {"epoch": epoch, "seq": 1}});
    let mut late = Client::enter(socket, "board", hello).await;
    assert_eq!(late.welcome["mode"], "snapshot");
    late.reach(2).await;
}

#[tokio::test]
async fn a_disconnected_client_is_gone_for_the_others_and_may_not_be_confused_with_another() {
    let mut api = Api::start(&[]).await;
    let mut ada = named(&api.relay, 0, "board", "client-ada").await;
    let mut ben = named(&api.relay, 1, "board", "client-ben").await;
    let mut elsewhere = named(&api.relay, 0, "other", "client-ada").await;
    let kick = "/api/v1/canvases/board/clients/client-ada/disconnect";
    let (status, told) = api.ask(1, "POST", kick, "").await;
    assert_eq!(
        (status, told),
        (200, json!({"client": "client-ada", "disconnected": true}))
    );
    assert_eq!(ada.closed().await, Some(4403));
    let told = ben.until(|m| m["type"] == "user-disconnected").await;
    assert_eq!(
        (&told["client"], &told["reason"]),
        (&json!("client-ada"), &json!("left"))
    );
    assert!(ben.heard_of("presence").is_empty(), "not away: gone");
    elsewhere
        .commit(json!({"type": "chat", "text": "still here"}))
        .await;
    assert_eq!(api.ask(1, "POST", kick, "").await.0, 404);
}

#[tokio::test]
async fn without_a_token_only_this_hosts_own_processes_are_answered() {
    let relay = Relay::start(1, &[]).await;
    let port = relay.address(0).port();
    let local = format!("Host: 127.0.0.1:{port}\r\n");
    for (headers, status) in [
        (local.clone(), 200),
        (format!("Host: localhost:{port}\r\n"), 200),
        (format!("Host: [::1]:{port}\r\n"), 200),
        // A name that was made to resolve to this host.
        ("Host: evil.test\r\n".to_owned(), 403),
        // A page, whoever's.
        (format!("{local}Origin: http://127.0.0.1:{port}\r\n"), 403),
        (format!("{local}Sec-Fetch-Site: same-origin\r\n"), 403),
        // A proxy.
        (format!("{local}X-Forwarded-For: 127.0.0.1\r\n"), 403),
        (format!("{local}Forwarded: for=127.0.0.1\r\n"), 403),
        (format!("{local}Via: 1.1 proxy\r\n"), 403),
        (format!("{local}X-Forwarded-Host: a\r\n"), 403),
        (format!("{local}X_Forwarded_For: 192.0.2.1\r\n"), 403),
        (format!("{local}CF-Connecting-IP: 192.0.2.1\r\n"), 403),
        (format!("{local}Referer: http://localhost/\r\n"), 403),
        ("Host: localhost@evil.test\r\n".to_owned(), 403),
        // One of two names is somebody else's.
        (format!("{local}Host: evil.test\r\n"), 400),
        (
            format!("{local}Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
            400,
        ),
    ] {
        let answer = http::ask(relay.address(0), "GET", "/api/v1/canvases", &headers, "").await;
        assert_eq!(answer.expect("an answer").status, status, "{headers}");
    }
    // The request line names another host than the header.
    let path = "http://evil.test/api/v1/canvases";
    let answer = http::ask(relay.address(0), "GET", path, &local, "").await;
    assert_eq!(answer.expect("an answer").status, 403);
    // In memory as well.
    let alone = Relay::start(1, &["--queue", "off"]).await;
    let mut ada = named(&alone, 0, "board", "client-ada").await;
    let chat = json!({"type": "chat", "text": "x"}).to_string();
    let path = "/api/v1/canvases/board/messages";
    let answer = http::ask(alone.address(0), "POST", path, &local, &chat).await;
    assert_eq!(
        answer.expect("an answer").json(),
        json!({"seq": 1, "status": "ok"})
    );
    ada.reach(1).await;
}

#[tokio::test]
async fn a_token_is_good_for_its_scopes() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("tokens");
    let names = ["reader", "publisher", "manager", "worker", "admin"];
    let token = |name: &str| format!("{name}-0123456789abcdef");
    let scopes = ["read", "publish", "manage", "jobs", "admin"];
    let lines = names.iter().zip(scopes);
    let lines: String = lines
        .map(|(name, scope)| format!("{name} {scope} {}\n", token(name)))
        .collect();
    std::fs::write(&file, format!("# who may what\n{lines}")).expect("a file");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("its mode");
    let mut relay = Relay::start(1, &["--api-token-file", &file.display().to_string()]).await;
    let chat = json!({"type": "chat", "text": "x"}).to_string();
    let canvas = "/api/v1/canvases/board";
    let kick = format!("{canvas}/clients/client-ada/disconnect");
    let push = json!({"items": [{"queue": "mail", "payload": 1}]}).to_string();
    for (method, path, body, who) in [
        ("POST", &format!("{canvas}/messages"), &*chat, "publisher"),
        // A pop takes messages away, though it is a GET.
        ("POST", &"/api/v1/push".to_owned(), &*push, "worker"),
        ("GET", &"/api/v1/pop/queue/mail".to_owned(), "", "worker"),
        ("GET", &"/api/v1/dlq?queue=mail".to_owned(), "", "worker"),
        ("GET", &"/api/v1/status".to_owned(), "", "worker"),
        ("GET", &"/api/v1/hooks".to_owned(), "", "reader"),
        (
            "PUT",
            &"/api/v1/hooks".to_owned(),
            r#"{"hooks":[]}"#,
            "manager",
        ),
        ("GET", &"/api/v1/canvases".to_owned(), "", "reader"),
        ("GET", &format!("{canvas}/messages?since=0"), "", "reader"),
        ("GET", &format!("{canvas}/objects"), "", "reader"),
        ("POST", &kick, "", "manager"),
        ("DELETE", &canvas.to_owned(), "", "manager"),
    ] {
        for name in names {
            let headers = format!("Host: test\r\nAuthorization: Bearer {}\r\n", token(name));
            let answer = http::ask(relay.address(0), method, path, &headers, body).await;
            let answer = answer.expect("an answer");
            if name == who || name == "admin" {
                assert!(
                    ![401, 403].contains(&answer.status),
                    "{name}: {method} {path}: {answer:?}"
                );
            } else {
                assert_eq!(answer.status, 403, "{name}: {method} {path}");
                let message = answer.json()["message"].to_string();
                assert!(
                    message.contains(name) && message.contains("no scope"),
                    "{message}"
                );
            }
        }
    }
    let log = relay.process(0).log();
    assert!(!log.contains("0123456789abcdef"), "{log}");
}

/// Waits until every thread of a process that was told to stop has stopped.
async fn stopped(pid: u32) {
    let runs = || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
        tasks.flatten().any(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") T ")
        })
    };
    for _ in 0..1_000 {
        if !runs() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("process {pid} does not stop");
}
