//! The rest of a transaction: messages that wait for the next one, and messages that there is no room for.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::{Done, Taken, Writer};
use crate::backplane::intake::{Budget, Waiting, overloaded};
use crate::backplane::{CanvasKey, Entry, Refusal};
use crate::limits;
use crate::sqlite::apply::Txn;
use crate::sqlite::storage::store_error::StoreResult;

/// Which of a batch nothing has happened of, by place.
#[derive(Default)]
pub(super) struct Left {
    /// They wait for another transaction.
    later: HashSet<usize>,
    /// They are refused, since there is no room for them on that canvas.
    full: HashMap<CanvasKey, (Refusal, HashSet<usize>)>,
}

impl Writer {
    /// What the transaction was too short for is at the front of its lanes again, or still in the spill file.
    pub(super) fn give_back(&self, mut done: Done) -> Done {
        let refusals = &self.parts.refusals;
        let intake = &refusals.intake;
        intake.charge(done.applied.budget.charges());
        let Left { later, full } = std::mem::take(&mut done.applied.left);
        if later.is_empty() && full.is_empty() {
            return done;
        }
        let batch = std::mem::take(&mut done.taken.batch);
        let mut waits = Vec::new();
        let mut refused = HashMap::<CanvasKey, Vec<Waiting>>::new();
        for (i, waiting) in batch.into_iter().enumerate() {
            let key = waiting.key;
            if later.contains(&i) {
                waits.push(waiting);
            } else if full.get(&key).is_some_and(|(_, of_it)| of_it.contains(&i)) {
                refused.entry(key).or_default().push(waiting);
            } else {
                done.taken.batch.push(waiting);
            }
        }
        if !done.taken.spilled {
            intake.give_back(waits);
        }
        // Behind what was given back: what follows a refused message is refused with it.
        for (key, batch) in refused {
            if let Some((why, _)) = full.get(&key) {
                refusals.refuse_full(&batch, why);
            }
        }
        done
    }
}

/// Applies what the budget takes and there is room for; gives what is left. What a spill file holds was taken long ago, and has room. From a spill file, which gives up its oldest only, nothing goes
/// before what waits.
pub(super) fn apply_batch(txn: &mut Txn<'_>, taken: &Taken) -> StoreResult<(Budget, Left)> {
    let mut budget = Budget::default();
    let mut left = Left::default();
    let started = Instant::now();
    for (i, waiting) in taken.batch.iter().enumerate() {
        if !budget.takes(waiting.key) {
            left.later.insert(i);
            if taken.spilled {
                budget.close();
            }
            continue;
        }
        let about_a_canvas = !matches!(
            waiting.entry,
            Entry::Cursors { .. } | Entry::Signal { .. } | Entry::Kick { .. } | Entry::Post { .. }
        );
        if about_a_canvas && !txn.has_canvas(waiting.key, &waiting.canvas)? {
            let full = left.full.entry(waiting.key);
            let gone = || {
                (
                    overloaded("this canvas has ended: come again"),
                    HashSet::new(),
                )
            };
            full.or_insert_with(gone).1.insert(i);
            continue;
        }
        if !taken.spilled
            && let Err(refusal) = txn.room_for(waiting)?
        {
            let full = left.full.entry(waiting.key);
            full.or_insert_with(|| (refusal, HashSet::new()))
                .1
                .insert(i);
            continue;
        }
        let work = txn.apply(waiting)?;
        budget.spent(waiting.key, work);
        // The clock is not asked for each.
        if (work > 0 || i % 32 == 31) && started.elapsed() > limits::TRANSACTION_TIME {
            budget.close();
        }
    }
    Ok((budget, left))
}
