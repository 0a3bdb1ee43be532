//! The tools that look at a relay in Redis from outside: `doctor`, `tail` and `backup`.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::*;

/// The program with those arguments, and nothing in its environment.
fn scumble(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scumble"));
    command.args(args).env_clear().stdin(Stdio::null());
    command.kill_on_drop(true);
    command
}

/// What it says, once it has ended.
pub(super) async fn run(args: &[&str]) -> Output {
    soon("the end of a tool", scumble(args).output())
        .await
        .expect("the binary starts")
}

pub(super) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// What it says; it must end well.
pub(super) async fn done(args: &[&str]) -> String {
    let output = run(args).await;
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", said(&output));
    said(&output)
}

/// What it says; it must be refused with that code.
pub(super) async fn refused(code: i32, args: &[&str]) -> String {
    let output = run(args).await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
    told
}

/// Keys, and what they hold, so that a change is seen.
fn everything(over: &Over) -> Vec<String> {
    let keys = over.server.ask(&["KEYS", "scumble:*"]);
    let mut keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
    keys.sort_unstable();
    let dump = |key: &&str| format!("{key} {}", over.server.ask(&["DUMP", key]));
    keys.iter().map(dump).collect()
}

#[tokio::test]
async fn a_relay_in_redis_is_examined_from_outside() {
    let mut over = Over::start(2, &[]).await;
    let url = over.server.url();
    let mut ada = over.relay.join(0, "board").await;
    ada.commit(create("a", "x")).await;
    let told = done(&["doctor", "--redis", &url, "--thorough"]).await;
    assert_eq!(told.matches("heartbeat").count(), 2, "{told}");
    assert!(
        told.contains("ok       canvases: 1, each read and compared"),
        "{told}"
    );
    assert!(told.contains("--max-objects 10000"), "{told}");
    assert!(told.contains("no findings"), "{told}");

    // What a living process would mend in a moment is found: a canvas whose key somebody removed.
    end_all(&mut over.relay, &[0, 1], rustix::process::Signal::TERM).await;
    over.server.ask(&["ZADD", "scumble:names", "0", "gone"]);
    over.server
        .ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let told = refused(1, &["doctor", "--redis", &url]).await;
    assert!(
        told.contains("finding  memory: with maxmemory-policy allkeys-lru"),
        "{told}"
    );
    assert!(
        told.contains("finding  canvases: the canvas gone"),
        "{told}"
    );
    assert!(told.contains("2 findings"), "{told}");

    // A snapshot that was cut off, while nobody has a copy.
    over.server.ask(&["ZREM", "scumble:names", "gone"]);
    let set = ["HSET", "scumble:canvas:board", "snapshot", "\u{1}"];
    over.server.ask(&set);
    over.server
        .ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let told = refused(1, &["doctor", "--redis", &url, "--thorough"]).await;
    assert!(
        told.contains("finding  canvases: the canvas board: "),
        "{told}"
    );
}

#[tokio::test]
async fn tools_say_why_there_is_nothing_to_look_at() {
    let over = Over::start(1, &[]).await;
    let url = over.server.url();
    let copy = over.relay.dir().join("copy.db").display().to_string();
    let tools: [(&[&str], i32); 3] = [
        (&["doctor"], 2),
        (&["tail", "board"], 1),
        (&["backup", "--to", &copy], 1),
    ];
    for (tool, code) in tools {
        let at = |more: &[&str]| -> Vec<String> {
            let all = tool.iter().chain(more);
            all.map(|word| (*word).to_owned()).collect()
        };
        let refused = async |more: &[&str]| {
            let args = at(more);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            refused(code, &args).await
        };
        let told = refused(&["--redis", &url, "--redis-prefix", "other"]).await;
        assert!(
            told.contains("no relay under --redis-prefix other") && told.contains("scumble"),
            "{told}"
        );
        let told = refused(&["--redis", "redis://127.0.0.1:1"]).await;
        assert!(
            told.contains("can't be reached at redis://127.0.0.1:1"),
            "{told}"
        );
        over.server.ask(&["HSET", "scumble:relay", "format", "5"]);
        let told = refused(&["--redis", &url]).await;
        assert!(
            told.contains("format 5") && told.contains("older"),
            "{told}"
        );
        let now = scumble_format();
        over.server.ask(&["HSET", "scumble:relay", "format", &now]);
    }
    assert!(!Path::new(&copy).exists());

    let locked = RedisServer::start_on_port(&[]);
    locked.ask(&["CONFIG", "SET", "requirepass", "s3cret"]);
    let bare = format!("redis://127.0.0.1:{}", locked.port());
    let told = refused(2, &["doctor", "--redis", &bare]).await;
    assert!(told.contains("asks for a password"), "{told}");
    let wrong = format!("redis://:wr0ng@127.0.0.1:{}", locked.port());
    let told = refused(2, &["doctor", "--redis", &wrong]).await;
    assert!(
        told.contains("wrong user or password") && !told.contains("wr0ng"),
        "{told}"
    );
    let told = refused(2, &["doctor", "--redis", "nonsense:s3cret@x"]).await;
    assert!(
        told.contains("--redis") && !told.contains("s3cret"),
        "{told}"
    );
    // Two places are one too many.
    let told = refused(2, &["doctor", "--redis", &url, "--db", "x.db"]).await;
    assert!(told.contains("--db") && told.contains("--redis"), "{told}");
}

