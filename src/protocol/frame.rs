//! Server frames (RFC 6455, 5.2). They are unmasked, so header and payload are the same bytes for every receiver: a
//! message is framed once and shared by all sockets.

use super::encoding::Encoding;

/// The longest header of an unmasked frame, in bytes.
pub const MAX_HEADER: usize = 10;

const FIN_TEXT: u8 = 0x81;
const FIN_BINARY: u8 = 0x82;
const FIN_CLOSE: u8 = 0x88;
const FIN_PING: u8 = 0x89;
const FIN_PONG: u8 = 0x8a;

/// Appends a text frame whose payload `write` appends. The header is put in front once the length is known.
pub fn text(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    whole(out, FIN_TEXT, write);
}

/// Appends a binary frame whose payload `write` appends.
pub fn binary(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    whole(out, FIN_BINARY, write);
}

fn whole(out: &mut Vec<u8>, first: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = out.len() - start - 4;
    match len {
        0..=125 => {
            out[start + 2..start + 4].copy_from_slice(&[first, len.to_le_bytes()[0]]);
            out.drain(start..start + 2);
        }
        126..=0xffff => {
            let len = len.to_be_bytes();
            out[start..start + 4].copy_from_slice(&[first, 126, len[6], len[7]]);
        }
        _ => {
            let mut header = [0; MAX_HEADER];
            header[..2].copy_from_slice(&[first, 127]);
            header[2..].copy_from_slice(&len.to_be_bytes());
            out.splice(start..start + 4, header);
        }
    }
}

/// The head of a frame of a message in that encoding, whose so many bytes follow.
pub fn head(encoding: Encoding, len: usize) -> Vec<u8> {
    let first = match encoding {
        Encoding::Json => FIN_TEXT,
        Encoding::Msgpack => FIN_BINARY,
    };
    let bytes = len.to_be_bytes();
    match len {
        0..=125 => vec![first, bytes[7]],
        126..=0xffff => vec![first, 126, bytes[6], bytes[7]],
        _ => [&[first, 127][..], &bytes].concat(),
    }
}

/// A close frame. The reason is cut at 123 bytes, the most a control frame holds beside the code.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = vec![FIN_CLOSE, end.to_le_bytes()[0] + 2];
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&reason.as_bytes()[..end]);
    out
}

/// What a frame of [`text`] or [`binary`] carries.
pub fn payload(frame: &[u8]) -> &[u8] {
    frame.get(header(frame)..).unwrap_or_default()
}

/// What each of several frames carries that stand back to back.
pub fn payloads(mut frames: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let header = header(frames);
        // A short length is the second byte itself, a longer one stands behind it.
        let length = frames.get(if header == 2 { 1..2 } else { 2..header })?;
        let fold = |length: usize, byte: &u8| length << 8 | usize::from(*byte);
        let end = header + length.iter().fold(0, fold);
        let payload = frames.get(header..end)?;
        frames = &frames[end..];
        Some(payload)
    })
}

fn header(frame: &[u8]) -> usize {
    match frame.get(1) {
        Some(127) => MAX_HEADER,
        Some(126) => 4,
        _ => 2,
    }
}

/// The post of that number was taken. On a stream of events only, which has no answers to pings: a pong stands for it.
pub fn taken(number: u64) -> Vec<u8> {
    let digits = number.to_string();
    [
        &[FIN_PONG, digits.len().to_le_bytes()[0]],
        digits.as_bytes(),
    ]
    .concat()
}

/// An empty ping.
pub const PING: [u8; 2] = [FIN_PING, 0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_grow_with_the_payload() {
        for (len, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = b"before".to_vec();
            text(&mut out, |o| o.extend(std::iter::repeat_n(b'x', len)));
            assert_eq!(out.len(), 6 + header + len, "{len}");
            assert!(out[6 + header..].iter().all(|c| *c == b'x'));
            assert_eq!(out[6], FIN_TEXT);
            assert_eq!(payload(&out[6..]), "x".repeat(len).as_bytes());
        }
    }

    #[test]
    fn frames_back_to_back_are_told_apart() {
        let (lens, mut out) = ([0, 1, 125, 126, 70_000, 3], Vec::new());
        for len in lens {
            binary(&mut out, |o| o.extend(std::iter::repeat_n(b'y', len)));
        }
        assert_eq!(out[0], FIN_BINARY);
        let found: Vec<usize> = payloads(&out).map(<[u8]>::len).collect();
        assert_eq!(found, lens);
        assert_eq!(payloads(&out[..out.len() - 1]).count(), lens.len() - 1);
    }

    #[test]
    fn a_close_reason_is_cut_on_a_character() {
        let frame = close(4400, &"ä".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }
}
