//! The single checks of `scumble doctor`. They only read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rusqlite::{Connection, params};
use rustix::fs::statvfs;

use super::{Patient, Verdict};
use crate::cli::file::beside;
use crate::limits::{HEARTBEAT_STALE, WAL_RESTART_BYTES, WATERMARK_INTERVAL};
use crate::sqlite::{Sign, VERSION, kept_rules, sign_of_life, wake_folder};
use crate::time::millis;

type Verdicts = anyhow::Result<Vec<Verdict>>;

/// Less free space than this is a finding: a few minutes of heavy writing.
const FREE_BYTES: u64 = 512 << 20;
/// A backlog above this is a warning by the queue's own thresholds.
const LAG_ROWS: i64 = 1_000;
/// Rows that expired this long ago should be gone: several times the longest sensible cleanup interval.
const OVERDUE_MS: i64 = 5 * 60 * 1_000;

/// The SQLite that reads here has the WAL-reset fix, as a relay's must, and is built for several connections.
pub(super) fn sqlite(patient: &Patient<'_>) -> Verdicts {
    let version = rusqlite::version();
    let number = rusqlite::version_number();
    let fixed = number >= 3_053_000 || (3_051_003..3_052_000).contains(&number);
    let mut verdicts = vec![if fixed {
        Verdict::Fine(version.to_owned())
    } else {
        Verdict::finding(
            format!("{version} can lose committed rows when the write-ahead log is reset"),
            "build scumble with its bundled SQLite: 3.51.3, or 3.53.0 and later",
        )
    }];
    for (what, todo) in crate::sqlite::built::faults(&patient.conn)? {
        verdicts.push(Verdict::finding(what, todo));
    }
    Ok(verdicts)
}

/// The tables are those that this program knows.
pub(super) fn schema(patient: &Patient<'_>) -> Verdicts {
    let version: i64 = patient
        .conn
        .pragma_query_value(None, "user_version", |row| row.get(0))?;
    let told = format!("version {version}, this scumble knows {VERSION}");
    Ok(vec![match version {
        VERSION => Verdict::Fine(format!("version {version}")),
        1..VERSION => {
            let todo = "make a backup and stop all processes of the older version: the next `scumble serve` migrates it";
            Verdict::finding(told, todo)
        }
        _ => {
            let todo = "use the scumble that made the file, or start on a new file";
            Verdict::finding(told, todo)
        }
    }])
}

/// The file's structure; with `--thorough` each index entry too.
pub(super) fn integrity(patient: &Patient<'_>) -> Verdicts {
    let pragma = if patient.args.thorough {
        "integrity_check"
    } else {
        "quick_check"
    };
    let mut statement = patient.conn.prepare(&format!("PRAGMA {pragma}(5)"))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
    if lines == ["ok"] {
        return Ok(vec![Verdict::Fine(format!("{pragma} ok"))]);
    }
    let todo = "stop all processes, keep the file for analysis, restore the last backup (docs/OPERATIONS.md)";
    Ok(lines
        .into_iter()
        .map(|line| Verdict::finding(line, todo))
        .collect())
}

/// WAL mode, and a log that checkpoints keep small.
pub(super) fn journal(patient: &Patient<'_>) -> Verdicts {
    let mode: String = patient
        .conn
        .pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let bytes = fs::metadata(beside(&patient.args.source.db, "-wal")).map_or(0, |wal| wal.len());
    Ok(vec![if mode != "wal" {
        Verdict::finding(
            format!("journal mode is {mode}"),
            "something changed it: no other program may write to this file; the next start sets it to wal",
        )
    } else if bytes > 4 * WAL_RESTART_BYTES {
        Verdict::finding(
            format!("the write-ahead log has {} MiB", bytes >> 20),
            "a long read holds checkpoints up: end shells and backups on the file; the log shrinks by itself after",
        )
    } else {
        Verdict::Fine(format!("wal, {} KiB", bytes >> 10))
    }])
}

