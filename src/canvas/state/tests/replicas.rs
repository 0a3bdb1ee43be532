//! Random batches of several instances: replicas of a canvas are alike, wherever they start from.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;

use super::*;
use crate::backplane::{End, PresenceTable};
use crate::canvas::Command;
use crate::canvas::codec::{Batch, decode_batch, encode_batch};
use crate::protocol::ids::InstanceNumber;

const MESSAGES: [&str; 12] = [
    r#""type":"object-create","object":{"id":"o1","kind":"k","x":1.50,"s":{"a":1}}}"#,
    r#""type":"object-create","object":{"id":"o2","kind":"k"}}"#,
    r#""type":"object-create","object":{"id":"é\n","kind":"k"}}"#,
    r#""type":"object-update","id":"o1","patch":{"x":null,"s":{"b":[1e-7]}}}"#,
    r#""type":"object-update","id":"o2","patch":{"y":18446744073709551615}}"#,
    r#""type":"object-delete","id":"o1"}"#,
    r#""type":"chat","text":"hello \"you\""}"#,
    r#""type":"broadcast","event":"e","data":[0.1]}"#,
    r#""type":"log-append","id":"o1","data":"AAEC"}"#,
    r#""type":"log-append","id":"o2","data":"/w=="}"#,
    r#""type":"log-compact","id":"o1","upto":3,"data":"YWxs"}"#,
    r#""type":"log-compact","id":"o2","epoch":"0000000000000007","upto":5}"#,
];
const CLIENTS: [&str; 4] = ["aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"];

/// Three objects and two entries of logs are too many bytes.
const TIGHT: Rules = Rules {
    bounds: ObjectBounds {
        max_objects: 3,
        max_bytes: 170,
    },
    ..RULES
};

/// A connection: instance, number, client, and whether it says who it is.
type Seat = (u32, u64, usize, bool);

/// What a command is made of, as often as it is needed.
#[derive(Debug, Clone)]
enum Step {
    Durable(u64, usize),
    Join,
    State(u8),
    Leave(End),
    Gone(u32, bool),
    Restart(u64),
    Renumber(u64),
    Tick,
}

/// What one instance puts into the log, and how long after what came before.
#[derive(Debug, Clone)]
struct Turn {
    from: u32,
    after_ms: i64,
    steps: Vec<(Seat, Step)>,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_u64..30, 0..MESSAGES.len()).prop_map(|(op, which)| Step::Durable(op, which)),
        4 => Just(Step::Join),
        2 => any::<u8>().prop_map(Step::State),
        2 => prop_oneof![Just(End::Clean), Just(End::Lost)].prop_map(Step::Leave),
        1 => (1_u32..4, any::<bool>()).prop_map(|(instance, died)| Step::Gone(instance, died)),
        1 => any::<u64>().prop_map(Step::Restart),
        1 => any::<u64>().prop_map(Step::Renumber),
        1 => Just(Step::Tick),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let after_ms = prop_oneof![
        8 => 0_i64..400,
        1 => Just(FORGET_INTERVAL_MS),
        1 => Just(i64::try_from(CLIENT_MEMORY.as_millis()).expect("fits")),
    ];
    let seat = (1_u64..3, 0..CLIENTS.len(), any::<bool>());
    let steps = prop::collection::vec((seat, step()), 1..6);
    (1_u32..4, after_ms, steps).prop_map(|(from, after_ms, steps)| {
        let at = |(conn, client, named)| (from, conn, client, named);
        let steps = steps.into_iter().map(|(seat, step)| (at(seat), step));
        Turn {
            from,
            after_ms,
            steps: steps.collect(),
        }
    })
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    prop::collection::vec(turn(), 1..24)
}

