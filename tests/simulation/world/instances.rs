//! What instances do in the world: their rooms' effects, their writers, and their places in the file they share.

use std::sync::Arc;
use std::time::Duration;

use scumble::backplane::{Canvas, CanvasKey, Delivery, Entry, OpEnd, Opened, Unavailable};
use scumble::protocol::ids::{CanvasId, InstanceNumber, Position};
use scumble::protocol::server_message::snapshot_parts;
use scumble::room::inbox::Event;
use scumble::room::parts::Parts;
use scumble::room::state::{About, Effect, State};

use super::{FORGET_MS, POLL_MS, RETRY_MS, Row, World, now_ms, overloaded, settings};
use crate::link::Wire;

impl World {
    pub(super) fn event(&mut self, at: usize, event: Event<Wire>) {
        if self.instances[at].room.is_none() {
            if !matches!(event, Event::Join { .. }) {
                return;
            }
            self.open(at);
        }
        let now = self.begun + Duration::from_millis(self.now);
        let instance = &mut self.instances[at];
        let Some(room) = &mut instance.room else {
            return;
        };
        room.handle(event, now);
        let effects = room.take_effects();
        if room.is_empty() && !instance.opening {
            instance.room = None;
        }
        for effect in effects {
            self.effect(at, effect);
        }
    }

    /// A room begins where the file is now.
    pub(super) fn open(&mut self, at: usize) {
        let settings = Arc::new(settings());
        let presence = self.canvas.members();
        let head = self.canvas.head();
        let instance = &mut self.instances[at];
        instance.room = Some(State::new(settings, instance.number));
        instance.position = self.rows.len();
        instance.told = (head.seq, presence.version);
        let canvas = Canvas {
            id: CanvasId::parse("board").expect("an id"),
            key: CanvasKey(1),
        };
        let opened = Opened {
            canvas,
            head,
            presence,
        };
        self.instances[at].opening = true;
        // Read now, told later: what is committed in between is told before.
        self.at_instance(at, (0, 12), move |world| {
            world.event(at, Event::Opened(Ok(opened)));
            world.instances[at].opening = false;
        });
    }

    pub(super) fn effect(&mut self, at: usize, effect: Effect) {
        let took = (1, 30);
        let fails = self.one_in(self.weather.fails);
        let broken = || Unavailable::NotNow("not now".to_owned());
        match effect {
            Effect::Append(entry) => self.append(at, entry),
            Effect::Read(conn, after) => self.at_instance(at, took, move |world| {
                world.tick();
                let read = world.canvas.read(after, world.weather.read_bytes);
                let read = if fails { Err(broken()) } else { Ok(read) };
                world.event(at, Event::ReadDone(conn, read));
            }),
            Effect::ReadFor(conn, after, understood) => self.at_instance(at, took, move |world| {
                world.tick();
                let read = world
                    .canvas
                    .read_for(after, understood, world.weather.read_bytes);
                let read = if fails { Err(broken()) } else { Ok(read) };
                world.event(at, Event::ReadDone(Some(conn), read));
            }),
            Effect::Snapshot(_) => self.at_instance(at, took, move |world| {
                let s = world.canvas.snapshot();
                let objects: Vec<&str> = s.objects.iter().map(|object| &**object).collect();
                let parts = snapshot_parts(s.at.epoch, s.at.seq, &objects, &s.chat);
                let parts = Arc::new(Parts::new(s.at, parts));
                // Read now, told later: what is committed in between follows it.
                world.at_instance(at, (0, 30), move |world| {
                    let parts = if fails { Err(broken()) } else { Ok(parts) };
                    world.event(at, Event::SnapshotDone(parts));
                });
            }),
            Effect::Members => self.at_instance(at, took, move |world| {
                let members = if fails {
                    Err(broken())
                } else {
                    Ok(world.canvas.members())
                };
                world.event(at, Event::MembersDone(members));
            }),
            Effect::Retry(retry) => self.at_instance(at, (RETRY_MS, RETRY_MS + 1), move |world| {
                world.event(at, Event::Retry(retry));
            }),
            Effect::Forget => self.at_instance(at, (FORGET_MS, FORGET_MS + 1), move |world| {
                world.event(at, Event::Forget);
            }),
            Effect::CursorTick => self.at_instance(at, (33, 34), move |world| {
                world.event(at, Event::CursorTick);
            }),
        }
    }

