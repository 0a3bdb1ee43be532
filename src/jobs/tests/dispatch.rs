//! Hooks whose events are pushed among the queue's rows: in memory and over Redis.

use std::sync::Arc;

use super::*;
use crate::hooks::event::EventType;
use crate::hooks::file::HookText;
use crate::hooks::hook_event::{HookEvent, Named};
use crate::hooks::{Change, Stored};
use crate::jobs::dispatch::due::Fired;
use crate::jobs::dispatch::{Dispatch, Happening, Missed, Part, Upto};

/// Plays the same over the stores that keep hooks among the queue's rows.
fn where_hooks_are_rows(play: impl Fn(&mut Q<'_>)) {
    over_memory(&play);
    over_redis(play);
}

fn hook(name: &str, events: &[&str], more: Value) -> HookText {
    let mut text = json!({"name": name, "canvases": ["*"], "events": events, "queue": "q"});
    for (field, value) in more.as_object().unwrap() {
        text[field] = value.clone();
    }
    serde_json::from_value(text).unwrap()
}

fn named() -> Named {
    Named {
        id: "board".into(),
        epoch: "e".into(),
    }
}

fn said(seq: u64) -> HookEvent {
    HookEvent {
        named: named(),
        event: EventType::ChatSent,
        seq,
        version: 0,
        client: Some("ada".to_owned()),
        user: Some("{}".to_owned()),
        data: "{}".to_owned(),
        object: None,
        missed: crate::hooks::hook_event::Missed::Nothing,
    }
}

impl Q<'_> {
    fn store_hooks(&mut self, texts: Vec<HookText>, over: bool) -> Change {
        match self.run(&Op::StoreHooks { texts, over }) {
            Answer::HooksStored(change) => change,
            other => panic!("{other:?}"),
        }
    }

    fn hooks(&mut self, version: Option<i64>) -> Arc<Stored> {
        match self.0.look(&Query::Hooks(version)) {
            Answer::Hooks(stored) => stored,
            other => panic!("{other:?}"),
        }
    }

    fn dispatch(&mut self, happening: Happening) -> u64 {
        let part = Part {
            hooks: self.hooks(None),
            what: Arc::new(happening),
        };
        let tell = Dispatch {
            canvas: "board".into(),
            from: 0,
            upto: 0,
            parts: vec![part],
        };
        match self.run(&Op::Dispatch(tell)) {
            Answer::Dispatched { dropped } => dropped,
            other => panic!("{other:?}"),
        }
    }

    fn say(&mut self, places: std::ops::RangeInclusive<u64>) -> u64 {
        self.dispatch(Happening {
            at_ms: 5,
            events: places.map(said).collect(),
            ..Happening::default()
        })
    }

    fn change(&mut self, from: u64, to: u64) {
        self.dispatch(Happening {
            changed: Some((named(), (from, to))),
            ..Happening::default()
        });
    }

    fn due(&mut self) -> bool {
        self.0.look(&Query::HooksDue) == Answer::Json(true.into())
    }

    fn fire(&mut self) -> Fired {
        match self.run(&Op::FireHooks) {
            Answer::Fired(fired) => fired,
            other => panic!("{other:?}"),
        }
    }

    /// The next events of the queue, which are done then.
    fn events(&mut self, count: usize) -> Vec<Value> {
        let popped = self.pop_with(|request| {
            request.batch = count;
            request.auto_ack = true;
        });
        let payload = |message: &Delivered| serde_json::from_str(&message.payload).unwrap();
        popped.messages.iter().map(payload).collect()
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    let kinds = events.iter().map(|event| event["type"].as_str().unwrap());
    kinds.collect()
}

#[test]
fn hooks_have_versions_and_one_that_is_off_stays_off_until_they_are_stored_anew() {
    where_hooks_are_rows(|q| {
        assert_eq!(q.hooks(None).version, 0);
        let one = vec![hook("one", &["chat.sent"], json!({}))];
        let two = vec![hook("two", &["*"], json!({}))];
        assert_eq!(q.store_hooks(one.clone(), false), Change::Stored);
        assert_eq!(q.0.take_effects().hooks, Some(1));
        assert_eq!(q.store_hooks(one.clone(), false), Change::None);
        assert_eq!(q.store_hooks(two.clone(), false), Change::OthersStay);
        assert_eq!(q.0.take_effects().hooks, None);
        assert_eq!(q.store_hooks(two, true), Change::Stored);
        assert_eq!(q.0.take_effects().hooks, Some(2));
        assert_eq!(q.hooks(None).texts[0].name, "two");
        assert_eq!(q.hooks(Some(1)).texts[0].name, "one");
        let off = Op::TurnOffHook {
            name: "two".to_owned(),
            why: "gone".to_owned(),
        };
        assert_eq!(q.run(&off), Answer::Json(true.into()));
        assert_eq!(q.run(&off), Answer::Json(false.into()));
        // None is on: nobody has to listen.
        assert_eq!(q.0.take_effects().hooks, Some(0));
        assert!(q.hooks(None).hooks.is_empty() && q.hooks(None).off.len() == 1);
        for n in 0..40 {
            let name = format!("h{n}");
            q.store_hooks(vec![hook(&name, &["*"], json!({}))], true);
        }
        assert_eq!(q.hooks(None).version, 43);
        // What is too old is told by the oldest that is kept.
        assert_eq!(q.hooks(Some(1)).version, 28);
    });
}

#[test]
fn what_has_no_room_becomes_a_gap_which_is_told_once_there_is_room() {
    where_hooks_are_rows(|q| {
        q.store_hooks(vec![hook("a", &["chat.sent"], json!({"backlog": 2}))], true);
        assert_eq!(q.say(1..=5), 3);
        assert!(!q.due(), "there is no room");
        assert_eq!(q.fire(), Fired::default());
        assert_eq!(kinds(&q.events(1)), ["chat.sent"]);
        assert!(q.due());
        assert_eq!(q.fire().count, 1);
        assert!(!q.due());
        let events = q.events(5);
        assert_eq!(kinds(&events), ["chat.sent", "canvas.gap"]);
        assert_eq!(events[1]["data"], json!({"from_seq": 3, "to_seq": 5}));
        // What comes next tells of the gap before it.
        assert_eq!(q.say(6..=8), 1);
        q.events(2);
        assert_eq!(q.say(9..=9), 0);
        assert_eq!(kinds(&q.events(5)), ["canvas.gap", "chat.sent"]);
        // A gap of a hook that is gone is nobody's.
        assert_eq!(q.say(10..=12), 1);
        q.store_hooks(Vec::new(), true);
        assert!(q.due());
        assert_eq!(q.fire().count, 1);
        assert!(!q.due());
    });
}

#[test]
fn what_there_was_no_memory_for_is_a_gap_too() {
    where_hooks_are_rows(|q| {
        q.store_hooks(vec![hook("a", &["chat.sent"], json!({}))], true);
        let gap = Some(Missed {
            named: named(),
            span: (2, 9),
            count: 8,
        });
        let missed = Happening {
            gap,
            ..Happening::default()
        };
        assert_eq!(q.dispatch(missed), 8);
        q.say(10..=10);
        let events = q.events(5);
        assert_eq!(kinds(&events), ["canvas.gap", "chat.sent"]);
        assert_eq!(events[0]["data"], json!({"from_seq": 2, "to_seq": 9}));
    });
}

#[test]
fn a_change_is_told_once_it_is_quiet_and_at_the_latest_after_a_while() {
    where_hooks_are_rows(|q| {
        let quiet = json!({"quiet": "1s", "max_wait": "3s", "backlog": 1});
        q.store_hooks(vec![hook("a", &["canvas.changed"], quiet)], true);
        q.change(1, 2);
        q.wait(999);
        assert!(!q.due());
        q.change(3, 3);
        q.wait(999);
        assert!(!q.due());
        q.wait(1);
        assert!(q.due());
        assert_eq!(q.fire().count, 1);
        assert_eq!(q.events(5)[0]["data"], json!({"from_seq": 1, "to_seq": 3}));
        for n in 4..10 {
            q.change(n, n);
            q.wait(500);
        }
        assert_eq!(q.fire().count, 1, "three seconds are over");
        // Without room it waits for that, and costs nothing.
        q.change(10, 10);
        q.wait(1_000);
        assert_eq!(q.fire().count, 0);
        assert!(!q.due());
        assert_eq!(q.events(5)[0]["data"], json!({"from_seq": 4, "to_seq": 9}));
        assert!(q.due());
        assert_eq!(q.fire().count, 1);
        assert_eq!(
            q.events(5)[0]["data"],
            json!({"from_seq": 10, "to_seq": 10})
        );
        assert!(!q.due() && q.fire() == Fired::default());
    });
}

#[test]
fn how_far_a_canvas_is_told_goes_with_its_events_and_batches_are_put_together() {
    where_hooks_are_rows(|q| {
        q.store_hooks(vec![hook("a", &["chat.sent"], json!({"batch": 2}))], true);
        q.0.take_effects();
        let part = Part {
            hooks: q.hooks(None),
            what: Arc::new(Happening {
                at_ms: 5,
                events: (1..=3).map(said).collect(),
                ..Happening::default()
            }),
        };
        let tell = Dispatch {
            canvas: "board".into(),
            from: 3,
            upto: 9,
            parts: vec![part],
        };
        q.run(&Op::Dispatch(tell));
        let upto = Upto {
            canvas: "board".into(),
            from: 3,
            upto: 9,
        };
        assert_eq!(q.0.take_effects().dispatched, [upto]);
        let events = q.events(5);
        assert_eq!(events[0]["events"].as_array().unwrap().len(), 2);
        assert_eq!(events[1]["id"], "e-3");
        assert_eq!(events[1]["at"], 5);
    });
}
