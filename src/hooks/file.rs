//! Hooks as they are written: `[[hook]]` tables of a TOML file, or the same fields in JSON through the API.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{EventSet, EventType};
use super::pattern::CanvasPattern;
use super::signature::SigningSecret;
use super::{Hook, Hooks, Include, OWN_QUEUES, Quiet, Target, Webhook};
use crate::limits::{
    HOOK_BACKLOG, HOOK_BACKLOG_BYTES, MAX_HOOK_BACKLOG, MAX_HOOK_BACKLOG_BYTES, MAX_HOOK_BATCH,
    MAX_HOOKS,
};

/// Bounds of `quiet` and `max_wait`.
const QUIET: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3_600));
/// `max_wait` unless it is given.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Characters of a name.
const MAX_NAME: usize = 64;
/// Patterns, events and secrets of one hook.
const MAX_LIST: usize = 100;

/// A file's tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HookFile {
    #[serde(default)]
    hook: Vec<HookText>,
}

/// A hook as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookText {
    /// `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`.
    pub name: String,
    /// Names, or beginnings and a star.
    pub canvases: Vec<String>,
    /// Names of events.
    pub events: Vec<String>,
    /// A queue of the application's. Either this or `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// An address to post to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Of a `url`: the first signs first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// The most events in one message; 1 unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// With the event `canvas.changed`: how long nothing has to happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<String>,
    /// With `quiet`: how long a change waits at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<String>,
    /// `patch` or `object`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<String>,
    /// Of a `url`: loopback and private networks are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_private: Option<bool>,
    /// The most events that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u64>,
    /// The most bytes that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog_bytes: Option<u64>,
}

/// Reads a file of hooks.
///
/// # Errors
/// What is wrong and what would be right: the line, or the hook and its field.
pub fn parse(toml: &str) -> Result<Hooks, String> {
    let file: HookFile = toml::from_str(toml).map_err(|error| error.to_string())?;
    check_all(&file.hook)
}

/// The most bytes of a file of hooks: anything larger is another file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads the hooks in a file, as they are written; all of them are right.
///
/// # Errors
/// Why the file can't be read, or what is wrong in it.
pub fn read(path: &Path) -> Result<Vec<HookText>, String> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    // Opening anything else may wait for ever, and what it gives has no end.
    if !found.is_file() {
        return Err("is not a plain file".to_owned());
    }
    let size = found.len();
    if size > MAX_FILE_BYTES {
        return Err(format!(
            "has {size} bytes: a file of hooks has at most {MAX_FILE_BYTES}"
        ));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let file: HookFile = toml::from_str(&text).map_err(|error| error.to_string())?;
    check_all(&file.hook)?;
    Ok(file.hook)
}

/// Checks hooks one by one, and together.
///
/// # Errors
/// What is wrong and what would be right, with the hook's name and the field.
pub fn check_all(texts: &[HookText]) -> Result<Hooks, String> {
    if texts.len() > MAX_HOOKS {
        return Err(format!(
            "there are {} hooks; {MAX_HOOKS} is the most",
            texts.len()
        ));
    }
    let mut names = HashSet::new();
    let mut hooks = Vec::with_capacity(texts.len());
    for (number, text) in (1..).zip(texts) {
        if !is_name(&text.name) {
            return Err(format!(
                "hook {number}: name: {:?} must be 1 to {MAX_NAME} letters, digits, \"-\" and \"_\", and begin with a letter or digit",
                text.name
            ));
        }
        let hook = check(text).map_err(|error| format!("hook {:?}: {error}", text.name))?;
        if !names.insert(&text.name) {
            return Err(format!(
                "hook {:?}: name: there are two of that name",
                text.name
            ));
        }
        hooks.push(hook);
    }
    Ok(Hooks::new(hooks))
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
}

