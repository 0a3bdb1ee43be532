//! Any JSON value as MessagePack: each number and length in as few bytes as hold it exactly.

use std::fmt;

use rmp::encode::{write_bool, write_f32, write_f64, write_nil, write_sint, write_str, write_uint};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Appends a JSON value.
///
/// # Errors
/// When the text is not JSON; then what was appended is of no use.
pub fn value(out: &mut Vec<u8>, json: &[u8]) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Write(out).deserialize(&mut reader)?;
    reader.end()
}

/// The markers of arrays and maps: up to 15 entries, 16 bits of them, 32 bits.
pub(super) struct Markers(u8, u8, u8);

/// `array`
pub(super) const ARRAY: Markers = Markers(0x90, 0xdc, 0xdd);
/// `map`
pub(super) const MAP: Markers = Markers(0x80, 0xde, 0xdf);

/// Appends what `write` appends, behind a header of that kind with the count that it gives.
pub(super) fn counted<E>(
    out: &mut Vec<u8>,
    markers: &Markers,
    write: impl FnOnce(&mut Vec<u8>) -> Result<u32, E>,
) -> Result<(), E> {
    let start = out.len();
    out.push(0);
    let count = write(out)?;
    let bytes = count.to_be_bytes();
    match count {
        0..=15 => out[start] = markers.0 | bytes[3],
        16..=0xffff => {
            out[start] = markers.1;
            out.splice(start + 1..start + 1, [bytes[2], bytes[3]]);
        }
        _ => {
            out[start] = markers.2;
            out.splice(start + 1..start + 1, bytes);
        }
    }
    Ok(())
}

/// The same for what is read one by one: `next` appends the next one, or says that there is none.
pub(super) fn counted_each<E>(
    out: &mut Vec<u8>,
    markers: &Markers,
    mut next: impl FnMut(&mut Vec<u8>) -> Result<bool, E>,
) -> Result<(), E> {
    counted(out, markers, |out| {
        let mut count = 0;
        while next(out)? {
            count += 1;
        }
        Ok(count)
    })
}

/// Appends what it reads.
pub(super) struct Write<'o>(pub(super) &'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Write<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Write<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        write_nil(self.0).map_err(E::custom)
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<(), E> {
        write_bool(self.0, is).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        write_sint(self.0, number).map(|_| ()).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        write_uint(self.0, number).map(|_| ()).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        #[expect(clippy::cast_possible_truncation, reason = "compared on the next line")]
        let short = number as f32;
        if f64::from(short).to_bits() == number.to_bits() {
            write_f32(self.0, short).map_err(E::custom)
        } else {
            write_f64(self.0, number).map_err(E::custom)
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        write_str(self.0, text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        counted_each(self.0, &ARRAY, |out| {
            Ok(seq.next_element_seed(Write(out))?.is_some())
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        counted_each(self.0, &MAP, |out| {
            let key = map.next_key_seed(Write(out))?;
            if key.is_some() {
                map.next_value_seed(Write(out))?;
            }
            Ok(key.is_some())
        })
    }
}
