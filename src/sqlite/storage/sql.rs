//! The statements that run often, in one place. A test asks SQLite for the plan of each of them.

/// A canvas by its name.
pub(crate) const CANVAS: &str = "SELECT key, epoch FROM canvases WHERE canvas_id = ?1";
/// A new canvas; nothing if another process was first.
pub(crate) const CREATE_CANVAS: &str =
    "INSERT INTO canvases (key, canvas_id, epoch, created_at, used_at, ends_at)
     VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT (canvas_id) DO NOTHING";
/// Canvases whose time has come.
pub(crate) const ENDING: &str = "SELECT key FROM canvases WHERE ends_at IS NOT NULL AND ends_at <= ?1 ORDER BY ends_at LIMIT ?2";
/// The largest key there is.
pub(crate) const LAST_KEY: &str = "SELECT coalesce(max(key), 0) FROM canvases";
/// When a canvas goes.
pub(crate) const SET_END: &str = "UPDATE canvases SET ends_at = ?2 WHERE key = ?1";
/// Whether somebody is on a canvas, or an instance has a room for it.
pub(crate) const ATTENDED: &str = "SELECT 1 FROM presence WHERE canvas_id = ?1
     UNION ALL SELECT 1 FROM canvas_watermarks WHERE canvas_id = ?1 LIMIT 1";
/// Forgets the first few clients of a canvas: names have no `~`.
pub(crate) const FORGET_CLIENTS_OF: &str =
    "DELETE FROM canvas_clients WHERE canvas_id = ?1 AND client <= coalesce(
     (SELECT client FROM canvas_clients WHERE canvas_id = ?1 ORDER BY client LIMIT 1 OFFSET ?2), '~')";
/// Removes a canvas.
pub(crate) const DELETE_CANVAS: &str = "DELETE FROM canvases WHERE key = ?1";
/// The next canvases in the order of their keys.
pub(crate) const NEXT_CANVASES: &str =
    "SELECT key, used_at, ends_at IS NULL FROM canvases WHERE key > ?1 ORDER BY key LIMIT ?2";
/// A canvas's head.
pub(crate) const HEAD: &str = "SELECT epoch, seq, head_id, presence_version, objects, object_bytes,
     log_bytes, log_from, used_at, chat_bytes, ends_at, iif(content = 0, key, content), places_from,
     ephemeral_bytes, object_logs
     FROM canvases WHERE key = ?1";
/// Writes a canvas's head.
pub(crate) const SET_HEAD: &str =
    "UPDATE canvases SET seq = ?2, head_id = ?3, presence_version = ?4, objects = ?5, object_bytes = ?6,
     log_bytes = ?7, log_from = ?8, used_at = ?9, chat_bytes = ?10, ephemeral_bytes = ?11,
     object_logs = ?12
     WHERE key = ?1";
/// What there is of all canvases.
pub(crate) const TOTALS: &str = "SELECT log_bytes, full_at, stored_bytes, canvases, next_key, ephemeral_bytes FROM totals WHERE one = 1";
/// Writes it.
pub(crate) const SET_TOTALS: &str = "INSERT OR REPLACE INTO totals
     (one, log_bytes, full_at, stored_bytes, canvases, next_key, ephemeral_bytes) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)";
/// The id of the last row ever written.
pub(crate) const LAST_ID: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'message_queue'";

/// What one row for everybody is made of.
pub(crate) const ROW_PARAMETERS: usize = 10;
/// A row for everybody.
pub(crate) const INSERT_ROW: &str = "INSERT INTO message_queue
     (canvas_id, seq, message_type, origin, client, op, prev_id, created_at, expires_at, payload)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// Rows that one statement can write.
pub(crate) const ROWS_AT_ONCE: u8 = 8;
/// Rows for everybody: the first few, as many as the last parameter says.
pub(crate) const INSERT_ROWS: &str = "INSERT INTO message_queue
     (canvas_id, seq, message_type, origin, client, op, prev_id, created_at, expires_at, payload)
     SELECT * FROM (VALUES
     (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?),
     (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?),
     (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?),
     (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?))
     LIMIT ?";
/// What came after a row, for all canvases.
pub(crate) const ROWS_AFTER: &str =
    "SELECT id, canvas_id, seq, message_type, origin, client, op, created_at, expires_at, payload
     FROM message_queue WHERE id > ?1 ORDER BY id LIMIT ?2";
