//! The operations that the rules need from a store: tables ordered by their keys, and a way back.

use std::ops::ControlFlow;

use super::rows::Row;

/// Keeps the rows of one moment. All of a call of the rules happens, or none of it: the store's transaction sees to it.
pub(crate) trait Store {
    type Error;

    fn get<R: Row>(&self, key: &R::Key) -> Result<Option<R>, Self::Error>;
    /// Inserts or replaces.
    fn put<R: Row>(&mut self, row: &R) -> Result<(), Self::Error>;
    /// Whether it was there.
    fn delete<R: Row>(&mut self, key: &R::Key) -> Result<bool, Self::Error>;
    /// Deletes rows that are there: all from the first of these keys to the last, in their order.
    fn delete_run<R: Row>(&mut self, keys: &[R::Key]) -> Result<(), Self::Error> {
        for key in keys {
            self.delete::<R>(key)?;
        }
        Ok(())
    }
    /// Rows with `from <= key < to`, in the order of keys or against it, until `visit` breaks or `limit` were seen.
    fn each<R: Row>(
        &self,
        from: &R::Key,
        to: &R::Key,
        order: Order,
        limit: usize,
        visit: &mut dyn FnMut(R) -> ControlFlow<()>,
    ) -> Result<(), Self::Error>;

    /// From here one can go back.
    fn mark(&mut self) -> Result<(), Self::Error>;
    /// To the last mark.
    fn go_back(&mut self) -> Result<(), Self::Error>;
    /// The last mark is not needed.
    fn go_on(&mut self) -> Result<(), Self::Error>;

    /// What was done so far is kept: of a store that collects it.
    fn commit(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn scan<R: Row>(
        &self,
        from: &R::Key,
        to: &R::Key,
        limit: usize,
    ) -> Result<Vec<R>, Self::Error> {
        let mut rows = Vec::new();
        self.each(from, to, Order::Up, limit, &mut |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    fn first<R: Row>(&self, from: &R::Key, to: &R::Key) -> Result<Option<R>, Self::Error> {
        Ok(self.scan(from, to, 1)?.into_iter().next())
    }
}

/// Which way rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Up,
    Down,
}
