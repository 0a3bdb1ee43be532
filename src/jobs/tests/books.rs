//! The books of the queue: what it counts is what is there, whatever is done to it, and in the end nothing is left.

use super::simulation::Dice;
use super::*;
use crate::jobs::finish::{dead_bytes, has_before_it};
use crate::jobs::op::{Touch, What};
use crate::jobs::push::bytes_of;
use crate::jobs::removal::{MARK_BYTES, place_in};
use crate::jobs::rows as r;
use crate::jobs::traces;
use crate::jobs::work::{ENDED, KEEPER, ends, kind, name_at};

type Books = Bench<MemoryStore>;

const LOW: i64 = i64::MIN;
const HIGH: i64 = i64::MAX;
const GROUPS: [&str; 2] = ["x", "y"];

fn all<R: Row>(bench: &Books, from: R::Key, to: R::Key) -> Vec<R> {
    bench.store.scan::<R>(&from, &to, usize::MAX >> 1).unwrap()
}

fn sum(bytes: impl Iterator<Item = i64>) -> i64 {
    bytes.sum()
}

/// Partitions that are counted.
fn partitions(bench: &Books, queue: &r::Queue) -> Vec<r::Partition> {
    let mut rows = all::<r::Partition>(bench, (LOW,), (HIGH,));
    rows.retain(|row| row.queue == queue.key && row.key >= queue.cleared && row.tag != ENDED);
    rows
}

fn messages(bench: &Books, partition: i64) -> Vec<r::Message> {
    all::<r::Message>(bench, (partition, 0), (partition + 1, 0))
}

/// Compares what is counted with rows.
fn audit(bench: &mut Books, told: &str) {
    let runs = all::<r::Run>(bench, (LOW, 0), (HIGH, 0));
    let apart = |a: &r::Run, b: &r::Run| a.partition != b.partition || a.last < b.first;
    assert!(
        runs.windows(2).all(|pair| apart(&pair[0], &pair[1])),
        "{told}: {runs:?}"
    );
    let mut total = 0;
    for queue in all::<r::Queue>(bench, (LOW,), (HIGH,)) {
        of_queue(bench, &queue, told);
        of_groups(bench, &queue, told);
        total += queue.bytes;
    }
    assert_eq!(bench.bytes(), total, "{told}: bytes of all");
}

fn of_queue(bench: &Books, queue: &r::Queue, told: &str) {
    let mut count = 0;
    let mut bytes = 0;
    let rows = partitions(bench, queue);
    assert_eq!(queue.partitions, rows.len() as i64, "{told}: partitions");
    for row in &rows {
        let there = messages(bench, row.key);
        assert_eq!(row.messages, there.len() as i64, "{told}: in a partition");
        let there = sum(there.iter().map(bytes_of));
        assert_eq!(row.bytes, there, "{told}: bytes in a partition");
        count += row.messages;
        bytes += row.bytes;
    }
    assert_eq!(queue.messages, count, "{told}: messages");
    let mut marks = all::<r::Mark>(bench, (LOW, 0, 0, 0), (HIGH, 0, 0, 0));
    marks.retain(|mark| mark.queue == queue.key);
    assert_eq!(queue.marks, marks.len() as i64, "{told}: marks");
    let mut kept = 0;
    for row in &rows {
        let states = all::<r::State>(bench, (row.key, KEEPER, 0), (row.key, KEEPER + 1, 0));
        kept += states.len() as i64;
        let there = messages(bench, row.key);
        let is_there = |state: &r::State| there.iter().any(|message| message.seq == state.seq);
        assert!(states.iter().all(is_there), "{told}: {states:?}");
    }
    assert_eq!(queue.kept, kept, "{told}: kept");
    assert!(queue.messages >= kept, "{told}: {queue:?}");
    let runs = marks.iter().filter(|mark| mark.kind == ends::RUN);
    let dead = all::<r::Dead>(bench, (LOW,), (HIGH,));
    let notes = all::<r::Trace>(bench, (LOW, [0; 16], 0), (HIGH, [0; 16], 0));
    let dead = dead.iter().filter(|one| one.queue == queue.key);
    let notes = notes.iter().filter(|one| one.queue == queue.key);
    let other = sum(runs.map(|mark| place_in(mark).1))
        + sum(dead.map(dead_bytes))
        + sum(notes.map(traces::bytes));
    assert_eq!(queue.other_bytes, other, "{told}: other bytes");
    let bytes = bytes + other + queue.marks * MARK_BYTES;
    assert_eq!(queue.bytes, bytes, "{told}: bytes");
}

