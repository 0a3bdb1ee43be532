//! The messages that a load client receives in MessagePack.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

use super::wire::{Cursor, Heard};
use crate::protocol::msgpack::{Head, Source, to_json};

/// A frame, read.
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack")]
pub enum Frame<'a> {
    /// A frequent message.
    Frequent(Heard<'a>),
    /// Any other, as the JSON that it would have been.
    Other(String),
}

/// What one connection was told about who has which number.
#[derive(Debug, Default)]
pub struct Reader {
    people: HashMap<u64, String>,
}

#[derive(Deserialize)]
struct Numbers {
    client: String,
    n: Option<u64>,
    #[serde(default)]
    users: Vec<Numbered>,
}

#[derive(Deserialize)]
struct Numbered {
    client: String,
    n: Option<u64>,
}

impl Reader {
    /// Reads a binary frame; `None` if it is no message of the protocol.
    pub fn read<'a>(&'a mut self, frame: &'a [u8]) -> Option<Frame<'a>> {
        let mut rest = Source(frame);
        if let Head::Array(entries) = rest.head().ok()? {
            return self.frequent(&mut rest, entries).map(Frame::Frequent);
        }
        let json = to_json(frame, usize::MAX, usize::MAX).ok()?;
        if let Ok(told) = serde_json::from_str::<Numbers>(&json) {
            let users = told.users.into_iter().map(|user| (user.n, user.client));
            for (n, client) in users.chain([(told.n, told.client)]) {
                if let Some(n) = n {
                    self.people.insert(n, client);
                }
            }
        }
        Some(Frame::Other(json))
    }

    fn frequent<'a>(&'a self, rest: &mut Source<'a>, entries: usize) -> Option<Heard<'a>> {
        let mut heard = Heard::default();
        let code = unsigned(rest)?;
        heard.kind = Cow::Borrowed(match code {
            1 => "ack",
            2 => "object-create",
            3 => "object-update",
            4 => "object-delete",
            5 => "chat",
            6 => "broadcast",
            7 => "cursor-batch",
            8 => "presence",
            _ => return None,
        });
        match code {
            1 => {
                heard.op = unsigned(rest)?;
                heard.seq = unsigned(rest)?;
                let status =
                    ["ok", "dup", "ignored"].get(usize::try_from(unsigned(rest)?).ok()?)?;
                heard.status = Cow::Borrowed(status);
            }
            2..=6 => {
                heard.seq = unsigned(rest)?;
                heard.client = self.person(rest)?;
                rest.skip().ok()?;
                heard.op = unsigned(rest)?;
                if code == 3 || code == 6 {
                    rest.skip().ok()?;
                    heard.due = due(rest)?;
                }
            }
            7 => {
                for _ in 1..entries {
                    let cursor = self.cursor(rest)?;
                    heard.cursors.push(cursor);
                }
            }
            _ => {}
        }
        Some(heard)
    }

    fn cursor<'a>(&'a self, rest: &mut Source<'a>) -> Option<Cursor<'a>> {
        let Head::Array(entries) = rest.head().ok()? else {
            return None;
        };
        let client = self.person(rest)?;
        (0..2).try_for_each(|_| rest.skip()).ok()?;
        let t = if entries > 3 { due(rest)? } else { None };
        Some(Cursor { client, t })
    }

    fn person<'a>(&'a self, rest: &mut Source<'a>) -> Option<Cow<'a, str>> {
        match rest.head().ok()? {
            Head::Unsigned(number) => self.people.get(&number).map(|name| name.as_str().into()),
            Head::Text(len) => rest.text(len).ok().map(Cow::Borrowed),
            _ => None,
        }
    }
}

fn unsigned(rest: &mut Source<'_>) -> Option<u64> {
    match rest.head().ok()? {
        Head::Unsigned(number) => Some(number),
        _ => None,
    }
}

/// `t` of the next value, if that is a map and has one.
fn due(rest: &mut Source<'_>) -> Option<Option<u64>> {
    let mut value = *rest;
    rest.skip().ok()?;
    let Head::Map(entries) = value.head().ok()? else {
        return Some(None);
    };
    for _ in 0..entries {
        let Head::Text(len) = value.head().ok()? else {
            return None;
        };
        if value.text(len).ok()? == "t" {
            return unsigned(&mut value).map(Some);
        }
        value.skip().ok()?;
    }
    Some(None)
}
