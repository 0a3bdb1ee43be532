//! Follows a client's bytes as frames (RFC 6455, 5.2), before the parser gets them. The parser reads on until it has a
//! whole message. So what may never become one is counted here: frames of a turn, fragments of a message, empty ones.

use crate::limits::{MAX_EMPTY_FRAGMENTS, MAX_FRAGMENTS};

/// First two bytes, a length of eight, a mask of four.
const MAX_HEAD: usize = 14;

/// A message is in more pieces than anybody has a use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyFragments;

/// Where in the stream of frames the bytes so far have come to.
#[derive(Debug, Default)]
pub struct Frames {
    head: [u8; MAX_HEAD],
    /// Bytes of the head that have come; 0 between two frames, and in a payload.
    head_bytes: usize,
    /// Bytes of the payload that are still to come.
    payload_left: u64,
    /// Fragments of the message that has begun and not ended; 0: none has.
    fragments: u32,
    empty_fragments: u32,
}

impl Frames {
    /// Whether a frame or a message has begun and not ended.
    pub fn unfinished(&self) -> bool {
        self.head_bytes > 0 || self.payload_left > 0 || self.fragments > 0
    }

    /// Follows the bytes until `frames` more have begun, which is counted down. Gives how many bytes may go on to the parser.
    ///
    /// # Errors
    /// A message is in too many pieces.
    pub fn follow(&mut self, bytes: &[u8], frames: &mut u32) -> Result<usize, TooManyFragments> {
        let mut at = 0;
        while at < bytes.len() {
            if self.payload_left > 0 {
                let left = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
                let skipped = left.min(bytes.len() - at);
                self.payload_left -= skipped as u64;
                at += skipped;
                continue;
            }
            if self.head_bytes == 0 {
                if *frames == 0 {
                    break;
                }
                *frames -= 1;
            }
            self.head[self.head_bytes] = bytes[at];
            self.head_bytes += 1;
            at += 1;
            if self.head_bytes == self.head_len() {
                self.begun()?;
            }
        }
        Ok(at)
    }

    /// Bytes of the head, as far as it is known.
    fn head_len(&self) -> usize {
        if self.head_bytes < 2 {
            return 2;
        }
        let mask = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        let length = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + mask
    }

    /// The head is whole.
    fn begun(&mut self) -> Result<(), TooManyFragments> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
        self.payload_left = match self.head[1] & 0x7f {
            126 => number(&self.head[2..4]),
            127 => number(&self.head[2..10]),
            short => u64::from(short),
        };
        self.head_bytes = 0;
        let last = self.head[0] & 0x80 != 0;
        let opcode = self.head[0] & 0x0f;
        if opcode >= 8 {
            return Ok(()); // Control frames may come between fragments.
        }
        if last {
            self.fragments = 0;
            self.empty_fragments = 0;
            return Ok(());
        }
        self.fragments += 1;
        self.empty_fragments += u32::from(self.payload_left == 0);
        if self.fragments > MAX_FRAGMENTS || self.empty_fragments > MAX_EMPTY_FRAGMENTS {
            return Err(TooManyFragments);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame with a mask of zeros; `wide`: its length in more bytes than it needs.
    fn frame(first: u8, len: usize, wide: bool) -> Vec<u8> {
        let mut out = vec![first];
        match len {
            0..=125 if !wide => out.push(0x80 | u8::try_from(len).unwrap()),
            126..=0xffff if !wide => {
                out.push(0x80 | 126);
                out.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            _ => {
                out.push(0x80 | 127);
                out.extend((len as u64).to_be_bytes());
            }
        }
        out.extend([0; 4]);
        out.extend(vec![0xff; len]);
        out
    }

    #[test]
    fn empty_fragments_without_end_are_refused() {
        let mut frames = Frames::default();
        let (begin, empty) = (frame(0x01, 1, false), frame(0x00, 0, false));
        let bytes = [begin, empty.repeat(MAX_EMPTY_FRAGMENTS as usize)].concat();
        assert_eq!(
            frames.follow(&bytes, &mut u32::MAX.clone()),
            Ok(bytes.len())
        );
        assert!(frames.unfinished());
        let over = frames.follow(&empty, &mut u32::MAX.clone());
        assert_eq!(over, Err(TooManyFragments));
    }

    #[test]
    fn a_message_in_more_pieces_than_allowed_is_refused() {
        let mut frames = Frames::default();
        // Pings between them neither count nor start the count anew.
        let piece = [frame(0x00, 1, false), frame(0x89, 3, false)].concat();
        let bytes = [
            frame(0x02, 1, false),
            piece.repeat(MAX_FRAGMENTS as usize - 1),
        ]
        .concat();
        assert_eq!(
            frames.follow(&bytes, &mut u32::MAX.clone()),
            Ok(bytes.len())
        );
        assert_eq!(
            frames.follow(&piece, &mut u32::MAX.clone()),
            Err(TooManyFragments)
        );
    }

    #[test]
    fn a_message_that_ends_starts_the_count_anew() {
        let mut frames = Frames::default();
        let message = [frame(0x01, 0, false).repeat(1), frame(0x80, 0, false)].concat();
        let bytes = message.repeat(10 * MAX_FRAGMENTS as usize);
        assert_eq!(
            frames.follow(&bytes, &mut u32::MAX.clone()),
            Ok(bytes.len())
        );
        assert!(!frames.unfinished());
    }

    proptest! {
        /// However the bytes are cut, each call stops in front of the frame that is over the budget, and no byte is left out.
        #[test]
        fn a_budget_ends_in_front_of_a_frame(
            lens in prop::collection::vec((0_usize..300, any::<bool>()), 1..40),
            budget in 1_u32..8,
            cut in 1_usize..50,
        ) {
            let (mut bytes, mut starts) = (Vec::new(), Vec::new());
            for (len, wide) in &lens {
                starts.push(bytes.len());
                bytes.extend(frame(0x81, *len, *wide));
            }
            let (mut frames, mut at, mut turns) = (Frames::default(), 0, 0);
            while at < bytes.len() {
                let mut left = budget;
                loop {
                    let end = (at + cut).min(bytes.len());
                    let taken = frames.follow(&bytes[at..end], &mut left).unwrap();
                    at += taken;
                    if at == bytes.len() || taken == 0 || (at < end && left == 0) {
                        break;
                    }
                }
                turns += 1;
                prop_assert!(at == bytes.len() || starts[(turns * budget) as usize] == at);
            }
            prop_assert_eq!(turns, u32::try_from(lens.len()).unwrap().div_ceil(budget));
            prop_assert!(!frames.unfinished());
        }
    }
}
