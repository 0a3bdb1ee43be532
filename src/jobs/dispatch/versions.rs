//! The hooks that all processes follow. Each change of them is a version, stored among the queue's rows.

use crate::hooks::file::HookText;
use crate::hooks::{Change, Stored};
use crate::jobs::rows::HookSet;
use crate::jobs::store::{Order, Store};
use crate::jobs::work::{Res, Work};

/// Versions that are kept: what happened under an older one is told by the oldest of these.
const KEPT: usize = 16;

/// The last version; `None` before the first.
fn last<S: Store>(w: &mut Work<'_, S>) -> Res<Option<HookSet>, S> {
    Ok(some(w, i64::MAX, 1)?.pop())
}

/// The last versions before that one, the youngest first.
fn some<S: Store>(w: &mut Work<'_, S>, before: i64, most: usize) -> Res<Vec<HookSet>, S> {
    let mut found = Vec::new();
    w.store
        .each::<HookSet>(&(0,), &(before,), Order::Down, most, &mut |row| {
            found.push(row);
            std::ops::ControlFlow::Continue(())
        })?;
    Ok(found)
}

/// A version of the hooks, or the last one. One that is not kept any more: the oldest that is.
pub(crate) fn read<S: Store>(w: &mut Work<'_, S>, version: Option<i64>) -> Res<Stored, S> {
    let row = match version {
        None => last(w)?,
        Some(version) => w.store.first::<HookSet>(&(version,), &(i64::MAX,))?,
    };
    Ok(row.map_or_else(Stored::default, |row| stored(&row)))
}

/// The version as it is followed.
pub(super) fn stored(row: &HookSet) -> Stored {
    let texts: Vec<HookText> = serde_json::from_str(&row.texts).unwrap_or_else(|error| {
        // A newer version of the program may have written what this one does not know.
        tracing::error!(%error, "the stored hooks can't be read: no events are sent");
        Vec::new()
    });
    let off: Vec<(String, String)> = serde_json::from_str(&row.off).unwrap_or_default();
    Stored::new(row.version, texts, off)
}

/// Puts these hooks in the place of all others; all of them are on. Only `over` the hooks of others, if there are some.
pub(crate) fn store<S: Store>(
    w: &mut Work<'_, S>,
    texts: &[HookText],
    over: bool,
) -> Res<Change, S> {
    let before = read(w, None)?;
    if before.texts == texts && (before.off.is_empty() || !over) {
        return Ok(Change::None);
    }
    if before.is_stored() && !over {
        return Ok(Change::OthersStay);
    }
    put(w, before.version + 1, texts, &[])?;
    Ok(Change::Stored)
}

/// The hook is told nothing more, until the hooks are stored anew. `false` if it was off, or is not there.
pub(crate) fn turn_off<S: Store>(w: &mut Work<'_, S>, name: &str, why: &str) -> Res<bool, S> {
    let Stored {
        version,
        texts,
        mut off,
        ..
    } = read(w, None)?;
    let known = texts.iter().any(|text| text.name == name);
    if !known || off.iter().any(|(off, _)| off == name) {
        return Ok(false);
    }
    off.push((name.to_owned(), why.to_owned()));
    put(w, version + 1, &texts, &off)?;
    Ok(true)
}

fn put<S: Store>(
    w: &mut Work<'_, S>,
    version: i64,
    texts: &[HookText],
    off: &[(String, String)],
) -> Res<(), S> {
    // Lists of texts: there is nothing that can't be written.
    let row = HookSet {
        version,
        texts: serde_json::to_string(texts).unwrap_or_default(),
        off: serde_json::to_string(off).unwrap_or_default(),
    };
    let any = !stored(&row).hooks.is_empty();
    w.store.put(&row)?;
    for old in some(w, version, KEPT + 1)?.into_iter().skip(KEPT - 1) {
        w.store.delete::<HookSet>(&(old.version,))?;
    }
    w.effects.hooks = Some(if any { version } else { 0 });
    Ok(())
}
