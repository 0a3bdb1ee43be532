//! One lasting connection: requests and answers of HTTP/1.1 with a length, which is all that the queue speaks.

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::load::url::Url;

/// The largest answer that is read.
const MOST_BYTES: usize = 64 * 1024 * 1024;

pub struct Http {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Http {
    pub async fn connect(url: &Url, token: Option<&str>) -> anyhow::Result<Self> {
        if url.secure {
            bail!("--url: only http is spoken here; ask a process directly");
        }
        let host = &url.authority;
        let stream = TcpStream::connect(host).await;
        let stream = stream.with_context(|| format!("{url}: is a relay running there?"))?;
        stream.set_nodelay(true)?;
        let mut head = format!("Host: {host}\r\nContent-Type: application/json\r\n");
        if let Some(token) = token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        Ok(Self {
            stream: BufReader::new(stream),
            head,
        })
    }

    /// A request and its answer.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{body}",
            self.head,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.context("the relay closed the connection")?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line).await?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().context("Content-Length")?;
            }
        }
        if length > MOST_BYTES {
            bail!("an answer of {length} bytes");
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((status, body))
    }
}
