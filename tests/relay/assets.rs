//! `/assets/`: images and files of canvases, over real processes.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jsonwebtoken::{EncodingKey, Header, encode};
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::http::{self, Answer};
use crate::harness::server::Process;
use crate::harness::{Relay, eventually, soon};
use crate::redis_server::RedisServer;

const SECRET: &str = "what the tests share with the relay";
const PNG: &str = "Content-Type: image/png\r\n";

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Text, since the harness reads answers as such.
pub(crate) fn text(bytes: usize, seed: u8) -> String {
    let letters = b"abcdefghijklmnopqrstuvwxyz";
    (0..bytes)
        .map(|n| char::from(letters[(n * 7 + n / 26 + usize::from(seed)) % letters.len()]))
        .collect()
}

pub(crate) fn path(canvas: &str, body: &str) -> String {
    format!("/assets/{canvas}/{}", hash(body.as_bytes()))
}

async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let headers = format!("Host: test\r\n{headers}");
    http::ask(address, method, path, &headers, body)
        .await
        .expect("an answer")
}

pub(crate) async fn put(address: SocketAddr, canvas: &str, body: &str) -> Answer {
    ask(address, "PUT", &path(canvas, body), PNG, body).await
}

pub(crate) async fn get(address: SocketAddr, path: &str, headers: &str) -> Answer {
    ask(address, "GET", path, headers, "").await
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files(&path),
            path => vec![path],
        })
        .collect()
}

fn kept(relay: &Relay) -> Vec<PathBuf> {
    files(&folder_of(relay))
}

fn folder_of(relay: &Relay) -> PathBuf {
    relay.dir().join("relay.db.assets")
}

fn token(canvases: &Value, seconds: i64) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let exp = now.as_secs().cast_signed() + seconds;
    let claims = json!({"sub": "ada", "exp": exp, "canvases": canvases});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), &claims, &key).expect("a token")
}

fn bearer(canvases: &Value) -> String {
    format!("Authorization: Bearer {}\r\n", token(canvases, 3_600))
}

async fn guarded(processes: usize) -> (Relay, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = dir.path().join("secret");
    fs::write(&secret, SECRET).expect("a file");
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).expect("its mode");
    let flags = ["--auth-secret-file", secret.to_str().expect("a path")];
    (Relay::start(processes, &flags).await, dir)
}

#[tokio::test]
async fn what_is_put_on_one_process_is_got_from_another() {
    let relay = Relay::start(2, &[]).await;
    let body = text(700_000, 1);
    let stored = put(relay.address(0), "board", &body).await;
    assert_eq!(stored.status, 201, "{}", stored.body);
    let told = stored.json();
    assert_eq!(told["id"], format!("asset:{}", hash(body.as_bytes())));
    assert_eq!(
        (&told["bytes"], &told["type"]),
        (&json!(700_000), &json!("image/png"))
    );
    let got = get(relay.address(1), &path("board", &body), "").await;
    assert_eq!((got.status, got.body == body), (200, true));
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-length", "700000"),
        ("cache-control", "private, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("etag", &format!("\"{}\"", hash(body.as_bytes()))),
    ] {
        assert_eq!(got.header(name), value, "{name}");
    }
    assert!(
        got.header("content-security-policy")
            .starts_with("sandbox;")
    );
    let again = put(relay.address(1), "board", &body).await;
    assert_eq!((again.status, kept(&relay).len()), (200, 1), "it is there");
    let elsewhere = get(relay.address(0), &path("other", &body), "").await;
    assert_eq!(elsewhere.status, 404, "another canvas has it not");
}

