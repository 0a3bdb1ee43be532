//! The log of an object: entries are appended to it, and one entry can take the place of the first ones.
//!
//! An entry is bytes that mean something to the application only. The log belongs to its object: it stays when the
//! object is replaced, and is deleted with it.

use super::bounds::entry_bytes;
use super::messages::{End, left_of};
use super::moment::Moment;
use super::refusals;
use super::store::{ObjectLog, Store};
use crate::protocol::client_message::Compact;

impl<S: Store> Moment<'_, S> {
    /// Puts an entry behind the others of that object. `Err`: it did not.
    pub(super) fn append(&mut self, id: &str, data: &str) -> Result<Result<(), End>, S::Error> {
        if self.store.object_bytes(id)?.is_none() {
            return Ok(Err(End::Ignored));
        }
        let mut log = self.store.object_log(id)?;
        let totals = self.store.head().totals;
        let fits = self.rules.bounds.append(totals, log, data.len());
        let spare = left_of(self.spare, 0, entry_bytes(data.len()));
        match fits.and_then(|totals| Ok((totals, spare?))) {
            Err(refusal) => return Ok(Err(End::Refused(refusal))),
            Ok((totals, spare)) => {
                self.spare = spare;
                self.store.head_mut().totals = totals;
            }
        }
        log.entries += 1;
        log.bytes += entry_bytes(data.len()) as u64;
        let seq = self.next_seq();
        self.store.put_entry(id, seq, data)?;
        self.store.set_object_log(id, log)?;
        Ok(Ok(()))
    }

    /// Puts one entry, or none, in the place of those up to `upto`. Where another client has done so, nothing happens: what it
    /// covered is covered, and entries that came since are kept.
    pub(super) fn compact(
        &mut self,
        message: &Compact,
        data: Option<&str>,
    ) -> Result<Result<(), End>, S::Error> {
        let id = message.id.as_str();
        let upto = message.upto;
        if let Some(epoch) = message.epoch
            && epoch != self.store.epoch()?
        {
            // The number means other entries than those that its author knew.
            return Ok(Err(End::Ignored));
        }
        let head = self.store.head().seq;
        if upto > head {
            return Ok(Err(End::Refused(refusals::not_yet(upto, head))));
        }
        let mut log = self.store.object_log(id)?;
        if upto <= log.upto {
            return Ok(Err(End::Ignored));
        }
        let (entries, bytes) = self.store.entries_upto(id, upto)?;
        if entries == 0 {
            return Ok(Err(End::Ignored));
        }
        // They are found and removed.
        let old = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.work += old;
        let new = data.map_or(0, |data| entry_bytes(data.len()));
        let totals = self.store.head().totals;
        let fits = self.rules.bounds.compact(totals, log, bytes, new as u64);
        let spare = left_of(self.spare, old, new);
        match fits.and_then(|totals| Ok((totals, spare?))) {
            Err(refusal) => return Ok(Err(End::Refused(refusal))),
            Ok((totals, spare)) => {
                self.spare = spare;
                self.store.head_mut().totals = totals;
            }
        }
        self.store.drop_entries(id, upto)?;
        log.entries = log.entries - entries + u64::from(data.is_some());
        log.bytes = log.bytes - bytes + new as u64;
        log.upto = upto;
        log.compacted_seq = self.next_seq();
        if let Some(data) = data {
            self.store.put_entry(id, upto, data)?;
        }
        self.store.set_object_log(id, log)?;
        Ok(Ok(()))
    }

    /// The object is gone, and its log with it. Gives what that was charged with.
    pub(super) fn end_log(&mut self, id: &str) -> Result<u64, S::Error> {
        // Most canvases have none.
        if self.store.head().totals.logs == 0 {
            return Ok(0);
        }
        let log = self.store.object_log(id)?;
        if log == ObjectLog::default() {
            return Ok(0);
        }
        self.store.remove_log(id)?;
        let head = self.store.head_mut();
        head.totals = head.totals.without_log(log.bytes);
        Ok(log.bytes)
    }
}
