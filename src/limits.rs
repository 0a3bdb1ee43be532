//! Every bound and timeout that is not a flag, with its reason. Flags have theirs in `config`.

mod quotas;

use std::time::Duration;

pub use quotas::{CanvasRules, FullLog, JobLimits, LOG_SHARE, Logs, ObjectBounds, Quotas};

/// Entries that may wait for the writer in one process. At 50,000 commits a second this is a sixth of a second of work.
pub const WRITER_QUEUE_ENTRIES: usize = 8_192;
/// Bytes that may wait for the writer in one process.
pub const WRITER_QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// Entries of one canvas that may wait: a flooding canvas cannot fill the queue for others.
pub const CANVAS_QUEUE_ENTRIES: usize = 4_096;
/// Entries in one transaction: long enough to spread its cost, short enough that other processes wait little.
pub const BATCH_ENTRIES: usize = 512;
/// Bytes in one transaction, for the same reason.
pub const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// What one canvas may put into a batch in its turn (deficit round robin), in bytes.
pub const CANVAS_QUANTUM_BYTES: usize = 16 * 1024;
/// Work that one `batch` of a client may be when it is tried. It can't be done in parts, and is tried and done: some 300 ms at the most.
pub const ONE_BATCH_WORK: usize = 12 * 1024 * 1024;
/// Work of one batch beyond its own bytes: what is read, taken apart, merged and written of objects, in bytes. Some 25 ms.
pub const BATCH_WORK: usize = 3 * 1024 * 1024;
/// One canvas's share of that.
pub const CANVAS_WORK: usize = 768 * 1024;
/// How long the entries of one transaction may take over the file, whatever they are. Others wait for two of them at the most.
pub const TRANSACTION_TIME: Duration = Duration::from_millis(20);
/// The longest an entry waits before it is refused as `overloaded` instead.
pub const MAX_QUEUE_WAIT: Duration = Duration::from_secs(5);
/// How long a message of the server API waits for its end: what it waits for in the queue, and its transaction.
pub const PUBLISH_WAIT: Duration = Duration::from_secs(8);
/// With a spill file: how long a message waits for the writer before it goes there. With the file's own time it stays below a second.
pub const SPILL_AFTER: Duration = Duration::from_millis(500);
/// SQLite's own wait for a lock, behind the turnstile; its expiry is `overloaded`.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// When a client should send a refused op again.
pub const RETRY_AFTER_MS: u64 = 250;

/// The write-ahead log's size from which a checkpoint takes the turnstile.
pub const WAL_RESTART_BYTES: u64 = 16 * 1024 * 1024;
/// The same in pages: from here on, requests with large jobs wait until the log is copied. A restart keeps everybody
/// waiting until the rest is copied and on the disk: 20 MB take a tenth of a second.
pub const WAL_LONG_FRAMES: u32 = 4_096;
const _: () = assert!(WAL_LONG_FRAMES as u64 * 4_096 == WAL_RESTART_BYTES);
/// A restart waits for more than this to be copied before: some 10 ms.
pub const WAL_TAIL_FRAMES: u32 = 512;
/// Rows that cleanup deletes in one transaction, so that no writer waits long.
pub const CLEANUP_CHUNK: u32 = 1_000;
/// Bytes of objects that go in one transaction when a large canvas is deleted: a few milliseconds.
pub const SWEEP_BYTES: u64 = 1 << 20;
/// How often an instance says that it lives.
pub const HEARTBEAT: Duration = Duration::from_secs(2);
/// A heartbeat older than this is a dead (or stopped) instance.
pub const HEARTBEAT_STALE: Duration = Duration::from_secs(10);
/// How often peers are probed. With the reaping transaction it stays well below the second in which others hear of a death.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// How often watermarks are written, and only if changed.
pub const WATERMARK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a client's highest op is remembered after its last use.
pub const CLIENT_MEMORY: Duration = Duration::from_secs(48 * 3600);
/// Clients that a canvas remembers at most: some 25 MB. Each is kept so that what it sends again is a duplicate, so none gives way before its
/// time: new ones wait. A server that posts with a key of its own each time, once in a second, has fewer in 48 hours.
pub const CLIENTS_REMEMBERED: usize = 250_000;
/// How often it is counted how many those are, where new ones come.
pub const CLIENTS_COUNTED: Duration = Duration::from_secs(30);
/// How often a process samples itself for the analytics: lines that move, for a row that a busy file does not notice.
pub const ANALYTICS_STEP: Duration = Duration::from_secs(5);
/// How long those samples are kept: 180 of some 300 bytes for each process.
pub const ANALYTICS_RECENT: Duration = Duration::from_secs(15 * 60);
/// How long samples of a minute are kept: 1440 for each process, less than half a megabyte.
pub const ANALYTICS_DAY: Duration = Duration::from_secs(24 * 3600);
/// How long whoever has logged in at the dashboard stays so: a working day.
pub const ADMIN_SESSION: Duration = Duration::from_secs(8 * 3600);
/// How long a refused login waits for its answer.
pub const ADMIN_LOGIN_DELAY: Duration = Duration::from_secs(1);
/// Refused logins that wait at once: more are told to come again, whoever has a right token is let in all the same.
pub const ADMIN_LOGINS_WAITING: usize = 8;
/// At most one line in the log about refused tokens in this time: clients that come again and again do not fill the disk.
pub const REFUSED_TOKEN_LINE: Duration = Duration::from_secs(1);

