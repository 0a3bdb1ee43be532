//! `scumble migrate`: a relay moves from its file into Redis, its clients come back there and go on, and back into a file.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use rustix::process::Signal;

use super::tools::{done, refused, run};
use super::*;
use crate::hooks::{aside, ask, hooks, into_queue};

/// A relay over a file with everything in it that is moved, and two clients.
struct Begun {
    relay: Relay,
    clients: Vec<Client>,
    /// The message that a worker has.
    leased: Value,
}

async fn begin() -> Begun {
    let relay = Relay::start(2, &["--message-ttl=10m"]).await;
    let mut ada = relay.join(0, "board-1").await;
    let mut ben = relay.join(1, "board-1").await;
    for n in 0..30 {
        ada.commit(create(&format!("a{n}"), &"ä".repeat(n * 60)))
            .await;
        ben.commit(create(&format!("b{n}"), "x")).await;
        ben.commit(chat(&n.to_string())).await;
    }
    ada.commit(json!({"type": "object-update", "id": "b1", "patch": {"text": 1.50, "n": {"deep": [1, null]}}}))
        .await;
    ben.commit(json!({"type": "object-delete", "id": "b2"}))
        .await;
    let mut clients = vec![ada, ben];
    // Another canvas, which is deleted; and one on which nothing was said.
    let mut eve = relay.join(0, "gone").await;
    eve.commit(create("e", "x")).await;
    drop(relay.join(1, "quiet").await);
    let (status, _) = ask(&relay, 0, "DELETE", "/api/v1/canvases/gone", "").await;
    assert_eq!(status, 200);
    hooks(&relay, into_queue(&["object.*"])).await;
    let last = clients[0].commit(create("told", "x")).await;
    clients[1].reach(last).await;
    let leased = jobs(&relay).await;
    Begun {
        relay,
        clients,
        leased,
    }
}

async fn post(relay: &Relay, path: &str, body: Value) -> Value {
    let (status, answer) = ask(relay, 0, "POST", path, &body.to_string()).await;
    assert!((200..300).contains(&status), "{path}: {status} {answer}");
    serde_json::from_str(&answer).unwrap_or_default()
}

/// Messages that wait in two partitions, one that a worker has, one that is done, and a dead one.
async fn jobs(relay: &Relay) -> Value {
    let options = json!({"queue": "work", "options": {"leaseTime": 600, "retryLimit": 0, "dedupWindowSeconds": 3600}});
    post(relay, "/api/v1/configure", options).await;
    let item = |name: &str, partition: &str| json!({"queue": "work", "partition": partition, "transactionId": name, "payload": {"name": name}});
    let items = ["dead", "done", "leased", "waits"].map(|name| item(name, "one"));
    post(relay, "/api/v1/push", json!({"items": items})).await;
    post(
        relay,
        "/api/v1/push",
        json!({"items": [item("other", "two")]}),
    )
    .await;
    for status in ["failed", "completed"] {
        let message = pop(relay, "work/partition/one").await;
        post(relay, "/api/v1/ack", ack_of(&message, status)).await;
    }
    // Leased, and not acked.
    let leased = pop(relay, "work/partition/one").await;
    assert_eq!(leased["transactionId"], "leased");
    leased
}

fn ack_of(message: &Value, status: &str) -> Value {
    json!({
        "transactionId": message["transactionId"],
        "partitionId": message["partitionId"],
        "leaseId": message["leaseId"],
        "status": status,
    })
}

async fn pop(relay: &Relay, queue: &str) -> Value {
    let path = format!("/api/v1/pop/queue/{queue}");
    let (_, answer) = ask(relay, 0, "GET", &path, "").await;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    answer["messages"][0].clone()
}

