//! Rows and their keys as bytes. The bytes of keys have the order of the rules, since Redis compares bytes.

use crate::jobs::cells::{In, Key, Out};
use crate::jobs::rows::Row;

/// A key: numbers with their sign turned and the most significant byte first; texts and bytes with an end that is less than any
/// that goes on.
#[derive(Default)]
struct Ordered(Vec<u8>);

impl Ordered {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0.push(*byte);
            if *byte == 0 {
                self.0.push(255);
            }
        }
        self.0.extend([0, 0]);
    }
}

impl Out for Ordered {
    fn int(&mut self, value: i64) {
        self.0.extend((value ^ i64::MIN).to_be_bytes());
    }
    fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }
    fn blob(&mut self, value: &[u8]) {
        self.bytes(value);
    }
    fn null(&mut self) {
        // No key has an empty column.
        self.bytes(&[]);
    }
}

/// A table's key as Redis orders it.
pub(super) fn key<K: Key>(key: &K) -> Vec<u8> {
    let mut out = Ordered::default();
    key.put(&mut out);
    out.0
}

/// A row: each column with what it is and how long.
#[derive(Default)]
struct Columns(Vec<u8>);

impl Columns {
    fn sized(&mut self, kind: u8, bytes: &[u8]) {
        self.0.push(kind);
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.extend(len.to_be_bytes());
        self.0.extend(bytes);
    }
}

impl Out for Columns {
    fn int(&mut self, value: i64) {
        self.0.push(b'i');
        self.0.extend(value.to_be_bytes());
    }
    fn text(&mut self, value: &str) {
        self.sized(b't', value.as_bytes());
    }
    fn blob(&mut self, value: &[u8]) {
        self.sized(b'b', value);
    }
    fn null(&mut self) {
        self.0.push(b'n');
    }
}

pub(super) fn encode<R: Row>(row: &R) -> Vec<u8> {
    let mut out = Columns::default();
    row.write(&mut out);
    out.0
}

struct Reader<'a> {
    rest: &'a [u8],
    damaged: bool,
}

impl Reader<'_> {
    fn fixed<const N: usize>(&mut self) -> [u8; N] {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                *bytes
            }
            None => {
                self.damaged = true;
                [0; N]
            }
        }
    }

    fn is(&mut self, kind: u8) -> bool {
        let [found] = self.fixed();
        self.damaged |= found != kind;
        !self.damaged
    }

    fn sized(&mut self, kind: u8) -> Vec<u8> {
        if !self.is(kind) {
            return Vec::new();
        }
        let len = usize::try_from(u32::from_be_bytes(self.fixed())).unwrap_or(usize::MAX);
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                bytes.to_vec()
            }
            None => {
                self.damaged = true;
                Vec::new()
            }
        }
    }
}

impl In for Reader<'_> {
    fn int(&mut self) -> i64 {
        match self.is(b'i') {
            true => i64::from_be_bytes(self.fixed()),
            false => 0,
        }
    }
    fn text(&mut self) -> String {
        let bytes = self.sized(b't');
        String::from_utf8(bytes).unwrap_or_else(|_| {
            self.damaged = true;
            String::new()
        })
    }
    fn blob(&mut self) -> Vec<u8> {
        self.sized(b'b')
    }
    fn none(&mut self) -> bool {
        let none = self.rest.first() == Some(&b'n');
        self.rest = &self.rest[usize::from(none)..];
        none
    }
}

/// The row; `None` if the bytes are not one.
pub(super) fn decode<R: Row>(bytes: &[u8]) -> Option<R> {
    let mut reader = Reader {
        rest: bytes,
        damaged: false,
    };
    let row = R::read(&mut reader);
    (!reader.damaged && reader.rest.is_empty()).then_some(row)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::jobs::rows::{Dead, Message, PartitionName};

    proptest! {
        #[test]
        fn bytes_are_ordered_as_keys_are(
            a in any::<(i64, String)>(), b in any::<(i64, String)>(), x in any::<([u8; 16], i64)>(), y in any::<([u8; 16], i64)>(),
        ) {
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
            prop_assert_eq!(key(&(a.0, a.1.clone())).cmp(&key(&(a.0, b.1.clone()))), a.1.cmp(&b.1));
            let (x, y) = ((x.0, x.1, 0, 0), (y.0, y.1, 0, 0));
            prop_assert_eq!(key(&x).cmp(&key(&y)), x.cmp(&y));
        }

        #[test]
        fn a_row_comes_back_as_it_was_and_no_other_bytes_are_one(
            partition: i64, seq: i64, trace: Option<String>, name: String, payload: String, cut: usize,
        ) {
            let row = Message { partition, seq, id: 1, created_at: 2, priority: -3, only: 0, trace, name, payload };
            let bytes = encode(&row);
            prop_assert_eq!(decode::<Message>(&bytes), Some(row));
            let cut = cut % bytes.len();
            prop_assert_eq!(decode::<Message>(&bytes[..cut]), None);
            prop_assert!(decode::<Dead>(&bytes).is_none());
            prop_assert!(decode::<PartitionName>(&bytes).is_none());
        }
    }
}
