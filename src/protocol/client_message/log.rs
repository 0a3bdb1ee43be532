//! `log-append` and `log-compact`: entries of an object's log are bytes, in JSON as base64.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::body::Body;
use super::envelope::{Envelope, Parsed, bad};
use super::fields::{need, short_string, string, text};
use super::{Change, Compact, MAX_OBJECT_ID_CHARS};
use crate::protocol::ids::Epoch;

/// Reads an entry that is to be appended.
pub(super) fn append(body: &mut Body, m: &Envelope<'_>) -> Parsed<Change> {
    let id = id(body, m)?;
    let data = data(body, m.data)?;
    Ok(Change::Append { id, data })
}

/// Reads what takes the place of the first entries.
pub(super) fn compact(body: &mut Body, m: &Envelope<'_>) -> Parsed<Change> {
    let id = id(body, m)?;
    let epoch = m.epoch.filter(|raw| raw.get() != "null");
    let epoch = epoch.map(|raw| epoch_of(body, raw)).transpose()?;
    let raw = need("upto", m.upto)?;
    let Some(upto) = raw.parse().ok().filter(|upto| *upto > 0) else {
        return bad("upto must be the seq of an entry");
    };
    body.field("upto", raw);
    let raw = m.data.filter(|raw| raw.get() != "null");
    let data = raw.map(|raw| data(body, Some(raw))).transpose()?;
    Ok(Change::Compact(Box::new(Compact {
        id,
        upto,
        epoch,
        data,
    })))
}

fn id(body: &mut Body, m: &Envelope<'_>) -> Parsed<String> {
    let id = short_string("id", m.id, MAX_OBJECT_ID_CHARS)?.into_owned();
    body.field("id", need("id", m.id)?);
    Ok(id)
}

fn epoch_of(body: &mut Body, raw: &RawValue) -> Parsed<Epoch> {
    let Some(epoch) = Epoch::parse(&string("epoch", Some(raw))?) else {
        return bad("epoch must be that of a welcome: 16 hexadecimal digits");
    };
    body.field("epoch", &format!("\"{epoch}\""));
    Ok(epoch)
}

/// Appends the bytes as they are stored, which is base64 without escapes, however they came; gives where.
fn data(body: &mut Body, raw: Option<&RawValue>) -> Parsed<Range<usize>> {
    let text = text("data", raw)?;
    if text.is_empty() || STANDARD.decode(text.as_bytes()).is_err() {
        return bad("data must be base64 of at least one byte (RFC 4648, section 4, with padding)");
    }
    let quoted = body.field("data", &format!("\"{text}\""));
    Ok(quoted.start + 1..quoted.end - 1)
}
