//! What a client may say, parsed once. Pure: text in, a message or a named error out.
//!
//! Only the envelope is read; what the application put in `data`, `object` or `patch` is checked
//! (depth, sizes, numbers) and passed on byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::ids::{ClientId, Epoch, Position};
use super::server_message::ErrorCode;

/// Levels of arrays and objects in a message, its own braces included, unless configured.
pub const DEFAULT_DEPTH: usize = 16;
/// The least that can be configured: `hello.user`, `object` and `patch` are objects in a message.
pub const MIN_DEPTH: usize = 2;
/// The most. Merging, comparing and dropping a value recurse as deep as it goes, on stacks of 1 MiB; and serde_json reads
/// 127 levels, some of which are the envelopes that messages are told and stored in.
pub const MAX_DEPTH: usize = 64;
/// Characters of `chat.text`.
pub const MAX_CHAT_CHARS: usize = 4_000;
/// Bytes of one cursor's fields: "other small fields" means small.
pub const MAX_CURSOR_BYTES: usize = 512;
/// Characters of `object.id`.
pub const MAX_OBJECT_ID_CHARS: usize = 64;
/// Characters of `object.kind`.
pub const MAX_KIND_CHARS: usize = 32;
/// Characters of `event`.
pub const MAX_EVENT_CHARS: usize = 64;
/// Characters of `user.name` and `user.color`.
pub const MAX_USER_CHARS: usize = 64;
/// Bytes of a presence patch: none that makes a state of the size allowed is larger, but for what it removes.
pub const MAX_PATCH_BYTES: usize = 8 * 1024;
/// Characters of `ping.ts`, which comes back as it was: any number has fewer.
const MAX_TS_CHARS: usize = 32;
/// Characters of a refusal.
const MAX_REFUSAL_CHARS: usize = 200;
/// The largest `op`: what every JSON reader holds exactly.
pub const MAX_OP: u64 = (1 << 53) - 1;

/// A message from a client.
#[derive(Debug)]
pub enum ClientMessage {
    /// Must be the first.
    Hello(Hello),
    /// Takes a `seq`, is committed, is acknowledged.
    Durable(Durable),
    /// Where this client points: the fields as a JSON object without `type`.
    Cursor(String),
    /// A merge patch for this client's presence state: a JSON object of at most [`MAX_PATCH_BYTES`].
    Presence(String),
    /// An ephemeral application event: `"event":…,"data":…`, ready to be put into a frame.
    Signal(String),
    /// Answered with `pong`; `ts` comes back as it was.
    Ping(String),
    /// A new token before the old one expires.
    Refresh(String),
    /// The client leaves for good.
    Bye,
}

/// The first message.
#[derive(Debug)]
pub struct Hello {
    /// The protocol version it speaks; 0 if it does not say.
    pub v: u64,
    /// Who this is, for as long as the tab lives.
    pub client: ClientId,
    /// Name and colour, as a JSON object of at most those two.
    pub user: String,
    /// A JWT, where the server asks for one.
    pub token: Option<String>,
    /// What the client already holds. `None` too when its epoch is not one of ours.
    pub since: Option<Position>,
}

/// The five durable types.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// `object-create`
    ObjectCreate,
    /// `object-update`
    ObjectUpdate,
    /// `object-delete`
    ObjectDelete,
    /// `chat`
    Chat,
    /// `broadcast`
    Broadcast,
}

impl Kind {
    /// The `type` on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ObjectCreate => "object-create",
            Self::ObjectUpdate => "object-update",
            Self::ObjectDelete => "object-delete",
            Self::Chat => "chat",
            Self::Broadcast => "broadcast",
        }
    }

    /// The kind of that `type`; `None` for types that are not durable.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::ObjectCreate,
            Self::ObjectUpdate,
            Self::ObjectDelete,
            Self::Chat,
            Self::Broadcast,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }
}

/// A durable message, ready to be stored.
#[derive(Debug)]
pub struct Durable {
    /// Which of the five.
    pub kind: Kind,
    /// The client's own number for it, 1 to [`MAX_OP`].
    pub op: u64,
    /// The known fields of the message, `op` first, as one JSON object without `type`.
    pub body: Bytes,
    /// What it does to the canvas's state.
    pub change: Change,
}

