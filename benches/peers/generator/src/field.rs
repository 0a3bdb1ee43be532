//! Fields of JSON texts, found without parsing: the generator must not be the bottleneck.

use memchr::{memchr, memmem};

/// What follows the first `"key":`.
pub fn value<'a>(json: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut needle = [0_u8; 24];
    let len = key.len() + 3;
    needle[0] = b'"';
    needle[1..len - 2].copy_from_slice(key.as_bytes());
    needle[len - 2..len].copy_from_slice(b"\":");
    let at = memmem::find(json, &needle[..len])? + len;
    let spaces = json[at..].iter().take_while(|c| **c == b' ').count();
    Some(&json[at + spaces..])
}

/// The string after the first `"key":`, as long as it holds no escape.
pub fn text<'a>(json: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let value = value(json, key)?.strip_prefix(b"\"")?;
    Some(&value[..memchr(b'"', value)?])
}

/// The whole number after the first `"key":`.
pub fn number(json: &[u8], key: &str) -> Option<u64> {
    whole(value(json, key)?)
}

/// The whole number that a value begins with.
pub fn whole(value: &[u8]) -> Option<u64> {
    let digits = value.iter().take_while(|c| c.is_ascii_digit());
    digits
        .map(|c| u64::from(c - b'0'))
        .reduce(|n, digit| n.wrapping_mul(10).wrapping_add(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let json = br#"{"type":"ack", "op": 17,"status":"ok"}"#;
        assert_eq!(text(json, "type"), Some(&b"ack"[..]));
        assert_eq!(number(json, "op"), Some(17));
        assert_eq!(number(json, "status"), None);
        assert_eq!(number(json, "seq"), None);
    }
}
