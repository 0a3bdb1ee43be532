//! Traces: what a consumer notes down about a message while it works on it.

use serde_json::json;

use super::op::{Answer, Refusal, TraceItem};
use super::rows::{Named, Trace, TraceName};
use super::store::Store;
use super::work::{Res, Work, digest, parse_partition_id};
use crate::limits;

/// Keeps a note. The oldest ones of a message make room.
pub(crate) fn trace<S: Store>(w: &mut Work<'_, S>, item: &TraceItem) -> Res<Answer, S> {
    let digest = digest(&item.name);
    let found = parse_partition_id(&item.partition_id);
    let row = match found {
        Some((partition, tag)) => w
            .see_partition(partition)?
            .filter(|row| row.tag == tag)
            .cloned(),
        None => None,
    };
    let named: Option<Named> = match &row {
        Some(row) => w.store.get(&(row.key, digest))?,
        None => None,
    };
    let (Some(row), Some(_)) = (row, named) else {
        let message = "there is no message of this partitionId and transactionId";
        return Ok(Answer::Refused(Refusal::not_found(message)));
    };
    let (from, to) = ((row.key, digest, 0), (row.key, digest, i64::MAX));
    let known = w.store.scan::<Trace>(&from, &to, limits::JOB_TRACES)?;
    if known.len() >= limits::JOB_TRACES
        && let Some(oldest) = known.first()
    {
        forget(w, oldest)?;
    }
    let (id, now) = (w.next_id()?, w.now);
    let note = Trace {
        partition: row.key,
        digest,
        id,
        queue: row.queue,
        message: item.name.clone(),
        grp: item.group.clone(),
        event: item.event.clone(),
        names: serde_json::to_string(&item.names).unwrap_or_default(),
        data: item.data.clone(),
        created_at: now,
    };
    w.add_other_bytes(row.queue, bytes(&note))?;
    w.store.put(&note)?;
    for name in &item.names {
        w.store.put(&TraceName {
            name: name.clone(),
            id,
            partition: row.key,
            digest,
        })?;
    }
    Ok(Answer::Json(
        json!({"success": true, "traceId": id.to_string()}),
    ))
}

fn bytes(note: &Trace) -> i64 {
    let bytes = note.data.len() + note.names.len() + note.message.len() + 128;
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Removes a note and its names.
pub(crate) fn forget<S: Store>(w: &mut Work<'_, S>, note: &Trace) -> Res<(), S> {
    w.store
        .delete::<Trace>(&(note.partition, note.digest, note.id))?;
    let names: Vec<String> = serde_json::from_str(&note.names).unwrap_or_default();
    for name in names {
        w.store.delete::<TraceName>(&(name, note.id))?;
    }
    w.add_other_bytes(note.queue, -bytes(note))
}
