//! Messages to many members at once, encoded once for each form that a member reads.

use std::cell::OnceCell;
use std::ops::Range;

use bytes::Bytes;

use super::Link;
use crate::backplane::LogBatch;
use crate::protocol::encoding::Encoding;
use crate::protocol::ids::ConnId;
use crate::protocol::msgpack::{self, People};
use crate::room::presence::Roster;

/// A way to hear it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wording {
    /// JSON.
    Json,
    /// MessagePack, people by their numbers.
    Numbered,
    /// MessagePack for those who are still to be told who has which number: people are named whole.
    Whole,
}

impl Wording {
    /// What that member hears now.
    fn of<L: Link>(link: &L) -> Self {
        match link.form().encoding {
            Encoding::Json => Self::Json,
            Encoding::Msgpack if link.has_sent_roster() => Self::Numbered,
            Encoding::Msgpack => Self::Whole,
        }
    }
}

/// See the module's head.
pub(super) struct Wordings<'a, T> {
    roster: &'a Roster,
    make: &'a dyn Fn(Wording, &Recipients<'_>) -> T,
    made: [OnceCell<T>; 3],
}

impl<'a, T> Wordings<'a, T> {
    /// Nothing is made yet.
    pub(super) fn new(roster: &'a Roster, make: &'a dyn Fn(Wording, &Recipients<'_>) -> T) -> Self {
        let made = Default::default();
        Self { roster, make, made }
    }

    /// What that member hears.
    pub(super) fn of<L: Link>(&self, link: &L) -> &T {
        self.worded(Wording::of(link))
    }

    /// What that member hears if it names people whole: then it is the same at all times.
    pub(super) fn lasting<L: Link>(&self, link: &L) -> &T {
        self.worded(match link.form().encoding {
            Encoding::Json => Wording::Json,
            Encoding::Msgpack => Wording::Whole,
        })
    }

    fn worded(&self, wording: Wording) -> &T {
        let roster = self.roster;
        let all_numbered = wording == Wording::Numbered;
        self.made[wording as usize].get_or_init(|| {
            (self.make)(
                wording,
                &Recipients {
                    roster,
                    all_numbered,
                },
            )
        })
    }
}

/// Those who hear it, as [`msgpack`] asks about them.
pub(super) struct Recipients<'a> {
    roster: &'a Roster,
    all_numbered: bool,
}

impl People for Recipients<'_> {
    fn number(&self, client: &str) -> Option<u32> {
        self.roster.number(client)
    }

    fn know_numbers(&self) -> bool {
        self.all_numbered
    }
}

/// Frames that are there in JSON, as those hear them.
pub(super) fn frames(json: &Bytes, wording: Wording, recipients: &Recipients<'_>) -> Bytes {
    match wording {
        Wording::Json => json.clone(),
        Wording::Numbered | Wording::Whole => msgpack::frames(json, recipients, |_| ()),
    }
}

/// Frames that are said together, back to back.
pub(super) struct Frames {
    frames: Bytes,
    ends: Vec<usize>,
}

impl Frames {
    /// Those that are there in JSON, as those hear them.
    pub(super) fn new<'a>(
        json: impl Iterator<Item = &'a [u8]>,
        wording: Wording,
        recipients: &Recipients<'_>,
    ) -> Self {
        let mut frames = Vec::new();
        let mut ends = Vec::new();
        for frame in json {
            match wording {
                Wording::Json => frames.extend_from_slice(frame),
                Wording::Numbered | Wording::Whole => {
                    frames.extend_from_slice(&msgpack::frames(frame, recipients, |_| ()));
                }
            }
            ends.push(frames.len());
        }
        let frames = Bytes::from(frames);
        Self { frames, ends }
    }

    /// Some of them.
    pub(super) fn part(&self, of: Range<usize>) -> Bytes {
        let end = |count: usize| count.checked_sub(1).map_or(0, |last| self.ends[last]);
        self.frames.slice(end(of.start)..end(of.end))
    }
}

/// The frames of a [`LogBatch`], back to back.
pub(super) struct Run {
    pub(super) frames: Bytes,
    /// Where each ends; `None`: where the batch's marks say.
    ends: Option<Vec<usize>>,
    /// The connections and clients that wrote them, each once: nearly all members of a large room wrote none of a run, and
    /// learn it here instead of from every mark.
    authors: Vec<(ConnId, u64)>,
}

impl Run {
    /// A batch as those hear it.
    pub(super) fn new(batch: &LogBatch, wording: Wording, recipients: &Recipients<'_>) -> Self {
        let mut authors: Vec<_> = batch.marks.iter().map(|m| (m.origin, m.client)).collect();
        authors.sort_unstable();
        authors.dedup();
        if wording == Wording::Json {
            let frames = batch.frames.clone();
            let ends = None;
            return Self {
                frames,
                ends,
                authors,
            };
        }
        let mut ends = Vec::with_capacity(batch.marks.len());
        let frames = msgpack::frames(&batch.frames, recipients, |end| ends.push(end));
        let ends = Some(ends);
        Self {
            frames,
            ends,
            authors,
        }
    }

    /// Whether that connection wrote any of them.
    pub(super) fn is_of(&self, conn: ConnId) -> bool {
        self.authors.iter().any(|(origin, _)| *origin == conn)
    }

    /// Whether the client with that mark wrote any of them, through whichever connection.
    pub(super) fn is_by(&self, client: u64) -> bool {
        self.authors.iter().any(|(_, author)| *author == client)
    }

    /// Where the message ends that has that place in the batch.
    pub(super) fn end(&self, batch: &LogBatch, place: usize) -> usize {
        match &self.ends {
            None => batch.marks[place].end,
            Some(ends) => ends[place],
        }
    }
}
