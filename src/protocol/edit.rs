//! What `set`, `unset` and `append` of an `object-update` do to an object. Pure, and the same for every backplane: what a client
//! computes and what a snapshot holds must be one value.
//!
//! ```
//! use scumble::protocol::edit::Path;
//!
//! let path = Path::parse("style.fill").unwrap();
//! assert_eq!((path.steps(), path.top()), (2, None));
//! // A dot within a name has a backslash before it.
//! assert_eq!(Path::parse(r"a\.b").unwrap().top(), Some("a.b"));
//! assert!(Path::parse("style..fill").is_err());
//! ```

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde_json::{Map, Value};

use super::merge_patch::{name_len, written_len};

/// Where in an object: the names of properties, from the outside in. At least one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Box<[Box<str>]>);

impl Path {
    /// Reads `a.b`. `\.` is a dot within a name, `\\` a backslash.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut steps = Vec::new();
        let mut step = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some(escaped @ ('.' | '\\')) => step.push(escaped),
                    _ => return Err("a backslash stands before a dot or a backslash only"),
                },
                '.' if step.is_empty() => return Err("a path has no empty names"),
                '.' => steps.push(std::mem::take(&mut step).into_boxed_str()),
                other => step.push(other),
            }
        }
        if step.is_empty() {
            return Err("a path has no empty names");
        }
        steps.push(step.into_boxed_str());
        Ok(Self(steps.into_boxed_slice()))
    }

    /// How many names.
    pub fn steps(&self) -> usize {
        self.0.len()
    }

    /// The name itself, if it is a property of the object and not of something in it.
    pub fn top(&self) -> Option<&str> {
        match &*self.0 {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether the other is the same, or within this one.
    pub fn holds(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&told(&self.0))
    }
}

/// The path that those names are.
fn told(steps: &[Box<str>]) -> String {
    let escaped = steps
        .iter()
        .map(|step| step.replace('\\', "\\\\").replace('.', "\\."));
    escaped.collect::<Vec<_>>().join(".")
}

/// All that one message says beside its patch. It is done in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edits {
    /// Properties that go.
    pub unset: Vec<Path>,
    /// Properties and their values as they stand. None is within another.
    pub set: Vec<(Path, Value)>,
    /// What is put behind an array or a text: an array or a text. None is within another.
    pub append: Vec<(Path, Value)>,
}

/// How an object becomes what it was: the latest first.
#[derive(Debug, Default)]
pub struct Undo<'a>(Vec<Step<'a>>);

