//! The operations of the queue, and their answers.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::assets::{AssetAnswer, AssetOp};
use super::dispatch::Dispatch;
use super::dispatch::due::Fired;
use crate::hooks::file::HookText;
use crate::hooks::{Change, Stored};

/// The group of those who name none.
pub(crate) const DEFAULT_GROUP: &str = "__QUEUE_MODE__";
/// The partition of those who name none.
pub(crate) const DEFAULT_PARTITION: &str = "Default";

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// An HTTP status.
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(
        status: u16,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "bad-request", message)
    }

    pub(crate) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(404, "not-found", message)
    }

    pub(crate) fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(409, code, message)
    }

    pub(crate) fn full(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(429, "full", message)
    }
}

/// Something to be done, in one transaction.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Configure(Configure),
    DeleteQueue(String),
    Clear {
        queue: String,
        partition: Option<String>,
    },
    Push(Vec<PushItem>),
    Pop(PopRequest),
    Ack(Vec<AckItem>),
    /// Acks, and the attempt that they follow from.
    Settle(Box<Settle>),
    /// `ms`: `None` is the queue's lease time.
    Extend {
        lease: LeaseId,
        ms: Option<i64>,
    },
    /// Nobody got what was popped: it goes back as it was.
    Release(LeaseId),
    Transaction(Transaction),
    Touch(Touch),
    DeadReviewed {
        id: i64,
        reviewed: bool,
    },
    DeadReplay {
        id: i64,
    },
    Seek {
        queue: String,
        group: String,
        to: Start,
    },
    /// Of one queue, or of all.
    DeleteGroup {
        queue: Option<String>,
        group: String,
    },
    /// The group's begin in all its queues.
    Subscribe {
        group: String,
        from: i64,
    },
    Trace(TraceItem),
    Sweep(Sweep),
    /// Hooks are told of what happened on a canvas.
    Dispatch(Dispatch),
    /// Hooks are told what time brings.
    FireHooks,
    /// These are the hooks from here on, `over` others if need be.
    StoreHooks {
        texts: Vec<HookText>,
        over: bool,
    },
    /// The hook is told nothing more.
    TurnOffHook {
        name: String,
        why: String,
    },
    Assets(AssetOp),
}

impl Op {
    /// The bytes that it takes while it waits.
    pub(crate) fn size(&self) -> usize {
        let items = |items: &[PushItem]| items.iter().map(|item| item.payload.len() + 256).sum();
        let ack = |item: &AckItem| 256 + item.error.as_ref().map_or(0, String::len);
        match self {
            Self::Push(all) => items(all),
            Self::Ack(all) => all.iter().map(ack).sum(),
            Self::Trace(item) => item.data.len() + 256,
            Self::Dispatch(it) => it.size(),
            Self::Settle(settle) => settle.acks.len() * 256 + 1_024,
            Self::Transaction(transaction) => {
                let step = |step: &Step| match step {
                    Step::Push(all) => items(all),
                    Step::Ack(item) => ack(item),
                };
                transaction.steps.iter().map(step).sum()
            }
            _ => 256,
        }
    }
}

/// What becomes of one message.
#[derive(Debug, Clone)]
pub(crate) struct Touch {
    pub(crate) partition_id: String,
    pub(crate) name: String,
    /// `None`: of every group.
    pub(crate) group: Option<String>,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Pending now, whatever it waits for.
    Requeue,
    ToDead,
    Delete,
}

#[derive(Debug, Clone)]
pub(crate) struct Configure {
    pub(crate) queue: String,
    pub(crate) namespace: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) options: Map<String, Value>,
}

/// A message to be pushed.
#[derive(Debug, Clone, Default)]
pub(crate) struct PushItem {
    pub(crate) queue: String,
    /// Empty: the default.
    pub(crate) partition: String,
    /// Empty: it gets one.
    pub(crate) name: String,
    pub(crate) payload: String,
    pub(crate) trace: Option<String>,
    pub(crate) priority: Option<i64>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pushed {
    Queued(Queued),
    Duplicate(Queued),
    Failed { name: String, refusal: Refusal },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Queued {
    pub(crate) name: String,
    pub(crate) id: i64,
    pub(crate) partition: i64,
    pub(crate) partition_tag: i64,
    /// Its place among all messages that its partition ever had; `None` of a duplicate that is gone.
    pub(crate) position: Option<i64>,
    /// Messages in the queue that are not completed, this one included.
    pub(crate) depth: i64,
}

/// A lease's name.
pub(crate) type LeaseId = [u8; 16];

#[derive(Debug, Clone)]
pub(crate) struct PopRequest {
    pub(crate) from: Source,
    pub(crate) group: String,
    pub(crate) batch: usize,
    pub(crate) partitions: usize,
    pub(crate) auto_ack: bool,
    pub(crate) start: Start,
}

/// Where to pop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Queue {
        queue: String,
        partition: Option<String>,
    },
    /// Queues of this namespace and task; `None`: of any.
    Filter {
        namespace: Option<String>,
        task: Option<String>,
    },
}

