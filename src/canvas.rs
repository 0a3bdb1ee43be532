//! The rules of a canvas, pure: entries and the time in, rows and deliveries out. No clock, no lock, no I/O.
//!
//! [`Moment`] decides everything: whether a message is a duplicate, to whom a client's name belongs, what a message
//! does to the objects, whether there is room for them, what happens to clients that come, go or are lost, and the
//! words of a refusal. It reads and writes rows through [`Store`], which has two implementations. [`CanvasState`] holds
//! the rows in memory: the copies over Redis and the in-process backplane use it. A transaction of [`crate::sqlite`]
//! holds them in tables. Neither of them decides anything.
//!
//! The same entries at the same times make the same canvas, wherever they are run:
//!
//! ```
//! use std::sync::Arc;
//!
//! use scumble::backplane::{Author, Entry};
//! use scumble::canvas::bounds::ObjectBounds;
//! use scumble::canvas::{CanvasState, Rules};
//! use scumble::protocol::client_message::{ClientMessage, parse};
//! use scumble::protocol::ids::{ClientId, ConnId, Epoch, InstanceNumber};
//!
//! let rules = Rules {
//!     message_ttl_ms: 60_000,
//!     presence_grace_ms: 10_000,
//!     bounds: ObjectBounds { max_objects: 1_000, max_bytes: 1 << 20 },
//! };
//! let mut canvas = CanvasState::new(Epoch(1), rules);
//! let client = ClientId::parse("tab-00001").unwrap();
//! let author = Arc::new(Author::new(ConnId::new(InstanceNumber(1), 1), client, "{}".to_owned(), String::new()));
//! let text = r#"{"type":"object-create","op":1,"object":{"id":"a","kind":"box","x":1}}"#;
//! let Ok(ClientMessage::Durable(message)) = parse(text) else { unreachable!() };
//!
//! let mut deliveries = Vec::new();
//! canvas.apply(InstanceNumber(1), Entry::Durable { author, message }, 0, &mut deliveries);
//! assert_eq!((canvas.head().seq, canvas.objects()), (1, 1));
//! ```

mod batch;
pub mod bounds;
mod entries;
mod event_collector;
mod messages;
mod moment;
mod open_object;
mod overlay;
mod presence;
pub mod quotas;
mod refusals;
mod state;
mod store;

pub use event_collector::{Changed, EventCollector, HookFilter};
pub use moment::{Moment, Rules};
pub use open_object::OpenObject;
pub use state::{CanvasState, Command, Contents, KeptClient, KeptMessage, KeptObject, codec};
pub use store::{Away, ClientRow, Head, Logged, ObjectLog, Place, Store};

/// How far back in its log the place of a resent message is looked for. A client sends its last few ops again.
pub const RESENT_STEPS: usize = 64;
