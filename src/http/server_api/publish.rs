//! Publishes a message of the application, which gets its place in the canvas's order like any other.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ApiState, access, answer, bad, canvas_id, no_body, refused, unavailable};
use crate::backplane::{Author, Canvas, Directory, Outcome, Unavailable};
use crate::http::body::{self, Announced, Whole};
use crate::http::names::Names;
use crate::http::{error, json_response};
use crate::limits::HTTP_BODY_TIMEOUT;
use crate::protocol::client_message::{ClientMessage, Durable, Hello, MIN_DEPTH, parse_within};
use crate::protocol::ids::ClientId;
use crate::protocol::server_message::ErrorCode;

/// Owns the names of the API's clients: no hello can have one ([`ClientId::RESERVED`]), and no token's `sub` has control characters.
const SUBJECT: &str = "\u{1f}server-api";
/// What a message's envelope may have beside the message itself: `user` and white space.
const ENVELOPE_BYTES: usize = 4 * 1024;
/// Characters of an idempotency key.
const MAX_KEY_CHARS: usize = 255;

/// The author of messages that have no key: one client a process, whose ops are numbered here.
pub(super) struct Robot {
    client: String,
    last_op: Mutex<u64>,
}

impl Robot {
    pub(super) fn new() -> Self {
        Self {
            client: client_of(&uuid::Uuid::new_v4().to_string()),
            last_op: Mutex::new(0),
        }
    }
}

/// The client that a key stands for. The same on every process, and not to be guessed without the key.
fn client_of(key: &str) -> String {
    format!("{}{}", ClientId::RESERVED, hex(&Sha256::digest(key)))
}

/// What a message says, however it is written: spaces, the order of members, the spelling of numbers and `user` do not count.
fn fingerprint(message: &Durable) -> String {
    // It was parsed before, so this does not fail.
    let mut said = serde_json::from_str::<Value>(&message.body).unwrap_or_default();
    said.sort_all_objects();
    hex(&Sha256::digest(format!("{} {said}", message.kind.as_str())))
}

fn hex(digest: &[u8]) -> String {
    let half = digest.iter().take(16);
    half.map(|byte| format!("{byte:02x}")).collect()
}

/// What a request asks for.
struct Wanted {
    fields: BTreeMap<String, Box<RawValue>>,
    user: Box<str>,
    key: Option<String>,
}

/// Commits a message and answers with its place.
pub(super) async fn publish(
    State(state): State<ApiState>,
    Names(canvas): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(published(&state, &canvas, &headers, body).await)
}

