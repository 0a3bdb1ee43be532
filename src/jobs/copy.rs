//! Copies all rows of the queue from one store to another. Leases are copied, too: they end by themselves.

use std::ops::ControlFlow;

use super::cells::{Key as _, Out};
use super::rows::{EachTable, Row, each_table, is_of_file};
use super::store::{Order, Store};

/// Rows of one commit, and about how many bytes they have.
const ROWS: usize = 512;
const BYTES: usize = 1024 * 1024;

/// Which of the two stores could not.
#[derive(Debug)]
pub(crate) enum Stopped<A, B> {
    Reading(A),
    Writing(B),
}

/// Copies the tables that a file has, too. Gives how many rows they had.
pub(crate) fn copy<A: Store, B: Store>(
    from: &A,
    to: &mut B,
) -> Result<u64, Stopped<A::Error, B::Error>> {
    let mut copying = Copying {
        from,
        to,
        rows: 0,
        waiting: (0, 0),
    };
    each_table(&mut copying)?;
    copying.to.commit().map_err(Stopped::Writing)?;
    Ok(copying.rows)
}

struct Copying<'a, A, B> {
    from: &'a A,
    to: &'a mut B,
    rows: u64,
    /// Rows that are not committed, and their bytes.
    waiting: (usize, usize),
}

impl<A: Store, B: Store> Copying<'_, A, B> {
    fn put<R: Row>(&mut self, row: &R) -> Result<(), B::Error> {
        let mut size = Size(0);
        row.write(&mut size);
        self.to.put(row)?;
        self.rows += 1;
        self.waiting = (self.waiting.0 + 1, self.waiting.1 + size.0);
        if self.waiting.0 >= ROWS || self.waiting.1 >= BYTES {
            self.waiting = (0, 0);
            self.to.commit()?;
        }
        Ok(())
    }
}

impl<A: Store, B: Store> EachTable for Copying<'_, A, B> {
    type Error = Stopped<A::Error, B::Error>;

    fn table<R: Row>(&mut self) -> Result<(), Self::Error> {
        if !is_of_file(R::NUMBER) {
            return Ok(());
        }
        let from = self.from;
        let least = R::Key::least();
        let beyond = R::Key::beyond();
        let mut failed = Ok(());
        let read = from.each::<R>(&least, &beyond, Order::Up, usize::MAX, &mut |row| {
            failed = self.put(&row);
            match failed {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        failed.map_err(Stopped::Writing)?;
        read.map_err(Stopped::Reading)
    }
}

/// About how many bytes a row has.
struct Size(usize);

impl Out for Size {
    fn int(&mut self, _: i64) {
        self.0 += 9;
    }
    fn text(&mut self, value: &str) {
        self.0 += 5 + value.len();
    }
    fn blob(&mut self, value: &[u8]) {
        self.0 += 5 + value.len();
    }
    fn null(&mut self) {
        self.0 += 1;
    }
}
