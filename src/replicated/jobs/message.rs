//! The message of a process to the others after a commit: which queues have something, of which canvases hooks were
//! told, and whether the hooks have changed.

use crate::jobs::work::Effects;

/// See the module's head.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Queues, by the hash of their name, and from when on.
    pub(super) wakes: Vec<(u64, i64)>,
    /// Canvases, and the batch up to which hooks were told.
    pub(super) dispatched: Vec<(String, u64)>,
    /// Others are followed.
    pub(super) hooks: bool,
}

impl Message {
    /// From the process of that token.
    pub(super) fn encode(own: &str, effects: &Effects) -> Vec<u8> {
        let mut message = own.as_bytes().to_vec();
        message.push(u8::from(effects.hooks.is_some()));
        let count = u32::try_from(effects.wakes.len()).unwrap_or(u32::MAX);
        message.extend(count.to_be_bytes());
        for (name, at) in &effects.wakes {
            message.extend(name.to_be_bytes());
            message.extend(at.to_be_bytes());
        }
        for told in &effects.dispatched {
            // No name of a canvas is longer than that.
            let length = u16::try_from(told.canvas.len()).unwrap_or(u16::MAX);
            message.extend(length.to_be_bytes());
            message.extend(told.canvas.as_bytes());
            message.extend(told.upto.to_be_bytes());
        }
        message
    }

    /// `None` if it is from that process itself, or is no such message.
    pub(super) fn decode(own: &str, bytes: &[u8]) -> Option<Self> {
        let (who, mut rest) = bytes.split_at_checked(own.len())?;
        if who == own.as_bytes() {
            return None;
        }
        let [hooks] = take(&mut rest)?;
        let count = u32::from_be_bytes(take(&mut rest)?);
        let mut message = Self {
            hooks: hooks != 0,
            ..Self::default()
        };
        for _ in 0..count {
            let name = u64::from_be_bytes(take(&mut rest)?);
            let at = i64::from_be_bytes(take(&mut rest)?);
            message.wakes.push((name, at));
        }
        while !rest.is_empty() {
            let length = u16::from_be_bytes(take(&mut rest)?);
            let (canvas, after) = rest.split_at_checked(usize::from(length))?;
            rest = after;
            let canvas = String::from_utf8(canvas.to_vec()).ok()?;
            message
                .dispatched
                .push((canvas, u64::from_be_bytes(take(&mut rest)?)));
        }
        Some(message)
    }
}

/// The next bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::dispatch::Upto;

    #[test]
    fn a_message_comes_back_as_it_was_and_no_part_of_it_is_one() {
        let effects = Effects {
            wakes: [(7, 0), (u64::MAX, -3)].into(),
            dispatched: vec![Upto {
                canvas: "board-1".into(),
                from: 3,
                upto: 9,
            }],
            hooks: Some(2),
            ..Effects::default()
        };
        let bytes = Message::encode("one", &effects);
        let message = Message {
            wakes: vec![(7, 0), (u64::MAX, -3)],
            dispatched: vec![("board-1".to_owned(), 9)],
            hooks: true,
        };
        assert_eq!(Message::decode("two", &bytes), Some(message));
        assert_eq!(Message::decode("one", &bytes), None, "it is our own");
        for cut in 0..bytes.len() {
            let part = Message::decode("two", &bytes[..cut]);
            assert!(part.is_none_or(|part| part.dispatched.is_empty()), "{cut}");
        }
    }
}
