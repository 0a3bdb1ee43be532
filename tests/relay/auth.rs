//! Who may enter: tokens of every kind, what they allow, how they end, and which pages may connect.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::harness::socket::Gone;
use crate::harness::{Client, Relay, Socket, http, soon};

const SECRET: &str = "what the tests share with the relay";

/// Seconds since the epoch, so much from now.
fn in_s(seconds: f64) -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_secs_f64() + seconds
}

fn signed(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), claims, &key).expect("a token")
}

/// A token for an hour.
fn token(sub: &str, canvases: Value) -> String {
    signed(&json!({"sub": sub, "exp": in_s(3600.0), "canvases": canvases}))
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("its mode");
    path.display().to_string()
}

/// Processes that ask for tokens, and the folder of their files.
async fn guarded(processes: usize, flags: &[&str]) -> (Relay, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = file(dir.path(), "secret", &format!("{SECRET}\n"));
    let flags = [&["--auth-secret-file", &secret], flags].concat();
    (Relay::start(processes, &flags).await, dir)
}

async fn enter(relay: &Relay, n: usize, client: &str, token: &str) -> Client {
    let socket = Socket::open(relay.address(n), "board").await.expect("up");
    Client::enter(socket, "board", json!({"client": client, "token": token})).await
}

/// Says hello and is not let in: the error's message, and how the connection ended.
async fn refused(relay: &Relay, n: usize, canvas: &str, hello: Value) -> (String, Gone) {
    let mut socket = Socket::open(relay.address(n), canvas).await.expect("up");
    let mut hello = hello;
    (hello["type"], hello["v"]) = ("hello".into(), 1.into());
    socket.send(&hello).await.expect("sent");
    let error = socket.receive().await.expect("an error");
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("error"), &json!("forbidden")),
        "{error}"
    );
    let message = error["message"].as_str().expect("words").to_owned();
    (message, socket.ended().await)
}

#[tokio::test]
async fn who_has_no_good_token_is_not_let_in() {
    let (relay, _dir) = guarded(1, &[]).await;
    let late = signed(&json!({"sub": "ada", "exp": in_s(-1.0), "canvases": {"*": "write"}}));
    let endless = signed(&json!({"sub": "ada", "canvases": {"*": "write"}}));
    let early =
        json!({"sub": "ada", "exp": in_s(60.0), "nbf": in_s(50.0), "canvases": {"*": "write"}});
    let early = signed(&early);
    let other = EncodingKey::from_secret(b"another secret of another server");
    let claims = json!({"sub": "ada", "exp": in_s(60.0), "canvases": {"*": "write"}});
    let foreign = encode(&Header::default(), &claims, &other).expect("a token");
    for (token, why) in [
        (None, "hello.token is missing"),
        (Some("nonsense"), "not a JWT"),
        (Some(&*late), "has expired"),
        (Some(&*endless), "exp"),
        (Some(&*early), "not valid yet"),
        (Some(&*foreign), "not signed by a key of this server"),
    ] {
        let mut hello = json!({"client": "client-ada"});
        if let Some(token) = token {
            hello["token"] = token.into();
        }
        let (message, gone) = refused(&relay, 0, "board", hello).await;
        assert!(message.contains(why), "{message}");
        assert_eq!(gone.code, Some(4401), "{why}");
    }
    let reader = token("ada", json!({"team-*": "read"}));
    let hello = json!({"client": "client-ada", "token": reader});
    let (message, gone) = refused(&relay, 0, "board", hello).await;
    assert_eq!(
        (&*message, gone.code),
        ("the token's canvases do not name board", Some(4403))
    );
    assert_eq!(
        relay.number("SELECT count(*) FROM presence"),
        0,
        "nobody was let in"
    );
}

#[tokio::test]
async fn each_algorithm_goes_with_its_key() {
    let claims = json!({"sub": "ada", "exp": in_s(60.0), "canvases": {"board": "write"}});
    let key = |name: &str| format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"));
    let private = |name: &str| std::fs::read(key(name)).expect("a key");
    let keys = [
        (
            "ed25519",
            Algorithm::EdDSA,
            EncodingKey::from_ed_pem(&private("ed25519.pem")),
        ),
        (
            "p256",
            Algorithm::ES256,
            EncodingKey::from_ec_pem(&private("p256.pem")),
        ),
        (
            "rsa",
            Algorithm::RS256,
            EncodingKey::from_rsa_pem(&private("rsa.pem")),
        ),
    ];
    for (name, algorithm, private) in keys {
        let public = key(&format!("{name}.pub.pem"));
        let relay = Relay::start(1, &["--auth-public-key-file", &public]).await;
        let token = encode(&Header::new(algorithm), &claims, &private.expect("a key"));
        let mut ada = enter(&relay, 0, "client-ada", &token.expect("a token")).await;
        assert_eq!(ada.welcome["role"], "write");
        ada.commit(json!({"type": "chat", "text": name})).await;
        // The public key is no shared secret, whatever the token's head says.
        let bytes = std::fs::read(&public).expect("a key");
        let forged = encode(
            &Header::default(),
            &claims,
            &EncodingKey::from_secret(&bytes),
        );
        let hello = json!({"client": "client-eve", "token": forged.expect("a token")});
        let (message, gone) = refused(&relay, 0, "board", hello).await;
        assert!(
            message.contains(&format!("takes {algorithm:?}")),
            "{message}"
        );
        assert_eq!(gone.code, Some(4401));
    }
}

