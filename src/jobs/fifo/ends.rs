//! The end of an attempt in a partition in order (done, to come again, or dead), and the end of its lease.

use super::{Pass, STATES, Spot, Stop, look};
use crate::jobs::finish::{End, finish};
use crate::jobs::removal::Leaving;
use crate::jobs::retry::again;
use crate::jobs::rows::{Cursor, Lease, Message, State};
use crate::jobs::store::Store;
use crate::jobs::work::{Res, Work, kind, standing};

/// The message is done for the group, leased or not. A lease that has nothing left is closed by `close`.
pub(crate) fn done<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    message: Leaving,
    end: End,
) -> Res<(), S> {
    let partition = spot.partition;
    let grp = spot.grp;
    let seq = message.seq;
    let Some(cursor) = w.see_cursor(partition, grp)?.cloned() else {
        return Ok(());
    };
    if is_out(&cursor, seq) {
        give_out(w, spot, 1)?;
        if end == End::Completed {
            let worked = w.now - cursor.leased_at;
            w.effects.times.push((spot.queue, false, worked));
        }
    }
    if let Some(cursor) = w.cursor(partition, grp)?
        && end == End::Completed
    {
        cursor.single = false;
    }
    if seq == cursor.next {
        drop_states(w, spot, seq, seq + 1)?;
        let next = after_done(w, spot, seq + 1)?;
        if let Some(cursor) = w.cursor(partition, grp)? {
            cursor.next = next;
        }
    } else {
        let state = State {
            partition,
            grp,
            seq,
            kind: kind::DONE,
            at: 0,
            attempts: 0,
            expired: 0,
            lease: None,
            leased_at: 0,
            error: None,
        };
        put_state(w, spot, &state)?;
    }
    finish(w, spot.queue, spot.at, partition, &[message], end)
}

/// The same of the first messages that a lease holds, in their order, where its cursor counts no states.
pub(crate) fn done_run<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    messages: &[Leaving],
) -> Res<(), S> {
    let partition = spot.partition;
    let Some(last) = messages.last() else {
        return Ok(());
    };
    let count = i64::try_from(messages.len()).unwrap_or(0);
    let now = w.now;
    let mut worked = 0;
    if let Some(cursor) = w.cursor(partition, spot.grp)? {
        worked = now - cursor.leased_at;
        cursor.single = false;
        cursor.next = last.seq + 1;
    }
    give_out(w, spot, count)?;
    let times = messages.iter().map(|_| (spot.queue, false, worked));
    w.effects.times.extend(times);
    finish(w, spot.queue, spot.at, partition, messages, End::Completed)
}

/// The first place from `next` on that is not done.
fn after_done<S: Store>(w: &mut Work<'_, S>, spot: Spot, mut next: i64) -> Res<i64, S> {
    while w
        .see_cursor(spot.partition, spot.grp)?
        .is_some_and(|cursor| cursor.states > 0)
    {
        let key = (spot.partition, spot.grp, next);
        let state: Option<State> = w.store.get(&key)?;
        if state.is_none_or(|state| state.kind != kind::DONE) {
            break;
        }
        drop_states(w, spot, next, next + 1)?;
        next += 1;
    }
    Ok(next)
}

/// Whether the message may be one of a lease's.
pub(crate) fn is_out(cursor: &Cursor, seq: i64) -> bool {
    cursor.out > 0 && (cursor.next..cursor.upto).contains(&seq)
}

/// So many of the lease's messages are no longer out.
pub(crate) fn give_out<S: Store>(w: &mut Work<'_, S>, spot: Spot, count: i64) -> Res<(), S> {
    if let Some(cursor) = w.cursor(spot.partition, spot.grp)? {
        cursor.out -= count;
    }
    if let Some(group) = w.group_at(spot.queue, spot.at) {
        group.out -= count;
    }
    Ok(())
}

pub(crate) fn put_state<S: Store>(w: &mut Work<'_, S>, spot: Spot, state: &State) -> Res<(), S> {
    let known: Option<State> = w.store.get(&(state.partition, state.grp, state.seq))?;
    if known.is_none()
        && let Some(cursor) = w.cursor(spot.partition, spot.grp)?
    {
        cursor.states += 1;
    }
    w.store.put(state)
}

