//! Order survives refusals: which ops of a connection have to wait for an earlier one that was refused.
//!
//! The store answers "duplicate" to any op at or below the highest that it has decided. So an op must not be accepted
//! while an earlier one is still to be sent again: it would be committed, and the earlier one would be lost. The code
//! that accepts ops asks [`OpGate::offer`]. Code that learns how an op ended reports it to [`OpGate::ended`].

use std::ops::RangeInclusive;

use parking_lot::Mutex;
use rangemap::RangeInclusiveSet;

use crate::backplane::Refusal;
use crate::limits::{MAX_REFUSED_GAPS, RETRY_AFTER_MS};
use crate::protocol::server_message::ErrorCode;

/// How an op ended that did not stay where it was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpEnd {
    /// It was answered for good, and those before it: nothing waits for them any more. Who was refused because of them still
    /// has to be sent again before anything new, which would make it look like a duplicate.
    Decided,
    /// It was refused for good before it was offered: its author will not send it again, so nothing waits for it. Earlier ops
    /// may still be under way, so unlike [`Self::Decided`] this says nothing of them.
    GivenUp,
    /// It was taken, and refused for the moment with this code (`overloaded`, `rate-limited`): its author sends it again, and
    /// later ops are refused with the same code until then.
    Refused(ErrorCode),
}

/// What lets the ops of one connection through in their order. See the module's head.
#[derive(Debug, Default)]
pub struct OpGate(Mutex<Ops>);

/// How far the ops of a connection are.
#[derive(Debug, Default)]
struct Ops {
    /// Those that were refused for the moment, and neither taken nor decided since: each has to come again before any later one.
    refused: RangeInclusiveSet<u64>,
    /// What the first of them was refused with.
    code: Option<ErrorCode>,
    /// The last op that was taken, if nothing was refused since. A client sends in order: what it leaves out behind this one
    /// it has given up.
    passed: Option<u64>,
    /// The highest op that was taken and not refused since.
    taken: u64,
    /// The highest op that was answered for good.
    settled: u64,
}

impl Ops {
    /// The op that has to come first.
    fn awaited(&self) -> Option<u64> {
        self.refused.first().map(|ops| *ops.start())
    }

    /// It was refused for the moment. Nothing is held for a second copy of an op that was answered for good: its author will not
    /// send it again.
    fn hold(&mut self, op: u64, code: ErrorCode) {
        if op <= self.settled {
            return;
        }
        if self.awaited().is_none_or(|awaited| op <= awaited) {
            self.code = Some(code);
        }
        self.taken = self.taken.min(op - 1);
        self.refuse(op);
    }

    fn refuse(&mut self, op: u64) {
        self.passed = None;
        let from = match self.refused.last() {
            Some(last) if self.refused.len() > MAX_REFUSED_GAPS => op.min(*last.start()),
            _ => op,
        };
        self.refused.insert(from..=op);
    }

    /// These are waited for no more.
    fn forget(&mut self, ops: RangeInclusive<u64>) {
        if !self.refused.is_empty() {
            self.refused.remove(ops);
        }
    }

    /// Until it is refused, another copy of it that is refused holds nothing.
    fn take(&mut self, op: u64) {
        self.taken = self.taken.max(op);
        let from = self.passed.replace(op).map_or(op, |passed| op.min(passed));
        self.forget(from..=op);
    }

    fn settle(&mut self, op: u64) {
        self.settled = self.settled.max(op);
        self.forget(0..=op);
    }

    /// The code of the one that `op` has to wait for.
    fn awaits(&self, op: u64) -> Option<ErrorCode> {
        if self.passed.is_some_and(|passed| passed < op) {
            return None;
        }
        self.awaited()
            .filter(|awaited| *awaited < op)
            .and(self.code)
    }
}

impl OpGate {
    /// Offers `op` to whoever takes it: `take` says whether there is room for it, and takes it. It is not asked if a lower op
    /// waits to be sent again.
    ///
    /// Whoever calls this and [`Self::ended`] with [`OpEnd::Refused`] for the same taker has one lock around both, or is the only
    /// one who can: a later op must not be taken between an op's refusal and its end being said here.
    ///
    /// # Errors
    /// The refusal of `take`, with a retryable code: later ops wait until this one comes again. Or, with the code of the op
    /// that it waits for, that it has to be sent again after that.
    pub fn offer<T>(
        &self,
        op: u64,
        take: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut ops = self.0.lock();
        if let Some(code) = ops.awaits(op) {
            ops.refuse(op);
            return Err(Refusal {
                code,
                message: "an earlier op was refused: send that first".to_owned(),
                retry_after_ms: Some(RETRY_AFTER_MS),
            });
        }
        let taken = take();
        match &taken {
            Ok(_) => ops.take(op),
            // Nothing is held for a second copy of one that was taken: the first has an answer of its own, after which nobody
            // would send the number again.
            Err(refusal) if op > ops.taken => ops.hold(op, refusal.code),
            Err(_) => {}
        }
        taken
    }

