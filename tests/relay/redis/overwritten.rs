//! Somebody removes or overwrites keys that all canvases share, while processes run.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;
use tokio::time;

use super::tools::refused;
use super::*;
use crate::harness::Random;
use crate::hooks::{ask, hooks, into_queue, pop};

/// Pairs of things that are overwritten at once.
const PAIRS: usize = 24;

/// What somebody does behind the relay's back.
const SHARED: &[&[&str]] = &[
    &["SET", "scumble:relay", "x"],
    &["SET", "scumble:instances", "x"],
    &["SET", "scumble:names", "x"],
    &["SET", "scumble:totals", "x"],
    &["SET", "scumble:due", "x"],
    &["SET", "scumble:leaving", "x"],
    &["SET", "scumble:awaited", "x"],
    &["SET", "scumble:untold", "x"],
    &["SET", "scumble:instance:1", "x"],
    &["SET", "scumble:instance:2:canvases", "x"],
    &["SET", "scumble:samples:now", "x"],
    &[
        "HSET",
        "scumble:totals",
        "log",
        "x",
        "stored",
        "x",
        "recounted",
        "x",
    ],
    &["HSET", "scumble:relay", "skew", "x"],
    &["HSET", "scumble:relay", "commits", "x"],
    &["HSET", "scumble:relay", "era", "x"],
    &["HSET", "scumble:relay", "id", "x"],
    &["HDEL", "scumble:relay", "id"],
    &["HSET", "scumble:relay", "format", "x"],
    &["HSET", "scumble:relay", "format", "7"],
    &["HDEL", "scumble:relay", "format"],
    &["HSET", "scumble:relay", "rules", "x"],
    &["HDEL", "scumble:relay", "rules"],
    &["HSET", "scumble:relay", "run", "x"],
    &["HSET", "scumble:relay", "base", "x"],
    &["HDEL", "scumble:relay", "base"],
    &["HSET", "scumble:relay", "proof", "x"],
    &["HSET", "scumble:relay", "since", "x"],
    &["HSET", "scumble:relay", "hooks", "x"],
    &["HSET", "scumble:relay", "last_instance", "x"],
    &["HSET", "scumble:canvas:board", "takes", "x"],
    &["DEL", "scumble:relay"],
    &["DEL", "scumble:instances"],
    &["DEL", "scumble:names"],
];

/// An object is made, whatever it takes: who is refused sends it again.
async fn make(client: &mut Client, id: &str) {
    client.op(create(id, "x")).await;
    client.settle().await.expect("a connection");
}

/// They are made anew within a second or so; nobody needs to start anything again, and nothing acked is lost.
#[tokio::test]
async fn a_shared_key_that_is_overwritten_is_made_anew() {
    let (mut over, mut ada, mut ben) = Over::with_two_clients().await;
    let mut other = over.relay.join(1, "other").await;
    let mut made = 0;
    for action in SHARED {
        over.server.ask(action);
        // Whoever comes back finds it so, too.
        over.server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        made += 1;
        make(&mut ada, &format!("ada-{made}")).await;
        make(&mut ben, &format!("ben-{made}")).await;
        make(&mut other, &format!("{made}")).await;
        if let ["SET", key, _] = action {
            over.until_answer(&["TYPE", key], |kind| kind != "string")
                .await;
        }
        let late = over.relay.join(0, "board").await;
        assert_eq!(late.model.objects.len(), 2 * made, "{action:?}");
        drop(late);
        let late = over.relay.join(0, "other").await;
        assert_eq!(late.model.objects.len(), made, "{action:?}");
    }
    over.until_answer(&["ZCARD", "scumble:names"], |count| count == "2")
        .await;
    let fresh = over.relay.add(&[]).await;
    let late = over.relay.join(fresh, "board").await;
    assert_eq!(late.model.objects.len(), 2 * made);
}

/// Nobody knows which canvases a process has; when it dies, its clients are turned away all the same.
#[tokio::test]
async fn a_process_whose_list_of_canvases_is_gone_lists_them_again() {
    let mut over = Over::start(1, &["--presence-grace", "1s"]).await;
    over.relay.add(&[]).await;
    let ghost = over.relay.join(1, "board").await;
    let mut ada = over.relay.join(0, "board").await;
    let list = ["SMEMBERS", "scumble:instance:2:canvases"];
    assert_eq!(over.server.ask(&list), "board");
    over.server.ask(&["DEL", list[1]]);
    over.until_answer(&list, |names| names == "board").await;
    over.relay.process(1).kill().await;
    while roster(&ada).iter().any(|(id, _)| *id == ghost.id) {
        ada.next().await.expect("connected");
    }
}

