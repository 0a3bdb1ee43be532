//! Popping: which partition has its turn, and which of its messages are leased.

use super::fifo::{self, Spot};
use super::manage::queue_for;
use super::op::{Answer, Delivered, LeaseId, PopRequest, Popped, Refusal, Source, Start};
use super::rows::{Group, Queue, Turn};
use super::store::Store;
use super::work::{Res, Work, standing};
use super::{groups, unordered};
use crate::limits;

/// Partitions whose time has come that one pop looks after.
const SETTLE: usize = 64;
/// Partitions without anything to give that one pop looks at.
const IN_VAIN: usize = 64;

/// What a pop has yet to get, and what it has.
struct Basket {
    want: usize,
    bytes: usize,
    partitions: usize,
    in_vain: usize,
    /// Messages times groups that it may complete itself.
    pairs: usize,
    lease: Option<LeaseId>,
    popped: Popped,
}

pub(crate) fn pop<S: Store>(w: &mut Work<'_, S>, request: &PopRequest) -> Res<Answer, S> {
    let lease = (!request.auto_ack).then(|| (w.random)());
    let mut basket = Basket {
        want: request.batch,
        bytes: limits::JOB_REQUEST_BYTES,
        partitions: request.partitions.max(1),
        in_vain: IN_VAIN,
        pairs: limits::JOB_ACK_PAIRS,
        lease,
        popped: Popped::default(),
    };
    let refusal = match &request.from {
        Source::Queue { queue, partition } => {
            of_queue(w, request, queue, partition.as_deref(), &mut basket)?
        }
        Source::Filter { namespace, task } => {
            let filter = (namespace.as_deref(), task.as_deref());
            of_queues(w, request, filter, &mut basket)?
        }
    };
    if let Some(refusal) = refusal {
        return Ok(Answer::Refused(refusal));
    }
    let mut popped = basket.popped;
    popped.lease = lease.filter(|_| !popped.messages.is_empty());
    Ok(Answer::Popped(popped))
}

fn of_queue<S: Store>(
    w: &mut Work<'_, S>,
    request: &PopRequest,
    name: &str,
    partition: Option<&str>,
    basket: &mut Basket,
) -> Res<Option<Refusal>, S> {
    let queue = match w.queue_key(name)? {
        Some(queue) => queue,
        // Where a group begins must be kept, even if nobody has pushed yet.
        None if request.start != Start::All => match queue_for(w, name)? {
            Ok(queue) => queue,
            Err(refusal) => return Ok(Some(refusal)),
        },
        None => return Ok(None),
    };
    let at = match groups::enter(w, queue, &request.group, request.start)? {
        Ok(at) => at,
        Err(refusal) => return Ok(Some(refusal)),
    };
    match partition {
        Some(partition) => of_partition(w, queue, at, partition, basket)?,
        None => of_turns(w, queue, at, basket)?,
    }
    Ok(None)
}

/// Queues by priority; those of one priority by whose turn comes first.
fn of_queues<S: Store>(
    w: &mut Work<'_, S>,
    request: &PopRequest,
    (namespace, task): (Option<&str>, Option<&str>),
    basket: &mut Basket,
) -> Res<Option<Refusal>, S> {
    let all = w
        .store
        .scan::<Queue>(&(0,), &(i64::MAX,), usize::MAX >> 1)?;
    let mut found = Vec::new();
    for row in all {
        let fits = namespace.is_none_or(|name| row.namespace == name)
            && task.is_none_or(|name| row.task == name);
        if !fits {
            continue;
        }
        let at = match groups::enter(w, row.key, &request.group, request.start)? {
            Ok(at) => at,
            Err(refusal) => return Ok(Some(refusal)),
        };
        settle(w, row.key, at)?;
        let grp = w.see_group_at(row.key, at).map_or(0, |group| group.key);
        let turn = first_turn(w, row.key, grp, standing::READY)?;
        let turn = turn.map_or(i64::MAX, |turn| turn.at);
        found.push((-row.options.priority, turn, row.key, at));
    }
    found.sort_unstable();
    for (_, _, queue, at) in found {
        of_turns(w, queue, at, basket)?;
        if basket.partitions == 0 || basket.want == 0 {
            break;
        }
    }
    Ok(None)
}

fn of_partition<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    at: usize,
    name: &str,
    basket: &mut Basket,
) -> Res<(), S> {
    let Some(partition) = w.partition_key(queue, name)? else {
        return Ok(());
    };
    let spot = spot(w, queue, at, partition);
    if w.see_cursor(partition, spot.grp)?.is_none() {
        groups::join_partition(w, queue, at, partition)?;
    }
    settle_one(w, spot)?;
    if stands(w, spot)? == Some((standing::READY, 0)) {
        give(w, spot, basket)?;
    }
    basket.popped.more = stands(w, spot)? == Some((standing::READY, 0));
    if let Some((standing::WAITING | standing::LEASED, at)) = stands(w, spot)? {
        basket.popped.next_at = Some(at);
    }
    Ok(())
}

/// How the cursor stands, and until when.
fn stands<S: Store>(w: &mut Work<'_, S>, spot: Spot) -> Res<Option<(i64, i64)>, S> {
    let cursor = w.see_cursor(spot.partition, spot.grp)?;
    Ok(cursor.map(|cursor| match cursor.state {
        standing::READY => (standing::READY, 0),
        state => (state, cursor.at),
    }))
}

fn spot<S: Store>(w: &Work<'_, S>, queue: i64, at: usize, partition: i64) -> Spot {
    let grp = w.see_group_at(queue, at).map_or(0, |group| group.key);
    Spot {
        queue,
        at,
        grp,
        partition,
    }
}

