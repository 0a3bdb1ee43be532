//! The fields that each kind of message must have, and their checks.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::body::{Body, check, read};
use super::envelope::{Envelope, Parsed, Text, bad, refused};
use super::*;
use crate::protocol::deflate;

pub(super) fn need<'a>(name: &str, raw: Option<&'a RawValue>) -> Parsed<&'a str> {
    match raw {
        Some(raw) => Ok(raw.get()),
        None => bad(format!("{name} is missing")),
    }
}

pub(super) fn text<'a>(name: &str, raw: Option<&'a RawValue>) -> Parsed<Cow<'a, str>> {
    let raw = need(name, raw)?;
    if !raw.starts_with('"') {
        return bad(format!("{name} must be a string"));
    }
    read(name, raw).map(|Text(text)| text)
}

pub(super) fn string(name: &str, raw: Option<&RawValue>) -> Parsed<String> {
    text(name, raw).map(Cow::into_owned)
}

pub(super) fn short_string<'a>(
    name: &str,
    raw: Option<&'a RawValue>,
    max: usize,
) -> Parsed<Cow<'a, str>> {
    let text = text(name, raw)?;
    if (1..=max).contains(&text.chars().count()) {
        Ok(text)
    } else {
        bad(format!("{name} must have 1 to {max} characters"))
    }
}

pub(super) fn object(name: &str, raw: Option<&RawValue>) -> Parsed<serde_json::Map<String, Value>> {
    match read(name, need(name, raw)?)? {
        Value::Object(map) => Ok(map),
        _ => bad(format!("{name} must be an object")),
    }
}

pub(super) fn hello(m: &Envelope<'_>) -> Parsed<ClientMessage> {
    let v: Option<u64> = m.v.and_then(|raw| raw.get().parse().ok());
    if v != Some(crate::protocol::VERSION) {
        return Ok(ClientMessage::OtherVersion(v));
    }
    let client = ClientId::parse(&string("client", m.client)?).or_else(|e| bad(e.to_string()))?;
    if client.is_reserved() {
        let reserved = ClientId::RESERVED;
        return bad(format!(
            "client must not begin with {reserved}: such names are the server's own"
        ));
    }
    let token = m.token.map(|raw| string("token", Some(raw))).transpose()?;
    let since = match m.since {
        Some(raw) if raw.get() != "null" => since(raw)?,
        _ => None,
    };
    let compress = words("compress", m.compress)?;
    Ok(ClientMessage::Hello(Hello {
        client,
        user: user(m.user)?,
        token,
        since,
        features: Features::of(
            words("features", m.features)?
                .iter()
                .map(|Text(word)| &**word),
        ),
        deflate: compress.iter().any(|Text(word)| word == deflate::WORD),
    }))
}

/// A list of strings; none if it is left out.
fn words<'a>(name: &str, raw: Option<&'a RawValue>) -> Parsed<Vec<Text<'a>>> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok(Vec::new());
    };
    serde_json::from_str(raw.get()).or_else(|_| bad(format!("{name} must be a list of strings")))
}

/// `None` for an epoch or a number that can't be one of ours: that is no mistake, it only can't be continued.
fn since(raw: &RawValue) -> Parsed<Option<Position>> {
    let since = object("since", Some(raw))?;
    let (Some(epoch), Some(seq)) = (since.get("epoch"), since.get("seq")) else {
        return bad("since must have epoch and seq");
    };
    if !seq.is_number() {
        return bad("since.seq must be a number");
    }
    let epoch = epoch.as_str().and_then(Epoch::parse);
    Ok(epoch
        .zip(seq.as_u64())
        .map(|(epoch, seq)| Position { epoch, seq }))
}

/// `user` with nothing but a name and a colour, since it is sent to everyone.
fn user(raw: Option<&RawValue>) -> Parsed<String> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok("{}".to_owned());
    };
    let given = object("user", Some(raw))?;
    let mut kept = serde_json::Map::new();
    for field in ["name", "color"] {
        match given.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.chars().count() <= MAX_USER_CHARS => {
                kept.insert(field.to_owned(), Value::String(text.clone()));
            }
            Some(_) => {
                return bad(format!(
                    "user.{field} must be a string of at most {MAX_USER_CHARS}"
                ));
            }
        }
    }
    Ok(Value::Object(kept).to_string())
}

fn op(raw: Option<&RawValue>) -> Parsed<u64> {
    let op = raw.and_then(|raw| raw.get().parse::<u64>().ok());
    match op {
        Some(op) if (1..=MAX_OP).contains(&op) => Ok(op),
        _ => refused(
            ErrorCode::BadOp,
            format!("op must be a whole number from 1 to {MAX_OP}"),
        ),
    }
}

pub(super) fn durable(
    kind: Kind,
    m: &Envelope<'_>,
    bytes: usize,
    max_depth: usize,
) -> Parsed<Durable> {
    if kind == Kind::Batch {
        return batch::read(m, bytes, max_depth);
    }
    let op = op(m.op)?;
    let mut body = Body::new(op, bytes);
    let change = match kind {
        Kind::ObjectCreate => {
            let id = created(&object("object", m.object)?)?;
            Change::Put {
                id,
                object: body.field("object", need("object", m.object)?),
            }
        }
        Kind::ObjectUpdate => {
            return update(body, m, max_depth).map(|(body, change)| Durable {
                kind,
                op,
                body: body.finish(),
                change,
            });
        }
        Kind::ObjectDelete => {
            let id = short_string("id", m.id, MAX_OBJECT_ID_CHARS)?.into_owned();
            body.field("id", need("id", m.id)?);
            Change::Remove { id }
        }
        Kind::Chat => {
            short_string("text", m.text, MAX_CHAT_CHARS)?;
            body.field("text", need("text", m.text)?);
            if let Some(raw) = m.reply_to.filter(|raw| raw.get() != "null") {
                if raw.get().parse::<u64>().is_err() {
                    return bad("reply_to must be the seq of a message");
                }
                body.field("reply_to", raw.get());
            }
            Change::Chat
        }
        Kind::LogAppend => log::append(&mut body, m)?,
        Kind::LogCompact => log::compact(&mut body, m)?,
        Kind::Broadcast | Kind::Batch => {
            body.event(m)?;
            Change::None
        }
    };
    Ok(Durable {
        kind,
        op,
        body: body.finish(),
        change,
    })
}