/// What an asset counts as at least, in bytes: a block of the file system. So their number has a bound where their bytes have.
pub const ASSET_CHARGE: i64 = 4_096;
/// Rows of the index of assets that are looked at in one transaction.
pub const ASSETS_AT_ONCE: usize = 256;
/// Bytes of an asset that are read, hashed and written at once. Each upload and each answer holds about as much.
pub const ASSET_CHUNK: usize = 128 * 1024;
/// Uploads at a time of one process: each has a thread that writes now and then, and a chunk in memory.
pub const ASSET_UPLOADS: usize = 32;
/// Uploads at a time of one address: a browser opens six connections to a server.
pub const ASSET_UPLOADS_PER_ADDRESS: usize = 6;
/// The longest that an upload may take, however it trickles. What was left of one is older than this.
pub const ASSET_UPLOAD: Duration = Duration::from_secs(3_600);
/// How long a signed link to an asset is good at most. It is the same one for half of that, so that browsers find what they have.
pub const ASSET_LINK: Duration = Duration::from_secs(3_600);
/// Bytes of a part of an upload into a bucket: no store takes smaller ones. Each upload holds as much.
pub const BUCKET_PART: usize = 5 * 1024 * 1024;
/// A bucket that takes no connection for this long is away.
pub const BUCKET_CONNECT: Duration = Duration::from_secs(3);
/// How long a bucket may be silent before it is asked again, and for how long it is asked again.
pub const BUCKET_SILENCE: Duration = Duration::from_secs(10);
/// How long a bucket may take for one thing, with all tries.
pub const BUCKET_ANSWER: Duration = Duration::from_secs(25);
/// How often it is looked which assets are named, at most: a canvas that has not changed costs one read.
pub const ASSET_SWEEP: Duration = Duration::from_secs(300);
/// How long an answer about the number of assets is good: `/metrics` is asked by several at once.
pub const ASSET_TOTALS_AGE: Duration = Duration::from_secs(2);

/// Bytes of one canvas's log in the in-process backplane: older messages go before their TTL ends, and who needs them gets a snapshot.
pub const MEMORY_LOG_BYTES: usize = 16 * 1024 * 1024;
/// Work beyond the bytes of entries that the in-process backplane does in a millisecond, for all canvases: a quarter of one core's.
pub const MEMORY_WORK_MS: usize = 32 * 1024;
/// How much of it may be done at once: some 60 ms.
pub const MEMORY_WORK: usize = 8 * 1024 * 1024;
/// How often the in-process backplane looks for what has expired.
pub const MEMORY_SWEEP: Duration = Duration::from_millis(250);

