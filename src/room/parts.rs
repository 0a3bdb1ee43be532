//! A canvas's state, framed once for all clients that join in the same form.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::OnceLock;

use bytes::Bytes;

use crate::backplane::Snapshot;
use crate::protocol::deflate;
use crate::protocol::encoding::{Encoding, Form};
use crate::protocol::ids::Position;
use crate::protocol::msgpack;
use crate::protocol::server_message::{snapshot_parts, snapshot_since};

/// What those need who wait for a snapshot.
#[derive(Debug, Default)]
pub struct Wanted {
    /// How they read it.
    pub forms: HashSet<Form>,
    /// The `seq` of older states that some of them hold.
    pub bases: BTreeSet<u64>,
}

/// A canvas's state: whole, and as what changed since older states that somebody holds.
#[derive(Debug)]
pub struct Parts {
    /// Exactly where.
    pub at: Position,
    whole: Framed,
    /// By the older state's `seq`; `None` if it is not known what changed since, or if that is too much.
    since: BTreeMap<u64, Option<Framed>>,
}

/// The framed `snapshot` messages, in each form that somebody asked for.
#[derive(Debug)]
struct Framed {
    json: Vec<Bytes>,
    msgpack: OnceLock<Vec<Bytes>>,
    /// By [`Form::index`].
    deflated: [OnceLock<Vec<Bytes>>; Form::COUNT],
}

impl Parts {
    /// Those that are framed in JSON.
    pub fn new(at: Position, json: Vec<Bytes>) -> Self {
        let (whole, since) = (Framed::new(json), BTreeMap::new());
        Self { at, whole, since }
    }

    /// Of a snapshot, with what changed since those older states. All of that together takes no more bytes than the whole.
    pub fn of_snapshot(snapshot: &Snapshot, bases: &BTreeSet<u64>) -> Self {
        let Snapshot {
            at, objects, chat, ..
        } = snapshot;
        let mut parts = Self::new(*at, snapshot_parts(at.epoch, at.seq, objects, chat));
        let mut left = parts.whole.bytes();
        // The youngest first: of them there is least to tell.
        for base in bases.iter().rev() {
            let framed = snapshot.since(*base).and_then(|since| {
                let objects = since.objects.iter().map(|object| object.len());
                let least = objects.sum::<usize>();
                if least > left {
                    return None;
                }
                let place = (at.epoch, at.seq, *base);
                Some(Framed::new(snapshot_since(
                    place,
                    &since.objects,
                    &since.deleted,
                    chat,
                )))
            });
            left = left.saturating_sub(framed.as_ref().map_or(0, Framed::bytes));
            parts.since.insert(*base, framed);
        }
        parts
    }

    /// Makes what is needed for a form: for a large canvas that takes many milliseconds.
    pub fn make(&self, form: Form) {
        let since = self.since.values().flatten();
        since
            .chain([&self.whole])
            .for_each(|framed| framed.make(form));
    }

    /// Whether they were made for that form and that older state; what is not long in coming needs no making.
    pub fn has(&self, form: Form, base: Option<u64>) -> bool {
        let asked = base.is_none_or(|base| self.since.contains_key(&base));
        asked && (!form.deflate || self.whole.deflated[form.index()].get().is_some())
    }

    /// The parts in that form for who holds that older state. Who could read them compressed gets them so if somebody did at the time
    /// they were made.
    pub fn of(&self, form: Form, base: Option<u64>) -> &[Bytes] {
        let since = base.and_then(|base| self.since.get(&base)?.as_ref());
        since.unwrap_or(&self.whole).of(form)
    }
}

impl Framed {
    fn new(json: Vec<Bytes>) -> Self {
        Self {
            json,
            msgpack: OnceLock::new(),
            deflated: Default::default(),
        }
    }

    fn bytes(&self) -> usize {
        self.json.iter().map(Bytes::len).sum()
    }

    fn make(&self, form: Form) {
        let plain = self.plain(form.encoding);
        if form.deflate {
            let shorter = |part: &Bytes| {
                let long = part.len() >= deflate::FROM_BYTES;
                let deflated = long.then(|| deflate::frames(part, form.encoding)).flatten();
                deflated.unwrap_or_else(|| part.clone())
            };
            self.deflated[form.index()].get_or_init(|| plain.iter().map(shorter).collect());
        }
    }

    fn of(&self, form: Form) -> &[Bytes] {
        match self.deflated[form.index()].get() {
            Some(parts) => parts,
            None => self.plain(form.encoding),
        }
    }

