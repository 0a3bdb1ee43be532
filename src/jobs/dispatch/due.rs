//! Events that time brings: canvases that became quiet, and gaps for which there is room now.

use std::collections::BTreeSet;

use super::{dispatch_gap, has_room, item, pushed};
use crate::hooks::hook_event::Span;
use crate::hooks::{Hook, Stored};
use crate::jobs::rows::{HookChange, HookDue, HookGap};
use crate::jobs::store::Store;
use crate::jobs::work::{Res, Work};

/// Rows of one transaction.
const AT_ONCE: usize = 100;
/// When a change is due that found no room: once there is some.
pub(crate) const PARKED: i64 = i64::MAX - 1;

/// What [`fire`] came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fired {
    pub(crate) count: u64,
    /// A backlog had room, and yet its queue took nothing: all queues together are full.
    pub(crate) refused: bool,
}

/// Whether [`fire`] has something to do. What waits for room is nothing to do until there is some: it costs a few reads.
pub(crate) fn is_due<S: Store>(w: &mut Work<'_, S>, stored: &Stored) -> Res<bool, S> {
    if !due(w, 1)?.is_empty() {
        return Ok(true);
    }
    for name in waiting(w)? {
        match stored.hooks.iter().find(|hook| hook.name == name) {
            Some(hook) if !has_room(w, hook)? => {}
            _ => return Ok(true),
        }
    }
    Ok(false)
}

/// Changes whose time has come.
fn due<S: Store>(w: &mut Work<'_, S>, most: usize) -> Res<Vec<HookDue>, S> {
    let none = String::new;
    let upto = (w.now.saturating_add(1), none(), none());
    w.store.scan(&(0, none(), none()), &upto, most)
}

/// The least text above all that begin a key with that one.
fn after(name: &str) -> String {
    format!("{name}\0")
}

/// The names of hooks that have a gap, or a change without room: each is found by its key, whatever they have.
fn waiting<S: Store>(w: &mut Work<'_, S>) -> Res<BTreeSet<String>, S> {
    let mut names = BTreeSet::new();
    let none = String::new;
    let mut from = none();
    // No name has a character beyond that.
    let end = "\u{7f}".to_owned();
    while let Some(gap) = w
        .store
        .first::<HookGap>(&(from.clone(), none()), &(end.clone(), none()))?
    {
        from = after(&gap.hook);
        names.insert(gap.hook);
    }
    from.clear();
    let end = (PARKED + 1, none(), none());
    while let Some(parked) = w
        .store
        .first::<HookDue>(&(PARKED, from.clone(), none()), &end)?
    {
        from = after(&parked.hook);
        names.insert(parked.hook);
    }
    Ok(names)
}

/// Tells of canvases that became quiet, and of gaps where there is room now.
pub(crate) fn fire<S: Store>(w: &mut Work<'_, S>, stored: &Stored) -> Res<Fired, S> {
    let mut fired = Fired::default();
    for name in waiting(w)? {
        let hook = stored.hooks.iter().find(|hook| hook.name == name);
        if let Some(hook) = hook
            && !has_room(w, hook)?
        {
            continue;
        }
        unpark(w, &name)?;
        dispatch_gaps(w, &name, hook, &mut fired)?;
    }
    for due in due(w, AT_ONCE)? {
        let hook = stored.hooks.iter().find(|hook| hook.name == due.hook);
        changed(w, hook, due, &mut fired)?;
    }
    Ok(fired)
}

/// What waited for room is due now.
fn unpark<S: Store>(w: &mut Work<'_, S>, name: &str) -> Res<(), S> {
    let none = String::new;
    let from = (PARKED, name.to_owned(), none());
    let to = (PARKED, after(name), none());
    let now = w.now;
    for parked in w.store.scan::<HookDue>(&from, &to, AT_ONCE)? {
        set_due(w, parked, now)?;
    }
    Ok(())
}

/// Another time for a change.
fn set_due<S: Store>(w: &mut Work<'_, S>, due: HookDue, at: i64) -> Res<(), S> {
    let place = (due.hook.clone(), due.canvas.clone());
    w.store
        .delete::<HookDue>(&(due.at, due.hook.clone(), due.canvas.clone()))?;
    if let Some(mut change) = w.store.get::<HookChange>(&place)? {
        change.due_at = at;
        w.store.put(&change)?;
        w.store.put(&HookDue { at, ..due })?;
    }
    Ok(())
}

/// Tells a hook of its gaps, as long as there is room. If the hook is gone, nobody is left to be told.
fn dispatch_gaps<S: Store>(
    w: &mut Work<'_, S>,
    name: &str,
    hook: Option<&Hook>,
    fired: &mut Fired,
) -> Res<(), S> {
    let from = (name.to_owned(), String::new());
    let to = (after(name), String::new());
    for gap in w.store.scan::<HookGap>(&from, &to, AT_ONCE)? {
        match hook {
            None => {
                w.store.delete::<HookGap>(&(gap.hook, gap.canvas))?;
            }
            Some(hook) => {
                if !has_room(w, hook)? {
                    return Ok(());
                }
                if !dispatch_gap(w, hook, &gap)? {
                    fired.refused = true;
                    return Ok(());
                }
            }
        }
        fired.count += 1;
    }
    Ok(())
}

/// Tells one hook that a canvas changed and is quiet. It is one event however long it waits for room: it needs no gap.
fn changed<S: Store>(
    w: &mut Work<'_, S>,
    hook: Option<&Hook>,
    due: HookDue,
    fired: &mut Fired,
) -> Res<(), S> {
    let place = (due.hook.clone(), due.canvas.clone());
    if let (Some(hook), Some(change)) = (hook, w.store.get::<HookChange>(&place)?) {
        let places = (
            change.from_seq.cast_unsigned(),
            change.to_seq.cast_unsigned(),
        );
        let span = Span::changed(hook, &change.epoch, places);
        let item = item(&span, hook, &change.canvas, &change.epoch, w.now);
        let room = has_room(w, hook)?;
        if !room || !pushed(w, &item)? {
            fired.refused |= room;
            return set_due(w, due, PARKED);
        }
    }
    w.store.delete::<HookChange>(&place)?;
    w.store.delete::<HookDue>(&(due.at, due.hook, due.canvas))?;
    fired.count += 1;
    Ok(())
}
