//! Every bound and timeout that is not a flag, with its reason. Flags have theirs in `config`.

use std::time::Duration;

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
/// Rows that cleanup deletes in one transaction, so that no writer waits long.
pub const CLEANUP_CHUNK: u32 = 1_000;
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

/// Bytes of one canvas's log in the in-process backplane: older messages go before their TTL ends, and who needs them gets a snapshot.
pub const MEMORY_LOG_BYTES: usize = 16 * 1024 * 1024;
/// How often the in-process backplane looks for what has expired.
pub const MEMORY_SWEEP: Duration = Duration::from_millis(250);

/// Bytes of log that wait for a room; beyond, the room reads from the queue. As much again for what may be lost.
pub const ROOM_INBOX_BYTES: usize = 4 * 1024 * 1024;
/// Deliveries that wait for a room, for the same reason.
pub const ROOM_INBOX_ITEMS: usize = 8_192;
/// Bytes of one read from the log for a connection that catches up.
pub const CATCH_UP_BYTES: usize = 64 * 1024;
/// The pause before a failed read is tried again.
pub const READ_RETRY: Duration = Duration::from_millis(100);
/// Snapshots of one canvas that may be on their way to members. Each holds the canvas in memory; with more of them, joiners share one.
pub const SNAPSHOTS_UNDER_WAY: usize = 4;
/// How old a snapshot may be that is shared so.
pub const SNAPSHOT_REUSE: Duration = Duration::from_secs(5);
/// Chat messages kept per canvas, and told in a snapshot.
pub const CHAT_HISTORY: u32 = 200;
/// Bytes of one object after merges: a snapshot part must hold it.
pub const MAX_OBJECT_BYTES: usize = 128 * 1024;
/// Bytes of one client's presence state.
pub const MAX_STATE_BYTES: usize = 8 * 1024;

/// Ops of one connection that wait for their ack; beyond, the server stops reading from it.
pub const MAX_IN_FLIGHT_OPS: u32 = 1_024;
/// Gaps between the numbers of a connection's ops that wait to be sent again. What is in further ones counts as refused, too: only who
/// leaves out that many numbers has such.
pub const MAX_REFUSED_GAPS: usize = 256;
/// Bytes of one connection's ordered lane.
pub const OUTBOX_BYTES: usize = 256 * 1024;
/// What the WebSocket parser keeps for each connection, idle or not.
pub const READ_BUFFER_BYTES: usize = 128;
/// What is read from a socket at once. Only connections that have something to read hold it.
pub const READ_AHEAD_BYTES: usize = 16 * 1024;
/// Bad messages in a row that end a connection.
pub const MAX_BAD_IN_A_ROW: u32 = 10;
/// Bytes that may lie in the kernel unsent. Without a bound a socket takes megabytes at once and then nothing for
/// minutes: a slow reader would look like one that reads nothing, and each would hold that much of the kernel's memory.
/// What is sent and not acknowledged doesn't count, so a fast line far away is not slowed.
pub const UNSENT_BYTES: u32 = 16 * 1024;
/// What is read and thrown away after a close frame of ours, so that the client gets to read it.
pub const LINGER_BYTES: usize = 1024 * 1024;
/// Who says `bye` gets the answers to its ops that come within this time.
pub const PART_TIMEOUT: Duration = Duration::from_secs(2);
/// Peers get this long to answer a close frame.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

const _: () = assert!(CANVAS_QUEUE_ENTRIES * 2 <= WRITER_QUEUE_ENTRIES);
const _: () = assert!(MAX_IN_FLIGHT_OPS as usize * 2 <= CANVAS_QUEUE_ENTRIES);
const _: () = assert!(CATCH_UP_BYTES * 2 <= OUTBOX_BYTES);
const _: () = assert!(crate::protocol::client_message::MAX_PATCH_BYTES == MAX_STATE_BYTES);
const _: () = assert!(MAX_OBJECT_BYTES * 2 <= crate::protocol::server_message::MAX_PART_BYTES);
const _: () = assert!(HEARTBEAT.as_millis() * 3 < HEARTBEAT_STALE.as_millis());

/// Connections that wait to be accepted; the kernel may allow fewer (`net.core.somaxconn`). When a process dies, all its clients come to the
/// others within a quarter of a second: who finds no place asks again a second later.
pub const LISTEN_BACKLOG: u32 = 4_096;

/// Connections that may speak HTTP at a time, however few WebSockets are allowed: health, metrics and pages must come through.
pub const MIN_HTTP_CONNECTIONS: usize = 64;

/// The HTTP head of a request, in bytes.
pub const HTTP_HEAD_BYTES: usize = 16 * 1024;
/// The body of a request must come within this.
pub const HTTP_BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the event loop's lag is measured.
pub const LAG_INTERVAL: Duration = Duration::from_secs(1);
/// Clients of a draining instance come back spread over this.
pub const GOAWAY_SPREAD: Duration = Duration::from_secs(2);
