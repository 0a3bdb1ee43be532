//! Manual operations on single messages: make pending, move to the dead letters, delete.

use super::ack::{Attempt, Place, attempt, done_already, find};
use super::fifo::{self, Spot};
use super::finish::{End, bury, no_message};
use super::op::{Answer, Refusal, Touch, What};
use super::removal::{Known, Leaving, known, remove};
use super::retry::end;
use super::retry::fresh;
use super::rows::{Message, State};
use super::store::Store;
use super::work::{Res, Work, kind, parse_partition_id};
use super::{finish, unordered};

/// Does something to one message, for one group or for all that have it before them.
pub(crate) fn touch<S: Store>(w: &mut Work<'_, S>, touch: &Touch) -> Res<Answer, S> {
    let mut groups = Vec::new();
    let mut why = no_message(&touch.name);
    if let Some(group) = &touch.group {
        groups.push(group.clone());
    } else if let Some((partition, _)) = parse_partition_id(&touch.partition_id)
        && let Some(queue) = w.see_partition(partition)?.map(|row| row.queue)
    {
        for at in 0..w.group_count(queue)? {
            groups.extend(w.see_group_at(queue, at).map(|group| group.name.clone()));
        }
        if groups.is_empty() {
            why = match touch.what {
                What::Delete => no_message(&touch.name),
                _ => Refusal::not_found(
                    "no consumer group has popped from this queue yet, so there is nobody to do this for: pop first",
                ),
            };
        }
    }
    let mut touched = 0;
    for group in &groups {
        let place = match find(w, &touch.partition_id, &touch.name, group)? {
            Ok(place) => place,
            Err(refusal) => {
                why = refusal;
                continue;
            }
        };
        let Some(attempt) = attempt(w, &place)? else {
            why = done_already();
            continue;
        };
        touch_one(w, &place, &attempt, touch.what)?;
        touched += 1;
    }
    // One that no group has before it is deleted, too: those to come would get it.
    if touched == 0 && touch.what == What::Delete && touch.group.is_none() {
        return delete_unread(w, touch, why);
    }
    if touched == 0 {
        return Ok(Answer::Refused(why));
    }
    Ok(Answer::Json(serde_json::json!({
        "success": true, "partitionId": touch.partition_id, "transactionId": touch.name, "groups": touched,
    })))
}

fn touch_one<S: Store>(
    w: &mut Work<'_, S>,
    place: &Place,
    attempt: &Attempt,
    what: What,
) -> Res<(), S> {
    let spot = place.spot;
    let message = &place.message;
    let fifo = w.see_queue(spot.queue)?.is_some_and(|row| row.options.fifo);
    if attempt.lease.is_some() {
        if fifo {
            fifo::close(w, spot, true)?;
        } else {
            unordered::release(w, spot, message)?;
        }
    }
    match what {
        What::Requeue if fifo => fifo_due(w, spot, message)?,
        What::Requeue => unordered::due(w, spot, message)?,
        What::ToDead => {
            let error = "it was sent to the dead-letter queue by hand";
            let attempts = attempt.attempts;
            bury(
                w,
                spot.queue,
                spot.at,
                message,
                &finish::Death { attempts, error },
            )?;
            end(w, spot, fifo, message, End::Died)?;
        }
        What::Delete => end(w, spot, fifo, message, End::Dropped)?,
    }
    if fifo {
        fifo::restand(w, spot)
    } else {
        unordered::restand(w, spot)
    }
}

/// The message waits no longer; its attempts stay.
fn fifo_due<S: Store>(w: &mut Work<'_, S>, spot: Spot, message: &Message) -> Res<(), S> {
    let key = (spot.partition, spot.grp, message.seq);
    let state: Option<State> = w.store.get(&key)?;
    let state = state.unwrap_or_else(|| State {
        kind: kind::PENDING,
        ..fresh(spot.partition, spot.grp, message.seq)
    });
    let at = w.now;
    fifo::put_state(w, spot, &State { at, ..state })
}

/// A message that no group has before it.
fn delete_unread<S: Store>(w: &mut Work<'_, S>, touch: &Touch, why: Refusal) -> Res<Answer, S> {
    let found = parse_partition_id(&touch.partition_id);
    let row = match found {
        Some((partition, tag)) => w
            .see_partition(partition)?
            .filter(|row| row.tag == tag)
            .cloned(),
        None => None,
    };
    let cleared = match &row {
        Some(row) => w.see_queue(row.queue)?.map(|queue| queue.cleared),
        None => None,
    };
    let Some(row) = row.filter(|row| cleared.is_some_and(|cleared| row.key >= cleared)) else {
        return Ok(Answer::Refused(why));
    };
    let Some(Known::There(message)) = known(w, row.key, &touch.name)? else {
        return Ok(Answer::Refused(why));
    };
    remove(w, row.queue, row.key, &Leaving::from(&message), false)?;
    Ok(Answer::Json(serde_json::json!({
        "success": true, "partitionId": touch.partition_id, "transactionId": touch.name, "groups": 0,
    })))
}
