//! Acks, extensions, and operations on single messages. A lease is a fence: a consumer that has lost it changes
//! nothing.

mod together;

use std::collections::BTreeMap;

use super::fifo::{self, Spot};
use super::finish::{End, bury, no_message};
use super::op::{AckItem, Acked, Answer, LeaseId, Refusal, Settled, Verdict};
use super::removal::{Known, known, replayed};
use super::retry::{self, end};
use super::rows::{Lease, Message, Queue, State};
use super::store::Store;
use super::work::{ENDED, Res, Work, kind, parse_partition_id, standing};
use super::{finish, pop, unordered};

/// Leases that acks of one request have touched, and whether something of them is to come again.
#[derive(Default)]
pub(crate) struct Touched(BTreeMap<Spot, bool>);

pub(crate) fn ack<S: Store>(w: &mut Work<'_, S>, items: &[AckItem]) -> Res<Vec<Acked>, S> {
    let mut touched = Touched::default();
    let mut acked = Vec::with_capacity(items.len());
    while let Some(item) = items.get(acked.len()) {
        if together::together(w, &items[acked.len()..], &mut touched, &mut acked)? > 0 {
            continue;
        }
        let result = ack_one(w, item, &[], &mut touched)?;
        acked.push(Acked {
            name: item.name.clone(),
            result,
        });
    }
    close(w, touched, &mut acked)?;
    Ok(acked)
}

/// Ends the leases that have nothing left, or something that comes again.
pub(crate) fn close<S: Store>(
    w: &mut Work<'_, S>,
    touched: Touched,
    acked: &mut [Acked],
) -> Res<(), S> {
    let mut ended = false;
    for (spot, again) in touched.0 {
        let fifo = w.see_queue(spot.queue)?.is_some_and(|row| row.options.fifo);
        if fifo {
            fifo::close(w, spot, again)?;
            let cursor = w.see_cursor(spot.partition, spot.grp)?;
            ended |= cursor.is_some_and(|cursor| cursor.lease.is_none());
        } else {
            unordered::restand(w, spot)?;
            ended = true;
        }
    }
    for done in acked
        .iter_mut()
        .filter_map(|acked| acked.result.as_mut().ok())
    {
        done.lease_released = ended;
    }
    Ok(())
}

/// A message that is there, and the group that speaks of it.
pub(crate) struct Place {
    pub(crate) spot: Spot,
    pub(crate) message: Message,
}

/// The partition and the group that an ack speaks of.
fn spot_of<S: Store>(
    w: &mut Work<'_, S>,
    partition_id: &str,
    group: &str,
) -> Res<Result<Spot, Refusal>, S> {
    let wrong = || {
        Refusal::not_found(
            "there is no partition of this partitionId; it is in each message that was popped",
        )
    };
    let Some((partition, tag)) = parse_partition_id(partition_id) else {
        return Ok(Err(wrong()));
    };
    let row = w.see_partition(partition)?.filter(|row| row.tag == tag);
    let Some(queue) = row.map(|row| row.queue) else {
        return Ok(Err(wrong()));
    };
    let cleared = w.see_queue(queue)?.map(|queue| queue.cleared);
    if cleared.is_none_or(|cleared| partition < cleared) {
        return Ok(Err(wrong()));
    }
    let Some(at) = w.group_named(queue, group)? else {
        return Ok(Err(Refusal::not_found(format!(
            "the queue has no consumer group {group}"
        ))));
    };
    let grp = w.see_group_at(queue, at).map_or(0, |group| group.key);
    Ok(Ok(Spot {
        queue,
        at,
        grp,
        partition,
    }))
}