/// Bytes of log that wait for a room; beyond, the room reads from the queue. As much again for what may be lost.
pub const ROOM_INBOX_BYTES: usize = 4 * 1024 * 1024;
/// Deliveries that wait for a room, for the same reason.
pub const ROOM_INBOX_ITEMS: usize = 8_192;
/// Bytes of one read from the log for a connection that catches up.
pub const CATCH_UP_BYTES: usize = 64 * 1024;
/// Compressed runs of one canvas's log that are kept for others who catch up: those who lost one process come together, and read the same.
pub const DEFLATED_RUNS: usize = 8;
/// The pause before a failed read is tried again.
pub const READ_RETRY: Duration = Duration::from_millis(100);
/// Snapshots of one canvas that may be on their way to members. Each holds the canvas in memory; with more of them, joiners share one.
pub const SNAPSHOTS_UNDER_WAY: usize = 4;
/// How old a snapshot may be that is shared so.
pub const SNAPSHOT_REUSE: Duration = Duration::from_secs(5);
/// Bytes of a canvas's lists of who is here that are on their way in welcomes, each shared by those who came together. Beyond them no new
/// one is made: who comes shares the latest, and is then told what changed since.
pub const LISTS_UNDER_WAY_BYTES: usize = 32 * 1024 * 1024;
/// Bytes about who came and changed that are told in one piece.
pub const NOTICES_AT_ONCE_BYTES: usize = 64 * 1024;
/// Deleted objects whose names are kept per canvas, for clients that hold an older state. Beyond them such a client gets the whole.
pub const DELETIONS_KEPT: u32 = 2_048;
/// Older states that one read of a snapshot is compared with: clients that come together hold few different ones.
pub const BASES_AT_ONCE: usize = 64;
/// Chat messages kept per canvas, and told in a snapshot.
pub const CHAT_HISTORY: u32 = 200;
/// Bytes of one object after merges: a snapshot part must hold it.
pub const MAX_OBJECT_BYTES: usize = 256 * 1024;
/// Bytes of one client message, unless configured.
pub const DEFAULT_MESSAGE_BYTES: u32 = 256 * 1024;
/// Bytes of one client's presence state.
pub const MAX_STATE_BYTES: usize = 32 * 1024;
/// A presence state of at most so many bytes is always taken.
pub const SMALL_STATE_BYTES: usize = 8 * 1024;
/// Bytes of all presence states of a canvas, as its room knows them. Larger ones are taken up to it: each welcome tells all of them.
pub const MAX_STATES_BYTES: usize = 8 * 1024 * 1024;

/// Ops of one connection that wait for their ack; beyond, the server stops reading from it.
pub const MAX_IN_FLIGHT_OPS: u32 = 1_024;
/// Gaps between the numbers of a connection's ops that wait to be sent again. What is in further ones counts as refused, too: only who
/// leaves out that many numbers has such.
pub const MAX_REFUSED_GAPS: usize = 256;
/// Bytes of one connection's ordered lane.
pub const OUTBOX_BYTES: usize = 512 * 1024;
/// What the WebSocket parser keeps for each connection, idle or not.
pub const READ_BUFFER_BYTES: usize = 128;
/// What is read from a socket at once. Only connections that have something to read hold it.
pub const READ_AHEAD_BYTES: usize = 16 * 1024;
/// Frames that one connection's turn of reading takes in, so that what never becomes a message makes nobody wait. Messages have a bound of
/// their own below it.
pub const FRAMES_PER_TURN: u32 = 256;
/// Bytes of such a turn: a great many small messages, or half of the largest one. Read and handled in well below a millisecond.
pub const BYTES_PER_TURN: usize = 128 * 1024;
/// Fragments of one message. The largest one in pieces of 256 bytes; libraries cut at 4 KiB and more.
pub const MAX_FRAGMENTS: u32 = 1_024;
/// Fragments of one message that hold nothing. Streams that are flushed too often make a few.
pub const MAX_EMPTY_FRAGMENTS: u32 = 64;
/// Bytes of a hello: nobody has shown a token yet.
pub const HELLO_BYTES: usize = 64 * 1024;
/// Bytes before the hello: pings of proxies and the frames' heads.
pub const BEFORE_HELLO_BYTES: usize = 16 * 1024;
/// Bad messages in a row that end a connection.
pub const MAX_BAD_IN_A_ROW: u32 = 10;
/// Bytes that may lie in the kernel unsent. Without a bound a socket takes megabytes at once and then nothing for
/// minutes: a slow reader would look like one that reads nothing, and each would hold that much of the kernel's memory.
/// What is sent and not acknowledged doesn't count, so a fast line far away is not slowed.
pub const UNSENT_BYTES: u32 = 16 * 1024;
/// What a line must carry within `--write-timeout` while it has something to carry: a slow line does, one that holds a place does not.
pub const PROGRESS_BYTES: usize = 1024;
/// Bytes that the answer of a stream of events takes from the outbox at once. hyper holds about as much again.
pub const STREAM_BYTES: usize = 16 * 1024;
/// What a post may have beyond one message of the largest size: the array around it.
pub const POST_BYTES: usize = 4 * 1024;
/// How long the name of a stream's session is good. Who streams for longer gets another one by coming back.
pub const STREAM_SESSION: Duration = Duration::from_secs(6 * 3600);
/// What is read and thrown away after a close frame of ours, so that the client gets to read it.
pub const LINGER_BYTES: usize = 1024 * 1024;
/// Who says `bye` gets the answers to its ops that come within this time.
pub const PART_TIMEOUT: Duration = Duration::from_secs(2);
/// Peers get this long to answer a close frame.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

