//! Samples in the file: each process writes its own, and reads those of all.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rusqlite::{Connection, params};

use super::SqliteBackplane;
use super::commands::Command;
use super::instances::InstanceNumber;
use crate::analytics::{CanvasRow, Grain, Kept, Note, Sample, Search, Store};

/// The table.
pub(super) const SCHEMA: &str = include_str!("analytics/schema.sql");

const PUT: &str =
    "INSERT OR REPLACE INTO analytics (step, at, instance, sample) VALUES (?1, ?2, ?3, ?4)";
const FORGET: &str = "DELETE FROM analytics WHERE step = ?1 AND at < ?2";
const FORGET_GONE: &str =
    "DELETE FROM analytics WHERE step = 0 AND instance NOT IN (SELECT number FROM instances)";
const NOW: &str = "SELECT i.instance_id, a.sample FROM analytics AS a JOIN instances AS i ON i.number = a.instance
     WHERE a.step = 0 ORDER BY i.number";
const SPANS: &str = "SELECT at, instance, sample FROM analytics WHERE step = ?1 AND at >= ?2";

/// Looks at each name until there are enough: not of the hot path.
const CANVASES: &str = "SELECT c.canvas_id, c.seq, c.objects, c.object_bytes,
         (SELECT count(*) FROM presence AS p WHERE p.canvas_id = c.key) AS members
     FROM canvases AS c
     WHERE c.canvas_id > ?1 AND instr(lower(c.canvas_id), lower(?2)) > 0
         AND (NOT ?3 OR EXISTS (SELECT 1 FROM presence AS p WHERE p.canvas_id = c.key))
     ORDER BY c.canvas_id LIMIT ?4";

/// Rows as they are written: the step, the start, the sample as JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rows {
    /// What is older than its grain is kept goes: `(step, before)`. Empty most of the time.
    forget: Vec<(i64, i64)>,
    put: Vec<(i64, i64, String)>,
}

/// The samples of a file that is open.
#[must_use]
pub fn analytics(backplane: &Arc<SqliteBackplane>) -> Arc<dyn Store> {
    Arc::new(FileSamples(backplane.clone()))
}

struct FileSamples(Arc<SqliteBackplane>);

impl Store for FileSamples {
    fn put(&self, note: Note) {
        let text = |value: serde_json::Result<String>| value.unwrap_or_else(|_| "{}".to_owned());
        let mut put = vec![(0, 0, text(serde_json::to_string(&note.now)))];
        let mut forget = Vec::new();
        for (grain, at, sample) in &note.spans {
            put.push((grain.step_ms(), *at, text(serde_json::to_string(sample))));
            // Once a minute is often enough to forget.
            if *grain == Grain::Minute {
                let old = |grain: Grain| (grain.step_ms(), note.now.at_ms - grain.kept_ms());
                forget.extend(Grain::ALL.map(old));
            }
        }
        let command = Command::Sample(Rows { forget, put });
        self.0.intake.submit(command, None);
    }

    fn read(&self, grain: Grain, since_ms: i64) -> BoxFuture<'_, Result<Kept, String>> {
        let kept = self.0.reader.read(move |conn| kept(conn, grain, since_ms));
        kept.map(|kept| kept.map_err(|error| error.to_string()))
            .boxed()
    }

    fn canvases(&self, search: Search) -> BoxFuture<'_, Result<Option<Vec<CanvasRow>>, String>> {
        let found = self.0.reader.read(move |conn| canvases(conn, &search));
        found
            .map(|found| found.map(Some).map_err(|error| error.to_string()))
            .boxed()
    }
}

fn canvases(conn: &Connection, search: &Search) -> rusqlite::Result<Vec<CanvasRow>> {
    let mut statement = conn.prepare_cached(CANVASES)?;
    let Search {
        part,
        people,
        after,
        limit,
    } = search;
    let rows = statement.query_map(params![after, part, people, limit], |row| {
        let number = |at: usize| row.get(at).map(i64::cast_unsigned);
        Ok(CanvasRow {
            canvas: row.get(0)?,
            head: number(1)?,
            objects: number(2)?,
            object_bytes: number(3)?,
            members: number(4)?,
        })
    })?;
    rows.collect()
}

/// Writes what this process did.
pub(super) fn write(
    conn: &Connection,
    instance: InstanceNumber,
    rows: &Rows,
) -> rusqlite::Result<()> {
    for (step, before) in &rows.forget {
        conn.prepare_cached(FORGET)?.execute([step, before])?;
    }
    if !rows.forget.is_empty() {
        conn.prepare_cached(FORGET_GONE)?.execute([])?;
    }
    let mut put = conn.prepare_cached(PUT)?;
    for (step, at, sample) in &rows.put {
        put.execute(params![step, at, instance, sample])?;
    }
    Ok(())
}

fn kept(conn: &Connection, grain: Grain, since_ms: i64) -> rusqlite::Result<Kept> {
    let mut kept = Kept::default();
    let mut now = conn.prepare_cached(NOW)?;
    let mut rows = now.query([])?;
    while let Some(row) = rows.next()? {
        // What another version wrote may not be readable here.
        if let Ok(said) = serde_json::from_str(row.get_ref(1)?.as_str()?) {
            kept.now.push((row.get(0)?, said));
        }
    }
    let mut spans = conn.prepare_cached(SPANS)?;
    let mut rows = spans.query([grain.step_ms(), since_ms])?;
    while let Some(row) = rows.next()? {
        if let Ok(sample) = serde_json::from_str::<Sample>(row.get_ref(2)?.as_str()?) {
            kept.spans.push((row.get(0)?, row.get(1)?, sample));
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::Now;
    use crate::sqlite::tests::config;

    #[test]
    fn samples_are_written_read_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let conn = crate::sqlite::schema::prepare(&config(dir.path(), "one"))
            .unwrap()
            .conn;
        conn.execute_batch(
            "INSERT INTO instances (number, instance_id, pid, wake_path, lock_path, started_at, heartbeat_at)
             VALUES (7, 'seven', 1, '', '', 0, 0)",
        )
        .unwrap();
        let text = |value: &Sample| serde_json::to_string(value).unwrap();
        let sample = Sample {
            messages: 3,
            ..Sample::default()
        };
        let (fine, minute) = (Grain::Fine.step_ms(), Grain::Minute.step_ms());
        let said = serde_json::to_string(&Now::default()).unwrap();
        let rows = Rows {
            forget: Vec::new(),
            put: vec![
                (0, 0, said.clone()),
                (fine, 5_000, text(&sample)),
                (fine, 10_000, text(&sample)),
                (minute, 0, "not JSON".to_owned()),
            ],
        };
        write(&conn, InstanceNumber(7), &rows).unwrap();
        write(&conn, InstanceNumber(8), &rows).unwrap();
        let found = kept(&conn, Grain::Fine, 10_000).unwrap();
        assert_eq!(found.now, [("seven".to_owned(), Now::default())]);
        assert_eq!(
            found.spans,
            [(10_000, 7, sample.clone()), (10_000, 8, sample)]
        );
        assert_eq!(kept(&conn, Grain::Minute, 0).unwrap().spans, []);

        let rows = Rows {
            forget: vec![(fine, 10_000)],
            put: Vec::new(),
        };
        write(&conn, InstanceNumber(7), &rows).unwrap();
        assert_eq!(kept(&conn, Grain::Fine, 0).unwrap().spans.len(), 2);
        let left: i64 = conn
            .query_row("SELECT count(*) FROM analytics WHERE step = 0", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(left, 1, "what instances that are gone said goes");
    }
}