fn check(text: &HookText) -> Result<Hook, String> {
    let canvases = list("canvases", &text.canvases, CanvasPattern::parse)?;
    let events = list("events", &text.events, EventSet::parse)?
        .into_iter()
        .fold(EventSet::default(), EventSet::with);
    let batch = text.batch.unwrap_or(1);
    if !(1..=MAX_HOOK_BATCH).contains(&batch) {
        return Err(format!("batch: must be from 1 to {MAX_HOOK_BATCH}"));
    }
    Ok(Hook {
        name: text.name.clone(),
        canvases,
        events,
        target: target(text)?,
        batch,
        quiet: quiet(text, events)?,
        include: match text.include.as_deref() {
            None | Some("patch") => Include::Patch,
            Some("object") => Include::Object,
            Some(other) => {
                return Err(format!(
                    "include: must be \"patch\" or \"object\", not {other:?}"
                ));
            }
        },
        backlog: bounded("backlog", text.backlog, HOOK_BACKLOG, MAX_HOOK_BACKLOG)?,
        backlog_bytes: bounded(
            "backlog_bytes",
            text.backlog_bytes,
            HOOK_BACKLOG_BYTES,
            MAX_HOOK_BACKLOG_BYTES,
        )?,
    })
}

fn list<T>(
    field: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    if texts.is_empty() || texts.len() > MAX_LIST {
        return Err(format!(
            "{field}: must be a list of 1 to {MAX_LIST}, and has {}",
            texts.len()
        ));
    }
    let parsed = texts.iter().map(|text| parse(text));
    parsed
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{field}: {error}"))
}

fn target(text: &HookText) -> Result<Target, String> {
    match (&text.queue, &text.url) {
        (None, None) => Err("queue or url: one of the two says where the events go".to_owned()),
        (Some(_), Some(_)) => Err("queue and url: a hook has one of the two".to_owned()),
        (Some(queue), None) => {
            if !text.secrets.is_empty() {
                return Err("secrets: only a hook with a url has them".to_owned());
            }
            if text.allow_private.is_some() {
                return Err("allow_private: only a hook with a url has it".to_owned());
            }
            let characters = queue.chars().count();
            if !(1..=128).contains(&characters) || queue.chars().any(char::is_control) {
                return Err(
                    "queue: a name has 1 to 128 characters, none of them a control character"
                        .to_owned(),
                );
            }
            if queue.starts_with(OWN_QUEUES) {
                return Err(format!(
                    "queue: names that begin with \"{OWN_QUEUES}\" are the relay's own"
                ));
            }
            Ok(Target::Queue(queue.clone()))
        }
        (None, Some(url)) => {
            if text.secrets.is_empty() {
                return Err("secrets: a hook with a url has at least one, which signs".to_owned());
            }
            let allow_private = text.allow_private.unwrap_or(false);
            Ok(Target::Webhook(Webhook {
                url: super::address::check_url(url, allow_private)
                    .map_err(|error| format!("url: {error}"))?,
                secrets: list("secrets", &text.secrets, SigningSecret::parse)?,
                allow_private,
            }))
        }
    }
}

fn quiet(text: &HookText, events: EventSet) -> Result<Option<Quiet>, String> {
    let changed = events.has(EventType::CanvasChanged);
    match (&text.quiet, changed) {
        (None, true) => Err(
            "quiet: the event canvas.changed needs it: how long nothing has to happen, like \"5s\""
                .to_owned(),
        ),
        (Some(_), false) => Err("quiet: only with the event canvas.changed".to_owned()),
        (None, false) if text.max_wait.is_some() => Err("max_wait: only with quiet".to_owned()),
        (None, false) => Ok(None),
        (Some(quiet), true) => {
            let after = duration("quiet", quiet)?;
            let at_the_latest = match &text.max_wait {
                Some(wait) => duration("max_wait", wait)?,
                None => MAX_WAIT.max(after),
            };
            if at_the_latest < after {
                return Err("max_wait: must be at least quiet".to_owned());
            }
            Ok(Some(Quiet {
                after,
                at_the_latest,
            }))
        }
    }
}

fn duration(field: &str, text: &str) -> Result<Duration, String> {
    let value = humantime::parse_duration(text).map_err(|_| {
        format!("{field}: {text:?} is no duration; right would be \"500ms\", \"5s\" or \"2m\"")
    })?;
    let (min, max) = QUIET;
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        let min = humantime::format_duration(min);
        let max = humantime::format_duration(max);
        Err(format!("{field}: must be from {min} to {max}"))
    }
}

fn bounded(field: &str, given: Option<u64>, default: u64, max: u64) -> Result<u64, String> {
    let value = given.unwrap_or(default);
    if (1..=max).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{field}: must be from 1 to {max}"))
    }
}

#[cfg(test)]
mod tests;
