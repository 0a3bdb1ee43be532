//! `snapshot`: a canvas's state in parts. It is whole, or only what changed since a state that the client holds.

use std::io::Write as _;

use bytes::Bytes;

use crate::protocol::frame;
use crate::protocol::ids::Epoch;

/// The most bytes of a snapshot part's payload.
pub const MAX_PART_BYTES: usize = 512 * 1024;

/// Head and tail of a part and its frame stay below this.
const BESIDE: usize = 512;

/// What parts consist of.
#[derive(Clone, Copy)]
enum List {
    Objects,
    Deleted,
    Compacted,
    Logs,
    Chat,
}

/// The entries of one part, by [`List`].
type Part<'a> = [Vec<&'a str>; 5];

/// What a snapshot tells.
#[derive(Debug, Default)]
pub struct Contents<'a> {
    /// The state to which the rest is to be added; `None` for the whole.
    pub base: Option<u64>,
    /// The ids of what was deleted since. What was made again is among the objects, too.
    pub deleted: Vec<&'a str>,
    /// The ids of objects whose log was compacted since.
    pub compacted: Vec<&'a str>,
    /// Whole objects, each a JSON object.
    pub objects: Vec<&'a str>,
    /// Entries of logs: the object's id, the `seq`, the bytes in base64. `None`: logs are not told of.
    pub entries: Option<Vec<(&'a str, u64, &'a str)>>,
    /// Chat messages, each a JSON object.
    pub chat: &'a [String],
}

/// Cuts a canvas's state without logs into framed `snapshot` parts: see [`snapshot_of`].
pub fn snapshot_parts(epoch: Epoch, seq: u64, objects: &[&str], chat: &[String]) -> Vec<Bytes> {
    let contents = Contents {
        objects: objects.to_vec(),
        chat,
        ..Contents::default()
    };
    snapshot_of((epoch, seq), &contents)
}

/// Cuts a canvas's state into framed `snapshot` parts of at most [`MAX_PART_BYTES`] each. There is
/// always at least one. An entry larger than a part has one of its own.
pub fn snapshot_of((epoch, seq): (Epoch, u64), contents: &Contents<'_>) -> Vec<Bytes> {
    let quoted = |id: &&str| serde_json::Value::from(*id).to_string();
    let deleted: Vec<String> = contents.deleted.iter().map(quoted).collect();
    let compacted: Vec<String> = contents.compacted.iter().map(quoted).collect();
    let entries = contents.entries.iter().flatten();
    let logs: Vec<String> = entries.map(|entry| log_entry(*entry)).collect();
    let objects = contents
        .objects
        .iter()
        .map(|object| (List::Objects, *object));
    let entries = deleted
        .iter()
        .map(|id| (List::Deleted, &**id))
        .chain(compacted.iter().map(|id| (List::Compacted, &**id)))
        .chain(objects)
        .chain(logs.iter().map(|entry| (List::Logs, &**entry)))
        .chain(contents.chat.iter().map(|entry| (List::Chat, &**entry)));
    let parts = cut(entries);
    let last = parts.len() - 1;
    let part = |(i, part): (usize, Part<'_>)| {
        // One that grows step by step is copied, and leaves holes as large as itself.
        let texts = part.iter().flatten().map(|text| text.len() + 1);
        let mut framed = Vec::with_capacity(texts.sum::<usize>() + BESIDE);
        frame::text(&mut framed, |out| {
            // Writing into a Vec cannot fail.
            let _ = write!(
                out,
                "{{\"type\":\"snapshot\",\"epoch\":\"{epoch}\",\"seq\":{seq},\"part\":{i},\"last\":{},",
                i == last
            );
            if let Some(base) = contents.base.filter(|_| i == 0) {
                let _ = write!(out, "\"base\":{{\"epoch\":\"{epoch}\",\"seq\":{base}}},");
            }
            let since = contents.base.is_some();
            let logs = contents.entries.is_some();
            let mut list = |name: &str, list: List| {
                let _ = write!(out, "\"{name}\":[");
                for (i, text) in part[list as usize].iter().enumerate() {
                    out.extend((i > 0).then_some(b','));
                    out.extend_from_slice(text.as_bytes());
                }
                out.extend_from_slice(if name == "chat" { b"]}" } else { b"]," });
            };
            list("objects", List::Objects);
            if since {
                list("deleted", List::Deleted);
            }
            if since && logs {
                list("compacted", List::Compacted);
            }
            if logs {
                list("logs", List::Logs);
            }
            list("chat", List::Chat);
        });
        Bytes::from(framed)
    };
    parts.into_iter().enumerate().map(part).collect()
}

/// An entry of a log as it is told: the object's id, its `seq`, its bytes in base64.
pub fn log_entry((id, seq, data): (&str, u64, &str)) -> String {
    let id = serde_json::Value::from(id);
    format!("{{\"id\":{id},\"seq\":{seq},\"data\":\"{data}\"}}")
}

fn cut<'a>(entries: impl Iterator<Item = (List, &'a str)>) -> Vec<Part<'a>> {
    let budget = MAX_PART_BYTES - BESIDE;
    let mut parts: Vec<Part<'_>> = vec![Part::default()];
    let mut size = 0;
    for (list, text) in entries {
        let empty = size == 0;
        if size + text.len() + 1 > budget && !empty {
            parts.push(Part::default());
            size = 0;
        }
        size += text.len() + 1;
        if let Some(part) = parts.last_mut() {
            part[list as usize].push(text);
        }
    }
    parts
}
