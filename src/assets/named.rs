//! Which assets an object names: all that stand in its strings as `asset:` and a SHA-256.

use std::collections::HashSet;

use memchr::memmem;
use serde_json::Value;

/// Before the hash.
pub const PREFIX: &str = "asset:";
/// Characters of a SHA-256.
pub const HASH_CHARS: usize = 64;

/// Whether it is a SHA-256 as it is written here.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == HASH_CHARS && text.bytes().all(digit)
}

/// Adds the hashes that a JSON text names. What only looks like a name, within a longer string, counts as one: an asset that is kept
/// too long is better than one that is missed.
pub fn collect(json: &str, into: &mut HashSet<String>) {
    // A text of ours has no other way to write a letter.
    if memmem::find(json.as_bytes(), b"\\u").is_some()
        && let Ok(value) = serde_json::from_str(json)
    {
        strings(&value, into);
    }
    search(json, into);
}

fn search(text: &str, into: &mut HashSet<String>) {
    for at in memmem::find_iter(text.as_bytes(), PREFIX) {
        let from = at + PREFIX.len();
        if let Some(hash) = text.get(from..from + HASH_CHARS)
            && is_hash(hash)
            && !into.contains(hash)
        {
            into.insert(hash.to_owned());
        }
    }
}

/// As deep as a message may be.
fn strings(value: &Value, into: &mut HashSet<String>) {
    match value {
        Value::String(text) => search(text, into),
        Value::Array(all) => all.iter().for_each(|value| strings(value, into)),
        Value::Object(all) => all.iter().for_each(|(name, value)| {
            search(name, into);
            strings(value, into);
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(json: &str) -> Vec<String> {
        let mut found = HashSet::new();
        collect(json, &mut found);
        let mut found: Vec<String> = found.into_iter().collect();
        found.sort();
        found
    }

    #[test]
    fn any_string_of_an_object_may_name_an_asset() {
        let (a, b) = ("a1".repeat(32), "0f".repeat(32));
        let json = format!(
            r#"{{"id":"x","src":"asset:{a}","deep":[{{"y":["größe","asset:{b}"]}}],"again":"asset:{a}"}}"#
        );
        assert_eq!(named(&json), [b, a]);
    }

    #[test]
    fn what_is_no_hash_names_nothing() {
        let a = "a1".repeat(32);
        for bad in [
            format!(r#"{{"src":"asset:{}"}}"#, &a[1..]),
            format!(r#"{{"src":"asset:{}"}}"#, a.to_uppercase()),
            format!(r#"{{"src":"{a}"}}"#),
            r#"{"src":"asset:"}"#.to_owned(),
            r#"{"src":"asset:größe"}"#.to_owned(),
        ] {
            assert!(named(&bad).is_empty(), "{bad}");
        }
    }

    #[test]
    fn escapes_hide_nothing() {
        let a = "a1".repeat(32);
        let json = format!(r#"{{"src":"\u0061sset:{a}","t":"\u00e9"}}"#);
        assert_eq!(named(&json), [a]);
    }
}
