
-- Attempts to deliver webhooks; since version 4. Bounded: `src/jobs/deliveries.rs` says how many of a queue, and how long.
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