    pub(super) fn append(&mut self, at: usize, entry: Entry) {
        if !matches!(entry, Entry::Durable { .. }) && self.one_in(self.weather.refusals) {
            let now = self.begun + Duration::from_millis(self.now);
            if let Some(room) = &mut self.instances[at].room {
                room.not_taken(About::of(&entry), &overloaded(), now);
                for effect in room.take_effects() {
                    self.effect(at, effect);
                }
            }
            return;
        }
        self.instances[at].waiting.push_back(entry);
        if !std::mem::replace(&mut self.instances[at].committing, true) {
            self.at_instance(at, (0, 8), move |world| world.group_commit(at));
        }
    }

    /// What waits is committed together; the own room hears at once, the others when they are woken.
    pub(super) fn group_commit(&mut self, at: usize) {
        let instance = &mut self.instances[at];
        instance.committing = false;
        let number = instance.number;
        for entry in std::mem::take(&mut instance.waiting) {
            if let Entry::Durable { author, message } = &entry {
                author.ops.ended(message.op, OpEnd::Decided);
            }
            self.commit(number, entry);
        }
        self.catch_up(at);
        self.wake_all();
    }

    pub(super) fn commit(&mut self, instance: InstanceNumber, entry: Entry) {
        if let Entry::Durable { author, message } = &entry {
            self.decide(author.client.as_str(), message.op);
        }
        let mut out = Vec::new();
        self.canvas
            .apply(instance, entry, now_ms(self.now), &mut out);
        self.write(Some(instance), out);
    }

    /// An op that comes for the first time after a later one is taken for a duplicate: it would be lost.
    fn decide(&mut self, client: &str, op: u64) {
        let decided = self.decided.entry(client.to_owned()).or_default();
        let last = decided.last().copied().unwrap_or_default();
        let fresh = decided.insert(op);
        assert!(
            !fresh || op > last,
            "{client}'s op {op} comes after {last}, and is lost"
        );
    }

    pub(super) fn tick(&mut self) {
        let mut out = Vec::new();
        self.canvas.tick(now_ms(self.now), &mut out);
        self.write(None, out);
    }

    pub(super) fn write(&mut self, instance: Option<InstanceNumber>, deliveries: Vec<Delivery>) {
        let at_ms = self.now;
        self.rows.extend(deliveries.into_iter().map(|delivery| Row {
            at_ms,
            instance,
            delivery,
        }));
    }

    /// Wakes are lost, late and doubled.
    pub(super) fn wake_all(&mut self) {
        for at in 0..self.instances.len() {
            for _ in 0..self.random.below(3) {
                self.at_instance(at, (0, 30), move |world| world.catch_up(at));
            }
        }
    }

    pub(super) fn poll(&mut self, at: usize) {
        self.at_instance(at, (POLL_MS, POLL_MS + 1), move |world| {
            world.tick();
            world.catch_up(at);
            world.poll(at);
        });
    }

    /// Tells the room what is new in the file, in order, from where it stood.
    pub(super) fn catch_up(&mut self, at: usize) {
        let mut place_lost = false;
        while self.instances[at].position < self.rows.len() {
            let instance = &mut self.instances[at];
            let row = &self.rows[instance.position];
            instance.position += 1;
            let answer = matches!(
                row.delivery,
                Delivery::Joined { .. } | Delivery::Outcome { .. }
            );
            if answer && row.instance != Some(instance.number) {
                continue;
            }
            if !answer && now_ms(self.now - row.at_ms) >= self.weather.ttl_ms {
                place_lost = true;
                continue;
            }
            let delivery = row.delivery.clone();
            match &delivery {
                Delivery::Log(batch) => instance.told.0 = batch.last_seq(),
                Delivery::Presence(event) => instance.told.1 = event.version,
                _ => {}
            }
            // A full inbox drops the log, and says so.
            let event = match delivery {
                Delivery::Log(batch) if self.one_in(self.weather.lag) => {
                    Event::Lagged(batch.epoch, batch.last_seq())
                }
                delivery => Event::Delivery(delivery),
            };
            self.event(at, event);
        }
        if place_lost {
            self.realign(at);
        }
    }

    /// Rows expired before they were told: the room is compared with the tables.
    pub(super) fn realign(&mut self, at: usize) {
        let (head, version) = (self.canvas.head(), self.canvas.members().version);
        let (seq, told) = std::mem::replace(&mut self.instances[at].told, (head.seq, version));
        if head.seq > seq {
            let Position { epoch, seq } = head;
            self.event(at, Event::Delivery(Delivery::Reset { epoch, seq }));
        }
        if version > told {
            self.event(at, Event::Delivery(Delivery::PresenceMissed { version }));
        }
    }
}