/// The first place at or after a seq where a walk can begin.
pub(crate) const ANCHOR: &str =
    "SELECT id FROM message_queue WHERE canvas_id = ?1 AND seq >= ?2 AND seq % 64 = 0
     ORDER BY seq LIMIT 1";
/// One step of a walk towards older messages.
pub(crate) const STEP: &str =
    "SELECT seq, prev_id, op, client, expires_at FROM message_queue WHERE id = ?1";
/// A message to be told.
pub(crate) const MESSAGE: &str =
    "SELECT message_type, origin, op, client, created_at, payload FROM message_queue WHERE id = ?1";
/// Expired rows of a range of ids.
pub(crate) const COUNT_EXPIRED: &str =
    "SELECT count(*) FROM message_queue WHERE id > ?1 AND id <= ?2 AND expires_at <= ?3";
/// Removes them, and tells which of them are in a log, as quotas see it.
pub(crate) const DELETE_EXPIRED: &str =
    "DELETE FROM message_queue WHERE id > ?1 AND id <= ?2 AND expires_at <= ?3
     RETURNING canvas_id, id, octet_length(payload), seq IS NOT NULL OR message_type = 'signal'";

/// An object.
pub(crate) const OBJECT: &str =
    "SELECT props FROM canvas_objects WHERE canvas_id = ?1 AND object_id = ?2";
/// How many bytes an object has: found without reading them.
pub(crate) const OBJECT_BYTES: &str =
    "SELECT octet_length(props) FROM canvas_objects WHERE canvas_id = ?1 AND object_id = ?2";
/// Writes an object; one that is there keeps its place in the order of creation.
pub(crate) const PUT_OBJECT: &str =
    "INSERT INTO canvas_objects (canvas_id, object_id, created_seq, updated_seq, props)
     VALUES (?1, ?2, ?3, ?3, ?4)
     ON CONFLICT (canvas_id, object_id)
     DO UPDATE SET updated_seq = excluded.updated_seq, props = excluded.props";
/// Removes an object.
pub(crate) const DELETE_OBJECT: &str =
    "DELETE FROM canvas_objects WHERE canvas_id = ?1 AND object_id = ?2";
/// All objects of a canvas.
pub(crate) const OBJECTS: &str =
    "SELECT created_seq, props, updated_seq FROM canvas_objects WHERE canvas_id = ?1";
/// Remembers that an object was deleted.
pub(crate) const PUT_DELETION: &str =
    "INSERT INTO canvas_deletions (canvas_id, seq, object_id) VALUES (?1, ?2, ?3)";
/// What was deleted, the oldest first.
pub(crate) const DELETIONS: &str =
    "SELECT seq, object_id FROM canvas_deletions WHERE canvas_id = ?1 ORDER BY seq";
/// The first one beyond so many of the latest stands for all before it.
pub(crate) const MARK_DELETIONS: &str =
    "UPDATE canvas_deletions SET object_id = '' WHERE canvas_id = ?1 AND seq =
     (SELECT seq FROM canvas_deletions WHERE canvas_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)";
/// Forgets those before it.
pub(crate) const TRIM_DELETIONS: &str =
    "DELETE FROM canvas_deletions WHERE canvas_id = ?1 AND seq <
     (SELECT seq FROM canvas_deletions WHERE canvas_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)";
/// Forgets all of them.
pub(crate) const FORGET_DELETIONS: &str = "DELETE FROM canvas_deletions WHERE canvas_id = ?1";
/// The epoch of a canvas.
pub(crate) const EPOCH: &str = "SELECT epoch FROM canvases WHERE key = ?1";
/// What there is once the log of an object.
pub(crate) const OBJECT_LOG: &str = "SELECT entries, bytes, upto, compacted_seq FROM object_logs
     WHERE canvas_id = ?1 AND object_id = ?2";
/// Writes it.
pub(crate) const SET_OBJECT_LOG: &str =
    "INSERT OR REPLACE INTO object_logs (canvas_id, object_id, entries, bytes, upto, compacted_seq)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
/// Removes it.
pub(crate) const DELETE_OBJECT_LOG: &str =
    "DELETE FROM object_logs WHERE canvas_id = ?1 AND object_id = ?2";
/// An entry of a log.
pub(crate) const PUT_ENTRY: &str =
    "INSERT INTO object_log_entries (canvas_id, object_id, seq, data) VALUES (?1, ?2, ?3, ?4)";
