//! The format of batches and snapshots, and what batches do, as it is committed in `tests/files/format-<N>.txt`. Another format, or
//! another meaning, is another number: `log::FORMAT`. Processes with other numbers do not share a relay, since they would come
//! to other canvases.
//!
//! After the number was changed: `SCUMBLE_WRITE_FORMAT=1 cargo nextest run golden` writes the file of the new one.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::*;
use crate::backplane::End;
use crate::canvas::Command;
use crate::canvas::codec::{Seen, decode_batch, decode_ephemeral, encode_batch, encode_ephemeral};
use crate::log::FORMAT;
use crate::protocol::ids::InstanceNumber;

/// All kinds of durable messages, by two clients, with what is refused, ignored or comes again.
const MESSAGES: [&str; 23] = [
    r#""type":"object-create","object":{"id":"o1","kind":"k","x":1.50,"s":{"a":1,"z":[]}}}"#,
    r#""type":"object-create","object":{"id":"é\n","kind":"k","b":true,"n":null}}"#,
    r#""type":"object-create","object":{"id":"o1","kind":"again"}}"#,
    r#""type":"object-update","id":"o1","patch":{"x":null,"s":{"b":[1e-7]}}}"#,
    r#""type":"object-update","id":"é\n","patch":{"y":18446744073709551615}}"#,
    r#""type":"object-update","id":"o1","set":{"s.a":null},"append":{"s.z":[1]},"unset":["x"]}"#,
    r#""type":"object-update","id":"none","patch":{"x":1}}"#,
    r#""type":"object-create","object":{"id":"o3","kind":"k"}}"#,
    r#""type":"object-create","object":{"id":"o4","kind":"one too many"}}"#,
    r#""type":"object-delete","id":"o3"}"#,
    r#""type":"object-delete","id":"o3"}"#,
    r#""type":"chat","text":"hello \"you\""}"#,
    r#""type":"broadcast","event":"e","data":[0.1]}"#,
    r#""type":"object-create","object":{"id":"o5","kind":"k"}}"#,
    r#""type":"chat","text":"bye"}"#,
    r#""type":"object-update","id":"o5","patch":{"a":{"b":{"c":"d"}}}}"#,
    r#""type":"log-append","id":"o5","data":"AAEC"}"#,
    r#""type":"log-append","id":"é\n","data":"\/w=="}"#,
    r#""type":"log-append","id":"none","data":"AAEC"}"#,
    r#""type":"log-append","id":"o5","data":"/////w=="}"#,
    r#""type":"log-compact","id":"o5","upto":5,"data":"Y29tcGFjdA=="}"#,
    r#""type":"log-compact","id":"o5","epoch":"0000000000000009","upto":14}"#,
    r#""type":"log-compact","id":"o5","upto":999,"data":"AA=="}"#,
];

