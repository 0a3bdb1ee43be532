//! The client's side of the wire: the messages of a load client, and the parts that it reads of those it gets.
//!
//! Times in messages are microseconds of the load's own clock: all its clients are one process.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::protocol::ids::Position;

/// Everything that a server message may carry and that a load client reads.
#[derive(Debug, Default, Deserialize)]
pub struct Heard<'a> {
    /// `type`
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// `seq`
    #[serde(default)]
    pub seq: u64,
    /// `op`
    #[serde(default)]
    pub op: u64,
    /// The author, or this client itself in `welcome`.
    #[serde(borrow, default)]
    pub client: Cow<'a, str>,
    /// `ack.status`
    #[serde(borrow, default)]
    pub status: Cow<'a, str>,
    /// `error.code`
    #[serde(borrow, default)]
    pub code: Cow<'a, str>,
    /// `error.message`
    #[serde(borrow, default)]
    pub message: Cow<'a, str>,
    /// `goaway`, `error`
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// `welcome`, `snapshot`
    #[serde(borrow, default)]
    pub epoch: Cow<'a, str>,
    /// `welcome`
    #[serde(borrow, default)]
    pub mode: Cow<'a, str>,
    /// `welcome`
    #[serde(borrow, default)]
    pub instance: Cow<'a, str>,
    /// `welcome`
    #[serde(default)]
    pub acked_op: u64,
    /// `snapshot`
    #[serde(default)]
    pub part: u64,
    /// `snapshot`
    #[serde(default)]
    pub last: bool,
    /// `snapshot`
    #[serde(borrow, default)]
    pub objects: Vec<&'a RawValue>,
    /// `object-update`
    #[serde(borrow, default)]
    pub patch: Option<&'a RawValue>,
    /// `broadcast`
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
    /// `cursor-batch`
    #[serde(borrow, default)]
    pub cursors: Vec<Cursor<'a>>,
    /// When a durable message was due, if that was read already.
    #[serde(skip)]
    pub due: Option<u64>,
}

/// One entry of a `cursor-batch`.
#[derive(Debug, Deserialize)]
pub struct Cursor<'a> {
    /// Whose.
    #[serde(borrow)]
    pub client: Cow<'a, str>,
    /// When it was due.
    #[serde(default)]
    pub t: Option<u64>,
}

#[derive(Deserialize)]
struct Stamped {
    t: Option<u64>,
}

impl Heard<'_> {
    /// When the message was due, if a load client wrote it.
    pub fn due_us(&self) -> Option<u64> {
        if self.due.is_some() {
            return self.due;
        }
        let raw = self.data.or(self.patch)?;
        serde_json::from_str::<Stamped>(raw.get()).ok()?.t
    }
}

/// Names the clients of one run: `load-RUN-NUMBER`.
#[derive(Debug)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// Names that no other run has.
    pub fn new() -> Self {
        let run = uuid::Uuid::new_v4().simple().to_string();
        Self {
            prefix: format!("load-{}-", &run[..12]),
        }
    }

    /// The id of a canvas's member.
    pub fn client(&self, canvas: usize, member: usize) -> String {
        format!("{}{canvas}-{member}", self.prefix)
    }

    /// Which member that is; `None` for clients that are not of this run.
    pub fn member(&self, client: &str) -> Option<u32> {
        client
            .strip_prefix(&self.prefix)?
            .rsplit('-')
            .next()?
            .parse()
            .ok()
    }
}

/// `hello`
pub fn hello(client: &str, member: usize, since: Option<Position>) -> String {
    let since = since.map_or(String::new(), |at| {
        format!(
            ",\"since\":{{\"epoch\":\"{}\",\"seq\":{}}}",
            at.epoch, at.seq
        )
    });
    let token = super::reach::token(client, member);
    let token = token.map_or(String::new(), |token| format!(",\"token\":\"{token}\""));
    format!(
        "{{\"type\":\"hello\",\"v\":1,\"client\":\"{client}\",\
         \"user\":{{\"name\":\"Load {member}\"}}{since}{token}}}"
    )
}

