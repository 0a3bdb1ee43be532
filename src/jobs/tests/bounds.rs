//! What a request costs is bounded, however small it is.

mod notes;
mod pairs;

use std::cell::Cell;
use std::ops::ControlFlow;

use super::*;
use crate::jobs::lists::{self, DeadQuery, MessagesQuery};
use crate::jobs::op::{Note, Settle};
use crate::jobs::status;
use crate::jobs::store::Order;
use crate::limits::{JOB_ANSWER_BYTES, JOB_PAYLOAD_BYTES};

fn look(q: &mut Q<'_>, query: lists::Query) -> (String, Value) {
    match q.0.look(&Query::Lists(query)) {
        Answer::Raw(text) => {
            let value = serde_json::from_str(&text).unwrap();
            (text, value)
        }
        other => panic!("{other:?}"),
    }
}

/// Messages of the largest size into `q`, a push each.
fn push_large(q: &mut Q<'_>, count: usize) {
    let payload = format!("\"{}\"", "x".repeat(JOB_PAYLOAD_BYTES - 2));
    for n in 0..count {
        let item = PushItem {
            queue: "q".to_owned(),
            name: format!("m{n}"),
            payload: payload.clone(),
            ..PushItem::default()
        };
        assert!(matches!(q.push_item(item), Pushed::Queued(_)));
    }
}

