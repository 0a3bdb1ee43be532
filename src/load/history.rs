//! What a load's clients sent and were told, as JSON lines. `scripts/judge` judges this history.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// A file of records, each whole.
#[derive(Debug)]
pub struct History {
    file: Mutex<BufWriter<File>>,
    prefix: String,
}

impl History {
    /// A new file, for canvases named `prefix-0` and so on.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn create(path: &Path, prefix: &str) -> anyhow::Result<Self> {
        let file = File::create(path);
        let file = file.with_context(|| format!("--record {}", path.display()))?;
        Ok(Self {
            file: Mutex::new(BufWriter::new(file)),
            prefix: prefix.to_owned(),
        })
    }

    /// Adds a record: what happened on a canvas at a time of the load's clock, with the fields of its kind.
    pub fn add(&self, us: u64, canvas: usize, what: &str, fields: Value) {
        let mut record = fields;
        record["t"] = json!(us / 1000);
        record["canvas"] = json!(format!("{}-{canvas}", self.prefix));
        record["what"] = json!(what);
        // A disk that is full is told by the last flush.
        let _ = writeln!(self.file.lock(), "{record}");
    }

    /// Writes what is not written yet.
    ///
    /// # Errors
    /// When the file is not whole.
    pub fn finish(&self) -> anyhow::Result<()> {
        self.file.lock().flush().context("--record")
    }
}