/// What a durable message does to the state of its canvas.
#[derive(Debug)]
pub enum Change {
    /// Put the object, replacing one of the same id. `object` is where it stands in the body.
    Put {
        /// `object.id`
        id: String,
        /// The object's bytes within [`Durable::body`].
        object: Range<usize>,
    },
    /// Merge into the object (RFC 7396); nothing when it is not there.
    Merge {
        /// `id`
        id: String,
        /// `patch`, an object
        patch: Value,
    },
    /// Remove the object; nothing when it is not there.
    Remove {
        /// `id`
        id: String,
    },
    /// Append to the canvas's chat.
    Chat,
    /// Nothing: an event only.
    None,
}

/// A message that was refused. Its `op`, where it had a readable one, is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which of the protocol's codes.
    pub code: ErrorCode,
    /// Names the field and what would be right.
    pub message: String,
    /// The op that is refused.
    pub op: Option<u64>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    op: Option<&'a RawValue>,
    #[serde(borrow)]
    v: Option<&'a RawValue>,
    #[serde(borrow)]
    client: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
    #[serde(borrow)]
    since: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    patch: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    reply_to: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    state: Option<&'a RawValue>,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
}

type Parsed<T> = Result<T, Refused>;

fn refused<T>(code: ErrorCode, message: impl Into<String>) -> Parsed<T> {
    let (message, op) = (cut(message.into(), MAX_REFUSAL_CHARS), None);
    Err(Refused { code, message, op })
}

fn bad<T>(message: impl Into<String>) -> Parsed<T> {
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
    let envelope: Envelope<'_> = match serde_json::from_str(text) {
        // serde would take an array for the fields in their order.
        Ok(_) if !text.trim_start().starts_with('{') => return bad("a message is one JSON object"),
        Ok(envelope) => envelope,
        Err(e) if e.is_data() => {
            let (code, message) = (
                ErrorCode::BadMessage,
                format!("a message is one JSON object: {e}"),
            );
            let (message, op) = (cut(message, MAX_REFUSAL_CHARS), only_op(text));
            return Err(Refused { code, message, op });
        }
        Err(e) => return refused(ErrorCode::BadJson, e.to_string()),
    };
    let op = envelope.op.and_then(|raw| raw.get().parse::<u64>().ok());
    dispatch(text, &envelope, max_depth.min(MAX_DEPTH)).map_err(|refused| Refused { op, ..refused })
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

fn dispatch(text: &str, m: &Envelope<'_>, max_depth: usize) -> Parsed<ClientMessage> {
    if is_deeper(text.as_bytes(), max_depth) {
        return bad(format!(
            "nesting is at most {max_depth} levels (max_json_depth)"
        ));
    }
    let Some(kind) = m.kind.as_deref() else {
        return bad("type is missing");
    };
    if let Some(kind) = Kind::parse(kind) {
        return durable(kind, m).map(ClientMessage::Durable);
    }
    match kind {
        "hello" => hello(m).map(ClientMessage::Hello),
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

/// Counting brackets is many times faster than following them, and seldom are there as many as may be nested.
fn is_deeper(text: &[u8], max_depth: usize) -> bool {
    let opening = text.iter().filter(|c| matches!(c, b'{' | b'[')).count();
    opening > max_depth && depth(text) > max_depth
}

/// How deep the brackets go. Strings are passed over; the text is known to be valid JSON.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
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

fn need<'a>(name: &str, raw: Option<&'a RawValue>) -> Parsed<&'a str> {
    match raw {
        Some(raw) => Ok(raw.get()),
        None => bad(format!("{name} is missing")),
    }
}

fn string(name: &str, raw: Option<&RawValue>) -> Parsed<String> {
    serde_json::from_str::<String>(need(name, raw)?)
        .or_else(|_| bad(format!("{name} must be a string")))
}

fn short_string(name: &str, raw: Option<&RawValue>, max: usize) -> Parsed<String> {
    let text = string(name, raw)?;
    if (1..=max).contains(&text.chars().count()) {
        Ok(text)
    } else {
        bad(format!("{name} must have 1 to {max} characters"))
    }
}

/// A JSON value that every reader can hold: numbers in range, strings of whole characters.
fn value(name: &str, raw: Option<&RawValue>) -> Parsed<Value> {
    serde_json::from_str(need(name, raw)?).or_else(|e| bad(format!("{name} is not usable: {e}")))
}