/// Follows a list from page to page. Gives the names of all that is on it, in its order.
fn all_of(q: &mut Q<'_>, ask: impl Fn(usize) -> lists::Query) -> Vec<String> {
    let (mut names, mut offset, mut pages) = (Vec::new(), 0, 0);
    loop {
        let (text, page) = look(q, ask(offset));
        assert!(text.len() < JOB_ANSWER_BYTES + 1_024, "{}", text.len());
        let rows = page["messages"].as_array().unwrap();
        names.extend(
            rows.iter()
                .map(|row| row["transactionId"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        if page["partial"].is_null() {
            assert!(page.get("next").is_none());
            assert!(pages > 1, "all on one page");
            return names;
        }
        assert_eq!(page["partial"], true);
        offset = usize::try_from(page["next"].as_u64().unwrap()).unwrap();
        assert_eq!(offset, names.len());
    }
}

const LARGE: usize = 12;

#[test]
fn a_list_of_large_messages_is_given_in_pages_that_say_so() {
    everywhere(|q| {
        push_large(q, LARGE);
        let wanted: Vec<String> = (0..LARGE).map(|n| format!("m{n}")).collect();
        for status in [None, Some("pending".to_owned())] {
            let found = all_of(q, |offset| {
                lists::Query::Messages(MessagesQuery {
                    queue: Some("q".to_owned()),
                    status: status.clone(),
                    limit: 50,
                    offset,
                    ..Default::default()
                })
            });
            assert_eq!(found, wanted);
        }
        let peek = lists::Query::Peek {
            queue: "q".to_owned(),
            partition: None,
            group: DEFAULT_GROUP.to_owned(),
            limit: 50,
        };
        let (text, peeked) = look(q, peek);
        assert!(text.len() < JOB_ANSWER_BYTES + 1_024);
        assert_eq!(peeked["messages"].as_array().unwrap().len(), 7);
        assert_eq!(
            (&peeked["partial"], &peeked["next"]),
            (&json!(true), &Value::Null)
        );

        let mut left = LARGE;
        while left > 0 {
            let popped = q.pop(LARGE);
            left -= popped.messages.len();
            q.ack_as(DEFAULT_GROUP, popped.lease, &popped.messages, Verdict::Dead);
        }
        let mut found = all_of(q, |offset| {
            lists::Query::Dead(DeadQuery {
                queue: Some("q".to_owned()),
                limit: 50,
                offset,
                ..Default::default()
            })
        });
        found.reverse();
        assert_eq!(found, wanted);
    });
}

#[test]
fn a_peek_at_a_queue_without_an_order_is_bounded_too() {
    everywhere(|q| {
        q.configure("q", json!({"fifo": false}));
        push_large(q, LARGE);
        let popped = q.pop_of("other", 1);
        assert_eq!(popped.messages.len(), 1);
        let peek = lists::Query::Peek {
            queue: "q".to_owned(),
            partition: None,
            group: "other".to_owned(),
            limit: 50,
        };
        let (text, peeked) = look(q, peek);
        assert!(text.len() < JOB_ANSWER_BYTES + 1_024, "{}", text.len());
        assert_eq!(peeked["partial"], true);
        assert_eq!(peeked["messages"][0]["transactionId"], "m1");
    });
}

#[test]
fn messages_far_into_a_partition_are_on_the_list() {
    over_both(&|q| {
        for part in 0..3 {
            let names: Vec<String> = (0..900).map(|n| format!("m{}", part * 900 + n)).collect();
            q.push(
                "q/one",
                &names.iter().map(String::as_str).collect::<Vec<_>>(),
            );
        }
        q.push("q/two", &["last"]);
        for (status, offset, first, count) in [
            (None, 2_600, "m2600", 101),
            (Some("pending"), 2_600, "m2600", 101),
            (None, 2_700, "last", 1),
        ] {
            let query = lists::Query::Messages(MessagesQuery {
                queue: Some("q".to_owned()),
                status: status.map(str::to_owned),
                limit: 200,
                offset,
                ..Default::default()
            });
            let (_, page) = look(q, query);
            assert_eq!(page["messages"][0]["transactionId"], first);
            assert_eq!(page["messages"].as_array().unwrap().len(), count);
            assert!(page["partial"].is_null());
        }
    });
}

/// Counts the rows that are read.
struct Counting<'a> {
    store: &'a mut MemoryStore,
    read: Cell<usize>,
}

impl Store for Counting<'_> {
    type Error = std::convert::Infallible;

    fn get<R: Row>(&self, key: &R::Key) -> Result<Option<R>, Self::Error> {
        self.read.set(self.read.get() + 1);
        self.store.get(key)
    }

    fn put<R: Row>(&mut self, row: &R) -> Result<(), Self::Error> {
        self.store.put(row)
    }

    fn delete<R: Row>(&mut self, key: &R::Key) -> Result<bool, Self::Error> {
        self.store.delete::<R>(key)
    }

    fn each<R: Row>(
        &self,
        from: &R::Key,
        to: &R::Key,
        order: Order,
        limit: usize,
        visit: &mut dyn FnMut(R) -> ControlFlow<()>,
    ) -> Result<(), Self::Error> {
        let mut counted = |row| {
            self.read.set(self.read.get() + 1);
            visit(row)
        };
        self.store.each(from, to, order, limit, &mut counted)
    }

    fn mark(&mut self) -> Result<(), Self::Error> {
        self.store.mark()
    }

    fn go_back(&mut self) -> Result<(), Self::Error> {
        self.store.go_back()
    }

    fn go_on(&mut self) -> Result<(), Self::Error> {
        self.store.go_on()
    }
}

/// So many messages of `q`, each with a note, an attempt, and among the dead.
fn history(q: &mut Q<'_>, count: usize) {
    for n in 0..count {
        let name = format!("m{n}");
        q.push("q", &[&name]);
        let popped = q.pop(1);
        let message = &popped.messages[0];
        notes::note(q, message, 0, 10);
        let ack = AckItem {
            partition_id: partition_id(message.partition, message.partition_tag),
            name,
            verdict: Verdict::Dead,
            error: None,
            lease: popped.lease,
            group: DEFAULT_GROUP.to_owned(),
        };
        let settle = Settle {
            queue: "q".to_owned(),
            acks: vec![ack],
            note: Note {
                at: BEGIN,
                error: Some("no".to_owned()),
                ..Default::default()
            },
        };
        q.run(&Op::Settle(Box::new(settle)));
    }
}

#[test]
fn a_page_reads_no_more_rows_the_longer_the_history_is() {
    let mut memory = Bench::new(MemoryStore::default());
    history(&mut Q(&mut memory), 900);
    let dead = |offset| {
        lists::Query::Dead(DeadQuery {
            queue: Some("q".to_owned()),
            limit: 10,
            offset,
            ..Default::default()
        })
    };
    for (query, most) in [
        (
            lists::Query::Deliveries {
                queue: "q".to_owned(),
                before: None,
                limit: 10,
            },
            24,
        ),
        (
            lists::Query::Deliveries {
                queue: "q".to_owned(),
                before: Some(500),
                limit: 1_000,
            },
            2 * 256 + 4,
        ),
        (dead(0), 40),
        (dead(100), 140),
    ] {
        let mut store = Counting {
            store: &mut memory.store,
            read: Cell::new(0),
        };
        let mut random = || [7; 16];
        let mut work = Work::new(&mut store, BEGIN, &memory.limits, &mut random);
        let answer = look::answer(&mut work, &Query::Lists(query)).unwrap();
        assert!(matches!(answer, Answer::Raw(_) | Answer::Json(_)));
        if let Answer::Raw(text) = answer {
            let page: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (&page["total"], &page["partial"]),
                (&json!(900), &Value::Null)
            );
        }
        let read = store.read.get();
        assert!(read <= most, "{read} rows, {most} are enough");
    }
}

