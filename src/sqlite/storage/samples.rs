//! Samples for the analytics, as rows of the file.

use rusqlite::{Connection, params};

use crate::analytics::{CanvasRow, Grain, Kept, Sample, Search};
use crate::protocol::ids::InstanceNumber;

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
pub(in crate::sqlite) struct Rows {
    /// What is older than its grain is kept goes: `(step, before)`. Empty most of the time.
    pub(in crate::sqlite) forget: Vec<(i64, i64)>,
    pub(in crate::sqlite) put: Vec<(i64, i64, String)>,
}

/// Canvases as a search finds them.
pub(in crate::sqlite) fn canvases(
    conn: &Connection,
    search: &Search,
) -> rusqlite::Result<Vec<CanvasRow>> {
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
pub(in crate::sqlite) fn write(
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

/// What is kept since then.
pub(in crate::sqlite) fn kept(
    conn: &Connection,
    grain: Grain,
    since_ms: i64,
) -> rusqlite::Result<Kept> {
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
        let conn = crate::sqlite::storage::schema::prepare(&config(dir.path(), "one"))
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
