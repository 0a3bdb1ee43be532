//! The words of refusals: one text for each reason, on every backplane.

use crate::backplane::Refusal;
use crate::limits::ONE_BATCH_WORK;
use crate::protocol::server_message::ErrorCode;

/// For good.
fn refusal(code: ErrorCode, message: &str) -> Refusal {
    Refusal {
        code,
        message: message.to_owned(),
        retry_after_ms: None,
    }
}

/// Somebody else was first to use the client's name.
pub(super) fn not_yours() -> Refusal {
    let message = "this client id belongs to somebody else: use a new one";
    refusal(ErrorCode::Forbidden, message)
}

/// One message of a batch can't be done: which, by place and number, and why.
pub(super) fn of_batch(at: usize, op: u64, why: &Refusal) -> Refusal {
    Refusal {
        message: format!("ops[{at}] (op {op}): {}", why.message),
        ..why.clone()
    }
}

/// A batch is one step, and everybody waits for it.
pub(super) fn too_much() -> Refusal {
    let mib = (ONE_BATCH_WORK / 3) >> 20;
    let message = format!(
        "a batch may change objects of {mib} MiB in all, or delete three times as many: send it in parts"
    );
    refusal(ErrorCode::TooLarge, &message)
}

/// The others of that batch.
pub(super) fn with_batch(at: usize, op: u64, code: ErrorCode) -> Refusal {
    refusal(
        code,
        &format!("nothing of the batch was done: ops[{at}] (op {op}) was refused"),
    )
}

/// Some of its numbers were used before, and others not.
pub(super) fn other_batch(last_op: u64) -> Refusal {
    let message = format!(
        "ops up to {last_op} were decided before, and later ones were not: a batch is sent again as it was"
    );
    refusal(ErrorCode::BadOp, &message)
}

/// An edit meets something else than it needs.
pub(super) fn no_edit(message: String) -> Refusal {
    refusal(ErrorCode::BadMessage, &message)
}

/// A compaction covers what its author knows, and nobody knows what comes.
pub(super) fn not_yet(upto: u64, head: u64) -> Refusal {
    let message = format!("upto must be at most {head}, the canvas's seq, not {upto}");
    refusal(ErrorCode::BadMessage, &message)
}