/// `object-create` of the member's one object. The same id in every run: a second run replaces it.
pub fn create(op: u64, member: usize) -> String {
    format!(
        "{{\"type\":\"object-create\",\"op\":{op},\
         \"object\":{{\"id\":\"load-{member}\",\"kind\":\"box\",\"x\":0,\"y\":0}}}}"
    )
}

/// `object-create` of an object of its own for each op, of `bytes` bytes (more if the rest alone is longer).
pub fn create_sized(op: u64, bytes: usize) -> String {
    let (x, y) = place(op);
    let object = format!("{{\"id\":\"load-{op}\",\"kind\":\"box\",\"x\":{x},\"y\":{y},\"text\":\"");
    let pad = ".".repeat(bytes.saturating_sub(object.len() + 2));
    format!("{{\"type\":\"object-create\",\"op\":{op},\"object\":{object}{pad}\"}}}}")
}

/// `object-update` of the member's one object.
pub fn update(op: u64, member: usize, due_us: u64) -> String {
    let (x, y) = place(op);
    format!(
        "{{\"type\":\"object-update\",\"op\":{op},\"id\":\"load-{member}\",\
         \"patch\":{{\"x\":{x},\"y\":{y},\"t\":{due_us}}}}}"
    )
}

/// `broadcast` of `bytes` bytes (more if the envelope alone is longer).
pub fn broadcast(op: u64, due_us: u64, bytes: usize) -> String {
    let mut text = format!(
        "{{\"type\":\"broadcast\",\"op\":{op},\"event\":\"load\",\"data\":{{\"t\":{due_us},\"pad\":\""
    );
    let tail = "\"}}";
    let pad = bytes.saturating_sub(text.len() + tail.len());
    text.extend(std::iter::repeat_n('.', pad));
    text.push_str(tail);
    text
}

/// `cursor`
pub fn cursor(n: u64, due_us: u64) -> String {
    let (x, y) = place(n);
    format!("{{\"type\":\"cursor\",\"x\":{x},\"y\":{y},\"t\":{due_us}}}")
}

fn place(n: u64) -> (u64, u64) {
    (n * 7 % 1920, n * 5 % 1080)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::client_message::{ClientMessage, Kind, parse};
    use crate::protocol::ids::Epoch;

    #[test]
    fn the_server_takes_what_a_client_says() {
        let durable = |text: &str| match parse(text) {
            Ok(ClientMessage::Durable(m)) => (m.kind, m.op),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(durable(&create(1, 3)), (Kind::ObjectCreate, 1));
        assert_eq!(durable(&create_sized(1, 200)), (Kind::ObjectCreate, 1));
        assert_eq!(durable(&update(2, 3, 99)), (Kind::ObjectUpdate, 2));
        assert_eq!(durable(&broadcast(3, 99, 0)), (Kind::Broadcast, 3));
        assert!(matches!(parse(&cursor(1, 5)), Ok(ClientMessage::Cursor(_))));
        let since = Position {
            epoch: Epoch(5),
            seq: 4,
        };
        let names = Names::new();
        match parse(&hello(&names.client(999, 9_999), 1, Some(since))) {
            Ok(ClientMessage::Hello(hello)) => {
                assert_eq!(hello.since, Some(since));
                assert_eq!(names.member(hello.client.as_str()), Some(9_999));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(Names::new().member(&names.client(0, 1)), None);
    }

    #[test]
    fn a_broadcast_has_the_size_asked_for_and_tells_its_time() {
        let text = broadcast(1, 123, 200);
        assert_eq!(text.len(), 200);
        let heard: Heard<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(heard.due_us(), Some(123));
        let text = update(1, 2, 456);
        let heard: Heard<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(heard.due_us(), Some(456));
    }

    #[test]
    fn a_cursor_batch_tells_its_times() {
        let text = r#"{"type":"cursor-batch","cursors":[{"client":"a","x":1,"y":2,"t":7},{"client":"b"}]}"#;
        let heard: Heard<'_> = serde_json::from_str(text).unwrap();
        let times: Vec<_> = heard.cursors.iter().map(|c| c.t).collect();
        assert_eq!(times, [Some(7), None]);
    }
}
