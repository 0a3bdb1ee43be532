ALTER TABLE canvases ADD COLUMN object_logs INTEGER NOT NULL DEFAULT 0;
CREATE TABLE object_logs (
    canvas_id INTEGER NOT NULL, object_id TEXT NOT NULL, entries INTEGER NOT NULL, bytes INTEGER NOT NULL,
    upto INTEGER NOT NULL, compacted_seq INTEGER NOT NULL,
    PRIMARY KEY (canvas_id, object_id)) STRICT, WITHOUT ROWID;
CREATE TABLE object_log_entries (
    canvas_id INTEGER NOT NULL, object_id TEXT NOT NULL, seq INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (canvas_id, object_id, seq)) STRICT, WITHOUT ROWID;
