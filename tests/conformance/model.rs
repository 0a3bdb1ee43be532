//! Random entries, one after the other through random instances, end as they do in the pure canvas.
//!
//! The seed is printed; `SCUMBLE_SEED` replays it.

use std::sync::Arc;

use scumble::backplane::{Delivery, End, Entry, Outcome, PresenceChange, PresenceEvent};
use scumble::backplane::{Read, SharedText};
use scumble::canvas::{CanvasState, Rules};
use scumble::protocol::ids::{InstanceNumber, Position};
use serde_json::{Value, json};

use crate::cluster::{Cluster, Options};
use crate::harness::{Client, Relay, Seat, chat, create, delete, durable, event, update};
use crate::recorder::{Ended, messages};

const STEPS: u64 = 400;
const CLIENTS: usize = 5;
/// Fewer than those objects may have in all, so that some are too much for the canvas only.
const MAX_CANVAS_BYTES: usize = 200_000;
const MAX_OBJECTS: usize = 4;

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).expect("below a usize")
    }

    fn fields(&mut self) -> Value {
        let id = format!("o{}", self.below(6));
        let props = match self.below(5) {
            0 => json!({ "a": self.below(9), "b": null }),
            1 => json!({ "s": { "c": self.below(9), "d": null } }),
            2 => json!({ "s": null, "t": [self.below(9)] }),
            // Two of these fit into an object, three don't.
            n => json!({ format!("pad{}", self.below(4)): "x".repeat(n * 15_000) }),
        };
        match self.below(10) {
            0..=2 => create(&id, &props),
            3..=6 => update(&id, &props),
            7 => delete(&id),
            8 => chat(&format!("text {}", self.below(99))),
            _ => event("e"),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's seed is no configuration of the server"
)]
fn seed() -> u64 {
    let given = std::env::var("SCUMBLE_SEED").ok();
    given.map_or_else(
        || uuid::Uuid::new_v4().as_u64_pair().0,
        |text| text.parse().expect("SCUMBLE_SEED is a number"),
    )
}

/// A client's connections, the youngest last, each with the seat it is at. Ended ones are taken out.
struct Person {
    connections: Vec<(usize, Client)>,
    sent: Vec<Value>,
}

struct Run {
    random: Random,
    seats: Vec<Seat>,
    people: Vec<Person>,
    model: CanvasState,
    now_ms: i64,
    events: Vec<PresenceEvent>,
}

#[expect(clippy::print_stdout, reason = "cargo shows it when the test fails")]
pub fn random_entries_end_as_in_the_model<C: Cluster>() {
    let seed = seed();
    println!("SCUMBLE_SEED={seed}");
    let options = Options {
        max_objects: MAX_OBJECTS,
        max_canvas_bytes: MAX_CANVAS_BYTES,
        ..Options::default()
    };
    let relay = Relay::<C>::start_with(&options);
    let seats = relay.seats("canvas");
    let rules = Rules {
        message_ttl_ms: 3_600_000,
        presence_grace_ms: 3_600_000,
        bounds: options.rules().bounds,
    };
    let people = || Person {
        connections: Vec::new(),
        sent: Vec::new(),
    };
    let mut run = Run {
        random: Random(seed),
        model: CanvasState::new(seats[0].opened.head.epoch, rules),
        people: std::iter::repeat_with(people).take(CLIENTS).collect(),
        seats,
        now_ms: 0,
        events: Vec::new(),
    };
    for _ in 0..STEPS {
        run.step();
    }
    for (i, seat) in run.seats.iter().enumerate() {
        run.compare(seat, &format!("instance {i}"));
    }
}

impl Run {
    fn step(&mut self) {
        self.now_ms += 1;
        let who = self.random.below(CLIENTS);
        let connected = !self.people[who].connections.is_empty();
        match self.random.below(20) {
            n if n == 0 || !connected => self.join(who),
            1 => self.leave(who),
            2..=4 => self.state(who),
            5..=6 => self.resend(who),
            _ => {
                let fields = self.random.fields();
                self.people[who].sent.push(fields);
                self.durable(who, self.people[who].sent.len() - 1);
            }
        }
    }

    fn join(&mut self, who: usize) {
        let at = self.random.below(self.seats.len());
        let client = self.seats[at].client(&who.to_string());
        let answer = self.seats[at].join(&client);
        let author = Arc::clone(&client.author);
        self.people[who].connections.push((at, client));
        match self.tell_model(Entry::Join { author }) {
            Some(Delivery::Joined { acked_op, .. }) => assert_eq!(answer, acked_op),
            other => panic!("{other:?}"),
        }
    }

    /// The youngest connection ends, or an older one that has lost its place.
    fn leave(&mut self, who: usize) {
        let place = self.connection(who);
        let end = match self.random.below(2) {
            0 => End::Clean,
            _ => End::Lost,
        };
        let (at, client) = self.people[who].connections.remove(place);
        self.seats[at].leave(&client, end);
        self.tell_model(Entry::Leave {
            author: Arc::clone(&client.author),
            end,
        });
        self.settle(at);
    }

