//! Files of older versions: what waits and what is out goes on, and nothing is left behind.

use super::*;
use crate::jobs::rows::{Message, Named};

/// See the README beside it.
const VERSION_7: &str = include_str!("../../../tests/files/version-7.sql");
/// Names of the messages there, from the second place on: of a producer, of the relay, and of producers who gave names like
/// the relay's. That of the third one says its own place.
const NAMES: [&str; 5] = [
    "given-2",
    "018bcfe5-6800-7abc-8def-0123456789ab",
    "018bcfe5-6800-7000-8000-000000000004",
    "018bcfe5-6800-7000-8000-000000000002",
    "given-6",
];
/// The partition's number and tag, and the lease of the first two.
const PARTITION: (i64, i64) = (2, 7);
const LEASE: LeaseId = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn named<S: Store>(store: &S, partition: i64) -> usize
where
    S::Error: std::fmt::Debug,
{
    let (from, to) = ((partition, [0; 16]), (partition + 1, [0; 16]));
    store.scan::<Named>(&from, &to, 100).unwrap().len()
}

#[test]
fn jobs_of_a_file_of_version_7_go_on_as_if_nothing_had_happened() {
    crate::sqlite::tests::of_older(VERSION_7, |store| {
        let mut file = Bench::new(store);
        // All but the one whose name says its place, and the mark of the first message.
        assert_eq!(named(&file.store, PARTITION.0), 5);
        let mut q = Q(&mut file);
        q.wait(1_000);
        for name in NAMES.iter().chain(&["given-1"]) {
            let again = q.push_item(PushItem {
                queue: "q".to_owned(),
                name: (*name).to_owned(),
                payload: "1".to_owned(),
                ..PushItem::default()
            });
            assert!(matches!(again, Pushed::Duplicate(_)), "{name}: {again:?}");
        }
        assert_eq!(q.pop(10).messages, [], "the lease that was out still is");
        let acks = NAMES[..2].iter().map(|name| AckItem {
            partition_id: partition_id(PARTITION.0, PARTITION.1),
            name: (*name).to_owned(),
            verdict: Verdict::Completed,
            error: None,
            lease: Some(LEASE),
            group: DEFAULT_GROUP.to_owned(),
        });
        let Answer::Acked(acked) = q.run(&Op::Ack(acks.collect())) else {
            panic!()
        };
        assert!(acked.iter().all(|one| one.result.is_ok()), "{acked:?}");
        let popped = q.pop(10);
        assert_eq!(names(&popped), NAMES[2..]);
        q.complete(&popped);
        q.wait(400_000);
        q.sweep();
        assert_eq!(q.0.bytes(), 0);
        assert_eq!(named(&file.store, PARTITION.0), 0);
    });
}

#[test]
fn a_lease_of_a_file_of_version_7_runs_out_like_any_other() {
    crate::sqlite::tests::of_older(VERSION_7, |store| {
        let mut file = Bench::new(store);
        let mut q = Q(&mut file);
        q.wait(305_000);
        assert_eq!(q.pop(10).messages, [], "it waits before it comes again");
        q.wait(2_000);
        // One by one after that, until one succeeds.
        let first = q.pop(10);
        assert_eq!(names(&first), NAMES[..1]);
        assert_eq!(first.messages[0].retries, 1);
        q.complete(&first);
        let rest = q.pop(10);
        assert_eq!(names(&rest), NAMES[1..]);
        q.complete(&rest);
        assert_eq!(q.status()["depth"], 0);
    });
}

#[test]
fn a_name_that_an_older_version_left_behind_goes_with_its_empty_partition() {
    let mut memory = Bench::new(MemoryStore::default());
    let mut q = Q(&mut memory);
    q.push("q", &["a"]);
    let popped = q.pop(1);
    let partition = popped.messages[0].partition;
    q.complete(&popped);
    for (digest, seq) in [([1; 16], 1), ([2; 16], 7)] {
        let left = Named {
            partition,
            digest,
            seq,
            bytes: 100,
            id: 1,
            until: 0,
        };
        memory.store.put(&left).unwrap();
    }
    let message: Option<Message> = memory.store.get(&(partition, 1)).unwrap();
    assert_eq!(message, None);
    assert_eq!(named(&memory.store, partition), 3);
    let mut q = Q(&mut memory);
    for _ in 0..3 {
        q.wait(400_000);
        q.sweep();
    }
    assert_eq!(named(&memory.store, partition), 0);
    assert_eq!(Q(&mut memory).status()["partitions"], 0);
}
