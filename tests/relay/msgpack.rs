//! MessagePack beside JSON on one canvas: both hear the same.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};
use tungstenite::Message;

use crate::harness::client::new_id;
use crate::harness::{Client, Relay, Socket};

/// A client that reads and writes MessagePack, by the table in docs/PROTOCOL.md.
pub struct Packed {
    socket: Socket,
    people: HashMap<u64, String>,
    id: String,
}

const FIELDS: [&[&str]; 11] = [
    &["op", "seq", "status"],
    &["seq", "client", "at", "op", "object"],
    &["seq", "client", "at", "op", "id", "patch"],
    &["seq", "client", "at", "op", "id"],
    &["seq", "client", "at", "op", "text", "reply_to", "user"],
    &["seq", "client", "at", "op", "event", "data"],
    &[],
    &["client", "state", "away"],
    &[],
    &["seq", "client", "at", "op", "id", "data"],
    &["seq", "client", "at", "op", "id", "upto", "data"],
];
const TYPES: [&str; 11] = [
    "ack",
    "object-create",
    "object-update",
    "object-delete",
    "chat",
    "broadcast",
    "cursor-batch",
    "presence",
    "compressed",
    "log-append",
    "log-compact",
];

/// A value, in which bytes are `{"bytes": base64}`.
struct Read(Value);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, is: bool) -> Result<Value, E> {
        Ok(is.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(json!({"bytes": STANDARD.encode(bytes)}))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Read(value)) = seq.next_element()? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = serde_json::Map::new();
        while let Some((name, Read(value))) = map.next_entry::<String, Read>()? {
            fields.insert(name, value);
        }
        Ok(fields.into())
    }
}

fn index(number: &Value) -> usize {
    let number = number.as_u64().map(usize::try_from);
    number.expect("a number").expect("a small one")
}

impl Packed {
    /// Joins under a new id.
    pub async fn join(relay: &Relay, hello: Value) -> Self {
        let offer = [("sec-websocket-protocol", "scumble.v1.msgpack")];
        let socket = Socket::open_with(relay.address(0), "board", &offer);
        let mut packed = Self {
            socket: socket.await.expect("an upgrade"),
            people: HashMap::new(),
            id: new_id(),
        };
        let mut message = json!({"type": "hello", "v": 1, "client": packed.id});
        for (name, value) in hello.as_object().expect("fields") {
            message[name] = value.clone();
        }
        packed.send(&message).await;
        packed
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) {
        let bytes = rmp_serde::to_vec(message).expect("MessagePack");
        self.raw(bytes).await;
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: Vec<u8>) {
        let sent = self.socket.send_raw(Message::Binary(bytes.into())).await;
        sent.expect("a connection");
    }

    /// The next message, as it would have been in JSON.
    pub async fn next(&mut self) -> Value {
        let frame = self.socket.receive_raw().await.expect("a message");
        let Message::Binary(bytes) = frame else {
            panic!("{frame:?}")
        };
        let Read(value) = rmp_serde::from_slice(&bytes).expect("MessagePack");
        match value {
            Value::Array(array) => self.named(&array),
            mut map => {
                self.meet(&mut map);
                let users = map.get_mut("users").and_then(Value::as_array_mut);
                users.into_iter().flatten().for_each(|user| self.meet(user));
                map
            }
        }
    }

    fn meet(&mut self, person: &mut Value) {
        let n = person.as_object_mut().and_then(|person| person.remove("n"));
        if let (Some(n), Some(client)) = (n.and_then(|n| n.as_u64()), person["client"].as_str()) {
            self.people.insert(n, client.to_owned());
        }
    }

    fn named(&self, array: &[Value]) -> Value {
        let code = index(&array[0]) - 1;
        if TYPES[code] == "cursor-batch" {
            let fields: &[&str] = &["client", "x", "y"];
            let cursors = array[1..].iter();
            let cursors = cursors.map(|one| self.fields(fields, one.as_array().expect("an array")));
            return json!({"type": "cursor-batch", "cursors": cursors.collect::<Vec<_>>()});
        }
        let mut message = self.fields(FIELDS[code], &array[1..]);
        message["type"] = TYPES[code].into();
        if let Some(status) = message.get_mut("status") {
            *status = ["ok", "dup", "ignored"][index(status)].into();
        }
        message
    }

    fn fields(&self, names: &[&str], values: &[Value]) -> Value {
        let mut message = json!({});
        for (name, value) in names
            .iter()
            .zip(values)
            .filter(|(_, value)| !value.is_null())
        {
            message[name] = value.clone();
        }
        if let Some(n) = message.get("client").and_then(Value::as_u64) {
            message["client"] = self.people[&n].clone().into();
        }
        for (name, value) in values
            .get(names.len())
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            message[name] = value.clone();
        }
        message
    }

    /// The next message of that type.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }
}