/// The lease of a dead process ends by itself. Who made it one without an end keeps no ghosts by that.
#[tokio::test]
async fn a_lease_without_an_end_keeps_no_ghosts() {
    let mut over = Over::start(1, &["--presence-grace", "1s"]).await;
    over.relay.add(&[]).await;
    let ghost = over.relay.join(1, "board").await;
    let mut ada = over.relay.join(0, "board").await;
    over.relay.process(1).signal(Signal::STOP);
    over.server.ask(&["SET", "scumble:instance:2:reaping", "x"]);
    over.relay.process(1).kill().await;
    while roster(&ada).iter().any(|(id, _)| *id == ghost.id) {
        ada.next().await.expect("connected");
    }
}

/// Canvases know the batches of each process by its number. A process that got the number of a dead one would not be
/// heard.
#[tokio::test]
async fn no_number_is_given_twice_after_the_relay_was_removed() {
    let mut over = Over::start(1, &["--presence-grace", "1s"]).await;
    over.relay.add(&[]).await;
    let mut ghost = over.relay.join(1, "board").await;
    let mut ada = over.relay.join(0, "board").await;
    for n in 0..30 {
        ghost.commit(create(&format!("o{n}"), "x")).await;
    }
    over.relay.process(1).kill().await;
    over.until_instances(1).await;
    over.server.ask(&["DEL", "scumble:relay"]);
    make(&mut ada, "a").await;
    let fresh = over.relay.add(&[]).await;
    let mut ben = over.relay.join(fresh, "board").await;
    ben.commit(create("b", "x")).await;
    let numbers = over.server.ask(&["ZRANGE", "scumble:instances", "0", "-1"]);
    assert!(!numbers.lines().any(|number| number == "2"), "{numbers}");
    assert_eq!(ben.model.objects.len(), 32);
}

/// The version of the hooks is in the same hash.
#[tokio::test]
async fn hooks_are_told_after_the_relay_was_removed() {
    let over = Over::start(1, &[]).await;
    hooks(&over.relay, into_queue(&["object.*"])).await;
    let mut ada = over.relay.join(0, "board-1").await;
    ada.commit(create("a", "x")).await;
    pop(&over.relay, 0, "events", 1).await;
    over.server.ask(&["DEL", "scumble:relay"]);
    make(&mut ada, "b").await;
    let events = pop(&over.relay, 0, "events", 1).await;
    assert_eq!(events[0]["seq"], ada.seq, "{events:?}");
}

/// What was in the tables is gone; the queue begins anew, and no canvas notices.
#[tokio::test]
async fn a_queue_whose_tables_are_overwritten_begins_anew() {
    let over = Over::start(1, &[]).await;
    let push = async |text: &str| {
        let item = json!({"queue": "q", "payload": text});
        let body = json!({"items": [item]}).to_string();
        ask(&over.relay, 0, "POST", "/api/v1/push", &body).await
    };
    assert_eq!(push("a").await.0, 201);
    let keys = over.server.ask(&["KEYS", "scumble:{jobs}:*"]);
    assert!(keys.lines().count() > 4, "{keys}");
    for key in keys.lines() {
        over.server.ask(&["SET", key, "x"]);
    }
    let mut ada = over.relay.join(0, "board").await;
    ada.commit(create("a", "x")).await;
    let mut told = String::new();
    for _ in 0..4 * keys.lines().count() {
        let (status, answer) = push("b").await;
        if status == 201 {
            return;
        }
        told = answer;
    }
    panic!("{told}");
}

