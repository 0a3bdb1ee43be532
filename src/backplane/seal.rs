//! Seals. Every instance of a relay can make and check them, and nobody else can make one.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Bytes of a seal: an HMAC-SHA256.
pub const SEAL_BYTES: usize = 32;

/// What the key is for: a seal is no signature of anything else that is made with the same key.
const PURPOSE: &[u8] = b"scumble seal 1";

/// The seal of `what` under that key.
pub fn seal(key: &[u8], what: &[u8]) -> [u8; SEAL_BYTES] {
    mac(&mac(key, PURPOSE), what)
}

fn mac(key: &[u8], what: &[u8]) -> [u8; SEAL_BYTES] {
    // A key of any length will do for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; SEAL_BYTES];
    };
    mac.update(what);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_of_its_key_and_of_what_is_sealed() {
        let ours = seal(b"ours", b"what");
        assert_eq!(seal(b"ours", b"what"), ours);
        assert_ne!(seal(b"other", b"what"), ours);
        assert_ne!(seal(b"ours", b"who"), ours);
    }
}
