//! What every message carries: `@@` sender (6 hex digits), number (8), time in ns (16), stream (1 letter).

/// Bytes of a token.
pub const LEN: usize = 2 + 6 + 8 + 16 + 1;

/// Who sent a message, which of its messages it is, when it was due, and in which stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    pub sender: u32,
    pub number: u32,
    pub at: u64,
    pub stream: u8,
}

impl Token {
    /// Writes it into the first [`LEN`] bytes.
    pub fn write(self, out: &mut [u8]) {
        out[..2].copy_from_slice(b"@@");
        hex(&mut out[2..8], u64::from(self.sender));
        hex(&mut out[8..16], u64::from(self.number));
        hex(&mut out[16..32], self.at);
        out[32] = self.stream;
    }

    /// Reads what [`Self::write`] wrote into the first [`LEN`] bytes.
    pub fn read(from: &[u8]) -> Self {
        Self {
            sender: unhex(&from[2..8]) as u32,
            number: unhex(&from[8..16]) as u32,
            at: unhex(&from[16..32]),
            stream: from[32],
        }
    }
}

fn hex(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

fn unhex(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| {
        let digit = if *digit <= b'9' {
            digit.wrapping_sub(b'0')
        } else {
            digit.wrapping_sub(b'a' - 10)
        };
        (value << 4) | u64::from(digit & 15)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let token = Token {
            sender: 0xabcdef,
            number: u32::MAX,
            at: u64::MAX - 7,
            stream: b'o',
        };
        let mut bytes = [0; LEN];
        token.write(&mut bytes);
        assert_eq!(Token::read(&bytes), token);
    }
}
