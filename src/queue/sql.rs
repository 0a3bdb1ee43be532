//! The statements that run again and again, in one place: a test asks SQLite how it would run each of them.

/// A canvas by its name.
pub(super) const CANVAS: &str = "SELECT key, epoch FROM canvases WHERE canvas_id = ?1";
/// A new canvas; nothing if another process was first.
pub(super) const CREATE_CANVAS: &str =
    "INSERT INTO canvases (canvas_id, epoch, created_at) VALUES (?1, ?2, ?3)
     ON CONFLICT (canvas_id) DO NOTHING";
/// A canvas's head.
pub(super) const HEAD: &str = "SELECT epoch, seq, head_id, presence_version, objects, object_bytes FROM canvases WHERE key = ?1";
/// Writes a canvas's head.
pub(super) const SET_HEAD: &str =
    "UPDATE canvases SET seq = ?2, head_id = ?3, presence_version = ?4, objects = ?5, object_bytes = ?6
     WHERE key = ?1";
/// The id of the last row ever written.
pub(super) const LAST_ID: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'message_queue'";

/// What one row for everybody is made of.
pub(super) const ROW_PARAMETERS: usize = 10;
/// A row for everybody.
pub(super) const INSERT_ROW: &str = "INSERT INTO message_queue
     (canvas_id, seq, message_type, origin, client, op, prev_id, created_at, expires_at, payload)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// Rows that one statement can write.
pub(super) const ROWS_AT_ONCE: u8 = 8;
/// Rows for everybody: the first few, as many as the last parameter says.
pub(super) const INSERT_ROWS: &str = "INSERT INTO message_queue
     (canvas_id, seq, message_type, origin, client, op, prev_id, created_at, expires_at, payload)
     SELECT * FROM (VALUES
     (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?),
     (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?),
     (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?),
     (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?))
     LIMIT ?";
/// What came after a row, for all canvases.
pub(super) const ROWS_AFTER: &str =
    "SELECT id, canvas_id, seq, message_type, origin, client, op, created_at, expires_at, payload
     FROM message_queue WHERE id > ?1 ORDER BY id LIMIT ?2";
/// The first place at or after a seq where a walk can begin.
pub(super) const ANCHOR: &str =
    "SELECT id FROM message_queue WHERE canvas_id = ?1 AND seq >= ?2 AND seq % 64 = 0
     ORDER BY seq LIMIT 1";
/// One step of a walk towards older messages.
pub(super) const STEP: &str =
    "SELECT seq, prev_id, op, client, expires_at FROM message_queue WHERE id = ?1";
/// A message to be told.
pub(super) const MESSAGE: &str =
    "SELECT message_type, origin, op, client, created_at, payload FROM message_queue WHERE id = ?1";
/// Expired rows of a range of ids.
pub(super) const COUNT_EXPIRED: &str =
    "SELECT count(*) FROM message_queue WHERE id > ?1 AND id <= ?2 AND expires_at <= ?3";
/// Removes them.
pub(super) const DELETE_EXPIRED: &str =
    "DELETE FROM message_queue WHERE id > ?1 AND id <= ?2 AND expires_at <= ?3";

/// An object.
pub(super) const OBJECT: &str =
    "SELECT props FROM canvas_objects WHERE canvas_id = ?1 AND object_id = ?2";
/// How many bytes an object has: found without reading them.
pub(super) const OBJECT_BYTES: &str =
    "SELECT octet_length(props) FROM canvas_objects WHERE canvas_id = ?1 AND object_id = ?2";
/// Writes an object; one that is there keeps its place in the order of creation.
pub(super) const PUT_OBJECT: &str =
    "INSERT INTO canvas_objects (canvas_id, object_id, created_seq, updated_seq, props)
     VALUES (?1, ?2, ?3, ?3, ?4)
     ON CONFLICT (canvas_id, object_id)
     DO UPDATE SET updated_seq = excluded.updated_seq, props = excluded.props";
