//! `set`, `unset` and `append` of an `object-update`, and the checks that need no object. The others are made when the
//! edits are applied.

use serde_json::Value;
use serde_json::value::RawValue;

use super::MAX_PATHS;
use super::body::read as read_json;
use super::envelope::{Envelope, Parsed, bad};
use super::fields::{check_id, check_kind, object};
use crate::protocol::edit::{Edits, Path};

/// `None` if none of the three is there.
pub(super) fn read(id: &str, m: &Envelope<'_>, max_depth: usize) -> Parsed<Option<Edits>> {
    if m.set.is_none() && m.unset.is_none() && m.append.is_none() {
        return Ok(None);
    }
    let edits = Edits {
        unset: unset(m.unset)?,
        set: pairs("set", m.set, max_depth)?,
        append: pairs("append", m.append, max_depth)?,
    };
    let paths = edits.unset.len() + edits.set.len() + edits.append.len();
    if paths > MAX_PATHS {
        return bad(format!("an update has at most {MAX_PATHS} paths"));
    }
    for (path, value) in &edits.set {
        match path.top() {
            Some("id") => check_id("set", id, Some(value))?,
            Some("kind") => check_kind("set", Some(value))?,
            _ => {}
        }
    }
    for (path, value) in &edits.append {
        if let Some(name @ ("id" | "kind")) = path.top() {
            return bad(format!("append: {name} can't be appended to"));
        }
        if !value.is_array() && !value.is_string() {
            return bad(format!(
                "append {:?}: it must be an array or a text",
                path.to_string()
            ));
        }
    }
    Ok(Some(edits))
}

fn unset(raw: Option<&RawValue>) -> Parsed<Vec<Path>> {
    let Some(raw) = raw else {
        return Ok(Vec::new());
    };
    let Ok(texts) = read_json::<Vec<String>>("unset", raw.get()) else {
        return bad("unset must be an array of paths");
    };
    let mut paths = Vec::with_capacity(texts.len());
    for text in texts {
        let path = path("unset", &text)?;
        if let Some(name @ ("id" | "kind")) = path.top() {
            return bad(format!("unset: an object always has its {name}"));
        }
        paths.push(path);
    }
    Ok(paths)
}

fn pairs(field: &str, raw: Option<&RawValue>, max_depth: usize) -> Parsed<Vec<(Path, Value)>> {
    if raw.is_none() {
        return Ok(Vec::new());
    }
    let mut pairs = Vec::new();
    for (text, value) in object(field, raw)? {
        let path = path(field, &text)?;
        // As deep as an object that comes in an `object-create` may be.
        if path.steps() + levels(&value) >= max_depth {
            return bad(format!(
                "{field} {text:?}: an object's nesting is at most {} levels (max_json_depth)",
                max_depth - 1
            ));
        }
        pairs.push((path, value));
    }
    apart(field, &pairs)?;
    Ok(pairs)
}

fn path(field: &str, text: &str) -> Parsed<Path> {
    Path::parse(text).or_else(|wrong| bad(format!("{field} {text:?}: {wrong}")))
}

/// The order of fields means nothing, so none of the paths may be within another, or the same.
fn apart(field: &str, pairs: &[(Path, Value)]) -> Parsed<()> {
    let mut paths: Vec<&Path> = pairs.iter().map(|(path, _)| path).collect();
    // What is within another stands behind it, with nothing between that is not within it too.
    paths.sort_unstable();
    for two in paths.windows(2) {
        if two[0].holds(two[1]) {
            let outer = two[0].to_string();
            let inner = two[1].to_string();
            return bad(format!("{field}: {inner:?} is within {outer:?}"));
        }
    }
    Ok(())
}

/// Levels of arrays and objects. The parser has bounded them.
fn levels(value: &Value) -> usize {
    let inner = match value {
        Value::Array(elements) => elements.iter().map(levels).max(),
        Value::Object(members) => members.values().map(levels).max(),
        _ => return 0,
    };
    1 + inner.unwrap_or(0)
}
