//! The state of an engine. Each method is one step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::{
    CanvasHead, ConnectError, Introduction, Left, LogEnd, LoggedBatch, MessageChunk, Opening,
    Parting, Place, Proof, StoredSnapshot, Why, differing,
};
use super::bounded;
use super::counting::Takes;
use crate::limits::CLIENT_MEMORY;
use crate::protocol::ids::{CanvasId, InstanceNumber};

/// How long an instance of the era before is waited for that has not said whether what it knows is there.
const PROOF_MS: i64 = 300;
/// No time of a batch is further from its author's clock than this.
const CLOCK_SLACK_MS: i64 = 1_000;

/// A canvas with nothing on it is remembered for so long: as its clients are.
const MEMORY_MS: i64 = CLIENT_MEMORY.as_secs().cast_signed() * 1_000;

/// All of it. A replica has the same.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) era: Arc<str>,
    /// The era since which nothing was lost.
    base: Arc<str>,
    run: u64,
    since_ms: i64,
    proof: Option<Proof>,
    awaited: BTreeSet<InstanceNumber>,
    rules: String,
    last_instance: u32,
    pub(super) commits: u64,
    pub(super) skew_ms: i64,
    pub(super) instances: BTreeMap<InstanceNumber, Instance>,
    /// Canvases that nobody has and somebody is away on, by when the grace ends.
    pub(super) leaving: BTreeMap<String, i64>,
    pub(super) canvases: BTreeMap<String, Canvas>,
    pub(super) tables: Tables,
    /// The version of the hooks; 0: none.
    pub(super) hooks: u64,
    /// Canvases of which hooks may not have been told everything.
    pub(super) undispatched: BTreeSet<String>,
    pub(super) samples: Samples,
}

/// What the instances said about themselves.
#[derive(Clone, Default)]
pub(super) struct Samples {
    /// When, and how each is, by its name.
    pub(super) now: BTreeMap<String, (i64, String)>,
    /// By series: when, whose, and what.
    pub(super) spans: BTreeMap<i64, BTreeSet<(i64, InstanceNumber, String)>>,
}

/// The rows of the work queue.
#[derive(Clone, Default)]
pub(super) struct Tables {
    pub(super) rows: BTreeMap<Place, Vec<u8>>,
    /// The last commit, and when it was.
    pub(super) commit: String,
    pub(super) at_ms: i64,
    /// Which instance commits next, and until when.
    pub(super) owner: Option<(InstanceNumber, i64)>,
}

#[derive(Clone, Default)]
pub(super) struct Instance {
    pub(super) beat: i64,
    pub(super) name: String,
    token: String,
    pub(super) canvases: BTreeSet<String>,
    pub(super) leased_until_ms: i64,
}

#[derive(Clone, Default)]
pub(super) struct Canvas {
    pub(super) n: u64,
    at_ms: i64,
    pub(super) chain: String,
    base: Arc<str>,
    epoch: String,
    replaced: Option<String>,
    pub(super) batches: BTreeMap<u64, LoggedBatch>,
    saved: u64,
    snapshot: String,
    parts: usize,
    whole: Vec<u8>,
    rules: String,
    stored: BTreeMap<String, BTreeMap<usize, Vec<u8>>>,
    messages_end: String,
    messages: BTreeMap<u64, Vec<u8>>,
    pub(super) summary: String,
    pub(super) dispatched: u64,
    pub(super) takes: Takes,
}

/// A batch's number, its time, and its hooks.
pub(super) type Kept = (u64, i64, u64);

impl Canvas {
    /// Where it is; of the instances nothing is known here.
    fn head(&self) -> CanvasHead {
        CanvasHead {
            n: self.n,
            chain: self.chain.clone(),
            epoch: self.epoch.clone(),
            saved: self.saved,
            parts: self.parts,
            snapshot: self.snapshot.clone(),
            whole: self.whole.clone(),
            rules: self.rules.clone(),
            messages_end: self.messages_end.clone(),
            dispatched: self.dispatched,
            instances: Vec::new(),
            charged: self.takes.charged().0,
            grown: self.takes.charged().1,
            used_at_ms: self.takes.used_at_ms,
        }
    }

    /// Where its log ends.
    pub(super) fn end(&self) -> LogEnd {
        LogEnd {
            n: Some(self.n),
            chain: Some(self.chain.clone()),
            epoch: Some(self.epoch.clone()).filter(|epoch| !epoch.is_empty()),
            replaced: self.replaced.clone(),
        }
    }

    /// The epoch that it began with.
    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// When its log is empty, if nobody has it.
    pub(super) fn log_ends_ms(&self, ttl_ms: i64) -> i64 {
        let known = self.takes.log_ends_ms;
        known.unwrap_or_else(|| self.at_ms.saturating_add(ttl_ms))
    }

