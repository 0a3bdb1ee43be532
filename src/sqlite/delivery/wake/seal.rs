//! A seal on each wake. Only a process that can read the file can make one, so nobody else's rows are taken for
//! committed.

use std::fmt;

use hmac::{Hmac, Mac as _};
use rusqlite::Connection;
use sha2::Sha256;

use crate::backplane::{SEAL_BYTES, seal};
use crate::sqlite::storage::store_error::{StoreError, StoreResult};

/// Bytes of a seal, the first of an HMAC-SHA256.
pub(super) const LEN: usize = 16;

/// The key that all processes of a file have.
pub(in crate::sqlite) struct Seal {
    wakes: Hmac<Sha256>,
    key: Vec<u8>,
}

impl Seal {
    /// The file's key.
    ///
    /// # Errors
    /// When it can't be read, or is none.
    pub(in crate::sqlite) fn of(conn: &Connection) -> StoreResult<Self> {
        let sql = "SELECT value FROM meta WHERE key = 'wake_key'";
        let key: String = conn.query_row(sql, [], |row| row.get(0))?;
        Self::new(key.as_bytes()).ok_or(StoreError::WakeKey)
    }

    fn new(key: &[u8]) -> Option<Self> {
        let wakes = Hmac::new_from_slice(key).ok()?;
        let key = key.to_vec();
        Some(Self { wakes, key })
    }

    /// A seal of something else than a wake.
    pub(super) fn of_relay(&self, what: &[u8]) -> [u8; SEAL_BYTES] {
        seal(&self.key, what)
    }

    /// Puts the seal behind a wake.
    pub(super) fn put(&self, datagram: &mut Vec<u8>) {
        let mut mac = self.wakes.clone();
        mac.update(datagram);
        datagram.extend_from_slice(&mac.finalize().into_bytes()[..LEN]);
    }

    /// The wake without its seal; `None` if that is not right.
    pub(super) fn open<'a>(&self, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (datagram, seal) = sealed.split_last_chunk::<LEN>()?;
        let mut mac = self.wakes.clone();
        mac.update(datagram);
        mac.verify_truncated_left(seal).ok()?;
        Some(datagram)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_is_opened_only_as_it_was_sealed() {
        let (ours, other) = (Seal::new(b"ours").unwrap(), Seal::new(b"other").unwrap());
        let mut sealed = b"Rows".to_vec();
        ours.put(&mut sealed);
        assert_eq!(ours.open(&sealed), Some(&b"Rows"[..]));
        assert_eq!(other.open(&sealed), None);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(ours.open(&forged), None, "byte {at}");
            assert_eq!(ours.open(&sealed[..at]), None, "cut at {at}");
        }
    }
}
