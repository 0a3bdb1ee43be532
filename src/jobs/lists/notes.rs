//! Traces, by message and by name.

use serde_json::{Value, json};

use super::MOST_ROWS;
use crate::jobs::finish::no_message;
use crate::jobs::look::iso;
use crate::jobs::op::Answer;
use crate::jobs::rows::{Trace, TraceName};
use crate::jobs::store::Store;
use crate::jobs::work::{Res, Work, digest, parse_partition_id};
use crate::limits;

fn trace_row(note: &Trace) -> Value {
    let names: Value = serde_json::from_str(&note.names).unwrap_or_default();
    let data: Value = serde_json::from_str(&note.data).unwrap_or_default();
    json!({
        "id": note.id.to_string(),
        "transaction_id": note.message,
        "event_type": note.event,
        "data": data,
        "consumer_group": note.grp,
        "created_at": iso(note.created_at),
        "trace_names": names,
    })
}

pub(super) fn traces<S: Store>(w: &mut Work<'_, S>, id: &str, name: &str) -> Res<Answer, S> {
    let Some((partition, _)) = parse_partition_id(id) else {
        return Ok(Answer::Refused(no_message(name)));
    };
    let digest = digest(name);
    let (from, to) = ((partition, digest, 0), (partition, digest, i64::MAX));
    let notes = w.store.scan::<Trace>(&from, &to, limits::JOB_TRACES)?;
    let rows: Vec<Value> = notes.iter().map(trace_row).collect();
    Ok(Answer::Json(json!({"traces": rows})))
}

pub(super) fn traces_named<S: Store>(
    w: &mut Work<'_, S>,
    name: &str,
    limit: usize,
    offset: usize,
) -> Res<Answer, S> {
    let (from, to) = ((name.to_owned(), 0), (name.to_owned(), i64::MAX));
    let all = w.store.scan::<TraceName>(&from, &to, MOST_ROWS)?;
    let mut rows = Vec::new();
    for row in all.iter().rev().skip(offset).take(limit) {
        let note: Option<Trace> = w.store.get(&(row.partition, row.digest, row.id))?;
        rows.extend(note.as_ref().map(trace_row));
    }
    Ok(Answer::Json(json!({
        "traces": rows, "total": all.len(), "pagination": {"limit": limit, "offset": offset},
    })))
}

pub(super) fn trace_names<S: Store>(w: &mut Work<'_, S>, limit: usize) -> Res<Answer, S> {
    let (mut names, mut from) = (Vec::new(), (String::new(), i64::MIN));
    // From name to name: each is a search.
    while names.len() < limit {
        let to = ("\u{10ffff}".to_owned(), 0);
        let Some(first) = w.store.first::<TraceName>(&from, &to)? else {
            break;
        };
        let next = (first.name.clone(), i64::MAX);
        let range = ((first.name.clone(), i64::MIN), next.clone());
        let count = w
            .store
            .scan::<TraceName>(&range.0, &range.1, MOST_ROWS)?
            .len();
        names.push(json!({"trace_name": first.name, "trace_count": count}));
        from = next;
    }
    Ok(Answer::Json(
        json!({"trace_names": names, "total": names.len()}),
    ))
}
