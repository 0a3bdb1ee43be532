//! Answers with many items are written without building values first.

use std::fmt::Display;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::jobs::look::iso;
use crate::jobs::work::partition_id;

/// A number as text.
pub(super) fn as_text<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// What is to be said, as JSON.
pub(super) fn text(value: &impl Serialize) -> String {
    // Nothing that is said here has a key that is no text.
    serde_json::to_string(value).unwrap_or_default()
}

/// A text that several items have.
#[derive(Clone)]
pub(super) struct Text(Arc<str>);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

/// The last text that was made, and of what: most items of an answer are of one partition and of one time.
struct Latest<K>(Option<(K, Text)>);

impl<K: PartialEq> Latest<K> {
    fn of(&mut self, key: K, make: impl FnOnce() -> String) -> Text {
        let same = self.0.as_ref().filter(|(of, _)| *of == key);
        let text = match same {
            Some((_, text)) => text.clone(),
            None => Text(make().into()),
        };
        self.0 = Some((key, text.clone()));
        text
    }
}

/// Partitions as the wire names them.
pub(super) struct PartitionIds(Latest<(i64, i64)>);

impl PartitionIds {
    pub(super) fn new() -> Self {
        Self(Latest(None))
    }

    pub(super) fn of(&mut self, partition: i64, tag: i64) -> Text {
        self.0.of((partition, tag), || partition_id(partition, tag))
    }
}

/// Times as the wire has them.
pub(super) struct Times(Latest<i64>);

impl Times {
    pub(super) fn new() -> Self {
        Self(Latest(None))
    }

    pub(super) fn of(&mut self, ms: i64) -> Text {
        self.0.of(ms, || iso(ms))
    }
}
