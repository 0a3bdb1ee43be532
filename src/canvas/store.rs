//! The operations that the rules need from a store of one canvas's rows.

use std::num::NonZeroU64;
use std::sync::Arc;

use bytestring::ByteString;

use super::bounds::Totals;
use super::open_object::OpenObject;
use crate::backplane::{Author, Delivery, Member, PresenceEvent};
use crate::protocol::client_message::Kind;
use crate::protocol::ids::{ClientId, ConnId, Epoch, InstanceNumber, Position};

/// What there is once a canvas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// The `seq` of the youngest message.
    pub seq: u64,
    /// How many changes the presence table has had.
    pub presence_version: u64,
    /// The objects, in number and bytes.
    pub totals: Totals,
}

/// What is remembered of a client, present or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientRow {
    /// The first `sub` that was not empty: whose the name is.
    pub subject: String,
    /// The highest op that was committed, ignored or refused for good.
    pub last_op: u64,
    /// Its place; `None` if it took none, or if that means nothing any more.
    pub last_seq: Option<NonZeroU64>,
}

impl ClientRow {
    /// Whether the name is somebody else's than that author's. Without tokens nobody says who they are, and a name is whoever's uses it.
    pub(super) fn is_not_of(&self, author: &Author) -> bool {
        let both_said = !self.subject.is_empty() && !author.subject.is_empty();
        both_said && self.subject != author.subject
    }
}

/// What there is once the log of an object. The default if nothing was ever appended to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ObjectLog {
    /// How many entries it has.
    pub entries: u64,
    /// What they are charged with in all: see [`super::bounds::entry_bytes`].
    pub bytes: u64,
    /// What was compacted last: entries up to this `seq`. 0 if nothing was.
    pub upto: u64,
    /// The `seq` of the message that did it.
    pub compacted_seq: u64,
}

/// A client's place in the presence table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The connection that holds it.
    pub conn: ConnId,
    /// Name and colour, a JSON object.
    pub user: Arc<str>,
    /// Its presence state, a JSON object.
    pub state: Option<Arc<str>>,
    /// Set while it is lost.
    pub away: Option<Away>,
}

impl Place {
    /// The place as others are told of it.
    pub fn member(&self, client: &ClientId) -> Member {
        Member {
            client: client.clone(),
            conn: self.conn,
            user: self.user.clone(),
            state: self.state.clone(),
            away: self.away.is_some(),
        }
    }
}

/// How a client was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Away {
    /// When, ms since the epoch.
    pub since_ms: i64,
    /// Its instance died, too.
    pub instance_lost: bool,
}

/// A message that takes its place in the log.
#[derive(Debug)]
pub struct Logged<'a> {
    /// The place.
    pub seq: u64,
    /// Which of them.
    pub kind: Kind,
    /// Who sent it.
    pub author: &'a Author,
    /// The author's own number for it.
    pub op: u64,
    /// What is told, a JSON object.
    pub body: ByteString,
}

/// The rows of one canvas at one moment, and where what happens is told. Everything is read as the rules last wrote it.
pub trait Store {
    /// What may go wrong. [`std::convert::Infallible`] in memory.
    type Error;

    /// What there is once.
    fn head(&self) -> &Head;

    /// The same, to be written.
    fn head_mut(&mut self) -> &mut Head;

    /// What is remembered of a client; the default if nothing is.
    fn client(&mut self, name: &ClientId) -> Result<&ClientRow, Self::Error>;

    /// Changes what is remembered of a client, who is remembered from now on if it was not.
    fn use_client(
        &mut self,
        name: &ClientId,
        change: impl FnOnce(&mut ClientRow),
    ) -> Result<(), Self::Error>;

    /// The place that an op of the client has among the last [`super::RESENT_STEPS`] messages that are not expired; 0 if it has none.
    fn place_of(&mut self, name: &ClientId, op: u64) -> Result<Option<NonZeroU64>, Self::Error>;

    /// Puts a message behind the others, and tells it.
    fn push(&mut self, message: Logged<'_>) -> Result<(), Self::Error>;

    /// Puts a chat message behind the others. The latest [`crate::limits::CHAT_HISTORY`] are kept.
    fn push_chat(&mut self, seq: u64, entry: String) -> Result<(), Self::Error>;

    /// How many bytes an object has; `None` if it is not there.
    fn object_bytes(&mut self, id: &str) -> Result<Option<usize>, Self::Error>;

    /// An object taken apart, and whether it had to be read and parsed for that; `None` if it is not there.
    fn open_object(&mut self, id: &str) -> Result<Option<(&mut OpenObject, bool)>, Self::Error>;

    /// Forgets what was changed in an object that is taken apart: it is as it is written.
    fn drop_object(&mut self, id: &str);

    /// Writes an object whole. One that is there keeps its place in the order of creation, a new one takes the place `seq`.
    fn put_object(&mut self, id: &str, seq: u64, text: &str) -> Result<(), Self::Error>;

    /// Removes an object that is there.
    fn remove_object(&mut self, id: &str) -> Result<(), Self::Error>;

    /// What names the numbering.
    fn epoch(&mut self) -> Result<Epoch, Self::Error>;

    /// What there is once the log of an object; the default if it has none.
    fn object_log(&mut self, id: &str) -> Result<ObjectLog, Self::Error>;

    /// The same, to be written.
    fn set_object_log(&mut self, id: &str, log: ObjectLog) -> Result<(), Self::Error>;

    /// How many entries of an object's log have a `seq` up to that one, and what they are charged with.
    fn entries_upto(&mut self, id: &str, upto: u64) -> Result<(u64, u64), Self::Error>;

    /// Writes an entry, in base64. None has that `seq`.
    fn put_entry(&mut self, id: &str, seq: u64, data: &str) -> Result<(), Self::Error>;

    /// Removes the entries up to that `seq`.
    fn drop_entries(&mut self, id: &str, upto: u64) -> Result<(), Self::Error>;

    /// Removes the log of an object that has one.
    fn remove_log(&mut self, id: &str) -> Result<(), Self::Error>;

    /// Removes all objects, their logs and all chat.
    fn clear(&mut self) -> Result<(), Self::Error>;

    /// Forgets the log: nothing of it can be read, and no client knows a place of its messages. The numbers go on in that epoch.
    fn renumber(&mut self, epoch: Epoch) -> Result<(), Self::Error>;

    /// A client's place in the presence table.
    fn place(&mut self, client: &ClientId) -> Result<Option<Place>, Self::Error>;

    /// Writes it.
    fn set_place(&mut self, client: &ClientId, place: &Place) -> Result<(), Self::Error>;

    /// Removes it.
    fn remove_place(&mut self, client: &ClientId) -> Result<(), Self::Error>;

    /// Who has a place that a connection of that instance holds, by name.
    fn places_of(&mut self, instance: InstanceNumber) -> Result<Vec<ClientId>, Self::Error>;

    /// Tells everybody of a change of the presence table, which connection `origin` has to do with. `new`: nobody knew the client.
    fn emit_presence(
        &mut self,
        event: PresenceEvent,
        origin: ConnId,
        new: bool,
    ) -> Result<(), Self::Error>;

    /// Tells everybody that the numbering began anew.
    fn emit_reset(&mut self, head: Position) -> Result<(), Self::Error>;

    /// Tells the connection that it is about: [`Delivery::Joined`] or [`Delivery::Outcome`].
    fn answer(&mut self, answer: Delivery);
}
