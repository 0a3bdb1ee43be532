//! `batch`: several durable messages that are committed as one, or not at all.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::Body;
use super::envelope::{Envelope, NOT_IN_A_BATCH, Parsed, bad, parse_one, refused};
use super::{Change, ClientMessage, Durable, Kind, MAX_BATCH_OPS, Refused};
use crate::protocol::server_message::ErrorCode;

/// What stands in front of each message: its op, for the answers.
#[derive(Deserialize)]
struct OnlyOp {
    op: u64,
}

/// Reads a batch. Its own `op` is that of its last message.
pub(super) fn read(m: &Envelope<'_>, bytes: usize, max_depth: usize) -> Parsed<Durable> {
    let raws: Option<Vec<&RawValue>> = m.ops.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let Some(raws) = raws.filter(|raws| (1..=MAX_BATCH_OPS).contains(&raws.len())) else {
        return bad(format!(
            "ops must be an array of 1 to {MAX_BATCH_OPS} messages"
        ));
    };
    let only_op = |raw: &&RawValue| serde_json::from_str(raw.get()).ok().map(|OnlyOp { op }| op);
    let named: Vec<u64> = raws.iter().filter_map(only_op).collect();
    let mut ops = Vec::with_capacity(raws.len());
    for (at, raw) in raws.iter().enumerate() {
        match one(raw, max_depth, ops.last()) {
            Ok(message) => ops.push(message),
            Err(wrong) => {
                let mut others = named;
                others.retain(|op| Some(*op) != wrong.op);
                return Err(Refused {
                    message: format!("ops[{at}]: {}", wrong.message),
                    others,
                    ..wrong
                });
            }
        }
    }
    Ok(Durable::batch(ops, bytes))
}

fn one(raw: &RawValue, max_depth: usize, before: Option<&Durable>) -> Parsed<Durable> {
    let ClientMessage::Durable(message) = parse_one(raw.get(), max_depth, true)? else {
        return bad(NOT_IN_A_BATCH);
    };
    match before {
        Some(before) if before.op >= message.op => refused(
            ErrorCode::BadOp,
            format!(
                "op {} is not above {}: numbers increase",
                message.op, before.op
            ),
        )
        .map_err(|wrong: Refused| Refused {
            op: Some(message.op),
            ..wrong
        }),
        _ => Ok(message),
    }
}

impl Durable {
    /// These messages as one, of about so many bytes. There is at least one.
    pub(super) fn batch(ops: Vec<Self>, bytes: usize) -> Self {
        let op = ops.last().map_or(0, |last| last.op);
        let mut list = String::with_capacity(bytes + 32 * ops.len());
        for one in &ops {
            list.push(if list.is_empty() { '[' } else { ',' });
            list.push_str("{\"type\":\"");
            list.push_str(one.kind.as_str());
            list.push_str("\",");
            list.push_str(one.body.strip_prefix('{').unwrap_or_default());
        }
        list.push(']');
        let mut body = Body::new(op, list.len());
        body.field("ops", &list);
        Self {
            kind: Kind::Batch,
            op,
            body: body.finish(),
            change: Change::Batch(ops),
        }
    }

    /// The numbers that are answered, in order: its own, or those of its messages.
    pub fn ops(&self) -> impl ExactSizeIterator<Item = u64> + Clone {
        let ops = match &self.change {
            Change::Batch(ops) => &ops[..],
            _ => std::slice::from_ref(self),
        };
        ops.iter().map(|message| message.op)
    }
}
