//! The messages of the server. Each is encoded once, as a frame that every socket can share.

use std::io::Write as _;

use bytes::Bytes;
use serde_json::json;

use super::client_message::Kind;
use super::frame;
use crate::counts;

mod people;
mod snapshot;
mod welcome;

pub use people::{
    LeaveReason, cursor_batch, presence, signal, user_connected, user_disconnected, user_fields,
};
pub use snapshot::{Contents, MAX_PART_BYTES, log_entry, snapshot_of, snapshot_parts};
pub use welcome::{SHARED_LIST_BYTES, Users, Welcome, welcome};

/// The codes of `error`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ErrorCode {
    /// Not JSON.
    BadJson,
    /// Not MessagePack.
    BadMsgpack,
    /// A field is missing or wrong.
    BadMessage,
    /// No such `type`.
    UnknownType,
    /// Over a size limit.
    TooLarge,
    /// `op` is not a positive integer, or does not increase.
    BadOp,
    /// The token does not allow it.
    Forbidden,
    /// Over a rate limit.
    RateLimited,
    /// The queue is full or busy; the op was not taken.
    Overloaded,
    /// `hello` was not said.
    NotReady,
}

impl ErrorCode {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "bad-json",
            Self::BadMsgpack => "bad-msgpack",
            Self::BadMessage => "bad-message",
            Self::UnknownType => "unknown-type",
            Self::TooLarge => "too-large",
            Self::BadOp => "bad-op",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate-limited",
            Self::Overloaded => "overloaded",
            Self::NotReady => "not-ready",
        }
    }

    /// Whether the same op may be sent again. After such a refusal later ops wait for it.
    pub fn retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Overloaded)
    }
}

/// What `ack.status` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AckStatus {
    /// Committed as `seq`; stands in the order.
    Ok,
    /// Was committed before, as `seq` (0: no longer known).
    Dup,
    /// The object is not there; took no `seq`.
    Ignored,
}

impl AckStatus {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Dup => "dup",
            Self::Ignored => "ignored",
        }
    }
}

/// One framed message of its own.
fn framed(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::with_capacity(160);
    frame::text(&mut out, write);
    Bytes::from(out)
}

fn framed_json(value: &serde_json::Value) -> Bytes {
    framed(|out| {
        // Writing a Value into a Vec cannot fail.
        let _ = serde_json::to_writer(out, value);
    })
}

/// Appends the frame of a durable message. `body` is the sender's fields as a JSON object.
pub fn durable(out: &mut Vec<u8>, kind: Kind, seq: u64, client: &str, at_ms: i64, body: &[u8]) {
    frame::text(out, |out| {
        let kind = kind.as_str();
        // Writing into a Vec cannot fail. The client's id needs no escape: its pattern excludes quotes.
        let _ = write!(
            out,
            "{{\"type\":\"{kind}\",\"seq\":{seq},\"client\":\"{client}\",\"at\":{at_ms},"
        );
        out.extend_from_slice(body.get(1..).unwrap_or(b"}"));
    });
}

/// Appends the frame of an ack.
pub fn ack(out: &mut Vec<u8>, op: u64, seq: u64, status: AckStatus) {
    frame::text(out, |out| {
        let status = status.as_str();
        let _ = write!(
            out,
            "{{\"type\":\"ack\",\"op\":{op},\"seq\":{seq},\"status\":\"{status}\"}}"
        );
    });
}

/// The numbers a client should keep to.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one message.
    pub max_message_bytes: usize,
    /// Milliseconds between cursors worth sending.
    pub cursor_interval_ms: u64,
    /// Durable messages a second; 0 for no limit.
    pub ops_per_s: u32,
    /// Objects of a canvas.
    pub max_objects: usize,
    /// Clients of a canvas, on all instances.
    pub max_clients: usize,
    /// Bytes of all objects of a canvas.
    pub max_canvas_bytes: usize,
    /// Levels of arrays and objects in a message.
    pub max_json_depth: usize,
    /// Bytes of one asset; `None`: there are none.
    pub max_asset_bytes: Option<u64>,
}

/// `resync`
pub fn resync(reason: &str) -> Bytes {
    framed_json(&json!({"type": "resync", "reason": reason}))
}

/// `goaway`
pub fn goaway(reason: &str, retry_after_ms: u64) -> Bytes {
    framed_json(&json!({"type": "goaway", "reason": reason, "retry_after_ms": retry_after_ms}))
}

/// `error`
pub fn error(
    code: ErrorCode,
    message: &str,
    op: Option<u64>,
    retry_after_ms: Option<u64>,
) -> Bytes {
    counts::REFUSALS.add(code.as_str());
    let mut value = json!({"type": "error", "code": code.as_str(), "message": message});
    if let Some(op) = op {
        value["op"] = op.into();
    }
    if let Some(ms) = retry_after_ms {
        value["retry_after_ms"] = ms.into();
    }
    framed_json(&value)
}

/// `pong`; `ts` is the client's own number as it came.
pub fn pong(ts: &str, server_ts: i64) -> Bytes {
    framed(|out| {
        let _ = write!(
            out,
            "{{\"type\":\"pong\",\"ts\":{ts},\"server_ts\":{server_ts}}}"
        );
    })
}