// The log of an object goes in one step with it.
const _: () = assert!(
    crate::protocol::client_message::MAX_LOG_BYTES + MAX_OBJECT_BYTES as u64
        <= ONE_BATCH_WORK as u64
);
const _: () = assert!(3 * MAX_OBJECT_BYTES <= CANVAS_WORK && 4 * CANVAS_WORK <= BATCH_WORK);
const _: () = assert!(CANVAS_QUEUE_ENTRIES * 2 <= WRITER_QUEUE_ENTRIES);
const _: () = assert!(MAX_IN_FLIGHT_OPS as usize * 2 <= CANVAS_QUEUE_ENTRIES);
const _: () = assert!(CATCH_UP_BYTES * 2 <= OUTBOX_BYTES);
const _: () = assert!(
    crate::protocol::server_message::MAX_PART_BYTES * 2
        <= crate::protocol::deflate::MAX_INFLATED_BYTES
);
const _: () = assert!(crate::protocol::client_message::MAX_PATCH_BYTES == MAX_STATE_BYTES);
const _: () = assert!(MAX_OBJECT_BYTES * 2 <= crate::protocol::server_message::MAX_PART_BYTES);
const _: () = assert!(HEARTBEAT.as_millis() * 3 < HEARTBEAT_STALE.as_millis());

/// Connections that wait to be accepted; the kernel may allow fewer (`net.core.somaxconn`). When a process dies, all its clients come to the
/// others within a quarter of a second: who finds no place asks again a second later.
pub const LISTEN_BACKLOG: u32 = 4_096;

/// Connections that may speak HTTP at a time, however few WebSockets are allowed: health, metrics and pages must come through.
pub const MIN_HTTP_CONNECTIONS: usize = 64;
/// Those of one address, however few WebSockets it may have: a browser opens six for a page.
pub const HTTP_PER_ADDRESS: usize = 16;
/// Beyond all of them: connections that get an answer to a probe, one each.
pub const HTTP_RESERVE: usize = 16;

/// Bytes that all long answers of a process hold at a time: lists of objects, messages and members that are on their way.
pub const LONG_ANSWERS_BYTES: usize = 128 * 1024 * 1024;
/// Bytes that such an answer gives at once, in whole objects. A shorter one is given whole.
pub const LONG_ANSWER_PIECE: usize = 64 * 1024;
/// How long a long answer waits for others to be read.
pub const LONG_ANSWER_WAIT: Duration = Duration::from_secs(5);
/// How long its reader may take. The largest canvas needs some 100 kB a second.
pub const LONG_ANSWER_TIME: Duration = Duration::from_secs(600);
/// Bytes of a `PUT /api/v1/hooks`: as many hooks as there may be, with more names each than anybody gives them.
pub const HOOKS_BYTES: usize = 2 * 1024 * 1024;

