//! A WebSocket as it is: JSON in, JSON out, and how it ended.

use std::net::SocketAddr;

use futures::{FutureExt, SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message};

use super::soon;

/// What a WebSocket may run on.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The code of the close frame; `None` if the connection just broke.
    pub code: Option<u16>,
    /// Its reason.
    pub reason: String,
}

/// See the module's head.
pub struct Socket(WebSocketStream<Box<dyn Stream>>);

/// Why there is no socket: the status of the refusal, or that nobody answered.
#[derive(Debug)]
pub struct Refused(pub Option<u16>);

impl Socket {
    /// Opens the socket of a canvas.
    pub async fn open(address: SocketAddr, canvas: &str) -> Result<Self, Refused> {
        let stream = soon("a connection", TcpStream::connect(address)).await;
        Self::over(prompt(stream.map_err(|_| Refused(None))?), canvas).await
    }

    /// Opens the socket with a small receive buffer that the kernel does not enlarge.
    pub async fn open_narrow(address: SocketAddr, canvas: &str) -> Self {
        Self::open_buffered(address, canvas, 64 * 1024).await
    }

    /// The same with a receive buffer of so many bytes.
    pub async fn open_buffered(address: SocketAddr, canvas: &str, bytes: u32) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(bytes).expect("a buffer");
        let stream = soon("a connection", socket.connect(address)).await;
        Self::over(prompt(stream.expect("a connection")), canvas)
            .await
            .expect("an upgrade")
    }

    /// Opens the socket with further headers.
    pub async fn open_with(
        address: SocketAddr,
        canvas: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Refused> {
        let stream = soon("a connection", TcpStream::connect(address)).await;
        Self::over_with(stream.map_err(|_| Refused(None))?, canvas, headers).await
    }

    /// Speaks WebSocket over a stream that is there.
    pub async fn over(stream: impl Stream + 'static, canvas: &str) -> Result<Self, Refused> {
        Self::over_with(stream, canvas, &[]).await
    }

    async fn over_with(
        stream: impl Stream + 'static,
        canvas: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Refused> {
        let request = format!("ws://relay/ws/{canvas}").into_client_request();
        let mut request = request.expect("a request");
        for (name, value) in headers {
            let value = value.parse().expect("a header");
            request.headers_mut().append(*name, value);
        }
        let json = "scumble.v1".parse().expect("a header");
        let offer = request.headers_mut().entry("sec-websocket-protocol");
        offer.or_insert(json);
        let stream: Box<dyn Stream> = Box::new(stream);
        let upgraded = client_async_with_config(request, stream, None);
        match soon("the upgrade", upgraded).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(Refused(Some(response.status().as_u16()))),
            Err(_) => Err(Refused(None)),
        }
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) -> Result<(), Gone> {
        self.send_raw(Message::text(message.to_string())).await
    }

    /// Sends text, whatever it is.
    pub async fn send_text(&mut self, text: &str) -> Result<(), Gone> {
        self.send_raw(Message::text(text)).await
    }

    /// Sends any frame.
    pub async fn send_raw(&mut self, message: Message) -> Result<(), Gone> {
        let sent = soon("the socket to take a message", self.0.send(message)).await;
        sent.map_err(broken)
    }

    /// The next message.
    pub async fn receive(&mut self) -> Result<Value, Gone> {
        soon("a message", self.receive_at_last()).await
    }

    /// The next message; the caller bounds the wait.
    pub async fn receive_at_last(&mut self) -> Result<Value, Gone> {
        loop {
            match read(self.0.next().await) {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(gone) => {
                    // The answer to its close frame leaves with the next flush, if it is still there to hear it.
                    let _ = self.0.flush().await;
                    return Err(gone);
                }
            }
        }
    }

    /// The next message as it came, text or binary.
    pub async fn receive_raw(&mut self) -> Result<Message, Gone> {
        loop {
            match soon("a message", self.0.next()).await {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Ok(message),
                next => read(next).map(|_| ())?,
            }
        }
    }

    /// The next message, if it has come already.
    pub fn receive_now(&mut self) -> Result<Option<Value>, Gone> {
        loop {
            match self.0.next().now_or_never() {
                None => return Ok(None),
                Some(next) => {
                    if let Some(message) = read(next)? {
                        return Ok(Some(message));
                    }
                }
            }
        }
    }

    /// Reads on to the end, and says how it came.
    pub async fn ended(&mut self) -> Gone {
        loop {
            if let Err(gone) = self.receive().await {
                return gone;
            }
        }
    }

    /// Begins the closing handshake.
    pub async fn close(&mut self, code: u16) {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: "".into(),
        };
        // The other side may have been faster.
        let _ = soon("the close frame to leave", self.0.close(Some(frame))).await;
    }
}

/// Small messages must not wait for the other kernel's acknowledgements.
fn prompt(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("a socket option");
    stream
}

fn broken(error: Error) -> Gone {
    Gone {
        code: None,
        reason: error.to_string(),
    }
}

fn read(next: Option<Result<Message, Error>>) -> Result<Option<Value>, Gone> {
    match next {
        Some(Ok(Message::Text(text))) => Ok(Some(
            serde_json::from_str(&text).expect("every message is JSON"),
        )),
        Some(Ok(Message::Close(frame))) => Err(Gone {
            code: frame.as_ref().map(|frame| frame.code.into()),
            reason: frame.map_or(String::new(), |frame| frame.reason.to_string()),
        }),
        Some(Ok(Message::Binary(_))) => panic!("the server sends text frames only"),
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(broken(error)),
        None => Err(broken(Error::ConnectionClosed)),
    }
}