/// Where no process runs, doctor says what is to be done.
#[tokio::test]
async fn doctor_names_a_key_that_was_overwritten() {
    let mut over = Over::start(1, &[]).await;
    let url = over.server.url();
    end_all(&mut over.relay, &[0], Signal::TERM).await;
    over.server.ask(&["SET", "scumble:due", "x"]);
    let told = refused(1, &["doctor", "--redis", &url]).await;
    assert!(
        told.contains("finding  keys: the key scumble:due is a string"),
        "{told}"
    );
    over.server.ask(&["SET", "scumble:relay", "x"]);
    let told = refused(2, &["doctor", "--redis", &url]).await;
    assert!(told.contains("the key scumble:relay is a string"), "{told}");
}

/// Calls a command of one key with words in hexadecimal digits: fields and members may be any bytes.
const CALL: &str = "local words = { ARGV[1], KEYS[1] }
    for at = 2, #ARGV do
      words[at + 1] = string.gsub(ARGV[at], '..', function(two) return string.char(tonumber(two, 16)) end)
    end
    return redis.call(unpack(words))";
/// Lists what is in a key, in hexadecimal digits.
const LIST: &str = "local found = redis.call(unpack(ARGV, 1))
    for at, word in ipairs(found) do
      found[at] = string.gsub(word, '.', function(one) return string.format('%02x', string.byte(one)) end)
    end
    return found";

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// What somebody may do to one key: a command, then its words after the key in hexadecimal digits.
fn all_that_can_be_done(server: &RedisServer) -> Vec<(String, Vec<String>)> {
    let list = |command: &[&str]| -> Vec<String> {
        let answer = server.ask(&[&["EVAL", LIST, "0"], command].concat());
        let lines = answer.lines().filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    };
    let keys = server.ask(&["KEYS", "scumble:*"]);
    let mut keys: Vec<&str> = keys.lines().collect();
    keys.sort_unstable();
    let mut all = Vec::new();
    for key in keys {
        let mut add = |words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            all.push((key.to_owned(), words));
        };
        let [x, seven, other] = [hex("x"), hex("7"), hex("x y")];
        match server.ask(&["TYPE", key]).as_str() {
            "hash" => {
                for field in list(&["HKEYS", key]) {
                    add(&["HSET", &field, &x]);
                    add(&["HSET", &field, &seven]);
                    add(&["HDEL", &field]);
                }
                add(&["HSET", &other, &x]);
            }
            "zset" => {
                for member in list(&["ZRANGE", key, "0", "-1"]) {
                    add(&["ZADD", &seven, &member]);
                    add(&["ZREM", &member]);
                }
                add(&["ZADD", &seven, &other]);
                add(&["ZADD", &hex("0"), &other]);
            }
            "set" => {
                for member in list(&["SMEMBERS", key]) {
                    add(&["SREM", &member]);
                }
                add(&["SADD", &other]);
            }
            "stream" => {
                let [any, most, none] = [hex("*"), hex("MAXLEN"), hex("0")];
                add(&["XADD", &any, &hex("t"), &x, &hex("b"), &x]);
                add(&["XTRIM", &most, &none]);
            }
            _ => {}
        }
        add(&["SET", &x]);
        add(&["PEXPIRE", &hex("1")]);
        add(&["DEL"]);
    }
    all
}

/// Does one of these things.
fn overwrite(server: &RedisServer, (key, words): &(String, Vec<String>)) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    server.ask(&[&["EVAL", CALL, "1", key], &words[..]].concat());
}

/// Two processes with hooks, and on each a client that writes.
struct Writers {
    over: Over,
    ada: Client,
    ben: Client,
    made: usize,
}

impl Writers {
    async fn start() -> Self {
        let (over, mut ada, ben) = Over::with_two_clients().await;
        hooks(&over.relay, into_queue(&["object.*"])).await;
        let made = 10;
        for n in 0..made {
            make(&mut ada, &format!("{n}")).await;
        }
        Self {
            over,
            ada,
            ben,
            made,
        }
    }

    /// Both go on, and who comes has all that was acked. `what` was done before.
    async fn go_on(&mut self, within: Duration, what: &str) {
        let both = async {
            make(&mut self.ada, &format!("ada-{}", self.made)).await;
            make(&mut self.ben, &format!("ben-{}", self.made)).await;
            self.made += 2;
            self.over.relay.join(self.made % 2, "board").await
        };
        let late = time::timeout(within, both).await;
        let late = late.unwrap_or_else(|_| panic!("{what}: nobody goes on"));
        assert_eq!(late.model.objects.len(), self.made, "{what}");
    }
}