fn object(name: &str, raw: Option<&RawValue>) -> Parsed<serde_json::Map<String, Value>> {
    match value(name, raw)? {
        Value::Object(map) => Ok(map),
        _ => bad(format!("{name} must be an object")),
    }
}

fn hello(m: &Envelope<'_>) -> Parsed<Hello> {
    let v = m.v.and_then(|raw| raw.get().parse().ok()).unwrap_or(0);
    if v != super::VERSION {
        // The rest is another version's business.
        let client = ClientId::parse("unknown0").or_else(|e| bad(e.to_string()))?;
        return Ok(Hello {
            v,
            client,
            user: "{}".to_owned(),
            token: None,
            since: None,
        });
    }
    let client = ClientId::parse(&string("client", m.client)?).or_else(|e| bad(e.to_string()))?;
    let token = m.token.map(|raw| string("token", Some(raw))).transpose()?;
    let since = match m.since {
        Some(raw) if raw.get() != "null" => since(raw)?,
        _ => None,
    };
    Ok(Hello {
        v,
        client,
        user: user(m.user)?,
        token,
        since,
    })
}

/// `None` for an epoch or a number that can't be one of ours: that is no mistake, it only can't be continued.
fn since(raw: &RawValue) -> Parsed<Option<Position>> {
    let since = object("since", Some(raw))?;
    let (Some(epoch), Some(seq)) = (since.get("epoch"), since.get("seq")) else {
        return bad("since must have epoch and seq");
    };
    if !seq.is_number() {
        return bad("since.seq must be a number");
    }
    let epoch = epoch.as_str().and_then(Epoch::parse);
    Ok(epoch
        .zip(seq.as_u64())
        .map(|(epoch, seq)| Position { epoch, seq }))
}

/// `user` with nothing but a name and a colour, since it is sent to everyone.
fn user(raw: Option<&RawValue>) -> Parsed<String> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok("{}".to_owned());
    };
    let given = object("user", Some(raw))?;
    let mut kept = serde_json::Map::new();
    for field in ["name", "color"] {
        match given.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.chars().count() <= MAX_USER_CHARS => {
                kept.insert(field.to_owned(), Value::String(text.clone()));
            }
            Some(_) => {
                return bad(format!(
                    "user.{field} must be a string of at most {MAX_USER_CHARS}"
                ));
            }
        }
    }
    Ok(Value::Object(kept).to_string())
}

fn op(raw: Option<&RawValue>) -> Parsed<u64> {
    let op = raw.and_then(|raw| raw.get().parse::<u64>().ok());
    match op {
        Some(op) if (1..=MAX_OP).contains(&op) => Ok(op),
        _ => refused(
            ErrorCode::BadOp,
            format!("op must be a whole number from 1 to {MAX_OP}"),
        ),
    }
}

fn durable(kind: Kind, m: &Envelope<'_>) -> Parsed<Durable> {
    let op = op(m.op)?;
    let mut body = Body::new(op);
    let change = match kind {
        Kind::ObjectCreate => {
            let id = created(&object("object", m.object)?)?;
            Change::Put {
                id,
                object: body.field("object", need("object", m.object)?),
            }
        }
        Kind::ObjectUpdate => {
            let id = short_string("id", m.id, MAX_OBJECT_ID_CHARS)?;
            let patch = object("patch", m.patch)?;
            check_patch(&id, &patch)?;
            body.field("id", need("id", m.id)?);
            body.field("patch", need("patch", m.patch)?);
            Change::Merge {
                id,
                patch: Value::Object(patch),
            }
        }
        Kind::ObjectDelete => {
            let id = short_string("id", m.id, MAX_OBJECT_ID_CHARS)?;
            body.field("id", need("id", m.id)?);
            Change::Remove { id }
        }
        Kind::Chat => {
            short_string("text", m.text, MAX_CHAT_CHARS)?;
            body.field("text", need("text", m.text)?);
            if let Some(raw) = m.reply_to.filter(|raw| raw.get() != "null") {
                if raw.get().parse::<u64>().is_err() {
                    return bad("reply_to must be the seq of a message");
                }
                body.field("reply_to", raw.get());
            }
            Change::Chat
        }
        Kind::Broadcast => {
            body.event(m)?;
            Change::None
        }
    };
    Ok(Durable {
        kind,
        op,
        body: body.finish(),
        change,
    })
}