    /// Says how `op` ended.
    pub fn ended(&self, op: u64, end: OpEnd) {
        let mut ops = self.0.lock();
        match end {
            OpEnd::Decided => ops.settle(op),
            OpEnd::GivenUp => ops.forget(op..=op),
            OpEnd::Refused(code) => ops.hold(op, code),
        }
    }

    /// Whether `op` would not be taken, since a lower one waits to be sent again.
    pub fn holds(&self, op: u64) -> bool {
        self.0.lock().awaits(op).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: OpEnd = OpEnd::Refused(ErrorCode::Overloaded);

    fn offer(gate: &OpGate, op: u64) -> Result<(), Refusal> {
        gate.offer(op, || Ok(()))
    }

    /// There was no room for it.
    fn refuse(gate: &OpGate, op: u64) {
        let full = Refusal {
            code: ErrorCode::Overloaded,
            message: "full".to_owned(),
            retry_after_ms: None,
        };
        assert_eq!(gate.offer(op, || Err::<(), _>(full.clone())), Err(full));
    }

    /// The first is refused, and the others because of it.
    fn refuse_all(gate: &OpGate, ops: RangeInclusive<u64>) {
        refuse(gate, *ops.start());
        for later in ops.skip(1) {
            assert!(offer(gate, later).is_err());
        }
    }

    fn take(gate: &OpGate, op: u64) {
        offer(gate, op).unwrap();
    }

    /// Refused here, and committed through the client's earlier connection: those that were refused after it come before new ones,
    /// and in their order. What comes now may be the middle of what was sent again when that was not known yet.
    #[test]
    fn what_was_refused_because_of_an_op_comes_first_when_that_is_settled() {
        let gate = OpGate::default();
        refuse_all(&gate, 3..=6);
        gate.ended(3, OpEnd::Decided);
        gate.ended(4, OpEnd::Decided);
        assert!(offer(&gate, 7).is_err(), "5 and 6 would be lost");
        assert!(offer(&gate, 6).is_err(), "5 would be lost");
        for op in [3, 5, 6, 7, 8] {
            take(&gate, op);
        }
    }

    #[test]
    fn a_resend_that_is_refused_holds_what_follows_it() {
        let gate = OpGate::default();
        refuse_all(&gate, 4..=7);
        gate.ended(4, OpEnd::Decided);
        gate.ended(5, OpEnd::Refused(ErrorCode::RateLimited));
        let refused = offer(&gate, 7).unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimited);
        gate.ended(6, OpEnd::Decided);
        assert!(offer(&gate, 8).is_err(), "7 was refused, too");
        take(&gate, 7);
        take(&gate, 8);
    }

    /// However many numbers are left out, what is kept is bounded, and nothing passes what was refused.
    #[test]
    fn gaps_without_end_take_no_memory_without_end() {
        let gate = OpGate::default();
        refuse(&gate, 1);
        for op in 1..10_000 {
            assert!(offer(&gate, 2 * op + 1).is_err());
        }
        assert!(gate.0.lock().refused.len() <= MAX_REFUSED_GAPS + 1);
        gate.ended(1, OpEnd::Decided);
        assert!(offer(&gate, 5).is_err(), "3 was refused");
        gate.ended(20_000, OpEnd::Decided);
        take(&gate, 20_001);
    }

    #[test]
    fn nothing_waits_when_all_that_was_refused_is_settled() {
        let gate = OpGate::default();
        refuse(&gate, 3);
        assert!(offer(&gate, 4).is_err());
        gate.ended(4, OpEnd::Decided);
        take(&gate, 5);
        // What was decided before holds nothing.
        gate.ended(4, HELD);
        take(&gate, 6);
    }

    #[test]
    fn an_op_that_is_given_up_is_not_waited_for() {
        let gate = OpGate::default();
        refuse(&gate, 3);
        assert!(gate.holds(4) && !gate.holds(3));
        gate.ended(3, OpEnd::GivenUp);
        take(&gate, 4);
    }

    /// Sent again in order, but for one that its author has taken back meanwhile.
    #[test]
    fn what_is_left_out_behind_a_resent_op_is_not_waited_for() {
        let gate = OpGate::default();
        refuse_all(&gate, 3..=6);
        take(&gate, 3);
        take(&gate, 5);
        gate.ended(5, HELD);
        assert!(offer(&gate, 6).is_err(), "5 was refused again");
        take(&gate, 5);
        take(&gate, 6);
    }
}