async fn published(
    state: &ApiState,
    canvas: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Box<Response>> {
    let id = canvas_id(canvas)?;
    let max = state.http.config.max_message_bytes;
    let body = whole(body, max).await?;
    let wanted = read(headers, &body)?;
    // Whatever is wrong with the message is found before a canvas is made for it.
    let max_depth = state.http.config.limits.max_json_depth;
    let probe = message(&wanted.fields, 1, max_depth)?;
    if probe.body.len() > max {
        return Err(too_large(max));
    }
    if let Some(beginnings) = &state.http.beginnings {
        let maker = access::caller(&state.http.config, headers);
        let admitted = beginnings.admit(&id, &maker).await;
        admitted.map_err(|e| unavailable(&e))?;
    }
    let directory = &state.http.directory;
    let canvas = directory.create(&id).await.map_err(|e| unavailable(&e))?;
    let outcome = append(state, &canvas, &wanted, probe).await?;
    Ok(match outcome.map_err(|e| unavailable(&e))? {
        // The client that a key stands for belongs to its first message.
        Outcome::Refused(refusal)
            if wanted.key.is_some() && refusal.code == ErrorCode::Forbidden =>
        {
            let hint =
                "this Idempotency-Key was used for another message: a new message needs a new key";
            error(StatusCode::CONFLICT, "conflict", hint)
        }
        Outcome::Ack { seq, status } => {
            let body = json!({ "seq": seq, "status": status.as_str() });
            json_response(StatusCode::OK, &body)
        }
        Outcome::Refused(refusal) => refused(&refusal),
    })
}

async fn append(
    state: &ApiState,
    canvas: &Canvas,
    wanted: &Wanted,
    probe: Durable,
) -> Result<Result<Outcome, Unavailable>, Box<Response>> {
    let directory = &state.http.directory;
    let Some(key) = &wanted.key else {
        let ended = {
            // Under the lock, so that ops are appended in the order of their numbers.
            let mut last_op = state.robot.last_op.lock();
            let depth = state.http.config.limits.max_json_depth;
            let message = message(&wanted.fields, *last_op + 1, depth)?;
            *last_op += message.ops().len() as u64;
            let subject = SUBJECT.to_owned();
            let author = author(&**directory, &state.robot.client, subject, wanted)?;
            directory.publish(canvas, author, message)
        };
        return Ok(ended.await);
    };
    let subject = format!("{SUBJECT} {}", fingerprint(&probe));
    let author = author(&**directory, &client_of(key), subject, wanted)?;
    Ok(directory.publish(canvas, author, probe).await)
}

fn author(
    directory: &dyn Directory,
    client: &str,
    subject: String,
    wanted: &Wanted,
) -> Result<Arc<Author>, Box<Response>> {
    let client = ClientId::parse(client).map_err(|wrong| bad(&wrong.to_string()))?;
    let conn = directory.new_conn();
    let user = wanted.user.to_string();
    Ok(Arc::new(Author::new(conn, client, user, subject)))
}

/// Takes a body apart: the message's fields, who is to be named as its author, and its key.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<Wanted, Box<Response>> {
    let fields = serde_json::from_slice(body);
    let mut fields: BTreeMap<String, Box<RawValue>> =
        fields.map_err(|wrong| bad(&format!("the body must be one JSON object: {wrong}")))?;
    let text = |raw: Box<RawValue>| {
        serde_json::from_str::<String>(raw.get())
            .map_err(|_| bad("idempotency_key must be a string"))
    };
    let field = fields.remove("idempotency_key").map(text).transpose()?;
    let header = headers.get("idempotency-key").map(|value| {
        let text = value.to_str().map(str::to_owned);
        text.map_err(|_| bad("Idempotency-Key must be visible ASCII"))
    });
    let key = header.transpose()?.or(field);
    if key
        .as_ref()
        .is_some_and(|key| !(1..=MAX_KEY_CHARS).contains(&key.chars().count()))
    {
        let hint = format!("an idempotency key must have 1 to {MAX_KEY_CHARS} characters");
        return Err(bad(&hint));
    }
    let user = user(fields.remove("user"))?;
    Ok(Wanted { fields, user, key })
}

/// The message under an op of ours, checked like a client's.
fn message(
    fields: &BTreeMap<String, Box<RawValue>>,
    op: u64,
    max_depth: usize,
) -> Result<Durable, Box<Response>> {
    let mut text = format!("{{\"op\":{op}");
    let ops = numbered(fields, op)?;
    let given = |name: &str| name != "op" && (ops.is_none() || name != "ops");
    if let Some(ops) = &ops {
        text.push_str(&format!(",\"ops\":{ops}"));
    }
    for (name, value) in fields.iter().filter(|(name, _)| given(name)) {
        let name = serde_json::to_string(name).unwrap_or_default();
        text.push_str(&format!(",{name}:{}", value.get()));
    }
    text.push('}');
    match parse_within(&text, max_depth) {
        Ok(ClientMessage::Durable(message)) => Ok(message),
        Ok(_) => Err(bad(
            "type must be object-create, object-update, object-delete, chat, broadcast, log-append, \
             log-compact or batch",
        )),
        Err(wrong) => Err(bad(&wrong.message)),
    }
}

