//! `scumble jobs`: the work queue of a running relay, from a shell. Messages are JSON, one on a line.

use std::fmt::Write as _;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::base::base_of;
use crate::auth::api_tokens::{ApiTokens, Scope};
use crate::auth::file_error::FileError;
use crate::config::{JobsArgs, JobsCommand, JobsFrom, JobsLeased};

/// How long the relay may take to answer, beside what a pop may wait.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long one pop of `tail` waits.
const TAIL_WAIT: Duration = Duration::from_secs(30);
/// Messages of one request.
const BATCH: usize = 1_000;

/// Does what was asked for.
///
/// # Errors
/// When nobody answers, or the relay refuses; its reason is in the error.
pub fn run(args: &JobsArgs) -> anyhow::Result<ExitCode> {
    let relay = Relay::new(args)?;
    match &args.command {
        JobsCommand::Push {
            queue,
            payload,
            partition,
            id,
            priority,
        } => {
            let item = |payload: &str| -> anyhow::Result<Value> {
                let payload: Value = serde_json::from_str(payload)
                    .with_context(|| format!("the message is no JSON: {payload:.60}"))?;
                let mut item = json!({"queue": queue, "payload": payload});
                set(&mut item, "partition", partition.as_ref());
                set(&mut item, "transactionId", id.as_ref());
                set(&mut item, "priority", priority.as_ref());
                Ok(item)
            };
            push(&relay, payload.as_deref(), item)
        }
        JobsCommand::Pop { from, wait, ack } => {
            let path = pop_path(from, *wait, *ack);
            let found = relay.get(&path, wait.unwrap_or_default())?;
            lines(found.as_ref())
        }
        JobsCommand::Peek { from } => {
            let mut path = format!(
                "/api/v1/peek/queue/{}?batch={}",
                encoded(&from.queue),
                from.batch
            );
            field(&mut path, "partition", from.partition.as_ref());
            field(&mut path, "consumerGroup", from.group.as_ref());
            lines(relay.get(&path, Duration::ZERO)?.as_ref())
        }
        JobsCommand::Ack { message } => acked(&relay, message, "completed", None),
        JobsCommand::Nack {
            message,
            error,
            dlq,
        } => {
            let status = if *dlq { "dlq" } else { "failed" };
            acked(&relay, message, status, error.as_ref())
        }
        JobsCommand::Dlq {
            queue,
            reviewed,
            limit,
        } => dead(&relay, queue.as_ref(), *reviewed, *limit),
        JobsCommand::Replay { id } => {
            say(&relay.post(&format!("/api/v1/dlq/{id}/replay"), &json!({}))?)
        }
        JobsCommand::Stats { queue: Some(queue) } => {
            let path = format!("/api/v1/status/queues/{}", encoded(queue));
            let found = relay.get(&path, Duration::ZERO)?.unwrap_or_default();
            print(&format!("{found:#}\n"))
        }
        JobsCommand::Stats { queue: None } => {
            let found = relay.get("/api/v1/status/queues", Duration::ZERO)?;
            print(&table(&found.unwrap_or_default()))
        }
        JobsCommand::Tail { queue } => tail(&relay, queue),
    }
}

fn dead(
    relay: &Relay,
    queue: Option<&String>,
    reviewed: Option<bool>,
    limit: u32,
) -> anyhow::Result<ExitCode> {
    let mut path = format!("/api/v1/dlq?limit={limit}");
    field(&mut path, "queue", queue);
    let reviewed = reviewed.map(|flag| flag.to_string());
    field(&mut path, "reviewed", reviewed.as_ref());
    lines(relay.get(&path, Duration::ZERO)?.as_ref())
}

/// A process of the relay.
struct Relay {
    base: String,
    token: Option<String>,
}

