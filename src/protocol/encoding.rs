//! How messages are written, chosen by the handshake: the same messages either way.
//!
//! ```
//! use scumble::protocol::encoding::Encoding;
//!
//! let offered = ["graphql-ws", "scumble.v1.msgpack", "scumble.v1"];
//! assert_eq!(Encoding::chosen(offered), Some(Encoding::Msgpack));
//! assert_eq!(Encoding::chosen(["graphql-ws"]), None);
//! ```

/// An encoding of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Encoding {
    /// JSON in text frames.
    #[default]
    Json,
    /// MessagePack in binary frames.
    Msgpack,
}

impl Encoding {
    /// The subprotocol that stands for it in the handshake.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "scumble.v1",
            Self::Msgpack => "scumble.v1.msgpack",
        }
    }

    /// The first of the offered subprotocols that is one of ours: clients offer what they like best first (RFC 6455, 4.1).
    pub fn chosen<'a>(offered: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let ours = |word: &str| {
            [Self::Json, Self::Msgpack]
                .into_iter()
                .find(|encoding| encoding.subprotocol() == word)
        };
        offered.into_iter().find_map(ours)
    }
}

/// How what is sent to one client is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Form {
    /// What the handshake chose.
    pub encoding: Encoding,
    /// The client reads what is long compressed: it said so in its hello.
    pub deflate: bool,
    /// It is told of the logs of objects.
    pub logs: bool,
}

impl Form {
    /// How many there are, of whatever is told.
    pub const COUNT: usize = 4;

    /// Its place among all of them that tell the same.
    pub fn index(self) -> usize {
        usize::from(self.encoding == Encoding::Msgpack) * 2 + usize::from(self.deflate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_by_its_order() {
        let chosen = |offered: &[&str]| Encoding::chosen(offered.iter().copied());
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&["chat", "scumble.v1.msgpack2"]), None);
        let (json, compact) = ("scumble.v1", "scumble.v1.msgpack");
        assert_eq!(chosen(&[json]), Some(Encoding::Json));
        assert_eq!(chosen(&["chat", compact, json]), Some(Encoding::Msgpack));
        assert_eq!(chosen(&[json, compact]), Some(Encoding::Json));
    }
}
