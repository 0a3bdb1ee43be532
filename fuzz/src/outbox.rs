//! Any sequence of pushes, answers and partial writes: frames come out whole and in order, within the bound.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use scumble::protocol::frame;
use scumble::protocol::ids::ClientId;
use scumble::protocol::server_message::cursor_batch;
use scumble::room::Latest;
use scumble::socket::outbox::Outbox;
use serde_json::Value;

use super::frames::{Frame, take};
use super::input::Input;

const BOUND: usize = 600;

fn client(n: u8) -> ClientId {
    ClientId::parse(&format!("client-{n:02}")).expect("an id")
}

fn numbered(kind: &str, n: u64, padding: u8) -> Bytes {
    let mut out = Vec::new();
    let padding = "x".repeat(usize::from(padding));
    frame::text(&mut out, |out| {
        out.extend(format!(r#"{{"type":"{kind}","n":{n},"padding":"{padding}"}}"#).into_bytes());
    });
    out.into()
}

/// One life of an outbox.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut outbox = Outbox::new(BOUND, 64);
    let (mut out, mut n, mut closed) = (Vec::new(), 0, false);
    let (mut pushed, mut replied, mut states) = (Vec::new(), Vec::new(), BTreeMap::new());
    let mut waits = false;
    while let Some(step) = input.byte() {
        n += 1;
        match step % 8 {
            0 => {
                let frame = numbered("push", n, input.below(250));
                let len = frame.len();
                let before = outbox.bytes();
                if outbox.push(frame) {
                    assert!(closed || outbox.bytes() <= BOUND.max(len));
                    pushed.extend((!closed).then_some(n));
                } else {
                    assert!(before > 0 && before + len > BOUND, "there was room");
                    waits = true;
                }
            }
            1 => {
                outbox.reply(numbered("reply", n, input.below(50)));
                replied.extend((!closed).then_some(n));
            }
            2 => {
                let who = input.below(4);
                let kept = outbox.latest(Latest::State, &client(who), &numbered("state", n, who));
                assert!(kept, "there are slots for all");
                if !closed {
                    states.insert(who, n);
                }
            }
            3 => {
                let cursors = [(client(input.below(4)), Arc::from(format!(r#""x":{n}"#)))];
                let frame = cursor_batch(cursors.iter().map(|(c, f)| (c, &**f)));
                outbox.cursors(&frame, &cursors);
            }
            4 => {
                let before = outbox.bytes();
                let taken = outbox.droppable(&numbered("signal", n, input.below(50)));
                assert!(taken || before > 0, "there was room");
                assert!(closed || !taken || outbox.bytes() <= BOUND);
            }
            5 if input.below(8) == 0 => {
                outbox.close(frame::close(1000, "done").into());
                closed = true;
            }
            _ => write(&mut outbox, &mut out, usize::from(input.below(255)) + 1),
        }
        waits &= !outbox.take_drained();
    }
    while outbox.bytes() > 0 {
        write(&mut outbox, &mut out, 100);
    }
    waits &= !outbox.take_drained();
    assert!(outbox.is_empty());
    assert!(!waits || closed, "who found it full is told of the room");
    check(&out, closed, &pushed, &replied, &states);
}

fn write(outbox: &mut Outbox, out: &mut Vec<u8>, most: usize) {
    let mut slices = [IoSlice::new(&[]); 3];
    let filled = outbox.gather(&mut slices);
    let there: usize = slices[..filled].iter().map(|s| s.len()).sum();
    assert_eq!(there == 0, outbox.bytes() == 0);
    let mut taken = 0;
    for slice in &slices[..filled] {
        let n = slice.len().min(most - taken);
        out.extend_from_slice(&slice[..n]);
        taken += n;
    }
    if taken > 0 {
        outbox.advance(taken);
    }
}

fn check(
    mut out: &[u8],
    closed: bool,
    pushed: &[u64],
    replied: &[u64],
    states: &BTreeMap<u8, u64>,
) {
    let (mut got_pushed, mut got_replied, mut got_states) =
        (Vec::new(), Vec::new(), BTreeMap::new());
    let mut cursors: BTreeMap<String, u64> = BTreeMap::new();
    let mut over = false;
    while let Some(frame) = take(&mut out) {
        assert!(!over, "nothing behind a close frame");
        let Frame::Text(message) = frame else {
            over = true;
            continue;
        };
        let n = message["n"].as_u64().unwrap_or(0);
        match message["type"].as_str() {
            Some("push") => got_pushed.push(n),
            Some("reply") => got_replied.push(n),
            Some("state") => {
                let who = message["padding"].as_str().map_or(0, str::len);
                let last = got_states.insert(u8::try_from(who).expect("a client"), n);
                assert!(last < Some(n), "an older state after a newer one");
            }
            Some("cursor-batch") => batch(&message, &mut cursors),
            _ => {}
        }
    }
    assert!(out.is_empty(), "half a frame");
    assert_eq!(over, closed);
    if closed {
        // What was big is dropped, from the end.
        assert!(pushed.starts_with(&got_pushed) && replied.starts_with(&got_replied));
    } else {
        assert_eq!(
            (got_pushed, got_replied),
            (pushed.to_vec(), replied.to_vec())
        );
        assert_eq!(&got_states, states);
    }
}

fn batch(message: &Value, cursors: &mut BTreeMap<String, u64>) {
    for cursor in message["cursors"].as_array().expect("cursors") {
        let (client, x) = (cursor["client"].to_string(), cursor["x"].as_u64());
        let last = cursors.insert(client, x.expect("x"));
        assert!(last < x, "an older cursor after a newer one");
    }
}
