//! Canvases that are large, that nobody has open, and that are deleted.

use rustix::process::Signal;

use super::*;
use crate::harness::http;

/// Objects that are written over and over: far more than is kept, so that most of the log must go.
async fn write_much_and_start_again(signal: Signal) {
    let mut over = Over::start(2, &["--message-ttl", "1s"]).await;
    let mut ada = over.relay.join(0, "board").await;
    let mut ben = over.relay.join(1, "board").await;
    soon("a log of less than half", async {
        while !write_round(&over, &mut ada, &mut ben).await {}
    })
    .await;
    end_all(&mut over.relay, &[0, 1], signal).await;
    for _ in 0..2 {
        let fresh = over.relay.add(&[]).await;
        let late = over.relay.join(fresh, "board").await;
        assert_eq!((late.seq, &late.model), (ada.seq, &ada.model));
        assert_eq!(late.model.objects.len(), 40);
    }
}

/// Writes each object once; whether most of the batches that there were are gone from the log by now, being in a snapshot.
async fn write_round(over: &Over, ada: &mut Client, ben: &mut Client) -> bool {
    let text = "x".repeat(4_000);
    for n in 0..40 {
        let client = if n % 2 == 0 { &mut *ada } else { &mut *ben };
        let text = format!("{} {text}", client.op);
        client.commit(create(&format!("o{n}"), &text)).await;
    }
    ada.reach(ben.seq).await;
    let number = |answer: String| answer.parse::<u64>().expect("a number");
    let all = number(over.server.ask(&["HGET", "scumble:canvas:board", "n"]));
    let kept = number(over.server.ask(&["XLEN", "scumble:log:board"]));
    // Enough for some snapshots, each of which may wait for as much as the last has.
    all > 400 && kept < all / 2
}

#[tokio::test]
async fn a_large_canvas_is_kept_when_all_end() {
    write_much_and_start_again(Signal::TERM).await;
}

#[tokio::test]
async fn a_large_canvas_is_kept_when_all_are_killed() {
    write_much_and_start_again(Signal::KILL).await;
}

/// What somebody has written over is refused and named; other canvases don't notice, nor when Redis is started anew.
#[tokio::test]
async fn a_damaged_canvas_harms_no_other() {
    let mut over = Over::start(1, &[]).await;
    for canvas in ["good", "bad"] {
        let mut ada = over.relay.join(0, canvas).await;
        ada.commit(create("o", "x")).await;
    }
    // Its snapshot is kept now.
    end_all(&mut over.relay, &[0], Signal::TERM).await;
    let fresh = over.relay.add(&[]).await;
    let mut good = over.relay.join(fresh, "good").await;
    let bad = over.relay.join(fresh, "bad").await;
    assert_eq!(bad.model.objects.len(), 1);
    let rubbish = ["HSET", "scumble:canvas:bad", "snapshot", "rubbish"];
    assert_eq!(over.server.ask(&rubbish), "0");
    over.server.run();
    come_back(&mut good, over.relay.address(fresh)).await;
    good.commit(create("more", "x")).await;
    let other = over.relay.add(&[]).await;
    let late = over.relay.join(other, "good").await;
    assert_eq!(late.model.objects.len(), 2);
    let mut socket = Socket::open(over.relay.address(other), "bad")
        .await
        .expect("an upgrade");
    let hello = json!({"type": "hello", "v": 1, "client": "somebody-new"});
    socket.send(&hello).await.expect("it is open");
    let refused = soon("an answer", socket.receive_at_last()).await;
    let refused = refused.expect("an answer");
    assert_eq!(refused["code"], "overloaded", "{refused}");
    eventually("a line in the log", || async {
        over.relay.log(other).contains("canvas=bad").then_some(())
    })
    .await;
    let ready = over.relay.get(other, "/readyz").await.expect("an answer");
    assert_eq!(ready.status, 200, "{}", ready.body);
}

