//! The history of deliveries, page by page.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use crate::jobs::op::Answer;
use crate::jobs::rows::{Dead, Delivery};
use crate::jobs::store::{Order, Store};
use crate::jobs::work::{Res, Work};
use crate::limits::{JOB_ANSWER_BYTES, JOB_DELIVERIES_MS, JOB_DELIVERIES_PAGE};

/// In the words of the server API, of which this is a part: times are milliseconds since 1970.
pub(super) fn deliveries<S: Store>(
    w: &mut Work<'_, S>,
    queue: &str,
    before: Option<i64>,
    limit: usize,
) -> Res<Answer, S> {
    let limit = limit.min(usize::try_from(JOB_DELIVERIES_PAGE).unwrap_or(1));
    let key = w.queue_key(queue)?;
    let mut found: Vec<Delivery> = Vec::new();
    if let Some(key) = key {
        let from = (key, 0);
        let to = (key, before.unwrap_or(i64::MAX));
        let oldest = w.now - JOB_DELIVERIES_MS;
        w.store
            .each::<Delivery>(&from, &to, Order::Down, limit, &mut |row| {
                // What is older goes with the next sweep.
                if row.at < oldest {
                    return ControlFlow::Break(());
                }
                found.push(row);
                ControlFlow::Continue(())
            })?;
    }
    let mut full = found.len() >= limit;
    let mut rows = Vec::with_capacity(found.len());
    let mut read = 0;
    let mut last = None;
    for row in &found {
        let (value, bytes) = delivery_row(w, row)?;
        rows.push(value);
        read += bytes;
        last = Some(row.n);
        if read > JOB_ANSWER_BYTES {
            full = true;
            break;
        }
    }
    let next = last.filter(|n| full && *n > 1);
    Ok(Answer::Json(json!({"deliveries": rows, "next": next})))
}

/// A row, and the bytes that were read to find its dead letter.
fn delivery_row<S: Store>(w: &Work<'_, S>, row: &Delivery) -> Res<(Value, usize), S> {
    // One that was sent again or deleted is not among the dead any more.
    let letter: Option<Dead> = match row.dead {
        Some(id) => w.store.get(&(id,))?,
        None => None,
    };
    let read = letter.as_ref().map_or(0, |dead| dead.payload.len());
    let value = json!({
        "n": row.n,
        "id": row.name,
        "canvas": row.partition,
        "type": row.kind,
        "events": row.messages,
        "attempt": row.attempt,
        "at": row.at,
        "took_ms": row.took_ms,
        "status": row.status,
        "error": row.error,
        "outcome": row.outcome,
        "next_at": row.next_at,
        "dead_letter": letter.map(|dead| dead.id.to_string()),
    });
    Ok((value, read))
}
