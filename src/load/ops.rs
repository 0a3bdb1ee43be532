//! One client's own ops: those in flight, and those to send again after a refusal or a reconnect. Pure.

use std::collections::VecDeque;

use tungstenite::Utf8Bytes;

/// An op that has no answer yet.
#[derive(Debug)]
pub struct Op {
    /// Its number.
    pub op: u64,
    /// Microseconds of the load's clock at which it was due; `None` for what prepares the load.
    pub due_us: Option<u64>,
    text: Utf8Bytes,
    sent: u32,
    refused: u32,
}

/// Everything a client said that is not answered yet, in order.
#[derive(Debug, Default)]
pub struct Ops {
    last: u64,
    open: VecDeque<Op>,
    /// From when on, and from which op on, to say it again.
    hold: Option<(u64, u64)>,
}

impl Ops {
    /// The number that the next op gets.
    pub fn next(&self) -> u64 {
        self.last + 1
    }

    /// How many have no answer.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether all are answered.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The first that has no answer.
    pub fn first(&self) -> Option<u64> {
        self.open.front().map(|o| o.op)
    }

    /// Takes the op numbered [`Self::next`]. Returns what to send now: nothing while an earlier one waits to be said again.
    pub fn push(&mut self, text: Utf8Bytes, due_us: Option<u64>) -> Option<Utf8Bytes> {
        self.last += 1;
        let send = self.hold.is_none().then(|| text.clone());
        self.open.push_back(Op {
            op: self.last,
            due_us,
            text,
            sent: u32::from(send.is_some()),
            refused: 0,
        });
        send
    }

    /// Takes the answer to an op out; `None` if it was answered before.
    pub fn answered(&mut self, op: u64) -> Option<Op> {
        let at = self.open.iter().position(|o| o.op == op)?;
        self.open.remove(at)
    }

    /// An op was refused for now: it and all after it are to be said again at `retry_us`.
    pub fn refused(&mut self, op: u64, retry_us: u64) {
        let Some(refused) = self.open.iter_mut().find(|o| o.op == op) else {
            return;
        };
        refused.refused += 1;
        if refused.refused < refused.sent {
            // A later copy of it is on its way.
            return;
        }
        self.hold = Some(match self.hold {
            Some((at, from)) => (at, from.min(op)),
            None => (retry_us, op),
        });
    }

    /// When something is to be said again, in microseconds of the load's clock.
    pub fn again_at(&self) -> Option<u64> {
        self.hold.map(|(at, _)| at)
    }

    /// What to say again, in order, if its time has come.
    pub fn again(&mut self, now_us: u64) -> Vec<Utf8Bytes> {
        match self.hold {
            Some((at, from)) if at <= now_us => {
                self.hold = None;
                self.open
                    .iter_mut()
                    .filter(|o| o.op >= from)
                    .map(Op::say)
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// A new connection: what the server has is answered, the rest is to be said to it.
    pub fn reconnected(&mut self, acked_op: u64) -> (Vec<Op>, Vec<Utf8Bytes>) {
        self.hold = None;
        let rest = self.open.partition_point(|o| o.op <= acked_op);
        let done = self.open.drain(..rest).collect();
        let again = self.open.iter_mut().map(|o| {
            o.sent = 0;
            o.refused = 0;
            o.say()
        });
        (done, again.collect())
    }
}

impl Op {
    fn say(&mut self) -> Utf8Bytes {
        self.sent += 1;
        self.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops(n: u64) -> Ops {
        let mut ops = Ops::default();
        (1..=n).for_each(|i| assert!(ops.push(i.to_string().into(), None).is_some()));
        ops
    }

    fn again(ops: &mut Ops, now: u64) -> String {
        ops.again(now)
            .iter()
            .map(|t| t.as_str().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn after_a_refusal_everything_from_it_on_is_said_again_in_order() {
        let mut ops = ops(4);
        ops.answered(1).unwrap();
        for op in 2..=4 {
            ops.refused(op, 100);
        }
        assert!(ops.push("5".into(), None).is_none(), "held");
        assert_eq!(again(&mut ops, 99), "");
        assert_eq!(again(&mut ops, 100), "2 3 4 5");
        assert_eq!(ops.again_at(), None);
        assert!(ops.push("6".into(), None).is_some());
    }

    #[test]
    fn a_refusal_of_an_earlier_copy_is_not_a_new_one() {
        let mut ops = ops(2);
        ops.refused(1, 100);
        assert_eq!(again(&mut ops, 100), "1 2");
        // The server's refusal of the first copy of 2 comes only now.
        ops.refused(2, 200);
        assert_eq!(ops.again_at(), None);
        ops.refused(2, 300);
        assert_eq!(again(&mut ops, 300), "2");
    }

    #[test]
    fn a_reconnect_says_again_what_the_server_does_not_have() {
        let mut ops = ops(4);
        ops.refused(4, 100);
        let (done, texts) = ops.reconnected(2);
        assert_eq!(done.iter().map(|o| o.op).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(texts.len(), 2);
        assert_eq!(ops.again_at(), None);
        assert!(ops.answered(1).is_none());
        assert!(ops.answered(3).is_some() && ops.answered(4).is_some() && ops.is_empty());
    }
}