/// Removes an object.
pub(super) const DELETE_OBJECT: &str =
    "DELETE FROM canvas_objects WHERE canvas_id = ?1 AND object_id = ?2";
/// All objects of a canvas.
pub(super) const OBJECTS: &str =
    "SELECT created_seq, props FROM canvas_objects WHERE canvas_id = ?1";
/// A chat message.
pub(super) const PUT_CHAT: &str =
    "INSERT INTO canvas_chat (canvas_id, seq, entry) VALUES (?1, ?2, ?3)";
/// Forgets all but the latest chat messages.
pub(super) const TRIM_CHAT: &str = "DELETE FROM canvas_chat WHERE canvas_id = ?1 AND seq <=
     (SELECT seq FROM canvas_chat WHERE canvas_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)";
/// The latest chat messages, latest first.
pub(super) const CHAT: &str =
    "SELECT entry FROM canvas_chat WHERE canvas_id = ?1 ORDER BY seq DESC LIMIT ?2";

/// What is remembered of a client.
pub(super) const CLIENT: &str =
    "SELECT user_id, last_op, last_seq FROM canvas_clients WHERE canvas_id = ?1 AND client = ?2";
/// Remembers it.
pub(super) const SET_CLIENT: &str =
    "INSERT INTO canvas_clients (canvas_id, client, user_id, last_op, last_seq, used_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (canvas_id, client) DO UPDATE SET user_id = excluded.user_id,
     last_op = excluded.last_op, last_seq = excluded.last_seq, used_at = excluded.used_at";
/// The next clients in the table's order.
pub(super) const NEXT_CLIENTS: &str = "SELECT canvas_id, client, used_at FROM canvas_clients
     WHERE (canvas_id, client) > (?1, ?2) ORDER BY canvas_id, client LIMIT ?3";
/// Forgets those of a range that were not used for long and are not here: a name belongs to who is connected under it.
pub(super) const FORGET_CLIENTS: &str =
    "DELETE FROM canvas_clients WHERE (canvas_id, client) > (?1, ?2)
     AND (canvas_id, client) <= (?3, ?4) AND used_at < ?5
     AND NOT EXISTS (SELECT 1 FROM presence AS p
         WHERE p.canvas_id = canvas_clients.canvas_id AND p.client = canvas_clients.client)";

/// Whether an instance is registered.
pub(super) const INSTANCE: &str = "SELECT 1 FROM instances WHERE number = ?1";
/// Whether one of that name is.
pub(super) const INSTANCE_OF_NAME: &str = "SELECT 1 FROM instances WHERE instance_id = ?1";

/// One place in the presence table.
pub(super) const PLACE: &str =
    "SELECT conn, user, state, away_at FROM presence WHERE canvas_id = ?1 AND client = ?2";
/// Takes or changes a place.
pub(super) const SET_PLACE: &str =
    "INSERT INTO presence (canvas_id, client, instance_id, conn, user, state, away_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
     ON CONFLICT (canvas_id, client) DO UPDATE SET instance_id = excluded.instance_id,
     conn = excluded.conn, user = excluded.user, state = excluded.state, away_at = excluded.away_at";
/// Gives a place up.
pub(super) const DELETE_PLACE: &str = "DELETE FROM presence WHERE canvas_id = ?1 AND client = ?2";
/// Who is on a canvas.
pub(super) const MEMBERS: &str =
    "SELECT client, conn, user, state, away_at FROM presence WHERE canvas_id = ?1 ORDER BY client";
/// When the first of those who are away was lost.
pub(super) const FIRST_AWAY: &str =
    "SELECT away_at FROM presence WHERE away_at IS NOT NULL ORDER BY away_at LIMIT 1";
/// Who was lost long enough ago.
pub(super) const AWAY: &str = "SELECT canvas_id, client, instance_id, conn FROM presence
     WHERE away_at IS NOT NULL AND away_at <= ?1 ORDER BY away_at LIMIT ?2";