/// Everything of a file that has to be there again, as text.
fn rows(db: &Path) -> Vec<String> {
    let conn = Connection::open(db).expect("the file");
    let mut all = Vec::new();
    let tables = [
        "SELECT canvas_id, epoch, seq, presence_version >= 0, objects, object_bytes, chat_bytes, log_bytes FROM canvases",
        "SELECT c.canvas_id, o.object_id, o.created_seq, o.props FROM canvas_objects AS o JOIN canvases AS c
         ON iif(c.content = 0, c.key, c.content) = o.canvas_id",
        "SELECT c.canvas_id, h.seq, h.entry FROM canvas_chat AS h JOIN canvases AS c ON iif(c.content = 0, c.key, c.content) = h.canvas_id",
        "SELECT c.canvas_id, k.client, k.user_id, k.last_op, k.used_at FROM canvas_clients AS k JOIN canvases AS c ON c.key = k.canvas_id",
        "SELECT c.canvas_id, m.seq, m.message_type, m.origin, m.client, m.op, m.created_at, m.expires_at, m.payload
         FROM message_queue AS m JOIN canvases AS c ON c.key = m.canvas_id WHERE m.seq IS NOT NULL AND m.id > c.log_from",
        "SELECT * FROM job_totals", "SELECT * FROM job_queues", "SELECT * FROM job_queue_names", "SELECT * FROM job_partitions",
        "SELECT * FROM job_messages", "SELECT * FROM job_named", "SELECT * FROM job_marks", "SELECT * FROM job_groups",
        "SELECT * FROM job_cursors", "SELECT * FROM job_turns", "SELECT * FROM job_states", "SELECT * FROM job_ready",
        "SELECT * FROM job_leases", "SELECT * FROM job_dead", "SELECT * FROM job_dead_index", "SELECT * FROM job_gone",
        "SELECT * FROM job_traces", "SELECT * FROM job_deliveries", "SELECT version, hooks FROM hooks", "SELECT hook, reason FROM hooks_off",
        "SELECT log_bytes, stored_bytes, canvases FROM totals",
    ];
    for sql in tables {
        let mut statement = conn.prepare(sql).expect(sql);
        let columns = statement.column_count();
        let mut rows = statement.query([]).expect(sql);
        let mut table = Vec::new();
        while let Some(row) = rows.next().expect(sql) {
            let cells = (0..columns).map(|at| match row.get_ref(at).expect("a cell") {
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            });
            table.push(cells.collect::<Vec<_>>().join(" "));
        }
        table.sort_unstable();
        all.push(format!("{sql}\n{}", table.join("\n")));
    }
    all
}

/// They come back with what they hold, and get no snapshot; what they send twice is done once.
async fn come_back_and_go_on(clients: &mut [Client], address: SocketAddr, name: &str) {
    for client in clients.iter_mut() {
        // Its last op was acked, and the ack was lost.
        let last = client.op;
        let message = create(&format!("again-{name}-{}", client.id), "x");
        let (epoch, model) = (client.epoch.clone(), client.model.clone());
        client
            .resume(address)
            .await
            .expect("a process that takes it");
        assert_eq!(
            (&client.welcome["mode"], &client.epoch),
            (&json!("resume"), &epoch)
        );
        assert_eq!(client.model, model);
        let mut dup = message.clone();
        dup["op"] = last.into();
        client.socket.send(&dup).await.expect("a connection");
        let answer = client.until(|message| message["type"] == "ack").await;
        assert_eq!(
            (&answer["op"], &answer["status"]),
            (&json!(last), &json!("dup"))
        );
        client.commit(message).await;
    }
    let last = clients.iter().map(|client| client.seq).max().unwrap_or(0);
    for client in clients.iter_mut() {
        client.reach(last).await;
    }
    let [ada, ben] = clients else { panic!("two") };
    assert_eq!(ada.model, ben.model);
}

/// The queue goes on where it was.
async fn work_goes_on(relay: &Relay) {
    // Somebody has the first one of this partition: nobody else gets anything of it.
    assert_eq!(pop(relay, "work/partition/one").await, Value::Null);
    let (_, dead) = ask(relay, 0, "GET", "/api/v1/dlq?queue=work", "").await;
    assert!(dead.contains("\"dead\"") || dead.contains("dead"), "{dead}");
    // Its name is remembered though it is done.
    let again = json!({"items": [{"queue": "work", "partition": "one", "transactionId": "done", "payload": 1}]});
    let answer = post(relay, "/api/v1/push", again).await;
    assert_eq!(answer[0]["status"], "duplicate", "{answer}");
    let (status, shown) = ask(relay, 0, "GET", "/api/v1/hooks", "").await;
    assert!(status == 200 && shown.contains("board-*"), "{shown}");
}

