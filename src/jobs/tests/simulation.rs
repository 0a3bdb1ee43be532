//! A seeded simulation in virtual time: producers, workers that succeed, fail, die and come back too late, over memory and SQLite alike,
//! against a model that knows what each message may still become.

use std::collections::{BTreeMap, HashMap};

use super::*;

/// Numbers from a seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[derive(Debug, Default, Clone)]
struct Known {
    deliveries: i64,
    ended: i64,
    /// The lease that has it, and until when.
    out: Option<(LeaseId, i64)>,
    done: bool,
}

/// What is known of each message of each group.
#[derive(Default)]
struct Model {
    messages: BTreeMap<(String, String, String), Known>,
    order: HashMap<String, Vec<String>>,
}

impl Model {
    fn known(&mut self, group: &str, partition: &str, name: &str) -> &mut Known {
        let key = (group.to_owned(), partition.to_owned(), name.to_owned());
        self.messages.entry(key).or_default()
    }

    /// What was popped is nobody else's, is not done, and in its partition's order comes next.
    fn popped(&mut self, group: &str, popped: &Popped, fifo: bool, now: i64, retry_limit: i64) {
        for message in &popped.messages {
            let partition = &message.partition_name;
            let known = self.known(group, partition, &message.name);
            assert!(!known.done, "{} is delivered after its end", message.name);
            if let Some((_, until)) = known.out {
                assert!(until <= now, "{} has two holders", message.name);
                known.ended += 1;
            }
            assert_eq!(message.retries, known.ended, "attempts of {}", message.name);
            assert!(
                message.retries <= retry_limit,
                "{} lives too long",
                message.name
            );
            known.deliveries += 1;
            known.out = popped.lease.map(|lease| (lease, message.until));
            if fifo {
                let order = self.order[partition].clone();
                let before = order.iter().take_while(|name| **name != message.name);
                for earlier in before {
                    let known = self.known(group, partition, earlier);
                    let died = known.ended >= retry_limit
                        && known.out.is_some_and(|(_, until)| until <= now);
                    known.done |= died;
                    let with_it = known.out.map(|(lease, _)| lease) == popped.lease;
                    assert!(known.done || with_it, "{} before {earlier}", message.name);
                }
            }
        }
    }
}

/// A worker's batch, which it will end in some way, perhaps too late.
struct Held {
    group: String,
    popped: Popped,
}

fn play(q: &mut Q<'_>, seed: u64, fifo: bool) -> Vec<String> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut model = Model::default();
    let mut held: Vec<Held> = Vec::new();
    let mut told = Vec::new();
    let retry_limit = 2;
    q.configure("q", json!({"leaseTime": 2, "retryLimit": retry_limit, "retryDelay": 200, "fifo": fifo, "dedupWindowSeconds": 5}));
    let groups = ["x", "y"];
    for group in groups {
        q.pop_of(group, 1);
    }
    for turn in 0..400 {
        match dice.roll(10) {
            0..=2 => {
                let partition = format!("p{}", dice.roll(3));
                let name = format!("m{turn}");
                q.push(&format!("q/{partition}"), &[&name]);
                model.order.entry(partition).or_default().push(name);
            }
            3..=5 => {
                let group = groups[usize::try_from(dice.roll(2)).unwrap()];
                let (batch, partitions) = (1 + dice.roll(4), 1 + dice.roll(2));
                let popped = q.pop_with(|request| {
                    request.group = group.to_owned();
                    request.batch = usize::try_from(batch).unwrap();
                    request.partitions = usize::try_from(partitions).unwrap();
                });
                let now = *q.0.now();
                model.popped(group, &popped, fifo, now, retry_limit);
                told.push(format!("{group} {:?}", names(&popped)));
                held.push(Held {
                    group: group.to_owned(),
                    popped,
                });
            }
            6 | 7 if !held.is_empty() => {
                let at = usize::try_from(dice.roll(held.len() as u64)).unwrap();
                let one = held.swap_remove(at);
                let verdict = match dice.roll(5) {
                    0 => Verdict::Failed,
                    1 => Verdict::Dead,
                    _ => Verdict::Completed,
                };
                end(q, &mut model, &one, verdict, retry_limit, &mut told);
            }
            8 => q.sweep(),
            _ => q.wait(i64::try_from(dice.roll(900)).unwrap()),
        }
    }
    drain(q, &mut model, &groups, fifo, retry_limit);
    told
}

/// An ack is taken exactly if the lease has the message still.
fn end(
    q: &mut Q<'_>,
    model: &mut Model,
    one: &Held,
    verdict: Verdict,
    retry_limit: i64,
    told: &mut Vec<String>,
) {
    let now = *q.0.now();
    let results = q.ack_as(&one.group, one.popped.lease, &one.popped.messages, verdict);
    for (message, result) in one.popped.messages.iter().zip(&results) {
        let known = model.known(&one.group, &message.partition_name, &message.name);
        let holds = !known.done
            && known
                .out
                .is_some_and(|(lease, until)| Some(lease) == one.popped.lease && until > now);
        assert_eq!(
            result.is_ok(),
            holds,
            "{verdict:?} of {}: {result:?}",
            message.name
        );
        told.push(format!("{} {verdict:?} {}", message.name, code(result)));
        if !holds {
            continue;
        }
        known.out = None;
        match verdict {
            Verdict::Completed | Verdict::Dead => known.done = true,
            _ => {
                known.ended += 1;
                known.done = known.ended > retry_limit;
            }
        }
    }
}

/// Whoever waits long enough sees every message end, completed or dead, and nothing stays.
fn drain(q: &mut Q<'_>, model: &mut Model, groups: &[&str], fifo: bool, retry_limit: i64) {
    for _ in 0..2_000 {
        let mut nothing = true;
        for group in groups {
            let popped = q.pop_with(|request| {
                request.group = (*group).to_owned();
                request.batch = 10;
            });
            let now = *q.0.now();
            model.popped(group, &popped, fifo, now, retry_limit);
            nothing &= popped.messages.is_empty() && popped.next_at.is_none();
            let one = Held {
                group: (*group).to_owned(),
                popped,
            };
            end(
                q,
                model,
                &one,
                Verdict::Completed,
                retry_limit,
                &mut Vec::new(),
            );
        }
        if nothing {
            break;
        }
        q.wait(300);
    }
    let status = q.status();
    assert_eq!(status["depth"], 0, "{status}");
    assert_eq!(status["inFlight"], 0, "{status}");
    for group in status["consumerGroups"].as_array().unwrap() {
        assert_eq!(group["waiting"], 0, "{status}");
    }
    let pushed = model.order.values().map(Vec::len).sum::<usize>() * groups.len();
    let ended = status["completed"].as_u64().unwrap() + status["dead"].as_u64().unwrap();
    assert_eq!(ended, pushed as u64, "{status}");
}

fn seeds() -> u64 {
    if cfg!(debug_assertions) { 40 } else { 400 }
}

#[test]
fn whatever_workers_do_every_message_ends_once_in_every_group_and_all_stores_agree() {
    for seed in 1..=seeds() {
        for fifo in [true, false] {
            let told = std::cell::RefCell::new(Vec::new());
            // A server of its own for each would take most of the time.
            let play = |q: &mut Q<'_>| told.borrow_mut().push(play(q, seed, fifo));
            over_both(&play);
            if seed % 20 == 1 {
                over_redis(play);
            }
            let told = told.into_inner();
            assert!(
                told.iter().all(|one| *one == told[0]),
                "seed {seed}, fifo {fifo}"
            );
        }
    }
}
