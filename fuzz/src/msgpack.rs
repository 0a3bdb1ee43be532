//! Any bytes as a client's binary frame: they are refused in few words, or become JSON that means the same.

use scumble::protocol::client_message::MAX_DEPTH;
use scumble::protocol::msgpack::{Nobody, message, to_json, value};
use scumble::protocol::server_message as say;
use serde_json::Value;

const MAX_BYTES: usize = 4_096;

/// One frame.
pub fn run(data: &[u8]) {
    match to_json(data, MAX_BYTES, MAX_DEPTH) {
        Ok(json) => accepted(&json),
        Err(refused) => {
            let error = say::error(refused.code, &refused.message, refused.op, None);
            assert!(error.len() < 2_048, "{error:?}");
        }
    }
    // The other way: whatever is JSON can be written, as a value and as what the server says.
    if serde_json::from_slice::<Value>(data).is_ok() {
        let mut out = Vec::new();
        value(&mut out, data).expect("JSON is written");
        let mut out = Vec::new();
        // What looks like a frequent message and is none is refused.
        let _ = message(&mut out, data, &Nobody);
    }
}

fn accepted(json: &str) {
    assert!(json.len() <= MAX_BYTES);
    let value_of: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json}"));
    assert!(value_of.is_object(), "{json}");
    let mut again = Vec::new();
    value(&mut again, json.as_bytes()).expect("JSON is written");
    let twice = to_json(&again, MAX_BYTES, MAX_DEPTH);
    assert_eq!(twice.as_deref(), Ok(json), "nothing changes on the way");
    super::client_message::run(json.as_bytes());
}
