//! What is long comes in fewer bytes to those who ask for it, and says the same.

use flate2::read::{DeflateDecoder, GzDecoder};
use serde_json::{Value, json};
use std::io::Read;
use tungstenite::Message;

use crate::harness::client::new_id;
use crate::harness::{Client, Relay, Socket};

/// A client that reads compressed frames; what it heard, and in how many bytes.
struct Reader {
    socket: Socket,
    packed: bool,
    bytes: usize,
    compressed: usize,
}

impl Reader {
    async fn join(relay: &Relay, packed: bool, mut hello: Value) -> Self {
        let protocol = if packed {
            "scumble.v1.msgpack"
        } else {
            "scumble.v1"
        };
        let offer = [("sec-websocket-protocol", protocol)];
        let socket = Socket::open_with(relay.address(0), "board", &offer).await;
        let mut socket = socket.expect("an upgrade");
        hello["type"] = "hello".into();
        hello["v"] = 1.into();
        hello["client"] = new_id().into();
        let message = match packed {
            true => Message::Binary(rmp_serde::to_vec(&hello).expect("MessagePack").into()),
            false => Message::text(hello.to_string()),
        };
        socket.send_raw(message).await.expect("sent");
        let (bytes, compressed) = (0, 0);
        Self {
            socket,
            packed,
            bytes,
            compressed,
        }
    }

    /// The messages of the next frame; the frequent ones of MessagePack as they are.
    async fn next(&mut self) -> Vec<Value> {
        let frame = self.socket.receive_raw().await.expect("a frame");
        self.bytes += frame.len();
        match frame {
            Message::Text(text) => vec![serde_json::from_str(&text).expect("JSON")],
            Message::Binary(bytes) if self.packed => match bytes.strip_prefix(&[0x92, 9]) {
                // The data is binary of 8, 16 or 32 bits of length.
                Some(data) => {
                    let head = [2, 3, 5][usize::from(data[0] - 0xc4)];
                    let inflated = self.inflated(&data[head..]);
                    rmp_serde::from_slice(&inflated).expect("an array")
                }
                None => vec![rmp_serde::from_slice(&bytes).expect("MessagePack")],
            },
            Message::Binary(bytes) => {
                let inflated = self.inflated(&bytes);
                serde_json::from_slice(&inflated).expect("an array")
            }
            other => panic!("{other:?}"),
        }
    }

    fn inflated(&mut self, data: &[u8]) -> Vec<u8> {
        self.compressed += 1;
        let mut out = Vec::new();
        DeflateDecoder::new(data)
            .read_to_end(&mut out)
            .expect("whole");
        assert!(out.len() <= 1 << 20, "{} bytes", out.len());
        out
    }

    /// Messages until one is as wanted.
    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(&wanted) {
            heard.extend(self.next().await);
        }
        heard
    }

    async fn objects(&mut self) -> Vec<Value> {
        let heard = self.until(|message| message["last"] == true).await;
        let parts = heard
            .into_iter()
            .filter(|message| message["type"] == "snapshot");
        let objects = parts.map(|mut part| part["objects"].take());
        objects
            .flat_map(|objects| objects.as_array().expect("an array").clone())
            .collect()
    }
}

