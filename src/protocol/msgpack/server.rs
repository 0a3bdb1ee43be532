//! The server's messages in MessagePack: frequent ones as arrays that begin with a number, the others as maps with the
//! same names as in JSON.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use rmp::encode::{write_array_len, write_nil, write_str, write_uint};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::entries;
use super::from_json::{ARRAY, MAP, Write, counted, value};
use super::people::{self, Nobody, People};
use crate::protocol::frame;
use crate::protocol::ids::ClientId;
use crate::protocol::server_message::AckStatus;

/// A frequent message: its `type`, the number that stands for it, and its fields in the order of the array.
pub(super) struct Frequent {
    pub(super) kind: &'static str,
    pub(super) code: u8,
    pub(super) fields: &'static [&'static str],
}

const fn frequent(kind: &'static str, code: u8, fields: &'static [&'static str]) -> Frequent {
    Frequent { kind, code, fields }
}

/// The table that docs/PROTOCOL.md tells. Numbers are never used again for something else.
pub(super) const FREQUENT: [Frequent; 9] = [
    frequent("ack", 1, &["op", "seq", "status"]),
    frequent("object-create", 2, &["seq", "client", "at", "op", "object"]),
    frequent(
        "object-update",
        3,
        &["seq", "client", "at", "op", "id", "patch"],
    ),
    frequent("object-delete", 4, &["seq", "client", "at", "op", "id"]),
    frequent(
        "chat",
        5,
        &["seq", "client", "at", "op", "text", "reply_to", "user"],
    ),
    frequent(
        "broadcast",
        6,
        &["seq", "client", "at", "op", "event", "data"],
    ),
    frequent("presence", 8, &["client", "state", "away"]),
    frequent(
        "log-append",
        LOG_APPEND,
        &["seq", "client", "at", "op", "id", "data"],
    ),
    frequent(
        "log-compact",
        LOG_COMPACT,
        &["seq", "client", "at", "op", "id", "upto", "data"],
    ),
];
/// `log-append`: its `data` is a binary value, as that of the next one is.
const LOG_APPEND: u8 = 10;
/// `log-compact`
const LOG_COMPACT: u8 = 11;
/// `cursor-batch`: each entry is an array of its own.
pub(super) const CURSOR_BATCH: u8 = 7;
/// What stands in each entry of a `cursor-batch`.
const CURSOR: [&str; 3] = ["client", "x", "y"];
/// `ack.status`, by its number.
pub(super) const STATUS: [&str; 3] = ["ok", "dup", "ignored"];

/// Appends a message that is JSON.
///
/// # Errors
/// When it is not what the server says; then what was appended is of no use.
pub fn message(out: &mut Vec<u8>, json: &[u8], people: &impl People) -> serde_json::Result<()> {
    let kind = kind(json);
    if let Some(frequent) = FREQUENT.iter().find(|frequent| frequent.kind == kind) {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let code = Some(frequent.code);
        let fields = frequent.fields;
        return Array {
            out,
            code,
            fields,
            people,
        }
        .deserialize(&mut reader);
    }
    let start = out.len();
    if kind == "snapshot" {
        return entries::snapshot(out, json);
    }
    value(out, json)?;
    if kind == "user-connected"
        && let Some(number) = people.number(serde_json::from_slice::<OfClient<'_>>(json)?.client)
    {
        // A map of four fields at most: there is room for one more in its first byte.
        out[start] += 1;
        write_str(out, "n").map_err(Error::custom)?;
        write_uint(out, number.into()).map_err(Error::custom)?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct OfClient<'a> {
    client: &'a str,
}

/// The `type`, which stands first in all messages that are of interest here.
fn kind(json: &[u8]) -> &str {
    let rest = json.strip_prefix(b"{\"type\":\"").unwrap_or_default();
    let end = rest.iter().position(|c| *c == b'"').unwrap_or(0);
    std::str::from_utf8(&rest[..end]).unwrap_or_default()
}

/// The frame of a message whose frame in JSON is given, people named whole.
pub fn frame(json: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(json.len());
    append(&mut out, frame::payload(json), &Nobody);
    Bytes::from(out)
}

/// The frames of messages whose frames in JSON are given, back to back. Each one's end goes to `ends`.
pub fn frames(json: &[u8], people: &impl People, mut ends: impl FnMut(usize)) -> Bytes {
    let mut out = Vec::with_capacity(json.len());
    for payload in frame::payloads(json) {
        append(&mut out, payload, people);
        ends(out.len());
    }
    Bytes::from(out)
}

fn append(out: &mut Vec<u8>, payload: &[u8], people: &impl People) {
    frame::binary(out, |out| {
        let start = out.len();
        if let Err(error) = message(out, payload, people) {
            // What the parser took can be written; what can't must not hold up what follows.
            tracing::error!(%error, "a message could not be written as MessagePack");
            debug_assert!(false, "{error}: {}", String::from_utf8_lossy(payload));
            out.truncate(start);
            // Writing into a Vec cannot fail.
            let _ = write_nil(out);
        }
    });
}

/// The frame of a `cursor-batch`; each cursor is the inside of a JSON object.
pub fn cursor_batch<'a>(
    cursors: impl Iterator<Item = (&'a ClientId, &'a str)>,
    people: &impl People,
) -> Bytes {
    let mut out = Vec::with_capacity(160);
    let mut object = String::new();
    frame::binary(&mut out, |out| {
        let written = counted(out, &ARRAY, |out| {
            write_uint(out, CURSOR_BATCH.into()).map_err(Error::custom)?;
            let mut count = 1;
            for (client, fields) in cursors {
                object.clear();
                let pieces = ["{\"client\":\"", client.as_str(), "\",", fields, "}"];
                pieces.iter().for_each(|piece| object.push_str(piece));
                let code = None;
                let fields = &CURSOR[..];
                Array {
                    out,
                    code,
                    fields,
                    people,
                }
                .deserialize(&mut serde_json::Deserializer::from_str(&object))?;
                count += 1;
            }
            serde_json::Result::Ok(count)
        });
        debug_assert!(written.is_ok(), "{written:?}: {object}");
    });
    Bytes::from(out)
}

/// Appends the frame of an `ack`.
pub fn ack(out: &mut Vec<u8>, op: u64, seq: u64, status: AckStatus) {
    frame::binary(out, |out| {
        let status = STATUS.iter().position(|word| *word == status.as_str());
        let status = status.unwrap_or_default() as u64;
        // Writing into a Vec cannot fail.
        let _ = write_array_len(out, 4);
        for number in [FREQUENT[0].code.into(), op, seq, status] {
            let _ = write_uint(out, number);
        }
    });
}

/// Appends a map as an array: its number, the fields in their order, and those that are not named as a map, if there are any.
struct Array<'a, P> {
    out: &'a mut Vec<u8>,
    code: Option<u8>,
    fields: &'static [&'static str],
    people: &'a P,
}