#[tokio::test]
async fn a_part_is_given_and_nothing_to_who_has_it() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let body = text(1_000, 2);
    put(relay.address(0), "board", &body).await;
    let place = path("board", &body);
    let part = get(relay.address(0), &place, "Range: bytes=10-19\r\n").await;
    assert_eq!((part.status, &*part.body), (206, &body[10..20]));
    assert_eq!(part.header("content-range"), "bytes 10-19/1000");
    let end = get(relay.address(0), &place, "Range: bytes=-5\r\n").await;
    assert_eq!((end.status, &*end.body), (206, &body[995..]));
    let beyond = get(relay.address(0), &place, "Range: bytes=1000-\r\n").await;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, "bytes */1000")
    );
    let etag = format!("\"{}\"", hash(body.as_bytes()));
    let same = get(
        relay.address(0),
        &place,
        &format!("If-None-Match: {etag}\r\n"),
    )
    .await;
    assert_eq!((same.status, &*same.body), (304, ""));
    let of_another = "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n";
    assert_eq!(get(relay.address(0), &place, of_another).await.status, 200);
    let head = ask(relay.address(0), "HEAD", &place, "", "").await;
    assert_eq!(
        (head.status, head.header("content-length"), &*head.body),
        (200, "1000", "")
    );
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_words_and_leaves_nothing() {
    let flags = [
        "--max-asset-bytes",
        "5000",
        "--max-canvas-asset-bytes",
        "9000",
        "--write-timeout",
        "1s",
    ];
    let relay = Relay::start(1, &flags).await;
    let (address, body) = (relay.address(0), text(600, 3));
    let place = path("board", &body);
    let other = text(600, 4);
    let wrong = ask(address, "PUT", &place, PNG, &other).await;
    assert_eq!(
        (wrong.status, &wrong.json()["error"]),
        (422, &json!("wrong-hash"))
    );
    for hash in [hash(body.as_bytes()), hash(other.as_bytes())] {
        assert!(wrong.body.contains(&hash), "{}", wrong.body);
    }
    let large = text(5_001, 5);
    let large = ask(address, "PUT", &path("board", &large), PNG, &large).await;
    assert_eq!(large.status, 413);
    assert!(large.body.contains("--max-asset-bytes"), "{}", large.body);
    for kind in ["", "Content-Type: text/html\r\n"] {
        let strange = ask(address, "PUT", &place, kind, &body).await;
        assert_eq!(strange.status, 415);
        assert!(
            strange.body.contains("image/png, image/jpeg"),
            "{}",
            strange.body
        );
    }
    for (bad, hint) in [
        ("/assets/board/abc", "SHA-256"),
        (&*format!("/assets/-b/{}", hash(b"")), "canvas_id"),
    ] {
        let refused = ask(address, "PUT", bad, PNG, "").await;
        assert_eq!(refused.status, 400);
        assert!(refused.body.contains(hint), "{}", refused.body);
    }
    let method = ask(address, "DELETE", &place, "", "").await;
    assert_eq!(
        (method.status, method.header("allow")),
        (405, "GET, HEAD, PUT, OPTIONS")
    );
    let slow = slow_body(address, &place).await;
    assert!(
        slow.starts_with("HTTP/1.1 408") && slow.contains("--write-timeout"),
        "{slow}"
    );
    assert!(kept(&relay).is_empty(), "{:?}", kept(&relay));
    let (one, two) = (text(4_900, 6), text(4_901, 7));
    assert_eq!(put(address, "board", &one).await.status, 201);
    let full = put(address, "board", &two).await;
    assert_eq!((full.status, kept(&relay).len()), (413, 1));
    assert!(
        full.body.contains("--max-canvas-asset-bytes"),
        "{}",
        full.body
    );
    assert_eq!(
        put(address, "other", &two).await.status,
        201,
        "each canvas has its own"
    );
}

