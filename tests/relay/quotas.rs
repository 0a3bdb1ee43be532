//! Every stored thing has an end: who fills what belongs to all waits for itself, and is told by which flag.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::history::check_agreement;
use crate::harness::{Client, Relay, Socket, eventually, http};
use crate::redis_server::RedisServer;

/// Where a relay is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Store {
    File,
    Redis,
}

/// Processes, and the Redis that they share, if they do.
struct World {
    relay: Relay,
    server: Option<RedisServer>,
}

impl std::ops::Deref for World {
    type Target = Relay;

    fn deref(&self) -> &Relay {
        &self.relay
    }
}

impl World {
    async fn start(store: Store, processes: usize, flags: &[&str]) -> Self {
        let server = (store == Store::Redis).then(RedisServer::start);
        let url = server.as_ref().map(RedisServer::url);
        let redis = url.as_ref().map(|url| ["--redis", url]);
        let flags = [redis.as_ref().map_or(&[][..], |redis| &redis[..]), flags].concat();
        let relay = Relay::start(processes, &flags).await;
        Self { relay, server }
    }

    /// What the store says, whichever it is.
    fn number(&self, sql: &str, command: &[&str]) -> i64 {
        match &self.server {
            None => self.relay.number(sql),
            Some(server) => server.ask(command).parse().unwrap_or(0),
        }
    }

    fn log_bytes(&self) -> i64 {
        let command = ["HGET", "scumble:totals", "log"];
        self.number("SELECT log_bytes FROM totals", &command)
    }

    fn stored_bytes(&self) -> i64 {
        let command = ["HGET", "scumble:totals", "stored"];
        self.number("SELECT stored_bytes FROM totals", &command)
    }

    fn canvases(&self) -> i64 {
        let command = ["ZCARD", "scumble:names"];
        self.number("SELECT count(*) FROM canvases", &command)
    }

    /// Every canvas, as the server API lists them.
    async fn listed(&self) -> Vec<Value> {
        let answer = api(self, 0, "/api/v1/canvases?all=true").await;
        let told = answer.expect("an answer").json();
        told["canvases"].as_array().expect("a list").clone()
    }
}