/// What was read of a map, each value written already.
struct Read {
    values: Vec<u8>,
    known: [Range<usize>; 8],
    rest: Vec<u8>,
    in_rest: u32,
}

impl<'de, P: People> DeserializeSeed<'de> for Array<'_, P> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, P: People> Visitor<'de> for Array<'_, P> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message of the server")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let read = self.read(map)?;
        let Self {
            out, code, fields, ..
        } = self;
        counted(out, &ARRAY, |out| {
            if let Some(code) = code {
                write_uint(out, code.into()).map_err(Error::custom)?;
            }
            for place in &read.known[..fields.len()] {
                match place.is_empty() {
                    true => write_nil(out).map_err(Error::custom)?,
                    false => out.extend_from_slice(&read.values[place.clone()]),
                }
            }
            if read.in_rest > 0 {
                counted(out, &MAP, |out| {
                    out.extend_from_slice(&read.rest);
                    Ok(read.in_rest)
                })?;
            }
            let entries = fields.len() + usize::from(code.is_some());
            let entries = entries + usize::from(read.in_rest > 0);
            Ok(u32::try_from(entries).unwrap_or(u32::MAX))
        })
    }
}

impl<P: People> Array<'_, P> {
    fn read<'de, A: MapAccess<'de>>(&self, mut map: A) -> Result<Read, A::Error> {
        let mut read = Read {
            values: Vec::with_capacity(128),
            known: Default::default(),
            rest: Vec::new(),
            in_rest: 0,
        };
        while let Some(Name(name)) = map.next_key::<Name<'_>>()? {
            let start = read.values.len();
            match self.fields.iter().position(|field| *field == name) {
                Some(at) => {
                    self.read_known(&name, &mut map, &mut read.values)?;
                    read.known[at] = start..read.values.len();
                }
                None if name == "type" => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
                None => {
                    write_str(&mut read.rest, &name).map_err(Error::custom)?;
                    map.next_value_seed(Write(&mut read.rest))?;
                    read.in_rest += 1;
                }
            }
        }
        Ok(read)
    }

    fn read_known<'de, A: MapAccess<'de>>(
        &self,
        name: &str,
        map: &mut A,
        out: &mut Vec<u8>,
    ) -> Result<(), A::Error> {
        match name {
            "client" => people::write(out, self.people, map.next_value::<&str>()?),
            "data" if matches!(self.code, Some(LOG_APPEND | LOG_COMPACT)) => {
                map.next_value_seed(entries::Bytes(out))?;
            }
            "status" => {
                let status = map.next_value::<&str>()?;
                let number = STATUS.iter().position(|word| *word == status);
                let number = number.ok_or_else(|| Error::custom("no such status"))?;
                write_uint(out, number as u64).map_err(Error::custom)?;
            }
            _ => map.next_value_seed(Write(out))?,
        }
        Ok(())
    }
}

/// The name of a field.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
