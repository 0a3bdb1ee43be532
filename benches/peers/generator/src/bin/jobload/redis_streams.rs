//! Redis Streams with a consumer group. A message is deleted with its ack, as in the other queues.

use std::time::Duration;

use anyhow::{Context, ensure};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

use crate::args::Args;
use crate::payload::Payload;
use crate::wire::Wire;

const STREAM: &str = "jobs";
const GROUP: &str = "g";

/// A stream and its entries: the id, and the one field with its value.
type Stream = (String, Vec<(String, (String, Vec<u8>))>);

pub struct Streams {
    connection: MultiplexedConnection,
    /// A name that no other consumer of the group has.
    name: String,
    leased: Vec<String>,
}

impl Wire for Streams {
    async fn connect(target: &str, _: &Args) -> anyhow::Result<Self> {
        let client = redis::Client::open(format!("redis://{target}"))?;
        // A read that waits has its own bound.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        Ok(Self {
            connection: connection.await.context("connecting to Redis")?,
            name: uuid::Uuid::new_v4().simple().to_string(),
            leased: Vec::new(),
        })
    }

    async fn prepare(&mut self) -> anyhow::Result<()> {
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(STREAM).arg(GROUP).arg("0");
        create
            .arg("MKSTREAM")
            .exec_async(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn push(&mut self, _: u32, payloads: &[String]) -> anyhow::Result<()> {
        let mut pipe = redis::pipe();
        for payload in payloads {
            pipe.cmd("XADD").arg(STREAM).arg("*").arg("d").arg(payload);
        }
        pipe.exec_async(&mut self.connection).await?;
        Ok(())
    }

    async fn pop(&mut self, most: u32, wait: Duration) -> anyhow::Result<Vec<Payload>> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.name);
        read.arg("COUNT").arg(most);
        if !wait.is_zero() {
            read.arg("BLOCK").arg(wait.as_millis().max(1) as u64);
        }
        read.arg("STREAMS").arg(STREAM).arg(">");
        let reply: Option<Vec<Stream>> = read.query_async(&mut self.connection).await?;
        let mut payloads = Vec::new();
        self.leased.clear();
        for (id, (_, text)) in reply.into_iter().flatten().flat_map(|(_, entries)| entries) {
            payloads.push(serde_json::from_slice(&text)?);
            self.leased.push(id);
        }
        Ok(payloads)
    }

    async fn ack(&mut self) -> anyhow::Result<()> {
        let ids = std::mem::take(&mut self.leased);
        let mut pipe = redis::pipe();
        pipe.cmd("XACK").arg(STREAM).arg(GROUP).arg(&ids);
        pipe.cmd("XDEL").arg(STREAM).arg(&ids);
        let (acked, _): (usize, usize) = pipe.query_async(&mut self.connection).await?;
        ensure!(acked == ids.len(), "{acked} of {} were acked", ids.len());
        Ok(())
    }
}
