//! The rows in memory, with a journal of their earlier values: for `--queue off`, and for the simulation.

use std::convert::Infallible;
use std::ops::ControlFlow;

use super::rows::{Maps, Row};
use super::store::{Order, Store};

type Undo = Box<dyn FnOnce(&mut Maps) + Send>;

#[derive(Default)]
pub(crate) struct MemoryStore {
    maps: Maps,
    /// How to get back to the mark, if there is one.
    journal: Option<Vec<Undo>>,
}

impl MemoryStore {
    fn remember<R: Row>(&mut self, key: R::Key, before: Option<R>) {
        if let Some(journal) = &mut self.journal {
            journal.push(Box::new(move |maps| {
                match before {
                    Some(row) => R::map_mut(maps).insert(key, row),
                    None => R::map_mut(maps).remove(&key),
                };
            }));
        }
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn get<R: Row>(&self, key: &R::Key) -> Result<Option<R>, Infallible> {
        Ok(R::map(&self.maps).get(key).cloned())
    }

    fn put<R: Row>(&mut self, row: &R) -> Result<(), Infallible> {
        let key = row.key();
        let before = R::map_mut(&mut self.maps).insert(key.clone(), row.clone());
        self.remember(key, before);
        Ok(())
    }

    fn delete<R: Row>(&mut self, key: &R::Key) -> Result<bool, Infallible> {
        let before = R::map_mut(&mut self.maps).remove(key);
        let was_there = before.is_some();
        if was_there {
            self.remember(key.clone(), before);
        }
        Ok(was_there)
    }

    fn each<R: Row>(
        &self,
        from: &R::Key,
        to: &R::Key,
        order: Order,
        limit: usize,
        visit: &mut dyn FnMut(R) -> ControlFlow<()>,
    ) -> Result<(), Infallible> {
        if from >= to {
            return Ok(());
        }
        let range = R::map(&self.maps).range(from.clone()..to.clone());
        let rows: Box<dyn Iterator<Item = _>> = match order {
            Order::Up => Box::new(range),
            Order::Down => Box::new(range.rev()),
        };
        for (_, row) in rows.take(limit) {
            if visit(row.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn mark(&mut self) -> Result<(), Infallible> {
        self.journal = Some(Vec::new());
        Ok(())
    }

    fn go_back(&mut self) -> Result<(), Infallible> {
        for undo in self.journal.take().into_iter().flatten().rev() {
            undo(&mut self.maps);
        }
        Ok(())
    }

    fn go_on(&mut self) -> Result<(), Infallible> {
        self.journal = None;
        Ok(())
    }
}
