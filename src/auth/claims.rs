//! The claims of a token.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::protocol::client_message::MAX_USER_CHARS;

/// Bytes of `sub` and of `jti`: they are kept for as long as a client is remembered.
const MAX_ID_BYTES: usize = 256;

/// The end of the year 9999. What lies beyond is no time but a mistake, or a wish for a token that never ends.
const LATEST_S: f64 = 253_402_300_799.0;

/// What the bearer of a token may do on a canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Hear everything, show a cursor and be present.
    Read,
    /// Everything.
    Write,
}

impl Access {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The claims of a token that mean something here; others are ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Who the bearer is. A client's id is bound to it.
    pub sub: String,
    /// When the token ends, seconds since the epoch.
    #[serde(serialize_with = "whole")]
    pub exp: f64,
    /// When it begins, in the same unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<f64>,
    /// Its own name, by which it can be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Canvas, or prefix of canvases and `*`, and what is allowed there.
    #[serde(deserialize_with = "once")]
    pub canvases: BTreeMap<String, Access>,
    /// The bearer's name for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The bearer's colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

impl Claims {
    /// The bounds of what is kept.
    ///
    /// # Errors
    /// What would be right, naming the claim.
    pub fn check(&self) -> Result<(), String> {
        let rule = format!("must be 1 to {MAX_ID_BYTES} bytes without control characters");
        if !is_id(&self.sub) {
            return Err(format!("the token's sub {rule}"));
        }
        if self.jti.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(format!("the token's jti {rule}"));
        }
        for (name, time) in [("exp", Some(self.exp)), ("nbf", self.nbf)] {
            if time.is_some_and(|time| !(0.0..=LATEST_S).contains(&time)) {
                return Err(format!(
                    "the token's {name} must be in seconds since the epoch, of a year up to 9999"
                ));
            }
        }
        Ok(())
    }

    /// What is allowed on a canvas: what names it exactly beats the longest prefix. `None`: nothing.
    pub fn access(&self, canvas: &str) -> Option<Access> {
        if let Some(access) = self.canvases.get(canvas) {
            return Some(*access);
        }
        let prefixes = self.canvases.iter().filter_map(|(pattern, access)| {
            let prefix = pattern.strip_suffix('*')?;
            canvas
                .starts_with(prefix)
                .then_some((prefix.len(), *access))
        });
        prefixes
            .max_by_key(|(length, _)| *length)
            .map(|(_, access)| access)
    }
}

/// A name that is there twice means two things.
fn once<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Access>, D::Error> {
    struct Once;
    impl<'de> Visitor<'de> for Once {
        type Value = BTreeMap<String, Access>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of canvases and what is allowed there")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut all = BTreeMap::new();
            while let Some((name, access)) = map.next_entry::<String, Access>()? {
                if all.insert(name, access).is_some() {
                    return Err(M::Error::custom("canvases names one canvas twice"));
                }
            }
            Ok(all)
        }
    }
    from.deserialize_map(Once)
}

/// Whether a token may have it as its `sub` or `jti`.
pub(super) fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// As a whole number: some readers of tokens take no other. What is minted here has whole seconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::trivially_copy_pass_by_ref,
    reason = "a cast keeps to the bounds of i64, and serde gives a reference"
)]
fn whole<S: serde::Serializer>(seconds: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_i64(*seconds as i64)
}

/// As much of a name or a colour as others are told.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(MAX_USER_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(canvases: &[(&str, Access)]) -> Claims {
        Claims {
            sub: "ada".to_owned(),
            exp: 1.0,
            nbf: None,
            jti: None,
            canvases: canvases
                .iter()
                .map(|(p, a)| ((*p).to_owned(), *a))
                .collect(),
            name: None,
            color: None,
        }
    }

    #[test]
    fn the_exact_name_beats_the_longest_prefix() {
        use Access::{Read, Write};
        let claims = claims(&[
            ("*", Read),
            ("team-*", Write),
            ("team-a*", Read),
            ("team-a1", Write),
            ("team-a2*", Write),
        ]);
        for (canvas, access) in [
            ("other", Read),
            ("team-b", Write),
            ("team-", Write),
            ("team-a", Read),
            ("team-a1", Write),
            ("team-a1x", Read),
            ("team-a2", Write),
        ] {
            assert_eq!(claims.access(canvas), Some(access), "{canvas}");
        }
    }

    #[test]
    fn a_star_means_something_at_the_end_only() {
        let claims = claims(&[("a*b", Access::Write), ("c", Access::Write)]);
        for canvas in ["a", "axb", "a*", "cc", ""] {
            assert_eq!(claims.access(canvas), None, "{canvas}");
        }
        assert!(self::claims(&[]).access("a").is_none());
    }

    #[test]
    fn ids_are_bounded() {
        let mut claims = claims(&[]);
        assert!(claims.check().is_ok());
        claims.sub = "x".repeat(MAX_ID_BYTES + 1);
        assert!(claims.check().unwrap_err().contains("sub"));
        claims.sub = "a\nb".to_owned();
        assert!(claims.check().unwrap_err().contains("sub"));
        claims.sub = "ada".to_owned();
        claims.jti = Some(String::new());
        assert!(claims.check().unwrap_err().contains("jti"));
    }

    #[test]
    fn times_are_times_and_names_are_told_once() {
        let read = |text: &str| serde_json::from_str::<Claims>(text);
        for (exp, nbf, good) in [
            ("1", "0", true),
            ("253402300799", "1", true),
            ("1e308", "1", false),
            ("253402300800", "1", false),
            ("-1", "1", false),
            ("1", "1e300", false),
            ("1", "-1", false),
        ] {
            let text = format!(r#"{{"sub":"a","exp":{exp},"nbf":{nbf},"canvases":{{}}}}"#);
            assert_eq!(read(&text).unwrap().check().is_ok(), good, "{text}");
        }
        let twice = r#"{"sub":"a","exp":1,"canvases":{"b":"read","b":"write"}}"#;
        assert!(read(twice).unwrap_err().to_string().contains("twice"));
    }
}
