//! From rows to rooms: the tail, in which there is one order; the wakes of other processes; the thread that reads what
//! they wrote; and what goes back to authors.

pub(in crate::sqlite) mod carried;
pub(in crate::sqlite) mod halt;
pub(in crate::sqlite) mod poller;
pub(in crate::sqlite) mod refusals;
pub(in crate::sqlite) mod rows;
pub(in crate::sqlite) mod stats;
pub(in crate::sqlite) mod tail;
pub(in crate::sqlite) mod wake;
