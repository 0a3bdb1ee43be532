//! A connection in the room: how far its join is, its row in the presence table, and the state that it wants there.

use std::sync::Arc;

use crate::protocol::ids::{Epoch, Position};
use crate::room::catch_up::Place;

/// A connection in the room.
pub(super) struct Seat<L> {
    pub(super) link: Arc<L>,
    pub(super) place: Place,
    /// Asked for before the welcome; `None` afterwards.
    pub(super) joining: Option<Joining>,
    pub(super) hold: Hold,
    pub(super) wish: Wish,
}

/// What a connection said in its hello, and how far its join is.
pub(super) struct Joining {
    /// What it wants to go on from; `None` once it gets a snapshot instead.
    pub(super) since: Option<Position>,
    /// An older state that it holds, of which it understands what changed since.
    pub(super) base: Option<Position>,
    /// Known once the join is committed.
    pub(super) acked_op: Option<u64>,
}

/// How a connection stands to its client's place in the presence table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// It has asked for it.
    Asked,
    /// The table has, or had, this connection there: another that is there now came later.
    Held,
    /// It is being closed: it must not take a place again.
    Closing,
}

/// The presence state that a connection wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Wish {
    /// None but that of the table.
    #[default]
    Fulfilled,
    /// This one, and the queue has not been asked for it.
    Wanted(String),
    /// This one. An entry is under way, with it or with one before it.
    UnderWay(String),
}

impl<L> Seat<L> {
    /// One that has just come.
    pub(super) fn new(link: Arc<L>, since: Option<Position>) -> Self {
        Self {
            link,
            place: Place::waiting(),
            joining: Some(Joining {
                since,
                base: None,
                acked_op: None,
            }),
            hold: Hold::Asked,
            wish: Wish::Fulfilled,
        }
    }

    /// Whether it was welcomed.
    pub(super) fn is_in(&self) -> bool {
        self.joining.is_none()
    }

    /// The table has, or had, it in its client's place.
    pub(super) fn held(&mut self) {
        if self.hold == Hold::Asked {
            self.hold = Hold::Held;
        }
    }

    /// The `seq` of the older state that it holds while it joins, if that is of this epoch.
    pub(super) fn base_in(&self, epoch: Epoch) -> Option<u64> {
        let base = self.joining.as_ref()?.base?;
        (base.epoch == epoch).then_some(base.seq)
    }
}

impl Wish {
    /// The state, if it is not known to be the table's.
    pub(super) fn state(&self) -> Option<&str> {
        match self {
            Self::Fulfilled => None,
            Self::Wanted(state) | Self::UnderWay(state) => Some(state),
        }
    }

    /// It wants that state now.
    pub(super) fn change(&mut self, state: String) {
        *self = match self {
            Self::Fulfilled | Self::Wanted(_) => Self::Wanted(state),
            Self::UnderWay(_) => Self::UnderWay(state),
        };
    }

    /// What is to be appended, if nothing is under way. It is from here on.
    pub(super) fn send(&mut self) -> Option<String> {
        let Self::Wanted(state) = self else {
            return None;
        };
        let state = std::mem::take(state);
        *self = Self::UnderWay(state.clone());
        Some(state)
    }

    /// What was under way is not, or may be lost.
    pub(super) fn not_sent(&mut self) {
        if let Self::UnderWay(state) = self {
            *self = Self::Wanted(std::mem::take(state));
        }
    }

    /// The table has that state of this connection. Whether something was under way.
    pub(super) fn committed(&mut self, committed: Option<&str>) -> bool {
        let Self::UnderWay(state) = self else {
            return false;
        };
        *self = match committed == Some(state.as_str()) {
            true => Self::Fulfilled,
            false => Self::Wanted(std::mem::take(state)),
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_state_is_under_way_at_a_time_and_the_last_one_counts() {
        let mut wish = Wish::default();
        assert_eq!((wish.send(), wish.committed(None)), (None, false));
        wish.change("a".to_owned());
        assert_eq!(wish.send().as_deref(), Some("a"));
        wish.change("b".to_owned());
        assert_eq!((wish.send(), wish.state()), (None, Some("b")));
        assert!(wish.committed(Some("a")));
        assert_eq!(wish.send().as_deref(), Some("b"));
        wish.not_sent();
        assert_eq!(wish.send().as_deref(), Some("b"));
        assert!(wish.committed(Some("b")));
        assert_eq!(wish, Wish::Fulfilled);
    }
}
