//! Partitions in order: a group has one lease of a partition at a time, and its place is a number.

mod ends;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::finish::{Death, End, bury, finish};
use super::op::{Delivered, LeaseId};
use super::options::Options;
use super::removal::Leaving;
use super::rows::{Cursor, Lease, Message, State};
use super::store::{Order, Store};
use super::work::{Res, Work, kind, standing};

use ends::drop_states;
pub(crate) use ends::{close, done, done_run, is_out, put_off, put_state, restand, settle};

/// Messages of others, or done ones, that are passed at once.
const PASS: usize = 512;
/// States that are read at once.
const STATES: usize = 2_048;
/// How often it is read on when all that was found was to be passed.
const ROUNDS: usize = 4;

/// One group's place in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) queue: i64,
    /// The group's place among the queue's.
    pub(crate) at: usize,
    pub(crate) grp: i64,
    pub(crate) partition: i64,
}

/// When a message that comes now can be popped, if none is before it.
pub(crate) fn due_of(options: &Options, now: i64) -> i64 {
    now + options.delay_ms.max(options.window_ms)
}

/// What a look from a cursor on finds.
pub(crate) struct Found {
    pub(crate) take: Vec<(Message, Option<State>)>,
    /// Before the first of those.
    passed: Vec<(Message, Pass)>,
    pub(crate) stop: Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// It is another group's, or done.
    Skip,
    /// A retention has ended.
    Drop,
    /// It has waited longer than is allowed.
    Die,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    End,
    Due(i64),
    /// As much as was wanted, or as is read at once.
    Full,
}

