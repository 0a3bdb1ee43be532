//! Migrates an older schema to this one: one step for each version, all in one transaction, and only while nobody uses
//! the file. A newer schema is refused, because its meaning is not known here.

use rusqlite::{Connection, TransactionBehavior};
use thiserror::Error;

use super::files::wake_folder;
use super::locks::{Sign, look};

/// What leads from one version to the next.
#[derive(Debug)]
pub(in crate::sqlite) struct Step {
    /// The version before.
    pub(in crate::sqlite) from: i64,
    /// What turns it into `from + 1`.
    pub(in crate::sqlite) sql: &'static str,
}

/// All steps since version 1, oldest first. None is ever changed or removed: some file needs it.
pub(in crate::sqlite) const STEPS: &[Step] = &[
    Step {
        from: 1,
        // The bytes of a canvas's objects, for `--max-canvas-bytes`.
        sql: "ALTER TABLE canvases ADD COLUMN object_bytes INTEGER NOT NULL DEFAULT 0;
              UPDATE canvases SET object_bytes = (SELECT coalesce(sum(octet_length(props)), 0)
                  FROM canvas_objects WHERE canvas_objects.canvas_id = canvases.key);",
    },
    Step {
        from: 2,
        // Why somebody who is away will be gone; what was deleted; what is kept in all, for quotas; the work queue; hooks; analytics.
        sql: concat!(
            "ALTER TABLE presence ADD COLUMN instance_lost INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE canvases ADD COLUMN log_bytes INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE canvases ADD COLUMN log_from INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE canvases ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE canvases ADD COLUMN chat_bytes INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE canvases ADD COLUMN ends_at INTEGER;
             ALTER TABLE canvases ADD COLUMN content INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE canvases ADD COLUMN places_from INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE canvases ADD COLUMN ephemeral_bytes INTEGER NOT NULL DEFAULT 0;
             CREATE TABLE canvas_sweeps (
                 id INTEGER PRIMARY KEY AUTOINCREMENT, content INTEGER NOT NULL) STRICT;
             CREATE INDEX canvas_ends ON canvases (ends_at) WHERE ends_at IS NOT NULL;
             CREATE TABLE totals (one INTEGER PRIMARY KEY CHECK (one = 1),
                 log_bytes INTEGER NOT NULL, stored_bytes INTEGER NOT NULL, canvases INTEGER NOT NULL,
                 next_key INTEGER NOT NULL, full_at INTEGER NOT NULL,
                 ephemeral_bytes INTEGER NOT NULL DEFAULT 0) STRICT;
             UPDATE canvases SET used_at = created_at;
             UPDATE canvases SET log_bytes = kept.bytes FROM
                 (SELECT canvas_id, sum(160 + octet_length(payload)) AS bytes FROM message_queue
                  WHERE seq IS NOT NULL OR message_type = 'signal' GROUP BY canvas_id) AS kept
                 WHERE kept.canvas_id = canvases.key;
             UPDATE canvases SET chat_bytes = kept.bytes FROM
                 (SELECT canvas_id, sum(octet_length(entry)) AS bytes FROM canvas_chat GROUP BY canvas_id) AS kept
                 WHERE kept.canvas_id = canvases.key;
             UPDATE canvases SET ends_at = created_at WHERE seq = 0 AND objects = 0;
             INSERT INTO totals SELECT 1, coalesce(sum(log_bytes), 0), coalesce(sum(object_bytes + chat_bytes), 0),
                 count(*), coalesce(max(key), 0) + 1, 0, 0 FROM canvases;
             CREATE TABLE canvas_deletions (
                 canvas_id INTEGER NOT NULL, seq INTEGER NOT NULL, object_id TEXT NOT NULL,
                 PRIMARY KEY (canvas_id, seq)) STRICT, WITHOUT ROWID;
             INSERT INTO canvas_deletions SELECT key, seq, '' FROM canvases WHERE seq > 0;
",
            include_str!("tables/jobs.sql"),
            include_str!("tables/hooks.sql"),
            include_str!("tables/analytics.sql"),
        ),
    },
    Step {
        from: 3,
        // The history of deliveries.
        sql: include_str!("tables/deliveries.sql"),
    },
    Step {
        from: 4,
        // The index of assets.
        sql: include_str!("tables/assets.sql"),
    },
    Step {
        from: 5,
        // Logs of objects.
        sql: include_str!("tables/logs.sql"),
    },
    Step {
        from: 6,
        // What hooks are told of large transactions.
        sql: include_str!("tables/aside.sql"),
    },
    Step {
        from: 7,
        // Marks of completed messages side by side. A name that says its message's place is found by that, and has no row.
        sql: concat!(
            include_str!("tables/runs.sql"),
            "DELETE FROM job_named WHERE seq > 0 AND EXISTS
                 (SELECT 1 FROM job_messages AS m
                  WHERE m.partition = job_named.partition AND m.seq = job_named.seq AND m.only = 0
                      AND m.name GLOB '????????-????-7???-????-????????????'
                      AND NOT m.name GLOB '*[^0-9a-f-]*' AND length(replace(m.name, '-', '')) = 32
                      AND substr(m.name, 27) = printf('%010x', m.seq));
",
        ),
    },
];

