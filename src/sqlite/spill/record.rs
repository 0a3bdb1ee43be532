//! The records of a spill file, each with its length and a checksum. A record that is cut off ends the file: nobody was
//! promised that it would be kept. A damaged record is an error, and nothing behind it may be used. The author of a
//! damaged record is unknown, and a later op of the same author would turn it into a duplicate when it is sent again.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backplane::{Author, Entry};
use crate::protocol::client_message::{ClientMessage, Durable, parse};
use crate::protocol::ids::{CanvasId, ClientId, ConnId};

/// What the first record says besides the queue's path: another format has another word.
const FORMAT: &str = "scumble-spill-1";
/// Longer records are damaged ones: a message is 128 KiB at most, its escapes and its author's names doubled.
const MAX_BYTES: u32 = 1024 * 1024;

/// The first record.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: String,
    /// Relays may share a folder: this tells whose messages these are.
    db: String,
}

/// A message and who sent it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) canvas: String,
    conn: u64,
    client: String,
    user: String,
    subject: String,
    /// When it was written, on the relay's clock.
    pub(super) at_ms: i64,
    /// As the client could have sent it.
    message: String,
}

impl Record {
    pub(super) fn of(canvas: &CanvasId, author: &Author, message: &Durable, at_ms: i64) -> Self {
        let kind = message.kind.as_str();
        let body = &message.body;
        let fields = body.strip_prefix('{').unwrap_or(body);
        Self {
            canvas: canvas.as_str().to_owned(),
            conn: author.conn.0,
            client: author.client.as_str().to_owned(),
            user: author.user.clone(),
            subject: author.subject.clone(),
            at_ms,
            message: format!("{{\"type\":\"{kind}\",{fields}"),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> io::Result<()> {
        frame(out, &serde_json::to_vec(self)?)
    }

    /// The author as it was; its connection is gone, or its answers are for it.
    pub(super) fn author(&self) -> io::Result<Arc<Author>> {
        let client = ClientId::parse(&self.client).map_err(io::Error::other)?;
        Ok(Arc::new(Author::new(
            ConnId(self.conn),
            client,
            self.user.clone(),
            self.subject.clone(),
        )))
    }

    /// The message again.
    pub(super) fn entry(&self, author: Arc<Author>) -> io::Result<Entry> {
        match parse(&self.message) {
            Ok(ClientMessage::Durable(message)) => Ok(Entry::Durable { author, message }),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The first record of a file.
pub(super) fn head(db: &Path) -> Vec<u8> {
    let head = Head {
        format: FORMAT.to_owned(),
        db: db.to_string_lossy().into_owned(),
    };
    let mut out = Vec::new();
    let text = serde_json::to_vec(&head).unwrap_or_default();
    // It is a path long.
    let _ = frame(&mut out, &text);
    out
}

/// Whether a file that begins here is of that queue.
///
/// # Errors
/// `InvalidData` when that can't be told, or what reading gives.
pub(super) fn is_of(from: &mut impl Read, db: &Path) -> io::Result<bool> {
    let head: Option<Head> = next(from)?;
    Ok(head.is_some_and(|head| head.format == FORMAT && Path::new(&head.db) == db))
}

/// The next message; `None` where the file ends, in the middle of one or behind the last.
///
/// # Errors
/// `InvalidData` when it is damaged, or what reading gives.
pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Record>> {
    next(from)
}

fn frame(out: &mut Vec<u8>, text: &[u8]) -> io::Result<()> {
    let len = u32::try_from(text.len())
        .ok()
        .filter(|len| *len <= MAX_BYTES);
    let len = len.ok_or(io::ErrorKind::InvalidInput)?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(text).to_le_bytes());
    out.extend_from_slice(text);
    Ok(())
}

fn next<T: for<'a> Deserialize<'a>>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [0; 8];
    if !filled(from.read_exact(&mut head))? {
        return Ok(None);
    }
    let [len, crc] =
        [&head[..4], &head[4..]].map(|b| u32::from_le_bytes(b.try_into().unwrap_or_default()));
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    if len > MAX_BYTES {
        return Err(damaged());
    }
    let mut text = vec![0; len as usize];
    if !filled(from.read_exact(&mut text))? {
        return Ok(None);
    }
    if crc32fast::hash(&text) != crc {
        return Err(damaged());
    }
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|_| damaged())
}

/// `false` at the end of the file.
fn filled(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(n: u64) -> Vec<u8> {
        let mut bytes = head(Path::new("/x/relay.db"));
        for op in 1..=n {
            record(op).write(&mut bytes).unwrap();
        }
        bytes
    }

    fn record(op: u64) -> Record {
        Record {
            canvas: "c".into(),
            conn: 7,
            client: "client-1".into(),
            user: "{}".into(),
            subject: String::new(),
            at_ms: 1,
            message: format!(r#"{{"type":"chat","op":{op},"text":"\"hi\" {op}"}}"#),
        }
    }

    /// The ops that stand there, and whether all is well behind them.
    fn ops(mut bytes: &[u8]) -> (Vec<u64>, bool) {
        assert!(is_of(&mut bytes, Path::new("/x/relay.db")).unwrap());
        let mut ops = Vec::new();
        loop {
            let record = match read(&mut bytes) {
                Ok(Some(record)) => record,
                Ok(None) => return (ops, true),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                    return (ops, false);
                }
            };
            let Entry::Durable { message, .. } = record.entry(record.author().unwrap()).unwrap()
            else {
                panic!("a message");
            };
            ops.push(message.op);
        }
    }

    #[test]
    fn what_is_cut_off_ends_the_file_and_what_is_damaged_is_an_error() {
        let whole = written(3);
        assert_eq!(ops(&whole), (vec![1, 2, 3], true));
        let (one, two) = (written(1).len(), written(2).len());
        for cut in two..whole.len() {
            assert_eq!(ops(&whole[..cut]), (vec![1, 2], true), "cut at {cut}");
        }
        for at in one..two {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            let (ops, well) = ops(&bytes);
            // A length that is too long for the file looks like the end of it.
            assert_eq!(ops, [1], "damaged at {at}");
            assert!(!well || at < one + 4, "damaged at {at}");
        }
    }

    #[test]
    fn a_message_comes_back_as_it_was() {
        let text =
            r#"{"type":"object-create","op":5,"object":{"id":"o","kind":"box","t":"é\n\u0000"}}"#;
        let Ok(ClientMessage::Durable(message)) = parse(text) else {
            panic!("a message");
        };
        let author = crate::sqlite::tests::author(3);
        let canvas = CanvasId::parse("board").unwrap();
        let record = Record::of(&canvas, &author, &message, 9);
        let Entry::Durable { message: again, .. } = record.entry(author).unwrap() else {
            panic!("a message");
        };
        assert_eq!((again.op, again.kind), (message.op, message.kind));
        assert_eq!(again.body, message.body);
    }

    #[test]
    fn another_queues_file_is_left_alone() {
        let bytes = head(Path::new("/x/relay.db"));
        assert!(!is_of(&mut bytes.as_slice(), Path::new("/y/relay.db")).unwrap());
        assert!(is_of(&mut &b"what is this?"[..], Path::new("/x/relay.db")).is_err());
        assert!(!is_of(&mut &b""[..], Path::new("/x/relay.db")).unwrap());
    }
}
