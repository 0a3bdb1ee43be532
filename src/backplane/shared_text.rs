//! A text that is shared with whoever reads it, alone or as a part of a larger one.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

/// About the bytes of a text that many are packed in.
const PACKED: usize = 64 * 1024;

/// A part of a text, or all of it. Cloning copies no text. Many small texts in one take 16 bytes each beside their own;
/// one that is alone takes about 60 more.
#[derive(Clone)]
pub struct SharedText {
    of: Whole,
    at: u32,
    len: u32,
}

/// A text that others are parts of. It is a box in an [`Arc`], since an `Arc<str>` takes twice the room in each of them.
pub(crate) type Whole = Arc<Box<str>>;

impl SharedText {
    /// So many bytes of a text, from there on. It is empty if they are not there, or are not whole characters.
    pub(crate) fn part(of: &Whole, at: usize, len: usize) -> Self {
        Self {
            of: of.clone(),
            at: number(at),
            len: number(len),
        }
    }

    /// So many bytes that stand behind it, in the text that it is a part of.
    pub(crate) fn behind(&self, len: usize) -> &str {
        let at = self.at as usize + self.len as usize;
        self.of.get(at..at + len).unwrap_or_default()
    }

    /// The text that it is a part of: as long as somebody has this, all of that is held.
    pub(crate) fn whole(&self) -> &Whole {
        &self.of
    }
}

/// Nobody may have texts that are too long for that.
fn number(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        let at = self.at as usize;
        let end = at + self.len as usize;
        self.of.get(at..end).unwrap_or_default()
    }
}

/// Texts that are put one behind the other.
#[derive(Default)]
pub(crate) struct Packing {
    whole: String,
    /// Where they end in it.
    ends: Vec<usize>,
    packed: Vec<SharedText>,
}

impl Packing {
    /// The next one.
    pub(crate) fn push(&mut self, text: &str) {
        self.whole.push_str(text);
        self.ends.push(self.whole.len());
        if self.whole.len() >= PACKED {
            self.close();
        }
    }

    fn close(&mut self) {
        let whole = Whole::new(std::mem::take(&mut self.whole).into());
        let mut at = 0;
        for end in self.ends.drain(..) {
            self.packed.push(SharedText::part(&whole, at, end - at));
            at = end;
        }
    }

    /// All of them.
    pub(crate) fn done(mut self) -> Vec<SharedText> {
        self.close();
        self.packed
    }
}

/// An empty one, without an allocation of its own.
impl Default for SharedText {
    fn default() -> Self {
        static EMPTY: LazyLock<Whole> = LazyLock::new(Whole::default);
        Self::part(&EMPTY, 0, 0)
    }
}

impl AsRef<str> for SharedText {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<Box<str>> for SharedText {
    fn from(text: Box<str>) -> Self {
        let len = number(text.len());
        let of = Arc::new(text);
        Self { of, at: 0, len }
    }
}

impl From<&str> for SharedText {
    fn from(text: &str) -> Self {
        Box::<str>::from(text).into()
    }
}

impl From<String> for SharedText {
    fn from(text: String) -> Self {
        text.into_boxed_str().into()
    }
}

impl PartialEq for SharedText {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SharedText {}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_the_text_that_stands_there_and_nothing_where_there_is_none() {
        let of: Whole = Arc::new("aäb{}c".into());
        let part = SharedText::part(&of, 4, 2);
        assert_eq!((&*part, part.behind(1), part.whole().len()), ("{}", "c", 7));
        assert_eq!(part, SharedText::from("{}"));
        assert_eq!(part.behind(2), "");
        for (at, len) in [(2, 2), (0, 2), (7, 1), (8, 0), (0, usize::MAX)] {
            assert_eq!(&*SharedText::part(&of, at, len), "", "{at}, {len}");
        }
        assert_eq!(&*SharedText::from((*of).clone()), &**of);
        assert_eq!(&*SharedText::default(), "");
    }

    #[test]
    fn what_is_packed_is_what_was_given() {
        for count in [0, 1, 3, 1_000] {
            let texts = (0..count).map(|n| "é".repeat(n % 400));
            let texts: Vec<String> = texts.collect();
            let mut packing = Packing::default();
            texts.iter().for_each(|text| packing.push(text));
            let packed = packing.done();
            assert!(
                packed
                    .iter()
                    .map(|text| &**text)
                    .eq(texts.iter().map(|text| &**text))
            );
            let most = packed.iter().map(|text| text.whole().len()).max();
            assert!(most.unwrap_or_default() < PACKED + 800);
        }
    }
}
