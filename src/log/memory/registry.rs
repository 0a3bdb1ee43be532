//! The engine's registry of instances.

use super::super::{Heartbeat, OtherInstance, Proof, Registered, Registry, Reply};
use super::state::State;
use super::{MemoryLog, Outgoing, batch};
use crate::limits::HEARTBEAT_STALE;
use crate::protocol::ids::{CanvasId, InstanceNumber};

/// So long after the end of a grace, time is let pass where nobody looks.
const GRACE_LATE_MS: i64 = 250;
/// A lease of a dead instance.
const LEASE_MS: i64 = 10_000;
const STALE_MS: i64 = HEARTBEAT_STALE.as_secs().cast_signed() * 1_000;

impl State {
    /// Whether another instance that lives has that canvas, which is gone; `None` if this one has it itself.
    pub(super) fn missed(
        &mut self,
        id: &CanvasId,
        number: InstanceNumber,
        whole: bool,
        now_ms: i64,
    ) -> Option<bool> {
        let me = self.instances.entry(number).or_default();
        if !whole && me.canvases.contains(id.as_str()) {
            return None;
        }
        me.canvases.remove(id.as_str());
        let since_ms = now_ms - STALE_MS;
        let mut living = self.instances.values().filter(|it| it.beat >= since_ms);
        Some(living.any(|it| it.canvases.contains(id.as_str())))
    }

    /// Takes an instance out.
    pub(super) fn leave(&mut self, number: InstanceNumber, beat: Option<i64>, grace_ends_ms: i64) {
        let known = self.instances.get(&number).map(|instance| instance.beat);
        if beat.is_some() && known != beat {
            return;
        }
        let Some(gone) = self.instances.remove(&number) else {
            return;
        };
        for name in gone.canvases {
            if !self.is_held(&name) {
                self.leaving.insert(name, grace_ends_ms + GRACE_LATE_MS);
            }
        }
    }

    /// Whether an instance has it, dead or alive.
    pub(super) fn is_held(&self, name: &str) -> bool {
        let mut all = self.instances.values();
        all.any(|instance| instance.canvases.contains(name))
    }

    /// Whether an instance other than that one has it, dead or alive.
    pub(super) fn is_held_by_another(&self, name: &str, but: InstanceNumber) -> bool {
        let mut others = self.instances.iter().filter(|(number, _)| **number != but);
        others.any(|(_, instance)| instance.canvases.contains(name))
    }

    pub(super) fn lease(&mut self, dead: InstanceNumber, now_ms: i64) -> bool {
        let Some(instance) = self.instances.get_mut(&dead) else {
            return false;
        };
        let free = instance.leased_until_ms < now_ms;
        if free {
            instance.leased_until_ms = now_ms + LEASE_MS;
        }
        free
    }
}

impl Registry for MemoryLog {
    fn prove(&self, whole: bool, commits: u64) -> Reply<'_, Proof> {
        self.ask(move |world, _| {
            let now_ms = self.engine.now_ms();
            world.state.prove(self.number, whole, commits, now_ms)
        })
    }

    fn beat(&self) -> Reply<'_, Heartbeat> {
        self.ask(|world, now_ms| {
            let known = world.state.instances.contains_key(&self.number);
            let me = world.state.instances.entry(self.number).or_default();
            me.beat = now_ms;
            me.name.clone_from(&self.me.instance_id);
            let held = me.canvases.len();
            let connected = world.connected();
            let instances = world.state.instances.iter();
            let others = instances.filter(|(number, _)| **number != self.number);
            let others = others.map(|(number, instance)| OtherInstance {
                number: *number,
                beat: instance.beat,
                connected: connected.contains(number),
            });
            Heartbeat {
                now_ms: self.engine.now_ms() + world.state.skew_ms,
                skew_ms: world.state.skew_ms,
                known,
                commits: world.state.commits,
                held,
                others: others.collect(),
            }
        })
    }

    fn correct_clock(&self, before_ms: i64, now_ms: i64) -> Reply<'_, ()> {
        self.ask(move |world, _| {
            if world.state.skew_ms == before_ms {
                world.state.skew_ms = now_ms;
            }
        })
    }

    fn pass_time<'a>(&'a self, batch: &'a [u8]) -> Reply<'a, ()> {
        self.ask(move |world, now_ms| {
            let leaving = &world.state.leaving;
            let due = leaving.iter().filter(|(_, at)| **at <= now_ms);
            let due: Vec<String> = due.map(|(name, _)| name.clone()).collect();
            for name in due {
                world.state.leaving.remove(&name);
                if world.state.is_held(&name) {
                    continue;
                }
                let kept = world.state.keep(&name, now_ms, batch);
                if let Some((n, ..)) = kept
                    && let Some(canvas) = world.state.canvases.get_mut(&name)
                {
                    // Nobody is left: its last word is how many are here.
                    let mut words: Vec<String> =
                        canvas.summary.split(' ').map(str::to_owned).collect();
                    if let [first, .., last] = &mut words[..] {
                        *first = n.to_string();
                        *last = "0".to_owned();
                        canvas.summary = words.join(" ");
                    }
                }
            }
        })
    }

    fn holds<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, ()> {
        self.ask(move |world, _| {
            let me = world.state.instances.entry(self.number).or_default();
            me.canvases.extend(canvases.iter().map(CanvasId::to_string));
        })
    }

    fn holds_not<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, ()> {
        self.ask(move |world, _| {
            let me = world.state.instances.entry(self.number).or_default();
            me.canvases.remove(canvas.as_str());
        })
    }

    fn lease(&self, dead: InstanceNumber) -> Reply<'_, bool> {
        self.ask(move |world, _| world.state.lease(dead, self.engine.now_ms()))
    }

    fn canvases_of(&self, number: InstanceNumber) -> Reply<'_, Vec<String>> {
        self.ask(move |world, _| {
            let instance = world.state.instances.get(&number);
            instance.map_or_else(Vec::new, |it| it.canvases.iter().cloned().collect())
        })
    }

    fn reap<'a>(
        &'a self,
        dead: InstanceNumber,
        names: &'a [String],
        bytes: &'a [u8],
    ) -> Reply<'a, Vec<String>> {
        self.step(move |world, now_ms| {
            let mut failed = Vec::new();
            let mut outgoing = Outgoing::new();
            for name in names {
                match world.state.keep(name, now_ms, bytes) {
                    Some(kept) => {
                        outgoing.extend(world.publish(name, &batch(kept, bytes)));
                        if !world.state.is_held_by_another(name, dead) {
                            let ends = self.grace_ends_ms();
                            world.state.leaving.insert(name.clone(), ends);
                        }
                    }
                    None => failed.push(name.clone()),
                }
                if let Some(instance) = world.state.instances.get_mut(&dead) {
                    instance.canvases.remove(name);
                }
            }
            Ok((failed, outgoing))
        })
    }

    fn leave(&self, number: InstanceNumber, beat: Option<i64>) -> Reply<'_, ()> {
        self.ask(move |world, _| {
            world.state.leave(number, beat, self.grace_ends_ms());
        })
    }

    fn members(&self) -> Reply<'_, Vec<Registered>> {
        self.ask(|world, _| {
            let instances = world.state.instances.iter();
            let members = instances.map(|(number, instance)| Registered {
                number: *number,
                name: Some(instance.name.clone()),
                pid: Some(std::process::id()),
                beat: instance.beat,
            });
            members.collect()
        })
    }
}
