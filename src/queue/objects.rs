//! What a durable message does to its canvas's state.

use bytes::Bytes;
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::apply::Txn;
use super::sql;
use crate::backplane::{Author, Refusal};
use crate::protocol::client_message::{Change, Durable};
use crate::protocol::merge_patch;
use crate::protocol::server_message::ErrorCode;

/// How a message ends.
pub(super) enum Effect {
    /// It takes the next place, with this body.
    Logged(Bytes),
    /// It had nothing to change.
    Ignored,
    /// It can't be done, now or later.
    Refused(Refusal),
}

impl Txn<'_> {
    /// Changes the state as the message says. The message takes the place after the head.
    pub(super) fn change(
        &mut self,
        key: i64,
        author: &Author,
        m: &Durable,
    ) -> rusqlite::Result<Effect> {
        if std::str::from_utf8(&m.body).is_err() {
            return Ok(Effect::Refused(Refusal {
                code: ErrorCode::BadMessage,
                message: "the message is not UTF-8".to_owned(),
                retry_after_ms: None,
            }));
        }
        match &m.change {
            Change::None => Ok(Effect::Logged(m.body.clone())),
            Change::Chat => self.chat(key, author, m),
            Change::Put { id, object } => {
                let props = m.body.get(object.clone()).unwrap_or_default();
                self.put(key, id, std::str::from_utf8(props)?, m)
            }
            Change::Merge { id, patch } => self.merge(key, id, patch, m),
            Change::Remove { id } => {
                let Some(bytes) = self.bytes_of(key, id)? else {
                    return Ok(Effect::Ignored);
                };
                let mut statement = self.conn.prepare_cached(sql::DELETE_OBJECT)?;
                statement.execute(params![key, id])?;
                let head = self.head(key)?;
                head.totals = head.totals.without(bytes);
                Ok(Effect::Logged(m.body.clone()))
            }
        }
    }

    /// An object, and how large it is.
    ///
    /// # Errors
    /// An object that can't be parsed is none that was written: the file is damaged.
    fn object(&self, key: i64, id: &str) -> rusqlite::Result<Option<(Value, usize)>> {
        let mut statement = self.conn.prepare_cached(sql::OBJECT)?;
        let parse = |row: &rusqlite::Row<'_>| {
            let text = row.get_ref(0)?.as_bytes()?;
            let props = serde_json::from_slice(text).map_err(|error| {
                let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
                let text = format!("the object {id:?} can't be parsed: {error}");
                rusqlite::Error::SqliteFailure(code, Some(text))
            })?;
            Ok((props, text.len()))
        };
        statement.query_row(params![key, id], parse).optional()
    }

    /// How large an object is; `None` if it is not there.
    fn bytes_of(&self, key: i64, id: &str) -> rusqlite::Result<Option<usize>> {
        let mut statement = self.conn.prepare_cached(sql::OBJECT_BYTES)?;
        let bytes = statement.query_row(params![key, id], |row| row.get::<_, u32>(0));
        Ok(bytes.optional()?.map(|bytes| bytes as usize))
    }

    fn put(&mut self, key: i64, id: &str, props: &str, m: &Durable) -> rusqlite::Result<Effect> {
        let old = self.bytes_of(key, id)?;
        self.write(key, id, old, props, m)
    }

    fn merge(
        &mut self,
        key: i64,
        id: &str,
        patch: &Value,
        m: &Durable,
    ) -> rusqlite::Result<Effect> {
        let Some((mut object, old)) = self.object(key, id)? else {
            return Ok(Effect::Ignored);
        };
        merge_patch::apply(&mut object, patch);
        self.write(key, id, Some(old), &object.to_string(), m)
    }

    /// Writes an object that had `old` bytes, if the canvas has room for it. The sums are kept in the head, whose row the
    /// transaction writes anyway.
    fn write(
        &mut self,
        key: i64,
        id: &str,
        old: Option<usize>,
        props: &str,
        m: &Durable,
    ) -> rusqlite::Result<Effect> {
        let bounds = self.setup.bounds;
        let head = self.head(key)?;
        match bounds.put(head.totals, old, props.len()) {
            Ok(totals) => head.totals = totals,
            Err(refusal) => return Ok(Effect::Refused(refusal)),
        }
        let seq = (head.seq + 1).cast_signed();
        self.conn
            .prepare_cached(sql::PUT_OBJECT)?
            .execute(params![key, id, seq, props])?;
        Ok(Effect::Logged(m.body.clone()))
    }

    /// Chat is told with who the author was then: in a snapshot they may be long gone.
    fn chat(&mut self, key: i64, author: &Author, m: &Durable) -> rusqlite::Result<Effect> {
        let body = std::str::from_utf8(&m.body)?;
        let open = body.strip_suffix('}').unwrap_or(body);
        let body = format!("{open},\"user\":{}}}", author.user);
        let now_ms = self.now_ms;
        let head = self.head(key)?;
        head.chatted = true;
        let seq = head.seq + 1;
        let entry = format!(
            "{{\"seq\":{seq},\"client\":\"{}\",\"at\":{now_ms},{}",
            author.client,
            body.strip_prefix('{').unwrap_or(&body)
        );
        self.conn
            .prepare_cached(sql::PUT_CHAT)?
            .execute(params![key, seq.cast_signed(), entry])?;
        Ok(Effect::Logged(Bytes::from(body)))
    }
}