/// The HTTP head of a request, in bytes.
pub const HTTP_HEAD_BYTES: usize = 16 * 1024;
/// Answers of fewer bytes are not worth compressing.
pub const GZIP_FROM_BYTES: u64 = 1024;
/// Bodies of requests up to this count as nothing: every WebSocket may hold as much.
pub const SMALL_BODY_BYTES: usize = 64 * 1024;
/// Bytes that all larger ones hold together, in a process: eight of the largest.
pub const BODIES_BYTES: usize = 64 * 1024 * 1024;
/// A larger one that comes more slowly gives way when there is no room. The largest has to be faster anyway, since it
/// must come in time.
pub const BODY_BYTES_A_SECOND: usize = 256 * 1024;
/// The body of a request must come within this.
pub const HTTP_BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the event loop's lag is measured.
pub const LAG_INTERVAL: Duration = Duration::from_secs(1);
/// Clients of a draining instance come back spread over this at most.
pub const GOAWAY_SPREAD: Duration = Duration::from_secs(2);

/// Over how long so many clients are spread: a millisecond each while they are few, then 4,000 a second, which is what a process
/// takes in without keeping those waiting who are there.
pub fn goaway_spread(clients: usize) -> Duration {
    let ms = u64::try_from(clients).unwrap_or(u64::MAX);
    Duration::from_millis(ms.min(300).max(ms / 4)).min(GOAWAY_SPREAD)
}

/// Log lines that wait for whoever reads them: some seconds of a busy log, and at most about a megabyte.
pub const LOG_LINES: usize = 4096;

/// A cursor that has not moved for so long is not told to those who come: it shows where somebody was, not where somebody is.
pub const CURSOR_AGE: Duration = Duration::from_secs(60);
/// Bytes of one job's payload.
pub const JOB_PAYLOAD_BYTES: usize = 1024 * 1024;
/// Bytes of one request of the jobs API, and of the messages that one pop gives.
pub const JOB_REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// Bytes from which a request counts as large: it waits behind those that are not.
pub const JOB_LARGE_BYTES: usize = 64 * 1024;
/// Messages in one request: a transaction holds up all others for as long as it takes.
pub const JOB_BATCH: usize = 1_000;
/// Queues: a pop by namespace looks at each.
pub const JOB_QUEUES: i64 = 1_000;
/// Partitions of one queue: a sweep looks at each.
pub const JOB_PARTITIONS: i64 = 100_000;
/// Consumer groups of one queue: a push tells each.
pub const JOB_GROUPS: usize = 256;
/// Deletions that may still be on their way, row by row, when another is asked for.
pub const JOB_DISCARDS: usize = 1_024;
/// Messages times the consumer groups that hear of them, in one request: each pair is a row or two.
pub const JOB_PUSH_PAIRS: usize = 8_192;
/// Acks times the consumer groups of their queues, in one request: whether another group needs a message is asked of each.
pub const JOB_ACK_PAIRS: usize = 32_768;
/// Bytes of an answer that lists messages, dead ones or notes. What is beyond is on the next page.
pub const JOB_ANSWER_BYTES: usize = JOB_REQUEST_BYTES;
/// Rows that one list looks at to find those that it is asked for.
pub const JOB_LOOK_ROWS: usize = 100_000;
/// Bytes of payloads that it reads for that.
pub const JOB_LOOK_BYTES: usize = 64 * 1024 * 1024;
/// Notes of one message (traces).
pub const JOB_TRACES: usize = 100;
/// Bytes of those: the oldest make room.
pub const JOB_TRACE_BYTES: usize = 1024 * 1024;
/// How long a note is kept: a week.
pub const JOB_TRACES_MS: i64 = 7 * 24 * 3_600_000;
/// Attempts to deliver messages of one queue that are kept: the latest.
pub const JOB_DELIVERIES: i64 = 1_000;
/// Of those, what one look at the history reads: each may have a dead message to be found.
pub const JOB_DELIVERIES_PAGE: i64 = 256;
/// How long they are kept: a week.
pub const JOB_DELIVERIES_MS: i64 = 7 * 24 * 3_600_000;
/// How long a dead message stays after it was looked at: 90 days.
pub const JOB_REVIEWED_MS: i64 = 90 * 24 * 3_600_000;
/// Kinds of pops by namespace or task that wait at a time, by group and filter: each looks at all queues whenever something comes.
pub const JOB_FILTERS: usize = 64;
/// The longest that a pop may wait, in milliseconds.
pub const JOB_WAIT_MS: usize = 600_000;
/// How long an empty partition stays, at least.
pub const JOB_EMPTY_MS: i64 = 60_000;

