//! The bytes of entries of logs, which JSON has as base64, as binary values.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmp::encode::{write_bin, write_nil, write_str};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::from_json::{ARRAY, MAP, Write, counted_each};

/// Appends a `snapshot` that is JSON.
///
/// # Errors
/// When it is none; then what was appended is of no use.
pub(super) fn snapshot(out: &mut Vec<u8>, json: &[u8]) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Fields(out, Level::Snapshot).deserialize(&mut reader)
}

/// Appends base64 as the bytes that it stands for, and `null` as nil.
pub(super) struct Bytes<'o>(pub(super) &'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Bytes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Some(Text(text)) = Option::<Text<'_>>::deserialize(deserializer)? else {
            return write_nil(self.0).map_err(Error::custom);
        };
        let bytes = STANDARD.decode(text.as_bytes()).map_err(Error::custom)?;
        write_bin(self.0, &bytes).map_err(Error::custom)
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What a map is.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Snapshot,
    Entry,
}

/// Appends a map, in which some field is not what JSON has.
struct Fields<'o>(&'o mut Vec<u8>, Level);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a snapshot or an entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(out, level) = self;
        counted_each(out, &MAP, |out| {
            let Some(Text(name)) = map.next_key::<Text<'_>>()? else {
                return Ok(false);
            };
            write_str(out, &name).map_err(Error::custom)?;
            match (level, &*name) {
                (Level::Snapshot, "logs") => map.next_value_seed(Entries(out))?,
                (Level::Entry, "data") => map.next_value_seed(Bytes(out))?,
                _ => map.next_value_seed(Write(out))?,
            }
            Ok(true)
        })
    }
}

/// Appends a list of entries.
struct Entries<'o>(&'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        counted_each(self.0, &ARRAY, |out| {
            Ok(seq.next_element_seed(Fields(out, Level::Entry))?.is_some())
        })
    }
}
