//! Keys of a canvas are removed or overwritten, and canvases are larger than Redis lets subscribers be sent.

use std::time::Instant;

use rustix::process::Signal;

use super::*;

/// What somebody does to `victim` behind the relay's back.
const ACTIONS: &[&[&[&str]]] = &[
    &[&["DEL", "scumble:canvas:victim"]],
    &[&["DEL", "scumble:log:victim"]],
    &[&["DEL", "scumble:canvas:victim", "scumble:log:victim"]],
    &[&["SET", "scumble:log:victim", "x"]],
    &[&["SET", "scumble:canvas:victim", "x"]],
    &[&["HSET", "scumble:canvas:victim", "n", "many"]],
    &[&["HSET", "scumble:canvas:victim", "takes", "x"]],
    // Another canvas, which is not so far.
    &[
        &[
            "COPY",
            "scumble:canvas:other",
            "scumble:canvas:victim",
            "REPLACE",
        ],
        &["COPY", "scumble:log:other", "scumble:log:victim", "REPLACE"],
    ],
];

/// It is put back from a copy, with all that was acked; other canvases don't notice, and no connection is given up.
#[tokio::test]
async fn a_canvas_whose_keys_are_gone_is_put_back_and_harms_no_other() {
    for action in ACTIONS {
        let over = Over::start(2, &["--presence-grace", "60s"]).await;
        let mut ada = over.relay.join(0, "victim").await;
        let mut ben = over.relay.join(1, "victim").await;
        let mut other = over.relay.join(0, "other").await;
        for n in 0..20 {
            ada.commit(create(&format!("o{n}"), "x")).await;
        }
        ben.reach(ada.seq).await;
        for command in *action {
            over.server.ask(command);
        }
        ada.op(create("new", "x")).await;
        let began = Instant::now();
        for n in 0..20 {
            other.commit(create(&format!("o{n}"), "x")).await;
        }
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "others waited {took:?}");
        // Refused, she sends it again.
        while !ada.pending.is_empty() {
            ada.settle().await.expect("connected");
        }
        let late = eventually("all of it", || async {
            let late = over.relay.join(1, "victim").await;
            (late.model.objects.len() == 21).then_some(late)
        })
        .await;
        ben.commit(create("bens", "x")).await;
        let (epoch, head) = (ben.epoch.clone(), ben.seq);
        for mut client in [ada, ben, late] {
            while client.epoch != epoch || client.seq < head {
                client.next().await.expect("connected");
            }
            assert_eq!(client.model.objects.len(), 22, "{action:?}");
        }
        for n in 0..2 {
            let log = over.relay.log(n);
            assert!(!log.contains("Redis is gone"), "{action:?}: {log}");
        }
    }
}

/// A process that has no copy does not begin a canvas anew while another one has it.
#[tokio::test]
async fn whoever_comes_to_a_canvas_whose_keys_are_gone_waits_for_it() {
    let over = Over::start(2, &["--presence-grace", "60s"]).await;
    let mut ada = over.relay.join(0, "victim").await;
    for n in 0..20 {
        ada.commit(create(&format!("o{n}"), "x")).await;
    }
    over.server
        .ask(&["DEL", "scumble:canvas:victim", "scumble:log:victim"]);
    let late = over.relay.join(1, "victim").await;
    assert_eq!(late.model.objects.len(), 20);
}

/// A canvas that nobody has open can't be read. The clients of a dead process are away on all others nevertheless, and the
/// process is out of the registry.
#[tokio::test]
async fn an_unreadable_canvas_keeps_no_ghosts_on_others() {
    let mut over = Over::start(2, &["--presence-grace", "1s"]).await;
    let mut ghosts = Vec::new();
    for n in 0..20 {
        let mut ghost = over.relay.join(0, &format!("c{n}")).await;
        ghost.commit(create("o", "x")).await;
        ghosts.push(ghost);
    }
    for n in [3, 11] {
        let key = format!("scumble:canvas:c{n}");
        let rubbish = ["HSET", &key, "snapshot", "rubbish", "saved", "1"];
        assert_eq!(over.server.ask(&rubbish), "2");
    }
    over.relay.process(0).kill().await;
    over.until_instances(1).await;
    for (n, ghost) in ghosts.iter().enumerate() {
        if n == 3 || n == 11 {
            continue;
        }
        let mut late = over.relay.join(1, &format!("c{n}")).await;
        while roster(&late).iter().any(|(id, _)| *id == ghost.id) {
            late.next().await.expect("connected");
        }
    }
}

