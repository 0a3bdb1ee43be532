//! What operators set, or do to the server, while processes run.

use tokio::time;

use super::*;

/// What is done, what undoes it, and how long it is left so, ms.
const STEPS: &[(&str, &str, u64)] = &[
    ("CONFIG SET timeout 1", "CONFIG SET timeout 0", 2_500),
    ("CLIENT PAUSE 1500 ALL", "", 0),
    ("CLIENT PAUSE 1500 WRITE", "", 0),
    ("CLIENT KILL TYPE normal", "", 0),
    ("CLIENT KILL TYPE normal; CLIENT KILL TYPE pubsub", "", 0),
    ("ACL SETUSER default -publish", ALL, 1_000),
    ("ACL SETUSER default -evalsha", ALL, 1_000),
    (
        "ACL SETUSER default -subscribe; CLIENT KILL TYPE pubsub",
        ALL,
        1_000,
    ),
    ("ACL SETUSER default -xadd", ALL, 1_000),
    ("ACL SETUSER default -hset", ALL, 1_000),
    ("ACL SETUSER default -zadd", ALL, 2_500),
    ("ACL SETUSER default resetchannels", ALL, 1_000),
    ("ACL SETUSER default resetkeys", ALL, 1_000),
    (
        "CONFIG SET lua-time-limit 1",
        "CONFIG SET lua-time-limit 5000",
        0,
    ),
    (
        "CONFIG SET min-replicas-to-write 1",
        "CONFIG SET min-replicas-to-write 0",
        1_500,
    ),
    ("CONFIG SET maxmemory 1mb", "CONFIG SET maxmemory 0", 1_500),
    ("SCRIPT FLUSH", "", 0),
    ("BGREWRITEAOF", "", 0),
    (
        "CONFIG SET appendonly no",
        "CONFIG SET appendonly yes",
        1_000,
    ),
    ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", 1_500),
];
/// Gives the user back what it may do.
const ALL: &str = "ACL SETUSER default +@all allchannels allkeys";

fn ask(server: &RedisServer, commands: &str) {
    for command in commands.split("; ").filter(|command| !command.is_empty()) {
        let words: Vec<&str> = command.split(' ').collect();
        let answer = server.ask(&words);
        assert!(!answer.contains("ERR"), "{command}: {answer}");
    }
}

/// Whatever it is: both go on, and nothing acked is lost.
#[tokio::test]
async fn whatever_an_operator_does_nothing_acked_is_lost() {
    let (over, mut ada, mut ben) = Over::with_two_clients().await;
    let mut made = 0;
    for &(step, undo, pause) in STEPS {
        let both = async {
            ask(&over.server, step);
            for _ in 0..3 {
                made += 2;
                ada.op(create(&format!("ada-{made}"), "x")).await;
                ben.op(create(&format!("ben-{made}"), "x")).await;
                time::sleep(Duration::from_millis(pause / 3)).await;
            }
            ask(&over.server, undo);
            for client in [&mut ada, &mut ben] {
                client.settle().await.expect("a connection");
            }
            over.relay.join(made % 2, "board").await
        };
        let late = time::timeout(Duration::from_secs(40), both).await;
        let late = late.unwrap_or_else(|_| panic!("{step}: nobody goes on"));
        assert_eq!(late.model.objects.len(), made, "{step}");
    }
}
