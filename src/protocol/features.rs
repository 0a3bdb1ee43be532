//! The features of one side of a connection, beyond those of every client and server of version 1.
//!
//! `welcome.features` lists those of the server, `hello.features` those that the client understands. Each side ignores
//! words that it does not know, so either may be newer than the other.

/// One thing that may be there or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feature {
    /// The subprotocol `scumble.v1.msgpack`.
    Msgpack,
    /// `hello.compress` with `deflate-raw`.
    Deflate,
    /// `object-update` with `set`, `unset` and `append`.
    Set,
    /// `batch`.
    Batch,
    /// A snapshot of what changed since a state that the client holds.
    Base,
    /// A stream of events where no WebSocket gets through.
    Sse,
    /// Images and files, at `/assets/`.
    Assets,
    /// `log-append` and `log-compact`, and `logs` in snapshots.
    Log,
}

impl Feature {
    /// All that are known, so that a client may say them.
    const KNOWN: &[Self] = &[
        Self::Msgpack,
        Self::Deflate,
        Self::Set,
        Self::Batch,
        Self::Base,
        Self::Sse,
        Self::Assets,
        Self::Log,
    ];

    /// What this server has, told in `welcome.features`; [`Self::Assets`] where they are switched on, too.
    pub const SERVED: &[Self] = &[
        Self::Msgpack,
        Self::Deflate,
        Self::Set,
        Self::Batch,
        Self::Base,
        Self::Sse,
        Self::Log,
    ];

    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Msgpack => "msgpack",
            Self::Deflate => "deflate-raw",
            Self::Set => "set",
            Self::Batch => "batch",
            Self::Base => "base",
            Self::Sse => "sse",
            Self::Assets => "assets",
            Self::Log => "log",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The features that one side said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features(u32);

impl Features {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Those without which some messages of a log can't be understood.
    pub const OF_MESSAGES: Self = Self(Feature::Set.bit() | Feature::Log.bit());

    /// That one alone.
    pub const fn only(feature: Feature) -> Self {
        Self(feature.bit())
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of those are among them.
    pub const fn has_all(self, others: Self) -> bool {
        others.0 & !self.0 == 0
    }

    /// Those among the words that are known.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let known = |word: &str| Feature::KNOWN.iter().find(|feature| feature.word() == word);
        let bits = words.into_iter().filter_map(known);
        Self(bits.fold(0, |all, feature| all | feature.bit()))
    }

    /// Whether it is among them.
    pub fn has(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }
}

/// The features of this server as a JSON array.
pub fn served(assets: bool) -> String {
    let words: Vec<String> = Feature::SERVED
        .iter()
        .chain(assets.then_some(&Feature::Assets))
        .map(|feature| format!("\"{}\"", feature.word()))
        .collect();
    format!("[{}]", words.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_kept_and_others_ignored() {
        let some = Features::of(["batch", "teleport", ""]);
        assert!(some.has(Feature::Batch) && !some.has(Feature::Set));
        assert_eq!(Features::of(["teleport"]), Features::default());
        let all = Features::of(Feature::KNOWN.iter().map(|feature| feature.word()));
        assert!(Feature::KNOWN.iter().all(|feature| all.has(*feature)));
        assert!(all.has_all(some) && !some.has_all(all) && some.has_all(Features::NONE));
        assert!(some.with(Features::only(Feature::Log)).has(Feature::Log));
    }

    #[test]
    fn what_is_served_is_known_and_a_list_of_words() {
        let served: Vec<String> = serde_json::from_str(&served(false)).unwrap();
        assert!(super::served(true).ends_with(",\"assets\"]"));
        let words = Feature::SERVED.iter().map(|feature| feature.word());
        assert!(words.eq(served.iter().map(String::as_str)));
        assert!(Feature::SERVED.iter().all(|f| Feature::KNOWN.contains(f)));
    }
}
