//! `--new-canvases-per-minute`: whoever makes too many canvases waits, and nobody else does.

use std::os::unix::fs::PermissionsExt;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::harness::client::new_id;
use crate::harness::{Client, Relay, Socket, http};
use crate::redis_server::RedisServer;

const SECRET: &str = "what these tests share with the relay";

/// Says hello with further fields, and gives the first answer.
async fn knock(socket: &mut Socket, fields: Value) -> Value {
    let mut hello = json!({"type": "hello", "v": 1, "client": new_id()});
    for (name, value) in fields.as_object().expect("fields") {
        hello[name] = value.clone();
    }
    socket.send(&hello).await.expect("a connection");
    socket.receive().await.expect("an answer")
}

/// Joins from an address behind the proxy that the tests are.
async fn from(relay: &Relay, address: &str, canvas: &str) -> (Value, Socket) {
    let headers = [("x-forwarded-for", address)];
    let socket = Socket::open_with(relay.address(0), canvas, &headers).await;
    let mut socket = socket.expect("up");
    (knock(&mut socket, json!({})).await, socket)
}

async fn refused_for_now(error: &Value, mut socket: Socket, flag: &str) {
    assert_eq!(error["code"], "rate-limited", "{error}");
    let told = error["message"].as_str().expect("words");
    assert!(told.contains(flag), "{told}");
    let wait_ms = error["retry_after_ms"].as_u64().expect("a time");
    assert!((1..=30_001).contains(&wait_ms), "{wait_ms}");
    assert_eq!(socket.ended().await.code, Some(4413));
}

async fn whoever_is_over_the_rate_waits_and_nobody_else(flags: &[&str]) {
    let own = ["--new-canvases-per-minute=2", "--trusted-proxy=127.0.0.1"];
    let relay = Relay::start(1, &[&own, flags].concat()).await;
    let headers = [("x-forwarded-for", "192.0.2.1")];
    let first = Socket::open_with(relay.address(0), "one", &headers).await;
    let hello = json!({"client": new_id()});
    let mut ada = Client::enter(first.expect("up"), "one", hello).await;
    let (second, _held) = from(&relay, "192.0.2.1", "two").await;
    assert_eq!(second["type"], "welcome");
    let (error, socket) = from(&relay, "192.0.2.1", "three").await;
    let words = "2 new canvases a minute (--new-canvases-per-minute)";
    refused_for_now(&error, socket, words).await;
    // What is there costs nothing, however often, whether somebody is on it or not.
    ada.commit(json!({"type": "chat", "text": "x"})).await;
    for canvas in ["one", "two", "one"] {
        let (welcome, _socket) = from(&relay, "192.0.2.1", canvas).await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
    }
    // Another address has its own, also on the canvas that was refused.
    let (welcome, _there) = from(&relay, "192.0.2.2", "three").await;
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    let (welcome, _socket) = from(&relay, "192.0.2.1", "three").await;
    assert_eq!(welcome["type"], "welcome", "it exists now");
    let refused = relay.get(0, "/metrics").await.expect("an answer").body;
    assert!(refused.contains("scumble_new_canvases_refused_total 1\n"));
}

#[tokio::test]
async fn over_the_file_whoever_makes_too_many_canvases_waits() {
    whoever_is_over_the_rate_waits_and_nobody_else(&[]).await;
}

#[tokio::test]
async fn in_memory_whoever_makes_too_many_canvases_waits() {
    whoever_is_over_the_rate_waits_and_nobody_else(&["--queue=off"]).await;
}

#[tokio::test]
async fn over_redis_whoever_makes_too_many_canvases_waits() {
    let server = RedisServer::start();
    whoever_is_over_the_rate_waits_and_nobody_else(&["--redis", &server.url()]).await;
}

/// With tokens it is the bearer who counts, not the address: behind a proxy all may have one.
#[tokio::test]
async fn with_tokens_each_sub_has_its_own_rate() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("its mode");
        path.display().to_string()
    };
    let secret = file("secret", SECRET);
    let tokens = file(
        "api",
        "shop publish,read the-token-of-the-shop-1\nbots publish,read the-token-of-the-bots-1\n",
    );
    let flags = [
        "--new-canvases-per-minute=1",
        "--auth-secret-file",
        &secret,
        "--api-token-file",
        &tokens,
    ];
    let relay = Relay::start(1, &flags).await;
    let enter = async |sub: &str, canvas: &str| {
        let claims = json!({"sub": sub, "exp": 4_000_000_000_u64, "canvases": {"*": "read"}});
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = encode(&Header::default(), &claims, &key).expect("a token");
        let mut socket = Socket::open(relay.address(0), canvas).await.expect("up");
        let first = knock(&mut socket, json!({"token": token})).await;
        (first, socket)
    };
    let (welcome, _ada) = enter("ada", "one").await;
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    let (error, mut socket) = enter("ada", "two").await;
    assert_eq!(error["code"], "rate-limited", "{error}");
    assert_eq!(socket.ended().await.code, Some(4413));
    let (welcome, _ben) = enter("ben", "two").await;
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    let publish = async |token: &str, canvas: &str| {
        let path = format!("/api/v1/canvases/{canvas}/messages");
        let headers = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
        let body = r#"{"type":"chat","text":"x"}"#;
        let asked = http::ask(relay.address(0), "POST", &path, &headers, body);
        asked.await.expect("an answer")
    };
    let (shop, bots) = ("the-token-of-the-shop-1", "the-token-of-the-bots-1");
    assert_eq!(publish(shop, "three").await.status, 200);
    assert_eq!(publish(shop, "three").await.status, 200, "it exists");
    let refused = publish(shop, "four").await;
    let told = refused.json();
    assert_eq!(
        (refused.status, told["error"].as_str()),
        (429, Some("rate-limited"))
    );
    assert!(told["retry_after_ms"].as_u64().expect("a time") > 50_000);
    assert_eq!(publish(bots, "four").await.status, 200);
}

/// Several knock at once on one that is not there yet: only those are sent away who are over.
#[tokio::test]
async fn whoever_knocks_beside_one_who_is_over_comes_in() {
    let flags = ["--new-canvases-per-minute=1", "--trusted-proxy=127.0.0.1"];
    let relay = Relay::start(1, &flags).await;
    let (welcome, _held) = from(&relay, "192.0.2.1", "own").await;
    assert_eq!(welcome["type"], "welcome");
    for n in 0..20 {
        let canvas = format!("shared-{n}");
        let other = format!("198.51.100.{n}");
        let (over, fine) = tokio::join!(
            from(&relay, "192.0.2.1", &canvas),
            from(&relay, &other, &canvas)
        );
        assert_eq!(fine.0["type"], "welcome", "{}", fine.0);
        // If the other one made it first, it was there.
        let word = over.0["code"].as_str().or(over.0["type"].as_str());
        assert!(
            matches!(word, Some("rate-limited" | "welcome")),
            "{}",
            over.0
        );
    }
}
