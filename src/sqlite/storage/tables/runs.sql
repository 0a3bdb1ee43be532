-- Messages side by side that were completed together; since version 8.

CREATE TABLE job_runs (
    partition INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    first     INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    names     BLOB    NOT NULL, -- for each message 19 bytes: its number, and the name's first half
    PRIMARY KEY (partition, last)
) STRICT, WITHOUT ROWID;