/// The checks on a new object; gives its id.
fn created(object: &serde_json::Map<String, Value>) -> Parsed<String> {
    let text = |field: &str, max: usize| match object.get(field) {
        Some(Value::String(text)) if (1..=max).contains(&text.chars().count()) => Ok(text.clone()),
        _ => bad(format!(
            "object.{field} must be a string of 1 to {max} characters"
        )),
    };
    text("kind", MAX_KIND_CHARS)?;
    text("id", MAX_OBJECT_ID_CHARS)
}

/// An object keeps its id, and always has a kind.
fn check_patch(id: &str, patch: &serde_json::Map<String, Value>) -> Parsed<()> {
    if patch.get("id").is_some_and(|new| new.as_str() != Some(id)) {
        return bad("patch.id must not change the object's id");
    }
    match patch.get("kind") {
        None => Ok(()),
        Some(Value::String(kind)) if (1..=MAX_KIND_CHARS).contains(&kind.chars().count()) => Ok(()),
        Some(_) => bad(format!(
            "patch.kind must be a string of 1 to {MAX_KIND_CHARS} characters"
        )),
    }
}

fn presence(m: &Envelope<'_>) -> Parsed<String> {
    let patch = need("state", m.state)?;
    if patch.len() > MAX_PATCH_BYTES {
        let message = format!("a change of state has at most {MAX_PATCH_BYTES} bytes");
        return refused(ErrorCode::TooLarge, message);
    }
    object("state", m.state)?;
    Ok(patch.to_owned())
}

fn signal(m: &Envelope<'_>) -> Parsed<String> {
    let mut body = Body(Vec::new());
    body.event(m)?;
    Ok(body.text())
}

fn ping(m: &Envelope<'_>) -> Parsed<String> {
    let ts = m.ts.map_or("null", RawValue::get);
    let number = ts.len() <= MAX_TS_CHARS && ts.parse::<f64>().is_ok_and(f64::is_finite);
    if number || ts == "null" {
        Ok(ts.to_owned())
    } else {
        bad(format!(
            "ts must be a number of at most {MAX_TS_CHARS} characters"
        ))
    }
}

/// The cursor's fields but `type` and `client`, which are ours to say.
fn cursor(text: &str) -> Parsed<String> {
    let fields: std::collections::BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(text).or_else(|e| bad(format!("cursor: {e}")))?;
    let mut out = Body(Vec::with_capacity(48));
    for name in ["x", "y"] {
        let raw = fields.get(name).copied();
        match raw.map(|raw| raw.get().parse::<f64>()) {
            Some(Ok(number)) if number.is_finite() => {
                out.field(name, raw.map_or("0", RawValue::get));
            }
            _ => return bad(format!("{name} must be a number")),
        }
    }
    for (name, raw) in &fields {
        if !["type", "client", "x", "y"].contains(&&**name) {
            value(name, Some(raw))?;
            let name = serde_json::to_string(name).unwrap_or_default();
            out.raw_field(&name, raw.get());
        }
    }
    if out.0.len() > MAX_CURSOR_BYTES {
        return bad(format!(
            "a cursor's fields are at most {MAX_CURSOR_BYTES} bytes"
        ));
    }
    Ok(out.text())
}

/// Fields joined by commas: the inside of a JSON object.
struct Body(Vec<u8>);

impl Body {
    fn new(op: u64) -> Self {
        Self(format!("{{\"op\":{op}").into_bytes())
    }

    /// Appends a field whose name needs no escape; gives the place of its value.
    fn field(&mut self, name: &str, value: &str) -> Range<usize> {
        self.raw_field(&format!("\"{name}\""), value)
    }

    fn raw_field(&mut self, quoted: &str, value: &str) -> Range<usize> {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        self.0.extend_from_slice(quoted.as_bytes());
        self.0.push(b':');
        let start = self.0.len();
        self.0.extend_from_slice(value.as_bytes());
        start..self.0.len()
    }

    fn event(&mut self, m: &Envelope<'_>) -> Parsed<()> {
        short_string("event", m.event, MAX_EVENT_CHARS)?;
        self.field("event", need("event", m.event)?);
        if m.data.is_some() {
            value("data", m.data)?;
        }
        self.field("data", m.data.map_or("null", RawValue::get));
        Ok(())
    }

    fn finish(mut self) -> Bytes {
        self.0.push(b'}');
        Bytes::from(self.0)
    }

    fn text(self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

#[cfg(test)]
mod tests;