/// How many entries there are up to one of them, and the bytes of each: found without reading them.
pub(crate) const ENTRIES_UPTO: &str = "SELECT octet_length(data) FROM object_log_entries WHERE canvas_id = ?1 AND object_id = ?2 AND seq <= ?3";
/// Removes those.
pub(crate) const DROP_ENTRIES: &str =
    "DELETE FROM object_log_entries WHERE canvas_id = ?1 AND object_id = ?2 AND seq <= ?3";
/// All logs of a canvas, by object.
pub(crate) const OBJECT_LOGS: &str = "SELECT object_id, entries, bytes, upto, compacted_seq FROM object_logs WHERE canvas_id = ?1 ORDER BY object_id";
/// All their entries, by object and in order.
pub(crate) const ENTRIES: &str = "SELECT object_id, seq, data FROM object_log_entries WHERE canvas_id = ?1 ORDER BY object_id, seq";
/// Removes all logs of a canvas.
pub(crate) const DELETE_LOGS: &str = "DELETE FROM object_logs WHERE canvas_id = ?1";
/// Removes all their entries.
pub(crate) const DELETE_ENTRIES: &str = "DELETE FROM object_log_entries WHERE canvas_id = ?1";
/// The first entries of a content, and how large they are: found without reading them.
pub(crate) const FIRST_ENTRIES: &str =
    "SELECT object_id, seq, octet_length(data) FROM object_log_entries
     WHERE canvas_id = ?1 ORDER BY object_id, seq LIMIT ?2";
/// Removes those up to one of them.
pub(crate) const DELETE_FIRST_ENTRIES: &str = "DELETE FROM object_log_entries
     WHERE canvas_id = ?1 AND (object_id, seq) <= (?2, ?3)";
/// A chat message.
pub(crate) const PUT_CHAT: &str =
    "INSERT INTO canvas_chat (canvas_id, seq, entry) VALUES (?1, ?2, ?3)";
/// Forgets all but the latest chat messages.
pub(crate) const TRIM_CHAT: &str = "DELETE FROM canvas_chat WHERE canvas_id = ?1 AND seq <=
     (SELECT seq FROM canvas_chat WHERE canvas_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)
     RETURNING octet_length(entry)";
/// The latest chat messages, latest first.
pub(crate) const CHAT: &str =
    "SELECT entry FROM canvas_chat WHERE canvas_id = ?1 ORDER BY seq DESC LIMIT ?2";

/// What is remembered of a client.
pub(crate) const CLIENT: &str =
    "SELECT user_id, last_op, last_seq FROM canvas_clients WHERE canvas_id = ?1 AND client = ?2";
/// Remembers it.
pub(crate) const SET_CLIENT: &str =
    "INSERT INTO canvas_clients (canvas_id, client, user_id, last_op, last_seq, used_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (canvas_id, client) DO UPDATE SET user_id = excluded.user_id,
     last_op = excluded.last_op, last_seq = excluded.last_seq, used_at = excluded.used_at";
/// How many clients a canvas remembers. They are bounded by that.
pub(crate) const COUNT_CLIENTS: &str = "SELECT count(*) FROM canvas_clients WHERE canvas_id = ?1";
/// The next clients in the table's order.
pub(crate) const NEXT_CLIENTS: &str = "SELECT canvas_id, client, used_at FROM canvas_clients
     WHERE (canvas_id, client) > (?1, ?2) ORDER BY canvas_id, client LIMIT ?3";
/// Forgets those of a range that were not used for long and are not here: a name belongs to who is connected under it.
pub(crate) const FORGET_CLIENTS: &str =
    "DELETE FROM canvas_clients WHERE (canvas_id, client) > (?1, ?2)
     AND (canvas_id, client) <= (?3, ?4) AND used_at < ?5
     AND NOT EXISTS (SELECT 1 FROM presence AS p
         WHERE p.canvas_id = canvas_clients.canvas_id AND p.client = canvas_clients.client)";

/// Whether an instance is registered.
pub(crate) const INSTANCE: &str = "SELECT 1 FROM instances WHERE number = ?1";
/// Whether one of that name is.
pub(crate) const INSTANCE_OF_NAME: &str = "SELECT 1 FROM instances WHERE instance_id = ?1";

