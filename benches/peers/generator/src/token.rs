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
            // The mark is read with it, and cut off.
            sender: unhex(from, 0) & 0xff_ffff,
            number: unhex(from, 8),
            at: u64::from(unhex(from, 16)) << 32 | u64::from(unhex(from, 24)),
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

/// The number that the eight digits at `at` are: all at once, since each delivery has 30 of them to be read.
fn unhex(from: &[u8], at: usize) -> u32 {
    let mut digits = [0; 8];
    digits.copy_from_slice(&from[at..at + 8]);
    let text = u64::from_be_bytes(digits);
    // Letters have bit 6, and 'a' ends in 1.
    let letters = text >> 6 & 0x0101_0101_0101_0101;
    let nibbles = (text & 0x0f0f_0f0f_0f0f_0f0f) + 9 * letters;
    let bytes = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    (pairs | pairs >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for at in [0, 0x0123_4567_89ab_cdef, u64::MAX - 7] {
            let token = Token {
                sender: 0xab_cdef,
                number: !(at as u32),
                at,
                stream: b'o',
            };
            let mut bytes = [0; LEN];
            token.write(&mut bytes);
            assert_eq!(Token::read(&bytes), token);
        }
    }
}
