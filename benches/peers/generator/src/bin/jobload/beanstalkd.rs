//! beanstalkd's protocol. It has no batches: the commands of one are written at once, and their answers read.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::args::Args;
use crate::payload::Payload;
use crate::wire::Wire;

/// Seconds of a lease.
const LEASE_S: u32 = 300;

pub struct Beanstalkd {
    stream: BufReader<TcpStream>,
    leased: Vec<u64>,
}

impl Beanstalkd {
    async fn send(&mut self, commands: &str) -> anyhow::Result<()> {
        let stream = self.stream.get_mut();
        stream
            .write_all(commands.as_bytes())
            .await
            .context("beanstalkd")
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        ensure!(
            line.ends_with("\r\n"),
            "beanstalkd closed the connection: {line:?}"
        );
        line.truncate(line.len() - 2);
        Ok(line)
    }

    /// The next message, or `None` where there is none.
    async fn reserved(&mut self) -> anyhow::Result<Option<Payload>> {
        let line = self.line().await?;
        let Some(rest) = line.strip_prefix("RESERVED ") else {
            ensure!(
                line == "TIMED_OUT",
                "a reserve is answered with {line:.200}"
            );
            return Ok(None);
        };
        let (id, length) = rest.split_once(' ').context("RESERVED id bytes")?;
        let mut body = vec![0; length.parse::<usize>()? + 2];
        self.stream.read_exact(&mut body).await?;
        body.truncate(body.len() - 2);
        self.leased.push(id.parse()?);
        Ok(Some(serde_json::from_slice(&body)?))
    }
}

impl Wire for Beanstalkd {
    async fn connect(target: &str, _: &Args) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(target)
            .await
            .context("connecting to beanstalkd")?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(64 << 10, stream),
            leased: Vec::new(),
        })
    }

    async fn prepare(&mut self) -> anyhow::Result<()> {
        // The default tube is there.
        Ok(())
    }

    async fn push(&mut self, _: u32, payloads: &[String]) -> anyhow::Result<()> {
        let mut commands = String::with_capacity(payloads.len() * 256);
        for payload in payloads {
            let length = payload.len();
            let _ = write!(commands, "put 1024 0 {LEASE_S} {length}\r\n{payload}\r\n");
        }
        self.send(&commands).await?;
        for _ in payloads {
            let line = self.line().await?;
            if !line.starts_with("INSERTED ") {
                bail!("a put is answered with {line:.200}");
            }
        }
        Ok(())
    }

    async fn pop(&mut self, most: u32, wait: Duration) -> anyhow::Result<Vec<Payload>> {
        // It waits in whole seconds.
        let seconds = wait.as_secs_f64().ceil();
        let mut commands = format!("reserve-with-timeout {seconds}\r\n");
        for _ in 1..most {
            commands.push_str("reserve-with-timeout 0\r\n");
        }
        self.send(&commands).await?;
        self.leased.clear();
        let mut payloads = Vec::new();
        for _ in 0..most {
            payloads.extend(self.reserved().await?);
        }
        Ok(payloads)
    }

    async fn ack(&mut self) -> anyhow::Result<()> {
        let leased = std::mem::take(&mut self.leased);
        let mut commands = String::new();
        for id in &leased {
            let _ = write!(commands, "delete {id}\r\n");
        }
        self.send(&commands).await?;
        for _ in &leased {
            let line = self.line().await?;
            ensure!(line == "DELETED", "a delete is answered with {line:.200}");
        }
        Ok(())
    }
}