/// Each of them over the file, and over Redis.
macro_rules! over_both {
    ($($name:ident)*) => {
        mod over_the_file {
            $(#[tokio::test] async fn $name() { super::$name(super::Store::File).await; })*
        }
        mod over_redis {
            $(#[tokio::test] async fn $name() { super::$name(super::Store::Redis).await; })*
        }
    };
}

over_both! {
    a_full_log_holds_up_its_own_canvas_until_messages_expire_and_no_other
    who_filled_the_logs_of_all_waits_and_whoever_has_little_goes_on
    the_totals_of_logs_are_right_after_processes_were_killed
    a_canvas_that_nobody_wrote_to_leaves_nothing_behind
    one_canvas_too_many_is_refused_by_the_flag_until_one_is_gone
    over_the_total_nothing_grows_and_what_is_there_goes_on
    over_the_total_a_batch_is_refused_whole_and_no_object_grows
    a_canvas_that_nobody_uses_is_emptied_and_one_that_is_used_stays
    what_is_remembered_of_a_deleted_canvas_goes_after_a_day
    every_canvas_is_listed_with_its_size_and_last_use
}

fn broadcast(bytes: usize) -> Value {
    json!({"type": "broadcast", "event": "e", "data": "x".repeat(bytes)})
}

/// Sends messages until one is refused; gives the refusal and how many were committed.
async fn fill(client: &mut Client, bytes: usize) -> (Value, u64) {
    for committed in 0.. {
        let op = client.op(broadcast(bytes)).await;
        let answer = client
            .until(|m| {
                ["ack", "error"].contains(&m["type"].as_str().unwrap_or("")) && m["op"] == op
            })
            .await;
        if answer["type"] == "error" {
            return (answer, committed);
        }
    }
    unreachable!("something is refused")
}

async fn metric(relay: &Relay, n: usize, name: &str) -> f64 {
    let text = relay.get(n, "/metrics").await.expect("an answer").body;
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name} ")));
    let number = line.and_then(|line| line.split(' ').nth(1)?.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Sends again what was refused until all of it is committed, as a client does.
async fn settle(client: &mut Client) {
    let until = Instant::now() + Duration::from_secs(20);
    while !client.pending.is_empty() {
        assert!(Instant::now() < until, "{:?} are left", client.pending);
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.resend().await.expect("a connection");
        let last = client.pending.keys().next_back().copied();
        client
            .until(|m| m["op"].as_u64() == last && m["type"] != "broadcast")
            .await;
    }
}

const SMALL_LOG: [&str; 4] = [
    "--message-ttl=3s",
    "--cursor-ttl=2s",
    "--max-canvas-log-bytes=100000",
    "--cleanup-interval=1h",
];

async fn a_full_log_holds_up_its_own_canvas_until_messages_expire_and_no_other(store: Store) {
    let relay = World::start(store, 2, &SMALL_LOG).await;
    let mut ada = relay.join(0, "board").await;
    let mut ben = relay.join(1, "board").await;
    let mut cy = relay.join(1, "other").await;
    let (refusal, committed) = fill(&mut ada, 9_800).await;
    assert_eq!((&refusal["code"], committed), (&json!("overloaded"), 10));
    let told = refusal["message"].as_str().expect("words");
    assert!(
        told.contains("100000 bytes (--max-canvas-log-bytes)"),
        "{told}"
    );
    assert_eq!(refusal["retry_after_ms"], 1_000);
    // It is full for whoever writes there, through whatever process; what follows waits for what was refused.
    let (refusal, committed) = fill(&mut ben, 9_800).await;
    assert_eq!((&refusal["code"], committed), (&json!("overloaded"), 0));
    ben.op(broadcast(1)).await;
    let held = ben.until(|m| m["type"] == "error" && m["op"] == 2).await;
    assert_eq!(held["code"], "overloaded");
    // Others go on, the process is ready, and the figures say what it is.
    assert_eq!(fill(&mut cy, 9_800).await.1, 10);
    for process in [0, 1] {
        assert_eq!(
            relay
                .get(process, "/readyz")
                .await
                .expect("an answer")
                .status,
            200
        );
        assert!(metric(&relay, process, "scumble_log_full_total").await >= 1.0);
    }
    assert!(metric(&relay, 0, "scumble_log_bytes").await > 170_000.0);
    assert_eq!(
        metric(&relay, 0, "scumble_log_bytes_limit").await,
        f64::from(1 << 30)
    );
    // It recovers long before the next cleanup would be, and nothing is lost or out of order.
    settle(&mut ada).await;
    settle(&mut ben).await;
    ada.reach(ben.seq).await;
    check_agreement(&mut [ada, ben]).await;
}

async fn who_filled_the_logs_of_all_waits_and_whoever_has_little_goes_on(store: Store) {
    let relay = World::start(store, 2, &["--max-log-bytes=500000"]).await;
    let mut ada = relay.join(0, "board").await;
    let (refusal, committed) = fill(&mut ada, 9_800).await;
    assert_eq!((&refusal["code"], committed), (&json!("overloaded"), 40));
    let told = refusal["message"].as_str().expect("words");
    assert!(told.contains("500000 bytes (--max-log-bytes)"), "{told}");
    for n in 0..3 {
        let mut cy = relay.join(n % 2, &format!("other-{n}")).await;
        cy.commit(broadcast(2_000)).await;
    }
    assert!(metric(&relay, 1, "scumble_log_bytes").await <= 500_000.0);
}

/// The totals are those of the file, whoever dies and however.
async fn the_totals_of_logs_are_right_after_processes_were_killed(store: Store) {
    let mut relay = World::start(store, 2, &SMALL_LOG).await;
    let mut ada = relay.join(0, "board").await;
    fill(&mut ada, 5_000).await;
    relay.relay.process(0).kill().await;
    let again = relay.relay.add(&[]).await;
    if store == Store::File {
        let counted = "SELECT log_bytes - (SELECT sum(160 + octet_length(payload)) FROM message_queue WHERE seq > 0) FROM totals";
        assert_eq!(relay.relay.number(counted), 0);
    }
    let mut ben = relay.join(again, "board").await;
    assert_eq!(fill(&mut ben, 5_000).await.1, 0, "still full");
    settle(&mut ben).await;
    let of_board = || match &relay.server {
        Some(server) => server.takes("board", 1),
        None => relay
            .relay
            .number("SELECT log_bytes FROM canvases WHERE canvas_id = 'board'"),
    };
    eventually("the sum of one", || async {
        (relay.log_bytes() == of_board()).then_some(())
    })
    .await;
    // What is deleted is charged to the canvas no more.
    eventually("no rows", || async {
        (relay.log_bytes() == 0).then_some(())
    })
    .await;
    assert_eq!(of_board(), 0);
}

/// The same without a file.
#[tokio::test]
async fn in_memory_a_full_log_holds_up_its_own_canvas_until_messages_expire() {
    let relay = Relay::start(
        1,
        &[
            "--queue=off",
            "--message-ttl=3s",
            "--max-canvas-log-bytes=100000",
            "--max-log-bytes=150000",
        ],
    )
    .await;
    let mut ada = relay.join(0, "board").await;
    let (refusal, committed) = fill(&mut ada, 9_800).await;
    assert_eq!((&refusal["code"], committed), (&json!("overloaded"), 10));
    let mut ben = relay.join(0, "other").await;
    let (refusal, committed) = fill(&mut ben, 9_800).await;
    let told = refusal["message"].as_str().expect("words");
    assert!(told.contains("150000 bytes (--max-log-bytes)"), "{told}");
    assert!(committed > 2, "{committed}");
    settle(&mut ada).await;
    settle(&mut ben).await;
}

async fn api(relay: &Relay, n: usize, path: &str) -> Option<http::Answer> {
    http::ask(relay.address(n), "GET", path, "Host: localhost\r\n", "").await
}

fn object(id: &str, bytes: usize) -> Value {
    let object = json!({"id": id, "kind": "k", "p": "x".repeat(bytes)});
    json!({"type": "object-create", "object": object})
}

/// Leaves, and waits until nobody is here any more.
async fn leave(mut client: Client) {
    client.say(json!({"type": "bye"})).await;
    client.closed().await;
}

/// Says hello and gives the error and the close code that follow.
async fn turned_away(relay: &Relay, n: usize, canvas: &str) -> (Value, u16) {
    let mut socket = Socket::open(relay.address(n), canvas).await.expect("up");
    let hello = json!({"type": "hello", "v": 1, "client": crate::harness::client::new_id()});
    socket.send(&hello).await.expect("a connection");
    let error = socket.receive().await.expect("an error");
    (error, socket.ended().await.code.expect("a code"))
}

async fn a_canvas_that_nobody_wrote_to_leaves_nothing_behind(store: Store) {
    let relay = World::start(store, 2, &[]).await;
    let mut ada = relay.join(0, "written").await;
    ada.commit(object("a", 10)).await;
    leave(ada).await;
    let stays = relay.join(0, "watched").await;
    for n in 0..20 {
        leave(relay.join(n % 2, &format!("looked-at-{n}")).await).await;
    }
    eventually("two canvases", || async {
        (relay.canvases() == 2).then_some(())
    })
    .await;
    match &relay.server {
        Some(server) => assert_eq!(server.ask(&["KEYS", "scumble:*looked-at*"]), ""),
        None => {
            assert_eq!(relay.relay.number("SELECT canvases FROM totals"), 2);
            let lost = "SELECT count(*) FROM canvas_clients WHERE canvas_id NOT IN (SELECT key FROM canvases)";
            assert_eq!(relay.relay.number(lost), 0);
        }
    }
    // Who comes back finds it empty, under a key that nobody had before.
    let mut again = relay.join(1, "looked-at-3").await;
    if store == Store::File {
        let last = "SELECT max(key) FROM canvases";
        assert_eq!(relay.relay.number(last), 23);
    }
    again.commit(object("b", 10)).await;
    let late = relay.join(0, "written").await;
    assert!(late.model.object("a").is_some());
    drop(stays);
}

async fn one_canvas_too_many_is_refused_by_the_flag_until_one_is_gone(store: Store) {
    let relay = World::start(store, 2, &["--max-canvases=2"]).await;
    let mut ada = relay.join(0, "one").await;
    ada.commit(object("a", 10)).await;
    let ben = relay.join(1, "two").await;
    for process in [0, 1] {
        let (error, code) = turned_away(&relay, process, "three").await;
        assert_eq!((&error["code"], code), (&json!("too-large"), 4413));
        let told = error["message"].as_str().expect("words");
        assert!(
            told.contains("2 canvases already (--max-canvases)"),
            "{told}"
        );
    }
    let body = r#"{"type":"chat","text":"x"}"#;
    let path = "/api/v1/canvases/three/messages";
    let posted = http::ask(relay.address(0), "POST", path, "Host: localhost\r\n", body).await;
    let posted = posted.expect("an answer");
    assert_eq!(
        (posted.status, posted.json()["error"].as_str()),
        (422, Some("too-large"))
    );
    // Those that are there take people as before; the one that nobody wrote to makes room.
    relay.join(1, "one").await;
    leave(ben).await;
    eventually("room for another canvas", || async {
        let mut socket = Socket::open(relay.address(1), "three").await.ok()?;
        let hello = json!({"type": "hello", "v": 1, "client": crate::harness::client::new_id()});
        socket.send(&hello).await.ok()?;
        let first = socket.receive().await.ok()?;
        (first["type"] == "welcome").then_some(())
    })
    .await;
}

async fn over_the_total_nothing_grows_and_what_is_there_goes_on(store: Store) {
    let relay = World::start(
        store,
        2,
        &[
            "--max-total-bytes=1048576",
            "--message-ttl=3s",
            "--cursor-ttl=2s",
            "--cleanup-interval=300ms",
        ],
    )
    .await;
    let mut ada = relay.join(0, "one").await;
    let mut ben = relay.join(1, "two").await;
    let mut n = 0;
    let refusal = loop {
        n += 1;
        let op = ada.op(object(&format!("o{n}"), 60_000)).await;
        let answer = ada
            .until(|m| m["op"] == op && m["type"] != "object-create")
            .await;
        if answer["type"] == "error" {
            break answer;
        }
    };
    assert_eq!(refusal["code"], "too-large");
    let told = refusal["message"].as_str().expect("words");
    assert!(told.contains("1048576 bytes (--max-total-bytes)"), "{told}");
    let op = ben.op(object("b", 60_000)).await;
    ben.until(|m| m["op"] == op && m["code"] == "too-large")
        .await;
    // What does not grow goes: events pass, objects shrink and go.
    ben.commit(broadcast(10)).await;
    ada.commit(object("o1", 100)).await;
    ada.commit(json!({"type": "object-delete", "id": "o2"}))
        .await;
    eventually("an empty log", || async {
        (relay.log_bytes() == 0).then_some(())
    })
    .await;
    ben.commit(object("b", 60_000)).await;
    let all = |canvas: &Value| canvas["bytes"].as_i64().expect("bytes");
    eventually("the sum of all objects", || async {
        let sum: i64 = relay.listed().await.iter().map(all).sum();
        (relay.stored_bytes() == sum && sum > 60_000).then_some(())
    })
    .await;
    if store == Store::File {
        let counted = "SELECT stored_bytes - (SELECT sum(octet_length(props)) FROM canvas_objects) FROM totals";
        assert_eq!(relay.relay.number(counted), 0);
    }
}

/// What grows by an update, or within a batch, grows as well; of a batch nothing is done if one of its messages is refused.
async fn over_the_total_a_batch_is_refused_whole_and_no_object_grows(store: Store) {
    let flags = [
        "--max-total-bytes=1048576",
        "--message-ttl=1s",
        "--cursor-ttl=1s",
        "--poll-idle=200ms",
        "--cleanup-interval=300ms",
    ];
    let relay = World::start(store, 2, &flags).await;
    let mut ada = relay.join(0, "one").await;
    let empty_log = async || {
        eventually("an empty log", || async {
            (relay.log_bytes() == 0).then_some(())
        })
        .await;
    };
    // Their messages count, too, for as long as they are kept.
    for some in [0..6, 6..11, 11..14, 14..15] {
        for n in some {
            ada.commit(object(&format!("o{n}"), 60_000)).await;
        }
        empty_log().await;
    }
    // Some 148,000 bytes are left.
    let update =
        |id: &str, value: Value| json!({"type": "object-update", "id": id, "patch": {"q": value}});
    ada.commit(update("o1", "x".repeat(60_000).into())).await;
    empty_log().await;
    ada.commit(object("smaller", 40_000)).await;
    empty_log().await;
    let op = ada.op(update("o2", "x".repeat(60_000).into())).await;
    let refusal = ada.until(|m| m["op"] == op && m["type"] == "error").await;
    over_the_total(&refusal);
    let batch = |first: u64, sizes: [usize; 3]| {
        let ops = (first..).zip(sizes).map(|(op, bytes)| {
            let mut create = object(&format!("b{op}"), bytes);
            create["op"] = op.into();
            create
        });
        json!({"type": "batch", "ops": ops.collect::<Vec<_>>()})
    };
    let mut socket = Socket::open(relay.address(1), "one").await.expect("up");
    let id = crate::harness::client::new_id();
    let hello = json!({"type": "hello", "v": 1, "client": id, "features": ["batch"]});
    socket.send(&hello).await.expect("a connection");
    let mut answer = async |message: Value| {
        socket.send(&message).await.expect("a connection");
        let mut answers = Vec::new();
        while answers.len() < 3 {
            let told = socket.receive().await.expect("an answer");
            if told["type"] == "ack" || told["type"] == "error" {
                answers.push(told);
            }
        }
        answers
    };
    for refusal in answer(batch(1, [20_000, 20_000, 20_000])).await {
        assert_eq!(refusal["code"], "too-large", "{refusal}");
        if refusal["op"] == 3 {
            over_the_total(&refusal);
        }
    }
    let acked = answer(batch(4, [2_000, 2_000, 2_000])).await;
    assert!(acked.iter().all(|ack| ack["status"] == "ok"), "{acked:?}");
    // What makes it smaller goes.
    ada.commit(update("o1", Value::Null)).await;
    let late = relay.join(0, "one").await;
    assert_eq!(late.model.objects.len(), 15 + 1 + 3);
}

fn over_the_total(refusal: &Value) {
    assert_eq!(refusal["code"], "too-large", "{refusal}");
    let told = refusal["message"].as_str().expect("words");
    assert!(told.contains("1048576 bytes (--max-total-bytes)"), "{told}");
}

async fn a_canvas_that_nobody_uses_is_emptied_and_one_that_is_used_stays(store: Store) {
    let relay = World::start(store, 2, &["--canvas-idle-ttl=2s"]).await;
    let mut ada = relay.join(0, "left").await;
    ada.commit(object("a", 10)).await;
    let epoch = ada.epoch.clone();
    leave(ada).await;
    let mut ben = relay.join(1, "used").await;
    ben.commit(object("b", 10)).await;
    let objects = |canvas: &Value| canvas["objects"].as_i64().expect("a number");
    eventually("an empty canvas", || async {
        let of_all: i64 = relay.listed().await.iter().map(objects).sum();
        (of_all == 1).then_some(())
    })
    .await;
    let late = relay.join(1, "left").await;
    assert!(late.model.objects.is_empty() && late.epoch != epoch && late.seq == 1);
    ben.commit(object("b2", 10)).await;
    eventually("two objects", || async {
        let of_all: i64 = relay.listed().await.iter().map(objects).sum();
        (of_all == 2).then_some(())
    })
    .await;
}

/// As if a day had passed since the canvas was deleted.
async fn pass_a_day(relay: &World) {
    match &relay.server {
        None => {
            let end = relay
                .writer()
                .execute("UPDATE canvases SET ends_at = 1", []);
            end.expect("written");
            let left =
                "SELECT (SELECT count(*) FROM canvases) + (SELECT count(*) FROM canvas_clients)";
            relay.until_number(left, |n| n == 0).await;
        }
        Some(server) => {
            server.end_now("board");
            // It is given up some seconds after the last use.
            let left = ["KEYS", "scumble:*board*"];
            eventually("nothing", || async {
                server.ask(&["ZADD", "scumble:due", "XX", "1", "board"]);
                server.ask(&left).is_empty().then_some(())
            })
            .await;
        }
    }
}

/// Numbers and owners outlive a deletion by a day, then nothing is left.
async fn what_is_remembered_of_a_deleted_canvas_goes_after_a_day(store: Store) {
    let relay = World::start(store, 2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    ada.commit(object("a", 10)).await;
    ada.commit(json!({"type": "chat", "text": "x"})).await;
    ada.say(json!({"type": "bye"})).await;
    ada.closed().await;
    let delete = async || {
        let asked = http::ask(
            relay.address(1),
            "DELETE",
            "/api/v1/canvases/board",
            "Host: localhost\r\n",
            "",
        );
        assert_eq!(asked.await.expect("an answer").status, 200);
    };
    delete().await;
    // Its client's leave may be committed a moment later.
    match &relay.server {
        None => {
            let left = "SELECT count(*) FROM canvas_clients, canvases WHERE seq = 2 AND last_op = 2 AND objects + object_bytes + chat_bytes = 0";
            assert_eq!(relay.relay.number(left), 1);
            let day = "SELECT (ends_at - used_at + 60000) / 3600000 FROM canvases";
            assert_eq!(relay.relay.number(day), 24);
        }
        Some(server) => {
            let (used, ends) = (server.takes("board", 6), server.takes("board", 7));
            assert_eq!((ends - used + 60_000) / 3_600_000, 24);
        }
    }
    // Its client's ops are known: what it sends again is not done again.
    let mut again = object("a", 10);
    again["op"] = 1.into();
    ada.pending.insert(1, again);
    ada.resume(relay.address(1)).await.expect("a welcome");
    assert_eq!(ada.welcome["acked_op"], 2);
    ada.settle().await.expect("connected");
    leave(ada).await;
    // Whoever writes on it has use for it again.
    let mut ben = relay.join(1, "board").await;
    assert_eq!(ben.commit(object("b", 10)).await, 3);
    match &relay.server {
        None => assert_eq!(
            relay.relay.number("SELECT ends_at IS NULL FROM canvases"),
            1
        ),
        Some(server) => assert_eq!(server.takes("board", 7), 0),
    }
    leave(ben).await;
    delete().await;
    pass_a_day(&relay).await;
    assert_eq!((relay.stored_bytes(), relay.canvases()), (0, 0));
    let mut cy = relay.join(0, "board").await;
    assert_eq!(cy.commit(object("c", 10)).await, 1);
    if store == Store::File {
        assert_eq!(relay.relay.number("SELECT key FROM canvases"), 2);
    }
}

async fn every_canvas_is_listed_with_its_size_and_last_use(store: Store) {
    let relay = World::start(store, 2, &[]).await;
    for name in ["a", "b", "c"] {
        let mut client = relay.join(0, name).await;
        client.commit(object("o", 1_000)).await;
        leave(client).await;
    }
    if store == Store::Redis {
        // One that somebody has just opened is listed, too, and who has it says what is on it.
        let sizes = || async {
            let listed = relay.listed().await;
            listed
                .iter()
                .all(|canvas| canvas["bytes"] == 1_028)
                .then_some(())
        };
        eventually("their sizes", sizes).await;
    }
    let first = api(&relay, 1, "/api/v1/canvases?all=true&limit=2")
        .await
        .expect("an answer")
        .json();
    assert_eq!(
        (
            first["canvases"][0]["canvas"].as_str(),
            first["next"].as_str()
        ),
        (Some("a"), Some("b"))
    );
    let rest = api(&relay, 0, "/api/v1/canvases?all=true&after=b")
        .await
        .expect("an answer")
        .json();
    let canvas = &rest["canvases"][0];
    assert_eq!(
        (canvas["canvas"].as_str(), canvas["bytes"].as_u64()),
        (Some("c"), Some(1_028))
    );
    assert!(canvas["log_bytes"].as_u64().expect("bytes") > 1_160);
    assert!(canvas["used_at"].as_u64().expect("a time") > 1_700_000_000_000);
    assert_eq!(
        api(&relay, 0, "/api/v1/canvases")
            .await
            .expect("an answer")
            .json()["canvases"],
        json!([])
    );
}

/// The same without a file.
#[tokio::test]
async fn in_memory_canvases_have_an_end_too() {
    let relay = Relay::start(
        1,
        &[
            "--queue=off",
            "--max-canvases=2",
            "--max-total-bytes=1048576",
            "--canvas-idle-ttl=1s",
        ],
    )
    .await;
    let mut ada = relay.join(0, "one").await;
    for n in 0..9 {
        ada.commit(object(&format!("o{n}"), 60_000)).await;
    }
    let op = ada.op(object("more", 60_000)).await;
    let refusal = ada.until(|m| m["op"] == op && m["type"] == "error").await;
    assert!(
        refusal["message"]
            .as_str()
            .expect("words")
            .contains("--max-total-bytes")
    );
    let _held = relay.join(0, "two").await;
    let (error, code) = turned_away(&relay, 0, "three").await;
    assert_eq!((&error["code"], code), (&json!("too-large"), 4413));
    leave(ada).await;
    eventually("an empty canvas", || async {
        let listed = api(&relay, 0, "/api/v1/canvases?all=true").await?.json();
        (listed["canvases"][0]["objects"] == 0).then_some(())
    })
    .await;
}