/// Room to write.
pub(super) fn disk(patient: &Patient<'_>) -> Verdicts {
    let db = &patient.args.source.db;
    let folder = db.parent().filter(|folder| !folder.as_os_str().is_empty());
    let space = statvfs(folder.unwrap_or(Path::new("."))).context("the file's disk")?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    Ok(vec![if free < FREE_BYTES {
        Verdict::finding(
            format!("{} MiB are free", free >> 20),
            "make room: with a full disk nothing is acked, and /readyz fails",
        )
    } else {
        Verdict::Fine(format!("{} MiB free", free >> 20))
    }])
}

pub(super) struct Instance {
    pub(super) id: String,
    pub(super) pid: u32,
    lock_path: PathBuf,
    pub(super) wake_path: PathBuf,
    age_ms: i64,
}

impl Instance {
    /// What its lock says. Held by us for a moment if it is free.
    fn sign(&self) -> Sign {
        sign_of_life(&self.lock_path)
    }

    /// Its heartbeat is older than what others bear whom its lock tells nothing.
    fn is_silent(&self) -> bool {
        self.age_ms > millis(HEARTBEAT_STALE)
    }

    pub(super) fn lives(&self) -> bool {
        match self.sign() {
            Sign::Alive => true,
            Sign::Dead => false,
            Sign::Unknown => !self.is_silent(),
        }
    }

    fn verdict(&self) -> Verdict {
        let who = format!("{} (pid {})", self.id, self.pid);
        let last = format!("its last heartbeat is {} s old", self.age_ms / 1_000);
        let unread = format!("its lock can't be read: {}", self.lock_path.display());
        match self.sign() {
            Sign::Dead => Verdict::finding(
                format!("{who} is dead: its lock is free, its row is still there"),
                "start any process on the file: it reaps the dead; nothing acked is lost",
            ),
            Sign::Alive if self.is_silent() => Verdict::finding(
                format!("{who} lives, but {last}"),
                "it is stopped, or can't commit: see its log; continue it (SIGCONT) or end it (SIGTERM, then SIGKILL)",
            ),
            Sign::Alive if matches!(self.wake_path.try_exists(), Ok(false)) => Verdict::finding(
                format!(
                    "{who} lives, but its socket was deleted: {}",
                    self.wake_path.display()
                ),
                "restart the process: until then no other can wake it, and messages come by the poll",
            ),
            Sign::Alive => Verdict::Fine(format!("{who}, heartbeat {} ms ago", self.age_ms)),
            Sign::Unknown if self.is_silent() => Verdict::finding(
                format!("{who} seems dead: {last}, and {unread}"),
                "start any process on the file: it removes processes that stay silent; nothing acked is lost",
            ),
            Sign::Unknown => Verdict::finding(
                format!("{who} lives, but {unread}"),
                "run doctor as the relay's user; if the folder was deleted, restart the process: until then no other can wake it",
            ),
        }
    }
}

pub(super) fn registered(patient: &Patient<'_>) -> anyhow::Result<Vec<Instance>> {
    let sql = "SELECT instance_id, pid, lock_path, wake_path, heartbeat_at FROM instances ORDER BY number";
    let folder = wake_folder(&patient.conn);
    let mut statement = patient.conn.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Instance {
            id: row.get(0)?,
            pid: row.get(1)?,
            lock_path: folder.join(row.get::<_, String>(2)?),
            wake_path: folder.join(row.get::<_, String>(3)?),
            age_ms: patient.now_ms - row.get::<_, i64>(4)?,
        })
    })?;
    rows.collect::<Result<_, _>>().context("instances")
}

/// Each registered instance lives and says so.
pub(super) fn instances(patient: &Patient<'_>) -> Verdicts {
    let verdicts: Vec<_> = registered(patient)?.iter().map(Instance::verdict).collect();
    Ok(if verdicts.is_empty() {
        vec![Verdict::Fine("none is running".to_owned())]
    } else {
        verdicts
    })
}

