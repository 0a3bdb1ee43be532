//! Applies one op of the queue: all of it, or nothing.

use super::op::{Answer, Op, Step, StepDone, Transaction};
use super::store::Store;
use super::work::{Res, Work};
use super::{
    ack, assets, dead, deliveries, dispatch, manage, pairs, pop, push, sweep, timings, touch,
    traces,
};

/// Does what is asked for. What it changed is written, and what is to be told is in `w.effects`.
///
/// # Errors
/// Those of the store; then the whole transaction must be given up.
pub(crate) fn apply<S: Store>(w: &mut Work<'_, S>, op: &Op) -> Res<Answer, S> {
    if discards(op)
        && let Some(refusal) = sweep::backlog(w)?
    {
        return Ok(Answer::Refused(refusal));
    }
    let answer = match op {
        Op::Configure(given) => manage::configure(w, given)?,
        Op::DeleteQueue(name) => manage::delete(w, name)?,
        Op::Clear { queue, partition } => manage::clear(w, queue, partition.as_deref())?,
        Op::Push(items) => match pairs::of_push(w, items)? {
            Some(refusal) => Answer::Refused(refusal),
            None => Answer::Pushed(push::push(w, items)?),
        },
        Op::Pop(request) => pop::pop(w, request)?,
        Op::Ack(items) => match pairs::of_acks(w, items)? {
            Some(refusal) => Answer::Refused(refusal),
            None => Answer::Acked(ack::ack(w, items)?),
        },
        Op::Settle(settle) => Answer::Acked(deliveries::settle(w, settle)?),
        Op::Extend { lease, ms } => ack::extend(w, *lease, *ms)?,
        Op::Release(lease) => ack::release(w, *lease)?,
        Op::Transaction(transaction) => atomically(w, transaction)?,
        Op::Touch(touch) => touch::touch(w, touch)?,
        Op::DeadReviewed { id, reviewed } => dead::review(w, *id, *reviewed)?,
        Op::DeadReplay { id } => dead::replay(w, *id)?,
        Op::Seek { queue, group, to } => manage::seek(w, queue, group, *to)?,
        Op::DeleteGroup { queue, group } => manage::delete_group(w, queue.as_deref(), group)?,
        Op::Subscribe { group, from } => manage::subscribe(w, group, *from)?,
        Op::Trace(item) => traces::trace(w, item)?,
        Op::Sweep(from) => sweep::sweep(w, from)?,
        Op::Dispatch(it) => Answer::Dispatched {
            dropped: dispatch::dispatch(w, it)?,
        },
        Op::FireHooks => {
            let stored = dispatch::versions::read(w, None)?;
            Answer::Fired(dispatch::due::fire(w, &stored)?)
        }
        Op::StoreHooks { texts, over } => {
            Answer::HooksStored(dispatch::versions::store(w, texts, *over)?)
        }
        Op::TurnOffHook { name, why } => {
            let turned = dispatch::versions::turn_off(w, name, why)?;
            Answer::Json(turned.into())
        }
        Op::Assets(op) => assets::apply(w, op)?,
    };
    timings::keep(w)?;
    Ok(answer)
}

/// Whether it leaves rows to the sweeps, however little it deletes. Of settings, `manage::configure` knows.
fn discards(op: &Op) -> bool {
    matches!(
        op,
        Op::DeleteQueue(_)
            | Op::Clear { .. }
            | Op::Seek { .. }
            | Op::DeleteGroup { .. }
            | Op::Subscribe { .. }
    )
}

/// All steps or none: the store goes back to where it was if one can't be done. A duplicate can't fail it.
fn atomically<S: Store>(w: &mut Work<'_, S>, transaction: &Transaction) -> Res<Answer, S> {
    if let Some(refusal) = pairs::of_transaction(w, transaction)? {
        return Ok(Answer::Refused(refusal));
    }
    for lease in &transaction.required {
        if !ack::is_live(w, *lease)? {
            return Ok(Answer::Refused(ack::lease_over()));
        }
    }
    w.flush()?;
    let effects = std::mem::take(&mut w.effects);
    w.store.mark()?;
    match steps(w, transaction)? {
        Ok(done) => {
            w.flush()?;
            w.store.go_on()?;
            let mut all = effects;
            std::mem::swap(&mut w.effects, &mut all);
            w.effects.absorb(all);
            Ok(Answer::Transaction(done))
        }
        Err(refusal) => {
            w.store.go_back()?;
            w.forget();
            w.effects = effects;
            Ok(Answer::Refused(refusal))
        }
    }
}

type Steps = Result<Vec<StepDone>, super::op::Refusal>;

fn steps<S: Store>(w: &mut Work<'_, S>, transaction: &Transaction) -> Res<Steps, S> {
    let mut touched = ack::Touched::default();
    let mut done = Vec::with_capacity(transaction.steps.len());
    for step in &transaction.steps {
        match step {
            Step::Push(items) => {
                let pushed = push::push(w, items)?;
                if let Some(refusal) = dead::failed(&pushed) {
                    return Ok(Err(refusal.clone()));
                }
                done.push(StepDone::Push(pushed));
            }
            Step::Ack(item) => {
                let result = ack::ack_one(w, item, &transaction.required, &mut touched)?;
                if let Err(refusal) = result {
                    return Ok(Err(refusal));
                }
                done.push(StepDone::Ack(super::op::Acked {
                    name: item.name.clone(),
                    result,
                }));
            }
        }
    }
    ack::close(w, touched, &mut [])?;
    Ok(Ok(done))
}