/// Where a group begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Start {
    #[default]
    All,
    New,
    /// At this time.
    From(i64),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Popped {
    pub(crate) messages: Vec<Delivered>,
    pub(crate) lease: Option<LeaseId>,
    /// There is more for this group.
    pub(crate) more: bool,
    /// When something will be there, as far as is known.
    pub(crate) next_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delivered {
    pub(crate) id: i64,
    pub(crate) seq: i64,
    pub(crate) queue: String,
    pub(crate) partition: i64,
    pub(crate) partition_tag: i64,
    pub(crate) partition_name: String,
    pub(crate) name: String,
    pub(crate) trace: Option<String>,
    pub(crate) payload: String,
    pub(crate) created_at: i64,
    pub(crate) priority: i64,
    /// Deliveries before this one that did not succeed.
    pub(crate) retries: i64,
    pub(crate) error: Option<String>,
    /// When the lease ends.
    pub(crate) until: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Completed,
    Failed,
    Retry,
    Dead,
}

#[derive(Debug, Clone)]
pub(crate) struct AckItem {
    pub(crate) partition_id: String,
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) error: Option<String>,
    pub(crate) lease: Option<LeaseId>,
    pub(crate) group: String,
}

/// What follows from an attempt of the relay to deliver messages, and what is kept of it.
#[derive(Debug, Clone)]
pub(crate) struct Settle {
    pub(crate) queue: String,
    /// None for messages that come again with the first.
    pub(crate) acks: Vec<AckItem>,
    pub(crate) note: Note,
}

/// An attempt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note {
    /// When it began.
    pub(crate) at: i64,
    pub(crate) took_ms: i64,
    pub(crate) name: String,
    pub(crate) partition: String,
    pub(crate) kind: String,
    pub(crate) messages: i64,
    pub(crate) attempt: i64,
    /// Of the receiver's answer, if there was one.
    pub(crate) status: Option<i64>,
    /// Why the receiver does not have it; `None`: it has.
    pub(crate) error: Option<String>,
    /// Nothing is delivered before.
    pub(crate) pause_until: Option<i64>,
    /// Nothing more is delivered.
    pub(crate) off: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Acked {
    pub(crate) name: String,
    pub(crate) result: Result<Settled, Refusal>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Settled {
    pub(crate) queue: String,
    pub(crate) partition: String,
    pub(crate) lease_released: bool,
    pub(crate) dead: bool,
    /// When it comes again.
    pub(crate) retry_at: Option<i64>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Transaction {
    pub(crate) steps: Vec<Step>,
    pub(crate) required: Vec<LeaseId>,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Push(Vec<PushItem>),
    Ack(AckItem),
}

/// What a step of a transaction did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StepDone {
    Push(Vec<Pushed>),
    Ack(Acked),
}

#[derive(Debug, Clone)]
pub(crate) struct TraceItem {
    pub(crate) partition_id: String,
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) event: String,
    pub(crate) names: Vec<String>,
    pub(crate) data: String,
}

/// Where the last sweep stopped: a queue, and a partition's name within.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sweep {
    pub(crate) queue: i64,
    pub(crate) partition: String,
}

/// An answer to an [`Op`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Pushed(Vec<Pushed>),
    Popped(Popped),
    Acked(Vec<Acked>),
    /// Until then.
    Extended(i64),
    /// All steps, or why none.
    Transaction(Vec<StepDone>),
    Json(Value),
    /// JSON with payloads in it, as they were pushed.
    Raw(String),
    Swept {
        next: Sweep,
        busy: bool,
    },
    /// Hooks are told. So many events had no room.
    Dispatched {
        dropped: u64,
    },
    /// Hooks were told of that canvas up to this batch, by somebody else: nothing was done.
    DispatchedBefore(u64),
    Fired(Fired),
    HooksStored(Change),
    Hooks(Arc<Stored>),
    Assets(AssetAnswer),
    Refused(Refusal),
}