fn command((seat, step): &(Seat, Step), authors: &mut BTreeMap<Seat, Arc<Author>>) -> Command {
    let (instance, conn, client, named) = *seat;
    let author = authors.entry(*seat).or_insert_with(|| {
        Arc::new(Author::new(
            ConnId::new(InstanceNumber(instance), conn),
            ClientId::parse(CLIENTS[client]).expect("a client id"),
            format!(r#"{{"name":"{client}"}}"#),
            if named {
                client.to_string()
            } else {
                String::new()
            },
        ))
    });
    let author = Arc::clone(author);
    Command::Entry(match *step {
        Step::Gone(instance, died) => {
            return Command::InstanceGone {
                instance: InstanceNumber(instance),
                died,
            };
        }
        Step::Restart(epoch) => {
            return Command::Restart {
                epoch: Epoch(epoch),
            };
        }
        Step::Renumber(epoch) => {
            return Command::Renumber {
                epoch: Epoch(epoch),
            };
        }
        Step::Tick => return Command::Tick,
        Step::Join => Entry::Join { author },
        Step::Leave(end) => Entry::Leave { author, end },
        Step::State(n) => Entry::State {
            author,
            state: format!(r#"{{"n":{n}}}"#),
        },
        Step::Durable(op, which) => {
            let text = format!("{{\"op\":{op},{}", MESSAGES[which]);
            let Ok(ClientMessage::Durable(message)) = parse(&text) else {
                panic!("{text}")
            };
            Entry::Durable { author, message }
        }
    })
}

/// A replica, and what the log it runs has had so far.
struct Replica {
    state: CanvasState,
    now_ms: i64,
    serial: u64,
}

impl Replica {
    fn new() -> Self {
        Self {
            state: CanvasState::new(Epoch(7), TIGHT),
            now_ms: 10_000_000,
            serial: 0,
        }
    }

    /// Another that starts from this one's bytes.
    fn copy(&self) -> Self {
        Self {
            state: copy_of(&self.state, TIGHT),
            ..*self
        }
    }

    fn batch(&self, turn: &Turn) -> Batch {
        let mut authors = BTreeMap::new();
        let commands = turn.steps.iter().map(|step| command(step, &mut authors));
        Batch {
            from: Some(InstanceNumber(turn.from)),
            serial: self.serial + 1,
            seen: None,
            commands: commands.collect(),
        }
    }

    fn run(&mut self, turn: &Turn) -> Vec<Delivery> {
        let batch = self.batch(turn);
        self.apply(batch, turn.after_ms)
    }

    /// As [`Self::run`], as who reads the log does.
    fn run_decoded(&mut self, turn: &Turn) -> Vec<Delivery> {
        let batch = self.batch(turn);
        let bytes = encode_batch(batch.from, batch.serial, batch.seen, &batch.commands);
        let decoded = decode_batch(&bytes).expect("a batch");
        assert_eq!(text(&decoded), text(&batch));
        self.apply(decoded, turn.after_ms)
    }

    fn apply(&mut self, batch: Batch, after_ms: i64) -> Vec<Delivery> {
        self.now_ms += after_ms;
        self.serial = batch.serial;
        self.state.apply_batch(batch, self.now_ms)
    }

    /// All that can be asked, in words.
    fn seen(&self) -> String {
        let start = Position {
            seq: self.state.head().seq - self.state.retained() as u64,
            ..self.state.head()
        };
        let (state, read) = (&self.state, self.state.read(start, usize::MAX));
        let mut snapshot = state.snapshot();
        // How it came to be is known by who saw it.
        snapshot.lately = Default::default();
        text(&(
            read,
            snapshot,
            state.members(),
            state.objects(),
            state.due_at_ms(),
        ))
    }
}

fn text(what: &impl Debug) -> String {
    format!("{what:?}")
}

proptest! {
    #[test]
    fn a_copy_of_a_machine_goes_on_alike(before in turns(), after in turns()) {
        let mut first = Replica::new();
        for turn in &before {
            first.run(turn);
        }
        let mut second = first.copy();
        prop_assert_eq!(first.seen(), second.seen());
        for turn in &after {
            prop_assert_eq!(text(&first.run(turn)), text(&second.run_decoded(turn)));
            prop_assert_eq!(first.seen(), second.seen());
            // Each orders its hash maps in its own way.
            prop_assert_eq!(first.state.freeze().encode(), second.state.freeze().encode());
        }
    }

    #[test]
    fn a_batch_that_comes_again_does_nothing(turns in turns(), later_ms in 0_i64..9_999_999) {
        let mut replica = Replica::new();
        let mut last_of = BTreeMap::new();
        for turn in &turns {
            replica.run(turn);
            last_of.insert(turn.from, (turn.clone(), replica.serial));
            let before = replica.state.freeze().encode();
            for (turn, serial) in last_of.values() {
                let again = Batch { serial: *serial, ..replica.batch(turn) };
                // One that was forgotten since may come as a new one: that is days later.
                if replica.state.senders.contains_key(&InstanceNumber(turn.from)) {
                    let out = replica.state.apply_batch(again, replica.now_ms + later_ms);
                    prop_assert!(out.is_empty(), "{:?}", out);
                }
            }
            prop_assert_eq!(&before, &replica.state.freeze().encode());
        }
    }

    #[test]
    fn who_is_at_an_instance_that_is_gone_turns_away_once(
        turns in turns(), instance in 1_u32..4, died in any::<bool>()
    ) {
        let mut replica = Replica::new();
        for turn in &turns {
            replica.run(turn);
        }
        let (mut out, now_ms) = (Vec::new(), replica.now_ms);
        // What is due goes first.
        replica.state.tick(now_ms, &mut out);
        out.clear();
        let PresenceTable { version, members: mut expected } = replica.state.members();
        let mut lost = Vec::new();
        for member in &mut expected {
            if member.conn.instance() == InstanceNumber(instance) && !member.away {
                member.away = true;
                lost.push(PresenceChange::Set(member.clone()));
            }
        }
        for changes in [&lost[..], &[]] {
            out.clear();
            let gone = Command::InstanceGone { instance: InstanceNumber(instance), died };
            replica.state.run(InstanceNumber(9), gone, now_ms, &mut out);
            let told = out.iter().map(|delivery| match delivery {
                Delivery::Presence(event) => event.change.clone(),
                other => panic!("{other:?}"),
            });
            prop_assert_eq!(told.collect::<Vec<_>>(), changes);
            let table = PresenceTable { version: version + lost.len() as u64, members: expected.clone() };
            prop_assert_eq!(replica.state.members(), table);
        }
        // They are gone when the grace ends, as whoever is lost.
        let still = tick(&mut replica.state, now_ms + RULES.presence_grace_ms - 1);
        let count = |out: &[Delivery], reason: &str| text(&out).matches(reason).count();
        let gone = |out: &[Delivery]| count(out, "Timeout") + count(out, "InstanceLost");
        let others = expected.iter().filter(|member| member.away).count() - lost.len();
        prop_assert!(gone(&still) <= others);
        let then = tick(&mut replica.state, now_ms + RULES.presence_grace_ms);
        prop_assert_eq!(gone(&still) + gone(&then), others + lost.len());
        let reason = if died { "InstanceLost" } else { "Timeout" };
        prop_assert!(count(&then, reason) >= lost.len());
    }

    #[test]
    fn time_alone_changes_something_when_it_is_said_and_not_before(turns in turns()) {
        let mut replica = Replica::new();
        for turn in &turns {
            replica.run(turn);
            let mut ahead = replica.copy();
            prop_assert_eq!(ahead.state.due_at_ms().is_none(), ahead.state.is_settled());
            while let Some(due_at_ms) = ahead.state.due_at_ms() {
                prop_assert!(due_at_ms > ahead.now_ms);
                let before = ahead.seen();
                prop_assert!(tick(&mut ahead.state, due_at_ms - 1).is_empty());
                prop_assert_eq!(&before, &ahead.seen());
                tick(&mut ahead.state, due_at_ms);
                prop_assert_ne!(&before, &ahead.seen());
                ahead.now_ms = due_at_ms;
            }
            let before = ahead.seen();
            prop_assert!(tick(&mut ahead.state, i64::MAX).is_empty());
            prop_assert_eq!(before, ahead.seen());
        }
    }

    #[test]
    fn a_damaged_machine_is_refused_or_is_one(
        turns in turns(),
        cut in any::<prop::sample::Index>(),
        flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let mut replica = Replica::new();
        for turn in &turns {
            let batch = replica.batch(turn);
            let bytes = encode_batch(batch.from, batch.serial, batch.seen, &batch.commands);
            prop_assert!(decode_batch(&bytes[..cut.index(bytes.len())]).is_err());
            let _ = decode_batch(&damaged(&bytes, flip));
            replica.run(turn);
        }
        let bytes = replica.state.freeze().encode();
        prop_assert!(CanvasState::decode(&bytes[..cut.index(bytes.len())], TIGHT).is_err());
        if let Ok(state) = CanvasState::decode(&damaged(&bytes, flip), TIGHT) {
            let _ = (state.freeze().encode(), state.snapshot(), state.due_at_ms());
            state.read(state.head(), usize::MAX);
        }
    }
}

fn damaged(bytes: &[u8], (at, with): (prop::sample::Index, u8)) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at.index(bytes.len());
    bytes[at] ^= with;
    bytes
}
