-- The hooks that all processes follow, as they were written: one row.
CREATE TABLE hooks (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    hooks   TEXT    NOT NULL -- a JSON list
) STRICT;

-- Hooks that were turned off by their receiver.
CREATE TABLE hooks_off (
    hook   TEXT PRIMARY KEY,
    reason TEXT    NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Changes that wait for their canvas to be quiet: of hooks with canvas.changed.
CREATE TABLE hook_changes (
    hook      TEXT    NOT NULL,
    canvas_id INTEGER NOT NULL,
    from_seq  INTEGER NOT NULL,
    to_seq    INTEGER NOT NULL,
    first_at  INTEGER NOT NULL,
    due_at    INTEGER NOT NULL,
    PRIMARY KEY (hook, canvas_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX hook_changes_due ON hook_changes (due_at);

-- Events that had no room in a hook's backlog: one row stands for all of a canvas, until there is room to tell of it.
CREATE TABLE hook_gaps (
    hook      TEXT    NOT NULL,
    canvas_id INTEGER NOT NULL,
    epoch     TEXT    NOT NULL,
    from_seq  INTEGER NOT NULL,
    to_seq    INTEGER NOT NULL,
    PRIMARY KEY (hook, canvas_id)
) STRICT, WITHOUT ROWID;