pub(crate) fn find<S: Store>(
    w: &mut Work<'_, S>,
    partition_id: &str,
    name: &str,
    group: &str,
) -> Res<Result<Place, Refusal>, S> {
    let spot = match spot_of(w, partition_id, group)? {
        Ok(spot) => spot,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // One that was replayed to the group comes first.
    let replay = replayed(w, spot.partition, name, spot.grp)?;
    let mut gone = replay.is_some();
    let found = match replay {
        there @ Some(Known::There(_)) => there,
        _ => known(w, spot.partition, name)?,
    };
    if let Some(Known::There(message)) = found {
        return Ok(Ok(Place { spot, message }));
    }
    gone |= found.is_some();
    Ok(Err(if gone {
        done_already()
    } else {
        no_message(name)
    }))
}

pub(crate) fn done_already() -> Refusal {
    Refusal::conflict("completed", "the message is completed already")
}

/// The attempts of a message, by whether its group has it now.
pub(crate) struct Attempt {
    pub(crate) lease: Option<LeaseId>,
    pub(crate) attempts: i64,
    expired: i64,
}

/// What the group has of the message: `None` if it is done there.
pub(crate) fn attempt<S: Store>(w: &mut Work<'_, S>, place: &Place) -> Res<Option<Attempt>, S> {
    let spot = place.spot;
    let seq = place.message.seq;
    pop::settle_one(w, spot)?;
    if !finish::has_before_it(w, spot.queue, spot.at, spot.partition, seq)? {
        return Ok(None);
    }
    let state: Option<State> = w.store.get(&(spot.partition, spot.grp, seq))?;
    let cursor = w.see_cursor(spot.partition, spot.grp)?.cloned();
    let fifo = w.see_queue(spot.queue)?.is_some_and(|row| row.options.fifo);
    let lease = if fifo {
        let only = place.message.only;
        let mine = only == 0 || only == spot.grp;
        cursor
            .filter(|cursor| cursor.state == standing::LEASED && fifo::is_out(cursor, seq) && mine)
            .and_then(|cursor| cursor.lease)
    } else {
        let leased = state.as_ref().filter(|state| state.kind == kind::LEASED);
        leased.and_then(|state| state.lease)
    };
    let (attempts, expired) = state.map_or((0, 0), |state| (state.attempts, state.expired));
    Ok(Some(Attempt {
        lease,
        attempts,
        expired,
    }))
}

/// Whether the ack may be: whose lease it is, or that nobody else can mean another attempt.
fn check(item: &AckItem, attempt: &Attempt, required: &[LeaseId]) -> Result<(), Refusal> {
    let over = "the lease has ended or has passed to another: nothing was changed";
    match (item.lease, attempt.lease) {
        (Some(given), Some(lease)) if given == lease => Ok(()),
        (Some(_), _) => Err(Refusal::conflict("lease-expired", over)),
        (None, Some(lease)) if required.contains(&lease) => Ok(()),
        (None, _) if !required.is_empty() => Err(Refusal::conflict("lease-expired", over)),
        (None, Some(_)) if attempt.expired == 0 => Ok(()),
        (None, None) if attempt.expired == 1 && attempt.attempts == 1 => Ok(()),
        (None, Some(_)) => Err(Refusal::conflict(
            "lease-needed",
            "an earlier attempt of this message ran out of time: send the leaseId of the message as it was popped, so that it is known \
             whose ack this is",
        )),
        (None, None) => Err(Refusal::conflict(
            "not-leased",
            "the message is not leased: nothing was changed",
        )),
    }
}

/// Takes one ack. The lease is closed later, by [`close`], when all acks of the request are known. With `required`, an ack without a lease is
/// one of those leases'.
pub(crate) fn ack_one<S: Store>(
    w: &mut Work<'_, S>,
    item: &AckItem,
    required: &[LeaseId],
    touched: &mut Touched,
) -> Res<Result<Settled, Refusal>, S> {
    let place = match find(w, &item.partition_id, &item.name, &item.group)? {
        Ok(place) => place,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(attempt) = attempt(w, &place)? else {
        return Ok(Err(done_already()));
    };
    if let Err(refusal) = check(item, &attempt, required) {
        return Ok(Err(refusal));
    }
    let spot = place.spot;
    let message = place.message;
    let verdict = item.verdict;
    if attempt.lease.is_none() && matches!(verdict, Verdict::Failed | Verdict::Retry) {
        // It comes again anyway: its lease has run out.
        let message = "the message is not leased any more and comes again";
        return Ok(Err(Refusal::conflict("lease-expired", message)));
    }
    let row = w.see_queue(spot.queue)?;
    let (queue, fifo) = row
        .map(|row| (row.name.clone(), row.options.fifo))
        .unwrap_or_default();
    let partition = w.see_partition(spot.partition)?;
    let mut settled = Settled {
        queue,
        partition: partition.map(|row| row.name.clone()).unwrap_or_default(),
        ..Settled::default()
    };
    let again = touched.0.entry(spot).or_default();
    let error = item.error.as_deref();
    match verdict {
        Verdict::Completed => end(w, spot, fifo, &message, End::Completed)?,
        Verdict::Dead => {
            let error = error.unwrap_or("its consumer sent it to the dead-letter queue");
            let attempts = attempt.attempts + 1;
            let death = finish::Death { attempts, error };
            bury(w, spot.queue, spot.at, &message, &death)?;
            end(w, spot, fifo, &message, End::Died)?;
            settled.dead = true;
        }
        Verdict::Failed | Verdict::Retry => {
            settled.retry_at = retry::again(w, spot, &message, false, error)?;
            settled.dead = settled.retry_at.is_none();
            *again |= !settled.dead;
        }
    }
    Ok(Ok(settled))
}

/// The rows of a lease that has not run out.
pub(crate) fn live<S: Store>(w: &mut Work<'_, S>, lease: LeaseId) -> Res<Vec<(Spot, i64)>, S> {
    let mut live = Vec::new();
    for row in rows_of(w, lease)? {
        live.extend(live_row(w, &row)?);
    }
    Ok(live)
}

/// Whether something of the lease has not run out. Cheaper than all of it.
pub(crate) fn is_live<S: Store>(w: &mut Work<'_, S>, lease: LeaseId) -> Res<bool, S> {
    let first: Option<Lease> = w.store.first(&(lease, 0, 0, 0), &(lease, i64::MAX, 0, 0))?;
    match first {
        None => return Ok(false),
        Some(row) if live_row(w, &row)?.is_some() => return Ok(true),
        Some(_) => {}
    }
    for row in rows_of(w, lease)? {
        if live_row(w, &row)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn rows_of<S: Store>(w: &Work<'_, S>, lease: LeaseId) -> Res<Vec<Lease>, S> {
    let from = (lease, 0, 0, 0);
    let to = (lease, i64::MAX, 0, 0);
    w.store.scan(&from, &to, usize::MAX >> 1)
}

fn live_row<S: Store>(w: &mut Work<'_, S>, row: &Lease) -> Res<Option<(Spot, i64)>, S> {
    let Some(at) = w.group_keyed(row.queue, row.grp)? else {
        return Ok(None);
    };
    // What was deleted or cleared has its rows for a while.
    let stands = |queue: &Queue| row.partition >= queue.cleared;
    if !w.see_queue(row.queue)?.is_some_and(stands)
        || w.see_partition(row.partition)?
            .is_none_or(|row| row.tag == ENDED)
    {
        return Ok(None);
    }
    let spot = Spot {
        queue: row.queue,
        at,
        grp: row.grp,
        partition: row.partition,
    };
    let until = if row.seq == 0 {
        w.see_cursor(row.partition, row.grp)?
            .filter(|cursor| cursor.lease == Some(row.lease))
            .map(|cursor| cursor.at)
    } else {
        let state: Option<State> = w.store.get(&(row.partition, row.grp, row.seq))?;
        state
            .filter(|state| state.lease == Some(row.lease))
            .map(|state| state.at)
    };
    Ok(until
        .filter(|until| *until > w.now)
        .map(|_| (spot, row.seq)))
}

pub(crate) fn lease_over() -> Refusal {
    Refusal::conflict(
        "lease-expired",
        "there is no such lease any more: it has ended, or its time ran out",
    )
}

/// From now on so long.
pub(crate) fn extend<S: Store>(
    w: &mut Work<'_, S>,
    lease: LeaseId,
    ms: Option<i64>,
) -> Res<Answer, S> {
    let live = live(w, lease)?;
    let mut until = 0;
    for (spot, seq) in &live {
        let lease_ms = w.see_queue(spot.queue)?.map(|row| row.options.lease_ms);
        until = w.now + ms.or(lease_ms).unwrap_or_default();
        if *seq == 0 {
            w.stand(spot.partition, spot.grp, standing::LEASED, until)?;
        } else {
            unordered_extend(w, *spot, *seq, until)?;
        }
    }
    if live.is_empty() {
        return Ok(Answer::Refused(lease_over()));
    }
    Ok(Answer::Extended(until))
}

fn unordered_extend<S: Store>(w: &mut Work<'_, S>, spot: Spot, seq: i64, until: i64) -> Res<(), S> {
    use super::rows::Ready;
    let partition = spot.partition;
    let grp = spot.grp;
    let Some(state) = w.store.get::<State>(&(partition, grp, seq))? else {
        return Ok(());
    };
    w.store
        .delete::<Ready>(&(partition, grp, kind::LEASED, state.at, seq))?;
    w.store.put(&Ready {
        partition,
        grp,
        kind: kind::LEASED,
        at: until,
        seq,
    })?;
    w.store.put(&State { at: until, ..state })?;
    unordered::restand(w, spot)
}

/// What was popped has reached nobody: it goes back as it was.
pub(crate) fn release<S: Store>(w: &mut Work<'_, S>, lease: LeaseId) -> Res<Answer, S> {
    for (spot, seq) in live(w, lease)? {
        if seq == 0 {
            fifo::close(w, spot, true)?;
        } else if let Some(message) = w.store.get::<Message>(&(spot.partition, seq))? {
            unordered::release(w, spot, &message)?;
            unordered::restand(w, spot)?;
        }
    }
    Ok(Answer::Json(serde_json::json!({"success": true})))
}
