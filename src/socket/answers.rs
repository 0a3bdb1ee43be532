//! The acks and errors of one post, for a client that waits for them in the answer to it. Pure.
//!
//! They go out on the stream as well, where each has its place among the other messages. Here they are copied as they
//! pass by.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

/// Collects the answers to one post.
#[derive(Debug)]
pub struct Answers {
    /// The post's number.
    post: u64,
    /// Numbers of its messages that are not answered yet.
    open: BTreeSet<u64>,
    /// All its messages were read.
    read: bool,
    said: Vec<String>,
    asker: oneshot::Sender<Vec<String>>,
}

/// What of a message of the client matters here.
#[derive(Deserialize)]
struct Sent {
    op: Option<u64>,
    #[serde(default)]
    ops: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    op: Option<u64>,
}

/// What of a message of the server matters here.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, rename = "type")]
    kind: &'a str,
    op: Option<u64>,
}

/// The numbers of a post's messages. What can't be read has none: its error has none either.
pub fn numbers(messages: &[&RawValue]) -> BTreeSet<u64> {
    let sent = messages
        .iter()
        .filter_map(|message| serde_json::from_str::<Sent>(message.get()).ok());
    let all = sent.flat_map(|one| {
        one.op
            .into_iter()
            .chain(one.ops.into_iter().filter_map(|one| one.op))
    });
    all.collect()
}

impl Answers {
    /// Waits for the answers to the post of that number, whose messages have these numbers.
    pub fn to(post: u64, open: BTreeSet<u64>) -> (Self, oneshot::Receiver<Vec<String>>) {
        let (asker, answers) = oneshot::channel();
        let waiting = Self {
            post,
            open,
            read: false,
            said: Vec::new(),
            asker,
        };
        (waiting, answers)
    }

    /// A message of the server passes by. Errors without a number are about a message that had none.
    pub fn observe(&mut self, message: &str) {
        let Ok(said) = serde_json::from_str::<Said<'_>>(message) else {
            return;
        };
        let about_it = match (said.kind, said.op) {
            ("ack" | "error", Some(op)) => self.open.remove(&op),
            ("error", None) => !self.read,
            _ => false,
        };
        if about_it {
            self.said.push(message.to_owned());
        }
    }

    /// The post of that number was read to its end.
    pub fn taken(&mut self, post: u64) {
        self.read |= post == self.post;
    }

    /// Sends them, if nothing more comes.
    pub fn send(self) -> Option<Self> {
        if self.read && self.open.is_empty() {
            // An asker that is gone has no use for them.
            let _ = self.asker.send(self.said);
            return None;
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_answered_when_all_its_messages_are() {
        let posted = r#"[{"type":"chat","op":3},{"type":"batch","ops":[{"op":4},{"op":5}]},7,{"op":"x"},{"type":"ping"}]"#;
        let posted: Vec<&RawValue> = serde_json::from_str(posted).unwrap();
        let (mut waiting, mut answers) = Answers::to(2, numbers(&posted));
        let ack = r#"{"type":"ack","op":3,"seq":1,"status":"ok"}"#;
        let bad = r#"{"code":"bad-json","message":"no","type":"error"}"#;
        for said in [
            r#"{"type":"chat","seq":9,"op":4}"#,
            r#"{"type":"ack","op":2,"seq":1,"status":"ok"}"#,
            ack,
            ack,
            bad,
        ] {
            waiting.observe(said);
            waiting = waiting.send().unwrap();
        }
        waiting.taken(1);
        waiting = waiting.send().unwrap();
        waiting.taken(2);
        waiting = waiting.send().unwrap();
        // Of a message that another post, or nobody, sent.
        waiting.observe(bad);
        let refused = r#"{"code":"too-large","op":4,"type":"error"}"#;
        let other = r#"{"code":"too-large","op":5,"type":"error"}"#;
        waiting.observe(refused);
        waiting = waiting.send().unwrap();
        assert!(answers.try_recv().is_err());
        waiting.observe(other);
        assert!(waiting.send().is_none());
        assert_eq!(answers.try_recv().unwrap(), [ack, bad, refused, other]);
    }

    #[test]
    fn a_post_without_numbers_is_answered_when_it_was_read() {
        let (mut waiting, mut answers) = Answers::to(1, numbers(&[]));
        waiting.taken(1);
        assert!(waiting.send().is_none());
        assert!(answers.try_recv().unwrap().is_empty());
    }
}
