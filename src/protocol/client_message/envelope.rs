//! The envelope: the type of a message, and its fields as they came.

use std::borrow::{Borrow, Cow};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{cursor, durable, hello, ping, presence, signal, string};
use super::{ClientMessage, Kind, MAX_DEPTH, MAX_REFUSAL_CHARS, Refused};
use crate::protocol::server_message::ErrorCode;

/// A string, where it stands unless it has escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) op: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) v: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) client: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) user: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) token: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) since: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) features: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) compress: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) object: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) patch: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) set: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) unset: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) append: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) ops: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) upto: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) epoch: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reply_to: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) event: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) state: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) ts: Option<&'a RawValue>,
}

pub(super) const NOT_IN_A_BATCH: &str =
    "only messages that are acknowledged can be in a batch, and no batch";

pub(super) type Parsed<T> = Result<T, Refused>;

pub(super) fn refused<T>(code: ErrorCode, message: impl Into<String>) -> Parsed<T> {
    let message = cut(message.into(), MAX_REFUSAL_CHARS);
    let op = None;
    let others = Vec::new();
    Err(Refused {
        code,
        message,
        op,
        others,
    })
}

pub(super) fn bad<T>(message: impl Into<String>) -> Parsed<T> {
    refused(ErrorCode::BadMessage, message)
}

/// Reads a message that may be as deep as any: what was taken once is read again whatever is configured now.
///
/// # Errors
/// As [`parse_within`].
pub fn parse(text: &str) -> Parsed<ClientMessage> {
    parse_within(text, MAX_DEPTH)
}

/// Reads one text frame of at most `max_depth` levels, [`MAX_DEPTH`] at most.
///
/// # Errors
/// `bad-json` for what is no JSON object, `unknown-type`, `bad-op`, and `bad-message` with the field's
/// name for everything else. The size of the frame is the socket's business.
pub fn parse_within(text: &str, max_depth: usize) -> Parsed<ClientMessage> {
    parse_one(text, max_depth, false)
}

/// Reads a message, or one of a batch.
pub(super) fn parse_one(text: &str, max_depth: usize, in_batch: bool) -> Parsed<ClientMessage> {
    let envelope: Envelope<'_> = match serde_json::from_str(text) {
        Err(e) if !e.is_data() => return refused(ErrorCode::BadJson, e.to_string()),
        // serde would take an array for the fields in their order.
        _ if !text.trim_start().starts_with('{') => return bad("a message is one JSON object"),
        Ok(envelope) => envelope,
        Err(e) => {
            let e = e.to_string();
            // All other fields are taken as they come.
            let wrong = match e.starts_with("invalid type") {
                true => bad("type must be a string"),
                false => bad(format!("a message is one JSON object: {e}")),
            };
            return wrong.map_err(|refused| Refused {
                op: only_op(text),
                ..refused
            });
        }
    };
    let op = envelope.op.and_then(|raw| raw.get().parse::<u64>().ok());
    let max_depth = max_depth.min(MAX_DEPTH);
    dispatch(text, &envelope, max_depth, in_batch).map_err(|refused| Refused {
        // Of a batch: that of the message which can't be done.
        op: refused.op.or(op),
        ..refused
    })
}

/// The op of a message whose other fields can't be read: its author waits for an answer that names it.
fn only_op(text: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct OnlyOp {
        op: u64,
    }
    text.trim_start()
        .starts_with('{')
        .then(|| {
            serde_json::from_str::<OnlyOp>(text)
                .ok()
                .map(|only| only.op)
        })
        .flatten()
}

fn dispatch(
    text: &str,
    m: &Envelope<'_>,
    max_depth: usize,
    in_batch: bool,
) -> Parsed<ClientMessage> {
    let is_batch = m.kind.as_ref().is_some_and(|kind| kind.0 == "batch");
    if is_batch && in_batch {
        return bad(NOT_IN_A_BATCH);
    }
    // The messages of a batch may be as deep as others. They are looked at one by one, and it is said which is too deep.
    if !is_batch && is_deeper(text.as_bytes(), max_depth) {
        return bad(format!(
            "nesting is at most {max_depth} levels (max_json_depth)"
        ));
    }
    let Some(Text(kind)) = &m.kind else {
        return bad("type is missing");
    };
    if let Some(kind) = Kind::parse(kind) {
        return durable(kind, m, text.len(), max_depth).map(ClientMessage::Durable);
    }
    match &**kind {
        "hello" => hello(m),
        "cursor" => cursor(text).map(ClientMessage::Cursor),
        "presence" => presence(m).map(ClientMessage::Presence),
        "signal" => signal(m).map(ClientMessage::Signal),
        "ping" => ping(m).map(ClientMessage::Ping),
        "refresh" => Ok(ClientMessage::Refresh(string("token", m.token)?)),
        "bye" => Ok(ClientMessage::Bye),
        other => refused(
            ErrorCode::UnknownType,
            format!("unknown type {:?}", cut(other.to_owned(), 40)),
        ),
    }
}

/// Refusals quote what they refuse: cut, so that an answer is never much larger than what caused it.
fn cut(mut text: String, max_chars: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(max_chars) {
        text.truncate(end);
    }
    text
}

/// Finding brackets is many times faster than following them, and seldom are there as many as may be nested.
fn is_deeper(text: &[u8], max_depth: usize) -> bool {
    let opening = memchr::memchr2_iter(b'{', b'[', text).take(max_depth + 1);
    opening.count() > max_depth && depth(text) > max_depth
}

/// How deep the brackets go. Strings are passed over; the text is known to be valid JSON.
fn depth(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    let mut in_string = false;
    let mut escaped = false;
    for &c in text {
        if in_string {
            match c {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match c {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
