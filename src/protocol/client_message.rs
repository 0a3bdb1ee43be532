//! The messages of a client, parsed once. Pure: text in, a message or a named error out.
//!
//! Only the envelope is read; what the application put in `data`, `object` or `patch` is checked
//! (depth, sizes, numbers) and passed on byte for byte.
//!
//! ```
//! use scumble::protocol::client_message::{ClientMessage, Kind, parse};
//!
//! let text = r#"{"type":"object-create","op":7,"object":{"id":"a","kind":"box","x":1}}"#;
//! let Ok(ClientMessage::Durable(message)) = parse(text) else {
//!     panic!("it is a durable message");
//! };
//! assert_eq!((message.kind, message.op), (Kind::ObjectCreate, 7));
//!
//! // What is wrong is named, with its op if that could be read.
//! let refused = parse(r#"{"type":"chat","op":8,"text":7}"#).unwrap_err();
//! assert_eq!(refused.op, Some(8));
//! assert!(refused.message.contains("text"));
//! ```

use std::ops::Range;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edit::Edits;
use super::features::{Feature, Features};
use super::ids::{ClientId, Epoch, Position};
use super::server_message::ErrorCode;

mod batch;
mod body;
mod edits;
mod envelope;
mod fields;
mod log;

pub use envelope::{parse, parse_within};

/// Levels of arrays and objects in a message, its own braces included, unless configured.
pub const DEFAULT_DEPTH: usize = 32;
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
/// Messages in one `batch`.
pub const MAX_BATCH_OPS: usize = 1_000;
/// Paths in one `object-update`.
pub const MAX_PATHS: usize = 1_000;
/// Entries of one object's log: whoever opens the object reads all of them.
pub const MAX_LOG_ENTRIES: u64 = 10_000;
/// Bytes of one object's log, in base64, and with 64 for each entry.
pub const MAX_LOG_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of a presence patch: none that makes a state of the size allowed is larger, but for what it removes.
pub const MAX_PATCH_BYTES: usize = 32 * 1024;
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
    /// A hello of another version of the protocol; the rest of it is that version's business. `None`: it does not say which.
    OtherVersion(Option<u64>),
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
    /// Who this is, for as long as the tab lives.
    pub client: ClientId,
    /// Name and colour, as a JSON object of at most those two.
    pub user: String,
    /// A JWT, where the server asks for one.
    pub token: Option<String>,
    /// What the client already holds. `None` too when its epoch is not one of ours.
    pub since: Option<Position>,
    /// What the client understands beyond the first.
    pub features: Features,
    /// Whether it reads what is long compressed.
    pub deflate: bool,
}

/// The durable types, and several of them as one. In bytes (`src/canvas/state/codec.rs`) each is its place in this list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
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
    /// `batch`: it is never in a log itself.
    Batch,
    /// `log-append`
    LogAppend,
    /// `log-compact`
    LogCompact,
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
            Self::Batch => "batch",
            Self::LogAppend => "log-append",
            Self::LogCompact => "log-compact",
        }
    }

    /// The kind of that `type`; `None` for types that are not durable.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "object-create" => Self::ObjectCreate,
            "object-update" => Self::ObjectUpdate,
            "object-delete" => Self::ObjectDelete,
            "chat" => Self::Chat,
            "broadcast" => Self::Broadcast,
            "batch" => Self::Batch,
            "log-append" => Self::LogAppend,
            "log-compact" => Self::LogCompact,
            _ => return None,
        })
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
    pub body: ByteString,
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
    /// Merge into the object (RFC 7396), and edit it; nothing when it is not there.
    Merge {
        /// `id`
        id: String,
        /// `patch`, an object; an empty one if there is none.
        patch: Box<Value>,
        /// `unset`, `set` and `append`, if one of them is there: done after the patch.
        edits: Option<Box<Edits>>,
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
    /// What these do, all or nothing. There is at least one, and their ops increase.
    Batch(Vec<Durable>),
    /// Append an entry to the object's log; nothing when the object is not there.
    Append {
        /// `id`
        id: String,
        /// `data`, in base64: its place within [`Durable::body`].
        data: Range<usize>,
    },
    /// Put one entry, or none, in the place of the first entries of an object's log.
    Compact(Box<Compact>),
}

/// A `log-compact`.
#[derive(Debug)]
pub struct Compact {
    /// `id`
    pub id: String,
    /// The `seq` of the last entry that it covers.
    pub upto: u64,
    /// What that number belongs to, if the client says so.
    pub epoch: Option<Epoch>,
    /// `data`, in base64: its place within [`Durable::body`]. `None`: nothing takes the place of what it covers.
    pub data: Option<Range<usize>>,
}

/// What a client must understand to be told a stored message as it is.
pub fn needs(kind: Kind, body: &[u8]) -> Features {
    match kind {
        Kind::ObjectUpdate if has_edits(body) => Features::only(Feature::Set),
        Kind::LogAppend | Kind::LogCompact => Features::only(Feature::Log),
        _ => Features::NONE,
    }
}

/// Whether an update has `set`, `unset` or `append`, which not all clients understand. Those stand right behind the op.
fn has_edits(body: &[u8]) -> bool {
    let Some(rest) = body.strip_prefix(b"{\"op\":") else {
        return false;
    };
    let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
    rest[digits..].first() == Some(&b',') && !rest[digits..].starts_with(b",\"id\":")
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
    /// Those that are refused with it: the others of its batch.
    pub others: Vec<u64>,
}

#[cfg(test)]
mod tests;
