//! Long messages in fewer bytes, for clients that asked for it: several of them as one array, deflated (RFC 1951, without a header).
//! Pure.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rmp::encode::{write_array_len, write_bin, write_uint};

use super::encoding::Encoding;
use super::frame;

/// The word for it in `hello.compress`.
pub const WORD: &str = "deflate-raw";
/// Fewer bytes are not worth a client's work.
pub const FROM_BYTES: usize = 4 * 1024;
/// The most bytes that one compressed frame becomes: who inflates it need not take more.
pub const MAX_INFLATED_BYTES: usize = 1024 * 1024;
/// In MessagePack: the number of the array that holds it.
pub const DEFLATED: u8 = 9;

/// One frame that says the same as those, back to back; `None` where it would not be shorter, or would inflate to too much.
pub fn frames(frames: &[u8], encoding: Encoding) -> Option<Bytes> {
    // An array of them is no longer than they are with their headers.
    if frames.len() > MAX_INFLATED_BYTES - 16 {
        return None;
    }
    let mut encoder =
        DeflateEncoder::new(Vec::with_capacity(frames.len() / 2), Compression::fast());
    array(&mut encoder, frames, encoding).ok()?;
    let deflated = encoder.finish().ok()?;
    let mut out = Vec::with_capacity(deflated.len() + 16);
    frame::binary(&mut out, |out| match encoding {
        Encoding::Json => out.extend_from_slice(&deflated),
        Encoding::Msgpack => {
            // Writing into a Vec cannot fail.
            let _ = write_array_len(out, 2);
            let _ = write_uint(out, DEFLATED.into());
            let _ = write_bin(out, &deflated);
        }
    });
    (out.len() < frames.len()).then(|| Bytes::from(out))
}

/// Writes what the frames carry as one array.
fn array(out: &mut impl Write, frames: &[u8], encoding: Encoding) -> std::io::Result<()> {
    match encoding {
        Encoding::Json => {
            for (n, payload) in frame::payloads(frames).enumerate() {
                out.write_all(if n > 0 { b"," } else { b"[" })?;
                out.write_all(payload)?;
            }
            out.write_all(b"]")
        }
        Encoding::Msgpack => {
            let count = u32::try_from(frame::payloads(frames).count()).unwrap_or(u32::MAX);
            let mut head = Vec::new();
            // Writing into a Vec cannot fail.
            let _ = write_array_len(&mut head, count);
            out.write_all(&head)?;
            frame::payloads(frames).try_for_each(|payload| out.write_all(payload))
        }
    }
}

/// What was deflated.
///
/// # Errors
/// When it is damaged, or more than [`MAX_INFLATED_BYTES`].
pub fn inflate(deflated: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let most = MAX_INFLATED_BYTES as u64;
    DeflateDecoder::new(deflated)
        .take(most + 1)
        .read_to_end(&mut out)?;
    if out.len() > MAX_INFLATED_BYTES {
        let message = format!("more than {MAX_INFLATED_BYTES} bytes");
        return Err(std::io::Error::other(message));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::protocol::msgpack;

    fn framed(messages: &[Value], encoding: Encoding) -> Vec<u8> {
        let mut out = Vec::new();
        for message in messages {
            frame::text(&mut out, |out| out.extend(message.to_string().bytes()));
        }
        match encoding {
            Encoding::Json => out,
            Encoding::Msgpack => msgpack::frames(&out, &msgpack::Nobody, |_| ()).to_vec(),
        }
    }

    proptest! {
        /// What was said comes out, in its order, in both encodings.
        #[test]
        fn nothing_is_lost(texts in prop::collection::vec(".{0,200}", 20..60)) {
            let messages: Vec<Value> = texts
                .iter()
                .map(|text| serde_json::json!({"type": "signal", "data": text, "pad": "x".repeat(100)}))
                .collect();
            let json = frames(&framed(&messages, Encoding::Json), Encoding::Json).expect("shorter");
            let inflated = inflate(frame::payload(&json)).expect("whole");
            prop_assert_eq!(serde_json::from_slice::<Vec<Value>>(&inflated).expect("JSON"), messages.clone());
            let packed = frames(&framed(&messages, Encoding::Msgpack), Encoding::Msgpack).expect("shorter");
            let mut rest = msgpack::Source(frame::payload(&packed));
            prop_assert_eq!(rest.head().expect("a head"), msgpack::Head::Array(2));
            prop_assert_eq!(rest.head().expect("a head"), msgpack::Head::Unsigned(9));
            let msgpack::Head::Binary(len) = rest.head().expect("a head") else { panic!("binary") };
            let inflated = inflate(rest.take(len).expect("bytes")).expect("whole");
            prop_assert_eq!(rmp_serde::from_slice::<Vec<Value>>(&inflated).expect("MessagePack"), messages);
        }
    }

    #[test]
    fn what_grows_without_bound_is_no_message() {
        let zeros = vec![b' '; 64 * MAX_INFLATED_BYTES];
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&zeros).unwrap();
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < MAX_INFLATED_BYTES / 10);
        assert!(inflate(&bomb).is_err());
        assert!(inflate(&bomb[..100]).is_err(), "cut");
        let large = framed(
            &[Value::from("x".repeat(MAX_INFLATED_BYTES))],
            Encoding::Json,
        );
        assert!(
            frames(&large, Encoding::Json).is_none(),
            "nor do we make one"
        );
    }

    #[test]
    fn what_would_not_be_shorter_stays_as_it_is() {
        let short = framed(&[Value::from("é")], Encoding::Json);
        assert!(frames(&short, Encoding::Json).is_none());
    }
}