fn scumble_format() -> String {
    scumble::log::FORMAT.to_string()
}

/// The lines of `tail`, as they come.
struct Tail {
    child: tokio::process::Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Tail {
    fn start(args: &[&str]) -> Self {
        let mut child = scumble(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("a pipe");
        let lines = BufReader::new(stdout).lines();
        Self { child, lines }
    }

    async fn next(&mut self) -> Value {
        let line = soon("a line", self.lines.next_line()).await;
        let line = line.expect("text").expect("another line");
        serde_json::from_str(&line).expect("JSON")
    }
}

#[tokio::test]
async fn a_canvas_in_redis_is_followed_from_any_seq() {
    let over = Over::start(1, &[]).await;
    let url = over.server.url();
    let mut ada = over.relay.join(0, "board").await;
    for n in 0..3 {
        ada.commit(create(&format!("o{n}"), "x")).await;
    }
    let args = ["tail", "board", "--redis", &url, "--json", "--since", "1"];
    let mut tail = Tail::start(&args);
    for seq in [2, 3] {
        let message = tail.next().await;
        assert_eq!(message["seq"], seq, "{message}");
        assert_eq!(message["type"], "object-create");
        assert_eq!(message["client"], ada.id.as_str());
    }
    let before = everything(&over);
    ada.commit(chat("hello")).await;
    let message = tail.next().await;
    assert_eq!(
        (&message["seq"], &message["text"]),
        (&json!(4), &json!("hello"))
    );
    // Who looks leaves nothing behind.
    assert!(
        before.iter().all(|key| !key.contains("instance:0")),
        "{before:?}"
    );
    tail.child.kill().await.expect("it ends");
}

/// All of it, and it can be served from a file.
#[tokio::test]
async fn a_backup_of_a_relay_in_redis_is_served_from_a_file() {
    let over = Over::start(2, &[]).await;
    let url = over.server.url();
    let mut ada = over.relay.join(0, "board").await;
    let mut ben = over.relay.join(1, "board").await;
    for n in 0..40 {
        ada.commit(create(&format!("a{n}"), &"x".repeat(4_000)))
            .await;
        ben.commit(chat(&n.to_string())).await;
    }
    ada.commit(json!({"type": "object-delete", "id": "a3"}))
        .await;
    ben.reach(ada.seq).await;
    let push = json!({"items": [{"queue": "work", "payload": {"n": 1}, "transactionId": "one"}]});
    crate::hooks::ask(&over.relay, 0, "POST", "/api/v1/push", &push.to_string()).await;

    let copy = over.relay.dir().join("copy.db").display().to_string();
    let told = done(&["backup", "--redis", &url, "--to", &copy]).await;
    assert!(
        told.contains("1 canvases (39 objects,") && told.contains("new epoch"),
        "{told}"
    );
    assert!(told.contains("1 queues (1 messages, 0 dead)"), "{told}");
    let told = refused(1, &["backup", "--redis", &url, "--to", &copy]).await;
    assert!(told.contains("is there already"), "{told}");
    assert!(
        done(&["doctor", "--db", &copy])
            .await
            .contains("no findings")
    );

    let mut process = Process::launch(Path::new(&copy), &[]);
    let address = process.ready().await;
    let epoch = ada.epoch.clone();
    let before = ada.model.clone();
    // Ops that were acked before are not done again.
    let message =
        json!({"type": "object-create", "op": 1, "object": {"id": "again", "kind": "box"}});
    ada.resume(address).await.expect("a process that takes it");
    assert_ne!(ada.epoch, epoch, "clients may be ahead of a backup");
    assert_eq!(ada.model, before);
    ada.socket.send(&message).await.expect("a connection");
    let answer = ada.until(|message| message["type"] == "ack").await;
    assert_eq!(
        (&answer["op"], &answer["status"]),
        (&json!(1), &json!("dup"))
    );
    process.kill().await;
}