fn durable(text: &str) -> Durable {
    match parse(text) {
        Ok(ClientMessage::Durable(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

fn said(author: &Arc<Author>, op: u64, which: usize) -> Command {
    let message = durable(&format!("{{\"op\":{op},{}", MESSAGES[which]));
    Command::Entry(Entry::Durable {
        author: Arc::clone(author),
        message,
    })
}

fn compacted(author: &Arc<Author>) -> Command {
    let compact = r#"{"type":"log-compact","op":42,"id":"é\n","upto":17,"data":"AAAA"}"#;
    Command::Entry(Entry::Durable {
        author: Arc::clone(author),
        message: durable(compact),
    })
}

/// Batches about logs, which come last.
fn of_logs(ada: &Arc<Author>) -> [(u32, i64, Vec<Command>); 3] {
    let several = |first: u64, which: std::ops::Range<usize>| {
        let said = which.map(|n| said(ada, first + n as u64, n));
        said.collect()
    };
    [
        (1, 11_002, several(50, 16..20)),
        (1, 11_003, several(80, 20..23)),
        (1, 11_004, vec![said(ada, 110, 19), said(ada, 111, 16)]),
    ]
}

/// Batches as instances would write them, each with its time.
fn batches() -> Vec<(i64, Vec<u8>)> {
    let (ada, bob) = (author("aaaaaaaa", 1, "alice"), author("bbbbbbbb", 2, ""));
    let entry = |entry| Command::Entry(entry);
    let join = |author: &Arc<Author>| {
        entry(Entry::Join {
            author: Arc::clone(author),
        })
    };
    let leave = |author: &Arc<Author>, end| {
        entry(Entry::Leave {
            author: Arc::clone(author),
            end,
        })
    };
    let state = entry(Entry::State {
        author: Arc::clone(&bob),
        state: r#"{"tool":"pen"}"#.to_owned(),
    });
    let clean = |author| leave(author, End::Clean);
    let together = r#"{"type":"batch","ops":[
        {"type":"object-create","op":31,"object":{"id":"o6","kind":"k"}},
        {"type":"object-update","op":32,"id":"o6","patch":{"x":1}},
        {"type":"object-delete","op":33,"id":"o6"}]}"#;
    let together = entry(Entry::Durable {
        author: Arc::clone(&bob),
        message: durable(together),
    });
    let seen = Seen {
        era: [1, 2, 3, 4],
        n: 1_000_000,
        chain: [5, 6, 7, 8],
        state: [9; 8],
    };
    let many = (0..MESSAGES.len()).map(|which| {
        let by = if which % 3 == 2 { &bob } else { &ada };
        said(by, which as u64 + 1, which)
    });
    let again = vec![said(&ada, 2, 1), said(&ada, 40, 12), Command::Tick];
    let (instance, died) = (InstanceNumber(1), true);
    let lost = Command::InstanceGone { instance, died };
    let mut commands: Vec<(u32, i64, Vec<Command>)> = vec![
        (1, 10_000, vec![join(&ada), join(&bob), state]),
        (1, 10_100, many.collect()),
        (2, 10_100, again),
        (1, 10_200, vec![together, leave(&bob, End::Lost)]),
        (0, 10_300, vec![Command::Renumber { epoch: Epoch(8) }]),
        (2, 10_400, vec![join(&bob), said(&bob, 50, 14), lost]),
        (2, 10_950, vec![Command::Tick, join(&bob), clean(&bob)]),
        (1, 10_960, vec![said(&ada, 41, 17), compacted(&ada)]),
        (0, 11_000, vec![Command::Restart { epoch: Epoch(9) }]),
        (
            1,
            11_001,
            vec![
                said(&ada, 43, 13),
                said(&ada, 44, 15),
                said(&ada, 45, 11),
                join(&ada),
            ],
        ),
    ];
    commands.extend(of_logs(&ada));
    let coded = commands.into_iter().zip(1..);
    let coded = coded.map(|((from, at_ms, commands), serial)| {
        let seen = (serial > 1 && from > 0).then_some(seen);
        let serial = if from == 0 { 0 } else { serial };
        let from = (from > 0).then_some(InstanceNumber(from));
        (at_ms, encode_batch(from, serial, seen, &commands))
    });
    coded.collect()
}

fn ephemeral() -> Vec<u8> {
    let ada = author("aaaaaaaa", 1, "alice");
    let body = r#""event":"e","data":1"#.to_owned();
    let cursors = vec![(ada.client.clone(), r#""x":1"#.into())];
    let conn = ConnId::new(InstanceNumber(3), 7);
    let author = ada;
    encode_ephemeral(
        InstanceNumber(5),
        &[
            Entry::Signal { author, body },
            Entry::Cursors { cursors },
            Entry::Kick { conn },
        ],
    )
}

/// What is committed: each batch and what a canvas is after it, then the canvas.
fn written(batches: &[(i64, Vec<u8>)], ephemeral: &[u8]) -> String {
    let mut text = format!("format {FORMAT}\n");
    let mut canvas = canvas();
    for (at_ms, bytes) in batches {
        canvas.apply_batch(decode_batch(bytes).expect("a batch"), *at_ms);
        let _ = writeln!(text, "batch {at_ms} {}", hex(bytes));
        let _ = writeln!(
            text,
            "state {:016x} {:016x}",
            canvas.agreed_hash(),
            canvas.hash()
        );
    }
    let _ = writeln!(text, "ephemeral {}", hex(ephemeral));
    let _ = writeln!(text, "snapshot {}", hex(&canvas.freeze().encode()));
    let (_, messages) = canvas.rows_after(0, usize::MAX).expect("messages");
    let _ = writeln!(text, "messages {}", hex(&messages));
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16);
    pairs.map(|pair| byte(pair).expect("hex")).collect()
}

fn file() -> PathBuf {
    let name = format!("tests/files/format-{FORMAT}.txt");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn committed() -> String {
    let file = file();
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no configuration to read it"
    )]
    let write = std::env::var_os("SCUMBLE_WRITE_FORMAT").is_some();
    if write && !file.exists() {
        std::fs::write(&file, written(&batches(), &ephemeral())).expect("it is written");
    }
    std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}: see the head of this test", file.display()))
}

#[test]
fn another_format_or_meaning_has_another_number() {
    let (committed, written) = (committed(), written(&batches(), &ephemeral()));
    for (committed, written) in committed.lines().zip(written.lines()) {
        let what = written.split(' ').next();
        assert_eq!(
            committed, written,
            "{what:?} is not what format {FORMAT} has: give log::FORMAT another number"
        );
    }
    assert_eq!(committed.lines().count(), written.lines().count());
}

/// From the committed bytes alone, whatever the code above makes.
#[test]
fn what_is_committed_is_read_and_written_again() {
    let committed = committed();
    let lines = |kind: &'static str| {
        let lines = committed
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>());
        lines.filter(move |words| words[0] == kind)
    };
    let mut batches = Vec::new();
    for words in lines("batch") {
        let (at_ms, bytes) = (words[1].parse().expect("a time"), unhex(words[2]));
        let batch = decode_batch(&bytes).expect("a batch");
        let again = encode_batch(batch.from, batch.serial, batch.seen, &batch.commands);
        assert_eq!(hex(&again), words[2]);
        batches.push((at_ms, bytes));
    }
    let only = |kind| unhex(lines(kind).next().expect(kind)[1]);
    let told = only("ephemeral");
    let (from, entries) = decode_ephemeral(&told).expect("entries");
    assert_eq!(encode_ephemeral(from, &entries), told);
    let mut state = CanvasState::decode(&only("snapshot"), RULES).expect("a snapshot");
    assert!(state.adopt_rows(&[only("messages")]));
    assert_eq!(hex(&state.freeze().encode()), hex(&only("snapshot")));
    assert_eq!(
        state.rows_after(0, usize::MAX).expect("messages").1,
        only("messages")
    );
    assert_eq!(written(&batches, &told), committed);
}
