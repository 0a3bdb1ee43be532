//! The clients that a canvas remembers, present or not.

use std::collections::HashMap;
use std::num::NonZeroU64;

use super::sum::{self, Sum};
use crate::canvas::ClientRow;
use crate::protocol::ids::ClientId;

/// Clients, present or not.
#[derive(Debug, Default)]
pub(super) struct Clients {
    pub(super) rows: HashMap<ClientId, Client>,
    pub(super) sum: Sum,
}

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) row: ClientRow,
    pub(super) used_at_ms: i64,
}

impl Clients {
    /// Changes what is remembered of a client.
    pub(super) fn update(&mut self, name: &ClientId, change: impl FnOnce(&mut Client)) {
        let client = match self.rows.get_mut(name) {
            Some(client) => {
                self.sum.remove(client.sum(name));
                client
            }
            None => self.rows.entry(name.clone()).or_default(),
        };
        change(client);
        self.sum.add(client.sum(name));
    }

    /// The places of what they said mean nothing any more. Their ops are kept.
    pub(super) fn forget_places(&mut self) {
        for (name, client) in &mut self.rows {
            self.sum.remove(client.sum(name));
            client.row.last_seq = None;
            self.sum.add(client.sum(name));
        }
    }

    /// Forgets the others.
    pub(super) fn retain(&mut self, keep: impl Fn(&ClientId, &Client) -> bool) {
        let sum = &mut self.sum;
        self.rows.retain(|name, client| {
            let kept = keep(name, client);
            if !kept {
                sum.remove(client.sum(name));
            }
            kept
        });
    }
}

impl Client {
    fn sum(&self, name: &ClientId) -> u64 {
        let ClientRow {
            subject,
            last_op,
            last_seq,
        } = &self.row;
        let used_at = self.used_at_ms.cast_unsigned();
        sum::row(
            &[*last_op, last_seq.map_or(0, NonZeroU64::get), used_at],
            &[name.as_str(), subject],
        )
    }
}