/// What each group waits for, and has leased.
fn of_groups(bench: &mut Books, queue: &r::Queue, told: &str) {
    let rows = partitions(bench, queue);
    let there: Vec<_> = rows.iter().map(|row| messages(bench, row.key)).collect();
    let mut random = || [7; 16];
    let mut w = Work::new(&mut bench.store, bench.now, &bench.limits, &mut random);
    for at in 0..w.group_count(queue.key).unwrap() {
        let group = w.see_group_at(queue.key, at).unwrap().clone();
        if group.join_after.is_some() {
            continue;
        }
        let mut waiting = 0;
        let mut out = 0;
        for message in there.iter().flatten() {
            let theirs = message.only == 0 || message.only == group.key;
            let place = (message.partition, message.seq);
            let before = has_before_it(&mut w, queue.key, at, place.0, place.1).unwrap();
            waiting += i64::from(theirs && before);
        }
        for row in &rows {
            let cursor = w.see_cursor(row.key, group.key).unwrap();
            out += cursor.map_or(0, |cursor| cursor.out);
            let (from, to) = ((row.key, group.key, 0), (row.key, group.key + 1, 0));
            let states = w.store.scan::<r::State>(&from, &to, 1_000).unwrap();
            out += states
                .iter()
                .filter(|state| state.kind == kind::LEASED)
                .count() as i64;
        }
        assert_eq!(group.waiting, waiting, "{told}: {group:?}");
        assert_eq!(group.out, out, "{told}: {group:?}");
    }
}

/// A batch that somebody has, perhaps for too long.
struct Held {
    group: String,
    popped: Popped,
}

struct Player<'b> {
    bench: &'b mut Books,
    dice: Dice,
    held: Vec<Held>,
    /// Names of messages, and their partitions.
    known: Vec<(String, String)>,
}

impl Player<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.dice.roll(sides.max(1) as u64)).unwrap()
    }

    fn any<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let at = self.roll(of.len());
        of.get(at).cloned()
    }

    fn run(&mut self, op: &Op) -> Answer {
        Q(self.bench).run(op)
    }

    /// A message with a name of ours or one that was given, new, known, or in the form of ours.
    fn item(&mut self, partition: &str) -> PushItem {
        let known = self.known.clone();
        let name = match self.roll(8) {
            0 => format!("m{}", self.roll(10)),
            1 => known.last().map(|one| one.0.clone()).unwrap_or_default(),
            2 => name_at(BEGIN, self.roll(30) as i64, self.roll(3) as u64),
            3 => self.any(&known).map(|one| one.0).unwrap_or_default(),
            _ => String::new(),
        };
        PushItem {
            queue: "q".to_owned(),
            partition: partition.to_owned(),
            name,
            payload: json!("x".repeat(self.roll(40))).to_string(),
            trace: (self.roll(3) == 0).then(|| "t".to_owned()),
            ..PushItem::default()
        }
    }

    fn push(&mut self, partition: &str) {
        let count = 1 + self.roll(6);
        let items = (0..count).map(|_| self.item(partition)).collect();
        let Answer::Pushed(done) = self.run(&Op::Push(items)) else {
            panic!()
        };
        for one in done {
            if let Pushed::Queued(one) = one {
                let id = partition_id(one.partition, one.partition_tag);
                self.known.push((one.name, id));
            }
        }
    }

    fn pop(&mut self, group: &str) {
        let auto_ack = self.roll(5) == 0;
        let batch = 1 + self.roll(8);
        let partitions = 1 + self.roll(2);
        let popped = Q(self.bench).pop_with(|request| {
            request.group = group.to_owned();
            request.batch = batch;
            request.partitions = partitions;
            request.auto_ack = auto_ack;
        });
        let group = group.to_owned();
        if !auto_ack {
            self.held.push(Held { group, popped });
        }
    }

    /// Acks a part of a batch, in one way or in several.
    fn ack(&mut self) {
        let at = self.roll(self.held.len());
        let Some(held) = self.held.get(at) else {
            return;
        };
        let lease = held.popped.lease;
        let group = held.group.clone();
        let messages = held.popped.messages.clone();
        let skip = self.roll(2);
        let part = 1 + self.roll(8);
        let mixed = self.roll(3) == 0;
        let mut items = Vec::new();
        for message in messages.iter().skip(skip).take(part) {
            let verdict = match (mixed, self.roll(4)) {
                (true, 0) => Verdict::Failed,
                (true, 1) => Verdict::Dead,
                _ => Verdict::Completed,
            };
            items.push(AckItem {
                partition_id: partition_id(message.partition, message.partition_tag),
                name: message.name.clone(),
                verdict,
                error: None,
                lease,
                group: group.clone(),
            });
        }
        self.run(&Op::Ack(items));
        if self.roll(3) == 0 {
            self.held.swap_remove(at);
        }
    }

    fn touch(&mut self, group: &str) {
        let known = self.known.clone();
        let Some((name, partition_id)) = self.any(&known) else {
            return;
        };
        let touch = Touch {
            partition_id,
            name,
            group: (self.roll(2) == 0).then(|| group.to_owned()),
            what: [What::Requeue, What::ToDead, What::Delete][self.roll(3)],
        };
        self.run(&Op::Touch(touch));
    }

    fn replay(&mut self) {
        let dead = all::<r::Dead>(self.bench, (LOW,), (HIGH,));
        if let Some(dead) = self.any(&dead) {
            self.run(&Op::DeadReplay { id: dead.id });
        }
    }

    fn seek(&mut self, group: &str) {
        let earlier = self.bench.now - 1_000;
        let to = [Start::All, Start::New, Start::From(earlier)][self.roll(3)];
        self.run(&Op::Seek {
            queue: "q".to_owned(),
            group: group.to_owned(),
            to,
        });
    }

    fn release(&mut self) {
        let at = self.roll(self.held.len());
        if let Some(lease) = self.held.get(at).and_then(|held| held.popped.lease) {
            self.run(&Op::Release(lease));
        }
    }

    fn step(&mut self, replays: bool) -> String {
        let group = GROUPS[self.roll(2)];
        let partition = format!("p{}", self.roll(2));
        let what = self.roll(40);
        match what {
            0..=9 => self.push(&partition),
            10..=19 => self.pop(group),
            20..=29 => self.ack(),
            30 => Q(self.bench).sweep(),
            31 | 32 => {
                let ms = self.roll(3_000) as i64;
                Q(self.bench).wait(ms);
            }
            33 => self.touch(group),
            34 | 35 if replays => self.replay(),
            36 => self.seek(group),
            37 => {
                self.run(&Op::DeleteGroup {
                    queue: None,
                    group: group.to_owned(),
                });
            }
            38 if self.roll(2) == 0 => {
                let partition = (self.roll(2) == 0).then_some(partition);
                let queue = "q".to_owned();
                self.run(&Op::Clear { queue, partition });
            }
            _ => self.release(),
        }
        format!("{what} of {group}")
    }
}

