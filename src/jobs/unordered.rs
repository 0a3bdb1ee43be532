//! Queues without an order (`fifo: false`): every message is leased by itself, by priority, then by age.

use super::fifo::{Spot, delivered};
use super::finish::{Death, End, bury, finish};
use super::op::{Delivered, LeaseId};
use super::options::Options;
use super::removal::Leaving;
use super::retry::{again, fresh};
use super::rows::{Lease, Message, Ready, State};
use super::store::Store;
use super::work::{Res, Work, kind, standing};

/// Messages whose time has come, taken note of at once.
const SETTLE: usize = 512;

/// A message has come for a group: just now, or it was there when the group came.
pub(crate) fn arrived<S: Store>(
    w: &mut Work<'_, S>,
    (partition, grp, seq): (i64, i64, i64),
    created_at: i64,
    priority: i64,
    due: i64,
) -> Res<(), S> {
    if due > w.now {
        w.store.put(&Ready {
            partition,
            grp,
            kind: kind::DELAYED,
            at: due,
            seq,
        })?;
        w.store.put(&State {
            at: due,
            ..fresh(partition, grp, seq)
        })?;
        let sooner = w.see_cursor(partition, grp)?.is_some_and(|cursor| {
            cursor.state == standing::IDLE || (cursor.state == standing::WAITING && cursor.at > due)
        });
        if sooner {
            w.stand(partition, grp, standing::WAITING, due)?;
        }
        return Ok(());
    }
    let at = Options::rank(created_at, priority);
    w.store.put(&Ready {
        partition,
        grp,
        kind: kind::PENDING,
        at,
        seq,
    })?;
    w.stand(partition, grp, standing::READY, 0)
}

/// Leases that have run out, and messages that are due.
pub(crate) fn settle<S: Store>(w: &mut Work<'_, S>, spot: Spot) -> Res<(), S> {
    for which in [kind::LEASED, kind::DELAYED] {
        for ready in of_kind(w, spot, which, w.now + 1, SETTLE)? {
            let message: Option<Message> = w.store.get(&(spot.partition, ready.seq))?;
            let Some(message) = message else {
                w.store
                    .delete::<Ready>(&place(spot, which, ready.at, ready.seq))?;
                continue;
            };
            if which == kind::LEASED {
                again(w, spot, &message, true, None)?;
            } else {
                due(w, spot, &message)?;
            }
        }
    }
    restand(w, spot)
}

/// Those that are ready, delayed or leased, with `at` below that.
fn of_kind<S: Store>(
    w: &Work<'_, S>,
    spot: Spot,
    which: i64,
    below: i64,
    limit: usize,
) -> Res<Vec<Ready>, S> {
    let from = place(spot, which, i64::MIN, 0);
    w.store.scan(&from, &place(spot, which, below, 0), limit)
}

fn place(spot: Spot, which: i64, at: i64, seq: i64) -> (i64, i64, i64, i64, i64) {
    (spot.partition, spot.grp, which, at, seq)
}

/// The message can be popped now.
pub(crate) fn due<S: Store>(w: &mut Work<'_, S>, spot: Spot, message: &Message) -> Res<(), S> {
    let key = (spot.partition, spot.grp, message.seq);
    let Some(state) = w.store.get::<State>(&key)? else {
        return Ok(());
    };
    w.store
        .delete::<Ready>(&place(spot, state.kind, state.at, message.seq))?;
    let at = Options::rank(message.created_at, message.priority);
    w.store.put(&Ready {
        partition: spot.partition,
        grp: spot.grp,
        kind: kind::PENDING,
        at,
        seq: message.seq,
    })?;
    if state.attempts > 0 {
        return w.store.put(&State {
            kind: kind::PENDING,
            at,
            lease: None,
            ..state
        });
    }
    w.store.delete::<State>(&key)?;
    Ok(())
}

