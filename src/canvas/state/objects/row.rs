//! The row of an object: 32 bytes beside its text.

use crate::backplane::{SharedText, Whole};

/// Where an id is looked for in its object's text.
pub(super) const ID_WITHIN: usize = 256;
/// Ids that are read are no longer than that.
pub(super) const MAX_ID: usize = u16::MAX as usize;
/// Texts that are longer have an allocation of their own: little is gained where they share one.
const SMALL: usize = 1024;

/// An object.
#[derive(Debug, Clone)]
pub(in crate::canvas::state) struct Object {
    /// The `seq` of the message that created it.
    place: u64,
    /// So much later it was changed last. Not part of what copies must have alike.
    later: u32,
    id: Id,
    /// Empty: it was removed.
    text: SharedText,
}

/// Where an object's id is.
#[derive(Debug, Clone, Copy)]
enum Id {
    /// In its text: from here, and so many bytes.
    Within(u8, u16),
    /// Behind its text: so many bytes.
    Behind(u16),
}

impl Id {
    fn of(id: &str, text: &str) -> Self {
        let begin = &text.as_bytes()[..text.len().min(ID_WITHIN)];
        // Longer ones are refused before they get here.
        let len = u16::try_from(id.len()).unwrap_or(u16::MAX);
        let at = memchr::memmem::find(begin, id.as_bytes());
        match at.map(u8::try_from) {
            Some(Ok(at)) => Self::Within(at, len),
            _ => Self::Behind(len),
        }
    }

    /// Bytes of it that are not in the text.
    fn behind(self) -> usize {
        match self {
            Self::Within(..) => 0,
            Self::Behind(len) => usize::from(len),
        }
    }

    /// The text, with the id where that belongs behind it.
    fn beside(self, id: &str, text: &str) -> SharedText {
        match self {
            Self::Within(..) => text.into(),
            Self::Behind(_) => {
                SharedText::part(&Whole::new([text, id].concat().into()), 0, text.len())
            }
        }
    }
}

/// Appends an object's text to a chunk that is made, and its id where that is not in the text.
pub(super) fn append(id: &str, text: &str, chunk: &mut String) {
    chunk.push_str(text);
    if let Id::Behind(_) = Id::of(id, text) {
        chunk.push_str(id);
    }
}

/// Whether a text shares an allocation with others.
pub(super) fn is_small(text: &str) -> bool {
    (1..=SMALL).contains(&text.len())
}

impl Object {
    /// One that is created with a text of its own.
    pub(super) fn alone(place: u64, id: &str, text: &str) -> Self {
        let whose = Id::of(id, text);
        Self {
            place,
            later: 0,
            id: whose,
            text: whose.beside(id, text),
        }
    }

    /// The same where text and id stand in a chunk, from there on.
    pub(super) fn within(place: u64, (id, text): (&str, &str), chunk: &Whole, at: usize) -> Self {
        Self {
            place,
            later: 0,
            id: Id::of(id, text),
            text: SharedText::part(chunk, at, text.len()),
        }
    }

    /// It has that text from the message numbered `seq` on. `false`: that is too much later to be noted.
    pub(super) fn write(&mut self, seq: u64, text: &str) -> bool {
        let id = Id::of(self.id(), text);
        let text = id.beside(self.id(), text);
        self.id = id;
        self.text = text;
        let later = u32::try_from(seq.saturating_sub(self.place));
        self.later = later.unwrap_or(u32::MAX);
        later.is_ok()
    }

    /// It is gone.
    pub(super) fn clear(&mut self) {
        self.id = Id::Within(0, 0);
        self.text = SharedText::default();
    }

    /// Appends text and id to a chunk that is made.
    pub(super) fn copy_to(&self, chunk: &mut String) {
        chunk.push_str(&self.text);
        chunk.push_str(self.text.behind(self.id.behind()));
    }

    /// From now on they stand in that chunk, from there on.
    pub(super) fn move_to(&mut self, chunk: &Whole, at: usize) {
        self.text = SharedText::part(chunk, at, self.text.len());
    }

    /// The `seq` of the message that created it.
    pub(in crate::canvas::state) fn place(&self) -> u64 {
        self.place
    }

    /// The `seq` of its last change, or a later one where that is not known.
    pub(in crate::canvas::state) fn changed(&self) -> u64 {
        self.place + u64::from(self.later)
    }

    /// Its id.
    pub(in crate::canvas::state) fn id(&self) -> &str {
        match self.id {
            Id::Behind(len) => self.text.behind(usize::from(len)),
            Id::Within(at, len) => {
                let at = usize::from(at);
                self.text.get(at..at + usize::from(len)).unwrap_or_default()
            }
        }
    }

    /// Its JSON.
    pub(in crate::canvas::state) fn text(&self) -> &SharedText {
        &self.text
    }

    /// Bytes that it takes in a chunk.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.id.behind()
    }

    /// The same if it shares a chunk with others.
    pub(super) fn packed_bytes(&self) -> Option<usize> {
        Some(self.bytes()).filter(|own| self.text.whole().len() > *own)
    }

    pub(super) fn is_gap(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn is_small(&self) -> bool {
        is_small(&self.text)
    }
}