/// What all of it takes is what it was.
fn sums_are_kept(server: &RedisServer, db: &Path) {
    let conn = Connection::open(db).expect("the file");
    for (name, sql) in [
        ("stored", "SELECT stored_bytes FROM totals"),
        ("log", "SELECT sum(log_bytes) FROM canvases"),
    ] {
        let kept: i64 = conn.query_row(sql, [], |row| row.get(0)).expect(sql);
        let moved = server.ask(&["HGET", "scumble:totals", name]);
        assert_eq!(moved, kept.to_string(), "{name}");
    }
}

/// Row by row; but the canvas on which nothing was ever said is not moved, and the log from before a deletion does not count any more.
fn same_rows(was: &[String], is: &[String]) {
    let kept = |text: &str| -> Vec<String> {
        let moved = |line: &&str| !line.starts_with("quiet ") && !line.contains("FROM totals");
        text.lines().filter(moved).map(str::to_owned).collect()
    };
    for (was, is) in was.iter().zip(is) {
        if !was.starts_with("SELECT log_bytes, stored_bytes") {
            assert_eq!(kept(was), kept(is));
        }
    }
}

#[tokio::test]
async fn a_relay_moves_into_redis_and_back_with_all_that_it_has() {
    let Begun {
        mut relay,
        mut clients,
        leased,
    } = begin().await;
    let server = RedisServer::start();
    let (url, db) = (server.url(), relay.db());
    let from = db.display().to_string();
    let move_in = ["migrate", "--from", &from, "--to", &url];

    let told = refused(1, &move_in).await;
    assert!(
        told.contains("runs on it: stop all of them first"),
        "{told}"
    );
    end_all(&mut relay, &[0, 1], Signal::TERM).await;
    let before = rows(&db);

    let told = done(&[&move_in[..], &["--dry-run"]].concat()).await;
    assert!(
        told.contains("would move") && told.contains("1 hooks"),
        "{told}"
    );
    assert_eq!(server.ask(&["DBSIZE"]), "0");

    let told = done(&move_in).await;
    assert!(told.contains("2 canvases (60 objects,"), "{told}");
    assert_eq!(rows(&db), before, "the source is not changed");
    let told = refused(1, &move_in).await;
    assert!(told.contains("it is not empty"), "{told}");
    sums_are_kept(&server, &db);

    // Back, before anybody was there: row by row the same.
    let again = relay.dir().join("again.db");
    let to = again.display().to_string();
    let move_out = ["migrate", "--from", &url, "--to", &to];
    done(&move_out).await;
    same_rows(&before, &rows(&again));
    // The dead letter is the only one.
    let told = refused(1, &["doctor", "--db", &to]).await;
    assert!(
        told.contains("finding  jobs: work: 3 waiting") && told.contains("1 finding\n"),
        "{told}"
    );

    let over = Over {
        relay: Relay::start(2, &["--redis", &url, "--message-ttl=10m"]).await,
        server,
    };
    come_back_and_go_on(&mut clients, over.relay.address(0), "redis").await;
    work_goes_on(&over.relay).await;
    let told = refused(1, &["migrate", "--from", &url, "--to", &format!("{to}.2")]).await;
    assert!(told.contains("2 processes run on it"), "{told}");

    // And back, with what was said meanwhile.
    let Over { mut relay, server } = over;
    end_all(&mut relay, &[0, 1], Signal::TERM).await;
    let mut back = Relay::start(0, &["--message-ttl=10m"]).await;
    let to = back.db().display().to_string();
    done(&["migrate", "--from", &server.url(), "--to", &to]).await;
    back.add(&[]).await;
    come_back_and_go_on(&mut clients, back.address(0), "home").await;
    work_goes_on(&back).await;
    // Whoever has a message can still say that it is done.
    let answer = post(&back, "/api/v1/ack", ack_of(&leased, "completed")).await;
    assert_eq!(answer[0]["success"], true, "{answer}");
    let next = pop(&back, "work/partition/one").await;
    assert_eq!(next["transactionId"], "waits", "{next}");
    let fresh = back.join(0, "board-1").await;
    assert_eq!(fresh.model, clients[0].model);
}

