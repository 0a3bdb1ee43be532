//! Hooks, and their events that are not queued yet, as rows that any store can take over.

use super::versions::stored;
use crate::hooks::Stored;
use crate::jobs::cells::Key as _;
use crate::jobs::rows::{HookChange, HookDue, HookGap, HookSet, Row};
use crate::jobs::store::{Order, Store};

/// The hooks that are followed, changes that wait for quiet, and events that had no room.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptHooks {
    pub(crate) set: HookSet,
    pub(crate) changes: Vec<HookChange>,
    pub(crate) gaps: Vec<HookGap>,
}

impl KeptHooks {
    /// As a store has them that keeps them among its rows; `None` if it never had any.
    pub(crate) fn read<S: Store>(store: &S) -> Result<Option<Self>, S::Error> {
        let mut last = None;
        let least = (i64::MIN,);
        let beyond = (i64::MAX,);
        store.each::<HookSet>(&least, &beyond, Order::Down, 1, &mut |row| {
            last = Some(row);
            std::ops::ControlFlow::Break(())
        })?;
        let Some(set) = last else { return Ok(None) };
        Ok(Some(Self {
            set,
            changes: all(store)?,
            gaps: all(store)?,
        }))
    }

    /// Puts them into such a store.
    pub(crate) fn write<S: Store>(&self, store: &mut S) -> Result<(), S::Error> {
        store.put(&self.set)?;
        for change in &self.changes {
            store.put(&HookDue {
                at: change.due_at,
                hook: change.hook.clone(),
                canvas: change.canvas.clone(),
            })?;
            store.put(change)?;
        }
        self.gaps.iter().try_for_each(|gap| store.put(gap))
    }

    /// As they are followed.
    pub(crate) fn stored(&self) -> Stored {
        stored(&self.set)
    }

    /// Those that are off, and why.
    pub(crate) fn off(&self) -> Vec<(String, String)> {
        serde_json::from_str(&self.set.off).unwrap_or_default()
    }
}

fn all<R: Row, S: Store>(store: &S) -> Result<Vec<R>, S::Error> {
    store.scan(&R::Key::least(), &R::Key::beyond(), usize::MAX)
}