#[derive(Debug)]
enum Step<'a> {
    Remove(&'a [Box<str>]),
    Replace(&'a [Box<str>], Value),
    Insert(&'a [Box<str>], usize, Value),
    Shorten(&'a [Box<str>], usize),
    /// Properties of the object there that are gone, with their places.
    Fill(&'a [Box<str>], Vec<(usize, String, Value)>),
}

/// From so many on, properties go in one pass: each by itself moves all that stand behind it.
const MANY: usize = 4;

impl Edits {
    /// Does all of it to an object whose JSON has so many bytes; gives how many it has now, counted and not written. On an error nothing
    /// is done.
    ///
    /// # Errors
    /// Names the field and what stands in its way.
    pub fn apply(&self, target: &mut Value, bytes: usize) -> Result<(usize, Undo<'_>), String> {
        let mut work = Work {
            bytes,
            undo: Undo::default(),
        };
        let done = self.apply_to(target, &mut work);
        match done {
            Ok(()) => Ok((work.bytes, work.undo)),
            Err(message) => {
                work.undo.undo(target);
                Err(message)
            }
        }
    }

    fn apply_to<'a>(&'a self, target: &mut Value, work: &mut Work<'a>) -> Result<(), String> {
        if self.unset.len() < MANY {
            for path in &self.unset {
                work.unset(target, path);
            }
        } else {
            work.unset_many(target, &self.unset);
        }
        for (path, value) in &self.set {
            let wrong = |what| format!("set {:?}: {what}", path.to_string());
            work.set(target, path, value).map_err(wrong)?;
        }
        for (path, value) in &self.append {
            let wrong = |what| format!("append {:?}: {what}", path.to_string());
            work.append(target, path, value).map_err(wrong)?;
        }
        Ok(())
    }
}

/// The object that has, or gets, the last name of a path.
type Place<'t, 'a> = Option<(&'t mut Map<String, Value>, &'a str)>;

struct Work<'a> {
    bytes: usize,
    undo: Undo<'a>,
}

/// The commas that so many members or elements have between them.
fn commas(count: usize) -> usize {
    count.saturating_sub(1)
}

impl<'a> Work<'a> {
    fn unset(&mut self, target: &mut Value, path: &'a Path) {
        let Some((name, parents)) = path.0.split_last() else {
            return;
        };
        let Some(Value::Object(members)) = at(target, parents) else {
            return;
        };
        let Some(place) = members.keys().position(|key| **key == **name) else {
            return;
        };
        let before = members.len();
        if let Some(old) = members.shift_remove(&**name) {
            let commas = commas(before) - commas(before - 1);
            self.bytes -= name_len(name) + written_len(&old) + commas;
            self.undo.0.push(Step::Insert(&path.0, place, old));
        }
    }

    /// The same for many. What is in something that goes as well is nothing to delete, whichever is first.
    fn unset_many(&mut self, target: &mut Value, paths: &'a [Path]) {
        let mut names = BTreeMap::<&'a [Box<str>], HashSet<&'a str>>::new();
        for (name, parents) in paths.iter().filter_map(|path| path.0.split_last()) {
            names.entry(parents).or_default().insert(name);
        }
        for (parents, names) in names {
            let Some(Value::Object(members)) = at(target, parents) else {
                continue;
            };
            let before = members.len();
            let mut place = 0;
            let mut gone = Vec::new();
            members.retain(|name, value| {
                let stays = !names.contains(name.as_str());
                if !stays {
                    self.bytes -= name_len(name) + written_len(value);
                    gone.push((place, name.clone(), value.take()));
                }
                place += 1;
                stays
            });
            self.bytes -= commas(before) - commas(members.len());
            self.undo.0.push(Step::Fill(parents, gone));
        }
    }

    fn set(&mut self, target: &mut Value, path: &'a Path, value: &Value) -> Result<(), String> {
        let Some((members, name)) = self.parent(target, path)? else {
            return Ok(());
        };
        match members.get_mut(name) {
            None => self.insert(members, path, name, value),
            Some(old) => {
                self.bytes += written_len(value);
                let old = std::mem::replace(old, value.clone());
                self.bytes -= written_len(&old);
                self.undo.0.push(Step::Replace(&path.0, old));
            }
        }
        Ok(())
    }

    fn append(&mut self, target: &mut Value, path: &'a Path, value: &Value) -> Result<(), String> {
        let Some((members, name)) = self.parent(target, path)? else {
            return Ok(());
        };
        match (members.get_mut(name), value) {
            (None, _) => self.insert(members, path, name, value),
            (Some(Value::Array(old)), Value::Array(more)) => {
                let len = old.len();
                self.bytes += commas(len + more.len()) - commas(len);
                self.bytes += more.iter().map(written_len).sum::<usize>();
                old.extend_from_slice(more);
                self.undo.0.push(Step::Shorten(&path.0, len));
            }
            (Some(Value::String(old)), Value::String(more)) => {
                self.undo.0.push(Step::Shorten(&path.0, old.len()));
                self.bytes += written_len(value) - 2;
                old.push_str(more);
            }
            (Some(old), _) => {
                let wanted = if value.is_array() {
                    "an array"
                } else {
                    "a text"
                };
                return Err(format!("it is {}, and {wanted} is appended", kind_of(old)));
            }
        }
        Ok(())
    }

    /// Where the last name of a path is to be found. Parents that are missing are made.
    fn parent<'t>(
        &mut self,
        target: &'t mut Value,
        path: &'a Path,
    ) -> Result<Place<'t, 'a>, String> {
        let Some((name, parents)) = path.0.split_last() else {
            return Ok(None);
        };
        let mut value = target;
        let mut made = false;
        for (i, step) in parents.iter().enumerate() {
            let members = members(value, &path.0[..i])?;
            if !members.contains_key(&**step) {
                self.bytes += name_len(step) + 2 + usize::from(!members.is_empty());
                if !made {
                    self.undo.0.push(Step::Remove(&path.0[..=i]));
                }
                made = true;
            }
            let empty = || Value::Object(Map::new());
            value = members.entry(&**step).or_insert_with(empty);
        }
        Ok(Some((members(value, parents)?, name)))
    }

    fn insert(
        &mut self,
        members: &mut Map<String, Value>,
        path: &'a Path,
        name: &str,
        value: &Value,
    ) {
        self.bytes += name_len(name) + written_len(value) + usize::from(!members.is_empty());
        members.insert(name.to_owned(), value.clone());
        self.undo.0.push(Step::Remove(&path.0));
    }
}

fn members<'t>(
    value: &'t mut Value,
    steps: &[Box<str>],
) -> Result<&'t mut Map<String, Value>, String> {
    match value {
        Value::Object(members) => Ok(members),
        other => Err(format!(
            "{:?} is {}, and only an object has properties",
            told(steps),
            kind_of(other)
        )),
    }
}

fn at<'t>(mut value: &'t mut Value, steps: &[Box<str>]) -> Option<&'t mut Value> {
    for step in steps {
        value = value.as_object_mut()?.get_mut(&**step)?;
    }
    Some(value)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl Undo<'_> {
    /// The object is as it was before [`Edits::apply`].
    pub fn undo(self, target: &mut Value) {
        for step in self.0.into_iter().rev() {
            step.undo(target);
        }
    }
}

impl Step<'_> {
    fn undo(self, target: &mut Value) {
        if let Self::Fill(parents, gone) = self {
            if let Some(Value::Object(members)) = at(target, parents) {
                fill(members, gone);
            }
            return;
        }
        let (Self::Remove(path)
        | Self::Fill(path, _)
        | Self::Replace(path, _)
        | Self::Insert(path, ..)
        | Self::Shorten(path, _)) = &self;
        let Some((name, parents)) = path.split_last() else {
            return;
        };
        let Some(Value::Object(members)) = at(target, parents) else {
            return;
        };
        match self {
            Self::Remove(_) => _ = members.shift_remove(&**name),
            Self::Replace(_, old) => _ = members.insert(name.to_string(), old),
            Self::Insert(_, place, old) => _ = members.shift_insert(place, name.to_string(), old),
            Self::Shorten(_, len) => match members.get_mut(&**name) {
                Some(Value::Array(array)) => array.truncate(len),
                Some(Value::String(text)) => text.truncate(len),
                _ => {}
            },
            Self::Fill(..) => {}
        }
    }
}

/// Puts properties back to where they were: their places grow.
fn fill(members: &mut Map<String, Value>, gone: Vec<(usize, String, Value)>) {
    let mut others = std::mem::take(members).into_iter();
    for (place, name, value) in gone {
        members.extend(others.by_ref().take(place - members.len()));
        members.insert(name, value);
    }
    members.extend(others);
}

#[cfg(test)]
mod tests;
