//! MessagePack, value by value.

use rmp::Marker;

use crate::protocol::server_message::ErrorCode;

/// Why a frame is refused, and the value in it.
#[derive(Debug)]
pub struct Wrong {
    pub(super) code: ErrorCode,
    pub(super) what: String,
    pub(super) place: String,
}

/// What was read.
pub type Read<T> = Result<T, Wrong>;

pub(super) fn wrong<T>(code: ErrorCode, what: impl Into<String>) -> Read<T> {
    let what = what.into();
    let place = String::new();
    Err(Wrong { code, what, place })
}

pub(super) fn no_msgpack<T>(what: &str) -> Read<T> {
    wrong(ErrorCode::BadMsgpack, format!("not MessagePack: {what}"))
}

pub(super) fn no_word<T>(what: &str) -> Read<T> {
    wrong(ErrorCode::BadMessage, what)
}

/// The head of a value: what it is, and how many bytes or entries follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Head {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Unsigned(u64),
    /// A whole number, written as one that may be below zero.
    Signed(i64),
    /// A number.
    Float(f64),
    /// So many bytes of UTF-8 follow.
    Text(usize),
    /// So many bytes follow.
    Binary(usize),
    /// So many bytes follow, its type among them.
    Extension(usize),
    /// So many values follow.
    Array(usize),
    /// So many pairs of values follow.
    Map(usize),
}

/// What is not read yet.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a>(pub &'a [u8]);

impl<'a> Source<'a> {
    /// The next bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let Some((taken, rest)) = self.0.split_at_checked(count) else {
            return no_msgpack("it ends in the middle of a value");
        };
        self.0 = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    /// A length or a number of so many bytes.
    fn unsigned(&mut self, bytes: usize) -> Read<u64> {
        let fold = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Ok(self.take(bytes)?.iter().fold(0, fold))
    }

    fn len(&mut self, bytes: usize) -> Read<usize> {
        let len = self.unsigned(bytes)?;
        // More than there is anyway.
        Ok(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// What the next value is.
    ///
    /// # Errors
    /// When it is none.
    pub fn head(&mut self) -> Read<Head> {
        let [marker] = self.fixed()?;
        Ok(match Marker::from_u8(marker) {
            Marker::Null => Head::Nil,
            Marker::True => Head::Bool(true),
            Marker::False => Head::Bool(false),
            Marker::FixPos(number) => Head::Unsigned(number.into()),
            Marker::U8 => Head::Unsigned(self.unsigned(1)?),
            Marker::U16 => Head::Unsigned(self.unsigned(2)?),
            Marker::U32 => Head::Unsigned(self.unsigned(4)?),
            Marker::U64 => Head::Unsigned(self.unsigned(8)?),
            Marker::FixNeg(number) => Head::Signed(number.into()),
            Marker::I8 => Head::Signed(i8::from_be_bytes(self.fixed()?).into()),
            Marker::I16 => Head::Signed(i16::from_be_bytes(self.fixed()?).into()),
            Marker::I32 => Head::Signed(i32::from_be_bytes(self.fixed()?).into()),
            Marker::I64 => Head::Signed(i64::from_be_bytes(self.fixed()?)),
            Marker::F32 => Head::Float(f32::from_be_bytes(self.fixed()?).into()),
            Marker::F64 => Head::Float(f64::from_be_bytes(self.fixed()?)),
            Marker::FixStr(len) => Head::Text(len.into()),
            Marker::Str8 => Head::Text(self.len(1)?),
            Marker::Str16 => Head::Text(self.len(2)?),
            Marker::Str32 => Head::Text(self.len(4)?),
            Marker::Bin8 => Head::Binary(self.len(1)?),
            Marker::Bin16 => Head::Binary(self.len(2)?),
            Marker::Bin32 => Head::Binary(self.len(4)?),
            // The byte behind the length is the extension's type.
            Marker::FixExt1 => Head::Extension(2),
            Marker::FixExt2 => Head::Extension(3),
            Marker::FixExt4 => Head::Extension(5),
            Marker::FixExt8 => Head::Extension(9),
            Marker::FixExt16 => Head::Extension(17),
            Marker::Ext8 => Head::Extension(self.len(1)?.saturating_add(1)),
            Marker::Ext16 => Head::Extension(self.len(2)?.saturating_add(1)),
            Marker::Ext32 => Head::Extension(self.len(4)?.saturating_add(1)),
            Marker::FixArray(len) => Head::Array(len.into()),
            Marker::Array16 => Head::Array(self.len(2)?),
            Marker::Array32 => Head::Array(self.len(4)?),
            Marker::FixMap(len) => Head::Map(len.into()),
            Marker::Map16 => Head::Map(self.len(2)?),
            Marker::Map32 => Head::Map(self.len(4)?),
            Marker::Reserved => return no_msgpack("the byte 0xc1 begins no value"),
        })
    }

    /// So many bytes as text.
    ///
    /// # Errors
    /// When they are not UTF-8, or not there.
    pub fn text(&mut self, len: usize) -> Read<&'a str> {
        std::str::from_utf8(self.take(len)?).or_else(|_| no_msgpack("a string is not UTF-8"))
    }

    /// Whether the next value is one of those texts.
    pub(super) fn peeks_text(mut self, words: &[&str]) -> bool {
        match self.head() {
            Ok(Head::Text(len)) => self.text(len).is_ok_and(|text| words.contains(&text)),
            _ => false,
        }
    }

    /// Whether the next value is a binary one.
    pub(super) fn peeks_binary(mut self) -> bool {
        matches!(self.head(), Ok(Head::Binary(_)))
    }

    /// Passes a value over, however deep it is.
    ///
    /// # Errors
    /// When it is none.
    pub fn skip(&mut self) -> Read<()> {
        let mut values = 1_usize;
        while values > 0 {
            values -= 1;
            match self.head()? {
                Head::Text(len) | Head::Binary(len) | Head::Extension(len) => {
                    self.take(len)?;
                }
                // Each is at least a byte: what can't be there ends with the bytes.
                Head::Array(len) => values = values.saturating_add(len),
                Head::Map(len) => values = values.saturating_add(len).saturating_add(len),
                _ => {}
            }
        }
        Ok(())
    }

    /// The op of a message that is refused: its author waits for an answer that names it.
    pub(super) fn op(mut self) -> Option<u64> {
        let Ok(Head::Map(entries)) = self.head() else {
            return None;
        };
        for _ in 0..entries {
            let Ok(Head::Text(len)) = self.head() else {
                return None;
            };
            if self.text(len).ok()? == "op" {
                return match self.head() {
                    Ok(Head::Unsigned(op)) => Some(op),
                    _ => None,
                };
            }
            self.skip().ok()?;
        }
        None
    }
}