/// A canvas for those who are not in it.
pub(super) const FIND: &str = "SELECT key, epoch, seq, objects,
     (SELECT count(*) FROM presence WHERE presence.canvas_id = canvases.key)
     FROM canvases WHERE canvas_id = ?1";
/// Removes all objects of a canvas.
pub(super) const DELETE_OBJECTS: &str = "DELETE FROM canvas_objects WHERE canvas_id = ?1";
/// Removes its chat.
pub(super) const DELETE_CHAT: &str = "DELETE FROM canvas_chat WHERE canvas_id = ?1";
/// The places of what its clients said mean nothing any more.
pub(super) const FORGET_PLACES: &str =
    "UPDATE canvas_clients SET last_seq = 0 WHERE canvas_id = ?1 AND last_seq > 0";
/// A walk begins at one of these, and ends at the first that is expired.
pub(super) const EXPIRE_ANCHORS: &str =
    "UPDATE message_queue SET expires_at = 0 WHERE canvas_id = ?1 AND seq > 0 AND seq % 64 = 0";
/// Its numbers have another name.
pub(super) const SET_EPOCH: &str = "UPDATE canvases SET epoch = ?2 WHERE key = ?1";

/// An instance says that it lives.
pub(super) const BEAT: &str = "UPDATE instances SET heartbeat_at = ?2 WHERE number = ?1";
/// The registry.
pub(super) const INSTANCES: &str =
    "SELECT number, instance_id, pid, wake_path, lock_path, heartbeat_at FROM instances";
/// How far an instance is on a canvas.
pub(super) const SET_WATERMARK: &str =
    "INSERT INTO canvas_watermarks (canvas_id, server_instance_id, last_processed_id, updated_at)
     VALUES (?1, ?2, ?3, ?4) ON CONFLICT (canvas_id, server_instance_id)
     DO UPDATE SET last_processed_id = excluded.last_processed_id, updated_at = excluded.updated_at";
/// Who else has a room for the canvas.
pub(super) const ELSEWHERE: &str = "SELECT 1 FROM canvas_watermarks
     WHERE canvas_id = ?1 AND server_instance_id <> ?2 LIMIT 1";
/// The instance has no room for the canvas any more.
pub(super) const DELETE_WATERMARK: &str =
    "DELETE FROM canvas_watermarks WHERE canvas_id = ?1 AND server_instance_id = ?2";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::tests::config;

    /// Every statement of the hot path finds its rows by a key or a range of ids: none scans the queue, none sorts.
    #[test]
    fn no_hot_statement_scans_or_sorts() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), "plans");
        let conn = crate::queue::schema::prepare(&config).unwrap().conn;
        let statements = [
            CANVAS,
            CREATE_CANVAS,
            HEAD,
            SET_HEAD,
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
            PUT_CHAT,
            TRIM_CHAT,
            CHAT,
            CLIENT,
            SET_CLIENT,
            NEXT_CLIENTS,
            FORGET_CLIENTS,
            PLACE,
            SET_PLACE,
            DELETE_PLACE,
            MEMBERS,
            FIRST_AWAY,
            AWAY,
            FIND,
            DELETE_OBJECTS,
            DELETE_CHAT,
            FORGET_PLACES,
            EXPIRE_ANCHORS,
            SET_EPOCH,
            BEAT,
            INSTANCE,
            INSTANCE_OF_NAME,
            SET_WATERMARK,
            ELSEWHERE,
            DELETE_WATERMARK,
        ];
        for sql in statements {
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

    /// See `.cargo/config.toml`: with one cache for all connections the writer reads its pages again and again.
    #[test]
    fn each_connection_has_its_own_page_cache() {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        let mut options = conn.prepare("PRAGMA compile_options").unwrap();
        let options = options
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap();
        let options: Vec<_> = options.map(Result::unwrap).collect();
        assert!(
            options.iter().any(|option| option == "THREADSAFE=1"),
            "{options:?}"
        );
        assert!(
            !options
                .iter()
                .any(|option| option == "ENABLE_MEMORY_MANAGEMENT")
        );
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
