//! The cost of a request beyond its items. Each message is told to every consumer group of its queue, and each ack asks
//! them all. So pairs of an item and a group are counted before anything is done.

use super::op::{AckItem, PushItem, Refusal, Step, Transaction};
use super::store::Store;
use super::work::{Res, Work, parse_partition_id};
use crate::limits::{JOB_ACK_PAIRS, JOB_GROUPS, JOB_PUSH_PAIRS};

/// Pairs of a request.
#[derive(Default)]
struct Pairs {
    pushed: usize,
    acked: usize,
    /// The most groups of one of its queues.
    groups: usize,
}

impl Pairs {
    fn push<S: Store>(&mut self, w: &mut Work<'_, S>, items: &[PushItem]) -> Res<(), S> {
        let mut last = None;
        let mut groups = 0;
        for item in items {
            // Most requests have one queue.
            if last != Some(&item.queue) {
                last = Some(&item.queue);
                groups = match w.queue_key(&item.queue)? {
                    Some(queue) => w.group_count(queue)?,
                    None => 0,
                };
                self.groups = self.groups.max(groups);
            }
            self.pushed += groups.max(1);
        }
        Ok(())
    }

    fn ack<S: Store>(&mut self, w: &mut Work<'_, S>, item: &AckItem) -> Res<(), S> {
        let mut groups = 0;
        if let Some((partition, _)) = parse_partition_id(&item.partition_id)
            && let Some(queue) = w.see_partition(partition)?.map(|row| row.queue)
        {
            groups = w.group_count(queue)?;
        }
        self.groups = self.groups.max(groups);
        self.acked += groups.max(1);
        Ok(())
    }

    /// Why the request is not done, if it is not.
    fn refusal(&self, (pushes, acks): (&str, &str)) -> Option<Refusal> {
        let groups = self.groups;
        let (field, what, pairs, most) = if self.pushed > JOB_PUSH_PAIRS {
            (pushes, "messages", self.pushed, JOB_PUSH_PAIRS)
        } else if self.acked > JOB_ACK_PAIRS {
            (acks, "acks", self.acked, JOB_ACK_PAIRS)
        } else {
            return None;
        };
        let message = format!(
            "{field}: its {what} times the consumer groups of their queues (up to {groups}) are {pairs}, and a request has at most {most} \
             of such pairs: send it in parts"
        );
        Some(Refusal::new(413, "too-large", message))
    }
}

/// Whether so few items are within the bound however many groups there are.
fn few(items: usize, most: usize) -> bool {
    items <= most / JOB_GROUPS
}

pub(crate) fn of_push<S: Store>(
    w: &mut Work<'_, S>,
    items: &[PushItem],
) -> Res<Option<Refusal>, S> {
    let mut pairs = Pairs::default();
    if !few(items.len(), JOB_PUSH_PAIRS) {
        pairs.push(w, items)?;
    }
    Ok(pairs.refusal(("items", "acknowledgments")))
}

pub(crate) fn of_acks<S: Store>(w: &mut Work<'_, S>, items: &[AckItem]) -> Res<Option<Refusal>, S> {
    let mut pairs = Pairs::default();
    if !few(items.len(), JOB_ACK_PAIRS) {
        for item in items {
            pairs.ack(w, item)?;
        }
    }
    Ok(pairs.refusal(("items", "acknowledgments")))
}

pub(crate) fn of_transaction<S: Store>(
    w: &mut Work<'_, S>,
    transaction: &Transaction,
) -> Res<Option<Refusal>, S> {
    let mut pairs = Pairs::default();
    for step in &transaction.steps {
        match step {
            Step::Push(items) => pairs.push(w, items)?,
            Step::Ack(item) => pairs.ack(w, item)?,
        }
    }
    Ok(pairs.refusal(("operations", "operations")))
}