/// What all processes must agree on.
pub(super) fn rules(patient: &Patient<'_>) -> Verdicts {
    let kept = kept_rules(&patient.conn).context("meta")?;
    let none = || "none yet: the next process that starts alone keeps its own".to_owned();
    Ok(vec![Verdict::Fine(kept.unwrap_or_else(none))])
}

/// Who is here is here through an instance that is registered.
pub(super) fn presence(patient: &Patient<'_>) -> Verdicts {
    let sql = "SELECT count(*), count(*) FILTER (WHERE away_at IS NULL AND instance_id NOT IN
               (SELECT instance_id FROM instances)) FROM presence";
    let (all, orphans): (i64, i64) = patient
        .conn
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .context("presence")?;
    Ok(vec![if orphans > 0 {
        Verdict::finding(
            format!("{orphans} of {all} clients are here through an instance that is gone"),
            "start any process on the file: it turns them away and reaps them; if they stay, report a bug",
        )
    } else {
        Verdict::Fine(format!("{all} clients"))
    }])
}

/// How many log messages each instance has yet to process.
pub(super) fn lag(patient: &Patient<'_>) -> Verdicts {
    let sql = "SELECT w.server_instance_id,
                 (SELECT count(*) FROM canvas_watermarks own JOIN message_queue m
                    ON m.canvas_id = own.canvas_id AND m.id > own.last_processed_id
                  WHERE own.server_instance_id = w.server_instance_id
                    AND m.seq IS NOT NULL AND m.expires_at > ?1 AND m.created_at < ?2)
               FROM canvas_watermarks w GROUP BY w.server_instance_id";
    // Watermarks are written lazily: what is younger than two of their intervals says nothing yet.
    let lazy_ms = millis(2 * WATERMARK_INTERVAL);
    let settled_ms = patient.now_ms - lazy_ms;
    let mut statement = patient.conn.prepare(sql).context("canvas_watermarks")?;
    let rows = statement.query_map([patient.now_ms, settled_ms], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let mut verdicts = Vec::new();
    for row in rows {
        let (id, behind): (String, i64) = row?;
        verdicts.push(if !is_registered(&patient.conn, &id)? {
            Verdict::finding(
                format!("watermarks of {id}, which is gone"),
                "start any process on the file: its cleanup removes them",
            )
        } else if behind > LAG_ROWS {
            Verdict::finding(
                format!("{id} is {behind} messages behind"),
                "see its log and processor time; if it does not recover, restart it: clients resume elsewhere",
            )
        } else {
            Verdict::Fine(format!("{id} is {behind} messages behind"))
        });
    }
    Ok(if verdicts.is_empty() {
        vec![Verdict::Fine("no watermarks".to_owned())]
    } else {
        verdicts
    })
}

fn is_registered(conn: &Connection, id: &str) -> rusqlite::Result<bool> {
    conn.query_row(
        "SELECT count(*) FROM instances WHERE instance_id = ?1",
        [id],
        |row| row.get(0),
    )
}

/// Expired rows go.
pub(super) fn cleanup(patient: &Patient<'_>) -> Verdicts {
    let sql = "SELECT count(*), count(*) FILTER (WHERE expires_at < ?1) FROM message_queue";
    let overdue_before = patient.now_ms - OVERDUE_MS;
    let (all, overdue): (i64, i64) = patient
        .conn
        .query_row(sql, params![overdue_before], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .context("message_queue")?;
    let alive = registered(patient)?.iter().any(Instance::lives);
    Ok(vec![if overdue > 0 && alive {
        Verdict::finding(
            format!("{overdue} of {all} rows expired over five minutes ago and are still there"),
            "no process cleans up: see the logs for errors of the cleanup; restart the processes one by one",
        )
    } else {
        Verdict::Fine(format!("{all} rows kept"))
    }])
}