/// One place in the presence table.
pub(crate) const PLACE: &str = "SELECT conn, user, state, away_at, instance_lost FROM presence
     WHERE canvas_id = ?1 AND client = ?2";
/// Takes or changes a place. It is another instance's only if that is gone: then its name stays.
pub(crate) const SET_PLACE: &str =
    "INSERT INTO presence (canvas_id, client, instance_id, conn, user, state, away_at, instance_lost)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
     ON CONFLICT (canvas_id, client) DO UPDATE SET
     instance_id = iif(conn = excluded.conn, instance_id, excluded.instance_id),
     conn = excluded.conn, user = excluded.user, state = excluded.state, away_at = excluded.away_at,
     instance_lost = excluded.instance_lost";
/// Whose places connections of an instance hold.
pub(crate) const PLACES_OF: &str = "SELECT client FROM presence
     WHERE canvas_id = ?1 AND conn BETWEEN ?2 AND ?3 ORDER BY client";
/// Gives a place up.
pub(crate) const DELETE_PLACE: &str = "DELETE FROM presence WHERE canvas_id = ?1 AND client = ?2";
/// Who is on a canvas.
pub(crate) const MEMBERS: &str =
    "SELECT client, conn, user, state, away_at FROM presence WHERE canvas_id = ?1 ORDER BY client";
/// When the first of those who are away was lost.
pub(crate) const FIRST_AWAY: &str =
    "SELECT away_at FROM presence WHERE away_at IS NOT NULL ORDER BY away_at LIMIT 1";
/// Who was lost long enough ago.
pub(crate) const AWAY: &str = "SELECT canvas_id, client FROM presence
     WHERE away_at IS NOT NULL AND away_at <= ?1 ORDER BY away_at LIMIT ?2";

/// A canvas for those who are not in it.
pub(crate) const FIND: &str = "SELECT key, epoch, seq, objects,
     (SELECT count(*) FROM presence WHERE presence.canvas_id = canvases.key),
     object_bytes + chat_bytes, log_bytes, used_at FROM canvases WHERE canvas_id = ?1";
/// All canvases, by name.
pub(crate) const ALL: &str = "SELECT key, epoch, seq, objects,
     (SELECT count(*) FROM presence WHERE presence.canvas_id = canvases.key),
     object_bytes + chat_bytes, log_bytes, used_at, canvas_id
     FROM canvases WHERE canvas_id > ?1 ORDER BY canvas_id LIMIT ?2";
/// Removes all objects of a canvas.
pub(crate) const DELETE_OBJECTS: &str = "DELETE FROM canvas_objects WHERE canvas_id = ?1";
/// Removes its chat.
pub(crate) const DELETE_CHAT: &str = "DELETE FROM canvas_chat WHERE canvas_id = ?1";
/// Its numbers have another name.
pub(crate) const SET_EPOCH: &str =
    "UPDATE canvases SET epoch = ?2, places_from = ?3 WHERE key = ?1";
/// What is on a canvas has another name.
pub(crate) const SET_CONTENT: &str = "UPDATE canvases SET content = ?2 WHERE key = ?1";
/// What had that name goes, a piece at a time.
pub(crate) const PUT_SWEEP: &str = "INSERT INTO canvas_sweeps (content) VALUES (?1)";
/// What goes next.
pub(crate) const NEXT_SWEEP: &str =
    "SELECT id, content FROM canvas_sweeps WHERE id > 0 ORDER BY id LIMIT 1";
/// All of it is gone.
pub(crate) const DELETE_SWEEP: &str = "DELETE FROM canvas_sweeps WHERE id = ?1";
/// The first objects of a content, and how large they are: found without reading them.
pub(crate) const FIRST_OBJECTS: &str = "SELECT object_id, octet_length(props) FROM canvas_objects
     WHERE canvas_id = ?1 ORDER BY object_id LIMIT ?2";
/// Removes those up to one of them.
pub(crate) const DELETE_FIRST_OBJECTS: &str =
    "DELETE FROM canvas_objects WHERE canvas_id = ?1 AND object_id <= ?2";

/// An instance says that it lives.
pub(crate) const BEAT: &str = "UPDATE instances SET heartbeat_at = ?2 WHERE number = ?1";
/// The registry.
pub(crate) const INSTANCES: &str =
    "SELECT number, instance_id, pid, wake_path, lock_path, heartbeat_at FROM instances";
