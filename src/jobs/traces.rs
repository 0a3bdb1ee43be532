//! Traces: notes that a consumer writes on a message while it works on it. They are deleted with the message's
//! partition, after a week, or when newer ones of the same message need the room.

use serde_json::json;

use super::op::{Answer, Refusal, TraceItem};
use super::removal::{MARK_BYTES, known};
use super::rows::{Mark, Trace, TraceName};
use super::store::Store;
use super::work::{Res, Work, digest, ends, parse_partition_id};
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
    let named = match &row {
        Some(row) => known(w, row.key, &item.name)?,
        None => None,
    };
    let (Some(row), Some(_)) = (row, named) else {
        let message = "there is no message of this partitionId and transactionId";
        return Ok(Answer::Refused(Refusal::not_found(message)));
    };
    let id = w.next_id()?;
    let now = w.now;
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
    make_room(w, &note)?;
    w.add_other_bytes(row.queue, bytes(&note))?;
    w.store.put(&note)?;
    let (queue, kind, at, n) = end_of(&note);
    w.store.put(&Mark {
        queue,
        kind,
        at,
        n,
        partition: row.key,
        digest,
    })?;
    marks(w, queue, 1)?;
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

/// The oldest notes of the same message go, until there is room for one more.
fn make_room<S: Store>(w: &mut Work<'_, S>, note: &Trace) -> Res<(), S> {
    let partition = note.partition;
    let digest = note.digest;
    let from = (partition, digest, 0);
    let to = (partition, digest, i64::MAX);
    let known = w.store.scan::<Trace>(&from, &to, limits::JOB_TRACES)?;
    let most = i64::try_from(limits::JOB_TRACE_BYTES).unwrap_or(i64::MAX);
    let mut count = known.len();
    let mut taken = known.iter().map(bytes).sum::<i64>() + bytes(note);
    for old in &known {
        if count < limits::JOB_TRACES && taken <= most && !is_over(old, w.now) {
            break;
        }
        count -= 1;
        taken -= bytes(old);
        forget(w, old)?;
    }
    Ok(())
}

/// Whether the note has been kept for as long as notes are. The next sweep takes it.
pub(crate) fn is_over(note: &Trace, now: i64) -> bool {
    note.created_at <= now - limits::JOB_TRACES_MS
}

/// The place of its end among the marks.
fn end_of(note: &Trace) -> (i64, i64, i64, i64) {
    let at = note.created_at + limits::JOB_TRACES_MS;
    (note.queue, ends::NOTE, at, note.id)
}

fn marks<S: Store>(w: &mut Work<'_, S>, queue: i64, more: i64) -> Res<(), S> {
    if let Some(row) = w.queue(queue)? {
        row.marks += more;
    }
    w.add_bytes(queue, more * MARK_BYTES)
}

/// The time of a note is over.
pub(crate) fn end<S: Store>(w: &mut Work<'_, S>, mark: &Mark) -> Res<(), S> {
    let note: Option<Trace> = w.store.get(&(mark.partition, mark.digest, mark.n))?;
    match note {
        Some(note) => forget(w, &note),
        None => {
            let key = (mark.queue, mark.kind, mark.at, mark.n);
            match w.store.delete::<Mark>(&key)? {
                true => marks(w, mark.queue, -1),
                false => Ok(()),
            }
        }
    }
}

pub(super) fn bytes(note: &Trace) -> i64 {
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
    // Those of an older version have no end among the marks.
    if w.store.delete::<Mark>(&end_of(note))? {
        marks(w, note.queue, -1)?;
    }
    w.add_other_bytes(note.queue, -bytes(note))
}