/// Deletes states with `from <= seq < to`.
pub(crate) fn drop_states<S: Store>(
    w: &mut Work<'_, S>,
    spot: Spot,
    from: i64,
    to: i64,
) -> Res<(), S> {
    let partition = spot.partition;
    let grp = spot.grp;
    if w.see_cursor(partition, grp)?
        .is_none_or(|cursor| cursor.states == 0)
    {
        return Ok(());
    }
    let from = (partition, grp, from);
    let to = (partition, grp, to);
    let states = w.store.scan::<State>(&from, &to, STATES)?;
    for state in &states {
        w.store.delete::<State>(&(partition, grp, state.seq))?;
    }
    if let Some(cursor) = w.cursor(partition, grp)? {
        cursor.states -= i64::try_from(states.len()).unwrap_or(0);
    }
    Ok(())
}

/// After acks of a lease: it ends if nothing of it is out, or if something of it is to be tried again, since that comes first. What was
/// behind that goes back as it was. Says whether it has ended.
pub(crate) fn close<S: Store>(w: &mut Work<'_, S>, spot: Spot, again: bool) -> Res<(), S> {
    let Some(cursor) = w.see_cursor(spot.partition, spot.grp)?.cloned() else {
        return Ok(());
    };
    if cursor.out > 0 && !again {
        return Ok(());
    }
    if !again && cursor.upto > cursor.next {
        drop_states(w, spot, cursor.next, cursor.upto)?;
    }
    give_out(w, spot, cursor.out)?;
    if let Some(lease) = cursor.lease {
        let key = (lease, spot.partition, spot.grp, 0);
        w.store.delete::<Lease>(&key)?;
    }
    if let Some(row) = w.cursor(spot.partition, spot.grp)? {
        row.lease = None;
        if !again {
            row.next = row.next.max(row.upto);
        }
        row.upto = row.next;
    }
    restand(w, spot)
}

/// The message comes again at the state's time.
pub(crate) fn put_off<S: Store>(w: &mut Work<'_, S>, spot: Spot, state: State) -> Res<(), S> {
    let kind = kind::PENDING;
    put_state(w, spot, &State { kind, ..state })
}

/// A lease that has run out: an attempt for each of its messages that was not acked. From now on they come one by one, so that
/// one that kills its worker does not take the others along.
pub(crate) fn settle<S: Store>(w: &mut Work<'_, S>, spot: Spot) -> Res<(), S> {
    let Some(cursor) = w.see_cursor(spot.partition, spot.grp)?.cloned() else {
        return Ok(());
    };
    if cursor.state != standing::LEASED || cursor.at > w.now {
        return Ok(());
    }
    let from = (spot.partition, cursor.next);
    let to = (spot.partition, cursor.upto);
    let messages = w.store.scan::<Message>(&from, &to, usize::MAX >> 1)?;
    for message in messages {
        let mine = message.only == 0 || message.only == spot.grp;
        let key = (spot.partition, spot.grp, message.seq);
        let done = w
            .store
            .get::<State>(&key)?
            .is_some_and(|state| state.kind == kind::DONE);
        if mine && !done {
            again(w, spot, &message, true, None)?;
        }
    }
    if let Some(row) = w.cursor(spot.partition, spot.grp)? {
        row.single = true;
    }
    close(w, spot, true)
}

/// How the cursor stands by what is before it.
pub(crate) fn restand<S: Store>(w: &mut Work<'_, S>, spot: Spot) -> Res<(), S> {
    let partition = spot.partition;
    let grp = spot.grp;
    let Some(options) = w.see_queue(spot.queue)?.map(|row| row.options) else {
        return Ok(());
    };
    let Some(cursor) = w.see_cursor(partition, grp)?.cloned() else {
        return Ok(());
    };
    // While it is leased, nothing else says how it stands: what is leased would be given out again.
    if cursor.lease.is_some() {
        return Ok(());
    }
    let next_seq = w.see_partition(partition)?.map_or(0, |row| row.next_seq);
    if cursor.next >= next_seq {
        return w.stand(partition, grp, standing::IDLE, 0);
    }
    if cursor.states == 0 && options.delay_ms == 0 && options.window_ms == 0 {
        return w.stand(partition, grp, standing::READY, 0);
    }
    let found = look(w.store, w.now, &options, &cursor, 1, usize::MAX)?;
    let all_skipped = found.passed.iter().all(|(_, pass)| *pass == Pass::Skip);
    match found.stop {
        Stop::Due(at) if all_skipped => w.stand(partition, grp, standing::WAITING, at),
        Stop::End if all_skipped && found.take.is_empty() => {
            if let Some(row) = w.cursor(partition, grp)? {
                row.next = next_seq;
            }
            drop_states(w, spot, cursor.next, next_seq)?;
            w.stand(partition, grp, standing::IDLE, 0)
        }
        _ => w.stand(partition, grp, standing::READY, 0),
    }
}
