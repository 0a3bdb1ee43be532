//! The check of the messages that a visitor gets. Pure.

use super::author::Author;
use crate::load::wire::Heard;
use crate::protocol::client_message::Kind;
use crate::protocol::ids::{Epoch, Position};

/// What a visitor comes with and must get.
#[derive(Debug, Clone)]
pub struct Expected {
    /// What it holds already; it must get `count` messages after that. Without: a snapshot of `count` objects.
    pub since: Option<Position>,
    /// The canvas's head.
    head: Position,
    count: u64,
}

/// What one visitor was told wrongly.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Objects or messages that never came.
    pub lost: u64,
    /// Objects or messages too many.
    pub duplicated: u64,
    /// Parts or messages out of their place.
    pub disordered: u64,
}

/// How far a visitor is.
#[derive(Debug)]
pub struct Check {
    expected: Expected,
    got: u64,
    /// The part, or the `seq`, that comes next.
    next: u64,
    /// Whether it has been told that this is all.
    complete: bool,
    disordered: u64,
}

impl Expected {
    /// All objects of a canvas, as its author left it.
    pub fn snapshot(author: &Author, objects: u32) -> Self {
        Self {
            since: None,
            head: author.position(),
            count: u64::from(objects),
        }
    }

    /// That many messages after a position.
    pub fn messages(since: Position, count: u32) -> Self {
        let seq = since.seq + u64::from(count);
        Self {
            since: Some(since),
            head: Position { seq, ..since },
            count: u64::from(count),
        }
    }
}

impl Check {
    /// Nothing has come yet.
    pub fn new(expected: Expected) -> Self {
        Self {
            got: 0,
            next: expected.since.map_or(0, |at| at.seq + 1),
            complete: false,
            disordered: 0,
            expected,
        }
    }

    /// Takes a message. Returns whether it is all there.
    pub fn take(&mut self, heard: &Heard<'_>) -> bool {
        match &*heard.kind {
            "welcome" => {
                let resumes = self.expected.since.is_some();
                let as_meant = (heard.mode == "resume") == resumes;
                let there = Epoch::parse(&heard.epoch) == Some(self.expected.head.epoch)
                    && heard.seq == self.expected.head.seq;
                self.disordered += u64::from(!there);
                // Another way than meant brings nothing that could be counted.
                self.complete |= !as_meant;
            }
            "snapshot" if self.expected.since.is_none() => {
                self.disordered += u64::from(heard.part != self.next);
                self.disordered += u64::from(heard.seq != self.expected.head.seq);
                self.next = heard.part + 1;
                self.got += heard.objects.len() as u64;
                self.complete |= heard.last;
            }
            kind if Kind::parse(kind).is_some() => {
                self.disordered += u64::from(heard.seq != self.next);
                self.next = heard.seq + 1;
                self.got += 1;
                self.complete |= heard.seq >= self.expected.head.seq;
            }
            _ => {}
        }
        self.complete
    }

    /// What was wrong, when nothing more is to come.
    pub fn faults(&self) -> Faults {
        Faults {
            lost: self.expected.count.saturating_sub(self.got),
            duplicated: self.got.saturating_sub(self.expected.count),
            disordered: self.disordered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Position = Position {
        epoch: Epoch(0xaa),
        seq: 7,
    };

    fn run(expected: Expected, texts: &[String]) -> (bool, Faults) {
        let mut check = Check::new(expected);
        let mut complete = false;
        for text in texts {
            complete = check.take(&serde_json::from_str(text).unwrap());
        }
        (complete, check.faults())
    }

    fn welcome(mode: &str) -> String {
        format!(
            r#"{{"type":"welcome","mode":"{mode}","epoch":"{}","seq":7}}"#,
            HEAD.epoch
        )
    }

    fn part(part: u32, last: bool, objects: &str) -> String {
        format!(
            r#"{{"type":"snapshot","epoch":"{}","seq":7,"part":{part},"last":{last},"objects":[{objects}]}}"#,
            HEAD.epoch
        )
    }

    fn message(seq: u64) -> String {
        format!(r#"{{"type":"broadcast","op":1,"event":"e","data":1,"seq":{seq}}}"#)
    }

    fn snapshot_of_3() -> Expected {
        Expected {
            since: None,
            head: HEAD,
            count: 3,
        }
    }

    fn faults(lost: u64, duplicated: u64, disordered: u64) -> Faults {
        Faults {
            lost,
            duplicated,
            disordered,
        }
    }

    #[test]
    fn a_snapshot_is_complete_with_its_last_part() {
        let mut texts = vec![
            welcome("snapshot"),
            part(0, false, "{},{}"),
            part(1, true, "{}"),
        ];
        assert_eq!(run(snapshot_of_3(), &texts), (true, faults(0, 0, 0)));
        texts.pop();
        assert_eq!(run(snapshot_of_3(), &texts), (false, faults(1, 0, 0)));
    }

    #[test]
    fn objects_too_few_or_many_and_parts_out_of_place_are_told() {
        let texts = [welcome("snapshot"), part(0, true, "{}")];
        assert_eq!(run(snapshot_of_3(), &texts), (true, faults(2, 0, 0)));
        let texts = [welcome("snapshot"), part(1, true, "{},{},{},{}")];
        assert_eq!(run(snapshot_of_3(), &texts), (true, faults(0, 1, 1)));
    }

    #[test]
    fn a_resume_is_complete_with_the_head() {
        let missed = Expected::messages(Position { seq: 4, ..HEAD }, 3);
        let texts = [welcome("resume"), message(5), message(6), message(7)];
        assert_eq!(run(missed.clone(), &texts), (true, faults(0, 0, 0)));
        assert_eq!(run(missed.clone(), &texts[..3]).1.lost, 1);
        let texts = [welcome("resume"), message(5), message(7)];
        assert_eq!(run(missed.clone(), &texts), (true, faults(1, 0, 1)));
        let texts = [welcome("snapshot"), part(0, true, "")];
        assert_eq!(run(missed, &texts), (true, faults(3, 0, 0)));
    }
}
