//! The tables of the queue as its rules see them: the engine's rows, under changes that are not committed yet. A commit
//! is one step. It does nothing if anybody else has committed since the first read.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;

use super::coding::{decode, encode, key};
use crate::jobs::rows::{Dead, Delivery, Message, Row, Totals, Trace};
use crate::jobs::store::{Order, Store};
use crate::log::{AtMoment, Changes, KeyedRow, Place, RowRange};

/// Why something was not read, or not committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble<F> {
    /// Somebody else committed: it is to be done again from the start.
    Moved,
    /// Somebody else is to commit first.
    Locked,
    /// Hooks were told of a canvas by somebody else: which one of the commit's, and up to which batch.
    DispatchedBefore(usize, u64),
    /// What is there is no row.
    Damaged(&'static str),
    /// The engine can't.
    Fault(F),
}

/// A key and its row.
pub(crate) type Kept = (Vec<u8>, Vec<u8>);

/// Where the tables are. Everything that is read is of one moment, until the commit.
pub(crate) trait Base {
    type Fault: std::fmt::Debug;
    fn fetch(&self, table: usize, key: &[u8]) -> Result<Option<Vec<u8>>, Trouble<Self::Fault>>;
    /// The first rows of a range, in its order.
    fn range(&self, range: RowRange<'_>) -> Result<Vec<Kept>, Trouble<Self::Fault>>;
    /// Also of no changes: what was remembered from before may have been all that was read, and it may have changed since.
    fn commit(&mut self, changes: &Changes) -> Result<(), Trouble<Self::Fault>>;
}

/// Rows of one read.
const PAGE: usize = 128;
/// Rows that are remembered, and their bytes: beyond it all is forgotten.
const MOST_KNOWN: usize = 20_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Rows with a payload, and those of the history, are hardly ever read twice.
const LARGE: [usize; 4] = [
    Message::NUMBER,
    Dead::NUMBER,
    Trace::NUMBER,
    Delivery::NUMBER,
];

/// What a change replaced.
type Undo = (Place, Option<Option<Vec<u8>>>);

#[derive(Default)]
struct Known {
    rows: HashMap<Place, Option<Vec<u8>>>,
    bytes: usize,
}

impl Known {
    fn add(&mut self, place: Place, row: Option<Vec<u8>>) {
        if LARGE.contains(&place.0) {
            return;
        }
        self.bytes += place.1.len() + row.as_ref().map_or(0, Vec::len) + 64;
        if self.rows.len() >= MOST_KNOWN || self.bytes >= MOST_BYTES {
            *self = Self::default();
        }
        self.rows.insert(place, row);
    }
}

pub(crate) struct RowStore<B> {
    pub(crate) base: B,
    changes: Changes,
    journal: Option<Vec<Undo>>,
    known: RefCell<Known>,
}

impl<B: Base> RowStore<B> {
    pub(crate) fn new(base: B) -> Self {
        Self {
            base,
            changes: Changes::new(),
            journal: None,
            known: RefCell::default(),
        }
    }

    /// Back to what is committed, and nothing of it is known.
    pub(super) fn forget(&mut self) {
        self.changes.clear();
        self.journal = None;
        *self.known.borrow_mut() = Known::default();
    }

    pub(super) fn set(&mut self, place: Place, row: Option<Vec<u8>>) {
        let before = self.changes.insert(place.clone(), row);
        if let Some(journal) = &mut self.journal {
            journal.push((place, before));
        }
    }

    fn find(&self, place: Place) -> Result<Option<Vec<u8>>, Trouble<B::Fault>> {
        if let Some(row) = self.changes.get(&place) {
            return Ok(row.clone());
        }
        if let Some(row) = self.known.borrow().rows.get(&place) {
            return Ok(row.clone());
        }
        let row = self.base.fetch(place.0, &place.1)?;
        self.known.borrow_mut().add(place, row.clone());
        Ok(row)
    }
}

fn row<R: Row, F>(bytes: &[u8]) -> Result<R, Trouble<F>> {
    decode(bytes).ok_or(Trouble::Damaged(R::TABLE))
}

/// What the engine has read of a range.
pub(crate) fn kept<F>(rows: AtMoment<Vec<KeyedRow>>) -> Result<Vec<Kept>, Trouble<F>> {
    let whole = |(key, row): KeyedRow| Some((key, row?));
    let rows = rows.ok_or(Trouble::Moved)?.into_iter().map(whole);
    let rows: Option<Vec<Kept>> = rows.collect();
    rows.ok_or(Trouble::Damaged("a range"))
}

/// Rows that the engine has in a range, page by page.
struct Pages<'a, B> {
    base: &'a B,
    table: usize,
    from: Vec<u8>,
    to: Vec<u8>,
    order: Order,
    page: usize,
    read: VecDeque<Kept>,
    ended: bool,
}