/// The messages of a batch under ops of ours, from that one on; `None` if it is none.
fn numbered(
    fields: &BTreeMap<String, Box<RawValue>>,
    op: u64,
) -> Result<Option<String>, Box<Response>> {
    let is_batch = fields
        .get("type")
        .is_some_and(|kind| kind.get() == "\"batch\"");
    let Some(ops) = fields.get("ops").filter(|_| is_batch) else {
        return Ok(None);
    };
    let ops: Vec<BTreeMap<String, Box<RawValue>>> = serde_json::from_str(ops.get())
        .map_err(|wrong| bad(&format!("ops must be an array of messages: {wrong}")))?;
    let one = |(op, fields): (u64, &BTreeMap<String, Box<RawValue>>)| {
        let mut text = format!("{{\"op\":{op}");
        for (name, value) in fields.iter().filter(|(name, _)| *name != "op") {
            let name = serde_json::to_string(name).unwrap_or_default();
            text.push_str(&format!(",{name}:{}", value.get()));
        }
        text.push('}');
        text
    };
    let ops: Vec<String> = (op..).zip(&ops).map(one).collect();
    Ok(Some(format!("[{}]", ops.join(","))))
}

/// Name and colour as a hello would have them.
fn user(raw: Option<Box<RawValue>>) -> Result<Box<str>, Box<Response>> {
    let Some(raw) = raw else {
        return Ok("{}".into());
    };
    let hello = format!(
        "{{\"type\":\"hello\",\"v\":1,\"client\":\"server-api\",\"user\":{}}}",
        raw.get()
    );
    match parse_within(&hello, MIN_DEPTH) {
        Ok(ClientMessage::Hello(Hello { user, .. })) => Ok(user.into()),
        Ok(_) => Err(bad("user must be an object")),
        Err(wrong) => Err(bad(&wrong.message)),
    }
}

/// All of a body, as long as it comes in time and can hold a message of at most `max` bytes.
async fn whole(body: Body, max: usize) -> Result<Whole, Box<Response>> {
    let most = max + ENVELOPE_BYTES;
    let whole = body::whole(body, most, HTTP_BODY_TIMEOUT, Announced::Refuse);
    whole.await.map_err(|why| no_body(why, || too_large(max)))
}

fn too_large(max: usize) -> Box<Response> {
    let message = format!("a message has at most {max} bytes (--max-message-bytes)");
    Box::new(error(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_one_client() {
        let client = client_of("order-17");
        assert_eq!(client, client_of("order-17"));
        assert_ne!(client, client_of("order-18"));
        assert!(ClientId::parse(&client).is_ok(), "{client}");
    }

    #[test]
    fn a_message_is_the_same_however_it_is_written() {
        let print = |body: &[u8]| {
            let wanted = read(&HeaderMap::new(), body).unwrap();
            fingerprint(&message(&wanted.fields, 1, 4).unwrap())
        };
        let one = print(br#"{"type":"broadcast","event":"e","data":{"x":1.50,"y":2}}"#);
        let same =
            br#"{"user": {"name":"A"}, "data":{"y":2, "x":1.5}, "event":"e","type":"broadcast"}"#;
        assert_eq!(one, print(same));
        for other in [
            &br#"{"type":"broadcast","event":"e","data":{"x":1.50,"y":3}}"#[..],
            br#"{"type":"broadcast","event":"f","data":{"x":1.50,"y":2}}"#,
            br#"{"type":"chat","text":"e"}"#,
        ] {
            assert_ne!(one, print(other));
        }
    }

    #[test]
    fn numbers_are_passed_on_as_they_came() {
        let body = br#"{"type":"broadcast","event":"e","data":{"x":1.50,"y":1e30},"op":99,"idempotency_key":"k"}"#;
        let wanted = read(&HeaderMap::new(), body).unwrap();
        assert_eq!(wanted.key.as_deref(), Some("k"));
        let message = message(&wanted.fields, 7, 2).unwrap();
        assert_eq!(
            &message.body[..],
            r#"{"op":7,"event":"e","data":{"x":1.50,"y":1e30}}"#
        );
    }
}
