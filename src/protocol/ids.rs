//! The names of canvases, clients, instances, connections and epochs. Each is checked when it is made.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a name was refused. The message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} must match {pattern}")]
pub struct BadId {
    what: &'static str,
    pattern: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes the name.
            ///
            /// # Errors
            /// [`BadId`] when the text does not match the pattern.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                let check: fn(&[u8]) -> bool = $check;
                if check(text.as_bytes()) {
                    Ok(Self(text.into()))
                } else {
                    Err(BadId { what: $what, pattern: $pattern })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn starts_alphanumeric(text: &[u8], max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text[0].is_ascii_alphanumeric()
        && text
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || b"._:-".contains(c))
}

name!(
    /// A canvas: what one WebSocket carries.
    CanvasId,
    "canvas_id",
    "[A-Za-z0-9][A-Za-z0-9._:-]{0,127}",
    |text| starts_alphanumeric(text, 128)
);

name!(
    /// A client: made by the client itself, stable for one tab.
    ClientId,
    "client",
    "[A-Za-z0-9_-]{8,64}",
    |text| (8..=64).contains(&text.len())
        && text.iter().all(|c| c.is_ascii_alphanumeric() || b"_-".contains(c))
);

name!(
    /// A server process. A UUID unless `--instance-id` says otherwise.
    InstanceId,
    "instance id",
    "[A-Za-z0-9][A-Za-z0-9._:-]{0,63}",
    |text| starts_alphanumeric(text, 64)
);

impl ClientId {
    /// How the names of the relay's own clients begin, which speak for the server API: no hello may have one.
    pub const RESERVED: &'static str = "api-";

    /// Whether it is such a name.
    pub fn is_reserved(&self) -> bool {
        self.as_str().starts_with(Self::RESERVED)
    }
}

/// The number of an instance of a relay. None is given out again, since connections have it in theirs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceNumber(pub u32);

impl InstanceNumber {
    /// Stands for the process itself where a row names a connection.
    pub fn own_conn(self) -> ConnId {
        ConnId::new(self, 0)
    }
}

impl fmt::Display for InstanceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One connection, unique over all instances of a relay and never reused.
///
/// The upper bits are the number of the instance (see [`ConnId::instance`]), so that a message tells where it came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ConnId(pub u64);

impl ConnId {
    /// Connections an instance can count: 2^36, at 1,000 a second for two years.
    const CONN_BITS: u32 = 36;

    /// Connection number `n` of instance number `instance`.
    pub fn new(instance: InstanceNumber, n: u64) -> Self {
        Self((u64::from(instance.0) << Self::CONN_BITS) | (n & ((1 << Self::CONN_BITS) - 1)))
    }

    /// The first and the last connection that an instance can have.
    pub fn all_of(instance: InstanceNumber) -> (Self, Self) {
        (Self::new(instance, 0), Self::new(instance, u64::MAX))
    }

    /// The number of the instance that the connection belongs to.
    pub fn instance(self) -> InstanceNumber {
        // 28 bits are left: instance numbers stay below 2^28.
        InstanceNumber(u32::try_from(self.0 >> Self::CONN_BITS).unwrap_or(u32::MAX))
    }
}

/// The incarnation of a canvas's numbering. A position is only meaningful within its epoch.
///
/// Opaque to clients: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Epoch(pub u64);

impl Epoch {
    /// A new epoch, never seen before.
    pub fn random() -> Self {
        let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
        Self(high)
    }

    /// Reads what [`fmt::Display`] wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 16 && text.bytes().all(|c| c.is_ascii_hexdigit());
        digits
            .then(|| u64::from_str_radix(text, 16).ok().map(Self))
            .flatten()
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A place in a canvas's durable log: everything up to and including `seq` of `epoch`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The incarnation of the numbering.
    pub epoch: Epoch,
    /// The last message held, 0 for none.
    pub seq: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canvas_ids_follow_the_pattern() {
        for good in ["a", "A9", "room:1.2_x", &"x".repeat(128)] {
            assert!(CanvasId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "a/b", "a b", "ä", "_a", &"x".repeat(129)] {
            assert!(CanvasId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn client_ids_follow_the_pattern() {
        assert!(ClientId::parse("abcdefg_-1").is_ok());
        for bad in ["short", "has.dot.in", &"x".repeat(65)] {
            assert!(ClientId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn epochs_survive_their_text() {
        let epoch = Epoch::random();
        assert_eq!(Epoch::parse(&epoch.to_string()), Some(epoch));
        assert_eq!(Epoch::parse("xyz"), None);
    }

    #[test]
    fn a_connection_tells_its_instance() {
        assert_eq!(
            ConnId::new(InstanceNumber(77), 123_456).instance(),
            InstanceNumber(77)
        );
    }
}
