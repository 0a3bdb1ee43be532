//! The author of messages: a connection.

use super::intake::OpGate;
use crate::protocol::ids::{ClientId, ConnId};

/// One connection as an author of entries.
#[derive(Debug)]
pub struct Author {
    /// The connection.
    pub conn: ConnId,
    /// The client it belongs to.
    pub client: ClientId,
    /// Name and colour as a JSON object.
    pub user: String,
    /// The `sub` of its token; empty without auth.
    pub subject: String,
    /// What keeps its ops in order when some are refused.
    pub ops: OpGate,
    mark: u64,
}

/// Names are compared once a member and message: numbers are faster. That two clients of a canvas share one is as likely
/// as that two UUIDs are the same, and would only let an op pass that waits for an earlier one.
pub(super) fn client_mark(name: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(name, &mut hasher);
    std::hash::Hasher::finish(&hasher)
}

impl Author {
    /// An author whose ops are not held.
    pub fn new(conn: ConnId, client: ClientId, user: String, subject: String) -> Self {
        Self {
            mark: client_mark(client.as_str()),
            conn,
            client,
            user,
            subject,
            ops: OpGate::default(),
        }
    }

    /// A number that stands for the client's name in [`super::Mark::client`].
    pub fn mark(&self) -> u64 {
        self.mark
    }
}
