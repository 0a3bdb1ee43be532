//! The current objects of one canvas in memory, in the order of their creation.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::backplane::Refusal;
use crate::limits::MAX_OBJECT_BYTES;
use crate::protocol::client_message::{Change, Durable};
use crate::protocol::merge_patch;
use crate::protocol::server_message::ErrorCode;

/// Objects by their place, and the places by id.
#[derive(Debug, Default)]
pub struct Objects {
    texts: BTreeMap<u64, String>,
    places: HashMap<String, u64>,
    next_place: u64,
}

impl Objects {
    /// Each object's JSON, in the order of creation.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        self.texts.values()
    }

    /// Does what the message says; `false` if the object it is about is not there.
    ///
    /// # Errors
    /// `too-large` for an object over [`MAX_OBJECT_BYTES`], or one more than `max_objects`. Nothing has changed then.
    pub fn apply(&mut self, message: &Durable, max_objects: usize) -> Result<bool, Refusal> {
        match &message.change {
            Change::Put { id, object } => {
                let text = message.body.get(object.clone()).unwrap_or_default();
                self.put(id, String::from_utf8_lossy(text).into_owned(), max_objects)?;
                Ok(true)
            }
            Change::Merge { id, patch } => self.merge(id, patch),
            Change::Remove { id } => Ok(self.remove(id)),
            Change::Chat | Change::None => Ok(true),
        }
    }

    fn put(&mut self, id: &str, text: String, max_objects: usize) -> Result<(), Refusal> {
        check_size(&text)?;
        if let Some(place) = self.places.get(id) {
            self.texts.insert(*place, text);
            return Ok(());
        }
        if self.places.len() >= max_objects {
            return Err(too_large(format!(
                "a canvas holds at most {max_objects} objects"
            )));
        }
        self.places.insert(id.to_owned(), self.next_place);
        self.texts.insert(self.next_place, text);
        self.next_place += 1;
        Ok(())
    }

    fn merge(&mut self, id: &str, patch: &Value) -> Result<bool, Refusal> {
        let Some(text) = self
            .places
            .get(id)
            .and_then(|place| self.texts.get_mut(place))
        else {
            return Ok(false);
        };
        // It was an object when it was put: the parser saw to that.
        let mut object = serde_json::from_str(text).unwrap_or(Value::Null);
        merge_patch::apply(&mut object, patch.clone());
        let merged = object.to_string();
        check_size(&merged)?;
        *text = merged;
        Ok(true)
    }

    fn remove(&mut self, id: &str) -> bool {
        let place = self.places.remove(id);
        place.and_then(|place| self.texts.remove(&place)).is_some()
    }
}

fn check_size(text: &str) -> Result<(), Refusal> {
    if text.len() <= MAX_OBJECT_BYTES {
        return Ok(());
    }
    Err(too_large(format!(
        "an object is at most {MAX_OBJECT_BYTES} bytes"
    )))
}

fn too_large(message: String) -> Refusal {
    Refusal {
        code: ErrorCode::TooLarge,
        message,
        retry_after_ms: None,
    }
}
