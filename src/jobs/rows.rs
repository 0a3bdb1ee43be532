//! The tables of the queue. Each is ordered by its key, and searched only by it. Instead of an index, there is another
//! table, which the rules maintain. Times are milliseconds of the relay's clock.

use std::collections::BTreeMap;

use super::cells::{Cell, In, Key, Out};
use super::options::Options;

/// A row of a table.
pub(crate) trait Row: Clone + Send + 'static {
    type Key: Key + Send;
    /// Among [`TABLES`].
    const NUMBER: usize;
    const TABLE: &'static str;
    /// The key's columns come first.
    const COLUMNS: &'static [&'static str];
    const KEYS: usize;
    fn key(&self) -> Self::Key;
    fn write(&self, out: &mut dyn Out);
    fn read(from: &mut dyn In) -> Self;
    fn map(maps: &Maps) -> &BTreeMap<Self::Key, Self>;
    fn map_mut(maps: &mut Maps) -> &mut BTreeMap<Self::Key, Self>;
}

/// What is done with each table.
pub(crate) trait EachTable {
    type Error;
    fn table<R: Row>(&mut self) -> Result<(), Self::Error>;
}

macro_rules! tables {
    ($($(#[$doc:meta])* $number:literal $name:ident $table:literal $map:ident
        ($($k:ident: $kt:ty),+) { $($(#[$fdoc:meta])* $f:ident: $ft:ty),* $(,)? })+) => {
        /// All tables, as a store in memory has them.
        #[derive(Default)]
        pub(crate) struct Maps { $($map: BTreeMap<($($kt,)+), $name>,)+ }

        /// Names, columns, and how many of those are the key.
        pub(crate) const TABLES: &[(&str, &[&str], usize)] =
            &[$(($name::TABLE, $name::COLUMNS, $name::KEYS)),+];

        /// Does something with each table in turn.
        pub(crate) fn each_table<E: EachTable>(each: &mut E) -> Result<(), E::Error> {
            $(each.table::<$name>()?;)+
            Ok(())
        }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub(crate) struct $name {
                $(pub(crate) $k: $kt,)+
                $($(#[$fdoc])* pub(crate) $f: $ft,)*
            }

            impl Row for $name {
                type Key = ($($kt,)+);
                const NUMBER: usize = $number;
                const TABLE: &'static str = $table;
                const COLUMNS: &'static [&'static str] =
                    &[$(stringify!($k),)+ $(stringify!($f),)*];
                const KEYS: usize = [$(stringify!($k)),+].len();
                fn key(&self) -> Self::Key {
                    ($(self.$k.clone(),)+)
                }
                fn write(&self, out: &mut dyn Out) {
                    $(self.$k.put(out);)+
                    $(self.$f.put(out);)*
                }
                fn read(from: &mut dyn In) -> Self {
                    Self { $($k: Cell::take(from),)+ $($f: Cell::take(from),)* }
                }
                fn map(maps: &Maps) -> &BTreeMap<Self::Key, Self> {
                    &maps.$map
                }
                fn map_mut(maps: &mut Maps) -> &mut BTreeMap<Self::Key, Self> {
                    &mut maps.$map
                }
            }
        )+
    };
}

tables! {
    /// What all queues share. One row, 0.
    0 Totals "job_totals" totals (zero: i64) {
        /// The next number of anything: queues, partitions, groups, messages, turns, the dead. Never given twice.
        next_id: i64,
        queues: i64,
        bytes: i64,
    }

    1 Queue "job_queues" queues (key: i64) {
        name: String,
        namespace: String,
        task: String,
        options: Options,
        created_at: i64,
        /// Partitions with a lower number were cleared.
        cleared: i64,
        partitions: i64,
        /// Messages that are there, completed ones that are kept included.
        messages: i64,
        /// Completed ones that are kept.
        kept: i64,
        /// Of messages, of the dead, and of marks.
        bytes: i64,
        marks: i64,
        dead: i64,
        /// Of the dead, of traces, and of the names in runs.
        other_bytes: i64,
        pushed: i64,
        completed: i64,
        /// Attempts that failed or ran out of time.
        failed: i64,
        /// Dropped by a retention.
        dropped: i64,
        /// How long messages waited, and were worked on: see `timings`.
        timings: Vec<u8>,
    }

    2 QueueName "job_queue_names" queue_names (name: String) {
        key: i64,
    }

    3 Partition "job_partitions" partitions (key: i64) {
        queue: i64,
        name: String,
        /// In its name on the wire.
        tag: i64,
        /// The next message's place.
        next_seq: i64,
        messages: i64,
        /// Of its messages.
        bytes: i64,
        /// When something was last pushed.
        used_at: i64,
    }

    4 PartitionName "job_partition_names" partition_names (queue: i64, name: String) {
        key: i64,
    }

    5 Message "job_messages" messages (partition: i64, seq: i64) {
        id: i64,
        created_at: i64,
        priority: i64,
        /// The only group that it is for; 0: all.
        only: i64,
        trace: Option<String>,
        name: String,
        payload: String,
    }

    /// A message's name in its partition: whether it is there, or was a short while ago. A name that says the message's place has no row.
    6 Named "job_named" named (partition: i64, digest: [u8; 16]) {
        /// 0: it is completed, and this is a mark of it.
        seq: i64,
        /// That the message takes.
        bytes: i64,
        /// The message's number.
        id: i64,
        /// How long the mark counts.
        until: i64,
    }

    /// What ends by itself, in the order of time. The kinds are those of `kinds::ends`; the number of a note is `n`.
    7 Mark "job_marks" marks (queue: i64, kind: i64, at: i64, n: i64) {
        partition: i64,
        /// Of the name; or a place, and the bytes of its run.
        digest: [u8; 16],
    }

    8 Group "job_groups" groups (queue: i64, name: String) {
        key: i64,
        /// 0: everything that is there; 1: what comes; 2: what came at or after `start`.
        mode: i64,
        start: i64,
        /// The last partition (by name) whose backlog it has taken in; `None`: all.
        join_after: Option<String>,
        created_at: i64,
        seen_at: i64,
        /// Messages that it has not completed.
        waiting: i64,
        /// Those that are leased.
        out: i64,
        delivered: i64,
        completed: i64,
    }

    /// Where a group is in a partition.
    9 Cursor "job_cursors" cursors (partition: i64, grp: i64) {
        queue: i64,
        /// See `work::Standing`.
        state: i64,
        /// The turn or the time, by `state`.
        at: i64,
        /// In order: everything before is done. Else: the backlog before this is taken in.
        next: i64,
        /// In order: where the lease ends. Else: where the backlog ends.
        upto: i64,
        /// Messages that are leased.
        out: i64,
        lease: Option<[u8; 16]>,
        leased_at: i64,
        /// One by one, until one succeeds.
        single: bool,
        /// Rows of `job_states`.
        states: i64,
    }

    /// An index of cursors that are not idle.
    10 Turn "job_turns" turns (queue: i64, grp: i64, state: i64, at: i64, partition: i64) {}

    /// A message that is not simply pending for a group.
    11 State "job_states" states (partition: i64, grp: i64, seq: i64) {
        /// See `work::Kind`.
        kind: i64,
        /// When it is due, or its lease ends.
        at: i64,
        /// Deliveries that ended without success.
        attempts: i64,
        /// Those of them that ran out of time.
        expired: i64,
        lease: Option<[u8; 16]>,
        leased_at: i64,
        error: Option<String>,
    }

    /// Messages of unordered queues by rank, due time, or end of lease: `kind` is that of `State`, 0 for those without one.
    12 Ready "job_ready" ready (partition: i64, grp: i64, kind: i64, at: i64, seq: i64) {}

    /// What a lease holds. `seq` 0: what its cursor says.
    13 Lease "job_leases" leases (lease: [u8; 16], partition: i64, grp: i64, seq: i64) {
        queue: i64,
    }

    14 Dead "job_dead" dead (id: i64) {
        queue: i64,
        partition: i64,
        partition_name: String,
        grp: String,
        message: i64,
        created_at: i64,
        died_at: i64,
        attempts: i64,
        priority: i64,
        reviewed_at: Option<i64>,
        error: String,
        trace: Option<String>,
        name: String,
        payload: String,
    }

    /// Kind 0: all; 1: not reviewed; 2: reviewed, by when.
    15 DeadIndex "job_dead_index" dead_index (queue: i64, kind: i64, at: i64, id: i64) {}

    /// What is to be deleted bit by bit. Kind 0: a queue; 1: a partition of queue `other`; 2: a group of queue `other`; 3: partitions of a queue
    /// with numbers below `other`.
    16 Gone "job_gone" gone (n: i64) {
        kind: i64,
        key: i64,
        other: i64,
        /// The last partition (by name) that is done; for a group also how far the next one is, behind a `\0`.
        after: String,
    }

    17 Trace "job_traces" traces (partition: i64, digest: [u8; 16], id: i64) {
        queue: i64,
        message: String,
        grp: String,
        event: String,
        names: String,
        data: String,
        created_at: i64,
    }

    /// Traces by name.
    18 TraceName "job_trace_names" trace_names (name: String, id: i64) {
        partition: i64,
        digest: [u8; 16],
    }

    /// An attempt of the relay itself to deliver messages of a queue: see `deliveries`.
    19 Delivery "job_deliveries" deliveries (queue: i64, n: i64) {
        /// When it began.
        at: i64,
        took_ms: i64,
        /// The message's, or those of the first and the last.
        name: String,
        partition: String,
        /// What the messages tell of.
        kind: String,
        messages: i64,
        /// Which one it was, from 1 on.
        attempt: i64,
        /// Of the receiver's answer, if there was one.
        status: Option<i64>,
        error: Option<String>,
        /// See `deliveries::outcome`.
        outcome: String,
        next_at: Option<i64>,
        /// Its number among the dead.
        dead: Option<i64>,
    }

    /// One version of the hooks. The last one is followed; those before it may still be told of what happened under them. Not over the
    /// file, which has tables of its own for all that follows.
    20 HookSet "hook_sets" hook_sets (version: i64) {
        /// As they were written, a list in JSON.
        texts: String,
        /// Those that are off, and why: a list of pairs in JSON.
        off: String,
    }

    /// A change that waits for its canvas to be quiet.
    21 HookChange "hook_changes" hook_changes (hook: String, canvas: String) {
        epoch: String,
        from_seq: i64,
        to_seq: i64,
        first_at: i64,
        due_at: i64,
    }

    /// An index of those.
    22 HookDue "hook_due" hook_due (at: i64, hook: String, canvas: String) {}

    /// Events that had no room: one row stands for all of a canvas, until there is room to tell of it.
    23 HookGap "hook_gaps" hook_gaps (hook: String, canvas: String) {
        epoch: String,
        from_seq: i64,
        to_seq: i64,
    }

    /// A file of a canvas: see `assets`.
    24 Asset "assets" assets (canvas: String, sha256: String) {
        /// The name under which its bytes are kept.
        blob: String,
        /// Its MIME type.
        kind: String,
        bytes: i64,
        /// Since when no object names it; `None`: one does.
        unused_since: Option<i64>,
        added_at: i64,
    }

    /// A canvas that has assets.
    25 AssetCanvas "asset_canvases" asset_canvases (canvas: String) {
        assets: i64,
        /// As quotas count them.
        bytes: i64,
        /// The canvas's head when it was last looked which assets its objects name; something else: that is to be looked at.
        seen: String,
    }

    /// What all assets share. One row, 0.
    26 AssetTotals "asset_totals" asset_totals (zero: i64) {
        assets: i64,
        /// As quotas count them.
        bytes: i64,
        /// Names the relay where assets are kept: two of them may share a folder.
        relay: String,
        /// Links are signed with it.
        link_key: Vec<u8>,
        /// Who sweeps, and until when nobody else does.
        holder: String,
        held_until: i64,
    }

    /// Messages side by side that were completed together and whose names said their places: marks of all of them. Runs do not overlap.
    27 Run "job_runs" runs (partition: i64, last: i64) {
        first: i64,
        /// How long they count.
        until: i64,
        /// For each message its number, and what sets its name apart: see `removal`.
        names: Vec<u8>,
    }
}

/// The tables from the first of these to before the second are not in a file, which has others for what they say.
const NOT_OF_FILE: (usize, usize) = (HookSet::NUMBER, Asset::NUMBER);

/// Whether a table is in a file, too.
pub(crate) const fn is_of_file(number: usize) -> bool {
    number < NOT_OF_FILE.0 || number >= NOT_OF_FILE.1
}
