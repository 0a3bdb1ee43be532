
-- The index of assets; since version 5. `src/jobs/rows.rs` says what the columns mean, and `src/jobs/assets.rs` when a row goes.
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