/// What a pop would give next, from `cursor` on.
pub(crate) fn look<S: Store>(
    store: &S,
    now: i64,
    options: &Options,
    cursor: &Cursor,
    want: usize,
    mut bytes: usize,
) -> Res<Found, S> {
    let partition = cursor.partition;
    let grp = cursor.grp;
    let mut states = BTreeMap::new();
    if cursor.states > 0 {
        let from = (partition, grp, cursor.next);
        let rows = store.scan::<State>(&from, &(partition, grp, i64::MAX), STATES)?;
        states.extend(rows.into_iter().map(|state| (state.seq, state)));
    }
    let last_state = (states.len() == STATES)
        .then(|| states.keys().next_back().copied())
        .flatten();
    let mut found = Found {
        take: Vec::new(),
        passed: Vec::new(),
        stop: Stop::End,
    };
    let mut seen = 0;
    let mut visit = |message: Message| {
        seen += 1;
        let first = found.take.is_empty();
        let state = states.remove(&message.seq);
        let of_others = message.only != 0 && message.only != grp;
        let done = state.as_ref().is_some_and(|state| state.kind == kind::DONE);
        let verdict = if of_others || done {
            Some(Pass::Skip)
        } else {
            past(options, &message, state.as_ref(), now)
        };
        match verdict {
            Some(pass) if first => found.passed.push((message, pass)),
            Some(Pass::Skip) => {}
            Some(_) => {
                found.stop = Stop::Full;
                return ControlFlow::Break(());
            }
            None => {
                let due = due(options, &message, state.as_ref(), first);
                if due > now {
                    found.stop = Stop::Due(due);
                    return ControlFlow::Break(());
                }
                let size = message.payload.len();
                if !first && size > bytes {
                    found.stop = Stop::Full;
                    return ControlFlow::Break(());
                }
                bytes = bytes.saturating_sub(size);
                let at = message.seq;
                found.take.push((message, state));
                if found.take.len() >= want || last_state.is_some_and(|last| at >= last) {
                    found.stop = Stop::Full;
                    return ControlFlow::Break(());
                }
            }
        }
        if seen >= want + PASS {
            found.stop = Stop::Full;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let from = (partition, cursor.next);
    let to = (partition, i64::MAX);
    store.each::<Message>(&from, &to, Order::Up, want + PASS, &mut visit)?;
    Ok(found)
}

fn past(options: &Options, message: &Message, state: Option<&State>, now: i64) -> Option<Pass> {
    let age = now - message.created_at;
    if options.retention_ms > 0 && age >= options.retention_ms {
        return Some(Pass::Drop);
    }
    let never_out = state.is_none_or(|state| state.attempts == 0);
    (options.max_wait_ms > 0 && age >= options.max_wait_ms && never_out).then_some(Pass::Die)
}

fn due(options: &Options, message: &Message, state: Option<&State>, first: bool) -> i64 {
    if let Some(state) = state {
        return state.at;
    }
    let window = if first { options.window_ms } else { 0 };
    message.created_at + options.delay_ms.max(window)
}

/// Leases what can be popped, up to `want` messages; gives them to `out`.
pub(crate) fn take<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    want: usize,
    bytes: usize,
    lease: Option<LeaseId>,
    out: &mut Vec<Delivered>,
) -> Res<(), S> {
    let Some(options) = w.see_queue(spot.queue)?.map(|row| row.options) else {
        return Ok(());
    };
    for _ in 0..ROUNDS {
        let Some(cursor) = w.see_cursor(spot.partition, spot.grp)?.cloned() else {
            return Ok(());
        };
        let want = if cursor.single { 1 } else { want };
        let found = look(w.store, w.now, &options, &cursor, want, bytes)?;
        pass(w, spot, found.passed)?;
        if !found.take.is_empty() {
            return deliver(w, spot, &options, found.take, lease, out);
        }
        match found.stop {
            Stop::Full => {}
            Stop::Due(at) => return w.stand(spot.partition, spot.grp, standing::WAITING, at),
            Stop::End => {
                let next = w
                    .see_partition(spot.partition)?
                    .map_or(0, |row| row.next_seq);
                if let Some(cursor) = w.cursor(spot.partition, spot.grp)? {
                    cursor.next = next;
                }
                return w.stand(spot.partition, spot.grp, standing::IDLE, 0);
            }
        }
    }
    Ok(())
}

/// Moves the cursor over what is not to be delivered.
fn pass<S: Store>(w: &mut Work<'_, S>, spot: Spot, passed: Vec<(Message, Pass)>) -> Res<(), S> {
    for (message, pass) in passed {
        let seq = message.seq;
        if let Some(cursor) = w.cursor(spot.partition, spot.grp)? {
            cursor.next = seq + 1;
        }
        drop_states(w, spot, seq, seq + 1)?;
        let end = match pass {
            Pass::Skip => continue,
            Pass::Drop => End::Dropped,
            Pass::Die => {
                let error = "it waited longer than options.maxWaitTimeSeconds";
                let death = Death { attempts: 0, error };
                bury(w, spot.queue, spot.at, &message, &death)?;
                End::Died
            }
        };
        let leaving = [Leaving::from(&message)];
        finish(w, spot.queue, spot.at, spot.partition, &leaving, end)?;
    }
    Ok(())
}

fn deliver<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    options: &Options,
    take: Vec<(Message, Option<State>)>,
    lease: Option<LeaseId>,
    out: &mut Vec<Delivered>,
) -> Res<(), S> {
    let now = w.now;
    let count = take.len();
    let count = i64::try_from(count).unwrap_or(0);
    let first = take.first().map_or(0, |(message, _)| message.seq);
    let last = take.last().map_or(0, |(message, _)| message.seq);
    let until = now + options.lease_ms;
    let at_once = lease.is_none();
    let all = take.iter().filter(|_| at_once);
    let leaving: Vec<Leaving> = all.map(|(message, _)| message.into()).collect();
    for (message, state) in take {
        out.push(delivered(w, spot, message, state.as_ref(), until)?);
    }
    if let Some(group) = w.group_at(spot.queue, spot.at) {
        group.delivered += count;
        group.out += count;
    }
    if let Some(cursor) = w.cursor(spot.partition, spot.grp)? {
        cursor.next = first;
        cursor.upto = last + 1;
        cursor.out = count;
        cursor.lease = lease;
        cursor.leased_at = now;
    }
    if let Some(lease) = lease {
        w.store.put(&Lease {
            lease,
            partition: spot.partition,
            grp: spot.grp,
            seq: 0,
            queue: spot.queue,
        })?;
        return w.stand(spot.partition, spot.grp, standing::LEASED, until);
    }
    // Acked as it is given out; others have their turn before it has another.
    w.stand(spot.partition, spot.grp, standing::IDLE, 0)?;
    let states = w
        .see_cursor(spot.partition, spot.grp)?
        .map_or(0, |cursor| cursor.states);
    if states == 0 && first + count == last + 1 {
        done_run(w, spot, &leaving)?;
    } else {
        for message in leaving {
            done(w, spot, message, End::Completed)?;
        }
    }
    close(w, spot, false)
}

/// A message as it is given out.
pub(crate) fn delivered<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    message: Message,
    state: Option<&State>,
    until: i64,
) -> Res<Delivered, S> {
    let retries = state.map_or(0, |state| state.attempts);
    if retries == 0 {
        let waited = w.now - message.created_at;
        w.effects.times.push((spot.queue, true, waited));
    }
    w.count(spot.queue, |counts| counts.delivered += 1)?;
    let queue = w
        .see_queue(spot.queue)?
        .map(|row| row.name.clone())
        .unwrap_or_default();
    let (partition_tag, partition_name) = w
        .see_partition(spot.partition)?
        .map(|row| (row.tag, row.name.clone()))
        .unwrap_or_default();
    Ok(Delivered {
        id: message.id,
        seq: message.seq,
        queue,
        partition: spot.partition,
        partition_tag,
        partition_name,
        name: message.name,
        trace: message.trace,
        payload: message.payload,
        created_at: message.created_at,
        priority: message.priority,
        retries,
        error: state.and_then(|state| state.error.clone()),
        until,
    })
}

/// Lets what is at the cursor and past its time go on its way; gives how many.
pub(crate) fn pass_old<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    options: &Options,
) -> Res<usize, S> {
    let Some(cursor) = w.see_cursor(spot.partition, spot.grp)?.cloned() else {
        return Ok(0);
    };
    let found = look(w.store, w.now, options, &cursor, 1, usize::MAX)?;
    let count = found.passed.len();
    pass(w, spot, found.passed)?;
    Ok(count)
}
