//! A message: whose it is, which of its, in which partition, and when it was due.

use std::time::Duration;

use serde::Deserialize;

#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Payload {
    /// The producer.
    pub s: usize,
    /// Its messages count from 0.
    pub n: usize,
    /// The partition.
    pub p: u32,
    /// Nanoseconds after the run began.
    pub due: u64,
}

/// A message of that size in JSON.
pub fn payload(
    producer: usize,
    number: usize,
    partition: u32,
    due: Duration,
    bytes: usize,
) -> String {
    let due = due.as_nanos();
    let mut text =
        format!("{{\"s\":{producer},\"n\":{number},\"p\":{partition},\"due\":{due},\"x\":\"");
    let fill = bytes.saturating_sub(text.len() + 2);
    text.extend(std::iter::repeat_n('x', fill));
    text.push_str("\"}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_that_was_asked_for_and_says_whose_it_is() {
        let text = payload(49, 123_456, 7, Duration::from_secs(9), 200);
        assert_eq!(text.len(), 200);
        let read: Payload = serde_json::from_str(&text).expect("JSON");
        let due = 9_000_000_000;
        assert_eq!(
            read,
            Payload {
                s: 49,
                n: 123_456,
                p: 7,
                due
            }
        );
    }
}
