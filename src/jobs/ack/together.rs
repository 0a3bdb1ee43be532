//! Acks of messages that were leased together and are completed together, which is what most acks are. They are read
//! and deleted as one range.

use std::ops::ControlFlow;

use super::{Touched, spot_of};
use crate::jobs::op::{AckItem, Acked, Settled, Verdict};
use crate::jobs::removal::Leaving;
use crate::jobs::rows::Message;
use crate::jobs::store::{Order, Store};
use crate::jobs::work::{Res, Work, standing};
use crate::jobs::{fifo, pop};

/// Acks as many of the first items as are the first that a lease of a partition in order still holds. Gives how many these were: none if
/// each has to be looked at by itself.
pub(super) fn together<S: Store>(
    w: &mut Work<'_, S>,
    items: &[AckItem],
    touched: &mut Touched,
    acked: &mut Vec<Acked>,
) -> Res<usize, S> {
    let Some(first) = items.first().filter(|item| item.lease.is_some()) else {
        return Ok(0);
    };
    let alike = |item: &&AckItem| {
        item.verdict == Verdict::Completed
            && item.lease == first.lease
            && item.partition_id == first.partition_id
            && item.group == first.group
    };
    let count = items.iter().take_while(alike).count();
    if count == 0 {
        return Ok(0);
    }
    let Ok(spot) = spot_of(w, &first.partition_id, &first.group)? else {
        return Ok(0);
    };
    pop::settle_one(w, spot)?;
    let fifo = w.see_queue(spot.queue)?.is_some_and(|row| row.options.fifo);
    let partition = spot.partition;
    let cursor = w.see_cursor(partition, spot.grp)?.filter(|cursor| {
        fifo && cursor.state == standing::LEASED
            && cursor.lease == first.lease
            && cursor.out > 0
            && cursor.states == 0
    });
    let Some((next, upto)) = cursor.map(|cursor| (cursor.next, cursor.upto)) else {
        return Ok(0);
    };
    let mut leaving: Vec<Leaving> = Vec::with_capacity(count);
    let mut visit = |message: Message| {
        // What is for this group alone may have another's name.
        if message.only != 0 || message.name != items[leaving.len()].name {
            return ControlFlow::Break(());
        }
        leaving.push(message.into());
        ControlFlow::Continue(())
    };
    let from = (partition, next);
    let to = (partition, upto);
    w.store
        .each::<Message>(&from, &to, Order::Up, count, &mut visit)?;
    if leaving.is_empty() {
        return Ok(0);
    }
    fifo::done_run(w, spot, &leaving)?;
    touched.0.entry(spot).or_default();
    let queue = w.see_queue(spot.queue)?.map(|row| row.name.clone());
    let partition = w.see_partition(partition)?.map(|row| row.name.clone());
    let settled = Settled {
        queue: queue.unwrap_or_default(),
        partition: partition.unwrap_or_default(),
        ..Settled::default()
    };
    let count = leaving.len();
    acked.extend(leaving.into_iter().map(|message| Acked {
        name: message.name,
        result: Ok(settled.clone()),
    }));
    Ok(count)
}