impl Relay {
    fn new(args: &JobsArgs) -> anyhow::Result<Self> {
        let base = base_of(&args.url)?;
        let token = match &args.api_token_file {
            Some(path) => {
                let read = std::fs::read_to_string(path).map_err(FileError::from);
                let sent = read.and_then(|text| ApiTokens::to_send(&text, Scope::Jobs));
                Some(sent.with_context(|| format!("--api-token-file {}", path.display()))?)
            }
            None => None,
        };
        Ok(Self { base, token })
    }

    fn agent(wait: Duration) -> ureq::Agent {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT + wait))
            .http_status_as_error(false)
            .build();
        ureq::Agent::new_with_config(config)
    }

    /// What is there; nothing if the answer is empty.
    fn get(&self, path: &str, wait: Duration) -> anyhow::Result<Option<Value>> {
        let url = format!("{}{path}", self.base);
        let mut request = Self::agent(wait).get(&url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.call();
        answered(
            &url,
            response.with_context(|| format!("{url}: is a relay running there?"))?,
        )
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let mut request = Self::agent(Duration::ZERO)
            .post(&url)
            .header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.send(body.to_string());
        let response = response.with_context(|| format!("{url}: is a relay running there?"))?;
        Ok(answered(&url, response)?.unwrap_or_default())
    }
}

fn answered(
    url: &str,
    mut response: ureq::http::Response<ureq::Body>,
) -> anyhow::Result<Option<Value>> {
    let status = response.status();
    let reader = response.body_mut().with_config().limit(64 * 1024 * 1024);
    let body = reader.read_to_string().with_context(|| url.to_owned())?;
    if body.is_empty() && status.is_success() {
        return Ok(None);
    }
    let answer: Value = serde_json::from_str(&body)
        .with_context(|| format!("{url}: answered {status}, but not in JSON: is it a relay?"))?;
    if !status.is_success() {
        let why = answer["message"].as_str().unwrap_or("no reason given");
        if status == 401 {
            bail!(
                "the relay wants a token of its --api-token-file: name that file with --api-token-file"
            );
        }
        bail!("{why}");
    }
    Ok(Some(answer))
}

fn set<T: serde::Serialize>(object: &mut Value, name: &str, value: Option<&T>) {
    if let Some(value) = value {
        object[name] = json!(value);
    }
}

fn field(path: &mut String, name: &str, value: Option<&String>) {
    if let Some(value) = value {
        let _ = write!(path, "&{name}={}", encoded(value));
    }
}

/// Text as a part of an address.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn pop_path(from: &JobsFrom, wait: Option<Duration>, ack: bool) -> String {
    let mut path = format!("/api/v1/pop/queue/{}", encoded(&from.queue));
    if let Some(partition) = &from.partition {
        let _ = write!(path, "/partition/{}", encoded(partition));
    }
    let _ = write!(path, "?batch={}&autoAck={ack}", from.batch);
    field(&mut path, "consumerGroup", from.group.as_ref());
    if let Some(wait) = wait {
        let _ = write!(path, "&wait=true&timeout={}", wait.as_millis());
    }
    path
}

