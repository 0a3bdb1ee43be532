//! The sums of what canvases take: kept in Redis, and put right where somebody changed keys by hand.

use super::*;

fn number(over: &Over, command: &[&str]) -> i64 {
    over.server.ask(command).parse().unwrap_or(0)
}

async fn until_sums(over: &Over, log: bool, stored: i64, canvases: i64) {
    eventually("the sums", || async {
        let has_log = number(over, &["HGET", "scumble:totals", "log"]) > 0;
        let is_stored = number(over, &["HGET", "scumble:totals", "stored"]);
        let names = number(over, &["ZCARD", "scumble:names"]);
        ((has_log, is_stored, names) == (log, stored, canvases)).then_some(())
    })
    .await;
}

/// Writes one object on each of some canvases, and leaves them. Gives what one of them takes.
async fn fill(over: &Over, canvases: std::ops::Range<usize>) -> i64 {
    let text = "x".repeat(1_000);
    let mut each = 0;
    for n in canvases {
        let mut client = over.relay.join(n % 2, &format!("c{n}")).await;
        client.commit(create("o", &text)).await;
        let object = client.model.object("o").expect("it is there");
        each = i64::try_from(object.to_string().len()).expect("small");
        client.say(json!({"type": "bye"})).await;
        client.closed().await;
    }
    each
}

/// A canvas that is removed by hand leaves its name and its numbers in the sums until they are counted again.
#[tokio::test]
async fn sums_that_drifted_are_put_right_while_everything_goes_on() {
    let mut over = Over::start(2, &[]).await;
    let each = fill(&over, 0..30).await;
    until_sums(&over, true, 30 * each, 30).await;
    // Given up: a copy would put its canvas back.
    let own = [1, 2].map(|number| format!("scumble:instance:{number}:canvases"));
    over.until_answer(&["SUNION", &own[0], &own[1]], str::is_empty)
        .await;
    for n in 0..10 {
        let [canvas, rows] = ["canvas", "rows"].map(|kind| format!("scumble:{kind}:c{n}"));
        over.server.ask(&["DEL", &canvas, &rows]);
    }
    over.server.ask(&["ZREM", "scumble:names", "c11", "c12"]);
    over.server
        .ask(&["HINCRBY", "scumble:totals", "log", "77777"]);
    // As if an hour had passed.
    over.server.ask(&["HDEL", "scumble:totals", "recounted"]);
    let fresh = over.relay.add(&[]).await;
    fill(&over, 40..45).await;
    until_sums(&over, true, 25 * each, 25).await;
    let sum = |which| {
        let names = over.server.ask(&["ZRANGE", "scumble:names", "0", "-1"]);
        let of = |name: &str| over.server.takes(name, which);
        names.lines().map(of).sum::<i64>()
    };
    let log = number(&over, &["HGET", "scumble:totals", "log"]);
    assert_eq!((log, 25 * each), (sum(1), sum(2)));
    let said = over.relay.log(fresh);
    assert!(said.contains("were wrong by this"), "{said}");
    assert!(
        said.contains(&format!("stored_bytes={}", 10 * each)),
        "{said}"
    );
}

/// What a process had when it was killed is looked after by whoever comes next.
#[tokio::test]
async fn what_a_killed_process_had_ends_as_well() {
    let flags = [
        "--message-ttl=2s",
        "--poll-idle=200ms",
        "--cursor-ttl=2s",
        "--presence-grace=0s",
    ];
    let mut over = Over::start(1, &flags).await;
    let mut ada = over.relay.join(0, "written").await;
    ada.commit(create("o", "x")).await;
    let _looks = over.relay.join(0, "looked-at").await;
    until_sums(&over, true, 34, 2).await;
    over.relay.process(0).kill().await;
    over.relay.add(&[]).await;
    until_sums(&over, false, 34, 1).await;
    assert_eq!(over.server.ask(&["KEYS", "scumble:*looked-at*"]), "");
    let late = over.relay.join(1, "written").await;
    assert_eq!(late.model.objects.len(), 1);
}
