-- The queue file of scumble, version 8 (PRAGMA user_version). Times are integer milliseconds of the relay's clock.
-- Applied once, by the first process that finds no tables.

-- Facts about the file itself: boot_id, clean, synchronous, clock_offset_ms.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The head of each canvas. Outlives its messages, so that a quiet canvas is always recoverable.
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
    places_from      INTEGER NOT NULL DEFAULT 0, -- only places behind this one mean something to clients; since version 3
    ephemeral_bytes  INTEGER NOT NULL DEFAULT 0, -- of its rows in message_queue that are in nobody's log; since version 3
    object_logs      INTEGER NOT NULL DEFAULT 0  -- how many of its objects have a log; since version 6
) STRICT;

CREATE INDEX canvas_ends ON canvases (ends_at) WHERE ends_at IS NOT NULL;

-- Everything that must reach another process, in the order of commits. Ids are never reused and have no holes.
-- Log messages have a seq; cursors, signals and presence changes have none.
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

-- The only index: one entry in 64 messages, where a walk along prev_id can begin. A full index on
-- (canvas_id, seq) would cost two thirds of the write rate.
CREATE INDEX message_anchor ON message_queue (canvas_id, seq) WHERE seq % 64 = 0;

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

-- Idempotence: the highest op of each client, and the subject that owns the client's name.
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

CREATE INDEX presence_away ON presence (away_at) WHERE away_at IS NOT NULL;

CREATE TABLE instances (
    number       INTEGER PRIMARY KEY AUTOINCREMENT, -- the upper bits of its connections' numbers
    instance_id  TEXT    NOT NULL UNIQUE,
    pid          INTEGER NOT NULL,
    wake_path    TEXT    NOT NULL, -- its datagram socket
    lock_path    TEXT    NOT NULL, -- the file it holds a lock on while it lives
    started_at   INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL
) STRICT;

-- How far each instance is on the canvases it has rooms for. Written lazily: at most once a second.
CREATE TABLE canvas_watermarks (
    canvas_id          INTEGER NOT NULL,
    server_instance_id TEXT    NOT NULL,
    last_processed_id  INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    PRIMARY KEY (canvas_id, server_instance_id)
) STRICT, WITHOUT ROWID;

-- What nobody sees any more: large contents of deleted canvases, which go a piece at a time; since version 3.
CREATE TABLE canvas_sweeps (
    id      INTEGER PRIMARY KEY AUTOINCREMENT, -- negative, it is the content that came instead
    content INTEGER NOT NULL
) STRICT;

-- What all canvases have together: one row, kept with each transaction. Since version 3.
CREATE TABLE totals (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    log_bytes INTEGER NOT NULL, -- what rows in message_queue are charged with
    stored_bytes INTEGER NOT NULL, -- objects and chat
    canvases  INTEGER NOT NULL, -- how many there are
    next_key  INTEGER NOT NULL, -- of the next canvas: none is given out again
    full_at   INTEGER NOT NULL, -- when a message was last refused for want of room
    ephemeral_bytes INTEGER NOT NULL DEFAULT 0 -- of rows in message_queue that are in nobody's log
) STRICT;

INSERT INTO totals VALUES (1, 0, 0, 0, 1, 0, 0);

-- What was deleted lately, for clients that hold an older state. Where older rows were forgotten, the first one stands for them: it
-- has no name, and what was deleted up to its seq is not known. Since version 3.
CREATE TABLE canvas_deletions (
    canvas_id INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    object_id TEXT    NOT NULL,
    PRIMARY KEY (canvas_id, seq)
) STRICT, WITHOUT ROWID;

-- The logs of objects: what there is once a log, and its entries. An append writes a row of each, however long the log is. Since
-- version 6.
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