/// How far an instance is on a canvas.
pub(crate) const SET_WATERMARK: &str =
    "INSERT INTO canvas_watermarks (canvas_id, server_instance_id, last_processed_id, updated_at)
     VALUES (?1, ?2, ?3, ?4) ON CONFLICT (canvas_id, server_instance_id)
     DO UPDATE SET last_processed_id = excluded.last_processed_id, updated_at = excluded.updated_at";
/// Who else has a room for the canvas.
pub(crate) const ELSEWHERE: &str = "SELECT 1 FROM canvas_watermarks
     WHERE canvas_id = ?1 AND server_instance_id <> ?2 LIMIT 1";
/// The instance has no room for the canvas any more.
pub(crate) const DELETE_WATERMARK: &str =
    "DELETE FROM canvas_watermarks WHERE canvas_id = ?1 AND server_instance_id = ?2";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::tests::config;

    /// Those that run for each message, join or round of upkeep.
    const HOT: &[&str] = &[
        CANVAS,
        CREATE_CANVAS,
        HEAD,
        SET_HEAD,
        LAST_KEY,
        ENDING,
        SET_END,
        ATTENDED,
        FORGET_CLIENTS_OF,
        DELETE_CANVAS,
        NEXT_CANVASES,
        ALL,
        TOTALS,
        SET_TOTALS,
        INSERT_ROW,
        INSERT_ROWS,
        ROWS_AFTER,
        ANCHOR,
        STEP,
        MESSAGE,
        COUNT_EXPIRED,
        DELETE_EXPIRED,
        OBJECT,
        OBJECT_BYTES,
        PUT_OBJECT,
        DELETE_OBJECT,
        OBJECTS,
        PUT_DELETION,
        DELETIONS,
        MARK_DELETIONS,
        TRIM_DELETIONS,
        FORGET_DELETIONS,
        EPOCH,
        OBJECT_LOG,
        SET_OBJECT_LOG,
        DELETE_OBJECT_LOG,
        PUT_ENTRY,
        ENTRIES_UPTO,
        DROP_ENTRIES,
        OBJECT_LOGS,
        ENTRIES,
        DELETE_LOGS,
        DELETE_ENTRIES,
        FIRST_ENTRIES,
        DELETE_FIRST_ENTRIES,
        PUT_CHAT,
        TRIM_CHAT,
        CHAT,
        CLIENT,
        SET_CLIENT,
        COUNT_CLIENTS,
        NEXT_CLIENTS,
        FORGET_CLIENTS,
        PLACE,
        SET_PLACE,
        PLACES_OF,
        DELETE_PLACE,
        MEMBERS,
        FIRST_AWAY,
        AWAY,
        FIND,
        DELETE_OBJECTS,
        DELETE_CHAT,
        SET_EPOCH,
        SET_CONTENT,
        PUT_SWEEP,
        NEXT_SWEEP,
        DELETE_SWEEP,
        FIRST_OBJECTS,
        DELETE_FIRST_OBJECTS,
        BEAT,
        INSTANCE,
        INSTANCE_OF_NAME,
        SET_WATERMARK,
        ELSEWHERE,
        DELETE_WATERMARK,
    ];

    /// Every statement of the hot path finds its rows by a key or a range of ids: none scans the queue, none sorts.
    #[test]
    fn no_hot_statement_scans_or_sorts() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), "plans");
        let conn = crate::sqlite::storage::schema::prepare(&config)
            .unwrap()
            .conn;
        for &sql in HOT {
            let plan = plan(&conn, sql);
            assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
            for line in plan.lines() {
                let sparse = line.contains("SCAN presence USING") && line.contains("presence_away");
                let given = sql == INSERT_ROWS && !line.contains("message_queue");
                assert!(!line.contains("SCAN") || sparse || given, "{sql}\n{plan}");
            }
        }
        assert!(plan(&conn, ANCHOR).contains("INDEX message_anchor (canvas_id=? AND seq>?)"));
        assert!(plan(&conn, ROWS_AFTER).contains("INTEGER PRIMARY KEY (rowid>?)"));
    }

    fn plan(conn: &rusqlite::Connection, sql: &str) -> String {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        for i in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(i, 1).unwrap();
        }
        let mut rows = statement.raw_query();
        let mut plan = String::new();
        while let Some(row) = rows.next().unwrap() {
            plan.push_str(&row.get::<_, String>(3).unwrap());
            plan.push('\n');
        }
        plan
    }
}
