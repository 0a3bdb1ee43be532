//! Queen MQ's HTTP, which is scumble's too: requests and answers of HTTP/1.1 with a length, over a connection that stays.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::args::{Args, Protocol};
use crate::payload::Payload;
use crate::wire::Wire;

/// The largest answer that is read.
const MOST_BYTES: usize = 64 << 20;
const QUEUE: &str = "jobs";
/// A pop of a batch may take it from so many partitions.
const POP_PARTITIONS: u32 = 10;

pub struct Queen {
    stream: BufReader<TcpStream>,
    head: String,
    ordered: bool,
    partitions: u32,
    leased: Vec<Leased>,
}

struct Leased {
    transaction_id: String,
    partition_id: String,
    lease_id: String,
}

#[derive(Deserialize)]
struct Popped {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    transaction_id: String,
    partition_id: String,
    lease_id: String,
    data: Payload,
}

impl Queen {
    /// A request and its answer.
    async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{}Content-Length: {length}\r\n\r\n{body}",
            self.head
        );
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.context("the server closed the connection")?;
        let mut length = None;
        loop {
            line.clear();
            self.stream.read_line(&mut line).await?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse().context("Content-Length")?);
            }
        }
        let length = match length {
            Some(length) => length,
            None if status == 204 => 0,
            None => bail!("{path}: an answer without a length"),
        };
        ensure!(length <= MOST_BYTES, "an answer of {length} bytes");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((status, body))
    }

    /// A request that is done as a whole. Queen says of messages that PostgreSQL did not take that they are buffered: that is no push.
    async fn call_ok(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Vec<u8>> {
        let (status, answer) = self.call(method, path, body).await?;
        let text = String::from_utf8_lossy(&answer);
        ensure!(
            (200..300).contains(&status)
                && !text.contains("\"success\":false")
                && !text.contains("\"status\":\"failed\"")
                && !text.contains("\"status\":\"buffered\""),
            "{path} is answered with {status}: {text:.200}"
        );
        Ok(answer)
    }
}

impl Wire for Queen {
    async fn connect(target: &str, args: &Args) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(target).await;
        let stream = stream.with_context(|| format!("connecting to {target}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(64 << 10, stream),
            head: format!("Host: {target}\r\nContent-Type: application/json\r\n"),
            ordered: args.protocol == Protocol::Queen,
            partitions: args.partitions,
            leased: Vec::new(),
        })
    }

    async fn prepare(&mut self) -> anyhow::Result<()> {
        let options = if self.ordered {
            "{}"
        } else {
            "{\"fifo\":false}"
        };
        let body = format!("{{\"queue\":\"{QUEUE}\",\"options\":{options}}}");
        self.call_ok("POST", "/api/v1/configure", &body).await?;
        self.pop(1, Duration::ZERO).await?;
        Ok(())
    }

    async fn push(&mut self, partition: u32, payloads: &[String]) -> anyhow::Result<()> {
        let bytes: usize = payloads.iter().map(|payload| payload.len() + 64).sum();
        let mut body = String::with_capacity(bytes + 16);
        body.push_str("{\"items\":[");
        for (i, payload) in payloads.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let _ = write!(
                body,
                "{comma}{{\"queue\":\"{QUEUE}\",\"partition\":\"p{partition}\",\"payload\":{payload}}}"
            );
        }
        body.push_str("]}");
        self.call_ok("POST", "/api/v1/push", &body).await?;
        Ok(())
    }

    async fn pop(&mut self, most: u32, wait: Duration) -> anyhow::Result<Vec<Payload>> {
        let partitions = most.min(POP_PARTITIONS).min(self.partitions);
        let wait = match wait.as_millis() {
            0 => String::new(),
            ms => format!("&wait=true&timeout={ms}"),
        };
        let path = format!(
            "/api/v1/pop/queue/{QUEUE}?consumerGroup=g&subscriptionMode=all&batch={most}&partitions={partitions}{wait}"
        );
        let (status, body) = self.call("GET", &path, "").await?;
        self.leased.clear();
        if status == 204 {
            return Ok(Vec::new());
        }
        ensure!(
            status == 200,
            "a pop is answered with {status}: {:.200}",
            String::from_utf8_lossy(&body)
        );
        let popped: Popped = serde_json::from_slice(&body).context("the answer of a pop")?;
        let mut payloads = Vec::with_capacity(popped.messages.len());
        for message in popped.messages {
            self.leased.push(Leased {
                transaction_id: message.transaction_id,
                partition_id: message.partition_id,
                lease_id: message.lease_id,
            });
            payloads.push(message.data);
        }
        Ok(payloads)
    }

    async fn ack(&mut self) -> anyhow::Result<()> {
        let mut body = String::with_capacity(self.leased.len() * 192 + 64);
        body.push_str("{\"consumerGroup\":\"g\",\"acknowledgments\":[");
        for (i, leased) in std::mem::take(&mut self.leased).iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let Leased {
                transaction_id,
                partition_id,
                lease_id,
            } = leased;
            let _ = write!(
                body,
                "{comma}{{\"transactionId\":\"{transaction_id}\",\"partitionId\":\"{partition_id}\",\"leaseId\":\"{lease_id}\",\
                 \"status\":\"completed\"}}"
            );
        }
        body.push_str("]}");
        self.call_ok("POST", "/api/v1/ack/batch", &body).await?;
        Ok(())
    }
}
