//! A client of a stream of events: as little of it as the protocol asks for.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

use super::client::new_id;
use super::http::{Answer, ask};
use super::soon;

/// A stream, from the head of its answer on.
pub struct Stream {
    reader: BufReader<TcpStream>,
    pub canvas: String,
    /// What the first event called it; empty if it was not let in.
    pub session: String,
    /// The last post.
    pub posted: u64,
    /// The last post that was taken.
    pub taken: u64,
    /// What the answer's head says.
    pub head: String,
}

impl Stream {
    /// Asks for a stream with this body. HTTP/1.0, so that nothing stands between the events.
    pub async fn ask(address: SocketAddr, canvas: &str, headers: &str, body: &str) -> Self {
        Self::ask_narrow(address, canvas, headers, body, 256 * 1024).await
    }

    /// The same through a receive buffer of that many bytes.
    pub async fn ask_narrow(
        address: SocketAddr,
        canvas: &str,
        headers: &str,
        body: &str,
        buffer: u32,
    ) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(buffer).expect("its buffer");
        let mut stream = socket.connect(address).await.expect("a relay");
        let length = body.len();
        let request = format!(
            "POST /sse/{canvas} HTTP/1.0\r\nHost: test\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.expect("asked");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = soon("the head", reader.read_line(&mut head)).await;
            assert!(read.expect("a head") > 0, "{head}");
        }
        Self {
            reader,
            canvas: canvas.to_owned(),
            session: String::new(),
            posted: 0,
            taken: 0,
            head,
        }
    }

    /// A stream whose hello is accepted.
    pub async fn enter(address: SocketAddr, canvas: &str, mut hello: Value) -> Self {
        (hello["type"], hello["v"]) = ("hello".into(), 1.into());
        if hello["client"].is_null() {
            hello["client"] = new_id().into();
        }
        let mut stream = Self::ask(address, canvas, "", &hello.to_string()).await;
        assert!(stream.head.contains(" 200 "), "{}", stream.head);
        let (name, data) = stream.event().await.expect("an event");
        assert_eq!(name, "session", "{data}");
        let data: Value = serde_json::from_str(&data).expect("JSON");
        stream.session = data["session"].as_str().expect("a name").to_owned();
        stream
    }

    /// One that has the canvas.
    pub async fn join(address: SocketAddr, canvas: &str) -> Self {
        let mut stream = Self::enter(address, canvas, json!({})).await;
        stream.until("snapshot").await;
        stream
    }

    /// The next event: its name and its data. `None`: the stream has ended.
    pub async fn event(&mut self) -> Option<(String, String)> {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            match soon("an event", self.reader.read_line(&mut line)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
            let line = line.trim_end_matches('\n');
            if line.is_empty() {
                if name == "taken" {
                    self.taken = data.parse().expect("a number");
                }
                return Some((name, data));
            }
            match line.split_once(": ").expect("a field") {
                ("event", value) => value.clone_into(&mut name),
                ("data", value) => value.clone_into(&mut data),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message.
    pub async fn message(&mut self) -> Value {
        loop {
            let (name, data) = self.event().await.expect("a message");
            match name.as_str() {
                "" => return serde_json::from_str(&data).expect("JSON"),
                "session" | "taken" | "ping" => {}
                other => panic!("{other}: {data}"),
            }
        }
    }

    /// The next message of that type.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.message().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The code and reason of the close, which nothing follows.
    pub async fn closed(&mut self) -> (u64, String) {
        loop {
            let (name, data) = self.event().await.expect("a close");
            if name == "close" {
                assert_eq!(self.event().await, None, "behind the close");
                let close: Value = serde_json::from_str(&data).expect("JSON");
                let reason = close["reason"].as_str().expect("a reason").to_owned();
                return (close["code"].as_u64().expect("a code"), reason);
            }
        }
    }

    /// Posts to whatever process that is, with any number.
    pub async fn post_as(&self, address: SocketAddr, number: u64, body: &str) -> Answer {
        let path = format!("/sse/{}/{}?post={number}", self.canvas, self.session);
        let answer = ask(address, "POST", &path, "Host: test\r\n", body).await;
        answer.expect("an answer")
    }

    /// Posts the next messages and waits until they are taken. Gives the acks and errors, and drops everything else that
    /// comes meanwhile.
    pub async fn post(&mut self, address: SocketAddr, messages: &Value) -> Vec<Value> {
        self.posted += 1;
        let answer = self
            .post_as(address, self.posted, &messages.to_string())
            .await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let wanted = messages.as_array().into_iter().flatten();
        let wanted = wanted.filter(|message| message["op"].is_u64()).count();
        let mut acks = Vec::new();
        while self.taken < self.posted || acks.len() < wanted {
            let (name, data) = self.event().await.expect("an event");
            assert_ne!(name, "close", "{data}");
            if name.is_empty() {
                let message: Value = serde_json::from_str(&data).expect("JSON");
                if message["type"] == "ack" || message["type"] == "error" {
                    acks.push(message);
                }
            }
        }
        acks
    }
}