/// What changes in an object. Fields that not all clients understand stand first: see [`super::has_edits`].
fn update(mut body: Body, m: &Envelope<'_>, max_depth: usize) -> Parsed<(Body, Change)> {
    let id = short_string("id", m.id, MAX_OBJECT_ID_CHARS)?.into_owned();
    let edits = edits::read(&id, m, max_depth)?;
    for (name, raw) in [("unset", m.unset), ("set", m.set), ("append", m.append)] {
        if let Some(raw) = raw {
            body.field(name, raw.get());
        }
    }
    body.field("id", need("id", m.id)?);
    let patch = match m.patch {
        None if edits.is_none() => return bad("patch is missing, and set, unset and append too"),
        None => serde_json::Map::new(),
        Some(_) => {
            let patch = object("patch", m.patch)?;
            check_patch(&id, &patch)?;
            body.field("patch", need("patch", m.patch)?);
            patch
        }
    };
    let patch = Box::new(Value::Object(patch));
    let edits = edits.map(Box::new);
    Ok((body, Change::Merge { id, patch, edits }))
}

/// The checks on a new object; gives its id.
fn created(object: &serde_json::Map<String, Value>) -> Parsed<String> {
    let text = |field: &str, max: usize| match object.get(field) {
        Some(Value::String(text)) if (1..=max).contains(&text.chars().count()) => Ok(text.clone()),
        _ => bad(format!(
            "object.{field} must be a string of 1 to {max} characters"
        )),
    };
    text("kind", MAX_KIND_CHARS)?;
    text("id", MAX_OBJECT_ID_CHARS)
}

/// An object keeps its id, and always has a kind.
fn check_patch(id: &str, patch: &serde_json::Map<String, Value>) -> Parsed<()> {
    check_id("patch", id, patch.get("id"))?;
    check_kind("patch", patch.get("kind"))
}

pub(super) fn check_id(field: &str, id: &str, new: Option<&Value>) -> Parsed<()> {
    if new.is_some_and(|new| new.as_str() != Some(id)) {
        return bad(format!("{field}.id must not change the object's id"));
    }
    Ok(())
}

pub(super) fn check_kind(field: &str, new: Option<&Value>) -> Parsed<()> {
    match new {
        None => Ok(()),
        Some(Value::String(kind)) if (1..=MAX_KIND_CHARS).contains(&kind.chars().count()) => Ok(()),
        Some(_) => bad(format!(
            "{field}.kind must be a string of 1 to {MAX_KIND_CHARS} characters"
        )),
    }
}

pub(super) fn presence(m: &Envelope<'_>) -> Parsed<String> {
    let patch = need("state", m.state)?;
    if patch.len() > MAX_PATCH_BYTES {
        let message = format!("a change of state has at most {MAX_PATCH_BYTES} bytes");
        return refused(ErrorCode::TooLarge, message);
    }
    object("state", m.state)?;
    Ok(patch.to_owned())
}

pub(super) fn signal(m: &Envelope<'_>) -> Parsed<String> {
    let data = m.data.map_or(0, |data| data.get().len());
    let mut body = Body::with_capacity(data + 64);
    body.event(m)?;
    Ok(body.text())
}

pub(super) fn ping(m: &Envelope<'_>) -> Parsed<String> {
    let ts = m.ts.map_or("null", RawValue::get);
    let number = ts.len() <= MAX_TS_CHARS && ts.parse::<f64>().is_ok_and(f64::is_finite);
    if number || ts == "null" {
        Ok(ts.to_owned())
    } else {
        bad(format!(
            "ts must be a number of at most {MAX_TS_CHARS} characters"
        ))
    }
}

/// The cursor's fields but `type` and `client`, which are ours to say.
pub(super) fn cursor(text: &str) -> Parsed<String> {
    let fields: std::collections::BTreeMap<Text<'_>, &RawValue> =
        serde_json::from_str(text).or_else(|e| bad(format!("cursor: {e}")))?;
    let mut out = Body::with_capacity(text.len().min(MAX_CURSOR_BYTES));
    for name in ["x", "y"] {
        let raw = fields.get(name).copied();
        match raw.map(|raw| raw.get().parse::<f64>()) {
            Some(Ok(number)) if number.is_finite() => {
                out.field(name, raw.map_or("0", RawValue::get));
            }
            _ => return bad(format!("{name} must be a number")),
        }
    }
    for (Text(name), raw) in &fields {
        if !["type", "client", "x", "y"].contains(&&**name) {
            check(name, raw.get())?;
            let name = serde_json::to_string(name).unwrap_or_default();
            out.raw_field(&[&name], raw.get());
        }
    }
    if out.len() > MAX_CURSOR_BYTES {
        return bad(format!(
            "a cursor's fields are at most {MAX_CURSOR_BYTES} bytes"
        ));
    }
    Ok(out.text())
}
