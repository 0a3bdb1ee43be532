//! Batches and states as bytes, by hand: what is refused, what is told only, and what goes out in one piece.

use proptest::prelude::*;

use super::*;
use crate::backplane::{End, LogBatch, Post};
use crate::canvas::Command;
use crate::canvas::codec::{
    Batch, Damaged, Reading, decode_batch, decode_ephemeral, encode_batch, encode_ephemeral,
};
use crate::protocol::client_message::Change;
use crate::protocol::ids::InstanceNumber;

fn message(op: u64) -> Durable {
    let text = format!(r#"{{"type":"object-create","op":{op},"object":{{"id":"o","kind":"k"}}}}"#);
    match parse(&text) {
        Ok(ClientMessage::Durable(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn entry(author: &Arc<Author>, message: Durable) -> Command {
    let author = Arc::clone(author);
    Command::Entry(Entry::Durable { author, message })
}

fn log(delivery: &Delivery) -> &LogBatch {
    match delivery {
        Delivery::Log(run) => run,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_taken_together_goes_out_in_one_piece() {
    let (mut canvas, author) = (canvas(), author("aaaaaaaa", 1, ""));
    let start = canvas.head();
    let mut commands: Vec<_> = [1, 2, 3, 3, 4].map(|op| entry(&author, message(op))).into();
    let epoch = Epoch(8);
    commands.extend([Command::Restart { epoch }, entry(&author, message(5))]);
    let batch = Batch {
        from: Some(InstanceNumber(1)),
        serial: 1,
        seen: None,
        commands,
    };
    let mut alone = CanvasState::new(Epoch(7), RULES);
    for op in 1..=4 {
        alone.run(
            InstanceNumber(1),
            entry(&author, message(op)),
            50,
            &mut Vec::new(),
        );
    }
    let Read::Batch(Some(all)) = alone.read(start, usize::MAX) else {
        panic!("four messages")
    };

    let out = canvas.apply_batch(batch, 50);
    assert_eq!(out.len(), 5, "{out:?}");
    assert_eq!(ack(out[1].clone()), (3, AckStatus::Dup));
    let (three, one, after) = (log(&out[0]), log(&out[2]), log(&out[4]));
    assert_eq!((three.first_seq, three.last_seq(), three.at_ms), (1, 3, 50));
    assert_eq!(three.marks[..], all.marks[..3]);
    assert_eq!((one.first_seq, one.last_seq()), (4, 4));
    assert_eq!([&three.frames[..], &one.frames[..]].concat(), all.frames);
    assert!(matches!(out[3], Delivery::Reset { seq: 4, .. }));
    assert_eq!((after.epoch, after.first_seq), (epoch, 5));

    let runs = [three, one, after, three].map(LogBatch::clone);
    let whole: Vec<_> = LogBatch::join(&runs).collect();
    assert_eq!(whole.len(), 3, "a run is of one epoch, and has no gap");
    assert_eq!(whole[0].marks, all.marks);
}

#[test]
fn ephemeral_entries_come_as_they_were_told() {
    let author = author("aaaaaaaa", 1, "alice");
    let signal = |body: &str| Entry::Signal {
        author: Arc::clone(&author),
        body: body.to_owned(),
    };
    let entries = [
        signal(r#""event":"e","data":1"#),
        Entry::Cursors {
            cursors: vec![(author.client.clone(), r#""x":1"#.into())],
        },
        Entry::Kick {
            conn: ConnId::new(InstanceNumber(3), 7),
        },
        Entry::Post {
            conn: ConnId::new(InstanceNumber(3), 8),
            post: Post {
                number: std::num::NonZeroU64::new(2),
                messages: "[1]".into(),
            },
        },
        signal(r#""event":"é","data":null"#),
    ];
    let bytes = encode_ephemeral(InstanceNumber(5), &entries);
    let (from, told) = decode_ephemeral(&bytes).expect("entries");
    assert_eq!(
        (from, format!("{told:?}")),
        (InstanceNumber(5), format!("{:?}", &entries[..]))
    );
    let [
        Entry::Signal { author: first, .. },
        ..,
        Entry::Signal { author: last, .. },
    ] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert!(Arc::ptr_eq(first, last), "an author is there once");
    for end in 0..bytes.len() {
        assert!(decode_ephemeral(&bytes[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn bytes_of_another_version_or_with_more_behind_them_are_refused() {
    let batch = encode_batch(Some(InstanceNumber(1)), 1, None, &[Command::Tick]);
    let told = encode_ephemeral(InstanceNumber(1), &[]);
    let state = canvas().freeze().encode();
    let refusals = |change: fn(&mut Vec<u8>)| {
        let changed = |bytes: &Vec<u8>| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            bytes
        };
        [
            decode_batch(&changed(&batch)).expect_err("a refusal"),
            decode_ephemeral(&changed(&told)).expect_err("a refusal"),
            CanvasState::decode(&changed(&state), RULES).expect_err("a refusal"),
        ]
    };
    assert_eq!(
        refusals(|bytes| bytes[0] = 77),
        [const { Damaged::Version(77) }; 3]
    );
    for change in [|bytes: &mut Vec<u8>| bytes.push(0), Vec::clear] {
        for refusal in refusals(change) {
            assert!(matches!(refusal, Damaged::Unreadable(_)), "{refusal}");
        }
    }
}

#[test]
fn what_can_not_be_is_refused_by_its_reason() {
    let author = author("aaaaaaaa", 1, "");
    let refusal = |bytes: &[u8]| decode_batch(bytes).expect_err("a refusal").to_string();

    let mut outside = message(1);
    let len = outside.body.len();
    let Change::Put { object, .. } = &mut outside.change else {
        panic!("a put")
    };
    object.end = len + 1;
    let bytes = encode_batch(Some(InstanceNumber(1)), 1, None, &[entry(&author, outside)]);
    assert!(refusal(&bytes).contains("not within its message"));

    let mut bytes = encode_batch(
        Some(InstanceNumber(1)),
        1,
        None,
        &[entry(&author, message(1))],
    );
    let name = bytes.windows(8).position(|text| text == b"aaaaaaaa");
    bytes[name.expect("its name")] = b' ';
    assert!(refusal(&bytes).contains("client must match"));

    let leave = Entry::Leave {
        author: Arc::clone(&author),
        end: End::Clean,
    };
    let mut bytes = encode_batch(Some(InstanceNumber(1)), 1, None, &[Command::Entry(leave)]);
    let place = bytes.len() - 2;
    assert_eq!(bytes[place..], [0, 1], "author 0, clean");
    bytes[place] = 1;
    assert!(refusal(&bytes).contains("author is not there"));

    let bytes = encode_batch(None, 0, None, &[entry(&author, message(1))]);
    assert!(refusal(&bytes).contains("of no instance"));
}

#[test]
fn a_state_is_written_and_read_in_pieces_of_any_size() {
    let (mut canvas, ada) = (canvas(), author("aaaaaaaa", 1, "alice"));
    join(&mut canvas, &ada, 0).expect("a place");
    let text = "x".repeat(300);
    let mut messages = vec![r#"{"type":"chat","op":1,"text":"hello"}"#.to_owned()];
    for n in 0..5 {
        let op = 2 + 2 * n;
        messages.push(format!(
            r#"{{"type":"object-create","op":{op},"object":{{"id":"o{n}","kind":"k","a":"{text}"}}}}"#
        ));
        let op = op + 1;
        messages.push(format!(
            r#"{{"type":"log-append","op":{op},"id":"o{n}","data":"AAEC"}}"#
        ));
    }
    for message in &messages {
        say(&mut canvas, &ada, message, 0);
    }
    let whole = canvas.freeze().encode();
    for bytes in [1, 7, 64, 1_000, whole.len(), usize::MAX] {
        let pieces: Vec<Vec<u8>> = canvas.freeze().pieces(bytes).collect();
        let (last, others) = pieces.split_last().expect("some");
        assert!(others.iter().all(|piece| piece.len() == bytes));
        assert_eq!(pieces.concat(), whole);
        let mut reading = Reading::default();
        others.iter().for_each(|piece| reading.feed(piece));
        reading.feed(last);
        let copy = reading.done(RULES).expect("a state");
        assert_eq!(copy.freeze().encode(), whole);
        let mut reading = Reading::default();
        others.iter().for_each(|piece| reading.feed(piece));
        let refusal = reading.done(RULES).expect_err("the last piece is missing");
        assert!(matches!(refusal, Damaged::Unreadable(_)), "{refusal}");
    }
}

/// A byte that fell over is not seen in a text. What all of it adds up to tells.
#[test]
fn a_state_that_does_not_add_up_is_refused() {
    let (mut canvas, ada) = (canvas(), author("aaaaaaaa", 1, "alice"));
    join(&mut canvas, &ada, 0).expect("a place");
    let object = r#"{"type":"object-create","op":1,"object":{"id":"o","kind":"green"}}"#;
    say(&mut canvas, &ada, object, 0);
    let chat = r#"{"type":"chat","op":2,"text":"hello"}"#;
    say(&mut canvas, &ada, chat, 0);
    let bytes = canvas.freeze().encode();
    assert!(CanvasState::decode(&bytes, RULES).is_ok());
    for text in ["green", "hello", "alice"] {
        let mut bytes = bytes.clone();
        let place = bytes.windows(5).position(|five| five == text.as_bytes());
        bytes[place.expect(text)] ^= 2;
        let refusal = CanvasState::decode(&bytes, RULES).expect_err(text);
        assert!(refusal.to_string().contains("add up"), "{refusal}");
    }
}

#[test]
fn a_log_over_its_bound_is_due_at_once() {
    let (mut canvas, author) = (canvas(), author("aaaaaaaa", 1, ""));
    let data = "x".repeat(64 * 1024);
    for op in 1..=crate::limits::MEMORY_LOG_BYTES / data.len() + 1 {
        let now_ms = i64::try_from(op).expect("fits");
        let text = format!(r#"{{"type":"broadcast","op":{op},"event":"e","data":"{data}"}}"#);
        say(&mut canvas, &author, &text, now_ms);
        let (retained, due_at_ms) = (canvas.retained(), canvas.due_at_ms());
        tick(&mut canvas, now_ms);
        assert_eq!(canvas.retained() < retained, due_at_ms == Some(now_ms));
    }
    assert!(canvas.retained() < crate::limits::MEMORY_LOG_BYTES / data.len());
    let copy = copy_of(&canvas, RULES);
    assert_eq!(copy.due_at_ms(), canvas.due_at_ms());
}

#[test]
fn an_instance_that_is_quiet_for_days_is_forgotten() {
    let mut canvas = canvas();
    let days = i64::try_from(CLIENT_MEMORY.as_millis()).expect("fits");
    assert!(canvas.accept(Some(InstanceNumber(1)), 5, 0));
    assert!(canvas.accept(Some(InstanceNumber(2)), 5, 3 * days));
    assert!(!canvas.accept(Some(InstanceNumber(1)), 5, 3 * days));
    tick(&mut canvas, 3 * days);
    assert!(
        canvas.accept(Some(InstanceNumber(1)), 5, 3 * days),
        "forgotten"
    );
    assert!(!canvas.accept(Some(InstanceNumber(2)), 5, 3 * days));
    assert!(!canvas.accept(Some(InstanceNumber(2)), 4, 3 * days));
    assert!(canvas.accept(Some(InstanceNumber(2)), 6, 3 * days));
}

proptest! {
    #[test]
    fn rubbish_is_no_batch_and_no_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        let _ = decode_batch(&bytes);
        let _ = decode_ephemeral(&bytes);
        if let Ok(state) = CanvasState::decode(&bytes, RULES) {
            state.read(state.head(), usize::MAX);
        }
    }
}
