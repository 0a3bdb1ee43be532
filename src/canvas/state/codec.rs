//! Batches and states as bytes: a version, then postcard. Bytes of another process are checked: wrong ones are
//! [`Damaged`].

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Command;
use crate::backplane::Entry;
use crate::protocol::ids::{Epoch, InstanceNumber};
use entry::{Authors, EntryWire};

mod entry;
mod reading;
mod state;

pub use reading::Reading;
pub use state::{Frozen, Pieces};

/// Of batches, ephemeral or not. Another layout has another number.
const BATCH_VERSION: u8 = 4;

/// Why bytes can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Damaged {
    /// Another program wrote them, or they never were what they should be.
    #[error("version {0} of the format is not known here")]
    Version(u8),
    /// They end early, or late, or say what can't be.
    #[error("it is not readable: {0}")]
    Unreadable(String),
}

/// What one instance puts into a canvas's log in one piece.
#[derive(Debug)]
pub struct Batch {
    /// The instance's number; `None` for what any instance may write: a new epoch, a deletion, time that passes where nobody
    /// looks. No client's entry is in such a batch.
    pub from: Option<InstanceNumber>,
    /// The instance's own number for it: see [`super::CanvasState::accept`].
    pub serial: u64,
    /// What the instance's own copy was when it wrote this; `None` if it has none.
    pub seen: Option<Seen>,
    /// What is to be done, in order.
    pub commands: Vec<Command>,
}

/// What a copy was after one batch: whoever has run the same batches must have come to the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Names the era of the log.
    pub era: [u8; 4],
    /// The batch.
    pub n: u64,
    /// Names that batch and all before it.
    pub chain: [u8; 4],
    /// [`super::CanvasState::agreed_hash`].
    pub state: [u8; 8],
}

#[derive(Serialize, Deserialize)]
struct BatchWire<'a> {
    /// 0 for nobody: instances count from 1.
    from: u32,
    serial: u64,
    seen: Option<Seen>,
    #[serde(borrow)]
    authors: Authors<'a>,
    commands: Vec<CommandWire<'a>>,
}

#[derive(Serialize, Deserialize)]
struct EphemeralWire<'a> {
    from: InstanceNumber,
    #[serde(borrow)]
    authors: Authors<'a>,
    entries: Vec<EntryWire<'a>>,
}

#[derive(Serialize, Deserialize)]
enum CommandWire<'a> {
    #[serde(borrow)]
    Entry(EntryWire<'a>),
    InstanceGone(InstanceNumber, bool),
    Restart(u64),
    Renumber(u64),
    Tick,
    Room(i64, u64),
}

/// The bytes of a [`Batch`]. Each author stands there once.
pub fn encode_batch(
    from: Option<InstanceNumber>,
    serial: u64,
    seen: Option<Seen>,
    commands: &[Command],
) -> Vec<u8> {
    let mut authors = Authors::default();
    let wire = |command| match command {
        &Command::InstanceGone { instance, died } => CommandWire::InstanceGone(instance, died),
        &Command::Restart { epoch } => CommandWire::Restart(epoch.0),
        &Command::Renumber { epoch } => CommandWire::Renumber(epoch.0),
        Command::Tick => CommandWire::Tick,
        &Command::Room { left, max } => CommandWire::Room(left, max),
        Command::Entry(entry) => CommandWire::Entry(EntryWire::of(entry, &mut authors)),
    };
    let commands = commands.iter().map(wire).collect();
    let batch = BatchWire {
        from: from.map_or(0, |number| number.0),
        serial,
        seen,
        authors,
        commands,
    };
    sealed(BATCH_VERSION, &batch)
}

/// The batch that was encoded. Its authors are new ones, of which nothing is held.
///
/// # Errors
/// [`Damaged`] for anything else.
pub fn decode_batch(bytes: &[u8]) -> Result<Batch, Damaged> {
    let wire: BatchWire = opened(BATCH_VERSION, bytes)?;
    let authors = wire.authors.made()?;
    let from = (wire.from != 0).then_some(InstanceNumber(wire.from));
    let commands = wire.commands.into_iter().map(|command| {
        Ok(match command {
            CommandWire::Entry(_) if from.is_none() => {
                return Err(Damaged::Unreadable("an entry is of no instance".to_owned()));
            }
            CommandWire::Entry(entry) => Command::Entry(entry.made(&authors)?),
            CommandWire::InstanceGone(instance, died) => Command::InstanceGone { instance, died },
            CommandWire::Restart(epoch) => Command::Restart {
                epoch: Epoch(epoch),
            },
            CommandWire::Renumber(epoch) => Command::Renumber {
                epoch: Epoch(epoch),
            },
            CommandWire::Tick => Command::Tick,
            CommandWire::Room(left, max) => Command::Room { left, max },
        })
    });
    Ok(Batch {
        from,
        serial: wire.serial,
        seen: wire.seen,
        commands: commands.collect::<Result<_, Damaged>>()?,
    })
}

/// The bytes of signals, cursors, kicks and posts: they are told, and never stand in a log.
pub fn encode_ephemeral(from: InstanceNumber, entries: &[Entry]) -> Vec<u8> {
    let mut authors = Authors::default();
    let wire = |entry| EntryWire::of(entry, &mut authors);
    let entries = entries.iter().map(wire).collect();
    let told = EphemeralWire {
        from,
        authors,
        entries,
    };
    sealed(BATCH_VERSION, &told)
}

/// The instance and the entries that were encoded.
///
/// # Errors
/// [`Damaged`] for anything else.
pub fn decode_ephemeral(bytes: &[u8]) -> Result<(InstanceNumber, Vec<Entry>), Damaged> {
    let wire: EphemeralWire = opened(BATCH_VERSION, bytes)?;
    let authors = wire.authors.made()?;
    let entries = wire.entries.into_iter().map(|entry| entry.made(&authors));
    Ok((wire.from, entries.collect::<Result<_, Damaged>>()?))
}

fn sealed(version: u8, value: &impl Serialize) -> Vec<u8> {
    // A vector takes whatever comes, and all lengths are known: there is nothing to fail.
    postcard::to_extend(value, vec![version]).unwrap_or_default()
}

fn opened<'a, T: Deserialize<'a>>(version: u8, bytes: &'a [u8]) -> Result<T, Damaged> {
    let (found, bytes) = bytes
        .split_first()
        .ok_or_else(|| unreadable("it is empty"))?;
    if *found != version {
        return Err(Damaged::Version(*found));
    }
    opened_rest(bytes)
}

/// The last of what is read.
fn opened_rest<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Damaged> {
    // A length that is told is not trusted: serde reserves little, and what is not there can't be read.
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(unreadable)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(unreadable("it goes on behind its end"))
    }
}

/// Puts more behind it.
fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    // As above.
    if let Ok(longer) = postcard::to_extend(value, std::mem::take(out)) {
        *out = longer;
    }
}

fn unreadable(why: impl std::fmt::Display) -> Damaged {
    Damaged::Unreadable(why.to_string())
}
