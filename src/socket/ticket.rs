//! The name of a stream's session. It has the number of the connection, and a seal of the relay over that number and the
//! canvas. Every process can check the name, and none has to remember it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::backplane::Instance;
use crate::limits::STREAM_SESSION;
use crate::protocol::ids::{CanvasId, ConnId};

/// Bytes of the seal that stand in the name: nobody guesses 128 bits.
const SEAL: usize = 16;
/// The connection, and until when.
const SAID: usize = 8 + 8;
/// How far the clocks of two hosts may be apart.
const CLOCKS: Duration = Duration::from_secs(60);

/// The name of that connection's session.
pub fn issue<I: Instance + ?Sized>(relay: &I, canvas: &CanvasId, conn: ConnId) -> String {
    issued(relay, canvas, conn, now() + STREAM_SESSION.as_secs())
}

fn issued<I: Instance + ?Sized>(relay: &I, canvas: &CanvasId, conn: ConnId, until: u64) -> String {
    let said = [conn.0.to_be_bytes(), until.to_be_bytes()].concat();
    let seal = sealed(relay, canvas, &said);
    URL_SAFE_NO_PAD.encode([&said[..], &seal[..SEAL]].concat())
}

/// Whose session on that canvas it is, if it is one and has not ended with its time.
pub fn check<I: Instance + ?Sized>(relay: &I, canvas: &CanvasId, name: &str) -> Option<ConnId> {
    let bytes = URL_SAFE_NO_PAD.decode(name).ok()?;
    let (said, seal) = bytes.split_at_checked(SAID)?;
    let right = &sealed(relay, canvas, said)[..SEAL];
    if !bool::from(right.ct_eq(seal)) {
        return None;
    }
    let (conn, until) = said.split_first_chunk()?;
    let until = u64::from_be_bytes(until.try_into().ok()?);
    let lasts = until.saturating_add(CLOCKS.as_secs()) > now();
    lasts.then_some(ConnId(u64::from_be_bytes(*conn)))
}

fn sealed<I: Instance + ?Sized>(relay: &I, canvas: &CanvasId, said: &[u8]) -> [u8; 32] {
    relay.seal(&[b"stream ", said, canvas.as_str().as_bytes()].concat())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backplane::{SEAL_BYTES, seal};
    use crate::protocol::ids::InstanceId;
    use crate::protocol::ids::InstanceNumber;

    struct Relay(&'static [u8], InstanceId);

    impl Instance for Relay {
        fn instance_id(&self) -> &InstanceId {
            &self.1
        }

        fn new_conn(&self) -> ConnId {
            ConnId::new(InstanceNumber(1), 1)
        }

        fn number(&self) -> crate::protocol::ids::InstanceNumber {
            InstanceNumber(1)
        }

        fn seal(&self, what: &[u8]) -> [u8; SEAL_BYTES] {
            seal(self.0, what)
        }
    }

    fn relay(key: &'static [u8]) -> Relay {
        Relay(key, InstanceId::parse("one").unwrap())
    }

    #[test]
    fn a_session_is_of_its_canvas_and_its_relay() {
        let (ours, other) = (relay(b"ours"), relay(b"other"));
        let canvas = |name| CanvasId::parse(name).unwrap();
        let (board, conn) = (canvas("board"), ConnId::new(InstanceNumber(7), 9));
        let name = issue(&ours, &board, conn);
        assert_eq!(check(&relay(b"ours"), &board, &name), Some(conn));
        assert_eq!(check(&other, &board, &name), None);
        assert_eq!(check(&ours, &canvas("board2"), &name), None);
        for at in 0..name.len() {
            assert_eq!(check(&ours, &board, &name[..at]), None, "cut at {at}");
            let mut forged = name.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(check(&ours, &board, &forged), None, "{forged}");
        }
    }

    #[test]
    fn a_session_ends() {
        let (ours, board) = (relay(b"ours"), CanvasId::parse("board").unwrap());
        let ended = now() - CLOCKS.as_secs() - 1;
        let name = issued(&ours, &board, ConnId::new(InstanceNumber(7), 9), ended);
        assert_eq!(check(&ours, &board, &name), None);
    }
}