    fn state(&mut self, who: usize) {
        let (place, state) = (self.connection(who), json!({ "x": self.random.below(99) }));
        let (at, client) = &self.people[who].connections[place];
        let (at, author) = (*at, Arc::clone(&client.author));
        self.seats[at].set_state(client, &state);
        self.tell_model(Entry::State {
            author,
            state: state.to_string(),
        });
        self.settle(at);
    }

    fn resend(&mut self, who: usize) {
        let sent = self.people[who].sent.len();
        if sent > 0 {
            let which = self.random.below(sent);
            self.durable(who, which);
        }
    }

    fn durable(&mut self, who: usize, which: usize) {
        let place = self.connection(who);
        let person = &self.people[who];
        let ((at, client), fields) = (&person.connections[place], &person.sent[which]);
        let (op, author) = (which as u64 + 1, Arc::clone(&client.author));
        let message = durable(op, fields);
        let ended = self.seats[*at].ask_as(client, op, fields);
        let expected = self.tell_model(Entry::Durable { author, message });
        match (expected, ended) {
            (Some(Delivery::Log(batch)), Ended::Committed(seq)) => assert_eq!(seq, batch.first_seq),
            (Some(Delivery::Outcome { outcome, .. }), Ended::Outcome(ended)) => {
                assert_same(&outcome, &ended);
            }
            other => panic!("op {op}: {other:?}"),
        }
    }

    /// The youngest connection mostly, but an older one now and then.
    fn connection(&mut self, who: usize) -> usize {
        let connections = self.people[who].connections.len();
        if self.random.below(4) == 0 {
            self.random.below(connections)
        } else {
            connections - 1
        }
    }

    /// Applies the entry to the model; gives its last delivery.
    fn tell_model(&mut self, entry: Entry) -> Option<Delivery> {
        let mut out = Vec::new();
        self.model
            .apply(InstanceNumber(1), entry, self.now_ms, &mut out);
        self.events
            .extend(out.iter().filter_map(|delivery| match delivery {
                Delivery::Presence(event) => Some(event.clone()),
                _ => None,
            }));
        out.pop()
    }

    /// Waits until what was done at a seat is committed, so that the next step comes after it.
    fn settle(&self, at: usize) {
        self.seats[at].wait_version(self.model.members().version);
    }

    fn compare(&self, seat: &Seat, what: &str) {
        let start = Position {
            seq: 0,
            ..self.model.head()
        };
        let Read::Batch(Some(all)) = self.model.read(start, usize::MAX) else {
            panic!()
        };
        seat.wait_seq(all.last_seq());
        let strip = |text: &str| {
            let mut value: Value = serde_json::from_str(text).expect("JSON");
            value
                .as_object_mut()
                .and_then(|fields| fields.remove("at"))
                .map_or(json!(null), |_| value)
        };
        for (expected, message) in messages(&all).iter().zip(seat.log()) {
            assert_eq!(
                (expected.seq, expected.origin),
                (message.seq, message.origin),
                "{what}"
            );
            assert_eq!(strip(&expected.text), strip(&message.text), "{what}");
        }
        let (expected, snapshot) = (self.model.snapshot(), seat.snapshot());
        assert_eq!(snapshot.at, expected.at, "{what}");
        let parsed = |text: &SharedText| serde_json::from_str::<Value>(text).expect("JSON");
        assert!(
            snapshot
                .objects
                .iter()
                .map(parsed)
                .eq(expected.objects.iter().map(parsed)),
            "{what}"
        );
        let chat = |texts: &[String]| texts.iter().map(|text| strip(text)).collect::<Vec<_>>();
        assert_eq!(chat(&snapshot.chat), chat(&expected.chat), "{what}");

        seat.wait_version(self.model.members().version);
        let events = seat.recorder.look(|seen| seen.presence.clone());
        assert_eq!(normal(&events), normal(&self.events), "{what}");
        assert_eq!(seat.members().0, self.model.members().version, "{what}");
        assert_eq!(seat.table(), seat.members(), "{what}");
    }
}

/// Events in words, so that the spelling of a user or state does not matter.
fn normal(events: &[PresenceEvent]) -> Vec<String> {
    let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    events
        .iter()
        .map(|event| match &event.change {
            PresenceChange::Set(m) => {
                let (user, state) = (value(&m.user), m.state.as_deref().map(value));
                format!(
                    "{} {:?} {} {user} {state:?} {}",
                    event.version, m.conn, m.client, m.away
                )
            }
            gone @ PresenceChange::Gone { .. } => format!("{} {gone:?}", event.version),
        })
        .collect()
}

/// The same end; a place may be unknown, and a refusal may use other words.
fn assert_same(expected: &Outcome, ended: &Outcome) {
    match (expected, ended) {
        (
            Outcome::Ack { seq, status },
            Outcome::Ack {
                seq: told,
                status: ended,
            },
        ) => {
            assert_eq!(status, ended);
            assert!([0, *seq].contains(told), "the place is {seq}, not {told}");
        }
        (Outcome::Refused(refusal), Outcome::Refused(ended)) => {
            assert_eq!(refusal.code, ended.code);
        }
        other => panic!("{other:?}"),
    }
}
