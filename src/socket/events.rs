//! A server's frames as server-sent events. Pure: bytes of frames in, however they are cut, bytes of events out.
//!
//! Messages wait for a client in frames (RFC 6455), whatever its transport is. So a fan-out writes a message once for all
//! clients. A text frame becomes an event without a name, and the other kinds become events of their own.

use crate::protocol::frame::MAX_HEADER;

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Where in the stream of frames the bytes so far have come to.
#[derive(Debug, Default)]
pub struct Events {
    head: [u8; MAX_HEADER],
    head_bytes: usize,
    /// Bytes of the payload that are still to come.
    left: u64,
    opcode: u8,
    /// The payload of a control frame, which has 125 bytes at most.
    control: Vec<u8>,
    ended: bool,
    overheard: Option<Overheard>,
}

/// What somebody who waits for the answers to a post has to look at.
#[derive(Debug, Default)]
pub struct Overheard {
    /// Short messages, each whole.
    pub messages: Vec<String>,
    /// Posts that were taken.
    pub taken: Vec<u64>,
    /// The message that passes by, if it began after the listening did.
    passing: Option<Vec<u8>>,
}

/// A longer message is no ack and no error.
const LONGEST_ANSWER: u64 = 16 * 1024;

impl Events {
    /// The first event, which says what the stream is called.
    pub fn session(name: &str) -> String {
        format!("event: session\ndata: {{\"session\":\"{name}\"}}\n\n")
    }

    /// Whether the close has come: nothing follows it.
    pub fn have_ended(&self) -> bool {
        self.ended
    }

    /// Keeps a copy of short messages from now on, or does not.
    pub fn listen(&mut self, on: bool) {
        match on {
            true => _ = self.overheard.get_or_insert_default(),
            false => self.overheard = None,
        }
    }

    /// What was said since it was asked last.
    pub fn overheard(&mut self) -> Option<(Vec<String>, Vec<u64>)> {
        let heard = self.overheard.as_mut()?;
        Some((
            std::mem::take(&mut heard.messages),
            std::mem::take(&mut heard.taken),
        ))
    }

    /// Appends the events that these bytes make.
    pub fn follow(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let (payload, behind) = bytes.split_at(left.min(bytes.len()));
                self.left -= payload.len() as u64;
                self.payload(payload, out);
                bytes = behind;
                if self.left == 0 {
                    self.end(out);
                }
                continue;
            }
            self.head[self.head_bytes] = first;
            self.head_bytes += 1;
            bytes = rest;
            if self.head_bytes == self.head_len() {
                self.begin(out);
            }
        }
    }

    /// Bytes of the head, as far as it is known. A server's frames have no mask.
    fn head_len(&self) -> usize {
        match (self.head_bytes, self.head[1]) {
            (0 | 1, _) => 2,
            (_, 127) => MAX_HEADER,
            (_, 126) => 4,
            _ => 2,
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
        self.left = match self.head_bytes {
            2 => u64::from(self.head[1]),
            n => number(&self.head[2..n]),
        };
        self.opcode = self.head[0] & 0x0f;
        self.head_bytes = 0;
        self.control.clear();
        if self.opcode == TEXT {
            out.extend_from_slice(b"data: ");
            if let Some(heard) = &mut self.overheard {
                heard.passing = (self.left <= LONGEST_ANSWER).then(Vec::new);
            }
        }
        if self.left == 0 {
            self.end(out);
        }
    }

    fn payload(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.opcode == TEXT {
            let at = out.len();
            out.extend_from_slice(bytes);
            if let Some(passing) = self
                .overheard
                .as_mut()
                .and_then(|heard| heard.passing.as_mut())
            {
                passing.extend_from_slice(bytes);
            }
            // In JSON a line can end between two words only, where a space means the same.
            for byte in &mut out[at..] {
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
        } else {
            self.control.extend_from_slice(bytes);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        match self.opcode {
            TEXT => {
                if let Some(heard) = &mut self.overheard
                    && let Some(passed) = heard.passing.take()
                {
                    heard.messages.extend(String::from_utf8(passed));
                }
            }
            PING => out.extend_from_slice(b"event: ping\ndata: {}"),
            PONG => {
                out.extend_from_slice(b"event: taken\ndata: ");
                out.extend_from_slice(&self.control);
                if let Some(heard) = &mut self.overheard {
                    let number = std::str::from_utf8(&self.control).ok();
                    heard
                        .taken
                        .extend(number.and_then(|digits| digits.parse::<u64>().ok()));
                }
            }
            CLOSE => {
                let (code, reason) = self.control.split_at(self.control.len().min(2));
                let code = code.iter().fold(0_u16, |sum, b| sum << 8 | u16::from(*b));
                let reason = String::from_utf8_lossy(reason);
                let said = serde_json::json!({ "code": code, "reason": reason });
                out.extend_from_slice(format!("event: close\ndata: {said}").as_bytes());
                self.ended = true;
            }
            // There are no others on a stream.
            _ => return,
        }
        out.extend_from_slice(b"\n\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::frame;

    fn events(frames: &[u8], cut: usize) -> String {
        let (mut events, mut out) = (Events::default(), Vec::new());
        frames
            .chunks(cut)
            .for_each(|bytes| events.follow(bytes, &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_kind_of_frame_is_an_event() {
        let mut frames = Vec::new();
        frame::text(&mut frames, |out| {
            out.extend(b"{\"type\":\"x\",\r\n\"a\":\"\\n\"}")
        });
        frames.extend(frame::PING);
        frames.extend(frame::taken(17));
        frames.extend(frame::close(4503, "\"so\""));
        let said = "data: {\"type\":\"x\",  \"a\":\"\\n\"}\n\nevent: ping\ndata: {}\n\nevent: taken\ndata: 17\n\n\
            event: close\ndata: {\"code\":4503,\"reason\":\"\\\"so\\\"\"}\n\n";
        for cut in [1, 2, 3, 7, frames.len()] {
            assert_eq!(events(&frames, cut), said, "{cut}");
        }
    }

    #[test]
    fn who_listens_gets_short_messages_whole() {
        let text = |said: &str| {
            let mut frames = Vec::new();
            frame::text(&mut frames, |out| out.extend(said.as_bytes()));
            frames
        };
        let long = "y".repeat(20_000);
        for cut in [1, 3, 100_000] {
            let (mut events, mut out) = (Events::default(), Vec::new());
            let begun = text("begun before");
            events.follow(&begun[..4], &mut out);
            events.listen(true);
            let more = [
                &begun[4..],
                &text("one"),
                &text(&long),
                &frame::taken(3),
                &text("two"),
            ]
            .concat();
            more.chunks(cut)
                .for_each(|bytes| events.follow(bytes, &mut out));
            events.listen(true);
            assert_eq!(
                events.overheard(),
                Some((vec!["one".to_owned(), "two".to_owned()], vec![3]))
            );
            assert_eq!(events.overheard(), Some((vec![], vec![])));
            events.listen(false);
            assert_eq!(events.overheard(), None);
        }
    }

    proptest! {
        #[test]
        fn however_frames_are_cut(lens in prop::collection::vec(0..70_000_usize, 1..5), cut in 1..70_000_usize) {
            let (mut frames, mut said) = (Vec::new(), String::new());
            for len in lens {
                let text = "y".repeat(len);
                frame::text(&mut frames, |out| out.extend(text.as_bytes()));
                said += &format!("data: {text}\n\n");
            }
            prop_assert_eq!(events(&frames, cut), said);
        }
    }
}