#[tokio::test]
async fn a_reader_hears_and_points_but_writes_nothing() {
    let (relay, _dir) = guarded(2, &[]).await;
    let named = json!({"sub": "ada", "exp": in_s(60.0), "canvases": {"*": "read", "board": "write"},
                       "name": "Ada", "color": "teal"});
    let mut ada = enter(&relay, 0, "client-ada", &signed(&named)).await;
    assert_eq!(ada.welcome["role"], "write");
    let user = json!({"name": "Ada", "color": "teal", "vouched": ["name", "color"]});
    assert_eq!(
        ada.welcome["user"], user,
        "the token's name, not the client's"
    );
    let mut ben = enter(
        &relay,
        1,
        "client-ben",
        &token("ben", json!({"bo*": "read"})),
    )
    .await;
    assert_eq!(ben.welcome["role"], "read");
    let users = ben.welcome["users"].as_array().expect("users");
    assert!(
        users
            .iter()
            .any(|u| u["client"] == "client-ada" && u["user"] == user)
    );

    let first = ben.op(json!({"type": "chat", "text": "let me"})).await;
    let error = ben.until(|m| m["type"] == "error").await;
    assert_eq!(
        (&error["code"], &error["op"]),
        (&json!("forbidden"), &json!(first))
    );
    assert!(error.get("retry_after_ms").is_none(), "final: {error}");
    // Not ten bad messages in a row: it may keep trying.
    for _ in 0..15 {
        let op = ben.op(json!({"type": "object-delete", "id": "x"})).await;
        ben.until(|m| m["code"] == "forbidden" && m["op"] == op)
            .await;
    }
    ben.say(json!({"type": "signal", "event": "wave", "data": 1}))
        .await;
    let error = ben
        .until(|m| m["code"] == "forbidden" && m.get("op").is_none())
        .await;
    assert!(
        error["message"]
            .as_str()
            .expect("words")
            .contains("signals"),
        "{error}"
    );

    ben.say(json!({"type": "cursor", "x": 1, "y": 2})).await;
    ben.say(json!({"type": "presence", "state": {"looks": "here"}}))
        .await;
    ada.until(|m| m["type"] == "cursor-batch").await;
    ada.until(|m| m["type"] == "presence" && m["state"]["looks"] == "here")
        .await;
    assert!(ada.heard_of("signal").is_empty());
    let seq = ada.commit(json!({"type": "chat", "text": "heard?"})).await;
    assert_eq!(seq, 1, "nothing of the reader's was committed");
    ben.reach(seq).await;
}

#[tokio::test]
async fn a_client_belongs_to_the_first_sub_that_used_it() {
    let (relay, _dir) = guarded(2, &[]).await;
    let all = json!({"*": "write"});
    let mut ada = enter(&relay, 0, "client-ada", &token("ada", all.clone())).await;
    let hello = json!({"client": "client-ada", "token": token("eve", all.clone())});
    let (message, gone) = refused(&relay, 1, "board", hello).await;
    assert!(message.contains("somebody else"), "{message}");
    assert_eq!(gone.code, Some(4403));
    // Ada was not replaced by that, and may come back herself.
    ada.commit(json!({"type": "chat", "text": "still here"}))
        .await;
    let again = enter(&relay, 1, "client-ada", &token("ada", all)).await;
    assert_eq!(again.welcome["acked_op"], 1);
    assert_eq!(ada.closed().await, Some(4409));
}

