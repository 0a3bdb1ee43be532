//! The dead-letter queue: listed, marked as reviewed, replayed.

use serde_json::json;

use super::finish::{review_place, unbury};
use super::groups;
use super::op::{Answer, DEFAULT_GROUP, Pushed, Refusal, Start};
use super::push::{self, New, arrived_for, insert};
use super::removal::{Known, replayed};
use super::rows::{Dead, DeadIndex};
use super::store::Store;
use super::work::{Res, Work, digest_for, partition_id};

fn find<S: Store>(w: &mut Work<'_, S>, id: i64) -> Res<Result<Dead, Refusal>, S> {
    let dead: Option<Dead> = w.store.get(&(id,))?;
    let Some(dead) = dead else {
        let message = format!("there is no entry {id} in the dead-letter queue");
        return Ok(Err(Refusal::not_found(message)));
    };
    if w.see_queue(dead.queue)?.is_none() {
        return Ok(Err(Refusal::not_found("the entry's queue was deleted")));
    }
    Ok(Ok(dead))
}

/// Somebody has looked at it: it goes some day. Or back.
pub(crate) fn review<S: Store>(w: &mut Work<'_, S>, id: i64, reviewed: bool) -> Res<Answer, S> {
    let mut dead = match find(w, id)? {
        Ok(dead) => dead,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    if dead.reviewed_at.is_some() != reviewed {
        w.store.delete::<DeadIndex>(&review_place(&dead))?;
        dead.reviewed_at = reviewed.then_some(w.now);
        let (queue, kind, at, id) = review_place(&dead);
        w.store.put(&DeadIndex {
            queue,
            kind,
            at,
            id,
        })?;
        w.store.put(&dead)?;
    }
    Ok(Answer::Json(
        json!({"success": true, "id": id.to_string(), "reviewed": reviewed}),
    ))
}

/// Back to the group it died in, at the end of its partition.
pub(crate) fn replay<S: Store>(w: &mut Work<'_, S>, id: i64) -> Res<Answer, S> {
    let dead = match find(w, id)? {
        Ok(dead) => dead,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    let queue = dead.queue;
    let name = if dead.grp.is_empty() {
        DEFAULT_GROUP
    } else {
        &dead.grp
    };
    // A group that has ended meanwhile begins anew with this one message.
    let at = match groups::enter(w, queue, name, Start::New)? {
        Ok(at) => at,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    let partition = match push::partition_for(w, queue, &dead.partition_name)? {
        Ok(partition) => partition,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    let grp = w.see_group_at(queue, at).map_or(0, |group| group.key);
    if let Some(Known::There(_)) = replayed(w, partition, &dead.name, grp)? {
        let message = "a replay of this message waits already";
        return Ok(Answer::Refused(Refusal::conflict("duplicate", message)));
    }
    if w.see_cursor(partition, grp)?.is_none() {
        // What was there before the group comes before the replay.
        groups::join_partition(w, queue, at, partition)?;
    }
    // The bytes of the dead become free before those of the message are counted.
    unbury(w, &dead)?;
    let bytes = push::size(&dead.payload, dead.name.len(), dead.trace.as_deref());
    let new = New {
        name: Some(&dead.name),
        digest: Some(digest_for(&dead.name, grp)),
        payload: &dead.payload,
        trace: dead.trace.clone(),
        priority: dead.priority,
        only: grp,
        bytes,
    };
    let (_, _, seq) = insert(w, queue, partition, new)?;
    arrived_for(w, queue, at, partition, seq, dead.priority)?;
    let tag = w.see_partition(partition)?.map_or(0, |row| row.tag);
    Ok(Answer::Json(json!({
        "success": true,
        "id": id.to_string(),
        "transactionId": dead.name,
        "partitionId": partition_id(partition, tag),
        "consumerGroup": name,
        "position": seq,
    })))
}

/// Whether all of a push was taken or known.
pub(crate) fn failed(pushed: &[Pushed]) -> Option<&Refusal> {
    pushed.iter().find_map(|pushed| match pushed {
        Pushed::Failed { refusal, .. } => Some(refusal),
        _ => None,
    })
}