#[tokio::test]
async fn both_encodings_hear_the_same_on_one_canvas() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut json = Client::join(relay.address(0), "board").await;
    let hello = json!({"user": {"name": "P\u{e9}n"}});
    let mut packed = Packed::join(&relay, hello.clone()).await;
    let welcome = packed.until("welcome").await;
    assert_eq!(welcome["users"].as_array().map(Vec::len), Some(2));
    assert_eq!(packed.people.len(), 2, "everybody has a number");
    packed.until("snapshot").await;
    let mut third = Packed::join(&relay, hello).await;
    third.until("snapshot").await;
    assert_eq!(
        packed.until("user-connected").await["client"],
        third.id.as_str()
    );

    let object = json!({"id": "a", "kind": "box", "x": 0.1, "deep": [{"n": null, "big": u64::MAX}], "s": "\u{1f600}"});
    let said = [
        json!({"type": "object-create", "op": 1, "object": object}),
        json!({"type": "object-update", "op": 2, "id": "a", "patch": {"x": -7, "s": null}}),
        json!({"type": "chat", "op": 3, "text": "hello", "reply_to": 1}),
        json!({"type": "chat", "op": 4, "text": "hello again"}),
        json!({"type": "broadcast", "op": 5, "event": "e", "data": [1.5, -0.25, 1e300]}),
        json!({"type": "object-delete", "op": 6, "id": "a"}),
        json!({"type": "object-delete", "op": 7, "id": "a"}),
    ];
    for message in &said {
        packed.send(message).await;
    }
    for message in &said[..6] {
        let kind = message["type"].as_str().expect("a type");
        let of_kind = |heard: &Value| heard["type"] == kind && heard["op"] == message["op"];
        let heard = json.until(of_kind).await;
        assert_eq!(third.until(kind).await, heard);
        assert_eq!(heard["client"], packed.id.as_str());
        let ack = packed.until("ack").await;
        assert_eq!(
            ack,
            json!({"type": "ack", "op": heard["op"], "seq": heard["seq"], "status": "ok"})
        );
    }
    assert_eq!(packed.until("ack").await["status"], "ignored");

    packed
        .send(&json!({"type": "cursor", "x": 1.25, "y": -3, "tool": "pen"}))
        .await;
    let batch = json!({"type": "cursor-batch", "cursors": [{"client": packed.id, "x": 1.25, "y": -3, "tool": "pen"}]});
    assert_eq!(third.until("cursor-batch").await, batch);
    assert_eq!(json.until(|m| m["type"] == "cursor-batch").await, batch);
    packed
        .send(&json!({"type": "presence", "state": {"a": [1]}}))
        .await;
    let state = json!({"type": "presence", "client": packed.id, "state": {"a": [1]}});
    assert_eq!(third.until("presence").await, state);
    assert_eq!(json.until(|m| m["type"] == "presence").await, state);
    json.say(json!({"type": "signal", "event": "wave", "data": {"hand": "left"}}))
        .await;
    let signal =
        json!({"type": "signal", "client": json.id, "event": "wave", "data": {"hand": "left"}});
    assert_eq!(packed.until("signal").await, signal);

    // A client comes back with the other encoding, and goes on from where it was.
    let since = json!({"epoch": json.epoch, "seq": 3});
    let mut again = Packed::join(&relay, json!({"since": since})).await;
    assert_eq!(again.until("welcome").await["mode"], "resume");
    assert_eq!(again.until("chat").await["seq"], 4);
    assert_eq!(again.until("object-delete").await["seq"], 6);
    third.send(&json!({"type": "bye"})).await;
    assert_eq!(
        packed.until("user-disconnected").await["client"],
        third.id.as_str()
    );
}

#[tokio::test]
async fn bad_messages_are_named_and_cost_nothing_else() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut packed = Packed::join(&relay, json!({})).await;
    packed.until("snapshot").await;
    let nan = [
        &[0x83, 0xa2][..],
        b"op",
        &[1, 0xa4],
        b"type",
        &[0xa4],
        b"chat",
        &[0xa4],
        b"text",
        &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    packed.raw(nan).await;
    let error = packed.until("error").await;
    assert_eq!(
        (&error["code"], &error["op"]),
        (&json!("bad-message"), &json!(1)),
        "{error}"
    );
    assert_eq!(error["message"], "text: a number must be finite");
    packed.raw(vec![0x81, 0xa4]).await;
    assert_eq!(packed.until("error").await["code"], "bad-msgpack");
    let text = packed.socket.send(&json!({"type": "ping"})).await;
    text.expect("a connection");
    assert_eq!(packed.until("error").await["code"], "bad-message");
    packed
        .send(&json!({"type": "chat", "op": 1, "text": "x"}))
        .await;
    assert_eq!(
        packed.until("error").await["code"],
        "bad-op",
        "it was used up"
    );
    let long = json!({"type": "broadcast", "op": 2, "event": "e", "data": "\u{1}".repeat(50_000)});
    packed.send(&long).await;
    let error = packed.until("error").await;
    assert_eq!(
        (&error["code"], &error["op"]),
        (&json!("too-large"), &json!(2)),
        "{error}"
    );
    packed
        .send(&json!({"type": "chat", "op": 3, "text": "x"}))
        .await;
    assert_eq!(packed.until("ack").await["seq"], 1);
}
