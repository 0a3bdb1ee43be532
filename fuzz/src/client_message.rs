//! Any text as a client's frame: it is refused in few words, or what comes out is what every reader can read.

use scumble::protocol::client_message::{
    Change, ClientMessage, Durable, MAX_CURSOR_BYTES, MAX_DEPTH, MAX_OP, MAX_PATCH_BYTES,
    MAX_USER_CHARS, parse,
};
use scumble::protocol::server_message as say;
use serde_json::Value;

/// One frame.
pub fn run(data: &[u8]) {
    // What is not UTF-8 never gets here: tungstenite refuses it.
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match parse(text) {
        Ok(message) => accepted(text, message),
        Err(refused) => {
            let error = say::error(refused.code, &refused.message, refused.op, None);
            assert!(error.len() < 2_048, "{error:?}");
            super::frames::take(&mut &error[..]).expect("a frame");
        }
    }
}

fn accepted(text: &str, message: ClientMessage) {
    match message {
        ClientMessage::Durable(message) => durable(text, &message),
        ClientMessage::Hello(hello) => {
            let user = object(&hello.user);
            for (field, value) in user.as_object().expect("an object") {
                assert!(["name", "color"].contains(&field.as_str()));
                assert!(value.as_str().expect("a string").chars().count() <= MAX_USER_CHARS);
            }
        }
        ClientMessage::OtherVersion(v) => assert_ne!(v, Some(scumble::protocol::VERSION)),
        ClientMessage::Cursor(fields) => {
            assert!(fields.len() <= MAX_CURSOR_BYTES);
            let cursor = object(&format!("{{{fields}}}"));
            assert!(cursor["x"].is_number() && cursor["y"].is_number());
            assert!(cursor.get("client").is_none() && cursor.get("type").is_none());
        }
        ClientMessage::Presence(patch) => {
            assert!(patch.len() <= MAX_PATCH_BYTES);
            object(&patch);
        }
        ClientMessage::Signal(body) => {
            let signal = object(&format!("{{{body}}}"));
            assert!(signal["event"].is_string());
        }
        ClientMessage::Ping(ts) => {
            let pong = say::pong(&ts, 1);
            assert!(pong.len() < 128);
            super::frames::take(&mut &pong[..]).expect("a frame");
        }
        ClientMessage::Refresh(_) | ClientMessage::Bye => {}
    }
}

fn durable(text: &str, message: &Durable) {
    let body: &str = &message.body;
    assert!((1..=MAX_OP).contains(&message.op));
    // The rest of it is the sender's own bytes.
    assert!(body.len() <= text.len() + 64, "{body}");
    let value = object(body);
    assert_eq!(value["op"], message.op);
    match &message.change {
        Change::Put { id, object: range } => {
            let put = object(&body[range.clone()]);
            assert_eq!(put["id"], id.as_str());
            assert_eq!(put, value["object"]);
        }
        Change::Merge { id, patch, edits } => {
            assert_eq!(value["id"], id.as_str());
            if edits.is_none() || value.get("patch").is_some() {
                assert_eq!(value["patch"], **patch);
            }
            if let Some(edits) = edits {
                let count = |name: &str| match &value[name] {
                    serde_json::Value::Array(list) => list.len(),
                    serde_json::Value::Object(map) => map.len(),
                    _ => 0,
                };
                assert_eq!(count("unset"), edits.unset.len());
                assert_eq!(count("set"), edits.set.len());
                assert_eq!(count("append"), edits.append.len());
            }
        }
        Change::Remove { id } => assert_eq!(value["id"], id.as_str()),
        Change::Append { id, data } => {
            assert_eq!(value["id"], id.as_str());
            assert_eq!(value["data"], message.body[data.clone()]);
        }
        Change::Compact(compact) => {
            assert_eq!(value["id"], compact.id.as_str());
            assert_eq!(value["upto"], compact.upto);
            let epoch = compact.epoch.map(|epoch| epoch.to_string());
            assert_eq!(value["epoch"].as_str(), epoch.as_deref());
            let data = compact.data.clone().map(|data| &message.body[data]);
            assert_eq!(value["data"].as_str(), data);
        }
        Change::Chat => assert!(value["text"].is_string()),
        Change::None => assert!(value["event"].is_string()),
        Change::Batch(ops) => {
            assert_eq!(value["ops"].as_array().map(Vec::len), Some(ops.len()));
            assert!(ops.windows(2).all(|two| two[0].op < two[1].op));
            assert_eq!(ops.last().map(|last| last.op), Some(message.op));
        }
    }
    // Said again it means the same.
    let again = format!(r#"{{"type":"{}",{}"#, message.kind.as_str(), &body[1..]);
    let Ok(ClientMessage::Durable(twice)) = parse(&again) else {
        panic!("refused the second time: {again}")
    };
    assert_eq!((twice.kind, twice.op), (message.kind, message.op));
    assert_eq!(twice.body, message.body);
    let mut frame = Vec::new();
    say::durable(
        &mut frame,
        message.kind,
        1,
        "client-aa",
        1,
        message.body.as_bytes(),
    );
    super::frames::take(&mut &frame[..]).expect("a frame");
}

fn object(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert!(value.is_object(), "{text}");
    assert!(depth(&value) <= MAX_DEPTH, "{text}");
    value
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
