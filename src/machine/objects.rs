//! The current objects of one canvas, in the order of their creation.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::backplane::Refusal;
use crate::backplane::object_bounds::{ObjectBounds, Totals};
use crate::protocol::client_message::{Change, Durable};
use crate::protocol::merge_patch;

/// Objects by their place, and the places by id.
#[derive(Debug, Default)]
pub struct Objects {
    texts: BTreeMap<u64, String>,
    places: HashMap<String, u64>,
    next_place: u64,
    totals: Totals,
}

impl Objects {
    /// Each object's JSON, in the order of creation.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        self.texts.values()
    }

    /// How many there are, and how large.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The place, id and JSON of each, in the order of creation.
    pub fn rows(&self) -> impl Iterator<Item = (u64, &str, &str)> {
        let mut ids: Vec<(u64, &str)> = self
            .places
            .iter()
            .map(|(id, place)| (*place, id.as_str()))
            .collect();
        ids.sort_unstable();
        // Each place has an id, so these are two lists of the same places.
        ids.into_iter()
            .zip(self.texts.values())
            .map(|((place, id), text)| (place, id, text.as_str()))
    }

    /// The place that the next new object takes.
    pub fn next_place(&self) -> u64 {
        self.next_place
    }

    /// The objects with those [`Self::rows`]; `None` if two share a place or an id, or one is at a place not taken yet.
    pub fn restore<'a>(
        next_place: u64,
        rows: impl IntoIterator<Item = (u64, &'a str, &'a str)>,
    ) -> Option<Self> {
        let mut objects = Self {
            next_place,
            ..Self::default()
        };
        for (place, id, text) in rows {
            let taken = objects.texts.insert(place, text.to_owned()).is_some()
                || objects.places.insert(id.to_owned(), place).is_some();
            if taken || place >= next_place {
                return None;
            }
            objects.totals.objects += 1;
            objects.totals.bytes += text.len() as u64;
        }
        Some(objects)
    }

    /// Does what the message says; `false` if the object it is about is not there.
    ///
    /// # Errors
    /// `too-large` for what is over the bounds. Nothing has changed then.
    pub fn apply(&mut self, message: &Durable, bounds: &ObjectBounds) -> Result<bool, Refusal> {
        match &message.change {
            Change::Put { id, object } => {
                let text = message.body.get(object.clone()).unwrap_or_default();
                self.put(id, String::from_utf8_lossy(text).into_owned(), bounds)?;
                Ok(true)
            }
            Change::Merge { id, patch } => self.merge(id, patch, bounds),
            Change::Remove { id } => Ok(self.remove(id)),
            Change::Chat | Change::None => Ok(true),
        }
    }

    fn put(&mut self, id: &str, text: String, bounds: &ObjectBounds) -> Result<(), Refusal> {
        let place = self.places.get(id).copied();
        let old = place.and_then(|place| self.texts.get(&place));
        self.totals = bounds.put(self.totals, old.map(String::len), text.len())?;
        let place = place.unwrap_or_else(|| {
            self.places.insert(id.to_owned(), self.next_place);
            self.next_place += 1;
            self.next_place - 1
        });
        self.texts.insert(place, text);
        Ok(())
    }

    fn merge(&mut self, id: &str, patch: &Value, bounds: &ObjectBounds) -> Result<bool, Refusal> {
        let Some(text) = self
            .places
            .get(id)
            .and_then(|place| self.texts.get_mut(place))
        else {
            return Ok(false);
        };
        // It was an object when it was put: the parser saw to that.
        let mut object = serde_json::from_str(text).unwrap_or(Value::Null);
        merge_patch::apply(&mut object, patch);
        let merged = object.to_string();
        self.totals = bounds.put(self.totals, Some(text.len()), merged.len())?;
        *text = merged;
        Ok(true)
    }

    fn remove(&mut self, id: &str) -> bool {
        let place = self.places.remove(id);
        let Some(text) = place.and_then(|place| self.texts.remove(&place)) else {
            return false;
        };
        self.totals = self.totals.without(text.len());
        true
    }
}