/// Sends a head and the first bytes of a body, and reads what comes then.
async fn slow_body(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!("PUT {path} HTTP/1.1\r\nHost: test\r\n{PNG}Content-Length: 600\r\n\r\nslow");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut bytes = Vec::new();
    soon("an answer", stream.read_to_end(&mut bytes))
        .await
        .expect("an answer");
    String::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn a_token_of_the_canvas_is_asked_for() {
    let (relay, _dir) = guarded(1).await;
    let (address, body) = (relay.address(0), text(600, 8));
    let place = path("board", &body);
    let with = |token: &str| format!("{PNG}{token}");
    let (write, read) = (
        bearer(&json!({"board": "write"})),
        bearer(&json!({"board": "read"})),
    );
    let foreign = bearer(&json!({"other": "write"}));
    let late = format!(
        "Authorization: Bearer {}\r\n",
        token(&json!({"*": "write"}), -1)
    );
    for (token, status) in [("", 401), (&*late, 401), (&*foreign, 403), (&*read, 403)] {
        let refused = ask(address, "PUT", &place, &with(token), &body).await;
        assert_eq!(refused.status, status, "{}", refused.body);
    }
    assert_eq!(
        ask(address, "PUT", &place, &with(&write), &body)
            .await
            .status,
        201
    );
    for (token, status) in [("", 401), (&*foreign, 403), (&*read, 200), (&*write, 200)] {
        assert_eq!(get(address, &place, token).await.status, status);
    }
    // The same bytes on a canvas of the other's are not there.
    let other = path("other", &body);
    assert_eq!(get(address, &other, &foreign).await.status, 404);
    assert_eq!(get(address, &other, &read).await.status, 403);
}

#[tokio::test]
async fn a_signed_link_stands_for_a_token_on_every_process() {
    let (relay, _dir) = guarded(2).await;
    let body = text(600, 9);
    let place = path("board", &body);
    let write = bearer(&json!({"board": "write"}));
    let stored = ask(
        relay.address(0),
        "PUT",
        &place,
        &format!("{PNG}{write}"),
        &body,
    )
    .await;
    let link = stored.json()["url"].as_str().expect("a link").to_owned();
    let got = get(relay.address(1), &link, "").await;
    assert_eq!((got.status, got.body == body), (200, true));
    let again = ask(
        relay.address(1),
        "POST",
        &format!("{place}/link"),
        &write,
        "",
    )
    .await;
    assert_eq!(again.status, 200, "{}", again.body);
    assert!(again.json()["expires_in_ms"].as_u64() <= Some(3_600_000));
    assert_eq!(
        ask(relay.address(1), "POST", &format!("{place}/link"), "", "")
            .await
            .status,
        401
    );
    let other = text(601, 9);
    let elsewhere = link.replace(&hash(body.as_bytes()), &hash(other.as_bytes()));
    let until = link
        .split("exp=")
        .nth(1)
        .and_then(|rest| rest.split('&').next())
        .expect("exp");
    let longer = link.replace(until, "9999999999");
    let bad = link.replace(until, "soon");
    for (changed, status) in [
        (elsewhere, 403),
        (longer, 403),
        (bad, 400),
        (link.replace("board", "other"), 403),
    ] {
        assert_eq!(
            get(relay.address(0), &changed, "").await.status,
            status,
            "{changed}"
        );
    }
    for log in [relay.log(0), relay.log(1)] {
        assert!(!log.contains("sig="), "{log}");
    }
}

#[tokio::test]
async fn a_token_of_seconds_makes_no_link_of_an_hour() {
    let (relay, _dir) = guarded(1).await;
    let body = text(600, 27);
    let place = path("board", &body);
    let short = token(&json!({"board": "write"}), 20);
    let short = format!("{PNG}Authorization: Bearer {short}\r\n");
    let stored = ask(relay.address(0), "PUT", &place, &short, &body).await;
    assert_eq!(stored.status, 201, "{}", stored.body);
    let link = ask(
        relay.address(0),
        "POST",
        &format!("{place}/link"),
        &short,
        "",
    )
    .await;
    for told in [stored, link] {
        let left_ms = told.json()["expires_in_ms"].as_u64();
        assert!(left_ms <= Some(20_000), "{}", told.body);
    }
}

#[tokio::test]
async fn pages_may_ask_that_may_open_a_websocket() {
    let relay = Relay::start(1, &["--queue=off", "--allowed-origin=https://app.example"]).await;
    let (address, body) = (relay.address(0), text(600, 10));
    let place = path("board", &body);
    let ours = "Origin: https://app.example\r\n";
    let before = format!("{ours}Access-Control-Request-Method: PUT\r\n");
    let before = ask(address, "OPTIONS", &place, &before, "").await;
    assert_eq!(before.status, 204);
    assert_eq!(
        before.header("access-control-allow-origin"),
        "https://app.example"
    );
    assert!(
        before
            .header("access-control-allow-methods")
            .contains("PUT")
    );
    assert!(
        before
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    let stored = ask(address, "PUT", &place, &format!("{PNG}{ours}"), &body).await;
    assert_eq!(
        (stored.status, stored.header("access-control-allow-origin")),
        (201, "https://app.example")
    );
    let theirs = "Origin: https://evil.example\r\n";
    for (method, headers) in [
        ("PUT", format!("{PNG}{theirs}")),
        ("GET", theirs.to_owned()),
    ] {
        let refused = ask(address, method, &place, &headers, "").await;
        assert_eq!(refused.status, 403, "{}", refused.body);
    }
}

#[tokio::test]
async fn an_svg_runs_nothing_and_a_document_is_a_download() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let place = path("board", svg);
    ask(
        relay.address(0),
        "PUT",
        &place,
        "Content-Type: image/svg+xml\r\n",
        svg,
    )
    .await;
    let got = get(relay.address(0), &place, "").await;
    assert_eq!(got.header("content-type"), "image/svg+xml");
    let policy = got.header("content-security-policy");
    assert!(
        policy.starts_with("sandbox; default-src 'none';"),
        "{policy}"
    );
    assert!(got.header("content-disposition").starts_with("inline"));
    let note = text(10, 11);
    let place = path("board", &note);
    ask(
        relay.address(0),
        "PUT",
        &place,
        "Content-Type: text/plain; charset=utf-8\r\n",
        &note,
    )
    .await;
    let got = get(relay.address(0), &place, "").await;
    assert!(
        got.header("content-disposition")
            .starts_with("attachment; filename=")
    );
}

/// The flags of relays that forget soon.
const SOON: [&str; 2] = ["--asset-ttl", "1s"];

async fn until_status(address: SocketAddr, place: &str, status: u16) {
    eventually(&format!("{status} for {place}"), || async {
        let got = get(address, place, "").await;
        (got.status == status).then_some(())
    })
    .await;
}

/// The bytes go behind the name.
async fn until_files(folder: &Path, count: usize) {
    eventually("the bytes are gone", async || {
        (files(folder).len() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_no_object_names_goes_and_what_one_names_stays() {
    let mut relay = Relay::start(2, &SOON).await;
    let (named, other) = (text(600, 12), text(600, 13));
    let (address, places) = (
        relay.address(0),
        [path("board", &named), path("board", &other)],
    );
    let mut ada = relay.join(0, "board").await;
    let src = format!("asset:{}", hash(named.as_bytes()));
    let object = json!({"type": "object-create", "object": {"id": "a", "kind": "image", "deep": [{"src": src}]}});
    ada.commit(object).await;
    put(address, "board", &named).await;
    put(address, "board", &other).await;
    until_status(address, &places[1], 404).await;
    assert_eq!(
        get(address, &places[0], "").await.status,
        200,
        "an object names it"
    );
    until_files(&folder_of(&relay), 1).await;
    // The process that swept is gone: the other one does.
    relay.process(0).kill().await;
    let address = relay.address(1);
    let mut ben = relay.join(1, "board").await;
    assert_eq!(get(address, &places[0], "").await.status, 200);
    ben.commit(json!({"type": "object-delete", "id": "a"}))
        .await;
    until_status(address, &places[0], 404).await;
    // The bytes go behind the name, and are counted then. Either process may have swept before.
    eventually("its bytes are gone, which is counted", async || {
        let metrics = relay.get(1, "/metrics").await?.body;
        let counted = metrics
            .lines()
            .find_map(|line| line.strip_prefix("scumble_assets_removed_total "))
            .and_then(|count| count.parse::<u64>().ok());
        (kept(&relay).is_empty() && counted >= Some(1)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_canvas_that_is_deleted_takes_its_assets_along() {
    let relay = Relay::start(1, &SOON).await;
    let (address, body) = (relay.address(0), text(600, 14));
    let mut ada = relay.join(0, "board").await;
    let src = format!("asset:{}", hash(body.as_bytes()));
    ada.commit(
        json!({"type": "object-create", "object": {"id": "a", "kind": "image", "src": src}}),
    )
    .await;
    put(address, "board", &body).await;
    // Long enough that it would be gone, if nothing named it.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(get(address, &path("board", &body), "").await.status, 200);
    let deleted = http::ask(
        address,
        "DELETE",
        "/api/v1/canvases/board",
        "Host: localhost\r\n",
        "",
    )
    .await;
    assert_eq!(deleted.expect("an answer").status, 200);
    until_status(address, &path("board", &body), 404).await;
    until_files(&folder_of(&relay), 0).await;
}

#[tokio::test]
async fn what_a_killed_process_left_of_an_upload_goes() {
    let mut relay = Relay::start(1, &[]).await;
    let body = text(600_000, 15);
    let mut stream = TcpStream::connect(relay.address(0))
        .await
        .expect("a connection");
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: test\r\n{PNG}Content-Length: {}\r\n\r\n{}",
        path("board", &body),
        body.len(),
        &body[..500_000]
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let left = eventually("a temporary file", || async {
        kept(&relay)
            .into_iter()
            .find(|file| fs::metadata(file).is_ok_and(|file| file.len() > 0))
    })
    .await;
    relay.process(0).kill().await;
    assert_eq!(kept(&relay), std::slice::from_ref(&left), "and no asset");
    // Two hours later.
    let file = fs::File::options()
        .write(true)
        .open(&left)
        .expect("the file");
    file.set_modified(SystemTime::now() - Duration::from_secs(7_200))
        .expect("its time");
    let n = relay.add(&[]).await;
    eventually("the temporary file to go", || async {
        kept(&relay).is_empty().then_some(())
    })
    .await;
    assert_eq!(
        get(relay.address(n), &path("board", &body), "")
            .await
            .status,
        404
    );
    assert_eq!(put(relay.address(n), "board", &body).await.status, 201);
}

#[tokio::test]
async fn a_client_that_goes_during_its_upload_leaves_nothing() {
    let relay = Relay::start(1, &[]).await;
    let body = text(600_000, 16);
    let mut stream = TcpStream::connect(relay.address(0))
        .await
        .expect("a connection");
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: test\r\n{PNG}Content-Length: {}\r\n\r\n{}",
        path("board", &body),
        body.len(),
        &body[..500_000]
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    eventually("a temporary file", || async {
        (!kept(&relay).is_empty()).then_some(())
    })
    .await;
    drop(stream);
    eventually("the temporary file to go", || async {
        kept(&relay).is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn uploads_of_one_address_have_a_bound() {
    let relay = Relay::start(1, &[]).await;
    let body = text(600, 17);
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: test\r\n{PNG}Content-Length: 600\r\n\r\n",
        path("board", &body)
    );
    let mut waiting = Vec::new();
    for _ in 0..6 {
        let mut stream = TcpStream::connect(relay.address(0))
            .await
            .expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("sent");
        waiting.push(stream);
    }
    eventually("a refusal", || async {
        let refused = put(relay.address(0), "board", &text(700, 18)).await;
        (refused.status == 429 && refused.header("retry-after") == "1").then_some(())
    })
    .await;
    drop(waiting);
    eventually("a place", || async {
        (put(relay.address(0), "board", &body).await.status < 300).then_some(())
    })
    .await;
}

#[tokio::test]
async fn in_memory_they_are_in_a_folder_that_ends_with_the_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let env = [("TMPDIR".to_owned(), dir.path().display().to_string())];
    let mut relay = Relay::start_in(1, &["--queue", "off"], &env).await;
    let body = text(600, 19);
    assert_eq!(put(relay.address(0), "board", &body).await.status, 201);
    assert_eq!(files(dir.path()).len(), 1);
    let ada = relay.join(0, "board").await;
    let features = ada.welcome["features"].as_array().expect("a list");
    assert!(features.contains(&json!("assets")));
    assert_eq!(ada.welcome["limits"]["max_asset_bytes"], 20_971_520);
    drop(ada);
    relay.process(0).signal(Signal::TERM);
    relay.process(0).ended().await;
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn switched_off_they_say_so() {
    let relay = Relay::start(1, &["--queue=off", "--assets-dir=off"]).await;
    let refused = put(relay.address(0), "board", "x").await;
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (404, &json!("no-assets"))
    );
    let ada = relay.join(0, "board").await;
    let features = ada.welcome["features"].as_array().expect("a list");
    assert!(!features.contains(&json!("assets")));
    assert!(ada.welcome["limits"]["max_asset_bytes"].is_null());
}

#[tokio::test]
async fn over_redis_hosts_share_a_folder() {
    let server = RedisServer::start();
    let url = server.url();
    let folder = tempfile::tempdir().expect("a folder");
    let shared = folder.path().to_str().expect("a path");
    let flags = [&["--redis", &url, "--assets-dir", shared], &SOON[..]].concat();
    let relay = Relay::start(2, &flags).await;
    let (named, other) = (text(600, 20), text(600, 21));
    let mut ada = relay.join(0, "board").await;
    let src = format!("asset:{}", hash(named.as_bytes()));
    ada.commit(
        json!({"type": "object-create", "object": {"id": "a", "kind": "image", "src": src}}),
    )
    .await;
    let stored = put(relay.address(0), "board", &named).await;
    assert_eq!(stored.status, 201, "{}", stored.body);
    put(relay.address(1), "board", &other).await;
    let link = stored.json()["url"].as_str().expect("a link").to_owned();
    assert_eq!(get(relay.address(1), &link, "").await.body, named);
    until_status(relay.address(1), &path("board", &other), 404).await;
    assert_eq!(
        get(relay.address(1), &path("board", &named), "")
            .await
            .status,
        200
    );
    ada.commit(json!({"type": "object-delete", "id": "a"}))
        .await;
    until_status(relay.address(0), &path("board", &named), 404).await;
    until_files(folder.path(), 0).await;
}

#[tokio::test]
async fn over_redis_without_a_place_for_all_hosts_they_say_what_is_missing() {
    let server = RedisServer::start();
    let url = server.url();
    let relay = Relay::start(1, &["--redis", &url]).await;
    let refused = put(relay.address(0), "board", "x").await;
    assert_eq!(refused.status, 404);
    let flag = "--assets-dir";
    assert!(refused.body.contains(flag), "{}", refused.body);
    eventually("the log says it, too", || async {
        relay.log(0).contains(flag).then_some(())
    })
    .await;
}

/// What of an answer is not in the server's own document.
fn undescribed(
    document: &Value,
    (method, template): (&str, &str),
    answer: &Answer,
) -> Option<String> {
    let responses = &document["paths"][template][method]["responses"];
    let told = &responses[answer.status.to_string()];
    if !told.is_object() {
        return Some(format!("{method} {template}: {}", answer.status));
    }
    let schema = &told["content"]["application/json"]["schema"]["$ref"];
    let name = schema.as_str()?.rsplit('/').next()?;
    let schema = &document["components"]["schemas"][name];
    let (got, fields) = (answer.json(), schema["properties"].as_object()?);
    let got = got.as_object()?;
    let required = schema["required"].as_array()?;
    let missing = |field: &&Value| !got.contains_key(field.as_str().unwrap_or_default());
    let more = got.keys().find(|field| !fields.contains_key(*field));
    let missing = required.iter().find(missing).map(Value::to_string);
    more.cloned().or(missing)
}

#[tokio::test]
async fn the_document_of_the_server_says_what_is_answered() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let document = relay.get(0, "/api/v1/openapi.json").await;
    let document = document.expect("an answer").json();
    let (address, body) = (relay.address(0), text(600, 23));
    let (place, other) = (path("board", &body), path("board", "other"));
    let link = format!("{place}/link");
    let other_link = format!("{other}/link");
    let one = "/assets/{canvas}/{sha256}";
    let of_link = "/assets/{canvas}/{sha256}/link";
    for (method, template, path, headers, body, status) in [
        ("put", one, &*place, PNG, &*body, 201),
        ("put", one, &place, PNG, &body, 200),
        (
            "put",
            one,
            &place,
            "Content-Type: text/html\r\n",
            &body,
            415,
        ),
        ("put", one, &place, PNG, "other", 422),
        ("put", one, "/assets/board/x", PNG, "other", 400),
        ("post", of_link, &link, "", "", 200),
        ("post", of_link, &other_link, "", "", 404),
        ("get", one, &place, "", "", 200),
        ("get", one, &place, "Range: bytes=0-1\r\n", "", 206),
        ("get", one, &place, "Range: bytes=9999-\r\n", "", 416),
        ("get", one, &place, "If-None-Match: *\r\n", "", 304),
        ("get", one, &other, "", "", 404),
    ] {
        let answer = ask(address, &method.to_uppercase(), path, headers, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert_eq!(undescribed(&document, (method, template), &answer), None);
    }
}

#[tokio::test]
async fn a_restart_finds_all_assets() {
    let mut relay = Relay::start(1, &[]).await;
    let body = text(600, 22);
    let stored = put(relay.address(0), "board", &body).await.json();
    let link = stored["url"].as_str().expect("a link").to_owned();
    relay.process(0).kill().await;
    let n = relay.add(&[]).await;
    assert_eq!(get(relay.address(n), &link, "").await.body, body);
    // Bytes that somebody has deleted come back with the next upload.
    for file in kept(&relay) {
        fs::remove_file(file).expect("deleted");
    }
    assert_eq!(get(relay.address(n), &link, "").await.status, 404);
    assert!(put(relay.address(n), "board", &body).await.status < 300);
    assert_eq!(get(relay.address(n), &link, "").await.body, body);
}

fn tool(arguments: &[&str]) -> (bool, String) {
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_scumble"))
        .args(arguments)
        .env_clear()
        .output()
        .expect("the tool runs");
    let said = [done.stdout, done.stderr].concat();
    (
        done.status.success(),
        String::from_utf8(said).expect("text"),
    )
}

#[tokio::test]
async fn a_backup_takes_assets_along_and_a_restore_brings_them_back() {
    let relay = Relay::start(1, &[]).await;
    let (one, two, lost) = (text(300_000, 24), text(0, 25), text(700, 26));
    for body in [&one, &two, &lost] {
        assert_eq!(put(relay.address(0), "board", body).await.status, 201);
    }
    let gone = hash(lost.as_bytes());
    for file in kept(&relay)
        .iter()
        .filter(|file| file.display().to_string().contains(&gone))
    {
        fs::remove_file(file).expect("deleted");
    }
    let db = relay.db().display().to_string();
    let (well, said) = tool(&["doctor", "--db", &db]);
    assert!(!well && said.contains("1 of 3 are not in"), "{said}");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let copy = elsewhere.path().join("relay.db").display().to_string();
    let (done, said) = tool(&["backup", "--db", &db, "--to", &copy]);
    assert!(
        done && said.contains("2 assets, 300000 bytes; 1 more were not there"),
        "{said}"
    );
    let (again, said) = tool(&["backup", "--db", &db, "--to", &copy]);
    assert!(!again && said.contains("is there already"), "{said}");
    let (well, said) = tool(&["doctor", "--db", &copy]);
    assert!(well && said.contains("2, of 304096 bytes"), "{said}");
    // The copy is where a relay finds all of it.
    let mut restored = Process::launch(Path::new(&copy), &[]);
    let address = restored.ready().await;
    assert_eq!(get(address, &path("board", &one), "").await.body, one);
    assert_eq!(get(address, &path("board", &two), "").await.status, 200);
    assert_eq!(get(address, &path("board", &lost), "").await.status, 404);
    assert_eq!(put(address, "board", &lost).await.status, 201);
    restored.kill().await;
}
