//! Reads: nothing here changes a row.

use std::sync::Arc;

use serde_json::{Value, json};

use super::op::{Answer, LeaseId};
use super::rows::{Delivery, Gone, Queue};
use super::store::Store;
use super::work::{Res, Work};
use super::{ack, assets, dispatch, lists, status};

/// What can be asked.
#[derive(Debug, Clone)]
pub(crate) enum Query {
    /// How many of these leases are out.
    Leases(Vec<LeaseId>),
    /// Whether a sweep would find anything.
    SweepDue,
    /// A number that grows with every commit that may concern somebody who waits.
    Version,
    /// A version of the hooks, or the one that is followed.
    Hooks(Option<i64>),
    /// Whether time brought something that hooks can be told now.
    HooksDue,
    Lists(lists::Query),
    Status(status::Query),
    Assets(assets::AssetQuery),
}

pub(crate) fn answer<S: Store>(w: &mut Work<'_, S>, query: &Query) -> Res<Answer, S> {
    Ok(match query {
        Query::Leases(leases) => {
            let mut out = 0;
            for lease in leases {
                out += usize::from(ack::is_live(w, *lease)?);
            }
            Answer::Json(json!(out))
        }
        Query::SweepDue => {
            let queue: Option<Queue> = w.store.first(&(0,), &(i64::MAX,))?;
            let gone: Option<Gone> = w.store.first(&(0,), &(i64::MAX,))?;
            let noted: Option<Delivery> = w.store.first(&(0, 0), &(i64::MAX, 0))?;
            let due = queue.is_some() || gone.is_some() || noted.is_some();
            Answer::Json(Value::Bool(due))
        }
        Query::Version => Answer::Json(json!(w.version()?)),
        Query::Hooks(version) => Answer::Hooks(Arc::new(dispatch::versions::read(w, *version)?)),
        Query::HooksDue => {
            let stored = dispatch::versions::read(w, None)?;
            Answer::Json(dispatch::due::is_due(w, &stored)?.into())
        }
        Query::Lists(query) => lists::answer(w, query)?,
        Query::Status(query) => status::answer(w, query)?,
        Query::Assets(query) => Answer::Assets(assets::answer(w, query)?),
    })
}

/// A time as the wire has it.
pub(crate) fn iso(ms: i64) -> String {
    let ms = std::time::Duration::from_millis(ms.max(0).cast_unsigned());
    // The year 9999 ends before this.
    let last = std::time::Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + ms.min(last)).to_string()
}

/// Milliseconds of a time as it may be given: with or without a time of day, a fraction, a zone.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    let text = text.trim();
    let (text, shift_ms) = match text.strip_suffix("+00:00") {
        Some(text) => (text.to_owned(), 0),
        None => zone(text).unwrap_or((text.to_owned(), 0)),
    };
    let text = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text
    };
    let time = humantime::parse_rfc3339_weak(&text).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis())
        .ok()
        .map(|ms| ms - shift_ms)
}

/// The text before a zone such as `+02:00`, and what it is ahead.
fn zone(text: &str) -> Option<(String, i64)> {
    let (before, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (before.len() > 10).then(|| (before.to_owned(), sign * (hours * 60 + minutes) * 60_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_as_iso_8601() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(i64::MAX), "9999-12-31T23:59:59.000Z");
        let noon = 1_700_000_000_123;
        assert_eq!(parse_iso(&iso(noon)), Some(noon));
        for (text, ms) in [
            ("1970-01-02", Some(86_400_000)),
            ("1970-01-01T00:00:01Z", Some(1_000)),
            ("1970-01-01T02:00:01+02:00", Some(1_000)),
            ("1970-01-01T00:00:01.5+00:00", Some(1_500)),
            ("1970-01-01 00:00:01", Some(1_000)),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_iso(text), ms, "{text}");
        }
    }
}