#[tokio::test]
async fn a_snapshot_and_what_was_missed_come_in_fewer_bytes() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut author = Client::join(relay.address(0), "board").await;
    let since = json!({"epoch": author.epoch, "seq": 0});
    let object = |n: u64| json!({"id": format!("box-{n}"), "kind": "box", "x": n * 7, "text": "of some length, to be long".repeat(4)});
    let objects: Vec<Value> = (0..3_000).map(object).collect();
    for object in &objects {
        author
            .op(json!({"type": "object-create", "object": object}))
            .await;
        if author.pending.len() > 400 {
            author.settle().await.expect("a connection");
        }
    }
    author.settle().await.expect("a connection");
    let mut sizes = Vec::new();
    for packed in [false, true] {
        for hello in [json!({}), json!({"compress": ["later", "deflate-raw"]})] {
            let mut reader = Reader::join(&relay, packed, hello.clone()).await;
            assert_eq!(reader.objects().await, objects, "{packed} {hello}");
            assert_eq!(reader.compressed > 0, hello["compress"].is_array());
            sizes.push(reader.bytes);

            let mut hello = hello;
            hello["since"] = since.clone();
            let mut reader = Reader::join(&relay, packed, hello.clone()).await;
            let seq = |message: &Value| match packed {
                true => message[1].as_u64(),
                false => message["seq"]
                    .as_u64()
                    .filter(|_| message["type"] == "object-create"),
            };
            let heard = reader.until(|message| seq(message) == Some(3_000)).await;
            let seqs: Vec<u64> = heard.iter().filter_map(seq).collect();
            assert_eq!(seqs, (1..=3_000).collect::<Vec<u64>>());
            assert_eq!(reader.compressed > 0, hello["compress"].is_array());
            sizes.push(reader.bytes);
        }
    }
    for plain in [0, 4] {
        for what in [0, 1] {
            let (plain, compressed) = (sizes[plain + what], sizes[plain + 2 + what]);
            assert!(compressed * 4 < plain, "{sizes:?}");
        }
    }
    // What comes next is live, and as short as ever.
    let mut reader = Reader::join(&relay, false, json!({"compress": ["deflate-raw"]})).await;
    reader.objects().await;
    author
        .commit(json!({"type": "chat", "text": "hello"}))
        .await;
    let heard = reader.until(|message| message["type"] == "chat").await;
    assert_eq!(heard.last().expect("it")["seq"], 3_001);
}

#[tokio::test]
async fn nothing_compressed_is_taken_from_a_client() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut reader = Reader::join(&relay, false, json!({"compress": ["deflate-raw"]})).await;
    reader.objects().await;
    let sent = reader
        .socket
        .send_raw(Message::Binary(vec![3, 0].into()))
        .await;
    sent.expect("a connection");
    let heard = reader.until(|message| message["type"] == "error").await;
    assert_eq!(heard.last().expect("it")["code"], "bad-message");
    let mut socket = Socket::open(relay.address(0), "board").await.expect("up");
    let hello = json!({"type": "hello", "v": 1, "client": new_id(), "compress": "deflate-raw"});
    socket.send(&hello).await.expect("sent");
    let error = socket.receive().await.expect("an error");
    assert_eq!(error["message"], "compress must be a list of strings");
}

#[tokio::test]
async fn long_answers_over_http_are_gzipped_for_who_takes_it() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let url = format!("http://{}", relay.address(0));
    let get = |path: &'static str, accept: &'static str| {
        let url = format!("{url}{path}");
        tokio::task::spawn_blocking(move || {
            let request = ureq::get(&url).header("accept-encoding", accept);
            let answer = request.call().expect("an answer");
            let encoding = answer.headers().get("content-encoding").cloned();
            let encoding = encoding.map(|value| value.to_str().expect("text").to_owned());
            let mut bytes = Vec::new();
            let mut body = answer.into_body().into_reader();
            body.read_to_end(&mut bytes).expect("a body");
            (encoding, bytes)
        })
    };
    let (plain, text) = get("/api/v1/openapi.json", "identity").await.expect("done");
    assert_eq!(plain, None);
    let (encoding, gzipped) = get("/api/v1/openapi.json", "gzip").await.expect("done");
    assert_eq!(encoding.as_deref(), Some("gzip"));
    assert!(gzipped.len() * 3 < text.len());
    let mut inflated = Vec::new();
    GzDecoder::new(&gzipped[..])
        .read_to_end(&mut inflated)
        .expect("whole");
    assert_eq!(inflated, text);
    let (encoding, _) = get("/healthz", "gzip").await.expect("done");
    assert_eq!(encoding, None, "it is short");
}