impl<B: Base> Pages<'_, B> {
    /// The next one stays.
    fn peek(&mut self) -> Result<Option<&Kept>, Trouble<B::Fault>> {
        if self.read.is_empty() && !self.ended {
            let rows = self.base.range(RowRange {
                table: self.table,
                from: &self.from,
                to: &self.to,
                downwards: self.order == Order::Down,
                limit: self.page,
            })?;
            self.ended = rows.len() < self.page;
            if let Some((last, _)) = rows.last() {
                match self.order {
                    // The least key above it.
                    Order::Up => self.from = [last, &[0][..]].concat(),
                    Order::Down => self.to.clone_from(last),
                }
            }
            self.page = PAGE;
            self.read = rows.into();
        }
        Ok(self.read.front())
    }
}

impl<B: Base> Store for RowStore<B> {
    type Error = Trouble<B::Fault>;

    fn get<R: Row>(&self, key_of: &R::Key) -> Result<Option<R>, Self::Error> {
        let found = self.find((R::NUMBER, key(key_of)))?;
        match found.as_deref().map(row).transpose() {
            // What is counted is counted again.
            Err(Trouble::Damaged(Totals::TABLE)) => Ok(None),
            row => row,
        }
    }

    fn put<R: Row>(&mut self, row: &R) -> Result<(), Self::Error> {
        self.set((R::NUMBER, key(&row.key())), Some(encode(row)));
        Ok(())
    }

    fn delete<R: Row>(&mut self, key_of: &R::Key) -> Result<bool, Self::Error> {
        let place = (R::NUMBER, key(key_of));
        let was_there = self.find(place.clone())?.is_some();
        if was_there {
            self.set(place, None);
        }
        Ok(was_there)
    }

    fn delete_run<R: Row>(&mut self, keys: &[R::Key]) -> Result<(), Self::Error> {
        for key_of in keys {
            self.set((R::NUMBER, key(key_of)), None);
        }
        Ok(())
    }

    fn each<R: Row>(
        &self,
        from: &R::Key,
        to: &R::Key,
        order: Order,
        limit: usize,
        visit: &mut dyn FnMut(R) -> ControlFlow<()>,
    ) -> Result<(), Self::Error> {
        if from >= to || limit == 0 {
            return Ok(());
        }
        let from = key(from);
        let to = key(to);
        let range = (R::NUMBER, from.clone())..(R::NUMBER, to.clone());
        let upwards = self.changes.range(range);
        let in_order: Box<dyn Iterator<Item = _>> = match order {
            Order::Up => Box::new(upwards),
            Order::Down => Box::new(upwards.rev()),
        };
        let mut changed = in_order.peekable();
        let mut pages = Pages {
            base: &self.base,
            table: R::NUMBER,
            from,
            to,
            order,
            page: limit.min(PAGE),
            read: VecDeque::new(),
            ended: false,
        };
        let mut seen = 0;
        while seen < limit {
            let kept = pages.peek()?.map(|(key, _)| key);
            let next_changed = changed.peek().map(|((_, key), _)| key);
            let first = match (kept, next_changed, order) {
                (None, None, _) => break,
                (Some(_), None, _) => std::cmp::Ordering::Less,
                (None, Some(_), _) => std::cmp::Ordering::Greater,
                (Some(kept), Some(changed), Order::Up) => kept.cmp(changed),
                (Some(kept), Some(changed), Order::Down) => changed.cmp(kept),
            };
            let kept = first.is_le().then(|| pages.read.pop_front()).flatten();
            let change = first.is_ge().then(|| changed.next()).flatten();
            let found: Option<R> = match (&change, &kept) {
                (Some((_, Some(bytes))), _) => Some(row(bytes)?),
                (Some((_, None)), _) => None,
                (None, kept) => kept.as_ref().map(|(_, bytes)| row(bytes)).transpose()?,
            };
            if let Some(found) = found {
                seen += 1;
                if visit(found).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn mark(&mut self) -> Result<(), Self::Error> {
        self.journal = Some(Vec::new());
        Ok(())
    }

    fn go_back(&mut self) -> Result<(), Self::Error> {
        for (place, before) in self.journal.take().into_iter().flatten().rev() {
            match before {
                Some(row) => self.changes.insert(place, row),
                None => self.changes.remove(&place),
            };
        }
        Ok(())
    }

    fn go_on(&mut self) -> Result<(), Self::Error> {
        self.journal = None;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Self::Error> {
        self.base.commit(&self.changes)?;
        let mut known = self.known.borrow_mut();
        for (place, row) in std::mem::take(&mut self.changes) {
            known.add(place, row);
        }
        Ok(())
    }
}