fn play(seed: u64, fifo: bool, kept: i64) {
    let mut bench = Bench::new(MemoryStore::default());
    Q(&mut bench).configure(
        "q",
        json!({"fifo": fifo, "leaseTime": 2, "retryLimit": 2, "retryDelay": 200, "dedupWindowSeconds": 5,
               "completedRetentionSeconds": kept}),
    );
    let mut player = Player {
        bench: &mut bench,
        dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        held: Vec::new(),
        known: Vec::new(),
    };
    let replays = seed.is_multiple_of(2);
    let told = format!("seed {seed}, fifo {fifo}, kept {kept}");
    for turn in 0..300 {
        let what = player.step(replays);
        audit(player.bench, &format!("{told}, turn {turn}: {what}"));
    }
    end(&mut bench, &told);
}

/// Both groups end what is there; when all marks have ended nothing is left.
fn end(bench: &mut Books, told: &str) {
    for _ in 0..100 {
        for group in GROUPS {
            let popped = Q(bench).pop_of(group, 100);
            Q(bench).ack_as(group, popped.lease, &popped.messages, Verdict::Completed);
        }
        Q(bench).wait(500);
    }
    for _ in 0..3 {
        Q(bench).sweep();
        audit(bench, told);
        Q(bench).wait(400_000);
    }
    assert_eq!(Q(bench).status()["messages"]["total"], 0, "{told}");
    assert_eq!(Q(bench).status()["messages"]["retained"], 0, "{told}");
    for dead in all::<r::Dead>(bench, (LOW,), (HIGH,)) {
        let (id, reviewed) = (dead.id, true);
        Q(bench).run(&Op::DeadReviewed { id, reviewed });
    }
    Q(bench).wait(91 * 24 * 3_600_000);
    Q(bench).sweep();
    assert_eq!(bench.bytes(), 0, "{told}");
    let kept = all::<r::Partition>(bench, (LOW,), (HIGH,)).len()
        + all::<r::Named>(bench, (LOW, [0; 16]), (HIGH, [0; 16])).len()
        + all::<r::Run>(bench, (LOW, 0), (HIGH, 0)).len()
        + all::<r::Mark>(bench, (LOW, 0, 0, 0), (HIGH, 0, 0, 0)).len()
        + all::<r::State>(bench, (LOW, 0, 0), (HIGH, 0, 0)).len();
    assert_eq!(kept, 0, "{told}");
}

#[test]
fn what_is_counted_is_there_and_in_the_end_nothing_is() {
    for seed in 1..=10 {
        for fifo in [true, false] {
            for kept in [0, 3] {
                play(seed, fifo, kept);
            }
        }
    }
}