/// Nobody takes half of a relay for a whole one.
#[tokio::test]
async fn what_was_set_aside_for_hooks_is_in_their_queues_after_the_move() {
    // Its first turn is when the hooks are stored; in the second, it tells some of it.
    let mut relay = Relay::start(1, &["--fail-point=before-tell=abort@3"]).await;
    hooks(&relay, into_queue(&["object.*"])).await;
    let batch = aside::batch();
    let path = "/api/v1/canvases/board-1/messages";
    aside::post_and_die(&mut relay, 0).await;
    let server = RedisServer::start();
    let (url, from) = (server.url(), relay.db().display().to_string());
    done(&["migrate", "--from", &from, "--to", &url]).await;
    assert!(relay.number("SELECT count(*) FROM hook_aside") > 0);

    let moved = Relay::start(1, &["--redis", &url]).await;
    let (status, answer) = ask(&moved, 0, "POST", path, &batch).await;
    assert_eq!(status, 200, "{answer}");
    let events = crate::hooks::pop(&moved, 0, "events", 2 * aside::MANY).await;
    let expected: Vec<u64> = (1..=2 * aside::MANY as u64).collect();
    assert_eq!(aside::places(&events), expected);
}

#[tokio::test]
async fn a_move_that_was_killed_halfway_leaves_nothing_that_is_used() {
    let relay = Relay::start(1, &[]).await;
    for n in 0..20 {
        let mut client = relay.join(0, &format!("board-{n}")).await;
        client.commit(create("a", &"x".repeat(20_000))).await;
    }
    let mut relay = relay;
    end_all(&mut relay, &[0], Signal::TERM).await;
    let server = RedisServer::start();
    let (url, from) = (server.url(), relay.db().display().to_string());
    let move_in = ["migrate", "--from", &from, "--to", &url];
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_scumble"))
        .args(move_in)
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    eventually("a part of it", || async {
        (server.ask(&["ZCARD", "scumble:names"]) != "0").then_some(())
    })
    .await;
    child.kill().await.expect("it is killed");
    // Whether it was done by then or not: what is there is all or nothing to whoever starts.
    let done_by_then = !server
        .ask(&["HGET", "scumble:relay", "format"])
        .starts_with("moving");
    if !done_by_then {
        let mut process = Process::launch(&relay.db(), &["--redis", &url]);
        assert_eq!(process.ended().await.code(), Some(1), "{}", process.log());
        assert!(process.log().contains("migrate"), "{}", process.log());
        let told = refused(2, &["doctor", "--redis", &url]).await;
        assert!(told.contains("ended halfway"), "{told}");
        let told = eventually("another try", async || {
            let output = run(&move_in).await;
            output.status.success().then(|| super::tools::said(&output))
        })
        .await;
        assert!(told.contains("20 canvases"), "{told}");
    }
    let after = Relay::start(1, &["--redis", &url]).await;
    // It has looked through the canvases that nobody has, and let none go.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("a time").as_millis().to_string();
    eventually("all are looked after", || async {
        (server.ask(&["ZCOUNT", "scumble:due", "-inf", &now]) == "0").then_some(())
    })
    .await;
    for n in 0..20 {
        let client = after.join(0, &format!("board-{n}")).await;
        assert_eq!(client.seq, 1, "board-{n}");
    }
}

#[tokio::test]
async fn a_move_names_what_is_wrong() {
    let relay = Relay::start(1, &[]).await;
    let (from, server) = (relay.db().display().to_string(), RedisServer::start());
    let url = server.url();
    let told = refused(1, &["migrate", "--from", &from, "--to", &from]).await;
    assert!(
        told.contains("one is a file, and the other is in Redis"),
        "{told}"
    );
    let told = refused(1, &["migrate", "--from", "/nonexistent.db", "--to", &url]).await;
    assert!(told.contains("/nonexistent.db"), "{told}");
    let told = refused(2, &["migrate", "--from", &from, "--to", "redis://:s3cret@"]).await;
    assert!(told.contains("--to") && !told.contains("s3cret"), "{told}");
    let told = refused(1, &["migrate", "--from", &url, "--to", "x.db"]).await;
    assert!(told.contains("there is no relay under"), "{told}");
    server.ask(&["SET", "scumble:mine", "x"]);
    let mut relay = relay;
    end_all(&mut relay, &[0], Signal::TERM).await;
    let told = refused(1, &["migrate", "--from", &from, "--to", &url]).await;
    assert!(told.contains("not empty (there is scumble:mine)"), "{told}");
}