#[tokio::test]
async fn a_connection_ends_with_its_token_unless_it_is_refreshed() {
    let (relay, _dir) = guarded(1, &[]).await;
    let short = |sub: &str, seconds: f64| {
        let canvases = json!({"board": "write"});
        signed(&json!({"sub": sub, "exp": in_s(seconds), "canvases": canvases}))
    };
    let began = Instant::now();
    let mut ada = enter(&relay, 0, "client-ada", &short("ada", 2.0)).await;
    let mut ben = enter(&relay, 0, "client-ben", &short("ben", 2.0)).await;
    ben.say(json!({"type": "refresh", "token": short("ben", 3600.0)}))
        .await;
    assert_eq!(ada.closed().await, Some(4401));
    let lived = began.elapsed();
    assert!(
        lived > Duration::from_millis(1_500) && lived < Duration::from_secs(10),
        "{lived:?}"
    );
    ben.commit(json!({"type": "chat", "text": "still here"}))
        .await;

    // Another sub, another canvas, nonsense: each ends the connection.
    for wrong in [
        short("eve", 3600.0),
        token("cy", json!({"other": "write"})),
        "nonsense".to_owned(),
    ] {
        let mut cy = enter(&relay, 0, "client-cy", &short("cy", 3600.0)).await;
        cy.say(json!({"type": "refresh", "token": wrong})).await;
        let error = cy.until(|m| m["type"] == "error").await;
        assert_eq!(error["code"], "forbidden");
        assert_eq!(cy.closed().await, Some(4401));
    }

    // A refresh may take the right to write.
    let mut dee = enter(&relay, 0, "client-dee", &short("dee", 3600.0)).await;
    dee.commit(json!({"type": "chat", "text": "mine"})).await;
    dee.say(json!({"type": "refresh", "token": token("dee", json!({"board": "read"}))}))
        .await;
    dee.op(json!({"type": "chat", "text": "no more"})).await;
    dee.until(|m| m["code"] == "forbidden").await;
}

#[tokio::test]
async fn the_revoked_are_closed_at_a_hangup_and_not_let_in_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let list = file(dir.path(), "revoked", "# nobody yet\n");
    let (mut relay, _secret) = guarded(1, &["--revoked-file", &list]).await;
    let all = json!({"*": "write"});
    let one =
        signed(&json!({"sub": "ben", "jti": "lost-phone", "exp": in_s(60.0), "canvases": all}));
    let mut ada = enter(&relay, 0, "client-ada", &token("ada", all.clone())).await;
    let mut ben = enter(&relay, 0, "client-ben", &one).await;
    let mut cy = enter(&relay, 0, "client-cy", &token("cy", all.clone())).await;
    file(dir.path(), "revoked", "ada\nlost-phone\n");
    relay.process(0).signal(Signal::HUP);
    assert_eq!(
        (ada.closed().await, ben.closed().await),
        (Some(4401), Some(4401))
    );
    for (client, token) in [
        ("client-ada", token("ada", all.clone())),
        ("client-ben", one),
    ] {
        let hello = json!({"client": client, "token": token});
        let (message, gone) = refused(&relay, 0, "board", hello).await;
        assert_eq!(
            (&*message, gone.code),
            ("the token was revoked", Some(4401))
        );
    }
    // Ben has other tokens; and a list that is gone changes nothing.
    std::fs::remove_file(&list).expect("it was there");
    relay.process(0).signal(Signal::HUP);
    soon("the log to say so", async {
        while !relay.process(0).log().contains("the old list stays") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    enter(&relay, 0, "client-ben", &token("ben", all)).await;
    cy.commit(json!({"type": "chat", "text": "never mind"}))
        .await;
}

#[tokio::test]
async fn pages_of_other_origins_are_told_to_stop() {
    let flags = [
        "--allowed-origin=https://app.example.org",
        "--allowed-origin",
        "http://localhost:3000",
    ];
    let relay = Relay::start(1, &flags).await;
    for (origin, code) in [
        ("https://app.example.org", None),
        ("https://APP.example.org", None),
        ("http://localhost:3000", None),
        ("https://app.example.org.evil.test", Some(4403)),
        ("http://app.example.org", Some(4403)),
        ("http://localhost:3001", Some(4403)),
        ("null", Some(4403)),
    ] {
        let opened = Socket::open_with(relay.address(0), "board", &[("origin", origin)]).await;
        // A page sees the code of a close, and nothing of an upgrade that is refused.
        let mut socket = opened.expect("an upgrade");
        let hello = json!({"type": "hello", "v": 1, "client": "client-page"});
        let _ = socket.send(&hello).await;
        let first = socket.receive().await.expect("a message");
        match code {
            None => assert_eq!(first["type"], "welcome", "{origin}"),
            Some(code) => {
                assert_eq!(first["code"], "forbidden", "{origin}");
                assert_eq!(socket.ended().await.code, Some(code), "{origin}");
            }
        }
    }
    relay.join(0, "board").await;
}

#[tokio::test]
async fn secrets_are_not_told_and_an_open_relay_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = file(dir.path(), "secret", SECRET);
    let flags = ["--auth-secret-file", &secret, "--log-level", "trace"];
    let mut relay = Relay::start(1, &flags).await;
    let good = token("ada", json!({"*": "write"}));
    enter(&relay, 0, "client-ada", &good).await;
    refused(
        &relay,
        0,
        "x",
        json!({"client": "client-ada", "token": format!("{good}x")}),
    )
    .await;
    relay.process(0).signal(Signal::TERM);
    assert!(relay.process(0).ended().await.success());
    let log = relay.process(0).log();
    assert!(
        log.contains("ready on") && !log.contains(SECRET) && !log.contains(&good),
        "{log}"
    );
    assert!(!log.contains("--auth none"), "{log}");

    // Nobody reads a warning: who is on the network comes in only where that is said.
    for (flag, opens) in [(None, false), (Some("--insecure-open"), true)] {
        let mut open = tokio::process::Command::new(env!("CARGO_BIN_EXE_scumble"))
            .args(["serve", "--queue", "off", "--listen", "0.0.0.0:0"])
            .args(flag)
            .env_clear()
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(open.stderr.take().expect("a pipe")).lines();
        let word = match opens {
            true => "--auth none: anyone who reaches 0.0.0.0",
            false => "'--listen': with --auth none anyone who reaches",
        };
        soon("the word", async {
            while let Some(line) = lines.next_line().await.expect("text") {
                if line.contains(word) {
                    return;
                }
            }
            panic!("it ended without a word");
        })
        .await;
        if !opens {
            let status = soon("the end", open.wait()).await.expect("a status");
            assert_eq!(status.code(), Some(2));
        }
    }
}

