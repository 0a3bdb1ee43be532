//! The server's frames, read as strictly as it must write them.

use serde_json::Value;

/// What a server's frame holds.
#[derive(Debug)]
pub enum Frame {
    /// A message.
    Text(Value),
    /// A ping or a pong.
    Control,
    /// The end.
    Close,
}

/// Takes the first whole frame off the bytes. Panics when it is none that a server may send.
pub fn take(bytes: &mut &[u8]) -> Option<Frame> {
    let first = *bytes.first()?;
    let (len, at) = match *bytes.get(1)? {
        126 => (
            u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            4,
        ),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        len => (u64::from(len), 2),
    };
    let end = at + usize::try_from(len).expect("a length");
    let payload = bytes.get(at..end)?;
    assert!(bytes[1] < 0x80, "a server's frames are not masked");
    *bytes = &bytes[end..];
    Some(match first {
        0x81 => {
            let message: Value = serde_json::from_slice(payload).expect("JSON");
            assert!(message["type"].is_string(), "{message}");
            Frame::Text(message)
        }
        0x88 => {
            assert!(payload.len() != 1 && payload.len() <= 125);
            Frame::Close
        }
        0x89 | 0x8a => {
            assert!(payload.len() <= 125);
            Frame::Control
        }
        other => panic!("a frame that begins with {other:#x}"),
    })
}
