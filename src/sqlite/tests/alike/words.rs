//! Random messages.

use std::sync::Arc;

use crate::backplane::{Author, Entry};
use crate::protocol::client_message::{ClientMessage, parse};

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    pub(super) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    /// What a client may say but for its op.
    pub(super) fn fields(&mut self) -> String {
        let id = format!("o{}", self.below(8));
        let n = self.below(9);
        let pad = "ä\\n".repeat(usize::try_from(self.below(200)).unwrap());
        match self.below(24) {
            20 | 21 => {
                let data = ["AA==", "AAEC", "//////8="][usize::try_from(n % 3).unwrap()];
                format!(r#""type":"log-append","id":"{id}","data":"{data}""#)
            }
            22 | 23 => {
                let (upto, data) = (1 + self.below(1_500), ["\"c29tZQ==\"", "null"]);
                let data = self.of(&data);
                let epoch = match self.below(3) {
                    0 => r#""epoch":"0000000000000007","#,
                    _ => "",
                };
                format!(r#""type":"log-compact","id":"{id}",{epoch}"upto":{upto},"data":{data}"#)
            }
            0 | 1 => {
                format!(r#""type":"object-create","object":{{"id":"{id}","kind":"k","n": 1.50e1}}"#)
            }
            2 => format!(
                r#""type":"object-create","object":{{"kind":"k","pad":"{pad}","id":"{id}"}}"#
            ),
            3 | 4 => format!(
                r#""type":"object-update","id":"{id}","patch":{{"n":{n},"s":{{"a":[{n}.0]}}}}"#
            ),
            5 => format!(
                r#""type":"object-update","id":"{id}","patch":{{"s":{{"a":null,"b":1e{n}}}}}"#
            ),
            6 => {
                format!(r#""type":"object-update","id":"{id}","patch":{{"s":"{n}","pad":"{pad}"}}"#)
            }
            7 => format!(r#""type":"object-update","id":"{id}","patch":{{"pad":null}}"#),
            8 => format!(r#""type":"object-delete","id":"{id}""#),
            14 => format!(
                r#""type":"object-update","id":"{id}","set":{{"s.a":{{"x":null}},"n":{n}}}"#
            ),
            15 => format!(
                r#""type":"object-update","id":"{id}","append":{{"list":[{n}.50,null],"pad":"{pad}"}}"#
            ),
            16 => format!(
                r#""type":"object-update","id":"{id}","append":{{"s.a":[1]}},"unset":["n"]"#
            ),
            17 => format!(r#""type":"object-update","id":"{id}","unset":["s.a","list"]"#),
            18 => format!(
                r#""type":"object-update","id":"{id}","patch":{{"n":null}},"set":{{"n.m":[{n}]}},"append":{{"list":[{{}}]}}"#
            ),
            19 => format!(r#""type":"object-update","id":"{id}","set":{{"s.b.c":"{pad}"}}"#),
            9..12 => format!(r#""type":"chat","text":"{n} \"said\" {pad}""#),
            _ => format!(r#""type":"broadcast","event":"e","data":[{n}]"#),
        }
    }
}

/// The same entry once more.
pub(super) fn copy(entry: &Entry) -> Entry {
    let author = |author: &Arc<Author>| author.clone();
    match entry {
        Entry::Durable { author: a, message } => {
            let body = &message.body;
            let text = format!("{{\"type\":\"{}\",{}", message.kind.as_str(), &body[1..]);
            match parse(&text) {
                Ok(ClientMessage::Durable(message)) => Entry::Durable {
                    author: author(a),
                    message,
                },
                other => panic!("{text}: {other:?}"),
            }
        }
        Entry::Join { author: a } => Entry::Join { author: author(a) },
        Entry::State { author: a, state } => Entry::State {
            author: author(a),
            state: state.clone(),
        },
        Entry::Leave { author: a, end } => Entry::Leave {
            author: author(a),
            end: *end,
        },
        Entry::Signal { author: a, body } => Entry::Signal {
            author: author(a),
            body: body.clone(),
        },
        Entry::Cursors { cursors } => Entry::Cursors {
            cursors: cursors.clone(),
        },
        Entry::Kick { conn } => Entry::Kick { conn: *conn },
        Entry::Post { conn, post } => Entry::Post {
            conn: *conn,
            post: post.clone(),
        },
    }
}
