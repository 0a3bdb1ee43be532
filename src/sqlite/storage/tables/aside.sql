-- Since version 7. What a large transaction tells is set aside with it, and comes into the queues a moment later, in the order of `n`.
CREATE TABLE hook_aside (
    n       INTEGER PRIMARY KEY,
    version INTEGER NOT NULL, -- of the hooks that are told
    at      INTEGER NOT NULL,
    events  INTEGER NOT NULL, -- one for each hook that hears of it
    bytes   INTEGER NOT NULL,
    told    BLOB    NOT NULL  -- src/sqlite/hooks/packed.rs
) STRICT;

-- What of it each hook hears of, and the last row that has something for it.
CREATE TABLE hook_aside_of (
    hook   TEXT PRIMARY KEY,
    last   INTEGER NOT NULL,
    events INTEGER NOT NULL,
    bytes  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a hook is told once a row was told: events that had no room (0), canvases that are quiet (1).
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

-- Hooks that others have replaced, for what was set aside for them.
CREATE TABLE hook_versions (
    version INTEGER PRIMARY KEY,
    hooks   TEXT NOT NULL, -- a JSON list
    off     TEXT NOT NULL  -- a JSON list
) STRICT;