/// Many more objects than fit in one batch, or in one part of a snapshot.
#[tokio::test]
async fn many_objects_are_kept_when_all_are_killed() {
    let mut over = Over::start(2, &[]).await;
    let mut clients = vec![
        over.relay.join(0, "board").await,
        over.relay.join(1, "board").await,
    ];
    let (acked, _) = watch::channel(0);
    for client in &mut clients {
        create_until(client, 1_500, &acked)
            .await
            .expect("connected");
    }
    end_all(&mut over.relay, &[0, 1], Signal::KILL).await;
    let fresh = over.relay.add(&[]).await;
    let late = over.relay.join(fresh, "board").await;
    assert_eq!(late.model.objects.len(), 3_000);
    assert_all_there(&clients, &late);
}

/// Asks the server API, as a process of this host may.
async fn ask(over: &Over, n: usize, method: &str, path: &str, body: &str) -> (u16, Value) {
    let address = over.relay.address(n);
    let headers = format!("Host: 127.0.0.1:{}\r\n", address.port());
    let path = format!("/api/v1/canvases{path}");
    let answer = http::ask(address, method, &path, &headers, body).await;
    let answer = answer.expect("an answer");
    (answer.status, answer.json())
}

#[tokio::test]
async fn the_server_api_reaches_canvases_that_nobody_has_open() {
    let over = Over::start(2, &["--presence-grace", "1s"]).await;
    assert_eq!(ask(&over, 1, "GET", "/board", "").await.0, 404);
    for (n, id) in [(0, "a"), (1, "b"), (0, "c")] {
        let body = create(id, "x").to_string();
        let (status, told) = ask(&over, n, "POST", "/board/messages", &body).await;
        assert_eq!((status, &told["status"]), (200, &json!("ok")), "{told}");
    }
    for n in 0..2 {
        let found = eventually("all three", || async {
            let (status, found) = ask(&over, n, "GET", "/board", "").await;
            assert_eq!(status, 200);
            (found["objects"] == 3).then_some(found)
        })
        .await;
        assert_eq!(found["head"], 3, "{found}");
        let (_, listed) = ask(&over, n, "GET", "", "").await;
        assert_eq!(listed["canvases"], json!([]), "nobody is there");
    }
    let mut ada = over.relay.join(0, "board").await;
    assert_eq!(ada.model.objects.len(), 3);
    let ben = over.relay.join(1, "other").await;
    for n in 0..2 {
        let names = eventually("both canvases", || async {
            let (_, listed) = ask(&over, n, "GET", "", "").await;
            let listed = listed["canvases"].as_array().expect("a list").clone();
            let names: Vec<Value> = listed.iter().map(|c| c["canvas"].clone()).collect();
            (names.len() == 2).then_some(names)
        })
        .await;
        assert_eq!(names, ["board", "other"]);
    }
    let (status, told) = ask(&over, 1, "POST", "/board/messages", &chat("hi").to_string()).await;
    assert_eq!((status, &told["seq"]), (200, &json!(4)));
    ada.reach(4).await;
    drop(ben);
}

/// The canvas begins anew for everybody, once for each of those who ask at the same time, and all of them are told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canvas_may_be_deleted_by_many_at_a_time() {
    let over = Over::start(2, &["--presence-grace", "60s"]).await;
    let mut ada = over.relay.join(0, "board").await;
    ada.commit(create("old", "x")).await;
    let ask = |n| ask(&over, n, "DELETE", "/board", "");
    let (a, b, c, d, e, f) = tokio::join!(ask(0), ask(1), ask(0), ask(1), ask(0), ask(1));
    for (status, told) in [a, b, c, d, e, f] {
        assert_eq!(status, 200, "{told}");
    }
    ada.hear(|m| m["type"] == "resync").await;
    let late = eventually("both processes to agree", || async {
        let here = over.relay.join(0, "board").await;
        let there = over.relay.join(1, "board").await;
        (here.epoch == there.epoch).then_some(there)
    })
    .await;
    assert_eq!((late.seq, late.model.objects.len()), (1, 0));
    // However many snapshots she was given, the last is of the last epoch.
    while ada.epoch != late.epoch {
        ada.next().await.expect("connected");
    }
    assert_eq!(ada.commit(create("new", "x")).await, 2);
}
