//! Traces, by message and by name.

use std::ops::{ControlFlow, RangeInclusive};

use serde_json::{Value, json};

use super::page::Page;
use super::with_data;
use crate::jobs::finish::no_message;
use crate::jobs::look::iso;
use crate::jobs::op::Answer;
use crate::jobs::rows::{Trace, TraceName};
use crate::jobs::store::{Order, Store};
use crate::jobs::traces;
use crate::jobs::work::{Res, Work, digest, parse_partition_id};
use crate::limits;

/// Notes of a name that are counted, at most: `total` says no more.
const COUNTED: usize = 10_000;

fn trace_row(note: &Trace) -> String {
    let names: Value = serde_json::from_str(&note.names).unwrap_or_default();
    let object = json!({
        "id": note.id.to_string(),
        "transaction_id": note.message,
        "event_type": note.event,
        "consumer_group": note.grp,
        "created_at": iso(note.created_at),
        "trace_names": names,
    });
    with_data(&object, &note.data)
}

pub(super) fn of_message<S: Store>(w: &mut Work<'_, S>, id: &str, name: &str) -> Res<Answer, S> {
    let Some((partition, _)) = parse_partition_id(id) else {
        return Ok(Answer::Refused(no_message(name)));
    };
    let digest = digest(name);
    let from = (partition, digest, 0);
    let to = (partition, digest, i64::MAX);
    let notes = w.store.scan::<Trace>(&from, &to, limits::JOB_TRACES)?;
    let mut page = Page::new(limits::JOB_TRACES, None);
    for note in notes.iter().filter(|note| !traces::is_over(note, w.now)) {
        page.add(trace_row(note));
    }
    Ok(page.answer("traces", json!({})))
}

pub(super) fn named<S: Store>(
    w: &mut Work<'_, S>,
    name: &str,
    span: &RangeInclusive<i64>,
    (offset, limit): (usize, usize),
) -> Res<Answer, S> {
    let mut page = Page::new(limit, Some(offset));
    let from = (name.to_owned(), 0);
    let to = (name.to_owned(), i64::MAX);
    // When a note was written is in the note: then each has to be read to be counted.
    let every = *span != (i64::MIN..=i64::MAX);
    let mut total = 0;
    let mut wanted = Vec::new();
    let most = COUNTED.max(offset + limit).min(limits::JOB_LOOK_ROWS);
    w.store
        .each::<TraceName>(&from, &to, Order::Down, most, &mut |row| {
            if every || (offset..offset + limit).contains(&total) {
                wanted.push((row.partition, row.digest, row.id));
            }
            total += 1;
            ControlFlow::Continue(())
        })?;
    let mut found = 0;
    for key in wanted {
        let note: Option<Trace> = w.store.get(&key)?;
        let there = |note: &Trace| !traces::is_over(note, w.now) && span.contains(&note.created_at);
        let Some(note) = note.filter(there) else {
            continue;
        };
        found += 1;
        if every && found <= offset {
            continue;
        }
        if every && !page.has_room() {
            continue;
        }
        if !page.reads(note.data.len()) || !page.has_room() {
            break;
        }
        page.add(trace_row(&note));
    }
    if every {
        total = found;
    }
    let rest = json!({"total": total, "pagination": {"limit": limit, "offset": offset}});
    Ok(page.answer("traces", rest))
}

pub(super) fn names<S: Store>(
    w: &mut Work<'_, S>,
    search: Option<&str>,
    limit: usize,
) -> Res<Answer, S> {
    let mut page = Page::new(limit, None);
    let mut count = 0;
    let mut from = (String::new(), i64::MIN);
    // From name to name: each is a search.
    while page.has_room() {
        let to = ("\u{10ffff}".to_owned(), 0);
        let Some(first) = w.store.first::<TraceName>(&from, &to)? else {
            break;
        };
        let next = (first.name.clone(), i64::MAX);
        let range = ((first.name.clone(), i64::MIN), next.clone());
        let counted = w
            .store
            .scan::<TraceName>(&range.0, &range.1, COUNTED)?
            .len();
        if !page.looks(counted) {
            break;
        }
        if search.is_none_or(|part| first.name.contains(part)) {
            page.add(json!({"trace_name": first.name, "trace_count": counted}).to_string());
            count += 1;
        }
        from = next;
    }
    Ok(page.answer("trace_names", json!({"total": count})))
}
