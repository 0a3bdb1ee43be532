//! Samples in the file: each process writes its own, and reads those of all.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::SqliteBackplane;
use super::command::Command;
use crate::analytics::{CanvasRow, Grain, Kept, Note, Search, Store};
use crate::sqlite::storage::samples::{self, Rows};

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
        let kept = self
            .0
            .reader
            .read(move |conn| samples::kept(conn, grain, since_ms));
        kept.map(|kept| kept.map_err(|error| error.to_string()))
            .boxed()
    }

    fn canvases(&self, search: Search) -> BoxFuture<'_, Result<Option<Vec<CanvasRow>>, String>> {
        let found = self
            .0
            .reader
            .read(move |conn| samples::canvases(conn, &search));
        found
            .map(|found| found.map(Some).map_err(|error| error.to_string()))
            .boxed()
    }
}