/// Each key, and each thing in it, in turn: overwritten with what it is not, with what it might be, removed.
#[tokio::test]
async fn whatever_is_overwritten_nothing_acked_is_lost() {
    let mut writers = Writers::start().await;
    let all = all_that_can_be_done(&writers.over.server);
    let ways = [false, true]
        .into_iter()
        .flat_map(|breaks| all.iter().map(move |it| (breaks, it)));
    for (breaks, one) in ways {
        let server = &writers.over.server;
        overwrite(server, one);
        if breaks {
            server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        }
        let what = format!("{one:?}");
        writers.go_on(Duration::from_secs(30), &what).await;
    }
}

/// A canvas that is gone in a relay that began anew: an emptied Redis looks so, and there canvases begin anew.
fn looks_emptied(two: [&(String, Vec<String>); 2]) -> bool {
    let touches = |key: &str| two.iter().any(|(of, _)| of == key);
    let canvas = ["scumble:canvas:board", "scumble:log:board"];
    touches("scumble:relay") && canvas.into_iter().any(touches)
}

/// Two of these things at once, of whatever is there by then, while both processes write. `SCUMBLE_SEED` chooses others.
#[tokio::test]
async fn whatever_two_things_are_overwritten_nothing_acked_is_lost() {
    let mut random = Random::or_seeded(1);
    let mut writers = Writers::start().await;
    for pair in 0..PAIRS {
        let server = &writers.over.server;
        let all = all_that_can_be_done(server);
        let mut one = || &all[usize::try_from(random.below(all.len() as u64)).expect("small")];
        let two = [one(), one()];
        if looks_emptied(two) {
            continue;
        }
        let pause = random.below(3) * 150;
        for one in two {
            overwrite(server, one);
            time::sleep(Duration::from_millis(pause)).await;
        }
        if random.below(2) == 1 {
            server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        }
        let what = format!("{pair}: {two:?}, {pause} ms");
        writers.go_on(Duration::from_secs(60), &what).await;
    }
}

/// The same with what the job queues are kept in. What was in an overwritten table may be gone; the queues go on.
#[tokio::test]
async fn whatever_of_the_queues_is_overwritten_they_go_on() {
    let mut over = Over::start(1, &[]).await;
    over.relay.add(&[]).await;
    let push = async |on: usize, queue: &str| {
        let item = json!({"queue": queue, "payload": "x"});
        let body = json!({"items": [item]}).to_string();
        ask(&over.relay, on, "POST", "/api/v1/push", &body).await
    };
    let pop = async |on: usize, queue: &str| {
        let path = format!("/api/v1/pop/queue/{queue}?wait=false&autoAck=true");
        ask(&over.relay, on, "GET", &path, "").await
    };
    hooks(&over.relay, into_queue(&["object.*"])).await;
    let mut ada = over.relay.join(0, "board").await;
    make(&mut ada, "a").await;
    assert_eq!(push(0, "first").await.0, 201);
    assert_eq!(push(1, "left").await.0, 201);
    assert_eq!(pop(0, "first").await.0, 200);
    let all = all_that_can_be_done(&over.server);
    // What expires later may do so in the middle of a push, and take a part of the queue that it made.
    let of_jobs = all
        .iter()
        .filter(|(key, words)| key.starts_with("scumble:{jobs}:") && words[0] != "PEXPIRE");
    let ways = of_jobs
        .enumerate()
        .flat_map(|(at, it)| [(2 * at, it), (2 * at + 1, it)]);
    for (at, one) in ways {
        overwrite(&over.server, one);
        if at % 2 == 1 {
            over.server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        }
        let queue = format!("q{at}");
        let began = Instant::now();
        loop {
            let pushed = push(at % 2, &queue).await;
            let popped = pop((at + 1) % 2, &queue).await;
            if pushed.0 == 201 && popped.0 == 200 {
                break;
            }
            let told = (pushed.1, popped.1);
            // What can't be made anew is named. The totals are counted again.
            let damaged = "the work queue in Redis is damaged: ";
            assert!(
                !told.0.contains(&format!("{damaged}job_totals")),
                "{told:?}"
            );
            if told.0.contains(damaged) {
                break;
            }
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{one:?}: {told:?}"
            );
        }
    }
}
