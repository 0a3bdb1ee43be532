//! `scumble jobs` on a real process.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::Relay;

async fn jobs(relay: &Relay, args: &[&str], input: &str) -> Output {
    let url = format!("http://{}", relay.address(0));
    let mut command = Command::new(env!("CARGO_BIN_EXE_scumble"));
    command.args(["jobs", "--url", &url]).args(args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = input.to_owned();
    let run = move || {
        let mut child = command.spawn().expect("it starts");
        child
            .stdin
            .take()
            .expect("its input")
            .write_all(input.as_bytes())
            .expect("written");
        child.wait_with_output().expect("it ends")
    };
    tokio::task::spawn_blocking(run).await.expect("it ends")
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[tokio::test]
async fn messages_are_pushed_peeked_popped_acked_and_replayed_from_a_shell() {
    let relay = Relay::start(1, &[]).await;
    let pushed = lines(&jobs(&relay, &["push", "q"], "{\"n\":1}\n{\"n\":2}\n").await);
    assert_eq!(pushed.len(), 2);
    lines(&jobs(&relay, &["push", "q", "{\"n\":3}", "--id", "three"], "").await);
    let peeked = lines(&jobs(&relay, &["peek", "q", "--batch", "10"], "").await);
    assert_eq!(peeked.len(), 3);
    let popped = lines(&jobs(&relay, &["pop", "q", "--batch", "2"], "").await);
    let field = |message: &Value, name: &str| message[name].as_str().expect(name).to_owned();
    let (partition, lease) = (
        field(&popped[0], "partitionId"),
        field(&popped[0], "leaseId"),
    );
    let first = field(&popped[0], "transactionId");
    let second = field(&popped[1], "transactionId");
    lines(&jobs(&relay, &["ack", &partition, &first, "--lease", &lease], "").await);
    let nack = [
        "nack",
        &partition,
        &second,
        "--lease",
        &lease,
        "--dlq",
        "--error",
        "no such account",
    ];
    lines(&jobs(&relay, &nack, "").await);
    let again = jobs(&relay, &["ack", &partition, &first, "--lease", &lease], "").await;
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("completed already"));
    let dead = lines(&jobs(&relay, &["dlq", "q"], "").await);
    assert_eq!(dead[0]["errorMessage"], "no such account");
    lines(&jobs(&relay, &["replay", &field(&dead[0], "id")], "").await);
    let rest = lines(&jobs(&relay, &["pop", "q", "--batch", "10", "--ack"], "").await);
    assert_eq!(rest.len(), 2);
    let stats = jobs(&relay, &["stats"], "").await;
    assert!(String::from_utf8_lossy(&stats.stdout).contains("in flight"));
    let wrong = jobs(&relay, &["push", "q", "{"], "").await;
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("the message is no JSON"));
}
