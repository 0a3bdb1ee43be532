-- The work queue; since version 3. Each table is searched by its key alone: what would be an index is a table of its own, so that
-- nothing here costs a canvas anything. `src/jobs/rows.rs` says what the columns mean.

CREATE TABLE job_totals (
    zero    INTEGER PRIMARY KEY,
    next_id INTEGER NOT NULL,
    queues  INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT;

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

CREATE TABLE job_queue_names (
    name TEXT    NOT NULL PRIMARY KEY,
    key  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

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

CREATE TABLE job_partition_names (
    queue INTEGER NOT NULL,
    name  TEXT    NOT NULL,
    key   INTEGER NOT NULL,
    PRIMARY KEY (queue, name)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE job_named (
    partition INTEGER NOT NULL,
    digest    BLOB    NOT NULL, -- the first half of the name's SHA-256
    seq       INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    id        INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    PRIMARY KEY (partition, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_marks (
    queue     INTEGER NOT NULL,
    kind      INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    n         INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    digest    BLOB    NOT NULL,
    PRIMARY KEY (queue, kind, at, n)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE job_turns (
    queue     INTEGER NOT NULL,
    grp       INTEGER NOT NULL,
    state     INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    PRIMARY KEY (queue, grp, state, at, partition)
) STRICT, WITHOUT ROWID;

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