#[test]
fn the_age_of_the_oldest_is_looked_for_in_so_many_partitions_only() {
    let mut memory = Bench::new(MemoryStore::default());
    let queue = |queue: &str, count: usize| -> Op {
        let item = |n| PushItem {
            queue: queue.to_owned(),
            partition: format!("p{n}"),
            payload: "1".to_owned(),
            ..PushItem::default()
        };
        Op::Push((0..count).map(item).collect())
    };
    for part in 0..11 {
        let Op::Push(mut items) = queue("large", 1_000) else {
            panic!()
        };
        for item in &mut items {
            item.partition = format!("{part}-{}", item.partition);
        }
        memory.run(&Op::Push(items));
    }
    memory.run(&queue("small", 10));
    memory.now += 2_000;
    let all = status::Which {
        limit: 1_000,
        ..Default::default()
    };
    let Answer::Json(all) = memory.look(&Query::Status(status::Query::Queues(all))) else {
        panic!()
    };
    let ages: Vec<&Value> = all["queues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["oldestAgeSeconds"])
        .collect();
    assert_eq!(ages, [&Value::Null, &json!(2.0)]);
}

#[test]
fn more_groups_than_an_answer_may_have_are_refused_with_what_to_ask() {
    let mut memory = Bench::new(MemoryStore::default());
    for n in 0..80 {
        memory.run(&Op::Configure(Configure {
            queue: format!("q{n}"),
            namespace: Some("all".to_owned()),
            task: None,
            options: serde_json::Map::new(),
        }));
    }
    let groups = |name: Option<&str>| {
        Query::Status(status::Query::Groups {
            name: name.map(str::to_owned),
            behind_s: 0,
        })
    };
    let pop = |memory: &mut Bench<MemoryStore>, group: usize| {
        memory.run(&Op::Pop(PopRequest {
            from: Source::Filter {
                namespace: Some("all".to_owned()),
                task: None,
            },
            group: format!("group-{group}"),
            batch: 1,
            partitions: 1,
            auto_ack: false,
            start: Start::All,
        }));
    };
    for group in 0..250 {
        pop(&mut memory, group);
    }
    let Answer::Json(all) = memory.look(&groups(None)) else {
        panic!()
    };
    assert_eq!(all.as_array().unwrap().len(), 20_000);
    pop(&mut memory, 250);
    let Answer::Refused(refusal) = memory.look(&groups(None)) else {
        panic!()
    };
    assert_eq!(refusal.status, 413);
    assert!(
        refusal.message.contains("/api/v1/consumer-groups/{group}"),
        "{refusal:?}"
    );
    let Answer::Json(one) = memory.look(&groups(Some("group-7"))) else {
        panic!()
    };
    assert_eq!(one.as_array().unwrap().len(), 80);
}
