//! An object that messages are merged into: parsed once, and written once.

use serde_json::{Map, Value};

use super::refusals;
use crate::backplane::Refusal;
use crate::protocol::edit::Edits;
use crate::protocol::merge_patch;

/// An object taken apart. Stores keep it so until their transaction (or batch) ends.
#[derive(Debug, Clone)]
pub struct OpenObject {
    value: Value,
    /// Bytes of its text as it will be written.
    bytes: usize,
    change: Change,
}

/// What has become of it.
#[derive(Debug, Clone)]
enum Change {
    /// It is as it was read.
    None,
    /// One merge: here is the text.
    Once { seq: u64, text: String },
    /// Several: the text is made at the end.
    Several { seq: u64 },
}

impl OpenObject {
    /// The object that a text of so many bytes says.
    pub fn new(value: Value, bytes: usize) -> Self {
        Self {
            value,
            bytes,
            change: Change::None,
        }
    }

    /// Bytes of its text as it will be written.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Merges the patch of the message numbered `seq` and does its edits, if `fits` says that the object may have so many bytes then.
    ///
    /// # Errors
    /// What `fits` says, or that an edit can't be done. `Err((error, true))`: the object is not what it was, and has to be dropped.
    pub(super) fn merge<T>(
        &mut self,
        seq: u64,
        (patch, edits): (&Value, Option<&Edits>),
        fits: impl FnOnce(usize) -> Result<T, Refusal>,
    ) -> Result<T, (Refusal, bool)> {
        if matches!(self.change, Change::None) {
            // As its author wrote it, with spaces perhaps: only its new text says how long that is.
            merge_patch::apply(&mut self.value, patch);
            if let Some(edits) = edits {
                let edited = edits.apply(&mut self.value, usize::MAX / 2);
                edited.map_err(|message| (refusals::no_edit(message), true))?;
            }
            let text = self.value.to_string();
            let fitting = fits(text.len()).map_err(|error| (error, true))?;
            self.bytes = text.len();
            self.change = Change::Once { seq, text };
            return Ok(fitting);
        }
        let fitting = match edits {
            None => self.merge_again(patch, fits),
            Some(edits) if patch.as_object().is_some_and(Map::is_empty) => self.edit(edits, fits),
            Some(edits) => self.merge_and_edit(patch, edits, fits),
        };
        let fitting = fitting.map_err(|error| (error, false))?;
        self.change = Change::Several { seq };
        Ok(fitting)
    }

    fn merge_again<T>(
        &mut self,
        patch: &Value,
        fits: impl FnOnce(usize) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let bytes = merge_patch::merged_len(&self.value, patch, self.bytes);
        let fitting = fits(bytes)?;
        merge_patch::apply(&mut self.value, patch);
        self.bytes = bytes;
        Ok(fitting)
    }

    fn edit<T>(
        &mut self,
        edits: &Edits,
        fits: impl FnOnce(usize) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let edited = edits.apply(&mut self.value, self.bytes);
        let (bytes, undo) = edited.map_err(refusals::no_edit)?;
        match fits(bytes) {
            Ok(fitting) => {
                self.bytes = bytes;
                Ok(fitting)
            }
            Err(refusal) => {
                undo.undo(&mut self.value);
                Err(refusal)
            }
        }
    }

    /// Hardly anybody says both in one message, so it may cost a copy.
    fn merge_and_edit<T>(
        &mut self,
        patch: &Value,
        edits: &Edits,
        fits: impl FnOnce(usize) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let before = (self.value.clone(), self.bytes);
        let done = self
            .merge_again(patch, |_| Ok(()))
            .and_then(|()| self.edit(edits, fits));
        if done.is_err() {
            (self.value, self.bytes) = before;
        }
        done
    }

    /// Its text as it stands.
    pub fn text(&self) -> String {
        match &self.change {
            Change::Once { text, .. } => text.clone(),
            Change::None | Change::Several { .. } => self.value.to_string(),
        }
    }

    /// The `seq` of the youngest message that has changed it, and its text; `None` if none has.
    pub fn written(self) -> Option<(u64, String)> {
        match self.change {
            Change::None => None,
            Change::Once { seq, text } => Some((seq, text)),
            Change::Several { seq } => Some((seq, self.value.to_string())),
        }
    }
}
