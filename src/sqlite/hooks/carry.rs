//! What is set aside, for whoever carries it to another store.

use std::sync::Arc;

use rusqlite::Connection;

use super::aside::{next_after, take_out};
use super::versions;
use crate::hooks::hook_event::Named;
use crate::hooks::{Hooks, Stored};
use crate::jobs::dispatch::{Happening, Missed, Part};

const AFTER: &str = "SELECT a.hook, a.quiet, c.canvas_id, a.epoch, a.from_seq, a.to_seq
    FROM hook_aside_after AS a JOIN canvases AS c ON c.key = a.canvas_id WHERE a.n = ?1";

/// What a hook is told behind a row.
struct After {
    hook: String,
    quiet: bool,
    named: Named,
    span: (u64, u64),
}

/// Gives what is set aside, row by row, as it is told. `current`: the hooks that are followed.
pub(in crate::sqlite) fn each_aside<E: From<rusqlite::Error>>(
    conn: &Connection,
    current: Stored,
    mut tell: impl FnMut(Vec<Part>) -> Result<(), E>,
) -> Result<(), E> {
    let current = Arc::new(current);
    let mut last = 0;
    while let Some(row) = next_after(conn, last)? {
        last = row.n;
        let (shares, told) = take_out(conn, last)?;
        let stored = versions::at(conn, row.version, &current)?;
        let told = told.into_iter().map(|(_, told)| told).collect();
        let happening = Happening {
            at_ms: row.at_ms,
            events: told,
            ..Happening::default()
        };
        let wanted = |name: &str| shares.iter().any(|share| share.hook == name);
        let mut parts = vec![part(&stored, wanted, happening)];
        for after in afters(conn, last)? {
            let mut happening = Happening {
                at_ms: row.at_ms,
                ..Happening::default()
            };
            match after.quiet {
                true => happening.changed = Some((after.named, after.span)),
                false => {
                    happening.gap = Some(Missed {
                        named: after.named,
                        span: after.span,
                        count: 0,
                    });
                }
            }
            parts.push(part(&stored, |name| name == after.hook, happening));
        }
        tell(parts)?;
    }
    Ok(())
}

/// That happening, for some of the hooks.
fn part(stored: &Stored, wanted: impl Fn(&str) -> bool, what: Happening) -> Part {
    let hooks = stored.hooks.iter().filter(|hook| wanted(&hook.name));
    let hooks = Stored {
        version: stored.version,
        hooks: Hooks::new(hooks.cloned().collect()),
        ..Stored::default()
    };
    Part {
        hooks: Arc::new(hooks),
        what: Arc::new(what),
    }
}

fn afters(conn: &Connection, n: i64) -> rusqlite::Result<Vec<After>> {
    let mut statement = conn.prepare_cached(AFTER)?;
    let rows = statement.query_map([n], |row| {
        let (id, epoch): (String, String) = (row.get(2)?, row.get(3)?);
        let (from, to): (i64, i64) = (row.get(4)?, row.get(5)?);
        Ok(After {
            hook: row.get(0)?,
            quiet: row.get(1)?,
            named: Named {
                id: id.into(),
                epoch: epoch.into(),
            },
            span: (from.cast_unsigned(), to.cast_unsigned()),
        })
    })?;
    rows.collect()
}