fn of_turns<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    at: usize,
    basket: &mut Basket,
) -> Res<(), S> {
    settle(w, queue, at)?;
    let grp = w.see_group_at(queue, at).map_or(0, |group| group.key);
    loop {
        let before = basket.popped.messages.len();
        while basket.want > 0 && basket.partitions > 0 && basket.in_vain > 0 {
            let Some(turn) = first_turn(w, queue, grp, standing::READY)? else {
                break;
            };
            let spot = spot(w, queue, at, turn.partition);
            give(w, spot, basket)?;
        }
        let nothing = basket.popped.messages.len() == before;
        let hungry = nothing && basket.want > 0 && basket.in_vain > 0 && basket.partitions > 0;
        if !hungry || !groups::join(w, queue, at)? {
            // What was just taken in may be there to be had.
            let there = first_turn(w, queue, grp, standing::READY)?.is_some();
            if !(hungry && there) {
                break;
            }
        }
    }
    let more = first_turn(w, queue, grp, standing::READY)?.is_some();
    let unjoined = w
        .see_group_at(queue, at)
        .is_some_and(|group| group.join_after.is_some());
    let mut idle = !more;
    basket.popped.more |= more || (unjoined && !basket.popped.messages.is_empty());
    for state in [standing::WAITING, standing::LEASED] {
        let next = first_turn(w, queue, grp, state)?.map(|turn| turn.at);
        idle &= next.is_none();
        basket.popped.next_at = match (basket.popped.next_at, next) {
            (Some(a), Some(b)) => Some(std::cmp::min::<i64>(a, b)),
            (a, b) => a.or(b),
        };
    }
    if idle && !unjoined {
        none_waits(w, queue, at);
    }
    Ok(())
}

/// Nothing is before the group. Where it began among very many messages, what it waits for was only an estimate.
fn none_waits<S: Store>(w: &mut Work<'_, S>, queue: i64, at: usize) {
    let wrong = |group: &Group| group.waiting != 0;
    if w.see_group_at(queue, at).is_some_and(wrong)
        && let Some(group) = w.group_at(queue, at)
    {
        group.waiting = 0;
    }
}

/// Leases of one partition.
fn give<S: Store>(w: &mut Work<'_, S>, spot: Spot, basket: &mut Basket) -> Res<(), S> {
    let before = basket.popped.messages.len();
    let out: &mut Vec<Delivered> = &mut basket.popped.messages;
    let fifo = w.see_queue(spot.queue)?.is_some_and(|row| row.options.fifo);
    let mut want = basket.want;
    let bytes = basket.bytes;
    let lease = basket.lease;
    // What is completed at once asks every group of its queue whether it needs the message.
    let groups = w.group_count(spot.queue)?.max(1);
    if lease.is_none() {
        want = want.min(basket.pairs / groups);
    }
    if want == 0 {
        basket.want = 0;
        return Ok(());
    }
    if fifo {
        fifo::take(w, spot, want, bytes, lease, out)?;
    } else {
        unordered::take(w, spot, want, bytes, lease, out)?;
    }
    let got = &basket.popped.messages[before..];
    basket.want -= got.len().min(basket.want);
    basket.pairs -= (got.len() * groups).min(basket.pairs);
    let bytes: usize = got.iter().map(|message| message.payload.len()).sum();
    basket.bytes = basket.bytes.saturating_sub(bytes);
    if got.is_empty() {
        basket.in_vain -= 1;
    } else {
        basket.partitions -= 1;
    }
    if basket.bytes == 0 {
        basket.want = 0;
    }
    Ok(())
}

fn first_turn<S: Store>(w: &Work<'_, S>, queue: i64, grp: i64, state: i64) -> Res<Option<Turn>, S> {
    let from = (queue, grp, state, i64::MIN, 0);
    w.store.first(&from, &(queue, grp, state + 1, i64::MIN, 0))
}

/// Partitions where a lease has run out, or something is due.
pub(crate) fn settle<S: Store>(w: &mut Work<'_, S>, queue: i64, at: usize) -> Res<usize, S> {
    let grp = w.see_group_at(queue, at).map_or(0, |group| group.key);
    let mut settled = 0;
    for state in [standing::LEASED, standing::WAITING] {
        let from = (queue, grp, state, i64::MIN, 0);
        let to = (queue, grp, state, w.now + 1, 0);
        for turn in w.store.scan::<Turn>(&from, &to, SETTLE)? {
            let spot = spot(w, queue, at, turn.partition);
            settle_one(w, spot)?;
            settled += 1;
        }
    }
    Ok(settled)
}

/// The same of one partition, if it is so.
pub(crate) fn settle_one<S: Store>(w: &mut Work<'_, S>, spot: Spot) -> Res<(), S> {
    let now = w.now;
    let Some(cursor) = w.see_cursor(spot.partition, spot.grp)? else {
        return Ok(());
    };
    let state = cursor.state;
    let due = cursor.at <= now;
    let timed = matches!(state, standing::WAITING | standing::LEASED);
    let fifo = w.see_queue(spot.queue)?.is_some_and(|row| row.options.fifo);
    match (fifo, state) {
        (false, standing::READY) => unordered::settle(w, spot),
        _ if !(timed && due) => Ok(()),
        (true, standing::LEASED) => fifo::settle(w, spot),
        (true, _) => fifo::restand(w, spot),
        (false, _) => unordered::settle(w, spot),
    }
}
