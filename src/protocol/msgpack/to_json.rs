//! A client's message in MessagePack, as the JSON that it could have sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::read::{Head, Read, Source, Wrong, no_msgpack, no_word, wrong};
use crate::protocol::client_message::{MAX_DEPTH, Refused};
use crate::protocol::server_message::ErrorCode;

/// The JSON of a binary frame: of at most `max_bytes` bytes, and `max_depth` levels. Messages of a batch may be deeper
/// here: whoever reads the JSON looks at each, and can say which it is.
///
/// # Errors
/// `bad-msgpack` for what is no MessagePack, `bad-message` for what JSON has no word for, `too-large`. The message names the place, and
/// the refusal the `op` if it can be read.
pub fn to_json(bytes: &[u8], max_bytes: usize, max_depth: usize) -> Result<String, Refused> {
    let max_depth = max_depth.min(MAX_DEPTH);
    let mut reader = Reader {
        bytes: Source(bytes),
        out: Vec::with_capacity(bytes.len().min(max_bytes) * 2),
        max_bytes,
        max_depth,
        in_ops: false,
    };
    let read = reader.message().and_then(|()| {
        // Whole strings and ASCII were written.
        String::from_utf8(reader.out).or_else(|_| no_msgpack("a string is not UTF-8"))
    });
    let Wrong { code, what, place } = match read {
        Ok(json) => return Ok(json),
        Err(wrong) => wrong,
    };
    let message = match place.is_empty() {
        true => what,
        false => format!("{}: {what}", cut(&place)),
    };
    let op = Source(bytes).op();
    let others = Vec::new();
    Err(Refused {
        code,
        message,
        op,
        others,
    })
}

/// Names in a refusal are cut, so that an answer is never much larger than what caused it.
fn cut(place: &str) -> String {
    place.chars().take(80).collect()
}

struct Reader<'a> {
    bytes: Source<'a>,
    out: Vec<u8>,
    max_bytes: usize,
    max_depth: usize,
    /// What is read is among the `ops` of the message.
    in_ops: bool,
}

/// Levels around the messages of a batch.
const AROUND_OPS: usize = 2;
/// Only entries of logs are bytes in both encodings.
const NO_BINARY: &str = "binary values can't be sent to clients that read JSON";
/// The types of messages whose `data` is bytes.
const OF_LOGS: [&str; 2] = ["log-append", "log-compact"];

impl Reader<'_> {
    fn message(&mut self) -> Read<()> {
        match self.bytes.head()? {
            Head::Map(entries) => self.map(entries, 1)?,
            _ => return no_word("a message is one map"),
        }
        match self.bytes.0.len() {
            0 => Ok(()),
            more => no_msgpack(&format!("{more} bytes follow behind the message")),
        }
    }

    fn value(&mut self, depth: usize) -> Read<()> {
        match self.bytes.head()? {
            Head::Nil => self.put(b"null"),
            Head::Bool(true) => self.put(b"true"),
            Head::Bool(false) => self.put(b"false"),
            Head::Unsigned(number) => self.json(&number),
            Head::Signed(number) => self.json(&number),
            Head::Float(number) if number.is_finite() => self.json(&number),
            Head::Float(_) => no_word("a number must be finite"),
            Head::Text(len) => {
                let text = self.bytes.text(len)?;
                self.json(text)
            }
            Head::Array(entries) => self.array(entries, depth + 1),
            Head::Map(entries) => self.map(entries, depth + 1),
            Head::Binary(_) => no_word(NO_BINARY),
            Head::Extension(_) => {
                no_word("extension types can't be sent to clients that read JSON")
            }
        }
    }

    fn array(&mut self, entries: usize, depth: usize) -> Read<()> {
        self.deeper(depth)?;
        self.put(b"[")?;
        for n in 0..entries {
            if n > 0 {
                self.put(b",")?;
            }
            self.value(depth)
                .map_err(|wrong| at(wrong, &format!("[{n}]")))?;
        }
        self.put(b"]")
    }

    fn map(&mut self, entries: usize, depth: usize) -> Read<()> {
        self.deeper(depth)?;
        self.put(b"{")?;
        // A message of its own, or one of a batch.
        let is_message = depth == 1 || (depth == 3 && self.in_ops);
        let mut of_log = false;
        let mut binary = false;
        for n in 0..entries {
            if n > 0 {
                self.put(b",")?;
            }
            let Head::Text(len) = self.bytes.head()? else {
                return no_word("a name in a map must be a string");
            };
            let name = self.bytes.text(len)?;
            self.json(name)?;
            self.put(b":")?;
            if is_message {
                match name {
                    "type" => of_log = self.bytes.peeks_text(&OF_LOGS),
                    "data" if self.bytes.peeks_binary() => {
                        self.base64().map_err(|wrong| at(wrong, name))?;
                        binary = true;
                        continue;
                    }
                    "ops" if depth == 1 => self.in_ops = true,
                    _ => {}
                }
            }
            self.value(depth).map_err(|wrong| at(wrong, name))?;
            if depth == 1 {
                self.in_ops = false;
            }
        }
        if binary && !of_log {
            // Which type it is may be said behind.
            return no_word(NO_BINARY).map_err(|wrong| at(wrong, "data"));
        }
        self.put(b"}")
    }

    /// A binary value, as JSON has it.
    fn base64(&mut self) -> Read<()> {
        let Head::Binary(len) = self.bytes.head()? else {
            return no_word("it must be a binary value");
        };
        let text = STANDARD.encode(self.bytes.take(len)?);
        self.json(&text)
    }

    fn deeper(&self, depth: usize) -> Read<()> {
        let max = self.max_depth;
        let here = match self.in_ops {
            true => MAX_DEPTH + AROUND_OPS,
            false => max,
        };
        match depth > here {
            true => no_word(&format!("nesting is at most {max} levels (max_json_depth)")),
            false => Ok(()),
        }
    }

    fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Read<()> {
        // Writing into a Vec cannot fail.
        let _ = serde_json::to_writer(&mut self.out, value);
        self.put(b"")
    }

    fn put(&mut self, text: &[u8]) -> Read<()> {
        self.out.extend_from_slice(text);
        let max = self.max_bytes;
        match self.out.len() > max {
            true => wrong(
                ErrorCode::TooLarge,
                format!("as JSON a message has at most {max} bytes (max_message_bytes)"),
            ),
            false => Ok(()),
        }
    }
}

/// The same one level up. Limits are about the whole message.
fn at(mut wrong: Wrong, step: &str) -> Wrong {
    let whole = wrong.code == ErrorCode::TooLarge || wrong.what.starts_with("nesting");
    if !whole && wrong.place.len() < 1_000 {
        let dot = if wrong.place.is_empty() || wrong.place.starts_with('[') {
            ""
        } else {
            "."
        };
        wrong.place = format!("{step}{dot}{}", wrong.place);
    }
    wrong
}
