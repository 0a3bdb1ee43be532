//! An entry as bytes. The authors stand in a table before all entries, each once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::{Damaged, unreadable};
use crate::backplane::{Author, End, Entry, Post};
use crate::protocol::client_message::{Change, ClientMessage, Durable, Kind, parse};
use crate::protocol::ids::{ClientId, ConnId};

/// Who wrote a batch's entries.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Authors<'a> {
    #[serde(borrow)]
    list: Vec<AuthorWire<'a>>,
    /// Places in the list, while it is made.
    #[serde(skip)]
    places: HashMap<*const Author, u32>,
}

#[derive(Serialize, Deserialize)]
struct AuthorWire<'a> {
    conn: u64,
    client: &'a str,
    user: &'a str,
    subject: &'a str,
}

/// A place in the list of authors.
type By = u32;

#[derive(Serialize, Deserialize)]
pub(super) enum EntryWire<'a> {
    Durable(By, #[serde(borrow)] DurableWire<'a>),
    Join(By),
    State(By, &'a str),
    Leave(By, bool),
    Signal(By, &'a str),
    Cursors(Vec<(&'a str, &'a str)>),
    Kick(u64),
    Post(u64, u64, &'a str),
}

#[derive(Serialize, Deserialize)]
pub(super) struct DurableWire<'a> {
    kind: Kind,
    op: u64,
    body: &'a str,
    #[serde(borrow)]
    change: ChangeWire<'a>,
}

/// It is not parsed from the body again: that is most of what a message costs.
#[derive(Serialize, Deserialize)]
enum ChangeWire<'a> {
    Put(&'a str, Range<usize>),
    Merge(&'a str, #[serde(borrow)] Cow<'a, str>),
    Remove(&'a str),
    Chat,
    None,
    /// A batch, a merge with edits or a compaction: it is read from the body again.
    Again,
    Append(&'a str, Range<usize>),
}

impl<'a> Authors<'a> {
    fn place(&mut self, author: &'a Arc<Author>) -> By {
        let list = &mut self.list;
        *self.places.entry(Arc::as_ptr(author)).or_insert_with(|| {
            list.push(AuthorWire {
                conn: author.conn.0,
                client: author.client.as_str(),
                user: &author.user,
                subject: &author.subject,
            });
            // A batch has far fewer than 2^32 entries.
            u32::try_from(list.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// The authors, each at its place.
    pub(super) fn made(&self) -> Result<Vec<Arc<Author>>, Damaged> {
        let made = self.list.iter().map(|author| {
            Ok(Arc::new(Author::new(
                ConnId(author.conn),
                client(author.client)?,
                author.user.to_owned(),
                author.subject.to_owned(),
            )))
        });
        made.collect()
    }
}

impl<'a> EntryWire<'a> {
    pub(super) fn of(entry: &'a Entry, authors: &mut Authors<'a>) -> Self {
        match entry {
            Entry::Durable { author, message } => {
                Self::Durable(authors.place(author), DurableWire::of(message))
            }
            Entry::Join { author } => Self::Join(authors.place(author)),
            Entry::State { author, state } => Self::State(authors.place(author), state),
            Entry::Leave { author, end } => Self::Leave(authors.place(author), *end == End::Clean),
            Entry::Signal { author, body } => Self::Signal(authors.place(author), body),
            Entry::Cursors { cursors } => {
                let cursors = cursors.iter();
                Self::Cursors(
                    cursors
                        .map(|(client, fields)| (client.as_str(), &**fields))
                        .collect(),
                )
            }
            Entry::Kick { conn } => Self::Kick(conn.0),
            Entry::Post { conn, post } => {
                let number = post.number.map_or(0, NonZeroU64::get);
                Self::Post(conn.0, number, &post.messages)
            }
        }
    }

    pub(super) fn made(self, authors: &[Arc<Author>]) -> Result<Entry, Damaged> {
        let by = |place: By| {
            let author = usize::try_from(place).ok().and_then(|i| authors.get(i));
            author
                .cloned()
                .ok_or_else(|| unreadable("an entry's author is not there"))
        };
        Ok(match self {
            Self::Durable(author, message) => Entry::Durable {
                author: by(author)?,
                message: message.made()?,
            },
            Self::Join(author) => Entry::Join {
                author: by(author)?,
            },
            Self::State(author, state) => Entry::State {
                author: by(author)?,
                state: state.to_owned(),
            },
            Self::Leave(author, clean) => Entry::Leave {
                author: by(author)?,
                end: match clean {
                    true => End::Clean,
                    false => End::Lost,
                },
            },
            Self::Signal(author, body) => Entry::Signal {
                author: by(author)?,
                body: body.to_owned(),
            },
            Self::Cursors(cursors) => {
                let cursors = cursors.into_iter();
                let cursors = cursors.map(|(name, fields)| Ok((client(name)?, Arc::from(fields))));
                Entry::Cursors {
                    cursors: cursors.collect::<Result<_, Damaged>>()?,
                }
            }
            Self::Kick(conn) => Entry::Kick { conn: ConnId(conn) },
            Self::Post(conn, number, messages) => Entry::Post {
                conn: ConnId(conn),
                post: Post {
                    number: NonZeroU64::new(number),
                    messages: messages.into(),
                },
            },
        })
    }
}

impl<'a> DurableWire<'a> {
    fn of(message: &'a Durable) -> Self {
        Self {
            kind: message.kind,
            op: message.op,
            body: &message.body,
            change: match &message.change {
                Change::Put { id, object } => ChangeWire::Put(id, object.clone()),
                Change::Merge { edits: Some(_), .. } | Change::Batch(_) | Change::Compact(_) => {
                    ChangeWire::Again
                }
                Change::Merge { id, patch, .. } => ChangeWire::Merge(id, patch.to_string().into()),
                Change::Remove { id } => ChangeWire::Remove(id),
                Change::Chat => ChangeWire::Chat,
                Change::None => ChangeWire::None,
                Change::Append { id, data } => ChangeWire::Append(id, data.clone()),
            },
        }
    }

    fn made(self) -> Result<Durable, Damaged> {
        let change = match self.change {
            ChangeWire::Put(id, object) => {
                if self.body.get(object.clone()).is_none() {
                    return Err(unreadable("an object is not within its message"));
                }
                let id = id.to_owned();
                Change::Put { id, object }
            }
            ChangeWire::Merge(id, patch) => Change::Merge {
                id: id.to_owned(),
                patch: Box::new(serde_json::from_str(&patch).map_err(unreadable)?),
                edits: None,
            },
            ChangeWire::Again => return again(self.kind, self.body),
            ChangeWire::Remove(id) => Change::Remove { id: id.to_owned() },
            ChangeWire::Chat => Change::Chat,
            ChangeWire::None => Change::None,
            ChangeWire::Append(id, data) => {
                if self.body.get(data.clone()).is_none() {
                    return Err(unreadable("an entry is not within its message"));
                }
                let id = id.to_owned();
                Change::Append { id, data }
            }
        };
        Ok(Durable {
            kind: self.kind,
            op: self.op,
            body: ByteString::from(self.body),
            change,
        })
    }
}

/// A message read from its body.
fn again(kind: Kind, body: &str) -> Result<Durable, Damaged> {
    let fields = body.strip_prefix('{').unwrap_or(body);
    match parse(&format!("{{\"type\":\"{}\",{fields}", kind.as_str())) {
        Ok(ClientMessage::Durable(message)) => Ok(message),
        Ok(_) => Err(unreadable("a message is not what it says")),
        Err(refused) => Err(unreadable(refused.message)),
    }
}

/// A client's name, checked again.
pub(super) fn client(name: &str) -> Result<ClientId, Damaged> {
    ClientId::parse(name).map_err(unreadable)
}
