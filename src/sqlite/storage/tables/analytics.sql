-- What processes did, for /api/v1/analytics; since version 3. Bounded: a quarter of an hour at fine steps and a day of
-- minutes for each process. Times are milliseconds since 1970.
CREATE TABLE analytics (
    step     INTEGER NOT NULL, -- milliseconds of the span; 0 for how the process is
    at       INTEGER NOT NULL, -- the start of the span
    instance INTEGER NOT NULL, -- instances.number
    sample   TEXT    NOT NULL, -- JSON: src/analytics.rs says what is in it
    PRIMARY KEY (step, at, instance)
) STRICT, WITHOUT ROWID;
