//! `snapshot`: a canvas's state in parts, whole or as what changed since a state that the client holds.

use std::io::Write as _;

use bytes::Bytes;

use super::framed;
use crate::protocol::ids::Epoch;

/// The most bytes of a snapshot part's payload.
pub const MAX_PART_BYTES: usize = 512 * 1024;

/// What parts consist of.
#[derive(Clone, Copy)]
enum List {
    Objects,
    Deleted,
    Chat,
}

/// The entries of one part, by [`List`].
type Part<'a> = [Vec<&'a str>; 3];

/// Cuts a canvas's state into framed `snapshot` parts of at most [`MAX_PART_BYTES`] each. There is
/// always at least one. An entry larger than a part has one of its own.
pub fn snapshot_parts(epoch: Epoch, seq: u64, objects: &[String], chat: &[String]) -> Vec<Bytes> {
    let objects = objects.iter().map(|object| (List::Objects, &**object));
    let chat = chat.iter().map(|entry| (List::Chat, &**entry));
    parts(epoch, seq, None, objects.chain(chat))
}

/// The same of what changed since `base`: whole objects, and the ids of those that were deleted. One that was made again is in both.
pub fn snapshot_since(
    (epoch, seq, base): (Epoch, u64, u64),
    objects: &[&str],
    deleted: &[&str],
    chat: &[String],
) -> Vec<Bytes> {
    let quoted = |id: &&str| serde_json::Value::from(*id).to_string();
    let deleted: Vec<String> = deleted.iter().map(quoted).collect();
    let deleted = deleted.iter().map(|id| (List::Deleted, &**id));
    let objects = objects.iter().map(|object| (List::Objects, *object));
    let chat = chat.iter().map(|entry| (List::Chat, &**entry));
    parts(epoch, seq, Some(base), deleted.chain(objects).chain(chat))
}

fn parts<'a>(
    epoch: Epoch,
    seq: u64,
    base: Option<u64>,
    entries: impl Iterator<Item = (List, &'a str)>,
) -> Vec<Bytes> {
    // Head, tail and commas stay below this.
    let budget = MAX_PART_BYTES - 512;
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
    let last = parts.len() - 1;
    let part = |(i, [objects, deleted, chat]): (usize, Part<'_>)| {
        framed(|out| {
            // Writing into a Vec cannot fail.
            let _ = write!(
                out,
                "{{\"type\":\"snapshot\",\"epoch\":\"{epoch}\",\"seq\":{seq},\"part\":{i},\"last\":{},",
                i == last
            );
            if let Some(base) = base.filter(|_| i == 0) {
                let _ = write!(out, "\"base\":{{\"epoch\":\"{epoch}\",\"seq\":{base}}},");
            }
            let _ = write!(out, "\"objects\":[{}],", objects.join(","));
            if base.is_some() {
                let _ = write!(out, "\"deleted\":[{}],", deleted.join(","));
            }
            let _ = write!(out, "\"chat\":[{}]}}", chat.join(","));
        })
    };
    parts.into_iter().enumerate().map(part).collect()
}