#[tokio::test]
async fn a_minted_token_opens_the_door() {
    let (relay, dir) = guarded(1, &[]).await;
    let secret = dir.path().join("secret");
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_scumble"))
        .args([
            "token",
            "--sub",
            "ada",
            "--canvas",
            "board=write",
            "--canvas",
            "*=read",
        ])
        .args([
            "--ttl",
            "5m",
            "--name",
            "Ada",
            "--color",
            "#c03",
            "--secret-file",
        ])
        .arg(&secret)
        .env_clear()
        .output();
    let output = soon("a token", output).await.expect("the binary starts");
    assert!(output.status.success(), "{output:?}");
    let token = String::from_utf8(output.stdout).expect("text");
    let ada = enter(&relay, 0, "client-ada", token.trim()).await;
    assert_eq!(ada.welcome["role"], "write");
    let user = json!({"name": "Ada", "color": "#c03", "vouched": ["name", "color"]});
    assert_eq!(ada.welcome["user"], user);
}

#[tokio::test]
async fn a_refused_token_leaves_a_line_with_the_reason_and_the_address_and_many_leave_few() {
    let dir = tempfile::tempdir().expect("a folder");
    let api = file(dir.path(), "api-token", "shop read 0123456789abcdef0123\n");
    let (relay, _dir) = guarded(1, &["--api-token-file", &api]).await;
    let began = Instant::now();
    let wrong = "eyJ.this-is-wrong.and-secret";
    for _ in 0..40 {
        refused(
            &relay,
            0,
            "board",
            json!({"client": "client-ada", "token": wrong}),
        )
        .await;
    }
    let lines = |log: &str, door: &str| {
        log.matches(&format!("door=\"{door}\" from=\"127.0.0.1\""))
            .count()
    };
    let log = soon("a line in the log", async {
        loop {
            let log = relay.log(0);
            if lines(&log, "canvas") > 0 {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let most = 1 + usize::try_from(began.elapsed().as_secs()).expect("a short test");
    assert!(lines(&log, "canvas") <= most, "more than {most}: {log}");
    assert!(!log.contains("this-is-wrong"), "{log}");

    let address = relay.address(0);
    let asset = format!("/assets/board/{}", "0".repeat(64));
    let headers = format!("Host: test\r\nAuthorization: Bearer {wrong}\r\n");
    soon("a line about an asset", async {
        while lines(&relay.log(0), "assets") == 0 {
            let got = http::ask(address, "GET", &asset, &headers, "").await;
            assert_eq!(got.expect("an answer").status, 401);
        }
    })
    .await;
    assert!(!relay.log(0).contains("this-is-wrong"));
    for (token, why) in [
        ("no-such-token-of-anybody", "it is none of --api-token-file"),
        ("0123456789abcdef0123", "the token shop has no scope manage"),
    ] {
        let headers = format!("Host: test\r\nAuthorization: Bearer {token}\r\n");
        soon(why, async {
            loop {
                http::ask(address, "DELETE", "/api/v1/canvases/board", &headers, "").await;
                let log = relay.log(0);
                assert!(!log.contains(token), "{log}");
                if lines(&log, "server API") > 0 && log.contains(why) {
                    break;
                }
            }
        })
        .await;
    }
}
