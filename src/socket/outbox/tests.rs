//! What is sent first, what may be lost, and what stays whole.

use proptest::prelude::*;

use super::*;

fn client(n: u8) -> ClientId {
    ClientId::parse(&format!("client-{n:02}")).expect("id")
}

/// Takes up to `n` bytes as a socket would.
fn take(outbox: &mut Outbox, n: usize) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); 4];
    let filled = outbox.gather(&mut slices);
    let mut bytes: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
    bytes.truncate(n);
    outbox.advance(bytes.len());
    bytes
}

proptest! {
    /// Whatever the sizes of frames and writes: what was taken comes out whole and in order, the bound
    /// holds, and who was refused hears of room.
    #[test]
    fn ordered_and_bounded(steps in prop::collection::vec((any::<bool>(), 1..60_usize), 1..200)) {
        let mut outbox = Outbox::new(100, 100);
        let (mut pushed, mut got, mut n, mut waiting) = (Vec::new(), Vec::new(), 0_u8, false);
        for (push, len) in steps {
            if push {
                n = n.wrapping_add(1);
                if outbox.push(Bytes::from(vec![n; len])) {
                    pushed.extend(std::iter::repeat_n(n, len));
                } else {
                    waiting = true;
                }
                prop_assert!(outbox.bytes() <= 100);
            } else {
                got.extend(take(&mut outbox, len));
                waiting &= !outbox.take_drained();
            }
        }
        while outbox.bytes() > 0 {
            got.extend(take(&mut outbox, 7));
        }
        waiting &= !outbox.take_drained();
        prop_assert!(!waiting);
        prop_assert_eq!(pushed, got);
    }

    /// A stalled reader's latest lane holds one value a slot, and the last one wins.
    #[test]
    fn latest_wins(values in prop::collection::vec((0..5_u8, any::<u8>()), 1..100)) {
        let mut outbox = Outbox::new(100, 100);
        assert!(outbox.push(Bytes::from(vec![0; 90])));
        let mut last = BTreeMap::new();
        for (who, value) in values {
            outbox.latest(Latest::State, &client(who), &Bytes::from(vec![value]));
            last.insert(who, value);
        }
        take(&mut outbox, 90);
        let mut got = Vec::new();
        while !outbox.is_empty() {
            got.extend(take(&mut outbox, 100));
        }
        prop_assert_eq!(got, last.into_values().collect::<Vec<_>>());
    }
}

#[test]
fn a_stalled_reader_gets_one_batch_with_the_last_cursors() {
    let mut outbox = Outbox::new(100, 100);
    assert!(outbox.push(Bytes::from(vec![0; 90])));
    for x in ["\"x\":1", "\"x\":2"] {
        outbox.cursors(&Bytes::from_static(b"frame"), &[(client(1), x.into())]);
    }
    take(&mut outbox, 90);
    let frame = take(&mut outbox, 500);
    assert_eq!(
        std::str::from_utf8(&frame[2..]),
        Ok(r#"{"type":"cursor-batch","cursors":[{"client":"client-01","x":2}]}"#)
    );
}

#[test]
fn who_is_told_of_room_is_not_refused_again() {
    let mut outbox = Outbox::new(100, 100);
    assert!(outbox.push(Bytes::from(vec![0; 40])));
    assert!(!outbox.push(Bytes::from(vec![1; 110])), "a snapshot's part");
    take(&mut outbox, 30);
    assert!(!outbox.take_drained(), "there is room, but not for this");
    take(&mut outbox, 10);
    assert!(outbox.take_drained());
    assert!(outbox.push(Bytes::from(vec![1; 110])));
}

#[test]
fn a_close_comes_after_the_frame_that_was_begun() {
    let mut outbox = Outbox::new(10, 100);
    assert!(outbox.push(Bytes::from_static(b"aaaa")));
    assert!(outbox.push(Bytes::from_static(b"bbbb")));
    take(&mut outbox, 2);
    outbox.close(Bytes::from_static(b"X"));
    assert!(
        outbox.push(Bytes::from_static(b"cccc")),
        "taken and dropped"
    );
    assert_eq!(take(&mut outbox, 100), b"aaX");
    assert!(outbox.is_empty());
}

#[test]
fn a_frame_in_pieces_is_whole_before_the_close() {
    for (taken, left) in [
        (0, "X"),
        (1, "nX"),
        (2, "X"),
        (3, "bcdefX"),
        (4, "cdefX"),
        (7, "fX"),
        (8, "X"),
        (9, "gggggggggX"),
    ] {
        let mut outbox = Outbox::new(10, 100);
        outbox.raw(Bytes::from("nn"));
        outbox.raw_in_pieces(["ab", "cd", "ef"].map(Bytes::from).to_vec());
        outbox.raw(Bytes::from("gggggggggg"));
        for _ in 0..taken {
            take(&mut outbox, 1);
        }
        outbox.close(Bytes::from("X"));
        let mut got = Vec::new();
        while outbox.bytes() > 0 {
            got.extend(take(&mut outbox, 100));
        }
        assert_eq!(String::from_utf8_lossy(&got), left, "{taken}");
    }
}

/// Clients that come and go while a reader is stuck are as many as anybody likes.
#[test]
fn the_slots_are_counted() {
    let mut outbox = Outbox::new(100, 2);
    assert!(outbox.push(Bytes::from(vec![0; 90])));
    let frame = Bytes::from_static(b"frame");
    outbox.cursors(&frame, &[(client(1), "\"x\":1".into())]);
    assert!(outbox.latest(Latest::Away, &client(1), &frame));
    assert!(
        outbox.latest(Latest::Roster, &client(1), &frame),
        "instead of both"
    );
    assert!(outbox.latest(Latest::Roster, &client(2), &frame));
    assert!(!outbox.latest(Latest::Roster, &client(3), &frame));
}

#[test]
fn what_may_be_lost_is_within_the_bound_too() {
    let mut outbox = Outbox::new(100, 2);
    assert!(!outbox.droppable(&Bytes::from(vec![0; 101])));
    assert!(outbox.droppable(&Bytes::from(vec![0; 40])));
    assert!(!outbox.droppable(&Bytes::from(vec![0; 61])));
    assert!(outbox.droppable(&Bytes::from(vec![0; 60])));
    assert!(!outbox.droppable(&Bytes::from(vec![0; 1])));
}
