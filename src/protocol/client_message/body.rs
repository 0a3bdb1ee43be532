//! The body that is passed on: the known fields, byte for byte as they came.

use std::fmt;
use std::ops::Range;

use bytestring::ByteString;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::MAX_EVENT_CHARS;
use super::envelope::{Envelope, Parsed, bad};
use super::fields::{need, short_string};

/// Fields joined by commas: the inside of a JSON object.
pub(super) struct Body(String);

impl Body {
    /// Of a durable message whose fields have so many bytes.
    pub(super) fn new(op: u64, bytes: usize) -> Self {
        // What a client says besides is not kept, so it must not be counted on.
        let mut body = String::with_capacity(bytes.min(512) + 64);
        body.push_str("{\"op\":");
        body.push_str(&op.to_string());
        Self(body)
    }

    /// Empty, with room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends a field whose name needs no escape; gives the place of its value.
    pub(super) fn field(&mut self, name: &str, value: &str) -> Range<usize> {
        self.raw_field(&["\"", name, "\""], value)
    }

    /// Appends a field whose name, in quotes, is given in pieces.
    pub(super) fn raw_field(&mut self, quoted: &[&str], value: &str) -> Range<usize> {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        for piece in quoted {
            self.0.push_str(piece);
        }
        self.0.push(':');
        let start = self.0.len();
        self.0.push_str(value);
        start..self.0.len()
    }

    /// Appends the two fields of an event.
    pub(super) fn event(&mut self, m: &Envelope<'_>) -> Parsed<()> {
        short_string("event", m.event, MAX_EVENT_CHARS)?;
        self.field("event", need("event", m.event)?);
        if let Some(data) = m.data {
            check("data", data.get())?;
        }
        self.field("data", m.data.map_or("null", RawValue::get));
        Ok(())
    }

    /// The message's body.
    pub(super) fn finish(mut self) -> ByteString {
        self.0.push('}');
        ByteString::from(self.0)
    }

    /// The fields as text.
    pub(super) fn text(self) -> String {
        self.0
    }
}

/// Reads a field. As a `Value`, or as [`Usable`] where that is not wanted, it is what every reader can hold: numbers in range,
/// strings of whole characters.
pub(super) fn read<'a, T: Deserialize<'a>>(name: &str, text: &'a str) -> Parsed<T> {
    serde_json::from_str(text).or_else(|e| {
        let e = e.to_string();
        // The field is valid JSON. What can be wrong in an escape there is half of a character.
        let half = ["hex escape", "surrogate"]
            .iter()
            .any(|word| e.contains(word));
        bad(match half {
            true => format!("{name} has half of a character: a surrogate without its other half"),
            false => format!("{name} is not usable: {e}"),
        })
    })
}

/// Whether a field that is passed on as it came is what every reader can hold.
pub(super) fn check(name: &str, text: &str) -> Parsed<()> {
    if is_plain(text.as_bytes()) {
        return Ok(());
    }
    read::<Usable>(name, text).map(|_| ())
}

/// Whether valid JSON has neither escapes, which can name half a character, nor numbers that can be out of range: with an
/// exponent, or of so many digits.
fn is_plain(text: &[u8]) -> bool {
    let after_digit = |at: usize| at > 0 && text[at - 1].is_ascii_digit();
    text.len() <= f64::MAX_10_EXP as usize
        && memchr::memchr(b'\\', text).is_none()
        && !memchr::memchr2_iter(b'e', b'E', text).any(after_digit)
}

/// Any JSON value that was read like a `serde_json::Value`, and not kept.
struct Usable;

impl<'de> Deserialize<'de> for Usable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Usable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What looks plain is what a reader of everything takes, too.
        #[test]
        fn plain_is_usable(
            value in prop_oneof![
                "-?(0|[1-9][0-9]{0,400})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,4})?",
                "\"([a-e0-9\u{80}-\u{ffff}]|\\\\n|\\\\u[d0][8c][0-9a-f]{2}){0,12}\"",
            ],
            nested in any::<bool>(),
        ) {
            let text = if nested { format!("{{\"k\":[{value}]}}") } else { value };
            let usable = serde_json::from_str::<Usable>(&text).is_ok();
            prop_assert_eq!(check("data", &text).is_ok(), usable, "{}", text);
        }
    }

    #[test]
    fn what_some_reader_cannot_hold_is_not_plain() {
        let digits = "9".repeat(400);
        for text in ["1e999", "[-1E+400]", r#""\ud800""#, &digits] {
            assert!(serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok());
            assert!(check("data", text).is_err(), "{text}");
        }
        for text in ["17", r#"{"name":"é","note":[null,-0.5]}"#, r#""2e5""#] {
            assert!(check("data", text).is_ok(), "{text}");
        }
        assert!(is_plain(br#"{"name":"note"}"#));
    }
}