    fn keep(&mut self, now_ms: i64, hooks: u64, bytes: &[u8]) -> Kept {
        self.n += 1;
        self.at_ms = self.at_ms.max(now_ms);
        let batch = LoggedBatch {
            n: self.n,
            at_ms: self.at_ms,
            hooks,
            bytes: bytes.to_vec(),
        };
        self.chain = batch.chained(&self.chain);
        self.batches.insert(self.n, batch);
        (self.n, self.at_ms, hooks)
    }

    pub(super) fn part(&self, snapshot: &str, which: usize) -> Option<Vec<u8>> {
        self.stored.get(snapshot)?.get(&which).cloned()
    }

    pub(super) fn put_part(&mut self, snapshot: &str, which: usize, bytes: &[u8]) {
        let parts = self.stored.entry(snapshot.to_owned()).or_default();
        parts.insert(which, bytes.to_vec());
    }

    /// Gives whether it is in force now.
    pub(super) fn save(
        &mut self,
        snapshot: &StoredSnapshot,
        summary: &str,
        rules: &str,
        all: bool,
    ) -> bool {
        let before = self.saved;
        let older = before > snapshot.n;
        if older || (before == snapshot.n && self.rules == rules && snapshot.n > 0) {
            self.stored.remove(&snapshot.name);
        } else {
            // Somebody may be reading the one before.
            let old = std::mem::replace(&mut self.snapshot, snapshot.name.clone());
            self.stored
                .retain(|name, _| *name == old || *name == snapshot.name);
            self.saved = snapshot.n;
            self.parts = snapshot.parts;
            self.whole.clone_from(&snapshot.whole);
            rules.clone_into(&mut self.rules);
            summary.clone_into(&mut self.summary);
        }
        // An instance that was cut off for a moment still finds the batches since the snapshot before.
        let upto = match all {
            true => before.max(snapshot.n),
            false if snapshot.n > before => before,
            false => 0,
        };
        self.batches.retain(|n, _| *n > upto);
        !older
    }

    pub(super) fn messages_after(&self, seq: u64, max_bytes: usize) -> Vec<(u64, Vec<u8>)> {
        let after = self.messages.range(seq + 1..);
        let sized = after.map(|(seq, chunk)| (chunk.len(), (*seq, chunk.clone())));
        bounded(sized, max_bytes)
    }

    pub(super) fn put_messages(&mut self, chunk: &MessageChunk) -> String {
        if self.messages_end != chunk.after {
            return self.messages_end.clone();
        }
        if !self.messages_end.starts_with(&chunk.epoch.to_string()) {
            self.messages.clear();
        }
        self.messages.retain(|seq, _| *seq >= chunk.first_seq);
        self.messages.insert(chunk.last_seq, chunk.bytes.clone());
        self.messages_end = chunk.end();
        chunk.end()
    }

    pub(super) fn batches_after(&self, n: u64, max_bytes: usize) -> Vec<LoggedBatch> {
        let after = self.batches.range(n + 1..);
        bounded(after.map(|(_, it)| (it.bytes.len(), it.clone())), max_bytes)
    }
}

impl State {
    /// Gives the instance's number.
    pub(super) fn enter(
        &mut self,
        me: &Introduction,
        number: Option<InstanceNumber>,
        run: u64,
        connected: &BTreeSet<InstanceNumber>,
        now_ms: i64,
    ) -> Result<InstanceNumber, ConnectError> {
        if self.rules != me.relay_rules {
            let lives =
                |other: &InstanceNumber| Some(*other) != number && connected.contains(other);
            if !self.rules.is_empty() && self.instances.keys().any(lives) {
                let (theirs, ours) = differing(&self.rules, &me.relay_rules);
                return Err(ConnectError::ForGood(format!(
                    "other instances run with {theirs}, this one with {ours}"
                )));
            }
            self.rules.clone_from(&me.relay_rules);
        }
        if self.run != run {
            let first = self.run == 0;
            self.run = run;
            self.era = format!("{run}-{}", uuid::Uuid::new_v4().simple()).into();
            if first {
                self.base = self.era.clone();
            }
            self.since_ms = now_ms;
            self.proof = None;
            self.awaited = self.instances.keys().copied().collect();
        }
        let number = number.unwrap_or(InstanceNumber(self.last_instance + 1));
        self.last_instance = self.last_instance.max(number.0);
        let instance = self.instances.entry(number).or_default();
        if !instance.token.is_empty() && instance.token != me.token {
            let taken = "another process was given this one's number";
            return Err(ConnectError::ForGood(taken.to_owned()));
        }
        instance.beat = now_ms + self.skew_ms;
        instance.leased_until_ms = 0;
        instance.token.clone_from(&me.token);
        instance.name.clone_from(&me.instance_id);
        Ok(number)
    }

    pub(super) fn prove(
        &mut self,
        number: InstanceNumber,
        whole: bool,
        commits: u64,
        now_ms: i64,
    ) -> Proof {
        if self.proof == Some(Proof::Lost) {
            return Proof::Lost;
        }
        self.awaited.remove(&number);
        let silent = !self.awaited.is_empty();
        let late = self.proof.is_none() && silent && now_ms - self.since_ms > PROOF_MS;
        let proof = match () {
            () if !whole || commits > self.commits || late => {
                self.base = self.era.clone();
                Proof::Lost
            }
            () if self.proof == Some(Proof::Kept) || !silent => Proof::Kept,
            () => return Proof::Pending,
        };
        self.proof = Some(proof);
        proof
    }

