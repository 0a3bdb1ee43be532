//! The bytes of a wake. Processes of two versions may share a file for a while: a wake that is not understood means
//! "look into the file".

use std::num::NonZeroU32;

use crate::backplane::CanvasKey;
use crate::sqlite::delivery::carried::{self, MAX_BYTES, QueueRow};
use crate::sqlite::delivery::tail::{Committed, Step};

/// Canvases that one datagram names; with more it names none, which means all.
const MAX_KEYS: usize = 512;
/// The largest head, before keys or rows: the tag, the log's length, the first row's id.
const HEAD: usize = 1 + 4 + 8;
/// The largest datagram, with its seal.
pub(in crate::sqlite) const MAX_LEN: usize = super::seal::LEN
    + HEAD
    + if MAX_BYTES > 8 * MAX_KEYS {
        MAX_BYTES
    } else {
        8 * MAX_KEYS
    };

const ROWS: u8 = b'r';
const CARRIED: u8 = b'R';
const HELLO: u8 = b'h';
const JOBS: u8 = b'j';
/// Queues that one datagram names.
pub(in crate::sqlite) const MAX_JOBS: usize = 256;

/// A wake, as it is received.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sqlite) enum Datagram<'a> {
    /// These canvases got rows; `None`: any may have.
    Rows {
        /// The length of the write-ahead log in pages, if its sender knows.
        wal_frames: Option<NonZeroU32>,
        keys: Option<Vec<CanvasKey>>,
    },
    /// These rows were committed; the others' ids follow on the first one's.
    Carried {
        wal_frames: Option<NonZeroU32>,
        first_id: i64,
        rows: Vec<QueueRow<'a>>,
    },
    /// Jobs can be popped from queues of these names (hashed), from these times on.
    Jobs {
        wal_frames: Option<NonZeroU32>,
        wakes: Vec<(u64, i64)>,
    },
    /// A peer has come or gone, or says what this version does not know.
    Hello,
}

impl<'a> Datagram<'a> {
    /// A peer has come or gone.
    pub(in crate::sqlite) const HELLO: [u8; 1] = [HELLO];

    /// Takes one apart.
    pub(in crate::sqlite) fn read(bytes: &'a [u8]) -> Self {
        let Some((&tag, rest)) = bytes.split_first() else {
            return Self::Hello;
        };
        let Some((frames, rest)) = rest.split_first_chunk() else {
            return Self::Hello;
        };
        let wal_frames = NonZeroU32::new(u32::from_le_bytes(*frames));
        match tag {
            ROWS => {
                let bytes = rest.as_chunks::<8>().0.iter();
                let keys: Vec<_> = bytes
                    .map(|key| CanvasKey(i64::from_le_bytes(*key)))
                    .collect();
                Self::Rows {
                    wal_frames,
                    keys: (!keys.is_empty()).then_some(keys),
                }
            }
            JOBS => {
                let wakes = rest.as_chunks::<16>().0.iter().map(|wake| {
                    let (name, at) = wake.split_at(8);
                    let number = |bytes: &[u8]| bytes.try_into().unwrap_or_default();
                    (
                        u64::from_le_bytes(number(name)),
                        i64::from_le_bytes(number(at)),
                    )
                });
                let wakes = wakes.collect();
                Self::Jobs { wal_frames, wakes }
            }
            CARRIED => Self::read_carried(wal_frames, rest).unwrap_or(Self::Hello),
            _ => Self::Hello,
        }
    }

    fn read_carried(wal_frames: Option<NonZeroU32>, rest: &'a [u8]) -> Option<Self> {
        let (first_id, rows) = rest.split_first_chunk()?;
        let first_id = i64::from_le_bytes(*first_id);
        let rows = carried::read(rows)?;
        // No id that SQLite would give lets their sum overflow.
        (1..i64::MAX - MAX_LEN as i64)
            .contains(&first_id)
            .then_some(Self::Carried {
                wal_frames,
                first_id,
                rows,
            })
    }
}

