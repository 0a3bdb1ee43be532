//! The list of a relay's assets, as tools read it. The bytes are elsewhere, under the relay's name, which moves with the list.

use std::ops::ControlFlow;

use anyhow::bail;

use super::in_rows;
use super::redis_tool::RedisTool;
use crate::jobs::cells::Key as _;
use crate::jobs::rows::{Asset, AssetTotals};
use crate::jobs::store::{Order, Store};
use crate::replicated::tools::rows::{Failed, ToolRows, is_moved};

/// Times that it is read again since somebody changed it.
const TRIES: usize = 5;

/// What a list names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The relay, as it is called where bytes are kept.
    pub relay: String,
    /// As quotas count them.
    pub charged: i64,
    /// Their names there, and their bytes, by name.
    pub blobs: Vec<(String, u64)>,
}

impl Listed {
    /// Bytes of all of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// The list of a relay in Redis; `None` if it never had one.
///
/// # Errors
/// Where it can't be read, or changes faster than that.
pub fn of_redis(redis: &RedisTool) -> anyhow::Result<Option<Listed>> {
    for _ in 0..TRIES {
        match read(&redis.rows(false)?) {
            Ok(listed) => return Ok(listed),
            Err(trouble) if is_moved(&trouble) => {}
            Err(trouble) => return Err(in_rows(&trouble)),
        }
    }
    bail!("the list of assets changes faster than it can be read: try again")
}

fn read(rows: &ToolRows) -> Result<Option<Listed>, Failed> {
    let Some(totals) = rows.get::<AssetTotals>(&(0,))? else {
        return Ok(None);
    };
    let least = <(String, String)>::least();
    let beyond = <(String, String)>::beyond();
    let mut blobs = Vec::new();
    rows.each::<Asset>(&least, &beyond, Order::Up, usize::MAX, &mut |row| {
        blobs.push((row.blob, row.bytes.cast_unsigned()));
        ControlFlow::Continue(())
    })?;
    blobs.sort_unstable();
    Ok(Some(Listed {
        relay: totals.relay,
        charged: totals.bytes,
        blobs,
    }))
}