fn push(
    relay: &Relay,
    payload: Option<&str>,
    item: impl Fn(&str) -> anyhow::Result<Value>,
) -> anyhow::Result<ExitCode> {
    let mut items = Vec::new();
    let send = |items: &mut Vec<Value>| -> anyhow::Result<()> {
        let body = json!({"items": std::mem::take(items)});
        let answer = relay.post("/api/v1/push", &body)?;
        for result in answer.as_array().into_iter().flatten() {
            if result["status"] == "failed" {
                bail!("{}", result["error"].as_str().unwrap_or("no reason given"));
            }
            say(result)?;
        }
        Ok(())
    };
    if let Some(payload) = payload {
        items.push(item(payload)?);
    } else {
        for line in std::io::stdin().lock().lines() {
            let line = line.context("standard input")?;
            if !line.trim().is_empty() {
                items.push(item(&line)?);
            }
            if items.len() == BATCH {
                send(&mut items)?;
            }
        }
    }
    if !items.is_empty() {
        send(&mut items)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn acked(
    relay: &Relay,
    message: &JobsLeased,
    status: &str,
    error: Option<&String>,
) -> anyhow::Result<ExitCode> {
    let mut body = json!({
        "partitionId": message.partition_id, "transactionId": message.transaction_id, "status": status,
    });
    set(&mut body, "leaseId", message.lease.as_ref());
    set(&mut body, "consumerGroup", message.group.as_ref());
    set(&mut body, "error", error);
    let answer = relay.post("/api/v1/ack", &body)?;
    if answer[0]["success"] != true {
        bail!(
            "{}",
            answer[0]["error"].as_str().unwrap_or("no reason given")
        );
    }
    say(&answer[0])
}

/// A group of its own sees every message, and has it as soon as it is told of it, so that it keeps none for itself.
fn tail(relay: &Relay, queue: &str) -> anyhow::Result<ExitCode> {
    let group = format!("scumble-tail-{}", uuid::Uuid::new_v4().simple());
    let path = format!(
        "/api/v1/pop/queue/{}?batch=100&partitions=100&autoAck=true&wait=true&timeout={}&subscriptionMode=new&consumerGroup={group}",
        encoded(queue),
        TAIL_WAIT.as_millis()
    );
    loop {
        let found = relay.get(&path, TAIL_WAIT)?;
        if lines(found.as_ref()).is_err() {
            // Nobody reads any more: the group need not wait for its end.
            let url = format!("{}/api/v1/consumer-groups/{group}", relay.base);
            let mut request = Relay::agent(Duration::ZERO).delete(&url);
            if let Some(token) = &relay.token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let _ = request.call();
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn lines(found: Option<&Value>) -> anyhow::Result<ExitCode> {
    let messages = found.map(|found| &found["messages"]);
    for message in messages.and_then(Value::as_array).into_iter().flatten() {
        say(message)?;
    }
    if found.is_some_and(|found| found["partial"] == true) {
        let note = "that is not all: an answer has at most 8 MiB; ask for fewer at a time, or for one partition";
        let _ = writeln!(std::io::stderr(), "{note}");
    }
    Ok(ExitCode::SUCCESS)
}

fn say(value: &Value) -> anyhow::Result<ExitCode> {
    print(&format!("{value}\n"))
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.context("standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// Queues in numbers, one a line.
fn table(answer: &Value) -> String {
    let mut text = format!(
        "{:<32} {:>9} {:>9} {:>9} {:>7} {:>10} {:>12} {:>12}\n",
        "queue",
        "depth",
        "pending",
        "in flight",
        "dead",
        "oldest, s",
        "wait p95, ms",
        "work p95, ms"
    );
    for row in answer["queues"].as_array().into_iter().flatten() {
        let cell = |value: &Value| match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let _ = writeln!(
            text,
            "{:<32} {:>9} {:>9} {:>9} {:>7} {:>10} {:>12} {:>12}",
            cell(&row["queue"]),
            cell(&row["depth"]),
            cell(&row["pending"]),
            cell(&row["inFlight"]),
            cell(&row["dead"]),
            cell(&row["oldestAgeSeconds"]),
            cell(&row["waitTime"]["p95Ms"]),
            cell(&row["processingTime"]["p95Ms"]),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_of_addresses() {
        assert_eq!(encoded("a b/ü?&"), "a%20b%2F%C3%BC%3F%26");
        let from = JobsFrom {
            queue: "a/b".to_owned(),
            partition: Some("p".to_owned()),
            group: Some("g h".to_owned()),
            batch: 3,
        };
        assert_eq!(
            pop_path(&from, Some(Duration::from_secs(1)), true),
            "/api/v1/pop/queue/a%2Fb/partition/p?batch=3&autoAck=true&consumerGroup=g%20h&wait=true&timeout=1000"
        );
    }
}