/// What a message costs in a log beside its own bytes, as quotas count: its row, and its place in an index now and then.
pub const LOG_ROW_BYTES: usize = 160;
/// When who was refused for a full log tries again: messages expire by the second, and each try is a resend of all that waits.
pub const FULL_RETRY_AFTER_MS: u64 = 1_000;

/// Makers of canvases that are counted at a time for `--new-canvases-per-minute`: some 2 MiB, each for a minute at most.
pub const CANVAS_MAKERS: usize = 65_536;
/// How long a canvas on which nothing was said stays when nobody is there: long enough for who has just made it.
pub const UNUSED_CANVAS: Duration = Duration::from_secs(5);
/// How long it is remembered of a deleted canvas whose names and numbers its clients used.
pub const TOMBSTONE: Duration = Duration::from_secs(24 * 3600);

/// Bytes of rows in the file that are in nobody's log, all together: who is where, what changed, pointers. Kept for `--cursor-ttl`, so this is
/// some 50 MB a second at the default. Beyond it pointers are left out, and who is here is read from its table.
pub const EPHEMERAL_BYTES: u64 = 256 << 20;
/// Of one canvas.
pub const EPHEMERAL_CANVAS_BYTES: u64 = 64 << 20;
/// From here on what is expired goes at once, not only when a cleanup is due: long before anything is left out.
pub const EPHEMERAL_TIDY_BYTES: u64 = 16 << 20;

/// Hooks of one relay: each of their patterns is compared with the canvas of every event that some hook names.
pub const MAX_HOOKS: usize = 100;
/// Events that one message of a hook may have: with the largest, about what one request may have.
pub const MAX_HOOK_BATCH: u32 = 100;
/// Events of a hook that wait, unless its file says otherwise.
pub const HOOK_BACKLOG: u64 = 100_000;
/// The most that a file may say: a gap stands for what is beyond.
pub const MAX_HOOK_BACKLOG: u64 = 10_000_000;
/// Bytes of a hook's events that wait, unless its file says otherwise.
pub const HOOK_BACKLOG_BYTES: u64 = 256 * 1024 * 1024;
/// The most that a file may say.
pub const MAX_HOOK_BACKLOG_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// Bytes of events that become one message: below what a message of a queue may have.
pub const HOOK_BATCH_BYTES: usize = 512 * 1024;

/// Bytes of whole objects (`include = "object"`) that all hooks together are told of one message of a client, or over Redis of one batch of a
/// canvas. What is beyond is told as a gap. The largest batch makes others wait for some 20 ms.
pub const HOOK_OBJECTS_BYTES: usize = 2 * 1024 * 1024;
/// The same of the events' other bytes.
pub const HOOK_EVENTS_BYTES: usize = 4 * 1024 * 1024;

/// Canvases of one webhook whose events are on their way at a time.
pub const WEBHOOK_AT_ONCE: usize = 8;
/// How long a receiver may take to answer.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an event is this process's to deliver: an attempt, and room to say how it ended.
pub const WEBHOOK_LEASE: Duration = Duration::from_secs(60);
/// The longest pause that a receiver can ask for.
pub const WEBHOOK_MAX_PAUSE: Duration = Duration::from_secs(3_600);
const _: () = assert!(WEBHOOK_TIMEOUT.as_secs() * 2 < WEBHOOK_LEASE.as_secs());