/// Leases up to `want` messages.
pub(crate) fn take<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    want: usize,
    mut bytes: usize,
    lease: Option<LeaseId>,
    out: &mut Vec<Delivered>,
) -> Res<(), S> {
    settle(w, spot)?;
    let Some(options) = w.see_queue(spot.queue)?.map(|row| row.options) else {
        return Ok(());
    };
    let mut taken = 0;
    for ready in of_kind(w, spot, kind::PENDING, i64::MAX, want)? {
        let message: Option<Message> = w.store.get(&(spot.partition, ready.seq))?;
        let place = place(spot, kind::PENDING, ready.at, ready.seq);
        let Some(message) = message else {
            w.store.delete::<Ready>(&place)?;
            continue;
        };
        if taken > 0 && message.payload.len() > bytes {
            break;
        }
        let state: Option<State> = w.store.get(&(spot.partition, spot.grp, ready.seq))?;
        if passed(w, spot, &options, &message, state.as_ref())? {
            continue;
        }
        bytes = bytes.saturating_sub(message.payload.len());
        taken += 1;
        w.store.delete::<Ready>(&place)?;
        let until = w.now + options.lease_ms;
        match lease {
            Some(lease) => hold(w, spot, &message, state.as_ref(), lease, until)?,
            None => {
                w.store
                    .delete::<State>(&(spot.partition, spot.grp, ready.seq))?;
            }
        }
        let leaving = lease.is_none().then(|| Leaving::from(&message));
        out.push(delivered(w, spot, message, state.as_ref(), until)?);
        if let Some(group) = w.group_at(spot.queue, spot.at) {
            group.delivered += 1;
            group.out += i64::from(lease.is_some());
        }
        if let Some(leaving) = leaving {
            finish_one(w, spot, leaving, End::Completed)?;
        }
    }
    // Others have their turn before it has another.
    if w.see_cursor(spot.partition, spot.grp)?
        .is_some_and(|cursor| cursor.state == standing::READY)
    {
        w.stand(spot.partition, spot.grp, standing::IDLE, 0)?;
    }
    restand(w, spot)
}

/// Whether the message is not to be delivered any more.
fn passed<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    options: &Options,
    message: &Message,
    state: Option<&State>,
) -> Res<bool, S> {
    let age = w.now - message.created_at;
    let attempts = state.map_or(0, |state| state.attempts);
    let end = if options.retention_ms > 0 && age >= options.retention_ms {
        End::Dropped
    } else if options.max_wait_ms > 0 && age >= options.max_wait_ms && attempts == 0 {
        let error = "it waited longer than options.maxWaitTimeSeconds";
        let death = Death { attempts: 0, error };
        bury(w, spot.queue, spot.at, message, &death)?;
        End::Died
    } else {
        return Ok(false);
    };
    done(w, spot, message, end)?;
    Ok(true)
}

fn hold<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    message: &Message,
    state: Option<&State>,
    lease: LeaseId,
    until: i64,
) -> Res<(), S> {
    let partition = spot.partition;
    let grp = spot.grp;
    let seq = message.seq;
    let state = state.cloned().unwrap_or_else(|| fresh(partition, grp, seq));
    w.store.put(&Ready {
        partition,
        grp,
        kind: kind::LEASED,
        at: until,
        seq,
    })?;
    w.store.put(&State {
        kind: kind::LEASED,
        at: until,
        lease: Some(lease),
        leased_at: w.now,
        ..state
    })?;
    w.store.put(&Lease {
        lease,
        partition,
        grp,
        seq,
        queue: spot.queue,
    })
}

