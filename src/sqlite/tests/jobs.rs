//! Jobs beside a write-ahead log that grows long.

use std::sync::atomic::Ordering;

use super::*;
use crate::jobs::op::{Op, PushItem};
use crate::limits::{JOB_LARGE_BYTES, WAL_LONG_FRAMES};

fn push(bytes: usize) -> Op {
    Op::Push(vec![PushItem {
        queue: "large".to_owned(),
        payload: format!("\"{}\"", "x".repeat(bytes)),
        ..PushItem::default()
    }])
}

#[tokio::test(flavor = "multi_thread")]
async fn large_jobs_are_committed_also_while_somebody_reads_in_the_log_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let queue = SqliteBackplane::start(config(dir.path(), "one")).unwrap();
    let jobs = crate::sqlite::job_engine::jobs(&queue);
    let reader = crate::sqlite::storage::schema::open_reader(&queue.files.db).unwrap();
    let read = "BEGIN; SELECT count(*) FROM job_messages;";
    reader.execute_batch(read).unwrap();
    for _ in 0..22 {
        jobs.run(push(15 * JOB_LARGE_BYTES)).await.unwrap();
    }
    let frames = queue.counters.wal_frames.load(Ordering::Relaxed);
    assert!(frames > WAL_LONG_FRAMES, "{frames}");
    reader.execute_batch("COMMIT").unwrap();
    queue.shutdown().await;
}