/// The wake after a commit.
pub(in crate::sqlite) fn rows(committed: &Committed, wal_frames: Option<NonZeroU32>) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(HEAD + 512);
    let frames = wal_frames.map_or(0, NonZeroU32::get).to_le_bytes();
    if let (Some(ids), Some(rows)) = (committed.ids, committed.carried.bytes()) {
        datagram.push(CARRIED);
        datagram.extend_from_slice(&frames);
        datagram.extend_from_slice(&ids.first.to_le_bytes());
        datagram.extend_from_slice(rows);
        return datagram;
    }
    datagram.push(ROWS);
    datagram.extend_from_slice(&frames);
    let keys = keys(&committed.steps);
    if keys.len() <= MAX_KEYS {
        let keys = keys.iter().flat_map(|key| key.0.to_le_bytes());
        datagram.extend(keys);
    }
    datagram
}

/// The wake for jobs; [`MAX_JOBS`] at most.
pub(in crate::sqlite) fn jobs(wakes: &[(u64, i64)], wal_frames: u32) -> Vec<u8> {
    let mut datagram = vec![JOBS];
    datagram.extend_from_slice(&wal_frames.to_le_bytes());
    for (name, at) in wakes {
        datagram.extend_from_slice(&name.to_le_bytes());
        datagram.extend_from_slice(&at.to_le_bytes());
    }
    datagram
}

/// The canvases that got rows.
fn keys(steps: &[Step]) -> Vec<CanvasKey> {
    let mut keys: Vec<CanvasKey> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Log(logged) => Some(logged.key),
            Step::Row { key, .. } => Some(*key),
            Step::Answer { .. } => None,
        })
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backplane::Delivery;
    use crate::protocol::ids::ConnId;
    use crate::sqlite::delivery::tail::Ids;

    fn row(key: i64, payload: &str) -> QueueRow<'_> {
        QueueRow {
            key: CanvasKey(key),
            seq: None,
            kind: "kick",
            origin: 1,
            client: "",
            op: 0,
            at_ms: 1,
            expires_at: 2,
            payload,
        }
    }

    fn committed(rows: &[QueueRow<'_>]) -> Committed {
        let last = 40 + rows.len() as i64;
        let mut committed = Committed {
            ids: Some(Ids { first: 41, last }),
            ..Committed::default()
        };
        for row in rows {
            let (key, delivery) = (row.key, Delivery::Kick { conn: ConnId(1) });
            committed.steps.push(Step::Row { key, delivery });
            committed.carried.push(row);
        }
        committed
    }

    #[test]
    fn wakes_for_jobs_are_read_as_they_were_written() {
        let wakes: Vec<_> = (0..MAX_JOBS as u64).map(|n| (u64::MAX - n, -1)).collect();
        let bytes = super::jobs(&wakes, 77);
        assert!(bytes.len() <= MAX_LEN);
        let wal_frames = NonZeroU32::new(77);
        assert_eq!(Datagram::read(&bytes), Datagram::Jobs { wal_frames, wakes });
    }

    #[test]
    fn few_rows_travel_along() {
        let rows = [row(7, "{\"conn\":1}"), row(-1, "{}")];
        let frames = NonZeroU32::new(12);
        let bytes = super::rows(&committed(&rows), frames);
        let received = Datagram::Carried {
            wal_frames: frames,
            first_id: 41,
            rows: rows.to_vec(),
        };
        assert_eq!(Datagram::read(&bytes), received);
    }

    #[test]
    fn of_many_rows_the_canvases_are_named() {
        let large = "x".repeat(MAX_BYTES / 2);
        let rows = [row(7, &large), row(-1, &large), row(7, "{}")];
        let frames = NonZeroU32::new(12);
        let bytes = super::rows(&committed(&rows), frames);
        let received = Datagram::Rows {
            wal_frames: frames,
            keys: Some([-1, 7].map(CanvasKey).to_vec()),
        };
        assert_eq!(Datagram::read(&bytes), received);
        assert!(bytes.len() <= MAX_LEN);
    }

    #[test]
    fn with_too_many_canvases_it_may_be_any() {
        let rows: Vec<_> = (0..=512).map(|key| row(key, "{\"conn\":1}")).collect();
        let bytes = super::rows(&committed(&rows), None);
        let received = Datagram::Rows {
            wal_frames: None,
            keys: None,
        };
        assert_eq!(Datagram::read(&bytes), received);
    }

    proptest! {
        #[test]
        fn whatever_else_comes_means_look(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if !matches!(bytes.first(), Some(&(ROWS | CARRIED | JOBS))) {
                prop_assert_eq!(Datagram::read(&bytes), Datagram::Hello);
            }
        }
    }
}