    fn plain(&self, encoding: Encoding) -> &[Bytes] {
        match encoding {
            Encoding::Json => &self.json,
            Encoding::Msgpack => self.msgpack.get_or_init(|| {
                let parts = self.json.iter();
                parts.map(|part| msgpack::frame(part)).collect()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::backplane::Lately;
    use crate::protocol::ids::Epoch;

    #[test]
    fn each_form_is_made_once_and_long_parts_get_shorter() {
        let (epoch, seq) = (Epoch(1), 3);
        let objects = vec![r#"{"id":"a","kind":"box","text":"the same again"}"#.to_owned(); 1_000];
        let parts = Parts::new(
            Position { epoch, seq },
            snapshot_parts(epoch, seq, &objects, &[]),
        );
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let (plain, deflate) = (
                Form {
                    encoding,
                    deflate: false,
                },
                Form {
                    encoding,
                    deflate: true,
                },
            );
            assert_eq!(
                parts.of(deflate, None),
                parts.of(plain, None),
                "nobody asked yet"
            );
            parts.make(deflate);
            let bytes = |form| parts.of(form, None).iter().map(Bytes::len).sum::<usize>();
            assert!(bytes(deflate) * 10 < bytes(plain));
            assert_eq!(
                parts.of(deflate, None)[0].as_ptr(),
                parts.of(deflate, None)[0].as_ptr()
            );
        }
    }

    fn payload(part: &Bytes) -> serde_json::Value {
        serde_json::from_slice(crate::protocol::frame::payload(part)).unwrap()
    }

    /// Ten objects, the last of which changed at 11; b was deleted at 10.
    fn snapshot() -> Snapshot {
        let object = |n| {
            format!(
                r#"{{"id":"o{n}","kind":"box","text":"{}"}}"#,
                "x".repeat(1_000)
            )
        };
        let mut changed: Vec<u64> = (0..9).collect();
        changed.push(11);
        let lately = Lately {
            changed,
            deleted: vec![(2, "a".into()), (10, "b\"".into())],
            from: 1,
        };
        let (epoch, seq) = (Epoch(1), 11);
        Snapshot {
            at: Position { epoch, seq },
            objects: (0..10).map(object).collect(),
            chat: vec![r#"{"seq":4}"#.to_owned()],
            lately,
        }
    }

    #[test]
    fn who_holds_an_older_state_gets_what_changed_since() {
        let parts = Parts::of_snapshot(&snapshot(), &BTreeSet::from([0, 1, 9, 12]));
        let form = Form::default();
        let since = parts.of(form, Some(9));
        assert_eq!(since.len(), 1);
        let told = payload(&since[0]);
        assert_eq!(told["base"], json!({"epoch": "0000000000000001", "seq": 9}));
        assert_eq!(told["objects"].as_array().unwrap().len(), 1);
        assert_eq!(told["objects"][0]["id"], "o9");
        assert_eq!(told["deleted"], json!(["b\""]));
        assert_eq!(told["chat"], json!([{"seq": 4}]));
        assert!(since[0].len() < 2_000, "{}", since[0].len());
        let deflate = true;
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let form = Form { encoding, deflate };
            parts.make(form);
            assert!(parts.has(form, Some(9)) && !parts.has(form, Some(8)));
            assert_ne!(parts.of(form, Some(9))[0], parts.of(form, None)[0]);
        }
    }

    #[test]
    fn who_holds_what_nobody_knows_gets_the_whole() {
        let parts = Parts::of_snapshot(&snapshot(), &BTreeSet::from([0, 12]));
        let (form, whole) = (
            Form::default(),
            payload(&parts.of(Form::default(), None)[0]),
        );
        assert_eq!(whole["objects"].as_array().unwrap().len(), 10);
        assert!(whole.get("base").is_none() && whole.get("deleted").is_none());
        for base in [0, 12] {
            assert!(parts.has(form, Some(base)), "it is not asked for again");
            assert_eq!(parts.of(form, Some(base)), parts.of(form, None));
        }
    }

    /// Many who hold different old states, from which nearly everything changed, cost no copy of the canvas each.
    #[test]
    fn what_changed_since_all_of_them_is_not_more_than_the_whole() {
        let bases: BTreeSet<u64> = (1..=10).collect();
        let parts = Parts::of_snapshot(&snapshot(), &bases);
        let since = parts.since.values().flatten().map(Framed::bytes);
        let (since, whole) = (since.sum::<usize>(), parts.whole.bytes());
        assert!(
            since > whole / 4 && since < whole * 5 / 4,
            "{since} of {whole}"
        );
        let told = payload(&parts.of(Form::default(), Some(10))[0]);
        assert_eq!(
            told["base"]["seq"], 10,
            "the youngest are told what changed"
        );
    }

    #[test]
    fn a_long_list_of_deletions_is_cut_into_parts() {
        let mut snapshot = snapshot();
        let id = |n: u64| (n, format!("{n:04}{}", "é".repeat(200)).into());
        snapshot.lately.deleted = (1..2_001).map(id).collect();
        snapshot.at.seq = 3_000;
        let parts = Parts::of_snapshot(&snapshot, &BTreeSet::from([1]));
        let since: Vec<_> = parts
            .of(Form::default(), Some(1))
            .iter()
            .map(payload)
            .collect();
        assert!(since.len() > 1 || parts.since[&1].is_none());
        let deleted = since.iter().flat_map(|part| part["deleted"].as_array());
        assert_eq!(deleted.map(Vec::len).sum::<usize>(), 1_999);
        assert!(since[0].get("base").is_some() && since[1].get("base").is_none());
        assert!(since[1]["last"].as_bool().unwrap());
    }
}
