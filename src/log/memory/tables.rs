//! The tables of the work queue.

use super::super::{AtMoment, Committed, KeyedRow, Reply, RowCommit, RowRange, Tables};
use super::{MemoryLog, Outgoing};
use crate::protocol::ids::{CanvasId, InstanceNumber};

impl Tables for MemoryLog {
    fn last_commit(&self) -> Reply<'_, (String, i64)> {
        self.ask(|world, _| {
            let tables = &world.state.tables;
            (tables.commit.clone(), tables.at_ms)
        })
    }

    fn row<'a>(
        &'a self,
        by: &'a str,
        table: usize,
        key: &'a [u8],
    ) -> Reply<'a, AtMoment<Option<Vec<u8>>>> {
        self.ask(move |world, _| {
            let tables = &world.state.tables;
            let row = || tables.rows.get(&(table, key.to_vec())).cloned();
            (tables.commit == by).then(row)
        })
    }

    fn rows<'a>(&'a self, by: &'a str, range: RowRange<'a>) -> Reply<'a, AtMoment<Vec<KeyedRow>>> {
        self.ask(move |world, _| {
            let tables = &world.state.tables;
            if tables.commit != by {
                return None;
            }
            let place = |key: &[u8]| (range.table, key.to_vec());
            let found = tables.rows.range(place(range.from)..place(range.to));
            let row =
                |((_, key), row): (&(usize, Vec<u8>), &Vec<u8>)| (key.clone(), Some(row.clone()));
            Some(match range.downwards {
                true => found.rev().take(range.limit).map(row).collect(),
                false => found.take(range.limit).map(row).collect(),
            })
        })
    }

    fn commit_rows<'a>(&'a self, commit: RowCommit<'a>) -> Reply<'a, Committed> {
        self.step(move |world, now_ms| {
            let tables = &mut world.state.tables;
            if tables.commit != commit.by {
                return Ok((Committed::Moved, Outgoing::new()));
            }
            let others =
                |(owner, until): (InstanceNumber, i64)| owner != self.number && until > now_ms;
            if tables.owner.is_some_and(others) {
                return Ok((Committed::Locked, Outgoing::new()));
            }
            let canvases = &mut world.state.canvases;
            for (at, told) in commit.dispatched.iter().enumerate() {
                let canvas = canvases.get(told.canvas.as_str());
                if let Some(known) = canvas.map(|canvas| canvas.dispatched)
                    && known != told.from
                {
                    return Ok((Committed::DispatchedBefore(at, known), Outgoing::new()));
                }
            }
            for told in commit.dispatched {
                if let Some(canvas) = canvases.get_mut(told.canvas.as_str()) {
                    canvas.dispatched = told.upto;
                    if canvas.n == told.upto {
                        world.state.undispatched.remove(told.canvas.as_str());
                    }
                }
            }
            world.state.hooks = commit.hooks.unwrap_or(world.state.hooks);
            let tables = &mut world.state.tables;
            for (place, row) in commit.changes {
                match row {
                    Some(row) => tables.rows.insert(place.clone(), row.clone()),
                    None => tables.rows.remove(place),
                };
            }
            tables.commit = uuid::Uuid::new_v4().simple().to_string();
            tables.at_ms = commit.at_ms;
            tables.owner = None;
            let name = tables.commit.clone();
            Ok((Committed::Done(name), world.publish_rows(commit.message)))
        })
    }

    fn lock_rows(&self, milliseconds: i64) -> Reply<'_, bool> {
        self.ask(move |world, now_ms| {
            let owner = &mut world.state.tables.owner;
            let others =
                |(owner, until): (InstanceNumber, i64)| owner != self.number && until > now_ms;
            if owner.is_some_and(others) {
                return false;
            }
            *owner = Some((self.number, now_ms + milliseconds));
            true
        })
    }

    fn undispatched(&self, _from: u64) -> Reply<'_, (u64, Vec<String>)> {
        self.ask(|world, _| {
            let state = &mut world.state;
            let canvases = &state.canvases;
            state
                .undispatched
                .retain(|name| canvases.contains_key(name));
            let names = state.undispatched.iter();
            let alone = names.filter(|name| !state.is_held(name));
            (0, alone.cloned().collect())
        })
    }

    fn all_dispatched<'a>(&'a self, canvases: &'a [(CanvasId, u64)]) -> Reply<'a, ()> {
        self.ask(move |world, _| {
            for (id, n) in canvases {
                let canvas = world.state.canvases.get(id.as_str());
                if canvas.is_some_and(|canvas| canvas.n == *n) {
                    world.state.undispatched.remove(id.as_str());
                }
            }
        })
    }

    fn rows_replicated(&self, replicas: u32) -> Reply<'_, ()> {
        self.step(move |world, _| world.replicas_have(replicas))
    }
}
