//! The rights of a connection's token, as long as it is valid.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::connection::{Hub, Peer};
use crate::auth::claims::Access;
use crate::auth::{Gate, Grant};
use crate::protocol::close_code::CloseCode;
use crate::room::Link;

/// A connection's grant, which a refresh replaces. Without one, where no tokens are asked for, everything is allowed.
pub(super) struct Session {
    /// Boxed: where no tokens are asked for, every connection would hold room for one.
    grant: Mutex<Option<Box<Grant>>>,
    /// What the grant says about writing, to be asked for each message.
    writes: AtomicBool,
}

impl Session {
    pub(super) fn new(grant: Option<Grant>) -> Self {
        let may_write = grant.as_ref().is_none_or(writes);
        Self {
            grant: Mutex::new(grant.map(Box::new)),
            writes: AtomicBool::new(may_write),
        }
    }

    pub(super) fn grant(&self) -> Option<Grant> {
        self.grant.lock().as_deref().cloned()
    }

    pub(super) fn replace(&self, grant: Grant) {
        self.writes.store(writes(&grant), Ordering::Release);
        *self.grant.lock() = Some(Box::new(grant));
    }

    /// How long the token is still valid; `None` without one.
    pub(super) fn left(&self) -> Option<Duration> {
        self.grant.lock().as_deref().map(Grant::remaining)
    }

    pub(super) fn may_write(&self) -> bool {
        self.writes.load(Ordering::Acquire)
    }

    pub(super) fn access(&self) -> Access {
        match self.may_write() {
            true => Access::Write,
            false => Access::Read,
        }
    }

    pub(super) fn is_revoked(&self, gate: &Gate) -> bool {
        let grant = self.grant.lock();
        grant.as_ref().is_some_and(|grant| gate.is_revoked(grant))
    }
}

fn writes(grant: &Grant) -> bool {
    grant.access == Access::Write
}

impl Peer {
    /// Ends the connection: its token is not taken any more.
    pub(super) fn revoke(&self) {
        self.close(CloseCode::Unauthorized, "the token was revoked");
    }
}

impl Hub {
    /// Reads keys and the list of who is revoked again. What can't be read stays as it was.
    pub fn reload(&self) {
        match self.config.security.read_keys() {
            Ok(keys) => self.gate.change_keys(keys),
            Err(error) => tracing::error!(%error, "keys could not be read: the old ones stay"),
        }
        if self.config.security.revoked_file.is_some() {
            self.reload_revoked();
        } else {
            tracing::info!("SIGHUP: keys were read again");
        }
    }

    /// Reads the list of who is revoked again, and ends their connections. Logs how it went.
    fn reload_revoked(&self) {
        let entries = match self.gate.reload() {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(%error, "--revoked-file could not be read: the old list stays");
                return;
            }
        };
        let mut closed = 0;
        for peer in self.peers() {
            if peer.session.is_revoked(&self.gate) {
                peer.revoke();
                closed += 1;
            }
        }
        tracing::info!(entries, closed, "--revoked-file was read again");
    }
}