    /// What time it is for an instance whose clock says `known`.
    pub(super) fn clock(&self, now_ms: i64, known: i64) -> i64 {
        let now_ms = now_ms + self.skew_ms;
        match known {
            0 => now_ms,
            known => now_ms.clamp(known - CLOCK_SLACK_MS, known + CLOCK_SLACK_MS),
        }
    }

    /// Opens a canvas. Gives what is published, if it begins anew.
    pub(super) fn open(
        &mut self,
        id: &CanvasId,
        number: InstanceNumber,
        opening: &Opening,
        rules: &str,
        now_ms: i64,
    ) -> (CanvasHead, Option<Kept>) {
        let instance = self.instances.entry(number).or_default();
        instance.canvases.insert(id.to_string());
        let base = self.base.clone();
        let new = || Canvas {
            at_ms: now_ms,
            base: base.clone(),
            epoch: opening.epoch.to_string(),
            rules: rules.to_owned(),
            takes: Takes::new(now_ms),
            ..Canvas::default()
        };
        let canvas = self.canvases.entry(id.to_string()).or_insert_with(new);
        let mut began = None;
        if canvas.base != base {
            began = Some(canvas.keep(now_ms, self.hooks, &opening.anew));
            let hooked = (self.hooks > 0).then(|| id.to_string());
            self.undispatched.extend(hooked);
            canvas.base = base;
        }
        let mut head = canvas.head();
        head.instances = self.instances.keys().copied().collect();
        (head, began)
    }

    /// A canvas as it is, and whether something was lost since it was opened last.
    pub(super) fn look(&self, name: &str) -> Option<(CanvasHead, bool)> {
        let canvas = self.canvases.get(name)?;
        Some((canvas.head(), canvas.base != self.base))
    }

    /// Takes a batch; `None` if the canvas is gone.
    pub(super) fn keep(&mut self, name: &str, now_ms: i64, bytes: &[u8]) -> Option<Kept> {
        let canvas = self.canvases.get_mut(name)?;
        if self.hooks > 0 {
            self.undispatched.insert(name.to_owned());
        }
        Some(canvas.keep(now_ms, self.hooks, bytes))
    }

    /// Puts a canvas back from a copy of it.
    pub(super) fn restore(
        &mut self,
        id: &CanvasId,
        copy: &StoredSnapshot,
        (epoch, rules): (&str, &str),
        why: Why<'_>,
        now_ms: i64,
    ) -> Option<u64> {
        let known = self.canvases.remove(id.as_str());
        let mut replaced = None;
        let mut n = copy.n;
        if let Some(known) = known {
            let snapshot = format!("{} {}", known.saved, known.snapshot);
            let end = known.end();
            let needed = match why {
                _ if !end.is_of(epoch) => true,
                Why::Lost => false,
                Why::Behind => known.n < copy.n,
                Why::Unreadable(name) => name == snapshot,
            };
            if !needed {
                self.canvases.insert(id.to_string(), known);
                return None;
            }
            n = n.max(known.n);
            replaced = match end.is_of(epoch) {
                true => end.replaced,
                false => end.epoch,
            };
        }
        n += 1_048_576;
        let canvas = Canvas {
            n,
            epoch: epoch.to_owned(),
            replaced,
            at_ms: now_ms,
            saved: n,
            snapshot: copy.name.clone(),
            parts: copy.parts,
            whole: copy.whole.clone(),
            rules: rules.to_owned(),
            ..Canvas::default()
        };
        self.canvases.insert(id.to_string(), canvas);
        Some(n)
    }

    /// Gives up a canvas.
    pub(super) fn release(
        &mut self,
        id: &CanvasId,
        number: InstanceNumber,
        parting: Parting,
        now_ms: i64,
    ) {
        if let Some(instance) = self.instances.get_mut(&number) {
            instance.canvases.remove(id.as_str());
        }
        if self.is_held(id.as_str()) {
            return;
        }
        if let Some(at) = parting.away_until_ms {
            self.leaving.insert(id.to_string(), at);
        }
        let Some(canvas) = self.canvases.get_mut(id.as_str()) else {
            return;
        };
        if canvas.n != parting.n {
            return;
        }
        canvas.takes.settle(parting.counts);
        canvas.takes.log_ends_ms = parting.log_ends_ms;
        if parting.left == Left::Deleted {
            let ends = &mut canvas.takes.ends_at_ms;
            ends.get_or_insert(now_ms.saturating_add(MEMORY_MS));
        }
        if parting.left == Left::Nothing {
            self.canvases.remove(id.as_str());
        } else if canvas.saved == parting.n {
            canvas.batches.clear();
            if parting.left == Left::Deleted {
                canvas.messages.clear();
            }
        }
    }
}
