//! The rules of a canvas, pure: entries and the time in, rows and deliveries out. No clock, no lock, no I/O.
//!
//! [`Moment`] decides everything: whether a message is a duplicate, to whom a client's name belongs, what a message
//! does to the objects, whether there is room for them, what happens to clients that come, go or are lost, and the
//! words of a refusal. It reads and writes rows through [`Store`], which has two implementations. [`CanvasState`] holds
//! the rows in memory: the copies over Redis and the in-process backplane use it. A transaction of [`crate::sqlite`]
//! holds them in tables. Neither of them decides anything.

mod batch;
pub mod bounds;
mod ears;
mod messages;
mod moment;
mod open_object;
mod overlay;
mod presence;
pub mod quotas;
mod refusals;
mod state;
mod store;

pub use ears::{Changed, Ears, Heed};
pub use moment::{Moment, Rules};
pub use open_object::OpenObject;
pub use state::{CanvasState, Command, codec};
pub use store::{Away, ClientRow, Head, Logged, Place, Store};

/// How far back in its log the place of a resent message is looked for. A client sends its last few ops again.
pub const RESENT_STEPS: usize = 64;
