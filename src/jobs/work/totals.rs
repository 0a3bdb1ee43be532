//! What all queues share. It is counted as it changes, and counted again where somebody has removed what was counted.

use super::{Held, Res, Work};
use crate::jobs::manage;
use crate::jobs::rows::{Gone, Partition, Queue, Totals};
use crate::jobs::store::Store;

/// Of a store that nobody has used.
const NO_TOTALS: Totals = Totals {
    zero: 0,
    next_id: 1,
    queues: 0,
    bytes: 0,
};

/// Where nobody knows which number was the last, numbers go on from the time, and from so many for each millisecond of it.
/// No queue gives as many, so that none is given twice, however often they go on so.
const NUMBERS_PER_MS: i64 = 1_000;

impl<S: Store> Work<'_, S> {
    pub(crate) fn totals(&mut self) -> Res<&mut Totals, S> {
        let held = match self.totals.take() {
            Some(held) => held,
            None => {
                let row = match self.store.get(&(0,))? {
                    Some(row) => row,
                    None => self.without_row()?,
                };
                Held { row, dirty: false }
            }
        };
        let held = self.totals.insert(held);
        held.dirty = true;
        Ok(&mut held.row)
    }

    /// The bytes of all queues, to be looked at.
    pub(crate) fn bytes(&mut self) -> Res<i64, S> {
        match &self.totals {
            Some(held) => Ok(held.row.bytes),
            None => Ok(self.store.get::<Totals>(&(0,))?.map_or(0, |row| row.bytes)),
        }
    }

    /// It is another one after whatever gave something a number; to be looked at.
    pub(crate) fn version(&self) -> Res<i64, S> {
        let row = self.store.get::<Totals>(&(0,))?;
        Ok(row.unwrap_or(NO_TOTALS).next_id)
    }

    /// A number that nothing else has, larger than all before.
    pub(crate) fn next_id(&mut self) -> Res<i64, S> {
        let totals = self.totals()?;
        totals.next_id += 1;
        Ok(totals.next_id - 1)
    }

    /// Counts the queues and their bytes from the rows that are there.
    pub(crate) fn count_again(&mut self) -> Res<(), S> {
        // What is counted is in the store.
        self.flush()?;
        let counted = self.counted()?;
        let totals = self.totals()?;
        totals.queues = counted.queues;
        totals.bytes = counted.bytes;
        Ok(())
    }

    fn counted(&self) -> Res<Totals, S> {
        let queues = manage::queues(self)?.len();
        let all = usize::MAX >> 1;
        let rows = self.store.scan::<Queue>(&(0,), &(i64::MAX,), all)?;
        Ok(Totals {
            queues: i64::try_from(queues).unwrap_or(i64::MAX),
            bytes: rows.iter().map(|row| row.bytes).sum(),
            ..NO_TOTALS
        })
    }

    /// There is no row of them: nobody has used the store yet, or somebody has removed the row.
    fn without_row(&self) -> Res<Totals, S> {
        let counted = self.counted()?;
        let queue: Option<Queue> = self.store.first(&(0,), &(i64::MAX,))?;
        let partition: Option<Partition> = self.store.first(&(0,), &(i64::MAX,))?;
        let gone: Option<Gone> = self.store.first(&(0,), &(i64::MAX,))?;
        let rows = queue.is_some() || partition.is_some() || gone.is_some();
        Ok(match rows || counted.queues > 0 {
            true => Totals {
                next_id: self.now.saturating_mul(NUMBERS_PER_MS),
                ..counted
            },
            false => NO_TOTALS,
        })
    }
}
