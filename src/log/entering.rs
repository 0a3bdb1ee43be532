//! How an instance registers with an engine, and what can follow from that.

use std::sync::Arc;

use thiserror::Error;

use super::Clock;
use crate::limits::Quotas;

/// An instance, as it makes itself known.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// Tells this process from others that may be given its number by an engine that forgot.
    pub token: String,
    /// Its name.
    pub instance_id: String,
    /// The flags that all processes of a relay must agree on.
    pub relay_rules: String,
    /// Those of them that the batches of a canvas are done by.
    pub canvas_rules: String,
    /// How long a message may be resumed from.
    pub message_ttl_ms: i64,
    /// How long a lost client stays away before it is gone.
    pub presence_grace_ms: i64,
    /// What is kept of all canvases at most.
    pub quotas: Quotas,
    /// The relay's time, as far as it is known here.
    pub clock: Arc<Clock>,
}

/// Where two sets of flags (`--flag value --flag value`) differ: theirs, ours.
#[must_use]
pub fn differing(theirs: &str, ours: &str) -> (String, String) {
    let pairs = |text: &str| -> Vec<(String, String)> {
        let words: Vec<&str> = text.split(' ').collect();
        let pairs = words.chunks(2).map(|pair| match pair {
            [flag, value] => ((*flag).to_owned(), (*value).to_owned()),
            _ => (pair.concat(), String::new()),
        });
        pairs.filter(|(flag, _)| !flag.is_empty()).collect()
    };
    let only = |of: &[(String, String)], other: &[(String, String)]| {
        let differ = of.iter().filter(|pair| !other.contains(pair));
        let told: Vec<String> = differ
            .map(|(flag, value)| format!("{flag} {value}"))
            .collect();
        match told.is_empty() {
            true => "nothing of that".to_owned(),
            false => told.join(" "),
        }
    };
    let theirs = pairs(theirs);
    let ours = pairs(ours);
    (only(&theirs, &ours), only(&ours, &theirs))
}

/// Why a connection did not come about.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// It may work a moment later.
    #[error("{0}")]
    Now(String),
    /// It never will.
    #[error("{0}")]
    ForGood(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_that_differ_are_told_and_no_others() {
        let told = differing("--a 1 --b 2 --c off", "--a 1 --b 3 --c off");
        assert_eq!(told, ("--b 2".to_owned(), "--b 3".to_owned()));
        let told = differing("--a 1", "--a 1 --b 3");
        assert_eq!(told, ("nothing of that".to_owned(), "--b 3".to_owned()));
    }
}
