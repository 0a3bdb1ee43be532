//! Hooks that others have replaced: what was set aside for them is told to them.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::texts;
use crate::hooks::Stored;

/// Versions that are kept: what was set aside under an older one is told by the oldest of these.
const KEPT: i64 = 16;

const KEEP: &str = "INSERT OR REPLACE INTO hook_versions (version, hooks, off) SELECT version, hooks, ?1 FROM hooks";
const TRIM: &str =
    "DELETE FROM hook_versions WHERE version <= (SELECT max(version) - ?1 FROM hook_versions)";
const AT: &str =
    "SELECT version, hooks, off FROM hook_versions WHERE version >= ?1 ORDER BY version LIMIT 1";
const FORGET: &str = "DELETE FROM hook_versions";

/// Keeps the hooks in the file, which others are about to replace.
pub(super) fn keep(conn: &Connection, before: &Stored) -> rusqlite::Result<()> {
    // A list of texts: there is nothing that can't be written.
    let off = serde_json::to_string(&before.off).unwrap_or_default();
    conn.execute(KEEP, [off])?;
    conn.execute(TRIM, params![KEPT])?;
    Ok(())
}

/// The hooks of that version, as far as they are known. Those that are off now are told nothing more, whatever was set aside for them.
pub(super) fn at(
    conn: &Connection,
    version: i64,
    current: &Arc<Stored>,
) -> rusqlite::Result<Arc<Stored>> {
    if version == current.version {
        return Ok(Arc::clone(current));
    }
    let mut statement = conn.prepare_cached(AT)?;
    let found = statement.query_row([version], |row| {
        Ok((
            row.get(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
        ))
    });
    let Some((version, hooks, off)) = found.optional()? else {
        return Ok(Arc::clone(current));
    };
    let mut off: Vec<(String, String)> = serde_json::from_str(&off).unwrap_or_default();
    off.extend(current.off.iter().cloned());
    Ok(Arc::new(Stored::new(version, texts(&hooks), off)))
}

/// Nothing is set aside.
pub(super) fn forget(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached(FORGET)?.execute([])?;
    Ok(())
}
