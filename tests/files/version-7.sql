-- A queue of jobs as schema version 7 left it: see README.md.
BEGIN TRANSACTION;
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('boot_id','d163e9e9-2b9a-4c84-baba-8579aac76ba2');
INSERT INTO meta VALUES ('clean','1');
INSERT INTO meta VALUES ('clock_offset_ms','0');
INSERT INTO meta VALUES ('synchronous','normal');
CREATE TABLE canvases (
    key              INTEGER PRIMARY KEY,
    canvas_id        TEXT    NOT NULL UNIQUE,
    epoch            TEXT    NOT NULL,
    seq              INTEGER NOT NULL DEFAULT 0,
    head_id          INTEGER NOT NULL DEFAULT 0, -- the row of its last log message
    presence_version INTEGER NOT NULL DEFAULT 0,
    objects          INTEGER NOT NULL DEFAULT 0, -- how many there are
    created_at       INTEGER NOT NULL,
    object_bytes     INTEGER NOT NULL DEFAULT 0, -- of all of them together; since version 2
    log_bytes        INTEGER NOT NULL DEFAULT 0, -- what its rows in message_queue are charged with; since version 3
    log_from         INTEGER NOT NULL DEFAULT 0, -- only rows behind this one are; since version 3
    used_at          INTEGER NOT NULL DEFAULT 0, -- the last change; since version 3
    chat_bytes       INTEGER NOT NULL DEFAULT 0, -- of its rows in canvas_chat; since version 3
    ends_at          INTEGER,                    -- when it goes if nobody is there; since version 3
    content          INTEGER NOT NULL DEFAULT 0, -- its name in the tables of what is on it, 0: its key; since version 3
    places_from      INTEGER NOT NULL DEFAULT 0,
    ephemeral_bytes  INTEGER NOT NULL DEFAULT 0,
    object_logs      INTEGER NOT NULL DEFAULT 0  -- how many of its objects have a log; since version 6
) STRICT;
CREATE TABLE message_queue (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    canvas_id    INTEGER NOT NULL, -- canvases.key
    seq          INTEGER,
    message_type TEXT    NOT NULL,
    origin       INTEGER NOT NULL, -- the connection it came through; its upper bits are the instance's number
    client       TEXT    NOT NULL,
    op           INTEGER NOT NULL,
    prev_id      INTEGER NOT NULL, -- the row of the log message before it on its canvas: the log is read along this
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    payload      TEXT    NOT NULL  -- last, so that a walk along prev_id does not touch it
) STRICT;
CREATE TABLE canvas_objects (
    canvas_id   INTEGER NOT NULL,
    object_id   TEXT    NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL,
    props       TEXT    NOT NULL, -- the whole object, its id and kind included
    PRIMARY KEY (canvas_id, object_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE canvas_chat (
    canvas_id INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    entry     TEXT    NOT NULL, -- as a snapshot tells it
    PRIMARY KEY (canvas_id, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE canvas_clients (
    canvas_id INTEGER NOT NULL,
    client    TEXT    NOT NULL,
    user_id   TEXT    NOT NULL,
    last_op   INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL, -- the place of last_op, 0 if it took none
    used_at   INTEGER NOT NULL,
    PRIMARY KEY (canvas_id, client)
) STRICT, WITHOUT ROWID;
CREATE TABLE presence (
    canvas_id   INTEGER NOT NULL,
    client      TEXT    NOT NULL,
    instance_id TEXT    NOT NULL,
    conn        INTEGER NOT NULL,
    user        TEXT    NOT NULL,
    state       TEXT,
    away_at     INTEGER, -- since when it is lost
    instance_lost INTEGER NOT NULL DEFAULT 0, -- its instance died, too; since version 3
    PRIMARY KEY (canvas_id, client)
) STRICT, WITHOUT ROWID;
CREATE TABLE instances (
    number       INTEGER PRIMARY KEY AUTOINCREMENT, -- the upper bits of its connections' numbers
    instance_id  TEXT    NOT NULL UNIQUE,
    pid          INTEGER NOT NULL,
    wake_path    TEXT    NOT NULL, -- its datagram socket
    lock_path    TEXT    NOT NULL, -- the file it holds a lock on while it lives
    started_at   INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL
) STRICT;
CREATE TABLE canvas_watermarks (
    canvas_id          INTEGER NOT NULL,
    server_instance_id TEXT    NOT NULL,
    last_processed_id  INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    PRIMARY KEY (canvas_id, server_instance_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE canvas_sweeps (
    id      INTEGER PRIMARY KEY AUTOINCREMENT, -- negative, it is the content that came instead
    content INTEGER NOT NULL
) STRICT;
CREATE TABLE totals (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    log_bytes INTEGER NOT NULL, -- what rows in message_queue are charged with
    stored_bytes INTEGER NOT NULL, -- objects and chat
    canvases  INTEGER NOT NULL, -- how many there are
    next_key  INTEGER NOT NULL, -- of the next canvas: none is given out again
    full_at   INTEGER NOT NULL, -- when a message was last refused for want of room
    ephemeral_bytes INTEGER NOT NULL DEFAULT 0 -- of rows in message_queue that are in nobody's log
) STRICT;
INSERT INTO totals VALUES (1,0,0,0,1,0,0);
CREATE TABLE canvas_deletions (
    canvas_id INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    object_id TEXT    NOT NULL,
    PRIMARY KEY (canvas_id, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE object_logs (
    canvas_id     INTEGER NOT NULL, -- the canvas's content, as in canvas_objects
    object_id     TEXT    NOT NULL,
    entries       INTEGER NOT NULL, -- how many there are
    bytes         INTEGER NOT NULL, -- what they are charged with
    upto          INTEGER NOT NULL, -- what was compacted last, 0 if nothing was
    compacted_seq INTEGER NOT NULL, -- the message that did it
    PRIMARY KEY (canvas_id, object_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE object_log_entries (
    canvas_id INTEGER NOT NULL,
    object_id TEXT    NOT NULL,
    seq       INTEGER NOT NULL, -- of the message that appended it; of the last one that it covers
    data      TEXT    NOT NULL, -- base64
    PRIMARY KEY (canvas_id, object_id, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_totals (
    zero    INTEGER PRIMARY KEY,
    next_id INTEGER NOT NULL,
    queues  INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT;
INSERT INTO job_totals VALUES (0,20,1,754);
CREATE TABLE job_queues (
    key         INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL,
    namespace   TEXT    NOT NULL,
    task        TEXT    NOT NULL,
    options     TEXT    NOT NULL, -- JSON, as POST /api/v1/configure takes them
    created_at  INTEGER NOT NULL,
    cleared     INTEGER NOT NULL,
    partitions  INTEGER NOT NULL,
    messages    INTEGER NOT NULL,
    kept        INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    marks       INTEGER NOT NULL,
    dead        INTEGER NOT NULL,
    other_bytes INTEGER NOT NULL,
    pushed      INTEGER NOT NULL,
    completed   INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    dropped     INTEGER NOT NULL,
    timings     BLOB    NOT NULL
) STRICT;
INSERT INTO job_queues VALUES (1,'q','','','{"leaseTime":300,"fifo":true}',1699999991000,0,1,5,0,754,1,0,0,6,1,0,0,X'');
CREATE TABLE job_queue_names (
    name TEXT    NOT NULL PRIMARY KEY,
    key  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO job_queue_names VALUES ('q',1);
CREATE TABLE job_partitions (
    key      INTEGER PRIMARY KEY,
    queue    INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    tag      INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    used_at  INTEGER NOT NULL
) STRICT;
INSERT INTO job_partitions VALUES (2,1,'Default',7,7,5,642,1699999999000);
CREATE TABLE job_partition_names (
    queue INTEGER NOT NULL,
    name  TEXT    NOT NULL,
    key   INTEGER NOT NULL,
    PRIMARY KEY (queue, name)
) STRICT, WITHOUT ROWID;
INSERT INTO job_partition_names VALUES (1,'Default',2);
CREATE TABLE job_messages (
    partition  INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    priority   INTEGER NOT NULL,
    only       INTEGER NOT NULL,
    trace      TEXT,
    name       TEXT    NOT NULL, -- the transactionId
    payload    TEXT    NOT NULL,
    PRIMARY KEY (partition, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO job_messages VALUES (2,2,12,1699999999000,0,0,NULL,'given-2','{"n": 2}');
INSERT INTO job_messages VALUES (2,3,13,1699999999000,0,0,NULL,'018bcfe5-6800-7abc-8def-0123456789ab','{"n": 3}');
INSERT INTO job_messages VALUES (2,4,14,1699999999000,0,0,NULL,'018bcfe5-6800-7000-8000-000000000004','{"n": 4}');
INSERT INTO job_messages VALUES (2,5,15,1699999999000,0,0,NULL,'018bcfe5-6800-7000-8000-000000000002','{"n": 5}');
INSERT INTO job_messages VALUES (2,6,16,1699999999000,0,0,NULL,'given-6','{"n": 6}');
CREATE TABLE job_named (
    partition INTEGER NOT NULL,
    digest    BLOB    NOT NULL, -- the first half of the name's SHA-256
    seq       INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    id        INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    PRIMARY KEY (partition, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO job_named VALUES (2,X'0739aaa63c674b98e0045d535b37ceb2',2,111,12,0);
INSERT INTO job_named VALUES (2,X'103faeac8ddec72c6bcd4e105900008c',4,140,14,0);
INSERT INTO job_named VALUES (2,X'32e6d51e56f1cf88a237a063817e92e5',5,140,15,0);
INSERT INTO job_named VALUES (2,X'93a8f30d9e213cc0956aef5bd27287a8',0,0,11,1700000290000);
INSERT INTO job_named VALUES (2,X'b7fc73eadbf9627918271f4df2a9167a',3,140,13,0);
INSERT INTO job_named VALUES (2,X'db2e5afafdbf25390d5338805ed3eeac',6,111,16,0);
CREATE TABLE job_marks (
    queue     INTEGER NOT NULL,
    kind      INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    n         INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    digest    BLOB    NOT NULL,
    PRIMARY KEY (queue, kind, at, n)
) STRICT, WITHOUT ROWID;
INSERT INTO job_marks VALUES (1,0,1700000290000,17,2,X'93a8f30d9e213cc0956aef5bd27287a8');
CREATE TABLE job_groups (
    queue      INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    key        INTEGER NOT NULL,
    mode       INTEGER NOT NULL,
    start      INTEGER NOT NULL,
    join_after TEXT,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    waiting    INTEGER NOT NULL,
    out        INTEGER NOT NULL,
    delivered  INTEGER NOT NULL,
    completed  INTEGER NOT NULL,
    PRIMARY KEY (queue, name)
) STRICT, WITHOUT ROWID;
INSERT INTO job_groups VALUES (1,'__QUEUE_MODE__',3,0,0,NULL,1699999995000,1699999999000,5,2,3,1);
CREATE TABLE job_cursors (
    partition INTEGER NOT NULL,
    grp       INTEGER NOT NULL,
    queue     INTEGER NOT NULL,
    state     INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    next      INTEGER NOT NULL,
    upto      INTEGER NOT NULL,
    out       INTEGER NOT NULL,
    lease     BLOB,
    leased_at INTEGER NOT NULL,
    single    INTEGER NOT NULL,
    states    INTEGER NOT NULL,
    PRIMARY KEY (partition, grp)
) STRICT, WITHOUT ROWID;
INSERT INTO job_cursors VALUES (2,3,1,3,1700000299000,2,4,2,X'000102030405060708090a0b0c0d0e0f',1699999999000,0,0);
CREATE TABLE job_turns (
    queue     INTEGER NOT NULL,
    grp       INTEGER NOT NULL,
    state     INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    PRIMARY KEY (queue, grp, state, at, partition)
) STRICT, WITHOUT ROWID;
INSERT INTO job_turns VALUES (1,3,3,1700000299000,2);
CREATE TABLE job_states (
    partition INTEGER NOT NULL,
    grp       INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    kind      INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    attempts  INTEGER NOT NULL,
    expired   INTEGER NOT NULL,
    lease     BLOB,
    leased_at INTEGER NOT NULL,
    error     TEXT,
    PRIMARY KEY (partition, grp, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_ready (
    partition INTEGER NOT NULL,
    grp       INTEGER NOT NULL,
    kind      INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    PRIMARY KEY (partition, grp, kind, at, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_leases (
    lease     BLOB    NOT NULL,
    partition INTEGER NOT NULL,
    grp       INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    queue     INTEGER NOT NULL,
    PRIMARY KEY (lease, partition, grp, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO job_leases VALUES (X'000102030405060708090a0b0c0d0e0f',2,3,0,1);
CREATE TABLE job_dead (
    id             INTEGER PRIMARY KEY,
    queue          INTEGER NOT NULL,
    partition      INTEGER NOT NULL,
    partition_name TEXT    NOT NULL,
    grp            TEXT    NOT NULL,
    message        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    died_at        INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    priority       INTEGER NOT NULL,
    reviewed_at    INTEGER,
    error          TEXT    NOT NULL,
    trace          TEXT,
    name           TEXT    NOT NULL,
    payload        TEXT    NOT NULL
) STRICT;
CREATE TABLE job_dead_index (
    queue INTEGER NOT NULL,
    kind  INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    id    INTEGER NOT NULL,
    PRIMARY KEY (queue, kind, at, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_gone (
    n     INTEGER PRIMARY KEY,
    kind  INTEGER NOT NULL,
    key   INTEGER NOT NULL,
    other INTEGER NOT NULL,
    after TEXT    NOT NULL
) STRICT;
CREATE TABLE job_traces (
    partition  INTEGER NOT NULL,
    digest     BLOB    NOT NULL,
    id         INTEGER NOT NULL,
    queue      INTEGER NOT NULL,
    message    TEXT    NOT NULL,
    grp        TEXT    NOT NULL,
    event      TEXT    NOT NULL,
    names      TEXT    NOT NULL,
    data       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (partition, digest, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_trace_names (
    name      TEXT    NOT NULL,
    id        INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    digest    BLOB    NOT NULL,
    PRIMARY KEY (name, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_deliveries (
    queue     INTEGER NOT NULL,
    n         INTEGER NOT NULL, -- from 1 on in each queue
    at        INTEGER NOT NULL,
    took_ms   INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    partition TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    messages  INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    status    INTEGER,
    error     TEXT,
    outcome   TEXT    NOT NULL,
    next_at   INTEGER,
    dead      INTEGER,
    PRIMARY KEY (queue, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE assets (
    canvas       TEXT    NOT NULL,
    sha256       TEXT    NOT NULL,
    blob         TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    bytes        INTEGER NOT NULL,
    unused_since INTEGER,
    added_at     INTEGER NOT NULL,
    PRIMARY KEY (canvas, sha256)
) STRICT, WITHOUT ROWID;
CREATE TABLE asset_canvases (
    canvas TEXT    NOT NULL,
    assets INTEGER NOT NULL,
    bytes  INTEGER NOT NULL,
    seen   TEXT    NOT NULL,
    PRIMARY KEY (canvas)
) STRICT, WITHOUT ROWID;
CREATE TABLE asset_totals (
    zero       INTEGER NOT NULL,
    assets     INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    relay      TEXT    NOT NULL,
    link_key   BLOB    NOT NULL,
    holder     TEXT    NOT NULL,
    held_until INTEGER NOT NULL,
    PRIMARY KEY (zero)
) STRICT, WITHOUT ROWID;
CREATE TABLE hooks (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    hooks   TEXT    NOT NULL -- a JSON list
) STRICT;
CREATE TABLE hooks_off (
    hook   TEXT PRIMARY KEY,
    reason TEXT    NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE hook_changes (
    hook      TEXT    NOT NULL,
    canvas_id INTEGER NOT NULL,
    from_seq  INTEGER NOT NULL,
    to_seq    INTEGER NOT NULL,
    first_at  INTEGER NOT NULL,
    due_at    INTEGER NOT NULL,
    PRIMARY KEY (hook, canvas_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE hook_gaps (
    hook      TEXT    NOT NULL,
    canvas_id INTEGER NOT NULL,
    epoch     TEXT    NOT NULL,
    from_seq  INTEGER NOT NULL,
    to_seq    INTEGER NOT NULL,
    PRIMARY KEY (hook, canvas_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE hook_aside (
    n       INTEGER PRIMARY KEY,
    version INTEGER NOT NULL, -- of the hooks that are told
    at      INTEGER NOT NULL,
    events  INTEGER NOT NULL, -- one for each hook that hears of it
    bytes   INTEGER NOT NULL,
    told    BLOB    NOT NULL  -- src/sqlite/hooks/packed.rs
) STRICT;
CREATE TABLE hook_aside_of (
    hook   TEXT PRIMARY KEY,
    last   INTEGER NOT NULL,
    events INTEGER NOT NULL,
    bytes  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE hook_aside_after (
    n         INTEGER NOT NULL,
    hook      TEXT    NOT NULL,
    quiet     INTEGER NOT NULL,
    canvas_id INTEGER NOT NULL,
    epoch     TEXT    NOT NULL,
    from_seq  INTEGER NOT NULL,
    to_seq    INTEGER NOT NULL,
    PRIMARY KEY (n, hook, quiet, canvas_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE hook_versions (
    version INTEGER PRIMARY KEY,
    hooks   TEXT NOT NULL, -- a JSON list
    off     TEXT NOT NULL  -- a JSON list
) STRICT;
CREATE TABLE analytics (
    step     INTEGER NOT NULL, -- milliseconds of the span; 0 for how the process is
    at       INTEGER NOT NULL, -- the start of the span
    instance INTEGER NOT NULL, -- instances.number
    sample   TEXT    NOT NULL, -- JSON: src/analytics.rs says what is in it
    PRIMARY KEY (step, at, instance)
) STRICT, WITHOUT ROWID;
DELETE FROM sqlite_sequence;
CREATE INDEX canvas_ends ON canvases (ends_at) WHERE ends_at IS NOT NULL;
CREATE INDEX message_anchor ON message_queue (canvas_id, seq) WHERE seq % 64 = 0;
CREATE INDEX presence_away ON presence (away_at) WHERE away_at IS NOT NULL;
CREATE INDEX hook_changes_due ON hook_changes (due_at);
COMMIT;
PRAGMA user_version = 7;