/// Why a file stays as it is.
#[derive(Debug, Error)]
pub(in crate::sqlite) enum Stays {
    /// No step begins at its version.
    #[error("no way leads from there")]
    NoWay,
    /// Somebody uses it.
    #[error("{0} uses it")]
    InUse(String),
    /// A step failed; nothing of it or the others happened.
    #[error("{0}")]
    Failed(#[from] rusqlite::Error),
}

/// Brings a file from version `found` to `target`. The caller holds the turnstile, so nobody starts meanwhile.
///
/// # Errors
/// [`Stays`]; then the file is as it was.
pub(in crate::sqlite) fn migrate(
    conn: &mut Connection,
    found: i64,
    target: i64,
    steps: &[Step],
) -> Result<(), Stays> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(user) = user(&tx)? {
        return Err(Stays::InUse(user));
    }
    for version in found..target {
        let step = steps.iter().find(|step| step.from == version);
        tx.execute_batch(step.ok_or(Stays::NoWay)?.sql)?;
    }
    tx.pragma_update(None, "user_version", target)?;
    tx.commit()?;
    tracing::info!(from = found, to = target, "the file's schema is migrated");
    Ok(())
}

/// An instance that lives, as far as its lock tells. `instances` has its name and its lock in every version.
fn user(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let folder = wake_folder(conn);
    let mut statement = conn.prepare("SELECT instance_id, lock_path FROM instances")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if look(&folder.join(row.get_ref(1)?.as_str()?)) == Sign::Alive {
            return Ok(Some(row.get(0)?));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sqlite::storage::schema::VERSION;
    use crate::sqlite::tests::config;

    const ADD: Step = Step {
        from: VERSION,
        sql: "ALTER TABLE canvases ADD COLUMN colour TEXT NOT NULL DEFAULT 'white'",
    };
    const FILL: Step = Step {
        from: VERSION + 1,
        sql: "UPDATE canvases SET colour = 'black' WHERE canvas_id = 'c'",
    };
    const BROKEN: Step = Step {
        from: VERSION + 1,
        sql: "UPDATE nowhere SET x = 1",
    };

    /// A file of the version before those steps, with something in it.
    fn older(dir: &Path) -> Connection {
        let config = config(dir, "one");
        let conn = crate::sqlite::storage::schema::prepare(&config)
            .unwrap()
            .conn;
        conn.execute(
            "INSERT INTO canvases (canvas_id, epoch, created_at) VALUES ('c', 'e', 1), ('d', 'e', 1)",
            [],
        )
        .unwrap();
        conn
    }

    fn version(conn: &Connection) -> i64 {
        conn.pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn steps_are_taken_in_order_and_what_was_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = older(dir.path());
        migrate(&mut conn, VERSION, VERSION + 2, &[FILL, ADD]).unwrap();
        assert_eq!(version(&conn), VERSION + 2);
        let colours: String = conn
            .query_row(
                "SELECT group_concat(canvas_id || colour) FROM canvases",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(colours, "cblack,dwhite");
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = older(dir.path());
        for steps in [&[ADD, BROKEN][..], &[ADD]] {
            let stays = migrate(&mut conn, VERSION, VERSION + 2, steps);
            assert!(stays.is_err());
            assert_eq!(version(&conn), VERSION);
            assert!(conn.prepare("SELECT colour FROM canvases").is_err());
        }
    }

    #[test]
    fn a_file_that_is_used_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let queue = crate::sqlite::SqliteBackplane::start(config(dir.path(), "old")).unwrap();
        let mut conn = Connection::open(dir.path().join("queue.db")).unwrap();
        let stays = migrate(&mut conn, VERSION, VERSION + 1, &[ADD]);
        assert!(matches!(stays, Err(Stays::InUse(user)) if user == "old"));
        assert_eq!(version(&conn), VERSION);
        drop(queue);
    }

    /// A file that the last scumble of version 1 has left: see the README beside it.
    const VERSION_1: &[u8] = include_bytes!("../../../tests/files/version-1.sqlite");

    fn columns(conn: &Connection) -> String {
        let sql = "SELECT group_concat(t.name || '.' || c.name || ' ' || c.type || ' ' || c.[notnull] || c.pk, ', '
                       ORDER BY t.name, c.cid)
                   FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'";
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_file_of_version_1_becomes_one_of_today_with_all_that_is_in_it() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(old.path().join("queue.db"), VERSION_1).unwrap();
        let prepare =
            |dir: &Path| crate::sqlite::storage::schema::prepare(&config(dir, "one")).unwrap();
        let migrated = prepare(old.path()).conn;
        assert_eq!(version(&migrated), VERSION);
        assert_eq!(columns(&migrated), columns(&prepare(new.path()).conn));
        let told = |sql: &str| {
            let all: String = migrated.query_row(sql, [], |row| row.get(0)).unwrap();
            all
        };
        let canvases = "SELECT group_concat(canvas_id || ' ' || epoch || ' ' || seq || ' ' || objects || ' ' || object_bytes)
                        FROM canvases";
        assert_eq!(
            told(canvases),
            "board 20653db57ea440e8 7 2 9094,notes 0eeeba54ffec4321 1 1 37,quiet 6dd011c9c955449b 0 0 0"
        );
        let object = "SELECT props FROM canvas_objects WHERE object_id = 'a'";
        assert_eq!(
            told(object),
            r##"{"fill":"#c03","id":"a","kind":"rect","t":"größe","x":2.5}"##
        );
        let ops =
            "SELECT group_concat(client || ' ' || last_op) FROM canvas_clients WHERE last_op > 0";
        assert_eq!(told(ops), "client-ada 7,client-ben 1");
    }

    /// Each version that there was has its step.
    #[test]
    fn a_way_leads_from_every_version() {
        let from: Vec<i64> = STEPS.iter().map(|step| step.from).collect();
        assert_eq!(from, (1..VERSION).collect::<Vec<_>>());
    }
}
