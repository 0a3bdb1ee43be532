//! Messages with their state, page by page.

use std::ops::ControlFlow;

use serde_json::json;

use super::page::Page;
use super::{DeadQuery, MessagesQuery, dead, describe, standing_of, with_data};
use crate::jobs::op::Answer;
use crate::jobs::rows::Message;
use crate::jobs::store::{Order, Store};
use crate::jobs::work::{Res, Work};

/// Messages that are read at once, and the bytes of their payloads after which no more are.
const CHUNK: (usize, usize) = (256, 1024 * 1024);
/// Names of partitions that are read at once.
const NAMES: usize = 256;

pub(super) fn messages<S: Store>(w: &mut Work<'_, S>, query: &MessagesQuery) -> Res<Answer, S> {
    let status = query.status.as_deref();
    if status.is_some_and(|status| matches!(status, "failed" | "dead_letter" | "dlq")) {
        let dead_query = DeadQuery {
            queue: query.queue.clone(),
            partition: query.partition.clone(),
            namespace: query.namespace.clone(),
            task: query.task.clone(),
            limit: query.limit,
            offset: query.offset,
            ..DeadQuery::default()
        };
        return dead(w, &dead_query);
    }
    let mut list = List {
        query,
        page: Page::new(query.limit, Some(query.offset)),
        skip: query.offset,
    };
    let filter = (query.namespace.as_ref(), query.task.as_ref());
    for (name, queue) in super::super::manage::queues(w)? {
        let fits = query.queue.as_ref().is_none_or(|wanted| *wanted == name);
        if fits && is_of(w, queue, filter)? && !list.of_queue(w, queue)? {
            break;
        }
    }
    let rest = json!({"limit": query.limit, "offset": query.offset});
    Ok(list.page.answer("messages", rest))
}

/// Whether the queue has the namespace and the task that are asked for.
pub(super) fn is_of<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    (namespace, task): (Option<&String>, Option<&String>),
) -> Res<bool, S> {
    let of = |wanted: Option<&String>, it: &String| wanted.is_none_or(|text| text == it);
    let row = w.see_queue(queue)?;
    Ok(row.is_some_and(|row| of(namespace, &row.namespace) && of(task, &row.task)))
}

/// The page as it fills. Each of its functions says whether it goes on.
struct List<'q> {
    query: &'q MessagesQuery,
    page: Page,
    /// Messages before the page.
    skip: usize,
}

impl List<'_> {
    fn of_queue<S: Store>(&mut self, w: &mut Work<'_, S>, queue: i64) -> Res<bool, S> {
        if let Some(name) = &self.query.partition {
            return match w.partition_key(queue, name)? {
                Some(partition) => self.of_partition(w, queue, partition),
                None => Ok(true),
            };
        }
        let mut after = String::new();
        loop {
            let names = w.partitions_of(queue, &after, NAMES)?;
            let Some(last) = names.last() else {
                return Ok(true);
            };
            after.clone_from(&last.name);
            for name in names {
                if !self.page.looks(0) || !self.of_partition(w, queue, name.key)? {
                    return Ok(false);
                }
            }
        }
    }

    fn of_partition<S: Store>(
        &mut self,
        w: &mut Work<'_, S>,
        queue: i64,
        partition: i64,
    ) -> Res<bool, S> {
        if self.passes(w, partition)? {
            return Ok(true);
        }
        let mut from = 0;
        loop {
            let chunk = chunk(w, partition, from)?;
            let Some(last) = chunk.last() else {
                return Ok(true);
            };
            from = last.seq + 1;
            for message in chunk {
                if !self.page.looks(0) || !self.page.reads(message.payload.len()) {
                    return Ok(false);
                }
                if !self.take(w, queue, &message)? {
                    return Ok(false);
                }
            }
        }
    }

    /// Whether all of the partition is before the page: then nothing of it has to be read.
    fn passes<S: Store>(&mut self, w: &mut Work<'_, S>, partition: i64) -> Res<bool, S> {
        let all = w.see_partition(partition)?.map_or(0, |row| row.messages);
        let all = usize::try_from(all).unwrap_or(0);
        let passes = self.query.status.is_none() && self.skip >= all;
        if passes {
            self.skip -= all;
        }
        Ok(passes)
    }

    fn take<S: Store>(
        &mut self,
        w: &mut Work<'_, S>,
        queue: i64,
        message: &Message,
    ) -> Res<bool, S> {
        let wanted = self.query.status.as_ref();
        if wanted.is_none() && self.skip > 0 {
            self.skip -= 1;
            return Ok(true);
        }
        // Each group is asked what the message is to it.
        if !self.page.looks(w.group_count(queue)?) {
            return Ok(false);
        }
        let stands = standing_of(w, queue, message)?;
        if wanted.is_some_and(|status| stands["status"] != **status) {
            return Ok(true);
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(true);
        }
        let mut row = describe(w, message)?;
        row["status"] = stands["status"].clone();
        row["consumerGroups"] = stands["consumerGroups"].clone();
        self.page.add(with_data(&row, &message.payload));
        Ok(self.page.has_room())
    }
}

/// The next messages of a partition from that place on.
fn chunk<S: Store>(w: &Work<'_, S>, partition: i64, from: i64) -> Res<Vec<Message>, S> {
    let from = (partition, from);
    let to = (partition + 1, 0);
    let (most, most_bytes) = CHUNK;
    let mut found = Vec::new();
    let mut bytes = 0;
    w.store
        .each::<Message>(&from, &to, Order::Up, most, &mut |message| {
            bytes += message.payload.len();
            found.push(message);
            match bytes < most_bytes {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
    Ok(found)
}