/// Much more than its bound for subscribers is read by processes that start, and when Redis is started anew.
#[tokio::test]
async fn what_subscribers_may_be_sent_does_not_bound_canvases() {
    let limit = ["--client-output-buffer-limit", "pubsub 1mb 256kb 1"];
    let server = RedisServer::start_with(
        &[
            &["--appendonly", "yes", "--appendfsync", "always"],
            &limit[..],
        ]
        .concat(),
    );
    let url = server.url();
    let relay = Relay::start(1, &["--redis", &url]).await;
    let mut over = Over { relay, server };
    let mut ada = over.relay.join(0, "board").await;
    let text = "x".repeat(20_000);
    for n in 0..250 {
        ada.op(create(&format!("o{n}"), &text)).await;
        if n % 10 == 9 {
            ada.settle().await.expect("connected");
        }
    }
    over.server.run();
    let mut clients = [ada];
    all_back(&over, &[0], &mut clients).await;
    end_all(&mut over.relay, &[0], Signal::TERM).await;
    let fresh = over.relay.add(&[]).await;
    let mut other = over.relay.join(fresh, "other").await;
    let late = over.relay.join(fresh, "board").await;
    assert_eq!(late.model.objects.len(), 250);
    other.commit(create("o", "x")).await;
    let log = over.relay.log(fresh);
    assert!(!log.contains("Redis is gone"), "{log}");
}

/// Whoever comes back to Redis compares all copies with it at once: one key of a wrong kind must not keep the others from that.
#[tokio::test]
async fn a_key_of_a_wrong_kind_keeps_no_process_from_coming_back() {
    let over = Over::start(2, &["--presence-grace", "60s"]).await;
    let mut ada = over.relay.join(0, "victim").await;
    let mut other = over.relay.join(0, "other").await;
    ada.commit(create("a", "x")).await;
    other.commit(create("b", "x")).await;
    over.server.ask(&["SET", "scumble:canvas:victim", "x"]);
    over.server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    other.commit(create("c", "x")).await;
    let address = over.relay.address(1);
    let host = format!("Host: 127.0.0.1:{}\r\n", address.port());
    // Its own link broke, too. For a moment it says so.
    eventually("a list of the canvases", || async {
        let asked = crate::harness::http::ask(address, "GET", "/api/v1/canvases", &host, "");
        let listed = asked.await.expect("an answer");
        (listed.status == 200).then_some(())
    })
    .await;
    ada.op(create("d", "x")).await;
    while !ada.pending.is_empty() {
        ada.settle().await.expect("connected");
    }
    let late = over.relay.join(1, "victim").await;
    assert_eq!(late.model.objects.len(), 2);
}

/// What all say of the relay is overwritten at once, and all lose their connections: nobody is left to say what it was.
#[tokio::test]
async fn whoever_was_in_is_not_ended_by_what_was_overwritten() {
    let (over, mut ada, mut ben) = Over::with_two_clients().await;
    let token = "0".repeat(32);
    let [one, two] = ["scumble:instance:1", "scumble:instance:2"];
    let everywhere = ["scumble:relay", one, two];
    for (field, value, keys) in [
        ("rules", "x", &everywhere[..]),
        ("format", "x", &everywhere[..]),
        ("token", &token, &[one, two]),
    ] {
        for key in keys {
            over.server.ask(&["HSET", key, field, value]);
        }
        over.server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        ada.op(create(&format!("ada-{field}"), "x")).await;
        ben.op(create(&format!("ben-{field}"), "x")).await;
        for client in [&mut ada, &mut ben] {
            client.settle().await.expect("a connection");
        }
    }
    let late = over.relay.join(0, "board").await;
    assert_eq!(late.model.objects.len(), 6);
}

/// Another canvas, which has had more batches, is copied over one that is open: by whoever comes first, and whatever happens meanwhile.
#[tokio::test]
async fn another_canvas_that_is_copied_over_one_is_replaced_by_what_was_there() {
    for way in ["a writer", "a newcomer", "a lost connection"] {
        let mut over = Over::start(2, &["--presence-grace", "60s"]).await;
        let mut ada = over.relay.join(0, "victim").await;
        let ben = over.relay.join(1, "victim").await;
        let mut other = over.relay.join(0, "other").await;
        for n in 0..5 {
            ada.commit(create(&format!("a{n}"), "x")).await;
        }
        for n in 0..30 {
            other.commit(create(&format!("o{n}"), "x")).await;
        }
        for part in ["canvas", "log"] {
            let [from, to] = ["other", "victim"].map(|name| format!("scumble:{part}:{name}"));
            over.server.ask(&["COPY", &from, &to, "REPLACE"]);
        }
        let mut late = None;
        match way {
            "a newcomer" => {
                let third = over.relay.add(&[]).await;
                late = Some(over.relay.join(third, "victim").await);
            }
            "a lost connection" => {
                over.server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            }
            _ => {}
        }
        ada.op(create("new", "x")).await;
        ada.settle().await.expect("a connection");
        if let Some(mut late) = late {
            late.op(create("late", "x")).await;
            late.settle().await.expect("a connection");
            ada.reach(late.seq).await;
        }
        let all = ada.model.objects.clone();
        let own = |(id, _): &(String, Value)| !id.starts_with('o');
        assert!(all.len() >= 6 && all.iter().all(own), "{way}: {all:?}");
        for process in 0..2 {
            let seen = eventually("all of it", || async {
                let seen = over.relay.join(process, "victim").await;
                (seen.model.objects.len() == all.len()).then_some(seen)
            })
            .await;
            assert!(seen.model.objects.iter().all(own), "{way}");
        }
        drop(ben);
    }
}
