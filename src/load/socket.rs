//! A load client's WebSocket: how it is made, how it sends, and how long to wait before the next one.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, Utf8Bytes};

use super::reach;
use super::url::Url;
use crate::protocol::encoding::Encoding;
use crate::protocol::msgpack;

/// A connection, upgraded.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    encoding: Encoding,
}

impl Deref for Socket {
    type Target = WebSocketStream<MaybeTlsStream<TcpStream>>;

    fn deref(&self) -> &Self::Target {
        &self.stream
    }
}

impl DerefMut for Socket {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.stream
    }
}

/// Connecting, joining, and writing may take this long each.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The largest frame: a snapshot part, with much room.
const MAX_FRAME: usize = 16 << 20;

/// Connects to a canvas. `read_bytes` is what the client keeps for reading, whether it reads or not.
///
/// # Errors
/// When nobody answers as a relay within [`PATIENCE`].
pub async fn connect(
    url: &Url,
    canvas: &str,
    read_bytes: usize,
    encoding: Encoding,
) -> anyhow::Result<Socket> {
    let scheme = if url.secure { "wss" } else { "ws" };
    let target = format!("{scheme}://{}{}/ws/{canvas}", url.authority, url.path);
    let mut request = target.into_client_request()?;
    let subprotocol = encoding.subprotocol().parse()?;
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", subprotocol);
    let config = WebSocketConfig::default()
        .read_buffer_size(read_bytes)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    let shake = async {
        let stream = TcpStream::connect(&url.authority).await?;
        stream.set_nodelay(true)?;
        let plain = Some(Connector::Plain);
        let connector = if url.secure {
            reach::connector()
        } else {
            plain
        };
        let (stream, _) =
            client_async_tls_with_config(request, stream, Some(config), connector).await?;
        anyhow::Ok(Socket { stream, encoding })
    };
    timeout(PATIENCE, shake).await?
}

/// Says all of it.
///
/// # Errors
/// When the connection is gone, or takes nothing for [`PATIENCE`].
pub async fn say(socket: &mut Socket, texts: Vec<Utf8Bytes>) -> anyhow::Result<()> {
    let all = async {
        for text in texts {
            let message = match socket.encoding {
                Encoding::Json => Message::Text(text),
                Encoding::Msgpack => {
                    let mut out = Vec::with_capacity(text.len());
                    msgpack::value(&mut out, text.as_bytes())?;
                    Message::Binary(out.into())
                }
            };
            socket.feed(message).await?;
        }
        socket.flush().await?;
        anyhow::Ok(())
    };
    timeout(PATIENCE, all).await?
}

/// Says `bye` and waits for the end.
pub async fn goodbye(socket: &mut Socket) {
    let bye = async {
        if say(socket, vec!["{\"type\":\"bye\"}".into()]).await.is_ok() {
            // The server answers with a close frame; what comes before it no longer counts.
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // A server that doesn't answer finds the connection gone.
    let _ = timeout(crate::limits::CLOSE_TIMEOUT, bye).await;
}

/// Exponential, 0.25 s to 10 s, with full jitter, as the protocol asks of clients.
pub fn backoff(failures: u32) -> Duration {
    let cap = Duration::from_millis(250)
        .saturating_mul(1 << failures.min(6))
        .min(Duration::from_secs(10));
    // A version 4 UUID is random but for six bits, none of them among these.
    let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
    cap * u32::try_from(random % 1000).unwrap_or(0) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_stays_in_its_bounds() {
        for failures in 0..40 {
            assert!(backoff(failures) <= Duration::from_secs(10));
        }
        assert!(backoff(0) <= Duration::from_millis(250));
    }
}