/// Takes away what the group has of the message; gives what its state was.
pub(crate) fn let_go<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    message: &Message,
) -> Res<Option<State>, S> {
    let partition = spot.partition;
    let grp = spot.grp;
    let seq = message.seq;
    let state: Option<State> = w.store.get(&(partition, grp, seq))?;
    let (which, at) = match &state {
        Some(state) => (state.kind, state.at),
        None => (
            kind::PENDING,
            Options::rank(message.created_at, message.priority),
        ),
    };
    w.store.delete::<Ready>(&place(spot, which, at, seq))?;
    w.store.delete::<State>(&(partition, grp, seq))?;
    if let Some(state) = &state
        && state.kind == kind::LEASED
    {
        if let Some(lease) = state.lease {
            w.store.delete::<Lease>(&(lease, partition, grp, seq))?;
        }
        if let Some(group) = w.group_at(spot.queue, spot.at) {
            group.out -= 1;
        }
    }
    Ok(state)
}

/// The message is done for the group. How the cursor stands then is for the caller.
pub(crate) fn done<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    message: &Message,
    end: End,
) -> Res<(), S> {
    let state = let_go(w, spot, message)?;
    if let Some(state) = state
        && state.kind == kind::LEASED
        && end == End::Completed
    {
        let worked = w.now - state.leased_at;
        w.effects.times.push((spot.queue, false, worked));
    }
    finish_one(w, spot, message.into(), end)
}

fn finish_one<S: Store>(w: &mut Work<'_, S>, spot: Spot, message: Leaving, end: End) -> Res<(), S> {
    finish(w, spot.queue, spot.at, spot.partition, &[message], end)
}

/// The message comes again at the state's time.
pub(crate) fn put_off<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    message: &Message,
    state: State,
) -> Res<(), S> {
    let_go(w, spot, message)?;
    back(w, spot, message.seq, state.at)?;
    let kind = kind::DELAYED;
    w.store.put(&State { kind, ..state })
}

fn back<S: Store>(w: &mut Work<'_, S>, spot: Spot, seq: i64, at: i64) -> Res<(), S> {
    w.store.put(&Ready {
        partition: spot.partition,
        grp: spot.grp,
        kind: kind::DELAYED,
        at,
        seq,
    })
}

/// What was popped and reached nobody: it is as it was before.
pub(crate) fn release<S: Store>(w: &mut Work<'_, S>, spot: Spot, message: &Message) -> Res<(), S> {
    let Some(state) = let_go(w, spot, message)? else {
        return Ok(());
    };
    let seq = message.seq;
    let at = w.now;
    back(w, spot, seq, at)?;
    w.store.put(&State {
        kind: kind::DELAYED,
        at,
        lease: None,
        ..state
    })?;
    due(w, spot, message)
}

/// How the cursor stands by what is there.
pub(crate) fn restand<S: Store>(w: &mut Work<'_, S>, spot: Spot) -> Res<(), S> {
    if !of_kind(w, spot, kind::PENDING, i64::MAX, 1)?.is_empty() {
        return w.stand(spot.partition, spot.grp, standing::READY, 0);
    }
    let mut next = None;
    for which in [kind::DELAYED, kind::LEASED] {
        let first = of_kind(w, spot, which, i64::MAX, 1)?;
        let at = first.first().map(|ready| ready.at);
        next = match (next, at) {
            (Some(a), Some(b)) => Some(std::cmp::min::<i64>(a, b)),
            (a, b) => a.or(b),
        };
    }
    match next {
        Some(at) => w.stand(spot.partition, spot.grp, standing::WAITING, at),
        None => w.stand(spot.partition, spot.grp, standing::IDLE, 0),
    }
}

/// Lets those that are ready and past their time go on their way, of the first `limit`; gives how many were looked at.
pub(crate) fn pass_old<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    options: &Options,
    limit: usize,
) -> Res<usize, S> {
    let first = of_kind(w, spot, kind::PENDING, i64::MAX, limit)?;
    for ready in &first {
        let message: Option<Message> = w.store.get(&(spot.partition, ready.seq))?;
        if let Some(message) = message {
            let state: Option<State> = w.store.get(&(spot.partition, spot.grp, ready.seq))?;
            passed(w, spot, options, &message, state.as_ref())?;
        }
    }
    Ok(first.len())
}
